/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Text without a libc: lines are put together in a fixed buffer and written at once; what does not fit is cut.
 */
#ifndef RB_APP_CONSOLE_H
#define RB_APP_CONSOLE_H

#include <stddef.h>
#include <stdint.h>

#define LINE_MAX_LEN 160

struct line {
    char text[LINE_MAX_LEN];
    size_t len;
};

void line_text(struct line *l, const char *text);
/** Decimal, at least `digits` digits with leading zeros. */
void line_number(struct line *l, int32_t number, unsigned digits);
void line_hex32(struct line *l, uint32_t number);
/** Spaces up to column `column`. */
void line_pad(struct line *l, size_t column);
/** The line so far as a C string. */
const char *line_end(struct line *l);
/** Write it with a newline and start over. */
void line_write(struct line *l);

#endif
