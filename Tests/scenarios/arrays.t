#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: one task with many items: each runs once, in order, as many at once as it may; one that fails is tried again alone and stops
# no other; dependents wait for all; kill -9 of taskd in the middle runs none twice and forgets none.
# TASKSPOOL_ITEMS sets how many items the kills are tried with (600).
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun taskdep tasklog python3

N=${TASKSPOOL_ITEMS:-600}
SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
OUT=$TMP/out.d
mkdir "$OUT" "$TMP/w"
chmod 0777 "$OUT"
cd "$TMP/w"
start_taskd "$SPOOL"

journal() { find "$SPOOL/journal" -type f -not -name '*.sqlite*' -exec cat {} + | tr -d '\0'; }
lines() { journal | awk -v verb="$1" -v id="$2" '$5 == verb && index($6, id) == 1 { print $6, $0 }'; }
end_of() { journal | awk -v id="$1" '$5 == "end" && $6 == id && / final=yes/'; }
items() { # items STATE RUN: the numbers of the items that ended so
    journal | awk -v id="$2." -v state=" state=$1 " '$5 == "end" && index($6, id) == 1 && / final=yes/ && index($0 " ", state) {
        if (split($6, part, ".") == 3) print part[3] }' | sort -n | tr '\n' ' '
}
unit() { # unit NAME SCRIPT [LINE…]: an array whose items run the script, $1 is the item
    local name=$1 script=$2
    shift 2
    printf '%s\n' "$@" >"$name.task"
    printf '[Jail]\nJail=no\n[Command]\ncommand="sh"\n[Args]\nargs="-c %s sh %%i"\n' "'$script'" >>"$name.task"
}

# ---- what an item is

unit count "echo \$TASK_INDEX \$TASK_ITEM \$1 \$TASK_ID" '[Array]' 'Count=3'
exits "Count=3 succeeds" 0 task submit --wait count.task
run=$(journal | awk '$5 == "accept" { id = $6 } END { print id }')
is "each item has its number, as its text, too" "$(task logs "$run" | sort)" "$(printf '%s\n' "0 0 0 $run.0.0" "1 1 1 $run.0.1" "2 2 2 $run.0.2")"
is "each has one end" "$(items success "$run")" "0 1 2 "
like "and the array its own, with how many there were" "$(end_of "$run.0")" 'state=success items=3 success=3 failure=0 cancelled=0 final=yes'

printf '%s\n' 'b c' '' "d'e\"f" 'größe %i %%' '  two  ' >list
# shellcheck disable=SC2016
printf '#!/bin/sh\nprintf "[%%s][%%s]\\n" "$TASK_ITEM" "$1"\n' >show.sh
chmod 755 show.sh
printf '%s\n' '[Array]' 'Items=a "x  y" 50%% @list' '[Command]' 'command=./show.sh' '[Args]' 'args=%i' >words.task
exits "Items= of words and a file" 0 task submit --wait words.task
run=$(journal | awk '$5 == "accept" { id = $6 } END { print id }')
is "blanks, quotes, percent signs and UTF-8 stay, empty lines do not" "$(for i in {0..6}; do task logs "$run.0.$i"; done)" \
    "$(for item in a 'x  y' 50% 'b c' "d'e\"f" 'größe %i %%' '  two  '; do printf '[%s][%s]\n' "$item" "$item"; done)"

printf '[Array]\nItems=a b\n[Checks]\nhas="test %%i != b"\n[Environment]\nIT="<%%i> 100%%%%"\n[Command]\ncommand=printenv\n[Args]\nargs=IT\n' >jailed.task
exits "a check with the item fails one of two" 1 task submit --wait jailed.task
run=$(journal | awk '$5 == "accept" { id = $6 } END { print id }')
is "in a jail, with the item in its environment" "$(task logs "$run.0.0")" "<a> 100%"
like "and its reason" "$(end_of "$run.0.1")" 'reason=check'

# shellcheck disable=SC2016
printf '%s\n' '- parallel:' '    - {command: "printf", args: "<%i>", Items: ["p", "q r"], name: one, Jail: "no"}' \
    '    - {command: "true", Count: 3, name: two, Jail: "no"}' '- {command: "true", name: last, Jail: "no"}' >pipe.yaml
exits "two arrays in a pipeline" 0 task submit --wait pipe.yaml
run=$(journal | awk '$5 == "accept" { id = $6 } END { print id }')
is "… an item of a list is one word" "$(task logs "$run.0.1")" "<q r>"
like "… and counted with their tasks" "$(task status "$run")" $'one +success, [^\n]*, 2 of 2 items ended\n +two +success, [^\n]*, 3 of 3 items ended\n +last +success'

# What task-jail(7) has for what items made: a directory of the host.
mkdir -m 0755 made
cat >made.yaml <<END
- name: make
  command: sh -c 'echo made of %i >made/.%i && mv made/.%i made/\$TASK_INDEX'
  Items: p q
  WorkingDirectory: $PWD
  BindPaths: $PWD/made
- name: use
  command: cat $PWD/made/0 $PWD/made/1
  BindReadOnlyPaths: $PWD/made
END
exits "items leave files, and the next task has them" 0 task submit --wait made.yaml
is "… all, by their numbers" "$(task logs made | sed 's/^use: //')" $'made of p\nmade of q'

# ---- refusals

refused() { # refused NAME TEXT LINE…
    local name=$1 text=$2
    shift 2
    printf '%s\n' '[Command]' 'command=true' '[Array]' "$@" >bad.task
    exits "$name: refused" 2 task submit bad.task
    like "… with a sentence" "$(cat "$TMP/err")" "$text"
}
refused "Count=0" 'Count=: 0 is not understood' Count=0
refused "Count=-1" 'Count=: -1 is not understood' Count=-1
refused "Count above the limit" 'Count=: 10000001 is not' Count=10000001
refused "MaxParallel=0" 'MaxParallel=: 0 is not' Count=2 MaxParallel=0
refused "both" 'Count= beside Items=' Count=2 Items=a
refused "no such file" 'Items=@none: no such file in ' Items=@none
refused "a file outside" 'Items=@../list' Items=@../list
printf 'a\n\0b\n' >zero && refused "a zero byte" 'Items=@zero: line 2 has a zero byte' Items=@zero
printf 'a\n\377b\n' >latin && refused "no UTF-8" 'Items=@latin is no text' Items=@latin
printf '\n\n' >empty && refused "an empty list" 'no items: the list is empty' Items=@empty
head -c 17000 /dev/zero | tr '\0' x >long && refused "a long line" 'Items=@long: line 1 has 17000 bytes' Items=@long
truncate -s 33M huge && refused "a large file" 'Items=@huge: the file is too large' Items=@huge

# ---- failures

# shellcheck disable=SC2016
unit some 'echo x >>'"$OUT"'/$1; test $1 != 2 -a $1 != 5 || test -e '"$OUT"'/mended.$1' '[Array]' 'Count=8'
printf '[Dependencies]\nRequires=some.task\n[Jail]\nJail=no\n[Command]\ncommand="touch"\n[Args]\nargs="%s/after"\n' "$OUT" >after.task
exits "an array of which two items fail, has failed" 1 task submit --wait after.task
run=$(journal | awk '$5 == "accept" { id = $6 } END { print id }')
ran() { (cd "$OUT" && wc -l [0-7] | awk '$2 != "total" { printf "%s ", $1 }' && find . -name after); }
is "the others ran" "$(items success "$run")" "0 1 3 4 6 7 "
is "what depends on it did not" "$(ran)" "1 1 1 1 1 1 1 1 "
like "its end says how many and which" "$(end_of "$run.0")" 'what=2%20of%208%20items%20failed,%20the%20first%20is%202'
is "its plan has what failed" "$(grep -a ^items "$SPOOL/failed/$run+1")" "$(printf 'items 0 1 2\nitems 0 1 5')"
status=$(task status "$run.0")
like "task status counts them" "$status" 'Items: 8 of 8 ended: 6 success, 2 failure'
like "… has a histogram" "$status" $'Took:\n +< [0-9.]+[mu]?s +[0-9]+  █'
like "… and names what failed" "$status" $'Failed:\n +[0-9a-z]{8}[.]0[.]2  exit 1\n +[0-9a-z]{8}[.]0[.]5  exit 1'
like "… an item by itself" "$(task status "$run.0.5")" 'Result: exit 1'
exits "… and none that is not there" 3 task status "$run.0.8"
like "task explain names them" "$(task explain "$run")" '[.]0[.]2: exit status 1'

touch "$OUT/mended.5"
exits "task retry of one that succeeded" 3 task retry "$run.0.3"
like "… says so" "$(cat "$TMP/err")" "unable to retry $run.0.3: it is none of the items that failed, nothing was moved"
exits "task retry of one item" 0 task retry "$run.0.5"
exits "… ends, with another still failed" 1 task wait --timeout=30s "$run"
is "… and ran it alone" "$(ran)" "1 1 1 1 1 2 1 1 "
is "… the other is still there" "$(grep -a ^items "$SPOOL/failed/$run+2")" "items 0 1 2"
like "… and counted as failed" "$(task status "$run.0")" 'Items: 8 of 8 ended: 7 success, 1 failure'
touch "$OUT/mended.2"
exits "task retry" 0 task retry "$run"
exits "… succeeds" 0 task wait --timeout=30s "$run"
is "… and ran what had failed, and what waited" "$(ran)" "1 1 2 1 1 2 1 1 ./after"
is "nothing of it is left" "$(find "$SPOOL/failed" -name "$run*")" ""

# shellcheck disable=SC2016
unit flaky 'echo x >>'"$OUT"'/flaky.$1; test $TASK_ATTEMPT = 3 -o $1 != 1' '[Array]' 'Count=3' '[Service]' 'Restart=2' 'RestartSec=10ms'
exits "an item that succeeds at its third attempt" 0 task submit --wait flaky.task
is "… is tried again alone" "$(cd "$OUT" && wc -l flaky.? | awk '$2 != "total" { printf "%s ", $1 }')" "1 3 1 "

# ---- how many at once

# shellcheck disable=SC2016
unit few 'echo + >>'"$OUT"'/few; sleep 0.05; echo - >>'"$OUT"'/few' '[Array]' 'Count=20' 'MaxParallel=3'
exits "MaxParallel=3" 0 task submit --wait few.task
most=$(awk '/[+]/ { n++; if (n > m) m = n } /-/ { n-- } END { print m }' "$OUT/few")
ok "never more than 3 at once ($most)" [ "$most" -le 3 ]
ok "and more than one" [ "$most" -ge 2 ]

# ---- cancel

# shellcheck disable=SC2016
unit slow 'test $1 = 1 && exit 0; echo x >'"$OUT"'/slow.$1; exec sleep 100' '[Array]' 'Count=4' 'MaxParallel=2'
run=$(task submit slow.task)
wait_until 20 test -e "$OUT/slow.2" || bail "it does not run"
exits "an item that runs is cancelled" 0 task cancel "$run.0.0"
ok "… and ends, the next begins" wait_until 20 test -e "$OUT/slow.3"
exits "all is cancelled" 0 task cancel "$run"
exits "… and says so" 130 task wait --timeout=30s "$run"
is "… each that had begun has its end" "$(items cancelled "$run")" "0 2 3 "
like "… the array its own" "$(end_of "$run.0")" 'state=cancelled .*items=4 success=1 failure=0 cancelled=3'

# One that does not heed its signal runs on while taskd is away, for 3 s.
# shellcheck disable=SC2016
unit deaf 'echo x >>'"$OUT"'/deaf.$1; trap "" TERM; while :; do sleep 0.1; done' '[Array]' 'Count=3' 'MaxParallel=2' '[Service]' 'TimeoutStopSec=3s'
sed -i 's/trap ""/trap true/' deaf.task
run=$(task submit deaf.task)
wait_until 20 test -s "$OUT/deaf.1" || bail "it does not run"
exits "an array is cancelled as a task" 0 task cancel "$run.0"
cancelled() { journal | grep -q " cancel $run.0 "; }
ok "… that is on record" wait_until 20 cancelled
stop_taskd
start_taskd "$SPOOL"
exits "… and still cancelled after a restart" 130 task wait --timeout=30s "$run"
is "… nothing of it ran again" "$(cat "$OUT"/deaf.* | wc -l)" 2

# ---- hold and release

# shellcheck disable=SC2016
unit held 'echo x >>'"$OUT"'/held.$1; test -e '"$OUT"'/go || exec sleep 100' '[Array]' 'Count=3'
run=$(task submit held.task)
wait_until 20 test -e "$OUT/held.0" || bail "it does not run"
exits "an array is parked" 0 task hold "$run"
ok "… comes to hold/" wait_until 20 test -e "$SPOOL/hold/$run"
touch "$OUT/go"
exits "… goes on" 0 task release "$run"
exits "… and succeeds" 0 task wait --timeout=30s "$run"

# ---- kill -9

# shellcheck disable=SC2016
unit many 'echo x >>'"$OUT"'/many.$1; test $1 != 9 -a $1 != 7 -o $1$TASK_ATTEMPT = 72' '[Array]' "Items=@numbers" '[Service]' 'Restart=1' 'RestartSec=20ms'
seq 0 $((N - 1)) >numbers
run=$(task submit many.task)
some() { [ "$(find "$OUT" -name 'many.*' | wc -l)" -ge "$1" ]; }
for part in 6 4 3 2; do
    ok "1/$part has begun" wait_until 60 some $((N / part))
    stop_taskd KILL
    start_taskd "$SPOOL"
done
status=0
task wait --timeout=120s "$run" || status=$?
is "FAULT 16: the array ends after taskd was killed 4 times, as failed" "$status" 1
is "each item has one final end" "$(lines end "$run.0." | grep ' final=yes' | cut -d' ' -f1 | sort | uniq -c | awk '{ print $1 }' | sort | uniq -c | tr -s ' ')" " $N 1"
is "none ran more often than its policy has it" "$(cd "$OUT" && find . -name 'many.*' -exec sh -c 'wc -l <"$1"' _ {} \; | sort | uniq -c | tr -s ' ' | tr '\n' ',')" " $((N - 2)) 1, 2 2,"
is "nothing was lost" "$(lines lost "$run.0.")" ""
is "the plan has the one that failed" "$(grep -a ^items "$SPOOL/failed/$run+1")" "items 0 1 9"
is "… with its text" "$(grep -a -A1 '^blob items' "$SPOOL/failed/$run+1" | tail -n 1)" 9
stop_taskd
ok "task fsck is content" task fsck
ok "tasklog verify, too" tasklog verify

# ---- no subtasks
start_taskd "$SPOOL"
# shellcheck disable=SC2016
printf '[Array]\nCount=2\n[Command]\ncommand=sh\n[Args]\nargs="-c '"'[ \$TASK_INDEX = 0 ] || { echo x >\$TASK_SUBMIT/.x; mv \$TASK_SUBMIT/.x \$TASK_SUBMIT/child.task; }'"'"\n' >drops.task
exits "an array of which an item drops a subtask fails" 1 task submit --wait drops.task
run=$(journal | awk '$5 == "accept" { id = $6 } END { print id }')
is "it is that item" "$(items failure "$run")" "1 "
like "which says why" "$(end_of "$run.0.1")" 'reason=dependency .*what=an%20item%20of%20an%20array%20has%20no%20subtasks,%20and%20it%20dropped%20child.task'
stop_taskd

# ---- without a taskd

unit alone "echo \$1" '[Array]' 'Items=p q'
exits "taskrun UNIT runs the items" 0 taskrun alone.task
is "… both" "$(sort "$TMP/out")" "$(printf 'p\nq')"
taskdep plan alone.task | taskrun - >events 2>/dev/null
like "a plan by pipe, too" "$(cat events)" ' end [0-9a-z]{26}\.0\.1 a=1 state=success'
done_testing
