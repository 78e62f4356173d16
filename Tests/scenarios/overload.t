#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: a flood of drops is streamed. Memory is bounded, runs start by age, what ran before and what is
# urgent is not starved, a kill -9 in the middle loses nothing; tasks that fail for ever, or take
# taskrun down, hold nobody up. TASKSPOOL_FLOOD sets how many (15,000; a million is FAULTS.md's).
# How fast: contrib/bench/run --row=overload.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun python3

N=${TASKSPOOL_FLOOD:-15000}
SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL

waiting() { find "$SPOOL/incoming" -name 'n*.task' | wc -l; }
journal() { find "$SPOOL/journal" -type f -not -name '*.sqlite*' | sort | xargs cat 2>/dev/null | tr -d '\0'; }
seen() { [ -n "$(journal | awk -v verb="$1" -v id="$2" '$5 == verb && index($6, id) == 1 { print; exit }')" ]; }
finals() { journal | awk '$5 == "end" && $6 ~ /[.]/ && / final=yes/ { print $6 }'; }
ended_at_least() { [ "$(finals | wc -l)" -ge "$1" ]; }
empty() { [ -z "$(find "$SPOOL"/{incoming,tmp,ready,active,deferred} -mindepth 1 -not -name '.*' -print -quit)" ]; }
id_of() { journal | awk -v name="$1" '$5 == "accept" && index($0, " name=" name " ") { print $6 }'; }
accepted() { [ -n "$(id_of "$1")" ]; }
peak() { awk '/^VmHWM/ { print $2 }' "/proc/$TASKD/status"; }
unit() { # unit COMMAND [ARGS] [SERVICE LINES]
    printf '[Service]\n%b\n[Jail]\nJail=no\n[Args]\nargs="%s"\n[Command]\ncommand="%s"\n' "${3-}" "${2-}" "$1"
}
drop() { # drop NAME: standard input, by rename
    cat >"$SPOOL/incoming/.$1"
    mv "$SPOOL/incoming/.$1" "$SPOOL/incoming/$1" 2>/dev/null || true # mv(1) looks again, and it is taken
}

# ---- FAULT 46: many files in incoming/ at start

start_taskd "$SPOOL" --slots=2
base=$(peak) # mostly pages of its libraries, as many as the page cache has at hand
stop_taskd
awk -v n="$N" -v at="$SPOOL/incoming/n" 'BEGIN {
    for (i = 0; i < n; i++) {
        file = at i ".task"
        printf "[Jail]\nJail=no\n[Command]\ncommand=\"true\"\n" > file
        close(file)
    }
}'
start_taskd "$SPOOL" --slots=2
first=
for ((i = 0; i < 2000; i++)); do
    if seen start ''; then first=$(waiting) && break; fi
    sleep 0.005
done
echo "# $first of $N files were not taken yet when the first task had started"
ok "FAULT 46: the first task starts before the files are read through" test "${first:-0}" -gt $((N / 4))

# ---- what runs, and what is urgent, is not starved

unit sleep 1 'Priority=5' | drop soon.task
ok "a task of higher priority is taken from behind $(waiting) files" wait_until 30 accepted soon.task
ok "it starts" wait_until 30 seen start "$(id_of soon.task)"
unit true '' 'Priority=100' | drop urgent.task
ok "another is taken while it runs" wait_until 30 accepted urgent.task
ok "it ends" wait_until 30 seen end "$(id_of urgent.task).0"
ok "the one that ran ends" wait_until 30 seen end "$(id_of soon.task).0"
ok "before the others" test "$(waiting)" -gt 0
printf '' | drop "$(id_of n5.task).cancel" # commands are not behind the files either

# ---- kill -9 in the middle, memory, order, nothing lost

peak=$(peak)
stop_taskd KILL
start_taskd "$SPOOL" --slots=2
ok "all end after taskd was killed" wait_until 240 empty
[ "$peak" -gt "$(peak)" ] || peak=$(peak)
echo "# peak of taskd's memory: $peak kB, after the kill $(peak) kB; on an empty spool $base kB"
ok "FAULT 46: memory is bounded, whatever the number of files" test "$peak" -le 20480
is "each is accepted once" "$(journal | awk '$5 == "accept" && / name=n[0-9]+[.]task / && !/ recovered=yes/ { print $7 }' | sort | uniq -d | wc -l)" 0
is "all are accepted" "$(journal | awk '$5 == "accept" && / name=n[0-9]+[.]task / { print $7 }' | sort -u | wc -l)" "$N"
finals | sort >"$TMP/finals"
is "each ends" "$(uniq "$TMP/finals" | wc -l)" $((N + 2))
is "each ends once" "$(uniq -d "$TMP/finals" | wc -l)" 0
is "all succeed" "$(journal | awk '$5 == "end" && / final=yes/ && !/ state=(success|cancelled)/' | head -n 3)" ""
# Started by age, as far as two slots and what is handed over ahead let one see it.
is "they start in the order of their ids" "$(journal |
    awk '$5 == "start" { print substr($6, 1, 26) }' | grep -v -e "$(id_of soon.task)" -e "$(id_of urgent.task)" |
    awk '{ at[NR] = $1 } END { for (i = 65; i <= NR; i++) if (at[i] < at[i - 64]) print at[i] }' | head -n 3)" ""

# ---- FAULT 47: tasks that fail for ever

stop_taskd
pool=$(pool_pid "$SPOOL") && kill "$pool" && wait_until 10 gone "$pool"
start_taskd "$SPOOL" --slots=2
for i in 1 2 3 4 5 6; do
    unit sh "-c 'kill -SEGV \$\$'" 'Restart=on-failure\nRestartSec=20ms' | drop "crash$i.task"
done
printf '[Service]\nRestart=on-failure\nRestartSec=20ms\nLimitMem=24M\n[Args]\nargs="/dev/zero"\n[Command]\ncommand="tail"\n' | drop greedy.task
ok "FAULT 47: a poison task is tried again, after a while" wait_until 30 seen retry "$(id_of crash6.task)"
# What takes taskrun down is lost each time.
[ "$("$BIN/taskrun" --help | grep -c .)" -gt 0 ] && unit sh "-c 'kill -KILL \$PPID'" | drop killer.task
for ((i = 0; i < 40; i++)); do unit true | drop "well$i.task"; done
held() { [ -e "$SPOOL/hold/$(id_of killer.task)$1" ]; }
ok "FAULT 47: one that takes taskrun down is parked after three losses" wait_until 60 held ':3'
is "it is lost three times, not more" "$(journal | awk -v id="$(id_of killer.task)" '$5 == "lost" && index($6, id) == 1' | wc -l)" 3
wells() { [ "$(journal | awk '$5 == "end" && / name=well/ && / state=success/ && $6 !~ /[.]/' | wc -l)" -eq 40 ]; }
ok "FAULT 47: the others all succeed" wait_until 60 wells
again() { [ "$(journal | awk '$5 == "retry" && / name=crash/' | wc -l)" -ge 12 ]; }
is "FAULT 47: and nothing beside it is parked" "$(find "$SPOOL/hold" -type f | grep -vc "$(id_of killer.task)")" 0
ok "the poison tasks are still tried" wait_until 30 again
grow() { journal | awk '$5 == "retry" && / name=crash1/ { split($8, due, "="); print due[2] - $4 }' | sort -n; }
ok "FAULT 47: with a delay that grows" test "$(grow | tail -n 1)" -ge $((2 * $(grow | head -n 1)))
greedy() { journal | awk -v id="$(id_of greedy.task)" '$5 == "end" && index($6, id) == 1'; }
tried() { [ -n "$(greedy)" ]; }
ok "one with a limit of memory ends" wait_until 30 tried
if [[ $(greedy) == *weak=*LimitMem* ]]; then
    skip "FAULT 47: out of memory is told apart" "LimitMem= is weak here"
else
    like "FAULT 47: out of memory is told apart" "$(greedy | head -n 1)" ' state=failure reason=oom '
fi
for name in crash{1..6} greedy killer; do
    printf '' | drop "$(id_of "$name.task").cancel"
done
over() { empty && [ -z "$(find "$SPOOL/hold" -type f)" ]; }
ok "cancelled, they end" wait_until 60 over
is "each run has one end" "$(journal | awk '$5 == "end" && $6 !~ /[.]/ { print $6 }' | sort | uniq -d)" ""

# ---- more than the 10,000 that taskd reads ahead wait for something other than a slot

stop_taskd
SPOOL=$TMP/full
start_taskd "$SPOOL" --slots=2
unit sleep 1000 'Semaphore=one:1' | drop holder.task
ok "one that holds a semaphore is accepted" wait_until 30 accepted holder.task
ok "it runs" wait_until 30 seen start "$(id_of holder.task).0"
python3 - "$SPOOL/incoming/" <<'PYTHON'
import os, sys
for i in range(10100):
    with open(f"{sys.argv[1]}.w{i}.task", "w") as file:
        file.write("[Service]\nSemaphore=one:1\n[Jail]\nJail=no\n[Command]\ncommand=true\n")
    os.rename(f"{sys.argv[1]}.w{i}.task", f"{sys.argv[1]}w{i}.task")
PYTHON
taken() { [ "$(find "$SPOOL/incoming" -name 'w*.task' | wc -l)" -eq 0 ]; }
ok "10,100 that wait for it are accepted" wait_until 120 taken
unit true | drop free.task
ok "what needs nothing is accepted" wait_until 30 accepted free.task
ok "it runs" wait_until 30 seen end "$(id_of free.task).0"
is "… while they wait" "$(journal | awk '$5 == "start" && / name=w[0-9]/' | wc -l)" 0
done_testing
