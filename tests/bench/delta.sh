# SPDX-License-Identifier: Apache-2.0
# Delta and full payload sizes beside gzip, xz and Debian's bsdiff on the same files; CPU seconds and peak memory of
# making and applying. Pairs: the demo's application, release 1 to 2 and 3.0.0 to 3.0.1, and ../shared/samples/firmware
# where it is present.
python3 - "$RB_TREE" "$RB_BIN" <<'PY'
import glob
import os
import shutil
import subprocess
import sys

tree, programs = sys.argv[1:3]


def run(*command):
    """CPU seconds and peak KiB of a command."""
    pid = os.fork()
    if pid == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.execvp(command[0], command)
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(command)}: status {status}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def packed(path, *command):
    if not shutil.which(command[0]):
        return None
    return len(subprocess.run([*command, path], check=True, stdout=subprocess.PIPE).stdout)


def shown(v):
    return "-" if v is None else f"{v:,}"


app = os.path.join(programs, "../app/app-")
pairs = [("app-1-to-2", app + "1.0.0.bin", app + "2.0.0.bin"), ("app-3-to-fixed", app + "3.0.0.bin", app + "3.0.1.bin")]
for path in sorted(glob.glob(os.path.join(tree, "../shared/samples/firmware/*.old"))):
    pairs.append((os.path.basename(path)[:-4], path, path[:-3] + "new"))
row = "{:<23}{:>11}{:>11}{:>11}{:>11}{:>11}{:>11}{:>7}{:>8}{:>8}{:>9}"
print("bytes; ratio: delta to bsdiff; CPU seconds of making and applying the delta, applying also hashes; peak MiB of making")
print(row.format("pair", "new", "gzip -9", "xz -9", "full", "bsdiff", "delta", "ratio", "make s", "apply s", "make MiB"))
for name, old, new in pairs:
    run("otaforge", "delta", "create", "--to", new, "-o", "full.rbp", "--quiet")
    cpu, rss = run("otaforge", "delta", "create", "--from", old, "--to", new, "-o", "delta.rbp", "--quiet")
    apply_cpu, _ = run("otaforge", "delta", "apply", "--from", old, "--patch", "delta.rbp", "-o", "again")
    if open("again", "rb").read() != open(new, "rb").read():
        sys.exit(f"{name}: the delta does not give the new file")
    bsdiff = None
    if shutil.which("bsdiff"):
        run("bsdiff", old, new, "bsdiff")
        bsdiff = os.path.getsize("bsdiff")
    delta = os.path.getsize("delta.rbp")
    print(row.format(name, shown(os.path.getsize(new)), shown(packed(new, "gzip", "-9c")),
                     shown(packed(new, "xz", "-9c")), shown(os.path.getsize("full.rbp")), shown(bsdiff), shown(delta),
                     f"{delta / bsdiff:.3f}" if bsdiff else "-", f"{cpu:.2f}", f"{apply_cpu:.2f}",
                     f"{rss / 1024:.0f}"), flush=True)

print()
print("decoder memory against size of the delta (declared in the header, and all a device's decoder takes):")
for name, old, new in pairs:
    if "kern" in name:  # compressed: the memory makes no difference
        continue
    sizes = []
    for memory in ("64K", "128K", "256K", "512K", "2M"):
        run("otaforge", "delta", "create", "--from", old, "--to", new, "-o", "delta.rbp", "--quiet",
            "--memory", memory)
        sizes.append(f"{memory} {os.path.getsize('delta.rbp'):,}")
    print(f"{name:<23}", "   ".join(sizes), flush=True)
PY
