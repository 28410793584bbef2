/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/bytes.h"

const uint8_t *
rb_read_bytes(struct rb_reader *r, size_t len)
{
    if (r->bad || len > r->left) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *p = r->at;
    r->at += len;
    r->left -= len;
    return p;
}

static uint64_t
read_le(struct rb_reader *r, unsigned len)
{
    const uint8_t *p = rb_read_bytes(r, len);
    uint64_t v = 0;

    for (unsigned i = len; p != NULL && i > 0; i--) {
        v = v << 8 | p[i - 1];
    }
    return v;
}

uint8_t
rb_read_u8(struct rb_reader *r)
{
    return (uint8_t)read_le(r, 1);
}

uint16_t
rb_read_u16(struct rb_reader *r)
{
    return (uint16_t)read_le(r, 2);
}

uint32_t
rb_read_u32(struct rb_reader *r)
{
    return (uint32_t)read_le(r, 4);
}

uint64_t
rb_read_u64(struct rb_reader *r)
{
    return read_le(r, 8);
}

void
rb_read_copy(struct rb_reader *r, void *out, size_t len)
{
    const uint8_t *p = rb_read_bytes(r, len);

    if (p != NULL) {
        rb_copy(out, p, len);
    } else {
        rb_fill(out, 0, len);
    }
}

bool
rb_read_zeros(struct rb_reader *r, size_t len)
{
    const uint8_t *p = rb_read_bytes(r, len);

    return p != NULL && rb_all(p, len, 0);
}

static uint8_t *
claim(struct rb_writer *w, size_t len)
{
    if (w->bad || len > w->left) {
        w->bad = true;
        return NULL;
    }
    uint8_t *p = w->at;
    w->at += len;
    w->left -= len;
    return p;
}

void
rb_write_bytes(struct rb_writer *w, const void *data, size_t len)
{
    uint8_t *p = claim(w, len);

    if (p != NULL) {
        rb_copy(p, data, len);
    }
}

void
rb_write_zeros(struct rb_writer *w, size_t len)
{
    uint8_t *p = claim(w, len);

    if (p != NULL) {
        rb_fill(p, 0, len);
    }
}

static void
write_le(struct rb_writer *w, uint64_t v, unsigned len)
{
    uint8_t *p = claim(w, len);

    for (unsigned i = 0; p != NULL && i < len; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

void
rb_write_u8(struct rb_writer *w, uint8_t v)
{
    write_le(w, v, 1);
}

void
rb_write_u16(struct rb_writer *w, uint16_t v)
{
    write_le(w, v, 2);
}

void
rb_write_u32(struct rb_writer *w, uint32_t v)
{
    write_le(w, v, 4);
}

void
rb_write_u64(struct rb_writer *w, uint64_t v)
{
    write_le(w, v, 8);
}

bool
rb_equal(const void *a, const void *b, size_t len)
{
    const volatile uint8_t *x = a;
    const volatile uint8_t *y = b;
    uint8_t differ = 0;

    for (size_t i = 0; i < len; i++) {
        differ |= (uint8_t)(x[i] ^ y[i]);
    }
    return differ == 0;
}

bool
rb_all(const void *data, size_t len, uint8_t v)
{
    const uint8_t *p = data;
    uint8_t differ = 0;

    for (size_t i = 0; i < len; i++) {
        differ |= (uint8_t)(p[i] ^ v);
    }
    return differ == 0;
}

void
rb_copy(void *to, const void *from, size_t len)
{
    if (len > 0) {
        __builtin_memcpy(to, from, len);
    }
}

void
rb_fill(void *to, uint8_t v, size_t len)
{
    if (len > 0) {
        __builtin_memset(to, v, len);
    }
}

uint32_t
rb_crc32(uint32_t crc, const void *data, size_t len)
{
    /* Half-byte table: 64 bytes of code space instead of 1 KiB; the loader only sums records. */
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    const uint8_t *p = data;

    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc = (crc >> 4) ^ table[(crc ^ p[i]) & 15];
        crc = (crc >> 4) ^ table[(crc ^ (uint32_t)(p[i] >> 4)) & 15];
    }
    return ~crc;
}
