#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Drops three subtasks and leaves their number; [Then] calls it again when they have succeeded.
set -eu
if [ "${1-}" = end ]; then
    echo "all $(cat "$TASK_INPUTS/then-sh") parts are there"
    exit
fi
for part in 1 2 3; do
    printf '[Args]\nargs=part %s\n[Command]\ncommand=echo\n' "$part" >"$TASK_SUBMIT/.part$part.task"
    mv "$TASK_SUBMIT/.part$part.task" "$TASK_SUBMIT/part$part.task"
done
echo 3 >"$TASK_RESULT"
