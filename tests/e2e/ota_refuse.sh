# SPDX-License-Identifier: Apache-2.0
# What the agent must refuse: each time one clear line, the right exit code, and a device that is as it was.
. "$RB_TREE/tests/support/agent.sh"

repo
image 1.0.0 "$app/app-1.0.0.bin" --security-counter 5
image 2.0.0 "$app/app-2.0.0.bin" --security-counter 5
release 1.0.0
cp -a repo old
release 2.0.0
serve repo
good=$url
settings
device pristine 1.0.0 --slot-size 512K
faults .
bad=$url

# refuse CODE TEXT FAULTS DIR [COMMAND...]: an update through the fault server is refused and changes nothing.
refuse() {
    local code=$1 text=$2 faults=$3 dir=$4
    shift 4
    rm -rf d && cp -a pristine d
    sed -i "s#\"http://[^\"]*\"#\"$bad/~$faults/$dir/\"#" d/etc/riverbank/settings.json
    before=$(state d)
    [ $# -gt 0 ] || set -- ota update --root d
    expect "$code" "$text" "$@"
    [ "$(state d)" = "$before" ] || die "$text: the flash changed"
    [ "$(boots d)" = 1.0.0 ] || die "$text: boots $(boots d)"
}
# recovers: the same device takes the good repository afterwards.
recovers() {
    sed -i "s#\"http://[^\"]*\"#\"$good/\"#" d/etc/riverbank/settings.json
    ota update --root d --quiet --retry >/dev/null || die "does not recover"
    [ "$(boots d)" = 2.0.0 ] || die "boots $(boots d) after recovery"
}
firmware=match=firmware
delta=match=1.0.0-2.0.0

# Payloads. The delta gives way to the full one, so both are bad here.
refuse 1 "^ota: d: payload segment does not match its hash" "flip=5000,$firmware" repo
recovers
refuse 1 "^ota: d: payload header does not match the signed hash" "flip=20,$firmware" repo
recovers
refuse 3 "^ota: d: connection ended too early" "cut=9000,$firmware" repo
recovers
refuse 1 "^ota: d: server sent more than it may" "more=1,$firmware" repo
refuse 1 "^ota: d: server does not have it" "status=404,$firmware" repo
refuse 1 "^ota: d: redirect not allowed" "to=$(printf 'file:///etc/passwd' | od -An -tx1 | tr -d ' \n'),$firmware" repo
refuse 1 "^ota: d: redirect not allowed" "to=loop,$firmware" repo
refuse 3 "^ota: d: server answered with an error" "gzip,$firmware" repo

# Server.
url=http://127.0.0.1:1
rm -rf d && cp -a pristine d && point d
before=$(state d)
expect 3 "^ota: d: server cannot be reached" ota update --root d
[ "$(state d)" = "$before" ] || die "the flash changed"
refuse 3 "^ota: d: server answered with an error: .*HTTP 503" status=503 repo
refuse 1 "^ota: d: metadata is not valid JSON" html repo # NET-10
refuse 1 "^ota: d: metadata is larger than the limit" endless,match=timestamp repo
refuse 1 "^ota: d: metadata is larger than the limit" more=20000,match=timestamp repo

# Metadata. The device has seen release 2: an older repository is a rollback.
rm -rf seen && cp -a pristine seen && ota check --root seen >/dev/null
mv pristine unseen && mv seen pristine
refuse 1 "^ota: d: metadata version is lower than the trusted one" "" old
rm -rf pristine && mv unseen pristine
mkdir mixed && cp -a repo/. mixed
cp repo/metadata/2.targets.json mixed/metadata/3.targets.json
refuse 1 "^ota: d: metadata does not match the length, hash or version" "" mixed
otaforge repo init stranger >/dev/null
cp repo/keys/image.pem stranger/keys/
otaforge release create stranger --image 2.0.0.img --quiet >/dev/null
refuse 1 "^ota: d: metadata does not have enough valid signatures" "" stranger
SOURCE_DATE_EPOCH=$(($(date +%s) - 40 * 86400)) otaforge repo init stale >/dev/null
cp repo/keys/image.pem stale/keys/
SOURCE_DATE_EPOCH=$(($(date +%s) - 40 * 86400)) otaforge release create stale --image 2.0.0.img --quiet >/dev/null
ota provision --settings settings.json --image 1.0.0.img --root fresh --trust stale/metadata/1.root.json \
    --image-key repo/keys/image.pem --slot-size 512K >/dev/null
mv pristine kept && mv fresh pristine
refuse 3 "^ota: d: metadata has expired" "" stale
rm -rf pristine && mv kept pristine

# Releases that are rightly signed and not for this device.
mkdir other && cp -a repo/. other
image 2.1.0 "$app/app-2.0.0.bin" --security-counter 4
otaforge release create other --image 2.1.0.img --quiet --force >/dev/null
refuse 1 "^ota: d: boot image security counter is below the floor: 2.1.0 has 4, the floor is 5" "" other
image 2.2.0 "$app/app-2.0.0.bin" --security-counter 6 --hardware other-board
refuse 1 "^ota: d: not found: no release has version 2.2.0" "" other ota update --root d --target 2.2.0
otaforge release create other --image 2.2.0.img --quiet --force >/dev/null
refuse 1 "^ota: d: boot image is for other hardware" "" other ota update --root d --target 2.2.0
random 900000 4 >large
image 2.3.0 large --security-counter 6
otaforge release create other --image 2.3.0.img --quiet >/dev/null
refuse 1 "^ota: d: boot image does not fit the slot" "" other

# A release whose image is signed by a key that this device does not trust.
otaforge key new stranger.pem >/dev/null
otaforge image build --body "$app/app-2.0.0.bin" --version 2.4.0 --hardware demo-board --security-counter 9 \
    --key stranger.pem -o forged.img >/dev/null
mkdir forged && cp -a repo/. forged
otaforge release create forged --image forged.img --image-key stranger.pem --quiet --force >/dev/null ||
    die "forged release"
refuse 1 "^ota: d: boot image signature is not valid for any trusted key" "" forged

# Decoder memory: the payloads want more than this device gives.
sed -i 's/{/{"decoder_memory": 65536, /' pristine/etc/riverbank/settings.json
refuse 1 "^ota: d: release has no payload this device can use: 2.0.0: needs" "" repo
sed -i 's/"decoder_memory": 65536, //' pristine/etc/riverbank/settings.json

# A bad delta alone costs one step: the full payload comes instead, and the reason is kept.
rm -rf d && cp -a pristine d
sed -i "s#\"http://[^\"]*\"#\"$bad/~flip=5000,$delta/repo/\"#" d/etc/riverbank/settings.json
expect 0 "delta firmware/main/1.0.0-2.0.0.rbp refused: payload segment does not match its hash; taking" \
    ota update --root d
ota history --root d | grep -q "refused: payload segment" || die "$(ota history --root d)"
[ "$(boots d)" = 2.0.0 ] || die "boots $(boots d)"

# So does a base that has rotted since it was hashed: what the delta makes of it fails its check, in RAM.
rm -rf d && cp -a pristine d
ota check --root d >/dev/null
printf '\377\377\377\377' | dd of="$(flash d)" bs=1 seek=$((12288 + 30000)) conv=notrunc status=none
expect 0 "refused: boot image .*; taking firmware/main/2.0.0.rbp" ota update --root d

# A flaky line: resets at random places, ranges ignored, an ETag that changes. It still arrives, byte for byte.
for faults in close=20000,times=3 close=7000,norange,times=2 times=2,status=503 lie=9; do
    rm -rf d && cp -a pristine d
    sed -i "s#\"http://[^\"]*\"#\"$bad/~$faults,$firmware/repo/\"#" d/etc/riverbank/settings.json
    expect 0 "verified and armed" ota update --root d
    [ "$(boots d)" = 2.0.0 ] || die "boots $(boots d) with $faults"
done

# LOCAL-03, LOCAL-04, LOCAL-08, LOCAL-10: places that others may write, a second writer, closed descriptors.
rm -rf d && cp -a pristine d
chmod 755 d/var/lib/riverbank
expect 3 "want mode 0700" ota update --root d
chmod 700 d/var/lib/riverbank
mv d/var/lib/riverbank away && ln -s "$PWD/away" d/var/lib/riverbank
expect 3 "not a directory" ota update --root d
rm d/var/lib/riverbank && mv away d/var/lib/riverbank
(
    flock 9
    expect 3 "another update operation is running" ota update --root d
) 9>d/var/lib/riverbank/ota.lock
before=$(state d)
(umask 0 && ulimit -f 0 && ota update --root d --quiet >/dev/null 2>&1) && die "an update without room for files"
[ "$(state d)" = "$before" ] || die "the flash changed"
(umask 0 && ota update --root d <&- >&- 2>&-) || die "closed descriptors"
[ -z "$(find d/var/lib/riverbank -perm /077 ! -type l)" ] || die "open to others: $(find d/var -perm /077)"
[ "$(boots d)" = 2.0.0 ] || die "boots $(boots d)"

# FAULT-05: read verbs on a device that cannot be written, usage errors.
expect 1 "no such file or directory" ota status --root nowhere
expect 2 "unknown verb" ota updat --root d
expect 2 "no tear is called" ota update --root d --cut-at-op 1 --tear sideways
