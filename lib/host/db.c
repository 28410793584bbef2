/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/host/db.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static rb_err
failed(sqlite3 *db, const char *what)
{
    int code = sqlite3_errcode(db);

    if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT) {
        return rb_fail(RB_ERR_DB_CORRUPT, "%s: %s", what, sqlite3_errmsg(db));
    }
    if (code == SQLITE_FULL) {
        return rb_fail(RB_ERR_NO_SPACE, "%s: %s", what, sqlite3_errmsg(db));
    }
    return rb_fail(RB_ERR_DB, "%s: %s", what, sqlite3_errmsg(db));
}

rb_err
rb_db_run(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? RB_OK : failed(db, "database");
}

static rb_err
one_text(sqlite3 *db, const char *sql, char *out, size_t room)
{
    sqlite3_stmt *stmt = NULL;
    rb_err err = RB_OK;

    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK || sqlite3_step(stmt) != SQLITE_ROW) {
        err = failed(db, sql);
    } else {
        const unsigned char *text = sqlite3_column_text(stmt, 0);
        (void)snprintf(out, room, "%s", text != NULL ? (const char *)text : "");
    }
    (void)sqlite3_finalize(stmt);
    return err;
}

/* Settings that every database here has. DEFENSIVE and an untrusted schema: a file that someone prepared can hold
 * triggers and views, and must not run them against us. */
static rb_err
configure(sqlite3 *db)
{
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    (void)sqlite3_busy_timeout(db, 10000);
    return rb_db_run(db, "PRAGMA journal_mode=DELETE; PRAGMA synchronous=FULL; PRAGMA cache_size=-128;"
                         "PRAGMA foreign_keys=ON; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0;");
}

static rb_err
check_or_create(sqlite3 *db, const char *schema, int version)
{
    char text[64];

    RB_TRY(one_text(db, "PRAGMA quick_check(1)", text, sizeof text));
    if (strcmp(text, "ok") != 0) {
        return rb_fail(RB_ERR_DB_CORRUPT, "%s", text);
    }
    RB_TRY(one_text(db, "PRAGMA user_version", text, sizeof text));
    if (atoi(text) == version) {
        return RB_OK;
    }
    if (atoi(text) != 0) {
        return rb_fail(RB_ERR_DB_CORRUPT, "schema version %s, not %d", text, version);
    }
    char *sql = rb_text("BEGIN IMMEDIATE; %s; PRAGMA user_version=%d; COMMIT;", schema, version);
    rb_err err = rb_db_run(db, sql);
    if (err != RB_OK) {
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    free(sql);
    return err;
}

rb_err
rb_db_open(const char *path, const char *schema, int version, sqlite3 **out)
{
    sqlite3 *db = NULL;

    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW, NULL)
        != SQLITE_OK) {
        rb_err err = rb_fail(RB_ERR_DB, "%s: %s", path, db != NULL ? sqlite3_errmsg(db) : "out of memory");
        (void)sqlite3_close(db);
        return err;
    }
    rb_err err = configure(db);
    if (err == RB_OK) {
        err = check_or_create(db, schema, version);
    }
    if (err != RB_OK) {
        (void)sqlite3_close(db);
        return err;
    }
    *out = db;
    return RB_OK;
}

static rb_err
bind(sqlite3_stmt *stmt, const char *types, va_list args)
{
    for (int i = 1; types[i - 1] != '\0'; i++) {
        int code;
        switch (types[i - 1]) {
        case 's':
            code = sqlite3_bind_text(stmt, i, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
            break;
        case 'i':
            code = sqlite3_bind_int64(stmt, i, va_arg(args, int64_t));
            break;
        case 'b': {
            const void *data = va_arg(args, const void *);
            code = sqlite3_bind_blob(stmt, i, data, va_arg(args, int), SQLITE_TRANSIENT);
            break;
        }
        default:
            return rb_fail(RB_ERR_INTERNAL, "bind type '%c'", types[i - 1]);
        }
        if (code != SQLITE_OK) {
            return failed(sqlite3_db_handle(stmt), "bind");
        }
    }
    return RB_OK;
}

static rb_err
prepare(sqlite3 *db, sqlite3_stmt **out, const char *sql, const char *types, va_list args)
{
    sqlite3_stmt *stmt = NULL;

    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK) {
        return failed(db, sql);
    }
    rb_err err = bind(stmt, types, args);
    if (err != RB_OK) {
        (void)sqlite3_finalize(stmt);
        return err;
    }
    *out = stmt;
    return RB_OK;
}

rb_err
rb_db_prepare(sqlite3 *db, sqlite3_stmt **out, const char *sql, const char *types, ...)
{
    va_list args;

    va_start(args, types);
    rb_err err = prepare(db, out, sql, types, args);
    va_end(args);
    return err;
}

rb_err
rb_db_step(sqlite3_stmt *stmt, bool *row)
{
    int code = sqlite3_step(stmt);

    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        return failed(sqlite3_db_handle(stmt), "database");
    }
    *row = code == SQLITE_ROW;
    return RB_OK;
}

rb_err
rb_db_do(sqlite3 *db, const char *sql, const char *types, ...)
{
    sqlite3_stmt *stmt = NULL;
    bool row;
    va_list args;

    va_start(args, types);
    rb_err err = prepare(db, &stmt, sql, types, args);
    va_end(args);
    if (err == RB_OK) {
        err = rb_db_step(stmt, &row);
        (void)sqlite3_finalize(stmt);
    }
    return err;
}
