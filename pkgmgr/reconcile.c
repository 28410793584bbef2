/* SPDX-License-Identifier: Apache-2.0
 *
 * The live generation decides; all else follows it. The same steps are the recovery after a cut transaction, the work
 * after a committed one and the collection of garbage, so each is run often and none is only for disasters.
 *
 * What must hold afterwards, N being the live generation and P the newest whole one before it:
 *
 *   gen/      holds N and P, nothing else          (P stays for going back)
 *   store/    holds what N and P name
 *   database  has rows of N (active) and P that say what their manifests say
 *   data/     has a directory for each package of N, and no other
 *   pins/     has a pin for each package of N, and no other; the pin equals the signer in N's manifest
 *   tmp/      is empty, no *.part and no current.tmp is left
 */
#include "pkgmgr/state.h"

#include "lib/core/bytes.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void __attribute__((format(printf, 2, 3)))
note(struct rpk *rpk, const char *format, ...)
{
    char line[256];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    char *longer = rb_text("%s%s\n", rpk->notes, line);
    free(rpk->notes);
    rpk->notes = longer;
}

/* ---- generations ---- */

/* The newest generation below the live one whose manifest is whole. */
static rb_err
find_previous(const struct rpk *rpk, struct rpk_generation *out)
{
    char *path = rb_text("%s/gen", rpk->dir);
    struct rpk_strings names;
    rb_err err = rpk_tree_names(path, &names);

    *out = (struct rpk_generation){0};
    for (unsigned i = 0; err == RB_OK && i < names.count; i++) {
        uint32_t number = rpk_generation_number(names.at[i]);
        struct rpk_generation g;
        if (number > out->number && number < rpk->live.number && rpk_tree_read(rpk->dir, number, &g) == RB_OK) {
            rpk_generation_free(out);
            *out = g;
        }
        rb_fail_clear();
    }
    if (err == RB_OK) {
        rpk_strings_free(&names);
    }
    free(path);
    return err;
}

static rb_err
tidy_generations(const struct rpk *rpk, uint32_t previous)
{
    char *path = rb_text("%s/gen", rpk->dir);
    struct rpk_strings names;
    rb_err err = rpk_tree_names(path, &names);

    if (err != RB_OK) {
        free(path);
        return err;
    }
    for (unsigned i = 0; err == RB_OK && i < names.count; i++) {
        uint32_t number = rpk_generation_number(names.at[i]);
        if (number == 0 || (number != rpk->live.number && number != previous)) {
            char *one = rb_text("%s/%s", path, names.at[i]);
            err = rpk_tree_discard(rpk->dir, one);
            free(one);
        }
    }
    rpk_strings_free(&names);
    free(path);
    return err;
}

/* ---- store ---- */

static bool
names_store(const struct rpk_generation *g, const char *package, const char *store)
{
    const struct rpk_member *m = rpk_generation_find(g, package);

    return m != NULL && strcmp(m->store, store) == 0;
}

static rb_err
tidy_package(const struct rpk *rpk, const struct rpk_generation *previous, const char *package)
{
    char *path = rb_text("%s/store/%s", rpk->dir, package);
    struct rpk_strings names = {NULL, 0};
    unsigned kept = 0;
    rb_err err = rpk_tree_names(path, &names);

    for (unsigned i = 0; err == RB_OK && i < names.count; i++) {
        if (names_store(&rpk->live, package, names.at[i]) || names_store(previous, package, names.at[i])) {
            kept++;
            continue;
        }
        char *one = rb_text("%s/%s", path, names.at[i]);
        err = rpk_tree_discard(rpk->dir, one);
        free(one);
    }
    if (err == RB_OK && kept == 0 && rmdir(path) != 0) {
        err = rb_fail_errno("%s", path);
    }
    rpk_strings_free(&names);
    free(path);
    return err;
}

static rb_err
tidy_store(const struct rpk *rpk, const struct rpk_generation *previous)
{
    char *path = rb_text("%s/store", rpk->dir);
    struct rpk_strings names = {NULL, 0};
    rb_err err = rpk_tree_names(path, &names);

    for (unsigned i = 0; err == RB_OK && i < names.count; i++) {
        err = tidy_package(rpk, previous, names.at[i]);
    }
    rpk_strings_free(&names);
    free(path);
    return err;
}

static rb_err
tidy_leftovers(const struct rpk *rpk)
{
    char *tmp = rb_text("%s/tmp", rpk->dir);
    char *link = rb_text("%s/current.tmp", rpk->dir);
    struct rpk_strings names = {NULL, 0};
    rb_err err = rpk_tree_names(tmp, &names);

    for (unsigned i = 0; err == RB_OK && i < names.count; i++) {
        char *one = rb_text("%s/%s", tmp, names.at[i]);
        err = rb_remove_tree(one);
        free(one);
    }
    if (err == RB_OK && unlink(link) != 0 && errno != ENOENT) {
        err = rb_fail_errno("%s", link);
    }
    rpk_strings_free(&names);
    free(link);
    free(tmp);
    return err;
}

/* ---- data and pins ---- */

rb_err
rpk_data_make(const struct rpk *rpk, const char *package)
{
    static const char *const kinds[] = {"files", "cache", "mass", "tmp", "preferences"};
    rb_err err = RB_OK;

    for (size_t i = 0; err == RB_OK && i < sizeof kinds / sizeof kinds[0]; i++) {
        char *path = rb_text("%s/data/%s/%s", rpk->dir, package, kinds[i]);
        if (!rb_file_exists(path)) {
            err = rb_make_dirs(path, 0700);
        }
        free(path);
    }
    return err;
}

static rb_err
tidy_data(const struct rpk *rpk)
{
    char *path = rb_text("%s/data", rpk->dir);
    struct rpk_strings names = {NULL, 0};
    rb_err err = rpk_tree_names(path, &names);

    for (unsigned i = 0; err == RB_OK && i < names.count; i++) {
        if (rpk_generation_find(&rpk->live, names.at[i]) == NULL) {
            char *one = rb_text("%s/%s", path, names.at[i]);
            err = rpk_tree_discard(rpk->dir, one);
            free(one);
        }
    }
    for (unsigned i = 0; err == RB_OK && i < rpk->live.count; i++) {
        err = rpk_data_make(rpk, rpk->live.members[i].package);
    }
    rpk_strings_free(&names);
    free(path);
    return err;
}

rb_err
rpk_pin_read(const struct rpk *rpk, const char *package, uint8_t signer[32], bool *pinned)
{
    char *path = rb_text("%s/%s", rpk->pins, package);
    uint8_t *text = NULL;
    size_t len = 0;
    rb_err err = rb_file_read(path, 65, &text, &len);

    *pinned = err == RB_OK;
    if (err == RB_ERR_IO_NOT_FOUND) {
        rb_fail_clear();
        err = RB_OK;
    } else if (err == RB_OK) {
        if (len == 65) {
            text[64] = '\0';
        }
        if (len != 65 || rb_unhex((const char *)text, signer, 32) != RB_OK) {
            rb_fail_clear();
            err = rb_fail(RB_ERR_PKG_STATE, "%s: not a pin", path);
        }
    }
    free(text);
    free(path);
    return err;
}

/* The directory must be as durable as what is put into it. */
static rb_err
make_pins(const struct rpk *rpk)
{
    if (rb_file_exists(rpk->pins)) {
        return RB_OK;
    }
    char *trust = rb_text("%s/trust", rpk->settings->state_dir);
    rb_err err = rb_make_dirs(rpk->pins, 0755);
    if (err == RB_OK) {
        err = rb_sync_dir(trust);
    }
    if (err == RB_OK) {
        err = rb_sync_dir(rpk->settings->state_dir);
    }
    free(trust);
    return err;
}

rb_err
rpk_pin_write(const struct rpk *rpk, const char *package, const uint8_t signer[32])
{
    char *path = rb_text("%s/%s", rpk->pins, package);
    char hex[66];

    rb_hex(signer, 32, hex);
    hex[64] = '\n';
    rb_err err = make_pins(rpk);
    if (err == RB_OK) {
        err = rb_file_replace(path, hex, 65, 0644);
    }
    free(path);
    return err;
}

/* A pin that is missing was lost: the tree still knows who signed. A pin that says something else is evidence, and
 * stays; it keeps newer versions out, and does not keep anyone from asking. */
static rb_err
check_pin(struct rpk *rpk, const struct rpk_member *m)
{
    uint8_t signer[32] = {0};
    bool pinned = false;
    rb_err err = rpk_pin_read(rpk, m->package, signer, &pinned);

    if (err == RB_OK && !pinned) {
        note(rpk, "signer of %s pinned again, as the package tree has it", m->package);
        return rpk_pin_write(rpk, m->package, m->signer);
    }
    if (err == RB_ERR_PKG_STATE || (err == RB_OK && !rb_equal(signer, m->signer, sizeof signer))) {
        note(rpk, "pinned signer of %s is not that of the installed package", m->package);
        rb_fail_clear();
        err = RB_OK;
    }
    return err;
}

static rb_err
tidy_pins(struct rpk *rpk)
{
    struct rpk_strings names = {NULL, 0};
    rb_err err = rpk_tree_names(rpk->pins, &names);
    bool removed = false;

    for (unsigned i = 0; err == RB_OK && i < names.count; i++) {
        if (rpk_generation_find(&rpk->live, names.at[i]) == NULL) {
            char *one = rb_text("%s/%s", rpk->pins, names.at[i]);
            err = unlink(one) == 0 ? RB_OK : rb_fail_errno("%s", one);
            removed = true;
            free(one);
        }
    }
    rpk_strings_free(&names);
    if (err == RB_OK && removed) {
        err = rb_sync_dir(rpk->pins);
    }
    for (unsigned i = 0; err == RB_OK && i < rpk->live.count; i++) {
        err = check_pin(rpk, &rpk->live.members[i]);
    }
    return err;
}

/* ---- database ---- */

static rb_err
rebuild(struct rpk *rpk, const struct rpk_generation *g, const char *state)
{
    for (unsigned i = 0; i < g->count; i++) {
        RB_TRY(rpk_book_from_tree(rpk->db, rpk->dir, &g->members[i]));
    }
    return rpk_book_generation(rpk->db, g, state, "rebuilt from the package tree");
}

static rb_err
in_transaction(sqlite3 *db, rb_err err)
{
    if (err == RB_OK) {
        err = rb_db_run(db, "COMMIT");
    }
    if (err != RB_OK) {
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    return err;
}

/* The generation before is worth keeping, not worth failing for. */
static rb_err
rebuild_previous(struct rpk *rpk, struct rpk_generation *previous)
{
    rb_err err = rebuild(rpk, previous, "active");

    if (err == RB_ERR_PKG_STATE || err == RB_ERR_RPK_MANIFEST || err == RB_ERR_IO_NOT_FOUND) {
        char *path = rb_text("%s/gen/%" PRIu32, rpk->dir, previous->number);
        note(rpk, "generation %" PRIu32 " is damaged and was dropped", previous->number);
        rb_fail_clear();
        err = rpk_tree_discard(rpk->dir, path);
        rpk_generation_free(previous);
        free(path);
    }
    return err;
}

static rb_err
settle(struct rpk *rpk, struct rpk_generation *previous, bool live_known, bool previous_known)
{
    if (!live_known) {
        RB_TRY(rebuild(rpk, &rpk->live, "active"));
    }
    if (!previous_known) {
        RB_TRY(rebuild_previous(rpk, previous));
    }
    return rpk_book_tidy(rpk->db, rpk->live.number, previous->number);
}

static rb_err
tidy_book(struct rpk *rpk, struct rpk_generation *previous)
{
    bool live_known = true;
    bool previous_known = true;
    bool tidy;

    if (rpk->live.number > 0) {
        RB_TRY(rpk_book_matches(rpk->db, &rpk->live, &live_known));
    }
    if (previous->number > 0) {
        RB_TRY(rpk_book_matches(rpk->db, previous, &previous_known));
    }
    RB_TRY(rpk_book_is_tidy(rpk->db, rpk->live.number, previous->number, &tidy));
    if (live_known && previous_known && tidy) {
        return RB_OK;
    }
    RB_TRY(rb_db_run(rpk->db, "BEGIN IMMEDIATE"));
    RB_TRY(in_transaction(rpk->db, settle(rpk, previous, live_known, previous_known)));
    if (!live_known) {
        note(rpk, "package database rebuilt from the package tree");
    }
    return RB_OK;
}

/* The database last: it writes, and what was removed before may be the room it needs. */
rb_err
rpk_reconcile(struct rpk *rpk)
{
    struct rpk_generation previous;

    RB_TRY(find_previous(rpk, &previous));
    rb_err err = tidy_leftovers(rpk);
    if (err == RB_OK) {
        err = tidy_generations(rpk, previous.number);
    }
    if (err == RB_OK) {
        err = tidy_store(rpk, &previous);
    }
    if (err == RB_OK) {
        err = tidy_data(rpk);
    }
    if (err == RB_OK) {
        err = tidy_pins(rpk);
    }
    if (err == RB_OK) {
        err = tidy_book(rpk, &previous);
    }
    rpk_generation_free(&previous);
    return err;
}
