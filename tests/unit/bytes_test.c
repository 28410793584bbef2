/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/bytes.h"
#include "tests/support/test.h"

TEST(reader_reads_little_endian_and_counts)
{
    static const uint8_t data[] = {0x01, 0x03, 0x02, 0x07, 0x06, 0x05, 0x04, 1, 2, 3, 4, 5, 6, 7, 8};
    struct rb_reader r = rb_reader_of(data, sizeof data);

    CHECK(rb_read_u8(&r) == 0x01);
    CHECK(rb_read_u16(&r) == 0x0203);
    CHECK(rb_read_u32(&r) == 0x04050607);
    CHECK(rb_read_u64(&r) == 0x0807060504030201u);
    CHECK(r.left == 0 && !r.bad);
}

TEST(reader_never_passes_its_end_and_remembers)
{
    static const uint8_t data[3] = {1, 2, 3};

    for (size_t len = 0; len <= sizeof data; len++) {
        struct rb_reader r = rb_reader_of(data, len);
        uint8_t out[4] = {9, 9, 9, 9};
        CHECK(rb_read_u32(&r) == 0 && r.bad);
        CHECK(rb_read_u8(&r) == 0); /* still bad, although a byte may be left */
        rb_read_copy(&r, out, sizeof out);
        CHECK(rb_all(out, sizeof out, 0));
        CHECK(rb_read_bytes(&r, 0) == NULL);
        CHECK(!rb_read_zeros(&r, 0));
    }
}

TEST(reader_refuses_lengths_that_would_wrap)
{
    static const uint8_t data[8];
    struct rb_reader r = rb_reader_of(data, sizeof data);

    CHECK(rb_read_bytes(&r, SIZE_MAX) == NULL && r.bad);
}

TEST(writer_writes_nothing_that_does_not_fit)
{
    uint8_t out[6] = {0};
    struct rb_writer w = rb_writer_of(out, 5);

    rb_write_u32(&w, 0x04030201);
    rb_write_u16(&w, 0xffff);
    CHECK(w.bad);
    rb_write_u8(&w, 5); /* would fit, but the writer is bad */
    CHECK(memcmp(out, "\1\2\3\4\0\0", 6) == 0);
}

TEST(equal_looks_at_every_byte)
{
    uint8_t a[32] = {0};
    uint8_t b[32] = {0};

    CHECK(rb_equal(a, b, sizeof a));
    for (unsigned i = 0; i < 256; i++) {
        b[i / 8] ^= (uint8_t)(1u << (i % 8));
        CHECK(!rb_equal(a, b, sizeof a));
        CHECK(!rb_all(b, sizeof b, 0));
        b[i / 8] ^= (uint8_t)(1u << (i % 8));
    }
}

TEST(crc32_is_the_one_of_zip)
{
    CHECK(rb_crc32(0, "123456789", 9) == 0xcbf43926);
    CHECK(rb_crc32(0, "", 0) == 0);
    CHECK(rb_crc32(rb_crc32(0, "1234", 4), "56789", 5) == 0xcbf43926);
}
