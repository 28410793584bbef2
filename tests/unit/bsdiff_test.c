/* SPDX-License-Identifier: Apache-2.0
 *
 * BSDIFF40 patches: ours read back, and what bspatch fell for (CVE-2014-9862, FreeBSD-SA-16:25 and 16:29). Debian's
 * own programs are tried in tests/cli/bsdiff.sh.
 */
#include "lib/host/file.h"
#include "server-tools/delta.h"
#include "tests/support/test.h"

#include <bzlib.h>
#include <stdlib.h>

#define OLD_LEN 1000u
#define NEW_LEN 600u
#define SIGN (UINT64_C(1) << 63)

static uint8_t old[OLD_LEN]; /* zeros */

static void
put_u64(uint8_t *at, uint64_t v)
{
    for (int i = 0; i < 8; i++) {
        at[i] = (uint8_t)(v >> (8 * i));
    }
}

static unsigned
pack(uint8_t *to, unsigned room, const uint8_t *data, unsigned len)
{
    static char empty[1];
    char *from = empty;

    if (len > 0) {
        memcpy(&from, &data, sizeof from);
    }
    CHECK(BZ2_bzBuffToBuffCompress((char *)to, &room, from, len, 9, 0, 0) == BZ_OK);
    return room;
}

/* A patch of `count` controls, with `diff_len` zero differences and `extra_len` extra bytes. */
static size_t
build(uint8_t patch[8192], const uint64_t controls[][3], size_t count, unsigned diff_len, unsigned extra_len,
      uint64_t new_len)
{
    static uint8_t zeros[4096];
    uint8_t *raw = rb_alloc(count * 24);
    unsigned at = 32;

    for (size_t i = 0; i < count * 3; i++) {
        put_u64(raw + i * 8, controls[i / 3][i % 3]);
    }
    memcpy(patch, "BSDIFF40", 8);
    unsigned control_len = pack(patch + at, 8192 - at, raw, (unsigned)count * 24);
    at += control_len;
    unsigned packed = pack(patch + at, 8192 - at, zeros, diff_len);
    at += packed;
    put_u64(patch + 8, control_len);
    put_u64(patch + 16, packed);
    put_u64(patch + 24, new_len);
    at += pack(patch + at, 8192 - at, zeros, extra_len);
    free(raw);
    return at;
}

static rb_err
apply(const uint8_t *patch, size_t len)
{
    uint8_t *copy = rb_alloc(len); /* a block of its own, so that the sanitizer sees a step beyond */
    uint8_t *new = NULL;
    size_t new_len = 0;

    memcpy(copy, patch, len);
    rb_err err = forge_bsdiff_decode(copy, len, old, OLD_LEN, &new, &new_len);
    free(copy);
    if (err == RB_OK) {
        static const uint8_t zeros[4096];
        CHECK(new_len < sizeof zeros && memcmp(new, zeros, new_len) == 0); /* what every patch here would make */
        free(new);
    }
    return err;
}

TEST(bsdiff40_patches_give_the_file_back)
{
    static const size_t lens[][2] = {{0, 0}, {0, 5}, {5, 0}, {1, 1}, {1000, 1000}, {3000, 100}, {100, 70000}};

    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        uint8_t *a = rb_alloc(lens[i][0]);
        uint8_t *b = rb_alloc(lens[i][1]);
        uint8_t *patch;
        uint8_t *again;
        size_t patch_len;
        size_t again_len;
        for (size_t j = 0; j < lens[i][0]; j++) {
            a[j] = (uint8_t)(j * j >> 3);
        }
        for (size_t j = 0; j < lens[i][1]; j++) {
            b[j] = (uint8_t)((j + 40) * (j + 40) >> 3) ^ (j % 97 == 0);
        }
        CHECK_OK(forge_bsdiff_encode(a, lens[i][0], b, lens[i][1], &patch, &patch_len));
        CHECK_OK(forge_bsdiff_decode(patch, patch_len, a, lens[i][0], &again, &again_len));
        CHECK(again_len == lens[i][1] && memcmp(again, b, again_len) == 0);
        free(a);
        free(b);
        free(patch);
        free(again);
    }
}

TEST(DELTA_01_bsdiff40_controls_out_of_range_are_refused)
{
    static const uint64_t controls[][3] = {
        {600 | SIGN, 0, 0},                  /* negative lengths */
        {0, 600 | SIGN, 0},
        {601, 0, 0},                         /* more than is asked for */
        {600, 1, 0},
        {0, 601, 0},
        {SIGN - 1, 2, 0},                    /* sums that wrap */
        {600, UINT64_MAX, 0},
        {UINT64_MAX, 601, 0},
        {UINT32_MAX, 1, 0},
        {1, UINT32_MAX, 0},
    };
    static const uint64_t good[][3] = {{300, 100, 500}, {200, 0, 0}};
    uint8_t patch[8192];

    CHECK_OK(apply(patch, build(patch, good, 2, 500, 100, NEW_LEN)));
    for (size_t i = 0; i < sizeof controls / sizeof controls[0]; i++) {
        CHECK_ERR(apply(patch, build(patch, &controls[i], 1, 1000, 1000, NEW_LEN)), RB_ERR_PAYLOAD_STREAM);
    }
}

TEST(DELTA_02_bsdiff40_seeks_stay_in_the_old_file)
{
    /* Seeks from 0; the bytes after it are all extra ones, so that nothing but the seek can be wrong. */
    static const uint64_t bad[] = {1 | SIGN, 1000 | SIGN, 1001, SIGN - 1, UINT64_MAX};
    static const uint64_t good[] = {0, 1, 1000, SIGN};
    uint8_t patch[8192];

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const uint64_t c[][3] = {{0, 100, bad[i]}, {0, 500, 0}};
        CHECK_ERR(apply(patch, build(patch, c, 2, 0, NEW_LEN, NEW_LEN)), RB_ERR_PAYLOAD_STREAM);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        const uint64_t c[][3] = {{0, 100, good[i]}, {0, 500, 0}};
        CHECK_OK(apply(patch, build(patch, c, 2, 0, NEW_LEN, NEW_LEN)));
    }
}

TEST(DELTA_02_bsdiff40_reads_stay_in_the_old_file)
{
    static const uint64_t past[][3] = {{300, 0, 600}, {101, 0, 0}};
    static const uint64_t up_to[][3] = {{300, 0, 600}, {100, 200, 0}};
    uint8_t patch[8192];

    CHECK_ERR(apply(patch, build(patch, past, 2, 401, 0, 401)), RB_ERR_PAYLOAD_STREAM);
    CHECK_OK(apply(patch, build(patch, up_to, 2, 400, 200, NEW_LEN)));
}

TEST(DELTA_04_bsdiff40_controls_that_make_nothing_are_bounded)
{
    uint64_t(*idle)[3] = rb_alloc(200000 * sizeof *idle);
    uint8_t patch[8192];

    idle[199999][1] = NEW_LEN; /* the last one makes all of it */
    CHECK_ERR(apply(patch, build(patch, (const uint64_t(*)[3])idle, 200000, 0, NEW_LEN, NEW_LEN)),
              RB_ERR_PAYLOAD_STREAM);
    idle[NEW_LEN][1] = NEW_LEN;
    CHECK_OK(apply(patch, build(patch, (const uint64_t(*)[3])idle, NEW_LEN + 1, 0, NEW_LEN, NEW_LEN)));
    free(idle);
}

TEST(DELTA_07_bsdiff40_lengths_must_agree)
{
    static const uint64_t c[][3] = {{300, 300, 0}};
    uint8_t patch[8192];
    size_t len = build(patch, c, 1, 300, 300, NEW_LEN);

    CHECK_OK(apply(patch, len));
    CHECK_ERR(apply(patch, build(patch, c, 1, 299, 300, NEW_LEN)), RB_ERR_PAYLOAD_STREAM);
    CHECK_ERR(apply(patch, build(patch, c, 1, 300, 299, NEW_LEN)), RB_ERR_PAYLOAD_STREAM);
    CHECK_ERR(apply(patch, build(patch, c, 1, 301, 300, NEW_LEN)), RB_ERR_PAYLOAD_STREAM);
    CHECK_ERR(apply(patch, build(patch, c, 1, 300, 301, NEW_LEN)), RB_ERR_PAYLOAD_STREAM);
    CHECK_ERR(apply(patch, build(patch, c, 1, 300, 300, NEW_LEN + 1)), RB_ERR_PAYLOAD_STREAM);
    CHECK_ERR(apply(patch, build(patch, c, 1, 300, 300, NEW_LEN - 1)), RB_ERR_PAYLOAD_STREAM);
}

TEST(bsdiff40_headers_out_of_range_are_refused)
{
    static const uint64_t c[][3] = {{300, 300, 0}};
    static const uint64_t lens[] = {SIGN, SIGN | 5, UINT64_MAX, UINT64_C(1) << 32, 8192};
    uint8_t patch[8192];
    size_t len = build(patch, c, 1, 300, 300, NEW_LEN);

    for (size_t field = 8; field <= 16; field += 8) {
        for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
            len = build(patch, c, 1, 300, 300, NEW_LEN);
            put_u64(patch + field, lens[i]);
            CHECK_ERR(apply(patch, len), RB_ERR_PAYLOAD_FIELD);
        }
    }
    len = build(patch, c, 1, 300, 300, FORGE_DELTA_FILE_MAX + 1);
    CHECK_ERR(apply(patch, len), RB_ERR_TOO_LARGE);
    len = build(patch, c, 1, 300, 300, SIGN | 600);
    CHECK_ERR(apply(patch, len), RB_ERR_TOO_LARGE);
    patch[0] = 'b';
    CHECK_ERR(apply(patch, len), RB_ERR_PAYLOAD_MAGIC);
}

TEST(bsdiff40_patches_cut_or_changed_are_refused)
{
    static const uint64_t c[][3] = {{300, 300, 0}};
    uint8_t patch[8192];
    size_t len = build(patch, c, 1, 300, 300, NEW_LEN);

    for (size_t i = 0; i < len; i++) {
        CHECK(apply(patch, i) != RB_OK);
    }
    for (size_t i = 0; i < len; i++) {
        patch[i] ^= 0x11;
        rb_err err = apply(patch, len); /* bzip2 has bits that say nothing: the right file is right too */
        CHECK(err != RB_OK || i >= 32);
        patch[i] ^= 0x11;
    }
}
