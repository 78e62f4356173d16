#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: mv is a command. hold, release, cancel and retry are renames that taskd obeys; explain says
# where a run stands and what to type next; journald hears of ends.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog python3

SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
out = open(sys.argv[2], "ab", 0)
while True: out.write(s.recv(65536) + b"\n")' "$TMP/journald" "$TMP/entries" &
TEST_PIDS+=($!)
ok "a stand-in for journald listens" wait_until 10 test -S "$TMP/journald"
start_taskd "$SPOOL" --journald="$TMP/journald"

unit() { printf '[Command]\ncommand="sh"\n[Args]\nargs="-c '"'%s'"'"\n' "$2" >"$TMP/$1.task"; }
unit long 'sleep 100'
unit fails 'exit 7'
unit well 'echo well'
at() { [ -n "$(find "$SPOOL/$1" -name "$2*" -print -quit)" ]; }

long=$("$BIN/task" submit "$TMP/long.task")
ok "a run is active" wait_until 20 at active "$long"
says() { "$BIN/task" explain "$1" | grep -q "$2"; }
ok "explain says what runs" wait_until 20 says "$long" 'long runs'
mv "$SPOOL/active/$long" "$SPOOL/hold/"
exits "a held run is parked" 75 timeout 20 task wait "$long"
like "explain says how to go on" "$("$BIN/task" explain "$long")" 'task release'
mv "$SPOOL"/hold/"$long"* "$SPOOL/ready/"
ok "a release lets it go on" wait_until 20 at active "$long"
exits "cancel" 0 task cancel "$long"
exits "a cancelled run has ended" 130 timeout 20 task wait "$long"

# What a power failure leaves of a command that was answered: the plan, in its new place. Its bytes may be in no
# journal yet.
if strace -D -qq -o /dev/null true 2>/dev/null; then
    synced=$("$BIN/task" submit "$TMP/long.task")
    wait_until 20 at active "$synced"
    strace -y -o "$TMP/trace" -e trace=fsync,fdatasync,renameat2 "$BIN/task" hold "$synced"
    like "task hold syncs the plan, moves it, syncs both directories" \
        "$(sed -nE "s/^(fsync|fdatasync|renameat2)\(.*(active|hold)(\/$synced)?>.*= 0\$/\1 \2\3/p" "$TMP/trace" | paste -sd' ')" \
        "^f(data)?sync active/$synced renameat2 [a-z]* f(data)?sync hold f(data)?sync active\$"
    "$BIN/task" cancel "$synced"
else
    skip "task hold syncs the plan, moves it, syncs both directories" "strace cannot trace here"
fi

# Moves faster than starts and ends: a kill may come before the pool knows the attempt, a release
# before the end of what the hold killed.
quick=()
for _ in $(seq 20); do
    id=$("$BIN/task" submit "$TMP/long.task")
    wait_until 20 at active "$id"
    mv "$SPOOL/active/$id" "$SPOOL/hold/"
    mv "$SPOOL"/hold/"$id"* "$SPOOL/ready/"
    wait_until 20 at active "$id"
    "$BIN/task" cancel "$id"
    quick+=("$id")
done
exits "hold, release and cancel at once" 130 timeout 30 task wait "${quick[@]}"
states=$("$BIN/task" query "select group_concat(distinct state) from runs where name = 'long'" -o plain)
is "all of them end as cancelled" "$states" cancelled

id=$("$BIN/task" submit "$TMP/fails.task")
exits "a failure has its own status" 7 timeout 20 task wait "$id"
failed=$id+1
ok "it lies in failed/ as its next generation" wait_until 20 test -e "$SPOOL/failed/$failed"
mv "$SPOOL/failed/$failed" "$SPOOL/ready/"
ok "moved to ready/ it runs again" wait_until 20 at failed "${failed%+1}+2"
like "explain says why it failed" "$("$BIN/task" explain "${failed%+1}")" 'exit status 7'

id=$("$BIN/task" submit "$TMP/well.task")
exits "a run ends well" 0 timeout 20 task wait "$id"
journald_heard() { grep -qa "^TASK_NAME=$1\$" "$TMP/entries"; }
ok "journald heard of it" wait_until 10 journald_heard well
like "with its fields" "$(tr '\n' ' ' <"$TMP/entries")" "TASK_ID=$id.0 TASK_NAME=well TASK_RUN=$id TASK_STATE=success"

# A plan of a run that has ended, put back: from a backup, or by a mv that met the end.
unit again 'echo x >>'"$TMP/again.ran"'; until [ -e '"$TMP/again.go"' ]; do sleep 0.05; done'
sed -i '1i [Jail]\nJail=no' "$TMP/again.task"
id=$("$BIN/task" submit "$TMP/again.task")
ok "a run is active" wait_until 20 test -e "$TMP/again.ran"
cp "$SPOOL/active/$id" "$TMP/kept"
touch "$TMP/again.go"
exits "it ends" 0 timeout 20 task wait "$id"
mv "$TMP/kept" "$SPOOL/ready/$id"
is_gone() { [ -z "$(find "$SPOOL" -name "$id*" -print -quit)" ]; }
ok "its plan, put back, is removed" wait_until 20 is_gone
is "and does not run again" "$(wc -l <"$TMP/again.ran") $("$BIN/task" audit "$id" -o plain | grep -c accept)" "1 1"

# The same of a retry, whose file is on its way between two directories when its end is written.
unit twice 'echo x >>'"$TMP/twice.ran"'; [ -e '"$TMP/twice.second"' ] || exit 3; until [ -e '"$TMP/twice.go"' ]; do sleep 0.05; done; echo end >'"$TMP/twice.end"
sed -i '1i [Jail]\nJail=no' "$TMP/twice.task"
id=$("$BIN/task" submit "$TMP/twice.task")
ok "a run fails" wait_until 20 at failed "$id+1"
touch "$TMP/twice.second"
mv "$SPOOL/failed/$id+1" "$SPOOL/ready/"
lines() { [ "$(wc -l <"$TMP/twice.ran")" = "$1" ]; }
ok "its retry runs" wait_until 20 lines 2
ok "… is active" wait_until 20 at active "$id+1"
kill -STOP "$TASKD"
touch "$TMP/twice.go"
ok "it comes to its end while taskd stands" wait_until 20 test -e "$TMP/twice.end"
pool_told() { ! pgrep -f "$TMP/twice.ran" >/dev/null; }
wait_until 20 pool_told
mv "$SPOOL/active/$id+1" "$TMP/away"
kill -CONT "$TASKD"
exits "it ends" 0 timeout 20 task wait "$id"
mv "$TMP/away" "$SPOOL/ready/$id+1"
ok "its plan, come back, is removed" wait_until 20 is_gone
is "and does not run again" "$(wc -l <"$TMP/twice.ran") $("$BIN/task" audit "$id" -o plain | grep -c retry)" "2 1"

printf 'x\n' >"$TMP/bad.task"
mv "$TMP/bad.task" "$SPOOL/incoming/"
ok "a bad file is rejected" wait_until 20 test -e "$SPOOL/rejected/bad.task"
like "explain shows its reason" "$("$BIN/task" explain bad)" 'bad.task:1:1: '
done_testing
