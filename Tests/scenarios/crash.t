#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: taskd or taskrun killed at its n-th system call, or that call failing with an errno that it can give, loses nothing: what was
# acknowledged ends once, the spool is as empty as it should be, verify is content, no descriptor is left, complaints say what
# of what and why. A scenario with dependencies, arrays, retries, checks,
# subtasks, a large plan, a bad drop, a hold and a cancel.
#
# TASKSPOOL_CRASH=SECONDS tries a choice for so long (150); TASKSPOOL_CRASH=all tries every call, some 3,000 cases. SEED=N chooses
# another order. A case by itself: python3 crash/matrix.py INJECT BIN DIRECTORY --case=taskd:EIO:renameat:3 -v
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog python3 cc
[ "$(uname -m)" = x86_64 ] || skip_all "the registers of $(uname -m) are not known to crash/inject.c"

HERE=$ROOT/Tests/scenarios/crash
SEED=${SEED:-$RANDOM}
diag <<<"SEED=$SEED"
cc -std=gnu11 -O2 -o "$TMP/inject" "$HERE/inject.c"
exits "a call that fails" 1 "$TMP/inject" -c write -n 1 -e ENOSPC sh -c 'echo x && exit 0'
exits "a call at which it is killed" 137 "$TMP/inject" -c write -n 1 -k sh -c 'echo x'
if [ "$("$TMP/inject" -c getpid -n 1 true >/dev/null 2>&1 && echo traced)" != traced ]; then
    skip "the matrix" "nothing can be traced here (ptrace)"
    done_testing
    exit 0
fi

case ${TASKSPOOL_CRASH:-150} in
all) choice=(--all) ;;
*) choice=("--seconds=${TASKSPOOL_CRASH:-150}") ;;
esac
status=0
python3 "$HERE/matrix.py" "$TMP/inject" "$BIN" "$TMP/matrix" "${choice[@]}" "--seed=$SEED" >"$TMP/told" 2>&1 || status=$?
diag <"$TMP/told"
result "$status" "$(tail -n 1 "$TMP/told")"
like "many were tried" "$(tail -n 1 "$TMP/told")" '^[0-9]{2,} of [0-9]+ cases tried'
done_testing
