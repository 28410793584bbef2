/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer target: whatever the bytes, parser and decoder keep to their memory and end. The hashes in the table are
 * made right first, as someone who makes payloads would, so that the decoder sees the mutations.
 *
 * Input: a payload. Its old file is made up from the header's old_len.
 */
#include "lib/core/payload.h"

#include <stdlib.h>
#include <string.h>

#define NEW_MAX (1u << 20) /* output that is looked at: larger claims only cost time */
#define OLD_MAX (1u << 20)
#define MEMORY_MAX (1u << 20)

struct world {
    uint64_t old_len;
    uint64_t new_len;
    uint64_t written;
};

static rb_err
read_old(void *ctx, uint64_t offset, uint8_t *out, uint32_t len)
{
    const struct world *w = ctx;

    if (offset > w->old_len || len > w->old_len - offset || len == 0) {
        abort();
    }
    for (uint32_t i = 0; i < len; i++) {
        out[i] = (uint8_t)((offset + i) * 5 >> 3);
    }
    return RB_OK;
}

static rb_err
write_new(void *ctx, uint64_t offset, const uint8_t *data, uint32_t len)
{
    struct world *w = ctx;
    volatile uint8_t sum = 0;

    if (offset != w->written || len > w->new_len - offset || len == 0) {
        abort();
    }
    for (uint32_t i = 0; i < len; i++) {
        sum ^= data[i];
    }
    w->written += len;
    return RB_OK;
}

static void
decode(uint8_t *payload, size_t size, const struct rb_payload *p)
{
    struct world w = {.old_len = p->old_len, .new_len = p->new_len};
    const struct rb_payload_io io = {.ctx = &w, .read_old = read_old, .write_new = write_new};
    struct rb_payload_decoder *d;
    struct rb_payload_segment s;
    void *memory = malloc(p->memory);

    if (memory == NULL || rb_payload_decoder_init(memory, p->memory, p, &io, 0, 0, &d) != RB_OK) {
        abort();
    }
    for (uint32_t i = 0; i < p->segment_count; i++) {
        rb_payload_segment(p, i, i == 0 ? NULL : &s, &s);
        if (s.offset > size || s.len > size - s.offset) {
            break;
        }
        rb_sha256(payload + s.offset, s.len, payload + RB_PAYLOAD_FIXED_LEN + (size_t)i * RB_PAYLOAD_ENTRY_LEN + 8);
        rb_err err = rb_payload_decode(d, payload + s.offset, s.len);
        if (err != RB_OK && err != RB_ERR_PAYLOAD_STREAM) {
            abort();
        }
        if (err == RB_OK && w.written != s.new_offset + s.new_len) {
            abort();
        }
        if (err != RB_OK) {
            break;
        }
    }
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *payload = malloc(size + 1);
    struct rb_payload p;
    uint32_t header_len;

    if (payload == NULL || size < RB_PAYLOAD_FIXED_LEN) {
        free(payload);
        return 0;
    }
    memcpy(payload, data, size);
    if (rb_payload_header_len(payload, &header_len) == RB_OK
        && rb_payload_parse(payload, size < header_len ? size : header_len, &p) == RB_OK && p.new_len <= NEW_MAX
        && p.old_len <= OLD_MAX && p.memory <= MEMORY_MAX) {
        decode(payload, size, &p);
    }
    free(payload);
    return 0;
}
