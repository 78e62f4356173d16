#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: the helpers of the scenario tests tell the truth, a failure above all.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"

# Runs a small test with these helpers and prints what it says.
# Its skips are none of this file's: they go to SKIPS, if anywhere.
inner() {
    printf '. "%s/Tests/scenarios/lib.sh"\n%s\n' "$ROOT" "$1" |
        TASKSPOOL_SKIPS=${SKIPS-} bash 2>/dev/null || true
}

like "ok passes" "$(inner 'ok a true; done_testing')" '^ok 1 - a.1\.\.1$'
like "ok fails" "$(inner 'ok a false; done_testing')" '^not ok 1 - a'
like "is fails" "$(inner 'is a x y')" '^not ok 1 - a'
like "like fails" "$(inner 'like a x y')" '^not ok 1 - a'
like "exits fails" "$(inner 'exits a 3 true')" '^not ok 1 - a'
like "skip names the reason" "$(inner 'skip a "no b"')" '^ok 1 - a # SKIP no b$'
SKIPS=$TMP/skips inner 'skip a "no b"; skip_all "no c"' >/dev/null
is "skipped tests are collected" "$(sed 's/^[^:]*: //' "$TMP/skips")" $'a: no b\nall: no c'
is "a test that dies has no plan" "$(inner 'false; done_testing')" ""
is "wait_until keeps its deadline" "$(inner 'wait_until 0 false || echo late')" late

# shellcheck disable=SC2016
inner 'echo "$TMP" >&3; sleep 60 & TEST_PIDS+=($!); echo $! >&3' 3>"$TMP/left"
{ read -r dir && read -r pid; } <"$TMP/left"
ok "the private directory is gone" test ! -e "$dir"
ok "a recorded process is gone" wait_until 2 gone "$pid"

settle "$TMP/one"
touch "$TMP/one/built"
settle "$TMP/one" 2>"$TMP/err"
ok "a scratch path in its place is kept" test -e "$TMP/one/built"
cp -r "$TMP/one" "$TMP/two"
settle "$TMP/two" 2>"$TMP/err"
ok "a copied one is made anew" test ! -e "$TMP/two/built"
like "… and that is said" "$(cat "$TMP/err")" "two comes from $TMP/one: it is built anew"

if is_root; then
    is "as_user is not root" "$(as_user id -u)" "$TEST_UID"
    ok "as_user can write its HOME" as_user sh -c "touch \$HOME/x"
    exits "as_user can't read root's files" 1 as_user cat /etc/shadow
else
    skip "as_user" "not root: tests run as $(id -un) already"
fi
done_testing
