/* SPDX-License-Identifier: Apache-2.0
 *
 * otaforge delta create | apply | info
 */
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/host/json.h"
#include "server-tools/commands.h"
#include "server-tools/delta.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *
coding_name(uint32_t coding)
{
    return coding == RB_PAYLOAD_RAW ? "raw" : "mixed";
}

static double
percent(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
}

static void
print_stats(const struct forge_payload_stats *s)
{
    char header[2 * RB_SHA256_LEN + 1];
    char old[2 * RB_SHA256_LEN + 1];
    char new[2 * RB_SHA256_LEN + 1];

    rb_hex(s->header_sha256, RB_SHA256_LEN, header);
    rb_hex(s->old_sha256, RB_SHA256_LEN, old);
    rb_hex(s->new_sha256, RB_SHA256_LEN, new);
    if (rb_cli_flag("--json")) {
        json_t *doc = json_pack("{s:s, s:s, s:I, s:I, s:i, s:i, s:{s:i, s:s}, s:{s:I, s:s}}", "format", "rbp", "coding",
                                coding_name(s->coding), "length", (json_int_t)s->payload_len, "restart_every",
                                (json_int_t)s->restart_every, "memory", (int)s->memory, "segments",
                                (int)s->segment_count, "header", "length", (int)s->header_len, "sha256", header, "new",
                                "length", (json_int_t)s->new_len, "sha256", new);
        if (s->old_len > 0) {
            (void)json_object_set_new(doc, "old",
                                      json_pack("{s:I, s:s}", "length", (json_int_t)s->old_len, "sha256", old));
        }
        rb_json_print(doc);
        json_decref(doc);
        return;
    }
    printf("payload   %" PRIu64 " bytes, %.1f %% of the new file\n", s->payload_len,
           percent(s->payload_len, s->new_len));
    printf("coding    %s, %" PRIu32 " segment%s, %" PRIu32 " KiB of decoder memory\n", coding_name(s->coding),
           s->segment_count, s->segment_count == 1 ? "" : "s", (s->memory + 1023) / 1024);
    printf("header    %" PRIu32 " bytes, sha256 %s\n", s->header_len, header);
    if (s->old_len > 0) {
        printf("old       %" PRIu64 " bytes, sha256 %s\n", s->old_len, old);
    } else {
        printf("old       none: a full payload\n");
    }
    printf("new       %" PRIu64 " bytes, sha256 %s\n", s->new_len, new);
}

/* Errors of files name their file themselves; it may be any of three. */
static int
complain(rb_err err, const char *path)
{
    bool is_file_error = err == RB_ERR_IO || err == RB_ERR_IO_NOT_FOUND || err == RB_ERR_IO_EXISTS
                         || err == RB_ERR_IO_PERMISSION || err == RB_ERR_NO_SPACE;

    return rb_cli_error(err, is_file_error ? NULL : path);
}

/* ---- create ---- */

static int
create_bsdiff(const char *old_path, const char *new_path, const char *out_path)
{
    uint64_t patch_len;
    rb_err err = forge_bsdiff_create(old_path, new_path, out_path, &patch_len);

    if (err != RB_OK) {
        return complain(err, new_path);
    }
    if (rb_cli_flag("--json")) {
        json_t *doc = json_pack("{s:s, s:I}", "format", "bsdiff40", "length", (json_int_t)patch_len);
        rb_json_print(doc);
        json_decref(doc);
    } else {
        printf("patch     %" PRIu64 " bytes, BSDIFF40\n", patch_len);
    }
    return RB_EXIT_DONE;
}

static int
create(void)
{
    const char *old_path = rb_cli_option("--from");
    const char *new_path = rb_cli_option("--to");
    const char *out_path = rb_cli_option("-o");
    const char *format = rb_cli_option("--format");
    struct forge_payload_options options = {.progress = !rb_cli_flag("--quiet")};
    struct forge_payload_stats stats;
    uint64_t memory;
    uint64_t effort;

    if (new_path == NULL || out_path == NULL) {
        return rb_cli_usage("delta create wants --to NEW and -o PATCH");
    }
    if (!rb_cli_number("--memory", true, FORGE_PAYLOAD_MEMORY_MIN, 64u << 20, FORGE_PAYLOAD_MEMORY_DEFAULT, &memory)
        || !rb_cli_number("--effort", false, 1, 9, FORGE_EFFORT_DEFAULT, &effort)) {
        return RB_EXIT_USAGE;
    }
    if (format != NULL && strcmp(format, "bsdiff40") == 0) {
        return old_path != NULL ? create_bsdiff(old_path, new_path, out_path)
                                : rb_cli_usage("--format bsdiff40 wants --from OLD");
    }
    if (format != NULL && strcmp(format, "rbp") != 0) {
        return rb_cli_usage("--format is rbp or bsdiff40, not '%s'", format);
    }
    options.memory = (uint32_t)memory;
    options.effort = (int)effort;
    rb_err err = forge_payload_create(old_path, new_path, &options, out_path, &stats);
    if (err != RB_OK) {
        return complain(err, new_path);
    }
    print_stats(&stats);
    return RB_EXIT_DONE;
}

/* ---- apply, info ---- */

static int
apply(void)
{
    const char *old_path = rb_cli_option("--from");
    const char *patch_path = rb_cli_option("--patch");
    const char *out_path = rb_cli_option("-o");

    if (patch_path == NULL || out_path == NULL) {
        return rb_cli_usage("delta apply wants --patch PATCH and -o NEW");
    }
    rb_err err = forge_payload_apply(old_path, patch_path, out_path);
    return err == RB_OK ? RB_EXIT_DONE : complain(err, patch_path);
}

static int
info(void)
{
    const char *path = rb_cli_argument(0);
    struct forge_payload_stats stats;
    rb_err err = forge_payload_info(path, &stats);

    if (err != RB_OK) {
        return complain(err, path);
    }
    print_stats(&stats);
    return RB_EXIT_DONE;
}

static const struct rb_option create_options[] = {
    {"--from", "OLD", "the file devices have; without it a full payload is made", false},
    {"--to", "NEW", "the file devices get", false},
    {"--memory", "SIZE", "decoder memory at most (64K to 64M; default 512K)", false},
    {"--effort", "1..9", "1 is fast, 9 is small (default 6)", false},
    {"--format", "FORMAT", "rbp (default), or bsdiff40 for bspatch", false},
    {"-o", "PATCH", "the file to make", false},
    {"--quiet", NULL, "no progress", false},
    {"--json", NULL, "print facts as JSON", false},
    {0},
};
static const struct rb_option apply_options[] = {
    {"--from", "OLD", "the file the patch was made against", false},
    {"--patch", "PATCH", "a payload or a BSDIFF40 patch", false},
    {"-o", "NEW", "the file to make", false},
    {"--json", NULL, "print errors as JSON", false},
    {0},
};
static const struct rb_option info_options[] = {
    {"--json", NULL, "print facts as JSON", false},
    {0},
};

const struct rb_verb forge_delta_verbs[] = {
    {"delta create", "", "make a payload that turns OLD into NEW, and check it", create_options, 0, 0, create},
    {"delta apply", "", "rebuild NEW from OLD and a payload or BSDIFF40 patch", apply_options, 0, 0, apply},
    {"delta info", "PATCH", "what a payload holds and needs", info_options, 1, 1, info},
    {0},
};
