# SPDX-License-Identifier: Apache-2.0
# BUILD-07: an index with 100 000 packages. The device takes an index up to its limit (4 MiB) in bounded time and
# memory and installs from it; a larger one is refused by the length its parent names, before it is fetched.
measure=${RB_BIN%/bin}/test-bin/measure
otaforge repo init repo --quiet
otaforge key new repo/keys/image.pem >/dev/null
head -c 5000 "$RB_TREE/LICENSE" >body
otaforge image build --body body --version 1 --hardware h --key repo/keys/image.pem -o v1.img
otaforge release create repo --image v1.img --rpk "$RB_TREE/tests/data/rpk/clock-1.0.0.rpk" --quiet >/dev/null

otaforge serve repo --listen 127.0.0.1:0 >out &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
for _ in $(seq 100); do
    grep -q serving out && break
    sleep 0.05
done
echo "{ \"hardware\": \"h\", \"device_type\": \"watch\", \"repository_url\": \"$(sed -n 's/^serving repo at //p' out)\" }" \
    >settings.json

cat >grow.py <<'PYTHON'
"""grow.py PACKAGES: a new version of the repository's metadata that names so many packages, signed with its keys."""
import hashlib, json, os, subprocess, sys

def read(name):
    with open("repo/metadata/" + name) as file:
        return json.load(file)

def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

def write(role, document, name):
    signed = canonical(document["signed"])
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", f"repo/keys/{role}.pem"], input=signed, check=True,
                               stdout=subprocess.PIPE).stdout
    document["signatures"] = [{"keyid": document["signatures"][0]["keyid"], "sig": signature.hex()}]
    data = canonical(document)
    with open("repo/metadata/" + name, "wb") as file:
        file.write(data)
    return {"version": document["signed"]["version"], "length": len(data),
            "hashes": {"sha256": hashlib.sha256(data).hexdigest()}}

timestamp = read("timestamp.json")
version = timestamp["signed"]["meta"]["snapshot.json"]["version"]
snapshot = read(f"{version}.snapshot.json")
targets = read(f"{snapshot['signed']['meta']['targets.json']['version']}.targets.json")
entry = next(v for k, v in targets["signed"]["targets"].items() if k.startswith("packages/org.riverbank.clock"))
for n in range(int(sys.argv[1])):
    copy = json.loads(json.dumps(entry))
    copy["custom"]["package"] = f"org.example.p{n:06}"
    targets["signed"]["targets"][f"packages/org.example.p{n:06}-1.rpk"] = copy
for document in targets, snapshot, timestamp:
    document["signed"]["version"] += 1
snapshot["signed"]["meta"]["targets.json"] = write("targets", targets, f"{targets['signed']['version']}.targets.json")
timestamp["signed"]["meta"]["snapshot.json"] = write("snapshot", snapshot, f"{snapshot['signed']['version']}.snapshot.json")
write("timestamp", timestamp, "timestamp.json")
print(snapshot["signed"]["meta"]["targets.json"]["length"])
PYTHON
number() { sed -n "s/.*\"$2\": \([0-9]*\).*/\1/p" "$1"; }

ota provision --root device --settings settings.json --image v1.img --trust repo/metadata/1.root.json \
    --image-key repo/keys/image.pem >/dev/null
len=$(python3 grow.py 12000)
[ "$len" -gt 3500000 ]
[ "$len" -le 4194304 ]
"$measure" took rpk install --root device --quiet org.riverbank.clock >/dev/null
[ "$(rpk list --root device --json | grep -c '"package"')" = 1 ]
echo "note: index of $len bytes: $(cat took)"
[ "$(number took peak_anonymous_kib)" -lt 65536 ]
[ "$(number took seconds)" -lt 20 ]

len=$(python3 grow.py 100000)
[ "$len" -gt 30000000 ]
status=0
"$measure" took rpk install --root device --quiet org.riverbank.weather >/dev/null 2>log || status=$?
cat log
[ $status = 1 ]
grep -q 'larger than the limit' log
[ "$(wc -l <log)" = 1 ]
echo "note: index of $len bytes: $(cat took)"
[ "$(number took peak_anonymous_kib)" -lt 65536 ]
# What it had is still there and still trusted.
rpk list --root device | grep -q org.riverbank.clock
