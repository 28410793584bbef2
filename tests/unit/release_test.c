/* SPDX-License-Identifier: Apache-2.0
 *
 * Releases on the build server, and what a device makes of them.
 */
#include "lib/tuf/release.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/tuf/time.h"
#include "lib/tuf/tuf.h"
#include "server-tools/delta.h"
#include "server-tools/image.h"
#include "server-tools/publish.h"
#include "server-tools/release.h"
#include "server-tools/repo.h"
#include "server-tools/serve.h"
#include "tests/support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BODY_LEN 30000u

/* A body that changes a little with each version. */
static void
make_image(const char *path, const char *version, uint32_t counter, uint8_t affinity, const char *hardware)
{
    static uint8_t body[BODY_LEN];
    struct forge_key *key = NULL;
    uint8_t *image = NULL;
    size_t len = 0;
    uint32_t x = 1;
    const struct forge_image_spec spec = {
        .version = version,
        .hardware = {hardware},
        .hardware_count = 1,
        .security_counter = counter,
        .affinity = affinity,
    };

    for (size_t i = 0; i < sizeof body; i++) {
        x = x * 1103515245u + 12345u;
        body[i] = (uint8_t)(x >> 16);
    }
    (void)snprintf((char *)body + 100, 40, "version %s", version);
    if (!rb_file_exists("image.pem")) {
        CHECK_OK(forge_key_create_p256("image.pem"));
    }
    CHECK_OK(forge_key_open("image.pem", &key));
    CHECK_OK(forge_image_build(&spec, body, sizeof body, key, &image, &len));
    CHECK_OK(rb_file_replace(path, image, len, 0644));
    free(image);
    forge_key_free(key);
}

static void
make_repo(void)
{
    CHECK_OK(forge_repo_init("repo", &forge_repo_defaults));
}

static rb_err
release(struct forge_release_options options, json_t **out)
{
    const char *subject = NULL;
    json_t *report = NULL;

    rb_fail_clear();
    options.image_key[0] = "image.pem";
    options.image_key_count = options.image_count > 0 ? 1 : 0;
    options.effort = 1;
    options.from_last = options.from_last == 0 ? 3 : options.from_last;
    rb_err err = forge_release_create("repo", &options, &report, &subject);
    if (out != NULL) {
        *out = report;
    } else {
        json_decref(report);
    }
    return err;
}

static rb_err
release_one(const char *image)
{
    return release((struct forge_release_options){.image = {image}, .image_count = 1}, NULL);
}

static const char *
package_file(const char *name)
{
    static char path[4096];

    (void)snprintf(path, sizeof path, "%s/tests/data/rpk/%s", test_tree(), name);
    return path;
}

static rb_err
release_package(const char *name, bool force)
{
    return release((struct forge_release_options){.package = {package_file(name)}, .package_count = 1, .force = force},
                   NULL);
}

/* ---- a device's view ---- */

static rb_err
fetch(void *ctx, const char *name, void *buffer, size_t limit, size_t *len)
{
    char *path = rb_text("%s/metadata/%s", (const char *)ctx, name);
    uint8_t *data = NULL;

    rb_err err = rb_file_read(path, limit, &data, len);
    free(path);
    if (err == RB_OK) {
        memcpy(buffer, data, *len);
        free(data);
    }
    rb_fail_clear();
    return err == RB_ERR_IO_NOT_FOUND ? RB_ERR_NET_NOT_FOUND : err;
}

struct view {
    unsigned full;
    unsigned delta;
    unsigned package;
    int64_t release; /* highest */
    char names[2000];
    const char *repo;
};

static rb_err
look(void *ctx, const struct rb_tuf_target *target)
{
    struct view *view = ctx;
    struct rb_release_target t;
    uint8_t digest[RB_SHA256_LEN];
    uint64_t len = 0;
    char *below = rb_tuf_target_path(target);
    char *path = rb_text("%s/targets/%s", view->repo, below);

    CHECK_OK(rb_file_sha256(path, digest, &len)); /* what is named is there */
    CHECK(len == target->length && memcmp(digest, target->sha256, sizeof digest) == 0);
    CHECK_OK(rb_release_parse(target->custom, &t));
    if (t.kind == RB_RELEASE_PACKAGE) {
        view->package++;
    } else {
        view->delta += t.is_delta ? 1 : 0;
        view->full += t.is_delta ? 0 : 1;
        view->release = t.release > view->release ? t.release : view->release;
        struct rb_payload payload;
        uint8_t *data = NULL;
        size_t size = 0;
        CHECK_OK(rb_file_read(path, 1 << 24, &data, &size));
        CHECK_OK(rb_payload_parse(data, t.header.length, &payload));
        rb_sha256(data, t.header.length, digest);
        CHECK(memcmp(digest, t.header.sha256, sizeof digest) == 0);
        CHECK(payload.new_len == t.image.length && memcmp(payload.new_sha256, t.image.sha256, 32) == 0);
        CHECK(payload.memory == t.memory);
        CHECK(payload.old_len == (t.is_delta ? t.from.length : 0));
        free(data);
    }
    size_t used = strlen(view->names);
    (void)snprintf(view->names + used, sizeof view->names - used, "%s ", target->name);
    free(path);
    free(below);
    return RB_OK;
}

/* A new device that trusts the repository's first root. */
static struct view
device_sees(const char *repo)
{
    struct view view = {.repo = repo};
    struct rb_tuf *tuf = NULL;
    uint8_t *root = NULL;
    size_t len = 0;
    int64_t now = 0;
    const char *epoch = getenv("SOURCE_DATE_EPOCH");

    now = epoch != NULL ? strtoll(epoch, NULL, 10) : time(NULL);
    char *path = rb_text("%s/metadata/1.root.json", repo);
    CHECK_OK(rb_file_read(path, 65536, &root, &len));
    free(path);
    CHECK_OK(rb_remove_tree("device"));
    CHECK_OK(rb_tuf_init("device", root, len));
    free(root);
    CHECK_OK(rb_tuf_open("device", now, &tuf));
    CHECK_OK(rb_tuf_refresh(tuf, fetch, (void *)(uintptr_t)repo));
    CHECK_OK(rb_tuf_each_target(tuf, look, &view));
    rb_tuf_close(tuf);
    return view;
}

/* ---- releases ---- */

TEST(a_device_accepts_what_is_released_with_deltas_from_the_last_ones)
{
    make_repo();
    CHECK(device_sees("repo").full == 0);
    make_image("1", "1.0.0", 1, RB_IMAGE_ANY_SLOT, "board");
    make_image("2", "2.0.0", 2, RB_IMAGE_ANY_SLOT, "board");
    make_image("3", "3.0.0", 3, RB_IMAGE_ANY_SLOT, "board");
    CHECK_OK(release_one("1"));
    CHECK_OK(release_one("2"));
    CHECK_OK(release_one("3"));
    struct view view = device_sees("repo");
    CHECK(strcmp(view.names, "firmware/main/1.0.0-3.0.0.rbp firmware/main/1.0.0.rbp firmware/main/2.0.0-3.0.0.rbp "
                             "firmware/main/2.0.0.rbp firmware/main/3.0.0.rbp ")
          == 0);
    CHECK(view.release == 3);
}

TEST(from_last_bounds_the_deltas)
{
    make_repo();
    for (int i = 1; i <= 4; i++) {
        char version[16];
        (void)snprintf(version, sizeof version, "%d.0", i);
        make_image("i", version, 1, RB_IMAGE_ANY_SLOT, "board");
        CHECK_OK(release((struct forge_release_options){.image = {"i"}, .image_count = 1, .from_last = 2}, NULL));
    }
    struct view view = device_sees("repo");
    CHECK(view.full == 4 && view.delta == 2);
    CHECK(strstr(view.names, "3.0-4.0.rbp") != NULL && strstr(view.names, "2.0-4.0.rbp") != NULL);
}

TEST(the_same_again_is_nothing_new)
{
    json_t *report = NULL;

    make_repo();
    make_image("1", "1.0.0", 1, RB_IMAGE_ANY_SLOT, "board");
    CHECK_OK(release_one("1"));
    CHECK_OK(release((struct forge_release_options){.image = {"1"}, .image_count = 1}, &report));
    CHECK(json_array_size(json_object_get(report, "targets")) == 0);
    CHECK(json_integer_value(json_object_get(report, "timestamp")) == 2);
    json_decref(report);
}

TEST(a_version_is_released_once)
{
    make_repo();
    make_image("1", "1.0.0", 1, RB_IMAGE_ANY_SLOT, "board");
    make_image("other", "1.0.0", 2, RB_IMAGE_ANY_SLOT, "board");
    CHECK_OK(release_one("1"));
    CHECK_ERR(release_one("other"), RB_ERR_REPO_STATE);
    CHECK(device_sees("repo").release == 1);
}

TEST(a_lower_security_counter_has_to_be_meant)
{
    make_repo();
    make_image("1", "1.0.0", 5, RB_IMAGE_ANY_SLOT, "board");
    make_image("2", "2.0.0", 4, RB_IMAGE_ANY_SLOT, "board");
    make_image("3", "3.0.0", 4, RB_IMAGE_ANY_SLOT, "another-board");
    CHECK_OK(release_one("1"));
    CHECK_ERR(release_one("2"), RB_ERR_REPO_STATE);
    CHECK_OK(release_one("3")); /* other devices */
    CHECK_OK(release((struct forge_release_options){.image = {"2"}, .image_count = 1, .force = true}, NULL));
}

TEST(slots_and_components_and_boards_are_apart)
{
    make_repo();
    make_image("a", "1.0", 1, RB_IMAGE_SLOT_A, "board");
    make_image("b", "1.0", 1, RB_IMAGE_SLOT_B, "board");
    make_image("m", "1.0", 1, RB_IMAGE_ANY_SLOT, "board");
    make_image("n", "2.0", 1, RB_IMAGE_ANY_SLOT, "other");
    CHECK_OK(release((struct forge_release_options){.image = {"a", "b", "modem=m"}, .image_count = 3}, NULL));
    CHECK_OK(release((struct forge_release_options){.image = {"n"}, .image_count = 1, .component = "modem"}, NULL));
    struct view view = device_sees("repo");
    CHECK(strcmp(view.names, "firmware/main/a/1.0.rbp firmware/main/b/1.0.rbp firmware/modem/1.0.rbp "
                             "firmware/modem/2.0.rbp ")
          == 0); /* and no delta between boards */
    make_image("m2", "3.0", 1, RB_IMAGE_ANY_SLOT, "board");
    make_image("m3", "4.0", 1, RB_IMAGE_ANY_SLOT, "board");
    CHECK_ERR(release((struct forge_release_options){.image = {"m2", "m3"}, .image_count = 2}, NULL),
              RB_ERR_REPO_STATE);
}

/* Any flipped byte of an image: header, signature, table, padding, body. */
TEST(an_altered_image_is_refused)
{
    uint8_t *image = NULL;
    size_t len = 0;

    make_repo();
    make_image("1", "1.0.0", 1, RB_IMAGE_ANY_SLOT, "board");
    CHECK_OK(rb_file_read("1", 1 << 20, &image, &len));
    static const size_t at[] = {0, 4, 20, 100, 300, 447, 448, 511, 512, 600, 2000, 4095, 4096, 20000};
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        image[at[i]] ^= 1;
        CHECK_OK(rb_file_replace("bad", image, len, 0644));
        image[at[i]] ^= 1;
        rb_err err = release_one("bad");
        if (err < RB_ERR_IMAGE_MAGIC || err > RB_ERR_IMAGE_TRAILING) {
            test_fail(__FILE__, __LINE__, "byte %zu gave %s", at[i], rb_err_name(err));
        }
    }
    CHECK_OK(rb_file_replace("bad", image, len - 1, 0644));
    CHECK(release_one("bad") != RB_OK);
    CHECK_OK(rb_file_replace("bad", image, 100, 0644));
    CHECK_ERR(release_one("bad"), RB_ERR_IMAGE_SIZE);
    CHECK_OK(rb_file_replace("bad", "", 0, 0644));
    CHECK(release_one("bad") != RB_OK);
    CHECK_ERR(release_one("none"), RB_ERR_IO_NOT_FOUND);
    free(image);
    CHECK(device_sees("repo").full == 0);
}

TEST(an_image_by_another_key_is_refused)
{
    make_repo();
    make_image("1", "1.0.0", 1, RB_IMAGE_ANY_SLOT, "board");
    CHECK(rename("image.pem", "old.pem") == 0);
    CHECK_OK(forge_key_create_p256("image.pem"));
    CHECK_ERR(release_one("1"), RB_ERR_IMAGE_SIGNATURE);
}

TEST(packages_are_released_with_their_facts)
{
    make_repo();
    CHECK_OK(release_package("clock-1.0.0.rpk", false));
    CHECK_OK(release_package("clock-1.1.0.rpk", false));
    struct view view = device_sees("repo");
    CHECK(view.package == 2);
    CHECK_OK(release_package("clock-1.1.0.rpk", false)); /* nothing new */
    CHECK(device_sees("repo").package == 2);
}

TEST(packages_that_devices_would_refuse_are_refused)
{
    make_repo();
    CHECK_ERR(release_package("clock-1.1.0-unsigned.rpk", false), RB_ERR_RPK_UNSIGNED);
    CHECK_OK(release_package("clock-1.0.0.rpk", false));
    CHECK_ERR(release_package("clock-1.1.0-other-signer.rpk", false), RB_ERR_PKG_SIGNER);
    CHECK_OK(release_package("clock-1.1.0-other-signer.rpk", true));
    CHECK_ERR(release_package("clock-1.1.0.rpk", true), RB_ERR_REPO_STATE); /* the name is taken */
    CHECK(device_sees("repo").package == 2);
}

TEST(BUILD_02_what_is_verified_is_the_copy_that_is_released)
{
    struct forge_repo *repo = NULL;
    char *staged = NULL;
    uint8_t before[RB_SHA256_LEN];
    uint8_t after[RB_SHA256_LEN];

    make_repo();
    make_image("1", "1.0.0", 1, RB_IMAGE_ANY_SLOT, "board");
    CHECK_OK(forge_repo_open("repo", true, &repo));
    CHECK_OK(forge_repo_stage(repo, "1", &staged));
    CHECK_OK(rb_file_sha256(staged, before, NULL));
    int fd = open("1", O_WRONLY | O_TRUNC); /* in place, as an editor or a build would */
    CHECK(fd >= 0 && close(fd) == 0);
    CHECK_OK(rb_file_sha256(staged, after, NULL));
    CHECK(memcmp(before, after, sizeof before) == 0);
    forge_repo_close(repo);
    CHECK(!rb_file_exists(staged));
    free(staged);
}

static void
shell(const char *command)
{
    if (system(command) != 0) {
        test_fail(__FILE__, __LINE__, "%s", command);
    }
}

TEST(BUILD_01_the_same_inputs_and_time_give_the_same_bytes)
{
    CHECK(setenv("SOURCE_DATE_EPOCH", "1800000000", 1) == 0);
    make_repo();
    shell("cp -a repo fresh");
    make_image("1", "1.0.0", 1, RB_IMAGE_ANY_SLOT, "board");
    make_image("2", "2.0.0", 1, RB_IMAGE_ANY_SLOT, "board");
    for (int run = 0; run < 2; run++) {
        CHECK_OK(release_one("1"));
        CHECK_OK(release_one("2"));
        CHECK_OK(release_package("clock-1.0.0.rpk", false));
        CHECK(device_sees("repo").full == 2);
        shell(run == 0 ? "mv repo first && sleep 1.1 && cp -a fresh repo" : "diff -r first repo");
    }
}

TEST(SOURCE_DATE_EPOCH_must_be_a_number)
{
    CHECK(setenv("SOURCE_DATE_EPOCH", "yesterday", 1) == 0);
    CHECK_ERR(forge_repo_init("repo", &forge_repo_defaults), RB_ERR_ARG);
    CHECK(!rb_file_exists("repo"));
}

TEST(a_repository_that_was_tampered_with_is_not_built_upon)
{
    uint8_t *data = NULL;
    size_t len = 0;

    make_repo();
    make_image("1", "1.0.0", 1, RB_IMAGE_ANY_SLOT, "board");
    CHECK_OK(rb_file_read("repo/metadata/1.targets.json", 1 << 20, &data, &len));
    char *expires = strstr((char *)data, "\"expires\":\"2");
    CHECK(expires != NULL);
    expires[11] = '3';
    CHECK_OK(rb_file_replace("repo/metadata/1.targets.json", data, len, 0644));
    free(data);
    CHECK_ERR(release_one("1"), RB_ERR_META_SIGNATURE);
}

TEST(a_key_that_root_does_not_name_signs_nothing)
{
    make_repo();
    make_image("1", "1.0.0", 1, RB_IMAGE_ANY_SLOT, "board");
    CHECK(unlink("repo/keys/snapshot.pem") == 0);
    CHECK_OK(forge_key_create_p256("repo/keys/snapshot.pem"));
    CHECK_ERR(release_one("1"), RB_ERR_REPO_STATE);
    CHECK(device_sees("repo").full == 0);
}

TEST(a_damaged_kept_image_is_not_used_for_deltas)
{
    make_repo();
    make_image("1", "1.0.0", 1, RB_IMAGE_ANY_SLOT, "board");
    make_image("2", "2.0.0", 1, RB_IMAGE_ANY_SLOT, "board");
    CHECK_OK(release_one("1"));
    shell("f=$(ls repo/images/*.img) && printf x | dd of=$f bs=1 seek=5000 conv=notrunc status=none");
    CHECK_ERR(release_one("2"), RB_ERR_REPO_STATE);
    CHECK(device_sees("repo").release == 1);
    shell("rm repo/images/*.img");
    CHECK_OK(release_one("2")); /* without the delta */
    CHECK(device_sees("repo").delta == 0);
}

TEST(thresholds_of_root_hold_from_the_first_root_on)
{
    struct forge_repo_options options = forge_repo_defaults;

    options.root_keys = 3;
    options.root_threshold = 2;
    CHECK_OK(forge_repo_init("repo", &options));
    CHECK(device_sees("repo").full == 0);
    options.root_threshold = 4;
    CHECK_ERR(forge_repo_init("other", &options), RB_ERR_ARG);
    CHECK_ERR(forge_repo_init("repo", &forge_repo_defaults), RB_ERR_IO_EXISTS);
    struct stat st;
    CHECK(stat("repo/keys", &st) == 0 && (st.st_mode & 07777) == 0700);
    CHECK(stat("repo/keys/root1.pem", &st) == 0 && (st.st_mode & 07777) == 0600);
}

TEST(refresh_makes_a_newer_timestamp_with_a_later_expiry)
{
    struct forge_repo *repo = NULL;

    CHECK(setenv("SOURCE_DATE_EPOCH", "1800000000", 1) == 0);
    make_repo();
    CHECK(setenv("SOURCE_DATE_EPOCH", "1802000000", 1) == 0);
    CHECK_OK(forge_repo_open("repo", true, &repo));
    CHECK_OK(forge_repo_refresh(repo, false));
    CHECK(forge_repo_meta(repo, RB_META_TIMESTAMP)->version == 2);
    CHECK(forge_repo_meta(repo, RB_META_SNAPSHOT)->version == 1);
    CHECK(forge_repo_meta(repo, RB_META_TIMESTAMP)->expires == 1802000000 + 30 * 86400);
    CHECK_OK(forge_repo_refresh(repo, true));
    CHECK(forge_repo_meta(repo, RB_META_TARGETS)->version == 2);
    forge_repo_close(repo);
    CHECK(device_sees("repo").full == 0);
}

/* ---- publish ---- */

TEST(what_is_published_is_what_devices_may_see)
{
    struct forge_publish_report report;

    make_repo();
    make_image("1", "1.0.0", 1, RB_IMAGE_ANY_SLOT, "board");
    CHECK_OK(release_one("1"));
    CHECK_OK(forge_publish("repo", "web", &report));
    CHECK(report.copied == 5);
    CHECK(device_sees("web").full == 1);
    shell("test \"$(ls web | tr '\\n' ' ')\" = 'metadata targets '");
    shell("! grep -rl PRIVATE web");
    CHECK_OK(forge_publish("repo", "web", &report));
    CHECK(report.copied == 0 && report.unchanged == 5);
    make_image("2", "2.0.0", 1, RB_IMAGE_ANY_SLOT, "board");
    CHECK_OK(release_one("2"));
    CHECK_OK(forge_publish("repo", "web", &report));
    CHECK(report.copied == 5 && report.unchanged == 2); /* full, delta, three metadata files */
    CHECK(device_sees("web").full == 2);
}

TEST(an_older_or_another_repository_is_not_published_over_a_newer_one)
{
    struct forge_publish_report report;

    make_repo();
    shell("cp -a repo older");
    make_image("1", "1.0.0", 1, RB_IMAGE_ANY_SLOT, "board");
    CHECK_OK(release_one("1"));
    CHECK_OK(forge_publish("repo", "web", &report));
    CHECK_ERR(forge_publish("older", "web", &report), RB_ERR_REPO_STATE);
    rb_fail_clear();
    CHECK_OK(forge_repo_init("another", &forge_repo_defaults));
    CHECK_ERR(forge_publish("another", "web", &report), RB_ERR_REPO_STATE);
    CHECK(device_sees("web").full == 1);
}

TEST(a_damaged_blob_is_not_published)
{
    struct forge_publish_report report;

    make_repo();
    make_image("1", "1.0.0", 1, RB_IMAGE_ANY_SLOT, "board");
    CHECK_OK(forge_publish("repo", "web", &report));
    CHECK_OK(release_one("1"));
    shell("f=$(find repo/targets -type f) && printf x | dd of=$f bs=1 seek=500 conv=notrunc status=none");
    CHECK_ERR(forge_publish("repo", "web", &report), RB_ERR_TARGET_HASH);
    CHECK(device_sees("web").full == 0); /* as it was */
}

TEST(publishing_elsewhere_than_to_a_directory_is_refused)
{
    struct forge_publish_report report;

    make_repo();
    CHECK_ERR(forge_publish("repo", "s3://bucket/x", &report), RB_ERR_ARG);
    CHECK_ERR(forge_publish("repo", "host:/srv/www", &report), RB_ERR_ARG);
    CHECK(!rb_file_exists("s3:"));
}

/* ---- ranges ---- */

TEST(ranges_are_read_as_rfc_9110_says)
{
    static const struct {
        const char *header;
        uint64_t len;
        enum forge_range want;
        uint64_t first;
        uint64_t count;
    } cases[] = {
        {NULL, 10, FORGE_RANGE_WHOLE, 0, 0},
        {"bytes=0-9", 10, FORGE_RANGE_PART, 0, 10},
        {"bytes=0-0", 10, FORGE_RANGE_PART, 0, 1},
        {"bytes=9-", 10, FORGE_RANGE_PART, 9, 1},
        {"bytes=3-5", 10, FORGE_RANGE_PART, 3, 3},
        {"bytes=3-500", 10, FORGE_RANGE_PART, 3, 7},
        {"bytes=3-99999999999999999999999999", 10, FORGE_RANGE_PART, 3, 7},
        {"bytes=-3", 10, FORGE_RANGE_PART, 7, 3},
        {"bytes=-30", 10, FORGE_RANGE_PART, 0, 10},
        {"bytes=10-", 10, FORGE_RANGE_NONE, 0, 0},
        {"bytes=99999999999999999999999999-", 10, FORGE_RANGE_NONE, 0, 0},
        {"bytes=-0", 10, FORGE_RANGE_NONE, 0, 0},
        {"bytes=0-", 0, FORGE_RANGE_NONE, 0, 0},
        {"bytes=5-3", 10, FORGE_RANGE_WHOLE, 0, 0},
        {"bytes=0-1,3-4", 10, FORGE_RANGE_WHOLE, 0, 0},
        {"bytes=", 10, FORGE_RANGE_WHOLE, 0, 0},
        {"bytes=-", 10, FORGE_RANGE_WHOLE, 0, 0},
        {"bytes=a-b", 10, FORGE_RANGE_WHOLE, 0, 0},
        {"bytes= 0-1", 10, FORGE_RANGE_WHOLE, 0, 0},
        {"bytes=0-1x", 10, FORGE_RANGE_WHOLE, 0, 0},
        {"items=0-1", 10, FORGE_RANGE_WHOLE, 0, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t first = 0;
        uint64_t count = 0;
        enum forge_range got = forge_range_parse(cases[i].header, cases[i].len, &first, &count);
        if (got != cases[i].want
            || (got == FORGE_RANGE_PART && (first != cases[i].first || count != cases[i].count))) {
            test_fail(__FILE__, __LINE__, "%s", cases[i].header);
        }
    }
}

/* ---- facts ---- */

TEST(facts_go_there_and_back)
{
    struct rb_release_target t = {
        .kind = RB_RELEASE_PAYLOAD,
        .release = 7,
        .component = "main",
        .version = "2.0.0",
        .hardware_count = 2,
        .hardware = {"board", "board-b"},
        .security_counter = 4294967295u,
        .affinity = RB_IMAGE_SLOT_B,
        .image = {.length = 5000},
        .is_delta = true,
        .from = {.length = 4000, .version = "1.0.0"},
        .header = {.length = 232},
        .memory = 65536,
    };
    struct rb_release_target back;
    json_t *custom = NULL;

    memset(t.image.sha256, 1, 32);
    memset(t.image.digest, 2, 32);
    memset(t.from.sha256, 3, 32);
    memset(t.header.sha256, 4, 32);
    CHECK_OK(rb_release_encode(&t, &custom));
    CHECK_OK(rb_release_parse(custom, &back));
    CHECK(back.release == 7 && back.security_counter == 4294967295u && back.affinity == RB_IMAGE_SLOT_B
          && back.is_delta && back.image.length == 5000 && back.from.length == 4000 && back.memory == 65536);
    CHECK(memcmp(back.image.sha256, t.image.sha256, 32) == 0 && memcmp(back.image.digest, t.image.digest, 32) == 0
          && memcmp(back.from.sha256, t.from.sha256, 32) == 0 && memcmp(back.header.sha256, t.header.sha256, 32) == 0);
    CHECK(rb_release_fits_hardware(&back, "board-b"));
    CHECK(!rb_release_fits_hardware(&back, "board-")); /* whole ids */
    CHECK(!rb_release_fits_hardware(&back, "board-bc"));
    json_decref(custom);
    t.version = "2 0";
    CHECK_ERR(rb_release_encode(&t, &custom), RB_ERR_META_FORMAT);
}

TEST(a_target_without_facts_is_refused)
{
    struct rb_release_target t;

    CHECK_ERR(rb_release_parse(NULL, &t), RB_ERR_META_FORMAT);
}
