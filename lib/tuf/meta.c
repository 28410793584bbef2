/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/tuf/meta.h"

#include "lib/core/bytes.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/tuf/ecdsa.h"
#include "lib/tuf/time.h"

#include <stdlib.h>
#include <string.h>

#define KEYID_MAX 256u
#define PEM_MAX 1024u
#define LENGTH_MAX (INT64_C(1) << 53)

/* Getters of lib/host/json.h say JSON_FIELD; in metadata that is META_FORMAT. */
#define FIELD(expression)              \
    do {                               \
        if ((expression) != RB_OK) {   \
            return RB_ERR_META_FORMAT; \
        }                              \
    } while (0)

const char *
rb_meta_role_name(enum rb_meta_role role)
{
    static const char *const names[] = {"root", "timestamp", "snapshot", "targets"};

    return names[role];
}

void
rb_meta_free(struct rb_meta *meta)
{
    if (meta != NULL) {
        json_decref(meta->document);
        free(meta);
    }
}

/* The canonical form is made from the parsed document. That loses nothing signatures protect: duplicate keys, numbers
 * that are not 64-bit integers and strings that are not UTF-8 do not parse or have no canonical form, and what is
 * used later is this same parsed document. */
static rb_err
read_envelope(struct rb_meta *meta)
{
    json_t *signatures;
    char *canonical = NULL;
    size_t len = 0;

    FIELD(rb_json_object(meta->document, "signed", &meta->body));
    FIELD(rb_json_array(meta->document, "signatures", 0, RB_META_SIGNATURES_MAX, &signatures));
    if (rb_json_canonical(meta->body, &canonical, &len) != RB_OK) {
        return RB_ERR_META_JSON;
    }
    rb_sha256(canonical, len, meta->digest);
    free(canonical);
    return RB_OK;
}

rb_err
rb_meta_read(const void *data, size_t len, struct rb_meta **out)
{
    struct rb_meta *meta = rb_alloc(sizeof *meta);

    rb_err err = rb_json_parse(data, len, &meta->document) == RB_OK ? RB_OK : RB_ERR_META_JSON;
    if (err == RB_OK) {
        err = read_envelope(meta);
    }
    if (err != RB_OK) {
        rb_meta_free(meta);
        return err;
    }
    rb_sha256(data, len, meta->sha256);
    meta->len = len;
    *out = meta;
    return RB_OK;
}

/* The signature by `keyid`, or NULL. Looks at all of them, since each key id may stand there only once. */
static rb_err
find_signature(const json_t *signatures, const char *keyid, const char **out)
{
    const char *found = NULL;
    const char *id;
    const char *sig;

    for (size_t i = 0; i < json_array_size(signatures); i++) {
        const json_t *entry = json_array_get(signatures, i);
        FIELD(rb_json_string(entry, "keyid", 1, KEYID_MAX, &id));
        FIELD(rb_json_string(entry, "sig", 0, 8192, &sig));
        if (strcmp(id, keyid) == 0) {
            if (found != NULL) {
                return rb_fail(RB_ERR_META_FORMAT, "key id %.16s signs twice", keyid);
            }
            found = sig;
        }
    }
    *out = found;
    return RB_OK;
}

/* A key of the one kind that is used here; false for every other one. */
static bool
key_bytes(const json_t *keys, const char *keyid, uint8_t out[RB_P256_KEY_LEN])
{
    const json_t *key = json_object_get(keys, keyid);
    const char *type = json_string_value(json_object_get(key, "keytype"));
    const char *scheme = json_string_value(json_object_get(key, "scheme"));
    const char *pem = json_string_value(json_object_get(json_object_get(key, "keyval"), "public"));

    return type != NULL && scheme != NULL && pem != NULL && strlen(pem) <= PEM_MAX
           && (strcmp(type, "ecdsa") == 0 || strcmp(type, "ecdsa-sha2-nistp256") == 0)
           && strcmp(scheme, "ecdsa-sha2-nistp256") == 0 && rb_p256_from_pem(pem, out) == RB_OK;
}

static bool
signature_valid(const char *hex, const uint8_t key[RB_P256_KEY_LEN], const uint8_t digest[RB_SHA256_LEN])
{
    uint8_t der[RB_P256_DER_SIGNATURE_MAX];
    uint8_t raw[RB_P256_SIGNATURE_LEN];
    size_t len = strlen(hex);

    if (len % 2 != 0 || len / 2 > sizeof der) {
        return false;
    }
    if (rb_unhex(hex, der, len / 2) != RB_OK) {
        rb_fail_clear(); /* one bad signature is no failure yet */
        return false;
    }
    return rb_p256_signature_from_der(der, len / 2, raw) == RB_OK && rb_p256_verify(key, digest, raw) == RB_OK;
}

static const json_t *
role_of(const struct rb_meta *root, enum rb_meta_role role)
{
    return json_object_get(json_object_get(root->body, "roles"), rb_meta_role_name(role));
}

rb_err
rb_meta_verify(const struct rb_meta *meta, const struct rb_meta *root, enum rb_meta_role role)
{
    const json_t *signatures = json_object_get(meta->document, "signatures");
    const json_t *keys = json_object_get(root->body, "keys");
    const json_t *keyids = json_object_get(role_of(root, role), "keyids");
    int64_t threshold = json_integer_value(json_object_get(role_of(root, role), "threshold"));
    uint8_t(*counted)[RB_P256_KEY_LEN] = rb_alloc(RB_META_KEYS_MAX * sizeof *counted);
    int64_t count = 0;
    rb_err err = threshold >= 1 ? RB_OK : rb_fail(RB_ERR_META_FORMAT, "threshold below 1");

    for (size_t i = 0; err == RB_OK && i < json_array_size(keyids) && count < (int64_t)RB_META_KEYS_MAX; i++) {
        const char *keyid = json_string_value(json_array_get(keyids, i));
        const char *sig = NULL;
        uint8_t key[RB_P256_KEY_LEN];
        bool known = false;

        err = find_signature(signatures, keyid, &sig);
        if (err != RB_OK || sig == NULL || !key_bytes(keys, keyid, key)) {
            continue;
        }
        for (int64_t k = 0; k < count; k++) {
            known = known || rb_equal(counted[k], key, sizeof key);
        }
        if (!known && signature_valid(sig, key, meta->digest)) {
            rb_copy(counted[count++], key, sizeof key);
        }
    }
    free(counted);
    if (err == RB_OK && count < threshold) {
        err = rb_fail(RB_ERR_META_SIGNATURE, "%lld of %lld needed signatures are valid", (long long)count,
                      (long long)threshold);
    }
    return err;
}

static bool
spec_version_valid(const char *text)
{
    if (strncmp(text, "1.", 2) != 0 || strlen(text) > 16) {
        return false;
    }
    for (const char *p = text + 2; *p != '\0'; p++) {
        if ((*p < '0' || *p > '9') && *p != '.') {
            return false;
        }
    }
    return text[2] >= '0' && text[2] <= '9';
}

static rb_err
check_common(struct rb_meta *meta, enum rb_meta_role role)
{
    const char *type;
    const char *spec;
    const char *expires;

    FIELD(rb_json_string(meta->body, "_type", 1, 64, &type));
    if (strcmp(type, rb_meta_role_name(role)) != 0) {
        return rb_fail(RB_ERR_META_TYPE, "it is %s metadata, want %s", type, rb_meta_role_name(role));
    }
    FIELD(rb_json_string(meta->body, "spec_version", 1, 64, &spec));
    if (!spec_version_valid(spec)) {
        return rb_fail(RB_ERR_META_FORMAT, "spec_version %s, want 1.x", spec);
    }
    FIELD(rb_json_int(meta->body, "version", 1, RB_META_VERSION_MAX, &meta->version));
    FIELD(rb_json_string(meta->body, "expires", 1, 64, &expires));
    if (rb_time_parse(expires, &meta->expires) != RB_OK) {
        return rb_fail(RB_ERR_META_FORMAT, "expires is not YYYY-MM-DDTHH:MM:SSZ: %s", expires);
    }
    return RB_OK;
}

static rb_err
check_role(const json_t *roles, enum rb_meta_role which)
{
    json_t *role;
    json_t *keyids;
    int64_t threshold;

    FIELD(rb_json_object(roles, rb_meta_role_name(which), &role));
    FIELD(rb_json_int(role, "threshold", 1, RB_META_KEYS_MAX, &threshold));
    FIELD(rb_json_array(role, "keyids", 1, RB_META_KEYS_MAX, &keyids));
    for (size_t i = 0; i < json_array_size(keyids); i++) {
        const char *keyid = json_string_value(json_array_get(keyids, i));
        if (keyid == NULL || keyid[0] == '\0' || strlen(keyid) > KEYID_MAX) {
            return rb_fail(RB_ERR_META_FORMAT, "role %s: a key id is no string of 1 to %u bytes",
                           rb_meta_role_name(which), KEYID_MAX);
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(json_string_value(json_array_get(keyids, k)), keyid) == 0) {
                return rb_fail(RB_ERR_META_FORMAT, "role %s: key id %.16s is listed twice",
                               rb_meta_role_name(which), keyid);
            }
        }
    }
    return RB_OK;
}

static rb_err
check_root(const struct rb_meta *meta)
{
    json_t *keys;
    json_t *roles;
    bool consistent;

    FIELD(rb_json_object(meta->body, "keys", &keys));
    FIELD(rb_json_object(meta->body, "roles", &roles));
    FIELD(rb_json_bool(meta->body, "consistent_snapshot", &consistent));
    if (!consistent) {
        return rb_fail(RB_ERR_META_FORMAT, "only consistent snapshots are supported");
    }
    for (int i = 0; i < RB_META_ROLE_COUNT; i++) {
        RB_TRY(check_role(roles, (enum rb_meta_role)i));
    }
    return RB_OK;
}

/* {"version": N, "length": N (optional), "hashes": {"sha256": HEX} (optional)} */
static rb_err
read_ref(const json_t *entry, struct rb_meta_ref *out)
{
    struct rb_meta_ref ref = {0};
    json_t *hashes;
    int64_t length;

    FIELD(rb_json_int(entry, "version", 1, RB_META_VERSION_MAX, &ref.version));
    if (json_object_get(entry, "length") != NULL) {
        FIELD(rb_json_int(entry, "length", 1, LENGTH_MAX, &length));
        ref.has_length = true;
        ref.length = (uint64_t)length;
    }
    if (json_object_get(entry, "hashes") != NULL) {
        FIELD(rb_json_object(entry, "hashes", &hashes));
        FIELD(rb_json_hex(hashes, "sha256", ref.sha256, sizeof ref.sha256));
        ref.has_sha256 = true;
    }
    *out = ref;
    return RB_OK;
}

rb_err
rb_meta_ref(const struct rb_meta *meta, const char *file, struct rb_meta_ref *out)
{
    const json_t *entry = json_object_get(json_object_get(meta->body, "meta"), file);

    if (!json_is_object(entry)) {
        return rb_fail(RB_ERR_META_FORMAT, "%s is not named", file);
    }
    return read_ref(entry, out);
}

static rb_err
check_meta(const struct rb_meta *meta, const char *must_name)
{
    json_t *files;
    struct rb_meta_ref ref;

    FIELD(rb_json_object(meta->body, "meta", &files));
    for (void *i = json_object_iter(files); i != NULL; i = json_object_iter_next(files, i)) {
        RB_TRY(rb_meta_ref(meta, json_object_iter_key(i), &ref));
    }
    return rb_meta_ref(meta, must_name, &ref);
}

bool
rb_meta_name_valid(const char *name)
{
    size_t segment = 0;
    size_t len = strlen(name);

    if (len == 0 || len > 1024) {
        return false;
    }
    for (size_t i = 0; i <= len; i++) {
        char c = name[i];
        if (c == '/' || c == '\0') {
            const char *start = name + i - segment;
            if (segment == 0 || segment > 255 || strncmp(start, "./", 2) == 0 || strcmp(start, ".") == 0
                || strncmp(start, "../", 3) == 0 || strcmp(start, "..") == 0) {
                return false;
            }
            segment = 0;
        } else if (c <= ' ' || c >= 0x7f || strchr("\\?#%", c) != NULL) {
            return false;
        } else {
            segment++;
        }
    }
    return true;
}

static rb_err
check_target(const char *name, const json_t *target)
{
    uint8_t sha256[RB_SHA256_LEN];
    const json_t *custom = json_object_get(target, "custom");
    json_t *hashes;
    int64_t length;

    if (!rb_meta_name_valid(name)) {
        return rb_fail(RB_ERR_META_FORMAT, "target name not allowed: %.80s", name);
    }
    FIELD(rb_json_int(target, "length", 0, LENGTH_MAX, &length));
    FIELD(rb_json_object(target, "hashes", &hashes));
    FIELD(rb_json_hex(hashes, "sha256", sha256, sizeof sha256));
    if (custom != NULL && !json_is_object(custom)) {
        return rb_fail(RB_ERR_META_FORMAT, "custom of %.80s is not an object", name);
    }
    return RB_OK;
}

static rb_err
check_targets(const struct rb_meta *meta)
{
    json_t *targets;

    FIELD(rb_json_object(meta->body, "targets", &targets));
    for (void *i = json_object_iter(targets); i != NULL; i = json_object_iter_next(targets, i)) {
        RB_TRY(check_target(json_object_iter_key(i), json_object_iter_value(i)));
    }
    return RB_OK;
}

rb_err
rb_meta_check(struct rb_meta *meta, enum rb_meta_role role)
{
    RB_TRY(check_common(meta, role));
    switch (role) {
    case RB_META_ROOT:
        return check_root(meta);
    case RB_META_TIMESTAMP:
        return check_meta(meta, "snapshot.json");
    case RB_META_SNAPSHOT:
        return check_meta(meta, "targets.json");
    case RB_META_TARGETS:
        return check_targets(meta);
    case RB_META_ROLE_COUNT:
    default:
        return RB_ERR_ARG;
    }
}

static bool
has_key(const struct rb_meta *root, enum rb_meta_role role, const json_t *key)
{
    const json_t *keyids = json_object_get(role_of(root, role), "keyids");

    for (size_t i = 0; i < json_array_size(keyids); i++) {
        const char *keyid = json_string_value(json_array_get(keyids, i));
        if (json_equal(json_object_get(json_object_get(root->body, "keys"), keyid), key)) {
            return true;
        }
    }
    return false;
}

bool
rb_meta_key_removed(const struct rb_meta *before, const struct rb_meta *after, enum rb_meta_role role)
{
    const json_t *keyids = json_object_get(role_of(before, role), "keyids");

    for (size_t i = 0; i < json_array_size(keyids); i++) {
        const char *keyid = json_string_value(json_array_get(keyids, i));
        const json_t *key = json_object_get(json_object_get(before->body, "keys"), keyid);
        if (key != NULL && !has_key(after, role, key)) {
            return true;
        }
    }
    return false;
}
