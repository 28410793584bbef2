/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The update payload: a stream that rebuilds a file from an old one, or from
 * nothing (docs/format.md section 4).
 *
 *   | header, fixed part | segment table | segment 0 | segment 1 | ...
 *
 * Signed metadata names the length and SHA-256 of header and table together.
 * Each segment is checked against the table before the decoder sees it. Output
 * comes in order. The decoder allocates nothing and never holds more than the
 * memory the header declares.
 *
 * Continuing after a cut: segments are decoded in order from a restart point
 * (segment 0, and every `restart_every` segments after it). Whoever keeps the
 * segments fetched since the last restart point can go on from there.
 */
#ifndef RB_CORE_PAYLOAD_H
#define RB_CORE_PAYLOAD_H

#include "lib/core/bytes.h"
#include "lib/core/crypto.h"
#include "lib/core/errors.h"

#define RB_PAYLOAD_FIXED_LEN 192u     /* bytes of the header before the segment table */
#define RB_PAYLOAD_ENTRY_LEN 40u      /* bytes of a segment table entry */
#define RB_PAYLOAD_SEGMENT_MAX 65536u /* stored bytes of a segment, at most */
#define RB_PAYLOAD_HEADER_MAX (RB_PAYLOAD_FIXED_LEN + RB_PAYLOAD_ENTRY_LEN * 65536u)

struct rb_payload {
    uint64_t old_len; /* 0 when the payload needs no old file */
    uint64_t new_len;
    uint8_t old_sha256[RB_SHA256_LEN]; /* zeros when old_len is 0 */
    uint8_t new_sha256[RB_SHA256_LEN];
    uint32_t coding;        /* how segments are coded; docs/format.md 4.3 */
    uint32_t memory;        /* bytes the decoder needs */
    uint32_t segment_count; /* 1..65536 */
    uint32_t restart_every; /* segments between restart points; 0: only segment 0 is one */
    uint32_t header_len;    /* RB_PAYLOAD_FIXED_LEN + segment_count * RB_PAYLOAD_ENTRY_LEN */
    const uint8_t *table;   /* the segment table, borrowed from the buffer that was parsed */
};

struct rb_payload_segment {
    uint64_t offset;     /* in the payload file */
    uint64_t new_offset; /* first output byte it makes */
    uint32_t len;        /* stored bytes, 1..RB_PAYLOAD_SEGMENT_MAX */
    uint32_t new_len;    /* output bytes, 1.. */
    const uint8_t *sha256;
};

/** Length of header and table, from the fixed part alone: for reading a file that is not signed for (tools). */
RB_MUST_USE
rb_err rb_payload_header_len(const uint8_t fixed[RB_PAYLOAD_FIXED_LEN], uint32_t *len);

/**
 * Parse header and table. Everything is checked here once: magic, version, reserved bytes, that segments add up to
 * new_len, every bound. `header` must outlive `out`.
 *
 * @return RB_OK, RB_ERR_PAYLOAD_MAGIC, RB_ERR_PAYLOAD_VERSION, RB_ERR_PAYLOAD_FIELD, RB_ERR_TRUNCATED
 * Cost: one pass over the table.
 */
RB_MUST_USE
rb_err rb_payload_parse(const uint8_t *header, size_t len, struct rb_payload *out);

/** Walk segments in order; start with `offset` and `new_offset` of segment 0: rb_payload_segment(p, 0, NULL, out).
 * `previous` may be any earlier segment's result with its index = index - 1. Constant time. */
void rb_payload_segment(const struct rb_payload *p, uint32_t index, const struct rb_payload_segment *previous,
                        struct rb_payload_segment *out);

/** Whether decoding can start at segment `index`. */
static inline bool
rb_payload_is_restart(const struct rb_payload *p, uint32_t index)
{
    return index == 0 || (p->restart_every != 0 && index % p->restart_every == 0);
}

struct rb_payload_io {
    void *ctx;
    /** Read old bytes; the decoder never asks for any outside 0..old_len. May be slow: reads are few and cached. */
    rb_err (*read_old)(void *ctx, uint64_t offset, uint8_t *out, uint32_t len);
    /** Read back output made earlier (offset + len <= bytes already written). */
    rb_err (*read_new)(void *ctx, uint64_t offset, uint8_t *out, uint32_t len);
    /** Take the next `len` output bytes, at `offset`. */
    rb_err (*write_new)(void *ctx, uint64_t offset, const uint8_t *data, uint32_t len);
};

struct rb_payload_decoder; /* lives in the caller's memory */

/**
 * Set up a decoder in `memory`, which must be aligned to 8 and at least payload->memory bytes.
 *
 * @param payload  parsed header, borrowed until the decoder is done
 * @param first    segment to start with; must be a restart point
 * @param new_offset  output offset of that segment
 * @return RB_OK; RB_ERR_PAYLOAD_MEMORY when memory_len < payload->memory or the declared need is not what this
 *         decoder needs; RB_ERR_ARG when `first` is no restart point
 */
RB_MUST_USE
rb_err rb_payload_decoder_init(void *memory, size_t memory_len, const struct rb_payload *payload,
                               const struct rb_payload_io *io, uint32_t first, uint64_t new_offset,
                               struct rb_payload_decoder **out);

/**
 * Verify the next segment against the table and decode it whole: exactly its new_len output bytes go to write_new.
 *
 * @return RB_OK; RB_ERR_PAYLOAD_SEGMENT (wrong length or hash: nothing was decoded, the decoder can be given the
 *         right bytes); RB_ERR_PAYLOAD_STREAM (start over); or what the io functions returned (start over)
 */
RB_MUST_USE
rb_err rb_payload_decode(struct rb_payload_decoder *d, const uint8_t *segment, uint32_t len);

#endif
