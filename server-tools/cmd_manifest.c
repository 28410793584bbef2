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
check_file(rb_err (*check)(const uint8_t *text, size_t len), const char *path, json_t *report)
{
    uint8_t *text = NULL;
    size_t len = 0;

    rb_fail_clear();
    rb_err err = rb_file_read(path, MANIFEST_MAX, &text, &len);
    if (err == RB_OK) {
        err = check(text, len);
        free(text);
    }
    if (report != NULL) {
        (void)json_array_append_new(report, json_pack("{s:s, s:b, s:s, s:s}", "file", path, "good", err == RB_OK,
                                                      "error", rb_err_name(err), "detail", rb_fail_detail()));
        return rb_cli_exit_code(err);
    }
    if (err != RB_OK) {
        return rb_cli_error(err, path);
    }
    printf("%s: good\n", path);
    return RB_EXIT_DONE;
}

/* All of them, and the worst answer. */
static int
check_files(rb_err (*check)(const uint8_t *text, size_t len))
{
    json_t *report = rb_cli_flag("--json") ? json_array() : NULL;
    int worst = RB_EXIT_DONE;

    for (int i = 1; i < rb_cli_argument_count(); i++) {
        int code = check_file(check, rb_cli_argument(i), report);
        worst = code > worst ? code : worst;
    }
    if (report != NULL) {
        rb_json_print(report);
        json_decref(report);
    }
    return worst;
}

static int
manifest_check(void)
{
    const char *kind = rb_cli_argument(0);

    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        if (strcmp(kinds[k].name, kind) == 0) {
            return check_files(kinds[k].check);
        }
    }
    return rb_cli_usage("%s is none of: settings, release, package", kind);
}

const struct rb_verb forge_manifest_verbs[] = {
    {"manifest check", "KIND FILE...",
     "check device settings, a target's facts or a native part (KIND: settings, release, package)", NULL, 2, -1,
     manifest_check},
    {NULL, NULL, NULL, NULL, 0, 0, NULL},
};
