#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: contrib/quickstart leads to a page, a second run takes seconds, and --stop ends it all.
# As root behind private mounts, so that neither /tmp/pandoc nor passwd of this machine change.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun pandoc swift
[ "$(readlink -f "$BIN")" = "$(readlink -f "$RELEASE")" ] || [ "$BIN" = "$TMP/bin" ] ||
    skip_all "quickstart runs what it builds, not $BIN"
[ -w "$ROOT/.build" ] || skip_all "this user can't build in $ROOT"

if is_root && [ -z "${QUICKSTART_INSIDE-}" ]; then
    unshare -m true 2>/dev/null || skip_all "mount namespaces are refused here"
    rm -rf --one-file-system "$TMP"
    QUICKSTART_INSIDE=1 exec unshare -m --propagation private bash "$0"
fi
mkdir -p /tmp/pandoc 2>/dev/null || true
if is_root; then
    { cat /etc/passwd && echo "test:x:1999:1999::/:/bin/false"; } >"$TMP/passwd"
    { cat /etc/group && echo "test:x:1999:"; } >"$TMP/group"
    chmod 644 "$TMP/passwd" "$TMP/group"
    if ! id test >/dev/null 2>&1; then
        mount --bind "$TMP/passwd" /etc/passwd
        mount --bind "$TMP/group" /etc/group
    fi
    mkdir "$TMP/pandoc" && mount --bind "$TMP/pandoc" /tmp/pandoc
elif [ ! -O /tmp/pandoc ]; then
    skip_all "/tmp/pandoc belongs to $(stat -c %U /tmp/pandoc)"
fi
export XDG_STATE_HOME=$TMP/state
TEST_SPOOLS+=("$TMP/state/task/quickstart/spool")

quickstart() { timeout -k 10 200 bash "$ROOT/contrib/quickstart" "$@"; }
exits "quickstart" 0 quickstart
for shown in 'task status' 'task logs' 'task audit' 'success' '/tmp/pandoc/site.html' 'Next:'; do
    like "it shows $shown" "$(cat "$TMP/out")" "$shown"
done
like "the page is README's" "$(cat /tmp/pandoc/site.html)" 'Taskspool'
begin=$SECONDS
exits "a second run" 0 quickstart
ok "… takes 10 s at most ($((SECONDS - begin)) s)" test $((SECONDS - begin)) -le 10
exits "quickstart --stop" 0 quickstart --stop
exits "nothing is left to stop" 0 quickstart --stop
like "… and it says so" "$(cat "$TMP/err")" 'no taskd'
done_testing
