#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: taskscale asks for as many machines as the backlog needs, gives them back, scales to nothing and up again;
# a provider that hangs, fails, lies or answers by half changes nothing; a crash in the middle makes no machine twice.
# Provider and ledger are stand-ins that keep machines and nodes as files; providers.t has real ones.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs taskscale

SITE=$TMP/site
mkdir -p "$SITE/machines" "$SITE/nodes"
export SITE
# A machine is a file `ID` with its line; a node a file `NAME` with `live|silent serving|draining BUNDLES SEEN`.
cat >"$TMP/provider" <<'END'
#!/bin/bash
set -eu
echo "$*" >>"$SITE/calls"
verb=$1
shift
[ ! -e "$SITE/do-$verb" ] || . "$SITE/do-$verb"
case $verb in
list) shopt -s nullglob && cat /dev/null "$SITE"/machines/* ;;
create)
    for ((n = 0; n < $1; n++)); do
        id=m$(($(cat "$SITE/last" 2>/dev/null || echo 0) + 1))
        echo "${id#m}" >"$SITE/last"
        printf '{"id":"%s","state":"up","group":"%s","generation":"%s","since":%s}\n' $id $3 $5 "$(date +%s)" >"$SITE/machines/$id"
        [ ! -e "$SITE/die-after" ] || [ "$(ls "$SITE/machines" | wc -l)" -lt "$(cat "$SITE/die-after")" ] || kill -9 $PPID $$
        echo "live serving 0 $(date +%s)000000" >"$SITE/nodes/$id"
        echo $id
    done
    ;;
destroy)
    for id in "${@:3}"; do rm -f "$SITE/machines/$id" "$SITE/nodes/$id"; done
    ;;
esac
END
cat >"$TMP/ledger" <<'END'
#!/bin/bash
set -eu
[ ! -e "$SITE/no-ledger" ] || { echo "ledger: no connection" >&2; exit 75; }
case $1 in
read)
    echo "backlog $(cat "$SITE/backlog" 2>/dev/null || echo 0 0 -)"
    for file in "$SITE"/nodes/*; do [ ! -e "$file" ] || echo "node ${file##*/} $(cat "$file")"; done
    ;;
drain)
    sed -i "s/serving\|draining/$([ "$3" = on ] && echo draining || echo serving)/" "$SITE/nodes/$2"
    ;;
esac
END
chmod +x "$TMP/provider" "$TMP/ledger"
# A machine does 40 tasks of a second in time.
SCALE=(taskscale "--provider=$TMP/provider" "--ledger=$TMP/ledger" --group=site --slots=4 --target=10s)
scale() { "${SCALE[@]}" "$@"; }
machines() { find "$SITE/machines" -type f | wc -l; }
calls() { grep -c "^$1" "$SITE/calls" || true; }
work() { echo "$*" >"$SITE/backlog"; }

# ---- one look

work 100 0 1000000
exits "a dry run" 0 scale --dry-run
is "makes nothing" "$(machines)" 0
like "says how many, and why" "$(cat "$TMP/out")" '100 tasks wait and 0 are held, of 1\.0 s each: 3 machines of 4 slots do them in 10 s; 3 are wanted \(from 0 to 10\), 0 serve'
like "and what it would do" "$(cat "$TMP/out")" 'would create 3'
exits "one look" 0 scale --once
is "makes what is missing" "$(machines)" 3
like "and says so" "$(cat "$TMP/err")" 'taskscale: notice: create 3'
like "with its group and a generation" "$(grep ^create "$SITE/calls")" '^create 3 --group site --generation [0-9]{16}$'
exits "another one" 0 scale --once
is "makes nothing more" "$(machines)" 3
is "and is silent" "$(cat "$TMP/err")" ""
echo '{"id":"x1","state":"up","group":"other","generation":"1","since":1}' >"$SITE/machines/x1"
exits "machines of another group" 0 scale --once
is "are none of its own" "$(machines) $(calls destroy)" "4 0"
rm "$SITE/machines/x1"

# ---- up, down to nothing, and up again

"${SCALE[@]}" --every=100ms --cool-down=500ms --list-lag=0s </dev/null >"$TMP/loop.out" 2>"$TMP/loop.err" &
LOOP=$!
TEST_PIDS+=("$LOOP")
has() { [ "$(machines)" -eq "$1" ]; }
work 400 0 1000000
ok "more work, more machines" wait_until 20 has 10
work 0 1 1000000
sed -i 's/serving 0/serving 1/' "$SITE/nodes/m2"
ok "all but the one with work go" wait_until 20 has 1
is "which is left" "$(ls "$SITE/machines")" m2
work 0 0 -
draining() { grep -q draining "$SITE/nodes/m2"; }
ok "it drains" wait_until 20 draining
is "while it holds something it stays" "$(ls "$SITE/machines")" m2
sed -i 's/draining 1/draining 0/' "$SITE/nodes/m2"
ok "then there are none" wait_until 20 has 0
work 40 0 1000000
ok "work again: a machine again" wait_until 20 has 1
says() { grep -q "$1" "$TMP/loop.err"; }
echo 'exit 3' >"$SITE/do-list"
ok "a provider that fails is said" wait_until 20 says 'taskscale: error: .*failed with status 3'
rm "$SITE/do-list"
ok "and when that is over" wait_until 20 says 'taskscale: notice: what was said last is over'
is "once each" "$(grep -c 'failed with status 3\|is over' "$TMP/loop.err")" 2
kill "$LOOP"
status=0
wait "$LOOP" || status=$?
is "SIGTERM ends it in order" $status 0
like "each step was said" "$(cat "$TMP/loop.err")" 'drain m[0-9]+: not needed any more'

# ---- a provider that misbehaves

work 120 0 1000000
refused() { # refused NAME REGEX: a look fails, and nothing is made
    local before
    before=$(machines)
    exits "$1" 75 scale --once
    is "    makes nothing" "$(machines)" "$before"
    like "    and is named" "$(cat "$TMP/err")" "taskscale: error: .*$2.*, nothing more is changed until the next look"
}
behaves() { rm -f "$SITE"/do-*; }
echo 'exit 3' >"$SITE/do-list" && refused "a list that fails" 'provider list --group site failed with status 3'
echo 'exit 75' >"$SITE/do-list" && refused "that says to try later" 'says to try later \(75\)'
echo 'kill -11 $$' >"$SITE/do-list" && refused "that crashes" 'was ended by signal 11'
echo "printf '{\"id\":\"m1\",\"state\":\"up\",\"gro'; exit" >"$SITE/do-list" && refused "half an answer" 'cut off'
echo "echo '{\"id\":\"m1\",\"state\":\"up\",\"gro'; exit" >"$SITE/do-list" && refused "half a line" "line 1: an end in column"
echo 'echo "<html>503</html>"; exit' >"$SITE/do-list" && refused "an error page" "line 1: \"<html>503</html>\" in column 1"
echo "echo '{\"id\":\"../x\",\"state\":\"up\",\"group\":\"site\",\"since\":1}'; exit" >"$SITE/do-list" && refused "an id that is a path" 'line 1: no "id"'
echo "echo '{\"id\":\"a\",\"state\":\"gone\",\"group\":\"site\",\"since\":1}'; exit" >"$SITE/do-list" && refused "a state that is none" 'no "state" of a: starting, up or stopping'
echo "echo '{\"id\":\"a\",\"state\":\"up\",\"group\":\"site\",\"since\":1}' | sed p; exit" >"$SITE/do-list" && refused "a machine twice" 'a stands there twice'
echo 'yes x; exit' >"$SITE/do-list" && refused "an answer without end" 'said more than 16777216 bytes'
behaves
touch "$SITE/no-ledger" && refused "a ledger that can't be asked" 'ledger read says to try later'
rm "$SITE/no-ledger"
exits "a provider that is not there" 75 taskscale --provider="$TMP/none" --ledger="$TMP/ledger" --once
like "    is named" "$(cat "$TMP/err")" "unable to start $TMP/none: No such file or directory"

before=$(machines)
echo 'echo m900; echo m901; echo m902; echo m903; exit' >"$SITE/do-create"
exits "more machines than were asked for" 0 scale --once
like "are said" "$(cat "$TMP/err")" 'was asked for [0-9] machines and made 4'
echo 'exit 0' >"$SITE/do-create"
exits "fewer, too" 0 scale --once
like "are said" "$(cat "$TMP/err")" 'was asked for [0-9] machines and made 0'
behaves
is "what a list does not show is not there" "$(machines)" "$before"

# shellcheck disable=SC2016
echo 'sleep 1000 & echo $! >"$SITE/sleeper"; wait' >"$SITE/do-list"
exits "a provider that hangs" 75 scale --once --call-time=1s
like "    is named" "$(cat "$TMP/err")" 'list --group site gave no answer in 1\.0 s, it was killed'
ok "    and is ended with its children" wait_until 10 gone "$(cat "$SITE/sleeper")"
# shellcheck disable=SC2016
echo 'sleep 1000 & echo $! >"$SITE/sleeper"' >"$SITE/do-list"
exits "one that leaves a child with its output" 0 scale --once --dry-run --call-time=20s
TEST_PIDS+=("$(cat "$SITE/sleeper")")
behaves

# ---- a crash in the middle

rm -f "$SITE"/machines/* "$SITE"/nodes/*
work 200 0 1000000
echo 2 >"$SITE/die-after"
status=0
scale --once >"$TMP/out" 2>"$TMP/err" || status=$?
is "killed between a machine and the answer" "$status $(machines)" "137 2"
rm "$SITE/die-after"
exits "the next one" 0 scale --once
is "makes what is missing, and nothing twice" "$(machines)" 5
like "    which is what it asked for" "$(grep ^create "$SITE/calls" | tail -n 1)" '^create 3 '

# ---- machines without a word

echo "silent serving 1 0" >"$SITE/nodes/m901"
rm -f "$SITE"/machines/* "$SITE"/nodes/*
work 0 0 -
for n in 1 2 3; do
    printf '{"id":"s%s","state":"up","group":"site","generation":"1","since":1000}\n' $n >"$SITE/machines/s$n"
    echo "live serving 1 1" >"$SITE/nodes/s$n"
done
echo "silent serving 1 1" >"$SITE/nodes/s1"
exits "a machine that is silent" 0 scale --once --min=3
is "is destroyed, and replaced" "$(find "$SITE/machines" -name 's*' | wc -l) $(machines)" "2 3"
like "for a reason" "$(cat "$TMP/err")" 'destroy s1: no word to the ledger for 600 s'
echo "silent serving 1 1" | tee "$SITE/nodes/s2" >"$SITE/nodes/s3"
exits "when most are silent" 0 scale --once --min=3
is "none is destroyed" "$(find "$SITE/machines" -name 's*' | wc -l)" 2
like "as an outage looks like this" "$(cat "$TMP/err")" '2 of 3 machines are silent at once: none of them is destroyed'

# ---- words

exits "no provider" 2 taskscale --ledger=x
like "is said" "$(cat "$TMP/err")" '--provider=PROGRAM is missing'
exits "a wrong span" 2 scale --target=soon
like "is said" "$(cat "$TMP/err")" 'a span up to a year'
exits "more at least than at most" 2 scale --min=3 --max=2
exits "help" 0 taskscale --help
like "shows the options" "$(cat "$TMP/out")" 'usage: taskscale'
exits "version" 0 taskscale --version
done_testing
