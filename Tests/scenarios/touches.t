#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: each program touches only what the table in ARCHITECTURE.md ("Who touches what") gives it,
# and taskd has one thread.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun taskdep tasklog strace

SPOOL=$TMP/spool
export TASK_SPOOL=$SPOOL
CALLS=openat,openat2,open,creat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,link,linkat,symlinkat,truncate
traced() { strace -f -y -qq -s 512 -e "trace=execve,$CALLS" -o "$1" "${@:2}"; }

# touched TRACE PROGRAM reads|writes: paths below the spool, of processes that execute PROGRAM.
touched() {
    awk -v program="$2" -v want="$3" -v spool="$SPOOL/" '
        { pid = $1; line = substr($0, index($0, $2)) }
        line ~ /^execve\("[^"]*\/task/ && line ~ / = 0$/ {
            split(line, word, "\""); n = split(word[2], part, "/"); name[pid] = part[n]
        }
        line ~ /^execve/ || name[pid] != program || line ~ /= -1 / { next }
        {
            writing = line !~ /^open/ || line ~ /O_WRONLY|O_RDWR|O_CREAT|O_TRUNC/
            if (writing != (want == "writes")) next
            rest = line
            # directory descriptors are shown as 5</path>, names as "name"
            while (match(rest, /(AT_FDCWD)?(<[^>]*>)?(, )?"[^"]*"/)) {
                item = substr(rest, RSTART, RLENGTH); rest = substr(rest, RSTART + RLENGTH)
                dir = ""; file = item; sub(/^[^"]*"/, "", file); sub(/"$/, "", file)
                if (match(item, /<[^>]*>/)) dir = substr(item, RSTART + 1, RLENGTH - 2)
                path = substr(file, 1, 1) == "/" ? file : dir "/" file
                if (index(path, spool) == 1) print substr(path, length(spool) + 1)
            }
        }' "$1" | sed -E 's|^\./||; s|/+|/|g; s|/\.$||' | sort -u
}
first() { sed 's|/.*||' | sort -u | tr '\n' ' '; }

# ---- taskd and its pool

strace -f -y -qq -s 512 -e "trace=execve,$CALLS" -o "$TMP/daemon" "$BIN/taskd" --spool="$SPOOL" \
    </dev/null >"$TMP/taskd.out" 2>"$TMP/taskd.err" &
TEST_PIDS+=($!)
TEST_SPOOLS+=("$SPOOL")
ok "taskd takes the spool" wait_until 20 grep -qs pid= "$SPOOL/owner"
TASKD=$(sed -n 's/.*\bpid=\([0-9]*\).*/\1/p' "$SPOOL/owner")
TEST_PIDS+=("$TASKD")
printf '[Command]\ncommand="echo"\n[Args]\nargs="hello"\n' >"$TMP/hello.task"
cp "$TMP/hello.task" "$SPOOL/incoming/.hello" && mv "$SPOOL/incoming/.hello" "$SPOOL/incoming/hello.task"
ok "its run is known" wait_until 30 task status hello
exits "it succeeds" 0 task wait --timeout=30s hello
is "taskd has one thread" "$(find "/proc/$TASKD/task" -mindepth 1 -maxdepth 1 | wc -l)" 1
is "taskrun touches nothing of the spool but its own socket and lock" \
    "$(touched "$TMP/daemon" taskrun writes | grep -vE '^run\.(sock|lock)$' || true)" ""
is "taskrun reads nothing of the spool by path" \
    "$(touched "$TMP/daemon" taskrun reads | grep -vE '^run\.(sock|lock)$' || true)" ""
is "taskd leaves index.sqlite alone" "$(touched "$TMP/daemon" taskd writes | grep index || true)" ""
like "(the trace sees what taskd writes)" "$(touched "$TMP/daemon" taskd writes | first)" 'journal.*'

# ---- the programs that people type

ok "task status" traced "$TMP/status" "$BIN/task" status hello
ok "tasklog query" traced "$TMP/query" "$BIN/tasklog" query 'SELECT count(*) FROM task'
for program in task tasklog; do
    is "$program writes only tmp, incoming and the index" "$(for trace in status query; do
        touched "$TMP/$trace" "$program" writes
    done | grep -vE '^(tmp|incoming|ready|hold|failed)(/|$)|^journal/index\.sqlite' || true)" ""
done
exits "task submit" 0 traced "$TMP/submit" "$BIN/task" submit "$TMP/hello.task"
like "task submit writes only tmp and incoming" "$(touched "$TMP/submit" task writes | first)" '^(incoming )?(tmp )?$'
exits "taskdep order" 0 traced "$TMP/order" "$BIN/taskdep" order "$TMP/hello.task"
is "taskdep writes nothing" "$(touched "$TMP/order" taskdep writes)" ""
done_testing
