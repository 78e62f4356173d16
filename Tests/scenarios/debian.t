#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: the packages of this machine, as Examples/debian-packages writes them, are a plan: circles are named with
# where each edge was written, and without them all run, each after what it requires, at once what may.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun taskdep tasklog awk
STATUS=/var/lib/dpkg/status
[ -r "$STATUS" ] || skip_all "there is no $STATUS"
units=$ROOT/Examples/debian-packages/dpkg-units

# ---- what is known of one

cat >"$TMP/status" <<'END'
Package: a
Status: install ok installed
Depends: b (>= 1), c | d, x++ | e, nothing-of-the-kind
Pre-Depends: virtual:any

Package: b
Status: install ok installed
Depends: e,
 x++

Package: gone
Status: deinstall ok config-files
Depends: a

Package: d
Status: hold ok installed
Provides: other (= 2), virtual

Package: e
Status: install ok installed
Depends: x++ (= 1), e

Package: x++
Status: install ok installed
Depends: b, d
END
edges() { (cd "$1" && grep -oE '^Requires=[^ ]+' ./[a-z]*.task | sed 's,^\./,,; s/\.task//g; s/:Requires=/>/' | grep -v '^all>' | sort | paste -sd' '); }
"$units" "$TMP/few" "$TMP/status"
is "each requires what it depends on and is there" "$(edges "$TMP/few")" "a>b a>d a>x__ b>e b>x__ e>x__ x__>b x__>d"
exits "with a circle there is no plan" 2 taskdep plan "$TMP/few/all.task"
like "its edges are named with file and line" "$(cat "$TMP/err")" \
    'a cycle of [23]: .*(Requires=b.task at [^ ]*/x__.task:2|Requires=x__.task at [^ ]*/[be].task:[23])'
is "-b says what it leaves out" "$("$units" -b "$TMP/few" "$TMP/status")" "x++ without b"
exits "and there is one" 0 taskdep order "$TMP/few/all.task"
is "level by level" "$(paste -sd'|' "$TMP/out")" "d|x__|e|b|a|all"

# ---- all of this machine

"$units" "$TMP/raw"
left_out=$("$units" -b "$TMP/units" | wc -l)
status=0
taskdep order "$TMP/raw/all.task" >"$TMP/out" 2>"$TMP/err" || status=$?
if [ "$left_out" -gt 0 ]; then
    is "taskdep names circles of Debian's" "$status" 2
    is "each with where its edges were written" "$(grep -vcE '^[^ ]+\.task:[0-9]+:[0-9]+: a cycle of [0-9]+: .*\(Requires=[^ ]+ at [^ ]+\.task:[0-9]+\)' "$TMP/err")" 0
else
    is "this machine's packages have none" "$status" 0
fi
count=$(find "$TMP/units" -name '*.task' | wc -l)
exits "without them there is an order" 0 taskdep order "$TMP/units/all.task"
is "of all packages" "$(wc -w <"$TMP/out")" "$count"

SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
start_taskd "$SPOOL"
run=$(task submit "$TMP/units/all.task")
exits "all run" 0 timeout 300 task wait "$run"
taskdep plan "$TMP/units/all.task" >"$TMP/plan"
{ cat "$SPOOL"/journal/*.sealed "$SPOOL"/journal/*.open 2>/dev/null || true; } | grep -aE " (start|end) $run\.[0-9]+ " |
    awk '{ print $5, substr($6, 28), NR }' >"$TMP/events"
is "each once" "$(awk '$1 == "start" { n++ } END { print n + 1 }' "$TMP/events")" "$count"
is "each after what it requires" "$(awk '
    FNR == NR { at[$1, $2] = $3; next }
    $1 == "edge" { edges++ }
    $1 == "edge" && (!(("end", $2) in at) || ("start", $3) in at && at["end", $2] > at["start", $3])
    END { if (!edges) print "no edges" }' "$TMP/events" "$TMP/plan")" ""
stop_taskd
done_testing
