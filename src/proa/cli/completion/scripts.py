"""The scripts that `proa completion` prints: they pass the words on and show what comes back."""

from __future__ import annotations

_HEAD = """# Completion of proa's commands for {shell}. {how}
"""

BASH = (
    _HEAD.format(shell="bash", how="To have it now: . <(proa completion bash)")
    + r"""
_proa_complete() {
    local IFS=$' \t\n' words=() lines=() line cur part flag= kept directive=0
    # bash cuts words at ":" and "=" as well: look at the line itself.
    read -a words <<<"${COMP_LINE:0:COMP_POINT}"
    [[ "${COMP_LINE:0:COMP_POINT}" == *[[:space:]] ]] && words+=("")
    cur=${words[${#words[@]}-1]}
    IFS=$'\n' read -r -d '' -a lines < <(proa DESCRIBE "${words[@]:1}" 2>/dev/null)
    part=${COMP_WORDS[COMP_CWORD]:0:COMP_POINT}
    [[ "$part" =~ ^[:=]+$ ]] && part=
    kept=${cur%"$part"}
    [[ "$cur" == --*=* ]] && flag=${cur%%=*}=
    COMPREPLY=()
    for line in "${lines[@]}"; do
        if [[ "$line" =~ ^:[0-9]+$ ]]; then
            directive=${line#:}
        else
            line=$flag$line
            COMPREPLY+=("${line#"$kept"}")
        fi
    done
    ((directive & 2)) && compopt -o nospace
    ((directive & 4)) && compopt +o default
}
complete -o default -F _proa_complete proa
"""
)

ZSH = (
    "#compdef proa\n"
    + _HEAD.format(shell="zsh", how="To have it now: source <(proa completion zsh)")
    + r"""
_proa() {
    local -a lines shown end
    local line directive=0
    lines=("${(@f)$(proa DESCRIBE "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    [[ "${words[CURRENT]}" == --*=* ]] && compset -P "${words[CURRENT]%%=*}="
    for line in "${lines[@]}"; do
        if [[ "$line" =~ '^:[0-9]+$' ]]; then
            directive=${line#:}
        elif [[ -n "$line" ]]; then
            shown+=("${${line%%$'\t'*}//:/\\:}:${${line#*$'\t'}#"$line"}")
        fi
    done
    (( directive & 2 )) && end=(-S '')
    if (( ${#shown} )); then
        _describe -V proa shown "${end[@]}"
    elif (( ! (directive & 4) )); then
        _files
    fi
}
(( $+functions[compdef] )) && compdef _proa proa
if [[ "${funcstack[1]}" == _proa ]]; then _proa; fi
"""
)

FISH = (
    _HEAD.format(shell="fish", how="To have it now: proa completion fish | source")
    + r"""
function __proa_complete
    set -l words (commandline -opc)
    set -e words[1]
    set -l current (commandline -ct)
    set -l lines (proa DESCRIBE $words "$current" 2>/dev/null)
    set -l directive (string replace ':' '' -- $lines[-1])
    set -e lines[-1]
    if test (count $lines) -eq 0
        if test (math "bitand($directive, 4)") -eq 0
            __fish_complete_path "$current"
        end
        return
    end
    set -l flag (string match -r -- '^--[^=]*=' "$current")
    for line in $lines
        echo -- "$flag$line"
    end
end
complete -c proa -f -a '(__proa_complete)'
"""
)

_SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def script(shell: str, *, described: bool) -> str:
    """Return the script for "bash", "zsh" or "fish", with descriptions of the candidates or without."""
    described = described and shell != "bash"  # which has no place for them
    return _SCRIPTS[shell].replace("DESCRIBE", "__complete" if described else "__completeNoDesc")
