#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the attacks: without the jail, jailed as root, jailed as an ordinary user. TAP on standard
output, the table where --table says.

  run.py --taskrun=PROGRAM [--uid=N] [--table=FILE] [--columns=free,root,nobody,user]
         [--families=A,B] [--quick] [--binaries=DIR] [NUMBER…]
"""

import argparse
import importlib
import json
import os
import re
import shutil
import signal
import sys

import attack
import trial
from machine import HERE, Machine

FAMILIES = "information escape privilege processes resources spool logs network timing setup hostile".split()


class Runner:
    def __init__(self, options):
        self.options = options
        self.machine = Machine(options.taskrun, options.uid, options.binaries)
        self.facts = self.machine.facts
        self.trials = {}
        self.outcomes = {}  # (attack, mode): text
        self.count = 0
        self.failed = 0

    # ---- which

    def modes(self):
        columns = self.options.columns.split(",")
        wanted = [m for m in ("free-root", "free-user", "root", "nobody", "user")
                  if m.split("-")[0] in columns]
        return wanted if self.machine.is_root else [m for m in wanted if m.endswith("user")]

    def trial(self, mode):
        if mode not in self.trials:
            self.trials[mode] = trial.Trial(self.machine, mode)
        return self.trials[mode]

    def missing(self, entry, mode):
        """Why this attack is not tried here; None when it is."""
        if entry.skip:
            return entry.skip
        if self.options.quick and entry.slow:
            return "too slow on an emulated machine"
        if self.options.quick and not entry.inside and mode.startswith("free-"):
            return "seen to succeed on the other machine"
        for need in entry.needs:
            if need not in self.facts:
                return {"cc": "no C compiler", "root": "needs root", "strace": "no strace"}.get(
                    need, "not " + need)
        if not mode.startswith("free-") and mode not in entry.modes:
            return "as " + " and ".join(entry.modes) + " only"
        if mode == "free-user" and "user" not in entry.modes:
            return "root only"
        return None

    # ---- probes: many in one process

    def context(self, mode):
        one = self.trial(mode)
        copy = one.directory("attacks")
        for file in os.listdir(HERE):
            if file.endswith(".py"):
                shutil.copy(os.path.join(HERE, file), copy)
        one.write(copy + "/mine", "mine\n")
        jailed = mode.removeprefix("free-") if mode != "free-root" else "root"
        if jailed not in self.neighbours:
            self.neighbours[jailed] = self.machine.neighbour(self.trial(jailed))
        values = dict(self.machine.files, free=one.is_free, mode=mode, uid=one.uid,
                      victim=self.machine.victim(one.uid), neighbour=self.neighbours[jailed],
                      unit=copy if one.is_free else "/run/task/dir")
        one.write(copy + "/context.json", json.dumps(values))
        return copy

    neighbours = {}

    def probe(self, mode, family, entries):
        """Runs the probes of a family; outcomes by their index."""
        one = self.trial(mode)
        if not hasattr(one, "copy_of_attacks"):
            one.copy_of_attacks = self.context(mode)
        copy = one.copy_of_attacks
        lines = ""
        for closed in (False, True):
            chosen = [str(i) for i, e in entries if e.closed == closed or not one.is_free and not closed]
            if not chosen or closed and not one.is_free:
                continue
            words = "%s/inside.py %s/context.json %s %s"
            if one.is_free:
                line = words % (copy, copy, family, " ".join(chosen))
                prefix = self.safe(one, closed)
                secret = os.open(self.machine.files["secret"], os.O_RDONLY)
                end = one.spawn([*prefix, "python3", "-S", "-B", *line.split()], None,
                                inherit=(secret,)).end()
                os.close(secret)
            else:
                line = words % ("/run/task/dir", "/run/task/dir", family, " ".join(chosen))
                secret = os.open(self.machine.files["secret"], os.O_RDONLY)
                end = one.unit(directory=copy, command="python3", args="-S -B " + line,
                               service=("LimitTasks=200",)).run(inherit=(secret,))
                os.close(secret)
            lines += end.out
            if end.status != 0:
                print("# %s %s: status %s\n# %s" % (mode, family, end.status,
                                                   end.err.replace("\n", "\n# ")))
        for line in lines.splitlines():
            index, _, outcome = line.partition(" ")
            self.outcomes[int(index), mode] = outcome

    @staticmethod
    def safe(one, closed):
        """As root an attack that succeeds must not harm the machine: mounts are never the host's."""
        if one.caller != 0:
            return []
        if closed:
            return ["unshare", "-mpiufn", "--kill-child", "--mount-proc"]
        return ["unshare", "-m"]

    # ---- all

    def run(self):
        for family in self.options.families.split(","):
            before = len(attack.ATTACKS)
            importlib.import_module(family)
            entries = list(enumerate(attack.ATTACKS))[before:]
            numbers = {str(n) for n in self.options.numbers}
            entries = [(i, e) for i, e in entries if not numbers or str(e.number) in numbers]
            for mode in self.modes():
                self.column(mode, family, before, entries)
            for index, entry in entries:
                self.judge(index, entry)
        harmed = self.machine.is_intact()
        self.say(not harmed, "nothing outside of the jails was reached" + "".join(harmed))

    def column(self, mode, family, first, entries):
        inside = [(i, e) for i, e in entries if e.inside and not self.missing(e, mode)]
        if inside:
            # Inside only this family is loaded: its own count begins at 0.
            self.probe_family(mode, family, first, inside)
        for index, entry in entries:
            if entry.inside or self.missing(entry, mode):
                continue
            try:
                outcome = entry.run(self.trial(mode))
            except Exception as error:
                outcome = "%s: %s" % (type(error).__name__, error)
            self.outcomes[index, mode] = str(outcome).replace("\n", " ")

    def probe_family(self, mode, family, first, inside):
        before = dict(self.outcomes)
        self.outcomes = {}
        self.probe(mode, family, [(i - first, e) for i, e in inside])
        found = {(i + first, m): o for (i, m), o in self.outcomes.items()}
        self.outcomes = {**before, **found}

    # ---- judgement

    def judge(self, index, entry):
        title = "%s %s" % (entry.number, entry.title)
        free = [m for m in self.modes() if m.startswith("free-")]
        if entry.skip:
            return self.say(True, "%s # SKIP %s" % (title, entry.skip))
        if free and not all(self.missing(entry, m) for m in free):
            texts = {m: self.outcomes.get((index, m), "no outcome") for m in free
                     if not self.missing(entry, m)}
            won = any(entry.succeeds(text) for text in texts.values())
            said = ", ".join("%s: %s" % (m[5:], t[:90]) for m, t in texts.items())
            why = entry.why or (None if self.machine.is_root else "only root's succeeds")
            self.say(won or bool(why), "%s: without the jail: %s%s" % (
                title, said, "" if won else " (%s)" % why))
        for mode in self.modes():
            if mode in free:
                continue
            reason = self.missing(entry, mode)
            if reason:
                if mode in entry.modes:
                    self.say(True, "%s: %s # SKIP %s" % (title, mode, reason))
                continue
            outcome = self.outcomes.get((index, mode), "no outcome")
            want = entry.expected(mode, self.facts)
            self.say(re.match(want, outcome, re.S) is not None,
                     "%s: jailed, %s: %s" % (title, mode, outcome[:120]),
                     "want: " + want)

    def say(self, good, text, why=""):
        self.count += 1
        self.failed += not good
        print("%sok %d - %s" % ("" if good else "not ", self.count, text.replace("#S", "# S")))
        if not good and why:
            print("# " + why)
        sys.stdout.flush()

    # ---- the table

    def table(self):
        """Markdown: number, attack, without jail (root; user), jail as root (User=nobody), rootless."""
        lines = ["| # | attack | without jail | jail, as root | jail, as an ordinary user |",
                 "|--:|---|---|---|---|"]
        order = sorted(enumerate(attack.ATTACKS), key=lambda pair: (pair[1].number, pair[0]))
        for index, entry in order:
            if entry.skip:
                cells = ["", "not run: " + entry.skip, ""]
            else:
                cells = [self.cell(index, entry, m) for m in (
                    ("free-root", "free-user"), ("root", "nobody"), ("user",))]
            text = [str(entry.number), entry.title, *cells]
            lines.append("| " + " | ".join(t.replace("|", "\\|") for t in text) + " |")
        return "\n".join(lines) + "\n"

    def cell(self, index, entry, modes):
        texts = [(m, self.outcomes.get((index, m))) for m in modes]
        texts = [(m, t[:100] or entry.why or "") for m, t in texts if t is not None]
        if not texts:
            return "–"
        if len({t for _, t in texts}) == 1:
            return texts[0][1]
        return "; ".join("%s: %s" % (m.removeprefix("free-"), t) for m, t in texts)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--taskrun", required=True)
    parser.add_argument("--uid", type=int, default=os.geteuid() or 12345)
    parser.add_argument("--table")
    parser.add_argument("--columns", default="free,root,nobody,user")
    parser.add_argument("--families", default=",".join(
        f for f in FAMILIES if os.path.exists(os.path.join(HERE, f + ".py"))))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--binaries")
    parser.add_argument("numbers", nargs="*")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    runner = Runner(options)
    try:
        runner.run()
        if runner.options.table:
            with open(runner.options.table, "w") as file:
                file.write(runner.table())
    finally:
        runner.machine.close()
    print("1..%d" % runner.count)
    sys.exit(1 if runner.failed else 0)


main()
