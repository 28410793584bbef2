# SPDX-License-Identifier: Apache-2.0
# The static server: what it shows, ranges, tags, and what it does not show.
export SOURCE_DATE_EPOCH=1800000000
otaforge repo init repo --quiet
printf '0123456789abcdef' >repo/targets/file.bin
ln -s ../keys/root1.pem repo/targets/link
mkdir repo/targets/dir
ln -s ../keys repo/metadata/keys
mkfifo repo/targets/fifo

otaforge serve repo --listen 127.0.0.1:0 --log >out 2>log &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
for _ in $(seq 100); do
    grep -q serving out && break
    sleep 0.05
done
url=$(sed -n 's/^serving repo at //p' out)
sed -E 's#:[0-9]+/#:PORT/#' out

get() { # get ARGUMENTS... PATH: status, headers that matter, body
    local path=${*: -1}
    echo "> ${*}"
    curl -sS -i --path-as-is "${@:1:$#-1}" "$url$path" | tr -d '\r' |
        grep -aiE '^(HTTP|content-(length|range|type)|accept-ranges|allow|cache-control)|^[0-9a-f]+$|^not|^only' || true
}
get targets/file.bin
get -r 4-7 targets/file.bin
get -r 4- targets/file.bin
get -r -3 targets/file.bin
get -r 16- targets/file.bin
get -r 0-1,4-5 targets/file.bin
get -r 5-4 targets/file.bin
curl -sSI "${url}targets/file.bin" | tr -d '\r' | grep -iE '^(HTTP|content-length)'

tag=$(curl -sSI "${url}targets/file.bin" | tr -d '\r' | sed -n 's/^ETag: //p')
get -H "If-Range: $tag" -r 4-7 targets/file.bin | tail -n +2
get -H 'If-Range: "other"' -r 4-7 targets/file.bin
curl -sS -o /dev/null -w '%{http_code} %{size_download}\n' -H "If-None-Match: $tag" "${url}targets/file.bin"
printf '0123456789abcdeX' >new && mv new repo/targets/file.bin
curl -sS -o /dev/null -w '%{http_code} %{size_download}\n' -H "If-None-Match: $tag" "${url}targets/file.bin"

echo "# not shown"
for path in "" keys/root1.pem repository.json metadata metadata/ metadata/none.json metadata/../keys/root1.pem \
    metadata/..%2fkeys/root1.pem targets/../../secret targets/link targets/dir targets/fifo metadata/keys/root1.pem \
    //etc/passwd targets//file.bin ./targets/file.bin targets/file.bin%00.x targets/%2e%2e/keys/root1.pem images/x; do
    curl -sS --path-as-is -o body -w "%{http_code} /$path\n" "$url$path"
    grep -a PRIVATE body || true
done
curl -sS -X POST -d data -o /dev/null -w '%{http_code} POST\n' "${url}targets/file.bin"
curl -sS -X DELETE -o /dev/null -w '%{http_code} DELETE\n' "${url}targets/file.bin"
head -c 100000 /dev/zero | tr '\0' a >long
curl -sS -o /dev/null -w '%{http_code} long name\n' "${url}targets/$(head -c 3000 long)"

kill -TERM $server
wait $server && echo "ended with 0"
head -n 2 log

echo "# refused"
otaforge serve none || echo "exit $?"
otaforge serve repo --listen 127.0.0.1 || echo "exit $?"
otaforge serve repo --listen localhost:0 || echo "exit $?"
otaforge serve repo --listen 127.0.0.1:99999 || echo "exit $?"
otaforge serve repo --listen 192.0.2.1:0 || echo "exit $?"
