# shellcheck shell=bash disable=SC2154,SC2153
# SPDX-License-Identifier: Apache-2.0
# Sourced by contrib/simulate --defects (and --self-test: those of the model only): each patch here breaks
# a copy of the real code in one place, where --defect= asks for it, and each defect of the model
# (Sources/Linux/Defect.swift) leaves a call out. All must be caught.

defect_crashes=${SIMULATE_DEFECT_CRASHES:-60000} # SIMULATE_DEFECTS: only these, divided by blanks
caught=0 missed=0

# hunt PROGRAM ARGUMENT…: until one job finds something; 1 when none does.
hunt() {
    local program=$1 job pids=() found=1
    shift
    for ((job = 0; job < $(nproc); job++)); do
        timeout -s KILL 7200 "$program" --seed=$((seed + job * 10000000)) "$@" >"$WORK/out.$job" 2>&1 &
        pids+=($!)
    done
    for job in "${pids[@]}"; do
        wait -n && continue
        found=0
        break
    done
    kill "${pids[@]}" 2>/dev/null || true
    wait "${pids[@]}" 2>/dev/null || true
    return $found
}

# judge NAME PROGRAM ARGUMENT…: what was found, or that nothing was.
judge() {
    local name=$1 program=$2
    case " ${SIMULATE_DEFECTS-$name} " in *" $name "*) ;; *) return 0 ;; esac
    shift 2
    rm -f "$WORK"/out.*
    case $name in adopt | ends-untold | end-first | parent-first | retry-unsynced | sleepers-untold) set -- "$@" --families ;; esac
    if hunt "$program" "--crashes=$defect_crashes" "$@"; then
        caught=$((caught + 1))
        echo "ok $name: $(sed -n 's/^not ok: //p' "$WORK"/out.* | head -n 1)"
    else
        missed=$((missed + 1))
        echo "not ok $name: not caught in $((defect_crashes * $(nproc))) crashes"
    fi
}

# A copy of the code with all of them: what does not apply any more is noticed in each check.
break_copy() {
    # The links become folders, so that the patches change nothing but the copy.
    copy=$WORK/defect
    mkdir -p "$copy"
    cp -rL "$PACKAGE/Sources" "$PACKAGE/Package.swift" "$copy"
    cp "$PACKAGE/Package.resolved" "$copy" 2>/dev/null || true
    for patch in "$PACKAGE"/defects/*.patch; do
        patch -s -F0 -p1 -d "$copy" <"$patch" || die "$patch does not apply any more"
    done
}

patched() {
    build "$copy" "$SCRATCH-defects"
    for patch in "$PACKAGE"/defects/*.patch; do
        name=$(basename "$patch" .patch)
        judge "$name" "$SCRATCH-defects/release/simulate" "--defect=$name"
    done
}

break_copy
if [ "$defects" = patches ]; then
    echo "$(find "$PACKAGE/defects" -name '*.patch' | wc -l) defects apply"
    return
fi
same=$("$PROGRAM" --one --seed=7)
[ "$same" = "$("$PROGRAM" --one --seed=7)" ] || die "a seed is not one history: $same"
echo "ok a seed is one history: $same"
[ "$defects" != all ] || patched
for defect in journal-sync journal-name file-sync directory-sync end-first sleepers-untold; do
    judge "$defect" "$PROGRAM" "--defect=$defect"
done
echo "$caught defects caught, $missed missed"
[ "$missed" -eq 0 ]
