/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Making and applying payloads (docs/format.md section 4) and classic BSDIFF40 patches on a build server.
 *
 * Every payload is applied and compared with the new file before it gets its name: a payload that exists, applies.
 */
#ifndef RB_FORGE_DELTA_H
#define RB_FORGE_DELTA_H

#include "lib/core/errors.h"
#include "lib/core/payload.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORGE_DELTA_FILE_MAX (UINT64_C(512) << 20) /* old and new are held in memory, about ten times over */
#define FORGE_PAYLOAD_MEMORY_MIN (64u << 10)
#define FORGE_PAYLOAD_MEMORY_DEFAULT (512u << 10)
#define FORGE_EFFORT_DEFAULT 6

struct forge_payload_options {
    uint32_t memory; /* the decoder may use at most this; 0: FORGE_PAYLOAD_MEMORY_DEFAULT */
    int effort;      /* 1 (fast) .. 9 (small); 0: FORGE_EFFORT_DEFAULT */
    bool progress;   /* draw a progress bar (lib/host/cli.h) */
};

struct forge_payload_stats {
    uint64_t old_len;
    uint64_t new_len;
    uint64_t payload_len;
    uint32_t header_len;
    uint8_t header_sha256[RB_SHA256_LEN];
    uint8_t old_sha256[RB_SHA256_LEN]; /* zeros for a full payload */
    uint8_t new_sha256[RB_SHA256_LEN];
    uint32_t memory; /* what the decoder needs */
    uint32_t segment_count;
    uint32_t restart_every;
    uint32_t coding;
};

/**
 * Make a payload that rebuilds `new_path` from `old_path` (NULL: from nothing), apply it in memory, compare, and only
 * then give it its name, durably.
 *
 * @param options  NULL: defaults
 * @param stats    may be NULL
 * @return RB_OK; RB_ERR_ARG (an empty new file, memory below FORGE_PAYLOAD_MEMORY_MIN); RB_ERR_TOO_LARGE;
 *         RB_ERR_INTERNAL (the payload does not apply: nothing is written); what files give. An empty old file is
 *         taken as none.
 */
RB_MUST_USE
rb_err forge_payload_create(const char *old_path, const char *new_path, const struct forge_payload_options *options,
                            const char *out_path, struct forge_payload_stats *stats);

/** The same from memory to memory; the caller frees *out. */
RB_MUST_USE
rb_err forge_payload_encode(const uint8_t *old, size_t old_len, const uint8_t *new, size_t new_len,
                            const struct forge_payload_options *options, uint8_t **out, size_t *out_len);

/**
 * Apply a payload held in memory with the device's decoder. The old file's and the new file's hash are checked.
 *
 * @param memory_limit  decoder memory allowed; 0: whatever the payload declares
 * @return RB_OK and the new file, which the caller frees; RB_ERR_PAYLOAD_BASE when `old` is not what the payload was
 *         made against; RB_ERR_PAYLOAD_OUTPUT when the result does not match; RB_ERR_PAYLOAD_*; RB_ERR_TOO_LARGE
 */
RB_MUST_USE
rb_err forge_payload_decode(const uint8_t *payload, size_t payload_len, const uint8_t *old, size_t old_len,
                            uint32_t memory_limit, uint8_t **new, size_t *new_len);

/** Apply a payload or BSDIFF40 patch file (told apart by its first bytes) and replace `out_path` with the result. */
RB_MUST_USE
rb_err forge_payload_apply(const char *old_path, const char *payload_path, const char *out_path);

/** Facts of a payload file. RB_ERR_PAYLOAD_*, RB_ERR_IO_NOT_FOUND, ... */
RB_MUST_USE
rb_err forge_payload_info(const char *path, struct forge_payload_stats *stats);

/* ---- BSDIFF40 (server-tools/delta_bsdiff.c) ---- */

/** Whether the bytes begin like a BSDIFF40 patch. */
bool forge_bsdiff_is(const uint8_t *patch, size_t len);

/** Make a patch that bspatch applies. The caller frees *out. */
RB_MUST_USE
rb_err forge_bsdiff_encode(const uint8_t *old, size_t old_len, const uint8_t *new, size_t new_len, uint8_t **out,
                           size_t *out_len);

/** From files to a file, applied and compared before the patch gets its name. */
RB_MUST_USE
rb_err forge_bsdiff_create(const char *old_path, const char *new_path, const char *out_path, uint64_t *patch_len);

/** Apply a patch. Everything in it is checked: lengths, offsets, what the three streams hold.
 * RB_ERR_PAYLOAD_MAGIC, RB_ERR_PAYLOAD_FIELD, RB_ERR_PAYLOAD_STREAM, RB_ERR_TRUNCATED, RB_ERR_TOO_LARGE. */
RB_MUST_USE
rb_err forge_bsdiff_decode(const uint8_t *patch, size_t patch_len, const uint8_t *old, size_t old_len, uint8_t **new,
                           size_t *new_len);

#endif
