#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: many no-op units dropped at once all end, each once; the spool is then as empty as before,
# and memory and descriptors of taskd stay flat. TASKSPOOL_LOAD sets how many (20,000).
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun

N=${TASKSPOOL_LOAD:-20000}
SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
start_taskd "$SPOOL"

files() { find "$SPOOL" -type f -printf '%P\n' | grep -vE '^((journal|log)/|checkpoint$)' | sort; }
empty() { [ -z "$(find "$SPOOL"/{incoming,tmp,ready,active,deferred} -mindepth 1 -not -name '.*' -print -quit)" ]; }
journal() { find "$SPOOL/journal" -type f -not -name '*.sqlite*' -exec cat {} + | tr -d '\0'; }
# Ids of the runs whose tasks ended finally, once a line.
finals() { journal | awk '$5 == "end" && $6 ~ /[.]/ && / final=yes/ { print $6 }' | sort; }
descriptors() { find "/proc/$TASKD/fd" -mindepth 1 | wc -l; }
memory() { awk '/^RssAnon/ { print $2 }' "/proc/$TASKD/status"; }

make_drops() { # make_drops COUNT PREFIX
    mkdir -p "$TMP/drops"
    awk -v n="$1" -v at="$TMP/drops/$2" 'BEGIN {
        for (i = 0; i < n; i++) {
            file = at i ".task"
            printf "[Command]\ncommand=\"true\"\n" > file
            close(file)
        }
    }'
}
# mv(1) of coreutils 9 looks at its target after the rename and may complain that taskd was faster.
drop_all() {
    find "$TMP/drops" -name '*.task' -print0 | xargs -0 mv -t "$SPOOL/incoming/" 2>>"$TMP/mv" || true
    [ -z "$(find "$TMP/drops" -name '*.task' -print -quit)" ]
}

make_drops 200 warm && drop_all
ok "200 units end" wait_until 60 empty
before_files=$(files) before_memory=$(memory) before_descriptors=$(descriptors)

make_drops "$N" noop && begin=$SECONDS && drop_all
ok "$N units end" wait_until 280 empty
echo "# $N units in about $((SECONDS - begin)) s"
is "each ended" "$(finals | uniq | wc -l)" $((N + 200))
is "each ended once" "$(finals | uniq -d | wc -l)" 0
is "all succeeded" "$(journal | awk '$5 == "end" && / final=yes/ && !/ state=success/' | head -n 3)" ""
is "the spool is as empty as before" "$(files)" "$before_files"
is "taskd holds as many descriptors as before" "$(descriptors)" "$before_descriptors"
echo "# anonymous memory of taskd: $before_memory kB before, $(memory) kB after"
ok "its memory stays flat" test "$(memory)" -le $((before_memory + 4096))
echo "# complaints of mv: $(wc -l <"$TMP/mv")"
done_testing
