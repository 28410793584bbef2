/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/host/file.h"
#include "lib/host/flashfile.h"
#include "ota/writer.h"
#include "tests/support/test.h"

#define SECTOR 4096u
#define SLOT_AT (2 * SECTOR)
#define SLOT_LEN (8 * SECTOR)
#define FLASH_LEN (12 * SECTOR)

static uint8_t image[SLOT_LEN];
static uint8_t sector[SECTOR];

static void
flash_with_garbage(struct rb_flashfile *f, uint32_t unit)
{
    uint8_t garbage[SECTOR];

    for (uint32_t i = 0; i < SLOT_LEN; i++) {
        image[i] = (uint8_t)((i * 2654435761u) >> 11);
    }
    memset(garbage, 0xa5, sizeof garbage);
    rb_flashfile_memory(f, FLASH_LEN, SECTOR, unit);
    for (uint32_t at = 0; at < FLASH_LEN; at += SECTOR) {
        CHECK_OK(f->flash.program(f->flash.ctx, at, garbage, SECTOR));
    }
}

/* What was there before and after the slot is still there. */
static void
check_outside(const struct rb_flashfile *f)
{
    uint8_t byte;

    for (uint32_t at = 0; at < FLASH_LEN; at++) {
        if (at == SLOT_AT) {
            at += SLOT_LEN;
        }
        CHECK_OK(f->flash.read(f->flash.ctx, at, &byte, 1));
        CHECK(byte == 0xa5);
    }
}

static void
check_slot(const struct rb_flashfile *f, uint32_t len)
{
    static uint8_t back[SLOT_LEN];

    CHECK_OK(f->flash.read(f->flash.ctx, SLOT_AT, back, SLOT_LEN));
    CHECK(memcmp(back, image, len) == 0);
    for (uint32_t i = len; i % SECTOR != 0; i++) {
        CHECK(back[i] == 0xff);
    }
}

/* Write image[from..len) in pieces of `step` bytes. */
static rb_err
write_pieces(struct ota_writer *w, uint32_t from, uint32_t len, uint32_t step)
{
    for (uint32_t at = from; at < len; at += step) {
        RB_TRY(ota_writer_put(w, image + at, len - at < step ? len - at : step));
    }
    return ota_writer_finish(w);
}

TEST(ota_writer_any_split_and_unit)
{
    static const uint32_t steps[] = {1, 7, 512, 4096, 10000};

    for (uint32_t unit = 1; unit <= 32; unit *= 2) {
        for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
            struct rb_flashfile f;
            struct ota_writer w;
            flash_with_garbage(&f, unit);
            ota_writer_init(&w, &f.flash, SLOT_AT, SLOT_LEN, 0, sector);
            CHECK_OK(write_pieces(&w, 0, 3 * SECTOR + 13, steps[i]));
            check_slot(&f, 3 * SECTOR + 13);
            check_outside(&f);
            CHECK(f.rule_breaks == 0);
            rb_flashfile_close(&f);
        }
    }
}

TEST(ota_writer_reads_back_what_it_holds)
{
    struct rb_flashfile f;
    struct ota_writer w;
    uint8_t back[100];

    flash_with_garbage(&f, 32);
    ota_writer_init(&w, &f.flash, SLOT_AT, SLOT_LEN, 0, sector);
    CHECK_OK(ota_writer_put(&w, image, 85));
    CHECK(w.held == 21);
    for (uint32_t at = 0; at <= 85; at++) {
        for (uint32_t len = 0; at + len <= 85; len++) {
            CHECK_OK(ota_writer_get(&w, at, back, len));
            CHECK(memcmp(back, image + at, len) == 0);
        }
    }
    CHECK_ERR(ota_writer_get(&w, 80, back, 6), RB_ERR_FLASH_RANGE);
    CHECK_ERR(ota_writer_get(&w, 86, back, 0), RB_ERR_FLASH_RANGE);
    rb_flashfile_close(&f);
}

TEST(ota_writer_stays_in_its_slot)
{
    struct rb_flashfile f;
    struct ota_writer w;

    flash_with_garbage(&f, 4);
    ota_writer_init(&w, &f.flash, SLOT_AT, SLOT_LEN, 0, sector);
    CHECK_OK(ota_writer_put(&w, image, SLOT_LEN - 1));
    CHECK_ERR(ota_writer_put(&w, image, 2), RB_ERR_IMAGE_SIZE);
    CHECK_OK(ota_writer_put(&w, image + SLOT_LEN - 1, 1));
    CHECK_ERR(ota_writer_put(&w, image, 1), RB_ERR_IMAGE_SIZE);
    check_outside(&f);
    rb_flashfile_close(&f);
}

/* Keep what is there: nothing is erased up to the first byte that differs, and one sector at most is written twice. */
TEST(ota_writer_compares_and_goes_on)
{
    for (uint32_t there = 0; there <= 3 * SECTOR; there += 500) {
        struct rb_flashfile f;
        struct ota_writer w;
        flash_with_garbage(&f, 4);
        ota_writer_init(&w, &f.flash, SLOT_AT, SLOT_LEN, 0, sector);
        CHECK_OK(ota_writer_put(&w, image, there));
        uint64_t erased = f.bytes_erased;
        uint64_t programmed = f.bytes_programmed;
        ota_writer_init(&w, &f.flash, SLOT_AT, SLOT_LEN, 0, sector);
        CHECK_OK(write_pieces(&w, 0, 4 * SECTOR, 777));
        check_slot(&f, 4 * SECTOR);
        check_outside(&f);
        CHECK(f.rule_breaks == 0);
        CHECK(f.bytes_erased - erased <= 4 * SECTOR - there / SECTOR * SECTOR);
        CHECK(f.bytes_programmed - programmed <= 4 * SECTOR - there + SECTOR);
        rb_flashfile_close(&f);
    }
}

/* A part that accepts a program and keeps a wrong bit. */
static struct rb_flashfile worn;
static uint32_t worn_at;

static rb_err
program_worn(void *ctx, uint32_t address, const void *data, uint32_t len)
{
    uint8_t copy[SECTOR];

    CHECK(len <= sizeof copy);
    memcpy(copy, data, len);
    if (worn_at >= address && worn_at - address < len) {
        copy[worn_at - address] &= 0x7f;
    }
    return worn.flash.program(ctx, address, copy, len);
}

TEST(ota_writer_sees_a_worn_cell)
{
    struct ota_writer w;

    flash_with_garbage(&worn, 4);
    struct rb_flash flash = worn.flash;
    flash.program = program_worn;
    for (worn_at = SLOT_AT; (image[worn_at - SLOT_AT] & 0x80) == 0; worn_at++) {
    }
    ota_writer_init(&w, &flash, SLOT_AT, SLOT_LEN, 0, sector);
    CHECK_ERR(ota_writer_put(&w, image, SECTOR), RB_ERR_FLASH_VERIFY);
    rb_flashfile_close(&worn);
}
