/* SPDX-License-Identifier: Apache-2.0 */
#include "ota/state.h"

#include "lib/host/db.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SCHEMA_VERSION 1
#define EVENTS_MAX 1000
#define ATTEMPTS_MAX 200

static const char SCHEMA[] =
    "CREATE TABLE agent(id INTEGER PRIMARY KEY CHECK(id = 1), state TEXT NOT NULL, attempt INTEGER NOT NULL) STRICT;"
    "INSERT INTO agent VALUES(1, 'IDLE', 0);"
    "CREATE TABLE attempt(id INTEGER PRIMARY KEY AUTOINCREMENT, release INTEGER NOT NULL, version TEXT NOT NULL,"
    " digest BLOB NOT NULL, image_len INTEGER NOT NULL, security_counter INTEGER NOT NULL, slot INTEGER NOT NULL,"
    " payload TEXT NOT NULL, payload_len INTEGER NOT NULL, from_version TEXT NOT NULL, fetched INTEGER NOT NULL,"
    " refetched INTEGER NOT NULL, payload_fetched INTEGER NOT NULL, started INTEGER NOT NULL,"
    " ended INTEGER NOT NULL, outcome TEXT NOT NULL, error TEXT NOT NULL, detail TEXT NOT NULL) STRICT;"
    "CREATE TABLE quarantine(digest BLOB PRIMARY KEY, version TEXT NOT NULL, cause TEXT NOT NULL,"
    " since INTEGER NOT NULL) STRICT;"
    "CREATE TABLE refused(header BLOB PRIMARY KEY, reason TEXT NOT NULL) STRICT;"
    "CREATE TABLE base(digest BLOB PRIMARY KEY, sha256 BLOB NOT NULL) STRICT;"
    "CREATE TABLE event(id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, level TEXT NOT NULL,"
    " name TEXT NOT NULL, facts TEXT NOT NULL) STRICT;";

static const char *const NAMES[OTA_STATE_COUNT] = {
    "IDLE", "CHECK", "PLAN", "STAGE", "VERIFY", "ARM", "WAIT", "TRIAL", "COMMIT", "ROLLBACK", "REPORT",
};

const char *
ota_state_name(enum ota_state state)
{
    return NAMES[state];
}

/* Out of the way, kept for whoever wants to know what happened; the one before it is not kept. */
static rb_err
move_aside(const char *path)
{
    char *aside = rb_text("%s.damaged", path);
    char *journal = rb_text("%s-journal", path);
    rb_err err = RB_OK;

    if (rename(path, aside) != 0) {
        err = rb_fail_errno("%s", path);
    } else if (unlink(journal) != 0 && errno != ENOENT) {
        err = rb_fail_errno("%s", journal);
    }
    free(aside);
    free(journal);
    return err;
}

rb_err
ota_state_open(struct ota_device *d)
{
    char *path = rb_text("%s/ota.sqlite", d->settings.state_dir);

    d->db_rebuilt = !rb_file_exists(path);
    rb_err err = rb_db_open(path, SCHEMA, SCHEMA_VERSION, &d->db);
    if (err == RB_ERR_DB_CORRUPT) {
        rb_fail_clear();
        err = move_aside(path);
        if (err == RB_OK) {
            err = rb_db_open(path, SCHEMA, SCHEMA_VERSION, &d->db);
        }
        d->db_rebuilt = true;
    }
    free(path);
    return err;
}

static sqlite3 *
open_existing(const char *path, int flags)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;

    bool good = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOFOLLOW, NULL) == SQLITE_OK
                && sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL) == SQLITE_OK
                && sqlite3_busy_timeout(db, 2000) == SQLITE_OK
                && sqlite3_prepare_v2(db, "SELECT state FROM agent", -1, &stmt, NULL) == SQLITE_OK
                && sqlite3_step(stmt) == SQLITE_ROW;
    (void)sqlite3_finalize(stmt);
    if (!good) {
        (void)sqlite3_close(db);
        return NULL;
    }
    return db;
}

void
ota_state_open_readonly(struct ota_device *d)
{
    char *path = rb_text("%s/ota.sqlite", d->settings.state_dir);

    d->db = open_existing(path, SQLITE_OPEN_READONLY);
    if (d->db == NULL) { /* a killed writer left a journal; only a writer can roll it back */
        d->db = open_existing(path, SQLITE_OPEN_READWRITE);
    }
    free(path);
}

static int64_t
wall_clock(void)
{
    return (int64_t)time(NULL);
}

rb_err
ota_state_enter(struct ota_device *d, enum ota_state state, int64_t attempt)
{
    return rb_db_do(d->db, "UPDATE agent SET state = ?, attempt = ?", "si", ota_state_name(state), attempt);
}

rb_err
ota_state_now(const struct ota_device *d, enum ota_state *state, int64_t *attempt)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;

    *state = OTA_IDLE;
    *attempt = 0;
    if (d->db == NULL) {
        return RB_OK;
    }
    RB_TRY(rb_db_prepare(d->db, &stmt, "SELECT state, attempt FROM agent", ""));
    rb_err err = rb_db_step(stmt, &row);
    if (err == RB_OK && row) {
        const char *name = (const char *)sqlite3_column_text(stmt, 0);
        for (int i = 0; i < OTA_STATE_COUNT; i++) {
            if (name != NULL && strcmp(name, NAMES[i]) == 0) {
                *state = (enum ota_state)i;
            }
        }
        *attempt = sqlite3_column_int64(stmt, 1);
    }
    (void)sqlite3_finalize(stmt);
    return err;
}

rb_err
ota_attempt_start(struct ota_device *d, struct ota_attempt *a)
{
    a->started = wall_clock();
    RB_TRY(rb_db_do(d->db,
                    "INSERT INTO attempt(release, version, digest, image_len, security_counter, slot, payload,"
                    " payload_len, from_version, fetched, refetched, payload_fetched, started, ended, outcome, error,"
                    " detail) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, ?, 0, '', '', '')",
                    "isbiiisisi", a->release, a->version, a->digest, (int)sizeof a->digest, a->image_len,
                    a->security_counter, (int64_t)a->slot, a->payload, a->payload_len, a->from_version, a->started));
    a->id = sqlite3_last_insert_rowid(d->db);
    return rb_db_do(d->db, "DELETE FROM attempt WHERE id <= ?", "i", a->id - ATTEMPTS_MAX);
}

static void
column_text(sqlite3_stmt *stmt, int column, char *out, size_t room)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);

    (void)snprintf(out, room, "%s", text != NULL ? text : "");
}

#define ATTEMPT_COLUMNS                                                                                          \
    "id, release, version, digest, image_len, security_counter, slot, payload, payload_len, from_version, "      \
    "fetched, refetched, payload_fetched, started, ended, outcome, error, detail"

static void
attempt_of(sqlite3_stmt *stmt, struct ota_attempt *a)
{
    memset(a, 0, sizeof *a);
    a->id = sqlite3_column_int64(stmt, 0);
    a->release = sqlite3_column_int64(stmt, 1);
    column_text(stmt, 2, a->version, sizeof a->version);
    const void *digest = sqlite3_column_blob(stmt, 3);
    if (digest != NULL && sqlite3_column_bytes(stmt, 3) == (int)sizeof a->digest) {
        memcpy(a->digest, digest, sizeof a->digest);
    }
    a->image_len = sqlite3_column_int64(stmt, 4);
    a->security_counter = sqlite3_column_int64(stmt, 5);
    a->slot = (uint8_t)(sqlite3_column_int64(stmt, 6) == RB_SLOT_B ? RB_SLOT_B : RB_SLOT_A);
    column_text(stmt, 7, a->payload, sizeof a->payload);
    a->payload_len = sqlite3_column_int64(stmt, 8);
    column_text(stmt, 9, a->from_version, sizeof a->from_version);
    a->fetched = sqlite3_column_int64(stmt, 10);
    a->refetched = sqlite3_column_int64(stmt, 11);
    a->payload_fetched = sqlite3_column_int64(stmt, 12);
    a->started = sqlite3_column_int64(stmt, 13);
    a->ended = sqlite3_column_int64(stmt, 14);
    column_text(stmt, 15, a->outcome, sizeof a->outcome);
    column_text(stmt, 16, a->error, sizeof a->error);
    column_text(stmt, 17, a->detail, sizeof a->detail);
}

rb_err
ota_attempt_read(const struct ota_device *d, int64_t id, struct ota_attempt *out)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;

    if (d->db == NULL) {
        return RB_ERR_NOT_FOUND;
    }
    RB_TRY(rb_db_prepare(d->db, &stmt, "SELECT " ATTEMPT_COLUMNS " FROM attempt WHERE id = ?", "i", id));
    rb_err err = rb_db_step(stmt, &row);
    if (err == RB_OK && !row) {
        err = RB_ERR_NOT_FOUND;
    }
    if (err == RB_OK) {
        attempt_of(stmt, out);
    }
    (void)sqlite3_finalize(stmt);
    return err;
}

rb_err
ota_attempt_payload(struct ota_device *d, const struct ota_attempt *a)
{
    return rb_db_do(d->db, "UPDATE attempt SET payload = ?, payload_len = ?, from_version = ?, detail = ?,"
                    " payload_fetched = ? WHERE id = ?",
                    "sissii", a->payload, a->payload_len, a->from_version, a->detail, a->payload_fetched, a->id);
}

rb_err
ota_attempt_counted(struct ota_device *d, const struct ota_attempt *a)
{
    return rb_db_do(d->db, "UPDATE attempt SET fetched = ?, refetched = ?, payload_fetched = ? WHERE id = ?", "iiii",
                    a->fetched, a->refetched, a->payload_fetched, a->id);
}

static rb_err
end_steps(struct ota_device *d, const struct ota_attempt *a, bool quarantine)
{
    RB_TRY(rb_db_do(d->db,
                    "UPDATE attempt SET fetched = ?, refetched = ?, ended = ?, outcome = ?, error = ?, detail = ?"
                    " WHERE id = ?",
                    "iiisssi", a->fetched, a->refetched, wall_clock(), a->outcome, a->error, a->detail, a->id));
    if (quarantine) {
        RB_TRY(ota_quarantine_add(d, a->digest, a->version, a->detail));
    }
    RB_TRY(ota_refused_clear(d));
    return ota_state_enter(d, OTA_IDLE, 0);
}

rb_err
ota_attempt_end(struct ota_device *d, const struct ota_attempt *a, bool quarantine)
{
    RB_TRY(rb_db_run(d->db, "BEGIN IMMEDIATE"));
    rb_err err = end_steps(d, a, quarantine);
    if (err == RB_OK) {
        return rb_db_run(d->db, "COMMIT");
    }
    (void)sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
    return err;
}

rb_err
ota_attempt_each(const struct ota_device *d, int limit, rb_err (*visit)(void *ctx, const struct ota_attempt *a),
                 void *ctx)
{
    sqlite3_stmt *stmt = NULL;
    struct ota_attempt a;
    bool row = false;

    if (d->db == NULL) {
        return RB_OK;
    }
    RB_TRY(rb_db_prepare(d->db, &stmt, "SELECT " ATTEMPT_COLUMNS " FROM attempt ORDER BY id DESC LIMIT ?", "i",
                         (int64_t)limit));
    rb_err err = rb_db_step(stmt, &row);
    while (err == RB_OK && row) {
        attempt_of(stmt, &a);
        err = visit(ctx, &a);
        if (err == RB_OK) {
            err = rb_db_step(stmt, &row);
        }
    }
    (void)sqlite3_finalize(stmt);
    return err;
}

/* The text of one row with one blob as key. */
static rb_err
find_text(sqlite3 *db, const char *sql, const void *key, int key_len, bool *found, char *out, size_t room)
{
    sqlite3_stmt *stmt = NULL;

    *found = false;
    if (db == NULL) {
        return RB_OK;
    }
    RB_TRY(rb_db_prepare(db, &stmt, sql, "b", key, key_len));
    rb_err err = rb_db_step(stmt, found);
    if (err == RB_OK && *found) {
        column_text(stmt, 0, out, room);
    }
    (void)sqlite3_finalize(stmt);
    return err;
}

rb_err
ota_quarantine_find(const struct ota_device *d, const uint8_t digest[RB_RECORD_DIGEST_LEN], bool *found, char *cause,
                    size_t room)
{
    return find_text(d->db, "SELECT cause FROM quarantine WHERE digest = ?", digest, (int)RB_RECORD_DIGEST_LEN, found,
                     cause, room);
}

rb_err
ota_quarantine_add(struct ota_device *d, const uint8_t digest[RB_RECORD_DIGEST_LEN], const char *version,
                   const char *cause)
{
    return rb_db_do(d->db, "INSERT OR REPLACE INTO quarantine VALUES(?, ?, ?, ?)", "bssi", digest,
                    (int)RB_RECORD_DIGEST_LEN, version, cause, wall_clock());
}

rb_err
ota_quarantine_lift(struct ota_device *d, const uint8_t digest[RB_RECORD_DIGEST_LEN])
{
    return rb_db_do(d->db, "DELETE FROM quarantine WHERE digest = ?", "b", digest, (int)RB_RECORD_DIGEST_LEN);
}

rb_err
ota_refused_add(struct ota_device *d, const uint8_t header[RB_SHA256_LEN], const char *reason)
{
    return rb_db_do(d->db, "INSERT OR REPLACE INTO refused VALUES(?, ?)", "bs", header, (int)RB_SHA256_LEN, reason);
}

rb_err
ota_refused_find(const struct ota_device *d, const uint8_t header[RB_SHA256_LEN], bool *found, char *reason,
                 size_t room)
{
    return find_text(d->db, "SELECT reason FROM refused WHERE header = ?", header, (int)RB_SHA256_LEN, found, reason,
                     room);
}

rb_err
ota_refused_clear(struct ota_device *d)
{
    return rb_db_run(d->db, "DELETE FROM refused");
}

rb_err
ota_base_find(const struct ota_device *d, const uint8_t digest[RB_SHA256_LEN], bool *found,
              uint8_t sha256[RB_SHA256_LEN])
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;

    *found = false;
    if (d->db == NULL) {
        return RB_OK;
    }
    RB_TRY(rb_db_prepare(d->db, &stmt, "SELECT sha256 FROM base WHERE digest = ?", "b", digest, (int)RB_SHA256_LEN));
    rb_err err = rb_db_step(stmt, &row);
    if (err == RB_OK && row && sqlite3_column_bytes(stmt, 0) == RB_SHA256_LEN) {
        memcpy(sha256, sqlite3_column_blob(stmt, 0), RB_SHA256_LEN);
        *found = true;
    }
    (void)sqlite3_finalize(stmt);
    return err;
}

/* Two slots, so two rows are enough; the others are images that are gone. */
rb_err
ota_base_add(struct ota_device *d, const uint8_t digest[RB_SHA256_LEN], const uint8_t sha256[RB_SHA256_LEN])
{
    RB_TRY(rb_db_do(d->db, "INSERT OR REPLACE INTO base VALUES(?, ?)", "bb", digest, (int)RB_SHA256_LEN, sha256,
                    (int)RB_SHA256_LEN));
    return rb_db_run(d->db, "DELETE FROM base WHERE rowid NOT IN (SELECT rowid FROM base ORDER BY rowid DESC LIMIT 2)");
}

void
ota_event(struct ota_device *d, const char *level, const char *name, const char *format, ...)
{
    char facts[600];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(facts, sizeof facts, format, args);
    va_end(args);
    for (char *at = facts; *at != '\0'; at++) { /* text of servers and files must not drive a terminal */
        if ((unsigned char)*at < ' ' || *at == 0x7f) {
            *at = '?';
        }
    }
    if (d->verbose) {
        fprintf(stderr, "%s %s%s%s\n", level, name, facts[0] != '\0' ? " " : "", facts);
    }
    if (d->db == NULL) {
        return;
    }
    bool clean = rb_fail_detail()[0] == '\0';
    rb_err err = rb_db_do(d->db, "INSERT INTO event(time, level, name, facts) VALUES(?, ?, ?, ?)", "isss", wall_clock(),
                          level, name, facts);
    if (err == RB_OK) {
        err = rb_db_do(d->db, "DELETE FROM event WHERE id <= ?", "i", sqlite3_last_insert_rowid(d->db) - EVENTS_MAX);
    }
    if (err != RB_OK && clean) {
        rb_fail_clear(); /* not the failure that is being told of */
    }
}

rb_err
ota_event_each(const struct ota_device *d, int limit,
               rb_err (*visit)(void *ctx, int64_t time, const char *level, const char *name, const char *facts),
               void *ctx)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;

    if (d->db == NULL) {
        return RB_OK;
    }
    RB_TRY(rb_db_prepare(d->db, &stmt,
                         "SELECT time, level, name, facts FROM (SELECT * FROM event ORDER BY id DESC LIMIT ?)"
                         " ORDER BY id",
                         "i", (int64_t)limit));
    rb_err err = rb_db_step(stmt, &row);
    while (err == RB_OK && row) {
        err = visit(ctx, sqlite3_column_int64(stmt, 0), (const char *)sqlite3_column_text(stmt, 1),
                    (const char *)sqlite3_column_text(stmt, 2), (const char *)sqlite3_column_text(stmt, 3));
        if (err == RB_OK) {
            err = rb_db_step(stmt, &row);
        }
    }
    (void)sqlite3_finalize(stmt);
    return err;
}
