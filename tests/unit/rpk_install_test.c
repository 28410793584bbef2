/* SPDX-License-Identifier: Apache-2.0
 *
 * librpk on a device that is a directory: what may be installed, what is on the disk afterwards.
 */
#include "tests/support/package.h"
#include "tests/support/test.h"

#include "lib/core/bytes.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct rb_settings
device(void)
{
    struct rb_settings s = {.state_dir = rb_text("state"), .package_dir = rb_text("state/apps")};

    s.device_type = rb_text("watch-round");
    s.arch = rb_text("aarch64");
    return s;
}

static void
trust_native(struct rb_settings *s, const char *key)
{
    struct forge_rpk_signer signer = test_signer(key);

    rb_sha256(signer.certificate, signer.certificate_len, s->native_signer[s->native_signer_count++]);
    forge_rpk_signer_close(&signer);
}

static rb_err
add(struct rpk_plan *plan, const char *path, const struct rpk_expected *expected)
{
    struct rpk_file *file;

    RB_TRY(rpk_file_open_path(path, 0, &file));
    rb_err err = rpk_plan_install(plan, file, expected);
    if (err != RB_OK) {
        rpk_file_close(file);
    }
    return err;
}

/* One transaction that installs the given files and removes the given packages; each list ends with NULL. */
static rb_err
change(const struct rb_settings *s, const char *const *install, const char *const *remove)
{
    struct rpk *rpk;

    rb_fail_clear();
    RB_TRY(rpk_open(s, RPK_WRITE, "a test", &rpk));
    struct rpk_plan *plan = rpk_plan_new(rpk);
    rb_err err = RB_OK;
    for (; err == RB_OK && install != NULL && *install != NULL; install++) {
        err = add(plan, *install, NULL);
    }
    for (; err == RB_OK && remove != NULL && *remove != NULL; remove++) {
        err = rpk_plan_remove(plan, *remove);
    }
    if (err == RB_OK) {
        err = rpk_plan_check(plan);
    }
    if (err == RB_OK) {
        err = rpk_plan_commit(plan);
    }
    rpk_plan_free(plan);
    rpk_close(rpk);
    return err;
}

static rb_err
install(const struct rb_settings *s, const char *path)
{
    const char *const list[] = {path, NULL};

    return change(s, list, NULL);
}

static rb_err
uninstall(const struct rb_settings *s, const char *package)
{
    const char *const list[] = {package, NULL};

    return change(s, NULL, list);
}

static rb_err
count_one(void *ctx, const struct rpk_installed *p)
{
    unsigned *count = ctx;

    CHECK(p->file_count > 0 && p->size > 0);
    (*count)++;
    return RB_OK;
}

static unsigned
installed_count(const struct rb_settings *s)
{
    struct rpk *rpk;
    unsigned count = 0;

    rb_fail_clear();
    CHECK_OK(rpk_open(s, RPK_READ, "a test", &rpk));
    CHECK_OK(rpk_each(rpk, NULL, count_one, &count));
    rpk_close(rpk);
    return count;
}

static bool
exists(const char *path)
{
    return rb_file_exists(path);
}

static ino_t
inode_of(const char *path)
{
    struct stat st;

    CHECK(stat(path, &st) == 0);
    return st.st_ino;
}

#define APPS "state/apps/current/"
#define QUICK(package, code) "{\"package\":\"" package "\",\"versionCode\":" code "}"

TEST(files_that_did_not_change_are_linked)
{
    struct rb_settings s = device();

    test_package("1.rpk", "release", "manifest.json", QUICK("org.a", "1"), "app.js", "one", "same.js", "same", NULL);
    test_package("2.rpk", "release", "manifest.json", QUICK("org.a", "2"), "app.js", "two", "same.js", "same", NULL);
    CHECK_OK(install(&s, "1.rpk"));
    ino_t same = inode_of(APPS "org.a/same.js");
    ino_t app = inode_of(APPS "org.a/app.js");
    CHECK_OK(install(&s, "2.rpk"));
    CHECK(inode_of(APPS "org.a/same.js") == same);
    CHECK(inode_of(APPS "org.a/app.js") != app);
    rb_settings_free(&s);
}

/* What flash has damaged since is written anew from the package, not carried on. */
TEST(damaged_files_are_not_linked)
{
    struct rb_settings s = device();
    uint8_t *text;
    size_t len;

    test_package("1.rpk", "release", "manifest.json", QUICK("org.a", "1"), "same.js", "same", NULL);
    test_package("2.rpk", "release", "manifest.json", QUICK("org.a", "2"), "same.js", "same", NULL);
    CHECK_OK(install(&s, "1.rpk"));
    int fd = open(APPS "org.a/same.js", O_WRONLY);
    CHECK(fd >= 0 && write(fd, "SAME", 4) == 4);
    (void)close(fd);
    CHECK_OK(install(&s, "2.rpk"));
    CHECK_OK(rb_file_read(APPS "org.a/same.js", 100, &text, &len));
    CHECK(len == 4 && memcmp(text, "same", 4) == 0);
    free(text);
    rb_settings_free(&s);
}

TEST(data_lives_through_upgrades_and_goes_with_the_package)
{
    struct rb_settings s = device();

    test_package("1.rpk", "release", "manifest.json", QUICK("org.a", "1"), NULL);
    test_package("2.rpk", "release", "manifest.json", QUICK("org.a", "2"), NULL);
    CHECK_OK(install(&s, "1.rpk"));
    CHECK_OK(rb_file_replace("state/apps/data/org.a/files/note", "x", 1, 0600));
    CHECK_OK(install(&s, "2.rpk"));
    CHECK(exists("state/apps/data/org.a/files/note"));
    CHECK_OK(uninstall(&s, "org.a"));
    CHECK(!exists("state/apps/data/org.a"));
    CHECK(!exists("state/trust/pins/org.a"));
    CHECK(installed_count(&s) == 0);
    rb_settings_free(&s);
}

TEST(the_generation_before_is_kept_and_no_more)
{
    struct rb_settings s = device();

    for (int code = 1; code <= 4; code++) {
        char *manifest = rb_text("{\"package\":\"org.a\",\"versionCode\":%d}", code);
        test_package("a.rpk", "release", "manifest.json", manifest, NULL);
        CHECK_OK(install(&s, "a.rpk"));
        free(manifest);
    }
    CHECK(!exists("state/apps/gen/1") && !exists("state/apps/gen/2"));
    CHECK(exists("state/apps/gen/3/org.a/manifest.json") && exists("state/apps/gen/4/org.a/manifest.json"));
    rb_settings_free(&s);
}

TEST(signer_is_pinned_and_order_is_kept)
{
    struct rb_settings s = device();

    test_package("2.rpk", "release", "manifest.json", QUICK("org.a", "2"), NULL);
    test_package("1.rpk", "release", "manifest.json", QUICK("org.a", "1"), NULL);
    test_package("3.rpk", "other", "manifest.json", QUICK("org.a", "3"), NULL);
    test_package("2b.rpk", "release", "manifest.json", QUICK("org.a", "2"), "new.js", "x", NULL);
    CHECK_OK(install(&s, "2.rpk"));
    CHECK_ERR(install(&s, "1.rpk"), RB_ERR_PKG_DOWNGRADE);
    CHECK_ERR(install(&s, "3.rpk"), RB_ERR_PKG_SIGNER);
    CHECK(!exists(APPS "org.a/new.js"));
    CHECK_OK(install(&s, "2b.rpk")); /* the same versionCode again */
    CHECK(exists(APPS "org.a/new.js"));
    CHECK_OK(uninstall(&s, "org.a"));
    CHECK_OK(install(&s, "3.rpk"));
    rb_settings_free(&s);
}

TEST(same_package_again_is_nothing_to_do)
{
    struct rb_settings s = device();
    struct rpk *rpk;

    test_package("1.rpk", "release", "manifest.json", QUICK("org.a", "1"), NULL);
    CHECK_OK(install(&s, "1.rpk"));
    CHECK_OK(install(&s, "1.rpk"));
    CHECK_OK(rpk_open(&s, RPK_READ, "a test", &rpk));
    CHECK(rpk_generation_live(rpk) == 1);
    rpk_close(rpk);
    rb_settings_free(&s);
}

TEST(one_bad_package_keeps_all_out)
{
    struct rb_settings s = device();
    const char *const both[] = {"a.rpk", "tv.rpk", NULL};

    test_package("a.rpk", "release", "manifest.json", QUICK("org.a", "1"), NULL);
    test_package("tv.rpk", "release", "manifest.json", "{\"package\":\"org.tv\",\"deviceTypeList\":[\"tv\"]}", NULL);
    CHECK_ERR(change(&s, both, NULL), RB_ERR_PKG_DEVICE_TYPE);
    CHECK(installed_count(&s) == 0);
    rb_settings_free(&s);
}

TEST(device_types)
{
    CHECK(rpk_device_type_fits("watch", "watch-round") && rpk_device_type_fits("watch-round", "watch-round"));
    CHECK(rpk_device_type_fits("watch", "watch") && rpk_device_type_fits("tv", NULL));
    CHECK(!rpk_device_type_fits("watch-round", "watch") && !rpk_device_type_fits("watch-square", "watch-round"));
    CHECK(!rpk_device_type_fits("wat", "watch") && !rpk_device_type_fits("", "watch"));
}

/* What the signed repository says of a file must be so. */
TEST(file_is_not_what_was_promised)
{
    struct rb_settings s = device();
    static const uint8_t other[32] = {1};
    struct rpk *rpk;

    test_package("1.rpk", "release", "manifest.json", QUICK("org.a", "1"), NULL);
    CHECK_OK(rpk_open(&s, RPK_WRITE, "a test", &rpk));
    const struct rpk_expected wrong[] = {
        {.package = "org.b", .version_code = 1}, {.package = "org.a", .version_code = 2},
        {.package = "org.a", .version_code = 0}, {.package = "org.a", .version_code = 1, .signer = other}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct rpk_plan *plan = rpk_plan_new(rpk);
        rb_fail_clear();
        CHECK_ERR(add(plan, "1.rpk", &wrong[i]), RB_ERR_PKG_TARGET);
        rpk_plan_free(plan);
    }
    struct rpk_plan *plan = rpk_plan_new(rpk);
    const struct rpk_expected good = {.package = "org.a", .version_code = 1};
    CHECK_OK(add(plan, "1.rpk", &good));
    CHECK_ERR(add(plan, "1.rpk", &good), RB_ERR_PKG_TWICE);
    rpk_plan_free(plan);
    rpk_close(rpk);
    rb_settings_free(&s);
}

/* ---- native packages ---- */

#define NATIVE(package, native) "{\"package\":\"" package "\",\"versionCode\":1,\"native\":" native "}"

TEST(native_packages_need_a_named_signer_and_the_architecture)
{
    struct rb_settings s = device();
    struct stat st;

    test_package("n.rpk", "release", "manifest.json",
                 NATIVE("org.n", "{\"arch\":\"aarch64\",\"modes\":{\"bin/n\":\"0755\",\"key\":\"0400\"}}"),
                 "bin/n", "#!", "key", "k", "plain", "p", NULL);
    test_package("arm.rpk", "release", "manifest.json", NATIVE("org.n", "{\"arch\":\"arm\"}"), NULL);
    test_package("any.rpk", "release", "manifest.json", NATIVE("org.m", "{\"arch\":\"any\"}"), NULL);
    CHECK_ERR(install(&s, "n.rpk"), RB_ERR_PKG_NATIVE_SIGNER);
    trust_native(&s, "other");
    CHECK_ERR(install(&s, "n.rpk"), RB_ERR_PKG_NATIVE_SIGNER);
    trust_native(&s, "release");
    CHECK_ERR(install(&s, "arm.rpk"), RB_ERR_PKG_ARCH);
    CHECK(installed_count(&s) == 0);
    CHECK_OK(install(&s, "n.rpk"));
    CHECK_OK(install(&s, "any.rpk"));
    CHECK(stat(APPS "org.n/bin/n", &st) == 0 && (st.st_mode & 07777) == 0755);
    CHECK(stat(APPS "org.n/key", &st) == 0 && (st.st_mode & 07777) == 0400);
    CHECK(stat(APPS "org.n/plain", &st) == 0 && (st.st_mode & 07777) == 0644);
    free(s.arch);
    s.arch = NULL;
    CHECK_ERR(install(&s, "arm.rpk"), RB_ERR_PKG_ARCH);
    rb_settings_free(&s);
}

TEST(native_part_names_files_of_the_package)
{
    static const char *const bad[] = {
        NATIVE("org.n", "{\"arch\":\"any\",\"modes\":{\"bin/missing\":\"0755\"}}"),
        NATIVE("org.n", "{\"arch\":\"any\",\"services\":[{\"name\":\"s\",\"exec\":[\"missing\"]}]}"),
        NATIVE("org.n", "{\"arch\":\"any\",\"hooks\":{\"post-install\":\"missing\"}}"),
        NATIVE("org.n", "{\"arch\":\"any\",\"modes\":{\"bin\":\"0755\"}}"), /* a directory */
        NATIVE("org.n", "{\"arch\":\"any\",\"script\":\"x\"}"),
        NATIVE("org.n", "null"),
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct rpk_file *file;
        test_package("n.rpk", "release", "manifest.json", bad[i], "bin/n", "#!", NULL);
        CHECK_ERR(rpk_file_open_path("n.rpk", 0, &file), RB_ERR_RPK_MANIFEST);
        rb_fail_clear();
    }
}

TEST(dependencies_and_conflicts)
{
    struct rb_settings s = device();
    const char *const both[] = {"app.rpk", "lib.rpk", NULL};
    const char *const remove_both[] = {"org.lib", "org.app", NULL};
    const char *const swap_in[] = {"lib2.rpk", NULL};
    const char *const swap_out[] = {"org.lib", NULL};

    trust_native(&s, "release");
    test_package("app.rpk", "release", "manifest.json",
                 NATIVE("org.app", "{\"arch\":\"any\",\"depends\":[\"tls\"]}"), NULL);
    test_package("lib.rpk", "release", "manifest.json",
                 NATIVE("org.lib", "{\"arch\":\"any\",\"provides\":[\"tls\"]}"), NULL);
    test_package("lib2.rpk", "release", "manifest.json",
                 NATIVE("org.lib2", "{\"arch\":\"any\",\"provides\":[\"tls\"],\"conflicts\":[\"org.lib\"]}"), NULL);
    test_package("self.rpk", "release", "manifest.json",
                 NATIVE("org.self", "{\"arch\":\"any\",\"provides\":[\"x\"],\"conflicts\":[\"x\"],"
                                    "\"depends\":[\"org.self\"]}"),
                 NULL);
    CHECK_ERR(install(&s, "app.rpk"), RB_ERR_PKG_DEPENDS);
    CHECK_OK(change(&s, both, NULL));
    CHECK_ERR(uninstall(&s, "org.lib"), RB_ERR_PKG_DEPENDS);
    CHECK_ERR(install(&s, "lib2.rpk"), RB_ERR_PKG_CONFLICT);
    CHECK_OK(change(&s, swap_in, swap_out)); /* one goes, the other comes, in one transaction */
    CHECK_OK(change(&s, swap_out + 1, swap_out + 1));
    CHECK_OK(install(&s, "self.rpk"));
    CHECK(installed_count(&s) == 3);
    CHECK_ERR(change(&s, NULL, remove_both), RB_ERR_PKG_NOT_INSTALLED);
    rb_settings_free(&s);
}

/* ---- text from strangers ---- */

static rb_err
take_name(void *ctx, const struct rpk_installed *p)
{
    char **name = ctx;

    *name = rb_text("%s", p->name);
    return RB_OK;
}

TEST(JSON_12_sql_and_format_text_in_a_manifest)
{
    struct rb_settings s = device();
    static const char name[] = "'); DROP TABLE member; -- %n%s\\u001b[2J\\n";
    char *manifest = rb_text("{\"package\":\"org.a\",\"name\":\"%s\","
                             "\"permissions\":[{\"name\":\"x' OR 1=1\"}]}", name);
    struct rpk *rpk;
    char *got = NULL;

    test_package("a.rpk", "release", "manifest.json", manifest, NULL);
    CHECK_OK(install(&s, "a.rpk"));
    CHECK_OK(rpk_open(&s, RPK_READ, "a test", &rpk));
    CHECK_OK(rpk_each(rpk, "org.a", take_name, &got));
    CHECK(strcmp(got, "'); DROP TABLE member; -- %n%s\033[2J\n") == 0);
    CHECK_ERR(rpk_each(rpk, "org.a' OR '1'='1", take_name, &got), RB_ERR_PKG_NOT_INSTALLED);
    rpk_close(rpk);
    free(got);
    free(manifest);
    rb_settings_free(&s);
}

static rb_err
manifest(const char *text)
{
    struct rpk_manifest m;
    rb_err err = rpk_manifest_parse(text, strlen(text), &m);

    rb_fail_clear();
    if (err == RB_OK) {
        rpk_manifest_free(&m);
    }
    return err;
}

TEST(manifests_good_and_bad)
{
    static const char *const good[] = {
        "{\"package\":\"a\"}",
        "{\"package\":\"a\",\"versionCode\":0}",
        "{\"package\":\"a\",\"versionCode\":\"12\"}",
        "{\"package\":\"a\",\"versionCode\":2147483647}",
        "{\"package\":\"A_b-c.D9\",\"permissions\":[{\"origin\":\"*\"},\"x\",7,{}],\"features\":null}",
        "{\"package\":\"a\",\"deviceTypeList\":[],\"minPlatformVersion\":\"x\"}",
    };
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"package\":7}",
        "{\"package\":\"\"}",
        "{\"package\":\".a\"}",
        "{\"package\":\"a..b\"}",
        "{\"package\":\"a.\"}",
        "{\"package\":\"a/b\"}",
        "{\"package\":\"-a\"}",
        "{\"package\":\"a\",\"package\":\"b\"}",
        "{\"package\":\"a\"} {}",
        "\xef\xbb\xbf{\"package\":\"a\"}",
        "{\"package\":\"a\",\"versionCode\":-1}",
        "{\"package\":\"a\",\"versionCode\":1.5}",
        "{\"package\":\"a\",\"versionCode\":2147483648}",
        "{\"package\":\"a\",\"versionCode\":18446744073709551616}",
        "{\"package\":\"a\",\"versionCode\":\"-1\"}",
        "{\"package\":\"a\",\"versionCode\":\"1e3\"}",
        "{\"package\":\"a\",\"versionCode\":\"99999999999\"}",
        "{\"package\":\"a\",\"versionCode\":true}",
        "{\"package\":\"a\",\"versionCode\":01}",
        "{\"package\":\"a\",\"name\":7}",
        "{\"package\":\"a\",\"name\":\"\\ud800\"}",
        "{\"package\":\"a\",\"name\":\"\\u0000\"}",
        "{\"package\":\"a\",\"versionName\":1.0}",
        "{\"package\":\"a\",\"versionName\":"
        "\"0123456789012345678901234567890123456789012345678901234567890123456789\"}",
        "{\"package\":\"a\",\"permissions\":\"all\"}",
        "{\"package\":\"a\",\"native\":true}",
    };

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        CHECK_OK(manifest(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (manifest(bad[i]) != RB_ERR_RPK_MANIFEST) {
            test_fail(__FILE__, __LINE__, "accepted: %s", bad[i]);
        }
    }
    char *longest = rb_text("{\"package\":\"%0128d\"}", 1);
    char *longer = rb_text("{\"package\":\"%0129d\"}", 1);
    CHECK_OK(manifest(longest));
    CHECK_ERR(manifest(longer), RB_ERR_RPK_MANIFEST);
    free(longest);
    free(longer);
}

/* ---- the disk ---- */

/* FAULT-02: a file system with no room. RLIMIT_FSIZE stands for it: writes end with EFBIG, which counts as full. */
TEST(FAULT_02_full_disk_leaves_the_old_set)
{
    struct rb_settings s = device();
    char *big = rb_alloc(300001);
    struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};

    memset(big, 'x', 300000);
    test_package("1.rpk", "release", "manifest.json", QUICK("org.a", "1"), "app.js", "one", NULL);
    test_package("2.rpk", "release", "manifest.json", QUICK("org.a", "2"), "app.js", "two", "big", big, NULL);
    CHECK_OK(install(&s, "1.rpk"));
    (void)signal(SIGXFSZ, SIG_IGN);
    CHECK(getrlimit(RLIMIT_FSIZE, &unlimited) == 0);
    struct rlimit limit = {200000, unlimited.rlim_max};
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    CHECK_ERR(install(&s, "2.rpk"), RB_ERR_NO_SPACE);
    CHECK(installed_count(&s) == 1);
    CHECK(!exists("state/apps/gen/2") && !exists("state/apps/gen/2.part"));
    CHECK(!exists(APPS "org.a/big"));
    limit.rlim_cur = unlimited.rlim_max;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    CHECK_OK(install(&s, "2.rpk"));
    CHECK(exists(APPS "org.a/big"));
    free(big);
    rb_settings_free(&s);
}

/* ZIP-16: a link planted in the tree does not lead an installation out of it. */
TEST(ZIP_16_planted_links)
{
    struct rb_settings s = device();

    test_package("1.rpk", "release", "manifest.json", QUICK("org.a", "1"), "dir/file", "one", NULL);
    test_package("2.rpk", "release", "manifest.json", QUICK("org.a", "2"), "dir/file", "two", NULL);
    CHECK_OK(install(&s, "1.rpk"));
    CHECK(mkdir("outside", 0755) == 0);
    char link[256];
    ssize_t len = readlink("state/apps/gen/1/org.a", link, sizeof link - 1);
    CHECK(len > 0);
    CHECK_OK(rb_remove_tree(APPS "org.a/dir"));
    CHECK(symlink("../../../../../../outside", APPS "org.a/dir") == 0);
    CHECK_OK(install(&s, "2.rpk"));
    CHECK(!exists("outside/file") && exists(APPS "org.a/dir/file"));
    rb_settings_free(&s);
}

TEST(LOCAL_04_directories_that_others_may_write)
{
    struct rb_settings s = device();
    struct rpk *rpk;

    CHECK_OK(rb_make_dirs("state/apps", 0755));
    CHECK(chmod("state", 0777) == 0);
    CHECK_ERR(rpk_open(&s, RPK_WRITE, "a test", &rpk), RB_ERR_IO_PERMISSION);
    rb_fail_clear();
    CHECK(chmod("state", 0755) == 0 && rename("state/apps", "elsewhere") == 0);
    CHECK(symlink("../elsewhere", "state/apps") == 0);
    CHECK_ERR(rpk_open(&s, RPK_READ, "a test", &rpk), RB_ERR_IO_PERMISSION);
    rb_settings_free(&s);
}
