/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * An .rpk package file: opened means verified. One descriptor serves for verifying and for use, and every later read
 * is checked against the signature again, so a file that is replaced or rewritten meanwhile cannot slip in.
 *
 * Format: docs/format.md section 5.
 */
#ifndef RB_PKGMGR_RPKFILE_H
#define RB_PKGMGR_RPKFILE_H

#include "pkgmgr/manifest.h"
#include "pkgmgr/zip.h"

#define RPK_UNPACKED_MAX (512ull << 20) /* bytes a package may unpack to */

struct rpk_file {
    struct rpk_manifest manifest;
    uint8_t manifest_sha256[32];
    struct rpk_signed signature; /* signer, content digest */
    bool debug_key;              /* signed with a key that the toolchains ship to everyone */
    bool has_hash_list;          /* META-INF/CERT was there and agreed */
    bool union_file;             /* has <package>.vru: a BlueOS package */
    struct rpk_zip zip;          /* entries in file order, with SHA-256 of their content */
    uint64_t len;                /* of the file */

    struct rpk_container container; /* private */
    int fd;                         /* owned */
};

#define RPK_OPEN_DEBUG_KEY 1u /* accept packages signed with a public debug key (developer mode) */

/**
 * Verify a package completely: zip rules, signature, content digest, every entry's length and CRC, hash.json, and the
 * manifest. After RB_OK everything in *out is true of the signed bytes.
 *
 * @param fd     opened for reading; owned by *out after RB_OK, otherwise still the caller's
 * @param flags  RPK_OPEN_*
 * @return RB_OK
 *         RB_ERR_RPK_*  see rpk_layer() for which check said no
 *         RB_ERR_IO
 *
 * Memory: signing block, central directory, manifest.json and META-INF/CERT are held; the file is streamed (twice).
 */
RB_MUST_USE
rb_err rpk_file_open(int fd, unsigned flags, struct rpk_file **out);

/** The same for a path. Not a regular file: RB_ERR_RPK_ZIP. */
RB_MUST_USE
rb_err rpk_file_open_path(const char *path, unsigned flags, struct rpk_file **out);

void rpk_file_close(struct rpk_file *file);

/** Visit all entries again, in file order, with their contents (rpk_zip_walk). */
RB_MUST_USE
rb_err rpk_file_walk(const struct rpk_file *file, const struct rpk_visitor *visitor);

/** Which layer an error of rpk_file_open belongs to, for people: "container", "signature", "content", "entries",
 * "manifest", "signer", or "file" for what is no verdict on the package. */
const char *rpk_layer(rb_err err);

/** Whether this certificate is one of the public debug keys. */
bool rpk_is_debug_signer(const uint8_t certificate_sha256[32]);

#endif
