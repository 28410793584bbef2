# SPDX-License-Identifier: Apache-2.0
# manifest check says which field is wrong.
cd "$RB_TREE/manifests/examples/release" || exit
otaforge manifest check release valid/*.json
for file in invalid/*.json; do
    otaforge manifest check release "$file" 2>&1 || true
done
otaforge manifest check release valid/full.json invalid/null.json valid/delta.json || echo "exit $?"
otaforge manifest check image valid/full.json || echo "exit $?"
otaforge manifest check release none.json || echo "exit $?"
otaforge manifest check release || echo "exit $?"
