#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: every example that ships does what it says, without a daemon.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task taskrun taskdep

cp -r "$ROOT/Examples" "$TMP/user/Examples"
if is_root; then chown -R "$TEST_UID:$TEST_UID" "$TMP/user"; fi
cd "$TMP/user/Examples"
export TASK_SPOOL=$TMP/user/spool
run() { as_user "TASK_SPOOL=$TASK_SPOOL" "$BIN/$1" "${@:2}"; }
# A unit with another working directory, by a drop-in beside it.
works_in() { # works_in DIRECTORY UNIT
    mkdir -p "$2.d" && printf '[Service]\nWorkingDirectory=%s\n' "$1" >"$2.d/here.conf"
    as_user mkdir -p "$1"
}

while IFS= read -r unit; do
    exits "taskdep lint $unit" 0 taskdep lint "$unit"
done < <(find . \( -name '*.task' -o -name '*.yaml' \) -not -name '*@.task' | sort)

works_in "$TMP/user/encoded" encode/encode@.task
exits "encode: all three succeed" 0 run task run "$PWD/encode/encode.yaml"
for item in intro verse outro; do
    ok "encode: $item.txt came out whole" bash -c "zcat $TMP/user/encoded/$item.txt.gz | cmp - encode/$item.txt"
done

works_in "$TMP/user/compressed" compress/compress.task
mkdir -p "$TMP/user/pictures/lake"
for picture in harbour.svg 'old mill.svg' lake/boats.svg; do echo "$picture" >"$TMP/user/pictures/$picture"; done
sed -i "s|/srv/pictures|$TMP/user/pictures|" compress/compress.task
exits "compress: all items succeed" 0 run task run "$PWD/compress/compress.task"
is "compress: each came out whole" "$(for f in harbour 'old mill' boats; do zcat "$TMP/user/compressed/$f.svg.gz"; done)" \
    "$(cat compress/pictures.list)"

exits "pages: the pipeline succeeds" 0 run task run "$PWD/pages/pages.yaml"
like "pages: it fetched first, thumbnails before the gallery" "$(tr '\n' ' ' <"$TMP/err")" \
    'fetched.*thumbnails.*gallery'
is "pages: it published last" "$(cat "$TMP/out")" published

exits "check: the task ends with the check's own status" 3 run task run "$PWD/check/deploy.task"
like "check: and shows what the check said" "$(cat "$TMP/out" "$TMP/err")" 'ask the release team'
unlike "check: the command did not run" "$(cat "$TMP/out")" deployed

mkdir -p "$TMP/user/site" && echo content >"$TMP/user/site/page"
works_in "$TMP/user/archives" backup/nightly-backup.task
sed -i "s|/srv/site|$TMP/user/site|; /^\[RunIf\]/,/^\$/d" backup/nightly-backup.task
chmod -R a+rX "$TMP/user/site"
exits "backup: it runs by hand" 0 run task run "$PWD/backup/nightly-backup.task"
is "backup: the archive has what was there" \
    "$(tar -xzOf "$(find "$TMP/user/archives" -name 'backup-*.tar.gz' | head -n 1)" ./page)" content

printf 0123456789 >"$TMP/user/token" && chmod 0400 "$TMP/user/token"
if is_root; then chown "$TEST_UID" "$TMP/user/token"; fi
exits "credential: without its file the attempt ends" 243 run task run "$PWD/credential/publish.task"
like "credential: and says which is missing" "$(cat "$TMP/out" "$TMP/err")" 'publish.token.*No such file'
sed -i "s|/etc/task/publish.token|$TMP/user/token|" credential/publish.task
exits "credential: with it the task runs" 0 run task run "$PWD/credential/publish.task"
is "credential: and reads it" "$(cat "$TMP/out")" 10
done_testing
