#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds a socket as systemd does, and starts a program for whoever connects (sd_listen_fds(3)).

    listen.py SOCKET PIDFILE PROGRAM ARG...

The program's pid is in PIDFILE; it is started again when it has ended and somebody connects.
"""
import os
import select
import signal
import socket
import sys

path, pidfile = sys.argv[1:3]
child = 0


def stop(*_):
    if child:
        os.kill(child, signal.SIGTERM)
    os._exit(0)


def start():
    pid = os.fork()
    if pid:
        return pid
    os.dup2(listener.fileno(), 3)
    os.set_inheritable(3, True)
    os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
    os.execv(sys.argv[3], sys.argv[3:])


signal.signal(signal.SIGTERM, stop)
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(path + "~")
os.chmod(path + "~", 0o666)
listener.listen(4096)
os.rename(path + "~", path)
while True:
    select.select([listener], [], [])
    child = start()
    with open(pidfile + "~", "w") as file:
        print(child, file=file)
    os.rename(pidfile + "~", pidfile)
    os.waitpid(child, 0)
    child = 0
