# SPDX-License-Identifier: Apache-2.0
"""The spool, and what a task hands back."""

import os
import subprocess

from attack import all_of, attack, opens, probe, tried
from pool import RUN, Pool


def counted(pool):
    return "%d drops, %d refused, %s" % (len(pool.drops), len(pool.refused), pool.ended)


@attack(73, "a link in $TASK_SUBMIT to /etc/shadow", wins="secret", jail="0 drops, 4 refused, state=success$")
def links(t):
    secret = t.machine.files["secret"]
    if t.is_free:
        return t.free_shell("cd %s; ln -sf %s a.task; cat a.task" % (t.directory("drops"), secret)).out.strip()
    with Pool(t) as pool:
        pool.run("ln -s %s a.task; ln -s ../../../etc/passwd b.task; ln -s /proc/self/environ c.task;"
                 "ln -s d.task d.task; ln /usr/bin/env e.task; mkdir .f; ln -s .f g.end; true" % secret)
        return counted(pool) if "secret-of" not in pool.output else "secret"


@attack(74, "a FIFO, socket, device, directory, sparse file in $TASK_SUBMIT", wins="hangs",
        jail="0 drops, 4 refused, state=success$")
def kinds(t):
    if t.is_free:
        end = t.free_shell("cd %s; mkfifo a.task; timeout 1 cat a.task" % t.directory("drops"))
        return "hangs" if end.status == 124 else "read"
    with Pool(t) as pool:
        pool.run("mkfifo a.task; mkdir -p b.task/x; truncate -s 10G c.task; mknod e.task b 254 0;"
                 "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"d.task\")'; true",
                 "LimitDisk=64M")
        return counted(pool)


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


@attack(76, "a forged TASK_ID, a forged or second result", wins="other",
        jail="x.task of its own, truth, state=success$")
def forged(t):
    if t.is_free:
        return t.free_shell("TASK_ID=other sh -c 'echo $TASK_ID'").out.strip()
    with Pool(t) as pool:
        pool.start("echo state=success >x.task.end; export TASK_ID=other TASK_ATTEMPT=7\n"
                   "printf '[Environment]\\nTASK_ID=other\\n' >.x; mv .x x.task\n"
                   "while ! grep -q truth x.task.end; do sleep 0.01; done; echo state=success >y.task.end")
        pool.until("what=submit ")
        pool.send("child %s.0 a=1 x.task.end truth\n" % RUN)
        pool.until(" end ")
        others = [line for line in pool.lines if "what=" in line and RUN + ".0 a=1 " not in line]
        return "%s of %s, truth, %s" % (" ".join(pool.drops), "others" if others else "its own", pool.ended)


@attack(77, "very many files in $TASK_SUBMIT", wins="no limit",
        jail=r"ENOSPC, memory flat, then \d{4,} drops, state=success$")
def very_many(t):
    many = "for i in $(seq %d); do echo unit >n$i || { echo ENOSPC; break; }; done 2>/dev/null"
    if t.is_free:
        place = t.directory("drops")
        out = t.free_shell("cd %s; %s; cd ..; rm -rf %s" % (place, many % 6000, place)).out
        return out.strip() or "no limit"
    with Pool(t) as pool:
        pool.run("true", task=1)
        before = pool.memory()
        # Nothing is acknowledged until no more files can be made.
        pool.start(many % 6000 + "; echo tried", "LimitDisk=16M")
        t.wait_until(lambda: "\ntried" in pool.output, "the last file", 30)
        grown = pool.memory() - before
        full = "ENOSPC" if "ENOSPC" in pool.output else "no limit"
        pool.until(" end %s.0 " % RUN)
        return "%s, memory %s, then %d drops, %s" % (
            full, "flat" if grown < 4096 else "+%d KB" % grown, len(set(pool.drops)), pool.ended)


@attack(78, "a program in $TASK_SUBMIT", wins="ran", jail="126, 1 drops, 0 refused, state=success$")
def program(t):
    script = "printf '#!/bin/sh\\necho ran\\n' >.p; chmod 4755 .p; ./.p 2>/dev/null || echo $?; mv .p p.task"
    if t.is_free:
        return t.free_shell("cd %s; %s" % (t.directory("drops"), script)).out.strip()
    with Pool(t) as pool:
        pool.run(script)
        return "%s, %s" % ("ran" if "\nran" in pool.output else "126" if "\n126" in pool.output else "?",
                           counted(pool))


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
