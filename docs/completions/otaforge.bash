# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# bash completion for otaforge; docs/from-help.py writes it.
_riverbank_otaforge()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=
    COMPREPLY=()
    case $prev in
    --body | --cert | --component | --effort | --entry | --expires-root | --expires-snapshot | --expires-targets | --expires-timestamp | --format | --from | --from-last | --hardware | --image | --image-key | --key | --listen | --load-address | --memory | --patch | --root-keys | --rpk | --security-counter | --slot | --subject | --threshold | --to | --type | --version | -o)
        compopt -o default
        return
        ;;
    esac
    if [ "$COMP_CWORD" = 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W 'repo publish serve release key image delta manifest rpk --help --version' -- "$cur")
        return
    fi
    case "${COMP_WORDS[1]} ${COMP_WORDS[2]}" in
    "repo init") words='--root-keys --threshold --expires-root --expires-targets --expires-snapshot --expires-timestamp' ;;
    "repo status") words='' ;;
    "repo refresh") words='--all' ;;
    "publish "*) words='' ;;
    "serve "*) words='--listen --log' ;;
    "release create") words='--image --rpk --component --image-key --from-last --memory --effort --force --debug-packages' ;;
    "key new") words='--type --cert --subject' ;;
    "key show") words='' ;;
    "image build") words='--body --version --hardware --security-counter --load-address --entry --slot --key -o' ;;
    "image show") words='' ;;
    "image verify") words='--key --hardware --security-counter' ;;
    "delta create") words='--from --to --memory --effort --format -o --quiet --json' ;;
    "delta apply") words='--from --patch -o --json' ;;
    "delta info") words='--json' ;;
    "manifest check") words='' ;;
    "rpk build") words='--key --cert -o' ;;
    "rpk sign") words='--key --cert -o' ;;
    esac
    if [ "$COMP_CWORD" = 2 ] && [ "${COMP_WORDS[1]}" = repo ]; then
        mapfile -t COMPREPLY < <(compgen -W 'init status refresh' -- "$cur")
        return
    fi
    if [ "$COMP_CWORD" = 2 ] && [ "${COMP_WORDS[1]}" = release ]; then
        mapfile -t COMPREPLY < <(compgen -W 'create' -- "$cur")
        return
    fi
    if [ "$COMP_CWORD" = 2 ] && [ "${COMP_WORDS[1]}" = key ]; then
        mapfile -t COMPREPLY < <(compgen -W 'new show' -- "$cur")
        return
    fi
    if [ "$COMP_CWORD" = 2 ] && [ "${COMP_WORDS[1]}" = image ]; then
        mapfile -t COMPREPLY < <(compgen -W 'build show verify' -- "$cur")
        return
    fi
    if [ "$COMP_CWORD" = 2 ] && [ "${COMP_WORDS[1]}" = delta ]; then
        mapfile -t COMPREPLY < <(compgen -W 'create apply info' -- "$cur")
        return
    fi
    if [ "$COMP_CWORD" = 2 ] && [ "${COMP_WORDS[1]}" = manifest ]; then
        mapfile -t COMPREPLY < <(compgen -W 'check' -- "$cur")
        return
    fi
    if [ "$COMP_CWORD" = 2 ] && [ "${COMP_WORDS[1]}" = rpk ]; then
        mapfile -t COMPREPLY < <(compgen -W 'build sign' -- "$cur")
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
