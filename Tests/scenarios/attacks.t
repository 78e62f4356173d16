#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: every attack on the jail's list, and those that were found since, fails against the real
# taskrun: as root, as root with User=, as an ordinary user; each is seen to succeed without a jail.
# ATTACKS_TABLE: where to leave the table of outcomes.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs taskrun python3 setpriv

uid=$(id -u)
! is_root || uid=$TEST_UID
timeout -k 10 400 python3 -B "$ROOT/Tests/attacks/run.py" --taskrun="$BIN/taskrun" --uid="$uid" \
    ${ATTACKS_TABLE:+"--table=$ATTACKS_TABLE"} >"$TMP/tap" 2>"$TMP/err" </dev/null || true
cat "$TMP/tap"
diag <"$TMP/err"
grep -o '# SKIP .*' "$TMP/tap" | sort | uniq -c | while read -r count _ _ reason; do
    note_skip "$count of the attacks: $reason"
done
grep -q '^1\.\.' "$TMP/tap" || bail "the attacks did not come to their end"
