# SPDX-License-Identifier: Apache-2.0
"""taskd under a supervisor that starts it again, the pool that it starts, and their figures."""
import os
import signal
import socket
import subprocess
import time


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def is_alive(pid):
    stat = read("/proc/%d/stat" % pid).rpartition(")")[2].split()
    return bool(stat) and stat[0] not in "ZX"


class Daemons:
    """Kills only pids that it started, or that hold this spool's run.lock."""

    def __init__(self, binaries, spool, log):
        self.binaries, self.spool, self.log = binaries, spool, log
        self.taskd, self.due, self.begun = None, 0, 0
        self.starts, self.kills, self.pool_kills = 0, 0, 0
        self.unexpected, self.wanted, self.recoveries = [], False, []
        self.notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.notices.bind(spool + ".notify")

    def start(self):
        self.begun, self.starts, self.wanted = time.monotonic(), self.starts + 1, False
        self.ready = False
        self.is_recovered()  # what an earlier one still said
        self.taskd = subprocess.Popen(
            [self.binaries + "/taskd", "--spool=" + self.spool, "--pool=none"],
            env=dict(os.environ, NOTIFY_SOCKET=self.spool + ".notify"),
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def supervise(self, pause):
        """Starts taskd again, after a pause, whatever ended it; what we did not end is remembered."""
        now = time.monotonic()
        if self.taskd is not None and self.taskd.poll() is not None:
            if not self.wanted:
                self.unexpected.append(self.taskd.returncode)
            self.taskd, self.due = None, now + pause
        if self.taskd is None and now >= self.due:
            self.start()
        elif self.taskd is not None and not self.ready and self.is_recovered():
            self.ready = True
            self.recoveries.append((now, now - self.begun))

    def is_recovered(self):
        """READY=1 came: recovery is done (sd_notify(3))."""
        try:
            while True:
                if "READY=1" in self.notices.recv(4096).decode(errors="replace").split("\n"):
                    return True
        except BlockingIOError:
            return False

    def pool(self):
        try:
            inode = os.stat(self.spool + "/run.lock").st_ino
        except OSError:
            return None
        for line in read("/proc/locks").splitlines():
            words = line.split()
            if len(words) > 5 and words[1] == "FLOCK" and words[5].endswith(":%d" % inode):
                pid = int(words[4])
                if read("/proc/%d/comm" % pid).strip() == "taskrun":
                    return pid
        return None

    def kill_taskd(self, number=signal.SIGKILL):
        if self.taskd is not None and self.taskd.poll() is None:
            self.wanted, self.kills = True, self.kills + 1
            self.taskd.send_signal(number)

    def kill_pool(self):
        pid = self.pool()
        if pid is not None:
            self.pool_kills += 1
            os.kill(pid, signal.SIGKILL)

    def stop(self, seconds=30):
        """Ends both in order; True when both are gone."""
        pool, end = self.pool(), time.monotonic() + seconds
        if self.taskd is not None:
            self.wanted = True
            self.taskd.terminate()
            try:
                self.taskd.wait(seconds)
            except subprocess.TimeoutExpired:
                self.taskd.kill()
                return False
        if pool is None:
            return True
        os.kill(pool, signal.SIGTERM)
        while is_alive(pool) and time.monotonic() < end:
            time.sleep(0.05)
        return not is_alive(pool)

    def sweep(self):
        """A pool that a signal ends leaves its cgroups to the next taskrun: this is the next."""
        path = self.spool + ".sweep.task"
        with open(path, "w") as file:
            file.write('[Command]\ncommand="true"\n')
        return subprocess.run([self.binaries + "/taskrun", path], stdin=subprocess.DEVNULL,
                              stdout=self.log, stderr=self.log, timeout=60).returncode == 0


def figures(pid):
    """Descriptors, threads, VmRSS and anonymous memory in kB; None when it is gone.

    Not Pss: that grows when another process that shares the program's pages ends."""
    try:
        descriptors = len(os.listdir("/proc/%d/fd" % pid))
    except OSError:
        return None
    status = dict(l.split(":", 1) for l in read("/proc/%d/status" % pid).splitlines() if ":" in l)
    rollup = dict(l.split(":", 1) for l in
                  read("/proc/%d/smaps_rollup" % pid).splitlines()[1:] if ":" in l)
    number = lambda table, key: int(table.get(key, "0").split()[0])
    if "VmRSS" not in status or "Anonymous" not in rollup:
        return None
    return {"fd": descriptors, "threads": number(status, "Threads"),
            "rss": number(status, "VmRSS"), "anon": number(rollup, "Anonymous")}


LIVE = ["incoming", "tmp", "ready", "active", "deferred", "hold"]


def listed(path):
    """Its entries; none before the taskd that was killed at its start has made the directory."""
    try:
        return list(os.scandir(path))
    except FileNotFoundError:
        return []


def spool_figures(spool):
    count = lambda name: len(listed(os.path.join(spool, name)))
    size = 0
    for entry in listed(spool + "/journal"):
        try:
            size += entry.stat().st_size if "sqlite" not in entry.name else 0
        except OSError:
            pass
    return {"live": sum(count(name) for name in LIVE),
            "parked": count("failed") + count("rejected"),
            "segments": count("journal") + count("log"), "journal": size,
            "load": os.getloadavg()[0]}
