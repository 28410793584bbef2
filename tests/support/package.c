/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/package.h"

#include "lib/core/bytes.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "tests/support/test.h"

#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

const struct zip_part test_manifest = {
    .name = "manifest.json",
    .data = "{\"package\":\"org.example.test\",\"name\":\"Test\",\"versionCode\":3,\"versionName\":\"0.3\"}",
};
const struct zip_part test_app = {.name = "app.js", .data = "1;"};

static void
put(struct forge_bytes *b, uint64_t v, unsigned len)
{
    uint8_t raw[8];
    struct rb_writer w = rb_writer_of(raw, sizeof raw);

    rb_write_u64(&w, v);
    forge_bytes_add(b, raw, len);
}

static size_t
name_len(const struct zip_part *p)
{
    return p->name_len > 0 ? p->name_len : strlen(p->name);
}

static size_t
data_len(const struct zip_part *p)
{
    return p->data == NULL ? 0 : p->len > 0 ? p->len : strlen(p->data);
}

static size_t
local_len(const struct zip_part *p)
{
    return 30 + name_len(p) + p->extra_len + data_len(p);
}

static void
put_common(struct forge_bytes *b, const struct zip_part *p)
{
    put(b, 10, 2);
    put(b, p->flags, 2);
    put(b, p->packed ? 8 : 0, 2);
    put(b, 0x5a8a6c20, 4);
    put(b, p->packed ? p->crc : rb_crc32(0, p->data, data_len(p)), 4);
    put(b, data_len(p), 4);
    put(b, p->packed ? p->unpacked_len : data_len(p), 4);
    put(b, name_len(p), 2);
    put(b, p->extra_len, 2);
}

static void
put_names(struct forge_bytes *b, const struct zip_part *p)
{
    forge_bytes_add(b, p->name, name_len(p));
    forge_bytes_add(b, p->extra, p->extra_len);
}

static void
put_local(struct forge_bytes *b, const struct zip_part *p)
{
    static const uint8_t zeros[64];

    forge_bytes_add(b, zeros, p->gap);
    forge_bytes_add(b, "PK\3\4", 4);
    put_common(b, p);
    put_names(b, p);
    forge_bytes_add(b, p->data, data_len(p));
}

static void
put_central(struct forge_bytes *b, const struct zip_part *p, size_t offset)
{
    forge_bytes_add(b, "PK\1\2", 4);
    put(b, 20, 2);
    put_common(b, p);
    put(b, 0, 6);
    put(b, p->attributes, 4);
    put(b, offset, 4);
    put_names(b, p);
}

struct test_zip
test_zip_make(const struct zip_part *parts, unsigned count, const char *comment)
{
    struct test_zip z = {.bytes = {NULL, 0, 0}};

    for (unsigned i = 0; i < count; i++) {
        put_local(&z.bytes, &parts[i]);
        if (i < ENTRIES_MAX) {
            z.local[i] = z.bytes.len - local_len(&parts[i]);
        }
    }
    z.directory = z.bytes.len;
    size_t offset = 0;
    for (unsigned i = 0; i < count; i++) {
        if (i < ENTRIES_MAX) {
            z.central[i] = z.bytes.len;
        }
        offset += parts[i].gap;
        put_central(&z.bytes, &parts[i], offset);
        offset += local_len(&parts[i]);
    }
    z.end = z.bytes.len;
    forge_bytes_add(&z.bytes, "PK\5\6\0\0\0\0", 8);
    put(&z.bytes, count, 2);
    put(&z.bytes, count, 2);
    put(&z.bytes, z.end - z.directory, 4);
    put(&z.bytes, z.directory, 4);
    put(&z.bytes, comment != NULL ? strlen(comment) : 0, 2);
    forge_bytes_add(&z.bytes, comment, comment != NULL ? strlen(comment) : 0);
    return z;
}

void
test_zip_free(struct test_zip *zip)
{
    free(zip->bytes.data);
}

void
poke16(struct forge_bytes *b, size_t at, uint32_t v)
{
    b->data[at] = (uint8_t)v;
    b->data[at + 1] = (uint8_t)(v >> 8);
}

void
poke32(struct forge_bytes *b, size_t at, uint32_t v)
{
    poke16(b, at, v);
    poke16(b, at + 2, v >> 16);
}

uint32_t
peek32(const struct forge_bytes *b, size_t at)
{
    struct rb_reader r = rb_reader_of(b->data + at, 4);

    return rb_read_u32(&r);
}

char *
test_key_file(const char *name)
{
    char *from = rb_text("%s/tests/data/rpk-keys/%s-private.pem", test_tree(), name);
    char *to = rb_text("%s-private.pem", name);
    uint8_t *pem;
    size_t len;

    CHECK_OK(rb_file_read(from, 65536, &pem, &len));
    CHECK_OK(rb_file_replace(to, pem, len, 0600));
    free(pem);
    free(from);
    return to;
}

struct forge_rpk_signer
test_signer(const char *name)
{
    char *key = test_key_file(name);
    char *certificate = rb_text("%s/tests/data/rpk-keys/%s-certificate.pem", test_tree(), name);
    struct forge_rpk_signer signer;

    CHECK_OK(forge_rpk_signer_open(key, certificate, &signer));
    free(certificate);
    free(key);
    return signer;
}

struct forge_bytes
test_signed(const struct forge_bytes *zip)
{
    struct forge_rpk_signer signer = test_signer("release");
    struct forge_bytes out = {NULL, 0, 0};

    CHECK_OK(forge_rpk_sign_zip(zip, NULL, 0, &signer, &out));
    forge_rpk_signer_close(&signer);
    return out;
}

rb_err
test_open(const struct forge_bytes *package, unsigned flags, struct rpk_file **out)
{
    int fd = memfd_create("package", MFD_CLOEXEC);

    CHECK(fd >= 0);
    CHECK_OK(rb_write_all(fd, package->data, package->len));
    rb_fail_clear();
    rb_err err = rpk_file_open(fd, flags, out);
    if (err != RB_OK) {
        (void)close(fd);
    }
    return err;
}

rb_err
test_verdict(const struct forge_bytes *package)
{
    struct rpk_file *file = NULL;
    rb_err err = test_open(package, 0, &file);

    rpk_file_close(file);
    return err;
}

rb_err
test_zip_verdict(struct test_zip *zip)
{
    struct forge_bytes package = test_signed(&zip->bytes);
    rb_err err = test_verdict(&package);

    free(package.data);
    test_zip_free(zip);
    return err;
}

char *
test_sample_path(const char *name)
{
    return rb_text("%s/tests/data/rpk/%s", test_tree(), name);
}

struct forge_bytes
test_sample(const char *name)
{
    struct forge_bytes b = {NULL, 0, 0};
    char *path = test_sample_path(name);

    CHECK_OK(rb_file_read(path, 1u << 20, &b.data, &b.len));
    b.room = b.len;
    free(path);
    return b;
}

void
test_package(const char *path, const char *key, ...)
{
    struct forge_rpk_signer signer = test_signer(key);
    struct forge_rpk_files files = {NULL, 0};
    struct forge_bytes out = {NULL, 0, 0};
    const char *name;
    va_list args;

    va_start(args, key);
    while ((name = va_arg(args, const char *)) != NULL) {
        const char *text = va_arg(args, const char *);
        files.at = rb_realloc(files.at, (files.count + 1) * sizeof *files.at);
        files.at[files.count++] = (struct forge_rpk_file){rb_text("%s", name), (uint8_t *)rb_text("%s", text),
                                                          strlen(text), forge_dos_time(1766102400)};
    }
    va_end(args);
    CHECK_OK(forge_rpk_make(&files, "{}", true, forge_dos_time(1766102400), &signer, &out));
    CHECK_OK(rb_file_replace(path, out.data, out.len, 0644));
    free(out.data);
    forge_rpk_files_free(&files);
    forge_rpk_signer_close(&signer);
}
