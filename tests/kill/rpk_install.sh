# SPDX-License-Identifier: Apache-2.0
#
# rpk killed at a system call: afterwards the old set or the new one is installed, everything on the device agrees with
# it, and the same command succeeds. Killed once more while it recovers, too. By default a sample of all calls and every
# call around the commit point; RB_FULL=1 takes all of them.
# shellcheck source=tests/support/packages.sh
. "$RB_TREE/tests/support/packages.sh"
in_memory

runs=0

# The checker looks at all devices of a sweep at once: starting it for each would take most of the time.
keep() { # keep NAME: put the device aside for the checker
    cp -a dev "kept/$1"
}

check_kept() {
    agree kept/* || die "$scenario: a device that was killed, and recovered, is not in order"
    rm -rf kept
}

outcome() { # outcome K COMMAND...: run with a kill at call K on a fresh copy; sets $state to old or new
    local k=$1 status
    shift
    rm -rf dev
    cp -a base dev
    "$killat" "$k" -- "$@" >killed.out 2>&1 && status=0 || status=$?
    [ $status = 137 ] || die "$scenario: call $k: killat ended with $status: $(cat killed.out)"
    if [ $((k % 3)) = 0 ]; then # and again, early or late in the recovery
        "$killat" $((k % 11 + 1)) -- rpk list --root dev >again.out 2>&1 || true
    fi
    packages dev >got || die "$scenario: call $k: rpk list fails"
    if cmp -s got old.list; then
        state=old
    elif cmp -s got new.list; then
        state=new
    else
        die "$scenario: call $k: neither old nor new: $(cat got)"
    fi
    keep "$k-$state"
    runs=$((runs + 1))
}

retry() { # retry K COMMAND...: the command now succeeds
    "${@:2}" >retry.out 2>&1 || grep -q "is not installed" retry.out || die "$scenario: call $1: retry: $(cat retry.out)"
    packages dev >got
    cmp got new.list || die "$scenario: call $1: retry does not lead to the new set"
    keep "$1-retried"
}

sweep() { # sweep NAME STRIDE COMMAND...: base/ is the state before
    scenario=$1
    local stride=$2 total k low high first_new
    shift 2
    packages base >old.list
    rm -rf dev kept
    mkdir kept
    cp -a base dev
    "$killat" 0 -- "$@" >whole.out 2>&1 || die "$scenario: $(cat whole.out)"
    total=$(sed -n 's/^killat: calls=//p' whole.out)
    packages dev >new.list
    keep "not-killed"
    ! cmp -s old.list new.list || die "$scenario: nothing changed"
    [ -z "${RB_FULL:-}" ] || stride=1

    # The commit point: the last call whose kill leaves the old set.
    low=0
    high=$((total + 1))
    while [ $((high - low)) -gt 1 ]; do
        k=$(((low + high) / 2))
        [ $k -le "$total" ] || break
        outcome $k "$@"
        if [ $state = old ]; then low=$k; else high=$k; fi
    done
    first_new=$high
    for ((k = 1; k <= total; k++)); do
        if [ $((k % stride)) = 0 ] || [ $k = 1 ] || [ $k = "$total" ] || { [ $k -gt $((first_new - 6)) ] && [ $k -lt $((first_new + 6)) ]; }; then
            outcome $k "$@" # a call tried in the search before is tried again: the copy is fresh
            if [ $k -lt "$first_new" ]; then
                [ $state = old ] || die "$scenario: call $k: new before the commit point $first_new"
            else
                [ $state = new ] || die "$scenario: call $k: old after the commit point $first_new"
            fi
            retry $k "$@"
        fi
    done
    check_kept
    echo "note: $scenario: $total calls, commit at $first_new"
}

device base
sweep "install two" 16 rpk install --root dev "$samples/clock-1.0.0.rpk" "$samples/weather-1.0.0.rpk"

rpk install --root base "$samples/clock-1.0.0.rpk" "$samples/weather-1.0.0.rpk" >setup.out
sweep "upgrade" 9 rpk install --root dev "$samples/clock-1.1.0.rpk"

rpk install --root base "$samples/clock-1.1.0.rpk" >setup.out
sweep "remove" 7 rpk remove --root dev org.riverbank.clock

# A package that was just removed comes back: its version is still in the store, for going back.
rpk remove --root base org.riverbank.clock >setup.out
sweep "install again" 12 rpk install --root dev "$samples/clock-1.1.0.rpk"
echo "note: $runs kills"
