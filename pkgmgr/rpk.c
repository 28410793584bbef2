/* SPDX-License-Identifier: Apache-2.0 */
#include "pkgmgr/rpk.h"

#include "lib/core/bytes.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "pkgmgr/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_WAIT_MS 2000

/* ---- opening ---- */

/* Whoever may write here owns the device's packages. A directory that is not there yet is ours to make. */
static rb_err
check_directory(const char *path)
{
    struct stat st;

    if (lstat(path, &st) != 0) {
        return errno == ENOENT ? RB_OK : rb_fail_errno("%s", path);
    }
    if (!S_ISDIR(st.st_mode)) {
        return rb_fail(RB_ERR_IO_PERMISSION, "%s: not a directory", path);
    }
    if ((st.st_mode & S_IWOTH) != 0 || (st.st_uid != geteuid() && st.st_uid != 0 && geteuid() == 0)) {
        return rb_fail(RB_ERR_IO_PERMISSION, "%s: others may write there", path);
    }
    return RB_OK;
}

/* The lock file tells who holds it. Only a help for people: the kernel's lock is what counts. */
static rb_err
take_lock(const struct rb_settings *settings, unsigned wait_ms, const char *purpose, int *fd)
{
    char *path = rb_text("%s/rpk.lock", settings->state_dir);
    rb_err err = rb_lock(path, wait_ms, RB_ERR_PKG_LOCKED, fd);

    if (err == RB_ERR_PKG_LOCKED) {
        uint8_t *text = NULL;
        size_t len = 0;
        rb_fail_clear();
        if (rb_file_read(path, 200, &text, &len) == RB_OK && len > 1) {
            text[len - 1] = '\0';
            err = rb_fail(RB_ERR_PKG_LOCKED, "by %s", (const char *)text);
        }
        free(text);
    }
    if (err == RB_OK) {
        char *who = rb_text("process %ld (%s)\n", (long)getpid(), purpose);
        if (ftruncate(*fd, 0) != 0 || pwrite(*fd, who, strlen(who), 0) < 0) {
            rb_fail_clear(); /* a full disk must not keep anyone from removing packages */
        }
        free(who);
    }
    free(path);
    return err;
}

/* A damaged database is kept for whoever wants to know why, and a new one is filled from the tree. */
static rb_err
open_book(struct rpk *rpk)
{
    char *path = rb_text("%s/rpk.sqlite", rpk->settings->state_dir);
    char *aside = rb_text("%s.damaged", path);
    char *journal = rb_text("%s-journal", path);
    rb_err err = rpk_book_open(path, &rpk->db);

    if (err == RB_ERR_DB_CORRUPT && rpk->lock >= 0) {
        rb_fail_clear();
        (void)unlink(journal);
        err = rename(path, aside) == 0 ? rpk_book_open(path, &rpk->db) : rb_fail_errno("%s", path);
    }
    free(journal);
    free(aside);
    free(path);
    return err;
}

static rb_err
load(struct rpk *rpk)
{
    uint32_t number;

    RB_TRY(rpk_tree_current(rpk->dir, &number));
    RB_TRY(rpk_tree_read(rpk->dir, number, &rpk->live));
    if (rpk->live.number == 0 && rpk->lock < 0) {
        return RB_OK; /* nothing was ever installed: there is nothing to ask */
    }
    RB_TRY(open_book(rpk));
    return rpk->lock >= 0 ? rpk_reconcile(rpk) : RB_OK;
}

static rb_err
open_write(struct rpk *rpk, const char *purpose)
{
    RB_TRY(rb_make_dirs(rpk->settings->state_dir, 0755));
    RB_TRY(rb_make_dirs(rpk->dir, 0755));
    RB_TRY(take_lock(rpk->settings, LOCK_WAIT_MS, purpose, &rpk->lock));
    return load(rpk);
}

/* A question puts things in order first where it can. Where it cannot (read-only file system, no right to, a writer at
 * work) the live generation still has its rows: they were committed before it went live. */
static rb_err
open_read(struct rpk *rpk, const char *purpose)
{
    if (rb_file_exists(rpk->dir) && take_lock(rpk->settings, 0, purpose, &rpk->lock) != RB_OK) {
        rpk->lock = -1;
        rb_fail_clear();
    }
    rb_err err = load(rpk);
    if (rpk->lock >= 0) {
        (void)close(rpk->lock);
        rpk->lock = -1;
    }
    return err;
}

rb_err
rpk_open(const struct rb_settings *settings, enum rpk_access access, const char *purpose, struct rpk **out)
{
    struct rpk *rpk = rb_alloc(sizeof *rpk);
    rb_err err;

    rpk->settings = settings;
    rpk->dir = settings->package_dir;
    rpk->pins = rb_text("%s/trust/pins", settings->state_dir);
    rpk->lock = -1;
    rpk->notes = rb_text("%s", "");
    err = check_directory(settings->state_dir);
    if (err == RB_OK) {
        err = check_directory(settings->package_dir);
    }
    if (err == RB_OK) {
        err = access == RPK_WRITE ? open_write(rpk, purpose) : open_read(rpk, purpose);
    }
    if (err != RB_OK) {
        rpk_close(rpk);
        return err;
    }
    *out = rpk;
    return RB_OK;
}

void
rpk_close(struct rpk *rpk)
{
    if (rpk == NULL) {
        return;
    }
    (void)sqlite3_close(rpk->db);
    rpk_generation_free(&rpk->live);
    if (rpk->lock >= 0) {
        (void)close(rpk->lock);
    }
    free(rpk->pins);
    free(rpk->notes);
    free(rpk);
}

const char *
rpk_notes(const struct rpk *rpk)
{
    return rpk->notes;
}

uint32_t
rpk_generation_live(const struct rpk *rpk)
{
    return rpk->live.number;
}

/* ---- questions ---- */

static const char *
text_column(sqlite3_stmt *q, int column)
{
    return (const char *)sqlite3_column_text(q, column);
}

static bool
blob_column(sqlite3_stmt *q, int column, uint8_t out[32])
{
    if (sqlite3_column_bytes(q, column) != 32) {
        return false;
    }
    rb_copy(out, sqlite3_column_blob(q, column), 32);
    return true;
}

static rb_err
require(const struct rpk *rpk, const char *package)
{
    return rpk_generation_find(&rpk->live, package) != NULL ? RB_OK : RB_ERR_PKG_NOT_INSTALLED;
}

static rb_err
visit_installed(sqlite3_stmt *q, rb_err (*visit)(void *ctx, const struct rpk_installed *p), void *ctx)
{
    struct rpk_installed p = {
        .package = text_column(q, 0),
        .name = text_column(q, 1),
        .version_code = sqlite3_column_int64(q, 2),
        .version_name = text_column(q, 3),
        .arch = text_column(q, 4),
        .min_platform = sqlite3_column_int64(q, 5),
        .installed = sqlite3_column_int64(q, 6),
        .size = sqlite3_column_int64(q, 7),
        .file_count = sqlite3_column_int64(q, 8),
    };

    if (!blob_column(q, 9, p.content) || !blob_column(q, 10, p.signer)) {
        return rb_fail(RB_ERR_PKG_STATE, "%s: database row", p.package);
    }
    return visit(ctx, &p);
}

rb_err
rpk_each(struct rpk *rpk, const char *package, rb_err (*visit)(void *ctx, const struct rpk_installed *p), void *ctx)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    unsigned count = 0;

    if (package != NULL) {
        RB_TRY(require(rpk, package));
    }
    if (rpk->live.count == 0) {
        return RB_OK;
    }
    RB_TRY(rb_db_prepare(rpk->db, &q,
                         "SELECT m.package, v.name, m.version_code, v.version_name, v.arch, v.min_platform,"
                         " m.installed, coalesce(sum(f.size), 0), count(f.path), m.content, m.signer"
                         " FROM member m JOIN version v ON v.package=m.package AND v.store=m.store"
                         " LEFT JOIN file f ON f.package=m.package AND f.store=m.store"
                         " WHERE m.number=?1 AND (?2 IS NULL OR m.package=?2) GROUP BY m.package ORDER BY m.package",
                         "is", (int64_t)rpk->live.number, package));
    rb_err err = rb_db_step(q, &row);
    while (err == RB_OK && row) {
        count++;
        err = visit_installed(q, visit, ctx);
        if (err == RB_OK) {
            err = rb_db_step(q, &row);
        }
    }
    (void)sqlite3_finalize(q);
    if (err == RB_OK && count != (package != NULL ? 1 : rpk->live.count)) {
        err = rb_fail(RB_ERR_PKG_STATE, "database lacks packages of generation %" PRIu32, rpk->live.number);
    }
    return err;
}

rb_err
rpk_each_fact(struct rpk *rpk, const char *package, rb_err (*visit)(void *ctx, const char *kind, const char *value),
              void *ctx)
{
    sqlite3_stmt *q = NULL;
    bool row = false;

    RB_TRY(require(rpk, package));
    RB_TRY(rb_db_prepare(rpk->db, &q,
                         "SELECT a.kind, a.value FROM fact a JOIN member m ON m.package=a.package AND m.store=a.store"
                         " WHERE m.number=? AND m.package=? ORDER BY a.kind, a.value",
                         "is", (int64_t)rpk->live.number, package));
    rb_err err = rb_db_step(q, &row);
    while (err == RB_OK && row) {
        err = visit(ctx, text_column(q, 0), text_column(q, 1));
        if (err == RB_OK) {
            err = rb_db_step(q, &row);
        }
    }
    (void)sqlite3_finalize(q);
    return err;
}

/* Files of the live generation: of one package, at one path, or both. */
static rb_err
visit_files(struct rpk *rpk, const char *package, const char *path,
            rb_err (*visit)(void *ctx, const struct rpk_installed_file *file), void *ctx, unsigned *count)
{
    sqlite3_stmt *q = NULL;
    bool row = false;

    *count = 0;
    if (rpk->live.count == 0) {
        return RB_OK;
    }
    RB_TRY(rb_db_prepare(rpk->db, &q,
                         "SELECT f.package, f.path, f.size, f.mode, f.sha256 FROM file f"
                         " JOIN member m ON m.package=f.package AND m.store=f.store"
                         " WHERE m.number=?1 AND (?2 IS NULL OR f.package=?2) AND (?3 IS NULL OR f.path=?3)"
                         " ORDER BY f.package, f.path",
                         "iss", (int64_t)rpk->live.number, package, path));
    rb_err err = rb_db_step(q, &row);
    while (err == RB_OK && row) {
        struct rpk_installed_file file = {.package = text_column(q, 0),
                                          .path = text_column(q, 1),
                                          .size = sqlite3_column_int64(q, 2),
                                          .mode = (mode_t)sqlite3_column_int(q, 3)};
        err = blob_column(q, 4, file.sha256) ? visit(ctx, &file)
                                             : rb_fail(RB_ERR_PKG_STATE, "%s: database row", file.path);
        (*count)++;
        if (err == RB_OK) {
            err = rb_db_step(q, &row);
        }
    }
    (void)sqlite3_finalize(q);
    return err;
}

rb_err
rpk_each_file(struct rpk *rpk, const char *package, rb_err (*visit)(void *ctx, const struct rpk_installed_file *file),
              void *ctx)
{
    unsigned count;

    RB_TRY(require(rpk, package));
    return visit_files(rpk, package, NULL, visit, ctx, &count);
}

/* A real path below `dir`, as "<part>/<package>/<rest>"; NULL when it is not below it. */
static const char *
below(const char *real, const char *dir, const char *part)
{
    char *prefix = rb_text("%s/%s/", dir, part);
    size_t len = strlen(prefix);
    const char *rest = strncmp(real, prefix, len) == 0 ? real + len : NULL;

    free(prefix);
    return rest;
}

/* `rest` is "<package>/<store>/<path>": the file must be one of the live version. */
static rb_err
owner_in_store(struct rpk *rpk, const char *rest, rb_err (*visit)(void *ctx, const struct rpk_installed_file *file),
               void *ctx, unsigned *count)
{
    char *package = rb_text("%s", rest);
    char *store = strchr(package, '/');
    rb_err err = RB_OK;

    if (store != NULL) {
        *store++ = '\0';
        char *path = strchr(store, '/');
        if (path != NULL) {
            *path++ = '\0';
            const struct rpk_member *m = rpk_generation_find(&rpk->live, package);
            if (m != NULL && strcmp(m->store, store) == 0) {
                err = visit_files(rpk, package, path, visit, ctx, count);
            }
        }
    }
    free(package);
    return err;
}

static rb_err
owner_in_data(struct rpk *rpk, const char *rest, rb_err (*visit)(void *ctx, const struct rpk_installed_file *file),
              void *ctx, unsigned *count)
{
    size_t len = strcspn(rest, "/");
    char *package = rb_text("%.*s", (int)len, rest);
    char *path = rb_text("data%s", rest + len);
    rb_err err = RB_OK;

    if (rpk_generation_find(&rpk->live, package) != NULL) {
        const struct rpk_installed_file file = {.package = package, .path = path, .size = -1};
        err = visit(ctx, &file);
        *count = 1;
    }
    free(path);
    free(package);
    return err;
}

rb_err
rpk_owner(struct rpk *rpk, const char *path, rb_err (*visit)(void *ctx, const struct rpk_installed_file *file),
          void *ctx)
{
    char *real = realpath(path, NULL);
    char *dir = realpath(rpk->dir, NULL);
    const char *store = real != NULL && dir != NULL ? below(real, dir, "store") : NULL;
    const char *data = real != NULL && dir != NULL ? below(real, dir, "data") : NULL;
    unsigned count = 0;
    rb_err err;

    if (store != NULL) {
        err = owner_in_store(rpk, store, visit, ctx, &count);
    } else if (data != NULL) {
        err = owner_in_data(rpk, data, visit, ctx, &count);
    } else {
        err = path[0] == '/' ? RB_OK : visit_files(rpk, NULL, path, visit, ctx, &count);
    }
    free(dir);
    free(real);
    return err != RB_OK || count > 0 ? err : rb_fail(RB_ERR_NOT_FOUND, "belongs to no installed package");
}

char *
rpk_directory(const struct rpk *rpk, const char *package)
{
    return rb_text("%s/current/%s", rpk->dir, package);
}
