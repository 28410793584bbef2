# SPDX-License-Identifier: Apache-2.0
# make install honours DESTDIR and prefix, installs everything once, runs from there, and uninstall leaves nothing.
unset MAKEFLAGS MFLAGS MAKELEVEL
profile=$(basename "${RB_BIN%/bin}")
install_to() { make -s -C "$RB_TREE" PROFILE="$profile" "$@" >log 2>&1 || { cat log && exit 1; }; }
install_to install DESTDIR="$PWD/root" prefix=/opt/riverbank
[ "$(ls root)" = opt ]
cd root/opt/riverbank
[ "$(echo bin/* sbin/*)" = "bin/ota bin/otaforge bin/riverboot-sim bin/rpk sbin/otad" ]
for name in ota.1 otaforge.1 riverboot-sim.1 rpk.1; do [ -s "share/man/man1/$name" ]; done
[ -s share/man/man8/otad.8 ]
for name in ota otad otaforge riverboot-sim rpk; do
    [ -s "share/bash-completion/completions/$name" ]
    [ -s "share/zsh/site-functions/_$name" ]
done
ls share/riverbank/schemas/*.schema.json >/dev/null
[ "$(bin/otaforge --version | cut -d ' ' -f 1)" = otaforge ]
cd ../../..
install_to uninstall DESTDIR="$PWD/root" prefix=/opt/riverbank
left=$(find root -type f -o -type l)
[ -z "$left" ] || { echo "left behind: $left" && exit 1; }
