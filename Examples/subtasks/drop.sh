#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Drops three subtasks. A name that begins with a dot is no drop: the rename makes it one, whole.
set -eu
for part in 1 2 3; do
    printf '[Args]\nargs=part %s\n[Command]\ncommand=echo\n' "$part" >"$TASK_SUBMIT/.part$part.task"
    mv "$TASK_SUBMIT/.part$part.task" "$TASK_SUBMIT/part$part.task"
done
