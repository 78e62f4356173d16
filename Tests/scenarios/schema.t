#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: the JSON Schema of pipelines that ships accepts what the parser accepts, and refuses what it refuses; what
# only YAML can say wrong, and no schema sees, the parser refuses.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs taskdep python3

PYTHON=
for program in python3 /usr/bin/python3; do # a python3 of another place does not see Debian's packages
    ! "$program" -c 'import jsonschema; jsonschema.Draft202012Validator' 2>/dev/null || PYTHON=$program
done
[ -n "$PYTHON" ] || skip_all "no python3 here has jsonschema: $(apt_line python3-jsonschema)"

SCHEMA=$ROOT/contrib/schema/task.pipeline.schema.json
mkdir "$TMP/corpus"
compare() { # compare SCHEMA COUNT [SEED]
    timeout -s KILL 400 "$PYTHON" "$ROOT/Tests/scenarios/schema/compare.py" "$1" "$BIN/taskdep" "$TMP/corpus" "$2" "${3-1}"
}

# ---- the same cases through both: compare takes other seeds by hand

exits "schema and parser judge alike" 0 compare "$SCHEMA" 6000
diag <"$TMP/err"
read -r cases accepted refused <"$TMP/out"
ok "thousands of cases, of which many are good and many are not" \
    test "$cases" -ge 6000 -a "$accepted" -ge 1500 -a "$refused" -ge 1500

# The cases would find a schema that says less, or more: each rule left out, each key forbidden or left open.
exits "whatever the schema leaves out or forbids is noticed" 0 compare "$SCHEMA" --defects
diag <"$TMP/err"
ok "which is much" test "$(cat "$TMP/out")" -ge 100

# ---- its definitions

"$PYTHON" - "$SCHEMA" >"$TMP/refs" <<'END'
import json, re, sys
text = open(sys.argv[1]).read()
names = set(json.loads(text)["$defs"])
used = set(re.findall(r'"#/\$defs/([^"]+)"', text))
print("unknown:", sorted(used - names), "unused:", sorted(names - used))
END
is "every definition is used, and every one that is used is there" "$(cat "$TMP/refs")" "unknown: [] unused: []"

# ---- what only YAML says

cd "$TMP/corpus"
refused() { # refused NAME TEXT MESSAGE
    printf '%b' "$2" >yaml.yaml
    exits "refused: $1" 2 taskdep lint yaml.yaml
    like "… which it says" "$(cat "$TMP/err")" "^yaml.yaml:[0-9]+:[0-9]+: $3"
}
refused "a key twice" '- command: x\n  command: y\n' 'the key command stands twice: '
refused "a key twice, in other quotes" '- {command: x, "command": y}\n' 'the key command stands twice: '
refused "a tag" '- command: !!str x\n' 'a tag: '
refused "a tag of its own" '- !u x\n' 'a tag: '
refused "an anchor" '- &a u\n' 'an anchor: '
refused "an alias" '- *a\n' 'an alias: '
refused "merging" '- <<: {command: x}\n' 'unknown key <<:'
refused "a tab" '- u\n\t- v\n' ''
refused "a second document" '- u\n---\n- v\n' 'a second document: '
refused "a key without a value" '- command: x\n  Nice:\n' 'Nice: has no value: '
refused "a tilde" '- command: x\n  User: ~\n' 'User: has no value: '
refused "no end of brackets" "$(printf '[%.0s' {1..2000})" 'nested too deep: at most 32 levels'
printf -- '- {command: echo, args: 012 1e3 no 0x1F 1_000 .inf}\n' >yaml.yaml
like "texts that other readers take for numbers stay as they are" "$(taskdep plan yaml.yaml)" \
    ' arg=012 arg=1e3 arg=no arg=0x1F arg=1_000 arg=.inf '
done_testing
