# SPDX-License-Identifier: Apache-2.0
# BUILD-03: `otaforge publish` killed before each of its system calls that change something. What devices see is the
# old or the new release, whole: every file that signed metadata names is there and has the length and hash it says.
killat=${RB_BIN%/bin}/test-bin/killat
otaforge repo init repo --quiet
otaforge key new repo/keys/image.pem >/dev/null
for version in 1 2; do
    head -c 20000 "$RB_APP/app-$version.0.0.bin" >body
    otaforge image build --body body --version $version.0.0 --hardware h --key repo/keys/image.pem -o v$version.img
done
otaforge release create repo --image v1.img --quiet >/dev/null
otaforge publish repo before >/dev/null
otaforge release create repo --image v2.img --rpk "$RB_TREE/tests/data/rpk/clock-1.0.0.rpk" --quiet >/dev/null

cat >seen.py <<'PYTHON'
"""Follow a served repository as a client does; print the targets version, or what is wrong."""
import hashlib, json, os, sys

top = sys.argv[1]

def read(name, facts=None):
    with open(os.path.join(top, "metadata", name), "rb") as file:
        data = file.read()
    if facts and (len(data) != facts.get("length", len(data))
                  or hashlib.sha256(data).hexdigest() != facts.get("hashes", {}).get("sha256", hashlib.sha256(data).hexdigest())):
        sys.exit(f"{name} is not what its parent says")
    return json.loads(data)["signed"]

snapshot = read("timestamp.json")["meta"]["snapshot.json"]
targets = read(f"{snapshot['version']}.snapshot.json", snapshot)["meta"]["targets.json"]
signed = read(f"{targets['version']}.targets.json", targets)
for name, facts in signed["targets"].items():
    folder, base = os.path.split(name)
    path = os.path.join(top, "targets", folder, f"{facts['hashes']['sha256']}.{base}")
    with open(path, "rb") as file:
        data = file.read()
    if len(data) != facts["length"] or hashlib.sha256(data).hexdigest() != facts["hashes"]["sha256"]:
        sys.exit(f"{name} has another length or hash")
print(signed["version"])
PYTHON

old=$(python3 seen.py before)
cp -a before after
calls=$("$killat" 0 -- otaforge publish repo after 2>&1 | sed -n 's/^killat: calls=//p')
new=$(python3 seen.py after)
[ "$new" -gt "$old" ]
[ "$calls" -gt 10 ]

olds=0 news=0
for n in $(seq 1 "$calls"); do
    rm -rf served
    cp -a before served
    status=0
    "$killat" "$n" -- otaforge publish repo served >/dev/null 2>&1 || status=$?
    [ $status = 137 ] || { echo "call $n: status $status" && exit 1; }
    seen=$(python3 seen.py served 2>&1) || { echo "killed at call $n: $seen" && exit 1; }
    if [ "$seen" = "$old" ]; then
        olds=$((olds + 1))
    elif [ "$seen" = "$new" ]; then
        news=$((news + 1))
    else
        echo "killed at call $n: targets version $seen" && exit 1
    fi
    # Publishing again finishes it.
    if [ $((n % 8)) = 0 ]; then
        otaforge publish repo served >/dev/null
        [ "$(python3 seen.py served)" = "$new" ]
    fi
done
[ $olds -gt 0 ]
echo "note: $calls kill points, $olds old, $news new"
