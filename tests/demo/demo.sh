#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# tests/demo/demo.sh BUILD_DIR: from keys to a booted update and an installed package, with the programs that were
# just built and nothing else. `make demo` runs it.
#
# OLD, NEW: files to use as the firmware's versions 1 and 2 (the health check is then a command, since they need not
# be programs of this machine). RPK: package files to use. KEEP=1 keeps the directory it works in and says where.
#
# Each command is shown as typed, with what it printed, and must end with the status that is expected here.
set -u
tree=$(cd "$(dirname "$0")/../.." && pwd)
build=$tree/$1
export PATH="$build/bin:$PATH" LC_ALL=C.UTF-8 TZ=UTC
bold='' dim='' plain=''
[ ! -t 1 ] || { bold=$'\e[1m' && dim=$'\e[2m' && plain=$'\e[0m'; }
server=
begun=$SECONDS
work=$(mktemp -d /var/tmp/riverbank-demo-XXXXXX) || exit 3

finish() {
    local status=$?
    [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null
    cd / || exit 3
    if [ -n "${KEEP:-}" ]; then
        echo "Kept: $work"
    else
        rm -rf "$work"
    fi
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

# ---- how it speaks -------------------------------------------------------------------------------------------------

title() { printf '%s%s%s\n\n' "$bold" "$*" "$plain"; }
say() { printf '%s%s%s\n' "$dim" "$*" "$plain"; }
fail() {
    printf '\n%sThe demo failed: %s%s\n' "$bold" "$*" "$plain"
    exit 1
}
# A command line, broken before an option where it gets long.
show() {
    local line="\$ $1"
    shift
    for word in "$@"; do
        if [ "${word#-}" != "$word" ] && [ $((${#line} + ${#word})) -gt 76 ]; then
            printf '%s%s \\%s\n' "$bold" "$line" "$plain"
            line='     '
        fi
        line+=" $word"
    done
    printf '%s%s%s\n' "$bold" "$line" "$plain"
}

# run COMMAND...: show it, run it, insist on the status in `want` (0). What it took goes to .measure/$as.
run() {
    local status
    show "$@"
    "$build/test-bin/measure" ".measure/${as:-last}" "$@"
    status=$?
    [ "$status" = "${want:-0}" ] || fail "'$*' ended with $status, not ${want:-0}"
    echo
}

# values FILE KEY: all numbers or strings of that name in a JSON document, in order.
values() { grep -oE "\"$2\": *(\"[^\"]*\"|[0-9.]+)" "$1" | sed -E 's/^[^:]*: *"?([^"]*)"?$/\1/'; }
value() { values "$1" "$2" | head -n 1; }
# document NAME COMMAND... --json: keep what it prints in .measure/NAME.
document() {
    local name=$1
    shift
    "$@" --json >".measure/$name" || fail "'$* --json' ended with $?"
}
bytes() { wc -c <"$1"; }
grouped() { echo "$1" | sed -E ':a; s/^([0-9]+)([0-9]{3})/\1,\2/; ta'; }

# ---- the world -----------------------------------------------------------------------------------------------------

old=${OLD:+$(realpath -- "$OLD")} new=${NEW:+$(realpath -- "$NEW")}
packages=("$tree"/tests/data/rpk/{clock-1.0.0,weather-1.0.0}.rpk)
if [ -n "${RPK:-}" ]; then
    packages=()
    for file in $RPK; do packages+=("$(realpath -- "$file")"); done
fi
cd "$work" && mkdir .measure || exit 3
flash=device/var/lib/riverbank/flash.img

from_last=()
if [ -n "$old$new" ]; then
    [ -r "$old" ] && [ -r "$new" ] || fail "OLD and NEW are two files that go together"
    cp -- "$old" firmware-1.0.0.bin && cp -- "$new" firmware-2.0.0.bin || exit 3
    # shellcheck disable=SC2016 # the health check expands it
    { cat -- "$new" && printf broken; } >firmware-3.0.0.bin
    { cat -- "$new" && printf mended; } >firmware-3.0.1.bin
    # These need not be programs of this machine; a command of the device says that 3.0.0 is bad.
    printf '#!/bin/sh\n[ "$RB_VERSION" != 3.0.0 ]\n' >health.sh && chmod 755 health.sh
    health="{ \"command\": \"$work/health.sh\" }"
    from_last=(--from-last 2) # the caller's files may be large, and an encoder takes its time
else
    for version in 1.0.0 2.0.0 3.0.0 3.0.1; do
        cp "$build/app/app-$version.bin" "firmware-$version.bin" || fail "'make app' comes first"
    done
    health='{}'
fi
names=() options=() developer='' debug_packages=''
for file in "${packages[@]}"; do
    cp -- "$file" . || fail "there is no $file"
    if ! rpk verify "./${file##*/}" >/dev/null 2>&1 && rpk verify --debug-key "./${file##*/}" >/dev/null 2>&1; then
        developer=', "developer_mode": true' debug_packages=--debug-packages
    fi
    document package rpk verify --debug-key "./${file##*/}"
    names+=("$(value .measure/package package)")
    options+=(--rpk "${file##*/}")
done
# Packages signed with the key that the toolchains give to everyone are for devices of developers.
[ -z "$debug_packages" ] || options+=("$debug_packages")
# Slots with room for the largest image and some more, in whole 64 KiB.
largest=$(for file in firmware-*.bin; do bytes "$file"; done | sort -n | tail -n 1)
slot_kib=$(((largest + largest / 32 + 131071) / 65536 * 64))

# A port nobody listens on.
port=8080
while (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done

image() { # image VERSION SECURITY-COUNTER
    run otaforge image build --body "firmware-$1.bin" --version "$1" --hardware demo-board --security-counter "$2" \
        --key repo/keys/image.pem -o "v$1.img"
}
serve() {
    show otaforge serve repo --listen "127.0.0.1:$port" '&'
    otaforge serve repo --listen "127.0.0.1:$port" >.measure/serve 2>&1 &
    server=$!
    for _ in $(seq 200); do
        (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
        kill -0 "$server" 2>/dev/null || fail "the server ended: $(cat .measure/serve)"
        sleep 0.05
    done
    cat .measure/serve
    echo
}
# power_cycle VERSION: one boot, after which the device must be running VERSION.
power_cycle() {
    run riverboot-sim --flash "$flash"
    [ "$(value "$flash.boot" version)" = "$1" ] || fail "the device runs $(value "$flash.boot" version), not $1"
}

# ---- the demo ------------------------------------------------------------------------------------------------------

echo "${bold}Riverbank: from keys to a booted update and an installed package${plain}"
say "It happens in $work and on 127.0.0.1, with the programs of this tree."
echo

title "1. What was built"
for program in "$build"/bin/* "$build"/app/*.bin; do
    printf '%9s bytes  %s\n' "$(grouped "$(bytes "$program")")" "${program#"$tree"/}"
done
echo

title "2. The build server makes keys and a repository"
run otaforge repo init repo
run otaforge key new repo/keys/image.pem

title "3. Two versions of a firmware image, signed"
image 1.0.0 1
image 2.0.0 2
run otaforge image show v2.0.0.img

title "4. The factory makes a device with version 1; its bootloader starts it"
run otaforge release create repo --image v1.0.0.img --quiet
cat >settings.json <<SETTINGS
{ "hardware": "demo-board", "device_type": "watch",
  "repository_url": "http://127.0.0.1:$port/", "health": $health$developer }
SETTINGS
run cat settings.json
run ota provision --root device --settings settings.json --image v1.0.0.img --slot-size "${slot_kib}K" \
    --trust repo/metadata/1.root.json --image-key repo/keys/image.pem
power_cycle 1.0.0

title "5. Version 2 and packages are published"
run otaforge release create repo --image v2.0.0.img "${options[@]}" --quiet
serve

title "6. The device finds version 2, says what it would fetch, and updates"
run ota check --root device
run ota plan --root device
as=to-2.0.0 run ota update --root device

title "7. Power cycle: version 2 on trial; it is healthy and is confirmed"
power_cycle 2.0.0
run ota confirm --root device
run ota status --root device

title "8. Version 3 is broken: the device, left to itself, goes back to 2 and says why"
image 3.0.0 3
run otaforge release create repo --image v3.0.0.img "${from_last[@]}" --quiet
say "From here the agent acts without anyone: one cycle of otad after each start."
as=to-3.0.0 run otad --root device --once
power_cycle 3.0.0
say "The health check has failed. The agent rejects the trial (status 1), so the bootloader starts version 2:"
want=1 run otad --root device --once
power_cycle 2.0.0
run ota history --root device
say "And it does not try that one again:"
run otad --root device --once

title "9. Packages"
run rpk install --root device "${names[@]}"
run rpk list --root device
run rpk info --root device "${names[0]}"
run rpk remove --root device "${names[0]}"
run rpk list --root device

title "10. The power fails in the middle of an update"
image 3.0.1 3
say "No delta this time, so that there is something to interrupt:"
run otaforge release create repo --image v3.0.1.img --from-last 0 --quiet
cut=$((largest / 4096 + 1))
say "Flash operation $cut gets half-way, and everything stops there:"
want=3 as=cut run ota update --root device --cut-at-op "$cut" --tear half
say "The power is back. Nothing was armed, so version 2 starts; the update goes on where it stopped:"
power_cycle 2.0.0
as=to-3.0.1 run ota update --root device
power_cycle 3.0.1
run ota confirm --root device

title "11. In numbers"
document history ota history --root device
document status ota status --root device
document packages rpk list --root device
mapfile -t version < <(values .measure/history version)
[ "${version[*]}" = "3.0.1 3.0.0 2.0.0" ] || fail "the history tells of ${version[*]}"

row() { # row LABEL NUMBER...
    local label=$1
    shift
    printf '%-36s' "$label"
    for n in "$@"; do printf '%12s' "$(grouped "$n")"; done
    echo
}
each() { for v in 2.0.0 3.0.0 3.0.1; do "$@"; done; } # over the versions, in $v
image_bytes() { bytes "v$v.img"; }
full_bytes() { bytes repo/targets/firmware/main/*".$v.rbp"; }
took() { value ".measure/to-$v" "$1"; }
history() { values .measure/history "$1" | tac; }
# shellcheck disable=SC2046 # lists of numbers
{
    row "update to" 2.0.0 3.0.0 "3.0.1 *"
    row "  image, bytes" $(each image_bytes)
    row "  full payload" $(each full_bytes)
    row "  fetched" $(history fetched)
    row "    of them twice" $(history refetched)
    row "  seconds" $(each took seconds)
    row "  peak memory of its own, KiB" $(each took peak_anonymous_kib)
    row "    with the libraries it shares" $(each took peak_rss_kib)
}
echo "* memory and time of the part after the power cut"
echo
ota status --root device | grep -E '^slot'
rpk list --root device | sed 's/^no packages are installed/none/; s/^/package     /'
echo
echo "${bold}Done in $((SECONDS - begun)) s.${plain}"
