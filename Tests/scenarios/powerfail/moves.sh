# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Cases of powerfail.t: moves of the owner (rule 9).

case_moves() {
    begin "mv to failed/ cancels, to hold/ parks, to ready/ releases"
    id=$(submit one)
    held=$(submit one)
    ok "runs are active" wait_until 20 has_run one 2
    crash
    mv "$SPOOL/active/$id" "$SPOOL/failed/"
    mv "$SPOOL/active/$held" "$SPOOL/hold/"
    reboot
    ok "the one ends" wait_until 20 ended "$id"
    is "it is cancelled" "$(end_of "$id")" cancelled
    ok "its plan is at rest as the next generation" wait_until 10 at failed "$id+1"
    ok "the other is parked, on record" wait_until 10 recorded " hold $held .*recovered=yes"
    is "nothing ran" "$(runs_of one)" 2
    crash
    mv "$SPOOL"/hold/"$held"* "$SPOOL/ready/"
    reboot
    ok "it is released" wait_until 20 has_run one 3
    is "on record" "$(count " release $held .*recovered=yes")" 1
    is "the cancelled one stays at rest" "$(find "$SPOOL/failed" -type f -printf %f)" "$id+1"
    crash
    mv "$SPOOL/failed/$id+1" "$SPOOL/ready/"
    restart
    ok "a retry runs as that generation" wait_until 20 has_run one 5
    is "on record once" "$(count " retry $id g=1")" 1
    crash
    mv "$SPOOL"/active/"$id"* "$SPOOL/failed/$id+1"
    reboot
    ok "back in failed/ after that it is a cancel" wait_until 20 ended "$id" 1
    is "cancelled" "$(end_of "$id" 1)" cancelled
    ok "at rest as the next" wait_until 10 at failed "$id+2"
    go one
    ok "the other ends" wait_until 20 ended "$held"
    is "once" "$(end_of "$held") $(end_of "$id")" "success cancelled"
}

case_removed_retry() {
    begin "rm of a retried plan while taskd was away"
    id=$(submit bad3)
    ok "a run fails" wait_until 20 at failed "$id+1"
    crash
    mv "$SPOOL/failed/$id+1" "$SPOOL/hold/"
    restart
    ok "its retry is on record" wait_until 10 recorded " retry $id g=1"
    crash
    rm "$SPOOL/hold/$id+1"
    restart
    ok "that generation ends" wait_until 10 ended "$id" 1
    is "it is cancelled" "$(end_of "$id" 1)" cancelled
}

case_hurried() {
    begin "mv from deferred/ to ready/ while taskd was away starts the next attempt"
    unit "$(ran flaky); test -e $TMP/go.flaky" $'Restart=2\nRestartSec=1h\nRestartMaxDelaySec=1h' >"$TMP/slow.task"
    id=$(submit slow)
    ok "a run waits an hour" wait_until 20 at deferred "$id:2"
    ok "on record" wait_until 10 recorded " retry $id\.0 a=2"
    go flaky
    crash
    mv "$SPOOL/deferred/$id:2" "$SPOOL/ready/"
    restart
    ok "it ends at once" wait_until 20 ended "$id"
    is "at its second attempt" "$(end_of "$id") $(runs_of flaky)" "success 2"
    is "the release is on record" "$(count " release $id .*recovered=yes")" 1
}

case_rested() {
    begin "moves that say nothing are undone"
    id=$(submit one)
    ok "a run is active" wait_until 20 recorded " start $id\.0"
    pool=$(pool_pid "$SPOOL")
    stop_taskd KILL
    mv "$SPOOL/active/$id" "$SPOOL/ready/"
    restart
    ok "the plan is in active/ again" wait_until 10 at active "$id"
    mv "$SPOOL/active/$id" "$SPOOL/deferred/"
    ok "also while taskd is there" wait_until 10 at active "$id"
    is "the pool is the same" "$(pool_pid "$SPOOL")" "$pool"
    go one
    ok "it ends" wait_until 20 ended "$id"
    is "well, it ran once" "$(end_of "$id") $(runs_of one) $(count ' lost ')" "success 1 0"
}
