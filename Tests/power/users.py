# SPDX-License-Identifier: Apache-2.0
"""What users do with a spool while its disk is recorded. Whatever they were told is marked there."""
import os
import random
import signal
import subprocess
import threading
import time

from machine import names, until

UNIT = '%s[Service]\n%s\n[Jail]\nJail=no\n%s[Command]\ncommand="%s"\n%s'
LIB = "[Dependencies]\nRequires=lib.task\n"
TEXTS = {
    "good": UNIT % ("", "", "", "true", ""),
    "fails": UNIT % ("", "", "", "false", ""),
    "checked": UNIT % ("", "", '[Checks]\none="true"\n', "true", ""),
    "flaky": UNIT % ("", "Restart=2\nRestartSec=10ms", "", "sh", "[Args]\nargs=\"-c 'test $TASK_ATTEMPT -gt 1'\"\n"),
    "chain": UNIT % (LIB, "", "", "true", ""),
    "chainfails": UNIT % (LIB, "", "", "false", ""),
    "large": UNIT % ("", "", "", "true", '[Environment]\nBIG="%05000d"\n' % 0),
    "bad": "this is no unit\n",
    "parent": """#!/bin/sh
#TASK Restart=2
#TASK RestartSec=10ms
printf '#!/bin/sh\\n#TASK Restart=2\\n#TASK RestartSec=10ms\\ntest $TASK_ATTEMPT -gt 1\\n' >$TASK_SUBMIT/.new
mv $TASK_SUBMIT/.new $TASK_SUBMIT/kid.task
echo kid.task >$TASK_SUBMIT/.new
mv $TASK_SUBMIT/.new $TASK_SUBMIT/.wait
while test -e $TASK_SUBMIT/.wait; do sleep 0.01; done
grep -q state=success $TASK_SUBMIT/kid.task.end
""",
    "slow": UNIT % ("", "", "", "sh", "[Args]\nargs=\"-c 'test -e @/fast || sleep 0.4'\"\n"),
}
ENDS_WELL = {"good", "checked", "flaky", "chain", "large", "slow", "many", "stdin", "parent", "kid"}


class Users:
    def __init__(self, store, machine, seed, tracers):
        self.store, self.machine, self.seed = store, machine, seed
        self.spool, self.tracers = machine.spool, tracers
        self.stage = os.path.join(store.mount_point, "stage")
        self.is_over, self.count, self.lock, self.errors = threading.Event(), 0, threading.Lock(), []
        self.packed = 0  # segments that were seen compressed

    def name(self, kind):
        with self.lock:
            self.count += 1
            return "%s_%d" % (kind, self.count)

    def write(self, name, text, durable=False):
        path = os.path.join(self.stage, name + ".task")
        with open(path, "w") as file:
            file.write(text)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        return path

    def task(self, *words, text=None):
        done = subprocess.run(self.tracers.get(words[0], []) + [self.machine.bin + "/task", *words], input=text or "",
                              env=dict(os.environ, TASK_SPOOL=self.spool), capture_output=True, text=True, cwd="/")
        return done.returncode, done.stdout.split()

    # ---- deeds

    def submit(self, kind):
        name = self.name(kind)
        path = self.write(name, TEXTS[kind].replace("@", os.path.dirname(self.store.mount_point)))
        status, ids = self.task("submit", path)
        if status == 0:
            self.store.mark("id %s %s" % (ids[0], name))
        os.unlink(path)
        return ids[0] if status == 0 else None

    def wait(self, run):
        status, _ = self.task("wait", "--timeout=10s", run)
        if status not in (75, 124, 125):
            self.store.mark("end %s %d" % (run, status))
        return status

    def submit_many(self, count):
        paths = [self.write(self.name("many"), TEXTS["good"]) for _ in range(count)]
        status, ids = self.task("submit", *paths)
        if status == 0:
            self.store.mark("ids " + " ".join(ids))
        for path in paths:
            os.unlink(path)

    def submit_plan(self, count):
        text = "---\n".join([TEXTS["good"]] * count)
        status, ids = self.task("submit", "-", text=text)
        if status == 0:
            self.store.mark("id %s plan" % ids[0].split(".")[0])

    def drop(self, choose):
        """As mv(1). With both syncs the user knows; else the drop that taskd took away was accepted."""
        kind = choose.choice(["good", "chain", "large", "fails", "bad"])
        name = self.name(kind)
        is_synced = choose.random() < 0.5
        path = self.write(name, TEXTS[kind], durable=is_synced)
        os.rename(path, "%s/incoming/%s.task" % (self.spool, name))
        if is_synced:
            folder = os.open(self.spool + "/incoming", os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
            self.store.mark("drop %s" % name)
        # In this order: between its two places it is seen once.
        self.await_(lambda: name + ".task" not in names(self.spool, "incoming") and not any(
            found.endswith("@%s.task" % name) for found in names(self.spool, "tmp")))
        self.store.mark("drop %s" % name)

    def move(self, verb, run):
        """A rename by task(1): its word is on disk when it ends."""
        self.store.mark("about %s" % run)
        status, _ = self.task(verb, run)
        if status == 0:
            self.store.mark("%s %s" % (verb, run))
        return status == 0

    def rename(self, run, source, target):
        """A rename by mv(1), of which nobody says anything."""
        for name in names(self.spool, source):
            if name.startswith(run):
                try:
                    os.rename("%s/%s/%s" % (self.spool, source, name), "%s/%s/%s" % (self.spool, target, name))
                except FileNotFoundError:
                    pass

    def meddle(self, choose):
        deed = choose.choice(["cancel", "hold", "hold cancel", "retry", "mv", "rm"])
        run = self.submit("fails" if deed == "retry" else "slow")
        if not run:
            return
        time.sleep(choose.random() * 0.1)
        if deed == "cancel":
            self.move("cancel", run)
        elif deed in ("hold", "hold cancel"):
            if self.move("hold", run):
                time.sleep(choose.random() * 0.2)
                self.move("release" if deed == "hold" else "cancel", run)
        elif deed == "retry":
            if self.wait(run) == 1 and self.move("retry", run):
                self.await_(lambda: run + "+2" in names(self.spool, "failed"))
        elif deed == "mv":
            self.rename(run, "active", "hold")
            time.sleep(choose.random() * 0.1)
            self.rename(run, "hold", "ready")
        elif deed == "rm":
            try:
                os.unlink("%s/active/%s" % (self.spool, run))
            except FileNotFoundError:
                pass

    def compress(self, choose):
        """Of segments above 64 KiB all but the last two: what `many` made is, two starts later."""
        self.is_over.wait(choose.uniform(0.2, 0.8))
        self.machine.ask("tasklog", "compress", "-q")
        self.packed = max(self.packed, sum(name.endswith(".zst") for name in names(self.spool, "journal")))

    def await_(self, condition):
        until(10, lambda: self.is_over.is_set() or condition())

    # ---- all at once

    def actor(self, number, deed):
        choose = random.Random("%s:%d" % (self.seed, number))
        try:
            while not self.is_over.is_set():
                deed(choose)
                time.sleep(choose.choice([0, 0, 0.01, 0.05]))
        except Exception as error:  # told at the end: a thread's own fault must not pass unseen
            if not self.is_over.is_set():
                self.errors.append(repr(error))

    def single(self, choose):
        run = self.submit(choose.choice([kind for kind in TEXTS if kind not in ("slow", "bad")]))
        if run and choose.random() < 0.4:
            self.wait(run)

    def group(self, choose):
        if choose.random() < 0.5:
            self.submit_plan(choose.randint(2, 40))
        else:
            self.submit_many(choose.randint(2, 20))
        time.sleep(0.2)

    def go(self, seconds, many):
        """A spool's first seconds: taskd makes it, is stopped, is killed, comes again."""
        choose = random.Random("%s" % self.seed)
        os.makedirs(self.stage, exist_ok=True)
        self.machine.start()
        until(10, self.machine.is_ready)
        self.submit("good")
        with open(self.spool + "/units/lib.task", "w") as file:
            file.write(TEXTS["good"])
        os.sync()
        deeds = [self.single, self.single, self.drop, self.drop, self.meddle, self.group, self.compress]
        threads = [threading.Thread(target=self.actor, args=entry) for entry in enumerate(deeds)]
        for thread in threads:
            thread.start()
        if many:
            self.submit_many(many)
            self.submit_plan(2 * many)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(choose.uniform(0.2, 0.9))
            self.machine.stop(choose.choice([signal.SIGTERM, signal.SIGTERM, signal.SIGKILL]))
            if choose.random() < 0.3:
                self.machine.end_pool()
            self.machine.start()
        self.is_over.set()
        self.store.order("freeze")
        with open(os.path.dirname(self.store.mount_point) + "/fast", "w"):
            pass  # what was slow need not be so in each recovery
        for thread in threads:
            thread.join()
