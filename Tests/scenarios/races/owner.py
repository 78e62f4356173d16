#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An owner with quick hands: parks, releases and cancels runs of a task that would sleep for ever, at
any moment, by mv and by task, and prints how each ended (task wait's status: 130 is right).

    owner.py SPOOL UNIT SEED THREADS RUNS
"""
import os
import random
import subprocess
import sys
import threading
import time

spool, unit, seed, threads, runs = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
PAUSES = [0, 0, 0.001, 0.005, 0.02, 0.05]
done = []


def task(*words):
    return subprocess.run(["task", *words], capture_output=True, text=True)


def find(directory, run):
    return next((n for n in os.listdir(f"{spool}/{directory}") if n.startswith(run)), None)


def until(directory, run):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if find(directory, run):
            return
        time.sleep(0.001)
    where = [d for d in ["ready", "active", "deferred", "hold", "failed", "tmp"] if find(d, run)]
    print(f"{run} does not come to {directory}/: it is in {where}", flush=True)


def move(run, origin, target):
    """False where the run is not in origin (any more)."""
    for _ in range(100):
        name = find(origin, run)
        if not name:
            return False
        try:
            os.rename(f"{spool}/{origin}/{name}", f"{spool}/{target}/{name}")
            return True
        except FileNotFoundError:
            pass  # taskd was quicker: it has another name now
    return False


def one(dice):
    log = []

    def does(what, *arguments):
        time.sleep(dice.choice(PAUSES))
        log.append(what.__name__ + " " + " ".join(arguments[1:] or arguments))
        return what(*arguments)

    run = task("submit", unit).stdout.strip()
    until("active", run)
    for _ in range(dice.choice([0, 1, 1, 2])):
        held = does(move, run, "active", "hold")
        if held and dice.random() < 0.3:
            parked = does(task, "wait", "--timeout=20s", run).returncode
            if parked != 75:
                print(f"status {parked} of {run}, which was parked", flush=True)
        if dice.random() < 0.5:
            does(move, run, "hold", "ready")
        else:
            does(task, "release", run)
        if dice.random() < 0.7:
            until("active", run)
    if dice.random() < 0.5 or not (
        does(move, run, "active", "failed") or does(move, run, "ready", "failed")
    ):
        does(task, "cancel", run)
    status = task("wait", "--timeout=20s", run).returncode
    done.append(status)
    if status != 130:
        print(f"status {status} of {run}: {', '.join(log)}", flush=True)


def work(number):
    dice = random.Random(seed * 1000 + number)
    for _ in range(runs):
        one(dice)


workers = [threading.Thread(target=work, args=[n]) for n in range(threads)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
print(f"{done.count(130)} of {threads * runs} cancelled", flush=True)
