/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest check: does a device accept this file? The same parsers as on the device say so.
 */
#include "server-tools/commands.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/host/json.h"
#include "lib/host/settings.h"
#include "lib/tuf/release.h"
#include "pkgmgr/manifest.h"

#include <stdlib.h>
#include <string.h>

#define MANIFEST_MAX (1u << 20)

static rb_err
check_settings(const uint8_t *text, size_t len)
{
    struct rb_settings settings;

    RB_TRY(rb_settings_parse(NULL, text, len, &settings));
    rb_settings_free(&settings);
    return RB_OK;
}

static rb_err
check_release(const uint8_t *text, size_t len)
{
    struct rb_release_target target;
    json_t *custom = NULL;

    RB_TRY(rb_json_parse(text, len, &custom));
    rb_err err = rb_release_parse(custom, &target);
    json_decref(custom);
    return err;
}

static rb_err
check_package(const uint8_t *text, size_t len)
{
    struct rpk_native native;
    json_t *document = NULL;

    RB_TRY(rb_json_parse(text, len, &document));
    rb_err err = rpk_native_parse(document, &native);
    if (err == RB_OK) {
        rpk_native_free(&native);
    }
    json_decref(document);
    return err;
}

static const struct {
    const char *name;
    rb_err (*check)(const uint8_t *text, size_t len);
} kinds[] = {
    {"settings", check_settings},
    {"release", check_release},
    {"package", check_package},
};

static int
check_file(rb_err (*check)(const uint8_t *text, size_t len), const char *path)
{
    uint8_t *text = NULL;
    size_t len = 0;

    rb_fail_clear();
    rb_err err = rb_file_read(path, MANIFEST_MAX, &text, &len);
    if (err == RB_OK) {
        err = check(text, len);
        free(text);
    }
    if (err != RB_OK) {
        return rb_cli_error(err, path);
    }
    printf("%s: good\n", path);
    return RB_EXIT_DONE;
}

static int
manifest_check(void)
{
    const char *kind = rb_cli_argument(0);
    int worst = RB_EXIT_DONE;

    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        if (strcmp(kinds[k].name, kind) != 0) {
            continue;
        }
        for (int i = 1; i < rb_cli_argument_count(); i++) {
            int code = check_file(kinds[k].check, rb_cli_argument(i));
            worst = code > worst ? code : worst;
        }
        return worst;
    }
    return rb_cli_usage("%s is none of: settings, release, package", kind);
}

const struct rb_verb forge_manifest_verbs[] = {
    {"manifest check", "KIND FILE...",
     "check device settings, a target's facts or a native part (KIND: settings, release, package)", NULL, 2, -1,
     manifest_check},
    {NULL, NULL, NULL, NULL, 0, 0, NULL},
};
