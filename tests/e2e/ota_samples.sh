# SPDX-License-Identifier: Apache-2.0
# Real images of other machines, old and new: microcontroller, U-Boot, and with RB_FULL=1 an ARM kernel. The loader here
# cannot run them, so a command says whether they are healthy. The new image is cut off once on its way.
. "$RB_TREE/tests/support/agent.sh"
samples=$RB_TREE/../shared/samples/firmware
[ -d "$samples" ] || {
    echo "../shared/samples is not here"
    exit 77
}

repo
serve repo
settings '"health": {"command": "/bin/true"}'
names="mcu-t2-pybricks-prime boot-arm-uboot-qemu"
[ -z "${RB_FULL:-}" ] || names="$names kern-arm-6.1-z"
n=0
for name in $names; do
    n=$((n + 10))
    old=$n.0.0
    new=$n.1.0
    image $old "$samples/$name.old" --security-counter 1
    image $new "$samples/$name.new" --security-counter 1
    release $old $new
    rm -rf d
    device d $old --slot-size 8M
    boot d
    got=0
    ota update --root d --quiet --cut-at-op 40 --tear random >cut.out 2>&1 || got=$?
    [ $got = 3 ] || die "$name: $(cat cut.out)"
    [ "$(boots d)" = $old ] || die "$name boots $(boots d) after the cut"
    ota update --root d --json >update.json 2>err.txt || die "$name: $(cat err.txt)"
    case $(field payload update.json) in
    */$old-$new.rbp) ;;
    *) die "$name came as $(field payload update.json)" ;;
    esac
    boot d
    expect 0 "$new is healthy and confirmed" ota confirm --root d
    # What the slot holds is what was signed, byte for byte.
    len=$(stat -c %s $new.img)
    slot=$(((3 * 4096) + 8 * 1048576))
    tail -c +$((slot + 1)) "$(flash d)" | head -c "$len" | cmp - $new.img || die "$name: other bytes"
    echo "note: $name: $(field fetched update.json) bytes for an image of $len"
done
