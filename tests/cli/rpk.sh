# SPDX-License-Identifier: Apache-2.0
# What rpk says and how it exits, on a device that is a directory.
# shellcheck source=tests/support/packages.sh
. "$RB_TREE/tests/support/packages.sh"
cp "$samples"/*.rpk .
device dev

try() {
    local status=0
    echo "\$ $*"
    "$@" >try.out 2>&1 || status=$?
    sed -E 's/^(installed +)2[0-9-]+T.*/\1TIME/; s/"installed": [0-9]+/"installed": 0/; s/process [0-9]+/process N/' try.out
    echo "= $status"
}

try rpk list --root dev
try rpk install --root dev clock-1.0.0.rpk ./weather-1.0.0-names.rpk
try rpk list --root dev
try rpk list --root dev --json
try rpk install --root dev clock-1.0.0.rpk
try rpk install --root dev --dry-run clock-1.1.0.rpk
try rpk install --root dev --json clock-1.1.0.rpk
try rpk info --root dev org.riverbank.clock
try rpk info --root dev --json org.riverbank.clock
try rpk files --root dev org.riverbank.weather
try rpk files --root dev --json org.riverbank.clock
try rpk owner --root dev dev/var/lib/riverbank/apps/current/org.riverbank.clock/app.js
try rpk owner --root dev dev/var/lib/riverbank/apps/data/org.riverbank.weather/cache
try rpk owner --root dev --json manifest.json
try rpk owner --root dev /etc/passwd

echo "--- refused, and nothing changes"
try rpk install --root dev clock-1.0.0.rpk
try rpk install --root dev clock-1.1.0-other-signer.rpk
try rpk install --root dev clock-1.1.0-unsigned.rpk
try rpk install --root dev weather-1.0.0.rpk weather-1.0.0-names.rpk
try rpk install --root dev missing.rpk
try rpk install --root dev org.riverbank.clock
try rpk upgrade --root dev
try rpk upgrade --root dev org.example.absent
try rpk remove --root dev org.example.absent
try rpk remove --root dev org.riverbank.clock org.riverbank.clock
try rpk info --root dev org.example.absent
try rpk files --root dev org.example.absent
try rpk install --root dev
try rpk instal --root dev clock-1.0.0.rpk
try rpk install --root nowhere clock-1.0.0.rpk
try rpk list --root dev
agree dev

echo "--- another signer may take the name after a removal"
try rpk remove --root dev --dry-run org.riverbank.clock
try rpk remove --root dev org.riverbank.clock
try rpk install --root dev clock-1.1.0-other-signer.rpk
try rpk remove --root dev org.riverbank.clock org.riverbank.weather
try rpk list --root dev
agree dev

echo "--- a device of another type"
mkdir -p tv/etc/riverbank
echo '{ "hardware": "demo-board", "device_type": "tv" }' >tv/etc/riverbank/settings.json
try rpk install --root tv clock-1.0.0.rpk
try rpk list --root tv

echo "--- one writer at a time"
exec 9>>dev/var/lib/riverbank/rpk.lock
flock 9
printf 'process 1 (a test)\n' >dev/var/lib/riverbank/rpk.lock
try rpk install --root dev clock-1.0.0.rpk
try rpk list --root dev
exec 9>&-

echo "--- a database that is lost or damaged"
rpk install --root dev clock-1.0.0.rpk weather-1.0.0.rpk >/dev/null
rpk install --root dev clock-1.1.0.rpk >/dev/null
rm dev/var/lib/riverbank/rpk.sqlite
try rpk list --root dev
agree dev
printf 'rubbish' | dd of=dev/var/lib/riverbank/rpk.sqlite bs=1 seek=100 conv=notrunc status=none
printf 'rubbish' | dd of=dev/var/lib/riverbank/rpk.sqlite bs=1 seek=0 conv=notrunc status=none
try rpk info --root dev org.riverbank.weather
agree dev

echo "--- a pin that is lost, and one that is wrong"
rm dev/var/lib/riverbank/trust/pins/org.riverbank.weather
try rpk list --root dev
agree dev
tr 0-9a-f 1-9a-f0 <dev/var/lib/riverbank/trust/pins/org.riverbank.clock >pin
cp pin dev/var/lib/riverbank/trust/pins/org.riverbank.clock
try rpk list --root dev
rm dev/var/lib/riverbank/apps/current
ln -s gen/99 dev/var/lib/riverbank/apps/current
try rpk list --root dev
chmod 777 dev/var/lib/riverbank/apps
try rpk list --root dev
