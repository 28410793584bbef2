/* SPDX-License-Identifier: Apache-2.0
 *
 * otad: does by itself what one would do with ota: finish a trial, then look for something newer, fetch and arm it.
 *
 * It holds the device only during a cycle, so that `ota` can be used in between. Everything it does may be cut off at
 * any moment; so ending on SIGTERM is no more than not starting the next step.
 */
#include "lib/host/cli.h"
#include "lib/host/fail.h"
#include "ota/flow.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define FAILED_PAUSE_S 60u /* as long as the settings cannot be read */

static void
on_stop(int signal_number)
{
    (void)signal_number;
    ota_stop = 1;
}

static void
watch_signals(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = on_stop; /* without SA_RESTART: a sleep ends */
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    (void)signal(SIGXFSZ, SIG_IGN);
}

/* Log a failed step and give it on. */
static rb_err
failed(struct ota_device *d, const char *step, rb_err err)
{
    ota_event(d, rb_err_class_of(err) == RB_CLASS_RETRY ? "warn" : "error", step, "err=%s detail=\"%s\"",
              rb_err_name(err), rb_fail_detail());
    rb_fail_clear();
    return err;
}

static rb_err
finish_trial(struct ota_device *d, const struct rb_record *record)
{
    struct ota_verdict verdict;

    if (record->cause == RB_CAUSE_ARMED) {
        ota_event(d, "info", "reboot.wanted", "slot=%c", ota_slot_name(record->trial));
        return RB_OK;
    }
    rb_err err = ota_confirm(d, &verdict);
    if (err == RB_ERR_AGENT_HEALTH) {
        ota_event(d, "error", "trial.rejected", "version=%s detail=\"%s\"", verdict.version, rb_fail_detail());
        ota_event(d, "info", "reboot.wanted", "slot=%c", ota_slot_name(record->active));
        return err;
    }
    if (err != RB_OK) {
        return failed(d, "trial.failed", err);
    }
    ota_event(d, "info", "trial.confirmed", "version=%s slot=%c floor=%u", verdict.version,
              ota_slot_name(verdict.slot), verdict.floor);
    return RB_OK;
}

static rb_err
look_for_update(struct ota_device *d)
{
    const struct ota_wish wish = {.version = NULL, .retry = false};
    struct rb_progress progress = {.silent = true};
    struct ota_outcome o;

    rb_err err = ota_update(d, &wish, &progress, &o);
    if (err != RB_OK) {
        return failed(d, "update.failed", err);
    }
    switch (o.done) {
    case OTA_UP_TO_DATE:
        ota_event(d, "info", "update.none", "version=%s", o.plan.installed.image.version);
        break;
    case OTA_QUARANTINED:
        ota_event(d, "info", "update.quarantined", "version=%s cause=\"%s\"", o.plan.version, o.plan.quarantine_cause);
        break;
    case OTA_ARMED:
    default:
        ota_event(d, "info", "reboot.wanted", "slot=%c", ota_slot_name(o.attempt.slot));
        break;
    }
    return RB_OK;
}

static rb_err
steps(struct ota_device *d, bool look)
{
    struct rb_record record;

    rb_err err = ota_reconcile(d);
    if (err != RB_OK) {
        return failed(d, "reconcile.failed", err);
    }
    err = ota_record(d, &record);
    if (err != RB_OK) {
        return failed(d, "journal.failed", err);
    }
    if (record.trial != RB_SLOT_NONE) {
        return finish_trial(d, &record);
    }
    return look ? look_for_update(d) : RB_OK;
}

/* One cycle. The interval of the settings comes out, so that a change is heard. */
static rb_err
cycle(const char *root, bool look, unsigned *interval_s)
{
    struct ota_device *d = NULL;

    RB_TRY(ota_device_open(root, OTA_WRITE, &d));
    d->verbose = true;
    *interval_s = d->settings.poll_interval_s;
    rb_err err = steps(d, look);
    ota_device_close(d);
    (void)malloc_trim(0); /* a sleeping agent gives back what a cycle took */
    return err;
}

/* Sleep, with a random part: devices that start together, after an outage say, must not ask together (NET-19). */
static void
rest_ms(uint64_t least, uint64_t jitter)
{
    uint32_t random = 0;
    struct timespec until;

    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random) {
        random = (uint32_t)getpid();
    }
    uint64_t wait_ms = least + random % (jitter + 1);
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t end_ns = (uint64_t)until.tv_nsec + wait_ms % 1000 * 1000000u;
    until.tv_sec += (time_t)(wait_ms / 1000 + end_ns / 1000000000u);
    until.tv_nsec = (long)(end_ns % 1000000000u);
    while (ota_stop == 0 && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
}

static int
run_once(const char *root)
{
    unsigned interval_s;
    rb_err err = cycle(root, true, &interval_s);

    if (ota_stop != 0 || err == RB_OK) {
        return RB_EXIT_DONE;
    }
    /* A failed step has been logged with its detail; a device that cannot be opened has no log yet. */
    return rb_fail_detail()[0] != '\0' ? rb_cli_error(err, root) : rb_cli_exit_code(err);
}

/* The first cycle only finishes a trial, at once; asking the repository comes after a random part of the interval. */
static int
run_daemon(const char *root)
{
    unsigned interval_s = FAILED_PAUSE_S;

    for (bool first = true; ota_stop == 0; first = false) {
        rb_err err = cycle(root, !first, &interval_s);
        if (err != RB_OK && rb_fail_detail()[0] != '\0') {
            fprintf(stderr, "error cycle.failed err=%s detail=\"%s\"\n", rb_err_name(err), rb_fail_detail());
            rb_fail_clear();
        }
        if (ota_stop == 0) {
            rest_ms(first ? 0 : (uint64_t)interval_s * 1000, (uint64_t)interval_s * 100);
        }
    }
    fprintf(stderr, "info stop\n");
    return RB_EXIT_DONE;
}

static int
run(void)
{
    const char *root = rb_cli_option("--root") != NULL ? rb_cli_option("--root") : "";

    watch_signals();
    return rb_cli_flag("--once") ? run_once(root) : run_daemon(root);
}

static const struct rb_option options[] = {
    {"--root", "DIR", "a device that is a directory; default: this machine", false},
    {"--once", NULL, "one cycle, then end", false},
    {NULL, NULL, NULL, false},
};

int
main(int argc, char **argv)
{
    static const struct rb_verb verb[] = {{"", NULL, "", NULL, 0, 0, run}, {NULL, NULL, NULL, NULL, 0, 0, NULL}};
    static const struct rb_verb *const groups[] = {verb, NULL};
    static const struct rb_program program = {
        .name = "otad",
        .summary = "Keep a device's firmware up to date by itself.",
        .groups = groups,
        .options = options,
    };

    return rb_cli_main(&program, argc, argv);
}
