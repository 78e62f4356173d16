# SPDX-License-Identifier: Apache-2.0
"""Descriptors, memory, threads and inodes over time: flat, by least squares through medians.

A kill makes some of them jump for seconds, a leak raises what they come back to."""

# Series, unit, and how much it may rise over the second half of a part.
SERIES = [
    ("taskd.fd", "", 1), ("taskd.threads", "", 0), ("taskd.rss", " kB", 1024),
    ("taskd.anon", " kB", 1024),
    ("pool.fd", "", 4), ("pool.threads", "", 0), ("pool.rss", " kB", 1024),
    ("pool.anon", " kB", 1024),
    ("live", " files", 20),
]
WINDOWS = 80  # of the whole time; the samples of one are one point, their median
RULE = (f"flat: the line by least squares through medians ({WINDOWS} in all) of the second half rises by no more "
        "than is allowed, or by no more than three standard errors of its slope")


def fit(points):
    """Slope a second and its standard error; zeros where there are too few points."""
    n = len(points)
    if n < 4:
        return 0.0, 0.0
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    square = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / square
    rest = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in points)
    return slope, (rest / (n - 2) / square) ** 0.5


def medians(points, seconds):
    windows = {}
    for x, y in points:
        windows.setdefault(int(x // seconds), []).append((x, y))
    return [(sum(x for x, _ in part) / len(part), sorted(y for _, y in part)[len(part) // 2])
            for _, part in sorted(windows.items())]


def halves(points):
    if not points:
        return [], []
    middle = (points[0][0] + points[-1][0]) / 2
    return [p for p in points if p[0] <= middle], [p for p in points if p[0] > middle]


def mean(points):
    return sum(y for _, y in points) / max(1, len(points))


def judge(verdict, soak):
    print(RULE)
    print("%-10s %-14s %11s %11s %14s %14s %10s %8s" % (
        "part", "what", "mean 1st", "mean 2nd", "slope 1st /min", "slope 2nd /min", "rise", "allowed"))
    steep = []
    for part, disturbed in (("killed", True), ("undisturbed", False)):
        rows = [row for row in soak.samples if row["disturbed"] == disturbed]
        for name, unit, allowed in SERIES:
            points = medians([(row["at"], row[name]) for row in rows if name in row], soak.seconds / WINDOWS)
            first, second = halves(points)
            (early, _), (late, error) = fit(first), fit(second)
            seconds = second[-1][0] - second[0][0] if second else 0
            rise, noise = late * seconds, 3 * error * seconds
            print("%-10.10s %-14s %11.1f %11.1f %14.2f %14.2f %10.1f %8s%s" % (
                part, name, mean(first), mean(second), early * 60, late * 60, rise,
                "%.0f" % max(allowed, noise), unit))
            if rise > max(allowed, noise):
                steep.append("%s, %s: +%.1f%s" % (name, part, rise, unit))
    verdict.rule("descriptors, threads, memory and inodes are flat", steep)
    judge_recovery(verdict, soak)
    first, last = soak.samples[0], soak.samples[-1]
    for name in ("journal", "segments", "parked"):
        print("%s: %d at first, %d at last" % (name, first[name], last[name]))
    loads = sorted(row["load"] for row in soak.samples)
    print("load: median %.1f, most %.1f" % (loads[len(loads) // 2], loads[-1]))


def judge_recovery(verdict, soak):
    """A start-up must not become slower with the history (promise P7)."""
    times = soak.daemons.recoveries
    if len(times) < 8:
        return
    middle = lambda values: sorted(values)[len(values) // 2]
    first, second = halves(times)
    early, late = middle([t for _, t in first]), middle([t for _, t in second])
    print("start to ready: median %.3f s in the first half, %.3f s in the second, longest %.3f s of %d" % (
        early, late, max(t for _, t in times), len(times)))
    verdict.rule("a start does not become slower: median of the second half at most twice the "
                 "first's and 0.1 s", ["%.3f s after %.3f s" % (late, early)]
                 if late > 2 * early + 0.1 else [])
