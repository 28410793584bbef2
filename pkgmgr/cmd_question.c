/* SPDX-License-Identifier: Apache-2.0
 *
 * verify, list, info, files, owner: they change nothing.
 */
#include "pkgmgr/cmd.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/tuf/time.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOT_RUN "recorded; this version does not run them"

static void
print_fact(const char *label, const char *value)
{
    char *clean = cmd_clean(value);

    printf("%-12s %s\n", label, clean);
    free(clean);
}

static void
print_hex(const char *label, const uint8_t digest[32])
{
    char hex[65];

    rb_hex(digest, 32, hex);
    printf("%-12s %s\n", label, hex);
}

/* ---- package files ---- */

static json_t *
file_json(const char *path, const struct rpk_file *f)
{
    const struct rpk_manifest *m = &f->manifest;
    json_t *json = json_pack("{s:s, s:b, s:s, s:s, s:I, s:s, s:I, s:b, s:b, s:b}", "file", path, "good", 1, "package",
                             m->package, "name", m->name, "version_code", (json_int_t)m->version_code, "version_name",
                             m->version_name, "min_platform", (json_int_t)m->min_platform, "native", m->is_native,
                             "debug_key", f->debug_key, "hash_list", f->has_hash_list);

    (void)json_object_set_new(json, "signer", cmd_json_hex(f->signature.signer, 32));
    (void)json_object_set_new(json, "signer_name", json_string(f->signature.subject));
    (void)json_object_set_new(json, "key_bits", json_integer((json_int_t)f->signature.key_bits));
    (void)json_object_set_new(json, "content", cmd_json_hex(f->signature.content, 32));
    (void)json_object_set_new(json, "device_types", cmd_json_strings(&m->device_types));
    (void)json_object_set_new(json, "permissions", cmd_json_strings(&m->permissions));
    (void)json_object_set_new(json, "features", cmd_json_strings(&m->features));
    (void)json_object_set_new(json, "entries", json_integer((json_int_t)f->zip.count));
    (void)json_object_set_new(json, "unpacked", json_integer((json_int_t)f->zip.total_len));
    return json;
}

static json_t *
bad_json(const char *path, rb_err err)
{
    return json_pack("{s:s, s:b, s:s, s:s, s:s, s:s}", "file", path, "good", 0, "layer", rpk_layer(err), "error",
                     rb_err_name(err), "text", rb_err_text(err), "detail", rb_fail_detail());
}

static void
print_good(const char *path, const struct rpk_file *f)
{
    char *version = cmd_version(f->manifest.version_name, f->manifest.version_code);
    char *subject = cmd_clean(f->signature.subject);
    char signer[65];

    rb_hex(f->signature.signer, 32, signer);
    printf("%s: good: %s %s\n", path, f->manifest.package, version);
    printf("  signer %s, %s, %u bits%s\n", signer, subject, f->signature.key_bits,
           f->debug_key ? ", a public debug key: anyone can sign with it" : "");
    printf("  checked: container, signature, content, %u entries%s, manifest\n", f->zip.count,
           f->has_hash_list ? ", hash list" : "");
    free(subject);
    free(version);
}

static unsigned
open_flags(void)
{
    return rb_cli_flag("--debug-key") ? RPK_OPEN_DEBUG_KEY : 0;
}

static int
worse(int a, int b)
{
    return a > b ? a : b;
}

static int
report_bad(const char *path, rb_err err)
{
    char *subject = rb_text("%s: %s", path, rpk_layer(err));
    int status = rb_cli_error(err, strcmp(rpk_layer(err), "file") == 0 ? path : subject);

    free(subject);
    return status;
}

static int
run_verify(void)
{
    json_t *list = rb_cli_flag("--json") ? json_array() : NULL;
    int status = RB_EXIT_DONE;

    for (int i = 0; i < rb_cli_argument_count(); i++) {
        const char *path = rb_cli_argument(i);
        struct rpk_file *file = NULL;
        rb_fail_clear();
        rb_err err = rpk_file_open_path(path, open_flags(), &file);
        if (list != NULL) {
            (void)json_array_append_new(list, err == RB_OK ? file_json(path, file) : bad_json(path, err));
            status = worse(status, rb_cli_exit_code(err));
        } else if (err == RB_OK) {
            print_good(path, file);
            fflush(stdout);
        } else {
            status = worse(status, report_bad(path, err));
        }
        rpk_file_close(file);
    }
    return list != NULL ? worse(status, cmd_json_print(list)) : status;
}

/* ---- installed packages ---- */

struct listing {
    json_t *json; /* an array, or NULL for text */
    unsigned count;
};

static json_t *
installed_json(const struct rpk_installed *p)
{
    json_t *json = json_pack("{s:s, s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:b}", "package", p->package, "name", p->name,
                             "version_code", (json_int_t)p->version_code, "version_name", p->version_name,
                             "min_platform", (json_int_t)p->min_platform, "installed", (json_int_t)p->installed, "size",
                             (json_int_t)p->size, "file_count", (json_int_t)p->file_count, "native", p->arch != NULL);

    (void)json_object_set_new(json, "signer", cmd_json_hex(p->signer, 32));
    (void)json_object_set_new(json, "content", cmd_json_hex(p->content, 32));
    return json;
}

static rb_err
list_one(void *ctx, const struct rpk_installed *p)
{
    struct listing *l = ctx;

    l->count++;
    if (l->json != NULL) {
        (void)json_array_append_new(l->json, installed_json(p));
    } else {
        char *version = cmd_version(p->version_name, p->version_code);
        char *name = cmd_clean(p->name);
        printf("%-32s %-16s %s%s\n", p->package, version, name, p->arch != NULL ? " (native)" : "");
        free(name);
        free(version);
    }
    return RB_OK;
}

static int
run_list(void)
{
    struct cmd_device d;
    struct listing l = {.json = rb_cli_flag("--json") ? json_array() : NULL};
    int status;

    if (!cmd_device_open(&d, RPK_READ, &status)) {
        json_decref(l.json);
        return status;
    }
    rb_err err = rpk_each(d.rpk, NULL, list_one, &l);
    if (err != RB_OK) {
        json_decref(l.json);
        status = rb_cli_error(err, NULL);
    } else if (l.json != NULL) {
        status = cmd_json_print(l.json);
    } else if (l.count == 0) {
        printf("no packages are installed\n");
    }
    cmd_device_close(&d);
    return status;
}

/* ---- info ---- */

static void
print_list(const char *label, const struct rpk_strings *list)
{
    for (unsigned i = 0; i < list->count; i++) {
        print_fact(i == 0 ? label : "", list->at[i]);
    }
}

static void
print_native(const struct rpk_native *n)
{
    print_fact("native", n->arch);
    print_list("depends", &n->depends);
    print_list("provides", &n->provides);
    print_list("conflicts", &n->conflicts);
    for (unsigned i = 0; i < n->service_count; i++) {
        printf("%-12s %s: %s\n", "service", n->services[i].name, n->services[i].exec.at[0]);
    }
    for (unsigned i = 0; i < n->hook_count; i++) {
        printf("%-12s %s: %s\n", "hook", n->hooks[i].moment, n->hooks[i].path);
    }
    if (n->service_count > 0 || n->hook_count > 0) {
        printf("%-12s %s\n", "", NOT_RUN);
    }
}

static void
print_file_info(const struct rpk_file *f)
{
    const struct rpk_manifest *m = &f->manifest;
    char *version = cmd_version(m->version_name, m->version_code);

    print_fact("package", m->package);
    print_fact("name", m->name);
    print_fact("version", version);
    print_hex("signer", f->signature.signer);
    print_fact("", f->signature.subject);
    print_hex("content", f->signature.content);
    printf("%-12s %" PRIu64 " bytes, %" PRIu64 " unpacked, %u entries\n", "size", f->len, f->zip.total_len,
           f->zip.count);
    printf("%-12s %" PRId64 "\n", "platform", m->min_platform);
    print_list("devices", &m->device_types);
    print_list("permissions", &m->permissions);
    print_list("features", &m->features);
    if (m->is_native) {
        print_native(&m->native);
    }
    free(version);
}

static int
info_of_file(const char *path)
{
    struct rpk_file *file = NULL;
    rb_err err = rpk_file_open_path(path, open_flags(), &file);

    if (err != RB_OK) {
        return report_bad(path, err);
    }
    int status = RB_EXIT_DONE;
    if (rb_cli_flag("--json")) {
        status = cmd_json_print(file_json(path, file));
    } else {
        print_file_info(file);
    }
    rpk_file_close(file);
    return status;
}

static rb_err
show_installed(void *ctx, const struct rpk_installed *p)
{
    char *version = cmd_version(p->version_name, p->version_code);
    char when[RB_TIME_TEXT_LEN + 1];

    (void)ctx;
    rb_time_format(p->installed <= RB_TIME_MAX ? p->installed : RB_TIME_MAX, when);
    print_fact("package", p->package);
    print_fact("name", p->name);
    print_fact("version", version);
    print_hex("signer", p->signer);
    print_hex("content", p->content);
    print_fact("installed", when);
    printf("%-12s %" PRId64 " bytes in %" PRId64 " files\n", "size", p->size, p->file_count);
    printf("%-12s %" PRId64 "\n", "platform", p->min_platform);
    if (p->arch != NULL) {
        print_fact("native", p->arch);
    }
    free(version);
    return RB_OK;
}

static rb_err
show_fact(void *ctx, const char *kind, const char *value)
{
    bool *unrun = ctx;

    print_fact(kind, value);
    *unrun = *unrun || strcmp(kind, "service") == 0 || strcmp(kind, "hook") == 0;
    return RB_OK;
}

static rb_err
json_installed(void *ctx, const struct rpk_installed *p)
{
    json_t **json = ctx;

    *json = installed_json(p);
    return RB_OK;
}

/* Facts as one array a kind: "permission": [...] */
static rb_err
json_fact(void *ctx, const char *kind, const char *value)
{
    json_t *facts = ctx;
    json_t *list = json_object_get(facts, kind);

    if (list == NULL) {
        list = json_array();
        (void)json_object_set_new(facts, kind, list);
    }
    (void)json_array_append_new(list, json_string(value));
    return RB_OK;
}

static rb_err
info_json(struct rpk *rpk, const char *package)
{
    json_t *json = NULL;
    json_t *facts = json_object();
    char *dir = rpk_directory(rpk, package);
    rb_err err = rpk_each(rpk, package, json_installed, &json);

    if (err == RB_OK) {
        err = rpk_each_fact(rpk, package, json_fact, facts);
    }
    if (err == RB_OK) {
        (void)json_object_set_new(json, "directory", json_string(dir));
        (void)json_object_set(json, "facts", facts);
        (void)cmd_json_print(json);
    } else {
        json_decref(json);
    }
    json_decref(facts);
    free(dir);
    return err;
}

static rb_err
info_text(struct rpk *rpk, const char *package)
{
    bool unrun = false;
    char *dir = rpk_directory(rpk, package);
    rb_err err = rpk_each(rpk, package, show_installed, NULL);

    if (err == RB_OK) {
        err = rpk_each_fact(rpk, package, show_fact, &unrun);
    }
    if (err == RB_OK && unrun) {
        printf("%-12s services and hooks are %s\n", "", NOT_RUN);
    }
    if (err == RB_OK) {
        print_fact("directory", dir);
    }
    free(dir);
    return err;
}

static int
run_info(void)
{
    const char *what = rb_cli_argument(0);
    struct cmd_device d;
    int status;

    if (cmd_is_file(what)) {
        return info_of_file(what);
    }
    if (!cmd_device_open(&d, RPK_READ, &status)) {
        return status;
    }
    rb_err err = rb_cli_flag("--json") ? info_json(d.rpk, what) : info_text(d.rpk, what);
    if (err != RB_OK) {
        status = rb_cli_error(err, what);
    }
    cmd_device_close(&d);
    return status;
}

/* ---- files and owner ---- */

static json_t *
installed_file_json(const struct rpk_installed_file *f)
{
    char mode[8];
    json_t *json = json_pack("{s:s, s:s}", "package", f->package, "path", f->path);

    if (f->size >= 0) { /* a file of the package, not its data */
        (void)snprintf(mode, sizeof mode, "%04o", (unsigned)f->mode & 07777);
        (void)json_object_set_new(json, "size", json_integer(f->size));
        (void)json_object_set_new(json, "mode", json_string(mode));
        (void)json_object_set_new(json, "sha256", cmd_json_hex(f->sha256, 32));
    }
    return json;
}

static rb_err
list_file(void *ctx, const struct rpk_installed_file *f)
{
    struct listing *l = ctx;

    if (l->json != NULL) {
        (void)json_array_append_new(l->json, installed_file_json(f));
    } else {
        printf("%s\n", f->path);
    }
    return RB_OK;
}

static rb_err
list_owner(void *ctx, const struct rpk_installed_file *f)
{
    struct listing *l = ctx;

    if (l->json != NULL) {
        (void)json_array_append_new(l->json, installed_file_json(f));
    } else {
        printf("%s: %s\n", f->package, f->path);
    }
    return RB_OK;
}

static int
finish_listing(struct cmd_device *d, struct listing *l, rb_err err, const char *subject)
{
    int status = RB_EXIT_DONE;

    if (err != RB_OK) {
        json_decref(l->json);
        status = rb_cli_error(err, subject);
    } else if (l->json != NULL) {
        status = cmd_json_print(l->json);
    }
    cmd_device_close(d);
    return status;
}

static int
run_files(void)
{
    const char *package = rb_cli_argument(0);
    struct cmd_device d;
    struct listing l = {.json = NULL};
    int status;

    if (!cmd_device_open(&d, RPK_READ, &status)) {
        return status;
    }
    l.json = rb_cli_flag("--json") ? json_array() : NULL;
    return finish_listing(&d, &l, rpk_each_file(d.rpk, package, list_file, &l), package);
}

static int
run_owner(void)
{
    const char *path = rb_cli_argument(0);
    struct cmd_device d;
    struct listing l = {.json = NULL};
    int status;

    if (!cmd_device_open(&d, RPK_READ, &status)) {
        return status;
    }
    l.json = rb_cli_flag("--json") ? json_array() : NULL;
    return finish_listing(&d, &l, rpk_owner(d.rpk, path, list_owner, &l), path);
}

static const struct rb_option file_options[] = {
    {"--debug-key", NULL, "accept the toolchains' public debug keys", false},
    {NULL, NULL, NULL, false},
};

const struct rb_verb rpk_question_verbs[] = {
    {"verify", "FILE...", "check signature and content of package files", file_options, 1, -1, run_verify},
    {"list", NULL, "installed packages", NULL, 0, 0, run_list},
    {"info", "NAME|FILE", "what is known about an installed package or a package file", file_options, 1, 1, run_info},
    {"files", "NAME", "files of an installed package", NULL, 1, 1, run_files},
    {"owner", "PATH", "which package a file belongs to", NULL, 1, 1, run_owner},
    {NULL, NULL, NULL, NULL, 0, 0, NULL},
};
