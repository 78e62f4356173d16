#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares a jail that strace -f -v -s 4096 saw with the plan of `taskrun --plan -o json`.

    compare.py PLAN.json TRACE

Each process of the trace (the launchers, init, each program) must have made the calls that the plan
lists for it, in that order and no others of the kinds that change what a process is or sees. What
differs is printed, and the exit status is 1.
"""
import json
import re
import sys

LINE = re.compile(r"^(\d+) +(.*)$")
CALL = re.compile(r"^(\w+)\((.*)\) += (-?\d+|\?)( .*)?$", re.S)
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def read(path):
    """Calls by process, in the order in which they began; a call that was interrupted is put together."""
    begun, calls, order = {}, {}, []
    for line in open(path, errors="replace"):
        found = LINE.match(line.rstrip("\n"))
        if not found:
            continue
        pid, text = int(found[1]), found[2]
        if pid not in calls:
            calls[pid] = []
            order.append(pid)
        if text.endswith("<unfinished ...>"):
            calls[pid].append(None)
            begun[pid] = (len(calls[pid]) - 1, text[: -len("<unfinished ...>")].rstrip())
            continue
        resumed = re.match(r"^<\.\.\. \w+ resumed>(.*)$", text)
        if resumed and pid in begun:
            place, head = begun.pop(pid)
            calls[pid][place] = head + resumed[1]
        elif CALL.match(text):
            calls[pid].append(text)
    for pid, (place, head) in begun.items():
        calls[pid][place] = head + ") = ?"
    return order, calls


def flags(text, which):
    found = re.search(which + r"=([A-Z_|0-9a-fx]+)", text)
    return found[1].split("|") if found else []


def normal(text):
    """`NAME OBJECT` as the plan spells it; None for a call that changes nothing of interest."""
    found = CALL.match(text)
    if not found:
        return None
    name, rest, result = found[1], found[2], found[3]
    strings = STRING.findall(rest)
    first = strings[0] if strings else ""
    if name == "mount":
        target = STRING.findall(rest.split(",", 2)[1])[0]
        if "MS_REMOUNT" in rest:
            return "mount remount " + target
        if "MS_BIND" in rest:
            return "mount bind " + target
        if "MS_PRIVATE" in rest:
            return "mount private " + target
        return "mount %s %s" % (STRING.findall(rest.split(",", 3)[2])[0], target)
    if name == "open_tree":
        return "open_tree " + first
    if name == "mount_setattr":
        words = flags(rest, "attr_set")
        return "mount_setattr " + ",".join(sorted(w.replace("MOUNT_ATTR_", "").lower() for w in words))
    if name == "move_mount":
        return "move_mount " + (strings[1] if len(strings) > 1 else "")
    if name == "openat2":
        return "openat2 " + first
    if name in ("open", "openat"):
        if re.match(r"^/proc/self/fd/\d+$", first):
            return "open /proc/self/fd"
        if re.match(r"^/proc/self/(uid_map|gid_map|setgroups|oom_score_adj)$", first):
            return "open " + first
        return "create " + first if "O_CREAT" in rest else None
    if name in ("mkdir", "mknod", "chdir", "umount2", "pivot_root", "sethostname", "execve"):
        return name + " " + first
    if name == "symlink":
        return "symlink " + strings[1]
    if name == "mknodat":
        return "mknod " + first
    if name == "symlinkat":
        return "symlink " + strings[-1]
    if name == "unshare":
        return "unshare " + rest
    if name == "clone3":
        return "clone3 " + "|".join(sorted(flags(rest, "flags")))
    if name in ("clone", "fork", "vfork", "setns", "chroot", "ptrace", "bpf", "add_key"):
        return name
    if name == "keyctl":
        return "keyctl " + rest.split(",")[0]
    if name == "setsid":
        return name
    if name == "setpgid":
        return "setpgid " + rest.split(",")[0]
    if name == "umask":
        return "umask " + rest
    if name == "setgroups":
        inside = re.search(r"\[(.*)\]", rest)
        return "setgroups " + (inside[1].replace(" ", "") if inside else "")
    if name in ("setfsuid", "setfsgid"):
        return None if rest in ("-1", "4294967295") else name + " " + rest
    if name in ("setresuid", "setresgid"):
        return name + " " + rest.split(",")[0]
    if name in ("setuid", "setgid", "setreuid", "setregid"):
        return name
    if name == "capset":
        sets = dict(re.findall(r"(effective|permitted)=([^,}]+)", rest))
        if sets.get("permitted") == "0":
            return "capset none"
        if sets.get("effective") == "0":
            return "capset effective=none"
        return "capset kill" if sets.get("permitted") == "1<<CAP_KILL" else "capset effective=all"
    if name == "prctl":
        what = rest.split(",")[0]
        known = ("PDEATHSIG", "DUMPABLE", "SECUREBITS", "NO_NEW_PRIVS", "SECCOMP", "KEEPCAPS")
        return "prctl " + what if what.startswith("PR_CAP") or what[7:] in known else None
    if name in ("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"):
        return name
    if name == "seccomp":
        return "seccomp " + rest.split(",")[0]
    if name in ("prlimit64", "setrlimit"):
        words = rest.split(", ")
        if name == "prlimit64" and (words[2] == "NULL" or words[0] != "0"):
            return None
        return "setrlimit " + words[1 if name == "prlimit64" else 0]
    if name == "setpriority":
        return "setpriority " + rest.split(", ")[-1]
    if name == "ioctl" and "SIOCSIFFLAGS" in rest:
        return "ioctl SIOCSIFFLAGS"
    if name == "dup2":
        return "dup2 " + rest.split(", ")[1]
    if name == "close_range":
        return "close_range " + rest.split(",")[0]
    if name == "pwrite64":
        return "pwrite64 200" if first == "200" else "pwrite64 back"
    return None


def words_of(calls):
    """The normal calls of a process. A capability after the other is dropped by one call in the plan,
    and a place that is opened, made and opened again counts once."""
    result = []
    for text in calls:
        word = normal(text) if text else None
        again = result and result[-1] == word and word.startswith(("prctl PR_CAPBSET", "openat2"))
        if word and not again:
            result.append(word)
    return result


def child_of(calls, which):
    """The pid that a clone3 with these flags made, in this process."""
    for text in calls:
        found = CALL.match(text) if text else None
        if found and found[1] == "clone3" and which(flags(found[2], "flags")) and found[3] not in "?":
            if int(found[3]) > 0:
                yield int(found[3])


def compare(name, planned, seen):
    # What this kernel lacks needs no cover; a directory that is there is made all the same.
    if planned == seen:
        print("ok: %s: %d calls" % (name, len(seen)))
        return 0
    at = next((i for i, pair in enumerate(zip(planned, seen)) if pair[0] != pair[1]),
              min(len(planned), len(seen)))
    print("%s: call %d differs" % (name, at + 1))
    print("  planned: %s" % planned[at : at + 6])
    print("  seen:    %s" % seen[at : at + 6])
    return 1


def steps(plan, where, what=None, others=False):
    calls = []
    for step in plan["steps"]:
        if step["where"] == where and (what is None or (step["what"] == what) != others):
            calls += step["calls"]
    return calls


def main():
    plan = json.load(open(sys.argv[1]))
    order, calls = read(sys.argv[2])
    failures = 0
    # By what they do: the first launcher joins a keyring, a slot's is its child and clones init.
    first = next(p for p in order if any(t and t.startswith("keyctl(") for t in calls[p]))
    slot = next(child_of(calls[first], lambda f: "CLONE_PARENT" in f))
    init = next(child_of(calls[slot], lambda f: "CLONE_NEWPID" in f))
    inside = list(programs(calls, init, order))
    own = words_of(calls[first])
    own = own[: next(i for i, w in enumerate(own) if w.startswith("clone3"))]
    failures += compare("launcher", steps(plan, "once", "slot", others=True), own)
    failures += compare(
        "slot's launcher", steps(plan, "once", "slot") + steps(plan, "launcher"),
        words_of(calls[slot]))
    failures += compare("init", steps(plan, "init"), without_repeats(words_of(calls[init])))
    shared = []
    runs = []
    for step in plan["steps"]:
        if step["where"] != "task":
            continue
        if step["what"] in ("check", "exec"):
            runs.append(step["calls"])
        shared += [c for c in step["calls"] if not c.startswith("execve")]
    if len(inside) != len(runs):
        print("%d programs, planned are %d" % (len(inside), len(runs)))
        failures += 1
    for number, (pid, run) in enumerate(zip(inside, runs)):
        seen = words_of(calls[pid])
        end = next((i for i, w in enumerate(seen) if w.startswith("execve")), len(seen))
        failures += compare(
            "program %d" % (number + 1), shared + [c for c in run if c.startswith("execve")],
            seen[: end + 1])
    return 1 if failures else 0


def programs(calls, init, order):
    """The programs that init started: the processes that went into a group of their own."""
    for pid in order:
        words = [t for t in calls[pid] if t]
        if pid != init and any(t.startswith(("setpgid(0, 0)", "setsid()")) for t in words):
            if any(t.startswith("seccomp(") for t in words):
                yield pid


def without_repeats(words):
    """One start for all programs: the plan says it once."""
    starts = [i for i, w in enumerate(words) if w.startswith("clone3")]
    return [w for i, w in enumerate(words) if i not in starts[:-1]]


sys.exit(main())
