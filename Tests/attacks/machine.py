# SPDX-License-Identifier: Apache-2.0
"""The machine of the attacks: its facts, what lies around on it, and who stands beside the jail."""

import os
import platform
import shutil
import socket
import struct
import subprocess
import tempfile
import time

import attack

HERE = os.path.dirname(os.path.abspath(__file__))
LANDLOCK = 444


class Machine:
    def __init__(self, taskrun, uid, binaries):
        self.base = tempfile.mkdtemp(prefix="taskspool-attack.", dir="/tmp")
        os.chmod(self.base, 0o711)
        self.name = os.path.basename(self.base)
        self.uid = uid
        self.is_root = os.geteuid() == 0
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SECRET_OF_TASKRUN": "1",
                            "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
        self.processes = []
        self.opened = []
        self.weakness = {}
        self.original = os.path.abspath(taskrun)
        self.taskrun = shutil.copy(taskrun, self.base + "/taskrun")
        os.chmod(self.taskrun, 0o755)
        self.binaries = self._binaries(binaries)
        self.facts = self._facts()
        self.files = self._lie_around()

    # ---- facts

    def _binaries(self, given):
        """Compiled here, or shipped where there is no compiler."""
        found = {}
        for source in [f for f in os.listdir(HERE) if f.endswith(".c")]:
            target = source[:-2] + ".so"
            if given and os.path.exists(os.path.join(given, target)):
                found[target] = os.path.join(given, target)
            elif shutil.which("cc"):
                found[target] = os.path.join(self.base, target)
                subprocess.run(["cc", "-shared", "-fPIC", "-O", "-o", found[target],
                                os.path.join(HERE, source)], check=True)
        return found

    def _facts(self):
        facts = {platform.machine()}
        abi = attack.LIBC.syscall(LANDLOCK, None, 0, 1)
        facts |= {"landlock%d" % n for n in range(1, abi + 1)}
        facts.add("v2" if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else "v1")
        if self.binaries:
            facts.add("cc")
        if self.is_root:
            facts.add("root")
        if shutil.which("strace"):
            facts.add("strace")
        if os.environ.get("ATTACKS_OWN_MACHINE"):
            facts.add("own")
        return facts

    def weak(self, trial):
        """Limits that this mode does not have, by name."""
        if trial.mode not in self.weakness:
            plan = trial.unit(command="true", service=("LimitMem=64M", "LimitCPU=20%")).plan().out
            self.weakness[trial.mode] = [line for line in plan.splitlines()
                                         if line.startswith("weak:")][0][6:].split(",")
        return self.weakness[trial.mode]

    # ---- what lies around

    def make(self, path, uid):
        path = os.path.join(self.base, path)
        os.makedirs(path, exist_ok=True)
        if self.is_root:
            os.chown(path, uid, uid)
        os.chmod(path, 0o755)
        return path

    def _lie_around(self):
        self.victims = {}
        files = {"secret": self.base + "/secret.txt", "shm": "/dev/shm/" + self.name,
                 "socket": self.base + "/host.sock", "abstract": self.name, "name": self.name}
        for path in (files["secret"], files["shm"]):
            with open(path, "w") as file:
                file.write("secret-of-host\n")
            os.chmod(path, 0o644)
        files["port"] = self._listen(socket.AF_INET, ("127.0.0.1", 0)).getsockname()[1]
        self._listen(socket.AF_UNIX, files["socket"])
        os.chmod(files["socket"], 0o666)
        self._listen(socket.AF_UNIX, "\0" + self.name)
        files["key"] = 0x61740000 | os.getpid() & 0xffff
        self.segment = attack.LIBC.shmget(files["key"], 4096, 0o1666)
        self.helper = self.base + "/helped"
        if "own" in self.facts:
            self._watch_cores()
        return files

    def _listen(self, family, address):
        listener = socket.socket(family)
        listener.bind(address)
        listener.listen(64)
        self.opened.append(listener)
        return listener

    def _watch_cores(self):
        """A helper for core files, which the kernel would run as root and outside of any jail."""
        script = "/usr/local/sbin/core-helper"
        with open(script, "w") as file:
            file.write("#!/bin/sh\ncat >/dev/null; echo helper >>%s\n" % self.helper)
        os.chmod(script, 0o755)
        with open("/proc/sys/kernel/core_pattern", "w") as file:
            file.write("|" + script)

    def helper_files(self):
        if not os.path.exists(self.helper):
            return []
        return [self.helper]

    def as_uid(self, uid):
        if uid == os.geteuid():
            return []
        return ["setpriv", "--reuid=%d" % uid, "--regid=%d" % uid, "--clear-groups"]

    def victim(self, uid):
        """A process of the same uid outside of the jail, which must outlive every attack."""
        if uid not in self.victims:
            process = subprocess.Popen([*self.as_uid(uid), "sleep", "1000"], start_new_session=True)
            self.processes.append(process)
            self.victims[uid] = process
        return self.victims[uid].pid

    def neighbour(self, trial):
        """A task that runs beside the others; the pid of its program on the host."""
        marker = trial.work + "/neighbour"
        unit = trial.unit(name="neighbour", service=("MaxTime=infinity",), shell=(
            "echo secret-of-neighbour >/scratch/marker; touch %s; exec sleep 1001" % marker))
        running = unit.start("--slots=1")
        self.processes.append(running.process)
        trial.wait_for(marker)
        found = self.descendant(running.process.pid, ("sleep", "sh"))
        return found or 0

    def descendant(self, root, names):
        """The pid of a process by one of these names below another; of the latest."""
        parents, comms = {}, {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open("/proc/%s/stat" % entry) as file:
                        text = file.read()
                except OSError:
                    continue
                comms[int(entry)] = text[text.index("(") + 1:text.rindex(")")]
                parents[int(entry)] = int(text[text.rindex(")") + 2:].split()[1])
        for pid in sorted(comms, reverse=True):
            at = pid
            while at in parents and at != root:
                at = parents[at]
            if at == root and pid != root and comms[pid] in names:
                return pid
        return None

    def is_intact(self):
        """What attacks must not have reached; names what they did."""
        harmed = [str(uid) for uid, process in self.victims.items() if process.poll() is not None]
        harmed += ["nice of " + str(uid) for uid, process in self.victims.items()
                   if process.poll() is None and os.getpriority(os.PRIO_PROCESS, process.pid) > 1]
        with open(self.files["secret"]) as file:
            if file.read() != "secret-of-host\n":
                harmed.append("secret")
        return harmed

    # ---- the end

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        end = time.monotonic() + 5
        for process in self.processes:
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for listener in self.opened:
            listener.close()
        attack.LIBC.shmctl(self.segment, 0, None)
        os.unlink(self.files["shm"])
        shutil.rmtree(self.base, ignore_errors=True)


def packed(*values):
    return struct.pack("i" * len(values), *values)
