# SPDX-License-Identifier: Apache-2.0
# BUILD-03: otaforge killed at a system call of a release, a publication, a new repository. After each kill a client
# sees the old repository or the new one, whole, and the next run completes it. Every second rename by default; with
# RB_FULL=1 every call that changes something.
export SOURCE_DATE_EPOCH=1800000000
calls="rename"
step=2
[ -n "${RB_FULL:-}" ] && calls="rename fsync write unlink mkdir" && step=1
package=$RB_TREE/tests/data/rpk/clock-1.0.0.rpk

die() { echo "$*" && exit 1; }
sees() { python3 "$RB_TREE/tests/reference/metadata.py" "$1" --now 2027-01-15T08:00:00Z; }
release() { otaforge release create repo --image 2.img --rpk "$package" --quiet; }

# killed CALL N COMMAND...: run it and die as the Nth CALL is entered. Succeeds when there are not so many.
killed() {
    local call=$1 n=$2
    shift 2
    { strace -f -qq -o trace -e trace="$call" -e inject="$call:signal=KILL:when=$n" "$@"; } >out 2>&1
}

# sweep NAME PREPARE CHECK COMMAND...: kill COMMAND everywhere; PREPARE before and CHECK after each time.
sweep() {
    local name=$1 prepare=$2 check=$3 count=0 n call
    shift 3
    for call in $calls; do
        n=1
        while $prepare && ! killed "$call" $n "$@" 2>/dev/null; do
            where="$name, $call $n"
            $check
            n=$((n + step))
            count=$((count + 1))
        done
    done
    echo "note: $name: killed $count times"
    [ $count -ge 3 ] || die "$name: hardly ever killed"
}

old_or_new() { # old_or_new REPO
    sees "$1" >now || die "$where: $(tail -n 1 now)"
    cmp -s now old || cmp -s now new || die "$where: neither old nor new"
}

otaforge repo init start --quiet
otaforge key new start/keys/image.pem >out
for v in 1 2; do
    { seq 3000 && echo "version $v"; } >body
    otaforge image build --body body --version $v.0.0 --hardware demo-board --key start/keys/image.pem -o $v.img >out
done
otaforge release create start --image 1.img --quiet >out
cp -a start repo && release >out
sees start >old
sees repo >new
cmp -s old new && die "the release changes nothing"
mv repo complete

fresh_copy() { rm -rf repo && cp -a start repo; }
check_release() {
    old_or_new repo
    otaforge repo status repo >out || die "$where: $(cat out)"
    release >out || die "$where: the next run failed: $(cat out)"
    sees repo | cmp - new || die "$where: not completed"
    [ ! -e repo/staged ] || die "$where: staged files stay"
}
sweep release fresh_copy check_release otaforge release create repo --image 2.img --rpk "$package" --quiet

otaforge publish start web-old >out
fresh_web() { rm -rf web && cp -a web-old web; }
check_publish() {
    old_or_new web
    otaforge publish complete web >out
    sees web | cmp - new || die "$where: not completed"
}
sweep publish fresh_web check_publish otaforge publish complete web

no_repository() { rm -rf fresh fresh.new*; }
check_init() { [ ! -e fresh ] || sees fresh >now || die "$where: $(tail -n 1 now)"; }
sweep init no_repository check_init otaforge repo init fresh --quiet
sees fresh >now
