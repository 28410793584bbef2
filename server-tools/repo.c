/* SPDX-License-Identifier: Apache-2.0 */
#include "server-tools/repo.h"

#include "lib/core/bytes.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/tuf/ecdsa.h"
#include "lib/tuf/time.h"
#include "lib/tuf/tuf.h"
#include "server-tools/clock.h"
#include "server-tools/key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPEC_VERSION "1.0.34"
#define LOCK_WAIT_MS 60000u
#define DAYS_MAX 36500
#define DAY_S 86400

struct forge_repo {
    char *dir;
    int lock;
    unsigned expires_days[RB_META_ROLE_COUNT];
    struct rb_meta *role[RB_META_ROLE_COUNT];
    json_t *targets;  /* of the next commit */
    unsigned staged;  /* files made under staged/ by this run */
};

const struct forge_repo_options forge_repo_defaults = {
    .root_keys = 1,
    .root_threshold = 1,
    .expires_days = {
        [RB_META_ROOT] = 3650,
        [RB_META_TIMESTAMP] = 30,
        [RB_META_SNAPSHOT] = 365,
        [RB_META_TARGETS] = 365,
    },
};

/* ---- files ---- */

static rb_err
copy_bytes(int from, int to)
{
    uint8_t buffer[65536];

    for (;;) {
        ssize_t got = read(from, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got == 0 ? RB_OK : rb_fail_errno("read");
        }
        RB_TRY(rb_write_all(to, buffer, (size_t)got));
    }
}

static rb_err
copy_to_new(const char *from, const char *tmp)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = -1;
    rb_err err = RB_OK;

    if (in < 0) {
        return rb_fail_errno("%s", from);
    }
    (void)unlink(tmp); /* left by a run that was killed */
    out = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (out < 0) {
        err = rb_fail_errno("%s", tmp);
    } else {
        err = copy_bytes(in, out);
        if (err == RB_OK && fsync(out) != 0) {
            err = rb_fail_errno("%s", tmp);
        }
        if (close(out) != 0 && err == RB_OK) {
            err = rb_fail_errno("%s", tmp);
        }
    }
    (void)close(in);
    return err;
}

static char *
directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? rb_text("%.*s", (int)(slash - path), path) : rb_text(".");
}

rb_err
forge_copy_file(const char *from, const char *to, bool *copied)
{
    char *tmp = rb_text("%s.tmp", to);
    char *parent = directory_of(to);
    struct stat a;
    struct stat b;
    rb_err err = RB_OK;
    bool write = true;

    if (stat(from, &a) != 0) {
        err = rb_fail_errno("%s", from);
    } else {
        write = !(stat(to, &b) == 0 && S_ISREG(b.st_mode) && a.st_size == b.st_size);
    }
    if (err == RB_OK && write) {
        err = rb_make_dirs(parent, 0755);
        if (err == RB_OK) {
            err = copy_to_new(from, tmp);
        }
        if (err == RB_OK && rename(tmp, to) != 0) {
            err = rb_fail_errno("%s", to);
        }
        if (err == RB_OK) {
            err = rb_sync_dir(parent);
        } else {
            (void)unlink(tmp);
        }
    }
    if (err == RB_OK && copied != NULL) {
        *copied = write;
    }
    free(parent);
    free(tmp);
    return err;
}

/* ---- signing ---- */

static json_t *
key_json(const char *pem)
{
    return json_pack("{s:s, s:s, s:{s:s}}", "keytype", "ecdsa", "scheme", "ecdsa-sha2-nistp256", "keyval", "public",
                     pem);
}

/* A key id is the SHA-256 of the key object's canonical form. */
static rb_err
key_id(const json_t *key, char out[2 * RB_SHA256_LEN + 1])
{
    uint8_t digest[RB_SHA256_LEN];
    char *text = NULL;
    size_t len = 0;

    RB_TRY(rb_json_canonical(key, &text, &len));
    rb_sha256(text, len, digest);
    free(text);
    rb_hex(digest, sizeof digest, out);
    return RB_OK;
}

static rb_err
sign_body(const json_t *body, const struct forge_key *key, json_t *signatures)
{
    uint8_t digest[RB_SHA256_LEN];
    uint8_t raw[RB_P256_SIGNATURE_LEN];
    uint8_t der[RB_P256_DER_SIGNATURE_MAX];
    char sig[2 * RB_P256_DER_SIGNATURE_MAX + 1];
    char id[2 * RB_SHA256_LEN + 1];
    char *text = NULL;
    char *pem = NULL;
    size_t len = 0;

    RB_TRY(forge_key_public_pem(key, &pem));
    json_t *public_key = key_json(pem);
    free(pem);
    rb_err err = key_id(public_key, id);
    json_decref(public_key);
    RB_TRY(err);
    RB_TRY(rb_json_canonical(body, &text, &len));
    rb_sha256(text, len, digest);
    free(text);
    RB_TRY(forge_key_sign_p256(key, digest, raw));
    rb_hex(der, rb_p256_signature_to_der(raw, der), sig);
    (void)json_array_append_new(signatures, json_pack("{s:s, s:s}", "keyid", id, "sig", sig));
    return RB_OK;
}

/* The whole file, compact and with sorted keys: two runs give the same bytes, and the timestamp stays small. It is not
 * the canonical form, which leaves the line feeds of a PEM key unescaped and so is no JSON. */
static rb_err
sign_file(json_t *body, struct forge_key *const keys[], unsigned count, char **out, size_t *len)
{
    json_t *signatures = json_array();
    rb_err err = RB_OK;

    for (unsigned i = 0; i < count && err == RB_OK; i++) {
        err = sign_body(body, keys[i], signatures);
    }
    json_t *document = json_pack("{s:O, s:o}", "signed", body, "signatures", signatures);
    char *text = err == RB_OK ? json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(document);
    RB_TRY(err);
    if (text == NULL) {
        return RB_ERR_NO_MEMORY;
    }
    *out = text;
    *len = strlen(text);
    return RB_OK;
}

static json_t *
new_body(enum rb_meta_role role, int64_t version, int64_t now, unsigned days)
{
    char expires[RB_TIME_TEXT_LEN + 1];

    rb_time_format(now + (int64_t)days * DAY_S, expires);
    return json_pack("{s:s, s:s, s:I, s:s}", "_type", rb_meta_role_name(role), "spec_version", SPEC_VERSION, "version",
                     (json_int_t)version, "expires", expires);
}

static char *
metadata_path(const char *dir, enum rb_meta_role role, int64_t version)
{
    return role == RB_META_TIMESTAMP ? rb_text("%s/metadata/timestamp.json", dir)
                                     : rb_text("%s/metadata/%lld.%s.json", dir, (long long)version,
                                               rb_meta_role_name(role));
}

static rb_err
write_metadata(const char *dir, enum rb_meta_role role, int64_t version, const char *data, size_t len)
{
    char *path = metadata_path(dir, role, version);
    rb_err err = rb_file_replace(path, data, len, 0644);

    free(path);
    return err;
}

static rb_err
open_key(const char *dir, const char *name, struct forge_key **out)
{
    char *path = rb_text("%s/keys/%s.pem", dir, name);
    rb_err err = forge_key_open(path, out);

    free(path);
    return err;
}

/* Sign `body` with the key of an online role, verify it as a device would, store it, and make it current. */
static rb_err
publish_role(struct forge_repo *repo, enum rb_meta_role role, json_t *body)
{
    struct forge_key *key = NULL;
    struct rb_meta *meta = NULL;
    char *data = NULL;
    size_t len = 0;

    RB_TRY(open_key(repo->dir, rb_meta_role_name(role), &key));
    rb_err err = sign_file(body, &key, 1, &data, &len);
    forge_key_free(key);
    RB_TRY(err);
    err = rb_meta_read(data, len, &meta);
    if (err == RB_OK) {
        err = rb_meta_verify(meta, repo->role[RB_META_ROOT], role);
        if (err != RB_OK) {
            rb_fail_clear();
            err = rb_fail(RB_ERR_REPO_STATE, "keys/%s.pem is not the key that root names, or not enough",
                          rb_meta_role_name(role));
        }
    }
    if (err == RB_OK) {
        err = rb_meta_check(meta, role);
    }
    if (err == RB_OK && role == RB_META_TARGETS && len > RB_TUF_TARGETS_MAX) {
        err = rb_fail(RB_ERR_META_TOO_LARGE, "targets metadata of %zu bytes", len);
    }
    if (err == RB_OK) {
        err = write_metadata(repo->dir, role, meta->version, data, len);
    }
    free(data);
    if (err != RB_OK) {
        rb_meta_free(meta);
        return err;
    }
    rb_meta_free(repo->role[role]);
    repo->role[role] = meta;
    return RB_OK;
}

static json_t *
ref_json(const struct rb_meta *meta)
{
    char hex[2 * RB_SHA256_LEN + 1];

    rb_hex(meta->sha256, sizeof meta->sha256, hex);
    return json_pack("{s:I, s:I, s:{s:s}}", "version", (json_int_t)meta->version, "length", (json_int_t)meta->len,
                     "hashes", "sha256", hex);
}

/* Timestamp or snapshot: names the file after it. */
static rb_err
publish_parent(struct forge_repo *repo, enum rb_meta_role role, int64_t now)
{
    enum rb_meta_role child = role == RB_META_TIMESTAMP ? RB_META_SNAPSHOT : RB_META_TARGETS;
    int64_t version = repo->role[role] != NULL ? repo->role[role]->version + 1 : 1;
    json_t *body = new_body(role, version, now, repo->expires_days[role]);
    json_t *files = json_object();

    (void)json_object_set_new(files, role == RB_META_TIMESTAMP ? "snapshot.json" : "targets.json",
                              ref_json(repo->role[child]));
    (void)json_object_set_new(body, "meta", files);
    if (role == RB_META_TIMESTAMP) {
        char issued[RB_TIME_TEXT_LEN + 1];
        rb_time_format(now, issued);
        (void)json_object_set_new(body, RB_META_ISSUED, json_string(issued));
    }
    rb_err err = publish_role(repo, role, body);
    json_decref(body);
    return err;
}

static rb_err
publish_targets(struct forge_repo *repo, int64_t now)
{
    int64_t version = repo->role[RB_META_TARGETS] != NULL ? repo->role[RB_META_TARGETS]->version + 1 : 1;
    json_t *body = new_body(RB_META_TARGETS, version, now, repo->expires_days[RB_META_TARGETS]);

    (void)json_object_set(body, "targets", repo->targets);
    rb_err err = publish_role(repo, RB_META_TARGETS, body);
    json_decref(body);
    return err;
}

rb_err
forge_repo_commit(struct forge_repo *repo)
{
    int64_t now;

    RB_TRY(forge_now(&now));
    RB_TRY(publish_targets(repo, now));
    RB_TRY(publish_parent(repo, RB_META_SNAPSHOT, now));
    return publish_parent(repo, RB_META_TIMESTAMP, now);
}

rb_err
forge_repo_refresh(struct forge_repo *repo, bool all)
{
    int64_t now;

    if (all) {
        return forge_repo_commit(repo);
    }
    RB_TRY(forge_now(&now));
    return publish_parent(repo, RB_META_TIMESTAMP, now);
}

/* ---- init ---- */

static rb_err
add_key(json_t *root, enum rb_meta_role role, const struct forge_key *key)
{
    char id[2 * RB_SHA256_LEN + 1];
    char *pem = NULL;

    RB_TRY(forge_key_public_pem(key, &pem));
    json_t *public_key = key_json(pem);
    free(pem);
    rb_err err = key_id(public_key, id);
    if (err != RB_OK) {
        json_decref(public_key);
        return err;
    }
    (void)json_object_set_new(json_object_get(root, "keys"), id, public_key);
    json_t *entry = json_object_get(json_object_get(root, "roles"), rb_meta_role_name(role));
    (void)json_array_append_new(json_object_get(entry, "keyids"), json_string(id));
    return RB_OK;
}

static json_t *
new_root(const struct forge_repo_options *options, int64_t now)
{
    json_t *root = new_body(RB_META_ROOT, 1, now, options->expires_days[RB_META_ROOT]);
    json_t *roles = json_object();

    for (int role = 0; role < RB_META_ROLE_COUNT; role++) {
        unsigned threshold = role == RB_META_ROOT ? options->root_threshold : 1;
        (void)json_object_set_new(roles, rb_meta_role_name((enum rb_meta_role)role),
                                  json_pack("{s:[], s:i}", "keyids", "threshold", (int)threshold));
    }
    (void)json_object_set_new(root, "consistent_snapshot", json_true());
    (void)json_object_set_new(root, "keys", json_object());
    (void)json_object_set_new(root, "roles", roles);
    return root;
}

static rb_err
make_key(const char *dir, const char *name, struct forge_key **out)
{
    char *path = rb_text("%s/keys/%s.pem", dir, name);
    rb_err err = forge_key_create_p256(path);

    if (err == RB_OK) {
        err = forge_key_open(path, out);
    }
    free(path);
    return err;
}

static rb_err
init_root_keys(const char *dir, const struct forge_repo_options *options, json_t *root, struct forge_key *keys[])
{
    for (unsigned i = 0; i < options->root_keys; i++) {
        char *name = rb_text("root%u", i + 1);
        rb_err err = make_key(dir, name, &keys[i]);
        free(name);
        RB_TRY(err);
        RB_TRY(add_key(root, RB_META_ROOT, keys[i]));
    }
    return RB_OK;
}

static rb_err
init_online_keys(const char *dir, json_t *root)
{
    for (int role = RB_META_TIMESTAMP; role < RB_META_ROLE_COUNT; role++) {
        struct forge_key *key = NULL;
        RB_TRY(make_key(dir, rb_meta_role_name((enum rb_meta_role)role), &key));
        rb_err err = add_key(root, (enum rb_meta_role)role, key);
        forge_key_free(key);
        RB_TRY(err);
    }
    return RB_OK;
}

static rb_err
init_root(const char *dir, const struct forge_repo_options *options)
{
    struct forge_key *keys[FORGE_ROOT_KEYS_MAX] = {NULL};
    char *data = NULL;
    size_t len = 0;
    int64_t now;

    RB_TRY(forge_now(&now));
    json_t *root = new_root(options, now);
    rb_err err = init_root_keys(dir, options, root, keys);
    if (err == RB_OK) {
        err = init_online_keys(dir, root);
    }
    if (err == RB_OK) {
        err = sign_file(root, keys, options->root_keys, &data, &len);
    }
    if (err == RB_OK) {
        err = write_metadata(dir, RB_META_ROOT, 1, data, len);
    }
    for (unsigned i = 0; i < options->root_keys; i++) {
        forge_key_free(keys[i]);
    }
    free(data);
    json_decref(root);
    return err;
}

static rb_err
write_config(const char *dir, const struct forge_repo_options *options)
{
    char *path = rb_text("%s/repository.json", dir);
    json_t *days = json_object();

    for (int role = 0; role < RB_META_ROLE_COUNT; role++) {
        (void)json_object_set_new(days, rb_meta_role_name((enum rb_meta_role)role),
                                  json_integer((json_int_t)options->expires_days[role]));
    }
    json_t *config = json_pack("{s:i, s:o}", "format", 1, "expires_days", days);
    char *text = json_dumps(config, JSON_INDENT(2));
    rb_err err = text != NULL ? rb_file_replace(path, text, strlen(text), 0644) : RB_ERR_NO_MEMORY;

    free(text);
    json_decref(config);
    free(path);
    return err;
}

static rb_err
init_dirs(const char *dir)
{
    static const struct {
        const char *name;
        mode_t mode;
    } sub[] = {{"keys", 0700}, {"metadata", 0755}, {"targets", 0755}, {"images", 0755}};

    RB_TRY(rb_make_dirs(dir, 0755));
    for (size_t i = 0; i < sizeof sub / sizeof sub[0]; i++) {
        char *path = rb_text("%s/%s", dir, sub[i].name);
        rb_err err = rb_make_dirs(path, sub[i].mode);
        free(path);
        RB_TRY(err);
    }
    return RB_OK;
}

static rb_err init_online(const char *dir);

static rb_err
init_into(const char *dir, const struct forge_repo_options *options)
{
    RB_TRY(init_dirs(dir));
    RB_TRY(write_config(dir, options));
    RB_TRY(init_root(dir, options));
    RB_TRY(init_online(dir));
    char *keys = rb_text("%s/keys", dir);
    rb_err err = rb_sync_dir(keys);
    free(keys);
    return err == RB_OK ? rb_sync_dir(dir) : err;
}

static rb_err
check_options(const struct forge_repo_options *options)
{
    if (options->root_keys < 1 || options->root_keys > FORGE_ROOT_KEYS_MAX || options->root_threshold < 1
        || options->root_threshold > options->root_keys) {
        return rb_fail(RB_ERR_ARG, "threshold %u of %u root keys", options->root_threshold, options->root_keys);
    }
    for (int role = 0; role < RB_META_ROLE_COUNT; role++) {
        if (options->expires_days[role] < 1 || options->expires_days[role] > DAYS_MAX) {
            return rb_fail(RB_ERR_ARG, "%u days", options->expires_days[role]);
        }
    }
    return RB_OK;
}

rb_err
forge_repo_init(const char *dir, const struct forge_repo_options *options)
{
    char *tmp;

    RB_TRY(check_options(options));
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/') {
        len--;
    }
    tmp = rb_text("%.*s.new%ld", (int)len, dir, (long)getpid());
    rb_err err = rb_remove_tree(tmp);
    if (err == RB_OK) {
        err = init_into(tmp, options);
    }
    /* An empty directory is replaced; anything else that is there stays, and so does the error. */
    if (err == RB_OK && rename(tmp, dir) != 0) {
        err = errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR ? rb_fail(RB_ERR_IO_EXISTS, "%s", dir)
                                                                       : rb_fail_errno("%s", dir);
    }
    if (err == RB_OK) {
        char *trimmed = rb_text("%.*s", (int)len, dir);
        char *parent = directory_of(trimmed);
        err = rb_sync_dir(parent[0] != '\0' ? parent : "/");
        free(parent);
        free(trimmed);
    } else {
        (void)!rb_remove_tree(tmp);
    }
    free(tmp);
    return err;
}

/* ---- opening ---- */

static rb_err
read_config(struct forge_repo *repo)
{
    char *path = rb_text("%s/repository.json", repo->dir);
    json_t *config = NULL;
    json_t *days = NULL;
    int64_t number;

    rb_err err = rb_json_read(path, 65536, &config);
    free(path);
    if (err == RB_ERR_IO_NOT_FOUND) {
        rb_fail_clear();
        return rb_fail(RB_ERR_IO_NOT_FOUND, "%s is no repository (otaforge repo init makes one)", repo->dir);
    }
    if (err == RB_OK) {
        err = rb_json_int(config, "format", 1, 1, &number);
    }
    if (err == RB_OK) {
        err = rb_json_object(config, "expires_days", &days);
    }
    for (int role = 0; role < RB_META_ROLE_COUNT && err == RB_OK; role++) {
        err = rb_json_int(days, rb_meta_role_name((enum rb_meta_role)role), 1, DAYS_MAX, &number);
        repo->expires_days[role] = (unsigned)number;
    }
    json_decref(config);
    return err;
}

static rb_err
read_file(const struct forge_repo *repo, enum rb_meta_role role, int64_t version, struct rb_meta **out)
{
    char *path = metadata_path(repo->dir, role, version);
    uint8_t *data = NULL;
    size_t len = 0;

    rb_err err = rb_file_read(path, RB_TUF_TARGETS_MAX, &data, &len);
    if (err == RB_OK) {
        err = rb_meta_read(data, len, out);
        free(data);
    }
    free(path);
    return err;
}

static rb_err
read_root(struct forge_repo *repo)
{
    int64_t version = 1;

    for (;; version++) {
        char *next = metadata_path(repo->dir, RB_META_ROOT, version + 1);
        bool there = rb_file_exists(next);
        free(next);
        if (!there) {
            break;
        }
    }
    RB_TRY(read_file(repo, RB_META_ROOT, version, &repo->role[RB_META_ROOT]));
    RB_TRY(rb_meta_check(repo->role[RB_META_ROOT], RB_META_ROOT));
    return rb_meta_verify(repo->role[RB_META_ROOT], repo->role[RB_META_ROOT], RB_META_ROOT);
}

static rb_err
read_role(struct forge_repo *repo, enum rb_meta_role role)
{
    struct rb_meta_ref ref = {0};

    if (role != RB_META_TIMESTAMP) {
        RB_TRY(rb_meta_ref(repo->role[role - 1], role == RB_META_SNAPSHOT ? "snapshot.json" : "targets.json", &ref));
    }
    RB_TRY(read_file(repo, role, ref.version, &repo->role[role]));
    RB_TRY(rb_meta_verify(repo->role[role], repo->role[RB_META_ROOT], role));
    RB_TRY(rb_meta_check(repo->role[role], role));
    if (role != RB_META_TIMESTAMP
        && (ref.version != repo->role[role]->version || !ref.has_sha256
            || !rb_equal(ref.sha256, repo->role[role]->sha256, sizeof ref.sha256))) {
        return rb_fail(RB_ERR_META_HASH, "%s.json is not the one that %s.json names", rb_meta_role_name(role),
                       rb_meta_role_name((enum rb_meta_role)(role - 1)));
    }
    return RB_OK;
}

static rb_err
read_all(struct forge_repo *repo)
{
    RB_TRY(read_config(repo));
    RB_TRY(read_root(repo));
    for (int role = RB_META_TIMESTAMP; role < RB_META_ROLE_COUNT; role++) {
        RB_TRY(read_role(repo, (enum rb_meta_role)role));
    }
    repo->targets = json_deep_copy(json_object_get(repo->role[RB_META_TARGETS]->body, "targets"));
    return RB_OK;
}

static struct forge_repo *
repo_new(const char *dir)
{
    struct forge_repo *repo = rb_alloc(sizeof *repo);

    repo->dir = rb_text("%s", dir);
    repo->lock = -1;
    return repo;
}

/* The first targets, snapshot and timestamp. */
static rb_err
init_online(const char *dir)
{
    struct forge_repo *repo = repo_new(dir);

    repo->targets = json_object();
    rb_err err = read_config(repo);
    if (err == RB_OK) {
        err = read_root(repo);
    }
    if (err == RB_OK) {
        err = forge_repo_commit(repo);
    }
    forge_repo_close(repo);
    return err;
}

static rb_err
drop_staged(const struct forge_repo *repo)
{
    char *staged = rb_text("%s/staged", repo->dir);
    rb_err err = rb_remove_tree(staged);

    free(staged);
    return err;
}

rb_err
forge_repo_open(const char *dir, bool change, struct forge_repo **out)
{
    struct forge_repo *repo = repo_new(dir);
    char *lock = rb_text("%s/lock", dir);
    rb_err err = read_config(repo);

    if (err == RB_OK && change) {
        err = rb_lock(lock, LOCK_WAIT_MS, RB_ERR_REPO_STATE, &repo->lock);
    }
    if (err == RB_OK && change) {
        err = drop_staged(repo); /* of a run that was killed */
    }
    free(lock);
    if (err == RB_OK) {
        err = read_all(repo);
    }
    if (err != RB_OK) {
        forge_repo_close(repo);
        return err;
    }
    *out = repo;
    return RB_OK;
}

void
forge_repo_close(struct forge_repo *repo)
{
    if (repo != NULL) {
        for (int role = 0; role < RB_META_ROLE_COUNT; role++) {
            rb_meta_free(repo->role[role]);
        }
        json_decref(repo->targets);
        if (repo->lock >= 0) {
            (void)!drop_staged(repo);
            (void)close(repo->lock);
        }
        free(repo->dir);
        free(repo);
    }
}

const char *
forge_repo_dir(const struct forge_repo *repo)
{
    return repo->dir;
}

const struct rb_meta *
forge_repo_meta(const struct forge_repo *repo, enum rb_meta_role role)
{
    return repo->role[role];
}

json_t *
forge_repo_targets(struct forge_repo *repo)
{
    return repo->targets;
}

rb_err
forge_repo_stage(struct forge_repo *repo, const char *from, char **staged)
{
    char *dir = rb_text("%s/staged", repo->dir);
    char *path = rb_text("%s/%u", dir, repo->staged++);
    rb_err err = rb_make_dirs(dir, 0755);

    if (err == RB_OK && from != NULL) {
        err = copy_to_new(from, path);
    }
    free(dir);
    if (err != RB_OK) {
        free(path);
        return err;
    }
    *staged = path;
    return RB_OK;
}

/* Where a file belongs that is named by its content: moved there, or dropped when it is there already. */
static rb_err
move_by_content(const char *from, const char *to)
{
    char *parent = directory_of(to);
    rb_err err = rb_make_dirs(parent, 0755);

    if (err == RB_OK && rename(from, to) != 0) {
        err = rb_fail_errno("%s", to);
    }
    if (err == RB_OK) {
        err = rb_sync_dir(parent);
    }
    free(parent);
    return err;
}

rb_err
forge_repo_keep_image(struct forge_repo *repo, const char *staged, const uint8_t sha256[RB_SHA256_LEN])
{
    char *to = forge_repo_image_path(repo, sha256);
    rb_err err = forge_copy_file(staged, to, NULL);

    free(to);
    return err;
}

char *
forge_repo_image_path(const struct forge_repo *repo, const uint8_t sha256[RB_SHA256_LEN])
{
    char hex[2 * RB_SHA256_LEN + 1];

    rb_hex(sha256, RB_SHA256_LEN, hex);
    return rb_text("%s/images/%s.img", repo->dir, hex);
}

rb_err
forge_repo_add_target(struct forge_repo *repo, const char *name, const char *staged, json_t *custom)
{
    struct rb_tuf_target target = {.name = name};
    char hex[2 * RB_SHA256_LEN + 1];

    rb_err err = rb_meta_name_valid(name) ? RB_OK : rb_fail(RB_ERR_ARG, "%s cannot be a target's name", name);
    if (err == RB_OK) {
        err = rb_file_sha256(staged, target.sha256, &target.length);
    }
    if (err == RB_OK) {
        char *below = rb_tuf_target_path(&target);
        char *to = rb_text("%s/targets/%s", repo->dir, below);
        err = move_by_content(staged, to);
        free(to);
        free(below);
    }
    if (err != RB_OK) {
        json_decref(custom);
        return err;
    }
    rb_hex(target.sha256, sizeof target.sha256, hex);
    json_t *entry = json_pack("{s:I, s:{s:s}, s:o}", "length", (json_int_t)target.length, "hashes", "sha256", hex,
                              "custom", custom);
    (void)json_object_set_new(repo->targets, name, entry);
    return RB_OK;
}
