# SPDX-License-Identifier: Apache-2.0
"""What the soak submits: kinds of tasks, and how each must end."""
import os


def unit(command, args="", service="", checks="", dependencies="", jail=""):
    parts = []
    if dependencies:
        parts.append("[Dependencies]\n" + dependencies)
    if service:
        parts.append("[Service]\n" + service)
    if jail:
        parts.append("[Jail]\nJail=" + jail)
    if checks:
        parts.append("[Checks]\n" + checks)
    if args:
        parts.append('[Args]\nargs="%s"' % args)
    parts.append('[Command]\ncommand="%s"' % command)
    return "\n".join(parts) + "\n"


def sh(script, **rest):
    return unit("sh", "-c '%s'" % script, **rest)


# How a run ends that nobody moves: words of task.journal(5). A kill of taskrun is no failure: its
# attempts are lost and start again.
OK, BAD = {"success"}, {"failure"}

# Kind: (weight, suffix, text, how it ends). `%n` is a number of its own.
KINDS = {
    "plain": (24, ".task", unit("true"), OK),
    "shell": (12, ".task", sh("echo run %n; echo complaint >&2"), OK),
    "sleep": (10, ".task", unit("sleep", "0.3"), OK),
    "long": (2, ".task", unit("sleep", "3"), OK),
    "fails": (5, ".task", sh("echo no; exit 7"), BAD),
    "retries": (6, ".task", sh("test $TASK_ATTEMPT -ge 3",
                               service="Restart=4\nRestartSec=200ms"), OK),
    "gives-up": (3, ".task", sh("exit 1", service="Restart=2\nRestartSec=100ms"), BAD),
    "check": (4, ".task", unit("true", checks='first="true"\nsecond="sh -c \'exit 4\'"'), BAD),
    "timeout": (4, ".task", unit("sleep", "600", service="MaxTime=300ms\nTimeoutStopSec=200ms"), BAD),
    "limits": (6, ".task", sh("head -c 100000 /dev/zero >$TASK_SCRATCH/a; wc -c <$TASK_SCRATCH/a",
                              service="LimitMem=64M\nLimitDisk=8M\nLimitTasks=32"), OK),
    "disk": (2, ".task", sh("head -c 9000000 /dev/zero >$TASK_SCRATCH/a",
                            service="LimitDisk=2M"), BAD),
    "memory": (2, ".task", unit("tail", "/dev/zero", service="LimitMem=24M"), BAD),
    "segfault": (3, ".task", sh("kill -SEGV $$"), BAD),
    "forks": (2, ".task", sh("sleep 60 & sleep 60 & exit 0"), OK),
    "output": (2, ".task", sh("head -c 150000 /dev/urandom | base64"), OK),
    "flood": (1, ".task", sh("yes", service="MaxTime=200ms\nTimeoutStopSec=100ms\nLogLimit=64K"), BAD),
    "missing": (2, ".task", unit("no-such-program"), BAD),
    "unjailed": (4, ".task", unit("/bin/true", jail="no"), OK),
    "needs": (5, ".task", unit("true", dependencies="Requires=soak-a soak-b"), OK),
    "needs-bad": (2, ".task", unit("true", dependencies="Requires=soak-bad"), BAD),
    "pipeline": (5, ".yaml", "- {name: one, command: \"true\"}\n- parallel:\n"
                 "    - {name: left, command: \"sleep\", args: [\"0.1\"]}\n"
                 "    - {name: right, command: \"true\"}\n- {name: last, command: \"true\"}\n", OK),
    "script": (3, ".task", "#!/bin/sh\n#TASK MaxTime=20s\necho script %n\n", OK),
    # Bad input: rejected, each with a reason.
    "unknown-key": (2, ".task", "[Service]\nLimitMemory=1G\n[Command]\ncommand=\"true\"\n", None),
    "garbage": (1, ".task", "\0\1\2 not a unit\n", None),
    "torn-plan": (1, ".task", "taskplan 1\ntask 0 x command=true\n", None),
    "no-unit": (1, ".task", unit("true", dependencies="Requires=soak-nowhere.task"), None),
}
SUBMITTED = [k for k, v in KINDS.items() if v[3] is not None]

DEFINITIONS = {
    "soak-a.task": unit("sleep", "0.05"),
    "soak-b.task": unit("true", dependencies="Requires=soak-c"),
    "soak-c.task": unit("true"),
    "soak-bad.task": sh("exit 3"),
}


def install(spool):
    for name, text in DEFINITIONS.items():
        path = os.path.join(spool, "units", name)
        with open(path, "w", opener=lambda p, f: os.open(p, f, 0o600)) as file:
            file.write(text)


def text(kind, number):
    return KINDS[kind][2].replace("%n", str(number)).encode()
