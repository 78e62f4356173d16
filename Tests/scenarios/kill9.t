#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: kill -9 of taskd, and of taskrun, in the middle of many tasks loses nothing: each ends with
# one visible result, what was acknowledged is there, and taskd's death interrupts no running task.
# TASKSPOOL_KILL sets how many tasks (2,000).
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun

N=${TASKSPOOL_KILL:-2000}
SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
start_taskd "$SPOOL"

empty() { [ -z "$(find "$SPOOL"/{incoming,tmp,ready,active,deferred} -mindepth 1 -not -name '.*' -print -quit)" ]; }
journal() { find "$SPOOL/journal" -type f -not -name '*.sqlite*' -exec cat {} + | tr -d '\0'; }
finals() { journal | awk '$5 == "end" && $6 ~ /[.]/ && / final=yes/ { print $6 }' | sort; }
ended_at_least() { [ "$(finals | wc -l)" -ge "$1" ]; }
started() { journal | grep -q " start $1"; }

unit() { printf '[Command]\ncommand="sleep"\n[Args]\nargs="%s"\n' "$1"; }
mkdir "$TMP/drops"
for ((i = 0; i < N; i++)); do unit 0.02 >"$TMP/drops/t$i.task"; done
submitted() { # one acknowledged id a line
    find "$TMP/drops" -name '*.task' -print0 | sort -z | xargs -0 "$BIN/task" submit
}

# ---- taskd alone dies: what runs goes on

unit 4 >"$TMP/long.task"
long=$("$BIN/task" submit "$TMP/long.task")
ok "a long task runs" wait_until 20 started "$long"
stop_taskd KILL
start_taskd "$SPOOL"
exits "FAULT 16: it succeeds" 0 task wait --timeout=30s "$long"
is "FAULT 16: it was started once" "$(journal | awk -v id="$long" '$5 == "start" && index($6, id) == 1' | wc -l)" 1
is "FAULT 16: nothing was lost" "$(journal | awk '$5 == "lost"' | wc -l)" 0

# ---- taskd in the middle of many

submitted >"$TMP/ids"
is "$N ids were acknowledged" "$(sort -u "$TMP/ids" | wc -l)" "$N"
ok "some end" wait_until 60 ended_at_least $((N / 8))
for part in 4 2; do
    stop_taskd KILL
    start_taskd "$SPOOL"
    ok "1/$part ends after taskd was killed" wait_until 120 ended_at_least $((N / part))
done

# ---- taskrun in the middle of many

pool=$(pool_pid "$SPOOL" || true)
like "the pool has a pid" "$pool" '^[0-9]+$'
[ -z "$pool" ] || kill -s KILL "$pool"
ok "FAULT 16: all end after taskrun was killed" wait_until 200 empty

sed 's/$/.0/' "$TMP/ids" | sort >"$TMP/tasks"
finals | grep -v "^$long" >"$TMP/finals"
is "each ended" "$(sort -u "$TMP/finals" | comm -23 "$TMP/tasks" - | wc -l)" 0
is "FAULT 16: each ended once" "$(grep '\.0$' "$TMP/finals" | uniq -d | head -n 3)" ""
is "all succeeded" "$(journal | awk '$5 == "end" && / final=yes/ && !/ state=success/' | head -n 3)" ""
is "nothing is left in failed, hold or rejected" "$(find "$SPOOL"/{failed,hold,rejected} -type f)" ""
done_testing
