#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: taskrun --plan says what happens. strace sees each process of a jail make the calls of the plan, in
# their order, and none besides.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs taskrun strace python3
is_root || skip_all "needs root: the launcher can't be traced by its own user"

COMPARE=$ROOT/Tests/scenarios/plan/compare.py
cd "$TMP/user"
mkdir work unit shown other
echo s3cret >key
echo input >in
printf '#!/bin/sh\nexit 0\n' >unit/check
chmod 0755 unit/check
chmod 0400 key

unit() { # unit NAME LINE…
    local name=$1
    shift
    printf '%s\n' "$@" '[Command]' 'command=/usr/bin/true' >"$name.task"
}
unit plain
unit net '[Jail]' 'PrivateNetwork=yes' 'ProcSubset=pid'
unit full '[Service]' "WorkingDirectory=$PWD/work" "Dir=$PWD/unit" 'LimitMem=64M' 'MaxTime=10s' \
    'MaxCPUTime=1h' 'Nice=3' "LoadCredential=key:$PWD/key" "StandardInput=file:$PWD/in" \
    "StandardOutput=file:$PWD/in" '[Jail]' 'PrivateNetwork=yes' \
    "BindReadOnlyPaths=$PWD/shown:/srv/x $PWD/other:/tmp/deep/y" \
    '[Checks]' 'check="/run/task/dir/check"'

compares() { # compares WHO UNIT: as root, or the user of the test; root reads what is not dumpable
    local as=()
    [ "$1" = root ] || as=("${AS_USER[@]}")
    exits "$1, $2: there is a plan" 0 "${as[@]}" "$BIN/taskrun" --plan -o json "$PWD/$2.task"
    cp "$TMP/out" "$2.$1.json"
    ok "$1, $2: it runs under strace" strace -f -v -s 4096 -o "$PWD/$2.$1.trace" \
        "${as[@]}" "$BIN/taskrun" "$PWD/$2.task"
    ok "$1, $2: what happened is the plan" python3 "$COMPARE" "$2.$1.json" "$2.$1.trace"
}

for name in plain net full; do compares root "$name"; done
chown -R "$TEST_UID:$TEST_UID" .
if as_user "$BIN/taskrun" "$PWD/plain.task" 2>/dev/null; then
    for name in plain net full; do compares user "$name"; done
else
    skip "as a user" "user namespaces are refused here"
fi

python3 - full.root.json >facts <<'END'
import json, sys
plan = json.load(open(sys.argv[1]))
print(" ".join(sorted(plan)))
print(plan["kernel"], plan["landlock"], plan["cgroup"])
END
is "the JSON object has all that the page says" "$(head -n 1 facts)" \
    'as cgroup kernel landlock schema steps uid unit user warnings weak'
like "kernel, Landlock and cgroups are named" "$(sed -n 2p facts)" '^[0-9]+\.[0-9]+ [0-9]+ [a-z0-9]+'
unlike "a credential's bytes are nowhere in it" "$(cat full.root.json)" s3cret
# The test of the test: a plan with two steps in the other order is not what happened.
python3 - full.root.json >turned.json <<'END'
import json, sys
plan = json.load(open(sys.argv[1]))
task = [s for s in plan["steps"] if s["where"] == "task"]
a, b = task[1], task[2]
a["calls"], b["calls"] = b["calls"], a["calls"]
json.dump(plan, sys.stdout)
END
exits "a plan in another order is told apart" 1 python3 "$COMPARE" turned.json full.root.trace

# ---- no call of the plan fails unseen

# The n-th call of a name fails in whichever process makes it first: the task must not start. What only
# tidies (umask, what a killed jail is told by) is not among the names.
fails() { # fails NAME N
    local status=0
    timeout 20 strace -f -qq -o trace -e trace="$1" -e "inject=$1:error=ENOMEM:when=$2" \
        "$BIN/taskrun" "$PWD/full.task" >out 2>err || status=$?
    grep -q INJECTED trace || return 1
    if [ "$status" -lt 200 ] || [ "$status" -gt 245 ]; then
        echo "$1 $2: status $status: $(head -c 300 err)"
        return 0
    fi
    grep -Eq 'unable to .+: .+|jail was killed|ended twice' err || echo "$1 $2: $(head -c 300 err)"
}
for name in keyctl unshare sethostname setsid mount move_mount open_tree mount_setattr pivot_root \
    umount2 openat2 setgroups setresgid setresuid setpgid capset landlock_add_rule \
    landlock_restrict_self seccomp close_range symlink mknod setpriority; do
    for number in 1 2 5; do
        fails "$name" $number || break
    done
done >unseen
is "no call of the plan fails unseen" "$(cat unseen)" ""
done_testing
