/* SPDX-License-Identifier: Apache-2.0
 *
 * A transaction, in the order in which it reaches the disk:
 *
 *   1  each new version into store/<package>/<version>.part, the links and manifest into gen/<N+1>.part
 *   2  one syncfs: all of that is durable
 *   3  the .part names become final, their directories are synced
 *   4  data directories and pins of new packages
 *   5  rows of generation N+1, "prepared", in one database transaction
 *   6  `current` is renamed to point at gen/<N+1> and the directory synced: this is the commit point
 *   7  rpk_reconcile: rows "active"; data, pins and versions that nobody names any more are removed
 *
 * A cut before 6 leaves things that no one names: rpk_reconcile removes them. A cut after 6 leaves 7 to be done:
 * rpk_reconcile does it. It need not know which of the two happened.
 */
#include "pkgmgr/state.h"

#include "lib/core/bytes.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "pkgmgr/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

struct rpk_plan {
    struct rpk *rpk;
    struct rpk_change *changes;
    unsigned count;
};

struct rpk_plan *
rpk_plan_new(struct rpk *rpk)
{
    struct rpk_plan *plan = rb_alloc(sizeof *plan);

    plan->rpk = rpk;
    return plan;
}

static void
change_free(struct rpk_change *c)
{
    rpk_file_close(c->file);
    free(c->package);
    free(c->old_name);
    rpk_strings_free(&c->new_permissions);
}

void
rpk_plan_free(struct rpk_plan *plan)
{
    if (plan == NULL) {
        return;
    }
    for (unsigned i = 0; i < plan->count; i++) {
        change_free(&plan->changes[i]);
    }
    free(plan->changes);
    free(plan);
}

const struct rpk_change *
rpk_plan_changes(const struct rpk_plan *plan, unsigned *count)
{
    *count = plan->count;
    return plan->changes;
}

static const struct rpk_change *
find_change(const struct rpk_plan *plan, const char *package)
{
    for (unsigned i = 0; i < plan->count; i++) {
        if (strcmp(plan->changes[i].package, package) == 0) {
            return &plan->changes[i];
        }
    }
    return NULL;
}

static rb_err
check_once(const struct rpk_plan *plan, const char *package)
{
    return find_change(plan, package) == NULL
               ? RB_OK
               : rb_fail(RB_ERR_PKG_TWICE, "%s", package);
}

static void
add_change(struct rpk_plan *plan, const struct rpk_change *change)
{
    plan->changes = rb_realloc(plan->changes, (plan->count + 1) * sizeof *plan->changes);
    plan->changes[plan->count++] = *change;
}

/* ---- whether a package may be installed ---- */

static rb_err
check_expected(const struct rpk_file *file, const struct rpk_expected *want)
{
    if (want->package != NULL && strcmp(want->package, file->manifest.package) != 0) {
        return rb_fail(RB_ERR_PKG_TARGET, "package %s, not %s", file->manifest.package, want->package);
    }
    if (want->version_code >= 0 && want->version_code != file->manifest.version_code) {
        return rb_fail(RB_ERR_PKG_TARGET, "versionCode %" PRId64 ", not %" PRId64, file->manifest.version_code,
                       want->version_code);
    }
    if (want->signer != NULL && !rb_equal(want->signer, file->signature.signer, 32)) {
        return rb_fail(RB_ERR_PKG_TARGET, "another signer");
    }
    return RB_OK;
}

static rb_err
check_native_allowed(const struct rb_settings *settings, const struct rpk_file *file)
{
    const char *arch = file->manifest.native.arch;
    bool named = false;

    for (unsigned i = 0; i < settings->native_signer_count; i++) {
        named = named || rb_equal(settings->native_signer[i], file->signature.signer, 32);
    }
    if (!named) {
        char signer[65];
        rb_hex(file->signature.signer, 32, signer);
        return rb_fail(RB_ERR_PKG_NATIVE_SIGNER, "signer %s", signer);
    }
    if (strcmp(arch, "any") != 0 && (settings->arch == NULL || strcmp(arch, settings->arch) != 0)) {
        return rb_fail(RB_ERR_PKG_ARCH, "for %s, the device is %s", arch,
                       settings->arch != NULL ? settings->arch : "of no named architecture");
    }
    return RB_OK;
}

static rb_err
check_signer(const struct rpk *rpk, const struct rpk_file *file)
{
    uint8_t pin[32];
    bool pinned = false;

    RB_TRY(rpk_pin_read(rpk, file->manifest.package, pin, &pinned));
    if (pinned && !rb_equal(pin, file->signature.signer, sizeof pin)) {
        char want[65];
        char got[65];
        rb_hex(pin, 32, want);
        rb_hex(file->signature.signer, 32, got);
        return rb_fail(RB_ERR_PKG_SIGNER, "signer %.16s, installed %.16s", got, want);
    }
    return RB_OK;
}

static rb_err
check_allowed(const struct rpk *rpk, const struct rpk_file *file, const struct rpk_member *old)
{
    const struct rpk_manifest *m = &file->manifest;

    if (!rpk_device_fits(&m->device_types, rpk->settings->device_type)) {
        return rb_fail(RB_ERR_PKG_DEVICE_TYPE, "for %s%s, not for %s", m->device_types.at[0],
                       m->device_types.count > 1 ? " and others" : "", rpk->settings->device_type);
    }
    RB_TRY(check_signer(rpk, file));
    if (m->is_native) {
        RB_TRY(check_native_allowed(rpk->settings, file));
    }
    if (old != NULL && m->version_code < old->version_code) {
        return rb_fail(RB_ERR_PKG_DOWNGRADE, "versionCode %" PRId64 ", installed %" PRId64, m->version_code,
                       old->version_code);
    }
    return RB_OK;
}

/* ---- what it would change ---- */

static enum rpk_change_kind
kind_of(const struct rpk_file *file, const struct rpk_member *old)
{
    if (old == NULL) {
        return RPK_INSTALL;
    }
    if (file->manifest.version_code > old->version_code) {
        return RPK_UPGRADE;
    }
    return rb_equal(old->content, file->signature.content, 32) ? RPK_NOTHING : RPK_REINSTALL;
}

static rb_err
take_version_name(void *ctx, const struct rpk_installed *p)
{
    char **name = ctx;

    *name = rb_text("%s", p->version_name);
    return RB_OK;
}

static rb_err
take_permission(void *ctx, const char *kind, const char *value)
{
    struct rpk_strings *list = ctx;

    if (strcmp(kind, "permission") == 0) {
        rpk_strings_add(list, value);
    }
    return RB_OK;
}

static rb_err
describe_old(struct rpk *rpk, struct rpk_change *c)
{
    struct rpk_strings old = {NULL, 0};
    rb_err err = RB_OK;

    if (c->old_code >= 0) {
        err = rpk_each(rpk, c->package, take_version_name, &c->old_name);
        if (err == RB_OK) {
            err = rpk_each_fact(rpk, c->package, take_permission, &old);
        }
    }
    for (unsigned i = 0; err == RB_OK && c->file != NULL && i < c->file->manifest.permissions.count; i++) {
        const char *permission = c->file->manifest.permissions.at[i];
        if (!rpk_strings_have(&old, permission)) {
            rpk_strings_add(&c->new_permissions, permission);
        }
    }
    rpk_strings_free(&old);
    return err;
}

rb_err
rpk_plan_install(struct rpk_plan *plan, struct rpk_file *file, const struct rpk_expected *expected)
{
    const struct rpk_member *old = rpk_generation_find(&plan->rpk->live, file->manifest.package);

    if (expected != NULL) {
        RB_TRY(check_expected(file, expected));
    }
    RB_TRY(check_once(plan, file->manifest.package));
    RB_TRY(check_allowed(plan->rpk, file, old));
    struct rpk_change change = {.kind = kind_of(file, old),
                                .package = rb_text("%s", file->manifest.package),
                                .file = file,
                                .old_code = old != NULL ? old->version_code : -1};
    rb_err err = describe_old(plan->rpk, &change);
    if (err != RB_OK) {
        change.file = NULL; /* still the caller's */
        change_free(&change);
        return err;
    }
    add_change(plan, &change);
    return RB_OK;
}

rb_err
rpk_plan_install_name(struct rpk_plan *plan, const char *package,
                      rb_err (*find)(void *ctx, const char *package, struct rpk_found *out), void *ctx)
{
    unsigned flags = plan->rpk->settings->developer_mode ? RPK_OPEN_DEBUG_KEY : 0;
    struct rpk_found found;
    struct rpk_file *file = NULL;

    RB_TRY(find(ctx, package, &found));
    rb_err err = rpk_file_open(found.fd, flags, &file);
    if (err != RB_OK) {
        (void)close(found.fd);
        return err;
    }
    err = rpk_plan_install(plan, file, &found.expected);
    if (err != RB_OK) {
        rpk_file_close(file);
    }
    return err;
}

rb_err
rpk_plan_remove(struct rpk_plan *plan, const char *package)
{
    const struct rpk_member *old = rpk_generation_find(&plan->rpk->live, package);

    if (old == NULL) {
        return RB_ERR_PKG_NOT_INSTALLED;
    }
    RB_TRY(check_once(plan, package));
    struct rpk_change change = {.kind = RPK_REMOVE, .package = rb_text("%s", package), .old_code = old->version_code};
    rb_err err = describe_old(plan->rpk, &change);
    if (err != RB_OK) {
        change_free(&change);
        return err;
    }
    add_change(plan, &change);
    return RB_OK;
}

/* ---- whether the set fits together ---- */

struct needs {
    const char *package;
    struct rpk_strings depends, provides, conflicts;
};

struct set {
    struct needs *at;
    unsigned count;
};

static void
copy_strings(struct rpk_strings *to, const struct rpk_strings *from)
{
    for (unsigned i = 0; i < from->count; i++) {
        rpk_strings_add(to, from->at[i]);
    }
}

static rb_err
take_need(void *ctx, const char *kind, const char *value)
{
    struct needs *n = ctx;

    if (strcmp(kind, "depends") == 0) {
        rpk_strings_add(&n->depends, value);
    } else if (strcmp(kind, "provides") == 0) {
        rpk_strings_add(&n->provides, value);
    } else if (strcmp(kind, "conflicts") == 0) {
        rpk_strings_add(&n->conflicts, value);
    }
    return RB_OK;
}

static rb_err
collect(const struct rpk_plan *plan, struct set *set)
{
    const struct rpk_generation *live = &plan->rpk->live;

    set->at = rb_alloc((live->count + plan->count) * sizeof *set->at);
    for (unsigned i = 0; i < plan->count; i++) {
        const struct rpk_change *c = &plan->changes[i];
        if (c->kind != RPK_REMOVE) {
            struct needs *n = &set->at[set->count++];
            n->package = c->package;
            copy_strings(&n->depends, &c->file->manifest.native.depends);
            copy_strings(&n->provides, &c->file->manifest.native.provides);
            copy_strings(&n->conflicts, &c->file->manifest.native.conflicts);
        }
    }
    for (unsigned i = 0; i < live->count; i++) {
        if (find_change(plan, live->members[i].package) == NULL) {
            struct needs *n = &set->at[set->count++];
            n->package = live->members[i].package;
            RB_TRY(rpk_each_fact(plan->rpk, n->package, take_need, n));
        }
    }
    return RB_OK;
}

static bool
is_called(const struct needs *n, const char *name)
{
    return strcmp(n->package, name) == 0 || rpk_strings_have(&n->provides, name);
}

static const struct needs *
find_called(const struct set *set, const char *name, const struct needs *except)
{
    for (unsigned i = 0; i < set->count; i++) {
        if (&set->at[i] != except && is_called(&set->at[i], name)) {
            return &set->at[i];
        }
    }
    return NULL;
}

static rb_err
check_needs(const struct set *set, const struct needs *n)
{
    for (unsigned i = 0; i < n->depends.count; i++) {
        if (find_called(set, n->depends.at[i], NULL) == NULL) {
            return rb_fail(RB_ERR_PKG_DEPENDS, "%s needs %s", n->package, n->depends.at[i]);
        }
    }
    for (unsigned i = 0; i < n->conflicts.count; i++) {
        const struct needs *other = find_called(set, n->conflicts.at[i], n);
        if (other != NULL) {
            return rb_fail(RB_ERR_PKG_CONFLICT, "%s and %s", n->package, other->package);
        }
    }
    return RB_OK;
}

rb_err
rpk_plan_check(struct rpk_plan *plan)
{
    struct set set = {NULL, 0};
    rb_err err = collect(plan, &set);

    for (unsigned i = 0; err == RB_OK && i < set.count; i++) {
        err = check_needs(&set, &set.at[i]);
    }
    for (unsigned i = 0; i < set.count; i++) {
        rpk_strings_free(&set.at[i].depends);
        rpk_strings_free(&set.at[i].provides);
        rpk_strings_free(&set.at[i].conflicts);
    }
    free(set.at);
    return err;
}

/* ---- doing it ---- */

static void
member_of(const struct rpk_file *file, struct rpk_member *out)
{
    char hex[65];

    rb_hex(file->signature.content, 32, hex);
    *out = (struct rpk_member){.package = file->manifest.package,
                               .version_code = file->manifest.version_code,
                               .store = rb_text("%" PRId64 "-%.8s", file->manifest.version_code, hex),
                               .installed = time(NULL) > 0 ? (int64_t)time(NULL) : 0};
    rb_copy(out->content, file->signature.content, 32);
    rb_copy(out->signer, file->signature.signer, 32);
    rb_copy(out->manifest, file->manifest_sha256, 32);
}

static rb_err
next_generation(const struct rpk_plan *plan, struct rpk_generation *next, bool *changed)
{
    const struct rpk_generation *live = &plan->rpk->live;

    *changed = false;
    next->number = live->number + 1;
    for (unsigned i = 0; i < live->count; i++) {
        rpk_generation_put(next, &live->members[i]);
    }
    for (unsigned i = 0; i < plan->count; i++) {
        const struct rpk_change *c = &plan->changes[i];
        struct rpk_member m;
        *changed = *changed || c->kind != RPK_NOTHING;
        if (c->kind == RPK_REMOVE) {
            rpk_generation_drop(next, c->package);
        } else if (c->kind != RPK_NOTHING) {
            member_of(c->file, &m);
            rpk_generation_put(next, &m);
            free(m.store);
        }
    }
    return next->number == UINT32_MAX ? rb_fail(RB_ERR_INTERNAL, "generations are used up") : RB_OK;
}

static rb_err
check_space(const struct rpk_plan *plan)
{
    struct statvfs fs;
    uint64_t need = 0;

    for (unsigned i = 0; i < plan->count; i++) {
        const struct rpk_change *c = &plan->changes[i];
        need += c->file != NULL && c->kind != RPK_NOTHING ? rpk_unpacked_len(c->file) : 0;
    }
    if (need > 0 && statvfs(plan->rpk->dir, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < need) {
        return rb_fail(RB_ERR_NO_SPACE, "%" PRIu64 " bytes are needed, %" PRIu64 " are free", need,
                       (uint64_t)fs.f_bavail * fs.f_frsize);
    }
    return RB_OK;
}

/* Step 1 for one package. Unchanged files come from the installed version; of a version that was removed a moment ago
 * and is kept for going back, from that. */
static rb_err
step_unpack(struct rpk *rpk, const struct rpk_change *c, const struct rpk_member *m)
{
    const struct rpk_member *old = rpk_generation_find(&rpk->live, m->package);
    char *final = rb_text("%s/store/%s/%s", rpk->dir, m->package, m->store);
    char *part = rb_text("%s.part", final);
    char *previous = old != NULL ? rb_text("%s/store/%s/%s", rpk->dir, m->package, old->store) : rb_text("%s", final);
    rb_err err = rpk_unpack(c->file, part, previous);

    free(previous);
    free(part);
    free(final);
    return err;
}

/* The name may be taken by the same version, kept for the generation before. They change places, so that the name
 * never stands for nothing; a file system that cannot do that loses the older one, which is only a copy. */
static rb_err
take_name(const struct rpk *rpk, const char *part, const char *final)
{
    if (!rb_file_exists(final)) {
        return rename(part, final) == 0 ? RB_OK : rb_fail_errno("%s", final);
    }
    if (renameat2(AT_FDCWD, part, AT_FDCWD, final, RENAME_EXCHANGE) == 0) {
        return rpk_tree_discard(rpk->dir, part);
    }
    RB_TRY(rpk_tree_discard(rpk->dir, final));
    return rename(part, final) == 0 ? RB_OK : rb_fail_errno("%s", final);
}

/* Step 3 for one package. */
static rb_err
step_finish(struct rpk *rpk, const struct rpk_change *c, const struct rpk_member *m)
{
    (void)c;
    char *parent = rb_text("%s/store/%s", rpk->dir, m->package);
    char *final = rb_text("%s/%s", parent, m->store);
    char *part = rb_text("%s.part", final);
    rb_err err = take_name(rpk, part, final);

    if (err == RB_OK) {
        err = rb_sync_dir(parent);
    }
    free(part);
    free(final);
    free(parent);
    return err;
}

static rb_err
finish_generation(const struct rpk *rpk, uint32_t number)
{
    char *parent = rb_text("%s/gen", rpk->dir);
    char *final = rb_text("%s/%" PRIu32, parent, number);
    char *part = rb_text("%s.part", final);
    rb_err err = rename(part, final) == 0 ? rb_sync_dir(parent) : rb_fail_errno("%s", final);

    free(part);
    free(final);
    free(parent);
    return err;
}

static rb_err
sync_all(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        return rb_fail_errno("%s", dir);
    }
    rb_err err = syncfs(fd) == 0 ? RB_OK : rb_fail_errno("sync %s", dir);
    (void)close(fd);
    return err;
}

/* Run `step` for each package that the transaction brings. */
static rb_err
each_new(const struct rpk_plan *plan, const struct rpk_generation *next,
         rb_err (*step)(struct rpk *rpk, const struct rpk_change *c, const struct rpk_member *m))
{
    for (unsigned i = 0; i < plan->count; i++) {
        const struct rpk_change *c = &plan->changes[i];
        if (c->kind != RPK_REMOVE && c->kind != RPK_NOTHING) {
            RB_TRY(step(plan->rpk, c, rpk_generation_find(next, c->package)));
        }
    }
    return RB_OK;
}


static rb_err
step_prepare(struct rpk *rpk, const struct rpk_change *c, const struct rpk_member *m)
{
    RB_TRY(rpk_data_make(rpk, m->package));
    return c->old_code < 0 ? rpk_pin_write(rpk, m->package, m->signer) : RB_OK;
}

static rb_err
step_record(struct rpk *rpk, const struct rpk_change *c, const struct rpk_member *m)
{
    return rpk_book_version(rpk->db, m, c->file);
}

static char *
reason_of(const struct rpk_plan *plan)
{
    static const char *const verbs[] = {"install", "upgrade", "reinstall", "remove", "keep"};
    char *text = rb_text("%s", "");

    for (unsigned i = 0; i < plan->count && strlen(text) < 4000; i++) {
        char *longer = rb_text("%s%s%s %s", text, i > 0 ? ", " : "", verbs[plan->changes[i].kind],
                               plan->changes[i].package);
        free(text);
        text = longer;
    }
    return text;
}

static rb_err
record(const struct rpk_plan *plan, const struct rpk_generation *next)
{
    sqlite3 *db = plan->rpk->db;
    char *reason = reason_of(plan);
    rb_err err = rb_db_run(db, "BEGIN IMMEDIATE");

    if (err == RB_OK) {
        err = each_new(plan, next, step_record);
        if (err == RB_OK) {
            err = rpk_book_generation(db, next, "prepared", reason);
        }
        if (err == RB_OK) {
            err = rb_db_run(db, "COMMIT");
        }
        if (err != RB_OK) {
            (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
        }
    }
    free(reason);
    return err;
}

static rb_err
write_all(const struct rpk_plan *plan, const struct rpk_generation *next)
{
    const struct rpk *rpk = plan->rpk;

    RB_TRY(each_new(plan, next, step_unpack));
    RB_TRY(rpk_tree_write(rpk->dir, next));
    RB_TRY(sync_all(rpk->dir));
    RB_TRY(each_new(plan, next, step_finish));
    RB_TRY(finish_generation(rpk, next->number));
    RB_TRY(each_new(plan, next, step_prepare));
    RB_TRY(record(plan, next));
    return rpk_tree_switch(rpk->dir, next->number);
}

/* An error before the switch is undone at once, so that a full disk is not left full. Which generation is live is
 * read from the tree: the switch may have happened and its sync failed. */
static rb_err
undo(struct rpk *rpk, rb_err why)
{
    char *detail = rb_text("%s", rb_fail_detail());
    uint32_t number = 0;

    rb_fail_clear();
    rb_err err = rpk_tree_current(rpk->dir, &number);
    if (err == RB_OK && number == rpk->live.number) {
        err = rpk_reconcile(rpk);
    }
    rb_fail_clear(); /* what could not be undone now is undone by the next rpk_open */
    why = number == rpk->live.number ? rb_fail(why, "%s", detail)
                                     : rb_fail(why, "%s; the new set is live, but a power cut may undo it", detail);
    free(detail);
    return why;
}

rb_err
rpk_plan_commit(struct rpk_plan *plan)
{
    struct rpk *rpk = plan->rpk;
    struct rpk_generation next = {0};
    bool changed = false;

    rb_err err = next_generation(plan, &next, &changed);
    if (err != RB_OK || !changed) {
        rpk_generation_free(&next);
        return err;
    }
    err = check_space(plan);
    if (err == RB_OK) {
        err = write_all(plan, &next);
        if (err != RB_OK) {
            err = undo(rpk, err);
        }
    }
    if (err != RB_OK) {
        rpk_generation_free(&next);
        return err;
    }
    rpk_generation_free(&rpk->live);
    rpk->live = next;
    if (rpk_reconcile(rpk) != RB_OK) {
        rb_fail_clear(); /* the new set is live and durable; the next rpk_open tries again */
    }
    return RB_OK;
}
