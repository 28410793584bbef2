#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# tests/bench.sh BUILD_DIR: run every tests/bench/*.sh and print one report. T=text takes only those whose name
# contains text. Each measures real inputs and prints its own table; one that cannot run says why and counts as failed,
# unless it ends with 77 (something it needs is not on this machine).
set -u
build=$1
tree=$(cd "$(dirname "$0")/.." && pwd)
export RB_TREE=$tree RB_BIN=$tree/$build/bin RB_APP=$tree/$build/app LC_ALL=C.UTF-8 TZ=UTC
export PATH="$RB_BIN:$PATH"
status=0

echo "Riverbank $(git -C "$tree" describe --always --dirty 2>/dev/null), $(uname -m), $(nproc) processors," \
    "$(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release 2>/dev/null)"
for file in "$tree"/tests/bench/*.sh; do
    name=$(basename "$file" .sh)
    case $name in *"${T:-}"*) ;; *) continue ;; esac
    [ -e "$file" ] || continue
    echo
    echo "## $name"
    dir=$(mktemp -d /var/tmp/rb-bench-XXXXXX)
    (cd "$dir" && bash -eu "$file") 2>"$dir.err"
    code=$?
    if [ "$code" = 77 ]; then
        echo "not measured: $(tail -n 1 "$dir.err")"
    elif [ "$code" != 0 ]; then
        echo "FAILED (exit $code)"
        tail -n 20 "$dir.err"
        status=1
    fi
    rm -rf "$dir" "$dir.err"
done
exit $status
