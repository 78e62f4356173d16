# SPDX-License-Identifier: Apache-2.0
"""Races and tricks while the jail is built, by whoever writes its unit."""

import ctypes
import os
import shutil
import threading
import time

from attack import LIBC, absent, attack, probe, tried

absent.family = __name__
NONE = "no jail is built"


def swapped(first, second):
    """RENAME_EXCHANGE."""
    LIBC.renameat2(-100, os.fsencode(first), -100, os.fsencode(second), 2)


@attack(96, "the working directory is swapped with a link to a closed directory, 40 starts",
        wins="entered", jail="never$", modes=("nobody", "user"))
def swap(t):
    closed = t.machine.make("closed-" + t.mode, 0)
    t.write(closed + "/secret", "secret-of-closed\n")
    if t.machine.is_root:
        os.chown(closed + "/secret", 0, 0)
    os.chmod(closed, 0o700)
    if t.is_free:
        return "entered" if "secret-of" in t.free_shell("cat %s/secret" % closed).out else "EACCES"
    place = t.directory("swap")
    work, link = place + "/w", place + "/l"
    os.mkdir(work)
    t.give(work)
    os.symlink(closed, link)
    stop = threading.Event()

    def turn():
        while not stop.is_set():
            swapped(work, link)

    thread = threading.Thread(target=turn)
    thread.start()
    seen, ran = 0, 0
    try:
        for _ in range(20):
            end = t.unit(shell="cat secret; touch mine; pwd", work=False,
                         service=("WorkingDirectory=" + work,)).run()
            seen += "secret-of-closed" in end.out
            ran += end.status == 0
    finally:
        stop.set()
        thread.join()
    if os.path.exists(closed + "/mine"):
        seen += 1
    return "never" if not seen else "%d of %d" % (seen, ran)


@attack(97, "WorkingDirectory= below a directory that is closed to the task's user", wins="in",
        jail="200$", modes=("nobody", "user"), needs=("root",))
def closed(t):
    outer = t.machine.make("outer-" + t.mode, 0)
    inner = t.machine.make("outer-%s/work" % t.mode, t.uid)
    os.chmod(outer, 0o700)
    if t.is_free:
        return "in" if t.free_shell("cd %s && pwd" % inner).out else "EACCES"
    return str(t.unit(command="pwd", work=False, service=("WorkingDirectory=" + inner,)).run().status)


@attack(98, "another's working directory in /tmp", wins="in", jail="200$", modes=("nobody", "user"),
        needs=("root",))
def squatted(t):
    place = t.machine.make("squat-" + t.mode, 4242)
    os.chmod(place, 0o777)
    if t.is_free:
        return "in" if t.free_shell("cd %s && pwd" % place).out else "no"
    end = t.unit(command="pwd", work=False, service=("WorkingDirectory=" + place,)).run()
    return "%d%s" % (end.status, "" if "not owned" in end.err else " " + end.err)


@attack(99, "set-id programs and devices on a file system below a bind", wins="0 disk$",
        jail="own EACCES$", modes=("nobody",), needs=("root",))
def submount(t):
    place = t.machine.make("mounts-" + t.mode, 0)
    os.makedirs(place + "/sub", exist_ok=True)
    prepare = ("mount -t tmpfs -o suid,dev,mode=755 x %s/sub && cp /usr/bin/id %s/sub/id && "
               "chmod 4755 %s/sub/id && mknod -m 666 %s/sub/null c 1 3 && " % ((place,) * 4))
    use = "%s/sub/id -u; cat %s/sub/null && echo disk || echo EACCES"
    if t.is_free:
        end = t.spawn(["unshare", "-m", "sh", "-c", prepare + "setpriv --reuid=65534 sh -c '%s'" % (
            use % (place, place))], None).end()
    else:
        unit = t.unit(shell="(" + use % ("/mnt/b", "/mnt/b") + ") 2>/dev/null",
                      jail=("BindReadOnlyPaths=%s:/mnt/b" % place,))
        end = unit.run(prefix=("unshare", "-m", "sh", "-c", prepare + 'exec "$0" "$@"'))
    words = end.out.split() or [end.err]
    return " ".join(["own" if words[0] == str(t.uid) and t.uid else words[0], *words[1:]])


@attack(100, "what is mounted on the host during the task, below its directories",
        wins="secret", jail="not seen$", modes=("root", "nobody"), needs=("root",))
def later_mount(t):
    inner = t.work + "/later"
    os.makedirs(inner, exist_ok=True)
    t.give(inner)
    script = ("touch {0}/ready; n=0; while [ ! -e {0}/go ] && [ $n -lt 300 ]; do sleep 0.02; "
              "n=$((n+1)); done; cat {1}/s 2>/dev/null || echo not seen").format(t.work, inner)
    mounts = ("n=0; while [ ! -e {0}/ready ] && [ $n -lt 500 ]; do sleep 0.02; n=$((n+1)); done; "
              "mount -t tmpfs x {1} && echo secret >{1}/s; touch {0}/go; wait").format(t.work, inner)
    if t.is_free:
        end = t.spawn(["unshare", "-m", "sh", "-c", "sh -c '%s' & %s" % (script, mounts)], None).end()
    else:
        unit = t.unit(shell=script)
        end = unit.run(prefix=("unshare", "-m", "--propagation", "shared", "sh", "-c",
                               '"$0" "$@" & ' + mounts))
    for name in ("ready", "go"):
        os.unlink(t.work + "/" + name)
    return end.out.strip() or end.err


@attack(101, "the unit's directory is replaced during the run", wins="second", jail="first$")
def replaced(t):
    place = t.directory("dir")
    t.write(place + "/what", "first\n")
    show = "%s/what" % (place if t.is_free else "/run/task/dir")
    script = ("touch {0}/ready; n=0; while [ -e {0}/ready ] && [ $n -lt 400 ]; do sleep 0.02; "
              "n=$((n+1)); done; cat {1}").format(t.work, show)
    running = t.start(shell=script) if t.is_free else t.unit(
        shell=script, directory=place).start("--slots=1")
    t.wait_for(t.work + "/ready")
    os.rename(place, place + ".old")
    os.mkdir(place)
    t.write(place + "/what", "second\n")
    os.unlink(t.work + "/ready")
    return running.end().out.strip()


@attack(102, "a pid that is used again: does taskrun signal by number?", wins="", why=NONE,
        jail="never by number$", modes=("root",), needs=("strace",))
def by_number(t):
    if t.is_free:
        return ""
    trace = t.base + "/strace"
    t.unit(shell="trap : TERM; sleep 100 & wait; sleep 100", service=(
        "MaxTime=300ms", "TimeoutStopSec=200ms")).run(
        prefix=("strace", "-o", trace, "-e", "trace=kill,tgkill,tkill,pidfd_send_signal"))
    with open(trace) as file:
        calls = [line for line in file if "kill(" in line]
    return "never by number" if not calls else calls[0].strip()


absent(103, "a cgroup is used again while something is in it",
       "scenarios, cgroups.t: the slot gets another")


@attack(104, "60 starts and ends at once: mounts, cgroups, processes before and after", wins="",
        why=NONE, jail="nothing left$")
def leaks(t):
    if t.is_free:
        return ""

    def mounts():
        with open("/proc/self/mountinfo") as file:
            return len(file.readlines())

    before = mounts()
    names = []
    place = t.directory("many")
    for number in range(60):
        t.write("%s/m%d.task" % (place, number), '[Command]\ncommand="true"\n')
        names.append("m%d.task" % number)
    t.write(place + "/all.task", "[Dependencies]\nRequires=%s\n" % " ".join(names))
    running = t.spawn([t.taskrun, place + "/all.task"], None)
    end = running.end()
    pid = running.process.pid
    groups = [at + "/" + name for at, inner, _ in os.walk("/sys/fs/cgroup") for name in inner
              if name.startswith("taskrun-%d-" % pid)]
    children = [p for p in os.listdir("/proc") if p.isdigit() and _parent(p) == pid]
    if end.status != 0:
        return end.err
    left = groups + children + ["mounts"] * (mounts() > before)
    return " ".join(left) or "nothing left"


def _parent(pid):
    try:
        with open("/proc/%s/stat" % pid) as file:
            return int(file.read().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


absent(105, "every step of the set-up fails once", "TaskJailTests, FaultTests")


@attack(126, "a mount point below another bind by the link /var/tmp: made as root on the host?",
        wins="", why=NONE, jail="nothing made$")
def point(t):
    if t.is_free:
        return ""
    place = t.machine.make("host-" + t.mode, 0)
    file = t.write(t.base + "/file", "x")
    before = set(os.listdir(place))
    t.unit(command="true", work=False, jail=(
        "BindPaths=%s:/tmp/w" % place, "BindReadOnlyPaths=%s:/var/tmp/w/evil/nologin" % file)).run()
    made = set(os.listdir(place)) - before
    for name in made:
        shutil.rmtree(place + "/" + name)
    return "nothing made" if not made else "made " + " ".join(made)


def _below_closed(t):
    """A readable file below a closed directory, both root's where the tester is."""
    place = t.machine.make("shown-" + t.mode, 0)
    closed = t.machine.make("shown-%s/closed" % t.mode, 0)
    inner = t.machine.make("shown-%s/closed/pub" % t.mode, 0)
    with open(inner + "/f", "w") as file:
        file.write("secret-below\n")
    os.chmod(inner + "/f", 0o644)
    os.chmod(closed, 0o700)
    return place


def _overlay(t, target):
    shown = _below_closed(t)
    place = t.directory("run")
    for name in ("task", "task/dir", "task/host"):
        os.mkdir(place + "/" + name)
    os.symlink("/mnt/h/closed/pub", place + "/task/files")
    link = t.directory("link")
    os.symlink("/run/task", link + "/l")
    targets = {"run": ["BindPaths=%s:/run" % place],
               "link": ["BindPaths=%s:/mnt/k" % link, "BindPaths=%s/task:/mnt/k/l" % place]}
    end = t.unit(shell="cat /run/task/dir/f", work=False, service=("Files=carried",),
                 files={"carried": "x"},
                 jail=["BindReadOnlyPaths=%s:/mnt/h" % shown, *targets[target]]).run()
    return "secret" if "secret-below" in end.out else "refused %d" % end.status


@attack(127, "a bind on /run: the overlay of carried files reads below closed directories as root",
        wins="", why=NONE, jail="refused 226$", modes=("nobody", "user"))
def overlay(t):
    return "" if t.is_free else _overlay(t, "run")


@attack(128, "the same by a link below another bind", wins="", why=NONE, jail="refused 226$",
        modes=("nobody", "user"))
def overlay_link(t):
    return "" if t.is_free else _overlay(t, "link")


@attack(129, "a FIFO, a device, a socket as WorkingDirectory=, Dir=, a bind", wins="", why=NONE,
        jail="200 226 226$")
def odd(t):
    if t.is_free:
        return ""
    fifo = t.base + "/fifo"
    if not os.path.exists(fifo):
        os.mkfifo(fifo)
        t.give(fifo)
    ends = [t.unit(command="true", work=False, service=("WorkingDirectory=" + fifo,)).run(),
            t.unit(command="true", jail=("BindPaths=%s:/mnt/f" % fifo,)).run(),
            t.unit(command="true", jail=("BindPaths=/dev/urandom:/mnt/f",)).run()]
    return " ".join(str(e.status) for e in ends)


@attack(130, "StandardOutput=file: and StandardInput=file: of what is not the task's", wins="",
        why=NONE, jail="refused$", modes=("nobody", "user"), needs=("root",))
def streams(t):
    if t.is_free:
        return ""
    victim = t.machine.base + "/of-root-" + t.mode
    with open(victim, "w") as file:
        file.write("kept\n")
    os.chmod(victim, 0o600)
    link = t.work + "/out-link"
    os.symlink(victim, link)
    fifo = t.work + "/out-fifo"
    os.mkfifo(fifo)
    t.give(fifo)
    ends = [t.unit(command="echo", args="x", service=("StandardOutput=file:" + p,)).run()
            for p in (victim, link, fifo, "/root/new")]
    ends += [t.unit(command="cat", service=("StandardInput=file:" + p,)).run()
             for p in (victim, "/etc/shadow")]
    for path in (link, fifo):
        os.unlink(path)
    with open(victim) as file:
        harmed = file.read() != "kept\n"
    bad = [e for e in ends if e.status == 0 or "kept" in e.out or "root:" in e.out]
    return "harmed" if harmed or os.path.exists("/root/new") else "refused" if not bad else \
        "%d went on" % len(bad)


@attack(131, "LoadCredential= of a file that the unit's owner cannot read", wins="", why=NONE,
        jail="refused$", modes=("user",), needs=("root",))
def credential(t):
    if t.is_free:
        return ""
    end = t.unit(shell="cat $CREDENTIALS_DIRECTORY/s", service=(
        "LoadCredential=s:/etc/shadow",)).run()
    return "refused" if end.status == 243 and "root:" not in end.out else \
        "%d %s" % (end.status, end.err)


READER = """
import errno, os
def t(f, *a):
    try: f(*a); return 'OK'
    except OSError as e: return errno.errorcode[e.errno]
print(t(os.open, '/proc/self/fd/0', os.O_WRONLY), t(os.fchmod, 0, 0o777), os.read(0, 9).decode())
"""


@attack(135, "the file of StandardInput=file: opened again for writing, its mode", wins="OK OK",
        jail="EROFS EROFS input$")
def reopened(t):
    path = t.write(t.base + "/input", "input")
    if t.is_free:
        with open(path) as stream:
            return t.spawn(["python3", "-S", "-c", READER], None, stdin=stream).end().out.strip()
    return t.unit(python=READER, service=("StandardInput=file:" + path,)).run().out.strip()


@probe(136, "the mode of the host's /dev/null, which is standard input", wins="OK", jail="EROFS|EPERM$",
       modes=("root", "nobody", "user"))
def null(c):
    with open("/dev/null") as stream:
        fd = stream.fileno() if c["free"] else 0
        return tried(os.fchmod, fd, 0o666)
