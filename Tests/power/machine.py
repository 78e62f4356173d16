# SPDX-License-Identifier: Apache-2.0
"""taskd and its pool on a spool, one boot after the other."""
import os
import signal
import socket
import subprocess
import time
import uuid

WORK = ["incoming", "tmp", "ready", "active", "deferred", "hold"]


def until(seconds, condition, pause=0.002):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
        pause = min(pause * 1.2, 0.02)
    return True


def names(spool, folder):
    try:
        return os.listdir(os.path.join(spool, folder))
    except FileNotFoundError:
        return []


class Machine:
    """`boot` is a file that lies over the kernel's boot id in this mount namespace."""

    def __init__(self, binaries, spool, boot, log, daemon=()):
        self.bin, self.spool, self.boot_file, self.log = binaries, spool, boot, log
        self.daemon = list(daemon)  # words before taskd's own: a tracer that sabotages it
        self.taskd = None
        self.ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ready.bind(log + ".ready")
        self.ready.setblocking(False)

    def boot(self):
        with open(self.boot_file, "w") as file:
            file.write("%s\n" % uuid.uuid4())

    def start(self):
        self.is_ready()
        with open(self.log, "a") as log:
            self.taskd = subprocess.Popen(
                self.daemon + [self.bin + "/taskd", "--spool=" + self.spool, "--pool=none", "--slots=4",
                               "--journald=" + self.log + ".none"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                env=dict(os.environ, NOTIFY_SOCKET=self.log + ".ready"))

    def is_ready(self):
        """Recovery is done, as taskd tells a service manager."""
        try:
            while b"READY=1" not in self.ready.recv(4096):
                pass
            return True
        except BlockingIOError:
            return False

    def has_taken(self):
        try:
            with open(self.spool + "/owner") as file:
                return " pid=%d " % self.taskd.pid in file.read()
        except (FileNotFoundError, NotADirectoryError):
            return False

    def is_dead(self):
        return self.taskd is None or self.taskd.poll() is not None

    def stop(self, number=signal.SIGKILL):
        if not self.is_dead():
            self.taskd.send_signal(number)
            try:
                self.taskd.wait(20)
            except subprocess.TimeoutExpired:
                self.taskd.kill()
                self.taskd.wait()

    def end_pool(self):
        """Ends what taskd leaves. This process namespace has no other daemons."""
        def others():
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open("/proc/%s/stat" % pid) as file:
                        name, _, rest = file.read().partition("(")[2].rpartition(")")
                    if name in ("taskd", "taskrun") and rest.split()[0] not in "ZX" and (
                            self.is_dead() or int(pid) != self.taskd.pid):
                        yield int(pid)
                except OSError:
                    continue

        def end():
            pids = list(others())
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            return not pids
        until(10, end)

    def power_off(self):
        self.stop()
        self.end_pool()

    def release_held(self):
        for name in names(self.spool, "hold"):
            try:
                os.rename("%s/hold/%s" % (self.spool, name), "%s/ready/%s" % (self.spool, name))
            except FileNotFoundError:
                pass

    def live(self):
        """What has not ended: in failed/ that is what was cancelled and has still the name of its generation."""
        return [folder + "/" + name for folder in WORK for name in names(self.spool, folder)
                if not name.startswith(".")] + [
                    "failed/" + name for name in names(self.spool, "failed") if "+" not in name]

    def ask(self, *words):
        """Runs one of our programs; its status and what it said."""
        done = subprocess.run([self.bin + "/" + words[0], *words[1:]], stdin=subprocess.DEVNULL, cwd="/",
                              env=dict(os.environ, TASK_SPOOL=self.spool), capture_output=True, text=True,
                              timeout=60)
        return done.returncode, done.stdout + done.stderr
