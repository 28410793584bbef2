# SPDX-License-Identifier: Apache-2.0
# BUILD-06: the build tool and the device read a package alike, and no looser than an independent reader does. Python's
# zipfile makes packages in every shape it can, and some that no tool makes; what `otaforge rpk sign` signs, `rpk` must
# install, with exactly the files and bytes that zipfile finds; what zipfile cannot read must not be signed.
install -m 600 "$RB_TREE/tests/data/rpk-keys/release-private.pem" key.pem
cp "$RB_TREE/tests/data/rpk-keys/release-certificate.pem" certificate.pem
cat >shapes.py <<'PYTHON'
"""shapes.py BASE: write variants of an unsigned package to shapes/NAME.rpk."""
import io, os, struct, sys, zipfile

os.mkdir("shapes")
with zipfile.ZipFile(sys.argv[1]) as base:
    files = [(i.filename, base.read(i)) for i in base.infolist() if not i.is_dir() and i.filename != "META-INF/CERT"]
WHEN = (2024, 5, 6, 7, 8, 10)

def pack(entries, method=zipfile.ZIP_DEFLATED, out=None, comment=b"", change=None, level=9):
    out = out or io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.comment = comment
        for name, data in entries:
            info = zipfile.ZipInfo(name, WHEN)
            info.compress_type = method
            info.external_attr = 0o644 << 16
            if change:
                change(info)
            z.writestr(info, data, compresslevel=level)
    return out.getvalue() if isinstance(out, io.BytesIO) else out.data

class Stream:
    """Cannot seek: zipfile writes data descriptors."""
    def __init__(self):
        self.data = b""
    def write(self, data):
        self.data += bytes(data)
        return len(data)
    def flush(self):
        pass

def attribute(mode):
    def change(info):
        if info.filename == "app.js":
            info.external_attr = mode << 16
    return change

def extra(info):
    info.extra = struct.pack("<HH4s", 0x7777, 4, b"abcd")

def save(name, data):
    with open(os.path.join("shapes", name + ".rpk"), "wb") as file:
        file.write(data)

plain = pack(files)
eocd = plain.rindex(b"PK\5\6")
central = struct.unpack_from("<I", plain, eocd + 16)[0]

def patched(at, form, value, data=plain):
    changed = bytearray(data)
    struct.pack_into(form, changed, at, value)
    return bytes(changed)

def moved(by, extra_bytes):
    """Bytes between the entries and the directory, offsets corrected."""
    data = plain[:central] + extra_bytes + plain[central:]
    return patched(eocd + by + 16, "<I", central + by, data)

save("deflated", plain)
save("stored", pack(files, zipfile.ZIP_STORED))
save("fast", pack(files, level=1))
save("reversed", pack(files[::-1]))
save("comment", pack(files, comment=b"made by hand"))
save("comment-with-signature", pack(files, comment=b"x" + b"PK\5\6" + b"\0" * 18))
save("streamed", pack(files, out=Stream()))
save("extra", pack(files, change=extra))
save("bzip2", pack(files, zipfile.ZIP_BZIP2))
save("lzma", pack(files, zipfile.ZIP_LZMA))
save("symlink", pack(files, change=attribute(0o120777)))
save("device", pack(files, change=attribute(0o020666)))
save("executable", pack(files, change=attribute(0o755)))
save("directories", pack([("pages/", b"")] + files))
save("empty-file", pack(files + [("empty.txt", b"")]))
save("large-file", pack(files + [("zeros.bin", b"\0" * 3000000)]))
save("utf8", pack(files + [("assets/\u043f\u043e\u0433\u043e\u0434\u0430.txt", b"weather")]))
save("long-name", pack(files + [("n" * 300 + ".txt", b"x")]))
for number, name in enumerate(["../up.txt", "/abs.txt", "a/../b.txt", "./dot.txt", "a//b.txt", "back\\slash.txt", "nul\0.txt",
                               "C:/drive.txt", "line\nfeed.txt", "", ".", "a/.", "trailing./x", "con"]):
    try:
        save(f"name-{number}", pack(files + [(name, b"x")]))
    except Exception:
        pass
import warnings
warnings.simplefilter("ignore")
save("duplicate", pack(files + [files[0]]))
save("file-and-directory", pack(files + [("app.js/inside.txt", b"x")]))
save("case", pack(files + [("APP.JS", b"other")]))
save("no-manifest", pack([f for f in files if f[0] != "manifest.json"]))
save("empty-zip", pack([]))
save("prefix", b"#!/bin/sh\n" + plain)
save("suffix", plain + b"more")
save("gap", moved(7, b"\0" * 7))
save("hidden-entry", moved(len(plain[:central]), plain[:central]))
save("truncated", plain[:-30])
save("no-directory", plain[:central])
save("count", patched(eocd + 10, "<H", len(files) + 1))
save("count-both", patched(eocd + 10, "<H", len(files) - 1, patched(eocd + 8, "<H", len(files) - 1)))
save("disk", patched(eocd + 4, "<H", 1))
save("directory-offset", patched(eocd + 16, "<I", central - 1))
save("directory-length", patched(eocd + 12, "<I", eocd - central - 1))
save("local-name", plain.replace(files[0][0].encode(), files[0][0].upper().encode(), 1))
save("local-crc", patched(14, "<I", 1))
save("central-crc", patched(central + 16, "<I", 1))
save("central-length", patched(central + 24, "<I", len(files[0][1]) + 1))
save("local-length", patched(22, "<I", len(files[0][1]) + 1))
save("encrypted", patched(central + 8, "<H", 1, patched(6, "<H", 1)))
save("version", patched(central + 6, "<H", 99))
save("data-bit", patched(60, "<B", plain[60] ^ 1))
PYTHON
python3 shapes.py "$RB_TREE/tests/data/rpk/clock-1.1.0-unsigned.rpk"

cat >oracle.py <<'PYTHON'
"""oracle.py FILE DIRECTORY: DIRECTORY must hold the files of the zip, as zipfile reads them, and nothing else."""
import os, sys, zipfile

try:
    with zipfile.ZipFile(sys.argv[1]) as z:
        if z.testzip():
            raise ValueError("a checksum is wrong")
        want = {}
        for i in z.infolist():
            if not i.is_dir():
                if i.filename in want:
                    raise ValueError("twice")
                want[i.filename] = z.read(i)
except Exception as why:
    sys.exit(f"zipfile: {type(why).__name__}: {why}")
top, have = sys.argv[2], {}
for directory, _, names in os.walk(top):
    for name in names:
        path = os.path.join(directory, name)
        have[os.path.relpath(path, top)] = open(path, "rb").read()
if have != want:
    sys.exit(f"differ: {sorted(set(have) ^ set(want)) or 'contents'}")
PYTHON

mkdir -p device/etc/riverbank
echo '{ "hardware": "h", "device_type": "watch" }' >device/etc/riverbank/settings.json
signed=0 refused=0
for shape in shapes/*.rpk; do
    name=$(basename "$shape" .rpk)
    status=0
    otaforge rpk sign "$shape" --key key.pem --cert certificate.pem -o out.rpk >log 2>&1 || status=$?
    if [ $status != 0 ]; then
        [ $status = 1 ] || { echo "$name: sign ended with $status: $(cat log)" && exit 1; }
        # One clear line, and nothing made.
        [ "$(wc -l <log)" = 1 ] && [ ! -e out.rpk ] || { echo "$name: $(cat log)" && exit 1; }
        refused=$((refused + 1)) && echo "refused $name: $(cat log)"
        continue
    fi
    signed=$((signed + 1)) && echo "signed  $name"
    rpk install --root device --quiet ./out.rpk >log 2>&1 || { echo "$name: signed, but: $(cat log)" && exit 1; }
    python3 oracle.py out.rpk "$(readlink -f device/var/lib/riverbank/apps/current/org.riverbank.clock)" ||
        { echo "$name: the device installed something else than zipfile reads" && exit 1; }
    rpk remove --root device --quiet org.riverbank.clock >/dev/null
    rm out.rpk
done
[ $signed -ge 10 ]
[ $refused -ge 25 ]
echo "note: $signed shapes signed and installed alike, $refused refused"
