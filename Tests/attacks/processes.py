# SPDX-License-Identifier: Apache-2.0
"""Signals and processes."""

import os
import signal
import time

from attack import absent, alive, all_of, attack, probe, tried

absent.family = __name__


@attack(52, "kill(-1, 9)", wins="other dead", jail="success, others alive$", needs=("root",))
def everybody(t):
    if t.is_free:
        return "other " + ("dead" if "dead" in t.free_closed(
            "sleep 100 & V=$!; kill -9 -1; wait $V; [ $? = 137 ] && echo dead").out else "alive")
    end = t.unit(shell="sleep 100 & kill -9 -1; exit 0").run()
    return "%s, others %s" % (end.said, " ".join(t.machine.is_intact()) or "alive")


@attack(53, "kill(1, 9), kill(1, 19), kill(1, 17) a thousand times", wins="",
        why="pid 1 of a machine is protected as well", jail="success alive$")
def init(t):
    if t.is_free:
        return "no init"
    end = t.unit(shell="""
kill -9 1; kill -STOP 1; kill -TERM 1; kill -INT 1; kill -HUP 1; kill -USR1 1
n=0; while [ $n -lt 1000 ]; do kill -CHLD 1 2>/dev/null; n=$((n + 1)); done; echo alive
""").run()
    return end.said + " " + end.out.strip()


@probe(54, "a signal to another process of the same uid", wins="OK", jail="ESRCH$")
def another(c):
    return all_of([tried(os.kill, c["victim"], 0), tried(os.kill, c["neighbour"] or 4000000, 0)])


DETACH = """
import os, signal, sys, time
for number in range(1, 32):
    if number not in (9, 19): signal.signal(number, signal.SIG_IGN)
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for fd in range(3): os.close(fd)
            os.execv('/bin/sleep', ['sleep', '%s'])
        os._exit(0)
if os.fork() == 0:
    for fd in range(3): os.close(fd)
    os.kill(os.getpid(), signal.SIGSTOP)
    os.execv('/bin/sleep', ['sleep', '%s'])
time.sleep(0.1)
"""


@attack(55, "setsid, double fork, all signals ignored, the first ends", wins="[1-9]",
        jail="success, none left$")
def detached(t):
    seconds = "1%06d" % (os.getpid() * 10 + len(t.mode))
    script = DETACH % (seconds, seconds)
    end = t.free_python(script) if t.is_free else t.unit(python=script).run()
    left = alive("sleep\0" + seconds)
    for pid in left:
        t.kill(pid)
    if t.is_free:
        return "%d left" % len(left)
    return end.said + ", " + ("%d left" % len(left) if left else "none left")


@attack(56, "exit 137 to look like SIGKILL", wins="137 137", jail="exit 137, signal KILL$")
def pretended(t):
    first, second = "exit 137", "kill -9 $$"
    if t.is_free:
        out = t.free_shell("(sh -c '%s'); echo $?; (sh -c '%s'); echo $?" % (first, second)).out
        return " ".join(out.split())
    one, other = t.unit(shell=first).run(), t.unit(shell=second).run()
    return "%s, %s" % (one.said, other.said)


@attack(57, "SIGSTOP to itself", wins="stopped", jail="timeout")
def stopped(t):
    script = "kill -STOP $$"
    if not t.is_free:
        return t.unit(shell=script, service=("MaxTime=500ms", "TimeoutStopSec=200ms")).run().said
    running = t.spawn(["sh", "-c", script], None)
    time.sleep(0.5)
    with open("/proc/%d/stat" % running.process.pid) as file:
        state = file.read().rsplit(")", 1)[1].split()[0]
    running.process.kill()
    running.end()
    return "stopped" if state == "T" else state


@attack(58, "ends by SIGABRT, SIGSYS, SIGSEGV of its own", wins="", why="nothing is recorded",
        jail="signal ABRT, signal SYS, signal SEGV$")
def signals(t):
    if t.is_free:
        return ""
    return ", ".join(t.unit(shell="kill -%s $$" % s).run().said for s in ("ABRT", "SYS", "SEGV"))


@attack(59, "closes its output, or fills it from a child that nobody waits for", wins="",
        why="nothing is recorded", jail="exit 3 success")
def no_output(t):
    if t.is_free:
        return ""
    first = t.unit(shell="exec >&- 2>&- <&-; exit 3").run()
    second = t.unit(shell="yes & sleep 0.1; exit 0", service=("LogLimit=64K",)).run()
    return first.said + " " + second.said


@attack(119, "pidfds and signals through a socket in W: a pidfd of a process outside", wins="OK",
        jail="(EINVAL|EPERM)$", needs=("x86_64",))
def passed_pidfd(t):
    import socket as sockets

    path = t.work + "/pidfd.sock"
    pidfd = os.pidfd_open(t.machine.victim(t.uid))
    if t.is_free:
        return tried(signal.pidfd_send_signal, pidfd, 0)
    script = """
import array, errno, os, signal, socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
fd = array.array('i', s.recvmsg(1, 64)[1][0][2])[0]
try: signal.pidfd_send_signal(fd, 9); print('OK')
except OSError as e: print(errno.errorcode[e.errno])
"""
    with sockets.socket(sockets.AF_UNIX) as listener:
        listener.bind(path)
        os.chmod(path, 0o666)
        listener.listen(1)
        listener.settimeout(20)
        running = t.unit(python=script, args=path).start("--slots=1")
        peer, _ = listener.accept()
        sockets.send_fds(peer, [b"x"], [pidfd])
        end = running.end()
        peer.close()
    os.unlink(path)
    os.close(pidfd)
    return end.out.strip() or end.err
