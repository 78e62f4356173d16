#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# backup.sh DIRECTORY: an archive of it in the working directory, the last $KEEP are kept.
set -eu
name=backup-$(date -u +%Y%m%dT%H%M%S).tar.gz
tar -czf ".$name" -C "$1" .
mv ".$name" "$name" # a name that is there is whole
count=0
for old in $(printf '%s\n' backup-*.tar.gz | sort -r); do
    count=$((count + 1))
    [ "$count" -le "${KEEP:-7}" ] || rm -- "$old"
done
echo "$name: $(wc -c <"$name") bytes"
