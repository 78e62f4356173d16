#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: some seconds of contrib/soak, as whoever runs this and as an ordinary user, keep every one of
# its rules; and a loss, a double and a leak are seen, or its silence would mean nothing.
# TASKSPOOL_SOAK sets how many minutes (0.1).
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog python3

MINUTES=${TASKSPOOL_SOAK:-0.1}
mkdir -p "$TMP/tree/contrib" "$TMP/work" && chmod 1777 "$TMP/work"
cp -R "$ROOT/contrib"/{soak,soaking,setup.sh} "$TMP/tree/contrib/" # where that user can read it
chmod -R a+rX "$TMP/tree"
SOAK=$TMP/tree/contrib/soak
export TASKSPOOL_BIN=$BIN

soak() { timeout -k 10 150 "$@" "$SOAK" --minutes="$MINUTES" --rate=25 --dir="$TMP/work" --seed=$$ --keep >"$TMP/soak.out" 2>&1; }
one() { # one NAME COMMAND…: a soak with that command before it
    local name=$1 status=0
    shift
    soak "$@" || status=$?
    is "$name: no rule is broken" "$status: $(grep '^broken' "$TMP/soak.out" || true)" "0: "
    ok "$name: and each was asked" test "$(grep -c '^holds' "$TMP/soak.out")" -ge 21
    [ $status -eq 0 ] || { head -n 12 "$TMP/soak.out" && tail -n 5 "$TMP/soak.out"; } | diag
    like "$name: it says what it did" "$(tail -n 2 "$TMP/soak.out")" \
        'soak: [0-9]+ tasks in [0-9]+ runs, [0-9]+ rejected, .* every rule holds'
}
one "here" env
DIR=$(sed -n 's/^kept: //p' "$TMP/soak.out")
if is_root; then one "an ordinary user" "${AS_USER[@]}"; else skip "another user" "not root"; fi

# ---- the rules see what they are for

judge() { # judge PYTHON: on what the first soak left, changed by it
    timeout 60 python3 -B - "$TMP/tree/contrib/soaking" "$DIR" "$BIN" 2>&1 <<END
import sys
sys.path.insert(0, sys.argv[1])
import figures, oracle
class Daemons: recoveries = []
class Soak:
    spool, work, binaries = sys.argv[2] + "/spool", sys.argv[2], sys.argv[3]
    seconds = 60
    acknowledged, dropped, moved, samples, daemons = {}, {}, {}, [], Daemons
soak, verdict, journal = Soak(), oracle.Verdict(), oracle.Journal(Soak.spool)
runs = sorted(i for i in journal.accepts if journal.generation.get(i, 0) == 0)
run = runs[len(runs) // 2]
$1
oracle.judge_results(verdict, soak, journal, True)
END
}
is "as it was, nothing is broken" "$(judge '' | grep -c broken)" 0
like "an end that is missing" "$(judge 'del journal.run_ends[run, 0]')" 'broken every run has an end'
like "a task's end that is missing" "$(judge 'del journal.task_ends[run + ".0", 0]')" 'broken every task has an end'
like "a second end" "$(judge 'journal.task_ends[run + ".0", 0] *= 2')" 'broken no task has two'
like "an acknowledged run that is gone" "$(judge 'soak.acknowledged["0" * 26] = "plain"')" 'broken every id'
like "a drop that is gone" "$(judge 'soak.dropped["x.task"] = "plain"')" 'broken every drop'
like "a drop that was taken twice" "$(judge 'journal.accepts["0" * 26] = journal.accepts[run]
journal.tasks["0" * 26] = 0
journal.run_ends["0" * 26, 0] = ["success"]
soak.dropped[journal.accepts[run]] = "plain"')" 'broken no drop is taken twice'
like "another end than the kind's" "$(judge 'soak.acknowledged[run] = "plain"
journal.run_ends[run, 0] = ["failure"]')" 'broken each ends as its kind must'
LEAK='soak.samples = [dict(at=t, disturbed=True, load=1, journal=0, segments=0, parked=0, **{"taskd.anon": 6000 + SLOPE * t}) for t in range(60)]
figures.judge(verdict, soak)'
like "a leak" "$(judge "${LEAK/SLOPE/50}")" 'broken descriptors, threads, memory'
unlike "no leak" "$(judge "${LEAK/SLOPE/20}")" 'broken descriptors'
unlike "nor what a kill piles up for some seconds" "$(judge 'soak.seconds = 800
soak.samples = [dict(at=t, disturbed=True, load=1, journal=0, segments=0, parked=0, live=300 if t in range(700, 705) or t in range(790, 795) else 10 + t % 7)
    for t in range(800)]
figures.judge(verdict, soak)')" 'broken descriptors'
done_testing
