#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: what a unit says about when it may start is kept, also across a kill -9 of taskd: Semaphore=.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun

export TASK_SPOOL=$TMP/spool
LOG=$TMP/log
: >"$LOG"

# guarded NAME SEMAPHORE: says + when it runs and - when it has run; waits for $TMP/go meanwhile
guarded() {
    printf '%s\n' '[Service]' "Semaphore=$2" '[Jail]' 'Jail=no' '[Command]' 'command="sh"' '[Args]' \
        "args=\"-c 'echo + >>$LOG; until [ -e $TMP/go ]; do sleep 0.02; done; echo - >>$LOG'\"" >"$TMP/$1.task"
    echo "$TMP/$1.task"
}
running() { [ "$(grep -c '^+' "$LOG")" -eq "$1" ]; }
most() { awk '{ n += /[+]/ ? 1 : -1; if (n > most) most = n } END { print most }' "$LOG"; }
printf '[Jail]\nJail=no\n[Command]\ncommand=true\n' >"$TMP/free.task"

start_taskd "$TASK_SPOOL" --slots=4
for i in 1 2 3 4 5; do task submit "$(guarded "db$i" db:2)" >/dev/null; done
ok "two of five that share a semaphore of two run" wait_until 20 running 2
exits "what shares none runs beside them" 0 timeout 30 task submit --wait "$TMP/free.task"
ok "the others wait" running 2
stop_taskd KILL
start_taskd "$TASK_SPOOL" --slots=4
exits "after a kill -9 work goes on" 0 timeout 30 task submit --wait "$TMP/free.task"
ok "who held it holds it" running 2
like "one that waits says what for" "$(task explain "$(task list --no-headers -n 1 db5 | awk '{ print $1 }')" 2>&1)" 'for its Semaphore='
: >"$TMP/go"
done_all() { [ "$(grep -c '^-' "$LOG")" -eq 5 ]; }
ok "all five run in the end" wait_until 30 done_all
is "never more than two at once" "$(most)" 2

# A number of its own: one that wants to be alone waits for both, and nobody is forgotten.
rm "$TMP/go"
: >"$LOG"
task submit "$(guarded two db:2)" "$(guarded alone db:1)" "$(guarded third db:2)" >/dev/null
ok "two of two run" wait_until 20 running 2
: >"$TMP/go"
three() { [ "$(grep -c '^-' "$LOG")" -eq 3 ]; }
ok "the one that wants to be alone, too" wait_until 30 three
stop_taskd
done_testing
