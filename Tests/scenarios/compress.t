#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: compressed segments answer as plain ones did, zstd reads them without any program of ours, and damage in one loses no more than
# its frame. (Killed at each call: FAULT 44 in faults-journal.t.)
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task tasklog python3 zstd

export TASK_SPOOL=$TMP/spool
RUN=01hf7yat0000000000000000a1
lines() { # a run with 2 MB of output, notes beside it
    python3 - <<PYTHON
run = "$RUN"
print(f"1700000000000000 accept {run} name=site.task unit=site tasks=1")
print(f"1700000000000001 start {run}.0 a=1 name=site")
for n in range(200):
    print(1700000000000002 + n, f"note {run}.0 a=1 what=output step=0 fd=1 data=" + "".join(f"{n:04}-{k:06}%0A" for k in range(800)))
    print(1700000000000002 + n, "note - what=test text=" + "".join(f"{n:04}-{k:06}" for k in range(700)))
print(f"1700000000000300 end {run}.0 a=1 state=success exit=0 final=yes name=site")
print(f"1700000000000301 end {run} state=success final=yes")
PYTHON
}
answers() {
    tasklog logs site | sha256sum
    tasklog logs -n 3 site
    tasklog audit site
    tasklog status site
    tasklog export events | sha256sum
}

lines | tasklog append
plain=$(answers)
touch -d "1 hour ago" "$TASK_SPOOL"/journal/*.sealed
journal=$(find "$TASK_SPOOL/journal" -name '*.sealed')
log=$(find "$TASK_SPOOL/log" -name '*.log')
cp -p "$journal" "$TMP/journal"
cp -p "$log" "$TMP/log"

exits "compress" 0 tasklog compress
like "it says what it did" "$(cat "$TMP/out")" '^journal/: 1 segments compressed, 1[.0-9]*M to [0-9.]+K
log/: 1 segments compressed, [0-9.]+M to [0-9.]+K$'
is "the compressed form stands alone" "$(find "$TASK_SPOOL/journal" "$TASK_SPOOL/log" -name '0*' | sed 's/.*[.]//' | sort | uniq -c | tr -s ' ')" " 2 zst"
is "it has the mode, and the time of the last line" "$(stat -c '%a %Y' "${journal%.sealed}.zst")" "600 $(stat -c %Y "$TMP/journal")"
ok "zstd reads the journal" sh -c "zstd -dcq '${journal%.sealed}.zst' | cmp - '$TMP/journal'"
ok "zstd reads the log" sh -c "zstd -dcq '${log%.log}.zst' | cmp - '$TMP/log'"
like "zstd finds a checksum in each frame" "$(zstd -lv "${log%.log}.zst" 2>&1)" 'Check: XXH64'
is "all answers are as before" "$(answers)" "$plain"
rm "$TASK_SPOOL"/journal/index*
is "also where the index is built again" "$(answers)" "$plain"
exits "verify is content" 0 tasklog verify
exits "and fsck" 0 task fsck -q
exits "there is nothing more to do" 0 tasklog compress
like "which it says" "$(cat "$TMP/out")" '^journal/: 0 segments compressed
log/: 0 segments compressed$'

# ---- damage

flip() { # flip FILE OFFSET
    python3 -c 'import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2])); b = f.read(1)[0]; f.seek(int(sys.argv[2])); f.write(bytes([b ^ 16]))' "$1" "$2"
}
size=$(stat -c %s "${log%.log}.zst")
flip "${log%.log}.zst" $((size / 2))
exits "verify a damaged log" 1 tasklog verify
like "it is named" "$(cat "$TMP/err")" '^tasklog: error: log/00000001-.*: [0-9]+ bytes belong to no valid piece'
total=$(tasklog logs site | wc -l)
ok "a frame is lost, no more" test "$total" -gt 100000 -a "$total" -lt 160000
is "what lies behind it is read" "$(tasklog logs site | tail -n 1)" "0199-000799"
flip "${log%.log}.zst" $((size / 2))
flip "${log%.log}.zst" $((size - 30))
exits "verify a damaged seek table" 1 tasklog verify -q
like "it is named, too" "$(cat "$TMP/err")" '^tasklog: error: log/00000001-.*[.]zst: its seek table is corrupt$'
is "and does without" "$(answers)" "$plain"
flip "${log%.log}.zst" $((size - 30))
size=$(stat -c %s "${journal%.sealed}.zst")
flip "${journal%.sealed}.zst" $((size / 2))
exits "verify a damaged journal" 1 tasklog verify
like "it names the records" "$(cat "$TMP/err")" '^tasklog: error: journal/00000001-.*are corrupt, records [0-9]+ to [0-9]+ are lost$'
flip "${journal%.sealed}.zst" $((size / 2))
exits "whole again" 0 tasklog verify

# ---- one that is written is left alone, and no link is followed

mkfifo "$TMP/pipe"
tasklog append <"$TMP/pipe" & # a writer that waits
TEST_PIDS+=($!)
exec 9>"$TMP/pipe"
echo "1700000000000400 note $RUN.0 a=2 what=output step=0 fd=1 data=$(printf 'x%.0s' {1..9000})" >&9
written() { [ "$(find "$TASK_SPOOL/log" -name '00000002-*.log' -size +1k | wc -l)" -eq 1 ]; }
ok "a second writer writes" wait_until 10 written
truncate -s 100000 "$(find "$TASK_SPOOL/log" -name '00000002-*.log')"
exits "compress beside it" 0 tasklog compress
like "its segment is in use" "$(cat "$TMP/out")" 'log/: 0 segments compressed, 1 in use$'
exits "no spool" 69 tasklog compress --spool="$TMP/none"
exec 8<"$TASK_SPOOL/log"
flock 8
exits "another compresses" 75 tasklog compress
like "it says so" "$(cat "$TMP/err")" '^tasklog: error: unable to compress log/: another process does it already$'
exec 8<&- 9>&-

done_testing
