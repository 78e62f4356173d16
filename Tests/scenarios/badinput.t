#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: one bad drop never stops the others: it goes to rejected/ with a reason that says where,
# what and what is allowed; nothing is lost and nothing blocks.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun

SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
start_taskd "$SPOOL"
IN=$SPOOL/incoming

good() { printf '[Command]\ncommand="true"\n'; }
drop() { # drop NAME: standard input, moved in whole
    cat >"$IN/.drop" && mv "$IN/.drop" "$IN/$1"
}
rejected() { [ -e "$SPOOL/rejected/$1" ] && [ -s "$SPOOL/rejected/$1.reason" ]; }
succeeded() { task status --check "$1"; }
reason() { cat "$SPOOL/rejected/$1.reason" 2>/dev/null || true; }
refused() { # refused NAME REGEX
    ok "$1 is rejected" wait_until 20 rejected "$1"
    like "$1: the reason says why" "$(reason "$1")" "$2"
}

# All at once, good ones between them.
good | drop good1.task
printf '[Command]\ncommand\n[Service]\nMaxTime=soon\n' | drop equals.task
printf '[Service]\nMemoryMax=1G\n[Command]\ncommand="true"\n' | drop unknown.task
printf '[Command]\ncommand="caf\xe9"\n' | drop latin.task
printf '[Dependencies]\nRequires=nowhere.task\n[Command]\ncommand="true"\n' | drop lost.task
printf '[Dependencies]\nRequires=ring2.task\n' >"$SPOOL/units/ring1.task"
printf '[Dependencies]\nRequires=ring1.task\n' >"$SPOOL/units/ring2.task"
printf '[Dependencies]\nRequires=ring1.task\n[Command]\ncommand="true"\n' | drop cycle.task
truncate -s 10G "$IN/.sparse" && mv "$IN/.sparse" "$IN/sparse.task"
ln -s /etc/hostname "$IN/link.task"
mkfifo "$IN/fifo.task"
mkdir "$IN/directory.task"
good | drop $'new\nline.task'
good | drop good2.task

refused equals.task 'equals.task:2:[0-9]+: .*='
like "equals.task: both errors at once" "$(reason equals.task)" 'equals.task:4:'
refused unknown.task 'unknown.task:2:[0-9]+: .*LimitMem'
refused latin.task 'latin.task:2:[0-9]+: .*UTF-8'
refused lost.task 'nowhere.task'
refused cycle.task 'cycle|ring1'
refused sparse.task '1 MiB|1M|large|big|bytes'
for name in link fifo directory; do
    ok "$name.task is out of the way" wait_until 20 test ! -e "$IN/$name.task"
    ok "$name.task: there is a reason" test -s "$SPOOL/rejected/$name.task.reason"
done
ok "the name with a newline is out of the way" wait_until 20 test ! -e "$IN/"$'new\nline.task'
is "its reason has a safe name" \
    "$(find "$SPOOL/rejected" -name '*.reason' -print0 | xargs -0 grep -lz 'name' | grep -c . || true)" 1
is "what was rejected keeps its bytes" "$(cat "$SPOOL/rejected/unknown.task")" \
    "$(printf '[Service]\nMemoryMax=1G\n[Command]\ncommand="true"\n')"
for name in good1 good2; do ok "$name succeeds beside them" wait_until 20 succeeded $name; done

# Half-written and held open: not taken before it is closed.
exec 8>"$IN/slow.task"
printf '[Command]\n' >&8
good | drop good3.task
ok "good3 succeeds beside a half-written file" wait_until 20 succeeded good3
ok "the half-written file still lies there" test -e "$IN/slow.task"
printf 'command="true"\n' >&8
exec 8>&-
ok "once closed it is taken and succeeds" wait_until 20 succeeded slow

exits "task submit of a bad unit" 2 task submit "$SPOOL/rejected/unknown.task"
ok "taskd lives" kill -0 "$TASKD"
done_testing
