/* SPDX-License-Identifier: Apache-2.0 */
#include "ota/flow.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "ota/spool.h"
#include "ota/stage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *
ota_cause_text(uint8_t cause)
{
    switch (cause) {
    case RB_CAUSE_REJECTED:
        return "rejected";
    case RB_CAUSE_TRIES_USED_UP:
        return "never confirmed: all starts used up";
    case RB_CAUSE_TRIAL_INVALID:
        return "the loader found the image not valid";
    case RB_CAUSE_CANCELLED:
        return "taken back before its first start";
    default:
        return "the journal no longer knows it";
    }
}

static bool
is_fall_back(uint8_t cause)
{
    return cause == RB_CAUSE_REJECTED || cause == RB_CAUSE_TRIES_USED_UP || cause == RB_CAUSE_TRIAL_INVALID;
}

static void
set_text(char *out, size_t room, const char *text)
{
    (void)snprintf(out, room, "%s", text);
}

/* --- ends of an attempt ----------------------------------------------------------------------------------------- */

static rb_err
end_attempt(struct ota_device *d, struct ota_attempt *a, const char *outcome, rb_err error, bool quarantine)
{
    set_text(a->outcome, sizeof a->outcome, outcome);
    set_text(a->error, sizeof a->error, error != RB_OK ? rb_err_name(error) : "");
    RB_TRY(ota_state_enter(d, OTA_REPORT, a->id));
    RB_TRY(ota_attempt_end(d, a, quarantine));
    ota_event(d, error == RB_OK ? "info" : "warn", "attempt.end", "id=%" PRId64 " version=%s outcome=%s detail=\"%s\"",
              a->id, a->version, outcome, a->detail);
    return ota_spool_clear(d->spool_dir);
}

static rb_err
end_fallen_back(struct ota_device *d, struct ota_attempt *a, uint8_t cause)
{
    if (a->detail[0] == '\0' || cause != RB_CAUSE_REJECTED) { /* a rejection's own words were stored before it */
        set_text(a->detail, sizeof a->detail, ota_cause_text(cause));
    }
    return end_attempt(d, a, "fell-back", RB_ERR_AGENT_HEALTH, true);
}

/* --- the journal is right --------------------------------------------------------------------------------------- */

/* An attempt that the database knows, after something may have happened without us. */
static rb_err
reconcile_attempt(struct ota_device *d, const struct rb_record *r, enum ota_state state, struct ota_attempt *a)
{
    bool names_trial = ota_digest_is(r->trial_digest, a->digest);

    if (r->trial != RB_SLOT_NONE && names_trial) {
        return ota_state_enter(d, r->cause == RB_CAUSE_ARMED ? OTA_WAIT : OTA_TRIAL, a->id);
    }
    if (r->trial == RB_SLOT_NONE && ota_digest_is(r->active_digest, a->digest)) {
        a->detail[0] = '\0';
        return end_attempt(d, a, "confirmed", RB_OK, false);
    }
    if (state < OTA_ARM) {
        return RB_OK; /* still before the journal is asked for anything */
    }
    if (r->trial == RB_SLOT_NONE && names_trial) {
        if (r->cause == RB_CAUSE_CANCELLED) {
            set_text(a->detail, sizeof a->detail, ota_cause_text(r->cause));
            return end_attempt(d, a, "cancelled", RB_OK, false);
        }
        return end_fallen_back(d, a, r->cause);
    }
    if (state == OTA_ARM) {
        return ota_state_enter(d, OTA_VERIFY, a->id); /* the record was never written */
    }
    set_text(a->detail, sizeof a->detail, ota_cause_text(0));
    return end_attempt(d, a, "failed", RB_ERR_JOURNAL_STATE, false);
}

/* A trial that this database does not know: read what can be known from the slot. */
static rb_err
adopt(struct ota_device *d, const struct rb_record *r, uint8_t slot, struct ota_attempt *a)
{
    struct ota_slot there;

    memset(a, 0, sizeof *a);
    a->slot = slot;
    memcpy(a->digest, r->trial_digest, RB_RECORD_DIGEST_LEN);
    set_text(a->version, sizeof a->version, "unknown");
    ota_slot_read(d, slot, &there);
    if (there.err == RB_OK && ota_digest_is(r->trial_digest, there.image.digest)) {
        memcpy(a->digest, there.image.digest, sizeof a->digest);
        set_text(a->version, sizeof a->version, there.image.version);
        a->image_len = rb_image_len(&there.image);
        a->security_counter = there.image.security_counter;
    }
    return ota_attempt_start(d, a);
}

static rb_err
reconcile_unknown(struct ota_device *d, const struct rb_record *r)
{
    struct ota_attempt a;

    if (r->trial != RB_SLOT_NONE) {
        RB_TRY(adopt(d, r, r->trial, &a));
        return ota_state_enter(d, r->cause == RB_CAUSE_ARMED ? OTA_WAIT : OTA_TRIAL, a.id);
    }
    if (d->db_rebuilt && is_fall_back(r->cause) && !rb_all(r->trial_digest, sizeof r->trial_digest, 0)) {
        RB_TRY(adopt(d, r, r->active == RB_SLOT_A ? RB_SLOT_B : RB_SLOT_A, &a));
        return end_fallen_back(d, &a, r->cause);
    }
    return RB_OK;
}

rb_err
ota_reconcile(struct ota_device *d)
{
    struct rb_record record;
    struct ota_attempt a;
    enum ota_state state;
    int64_t id;

    if (d->db_rebuilt) {
        ota_event(d, "warn", "database.new", "detail=\"missing or damaged; read back from journal and slots\"");
    }
    rb_err err = ota_record(d, &record);
    if (err == RB_ERR_JOURNAL_NONE) {
        return RB_OK; /* the next boot writes a record; until then there is nothing to compare with */
    }
    RB_TRY(err);
    RB_TRY(ota_state_now(d, &state, &id));
    err = id != 0 ? ota_attempt_read(d, id, &a) : RB_ERR_NOT_FOUND;
    if (err == RB_ERR_NOT_FOUND) {
        return reconcile_unknown(d, &record);
    }
    RB_TRY(err);
    return reconcile_attempt(d, &record, state, &a);
}

/* --- CHECK and PLAN --------------------------------------------------------------------------------------------- */

static rb_err
check_steps(struct ota_device *d, struct rb_http *http, const struct ota_wish *wish, int64_t attempt,
            struct ota_plan *plan)
{
    struct rb_tuf *tuf = NULL;

    RB_TRY(ota_state_enter(d, OTA_CHECK, attempt));
    RB_TRY(ota_metadata(d, http, &tuf));
    rb_err err = ota_state_enter(d, OTA_PLAN, attempt);
    if (err == RB_OK) {
        err = ota_plan_make(d, tuf, wish, plan);
    }
    rb_tuf_close(tuf); /* before anything large begins: parsed metadata is the biggest thing in memory */
    return err;
}

rb_err
ota_check(struct ota_device *d, struct rb_http *http, const struct ota_wish *wish, struct ota_plan *plan)
{
    enum ota_state before;
    int64_t attempt;

    RB_TRY(ota_state_now(d, &before, &attempt));
    rb_err err = check_steps(d, http, wish, attempt, plan);
    /* CHECK and PLAN leave nothing behind: whatever came of them, the state is the one before. */
    if (before == OTA_CHECK || before == OTA_PLAN) { /* an earlier run was killed there */
        before = attempt != 0 ? OTA_STAGE : OTA_IDLE;
    }
    rb_err back = ota_state_enter(d, before, attempt);
    return err != RB_OK ? err : back;
}

/* --- STAGE, VERIFY, ARM ----------------------------------------------------------------------------------------- */

/* The open attempt when it is at the same image; an open one at another image is over. */
static rb_err
take_up(struct ota_device *d, const struct ota_plan *plan, struct ota_attempt *a)
{
    enum ota_state state;
    int64_t id;

    RB_TRY(ota_state_now(d, &state, &id));
    rb_err err = id != 0 ? ota_attempt_read(d, id, a) : RB_ERR_NOT_FOUND;
    if (err == RB_OK && rb_equal(a->digest, plan->image_digest, sizeof a->digest) && a->slot == plan->idle) {
        return RB_OK;
    }
    if (err == RB_OK) {
        set_text(a->detail, sizeof a->detail, "a newer release took its place");
        RB_TRY(end_attempt(d, a, "superseded", RB_OK, false));
    } else if (err != RB_ERR_NOT_FOUND) {
        return err;
    }
    memset(a, 0, sizeof *a);
    a->release = plan->release;
    a->image_len = (int64_t)plan->image_len;
    a->security_counter = plan->security_counter;
    a->slot = plan->idle;
    memcpy(a->digest, plan->image_digest, sizeof a->digest);
    set_text(a->version, sizeof a->version, plan->version);
    RB_TRY(ota_attempt_start(d, a));
    ota_event(d, "info", "attempt.start", "id=%" PRId64 " release=%" PRId64 " version=%s slot=%c", a->id, a->release,
              a->version, ota_slot_name(a->slot));
    return RB_OK;
}

static rb_err
use_candidate(struct ota_device *d, const struct ota_plan *plan, struct ota_attempt *a)
{
    const struct ota_candidate *c = &plan->candidate[plan->chosen];

    if (strcmp(a->payload, c->target) != 0) {
        a->payload_fetched = 0;
    }
    set_text(a->payload, sizeof a->payload, c->target);
    a->payload_len = (int64_t)c->length;
    set_text(a->from_version, sizeof a->from_version, c->from_version);
    RB_TRY(ota_attempt_payload(d, a));
    return ota_state_enter(d, OTA_STAGE, a->id);
}

/* One sentence of what failed: the error and what is known about it. */
static void
describe(rb_err err, char *out, size_t room)
{
    const char *detail = rb_fail_detail();

    (void)snprintf(out, room, "%s%s%s", rb_err_text(err), detail[0] != '\0' ? ": " : "", detail);
}

/* Try the chosen payload, then the next best, as long as one is refused and another is left. */
static rb_err
stage(struct ota_device *d, struct rb_http *http, struct ota_plan *plan, struct ota_attempt *a,
      struct rb_progress *progress)
{
    for (;;) {
        RB_TRY(use_candidate(d, plan, a));
        rb_err err = ota_stage(d, http, plan, a, progress);
        rb_err stored = ota_attempt_counted(d, a);
        if (err == RB_OK || rb_err_class_of(err) != RB_CLASS_REJECT) {
            return err != RB_OK ? err : stored;
        }
        const struct ota_candidate *c = &plan->candidate[plan->chosen];
        char detail[200];
        char why[200];
        set_text(detail, sizeof detail, rb_fail_detail());
        describe(err, why, sizeof why);
        rb_fail_clear();
        struct ota_plan next = *plan;
        if (ota_plan_without(&next, plan->chosen, why) != RB_OK) {
            rb_fail_clear();
            return rb_fail(err, "%s", detail);
        }
        RB_TRY(ota_refused_add(d, c->header_sha256, why)); /* a restart must not try it again */
        (void)snprintf(a->detail, sizeof a->detail, "%s %s refused: %s", c->delta ? "delta" : "payload", c->target,
                       why);
        ota_event(d, "warn", "stage.refused", "id=%" PRId64 " payload=%s err=%s detail=\"%s\"", a->id, c->target,
                  rb_err_name(err), why);
        if (d->say != NULL) {
            char line[600];
            (void)snprintf(line, sizeof line, "%s; taking %s", a->detail, next.candidate[next.chosen].target);
            d->say(line);
        }
        *plan = next;
    }
}

/* Read the whole slot back, as the loader will. When that fails the flash lost something since it was written: its
 * first sector goes, so that the next run starts over and does not trust the rest. */
static rb_err
verify(struct ota_device *d, const struct ota_plan *plan, const struct ota_attempt *a)
{
    struct rb_image_policy policy = ota_policy(d, plan->idle, plan->installed.floor);
    uint32_t slot = d->config.slot[plan->idle];
    uint8_t scratch[RB_IMAGE_CHUNK_LEN];
    struct rb_image image;

    RB_TRY(ota_state_enter(d, OTA_VERIFY, a->id));
    rb_err err = rb_image_slot_verify(&d->flash, slot, &d->keys, &policy, scratch, &image);
    if (err == RB_OK && !rb_equal(image.digest, plan->image_digest, sizeof image.digest)) {
        err = RB_ERR_IMAGE_BODY;
    }
    if (err == RB_OK) {
        return RB_OK;
    }
    RB_TRY(d->flash.erase(d->flash.ctx, slot));
    return rb_fail(RB_ERR_FLASH_VERIFY, "slot %c: %s", ota_slot_name(plan->idle), rb_err_text(err));
}

static rb_err
arm(struct ota_device *d, const struct ota_plan *plan, const struct ota_attempt *a)
{
    RB_TRY(rb_flashfile_sync(&d->file));
    RB_TRY(ota_state_enter(d, OTA_ARM, a->id));
    RB_TRY(rb_journal_arm(&d->journal, plan->idle, plan->image_digest, (uint8_t)d->settings.tries));
    RB_TRY(rb_flashfile_sync(&d->file));
    RB_TRY(ota_state_enter(d, OTA_WAIT, a->id));
    ota_event(d, "info", "armed", "id=%" PRId64 " version=%s slot=%c tries=%u fetched=%" PRId64, a->id, a->version,
              ota_slot_name(plan->idle), d->settings.tries, a->fetched);
    return ota_spool_clear(d->spool_dir);
}

static rb_err
install(struct ota_device *d, struct rb_http *http, const struct ota_wish *wish, struct rb_progress *progress,
        struct ota_outcome *out)
{
    struct ota_plan *plan = &out->plan;

    RB_TRY(take_up(d, plan, &out->attempt));
    if (wish->retry) {
        RB_TRY(ota_quarantine_lift(d, plan->image_digest));
        RB_TRY(ota_refused_clear(d));
    }
    rb_err err = stage(d, http, plan, &out->attempt, progress);
    if (err == RB_OK) {
        err = verify(d, plan, &out->attempt);
    }
    if (err == RB_OK) {
        return arm(d, plan, &out->attempt);
    }
    char why[sizeof out->attempt.detail];
    describe(err, why, sizeof why);
    ota_event(d, "error", "attempt.failed", "id=%" PRId64 " err=%s detail=\"%s\"", out->attempt.id, rb_err_name(err),
              why);
    if (rb_err_class_of(err) == RB_CLASS_REJECT) {
        set_text(out->attempt.detail, sizeof out->attempt.detail, why);
        RB_TRY(end_attempt(d, &out->attempt, "failed", err, false));
    }
    return err;
}

/* An image armed before this run: wait for the reboot, or say that its trial is under way. */
static rb_err
armed_before(struct ota_device *d, bool *armed, struct ota_outcome *out)
{
    struct rb_record record;
    enum ota_state state;
    int64_t id;

    *armed = false;
    RB_TRY(ota_record(d, &record));
    if (record.trial == RB_SLOT_NONE) {
        return RB_OK;
    }
    RB_TRY(ota_state_now(d, &state, &id));
    RB_TRY(ota_attempt_read(d, id, &out->attempt)); /* ota_reconcile has seen to it that there is one */
    if (record.cause != RB_CAUSE_ARMED) {
        return rb_fail(RB_ERR_AGENT_STATE, "%s is on trial: 'ota confirm' or 'ota rollback' ends it",
                       out->attempt.version);
    }
    *armed = true;
    out->done = OTA_ARMED;
    out->was_armed = true;
    return RB_OK;
}

rb_err
ota_update(struct ota_device *d, const struct ota_wish *wish, struct rb_progress *progress, struct ota_outcome *out)
{
    struct rb_http *http = NULL;
    bool armed;

    memset(out, 0, sizeof *out);
    RB_TRY(armed_before(d, &armed, out));
    if (armed) {
        return RB_OK;
    }
    RB_TRY(ota_http_open(d, &http));
    rb_err err = ota_check(d, http, wish, &out->plan);
    if (err == RB_OK && out->plan.up_to_date) {
        out->done = OTA_UP_TO_DATE;
    } else if (err == RB_OK && out->plan.quarantined && !wish->retry) {
        out->done = OTA_QUARANTINED;
    } else if (err == RB_OK) {
        out->done = OTA_ARMED;
        err = install(d, http, wish, progress, out);
    }
    out->received = rb_http_received(http);
    rb_http_close(http);
    return err;
}

/* --- TRIAL, COMMIT, ROLLBACK ------------------------------------------------------------------------------------ */

/* The boot report must be of a start of the image on trial, and of the last one. */
static rb_err
check_running(const struct ota_device *d, const struct rb_record *r, struct ota_boot_report *report)
{
    if (r->cause == RB_CAUSE_ARMED) {
        return rb_fail(RB_ERR_AGENT_STATE, "the image has not been started: reboot first");
    }
    RB_TRY(ota_boot_report_read(d, report));
    if (!report->booted || report->slot != r->trial || !ota_digest_is(r->trial_digest, report->digest)
        || !report->trial || report->tries_left != r->tries_left) {
        return rb_fail(RB_ERR_AGENT_STATE, "the boot report is not of a start of the image on trial");
    }
    return RB_OK;
}

static rb_err
commit(struct ota_device *d, struct ota_attempt *a, const struct ota_slot *slot, struct ota_verdict *out)
{
    struct rb_record record;

    RB_TRY(ota_state_enter(d, OTA_COMMIT, a->id));
    RB_TRY(rb_journal_confirm(&d->journal, slot->image.digest, slot->image.security_counter));
    RB_TRY(rb_flashfile_sync(&d->file));
    RB_TRY(ota_record(d, &record));
    out->floor = record.floor;
    a->detail[0] = '\0';
    return end_attempt(d, a, "confirmed", RB_OK, false);
}

/* The cause is stored first: whatever happens from here on, the report of the fall-back will say why. */
static rb_err
reject(struct ota_device *d, struct ota_attempt *a, const char *why)
{
    set_text(a->detail, sizeof a->detail, why);
    RB_TRY(ota_attempt_payload(d, a));
    RB_TRY(ota_state_enter(d, OTA_ROLLBACK, a->id));
    RB_TRY(rb_journal_reject(&d->journal, a->digest));
    RB_TRY(rb_flashfile_sync(&d->file));
    return end_fallen_back(d, a, RB_CAUSE_REJECTED);
}

rb_err
ota_confirm(struct ota_device *d, struct ota_verdict *out)
{
    struct ota_boot_report report;
    struct rb_record record;
    struct ota_attempt a;
    struct ota_slot slot;
    enum ota_state state;
    int64_t id;

    memset(out, 0, sizeof *out);
    RB_TRY(ota_record(d, &record));
    out->nothing_on_trial = record.trial == RB_SLOT_NONE;
    out->slot = out->nothing_on_trial ? record.active : record.trial;
    out->floor = record.floor;
    ota_slot_read(d, out->slot, &slot);
    if (slot.err == RB_OK) {
        set_text(out->version, sizeof out->version, slot.image.version);
    }
    if (out->nothing_on_trial) {
        return RB_OK;
    }
    RB_TRY(check_running(d, &record, &report));
    RB_TRY(slot.err);
    RB_TRY(ota_state_now(d, &state, &id));
    RB_TRY(ota_attempt_read(d, id, &a));
    RB_TRY(ota_state_enter(d, OTA_TRIAL, a.id));
    rb_err err = ota_health(d, &report);
    if (err == RB_OK) {
        return commit(d, &a, &slot, out);
    }
    if (err == RB_ERR_AGENT_HEALTH) {
        char why[sizeof a.detail];
        set_text(why, sizeof why, rb_fail_detail());
        rb_fail_clear();
        RB_TRY(reject(d, &a, why));
        return rb_fail(RB_ERR_AGENT_HEALTH, "%s", why);
    }
    return err;
}

static rb_err
take_back(struct ota_device *d, struct ota_attempt *a)
{
    RB_TRY(rb_journal_cancel(&d->journal));
    RB_TRY(rb_flashfile_sync(&d->file));
    set_text(a->detail, sizeof a->detail, ota_cause_text(RB_CAUSE_CANCELLED));
    return end_attempt(d, a, "cancelled", RB_OK, false);
}

/* Arm the slot that is not active. The image we leave is kept from coming back by itself. */
static rb_err
arm_other(struct ota_device *d, const struct rb_record *r, struct ota_attempt *a)
{
    uint8_t other = r->active == RB_SLOT_A ? RB_SLOT_B : RB_SLOT_A;
    struct rb_image_policy policy = ota_policy(d, other, r->floor);
    uint8_t scratch[RB_IMAGE_CHUNK_LEN];
    struct rb_image image;
    struct ota_slot now;

    rb_err err = rb_image_slot_verify(&d->flash, d->config.slot[other], &d->keys, &policy, scratch, &image);
    if (err != RB_OK) {
        return rb_fail(err, "slot %c", ota_slot_name(other));
    }
    memset(a, 0, sizeof *a);
    a->slot = other;
    memcpy(a->digest, image.digest, sizeof a->digest);
    set_text(a->version, sizeof a->version, image.version);
    a->image_len = rb_image_len(&image);
    a->security_counter = image.security_counter;
    ota_slot_read(d, r->active, &now);
    RB_TRY(ota_quarantine_add(d, r->active_digest, now.err == RB_OK ? now.image.version : "unknown",
                              "rolled back by hand"));
    RB_TRY(ota_quarantine_lift(d, image.digest));
    RB_TRY(ota_attempt_start(d, a));
    RB_TRY(ota_state_enter(d, OTA_ARM, a->id));
    RB_TRY(rb_journal_arm(&d->journal, other, image.digest, (uint8_t)d->settings.tries));
    RB_TRY(rb_flashfile_sync(&d->file));
    return ota_state_enter(d, OTA_WAIT, a->id);
}

rb_err
ota_rollback(struct ota_device *d, enum ota_back *out, char version[RB_IMAGE_VERSION_LEN + 1])
{
    struct rb_record record;
    struct ota_attempt a;
    enum ota_state state;
    int64_t id;

    RB_TRY(ota_record(d, &record));
    if (record.trial == RB_SLOT_NONE) {
        RB_TRY(arm_other(d, &record, &a));
        *out = OTA_BACK_ARMED;
    } else {
        RB_TRY(ota_state_now(d, &state, &id));
        RB_TRY(ota_attempt_read(d, id, &a));
        if (record.cause == RB_CAUSE_ARMED) {
            RB_TRY(take_back(d, &a));
            *out = OTA_BACK_CANCELLED;
        } else {
            RB_TRY(reject(d, &a, "rolled back by hand"));
            *out = OTA_BACK_REJECTED;
        }
    }
    set_text(version, RB_IMAGE_VERSION_LEN + 1, a.version);
    return RB_OK;
}
