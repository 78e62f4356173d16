#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The crash matrix: taskd or taskrun is killed at its n-th system call, or that call fails, in a scenario with dependencies,
arrays, retries, checks, subtasks, a large plan, a bad drop, a hold and a cancel; then taskd starts again, and the promises are asked.

    matrix.py INJECT BIN DIRECTORY [--seconds=S] [--seed=N] [--all] [--case=PROGRAM:DEED:CALLS:N]… [--list] [-v]

Each case is PROGRAM:DEED:CALLS:N, with DEED kill or an errno: taskd:kill:all:117, taskrun:EMFILE:openat:3; taskd:kill:all:300+90+80
kills the second and the third start, too, which are in the middle of recovery by then; taskd:EIO:fdatasync:2x3 fails three in a row. Without --all a seeded
choice runs until S seconds are over. The last line says how many cases were tried and how many broke a promise.
"""
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

TOUCH = ("openat openat2 write pwrite64 fsync fdatasync ftruncate fallocate renameat renameat2 unlinkat linkat mkdirat utimensat "
         "flock fcntl inotify_add_watch bind listen connect accept4 sendmsg recvmsg socket socketpair clone3 clone execve "
         "pidfd_send_signal kill memfd_create epoll_ctl dup3 pipe2 wait4 waitid read getdents64 newfstatat fstatfs exit_group").split()
ERRORS = {
    "fdatasync": ["EIO", "ENOSPC"], "fsync": ["EIO", "ENOSPC"], "renameat": ["ENOSPC", "EIO"], "renameat2": ["ENOSPC", "EIO"],
    "openat": ["EMFILE", "ENFILE", "ENOSPC", "EIO", "ENOMEM"], "openat2": ["EMFILE", "ENFILE", "EIO", "EAGAIN"],
    "write": ["ENOSPC", "EIO", "EINTR", "EAGAIN"], "pwrite64": ["ENOSPC", "EIO", "EINTR"], "clone3": ["EAGAIN", "ENOMEM"],
    "clone": ["EAGAIN"], "unlinkat": ["EIO", "EROFS"], "linkat": ["EIO"], "mkdirat": ["ENOSPC"], "sendmsg": ["EAGAIN", "ENOBUFS", "EPIPE"],
    "recvmsg": ["EINTR", "EAGAIN", "ECONNRESET"], "ftruncate": ["EIO"], "fallocate": ["ENOSPC", "EIO"], "utimensat": ["EIO"],
    "read": ["EINTR", "EIO"], "getdents64": ["EIO"], "newfstatat": ["EIO", "ENOMEM"], "fstatfs": ["EIO"], "flock": ["EINTR", "ENOLCK"],
    "fcntl": ["EAGAIN"], "inotify_add_watch": ["ENOSPC"], "epoll_wait": ["EINTR"], "epoll_pwait2": ["EINTR"], "epoll_ctl": ["ENOSPC", "ENOMEM"],
    "pipe2": ["EMFILE"], "memfd_create": ["EMFILE"], "socket": ["EMFILE"], "socketpair": ["EMFILE"], "accept4": ["EMFILE", "EAGAIN"],
    "connect": ["EAGAIN"], "execve": ["EAGAIN", "ENOMEM"],
}
# A disk that fails for good, one that is full for a while, descriptors that are short for a while.
LONG = [("fdatasync", "EIO", 2), ("fdatasync", "EIO", 3), ("fdatasync", "EIO", 5), ("fsync", "EIO", 3), ("pwrite64", "ENOSPC", 12), ("openat", "ENOSPC", 20),
        ("openat", "EMFILE", 20), ("renameat", "ENOSPC", 8), ("openat2", "EMFILE", 12), ("write", "ENOSPC", 10), ("unlinkat", "EROFS", 8)]
STATES = ["ready", "active", "deferred", "hold", "failed"]
WORK = ["incoming", "tmp", "ready", "active", "deferred", "hold"]
OF_A_JAIL = 3  # descriptors that taskrun keeps
# Waits for a subtask that fails once. An attempt that was refused its subtask fails, and the next one adopts or drops it.
PARENT = """#!/bin/sh
#TASK Restart=5
#TASK RestartSec=20ms
cat >$TASK_SUBMIT/.new <<'END'
#!/bin/sh
#TASK Restart=5
#TASK RestartSec=20ms
test $TASK_ATTEMPT -gt 1
END
mv $TASK_SUBMIT/.new $TASK_SUBMIT/kid.task
echo kid.task >$TASK_SUBMIT/.new
mv $TASK_SUBMIT/.new $TASK_SUBMIT/.wait
while test -e $TASK_SUBMIT/.wait; do sleep 0.01; done
grep -q state=success $TASK_SUBMIT/kid.task.end
"""


def unit(script, service="", jail="Jail=no", more=""):
    return f'{more}[Service]\n{service}\n[Jail]\n{jail}\n[Command]\ncommand="sh"\n[Args]\nargs="-c \'{script}\'"\n'


class Scenario:
    """Eight drops, two of them arrays, one with a subtask; what must become of each."""

    def __init__(self, binaries, directory):
        self.bin, self.directory = binaries, directory
        self.marks = os.path.join(directory, "marks")
        self.template = os.path.join(directory, "template")
        self.expected = {}
        self.items = {}  # of arrays: the state of each item
        self.build()

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def build(self):
        os.makedirs(self.marks, mode=0o777)
        mark = lambda name: f"echo x >>{self.marks}/{name}"
        units = os.path.join(self.template, "units")
        for folder in [*WORK, "failed", "rejected", "units", "journal", "log"]:
            os.makedirs(f"{self.template}/{folder}", mode=0o700)
        os.chmod(self.template, 0o700)
        with open(f"{self.template}/version", "w") as file:
            file.write("taskspool 1\n")
        with open(os.path.join(units, "lib.task"), "w") as file:
            file.write(unit(mark("lib")))
        drops = {
            "chain": (unit(mark("chain"), more="[Dependencies]\nRequires=lib.task\n"), "success"),
            "flaky": (unit(f"{mark('flaky')}; test $TASK_ATTEMPT -gt 1", "Restart=2\nRestartSec=20ms"), "success"),
            "checked": (unit(f"{mark('checked')}.%i; test %i != b -o $TASK_ATTEMPT -gt 1", "Restart=1\nRestartSec=20ms",
                             more='[Array]\nItems=a b c\nMaxParallel=2\n[Checks]\none="true"\ntwo="true"\n'), "success"),
            "refused": ('[Checks]\none="false"\n[Jail]\nJail=no\n[Command]\ncommand="true"\n', "failure"),
            "fails": (unit(f"{mark('fails')}; exit $TASK_INDEX", more="[Dependencies]\nRequires=lib.task\n[Array]\nCount=2\n"), "failure"),
            "large": (unit(mark("large"), more='[Environment]\nBIG="%05000d"\n' % 0), "success"),
            "parent": (PARENT, "success"),
            "held": (unit("exec sleep 1000"), "cancelled"),
        }
        for name, (text, state) in drops.items():
            path = self.write(f"{name}.task", text)
            run = subprocess.run([f"{self.bin}/task", "submit", path, f"--spool={self.template}"],
                                 capture_output=True, text=True, check=True).stdout.strip()
            self.expected[run] = (name, state)
            if name in ("checked", "fails"):
                task = 0 if name == "checked" else 1
                self.items[run] = {f"{run}.{task}.{item}": "failure" if name == "fails" and item else "success" for item in range(3 - task)}
        self.parent = next(run for run, (name, _) in self.expected.items() if name == "parent")
        self.held = next(run for run, (name, _) in self.expected.items() if name == "held")
        with open(os.path.join(self.template, "incoming", "bad.task"), "w") as file:
            file.write("[Service]\nLimitMme=1G\n")
        with open(os.path.join(self.template, "incoming", "plain.task"), "w") as file:
            file.write(unit(mark("plain")))


def locks(inode):
    for line in open("/proc/locks"):
        words = line.split()
        if words[1] == "FLOCK" and words[5].endswith(f":{inode}"):
            return int(words[4])
    return None


def end_pool(spool, number=signal.SIGKILL):
    try:
        pid = locks(os.stat(f"{spool}/run.lock").st_ino)
    except FileNotFoundError:
        return
    if pid and open(f"/proc/{pid}/comm").read().strip() == "taskrun":
        os.kill(pid, number)
        until(5, lambda: gone(pid))


def gone(pid):
    """A zombie is, too: whoever inherits it may be slow."""
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def until(seconds, condition, pause=0.005):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True


class Case:
    def __init__(self, scenario, inject, text, verbose=False):
        self.scenario, self.inject, self.text, self.verbose = scenario, inject, text, verbose
        self.spool = os.path.join(scenario.directory, "spool")
        self.errors = os.path.join(scenario.directory, "taskd.err")
        self.left = []
        self.faults, self.starts, self.stage, self.struck = [], 0, 0, False
        self.program, self.deed, self.calls, self.number = (text.split(":") + ["taskd", "watch", "all", "0"])[:4] if text else ("", "", "all", "0")

        self.numbers = self.number.split("+")

    def words(self, log=None):
        words = [self.inject]
        if log:
            words += ["-l", log]
        if self.calls != "all":
            words += ["-c", ",".join(TOUCH) if self.calls == "touch" else self.calls]
        deed = ["-k"] if self.deed == "kill" else [] if self.deed == "watch" else ["-e", self.deed]
        number, _, times = self.numbers[min(self.starts, len(self.numbers) - 1)].partition("x")
        return words + ["-n", number, "-m", times or "1"] + deed

    def start(self, injected, log=None):
        taskrun = f"{self.scenario.bin}/taskrun"
        words = [f"{self.scenario.bin}/taskd", f"--spool={self.spool}", "--slots=8", "--journald=/nonexistent"]
        if injected and self.program == "taskd":
            words = self.words(log) + words
        if injected and self.program == "taskrun":
            wrapper = os.path.join(self.scenario.directory, "taskrun")
            once = f"{wrapper}.once"  # the pool that is started after it is left alone
            shutil.rmtree(once, ignore_errors=True)
            with open(wrapper, "w") as file:
                file.write(f'#!/bin/sh\nmkdir {once} 2>/dev/null && exec {" ".join(self.words(log))} {taskrun} "$@"\nexec {taskrun} "$@"\n')
            os.chmod(wrapper, 0o755)
            taskrun = wrapper
        words.append(f"--taskrun={taskrun}")
        if self.starts == 1 and self.program == "taskd":
            self.left = [name for folder in ["tmp", "ready", "active", "deferred", "hold"] for name in self.names(folder)
                         if re.match(r"[0-9a-z]{26}([@:+]|$|[.]full)", name) and (folder != "tmp" or not re.fullmatch(r"[0-9a-z]{26}", name))]
        self.starts += 1
        with open(self.errors, "a") as errors:
            self.taskd = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)

    def standing(self, pid):
        """What a process that should have gone on is doing, and its children."""
        told = []
        try:
            for process in [pid, *map(int, open(f"/proc/{pid}/task/{pid}/children").read().split())]:
                words = open(f"/proc/{process}/stat").read().rpartition(")")[2].split()
                call, waits = (open(f"/proc/{process}/{name}").read().strip() for name in ("syscall", "wchan"))
                told.append(f"{process} {words[0]} in {waits} call {call[:60]}")
        except (OSError, TypeError):
            told.append("gone")
        return ", ".join(told)

    def holders(self):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                for fd in os.listdir(f"/proc/{pid}/fd"):
                    if os.readlink(f"/proc/{pid}/fd/{fd}") == f"{self.spool}/owner":
                        words = open(f"/proc/{pid}/cmdline").read().replace("\0", " ")
                        state = open(f"/proc/{pid}/status").read().replace("\n", " ").replace("\t", " ")
                        found.append(f"{pid} {words} {state[:160]} {open(f'/proc/{pid}/wchan').read()} {open(f'/proc/{pid}/syscall').read()}")
            except OSError:
                continue
        return found

    def ready(self):
        """A start has come to its end: there is no pool without one."""
        return self.pid() and os.path.exists(f"/proc/{self.pid()}") and os.path.exists(f"{self.spool}/run.sock") and not self.names("tmp")

    def names(self, folder):
        try:
            return os.listdir(f"{self.spool}/{folder}")
        except FileNotFoundError:
            return []

    def idle(self):
        """The owner's part, too: the long task is parked, released and cancelled."""
        self.owner()
        # Twice: what moves from deferred/ to active/ between two looks is in neither.
        return self.stage == 3 and not any(self.names(folder) for _ in range(2) for folder in WORK)

    def owner(self):
        held = lambda folder: next((name for name in self.names(folder) if name.startswith(self.scenario.held)), None)
        name = held(["active", "hold", "active", "none"][self.stage])
        try:
            if name and self.stage == 0:
                os.rename(f"{self.spool}/active/{name}", f"{self.spool}/hold/{name}")
                self.stage = 1
            elif self.stage == 1 and (name or held("ready") or held("active")):
                # A power failure or a move that was overruled may have it elsewhere: then it is released already.
                if name:
                    os.rename(f"{self.spool}/hold/{name}", f"{self.spool}/ready/{name}")
                self.stage = 2
            elif name and self.stage == 2:
                with open(f"{self.spool}/incoming/{self.scenario.held}.cancel", "x"):
                    pass
                self.stage = 3
        except (FileNotFoundError, FileExistsError):
            pass

    def pid(self):
        try:
            return int(re.search(r"pid=(\d+)", open(f"{self.spool}/owner").read()).group(1))
        except (FileNotFoundError, AttributeError):
            return 0

    def stop(self):
        if self.taskd.poll() is None:
            self.taskd.terminate()  # the watcher passes it on
            try:
                self.taskd.wait(10)
            except subprocess.TimeoutExpired:
                self.faults.append("taskd does not stop")
                self.taskd.kill()
                self.taskd.wait()

    def pool(self):
        try:
            return locks(os.stat(f"{self.spool}/run.lock").st_ino)
        except FileNotFoundError:
            return None

    def descriptors(self, pid):
        try:
            return len(os.listdir(f"/proc/{pid}/fd"))
        except FileNotFoundError:
            return 0

    def pool_descriptors(self):
        """Without those of slots, and of jails that wait for their next task: how many there are is a matter of
        time."""
        pid, open_now = self.pool(), 0
        try:
            jails = len(open(f"/proc/{pid}/task/{pid}/children").read().split())
            for name in os.listdir(f"/proc/{pid}/fd"):
                try:
                    open_now += "/slot-" not in os.readlink(f"/proc/{pid}/fd/{name}")
                except FileNotFoundError:
                    pass
        except FileNotFoundError:
            return 0
        return open_now - jails * OF_A_JAIL

    def run(self, log=None):
        shutil.rmtree(self.spool, ignore_errors=True)
        shutil.rmtree(os.path.join(self.scenario.directory, "state"), ignore_errors=True)
        shutil.copytree(self.scenario.template, self.spool, symlinks=True)
        for name in os.listdir(self.scenario.marks):
            os.unlink(os.path.join(self.scenario.marks, name))
        open(self.errors, "w").close()
        self.start(bool(self.program), log)
        for number in self.numbers[1:]:  # kills in recovery
            until(8, lambda: self.taskd.poll() is not None or self.idle())
            self.stop()
            self.start(True)
        for patience in [1.5 if self.deed not in ("kill", "watch") else 8, 12]:
            if until(patience, lambda: self.taskd.poll() is not None or self.idle()) and self.taskd.poll() is None:
                break
            self.stop()
            self.start(False)
        else:
            until(15, lambda: self.taskd.poll() is not None or self.idle())
        self.fds = self.descriptors(self.pid())
        self.pool_fds = self.pool_descriptors()
        if self.deed == "kill":
            self.stop()
            if self.taskd.returncode != 0:  # it came to rest, and was killed while it stopped
                self.start(False)
                until(15, lambda: self.taskd.poll() is not None or self.ready())
        if "is held by pid" in open(self.errors).read():
            self.faults.append("its lock outlived it: " + ", ".join(self.holders()))
        if not self.idle():
            self.faults.append("it does not come to rest: " + " ".join(f"{f}/{n}" for f in WORK for n in self.names(f)))
            self.faults += [f"{name}: {self.standing(pid)}" for name, pid in (("taskd", self.pid()), ("taskrun", self.pool()))]
        self.stop()
        end_pool(self.spool)
        self.ask()
        return self.faults

    # ---- the promises

    def records(self):
        lines = []
        files = sorted(name for name in self.names("journal") if "-taskd-" in name and name.endswith((".open", ".sealed")))
        seen = {}
        for name in files:
            data = open(f"{self.spool}/journal/{name}", "rb").read().replace(b"\0", b"")
            for line in data.decode(errors="replace").split("\n"):
                found = re.fullmatch(r"[0-9a-f]{8} \d+ \+?(\d+) (.*)", line)
                if found:
                    seen[int(found.group(1))] = found.group(2)  # written again after a failed fdatasync: once
        for number in sorted(seen):
            words = seen[number].split(" ")
            lines.append((words[1], words[2], dict(w.split("=", 1) for w in words[3:] if "=" in w)))
        return lines

    def expect(self, holds, words):
        if not holds:
            self.faults.append(words)

    def ask(self):
        records = self.records()
        ends = {}
        for verb, name, fields in records:
            if verb == "end" and fields.get("final") == "yes":
                ends.setdefault((name, fields.get("g", "0")), []).append(fields.get("state"))
        for (name, generation), states in ends.items():
            self.expect(len(states) == 1, f"{name} has {len(states)} final ends: {states}")
        plain = [name for verb, name, fields in records if verb == "accept" and fields.get("name") == "plain.task"]
        self.expect(len(set(plain)) == 1, f"the plain drop was accepted under {len(set(plain))} ids")
        expected = dict(self.scenario.expected)
        for run in plain:
            expected[run] = ("plain", "success")
        kids = {name for verb, name, fields in records if verb == "accept" and fields.get("parent") == f"{self.scenario.parent}.0"}
        for run in kids:
            expected[run] = ("kid", "success")
        self.refused = {}
        if self.program == "taskrun" and self.deed != "kill":  # an attempt whose jail could not be built says so
            self.refused = {name.split(".")[0]: fields.get("what", "") for verb, name, fields in records
                            if verb == "end" and fields.get("reason") == "jail" and fields.get("exit") and "unable%20to" in fields.get("what", "")}
        if kids & set(self.refused):
            self.refused.setdefault(self.scenario.parent, "its subtask was")
        if self.scenario.parent not in self.refused:
            self.expect(len(kids) == 1, f"the parent has {len(kids)} subtasks")
        for run, (name, state) in expected.items():
            got = ends.get((run, "0"), ["none"])[-1]
            if run in self.refused:
                self.expect(got in (state, "failure"), f"{name} ({run}) ended as {got} after its jail was refused")
                continue
            said = [fields for verb, ref, fields in records if verb == "end" and ref.startswith(run + ".") and fields.get("state") == got]
            self.expect(got == state, f"{name} ({run}) ended as {got}, not {state}: {said[-1:]}")
            parked = any(n.startswith(run) for n in self.names("failed"))
            self.expect(parked == (state != "success"), f"{name}: {'no ' if not parked else 'a '}plan in failed/")
            marks = os.path.join(self.scenario.marks, name)
            if run in self.scenario.items:
                self.ask_items(run, name, ends, parked)
            elif state == "success" and name not in ("parent", "kid"):
                self.expect(os.path.exists(marks), f"{name} never ran")
        others = {run for _, run, _ in records if re.fullmatch(r"[0-9a-z]{26}", run)} - set(expected)
        rejects = [name for verb, name, _ in records if verb == "reject"]
        self.expect(len(rejects) == 1, f"{len(rejects)} rejects")
        self.expect(others == set(rejects), f"runs that nobody asked for: {others - set(rejects)}")
        self.expect(sorted(self.names("rejected")) == ["bad.task", "bad.task.reason"], f"rejected/ has {self.names('rejected')}")
        self.strays()
        self.verify()
        self.words_of_taskd()

    def ask_items(self, run, name, ends, parked):
        for item, state in self.scenario.items[run].items():
            got = ends.get((item, "0"), ["none"])[-1]
            self.expect(got == state, f"item {item} of {name} ended as {got}, not {state}")
        if parked:
            file = next(n for n in self.names("failed") if n.startswith(run))
            told = re.findall(rb"^items .*", open(f"{self.spool}/failed/{file}", "rb").read(), re.M)
            self.expect(told == [b"items 1 1 1"], f"{name}: the plan in failed/ has {told}")

    def strays(self):
        for folder in WORK:
            self.expect(not self.names(folder), f"{folder}/ has {self.names(folder)}")
        self.expect(not os.path.exists(os.path.join(self.scenario.directory, "state")), "another spool than the one asked for was made")
        known = {"version", "owner", "checkpoint", "run.sock", "run.lock", "journal", "log", "units", "rejected", "failed", *WORK}
        self.expect(set(os.listdir(self.spool)) <= known, f"strays in the spool: {set(os.listdir(self.spool)) - known}")
        for name in self.names("journal"):
            self.expect(re.fullmatch(r"\.reserve|.*\.(open|sealed|torn)", name), f"journal/ has {name}")

    def verify(self):
        done = subprocess.run([f"{self.scenario.bin}/tasklog", "verify", "-q", f"--spool={self.spool}"], capture_output=True, text=True)
        if done.returncode != 0:
            told = [line for line in done.stderr.splitlines() if "cut off by a crash" not in line and "no correct header" not in line
                    and "valid piece of output" not in line]
            self.expect(not told and done.stderr, f"tasklog verify, {done.returncode}: {done.stderr.strip()}")

    def words_of_taskd(self):
        for line in open(self.errors, errors="replace"):
            line = line.rstrip("\n")
            if not line:
                continue
            if "error while loading shared libraries" in line:
                continue  # the dynamic linker's, before there is a program
            self.expect(re.match(r"(taskd|taskrun|inject): (error|warning|notice): ", line), f"words without a speaker: {line}")
            self.expect("unable to start:" not in line, f"a complaint without an object: {line}")
            if "unable to" in line:
                self.expect(re.search(r"unable to .+: .+, .+", line), f"a complaint without consequence: {line}")
        told = open(self.errors, errors="replace").read()
        if self.deed == "kill" and self.left:
            self.expect("did not end in order: runs that go on: " in told, "the start after the kill did not say what it recovered")
        if self.verbose:
            sys.stderr.write("".join(f"# {line}" for line in open(self.errors, errors="replace")))


def sequence(scenario, inject, program):
    log = os.path.join(scenario.directory, f"calls.{program}")
    case = Case(scenario, inject, f"{program}:watch:all:0")
    faults = case.run(log)
    with open(log) as file:
        return [line.strip() for line in file], faults, case.fds


def cases(program, calls, dice, everything):
    """Kills first, in an order of the dice; then each error of each kind of call."""
    kills = [f"{program}:kill:all:{n}" for n, name in enumerate(calls, 1) if name in TOUCH]
    rest = [f"{program}:kill:all:{n}" for n, name in enumerate(calls, 1) if name not in TOUCH]
    dice.shuffle(rest)
    kills += rest if everything else rest[:max(20, len(rest) // 20)]
    errors = [f"{program}:{error}:{name}:{n}" for name, names in ERRORS.items() for error in names
              for n in range(1, calls.count(name) + 1)]
    for name, error, times in LONG:
        errors += [f"{program}:{error}:{name}:{n}x{times}" for n in range(1, calls.count(name) + 1, max(1, times // 4))]
    if program == "taskd":  # a kill in the middle of the work, then one or two of the starts after it
        late = [n for n, name in enumerate(calls, 1) if name in ("renameat", "renameat2", "unlinkat", "pwrite64", "fdatasync")][8:]
        first = [n for n, name in enumerate(calls, 1) if name in TOUCH and 40 < n < 360]
        kills += ["taskd:kill:all:" + "+".join([str(dice.choice(late)), *(str(dice.choice(first)) for _ in range(dice.choice([1, 1, 2])))])
                  for _ in range(len(kills) // 4)]
    return kills, errors


def main(arguments):
    options = dict(a[2:].split("=", 1) if "=" in a else (a[2:], "") for a in arguments if a.startswith("--") and not a.startswith("--case="))
    wanted = [a[7:] for a in arguments if a.startswith("--case=")]
    inject, binaries, directory = [a for a in arguments if not a.startswith("-")]
    dice = random.Random(int(options.get("seed", "1")))
    os.makedirs(directory, exist_ok=True)
    os.environ["XDG_STATE_HOME"] = f"{directory}/state"
    os.environ.pop("TASK_SPOOL", None)
    scenario = Scenario(binaries, directory)
    end = time.monotonic() + float(options.get("seconds", "1e9"))
    plain, broken, tried = Case(scenario, inject, ""), 0, 0
    faults = plain.run()
    if faults:
        print("the scenario itself, without a fault:", *faults, sep="\n  ")
        return 1
    todo = wanted
    if not wanted:
        lists = []
        for program in ["taskd", "taskrun"]:
            calls, faults, _ = sequence(scenario, inject, program)
            kills, errors = cases(program, calls, dice, "all" in options)
            print(f"{program}: {len(calls)} system calls, {len(kills)} kills and {len(errors)} errors to try", *faults, flush=True)
            lists += [kills, errors]
        if "all" in options:
            todo = [case for part in lists for case in part]
        else:
            for part in lists:
                dice.shuffle(part)
            todo = [part[n] for n in range(max(map(len, lists))) for part in lists if n < len(part)]
        if "only" in options:
            todo = [case for case in todo if re.search(options["only"], case)]
    if "list" in options:
        print(*todo, sep="\n")
        return 0
    for text in todo:
        if time.monotonic() > end:
            break
        case = Case(scenario, inject, text, "-v" in arguments)
        tried += 1
        began = time.monotonic()
        faults = case.run()
        for who, now, before in [("taskd", case.fds, plain.fds), ("taskrun", case.pool_fds, plain.pool_fds)]:
            if now > before + 3:
                faults.append(f"{who} has {now} descriptors at the end, {before} without the fault")
        if "-v" in arguments:
            print(f"# {text}: {case.starts} starts, {time.monotonic() - began:.2f} s", flush=True)
        if faults:
            broken += 1
            print(f"{text}: {case.starts} starts", *faults, sep="\n  ", flush=True)
            kept = os.path.join(directory, f"kept.{broken}")
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(case.spool, kept, symlinks=True, ignore=lambda _, names: [n for n in names if n.endswith(".sock")])
            shutil.copy(case.errors, kept)
    print(f"{tried} of {len(todo)} cases tried, {broken} broke a promise")
    return 1 if broken else 0


sys.exit(main(sys.argv[1:]))
