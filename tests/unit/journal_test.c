/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/bytes.h"
#include "lib/core/journal.h"
#include "lib/host/flashfile.h"
#include "tests/support/test.h"

#define SECTOR 256u /* four records */
#define FLASH 2048u

static struct rb_flashfile f;
static struct rb_journal journal;

static void
blank_with(uint32_t sector)
{
    rb_flashfile_close(&f);
    rb_flashfile_memory(&f, 8 * sector, sector, 8);
    journal = (struct rb_journal){&f.flash, {sector, 2 * sector}};
}

static void
blank(void)
{
    blank_with(SECTOR);
}

static struct rb_journal_view
load(void)
{
    struct rb_journal_view view;

    CHECK_OK(rb_journal_load(&journal, &view));
    return view;
}

static struct rb_record
factory_record(void)
{
    struct rb_record r = {.floor = 2, .active = RB_SLOT_A, .trial = RB_SLOT_NONE, .cause = RB_CAUSE_FACTORY};

    memset(r.active_digest, 0xaa, sizeof r.active_digest);
    return r;
}

static void
factory(void)
{
    struct rb_record r = factory_record();

    blank();
    CHECK_OK(rb_journal_append(&journal, &r));
}

static const uint8_t image_bb[32] = {0xbb, 0xbb, 0xbb, 0xbb};
static const uint8_t image_cc[32] = {0xcc, 0xcc, 0xcc, 0xcc};

TEST(blank_sectors_hold_no_record_and_take_the_first)
{
    struct rb_journal_view view;

    blank();
    CHECK_ERR(rb_journal_load(&journal, &view), RB_ERR_JOURNAL_NONE);
    factory();
    view = load();
    CHECK(view.record.seq == 1 && view.record.floor == 2 && view.record.cause == RB_CAUSE_FACTORY);
    CHECK(view.record.active_digest[15] == 0xaa && view.address == SECTOR);
}

TEST(garbage_sectors_hold_no_record_and_take_the_first)
{
    uint8_t noise[64];
    struct rb_journal_view view;
    struct rb_record r = factory_record();

    blank();
    for (unsigned i = 0; i < 2 * SECTOR / 64; i++) {
        memset(noise, (int)(i * 37 + 1), sizeof noise);
        CHECK_OK(f.flash.program(&f, SECTOR + 64 * i, noise, sizeof noise));
    }
    CHECK_ERR(rb_journal_load(&journal, &view), RB_ERR_JOURNAL_NONE);
    CHECK_OK(rb_journal_append(&journal, &r));
    CHECK(load().record.seq == 1 && f.rule_breaks == 0);
}

/* A first record is written to a sector that was erased for it: blank-looking flash may be badly erased. */
TEST(POWER_07_first_append_erases)
{
    factory();
    CHECK(f.bytes_erased == SECTOR);
}

TEST(records_survive_many_wraps)
{
    struct rb_record r = factory_record();

    factory();
    for (uint32_t i = 2; i < 200; i++) {
        r.floor = i;
        CHECK_OK(rb_journal_append(&journal, &r));
        CHECK(load().record.seq == i && load().record.floor == i);
    }
    CHECK(f.rule_breaks == 0);
    /* POWER-14: one erase for a sector full of records, the sectors take turns. */
    CHECK(f.bytes_erased / SECTOR <= 200 / (SECTOR / RB_RECORD_LEN) + 1);
}

/* The sector that holds the newest record is never erased: its records stay readable through the append that wraps. */
TEST(wrap_erases_the_other_sector)
{
    struct rb_record r = factory_record();

    factory();
    for (int i = 0; i < 3; i++) {
        CHECK_OK(rb_journal_append(&journal, &r));
    }
    CHECK(load().address == SECTOR + 192); /* sector 0 is full */
    CHECK_OK(rb_journal_append(&journal, &r));
    CHECK(load().address == 2 * SECTOR);
    uint8_t raw[64];
    CHECK_OK(f.flash.read(&f, SECTOR + 192, raw, sizeof raw));
    CHECK(raw[0] == 'R' && raw[4] == 4);
}

/* --- serial numbers --------------------------------------------------------------------------------------------- */

static void
put_record(uint32_t address, uint32_t seq, uint32_t floor)
{
    uint8_t raw[RB_RECORD_LEN] = {'R', 'B', 'J', '1'};
    struct rb_writer w = rb_writer_of(raw + 4, sizeof raw - 4);

    rb_write_u32(&w, seq);
    rb_write_u32(&w, floor);
    rb_write_u8(&w, RB_SLOT_A);
    rb_write_u8(&w, RB_SLOT_NONE);
    rb_write_u8(&w, 0);
    rb_write_u8(&w, RB_CAUSE_CONFIRMED);
    rb_write_zeros(&w, 44);
    rb_write_u32(&w, rb_crc32(0, raw, 60));
    CHECK(!w.bad && w.left == 0);
    CHECK_OK(f.flash.program(&f, address, raw, sizeof raw));
}

TEST(serial_numbers_are_compared_across_the_wrap)
{
    static const uint32_t older[] = {0xffffffff, 0xfffffffe, 0x7fffffff, 0, 1, 0x80000000};
    static const uint32_t ahead[] = {1, 2, 100, 0x7fffffff};

    for (size_t i = 0; i < sizeof older / sizeof older[0]; i++) {
        for (size_t k = 0; k < sizeof ahead / sizeof ahead[0]; k++) {
            blank();
            put_record(SECTOR, older[i], 1);
            put_record(2 * SECTOR, older[i] + ahead[k], 2);
            CHECK(load().record.floor == 2);
            blank();
            put_record(2 * SECTOR, older[i], 1);
            put_record(SECTOR, older[i] + ahead[k], 2);
            CHECK(load().record.floor == 2);
        }
    }
}

TEST(appends_go_on_across_the_wrap)
{
    struct rb_record r = factory_record();

    blank();
    put_record(SECTOR, 0xfffffffd, 1);
    for (uint32_t i = 0; i < 20; i++) {
        r.floor = 10 + i;
        CHECK_OK(rb_journal_append(&journal, &r));
        CHECK(load().record.seq == 0xfffffffeu + i && load().record.floor == 10 + i);
    }
}

/* --- damage ----------------------------------------------------------------------------------------------------- */

TEST(TRUST_27_record_with_any_flipped_bit_does_not_count)
{
    for (unsigned bit = 0; bit < 8 * RB_RECORD_LEN; bit++) {
        blank();
        put_record(SECTOR, 1, 1);
        put_record(SECTOR + 64, 2, 2);
        rb_flashfile_flip(&f, SECTOR + 64 + bit / 8, bit % 8);
        struct rb_journal_view view = load();
        CHECK(view.record.floor == 1 && view.doubtful);
    }
}

TEST(POWER_05_record_cut_off_at_any_length_does_not_count)
{
    for (uint32_t len = 0; len < RB_RECORD_LEN; len++) {
        uint8_t raw[RB_RECORD_LEN];
        blank();
        put_record(2 * SECTOR, 2, 2);
        CHECK_OK(f.flash.read(&f, 2 * SECTOR, raw, sizeof raw));
        blank();
        put_record(SECTOR, 1, 1);
        memset(raw + len, 0xff, sizeof raw - len);
        CHECK_OK(f.flash.program(&f, SECTOR + 64, raw, sizeof raw));
        CHECK(load().record.floor == 1);
    }
}

TEST(signed_off_nonsense_does_not_count)
{
    static const struct {
        unsigned at;
        uint8_t value;
    } bad[] = {{12, 2}, {12, 0xff}, {13, 0},  {13, 2}, {14, 1}, {15, 0}, {15, RB_CAUSE_MAX + 1},
               {48, 1}, {59, 1},    {0, 'S'}};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t raw[RB_RECORD_LEN];
        struct rb_journal_view view;
        blank();
        put_record(SECTOR, 1, 1);
        CHECK_OK(f.flash.read(&f, SECTOR, raw, sizeof raw));
        raw[bad[i].at] = bad[i].value;
        struct rb_writer w = rb_writer_of(raw + 60, 4);
        rb_write_u32(&w, rb_crc32(0, raw, 60)); /* the CRC is right: the fields are looked at for themselves */
        CHECK_OK(f.flash.erase(&f, SECTOR));
        CHECK_OK(f.flash.program(&f, SECTOR, raw, sizeof raw));
        CHECK_ERR(rb_journal_load(&journal, &view), RB_ERR_JOURNAL_NONE);
    }
}

/* At rest each state lies in two records, so rot in one of them loses nothing. */
TEST(one_rotten_record_loses_no_state)
{
    struct rb_record r = factory_record();

    for (unsigned which = 0; which < 2; which++) {
        factory();
        CHECK(load().doubtful);
        r.floor = 9;
        CHECK_OK(rb_journal_append(&journal, &r));
        CHECK(load().doubtful);
        CHECK_OK(rb_journal_append(&journal, &r));
        CHECK(!load().doubtful && load().record.seq == 3);
        rb_flashfile_flip(&f, SECTOR + 64 + 64 * which + 20, 3);
        CHECK(load().record.floor == 9 && load().doubtful);
    }
}

/* What stands where the next record belongs may come alive later: until something is appended the state is doubtful,
 * and what is appended has a higher serial number than the torn record may carry. */
TEST(POWER_06_a_torn_record_that_comes_alive_later_changes_nothing)
{
    struct rb_record r = factory_record();

    factory();
    CHECK_OK(rb_journal_append(&journal, &r));
    CHECK(!load().doubtful);
    put_record(SECTOR + 128, 3, 77);
    rb_flashfile_flip(&f, SECTOR + 128 + 30, 0); /* reads as garbage now */
    CHECK(load().doubtful && load().record.floor == 2);
    CHECK_OK(rb_journal_append(&journal, &r));
    CHECK(!load().doubtful); /* its twin is there, and nothing stands behind it */
    rb_flashfile_flip(&f, SECTOR + 128 + 30, 0); /* and as a valid record later */
    CHECK(load().record.floor == 2 && load().record.seq > 3);
}

/* --- flash that fails ------------------------------------------------------------------------------------------- */

static uint32_t broken_from;
static uint32_t broken_to;
static unsigned broken_kind; /* 1: program fails; 2: program does nothing; 3: one bit sticks; 4: erase fails; 5: read */
static struct rb_flash broken_flash;

static bool
hits(uint32_t address, uint32_t len)
{
    return address < broken_to && address + len > broken_from;
}

static rb_err
broken_read(void *ctx, uint32_t address, void *out, uint32_t len)
{
    return broken_kind == 5 && hits(address, len) ? RB_ERR_FLASH_READ : f.flash.read(ctx, address, out, len);
}

static rb_err
broken_program(void *ctx, uint32_t address, const void *data, uint32_t len)
{
    if (!hits(address, len) || broken_kind > 3) {
        return f.flash.program(ctx, address, data, len);
    }
    if (broken_kind == 1) {
        return RB_ERR_FLASH_PROGRAM;
    }
    if (broken_kind == 2) {
        return RB_OK;
    }
    CHECK_OK(f.flash.program(ctx, address, data, len));
    rb_flashfile_flip(&f, address + 5, 1);
    return RB_OK;
}

static rb_err
broken_erase(void *ctx, uint32_t address)
{
    return broken_kind == 4 && hits(address, SECTOR) ? RB_ERR_FLASH_ERASE : f.flash.erase(ctx, address);
}

static void
break_flash(unsigned kind, uint32_t from, uint32_t to)
{
    broken_kind = kind;
    broken_from = from;
    broken_to = to;
    broken_flash = f.flash;
    broken_flash.read = broken_read;
    broken_flash.program = broken_program;
    broken_flash.erase = broken_erase;
    journal.flash = &broken_flash;
}

TEST(POWER_08_a_position_that_does_not_keep_its_record_is_passed_over)
{
    for (unsigned kind = 1; kind <= 3; kind++) {
        struct rb_record r = factory_record();
        factory();
        break_flash(kind, SECTOR + 64, SECTOR + 128);
        r.floor = 8;
        CHECK_OK(rb_journal_append(&journal, &r));
        CHECK(load().record.floor == 8 && load().address == SECTOR + 128);
        CHECK(f.rule_breaks == 0);
    }
}

TEST(a_sector_that_does_not_keep_records_is_passed_over)
{
    for (unsigned kind = 1; kind <= 3; kind++) {
        struct rb_record r = factory_record();
        factory();
        break_flash(kind, SECTOR + 64, 2 * SECTOR);
        r.floor = 8;
        CHECK_OK(rb_journal_append(&journal, &r));
        CHECK(load().record.floor == 8 && load().address == 2 * SECTOR);
    }
}

TEST(an_append_that_no_position_keeps_is_reported_and_the_old_record_stays)
{
    for (unsigned kind = 1; kind <= 4; kind++) {
        struct rb_record r = factory_record();
        factory();
        CHECK_OK(rb_journal_append(&journal, &r));
        CHECK_OK(rb_journal_append(&journal, &r));
        CHECK_OK(rb_journal_append(&journal, &r)); /* sector 0 is full */
        break_flash(kind, 0, FLASH);
        r.floor = 8;
        rb_err err = rb_journal_append(&journal, &r);
        CHECK(err == RB_ERR_FLASH_PROGRAM || err == RB_ERR_FLASH_VERIFY || err == RB_ERR_FLASH_ERASE);
        CHECK(load().record.floor == 2 && load().record.seq == 4);
    }
}

TEST(an_unreadable_position_is_skipped_and_an_unreadable_journal_is_lost)
{
    struct rb_record r = factory_record();
    struct rb_journal_view view;

    factory();
    break_flash(5, SECTOR + 64, SECTOR + 128);
    r.floor = 8;
    CHECK_OK(rb_journal_append(&journal, &r));
    CHECK(load().record.floor == 8 && load().address == SECTOR + 128);
    break_flash(5, 0, FLASH);
    CHECK_ERR(rb_journal_load(&journal, &view), RB_ERR_JOURNAL_NONE);
}

/* --- transitions ------------------------------------------------------------------------------------------------ */

TEST(append_refuses_records_out_of_range)
{
    struct rb_record r = factory_record();

    factory();
    r.floor = 1; /* lower than the current one */
    CHECK_ERR(rb_journal_append(&journal, &r), RB_ERR_ARG);
    r = factory_record();
    r.trial = r.active;
    CHECK_ERR(rb_journal_append(&journal, &r), RB_ERR_ARG);
    r.trial = RB_SLOT_B;
    r.tries_left = RB_TRIES_MAX + 1;
    CHECK_ERR(rb_journal_append(&journal, &r), RB_ERR_ARG);
    r = factory_record();
    r.cause = 0;
    CHECK_ERR(rb_journal_append(&journal, &r), RB_ERR_ARG);
    CHECK(load().record.seq == 1);
}

TEST(arm_confirm_raises_the_floor_in_one_record)
{
    factory();
    CHECK_OK(rb_journal_arm(&journal, RB_SLOT_B, image_bb, 3));
    struct rb_record r = load().record;
    CHECK(r.active == RB_SLOT_A && r.trial == RB_SLOT_B && r.tries_left == 3 && r.floor == 2);
    CHECK(r.cause == RB_CAUSE_ARMED && r.trial_digest[0] == 0xbb && r.active_digest[0] == 0xaa);
    uint64_t ops = f.ops;
    CHECK_OK(rb_journal_confirm(&journal, image_bb, 9));
    CHECK(f.ops == ops + 1);
    r = load().record;
    CHECK(r.active == RB_SLOT_B && r.trial == RB_SLOT_NONE && r.tries_left == 0 && r.floor == 9);
    CHECK(r.cause == RB_CAUSE_CONFIRMED && r.active_digest[0] == 0xbb && rb_all(r.trial_digest, 16, 0));
    CHECK_OK(rb_journal_arm(&journal, RB_SLOT_A, image_cc, 15));
    CHECK_OK(rb_journal_confirm(&journal, image_cc, 4));
    CHECK(load().record.floor == 9 && load().record.active == RB_SLOT_A); /* it never falls */
}

TEST(confirm_names_the_image_it_confirms)
{
    factory();
    CHECK_ERR(rb_journal_confirm(&journal, image_bb, 9), RB_ERR_JOURNAL_STATE);
    CHECK_OK(rb_journal_arm(&journal, RB_SLOT_B, image_bb, 3));
    CHECK_ERR(rb_journal_confirm(&journal, image_cc, 9), RB_ERR_JOURNAL_STATE);
    CHECK(load().record.trial == RB_SLOT_B && load().record.floor == 2);
    uint8_t near_miss[32];
    memcpy(near_miss, image_bb, sizeof near_miss);
    near_miss[15] ^= 1; /* the last byte of those a record keeps */
    CHECK_ERR(rb_journal_confirm(&journal, near_miss, 9), RB_ERR_JOURNAL_STATE);
}

TEST(transitions_may_be_entered_twice)
{
    factory();
    CHECK_OK(rb_journal_arm(&journal, RB_SLOT_B, image_bb, 3));
    CHECK_OK(rb_journal_arm(&journal, RB_SLOT_B, image_bb, 3)); /* settles it */
    uint64_t ops = f.ops;
    CHECK_OK(rb_journal_arm(&journal, RB_SLOT_B, image_bb, 3));
    CHECK(f.ops == ops);
    CHECK_OK(rb_journal_confirm(&journal, image_bb, 9));
    CHECK_OK(rb_journal_confirm(&journal, image_bb, 9));
    ops = f.ops;
    CHECK_OK(rb_journal_confirm(&journal, image_bb, 9));
    CHECK(f.ops == ops);
    CHECK_OK(rb_journal_arm(&journal, RB_SLOT_A, image_cc, 3));
    CHECK_OK(rb_journal_reject(&journal, image_cc));
    CHECK_OK(rb_journal_reject(&journal, image_cc));
    CHECK(load().record.cause == RB_CAUSE_REJECTED && load().record.trial_digest[0] == 0xcc);
    CHECK_OK(rb_journal_cancel(&journal));
}

/* The loader has counted a try. */
static void
begin_trial(void)
{
    struct rb_record r = load().record;

    r.tries_left--;
    r.cause = RB_CAUSE_TRY;
    CHECK_OK(rb_journal_append(&journal, &r));
}

TEST(arming_again_gives_no_new_tries_to_a_trial_that_has_begun)
{
    factory();
    CHECK_OK(rb_journal_arm(&journal, RB_SLOT_B, image_bb, 3));
    CHECK_OK(rb_journal_arm(&journal, RB_SLOT_B, image_cc, 5)); /* not begun: another image may take its place */
    CHECK(load().record.trial_digest[0] == 0xcc && load().record.tries_left == 5);
    begin_trial();
    CHECK_ERR(rb_journal_arm(&journal, RB_SLOT_B, image_cc, 5), RB_ERR_JOURNAL_STATE);
    CHECK_ERR(rb_journal_arm(&journal, RB_SLOT_B, image_bb, 3), RB_ERR_JOURNAL_STATE);
    CHECK_ERR(rb_journal_cancel(&journal), RB_ERR_JOURNAL_STATE);
    CHECK(load().record.tries_left == 4);
    CHECK_OK(rb_journal_reject(&journal, image_cc));
    CHECK_OK(rb_journal_arm(&journal, RB_SLOT_B, image_cc, 3));
}

TEST(arm_refuses_what_makes_no_sense)
{
    struct rb_journal_view view;

    blank();
    CHECK_ERR(rb_journal_arm(&journal, RB_SLOT_B, image_bb, 3), RB_ERR_JOURNAL_NONE);
    CHECK_ERR(rb_journal_confirm(&journal, image_bb, 3), RB_ERR_JOURNAL_NONE);
    CHECK_ERR(rb_journal_load(&journal, &view), RB_ERR_JOURNAL_NONE);
    factory();
    CHECK_ERR(rb_journal_arm(&journal, RB_SLOT_A, image_bb, 3), RB_ERR_JOURNAL_STATE); /* the active one */
    CHECK_ERR(rb_journal_arm(&journal, 2, image_bb, 3), RB_ERR_ARG);
    CHECK_ERR(rb_journal_arm(&journal, RB_SLOT_B, image_bb, 2), RB_ERR_ARG);
    CHECK_ERR(rb_journal_arm(&journal, RB_SLOT_B, image_bb, 16), RB_ERR_ARG);
    CHECK_ERR(rb_journal_reject(&journal, image_bb), RB_ERR_JOURNAL_STATE);
    CHECK(load().record.seq == 1);
}

TEST(cancel_takes_back_an_armed_trial)
{
    factory();
    CHECK_OK(rb_journal_cancel(&journal));
    CHECK(load().record.seq == 1);
    CHECK_OK(rb_journal_arm(&journal, RB_SLOT_B, image_bb, 3));
    CHECK_OK(rb_journal_cancel(&journal));
    CHECK(load().record.trial == RB_SLOT_NONE && load().record.cause == RB_CAUSE_CANCELLED);
    CHECK(rb_all(load().record.trial_digest, 16, 0));
}

TEST(every_cause_has_a_name)
{
    CHECK(strcmp(rb_cause_name(RB_CAUSE_TRIES_USED_UP), "tries-used-up") == 0);
    for (unsigned cause = 0; cause < 256; cause++) {
        bool known = cause >= 1 && cause <= RB_CAUSE_MAX;
        CHECK(known == (strcmp(rb_cause_name((uint8_t)cause), "unknown") != 0));
    }
}
