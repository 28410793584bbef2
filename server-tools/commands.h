/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The verbs of otaforge, a list for each group. main.c joins them.
 */
#ifndef RB_FORGE_COMMANDS_H
#define RB_FORGE_COMMANDS_H

#include "lib/host/cli.h"

extern const struct rb_verb forge_delta_verbs[];
extern const struct rb_verb forge_image_verbs[];
extern const struct rb_verb forge_key_verbs[];
extern const struct rb_verb forge_manifest_verbs[];
extern const struct rb_verb forge_repo_verbs[]; /* repo, publish, serve */
extern const struct rb_verb forge_release_verbs[];
extern const struct rb_verb forge_rpk_verbs[];

#endif
