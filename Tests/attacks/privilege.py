# SPDX-License-Identifier: Apache-2.0
"""More rights than one's own."""

import ctypes
import mmap
import os
import resource
import shutil
import socket
import struct

from attack import (absent, all_of, attack, call, opens, pack, probe, reads, status_of, tried,
                    waited)

absent.family = __name__
X86 = ("x86_64",)


@attack(40, "a set-user-id program of the host", wins="0$", modes=("nobody", "user"),
        jail="NoNewPrivs 1, own$")
def host_program(t):
    place = t.machine.make("setid", 0)
    program = place + "/id"
    if not os.path.exists(program):
        shutil.copyfile("/usr/bin/id", program)
        os.chmod(program, 0o4755)
    if os.stat(program).st_uid != 0:
        return "own" if t.is_free else "NoNewPrivs 1, own"
    if t.is_free:
        return t.free_shell(program + " -u").out.strip()
    script = "grep NoNewPrivs /proc/self/status; /mnt/setid/id -u; /bin/su -c id </dev/null 2>&1"
    out = t.unit(shell=script, jail=("BindReadOnlyPaths=%s:/mnt/setid" % place,)).run().out
    words = out.split()
    return "NoNewPrivs %s, %s" % (words[1], "own" if words[2] == str(t.uid) and
                                  "uid=0" not in out else out)


@attack(41, "a set-user-id copy of root's in W", wins="0$", modes=("nobody", "user"), jail="own$",
        needs=("root",))
def own_program(t):
    program = t.work + "/id"
    shutil.copyfile("/usr/bin/id", program)
    os.chmod(program, 0o4755)
    end = t.free_shell("./id -u") if t.is_free else t.unit(shell="./id -u").run()
    os.unlink(program)
    return "own" if end.out.strip() == str(t.uid) and t.uid else end.out.strip()


@probe(42, "setuid(0), setgid, setgroups", wins=".*OK", modes=("nobody", "user"),
       jail="(EPERM|EINVAL| )+$")
def identities(c):
    return all_of([tried(os.setuid, 0), tried(os.setresuid, 0, 0, 0), tried(os.setgid, 0),
                   tried(os.setgroups, [0])])


@probe(43, "capabilities: effective, permitted, bounding, ambient, inheritable", wins=".*[1-9a-f]",
       jail="0 0 0 0 0$")
def capabilities(c):
    return " ".join("%x" % int(status_of("self", "Cap" + which)[0], 16)
                    for which in ("Eff", "Prm", "Bnd", "Amb", "Inh"))


@probe(44, "keyctl, add_key, request_key", wins=".*OK", jail="EPERM$", needs=X86)
def keys(c):
    return all_of([call(250, 0, -3, 0), call(248, b"user", b"x", b"y", 1, -3),
                   call(249, b"user", b"x", b"", -3)])


@probe(45, "bpf, perf_event_open, userfaultfd, io_uring_setup, memfd_secret, process_madvise",
       wins="(?!EPERM$)", jail="EPERM$", needs=X86)
def favourites(c):
    return all_of([call(321, 0, pack("IIIII", 1, 4, 4, 1, 0), 20),
                   call(298, pack("IIQ112s", 1, 128, 0, b""), 0, -1, -1, 0), call(323, 0),
                   call(425, 1, bytes(120)), call(447, 0), call(440, -1, 0, 0, 21, 0)])


@probe(46, "nice -5, SCHED_FIFO, mlock 64 MB, more open files, core files, real-time I/O",
       wins=".*OK", jail="(EPERM|EACCES|ENOMEM|EAGAIN|[a-z ]+| )+$", needs=X86)
def priorities(c):
    area = mmap.mmap(-1, 64 << 20)
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    return all_of([
        tried(os.nice, -5), tried(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(5)),
        call(149, address, 64 << 20), call(251, 1, 0, 1 << 13),
        tried(resource.setrlimit, resource.RLIMIT_NOFILE, (1 << 17, 1 << 17)),
        tried(resource.setrlimit, resource.RLIMIT_CORE, (-1, -1))])


@probe(47, "oom_score_adj -500", wins="OK", jail="EACCES$",
       why="here root itself lacks CAP_SYS_RESOURCE")
def score(c):
    def lower():
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("-500")

    return tried(lower)


@probe(48, "User=root makes a set-id file in W: chmod, open, mknod, openat2, fchmodat2, capability",
       wins=".*OK", modes=("root",), jail="EPERM EPERM EPERM ENOSYS ENOSYS EPERM 755$", needs=X86)
def set_id(c):
    path = b"s%d" % os.getpid()
    with open(path, "w"):
        os.chmod(path, 0o755)
    how = pack("QQQ", os.O_CREAT | os.O_WRONLY, 0o4755, 0)
    capability = struct.pack("<IIIII", 0x02000001, 1 << 21, 0, 0, 0)
    got = [tried(os.chmod, path, 0o4755), tried(os.open, path + b"o", os.O_CREAT, 0o4755),
           tried(os.mknod, path + b"n", 0o104755), call(437, -100, path + b"2", how, 24),
           call(452, -100, path, 0o4755, 0),
           tried(os.setxattr, path, "security.capability", capability)]
    mode = os.stat(path).st_mode & 0o7777
    for file in os.listdir("."):
        if os.fsencode(file).startswith(path):
            os.unlink(file)
    return "%s %o" % (" ".join(got), mode)


@attack(49, "an ordinary user's unit says User=root", wins=".", modes=("user",),
        why="without a jail there is no other user to ask for",
        jail="inside 0, on the host the caller's$")
def user_root(t):
    if t.is_free:
        return ""
    file = t.work + "/of-root"
    end = t.unit(shell="id -u; cat /etc/shadow; touch " + file, user="root").run()
    owner = os.stat(file).st_uid
    os.unlink(file)
    return "inside %s, on the host %s" % (
        end.out.strip(), "the caller's" if owner == t.caller else "uid %d" % owner)


@attack(50, "groups of whoever starts taskrun: disk", wins=".*6", modes=("root", "nobody"),
        jail="none$", needs=("root",))
def groups(t):
    prefix = ("setpriv", "--groups=6,4") if t.uid == 0 or not t.is_free else ()
    if t.is_free:
        return t.spawn([*prefix, "id", "-G"], None).end().out
    out = t.unit(shell="id -G").run(prefix=prefix).out.split()
    return " ".join(sorted(set(out) & {"6", "4"})) or "none"


@probe(51, "a filter of the task's own: it tightens and loosens nothing", wins="OK",
       jail="OK EPERM$", needs=X86)
def own_filter(c):
    allow_all = pack("HBBI", 6, 0, 0, 0x7fff0000)
    program = pack("HxxxxxxQ", 1, ctypes.addressof(allow_all))
    if c["free"]:
        call(157, 38, 1, 0, 0, 0)
        return call(317, 1, 0, program)
    return "%s %s" % (call(317, 1, 0, program), call(165, b"a", b"/tmp", b"tmpfs", 0, 0))


@probe(114, "prlimit of init: RLIMIT_CPU", wins="OK", jail="EPERM$", needs=X86)
def init_limits(c):
    if c["free"]:
        return tried(resource.prlimit, c["victim"], resource.RLIMIT_FSIZE, (1 << 40, 1 << 40))
    return all_of(tried(resource.prlimit, 1, what, (0, 0))
                  for what in (resource.RLIMIT_CPU, resource.RLIMIT_NPROC, resource.RLIMIT_NOFILE))


@probe(115, "priorities of all of one uid: nice, I/O, autogroup", wins="OK", jail="kept$",
       needs=X86)
def everybody(c):
    if c["free"]:
        return tried(os.setpriority, os.PRIO_PROCESS, c["victim"], 1)
    tried(os.setpriority, os.PRIO_USER, 0, 7)
    call(251, 3, os.getuid(), 3 << 13)
    return "kept"  # the runner looks at the victim, who has the same uid


@attack(116, "SystemCallFilter=@debug: ptrace, memory and descriptors of init", wins="",
        why="there is no jail's init", needs=X86, jail="EPERM EPERM EPERM EPERM EPERM$")
def debugger(t):
    if t.is_free:
        return "no init"
    script = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def s(*a):
    return 'OK' if libc.syscall(*map(ctypes.c_long, a)) >= 0 else errno.errorcode[ctypes.get_errno()]
b = ctypes.create_string_buffer(64)
v = (ctypes.c_long * 2)(ctypes.addressof(b), 8)
p = os.pidfd_open(1)
print(s(101, 16, 1, 0, 0), s(101, 0x4206, 1, 0, 0), s(438, p, 0, 0),
      s(310, 1, ctypes.addressof(v), 1, ctypes.addressof(v), 1, 0), s(312, 1, 1, 0, 0, 0))
"""
    end = t.unit(python=script, jail=("SystemCallFilter=@debug",)).run()
    return end.out.strip() or end.err


@probe(117, "messages with another's pid or uid (SCM_CREDENTIALS)", wins=".*OK", jail="EPERM( EINVAL)?$",
       modes=("root", "nobody", "user"))
def credentials(c):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)

    def send(pid, uid):
        ours.sendmsg([b"x"], [(socket.SOL_SOCKET, 2, struct.pack("III", pid, uid, uid))])

    return all_of([tried(send, 1, os.getuid()), tried(send, os.getpid(), 1234)])


@probe(118, "POSIX queues; pseudo-terminals beyond what the machine has for all", wins="OK",
       jail="(EMFILE|ENOENT|ENOSYS) bounded$", needs=X86)
def shared_pools(c):
    queue = call(240, b"q%d" % os.getpid(), os.O_CREAT | os.O_RDWR, 0o600, None or 0)
    if c["free"]:
        return queue
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    held = 0
    try:
        while held < 1500:
            os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
            held += 1
    except OSError:
        pass
    return "%s %s" % (queue, "bounded" if held < 1000 else "%d terminals" % held)
