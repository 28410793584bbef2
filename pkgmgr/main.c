/* SPDX-License-Identifier: Apache-2.0 */
#include "pkgmgr/cmd.h"

int
main(int argc, char **argv)
{
    static const struct rb_verb *const groups[] = {rpk_change_verbs, rpk_question_verbs, NULL};
    static const struct rb_option options[] = {
        {"--root", "DIR", "work on the device in this directory", false},
        {NULL, NULL, NULL, false},
    };
    static const struct rb_program program = {
        .name = "rpk",
        .summary = "Install and inspect .rpk packages.",
        .groups = groups,
        .options = options,
    };

    return rb_cli_main(&program, argc, argv);
}
