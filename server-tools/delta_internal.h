/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The parts of the payload encoder:
 *
 *   delta_match.c  old, new -> regions of new that are like a piece of old
 *   delta_parse.c  regions, new -> tokens that cover new
 *   delta_code.c   tokens -> segments (the mirror image of lib/core/payload_decode.c)
 *   delta.c        segments -> payload, checked
 */
#ifndef RB_FORGE_DELTA_INTERNAL_H
#define RB_FORGE_DELTA_INTERNAL_H

#include "lib/core/payload.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct forge_files {
    const uint8_t *old;
    size_t old_len;
    const uint8_t *new;
    size_t new_len;
};

/* ---- match ---- */

/** new[new_at .. new_at + len) is mostly equal to old[old_at ..]. Regions are in order and do not overlap in new. */
struct forge_region {
    size_t new_at;
    size_t old_at;
    size_t len;
};

struct forge_regions {
    struct forge_region *list;
    size_t count;
    size_t room;
};

/** Suffix array of old, for the search of exact matches anywhere. */
struct forge_index {
    const uint8_t *old;
    size_t old_len;
    int32_t *suffixes;
    int32_t *buckets; /* first suffix for each two-byte prefix; 65537 */
    uint64_t *filter; /* a bit for each hash of FORGE_MATCH_MIN bytes that old has */
    unsigned filter_bits;
};

#define FORGE_MATCH_MIN 5u /* shorter matches in old are not looked for */

rb_err forge_index_make(struct forge_index *index, const uint8_t *old, size_t old_len);
void forge_index_free(struct forge_index *index);
/** The longest piece of old that starts as `text`; its length, and where in *at. 0 when that is shorter than
 * FORGE_MATCH_MIN. */
size_t forge_index_longest(const struct forge_index *index, const uint8_t *text, size_t len, size_t *at);

/** Find the regions. `gain`: bytes another alignment must match more than the present one to be taken. */
rb_err forge_match(const struct forge_files *files, const struct forge_index *index, unsigned gain,
                   struct forge_regions *out);

/* ---- parse ---- */

struct forge_token {
    uint8_t kind;  /* RB_PM_* */
    uint32_t len;  /* of a literal: so many of them */
    uint64_t from; /* match: distance; copy: old offset */
};

struct forge_tokens {
    struct forge_token *list;
    size_t count;
    size_t room;
};

struct forge_parse_options {
    size_t window;   /* longest match distance, a power of two */
    size_t restart;  /* matches do not reach before multiples of this; 0: no such points */
    size_t cut;      /* matches and copies end at multiples of this; 0: no such points */
    unsigned depth;  /* candidates looked at for each position */
};

rb_err forge_parse(const struct forge_files *files, const struct forge_index *index,
                   const struct forge_regions *regions, const struct forge_parse_options *options,
                   struct forge_tokens *out);

/* ---- code ---- */

struct forge_segment {
    uint32_t new_len;
    uint32_t len;
    size_t offset; /* in the bytes of all segments */
};

struct forge_segments {
    struct forge_segment *list;
    size_t count;
    size_t room;
    uint8_t *bytes;
    size_t bytes_len;
    size_t bytes_room;
};

struct forge_code_options {
    unsigned window_bits;
    unsigned table_bits;
    size_t restart;       /* output bytes between restart points; 0: none but the start */
    size_t segment;       /* output bytes of a segment; 0: as many as fit */
    void (*progress)(void *ctx, uint64_t done);
    void *progress_ctx;
};

/** Segments for `tokens`. With `segment` set, tokens must not cross its multiples. */
rb_err forge_code(const struct forge_files *files, const struct forge_tokens *tokens,
                  const struct forge_code_options *options, struct forge_segments *out);
void forge_segments_free(struct forge_segments *s);

#endif
