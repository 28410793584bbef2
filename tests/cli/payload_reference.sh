# SPDX-License-Identifier: Apache-2.0
# The Python decoder written from docs/format.md and the C decoder agree: on the example of the document, on payloads
# the encoder makes, and on what is damaged.
reference() { python3 "$RB_TREE/tests/reference/payload.py" "$@"; }

python3 - <<'PY'
import random
r = random.Random(7)
words = [bytes(r.randrange(256) for _ in range(4)) for _ in range(60)]
code = b"".join(r.choice(words) for _ in range(1500))
new = bytearray(code)
for _ in range(40):                      # operands change
    at = r.randrange(len(new))
    new[at] = new[at] + 3 & 255
new[3000:3000] = b"inserted text, " * 9  # bytes move
del new[4000:4100]
new += new[2000:2600] + code[100:700]
noise = bytes(r.randrange(256) for _ in range(70000))
files = {
    "code.old": code, "code.new": bytes(new), "zeros": bytes(70000), "noise": noise, "byte": b"\n",
    "mixed": code + noise[:9000] + bytes(300000) + code[:4000],
    "example.old": b"Riverbank demo board, version 1.0.0, build 17. All is well here.\n",
    "example.new": b"Riverbank demo board, version 1.0.1, build 18. All is well here, here and here.\n",
}
for name, data in files.items():
    with open(name, "wb") as f:
        f.write(data)
PY

pair() { # pair NAME NEW [OLD] [OPTION...]
    local name=$1 new=$2 old=${3:-}
    otaforge delta create ${old:+--from "$old"} --to "$new" -o p.rbp --quiet "${@:4}" >/dev/null
    reference p.rbp ${old:+"$old"} >by-python
    otaforge delta apply ${old:+--from "$old"} --patch p.rbp -o by-c
    cmp "$new" by-python && cmp "$new" by-c && echo "agree: $name"
}
pair "the example of docs/format.md" example.new example.old
xxd -p -s 232 p.rbp
pair "delta" code.new code.old
pair "delta in 64 KiB" code.new code.old --memory 64K --effort 9
pair "the same file" code.old code.old
pair "full" code.new
pair "full, mixed, in 64 KiB" mixed "" --memory 64K
pair "full, noise" noise
pair "zeros from noise" zeros noise
pair "one byte" byte
pair "one byte from many" byte code.old
pair "many from one byte" code.new byte

otaforge delta create --from code.old --to code.new -o p.rbp --quiet >/dev/null
disagree=0
size=$(stat -c %s p.rbp)
for at in 0 4 6 8 12 30 60 96 104 110 193 197 210 $((size / 2)) $((size - 1)); do
    cp p.rbp damaged.rbp
    printf '\125' | dd of=damaged.rbp bs=1 seek="$at" conv=notrunc status=none
    cmp -s p.rbp damaged.rbp && continue
    reference damaged.rbp code.old >/dev/null 2>&1 && disagree=1
    otaforge delta apply --from code.old --patch damaged.rbp -o by-c 2>/dev/null && disagree=1
done
echo "damaged payloads that either took: $disagree"
reference p.rbp code.new >/dev/null || echo "refused: another base"
