#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: `taskdep next` says when a cron expression is due as Debian's cron would, in every zone, over
# changes of the clocks; what it cannot answer it refuses with a sentence.
# TIME_CASES: how many random expressions are compared (3000); TIME_SEED: from where.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs taskdep

next() { taskdep next "$@" 2>&1 | paste -sd' '; }
B='--tz=Europe/Berlin'
is "the gap: 02:30 runs at 03:00, once" "$(next -n 3 --from 2026-03-28T00:00:00Z $B '30 2 * * *')" \
    "2026-03-28T02:30:00+01:00 2026-03-29T03:00:00+02:00 2026-03-30T02:30:00+02:00"
is "two of a day in the gap are one" "$(next -n 2 --from 2026-03-28T23:00:00Z $B '10,40 2 * * *')" \
    "2026-03-29T03:00:00+02:00 2026-03-30T02:10:00+02:00"
is "the overlap: 02:30 runs once, the first time" "$(next -n 2 --from 2026-10-24T12:00:00Z $B '30 2 * * *')" \
    "2026-10-25T02:30:00+02:00 2026-10-26T02:30:00+01:00"
is "what follows the clock runs both times" "$(next -n 4 --from 2026-10-24T23:50:00Z $B '*/30 2 * * *')" \
    "2026-10-25T02:00:00+02:00 2026-10-25T02:30:00+02:00 2026-10-25T02:00:00+01:00 2026-10-25T02:30:00+01:00"
is "and skips the gap" "$(next -n 1 --from 2026-03-29T00:00:00Z $B '*/30 2 * * *')" "2026-03-30T02:00:00+02:00"
is "midnight that is not there (Cairo)" "$(next -n 2 --from 2026-04-23T12:00:00Z --tz=Africa/Cairo '0 0 * * *')" \
    "2026-04-24T01:00:00+03:00 2026-04-25T00:00:00+03:00"
is "a day that is not there (Apia)" "$(next -n 2 --from 2011-12-29T12:00:00-10:00 --tz=Pacific/Apia '0 12 * * *')" \
    "2011-12-31T00:00:00+14:00 2011-12-31T12:00:00+14:00"
is "half an hour (Lord Howe)" "$(next -n 2 --from 2026-10-03T12:00:00Z --tz=Australia/Lord_Howe '15 2 * * *')" \
    "2026-10-04T02:30:00+11:00 2026-10-05T02:15:00+11:00"
is "a leap day" "$(next -n 2 --from 2026-01-01T00:00:00Z --tz=UTC '0 0 29 2 *')" "2028-02-29T00:00:00Z 2032-02-29T00:00:00Z"
is "day or weekday" "$(next -n 3 --from 2026-11-01T00:00:00Z --tz=UTC '0 0 13 * fri')" \
    "2026-11-06T00:00:00Z 2026-11-13T00:00:00Z 2026-11-20T00:00:00Z"
is "a step restricts both" "$(next -n 2 --from 2026-11-01T00:00:00Z --tz=UTC '0 0 */7 * mon')" \
    "2027-02-01T00:00:00Z 2027-02-08T00:00:00Z"
is "behind the table of a zone its rule holds" "$(next -n 1 --from 2190-07-01T00:00:00Z $B '0 12 * * *')" "2190-07-01T12:00:00+02:00"

exits "a day that never comes" 1 taskdep next '0 0 30 2 *'
like "is said" "$(cat "$TMP/err")" 'never due: no such day comes'
exits "@reboot is no time" 1 taskdep next @reboot
exits "a zone that is not there" 2 taskdep next --tz=Mars/Olympus '0 0 * * *'
like "where zones are" "$(cat "$TMP/err")" '/usr/share/zoneinfo'
exits "a zone is no path" 2 taskdep next --tz=../../../etc/passwd '0 0 * * *'
exits "a file that is no zone" 2 taskdep next --tz=zone.tab '0 0 * * *'
exits "a wrong expression" 2 taskdep next '61 * * * *'
like "which field" "$(cat "$TMP/err")" 'minute 61'

printf '[RunIf]\ncron=0 6 * * mon-fri\nTimeZone=Asia/Tokyo\n[Command]\ncommand=true\n' >"$TMP/report.task"
is "a unit has its own zone" "$(next -n 1 --from 2026-11-25T00:00:00Z "$TMP/report.task")" "2026-11-26T06:00:00+09:00"
printf '[Command]\ncommand=true\n' >"$TMP/plain.task"
exits "a unit without cron=" 2 taskdep next "$TMP/plain.task"

# ---- an independent implementation

PEER=$ROOT/.build/cronsim
have_peer() {
    [ -d "$PEER/cronsim" ] || python3 -m pip install -q --target "$PEER" cronsim==2.8
}
if ! have_peer >"$TMP/pip" 2>&1 </dev/null; then
    skip "the same as cronsim" "cronsim cannot be had: $(tail -n 1 "$TMP/pip")"
else
    ok "the same as cronsim" env PYTHONPATH="$PEER" PYTHONDONTWRITEBYTECODE=1 timeout 400 python3 \
        "$ROOT/Tests/scenarios/time/compare.py" "$BIN/taskdep" "${TIME_CASES:-3000}" "${TIME_SEED:-1}"
fi
done_testing
