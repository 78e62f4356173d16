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

case_random_a() { cuts $((RANDOM * 4 + 1)); }
case_random_b() { cuts $((RANDOM * 4 + 2)); }
case_random_c() { cuts $((RANDOM * 4 + 3)); }
