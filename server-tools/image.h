/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Making boot images (docs/format.md section 2).
 */
#ifndef RB_FORGE_IMAGE_H
#define RB_FORGE_IMAGE_H

#include "lib/core/image.h"
#include "server-tools/key.h"

/** What goes into a header besides what is computed from the body. */
struct forge_image_spec {
    const char *version;
    const char *hardware[RB_IMAGE_HARDWARE_MAX]; /* whole ids a device must match one of */
    unsigned hardware_count;
    uint32_t security_counter;
    uint8_t type;     /* enum rb_image_type; 0: RB_IMAGE_APP */
    uint8_t affinity; /* enum rb_image_affinity */
    uint64_t load_address;
    uint64_t entry_address; /* lies in the body; equal to load_address for its first byte */
};

/** Bytes a body may have, so that the image's length fits 32 bits. */
#define FORGE_IMAGE_BODY_MAX \
    (UINT32_MAX / (RB_IMAGE_CHUNK_LEN + RB_SHA256_LEN) * RB_IMAGE_CHUNK_LEN - 2 * RB_IMAGE_CHUNK_LEN)

/**
 * Header, body, table and the zeros between them in new memory that the caller frees. The same input gives the same
 * bytes: nothing of the time or the machine goes in, and the signature is deterministic.
 *
 * @return RB_OK, RB_ERR_IMAGE_FIELD (with the field in the detail), RB_ERR_KEY_FORMAT (not a P-256 key),
 *         RB_ERR_KEY_SIGN
 */
RB_MUST_USE
rb_err forge_image_build(const struct forge_image_spec *spec, const uint8_t *body, size_t body_len,
                         const struct forge_key *key, uint8_t **image, size_t *len);

/**
 * Check a whole image file: header, body, table, padding, and that nothing follows.
 * @return RB_OK, or an error of rb_image_header_verify, rb_image_admit, RB_ERR_IMAGE_SIZE, _TRAILING, _CHUNKS, _BODY
 */
RB_MUST_USE
rb_err forge_image_verify(const uint8_t *data, size_t len, const struct rb_image_keys *keys,
                          const struct rb_image_policy *policy, struct rb_image *image);

/** Turn a verified image file, in place, into its compact form: rb_image_compact_len bytes. */
void forge_image_compact(uint8_t *data, const struct rb_image *image);

#endif
