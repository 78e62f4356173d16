# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0
# What the fault tests share. Sourced after lib.sh. A test of row N of task-faults(7) is called `FAULT N: …`.

HERE=$ROOT/Tests/scenarios/faults

# fresh NAME [DIRECTORY]: the spool $SPOOL for what follows; $IDS collects what was acknowledged.
fresh() {
    SPOOL=${2:-$TMP}/s$1
    IDS=$TMP/ids.$1
    export TASK_SPOOL=$SPOOL
    : >"$IDS"
    : >"$TMP/taskd.err"
}
submit() { task submit "$@" | tee -a "$IDS"; } # submit FILE…

# unit NAME SCRIPT [LINE…]: $TMP/NAME.task runs the shell script, unjailed; the lines go into [Service].
unit() {
    local name=$1 script=$2
    shift 2
    printf '%s\n' '[Service]' "$@" '[Jail]' 'Jail=no' '[Command]' 'command="sh"' '[Args]' \
        "args=\"-c '$script'\"" >"$TMP/$name.task"
    chmod a+r "$TMP/$name.task"
}
drop() { # drop FILE NAME: moved into incoming/ in whole
    cp "$1" "$SPOOL/incoming/.$2"
    mv "$SPOOL/incoming/.$2" "$SPOOL/incoming/$2" 2>/dev/null || true # mv(1) looks at it afterwards
}

events() { find "$SPOOL/journal" -type f -name '*.[os]*' -not -name '*.sqlite*' -exec cat {} + | tr -d '\0'; }
# finals ID: how often its task 0 came to its final end
finals() { events | awk -v id="$1.0" '$5 == "end" && $6 == id && / final=yes/' | wc -l; }
starts() { events | awk -v id="$1.0" '$5 == "start" && $6 == id' | wc -l; }
has_event() { events | grep -aE "$1" >/dev/null; }
said() { grep -qE "$1" "$TMP/taskd.err"; }
at_rest() {
    [ -z "$(find "$SPOOL"/{incoming,tmp,ready,active,deferred} -mindepth 1 -not -name '.*' -print -quit)" ]
}
# unended ONCE: the acknowledged runs without a final end; with 1, those with more than one, too.
unended() {
    events | awk '$5 == "end" && / final=yes/ { print $6 }' | sort | uniq -c |
        awk -v ids="$IDS" -v once="$1" '{ n[$2] = $1 }
            END { while ((getline id <ids) > 0) { had = n[id ".0"] + 0
                if (once ? had != 1 : !had) print id, "ended", had, "times" } }'
}
# A cancelled run is in failed/ before its end is in the journal.
all_ended() { at_rest && [ -z "$(unended 0)" ]; }
succeeded() { task status --check "$1"; }

# breaches: which promises do not hold, one a line: each acknowledged run has one final end (O1, O2,
# O6), fsck and verify are content, few descriptors are open (O7).
breaches() {
    unended 1
    tasklog verify -q 2>&1 | grep . || true
    task fsck -q >/dev/null 2>&1 || task fsck 2>&1 || true
    if kill -0 "$TASKD" 2>/dev/null; then
        local open
        open=$(find "/proc/$TASKD/fd" -mindepth 1 | wc -l)
        [ "$open" -le 40 ] || echo "taskd has $open descriptors"
    fi
}
# holds N: after the fault all work ends, and no promise is broken.
holds() {
    ok "FAULT $1: all work ends (O8)" wait_until 40 all_ended
    is "FAULT $1: nothing is lost, one end each, spool and journal are sound (O1 O2 O6 O7)" "$(breaches)" ""
}

# idles [PID]: it takes no more than a fifth of a second of CPU within a second
idles() {
    local before pid=${1:-$TASKD}
    before=$(awk '{ print $14 + $15 }' "/proc/$pid/stat")
    timeout 1 sh -c 'exec sleep 2' || true
    test "$(($(awk '{ print $14 + $15 }' "/proc/$pid/stat") - before))" -lt "$(($(getconf CLK_TCK) / 5))"
}

# The watcher of system calls (../crash/inject.c), where anything can be traced.
build_inject() {
    [ "$(uname -m)" = x86_64 ] || return 1
    cc -std=gnu11 -O2 -o "$TMP/inject" "$ROOT/Tests/scenarios/crash/inject.c" &&
        "$TMP/inject" -c getpid -n 1 true
}
# with_faults INJECT-OPTION… -- : starts taskd on $SPOOL under the watcher; $TASKD is its pid.
with_faults() {
    local options=()
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    "$TMP/inject" "${options[@]}" "$BIN/taskd" --spool="$SPOOL" "$@" </dev/null >>"$TMP/taskd.out" 2>>"$TMP/taskd.err" &
    WATCHER=$!
    TEST_PIDS+=("$WATCHER")
    TEST_SPOOLS+=("$SPOOL")
}
owner_pid() { sed -n 's/.*\bpid=\([0-9]*\).*/\1/p' "$SPOOL/owner" 2>/dev/null; }
is_up() { [ -d "$SPOOL/incoming" ] && kill -0 "$(owner_pid)"; }

# in_namespace COMMAND…: as root of a mount namespace of its own; an ordinary user in a user namespace.
if is_root; then IN_NAMESPACE=(unshare -m --propagation private); else IN_NAMESPACE=(unshare -U -r -m --propagation private); fi
