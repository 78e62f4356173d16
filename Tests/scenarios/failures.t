#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: every way to fail has its exit status, its typed reason in the events and a sentence that
# says what to do; retries are counted and their intervals grow. As root and as an ordinary user.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs taskrun task

mkdir -p "$TMP/user/units" && cd "$TMP/user/units"
unit() { # unit NAME LINES…: the last section is the command's
    local name=$1
    shift
    printf '%s\n' "$@" >"$name.task"
    chmod a+r "$name.task"
}
unit exit '[Command]' 'command="sh"' '[Args]' 'args="-c '"'exit 9'"'"'
unit signal '[Command]' 'command="sh"' '[Args]' 'args="-c '"'kill -TERM \$\$'"'"'
unit timeout '[Service]' 'MaxTime=300ms' '[Command]' 'command="sleep"' '[Args]' 'args="20"'
unit stubborn '[Service]' 'MaxTime=300ms' 'TimeoutStopSec=300ms' '[Command]' 'command="sh"' \
    '[Args]' 'args="-c '"'trap : TERM; while :; do sleep 1; done'"'"'
unit oom '[Service]' 'LimitMem=48M' '[Command]' 'command="python3"' '[Args]' \
    'args="-c '"'x=bytearray(300<<20); print(len(x))'"'"'
unit disk '[Service]' 'LimitDisk=4M' '[Command]' 'command="sh"' '[Args]' \
    'args="-c '"'head -c 20000000 /dev/zero >\$TASK_SCRATCH/big'"'"'
unit missing '[Command]' 'command="no-such-program"'
unit workdir '[Service]' 'WorkingDirectory=/nonexistent/place' '[Command]' 'command="true"'
unit check '[Checks]' 'first="true"' 'second="sh -c '"'echo too old; exit 4'"'"' 'third="true"' \
    '[Command]' 'command="echo"' '[Args]' 'args="never"'
unit retry '[Service]' 'Restart=3' 'RestartSec=50ms' '[Command]' 'command="sh"' '[Args]' \
    'args="-c '"'echo attempt \$TASK_ATTEMPT; exit 1'"'"'
unit tempfail '[Service]' 'Restart=2' 'RestartSec=20ms' '[Command]' 'command="sh"' '[Args]' \
    'args="-c '"'exit 78'"'"'
unit well '[Command]' 'command="echo"' '[Args]' 'args="all is well"'

# fails WHO UNIT STATUS REASON [SENTENCE]
fails() {
    local who=$1 name=$2 status=$3 reason=$4 sentence=${5-} events=$TMP/user/$1-$2.events
    local as=()
    [ "$who" = root ] || as=(as_user)
    rm -f "$events"
    exits "$who, $name: status $status" "$status" "${as[@]}" timeout -s KILL 40 \
        "$BIN/taskrun" --events="$events" "$PWD/$name.task"
    like "$who, $name: reason $reason" "$(grep -a ' end .*final=yes' "$events" || true)" "reason=$reason( |$)"
    [ -z "$sentence" ] || like "$who, $name: says what to do" "$(cat "$TMP/err")" "$sentence"
}

all() { # all WHO
    local who=$1 as=()
    [ "$who" = root ] || as=(as_user)
    exits "$who: a task that works" 0 "${as[@]}" "$BIN/taskrun" "$PWD/well.task"
    is "$who: its output and no more" "$(cat "$TMP/out")" "all is well"
    fails "$who" exit 9 exit
    fails "$who" signal 143 signal
    fails "$who" timeout 124 timeout 'MaxTime'
    fails "$who" stubborn 124 timeout
    if ! "${as[@]}" "$BIN/taskrun" --plan "$PWD/oom.task" | grep -q '^weak: .*LimitMem'; then
        fails "$who" oom 137 oom 'LimitMem'
    else # no cgroup is his: the nearest rlimit, and the record says so
        exits "$who, oom: the program meets the limit" 1 "${as[@]}" timeout -s KILL 40 \
            "$BIN/taskrun" --events="$TMP/user/weak.events" "$PWD/oom.task"
        like "$who, oom: the limit is named weak" "$(cat "$TMP/user/weak.events")" 'weak=[A-Za-z,]*LimitMem'
    fi
    fails "$who" disk 1 disk 'LimitDisk'
    fails "$who" missing 127 missing 'no-such-program'
    fails "$who" workdir 200 jail 'mkdir'
    fails "$who" check 4 check 'second'
    like "$who, check: shows its output" "$(cat "$TMP/out" "$TMP/err")" 'too old'
    unlike "$who, check: the command did not run" "$(cat "$TMP/out")" never
    fails "$who" retry 1 exit
    is "$who, retry: at most 3 further attempts" "$(grep -ac ' start ' "$TMP/user/$who-retry.events")" 4
    # 50, 100 and 200 ms, 10 % less at most: a machine that is slow makes each longer by what it likes.
    # shellcheck disable=SC2016
    ok "$who, retry: the intervals grow" awk '$2 == "start" { if (NR > 1 && last) gap[++n] = $1 - last }
        $2 == "end" { last = $1 }
        END { exit !(n == 3 && gap[1] >= 45000 && gap[2] >= 90000 && gap[3] >= 180000) }' \
        "$TMP/user/$who-retry.events"
    fails "$who" tempfail 78 exit
    is "$who, tempfail: 78 is not tried again" "$(grep -ac ' start ' "$TMP/user/$who-tempfail.events")" 1
    uses_its_own "$who" "${as[@]}"
}

# In one slot after a task that took 90 MB of memory and left 60 MB in the page cache.
uses_its_own() {
    local who=$1 place=$TMP/user/$1.place
    shift
    "$@" mkdir "$place"
    unit big '[Service]' "WorkingDirectory=$place" '[Command]' 'command="sh"' '[Args]' \
        'args="-c '"'head -c 60000000 /dev/zero >left; head -c 90000000 /dev/zero | tail -c 90000000 | wc -c'"'"'
    unit small '[Dependencies]' 'Requires=big.task' '[Command]' 'command="echo"' '[Args]' 'args="small"'
    exits "$who: a large task, then a small one" 0 "$@" timeout -s KILL 120 \
        "$BIN/taskrun" --slots=1 --events="$place/events" "$PWD/small.task"
    # shellcheck disable=SC2016
    ok "$who: the memory of each is its own" awk '$2 == "end" {
        for (i = 4; i <= NF; i++) if ($i ~ /^mem=/) mem[++n] = substr($i, 5) + 0 }
        END { print mem[1], mem[2]; exit !(n == 2 && mem[1] > 80e6 && mem[2] < 20e6) }' "$place/events"
}

# A limit that did not hold in full is told of a run that succeeded, too.
explains_weak() {
    local spool=$TMP/user/explained
    unit weak '[Service]' 'LimitMem=512M' '[Command]' 'command="true"'
    as_user "$BIN/taskrun" --plan "$PWD/weak.task" | grep -q '^weak: .*LimitMem' || return 0
    exits "user: a task with a weak limit" 0 as_user env "TASK_SPOOL=$spool" "$BIN/task" run "$PWD/weak.task"
    like "user: explain names it and the page" \
        "$(as_user env "TASK_SPOOL=$spool" "$BIN/task" explain last)" 'LimitMem= held for each process.*task-jail\(7\)'
}

if is_root; then all root; fi
all user
explains_weak
done_testing
