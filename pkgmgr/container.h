/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The outer shape of an .rpk: where the zip's entries end, where the signing block, the central directory and the
 * end record lie. Used for the package and for META-INF/CERT inside it, which is one of its own. Private to librpk.
 *
 * Format: docs/format.md section 5.
 */
#ifndef RB_PKGMGR_CONTAINER_H
#define RB_PKGMGR_CONTAINER_H

#include "lib/core/errors.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RPK_BLOCK_MAGIC "RPK Sig Block 42"
#define RPK_BLOCK_MAX (256u << 10)     /* bytes of signing block; real ones have 2 to 4 KiB */
#define RPK_DIRECTORY_MAX (1u << 20)   /* bytes of central directory */
#define RPK_ENTRIES_MAX 4096u
#define RPK_EOCD_LEN 22u
#define RPK_COMMENT_MAX 65535u

/** Bytes to read from: a file, or memory when `memory` is not NULL. */
struct rpk_source {
    int fd;
    const uint8_t *memory;
    uint64_t len;
};

/** Read exactly `len` bytes at `offset`. RB_ERR_RPK_ZIP when the source ends before, RB_ERR_IO. */
RB_MUST_USE
rb_err rpk_source_read(const struct rpk_source *source, uint64_t offset, void *out, size_t len);

struct rpk_container {
    struct rpk_source source; /* borrowed */
    uint32_t entries_end;     /* section 1 is [0, entries_end); the signing block follows */
    uint32_t directory;       /* offset of the central directory */
    uint32_t directory_len;
    uint32_t end_len;         /* end record with its comment */
    uint16_t entry_count;     /* as the end record says; checked by rpk_zip_open */
    uint8_t *pairs;           /* id-value pairs of the signing block, in memory */
    size_t pairs_len;
    uint8_t *tail;            /* central directory and end record, in memory: what was hashed is what is parsed */
};

/**
 * Find the parts and read block, central directory and end record into memory. Nothing is trusted yet.
 *
 * @param unsigned_too  a zip without a signing block is good too (`pairs` is NULL then): for who is going to sign it
 * @return RB_OK
 *         RB_ERR_RPK_ZIP       not a zip as .rpk allows it
 *         RB_ERR_RPK_UNSIGNED  a zip without a signing block
 *         RB_ERR_RPK_BLOCK     the block's frame is damaged
 */
RB_MUST_USE
rb_err rpk_container_open(const struct rpk_source *source, bool unsigned_too, struct rpk_container *out);
void rpk_container_free(struct rpk_container *c);

#endif
