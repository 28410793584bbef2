/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What the verbs of rpk share. Private to the program.
 */
#ifndef RB_PKGMGR_CMD_H
#define RB_PKGMGR_CMD_H

#include "lib/host/cli.h"
#include "pkgmgr/rpk.h"

#include <jansson.h>

extern const struct rb_verb rpk_question_verbs[]; /* verify, list, info, files, owner */
extern const struct rb_verb rpk_change_verbs[];   /* install, upgrade, remove */

/** A device, opened for a verb. */
struct cmd_device {
    struct rb_settings settings;
    struct rpk *rpk;
};

/** Read the settings below --root and open the packages; prints the notes. The error has been printed when *status is
 * not RB_EXIT_DONE. */
bool cmd_device_open(struct cmd_device *d, enum rpk_access access, int *status);
void cmd_device_close(struct cmd_device *d);

/** Whether an argument names a file: it has a '/' or ends in ".rpk". */
bool cmd_is_file(const char *argument);

/** Text from a package, fit for a terminal: control characters become '?'. Caller frees. */
char *cmd_clean(const char *text);

/** "1.1.0 (2)", or "(2)" without a version name. Caller frees. */
char *cmd_version(const char *version_name, int64_t version_code);

/** New JSON strings and lists. */
json_t *cmd_json_hex(const uint8_t *data, size_t len);
json_t *cmd_json_strings(const struct rpk_strings *list);

/** Print and release. */
int cmd_json_print(json_t *document);

#endif
