#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: an attempt whose jail is killed from outside, so that nobody hears how its program ended, is lost:
# another follows, which counts for no Restart=, and three in a row park the run; also where taskd is away just
# then, and without one. What taskrun itself ends keeps its reason.
# shellcheck disable=SC2016 source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun

SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
NAP=$((1000000 + $$)) # seconds: who sleeps so long is ours
journal() { cat "$SPOOL"/journal/*.sealed "$SPOOL"/journal/*.open 2>/dev/null | tr -d '\0' || true; }
unit() { # unit NAME N LINE…: its first N attempts sleep, the next succeeds
    local name=$1 sleeping=$2
    shift 2
    printf '%s\n' "$@" '[Command]' 'command=sh' '[Args]' \
        "args=\"-c 'echo \$TASK_ATTEMPT; [ \$TASK_ATTEMPT -gt $sleeping ] || exec sleep $NAP'\"" >"$TMP/$name.task"
    echo "$TMP/$name.task"
}
nap() { pgrep -fx "sleep $NAP"; }
naps() { [ "$(nap | wc -l)" = "$1" ]; }
parent() { awk '/^PPid:/ { print $2 }' "/proc/$1/status"; }
kill_init() { # the parent of who sleeps in the jail, and the child of taskrun
    local init
    wait_until 20 naps 1 || return 1
    init=$(parent "$(nap)")
    [ "$(cat "/proc/$(parent "$init")/comm")" = taskrun ] || return 1
    kill -KILL "$init"
    wait_until 20 gone "$init"
}
lost() { journal | awk -v id="$1.0" '$5 == "lost" && $6 == id' | wc -l; }
is_lost() { [ "$(lost "$1")" = "$2" ]; } # is_lost RUN TIMES
ends() { journal | awk -v id="$1.0" '$5 == "end" && $6 == id'; }

start_taskd "$SPOOL" --slots=1

# ---- one is lost, and another follows

one=$(task submit "$(unit one 1)")
ok "the jail of a task is killed" kill_init
exits "the task succeeds all the same" 0 timeout 60 task wait "$one"
is "one attempt is lost" "$(lost "$one")" 1
like "the record says why, how long it took and where its output lies" "$(journal | grep " lost $one.0")" \
    ' a=1 name=one what=its%20jail%20was%20killed.* us=[0-9]+ .* log='
like "its end is the second's" "$(ends "$one")" '^[^ ]+ [^ ]+ [^ ]+ [^ ]+ end [^ ]+ a=2 state=success.*final=yes'
is "the output of both is there" "$(task logs "$one")" "$(printf '1\n2')"
is "the history counts both" \
    "$(task query -o plain "select n, s.name from attempt a join status s on s.id = a.status where a.id = '$one.0' order by n" | tr -s ' \t\n' ' ')" \
    "1 lost 2 success "
like "the audit tells it" "$(task audit "$one")" 'lost.*its jail was killed'

# ---- the launcher alone: the jail goes on, and the slot gets another

launcher() { # the child of the pool that is no init of ours
    local child
    for child in $(pgrep -P "$(pool_pid "$SPOOL")"); do
        [ "$child" = "$(parent "$(nap)")" ] || echo "$child"
    done
}
two=$(task submit "$(unit two 1)")
ok "a task sleeps" wait_until 20 naps 1
for pid in $(launcher); do kill -KILL "$pid"; done
ok "its launcher is killed, and so is its jail" kill_init
exits "the next attempt has another launcher" 0 timeout 60 task wait "$two"
is "one attempt is lost" "$(lost "$two")" 1

# ---- it is no retry

three=$(task submit "$(unit three 2 '[Service]' Restart=never)")
for n in 1 2; do ok "Restart=never: attempt $n is lost" kill_init; done
exits "and the third succeeds" 0 timeout 60 task wait "$three"
is "without a retry" "$(journal | grep -c " retry $three.0")" 0

# ---- three in a row

four=$(task submit "$(unit four 3)")
for n in 1 2 3; do ok "attempt $n is lost" kill_init; done
held() { [ -n "$(find "$SPOOL/hold" -name "$four*")" ]; }
ok "the run is parked" wait_until 20 held
like "and says why" "$(journal | grep " hold $four")" 'lost%20three%20times%20in%20a%20row'
is "it has not ended" "$(ends "$four")" ""
task release "$four" >/dev/null
exits "released, it goes on" 0 timeout 60 task wait "$four"

# ---- taskd is away, and comes again

five=$(task submit "$(unit five 1)")
ok "a task sleeps" wait_until 20 naps 1
stop_taskd KILL
ok "its jail is killed while no taskd is there" kill_init
start_taskd "$SPOOL" --slots=1
exits "the next one hears of it, and starts another" 0 timeout 60 task wait "$five"
is "the loss is on record once" "$(lost "$five")" 1
six=$(task submit "$(unit six 1)")
ok "a jail is killed" kill_init
ok "and on record" wait_until 20 is_lost "$six" 1
stop_taskd KILL
start_taskd "$SPOOL" --slots=1
exits "taskd is killed after that: the task succeeds" 0 timeout 60 task wait "$six"
# The second attempt, too, where its start was on record and not yet sent.
is "the loss is on record once" "$(journal | awk -v id="$six.0" '$5 == "lost" && $6 == id && $7 == "a=1"' | wc -l)" 1

# ---- what taskrun ends has its own reason

limited=$(task submit "$(unit limited 9 '[Service]' MaxTime=300ms)")
exits "a time that is over" 124 timeout 60 task wait "$limited"
is "is no loss" "$(lost "$limited")" 0
cancelled=$(task submit "$(unit cancelled 9)")
ok "a task sleeps" wait_until 20 naps 1
task cancel "$cancelled" >/dev/null
exits "a cancel" 130 timeout 60 task wait "$cancelled"
is "is no loss" "$(lost "$cancelled")" 0
stop_taskd

# ---- without a daemon

run() { # run UNIT LOSSES: taskrun UNIT, whose jail is killed so often; its status: $STATUS
    taskrun --events="$TMP/events" "$1" >"$TMP/out" 2>"$TMP/err" </dev/null &
    local pid=$! n
    TEST_PIDS+=("$pid")
    for ((n = 0; n < $2; n++)); do kill_init || true; done
    STATUS=0
    wait "$pid" || STATUS=$?
}
run "$(unit seven 1)" 1
is "taskrun UNIT starts another" "$STATUS $(tail -n 1 "$TMP/out")" "0 2"
like "and says so" "$(cat "$TMP/err")" 'taskrun: warning: seven: its jail was killed .*another attempt follows'
is "in its events, too" "$(grep -c ' lost ' "$TMP/events")" 1
rm "$TMP/events"
run "$(unit eight 9)" 3
is "the third in a row is a failure" "$STATUS" 202
like "that says why" "$(cat "$TMP/err")" 'taskrun: error: eight: its jail was killed'
like "with reason jail" "$(grep ' end ' "$TMP/events" | head -n 1)" ' a=3 state=failure reason=jail exit=202 '

done_testing
