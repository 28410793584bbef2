/* SPDX-License-Identifier: Apache-2.0
 *
 * The client workflow of TUF 1.0.34, section 5.
 *
 * Order on disk. A file is written only after it was verified, each by a rename, so after a power cut every file is
 * whole: the old one or the new one. What the files are to each other is found out again when they are loaded:
 * timestamp, snapshot and targets count as one trusted set only when each is the one that its parent names. An
 * incomplete set (cut between two files, or a fetch that failed) still serves as the floor for versions.
 *
 * A root that takes a key from timestamp or snapshot makes what that key signed worthless, high version numbers
 * included: the two files and the time floor are dropped. The file `rotated` is written before such a root and
 * removed after the files are gone, so a cut in between is made up for at the next load.
 */
#include "lib/tuf/tuf.h"

#include "lib/core/bytes.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/tuf/meta.h"
#include "lib/tuf/time.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOCK_WAIT_MS 30000u
#define FILE_MODE 0644

struct rb_tuf {
    char *dir;
    int64_t clock;
    int64_t floor;                           /* at least RB_TUF_TIME_BUILD */
    struct rb_meta *role[RB_META_ROLE_COUNT]; /* NULL: none trusted; root is always there */
};

static const size_t role_limit[RB_META_ROLE_COUNT] = {
    RB_TUF_ROOT_MAX,
    RB_TUF_TIMESTAMP_MAX,
    RB_TUF_SNAPSHOT_MAX,
    RB_TUF_TARGETS_MAX,
};

/* Put the file's name in front of the detail that is kept. */
static rb_err
name_failure(rb_err err, const char *name)
{
    char *detail = rb_text("%s", rb_fail_detail());

    rb_fail_clear();
    err = rb_fail(err, detail[0] != '\0' ? "%s: %s" : "%s%s", name, detail);
    free(detail);
    return err;
}

static char *
file_of(const struct rb_tuf *tuf, const char *name)
{
    return rb_text("%s/%s", tuf->dir, name);
}

static char *
role_file(const struct rb_tuf *tuf, enum rb_meta_role role)
{
    return rb_text("%s/%s.json", tuf->dir, rb_meta_role_name(role));
}

static int64_t
time_used(const struct rb_tuf *tuf)
{
    return tuf->clock > tuf->floor ? tuf->clock : tuf->floor;
}

static void
distrust(struct rb_tuf *tuf, enum rb_meta_role role)
{
    rb_meta_free(tuf->role[role]);
    tuf->role[role] = NULL;
}

static rb_err
remove_file(const struct rb_tuf *tuf, const char *name)
{
    char *path = file_of(tuf, name);
    rb_err err = unlink(path) == 0 || errno == ENOENT ? RB_OK : rb_fail_errno("%s", path);

    free(path);
    return err;
}

/* ---- verifying ---- */

static rb_err
read_verified(const void *data, size_t len, const struct rb_meta *root, enum rb_meta_role role, struct rb_meta **out)
{
    struct rb_meta *meta = NULL;

    RB_TRY(rb_meta_read(data, len, &meta));
    rb_err err = rb_meta_verify(meta, root, role);
    if (err == RB_OK) {
        err = rb_meta_check(meta, role);
    }
    if (err != RB_OK) {
        rb_meta_free(meta);
        return err;
    }
    *out = meta;
    return RB_OK;
}

/* A root that is its own judge: the first one, or the one that was stored after it had been verified. */
static rb_err
read_first_root(const void *data, size_t len, struct rb_meta **out)
{
    struct rb_meta *root = NULL;

    RB_TRY(rb_meta_read(data, len, &root));
    rb_err err = rb_meta_check(root, RB_META_ROOT);
    if (err == RB_OK) {
        err = rb_meta_verify(root, root, RB_META_ROOT);
    }
    if (err != RB_OK) {
        rb_meta_free(root);
        return err;
    }
    *out = root;
    return RB_OK;
}

static rb_err
not_expired(const struct rb_tuf *tuf, const struct rb_meta *meta)
{
    char expires[RB_TIME_TEXT_LEN + 1];
    char now[RB_TIME_TEXT_LEN + 1];

    if (time_used(tuf) < meta->expires) {
        return RB_OK;
    }
    rb_time_format(meta->expires, expires);
    rb_time_format(time_used(tuf) > RB_TIME_MAX ? RB_TIME_MAX : time_used(tuf), now);
    return rb_fail(RB_ERR_META_EXPIRED, "expired at %s, and it is %s", expires, now);
}

/* Whether a trusted file is the one its parent names. */
static bool
is_named(const struct rb_meta *meta, const struct rb_meta *parent, enum rb_meta_role role)
{
    struct rb_meta_ref ref;

    if (meta == NULL || parent == NULL
        || rb_meta_ref(parent, role == RB_META_SNAPSHOT ? "snapshot.json" : "targets.json", &ref) != RB_OK) {
        return false;
    }
    return meta->version == ref.version && (!ref.has_length || ref.length == meta->len)
           && (!ref.has_sha256 || rb_equal(ref.sha256, meta->sha256, sizeof ref.sha256));
}

static bool
set_complete(const struct rb_tuf *tuf)
{
    return is_named(tuf->role[RB_META_SNAPSHOT], tuf->role[RB_META_TIMESTAMP], RB_META_SNAPSHOT)
           && is_named(tuf->role[RB_META_TARGETS], tuf->role[RB_META_SNAPSHOT], RB_META_TARGETS);
}

/* ---- loading ---- */

/* A role other than root: a file that is missing, damaged or no longer verifiable is as if it were not there. */
static void
load_role(struct rb_tuf *tuf, enum rb_meta_role role)
{
    char *path = role_file(tuf, role);
    uint8_t *data = NULL;
    size_t len = 0;

    distrust(tuf, role);
    if (rb_file_read(path, role_limit[role], &data, &len) == RB_OK) {
        if (read_verified(data, len, tuf->role[RB_META_ROOT], role, &tuf->role[role]) != RB_OK) {
            tuf->role[role] = NULL;
        }
        free(data);
    }
    rb_fail_clear();
    free(path);
}

static rb_err
load_root(struct rb_tuf *tuf)
{
    char *path = role_file(tuf, RB_META_ROOT);
    struct rb_meta *root = NULL;
    uint8_t *data = NULL;
    size_t len = 0;

    rb_err err = rb_file_read(path, RB_TUF_ROOT_MAX, &data, &len);
    if (err == RB_OK) {
        err = read_first_root(data, len, &root);
        free(data);
    }
    if (err != RB_OK) {
        err = name_failure(RB_ERR_META_TRUST, path);
    } else {
        distrust(tuf, RB_META_ROOT);
        tuf->role[RB_META_ROOT] = root;
    }
    free(path);
    return err;
}

/* A non-negative decimal number with nothing around it; `fallback` for any other content or no file. */
static int64_t
load_number(const struct rb_tuf *tuf, const char *name, int64_t fallback)
{
    char *path = file_of(tuf, name);
    uint8_t *data = NULL;
    int64_t value = 0;
    size_t len = 0;

    rb_err err = rb_file_read(path, 18, &data, &len); /* 18 digits cannot overflow */
    bool valid = err == RB_OK && len > 0;
    for (size_t i = 0; valid && i < len; i++) {
        valid = data[i] >= '0' && data[i] <= '9';
        value = value * 10 + (data[i] - '0');
    }
    rb_fail_clear();
    free(data);
    free(path);
    return valid ? value : fallback;
}

static rb_err
store_number(const struct rb_tuf *tuf, const char *name, int64_t value)
{
    char *path = file_of(tuf, name);
    char *text = rb_text("%lld", (long long)value);
    rb_err err = rb_file_replace(path, text, strlen(text), FILE_MODE);

    free(text);
    free(path);
    return err;
}

static void
load_floor(struct rb_tuf *tuf)
{
    int64_t stored = load_number(tuf, "time", 0);

    tuf->floor = stored > RB_TUF_TIME_BUILD && stored <= RB_TIME_MAX ? stored : RB_TUF_TIME_BUILD;
}

/* What keys signed that the root no longer has. Safe to do again. */
static rb_err
drop_rotated(struct rb_tuf *tuf)
{
    distrust(tuf, RB_META_TIMESTAMP);
    distrust(tuf, RB_META_SNAPSHOT);
    RB_TRY(remove_file(tuf, "timestamp.json"));
    RB_TRY(remove_file(tuf, "snapshot.json"));
    RB_TRY(remove_file(tuf, "time"));
    RB_TRY(rb_sync_dir(tuf->dir));
    RB_TRY(remove_file(tuf, "rotated"));
    load_floor(tuf);
    return RB_OK;
}

static rb_err
load(struct rb_tuf *tuf)
{
    RB_TRY(load_root(tuf));
    load_floor(tuf);
    for (int role = RB_META_TIMESTAMP; role < RB_META_ROLE_COUNT; role++) {
        load_role(tuf, (enum rb_meta_role)role);
    }
    /* Cut between the new root and the removal of what it made worthless. In memory now; on disk by the next refresh,
     * since a reader may not be allowed to write here. */
    if (load_number(tuf, "rotated", INT64_MAX) <= tuf->role[RB_META_ROOT]->version) {
        distrust(tuf, RB_META_TIMESTAMP);
        distrust(tuf, RB_META_SNAPSHOT);
        tuf->floor = RB_TUF_TIME_BUILD;
    }
    return RB_OK;
}

/* ---- fetching ---- */

struct fetched {
    uint8_t *data;
    size_t len;
};

static rb_err
fetch_file(rb_tuf_fetch fetch, void *ctx, const char *name, size_t limit, struct fetched *out)
{
    struct fetched file = {rb_alloc(limit), 0};

    rb_err err = fetch(ctx, name, file.data, limit, &file.len);
    if (err == RB_OK && file.len > limit) {
        err = RB_ERR_META_TOO_LARGE;
    }
    if (err != RB_OK) {
        free(file.data);
        return err;
    }
    *out = file;
    return RB_OK;
}

/* On disk first, then in memory: when the write fails the old file is trusted still, here and there. Takes `meta`. */
static rb_err
store(struct rb_tuf *tuf, enum rb_meta_role role, const struct fetched *file, struct rb_meta *meta)
{
    char *path = role_file(tuf, role);
    rb_err err = rb_file_replace(path, file->data, file->len, FILE_MODE);

    free(path);
    if (err != RB_OK) {
        rb_meta_free(meta);
        return err;
    }
    distrust(tuf, role);
    tuf->role[role] = meta;
    return RB_OK;
}

/* ---- 5.3 root ---- */

static rb_err
verify_next_root(const struct rb_tuf *tuf, const struct fetched *file, struct rb_meta **out)
{
    const struct rb_meta *trusted = tuf->role[RB_META_ROOT];
    struct rb_meta *next = NULL;

    RB_TRY(read_verified(file->data, file->len, trusted, RB_META_ROOT, &next));
    rb_err err = rb_meta_verify(next, next, RB_META_ROOT);
    if (err == RB_OK && next->version != trusted->version + 1) {
        err = rb_fail(RB_ERR_META_VERSION, "it is version %lld", (long long)next->version);
    }
    if (err != RB_OK) {
        rb_meta_free(next);
        return err;
    }
    *out = next;
    return RB_OK;
}

static rb_err
replace_root(struct rb_tuf *tuf, const struct fetched *file, struct rb_meta *next)
{
    const struct rb_meta *trusted = tuf->role[RB_META_ROOT];
    bool rotated = rb_meta_key_removed(trusted, next, RB_META_TIMESTAMP)
                   || rb_meta_key_removed(trusted, next, RB_META_SNAPSHOT);

    if (rotated) {
        rb_err err = store_number(tuf, "rotated", next->version);
        if (err != RB_OK) {
            rb_meta_free(next);
            return err;
        }
    }
    RB_TRY(store(tuf, RB_META_ROOT, file, next));
    if (rotated) {
        RB_TRY(drop_rotated(tuf));
    }
    /* Others have to stand before the new root too. */
    for (int role = RB_META_TIMESTAMP; role < RB_META_ROLE_COUNT; role++) {
        struct rb_meta *meta = tuf->role[role];
        if (meta != NULL && rb_meta_verify(meta, tuf->role[RB_META_ROOT], (enum rb_meta_role)role) != RB_OK) {
            distrust(tuf, (enum rb_meta_role)role);
            rb_fail_clear();
        }
    }
    return RB_OK;
}

static rb_err
step_root(struct rb_tuf *tuf, rb_tuf_fetch fetch, void *ctx, const char *name, bool *last)
{
    struct fetched file;
    struct rb_meta *next = NULL;

    rb_err err = fetch_file(fetch, ctx, name, RB_TUF_ROOT_MAX, &file);
    *last = err == RB_ERR_NET_NOT_FOUND;
    if (*last) {
        rb_fail_clear();
        return RB_OK;
    }
    RB_TRY(err);
    err = verify_next_root(tuf, &file, &next);
    if (err == RB_OK) {
        err = replace_root(tuf, &file, next);
    }
    free(file.data);
    return err;
}

static rb_err
refresh_root(struct rb_tuf *tuf, rb_tuf_fetch fetch, void *ctx)
{
    bool last = false;

    for (unsigned step = 0; step < RB_TUF_ROOT_STEPS_MAX && !last; step++) {
        if (tuf->role[RB_META_ROOT]->version == RB_META_VERSION_MAX) {
            break;
        }
        char *name = rb_text("%lld.root.json", (long long)tuf->role[RB_META_ROOT]->version + 1);
        rb_err err = step_root(tuf, fetch, ctx, name, &last);
        if (err != RB_OK) {
            err = name_failure(err, name);
            free(name);
            return err;
        }
        free(name);
    }
    /* Only the newest root has to be fresh: a device that slept for years walks through expired ones. */
    rb_err err = not_expired(tuf, tuf->role[RB_META_ROOT]);
    return err == RB_OK ? RB_OK : name_failure(err, "root.json");
}

/* ---- 5.4 timestamp ---- */

static rb_err
check_timestamp(const struct rb_tuf *tuf, const struct rb_meta *next, bool *keep_old)
{
    const struct rb_meta *trusted = tuf->role[RB_META_TIMESTAMP];
    struct rb_meta_ref old;
    struct rb_meta_ref new;

    *keep_old = false;
    if (trusted != NULL) {
        if (next->version < trusted->version) {
            return rb_fail(RB_ERR_META_ROLLBACK, "version %lld, have %lld", (long long)next->version,
                           (long long)trusted->version);
        }
        if (next->version == trusted->version) {
            *keep_old = true;
            return RB_OK;
        }
        RB_TRY(rb_meta_ref(trusted, "snapshot.json", &old));
        RB_TRY(rb_meta_ref(next, "snapshot.json", &new));
        if (new.version < old.version) {
            return rb_fail(RB_ERR_META_ROLLBACK, "it names snapshot version %lld, have %lld", (long long)new.version,
                           (long long)old.version);
        }
    }
    return not_expired(tuf, next);
}

static rb_err
refresh_timestamp(struct rb_tuf *tuf, rb_tuf_fetch fetch, void *ctx)
{
    struct fetched file;
    struct rb_meta *next = NULL;
    bool keep_old = false;

    RB_TRY(fetch_file(fetch, ctx, "timestamp.json", RB_TUF_TIMESTAMP_MAX, &file));
    rb_err err = read_verified(file.data, file.len, tuf->role[RB_META_ROOT], RB_META_TIMESTAMP, &next);
    if (err == RB_OK) {
        err = check_timestamp(tuf, next, &keep_old);
        if (err == RB_OK && !keep_old) {
            err = store(tuf, RB_META_TIMESTAMP, &file, next);
        } else {
            rb_meta_free(next);
        }
    }
    free(file.data);
    RB_TRY(err);
    return not_expired(tuf, tuf->role[RB_META_TIMESTAMP]);
}

/* ---- 5.5 snapshot, 5.6 targets ---- */

/* Every file the trusted snapshot lists must be in the next one, no older. */
static rb_err
check_snapshot(const struct rb_tuf *tuf, const struct rb_meta *next)
{
    const struct rb_meta *trusted = tuf->role[RB_META_SNAPSHOT];
    struct rb_meta_ref old;
    struct rb_meta_ref new;

    if (trusted == NULL) {
        return RB_OK;
    }
    json_t *files = json_object_get(trusted->body, "meta");
    for (void *i = json_object_iter(files); i != NULL; i = json_object_iter_next(files, i)) {
        const char *name = json_object_iter_key(i);
        RB_TRY(rb_meta_ref(trusted, name, &old));
        if (json_object_get(json_object_get(next->body, "meta"), name) == NULL) {
            return rb_fail(RB_ERR_META_ROLLBACK, "%s is no longer listed", name);
        }
        RB_TRY(rb_meta_ref(next, name, &new));
        if (new.version < old.version) {
            return rb_fail(RB_ERR_META_ROLLBACK, "it names %s version %lld, have %lld", name, (long long)new.version,
                           (long long)old.version);
        }
    }
    return RB_OK;
}

static rb_err
verify_named(const struct rb_tuf *tuf, enum rb_meta_role role, const struct rb_meta_ref *ref,
             const struct fetched *file, struct rb_meta **out)
{
    struct rb_meta *next = NULL;
    uint8_t sha256[RB_SHA256_LEN];

    rb_sha256(file->data, file->len, sha256);
    if ((ref->has_length && ref->length != file->len)
        || (ref->has_sha256 && !rb_equal(ref->sha256, sha256, sizeof sha256))) {
        return rb_fail(RB_ERR_META_HASH, "length or hash is wrong");
    }
    RB_TRY(read_verified(file->data, file->len, tuf->role[RB_META_ROOT], role, &next));
    rb_err err = RB_OK;
    if (next->version != ref->version) {
        err = rb_fail(RB_ERR_META_VERSION, "it is version %lld", (long long)next->version);
    } else if (role == RB_META_SNAPSHOT) {
        err = check_snapshot(tuf, next);
    }
    if (err == RB_OK) {
        err = not_expired(tuf, next);
    }
    if (err != RB_OK) {
        rb_meta_free(next);
        return err;
    }
    *out = next;
    return RB_OK;
}

/* Snapshot or targets: fetched only when what is trusted is not the one that the parent names. */
static rb_err
refresh_named(struct rb_tuf *tuf, rb_tuf_fetch fetch, void *ctx, enum rb_meta_role role, const char *name,
              const struct rb_meta_ref *ref)
{
    struct fetched file;
    struct rb_meta *next = NULL;

    if (ref->has_length && ref->length > role_limit[role]) {
        return rb_fail(RB_ERR_META_TOO_LARGE, "%llu bytes", (unsigned long long)ref->length);
    }
    RB_TRY(fetch_file(fetch, ctx, name, ref->has_length ? (size_t)ref->length : role_limit[role], &file));
    rb_err err = verify_named(tuf, role, ref, &file, &next);
    if (err == RB_OK) {
        err = store(tuf, role, &file, next);
    }
    free(file.data);
    return err;
}

static rb_err
refresh_child(struct rb_tuf *tuf, rb_tuf_fetch fetch, void *ctx, enum rb_meta_role role)
{
    const struct rb_meta *parent = tuf->role[role - 1];
    struct rb_meta_ref ref;

    RB_TRY(rb_meta_ref(parent, role == RB_META_SNAPSHOT ? "snapshot.json" : "targets.json", &ref));
    char *name = rb_text("%lld.%s.json", (long long)ref.version, rb_meta_role_name(role));
    rb_err err = is_named(tuf->role[role], parent, role) ? not_expired(tuf, tuf->role[role])
                                                         : refresh_named(tuf, fetch, ctx, role, name, &ref);
    if (err != RB_OK) {
        err = name_failure(err, name);
    }
    free(name);
    return err;
}

/* ---- time ---- */

/* The timestamp says when it was made: the world is at least that old. It is signed by an online key, so it counts
 * only up to just before the earliest expiry of the four files, of which root and targets are signed offline: the floor
 * alone never makes the metadata expire that raised it, and never outlives what the root promised. */
static rb_err
raise_floor(struct rb_tuf *tuf)
{
    const char *text = json_string_value(json_object_get(tuf->role[RB_META_TIMESTAMP]->body, RB_META_ISSUED));
    int64_t issued;

    if (text == NULL || rb_time_parse(text, &issued) != RB_OK) {
        return RB_OK; /* other repositories do not say */
    }
    for (int role = 0; role < RB_META_ROLE_COUNT; role++) {
        if (issued >= tuf->role[role]->expires) {
            issued = tuf->role[role]->expires - 1;
        }
    }
    if (issued > tuf->floor) {
        RB_TRY(store_number(tuf, "time", issued));
        tuf->floor = issued;
    }
    return RB_OK;
}

/* ---- the interface ---- */

static struct rb_tuf *
tuf_new(const char *trust_dir, int64_t clock)
{
    struct rb_tuf *tuf = rb_alloc(sizeof *tuf);

    tuf->dir = rb_text("%s", trust_dir);
    tuf->clock = clock;
    tuf->floor = RB_TUF_TIME_BUILD;
    return tuf;
}

void
rb_tuf_close(struct rb_tuf *tuf)
{
    if (tuf != NULL) {
        for (int role = 0; role < RB_META_ROLE_COUNT; role++) {
            distrust(tuf, (enum rb_meta_role)role);
        }
        free(tuf->dir);
        free(tuf);
    }
}

rb_err
rb_tuf_init(const char *trust_dir, const void *root, size_t root_len)
{
    struct rb_meta *meta = NULL;
    char *path = rb_text("%s/root.json", trust_dir);
    rb_err err = rb_file_exists(path) ? rb_fail(RB_ERR_IO_EXISTS, "%s", path) : RB_OK;

    if (err == RB_OK && root_len > RB_TUF_ROOT_MAX) {
        err = RB_ERR_META_TOO_LARGE;
    }
    if (err == RB_OK) {
        err = read_first_root(root, root_len, &meta);
        rb_meta_free(meta);
    }
    if (err == RB_OK) {
        err = rb_make_dirs(trust_dir, 0755);
    }
    if (err == RB_OK) {
        err = rb_file_replace(path, root, root_len, FILE_MODE);
    }
    free(path);
    return err;
}

rb_err
rb_tuf_open(const char *trust_dir, int64_t clock, struct rb_tuf **out)
{
    struct rb_tuf *tuf = tuf_new(trust_dir, clock);
    rb_err err = load(tuf);

    if (err != RB_OK) {
        rb_tuf_close(tuf);
        return err;
    }
    *out = tuf;
    return RB_OK;
}

static rb_err
refresh_locked(struct rb_tuf *tuf, rb_tuf_fetch fetch, void *ctx)
{
    RB_TRY(load(tuf)); /* another process may have refreshed since */
    if (load_number(tuf, "rotated", INT64_MAX) <= tuf->role[RB_META_ROOT]->version) {
        RB_TRY(drop_rotated(tuf));
    }
    RB_TRY(refresh_root(tuf, fetch, ctx));
    rb_err err = refresh_timestamp(tuf, fetch, ctx);
    if (err != RB_OK) {
        return name_failure(err, "timestamp.json");
    }
    RB_TRY(refresh_child(tuf, fetch, ctx, RB_META_SNAPSHOT));
    RB_TRY(refresh_child(tuf, fetch, ctx, RB_META_TARGETS));
    return raise_floor(tuf);
}

rb_err
rb_tuf_refresh(struct rb_tuf *tuf, rb_tuf_fetch fetch, void *ctx)
{
    char *path = file_of(tuf, "lock");
    int lock = -1;

    rb_err err = rb_lock(path, LOCK_WAIT_MS, RB_ERR_AGENT_LOCKED, &lock);
    if (err == RB_OK) {
        err = refresh_locked(tuf, fetch, ctx);
        (void)close(lock);
    }
    free(path);
    return err;
}

static rb_err
usable(const struct rb_tuf *tuf)
{
    if (!set_complete(tuf)) {
        return rb_fail(RB_ERR_META_TRUST, "no complete set of metadata yet; it has to be fetched");
    }
    for (int role = RB_META_TIMESTAMP; role < RB_META_ROLE_COUNT; role++) {
        rb_err err = not_expired(tuf, tuf->role[role]);
        if (err != RB_OK) {
            return name_failure(err, rb_meta_role_name((enum rb_meta_role)role));
        }
    }
    return RB_OK;
}

static rb_err
target_of(const char *name, const json_t *entry, struct rb_tuf_target *out)
{
    struct rb_tuf_target target = {.name = name};

    target.length = (uint64_t)json_integer_value(json_object_get(entry, "length"));
    target.custom = json_object_get(entry, "custom");
    RB_TRY(rb_json_hex(json_object_get(entry, "hashes"), "sha256", target.sha256, sizeof target.sha256));
    *out = target;
    return RB_OK;
}

rb_err
rb_tuf_target(const struct rb_tuf *tuf, const char *name, struct rb_tuf_target *out)
{
    RB_TRY(usable(tuf));
    json_t *targets = json_object_get(tuf->role[RB_META_TARGETS]->body, "targets");
    /* The key itself, so that out->name lives as long as the metadata. */
    void *i = json_object_iter_at(targets, name);
    if (i == NULL) {
        return rb_fail(RB_ERR_TARGET_UNKNOWN, "%s", name);
    }
    return target_of(json_object_iter_key(i), json_object_iter_value(i), out);
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

rb_err
rb_tuf_each_target(const struct rb_tuf *tuf, rb_err (*visit)(void *ctx, const struct rb_tuf_target *target), void *ctx)
{
    rb_err err = RB_OK;
    size_t n = 0;

    RB_TRY(usable(tuf));
    json_t *targets = json_object_get(tuf->role[RB_META_TARGETS]->body, "targets");
    const char **names = rb_alloc(json_object_size(targets) * sizeof *names);
    for (void *i = json_object_iter(targets); i != NULL; i = json_object_iter_next(targets, i)) {
        names[n++] = json_object_iter_key(i);
    }
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n && err == RB_OK; i++) {
        struct rb_tuf_target target;
        err = target_of(names[i], json_object_get(targets, names[i]), &target);
        if (err == RB_OK) {
            err = visit(ctx, &target);
        }
    }
    free(names);
    return err;
}

char *
rb_tuf_target_path(const struct rb_tuf_target *target)
{
    const char *slash = strrchr(target->name, '/');
    int dir_len = slash != NULL ? (int)(slash + 1 - target->name) : 0;
    char hex[2 * RB_SHA256_LEN + 1];

    rb_hex(target->sha256, sizeof target->sha256, hex);
    return rb_text("%.*s%s.%s", dir_len, target->name, hex, target->name + dir_len);
}

void
rb_tuf_versions(const struct rb_tuf *tuf, struct rb_tuf_versions *out)
{
    int64_t version[RB_META_ROLE_COUNT] = {0};

    for (int role = 0; role < RB_META_ROLE_COUNT; role++) {
        version[role] = tuf->role[role] != NULL ? tuf->role[role]->version : 0;
    }
    *out = (struct rb_tuf_versions){
        .root = version[RB_META_ROOT],
        .timestamp = version[RB_META_TIMESTAMP],
        .snapshot = version[RB_META_SNAPSHOT],
        .targets = version[RB_META_TARGETS],
        .timestamp_expires = tuf->role[RB_META_TIMESTAMP] != NULL ? tuf->role[RB_META_TIMESTAMP]->expires : 0,
        .now = time_used(tuf),
    };
}
