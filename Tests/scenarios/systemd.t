#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: a name that only systemd knows is asked over D-Bus: what is required must be active, what is
# only before may be waited for, and no answer is said within seconds, never waited out. A stand-in
# plays systemd on a private bus.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun taskdep cc dbus-daemon python3

cc -std=gnu11 -O1 -o "$TMP/standin" "$ROOT/Tests/scenarios/systemd/standin.c" -lsystemd 2>"$TMP/cc" ||
    skip_all "the stand-in can't be compiled: $(apt_line libsystemd-dev): $(head -n 1 "$TMP/cc")"

# ---- the bus and who answers on it

STATES=$TMP/states
mkdir "$STATES"
cat >"$TMP/bus.conf" <<END
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=$TMP/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/> <allow own="*"/> <allow send_destination="*"/> <allow eavesdrop="false"/>
  </policy>
</busconfig>
END
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$TMP/bus
dbus-daemon --config-file="$TMP/bus.conf" --nofork --nopidfile --nosyslog </dev/null >/dev/null 2>"$TMP/bus.err" &
TEST_PIDS+=($!)
wait_until 10 test -S "$TMP/bus" || bail "no private bus: $(cat "$TMP/bus.err")"
"$TMP/standin" "$STATES" </dev/null >>"$TMP/asked" 2>"$TMP/standin.err" &
STANDIN=$!
TEST_PIDS+=("$STANDIN")
wait_until 10 grep -q ready "$TMP/asked" || bail "no stand-in: $(cat "$TMP/standin.err")"

unit_is() { echo "$2" >"$STATES/.new" && mv "$STATES/.new" "$STATES/$1"; } # unit_is NAME STATE
asked() { grep -cE "^$1( |\$)" "$TMP/asked" || true; }

unit_is db.service active
unit_is reload.service reloading
unit_is idle.service inactive
unit_is broken.service failed
unit_is masked.service refuse
unit_is mute.service silent

# ---- taskdep await

exits "await: active" 0 taskdep await db.service
is "… says nothing" "$(cat "$TMP/out" "$TMP/err")" ""
exits "await: reloading is up, too" 0 taskdep await reload.service
exits "await: inactive" 1 taskdep await idle.service
is "… names unit, state and what to do" "$(cat "$TMP/err")" \
    "taskdep: error: idle.service is inactive: systemctl start idle.service"
exits "await: failed" 1 taskdep await broken.service
like "… names unit and state" "$(cat "$TMP/err")" '^taskdep: error: broken.service is failed: '
exits "await: a unit without a file" 1 taskdep await none.service
is "… is not called inactive" "$(cat "$TMP/err")" \
    "taskdep: error: none.service is not found: install it"
exits "await: systemd refuses" 1 taskdep await masked.service
like "… in systemd's words" "$(cat "$TMP/err")" 'about masked.service: Unit masked.service may not be asked for, '
exits "await --optional: inactive" 0 taskdep await --optional idle.service
is "… is a warning" "$(cat "$TMP/err")" \
    "taskdep: warning: idle.service is inactive: systemctl start idle.service"

ACTIVATING='ActiveState slow.service activating'
# asked_since N COUNT PATTERN: at least N such questions more than COUNT
asked_since() { [ "$(asked "$3")" -ge $(($2 + $1)) ]; }
waits() { # waits STATE STATUS [OPTION]: await asks until the unit is no longer activating
    local becomes=$1 status=$2 before pid
    shift 2
    unit_is slow.service activating
    before=$(asked "$ACTIVATING")
    taskdep await "$@" slow.service >"$TMP/slow" 2>&1 &
    pid=$!
    TEST_PIDS+=("$pid")
    ok "await${1:+ $1}: activating is asked for again" wait_until 10 asked_since 2 "$before" "$ACTIVATING"
    ok "… and has not ended" kill -0 "$pid"
    unit_is slow.service "$becomes"
    exits "… until it is $becomes" "$status" wait "$pid"
}
waits active 0
is "… then says nothing" "$(cat "$TMP/slow")" ""
waits active 0 --optional
is "… then says nothing" "$(cat "$TMP/slow")" ""
waits failed 1
like "… and says so" "$(cat "$TMP/slow")" 'slow.service is failed'

# within LOW HIGH NAME STATUS COMMAND…: how long it took, in milliseconds
within() {
    local low=$1 high=$2 name=$3 begin took
    begin=$(date +%s%3N)
    exits "${@:3}"
    took=$(($(date +%s%3N) - begin))
    ok "$name: after $low to $high ms" test "$took" -ge "$low" -a "$took" -le "$high"
}
within 1900 8000 "await: systemd does not answer" 1 taskdep await mute.service
like "… is said" "$(cat "$TMP/err")" 'unable to ask systemd about mute.service: .*[Tt]imed out'
# A socket that takes connections, and no bus behind it.
python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(8); time.sleep(300)' "$TMP/deaf" &
TEST_PIDS+=($!)
wait_until 10 test -S "$TMP/deaf"
within 1900 8000 "await: a bus that never answers" 1 \
    env "DBUS_SYSTEM_BUS_ADDRESS=unix:path=$TMP/deaf" "$BIN/taskdep" await db.service
like "… is said" "$(cat "$TMP/err")" 'about db.service: no system bus \(.*timed out\), '
within 0 1500 "await: no bus" 1 \
    env "DBUS_SYSTEM_BUS_ADDRESS=unix:path=$TMP/none" "$BIN/taskdep" await db.service
like "… is said" "$(cat "$TMP/err")" \
    'unable to ask systemd about db.service: no system bus \(No such file or directory\), what requires it'

# ---- units that name them, without a daemon

mkdir "$TMP/units"
cd "$TMP/units"
unit() { # unit NAME DEPENDENCIES
    printf '[Dependencies]\n%b\n[Command]\ncommand="echo %s ran"\n' "$2" "$1" >"$1.task"
}
unit needs-db 'Requires=db.service'
unit needs-idle 'Requires=idle.service'
unit needs-broken 'Requires=broken.service'
unit needs-mute 'Requires=mute.service'
unit needs-masked 'Requires=masked.service'
unit after-slow 'After=slow.service'
unit after-idle 'After=idle.service'
unit twice 'Requires=needs-a.task needs-b.task'
unit needs-a 'Requires=db.service'
unit needs-b 'Requires=db.service\nAfter=idle.service'
everything() { cat "$TMP/out" "$TMP/err"; }

exits "Requires= of an active unit: it runs" 0 taskrun needs-db.task
like "… the command did" "$(everything)" 'needs-db ran'
exits "Requires= of a failed unit: dependency" 1 taskrun needs-broken.task
unlike "… the command did not run" "$(everything)" 'needs-broken ran'
like "… unit and state are named" "$(everything)" 'broken.service is failed'
exits "Requires= of an inactive unit: dependency" 1 taskrun needs-idle.task
like "… what to do is said" "$(everything)" 'idle.service is inactive: systemctl start idle.service'
exits "After= of an inactive unit: it runs" 0 taskrun after-idle.task
like "… after a warning" "$(everything)" 'warning: idle.service is inactive'

# A bus that takes connections and never answers, and none at all: no run waits for either.
deaf() { env "DBUS_SYSTEM_BUS_ADDRESS=unix:path=$TMP/deaf" "$@"; }
none() { env "DBUS_SYSTEM_BUS_ADDRESS=unix:path=$TMP/none" "$@"; }
within 1900 9000 "Requires=, and a bus that never answers: dependency" 1 deaf "$BIN/taskrun" needs-db.task
unlike "… the command did not run" "$(everything)" 'needs-db ran'
like "… it says that it had no answer" "$(everything)" 'about db.service: no system bus \(.*timed out\)'
within 1900 9000 "After=, and a bus that never answers: it runs" 0 deaf "$BIN/taskrun" after-idle.task
like "… after a warning that says so" "$(everything)" 'after-idle ran.*warning: .*about idle.service: no system bus \(.*timed out\)'
within 0 1800 "Requires=, and no systemd at all: dependency" 1 none "$BIN/taskrun" needs-db.task
unlike "… the command did not run" "$(everything)" 'needs-db ran'
like "… it says why" "$(everything)" 'about db.service: no system bus \(No such file or directory\)'
within 0 1800 "After=, and no systemd at all: it runs" 0 none "$BIN/taskrun" after-idle.task
like "… after a warning that says so" "$(everything)" 'after-idle ran.*warning: .*about idle.service: no system bus'
unit checked 'Requires=db.service'
printf '[Checks]\nhere="echo the check ran"\n' >>checked.task
within 0 1800 "taskdep check asks nobody: what is required does not run" 0 deaf "$BIN/taskdep" check checked.task
like "… the check did" "$(everything)" 'here: ok.*the check ran'

before=$(asked LoadUnit)
exits "Requires= twice of one unit" 0 taskrun twice.task
is "… asks for it once, and once for the other" "$(asked LoadUnit)" $((before + 2))
printf '[Command]\ncommand="echo the file ran"\n' >db.service
before=$(asked LoadUnit)
exits "a file of that name is meant first" 0 taskrun needs-db.task
like "… it ran" "$(everything)" 'the file ran'
is "… and systemd was not asked" "$(asked LoadUnit)" "$before"
unit prefixed 'Requires=systemd:db.service'
exits "systemd:NAME means systemd's" 0 taskrun prefixed.task
is "… who was asked" "$(asked LoadUnit)" $((before + 1))
rm db.service

# ---- through taskd

export TASK_SPOOL=$TMP/spool
start_taskd "$TASK_SPOOL" --slots=4
exits "taskd, an active unit: it runs" 0 task submit --wait needs-db.task
exits "taskd, a failed one: dependency" 1 task submit --wait needs-broken.task
like "… status names unit and state" "$(task status needs-broken)" \
    'needs-broken +failure \(dependency\).*broken.service is failed'
like "… audit too" "$(task audit needs-broken)" 'reason=dependency what=systemd:broken.service'
exits "taskd, systemd refuses: dependency" 1 task submit --wait needs-masked.task
like "… in its words" "$(task logs needs-masked)" 'Unit masked.service may not be asked for'

unit_is slow.service activating
before=$(asked "$ACTIVATING")
task submit after-slow.task >/dev/null
task submit needs-mute.task >/dev/null
ok "taskd, After= of an activating unit: it is asked for again" \
    wait_until 10 asked_since 2 "$before" "$ACTIVATING"
exits "… and others run meanwhile" 0 task submit --wait needs-db.task
unlike "… but not what comes after it" "$(task audit after-slow)" 'start .*name=after-slow'
unit_is slow.service active
exits "… until it is active" 0 task wait --timeout=20s after-slow
is "… then it runs" "$(task logs after-slow)" "after-slow ran"
exits "taskd, no answer from systemd: dependency" 1 task wait --timeout=20s needs-mute
like "… is said" "$(task logs needs-mute)" 'unable to ask systemd about mute.service'

kill "$STANDIN"
wait_until 10 gone "$STANDIN"
exits "taskd, nobody on the bus: dependency" 1 task submit --wait needs-db.task
like "… is said" "$(task logs needs-db)" 'unable to ask systemd about db.service: '
exits "taskd, nobody on the bus: After= only warns" 0 task submit --wait after-idle.task
like "… and says so" "$(task logs after-idle)" 'warning: unable to ask systemd about idle.service: .*the run goes on.*after-idle ran'
done_testing
