# SPDX-License-Identifier: Apache-2.0
# The application that lies in a slot: four releases, the third one defective; and a damaged table is found.
app=$RB_APP
for version in 1.0.0 2.0.0 3.0.0 3.0.1; do
    RB_SLOT=B RB_TRIAL=1 RB_TRIES_LEFT=2 RB_CAUSE=try "$app/app-$version.bin" || echo "status $?"
done
RB_SLOT=A RB_TRIAL=0 RB_TRIES_LEFT=0 RB_CAUSE=factory "$app/app-1.0.0.bin" | head -n 1

# One bit of the fonts, in the middle of the file.
cp "$app/app-2.0.0.bin" damaged
printf '\377\377\377\377' | dd of=damaged bs=1 seek=120000 conv=notrunc status=none
./damaged | grep -E 'tables|health' || true
if grep -aF "$RB_TREE" "$app"/app-*.bin; then
    echo "names the build directory"
fi
