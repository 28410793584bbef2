# SPDX-License-Identifier: Apache-2.0
# The agent on an image that cannot be compressed: what it fetches, how long it computes, how much memory it needs.
measure=$RB_BIN/../test-bin/measure
mib=${BENCH_MIB:-64}

otaforge repo init repo >/dev/null
otaforge key new repo/keys/image.pem >/dev/null
head -c $((mib << 20)) /dev/urandom >body1
cp body1 body2
for i in $(seq 200); do # 100 KB of changes, spread over the image
    head -c 500 /dev/urandom | dd of=body2 bs=1 seek=$((i * mib * 5200)) conv=notrunc status=none
done
head -c 65536 /dev/urandom >body0
for v in 0 1 2; do
    otaforge image build --body body$v --version $v.0.0 --hardware bench --security-counter 1 \
        --key repo/keys/image.pem -o v$v.img >/dev/null
done
otaforge release create repo --image v1.img --quiet --effort 1 >/dev/null
otaforge release create repo --image v2.img --quiet --effort 1 >/dev/null
otaforge serve repo --listen 127.0.0.1:0 >serve.out 2>&1 &
server=$!
trap 'kill $server' EXIT
until grep -qs http serve.out; do sleep 0.1; done
url=$(grep -o 'http://[0-9.:]*' serve.out)
printf '{"hardware": "bench", "repository_url": "%s/"}' "$url" >settings.json

field() { # field NAME FILE
    grep -o "\"$1\": *[0-9.]*" "$2" | head -n 1 | sed 's/.*: *//'
}
printf '%-22s %14s %8s %8s %10s %14s\n' "ota update, $mib MiB" "fetched bytes" "CPU s" "wall s" "RSS KiB" "anonymous KiB"
for v in 0 1; do
    root=device$v
    ota provision --settings settings.json --image v$v.img --slot-size $((mib + 8))M --root $root \
        --trust repo/metadata/1.root.json --image-key repo/keys/image.pem >/dev/null
    "$measure" m.json ota update --root $root --json >update.json
    cpu=$(awk "BEGIN { printf \"%.2f\", $(field user_s m.json) + $(field system_s m.json) }")
    name=$([ $v = 0 ] && echo "full image" || echo "delta")
    printf '%-22s %14s %8s %8s %10s %14s\n' "$name" "$(field fetched update.json)" "$cpu" "$(field seconds m.json)" \
        "$(field peak_rss_kib m.json)" "$(field peak_anonymous_kib m.json)"
    if [ "$(field peak_anonymous_kib m.json)" -gt 4096 ]; then
        echo "more than 4 MiB of anonymous memory" >&2
        exit 1
    fi
done
ota provision --settings settings.json --image v2.img --slot-size $((mib + 8))M --root device2 \
    --trust repo/metadata/1.root.json --image-key repo/keys/image.pem >/dev/null
"$measure" m.json ota check --root device2 >/dev/null
printf '%-22s %14s %8s %8s %10s %14s\n' "ota check" "" "$(field user_s m.json)" "$(field seconds m.json)" \
    "$(field peak_rss_kib m.json)" "$(field peak_anonymous_kib m.json)"
echo "To hold: at most 4096 KiB of anonymous memory at any image size."
