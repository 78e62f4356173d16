#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: `task graph RUN` draws a run with the states of its tasks, while it runs, parked and failed, as text, for
# graphviz and as a picture, also of 100,000 tasks; a file is drawn as taskdep does.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun taskdep tasklog python3 awk

SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
mkdir -m 0755 "$TMP/gate"
unit() { # unit NAME [REQUIRES…]: succeeds once gate/NAME is there
    local name=$1
    shift
    printf '%s\n' '[Dependencies]' ${1:+"Requires=$*"} '[Jail]' "BindReadOnlyPaths=$TMP/gate" '[Command]' \
        'command=sh' '[Args]' "args=\"-c 'until [ -e $TMP/gate/$name ]; do sleep 0.02; done; exec cat $TMP/gate/$name'\"" \
        >"$SPOOL/units/$name.task"
}
drawn() { task graph "$1" | grep -v '^ ' | sort | paste -sd' '; }
is_drawn() { [ "$(drawn "$1")" = "$2" ]; }

start_taskd "$SPOOL"
unit one
unit two one
unit other
unit end two other
: >"$TMP/gate/one"
run=$(task submit "$SPOOL/units/end.task")
ok "what has ended, runs and waits is told" wait_until 30 is_drawn "$run" \
    "end pending one success other running two running"
is "with what each waits for" "$(task graph end | tr -s ' \n' ' ')" \
    "other running one success two running after success of one end pending after success of other after success of two "
task graph --format=dot "$run" >"$TMP/dot"
like "for graphviz" "$(cat "$TMP/dot")" '"two" \[style="filled", fillcolor="[^"]+", label="two\\nrunning"\];.*"one" -> "two";'
task graph --format=svg "$run" >"$TMP/svg"
ok "as a picture" python3 -c "import sys, xml.dom.minidom as d; d.parse(sys.argv[1])" "$TMP/svg"
is "with a state in each box" "$(grep -oE '>[a-z]+</tspan>' "$TMP/svg" | sort | paste -sd' ')" \
    ">pending</tspan> >running</tspan> >running</tspan> >success</tspan>"
exits "one task has no graph" 2 task graph "$run.0"
like "it says what has" "$(cat "$TMP/err")" "a graph is a run's"

task hold "$run" >/dev/null
ok "a parked run" wait_until 30 is_drawn "$run" "end pending one success other pending two pending"
task release "$run" >/dev/null
: >"$TMP/gate/two"
sed -i 's/exec cat/exec test -s/' "$SPOOL/units/other.task"
task cancel "$run" >/dev/null
exits "a cancelled one" 130 timeout 30 task wait "$run"
like "is drawn as it lies in failed/" "$(drawn "$run")" '^end cancelled other cancelled( two cancelled)?$'
: >"$TMP/gate/other"
: >"$TMP/gate/end"
fails=$(task submit "$SPOOL/units/end.task")
exits "a failed one" 1 timeout 30 task wait "$fails"
ok "has what did not succeed" wait_until 20 is_drawn "$fails" "end failure other failure"
echo >"$TMP/gate/other"
task retry "$fails" >/dev/null
exits "one that succeeded" 0 timeout 30 task wait "$fails"
gone_from() { ! ls "$SPOOL"/*/"$1"* 2>/dev/null; }
wait_until 20 gone_from "$fails"
exits "has no plan any more" 1 task graph "$fails"
like "it says so" "$(cat "$TMP/err")" 'it ended, success, and its plan is gone'
exits "one that never was" 3 task graph nobody

is "a file is drawn as by taskdep" "$(task graph --format=dot "$SPOOL/units/end.task")" "$(taskdep graph --format=dot "$SPOOL/units/end.task")"

# ---- 100,000 tasks in a chain, of which the first waits

awk 'BEGIN { print "taskplan 1"; print "task 0 t0 command=sleep arg=1000"
    for (i = 1; i < 100000; i++) print "task " i " t" i
    for (i = 1; i < 100000; i++) print "edge " i - 1 " " i " ok" }' >"$TMP/plan"
echo "digest $(sha256sum <"$TMP/plan" | cut -d' ' -f1)" >>"$TMP/plan"
chain=$(task submit "$TMP/plan")
first() { [ "$(task graph "$chain" | head -n 1)" = "t0 running" ]; }
ok "a chain of 100,000 is drawn while it runs" wait_until 60 first
for format in text dot svg; do
    exits "$format" 0 timeout 60 task graph --format=$format "$chain"
    is "$format: all of it" "$(grep -cE '(^t[0-9]+ pending$|label="t[0-9]+.npending"|>t[0-9]+ <tspan [^>]*>pending<)' "$TMP/out")" 99999
done
task cancel "$chain" >/dev/null
exits "it ends" 130 timeout 180 task wait "$chain"
stop_taskd
done_testing
