/* SPDX-License-Identifier: Apache-2.0
 *
 * The client against a repository made here, signed with real keys, honest or hostile. The world below serves files
 * from memory; each test changes what is served and looks at what the client trusts afterwards.
 */
#include "lib/tuf/tuf.h"

#include "lib/core/bytes.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/tuf/ecdsa.h"
#include "lib/tuf/meta.h"
#include "lib/tuf/time.h"
#include "server-tools/key.h"
#include "tests/support/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIR "trust"
#define DAY INT64_C(86400)
#define NOW (INT64_C(1800000000)) /* 2027-01-15T08:00:00Z */
#define FILES_MAX 400

struct file {
    char *name;
    char *data;
    size_t len;
};

static struct {
    struct file file[FILES_MAX];
    int count;
    char requests[4096]; /* names asked for, each followed by a blank */
    int fetches;
    int fail_at;      /* fail fetch number so and so */
    rb_err fail_with;
} server;

/* Keys are made once per test process and have names: "root1", "ts", ... */
static struct {
    char name[16];
    struct forge_key *key;
} keys[32];

static struct forge_key *
key(const char *name)
{
    int i = 0;

    for (; keys[i].key != NULL; i++) {
        if (strcmp(keys[i].name, name) == 0) {
            return keys[i].key;
        }
    }
    char *path = rb_text("%s.key", name);
    CHECK_OK(forge_key_create_p256(path));
    CHECK_OK(forge_key_open(path, &keys[i].key));
    free(path);
    (void)snprintf(keys[i].name, sizeof keys[i].name, "%s", name);
    return keys[i].key;
}

__attribute__((destructor)) static void
free_keys(void)
{
    for (int i = 0; keys[i].key != NULL; i++) {
        forge_key_free(keys[i].key);
    }
    for (int i = 0; i < server.count; i++) {
        free(server.file[i].name);
        free(server.file[i].data);
    }
}

/* ---- making metadata ---- */

static json_t *
body_of(const char *type, int64_t version, int64_t expires)
{
    char text[RB_TIME_TEXT_LEN + 1];

    rb_time_format(expires, text);
    return json_pack("{s:s, s:s, s:I, s:s}", "_type", type, "spec_version", "1.0.34", "version", (json_int_t)version,
                     "expires", text);
}

static json_t *
key_object(const char *name)
{
    char *pem = NULL;

    CHECK_OK(forge_key_public_pem(key(name), &pem));
    json_t *object = json_pack("{s:s, s:s, s:{s:s}}", "keytype", "ecdsa", "scheme", "ecdsa-sha2-nistp256", "keyval",
                               "public", pem);
    free(pem);
    return object;
}

/* A root whose roles have the keys named: "root1 root2", threshold, and so on. Key ids are the names. */
static json_t *
root_body(int64_t version, const char *root_keys, int root_threshold, const char *ts, const char *snap,
          const char *targets)
{
    const char *const names[] = {root_keys, ts, snap, targets};
    json_t *all = json_object();
    json_t *roles = json_object();
    json_t *root = body_of("root", version, NOW + 3650 * DAY);

    for (int role = 0; role < 4; role++) {
        json_t *ids = json_array();
        char *list = rb_text("%s", names[role]);
        for (char *rest = NULL, *name = strtok_r(list, " ", &rest); name != NULL; name = strtok_r(NULL, " ", &rest)) {
            (void)json_array_append_new(ids, json_string(name));
            (void)json_object_set_new(all, name, key_object(name));
        }
        free(list);
        (void)json_object_set_new(roles, rb_meta_role_name((enum rb_meta_role)role),
                                  json_pack("{s:o, s:i}", "keyids", ids, "threshold", role == 0 ? root_threshold : 1));
    }
    (void)json_object_set_new(root, "consistent_snapshot", json_true());
    (void)json_object_set_new(root, "keys", all);
    (void)json_object_set_new(root, "roles", roles);
    return root;
}

static json_t *
role_in(json_t *root, const char *role)
{
    return json_object_get(json_object_get(root, "roles"), role);
}

static void
signature_hex(const json_t *body, const char *signer, char *hex)
{
    uint8_t digest[RB_SHA256_LEN];
    uint8_t raw[RB_P256_SIGNATURE_LEN];
    uint8_t der[RB_P256_DER_SIGNATURE_MAX];
    char *canonical = NULL;
    size_t len = 0;

    CHECK_OK(rb_json_canonical(body, &canonical, &len));
    rb_sha256(canonical, len, digest);
    free(canonical);
    CHECK_OK(forge_key_sign_p256(key(signer), digest, raw));
    rb_hex(der, rb_p256_signature_to_der(raw, der), hex);
}

static void
add_signature(json_t *document, const char *keyid, const char *signer)
{
    char hex[2 * RB_P256_DER_SIGNATURE_MAX + 1];

    signature_hex(json_object_get(document, "signed"), signer, hex);
    (void)json_array_append_new(json_object_get(document, "signatures"), json_pack("{s:s, s:s}", "keyid", keyid, "sig",
                                                                                   hex));
}

/* A document signed by the keys named. Takes `body`. */
static json_t *
signed_by(json_t *body, const char *signers)
{
    json_t *document = json_pack("{s:[], s:o}", "signatures", "signed", body);
    char *list = rb_text("%s", signers);

    for (char *rest = NULL, *name = strtok_r(list, " ", &rest); name != NULL; name = strtok_r(NULL, " ", &rest)) {
        add_signature(document, name, name);
    }
    free(list);
    return document;
}

static void
serve_bytes(const char *name, const char *data, size_t len)
{
    int i = 0;

    while (i < server.count && strcmp(server.file[i].name, name) != 0) {
        i++;
    }
    CHECK(i < FILES_MAX);
    if (i == server.count) {
        server.file[server.count++].name = rb_text("%s", name);
    } else {
        free(server.file[i].data);
    }
    server.file[i].data = rb_alloc(len + 1);
    memcpy(server.file[i].data, data, len);
    server.file[i].len = len;
}

static struct file *
served(const char *name)
{
    for (int i = 0; i < server.count; i++) {
        if (strcmp(server.file[i].name, name) == 0) {
            return &server.file[i];
        }
    }
    test_fail(__FILE__, __LINE__, "%s is not served", name);
}

/* Takes `document`. */
static void
serve(const char *name, json_t *document)
{
    char *text = json_dumps(document, JSON_COMPACT);

    CHECK(text != NULL);
    serve_bytes(name, text, strlen(text));
    free(text);
    json_decref(document);
}

static json_t *
ref_to(const char *name, int64_t version)
{
    const struct file *file = served(name);
    uint8_t digest[RB_SHA256_LEN];
    char hex[2 * RB_SHA256_LEN + 1];

    rb_sha256(file->data, file->len, digest);
    rb_hex(digest, sizeof digest, hex);
    return json_pack("{s:I, s:I, s:{s:s}}", "version", (json_int_t)version, "length", (json_int_t)file->len, "hashes",
                     "sha256", hex);
}

static json_t *
target_json(const char *content, int64_t number)
{
    uint8_t digest[RB_SHA256_LEN];
    char hex[2 * RB_SHA256_LEN + 1];

    rb_sha256(content, strlen(content), digest);
    rb_hex(digest, sizeof digest, hex);
    return json_pack("{s:i, s:{s:s}, s:{s:I}}", "length", (int)strlen(content), "hashes", "sha256", hex, "custom",
                     "n", (json_int_t)number);
}

/* What the next make_* use. */
static struct {
    const char *ts_key;
    const char *snap_key;
    const char *targets_key;
    int64_t ts_expires;
    int64_t snap_expires;
    int64_t targets_expires;
    int64_t issued; /* 0: not said */
} maker;

static void
make_targets(int64_t version)
{
    json_t *body = body_of("targets", version, maker.targets_expires);
    char *name = rb_text("%lld.targets.json", (long long)version);

    (void)json_object_set_new(body, "targets", json_pack("{s:o, s:o}", "b/two.bin", target_json("two", version),
                                                         "a.bin", target_json("one", version)));
    serve(name, signed_by(body, maker.targets_key));
    free(name);
}

static void
make_snapshot(int64_t version, int64_t targets)
{
    json_t *body = body_of("snapshot", version, maker.snap_expires);
    char *child = rb_text("%lld.targets.json", (long long)targets);
    char *name = rb_text("%lld.snapshot.json", (long long)version);

    (void)json_object_set_new(body, "meta", json_pack("{s:o}", "targets.json", ref_to(child, targets)));
    serve(name, signed_by(body, maker.snap_key));
    free(child);
    free(name);
}

static json_t *
timestamp_body(int64_t version, int64_t snapshot)
{
    json_t *body = body_of("timestamp", version, maker.ts_expires);
    char *child = rb_text("%lld.snapshot.json", (long long)snapshot);

    (void)json_object_set_new(body, "meta", json_pack("{s:o}", "snapshot.json", ref_to(child, snapshot)));
    if (maker.issued != 0) {
        char text[RB_TIME_TEXT_LEN + 1];
        rb_time_format(maker.issued, text);
        (void)json_object_set_new(body, RB_META_ISSUED, json_string(text));
    }
    free(child);
    return body;
}

static void
make_timestamp(int64_t version, int64_t snapshot)
{
    serve("timestamp.json", signed_by(timestamp_body(version, snapshot), maker.ts_key));
}

/* Version `v` of everything but root. */
static void
make_all(int64_t v)
{
    make_targets(v);
    make_snapshot(v, v);
    make_timestamp(v, v);
}

static void
make_world(void)
{
    maker.ts_key = "ts";
    maker.snap_key = "snap";
    maker.targets_key = "targets";
    maker.ts_expires = NOW + 30 * DAY;
    maker.snap_expires = NOW + 365 * DAY;
    maker.targets_expires = NOW + 365 * DAY;
    serve("1.root.json", signed_by(root_body(1, "root1 root2 root3", 2, "ts", "snap", "targets"), "root1 root2"));
    make_all(1);
    CHECK_OK(rb_tuf_init(DIR, served("1.root.json")->data, served("1.root.json")->len));
}

/* Another root, which gives the roles these keys; signed as said. */
static void
make_root(int64_t version, const char *ts, const char *snap, const char *signers)
{
    char *name = rb_text("%lld.root.json", (long long)version);

    serve(name, signed_by(root_body(version, "root1 root2 root3", 2, ts, snap, "targets"), signers));
    free(name);
}

/* ---- the client ---- */

static rb_err
fetch(void *ctx, const char *name, void *buffer, size_t limit, size_t *len)
{
    (void)ctx;
    size_t used = strlen(server.requests);
    (void)snprintf(server.requests + used, sizeof server.requests - used, "%s ", name);
    if (++server.fetches == server.fail_at) {
        return server.fail_with;
    }
    for (int i = 0; i < server.count; i++) {
        if (strcmp(server.file[i].name, name) == 0) {
            if (server.file[i].len > limit) {
                return RB_ERR_META_TOO_LARGE;
            }
            memcpy(buffer, server.file[i].data, server.file[i].len);
            *len = server.file[i].len;
            return RB_OK;
        }
    }
    return RB_ERR_NET_NOT_FOUND;
}

static rb_err
refresh_at(int64_t clock)
{
    struct rb_tuf *tuf = NULL;

    rb_fail_clear();
    server.requests[0] = '\0';
    server.fetches = 0;
    CHECK_OK(rb_tuf_open(DIR, clock, &tuf));
    rb_err err = rb_tuf_refresh(tuf, fetch, NULL);
    rb_tuf_close(tuf);
    return err;
}

static rb_err
refresh(void)
{
    return refresh_at(NOW);
}

static struct rb_tuf_versions
versions(void)
{
    struct rb_tuf *tuf = NULL;
    struct rb_tuf_versions v;

    rb_fail_clear();
    CHECK_OK(rb_tuf_open(DIR, NOW, &tuf));
    rb_tuf_versions(tuf, &v);
    rb_tuf_close(tuf);
    return v;
}

static void
trusts(int64_t root, int64_t timestamp, int64_t snapshot, int64_t targets)
{
    struct rb_tuf_versions v = versions();

    if (v.root != root || v.timestamp != timestamp || v.snapshot != snapshot || v.targets != targets) {
        test_fail(__FILE__, __LINE__, "trusted %lld %lld %lld %lld, want %lld %lld %lld %lld", (long long)v.root,
                  (long long)v.timestamp, (long long)v.snapshot, (long long)v.targets, (long long)root,
                  (long long)timestamp, (long long)snapshot, (long long)targets);
    }
}

static rb_err
lookup_at(int64_t clock, const char *name)
{
    struct rb_tuf *tuf = NULL;
    struct rb_tuf_target target;

    rb_fail_clear();
    CHECK_OK(rb_tuf_open(DIR, clock, &tuf));
    rb_err err = rb_tuf_target(tuf, name, &target);
    rb_tuf_close(tuf);
    return err;
}

/* ---- the way it goes ---- */

TEST(a_first_refresh_fetches_in_the_order_of_the_specification)
{
    make_world();
    CHECK_OK(refresh());
    CHECK(strcmp(server.requests, "2.root.json timestamp.json 1.snapshot.json 1.targets.json ") == 0);
    trusts(1, 1, 1, 1);
    CHECK_OK(lookup_at(NOW, "a.bin"));
    CHECK_ERR(lookup_at(NOW, "none.bin"), RB_ERR_TARGET_UNKNOWN);
}

TEST(what_did_not_change_is_not_fetched_again)
{
    make_world();
    CHECK_OK(refresh());
    CHECK_OK(refresh());
    CHECK(strcmp(server.requests, "2.root.json timestamp.json ") == 0);
    make_timestamp(2, 1);
    CHECK_OK(refresh());
    CHECK(strcmp(server.requests, "2.root.json timestamp.json ") == 0);
    trusts(1, 2, 1, 1);
}

TEST(stored_metadata_has_the_bytes_that_were_served)
{
    static const char *const names[][2] = {{"timestamp.json", DIR "/timestamp.json"},
                                           {"1.snapshot.json", DIR "/snapshot.json"},
                                           {"1.targets.json", DIR "/targets.json"},
                                           {"1.root.json", DIR "/root.json"}};
    make_world();
    CHECK_OK(refresh());
    for (size_t i = 0; i < 4; i++) {
        uint8_t *data = NULL;
        size_t len = 0;
        CHECK_OK(rb_file_read(names[i][1], 1 << 20, &data, &len));
        CHECK(len == served(names[i][0])->len && memcmp(data, served(names[i][0])->data, len) == 0);
        free(data);
    }
}

static rb_err
note_name(void *ctx, const struct rb_tuf_target *target)
{
    char *path = rb_tuf_target_path(target);

    (void)snprintf((char *)ctx + strlen(ctx), 400 - strlen(ctx), "%s %s %llu;", target->name, path,
                   (unsigned long long)target->length);
    CHECK(json_integer_value(json_object_get(target->custom, "n")) == 1);
    free(path);
    return RB_OK;
}

TEST(targets_are_visited_by_name_and_have_consistent_paths)
{
    struct rb_tuf *tuf = NULL;
    char seen[400] = "";

    make_world();
    CHECK_OK(refresh());
    CHECK_OK(rb_tuf_open(DIR, NOW, &tuf));
    CHECK_OK(rb_tuf_each_target(tuf, note_name, seen));
    CHECK(strcmp(seen, "a.bin 7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed.a.bin 3;"
                       "b/two.bin b/3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3.two.bin 3;")
          == 0);
    rb_tuf_close(tuf);
}

TEST(a_trust_directory_is_made_once_and_only_from_a_root_that_signs_itself)
{
    make_world();
    CHECK_ERR(rb_tuf_init(DIR, served("1.root.json")->data, served("1.root.json")->len), RB_ERR_IO_EXISTS);
    serve("1.root.json", signed_by(root_body(1, "root1 root2", 2, "ts", "snap", "targets"), "root1"));
    CHECK_ERR(rb_tuf_init("other", served("1.root.json")->data, served("1.root.json")->len), RB_ERR_META_SIGNATURE);
    CHECK_ERR(rb_tuf_init("other", "{}", 2), RB_ERR_META_FORMAT);
    CHECK_ERR(rb_tuf_init("other", "", 0), RB_ERR_META_JSON);
    CHECK(!rb_file_exists("other/root.json"));
    struct rb_tuf *tuf = NULL;
    CHECK_ERR(rb_tuf_open("other", NOW, &tuf), RB_ERR_META_TRUST);
}

TEST(metadata_without_lengths_and_hashes_is_taken_by_version)
{
    make_world();
    json_t *snap = body_of("snapshot", 1, maker.snap_expires);
    (void)json_object_set_new(snap, "meta", json_pack("{s:{s:i}}", "targets.json", "version", 1));
    serve("1.snapshot.json", signed_by(snap, "snap"));
    json_t *ts = body_of("timestamp", 1, maker.ts_expires);
    (void)json_object_set_new(ts, "meta", json_pack("{s:{s:i}}", "snapshot.json", "version", 1));
    serve("timestamp.json", signed_by(ts, "ts"));
    CHECK_OK(refresh());
    CHECK_OK(lookup_at(NOW, "a.bin"));
}

/* ---- rollback and freeze ---- */

TEST(TRUST_02_an_older_timestamp_is_refused)
{
    make_world();
    make_all(5);
    CHECK_OK(refresh());
    make_timestamp(4, 5);
    CHECK_ERR(refresh(), RB_ERR_META_ROLLBACK);
    CHECK(strstr(rb_fail_detail(), "timestamp.json: version 4, have 5") != NULL);
    trusts(1, 5, 5, 5);
}

TEST(TRUST_02_a_timestamp_that_names_an_older_snapshot_is_refused)
{
    make_world();
    make_all(5);
    CHECK_OK(refresh());
    make_snapshot(4, 5);
    make_timestamp(6, 4);
    CHECK_ERR(refresh(), RB_ERR_META_ROLLBACK);
    trusts(1, 5, 5, 5);
}

TEST(TRUST_02_a_snapshot_that_names_older_targets_is_refused)
{
    make_world();
    make_all(5);
    CHECK_OK(refresh());
    make_targets(4);
    make_snapshot(6, 4);
    make_timestamp(6, 6);
    CHECK_ERR(refresh(), RB_ERR_META_ROLLBACK);
    trusts(1, 6, 5, 5);
    /* The set is not whole now, so nothing is installed from it until an honest snapshot comes. */
    CHECK_ERR(lookup_at(NOW, "a.bin"), RB_ERR_META_TRUST);
    make_all(7);
    CHECK_OK(refresh());
    CHECK_OK(lookup_at(NOW, "a.bin"));
}

TEST(TRUST_02_a_snapshot_that_lists_a_file_no_more_is_refused)
{
    make_world();
    json_t *body = body_of("snapshot", 1, maker.snap_expires);
    (void)json_object_set_new(body, "meta", json_pack("{s:o, s:{s:i}}", "targets.json", ref_to("1.targets.json", 1),
                                                      "role1.json", "version", 1));
    serve("1.snapshot.json", signed_by(body, "snap"));
    make_timestamp(1, 1);
    CHECK_OK(refresh());
    make_snapshot(2, 1);
    make_timestamp(2, 2);
    CHECK_ERR(refresh(), RB_ERR_META_ROLLBACK);
    trusts(1, 2, 1, 1);
}

TEST(a_timestamp_of_the_same_version_keeps_the_trusted_one)
{
    make_world();
    CHECK_OK(refresh());
    make_targets(9);
    make_snapshot(9, 9);
    make_timestamp(1, 9);
    CHECK_OK(refresh());
    trusts(1, 1, 1, 1);
}

TEST(TRUST_07_frozen_metadata_is_not_used_once_it_expired)
{
    make_world();
    CHECK_OK(refresh());
    CHECK_OK(lookup_at(NOW + 30 * DAY - 1, "a.bin"));
    CHECK_ERR(lookup_at(NOW + 30 * DAY, "a.bin"), RB_ERR_META_EXPIRED);
    CHECK_ERR(refresh_at(NOW + 30 * DAY), RB_ERR_META_EXPIRED);
    maker.ts_expires = NOW + 90 * DAY;
    make_timestamp(2, 1);
    CHECK_OK(refresh_at(NOW + 30 * DAY));
    CHECK_OK(lookup_at(NOW + 30 * DAY, "a.bin"));
}

TEST(TRUST_07_each_expired_role_stops_the_refresh)
{
    make_world();
    maker.ts_expires = NOW;
    make_timestamp(1, 1);
    CHECK_ERR(refresh(), RB_ERR_META_EXPIRED);
    CHECK(strstr(rb_fail_detail(), "timestamp.json: expired at 2027-01-15T08:00:00Z") != NULL);
    trusts(1, 0, 0, 0);
    maker.ts_expires = NOW + DAY;
    maker.snap_expires = NOW;
    make_all(2);
    CHECK_ERR(refresh(), RB_ERR_META_EXPIRED);
    CHECK(strstr(rb_fail_detail(), "2.snapshot.json: expired") != NULL);
    trusts(1, 2, 0, 0);
    maker.snap_expires = NOW + DAY;
    maker.targets_expires = NOW;
    make_all(3);
    CHECK_ERR(refresh(), RB_ERR_META_EXPIRED);
    CHECK(strstr(rb_fail_detail(), "3.targets.json: expired") != NULL);
    trusts(1, 3, 3, 0);
}

TEST(an_expired_root_stops_the_refresh_only_when_it_is_the_last)
{
    make_world();
    CHECK_ERR(refresh_at(NOW + 3651 * DAY), RB_ERR_META_EXPIRED);
    CHECK(strstr(rb_fail_detail(), "root.json: expired") != NULL);
    json_t *root = root_body(2, "root1 root2 root3", 2, "ts", "snap", "targets");
    (void)json_object_set_new(root, "expires", json_string("2040-01-01T00:00:00Z"));
    serve("2.root.json", signed_by(root, "root1 root2"));
    maker.ts_expires = maker.snap_expires = maker.targets_expires = NOW + 4000 * DAY;
    make_all(2);
    CHECK_OK(refresh_at(NOW + 3651 * DAY));
    trusts(2, 2, 2, 2);
}

/* ---- fast-forward and rotation ---- */

TEST(TRUST_08_a_new_root_undoes_a_fast_forwarded_timestamp)
{
    make_world();
    make_timestamp(INT64_MAX, 1);
    CHECK_OK(refresh());
    make_timestamp(2, 1);
    CHECK_ERR(refresh(), RB_ERR_META_ROLLBACK);
    make_root(2, "ts2", "snap", "root1 root2");
    maker.ts_key = "ts2";
    make_timestamp(2, 1);
    CHECK_OK(refresh());
    trusts(2, 2, 1, 1);
}

TEST(TRUST_08_a_new_root_undoes_a_fast_forwarded_snapshot)
{
    make_world();
    make_targets(77);
    make_snapshot(99999, 77);
    make_timestamp(2, 99999);
    CHECK_OK(refresh());
    make_root(2, "ts", "snap2", "root1 root2"); /* the snapshot key alone */
    maker.snap_key = "snap2";
    make_targets(2);
    make_snapshot(2, 2);
    make_timestamp(3, 2);
    CHECK_OK(refresh());
    trusts(2, 3, 2, 2);
}

TEST(TRUST_08_a_cut_between_the_new_root_and_the_drop_is_made_up_for)
{
    make_world();
    make_snapshot(99999, 1);
    make_timestamp(2, 99999);
    CHECK_OK(refresh());
    make_root(2, "ts", "snap2", "root1 root2");
    maker.snap_key = "snap2";
    make_snapshot(2, 1);
    make_timestamp(3, 2);
    /* The new root is stored, and then the power goes. */
    CHECK_OK(rb_file_replace(DIR "/rotated", "2", 1, 0644));
    CHECK_OK(rb_file_replace(DIR "/root.json", served("2.root.json")->data, served("2.root.json")->len, 0644));
    trusts(2, 0, 0, 1);
    CHECK_OK(refresh());
    trusts(2, 3, 2, 1);
    CHECK(!rb_file_exists(DIR "/rotated"));
}

TEST(a_cut_before_the_new_root_drops_nothing)
{
    make_world();
    CHECK_OK(refresh());
    CHECK_OK(rb_file_replace(DIR "/rotated", "2", 1, 0644));
    trusts(1, 1, 1, 1);
    CHECK_OK(refresh());
    trusts(1, 1, 1, 1);
}

TEST(a_root_that_only_adds_keys_keeps_what_is_trusted)
{
    make_world();
    make_all(5);
    CHECK_OK(refresh());
    make_root(2, "ts ts2", "snap", "root1 root2");
    make_timestamp(4, 5);
    CHECK_ERR(refresh(), RB_ERR_META_ROLLBACK);
    trusts(2, 5, 5, 5);
}

TEST(TRUST_16_metadata_by_a_revoked_key_is_refused)
{
    make_world();
    make_root(2, "ts2", "snap", "root1 root2");
    make_timestamp(2, 1); /* still by the old key */
    CHECK_ERR(refresh(), RB_ERR_META_SIGNATURE);
    trusts(2, 0, 0, 0);
}

/* ---- mix and match ---- */

TEST(TRUST_09_a_snapshot_with_another_hash_is_refused)
{
    make_world();
    make_timestamp(1, 1);
    size_t len = served("1.snapshot.json")->len;
    do { /* until it has the same length too: DER signatures have 70 to 72 bytes */
        maker.snap_expires++;
        make_snapshot(1, 1);
    } while (served("1.snapshot.json")->len != len);
    CHECK_ERR(refresh(), RB_ERR_META_HASH);
    trusts(1, 1, 0, 0);
}

TEST(TRUST_09_targets_of_another_release_are_refused)
{
    make_world();
    make_targets(2);
    struct file *two = served("2.targets.json");
    serve_bytes("1.targets.json", two->data, two->len);
    rb_err err = refresh();
    CHECK(err == RB_ERR_META_HASH || err == RB_ERR_META_TOO_LARGE); /* a signature may be a byte longer */
    trusts(1, 1, 1, 0);
    CHECK_ERR(lookup_at(NOW, "a.bin"), RB_ERR_META_TRUST);
}

TEST(TRUST_09_a_version_that_is_not_the_one_named_is_refused)
{
    make_world();
    json_t *snap = body_of("snapshot", 1, maker.snap_expires);
    (void)json_object_set_new(snap, "meta", json_pack("{s:{s:i}}", "targets.json", "version", 1));
    serve("1.snapshot.json", signed_by(snap, "snap"));
    make_timestamp(1, 1);
    make_targets(2);
    struct file *two = served("2.targets.json");
    serve_bytes("1.targets.json", two->data, two->len);
    CHECK_ERR(refresh(), RB_ERR_META_VERSION);
    trusts(1, 1, 1, 0);
}

/* ---- signatures ---- */

TEST(TRUST_11_one_key_of_two_is_not_enough)
{
    make_world();
    json_t *root = root_body(2, "root1 root2 root3", 2, "ts", "snap snap2", "targets");
    (void)json_object_set_new(role_in(root, "snapshot"), "threshold", json_integer(2));
    serve("2.root.json", signed_by(root, "root1 root2"));
    make_snapshot(2, 1);
    make_timestamp(2, 2);
    CHECK_ERR(refresh(), RB_ERR_META_SIGNATURE);
    CHECK(strstr(rb_fail_detail(), "1 of 2") != NULL);
    trusts(2, 2, 0, 0);
    maker.snap_key = "snap snap2";
    make_snapshot(3, 1);
    make_timestamp(3, 3);
    CHECK_OK(refresh());
}

TEST(TRUST_12_one_key_under_two_names_counts_once)
{
    make_world();
    json_t *root = root_body(2, "root1 root2 root3", 2, "ts", "snap", "targets");
    (void)json_object_set_new(json_object_get(root, "keys"), "alias", key_object("snap"));
    json_t *role = role_in(root, "snapshot");
    (void)json_array_append_new(json_object_get(role, "keyids"), json_string("alias"));
    (void)json_object_set_new(role, "threshold", json_integer(2));
    serve("2.root.json", signed_by(root, "root1 root2"));
    json_t *body = body_of("snapshot", 2, maker.snap_expires);
    (void)json_object_set_new(body, "meta", json_pack("{s:o}", "targets.json", ref_to("1.targets.json", 1)));
    json_t *snapshot = signed_by(body, "snap");
    add_signature(snapshot, "alias", "snap");
    serve("2.snapshot.json", snapshot);
    make_timestamp(2, 2);
    CHECK_ERR(refresh(), RB_ERR_META_SIGNATURE);
    trusts(2, 2, 0, 0);
}

TEST(TRUST_12_a_key_id_may_sign_once_only)
{
    make_world();
    serve("timestamp.json", signed_by(timestamp_body(1, 1), "ts ts"));
    CHECK_ERR(refresh(), RB_ERR_META_FORMAT);
    trusts(1, 0, 0, 0);
}

TEST(TRUST_13_a_new_root_needs_the_old_keys_and_the_new_ones)
{
    static const char *const bad[] = {"new1 new2", "root1 root2", "root1 new1", "root1 new1 new2", "root1 root2 new1"};

    make_world();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        serve("2.root.json", signed_by(root_body(2, "new1 new2", 2, "ts", "snap", "targets"), bad[i]));
        CHECK_ERR(refresh(), RB_ERR_META_SIGNATURE);
        trusts(1, 0, 0, 0);
    }
    serve("2.root.json", signed_by(root_body(2, "new1 new2", 2, "ts", "snap", "targets"), "root3 root1 new1 new2"));
    CHECK_OK(refresh());
    trusts(2, 1, 1, 1);
}

TEST(TRUST_14_a_root_that_failed_is_never_stored)
{
    make_world();
    uint8_t before[RB_SHA256_LEN];
    uint8_t after[RB_SHA256_LEN];
    CHECK_OK(rb_file_sha256(DIR "/root.json", before, NULL));
    serve("2.root.json", signed_by(root_body(3, "root1 root2 root3", 2, "ts", "snap", "targets"), "root1 root2"));
    CHECK_ERR(refresh(), RB_ERR_META_VERSION);
    serve("2.root.json", signed_by(root_body(1, "root1 root2 root3", 2, "ts", "snap", "targets"), "root1 root2"));
    CHECK_ERR(refresh(), RB_ERR_META_VERSION);
    serve("2.root.json", signed_by(root_body(2, "root1", 1, "ts", "snap", "targets"), "root1"));
    CHECK_ERR(refresh(), RB_ERR_META_SIGNATURE);
    CHECK_OK(rb_file_sha256(DIR "/root.json", after, NULL));
    CHECK(memcmp(before, after, sizeof before) == 0);
}

TEST(TRUST_15_the_root_chain_is_walked_in_bounded_steps)
{
    make_world();
    for (int64_t v = 2; v <= 70; v++) {
        make_root(v, "ts", "snap", "root1 root2");
    }
    CHECK_OK(refresh());
    CHECK(versions().root == 1 + (int64_t)RB_TUF_ROOT_STEPS_MAX);
    CHECK_OK(refresh());
    trusts(70, 1, 1, 1);
}

/* The timestamp key as the root describes it, changed. */
static void
try_key(const char *field, json_t *value, rb_err want)
{
    json_t *root = root_body(2, "root1 root2 root3", 2, "ts", "snap", "targets");
    (void)json_object_set_new(json_object_get(json_object_get(root, "keys"), "ts"), field, value);
    serve("2.root.json", signed_by(root, "root1 root2"));
    CHECK_OK(rb_remove_tree(DIR));
    CHECK_OK(rb_tuf_init(DIR, served("1.root.json")->data, served("1.root.json")->len));
    CHECK_ERR(refresh(), want);
}

TEST(TRUST_17_the_key_fixes_the_algorithm)
{
    make_world();
    try_key("keytype", json_string("ecdsa-sha2-nistp256"), RB_OK);
    try_key("x-comment", json_string("anything"), RB_OK);
    try_key("keytype", json_string("rsa"), RB_ERR_META_SIGNATURE);
    try_key("keytype", json_string("ed25519"), RB_ERR_META_SIGNATURE);
    try_key("keytype", json_integer(1), RB_ERR_META_SIGNATURE);
    try_key("scheme", json_string("none"), RB_ERR_META_SIGNATURE);
    try_key("scheme", json_string("ecdsa-sha2-nistp384"), RB_ERR_META_SIGNATURE);
    try_key("keyval", json_pack("{s:s}", "public", "not a key"), RB_ERR_META_SIGNATURE);
    try_key("keyval", json_string("text"), RB_ERR_META_SIGNATURE);
}

TEST(TRUST_17_signatures_that_name_another_method_change_nothing)
{
    make_world();
    json_t *ts = signed_by(timestamp_body(1, 1), "ts");
    json_t *entry = json_array_get(json_object_get(ts, "signatures"), 0);
    (void)json_object_set_new(entry, "method", json_string("none"));
    serve("timestamp.json", ts);
    CHECK_OK(refresh()); /* not looked at */
    ts = signed_by(timestamp_body(2, 1), "");
    (void)json_array_append_new(json_object_get(ts, "signatures"),
                                json_pack("{s:s, s:s, s:s}", "keyid", "ts", "method", "none", "sig", ""));
    serve("timestamp.json", ts);
    CHECK_ERR(refresh(), RB_ERR_META_SIGNATURE);
}

TEST(TRUST_19_metadata_of_another_role_is_refused_though_signed)
{
    make_world();
    serve("2.root.json", signed_by(root_body(2, "root1 root2 root3", 2, "one", "one", "one"), "root1 root2"));
    maker.ts_key = maker.snap_key = maker.targets_key = "one";
    make_all(1);
    struct file *snapshot = served("1.snapshot.json");
    serve_bytes("timestamp.json", snapshot->data, snapshot->len);
    CHECK_ERR(refresh(), RB_ERR_META_TYPE);
    trusts(2, 0, 0, 0);
}

/* A timestamp whose signature hex was changed by `change`. */
static rb_err
with_signature(void (*change)(uint8_t der[80], size_t *len))
{
    char hex[200];
    uint8_t der[80];
    json_t *body = timestamp_body(1, 1);

    signature_hex(body, "ts", hex);
    size_t len = strlen(hex) / 2;
    CHECK_OK(rb_unhex(hex, der, len));
    change(der, &len);
    rb_hex(der, len, hex);
    serve("timestamp.json", json_pack("{s:[{s:s, s:s}], s:o}", "signatures", "keyid", "ts", "sig", hex, "signed",
                                      body));
    return refresh();
}

static void
nothing(uint8_t der[80], size_t *len)
{
    (void)der;
    (void)len;
}
static void
byte_after(uint8_t der[80], size_t *len)
{
    der[(*len)++] = 0;
}
static void
byte_after_inside(uint8_t der[80], size_t *len)
{
    der[(*len)++] = 0;
    der[1]++;
}
static void
one_bit(uint8_t der[80], size_t *len)
{
    der[*len - 1] ^= 1;
}
static void
r_zero(uint8_t der[80], size_t *len)
{
    memcpy(der, "\x30\x06\x02\x01\x00\x02\x01\x01", 8);
    *len = 8;
}
/* s + n, where it fits 33 bytes: equal modulo the group order. */
static void
s_plus_order(uint8_t der[80], size_t *len)
{
    static const uint8_t order[32] = {0xff, 0xff, 0xff, 0xff, 0,    0,    0,    0,    0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                                      0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
    uint8_t raw[RB_P256_SIGNATURE_LEN];
    uint8_t sum[33] = {0};
    unsigned carry = 0;

    CHECK_OK(rb_p256_signature_from_der(der, *len, raw));
    for (int i = 31; i >= 0; i--) {
        carry += (unsigned)raw[32 + i] + order[i];
        sum[i + 1] = (uint8_t)carry;
        carry >>= 8;
    }
    sum[0] = (uint8_t)carry;
    size_t s_at = 2 + 2 + der[3];
    der[s_at] = 2;
    der[s_at + 1] = 33;
    memcpy(der + s_at + 2, sum, 33);
    *len = s_at + 2 + 33;
    der[1] = (uint8_t)(*len - 2);
}

TEST(TRUST_20_only_the_one_encoding_of_a_signature_counts)
{
    make_world();
    CHECK_ERR(with_signature(byte_after), RB_ERR_META_SIGNATURE);
    CHECK_ERR(with_signature(byte_after_inside), RB_ERR_META_SIGNATURE);
    CHECK_ERR(with_signature(one_bit), RB_ERR_META_SIGNATURE);
    CHECK_ERR(with_signature(r_zero), RB_ERR_META_SIGNATURE);
    CHECK_ERR(with_signature(s_plus_order), RB_ERR_META_SIGNATURE);
    CHECK_OK(with_signature(nothing));
    json_t *ts = signed_by(timestamp_body(2, 1), "ts");
    json_t *entry = json_array_get(json_object_get(ts, "signatures"), 0);
    char *upper = rb_text("%s", json_string_value(json_object_get(entry, "sig")));
    for (char *p = upper; *p != '\0'; p++) {
        *p = *p >= 'a' && *p <= 'f' ? (char)(*p - 32) : *p;
    }
    (void)json_object_set_new(entry, "sig", json_string(upper));
    free(upper);
    serve("timestamp.json", ts);
    CHECK_ERR(refresh(), RB_ERR_META_SIGNATURE);
}

TEST(unsigned_and_foreign_metadata_is_refused)
{
    make_world();
    serve("timestamp.json", signed_by(timestamp_body(1, 1), ""));
    CHECK_ERR(refresh(), RB_ERR_META_SIGNATURE);
    serve("timestamp.json", signed_by(timestamp_body(1, 1), "snap targets root1 stranger"));
    CHECK_ERR(refresh(), RB_ERR_META_SIGNATURE);
    json_t *ts = signed_by(timestamp_body(1, 1), "");
    add_signature(ts, "ts", "stranger");
    serve("timestamp.json", ts);
    CHECK_ERR(refresh(), RB_ERR_META_SIGNATURE);
    serve("timestamp.json", signed_by(timestamp_body(1, 1), "stranger ts"));
    CHECK_OK(refresh()); /* an unknown key id is passed over */
}

/* Bits all over the signed part of a timestamp. */
TEST(TRUST_27_a_flipped_bit_anywhere_is_refused_or_changes_nothing)
{
    make_world();
    CHECK_OK(refresh());
    char *good = rb_text("%s", served("timestamp.json")->data);
    size_t len = strlen(good);
    size_t from = (size_t)(strstr(good, "\"signed\"") - good);
    for (size_t i = from; i < len; i += 17) {
        CHECK_OK(rb_remove_tree(DIR "/timestamp.json"));
        served("timestamp.json")->data[i] = (char)(good[i] ^ (1 << (i % 7)));
        CHECK(refresh() != RB_OK);
        CHECK(!rb_file_exists(DIR "/timestamp.json"));
        served("timestamp.json")->data[i] = good[i];
    }
    free(good);
}

/* ---- contents ---- */

static rb_err
root_with(const char *key_name, json_t *value)
{
    json_t *root = root_body(2, "root1 root2 root3", 2, "ts", "snap", "targets");

    if (value != NULL) {
        (void)json_object_set_new(root, key_name, value);
    } else {
        (void)json_object_del(root, key_name);
    }
    serve("2.root.json", signed_by(root, "root1 root2"));
    rb_err err = refresh();
    CHECK(versions().root == 1);
    return err;
}

TEST(a_signed_root_with_a_bad_field_is_refused)
{
    make_world();
    CHECK_ERR(root_with("spec_version", json_string("2.0.0")), RB_ERR_META_FORMAT);
    CHECK_ERR(root_with("spec_version", json_string("1.")), RB_ERR_META_FORMAT);
    CHECK_ERR(root_with("spec_version", json_string("1.0.34x")), RB_ERR_META_FORMAT);
    CHECK_ERR(root_with("spec_version", NULL), RB_ERR_META_FORMAT);
    CHECK_ERR(root_with("_type", json_string("Root")), RB_ERR_META_TYPE);
    CHECK_ERR(root_with("_type", NULL), RB_ERR_META_FORMAT);
    CHECK_ERR(root_with("version", json_integer(0)), RB_ERR_META_FORMAT);
    CHECK_ERR(root_with("version", json_integer(-1)), RB_ERR_META_FORMAT);
    CHECK_ERR(root_with("version", json_string("2")), RB_ERR_META_FORMAT);
    CHECK_ERR(root_with("expires", json_string("2040-01-01")), RB_ERR_META_FORMAT);
    CHECK_ERR(root_with("expires", json_string("2040-02-30T00:00:00Z")), RB_ERR_META_FORMAT);
    CHECK_ERR(root_with("expires", json_string("2040-01-01T00:00:00+00:00")), RB_ERR_META_FORMAT);
    CHECK_ERR(root_with("consistent_snapshot", json_false()), RB_ERR_META_FORMAT);
    CHECK_ERR(root_with("keys", json_array()), RB_ERR_META_FORMAT);
    CHECK_ERR(root_with("roles", json_object()), RB_ERR_META_FORMAT);
}

static rb_err
root_role_with(const char *field, json_t *value)
{
    json_t *root = root_body(2, "root1 root2 root3", 2, "ts", "snap", "targets");

    (void)json_object_set_new(role_in(root, "timestamp"), field, value);
    serve("2.root.json", signed_by(root, "root1 root2"));
    return refresh();
}

TEST(a_signed_root_with_a_bad_role_is_refused)
{
    make_world();
    CHECK_ERR(root_role_with("threshold", json_integer(0)), RB_ERR_META_FORMAT);
    CHECK_ERR(root_role_with("threshold", json_integer(-1)), RB_ERR_META_FORMAT);
    CHECK_ERR(root_role_with("threshold", json_string("1")), RB_ERR_META_FORMAT);
    CHECK_ERR(root_role_with("keyids", json_array()), RB_ERR_META_FORMAT);
    CHECK_ERR(root_role_with("keyids", json_pack("[s, s]", "ts", "ts")), RB_ERR_META_FORMAT);
    CHECK_ERR(root_role_with("keyids", json_pack("[i]", 1)), RB_ERR_META_FORMAT);
    CHECK(versions().root == 1);
}

static rb_err
targets_with(const char *name, json_t *entry)
{
    json_t *body = body_of("targets", 1, maker.targets_expires);

    (void)json_object_set_new(body, "targets", json_pack("{s:o}", name, entry));
    serve("1.targets.json", signed_by(body, "targets"));
    make_snapshot(1, 1);
    make_timestamp(1, 1);
    CHECK_OK(rb_remove_tree(DIR));
    CHECK_OK(rb_tuf_init(DIR, served("1.root.json")->data, served("1.root.json")->len));
    return refresh();
}

TEST(signed_targets_with_a_bad_entry_are_refused)
{
    static const char *const names[] = {"", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/..", "./a",
                                        "a b", "a?b", "a#b", "a%2fb", "a\\b", "a\nb", "\xc3\xa9"};
    json_t *entry;

    make_world();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        CHECK_ERR(targets_with(names[i], target_json("x", 1)), RB_ERR_META_FORMAT);
    }
    CHECK_OK(targets_with("a/b..c/.d", target_json("x", 1)));
    CHECK_ERR(targets_with("a", json_object()), RB_ERR_META_FORMAT);
    entry = target_json("x", 1);
    (void)json_object_set_new(entry, "length", json_integer(-1));
    CHECK_ERR(targets_with("a", entry), RB_ERR_META_FORMAT);
    entry = target_json("x", 1);
    (void)json_object_set_new(entry, "hashes", json_pack("{s:s}", "md5", "00"));
    CHECK_ERR(targets_with("a", entry), RB_ERR_META_FORMAT);
    entry = target_json("x", 1);
    (void)json_object_set_new(entry, "custom", json_string("x"));
    CHECK_ERR(targets_with("a", entry), RB_ERR_META_FORMAT);
}

/* The signed part of a timestamp as text, signed over `canonical`. */
static rb_err
raw_timestamp(const char *text, const char *canonical)
{
    uint8_t digest[RB_SHA256_LEN];
    uint8_t raw[RB_P256_SIGNATURE_LEN];
    uint8_t der[RB_P256_DER_SIGNATURE_MAX];
    char hex[2 * RB_P256_DER_SIGNATURE_MAX + 1];

    rb_sha256(canonical, strlen(canonical), digest);
    CHECK_OK(forge_key_sign_p256(key("ts"), digest, raw));
    rb_hex(der, rb_p256_signature_to_der(raw, der), hex);
    char *file = rb_text("{\"signatures\":[{\"keyid\":\"ts\",\"sig\":\"%s\"}],\"signed\":%s}", hex, text);
    serve_bytes("timestamp.json", file, strlen(file));
    free(file);
    CHECK_OK(rb_remove_tree(DIR));
    CHECK_OK(rb_tuf_init(DIR, served("1.root.json")->data, served("1.root.json")->len));
    return refresh();
}

/* A timestamp with one more member, which sorts first and is signed just as written. */
static rb_err
timestamp_plus(const char *member)
{
    char *body = rb_text("{%s%s\"_type\":\"timestamp\",\"expires\":\"2027-02-01T00:00:00Z\",\"meta\":"
                         "{\"snapshot.json\":{\"version\":1}},\"spec_version\":\"1.0.34\",\"version\":1}",
                         member, member[0] != '\0' ? "," : "");
    rb_err err = raw_timestamp(body, body);

    free(body);
    return err;
}

TEST(JSON_rows_hold_for_signed_metadata)
{
    make_world();
    CHECK_OK(timestamp_plus(""));
    CHECK_OK(timestamp_plus("\"A\":{\"unknown\":[1,true,null]}"));               /* JSON_06: ignored but signed */
    CHECK_ERR(timestamp_plus("\"A\":1,\"A\":1"), RB_ERR_META_JSON);              /* JSON_01 */
    CHECK_ERR(timestamp_plus("\"A\":1.0"), RB_ERR_META_JSON);                    /* JSON_03 */
    CHECK_ERR(timestamp_plus("\"A\":1e3"), RB_ERR_META_JSON);
    CHECK_ERR(timestamp_plus("\"A\":1e999"), RB_ERR_META_JSON);
    CHECK_ERR(timestamp_plus("\"A\":18446744073709551616"), RB_ERR_META_JSON);
    CHECK_ERR(timestamp_plus("\"A\":0x10"), RB_ERR_META_JSON);
    CHECK_ERR(timestamp_plus("\"A\":01"), RB_ERR_META_JSON);
    CHECK_OK(timestamp_plus("\"A\":9223372036854775807"));
    CHECK_ERR(timestamp_plus("\"A\":\"\xff\""), RB_ERR_META_JSON);               /* JSON_04 */
    CHECK_ERR(timestamp_plus("\"A\":\"\\ud800\""), RB_ERR_META_JSON);
    CHECK_ERR(timestamp_plus("\"A\":\"\\u0000\""), RB_ERR_META_JSON);
    CHECK_ERR(timestamp_plus("\"A\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"),
              RB_ERR_META_JSON);                                                  /* JSON_02 */
    struct file *ts = served("timestamp.json");
    make_timestamp(1, 1);
    char *more = rb_text("%s{}", ts->data);
    serve_bytes("timestamp.json", more, strlen(more));
    free(more);
    CHECK_ERR(refresh(), RB_ERR_META_JSON);                                       /* JSON_05 */
}

TEST(JSON_03_a_number_written_another_way_is_another_number_or_nothing)
{
    /* "-0" parses as 0; what was signed as "-0" therefore has no valid signature here. */
    make_world();
    CHECK_ERR(timestamp_plus("\"A\":-0"), RB_ERR_META_SIGNATURE);
}

TEST(white_space_and_order_of_the_file_do_not_matter)
{
    make_world();
    json_t *document = NULL;
    struct file *ts = served("timestamp.json");
    CHECK_OK(rb_json_parse(ts->data, ts->len, &document));
    char *text = json_dumps(document, JSON_INDENT(4));
    serve_bytes("timestamp.json", text, strlen(text));
    free(text);
    json_decref(document);
    CHECK_OK(refresh());
}

TEST(JSON_07_files_over_their_limit_are_refused)
{
    make_world();
    char *big = rb_alloc(RB_TUF_TIMESTAMP_MAX + 2);
    memset(big, ' ', RB_TUF_TIMESTAMP_MAX + 1);
    memcpy(big, served("timestamp.json")->data, served("timestamp.json")->len);
    serve_bytes("timestamp.json", big, RB_TUF_TIMESTAMP_MAX + 1);
    CHECK_ERR(refresh(), RB_ERR_META_TOO_LARGE);
    serve_bytes("timestamp.json", big, RB_TUF_TIMESTAMP_MAX);
    CHECK_OK(refresh());
    free(big);
    /* A snapshot longer than the timestamp says is not even taken in. */
    make_snapshot(2, 1);
    make_timestamp(2, 2);
    struct file *snapshot = served("2.snapshot.json");
    char *longer = rb_text("%s ", snapshot->data);
    serve_bytes("2.snapshot.json", longer, strlen(longer));
    free(longer);
    CHECK_ERR(refresh(), RB_ERR_META_TOO_LARGE);
    trusts(1, 2, 1, 1);
}

TEST(a_length_over_the_limit_is_refused_before_fetching)
{
    make_world();
    json_t *body = body_of("timestamp", 1, maker.ts_expires);
    (void)json_object_set_new(body, "meta", json_pack("{s:{s:i, s:I}}", "snapshot.json", "version", 1, "length",
                                                      (json_int_t)RB_TUF_SNAPSHOT_MAX + 1));
    serve("timestamp.json", signed_by(body, "ts"));
    CHECK_ERR(refresh(), RB_ERR_META_TOO_LARGE);
    CHECK(strcmp(server.requests, "2.root.json timestamp.json ") == 0);
}

/* ---- time ---- */

TEST(TIME_01_a_clock_at_1970_works_and_the_floor_rises)
{
    make_world();
    maker.issued = NOW - DAY;
    make_timestamp(2, 1);
    CHECK_OK(refresh_at(0));
    struct rb_tuf *tuf = NULL;
    struct rb_tuf_versions v;
    CHECK_OK(rb_tuf_open(DIR, 0, &tuf));
    rb_tuf_versions(tuf, &v);
    CHECK(v.now == NOW - DAY);
    rb_tuf_close(tuf);
    CHECK_OK(lookup_at(0, "a.bin"));
}

TEST(TIME_01_the_floor_is_never_below_the_time_of_this_code)
{
    make_world();
    maker.ts_expires = RB_TUF_TIME_BUILD;
    make_timestamp(2, 1);
    CHECK_ERR(refresh_at(0), RB_ERR_META_EXPIRED);
}

TEST(TIME_02_a_clock_far_ahead_is_survived)
{
    make_world();
    CHECK_OK(refresh());
    CHECK_ERR(refresh_at(INT64_C(4102444800)), RB_ERR_META_EXPIRED); /* 2100 */
    CHECK_ERR(refresh_at(INT64_MAX), RB_ERR_META_EXPIRED);
    CHECK_OK(refresh());
    CHECK_OK(lookup_at(NOW, "a.bin"));
}

TEST(TIME_04_a_clock_set_back_does_not_revive_expired_metadata)
{
    make_world();
    make_timestamp(2, 1);
    char *old = rb_text("%s", served("timestamp.json")->data); /* expires at NOW + 30 days */
    maker.issued = NOW + 40 * DAY;
    maker.ts_expires = NOW + 60 * DAY;
    make_timestamp(3, 1);
    CHECK_OK(refresh_at(NOW + 41 * DAY));
    CHECK_OK(rb_remove_tree(DIR "/timestamp.json")); /* even without the version floor */
    serve_bytes("timestamp.json", old, strlen(old));
    CHECK_ERR(refresh_at(NOW), RB_ERR_META_EXPIRED);
    free(old);
}

TEST(TIME_04_the_floor_never_falls)
{
    make_world();
    maker.issued = NOW;
    make_timestamp(2, 1);
    CHECK_OK(refresh());
    maker.issued = NOW - 5 * DAY;
    make_timestamp(3, 1);
    CHECK_OK(refresh());
    uint8_t *text = NULL;
    size_t len = 0;
    CHECK_OK(rb_file_read(DIR "/time", 100, &text, &len));
    CHECK(strcmp((char *)text, "1800000000") == 0);
    free(text);
}

TEST(an_online_key_cannot_push_the_floor_past_what_offline_keys_allow)
{
    make_world();
    maker.ts_expires = RB_TIME_MAX; /* the thief of the timestamp key says whatever it wants */
    maker.issued = RB_TIME_MAX;
    make_timestamp(2, 1);
    CHECK_OK(refresh());
    struct rb_tuf_versions v = versions();
    CHECK(v.now == NOW + 365 * DAY - 1); /* just before the targets expire */
    CHECK_OK(lookup_at(NOW, "a.bin"));
    /* A root that takes the key away takes back what it raised. */
    make_root(2, "ts2", "snap", "root1 root2");
    maker.ts_key = "ts2";
    maker.ts_expires = NOW + 30 * DAY;
    maker.issued = NOW - DAY;
    make_timestamp(1, 1);
    CHECK_OK(refresh());
    CHECK(versions().now == NOW);
    CHECK_OK(lookup_at(0, "a.bin"));
}

TEST(a_failed_refresh_does_not_raise_the_floor)
{
    make_world();
    maker.issued = NOW + 10 * DAY;
    make_timestamp(2, 1);
    server.fail_at = 3; /* the snapshot */
    server.fail_with = RB_ERR_NET_TIMEOUT;
    CHECK_ERR(refresh(), RB_ERR_NET_TIMEOUT);
    CHECK(versions().now == NOW);
    CHECK(!rb_file_exists(DIR "/time"));
}

TEST(times_have_one_form)
{
    static const char *const bad[] = {"",
                                      "2027-01-15T08:00:00",
                                      "2027-01-15 08:00:00Z",
                                      "2027-1-15T08:00:00Z",
                                      "2027-13-15T08:00:00Z",
                                      "2027-00-15T08:00:00Z",
                                      "2027-02-29T08:00:00Z",
                                      "2100-02-29T08:00:00Z",
                                      "2027-04-31T08:00:00Z",
                                      "2027-01-15T24:00:00Z",
                                      "2027-01-15T08:60:00Z",
                                      "2027-01-15T08:00:60Z",
                                      "1969-12-31T23:59:59Z",
                                      "2027-01-15T08:00:00z",
                                      "2027-01-15T08:00:00.5Z",
                                      "-027-01-15T08:00:00Z",
                                      "2027-01-15T08:00:00Zx"};
    char text[RB_TIME_TEXT_LEN + 1];
    int64_t out;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_ERR(rb_time_parse(bad[i], &out), RB_ERR_META_FORMAT);
    }
    CHECK_OK(rb_time_parse("2024-02-29T23:59:59Z", &out));
    CHECK(out == 1709251199);
    CHECK_OK(rb_time_parse("9999-12-31T23:59:59Z", &out));
    CHECK(out == RB_TIME_MAX);
    for (int64_t t = 0; t <= RB_TIME_MAX; t += 86400 * 13 + 12345) {
        rb_time_format(t, text);
        CHECK_OK(rb_time_parse(text, &out));
        CHECK(out == t);
    }
}

/* ---- damage and interruption ---- */

TEST(a_refresh_that_fails_at_any_fetch_leaves_what_was_trusted)
{
    make_world();
    CHECK_OK(refresh());
    make_root(2, "ts", "snap", "root1 root2");
    make_all(2);
    static const rb_err with[] = {RB_ERR_NET_TIMEOUT, RB_ERR_NET_CONNECT, RB_ERR_META_TOO_LARGE};
    for (int at = 1; at <= 5; at++) {
        for (size_t w = 0; w < 3; w++) {
            CHECK_OK(rb_remove_tree(DIR));
            CHECK_OK(rb_tuf_init(DIR, served("1.root.json")->data, served("1.root.json")->len));
            server.fail_at = at;
            server.fail_with = with[w];
            CHECK_ERR(refresh(), with[w]);
            CHECK(strstr(rb_fail_detail(), ".json") != NULL);
            int64_t root = at == 1 ? 1 : 2;
            trusts(root, at > 3 ? 2 : 0, at > 4 ? 2 : 0, 0);
            server.fail_at = 0;
            CHECK_OK(refresh());
            trusts(2, 2, 2, 2);
        }
    }
}

TEST(a_refresh_that_cannot_write_leaves_what_was_trusted)
{
    struct rlimit none = {10, RLIM_INFINITY};
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

    make_world();
    CHECK_OK(refresh());
    make_all(2);
    (void)signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &none) == 0);
    rb_err err = refresh();
    CHECK(setrlimit(RLIMIT_FSIZE, &all) == 0);
    CHECK_ERR(err, RB_ERR_NO_SPACE);
    trusts(1, 1, 1, 1);
    CHECK_OK(lookup_at(NOW, "a.bin"));
    CHECK_OK(refresh());
    trusts(1, 2, 2, 2);
}

TEST(a_root_that_cannot_be_stored_is_not_trusted)
{
    struct rlimit none = {10, RLIM_INFINITY};
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

    make_world();
    CHECK_OK(refresh());
    make_root(2, "ts2", "snap", "root1 root2");
    (void)signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &none) == 0);
    rb_err err = refresh();
    CHECK(setrlimit(RLIMIT_FSIZE, &all) == 0);
    CHECK_ERR(err, RB_ERR_NO_SPACE);
    trusts(1, 1, 1, 1);
}

TEST(damaged_files_are_ignored_and_fetched_again)
{
    static const char *const names[] = {"timestamp.json", "snapshot.json", "targets.json"};

    make_world();
    make_all(3);
    for (size_t n = 0; n < 3; n++) {
        CHECK_OK(refresh());
        char *path = rb_text(DIR "/%s", names[n]);
        uint8_t *good = NULL;
        size_t len = 0;
        CHECK_OK(rb_file_read(path, 1 << 20, &good, &len));
        for (size_t i = 0; i < len; i += 53) {
            good[i] ^= 0x40;
            CHECK_OK(rb_file_replace(path, good, len, 0644));
            good[i] ^= 0x40;
            struct rb_tuf_versions v = versions();
            CHECK((v.timestamp == 3 || (n == 0 && v.timestamp == 0)) && (v.snapshot == 3 || (n == 1 && v.snapshot == 0))
                  && (v.targets == 3 || (n == 2 && v.targets == 0)));
        }
        CHECK_OK(rb_file_replace(path, "", 0, 0644));
        CHECK_ERR(lookup_at(NOW, "a.bin"), RB_ERR_META_TRUST);
        CHECK_OK(refresh());
        CHECK_OK(lookup_at(NOW, "a.bin"));
        free(good);
        free(path);
    }
}

TEST(a_damaged_root_is_said_and_nothing_else_is_tried)
{
    struct rb_tuf *tuf = NULL;

    make_world();
    CHECK_OK(refresh());
    uint8_t *good = NULL;
    size_t len = 0;
    CHECK_OK(rb_file_read(DIR "/root.json", 1 << 20, &good, &len));
    CHECK_OK(rb_file_replace(DIR "/root.json", good, len / 2, 0644));
    CHECK_ERR(rb_tuf_open(DIR, NOW, &tuf), RB_ERR_META_TRUST);
    CHECK(strstr(rb_fail_detail(), "root.json") != NULL);
    CHECK_OK(rb_file_replace(DIR "/root.json", "", 0, 0644));
    CHECK_ERR(rb_tuf_open(DIR, NOW, &tuf), RB_ERR_META_TRUST);
    /* One signature of the two damaged. */
    char *sig = strstr((char *)good, "\"sig\":\"30");
    CHECK(sig != NULL);
    sig[40] = sig[40] == '0' ? '1' : '0';
    CHECK_OK(rb_file_replace(DIR "/root.json", good, len, 0644));
    CHECK_ERR(rb_tuf_open(DIR, NOW, &tuf), RB_ERR_META_TRUST);
    free(good);
}

TEST(a_damaged_time_file_counts_as_none)
{
    static const char *const bad[] = {"", "x", "-1", "1.5", "18000000000000000000000", "1800000000\n", " 1"};

    make_world();
    CHECK_OK(refresh());
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_OK(rb_file_replace(DIR "/time", bad[i], strlen(bad[i]), 0644));
        CHECK(versions().now == NOW);
    }
}
