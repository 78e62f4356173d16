#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Moves inactive users from hot storage (ACCOUNTS) to ACCOUNTS.pruned; safe to run twice.
set -eu
accounts=${ACCOUNTS:-accounts.txt}
[ -r "$accounts" ] || { echo "no accounts in $accounts: nothing to prune"; exit 0; }
before=$(wc -l <"$accounts")
grep ' inactive$' "$accounts" >>"$accounts.pruned" || true
grep -v ' inactive$' "$accounts" >"$accounts.new" || true
mv "$accounts.new" "$accounts"
echo "pruned $((before - $(wc -l <"$accounts"))) of $before users"
