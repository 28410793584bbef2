# SPDX-License-Identifier: Apache-2.0
# --json: exactly one JSON document, whatever the verb.
keys() { python3 -c 'import json, sys; d = json.load(sys.stdin); print(sorted(d) if isinstance(d, dict) else d)'; }
otaforge repo init repo --json | keys
otaforge key new repo/keys/image.pem --json | keys
otaforge key new --type rsa2048 --cert c.pem k.pem --json | keys
otaforge key show repo/keys/image.pem --json | keys
seq 1000 >body
otaforge image build --body body --version 1 --hardware b --key repo/keys/image.pem -o 1.img >out
otaforge release create repo --image 1.img --json | keys
otaforge repo refresh repo --json | keys
otaforge repo status repo --json | keys
otaforge publish repo web --json | keys
otaforge release create repo --image body --json | keys
otaforge manifest check release --json "$RB_TREE/manifests/examples/release/valid/full.json" body |
    sed "s#$RB_TREE#TREE#" | keys
otaforge serve web --listen 127.0.0.1:0 --json >out &
server=$!
for _ in $(seq 100); do
    grep -q '}' out && break
    sleep 0.05
done
keys <out
kill $server
wait $server
