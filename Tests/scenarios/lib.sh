# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0
# TAP for the scenario tests: the built programs on a real spool. A test sources this file, calls
# the functions below and ends with `done_testing`; prove(1) runs it. A goal each; waits have
# deadlines and only wait_until sleeps.
#
#   BIN    directory of the built programs (TASKSPOOL_BIN, else the release build)
#   TMP    private directory of this test, removed at the end
#   ROOT   the source tree
set -euo pipefail

# shellcheck source=contrib/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../contrib/setup.sh" # ROOT, wait_until, gone, pool_pid
BIN=${TASKSPOOL_BIN:-$RELEASE}
TMP=$(mktemp -d "${TMPDIR:-/tmp}/taskspool-test.XXXXXX")
chmod 0711 "$TMP"
TEST_UID=$((20000 + $$ % 10000))
TEST_PIDS=() # what this test started; nothing else is ever killed
TEST_SPOOLS=()
TEST_COUNT=0
TEST_DONE=

unset TASK_SPOOL XDG_STATE_HOME XDG_CONFIG_HOME XDG_RUNTIME_DIR NO_COLOR
export LC_ALL=C.UTF-8 TZ=UTC
mkdir "$TMP/home" "$TMP/user"
export HOME=$TMP/home

# ---- results

plan() { # plan N
    echo "1..$1"
    TEST_DONE=1
}
done_testing() { plan "$TEST_COUNT"; }
bail() { # bail REASON: ends the whole run of prove
    echo "Bail out! $*"
    exit 1
}
diag() { sed 's/^/# /' >&2; }

result() { # result STATUS NAME
    TEST_COUNT=$((TEST_COUNT + 1))
    if [ "$1" -eq 0 ]; then echo "ok $TEST_COUNT - $2"; else echo "not ok $TEST_COUNT - $2"; fi
}
pass() { result 0 "$1"; }
fail() { result 1 "$1"; } # fail NAME

ok() { # ok NAME COMMAND…: the command succeeds
    local name=$1 status=0
    shift
    "$@" >"$TMP/.out" 2>&1 </dev/null || status=$?
    result $status "$name"
    [ $status -eq 0 ] || { echo "status $status of: $*" && head -c 4000 "$TMP/.out"; } | diag
}
exits() { # exits NAME STATUS COMMAND…: output is left in $TMP/out and $TMP/err
    local name=$1 want=$2 got=0
    shift 2
    "$@" >"$TMP/out" 2>"$TMP/err" </dev/null || got=$?
    if [ "$got" -eq "$want" ]; then pass "$name"; else
        fail "$name"
        { echo "status $got, not $want, of: $*" && head -c 4000 "$TMP/out" "$TMP/err"; } | diag
    fi
}
is() { # is NAME GOT WANT
    if [ "$2" = "$3" ]; then pass "$1"; else
        fail "$1"
        printf 'got:  %s\nwant: %s\n' "$2" "$3" | diag
    fi
}
like() { # like NAME GOT REGEX (bash's =~)
    if [[ $2 =~ $3 ]]; then pass "$1"; else
        fail "$1"
        printf 'got: %s\nno match: %s\n' "$2" "$3" | diag
    fi
}
unlike() { # unlike NAME GOT REGEX
    if [[ $2 =~ $3 ]]; then
        fail "$1"
        printf 'got: %s\nmatches: %s\n' "$2" "$3" | diag
    else pass "$1"; fi
}
# Whoever runs all tests can say what was left out, and why: lines FILE: NAME: REASON.
# Another user than theirs may not be able to write there.
note_skip() {
    [ -z "${TASKSPOOL_SKIPS-}" ] || { echo "${0##*/}: $*" >>"$TASKSPOOL_SKIPS"; } 2>/dev/null || true
}
skip() { # skip NAME REASON: one test that can't be had here
    note_skip "$1: $2"
    TEST_COUNT=$((TEST_COUNT + 1))
    echo "ok $TEST_COUNT - $1 # SKIP $2"
}
skip_all() { # skip_all REASON: ends this file
    note_skip "all: $1"
    echo "1..0 # SKIP $1"
    TEST_DONE=1
    exit 0
}
needs() { # needs PROGRAM…: ours must be built, others installed, else the file is skipped
    local program
    for program in "$@"; do
        [ -x "$BIN/$program" ] || command -v "$program" >/dev/null ||
            skip_all "$program is neither built nor installed"
    done
}

# ---- another user

is_root() { [ "$(id -u)" -eq 0 ]; }

# AS_USER: words that run a command as an unprivileged throw-away uid, with its own HOME (which
# is writable, $TMP/user). Without root it is the user who runs the tests.
if is_root; then
    AS_USER=(setpriv "--reuid=$TEST_UID" "--regid=$TEST_UID" --clear-groups --inh-caps=-all
        env "HOME=$TMP/user" "USER=tester" "LOGNAME=tester" "TMPDIR=$TMP/user")
    chown "$TEST_UID:$TEST_UID" "$TMP/user"
    # A tree below a closed directory can't be reached by that uid: give it copies.
    if [ -d "$BIN" ] && ! (cd / && "${AS_USER[@]}" test -x "$BIN/.") 2>/dev/null; then
        mkdir "$TMP/bin"
        for TEST_FILE in "$BIN"/task*; do
            [ ! -f "$TEST_FILE" ] || [ ! -x "$TEST_FILE" ] ||
                ln "$TEST_FILE" "$TMP/bin/" 2>/dev/null || cp "$TEST_FILE" "$TMP/bin/"
        done
        BIN=$TMP/bin
    fi
else
    AS_USER=(env "HOME=$TMP/user")
fi
PATH=$BIN:$PATH
as_user() { (cd "$TMP/user" && "${AS_USER[@]}" "$@"); } # as_user COMMAND…

# ---- daemons

# start_taskd SPOOL [OPTION…]: returns once it holds the spool. Its pid: $TASKD; its messages:
# $TMP/taskd.err. With RUN_AS=user it runs as that user. It compresses nothing unless it is given a
# --tasklog=: tests read segments by grep.
TASKD_UNDER=() # a command that executes taskd, with its arguments
start_taskd() {
    local spool=$1 as=()
    shift
    [ "${RUN_AS-}" != user ] || as=("${AS_USER[@]}")
    "${as[@]}" "${TASKD_UNDER[@]}" "$BIN/taskd" --spool="$spool" --tasklog=none "$@" </dev/null >>"$TMP/taskd.out" 2>>"$TMP/taskd.err" &
    TASKD=$!
    disown "$TASKD" # its death is part of some tests and no news
    TEST_PIDS+=("$TASKD")
    TEST_SPOOLS+=("$spool")
    wait_until 10 owned_by "$spool" "$TASKD" && return
    echo "taskd did not take $spool" | cat - "$TMP/taskd.err" | diag
    return 1
}
owned_by() { grep -qE "(^| )pid=$2( |\$)" "$1/owner" && [ -d "$1/incoming" ]; }

stop_taskd() { # stop_taskd [SIGNAL]: ends the last one, waits until it is gone
    kill -s "${1:-TERM}" "$TASKD" 2>/dev/null || true
    wait_until 15 gone "$TASKD" || kill -s KILL "$TASKD"
    wait "$TASKD" 2>/dev/null || true
}

# ---- the end: only what this test started, by pid

cleanup() {
    local status=$? pid spool
    trap - EXIT
    set +e
    for spool in "${TEST_SPOOLS[@]}"; do
        pid=$(pool_pid "$spool")
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != taskrun ] || TEST_PIDS+=("$pid")
    done
    for pid in "${TEST_PIDS[@]}"; do kill "$pid" 2>/dev/null; done
    for pid in "${TEST_PIDS[@]}"; do
        wait_until 3 gone "$pid" || kill -s KILL "$pid"
    done
    [ $status -eq 0 ] || [ ! -s "$TMP/taskd.err" ] || tail -n 20 "$TMP/taskd.err" | diag
    if [ -n "${KEEP-}" ]; then echo "$TMP" | diag; else rm -rf --one-file-system "$TMP"; fi
    exit $status
}
trap cleanup EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
