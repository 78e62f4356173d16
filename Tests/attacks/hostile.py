# SPDX-License-Identifier: Apache-2.0
"""Units whose values are hostile: taskrun says a sentence and starts nothing, or runs the task."""

import os
import random
import resource

from attack import absent, attack

absent.family = __name__
LONG = "/" + "/".join(["d" * 200] * 30)
NUMBERS = ["-1", "0", "1", "9223372036854775807", "9223372036854775808", "18446744073709551616",
           "1e9", "0x10", "99999999999999999999T", "infinity", "", "nan", "½", "1K1", "+5", " 7"]


def sizes():
    for key in "LimitMem LimitDisk LogLimit MemoryHigh LimitTasks LimitCPU Nice Priority".split():
        for value in NUMBERS:
            yield "[Service]\n%s=%s\n" % (key, value)
    for key in "MaxTime TimeoutStopSec MaxCPUTime RestartSec".split():
        for value in NUMBERS + ["9223372036854775807us", "1y", "5min 3s", "2 2", "-3s", "1000000000y"]:
            yield "[Service]\n%s=%s\n" % (key, value)


def paths():
    odd = [LONG, "/" + "x" * 5000, "/tmp/\\n/x", "/tmp/a\x01b", "/tmp/%n%i%%%z", "/proc/self/fd/0",
           "/tmp/../../etc", "//tmp//x//", "relative", "/", "", "/tmp/\u202e", "/dev/full", "~", "$HOME",
           "/tmp/:/tmp", ":", "::", "/a:/b:/c", "-/nonexistent", "/etc/shadow", "/tmp:/proc/1"]
    for value in odd:
        yield "[Service]\nWorkingDirectory=%s\n" % value
        yield "[Service]\nDir=%s\n" % value
        yield "[Jail]\nBindPaths=%s\n" % value
        yield "[Jail]\nBindReadOnlyPaths=%s:%s\n" % (value, value)
        yield "[Service]\nStandardInput=file:%s\n" % value
        yield "[Service]\nStandardOutput=file:%s\n" % value
        yield "[Service]\nLoadCredential=a:%s\n" % value
        yield "[Service]\nFiles=%s\n" % value


def names():
    odd = ["root", "nobody", "no such", "0", "-1", "4294967295", "4294967296", "x" * 5000, "a:b",
           "../../etc", "\x01", "%i", "root\\nroot", "65534", "+0"]
    for value in odd:
        for key in ("User", "Group", "SupplementaryGroups", "KillSignal", "Semaphore", "Queue"):
            yield "[Service]\n%s=%s\n" % (key, value)
        yield "[Jail]\nSystemCallFilter=%s\nSystemCallArchitectures=%s\n" % (value, value)
        yield "[Jail]\nProcSubset=%s\nPrivateNetwork=%s\nJail=%s\n" % (value, value, value)


def large():
    yield "[Jail]\n" + "BindReadOnlyPaths=/usr:/mnt/%d\n" * 10000 % tuple(range(10000))
    yield "[Environment]\nA=\"%s\"\n" % ("x" * (1 << 20))
    yield "[Environment]\n" + "".join("V%d=\"%s\"\n" % (i, "x" * 1000) for i in range(800))
    yield "[Args]\nargs=\"%s\"\n" % ("y " * 400000)
    yield "[Args]\nargs=\"%s\"\n" % ("y" * 900000)
    yield "[Args]\nargs=\"%s\"\n" % ("z" * (2 << 20))
    yield "[Checks]\n" + "".join("c%d=\"true\"\n" % i for i in range(3000))
    yield "[Checks]\n" + "".join("c%d=\"%s\"\n" % (i, "x" * 900) for i in range(900))
    yield "[Service]\nFiles=" + " ".join("f%d" % i for i in range(5000)) + "\n"
    yield "[Service]\nSupplementaryGroups=" + " ".join(str(i) for i in range(70000)) + "\n"
    yield "[Environment]\n=x\nA\nB=\nC==\nLD_PRELOAD=/x\n\"A B\"=c\nTASK_ID=forged\n"
    yield "[Checks]\n../x=\"true\"\na b=\"true\"\n=\"true\"\n%n=\"true\"\n"
    yield "\x00\x01\x02"
    yield "[" * 100000
    yield "a=b\n" * 100000
    yield "[Service]\nX-" + "k" * 100000 + "=v\n"
    yield "\\\n" * 50000
    yield "[Args]\nargs=\"unclosed\n"


def mutations(count):
    """A good unit with bytes changed, from a seed."""
    good = ("[Service]\nMaxTime=2s\nLimitMem=64M\nLimitTasks=20\n[Jail]\nPrivateNetwork=no\n"
            "[Checks]\none=\"true\"\n[Environment]\nA=\"b\"\n[Args]\nargs=\"a b\"\n")
    dice = random.Random(105)
    for _ in range(count):
        text = bytearray(good.encode())
        for _ in range(dice.randint(1, 6)):
            at = dice.randrange(len(text))
            what = dice.randrange(3)
            if what == 0:
                text[at] = dice.randrange(256)
            elif what == 1:
                del text[at:at + dice.randint(1, 9)]
            else:
                text[at:at] = bytes(dice.choices(b"%\\\"'=[]\n\t #;:\xff\x00", k=dice.randint(1, 5)))
        yield bytes(text)


def cpu():
    """Seconds of CPU that all children took: wall time is the machine's, not the program's."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def judge(end, took):
    """What is wrong with how it ended, or nothing. A hang is ended by its deadline."""
    died = end.status in (132, 134, 135, 136, 139) and "ended by signal" not in end.err
    if end.status < 0 or died:  # its own death, not the task's
        return "crash %d" % end.status
    if took > 5:
        return "%.1f s of CPU" % took
    if end.status != 0 and not end.err.strip():
        return "silent %d" % end.status
    if "Fatal error" in end.err or "0x" in end.err and "Thread" in end.err:
        return "trap"
    if any(ord(c) < 32 and c not in "\n\t" for c in end.err):
        return "control bytes"
    return None


def told(t, how, cases):
    bad, count = [], 0
    for case in cases:
        text = case if isinstance(case, bytes) else case.encode()
        if b"[Command]" not in text:
            text += b"\n[Command]\ncommand=\"true\"\n"
        place = t.directory("hostile")
        path = place + "/u.task"
        with open(path, "wb") as file:
            file.write(text)
        t.give(path)
        begin = cpu()
        options = ["--plan"] if how == "plan" else ["--slots=1"]
        end = t.spawn([t.taskrun, *options, path], None).end()
        wrong = judge(end, cpu() - begin)
        count += 1
        if wrong:
            bad.append("%s: %r: %s" % (wrong, text[:60], end.err[:120]))
    return "%d: all well" % count if not bad else "%d of %d: %s" % (len(bad), count, "; ".join(bad[:4]))


@attack(133, "--plan of units with hostile values: numbers, paths, names, sizes, changed bytes",
        wins="", why="no unit is read", jail=r"\d+: all well$", slow=True, modes=("root",))
def plans(t):
    if t.is_free:
        return ""
    return told(t, "plan", [*sizes(), *paths(), *names(), *large(), *mutations(150)])


@attack(134, "the same run", wins="", why="no unit is read", jail=r"\d+: all well$", slow=True,
        modes=("user",))
def runs(t):
    if t.is_free:
        return ""
    return told(t, "run", [*paths(), *names(), *large(), *mutations(60), *list(sizes())[::5]])
