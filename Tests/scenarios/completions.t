#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: the shells complete commands, options (also of commands that another program answers), unit
# files and names of runs.
# shellcheck source=Tests/scenarios/lib.sh
. "$(dirname "$0")/lib.sh"
needs task tasklog taskdep taskrun

mkdir "$TMP/work"
cd "$TMP/work"
printf '[Command]\ncommand=true\n' >night.task
export TASK_SPOOL=$TMP/home/spool
task run night.task 2>/dev/null || bail "no task runs here"

SHARE=$TMP/share
exits "install writes them" 0 "$ROOT/contrib/completions/install" "$SHARE"
is "… three shells, three programs" "$(cd "$SHARE" && find . -type f | wc -l)" 9
is "… and nothing half written" "$(find "$SHARE" -name '*.new')" ""
exits "an option is refused" 2 "$ROOT/contrib/completions/install" --help

# ---- bash: the function that Tab calls, called as Tab does

offers() { # offers WORD…: what is offered for the last word
    bash -c '
        set +e
        . "$1/bash-completion/completions/$2"
        COMP_WORDS=("${@:2}") COMP_CWORD=$(($# - 2)) COMP_LINE="${*:2}" COMP_POINT=${#COMP_LINE}
        COMPREPLY=()
        "_$2" "$2" "${!#}" "${@: -2:1}" 2>/dev/null
        printf "%s\n" "${COMPREPLY[@]}" | sort | tr "\n" " "
    ' offers "$SHARE" "$@"
}
like "bash: commands" " $(offers task '')" ' cancel .* run status submit '
is "bash: by their beginning" "$(offers task stat)" "status "
like "bash: options of a command" " $(offers task submit --)" ' --name .* --wait '
like "bash: options of a passed-on command" " $(offers task status --)" ' --check .* --output '
is "bash: names of runs" "$(offers task logs ni)" "night "
is "bash: unit files" "$(offers task run ni)" "night.task "
is "bash: values" "$(offers taskdep graph --format '')" "dot svg text "
is "bash: without a spool nothing is offered, nothing said" \
    "$(TASK_SPOOL=$TMP/none offers tasklog logs ni)" " "

# ---- the others, where they are installed

if command -v fish >/dev/null; then
    fish_offers() {
        fish -N -c "source $SHARE/fish/vendor_completions.d/${1%% *}.fish; complete -C '$1'" |
            cut -f 1 | sort | tr '\n' ' '
    }
    is "fish: commands" "$(fish_offers 'task stat')" "status "
    is "fish: options of a passed-on command" "$(fish_offers 'task status --ch')" "--check "
    is "fish: names of runs" "$(fish_offers 'task cancel ni')" "night "
    is "fish: unit files" "$(fish_offers 'task run ni')" "night.task "
else
    skip "fish" "it is not installed"
fi
if command -v zsh >/dev/null; then
    for program in task taskdep tasklog; do
        ok "zsh: $program's is loaded" zsh -f -c "fpath=($SHARE/zsh/site-functions \$fpath)
            autoload -U compinit && compinit -D && [[ \${_comps[$program]} = _$program ]] &&
            zsh -n $SHARE/zsh/site-functions/_$program"
    done
else
    skip "zsh" "it is not installed"
fi
done_testing
