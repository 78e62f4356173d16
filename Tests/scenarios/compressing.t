#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: taskd has sealed segments compressed, at idle priority, one process at a time, without waiting for it; says what fails and tries
# again at the next seal; and starts from compressed segments where it has no checkpoint.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog python3 ionice
# shellcheck source=Tests/scenarios/faults/common.sh
. "$ROOT/Tests/scenarios/faults/common.sh"

mkfifo "$TMP/gate"
# Notes who it is, waits at the gate where one is set, and is tasklog, or fails.
cat >"$TMP/tasklog" <<SCRIPT
#!/bin/sh
echo "\$\$ nice \$(nice) \$(ionice -p \$\$) \$*" >>"$TMP/ran"
[ ! -e "$TMP/fails" ] || exit 74
[ ! -e "$TMP/waits" ] || read -r _ <"$TMP/gate"
exec "$BIN/tasklog" "\$@"
SCRIPT
chmod 755 "$TMP/tasklog"
: >"$TMP/ran"
ran() { [ "$(wc -l <"$TMP/ran")" -ge "$1" ]; }
packed() { [ "$(find "$SPOOL/$1" -name '*.zst' | wc -l)" -ge "$2" ]; }
said_failure() { said 'taskd: warning: unable to compress segments: .*/tasklog ended by status 74, sealed segments stay as they are'; }
new_log() { # a new pool gets a new log segment
    local pool
    pool=$(pool_pid "$SPOOL")
    kill "$pool"
    wait_until 10 gone "$pool"
    ok "$1" wait_until 20 test -e "$(printf '%s/log/%08d-taskd-%06d.log' "$SPOOL" "$EPOCH" "$2")"
}

# Four times taskd: each leaves a sealed segment with forty plans in it.
fresh compress
unit parked "sleep 1000"
for turn in 1 2 3 4; do
    start_taskd "$SPOOL"
    if [ $turn = 1 ]; then
        parked=$(submit "$TMP/parked.task")
        ok "one runs" wait_until 20 has_event " start $parked.0"
        task hold "$parked" >/dev/null
        ok "and is parked" wait_until 20 has_event " hold $parked"
    fi
    for n in $(seq 40); do
        unit "t$n" "true # $turn $n $(head -c 1100 /dev/urandom | base64 -w 0)"
        submit "$TMP/t$n.task" >/dev/null
    done
    ok "forty tasks run ($turn)" wait_until 30 at_rest
    stop_taskd
    seal=$(find "$SPOOL/journal" -name "*-taskd-*" -size +63k | wc -l)
    is "a segment more ($turn)" "$seal" $turn
done

# ---- started, at idle priority

start_taskd "$SPOOL" "--tasklog=$TMP/tasklog"
EPOCH=$(sed -n 's/.*epoch=\([0-9]*\).*/\1/p' "$SPOOL/owner")
ok "it is started once after the start" wait_until 20 ran 1
like "with nice 19 and idle I/O" "$(cat "$TMP/ran")" "nice 19 idle compress --quiet --spool=$SPOOL\$"
ok "what earlier ones sealed is compressed" wait_until 10 packed journal 2
# The original goes after the compressed one has its name.
left() { [ "$(find "$SPOOL/journal" -name '*-taskd-*.sealed' -size +63k | wc -l)" -eq "$1" ]; }
ok "but for the last two" wait_until 10 left 2
is "it is not started again without a seal" "$(wc -l <"$TMP/ran")" 1

# ---- failures, one at a time

: >"$TMP/fails"
ok "there is a first log segment" wait_until 10 test -e "$(printf '%s/log/%08d-taskd-000001.log' "$SPOOL" "$EPOCH")"
new_log "a log segment is complete" 2
ok "after that it is started again" wait_until 20 ran 2
ok "its failure is said" wait_until 10 said_failure
rm "$TMP/fails"
: >"$TMP/waits"
new_log "another one" 3
ok "it is tried again" wait_until 20 ran 3
child=$(tail -n 1 "$TMP/ran" | cut -d ' ' -f 1)
new_log "another one, while that waits" 4
run=$(submit "$TMP/t1.task")
ok "nothing waits for it" wait_until 20 succeeded "$run"
timeout 3 tail -f /dev/null || true # the pause after a seal is over
is "there is no second one" "$(wc -l <"$TMP/ran")" 3
ok "the first still runs" kill -0 "$child"
rm "$TMP/waits"
echo >"$TMP/gate"
ok "the second comes after it" wait_until 20 ran 4
: >"$TMP/waits"
new_log "one more" 5
ok "which waits" wait_until 20 ran 5
child=$(tail -n 1 "$TMP/ran" | cut -d ' ' -f 1)
stop_taskd KILL
ok "it dies with taskd" wait_until 10 gone "$child"
rm "$TMP/waits"

# ---- a start that has to read compressed segments

ok "the accept is in a compressed segment" sh -c "zstd -dcq '$SPOOL'/journal/*.zst | grep -aq ' accept $parked '"
rm "$SPOOL/checkpoint" "$SPOOL"/journal/index*
plan=$(find "$SPOOL/hold" -name "$parked*")
sed -i 's/1000/1001/' "$plan"
start_taskd "$SPOOL"
written_again() { grep -q 1000 "$plan"; }
ok "a damaged plan is written again from its accept there" wait_until 10 written_again
task cancel "$parked" >/dev/null
all_ended_by_history() { [ -z "$(find "$SPOOL"/{ready,active,deferred,hold} -type f)" ]; }
ok "all work ends" wait_until 20 all_ended_by_history
is "each task ended once" "$(tasklog query -o plain --no-headers "SELECT count(*) FROM event WHERE verb = 'end' AND detail LIKE '%final=yes%' AND job_id LIKE '%.0'")" "$(wc -l <"$IDS")"
exits "verify is content" 0 tasklog verify -q
exits "and fsck" 0 task fsck -q

done_testing
