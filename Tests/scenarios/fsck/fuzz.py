#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Takes a legal spool, spoils it in one to three ways (seeded), and asks: fsck names each, --repair leaves nothing that taskd's next
start does not settle, no byte that was there is gone, and then taskd ends everything that was acknowledged.

    fuzz.py BIN SPOOL DIRECTORY SEED ROUNDS        SPOOL has been left by a taskd that ended in order
"""
import hashlib
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import time

binaries, legal, directory, seed, rounds = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
STATES = ["ready", "active", "deferred", "hold", "failed"]
LIVE = STATES[:4]
FOLDERS = [*STATES, "incoming", "rejected", "units", "tmp", "journal", "log"]
spool = os.path.join(directory, "spool")


def path(*parts):
    return os.path.join(spool, *parts)


def plans(folders=STATES):
    return [(folder, name) for folder in folders if os.path.isdir(path(folder)) for name in sorted(os.listdir(path(folder)))
            if re.match(r"[0-9a-z]{26}([:+]\d+)*$", name) and os.path.isfile(path(folder, name)) and not os.path.islink(path(folder, name))]


def write(place, data):
    with open(place, "wb") as file:
        file.write(data)


# Each spoils one thing and returns the places that fsck must name; None where it finds nothing to spoil.

def duplicate(dice):
    folder, name = dice.choice(plans())
    other = dice.choice([f for f in STATES if f != folder])
    if os.path.exists(path(other, name)):
        return None
    shutil.copy(path(folder, name), path(other, name))
    return [(f"{folder}/{name}", f"{other}/{name}")]


def torn(dice):
    found = plans()
    folder, name = dice.choice(found)
    data = open(path(folder, name), "rb").read()
    write(path(folder, name), data[:dice.randrange(len(data))])
    return [f"{folder}/{name}"]


def flipped(dice):
    folder, name = dice.choice(plans())
    data = bytearray(open(path(folder, name), "rb").read())
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    write(path(folder, name), bytes(data))
    return [f"{folder}/{name}"]


def exchanged(dice):
    folder, name = dice.choice(plans(LIVE))
    data = open(path(folder, name), "rb").read()
    body = data[:data.rindex(b"digest ")]
    body = re.sub(rb"(task \d+ )(\S+)", rb"\1\2x", body, count=1)
    write(path(folder, name), body + b"digest " + hashlib.sha256(body).hexdigest().encode() + b"\n")
    return [f"{folder}/{name}"] if "+" not in name else []


def generation(dice):
    folder, name = dice.choice(plans(LIVE))
    base = name.split("+")[0]
    os.rename(path(folder, name), path(folder, f"{base}+{dice.randrange(5, 90)}"))
    return [re.compile(f"{folder}/{base}\\+")]


def stray_state(dice):
    folder = dice.choice(STATES)
    name = dice.choice(["README", "x.task", "01m89wymcsf8bqxtjfctqd3tk", "01m89wymcsf8bqxtjfctqd3tkm:1", "01m89wymcsf8bqxtjfctqd3tkm+0", "a b", "-x"])
    write(path(folder, name), b"somebody put this here %d\n" % dice.randrange(10**9))
    return [f"{folder}/{name}"]


def stray_root(dice):
    name = dice.choice(["core", "notes.txt", "incoming.bak", "checkpoint~"])
    write(path(name), b"notes %d\n" % dice.randrange(10**9))
    return [name]


def stray_journal(dice):
    folder = dice.choice(["journal", "log"])
    write(path(folder, "backup.tar"), b"tar %d\n" % dice.randrange(10**9))
    return [f"{folder}/backup.tar"]


def link(dice):
    folder = dice.choice([*STATES, "tmp"])
    name = dice.choice(["01m89wymcsf8bqxtjfctqd3tkm", "link"])
    os.symlink(dice.choice(["/etc/passwd", "../owner", "nowhere"]), path(folder, name))
    return [f"{folder}/{name}"]


def folder_as_file(dice):
    folder = dice.choice([*STATES, "tmp"])
    os.mkdir(path(folder, "01m89wymcsf8bqxtjfctqd3tkm"))
    write(path(folder, "01m89wymcsf8bqxtjfctqd3tkm", "x"), b"inside %d\n" % dice.randrange(10**9))
    return [f"{folder}/01m89wymcsf8bqxtjfctqd3tkm"]


def fifo(dice):
    folder = dice.choice(STATES)
    os.mkfifo(path(folder, "01m89wymcsf8bqxtjfctqd3tkm"))
    return [f"{folder}/01m89wymcsf8bqxtjfctqd3tkm"]


def mode_directory(dice):
    folder = dice.choice([f for f in FOLDERS if f != "incoming"])
    os.chmod(path(folder), dice.choice([0o777, 0o755, 0o770, 0o500]))
    return [folder]


def mode_file(dice):
    folder, name = dice.choice(plans())
    os.chmod(path(folder, name), dice.choice([0o666, 0o622, 0o660]))
    return [f"{folder}/{name}"]


def missing(dice):
    empty = [f for f in FOLDERS if f in ("deferred", "active", "tmp", "incoming") and not os.listdir(path(f))]
    if not empty:
        return None
    folder = dice.choice(empty)
    os.rmdir(path(folder))
    return [f"{folder}/"]


def directory_as_file(dice):
    empty = [f for f in ("deferred", "active", "tmp") if os.path.isdir(path(f)) and not os.listdir(path(f))]
    if not empty:
        return None
    folder = dice.choice(empty)
    os.rmdir(path(folder))
    write(path(folder), b"a file %d\n" % dice.randrange(10**9))
    return [folder]


def checkpoint(dice):
    data = open(path("checkpoint"), "rb").read()
    write(path("checkpoint"), data[:-10])
    return ["checkpoint"]


def no_reason(dice):
    found = [n for n in os.listdir(path("rejected")) if n.endswith(".reason")]
    if not found:
        return None
    os.unlink(path("rejected", found[0]))
    return [f"rejected/{found[0][:-7]}"]


def half_built(dice):
    """Not damage: a crash leaves it."""
    write(path("tmp", "01m89wymcsf8bqxtjfctqd3tkm"), b"taskplan 1\nta")
    return [("tmp/01m89wymcsf8bqxtjfctqd3tkm", "unfinished")]


WAYS = [duplicate, torn, flipped, exchanged, generation, stray_state, stray_root, stray_journal, link, folder_as_file, fifo,
        mode_directory, mode_file, missing, directory_as_file, checkpoint, no_reason, half_built]


def contents():
    """Digests of all that somebody wrote; reasons, what the tools keep and what fsck writes again are not among them."""
    found = {}
    for top, folders, names in os.walk(spool):
        names = names + [f for f in folders if os.path.islink(os.path.join(top, f))]
        for name in names:
            place = os.path.join(top, name)
            if os.path.islink(place):
                found[os.readlink(place)] = place
            elif stat.S_ISREG(os.lstat(place).st_mode) and not name.endswith(".reason") and name not in ("owner", ".reserve", "version"):
                found[hashlib.sha256(open(place, "rb").read()).hexdigest()] = place
    return found


def fsck(*words):
    return subprocess.run([f"{binaries}/task", "fsck", f"--spool={spool}", *words], capture_output=True, text=True, timeout=60)


def records():
    lines = []
    for name in sorted(os.listdir(path("journal"))):
        if "-taskd-" in name and name.endswith((".open", ".sealed")):
            data = open(path("journal", name), "rb").read().replace(b"\0", b"").decode(errors="replace")
            lines += re.findall(r"^[0-9a-f]{8} \d+ \+?\d+ (\d+ .*)$", data, re.M)
    return lines


def pool_pid():
    try:
        inode = os.stat(path("run.lock")).st_ino
    except FileNotFoundError:
        return None
    for line in open("/proc/locks"):
        words = line.split()
        if words[1] == "FLOCK" and words[5].endswith(f":{inode}"):
            return int(words[4])
    return None


def ended():
    finals = {}
    for line in records():
        words = line.split(" ")
        if words[1] == "end" and "." not in words[2] and "final=yes" in words:
            generation = next((w[2:] for w in words if w.startswith("g=")), "0")
            finals.setdefault((words[2], generation), []).append(next(w[6:] for w in words if w.startswith("state=")))
    return finals


def run_taskd(faults, accepted, log):
    errors = open(log, "w")
    taskd = subprocess.Popen([f"{binaries}/taskd", f"--spool={spool}", "--journald=/nonexistent"], stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
    end = time.monotonic() + 15
    while time.monotonic() < end:
        time.sleep(0.01)
        if taskd.poll() is not None:
            faults.append(f"taskd does not run, {taskd.returncode}: {open(log).read().strip()}")
            return
        for folder, name in plans(["hold", "deferred"]):
            try:
                os.rename(path(folder, name), path("ready", name))
            except FileNotFoundError:
                pass
        if not plans(LIVE) and not plans(LIVE) and all(any(run == key[0] for key in ended()) for run in accepted):
            break
    else:
        faults.append(f"not all ends: {plans(LIVE)}, no end of {[r for r in accepted if not any(r == k[0] for k in ended())]}")
    taskd.terminate()
    taskd.wait()
    pid = pool_pid()
    if pid and open(f"/proc/{pid}/comm").read().strip() == "taskrun":
        os.kill(pid, signal.SIGKILL)
    for key, states in ended().items():
        if len(states) != 1:
            faults.append(f"{key} has {len(states)} ends: {states}")


def one(number):
    dice = random.Random(seed * 100_003 + number)
    shutil.rmtree(spool, ignore_errors=True)
    shutil.copytree(legal, spool, symlinks=True, ignore=lambda _, names: [n for n in names if n in ("run.sock", "index.sqlite")])
    accepted = {line.split(" ")[2] for line in records() if line.split(" ")[1] == "accept"}
    done, expected = [], []
    for _ in range(dice.choice([1, 1, 2, 3])):
        way = dice.choice(WAYS)
        try:
            places = way(dice)
        except (OSError, IndexError, ValueError):  # an earlier way has taken away what it needs
            places = None
        if places is not None:
            done.append(way.__name__)
            expected += places
    if not done:
        return []
    faults = []
    before = contents()
    told = fsck()
    isolated = len(done) == 1
    for place in expected if isolated else []:
        word = "damaged"
        if isinstance(place, tuple) and place[1] == "unfinished":
            place, word = place
        lines = told.stdout.splitlines()
        hit = any(place.match(line) if isinstance(place, re.Pattern) else any(line.startswith(f"{p}: {word}") for p in place) if isinstance(place, tuple)
                  else line.startswith((f"{place}: {word}", f"{place}/: {word}")) for line in lines)
        if not hit:
            faults.append(f"fsck does not name {place}")
    damaged = any(not (isinstance(p, tuple) and p[1] == "unfinished") for p in expected)
    if told.returncode != (1 if damaged and expected else 0):
        faults.append(f"fsck exits {told.returncode}: {told.stdout}{told.stderr}")
    if before != contents():
        faults.append("fsck without --repair changed something")
    mended = fsck("--repair")
    if mended.returncode != 0:
        faults.append(f"--repair exits {mended.returncode}: {mended.stdout}{mended.stderr}")
    again = fsck("-q")
    left = [line for line in again.stdout.splitlines() if ": damaged: " in line and "at its next start" not in line and "so does taskd" not in line]
    if left or again.returncode not in (0, 1):
        faults.append(f"after --repair: {left} {again.stderr}")
    gone = set(before) - set(contents())
    if gone:
        faults.append(f"bytes are gone: {[before[g] for g in gone]}")
    run_taskd(faults, accepted, os.path.join(directory, "taskd.err"))
    last = fsck("-q")
    if last.returncode != 0:
        faults.append(f"after taskd has run: {last.stdout}{last.stderr}")
    if faults:
        print(f"round {number}: {', '.join(done)}: {expected}", *faults, sep="\n  ", flush=True)
        print("  told: " + told.stdout.replace("\n", "\n        "))
    return faults


broken = sum(bool(one(number)) for number in range(rounds))
print(f"{rounds} spoiled spools, {broken} not as they should be")
sys.exit(1 if broken else 0)
