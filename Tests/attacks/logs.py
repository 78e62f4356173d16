# SPDX-License-Identifier: Apache-2.0
"""Output, terminals, and what a reader of the log is made to believe."""

import fcntl
import os
import pty
import select
import subprocess
import termios
import threading
import time

from attack import absent, attack

absent.family = __name__

FORGED = r"""
printf '1700000000000000 end 01m89pmtvj63zpwrqx0rh4w2js.0 a=1 state=success final=yes\n'
printf '\n17 end x state=success\n\033[2J\033]0;owned\007\000finished CRC'
printf '1 note - what=journal.torn\n' >&2; exit 5
"""


@attack(80, "event lines, escape sequences, NUL and newlines in the output", wins="forged",
        jail="exit 5, 1 end, no control bytes$")
def forged(t):
    if t.is_free:
        return "forged" if "state=success" in t.free_shell(FORGED).out else "no"
    end = t.unit(shell=FORGED).run()
    events = [e for e in end.events if e["verb"] == "end" and "final" in e]
    # The file itself: one line an event, and only printable bytes.
    unit = t.unit(shell=FORGED)
    running = unit.start("--slots=1")
    running.process.communicate(timeout=30)
    with open(running.events, "rb") as file:
        raw = file.read()
    lines = [line for line in raw.splitlines() if b" what=plan " not in line]
    odd = [line for line in lines if any(b < 32 or b > 126 for b in line)]
    return "%s, %d end, %s" % (end.said, len(events), "control bytes" if odd else "no control bytes")


INJECT = """
import errno, fcntl, os
def t(f, *a):
    try: f(*a); return 'OK'
    except OSError as e: return errno.errorcode[e.errno]
got = [t(os.open, '/dev/tty', os.O_RDWR), t(os.open, '/dev/console', os.O_RDWR)]
for fd in range(3): got.append(t(fcntl.ioctl, fd, 0x5412, b'x'))
got.append('tty' if any(os.isatty(fd) for fd in range(3)) else 'none')
os.write(2, ('@' + ' '.join(got) + '@').encode())
"""


@attack(81, "TIOCSTI, /dev/tty: the terminal of whoever started taskrun", wins="OK .*tty",
        jail="ENXIO ENOENT (EPERM|ENOTTY) EPERM EPERM none$")
def terminal(t):
    if t.is_free:
        path = t.write(t.base + "/inject.py", INJECT)
        words = ["python3", "-S", path]
    else:
        words = [t.taskrun, t.unit(python=INJECT).path]
    pid, master = pty.fork()
    if pid == 0:
        os.chdir("/")
        words = [*t.machine.as_uid(t.caller), *words]
        os.execvpe(words[0], words, t.machine.environment)
    got = b""
    end = time.monotonic() + 30
    while time.monotonic() < end and got.count(b"@") < 2:
        if select.select([master], [], [], 1)[0]:
            try:
                got += os.read(master, 4096)
            except OSError:
                break
    os.close(master)
    os.waitpid(pid, 0)
    return got.decode().split("@")[1] if b"@" in got else got.decode()


@attack(82, "yes(1) at full speed, LogLimit=256K", wins="2000000", jail="kept 262144, taskrun below")
def flood(t):
    script = "yes & until test -e told; do sleep 0.05; done; kill $!; wait"
    if t.is_free:
        return str(len(t.free_shell("timeout 1 yes | head -c 2000000 | cat").out))
    running = t.unit(shell=script, service=("LogLimit=256K",)).start("--slots=1")
    # Its output is read meanwhile: a taskrun that can't pass on what it keeps reads no more either.
    ended = []
    reader = threading.Thread(target=lambda: ended.append(running.end()))
    reader.start()
    pid = running.process.pid
    t.wait_until(lambda: t.counted(pid, "io", "rchar:") > 256 << 20, "256 MiB were read", 40)
    size = t.counted(pid, "status", "VmHWM:")
    told = t.work + "/told"
    open(told, "w").close()
    reader.join()
    os.unlink(told)
    return "kept %d, taskrun %s" % (len(ended[0].out), "below 64 MB" if size < 65536 else size)


@attack(83, "a grandchild keeps the output open after the end", wins="late", jail="at once$")
def held(t):
    script = "(setsid sleep 3 &) ; echo said"
    begin = time.monotonic()
    end = t.free_shell(script) if t.is_free else t.unit(shell=script).run()
    took = time.monotonic() - begin
    return ("late" if took > 2.5 else "at once") if "said" in end.out else end.err


@attack(84, "a program's name with a newline, and oom", wins="", why="nothing is recorded",
        jail="1 end|1 end, weak")
def comm(t):
    if t.is_free:
        return ""
    script = """
import ctypes
ctypes.CDLL(None).prctl(15, b'a\\nend b c=d', 0, 0, 0)
x = bytearray(200 << 20)
"""
    end = t.unit(python=script, service=("LimitMem=64M",)).run()
    return "%d end" % len([e for e in end.events if e["verb"] == "end" and "final" in e])


PASS = """
import array, os, socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [1, 2]))])
s.recv(1)
"""


@attack(123, "the end of the output pipe, passed to a process outside: writes after the end",
        wins="OK", jail="EPIPE EPIPE, next: said$")
def passed(t):
    import errno
    import socket

    if t.is_free:
        return "OK"  # whoever has the descriptor writes
    path = t.work + "/pass.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        os.chmod(path, 0o666)
        listener.listen(1)
        listener.settimeout(20)
        first = t.unit(python=PASS, args=path)
        go = t.work + "/go"
        second = t.unit(requires=first, shell=(
            "touch %s/second; n=0; while [ ! -e %s ] && [ $n -lt 200 ]; do sleep 0.02; n=$((n+1)); "
            "done; echo said" % (t.work, go)))
        running = second.start("--slots=1")
        peer, _ = listener.accept()
        _, ends, _, _ = socket.recv_fds(peer, 1, 2)
        peer.send(b"x")
        t.wait_for(t.work + "/second")
        got = []
        for end in ends:
            try:
                os.write(end, b"injected into another's log\n")
                got.append("OK")
            except OSError as error:
                got.append(errno.errorcode[error.errno])
        t.write(go, "")
        said = running.end()
    for name in ("go", "second", "pass.sock"):
        os.unlink(t.work + "/" + name)
    return "%s, next: %s" % (" ".join(got), " ".join((said.out + said.err).split()))
