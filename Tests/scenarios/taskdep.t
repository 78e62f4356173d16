#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: taskdep compiles the mission's unit into one plan, orders it, draws it, orders what tsort
# orders, says what is wrong where, and asks systemd or says that it can't.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs taskdep tsort python3

cp -r "$ROOT/Examples/mission" "$TMP/mission"
cd "$TMP/mission"

# ---- plan

exits "plan site.task" 0 taskdep plan site.task
cp "$TMP/out" "$TMP/plan"
is "it says nothing else" "$(cat "$TMP/err")" ""
is "libjpeg, the network, libpng, site" "$(sed -n 's/^task \([0-9]\) \([^ ]*\).*/\1 \2/p' "$TMP/plan")" \
    '0 libjpeg.service
1 systemd:network.target
2 libpng.service
3 site'
is "the edges" "$(grep '^edge ' "$TMP/plan")" 'edge 0 2 ok
edge 1 3 end
edge 2 3 ok'
is "the network is asked for, and only warned of" "$(grep ' systemd:' "$TMP/plan")" \
    'task 1 systemd:network.target Jail=no arg=await arg=--optional arg=network.target command=taskdep optional=yes'
like "the unit's limits are in it" "$(grep ' site ' "$TMP/plan")" 'User=test Group=test WorkingDirectory=/tmp/pandoc .*MaxTime=2s'
is "its digest is sha256sum's" "$(tail -n 1 "$TMP/plan")" \
    "digest $(head -n -1 "$TMP/plan" | sha256sum | cut -d ' ' -f 1)"
ok "equal units give equal bytes" bash -c "taskdep plan site.task | cmp - '$TMP/plan'"
ok "so does another working directory" bash -c "cd / && taskdep plan '$PWD/site.task' | cmp - '$TMP/plan'"
ok "a plan is verified and printed" bash -c "taskdep plan '$TMP/plan' | cmp - '$TMP/plan'"
sed 's/^task 3 site/task 3 evil/' "$TMP/plan" >"$TMP/changed"
exits "a changed plan is refused" 2 taskdep plan "$TMP/changed"
like "… by its digest" "$(cat "$TMP/err")" 'changed:1:1: the digest'
exits "standard input is stdin.task" 0 bash -c 'taskdep plan - <pandoc.task'
like "… and named so" "$(cat "$TMP/out")" '
task 0 stdin '

# ---- order and graph

is "order site.task: one level a line" "$(taskdep order site.task)" 'libjpeg.service systemd:network.target
libpng.service
site'
is "graph site.task" "$(taskdep graph site.task)" 'libjpeg.service
systemd:network.target
libpng.service
    after success of libjpeg.service
site
    after the end of systemd:network.target
    after success of libpng.service'
is "graph --format=dot site.task" "$(taskdep graph --format=dot site.task)" 'digraph "site" {
    rankdir=LR;
    node [shape=box];
    "libjpeg.service";
    "systemd:network.target" [style=dashed];
    "libpng.service";
    "site";
    "libjpeg.service" -> "libpng.service";
    "systemd:network.target" -> "site" [style=dashed];
    "libpng.service" -> "site";
}'

exits "graph --format=svg site.task" 0 taskdep graph --format=svg site.task
ok "… is XML" python3 -c "import sys, xml.dom.minidom as d; d.parse(sys.argv[1])" "$TMP/out"
is "… with a text a task" "$(grep -c '^<text ' "$TMP/out")" 4
is "… and an arrow an edge" "$(grep -c 'z\"/>$' "$TMP/out")" 3

# ---- wrong units

printf '[Servce]\nRestart\n' >bad.task
exits "lint: all errors at once" 2 taskdep lint bad.task
like "the section, with the nearest known one" "$(cat "$TMP/err")" 'bad.task:1:1: .*Servce.*\[Service\]'
like "… and the line without =" "$(cat "$TMP/err")" 'bad.task:2:1: '
exits "a wrong unit does not hide a later one" 2 taskdep lint bad.task site.task none.task
like "… nor an absent one" "$(cat "$TMP/err")" 'unable to read none.task: No such file'
exits "a warning is no error" 0 taskdep lint prune-users.task
like "… and is said" "$(cat "$TMP/err")" '^prune-users.task:3:1: warning: '
printf '[Service]\nFiles=%%i.txt\n[Command]\ncommand="cat %%i"\n' >each@.task
exits "a template has nothing wrong" 0 taskdep lint each@.task
exits "… an instance lacks its file" 2 taskdep lint each@one.task
like "… which is named" "$(cat "$TMP/err")" '^each@.task:2:7: .*one.txt'
printf '[Dependencies]\nRequires=b.task\n[Command]\ncommand=true\n' >a.task
sed 's/b.task/a.task/' a.task >b.task
exits "a cycle of units" 2 taskdep plan a.task
like "… is named with its lines" "$(cat "$TMP/err")" 'a cycle of 2: .*b.task:2.*'
is "… and nothing is printed" "$(cat "$TMP/out")" ""
head -c 100000 /dev/urandom >garbage.task
for verb in plan lint order graph check; do
    exits "$verb: garbage is refused" 2 taskdep "$verb" garbage.task
done
head -c 1048577 /dev/zero >large.task
exits "a unit of more than 1 MiB is refused" 2 taskdep lint large.task
exits "a directory is no unit" 2 taskdep lint .

# ---- tsort's input

awk 'BEGIN { srand(7); for (i = 1; i < 20000; i++)
    printf "%s%d %s%d\n", (i % 3 ? "n" : "a-longer-name-"), int(rand() * i), (i % 2 ? "n" : "a-longer-name-"), i }' >"$TMP/pairs"
exits "order - takes pairs" 0 bash -c "taskdep order - <'$TMP/pairs'"
cp "$TMP/out" "$TMP/sorted"
ok "the names are tsort's" cmp <(sort "$TMP/sorted") <(tsort "$TMP/pairs" | sort)
is "each stands after what is before it" "$(awk 'NR == FNR { at[$1] = NR; next }
    $1 != $2 && at[$1] >= at[$2]' "$TMP/sorted" "$TMP/pairs")" ""
is "blanks, tabs, line ends, equal pairs, names alone" \
    "$(printf 'x\tx a\n\nb a b' | taskdep order - | tr '\n' ' ')" "x a b "
is "nothing gives nothing" "$(taskdep order - </dev/null)" ""
exits "an odd number of names" 2 bash -c 'echo a b c | taskdep order -'
exits "a cycle" 1 bash -c 'echo x a a b b a | taskdep order -'
is "… is named" "$(cat "$TMP/err")" "taskdep: error: input has a cycle: a -> b -> a (2 members)"
is "… and nothing is printed" "$(cat "$TMP/out")" ""
exits "a cycle of a million" 1 bash -c \
    'awk "BEGIN { for (i = 0; i < 1000000; i++) print i, (i + 1) % 1000000 }" | taskdep order -'
is "… names 20" "$(cat "$TMP/err")" "taskdep: error: input has a cycle: $(seq -s ' -> ' 0 19) -> ... -> 0 (1000000 members)"

# ---- await

export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$TMP/no-bus
exits "await without a bus: what is required fails" 1 taskdep await postgresql.service
like "… and says why" "$(cat "$TMP/err")" 'error: unable to ask systemd about postgresql.service: no system bus \(No such file'
exits "await --optional without a bus goes on" 0 taskdep await --optional postgresql.service
like "… with a warning" "$(cat "$TMP/err")" 'warning: unable to ask systemd about postgresql.service: no system bus'

# ---- check

if [ -x "$BIN/taskrun" ]; then
    cp -r "$ROOT/Examples/check" "$TMP/user/check"
    if is_root; then chown -R "$TEST_UID:$TEST_UID" "$TMP/user/check"; fi
    exits "check: the status is the failed check's" 3 as_user "$BIN/taskdep" check "$TMP/user/check/deploy.task"
    like "… which is named" "$(cat "$TMP/out")" ': exit 3$'
    unlike "… and the command did not run" "$(cat "$TMP/out" "$TMP/err")" deployed
    printf '[Checks]\none=/bin/true\ntwo=/bin/true\n[Command]\ncommand=/bin/false\n' >"$TMP/user/good.task"
    exits "check: all said yes" 0 as_user "$BIN/taskdep" check "$TMP/user/good.task"
    is "… each by its name" "$(cat "$TMP/out")" 'one: ok
two: ok'
else
    skip "check" "taskrun is not built"
fi
done_testing
