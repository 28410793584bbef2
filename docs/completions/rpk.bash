# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# bash completion for rpk; docs/from-help.py writes it.
_riverbank_rpk()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=
    COMPREPLY=()
    case $prev in
    --root)
        compopt -o default
        return
        ;;
    esac
    if [ "$COMP_CWORD" = 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W 'install upgrade remove verify list info files owner --help --version' -- "$cur")
        return
    fi
    case "${COMP_WORDS[1]} ${COMP_WORDS[2]}" in
    "install "*) words='--dry-run' ;;
    "upgrade "*) words='--dry-run' ;;
    "remove "*) words='--dry-run' ;;
    "verify "*) words='--debug-key' ;;
    "list "*) words='' ;;
    "info "*) words='--debug-key' ;;
    "files "*) words='' ;;
    "owner "*) words='' ;;
    esac
    case $cur in
    -*)
        mapfile -t COMPREPLY < <(compgen -W "$words --root --json --quiet --help --version" -- "$cur")
        ;;
    *) compopt -o default ;;
    esac
}
complete -F _riverbank_rpk rpk
