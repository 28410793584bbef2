# SPDX-License-Identifier: Apache-2.0
# Whole lives of a device over HTTP: delta, full image, health check, fall-back, quarantine, roll back, lost database,
# the daemon.
. "$RB_TREE/tests/support/agent.sh"

repo
for v in 1 2 3; do image $v.0.0 "$app/app-$v.0.0.bin" --security-counter $v; done
random 5000 9 >body0
image 0.9.0 body0 --security-counter 1
release 1.0.0
serve repo
settings
device d 1.0.0
boot d

# Nothing newer, and a device without a first boot.
expect 0 "up to date: 1.0.0" ota check --root d
expect 0 "up to date: 1.0.0" ota update --root d
expect 0 "nothing is on trial" ota confirm --root d

# A delta, for it is smaller.
release 2.0.0
expect 0 "2.0.0 is available" ota check --root d
expect 0 "delta from 1.0.0" ota plan --root d
ota plan --root d --json >plan.json
[ "$(field chosen plan.json)" = firmware/main/1.0.0-2.0.0.rbp ] || die "$(cat plan.json)"
before=$(state d)
[ "$before" = "$(state d)" ] || die "a plan changed the flash"
expect 0 "2.0.0 is in slot B, verified and armed" ota update --root d
expect 0 "armed in slot B already" ota update --root d
expect 1 "has not been started" ota confirm --root d
[ "$(boots d)" = 2.0.0 ] || die "boots $(boots d)"
expect 0 "2.0.0 is no longer armed" ota rollback --root d
[ "$(boots d)" = 1.0.0 ] || die "boots $(boots d)"
ota update --root d --json >update.json 2>/dev/null
[ "$(field received update.json)" -lt 20000 ] || die "fetched $(field received update.json) for a slot that is filled"
boot d
expect 1 "2.0.0 is on trial" ota update --root d
expect 0 "2.0.0 is healthy and confirmed in slot B; floor 2" ota confirm --root d
expect 0 "nothing is on trial" ota confirm --root d

# The floor has risen: the old slot is not for going back to any more.
expect 1 "below the floor" ota rollback --root d

# A release that fails its health check is rejected; one boot later the old one runs, and it is not tried again.
release 3.0.0
expect 0 "3.0.0 is in slot A" ota update --root d
boot d
expect 1 "3.0.0: health check failed: the program ended with status 1" ota confirm --root d
[ "$(boots d)" = 2.0.0 ] || die "boots $(boots d)"
boot d
expect 0 "3.0.0 fell-back: the program ended with status 1" ota status --root d
expect 0 "failed here before (the program ended with status 1)" ota check --root d
expect 0 "failed here before" ota update --root d
[ "$(boots d)" = 2.0.0 ] || die "boots $(boots d)"

# Asked to, it tries again; this time nobody confirms, and the loader gives up by itself.
expect 0 "3.0.0 is in slot A" ota update --root d --retry
for _ in 1 2 3; do
    boot d
    grep -q "starting slot A on trial" boot.out || die "$(cat boot.out)"
done
boot d
grep -q "starting slot B, version 2.0.0" boot.out || die "$(cat boot.out)"
expect 0 "3.0.0 fell-back: never confirmed" ota status --root d
expect 0 "failed here before (never confirmed" ota check --root d
ota history --root d >history.txt
[ "$(grep -c fell-back history.txt)" = 2 ] || die "$(cat history.txt)"

# A device whose version has no delta takes the full payload.
device e 0.9.0 --slot-size 512K
expect 0 "full payload" ota plan --root e --target 2.0.0
expect 0 "2.0.0 is in slot B" ota update --root e --target 2.0.0
boot e
expect 0 "confirmed" ota confirm --root e
expect 1 "no release has version 7.0.0" ota update --root e --target 7.0.0

# Hand back the old version while the floor allows it.
device g 1.0.0 --slot-size 512K
image 1.1.0 "$app/app-2.0.0.bin" --security-counter 1
otaforge release create repo --image 1.1.0.img --quiet --force >/dev/null
expect 0 "1.1.0 is in slot B" ota update --root g
boot g
expect 0 "confirmed" ota confirm --root g
expect 0 "1.0.0 is armed; reboot to go back" ota rollback --root g
boot g
expect 0 "1.0.0 is healthy and confirmed in slot A" ota confirm --root g
expect 0 "1.1.0 is the newest release and failed here before (rolled back by hand)" ota check --root g

# FAULT-11: the database is lost or damaged at the worst moment: what counts is in the journal and the slots.
for damage in lost garbage half; do
    rm -rf h
    device h 1.0.0 --slot-size 512K
    ota update --root h --quiet >/dev/null
    boot h
    db=h/var/lib/riverbank/ota.sqlite
    case $damage in
    lost) rm $db ;;
    garbage) random 20000 5 >$db ;;
    half) truncate -s 6000 $db ;;
    esac
    expect 0 "1.1.0 is healthy and confirmed in slot B" ota confirm --root h
    expect 0 "1.1.0" ota history --root h
done
rm -rf h
device h 1.0.0 --slot-size 512K
ota update --root h --quiet --target 3.0.0 >/dev/null
for _ in 1 2 3 4; do boot h; done
rm h/var/lib/riverbank/ota.sqlite
expect 0 "failed here before (never confirmed" ota check --root h --target 3.0.0

# otad does the same by itself.
device i 1.0.0 --slot-size 512K
expect 0 "reboot.wanted slot=B" otad --root i --once
boot i
expect 0 "trial.confirmed version=1.1.0 slot=B" otad --root i --once
expect 0 "update.none version=1.1.0" otad --root i --once
settings '"poll_interval_s": 1'
rm -rf i
device i 1.0.0 --slot-size 512K
otad --root i 2>otad.log &
daemon=$!
servers="$servers $daemon"
for _ in $(seq 200); do
    ! grep -q "reboot.wanted" otad.log || break
    sleep 0.05
done
expect 0 "armed in slot B already" ota update --root i # LOCAL-10: in between, the device is free
start=$(date +%s%N)
kill -TERM $daemon
wait $daemon || die "otad ended with $? on SIGTERM: $(cat otad.log)"
[ $((($(date +%s%N) - start) / 1000000)) -lt 3000 ] || die "otad took long to end"
grep -q "^info stop$" otad.log || die "$(cat otad.log)"
