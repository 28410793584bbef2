/* SPDX-License-Identifier: Apache-2.0 */
#include "server-tools/commands.h"

#include <stddef.h>

int
main(int argc, char **argv)
{
    static const struct rb_verb *const groups[] = {
        forge_repo_verbs,
        forge_release_verbs,
        forge_key_verbs,
        forge_image_verbs,
        forge_delta_verbs,
        forge_manifest_verbs,
        forge_rpk_verbs,
        NULL,
    };
    static const struct rb_program program = {
        .name = "otaforge",
        .summary = "Keys, images, deltas, packages and repositories for Riverbank",
        .groups = groups,
    };

    return rb_cli_main(&program, argc, argv);
}
