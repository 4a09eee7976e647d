# Completions of keyfob for fish. keyfob itself says what fits; this passes on what was typed, on a pipe, and shows the answer.
function __keyfob_complete
    set -l typed (commandline -opc)
    set -l current (commandline -ct)
    set -l answer (printf '%s\0' $typed "$current" | command keyfob internal:complete fish 2>/dev/null)
    set -l option (string match -r -- '^--[^=]+=' "$current")
    set -l value (string replace -r -- '^--[^=]+=' '' "$current")
    switch "$answer[1]"
        case values
            printf '%s\n' $answer[2..]
        case files
            __fish_complete_path "$value" | string replace -r -- '^' "$option"
        case directories
            __fish_complete_directories "$value" '' | string replace -r -- '^' "$option"
        case 'command *'
            # The words after `exec --` are another program's.
            set -l skip (string replace 'command ' '' -- $answer[1])
            set -l words (string escape -- $typed[(math $skip + 1)..])
            complete -C (string join ' ' -- $words "$current")
    end
end
complete -c keyfob -f -a '(__keyfob_complete)'
