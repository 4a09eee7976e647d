# Completions of keyfob for bash. keyfob itself says what fits; this passes on what was typed, on a pipe, and shows the answer.
_keyfob() {
    COMPREPLY=()
    local answer cur=${COMP_WORDS[COMP_CWORD]}
    mapfile -t answer < <(
        printf '%s\0' "${COMP_LINE:0:COMP_POINT}" "${COMP_WORDS[@]:0:COMP_CWORD+1}" |
            command keyfob internal:complete bash 2>/dev/null
    )
    case ${answer[0]} in
    values)
        COMPREPLY=("${answer[@]:1}")
        COMPREPLY=("${COMPREPLY[@]%%$'\t'*}")
        ;;
    files | directories)
        case $cur in = | :) cur= ;; esac
        compopt -o filenames 2>/dev/null
        if [[ ${answer[0]} == files ]]; then
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        else
            mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        fi
        ;;
    "command "*)
        # The words after `exec --` are another program's: bash-completion knows how that one completes.
        local at=${answer[0]#command }
        if declare -F _comp_command_offset >/dev/null; then
            _comp_command_offset "$at"
        elif declare -F _command_offset >/dev/null; then
            _command_offset "$at"
        elif ((COMP_CWORD == at)); then
            mapfile -t COMPREPLY < <(compgen -c -- "$cur")
        else
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        fi
        ;;
    esac
}
complete -F _keyfob keyfob
