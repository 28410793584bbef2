/* SPDX-License-Identifier: Apache-2.0
 *
 * riverboot-sim as a program: what it starts, what it reports, how it ends.
 */
#include "lib/host/file.h"
#include "lib/host/json.h"
#include "tests/support/device.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#define SECTOR 4096u

static struct rb_loader_config config;
static struct device_image image[2];
static char *output; /* of the last run, standard output and standard error */

/* A flash file whose slots hold the bodies; slot A is active. */
static void
make_flash(const void *a, size_t a_len, const void *b, size_t b_len)
{
    struct rb_flashfile f;
    uint8_t raw[RB_LOADER_CONFIG_LEN];
    const struct forge_image_spec spec[2] = {
        {.version = "1.0.0", .hardware = {DEVICE_HARDWARE}, .hardware_count = 1, .security_counter = 1},
        {.version = "2.0.0", .hardware = {DEVICE_HARDWARE}, .hardware_count = 1, .security_counter = 2}};
    uint32_t slot_size = 1u << 20;

    device_config(&config, SECTOR, 8);
    config.slot_size = slot_size;
    config.slot[1] = config.slot[0] + slot_size;
    config.flash_size = config.slot[1] + slot_size;
    CHECK_OK(rb_loader_config_encode(&config, raw));
    (void)remove("flash");
    CHECK_OK(rb_flashfile_create("flash", config.flash_size));
    CHECK_OK(rb_flashfile_open(&f, "flash", true, SECTOR, 8));
    CHECK_OK(f.flash.program(&f, 0, raw, sizeof raw));
    device_image_of(&image[0], &spec[0], a, a_len, 0);
    device_image_of(&image[1], &spec[1], b, b_len, 0);
    for (int i = 0; i < 2; i++) {
        uint32_t len = (image[i].len + 7) / 8 * 8;
        uint8_t *padded = rb_alloc(len);
        memcpy(padded, image[i].data, image[i].len);
        CHECK_OK(f.flash.program(&f, config.slot[i], padded, len));
        free(padded);
    }
    struct rb_journal journal = {&f.flash, {config.journal[0], config.journal[1]}};
    struct rb_record r = {.floor = 1, .active = RB_SLOT_A, .trial = RB_SLOT_NONE, .cause = RB_CAUSE_FACTORY};
    memcpy(r.active_digest, image[0].parsed.digest, RB_RECORD_DIGEST_LEN);
    CHECK_OK(rb_journal_append(&journal, &r));
    rb_flashfile_close(&f);
}

static void
make_flash_of_programs(const char *a, const char *b)
{
    uint8_t *body[2];
    size_t len[2];

    CHECK_OK(rb_file_read(a, 1u << 20, &body[0], &len[0]));
    CHECK_OK(rb_file_read(b, 1u << 20, &body[1], &len[1]));
    make_flash(body[0], len[0], body[1], len[1]);
    free(body[0]);
    free(body[1]);
}

static void
with_journal(void (*act)(const struct rb_journal *journal))
{
    struct rb_flashfile f;

    CHECK_OK(rb_flashfile_open(&f, "flash", true, SECTOR, 8));
    act(&(struct rb_journal){&f.flash, {config.journal[0], config.journal[1]}});
    rb_flashfile_close(&f);
}

static void
arm(const struct rb_journal *journal)
{
    CHECK_OK(rb_journal_arm(journal, RB_SLOT_B, image[1].parsed.digest, 3));
}

/* Run the simulator with `arguments`; returns the exit code. */
static int
simulate(const char *arguments)
{
    size_t len = 0;
    char *command = rb_text("SECRET=1 %s/riverboot-sim --flash flash >out 2>&1 </dev/null %s", test_bin(), arguments);
    int status = system(command);

    free(command);
    free(output);
    CHECK_OK(rb_file_read("out", 1u << 24, (uint8_t **)&output, &len));
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
prints(const char *text)
{
    if (strstr(output, text) == NULL) {
        test_fail(__FILE__, __LINE__, "\"%s\" is not in the output:\n%s", text, output);
    }
}

static json_t *
report(void)
{
    json_t *document = NULL;

    CHECK_OK(rb_json_read("flash.boot", 4096, &document));
    return document;
}

static void
program_ended(const char *state, const char *key, int64_t want)
{
    json_t *program = NULL;
    const char *text = NULL;
    int64_t number = 0;
    json_t *document = report();

    CHECK_OK(rb_json_object(document, "program", &program));
    CHECK_OK(rb_json_string(program, "state", 1, 32, &text));
    CHECK(strcmp(text, state) == 0);
    if (key != NULL) {
        CHECK_OK(rb_json_int(program, key, 0, 255, &number));
        CHECK(number == want);
    }
    json_decref(document);
}

TEST(sim_runs_the_slots_own_program_with_nothing_else_in_its_environment)
{
    make_flash_of_programs("/usr/bin/env", "/bin/false");
    CHECK(simulate("") == 0);
    prints("riverboot: starting slot A, version 1.0.0\n"
           "RB_SLOT=A\nRB_TRIAL=0\nRB_TRIES_LEFT=0\nRB_CAUSE=factory\nRB_VERSION_RUNNING=1.0.0\n"
           "riverboot: the program exited with status 0\n");
    program_ended("exited", "status", 0);
}

TEST(sim_counts_tries_and_falls_back_in_words)
{
    make_flash_of_programs("/bin/true", "/bin/false");
    with_journal(arm);
    CHECK(simulate("") == 0);
    prints("slot B: version 2.0.0; signature, hardware, floor, body verified\n");
    prints("starting slot B on trial, version 2.0.0, 2 tries left\n");
    prints("the program exited with status 1\n");
    program_ended("exited", "status", 1);
    CHECK(simulate("") == 0);
    CHECK(simulate("") == 0);
    prints("on trial, version 2.0.0, no tries left\n");
    CHECK(simulate("") == 0);
    prints("the trial used up its tries and was never confirmed");
    prints("starting slot A, version 1.0.0\n");
    program_ended("exited", "status", 0);
}

TEST(POWER_13_sim_watchdog_ends_a_program_that_hangs)
{
    make_flash_of_programs("/usr/bin/yes", "/bin/true");
    CHECK(simulate("--watchdog 1 >/dev/null") == 0);
    program_ended("killed", "signal", 9);
}

TEST(sim_says_when_a_body_is_no_program_for_this_machine)
{
    size_t len = 0;
    uint8_t *body = NULL;

    CHECK_OK(rb_file_read("/bin/true", 1u << 20, &body, &len));
    body[18] ^= 0xff; /* e_machine */
    make_flash(body, len, "#!/bin/sh\n", 10);
    CHECK(simulate("") == 0);
    prints("the body is not an executable for this machine\n");
    program_ended("not-a-program", NULL, 0);
    with_journal(arm);
    CHECK(simulate("") == 0); /* a script is none either: its interpreter is not what was verified */
    program_ended("not-a-program", NULL, 0);
    free(body);
}

TEST(sim_reports_one_json_document_whatever_the_program_prints)
{
    json_t *document = NULL;
    const char *slot = NULL;

    make_flash_of_programs("/usr/bin/env", "/bin/true");
    CHECK(simulate("--json 2>/dev/null") == 0);
    CHECK_OK(rb_json_parse(output, strlen(output), &document));
    CHECK_OK(rb_json_string(document, "slot", 1, 1, &slot));
    CHECK(strcmp(slot, "A") == 0);
    json_decref(document);
    CHECK(simulate("--no-run") == 0);
    program_ended("not-run", NULL, 0);
}

TEST(sim_cuts_the_power_where_it_is_told)
{
    make_flash_of_programs("/bin/true", "/bin/true");
    CHECK(simulate("") == 0);
    with_journal(arm);
    CHECK(simulate("--cut 1 --tear half") == 3);
    prints("power cut in flash operation 1 (half)");
    CHECK(simulate("--cut 1 --tear random --seed 5") == 3);
    CHECK(simulate("--cut 9") == 0); /* a boot has no ninth operation */
    prints("starting slot B on trial, version 2.0.0, 2 tries left\n");
}

TEST(sim_ends_with_1_when_nothing_is_bootable)
{
    struct rb_flashfile f;
    json_t *document = NULL;

    make_flash_of_programs("/bin/true", "/bin/true");
    CHECK_OK(rb_flashfile_open(&f, "flash", true, SECTOR, 8));
    CHECK_OK(f.flash.erase(&f, config.slot[0]));
    CHECK_OK(f.flash.erase(&f, config.slot[1]));
    rb_flashfile_close(&f);
    CHECK(simulate("") == 1);
    prints("no slot holds a valid image\n");
    document = report();
    CHECK(json_is_null(json_object_get(document, "slot")));
    json_decref(document);
}

TEST(sim_used_wrongly_says_so)
{
    make_flash_of_programs("/bin/true", "/bin/true");
    CHECK(simulate("--tear half") == 2);
    CHECK(simulate("--cut 1 --tear sideways") == 2);
    CHECK(simulate("--cut 0") == 2);
    CHECK(simulate("--watchdog never") == 2);
    CHECK_OK(rb_file_replace("flash", "short", 5, 0644));
    CHECK(simulate("") == 1);
    prints("no valid loader configuration");
    (void)remove("flash");
    CHECK(simulate("") == 1);
    prints("no such file");
}
