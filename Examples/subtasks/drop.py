#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drops three subtasks. A name that begins with a dot is no drop: the rename makes it one, whole."""
import os

for part in range(1, 4):
    name = f"part{part}.task"
    hidden = os.path.join(os.environ["TASK_SUBMIT"], "." + name)
    with open(hidden, "w") as file:
        file.write(f"[Args]\nargs=part {part}\n[Command]\ncommand=echo\n")
    os.rename(hidden, os.path.join(os.environ["TASK_SUBMIT"], name))
