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
 * A segment whose stored length is its new length is raw: its bytes are the
 * output. There is no method byte, so raw segments hold whole 64 KiB blocks and
 * the restart points of a full payload fall on multiples of 64 KiB of output.
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
#define RB_PAYLOAD_SEGMENT_COUNT_MAX 65536u
#define RB_PAYLOAD_HEADER_MAX (RB_PAYLOAD_FIXED_LEN + RB_PAYLOAD_ENTRY_LEN * RB_PAYLOAD_SEGMENT_COUNT_MAX)
#define RB_PAYLOAD_VERSION 1u
#define RB_PAYLOAD_FILE_MAX (UINT64_C(1) << 40) /* old_len and new_len, at most */

/* Codings. A decoder refuses one it does not know. */
#define RB_PAYLOAD_RAW 0u   /* every segment is raw */
#define RB_PAYLOAD_MIXED 1u /* copies from old, matches in recent output and literals, by mixed binary models */

struct rb_payload {
    uint64_t old_len; /* 0 when the payload needs no old file */
    uint64_t new_len;
    uint8_t old_sha256[RB_SHA256_LEN]; /* zeros when old_len is 0 */
    uint8_t new_sha256[RB_SHA256_LEN];
    uint32_t coding;        /* how segments are coded: RB_PAYLOAD_RAW or RB_PAYLOAD_MIXED */
    uint32_t memory;        /* bytes the decoder needs; follows from coding and the three sizes below */
    uint8_t window_bits;    /* log2 of the recent output kept, bytes; 12..24, 0 for RAW */
    uint8_t table_bits;     /* log2 of the model's slots, 2 bytes each; 12..24, 0 for RAW */
    uint8_t cache_bits;     /* log2 of the cache of old, bytes; 12..18, 0 for RAW and without an old file */
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

/** Decoder memory for a coding and its three sizes; 0 when a size is out of range. */
uint32_t rb_payload_memory(uint32_t coding, unsigned window_bits, unsigned table_bits, unsigned cache_bits);

/**
 * Length of header and table, from the fixed part alone: for reading a file that is not signed for (tools).
 *
 * @return RB_OK, RB_ERR_PAYLOAD_MAGIC, RB_ERR_PAYLOAD_VERSION, RB_ERR_PAYLOAD_FIELD
 */
RB_MUST_USE
rb_err rb_payload_header_len(const uint8_t fixed[RB_PAYLOAD_FIXED_LEN], uint32_t *len);

/**
 * Parse header and table. Everything is checked here once: magic, version, reserved bytes, that segments add up to
 * new_len, every bound. `header` must outlive `out`.
 *
 * @param len  exactly the header's length: RB_ERR_TRUNCATED when it is less, RB_ERR_PAYLOAD_FIELD when it is more
 * @return RB_OK, RB_ERR_PAYLOAD_MAGIC, RB_ERR_PAYLOAD_VERSION (format version or coding not known here),
 *         RB_ERR_PAYLOAD_FIELD, RB_ERR_TRUNCATED
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
    /** Read back output made earlier (offset + len <= bytes already written). The codings so far never ask; may be
     * NULL. */
    rb_err (*read_new)(void *ctx, uint64_t offset, uint8_t *out, uint32_t len);
    /** Take the next `len` output bytes, at `offset`. Comes in order, in runs that end on multiples of 4 KiB of output
     * but for the last run of a segment. */
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
 * Verify the next segment against the table and decode it whole: exactly its new_len output bytes go to write_new,
 * the last of them before this returns. A failed decoder stays failed: every later call gives the same error.
 *
 * @return RB_OK; RB_ERR_PAYLOAD_SEGMENT (wrong length or hash: nothing was decoded, the decoder can be given the
 *         right bytes); RB_ERR_PAYLOAD_STREAM (start over); RB_ERR_ARG (there is no further segment); or what the io
 *         functions returned (start over)
 */
RB_MUST_USE
rb_err rb_payload_decode(struct rb_payload_decoder *d, const uint8_t *segment, uint32_t len);

#endif
