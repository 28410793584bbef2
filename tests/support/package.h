/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Packages for tests, right and wrong: zips whose every field can be bent before they are signed, and signing blocks
 * made of any parts.
 */
#ifndef RB_TESTS_PACKAGE_H
#define RB_TESTS_PACKAGE_H

#include "server-tools/rpkbuild.h"

#define ENTRIES_MAX 8

/** One entry of a test zip; what is not set is right. */
struct zip_part {
    const char *name;
    size_t name_len;       /* 0: strlen(name) */
    const char *data;      /* stored; NULL for a directory */
    size_t len;            /* 0: strlen(data) */
    bool packed;           /* `data` is deflated already; `unpacked_len` and `crc` say of what */
    uint32_t unpacked_len;
    uint32_t crc;
    const char *extra;     /* in both headers */
    size_t extra_len;
    uint16_t flags;
    uint32_t attributes;
    size_t gap;            /* zero bytes before its local header */
};

/** A zip and where its parts lie, to be bent. */
struct test_zip {
    struct forge_bytes bytes;
    size_t local[ENTRIES_MAX];
    size_t central[ENTRIES_MAX];
    size_t directory;
    size_t end;
};

/** "manifest.json" and "app.js" of a right package, for use as the first parts. */
extern const struct zip_part test_manifest;
extern const struct zip_part test_app;

struct test_zip test_zip_make(const struct zip_part *parts, unsigned count, const char *comment);
void test_zip_free(struct test_zip *zip);

void poke16(struct forge_bytes *b, size_t at, uint32_t v);
void poke32(struct forge_bytes *b, size_t at, uint32_t v);
uint32_t peek32(const struct forge_bytes *b, size_t at);

/** Key pair `name` of tests/data/rpk-keys ("release", "other", ...). Freed with forge_rpk_signer_close. */
struct forge_rpk_signer test_signer(const char *name);
/** The sign key's file, copied into the present directory with mode 0600. Caller frees. */
char *test_key_file(const char *name);

/** Sign with the "release" key as the toolchain does. */
struct forge_bytes test_signed(const struct forge_bytes *zip);

/** Open bytes as a package. */
rb_err test_open(const struct forge_bytes *package, unsigned flags, struct rpk_file **out);
/** The same, for the verdict alone. */
rb_err test_verdict(const struct forge_bytes *package);

/** Zip, sign, open: the verdict. The zip is freed. */
rb_err test_zip_verdict(struct test_zip *zip);

/** A file below tests/data/rpk. */
struct forge_bytes test_sample(const char *name);
char *test_sample_path(const char *name);

/** A package made of files: name, text, name, text, ..., NULL; signed with key `key`. Written to `path`. */
void test_package(const char *path, const char *key, ...) __attribute__((sentinel));

#endif
