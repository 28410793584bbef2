/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings are strict: what manifests/settings.schema.json refuses is refused here too, and the other way round (the
 * manifests tests hold both to every example). A misspelt key is an error, not a default.
 */
#include "lib/host/settings.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/host/json.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETTINGS_FILE "/etc/riverbank/settings.json"
#define SETTINGS_LEN_MAX 65536u
#define NAME_MAX_LEN 32u
#define PATH_MAX_LEN 512u
#define URL_MAX_LEN 1024u
#define ARGUMENT_MAX_LEN 1024u
#define ARGUMENTS_MAX 14u /* with the command and the NULL that ends the list: 16 */

static const char *const KNOWN[] = {
    "hardware",         "component",      "device_type",     "arch",          "repository_url", "ca_file",
    "flash_path",       "state_dir",      "package_dir",     "tries",         "decoder_memory", "poll_interval_s",
    "boot_report_path", "native_signers", "developer_mode",  "health",        NULL,
};
static const char *const HEALTH_KNOWN[] = {"command", "arguments", "deadline_s", NULL};

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool
has(const json_t *o, const char *key)
{
    return json_object_get(o, key) != NULL;
}

static rb_err
bad(const char *key, const char *why)
{
    return rb_fail(RB_ERR_JSON_FIELD, "field \"%s\": %s", key, why);
}

/* A name: `first` may begin it, `more` may stand in it as well. Absent: `fallback`, copied; NULL stays NULL. */
static rb_err
name_field(const json_t *o, const char *key, const char *first, const char *more, const char *fallback, char **out)
{
    const char *text = fallback;

    if (has(o, key)) {
        RB_TRY(rb_json_string(o, key, 1, NAME_MAX_LEN, &text));
        size_t i = 0;
        for (; text[i] != '\0' && (strchr(first, text[i]) != NULL || (i > 0 && strchr(more, text[i]) != NULL)); i++) {
        }
        if (text[i] != '\0') {
            return bad(key, "character not allowed");
        }
    }
    *out = text != NULL ? rb_text("%s", text) : NULL;
    return RB_OK;
}

/* "/name/name": absolute, names start with a letter, digit or '_', so none is "." or "..". */
static bool
path_allowed(const char *path)
{
    const char *at = path;

    do {
        if (*at != '/' || at[1] == '\0' || strchr(LOWER UPPER DIGITS "_", at[1]) == NULL) {
            return false;
        }
        at += 1 + strspn(at + 1, LOWER UPPER DIGITS "._+@-");
    } while (*at != '\0');
    return true;
}

static rb_err
path_field(const json_t *o, const char *key, const char *root, const char *fallback, char **out)
{
    const char *text = fallback;

    if (has(o, key)) {
        RB_TRY(rb_json_string(o, key, 2, PATH_MAX_LEN, &text));
        if (!path_allowed(text)) {
            return bad(key, "not an absolute path of plain names");
        }
    }
    *out = text != NULL ? rb_text("%s%s", root, text) : NULL;
    return RB_OK;
}

/* http or https, a host, a path that ends in '/'; no user name, query or fragment. */
static bool
url_allowed(const char *url)
{
    const char *host = strncmp(url, "https://", 8) == 0 ? url + 8 : strncmp(url, "http://", 7) == 0 ? url + 7 : NULL;

    if (host == NULL) {
        return false;
    }
    size_t host_len = strspn(host, LOWER UPPER DIGITS ".:[]_-");
    if (host_len == 0 || host[host_len] != '/') {
        return false;
    }
    const char *path = host + host_len;
    size_t path_len = strspn(path, LOWER UPPER DIGITS "/._~%!$&'()*+,;=:@-");
    return path[path_len] == '\0' && path[path_len - 1] == '/';
}

static rb_err
url_field(const json_t *o, const char *key, char **out)
{
    const char *text = NULL;

    if (has(o, key)) {
        RB_TRY(rb_json_string(o, key, 1, URL_MAX_LEN, &text));
        if (!url_allowed(text)) {
            return bad(key, "not an http or https URL that ends in '/'");
        }
        *out = rb_text("%s", text);
    }
    return RB_OK;
}

static rb_err
number_field(const json_t *o, const char *key, int64_t min, int64_t max, int64_t fallback, int64_t *out)
{
    *out = fallback;
    return has(o, key) ? rb_json_int(o, key, min, max, out) : RB_OK;
}

static bool
printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~') {
            return false;
        }
    }
    return true;
}

static rb_err
health_arguments(const json_t *health, struct rb_settings *out)
{
    json_t *list = NULL;

    if (!has(health, "arguments")) {
        return RB_OK;
    }
    if (!has(health, "command")) {
        return bad("arguments", "only together with \"command\"");
    }
    RB_TRY(rb_json_array(health, "arguments", 0, ARGUMENTS_MAX, &list));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text == NULL || text[0] == '\0' || strlen(text) > ARGUMENT_MAX_LEN || !printable(text)) {
            return bad("arguments", "not a list of printable strings");
        }
        out->health_command[1 + i] = rb_text("%s", text);
    }
    return RB_OK;
}

static rb_err
health_field(const json_t *o, struct rb_settings *out)
{
    json_t *health = NULL;
    int64_t deadline = 60;

    out->health = RB_HEALTH_PROGRAM;
    out->health_deadline_s = (unsigned)deadline;
    if (!has(o, "health")) {
        return RB_OK;
    }
    RB_TRY(rb_json_object(o, "health", &health));
    RB_TRY(rb_json_only(health, HEALTH_KNOWN));
    RB_TRY(number_field(health, "deadline_s", 1, 3600, deadline, &deadline));
    out->health_deadline_s = (unsigned)deadline;
    if (has(health, "command")) {
        out->health = RB_HEALTH_COMMAND;
        RB_TRY(path_field(health, "command", "", NULL, &out->health_command[0])); /* a program of the running system */
    }
    return health_arguments(health, out);
}

static rb_err
signers_field(const json_t *o, struct rb_settings *out)
{
    json_t *list = NULL;

    if (!has(o, "native_signers")) {
        return RB_OK;
    }
    RB_TRY(rb_json_array(o, "native_signers", 0, RB_SETTINGS_SIGNERS_MAX, &list));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *hex = json_string_value(json_array_get(list, i));
        if (hex == NULL || rb_unhex(hex, out->native_signer[i], sizeof out->native_signer[i]) != RB_OK) {
            return bad("native_signers", "not a list of SHA-256 digests in lower-case hex");
        }
        for (size_t k = 0; k < i; k++) {
            if (memcmp(out->native_signer[k], out->native_signer[i], sizeof out->native_signer[i]) == 0) {
                return bad("native_signers", "the same signer twice");
            }
        }
    }
    out->native_signer_count = (unsigned)json_array_size(list);
    return RB_OK;
}

static rb_err
paths(const json_t *o, struct rb_settings *out)
{
    RB_TRY(path_field(o, "ca_file", out->root, NULL, &out->ca_file));
    RB_TRY(path_field(o, "state_dir", out->root, "/var/lib/riverbank", &out->state_dir));
    RB_TRY(path_field(o, "flash_path", out->root, NULL, &out->flash_path));
    RB_TRY(path_field(o, "boot_report_path", out->root, NULL, &out->boot_report_path));
    RB_TRY(path_field(o, "package_dir", out->root, NULL, &out->package_dir));
    if (out->flash_path == NULL) {
        out->flash_path = rb_text("%s/flash.img", out->state_dir);
    }
    if (out->boot_report_path == NULL) {
        out->boot_report_path = rb_text("%s.boot", out->flash_path);
    }
    if (out->package_dir == NULL) {
        out->package_dir = rb_text("%s/apps", out->state_dir);
    }
    return RB_OK;
}

static rb_err
from_json(const json_t *o, struct rb_settings *out)
{
    int64_t value;

    if (!json_is_object(o)) {
        return rb_fail(RB_ERR_JSON_FIELD, "not an object");
    }
    RB_TRY(rb_json_only(o, KNOWN));
    RB_TRY(name_field(o, "hardware", LOWER UPPER DIGITS, "._,+-", NULL, &out->hardware));
    if (out->hardware == NULL) {
        return bad("hardware", "missing");
    }
    RB_TRY(name_field(o, "component", LOWER DIGITS, "._-", "main", &out->component));
    RB_TRY(name_field(o, "device_type", LOWER DIGITS, "_-", NULL, &out->device_type));
    RB_TRY(name_field(o, "arch", LOWER DIGITS, "_-", NULL, &out->arch));
    RB_TRY(url_field(o, "repository_url", &out->repository_url));
    RB_TRY(paths(o, out));
    RB_TRY(number_field(o, "tries", 3, 15, 3, &value));
    out->tries = (unsigned)value;
    RB_TRY(number_field(o, "decoder_memory", 65536, 1 << 30, 1 << 20, &value));
    out->decoder_memory = (uint64_t)value;
    RB_TRY(number_field(o, "poll_interval_s", 1, 2592000, 3600, &value));
    out->poll_interval_s = (unsigned)value;
    RB_TRY(health_field(o, out));
    RB_TRY(signers_field(o, out));
    return has(o, "developer_mode") ? rb_json_bool(o, "developer_mode", &out->developer_mode) : RB_OK;
}

rb_err
rb_settings_parse(const char *root, const void *text, size_t len, struct rb_settings *out)
{
    json_t *json = NULL;
    struct rb_settings s;

    memset(&s, 0, sizeof s);
    s.root = rb_text("%s", root != NULL ? root : "");
    rb_err err = len <= SETTINGS_LEN_MAX ? rb_json_parse(text, len, &json)
                                         : rb_fail(RB_ERR_TOO_LARGE, "more than %u bytes", SETTINGS_LEN_MAX);
    if (err == RB_OK) {
        err = from_json(json, &s);
        json_decref(json);
    }
    if (err != RB_OK) {
        rb_settings_free(&s);
        return RB_ERR_AGENT_SETTINGS; /* the detail names the field */
    }
    *out = s;
    return RB_OK;
}

/* Settings name a command that is run and who may sign packages: whoever may write them owns the device. */
static rb_err
check_writable_by_owner_alone(const char *path)
{
    struct stat st;

    if (lstat(path, &st) != 0) {
        return rb_fail_errno("%s", path);
    }
    if (!S_ISREG(st.st_mode) || (st.st_mode & S_IWOTH) != 0 || (st.st_uid != geteuid() && st.st_uid != 0)) {
        return rb_fail(RB_ERR_AGENT_SETTINGS, "%s: not a regular file, or others may write it", path);
    }
    return RB_OK;
}

rb_err
rb_settings_read(const char *root, struct rb_settings *out)
{
    char *path = rb_text("%s%s", root != NULL ? root : "", SETTINGS_FILE);
    uint8_t *text = NULL;
    size_t len = 0;

    rb_err err = check_writable_by_owner_alone(path);
    if (err == RB_OK) {
        err = rb_file_read(path, SETTINGS_LEN_MAX, &text, &len);
    }
    if (err == RB_OK) {
        err = rb_settings_parse(root, text, len, out);
    }
    free(text);
    free(path);
    return err;
}

void
rb_settings_free(struct rb_settings *s)
{
    free(s->root);
    free(s->hardware);
    free(s->component);
    free(s->device_type);
    free(s->arch);
    free(s->repository_url);
    free(s->ca_file);
    free(s->flash_path);
    free(s->boot_report_path);
    free(s->state_dir);
    free(s->package_dir);
    for (size_t i = 0; i < sizeof s->health_command / sizeof s->health_command[0]; i++) {
        free(s->health_command[i]);
    }
    memset(s, 0, sizeof *s);
}
