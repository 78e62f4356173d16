#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# compress.sh FILE: a compressed copy in the working directory, whole or not there.
set -eu
name=$(basename "$1")
gzip -9 <"$1" >".$TASK_INDEX.gz"
mv ".$TASK_INDEX.gz" "$name.gz"
echo "$name: $(wc -c <"$name.gz") bytes"
