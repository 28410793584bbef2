/* SPDX-License-Identifier: Apache-2.0
 *
 * The decision over every input it has: records with each field at every value that matters (nonsense included), both
 * slots in every state. What must hold is said once, in check_step.
 */
#include "bootloader/core/policy.h"
#include "lib/core/bytes.h"
#include "tests/support/test.h"

#include <stdio.h>

static unsigned long decisions;

/* What a slot may hold: not looked at, bad, or a good image with one of two digests and one of two counters. */
struct content {
    enum rb_slot_verdict verdict;
    uint8_t digest;
    uint32_t counter;
};
static const struct content contents[] = {
    {RB_SLOT_UNCHECKED, 0, 0}, {RB_SLOT_BAD, 0, 0},      {RB_SLOT_GOOD, 0xaa, 5},
    {RB_SLOT_GOOD, 0xaa, 6},   {RB_SLOT_GOOD, 0xbb, 5},  {RB_SLOT_GOOD, 0xbb, 6},
};
#define CONTENTS (sizeof contents / sizeof contents[0])

static void
fill(struct rb_slot_facts *facts, const struct content *c)
{
    *facts = (struct rb_slot_facts){.verdict = c->verdict, .security_counter = c->counter};
    memset(facts->digest, c->digest, sizeof facts->digest);
}

static bool
is_trial_start(const struct rb_step *step)
{
    return step->record.trial == step->slot;
}

/* A start on trial is counted, by a record that has to be stored, for the image the journal names. */
static void
check_trial_start(const struct rb_journal_view *view, const struct rb_slot_facts *slot, const struct rb_step *step)
{
    CHECK(step->append && step->append_or_skip);
    CHECK(rb_equal(slot->digest, step->record.trial_digest, RB_RECORD_DIGEST_LEN));
    if (view == NULL || !rb_record_valid(&view->record)) {
        CHECK(step->record.cause == RB_CAUSE_JOURNAL_LOST && step->record.tries_left == RB_TRIES_MIN - 1);
        return;
    }
    CHECK(view->record.trial == step->slot && view->record.tries_left > 0);
    CHECK(step->record.tries_left == view->record.tries_left - 1);
    CHECK(rb_equal(slot->digest, view->record.trial_digest, RB_RECORD_DIGEST_LEN));
    CHECK(step->record.active == view->record.active && step->record.cause == RB_CAUSE_TRY);
}

/* A start that is not on trial leaves no trial behind, and says in the journal what changed. */
static void
check_plain_start(const struct rb_journal_view *view, const struct rb_slot_facts facts[2], const struct rb_step *step)
{
    const struct rb_record *r = &step->record;

    CHECK(r->trial == RB_SLOT_NONE && r->tries_left == 0 && r->active == step->slot && !step->append_or_skip);
    if (view == NULL || !rb_record_valid(&view->record)) {
        CHECK(step->append && r->cause == RB_CAUSE_JOURNAL_LOST);
        return;
    }
    bool moved = r->active != view->record.active;
    bool ended = view->record.trial != RB_SLOT_NONE;
    CHECK(!(moved || ended || view->doubtful) || step->append);
    CHECK(moved || ended || view->doubtful || !step->append);
    CHECK(!moved || (facts[view->record.active].verdict == RB_SLOT_BAD && r->cause == RB_CAUSE_ACTIVE_INVALID
                     && rb_equal(r->trial_digest, view->record.active_digest, RB_RECORD_DIGEST_LEN)
                     && rb_equal(r->active_digest, facts[step->slot].digest, RB_RECORD_DIGEST_LEN)));
    CHECK(moved || !ended
          || r->cause == (view->record.tries_left == 0 ? RB_CAUSE_TRIES_USED_UP : RB_CAUSE_TRIAL_INVALID));
    CHECK(moved || !ended || rb_equal(r->trial_digest, view->record.trial_digest, RB_RECORD_DIGEST_LEN));
    CHECK(moved || ended || memcmp(r, &view->record, sizeof *r) == 0);
}

static void
check_step(const struct rb_journal_view *view, const struct rb_slot_facts facts[2], const struct rb_step *step)
{
    decisions++;
    if (step->kind == RB_STEP_CHECK) {
        CHECK(step->slot <= RB_SLOT_B && facts[step->slot].verdict == RB_SLOT_UNCHECKED);
        return;
    }
    if (step->kind == RB_STEP_HALT) {
        CHECK(facts[0].verdict == RB_SLOT_BAD && facts[1].verdict == RB_SLOT_BAD);
        return;
    }
    CHECK(step->kind == RB_STEP_BOOT && step->slot <= RB_SLOT_B);
    CHECK(facts[step->slot].verdict == RB_SLOT_GOOD);
    CHECK(rb_record_valid(&step->record));
    if (view != NULL) {
        CHECK(rb_record_valid(&view->record) ? step->record.floor == view->record.floor
                                             : step->record.floor >= view->record.floor);
    } else {
        CHECK(step->record.floor <= facts[step->record.active].security_counter);
    }
    if (is_trial_start(step)) {
        check_trial_start(view, &facts[step->slot], step);
    } else {
        check_plain_start(view, facts, step);
    }
}

/* All states of both slots, and from each the whole way to the end: at most two checks. */
static void
check_all_slots(const struct rb_journal_view *view)
{
    for (size_t a = 0; a < CONTENTS; a++) {
        for (size_t b = 0; b < CONTENTS; b++) {
            struct rb_slot_facts facts[2];
            struct rb_step step;
            fill(&facts[0], &contents[a]);
            fill(&facts[1], &contents[b]);
            rb_policy_decide(view, facts, &step);
            check_step(view, facts, &step);
        }
    }
}

static void
check_way_to_the_end(const struct rb_journal_view *view)
{
    for (size_t a = 1; a < CONTENTS; a++) {
        for (size_t b = 1; b < CONTENTS; b++) {
            const struct content *truth[2] = {&contents[a], &contents[b]};
            struct rb_slot_facts facts[2] = {{.verdict = RB_SLOT_UNCHECKED}, {.verdict = RB_SLOT_UNCHECKED}};
            struct rb_step step;
            int checks = 0;
            rb_policy_decide(view, facts, &step);
            while (step.kind == RB_STEP_CHECK) {
                check_step(view, facts, &step);
                CHECK(++checks <= 2);
                fill(&facts[step.slot], truth[step.slot]);
                rb_policy_decide(view, facts, &step);
            }
            check_step(view, facts, &step);
            if (step.kind == RB_STEP_BOOT && step.append_or_skip) { /* it cannot be stored */
                facts[step.slot].verdict = RB_SLOT_BAD;
                uint8_t skipped = step.slot;
                do {
                    rb_policy_decide(view, facts, &step);
                    check_step(view, facts, &step);
                    if (step.kind == RB_STEP_CHECK) {
                        fill(&facts[step.slot], truth[step.slot]);
                    }
                } while (step.kind == RB_STEP_CHECK);
                CHECK(step.kind == RB_STEP_HALT || step.slot != skipped);
            }
        }
    }
}

TEST(decision_holds_its_promises_for_every_input)
{
    static const uint8_t slots[] = {RB_SLOT_A, RB_SLOT_B, 2, 0x80, RB_SLOT_NONE};
    static const uint8_t tries[] = {0, 1, 2, 3, 14, 15, 16, 255};
    static const uint32_t floors[] = {0, 5, 6, 0xffffffff};
    static const uint8_t digests[] = {0, 0xaa, 0xbb};

    for (size_t active = 0; active < sizeof slots; active++) {
        for (size_t trial = 0; trial < sizeof slots; trial++) {
            for (size_t t = 0; t < sizeof tries; t++) {
                for (unsigned rest = 0; rest < 4 * 3 * 3 * 2; rest++) {
                    for (unsigned cause = 0; cause <= RB_CAUSE_MAX + 1; cause++) {
                        struct rb_journal_view view = {.record = {.seq = 7,
                                                                  .floor = floors[rest % 4],
                                                                  .active = slots[active],
                                                                  .trial = slots[trial],
                                                                  .tries_left = tries[t],
                                                                  .cause = (uint8_t)cause},
                                                       .doubtful = rest / 36 % 2 != 0};
                        memset(view.record.active_digest, digests[rest / 4 % 3], RB_RECORD_DIGEST_LEN);
                        memset(view.record.trial_digest, digests[rest / 12 % 3], RB_RECORD_DIGEST_LEN);
                        check_all_slots(&view);
                        check_way_to_the_end(&view);
                    }
                }
            }
        }
    }
    check_all_slots(NULL);
    check_way_to_the_end(NULL);
    printf("note: %lu decisions\n", decisions);
    CHECK(decisions > 10000000);
}

static struct rb_step
decide(const struct rb_record *record, struct content a, struct content b)
{
    struct rb_journal_view view = {0};
    struct rb_slot_facts facts[2];
    struct rb_step step;

    fill(&facts[0], &a);
    fill(&facts[1], &b);
    if (record != NULL) {
        view.record = *record;
    }
    rb_policy_decide(record != NULL ? &view : NULL, facts, &step);
    return step;
}

static const struct content unchecked = {RB_SLOT_UNCHECKED, 0, 0};
static const struct content bad = {RB_SLOT_BAD, 0, 0};
static const struct content good_aa = {RB_SLOT_GOOD, 0xaa, 5};
static const struct content good_bb = {RB_SLOT_GOOD, 0xbb, 6};

static struct rb_record
on_trial(uint8_t tries)
{
    struct rb_record r = {.seq = 1, .floor = 5, .active = RB_SLOT_A, .trial = RB_SLOT_B, .tries_left = tries,
                          .cause = RB_CAUSE_ARMED};

    memset(r.active_digest, 0xaa, sizeof r.active_digest);
    memset(r.trial_digest, 0xbb, sizeof r.trial_digest);
    return r;
}

TEST(only_the_slot_that_will_boot_is_checked)
{
    struct rb_record r = on_trial(3);
    struct rb_step step = decide(&r, unchecked, unchecked);

    CHECK(step.kind == RB_STEP_CHECK && step.slot == RB_SLOT_B);
    step = decide(&r, unchecked, good_bb);
    CHECK(step.kind == RB_STEP_BOOT && step.slot == RB_SLOT_B);
    r = on_trial(0);
    step = decide(&r, unchecked, unchecked);
    CHECK(step.kind == RB_STEP_CHECK && step.slot == RB_SLOT_A);
    step = decide(&r, good_aa, unchecked);
    CHECK(step.kind == RB_STEP_BOOT && step.slot == RB_SLOT_A && step.record.cause == RB_CAUSE_TRIES_USED_UP);
}

/* A device with one valid image boots it, even one that failed its trial: it may be able to update itself. */
TEST(IMAGE_08_what_is_left_boots)
{
    struct rb_record r = on_trial(0);
    struct rb_step step = decide(&r, bad, good_bb);

    CHECK(step.kind == RB_STEP_BOOT && step.slot == RB_SLOT_B && step.record.active == RB_SLOT_B);
    CHECK(step.record.cause == RB_CAUSE_ACTIVE_INVALID);
    r.trial = RB_SLOT_NONE;
    step = decide(&r, bad, good_bb);
    CHECK(step.kind == RB_STEP_BOOT && step.slot == RB_SLOT_B);
    step = decide(&r, bad, bad);
    CHECK(step.kind == RB_STEP_HALT);
}

TEST(without_a_journal_the_higher_counter_goes_first_on_trial)
{
    struct rb_step step = decide(NULL, good_aa, good_bb);

    CHECK(step.kind == RB_STEP_BOOT && step.slot == RB_SLOT_B && step.record.trial == RB_SLOT_B);
    CHECK(step.record.active == RB_SLOT_A && step.record.floor == 5 && step.record.tries_left == 2);
    step = decide(NULL, good_bb, good_aa);
    CHECK(step.slot == RB_SLOT_A && step.record.trial == RB_SLOT_A && step.record.active == RB_SLOT_B);
    step = decide(NULL, good_aa, good_aa);
    CHECK(step.slot == RB_SLOT_A && step.record.trial == RB_SLOT_NONE && step.record.floor == 5);
    step = decide(NULL, bad, good_bb);
    CHECK(step.slot == RB_SLOT_B && step.record.trial == RB_SLOT_NONE && step.record.floor == 6);
    step = decide(NULL, good_aa, bad);
    CHECK(step.slot == RB_SLOT_A && step.record.floor == 5);
    CHECK(decide(NULL, bad, bad).kind == RB_STEP_HALT);
}
