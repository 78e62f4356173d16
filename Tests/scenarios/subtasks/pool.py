#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plays the pool's side of its protocol (taskrun(1), "The pool") for a taskd, a command a line on stdin.

    serve SLOTS            waits for taskd and tells it what runs, what it has not acknowledged, SLOTS
    job SECONDS NAME       waits for an attempt of the task NAME, which is called NAME from then on
    drop NAME FILE TEXT    its attempt drops a file, \\n for line feeds
    end NAME STATE FIELDS  ends it
    acked SECONDS          waits until taskd has acknowledged all
    expect SECONDS REGEX   waits for a message
    die                    ends all attempts as a pool does that is killed
    close                  closes the connection; what is not acknowledged comes again
What taskd says is printed after `< `, `done` after each command, `timeout` where it waited in vain.
"""
import os
import re
import select
import socket
import sys
import time
import urllib.parse

place = sys.argv[1] + "/run.sock"
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(place)
listener.listen(4)
connection = None
sequence = 0
kept = []  # (sequence, line)
live = {}  # ref: attempt
names = {}  # name: (ref, attempt)
heard = []  # messages that nobody waited for yet


def say(text):
    print(text, flush=True)


def send(text):
    if connection is None:
        return
    try:
        connection.send((text + "\n").encode())
    except OSError:
        lose()


def lose():
    global connection
    if connection is not None:
        connection.close()
    connection = None


def tell(line):
    global sequence
    sequence += 1
    line = f"{time.time_ns() // 1000} {line}"
    kept.append((sequence, line))
    send(f"event {sequence} {line}")


def serve(slots):
    global connection, sequence
    lose()
    connection, _ = listener.accept()
    sequence = 0
    send("hello 1")
    for ref, attempt in live.items():
        send(f"running {ref} a={attempt}")
    for place, (_, line) in enumerate(kept):
        sequence += 1
        kept[place] = (sequence, line)
        send(f"event {sequence} {line}")
    send(f"slots {slots}")


def read(seconds):
    """Reads one packet; false at the deadline or the end of the connection."""
    if connection is None or not select.select([connection], [], [], max(0, seconds))[0]:
        return False
    packet, files, _, _ = socket.recv_fds(connection, 1 << 17, 4)
    for file in files:
        os.close(file)
    if not packet:
        lose()
        return False
    for line in packet.decode().splitlines():
        say("< " + line)
        words = line.split(" ")
        if words[0] == "ack":
            kept[:] = [event for event in kept if event[0] > int(words[1])]
        elif words[0] == "run":
            ref, attempt, name = words[2], int(words[3][2:]), words[4]
            live[ref] = attempt
            names[name] = (ref, attempt)
            tell(f"start {ref} a={attempt} name={name}")
        heard.append(line)
    return True


def wait(seconds, condition):
    deadline = time.monotonic() + float(seconds)
    while not condition():
        if not read(deadline - time.monotonic()):
            return say("timeout")


def hear(pattern):
    for place, line in enumerate(heard):
        if re.search(pattern, line):
            del heard[place]
            return True
    return False


for command in sys.stdin:
    verb, _, rest = command.rstrip("\n").partition(" ")
    words = rest.split(" ")
    if verb == "serve":
        serve(rest)
    elif verb == "job":
        wait(words[0], lambda: hear(f"^run [0-9]+ [^ ]+ a=[0-9]+ {re.escape(words[1])}( |$)"))
    elif verb == "drop":
        name, file, text = rest.split(" ", 2)
        ref, attempt = names[name]
        unit = urllib.parse.quote(text.replace("\\n", "\n"), safe="/[]\"'")
        tell(f"note {ref} a={attempt} what=submit name={file} unit={unit}")
    elif verb == "end":
        name, state, *fields = words
        ref, attempt = names[name]
        live.pop(ref, None)
        tell(" ".join([f"end {ref} a={attempt} state={state}", *fields, f"name={name}"]))
    elif verb == "acked":
        wait(rest, lambda: not kept)
    elif verb == "expect":
        seconds, pattern = rest.split(" ", 1)
        wait(seconds, lambda: hear(pattern))
    elif verb == "die":
        live.clear()
        kept.clear()
        lose()
    elif verb == "close":
        lose()
    say("done")
