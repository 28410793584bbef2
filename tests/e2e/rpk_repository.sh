# SPDX-License-Identifier: Apache-2.0
# Packages by name: the newest that fits the device, checked against what the signed metadata says of it.
# shellcheck source=tests/support/packages.sh
. "$RB_TREE/tests/support/packages.sh"

otaforge repo init repo --quiet
otaforge release create repo --rpk "$samples/clock-1.0.0.rpk" --rpk "$samples/weather-1.0.0.rpk" --quiet >/dev/null
otaforge serve repo --listen 127.0.0.1:0 >out &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
for _ in $(seq 100); do
    grep -q serving out && break
    sleep 0.05
done
url=$(sed -n 's/^serving repo at //p' out)
device dev ", \"repository_url\": \"$url\""
mkdir -p dev/var/lib/riverbank/trust
cp repo/metadata/1.root.json dev/var/lib/riverbank/trust/root.json

refused() { # refused STATUS TEXT COMMAND...
    local status=0
    "${@:3}" >refused.out 2>&1 || status=$?
    [ "$status" = "$1" ] || die "${*:3}: exit $status, want $1: $(cat refused.out)"
    grep -q "$2" refused.out || die "${*:3}: $(cat refused.out)"
    agree dev
}

rpk install --root dev --quiet org.riverbank.clock org.riverbank.weather >/dev/null || die "install by name"
[ "$(packages dev | wc -l)" = 2 ] || die "two packages"
refused 1 "not in the repository" rpk install --root dev org.example.absent
rpk upgrade --root dev | grep -q "nothing to do" || die "nothing is newer"

otaforge release create repo --rpk "$samples/clock-1.1.0.rpk" --quiet >/dev/null
rpk upgrade --root dev --dry-run | grep -q "upgrade org.riverbank.clock 1.0.0 (1) -> 1.1.0 (2)" || die "upgrade is seen"
packages dev | grep -q "clock *1.0.0 (1)" || die "--dry-run changed something"

# The blob behind a good name is another file: same length, one byte different; then longer; then gone.
blob=$(echo repo/targets/packages/*clock-2*.rpk)
cp "$blob" kept.rpk
printf 'X' | dd of="$blob" bs=1 seek=4000 conv=notrunc status=none
refused 1 "signed length or hash" rpk upgrade --root dev
cat kept.rpk kept.rpk >"$blob"
refused 1 "" rpk upgrade --root dev
rm "$blob"
refused 1 "does not have it" rpk upgrade --root dev org.riverbank.clock
cp kept.rpk "$blob"
packages dev | grep -q "clock *1.0.0 (1)" || die "a bad download changed something"
[ -z "$(ls dev/var/lib/riverbank/spool)" ] || die "the spool is not empty"

rpk upgrade --root dev --quiet >/dev/null || die "upgrade"
packages dev | grep -q "clock *1.1.0 (2)" || die "1.1.0 is installed"
agree dev || die "after the upgrade"

kill $server
wait $server 2>/dev/null || true
refused 3 "server cannot be reached" timeout 120 rpk upgrade --root dev
