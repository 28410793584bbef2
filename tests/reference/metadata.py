#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A second reader of repository metadata, written from docs/format.md section 6 and the TUF specification.

Python's standard library and the openssl program; nothing of Riverbank. Walks from a root that is trusted to targets,
verifies every signature over its own canonical JSON, every length, hash, version and expiry, and every target file.

    metadata.py REPO [--now YYYY-MM-DDTHH:MM:SSZ]     exit 0 and a list of what was verified, or 1 and the reason
"""
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time

ROLES = ["root", "timestamp", "snapshot", "targets"]


class Refused(Exception):
    pass


def need(condition, why):
    if not condition:
        raise Refused(why)


def canonical(value):
    """OLPC canonical JSON: sorted keys, no white space, only \\ and \" escaped, integers only."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return "[" + ",".join(canonical(v) for v in value) + "]"
    need(isinstance(value, dict), f"{type(value).__name__} has no canonical form")
    return "{" + ",".join(canonical(k) + ":" + canonical(value[k]) for k in sorted(value)) + "}"


def openssl_verifies(pem, signature, data):
    with tempfile.TemporaryDirectory() as scratch:
        paths = [os.path.join(scratch, n) for n in ("key", "sig", "data")]
        for path, content in zip(paths, (pem.encode(), signature, data)):
            with open(path, "wb") as file:
                file.write(content)
        done = subprocess.run(["openssl", "dgst", "-sha256", "-verify", paths[0], "-signature", paths[1], paths[2]],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return done.returncode == 0


def verify(document, root, role):
    """At least threshold different keys of `role` have signed."""
    data = canonical(document["signed"]).encode()
    good = set()
    for signature in document["signatures"]:
        keyid = signature["keyid"]
        if keyid not in root["roles"][role]["keyids"]:
            continue
        key = root["keys"][keyid]
        need(key["keytype"] == "ecdsa" and key["scheme"] == "ecdsa-sha2-nistp256", "another kind of key")
        need(hashlib.sha256(canonical(key).encode()).hexdigest() == keyid, "key id is not the key's hash")
        if openssl_verifies(key["keyval"]["public"], bytes.fromhex(signature["sig"]), data):
            good.add(key["keyval"]["public"])
    threshold = root["roles"][role]["threshold"]
    need(len(good) >= threshold >= 1, f"{role}: {len(good)} good signatures, {threshold} needed")


def unique(pairs):
    need(len({k for k, _ in pairs}) == len(pairs), "a key twice")
    return dict(pairs)


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    return data, json.loads(data, object_pairs_hook=unique)


def check(signed, role, now):
    need(signed["_type"] == role, f"{role}: type {signed['_type']}")
    need(re.fullmatch(r"1\.\d+(\.\d+)?", signed["spec_version"]), f"{role}: spec_version {signed['spec_version']}")
    need(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", signed["expires"]), f"{role}: expires {signed['expires']}")
    need(now < signed["expires"], f"{role}: expired at {signed['expires']}")


def check_ref(data, signed, ref, role):
    need(len(data) == ref["length"], f"{role}: length")
    need(hashlib.sha256(data).hexdigest() == ref["hashes"]["sha256"], f"{role}: hash")
    need(signed["version"] == ref["version"], f"{role}: version")


def check_target(repo, name, target):
    folder, base = os.path.split(name)
    sha256 = target["hashes"]["sha256"]
    path = os.path.join(repo, "targets", folder, sha256 + "." + base)
    with open(path, "rb") as file:
        data = file.read()
    need(len(data) == target["length"], f"{name}: length")
    need(hashlib.sha256(data).hexdigest() == sha256, f"{name}: hash")
    custom = target["custom"]
    if custom["kind"] == "payload":
        header = data[: custom["header"]["length"]]
        need(hashlib.sha256(header).hexdigest() == custom["header"]["sha256"], f"{name}: header hash")


def walk(repo, now):
    meta = os.path.join(repo, "metadata")
    _, first = read(os.path.join(meta, "1.root.json"))
    root = first["signed"]
    verify(first, root, "root")
    while os.path.exists(os.path.join(meta, f"{root['version'] + 1}.root.json")):
        _, nxt = read(os.path.join(meta, f"{root['version'] + 1}.root.json"))
        verify(nxt, root, "root")
        verify(nxt, nxt["signed"], "root")
        need(nxt["signed"]["version"] == root["version"] + 1, "root: version")
        root = nxt["signed"]
    check(root, "root", now)
    need(root["consistent_snapshot"] is True, "no consistent snapshots")
    print(f"root {root['version']}: {root['roles']['root']['threshold']} of {len(root['roles']['root']['keyids'])}")
    ref = None
    signed = None
    for role in ROLES[1:]:
        path = f"{ref['version']}.{role}.json" if ref else "timestamp.json"
        data, document = read(os.path.join(meta, path))
        verify(document, root, role)
        signed = document["signed"]
        check(signed, role, now)
        if ref:
            check_ref(data, signed, ref, role)
        print(f"{role} {signed['version']}")
        if role != "targets":
            ref = signed["meta"][{"timestamp": "snapshot.json", "snapshot": "targets.json"}[role]]
    for name in sorted(signed["targets"]):
        check_target(repo, name, signed["targets"][name])
        print(f"target {name}")


def main():
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if "--now" in sys.argv:
        now = sys.argv[sys.argv.index("--now") + 1]
    try:
        walk(sys.argv[1], now)
    except (Refused, KeyError, TypeError, ValueError, OSError) as error:
        print(f"refused: {error}")
        return 1
    return 0


sys.exit(main())
