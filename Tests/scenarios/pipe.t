#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: `taskrun -` is a filter: a plan in, event lines out, a status that a script can use; what is
# no plan starts nothing. As root and as an ordinary user.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs taskrun

plan_of() { # lines of a plan on standard input
    {
        echo "taskplan 1"
        cat
    } >"$TMP/body"
    cat "$TMP/body"
    echo "digest $(sha256sum <"$TMP/body" | cut -d ' ' -f 1)"
}
pipe() { # pipe NAME STATUS [OPTION…]: the plan is $TMP/plan
    local name=$1 want=$2 got=0
    shift 2
    timeout -s KILL 40 "${as[@]}" "$BIN/taskrun" "$@" - <"$TMP/plan" >"$TMP/out" 2>"$TMP/err" || got=$?
    is "$name" "$got" "$want"
}
field() { sed -n "s/.* $1=\\([^ ]*\\).*/\\1/p"; }
event() { grep -aE "^[0-9]+ $1( |\$)" "$TMP/out" || true; }

everything() { # everything WHO
    plan_of >"$TMP/plan" <<'END'
task 0 a command=echo arg=one
task 1 b check=ready=echo%20ready command=sh arg=-c arg=echo%20out;echo%20err%20>&2
task 2 c command=false
task 3 d command=true
edge 0 1 ok
edge 2 3 ok
END
    pipe "$1: a failure is status 1" 1 --id=01m88gw5xr1c3076pf4v8mtxa3
    is "$1: the given id" "$(event accept | cut -d ' ' -f 3)" 01m88gw5xr1c3076pf4v8mtxa3
    is "$1: one final end a task" "$(event 'end .*final=yes' | wc -l)" 4
    like "$1: what a failed dependency stopped" "$(event 'end [^ ]*\.3 .*')" "state=failure reason=dependency what=c,%20which%20it%20requires,%20failed name=d final=yes"
    unlike "$1: and it has no start" "$(event 'start .*')" '\.3 '
    like "$1: the check and its status" "$(event 'check .*')" '\.1 a=1 name=ready exit=0'
    like "$1: a check's output is tagged" "$(event 'note .*step=1 .*')" 'fd=1 data=ready%0A'
    like "$1: standard error is tagged" "$(event 'note .*fd=2 .*')" 'step=0 fd=2 data=err%0A'
    like "$1: the run's end is last" "$(tail -n 1 "$TMP/out")" ' end 01m88gw5xr1c3076pf4v8mtxa3 state=failure'

    plan_of >"$TMP/plan" <<'END'
task 0 a Jail=no LogLimit=1K command=seq arg=100000
END
    pipe "$1: too much output is no failure" 0
    is "$1: LogLimit= is kept to the byte, the rest counted" \
        "$(event 'note .*what=log.limit.*' | field kept) $(event 'note .*log.limit.*' | field dropped)" \
        "1024 $(($(seq 100000 | wc -c) - 1024))"

    plan_of >"$TMP/plan" <<'END'
task 0 a command=sh arg=-c arg=sleep%201
task 1 b command=sh arg=-c arg=sleep%201
task 2 c command=sh arg=-c arg=sleep%201
task 3 d command=sh arg=-c arg=sleep%201
END
    pipe "$1: four at once" 0 --slots=4
    local first last
    first=$(event 'end .*final=yes' | head -n 1 | cut -d ' ' -f 1)
    last=$(event 'start .*' | tail -n 1 | cut -d ' ' -f 1)
    ok "$1: all of a level run at once" test "$last" -lt "$first"

    head -n 2 "$TMP/plan" >"$TMP/cut" && mv "$TMP/cut" "$TMP/plan"
    pipe "$1: half a plan is refused" 2
    like "$1: and says why" "$(cat "$TMP/err")" '^taskrun: error: unable to read the plan: .*nothing was started'
    is "$1: nothing was started" "$(wc -c <"$TMP/out")" 0
    head -c 100000 /dev/urandom >"$TMP/plan"
    pipe "$1: garbage is refused" 2
    : >"$TMP/plan"
    pipe "$1: nothing is refused" 2
}

as=()
if is_root; then everything root; else skip "as root" "the tests run as an ordinary user"; fi
as=("${AS_USER[@]}")
everything user

# Interrupted: what runs is ended in good order, and recorded.
plan_of >"$TMP/plan" <<'END'
task 0 a command=sleep arg=30
task 1 b command=true
edge 0 1 ok
END
"$BIN/taskrun" - <"$TMP/plan" >"$TMP/out" 2>"$TMP/err" &
PID=$!
TEST_PIDS+=("$PID")
wait_until 10 grep -q ' start ' "$TMP/out"
kill -s INT "$PID"
status=0
wait "$PID" || status=$?
is "SIGINT: 130" "$status" 130
like "SIGINT: the task's end is recorded" "$(event 'end [^ ]*\.0 .*')" 'state=cancelled .*final=yes'
like "SIGINT: the run's too" "$(tail -n 1 "$TMP/out")" 'state=cancelled'

for words in '' '--slots=0 -' '--id=x -' '--nonsense' '--pool x' '--plan' '- x'; do
    # shellcheck disable=SC2086
    exits "usage: taskrun $words" 2 "$BIN/taskrun" $words
done
exits "help" 0 "$BIN/taskrun" --help
exits "version" 0 "$BIN/taskrun" --version
done_testing
