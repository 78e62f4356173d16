#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
echo "$1: $(wc -w <"$0") words"
