# SPDX-License-Identifier: Apache-2.0
"""The spool, and what a task hands back."""

import os
import subprocess

from attack import absent, all_of, attack, opens, probe, tried

absent.family = __name__
LATER = "$TASK_SUBMIT comes with a later issue"

absent(73, "a link in $TASK_SUBMIT to /etc/shadow", LATER)
absent(74, "a FIFO, socket, device, directory, sparse file in $TASK_SUBMIT", LATER)


@attack(75, "the unit file is rewritten after it was accepted", wins="second", jail="first$")
def rewritten(t):
    file = t.work + "/rewritten.sh"
    if t.is_free:
        t.write(file, "echo second\n")
        return t.free_shell("sh " + file).out.strip()
    taskdep = os.path.join(os.path.dirname(t.machine.original), "taskdep")
    first = t.unit(command="echo", args="first", work=False)
    if os.access(taskdep, os.X_OK):
        copy = t.copy(taskdep, t.base + "/taskdep", 0o755)
        plan = t.spawn([copy, "plan", first.path], None).end().out
        with open(first.path) as old:
            changed = old.read().replace("first", "second")
        with open(first.path, "w") as new:
            new.write(changed)
        process = t.spawn([t.taskrun, "-"], None, stdin=subprocess.PIPE).process
        out, _ = process.communicate(plan.encode(), timeout=30)
        return "first" if b"data=first" in out and b"data=second" not in out else out.decode()
    return "first"


absent(76, "a forged TASK_ID, a forged or second result", LATER)
absent(77, "a million files in $TASK_SUBMIT", LATER)
absent(78, "a program in $TASK_SUBMIT", LATER)


@probe(79, "the spool, the journal, another's incoming/, the pool's sockets, by path", wins=".*OK",
       jail="ENOENT$")
def spool(c):
    places = ["/var/spool", "/var/spool/task", "/var/lib", "/var/log", "/run/task/run", "/run/systemd",
              "/run/lock", "/etc/task", "/root/.local/state", c["secret"].rsplit("/", 1)[0] + "/spool"]
    return all_of(tried(os.stat, p) for p in places)


@probe(122, "what other tasks of the slot were given: /run/task", wins=".*OK", jail="EROFS$",
       why="there is no such place without a jail")
def given(c):
    return all_of(opens("/run/task/" + d + "/x", os.O_WRONLY | os.O_CREAT)
                  for d in ("", "dir", "host", "files"))
