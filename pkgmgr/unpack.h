/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A verified package becomes a directory. Private to librpk.
 */
#ifndef RB_PKGMGR_UNPACK_H
#define RB_PKGMGR_UNPACK_H

#include "pkgmgr/rpkfile.h"

/**
 * Unpack into a directory that does not exist yet. A file that is the same in `previous` (the installed version's
 * directory, or NULL) becomes a hard link, after its content was read and hashed; whatever the file system cannot
 * link is written. Not synced.
 *
 * Files get mode 0644 or what the native part says, directories 0755.
 *
 * @return RB_OK; RB_ERR_RPK_DIGEST when the package file changed since it was verified; RB_ERR_IO, RB_ERR_NO_SPACE.
 *         After an error the directory holds an unknown part of the package.
 */
RB_MUST_USE
rb_err rpk_unpack(const struct rpk_file *file, const char *to, const char *previous);

/** Mode that `name` gets when it is unpacked. */
mode_t rpk_entry_mode(const struct rpk_manifest *manifest, const char *name);

/** Bytes that unpacking takes on disk at most, rounded up to blocks of 4 KiB. */
uint64_t rpk_unpacked_len(const struct rpk_file *file);

#endif
