# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# bash completion for otad; docs/from-help.py writes it.
_riverbank_otad()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=
    COMPREPLY=()
    case $prev in
    --root)
        compopt -o default
        return
        ;;
    esac
    words='--root --once'
    case $cur in
    -*)
        mapfile -t COMPREPLY < <(compgen -W "$words --json --quiet --help --version" -- "$cur")
        ;;
    *) compopt -o default ;;
    esac
}
complete -F _riverbank_otad otad
