#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: rows 5, 6, 7, 12, 40, 41, 42 and 43 of task-faults(7): a disk that is full, out of inodes or of quota, slow, hung, read-only,
# in two parts, or taken away. All disks are mounted in a namespace of this test.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog unshare cc
# shellcheck source=Tests/scenarios/faults/common.sh
. "$ROOT/Tests/scenarios/faults/common.sh"

if [ -z "${FAULTS_INSIDE-}" ]; then
    is_root || skip_all "not root: the disks of rows 5 to 7, 12 and 40 to 43 are mounted (full.t tries 5 and 6 as any user)"
    "${IN_NAMESPACE[@]}" true 2>/dev/null || skip_all "no mount namespace can be had here"
    status=0
    FAULTS_INSIDE=$(id -u) "${IN_NAMESPACE[@]}" bash "$0" || status=$?
    exit $status
fi
unmount() { for name in small inodes hung ext stwo; do umount -l "$TMP/$name" 2>/dev/null || true; done; }
trap 'unmount; cleanup' EXIT
# Root, or an ordinary user who is root of his user namespace alone: no loop devices for him.
is_real_root() { [ "$FAULTS_INSIDE" = 0 ]; }
disk() { # disk NAME OPTIONS
    mkdir "$TMP/$1"
    mount -t tmpfs -o "$2,mode=755" tmpfs "$TMP/$1"
}
traced=
build_inject >/dev/null 2>&1 && traced=yes
unit quick true
mkfifo "$TMP/go"

# ---- no space (full.t has more of it)

disk small size=24m
fresh 5 "$TMP/small"
start_taskd "$SPOOL"
fill() { dd if=/dev/zero of="$TMP/small/fill" bs=64k 2>/dev/null || true; }
unit wait "cat <$TMP/go >/dev/null; echo x >>$TMP/ran.6"
long=$(submit "$TMP/wait.task")
ok "FAULT 6: a task runs" wait_until 20 has_event " start $long.0"
fill
exits "FAULT 5: submit on a full disk says to try later" 75 task submit "$TMP/quick.task"
like "FAULT 5: and why" "$(cat "$TMP/err")" 'No space left on device.*nothing was submitted'
is "FAULT 5: tmp/ and incoming/ are clean" "$(find "$SPOOL/tmp" "$SPOOL/incoming" -type f)" ""
ok "FAULT 5: the caller keeps its file" test -s "$TMP/quick.task"
echo >"$TMP/go"
ok "FAULT 6: what ran ends on record, from the reserve" wait_until 20 has_event " end $long .*state=success"
rm "$TMP/small/fill"
ok "FAULT 5: with space again work is taken" wait_until 20 submit "$TMP/quick.task"
holds 5

# The reserve used up, too: the completions wait in memory. They are of one run, whose plan's space does
# not come back before all are on record, and more than fit into what is left of a page.
unit wait2 "cat <$TMP/go2 >/dev/null; echo x >>$TMP/ran.6"
mkfifo "$TMP/go2"
stop_taskd
pool=$(pool_pid "$SPOOL")
kill "$pool"
wait_until 10 gone "$pool"
start_taskd "$SPOOL" --slots=60
for i in {1..60}; do
    [ "$i" = 1 ] || echo ---
    cat "$TMP/wait2.task"
done >"$TMP/many"
task submit - <"$TMP/many" | sort >"$TMP/many.ids"
all_run() { [ "$(events | awk -v run="$(head -c 26 "$TMP/many.ids")" '$5 == "start" && index($6, run) == 1' | wc -l)" = 60 ]; }
ok "FAULT 6: many run" wait_until 20 all_run
: >"$TMP/ran.6"
kill -s STOP "$TASKD"
truncate -s 0 "$SPOOL/journal/.reserve"
find "$SPOOL/journal" -name '*.open' | while read -r open; do # no zeros ahead either
    truncate -s "$(tr -d '\0' <"$open" | wc -c)" "$open"
done
fill
kill -s CONT "$TASKD"
echo >"$TMP/go2"
ok "FAULT 6: without reserve taskd says so" wait_until 20 said 'nothing is accepted or started until there is space'
ok "FAULT 6: it lives" kill -0 "$TASKD"
like "FAULT 6: task status says that the disk is full" "$(task status 2>&1)" '[Dd]isk|space'
rm "$TMP/small/fill"
holds 6
is "FAULT 6: none that had ended ran again" "$(wc -l <"$TMP/ran.6")" 60
is "FAULT 6: each has one end" "$(events | awk '$5 == "end" && / final=yes/ { print $6 }' | grep -Fxf "$TMP/many.ids" | sort)" "$(cat "$TMP/many.ids")"
stop_taskd

# ---- no inodes, no quota

disk inodes size=32m,nr_inodes=400
fresh 7 "$TMP/inodes"
start_taskd "$SPOOL"
first=$(submit "$TMP/quick.task")
ok "FAULT 7: a task runs" wait_until 20 succeeded "$first"
long=$(submit "$TMP/wait.task")
ok "FAULT 7: and one that waits" wait_until 20 has_event " start $long.0"
i=0
while : 2>/dev/null >"$TMP/inodes/f$i"; do i=$((i + 1)); done 2>/dev/null
exits "FAULT 7: submit without an inode says to try later" 75 task submit "$TMP/quick.task"
like "FAULT 7: and names inodes" "$(cat "$TMP/err")" 'inode'
is "FAULT 7: nothing is left behind" "$(find "$SPOOL/tmp" "$SPOOL/incoming" -type f)" ""
echo >"$TMP/go"
ok "FAULT 7: what ran ends on record" wait_until 20 has_event " end $long .*state=success"
rm "$TMP/inodes/f0"
cp "$TMP/quick.task" "$SPOOL/incoming/late.task"
ok "FAULT 7: a drop waits, and taskd names the inodes" wait_until 20 said '[0-9]+ inodes are free'
ok "FAULT 7: it waits without turning in circles" idles
find "$TMP/inodes" -maxdepth 1 -name 'f*' -delete
ok "FAULT 7: with inodes again it runs" wait_until 20 succeeded late
holds 7
if [ $traced ]; then
    exits "FAULT 7: over quota submit says to try later" 75 "$TMP/inject" -c write,pwrite64 -n 1 -e EDQUOT "$BIN/task" submit "$TMP/quick.task"
    like "FAULT 7: and names the quota" "$(cat "$TMP/err")" 'quota'
    stop_taskd
    : >"$TMP/taskd.err"
    # Its writes fail one after the other: at the start it ends or tries again, then a drop waits.
    up_or_gone() { is_up || ! kill -0 "$WATCHER" 2>/dev/null; }
    ran_or_gone() { succeeded "over$n" || ! kill -0 "$WATCHER" 2>/dev/null; }
    for n in 1 2 3; do
        with_faults -c write -n "$n" -e EDQUOT --
        ok "FAULT 7: over quota taskd starts, or ends ($n)" wait_until 20 up_or_gone
        drop "$TMP/quick.task" "over$n.task"
        ok "FAULT 7: what was dropped runs within quota, or taskd has ended ($n)" wait_until 40 ran_or_gone
        if kill -0 "$WATCHER" 2>/dev/null; then TASKD=$(owner_pid); else start_taskd "$SPOOL"; fi
        ok "FAULT 7: the next one runs it ($n)" wait_until 20 succeeded "over$n"
        stop_taskd
        wait "$WATCHER" 2>/dev/null || true
    done
    ok "FAULT 7: taskd names the quota" said '[Qq]uota'
    like "FAULT 7: of a drop that waits" "$(cat "$TMP/taskd.err")" 'over[0-9][.]task.*quota'
    start_taskd "$SPOOL"
    holds 7
fi
stop_taskd

# ---- two file systems in one spool

fresh 12
start_taskd "$SPOOL"
stop_taskd
mount -t tmpfs tmpfs "$SPOOL/tmp"
exits "FAULT 12: tmp/ on another file system: taskd does not start" 77 timeout 20 "$BIN/taskd" --spool="$SPOOL"
like "FAULT 12: it says which and why" "$(cat "$TMP/err")" "s12/tmp: it is on another file system"
umount "$SPOOL/tmp"
mount --bind "$SPOOL/tmp" "$SPOOL/tmp"
exits "FAULT 12: nor on another mount of the same (EXDEV)" 77 timeout 20 "$BIN/taskd" --spool="$SPOOL"
like "FAULT 12: which it says" "$(cat "$TMP/err")" "s12/tmp: it is on another file system"
exits "FAULT 12: and submit neither copies nor unlinks" 69 task submit "$TMP/quick.task"
umount "$SPOOL/tmp"

# ---- a slow disk

if [ $traced ]; then
    fresh 40
    with_faults -c fdatasync -n 3 -m 100000 -d 1000 --
    ok "FAULT 40: taskd is up" wait_until 20 is_up
    TASKD=$(owner_pid)
    before=$SECONDS
    submit "$TMP/quick.task" "$TMP/quick.task" "$TMP/quick.task" "$TMP/quick.task" "$TMP/quick.task" "$TMP/quick.task" >/dev/null
    unit timed "sleep 30" MaxTime=1s
    timed=$(submit "$TMP/timed.task")
    ok "FAULT 40: with a second for each sync all end" wait_until 40 at_rest
    ok "FAULT 40: in groups, not one by one" test $((SECONDS - before)) -lt 20
    is "FAULT 40: slow is not dead: nothing counts as lost" "$(events | grep -c ' lost ' || true)" 0
    like "FAULT 40: a limit of time is the task's own" "$(events | grep -a " end $timed.0")" 'reason=timeout'
    holds 40
    kill -s TERM "$TASKD"
    wait_until 20 gone "$TASKD"
else
    skip "FAULT 40: a disk with a second for each sync" "nothing can be traced here (ptrace)"
fi

# ---- a mount that hangs

hang() { # hang DIRECTORY
    mkdir "$1"
    python3 "$HERE/hung.py" "$1" >"$TMP/hung.out" 2>&1 &
    HUNG=$!
    TEST_PIDS+=("$HUNG")
    wait_until 10 grep -q ready "$TMP/hung.out"
}
fresh 41
if [ -c /dev/fuse ] && command -v python3 >/dev/null && hang "$TMP/hung"; then
    start_taskd "$SPOOL" --slots=8
    unit hung1 "cat $TMP/hung/x" MaxTime=60s
    unit hung2 true "WorkingDirectory=$TMP/hung/w"
    unit hung3 true "StandardOutput=file:$TMP/hung/o"
    printf '[Jail]\nJail=no\n[Command]\ncommand="%s"\n' "$TMP/hung/p" >"$TMP/hung4.task"
    printf '[Service]\nWorkingDirectory=%s\n[Command]\ncommand="true"\n' "$TMP/hung/v" >"$TMP/hung5.task"
    printf '[Jail]\nBindPaths=%s\n[Command]\ncommand="true"\n' "$TMP/hung/b" >"$TMP/hung6.task"
    for i in 1 2 3 4 5 6; do drop "$TMP/hung$i.task" "hung$i.task"; done
    active() { [ "$(find "$SPOOL/active" -type f | wc -l)" -ge 6 ]; }
    ok "FAULT 41: tasks hang" wait_until 20 active
    for i in 1 2 3; do
        exits "FAULT 41: others go on ($i)" 0 timeout 20 task submit --wait "$TMP/quick.task"
    done
    exits "FAULT 41: task status answers" 0 timeout 10 task status
    kill "$HUNG"
    ok "FAULT 41: when the mount comes to its end, so do they" wait_until 40 at_rest
    holds 41
    stop_taskd
    umount -l "$TMP/hung" 2>/dev/null || true
else
    skip "FAULT 41: a mount that hangs" "no FUSE here: $(head -n 1 "$TMP/hung.out" 2>/dev/null)"
fi

# ---- a disk that turns read-only

readonly_disk() {
    is_real_root && command -v mkfs.ext4 >/dev/null || return 1
    mkdir "$TMP/ext"
    truncate -s 48M "$TMP/ext.img"
    mkfs.ext4 -q -O ^has_journal "$TMP/ext.img" >/dev/null 2>&1 && mount -o loop,errors=remount-ro "$TMP/ext.img" "$TMP/ext"
}
if readonly_disk; then
    fresh 42 "$TMP/ext"
    start_taskd "$SPOOL"
    unit long42 "cat <$TMP/go >/dev/null; echo x >>$TMP/ran.42"
    long=$(submit "$TMP/long42.task")
    ok "FAULT 42: a task runs" wait_until 20 has_event " start $long.0"
    pool=$(pool_pid "$SPOOL")
    mount -o remount,abort "$TMP/ext" 2>/dev/null || true # as after an error of the disk
    if touch "$TMP/ext/x" 2>/dev/null; then
        rm "$TMP/ext/x"
        skip "FAULT 42: a disk that turns read-only" "this kernel does not abort a file system by remount"
        echo >"$TMP/go"
        stop_taskd
    else
        exits "FAULT 42: submit says that it can't be" 74 task submit "$TMP/quick.task"
        like "FAULT 42: and why" "$(cat "$TMP/err")" '[Rr]ead-only'
        ok "FAULT 42: what runs goes on" kill -0 "$pool"
        echo >"$TMP/go"
        ok "FAULT 42: at the next record taskd stops" wait_until 20 gone "$TASKD"
        status=0
        wait "$TASKD" 2>/dev/null || status=$?
        ok "FAULT 42: it says what and why" said 'journal/.*(Read-only|Input/output).*taskd stops; what runs goes on'
        ok "FAULT 42: its task did its work" wait_until 20 test -s "$TMP/ran.42"
        kill "$pool"
        wait_until 10 gone "$pool"
        umount "$TMP/ext"
        e2fsck -fy "$TMP/ext.img" >/dev/null 2>&1 || true
        mount -o loop "$TMP/ext.img" "$TMP/ext"
        start_taskd "$SPOOL"
        (echo >"$TMP/go") 2>/dev/null &
        TEST_PIDS+=($!)
        holds 42
        stop_taskd
    fi
    umount -l "$TMP/ext"
else
    skip "FAULT 42: a disk that turns read-only" "not root, or no loop device: no disk can be made"
fi

# ---- taken away

stops_with() { # stops_with STATUS REGEX NAME
    ok "FAULT 43: $3: taskd stops" wait_until 10 gone "$TASKD"
    ok "FAULT 43: $3: it says what" said "$2"
    exits "FAULT 43: $3: with status $1" "$1" cat_status
}
cat_status() { wait_until 5 test -s "$TMP/status" && return "$(cat "$TMP/status")"; }
watched_taskd() { # as start_taskd, its status in $TMP/status
    rm -f "$TMP/status"
    : >"$TMP/taskd.err"
    {
        "$BIN/taskd" --spool="$SPOOL" </dev/null >>"$TMP/taskd.out" 2>>"$TMP/taskd.err" || echo $? >"$TMP/status"
    } 2>/dev/null &
    TEST_SPOOLS+=("$SPOOL")
    wait_until 20 is_up
    TASKD=$(owner_pid)
    TEST_PIDS+=("$TASKD")
    task submit --wait "$TMP/quick.task" >/dev/null # it is there, and watches
}
fresh 43
watched_taskd
mv "$SPOOL" "$SPOOL.away"
stops_with 69 'moved or deleted under taskd' "the spool is renamed"
ok "FAULT 43: nothing is built in its place" test ! -e "$SPOOL"
mv "$SPOOL.away" "$SPOOL"
for directory in journal tmp ready rejected; do
    watched_taskd
    mv "$SPOOL/$directory" "$TMP/away.$directory"
    stops_with 69 'moved or deleted under taskd' "$directory/ is moved away"
    mv "$TMP/away.$directory" "$SPOOL/$directory"
done
watched_taskd
rm -rf "$SPOOL/log"
stops_with 69 'moved or deleted under taskd' "log/ is deleted"
ok "FAULT 43: log/ is not built anew by it" test ! -e "$SPOOL/log"
watched_taskd
chmod 777 "$SPOOL/ready"
stops_with 77 's43/ready: it must belong to uid' "others may write"
chmod 700 "$SPOOL/ready"
watched_taskd
submit "$TMP/quick.task" >/dev/null
holds 43
stop_taskd
done_testing
