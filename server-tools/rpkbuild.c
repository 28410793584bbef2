/* SPDX-License-Identifier: Apache-2.0
 *
 * A package is made in memory: it is small, and what is signed is then what is written.
 *
 *   1  hash.json over all files, zipped alone and signed: META-INF/CERT
 *   2  META-INF/CERT and the files, zipped
 *   3  signed, with a file list of META-INF/CERT and all files
 */
#include "server-tools/rpkbuild.h"

#include "lib/core/bytes.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/host/json.h"
#include "lib/tuf/time.h"

#include <dirent.h>
#include <mbedtls/x509_crt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#define ZLIB_CONST
#include <zlib.h>

#define FILE_MAX (64u << 20)
#define PACKAGE_MAX (256u << 20)
#define CERT_NAME "META-INF/CERT"
#define BUILD_NAME "META-INF/build.txt"
#define VERSION_NEEDED 10u
#define VERSION_MADE_BY 20u
#define DIRECTORY_ATTRIBUTE 0x10u
#define EXTRA_UNICODE_PATH 0x7075u
#define FLAG_UTF8 0x0800u

/* ---- bytes ---- */

void
forge_bytes_add(struct forge_bytes *b, const void *data, size_t len)
{
    if (len > b->room - b->len) {
        b->room = (b->len + len) * 2 + 256;
        b->data = rb_realloc(b->data, b->room);
    }
    rb_copy(b->data + b->len, data, len);
    b->len += len;
}

static void
add_number(struct forge_bytes *b, uint64_t v, unsigned len)
{
    uint8_t raw[8];
    struct rb_writer w = rb_writer_of(raw, sizeof raw);

    rb_write_u64(&w, v);
    forge_bytes_add(b, raw, len);
}

static void
add_u16(struct forge_bytes *b, uint32_t v)
{
    add_number(b, v, 2);
}

static void
add_u32(struct forge_bytes *b, uint64_t v)
{
    add_number(b, v, 4);
}

/* u32 length, then the bytes. */
static void
add_prefixed(struct forge_bytes *b, const void *data, size_t len)
{
    add_u32(b, len);
    forge_bytes_add(b, data, len);
}

static void
bytes_free(struct forge_bytes *b)
{
    free(b->data);
    *b = (struct forge_bytes){NULL, 0, 0};
}

/* ---- signer ---- */

static rb_err
read_certificate(const char *path, struct forge_rpk_signer *signer)
{
    mbedtls_x509_crt crt;
    uint8_t *text = NULL;
    size_t len = 0;

    RB_TRY(rb_file_read(path, 65536, &text, &len));
    mbedtls_x509_crt_init(&crt);
    rb_err err = mbedtls_x509_crt_parse(&crt, text, len + 1) == 0
                     ? RB_OK
                     : rb_fail(RB_ERR_KEY_FORMAT, "%s: not a PEM certificate", path);
    if (err == RB_OK) {
        signer->certificate_len = crt.raw.len;
        signer->certificate = rb_alloc(crt.raw.len);
        rb_copy(signer->certificate, crt.raw.p, crt.raw.len);
        signer->public_key_len = crt.pk_raw.len;
        signer->public_key = rb_alloc(crt.pk_raw.len);
        rb_copy(signer->public_key, crt.pk_raw.p, crt.pk_raw.len);
    }
    mbedtls_x509_crt_free(&crt);
    free(text);
    return err;
}

static rb_err
check_pair(const struct forge_rpk_signer *signer, const char *certificate)
{
    uint8_t *der = NULL;
    size_t len = 0;

    if (forge_key_type(signer->key) != FORGE_KEY_RSA) {
        return rb_fail(RB_ERR_KEY_FORMAT, "packages are signed with RSA keys");
    }
    RB_TRY(forge_key_public_der(signer->key, &der, &len));
    bool same = len == signer->public_key_len && rb_equal(der, signer->public_key, len);
    free(der);
    return same ? RB_OK : rb_fail(RB_ERR_KEY_FORMAT, "%s is the certificate of another key", certificate);
}

rb_err
forge_rpk_signer_open(const char *key, const char *certificate, struct forge_rpk_signer *out)
{
    struct forge_rpk_signer signer = {.key = NULL};
    rb_err err = forge_key_open(key, &signer.key);

    if (err == RB_OK) {
        err = read_certificate(certificate, &signer);
    }
    if (err == RB_OK) {
        err = check_pair(&signer, certificate);
    }
    if (err != RB_OK) {
        forge_rpk_signer_close(&signer);
        return err;
    }
    *out = signer;
    return RB_OK;
}

void
forge_rpk_signer_close(struct forge_rpk_signer *signer)
{
    if (signer->key != NULL) {
        forge_key_free(signer->key);
    }
    free(signer->certificate);
    free(signer->public_key);
    *signer = (struct forge_rpk_signer){.key = NULL};
}

/* ---- files ---- */

void
forge_rpk_files_free(struct forge_rpk_files *files)
{
    for (unsigned i = 0; i < files->count; i++) {
        free(files->at[i].name);
        free(files->at[i].data);
    }
    free(files->at);
    *files = (struct forge_rpk_files){NULL, 0};
}

static struct forge_rpk_file *
add_file(struct forge_rpk_files *files, const char *name, uint8_t *data, size_t len, uint32_t dos_time)
{
    files->at = rb_realloc(files->at, (files->count + 1) * sizeof *files->at);
    struct forge_rpk_file *f = &files->at[files->count++];
    *f = (struct forge_rpk_file){rb_text("%s", name), data, len, dos_time};
    return f;
}

static const struct forge_rpk_file *
find_file(const struct forge_rpk_files *files, const char *name)
{
    for (unsigned i = 0; i < files->count; i++) {
        if (strcmp(files->at[i].name, name) == 0) {
            return &files->at[i];
        }
    }
    return NULL;
}

uint32_t
forge_dos_time(int64_t seconds)
{
    static const int64_t first = 315532800;  /* 1980-01-01 */
    static const int64_t last = 4354819198; /* 2107-12-31T23:59:58 */
    time_t t = (time_t)(seconds < first ? first : seconds > last ? last : seconds);
    struct tm tm;

    (void)gmtime_r(&t, &tm);
    uint32_t clock = (uint32_t)tm.tm_hour << 11 | (uint32_t)tm.tm_min << 5 | (uint32_t)tm.tm_sec / 2;
    uint32_t date = (uint32_t)(tm.tm_year - 80) << 9 | (uint32_t)(tm.tm_mon + 1) << 5 | (uint32_t)tm.tm_mday;
    return clock | date << 16;
}

/* ---- zip ---- */

static bool
is_ascii(const char *name)
{
    for (; *name != '\0'; name++) {
        if ((unsigned char)*name >= 0x80) {
            return false;
        }
    }
    return true;
}

/* The fields that local and central header share, then (after what only the central one has) name and extra. */
struct zip_entry {
    const char *name;
    size_t name_len;
    uint32_t crc;
    uint32_t packed_len;
    uint32_t len;
    uint32_t dos_time;
    uint32_t attributes;
    uint32_t offset;
    bool ascii;
};

static void
add_common(struct forge_bytes *b, const struct zip_entry *e)
{
    add_u16(b, VERSION_NEEDED);
    add_u16(b, e->ascii ? 0 : FLAG_UTF8);
    add_u16(b, e->len > 0 ? 8 : 0);
    add_u32(b, e->dos_time);
    add_u32(b, e->crc);
    add_u32(b, e->packed_len);
    add_u32(b, e->len);
    add_u16(b, (uint32_t)e->name_len);
    add_u16(b, e->ascii ? 0 : (uint32_t)e->name_len + 9);
}

static void
add_name(struct forge_bytes *b, const struct zip_entry *e)
{
    forge_bytes_add(b, e->name, e->name_len);
    if (!e->ascii) {
        add_u16(b, EXTRA_UNICODE_PATH);
        add_u16(b, (uint32_t)e->name_len + 5);
        add_number(b, 1, 1);
        add_u32(b, rb_crc32(0, e->name, e->name_len));
        forge_bytes_add(b, e->name, e->name_len);
    }
}

static void
add_central(struct forge_bytes *b, const struct zip_entry *e)
{
    forge_bytes_add(b, "PK\1\2", 4);
    add_u16(b, VERSION_MADE_BY);
    add_common(b, e);
    add_u16(b, 0); /* comment */
    add_u16(b, 0); /* disk */
    add_u16(b, 0); /* internal attributes */
    add_u32(b, e->attributes);
    add_u32(b, e->offset);
    add_name(b, e);
}

/* Raw deflate, level 9, as JSZip's pako and stock zlib both write it. */
static rb_err
deflate_all(const uint8_t *data, size_t len, struct forge_bytes *out)
{
    z_stream z = {0};

    if (deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        return rb_fail(RB_ERR_NO_MEMORY, "zlib");
    }
    out->room = deflateBound(&z, (uLong)len);
    out->data = rb_alloc(out->room);
    z.next_in = data;
    z.avail_in = (uInt)len;
    z.next_out = out->data;
    z.avail_out = (uInt)out->room;
    int status = deflate(&z, Z_FINISH);
    out->len = z.total_out;
    (void)deflateEnd(&z);
    return status == Z_STREAM_END ? RB_OK : rb_fail(RB_ERR_INTERNAL, "zlib");
}

struct zip_writer {
    struct forge_bytes entries;
    struct forge_bytes central;
    unsigned count;
};

static rb_err
write_entry(struct zip_writer *w, const char *name, size_t name_len, const struct forge_rpk_file *f)
{
    struct forge_bytes packed = {NULL, 0, 0};
    bool directory = name[name_len - 1] == '/';
    struct zip_entry e = {.name = name,
                          .name_len = name_len,
                          .dos_time = f->dos_time,
                          .attributes = directory ? DIRECTORY_ATTRIBUTE : 0,
                          .offset = (uint32_t)w->entries.len};

    if (!directory && f->len > 0) {
        RB_TRY(deflate_all(f->data, f->len, &packed));
        e.len = (uint32_t)f->len;
        e.packed_len = (uint32_t)packed.len;
        e.crc = rb_crc32(0, f->data, f->len);
    }
    e.ascii = is_ascii(name);
    forge_bytes_add(&w->entries, "PK\3\4", 4);
    add_common(&w->entries, &e);
    add_name(&w->entries, &e);
    forge_bytes_add(&w->entries, packed.data, packed.len);
    add_central(&w->central, &e);
    w->count++;
    bytes_free(&packed);
    return w->entries.len <= PACKAGE_MAX && w->count <= RPK_ENTRIES_MAX
               ? RB_OK
               : rb_fail(RB_ERR_TOO_LARGE, "more than %u entries or %u bytes", RPK_ENTRIES_MAX, PACKAGE_MAX);
}

/* Whether an earlier file lies in the directory that is the first `len` bytes of `name`. */
static bool
directory_seen(const struct forge_rpk_files *files, unsigned before, const char *name, size_t len)
{
    for (unsigned i = 0; i < before; i++) {
        if (strncmp(files->at[i].name, name, len) == 0) {
            return true;
        }
    }
    return false;
}

static rb_err
write_file(struct zip_writer *w, const struct forge_rpk_files *files, unsigned index)
{
    const struct forge_rpk_file *f = &files->at[index];

    for (const char *slash = strchr(f->name, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        size_t len = (size_t)(slash - f->name) + 1;
        if (!directory_seen(files, index, f->name, len)) {
            char *directory = rb_text("%.*s", (int)len, f->name);
            rb_err err = write_entry(w, directory, len, f);
            free(directory);
            RB_TRY(err);
        }
    }
    return write_entry(w, f->name, strlen(f->name), f);
}

static void
write_end(struct zip_writer *w, const char *comment)
{
    size_t offset = w->entries.len;
    size_t len = comment != NULL ? strlen(comment) : 0;

    forge_bytes_add(&w->entries, w->central.data, w->central.len);
    forge_bytes_add(&w->entries, "PK\5\6\0\0\0\0", 8);
    add_u16(&w->entries, w->count);
    add_u16(&w->entries, w->count);
    add_u32(&w->entries, w->central.len);
    add_u32(&w->entries, offset);
    add_u16(&w->entries, (uint32_t)len);
    forge_bytes_add(&w->entries, comment, len);
}

rb_err
forge_rpk_zip(const struct forge_rpk_files *files, const char *comment, struct forge_bytes *out)
{
    struct zip_writer w = {0};
    rb_err err = RB_OK;

    for (unsigned i = 0; err == RB_OK && i < files->count; i++) {
        err = write_file(&w, files, i);
    }
    if (err == RB_OK) {
        write_end(&w, comment);
        *out = w.entries;
    } else {
        bytes_free(&w.entries);
    }
    bytes_free(&w.central);
    return err;
}

/* ---- signing block ---- */

static rb_err
sign(const struct forge_rpk_signer *signer, const struct forge_bytes *what, struct forge_bytes *record)
{
    uint8_t digest[RB_SHA256_LEN];
    uint8_t signature[512];
    size_t len = 0;

    rb_sha256(what->data, what->len, digest);
    RB_TRY(forge_key_sign_rsa(signer->key, digest, signature, &len));
    add_u32(record, len + 8);
    add_u32(record, RPK_RSA_SHA256);
    add_prefixed(record, signature, len);
    return RB_OK;
}

static void
signed_data(const struct forge_rpk_signer *signer, const uint8_t digest[32], struct forge_bytes *out)
{
    add_u32(out, 4 + 4 + 4 + 32);
    add_u32(out, 4 + 4 + 32);
    add_u32(out, RPK_RSA_SHA256);
    add_prefixed(out, digest, 32);
    add_u32(out, 4 + signer->certificate_len);
    add_prefixed(out, signer->certificate, signer->certificate_len);
    add_u32(out, 0); /* attributes */
}

/* Value of the pair 0x01000101. */
static rb_err
signature_value(const struct forge_rpk_signer *signer, const uint8_t digest[32], struct forge_bytes *out)
{
    struct forge_bytes data = {NULL, 0, 0};
    struct forge_bytes record = {NULL, 0, 0};

    signed_data(signer, digest, &data);
    rb_err err = sign(signer, &data, &record);
    if (err == RB_OK) {
        size_t len = 4 + data.len + 4 + record.len + 4 + signer->public_key_len;
        add_u32(out, 4 + len);
        add_u32(out, len);
        add_prefixed(out, data.data, data.len);
        add_prefixed(out, record.data, record.len);
        add_prefixed(out, signer->public_key, signer->public_key_len);
    }
    bytes_free(&record);
    bytes_free(&data);
    return err;
}

/* Value of the pair 0x01000201. */
static rb_err
list_value(const struct forge_rpk_signer *signer, const struct forge_rpk_listed *listed, unsigned count,
           struct forge_bytes *out)
{
    struct forge_bytes list = {NULL, 0, 0};
    struct forge_bytes record = {NULL, 0, 0};

    add_u32(&list, RPK_RSA_SHA256);
    for (unsigned i = 0; i < count; i++) {
        add_u32(&list, rb_crc32(0, listed[i].name, strlen(listed[i].name)));
        add_u16(&list, 32);
        forge_bytes_add(&list, listed[i].sha256, 32);
    }
    rb_err err = sign(signer, &list, &record);
    if (err == RB_OK) {
        add_u32(out, 4 + list.len + record.len);
        add_prefixed(out, list.data, list.len);
        forge_bytes_add(out, record.data, record.len);
    }
    bytes_free(&record);
    bytes_free(&list);
    return err;
}

static void
add_pair(struct forge_bytes *pairs, uint32_t id, const struct forge_bytes *value)
{
    add_number(pairs, value->len + 4, 8);
    add_u32(pairs, id);
    forge_bytes_add(pairs, value->data, value->len);
}

static rb_err
make_pairs(const struct rpk_container *c, const struct forge_rpk_listed *listed, unsigned count,
           const struct forge_rpk_signer *signer, struct forge_bytes *pairs)
{
    struct forge_bytes signature = {NULL, 0, 0};
    struct forge_bytes list = {NULL, 0, 0};
    uint8_t digest[64];
    uint8_t entries[64];
    rb_err err = rpk_content_digest(c, RPK_RSA_SHA256, UINT32_MAX, digest, entries);

    if (err == RB_OK) {
        err = signature_value(signer, digest, &signature);
    }
    if (err == RB_OK) {
        err = list_value(signer, listed, count, &list);
    }
    if (err == RB_OK) {
        add_pair(pairs, RPK_ID_WHOLE, &signature);
        add_pair(pairs, RPK_ID_FILES, &list);
    }
    bytes_free(&list);
    bytes_free(&signature);
    return err;
}

static void
put_block(const struct rpk_container *c, const struct forge_bytes *pairs, struct forge_bytes *out)
{
    const uint8_t *end = c->tail + c->directory_len;
    uint64_t size = pairs->len + 24;

    forge_bytes_add(out, c->source.memory, c->entries_end);
    add_number(out, size, 8);
    forge_bytes_add(out, pairs->data, pairs->len);
    add_number(out, size, 8);
    forge_bytes_add(out, RPK_BLOCK_MAGIC, 16);
    forge_bytes_add(out, c->tail, c->directory_len);
    forge_bytes_add(out, end, 16);
    add_u32(out, c->entries_end + size + 8);
    forge_bytes_add(out, end + 20, c->end_len - 20);
}

rb_err
forge_rpk_sign_zip(const struct forge_bytes *zip, const struct forge_rpk_listed *listed, unsigned count,
                   const struct forge_rpk_signer *signer, struct forge_bytes *out)
{
    const struct rpk_source source = {.fd = -1, .memory = zip->data, .len = zip->len};
    struct forge_bytes pairs = {NULL, 0, 0};
    struct rpk_container c;

    RB_TRY(rpk_container_open(&source, true, &c));
    rb_err err = c.pairs == NULL ? make_pairs(&c, listed, count, signer, &pairs)
                                 : rb_fail(RB_ERR_ARG, "is signed already");
    if (err == RB_OK) {
        put_block(&c, &pairs, out);
    }
    bytes_free(&pairs);
    rpk_container_free(&c);
    return err;
}

/* ---- META-INF/CERT ---- */

static char *
hash_json(const struct forge_rpk_files *files)
{
    json_t *digests = json_object();
    json_t *json = json_pack("{s:s, s:o}", "algorithm", "SHA-256", "digests", digests);

    for (unsigned i = 0; i < files->count; i++) {
        uint8_t sha[RB_SHA256_LEN];
        char hex[65];
        rb_sha256(files->at[i].data, files->at[i].len, sha);
        rb_hex(sha, sizeof sha, hex);
        (void)json_object_set_new(digests, files->at[i].name, json_string(hex));
    }
    char *text = json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(json);
    return text;
}

static rb_err
make_cert(const struct forge_rpk_files *files, uint32_t dos_time, const struct forge_rpk_signer *signer,
          struct forge_bytes *out)
{
    char *text = hash_json(files);
    struct forge_rpk_listed listed = {.name = "hash.json"};
    struct forge_rpk_files one = {NULL, 0};
    struct forge_bytes zip = {NULL, 0, 0};

    if (text == NULL) {
        return rb_fail(RB_ERR_RPK_NAME, "file names are not UTF-8");
    }
    (void)add_file(&one, "hash.json", (uint8_t *)text, strlen(text), dos_time);
    rb_err err = forge_rpk_zip(&one, NULL, &zip);
    if (err == RB_OK) {
        rb_sha256(zip.data, zip.len, listed.sha256);
        err = forge_rpk_sign_zip(&zip, &listed, 1, signer, out);
    }
    bytes_free(&zip);
    forge_rpk_files_free(&one);
    return err;
}

/* ---- package ---- */

static rb_err
zip_and_sign(const struct forge_rpk_files *files, const char *comment, const struct forge_rpk_signer *signer,
             struct forge_bytes *out)
{
    struct forge_rpk_listed *listed = rb_alloc(files->count * sizeof *listed);
    struct forge_bytes zip = {NULL, 0, 0};
    rb_err err = forge_rpk_zip(files, comment, &zip);

    for (unsigned i = 0; i < files->count; i++) {
        listed[i].name = files->at[i].name;
        rb_sha256(files->at[i].data, files->at[i].len, listed[i].sha256);
    }
    if (err == RB_OK) {
        err = forge_rpk_sign_zip(&zip, listed, files->count, signer, out);
    }
    bytes_free(&zip);
    free(listed);
    return err;
}

rb_err
forge_rpk_make(const struct forge_rpk_files *files, const char *comment, bool with_cert, uint32_t cert_time,
               const struct forge_rpk_signer *signer, struct forge_bytes *out)
{
    struct forge_bytes cert = {NULL, 0, 0};

    if (!with_cert) {
        return zip_and_sign(files, comment, signer, out);
    }
    RB_TRY(make_cert(files, cert_time, signer, &cert));
    struct forge_rpk_files all = {.at = rb_alloc((files->count + 1) * sizeof *all.at), .count = files->count + 1};
    all.at[0] = (struct forge_rpk_file){rb_text("%s", CERT_NAME), cert.data, cert.len, cert_time};
    memcpy(all.at + 1, files->at, files->count * sizeof *all.at);
    rb_err err = zip_and_sign(&all, comment, signer, out);
    free(all.at[0].name);
    free(all.at);
    bytes_free(&cert);
    return err;
}

/* What is handed out was accepted by the code that runs on devices. */
static rb_err
verify_made(const struct forge_bytes *made)
{
    struct rpk_file *file = NULL;
    int fd = memfd_create("package", MFD_CLOEXEC);

    if (fd < 0) {
        return rb_fail_errno("memfd");
    }
    rb_err err = rb_write_all(fd, made->data, made->len);
    if (err == RB_OK) {
        err = rpk_file_open(fd, RPK_OPEN_DEBUG_KEY, &file);
    }
    if (err != RB_OK) {
        (void)close(fd);
    }
    rpk_file_close(file);
    return err;
}

/* ---- from a tree ---- */

static rb_err
read_tree(const char *top, const char *below, uint32_t dos_time, struct forge_rpk_files *files);

static rb_err
read_one(const char *top, const char *name, uint32_t dos_time, struct forge_rpk_files *files)
{
    char *path = rb_text("%s/%s", top, name);
    struct stat st;
    uint8_t *data = NULL;
    size_t len = 0;
    rb_err err = lstat(path, &st) == 0 ? RB_OK : rb_fail_errno("%s", path);

    if (err == RB_OK && S_ISDIR(st.st_mode)) {
        err = read_tree(top, name, dos_time, files);
    } else if (err == RB_OK && !S_ISREG(st.st_mode)) {
        err = rb_fail(RB_ERR_ARG, "%s: neither a file nor a directory", path);
    } else if (err == RB_OK && (err = rb_file_read(path, FILE_MAX, &data, &len)) == RB_OK) {
        (void)add_file(files, name, data, len, dos_time);
    }
    free(path);
    return err;
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static rb_err
read_tree(const char *top, const char *below, uint32_t dos_time, struct forge_rpk_files *files)
{
    char *path = rb_text("%s%s%s", top, below[0] != '\0' ? "/" : "", below);
    struct dirent **names = NULL;
    int count = scandir(path, &names, NULL, by_name);
    rb_err err = count >= 0 ? RB_OK : rb_fail_errno("%s", path);

    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;
        if (err == RB_OK && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            char *inner = rb_text("%s%s%s", below, below[0] != '\0' ? "/" : "", name);
            err = rpk_name_check(inner, strlen(inner));
            if (err == RB_OK) {
                err = read_one(top, inner, dos_time, files);
            }
            free(inner);
        }
        free(names[i]);
    }
    free(names);
    free(path);
    return err;
}

static bool
starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool
ends(const char *text, const char *with)
{
    size_t len = strlen(text);

    return len >= strlen(with) && strcmp(text + len - strlen(with), with) == 0;
}

/* What a device that installs while it receives wants first. */
static int
rank_of(const char *name, const char *entry_page)
{
    if (starts(name, "i18n/") && ends(name, ".json")) {
        return 0;
    }
    if (starts(name, "manifest-") && ends(name, ".json")) {
        return 1;
    }
    static const char *const first[] = {"manifest.json", "app.js", "page-chunks.json"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, first[i]) == 0) {
            return 2 + i;
        }
    }
    if (entry_page != NULL && starts(name, entry_page) && name[strlen(entry_page)] == '/') {
        return 5;
    }
    return strcmp(name, "skeleton/config.json") == 0 ? 6 : starts(name, "common/") ? 7 : 8;
}

/* Stable: within a rank the order of the sorted walk stays. */
static void
order_files(struct forge_rpk_files *files, const char *entry_page)
{
    struct forge_rpk_file *sorted = rb_alloc(files->count * sizeof *sorted);
    unsigned count = 0;

    for (int rank = 0; rank <= 8; rank++) {
        for (unsigned i = 0; i < files->count; i++) {
            if (rank_of(files->at[i].name, entry_page) == rank) {
                sorted[count++] = files->at[i];
            }
        }
    }
    free(files->at);
    files->at = sorted;
}

static rb_err
order_by_manifest(struct forge_rpk_files *files)
{
    const struct forge_rpk_file *manifest = find_file(files, "manifest.json");
    struct rpk_manifest parsed;
    json_t *json = NULL;

    if (manifest == NULL) {
        return rb_fail(RB_ERR_RPK_MANIFEST, "no manifest.json");
    }
    RB_TRY(rpk_manifest_parse(manifest->data, manifest->len, &parsed));
    rpk_manifest_free(&parsed);
    RB_TRY(rb_json_parse(manifest->data, manifest->len, &json));
    order_files(files, json_string_value(json_object_get(json_object_get(json, "router"), "entry")));
    json_decref(json);
    return RB_OK;
}

static rb_err
build(struct forge_rpk_files *files, const char *dir, const struct forge_rpk_signer *signer, int64_t now,
      struct forge_bytes *out)
{
    uint32_t dos_time = forge_dos_time(now);
    char when[RB_TIME_TEXT_LEN + 1];

    RB_TRY(read_tree(dir, "", dos_time, files));
    for (unsigned i = 0; i < files->count; i++) {
        if (strncasecmp(files->at[i].name, "META-INF/", 9) == 0) {
            return rb_fail(RB_ERR_ARG, "%s/%s: META-INF is made here", dir, files->at[i].name);
        }
    }
    RB_TRY(order_by_manifest(files));
    rb_time_format(now, when);
    char *info = rb_text("originType=otaforge\ntoolkit=" RB_VERSION "\ntimeStamp=%s", when);
    (void)add_file(files, BUILD_NAME, (uint8_t *)info, strlen(info), dos_time);
    char *comment = rb_text("{\"originType\":\"otaforge\",\"toolkit\":\"" RB_VERSION "\",\"timeStamp\":\"%s\"}", when);
    rb_err err = forge_rpk_make(files, comment, true, dos_time, signer, out);
    free(comment);
    return err == RB_OK ? verify_made(out) : err;
}

rb_err
forge_rpk_build(const char *dir, const struct forge_rpk_signer *signer, int64_t now, struct forge_bytes *out)
{
    struct forge_rpk_files files = {NULL, 0};
    struct forge_bytes made = {NULL, 0, 0};
    rb_err err = build(&files, dir, signer, now, &made);

    forge_rpk_files_free(&files);
    if (err != RB_OK) {
        bytes_free(&made);
        return err;
    }
    *out = made;
    return RB_OK;
}

/* ---- again ---- */

static rb_err
take_begin(void *ctx, struct rpk_entry *entry)
{
    if (!entry->directory) {
        (void)add_file(ctx, entry->name, rb_alloc(entry->len), 0, entry->dos_time);
    }
    return RB_OK;
}

static rb_err
take_data(void *ctx, const void *data, size_t len)
{
    struct forge_rpk_files *files = ctx;
    struct forge_rpk_file *f = &files->at[files->count - 1];

    rb_copy(f->data + f->len, data, len);
    f->len += len;
    return RB_OK;
}

static rb_err
take_end(void *ctx, struct rpk_entry *entry)
{
    (void)ctx;
    (void)entry;
    return RB_OK;
}

/* META-INF/CERT of the old signer leaves; its time stays. */
static bool
drop_cert(struct forge_rpk_files *files, uint32_t *dos_time)
{
    for (unsigned i = 0; i < files->count; i++) {
        if (strcmp(files->at[i].name, CERT_NAME) == 0) {
            *dos_time = files->at[i].dos_time;
            free(files->at[i].name);
            free(files->at[i].data);
            files->count--;
            memmove(&files->at[i], &files->at[i + 1], (files->count - i) * sizeof *files->at);
            return true;
        }
    }
    return false;
}

static rb_err
resign(const struct rpk_container *c, const struct forge_rpk_signer *signer, struct forge_bytes *out)
{
    struct forge_rpk_files files = {NULL, 0};
    const struct rpk_visitor visitor = {take_begin, take_data, take_end, &files};
    struct rpk_zip zip;
    uint32_t dos_time = 0;

    RB_TRY(rpk_zip_open(c, RPK_UNPACKED_MAX, false, &zip));
    rb_err err = rpk_zip_walk(&zip, NULL, &visitor);
    if (err == RB_OK) {
        const uint8_t *end = c->tail + c->directory_len;
        char *comment = rb_text("%.*s", (int)(c->end_len - RPK_EOCD_LEN), (const char *)end + RPK_EOCD_LEN);
        bool with_cert = drop_cert(&files, &dos_time);
        err = forge_rpk_make(&files, comment, with_cert, dos_time, signer, out);
        free(comment);
    }
    if (err == RB_OK) {
        err = verify_made(out);
    }
    forge_rpk_files_free(&files);
    rpk_zip_free(&zip);
    return err;
}

rb_err
forge_rpk_resign(const char *path, const struct forge_rpk_signer *signer, struct forge_bytes *out)
{
    struct forge_bytes package = {NULL, 0, 0};
    struct forge_bytes made = {NULL, 0, 0};
    struct rpk_container c;

    RB_TRY(rb_file_read(path, PACKAGE_MAX, &package.data, &package.len));
    const struct rpk_source source = {.fd = -1, .memory = package.data, .len = package.len};
    rb_err err = rpk_container_open(&source, true, &c);
    if (err == RB_OK) {
        err = resign(&c, signer, &made);
        rpk_container_free(&c);
    }
    free(package.data);
    if (err != RB_OK) {
        bytes_free(&made);
        return err;
    }
    *out = made;
    return RB_OK;
}
