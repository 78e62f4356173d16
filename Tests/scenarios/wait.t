#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: `task wait`, `task submit --wait` and `task run` return how a task ended, the same for the
# same end, and of several the first in argument order that did not succeed.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog

SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
cd "$TMP/home"
unit() { # unit NAME LINES…
    local name=$1
    shift
    printf '%s\n' "$@" >"$name.task"
}
shell() { printf '[Command]\ncommand=sh\n[Args]\nargs="-c '"'%s'"'"\n' "$1"; }
# shellcheck disable=SC2016
{
    unit well '[Command]' 'command=true'
    unit exit9 "$(shell 'exit 9')"
    unit exit255 "$(shell 'exit 255')"
    unit signal "$(shell 'kill -KILL $$')"
    unit timeout '[Service]' 'MaxTime=200ms' '[Command]' 'command="sleep 20"'
    unit oom '[Service]' 'LimitMem=48M' '[Command]' 'command=python3' '[Args]' \
        'args="-c '"'x=bytearray(300<<20); print(len(x))'"'"'
    unit disk '[Service]' 'LimitDisk=4M' "$(shell 'head -c 20000000 /dev/zero >$TASK_SCRATCH/big')"
    unit missing '[Command]' 'command=no-such-program'
    unit jail '[Service]' 'WorkingDirectory=/nonexistent/place' '[Command]' 'command=true'
    unit check '[Checks]' 'ready="sh -c '"'exit 4'"'"' '[Command]' 'command=true'
    unit dependency '[Dependencies]' 'Requires=exit9.task' '[Command]' 'command=true'
    unit handled '[Dependencies]' 'OnFailure=well.task' "$(shell 'exit 3')"
    unit unhandled '[Dependencies]' 'OnFailure=exit9.task' '[Command]' 'command=true'
    unit wanted '[Dependencies]' 'Wants=exit9.task' '[Command]' 'command=true'
    unit retried '[Service]' 'Restart=2' 'RestartSec=10ms' "$(shell 'exit $TASK_ATTEMPT')"
    unit long '[Command]' 'command="sleep 60"'
}

start_taskd "$SPOOL"

ends=(well=0 exit9=9 exit255=255 signal=137 timeout=124 disk=1 missing=127 jail=200 check=4
    dependency=1 handled=3 unhandled=0 wanted=0 retried=3)
if is_root; then ends+=(oom=137); else skip "oom" "an ordinary user has no cgroup here"; fi
for end in "${ends[@]}"; do
    name=${end%=*}
    id=$(task submit "$name.task")
    exits "$name: wait" "${end#*=}" timeout 40 task wait "$id"
    is "$name: wait says nothing" "$(cat "$TMP/out" "$TMP/err")" ""
    exits "$name: wait again, by name" "${end#*=}" timeout 40 task wait "$name"
    exits "$name: submit --wait" "${end#*=}" timeout 40 task submit --wait "$name.task"
    like "$name: which prints the id" "$(cat "$TMP/out")" '^[0-9a-z]{26}$'
    exits "$name: run" "${end#*=}" timeout 40 task run "$name.task"
    TASK_SPOOL=$TMP/alone exits "$name: run without a daemon" "${end#*=}" timeout 40 task run "$name.task"
done

# ---- several

ids=$(task submit well.task exit9.task check.task)
mapfile -t ids <<<"$ids"
exits "the first that failed" 9 timeout 20 task wait "${ids[@]}"
exits "in argument order" 4 timeout 20 task wait "${ids[2]}" "${ids[1]}" "${ids[0]}"
exits "one task of a run" 0 timeout 20 task wait "${ids[0]}.0"
exits "as JSON" 9 timeout 20 task wait -o json "${ids[0]}" "${ids[1]}"
like "with a row each" "$(cat "$TMP/out")" '"name":"well".*"status":0.*"name":"exit9".*"exit":9.*"status":9'
run=$(printf '[Command]\ncommand=true\n---\n[Command]\ncommand=false\n' | task submit -)
mapfile -t ids <<<"$run"
exits "a unit of a stream, well" 0 timeout 20 task wait "${ids[0]}"
exits "a unit of a stream, not" 1 timeout 20 task wait "${ids[1]}"

# ---- no end

exits "what there is not" 3 task wait nothing
like "is named" "$(cat "$TMP/err")" '^task: error: .*nothing'
long=$(task submit long.task)
running() { [ "$(tasklog list long -o jsonl --state=running | wc -l)" -eq 1 ]; }
ok "a long task runs" wait_until 10 running
exits "the time is over" 124 timeout 20 task wait --timeout=200ms "$long"
like "which is said" "$(cat "$TMP/err")" "^task: error: unable to wait for $long: .*200ms.*go on"
ok "the task goes on" running
exits "a span that is none" 2 task wait --timeout=soon "$long"

set -m
task wait "$long" >"$TMP/out" 2>"$TMP/err" &
client=$!
set +m
TEST_PIDS+=("$client")
waits() { grep -qs inotify "/proc/$client/fdinfo/"* 2>/dev/null; }
ok "a client waits" wait_until 5 waits
kill -INT "$client"
status=0
wait "$client" || status=$?
is "Ctrl-C ends it" "$status" 130
ok "and not the task" running

task hold "$long"
exits "parked" 75 timeout 20 task wait "$long"
timeout 20 task run long.task >"$TMP/out" 2>"$TMP/err" &
client=$!
TEST_PIDS+=("$client")
ok "another runs" wait_until 10 running
task hold long
status=0
wait "$client" || status=$?
is "parked under a client" "$status" 75
like "which says so" "$(cat "$TMP/err")" 'is parked in hold/: task release'
task cancel "$long"
exits "cancelled" 130 timeout 20 task wait "$long"
exits "cancelled, and others" 130 timeout 20 task wait well "$long" exit9

# A client that was there before the end hears of it.
long=$(task submit long.task)
timeout 20 task wait "$long" &
client=$!
TEST_PIDS+=("$client")
ok "it runs again" wait_until 10 running
task cancel "$long"
status=0
wait "$client" || status=$?
is "cancelled while it waits" "$status" 130

# ---- before taskd has it

stop_taskd
id=$(task submit exit9.task)
timeout 20 task wait "$id" &
client=$!
TEST_PIDS+=("$client")
printf '[Command\ncommand=true\n' >"$SPOOL/incoming/bad.task"
start_taskd "$SPOOL"
status=0
wait "$client" || status=$?
is "submitted before the daemon came" "$status" 9
gone_in() { [ ! -e "$SPOOL/incoming/bad.task" ]; }
ok "bad input is taken" wait_until 10 gone_in
exits "rejected" 2 timeout 20 task wait bad

# A run that ends in the moment between two looks is found all the same.
for ((i = 0; i < 20; i++)); do
    task submit --wait well.task >/dev/null || break
done
is "twenty that end at once" "$i" 20
done_testing
