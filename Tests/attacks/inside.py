# SPDX-License-Identifier: Apache-2.0
"""The probes of one family, each in a process of its own: `inside.py CONTEXT FAMILY [INDEX…]`.
A line `INDEX OUTCOME` each."""

import os
import sys


def descriptors():
    """What this process was given: 0-2, and where every other one leads."""
    found = []
    for fd in sorted(int(f) for f in os.listdir("/proc/self/fd")):
        try:
            found.append(str(fd) if fd < 3 else os.readlink("/proc/self/fd/%d" % fd))
        except OSError:
            pass  # the directory itself, which is closed again
    return " ".join(found)


GIVEN = descriptors()

import importlib  # noqa: E402
import json  # noqa: E402
import signal  # noqa: E402

import attack  # noqa: E402


def one(probe, context):
    """The outcome of a probe; it may end in any way."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        try:
            outcome = probe.run(context)
        except Exception as error:  # the outcome, whatever it is
            outcome = "%s: %s" % (type(error).__name__, error)
        os.write(theirs, str(outcome).encode()[:4000])
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as stream:
        outcome = stream.read().decode(errors="replace")
    how = attack.waited(pid)
    return outcome if how == "exit 0" else how


def main():
    with open(sys.argv[1]) as file:
        context = json.load(file)
    context["descriptors"] = GIVEN
    importlib.import_module(sys.argv[2])
    wanted = {int(i) for i in sys.argv[3:]}
    for index, probe in enumerate(attack.ATTACKS):
        if index in wanted:
            line = "%d %s\n" % (index, one(probe, context).replace("\n", " "))
            os.write(1, line.encode())


main()
