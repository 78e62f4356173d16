#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: a power failure of a real file system loses nothing that somebody was told, wherever in its
# stream of writes and flushes it comes, and whatever part of the unflushed ones reached the disk.
# A disk that records (Tests/power/blockfs.c, FUSE below a loop device) carries ext4, XFS and Btrfs with a
# spool in use; each cut is mounted, taskd recovers and ends all work, and the promises are asked. That
# it finds losses is shown by defects: a disk without barriers, a taskd and a `task submit` whose
# fsync does nothing.
#
# POWER_CUTS=N: so many cuts of each file system, however long it takes; POWER_SEED=N repeats one's choices.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun tasklog unshare python3 cc
is_root || skip_all "only root can mount a disk that records"
[ -c /dev/fuse ] || skip_all "this kernel has no FUSE"
[ -c /dev/loop-control ] || skip_all "this kernel has no loop devices"

POWER=$ROOT/Tests/power
SEED=${POWER_SEED:-$RANDOM}
cc -std=gnu11 -O2 -o "$TMP/blockfs" "$POWER/blockfs.c" "$POWER/disk.c" 2>"$TMP/cc" || {
    diag <"$TMP/cc"
    skip_all "the recorder can't be built: kernel headers are missing"
}
# The program sees a boot id, mounts and processes of its own: they end with it, whatever ends it.
own_machine() { # own_machine DIRECTORY COMMAND…
    local directory=$1
    shift
    cat /proc/sys/kernel/random/uuid >"$directory/boot"
    # shellcheck disable=SC2016
    unshare -m --propagation private -p --fork --kill-child --mount-proc bash -c \
        'mount --bind "$1/boot" /proc/sys/kernel/random/boot_id && shift && "$@"; exit $?' pid1 "$directory" "$@"
}
mkdir "$TMP/probe"
own_machine "$TMP/probe" python3 -B "$POWER/power.py" "$TMP/blockfs" "$BIN" "$TMP/probe" ext4 --probe \
    >"$TMP/probe/out" 2>&1 || {
    tail -n 3 "$TMP/probe/out" | diag
    skip_all "a recording disk can't be mounted here: $(tail -n 1 "$TMP/probe/out")"
}

start() { # start NAME KIND [OPTION…]: in the background
    local name=$1 kind=$2
    shift 2
    mkdir "$TMP/$name"
    own_machine "$TMP/$name" python3 -B "$POWER/power.py" "$TMP/blockfs" "$BIN" "$TMP/$name" "$kind" \
        "--seed=$SEED" "$@" >"$TMP/$name.out" 2>&1 </dev/null &
    TEST_PIDS+=($!)
    STARTED[$name]=$!
}
declare -A STARTED
result_of() { # result_of NAME: 0 all is well, 10 a promise is broken, 2 no file system after a cut
    local status=0
    wait "${STARTED[$1]}" || status=$?
    grep "^#" "$TMP/$1.out" || true
    grep -v "^#" "$TMP/$1.out" | diag || true
    return $status
}
holds() { # holds KIND
    local status=0 count
    result_of "$1" || status=$?
    count=$(sed -nE 's/^# [a-z0-9]+: ([0-9]+) cuts.*/\1/p' "$TMP/$1.out")
    local todo=
    [ "$1" != btrfs ] || todo=" # TODO Btrfs does not keep the order of renames (Tests/power/README.md)"
    is "all promises hold after power failures of $1 (seed $SEED)$todo" $status 0
    ok "enough of them were tried" test "${count:-0}" -ge 10
}
is_caught() { # is_caught NAME WORDS
    local status=0
    result_of "$1" || status=$?
    is "$2 is caught" $status 10
}
has() { # has KIND: this file system can be made and mounted here
    if ! command -v "mkfs.$1" >/dev/null; then
        skip "power failures of $1" "mkfs.$1 is not installed"
    elif ! grep -qw "$1" /proc/filesystems && ! modprobe "$1" 2>/dev/null; then
        skip "power failures of $1" "this kernel has no $1"
    else
        return 0
    fi
    return 1
}
budget() { # budget CUTS SECONDS
    if [ -n "${POWER_CUTS-}" ]; then BUDGET=("--cuts=$POWER_CUTS"); else BUDGET=("--cuts=$1" "--seconds=$2"); fi
}

# Two at a time.
budget 70 25
start ext4 ext4 "--many=$([ -n "${POWER_CUTS-}" ] && echo 500 || echo 100)" "${BUDGET[@]}"
start barrier ext4 --record=1.5 --cuts=20 --first --options=barrier=0
is_caught barrier "a disk whose flushes never come"
if strace -D -qq -o /dev/null true 2>/dev/null; then
    for defect in taskd submit directory; do
        start $defect ext4 --record=2 --cuts=200 --first --defect=$defect
        is_caught $defect "fsync that does nothing ($defect)"
    done
else
    skip "defects of taskd and task submit" "strace can't be used here"
fi
holds ext4
kinds=()
budget 40 18
for kind in xfs btrfs; do
    ! has $kind || { start $kind $kind --record=2 "${BUDGET[@]}" && kinds+=("$kind"); }
done
for kind in "${kinds[@]}"; do holds "$kind"; done
done_testing
