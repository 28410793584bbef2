# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# bash completion for otaforge; docs/from-help.py writes it.
_riverbank_otaforge()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=
    COMPREPLY=()
    case $prev in
    --body | --entry | --hardware | --key | --load-address | --security-counter | --slot | --version | -o)
        compopt -o default
        return
        ;;
    esac
    if [ "$COMP_CWORD" = 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W 'image --help --version' -- "$cur")
        return
    fi
    case "${COMP_WORDS[1]} ${COMP_WORDS[2]}" in
    "image build") words='--body --version --hardware --security-counter --load-address --entry --slot --key -o' ;;
    "image show") words='' ;;
    "image verify") words='--key --hardware --security-counter' ;;
    esac
    if [ "$COMP_CWORD" = 2 ] && [ "${COMP_WORDS[1]}" = image ]; then
        mapfile -t COMPREPLY < <(compgen -W 'build show verify' -- "$cur")
        return
    fi
    case $cur in
    -*)
        mapfile -t COMPREPLY < <(compgen -W "$words --json --quiet --help --version" -- "$cur")
        ;;
    *) compopt -o default ;;
    esac
}
complete -F _riverbank_otaforge otaforge
