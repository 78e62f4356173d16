# SPDX-License-Identifier: Apache-2.0
"""Tasks of many kinds at a steady rate while both daemons are killed and runs are moved about.

soak.py BINARIES DIRECTORY MINUTES RATE SEED. See contrib/soak.
"""
import os
import random
import subprocess
import sys
import time

import oracle
import units
from daemons import Daemons, LIVE, figures, spool_figures

# Killed for three quarters of the time; then the same load on processes that live: a leak shows.
DISTURBED = 0.75
BETWEEN_TASKD, BETWEEN_POOL, BETWEEN_MOVES = 7.0, 11.0, 0.4  # seconds, mean


class Soak:
    def __init__(self, binaries, work, minutes, rate, seed):
        self.binaries, self.work, self.spool = binaries, work, work + "/spool"
        self.seconds, self.rate, self.random = minutes * 60, rate, random.Random(seed)
        self.environment = dict(os.environ, TASK_SPOOL=self.spool, NO_COLOR="1")
        self.log = open(work + "/taskd.log", "ab")
        self.daemons = Daemons(binaries, self.spool, self.log)
        self.clients = []  # (Popen, what it does)
        self.dropped = {}  # name of a plain drop -> kind
        self.acknowledged = {}  # id that `task submit` printed -> kind
        self.moved = {}  # id or name -> words
        self.refusals = {}  # exit status of a client -> how often
        self.samples, self.number = [], 0
        self.kinds = list(units.KINDS)
        self.weights = [units.KINDS[kind][0] for kind in self.kinds]

    # ---- what users do

    def submit_some(self, count):
        """A third by task submit, a file each, many a call; the others by rename."""
        batch = []
        for kind in self.random.choices(self.kinds, self.weights, k=count):
            self.number += 1
            name = "%s-%d%s" % (kind, self.number, units.KINDS[kind][1])
            by_rename = self.random.random() < 0.67 or kind not in units.SUBMITTED
            path = "%s/%s%s" % (self.spool + "/incoming" if by_rename else self.work + "/units",
                                "." if by_rename else "", name)
            with open(path, "wb", opener=lambda p, f: os.open(p, f, 0o600)) as file:
                file.write(units.text(kind, self.number))
            if by_rename:
                os.rename(path, self.spool + "/incoming/" + name)
                self.dropped[name] = kind
            else:
                batch.append((kind, path))
        if batch:
            self.client(["submit"] + [path for _, path in batch], [kind for kind, _ in batch])

    def client(self, words, kinds=None):
        child = subprocess.Popen(
            [self.binaries + "/task"] + words, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.clients.append((child, words, kinds))

    def reap_clients(self, wait=False):
        left = []
        for child, words, kinds in self.clients:
            if child.poll() is None and not wait:
                left.append((child, words, kinds))
                continue
            out, err = child.communicate(timeout=60)
            if kinds is None:
                if child.returncode not in (0, 1, 3):  # ended by then, or unknown yet
                    self.refuse(words, child.returncode, err)
                continue
            ids = out.decode().split()
            if child.returncode == 0 and len(ids) == len(kinds):
                self.acknowledged.update(zip(ids, kinds))
            else:
                self.refuse(words, child.returncode, err)
            for path in words[1:]:
                os.unlink(path)
        self.clients = left

    def refuse(self, words, status, err):
        self.refusals[words[0], status] = self.refusals.get((words[0], status), 0) + 1
        self.log.write(b"soak: task %s: %d: %s" % (words[0].encode(), status, err[-400:]))

    def move_one(self):
        """hold, release, cancel, retry by task; mv, rm and an empty drop by hand."""
        how = self.random.choice(["hold", "release", "release", "cancel", "retry", "mv", "drop"])
        place = {"release": "hold", "retry": "failed", "cancel": "active",
                 "hold": self.random.choice(["ready", "active", "deferred"]),
                 "mv": self.random.choice(["ready", "active", "deferred"]), "drop": "active"}[how]
        names = os.listdir(self.spool + "/" + place)
        if not names:
            return
        name = self.random.choice(names)
        run = name[:26]
        self.moved.setdefault(run, set()).add(how)
        if how == "mv":
            try:
                os.rename("%s/%s/%s" % (self.spool, place, name), "%s/hold/%s" % (self.spool, name))
            except FileNotFoundError:
                pass
        elif how == "drop":
            open("%s/incoming/%s.cancel" % (self.spool, run), "ab").close()
        else:
            self.client([how, run])

    def tidy(self):
        """failed/ and rejected/ are the operator's to empty: what is older than 20 s goes."""
        before = time.time() - 20
        for name in ["failed", "rejected"]:
            for entry in list(os.scandir(self.spool + "/" + name)):
                try:
                    if entry.stat(follow_symlinks=False).st_ctime < before:
                        os.unlink(entry.path)
                except FileNotFoundError:
                    pass  # retried meanwhile

    # ---- the run

    def run(self):
        os.makedirs(self.work + "/units")
        self.daemons.start()
        end = time.monotonic() + 10
        while not os.path.isdir(self.spool + "/rejected") and time.monotonic() < end:
            time.sleep(0.05)
        units.install(self.spool)
        begun = time.monotonic()
        gap = lambda mean: time.monotonic() + self.random.expovariate(1 / mean)
        due = {"taskd": gap(BETWEEN_TASKD), "pool": gap(BETWEEN_POOL), "move": gap(BETWEEN_MOVES),
               "sample": begun, "tidy": begun + 20}
        while (now := time.monotonic()) < begun + self.seconds:
            wanted = int((now - begun) * self.rate) - self.number
            if wanted > 0:
                self.submit_some(min(wanted, 200))
            disturbed = now < begun + self.seconds * DISTURBED
            if disturbed and now >= due["taskd"]:
                self.daemons.kill_taskd()
                due["taskd"] = gap(BETWEEN_TASKD)
            if disturbed and now >= due["pool"]:
                self.daemons.kill_pool()
                due["pool"] = gap(BETWEEN_POOL)
            if now >= due["move"]:
                self.move_one()
                due["move"] = gap(BETWEEN_MOVES)
            if now >= due["tidy"]:
                self.tidy()
                due["tidy"] = now + 5
            if now >= due["sample"]:
                self.sample(now - begun, disturbed)
                due["sample"] += 1
            self.daemons.supervise(self.random.choice([0, 0.05, 0.5]))
            self.reap_clients()
            time.sleep(0.02)

    def sample(self, at, disturbed):
        row = {"at": at, "disturbed": disturbed}
        pool, taskd = self.daemons.pool(), self.daemons.taskd
        for name, pid in [("taskd", taskd and taskd.pid), ("pool", pool)]:
            for key, value in (pid and figures(pid) or {}).items():
                row[name + "." + key] = value
        row["taskd.pid"], row["pool.pid"] = taskd and taskd.pid, pool
        row.update(spool_figures(self.spool))
        self.samples.append(row)

    def settle(self, seconds):
        """Nothing new comes, what is parked is let go: all must end. True when it has."""
        self.reap_clients(wait=True)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.daemons.supervise(0)
            for name in os.listdir(self.spool + "/hold"):
                os.rename(self.spool + "/hold/" + name, self.spool + "/ready/" + name)
            now = {d: [n for n in os.listdir(self.spool + "/" + d) if n[0] != "."] for d in LIVE}
            if not any(now.values()):
                return True
            time.sleep(0.2)
        for directory, names in now.items():
            for name in names[:3]:
                print("left: %s/%s" % (directory, name))
        return False


def main():
    binaries, work, minutes, rate, seed = sys.argv[1:6]
    soak = Soak(binaries, work, float(minutes), float(rate), int(seed))
    try:
        soak.run()
        is_settled = soak.settle(180)
        verdict = oracle.judge(soak, is_settled)
    finally:
        is_stopped = soak.daemons.stop() and soak.daemons.sweep()
    verdict.stopped(is_stopped)
    sys.exit(verdict.print())


if __name__ == "__main__":
    main()
