# SPDX-License-Identifier: Apache-2.0
# otaforge delta: what it says, what it refuses, that it leaves no half-made file.
python3 - <<'PY'
import random
r = random.Random(5)
words = [bytes(r.randrange(256) for _ in range(4)) for _ in range(40)]
old = b"".join(r.choice(words) for _ in range(4000))
new = bytearray(old)
for _ in range(80):
    at = r.randrange(len(new))
    new[at] = new[at] + 5 & 255
new[2000:2000] = b"twenty bytes of text"
with open("old", "wb") as f:
    f.write(old)
with open("new", "wb") as f:
    f.write(new)
PY
: >empty

try() {
    echo "\$ otaforge $*"
    otaforge "$@" && echo "[0]" || echo "[$?]"
}
try delta create --from old --to new -o delta.rbp --quiet | sed -E 's/^(payload  ) .*/\1 .../; s/(header .*sha256) .*/\1 .../'
[ "$(stat -c %s delta.rbp)" -lt 900 ] && echo "a small one"
try delta apply --from old --patch delta.rbp -o made
cmp new made && echo "the new file"
try delta create --to new -o full.rbp --quiet --json | sed -E 's/"(length|sha256|memory)": .*/"\1": .../'
try delta apply --patch full.rbp -o made2
cmp new made2 && echo "the new file"
try delta info full.rbp --json | grep -c sha256

try delta apply --from new --patch delta.rbp -o nothing
try delta apply --patch delta.rbp -o nothing
head -c 300 delta.rbp >cut.rbp
try delta apply --from old --patch cut.rbp -o nothing
try delta apply --from old --patch old -o nothing
try delta info empty
try delta info missing
try delta create --from old --to empty -o nothing --quiet
try delta create --from old --to missing -o nothing --quiet
try delta create --from missing --to new -o nothing --quiet
try delta create --from old --to new -o no/such/place --quiet
try delta create --to new
try delta create --to new -o nothing --format zip
try delta create --to new -o nothing --format bsdiff40
try delta create --to new -o nothing --memory 10K
try delta create --to new -o nothing --effort 10
try delta create --from old --to new -o small.rbp --memory 64K --quiet | grep -o '[0-9]* KiB of decoder memory'
ls
