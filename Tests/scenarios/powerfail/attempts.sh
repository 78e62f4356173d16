# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Cases of powerfail.t: attempts: starts, retries, cancels.

case_started() {
    begin "a start is on record, its rename did not reach the disk"
    id=$(submit one)
    ok "a run is active" wait_until 20 recorded " start $id\.0"
    crash
    mv "$SPOOL/active/$id" "$SPOOL/ready/$id"
    reboot
    ok "the attempt is lost, another follows" wait_until 20 has_run one 2
    is "one record says so" "$(count " lost $id\.0 a=1")" 1
    ok "as attempt 2" wait_until 10 recorded " start $id\.0 a=2"
    go one
    ok "it ends" wait_until 20 ended "$id"
}

case_retried() {
    begin "a retry is on record, its rename did not reach the disk"
    id=$(submit flaky)
    ok "a run waits for its second attempt" wait_until 20 at deferred "$id:2"
    ok "on record" wait_until 10 recorded " retry $id\.0 a=2"
    crash
    mv "$SPOOL/deferred/$id:2" "$SPOOL/active/$id"
    go flaky
    reboot
    ok "it ends" wait_until 20 ended "$id"
    is "nothing was lost" "$(count ' lost ')" 0
    is "two attempts" "$(runs_of flaky) $(count " retry $id")" "2 1"
}

case_deferred() {
    begin "a file in deferred/ whose retry is not on record"
    id=$(submit flaky)
    ok "a run waits for its second attempt" wait_until 20 at deferred "$id:2"
    ok "on record" wait_until 10 recorded " retry $id\.0 a=2"
    crash
    disk cut " end $id\.0 a=1"
    reboot
    ok "it ends" wait_until 30 ended "$id"
    is "its retry is on record again" "$(count " retry $id\.0 a=2 .*recovered=yes")" 1
    is "what it may try again is still 2 times" "$(runs_of flaky)" 3
    is "nothing was lost" "$(count ' lost ')" 0
}

case_cancelled() {
    begin "a cancel is on record, its end is not"
    unit "trap : TERM; $(waits one)" $'Restart=5\nTimeoutStopSec=30s' >"$TMP/stubborn.task"
    id=$(submit stubborn)
    ok "a run is active" wait_until 20 has_run one
    : >"$SPOOL/incoming/$id.cancel"
    ok "its cancel is on record" wait_until 10 recorded " cancel $id"
    ok "and its command gone" wait_until 10 bash -c "! test -e '$SPOOL/incoming/$id.cancel'"
    crash
    reboot
    ok "it ends" wait_until 20 ended "$id"
    is "it is cancelled" "$(end_of "$id") $(runs_of one)" "cancelled 1"
    is "cancelled once" "$(count " cancel $id")" 1
}

case_early_cancel() {
    begin "a cancel before the pool is there"
    one_active
    crash
    new_boot
    start_taskd "$SPOOL" --taskrun="$TMP/later"
    : >"$SPOOL/incoming/$id.cancel"
    ok "it is on record" wait_until 10 recorded " cancel $id"
    ln -s "$(command -v taskrun)" "$TMP/later"
    ok "it ends when the pool comes" wait_until 20 ended "$id"
    is "cancelled, it did not run again" "$(end_of "$id") $(runs_of one)" "cancelled 1"
    ok "nothing is left" wait_until 10 empty
}
