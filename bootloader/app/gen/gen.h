/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The generator of an application's tables (bootloader/app/tables.h). Runs on the build machine, writes one C file.
 * Everything is a function of the release number: no time, no random numbers, no locale.
 */
#ifndef RB_APP_GEN_H
#define RB_APP_GEN_H

#include <stddef.h>
#include <stdint.h>

/** Print "  1, 2, 3," lines of `count` numbers. `bytes`: size of one, 1 or 2 (signed when 2). */
void gen_numbers(const void *data, size_t count, size_t bytes);

/** Remember a table for the list of sums. `data` is copied into the sum now; `name` is the C expression of its
 * address, `title` what people call it. */
void gen_sum(const char *title, const char *name, const void *data, size_t len);

/** A number as a function of an angle in turns, rounded to Q15. */
int16_t gen_sine_q15(double turns);

void gen_sine(void);
void gen_fonts(int release);
void gen_sun(void);
void gen_zones(int release);
void gen_tones(int release);

#endif
