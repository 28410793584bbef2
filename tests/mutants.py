#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Seeded bugs: every promise has a test, and every test is shown to fail when the promise is broken.

A file tests/mutants/NAME.mutant reads

    promise: what must hold, one line
    test: SUITE FILTER
    file: path/in/the/tree.c
    <<<<
    text that occurs exactly once in that file
    ====
    what stands there in the broken version
    >>>>

and may hold several file/<<<</====/>>>> parts. For each one the tree is copied to build/mutants/, changed, built, and
the named tests are run: at least one of them must fail. Before that they must all pass in an unchanged copy, so a
filter that matches nothing or a test that is red anyway does not count as a catch.

Prints PASS or FAIL lines like every suite. Usage: mutants.py [BUILD_DIR], T=text takes only mutants whose name
contains text, JOBS=n copies work side by side (2).
"""
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WORK = os.path.join(TREE, "build", "mutants")
BUILD = os.path.join("build", "release")
SUITES = {"unit", "power", "cli", "kill", "e2e", "layers", "bare", "manifests"}
BUILD_LIMIT_S = 600
# A broken program may wait for ever. It then counts as caught: the runner in `make check` has a limit too.
RUN_SLACK_S = 60

say_lock = threading.Lock()


def shown(output, limit=2000):
    """The end of some output, indented so that nobody takes its lines for ours."""
    return "\n" + "\n".join("    " + line for line in output[-limit:].splitlines())


def say(text):
    with say_lock:
        print(text, flush=True)


class Wrong(Exception):
    """The mutant cannot be judged; the text says why."""


class Mutant:
    def __init__(self, path):
        self.name = os.path.basename(path)[: -len(".mutant")]
        self.promise = self.suite = self.filter = ""
        self.edits = []  # (file, old text, new text)
        with open(path, encoding="utf-8") as file:
            self.parse(file.read().splitlines(keepends=True))

    def parse(self, lines):
        target = None
        at = 0
        while at < len(lines):
            line = lines[at].rstrip("\n")
            at += 1
            if line == "<<<<":
                old, at = self.until(lines, at, "====")
                new, at = self.until(lines, at, ">>>>")
                # A change may be a part of a line: the last line end is the format's, not the file's.
                old, new = old.removesuffix("\n"), new.removesuffix("\n")
                if target is None:
                    raise Wrong("a change stands before any file: line")
                self.edits.append((target, old, new))
            elif line.startswith("promise: "):
                self.promise = line[9:].strip()
            elif line.startswith("test: "):
                self.suite, _, self.filter = line[6:].strip().partition(" ")
            elif line.startswith("file: "):
                target = line[6:].strip()
            elif line.strip() and not line.startswith("#"):
                raise Wrong(f"line {at} is not understood: {line}")
        if not self.promise or not self.filter or not self.edits:
            raise Wrong("wants promise:, test: SUITE FILTER, file: and a change")
        if self.suite not in SUITES:
            raise Wrong(f"no suite has the name {self.suite}")

    @staticmethod
    def until(lines, at, end):
        text = []
        while at < len(lines) and lines[at].rstrip("\n") != end:
            text.append(lines[at])
            at += 1
        if at == len(lines):
            raise Wrong(f"no line {end}")
        return "".join(text), at + 1

    def changed(self, copy):
        """{file: (text now, text with the bug)} in a copy of the tree."""
        files = {}
        for path, old, new in self.edits:
            where = os.path.join(copy, path)
            if not os.path.exists(where):
                raise Wrong(f"does not apply: there is no {path}")
            if where not in files:
                with open(where, encoding="utf-8") as file:
                    text = file.read()
                files[where] = (text, text)
            before, after = files[where]
            count = after.count(old)
            if count != 1:
                raise Wrong(f"does not apply: its text occurs {count} times in {path}")
            files[where] = (before, after.replace(old, new))
        return files


def run(command, copy, limit_s, **variables):
    """Run in a process group of its own that is ended as a whole. (exit status or None at the limit, output)"""
    env = {k: v for k, v in os.environ.items() if k not in ("T", "UPDATE", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "B")}
    env.update(variables)
    process = subprocess.Popen(command, cwd=copy, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True, text=True, errors="replace")
    try:
        output, _ = process.communicate(timeout=limit_s)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return None, output


def results(output, word):
    return re.findall(rf"^{word} (\S+)", output, re.M)


def build(copy):
    status, output = run(["make", "-s", "tests"], copy, BUILD_LIMIT_S)
    return status == 0, output


def copy_tree(copy):
    """Bring a copy up to date; files that did not change keep their time, so make builds little."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=TREE,
                            check=True, stdout=subprocess.PIPE).stdout.decode().split("\0")
    wanted = {path for path in listed if path and os.path.lexists(os.path.join(TREE, path))}
    for directory, names, files in os.walk(copy):
        if directory == copy and "build" in names:
            names.remove("build")
        for name in files:
            path = os.path.relpath(os.path.join(directory, name), copy)
            if path not in wanted:
                os.unlink(os.path.join(copy, path))
    for path in wanted:
        source, target = os.path.join(TREE, path), os.path.join(copy, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.islink(source):
            if os.path.lexists(target):
                os.unlink(target)
            os.symlink(os.readlink(source), target)
            continue
        with open(source, "rb") as file:
            data = file.read()
        if os.path.exists(target):
            with open(target, "rb") as file:
                if file.read() == data:
                    shutil.copymode(source, target)
                    continue
        with open(target, "wb") as file:
            file.write(data)
        shutil.copymode(source, target)


def outside_links(copy):
    """Tests look for sample files beside the tree; let copies see what the tree sees."""
    shared = os.path.join(os.path.dirname(TREE), "shared")
    link = os.path.join(os.path.dirname(copy), "shared")
    if os.path.isdir(shared) and not os.path.lexists(link):
        os.symlink(shared, link)


def judge(mutant, copy, baseline):
    """One line about one mutant."""
    status, seconds, output = baseline[(mutant.suite, mutant.filter)]
    passed = results(output, "PASS")
    if results(output, "FAIL") or status != 0:
        return f"FAIL mutant {mutant.name}: {mutant.suite} {mutant.filter} fails without it{shown(output)}"
    if not passed:
        skipped = re.search(r"^SKIP \S+ (.*)$", output, re.M)
        if skipped:
            return f"SKIP mutant {mutant.name}: {skipped.group(1)}"
        return f"FAIL mutant {mutant.name}: no test has the name {mutant.suite} {mutant.filter}"

    files = mutant.changed(copy)
    try:
        for where, (_, text) in files.items():
            with open(where, "w", encoding="utf-8") as file:
                file.write(text)
        built, log = build(copy)
        if not built:
            return f"FAIL mutant {mutant.name}: does not build{shown(log)}"
        status, output = run(["tests/run", BUILD, mutant.suite], copy, 4 * seconds + RUN_SLACK_S, T=mutant.filter)
    finally:
        for where, (text, _) in files.items():
            with open(where, "w", encoding="utf-8") as file:
                file.write(text)
    caught = results(output, "FAIL")
    if caught:
        return f"PASS mutant {mutant.name}: {mutant.promise} [{', '.join(dict.fromkeys(caught[:3]))}]"
    if status is None:
        return f"PASS mutant {mutant.name}: {mutant.promise} [ends in the time limit]"
    return f"FAIL mutant {mutant.name}: survives {mutant.suite} {mutant.filter} ({len(passed)} tests): {mutant.promise}"


def worker(copy, work, baseline, outcome):
    while True:
        try:
            mutant = work.get_nowait()
        except queue.Empty:
            return
        try:
            line = judge(mutant, copy, baseline)
        except Wrong as why:
            line = f"FAIL mutant {mutant.name}: {why}"
        except Exception as why:  # a fault here must not end the thread and with it the count
            line = f"FAIL mutant {mutant.name}: {type(why).__name__}: {why}"
        outcome.append(line.startswith("FAIL"))
        say(line)


def prepare(copies):
    ready = []

    def one(copy):
        os.makedirs(copy, exist_ok=True)
        copy_tree(copy)
        ready.append((copy, *build(copy)))

    threads = [threading.Thread(target=one, args=(copy,)) for copy in copies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for copy, built, log in ready:
        if not built:
            say(f"FAIL mutants: the unchanged tree does not build{shown(log)}")
            return False
    return len(ready) == len(copies)


def main():
    wanted = os.environ.get("T", "")
    folder = os.path.join(TREE, "tests", "mutants")
    names = sorted(n for n in os.listdir(folder) if n.endswith(".mutant")) if os.path.isdir(folder) else []
    mutants, failed = [], False
    for name in names:
        if wanted not in name:
            continue
        try:
            mutants.append(Mutant(os.path.join(folder, name)))
        except Wrong as why:
            say(f"FAIL mutant {name}: {why}")
            failed = True
    if not mutants:
        say("FAIL mutants: there is none" if not failed else "")
        return 1

    jobs = max(1, int(os.environ.get("JOBS", "2")))
    copies = [os.path.join(WORK, str(n), "tree") for n in range(min(jobs, len(mutants)))]
    if not prepare(copies):
        return 1
    for copy in copies:
        outside_links(copy)

    baseline = {}
    for key in sorted({(m.suite, m.filter) for m in mutants}):
        start = time.monotonic()
        status, output = run(["tests/run", BUILD, key[0]], copies[0], 600, T=key[1])
        baseline[key] = (status, time.monotonic() - start, output)

    work, outcome = queue.Queue(), []
    for mutant in mutants:
        work.put(mutant)
    threads = [threading.Thread(target=worker, args=(copy, work, baseline, outcome)) for copy in copies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 1 if failed or any(outcome) else 0


sys.exit(main())
