/* SPDX-License-Identifier: Apache-2.0
 *
 * riverboot-sim: one boot of the real bootloader on a flash file. The loader's configuration is read from the file's
 * first sector, where a board has it linked into the loader.
 */
#include "bootloader/port/sim/sim.h"

#include "lib/host/cli.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/host/flashfile.h"
#include "lib/host/json.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sim {
    struct rb_flashfile flash;
    struct rb_loader_config config;
    uint8_t *ram[2]; /* load areas */
    bool json;
};

static rb_err
load_area(void *ctx, uint8_t slot, const struct rb_image *image, uint8_t **area)
{
    struct sim *sim = ctx;

    free(sim->ram[slot]);
    sim->ram[slot] = rb_alloc(image->body_len);
    *area = sim->ram[slot];
    return RB_OK;
}

static void
event(void *ctx, const struct rb_boot_event *e)
{
    const struct sim *sim = ctx;

    if (!sim->json) {
        sim_print_event(e);
    }
}

static rb_err
open_flash(struct sim *sim, const char *path)
{
    RB_TRY(rb_flashfile_config(path, &sim->config));
    RB_TRY(rb_flashfile_open(&sim->flash, path, true, sim->config.sector_size, sim->config.program_unit));
    if (sim->flash.flash.size != sim->config.flash_size) {
        rb_flashfile_close(&sim->flash);
        return rb_fail(RB_ERR_LOADER_CONFIG, "it says %" PRIu32 " bytes, the file has %" PRIu32,
                       sim->config.flash_size, sim->flash.flash.size);
    }
    return RB_OK;
}

/* --cut, --tear, --seed. */
static bool
plan_cut(struct rb_flashfile *flash, int *code)
{
    const char *name = rb_cli_option("--tear");

    *code = RB_EXIT_USAGE;
    if (!rb_cli_number("--cut", false, 1, UINT32_MAX, 0, &flash->cut_at)
        || !rb_cli_number("--seed", false, 0, UINT32_MAX, 1, &flash->seed)) {
        return false;
    }
    if (name != NULL && rb_cli_option("--cut") == NULL) {
        *code = rb_cli_usage("--tear needs --cut: it says how the operation that is cut ends");
        return false;
    }
    flash->tear = RB_TEAR_BEFORE;
    if (name != NULL && !rb_tear_named(name, &flash->tear)) {
        *code = rb_cli_usage("--tear takes before, first-byte, half, second-half, almost, random, marginal or after");
        return false;
    }
    return true;
}

static void
print_end(const struct sim_result *result)
{
    if (strcmp(result->state, "exited") == 0) {
        printf("riverboot: the program exited with status %d\n", result->number);
    } else if (strcmp(result->state, "killed") == 0) {
        printf("riverboot: %s (signal %d)\n",
               result->watchdog ? "the watchdog ended the program" : "the program was killed", result->number);
    } else if (strcmp(result->state, "not-a-program") == 0) {
        printf("riverboot: the body is not an executable for this machine\n");
    }
}

/* Tell the world about a boot: the report beside the flash file, and standard output. */
static rb_err
publish(const struct sim *sim, const char *path, const struct rb_handoff *handoff, const struct sim_result *result,
        bool last)
{
    json_t *report = sim_report(handoff, result);
    rb_err err = sim_report_write(path, report);

    if (last && sim->json) {
        (void)json_object_set_new(report, "flash_operations", json_integer((json_int_t)sim->flash.ops));
        rb_json_print(report);
    }
    json_decref(report);
    return err;
}

static rb_err
jump(const struct sim *sim, const char *path, const struct rb_handoff *handoff, unsigned watchdog_s)
{
    struct sim_result result = {.state = "running"};

    if (rb_cli_flag("--no-run")) {
        result.state = "not-run";
        return publish(sim, path, handoff, &result, true);
    }
    RB_TRY(publish(sim, path, handoff, &result, false));
    RB_TRY(sim_program_run(handoff, watchdog_s, sim->json, &result));
    if (!sim->json) {
        print_end(&result);
    }
    return publish(sim, path, handoff, &result, true);
}

static int
boot(struct sim *sim, const char *path, unsigned watchdog_s)
{
    const struct rb_port port = {
        .ctx = sim, .flash = &sim->flash.flash, .load_area = load_area, .event = event};
    struct rb_handoff handoff;
    uint8_t scratch[RB_IMAGE_CHUNK_LEN];
    const struct sim_result nothing = {.state = "not-run"};

    rb_err err = rb_boot(&port, &sim->config, scratch, &handoff);
    if (err == RB_ERR_FLASH_POWER) {
        (void)rb_fail(err, "power cut in flash operation %" PRIu64 " (%s)", sim->flash.ops,
                      rb_tear_name(sim->flash.tear));
        return rb_cli_error(err, path);
    }
    if (err == RB_ERR_NOT_FOUND) {
        err = publish(sim, path, NULL, &nothing, true);
        return err == RB_OK ? RB_EXIT_NO : rb_cli_error(err, path);
    }
    if (err == RB_OK) {
        err = rb_flashfile_sync(&sim->flash);
    }
    if (err == RB_OK) {
        err = jump(sim, path, &handoff, watchdog_s);
    }
    return err == RB_OK ? RB_EXIT_DONE : rb_cli_error(err, path);
}

static int
run(void)
{
    struct sim sim = {.json = rb_cli_flag("--json")};
    const char *path = rb_cli_option("--flash");
    uint64_t watchdog_s = 0;
    int code = RB_EXIT_USAGE;

    if (path == NULL) {
        return rb_cli_usage("--flash FILE is needed: the device's flash");
    }
    if (!rb_cli_number("--watchdog", false, 1, 86400, 10, &watchdog_s)) {
        return RB_EXIT_USAGE;
    }
    rb_err err = open_flash(&sim, path);
    if (err != RB_OK) {
        return rb_cli_error(err, path);
    }
    if (plan_cut(&sim.flash, &code)) {
        code = boot(&sim, path, (unsigned)watchdog_s);
    }
    free(sim.ram[0]);
    free(sim.ram[1]);
    rb_flashfile_close(&sim.flash);
    return code;
}

static const struct rb_option options[] = {
    {"--flash", "FILE", "the device's flash: a file as `ota provision` makes it", false},
    {"--no-run", NULL, "decide, verify and count the try, but do not start the program", false},
    {"--watchdog", "SECONDS", "end a program that runs longer (default 10)", false},
    {"--cut", "N", "the power fails in flash operation N of this boot", false},
    {"--tear", "NAME", "how far that operation gets: before (default), first-byte, half, second-half, almost, random, "
                       "marginal, after", false},
    {"--seed", "N", "for random and marginal", false},
    {NULL, NULL, NULL, false},
};

static const struct rb_verb verbs[] = {
    {"", "", "one boot: verify, pick a slot, count the try, start the slot's own program", options, 0, 0, run},
    {NULL, NULL, NULL, NULL, 0, 0, NULL},
};

int
main(int argc, char **argv)
{
    static const struct rb_verb *const groups[] = {verbs, NULL};
    static const struct rb_program program = {
        .name = "riverboot-sim",
        .summary = "One boot of the Riverbank bootloader on a flash file",
        .groups = groups,
    };

    return rb_cli_main(&program, argc, argv);
}
