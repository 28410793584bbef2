# SPDX-License-Identifier: Apache-2.0
# rpk verify: which layer says no, and the exit codes.
# shellcheck source=tests/support/packages.sh
. "$RB_TREE/tests/support/packages.sh"
cp "$samples"/*.rpk .

try() {
    echo "\$ $*"
    "$@" && echo "= 0" || echo "= $?"
}

try rpk verify clock-1.0.0.rpk weather-1.0.0-names.rpk
try rpk verify clock-1.1.0-signed-twice.rpk
try rpk verify clock-1.1.0-unsigned.rpk

flip() { # flip OFFSET FILE: a copy of clock-1.0.0.rpk with one bit changed
    cp clock-1.0.0.rpk "$2"
    printf "$(printf '\\%03o' $(($(od -An -tu1 -j "$1" -N 1 clock-1.0.0.rpk) ^ 1)))" | dd of="$2" bs=1 seek="$1" conv=notrunc status=none
}
size=$(stat -c %s clock-1.0.0.rpk)
block=$(grep -abo 'RPK Sig Block 42' clock-1.0.0.rpk | tail -n 1 | cut -d: -f1)
flip 3000 content.rpk
flip $((size - 5)) comment.rpk
flip $((block - 10)) file-list.rpk
flip $((block + 3)) magic.rpk
flip $((block - 8)) size.rpk
try rpk verify content.rpk comment.rpk magic.rpk size.rpk
try rpk verify file-list.rpk # the content's signature does not cover this list, and nothing relies on it
head -c 5000 clock-1.0.0.rpk >short.rpk
: >empty.rpk
truncate -s 2G zeros.rpk
echo "not a zip" >text.rpk
try rpk verify short.rpk empty.rpk zeros.rpk text.rpk missing.rpk .
try rpk verify --json clock-1.0.0.rpk content.rpk
try rpk info clock-1.0.0.rpk
try rpk info --json weather-1.0.0.rpk
try rpk verify
