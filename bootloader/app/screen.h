/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A round 240 x 240 display with 16 shades, drawn in memory. Everything outside is clipped.
 */
#ifndef RB_APP_SCREEN_H
#define RB_APP_SCREEN_H

#include "bootloader/app/tables.h"

#include <stdint.h>

#define SCREEN_SIZE 240
#define SHADE_WHITE 15u

void screen_clear(void);
/** Brighten a pixel to at least `shade`. */
void screen_point(int32_t x, int32_t y, unsigned shade);
unsigned screen_shade(int32_t x, int32_t y);
/** A straight line, `width` pixels wide. */
void screen_line(int32_t x0, int32_t y0, int32_t x1, int32_t y1, int32_t width, unsigned shade);
void screen_disc(int32_t x, int32_t y, int32_t radius, unsigned shade);
void screen_ring(int32_t x, int32_t y, int32_t radius, unsigned shade);
/** One line of text with its top left corner at x, y. Characters without a glyph are skipped. Returns x behind it. */
int32_t screen_text(const struct font *font, int32_t x, int32_t y, const char *text);
int32_t screen_text_width(const struct font *font, const char *text);
/** The same, centred around x. */
void screen_text_centred(const struct font *font, int32_t x, int32_t y, const char *text);
/** CRC-32 of the frame, to compare with a known one. */
uint32_t screen_crc(void);

#endif
