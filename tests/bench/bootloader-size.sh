#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What a bootloader carries: everything that rb_boot reaches, -Os, without the crypto library (Debian has no mbedTLS
# for bare metal; built from its sources with bootloader/core/mbedtls_config.h it adds 12.9 KB on a Cortex-M3).
for tool in arm-none-eabi riscv64-unknown-elf; do
    command -v "$tool-gcc" >/dev/null || { echo "$tool-gcc is not here" >&2; exit 77; }
done
cd "$RB_TREE" || exit 3
build=build/release
"$RB_TREE/tests/bare" "$build" >/dev/null

row() { # row NAME PREFIX FLAGS...
    local name=$1 prefix=$2 part=$build/bare/$1
    shift 2
    # -r keeps every reference as it is; --gc-sections drops what rb_boot does not reach.
    "$prefix-gcc" "$@" -nostdlib -Wl,-r -Wl,--gc-sections -Wl,--entry=rb_boot -o "$part-loader.o" "$part"/*.o
    "$prefix-size" "$part-loader.o" | awk -v name="$name" 'NR == 2 {printf "%-12s %8d %8d %8d\n", name, $1, $2, $3}'
}
printf '%-12s %8s %8s %8s   (bytes)\n' "rb_boot on" code data bss
row cortex-m3 arm-none-eabi -mcpu=cortex-m3 -mthumb
row rv32imac riscv64-unknown-elf -march=rv32imac -mabi=ilp32
