# SPDX-License-Identifier: Apache-2.0
#
# Sourced by tests of the agent: a repository, a server, images, devices that are directories. Works in the current
# directory. Each helper ends the test with a message when it cannot do its part.
export app=$RB_BIN/../app
export killat=$RB_BIN/../test-bin/killat

servers=
# shellcheck disable=SC2154 # pid is the loop's
trap 'for pid in $servers; do kill "$pid" 2>/dev/null || true; done' EXIT

die() {
    echo "FAILED: $*" >&2
    exit 1
}

# repo [OPTION...]: make a repository and an image key.
repo() {
    otaforge repo init repo "$@" >/dev/null
    otaforge key new repo/keys/image.pem >/dev/null
}

# image VERSION BODY [OPTION...]: make VERSION.img for the board "demo-board".
image() {
    local version=$1 body=$2
    shift 2
    # shellcheck disable=SC2046 # two words or none
    otaforge image build --body "$body" --version "$version" --key repo/keys/image.pem -o "$version.img" \
        $(case " $* " in *" --hardware "*) ;; *) echo --hardware demo-board ;; esac) "$@" >/dev/null
}

# release VERSION...: one release after the other.
release() {
    local version
    for version in "$@"; do
        otaforge release create repo --image "$version.img" --quiet --effort 1 >/dev/null
    done
}

# serve DIR: sets url; the server lives as long as the test.
serve() {
    otaforge serve "$1" --listen 127.0.0.1:0 >serve.out 2>&1 &
    server=$!
    servers="$servers $server"
    for _ in $(seq 100); do
        url=$(grep -o 'http://[0-9.]*:[0-9]*' serve.out || true)
        [ -z "$url" ] || return 0
        sleep 0.05
    done
    die "no server: $(cat serve.out)"
}

# faults [ARGUMENT...]: start the fault server on the repository; sets url.
faults() {
    python3 "$RB_TREE/tests/support/faultserver.py" "$@" >faults.out 2>faults.err &
    server=$!
    servers="$servers $server"
    for _ in $(seq 100); do
        url=$(grep -o 'http://[0-9.]*:[0-9]*' faults.out || true)
        [ -z "$url" ] || return 0
        sleep 0.05
    done
    die "no fault server: $(cat faults.err)"
}

# settings [JSON MEMBERS]: settings.json for `url`.
settings() {
    printf '{"hardware": "demo-board", "repository_url": "%s/"%s}\n' "$url" "${1:+, $1}" >settings.json
}

# device NAME VERSION [OPTION...]: provision a device with an image.
device() {
    local name=$1 version=$2
    shift 2
    ota provision --settings settings.json --image "$version.img" --root "$name" --trust repo/metadata/1.root.json \
        --image-key repo/keys/image.pem "$@" >/dev/null
}

# point NAME: let a device use another `url`.
point() {
    sed -i "s#http://[0-9.]*:[0-9]*#$url#" "$1/etc/riverbank/settings.json"
}

flash() {
    echo "$1/var/lib/riverbank/flash.img"
}

# boot NAME: one boot; prints nothing. Its exit code says whether a slot was started.
boot() {
    riverboot-sim --flash "$(flash "$1")" >boot.out 2>&1
}

# boots NAME: the version that a boot would start, found out on a copy so that no try is counted.
boots() {
    cp "$(flash "$1")" probe.img
    riverboot-sim --flash probe.img --no-run >probe.out 2>&1 || { cat probe.out >&2; return 1; }
    sed -n 's/.*"version": "\([^"]*\)".*/\1/p' probe.img.boot
}

# field NAME FILE: a number or string of a JSON document, the first of that name.
field() {
    sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" "$2" | head -n 1
}

# expect CODE TEXT COMMAND...: the command ends with CODE, and its output has TEXT in exactly one line of stderr.
expect() {
    local code=$1 text=$2 got=0
    shift 2
    "$@" >out.txt 2>err.txt || got=$?
    [ "$got" = "$code" ] || die "'$*' ended with $got, not $code: $(cat out.txt err.txt)"
    [ -z "$text" ] || [ "$(cat out.txt err.txt | grep -c -- "$text")" = 1 ] ||
        die "'$*' does not say '$text' once: $(cat out.txt err.txt)"
}

# state NAME: everything of a device that must stay as it is when an update is refused: both slots, the journal.
state() {
    sha256sum "$(flash "$1")" | cut -d ' ' -f 1
}

# random BYTES SEED: repeatable bytes that cannot be compressed.
random() {
    openssl enc -aes-128-ctr -K "$(printf '%032x' "$2")" -iv 0 -in /dev/zero 2>/dev/null | head -c "$1"
}
