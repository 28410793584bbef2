/* SPDX-License-Identifier: Apache-2.0
 *
 * The zip of a package. Hostile zips here carry a good signature: whoever signs can be hostile too.
 */
#include "tests/support/package.h"
#include "tests/support/test.h"

#include "lib/core/bytes.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* Verdict on a package of manifest, app and one more entry. */
static rb_err
with(struct zip_part part)
{
    const struct zip_part parts[] = {test_manifest, test_app, part};
    struct test_zip z = test_zip_make(parts, 3, NULL);

    return test_zip_verdict(&z);
}

static rb_err
with_name(const char *name)
{
    return with((struct zip_part){.name = name, .data = "x"});
}

static struct test_zip
good_zip(void)
{
    const struct zip_part parts[] = {test_manifest, test_app};

    return test_zip_make(parts, 2, "{\"a\":1}");
}

TEST(a_right_zip_is_accepted)
{
    struct test_zip z = good_zip();
    struct forge_bytes package = test_signed(&z.bytes);
    struct rpk_file *file;

    CHECK_OK(test_open(&package, 0, &file));
    CHECK(strcmp(file->manifest.package, "org.example.test") == 0);
    CHECK(file->manifest.version_code == 3);
    CHECK(file->zip.count == 2 && strcmp(file->zip.entries[1].name, "app.js") == 0);
    CHECK(!file->has_hash_list && !file->debug_key);
    rpk_file_close(file);
    free(package.data);
    test_zip_free(&z);

    CHECK_OK(with((struct zip_part){.name = "pages/Home/index.js", .data = "y"}));
    CHECK_OK(with((struct zip_part){.name = "pages/", .attributes = 0x10}));
    CHECK_OK(with((struct zip_part){.name = "empty"}));
    CHECK_OK(with((struct zip_part){.name = "a.txt", .data = "z", .attributes = 0100644u << 16}));
    CHECK_OK(with_name(".hidden"));
    CHECK_OK(with_name("a b+c(1)@2x~.png"));
}

TEST(ZIP_01_duplicate_names)
{
    CHECK_ERR(with_name("app.js"), RB_ERR_RPK_NAME);
    const struct zip_part parts[] = {test_manifest, {.name = "d/"}, {.name = "d/"}};
    struct test_zip z = test_zip_make(parts, 3, NULL);
    CHECK_ERR(test_zip_verdict(&z), RB_ERR_RPK_NAME);
}

TEST(ZIP_02_names_that_are_one_to_some_file_systems)
{
    CHECK_ERR(with_name("App.JS"), RB_ERR_RPK_NAME);
    static const char *const pairs[][2] = {
        {"\xc3\x84", "\xc3\xa4"}, {"\xd0\xb6", "\xd0\x96"}, {"\xc5\xa0", "\xc5\xa1"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        const struct zip_part parts[] = {test_manifest,
                                         {.name = pairs[i][0], .data = "1", .flags = 0x800},
                                         {.name = pairs[i][1], .data = "2", .flags = 0x800}};
        struct test_zip z = test_zip_make(parts, 3, NULL);
        CHECK_ERR(test_zip_verdict(&z), RB_ERR_RPK_NAME);
    }
    /* e and a combining accent, the other spelling of U+00E9 */
    CHECK_ERR(with((struct zip_part){.name = "e\xcc\x81", .data = "1", .flags = 0x800}), RB_ERR_RPK_NAME);
    CHECK_OK(with((struct zip_part){.name = "\xc3\xa9", .data = "1", .flags = 0x800}));
    CHECK_ERR(with_name("app.js."), RB_ERR_RPK_NAME);
    CHECK_ERR(with_name("app.js "), RB_ERR_RPK_NAME);
}

TEST(ZIP_03_bytes_before_the_first_entry)
{
    struct zip_part parts[] = {test_manifest, test_app};

    parts[0].gap = 1;
    struct test_zip z = test_zip_make(parts, 2, NULL);
    CHECK_ERR(test_zip_verdict(&z), RB_ERR_RPK_ZIP);
    parts[0].gap = 16;
    z = test_zip_make(parts, 2, NULL);
    CHECK_ERR(test_zip_verdict(&z), RB_ERR_RPK_ZIP);
}

TEST(ZIP_04_gaps_and_overlaps)
{
    struct zip_part parts[] = {test_manifest, test_app};

    parts[1].gap = 3;
    struct test_zip z = test_zip_make(parts, 2, NULL);
    CHECK_ERR(test_zip_verdict(&z), RB_ERR_RPK_ZIP);
    z = good_zip();
    poke32(&z.bytes, z.central[1] + 42, 0); /* both at the first local header */
    CHECK_ERR(test_zip_verdict(&z), RB_ERR_RPK_ZIP);
    z = good_zip();
    poke32(&z.bytes, z.central[0] + 20, peek32(&z.bytes, z.central[0] + 20) + 5);
    poke32(&z.bytes, z.central[0] + 24, peek32(&z.bytes, z.central[0] + 24) + 5);
    CHECK_ERR(test_zip_verdict(&z), RB_ERR_RPK_ZIP);
    z = good_zip(); /* entries in another order than the directory's */
    poke32(&z.bytes, z.central[0] + 42, (uint32_t)z.local[1]);
    poke32(&z.bytes, z.central[1] + 42, (uint32_t)z.local[0]);
    CHECK_ERR(test_zip_verdict(&z), RB_ERR_RPK_ZIP);
}

/* A hole between the last entry and the block, and an older block in that place. */
TEST(ZIP_04_gap_before_the_block)
{
    struct test_zip z = good_zip();
    struct forge_bytes once = test_signed(&z.bytes);
    struct forge_bytes twice = {NULL, 0, 0};
    struct forge_rpk_signer signer = test_signer("other");
    static const uint8_t zeros[8];

    struct forge_bytes hole = {NULL, 0, 0};
    forge_bytes_add(&hole, z.bytes.data, z.directory);
    forge_bytes_add(&hole, zeros, 8);
    forge_bytes_add(&hole, z.bytes.data + z.directory, z.bytes.len - z.directory);
    poke32(&hole, z.end + 8 + 16, (uint32_t)z.directory + 8);
    struct forge_bytes package = test_signed(&hole);
    CHECK_ERR(test_verdict(&package), RB_ERR_RPK_ZIP);
    free(package.data);
    free(hole.data);

    /* Signed again over a block that the signer was kept from seeing. */
    size_t magic = once.len - (z.bytes.len - z.directory) - 1;
    once.data[magic] ^= 1;
    CHECK_OK(forge_rpk_sign_zip(&once, NULL, 0, &signer, &twice));
    CHECK_ERR(test_verdict(&twice), RB_ERR_RPK_ZIP);
    free(twice.data);
    free(once.data);
    forge_rpk_signer_close(&signer);
    test_zip_free(&z);
}

TEST(ZIP_05_end_records)
{
    const struct zip_part parts[] = {test_manifest, test_app};
    static const char inner[] = "PK\5\6\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1";
    struct test_zip z = good_zip();
    struct forge_bytes p = test_signed(&z.bytes);

    CHECK_OK(test_verdict(&p));
    poke16(&p, p.len - 7 - 2, 8); /* comment one byte longer than the file */
    CHECK_ERR(test_verdict(&p), RB_ERR_RPK_ZIP);
    poke16(&p, p.len - 7 - 2, 6);
    CHECK_ERR(test_verdict(&p), RB_ERR_RPK_ZIP);
    free(p.data);
    test_zip_free(&z);

    /* An end record in the comment: some readers take the last one, some the first that fits. */
    z = test_zip_make(parts, 2, inner);
    struct forge_bytes out = {NULL, 0, 0};
    struct forge_rpk_signer signer = test_signer("release");
    CHECK_ERR(forge_rpk_sign_zip(&z.bytes, NULL, 0, &signer, &out), RB_ERR_RPK_ZIP);
    z.bytes.data[z.end + RPK_EOCD_LEN] = 'Q'; /* signed without, put back afterwards */
    CHECK_OK(forge_rpk_sign_zip(&z.bytes, NULL, 0, &signer, &out));
    out.data[out.len - sizeof inner + 1] = 'P';
    CHECK_ERR(test_verdict(&out), RB_ERR_RPK_ZIP);
    free(out.data);
    test_zip_free(&z);
    /* Just the magic, near the end of the comment. */
    z = test_zip_make(parts, 2, "PK\5\6");
    out = (struct forge_bytes){NULL, 0, 0};
    CHECK_ERR(forge_rpk_sign_zip(&z.bytes, NULL, 0, &signer, &out), RB_ERR_RPK_ZIP);
    test_zip_free(&z);

    /* The longest comment there is. */
    char *longest = malloc(65536);
    memset(longest, 'c', 65535);
    longest[65535] = '\0';
    z = test_zip_make(parts, 2, longest);
    CHECK_OK(test_zip_verdict(&z));
    free(longest);
    forge_rpk_signer_close(&signer);
}

/* Every field that both headers have, bent in one of them. */
TEST(ZIP_06_headers_disagree)
{
    static const size_t fields[] = {4, 6, 8, 10, 12, 14, 18, 22, 26, 28};

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        struct test_zip z = good_zip();
        z.bytes.data[z.local[1] + fields[i]] ^= 1;
        CHECK_ERR(test_zip_verdict(&z), RB_ERR_RPK_ZIP);
    }
    struct test_zip z = good_zip();
    z.bytes.data[z.local[1] + 30] ^= 1; /* name */
    CHECK_ERR(test_zip_verdict(&z), RB_ERR_RPK_ZIP);
    z = good_zip();
    z.bytes.data[z.local[1]] ^= 1; /* magic */
    CHECK_ERR(test_zip_verdict(&z), RB_ERR_RPK_ZIP);
}

TEST(ZIP_07_extra_fields)
{
    CHECK_ERR(with((struct zip_part){.name = "x", .data = "x", .extra = "\1\0\0\0", .extra_len = 4}), RB_ERR_RPK_ZIP);
    CHECK_ERR(with((struct zip_part){.name = "x", .data = "x", .extra = "\x75\x70\xff\xff", .extra_len = 4}),
              RB_ERR_RPK_ZIP);
    struct test_zip z = good_zip();
    poke16(&z.bytes, z.local[1] + 28, 0xffff);
    poke16(&z.bytes, z.central[1] + 30, 0xffff);
    CHECK_ERR(test_zip_verdict(&z), RB_ERR_RPK_ZIP);

    /* The one extra field that real packages have repeats the name, or is refused. */
    static const char name[] = "\xe5\xa4\xa9";
    uint8_t extra[12] = {0x75, 0x70, 8, 0, 1, 0, 0, 0, 0, 0xe5, 0xa4, 0xa9};
    struct rb_writer w = rb_writer_of(extra + 5, 4);
    rb_write_u32(&w, rb_crc32(0, name, 3));
    struct zip_part part = {
        .name = name, .data = "x", .flags = 0x800, .extra = (const char *)extra, .extra_len = sizeof extra};
    CHECK_OK(with(part));
    for (size_t i = 0; i < sizeof extra; i++) {
        extra[i] ^= 1;
        CHECK_ERR(with(part), RB_ERR_RPK_ZIP);
        extra[i] ^= 1;
    }
}

TEST(ZIP_08_data_descriptor)
{
    CHECK_ERR(with((struct zip_part){.name = "x", .data = "x", .flags = 8}), RB_ERR_RPK_ZIP);
}

TEST(ZIP_09_zip64)
{
    static const size_t fields[] = {20, 24, 42};

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        struct test_zip z = good_zip();
        poke32(&z.bytes, z.central[1] + fields[i], 0xffffffff);
        CHECK_ERR(test_zip_verdict(&z), RB_ERR_RPK_ZIP);
    }
    struct test_zip z = good_zip();
    struct forge_bytes p = test_signed(&z.bytes);
    size_t end = p.len - (z.bytes.len - z.end);
    poke32(&p, end + 16, 0xffffffff);
    CHECK_ERR(test_verdict(&p), RB_ERR_RPK_ZIP);
    free(p.data);
    test_zip_free(&z);
    z = good_zip();
    poke16(&z.bytes, z.central[1] + 6, 45); /* version needed for ZIP64 */
    poke16(&z.bytes, z.local[1] + 4, 45);
    CHECK_ERR(test_zip_verdict(&z), RB_ERR_RPK_ZIP);
}

TEST(ZIP_10_disks)
{
    struct test_zip z = good_zip();
    struct forge_bytes p = test_signed(&z.bytes);
    size_t end = p.len - (z.bytes.len - z.end);

    for (size_t field = 4; field <= 6; field += 2) {
        poke16(&p, end + field, 1);
        CHECK_ERR(test_verdict(&p), RB_ERR_RPK_ZIP);
        poke16(&p, end + field, 0);
    }
    CHECK_OK(test_verdict(&p));
    free(p.data);
    poke16(&z.bytes, z.central[1] + 34, 1);
    CHECK_ERR(test_zip_verdict(&z), RB_ERR_RPK_ZIP);
}

TEST(ZIP_11_entry_count)
{
    for (int count = 0; count <= 4; count++) {
        struct test_zip z = good_zip();
        struct forge_bytes out = {NULL, 0, 0};
        struct forge_rpk_signer signer = test_signer("release");
        poke16(&z.bytes, z.end + 8, (uint32_t)count);
        poke16(&z.bytes, z.end + 10, (uint32_t)count);
        rb_err err = forge_rpk_sign_zip(&z.bytes, NULL, 0, &signer, &out);
        CHECK_ERR(err == RB_OK ? test_verdict(&out) : err, count == 2 ? RB_OK : RB_ERR_RPK_ZIP);
        free(out.data);
        forge_rpk_signer_close(&signer);
        test_zip_free(&z);
    }
    struct test_zip z = good_zip();
    struct forge_bytes p = test_signed(&z.bytes);
    poke16(&p, p.len - (z.bytes.len - z.end) + 8, 1); /* the two counts differ */
    CHECK_ERR(test_verdict(&p), RB_ERR_RPK_ZIP);
    free(p.data);
    test_zip_free(&z);
}

TEST(ZIP_12_traversal)
{
    static const char *const names[] = {"../x", "..",    "a/../b", "a/..",  "a/./b", "./a",
                                        ".",    "..\\x", "a\\b",   "a/...", "... "};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        CHECK_ERR(with_name(names[i]), RB_ERR_RPK_NAME);
    }
    CHECK_ERR(with((struct zip_part){.name = "../"}), RB_ERR_RPK_NAME);
}

TEST(ZIP_13_absolute_and_empty)
{
    static const char *const names[] = {"/etc/passwd", "C:x", "c:/x", "a//b", "//"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        CHECK_ERR(with_name(names[i]), RB_ERR_RPK_NAME);
    }
    CHECK_ERR(with((struct zip_part){.name = "/"}), RB_ERR_RPK_NAME);
    CHECK_ERR(with((struct zip_part){.name = "a//"}), RB_ERR_RPK_NAME);
    struct test_zip z = good_zip();
    poke16(&z.bytes, z.central[1] + 28, 0); /* name of no bytes */
    CHECK(test_zip_verdict(&z) != RB_OK);
    CHECK_ERR(with((struct zip_part){.name = "d/", .data = "content"}), RB_ERR_RPK_ZIP);
}

TEST(ZIP_14_ZIP_15_only_files_and_directories)
{
    static const uint32_t modes[] = {0120777, 0020666, 0060666, 0010666, 0140777, 0104755, 0102755, 0101777, 0040755};

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        CHECK_ERR(with((struct zip_part){.name = "x", .data = "/etc", .attributes = modes[i] << 16}), RB_ERR_RPK_ZIP);
    }
    CHECK_ERR(with((struct zip_part){.name = "d/", .attributes = 0100755u << 16}), RB_ERR_RPK_ZIP);
    CHECK_OK(with((struct zip_part){.name = "d/", .attributes = 0040755u << 16}));
}

TEST(ZIP_17_encryption_and_methods)
{
    static const uint32_t methods[] = {1, 9, 12, 14, 93, 95, 98, 99};

    CHECK_ERR(with((struct zip_part){.name = "x", .data = "x", .flags = 1}), RB_ERR_RPK_ZIP);
    CHECK_ERR(with((struct zip_part){.name = "x", .data = "x", .flags = 0x40}), RB_ERR_RPK_ZIP);
    CHECK_ERR(with((struct zip_part){.name = "x", .data = "x", .flags = 0x2000}), RB_ERR_RPK_ZIP);
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        struct test_zip z = good_zip();
        poke16(&z.bytes, z.local[1] + 8, methods[i]);
        poke16(&z.bytes, z.central[1] + 10, methods[i]);
        CHECK_ERR(test_zip_verdict(&z), RB_ERR_RPK_ZIP);
    }
}

/* `len` bytes of 'a' deflated, declared as `declared` bytes. */
static rb_err
deflated(uint32_t len, uint32_t declared)
{
    uLong room = compressBound(len) + 64;
    char *plain = malloc(len + 1);
    char *packed = malloc(room);
    z_stream z = {0};

    memset(plain, 'a', len + 1);
    CHECK(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    z.next_in = (Bytef *)plain;
    z.avail_in = len;
    z.next_out = (Bytef *)packed;
    z.avail_out = (uInt)room;
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    rb_err err = with((struct zip_part){.name = "bomb",
                                        .data = packed,
                                        .len = z.total_out,
                                        .packed = true,
                                        .unpacked_len = declared,
                                        .crc = rb_crc32(0, plain, declared < len ? declared : len)});
    (void)deflateEnd(&z);
    free(packed);
    free(plain);
    return err;
}

TEST(ZIP_18_more_than_declared)
{
    CHECK_OK(deflated(100000, 100000));
    CHECK_ERR(deflated(100000, 99999), RB_ERR_RPK_ENTRY);
    CHECK_ERR(deflated(10000000, 10), RB_ERR_RPK_ENTRY);
    CHECK_ERR(deflated(100000, 100001), RB_ERR_RPK_ENTRY);
    CHECK_OK(deflated(0, 0));
}

/* The entry that is kept in memory while it is read must not grow past what was declared either. */
TEST(ZIP_18_manifest_is_a_bomb)
{
    enum { LEN = 20000000 };
    uint8_t *packed = malloc(LEN / 500);
    uint8_t *plain = calloc(1, LEN);
    z_stream z = {0};

    CHECK(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    z.next_in = plain;
    z.avail_in = LEN;
    z.next_out = packed;
    z.avail_out = LEN / 500;
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    const struct zip_part part = {.name = "manifest.json",
                                  .data = (const char *)packed,
                                  .len = z.total_out,
                                  .packed = true,
                                  .unpacked_len = 10,
                                  .crc = rb_crc32(0, plain, 10)};
    struct test_zip zip = test_zip_make(&part, 1, NULL);
    CHECK_ERR(test_zip_verdict(&zip), RB_ERR_RPK_ENTRY);
    (void)deflateEnd(&z);
    free(plain);
    free(packed);
}

TEST(ZIP_19_total_size)
{
    struct test_zip z = good_zip();

    poke32(&z.bytes, z.central[1] + 24, 0x40000000); /* 1 GiB declared */
    poke16(&z.bytes, z.central[1] + 10, 8);
    CHECK_ERR(test_zip_verdict(&z), RB_ERR_RPK_ZIP);
}

TEST(ZIP_20_damaged_deflate)
{
    static const struct {
        const char *data;
        size_t len;
    } streams[] = {
        {"\x07", 1},                 /* reserved block type */
        {"\x01\x05\x00\x00\x00", 5}, /* stored block whose length check is wrong */
        {"\x03\x02", 2},             /* ends, with rubbish behind the end of block bits */
        {"\x4b", 1},                 /* fixed block that never ends */
        {"\x4b\x04\x00\x00", 4},     /* bytes after the end */
        {"\x63\x00\x42\x00", 4},     /* distance before the start */
        {"\xed\xff\xff\xff\xff\xff\xff\xff", 8}, /* dynamic block, over-subscribed */
    };

    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
        rb_err err = with((struct zip_part){.name = "x",
                                            .data = streams[i].data,
                                            .len = streams[i].len,
                                            .packed = true,
                                            .unpacked_len = 1,
                                            .crc = rb_crc32(0, "a", 1)});
        CHECK_ERR(err, RB_ERR_RPK_ENTRY);
    }
    CHECK_ERR(with((struct zip_part){
                  .name = "x", .data = "\x4b\x04\x00", .len = 3, .packed = true, .unpacked_len = 1, .crc = 1}),
              RB_ERR_RPK_ENTRY); /* good stream, wrong CRC */
    struct test_zip z = good_zip();
    z.bytes.data[z.local[1] + 30 + 6] ^= 1; /* stored data */
    CHECK_ERR(test_zip_verdict(&z), RB_ERR_RPK_ENTRY);
}

TEST(ZIP_22_names_not_allowed)
{
    static const struct {
        const char *name;
        size_t len;
    } names[] = {
        {"a\0b", 3},       {"a\nb", 3},         {"a\x1b[31m", 6},    {"\x7f", 1},       {"\xff", 1},
        {"\xc0\xaf", 2},   {"\xed\xa0\x80", 3}, {"\xe2\x80\xae", 3}, {"\xc2\x85", 2},   {"\xf4\x90\x80\x80", 4},
        {"\xe5\xa4", 2},   {"\xef\xbb\xbf", 3}, {"\xe0\x80\xaf", 3}, {"\xf8\x88\x80\x80\x80", 5},
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        CHECK_ERR(with((struct zip_part){.name = names[i].name, .name_len = names[i].len, .data = "x", .flags = 0x800}),
                  RB_ERR_RPK_NAME);
    }
    char longest[65536];
    memset(longest, 'n', sizeof longest);
    CHECK_ERR(with((struct zip_part){.name = longest, .name_len = 65535, .data = "x"}), RB_ERR_RPK_NAME);
    CHECK_ERR(with((struct zip_part){.name = longest, .name_len = 256, .data = "x"}), RB_ERR_RPK_NAME);
    CHECK_OK(with((struct zip_part){.name = longest, .name_len = 255, .data = "x"}));
    /* Outside ASCII without the mark that says it is UTF-8. */
    CHECK_ERR(with_name("\xe5\xa4\xa9"), RB_ERR_RPK_ZIP);
}

TEST(ZIP_23_too_many_entries)
{
    enum { COUNT = 5000 };
    struct zip_part *parts = calloc(COUNT, sizeof *parts);
    char (*names)[16] = calloc(COUNT, sizeof *names);

    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(names[i], sizeof names[i], "f%d", i);
        parts[i] = (struct zip_part){.name = names[i]};
    }
    parts[0] = test_manifest;
    struct test_zip z = test_zip_make(parts, RPK_ENTRIES_MAX, NULL);
    CHECK_OK(test_zip_verdict(&z));
    z = test_zip_make(parts, RPK_ENTRIES_MAX + 1, NULL);
    struct forge_bytes out = {NULL, 0, 0};
    struct forge_rpk_signer signer = test_signer("release");
    CHECK_ERR(forge_rpk_sign_zip(&z.bytes, NULL, 0, &signer, &out), RB_ERR_RPK_ZIP);
    forge_rpk_signer_close(&signer);
    test_zip_free(&z);
    free(names);
    free(parts);
}

TEST(ZIP_24_file_and_directory)
{
    CHECK_ERR(with_name("app.js/x"), RB_ERR_RPK_NAME);
    CHECK_ERR(with_name("APP.JS/x"), RB_ERR_RPK_NAME);
    CHECK_ERR(with_name("app.js/x/y"), RB_ERR_RPK_NAME);
    CHECK_ERR(with((struct zip_part){.name = "app.js/"}), RB_ERR_RPK_NAME);
    CHECK_OK(with_name("app.js-x"));
    CHECK_OK(with_name("app.jsx/y"));
}

TEST(what_is_no_package)
{
    struct rpk_file *file;
    char zeros[64] = {0};

    CHECK_OK(rb_file_replace("empty", "", 0, 0644));
    CHECK_ERR(rpk_file_open_path("empty", 0, &file), RB_ERR_RPK_ZIP);
    CHECK_OK(rb_file_replace("zeros", zeros, sizeof zeros, 0644));
    CHECK_ERR(rpk_file_open_path("zeros", 0, &file), RB_ERR_RPK_ZIP);
    CHECK(truncate("zeros", (off_t)2 << 30) == 0);
    CHECK_ERR(rpk_file_open_path("zeros", 0, &file), RB_ERR_RPK_ZIP);
    CHECK(truncate("zeros", (off_t)5 << 30) == 0);
    CHECK_ERR(rpk_file_open_path("zeros", 0, &file), RB_ERR_RPK_ZIP);
    CHECK_ERR(rpk_file_open_path("/proc/self/exe", 0, &file), RB_ERR_RPK_ZIP);
    CHECK_ERR(rpk_file_open_path(".", 0, &file), RB_ERR_RPK_ZIP);
    CHECK_ERR(rpk_file_open_path("/dev/null", 0, &file), RB_ERR_RPK_ZIP);
    CHECK(mkfifo("fifo", 0600) == 0);
    CHECK_ERR(rpk_file_open_path("fifo", 0, &file), RB_ERR_RPK_ZIP);
    CHECK_ERR(rpk_file_open_path("missing", 0, &file), RB_ERR_IO_NOT_FOUND);
}

/* Bytes of the signing block that no signature covers: the pair with the file list, its length apart. */
static void
unsigned_part(const struct forge_bytes *p, size_t *first, size_t *last)
{
    size_t end = p->len;

    while (memcmp(p->data + end - 16, RPK_BLOCK_MAGIC, 16) != 0) {
        end--;
    }
    size_t block = end - peek32(p, end - 24) - 8;
    *first = block + 8 + 8 + peek32(p, block + 8) + 8;
    *last = end - 24 - 1;
}

TEST(every_flipped_byte_is_refused)
{
    struct forge_bytes p = test_sample("clock-1.0.0.rpk");
    size_t first;
    size_t last;
#ifdef RB_ASAN
    const size_t step = 11;
#else
    const size_t step = 1;
#endif

    unsigned_part(&p, &first, &last);
    CHECK(last - first > 300 && last - first < 1000);
    CHECK_OK(test_verdict(&p));
    for (size_t i = 0; i < p.len; i += step) {
        p.data[i] ^= (uint8_t)(1u << (i % 8));
        rb_err err = test_verdict(&p);
        if (err == RB_OK && (i < first || i > last)) {
            test_fail(__FILE__, __LINE__, "accepted with byte %zu of %zu flipped", i, p.len);
        }
        p.data[i] ^= (uint8_t)(1u << (i % 8));
    }
    free(p.data);
}

TEST(every_truncation_is_refused)
{
    struct forge_bytes p = test_sample("clock-1.0.0.rpk");
    struct forge_bytes cut = p;

    for (size_t len = 0; len < p.len; len++) {
        cut.len = len;
        if (test_verdict(&cut) == RB_OK) {
            test_fail(__FILE__, __LINE__, "accepted with %zu of %zu bytes", len, p.len);
        }
    }
    forge_bytes_add(&p, "x", 1);
    CHECK_ERR(test_verdict(&p), RB_ERR_RPK_ZIP);
    free(p.data);
}

/* LOCAL-01: the file is rewritten between the check and the use. */
static rb_err
ignore_entry(void *ctx, struct rpk_entry *entry)
{
    (void)ctx;
    (void)entry;
    return RB_OK;
}

static rb_err
ignore_data(void *ctx, const void *data, size_t len)
{
    (void)ctx;
    (void)data;
    (void)len;
    return RB_OK;
}

TEST(LOCAL_01_file_rewritten_after_it_was_verified)
{
    const struct rpk_visitor visitor = {ignore_entry, ignore_data, ignore_entry, NULL};
    char *path = test_sample_path("clock-1.0.0.rpk");
    uint8_t *data;
    size_t len;
    struct rpk_file *file;

    CHECK_OK(rb_file_read(path, 1u << 20, &data, &len));
    CHECK_OK(rb_file_replace("p.rpk", data, len, 0644));
    CHECK_OK(rpk_file_open_path("p.rpk", 0, &file));
    CHECK_OK(rpk_file_walk(file, &visitor));
    int fd = open("p.rpk", O_WRONLY);
    for (size_t i = 11; i < file->container.entries_end; i += 97) {
        uint8_t other = data[i] ^ 1;
        CHECK(pwrite(fd, &other, 1, (off_t)i) == 1);
        rb_fail_clear();
        CHECK(rpk_file_walk(file, &visitor) != RB_OK);
        CHECK(pwrite(fd, &data[i], 1, (off_t)i) == 1);
    }
    rb_fail_clear();
    CHECK_OK(rpk_file_walk(file, &visitor));
    (void)close(fd);
    rpk_file_close(file);
    free(data);
    free(path);
}

/* Two words with one CRC-32: of all checks, only the signature's digest sees the change. */
TEST(LOCAL_01_rewritten_with_the_same_crc)
{
    const struct rpk_visitor visitor = {ignore_entry, ignore_data, ignore_entry, NULL};
    const struct zip_part parts[] = {test_manifest, {.name = "word", .data = "plumless"}};
    struct test_zip z = test_zip_make(parts, 2, NULL);
    struct forge_bytes p = test_signed(&z.bytes);
    struct rpk_file *file;

    CHECK(rb_crc32(0, "plumless", 8) == rb_crc32(0, "buckeroo", 8));
    CHECK_OK(rb_file_replace("p.rpk", p.data, p.len, 0644));
    CHECK_OK(rpk_file_open_path("p.rpk", 0, &file));
    int fd = open("p.rpk", O_WRONLY);
    CHECK(pwrite(fd, "buckeroo", 8, (off_t)z.directory - 8) == 8);
    (void)close(fd);
    CHECK_ERR(rpk_file_walk(file, &visitor), RB_ERR_RPK_DIGEST);
    rpk_file_close(file);
    CHECK_ERR(rpk_file_open_path("p.rpk", 0, &file), RB_ERR_RPK_DIGEST);
    free(p.data);
    test_zip_free(&z);
}
