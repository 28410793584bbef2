/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulator itself: a power proof is worth as much as the flash it runs on.
 */
#include "lib/core/bytes.h"
#include "lib/host/file.h"
#include "lib/host/flashfile.h"
#include "tests/support/test.h"

#include <unistd.h>

static struct rb_flashfile f;
static uint8_t data[64];
static uint8_t back[256];

static void
set_up(void)
{
    rb_flashfile_close(&f);
    rb_flashfile_memory(&f, 1024, 256, 8);
    memset(data, 0, sizeof data);
}

static rb_err
program(uint32_t address, uint32_t len)
{
    return f.flash.program(&f, address, data, len);
}

static rb_err
read_back(uint32_t address, uint32_t len)
{
    return f.flash.read(&f, address, back, len);
}

TEST(flash_reads_what_was_programmed_and_erases_by_sector)
{
    set_up();
    data[0] = 0x5a;
    CHECK_OK(program(256, 64));
    CHECK_OK(read_back(256, 64));
    CHECK(memcmp(back, data, 64) == 0);
    CHECK_OK(f.flash.erase(&f, 256));
    CHECK_OK(read_back(256, 256));
    CHECK(rb_all(back, 256, 0xff));
    CHECK(f.ops == 2 && f.bytes_programmed == 64 && f.bytes_erased == 256 && f.rule_breaks == 0);
}

TEST(POWER_10_programming_a_unit_twice_breaks_the_rules)
{
    set_up();
    CHECK_OK(program(8, 8));
    CHECK_ERR(program(8, 8), RB_ERR_FLASH_RULE);
    CHECK_ERR(program(0, 16), RB_ERR_FLASH_RULE);
    CHECK(f.rule_breaks == 2);
    CHECK_OK(program(16, 8)); /* a neighbour may be */
    CHECK_OK(f.flash.erase(&f, 0));
    CHECK_OK(program(8, 8));
}

/* A unit programmed with all ones looks erased and is not: on flash with ECC its check bits are programmed. */
TEST(POWER_10_a_unit_that_only_looks_erased_must_not_be_programmed)
{
    set_up();
    memset(data, 0xff, sizeof data);
    CHECK_OK(program(0, 8));
    CHECK_ERR(program(0, 8), RB_ERR_FLASH_RULE);
    CHECK(f.rule_breaks == 1);
}

TEST(flash_refuses_what_is_not_aligned_or_outside)
{
    set_up();
    CHECK_ERR(program(4, 8), RB_ERR_FLASH_RANGE);
    CHECK_ERR(program(8, 4), RB_ERR_FLASH_RANGE);
    CHECK_ERR(program(1016, 16), RB_ERR_FLASH_RANGE);
    CHECK_ERR(program(0xfffffff8u, 16), RB_ERR_FLASH_RANGE);
    CHECK_ERR(f.flash.erase(&f, 128), RB_ERR_FLASH_RANGE);
    CHECK_ERR(f.flash.erase(&f, 1024), RB_ERR_FLASH_RANGE);
    CHECK_ERR(read_back(1000, 32), RB_ERR_FLASH_RANGE);
    CHECK_ERR(read_back(0xffffffffu, 2), RB_ERR_FLASH_RANGE);
    CHECK(f.ops == 0);
}

/* Cut the next operation with `tear`; the power stays off until it is switched on. */
static void
cut_program(enum rb_tear tear)
{
    set_up();
    CHECK_OK(program(512, 8)); /* operation 1 */
    f.cut_at = 2;
    f.tear = tear;
    f.seed = 7;
    CHECK_ERR(program(0, 64), RB_ERR_FLASH_POWER);
    CHECK_ERR(program(64, 8), RB_ERR_FLASH_POWER);
    CHECK_ERR(f.flash.erase(&f, 0), RB_ERR_FLASH_POWER);
    CHECK_ERR(read_back(0, 8), RB_ERR_FLASH_POWER);
    CHECK(f.ops == 2);
    rb_flashfile_power_on(&f);
    CHECK_OK(read_back(0, 64));
}

static unsigned
bits_programmed(void)
{
    unsigned n = 0;

    for (int i = 0; i < 64; i++) {
        n += (unsigned)__builtin_popcount((unsigned)(uint8_t)~back[i]);
    }
    return n;
}

TEST(a_torn_program_gets_as_far_as_its_tear_says)
{
    cut_program(RB_TEAR_BEFORE);
    CHECK(bits_programmed() == 0);
    CHECK_OK(program(0, 64)); /* nothing happened: the units are still erased */
    cut_program(RB_TEAR_FIRST_BYTE);
    CHECK(back[0] == 0 && rb_all(back + 1, 63, 0xff));
    CHECK_ERR(program(0, 8), RB_ERR_FLASH_RULE);
    CHECK_OK(program(8, 8));
    cut_program(RB_TEAR_HALF);
    CHECK(rb_all(back, 32, 0) && rb_all(back + 32, 32, 0xff));
    cut_program(RB_TEAR_ALMOST);
    CHECK(rb_all(back, 63, 0) && back[63] == 0xff);
    cut_program(RB_TEAR_RANDOM);
    CHECK(bits_programmed() > 150 && bits_programmed() < 362);
    CHECK_ERR(program(0, 64), RB_ERR_FLASH_RULE);
    cut_program(RB_TEAR_AFTER);
    CHECK(rb_all(back, 64, 0));
}

TEST(POWER_06_marginal_bits_read_differently_until_erased)
{
    uint8_t first[64];
    bool differed = false;

    cut_program(RB_TEAR_MARGINAL);
    memcpy(first, back, sizeof first);
    for (int i = 0; i < 64 && !differed; i++) {
        CHECK_OK(read_back(0, 64));
        differed = memcmp(first, back, sizeof first) != 0;
    }
    CHECK(differed);
    CHECK_OK(f.flash.erase(&f, 0));
    for (int i = 0; i < 64; i++) {
        CHECK_OK(read_back(0, 64));
        CHECK(rb_all(back, 64, 0xff));
    }
}

static void
cut_erase(enum rb_tear tear)
{
    set_up();
    for (uint32_t at = 0; at < 256; at += 64) {
        CHECK_OK(program(at, 64));
    }
    f.cut_at = 5;
    f.tear = tear;
    f.seed = 3;
    CHECK_ERR(f.flash.erase(&f, 0), RB_ERR_FLASH_POWER);
    rb_flashfile_power_on(&f);
    CHECK_OK(read_back(0, 256));
}

TEST(POWER_07_a_torn_erase_leaves_nothing_that_may_be_programmed)
{
    cut_erase(RB_TEAR_BEFORE);
    CHECK(rb_all(back, 256, 0));
    cut_erase(RB_TEAR_FIRST_BYTE);
    CHECK(rb_all(back, 8, 0xff) && rb_all(back + 8, 248, 0));
    CHECK_ERR(program(0, 8), RB_ERR_FLASH_RULE); /* reads as erased, and is not */
    cut_erase(RB_TEAR_HALF);
    CHECK(rb_all(back, 128, 0xff) && rb_all(back + 128, 128, 0));
    cut_erase(RB_TEAR_SECOND_HALF);
    CHECK(rb_all(back, 128, 0) && rb_all(back + 128, 128, 0xff));
    CHECK_ERR(program(192, 8), RB_ERR_FLASH_RULE);
    cut_erase(RB_TEAR_ALMOST);
    unsigned left = 0;
    for (int i = 0; i < 256; i++) {
        left += (unsigned)__builtin_popcount((unsigned)(uint8_t)~back[i]);
    }
    CHECK(left == 1);
    cut_erase(RB_TEAR_RANDOM);
    CHECK(!rb_all(back, 256, 0) && !rb_all(back, 256, 0xff));
    cut_erase(RB_TEAR_AFTER);
    CHECK(rb_all(back, 256, 0xff));
    CHECK_OK(program(0, 8));
}

TEST(a_clone_goes_its_own_way_with_all_state)
{
    struct rb_flashfile copy;

    set_up();
    memset(data, 0xff, sizeof data);
    CHECK_OK(program(0, 8));
    rb_flashfile_clone(&copy, &f);
    CHECK_ERR(copy.flash.program(&copy, 0, data, 8), RB_ERR_FLASH_RULE);
    CHECK_OK(copy.flash.erase(&copy, 0));
    CHECK_ERR(program(0, 8), RB_ERR_FLASH_RULE);
    CHECK(f.ops == 1 && copy.ops == 2);
    rb_flashfile_close(&copy);
    CHECK_OK(read_back(0, 8));
}

TEST(a_file_keeps_what_was_programmed)
{
    CHECK_OK(rb_flashfile_create("flash", 1024));
    CHECK_ERR(rb_flashfile_create("flash", 1024), RB_ERR_IO_EXISTS);
    CHECK_OK(rb_flashfile_open(&f, "flash", true, 256, 8));
    CHECK(f.flash.size == 1024);
    CHECK_OK(f.flash.program(&f, 256, "12345678", 8));
    CHECK_ERR(f.flash.program(&f, 256, "12345678", 8), RB_ERR_FLASH_RULE);
    CHECK_OK(rb_flashfile_sync(&f));
    rb_flashfile_close(&f);

    CHECK_OK(rb_flashfile_open(&f, "flash", true, 256, 8));
    CHECK_OK(read_back(256, 16));
    CHECK(memcmp(back, "12345678\xff\xff\xff\xff\xff\xff\xff\xff", 16) == 0);
    CHECK_ERR(f.flash.program(&f, 256, "12345678", 8), RB_ERR_FLASH_RULE);
    CHECK(f.rule_breaks == 1);
    f.cut_at = f.ops + 1;
    f.tear = RB_TEAR_HALF;
    CHECK_ERR(f.flash.erase(&f, 256), RB_ERR_FLASH_POWER);
    rb_flashfile_close(&f);

    CHECK_OK(rb_flashfile_open(&f, "flash", false, 256, 8));
    CHECK_OK(read_back(256, 8));
    CHECK(rb_all(back, 8, 0xff));
    CHECK_ERR(f.flash.erase(&f, 256), RB_ERR_FLASH_RANGE); /* opened for reading */
    rb_flashfile_close(&f);
}

TEST(a_file_that_is_no_flash_is_refused)
{
    CHECK_ERR(rb_flashfile_open(&f, "nothing", true, 256, 8), RB_ERR_IO_NOT_FOUND);
    CHECK_OK(rb_file_replace("odd", "12345", 5, 0644));
    CHECK_ERR(rb_flashfile_open(&f, "odd", true, 256, 8), RB_ERR_FLASH_RANGE);
    CHECK_OK(rb_file_replace("empty", "", 0, 0644));
    CHECK_ERR(rb_flashfile_open(&f, "empty", true, 256, 8), RB_ERR_FLASH_RANGE);
}
