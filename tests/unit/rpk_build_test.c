/* SPDX-License-Identifier: Apache-2.0
 *
 * The writer against what the real toolchains wrote, and META-INF/CERT.
 */
#include "tests/support/package.h"
#include "tests/support/test.h"

#include "lib/core/bytes.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void
check_same(const struct forge_bytes *made, const struct forge_bytes *want, const char *name)
{
    size_t i = 0;

    while (i < made->len && i < want->len && made->data[i] == want->data[i]) {
        i++;
    }
    if (made->len != want->len || i < want->len) {
        test_fail(__FILE__, __LINE__, "%s: %zu bytes for %zu, first difference at %zu", name, made->len, want->len, i);
    }
}

/* Taken apart and made again with the same key, a toolchain's package is the same to the last byte. */
TEST(toolchain_packages_are_reproduced)
{
    static const char *const names[] = {"clock-1.0.0.rpk", "clock-1.1.0.rpk", "weather-1.0.0.rpk"};
    struct forge_rpk_signer signer = test_signer("release");

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct forge_bytes want = test_sample(names[i]);
        struct forge_bytes made = {NULL, 0, 0};
        char *path = test_sample_path(names[i]);
        CHECK_OK(forge_rpk_resign(path, &signer, &made));
        check_same(&made, &want, names[i]);
        free(path);
        free(made.data);
        free(want.data);
    }
    forge_rpk_signer_close(&signer);
}

/* The toolchain's file list has a wrong CRC for names outside ASCII (docs/format.md 5.2 wants UTF-8): all but the
 * block is the same. */
TEST(names_outside_ascii_are_reproduced)
{
    struct forge_rpk_signer signer = test_signer("release");
    struct forge_bytes want = test_sample("weather-1.0.0-names.rpk");
    struct forge_bytes made = {NULL, 0, 0};
    char *path = test_sample_path("weather-1.0.0-names.rpk");
    struct rpk_file *file;

    CHECK_OK(forge_rpk_resign(path, &signer, &made));
    CHECK(made.len == want.len);
    CHECK_OK(rpk_file_open_path(path, 0, &file));
    CHECK(memcmp(made.data, want.data, file->container.entries_end) == 0);
    CHECK(memcmp(made.data + file->container.directory, want.data + file->container.directory,
                 want.len - file->container.directory)
          == 0);
    rpk_file_close(file);
    free(path);
    free(made.data);
    free(want.data);
    forge_rpk_signer_close(&signer);
}

TEST(shared_samples_are_reproduced)
{
    static const char *const names[] = {"clockdemo-1.0.0-hap-release.rpk", "clockdemo-1.1.0-aiot-release.rpk",
                                        "clockdemo-1.1.0-hap-release.rpk"};
    char *dir = rb_text("%s/../shared/samples/rpk", test_tree());
    if (!rb_file_exists(dir)) {
        test_skip("../shared/samples is not here");
    }
    char *from = rb_text("%s/release-private.pem", dir);
    char *certificate = rb_text("%s/release-certificate.pem", dir);
    struct forge_rpk_signer signer;
    struct forge_bytes pem = {NULL, 0, 0};

    CHECK_OK(rb_file_read(from, 65536, &pem.data, &pem.len));
    CHECK_OK(rb_file_replace("key.pem", pem.data, pem.len, 0600));
    CHECK_OK(forge_rpk_signer_open("key.pem", certificate, &signer));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct forge_bytes want = {NULL, 0, 0};
        struct forge_bytes made = {NULL, 0, 0};
        char *path = rb_text("%s/%s", dir, names[i]);
        CHECK_OK(rb_file_read(path, 1u << 20, &want.data, &want.len));
        CHECK_OK(forge_rpk_resign(path, &signer, &made));
        check_same(&made, &want, names[i]);
        free(path);
        free(made.data);
        free(want.data);
    }
    forge_rpk_signer_close(&signer);
    free(pem.data);
    free(certificate);
    free(from);
    free(dir);
}

TEST(unsigned_and_foreign_packages_are_signed)
{
    struct forge_rpk_signer signer = test_signer("rsa4096");
    static const char *const names[] = {"clock-1.1.0-unsigned.rpk", "clock-1.1.0-other-signer.rpk",
                                        "clock-1.1.0-signed-twice.rpk"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *path = test_sample_path(names[i]);
        struct forge_bytes made = {NULL, 0, 0};
        struct rpk_file *file;
        CHECK_OK(forge_rpk_resign(path, &signer, &made));
        CHECK_OK(test_open(&made, 0, &file));
        CHECK(file->signature.key_bits == 4096 && file->has_hash_list && file->manifest.version_code == 2);
        rpk_file_close(file);
        free(made.data);
        free(path);
    }
    forge_rpk_signer_close(&signer);
}

/* ZIP-21: what hash.json says must be what is there, no more and no less. */
static rb_err
with_hash_list(const char *before, const char *hash, const char *after)
{
    char *text = rb_text("%s%s%s", before, hash, after);
    const struct zip_part list = {.name = "hash.json", .data = text};
    struct test_zip inner = test_zip_make(&list, 1, NULL);
    struct forge_bytes cert = test_signed(&inner.bytes);
    const struct zip_part parts[] = {
        {.name = "META-INF/CERT", .data = (const char *)cert.data, .len = cert.len}, test_manifest};
    struct test_zip z = test_zip_make(parts, 2, NULL);
    rb_err err = test_zip_verdict(&z);

    free(cert.data);
    test_zip_free(&inner);
    free(text);
    return err;
}

TEST(ZIP_21_files_and_their_list_agree)
{
    uint8_t sha[32];
    char hex[65];

    rb_sha256(test_manifest.data, strlen(test_manifest.data), sha);
    rb_hex(sha, 32, hex);
    static const char head[] = "{\"algorithm\":\"SHA-256\",\"digests\":{\"manifest.json\":\"";
    CHECK_OK(with_hash_list(head, hex, "\"}}"));
    CHECK_ERR(with_hash_list(head, hex, "\",\"app.js\":\"00\"}}"), RB_ERR_RPK_HASHLIST);
    CHECK_ERR(with_hash_list("{\"algorithm\":\"SHA-256\",\"digests\":{\"manifest.js\":\"", hex, "\"}}"),
              RB_ERR_RPK_HASHLIST);
    CHECK_ERR(with_hash_list("{\"algorithm\":\"SHA-1\",\"digests\":{\"manifest.json\":\"", hex, "\"}}"),
              RB_ERR_RPK_HASHLIST);
    CHECK_ERR(with_hash_list("{\"algorithm\":\"SHA-256\",\"digests\":[\"", hex, "\"]}"), RB_ERR_RPK_HASHLIST);
    CHECK_ERR(with_hash_list("{\"algorithm\":\"SHA-256\",\"digests\":{}}", "", ""), RB_ERR_RPK_HASHLIST);
    CHECK_ERR(with_hash_list("not json", "", ""), RB_ERR_RPK_HASHLIST);
    hex[0] = hex[0] == '0' ? '1' : '0';
    CHECK_ERR(with_hash_list(head, hex, "\"}}"), RB_ERR_RPK_HASHLIST);
}

TEST(hash_list_of_another_signer)
{
    struct forge_rpk_signer other = test_signer("other");
    const struct zip_part list = {.name = "hash.json", .data = "{\"algorithm\":\"SHA-256\",\"digests\":{}}"};
    struct test_zip inner = test_zip_make(&list, 1, NULL);
    struct forge_bytes cert = {NULL, 0, 0};

    CHECK_OK(forge_rpk_sign_zip(&inner.bytes, NULL, 0, &other, &cert));
    const struct zip_part parts[] = {
        {.name = "META-INF/CERT", .data = (const char *)cert.data, .len = cert.len}, test_manifest};
    struct test_zip z = test_zip_make(parts, 2, NULL);
    CHECK_ERR(test_zip_verdict(&z), RB_ERR_RPK_HASHLIST);
    const struct zip_part plain[] = {{.name = "META-INF/CERT", .data = "no zip"}, test_manifest};
    z = test_zip_make(plain, 2, NULL);
    CHECK_ERR(test_zip_verdict(&z), RB_ERR_RPK_HASHLIST);
    free(cert.data);
    test_zip_free(&inner);
    forge_rpk_signer_close(&other);
}

static void
make_tree(void)
{
    CHECK_OK(rb_make_dirs("app/pages/Main", 0755));
    CHECK_OK(rb_make_dirs("app/common", 0755));
    static const char manifest[] =
        "{\"package\":\"org.example.built\",\"versionCode\":7,\"router\":{\"entry\":\"pages/Main\"}}";
    CHECK_OK(rb_file_replace("app/manifest.json", manifest, strlen(manifest), 0644));
    CHECK_OK(rb_file_replace("app/app.js", "app", 3, 0644));
    CHECK_OK(rb_file_replace("app/aaa.txt", "", 0, 0644));
    CHECK_OK(rb_file_replace("app/pages/Main/index.js", "page", 4, 0644));
    CHECK_OK(rb_file_replace("app/common/x.js", "x", 1, 0644));
}

TEST(BUILD_01_builds_are_reproducible_and_ordered)
{
    static const char *const order[] = {"META-INF",   "META-INF/CERT",           "manifest.json", "app.js",
                                        "pages",      "pages/Main",              "pages/Main/index.js",
                                        "common",     "common/x.js",             "aaa.txt",       "META-INF/build.txt"};
    struct forge_rpk_signer signer = test_signer("release");
    struct forge_bytes a = {NULL, 0, 0};
    struct forge_bytes b = {NULL, 0, 0};
    struct forge_bytes later = {NULL, 0, 0};
    struct rpk_file *file;

    make_tree();
    CHECK_OK(forge_rpk_build("app", &signer, 1766102400, &a));
    CHECK(rename("app", "elsewhere") == 0 && chmod("elsewhere/app.js", 0755) == 0);
    CHECK_OK(forge_rpk_build("elsewhere", &signer, 1766102400, &b));
    check_same(&b, &a, "second build");
    CHECK_OK(forge_rpk_build("elsewhere", &signer, 1766102402, &later));
    CHECK(later.len != a.len || memcmp(later.data, a.data, a.len) != 0);
    CHECK_OK(test_open(&a, 0, &file));
    CHECK(file->zip.count == sizeof order / sizeof order[0]);
    for (unsigned i = 0; i < file->zip.count; i++) {
        CHECK(strcmp(file->zip.entries[i].name, order[i]) == 0);
    }
    CHECK(file->manifest.version_code == 7 && file->has_hash_list);
    rpk_file_close(file);
    free(a.data);
    free(b.data);
    free(later.data);
    forge_rpk_signer_close(&signer);
}

TEST(trees_that_are_no_app)
{
    struct forge_rpk_signer signer = test_signer("release");
    struct forge_bytes out = {NULL, 0, 0};

    make_tree();
    CHECK(symlink("/etc/passwd", "app/link") == 0);
    CHECK_ERR(forge_rpk_build("app", &signer, 0, &out), RB_ERR_ARG);
    CHECK(unlink("app/link") == 0);
    CHECK_OK(rb_file_replace("app/a\\b", "", 0, 0644));
    rb_fail_clear();
    CHECK_ERR(forge_rpk_build("app", &signer, 0, &out), RB_ERR_RPK_NAME);
    CHECK(unlink("app/a\\b") == 0);
    CHECK(mkdir("app/META-INF", 0755) == 0);
    CHECK_OK(rb_file_replace("app/META-INF/CERT", "", 0, 0644));
    rb_fail_clear();
    CHECK_ERR(forge_rpk_build("app", &signer, 0, &out), RB_ERR_ARG);
    CHECK_OK(rb_remove_tree("app/META-INF"));
    CHECK_OK(rb_file_replace("app/manifest.json", "{\"package\":\"../x\"}", 18, 0644));
    rb_fail_clear();
    CHECK_ERR(forge_rpk_build("app", &signer, 0, &out), RB_ERR_RPK_MANIFEST);
    CHECK(unlink("app/manifest.json") == 0);
    rb_fail_clear();
    CHECK_ERR(forge_rpk_build("app", &signer, 0, &out), RB_ERR_RPK_MANIFEST);
    rb_fail_clear();
    CHECK_ERR(forge_rpk_build("missing", &signer, 0, &out), RB_ERR_IO_NOT_FOUND);
    forge_rpk_signer_close(&signer);
}

TEST(key_and_certificate_must_belong_together)
{
    char *key = test_key_file("release");
    char *other = rb_text("%s/tests/data/rpk-keys/other-certificate.pem", test_tree());
    char *ec = test_key_file("ec");
    char *ec_certificate = rb_text("%s/tests/data/rpk-keys/ec-certificate.pem", test_tree());
    struct forge_rpk_signer signer;

    CHECK_ERR(forge_rpk_signer_open(key, other, &signer), RB_ERR_KEY_FORMAT);
    rb_fail_clear();
    CHECK_ERR(forge_rpk_signer_open(key, key, &signer), RB_ERR_KEY_FORMAT);
    rb_fail_clear();
    CHECK_ERR(forge_rpk_signer_open(ec, ec_certificate, &signer), RB_ERR_KEY_FORMAT);
    rb_fail_clear();
    CHECK(chmod(key, 0644) == 0);
    CHECK_ERR(forge_rpk_signer_open(key, other, &signer), RB_ERR_KEY_PERMISSIONS);
    free(ec_certificate);
    free(ec);
    free(other);
    free(key);
}
