#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Speaks taskd's side of the pool's protocol (taskrun(1), "The pool"), one command a line on stdin.

    connect [NOHELLO]      connects to SPOOL/run.sock and says hello
    log NAME               opens SPOOL/NAME.log and passes it
    run ID A NAME FIELDS   a job
    sealed ID A NAME N     a job with N bytes of arguments, in a sealed memfd
    raw TEXT               one packet, \\n for line feeds
    kill ID A GRACE_US     ack SEQ       drain
    child ID A FILE TEXT   a file for the directory of an attempt
    expect SECONDS REGEX   prints messages until one matches; `timeout` where none does
    acking SECONDS REGEX   the same, and acknowledges each event before the one that matches
    closed SECONDS         waits for the pool to close the connection
    close                  closes without reading
    say TEXT               prints it: what stands before is done
Messages of the pool are printed as they are, after `< `.
"""
import array
import ctypes
import os
import re
import select
import socket
import sys
import time

spool = sys.argv[1]
# Another place of the socket than the spool.
place = os.environ.get("POOL_SOCKET", spool + "/run.sock")
# Where log segments lie, if not there.
logs = sys.argv[2] if len(sys.argv) > 2 else spool
sock = None
pending = []


def say(text):
    print(text, flush=True)


def send(data, fd=None):
    extra = []
    if fd is not None:
        extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
    try:
        sock.sendmsg([data], extra)
    except OSError as error:
        say(f"send failed: {error.strerror}")


def next_line(deadline):
    """The next message as text; None at the deadline, "" at the end of the connection."""
    while not pending:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([sock], [], [], left)[0]:
            return None
        try:
            packet = sock.recv(1 << 17)
        except ConnectionResetError:
            packet = b""
        if not packet:
            return ""
        pending.extend(packet.decode().splitlines())
    line = pending.pop(0)
    say("< " + line)
    return line


def expect(seconds, pattern, acks=False):
    deadline = time.monotonic() + float(seconds)
    while True:
        line = next_line(deadline)
        if line is None:
            return say(f"timeout: no {pattern}")
        if line == "":
            return say("closed")
        if re.search(pattern, line):
            return None
        if acks and line.startswith("event "):
            send(f"ack {line.split()[1]}\n".encode())


def closed(seconds):
    deadline = time.monotonic() + float(seconds)
    while True:
        line = next_line(deadline)
        if line is None:
            return say("timeout: not closed")
        if line == "":
            return say("closed")


def connect(hello=True):
    global sock
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    here = os.open(os.path.dirname(place), os.O_PATH)
    deadline = time.monotonic() + 10
    while True:
        try:
            sock.connect(f"/proc/self/fd/{here}/{os.path.basename(place)}")
            break
        except OSError as error:
            if time.monotonic() > deadline:
                return say(f"connect failed: {error.strerror}")
            time.sleep(0.02)
    pending.clear()
    if hello:
        send(f"hello 1 {spool}\n".encode())


def sealed(ref, attempt, name, count):
    line = f"run 1 {ref} a={attempt} {name} command=true arg={'x' * int(count)}\n".encode()
    fd = os.memfd_create("job", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.write(fd, line)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fcntl(fd, 1033, 1 | 2 | 4 | 8)  # F_ADD_SEALS, all
    send(f"sealed {len(line)}\n".encode(), fd)
    os.close(fd)


for command in sys.stdin:
    words = command.rstrip("\n").split(" ")
    match words:
        case ["connect"]:
            connect()
        case ["connect", "NOHELLO"]:
            connect(hello=False)
        case ["log", name]:
            fd = os.open(f"{logs}/{name}.log", os.O_RDWR | os.O_CREAT | os.O_APPEND)
            send(f"log {name}\n".encode(), fd)
            os.close(fd)
        case ["run", ref, attempt, *rest]:
            send(f"run 1 {ref} a={attempt} {' '.join(rest)}\n".encode())
        case ["sealed", ref, attempt, name, count]:
            sealed(ref, attempt, name, count)
        case ["raw", *rest]:
            send(" ".join(rest).replace("\\n", "\n").encode())
        case ["kill", ref, attempt, grace]:
            send(f"kill {ref} a={attempt} grace={grace}\n".encode())
        case ["ack", seq]:
            send(f"ack {seq}\n".encode())
        case ["drain"]:
            send(b"drain\n")
        case ["expect", seconds, *pattern]:
            expect(seconds, " ".join(pattern))
        case ["acking", seconds, *pattern]:
            expect(seconds, " ".join(pattern), acks=True)
        case ["child", ref, attempt, file, text]:
            send(f"child {ref} a={attempt} {file} {text}\n".encode())
        case ["closed", seconds]:
            closed(seconds)
        case ["say", *words]:
            say(" ".join(words))
        case ["close"]:
            sock.close()
        case _:
            say(f"unknown command {command!r}")
