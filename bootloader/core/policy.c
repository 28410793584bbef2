/* SPDX-License-Identifier: Apache-2.0 */
#include "bootloader/core/policy.h"

#include "lib/core/bytes.h"

static void
step_check(struct rb_step *out, uint8_t slot)
{
    out->kind = RB_STEP_CHECK;
    out->slot = slot;
}

static void
step_boot(struct rb_step *out, uint8_t slot, bool append)
{
    out->kind = RB_STEP_BOOT;
    out->slot = slot;
    out->append = append;
    out->append_or_skip = append && out->record.trial == slot;
}

static void
make_active(struct rb_record *record, uint8_t slot, const struct rb_slot_facts *facts)
{
    record->active = slot;
    rb_copy(record->active_digest, facts->digest, sizeof record->active_digest);
}

/* --- a record says what to do ----------------------------------------------------------------------------------- */

/* The active image does not verify any more: whatever else is valid takes over. The record names the one that went
 * bad, as after any fall-back. */
static void
take_over(const struct rb_slot_facts facts[2], struct rb_step *out)
{
    struct rb_record *record = &out->record;
    uint8_t other = record->active == RB_SLOT_A ? RB_SLOT_B : RB_SLOT_A;

    if (facts[other].verdict == RB_SLOT_UNCHECKED) {
        step_check(out, other);
        return;
    }
    if (facts[other].verdict != RB_SLOT_GOOD) {
        out->kind = RB_STEP_HALT;
        return;
    }
    rb_copy(record->trial_digest, record->active_digest, sizeof record->trial_digest);
    make_active(record, other, &facts[other]);
    record->cause = RB_CAUSE_ACTIVE_INVALID;
    step_boot(out, other, true);
}

static void
boot_active(const struct rb_slot_facts facts[2], bool append, struct rb_step *out)
{
    uint8_t slot = out->record.active;

    if (facts[slot].verdict == RB_SLOT_UNCHECKED) {
        step_check(out, slot);
    } else if (facts[slot].verdict == RB_SLOT_GOOD) {
        step_boot(out, slot, append);
    } else {
        take_over(facts, out);
    }
}

static void
fall_back(const struct rb_slot_facts facts[2], uint8_t cause, struct rb_step *out)
{
    out->record.trial = RB_SLOT_NONE;
    out->record.tries_left = 0;
    out->record.cause = cause;
    boot_active(facts, true, out);
}

static void
boot_trial(const struct rb_slot_facts facts[2], struct rb_step *out)
{
    struct rb_record *record = &out->record;
    const struct rb_slot_facts *trial = &facts[record->trial];

    if (record->tries_left == 0) {
        fall_back(facts, RB_CAUSE_TRIES_USED_UP, out);
    } else if (trial->verdict == RB_SLOT_UNCHECKED) {
        step_check(out, record->trial);
    } else if (trial->verdict != RB_SLOT_GOOD
               || !rb_equal(trial->digest, record->trial_digest, sizeof record->trial_digest)) {
        fall_back(facts, RB_CAUSE_TRIAL_INVALID, out);
    } else {
        record->tries_left--;
        record->cause = RB_CAUSE_TRY;
        step_boot(out, record->trial, true);
    }
}

/* --- no record -------------------------------------------------------------------------------------------------- */

static void
boot_without_record(const struct rb_slot_facts facts[2], struct rb_step *out)
{
    struct rb_record *record = &out->record;
    bool both = facts[RB_SLOT_A].verdict == RB_SLOT_GOOD && facts[RB_SLOT_B].verdict == RB_SLOT_GOOD;

    for (uint8_t slot = RB_SLOT_A; slot <= RB_SLOT_B; slot++) {
        if (facts[slot].verdict == RB_SLOT_UNCHECKED) {
            step_check(out, slot);
            return;
        }
    }
    uint8_t lower = RB_SLOT_A;
    uint32_t a = facts[RB_SLOT_A].security_counter;
    uint32_t b = facts[RB_SLOT_B].security_counter;
    if (facts[RB_SLOT_A].verdict != RB_SLOT_GOOD || (both && b < a)) {
        lower = RB_SLOT_B;
    }
    if (facts[lower].verdict != RB_SLOT_GOOD) {
        out->kind = RB_STEP_HALT;
        return;
    }
    make_active(record, lower, &facts[lower]);
    if (record->floor < facts[lower].security_counter) {
        record->floor = facts[lower].security_counter;
    }
    record->cause = RB_CAUSE_JOURNAL_LOST;
    if (!both || a == b) {
        step_boot(out, lower, true);
        return;
    }
    record->trial = lower == RB_SLOT_A ? RB_SLOT_B : RB_SLOT_A;
    record->tries_left = RB_TRIES_MIN - 1; /* this start is the first */
    rb_copy(record->trial_digest, facts[record->trial].digest, sizeof record->trial_digest);
    step_boot(out, record->trial, true);
}

void
rb_policy_decide(const struct rb_journal_view *view, const struct rb_slot_facts facts[2], struct rb_step *out)
{
    *out = (struct rb_step){.record = {.floor = view != NULL ? view->record.floor : 0, .trial = RB_SLOT_NONE}};
    if (view == NULL || !rb_record_valid(&view->record)) {
        boot_without_record(facts, out);
        return;
    }
    out->record = view->record;
    if (view->record.trial != RB_SLOT_NONE) {
        boot_trial(facts, out);
    } else {
        boot_active(facts, view->doubtful, out);
    }
}
