# SPDX-License-Identifier: Apache-2.0
#
# FAULT-02, FAULT-03, FAULT-04, FAULT-05: one system call of rpk fails, each in turn. Either rpk says so and the old set is
# installed, or the new set is; in both cases the device is in order after the next command, and the same command
# succeeds. A call that a directory's sync follows the switch may leave the new set with an error: it says so.
# shellcheck source=tests/support/packages.sh
. "$RB_TREE/tests/support/packages.sh"
in_memory
stride=23
[ -z "${RB_FULL:-}" ] || stride=1
runs=0
refused=0

sweep() { # sweep ERROR COMMAND...
    local error=$1 k status total
    shift
    packages base >old.list
    rm -rf dev kept
    mkdir kept
    cp -a base dev
    "$killat" 0 -- "$@" >whole.out 2>&1
    total=$(sed -n 's/^killat: calls=//p' whole.out)
    packages dev >new.list
    for ((k = 1 + RANDOM % stride; k <= total; k += stride)); do
        rm -rf dev
        cp -a base dev
        "$killat" "$k" "$error" -- "$@" >run.out 2>&1 && status=0 || status=$?
        case $status in
        0 | 1 | 3 | 124) ;; # 124: an early error means fewer calls than N only when nothing was injected
        *) die "$error at call $k: exit $status: $(cat run.out)" ;;
        esac
        [ "$status" = 0 ] || refused=$((refused + 1))
        packages dev >got || die "$error at call $k: rpk list fails"
        if cmp -s got old.list; then
            [ "$status" != 0 ] || die "$error at call $k: said done, but the old set is installed"
        else
            cmp -s got new.list || die "$error at call $k: neither old nor new: $(cat got)"
            [ "$status" = 0 ] || grep -q "the new set is live" run.out || die "$error at call $k: $(cat run.out)"
        fi
        [ "$status" = 0 ] || grep -q "^rpk: " run.out || die "$error at call $k: exit $status without a message"
        "$@" >retry.out 2>&1 || die "$error at call $k: retry: $(cat retry.out)"
        packages dev >got
        cmp got new.list || die "$error at call $k: retry does not lead to the new set"
        cp -a dev "kept/$k"
        runs=$((runs + 1))
    done
    agree kept/* || die "$error: a device is not in order"
}

RANDOM=7 # the same calls in every run
device base
rpk install --root base "$samples/clock-1.0.0.rpk" >setup.out
for error in ENOSPC EIO EROFS EMFILE; do
    sweep $error rpk install --root dev "$samples/clock-1.1.0.rpk" "$samples/weather-1.0.0.rpk"
done
[ $refused -gt 10 ] || die "only $refused of $runs runs met an error"
echo "note: $runs calls failed, $refused runs refused"
