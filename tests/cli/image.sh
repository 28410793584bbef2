# SPDX-License-Identifier: Apache-2.0
# Boot images: built, shown, verified, refused.
say() { echo "\$ $*" && "$@" || echo "exit $?"; }
hide() { sed -E 's/[0-9a-f]{16,}/HEX/g'; }

otaforge key new key.pem >/dev/null
otaforge key new other.pem >/dev/null
openssl pkey -in key.pem -pubout -out key.pub
head -c 5000 /dev/zero | tr '\0' 'x' >body

say otaforge image build --body body --version 2.0.0 --hardware board-a --hardware board-b --security-counter 3 \
    --load-address 0x20000000 --entry 0x20000101 --key key.pem -o a.img
say otaforge image show a.img 2>&1 | hide
otaforge image show a.img --json | hide
say otaforge image verify a.img --key key.pem | hide
say otaforge image verify a.img --key other.pem --key key.pub --hardware board-b --security-counter 3 | hide
otaforge image verify a.img --key key.pub --json | grep -c '"verified": true'

echo "# the same input gives the same bytes"
otaforge image build --body body --version 2.0.0 --hardware board-a --hardware board-b --security-counter 3 \
    --load-address 0x20000000 --entry 0x20000101 --key key.pem -o again.img
cmp a.img again.img && echo same

echo "# refused"
say otaforge image verify a.img --key other.pem
say otaforge image verify a.img --key key.pem --hardware board
say otaforge image verify a.img --key key.pem --security-counter 4
say otaforge image verify a.img --key key.pem --hardware board --json
head -c 5000 a.img >short.img
say otaforge image verify short.img --key key.pem
head -c 100 a.img >stub.img
say otaforge image verify stub.img --key key.pem
(cat a.img; printf x) >long.img
say otaforge image verify long.img --key key.pem
flip() { # flip OFFSET: one bit of a copy of the image
    python3 -c "import sys; b = bytearray(open('a.img', 'rb').read()); b[$1] ^= 4; open('flipped.img', 'wb').write(b)"
    say otaforge image verify flipped.img --key key.pem
}
flip 0
flip 5
flip 100
flip 500
flip 520
flip 4000
flip 5000
flip 12300
say otaforge image verify body --key key.pem
say otaforge image show body
say otaforge image show none.img

echo "# used wrongly"
say otaforge image build --body body --version 1 --key key.pem -o b.img
say otaforge image build --body body --version 1 --hardware x --key key.pem -o b.img --slot c
say otaforge image build --body body --version 1 --hardware x --key key.pem -o b.img --load-address 12x
say otaforge image build --body body --version 1 --hardware x --key key.pem -o b.img --security-counter 4294967296
say otaforge image build --body body --version 1 --hardware a --hardware b --hardware c --hardware d --hardware e \
    --key key.pem -o b.img
say otaforge image verify a.img

echo "# not possible"
say otaforge image build --body body --version "1 2" --hardware x --key key.pem -o b.img
say otaforge image build --body body --version 123456789012345678901234567890123 --hardware x --key key.pem -o b.img
say otaforge image build --body body --version 1 --hardware x --hardware x --key key.pem -o b.img
say otaforge image build --body body --version 1 --hardware x --entry 5000 --key key.pem -o b.img
: >empty
say otaforge image build --body empty --version 1 --hardware x --key key.pem -o b.img
say otaforge image build --body none --version 1 --hardware x --key key.pem -o b.img
say otaforge image build --body body --version 1 --hardware x --key key.pub -o b.img
ls b.img 2>/dev/null || echo "no b.img was left"
