/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The zip inside an .rpk: its entries, and their contents streamed in order. Private to librpk but for the entry
 * itself, which rpkfile.h shows.
 *
 * Format: docs/format.md 5.1.
 */
#ifndef RB_PKGMGR_ZIP_H
#define RB_PKGMGR_ZIP_H

#include "pkgmgr/container.h"
#include "pkgmgr/signature.h"

#include <stdbool.h>

#define RPK_NAME_MAX 1024u

struct rpk_entry {
    const char *name; /* "pages/Home/index.js"; of a directory without the slash at its end */
    bool directory;
    uint32_t len;     /* inflated */
    uint8_t sha256[32]; /* of the content; set once the package is verified */

    /* where it lies; for zip.c */
    const uint8_t *central;
    uint32_t offset;
    uint32_t packed_len;
    uint32_t crc;
    uint16_t method;
    uint32_t dos_time; /* time, then date << 16; UTC in real packages */
};

struct rpk_zip {
    const struct rpk_container *container; /* borrowed */
    struct rpk_entry *entries;             /* in file order */
    unsigned count;
    uint64_t total_len;                    /* sum of all inflated lengths */
    uint32_t entries_len;                  /* end of the last entry */
    char *names;                           /* what the entries' names point into */
};

/**
 * Read the central directory and check every rule that needs no local header: fields, names, duplicates (case folded),
 * a file where another entry needs a directory, total size, entries side by side without gap or overlap.
 *
 * @param total_max  limit for the sum of inflated lengths
 * @param old_block  an older signing block may stand between the last entry and the one in force: hap-toolkit leaves
 *                   one in META-INF/CERT when it signs a signed package again
 * @return RB_OK, RB_ERR_RPK_ZIP, RB_ERR_RPK_NAME
 */
RB_MUST_USE
rb_err rpk_zip_open(const struct rpk_container *c, uint64_t total_max, bool old_block, struct rpk_zip *out);
void rpk_zip_free(struct rpk_zip *zip);

/** Whether a name may stand in a package: relative, no "." or ".." or empty component, no backslash, control or
 * invisible character, valid UTF-8. A slash at the end is not part of the name. */
RB_MUST_USE
rb_err rpk_name_check(const char *name, size_t len);

/** What a walk tells. Each call may end the walk with an error, which is passed on. */
struct rpk_visitor {
    rb_err (*begin)(void *ctx, struct rpk_entry *entry);
    rb_err (*data)(void *ctx, const void *data, size_t len);
    rb_err (*end)(void *ctx, struct rpk_entry *entry); /* its length and CRC are right */
    void *ctx;
};

/**
 * Visit all entries in file order, each with its inflated content in pieces. Local headers are compared with the
 * central directory, lengths and CRCs are checked, and every byte read is hashed: the walk ends with RB_OK only if it
 * read exactly the bytes that `signature` covers, whatever happened to the file since it was verified.
 *
 * @param signature  of the verified container; NULL for an unsigned one, which proves nothing
 *
 * @return RB_OK, RB_ERR_RPK_ZIP, RB_ERR_RPK_ENTRY, RB_ERR_RPK_DIGEST (the file changed), or the visitor's
 *
 * Memory: two buffers of 16 KiB and zlib's inflate state (about 44 KiB).
 */
RB_MUST_USE
rb_err rpk_zip_walk(const struct rpk_zip *zip, const struct rpk_signed *signature, const struct rpk_visitor *visitor);

#endif
