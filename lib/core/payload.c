/* SPDX-License-Identifier: Apache-2.0
 *
 * The payload's header and segment table. docs/format.md 4.1 and 4.2.
 *
 *   offset  0      4        6      8       12      16       24       32          64
 *           "RBP1" version  flags  coding  memory  old_len  new_len  old_sha256  new_sha256
 *           96             100            104          105         106
 *           segment_count  restart_every  window_bits  table_bits  cache_bits  zeros to 192
 */
#include "lib/core/payload.h"

#include "lib/core/payload_model.h"

#define RESERVED_LEN (RB_PAYLOAD_FIXED_LEN - 107u)

static bool
between(unsigned v, unsigned min, unsigned max)
{
    return v >= min && v <= max;
}

uint32_t
rb_payload_memory(uint32_t coding, unsigned window_bits, unsigned table_bits, unsigned cache_bits)
{
    if (coding == RB_PAYLOAD_RAW) {
        return (window_bits | table_bits | cache_bits) == 0 ? RB_PM_RAW_MEMORY : 0;
    }
    if (!between(window_bits, RB_PM_WINDOW_BITS_MIN, RB_PM_WINDOW_BITS_MAX)
        || !between(table_bits, RB_PM_TABLE_BITS_MIN, RB_PM_TABLE_BITS_MAX)
        || (cache_bits != 0 && !between(cache_bits, RB_PM_CACHE_BITS_MIN, RB_PM_CACHE_BITS_MAX))) {
        return 0;
    }
    return RB_PM_FIXED_MEMORY + (1u << window_bits) + (2u << table_bits) + (cache_bits != 0 ? 1u << cache_bits : 0);
}

/* Reads the fixed part; every field is checked against every other here. */
static rb_err
parse_fixed(struct rb_reader *r, struct rb_payload *p)
{
    if (rb_read_u32(r) != 0x31504252u) { /* "RBP1" */
        return r->bad ? RB_ERR_TRUNCATED : RB_ERR_PAYLOAD_MAGIC;
    }
    if (rb_read_u16(r) != RB_PAYLOAD_VERSION) {
        return r->bad ? RB_ERR_TRUNCATED : RB_ERR_PAYLOAD_VERSION;
    }
    uint16_t flags = rb_read_u16(r);
    p->coding = rb_read_u32(r);
    p->memory = rb_read_u32(r);
    p->old_len = rb_read_u64(r);
    p->new_len = rb_read_u64(r);
    rb_read_copy(r, p->old_sha256, RB_SHA256_LEN);
    rb_read_copy(r, p->new_sha256, RB_SHA256_LEN);
    p->segment_count = rb_read_u32(r);
    p->restart_every = rb_read_u32(r);
    p->window_bits = rb_read_u8(r);
    p->table_bits = rb_read_u8(r);
    p->cache_bits = rb_read_u8(r);
    bool zeros = rb_read_zeros(r, RESERVED_LEN);

    if (r->bad) {
        return RB_ERR_TRUNCATED;
    }
    if (p->coding != RB_PAYLOAD_RAW && p->coding != RB_PAYLOAD_MIXED) {
        return RB_ERR_PAYLOAD_VERSION;
    }
    if (flags != 0 || !zeros || !between(p->segment_count, 1, RB_PAYLOAD_SEGMENT_COUNT_MAX)
        || p->restart_every > RB_PAYLOAD_SEGMENT_COUNT_MAX || p->new_len == 0 || p->new_len > RB_PAYLOAD_FILE_MAX
        || p->old_len > RB_PAYLOAD_FILE_MAX || (p->old_len == 0 && !rb_all(p->old_sha256, RB_SHA256_LEN, 0))) {
        return RB_ERR_PAYLOAD_FIELD;
    }
    bool wants_cache = p->coding == RB_PAYLOAD_MIXED && p->old_len != 0;
    if (p->memory == 0 || p->memory != rb_payload_memory(p->coding, p->window_bits, p->table_bits, p->cache_bits)
        || (p->cache_bits != 0) != wants_cache) {
        return RB_ERR_PAYLOAD_FIELD;
    }
    p->header_len = RB_PAYLOAD_FIXED_LEN + p->segment_count * RB_PAYLOAD_ENTRY_LEN;
    return RB_OK;
}

rb_err
rb_payload_header_len(const uint8_t fixed[RB_PAYLOAD_FIXED_LEN], uint32_t *len)
{
    struct rb_reader r = rb_reader_of(fixed, RB_PAYLOAD_FIXED_LEN);
    struct rb_payload p = {0};

    RB_TRY(parse_fixed(&r, &p));
    *len = p.header_len;
    return RB_OK;
}

static uint32_t
entry_u32(const uint8_t *entry, size_t at)
{
    struct rb_reader r = rb_reader_of(entry + at, 4);

    return rb_read_u32(&r);
}

/* Lengths of every segment are possible, and their outputs add up to new_len. */
static rb_err
check_table(const struct rb_payload *p)
{
    uint64_t left = p->new_len;

    for (uint32_t i = 0; i < p->segment_count; i++) {
        const uint8_t *entry = p->table + (size_t)i * RB_PAYLOAD_ENTRY_LEN;
        uint32_t len = entry_u32(entry, 0);
        uint32_t new_len = entry_u32(entry, 4);
        if (!between(len, 1, RB_PAYLOAD_SEGMENT_MAX) || new_len == 0 || new_len > left
            || (p->coding == RB_PAYLOAD_RAW && len != new_len)) {
            return RB_ERR_PAYLOAD_FIELD;
        }
        left -= new_len;
    }
    return left == 0 ? RB_OK : RB_ERR_PAYLOAD_FIELD;
}

rb_err
rb_payload_parse(const uint8_t *header, size_t len, struct rb_payload *out)
{
    struct rb_reader r = rb_reader_of(header, len);
    struct rb_payload p = {0};

    RB_TRY(parse_fixed(&r, &p));
    p.table = rb_read_bytes(&r, p.header_len - RB_PAYLOAD_FIXED_LEN);
    if (p.table == NULL) {
        return RB_ERR_TRUNCATED;
    }
    if (r.left != 0) {
        return RB_ERR_PAYLOAD_FIELD;
    }
    RB_TRY(check_table(&p));
    *out = p;
    return RB_OK;
}

void
rb_payload_segment(const struct rb_payload *p, uint32_t index, const struct rb_payload_segment *previous,
                   struct rb_payload_segment *out)
{
    const uint8_t *entry = p->table + (size_t)index * RB_PAYLOAD_ENTRY_LEN;

    out->offset = previous == NULL ? p->header_len : previous->offset + previous->len;
    out->new_offset = previous == NULL ? 0 : previous->new_offset + previous->new_len;
    out->len = entry_u32(entry, 0);
    out->new_len = entry_u32(entry, 4);
    out->sha256 = entry + 8;
}
