/* SPDX-License-Identifier: Apache-2.0
 *
 * ota: the agent's command line.
 */
#include "lib/host/cli.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "ota/flow.h"
#include "ota/provision.h"
#include "ota/report.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static const char *
root(void)
{
    const char *dir = rb_cli_option("--root");

    return dir != NULL ? dir : "";
}

static const char *
subject(void)
{
    return rb_cli_option("--root") != NULL ? rb_cli_option("--root") : "device";
}

static int
print_json(json_t *document)
{
    if (document == NULL) {
        return rb_cli_error(RB_ERR_NO_MEMORY, subject());
    }
    rb_json_print(document);
    json_decref(document);
    return RB_EXIT_DONE;
}

static void
say(const char *line)
{
    fprintf(stderr, "ota: %s\n", line);
}

/* Open for changing, with the database brought in line; a fall-back that happened meanwhile is told. */
static rb_err
open_device(struct ota_device **out)
{
    struct ota_device *d = NULL;

    RB_TRY(ota_device_open(root(), OTA_WRITE, &d));
    d->say = rb_cli_flag("--json") || rb_cli_flag("--quiet") ? NULL : say;
    if (d->db_rebuilt) {
        rb_cli_note("the agent's database was missing or damaged; a new one was made from journal and slots");
    }
    rb_err err = ota_reconcile(d);
    if (err != RB_OK) {
        ota_device_close(d);
        return err;
    }
    *out = d;
    return RB_OK;
}

/* --- provision -------------------------------------------------------------------------------------------------- */

static const struct rb_option provision_options[] = {
    {"--settings", "FILE", "device settings", false},
    {"--image", "IMG", "image for slot A; a second one is for slot B", true},
    {"--trust", "ROOT.json", "first root metadata of the repository", false},
    {"--image-key", "KEY", "public key that may sign images (or the private key's file)", true},
    {"--flash-size", "BYTES", "default: as small as the slots allow", false},
    {"--slot-size", "BYTES", "default: room for the image to grow by half", false},
    {"--sector-size", "BYTES", "default: 4096", false},
    {"--program-unit", "BYTES", "default: 4", false},
    {"--force", NULL, "replace the device that is there, with all its data", false},
    {NULL, NULL, NULL, false},
};

static bool
provision_sizes(struct ota_provision *p)
{
    uint64_t flash, slot, sector, unit;

    if (!rb_cli_number("--flash-size", true, 1, UINT32_MAX, 0, &flash)
        || !rb_cli_number("--slot-size", true, 1, UINT32_MAX, 0, &slot)
        || !rb_cli_number("--sector-size", true, 256, 262144, 4096, &sector)
        || !rb_cli_number("--program-unit", true, 1, 32, 4, &unit)) {
        return false;
    }
    p->flash_size = (uint32_t)flash;
    p->slot_size = (uint32_t)slot;
    p->sector_size = (uint32_t)sector;
    p->program_unit = (uint32_t)unit;
    return true;
}

static json_t *
provisioned_json(const struct ota_provisioned *made)
{
    const struct rb_loader_config *c = &made->config;

    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:s, s:I}", "hardware", c->hardware, "flash_size",
                     (json_int_t)c->flash_size, "slot_size", (json_int_t)c->slot_size, "sector_size",
                     (json_int_t)c->sector_size, "program_unit", (json_int_t)c->program_unit, "version",
                     made->image[0].version, "floor", (json_int_t)made->image[0].security_counter);
}

static int
run_provision(void)
{
    struct ota_provisioned made;
    struct ota_provision p = {
        .root = root(),
        .settings_path = rb_cli_option("--settings"),
        .trust_path = rb_cli_option("--trust"),
        .image_path = {rb_cli_option_nth("--image", 0), rb_cli_option_nth("--image", 1)},
        .force = rb_cli_flag("--force"),
    };
    char slot[32];

    if (p.settings_path == NULL || p.trust_path == NULL || p.image_path[0] == NULL
        || rb_cli_option_nth("--image-key", 0) == NULL) {
        return rb_cli_usage("provision needs --settings, --image, --trust and --image-key");
    }
    if (rb_cli_option_nth("--image", 2) != NULL || rb_cli_option_nth("--image-key", RB_LOADER_KEYS_MAX) != NULL) {
        return rb_cli_usage("at most 2 images and %u keys", RB_LOADER_KEYS_MAX);
    }
    for (int i = 0; i < (int)RB_LOADER_KEYS_MAX; i++) {
        p.key_path[i] = rb_cli_option_nth("--image-key", i);
    }
    if (!provision_sizes(&p)) {
        return RB_EXIT_USAGE;
    }
    rb_err err = ota_provision(&p, &made);
    if (err != RB_OK) {
        return rb_cli_error(err, subject());
    }
    if (rb_cli_flag("--json")) {
        return print_json(provisioned_json(&made));
    }
    printf("provisioned %s: %s in slot A, two slots of %s bytes, floor %u\n", made.config.hardware,
           made.image[0].version, ota_grouped(made.config.slot_size, slot), made.image[0].security_counter);
    return RB_EXIT_DONE;
}

/* --- check and plan --------------------------------------------------------------------------------------------- */

static const struct rb_option plan_options[] = {
    {"--target", "VERSION", "this version; default: the newest release", false},
    {"--retry", NULL, "also what failed here before", false},
    {NULL, NULL, NULL, false},
};

static struct ota_wish
wish(void)
{
    return (struct ota_wish){.version = rb_cli_option("--target"), .retry = rb_cli_flag("--retry")};
}

static rb_err
make_plan(struct ota_plan *plan, struct ota_device **device)
{
    struct ota_device *d = NULL;
    struct rb_http *http = NULL;
    const struct ota_wish w = wish();

    RB_TRY(open_device(&d));
    rb_err err = ota_http_open(d, &http);
    if (err == RB_OK) {
        err = ota_check(d, http, &w, plan);
    }
    rb_http_close(http);
    if (err != RB_OK) {
        ota_device_close(d);
        return err;
    }
    *device = d;
    return RB_OK;
}

static void
print_no_plan(const struct ota_plan *plan)
{
    if (plan->up_to_date) {
        printf("up to date: %s\n", plan->installed.image.version);
    } else {
        printf("nothing to do: %s is the newest release and failed here before (%s); --retry tries it again\n",
               plan->version, plan->quarantine_cause);
    }
}

static int
show_plan(void (*print)(const struct ota_device *d, const struct ota_plan *plan))
{
    struct ota_device *d = NULL;
    struct ota_plan plan;

    rb_err err = make_plan(&plan, &d);
    if (err != RB_OK) {
        return rb_cli_error(err, subject());
    }
    int code = RB_EXIT_DONE;
    if (rb_cli_flag("--json")) {
        code = print_json(ota_plan_json(&plan));
    } else if (plan.chosen < 0) {
        print_no_plan(&plan);
    } else {
        print(d, &plan);
    }
    ota_device_close(d);
    return code;
}

static void
print_available(const struct ota_device *d, const struct ota_plan *plan)
{
    char bytes[32];

    (void)d;
    printf("%s is available (release %" PRId64 "), %s is installed; %s bytes to fetch\n", plan->version, plan->release,
           plan->installed.image.version, ota_grouped(plan->candidate[plan->chosen].length, bytes));
}

static int
run_check(void)
{
    return show_plan(print_available);
}

static int
run_plan(void)
{
    return show_plan(ota_plan_print);
}

/* --- update ----------------------------------------------------------------------------------------------------- */

static const struct rb_option update_options[] = {
    {"--target", "VERSION", "this version; default: the newest release", false},
    {"--retry", NULL, "also what failed here before", false},
    {"--cut-at-op", "N", "simulated flash only: the power fails in flash operation N", false},
    {"--tear", "NAME", "how that operation is torn: before, first-byte, half, second-half, almost, random, marginal, "
                       "after", false},
    {"--seed", "N", "of the random tears", false},
    {NULL, NULL, NULL, false},
};

static bool
prepare_cut(struct ota_device *d)
{
    const char *name = rb_cli_option("--tear");
    enum rb_tear tear = RB_TEAR_HALF;
    uint64_t op, seed;

    if (!rb_cli_number("--cut-at-op", false, 1, UINT32_MAX, 0, &op)
        || !rb_cli_number("--seed", false, 0, UINT32_MAX, 1, &seed)) {
        return false;
    }
    if (name != NULL && !rb_tear_named(name, &tear)) {
        (void)rb_cli_usage("no tear is called '%s'", name);
        return false;
    }
    if (op != 0) {
        ota_device_cut_at(d, op, tear, seed);
    }
    return true;
}

static int64_t
peak_rss_kib(void)
{
    struct rusage usage;

    return getrusage(RUSAGE_SELF, &usage) == 0 ? (int64_t)usage.ru_maxrss : 0;
}

static json_t *
update_json(const struct ota_device *d, const struct ota_outcome *o)
{
    static const char *const DONE[] = {"up-to-date", "quarantined", "armed"};
    json_t *json = json_pack("{s:s, s:I, s:I, s:I}", "result", DONE[o->done], "received",
                             (json_int_t)o->received, "flash_operations", (json_int_t)d->file.ops,
                             "peak_rss_kib", (json_int_t)peak_rss_kib());

    if (json != NULL && o->done == OTA_ARMED && json_object_set_new(json, "attempt", ota_attempt_json(&o->attempt))) {
        json_decref(json);
        return NULL;
    }
    if (json != NULL && !o->was_armed && json_object_set_new(json, "plan", ota_plan_json(&o->plan))) {
        json_decref(json);
        return NULL;
    }
    return json;
}

static void
print_update(const struct ota_outcome *o)
{
    const struct ota_attempt *a = &o->attempt;
    char fetched[32];
    char again[32];

    if (o->done != OTA_ARMED) {
        print_no_plan(&o->plan);
        return;
    }
    if (o->was_armed) {
        printf("%s is armed in slot %c already; reboot to try it\n", a->version, ota_slot_name(a->slot));
        return;
    }
    printf("%s is in slot %c, verified and armed; %s bytes fetched", a->version, ota_slot_name(a->slot),
           ota_grouped((uint64_t)a->fetched, fetched));
    if (a->refetched > 0) {
        printf(", %s of them twice", ota_grouped((uint64_t)a->refetched, again));
    }
    printf("\nreboot to try it\n");
}

static int
run_update(void)
{
    struct ota_device *d = NULL;
    struct rb_progress progress = {.silent = true};
    struct ota_outcome outcome;
    const struct ota_wish w = wish();

    rb_err err = open_device(&d);
    if (err != RB_OK) {
        return rb_cli_error(err, subject());
    }
    if (!prepare_cut(d)) {
        ota_device_close(d);
        return RB_EXIT_USAGE;
    }
    err = ota_update(d, &w, &progress, &outcome);
    int code = RB_EXIT_DONE;
    if (err != RB_OK) {
        code = rb_cli_error(err, subject());
    } else if (rb_cli_flag("--json")) {
        code = print_json(update_json(d, &outcome));
    } else {
        print_update(&outcome);
    }
    ota_device_close(d);
    return code;
}

/* --- reboot, confirm, rollback ---------------------------------------------------------------------------------- */

static int
run_reboot(void)
{
    struct ota_device *d = NULL;
    struct rb_record record;

    rb_err err = open_device(&d);
    if (err != RB_OK) {
        return rb_cli_error(err, subject());
    }
    err = ota_record(d, &record);
    int code = RB_EXIT_DONE;
    if (err != RB_OK) {
        code = rb_cli_error(err, subject());
    } else {
        bool wanted = record.trial != RB_SLOT_NONE || record.cause == RB_CAUSE_REJECTED;
        ota_event(d, "info", "reboot.wanted", "slot=%c",
                  ota_slot_name(record.trial != RB_SLOT_NONE ? record.trial : record.active));
        if (rb_cli_flag("--json")) {
            code = print_json(json_pack("{s:b, s:s}", "wanted", wanted ? 1 : 0, "flash", d->settings.flash_path));
        } else {
            printf("%s: power cycle now: riverboot-sim --flash %s\n",
                   wanted ? "a reboot is wanted" : "no reboot is needed", d->settings.flash_path);
        }
    }
    ota_device_close(d);
    return code;
}

static int
run_confirm(void)
{
    struct ota_device *d = NULL;
    struct ota_verdict v;

    rb_err err = open_device(&d);
    if (err != RB_OK) {
        return rb_cli_error(err, subject());
    }
    err = ota_confirm(d, &v);
    int code = RB_EXIT_DONE;
    if (err != RB_OK) {
        code = rb_cli_error(err, v.version[0] != '\0' ? v.version : subject());
        if (err == RB_ERR_AGENT_HEALTH) {
            rb_cli_note("rejected: reboot to fall back");
        }
    } else if (rb_cli_flag("--json")) {
        code = print_json(json_pack("{s:s, s:b, s:I}", "version", v.version, "confirmed_now",
                                    v.nothing_on_trial ? 0 : 1, "floor", (json_int_t)v.floor));
    } else if (v.nothing_on_trial) {
        printf("%s is confirmed; nothing is on trial\n", v.version);
    } else {
        printf("%s is healthy and confirmed in slot %c; floor %u\n", v.version, ota_slot_name(v.slot), v.floor);
    }
    ota_device_close(d);
    return code;
}

static int
run_rollback(void)
{
    static const char *const DONE[] = {"cancelled", "rejected", "armed"};
    static const char *const WORDS[] = {"is no longer armed", "is rejected; reboot to fall back",
                                        "is armed; reboot to go back to it"};
    char version[RB_IMAGE_VERSION_LEN + 1];
    struct ota_device *d = NULL;
    enum ota_back back = OTA_BACK_CANCELLED;

    rb_err err = open_device(&d);
    if (err != RB_OK) {
        return rb_cli_error(err, subject());
    }
    err = ota_rollback(d, &back, version);
    int code = RB_EXIT_DONE;
    if (err != RB_OK) {
        code = rb_cli_error(err, subject());
    } else if (rb_cli_flag("--json")) {
        code = print_json(json_pack("{s:s, s:s}", "result", DONE[back], "version", version));
    } else {
        printf("%s %s\n", version, WORDS[back]);
    }
    ota_device_close(d);
    return code;
}

/* --- status, history, log --------------------------------------------------------------------------------------- */

static int
run_status(void)
{
    struct ota_device *d = NULL;
    json_t *status = NULL;

    rb_err err = ota_device_open(root(), OTA_READ, &d);
    if (err == RB_OK) {
        err = ota_status_json(d, &status);
    }
    int code = RB_EXIT_DONE;
    if (err != RB_OK) {
        code = rb_cli_error(err, subject());
    } else if (rb_cli_flag("--json")) {
        code = print_json(status);
    } else {
        ota_status_print(status);
        json_decref(status);
    }
    ota_device_close(d);
    return code;
}

static const struct rb_option list_options[] = {
    {"--limit", "N", "how many; default: 50", false},
    {NULL, NULL, NULL, false},
};

static rb_err
print_attempt(void *ctx, const struct ota_attempt *a)
{
    char when[32];
    char fetched[32];

    if (ctx != NULL) {
        return json_array_append_new(ctx, ota_attempt_json(a)) == 0 ? RB_OK : RB_ERR_NO_MEMORY;
    }
    printf("%s  %-12s slot %c  %-10s %12s bytes%s%s\n", ota_time_text(a->started, when), a->version,
           ota_slot_name(a->slot), a->outcome[0] != '\0' ? a->outcome : "under way",
           ota_grouped((uint64_t)a->fetched, fetched), a->detail[0] != '\0' ? "  " : "", a->detail);
    return RB_OK;
}

static rb_err
print_event(void *ctx, int64_t time, const char *level, const char *name, const char *facts)
{
    char when[32];

    if (ctx != NULL) {
        json_t *o = json_pack("{s:I, s:s, s:s, s:s}", "time", (json_int_t)time, "level", level, "name", name, "facts",
                              facts);
        return json_array_append_new(ctx, o) == 0 ? RB_OK : RB_ERR_NO_MEMORY;
    }
    printf("%s %s %s%s%s\n", ota_time_text(time, when), level, name, facts[0] != '\0' ? " " : "", facts);
    return RB_OK;
}

/* Print rows, or collect them in `list` for --json. */
static int
show_rows(bool events)
{
    struct ota_device *d = NULL;
    uint64_t limit;

    if (!rb_cli_number("--limit", false, 1, 1000, 50, &limit)) {
        return RB_EXIT_USAGE;
    }
    json_t *list = rb_cli_flag("--json") ? json_array() : NULL;
    rb_err err = ota_device_open(root(), OTA_READ, &d);
    if (err == RB_OK && d->db == NULL) {
        err = rb_fail(RB_ERR_DB, "the agent's database cannot be read");
    }
    if (err == RB_OK) {
        err = events ? ota_event_each(d, (int)limit, print_event, list)
                     : ota_attempt_each(d, (int)limit, print_attempt, list);
    }
    ota_device_close(d);
    if (err != RB_OK) {
        json_decref(list);
        return rb_cli_error(err, subject());
    }
    return list != NULL ? print_json(list) : RB_EXIT_DONE;
}

static int
run_history(void)
{
    return show_rows(false);
}

static int
run_log(void)
{
    return show_rows(true);
}

/* --- program ---------------------------------------------------------------------------------------------------- */

static const struct rb_verb verbs[] = {
    {"status", NULL, "slots, journal, what is under way and what happens next", NULL, 0, 0, run_status},
    {"check", NULL, "ask the repository whether there is something newer", plan_options, 0, 0, run_check},
    {"plan", NULL, "what an update would fetch, and why", plan_options, 0, 0, run_plan},
    {"update", NULL, "fetch, rebuild in the idle slot, verify, arm", update_options, 0, 0, run_update},
    {"reboot", NULL, "start what is armed", NULL, 0, 0, run_reboot},
    {"confirm", NULL, "check the health of the image on trial; keep or reject it", NULL, 0, 0, run_confirm},
    {"rollback", NULL, "take back an armed image, reject a trial, or return to the other slot", NULL, 0, 0,
     run_rollback},
    {"history", NULL, "updates tried, newest first", list_options, 0, 0, run_history},
    {"log", NULL, "events", list_options, 0, 0, run_log},
    {"provision", NULL, "make a device", provision_options, 0, 0, run_provision},
    {NULL, NULL, NULL, NULL, 0, 0, NULL},
};

static const struct rb_option options[] = {
    {"--root", "DIR", "a device that is a directory; default: this machine", false},
    {NULL, NULL, NULL, false},
};

int
main(int argc, char **argv)
{
    static const struct rb_verb *const groups[] = {verbs, NULL};
    static const struct rb_program program = {
        .name = "ota",
        .summary = "Keep a device's firmware up to date: fetch, verify, switch slots, confirm or fall back.",
        .groups = groups,
        .options = options,
    };

    (void)signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error to report, not a death */
    return rb_cli_main(&program, argc, argv);
}
