/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Payload bytes kept until the slot no longer needs them, so that a cut costs no second fetch (docs/format.md 7.4).
 *
 * A spool file holds the bytes of one payload from one restart point on, as they came, and nothing else; its name
 * says which payload (hash of the header) and which segment it starts with. Its content is believed only segment by
 * segment, by the hashes in the payload's header, so a torn or altered file costs a fetch and nothing more.
 */
#ifndef RB_OTA_SPOOL_H
#define RB_OTA_SPOOL_H

#include "lib/core/crypto.h"
#include "lib/core/errors.h"

#include <stdint.h>

struct ota_spool {
    const char *dir; /* borrowed */
    char payload[2 * RB_SHA256_LEN + 1];
    int fd;
    uint32_t first; /* segment the file starts with */
    uint64_t len;   /* bytes in it */
};

/** Work with the payload whose header has this hash; files of other payloads are removed. No file is open yet. */
RB_MUST_USE
rb_err ota_spool_init(struct ota_spool *s, const char *dir, const uint8_t header_sha256[RB_SHA256_LEN]);

/** The payload's header, kept from an earlier run. RB_ERR_NOT_FOUND when it is not there or not the right one. */
RB_MUST_USE
rb_err ota_spool_load_header(const struct ota_spool *s, uint8_t *header, uint32_t len);
RB_MUST_USE
rb_err ota_spool_keep_header(const struct ota_spool *s, const uint8_t *header, uint32_t len);

/** The file that starts with the highest segment up to `last`, and its length; RB_ERR_NOT_FOUND when there is none. */
RB_MUST_USE
rb_err ota_spool_find(const struct ota_spool *s, uint32_t last, uint32_t *first, uint64_t *len);

/** Open the file that starts with segment `first`, or make an empty one; others of the payload are removed. */
RB_MUST_USE
rb_err ota_spool_open(struct ota_spool *s, uint32_t first);

RB_MUST_USE
rb_err ota_spool_append(struct ota_spool *s, const void *data, uint32_t len);
/** Read at `offset`; RB_ERR_TRUNCATED when the file has less. */
RB_MUST_USE
rb_err ota_spool_read(const struct ota_spool *s, uint64_t offset, void *out, uint32_t len);
/** Forget everything from `len` on. */
RB_MUST_USE
rb_err ota_spool_truncate(struct ota_spool *s, uint64_t len);
/** Make what was appended survive a power cut. */
RB_MUST_USE
rb_err ota_spool_sync(const struct ota_spool *s);

/** Start anew with segment `first`, whose bytes stand at `offset` of the present file; `buffer` is for copying.
 * At every moment the old or the new file is whole. */
RB_MUST_USE
rb_err ota_spool_advance(struct ota_spool *s, uint32_t first, uint64_t offset, uint8_t *buffer, uint32_t buffer_len);

void ota_spool_close(struct ota_spool *s);
/** Remove everything in the spool directory. */
RB_MUST_USE
rb_err ota_spool_clear(const char *dir);

#endif
