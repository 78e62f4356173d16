#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: task submits all or nothing, moves runs by renames that keep their names, and says what is
# wrong, why, and what it means. No daemon: the spool is made by hand.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task

SPOOL=$TMP/spool
fake_spool() {
    rm -rf "$SPOOL"
    mkdir -m 0700 "$SPOOL"
    (cd "$SPOOL" && mkdir -m 0700 incoming ready active deferred hold failed rejected units tmp \
        journal log)
    echo 'taskspool 1' >"$SPOOL/version"
}
left() { find "$SPOOL/incoming" "$SPOOL/tmp" -type f; } # what lies there
fake_spool
export TASK_SPOOL=$SPOOL
cd "$TMP/home"

# ---- the outer frame

exits "help" 0 task --help
like "help names the commands" "$(cat "$TMP/out")" 'submit.*run.*cancel.*retry.*query'
exits "version" 0 task -V
like "version is a line" "$(cat "$TMP/out")" '^task \(taskspool\) [0-9]+\.[0-9]+\.[0-9]+$'
exits "an unknown command" 2 task frobnicate
like "it is named" "$(cat "$TMP/err")" "^task: error: there is no command frobnicate.*submit"
exits "submit without operand" 2 task submit
exits "an unknown option" 2 task cancel --hard x
TASK_SPOOL=$TMP/none exits "no spool" 69 task cancel x
like "it says how to make one" "$(cat "$TMP/err")" "taskd --spool=$TMP/none"
is "it made none" "$(ls "$TMP/none" 2>/dev/null)" ""
exits "options after operands" 0 task submit --help

# ---- submit

cat >site.task <<'UNIT'
[Dependencies]
Requires=libpng.service
[Checks]
check-pandoc="./check-pandoc"
[Command]
command="pandoc"
UNIT
printf '[Checks]\nworks="./works"\n' >libpng.service
printf '#!/bin/sh\n' | tee check-pandoc >works
chmod +x check-pandoc works
printf '[Command]\ncommand="true\nComand=x\n' >bad.task
printf '[Command]\ncommand=/bin/true\n' >one.task
cp one.task helper.task
cp one.task 'a b.task'

exits "submit prints ids" 0 task submit site.task one.task
mapfile -t ids <"$TMP/out"
is "one a line" "${#ids[@]}" 2
like "in the order of the arguments" "${ids[0]}${ids[1]}" '^[0-9a-z]{52}$'
is "and nothing else" "$(cat "$TMP/err")" ""
ok "they sort in that order" test "${ids[0]}" \< "${ids[1]}"
is "they lie in incoming/" "$(ls "$SPOOL/incoming")" "${ids[0]}@site.task
${ids[1]}@one.task"
is "nothing is left in tmp/" "$(ls -A "$SPOOL/tmp")" ""
drop=$SPOOL/incoming/${ids[0]}@site.task
is "the drop is a plan" "$(head -n 1 "$drop")" "taskplan 1"
is "its digest is right" "$(head -n -1 "$drop" | sha256sum | cut -d ' ' -f 1)" \
    "$(tail -n 1 "$drop" | cut -d ' ' -f 2)"
like "Dir= is the unit's directory" "$(grep '^task 1 site ' "$drop")" " Dir=$TMP/home "
like "what it requires is in it" "$(cat "$drop")" $'\nedge 0 1 ok\n'

# The acknowledgement is durable: file, then directory, before the id is printed.
if command -v strace >/dev/null && strace -f -e trace=none true 2>/dev/null; then
    strace -f -o "$TMP/trace" -e trace=fsync,renameat2,write task submit one.task >/dev/null
    order=$(sed -nE 's/.*(fsync|renameat2|write\(1,).*/\1/p' "$TMP/trace" | tr '\n' ' ')
    is "fsync, rename, fsync, then the id" "$order" "fsync renameat2 fsync write(1, "
else
    skip "fsync, rename, fsync, then the id" "strace is not to be had here"
fi

fake_spool
cp one.task two.task
exits "options among many operands" 0 task submit one.task --ack local two.task one.task one.task
is "all are submitted" "$(wc -l <"$TMP/out")" 4
is "in order" "$(cd "$SPOOL/incoming" && echo *@*)" \
    "$(paste -d @ "$TMP/out" <(printf '%s\n' one.task two.task one.task one.task) | paste -sd ' ')"

fake_spool
exits "one bad file of three" 2 task submit one.task bad.task nope.task
like "every error, each with its place" "$(cat "$TMP/err")" \
    '^bad\.task:2:9: .*'$'\n''bad\.task:3:1: unknown key Comand= .*command=.*'$'\n''task: error: unable to read nope\.task: No such file'
like "and the consequence" "$(tail -n 1 "$TMP/err")" '^task: error: nothing was submitted'
is "nothing was submitted" "$(left)" ""
is "nothing was printed" "$(cat "$TMP/out")" ""
exits "a name that no drop may have" 2 task submit 'a b.task'
like "it says which may" "$(cat "$TMP/err")" '^a b\.task:1:1: .* of the characters A-Z a-z 0-9'
mkdir dir.task
exits "a directory" 2 task submit dir.task
like "it says what it is" "$(cat "$TMP/err")" 'dir\.task: it is a directory, nothing was done'
mkfifo fifo.task
exits "a FIFO does not block" 2 timeout 5 task submit fifo.task
truncate -s 10G huge.task
exits "ten gigabytes" 2 task submit huge.task
like "it says the limit" "$(cat "$TMP/err")" 'at most 1048576 are allowed'
rm huge.task
chmod 0666 libpng.service
exits "a definition that others may write" 2 task submit site.task
like "it says so" "$(cat "$TMP/err")" 'others may write .*libpng.service.*chmod'
chmod 0644 libpng.service
is "still nothing" "$(left)" ""

cat >stream <<'UNITS'
[Command]
command=/bin/true
---
[Dependencies]
Requires=libpng.service
[Command]
command=/bin/a
---
[Dependencies]
Requires=libpng.service
[Command]
command=/bin/b
UNITS
task submit - <stream >"$TMP/out"
mapfile -t ids <"$TMP/out"
is "a stream of three units gives three ids" "${#ids[@]}" 3
is "of one run" "$(cut -d . -f 1 "$TMP/out" | sort -u | wc -l)" 1
is "in one file" "$(ls "$SPOOL/incoming")" "${ids[0]%.*}@stdin.task"
drop=$SPOOL/incoming/${ids[0]%.*}@stdin.task
is "what two require is there once" "$(grep -c '^task [0-9]* libpng.service' "$drop")" 1
is "each id names its unit" "$(for id in "${ids[@]}"; do grep "^task ${id##*.} " "$drop"; done | cut -d ' ' -f 3)" \
    $'stdin-1\nstdin-2\nstdin-3'
printf '[Command]\nx\n---\n[Comand]\n' | task submit - >"$TMP/out" 2>"$TMP/err" && bad=0 || bad=$?
is "one bad unit of a stream" "$bad" 2
is "nothing is printed" "$(cat "$TMP/out")" ""

fake_spool
fake_spool
printf '[Service]\nStandardOutput=journal\n[Command]\ncommand="true"\n' >later.task
exits "what this release does not carry out is refused at once" 2 task submit later.task
like "it says what" "$(cat "$TMP/err")" 'StandardOutput=journal is not carried out by this release'
exits "on standard input as well" 2 bash -c 'task submit - <later.task'
is "nothing was dropped" "$(left)" ""
printf '[RunIf]\ncron="* * * * *"\n[Command]\ncommand="./beat"\n' >beat.task
exits "a unit with [RunIf]" 0 task submit beat.task
like "it is said that its id names no run" "$(cat "$TMP/err")" \
    '^task: notice: beat.task has \[RunIf\]: it is installed in units/, not run'
drop=$(echo "$SPOOL"/incoming/*@beat.task)
is "its text is dropped" "$(head -n 2 "$drop")" $'[RunIf]\ncron="* * * * *"'
is "with Dir= at the end" "$(tail -n 2 "$drop")" "[Service]
Dir=\"$TMP/home\""
like "what it requires must be installed" \
    "$( (printf '[Dependencies]\nRequires=helper.task\n' && cat beat.task) >b2.task &&
        task submit b2.task 2>&1)" 'no such unit.*error: b2\.task has \[RunIf\] and is installed'

# ---- no space

if is_root && mkdir "$TMP/small" && mount -t tmpfs -o size=256k,mode=0700 tmpfs "$TMP/small" 2>/dev/null; then
    SPOOL=$TMP/small/spool
    fake_spool
    head -c 250000 /dev/zero >"$TMP/small/fill" 2>/dev/null || true
    mkdir many
    for n in 1 2 3 4; do { cat one.task && head -c 20000 /dev/zero | tr '\0' '#'; } >many/$n.task; done
    TASK_SPOOL=$SPOOL exits "a full disk: try later" 75 task submit many/*.task
    like "it says so" "$(cat "$TMP/err")" 'No space left on device, nothing was submitted'
    is "nothing is left behind" "$(left)" ""
    umount "$TMP/small"
    SPOOL=$TMP/spool
else
    skip "a full disk" "mounting a small file system needs root"
fi

# ---- moving runs

fake_spool
ID=01jd0000000000000000000abc
printf 'taskplan 1\ntask 0 libpng command=x\ntask 1 site command=y\ntask 2 mail:site command=z optional=yes\n' \
    >"$SPOOL/ready/$ID:2"
exits "hold by the unit's name" 0 task hold site
like "nobody is there to obey" "$(cat "$TMP/err")" '^task: notice: no taskd holds '
is "the file keeps its name" "$(ls "$SPOOL/hold")" "$ID:2"
exits "release by a suffix" 0 task release 0ABC
is "it is ready" "$(ls "$SPOOL/ready")" "$ID:2"
exits "release it again" 0 task release $ID
mv "$SPOOL/ready/$ID:2" "$SPOOL/active/$ID:2"
exits "release what is not parked" 1 task release $ID
like "it says where it is" "$(cat "$TMP/err")" 'it is in active/: only what is in hold/ can be released, nothing was moved'
exits "cancel the last one" 0 task cancel last
is "it is in failed/" "$(ls "$SPOOL/failed")" "$ID:2"
mv "$SPOOL/failed/$ID:2" "$SPOOL/failed/$ID+1"
exits "retry" 0 task retry site
is "its generation stays in the name" "$(ls "$SPOOL/ready")" "$ID+1"
exits "cancel one task" 0 task cancel 00abc.1
is "is an empty drop" "$(ls "$SPOOL/incoming")" "$ID.1.cancel"
exits "hold one task" 2 task hold site.1
exits "an id that is nowhere" 3 task hold 01jd0000000000000000000abd
exits "a name that is nowhere" 3 task hold nobody
like "it says so" "$(cat "$TMP/err")" '^task: error: unable to find nobody: no live run .*nothing was moved'
touch "$SPOOL/ready/01je0000000000000000000abc"
exits "two that end so" 2 task hold 00000abc
like "both are named" "$(cat "$TMP/err")" "may be $ID or 01je0000000000000000000abc|may be 01je0000000000000000000abc or $ID"
id=$(task submit one.task)
exits "cancel before it is accepted" 0 task cancel "$id"
is "takes it back" "$(ls "$SPOOL/incoming")" "$ID.1.cancel"

done_testing
