# SPDX-License-Identifier: Apache-2.0
# A repository from keys to a release: what is said, what is refused, and what a second reader makes of it.
export SOURCE_DATE_EPOCH=1800000000
say() { echo "\$ $*" && "$@" || echo "exit $?"; }

say otaforge repo init repo --root-keys 3 --threshold 2
say otaforge repo init repo
say otaforge repo init other --root-keys 2 --threshold 3
say otaforge repo init other --root-keys 17
say otaforge repo init other --expires-root 0
say otaforge repo init
find repo -printf '%M %P\n' | sort -k 2

otaforge key new repo/keys/image.pem
for v in 1 2; do
    { seq -f "line %.0f of the body" 4000 && echo "version $v"; } >body$v
    otaforge image build --body body$v --version $v.0.0 --hardware demo-board --security-counter $v \
        --key repo/keys/image.pem -o $v.img >out
done
say otaforge release create repo --image 1.img --quiet | sed -E 's/ +[0-9]+  full/ N full/'
say otaforge release create repo --image 2.img --rpk "$RB_TREE/tests/data/rpk/clock-1.0.0.rpk" --quiet >out
sed -E 's/ +[0-9]+  (full|delta|package)/ N \1/; s/\([0-9.]+ %/(N %/' out
say otaforge release create repo --image 2.img --quiet
say otaforge repo status repo | sed -E 's/ +[0-9]+  (full|delta|package)/ N \1/; s/, [0-9]+ bytes/, N bytes/'
otaforge repo status repo --json | python3 -c 'import json, sys; d = json.load(sys.stdin); print(sorted(d), len(d["targets"]))'

echo "# the second reader"
python3 "$RB_TREE/tests/reference/metadata.py" repo --now 2027-01-15T08:00:00Z
python3 "$RB_TREE/tests/reference/metadata.py" repo --now 2027-03-15T08:00:00Z || true

echo "# refused"
say otaforge release create repo
say otaforge release create none --image 2.img
say otaforge release create repo --image none.img
say otaforge release create repo --image body1
: >empty
say otaforge release create repo --image empty
say otaforge release create repo --rpk body1
say otaforge release create repo --rpk "$RB_TREE/tests/data/rpk/clock-1.1.0-unsigned.rpk"
say otaforge release create repo --image 2.img --memory 1K
say otaforge release create repo --image 2.img --effort 10
say otaforge release create repo --image 2.img --image-key none.pem
say otaforge release create repo --image 2.img --image-key "$RB_TREE/tests/data/rpk-keys/release-certificate.pem" |
    sed "s#$RB_TREE#TREE#"
chmod 644 repo/keys/targets.pem
cp 2.img 3.img
otaforge image build --body body1 --version 3.0.0 --hardware demo-board --security-counter 3 \
    --key repo/keys/image.pem -o 3.img >out
say otaforge release create repo --image 3.img --quiet
chmod 600 repo/keys/targets.pem
mv repo/keys/timestamp.pem kept
say otaforge release create repo --image 3.img --quiet
mv kept repo/keys/timestamp.pem
say otaforge release create repo --image 3.img --quiet >out
head -n 1 out
tail -n +2 out | grep -c rbp
python3 "$RB_TREE/tests/reference/metadata.py" repo --now 2027-01-15T08:00:00Z | grep -c target

echo "# published"
say otaforge publish repo web | sed -E 's/\([0-9]+ bytes/(N bytes/'
say otaforge publish repo web
say otaforge publish repo s3://bucket/path
say otaforge publish none web
say otaforge publish repo 3.img
python3 "$RB_TREE/tests/reference/metadata.py" web --now 2027-01-15T08:00:00Z | tail -n 1
ls web
