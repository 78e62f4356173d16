#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: event lines from a pipe become a history that answers: logs, audit, status, list, SQL. No
# daemon: a fixed journal, so that every answer is known to the byte.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs tasklog

export TASK_SPOOL=$TMP/spool
RUN=01hf7yat0000000000000000a1
LATER=01hf7yat0000000000000000b2

events() {
    cat <<LINES
1700000000000000 accept $RUN name=site.task unit=site tasks=2 by=1000 as=test plan=taskplan%201%0Atask%200%20libpng.service%20command%3Dtrue%0Atask%201%20site%20command%3Dpandoc%0Aedge%200%201%20ok%0A
1700000000100000 start $RUN.0 a=1 name=libpng.service
1700000000200000 end $RUN.0 a=1 state=success exit=0 cpu=1200 mem=4194304 final=yes name=libpng.service
1700000000300000 start $RUN.1 a=1 name=site
1700000000310000 note $RUN.1 a=1 what=output step=1 fd=1 data=/usr/bin/pandoc%0A
1700000000320000 check $RUN.1 a=1 name=site check=check-pandoc exit=0
1700000000330000 note $RUN.1 a=1 what=output step=0 fd=1 data=hello%20%1B[31mworld%0A
1700000000340000 note $RUN.1 a=1 what=output step=0 fd=2 data=oops%FF%0A
1700000001300000 end $RUN.1 a=1 state=failure reason=exit exit=7 cpu=90000 name=site
1700000001300001 retry $RUN.1 a=2 due=1700000002300000
1700000002300000 start $RUN.1 a=2 name=site
1700000002330000 note $RUN.1 a=2 what=output step=0 fd=1 data=again%0A
1700000003300000 end $RUN.1 a=2 state=failure reason=exit exit=8 cpu=90000 final=yes name=site what=exit%20status%208
1700000003300001 end $RUN state=failure reason=exit final=yes
LINES
}

# ---- no spool, no history

exits "no spool" 69 tasklog list
like "it says how to make one" "$(cat "$TMP/err")" "taskd --spool=$TASK_SPOOL"

# ---- append

is "--cat prints the command's output" \
    "$(events | tasklog append --cat 2>"$TMP/cat.err" | tr -d '\033')" $'hello [31mworld\nagain'
like "and the check's on standard error" "$(cat "$TMP/cat.err")" '^/usr/bin/pandoc'
is "the segment is sealed" "$(find "$TASK_SPOOL/journal" -name '*.sealed' | wc -l)" 1
is "no output is in the journal" "$(grep -ac 'what=output' "$TASK_SPOOL"/journal/*.sealed)" 0
like "an end says where its output lies" "$(grep -a ' end .*a=2' "$TASK_SPOOL"/journal/*.sealed)" \
    'log=00000001-[0-9]+\.[0-9]+-000001:2[78][0-9]\+69$'
printf '%s\n' "1700000010000000 note - what=a" "garbage" "1700000010000001 note - what=b" >"$TMP/bad"
status=0
tasklog append <"$TMP/bad" 2>"$TMP/err" || status=$?
is "garbage exits 2" $status 2
is "it is named by its line" "$(cat "$TMP/err")" "tasklog: error: standard input:2: no time: a line \
begins with microseconds since 1970, the line is left out"
is "the lines around it are kept" "$(grep -ah 'note -' "$TASK_SPOOL"/journal/*.sealed | grep -c what)" 2
like "each writer has an epoch of its own" "$(ls "$TASK_SPOOL/journal")" '00000002-'

# ---- logs

exits "logs" 0 tasklog logs site
is "all attempts, raw" "$(od -An -c "$TMP/out" | tr -d ' \n')" \
    "$(printf '/usr/bin/pandoc\nhello \033[31mworld\noops\377\nagain\n' | od -An -c | tr -d ' \n')"
is "one attempt" "$(tasklog logs site --attempt 2)" again
is "one stream" "$(tasklog logs --stream stderr "$RUN" | od -An -tx1)" " 6f 6f 70 73 ff 0a"
is "by the end of the id" "$(tasklog logs 00a1.1 --attempt 2)" again
is "another task of the run is silent" "$(tasklog logs "$RUN.0")" ""
is "as rows" "$(tasklog logs site --attempt 2 -o jsonl)" "{\"id\":\"$RUN.1\",\"name\":\"site\",\
\"attempt\":2,\"stream\":\"stdout\",\"time\":\"2023-11-14T22:13:22.330000Z\",\"text\":\"again\\n\"}"
if command -v script >/dev/null; then
    is "on a terminal lines say whose they are, and control characters show" \
        "$(NO_COLOR=1 script -qec 'tasklog logs --no-pager --attempt 1' /dev/null </dev/null |
            tr -d '\r' | head -2)" \
        $'site: check-pandoc: /usr/bin/pandoc\nsite: hello \\x1b[31mworld'
else
    skip "on a terminal lines say whose they are" "script(1) is not installed"
fi
exits "nothing of that name" 3 tasklog logs nothing

# ---- audit, status, list

is "audit" "$(tasklog audit site -o plain | cut -f 2-5 | tr '\t' ' ' | sed "s/$RUN/R/")" "R accept created -
R.0 start running 1
R.0 end success 1
R.1 start running 1
R.1 check running 1
R.1 end failure 1
R.1 retry pending 2
R.1 start running 2
R.1 end failure 2
R end failure -"
exits "status" 0 tasklog status site
is "status, for people" "$(cat "$TMP/out")" "✘ site failure
      Run: $RUN
     Unit: site.task
   Result: exit 8
  Message: exit status 8
     Time: accepted 2023-11-14T22:13:20Z, waited 100ms, took 3.2s
 Attempts: 2
     Used: CPU 90ms
     User: test
    Tasks: 2 of 2 ended
           libpng.service  success, 100ms
           site            failure (exit 8), 3s, attempt 2
   Output: (task logs 000000a1)
           site: check-pandoc: /usr/bin/pandoc
           site: hello \\x1b[31mworld
           site: oops�
           site: again"
exits "status --check of a failure" 1 tasklog status --check site
exits "status of a stranger" 3 tasklog status nothing
is "list" "$(tasklog list -o plain | cut -f 1,3,6,8)" "$RUN"$'\tsite\tfailure\t8'
is "list of a state" "$(tasklog list -s success -o jsonl)" ""
exits "a state that is none" 2 tasklog list -s bogus
echo "1700000020000000 accept $LATER name=site.task unit=site tasks=1" | tasklog append
like "an earlier run is counted" "$(tasklog status site)" '\(1 earlier: task list site\)$'
is "a name is its latest run" "$(tasklog list site -n 1 -o plain | cut -f 1)" "$LATER"
mkdir -p "$TASK_SPOOL/units"
printf '[RunIf]\ncron="* * * * *"\n[Command]\ncommand="true"\n' >"$TASK_SPOOL/units/heartbeat.task"
like "an installed unit says what fires it" "$(tasklog status heartbeat)" 'fires: cron=\* \* \* \* \*'
like "and when" "$(tasklog status heartbeat)" 'next: 20[0-9]{2}-[0-9T:-]*'
printf '[RunIf]\nRequires="./many.sh"\nEvery=5min\n[Command]\ncommand="true"\n' \
    >"$TASK_SPOOL/units/prune.task"
like "a condition says how often" "$(tasklog status prune)" 'fires: Requires=./many.sh, Every=5min'
exits "what has not run has not succeeded" 1 tasklog status --check heartbeat
like "as JSON it is a unit that was not run" "$(tasklog status -o json heartbeat)" \
    '"name":"heartbeat".*"unit":"heartbeat.task"'
printf -- '- command: echo\n' >"$TASK_SPOOL/units/steps.yaml"
like "a pipeline is found, too" "$(tasklog status steps)" 'steps: installed'
if command -v python3 >/dev/null; then
    # shellcheck disable=SC2016
    ok "json is valid and names its schema" python3 -c '
import json, subprocess, sys
rows = json.loads(subprocess.check_output(["tasklog", "status", sys.argv[1], "-o", "json"]))
schema = json.load(open(sys.argv[2]))
assert rows["schema"] == schema["properties"]["schema"]["const"]
keys = set(schema["$defs"]["item"]["properties"])
for row in rows["items"]:
    assert set(row) <= keys, set(row) - keys
assert len(rows["items"]) == 2
' "$RUN" "$ROOT/contrib/schema/task.schema.json"
fi

# ---- SQL

is "the status table" "$(tasklog query 'SELECT name FROM status ORDER BY id' -o plain | xargs)" \
    "created pending ready running waiting success failure cancelled skipped rejected lost"
is "events by number" "$(tasklog query "SELECT id, status, timestamp FROM event
    WHERE job_id = '$RUN.0' ORDER BY id" -o csv)" "id,status,timestamp
2,3,1700000000100000
3,5,1700000000200000"
is "from standard input" "$(echo 'SELECT count(*) FROM failures' | tasklog query - -o plain)" 1
exits "wrong SQL" 2 tasklog query 'SELCT 1'
is "in SQLite's words" "$(cat "$TMP/err")" \
    'tasklog: error: unable to answer the query: near "SELCT": syntax error'
for sql in 'DELETE FROM event' "VACUUM INTO '$TMP/stolen'" "ATTACH '$TMP/stolen' AS x" \
    'PRAGMA user_version = 9' 'SELECT 1; SELECT 2'; do
    exits "refused: $sql" 2 tasklog query "$sql"
done
ok "nothing was written" test ! -e "$TMP/stolen"
exits "an endless query ends" 124 tasklog query --timeout 1 \
    'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n'
rm -f "$TASK_SPOOL"/journal/index.sqlite*
is "the index is rebuilt" "$(tasklog query 'SELECT count(*) FROM run' -o plain)" 2
is "export" "$(tasklog export runs | wc -l)" 2
like "metrics" "$(tasklog metrics)" 'task_runs\{state="failure"\} 1.*# EOF$'

# ---- verify

exits "verify a good journal" 0 tasklog verify
segment=$(grep -al 'accept 01hf7yat0000000000000000a1' "$TASK_SPOOL"/journal/*.sealed)
cp "$segment" "$TMP/good"
sed -i 's/reason=exit exit=7/reason=exit exit=9/' "$segment"
exits "verify a changed journal" 1 tasklog verify
like "it names segment and record" "$(cat "$TMP/err")" '00000001-.*are corrupt, records 6 to 6 are lost'
cp "$TMP/good" "$segment"
exits "whole again" 0 tasklog verify
log=$(find "$TASK_SPOOL/log" -name '00000001-*.log')
sed -i 's/hello/hullo/' "$log"
exits "verify a changed log" 1 tasklog verify
like "it is named" "$(cat "$TMP/err")" '^tasklog: error: log/00000001-.*belong to no valid piece'

# ---- following

exits "logs -f of an ended run ends" 0 timeout 20 tasklog logs -f "$RUN"
echo "1700000030000000 start $LATER.0 a=1 name=site" | tasklog append
timeout 30 tasklog logs -f "$LATER" >"$TMP/followed" &
TEST_PIDS+=($!)
follower=$!
{
    echo "1700000031000000 note $LATER.0 a=1 what=output step=0 fd=1 data=first%0A"
    wait_until 10 grep -q first "$TMP/followed" || true
    echo "1700000032000000 note $LATER.0 a=1 what=output step=0 fd=1 data=second%0A"
    echo "1700000033000000 end $LATER.0 a=1 state=success exit=0 final=yes name=site"
    echo "1700000033000001 end $LATER state=success final=yes"
} | tasklog append
status=0
wait $follower || status=$?
is "logs -f ends with the run" $status 0
is "it printed what came" "$(cat "$TMP/followed")" $'first\nsecond'
exits "status --check of a success" 0 tasklog status --check "$LATER"

done_testing
