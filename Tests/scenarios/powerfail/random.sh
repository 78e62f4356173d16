# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Cases of powerfail.t: power failures at random moments. POWERFAIL_SEED repeats one's choices.

cuts() { # cuts SEED
    local seed=${POWERFAIL_SEED:-$1}
    SPOOL=$TMP/spool
    mkdir "$TMP/marks"
    if ! strace -D -qq -o /dev/null true 2>/dev/null; then
        skip "random power failures" "strace can't be used here"
        return
    fi
    echo "# POWERFAIL_SEED=$seed"
    ok "after ${CUTS:-6} power failures all promises hold (seed $seed)" \
        python3 "$CASES/cut.py" "$SPOOL" "$BIN" "$BOOT" "$TMP/marks" "$seed" "${CUTS:-6}"
    grep '^#' "$TMP/.out" || true
}

# The same on a real ext4, which stops without a commit of its journal: what it had not written itself
# is gone, and bytes with it.
case_random_ext() {
    local seed=${POWERFAIL_SEED:-$RANDOM} image=$TMP/image mount=$TMP/mount
    mkdir "$TMP/marks" "$mount"
    if ! { truncate -s 256M "$image" && mkfs.ext4 -q "$image" && mount -o loop "$image" "$mount"; } \
        2>/dev/null; then
        skip "power failures of a real ext4" "a loop device can't be mounted here"
        return
    fi
    echo "# POWERFAIL_SEED=$seed"
    ok "after ${CUTS:-6} power failures of an ext4 all promises hold (seed $seed)" \
        python3 "$CASES/cut.py" "$mount/spool" "$BIN" "$BOOT" "$TMP/marks" "$seed" "${CUTS:-6}" \
        "$mount" "$image"
    grep '^#' "$TMP/.out" || true
    umount "$mount"
}

case_random_a() { cuts $((RANDOM * 4 + 1)); }
case_random_b() { cuts $((RANDOM * 4 + 2)); }
