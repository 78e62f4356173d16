#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: each state of task-spool(7) that a crash or a power failure leaves has its one recovery. Real
# work by the real programs; all is killed, then what had not reached the disk is taken away; taskd
# starts again on another boot id. Nothing acknowledged is lost, each generation ends once, the
# directories are as empty as they should be, each change has one record.
#
# powerfail.t [CASE…]: the cases (functions case_NAME in powerfail/*.sh) run side by side, each with
# a spool and a boot id of its own, as this user and, where that is root, as an ordinary one.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog unshare python3

CASES=$ROOT/Tests/scenarios/powerfail
for file in "$CASES"/*.sh; do
    # shellcheck source=/dev/null
    . "$file"
done

# ---- all cases: each is this file again, in a mount namespace with a boot id of its own

# Words that run a command where the file $BOOT lies over the kernel's boot id.
in_boot() { # in_boot FILE [WORDS that become the user]…
    local enter=(unshare -m --propagation private) file=$1
    shift
    # Without root it takes a user namespace, and one more to be oneself again.
    if ! is_root; then
        enter+=(-r)
        set -- unshare -U "--map-user=$(id -u)" "--map-group=$(id -g)"
    fi
    # shellcheck disable=SC2016
    OVER=("${enter[@]}" env "BOOT=$file" bash -c
        'mount --bind "$BOOT" /proc/sys/kernel/random/boot_id && exec "$@"' mount "$@")
}

run_cases() { # run_cases WHO [WORDS]…: reports all cases
    local who=$1 name running=0
    shift
    in_boot "$TMP/boot.$who.probe" "$@"
    cat /proc/sys/kernel/random/uuid >"$TMP/boot.$who.probe"
    if ! "${OVER[@]}" test -r /proc/sys/kernel/random/boot_id 2>/dev/null; then
        skip "$who" "no boot id of one's own can be had in a namespace here"
        return
    fi
    for name in "${names[@]}"; do
        in_boot "$TMP/boot.$who.$name" "$@"
        install -m 0666 /dev/null "$TMP/boot.$who.$name"
        cat /proc/sys/kernel/random/uuid >"$TMP/boot.$who.$name"
        (cd / && exec "${OVER[@]}" env "TASKSPOOL_BIN=$BIN" "POWERFAIL_CASE=$name" bash "$tree/Tests/scenarios/powerfail.t") \
            >"$TMP/out.$who.$name" 2>"$TMP/err.$who.$name" </dev/null &
        TEST_PIDS+=($!)
        running=$((running + 1))
        [ $running -lt 8 ] || { wait -n || true; }
    done
    wait
    for name in "${names[@]}"; do repeat "$who" "$name"; done
}

repeat() { # repeat WHO CASE: its results under our numbers
    local line
    echo "# $2 as $1"
    while IFS= read -r line; do
        case $line in
        "ok "*"# SKIP "*) skip "$1: $2: $(sed -E 's/^ok [0-9]+ - (.*) # SKIP .*/\1/' <<<"$line")" "${line##*# SKIP }" ;;
        "ok "*) pass "$1: $2: ${line#ok * - }" ;;
        "not ok "*) fail "$1: $2: ${line#not ok * - }" ;;
        1..*) continue ;;
        *) echo "$line" ;;
        esac
    done <"$TMP/out.$1.$2"
    grep -qE '^1\.\.[0-9]' "$TMP/out.$1.$2" || fail "$1: $2: the case came to its end"
    sed "s/^/$2: /" "$TMP/err.$1.$2" >&2
}

if [ -z "${POWERFAIL_CASE-}" ]; then
    names=("$@")
    [ $# -gt 0 ] || mapfile -t names < <(sed -nE 's/^case_([a-z_]+)\(\).*/\1/p' "$CASES"/{random,[!r]*}.sh)
    # An ordinary user need not be able to read this tree.
    tree=$TMP/tree
    mkdir -p "$tree/contrib" "$tree/Tests/scenarios"
    cp "$ROOT/contrib/setup.sh" "$tree/contrib/"
    cp -R "$ROOT/Tests/scenarios/lib.sh" "$CASES.t" "$CASES" "$tree/Tests/scenarios/"

    run_cases "$(is_root && echo root || echo user)"
    if is_root; then run_cases user "${AS_USER[@]}"; fi
    done_testing
    exit 0
fi

# ---- one case

records() { # all of taskd, in order, without their frames
    local file files=()
    for file in "$SPOOL"/journal/*-taskd-*; do
        case $file in *.open | *.sealed) files+=("$file") ;; esac
    done
    [ ${#files[@]} -eq 0 ] || cat "${files[@]}" 2>/dev/null | tr -d '\0' |
        sed -nE 's/^[0-9a-f]{8} [0-9]+ [+]?[0-9]+ //p'
}
disk() { python3 "$CASES/disk.py" "$1" "$SPOOL" "${@:2}"; }
# shellcheck disable=SC2153 # from in_boot
new_boot() { cat /proc/sys/kernel/random/uuid >"$BOOT"; }

begin() { # begin WORDS: a new spool with a taskd
    echo "# $*"
    SPOOL=$TMP/spool
    export TASK_SPOOL=$SPOOL
    start_taskd "$SPOOL"
}
crash() { # both daemons, and the tasks with them
    local pool
    pool=$(pool_pid "$SPOOL" || true)
    stop_taskd KILL 2>/dev/null
    [ -z "$pool" ] || kill -s KILL "$pool" 2>/dev/null || true
    [ -z "$pool" ] || wait_until 10 gone "$pool"
}
# shellcheck disable=SC2034 # for the cases: a run of nobody
ID=01m89dfvk10dxgmb54evy1fm2r
TRACE=()
restart() { # in the same boot
    if [ ${#TRACE[@]} -eq 0 ]; then
        start_taskd "$SPOOL"
    else # the tracer's child is taskd
        "${TRACE[@]}" "$BIN/taskd" --spool="$SPOOL" </dev/null >>"$TMP/taskd.out" 2>>"$TMP/taskd.err" &
        TASKD=$!
        disown "$TASKD"
        TEST_PIDS+=("$TASKD")
        wait_until 10 owned_by "$SPOOL" "$TASKD"
    fi
}
reboot() { new_boot && restart; }
is_not() { ! "$@"; }

unit() { printf '[Service]\n%s\n[Jail]\nJail=no\n[Command]\ncommand="sh"\n[Args]\nargs="-c '"'%s'"'"\n' "${2-}" "$1"; }
# ran NAME writes a line in $TMP/ran.NAME; then it waits for $TMP/go.NAME where that is asked for.
ran() { echo "echo x >>$TMP/ran.$1"; }
runs_of() { [ -e "$TMP/ran.$1" ] && wc -l <"$TMP/ran.$1" || echo 0; }
waits() { echo "$(ran "$1"); until [ -e $TMP/go.$1 ]; do sleep 0.05; done"; }
go() { : >"$TMP/go.$1"; }
has_run() { [ "$(runs_of "$1")" -ge "${2-1}" ]; }
# again fails the first time, and then waits as `one` does, once $TMP/second is there.
again() { echo "$(ran one); test -e $TMP/second || exit 3; until [ -e $TMP/go.one ]; do sleep 0.05; done"; }
submit() { "$BIN/task" submit "$TMP/$1.task"; }
one_active() { # $id: a run of `one` that has begun
    id=$(submit one)
    ok "a run is active" wait_until 20 has_run one
}
two_fail() { # two_fail SCRIPT: $id, a run of two tasks of which the second, SCRIPT, has failed
    cp "$TMP/lib.task" "$SPOOL/units/lib.task"
    { printf '[Dependencies]\nRequires=lib.task\n' && unit "$1"; } >"$TMP/two_fail.task"
    id=$(submit two_fail)
    ok "a run of two tasks fails" wait_until 20 at failed "$id+1"
}
unit "$(waits one)" >"$TMP/one.task"
unit 'exit 3' >"$TMP/bad3.task"
unit "$(ran lib)" >"$TMP/lib.task"
unit "$(ran flaky); test -e $TMP/go.flaky" $'Restart=2\nRestartSec=5s' >"$TMP/flaky.task"

at() { [ -n "$(find "$SPOOL/$1" -name "$2" -print -quit)" ]; }
gone_from() { ! at "$@"; } # gone_from DIRECTORY NAME
empty() { [ -z "$(find "$SPOOL"/{incoming,tmp,ready,active,deferred} -mindepth 1 -print -quit)" ]; }
recorded() { records | grep -qE "$1"; }
count() { records | grep -cE "$1" || true; }
# The one final end of a run's generation: its state, or what is wrong.
end_of() { records | awk -v id="$1" -v g="${2-0}" '$2 == "end" && $3 == id && / final=yes/ {
    own = 0; for (i = 4; i <= NF; i++) { if ($i ~ /^g=/) own = substr($i, 3); if ($i ~ /^state=/) s = substr($i, 7) }
    if (own == g) { n++; state = s } } END { print n == 1 ? state : n + 0 " ends" }'; }
ended() { [[ $(end_of "$@") != *ends ]]; }

"case_$POWERFAIL_CASE"
[ -z "${TASKD-}" ] || crash
echo "# $POWERFAIL_CASE took $SECONDS s"
done_testing
