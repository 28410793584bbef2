# SPDX-License-Identifier: Apache-2.0
#
# For tests of rpk: source "$RB_TREE/tests/support/packages.sh".
# shellcheck disable=SC2034 # used where this is sourced
samples=$RB_TREE/tests/data/rpk
# shellcheck disable=SC2034
killat=$RB_BIN/../test-bin/killat

device() { # device DIR [MORE JSON MEMBERS]: an empty device
    mkdir -p "$1/etc/riverbank"
    echo '{ "hardware": "demo-board", "device_type": "watch-round"'"${2:-}"' }' >"$1/etc/riverbank/settings.json"
}

packages() { # packages DEVICE: what is installed, one line each, without times
    rpk list --root "$1"
}

agree() { # agree DEVICE...: everything on each device says the same
    "$RB_TREE/tests/support/check_packages.py" "$@"
}

die() {
    echo "FAILED: $*"
    exit 1
}

in_memory() { # go to a directory in memory where there is one: a sweep of kills waits for the disk otherwise
    local dir
    if dir=$(mktemp -d /dev/shm/rb-test-XXXXXX 2>/dev/null); then
        # shellcheck disable=SC2064
        trap "rm -rf '$dir'" EXIT
        cd "$dir" || exit
    fi
}
