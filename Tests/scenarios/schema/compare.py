# SPDX-License-Identifier: Apache-2.0
"""Pipelines through the shipped JSON Schema and through `taskdep lint`: who accepts what.

compare.py SCHEMA TASKDEP DIRECTORY COUNT SEED
compare.py SCHEMA TASKDEP DIRECTORY --defects SEED
Values that are good, values that are not, and COUNT of them changed at random are written as JSON, which is
YAML. Prints `cases accepted refused`; each that the two judge otherwise goes to standard error, and ends it
with 1. What a schema cannot see is named below, and nothing else is let pass. --defects leaves out of the schema,
or forbids, one thing after another, and ends with 1 where no case would find that; it prints their number.
"""

import copy
import json
import os
import random
import re
import subprocess
import sys

import jsonschema

# What depends on other files, or on all members together: a schema sees neither.
WHOLE = re.compile(
    r"no such unit|no such file|contains itself|a cycle of|is a task beside this|leaves Dir=|leads back to itself"
    r"|two credentials are called|is too long|is too large|contradicts|items in a plan|is ambiguous"
    r"|an item |Items=@|not a regular file|is a directory|no items: "
)
# Directives whose text is divided into words, each read by itself where a list stands there. Quotes hold
# words together; of those the schema only knows that they close.
WORDS = {
    "Requires", "Wants", "After", "Before", "OnSuccess", "OnFailure", "Packages", "SupplementaryGroups", "Files",
    "SuccessExitStatus", "RestartPreventExitStatus", "Semaphore", "LoadCredential", "BindPaths",
    "BindReadOnlyPaths", "SystemCallFilter", "SystemCallArchitectures", "args", "Items",
}
QUOTES = re.compile(r"['\"\\]")
# A span, a size of so many digits may be beyond 64 bits; what %n stands for may have other letters than the schema
# takes it for.
BEYOND = re.compile(r"[0-9]{13}|%n")

GOOD = {
    "Description": ["words of it", "", "100%% of %n", 5, True, None],
    "Requires": ["u", "u v", ["u"], [], "", "%n-u", "  u\n v "],
    "Wants": ["u"], "After": ["u"], "Before": ["u"], "OnSuccess": ["h"], "OnFailure": ["h", ["h"]],
    "Packages": ["", []],
    "User": ["me", 0, "1000", "%n", "dömain-user", None], "Group": ["us", "%%"], "SupplementaryGroups": ["a b", ["a", 5]],
    "WorkingDirectory": ["/tmp", "/tmp/a b", "/%n/x", "/"], "Dir": ["/usr"],
    "Files": ["", []],
    "Restart": ["never", "no", "0", 0, 3, "on-failure", "007", 1000000, ""],
    "RestartSec": ["2s", "1h 30min", "1.5h", 5, 1.5, "infinity", "", " 3 ", "1 2", "300ms20s", "5µs", "0"],
    "RestartMaxDelaySec": ["5min"],
    "SuccessExitStatus": ["0 1", 3, [3, "SIGTERM"], "TERM 255", "", "15", []],
    "RestartPreventExitStatus": ["64 KILL"],
    "LimitMem": ["1G", "1.5M", 4096, "infinity", "", "8 K", "0", 1.5], "MemoryHigh": ["512M"], "LimitDisk": ["2T"],
    "LimitCPU": ["150%", "infinity", "", "007%"], "LimitTasks": [10, "infinity", "4194304", ""],
    "MaxTime": ["2s", 2], "MaxCPUTime": ["1min"], "TimeoutStopSec": ["10s"],
    "KillSignal": ["SIGTERM", "TERM", 15, "15", "", "KILL"],
    "Nice": [5, -20, "19", "-0", "", "-005"], "Priority": [-1000, 1000, "0"],
    "Semaphore": ["disk", "disk:2", ["a", "b:3"], "", "%n:1"],
    "RemainAfterExit": ["1h", "0s", "0", "", 0, "0 min"],
    "Type": ["exec", ""], "LogLimit": ["64M", "64M:fail", "infinity:fail", 5, ""],
    "StandardInput": ["null", None, "file:/x", "text:a b", ""], "StandardOutput": ["log", "null", "file:/x y", "", None],
    "LoadCredential": ["key:/etc/key", ["a:/a b", "b:/b"], ""],
    "Key": ["text of it", 5, ""], "Shared": ["yes", True, "no", False, "", 0, 1], "RequireEnd": ["no", "off", False, ""],
    "Jail": ["yes", "strict", "no", ""], "PrivateNetwork": ["yes", "ON", True, "f", 1, 0, "", "No"],
    "BindPaths": ["/a", "/a:/b", "-/a:/b", ["/a b:/c"], "/a -/b", ""], "BindReadOnlyPaths": ["/usr/share"],
    "SystemCallFilter": ["@debug", "~@network-io", "~connect ~@raw-io", "", ["~x_y-z"]],
    "SystemCallArchitectures": ["native", "native x86", ["x86"], ""], "ProcSubset": ["pid", "all", ""],
    "args": ["-a b", "'a b' \"c\\\"d\" e\\ f", ["a b", "", "-c"], "", 5, None, "a\nb", "%n %%"],
    "command": ["true", "sh -c 'echo hi'", "./x", "a\\ b", True, None, 5, "echo %n 100%%", "a\nb", "\"a b\" c"],
    "Items": ["a b c", ["a b", "c"], "x", 5, "'a b' c", ""], "Count": [3, "10000000", "007"],
    "MaxParallel": [2, "infinity", ""],
    "Environment": [{"A": "b", "_x1": ""}, {}, {"N": 5, "T": True, "X": None}, {"P": "50%% of %n"}],
    "Checks": [{"ready": "test -e x", "no-1.x": ""}, {}, {"c": "'a b'", "d": True}],
    "Then": [{"command": "echo then"}, {"command": "x", "args": "a b"}, {"command": "x", "args": ["a b"]}, {}, {"args": ""}],
    "name": ["m", "a.b_c-d", 5, "m.task"],
    "X-note": ["anything", {"a": [1, None]}, None],
}
BAD = {
    "Description": ["a\nb", "%", "%x", "%i", [], {}], "Requires": ["a/b", ".a", ["a b"], {}, [["u"]], "%%", "é", "a" * 129],
    "Wants": ["a/b", [5, ""]], "After": [".a"], "Before": ["é"], "OnSuccess": ["a,b"], "OnFailure": [{}],
    "Group": ["a b", ""], "SupplementaryGroups": [[""], ["a b"], {}], "RestartMaxDelaySec": ["never"],
    "RestartPreventExitStatus": ["64-78"], "MemoryHigh": ["5KB"], "LimitDisk": ["1 GiB"], "MaxTime": ["2 secs"],
    "MaxCPUTime": ["-1s"], "TimeoutStopSec": ["no"], "RemainAfterExit": ["yes", True], "Key": ["a\nb", [], "%x"],
    "BindReadOnlyPaths": ["usr", "/a:b"],
    "Packages": ["pkg:pypi/x"], "PackagesFrom": ["x", ""], "Queue": ["gpu", "", "no"], "Shared": ["maybe", 2],
    "User": ["", "a b", [], "%"], "WorkingDirectory": ["tmp", "", "%n/x", 5, True], "Dir": ["./x"],
    "Files": ["/etc/passwd", "../x", "a/../b", "./.", "a/.."], "Restart": [-1, 1000001, "always", True, None, 1.5, "+3"],
    "RestartSec": ["soon", "1.5.5", "5secs", -1, "1.h", True, "5 s x", "1234567890123456789", "infinity s", None, ".5"],
    "SuccessExitStatus": [256, "SIGFOO", [""], "1,2", -1, "+9", True], "LimitMem": ["1GB", "lots", -1, "1.", "K", True, "infinityM"],
    "LimitCPU": ["50", 50, "0%", "1.5%", "50 %", "1000001%"], "LimitTasks": [0, "4194305", "-1", 1.5, None],
    "KillSignal": ["SIG", "sigterm", 0, 32, "+9", "SIGSIGTERM"], "Nice": [20, -21, "5.0", "a", True, "+5"], "Priority": [1001, "--1"],
    "Semaphore": ["a:0", "a:b", ":2", "a:1:2", "/x"], "Type": ["fork", None, True], "LogLimit": ["1G:drop", ":fail"],
    "StandardInput": ["/x", "file:x", "nil"], "StandardOutput": ["text:x", "file:"], "LoadCredential": ["key", "a/b:/c", "k:etc", ":/x"],
    "RequireEnd": ["yes", True, 1], "Jail": ["maybe", True, 1], "PrivateNetwork": ["maybe", 2, None, "yess", []],
    "BindPaths": ["a", "/a:b", "/a:/b:/c", [""], ["a"], "/a: /b"], "SystemCallFilter": ["connect", "@network-io", "~", "~a~b", "@debug x"],
    "SystemCallArchitectures": ["arm", ["native x86"]], "ProcSubset": ["none"],
    "args": ["'a", "a\\", {}, ["a\nb"], "'a\nb'", "%q", [["a"]]], "command": ["", " ", [], ["a", "b"], "'a", "a 'b\nc'", {}, "\n", "%i"],
    "Items": [{}, "'a", "%i"], "Count": [0, 10000001, "", "-1", True, 1.5], "MaxParallel": [0, "many", 1],
    "Environment": ["A=b", [], {"1A": "x"}, {"A": ["b"]}, {"TASK_ID": "x"}, {"A-B": "x"}, {"A": "%q"}, {"A": {"B": "c"}}, {"A=": "b"}, {"A=B": ""}],
    "Checks": [["x"], {"a b": "x"}, {"c": " "}, {"c": "'x"}, {"c": ["x"]}, {"c@d": "x"}, {"c": "a\nb"}, {"a b": ""}, {"c=": "x"}, {"": ""}],
    "Then": ["x", [], {"args": "a"}, {"command": ""}, {"command": "x", "Nice": 5}, {"command": ["x"]}, {"command": "x %i"}],
    "name": ["", "a/b", ".a", [], "systemd:x", "a b"], "parallel": [["u"]], "sequence": [["u"]],
    "cron": ["@daily"], "Misfire": ["skip"], "Environmnt": [{}], "nice": [5], "LimitMEM": ["1G"], "MemoryMax": ["1G"], "then": [{}], "": ["x"],
}
WORDS_OF_IT = [
    "u", "v", ["u", "v"], {"parallel": ["u", "v"]}, {"sequence": [["u"], "v"]}, {"parallel": [{"sequence": ["u", {"command": "x"}]}]},
    {"command": "true"}, {}, {"Description": "a group", "Requires": "u"},
    ["u", {"command": "x", "Count": 3, "args": "%i", "MaxParallel": 2}, "v"],
    {"command": "x", "Items": ["a", "b"], "WorkingDirectory": "/tmp/%i", "Environment": {"OF": "%i"}, "Checks": {"c": "test %i"}},
    {"command": "x %i", "Items": "a b", "Environment": {"OF": "%i"}, "Then": {"command": "y"}},
    {"command": "x", "Count": 2, "LimitCPU": "50%", "StandardInput": "text:50%%i", "Then": {"command": "y"}},
    {"command": "x", "RemainAfterExit": "0s", "Semaphore": "a"}, {"command": "x", "Jail": "no", "LoadCredential": ""},
]
WRONG = [
    [], "", "a/b", {"parallel": []}, {"parallel": "u"}, {"parallel": ["u"], "X-a": 1}, {"parallel": ["u"], "sequence": ["u"]}, [["u"], []],
    {"sequence": None}, {"args": "a"}, {"args": "''"}, {"args": [""]}, {"Items": "a"}, {"Count": 2}, {"Then": {"command": "x"}}, {"command": "x", "MaxParallel": 2},
    {"command": "x", "Items": "a", "Count": 2}, {"command": "x", "RemainAfterExit": "1h", "Semaphore": "a"},
    {"command": "x", "RemainAfterExit": 5, "Count": 2}, {"command": "x", "RemainAfterExit": "1h", "Then": {"command": "y"}},
    {"command": "x", "Jail": "no", "LoadCredential": "a:/b"}, {"command": "x", "WorkingDirectory": "/tmp/%i"},
    {"command": "x", "Items": "a", "WorkingDirectory": "/%i", "Then": {"command": "y"}},
    {"command": "x", "Items": "%i"}, {"command": "x", "Count": 2, "Then": {"command": "y %i"}}, {"command": "x", "Nice": "%i", "Count": 2},
    {"Environment": {"A": "%i"}}, {"command": "x", "Items": "", "MaxParallel": 2}, [{"command": "x"}, 5.5, None, True, "a b"],
]
SIGNS = list("%%%'\"\\ /.:@~-#\n\t\r,;=+_aiknsyKMGTe0123456789") + ["é", "😀", "infinity", "%n", "%i", "%%", "..", "//"]
POOL = ["", "x", "u", 5, 0, -1, 1.5, True, False, None, [], ["u"], [5, "x"], {}, {"A": "b"}, {"command": "x"}, [[]], "no", "yes", "1s", "a b"]


def change_text(random, text):
    at = random.randrange(len(text) + 1)
    how = random.randrange(4)
    if how == 0:
        return text[:at] + random.choice(SIGNS) + text[at:]
    if how == 1:
        return text[:at] + random.choice(SIGNS) + text[at + 1:]
    return text[:at] + text[at + 1:] if how == 2 else text[:at] + text[at:at + 3] + text[at:]


def places(value, path=()):
    """The paths of all values, the root's first."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, path + (key,))


def at(value, path):
    for key in path:
        value = value[key]
    return value


def replaced(value, path, new):
    if not path:
        return new
    at(value, path[:-1])[path[-1]] = new
    return value


def changed(random, value):
    value = copy.deepcopy(value)
    path = random.choice(list(places(value)))
    old = at(value, path)
    how = random.randrange(8)
    if how == 0:
        return replaced(value, path, copy.deepcopy(random.choice(POOL)))
    if how == 1:
        wrap = random.choice([lambda v: [v], lambda v: {"parallel": [v]}, lambda v: {"sequence": v}])
        return replaced(value, path, wrap(old))
    if isinstance(old, dict) and how < 7:
        if old and how == 2:
            del old[random.choice(list(old))]
        elif old and how == 3:
            key = random.choice(list(old))
            old[change_text(random, key)] = old.pop(key)
        else:
            table = GOOD if random.random() < 0.8 else BAD
            key = random.choice(list(table))
            old[key] = copy.deepcopy(random.choice(table[key]))
        return value
    if isinstance(old, list) and old:
        if how < 5:
            old.append(copy.deepcopy(random.choice(POOL)))
        else:
            old.pop(random.randrange(len(old)))
        return value
    return replaced(value, path, change_text(random, old if isinstance(old, str) else json.dumps(old)))


def corpus(random, count):
    base = {"command": "true"}
    cases = list(WORDS_OF_IT) + list(WRONG)
    for table in GOOD, BAD:
        for key, values in table.items():
            for value in values:
                cases.append({**base, key: value})
                cases.append([{key: value}])
                cases.append({"command": "x", "Items": "a b", key: value})
    seeds = copy.deepcopy(cases)
    for _ in range(count):
        value = random.choice(seeds)
        for _ in range(random.choice([1, 1, 2, 3])):
            value = changed(random, value)
        cases.append(value)
    return cases


def has_quoted_words(value):
    if isinstance(value, dict):
        own = any(key in WORDS and isinstance(each, str) and QUOTES.search(each) for key, each in value.items())
        return own or any(has_quoted_words(each) for each in value.values())
    return isinstance(value, list) and any(has_quoted_words(each) for each in value)


def lint(taskdep, directory, cases):
    """What the parser says against each: its errors but those of WHOLE."""
    errors = [[] for _ in cases]
    for number, case in enumerate(cases):
        with open(f"{directory}/c{number}.yaml", "w", encoding="utf-8") as file:
            json.dump(case, file, ensure_ascii=False)
    for start in range(0, len(cases), 2000):
        names = [f"c{number}.yaml" for number in range(start, min(start + 2000, len(cases)))]
        done = subprocess.run([taskdep, "lint"] + names, cwd=directory, capture_output=True, text=True, timeout=240)
        if done.returncode not in (0, 2):
            sys.exit(f"taskdep lint ended with {done.returncode}: {done.stderr[-500:]}")
        for line in done.stderr.splitlines():
            found = re.match(r"c(\d+)\.yaml:\d+:\d+: (?!warning: )(.*)", line)
            if found and not WHOLE.search(found[2]):
                errors[int(found[1])].append(found[2])
    return errors


def judged_otherwise(validator, case, errors):
    is_valid = validator.is_valid(case)
    if is_valid and (has_quoted_words(case) or BEYOND.search(json.dumps(case))):
        return False
    return is_valid == bool(errors)


def defects(schema):
    """Names, changed schemas, and the key whose cases are enough to look at; None: all."""
    def of(key, change):
        own = copy.deepcopy(schema)
        change(own["$defs"])
        return jsonschema.Draft202012Validator(own), key

    for number, rule in enumerate(schema["$defs"]["task"]["allOf"]):
        yield "without " + rule["$ref"], *of(None, lambda defs, n=number: defs["task"]["allOf"].pop(n))
    yield "with empty lists", *of(None, lambda defs: defs["list"].pop("minItems"))
    for name, own in schema["$defs"]["task"]["properties"].items():
        yield "any " + name, *of(name, lambda defs, n=name: defs["task"]["properties"].update({n: True}))
        if schema["$defs"][own["$ref"].split("/")[-1]] is not False:
            yield "no " + name, *of(name, lambda defs, n=name: defs["task"]["properties"].update({n: False}))


def find_defects(schema, judged):
    """How many there are, and the names of those that no case finds."""
    count, unfound = 0, []
    for name, validator, key in defects(schema):
        count += 1
        if not any(judged_otherwise(validator, case, errors) for case, errors in judged
                   if key is None or key in json.dumps(case)):
            unfound.append(name)
    return count, unfound


def main():
    schema, taskdep, directory, count, seed = sys.argv[1:]
    with open(schema, encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for name in "u", "v", "h":
        with open(f"{directory}/{name}.task", "w", encoding="utf-8") as file:
            file.write("[Command]\ncommand=true\n")
    cases = corpus(random.Random(int(seed)), 0 if count == "--defects" else int(count))
    judged = list(zip(cases, lint(os.path.abspath(taskdep), directory, cases)))
    if count == "--defects":
        number, unfound = find_defects(schema, judged)
        print(number)
        sys.exit(f"no case finds: {', '.join(unfound)}" if unfound else 0)
    accepted = refused = shown = 0
    for number, (case, errors) in enumerate(judged):
        is_valid = validator.is_valid(case)
        accepted += is_valid and not errors
        refused += not is_valid and bool(errors)
        if not judged_otherwise(validator, case, errors):
            continue
        shown += 1
        if shown <= 20:
            verdict = "only the schema accepts" if is_valid else "only the parser accepts"
            why = errors[0] if errors else next(validator.iter_errors(case)).message
            print(f"seed {seed}, c{number}: {verdict} {json.dumps(case)}: {why[:300]}", file=sys.stderr)
    print(len(cases), accepted, refused)
    sys.exit(shown > 0)


if __name__ == "__main__":
    main()
