/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * SQLite the way every database here is opened: defensive, untrusted schema off, synchronous FULL, rollback journal,
 * small cache, integrity checked at open.
 */
#ifndef RB_HOST_DB_H
#define RB_HOST_DB_H

#include "lib/core/errors.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/**
 * Open or create. `schema` (CREATE statements) is run in one transaction when PRAGMA user_version is 0, and then
 * user_version is set to `version`.
 *
 * @return RB_OK, RB_ERR_DB_CORRUPT (not a database, fails quick_check, or another version: the caller decides
 *         whether to move it aside and rebuild), RB_ERR_DB
 */
RB_MUST_USE
rb_err rb_db_open(const char *path, const char *schema, int version, sqlite3 **out);

/** Run statements without results. */
RB_MUST_USE
rb_err rb_db_run(sqlite3 *db, const char *sql);

/** Prepare `sql` and bind `types`: one letter per parameter, s (const char *, NULL binds NULL), i (int64_t),
 * b (const void *, then int length). Caller finalizes. */
RB_MUST_USE
rb_err rb_db_prepare(sqlite3 *db, sqlite3_stmt **out, const char *sql, const char *types, ...);

/** Prepare, bind, step once, finalize: for INSERT, UPDATE, DELETE. */
RB_MUST_USE
rb_err rb_db_do(sqlite3 *db, const char *sql, const char *types, ...);

/** Step a statement. *row: whether there is a row. */
RB_MUST_USE
rb_err rb_db_step(sqlite3_stmt *stmt, bool *row);

#endif
