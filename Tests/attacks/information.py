# SPDX-License-Identifier: Apache-2.0
"""What a task can find out about its host and about other tasks."""

import os

from attack import absent, all_of, attack, call, opens, probe, reads, tried

absent.family = __name__


def names(path):
    try:
        return len(os.listdir(path))
    except OSError as error:
        return tried(os.listdir, path) if error else 0


@probe(1, "cat /etc/shadow", wins=r"\d+ bytes", jail="ENOENT$")
def shadow(c):
    return reads("/etc/shadow")


@probe(2, "wc -l /etc/passwd", wins=r"[3-9]|\d\d", jail="[12] lines")
def passwd(c):
    with open("/etc/passwd") as file:
        return "%d lines" % len(file.readlines())


@probe(3, "ls /root /home", wins=r".*[1-9]", jail="0 0$")
def homes(c):
    return "%s %s" % (names("/root"), names("/home"))


@probe(4, "ls /proc", wins="pid 1 and ", jail="own [1-4]$")
def processes(c):
    pids = [int(p) for p in os.listdir("/proc") if p.isdigit()]
    return ("pid 1 and %d more" if 1 in pids else "own %d") % len(pids)


@probe(5, "/proc/1: environ maps mem fd root ns", wins=".*OK", jail="ENOENT$")
def init(c):
    files = [opens("/proc/1/" + f, os.O_RDONLY) for f in ("environ", "maps", "mem")]
    places = [tried(os.listdir, "/proc/1/" + d) for d in ("fd", "root")]
    return all_of(files + places + [tried(os.readlink, "/proc/1/ns/mnt")])


HIDDEN = "kcore kallsyms keys timer_list kpagecount kpageflags kpagecgroup slabinfo vmallocinfo"


@probe(6, "cat /proc/" + " ".join(HIDDEN.split()[:4]) + " and what tells of memory",
       wins=r".*[1-9]\d* bytes", jail="0 bytes$|ENOENT$|EACCES$|empty")
def kernel(c):
    got = {reads("/proc/" + f) for f in HIDDEN.split()}
    return "empty" if got <= {"0 bytes", "ENOENT", "EACCES"} else " ".join(sorted(got))


@probe(7, "ls /sys", wins="[1-9]", jail="0 names")
def system(c):
    return "%s names" % names("/sys")


DOCUMENTED = ("PATH LANG HOME USER LOGNAME TMPDIR LC_CTYPE PWD SHLVL _ "
              "TASK_ID TASK_NAME TASK_RUN TASK_ATTEMPT TASK_SCRATCH TASK_SUBMIT TASK_RESULT "
              "TASK_INPUTS CREDENTIALS_DIRECTORY TASK_PARENT TRACEPARENT TASK_PROGRESS").split()


@probe(8, "env", wins=".*SECRET_OF_TASKRUN", jail="documented$")
def environment(c):
    more = sorted(set(os.environ) - set(DOCUMENTED))
    return " ".join(more) or "documented"


@probe(9, "ls /proc/self/fd", wins=".*secret", jail="0 1 2$")
def descriptors(c):
    # 0-2, and the pipe to whoever gathers the outcomes: only what was there before counts.
    return c["descriptors"]


@probe(10, "/dev/kmsg, syslog(2)", wins=".*OK", jail="ENOENT EPERM$", needs=("x86_64",))
def messages(c):
    return opens("/dev/kmsg", os.O_RDONLY) + " " + call(103, 10, 0, 0)


@probe(11, "/etc/machine-id, fstab, sudoers, ssh", wins=".*OK", jail="ENOENT$")
def settings(c):
    return all_of(opens("/etc/" + f, os.O_RDONLY)
                  for f in ("machine-id", "fstab", "sudoers", "ssh", "crontab", "apt", "systemd"))


@probe(12, "hostname", wins="(?!task$)", jail="task$")
def hostname(c):
    return os.uname().nodename


@probe(13, "/dev/shm and /tmp of the host", wins=r"\d+ bytes", jail="ENOENT$")
def shared_memory(c):
    return all_of([reads(c["shm"]), reads(c["secret"])])


@probe(14, "another task's scratch and memory, by path", wins=r".*\d+ bytes|.*OK", jail="ENOENT$")
def neighbour(c):
    place = "/proc/%s/" % c["neighbour"]
    return all_of([reads(place + "root/scratch/marker"), opens(place + "mem", os.O_RDONLY),
                   reads("/scratch/marker")])


LEAVE = r"""
for place in /tmp /scratch /dev/shm "$TASK_SCRATCH"; do
    echo secret-of-the-first >"$place/left" 2>/dev/null
done
mkdir -p /tmp/d && head -c 3000000 /dev/zero | tr '\0' S >/tmp/big
true
"""
SEARCH = r"""
cat /tmp/left /scratch/left /dev/shm/left /tmp/big 2>/dev/null | head -c 100
fallocate -l 2000000 /tmp/new && tr -d '\0' </tmp/new | head -c 100
ls -A /tmp /dev/shm | grep left
rm -f /tmp/left /dev/shm/left /tmp/big /tmp/new
true
"""


@attack(15, "what the task before left, in files or in memory of the slot",
        wins=".*secret", jail="nothing$")
def left(t):
    if t.is_free:
        return t.free_shell(LEAVE + SEARCH).out or "nothing"
    first = t.unit(shell=LEAVE)
    return t.unit(shell=SEARCH, requires=first).run("--slots=1").out or "nothing"


@probe(106, "/proc/self/cgroup", wins=".*(/.+|:/[a-z])", jail="/$", slow=True,
       why="the runner may sit in the root of every hierarchy")
def cgroup(c):
    with open("/proc/self/cgroup") as file:
        return all_of({line.strip().split(":", 2)[2] for line in file})


@probe(107, "SysV shared memory of the host, by its key", wins="OK", jail="ENOENT$",
       needs=("x86_64",))
def shared_segment(c):
    return call(29, c["key"], 0, 0)
