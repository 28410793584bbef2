/* SPDX-License-Identifier: Apache-2.0 */
#include "ota/report.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const char *
ota_time_text(int64_t when, char out[32])
{
    time_t t = (time_t)when;
    struct tm tm;

    if (gmtime_r(&t, &tm) == NULL || strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm) == 0) {
        (void)snprintf(out, 32, "%" PRId64, when);
    }
    return out;
}

static json_t *
hex_json(const void *data, size_t len)
{
    char hex[2 * 64 + 1];

    rb_hex(data, len, hex);
    return json_string(hex);
}

static void
set(json_t *object, const char *key, json_t *value)
{
    (void)json_object_set_new(object, key, value); /* fails for want of memory: the member is missing then */
}

json_t *
ota_attempt_json(const struct ota_attempt *a)
{
    return json_pack("{s:I, s:I, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:s}", "id", (json_int_t)a->id,
                     "release", (json_int_t)a->release, "version", a->version, "slot",
                     a->slot == RB_SLOT_A ? "A" : "B", "payload", a->payload, "from_version", a->from_version,
                     "payload_length", (json_int_t)a->payload_len, "fetched", (json_int_t)a->fetched, "refetched",
                     (json_int_t)a->refetched, "started", (json_int_t)a->started, "ended", (json_int_t)a->ended,
                     "outcome", a->outcome, "error", a->error, "detail", a->detail);
}

/* --- status ----------------------------------------------------------------------------------------------------- */

static const char *
slot_state(const struct rb_record *r, uint8_t slot, const struct ota_slot *s, bool filling)
{
    if (s->err == RB_ERR_IMAGE_MAGIC) {
        return "empty";
    }
    if (s->err != RB_OK) {
        return "damaged";
    }
    if (r->trial == slot) {
        return r->cause == RB_CAUSE_ARMED ? "armed" : "trial";
    }
    if (r->active == slot) {
        return ota_digest_is(r->active_digest, s->image.digest) ? "active" : "damaged";
    }
    if (ota_digest_is(r->trial_digest, s->image.digest) && r->cause != RB_CAUSE_CANCELLED) {
        return "failed";
    }
    return filling ? "filling" : "spare";
}

static json_t *
slot_json(const struct ota_device *d, const struct rb_record *r, uint8_t slot, bool filling)
{
    struct ota_slot s;

    ota_slot_read(d, slot, &s);
    json_t *o = json_pack("{s:s, s:s}", "slot", slot == RB_SLOT_A ? "A" : "B", "state",
                          slot_state(r, slot, &s, filling));
    if (s.err == RB_OK) {
        set(o, "version", json_string(s.image.version));
        set(o, "security_counter", json_integer(s.image.security_counter));
        set(o, "length", json_integer(rb_image_len(&s.image)));
        set(o, "digest", hex_json(s.image.digest, sizeof s.image.digest));
    }
    return o;
}

static json_t *
running_json(const struct ota_device *d)
{
    struct ota_boot_report r;

    if (ota_boot_report_read(d, &r) != RB_OK || !r.booted) {
        rb_fail_clear(); /* before the first boot there is none */
        return json_null();
    }
    return json_pack("{s:s, s:s, s:b}", "slot", r.slot == RB_SLOT_A ? "A" : "B", "version", r.version, "trial",
                     r.trial ? 1 : 0);
}

struct last {
    json_t *failure; /* newest attempt that ended badly */
    json_t *open;
};

static rb_err
look_at_attempt(void *ctx, const struct ota_attempt *a)
{
    struct last *l = ctx;

    if (a->ended == 0 && l->open == NULL) {
        l->open = ota_attempt_json(a);
    }
    if (l->failure == NULL && (strcmp(a->outcome, "fell-back") == 0 || strcmp(a->outcome, "failed") == 0)) {
        l->failure = json_pack("{s:s, s:s, s:s, s:I}", "version", a->version, "outcome", a->outcome, "cause",
                               a->detail, "time", (json_int_t)a->ended);
    }
    return RB_OK;
}

/* The loader may have fallen back since the agent ran last: the journal knows, and the database, if it knows anything,
 * takes the attempt for open. */
static json_t *
unreported_failure(const struct ota_device *d, const struct rb_record *r, const struct last *l)
{
    struct ota_slot s;
    uint8_t other = r->active == RB_SLOT_A ? RB_SLOT_B : RB_SLOT_A;

    if (r->trial != RB_SLOT_NONE || (r->cause != RB_CAUSE_TRIES_USED_UP && r->cause != RB_CAUSE_TRIAL_INVALID)
        || (l->open == NULL && l->failure != NULL)) {
        return NULL;
    }
    ota_slot_read(d, other, &s);
    return json_pack("{s:s, s:s, s:s}", "version",
                     s.err == RB_OK && ota_digest_is(r->trial_digest, s.image.digest) ? s.image.version : "unknown",
                     "outcome", "fell-back", "cause", ota_cause_text(r->cause));
}

static const char *
next_step(const struct rb_record *r, enum ota_state state)
{
    if (r->trial != RB_SLOT_NONE && r->cause == RB_CAUSE_ARMED) {
        return "reboot to try the armed image, or 'ota rollback' to take it back";
    }
    if (r->trial != RB_SLOT_NONE) {
        return "'ota confirm' checks the health of the image on trial; without it the device falls back";
    }
    if (state >= OTA_STAGE && state <= OTA_ARM) {
        return "'ota update' goes on with the interrupted update";
    }
    return "'ota check' asks the repository for a newer release";
}

rb_err
ota_status_json(const struct ota_device *d, json_t **out)
{
    struct last last = {NULL, NULL};
    struct rb_record r = {.active = RB_SLOT_NONE, .trial = RB_SLOT_NONE};
    enum ota_state state = OTA_IDLE;
    int64_t attempt = 0;

    rb_err journal = ota_record(d, &r);
    RB_TRY(ota_state_now(d, &state, &attempt));
    RB_TRY(ota_attempt_each(d, 50, look_at_attempt, &last));
    json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "root", d->settings.root, "hardware", d->config.hardware,
                          "component", d->settings.component, "state", ota_state_name(state));
    if (journal == RB_OK) {
        char active[2] = {ota_slot_name(r.active), '\0'};
        char trial[2] = {ota_slot_name(r.trial), '\0'};
        set(o, "journal", json_pack("{s:I, s:s, s:s, s:s*, s:i, s:I}", "seq", (json_int_t)r.seq, "cause",
                                    rb_cause_name(r.cause), "active", active, "trial",
                                    r.trial != RB_SLOT_NONE ? trial : NULL, "tries_left", (int)r.tries_left, "floor",
                                    (json_int_t)r.floor));
    } else {
        set(o, "journal", json_null());
    }
    bool filling = last.open != NULL && state >= OTA_STAGE && state < OTA_ARM;
    set(o, "slots", json_pack("[o, o]", slot_json(d, &r, RB_SLOT_A, filling), slot_json(d, &r, RB_SLOT_B, filling)));
    set(o, "running", running_json(d));
    set(o, "database", json_string(d->db != NULL ? "good" : "cannot be read"));
    set(o, "attempt", last.open != NULL ? last.open : json_null());
    json_t *failure = unreported_failure(d, &r, &last);
    if (failure != NULL) {
        set(o, "state", json_string(ota_state_name(OTA_REPORT)));
        json_decref(last.failure);
        last.failure = failure;
    }
    set(o, "last_failure", last.failure != NULL ? last.failure : json_null());
    set(o, "next", json_string(journal == RB_OK ? next_step(&r, state) : "reboot: the loader writes a new journal"));
    *out = o;
    return RB_OK;
}

static const char *
text_of(const json_t *o, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text != NULL ? text : otherwise;
}

static void
print_slot(const json_t *slot)
{
    char bytes[32];
    const char *version = text_of(slot, "version", NULL);

    printf("slot %s      %-8s", text_of(slot, "slot", "?"), text_of(slot, "state", "?"));
    if (version != NULL) {
        printf(" %s, security counter %lld, %s bytes, %.16s…", version,
               (long long)json_integer_value(json_object_get(slot, "security_counter")),
               ota_grouped((uint64_t)json_integer_value(json_object_get(slot, "length")), bytes),
               text_of(slot, "digest", ""));
    }
    printf("\n");
}

void
ota_status_print(const json_t *status)
{
    const json_t *journal = json_object_get(status, "journal");
    const json_t *running = json_object_get(status, "running");
    const json_t *attempt = json_object_get(status, "attempt");
    const json_t *failure = json_object_get(status, "last_failure");
    const json_t *slots = json_object_get(status, "slots");

    printf("device      %s, component %s\n", text_of(status, "hardware", "?"), text_of(status, "component", "?"));
    for (size_t i = 0; i < json_array_size(slots); i++) {
        print_slot(json_array_get(slots, i));
    }
    if (json_is_object(journal)) {
        printf("journal     record %lld (%s), floor %lld",
               (long long)json_integer_value(json_object_get(journal, "seq")), text_of(journal, "cause", "?"),
               (long long)json_integer_value(json_object_get(journal, "floor")));
        if (json_is_string(json_object_get(journal, "trial"))) {
            printf(", slot %s has %lld starts left", text_of(journal, "trial", "?"),
                   (long long)json_integer_value(json_object_get(journal, "tries_left")));
        }
        printf("\n");
    } else {
        printf("journal     no valid record\n");
    }
    if (json_is_object(running)) {
        printf("last boot   slot %s, %s%s\n", text_of(running, "slot", "?"), text_of(running, "version", "?"),
               json_is_true(json_object_get(running, "trial")) ? ", on trial" : "");
    }
    printf("agent       %s", text_of(status, "state", "?"));
    if (json_is_object(attempt)) {
        char fetched[32];
        char total[32];
        printf(", %s: %s of %s bytes fetched", text_of(attempt, "version", "?"),
               ota_grouped((uint64_t)json_integer_value(json_object_get(attempt, "fetched")), fetched),
               ota_grouped((uint64_t)json_integer_value(json_object_get(attempt, "payload_length")), total));
    }
    printf("\n");
    if (strcmp(text_of(status, "database", ""), "good") != 0) {
        printf("database    %s\n", text_of(status, "database", "?"));
    }
    if (json_is_object(failure)) {
        printf("last fault  %s %s: %s\n", text_of(failure, "version", "?"), text_of(failure, "outcome", "?"),
               text_of(failure, "cause", "?"));
    }
    printf("next        %s\n", text_of(status, "next", "?"));
}

/* --- plan ------------------------------------------------------------------------------------------------------- */

json_t *
ota_plan_json(const struct ota_plan *plan)
{
    char why[256];
    char slot[2] = {ota_slot_name(plan->installed.slot), '\0'};
    char idle[2] = {ota_slot_name(plan->idle), '\0'};
    json_t *candidates = json_array();

    for (unsigned i = 0; i < plan->count; i++) {
        const struct ota_candidate *c = &plan->candidate[i];
        json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:b}", "target", c->target, "kind", c->delta ? "delta" : "full",
                              "length", (json_int_t)c->length, "memory", (json_int_t)c->memory, "usable",
                              c->usable ? 1 : 0);
        if (!c->usable) {
            set(o, "reason", json_string(c->reason));
        }
        if (json_array_append_new(candidates, o) != 0) {
            break;
        }
    }
    json_t *o = json_pack("{s:b, s:b, s:{s:s, s:s, s:I}, s:s, s:{s:I, s:s, s:I, s:I}, s:o, s:i}", "up_to_date",
                          plan->up_to_date ? 1 : 0, "quarantined", plan->quarantined ? 1 : 0, "installed", "slot",
                          slot, "version", plan->installed.image.version, "floor", (json_int_t)plan->installed.floor,
                          "idle_slot", idle, "release", "number", (json_int_t)plan->release, "version", plan->version,
                          "security_counter", (json_int_t)plan->security_counter, "length",
                          (json_int_t)plan->image_len, "payloads", candidates, "other_deltas",
                          (int)plan->other_deltas);
    if (plan->chosen >= 0) {
        ota_plan_why(plan, why, sizeof why);
        set(o, "chosen", json_string(plan->candidate[plan->chosen].target));
        set(o, "why", json_string(why));
    }
    return o;
}

void
ota_plan_print(const struct ota_device *d, const struct ota_plan *plan)
{
    char bytes[32];
    char memory[32];
    char why[256];

    printf("installed   %s in slot %c, floor %u\n", plan->installed.image.version,
           ota_slot_name(plan->installed.slot), plan->installed.floor);
    printf("available   %s (release %" PRId64 "), %s bytes, security counter %u\n", plan->version, plan->release,
           ota_grouped(plan->image_len, bytes), plan->security_counter);
    if (plan->chosen < 0) {
        return;
    }
    printf("goes to     slot %c, %s bytes\n", ota_slot_name(plan->idle), ota_grouped(d->config.slot_size, bytes));
    for (unsigned i = 0; i < plan->count; i++) {
        const struct ota_candidate *c = &plan->candidate[i];
        printf("%-11s %-5s %12s bytes, %s bytes of memory  %s%s%s\n", i == 0 ? "payloads" : "",
               c->delta ? "delta" : "full", ota_grouped(c->length, bytes), ota_grouped(c->memory, memory), c->target,
               (int)i == plan->chosen ? "  (chosen)" : "", "");
        if (!c->usable) {
            printf("%-11s       not usable: %s\n", "", c->reason);
        }
    }
    if (plan->other_deltas > 0) {
        printf("%-11s %u %s for other versions\n", "", plan->other_deltas,
               plan->other_deltas == 1 ? "delta" : "deltas");
    }
    ota_plan_why(plan, why, sizeof why);
    printf("why         %s\n", why);
}
