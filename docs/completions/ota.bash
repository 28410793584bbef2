# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# bash completion for ota; docs/from-help.py writes it.
_riverbank_ota()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=
    COMPREPLY=()
    case $prev in
    --cut-at-op | --flash-size | --image | --image-key | --limit | --program-unit | --root | --sector-size | --seed | --settings | --slot-size | --target | --tear | --trust)
        compopt -o default
        return
        ;;
    esac
    if [ "$COMP_CWORD" = 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W 'status check plan update reboot confirm rollback history log provision --help --version' -- "$cur")
        return
    fi
    case "${COMP_WORDS[1]} ${COMP_WORDS[2]}" in
    "status "*) words='' ;;
    "check "*) words='--target --retry' ;;
    "plan "*) words='--target --retry' ;;
    "update "*) words='--target --retry --cut-at-op --tear --seed' ;;
    "reboot "*) words='' ;;
    "confirm "*) words='' ;;
    "rollback "*) words='' ;;
    "history "*) words='--limit' ;;
    "log "*) words='--limit' ;;
    "provision "*) words='--settings --image --trust --image-key --flash-size --slot-size --sector-size --program-unit --force' ;;
    esac
    case $cur in
    -*)
        mapfile -t COMPREPLY < <(compgen -W "$words --root --json --quiet --help --version" -- "$cur")
        ;;
    *) compopt -o default ;;
    esac
}
complete -F _riverbank_ota ota
