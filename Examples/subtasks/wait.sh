#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Drops three subtasks, sleeps until they have ended, and says how. `task wait` is the last three steps.
set -eu
cd "$TASK_SUBMIT"
for part in 1 2 3; do
    printf '[Args]\nargs=part %s\n[Command]\ncommand=echo\n' "$part" >".part$part.task"
    mv ".part$part.task" "part$part.task"
done
: >.new # the names to wait for, one a line; nothing: all
mv .new .wait
while [ -e .wait ]; do sleep 0.05; done
for part in 1 2 3; do
    read -r end <"part$part.task.end"
    echo "part$part.task ${end%% *}"
done
