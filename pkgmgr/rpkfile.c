/* SPDX-License-Identifier: Apache-2.0
 *
 * The order of checks: shape of the file, signature, content digest; only then are entries read, and every byte that
 * is read from then on is hashed again and must give the same digest (rpk_zip_walk).
 */
#include "pkgmgr/rpkfile.h"

#include "lib/core/bytes.h"
#include "lib/core/crypto.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CERT_NAME "META-INF/CERT"
#define MANIFEST_NAME "manifest.json"
#define HASH_LIST_NAME "hash.json"
#define CERT_MAX (2u << 20)
#define HASH_LIST_MAX (1u << 20)

/* Certificates whose private keys the toolchains ship: "CN=localhost" of hap-toolkit and aiot-toolkit, and
 * "CN=RPKDebug" of blueos-pack. */
static const uint8_t debug_signers[2][32] = {
    {0x4e, 0x8e, 0x1e, 0xe2, 0x49, 0x68, 0xb0, 0xda, 0xd6, 0xd0, 0x95, 0x6a, 0x7e, 0x14, 0xd8, 0x48,
     0xb3, 0x8b, 0x22, 0xa2, 0x03, 0xf3, 0x9c, 0x38, 0x9a, 0x45, 0xd8, 0x73, 0x7b, 0xdc, 0x45, 0x85},
    {0x6d, 0x3e, 0x6a, 0x3d, 0xcb, 0xda, 0xdb, 0x0a, 0xa9, 0x4f, 0x64, 0xe3, 0x3a, 0x36, 0xb0, 0x12,
     0x54, 0xcb, 0x6e, 0xf7, 0xe1, 0x4b, 0xe2, 0x82, 0xd8, 0x85, 0xcd, 0x95, 0xae, 0xb9, 0x52, 0xe0},
};

bool
rpk_is_debug_signer(const uint8_t certificate_sha256[32])
{
    return rb_equal(certificate_sha256, debug_signers[0], 32) || rb_equal(certificate_sha256, debug_signers[1], 32);
}

const char *
rpk_layer(rb_err err)
{
    switch (err) {
    case RB_ERR_RPK_ZIP:
    case RB_ERR_RPK_NAME:
        return "container";
    case RB_ERR_RPK_UNSIGNED:
    case RB_ERR_RPK_BLOCK:
    case RB_ERR_RPK_ALGORITHM:
    case RB_ERR_RPK_SIGNATURE:
        return "signature";
    case RB_ERR_RPK_DIGEST:
        return "content";
    case RB_ERR_RPK_HASHLIST:
    case RB_ERR_RPK_ENTRY:
        return "entries";
    case RB_ERR_RPK_MANIFEST:
        return "manifest";
    case RB_ERR_RPK_DEBUG_KEY:
        return "signer";
    default:
        return "file";
    }
}

/* ---- one walk: hash every entry, keep the two that are parsed ---- */

struct kept {
    const char *name;
    size_t max;
    uint8_t *data;
    size_t len;
};

struct reading {
    struct kept *kept; /* entries to keep, ends with a NULL name */
    struct kept *now;  /* the one being read, or NULL */
    struct rb_sha256 sha;
};

static rb_err
reading_begin(void *ctx, struct rpk_entry *entry)
{
    struct reading *r = ctx;

    r->now = NULL;
    for (struct kept *k = r->kept; k->name != NULL; k++) {
        if (!entry->directory && strcmp(k->name, entry->name) == 0) {
            r->now = k;
        }
    }
    if (r->now != NULL && entry->len > r->now->max) {
        return rb_fail(RB_ERR_RPK_ENTRY, "\"%s\": larger than %zu bytes", entry->name, r->now->max);
    }
    if (r->now != NULL) {
        r->now->data = rb_alloc(entry->len);
    }
    rb_sha256_start(&r->sha);
    return RB_OK;
}

static rb_err
reading_data(void *ctx, const void *data, size_t len)
{
    struct reading *r = ctx;

    rb_sha256_update(&r->sha, data, len);
    if (r->now != NULL) { /* the walk gives no more than the declared length */
        rb_copy(r->now->data + r->now->len, data, len);
        r->now->len += len;
    }
    return RB_OK;
}

static rb_err
reading_end(void *ctx, struct rpk_entry *entry)
{
    struct reading *r = ctx;

    rb_sha256_finish(&r->sha, entry->sha256);
    return RB_OK;
}

static rb_err
read_kept(const struct rpk_zip *zip, const struct rpk_signed *signature, struct kept *kept)
{
    struct reading r = {.kept = kept};
    const struct rpk_visitor visitor = {reading_begin, reading_data, reading_end, &r};

    return rpk_zip_walk(zip, signature, &visitor);
}

/* ---- META-INF/CERT: a small package of one file, hash.json ---- */

static rb_err
hash_list_wrong(const char *name, const char *why)
{
    return rb_fail(RB_ERR_RPK_HASHLIST, "\"%s\": %s", name, why);
}

/* Every file but META-INF/CERT is listed with its hash, and nothing else is. */
static rb_err
check_digests(const struct rpk_zip *zip, const json_t *digests)
{
    size_t files = 0;

    for (unsigned i = 0; i < zip->count; i++) {
        const struct rpk_entry *e = &zip->entries[i];
        uint8_t listed[32];
        if (e->directory || strcmp(e->name, CERT_NAME) == 0) {
            continue;
        }
        const char *hex = json_string_value(json_object_get(digests, e->name));
        if (hex == NULL) {
            return hash_list_wrong(e->name, "not in hash.json");
        }
        if (rb_unhex(hex, listed, sizeof listed) != RB_OK || !rb_equal(listed, e->sha256, sizeof listed)) {
            return hash_list_wrong(e->name, "differs from hash.json");
        }
        files++;
    }
    return files == json_object_size(digests) ? RB_OK : rb_fail(RB_ERR_RPK_HASHLIST, "names a file that is not there");
}

static rb_err
check_hash_list(const struct rpk_zip *zip, const struct kept *list)
{
    json_t *json = NULL;

    if (rb_json_parse(list->data, list->len, &json) != RB_OK) {
        return RB_ERR_RPK_HASHLIST;
    }
    const char *algorithm = json_string_value(json_object_get(json, "algorithm"));
    const json_t *digests = json_object_get(json, "digests");
    rb_err err = algorithm == NULL || strcmp(algorithm, "SHA-256") != 0 || !json_is_object(digests)
                     ? hash_list_wrong(HASH_LIST_NAME, "not a list of SHA-256")
                     : check_digests(zip, digests);
    json_decref(json);
    return err;
}

static rb_err
check_inner(const struct rpk_file *file, const struct rpk_container *inner)
{
    struct kept kept[] = {{.name = HASH_LIST_NAME, .max = HASH_LIST_MAX}, {.name = NULL}};
    struct rpk_signed signature;
    struct rpk_zip zip;

    RB_TRY(rpk_signature_verify(inner, &signature));
    if (!rb_equal(signature.signer, file->signature.signer, sizeof signature.signer)) {
        return rb_fail(RB_ERR_RPK_HASHLIST, "META-INF/CERT is signed by another key");
    }
    RB_TRY(rpk_zip_open(inner, HASH_LIST_MAX, true, &zip));
    rb_err err = read_kept(&zip, &signature, kept);
    if (err == RB_OK) {
        err = zip.count == 1 && kept[0].data != NULL ? check_hash_list(&file->zip, &kept[0])
                                                     : hash_list_wrong(CERT_NAME, "not one hash.json");
    }
    free(kept[0].data);
    rpk_zip_free(&zip);
    return err;
}

static rb_err
check_cert(struct rpk_file *file, const struct kept *cert)
{
    const struct rpk_source source = {.fd = -1, .memory = cert->data, .len = cert->len};
    struct rpk_container inner;

    if (rpk_container_open(&source, false, &inner) != RB_OK) {
        return RB_ERR_RPK_HASHLIST;
    }
    rb_err err = check_inner(file, &inner);
    rpk_container_free(&inner);
    file->has_hash_list = err == RB_OK;
    return err == RB_OK || rb_err_class_of(err) == RB_CLASS_DEVICE ? err : RB_ERR_RPK_HASHLIST;
}

/* ---- the package ---- */

static const struct rpk_entry *
find_entry(const struct rpk_zip *zip, const char *name)
{
    for (unsigned i = 0; i < zip->count; i++) {
        if (!zip->entries[i].directory && strcmp(zip->entries[i].name, name) == 0) {
            return &zip->entries[i];
        }
    }
    return NULL;
}

static rb_err
native_names(const struct rpk_file *file, const char *field, const char *path)
{
    return find_entry(&file->zip, path) != NULL
               ? RB_OK
               : rb_fail(RB_ERR_RPK_MANIFEST, "native: %s: \"%s\" is not in the package", field, path);
}

/* What the native part names must be there. */
static rb_err
check_native(const struct rpk_file *file)
{
    const struct rpk_native *n = &file->manifest.native;

    for (unsigned i = 0; i < n->mode_count; i++) {
        RB_TRY(native_names(file, "modes", n->modes[i].path));
    }
    for (unsigned i = 0; i < n->service_count; i++) {
        RB_TRY(native_names(file, "services", n->services[i].exec.at[0]));
    }
    for (unsigned i = 0; i < n->hook_count; i++) {
        RB_TRY(native_names(file, "hooks", n->hooks[i].path));
    }
    return RB_OK;
}

static rb_err
check_manifest(struct rpk_file *file, const struct kept *manifest)
{
    char *vru;

    if (manifest->data == NULL) {
        return rb_fail(RB_ERR_RPK_MANIFEST, "no manifest.json");
    }
    RB_TRY(rpk_manifest_parse(manifest->data, manifest->len, &file->manifest));
    rb_sha256(manifest->data, manifest->len, file->manifest_sha256);
    vru = rb_text("%s.vru", file->manifest.package);
    file->union_file = find_entry(&file->zip, vru) != NULL;
    free(vru);
    return check_native(file);
}

static rb_err
check_contents(struct rpk_file *file)
{
    struct kept kept[] = {
        {.name = MANIFEST_NAME, .max = RPK_MANIFEST_MAX}, {.name = CERT_NAME, .max = CERT_MAX}, {.name = NULL}};
    rb_err err = read_kept(&file->zip, &file->signature, kept);

    if (err == RB_OK && kept[1].data != NULL) {
        err = check_cert(file, &kept[1]);
    }
    if (err == RB_OK) {
        err = check_manifest(file, &kept[0]);
    }
    free(kept[0].data);
    free(kept[1].data);
    return err;
}

static rb_err
verify(struct rpk_file *file, int fd, unsigned flags)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return rb_fail_errno("fstat");
    }
    if (!S_ISREG(st.st_mode)) {
        return rb_fail(RB_ERR_RPK_ZIP, "not a regular file");
    }
    file->len = (uint64_t)st.st_size;
    const struct rpk_source source = {.fd = fd, .memory = NULL, .len = file->len};
    RB_TRY(rpk_container_open(&source, false, &file->container));
    RB_TRY(rpk_signature_verify(&file->container, &file->signature));
    file->debug_key = rpk_is_debug_signer(file->signature.signer);
    if (file->debug_key && (flags & RPK_OPEN_DEBUG_KEY) == 0) {
        return rb_fail(RB_ERR_RPK_DEBUG_KEY, "anyone can sign with this key; only developer mode accepts it");
    }
    RB_TRY(rpk_zip_open(&file->container, RPK_UNPACKED_MAX, false, &file->zip));
    return check_contents(file);
}

rb_err
rpk_file_open(int fd, unsigned flags, struct rpk_file **out)
{
    struct rpk_file *file = rb_alloc(sizeof *file);

    file->fd = -1;
    rb_err err = verify(file, fd, flags);
    if (err != RB_OK) {
        rpk_file_close(file);
        return err;
    }
    file->fd = fd;
    *out = file;
    return RB_OK;
}

rb_err
rpk_file_open_path(const char *path, unsigned flags, struct rpk_file **out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not stop us */

    if (fd < 0) {
        return rb_fail_errno("%s", path);
    }
    rb_err err = rpk_file_open(fd, flags, out);
    if (err != RB_OK) {
        (void)close(fd);
    }
    return err;
}

void
rpk_file_close(struct rpk_file *file)
{
    if (file == NULL) {
        return;
    }
    rpk_manifest_free(&file->manifest);
    rpk_zip_free(&file->zip);
    rpk_container_free(&file->container);
    if (file->fd >= 0) {
        (void)close(file->fd);
    }
    free(file);
}

rb_err
rpk_file_walk(const struct rpk_file *file, const struct rpk_visitor *visitor)
{
    return rpk_zip_walk(&file->zip, &file->signature, visitor);
}
