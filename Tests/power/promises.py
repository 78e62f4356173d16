# SPDX-License-Identifier: Apache-2.0
"""The promises of task-spool(7), asked of a spool after its power failure and its recovery."""
import hashlib
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../scenarios/powerfail"))
import disk  # noqa: E402  the journal's records
from machine import names  # noqa: E402
from oracle import Event  # noqa: E402
from users import ENDS_WELL  # noqa: E402


class Told:
    """What somebody knew at the moment of the cut."""

    def __init__(self, marks):
        self.runs, self.drops, self.ends = {}, set(), {}
        self.moves = []
        for words in map(str.split, marks):
            if words[0] == "id":
                self.runs[words[1]] = words[2]
            elif words[0] == "ids":
                self.runs.update((run, "many") for run in words[1:])
            elif words[0] == "drop":
                self.drops.add(words[1])
            elif words[0] == "end":
                self.ends[words[1]] = int(words[2])
            else:
                self.moves.append((words[0], words[1]))


class History:
    """What the journal says of one run."""

    def __init__(self):
        self.accepts, self.ends, self.generation, self.after_end = [], {}, 0, []

    def add(self, event):
        if event.verb == "accept":
            self.accepts.append(event)
        elif event.verb == "retry" and event.id == event.run:
            self.generation = int(event.get("g"))
        elif event.verb == "start" and self.generation in self.ends:
            self.after_end.append(event.id)
        elif event.verb == "end" and event.id == event.run and event.get("final") == "yes":
            self.ends.setdefault(int(event.get("g", "0")), []).append(event)


class Promises:
    def __init__(self, machine, told):
        self.machine, self.told, self.faults, self.runs, self.drops, self.rejects = machine, told, [], {}, {}, {}
        self.subtasks = {}
        self.records = disk.all_records(machine.spool)
        for event in map(Event, self.records):
            self.runs.setdefault(event.run, History()).add(event)
            if event.verb == "reject":
                self.rejects.setdefault(event.get("name"), []).append(event)
            if event.verb == "accept" and event.get("parent"):
                self.subtasks.setdefault(event.get("parent"), set()).add(event.run)
            elif event.verb == "accept":
                self.drops.setdefault(event.get("name"), set()).add(event.run)
        self.runs.pop("-", None)

    def expect(self, holds, words, *about):
        if not holds:
            self.faults.append(words + ": " + " ".join(map(str, about)))

    def check(self):
        taken_back = {run for verb, run in self.told.moves if verb in ("cancel", "about") and run not in self.runs}
        for run, name in self.told.runs.items():
            self.expect(run in taken_back or run in self.runs and self.runs[run].accepts, "a submitted run is accepted", run, name)
        for name in self.told.drops:
            where = self.rejects if name.startswith("bad_") else self.drops
            self.expect(name + ".task" in where, "a drop that was safe is accepted, or rejected", name)
        for name, ids in self.drops.items():
            self.expect(len(ids) == 1 or name.startswith("stdin"), "one drop, one run", name, *ids)
        for parent, ids in self.subtasks.items():
            self.expect(len(ids) == 1, "a name dropped again is the same subtask", parent, *ids)
        for name, events in self.rejects.items():
            self.expect(len(events) == 1, "one drop, one reject", name, len(events))
        for run, history in self.runs.items():
            self.check_run(run, history)
        for run, status in self.told.ends.items():
            self.check_end(run, status)
        self.check_moves()
        self.check_files()
        self.check_programs()
        return self.faults

    def check_run(self, run, history):
        if not history.accepts:
            self.expect(not history.ends, "what ends was accepted", run)
            return
        name = history.accepts[0].get("name", "")
        plain = [event for event in history.accepts if event.get("recovered") != "yes"]
        self.expect(len(plain) <= 1, "one accept, others are flagged", run, name)
        self.expect(not history.after_end, "no start after the end", run, name)
        for generation in range(history.generation + 1):
            ends = history.ends.get(generation, [])
            self.expect(len(ends) == 1, "one end a generation", run, name, generation, len(ends))
            if name.startswith("parent_"):
                self.expect(run + ".0" in self.subtasks, "its subtask is on record", run)
            for end in ends:
                kind, state = re.split("[_.-]", name)[0], end.get("state")
                is_right = state == ("success" if kind in ENDS_WELL else "failure")
                is_right = is_right or kind == "slow" and state == "cancelled"
                self.expect(is_right, "it ends as it must", run, name, state, end.get("what"))

    def check_end(self, run, status):
        history = self.runs.get(run)
        ends = history.ends.get(0, []) if history else []
        state = ends[0].get("state") if ends else None
        self.expect((state == "success") == (status == 0), "the end that was seen is the end", run, status, state)

    def check_moves(self):
        last = {}
        for verb, run in self.told.moves:
            last[run] = verb
        for run, verb in last.items():
            history = self.runs.get(run, History())
            if verb == "cancel" and run in self.runs:
                states = [end.get("state") for end in history.ends.get(0, [])]
                self.expect("cancelled" in states, "what was cancelled is", run, *states)
            elif verb == "retry":
                self.expect(history.generation >= 1, "what was retried is", run)

    def check_files(self):
        spool = self.machine.spool
        for name in names(spool, "failed"):
            with open("%s/failed/%s" % (spool, name), "rb") as file:
                lines = file.read().splitlines(True)
            digest = hashlib.sha256(b"".join(lines[:-1])).hexdigest()
            self.expect(lines and lines[-1].decode().strip() == "digest " + digest, "no plan in failed/ is torn", name)
        # The bytes of a drop that nobody synced may be gone, and then it is a bad one.
        for name in names(spool, "rejected"):
            drop = name.removesuffix(".reason").split("@")[-1].removesuffix(".task")
            self.expect(drop.startswith("bad_") or drop not in self.told.drops and drop not in self.told.runs.values(),
                        "nothing safe is rejected", name)

    def check_programs(self):
        for words in (("task", "fsck"), ("tasklog", "verify")):
            status, text = self.machine.ask(*words)
            self.expect(status == 0, "%s has nothing to say" % " ".join(words), status, text.strip()[:600])
