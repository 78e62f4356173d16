# SPDX-License-Identifier: Apache-2.0
"""The promises of task-spool(7), asked of a spool after its power failures."""
import hashlib
import os
import time

import disk


class Event:
    def __init__(self, line):
        words = line.split(" ")
        self.verb, self.id = words[1], words[2]
        self.run = words[2].split(".")[0]
        self.fields = dict(word.split("=", 1) for word in words[3:] if "=" in word)

    def get(self, key, default=None):
        return self.fields.get(key, default)


class Oracle:
    def __init__(self, spool, work):
        self.spool, self.work, self.faults = spool, work, []
        self.must = set()  # names of drops that must come to an end
        # Whose drop or plan a power failure took away, while its reject or failure is on record:
        # that is not given back.
        self.gone = set()

    def names(self, *folders):
        return {(folder, name) for folder in folders
                for name in os.listdir(os.path.join(self.spool, folder))}

    def events(self):
        return [Event(line) for line in disk.all_records(self.spool)]

    def after_cut(self):
        """What is on disk then, and what was told before, must come to an end."""
        self.must |= self.work.told
        for event in self.events():
            if event.verb in ("accept", "reject"):
                self.must.add(event.get("name"))
        for _, name in self.names("incoming", "tmp"):
            if name.endswith(".task"):
                self.must.add(name.split("@")[-1])
        drops = {name.split("@")[-1] for _, name in self.names("incoming", "tmp", "rejected")}
        plans = {name[:26] for folder, name in self.names(
            "tmp", "ready", "active", "deferred", "hold", "failed")
            if folder != "tmp" or name.endswith(".full")}
        for event in self.events():
            if event.verb == "reject" and event.get("name") not in drops:
                self.gone.add(event.get("name"))
            if event.verb == "end" and event.run not in plans:
                self.gone.add(event.run)

    def is_quiet(self):
        for folder, name in self.names("hold"):
            try:
                os.rename(os.path.join(self.spool, folder, name),
                          os.path.join(self.spool, "ready", name))
            except FileNotFoundError:
                pass
        return not self.names("incoming", "tmp", "ready", "active", "deferred", "hold")

    def expect(self, holds, words, *about):
        if not holds:
            self.faults.append(words + ": " + " ".join(map(str, about)))

    def check(self):
        events = self.events()
        runs, rejects = {}, {}
        for event in events:
            if event.verb == "accept":
                runs.setdefault(event.get("name"), {}).setdefault(event.run, []).append(event)
            elif event.verb == "reject":
                rejects.setdefault(event.get("name"), []).append(event)
        for name in sorted(self.must):
            if name.startswith("bad_"):
                self.expect(len(rejects.get(name, [])) == 1, "rejected once", name)
            else:
                self.expect(len(runs.get(name, [])) == 1, "accepted under one id", name,
                            *runs.get(name, []))
        failed = set()
        for name, ids in runs.items():
            self.expect(not name.startswith("bad_"), "a bad drop does not run", name)
            for run, accepts in ids.items():
                plain = [event for event in accepts if event.get("recovered") != "yes"]
                self.expect(len(plain) <= 1, "one accept, others are flagged", name, run)
                own = [event for event in events if event.run == run]
                rest = self.check_run(name, run, own)
                if rest:
                    failed.add(rest)
        self.check_files(failed, rejects)
        return self.faults

    def check_run(self, name, run, events):
        """One end a generation, nothing starts after it. Where its plan is at rest, if it is."""
        ends, generation = {}, 0
        for event in events:
            if event.verb == "retry" and event.id == run:
                generation = int(event.get("g"))
            elif event.verb == "start":
                self.expect(generation not in ends, "no start after the end", name, run)
            elif event.verb == "end" and event.id == run and event.get("final") == "yes":
                own = int(event.get("g", "0"))
                self.expect(own not in ends, "one end a generation", name, run, own)
                ends[own] = event.get("state")
        for own in range(generation + 1):
            self.expect(own in ends, "every generation ends", name, run, own)
        state = ends.get(generation)
        if state == "success":
            self.expect(os.path.exists("%s/ran.%s" % (self.work.marks, name[:-5])),
                        "what succeeded has run", name)
            self.expect("fail" not in name, "what fails does not succeed", name)
            return None
        if name.split("_")[0] in ("good", "slow", "flaky", "large") or name.startswith("two_"):
            self.expect(state == "cancelled" or "fail" in name, "what can succeed does", name, state)
        return "%s+%d" % (run, generation + 1)

    def check_files(self, failed, rejects):
        there = {name for _, name in self.names("failed")}
        off = {name for name in there ^ failed if name[:26] not in self.gone or name in there}
        self.expect(not off, "in failed/ is what failed, once", off)
        for name in there:
            with open(os.path.join(self.spool, "failed", name), "rb") as file:
                lines = file.read().splitlines(True)
            digest = hashlib.sha256(b"".join(lines[:-1])).hexdigest()
            self.expect(lines and lines[-1].decode().strip() == "digest " + digest,
                        "no plan in failed/ is torn", name)
        wanted = {name + suffix for name in rejects for suffix in ("", ".reason")}
        found = {name for _, name in self.names("rejected")}
        # A copy that a failure left beside the plan is set aside, and may be lost or half lost again.
        aside = {event.get("as", "").split("/")[-1] for event in self.events()
                 if event.verb == "note" and "as" in event.fields}
        off = {name for name in wanted ^ found if name.replace(".reason", "") not in aside
               and (name.replace(".reason", "") not in self.gone or name in found - wanted)}
        self.expect(not off, "in rejected/ is what was rejected", off)

    def finish(self, wait):
        quiet = []

        def is_over():
            quiet.append(self.is_quiet())
            return len(quiet) > 10 and all(quiet[-10:])
        wait(is_over, lambda: "all ends: %s" % sorted(self.names(
            "incoming", "tmp", "ready", "active", "deferred", "hold")))
        time.sleep(0.1)
