/* SPDX-License-Identifier: Apache-2.0 */
#include "pkgmgr/cmd.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/host/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void
print_notes(const char *notes)
{
    while (*notes != '\0') {
        size_t len = strcspn(notes, "\n");
        rb_cli_note("%.*s", (int)len, notes);
        notes += len + (notes[len] == '\n');
    }
}

bool
cmd_device_open(struct cmd_device *d, enum rpk_access access, int *status)
{
    const char *root = rb_cli_option("--root");

    *d = (struct cmd_device){.rpk = NULL};
    rb_err err = rb_settings_read(root, &d->settings);
    if (err != RB_OK) {
        *status = rb_cli_error(err, "device settings");
        return false;
    }
    err = rpk_open(&d->settings, access, access == RPK_WRITE ? "rpk, changing packages" : "rpk", &d->rpk);
    if (err != RB_OK) {
        *status = rb_cli_error(err, NULL);
        cmd_device_close(d);
        return false;
    }
    print_notes(rpk_notes(d->rpk));
    *status = RB_EXIT_DONE;
    return true;
}

void
cmd_device_close(struct cmd_device *d)
{
    rpk_close(d->rpk);
    rb_settings_free(&d->settings);
}

bool
cmd_is_file(const char *argument)
{
    size_t len = strlen(argument);

    return strchr(argument, '/') != NULL || (len > 4 && strcmp(argument + len - 4, ".rpk") == 0);
}

char *
cmd_clean(const char *text)
{
    char *clean = rb_text("%s", text);

    for (unsigned char *p = (unsigned char *)clean; *p != '\0'; p++) {
        bool c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0;
        if (*p < 0x20 || *p == 0x7f || c1) {
            *p = '?';
        }
        if (c1) {
            *++p = '?';
        }
    }
    return clean;
}

char *
cmd_version(const char *version_name, int64_t version_code)
{
    char *clean = cmd_clean(version_name);
    char *text = rb_text("%s%s(%" PRId64 ")", clean, clean[0] != '\0' ? " " : "", version_code);

    free(clean);
    return text;
}

json_t *
cmd_json_hex(const uint8_t *data, size_t len)
{
    char hex[129];

    rb_hex(data, len <= 64 ? len : 64, hex);
    return json_string(hex);
}

json_t *
cmd_json_strings(const struct rpk_strings *list)
{
    json_t *array = json_array();

    for (unsigned i = 0; i < list->count; i++) {
        (void)json_array_append_new(array, json_string(list->at[i]));
    }
    return array;
}

int
cmd_json_print(json_t *document)
{
    if (document == NULL) {
        return rb_cli_error(RB_ERR_NO_MEMORY, NULL);
    }
    rb_json_print(document);
    json_decref(document);
    return RB_EXIT_DONE;
}
