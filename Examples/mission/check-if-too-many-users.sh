#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Exit 0: there are more than MAX inactive users, so the task needs to run; 1: there are not.
# ACCOUNTS has a line a user: NAME active|inactive.
accounts=${ACCOUNTS:-accounts.txt}
[ -r "$accounts" ] || exit 1
inactive=$(grep -c ' inactive$' "$accounts")
echo "$inactive inactive users, at most ${MAX:=100}"
[ "$inactive" -gt "$MAX" ]
