# SPDX-License-Identifier: Apache-2.0
"""Units, runs of taskrun, and the same scripts without it."""

import os
import shutil
import signal
import subprocess
import time
import urllib.parse

UIDS = {"root": 0, "nobody": 65534}
DEADLINE = int(os.environ.get("ATTACKS_DEADLINE", "40"))
# MaxTime= of what has to come to its deed before it is ended: an emulated python3 takes seconds to start.
DEED = "MaxTime=%ds" % (DEADLINE // 10)


class End:
    """How a run ended: its status, its output, and its event lines."""

    def __init__(self, status, out, err, events=""):
        self.status = status
        self.out = out
        self.err = err
        self.events = [self._event(line) for line in events.splitlines()]
        last = [e for e in self.events if e["verb"] == "end" and "final" in e]
        self.end = last[-1] if last else {}

    @staticmethod
    def _event(line):
        words = line.split(" ")
        event = {"verb": words[1] if len(words) > 1 else ""}
        for word in words[3:]:
            key, _, value = word.partition("=")
            event[key] = urllib.parse.unquote(value)
        return event

    state = property(lambda self: self.end.get("state"))
    reason = property(lambda self: self.end.get("reason"))
    signal = property(lambda self: self.end.get("signal"))
    exit = property(lambda self: self.end.get("exit"))

    @property
    def said(self):
        """`success`, or the reason with its figure."""
        if self.state == "success":
            return "success"
        figure = self.signal or self.exit
        return "%s%s" % (self.reason or self.state or "status %s" % self.status,
                         " " + figure if figure else "")


class Running:
    def __init__(self, process, events):
        self.process = process
        self.events = events

    def end(self, deadline=None):
        try:
            out, err = self.process.communicate(timeout=deadline or DEADLINE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)  # a session of its own
            try:
                self.process.communicate(timeout=5)
            except subprocess.TimeoutExpired:
                pass  # who left the session still holds the pipe
            return End(-1, "", "hangs", "")
        lines = ""
        if self.events and os.path.exists(self.events):
            with open(self.events, errors="replace") as file:
                lines = file.read()
            os.unlink(self.events)
        return End(self.process.returncode, out.decode(errors="replace"),
                   err.decode(errors="replace"), lines)


class Unit:
    def __init__(self, trial, path):
        self.trial = trial
        self.path = path

    def start(self, *options, program=None, prefix=(), **more):
        events = self.path + ".%d.events" % time.monotonic_ns()
        words = [program or self.trial.taskrun, "--events=" + events, *options, self.path]
        return self.trial.spawn([*prefix, *words], events, **more)

    def run(self, *options, **more):
        return self.start("--slots=1", *options, **more).end()

    def plan(self):
        words = [self.trial.taskrun, "--plan", self.path]
        return self.trial.spawn(words, None).end()


class Trial:
    """One mode of one machine: who he is, his directories, how he runs things."""

    def __init__(self, machine, mode):
        self.machine = machine
        self.mode = mode
        self.is_free = mode.startswith("free-")
        self.taskrun = machine.taskrun
        user = mode == "user" or mode == "free-user"
        self.caller = machine.uid if user else 0  # who runs taskrun
        self.uid = machine.uid if user else UIDS[mode.removeprefix("free-")]
        self.base = machine.make("base-" + mode, self.caller)
        self.work = machine.make("base-%s/deep/er/w" % mode, self.uid)
        self.count = 0
        self.kept = []

    # ---- files

    def directory(self, name, mode=0o755):
        self.count += 1
        path = "%s/%s-%d" % (self.base, name, self.count)
        os.mkdir(path)
        os.chmod(path, mode)
        self.give(path)
        return path

    def give(self, *paths):
        for path in paths:
            if os.geteuid() == 0:
                os.chown(path, self.uid, self.uid, follow_symlinks=False)

    def copy(self, source, target, mode):
        shutil.copyfile(source, target)
        os.chmod(target, mode)
        self.give(target)
        return target

    def write(self, path, text, mode=0o644):
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
        self.give(path)
        return path

    def shared_object(self, name):
        return self.machine.binaries[name]

    def wait_for(self, path):
        self.wait_until(lambda: os.path.exists(path), path)

    def wait_until(self, holds, what, seconds=10):
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                raise TimeoutError(what)
            time.sleep(0.01)

    @staticmethod
    def counted(pid, file, name):
        """A number in a file of a process below /proc."""
        with open("/proc/%d/%s" % (pid, file)) as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith(name))

    # ---- units

    def unit(self, shell=None, python=None, directory=None, files=None, requires=None, name=None,
             command=None, args="", environment="", service=(), jail=(), checks=(), user=None,
             work=True):
        place = directory or self.directory("unit")
        for file, text in (files or {}).items():
            self.write(os.path.join(place, file), text, 0o755)
        if shell is not None:
            self.write(place + "/script.sh", shell, 0o755)
            command, args = "sh", "/run/task/dir/script.sh " + args
        if python is not None:
            self.write(place + "/script.py", python, 0o755)
            command, args = "python3", "-S -B /run/task/dir/script.py " + args
        who = user or {"root": "root", "nobody": "nobody"}.get(self.mode)
        lines = []
        if requires:
            os.symlink(requires.path, place + "/" + os.path.basename(requires.path))
            lines += ["[Dependencies]", "Requires=" + os.path.basename(requires.path)]
        lines += ["[Service]", "Dir=" + place, "MaxTime=30s", *service]
        lines += ["WorkingDirectory=" + self.work] if work else []
        lines += ["User=" + who] if who else []
        lines += ["[Jail]", *jail] if jail else []
        lines += ["[Checks]", *checks] if checks else []
        lines += ["[Environment]", environment] if environment else []
        lines += ["[Args]", 'args="%s"' % args.replace('"', '\\"')] if args else []
        lines += ["[Command]", 'command="%s"' % command] if command else []
        self.count += 1
        path = "%s/%s%d.task" % (place, name or "u", self.count)
        with open(path, "w") as file:
            file.write("\n".join(lines) + "\n")
        return Unit(self, path)

    def start(self, **how):
        """A script that runs while the attack does something else; jailed or not."""
        if not self.is_free:
            return self.unit(**how).start("--slots=1")
        if "shell" in how:
            return self.spawn(["sh", "-c", how["shell"]], None)
        return self.spawn(["python3", "-S", "-c", how["python"]], None)

    def free_shell(self, script, **more):
        return self.spawn(["sh", "-c", script], None, **more).end()

    def free_python(self, script, **more):
        return self.spawn(["python3", "-S", "-c", script], None, **more).end()

    def free_closed(self, script):
        """As root in namespaces of its own: what would harm the machine."""
        words = ["unshare", "-mpiuf", "--kill-child", "--mount-proc", "sh", "-c", script]
        return self.spawn(words, None).end()

    def spawn(self, words, events, stdin=subprocess.DEVNULL, cwd=None, inherit=(), **more):
        words = [*self.machine.as_uid(self.caller), *words]
        if self.is_free and self.caller == 0 and words[0] != "unshare":
            words = ["unshare", "-m", *words]  # whatever succeeds: mounts are never the host's
        process = subprocess.Popen(
            words, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=cwd or self.work if self.is_free else cwd or "/", pass_fds=inherit, start_new_session=True,
            env=self.machine.environment, **more)
        return Running(process, events)

    def has_limit(self, directive):
        return directive not in self.machine.weak(self)

    def core_helper(self):
        """Files that the helper of the machine's core_pattern left."""
        found = self.machine.helper_files()
        return found

    def kill(self, pid, number=signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
