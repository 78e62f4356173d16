#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: rows 1 to 4, 13 to 15, 18, 44, 45 and 51 of task-faults(7): a journal that is torn, flipped, gone or of a disk that fails; daemons
# that die between two steps, in recovery, at a rotation; two of them; other versions. (16: kill9.t; each bit, each call: the unit tests, crash.t.)
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog python3 cc
# shellcheck source=Tests/scenarios/faults/common.sh
. "$ROOT/Tests/scenarios/faults/common.sh"
traced=
build_inject >/dev/null 2>&1 && traced=yes
unit quick "echo x >>$TMP/ran"
unit parked "sleep 1000"
unit seven "echo x >>$TMP/ran; exec <$TMP/go; exit 7"
mkfifo "$TMP/go"
newest() { find "$SPOOL/journal" -name "*-taskd-*.$1" | sort | tail -n 1; }
three_ran() { submit "$TMP/quick.task" "$TMP/quick.task" "$TMP/quick.task" >/dev/null && wait_until 20 at_rest; }

# ---- torn

fresh 1
start_taskd "$SPOOL"
for how in "tear 1" "tear 9" "tear 40" zero; do
    ok "FAULT 1: work is done before a torn tail ($how)" three_ran
    stop_taskd KILL
    # shellcheck disable=SC2086
    python3 "$HERE/journal.py" ${how% *} "$(newest open)" ${how#* }
    torn=$(find "$SPOOL/journal" -name '*.torn' | wc -l)
    start_taskd "$SPOOL"
    more_torn() { [ "$(find "$SPOOL/journal" -name '*.torn' | wc -l)" -gt "$torn" ]; }
    ok "FAULT 1: the tail is put aside ($how)" wait_until 10 more_torn
done
ok "FAULT 1: it is on record" has_event ' note - what=journal.torn segment=.* bytes=[0-9]'
ok "FAULT 1: work goes on" three_ran
holds 1
stop_taskd

# ---- flipped, gone

fresh 2
start_taskd "$SPOOL"
ok "FAULT 2: work is done" three_ran
held=$(submit "$TMP/parked.task")
ok "FAULT 2: one runs" wait_until 20 has_event " start $held.0"
task hold "$held" >/dev/null
ok "FAULT 2: and is parked" wait_until 20 has_event " hold $held"
stop_taskd KILL
segment=$(newest open)
before=$(tr -d '\0' <"$segment" | wc -c)
python3 "$HERE/journal.py" flip "$segment" 2
: >"$TMP/taskd.err"
start_taskd "$SPOOL"
ok "FAULT 2: a flipped bit is on record, with the numbers of what it hit" wait_until 10 has_event ' note - what=journal.corrupt .*seq='
ok "FAULT 2: it is an alarm" said 'the directories remain the truth'
is "FAULT 2: nothing is cut" "$(find "$SPOOL/journal" -name "$(basename "${segment%.open}").*" -not -name '*.torn' -exec cat {} + | tr -d '\0' | wc -c)" "$before"
ok "FAULT 2: the run that lies in hold/ is still parked" test -e "$SPOOL/hold/$held"
exits "FAULT 2: verify names it" 1 tasklog verify
ok "FAULT 2: work goes on" three_ran
task release "$held" >/dev/null
ok "FAULT 2: the parked run goes on" wait_until 20 has_event " start $held.0 a=2"
task cancel "$held" >/dev/null
ok "FAULT 2: all work ends" wait_until 30 at_rest

for how in removed emptied; do
    ok "FAULT 3: work is done" three_ran
    held=$(submit "$TMP/parked.task")
    ok "FAULT 3: one runs" wait_until 20 has_event " start $held.0"
    stop_taskd KILL
    start_taskd "$SPOOL"
    stop_taskd KILL
    segment=$(newest sealed) # the one before the last
    if [ $how = removed ]; then rm "$segment"; else : >"$segment"; fi
    rm -f "$SPOOL/checkpoint"
    start_taskd "$SPOOL"
    ok "FAULT 3: a segment that is $how is on record" wait_until 10 has_event ' note - what=journal.(gap|corrupt)'
    ok "FAULT 3: the run that lies in active/ goes on" test -e "$SPOOL/active/$held"
    task cancel "$held" >/dev/null
    ok "FAULT 3: all work ends" wait_until 30 at_rest
done
stop_taskd

# ---- a disk that fails, and deaths between two steps

if [ $traced ]; then
    fresh 4
    with_faults -c fdatasync -n 4 -e EIO --
    ok "FAULT 4: taskd is up" wait_until 20 is_up
    TASKD=$(owner_pid)
    # How many commits three runs take depends on how many of their records meet in one: work goes on until the fourth has failed.
    another_segment() { three_ran && [ "$(find "$SPOOL/journal" -name '*-taskd-*' | wc -l)" -ge 2 ]; }
    ok "FAULT 4: work is done over an EIO, in a new segment" wait_until 60 another_segment
    holds 4
    stop_taskd
    with_faults -c fdatasync -n 4 -m 100 -e EIO --
    ok "FAULT 4: taskd is up again" wait_until 20 is_up
    TASKD=$(owner_pid)
    stops() { submit "$TMP/quick.task" >/dev/null && gone "$TASKD"; }
    ok "FAULT 4: after three in a row it stops" wait_until 20 stops
    kill "$WATCHER" 2>/dev/null || true
    status=0
    wait "$WATCHER" || status=$?
    is "FAULT 4: with status 74" "$status" 74
    ok "FAULT 4: and says what and why" said 'journal.*taskd stops; what runs goes on'
    start_taskd "$SPOOL"
    holds 4
    stop_taskd

    fresh 13
    : >"$TMP/ran"
    for n in 1 2; do # the drop's, the plan's
        with_faults -c unlinkat -n $n -k --
        ok "FAULT 13: taskd is up ($n)" wait_until 20 is_up
        TASKD=$(owner_pid)
        submit "$TMP/quick.task" >/dev/null
        ok "FAULT 13: it dies at its unlink $n" wait_until 20 gone "$TASKD"
        kill -s KILL "$WATCHER" 2>/dev/null || true
        start_taskd "$SPOOL"
        holds 13
        stop_taskd
    done
    is "FAULT 13: each task ran once" "$(wc -l <"$TMP/ran")" 2

    fresh 14
    for n in 1 2; do
        printf '#!/bin/sh\nif mkdir "%s" 2>/dev/null; then exec "%s" -c clone3 -n %s -k "%s" "$@"; fi\nexec "%s" "$@"\n' \
            "$TMP/once$n" "$TMP/inject" $n "$BIN/taskrun" "$BIN/taskrun" >"$TMP/taskrun$n"
        chmod 755 "$TMP/taskrun$n"
        pool=$(pool_pid "$SPOOL" || true)
        [ -z "$pool" ] || { kill "$pool" && wait_until 10 gone "$pool"; }
        start_taskd "$SPOOL" "--taskrun=$TMP/taskrun$n"
        submit "$TMP/quick.task" "$TMP/quick.task" >/dev/null
        holds 14
        stop_taskd
    done
    # An ordinary user's pool makes other processes first.
    ! is_root || ok "FAULT 14: what was begun and never ran is lost, and followed by another" has_event ' lost '
    is "FAULT 14: all succeeded" "$(events | awk '$5 == "end" && / final=yes/ && !/state=success/')" ""

    fresh 45
    start_taskd "$SPOOL"
    held=$(submit "$TMP/parked.task")
    ok "FAULT 45: one runs" wait_until 20 has_event " start $held.0"
    kill -s STOP "$TASKD"
    submit "$TMP/quick.task" "$TMP/quick.task" "$TMP/quick.task" >/dev/null
    stop_taskd KILL
    for n in 20 60 90 120 150 170 190 200 210 220; do
        with_faults -n $n -k --
        wait "$WATCHER" || true
    done
    start_taskd "$SPOOL"
    ok "FAULT 45: after ten deaths in recovery the waiting tasks run" wait_until 20 test ! -e "$SPOOL/incoming/$(sed -n 2p "$IDS")@quick.task"
    is "FAULT 45: the running one was started once" "$(starts "$held")" 1
    task cancel "$held" >/dev/null
    holds 45
    stop_taskd

    # 64 MiB and more through the writer of taskd's kind, that dies at the calls around its rotation.
    fresh 44
    start_taskd "$SPOOL"
    stop_taskd
    python3 -c 'for n in range(4300): print(1795000000000000 + n, "note - what=test text=" + "x" * 16000)' >"$TMP/lines"
    "$TMP/inject" -l "$TMP/calls" "$BIN/tasklog" append <"$TMP/lines"
    turn=$(grep -n '^rename' "$TMP/calls" | head -n 1 | cut -d : -f 1)
    for n in -3 -1 0 1 3; do
        "$TMP/inject" -n $((turn + n)) -k "$BIN/tasklog" append <"$TMP/lines" || true
        is "FAULT 44: killed at its call $n around a rotation: each segment has one name" \
            "$(find "$SPOOL/journal" -name '*.open' -o -name '*.sealed' | sed 's/[.][a-z]*$//' | sort | uniq -d)" ""
        find "$SPOOL/journal" -size +1M -not -name '*.reserve' -delete # verified by the last one
    done
    "$TMP/inject" -n $((turn + 1)) -k "$BIN/tasklog" append <"$TMP/lines" || true
    exits "FAULT 44: and verify is content" 0 tasklog verify
    rm "$TMP/lines"

    # A compression that is killed at each of its calls: whatever it leaves reads as before, and the next one ends it.
    fresh 44c
    python3 - <<'PYTHON' | tasklog append
run = "01hf7yat0000000000000000a1"
print(f"1700000000000000 accept {run} name=site.task unit=site tasks=1")
print(f"1700000000000001 start {run}.0 a=1 name=site")
for n in range(30):
    print(1700000000000002 + n, f"note {run}.0 a=1 what=output step=0 fd=1 data=" + f"{n:09}%0A" * 600)
    print(1700000000000002 + n, f"note - what=test text={n:09}" * 1 + "y" * 9000)
print(f"1700000000000100 end {run}.0 a=1 state=success exit=0 final=yes name=site")
print(f"1700000000000101 end {run} state=success final=yes")
PYTHON
    cp -a "$SPOOL" "$TMP/plain44"
    told=$(tasklog logs site | sha256sum && tasklog export events | sha256sum)
    "$TMP/inject" -l "$TMP/calls" "$BIN/tasklog" compress -q
    total=$(wc -l <"$TMP/calls")
    is "FAULT 44: a compression leaves the compressed form alone" "$(find "$SPOOL/journal" "$SPOOL/log" -name '0*' -printf '%f\n' | sed 's/.*[.]//' | sort | uniq -c | tr -s ' ')" " 2 zst"
    is "FAULT 44: which reads as before" "$(rm "$SPOOL"/journal/index* && tasklog logs site | sha256sum && tasklog export events | sha256sum)" "$told"
    first=$(grep -n '^flock' "$TMP/calls" | head -n 1 | cut -d : -f 1) # before that it has done nothing
    ok "FAULT 44: it makes its calls" test "$total" -gt $((first + 20))
    bad=
    for n in $(seq "$first" "$total"); do
        rm -rf "$SPOOL" && cp -a "$TMP/plain44" "$SPOOL"
        "$TMP/inject" -n "$n" -k "$BIN/tasklog" compress -q && bad+=" $n:survived"
        for place in journal:sealed log:log; do
            both=$(find "$SPOOL/${place%:*}" -name '*.zst' -o -name "*.${place#*:}")
            [ -n "$both" ] || bad+=" $n:$place:lost"
        done
        tasklog verify -q 2>/dev/null || bad+=" $n:verify"
        [ "$(tasklog logs site | sha256sum && tasklog export events | sha256sum)" = "$told" ] || bad+=" $n:told"
        task fsck -q >/dev/null 2>&1 || bad+=" $n:fsck"
        tasklog compress -q || bad+=" $n:again"
        [ "$(find "$SPOOL/journal" "$SPOOL/log" -name '0*' | sed 's/.*[.]//' | sort -u)" = zst ] || bad+=" $n:left"
        tasklog verify -q 2>/dev/null || bad+=" $n:verify"
    done
    is "FAULT 44: killed at each of its calls from $first to $total: nothing is lost, the next one ends it" "$bad" ""
    bad=
    for deed in pwrite64:ENOSPC fsync:EIO renameat:EIO unlinkat:EIO; do
        rm -rf "$SPOOL" && cp -a "$TMP/plain44" "$SPOOL"
        "$TMP/inject" -c "${deed%:*}" -n 1 -e "${deed#*:}" "$BIN/tasklog" compress -q 2>"$TMP/err" && bad+=" $deed:silent"
        grep -q '^tasklog: error: unable to .*, it stays as it is$' "$TMP/err" || bad+=" $deed:untold"
        tasklog verify -q || bad+=" $deed:verify"
        find "$SPOOL" -name '*.new' | grep -q . && bad+=" $deed:left"
        tasklog compress -q || bad+=" $deed:again"
    done
    is "FAULT 44: calls that fail are told, and leave what was there" "$bad" ""
else
    for n in 4 13 14 44 45; do skip "FAULT $n: a call fails, or is the last" "nothing can be traced here (ptrace)"; done
fi

fresh 15
: >"$TMP/ran"
start_taskd "$SPOOL"
run=$(submit "$TMP/seven.task")
ok "FAULT 15: a task runs" wait_until 20 has_event " start $run.0"
kill -s STOP "$TASKD"
: >"$TMP/go" # opened only: its reader ends at once, and a write could meet a closed pipe
ended() { ! pgrep -f "$TMP/go; exit 7"; }
ok "FAULT 15: it ends while nobody hears" wait_until 20 ended
stop_taskd KILL
start_taskd "$SPOOL"
ok "FAULT 15: the next taskd gets its status" wait_until 20 has_event " end $run.0 .*exit=7"
is "FAULT 15: it ran once" "$(wc -l <"$TMP/ran")" 1
holds 15

# ---- two taskd, a plan that rots, other versions

exits "FAULT 18: a second taskd ends with 73" 73 timeout 20 "$BIN/taskd" --spool="$SPOOL"
like "FAULT 18: and names the first" "$(cat "$TMP/err")" "is held by pid $TASKD on"
epoch=$(sed -n 's/.*epoch=\([0-9]*\).*/\1/p' "$SPOOL/owner")
stop_taskd KILL
sed -i "s/boot=[^ ]*/boot=00000000-0000-4000-8000-000000000000/; s/pid=[0-9]*/pid=1/" "$SPOOL/owner"
start_taskd "$SPOOL"
is "FAULT 18: a stale owner is followed, under the next epoch" "$(sed -n 's/.*epoch=\([0-9]*\).*/\1/p' "$SPOOL/owner")" "$((epoch + 1))"
ok "FAULT 18: which writes its own segments" test -e "$(printf '%s/journal/%08d-taskd-000001.open' "$SPOOL" $((epoch + 1)))"
holds 15
stop_taskd

fresh 52
: >"$TMP/ran"
start_taskd "$SPOOL"
submit "$TMP/quick.task" "$TMP/parked.task" >/dev/null
run=$(head -n 1 "$IDS")
ok "FAULT 52: work is done" wait_until 20 succeeded "$run"
parked=$(tail -n 1 "$IDS")
ok "FAULT 52: one runs" wait_until 20 has_event " start $parked.0"
task hold "$parked" >/dev/null
ok "FAULT 52: and is parked" wait_until 20 has_event " hold $parked"
stop_taskd KILL
plan=$(find "$SPOOL/hold" -name "$parked*")
python3 - "$plan" <<'PYTHON'
import sys
with open(sys.argv[1], "r+b") as file:
    data = file.read()
    at = data.index(b"1000")
    file.seek(at)
    file.write(b"1004")
PYTHON
start_taskd "$SPOOL"
rewritten() { grep -q 1000 "$plan"; }
ok "FAULT 52: a plan with a wrong digest is written again from its accept" wait_until 10 rewritten
task release "$parked" >/dev/null
ok "FAULT 52: what was accepted is what runs" wait_until 20 pgrep -fx "sleep 1000"
task cancel "$parked" >/dev/null
holds 52
stop_taskd

fresh 51
start_taskd "$SPOOL"
ok "FAULT 51: work is done" three_ran
printf '1795000000000000 future 01jdzj9g8r0000000000000000.0 a=1 colour=blue\n' | tasklog append
ok "FAULT 51: an unknown verb is kept" has_event ' future 01jdzj9g8r0000000000000000.0 a=1 colour=blue'
exits "FAULT 51: readers skip it" 0 tasklog verify
stop_taskd
sed -i 's/^taskcheckpoint 1/taskcheckpoint 2/' "$SPOOL/checkpoint"
start_taskd "$SPOOL"
ok "FAULT 51: a checkpoint of another version is not used: the journal is" three_ran
printf 'taskplan 2\n' >"$TMP/plan"
drop "$TMP/plan" plan.task
ok "FAULT 51: a plan of another version is refused" wait_until 20 test -s "$SPOOL/rejected/plan.task.reason"
stop_taskd # and writes one that can be used
start_taskd "$SPOOL"
holds 51
stop_taskd
echo 'taskspool 2' >"$SPOOL/version"
exits "FAULT 51: so is a spool" 77 timeout 20 "$BIN/taskd" --spool="$SPOOL"
like "FAULT 51: which is said" "$(cat "$TMP/err")" 'version is .*taskspool 2'
done_testing
