/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The database of installed packages (state_dir/rpk.sqlite). Private to librpk.
 *
 * It answers questions; it decides nothing. Which generation is live says the tree alone, and everything here can be
 * made again from the tree (rpk_book_from_tree).
 */
#ifndef RB_PKGMGR_BOOK_H
#define RB_PKGMGR_BOOK_H

#include "lib/host/db.h"
#include "pkgmgr/rpkfile.h"
#include "pkgmgr/tree.h"

/** Open or create. RB_ERR_DB_CORRUPT: the caller moves it aside and opens a new one. */
RB_MUST_USE
rb_err rpk_book_open(const char *path, sqlite3 **out);

/** Record a version from its verified package file. */
RB_MUST_USE
rb_err rpk_book_version(sqlite3 *db, const struct rpk_member *member, const struct rpk_file *file);

/** Record a version again from its directory, whose manifest.json must have the hash that `member` names.
 * RB_ERR_PKG_STATE when it has not. Cost: reads every file of the version. */
RB_MUST_USE
rb_err rpk_book_from_tree(sqlite3 *db, const char *dir, const struct rpk_member *member);

/** Record a generation: its members, its state ("prepared" or "active"), why it was made. */
RB_MUST_USE
rb_err rpk_book_generation(sqlite3 *db, const struct rpk_generation *generation, const char *state, const char *reason);

/** Whether the rows of this generation say what its manifest says, and every version it names is recorded. */
RB_MUST_USE
rb_err rpk_book_matches(sqlite3 *db, const struct rpk_generation *generation, bool *out);

/** Whether anything but generations `current` (active) and `previous` is recorded. */
RB_MUST_USE
rb_err rpk_book_is_tidy(sqlite3 *db, uint32_t current, uint32_t previous, bool *out);

/** Make it so: drop all other generations and the versions that only they name, mark `current` active. */
RB_MUST_USE
rb_err rpk_book_tidy(sqlite3 *db, uint32_t current, uint32_t previous);

#endif
