#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: a run with Key= exists once a day: who submits or drops it again has the same run, whatever became of it and of
# taskd; another plan with the key is refused.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog

SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
mkdir -m 0755 "$TMP/gate"
journal() { cat "$SPOOL"/journal/*.sealed "$SPOOL"/journal/*.open 2>/dev/null || true; }
starts() { journal | grep -acE " start $1\.0 " || true; }
dups() { journal | grep -acE " note $1 what=dup" || true; }
are_dups() { [ "$(dups "$1")" -eq "$2" ]; }
unit() { # unit NAME TEXT [LINE…]: prints TEXT, once gate/open is there
    printf '%s\n' "${@:3}" '[Jail]' "BindReadOnlyPaths=$TMP/gate" '[Command]' 'command=sh' '[Args]' \
        "args=\"-c 'until [ -e $TMP/gate/open ]; do sleep 0.02; done; echo $2'\"" >"$TMP/$1.task"
    echo "$TMP/$1.task"
}
drop() { cp "$1" "$SPOOL/incoming/.new" && mv "$SPOOL/incoming/.new" "$SPOOL/incoming/$2"; } # drop FILE NAME
# All of this test is of one day, or nothing is said.
day() { date -u +%F; }
today=$(day)

start_taskd "$SPOOL"
unit order one '[Service]' 'Key=order 4711' >/dev/null
first=$(task submit "$TMP/order.task")
ok "a keyed run is active" wait_until 30 test -e "$SPOOL/active/$first"
is "a second one has its id" "$(task submit "$TMP/order.task")" "$first"
ok "and is known as the same" wait_until 30 are_dups "$first" 1
drop "$TMP/order.task" order.task
ok "so is a plain drop" wait_until 30 are_dups "$first" 2
drop "$(unit other two '[Service]' 'Key=order 4711')" other.task
ok "another unit with the key is rejected" wait_until 30 test -e "$SPOOL/rejected/other.task"
like "with a reason" "$(cat "$SPOOL/rejected/other.task.reason")" "Key= stands for the run $first .*another plan"
stop_taskd KILL
drop "$TMP/order.task" order.task
is "without a taskd the id is the same" "$(task submit "$TMP/order.task") $(task submit "$TMP/order.task")" "$first $first"
start_taskd "$SPOOL"
ok "after kill -9 they are the same still" wait_until 30 are_dups "$first" 4
: >"$TMP/gate/open"
exits "it ends well" 0 timeout 30 task wait "$first"
exits "a later one is that one" 0 timeout 30 task submit --wait "$TMP/order.task"
is "it ran once" "$(starts "$first")" 1
stop_taskd # writes a checkpoint
rm -f "$SPOOL"/journal/index*
start_taskd "$SPOOL"
exits "after a restart, too" 0 timeout 30 task submit --wait "$TMP/order.task"
is "it ran once still" "$(starts "$first")" 1
ok "and was told so" wait_until 30 are_dups "$first" 6

# ---- one that failed, and what runs it again

printf '%s\n' '[Service]' 'Key=fails' '[Command]' 'command=false' >"$TMP/fails.task"
fails=$(task submit "$TMP/fails.task")
exits "one that fails" 1 timeout 30 task wait "$fails"
exits "has failed" 1 timeout 30 task submit --wait "$TMP/fails.task"
wait_until 20 test -e "$SPOOL/failed/$fails+1"
task retry "$fails" >/dev/null
ended() { [ "$(journal | grep -acE " end $fails ")" -eq 2 ]; }
ok "a retry runs it again" wait_until 30 ended

# ---- task submit --key, task run

plain=$(unit plain three)
keyed=$(task submit --key=a "$plain")
is "--key is Key= of the file" "$(task submit --key=a "$plain")" "$keyed"
unlike "another key is another run" "$(task submit --key=b "$plain")" "^$keyed$"
exits "of two files it is refused" 2 task submit --key=a "$plain" "$TMP/order.task"
like "with a sentence" "$(cat "$TMP/err")" 'for one file'
exits "task run waits for the same" 0 timeout 30 task run "$TMP/order.task"
is "which ran once" "$(starts "$first")" 1

stop_taskd
ok "nothing is left to do" task fsck

# ---- as many keys as are remembered, by a checkpoint that has them

python3 - "$SPOOL/checkpoint" "$first" <<'PYTHON'
import hashlib, sys
path, first = sys.argv[1:]
digits = "0123456789abcdefghjkmnpqrstvwxyz"
ids = (first[:10] + "".join(digits[i >> s & 31] for s in range(75, -1, -5)) for i in range(200_000))
body = open(path, "rb").read()[:-72] + "".join(f"key {id} 1\n" for id in ids).encode()
open(path, "wb").write(body + b"digest " + hashlib.sha256(body).hexdigest().encode() + b"\n")
PYTHON
start_taskd "$SPOOL"
drop "$TMP/order.task" order.task
ok "with 200,000 keys those are known" wait_until 30 are_dups "$first" "$(($(dups "$first") + 1))"
drop "$(unit further five '[Service]' 'Key=further')" further.task
ok "a further one is rejected" wait_until 30 test -e "$SPOOL/rejected/further.task"
like "with a reason" "$(cat "$SPOOL/rejected/further.task.reason")" "no more: drop it tomorrow"
drop "$(unit keyless six)" keyless.task
ok "what has none is taken" wait_until 30 grep -aq ' accept .*name=keyless.task' "$SPOOL"/journal/*.open

[ "$today" = "$(day)" ] || skip_all "the day ended in between"
stop_taskd
done_testing
