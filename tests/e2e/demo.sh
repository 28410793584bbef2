# SPDX-License-Identifier: Apache-2.0
# The demo does what it shows: every command in it ends as expected, or it fails.
build=${RB_BIN#"$RB_TREE"/}
"$RB_TREE/tests/demo/demo.sh" "${build%/bin}" >out 2>&1 || {
    tail -n 60 out
    exit 1
}
grep -q '^11. In numbers' out
! grep -q '^Kept' out
