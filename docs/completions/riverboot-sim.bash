# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# bash completion for riverboot-sim; docs/from-help.py writes it.
_riverbank_riverboot_sim()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=
    COMPREPLY=()
    case $prev in
    --cut | --flash | --seed | --tear | --watchdog)
        compopt -o default
        return
        ;;
    esac
    words='--flash --no-run --watchdog --cut --tear --seed'
    case $cur in
    -*)
        mapfile -t COMPREPLY < <(compgen -W "$words --json --quiet --help --version" -- "$cur")
        ;;
    *) compopt -o default ;;
    esac
}
complete -F _riverbank_riverboot_sim riverboot-sim
