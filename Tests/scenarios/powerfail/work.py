# SPDX-License-Identifier: Apache-2.0
"""What users do with a spool while the power may fail: drops, moves, cancels."""
import os
import re
import time

from model import Node

UNIT = '[Service]\n%s\n[Jail]\nJail=no\n[Command]\ncommand="sh"\n[Args]\nargs="-c \'%s\'"\n'
PLAN = re.compile(r"^[0-9a-z]{26}(:[0-9]+)?(\+[0-9]+)?$")
DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
KINDS = ["good", "slow", "fails", "flaky", "two", "two_fail", "large", "bad"]


class Work:
    def __init__(self, spool, marks, choose):
        self.spool, self.marks, self.choose, self.count = spool, marks, choose, 0
        self.log = []  # (time, operation on a Disk)
        self.told = set()  # names of drops whose submitter was told that they are safe
        with open(self.path("units", "lib.task"), "w") as file:
            file.write(UNIT % ("", "echo x >>%s/ran.lib" % marks))
            file.flush()
            os.fsync(file.fileno())

    def path(self, folder, name):
        return os.path.join(self.spool, folder, name)

    def go(self, steps):
        for _ in range(steps):
            self.choose.choice([self.submit, self.submit, self.drop, self.drop, self.cancel,
                                self.retry, self.hold, self.release, self.rest])()
            time.sleep(self.choose.choice([0, 0, 0.01, 0.05]))

    def rest(self):
        time.sleep(0.1)

    def unit(self):
        """The name of a new unit, which tells its kind, and its text."""
        self.count += 1
        kind = self.choose.choice(KINDS)
        name = "%s_%d" % (kind, self.count)
        mark = "echo x >>%s/ran.%s" % (self.marks, name)
        text = {
            "good": UNIT % ("", mark),
            "slow": UNIT % ("", mark + "; sleep 0.2"),
            "fails": UNIT % ("", mark + "; exit 3"),
            "flaky": UNIT % ("Restart=9\nRestartSec=100ms",
                             mark + "; test $(wc -l <%s/ran.%s) -gt 1" % (self.marks, name)),
            "two": "[Dependencies]\nRequires=lib.task\n" + UNIT % ("", mark),
            "two_fail": "[Dependencies]\nRequires=lib.task\n" + UNIT % ("", mark + "; exit 4"),
            "large": UNIT % ("", mark) + '[Environment]\nBIG="%05000d"\n' % 0,
            "bad": "this is no unit\n",
        }[kind]
        return name + ".task", text.encode()

    def arrive(self, name, data):
        source = self.spool + ".drop"  # on its file system
        with open(source, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        key = "incoming", name
        self.log.append((time.time(), lambda disk: disk.names(None, key, Node(data))))
        os.rename(source, self.path(*key))

    def submit(self):
        """As task submit: the directory is synced, then the caller is told."""
        name, data = self.unit()
        number = (int(time.time() * 1000) << 80) | self.choose.getrandbits(80)
        run = "".join(DIGITS[number >> shift & 31] for shift in range(125, -1, -5))
        self.arrive("%s@%s" % (run, name), data)
        self.log.append((time.time(), lambda disk: disk.sync(("incoming", ""))))
        folder = os.open(os.path.join(self.spool, "incoming"), os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        self.told.add(name)

    def drop(self):
        """As mv(1): the directory is not synced."""
        self.arrive(*self.unit())

    def some(self, *folders):
        found = sorted((folder, name) for folder in folders
                       for name in os.listdir(os.path.join(self.spool, folder))
                       if PLAN.match(name))
        return self.choose.choice(found) if found else None

    def move(self, found, folder):
        if not found:
            return
        when = time.time()
        try:
            os.rename(self.path(*found), self.path(folder, found[1]))
        except FileNotFoundError:
            return
        self.log.append((when, lambda disk: disk.names(found, (folder, found[1]))))

    def retry(self):
        self.move(self.some("failed"), "ready")

    def hold(self):
        self.move(self.some("ready", "active", "deferred"), "hold")

    def release(self):
        self.move(self.some("hold"), "ready")

    def cancel(self):
        found = self.some("ready", "active", "deferred", "hold")
        if found:
            self.arrive(found[1][:26] + ".cancel", b"")
