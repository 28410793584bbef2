/* SPDX-License-Identifier: Apache-2.0 */
#include "server-tools/commands.h"

#include "lib/host/fail.h"
#include "lib/host/json.h"
#include "server-tools/delta.h"
#include "server-tools/release.h"

#include <string.h>

/* The values of a repeated option. */
static bool
collect(const char *name, const char *values[], unsigned max, unsigned *count)
{
    for (unsigned i = 0; rb_cli_option_nth(name, (int)i) != NULL; i++) {
        if (i == max) {
            return false;
        }
        values[i] = rb_cli_option_nth(name, (int)i);
        *count = i + 1;
    }
    return true;
}

static int
read_options(struct forge_release_options *options)
{
    uint64_t from_last = 0;
    uint64_t memory = 0;
    uint64_t effort = 0;

    if (!collect("--image", options->image, FORGE_RELEASE_FILES_MAX, &options->image_count)
        || !collect("--rpk", options->package, FORGE_RELEASE_FILES_MAX, &options->package_count)
        || !collect("--image-key", options->image_key, FORGE_RELEASE_KEYS_MAX, &options->image_key_count)) {
        return rb_cli_usage("too many files");
    }
    if (options->image_count + options->package_count == 0) {
        return rb_cli_usage("a release needs at least one --image or --rpk");
    }
    if (!rb_cli_number("--from-last", false, 0, 100, FORGE_FROM_LAST_DEFAULT, &from_last)
        || !rb_cli_number("--memory", true, FORGE_PAYLOAD_MEMORY_MIN, UINT32_MAX, FORGE_PAYLOAD_MEMORY_DEFAULT, &memory)
        || !rb_cli_number("--effort", false, 1, 9, FORGE_EFFORT_DEFAULT, &effort)) {
        return RB_EXIT_USAGE;
    }
    options->component = rb_cli_option("--component");
    options->from_last = (unsigned)from_last;
    options->memory = (uint32_t)memory;
    options->effort = (int)effort;
    options->force = rb_cli_flag("--force");
    options->developer = rb_cli_flag("--debug-packages");
    options->progress = !rb_cli_flag("--quiet") && !rb_cli_flag("--json");
    return RB_EXIT_DONE;
}

static void
print_report(const char *dir, const json_t *report)
{
    const json_t *targets = json_object_get(report, "targets");
    const json_t *notes = json_object_get(report, "notes");

    if (json_array_size(targets) == 0) {
        printf("%s: nothing new\n", dir);
    } else if (json_is_integer(json_object_get(report, "release"))) {
        printf("%s: release %lld\n", dir, (long long)json_integer_value(json_object_get(report, "release")));
    } else {
        printf("%s: new packages\n", dir);
    }
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const json_t *t = json_array_get(targets, i);
        long long len = json_integer_value(json_object_get(t, "length"));
        long long full = json_integer_value(json_object_get(t, "full_length"));
        printf("  %10lld  %-7s  %s", len, json_string_value(json_object_get(t, "kind")),
               json_string_value(json_object_get(t, "name")));
        if (full > 0) {
            printf("  (%.1f %% of full)", 100.0 * (double)len / (double)full);
        }
        printf("\n");
    }
    for (size_t i = 0; i < json_array_size(notes); i++) {
        printf("  %s\n", json_string_value(json_array_get(notes, i)));
    }
}

static int
release_create(void)
{
    struct forge_release_options options = {0};
    const char *dir = rb_cli_argument(0);
    const char *subject = dir;
    json_t *report = NULL;

    int code = read_options(&options);
    if (code != RB_EXIT_DONE) {
        return code;
    }
    rb_err err = forge_release_create(dir, &options, &report, &subject);
    if (err != RB_OK) {
        return rb_cli_error(err, subject);
    }
    if (rb_cli_flag("--json")) {
        rb_json_print(report);
    } else {
        print_report(dir, report);
    }
    json_decref(report);
    return RB_EXIT_DONE;
}

static const struct rb_option create_options[] = {
    {"--image", "[COMPONENT=]IMG", "signed boot image", true},
    {"--rpk", "FILE", "signed package", true},
    {"--component", "NAME", "component of images that name none (default main)", false},
    {"--image-key", "KEY", "key that must have signed the images (default REPO/keys/image.pem)", true},
    {"--from-last", "N", "make deltas from so many earlier releases (default 3)", false},
    {"--memory", "SIZE", "memory a device's decoder may use (default 512K)", false},
    {"--effort", "1..9", "1 is fast, 9 makes the smallest deltas (default 6)", false},
    {"--force", NULL, "accept a lower security counter or another package signer", false},
    {"--debug-packages", NULL, "accept packages signed with the public debug keys", false},
    {NULL, NULL, NULL, false},
};

const struct rb_verb forge_release_verbs[] = {
    {"release create", "REPO", "release images and packages, with deltas from earlier releases", create_options, 1, 1,
     release_create},
    {NULL, NULL, NULL, NULL, 0, 0, NULL},
};
