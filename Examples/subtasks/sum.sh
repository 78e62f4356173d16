#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Drops three subtasks that leave a number each; [Then] calls it again and adds them up.
set -eu
if [ "${1-}" = end ]; then
    cat "$TASK_INPUTS"/part*.task | awk '{ sum += $1 } END { print "the sum is " sum }'
    exit
fi
for part in 1 2 3; do
    cat >"$TASK_SUBMIT/.part$part.task" <<END
[Args]
args="-c 'expr $part \* $part >\$TASK_RESULT'"
[Command]
command=sh
END
    mv "$TASK_SUBMIT/.part$part.task" "$TASK_SUBMIT/part$part.task"
done
