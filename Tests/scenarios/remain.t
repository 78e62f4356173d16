#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: RemainAfterExit=: a task that has succeeded does not run again within that span for whoever depends on it; one
# flight at a time, with its result, whatever becomes of taskd; a failure, an edit or time make it run.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog

SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
mkdir -m 0755 "$TMP/gate"
journal() { cat "$SPOOL"/journal/*.sealed "$SPOOL"/journal/*.open 2>/dev/null || true; }
starts() { journal | grep -acE " start [^ ]+ .*name=$1( |\$)" || true; }
unit() { # unit NAME SCRIPT [LINE…]
    printf '%s\n' "${@:3}" '[Jail]' "BindReadOnlyPaths=$TMP/gate" '[Command]' 'command=sh' '[Args]' "args=\"-c '$2'\"" \
        >"$SPOOL/units/$1.task"
}
dependent() { unit "$1" "cat \$TASK_INPUTS/base" '[Dependencies]' 'Requires=base.task'; }
base() { unit base "$1" '[Service]' "RemainAfterExit=$2"; }

start_taskd "$SPOOL" --slots=3

base "until [ -e $TMP/gate/open ]; do sleep 0.02; done; echo layer >\$TASK_RESULT" 1h
runs=()
for name in a b c d e; do
    dependent "$name"
    runs+=("$(task submit "$SPOOL/units/$name.task")")
done
flies() { [ "$(starts base)" = 1 ]; }
ok "of five that need it one runs it" wait_until 30 flies
printf '[Jail]\nJail=yes\n[Command]\ncommand=true\n' >"$TMP/free.task"
exits "the others hold no slot" 0 timeout 30 task submit --wait "$TMP/free.task"
: >"$TMP/gate/open"
exits "all end well" 0 timeout 60 task wait "${runs[@]}"
is "it ran once" "$(starts base)" 1
is "each had its result" "$(for run in "${runs[@]}"; do task logs "$run"; done | sort | uniq -c | xargs)" "5 layer"
like "who was spared names who ran" "$(journal | grep -aE ' end .* of=[^ ]+')" 'state=success of=[0-9a-z]+\.0 .*final=yes'
exits "by itself it is spared, too" 0 timeout 30 task submit --wait "$SPOOL/units/base.task"
is "so it did not run" "$(starts base)" 1
like "task status says so" "$(task status base)" 'success'

# ---- whatever is killed

stop_taskd KILL
start_taskd "$SPOOL" --slots=3
later=$(task submit "$SPOOL/units/a.task")
exits "after kill -9 it counts" 0 timeout 30 task wait "$later"
stop_taskd # writes a checkpoint
start_taskd "$SPOOL" --slots=3
later=$(task submit "$SPOOL/units/b.task")
exits "and after a checkpoint" 0 timeout 30 task wait "$later"
is "it ran once still" "$(starts base)" 1
is "with its result" "$(task logs "$later")" layer

stop_taskd
rm "$SPOOL"/log/*
start_taskd "$SPOOL" --slots=3
later=$(task submit "$SPOOL/units/c.task")
exits "without its log" 0 timeout 30 task wait "$later"
is "it runs again" "$(starts base)" 2

# ---- what makes it run

base "echo other >\$TASK_RESULT" 1h
later=$(task submit "$SPOOL/units/a.task")
exits "an edited one" 0 timeout 30 task wait "$later"
is "runs" "$(starts base) $(task logs "$later")" "3 other"

unit fails '[ -e '"$TMP"'/gate/well ]' '[Service]' 'RemainAfterExit=infinity'
exits "a failure" 1 timeout 30 task submit --wait "$SPOOL/units/fails.task"
: >"$TMP/gate/well"
exits "does not count" 0 timeout 30 task submit --wait "$SPOOL/units/fails.task"
exits "the success after it does" 0 timeout 30 task submit --wait "$SPOOL/units/fails.task"
is "it ran twice" "$(starts fails)" 2

unit short true '[Service]' 'RemainAfterExit=1s'
again() { task submit --wait "$SPOOL/units/short.task" >/dev/null && [ "$(starts short)" -ge 2 ]; }
ok "when its time is over it runs again" wait_until 30 again

# ---- a chain of them, of which none runs

previous=
for i in $(seq 300); do
    printf '%s\n' '[Dependencies]' ${previous:+Requires=$previous.task} '[Service]' 'RemainAfterExit=1h' '[Jail]' 'Jail=yes' \
        '[Command]' 'command=true' >"$SPOOL/units/link$i.task"
    previous=link$i
done
exits "a chain of 300" 0 timeout 120 task submit --wait "$SPOOL/units/link300.task"
exits "once more" 0 timeout 60 task submit --wait "$SPOOL/units/link300.task"
is "each ran once" "$(starts 'link[0-9]+')" 300

unit bad true '[Service]' 'RemainAfterExit=1h' 'Semaphore=x'
exits "not beside Semaphore=" 2 taskdep lint "$SPOOL/units/bad.task"
like "it says so" "$(cat "$TMP/err")" 'bad.task:2:.*RemainAfterExit= beside Semaphore= in \[Service\]'

stop_taskd
ok "nothing is left to do" task fsck
done_testing
