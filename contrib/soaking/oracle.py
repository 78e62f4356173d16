# SPDX-License-Identifier: Apache-2.0
"""What must hold at the end of a soak: asked of the journal, of task and tasklog, of the directories."""
import glob
import os
import subprocess
import time
import urllib.parse

import figures
import units
from daemons import LIVE, is_alive, read


def plain(path):
    """The bytes of a segment; none of a compressed one that still stands beside its plain form."""
    if not path.endswith(".zst"):
        with open(path, "rb") as file:
            return file.read()
    if os.path.exists(path[:-len(".zst")] + ".sealed"):
        return b""
    return subprocess.run(["zstd", "-dcq", path], stdout=subprocess.PIPE, check=True).stdout


class Journal:
    """Every event of taskd, read without any program of ours."""

    def __init__(self, spool):
        self.accepts, self.rejects = {}, {}  # id -> name of the drop
        self.tasks, self.generation = {}, {}
        self.run_ends, self.task_ends = {}, {}  # (id, generation) -> states
        self.lost = self.records = 0
        for path in sorted(glob.glob(spool + "/journal/*-taskd-*")):
            if path.endswith((".open", ".sealed", ".zst")):
                for line in plain(path).rstrip(b"\0").split(b"\n")[1:]:
                    if line:
                        self.add(line.decode())

    def add(self, line):
        words = line.split(" ")
        verb, ref = words[4:6]
        run, _, task = ref.partition(".")
        fields = dict(word.split("=", 1) for word in words[6:])
        self.records += 1
        if verb == "accept":
            self.accepts[run] = urllib.parse.unquote(fields["name"])
            self.tasks[run] = int(fields["tasks"])
        elif verb == "reject":
            self.rejects[run] = urllib.parse.unquote(fields["name"])
        elif verb == "retry" and not task:
            self.generation[run] = int(fields["g"])
        elif verb == "lost":
            self.lost += 1
        elif verb == "end" and fields.get("final") == "yes":
            ends = self.task_ends if task else self.run_ends
            key = (ref, self.generation.get(run, 0))
            ends.setdefault(key, []).append(fields["state"])


class Verdict:
    def __init__(self):
        self.broken, self.lines = [], []

    def rule(self, sentence, found):
        """A rule, and what breaks it: a list, empty where it holds."""
        found = list(found)
        print("%-6s %s%s" % ("broken" if found else "holds", sentence,
                             ": %d, as %s" % (len(found), ", ".join(map(str, found[:4])))
                             if found else ""))
        if found:
            self.broken.append(sentence)

    def stopped(self, is_stopped):
        self.rule("taskd and taskrun end when asked, and the next taskrun works", [] if is_stopped else ["one does not"])
        for sentence, look in self.last:
            end = time.monotonic() + 10
            while (found := look()) and time.monotonic() < end:
                time.sleep(0.2)
            self.rule(sentence, found)

    def print(self):
        print(self.summary + (", %d rules broken" % len(self.broken) if self.broken
                              else ", every rule holds"))
        return 1 if self.broken else 0


def judge(soak, is_settled):
    verdict, journal = Verdict(), Journal(soak.spool)
    judge_results(verdict, soak, journal, is_settled)
    judge_programs(verdict, soak, journal)
    figures.judge(verdict, soak)
    ids, pools = set(journal.accepts), {row["pool.pid"] for row in soak.samples}
    verdict.last = [("no process of a task is left", lambda: processes(ids)),
                    ("no cgroup of a pool is left", lambda: cgroups(pools)),
                    ("no mount is left", lambda: mounts(soak.work))]
    verdict.summary = (
        "soak: %d tasks in %d runs, %d rejected, %d attempts lost, %d records; taskd killed %d times, "
        "taskrun %d times" % (sum(journal.tasks.values()), len(journal.accepts),
                              len(set(journal.rejects)), journal.lost, journal.records,
                              soak.daemons.kills, soak.daemons.pool_kills))
    return verdict


def judge_results(verdict, soak, journal, is_settled):
    verdict.rule("all that was submitted ends", [] if is_settled else ["some has not"])
    by_name = {}
    for table in (journal.accepts, journal.rejects):
        for run, name in table.items():
            by_name.setdefault(name, []).append(run)
    verdict.rule("every id that task submit printed is accepted",
                 (i for i in soak.acknowledged if i not in journal.accepts))
    verdict.rule("every drop is accepted or rejected", (n for n in soak.dropped if n not in by_name))
    verdict.rule("no drop is taken twice", (n for n in soak.dropped if len(by_name.get(n, [])) > 1))
    bad = lambda name: units.KINDS[soak.dropped[name]][3] is None
    verdict.rule("bad input, and only that, is rejected",
                 (n for n in soak.dropped if n in by_name
                  and bad(n) != (by_name[n][0] in journal.rejects)))
    both = lambda ends: (key for key, states in ends.items() if len(states) > 1)
    generations = [(i, g) for i in journal.accepts for g in range(journal.generation.get(i, 0) + 1)]
    verdict.rule("every run has an end a generation",
                 (key for key in generations if key not in journal.run_ends))
    verdict.rule("no run has two", both(journal.run_ends))
    verdict.rule("every task has an end",
                 ("%s.%d" % (i, k) for i, count in journal.tasks.items() for k in range(count)
                  if ("%s.%d" % (i, k), 0) not in journal.task_ends))
    verdict.rule("no task has two in a generation", both(journal.task_ends))
    verdict.rule("each ends as its kind must", unexpected(soak, journal, by_name))


def unexpected(soak, journal, by_name):
    kinds = dict(soak.acknowledged)
    kinds.update((by_name[n][0], k) for n, k in soak.dropped.items() if n in by_name)
    for run, kind in kinds.items():
        wanted, states = units.KINDS[kind][3], journal.run_ends.get((run, 0))
        if wanted is None or states is None:
            continue
        allowed = wanted | ({"cancelled"} if {"cancel", "drop"} & soak.moved.get(run, set()) else set())
        if states[0] not in allowed:
            yield "%s (%s) %s" % (run, kind, states[0])


def judge_programs(verdict, soak, journal):
    ask = lambda *words: subprocess.run(
        [soak.binaries + "/" + words[0], *words[1:]], env=soak.environment, capture_output=True,
        text=True, timeout=300)
    answer = ask("task", "query", "-o", "csv", "--no-headers",
                 "SELECT count(*), sum(ended IS NULL) FROM run WHERE status <> 9")
    want = "%d,0" % len(journal.accepts)
    verdict.rule("SQL counts the same runs, all ended",
                 [] if answer.stdout.strip() == want
                 else ["%s, not %s %s" % (answer.stdout.strip(), want, answer.stderr[:200])])
    verdict.rule("nothing is left in %s" % " ".join(LIVE),
                 (d + "/" + n for d in LIVE for n in os.listdir(soak.spool + "/" + d)))
    for words in (["task", "fsck"], ["tasklog", "verify", "-q"]):
        answer = ask(*words)
        verdict.rule("%s is content" % " ".join(words[:2]),
                     (answer.stdout + answer.stderr).splitlines()[:3] or ["it exits 1"]
                     if answer.returncode else [])
    verdict.rule("no daemon ended by itself", soak.daemons.unexpected)
    verdict.rule("no client failed", ("task %s: %d (%d times)" % (*key, n)
                                      for key, n in soak.refusals.items()))


# ---- what could be left on the machine

def processes(ids):
    for path in glob.glob("/proc/[0-9]*/environ"):
        for word in read(path).split("\0"):
            if word.startswith("TASK_ID=") and word[8:34] in ids and is_alive(int(path.split("/")[2])):
                return ["%s: %s" % (path, read(path[:-7] + "cmdline").replace("\0", " "))]
    return []


def cgroups(pools):
    return [d for d in glob.glob("/sys/fs/cgroup/**/taskrun-*", recursive=True)
            if int(os.path.basename(d).split("-")[1]) in pools]


def mounts(work):
    return [line.split()[4] for line in read("/proc/self/mountinfo").splitlines() if work in line]
