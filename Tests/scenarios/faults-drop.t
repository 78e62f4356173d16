#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: rows 22 and 24 to 36 of task-faults(7): what others may drop, by mistake or not: it ends in rejected/ with a reason or runs as
# it was when it was taken; nothing outside is read or changed, nothing blocks, nothing grows with it.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun taskdep tasklog python3
# shellcheck source=Tests/scenarios/faults/common.sh
. "$ROOT/Tests/scenarios/faults/common.sh"

unit quick true
fresh drop
EVIL=1 LD_LIBRARY_PATH=/nowhere start_taskd "$SPOOL"
IN=$SPOOL/incoming
reason() { cat "$SPOOL/rejected/$1.reason" 2>/dev/null || true; }
refused() { # refused N NAME REGEX
    ok "FAULT $1: $2 goes to rejected/" wait_until 20 test -s "$SPOOL/rejected/$2.reason"
    like "FAULT $1: $2: the reason says why" "$(reason "$2")" "$3"
}

# ---- 22: one id twice

id=01jdzj9g8r00000000000000aa
unit held "sleep 1000"
kill -s STOP "$TASKD"
cp "$TMP/held.task" "$IN/$id@held.task"
kill -s CONT "$TASKD"
ok "FAULT 22: a run" wait_until 20 has_event " start $id.0"
drop "$TMP/held.task" "$id@held.task"
ok "FAULT 22: the same id with the same content is the same run" wait_until 20 has_event " note $id what=dup"
drop "$TMP/quick.task" "$id@held.task"
refused 22 "$id@held.task" 'exists with another plan'
is "FAULT 22: the first is untouched" "$(starts $id)" 1
task cancel $id >/dev/null

# ---- 24: too large

truncate -s 10G "$IN/.huge" && mv "$IN/.huge" "$IN/huge.task"
refused 24 huge.task 'at most|allowed'
ok "FAULT 24: memory stays flat" test "$(awk '/VmHWM/ { print $2 }' "/proc/$TASKD/status")" -lt 65536

# ---- 25, 26: while it is written, after it was taken

exec 8>"$IN/slow.task"
printf '[Command]\n' >&8
drop "$TMP/quick.task" beside.task
ok "FAULT 25: others run beside a half-written drop" wait_until 20 succeeded beside
ok "FAULT 25: which still lies there" test -e "$IN/slow.task"
printf 'command="true"\n' >&8
exec 8>&-
ok "FAULT 25: closed it is taken" wait_until 20 succeeded slow
mkfifo "$TMP/go"
unit first "read x <$TMP/go; echo first >>$TMP/which"
cp "$TMP/first.task" "$SPOOL/tmp/.link"
ln "$SPOOL/tmp/.link" "$TMP/kept" 2>/dev/null || cp "$TMP/first.task" "$TMP/kept"
mv "$SPOOL/tmp/.link" "$IN/changed.task"
ok "FAULT 26: it runs" wait_until 20 has_event ' start .* name=changed'
sed 's/echo first/echo second/' "$TMP/first.task" | python3 -c '
import mmap, sys
with open(sys.argv[1], "r+b") as file:  # in place, by write, truncation and memory
    file.write(sys.stdin.buffer.read()); file.truncate(); file.flush()
    mmap.mmap(file.fileno(), 0)[0:1] = b"#"' "$TMP/kept"
echo >"$TMP/go"
ok "FAULT 26: it ends" wait_until 20 succeeded changed
is "FAULT 26: what was taken is what ran" "$(cat "$TMP/which")" first
ok "FAULT 30: a drop with another link is on record" has_event ' note .* what=links links=2'

# ---- 27: names

long=$(printf 'l%.0s' {1..240})
for name in $'new\nline.task' $'latin\xe9.task' -dash.task 'blank name.task' "$long.task" '..x/../y.task'; do
    drop "$TMP/quick.task" "${name//\//%}"
done
empty_of() { [ -z "$(find "$IN" -mindepth 1 -not -name '.*')" ]; }
ok "FAULT 27: strange names are out of the way" wait_until 20 empty_of
is "FAULT 27: each lies in rejected/ under a safe one" "$(find "$SPOOL/rejected" -name '*.reason' | sed 's|.*/||' | LC_ALL=C grep -c '[^A-Za-z0-9@._:-]' || true)" 0
is "FAULT 27: one line a record" "$(events | grep -cv '^[0-9a-f]\{8\} [0-9]* +*[0-9]* \|^taskjournal 2 ' || true)" 0

# ---- 28 to 30: what is no file, or more than one

echo "[Command]" >"$TMP/secret" && chmod 600 "$TMP/secret"
ln -s "$TMP/secret" "$IN/link.task"
ln -s loop.task "$IN/loop.task"
ln -s /nowhere "$IN/dangling.task"
before=$(stat -c '%i %s %Y %Z %a' "$TMP/secret")
for name in link loop dangling; do refused 28 $name.task 'symbolic link'; done
is "FAULT 28: the target is as it was" "$(stat -c '%i %s %Y %Z %a' "$TMP/secret")" "$before"
mkfifo "$IN/fifo.task"
mkdir "$IN/directory.task"
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$IN/socket.task"
for name in fifo directory socket; do refused 29 $name.task 'not a file|is a'; done
if is_root && mknod "$IN/.device" c 1 3 2>/dev/null; then
    mv "$IN/.device" "$IN/device.task"
    refused 29 device.task 'device'
else
    skip "FAULT 29: a device" "no device can be made here"
fi
printf 'not a unit\n' >"$TMP/other"
ln "$TMP/other" "$IN/hard.task"
refused 30 hard.task 'hard.task:1'
is "FAULT 30: the other name's file is as it was" "$(cat "$TMP/other")" "not a unit"

# ---- 31 to 33: rights, paths, environment

printf '[Command]\ncommand="true"\n' >"$SPOOL/units/open.task"
chmod 666 "$SPOOL/units/open.task"
printf '[Dependencies]\nRequires=open.task\n[Command]\ncommand="true"\n' >"$TMP/needs.task"
drop "$TMP/needs.task" needs.task
refused 31 needs.task 'open.task.*(others|write|chmod)'
if is_root; then
    printf '[Command]\ncommand="true"\n' >"$SPOOL/units/third.task"
    chown nobody "$SPOOL/units/third.task"
    printf '[Dependencies]\nRequires=third.task\n[Command]\ncommand="true"\n' >"$TMP/third.task"
    drop "$TMP/third.task" asks-third.task
    refused 31 asks-third.task 'third.task.*(owner|belongs|chown)'
    printf '[Service]\nUser=nobody\n[Command]\ncommand="id"\n' >"$TMP/who.task"
    exits "FAULT 31: a task of another user starts" 0 timeout -s KILL 40 "$BIN/taskrun" "$TMP/who.task"
    like "FAULT 31: its groups are that user's alone" "$(cat "$TMP/out")" '^uid=65534\(nobody\) gid=65534\(nogroup\) groups=65534\(nogroup\)$'
    as_user sh -c "printf '[Service]\nUser=root\n[Jail]\nJail=no\n[Command]\ncommand=\"true\"\n' >$TMP/user/root.task"
    exits "FAULT 31: an owner becomes nobody else" 202 as_user timeout 20 "$BIN/taskrun" "$TMP/user/root.task"
    like "FAULT 31: taskrun says why" "$(cat "$TMP/err")" 'User= needs a jail'
fi
ln -s /etc/shadow "$SPOOL/units/secret.txt"
ln -s /etc "$SPOOL/units/etc"
n=0
for path in ../../../etc/passwd ../../etc/cron.d/x /etc/passwd secret.txt etc/passwd; do
    n=$((n + 1))
    printf '[Service]\nFiles=%s\n[Command]\ncommand="true"\n' $path >"$TMP/up.task"
    drop "$TMP/up.task" up$n.task
    refused 32 up$n.task "$path.*(without [.][.]|symbolic link)"
done
rm "$SPOOL/units/secret.txt" "$SPOOL/units/etc"
printf '[Service]\nDir=%s\nFiles=quick.task\n[Command]\ncommand="true"\n' "$TMP" >"$TMP/away.task"
drop "$TMP/away.task" away.task
refused 32 away.task "$TMP is not read for a plain drop.*task submit"
printf '[Service]\nStandardOutput=file:%s\n[Command]\ncommand="echo"\n[Args]\nargs="overwritten"\n' "$TMP/nowhere/../secret" >"$TMP/over.task"
drop "$TMP/over.task" over.task
over() { has_event ' end .*final=yes.*' && [ -z "$(find "$SPOOL/active" -type f)" ]; }
ok "FAULT 32: a jailed task cannot name what is not its own" wait_until 20 over
like "FAULT 32: the file is as it was" "$(cat "$TMP/secret")" '^\[Command\]$'
if is_root; then # planted by another, over which the task's user has no right
    mkdir -m 1777 "$TMP/shared"
    ln -s "$TMP/secret" "$TMP/shared/out"
    chmod 600 "$TMP/secret"
    printf '[Service]\nUser=nobody\nStandardOutput=file:%s\n[Command]\ncommand="echo"\n[Args]\nargs="overwritten"\n' \
        "$TMP/shared/out" >"$TMP/planted.task"
    exits "FAULT 32: an output is opened with the rights of the task's user" 209 timeout -s KILL 40 "$BIN/taskrun" "$TMP/planted.task"
    like "FAULT 32: what a link leads to is as it was" "$(cat "$TMP/secret")" '^\[Command\]$'
fi
printf '[Environment]\nLD_PRELOAD="/tmp/evil.so"\nGOOD="a\\nb"\n[Command]\ncommand="env"\n' >"$TMP/env.task"
drop "$TMP/env.task" env.task
ok "FAULT 33: a task with variables of its own ends" wait_until 20 has_event ' end .*name=env'
is "FAULT 33: it has these and what task.unit(5) names, nothing of taskd's, and none smuggles a second one" \
    "$(task logs env 2>&1 | grep -v '^ERROR: ld.so' | cut -d = -f 1 | LC_ALL=C sort | paste -sd' ')" \
    "GOOD HOME LANG LD_PRELOAD LOGNAME PATH TASK_ATTEMPT TASK_ID TASK_NAME TASK_RESULT TASK_RUN TASK_SCRATCH TASK_SUBMIT TMPDIR USER"
python3 -c 'print("[Service]\nRestart=5\nRestartSec=10ms\n[Jail]\nJail=no\n[Command]\ncommand=true\n[Args]\n" + "".join(f"args={60000 * chr(120)}\n" for _ in range(10)))' >"$TMP/big.task"
prlimit --pid "$(pool_pid "$SPOOL")" --stack=262144: # 128 KiB of arguments are left
big=$(submit "$TMP/big.task")
ok "FAULT 33: arguments that the kernel refuses (E2BIG) end the run" wait_until 20 has_event " end $big .*state=failure"
is "FAULT 33: at the first attempt" "$(events | grep -c " retry $big" || true)" 0
like "FAULT 33: with a reason" "$(task status "$big" 2>&1; task explain "$big" 2>&1)" 'Argument list too long'

# ---- 34 to 36: bombs

python3 - "$TMP" <<'PYTHON'
import sys
where = sys.argv[1]
bombs = {
    "alias": "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "anchors": "".join(f"- &a{n} x\n" for n in range(60000)),
    "deep": "[" * 100000, "deep2": "".join(" " * n + "- \n" for n in range(1400)), "scalar": "- " + "x" * 1100000, "nodes": "- a\n" * 150000,
    "twice": "- command: a\n  command: b\n", "tag": "- !!python/object/apply:os.system [id]\n", "nan": "- command: .nan\n  MaxTime: .inf\n",
    "bytes": "- \xff\xfe\x00\n", "brackets": "[\n" * 524288, "braces": "{a:\n" * 250000, "tabs": "-\t[\t" * 200000,
    "line": "[" * 1048576, "quote": "- \"" + "\\n" * 30000,
}
for name, text in bombs.items():
    open(f"{where}/{name}.yaml", "wb").write(text.encode("latin-1"))
    print(name)
PYTHON
for name in alias anchors deep deep2 scalar nodes twice tag nan bytes brackets braces tabs line quote; do
    got=$(python3 - "$BIN/taskdep" "$TMP/$name.yaml" <<'PYTHON'
import os, resource, subprocess, sys
open(sys.argv[2] + ".small", "w").write("- a.task\n")
def cost(file):  # CPU of reading it; the machine may be busy: the best of five
    best = 9.0
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.argv[1], "plan", file], capture_output=True, timeout=30)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return done.returncode, best, after.ru_maxrss
# 50 ms where the smallest file costs 4: a ratio, so that a slow machine is not a failure.
status, bomb, memory = cost(sys.argv[2])
times = bomb / cost(sys.argv[2] + ".small")[1]
print(status, "quick" if times < 12 else f"{times:.1f} times as long",
      "small" if memory < 65536 else f"{memory} KiB")
PYTHON
    )
    is "FAULT 34: $name.yaml is refused, quickly and in little memory" "$got" "2 quick small"
done
python3 - "$TMP" <<'PYTHON'
import sys
where = sys.argv[1]
with open(f"{where}/ring", "w") as file:
    file.writelines(f"n{n} n{(n + 1) % 100000}\n" for n in range(100000))
with open(f"{where}/chain", "w") as file:
    file.writelines(f"n{n} n{n + 1}\n" for n in range(1000000))
with open(f"{where}/fan", "w") as file:
    file.writelines(f"n{n} all\n" for n in range(1000000))
PYTHON
order() { timeout 100 taskdep order - <"$1" >"$TMP/ordered" 2>"$TMP/err"; }
status=0
order "$TMP/ring" || status=$?
ok "FAULT 35: a cycle of 100,000 is told" test $status -ne 0
ok "FAULT 35: in few words" test "$(wc -c <"$TMP/err")" -lt 2000
like "FAULT 35: with the number of its members" "$(cat "$TMP/err")" '100,?000|cycle'
ok "FAULT 35: a fan-in of a million is ordered" order "$TMP/fan"
ok "FAULT 36: so is a chain of a million, without recursion" order "$TMP/chain"
printf '[Dependencies]\nRequires=self.task\n[Command]\ncommand="true"\n' >"$TMP/self.task"
drop "$TMP/self.task" self.task
refused 35 self.task 'self'
printf '[Dependencies]\nRequires=nowhere.task\n[Command]\ncommand="true"\n' >"$TMP/lost.task"
drop "$TMP/lost.task" lost.task
refused 35 lost.task 'nowhere.task'
python3 -c '
import os, sys
os.chdir(sys.argv[1])
for _ in range(10000): os.mkdir("d"); os.chdir("d")' "$SPOOL/tmp" # deeper than a path can say
mv "$SPOOL/tmp/d" "$IN/d" 2>/dev/null || true
refused 36 d 'directory'
drop "$TMP/quick.task" last.task
ok "FAULT 36: others go on" wait_until 20 succeeded last
ok "FAULT 24: memory was flat all the time" test "$(awk '/VmHWM/ { print $2 }' "/proc/$TASKD/status")" -lt 65536
ok "FAULT 22: all work ends" wait_until 30 at_rest
stop_taskd
done_testing
