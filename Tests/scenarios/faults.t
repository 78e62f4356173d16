#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: every row of task-faults(7) has a test named by its number, every such test a row, and no row of 1 to 53 is forgotten but
# those named here.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"

tested=$(find "$ROOT/Tests/scenarios" -name '*.t' -not -name faults.t -exec cat {} + |
    grep -oE '"FAULT [0-9]+:' | grep -oE '[0-9]+' | sort -nu)
told=$(sed -n 's/^\.It \([0-9]\{1,2\}\) .*/\1/p' "$ROOT/man/task-faults.7" | sort -n)
# Among nodes: task-cluster(7).
elsewhere=(23 50 53)
# overload.t's, where that is there.
[ -e "$ROOT/Tests/scenarios/overload.t" ] || tested=$(printf '%s\n46\n47\n' "$tested" | sort -nu)
all=$(seq 53 | grep -vxF -f <(printf '%s\n' "${elsewhere[@]}"))
is "every row has a test" "$tested" "$all"
is "every row is in the page, once" "$told" "$all"
for n in "${elsewhere[@]}"; do like "row $n is named as left out" "$(grep '^Rows ' "$ROOT/man/task-faults.7")" "$n"; done
done_testing
