# SPDX-License-Identifier: Apache-2.0
"""Memory, processes, disk, CPU, descriptors."""

import os
import time

from attack import absent, attack, probe
from trial import DEED

absent.family = __name__
LIMIT = ("LimitMem=64M",)
WITHOUT = "LimitMem"


def memory(t, **how):
    """The reason with LimitMem=64M; what a mode without that limit must say is its own matter."""
    if t.is_free:
        end = t.free_python(how["python"]) if "python" in how else t.free_shell(how["shell"])
        return "success" if end.status == 0 else "status %s" % end.status
    end = t.unit(service=LIMIT, **how).run()
    if t.has_limit(WITHOUT):
        return end.said
    weak = [e for e in end.events if e["verb"] == "start"][0].get("weak", "")
    return "weak: " + end.said if WITHOUT in weak else end.said


BOMB = """
import os, signal, sys
made = 0
while made < 300:
    try:
        if os.fork() == 0: signal.pause()
        made += 1
    except OSError as error: break
print(made, flush=True)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) < 2: os.killpg(0, 9)
while True: signal.pause()
"""


@attack(60, "fork bomb that ignores SIGTERM", wins="300", jail="at most 32, timeout")
def bomb(t):
    if t.is_free:
        return t.spawn(["setsid", "-w", "python3", "-S", "-c", BOMB], None).end().out.strip()
    end = t.unit(python=BOMB, args="stay", service=(
        "LimitTasks=32", DEED, "TimeoutStopSec=200ms")).run()
    made = int(end.out or "999")
    return "at most 32, " + end.said if made <= 32 else "%d, %s" % (made, end.said)


@attack(61, "200 MB at LimitMem=64M", wins="success", jail="oom|weak: exit 1")
def large(t):
    return memory(t, python="x = bytearray(200 << 20)")


@attack(62, "a child eats the memory, its parent says 0", wins="success", jail="oom|weak: success")
def child(t):
    return memory(t, shell="python3 -S -c 'x = bytearray(200 << 20)' 2>/dev/null; exit 0")


@attack(63, "fills /tmp, scratch and /dev/shm", wins="full 0", jail="full 3, disk")
def disk(t):
    script = """
n=0
for p in /tmp/x%d "${TASK_SCRATCH:-/var/tmp}/x" /dev/shm/x%d; do
    head -c 16000000 /dev/zero >$p || n=$((n + 1)); rm -f $p
done 2>/dev/null
echo full $n; head -c 16000000 /dev/zero >/tmp/last 2>/dev/null; s=$?; rm -f /tmp/last.x
exit $s
""" % (os.getpid(), os.getpid())
    if t.is_free:
        return t.free_shell(script.replace("/tmp/last", "/tmp/last.x")).out.strip()
    end = t.unit(shell=script, service=("LimitDisk=8M",)).run()
    return "%s, %s" % (end.out.strip(), end.said)


@attack(64, "a hundred thousand empty files", wins="20000", jail="ENOSPC below 2000$")
def inodes(t):
    script = """
import errno, os, shutil
os.mkdir('/tmp/%s'); n = 0
try:
    while n < 20000: open('/tmp/%s/%%d' %% n, 'w').close(); n += 1
    print(n)
except OSError as e: print(errno.errorcode[e.errno], 'below 2000' if n < 2000 else n)
shutil.rmtree('/tmp/%s')
""" % ((t.machine.name + t.mode,) * 3)
    end = t.free_python(script) if t.is_free else t.unit(
        python=script, service=("LimitDisk=4M",)).run()
    return end.out.strip()


@attack(65, "20,000 nested directories", wins="left", jail="success, gone at once$")
def nested(t):
    script = "import os\nos.chdir('%s')\nfor i in range(%d): os.mkdir('d'); os.chdir('d')"
    if t.is_free:
        place = t.directory("nested")
        t.free_python(script % (place, 500))
        return "left" if os.path.exists(place + "/d/d/d") else "gone"
    end = t.unit(python=script % ("/tmp", 20000)).run()
    took = sum(int(e.get("us", 0)) for e in end.events if e["verb"] == "end" and "final" in e)
    return "%s, %s" % (end.said, "gone at once" if took < 20e6 else "%d us" % took)


absent(66, "chattr -p 0 leaves a project quota", "needs a disk with project quotas: vm/quota.sh; the call: 120")


@probe(120, "FS_IOC_FSSETXATTR, FS_IOC_SETFLAGS on an own file in W", wins="(?!EPERM)",
       jail="EPERM$", needs=("x86_64",))
def attributes(c):
    from attack import all_of, call, pack

    path = "a%d" % os.getpid()
    with open(path, "w") as file:
        flags = pack("28s", b"")
        call(16, file.fileno(), 0x801c581f, flags)
        got = all_of([call(16, file.fileno(), 0x401c5820, flags),
                      call(16, file.fileno(), 0x40086602, pack("Q", 0x80000))])
    os.unlink(path)
    return got


@attack(67, "200 MB in a memfd, and in SysV shared memory, at LimitMem=64M", wins="success success",
        jail="(oom.*oom|weak: .*)")
def shared(t):
    first = memory(t, python="import os\nf = os.memfd_create('x')\n"
                   "for i in range(200): os.write(f, b'x' * (1 << 20))")
    second = memory(t, python="""
import ctypes
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
segment = libc.shmget(0, 200 << 20, 0o1600)
place = libc.shmat(segment, None, 0)
libc.shmctl(segment, 0, None)
ctypes.memset(place, 1, 200 << 20)
""")
    return first + " " + second


@attack(68, "0.3 s of CPU at LimitCPU=20%", wins="[0-7]\\d\\d ms", jail="held back|weak: ", slow=True)
def processor(t):
    script = """
import time
b = time.monotonic()
while time.process_time() < 0.3: pass
print('%d ms' % ((time.monotonic() - b) * 1000))
"""
    if t.is_free:
        return t.free_python(script).out.strip()
    took = t.unit(python=script, service=("LimitCPU=20%",)).run().out.strip()
    if not t.has_limit("LimitCPU"):
        return "weak: " + took
    return "held back" if int(took.split()[0]) >= 900 else took


@probe(69, "opens files without end", wins="[2-9]\\d{3,}|1[1-9]\\d\\d|\\d{5,}", jail="at most 4096$")
def descriptors(c):
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = 0
    try:
        while held < 5000:
            os.open("/dev/null", os.O_RDONLY)
            held += 1
    except OSError:
        pass
    return "at most 4096" if held <= 4096 and not c["free"] else str(held)


@attack(70, "dirty pages of a mapped file in W at oom", wins="success", jail="oom|weak: ")
def dirty(t):
    script = """
import mmap, os
f = os.open('%s/dirty', os.O_RDWR | os.O_CREAT, 0o600)
os.ftruncate(f, 120 << 20)
m = mmap.mmap(f, 120 << 20)
for i in range(0, 120 << 20, 4096): m[i] = 1
x = bytearray(100 << 20)
""" % t.work
    outcome = memory(t, python=script)
    os.unlink(t.work + "/dirty")
    return outcome


@attack(71, "swap as more memory", wins="", why="there may be no swap", jail="none|weak: |no swap",
        needs=("root",))
def swap(t):
    if t.is_free:
        return ""
    if not t.has_limit(WITHOUT):
        return "weak: no cgroup"
    ready = t.work + "/swap-ready"
    running = t.unit(shell="touch %s; exec sleep 1" % ready, service=LIMIT).start("--slots=1")
    t.wait_for(ready)
    os.unlink(ready)
    pid = t.machine.descendant(running.process.pid, ("sleep", "sh"))
    with open("/proc/%d/cgroup" % pid) as file:
        lines = [line.strip().split(":", 2) for line in file]
    if "v2" in t.machine.facts:
        path = "/sys/fs/cgroup" + lines[0][2] + "/memory.swap.max"
    else:
        at = [line[2] for line in lines if "memory" in line[1].split(",")][0]
        path = "/sys/fs/cgroup/memory" + at + "/memory.memsw.limit_in_bytes"
    if not os.path.exists(path):
        running.end()
        return "no swap accounting"
    with open(path) as file:
        value = int(file.read())
    running.end()
    return "none" if value in (0, 64 << 20) else str(value)


absent(72, "inotify, epoll and key counts of a uid",
       "documented: per user namespace as an ordinary user, per uid as root")


@attack(121, "flags of the output pipe stay for the next task", wins=".*nonblock", jail="kept apart$")
def pipe_flags(t):
    script = """
import fcntl, os, sys
f = fcntl.fcntl(1, fcntl.F_GETFL)
os.write(2, b'nonblock ' if f & os.O_NONBLOCK else b'clean ')
fcntl.fcntl(1, fcntl.F_SETFL, f | os.O_NONBLOCK | os.O_DIRECT)
"""
    if t.is_free:
        reader, writer = os.pipe()
        words = ["python3", "-S", "-c", script]
        import subprocess
        said = [subprocess.run([*t.machine.as_uid(t.caller), *words], stdout=writer,
                               stderr=subprocess.PIPE).stderr.decode() for _ in range(2)]
        os.close(reader)
        os.close(writer)
        return " ".join(said)
    first = t.unit(python=script)
    err = t.unit(python=script, requires=first).run().err
    return "kept apart" if err.count("clean") == 2 and "nonblock" not in err else err
