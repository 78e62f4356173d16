#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: on a Debian 12 with systemd as PID 1 the shipped units start, `journalctl TASK_NAME=site`
# finds the run, and the real systemd is asked for what a unit requires.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs taskd taskrun taskdep task tasklog
is_root || skip_all "not root: nspawn needs it"
needs systemd-nspawn python3

# shellcheck source=Tests/scenarios/bookworm.sh
. "$(dirname "$0")/bookworm.sh"

mkdir -p "$TMP/programs" "$TMP/units/multi-user.target.wants" "$TMP/share"
cp "$BIN"/{task,taskd,taskrun,taskdep,tasklog} "$TMP/programs"
cp "$ROOT"/contrib/systemd/*.{service,socket} "$TMP/units"
ln -s ../scenario.service "$TMP/units/multi-user.target.wants"
cat >"$TMP/units/scenario.service" <<'END'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash /share/inside
ExecStopPost=/bin/systemctl --no-block poweroff
StandardOutput=file:/share/log
StandardError=file:/share/log
TimeoutStartSec=150
END
cat >"$TMP/units/slow.service" <<'END'
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'until [ -e /run/slow.go ]; do sleep 0.1; done'
END
cat >"$TMP/units/broken.service" <<'END'
[Service]
ExecStart=/bin/false
END

# ---- inside: what each command says is left in /share/NAME, its status in /share/NAME.status

cat >"$TMP/share/inside" <<'END'
set -u
touch /share/booted
did() { # did NAME COMMAND…
    local status=0
    timeout -s KILL 60 "${@:2}" >"/share/$1" 2>&1 </dev/null || status=$?
    echo $status >"/share/$1.status"
}
until_() { # until_ COMMAND…: 20 seconds at most
    local end=$((SECONDS + 20))
    until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep 0.1; done
}
unit() { printf '[Dependencies]\n%b\n[Command]\ncommand="%s"\n' "$2" "$3" >"/root/$1.task"; }
unit site 'Requires=dbus.service\nAfter=network.target' 'echo the site'
unit bad 'Requires=broken.service' 'echo never'
unit later 'After=slow.service' 'echo later'
unit long '' 'sleep 3'
export TASK_SPOOL=/var/spool/task/root

did verify systemd-analyze verify --man=no taskd@root.service taskrun@root.service taskrun.socket taskrun.service
did start systemctl start taskd@root
cp /root/site.task $TASK_SPOOL/incoming/.site.task
mv $TASK_SPOOL/incoming/.site.task $TASK_SPOOL/incoming/site.task
until_ task status site
did wait task wait --timeout=20s site
did journal journalctl -o json TASK_NAME=site
did state journalctl -o cat TASK_STATE=success _SYSTEMD_UNIT=taskd@root.service
did messages journalctl -o cat -u taskd@root

systemctl start --no-block broken.service
until_ systemctl is-failed broken.service
did bad task submit --wait /root/bad.task
did badstatus task status bad
did badjournal journalctl -o cat TASK_NAME=bad

systemctl start --no-block slow.service
task submit /root/later.task
until_ sh -c 'task audit later | grep "start.*slow.service"'
did activating task audit later
touch /run/slow.go
did later task wait --timeout=20s later
did laterlog task logs later

task submit /root/long.task
until_ sh -c 'task audit long | grep "start.*long"'
systemctl show -P MainPID taskrun >/share/pool
did restart systemctl restart taskd@root
did long task wait --timeout=20s long
did longaudit task audit long
systemctl show -P MainPID taskrun >>/share/pool
did groups systemd-cgls --no-pager -u taskrun.service
did weak taskrun --plan /root/site.task

did alice systemctl start taskd@alice
cp /root/site.task /home/alice/site.task
did alicerun setpriv --reuid=alice --regid=alice --init-groups env HOME=/home/alice USER=alice \
    task submit --spool=/var/spool/task/alice --wait /home/alice/site.task
did alicejournal journalctl -o json TASK_NAME=site _UID=$(id -u alice)
did stop systemctl stop taskd@root taskd@alice taskrun.socket taskrun
did failed systemctl --failed --plain --no-legend
touch /share/done
END

# nspawn leaves its own cgroups where no systemd keeps them.
left_over() { find /sys/fs/cgroup -maxdepth 2 \( -name payload -o -name supervisor \) 2>/dev/null | sort; }
left_over >"$TMP/cgroups"
tidy() {
    left_over | comm -13 "$TMP/cgroups" - | while read -r group; do
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done
}

flags=()
[ -d /run/systemd/system ] || flags=(--register=no --keep-unit)
systemd-nspawn --quiet "${flags[@]}" --directory="$IMAGE" --volatile=overlay --boot \
    --machine="taskspool-$$" --bind-ro="$TMP/programs:/usr/local/bin" \
    --bind-ro="$TMP/units:/usr/local/lib/systemd/system" --bind="$TMP/share:/share" \
    </dev/null >"$TMP/console" 2>&1 &
NSPAWN=$!
TEST_PIDS+=("$NSPAWN")
booted() { [ -e "$TMP/share/booted" ] || gone "$NSPAWN"; }
wait_until 60 booted || true
[ -e "$TMP/share/booted" ] ||
    skip_all "systemd does not boot in nspawn here: $(grep -a . "$TMP/console" | tail -n 1 | tr -cd '[:print:]')"
ok "the system ends by itself" wait_until 200 gone "$NSPAWN"
tidy

# ---- what it said

said() { cat "$TMP/share/$1"; }
did() { # did NAME STATUS TEXT
    is "$3" "$(said "$1.status")" "$2"
    [ "$(said "$1.status")" = "$2" ] || said "$1" | diag
}
ok "the script inside came to its end" test -e "$TMP/share/done"
did verify 0 "systemd-analyze verify: the shipped units"
is "… nothing to warn of" "$(said verify)" ""
did start 0 "systemctl start taskd@root: it is ready"
did wait 0 "a dropped unit runs"

field() { python3 -c 'import json, sys; print(json.loads(sys.stdin.readline()).get(sys.argv[1]))' "$1"; }
is "journalctl TASK_NAME=site: one entry" "$(wc -l <"$TMP/share/journal")" 1
is "… TASK_STATE" "$(said journal | field TASK_STATE)" success
like "… TASK_RUN" "$(said journal | field TASK_RUN)" '^[0-9a-z]{26}$'
is "… TASK_ID" "$(said journal | field TASK_ID)" "$(said journal | field TASK_RUN)"
is "… the sender is taskd's service" "$(said journal | field _SYSTEMD_UNIT)" taskd@root.service
like "… a sentence" "$(said journal | field MESSAGE)" '^site success: task audit [0-9a-z]{8}$'
like "journalctl TASK_STATE=success" "$(said state)" '^site success'
unlike "taskd has nothing to complain of" "$(said messages)" 'warning|error'

did bad 1 "Requires= of a failed unit: dependency"
like "… named by the real systemd" "$(said badstatus)" 'broken.service is failed'
like "… in the journal too" "$(said badjournal)" '^bad failure'
unlike "After= of an activating unit waits" "$(said activating)" 'start .*name=later'
did later 0 "… until it is active"
is "… and runs" "$(said laterlog)" later

did restart 0 "systemctl restart taskd@root while a task runs"
did long 0 "… the task goes on"
is "… in one attempt" "$(said longaudit | grep -c ' start ')" 1
is "… and in one pool" "$(sort -u "$TMP/share/pool" | grep -c '[1-9]')" 1
like "… which is the service's" "$(said groups)" 'taskrun --pool'

did alice 0 "systemctl start taskd@alice"
did alicerun 0 "her task runs"
is "… and is hers in the journal" "$(said alicejournal | field _SYSTEMD_UNIT)" taskd@alice.service
did stop 0 "systemctl stop"
is "nothing has failed but what had to" "$(said failed | awk '{ print $1 }')" broken.service
done_testing
