#compdef keyfob
# Completions of keyfob for zsh. keyfob itself says what fits; this passes on what was typed, on a pipe, and shows the answer.
_keyfob() {
    local -a answer fitting
    local line skip
    answer=("${(@f)$(
        printf '%s\0' "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" |
            command keyfob internal:complete zsh 2>/dev/null
    )}")
    case $answer[1] in
    values)
        for line in "${(@)answer[2,-1]}"; do
            fitting+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
        done
        _describe -t values 'keyfob' fitting
        ;;
    files)
        [[ $PREFIX == --*=* ]] && compset -P '*='
        _files
        ;;
    directories)
        [[ $PREFIX == --*=* ]] && compset -P '*='
        _files -/
        ;;
    command\ *)
        # The words after `exec --` are another program's.
        skip=${answer[1]#command }
        shift $skip words
        ((CURRENT -= skip))
        _normal
        ;;
    *)
        return 1
        ;;
    esac
}
if [[ $funcstack[1] == _keyfob ]]; then
    _keyfob "$@"
else
    compdef _keyfob keyfob
fi
