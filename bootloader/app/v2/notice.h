/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Notices from the phone, set in lines that fit the round screen.
 */
#ifndef RB_APP_V2_NOTICE_H
#define RB_APP_V2_NOTICE_H

#include "bootloader/app/tables.h"

#include <stddef.h>

#define NOTICE_LINES 5
#define NOTICE_LINE_LEN 48

struct notice {
    char line[NOTICE_LINES][NOTICE_LINE_LEN];
    unsigned count;
};

/** Break `text` at spaces so that each line is at most `width` pixels; a word that is too wide is broken where it
 * stops fitting. What does not fit in NOTICE_LINES is dropped and the last line ends in "...". */
void notice_set(struct notice *n, const struct font *font, int32_t width, const char *text);

/** Draw it centred below `y`. */
void notice_draw(const struct notice *n, const struct font *font, int32_t y);

#endif
