#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: task.conf is read at the start and at SIGHUP; what is wrong is said with its place, keeps taskd from starting, and changes
# nothing at SIGHUP; `task config` shows each setting and where it is from.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog
# shellcheck source=Tests/scenarios/faults/common.sh
. "$ROOT/Tests/scenarios/faults/common.sh"
[ ! -e /etc/task/task.conf ] || skip_all "this machine has a task.conf"

export XDG_CONFIG_HOME=$TMP/config
mkdir -p "$XDG_CONFIG_HOME/task/task.conf.d"
CONF=$XDG_CONFIG_HOME/task/task.conf

# ---- task config

exits "without files" 0 task config -n
is "nothing differs" "$(cat "$TMP/out")" ""
is "all are shown" "$(task config -o csv --no-headers | cut -d, -f 1-5)" "Node,Slots,auto,auto,default
Retention,JournalMax,10%,10%,default
Retention,LogMax,20%,20%,default
Retention,FailedMax,10000,10000,default
Retention,RejectedMax,1000,1000,default
Ledger,URL,none,none,default"
printf '[Node]\nSlots=3 # few\n[Retention]\nFailedMax=10000\n' >"$CONF"
printf '[Retention]\nLogMax=2048M\n' >"$XDG_CONFIG_HOME/task/task.conf.d/site.conf"
is "what differs, and its place" "$(task config -n -o csv --no-headers | cut -d, -f 1-5)" "Node,Slots,3,auto,$CONF:2
Retention,LogMax,2G,20%,$XDG_CONFIG_HOME/task/task.conf.d/site.conf:2"
like "as JSON" "$(task config -n --json | tr -d "\n")" '^\{"schema":"task/1","items":\[\{"section":"Node","name":"Slots","value":"3","default":"auto","origin":"'
like "for people" "$(task config)" 'SECTION +NAME +VALUE +DEFAULT +ORIGIN'

# ---- taskd: the start, the pool's slots, SIGHUP

fresh config
unit parked "sleep 1000"
start_taskd "$SPOOL"
submit "$TMP/parked.task" >/dev/null
started() { events | awk '$5 == "start"' | wc -l; }
three() { [ "$(started)" -eq 3 ]; }
submit "$TMP/parked.task" "$TMP/parked.task" "$TMP/parked.task" "$TMP/parked.task" >/dev/null
ok "three run at once" wait_until 20 three
pool_has() { tr '\0' ' ' <"/proc/$(pool_pid "$SPOOL")/cmdline" | grep -q -- "--slots=$1 "; }
ok "the pool was told" pool_has 3

printf '[Node]\nSlots=many\n[Retention]\nJornalMax=1G\n' >"$CONF"
kill -s HUP "$TASKD"
ok "at SIGHUP an error is said with its place" wait_until 10 said "$CONF:2:7: Slots=: many is not understood: a whole number from 1 to 4096, or auto"
ok "and all others" wait_until 10 said "$CONF:4:1: unknown key JornalMax= in \[Retention\]: write JournalMax="
ok "what counted before still counts" wait_until 10 said 'unable to use the configuration: it is wrong, that of before still counts'
exits "task config says the same" 2 task config
is "to the letter" "$(cat "$TMP/err")" "task: error: $CONF:2:7: Slots=: many is not understood: a whole number from 1 to 4096, or auto
task: error: $CONF:4:1: unknown key JornalMax= in [Retention]: write JournalMax="
is "three run, and no more" "$(started)" 3
stop_taskd
exits "no taskd starts with it" 78 "$BIN/taskd" --spool="$SPOOL"
like "and says all that is wrong" "$(cat "$TMP/err")" "Slots=: many .*JornalMax= in .*taskd does not start: see task.conf\(5\)"

printf '[Node]\nSlots=2\n' >"$CONF"
start_taskd "$SPOOL"
printf '[Node]\nSlots=4\n' >"$CONF"
kill -s HUP "$TASKD"
ok "it is read again" wait_until 10 said 'notice: the configuration was read again'
pool=$(pool_pid "$SPOOL")
kill "$pool"
wait_until 10 gone "$pool"
four() { pool_has 4; }
ok "the next pool has what it says now" wait_until 20 four
stop_taskd
pool=$(pool_pid "$SPOOL")
kill "$pool"
wait_until 10 gone "$pool"
start_taskd "$SPOOL" --slots=1
one() { pool_has 1; }
ok "the command line goes first" wait_until 20 one

chmod 666 "$CONF"
kill -s HUP "$TASKD"
ok "a file that others may write is not used" wait_until 10 said "$CONF:1:1: others may write it: "
done_testing
