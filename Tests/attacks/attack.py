# SPDX-License-Identifier: Apache-2.0
"""What the attack families share: how an attack is declared, and what a probe may call.

An attack has its number in the jail's design (from 106 on: found later), a title, what its outcome
looks like where it succeeds (`wins`) and what it must be in a jail (`jail`): regular expressions,
matched from the first character on, or a mapping from a mode to one.

  @probe   runs inside, beside others of its family in one jail, in a process of its own
  @attack  runs on the host and makes units of its own; `t` is a Trial (runner.py)

Modes: free-root, free-user (no jail); root (taskrun as root, task of root), nobody (taskrun as
root, User=nobody), user (taskrun as an ordinary user).
"""

import ctypes
import errno
import os
import re
import signal
import struct

LIBC = ctypes.CDLL(None, use_errno=True)
ATTACKS = []


class Attack:
    """One line of the table."""

    def __init__(self, number, title, run, inside, **how):
        self.number = number
        self.title = title
        self.run = run
        self.inside = inside
        self.family = run.__module__
        self.wins = how.pop("wins", ".")
        self.jail = how.pop("jail", None)
        self.why = how.pop("why", None)  # why it cannot succeed without a jail here
        self.needs = how.pop("needs", ())  # facts of the machine; "root": not as an ordinary user
        self.modes = how.pop("modes", ("root", "nobody", "user"))
        self.closed = how.pop("closed", False)  # without the jail only in namespaces of its own
        self.weak = how.pop("weak", None)  # (fact that is missing, what is expected then)
        self.skip = how.pop("skip", None)  # why it is not here at all
        self.slow = how.pop("slow", False)  # not on an emulated machine
        if how:
            raise TypeError("unknown: " + ", ".join(how))

    def expected(self, mode, facts):
        """The expression for a mode of the jail."""
        if self.weak and self.weak[0] not in facts:
            return self.weak[1]
        if isinstance(self.jail, dict):
            return self.jail.get(mode, self.jail.get(""))
        return self.jail

    def succeeds(self, outcome):
        return re.match(self.wins, outcome, re.S) is not None


def probe(number, title, **how):
    def declare(run):
        ATTACKS.append(Attack(number, title, run, True, **how))
        return run

    return declare


def attack(number, title, **how):
    def declare(run):
        ATTACKS.append(Attack(number, title, run, False, **how))
        return run

    return declare


def absent(number, title, reason):
    """An attack of the list that is not run here, and why."""

    def nothing():
        return ""

    nothing.__module__ = absent.family
    ATTACKS.append(Attack(number, title, nothing, False, skip=reason))


absent.family = ""

# ---- words for outcomes


def name(number):
    return errno.errorcode.get(number, str(number)) if number else "OK"


def call(number, *arguments):
    """A system call by number: the name of its errno, or OK."""
    words = [a if isinstance(a, (bytes, ctypes.Array)) else ctypes.c_long(a) for a in arguments]
    ctypes.set_errno(0)
    result = LIBC.syscall(ctypes.c_long(number), *words)
    return name(ctypes.get_errno()) if result < 0 else "OK"


def tried(function, *arguments, **more):
    """OK, or the errno of an OSError."""
    try:
        function(*arguments, **more)
    except OSError as error:
        return name(error.errno)
    except ValueError as error:
        return str(error)
    return "OK"


def reads(path, size=1 << 16):
    """How many bytes can be read there."""
    try:
        with open(path, "rb", buffering=0) as file:
            return "%d bytes" % len(file.read(size) or b"")
    except OSError as error:
        return name(error.errno)


def opens(path, flags):
    def once():
        os.close(os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY))

    return tried(once)


def all_of(outcomes):
    """One word when all are the same, else each."""
    outcomes = list(outcomes)
    return outcomes[0] if len(set(outcomes)) == 1 else " ".join(outcomes)


def status_of(pid, field):
    with open("/proc/%s/status" % pid) as file:
        for line in file:
            if line.startswith(field + ":"):
                return line.split(":", 1)[1].split()
    return []


def waited(pid):
    """How a child ended, in a word."""
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return "exit %d" % os.WEXITSTATUS(status)


def alive(mark):
    """Pids of processes on the host whose command line has a mark."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            with open("/proc/%s/cmdline" % entry, "rb") as file:
                if entry.isdigit() and mark.encode() in file.read():
                    found.append(int(entry))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def machine_code(code):
    """Runs machine code in a child; how it ended."""
    import mmap

    pid = os.fork()
    if pid == 0:
        area = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        area.write(code)
        address = ctypes.addressof(ctypes.c_char.from_buffer(area))
        result = ctypes.CFUNCTYPE(ctypes.c_long)(address)()
        os._exit(0 if result > 0 else 3)
    return waited(pid)


def pack(form, *values):
    return ctypes.create_string_buffer(struct.pack(form, *values))
