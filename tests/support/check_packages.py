#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_packages.py DEVICE...: do package tree, database, pins and data directories of each device agree?

Written from docs/format.md 5.6, sharing no code with librpk. Silent and 0 when all agree; else one line a fault and 1.
"""
import hashlib
import json
import os
import sqlite3
import stat
import sys

DATA = {"files", "cache", "mass", "tmp", "preferences"}


def read_generation(apps, number):
    """{package: {...}} of gen/<number>/manifest."""
    with open(f"{apps}/gen/{number}/manifest", "rb") as f:
        text = f.read()
    lines = text.decode().split("\n")
    assert lines[-1] == "" and lines[-2].startswith("end "), "manifest does not end"
    body = text[: text.rindex(b"end ")]
    assert lines[-2] == "end " + hashlib.sha256(body).hexdigest(), "manifest hash"
    assert lines[0] == f"riverbank generation {number}", "manifest head"
    members = {}
    for line in lines[1:-2]:
        package, code, store, content, signer, manifest, installed = line.split(" ")
        members[package] = dict(
            code=int(code), store=store, content=content, signer=signer, manifest=manifest, installed=int(installed)
        )
    assert list(members) == sorted(members), "manifest order"
    return members


def names(path):
    return set(os.listdir(path)) if os.path.isdir(path) else set()


def files_of(top):
    found = {}
    for where, _, files in os.walk(top):
        for name in files:
            path = os.path.join(where, name)
            info = os.lstat(path)
            assert stat.S_ISREG(info.st_mode), f"{path}: not a file"
            with open(path, "rb") as f:
                data = f.read()
            found[os.path.relpath(path, top)] = (len(data), stat.S_IMODE(info.st_mode), hashlib.sha256(data).hexdigest())
    return found


def check_store(apps, db, package, member, faults):
    top = f"{apps}/store/{package}/{member['store']}"
    on_disk = files_of(top)
    rows = db.execute(
        "SELECT path, size, mode, sha256 FROM file WHERE package=? AND store=?", (package, member["store"])
    ).fetchall()
    if {r[0]: (r[1], r[2], r[3].hex()) for r in rows} != on_disk:
        faults.append(f"{package}: files and database differ")
    with open(f"{top}/manifest.json", "rb") as f:
        text = f.read()
    if hashlib.sha256(text).hexdigest() != member["manifest"]:
        faults.append(f"{package}: manifest.json is not the recorded one")
    manifest = json.loads(text)
    if manifest["package"] != package or manifest.get("versionCode", 0) != member["code"]:
        faults.append(f"{package}: manifest.json names another package")
    cert = f"{top}/META-INF/CERT"
    if os.path.exists(cert):
        import zipfile  # the list of hashes that came with the package, read by another zip reader

        listed = json.loads(zipfile.ZipFile(cert).read("hash.json"))["digests"]
        if {n: v[2] for n, v in on_disk.items() if n != "META-INF/CERT"} != listed:
            faults.append(f"{package}: files are not those of hash.json")


def check(device):
    state = f"{device}/var/lib/riverbank"
    apps = f"{state}/apps"
    faults = []
    if not os.path.lexists(f"{apps}/current"):
        for place in ("gen", "store", "data", "tmp"):
            if names(f"{apps}/{place}"):
                faults.append(f"nothing is installed, but {place}/ is not empty")
        if names(f"{state}/trust/pins"):
            faults.append("nothing is installed, but pins are left")
        return faults
    number = int(os.path.basename(os.readlink(f"{apps}/current")))
    live = read_generation(apps, number)
    others = {int(g) for g in names(f"{apps}/gen")} - {number}
    if len(others) > 1 or any(g > number for g in others):
        faults.append(f"generations left: {sorted(others)}")
    named = {(p, m["store"]) for g in others | {number} for p, m in read_generation(apps, g).items()}
    stored = {(p, s) for p in names(f"{apps}/store") for s in names(f"{apps}/store/{p}")}
    if stored != named:
        faults.append(f"store has {sorted(stored ^ named)} too much or too few")
    links = names(f"{apps}/gen/{number}") - {"manifest"}
    if links != set(live):
        faults.append("links are not those of the manifest")
    for package, member in live.items():
        if os.readlink(f"{apps}/gen/{number}/{package}") != f"../../store/{package}/{member['store']}":
            faults.append(f"{package}: link leads elsewhere")
    db = sqlite3.connect(f"file:{state}/rpk.sqlite?mode=ro", uri=True)
    if db.execute("PRAGMA integrity_check").fetchone() != ("ok",):
        faults.append("database integrity")
    rows = db.execute(
        "SELECT package, version_code, store, hex(content), hex(signer), hex(manifest), installed FROM member"
        " WHERE number=?",
        (number,),
    ).fetchall()
    if {r[0]: (r[1], r[2], *(x.lower() for x in r[3:6]), r[6]) for r in rows} != {
        p: (m["code"], m["store"], m["content"], m["signer"], m["manifest"], m["installed"]) for p, m in live.items()
    }:
        faults.append("database and live generation differ")
    recorded = {r[0]: r[1] for r in db.execute("SELECT number, state FROM generation")}
    if recorded.get(number) != "active" or set(recorded) != others | {number}:
        faults.append(f"generations in the database: {recorded}")
    if {tuple(r) for r in db.execute("SELECT package, store FROM version")} != named:
        faults.append("versions in the database are not those in the store")
    for package, member in live.items():
        check_store(apps, db, package, member, faults)
    if names(f"{state}/trust/pins") != set(live):
        faults.append("pins are not those of the installed packages")
    for package, member in live.items():
        with open(f"{state}/trust/pins/{package}", encoding="ascii") as f:
            if f.read() != member["signer"] + "\n":
                faults.append(f"{package}: pin")
    if names(f"{apps}/data") != set(live) or any(names(f"{apps}/data/{p}") != DATA for p in live):
        faults.append("data directories")
    if names(f"{apps}/tmp") or names(apps) - {"current", "gen", "store", "data", "tmp"}:
        faults.append(f"left over: {names(apps)} {names(apps + '/tmp')}")
    return faults


def main():
    bad = False
    for device in sys.argv[1:]:
        for fault in check(device):
            print(f"{device}: {fault}")
            bad = True
    return 1 if bad else 0


sys.exit(main())
