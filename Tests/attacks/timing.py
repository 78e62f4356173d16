# SPDX-License-Identifier: Apache-2.0
"""Deadlines, and the death of taskrun."""

import os
import random
import signal
import time

from attack import absent, alive, attack
from trial import DEED

absent.family = __name__

TRACED = """
import ctypes, os, time
libc = ctypes.CDLL(None)
parent = os.getpid()
if os.fork() == 0:
    libc.ptrace(16, parent, 0, 0)
    os.waitpid(parent, 0x40000000)
    time.sleep(100)
while True: time.sleep(1)
"""


@attack(91, "a task that is traced and stopped by its child, at MaxTime", wins="alive",
        jail="timeout", needs=("x86_64",))
def traced(t):
    if t.is_free:
        running = t.spawn(["python3", "-S", "-c", TRACED], None)
        time.sleep(0.4)
        running.process.terminate()
        time.sleep(0.1)
        state = "alive" if running.process.poll() is None else "ended"
        os.killpg(running.process.pid, signal.SIGKILL)
        running.end()
        return state
    return t.unit(python=TRACED, jail=("SystemCallFilter=@debug",), service=(
        DEED, "TimeoutStopSec=200ms")).run().said


@attack(92, "kill -9 taskrun: what is left of its tasks", wins="1 left", jail="none left$")
def orphans(t):
    seconds = "2%06d" % (os.getpid() * 10 + len(t.mode))
    ready = t.work + "/orphan-ready"
    script = "touch %s; (setsid sleep %s &) ; exec sleep 50" % (ready, seconds)
    if t.is_free:
        running = t.spawn(["sh", "-c", script], None)
    else:
        running = t.unit(shell=script).start("--slots=1")
    t.wait_for(ready)
    end = time.monotonic() + 5
    while not alive("sleep\0" + seconds) and time.monotonic() < end:
        time.sleep(0.01)
    running.process.kill()
    end = time.monotonic() + (0.2 if t.is_free else 5)
    while alive("sleep\0" + seconds) and time.monotonic() < end:
        time.sleep(0.02)
    left = alive("sleep\0" + seconds)
    for pid in left:
        t.kill(pid)
    os.unlink(ready)
    return "%s left" % (len(left) or "none")


@attack(93, "kill -9 taskrun at any moment of the set-up: 40 times", wins="", why="no set-up",
        jail="none left$")
def early(t):
    if t.is_free:
        return ""
    seconds = "3%06d" % (os.getpid() * 10 + len(t.mode))
    unit = t.unit(command="sleep", args=seconds)
    rounds = random.Random(4)
    for _ in range(40):
        running = unit.start("--slots=1")
        time.sleep(rounds.uniform(0.001, 0.06))
        running.process.kill()
        running.process.communicate()
    end = time.monotonic() + 5
    while time.monotonic() < end and (alive("sleep\0" + seconds) or alive(unit.path)):
        time.sleep(0.05)
    left = alive("sleep\0" + seconds) + alive(unit.path)
    for pid in left:
        t.kill(pid)
    return "%s left" % (len(left) or "none")


absent(94, "a storm of signals to taskrun by the same uid",
       "documented: who has the uid outside of the jail is trusted")
absent(95, "suspend during MaxTime", "no machine here can sleep; deadlines are of CLOCK_BOOTTIME")
