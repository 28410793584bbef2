/* SPDX-License-Identifier: Apache-2.0
 *
 * The loader as a whole, on a device: what is verified, what is started, what is written.
 */
#include "tests/support/device.h"
#include "tests/support/test.h"

static struct device d;
static struct device_image v1;
static struct device_image v2;

/* Slot A: version 1, confirmed, floor 1. Slot B: version 2, counter 2. */
static void
set_up(void)
{
    device_image(&v1, 1, 1);
    device_image(&v2, 2, 2);
    device_free(&d);
    device_init(&d, 1024, 8);
    device_put(&d, RB_SLOT_A, &v1);
    device_put(&d, RB_SLOT_B, &v2);
    device_factory(&d, &v1, 1);
    CHECK_OK(device_boot(&d)); /* settles the journal */
}

static void
arm(void)
{
    CHECK_OK(rb_journal_arm(&d.journal, RB_SLOT_B, v2.parsed.digest, 3));
}

static bool
runs(const struct device_image *image)
{
    return memcmp(d.handoff.image.digest, image->parsed.digest, RB_SHA256_LEN) == 0
           && memcmp(d.handoff.body, image->data + RB_IMAGE_BODY_OFFSET, image->parsed.body_len) == 0;
}

TEST(a_settled_device_boots_without_writing)
{
    set_up();
    uint64_t ops = d.flash.ops;
    CHECK_OK(device_boot(&d));
    CHECK(runs(&v1) && !d.handoff.trial && d.flash.ops == ops);
    CHECK(d.handoff.cause == RB_CAUSE_FACTORY && d.handoff.floor == 1 && d.handoff.slot == RB_SLOT_A);
    CHECK(d.events[RB_BOOT_VERIFIED] == 1); /* the other slot costs nothing */
}

TEST(a_trial_is_counted_before_it_starts_and_falls_back_when_used_up)
{
    set_up();
    arm();
    for (uint8_t left = 3; left > 0; left--) {
        CHECK_OK(device_boot(&d));
        CHECK(runs(&v2) && d.handoff.trial && d.handoff.tries_left == left - 1);
        struct rb_record r = device_record(&d);
        CHECK(r.tries_left == left - 1 && r.seq == d.handoff.record_seq && r.cause == RB_CAUSE_TRY);
    }
    CHECK_OK(device_boot(&d));
    CHECK(runs(&v1) && !d.handoff.trial && d.handoff.cause == RB_CAUSE_TRIES_USED_UP && d.handoff.floor == 1);
    CHECK(memcmp(device_record(&d).trial_digest, v2.parsed.digest, RB_RECORD_DIGEST_LEN) == 0);
}

TEST(TRUST_05_floor_rises_with_the_confirm)
{
    set_up();
    arm();
    CHECK_OK(device_boot(&d));
    CHECK(d.handoff.floor == 1);
    CHECK_OK(rb_journal_confirm(&d.journal, v2.parsed.digest, 2));
    CHECK_OK(device_boot(&d));
    CHECK(runs(&v2) && !d.handoff.trial && d.handoff.floor == 2 && d.handoff.cause == RB_CAUSE_CONFIRMED);
}

/* TRUST-01: version 1 is planted in the idle slot and armed; the loader refuses on its own. */
TEST(TRUST_01_an_image_below_the_floor_is_not_started)
{
    set_up();
    arm();
    CHECK_OK(device_boot(&d));
    CHECK_OK(rb_journal_confirm(&d.journal, v2.parsed.digest, 2));
    CHECK_OK(rb_journal_arm(&d.journal, RB_SLOT_A, v1.parsed.digest, 3));
    CHECK_OK(device_boot(&d));
    CHECK(runs(&v2) && d.handoff.cause == RB_CAUSE_TRIAL_INVALID && d.refused[RB_SLOT_A] == RB_ERR_IMAGE_ROLLBACK);
    CHECK(d.handoff.floor == 2);
}

TEST(TRUST_24_an_image_for_other_hardware_is_not_started)
{
    const struct forge_image_spec spec = {
        .version = "9", .hardware = {"board-ab"}, .hardware_count = 1, .security_counter = 9};
    struct device_image other;

    set_up();
    device_image_of(&other, &spec, v1.data, 100, 0);
    device_put(&d, RB_SLOT_B, &other);
    CHECK_OK(rb_journal_arm(&d.journal, RB_SLOT_B, other.parsed.digest, 3));
    CHECK_OK(device_boot(&d));
    CHECK(runs(&v1) && d.refused[RB_SLOT_B] == RB_ERR_IMAGE_HARDWARE);
}

TEST(an_image_of_another_signer_is_not_started)
{
    const struct forge_image_spec spec = {
        .version = "9", .hardware = {DEVICE_HARDWARE}, .hardware_count = 1, .security_counter = 9};
    struct device_image other;

    set_up();
    device_image_of(&other, &spec, v1.data, 100, 1);
    device_put(&d, RB_SLOT_B, &other);
    CHECK_OK(rb_journal_arm(&d.journal, RB_SLOT_B, other.parsed.digest, 3));
    CHECK_OK(device_boot(&d));
    CHECK(runs(&v1) && d.refused[RB_SLOT_B] == RB_ERR_IMAGE_SIGNATURE);
}

/* A good, signed image that is not the one the journal names. */
TEST(a_trial_of_another_image_than_the_armed_one_is_not_started)
{
    struct device_image v3;

    set_up();
    arm();
    device_image(&v3, 3, 3);
    device_put(&d, RB_SLOT_B, &v3);
    CHECK_OK(device_boot(&d));
    CHECK(runs(&v1) && d.handoff.cause == RB_CAUSE_TRIAL_INVALID);
}

TEST(IMAGE_07_rot_in_the_idle_slot_refuses_the_trial)
{
    static const uint32_t places[] = {0, 9, 100, 447, 448, 511, 512, 575, 576, 4095, 4096, 8191, 8192, 10095};

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        set_up();
        arm();
        device_rot(&d, d.config.slot[RB_SLOT_B] + places[i], i % 8);
        CHECK_OK(device_boot(&d));
        CHECK(runs(&v1) && d.handoff.cause == RB_CAUSE_TRIAL_INVALID && d.refused[RB_SLOT_B] != RB_OK);
    }
}

TEST(IMAGE_08_rot_in_the_active_slot_starts_the_other_one)
{
    set_up();
    device_rot(&d, d.config.slot[RB_SLOT_A] + 5000, 2);
    CHECK_OK(device_boot(&d));
    CHECK(runs(&v2) && !d.handoff.trial && d.handoff.cause == RB_CAUSE_ACTIVE_INVALID);
    struct rb_record r = device_record(&d);
    CHECK(r.active == RB_SLOT_B && memcmp(r.trial_digest, v1.parsed.digest, RB_RECORD_DIGEST_LEN) == 0);
}

TEST(IMAGE_08_rot_in_the_active_slot_does_not_open_the_floor)
{
    set_up();
    arm();
    CHECK_OK(device_boot(&d));
    CHECK_OK(rb_journal_confirm(&d.journal, v2.parsed.digest, 2));
    device_rot(&d, d.config.slot[RB_SLOT_B] + 5000, 2);
    CHECK_ERR(device_boot(&d), RB_ERR_NOT_FOUND); /* version 1 is below the floor */
    CHECK(d.refused[RB_SLOT_A] == RB_ERR_IMAGE_ROLLBACK && d.refused[RB_SLOT_B] == RB_ERR_IMAGE_BODY);
}

TEST(IMAGE_09_both_banks_bad_halts_the_same_way_every_time)
{
    set_up();
    device_rot(&d, d.config.slot[RB_SLOT_A] + 5000, 2);
    device_rot(&d, d.config.slot[RB_SLOT_B] + 5000, 2);
    uint64_t ops = d.flash.ops;
    for (int i = 0; i < 3; i++) {
        CHECK_ERR(device_boot(&d), RB_ERR_NOT_FOUND);
        CHECK(d.events[RB_BOOT_HALT] == 1 && d.events[RB_BOOT_START] == 0 && d.flash.ops == ops);
    }
}

static void
lose_journal(void)
{
    for (int s = 0; s < 2; s++) {
        CHECK_OK(d.guarded.erase(&d, d.config.journal[s]));
    }
}

/* The image that was confirmed last has the higher counter: it goes on trial, and confirming it mends everything. */
TEST(a_lost_journal_starts_the_newer_image_on_trial)
{
    set_up();
    lose_journal();
    CHECK_OK(device_boot(&d));
    CHECK(runs(&v2) && d.handoff.trial && d.handoff.tries_left == 2 && d.handoff.cause == RB_CAUSE_JOURNAL_LOST);
    CHECK(d.handoff.floor == 1 && d.events[RB_BOOT_NO_RECORD] == 1);
    CHECK_OK(rb_journal_confirm(&d.journal, v2.parsed.digest, 2));
    CHECK_OK(device_boot(&d));
    CHECK(runs(&v2) && !d.handoff.trial && d.handoff.floor == 2);
}

TEST(a_lost_journal_falls_back_when_the_newer_image_does_not_work)
{
    set_up();
    lose_journal();
    for (int i = 0; i < 3; i++) {
        CHECK_OK(device_boot(&d));
        CHECK(runs(&v2) && d.handoff.trial);
    }
    CHECK_OK(device_boot(&d));
    CHECK(runs(&v1) && d.handoff.cause == RB_CAUSE_TRIES_USED_UP);
}

TEST(a_lost_journal_starts_the_one_good_image)
{
    for (uint8_t bad = RB_SLOT_A; bad <= RB_SLOT_B; bad++) {
        set_up();
        lose_journal();
        device_rot(&d, d.config.slot[bad] + 5000, 2);
        CHECK_OK(device_boot(&d));
        CHECK(runs(bad == RB_SLOT_A ? &v2 : &v1) && !d.handoff.trial);
        CHECK(d.handoff.floor == d.handoff.image.security_counter);
    }
}

/* Both slots are checked, in one piece of memory, and the one checked first is started: its bytes must be there. */
TEST(IMAGE_10_what_runs_was_loaded_last)
{
    struct device_image same;

    set_up();
    device_image(&same, 7, 1); /* as high as version 1: slot A is started */
    device_put(&d, RB_SLOT_B, &same);
    lose_journal();
    CHECK_OK(device_boot(&d));
    CHECK(runs(&v1) && d.events[RB_BOOT_VERIFIED] == 3);
}

/* --- a journal that does not take records ----------------------------------------------------------------------- */

static bool journal_dead;
static rb_err (*live_program)(void *ctx, uint32_t address, const void *data, uint32_t len);

static rb_err
dead_program(void *ctx, uint32_t address, const void *data, uint32_t len)
{
    return journal_dead ? RB_ERR_FLASH_PROGRAM : live_program(ctx, address, data, len);
}

static void
kill_journal(void)
{
    live_program = d.guarded.program;
    d.guarded.program = dead_program;
    journal_dead = true;
}

TEST(a_trial_that_cannot_be_counted_is_not_started)
{
    set_up();
    arm();
    kill_journal();
    for (int i = 0; i < 5; i++) {
        CHECK_OK(device_boot(&d));
        CHECK(runs(&v1) && !d.handoff.trial && d.events[RB_BOOT_NOT_STORED] >= 1);
    }
    journal_dead = false;
    CHECK_OK(device_boot(&d));
    CHECK(runs(&v2) && d.handoff.tries_left == 2);
}

TEST(a_device_with_a_dead_journal_boots)
{
    set_up();
    arm();
    CHECK_OK(device_boot(&d));
    CHECK_OK(rb_journal_confirm(&d.journal, v2.parsed.digest, 2));
    kill_journal();
    CHECK_OK(device_boot(&d));
    CHECK(runs(&v2) && d.handoff.floor == 2);
    device_rot(&d, d.config.slot[RB_SLOT_B], 0);
    CHECK_ERR(device_boot(&d), RB_ERR_NOT_FOUND);
}

/* --- every content of the journal leads to a boot --------------------------------------------------------------- */

TEST(any_journal_content_leads_to_a_boot)
{
    uint64_t random = 42;

    set_up();
    for (int i = 0; i < 300; i++) {
        struct device copy;
        uint8_t noise[64];
        device_clone(&copy, &d);
        copy.config.key_count = 1;
        /* Some positions get noise, some rot, some stay. */
        for (uint32_t at = 0; at < 2048; at += 64) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            uint32_t address = copy.config.journal[0] + at;
            for (unsigned k = 0; k < sizeof noise; k++) {
                random = random * 6364136223846793005u + 1442695040888963407u;
                noise[k] = (uint8_t)(random >> 56);
            }
            if (random >> 62 == 0) {
                (void)copy.guarded.program(&copy, address, noise, sizeof noise); /* refused where it is used */
            } else if (random >> 62 == 1) {
                device_rot(&copy, address + (uint32_t)(random >> 40) % 64, (unsigned)(random >> 33) % 8);
            }
        }
        CHECK_OK(device_boot(&copy));
        CHECK(copy.handoff.image.security_counter >= copy.handoff.floor);
        CHECK_OK(device_boot(&copy));
        device_free(&copy);
    }
}
