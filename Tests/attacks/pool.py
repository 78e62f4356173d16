# SPDX-License-Identifier: Apache-2.0
"""A pool, and the part of taskd: what a task drops for subtasks comes here."""

import base64
import os
import re
import socket
import urllib.parse

RUN = "01m88gw5xr1c3076pf4v8mtxa3"


class Pool:
    """One pool of a trial; `with` it. Its program has the trial's mode."""

    count = 0

    def __init__(self, trial):
        self.trial = trial
        Pool.count += 1
        self.directory = trial.machine.make("p%d" % Pool.count, trial.caller)
        os.chmod(self.directory, 0o700)
        self.lines = []

    def __enter__(self):
        words = [self.trial.taskrun, "--pool", "--spool=" + self.directory, "--slots=1"]
        self.process = self.trial.spawn(words, None).process
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # The name is there a moment before it listens.
        self.trial.wait_until(self.reached, self.directory + "/run.sock")
        self.socket.settimeout(30)
        self.send("hello 1 %s\n" % self.directory)
        self.log = self.directory + "/00000001-taskd-000001.log"
        file = os.open(self.log, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        if os.geteuid() == 0:
            os.chown(file, self.trial.caller, self.trial.caller)
        socket.send_fds(self.socket, [b"log 00000001-taskd-000001\n"], [file])
        os.close(file)
        return self

    def reached(self):
        return self.socket.connect_ex(self.directory + "/run.sock") == 0

    def __exit__(self, *_):
        self.socket.close()
        self.process.kill()
        self.process.communicate()

    def send(self, text):
        self.socket.send(text.encode())

    def start(self, script, *fields, task=0):
        """A job whose program is a shell in the directory for drops."""
        if self.trial.mode == "nobody":
            fields += ("User=nobody",)
        text = base64.b64encode(("cd $TASK_SUBMIT || exit 9\n%s\n" % script).encode()).decode()
        words = 'eval "$(echo %s|base64 -d)"' % text
        self.send("run 1 %s.%d a=1 job MaxTime=30s %s command=bash arg=-c arg=%s\n" % (
            RUN, task, " ".join(fields), urllib.parse.quote(words, safe="/")))

    def until(self, pattern, acks=True):
        """The events up to one that matches."""
        while True:
            for line in self.socket.recv(1 << 17).decode().splitlines():
                self.lines.append(line)
                if acks and line.startswith("event "):
                    self.send("ack %s\n" % line.split()[1])
            if any(re.search(pattern, line) for line in self.lines):
                return self.lines

    def run(self, script, *fields, task=0):
        self.start(script, *fields, task=task)
        self.until(" end %s.%d " % (RUN, task))

    def notes(self, what):
        """The names in notes of this attempt."""
        mark = " note %s.0 a=1 what=%s name=" % (RUN, what)
        return [line.split(mark)[1].split(" ")[0] for line in self.lines if mark in line]

    @property
    def drops(self):
        return self.notes("submit")

    @property
    def refused(self):
        return self.notes("submit.refused")

    @property
    def ended(self):
        return re.search(r" end %s.0 a=1 (state=\S+)" % RUN, "\n".join(self.lines)).group(1)

    @property
    def output(self):
        with open(self.log, "rb") as file:
            return file.read().decode(errors="replace")

    def memory(self):
        """Kilobytes of the pool's own, resident."""
        # setpriv(1) has become taskrun by now.
        return self.trial.counted(self.process.pid, "status", "VmRSS:")

