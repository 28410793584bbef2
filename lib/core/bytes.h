/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Bytes from strangers. A reader cannot run past its end and remembers that it
 * tried: read all fields, look at `bad` once, then use them. A writer does the
 * same for a fixed buffer. All integers are little-endian.
 *
 * No libc: rb_copy, rb_fill and rb_equal compile to mem* calls or loops, and a
 * bare build brings mem* along (lib/core/mem.c).
 */
#ifndef RB_CORE_BYTES_H
#define RB_CORE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rb_reader {
    const uint8_t *at; /* next byte; borrowed */
    size_t left;       /* bytes from `at` to the end */
    bool bad;          /* a read went past the end; all reads since gave 0 or NULL */
};

static inline struct rb_reader
rb_reader_of(const void *data, size_t len)
{
    return (struct rb_reader){.at = data, .left = len, .bad = false};
}

/** The next `len` bytes, borrowed from the reader's buffer; NULL (and bad) when there are fewer. */
const uint8_t *rb_read_bytes(struct rb_reader *r, size_t len);
uint8_t rb_read_u8(struct rb_reader *r);
uint16_t rb_read_u16(struct rb_reader *r);
uint32_t rb_read_u32(struct rb_reader *r);
uint64_t rb_read_u64(struct rb_reader *r);
/** Copy the next `len` bytes to `out`; zeros when there are fewer. */
void rb_read_copy(struct rb_reader *r, void *out, size_t len);
/** Skip `len` bytes and report whether all of them were zero (reserved fields). */
bool rb_read_zeros(struct rb_reader *r, size_t len);

struct rb_writer {
    uint8_t *at;
    size_t left;
    bool bad; /* a write did not fit; nothing has been written since */
};

static inline struct rb_writer
rb_writer_of(void *data, size_t len)
{
    return (struct rb_writer){.at = data, .left = len, .bad = false};
}

void rb_write_bytes(struct rb_writer *w, const void *data, size_t len);
void rb_write_zeros(struct rb_writer *w, size_t len);
void rb_write_u8(struct rb_writer *w, uint8_t v);
void rb_write_u16(struct rb_writer *w, uint16_t v);
void rb_write_u32(struct rb_writer *w, uint32_t v);
void rb_write_u64(struct rb_writer *w, uint64_t v);

/** Equality of exactly `len` bytes in time that depends on `len` alone (digests, tokens). */
bool rb_equal(const void *a, const void *b, size_t len);
/** Whether all `len` bytes have the value `v` (erased flash, reserved fields). */
bool rb_all(const void *data, size_t len, uint8_t v);
void rb_copy(void *to, const void *from, size_t len);
void rb_fill(void *to, uint8_t v, size_t len);

/** CRC-32 (IEEE 802.3, reflected 0xEDB88320, as in zip) of `len` bytes; `crc` is 0 or an earlier result. */
uint32_t rb_crc32(uint32_t crc, const void *data, size_t len);

#endif
