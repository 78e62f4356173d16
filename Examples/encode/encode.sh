#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# encode.sh NAME: compresses a file from the unit's directory into the working directory.
set -eu
gzip -9 <"$(dirname "$0")/$1" >".$1.gz"
mv ".$1.gz" "$1.gz"
echo "$1: $(wc -c <"$1.gz") bytes"
