/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/tuf/release.h"

#include "lib/core/payload.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <string.h>

#define COMPONENT_MAX 32u
#define VERSION_MAX 32u
#define PACKAGE_MAX 128u
#define VERSION_CODE_MAX 2147483647
#define VERSION_NAME_MAX 64u
#define DEVICE_TYPE_MAX 32u
#define RELEASE_MAX (INT64_C(1) << 53)

/* Getters of lib/host/json.h say JSON_FIELD; a target's facts are metadata. */
#define FIELD(expression)              \
    do {                               \
        if ((expression) != RB_OK) {   \
            return RB_ERR_META_FORMAT; \
        }                              \
    } while (0)

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"

/* Names that become parts of paths or are typed by people: a first character, then any of a set. */
struct name_rule {
    const char *first;
    const char *rest;
    size_t max;
};
static const struct name_rule component_rule = {LOWER DIGIT, LOWER DIGIT "._-", COMPONENT_MAX};
static const struct name_rule version_rule = {LOWER UPPER DIGIT, LOWER UPPER DIGIT "._+~-", VERSION_MAX};
static const struct name_rule hardware_rule = {LOWER UPPER DIGIT, LOWER UPPER DIGIT "._,+-", RB_IMAGE_HARDWARE_LEN};
static const struct name_rule package_rule = {LOWER UPPER DIGIT, LOWER UPPER DIGIT "._-", PACKAGE_MAX};
static const struct name_rule device_rule = {LOWER DIGIT, LOWER DIGIT "_-", DEVICE_TYPE_MAX};

static rb_err
check_name(const char *what, const char *text, const struct name_rule *rule)
{
    size_t len = strlen(text);

    if (len == 0 || len > rule->max || strchr(rule->first, text[0]) == NULL || strspn(text, rule->rest) != len) {
        return rb_fail(RB_ERR_META_FORMAT, "\"%s\" is not a %s name", text, what);
    }
    return RB_OK;
}

static rb_err
read_name(const json_t *object, const char *key, const struct name_rule *rule, const char **out)
{
    FIELD(rb_json_string(object, key, 1, rule->max, out));
    return check_name(key, *out, rule);
}

/* Known fields, and any that begins with "x-". */
static rb_err
only(const json_t *object, const char *const known[])
{
    json_t *all = (json_t *)(uintptr_t)object; /* jansson's iterators take no const */

    for (void *i = json_object_iter(all); i != NULL; i = json_object_iter_next(all, i)) {
        const char *key = json_object_iter_key(i);
        bool found = strncmp(key, "x-", 2) == 0;
        for (int k = 0; known[k] != NULL && !found; k++) {
            found = strcmp(known[k], key) == 0;
        }
        if (!found) {
            return rb_fail(RB_ERR_META_FORMAT, "field \"%s\" is not known", key);
        }
    }
    return RB_OK;
}

/* A list of different names. */
static rb_err
read_names(const json_t *object, const char *key, const struct name_rule *rule, size_t min, size_t max,
           const char *names[], unsigned *count)
{
    json_t *list;

    FIELD(rb_json_array(object, key, min, max, &list));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (name == NULL) {
            return rb_fail(RB_ERR_META_FORMAT, "field \"%s\": item %zu is not a string", key, i);
        }
        RB_TRY(check_name(key, name, rule));
        for (size_t k = 0; k < i; k++) {
            if (strcmp(names[k], name) == 0) {
                return rb_fail(RB_ERR_META_FORMAT, "field \"%s\": \"%s\" stands there twice", key, name);
            }
        }
        names[i] = name;
    }
    *count = (unsigned)json_array_size(list);
    return RB_OK;
}

static rb_err
read_u32(const json_t *object, const char *key, uint32_t min, uint32_t max, uint32_t *out)
{
    int64_t number;

    FIELD(rb_json_int(object, key, min, max, &number));
    *out = (uint32_t)number;
    return RB_OK;
}

static rb_err
read_image(const json_t *custom, struct rb_release_target *t)
{
    static const char *const known[] = {"length", "sha256", "digest", NULL};
    json_t *image;

    FIELD(rb_json_object(custom, "image", &image));
    RB_TRY(only(image, known));
    RB_TRY(read_u32(image, "length", RB_IMAGE_HEADER_LEN, UINT32_MAX, &t->image.length));
    FIELD(rb_json_hex(image, "sha256", t->image.sha256, sizeof t->image.sha256));
    FIELD(rb_json_hex(image, "digest", t->image.digest, sizeof t->image.digest));
    return RB_OK;
}

static rb_err
read_from(const json_t *custom, struct rb_release_target *t)
{
    static const char *const known[] = {"length", "sha256", "version", NULL};
    json_t *from;

    t->is_delta = json_object_get(custom, "from") != NULL;
    if (!t->is_delta) {
        return RB_OK;
    }
    FIELD(rb_json_object(custom, "from", &from));
    RB_TRY(only(from, known));
    RB_TRY(read_u32(from, "length", 1, UINT32_MAX, &t->from.length));
    FIELD(rb_json_hex(from, "sha256", t->from.sha256, sizeof t->from.sha256));
    return read_name(from, "version", &version_rule, &t->from.version);
}

static rb_err
read_header(const json_t *custom, struct rb_release_target *t)
{
    static const char *const known[] = {"length", "sha256", NULL};
    json_t *header;

    FIELD(rb_json_object(custom, "header", &header));
    RB_TRY(only(header, known));
    RB_TRY(read_u32(header, "length", RB_PAYLOAD_FIXED_LEN + RB_PAYLOAD_ENTRY_LEN, RB_PAYLOAD_HEADER_MAX,
                    &t->header.length));
    FIELD(rb_json_hex(header, "sha256", t->header.sha256, sizeof t->header.sha256));
    return RB_OK;
}

static rb_err
read_slot(const json_t *custom, struct rb_release_target *t)
{
    const char *slot;

    t->affinity = RB_IMAGE_ANY_SLOT;
    if (json_object_get(custom, "slot") == NULL) {
        return RB_OK;
    }
    FIELD(rb_json_string(custom, "slot", 1, 1, &slot));
    if (slot[0] != 'a' && slot[0] != 'b') {
        return rb_fail(RB_ERR_META_FORMAT, "field \"slot\" is neither a nor b");
    }
    t->affinity = slot[0] == 'a' ? RB_IMAGE_SLOT_A : RB_IMAGE_SLOT_B;
    return RB_OK;
}

static rb_err
parse_payload(const json_t *custom, struct rb_release_target *t)
{
    static const char *const known[] = {"kind",  "release", "component", "version", "hardware", "security_counter",
                                        "slot",  "image",   "from",      "header",  "memory",   NULL};

    t->kind = RB_RELEASE_PAYLOAD;
    RB_TRY(only(custom, known));
    FIELD(rb_json_int(custom, "release", 1, RELEASE_MAX, &t->release));
    RB_TRY(read_name(custom, "component", &component_rule, &t->component));
    RB_TRY(read_name(custom, "version", &version_rule, &t->version));
    RB_TRY(read_names(custom, "hardware", &hardware_rule, 1, RB_IMAGE_HARDWARE_MAX, t->hardware, &t->hardware_count));
    RB_TRY(read_u32(custom, "security_counter", 0, UINT32_MAX, &t->security_counter));
    RB_TRY(read_slot(custom, t));
    RB_TRY(read_image(custom, t));
    RB_TRY(read_from(custom, t));
    RB_TRY(read_header(custom, t));
    return read_u32(custom, "memory", 0, UINT32_MAX, &t->memory);
}

/* At most 64 characters, none of them a control character. */
static rb_err
check_version_name(const char *text)
{
    size_t characters = 0;

    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if (*p < 0x20 || *p == 0x7f) {
            return rb_fail(RB_ERR_META_FORMAT, "field \"version_name\" has a control character");
        }
        characters += (*p & 0xc0) != 0x80 ? 1 : 0; /* the first byte of each */
    }
    return characters <= VERSION_NAME_MAX ? RB_OK : rb_fail(RB_ERR_META_FORMAT, "field \"version_name\" is too long");
}

static rb_err
parse_package(const json_t *custom, struct rb_release_target *t)
{
    static const char *const known[] = {"kind",         "package", "version_code", "version_name",
                                        "device_types", "signer",  NULL};

    t->kind = RB_RELEASE_PACKAGE;
    RB_TRY(only(custom, known));
    RB_TRY(read_name(custom, "package", &package_rule, &t->package));
    if (strstr(t->package, "..") != NULL) {
        return rb_fail(RB_ERR_META_FORMAT, "field \"package\" has two dots in a row");
    }
    FIELD(rb_json_int(custom, "version_code", 0, VERSION_CODE_MAX, &t->version_code));
    FIELD(rb_json_string(custom, "version_name", 0, 4 * VERSION_NAME_MAX, &t->version_name));
    RB_TRY(check_version_name(t->version_name));
    RB_TRY(read_names(custom, "device_types", &device_rule, 0, RB_RELEASE_DEVICE_TYPES_MAX, t->device_type,
                      &t->device_type_count));
    FIELD(rb_json_hex(custom, "signer", t->signer, sizeof t->signer));
    return RB_OK;
}

rb_err
rb_release_parse(const json_t *custom, struct rb_release_target *out)
{
    struct rb_release_target t = {0};
    const char *kind;

    if (!json_is_object(custom)) {
        return rb_fail(RB_ERR_META_FORMAT, "the target has no facts");
    }
    FIELD(rb_json_string(custom, "kind", 1, 64, &kind));
    if (strcmp(kind, "payload") == 0) {
        RB_TRY(parse_payload(custom, &t));
    } else if (strcmp(kind, "package") == 0) {
        RB_TRY(parse_package(custom, &t));
    } else {
        return rb_fail(RB_ERR_META_FORMAT, "kind \"%s\" is not known", kind);
    }
    *out = t;
    return RB_OK;
}

static json_t *
hex_json(const uint8_t digest[RB_SHA256_LEN])
{
    char hex[2 * RB_SHA256_LEN + 1];

    rb_hex(digest, RB_SHA256_LEN, hex);
    return json_string(hex);
}

static json_t *
names_json(const char *const names[], unsigned count)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < count; i++) {
        (void)json_array_append_new(list, json_string(names[i]));
    }
    return list;
}

static json_t *
encode_payload(const struct rb_release_target *t)
{
    json_t *custom = json_pack("{s:s, s:I, s:s, s:s, s:o, s:I}", "kind", "payload", "release", (json_int_t)t->release,
                               "component", t->component, "version", t->version, "hardware",
                               names_json(t->hardware, t->hardware_count), "security_counter",
                               (json_int_t)t->security_counter);

    if (t->affinity != RB_IMAGE_ANY_SLOT) {
        (void)json_object_set_new(custom, "slot", json_string(t->affinity == RB_IMAGE_SLOT_A ? "a" : "b"));
    }
    (void)json_object_set_new(custom, "image",
                              json_pack("{s:I, s:o, s:o}", "length", (json_int_t)t->image.length, "sha256",
                                        hex_json(t->image.sha256), "digest", hex_json(t->image.digest)));
    if (t->is_delta) {
        (void)json_object_set_new(custom, "from",
                                  json_pack("{s:I, s:o, s:s}", "length", (json_int_t)t->from.length, "sha256",
                                            hex_json(t->from.sha256), "version", t->from.version));
    }
    (void)json_object_set_new(custom, "header",
                              json_pack("{s:I, s:o}", "length", (json_int_t)t->header.length, "sha256",
                                        hex_json(t->header.sha256)));
    (void)json_object_set_new(custom, "memory", json_integer((json_int_t)t->memory));
    return custom;
}

static json_t *
encode_package(const struct rb_release_target *t)
{
    return json_pack("{s:s, s:s, s:I, s:s, s:o, s:o}", "kind", "package", "package", t->package, "version_code",
                     (json_int_t)t->version_code, "version_name", t->version_name, "device_types",
                     names_json(t->device_type, t->device_type_count), "signer", hex_json(t->signer));
}

rb_err
rb_release_encode(const struct rb_release_target *target, json_t **out)
{
    struct rb_release_target back;
    json_t *custom = target->kind == RB_RELEASE_PAYLOAD ? encode_payload(target) : encode_package(target);

    /* The reader's rules are the rules: what it refuses is not written. Text that is no UTF-8 gives no object. */
    rb_err err = rb_release_parse(custom, &back);
    if (err != RB_OK) {
        json_decref(custom);
        return err;
    }
    *out = custom;
    return RB_OK;
}

bool
rb_release_fits_hardware(const struct rb_release_target *target, const char *hardware)
{
    for (unsigned i = 0; i < target->hardware_count; i++) {
        if (strcmp(target->hardware[i], hardware) == 0) {
            return true;
        }
    }
    return false;
}
