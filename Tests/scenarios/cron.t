#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: a unit with [RunIf] in units/ runs when it is due, each slot once, whatever happens to taskd, the clock and the
# file; what was missed and what overlaps goes as it says; a condition decides. The time of day is moved by cron/clock.c.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun cc

HERE=$ROOT/Tests/scenarios/cron
cc -std=gnu11 -O2 -shared -fPIC -o "$TMP/clock.so" "$HERE/clock.c"
export TEST_CLOCK=$TMP/clock
printf '%-32s' 0 >"$TEST_CLOCK"
ahead() { printf '%-32s' "$1" | dd of="$TEST_CLOCK" conv=notrunc status=none; } # ahead SECONDS
clocked() { LD_PRELOAD=$TMP/clock.so "$@"; }
# What is read is not cut off at the end of a pipe: journals are padded with zeros.
journal() { find "$SPOOL/journal" -type f -not -name '*.sqlite*' -exec cat {} + | tr -d '\0'; }
accepts() { journal | awk -v u=" unit=$1 " '$5 == "accept" && index($0 " ", u)'; }
slots() { accepts "$1" | grep -o ' cron=[0-9]*' | sort | uniq -c | awk '{print $1}' | sort -u | paste -sd' '; } # how often each
count() { accepts "$1" | wc -l; }
fired() { [ "$(count "$1")" -ge "${2:-1}" ]; }
records() { journal | awk -v v="$1" -v u=" unit=$2 " '$5 == v && index($0 " ", u)'; }
recorded() { records "$@" | grep -q .; }
ended() { journal | awk -v n=" name=$1 " '$5 == "end" && $6 !~ /[.]/ && index($0 " ", n)' | wc -l; }
ended_all() { [ "$(ended "$1")" -eq "$(count "$1")" ] && [ "$(count "$1")" -ge "${2:-1}" ]; }
unit() { # unit RUNIF-LINES [COMMAND]
    printf '[RunIf]\n%b\n[Jail]\nJail=no\n[Command]\ncommand=%s\n' "$1" "${2:-true}"
}
spool() { # spool NAME: a new one, its taskd not started
    SPOOL=$TMP/$1
    export TASK_SPOOL=$SPOOL
    ahead 0
}
start() { clocked_taskd "$SPOOL" --pool=none; }
clocked_taskd() { LD_PRELOAD=$TMP/clock.so start_taskd "$@"; }
wake() { : >"$SPOOL/units/.wake"; } # a step of this clock wakes nobody: in the kernel's it does

# ---- a unit is installed and fires

# These slots are those of the real clock: not over the end of a minute.
early() { [ "$((10#$(date +%S)))" -lt 35 ]; }
wait_until 40 early
spool first
start
unit 'cron=* * * * *' >"$TMP/site.task"
exits "a unit with [RunIf] is submitted" 0 task submit "$TMP/site.task"
ok "and installed" wait_until 10 test -f "$SPOOL/units/site.task"
exits "it has not run" 0 task status site
like "but will" "$(cat "$TMP/out")" 'fires: cron=\* \* \* \* \*'
like "and when" "$(cat "$TMP/out")" 'next: 20[0-9-]*T'
ahead 60
wake
ok "it fires at its minute" wait_until 10 ended_all site
is "at that only" "$(count site)" 1
slot=$(accepts site | grep -o 'cron=[0-9]*' | cut -d= -f2)
is "a whole minute" $((slot % 60000000)) 0
exits "task list shows the unit's name" 0 task list
like "in words" "$(cat "$TMP/out")" 'site'
exits "its audit has the slot" 0 task audit site
like "as the accept says" "$(cat "$TMP/out")" "cron=$slot"
wake
rm "$SPOOL/units/site.task"
ahead 180
wake
unit 'cron=* * * * *' >"$TMP/other.task"
mv "$TMP/other.task" "$SPOOL/units/other.task"
ahead 240
wake
ok "a file that is moved in is armed" wait_until 10 fired other
is "what was removed is disarmed" "$(count site)" 1
unit 'cron=0 0 29 2 *' >"$SPOOL/units/other.task"
before=$(count other)
ahead 420
wake
unit 'cron=* * * * *' >"$SPOOL/units/third.task"
ahead 480
wake
ok "a third fires" wait_until 10 fired third
is "what is edited fires by its new times" "$(count other)" "$before"
stop_taskd
is "taskd ended in order" "$(tail -n 1 "$TMP/taskd.err" | grep -c error)" 0

# ---- what was missed

spool missed
mkdir -p "$SPOOL" && chmod 0700 "$SPOOL"
start
for policy in skip once all; do
    unit "cron=* * * * *\nMisfire=$policy\nOverlap=allow" >"$SPOOL/units/$policy.task"
done
unit 'cron=* * * * *\nOverlap=queue' >"$SPOOL/units/queued.task"
wake
stop_taskd
ahead 600
start
ok "once: one run for ten minutes" wait_until 10 ended_all once
like "that says for how many" "$(accepts once)" ' missed=[89] .*late=yes| missed=[89]$| missed=[89] '
ok "all: each of them" wait_until 10 ended_all all 9
is "each slot once" "$(slots all)" 1
ok "skip: none but what is due now" wait_until 10 recorded skip skip
like "as a record says" "$(records skip skip)" 'what=its%20time%20had%20passed'
before=$(count once)
stop_taskd KILL
start
is "after a kill -9 it is the same" "$(count once) $(slots all)" "$before 1"
ahead $((600 + 365 * 86400))
wake
ok "FAULT 20: a year ahead: one run" wait_until 20 fired once $((before + 1))
like "flagged" "$(accepts once | tail -n 1)" ' missed=999'
is "one" "$(count once)" $((before + 1))
ok "all: a hundred" wait_until 60 fired all 100
runs=$(count once)
ahead 660
wake
ok "back again: what did not run comes when it is due" wait_until 20 fired once $((runs + 1))
is "each slot once" "$(slots once) $(slots all) $(slots queued)" "1 1 1"
all=$(count all)
ahead -86400
wake
ahead -86340
wake
stop_taskd
ahead 600
start
is "FAULT 21: after a day back no slot ran twice" "$(slots once) $(slots all)" "1 1"
ok "nothing more of all" [ "$(count all)" -ge "$all" ]
stop_taskd

# ---- overlap

spool overlap
start
printf '#!/bin/sh\nwhile [ ! -e %s/go ]; do sleep 0.05; done\n' "$TMP" >"$TMP/wait.sh"
chmod 755 "$TMP/wait.sh"
for policy in skip queue allow; do
    unit "cron=* * * * *\nOverlap=$policy" "$TMP/wait.sh" >"$SPOOL/units/$policy.task"
done
wake
for step in 60 120 180; do
    ahead $step
    wake
    ok "the $step seconds have been seen" wait_until 10 fired allow $((step / 60))
done
is "skip and queue have one run" "$(count skip) $(count queue)" "1 1"
is "two slots are skipped" "$(records skip skip | wc -l)" 2
is "of the queue the older one" "$(records skip queue | wc -l)" 1
like "with the reason" "$(records skip skip)" 'the%20run%20before%20has%20not%20ended'
: >"$TMP/go"
ok "what was queued runs behind the run before" wait_until 20 ended_all queue 2
ok "all of allow end" wait_until 20 ended_all allow 3
exits "a skipped slot is seen" 0 task list --state=skipped
like "with its unit" "$(cat "$TMP/out")" 'skip'
stop_taskd

# ---- conditions

spool conditions
start
printf '#!/bin/sh\n[ -e %s/yes ] || exit 1\n' "$TMP" >"$TMP/check.sh"
printf '#!/bin/sh\necho the disk is gone\nexit 3\n' >"$TMP/broken.sh"
chmod 755 "$TMP"/*.sh
unit "Requires=$TMP/check.sh\nEvery=1s" "touch" >"$TMP/cond.task"
printf '[Args]\nargs=%s/done\n' "$TMP" >>"$TMP/cond.task"
cp "$TMP/cond.task" "$SPOOL/units/"
ok "a condition is asked at once" wait_until 10 ended_all cond
skipped() { journal | grep "$1" | head -n 1 | grep -q 'state=skipped'; }
ok "it says no: skipped" wait_until 10 skipped ' end .* name=cond '
ok "by its check" wait_until 10 skipped ' end [^ ]*[.]0 .*final=yes'
ok "and again" wait_until 10 ended_all cond 2
ok "the unit did not run" [ ! -e "$TMP/done" ]
: >"$TMP/yes"
ok "it says yes: the unit runs" wait_until 10 test -e "$TMP/done"
rm "$SPOOL/units/cond.task"
unit "Requires=$TMP/broken.sh\nEvery=1h" >"$SPOOL/units/broken.task"
ok "more than 1 is a failure" wait_until 10 ended_all broken
exits "that shows" 0 task status broken
like "which check" "$(cat "$TMP/out")" 'broken.check'
exits "and what it said" 0 task logs broken
like "in its log" "$(cat "$TMP/out")" 'the disk is gone'
unit "cron=* * * * *\nRequires=$TMP/check.sh" >"$SPOOL/units/both.task"
wake
ahead 60
wake
ok "at its time the condition decides" wait_until 10 ended_all both
like "and it runs" "$(journal | grep ' end .* name=both ' | tail -n 1)" 'state=success'
stop_taskd
start
is "a restart asks no sooner than Every=" "$(count broken)" 1
stop_taskd

# ---- what is refused, and stops nobody

spool refused
start
unit 'cron=61 * * * *' >"$SPOOL/units/wrong.task"
unit 'cron=* * * * *\nTimeZone=Mars/Olympus' >"$SPOOL/units/mars.task"
unit 'cron=* * * * *' >"$SPOOL/units/open.task"
chmod 666 "$SPOOL/units/open.task"
unit 'cron=* * * * *' >"$SPOOL/units/needs.task"
printf '[Dependencies]\nRequires=absent.task\n' >>"$SPOOL/units/needs.task"
unit 'cron=* * * * *' >"$SPOOL/units/good.task"
wake
ahead 60
wake
ok "what is good fires" wait_until 10 ended_all good
for name in wrong mars open; do
    is "$name does not" "$(count $name)" 0
    is "and that is said once" "$(grep -c "units/$name.task does not run by itself" "$TMP/taskd.err")" 1
done
like "why: the field" "$(cat "$TMP/taskd.err")" 'minute 61'
like "FAULT 39: the zone" "$(cat "$TMP/taskd.err")" 'TimeZone=Mars/Olympus: no such zone'
like "who may write" "$(cat "$TMP/taskd.err")" 'others may write .*open.task'
ok "a slot whose unit cannot be compiled is rejected" recorded reject needs
exits "a drop with a zone that is not there" 2 task submit "$SPOOL/units/mars.task"
unit 'cron=* * * * *' >"$SPOOL/units/wrong.task"
ahead 120
wake
ok "corrected it fires" wait_until 10 ended_all wrong
stop_taskd

# ---- @reboot, templates

spool reboot
start
unit 'cron=@reboot' >"$SPOOL/units/late.task"
wake
stop_taskd
start
unit 'cron=* * * * *' 'echo' >"$SPOOL/units/tpl@.task"
printf '[Args]\nargs=%%i\n' >>"$SPOOL/units/tpl@.task"
: >"$SPOOL/units/tpl@one.task"
ahead 60
wake
ok "an instance fires" wait_until 10 ended_all tpl@one
is "a template by itself does not" "$(count tpl@)" 0
is "@reboot of this boot: not before the next" "$(count late)" 0
stop_taskd
unit 'cron=@reboot' >"$SPOOL/units/boot.task"
start
ok "@reboot that was there at the start fires" wait_until 10 ended_all boot
stop_taskd KILL
start
stop_taskd
is "once a boot" "$(count boot)" 1

# ---- killed around a firing: each slot once, whatever call it is

spool killed
if [ "$(uname -m)" != x86_64 ] || ! { cc -std=gnu11 -O2 -o "$TMP/inject" "$HERE/../crash/inject.c" &&
    "$TMP/inject" -c getpid -n 0 true; } >/dev/null 2>&1; then
    skip "killed around a firing" "nothing can be traced here (ptrace)"
else
    # shellcheck disable=SC2016
    printf '#!/bin/sh\necho "$TASK_RUN" >>%s/marks\n' "$TMP" >"$TMP/mark.sh"
    chmod 755 "$TMP/mark.sh"
    fresh() { # a spool whose unit was due two minutes ago, by the clock that taskd will have
        spool "killed$1"
        mkdir -p "$SPOOL"/{incoming,tmp,ready,active,deferred,hold,failed,rejected,units,journal,log}
        chmod -R go= "$SPOOL"
        echo 'taskspool 1' >"$SPOOL/version"
        unit 'cron=* * * * *' "$TMP/mark.sh" >"$SPOOL/units/site.task"
        chmod 644 "$SPOOL/units/site.task"
        ahead 120
        : >"$TMP/marks"
    }
    traced() { # traced ARGUMENT…: taskd under inject, until it ends or 5 s are over
        LD_PRELOAD=$TMP/clock.so timeout -s TERM 5 "$TMP/inject" "$@" "$BIN/taskd" --spool="$SPOOL" --pool=none \
            </dev/null >>"$TMP/taskd.out" 2>>"$TMP/taskd.err" &
        TRACER=$!
        TEST_PIDS+=("$TRACER")
    }
    fresh 0
    traced -l "$TMP/calls" -n 0
    ok "traced it fires" wait_until 10 ended_all site
    kill "$TRACER" 2>/dev/null || true
    wait "$TRACER" 2>/dev/null || true
    total=$(wc -l <"$TMP/calls")
    first=$(grep -n -m 1 timerfd_settime "$TMP/calls" | cut -d: -f1)
    like "the calls are known" "$first $total" '^[1-9][0-9]* [1-9][0-9]*$'
    broken=()
    cases=${TASKSPOOL_CRON_KILLS:-24}
    for ((i = 1; i <= cases; i++)); do
        n=$((first - 8 + i * (total - first) / cases))
        fresh "$i"
        traced -n "$n" -k
        wait "$TRACER" 2>/dev/null || true
        start
        wait_until 15 ended_all site || broken+=("call $n: not ended")
        [ "$(slots site)" = 1 ] || broken+=("call $n: slots $(slots site)")
        [ -z "$(sort "$TMP/marks" | uniq -d)" ] || broken+=("call $n: ran twice")
        [ "$(wc -l <"$TMP/marks")" -eq "$(count site)" ] || broken+=("call $n: $(wc -l <"$TMP/marks") of $(count site) ran")
        stop_taskd KILL
    done
    is "killed at $cases calls around a firing: each slot ran once" "${broken[*]-}" ""
fi

# ---- a crontab becomes units

spool imported
start
printf 'MAILTO=ops\nPATH=/usr/bin:/bin\n* * * * * touch %s/imported && cat >%s/stdin%%one%%two\n' "$TMP" "$TMP" >"$TMP/tab"
exits "a crontab is shown as units" 0 task import-crontab -n "$TMP/tab"
like "with what it says" "$(cat "$TMP/out")" $'cron=\\* \\* \\* \\* \\*\n.*X-MailTo=ops.*PATH="/usr/bin:/bin"'
exits "and written" 0 task import-crontab "$TMP/tab"
is "into units/" "$(cat "$TMP/out")" "$SPOOL/units/tab-3.task"
exits "taskdep knows it" 0 taskdep next -n 1 "$SPOOL/units/tab-3.task"
exits "not twice" 1 task import-crontab "$TMP/tab"
ahead 60
wake
ok "it fires" wait_until 10 ended_all tab-3
ok "the command ran" [ -e "$TMP/imported" ]
is "with its standard input" "$(paste -sd, "$TMP/stdin")" "one,two"
printf '* * * * * true\n61 * * * * true\n@daily\n' >"$TMP/bad"
exits "what cannot be said is refused" 2 task import-crontab "$TMP/bad"
like "by file, line and column" "$(cat "$TMP/err")" "$TMP/bad:2:1: minute 61.*$TMP/bad:3:7: no command"
ok "nothing is written then" [ ! -e "$SPOOL/units/bad-1.task" ]
stop_taskd

done_testing
