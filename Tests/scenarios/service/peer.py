#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A peer of the root service that does one thing wrong, and says what became of it.

    peer.py SOCKET DIRECTORY WHAT [ARG]

DIRECTORY is the peer's own. Prints `closed` when the service ended the connection, `served` when it
still answers after that, else what went wrong.
"""
import array
import ctypes
import fcntl
import os
import resource
import select
import socket
import struct
import sys
import time

RUN = "01m88gw5xr1c3076pf4v8mtxa3"
place, here, what = sys.argv[1:4]
libc = ctypes.CDLL(None, use_errno=True)


def connect(spool="x", hello=True):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.connect(place)
    if hello:
        sock.send(f"hello 1 {here}/{spool}\n".encode())
    return sock


def send(sock, text, fds=()):
    sock.sendmsg([text.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])


def closed(sock, seconds=10):
    """Whether the service ends the connection within that time."""
    end = time.monotonic() + seconds
    while select.select([sock], [], [], max(0, end - time.monotonic()))[0]:
        try:
            if not sock.recv(1 << 17):
                return True
        except ConnectionError:
            return True
    return False


def flooding(count):
    """A flood goes on until the file `stop` is there; `under-way` says that it has begun."""
    if count >= 100 and not os.path.exists(here + "/under-way"):
        os.close(os.open(here + "/under-way", os.O_CREAT))
    return not os.path.exists(here + "/stop")


def answers(sock, seconds=10):
    """Whether it still takes a job, here one that makes no sense, and ends it."""
    send(sock, f"run 1 {RUN}.77 a=1 seven Nonsense=1\n")
    end = time.monotonic() + seconds
    while select.select([sock], [], [], max(0, end - time.monotonic()))[0]:
        packet = sock.recv(1 << 17)
        if not packet:
            return False
        if f"end {RUN}.77 ".encode() in packet:
            return True
    return False


def is_served():
    """Whether a connection of his takes a job at this moment."""
    try:
        sock = connect()
        send(sock, "log 00000001-taskd-000001\n", [log()])
        return answers(sock)
    except OSError:  # ETOOMANYREFS: so much of what he sent is not received yet
        return False


def log(flags=os.O_RDWR, name="x.log"):
    return os.open(f"{here}/{name}", flags | os.O_CREAT, 0o600)


def sealed(data, seals=1 | 2 | 4 | 8, shrink=None):
    fd = os.memfd_create("job", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.write(fd, data)
    if shrink is not None:
        os.ftruncate(fd, shrink)
    if seals:
        fcntl.fcntl(fd, 1033, seals)
    return fd


def lingering(use):
    """20 times: a TCP socket whose close waits, since its peer reads nothing; passed by `use` in a
    child that exits, so that its last reference is the service's."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    server.bind(("127.0.0.1", 0))
    server.listen(20)
    kept = [server]
    for _ in range(20):
        child = os.fork()
        if child == 0:
            client = socket.socket()
            client.connect(server.getsockname())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))
            client.setblocking(False)
            try:
                while True:
                    client.send(b"x" * 65536)
            except BlockingIOError:
                pass
            use(client.fileno())
            os._exit(0)
        kept.append(server.accept()[0])
        os.waitpid(child, 0)
    sock = connect()
    send(sock, "log 00000001-taskd-000001\n", [log()])
    print("served" if answers(sock) else "not served")


def passed(fd):
    sock = connect()
    send(sock, "log 00000001-taskd-000001\n", [fd])


def third(fd):
    null = os.open("/dev/null", os.O_RDONLY)
    send(connect(), "ack 0\n", [null, null, fd])


def unread(fd):
    sock = connect(hello=False)
    send(sock, "nonsense\n")
    try:
        send(sock, "more\n", [fd])
    except OSError:
        pass  # it was quicker


def segment(fd):
    sock = connect()
    send(sock, "log 00000001-taskd-000001\n", [fd] if fd is not None else [])
    os.close(fd) if fd is not None else None
    print("closed" if closed(sock, 5) else "not closed")


def job(text, fds=()):
    sock = connect()
    try:
        send(sock, "log 00000001-taskd-000001\n", [log()])
        send(sock, text, fds)
    except OSError as error:
        print(error)
    print("closed" if closed(sock, 5) else "not closed")


line = f"run 1 {RUN}.0 a=1 x command=true\n"
match what:
    # Log segments.
    case "log-fifo":
        os.mkfifo(here + "/fifo")
        segment(os.open(here + "/fifo", os.O_RDWR))
    case "log-null": segment(os.open("/dev/null", os.O_RDWR))
    case "log-directory": segment(os.open(here, os.O_RDONLY))
    case "log-path": segment((os.close(log()), os.open(here + "/x.log", os.O_PATH))[1])
    case "log-read": segment((os.close(log()), os.open(here + "/x.log", os.O_RDONLY))[1])
    case "log-other": segment(os.open(sys.argv[4], os.O_RDONLY))
    case "log-direct": segment(log(os.O_RDWR | os.O_DIRECT))
    case "log-sync": segment(log(os.O_RDWR | os.O_SYNC))
    case "log-memory": segment(os.memfd_create("x"))
    case "log-gone":
        fd = log(name="gone")
        os.unlink(here + "/gone")
        segment(fd)
    case "log-large":
        fd = log(name="large")
        os.ftruncate(fd, 1 << 40)
        segment(fd)
    case "log-none": segment(None)
    case "log-proc": segment(os.open("/proc/self/comm", os.O_RDWR))
    # One whose close waits: passed, and in a message that nobody receives.
    case "log-socket": lingering(passed)
    case "unread-socket": lingering(unread)
    case "third-socket": lingering(third)
    case "many-descriptors":
        null = os.open("/dev/null", os.O_RDONLY)
        for _ in range(300):
            try:
                send(connect(), "ack 0\n", [null] * 200)
            except OSError:
                pass  # closed by now, or refused while those before are still closed
        end = time.monotonic() + 30
        while not (served := is_served()) and time.monotonic() < end:
            pass
        print("served" if served else "not served")
    # Jobs in memory that is not what it should be.
    case "sealed-not": job(f"sealed {len(line)}\n", [sealed(line.encode(), 0)])
    case "sealed-partly": job(f"sealed {len(line)}\n", [sealed(line.encode(), 2 | 8)])
    case "sealed-file": job("sealed 10\n", [log()])
    case "sealed-none": job("sealed 10\n")
    case "sealed-twice":
        fd = sealed(line.encode())
        job("sealed 1\nsealed 1\n", [fd])
    case "sealed-sparse":
        fd = os.memfd_create("job", os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, 1 << 40)
        fcntl.fcntl(fd, 1033, 15)
        job("sealed 1\n", [fd])
    case "sealed-short": job("sealed 5\n", [sealed(line.encode()[:20])])
    case "half": job(line[:-1])
    case "long": job("x" * 70000)
    case "empty": job("")
    # Floods.
    case "connections":
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
        socks, refused = [], 0
        for index in range(1000):
            try:
                socks.append(connect(hello=False))
            except OSError:
                refused += 1
        time.sleep(1)
        open_now = sum(0 if closed(s, 0) else 1 for s in socks)
        print("kept", open_now)
    case "spools":
        served = 0
        for index in range(200):
            sock = None
            try:
                sock = connect(f"spool{index}")
                send(sock, "log 00000001-taskd-000001\n", [log()])
                served += answers(sock)
            except ConnectionError:
                pass
            if sock:
                sock.close()
        print("bounded" if 0 < served < 16 else f"served {served}")
    case "deaf" | "acks":
        # Sends jobs that end at once, and reads nothing; acks says before each that it has read it all.
        sock = connect(what)
        send(sock, "log 00000001-taskd-000001\n", [log()])
        sock.setblocking(False)
        before = f"ack {1 << 40}\n" if what == "acks" else ""
        sent = 0
        while flooding(sent):
            try:
                send(sock, before + "".join(f"run 1 {RUN}.{n} a=1 x Nonsense={'y' * 400}\n" for n in range(sent, sent + 20)))
                sent += 20
            except BlockingIOError:
                time.sleep(0.001)
            except OSError:
                break
        print("sent", sent)
    case "large":
        # Jobs of 4 MiB until they are refused: without a log segment none starts.
        sock = connect("large")
        sent = 0
        try:
            for n in range(24):
                text = f"run 1 {RUN}.{n} a=1 x command=sleep arg=600 arg={n} arg={'y' * (4 << 20)}\n"
                fd = sealed(text.encode())
                send(sock, f"sealed {len(text)}\n", [fd])
                os.close(fd)
                sent += 1
        except OSError:
            pass
        print("closed" if closed(sock, 40) else "not closed")
    case "flood":
        # Nonsense as fast as it goes, from one connection after another.
        count = 0
        while flooding(count):
            sock = connect(hello=False)
            try:
                for _ in range(50):
                    sock.send(b"hello 1 flood\nack 1\nkill " + RUN.encode() + b".0 a=1 grace=0\n" * 20)
                    count += 1
            except OSError:
                pass
            sock.close()
        print("sent", count)
    case "fuzz":
        import fuzz
        seed, count = int(sys.argv[4]), int(sys.argv[5])
        print(f"# seed {seed}", file=sys.stderr)
        source = fuzz.Fuzz(seed, here)
        sock, sent, closures = connect("fuzz"), 0, 0
        while sent < count:
            text, fds = source.packet()
            try:
                sock.sendmsg([text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
                sent += 1
            except OSError:
                sock.close()
                sock = connect("fuzz")
                send(sock, "log 00000001-taskd-000001\n", [log()])
                closures += 1
            for fd in fds:
                os.close(fd)
            while select.select([sock], [], [], 0)[0]:
                try:
                    packet = sock.recv(1 << 17)
                except OSError:
                    packet = b""
                if not packet:
                    break
                numbers = [int(line.split()[1]) for line in packet.split(b"\n") if line.startswith(b"event ")]
                if numbers and source.random.random() < 0.9:
                    try:
                        send(sock, f"ack {max(numbers)}\n")
                    except OSError:
                        pass
        sock.close()
        sock = connect("sound")
        send(sock, "log 00000001-taskd-000001\n", [log()])
        print(f"# {closures} connections were closed", file=sys.stderr)
        print("served" if answers(sock) else f"not served after seed {seed}")
    case _:
        print("unknown", what)
