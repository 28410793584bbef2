# SPDX-License-Identifier: Apache-2.0
# The same with real firmware of a microcontroller and a package of the real toolchain, signed with its debug key.
samples=$RB_TREE/../shared/samples
[ -d "$samples" ] || {
    echo "../shared/samples is not here"
    exit 77
}
build=${RB_BIN#"$RB_TREE"/}
OLD=$samples/firmware/mcu-t2-pybricks-prime.old NEW=$samples/firmware/mcu-t2-pybricks-prime.new \
    RPK=$samples/rpk/clockdemo-1.0.0-hap-debugkey.rpk "$RB_TREE/tests/demo/demo.sh" "${build%/bin}" >out 2>&1 || {
    tail -n 60 out
    exit 1
}
grep -q 'org.example.clockdemo' out
