# SPDX-License-Identifier: Apache-2.0
# FAULT-02, FAULT-09: `ota update` ends at any system call, by SIGKILL or a full disk, or the power goes in any flash
# operation, torn in any way. Afterwards the device still boots, and the next `ota update` brings the new version,
# fetching at most 64 KiB twice. A sample by default, everything with RB_FULL=1.
. "$RB_TREE/tests/support/agent.sh"

repo
random 300000 1 >body1
random 420000 2 >body2
# Half of the new body is old, so the delta has both copies and new bytes.
head -c 200000 body1 | dd of=body2 bs=1000 seek=100 conv=notrunc status=none
image 1.0.0 body1 --security-counter 1
image 2.0.0 body2 --security-counter 1
release 1.0.0 2.0.0
serve repo
settings
device full0 2.0.0 --sector-size 16384
device pristine 1.0.0 --sector-size 16384
# A device whose version has no delta takes the full payload.
random 50000 3 >body0
image 0.9.0 body0 --security-counter 1
device other 0.9.0 --sector-size 262144 --slot-size 768K
metadata=12000 # bytes of metadata a run fetches, at most

spool_end() { # where in the payload file the bytes on disk end; segments of these payloads have 64 KiB
    local header file
    header=$(find "$1/var/lib/riverbank/spool" -name '*.header' -printf '%s\n')
    file=$(find "$1/var/lib/riverbank/spool" -name '*.[0-9]*' -printf '%f %s\n' | sort -V | tail -n 1)
    [ -n "$file" ] || { echo "${header:-0}"; return; }
    set -- ${file##*.}
    echo $((${header:-0} + $1 * 65536 + $2))
}

# check NAME LABEL PAYLOAD_LENGTH OLD: what must hold after a cut.
check() {
    local name=$1 label=$2 length=$3 old=$4 version kept received
    version=$(boots "$name") || die "$label: does not boot"
    [ "$version" = "$old" ] || [ "$version" = 2.0.0 ] || die "$label: boots $version"
    kept=$(spool_end "$name")
    ota update --root "$name" --json >update.json 2>update.err || die "$label: the retry fails: $(cat update.err)"
    [ "$(field result update.json)" = armed ] || die "$label: the retry says $(field result update.json)"
    if [ "$version" = "$old" ]; then
        received=$(field received update.json)
        # What the killed run had received stands in the spool but for what libcurl held, at most 16 KiB.
        [ "$received" -le $((length - kept + 65536 - 16384 + metadata)) ] ||
            die "$label: $received bytes fetched by the retry, $kept were here"
        [ "$(field refetched update.json)" -le 65536 ] || die "$label: $(field refetched update.json) fetched twice"
    fi
    version=$(boots "$name") || die "$label: does not boot after the retry"
    [ "$version" = 2.0.0 ] || die "$label: boots $version after the retry"
}

# sample COUNT WANTED: numbers from 1 to COUNT, all with RB_FULL=1, else about WANTED of them.
sample() {
    local step=$(($1 / $2))
    [ -z "${RB_FULL:-}" ] && [ "$step" -gt 1 ] || step=1
    seq $((1 + (step > 1 ? ${RB_SEED:-3} % step : 0))) "$step" "$1"
}

for base in pristine other; do
    old=$([ $base = pristine ] && echo 1.0.0 || echo 0.9.0)
    rm -rf d && cp -a $base d
    ota update --root d --json >whole.json 2>whole.err || die "$base: $(cat whole.err)"
    length=$(field payload_length whole.json)
    operations=$(field flash_operations whole.json)

    rm -rf d && cp -a $base d
    "$killat" 0 -- ota update --root d --quiet >calls.out 2>&1 || die "$base: $(cat calls.out)"
    calls=$(sed -n 's/^killat: calls=//p' calls.out)
    for n in $(sample "$calls" 8); do
        for how in kill ENOSPC; do
            [ $how = kill ] || [ -n "${RB_FULL:-}" ] || [ $((n % 3)) = 0 ] || continue
            rm -rf d && cp -a $base d
            got=0
            "$killat" "$n" $how -- ota update --root d --quiet >killed.out 2>&1 || got=$?
            case $how:$got in
            kill:137 | kill:124 | ENOSPC:[0-3] | ENOSPC:124) ;;
            *) die "$base call $n $how: exit $got: $(cat killed.out)" ;;
            esac
            check d "$base call $n $how" "$length" $old
        done
    done

    tears="before first-byte half second-half almost random marginal after"
    round=0
    for op in $(sample "$operations" 9); do
        for tear in $tears; do
            round=$((round + 1))
            [ -n "${RB_FULL:-}" ] || [ $((round % 7)) = 0 ] || continue
            rm -rf d && cp -a $base d
            got=0
            ota update --root d --quiet --cut-at-op "$op" --tear $tear --seed $round >cut.out 2>&1 || got=$?
            [ $got = 3 ] || die "$base operation $op $tear: exit $got: $(cat cut.out)"
            grep -q "power cut in flash operation $op" cut.out || die "$base operation $op: $(cat cut.out)"
            check d "$base operation $op $tear" "$length" $old
        done
    done
    echo "note: $base: $calls system calls, $operations flash operations, payload of $length bytes"
done
