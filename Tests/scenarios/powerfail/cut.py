#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random power failures, for powerfail.t: cut.py SPOOL BIN BOOT MARKS SEED CUTS [MOUNT IMAGE]

taskd works while files are dropped and moved; its system calls are traced; it is killed or stopped
up to three times, then the power fails: the spool becomes what a disk may hold then, and taskd starts on
another boot. After CUTS of them all is left to end, and the promises are asked for. SEED decides
all but the moments. Exits 1 when one does not hold.
"""
import fcntl
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
import uuid

import disk
from model import CALLS, Disk, Trace
from oracle import Oracle
from work import Work

SPOOL, BIN, BOOT, MARKS, SEED, CUTS = sys.argv[1:7]


def wait(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit("not within %d s: %s" % (seconds, what if isinstance(what, str) else what()))
        time.sleep(0.02)


def is_free():
    with open(SPOOL + "/owner") as owner:
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


class Machine:
    """One boot after the other."""

    taskd = None

    def boot(self):
        with open(BOOT, "w") as file:
            file.write("%s\n" % uuid.uuid4())

    def start(self, trace=None):
        tracer = ["strace", "-D", "-q", "-y", "-xx", "-ttt", "-s", "1000000", "-o", trace,
                  "-e", "trace=" + CALLS] if trace else []
        with open(MARKS + "/taskd.err", "a") as log:
            self.taskd = subprocess.Popen(tracer + [BIN + "/taskd", "--spool=" + SPOOL],
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def holds(self):
        try:
            with open(SPOOL + "/owner") as file:
                return " pid=%d " % self.taskd.pid in file.read()
        except FileNotFoundError:
            return False

    def stop(self, number=signal.SIGKILL):
        if self.taskd is None:
            return
        self.taskd.send_signal(number)
        self.taskd.wait()
        # A pool that it was about to start has the lock until its exec.
        wait(is_free, "the lock of the owner is free")

    def pool(self):
        if not os.path.exists(SPOOL + "/run.lock"):
            return None
        inode = ":%d" % os.stat(SPOOL + "/run.lock").st_ino
        with open("/proc/locks") as locks:
            for words in map(str.split, locks):
                if words[1] == "FLOCK" and words[5].endswith(inode):
                    return int(words[4])
        return None

    def power_off(self):
        self.stop()
        pool = self.pool()
        if pool:
            os.kill(pool, signal.SIGKILL)
            wait(lambda: self.pool() is None, "the pool is dead")


def whole(trace):
    if not os.path.exists(trace):
        return False
    with open(trace, errors="replace") as file:
        return "+++" in file.read()[-300:]


def know_again():
    """A record that names a drop which came back names it as it is there: inode and times."""
    for name in os.listdir(SPOOL + "/incoming"):
        for record in disk.all_records(SPOOL):
            words = record.split(" ")
            own = (words[2] + ".cancel" == name if words[1] == "cancel" else
                   words[1] in ("accept", "reject") and "name=" + name in words)
            if own and " inode=" in record:
                disk.rekey(SPOOL, words[2], SPOOL + "/incoming/" + name, words[1])
                break


class Traced:
    """A spool whose disk is a model of one, fed with taskd's system calls."""

    def __init__(self, machine, work, choose):
        self.machine, self.work, self.choose = machine, work, choose
        self.state, self.trace, self.part = None, None, 0

    def start(self, number, part):
        if part == 0:
            self.state, self.work.log = Disk(SPOOL), []
        self.trace = "%s/trace.%d.%d" % (MARKS, number, part)
        self.machine.start(self.trace)
        wait(lambda: os.path.exists(self.trace) and os.path.getsize(self.trace), "the tracer")

    def stopped(self):
        wait(lambda: whole(self.trace), "a whole trace")
        self.work.log.extend(Trace(SPOOL).read(self.trace))

    def cut(self):
        for _, operation in sorted(self.work.log, key=lambda entry: entry[0]):
            operation(self.state)
        words = self.state.cut(self.choose)
        know_again()
        return words + " operations on names"


class Real:
    """A spool on a file system of its own, which is stopped without a commit of its journal."""

    def __init__(self, machine, folder, image):
        self.machine, self.folder, self.image = machine, folder, image
        subprocess.run(["sync", "-f", folder], check=True)

    def start(self, _number, _part):
        self.machine.start()

    def stopped(self):
        pass

    def cut(self):
        folder = os.open(self.folder, os.O_RDONLY)
        fcntl.ioctl(folder, 0x8004587D, struct.pack("I", 2))  # EXT4_IOC_SHUTDOWN, no flush
        os.close(folder)
        subprocess.run(["umount", self.folder], check=True)
        subprocess.run(["mount", "-o", "loop", self.image, self.folder], check=True)
        return "ext4"


def main(machine):
    choose = random.Random(int(SEED))
    machine.boot()
    machine.start()
    wait(lambda: machine.holds() and machine.pool(), "taskd and its pool")
    machine.stop(signal.SIGTERM)
    work = Work(SPOOL, MARKS, choose)
    oracle = Oracle(SPOOL, work)
    store = Real(machine, *sys.argv[7:9]) if len(sys.argv) > 8 else Traced(machine, work, choose)
    for number in range(int(CUTS)):
        for part in range(choose.choice([1, 1, 2, 3])):
            store.start(number, part)
            time.sleep(choose.random() * 0.1)
            work.go(choose.choice([0, choose.randint(1, 25)]))
            # A stop in order writes a checkpoint.
            machine.stop(choose.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
            store.stopped()
        machine.power_off()
        words = store.cut()
        oracle.after_cut()
        if "KEEP" in os.environ:
            shutil.copytree(SPOOL, "%s/cut.%d" % (MARKS, number), symlinks=True,
                            ignore=shutil.ignore_patterns("run.*", "log"))
        print("# cut %d: %s, %d records" % (
            number, words, len(disk.all_records(SPOOL))), flush=True)
        machine.boot()
    machine.start()
    oracle.finish(wait)
    machine.power_off()
    faults = oracle.check()
    print("# %d drops, %d of them must end" % (work.count, len(oracle.must)))
    for fault in faults:
        print("# " + fault)
    for record in disk.all_records(SPOOL):  # of the runs that the faults name
        words = record.split(" ")
        if len(words) > 2 and any(words[2].split(".")[0] in fault for fault in faults):
            print("# %s: %s" % (words[0], record[:300]))
    return 1 if faults else 0


if __name__ == "__main__":
    MACHINE = Machine()
    try:
        sys.exit(main(MACHINE))
    finally:
        MACHINE.power_off()
