/* SPDX-License-Identifier: Apache-2.0
 *
 * A version is recorded once, however many generations name it; a generation is a list of versions.
 */
#include "pkgmgr/book.h"

#include "lib/core/bytes.h"
#include "lib/core/crypto.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "pkgmgr/unpack.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define SCHEMA_VERSION 1

static const char schema[] =
    "CREATE TABLE generation (number INTEGER PRIMARY KEY, state TEXT NOT NULL, created INTEGER NOT NULL,"
    "  reason TEXT NOT NULL) STRICT;"
    "CREATE TABLE member (number INTEGER NOT NULL, package TEXT NOT NULL, version_code INTEGER NOT NULL,"
    "  store TEXT NOT NULL, content BLOB NOT NULL, signer BLOB NOT NULL, manifest BLOB NOT NULL,"
    "  installed INTEGER NOT NULL, PRIMARY KEY (number, package)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE version (package TEXT NOT NULL, store TEXT NOT NULL, name TEXT NOT NULL,"
    "  version_name TEXT NOT NULL, min_platform INTEGER NOT NULL, arch TEXT, PRIMARY KEY (package, store))"
    "  STRICT, WITHOUT ROWID;"
    "CREATE TABLE file (package TEXT NOT NULL, store TEXT NOT NULL, path TEXT NOT NULL, size INTEGER NOT NULL,"
    "  mode INTEGER NOT NULL, sha256 BLOB NOT NULL, PRIMARY KEY (package, store, path)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE fact (package TEXT NOT NULL, store TEXT NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL,"
    "  PRIMARY KEY (package, store, kind, value)) STRICT, WITHOUT ROWID;";

rb_err
rpk_book_open(const char *path, sqlite3 **out)
{
    return rb_db_open(path, schema, SCHEMA_VERSION, out);
}

/* ---- versions ---- */

static rb_err
put_fact(sqlite3 *db, const struct rpk_member *m, const char *kind, const char *value)
{
    return rb_db_do(db, "INSERT OR IGNORE INTO fact VALUES (?,?,?,?)", "ssss", m->package, m->store, kind, value);
}

static rb_err
put_facts(sqlite3 *db, const struct rpk_member *m, const char *kind, const struct rpk_strings *values)
{
    for (unsigned i = 0; i < values->count; i++) {
        RB_TRY(put_fact(db, m, kind, values->at[i]));
    }
    return RB_OK;
}

static rb_err
put_service(sqlite3 *db, const struct rpk_member *m, const struct rpk_service *s)
{
    char *text = rb_text("%s: %s", s->name, s->exec.at[0]);
    rb_err err;

    for (unsigned i = 1; i < s->exec.count; i++) {
        char *longer = rb_text("%s %s", text, s->exec.at[i]);
        free(text);
        text = longer;
    }
    err = put_fact(db, m, "service", text);
    free(text);
    return err;
}

static rb_err
put_native(sqlite3 *db, const struct rpk_member *m, const struct rpk_native *native)
{
    rb_err err = RB_OK;

    RB_TRY(put_facts(db, m, "depends", &native->depends));
    RB_TRY(put_facts(db, m, "provides", &native->provides));
    RB_TRY(put_facts(db, m, "conflicts", &native->conflicts));
    for (unsigned i = 0; i < native->service_count; i++) {
        RB_TRY(put_service(db, m, &native->services[i]));
    }
    for (unsigned i = 0; err == RB_OK && i < native->hook_count; i++) {
        char *text = rb_text("%s: %s", native->hooks[i].moment, native->hooks[i].path);
        err = put_fact(db, m, "hook", text);
        free(text);
    }
    return err;
}

static rb_err
put_manifest(sqlite3 *db, const struct rpk_member *m, const struct rpk_manifest *manifest)
{
    RB_TRY(rb_db_do(db, "DELETE FROM file WHERE package=? AND store=?", "ss", m->package, m->store));
    RB_TRY(rb_db_do(db, "DELETE FROM fact WHERE package=? AND store=?", "ss", m->package, m->store));
    RB_TRY(rb_db_do(db, "INSERT OR REPLACE INTO version VALUES (?,?,?,?,?,?)", "ssssis", m->package, m->store,
                    manifest->name, manifest->version_name, manifest->min_platform, manifest->native.arch));
    RB_TRY(put_facts(db, m, "device", &manifest->device_types));
    RB_TRY(put_facts(db, m, "permission", &manifest->permissions));
    RB_TRY(put_facts(db, m, "feature", &manifest->features));
    return put_native(db, m, &manifest->native);
}

static rb_err
put_file(sqlite3 *db, const struct rpk_member *m, const char *path, uint64_t len, mode_t mode, const uint8_t sha[32])
{
    return rb_db_do(db, "INSERT INTO file VALUES (?,?,?,?,?,?)", "sssiib", m->package, m->store, path, (int64_t)len,
                    (int64_t)mode, sha, 32);
}

rb_err
rpk_book_version(sqlite3 *db, const struct rpk_member *member, const struct rpk_file *file)
{
    RB_TRY(put_manifest(db, member, &file->manifest));
    for (unsigned i = 0; i < file->zip.count; i++) {
        const struct rpk_entry *e = &file->zip.entries[i];
        if (!e->directory) {
            RB_TRY(put_file(db, member, e->name, e->len, rpk_entry_mode(&file->manifest, e->name), e->sha256));
        }
    }
    return RB_OK;
}

static rb_err
read_manifest(const char *top, const struct rpk_member *m, struct rpk_manifest *out)
{
    char *path = rb_text("%s/manifest.json", top);
    uint8_t *text = NULL;
    size_t len = 0;
    uint8_t sha[32];

    rb_err err = rb_file_read(path, RPK_MANIFEST_MAX, &text, &len);
    if (err == RB_OK) {
        rb_sha256(text, len, sha);
        err = rb_equal(sha, m->manifest, sizeof sha)
                  ? rpk_manifest_parse(text, len, out)
                  : rb_fail(RB_ERR_PKG_STATE, "%s: not the manifest that was installed", path);
    } else if (err == RB_ERR_IO_NOT_FOUND) {
        err = RB_ERR_PKG_STATE;
    }
    free(text);
    free(path);
    return err;
}

/* Depth is bounded by the length of names in a package. */
static rb_err
put_directory(sqlite3 *db, const struct rpk_member *m, const char *top, const char *below)
{
    char *path = rb_text("%s%s%s", top, below[0] != '\0' ? "/" : "", below);
    struct rpk_strings names = {NULL, 0};
    rb_err err = rpk_tree_names(path, &names);

    for (unsigned i = 0; err == RB_OK && i < names.count; i++) {
        char *inner = rb_text("%s%s%s", below, below[0] != '\0' ? "/" : "", names.at[i]);
        char *full = rb_text("%s/%s", top, inner);
        struct stat st;
        uint8_t sha[32];
        uint64_t len;
        if (lstat(full, &st) != 0) {
            err = rb_fail_errno("%s", full);
        } else if (S_ISDIR(st.st_mode)) {
            err = put_directory(db, m, top, inner);
        } else if ((err = rb_file_sha256(full, sha, &len)) == RB_OK) {
            err = put_file(db, m, inner, len, st.st_mode & 07777, sha);
        }
        free(full);
        free(inner);
    }
    rpk_strings_free(&names);
    free(path);
    return err;
}

rb_err
rpk_book_from_tree(sqlite3 *db, const char *dir, const struct rpk_member *member)
{
    char *top = rb_text("%s/store/%s/%s", dir, member->package, member->store);
    struct rpk_manifest manifest = {0};

    rb_err err = read_manifest(top, member, &manifest);
    if (err == RB_OK) {
        err = put_manifest(db, member, &manifest);
    }
    if (err == RB_OK) {
        err = put_directory(db, member, top, "");
    }
    rpk_manifest_free(&manifest);
    free(top);
    return err;
}

/* ---- generations ---- */

rb_err
rpk_book_generation(sqlite3 *db, const struct rpk_generation *generation, const char *state, const char *reason)
{
    int64_t number = generation->number;

    RB_TRY(rb_db_do(db, "DELETE FROM member WHERE number=?", "i", number));
    RB_TRY(rb_db_do(db, "INSERT OR REPLACE INTO generation VALUES (?,?,?,?)", "isis", number, state,
                    (int64_t)time(NULL), reason));
    for (unsigned i = 0; i < generation->count; i++) {
        const struct rpk_member *m = &generation->members[i];
        RB_TRY(rb_db_do(db, "INSERT INTO member VALUES (?,?,?,?,?,?,?,?)", "isisbbbi", number, m->package,
                        m->version_code, m->store, m->content, 32, m->signer, 32, m->manifest, 32, m->installed));
    }
    return RB_OK;
}

static bool
blob_is(sqlite3_stmt *q, int column, const uint8_t want[32])
{
    return sqlite3_column_bytes(q, column) == 32 && rb_equal(sqlite3_column_blob(q, column), want, 32);
}

static bool
row_matches(sqlite3_stmt *q, const struct rpk_member *m)
{
    return strcmp((const char *)sqlite3_column_text(q, 0), m->package) == 0
           && sqlite3_column_int64(q, 1) == m->version_code
           && strcmp((const char *)sqlite3_column_text(q, 2), m->store) == 0 && blob_is(q, 3, m->content)
           && blob_is(q, 4, m->signer) && blob_is(q, 5, m->manifest) && sqlite3_column_int64(q, 6) == m->installed;
}

rb_err
rpk_book_matches(sqlite3 *db, const struct rpk_generation *generation, bool *out)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    unsigned i = 0;
    bool same = true;

    RB_TRY(rb_db_prepare(db, &q,
                         "SELECT m.package, m.version_code, m.store, m.content, m.signer, m.manifest, m.installed"
                         " FROM member m JOIN version v ON v.package=m.package AND v.store=m.store"
                         " WHERE m.number=? ORDER BY m.package",
                         "i", (int64_t)generation->number));
    rb_err err = rb_db_step(q, &row);
    while (err == RB_OK && row && same) {
        same = i < generation->count && row_matches(q, &generation->members[i]);
        i++;
        err = rb_db_step(q, &row);
    }
    (void)sqlite3_finalize(q);
    *out = err == RB_OK && same && i == generation->count;
    return err;
}

static rb_err
count_of(sqlite3 *db, const char *sql, int64_t a, int64_t b, int64_t *out)
{
    sqlite3_stmt *q = NULL;
    bool row;

    RB_TRY(rb_db_prepare(db, &q, sql, "ii", a, b));
    rb_err err = rb_db_step(q, &row);
    *out = sqlite3_column_int64(q, 0);
    (void)sqlite3_finalize(q);
    return err;
}

rb_err
rpk_book_is_tidy(sqlite3 *db, uint32_t current, uint32_t previous, bool *out)
{
    int64_t wrong;

    RB_TRY(count_of(db,
                    "SELECT (SELECT count(*) FROM generation WHERE number NOT IN (?1, ?2))"
                    " + (SELECT count(*) FROM generation WHERE number=?1 AND state<>'active')"
                    " + (SELECT count(*) FROM member WHERE number NOT IN (?1, ?2))",
                    current, previous, &wrong));
    *out = wrong == 0;
    return RB_OK;
}

rb_err
rpk_book_tidy(sqlite3 *db, uint32_t current, uint32_t previous)
{
#define UNUSED(table)                                                                                                \
    "DELETE FROM " table " WHERE NOT EXISTS (SELECT 1 FROM member m WHERE m.package=" table ".package"               \
    " AND m.store=" table ".store)"
    RB_TRY(rb_db_do(db, "DELETE FROM member WHERE number NOT IN (?,?)", "ii", (int64_t)current, (int64_t)previous));
    RB_TRY(rb_db_do(db, "DELETE FROM generation WHERE number NOT IN (?,?)", "ii", (int64_t)current,
                    (int64_t)previous));
    RB_TRY(rb_db_do(db, "UPDATE generation SET state='active' WHERE number=?", "i", (int64_t)current));
    RB_TRY(rb_db_run(db, UNUSED("file")));
    RB_TRY(rb_db_run(db, UNUSED("fact")));
    return rb_db_run(db, UNUSED("version"));
#undef UNUSED
}
