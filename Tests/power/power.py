#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Power failures of a real file system, for power.t.

    power.py BLOCKFS BIN DIRECTORY KIND [--seed=N] [--cuts=N] [--seconds=S] [--many=N] [--record=S]
             [--options=MOUNT] [--defect=NAME] [--first] [--probe] [-v]

Records every write and flush of a file system of KIND below a spool in use, with what its users were told at
which moment. Then it cuts the power: before any entry of the recording, with any part of what no flush covers;
mounts what may be left, lets taskd recover and go on to the end of all work, and asks the promises. Every third
cut is followed by others in the middle of its recovery. Ends after N cuts or S seconds; with --first at the
first promise that is broken. --defect makes fsync of `taskd`, of `submit`, or that of its `directory` do
nothing. --probe only tells whether such a disk can be mounted. --seed decides all but the moments. Exits 10
when a promise is broken, 2 when a file system could not be mounted after a cut.
"""
import argparse
import os
import random
import re
import signal
import subprocess
import sys
import time

from machine import WORK, Machine, names, until
from promises import Promises, Told, disk
from store import Store
from users import Users

BROKEN = 10
BAD = OSError, ValueError, IndexError  # what a disk that lost something may do to who reads it
FAKE = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "--seccomp-bpf"]
RUN = re.compile("[0-9a-hjkmnp-tv-z]{26}")
BOOT = "/proc/sys/kernel/random/boot_id"


def lying(call, path=None):
    """Words that run a program whose calls do nothing and succeed."""
    only = ["-P", path] if path else []
    return FAKE + only + ["-e", "trace=" + call, "-e", "inject=%s:retval=0" % call]


class Cutter:
    def __init__(self, store, machine, choose, arguments):
        self.store, self.machine, self.choose, self.arguments = store, machine, choose, arguments
        self.cuts = self.again = self.unmountable = self.broken = 0

    def record(self):
        users = Users(self.store, self.machine, self.arguments.seed, self.tracers())
        if self.arguments.defect == "taskd":
            self.machine.daemon = lying("fdatasync,fsync")
        self.store.make()
        self.store.mount(self.arguments.options)
        self.machine.boot()
        self.store.order("begin")
        users.go(self.arguments.record, self.arguments.many)
        self.machine.daemon = []
        self.machine.power_off()
        self.store.unmount()
        if users.errors:
            sys.exit("a user failed: " + users.errors[0])
        self.entries = self.store.entries()
        self.flushes = [at for at, entry in enumerate(self.entries) if entry[0] == "flush"]
        self.marks = [at for at, entry in enumerate(self.entries) if entry[0] == "mark"]
        print("# %s, seed %s: %d writes, %d flushes, %d acknowledgements, %d segments compressed" % (
            self.store.kind, self.arguments.seed, len(self.entries) - len(self.flushes) - len(self.marks),
            len(self.flushes), len(self.marks), users.packed), flush=True)

    def tracers(self):
        return {"submit": {"submit": lying("fsync"),
                           "directory": lying("fsync", self.machine.spool + "/incoming")}[self.arguments.defect]
                } if self.arguments.defect in ("submit", "directory") else {}

    def pick(self):
        """(entry, mode, seed) of a cut: mostly when most is at stake, just before a flush or after a word."""
        seed = self.choose.getrandbits(48)
        if self.choose.random() < 0.3:
            return self.choose.choice(self.marks) + 1, self.choose.choice(["none", "none", "subset"]), seed
        if self.flushes and self.choose.random() < 0.6:
            number = self.choose.randrange(len(self.flushes))
            at = self.flushes[number] + self.choose.choice([0, 0, 0, 1])
        else:
            at = self.choose.randrange(len(self.entries) + 1)
        return at, self.choose.choice(["none", "none", "prefix", "subset", "subset", "one", "all"]), seed

    def try_cut(self, at, mode, seed):
        sector = self.store.system.sector
        words = self.store.order("cut %d %s %d %d" % (at, mode, seed, sector))
        told = Told(text for kind, text in self.entries[:at] if kind == "mark")
        self.cuts += 1
        choose = random.Random(seed)
        try:
            if choose.random() < 0.33 and not self.arguments.first:
                self.interrupt(choose)
            self.boot()
            faults = self.recover(told)
        except (*BAD, subprocess.TimeoutExpired) as error:
            faults = [str(error) or repr(error)]
            if str(error).startswith("[Errno") and "] mount: " in str(error):
                self.unmountable += 1
                faults = [] if self.arguments.first else faults  # what it shows is about the disk
        finally:
            self.machine.power_off()
        if faults or self.arguments.v:
            print("# cut %d,%s,%d: %s; %d were told" % (at, mode, seed, words, len(told.runs) + len(told.drops)))
            self.say(faults)
        if faults and not self.arguments.first:
            self.show("after the recovery", faults)
            self.store.unmount()
            self.store.order("cut %d %s %d %d" % (at, mode, seed, sector))
            self.store.mount()
            self.show("after the cut", faults)
            for number in range(at):
                kind, text = self.entries[number]
                if kind == "mark" and any(run in text for run in RUN.findall(" ".join(faults))):
                    print("#   told before entry %d: %s" % (number, text[:200]))
        self.store.unmount()
        self.broken += bool(faults)
        return not faults

    def boot(self):
        self.machine.boot()
        self.store.mount()
        if os.path.exists(self.machine.log):
            os.truncate(self.machine.log, 0)
        self.machine.start()

    def interrupt(self, choose):
        """The power fails again, once or twice, while taskd recovers."""
        for _ in range(choose.choice([1, 1, 2])):
            self.boot()
            until(5, lambda: self.machine.has_taken() or self.machine.is_dead())
            time.sleep(choose.random() ** 2 * 0.1)
            writes = len(self.store.entries(True))
            self.machine.power_off()
            self.store.unmount()
            at = choose.randint(writes // 2, writes)
            mode = choose.choice(["none", "none", "prefix", "subset", "one"])
            self.store.order("again %d %s %d %d" % (at, mode, choose.getrandbits(48), self.store.system.sector))
            self.again += 1

    def is_quiet(self):
        return not any(not entry.startswith("hold/") for entry in self.machine.live())

    def recover(self, told):
        if not until(10, lambda: self.machine.is_ready() or self.machine.is_dead()) or self.machine.is_dead():
            return ["taskd starts: " + open(self.machine.log).read()[-600:]]
        faults = []
        if not until(20, lambda: self.machine.is_dead() or self.is_settled()):
            return ["all work ends: " + " ".join(self.machine.live()[:10])]
        held = {name[:26] for name in names(self.machine.spool, "hold")}
        last = dict((run, verb) for verb, run in told.moves)
        ended = {words for words in told.ends}
        for run in (run for run, verb in last.items() if verb == "hold" and run not in held | ended):
            if not self.ended_meanwhile(run):
                faults.append("what was parked is: %s" % run)
        while self.machine.live() and not faults:
            self.machine.release_held()
            if not until(20, self.is_settled):
                return ["all work ends: " + " ".join(self.machine.live()[:10])]
        self.machine.stop(signal.SIGTERM)
        self.machine.end_pool()
        if self.machine.taskd.returncode != 0:
            faults.append("taskd ends in order: " + open(self.machine.log).read()[-600:])
        return faults + Promises(self.machine, told).check()

    def ended_meanwhile(self, run):
        """Its attempt ended by itself when it was about to be killed: nothing started since."""
        verbs = [record.split(" ")[1] for record in disk.all_records(self.machine.spool) if " %s" % run in record]
        since = verbs[len(verbs) - verbs[::-1].index("hold"):] if "hold" in verbs else ["start"]
        return "end" in since and "start" not in since

    def is_settled(self):
        """Nothing is on its way: seen twice, as a run is in no directory for a moment while it moves."""
        if not self.is_quiet():
            return False
        time.sleep(0.01)
        return self.is_quiet()

    def say(self, faults):
        for fault in faults[:3 if self.arguments.first else 8]:
            print("#   " + fault.replace("\n", " | "))
        if faults and not self.arguments.first and os.path.exists(self.machine.log):
            with open(self.machine.log) as log:
                for line in log.read().splitlines()[:12]:
                    print("#   " + line)
        sys.stdout.flush()

    def show(self, when, faults):
        """Where the runs that the faults name are, and what the journal says of them."""
        runs = set(RUN.findall(" ".join(faults[:3])))
        for folder in WORK + ["failed", "rejected"]:
            for name in names(self.machine.spool, folder):
                if any(run in name for run in runs):
                    print("#   %s: %s/%s, %d bytes" % (
                        when, folder, name, os.stat("%s/%s/%s" % (self.machine.spool, folder, name)).st_size))
        try:
            for record in disk.all_records(self.machine.spool):
                if any(run in record for run in runs):
                    print("#   %s: %s" % (when, record[:220]))
        except BAD as error:
            print("#   %s: the journal cannot be read: %r" % (when, error))
        sys.stdout.flush()

    def go(self):
        end = time.monotonic() + self.arguments.seconds
        while self.cuts < self.arguments.cuts and time.monotonic() < end:
            if not self.try_cut(*self.pick()) and (self.arguments.first or self.broken > 5):
                break


def parse():
    parser = argparse.ArgumentParser()
    for name in ("blockfs", "bin", "directory", "kind"):
        parser.add_argument(name)
    for name, kind, value in (("seed", int, 1), ("cuts", int, 100), ("seconds", float, 1e9), ("many", int, 0),
                              ("record", float, 3), ("options", str, ""), ("defect", str, "")):
        parser.add_argument("--" + name, type=kind, default=value)
    for name in ("-v", "--first", "--probe"):
        parser.add_argument(name, action="store_true")
    return parser.parse_args()


def probe(arguments):
    store = Store(arguments.directory, arguments.blockfs, arguments.kind)
    try:
        store.make()
        store.mount()
        return 0
    finally:
        store.close()


def main():
    arguments = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if arguments.probe:
        return probe(arguments)
    store = Store(arguments.directory, arguments.blockfs, arguments.kind)
    spool = store.mount_point + "/spool"
    machine = Machine(arguments.bin, spool, BOOT, arguments.directory + "/taskd.err")
    cutter = Cutter(store, machine, random.Random(arguments.seed), arguments)
    start = time.monotonic()
    try:
        cutter.record()
        begun = time.monotonic()
        cutter.go()
        rate = (cutter.cuts + cutter.again) * 60 / max(time.monotonic() - begun, 0.001)
        print("# %s: %d cuts and %d in recoveries, %d a minute; broken %d, fsck %d; %d s in all" % (
            arguments.kind, cutter.cuts, cutter.again, rate, cutter.broken, store.repaired, time.monotonic() - start))
    finally:
        machine.power_off()
        store.close()
    return BROKEN if cutter.broken > cutter.unmountable or cutter.broken and arguments.first else (
        2 if cutter.unmountable else 0)


if __name__ == "__main__":
    sys.exit(main())
