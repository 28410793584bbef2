/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/host/settings.h"
#include "tests/support/test.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static rb_err
parse(const char *text, struct rb_settings *s)
{
    rb_fail_clear();
    return rb_settings_parse("/r", text, strlen(text), s);
}

static unsigned
each_example(const char *kind, rb_err want)
{
    char *dir = rb_text("%s/manifests/examples/settings/%s", test_tree(), kind);
    unsigned count = 0;
    DIR *d = opendir(dir);

    CHECK(d != NULL);
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        uint8_t *text = NULL;
        size_t len = 0;
        struct rb_settings s;
        if (e->d_name[0] == '.') {
            continue;
        }
        char *path = rb_text("%s/%s", dir, e->d_name);
        CHECK_OK(rb_file_read(path, 1 << 20, &text, &len));
        rb_fail_clear();
        rb_err err = rb_settings_parse("", text, len, &s);
        if (err != want) {
            test_fail(__FILE__, __LINE__, "%s gives %s", path, rb_err_name(err));
        }
        CHECK(err == RB_OK || rb_fail_detail()[0] != '\0');
        if (err == RB_OK) {
            rb_settings_free(&s);
        }
        free(text);
        free(path);
        count++;
    }
    (void)closedir(d);
    free(dir);
    return count;
}

TEST(settings_examples)
{
    CHECK(each_example("valid", RB_OK) >= 5);
    CHECK(each_example("invalid", RB_ERR_AGENT_SETTINGS) >= 20);
}

TEST(settings_defaults)
{
    struct rb_settings s;

    CHECK_OK(parse("{\"hardware\": \"board-1\"}", &s));
    CHECK(strcmp(s.root, "/r") == 0 && strcmp(s.hardware, "board-1") == 0 && strcmp(s.component, "main") == 0);
    CHECK(s.device_type == NULL && s.arch == NULL && s.repository_url == NULL && s.ca_file == NULL);
    CHECK(strcmp(s.state_dir, "/r/var/lib/riverbank") == 0);
    CHECK(strcmp(s.flash_path, "/r/var/lib/riverbank/flash.img") == 0);
    CHECK(strcmp(s.boot_report_path, "/r/var/lib/riverbank/flash.img.boot") == 0);
    CHECK(strcmp(s.package_dir, "/r/var/lib/riverbank/apps") == 0);
    CHECK(s.tries == 3 && s.decoder_memory == 1 << 20 && s.poll_interval_s == 3600);
    CHECK(s.health == RB_HEALTH_PROGRAM && s.health_deadline_s == 60 && s.health_command[0] == NULL);
    CHECK(s.native_signer_count == 0 && !s.developer_mode);
    rb_settings_free(&s);
}

TEST(settings_every_field_arrives)
{
    struct rb_settings s;

    CHECK_OK(parse("{\"hardware\":\"b\",\"component\":\"radio\",\"device_type\":\"watch\",\"arch\":\"arm\","
                   "\"repository_url\":\"https://u.example/r/\",\"ca_file\":\"/etc/ca.pem\",\"flash_path\":\"/dev/f\","
                   "\"boot_report_path\":\"/run/boot\",\"state_dir\":\"/state\",\"package_dir\":\"/apps\",\"tries\":7,"
                   "\"decoder_memory\":70000,\"poll_interval_s\":9,\"health\":{\"command\":\"/bin/h\",\"arguments\":"
                   "[\"-a\",\"b c\"],\"deadline_s\":8},\"native_signers\":[\""
                   "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\"],\"developer_mode\":true}",
                   &s));
    CHECK(strcmp(s.component, "radio") == 0 && strcmp(s.device_type, "watch") == 0 && strcmp(s.arch, "arm") == 0);
    CHECK(strcmp(s.repository_url, "https://u.example/r/") == 0 && strcmp(s.ca_file, "/r/etc/ca.pem") == 0);
    CHECK(strcmp(s.flash_path, "/r/dev/f") == 0 && strcmp(s.boot_report_path, "/r/run/boot") == 0);
    CHECK(strcmp(s.state_dir, "/r/state") == 0 && strcmp(s.package_dir, "/r/apps") == 0);
    CHECK(s.tries == 7 && s.decoder_memory == 70000 && s.poll_interval_s == 9);
    CHECK(s.health == RB_HEALTH_COMMAND && s.health_deadline_s == 8);
    CHECK(strcmp(s.health_command[0], "/bin/h") == 0 && strcmp(s.health_command[1], "-a") == 0);
    CHECK(strcmp(s.health_command[2], "b c") == 0 && s.health_command[3] == NULL);
    CHECK(s.native_signer_count == 1 && s.native_signer[0][31] == 0x1f && s.developer_mode);
    rb_settings_free(&s);
}

TEST(settings_text_that_is_no_settings)
{
    static const char *const texts[] = {"", "{", "[]", "null", "{\"hardware\":\"a\",\"hardware\":\"b\"}",
                                        "{\"hardware\":\"a\"} x", "{\"hardware\":\"a\\u0000b\"}",
                                        "{\"hardware\":\"\xff\"}"};
    struct rb_settings s;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        CHECK_ERR(parse(texts[i], &s), RB_ERR_AGENT_SETTINGS);
    }
    char *large = rb_text("{\"hardware\":\"a\"}%70000s", "");
    CHECK_ERR(parse(large, &s), RB_ERR_AGENT_SETTINGS);
    free(large);
}

TEST(settings_file_others_may_write_is_refused)
{
    static const char text[] = "{\"hardware\":\"a\"}";
    struct rb_settings s;

    CHECK_ERR(rb_settings_read(".", &s), RB_ERR_IO_NOT_FOUND);
    CHECK_OK(rb_make_dirs("etc/riverbank", 0755));
    CHECK_OK(rb_file_replace("etc/riverbank/settings.json", text, sizeof text - 1, 0644));
    rb_fail_clear();
    CHECK_OK(rb_settings_read(".", &s));
    rb_settings_free(&s);
    CHECK(chmod("etc/riverbank/settings.json", 0666) == 0);
    CHECK_ERR(rb_settings_read(".", &s), RB_ERR_AGENT_SETTINGS);
    CHECK(rename("etc/riverbank/settings.json", "elsewhere") == 0 && chmod("elsewhere", 0644) == 0);
    CHECK(symlink("../../elsewhere", "etc/riverbank/settings.json") == 0);
    rb_fail_clear();
    CHECK_ERR(rb_settings_read(".", &s), RB_ERR_AGENT_SETTINGS);
}
