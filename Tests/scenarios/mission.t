#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: the units in which this software was asked for run as they were written.
# As root it works behind private mounts: a /tmp/pandoc of its own and a passwd with `test` in it.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskd taskrun taskdep pandoc

if is_root && [ -z "${MISSION_INSIDE-}" ]; then
    cleanup_now=$TMP
    unshare -m true 2>/dev/null || skip_all "mount namespaces are refused here"
    rm -rf --one-file-system "$cleanup_now"
    MISSION_INSIDE=1 exec unshare -m --propagation private bash "$0"
fi

MISSION=$TMP/mission
cp -r "$ROOT/Examples/mission" "$MISSION"
chmod -R a+rX "$MISSION"
mkdir -p /tmp/pandoc 2>/dev/null || true
if is_root; then
    { cat /etc/passwd && echo "test:x:1999:1999::/:/bin/false"; } >"$TMP/passwd"
    { cat /etc/group && echo "test:x:1999:"; } >"$TMP/group"
    chmod 644 "$TMP/passwd" "$TMP/group"
    if ! id test >/dev/null 2>&1; then
        mount --bind "$TMP/passwd" /etc/passwd
        mount --bind "$TMP/group" /etc/group
    fi
    mkdir "$TMP/pandoc"
    mount --bind "$TMP/pandoc" /tmp/pandoc
fi

# ---- as they were written

is "the units are the mission's, byte for byte" "$(cd "$ROOT/Examples/mission" &&
    cat checks.task pandoc.task site.task libpng.service prune-users.task heartbeat.task limits.task |
    sha256sum | cut -d ' ' -f 1)" 444d1f523b54a99c5ce24e87c5f41e2ef525f27ed1870834dbabe3d2afec44a0
for unit in checks pandoc site prune-users heartbeat limits; do
    exits "taskdep lint $unit.task" 0 taskdep lint "$MISSION/$unit.task"
done
exits "lint warns of the comment that goes on" 0 taskdep lint "$MISSION/prune-users.task"
like "… and says where" "$(cat "$TMP/out" "$TMP/err")" 'prune-users.task:3:'

# ---- the whole way: site.task, as root for the user test and as an ordinary user

desk() { # desk OWNER: the working directory, as the one who wrote the unit would lay it out
    find /tmp/pandoc -mindepth 1 -delete
    cp "$MISSION"/{site.md,_template.html,check-pandoc} /tmp/pandoc/
    if is_root; then chown -R "$1:$1" /tmp/pandoc; fi
}
drop() { # drop SPOOL FILE: as a user's mv
    cp "$2" "$1/incoming/.drop"
    if is_root; then chown --reference="$1" "$1/incoming/.drop"; fi
    mv "$1/incoming/.drop" "$1/incoming/$(basename "$2")"
}
units() { # units SPOOL: what site.task requires
    cp "$MISSION"/lib*.service "$MISSION/check-libjpeg" "$1/units/"
    if is_root; then chown -R --reference="$1" "$1/units"; fi
}
number() { id -u "$1" 2>/dev/null || echo "$1"; }
ended() { [ -z "$(find "$1"/{incoming,ready,active,deferred,tmp} -type f -print -quit)" ]; }

site() { # site WHO OWNER: one spool, one run
    local who=$1 owner=$2 spool=$TMP/spool-$1 ask=()
    [ "$who" = root ] || ask=(as_user)
    if is_root && [ "$who" != root ]; then
        install -d -m 700 -o "$TEST_UID" -g "$TEST_UID" "$spool"
    fi
    RUN_AS=$who start_taskd "$spool"
    export TASK_SPOOL=$spool
    units "$spool"
    desk "$owner"
    drop "$spool" "$MISSION/site.task"
    ok "$who: site.task ends" wait_until 30 ended "$spool"
    is "$who: it was not rejected" "$(find "$spool/rejected" -type f -exec cat {} +)" ""
    exits "$who: task wait says that it succeeded" 0 "${ask[@]}" "$BIN/task" wait --timeout=20s site
    (cd /tmp/pandoc && pandoc site.md -o "$TMP/want.html" --template=_template.html)
    ok "$who: the page is what that command line makes" cmp /tmp/pandoc/site.html "$TMP/want.html"
    is "$who: the page belongs to $owner" "$(stat -c %u /tmp/pandoc/site.html)" "$(number "$owner")"
    exits "$who: task audit site" 0 "${ask[@]}" "$BIN/task" audit site
    like "$who: libjpeg, libpng, site, in that order" "$(tr '\n' ' ' <"$TMP/out")" 'libjpeg.*libpng.*site'
    exits "$who: task logs site shows the check's output" 0 "${ask[@]}" "$BIN/task" logs site
    like "$who: … which is the path of pandoc" "$(cat "$TMP/out")" '/usr/bin/pandoc'

    # A library that does not work ends what hangs on it, by name.
    printf '#!/bin/sh\necho no libjpeg here\nexit 7\n' >"$spool/units/check-libjpeg"
    rm -f /tmp/pandoc/site.html
    drop "$spool" "$MISSION/site.task"
    ok "$who: site.task ends again" wait_until 30 ended "$spool"
    exits "$who: task status says why" 0 "${ask[@]}" "$BIN/task" status site
    like "$who: … a dependency" "$(cat "$TMP/out")" 'dependency'
    like "$who: … that is named" "$(cat "$TMP/out")" 'libjpeg'
    ok "$who: pandoc was not started" test ! -e /tmp/pandoc/site.html
    stop_taskd
}

if is_root; then
    site root test
    site user "$TEST_UID"
elif [ -O /tmp/pandoc ]; then
    site user "$(id -u)"
else
    skip "site.task" "/tmp/pandoc belongs to $(stat -c %U /tmp/pandoc)"
fi
done_testing
