# SPDX-License-Identifier: Apache-2.0
# Making a device: what it refuses leaves nothing behind, and every geometry boots and updates.
. "$RB_TREE/tests/support/agent.sh"

repo
random 30000 1 >body1
random 90000 2 >body2
image 1.0.0 body1 --security-counter 3
image 2.0.0 body2 --security-counter 3
image 0.9.0 body1 --security-counter 2
release 1.0.0 2.0.0
serve repo
settings '"health": {"command": "/bin/true"}'
provision="ota provision --settings settings.json --root d --trust repo/metadata/1.root.json"

# refuse CODE TEXT OPTION...: and the next try finds nothing in its way.
refuse() {
    local code=$1 text=$2
    shift 2
    expect "$code" "$text" ota provision --root d "$@"
    [ ! -e d/etc/riverbank/settings.json ] || die "$text: half a device"
    [ ! -e d/var/lib/riverbank/flash.img ] || die "$text: a flash is left"
}
good="--settings settings.json --trust repo/metadata/1.root.json --image-key repo/keys/image.pem --image 1.0.0.img"
refuse 2 "provision needs" --settings settings.json
refuse 1 "no such file" $good --image missing.img
otaforge key new other.pem >/dev/null
refuse 1 "signature is not valid" ${good/repo\/keys\/image.pem/other.pem}
refuse 1 "not a boot image" ${good/1.0.0.img/body1}
refuse 1 "metadata" ${good/1.root.json/1.targets.json}
refuse 1 "flash layout" $good --slot-size 5000
refuse 1 "does not fit" $good --slot-size 16K
refuse 1 "below the floor" $good --image 0.9.0.img
printf '{"hardware": "other-board"}' >other.json
refuse 1 "other hardware" ${good/settings.json/other.json}
printf '{"hardware": "demo-board", "tries": 2}' >other.json
refuse 1 "field \"tries\"" ${good/settings.json/other.json}
head -c 20000 1.0.0.img >short.img
refuse 1 "ends too early" ${good/1.0.0.img/short.img}

for geometry in "4096 1" "4096 32" "256 8" "65536 4" "262144 16"; do
    read -r sector unit <<<"$geometry"
    rm -rf d
    $provision --image 1.0.0.img --image-key repo/keys/image.pem --slot-size 512K --sector-size "$sector" \
        --program-unit "$unit" >/dev/null || die "$geometry"
    boot d || die "$geometry: $(cat boot.out)"
    expect 0 "verified and armed" ota update --root d
    boot d
    expect 0 "2.0.0 is healthy" ota confirm --root d
    [ "$(boots d)" = 2.0.0 ] || die "$geometry boots $(boots d)"
done

# Two factory images, several keys, a device that is there.
rm -rf d
otaforge key show repo/keys/image.pem >public.pem 2>/dev/null
$provision --image 1.0.0.img --image 2.0.0.img --image-key other.pem --image-key repo/keys/image.pem >/dev/null
expect 0 "spare    2.0.0" ota status --root d
expect 1 "already exists" $provision --image 1.0.0.img --image-key repo/keys/image.pem
expect 0 "provisioned demo-board" $provision --image 2.0.0.img --image-key repo/keys/image.pem --force
expect 0 "active   2.0.0" ota status --root d
boot d
expect 0 "up to date: 2.0.0" ota check --root d

# The health command: its exit status, its deadline, what it is told.
cat >health <<'END'
#!/bin/sh
echo "slot $RB_SLOT version $RB_VERSION ${HOME:-no home}" >"$1"
exit "$(cat "$2")"
END
chmod +x health
image 2.1.0 body1 --security-counter 3
image 2.2.0 body2 --security-counter 3
release 2.1.0
echo 0 >status
settings "\"health\": {\"command\": \"$PWD/health\", \"arguments\": [\"$PWD/told\", \"$PWD/status\"],
    \"deadline_s\": 2}"
cp settings.json d/etc/riverbank/settings.json
ota update --root d --quiet >/dev/null
boot d
cp d/var/lib/riverbank/flash.img.boot report
sed -i 's/"tries_left": 2/"tries_left": 1/' d/var/lib/riverbank/flash.img.boot
expect 1 "not of a start of the image on trial" ota confirm --root d
cp report d/var/lib/riverbank/flash.img.boot
expect 0 "2.1.0 is healthy" ota confirm --root d
[ "$(cat told)" = "slot B version 2.1.0 no home" ] || die "$(cat told)"
release 2.2.0
ota update --root d --quiet >/dev/null
boot d
printf '#!/bin/sh\nsleep 60 & sleep 60\n' >health
expect 1 "the command did not end within 2 s" ota confirm --root d
[ "$(boots d)" = 2.1.0 ] || die "boots $(boots d)"
