# SPDX-License-Identifier: Apache-2.0
# Debian's bspatch applies our BSDIFF40 patches and we apply Debian's.
command -v bsdiff >/dev/null && command -v bspatch >/dev/null || { echo "bsdiff is not here"; exit 77; }

python3 - <<'PY'
import random
r = random.Random(3)
old = bytes(r.randrange(7) * 31 for _ in range(40000))
new = bytearray(old)
for _ in range(200):
    new[r.randrange(len(new))] ^= 85
new = bytes(new[20000:]) + b"inserted" * 20 + bytes(new[:21000])
for name, data in {"old": old, "new": new, "zeros": bytes(30000)}.items():
    with open(name, "wb") as f:
        f.write(data)
PY

pair() { # pair OLD NEW
    otaforge delta create --from "$1" --to "$2" --format bsdiff40 -o ours >/dev/null
    bspatch "$1" made ours && cmp "$2" made && echo "$1 to $2: bspatch applies ours"
    bsdiff "$1" "$2" theirs
    otaforge delta apply --from "$1" --patch theirs -o made && cmp "$2" made && echo "$1 to $2: we apply bsdiff's"
}
pair old new
pair new old
pair old old
pair old zeros
pair zeros old
