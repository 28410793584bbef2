#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# tests/data/rebuild-packages.sh: build the packages of tests/data/rpk/ again, by the real quick-app toolchain.
#
# Needs npm. The toolchain goes into a temporary directory and leaves with it. Its output holds the time of building,
# so a rebuilt package has other bytes and the same meaning; tests whose recorded output names digests of these
# packages (tests/cli/rpk_*.out) are recorded again afterwards with UPDATE=1.
set -eu
data=$(cd "$(dirname "$0")" && pwd)
command -v npm >/dev/null || { echo "npm is not here"; exit 77; }
work=$(mktemp -d /var/tmp/rebuild-packages-XXXXXX)
trap 'rm -rf "$work"' EXIT

mkdir "$work/toolchain"
(cd "$work/toolchain" && npm init -y && npm install --no-audit --no-fund hap-toolkit@2.0.8) >"$work/npm.log" 2>&1 ||
    { tail -n 20 "$work/npm.log"; exit 3; }

build() { # build OUT KEY SOURCE...: later sources are laid over earlier ones
    local out=$1 key=$2 project=$work/project
    shift 2
    rm -rf "$project"
    mkdir -p "$project/sign"
    for source in "$@"; do
        cp -R "$source/." "$project/"
    done
    cp "$data/rpk-keys/$key-private.pem" "$project/sign/private.pem"
    cp "$data/rpk-keys/$key-certificate.pem" "$project/sign/certificate.pem"
    ln -s "$work/toolchain/node_modules" "$project/node_modules"
    (cd "$project" && node_modules/.bin/hap release ${flags:-}) >"$work/hap.log" 2>&1 ||
        { tail -n 20 "$work/hap.log"; exit 3; }
    cp "$project"/dist/*.rpk "$data/rpk/$out"
    echo "built $out ($(stat -c %s "$data/rpk/$out") bytes)"
}

build clock-1.0.0.rpk release "$data/clock"
build clock-1.1.0.rpk release "$data/clock" "$data/clock-1.1.0"
build clock-1.1.0-other-signer.rpk other "$data/clock" "$data/clock-1.1.0"
build weather-1.0.0.rpk release "$data/weather"
flags=--disable-sign build clock-1.1.0-unsigned.rpk release "$data/clock" "$data/clock-1.1.0"
mkdir -p "$work/names/src/assets/images" # a file name outside ASCII, as the toolchain writes it
cp "$data/weather/src/assets/images/logo.png" "$work/names/src/assets/images/天気.png"
build weather-1.0.0-names.rpk release "$data/weather" "$work/names"

# hap resign on a package that is signed already leaves the old block in META-INF/CERT, and such packages are in use.
rm -rf "$work/project/dist" "$work/project/dest"
mkdir -p "$work/project/dist" "$work/project/sign/release"
cp "$data/rpk/clock-1.1.0-other-signer.rpk" "$work/project/dist/twice.rpk"
cp "$data/rpk-keys/release-private.pem" "$work/project/sign/release/private.pem"
cp "$data/rpk-keys/release-certificate.pem" "$work/project/sign/release/certificate.pem"
(cd "$work/project" && node_modules/.bin/hap resign) >"$work/hap.log" 2>&1 || { tail -n 20 "$work/hap.log"; exit 3; }
cp "$work/project/dest/twice.rpk" "$data/rpk/clock-1.1.0-signed-twice.rpk"
