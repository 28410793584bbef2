/* SPDX-License-Identifier: Apache-2.0 */
#include "pkgmgr/manifest.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "pkgmgr/zip.h"

#include <stdlib.h>
#include <string.h>

#define LIST_MAX 256u
#define NATIVE_LIST_MAX 64u
#define LABEL_MAX 256u

static rb_err
wrong(const char *field, const char *why)
{
    return rb_fail(RB_ERR_RPK_MANIFEST, "%s: %s", field, why);
}

void
rpk_strings_add(struct rpk_strings *list, const char *text)
{
    list->at = rb_realloc(list->at, (list->count + 1) * sizeof *list->at);
    list->at[list->count++] = rb_text("%s", text);
}

void
rpk_strings_free(struct rpk_strings *list)
{
    for (unsigned i = 0; i < list->count; i++) {
        free(list->at[i]);
    }
    free(list->at);
    *list = (struct rpk_strings){NULL, 0};
}

bool
rpk_strings_have(const struct rpk_strings *list, const char *text)
{
    for (unsigned i = 0; i < list->count; i++) {
        if (strcmp(list->at[i], text) == 0) {
            return true;
        }
    }
    return false;
}

static bool
is_word(const char *text, size_t max, const char *more)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    size_t len = strlen(text);

    if (len == 0 || len > max || strchr(letters, text[0]) == NULL) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (strchr(letters, text[i]) == NULL && strchr(more, text[i]) == NULL) {
            return false;
        }
    }
    return true;
}

bool
rpk_package_name_ok(const char *name)
{
    return is_word(name, RPK_PACKAGE_NAME_MAX, "._-") && strstr(name, "..") == NULL
           && name[strlen(name) - 1] != '.';
}

bool
rpk_device_type_fits(const char *type, const char *device)
{
    size_t len = strlen(type);

    return device == NULL || (strncmp(device, type, len) == 0 && (device[len] == '\0' || device[len] == '-'));
}

bool
rpk_device_fits(const struct rpk_strings *types, const char *device)
{
    for (unsigned i = 0; i < types->count; i++) {
        if (rpk_device_type_fits(types->at[i], device)) {
            return true;
        }
    }
    return types->count == 0;
}

/* ---- native part ---- */

/* A path in the package. Stricter than names in the zip: what the manifest names is ASCII. */
static bool
is_path(const char *path)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-/";
    size_t len = strlen(path);

    if (len == 0 || len > 255 || strspn(path, letters) != len) {
        return false;
    }
    rb_err err = rpk_name_check(path, len);
    rb_fail_clear();
    return err == RB_OK;
}

static rb_err
parse_names(const json_t *native, const char *key, struct rpk_strings *out)
{
    const json_t *list = json_object_get(native, key);

    if (list == NULL) {
        return RB_OK;
    }
    if (!json_is_array(list) || json_array_size(list) > NATIVE_LIST_MAX) {
        return wrong(key, "not an array of at most 64 names");
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (name == NULL || !rpk_package_name_ok(name)) {
            return wrong(key, "not a package name");
        }
        if (rpk_strings_have(out, name)) {
            return wrong(key, "the same name twice");
        }
        rpk_strings_add(out, name);
    }
    return RB_OK;
}

static rb_err
parse_mode(const char *path, const json_t *value, struct rpk_mode *out)
{
    const char *text = json_string_value(value);

    if (!is_path(path)) {
        return wrong("modes", "not a path in the package");
    }
    if (text == NULL || strlen(text) != 4 || text[0] != '0' || text[1] < '4' || strspn(text, "01234567") != 4) {
        return wrong("modes", "not an octal mode from \"0400\" to \"0777\" that the owner can read");
    }
    *out = (struct rpk_mode){rb_text("%s", path), (mode_t)strtoul(text, NULL, 8)};
    return RB_OK;
}

static rb_err
parse_modes(const json_t *native, struct rpk_native *out)
{
    json_t *modes = json_object_get(native, "modes");
    const char *path;
    json_t *value;

    if (modes == NULL) {
        return RB_OK;
    }
    if (!json_is_object(modes) || json_object_size(modes) > RPK_ENTRIES_MAX) {
        return wrong("modes", "not an object of path and mode");
    }
    out->modes = rb_alloc(json_object_size(modes) * sizeof *out->modes);
    json_object_foreach (modes, path, value) {
        RB_TRY(parse_mode(path, value, &out->modes[out->mode_count]));
        out->mode_count++;
    }
    return RB_OK;
}

static bool
is_argument(const char *word)
{
    size_t len = strlen(word);

    for (size_t i = 0; i < len; i++) {
        if (word[i] < 0x20 || word[i] > 0x7e) {
            return false;
        }
    }
    return len > 0 && len <= 255;
}

static rb_err
parse_exec(const json_t *service, struct rpk_strings *out)
{
    const json_t *exec = json_object_get(service, "exec");

    if (!json_is_array(exec) || json_array_size(exec) == 0 || json_array_size(exec) > 32) {
        return wrong("services: exec", "not an array of 1 to 32 strings");
    }
    for (size_t i = 0; i < json_array_size(exec); i++) {
        const char *word = json_string_value(json_array_get(exec, i));
        if (word == NULL || !is_argument(word) || (i == 0 && !is_path(word))) {
            return wrong("services: exec", i == 0 ? "does not begin with a path in the package"
                                                  : "not 1 to 255 printable ASCII characters");
        }
        rpk_strings_add(out, word);
    }
    return RB_OK;
}

static rb_err
parse_service(const json_t *service, struct rpk_native *out)
{
    static const char *const known[] = {"name", "exec", "restart", NULL};
    const char *name = json_string_value(json_object_get(service, "name"));
    const json_t *restart = json_object_get(service, "restart");
    const char *text = restart != NULL ? json_string_value(restart) : "no";

    if (!json_is_object(service) || rb_json_only(service, known) != RB_OK) {
        return wrong("services", "not an object of name, exec and restart");
    }
    if (name == NULL || !is_word(name, 64, "._-")) {
        return wrong("services: name", "missing or not a name");
    }
    if (text == NULL || (strcmp(text, "no") != 0 && strcmp(text, "on-failure") != 0 && strcmp(text, "always") != 0)) {
        return wrong("services: restart", "not \"no\", \"on-failure\" or \"always\"");
    }
    struct rpk_service *s = &out->services[out->service_count++];
    s->name = rb_text("%s", name);
    s->restart = rb_text("%s", text);
    return parse_exec(service, &s->exec);
}

static rb_err
parse_services(const json_t *native, struct rpk_native *out)
{
    const json_t *services = json_object_get(native, "services");

    if (services == NULL) {
        return RB_OK;
    }
    if (!json_is_array(services) || json_array_size(services) > 32) {
        return wrong("services", "not an array of at most 32 services");
    }
    out->services = rb_alloc(json_array_size(services) * sizeof *out->services);
    for (size_t i = 0; i < json_array_size(services); i++) {
        RB_TRY(parse_service(json_array_get(services, i), out));
    }
    return RB_OK;
}

static rb_err
parse_hooks(const json_t *native, struct rpk_native *out)
{
    static const char *const moments[] = {"post-install", "post-upgrade", "pre-remove", "post-remove", NULL};
    json_t *hooks = json_object_get(native, "hooks");

    if (hooks == NULL) {
        return RB_OK;
    }
    if (!json_is_object(hooks) || rb_json_only(hooks, moments) != RB_OK) {
        return wrong("hooks", "not an object of post-install, post-upgrade, pre-remove and post-remove");
    }
    out->hooks = rb_alloc(4 * sizeof *out->hooks);
    for (unsigned i = 0; moments[i] != NULL; i++) {
        const json_t *value = json_object_get(hooks, moments[i]);
        const char *path = json_string_value(value);
        if (value != NULL && (path == NULL || !is_path(path))) {
            return wrong("hooks", "not a path in the package");
        }
        if (path != NULL) {
            out->hooks[out->hook_count++] = (struct rpk_hook){rb_text("%s", moments[i]), rb_text("%s", path)};
        }
    }
    return RB_OK;
}

static rb_err
parse_native(const json_t *native, struct rpk_native *out)
{
    static const char *const known[] = {"arch", "depends", "provides", "conflicts", "modes", "services", "hooks",
                                        NULL};
    const char *arch = json_string_value(json_object_get(native, "arch"));

    if (!json_is_object(native)) {
        return wrong("native", "not an object");
    }
    if (rb_json_only(native, known) != RB_OK) {
        return wrong("native", "member that this version does not know");
    }
    if (arch == NULL || !is_word(arch, 32, "_-")) {
        return wrong("arch", "missing or not a name");
    }
    out->arch = rb_text("%s", arch);
    RB_TRY(parse_names(native, "depends", &out->depends));
    RB_TRY(parse_names(native, "provides", &out->provides));
    RB_TRY(parse_names(native, "conflicts", &out->conflicts));
    RB_TRY(parse_modes(native, out));
    RB_TRY(parse_services(native, out));
    return parse_hooks(native, out);
}

rb_err
rpk_native_parse(const json_t *native, struct rpk_native *out)
{
    struct rpk_native result = {0};
    rb_err err = parse_native(native, &result);

    if (err != RB_OK) {
        rpk_native_free(&result);
        return err;
    }
    *out = result;
    return RB_OK;
}

void
rpk_native_free(struct rpk_native *native)
{
    free(native->arch);
    rpk_strings_free(&native->depends);
    rpk_strings_free(&native->provides);
    rpk_strings_free(&native->conflicts);
    for (unsigned i = 0; i < native->mode_count; i++) {
        free(native->modes[i].path);
    }
    for (unsigned i = 0; i < native->service_count; i++) {
        free(native->services[i].name);
        free(native->services[i].restart);
        rpk_strings_free(&native->services[i].exec);
    }
    for (unsigned i = 0; i < native->hook_count; i++) {
        free(native->hooks[i].moment);
        free(native->hooks[i].path);
    }
    free(native->modes);
    free(native->services);
    free(native->hooks);
    *native = (struct rpk_native){0};
}

/* ---- quick-app manifest ---- */

/* Real manifests leave versionCode out or write it as a string; a fraction or a negative number is a mistake. */
static rb_err
parse_version_code(const json_t *value, int64_t *out)
{
    if (value == NULL) {
        *out = 0;
        return RB_OK;
    }
    int64_t number = json_is_integer(value) ? json_integer_value(value) : -1;
    const char *text = json_string_value(value);
    size_t len = text != NULL ? strlen(text) : 0;
    if (len > 0 && len <= 10 && strspn(text, "0123456789") == len) {
        number = (int64_t)strtoull(text, NULL, 10);
    }
    if (number < 0 || number > RPK_VERSION_CODE_MAX) {
        return wrong("versionCode", "not an integer from 0 to 2147483647");
    }
    *out = number;
    return RB_OK;
}

static rb_err
parse_label(const json_t *manifest, const char *key, size_t max, const char *fallback, char **out)
{
    const json_t *value = json_object_get(manifest, key);
    const char *text = value != NULL ? json_string_value(value) : fallback;

    if (text == NULL || strlen(text) > max) {
        return wrong(key, "not a string or too long");
    }
    *out = rb_text("%s", text);
    return RB_OK;
}

/* Entries are strings, or objects whose `member` or "origin" is the string; others say nothing and are passed over. */
static rb_err
parse_list(const json_t *manifest, const char *key, struct rpk_strings *out)
{
    const json_t *list = json_object_get(manifest, key);

    if (list == NULL || json_is_null(list)) {
        return RB_OK;
    }
    if (!json_is_array(list) || json_array_size(list) > LIST_MAX) {
        return wrong(key, "not an array of at most 256 entries");
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const json_t *name = json_object_get(one, "name");
        const char *text = json_string_value(json_is_string(one) ? one
                                             : name != NULL      ? name
                                                                 : json_object_get(one, "origin"));
        if (text != NULL && strlen(text) <= LABEL_MAX && !rpk_strings_have(out, text)) {
            rpk_strings_add(out, text);
        }
    }
    return RB_OK;
}

static rb_err
parse_facts(const json_t *json, struct rpk_manifest *m)
{
    const char *package = json_string_value(json_object_get(json, "package"));
    const json_t *platform = json_object_get(json, "minPlatformVersion");
    const json_t *native = json_object_get(json, "native");

    if (package == NULL || !rpk_package_name_ok(package)) {
        return wrong("package", "missing or not a package name");
    }
    m->package = rb_text("%s", package);
    RB_TRY(parse_version_code(json_object_get(json, "versionCode"), &m->version_code));
    RB_TRY(parse_label(json, "name", LABEL_MAX, package, &m->name));
    RB_TRY(parse_label(json, "versionName", 64, "", &m->version_name));
    m->min_platform = json_is_integer(platform) ? json_integer_value(platform) : 1;
    RB_TRY(parse_list(json, "deviceTypeList", &m->device_types));
    RB_TRY(parse_list(json, "permissions", &m->permissions));
    RB_TRY(parse_list(json, "features", &m->features));
    m->is_native = native != NULL;
    return m->is_native ? rpk_native_parse(native, &m->native) : RB_OK;
}

rb_err
rpk_manifest_parse(const void *text, size_t len, struct rpk_manifest *out)
{
    struct rpk_manifest m = {0};
    json_t *json = NULL;
    rb_err err = rb_json_parse(text, len, &json);

    if (err != RB_OK) {
        return err == RB_ERR_JSON ? RB_ERR_RPK_MANIFEST : err; /* the detail says where */
    }
    err = json_is_object(json) ? parse_facts(json, &m) : wrong("manifest.json", "not an object");
    json_decref(json);
    if (err != RB_OK) {
        rpk_manifest_free(&m);
        return err;
    }
    *out = m;
    return RB_OK;
}

void
rpk_manifest_free(struct rpk_manifest *m)
{
    free(m->package);
    free(m->name);
    free(m->version_name);
    rpk_strings_free(&m->device_types);
    rpk_strings_free(&m->permissions);
    rpk_strings_free(&m->features);
    rpk_native_free(&m->native);
    *m = (struct rpk_manifest){0};
}
