# SPDX-License-Identifier: Apache-2.0
"""Compares `taskdep next` with cronsim (PyPI), an independent implementation of Debian's cron.

    compare.py TASKDEP COUNT SEED     prints what differs; exit 1 if anything does

Instants are taken near changes of the clocks half of the time. Three answers of cronsim are not
asked for: an instant that is not after the one given (while clocks are set back); a midnight that
does not exist, of an expression that follows the clocks; and all of Australia/Lord_Howe, where it
steps over half hours, and of America/St_Johns, whose clocks were changed at 00:01, where it may go on
for ever. Then the offset of every zone of tzdata at some instant, against Python's.
"""
import concurrent.futures
import datetime
import random
import subprocess
import sys
import zoneinfo

from cronsim import CronSim

UTC = datetime.timezone.utc
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata", "Australia/Sydney",
         "Pacific/Auckland", "Asia/Tehran", "Africa/Casablanca", "Asia/Kathmandu",
         "Africa/Cairo", "Pacific/Apia"]
RANGES = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]
NAMES = {3: "jan feb mar apr may jun jul aug sep oct nov dec".split(), 4: "sun mon tue wed thu fri sat".split()}
TIMES = 4


def field(dice, which):
    low, high = RANGES[which]

    def number():
        return dice.randint(low, high)
    kind = dice.random()
    if kind < 0.35:
        return "*"
    if kind < 0.45:
        return "*/%d" % dice.randint(1, high)
    if kind < 0.55:
        first, last = sorted((number(), number()))
        return "%d-%d" % (first, last)
    if kind < 0.62:
        first, last = sorted(dice.sample(range(low, high + 1), 2))  # cronsim takes N-N/S for N/S
        return "%d-%d/%d" % (first, last, dice.randint(1, high))
    if kind < 0.72:
        return ",".join(str(number()) for _ in range(dice.randint(2, 4)))
    if which in NAMES and kind < 0.8:
        return dice.choice(NAMES[which])
    return str(number())


def instant(dice, zone):
    second = dice.randint(946684800, 2051222400)  # 2000 to 2035
    if dice.random() < 0.5:  # within two days before a change of the clocks
        at = datetime.datetime.fromtimestamp(second, UTC)
        for _ in range(400):
            after = at + datetime.timedelta(days=1)
            if after.astimezone(zone).utcoffset() != at.astimezone(zone).utcoffset():
                return int(at.timestamp()) - dice.randint(0, 86400)
            at = after
    return second


def expected(expression, second, zone):
    at = datetime.datetime.fromtimestamp(second, zone)
    found = []
    cron = CronSim(expression, at)
    follows = any(word.startswith("*") for word in expression.split()[:2])
    for due in cron:
        moment = int(due.timestamp())
        shown = datetime.datetime.fromtimestamp(moment, zone)
        if follows and not (shown.hour in cron.hours and shown.minute in cron.minutes):
            continue
        if moment > (found[-1] if found else second):
            found.append(moment)
        if len(found) == TIMES:
            break
    return found


def got(taskdep, expression, second, name):
    start = datetime.datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    run = subprocess.run([taskdep, "next", "-n", str(TIMES), "--from", start, "--tz", name, "--", expression],
                         capture_output=True, text=True, timeout=30)
    if run.returncode not in (0, 1):
        return run.stderr
    return [int(datetime.datetime.fromisoformat(line.replace("Z", "+00:00")).timestamp())
            for line in run.stdout.split()]


def case(taskdep, seed):
    dice = random.Random(seed)
    name = dice.choice(ZONES)
    zone = zoneinfo.ZoneInfo(name)
    expression = " ".join(field(dice, which) for which in range(5))
    second = instant(dice, zone)
    try:
        want = expected(expression, second, zone)
    except Exception as error:  # it refuses days that never come
        want = [] if "Bad day" in str(error) else str(error)
    have = got(taskdep, expression, second, name)
    # It gives up after 50 years.
    if have == want or (isinstance(have, list) and have[:len(want)] == want and len(want) < TIMES
                        and (not have[len(want):] or have[len(want)] - second > 49 * 31556952)):
        return None

    def shown(times):
        return " ".join(datetime.datetime.fromtimestamp(t, zone).isoformat() for t in times) \
            if isinstance(times, list) else times
    return "seed %s: '%s' in %s after %s: got %s; want %s" % (
        seed, expression, name, shown([second]), shown(have), shown(want))


def zone_case(taskdep, name):
    dice = random.Random(name)
    second = dice.randrange(0, 4102444800, 60)  # 1970 to 2100
    want = datetime.datetime.fromtimestamp(second, zoneinfo.ZoneInfo(name))
    start = datetime.datetime.fromtimestamp(second - 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    line = subprocess.run([taskdep, "next", "-n", "1", "--from", start, "--tz", name, "--", "* * * * *"],
                          capture_output=True, text=True, timeout=30).stdout.strip()
    shown = want.isoformat().replace("+00:00", "Z")
    # RFC 3339 has no seconds in an offset, and such a clock shows no whole minute.
    if want.utcoffset().total_seconds() % 60:
        return None
    return None if line == shown else "%s: got %s; want %s" % (name, line, shown)


def main():
    taskdep, count, seed = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        results = pool.map(case, [taskdep] * count, ["%s.%d" % (seed, n) for n in range(count)], chunksize=50)
        different = [result for result in results if result]
        zones = [name for name in sorted(zoneinfo.available_timezones()) if name != "localtime"]
        different += [result for result in pool.map(zone_case, [taskdep] * len(zones), zones) if result]
    print("\n".join(different[:20]))
    print("%d of %d times and %d zones differ" % (len(different), count, len(zones)))
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
