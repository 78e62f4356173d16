#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: on a full disk nothing is lost and everything still answers: submit says 75 and leaves nothing
# behind, a drop waits, what runs ends on record, `task status` works, and it goes on once there is
# space. The disk is a tmpfs in a mount namespace of its own.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog unshare

if [ -z "${DISK-}" ]; then
    # Without root: as root of a user namespace to mount, as oneself again in another to work.
    enter=(unshare -m --propagation private) leave=()
    is_root || enter+=(-r) leave=(unshare -U "--map-user=$(id -u)" "--map-group=$(id -g)")
    export DISK=$TMP/disk
    mkdir "$DISK"
    # shellcheck disable=SC2016
    "${enter[@]}" bash -c 'mount -t tmpfs -o size=48m tmpfs "$DISK" && exec "$@"' mount \
        "${leave[@]}" true 2>/dev/null || skip_all "no tmpfs can be mounted in a namespace here"
    status=0
    # shellcheck disable=SC2016
    "${enter[@]}" bash -c 'mount -t tmpfs -o size=48m tmpfs "$DISK" && exec "$@"' mount \
        "${leave[@]}" bash "$0" || status=$?
    exit $status
fi
SPOOL=$DISK/spool
export TASK_SPOOL=$SPOOL
start_taskd "$SPOOL"

unit() { printf '[Jail]\nJail=no\n[Command]\ncommand="%s"\n[Args]\nargs="%s"\n' "$1" "${2-}"; }
unit true >"$TMP/quick.task"
mkfifo "$TMP/fifo"
unit cat "$TMP/fifo" >"$TMP/long.task"

long=$(task submit "$TMP/long.task")
ok "a task runs" wait_until 20 test -e "$SPOOL/active/$long"
dd if=/dev/zero of="$DISK/fill" bs=64k 2>/dev/null || true
is "the disk is full" "$(df --output=avail "$DISK" | tail -n 1 | tr -d ' ')" 0

exits "task submit says to try later" 75 task submit "$TMP/quick.task"
like "and why" "$(cat "$TMP/err")" 'No space left on device.*nothing was submitted'
is "it leaves nothing behind" "$(find "$SPOOL/tmp" "$SPOOL/incoming" -type f)" ""
exits "task status answers without an index" 0 task status "$long"
like "it shows what runs" "$(cat "$TMP/out")" running
like "and says that it reads the journal" "$(cat "$TMP/err")" 'journal was read from its beginning'
exits "so does SQL" 0 task query "select count(*) from run"
# A drop needs a name, which a full tmpfs still gives.
ln "$TMP/quick.task" "$SPOOL/incoming/q.task" 2>/dev/null || : >"$SPOOL/incoming/q@1.task"
ok "taskd says that drops wait" wait_until 10 grep -q 'they wait in incoming/ until there is more' "$TMP/taskd.err"
is "it says so once" "$(grep -c 'they wait in incoming/' "$TMP/taskd.err")" 1

echo >"$TMP/fifo"
ended() { [ "$(task query -o csv "select status from run where id = '$long'" 2>/dev/null | tail -n 1)" = 5 ]; }
ok "what ran ends on record, from the reserve" wait_until 20 ended
rm "$DISK/fill"
taken() { [ -z "$(find "$SPOOL/incoming" -type f)" ]; }
ok "with space again the drop is taken" wait_until 20 taken
exits "and tasks run" 0 task submit --wait "$TMP/quick.task"
exits "the index is there again" 0 task status
is "without a warning" "$(cat "$TMP/err")" ""
stop_taskd
rm "$SPOOL/owner"
dd if=/dev/zero of="$DISK/fill" bs=64k 2>/dev/null || true
exits "a start that the disk has no room for says to try later" 75 \
    timeout 20 taskd --spool="$SPOOL" --tasklog=none
done_testing
