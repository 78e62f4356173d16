#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: what tasks print is kept byte for byte, however much and whatever it is, and holds up no
# other task: log segments follow one another.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog

export TASK_SPOOL=$TMP/spool
start_taskd "$TASK_SPOOL"
unit() { # unit NAME SCRIPT [LINE…]: runs SCRIPT with bash, LINEs in its [Service]
    local name=$1 script=$2
    shift 2
    {
        printf '%s\n' '[Service]' "$@" '[Args]'
        printf 'args=-c "%s"\n' "$script"
        printf '%s\n' '[Command]' 'command=bash'
    } >"$TMP/$name.task"
}
sum() { sha256sum | cut -d' ' -f1; }

# More than a segment (64 MiB), and then more: the next one comes in time.
MANY='seq 1 9000000'
unit many "$MANY" 'LogLimit=infinity'
exits "a task that prints 70 MB ends" 0 timeout 120 task run "$TMP/many.task"
is "run prints all of it" "$(sum <"$TMP/out")" "$(eval "$MANY" | sum)"
is "logs prints all of it" "$(task logs many | sum)" "$(eval "$MANY" | sum)"
unit small 'echo hello'
exits "the next task is not held up" 0 timeout 60 task run "$TMP/small.task"
is "its output is there" "$(task logs small)" hello
ls "$TASK_SPOOL/log" >"$TMP/segments"
ok "the log went on in another segment" test "$(wc -l <"$TMP/segments")" -ge 2
ok "all segments are whole" tasklog verify

# Above LogLimit= nothing is kept, and it is said.
unit chatty "$MANY" 'LogLimit=1M'
exits "a task above its LogLimit ends by itself" 0 timeout 120 task run "$TMP/chatty.task"
like "run says what is missing" "$(cat "$TMP/err")" '^task: warning: chatty wrote 66\.6M more than its LogLimit='
exits "logs" 0 task logs chatty
like "says it too" "$(cat "$TMP/err")" '^tasklog: warning: chatty wrote 66\.6M more than its LogLimit='
like "and status" "$(task status chatty)" 'Output: .*, without 66\.6M above LogLimit='
TASK_SPOOL=$TMP/none exits "without a daemon" 0 timeout 120 task run "$TMP/chatty.task"
like "it is said as well" "$(cat "$TMP/err")" '^task: warning: chatty wrote 66\.6M more than its LogLimit='
is "what is below the limit is kept" "$(task logs chatty | head -c 1048576 | sum)" \
    "$(eval "$MANY" | head -c 1048576 | sum)"

head -c 300000 /dev/urandom >"$TMP/random"
unit binary 'cat random; printf end' "Dir=$TMP" "WorkingDirectory=$TMP"
exits "binary output" 0 timeout 60 task run "$TMP/binary.task"
is "is the same bytes, also without a line feed at its end" "$(task logs binary | sum)" \
    "$( (cat "$TMP/random" && printf end) | sum)"
is "on standard output too" "$(sum <"$TMP/out")" "$( (cat "$TMP/random" && printf end) | sum)"

# A program may make its pipe larger, fill it with one write and be gone before anybody reads.
cat >"$TMP/gone.py" <<'END'
import fcntl, os, time
fcntl.fcntl(1, 1031, 1 << 20)
open("begun", "w").close()
while not os.path.exists("go"):
    time.sleep(0.01)
os.write(1, b"x" * 1000000)
os.rename("go", "gone")
os._exit(0)
END
printf '%s\n' '[Service]' "WorkingDirectory=$TMP" '[Args]' 'args="gone.py"' '[Command]' 'command="python3"' >"$TMP/gone.task"
id=$(task submit "$TMP/gone.task")
ok "a program with a large pipe runs" wait_until 20 test -e "$TMP/begun"
kill -s STOP "$(pool_pid "$TASK_SPOOL")"
touch "$TMP/go"
ok "it writes all at once" wait_until 20 test -e "$TMP/gone"
kill -s CONT "$(pool_pid "$TASK_SPOOL")"
exits "it ends" 0 timeout 60 task wait "$id"
is "nothing of its output is lost" "$(task logs "$id" | wc -c)" 1000000

# Without a taskd the pool stops reading at the end of its segment; the next taskd brings another.
unit first "$MANY" 'LogLimit=infinity'
unit second 'seq 2 9000001' 'LogLimit=infinity'
mapfile -t ids < <(task submit "$TMP/first.task" "$TMP/second.task")
begun() { [ "$(tasklog list "$1" -s running -o plain | wc -l)" -eq 1 ]; }
ok "two print" wait_until 10 begun second
stop_taskd KILL
start_taskd "$TASK_SPOOL"
exits "they end under another taskd" 0 timeout 120 task wait "${ids[@]}"
is "nothing of the first is lost" "$(task logs first | sum)" "$(eval "$MANY" | sum)"
is "nor of the second" "$(task logs second | sum)" "$(seq 2 9000001 | sum)"
ok "all segments are whole" tasklog verify

stop_taskd
done_testing
