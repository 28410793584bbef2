/* SPDX-License-Identifier: Apache-2.0 */
#include "bootloader/app/console.h"

#include "bootloader/app/platform.h"

static void
put(struct line *l, char c)
{
    if (l->len < LINE_MAX_LEN - 1) {
        l->text[l->len++] = c;
    }
}

void
line_text(struct line *l, const char *text)
{
    while (*text != '\0') {
        put(l, *text++);
    }
}

void
line_number(struct line *l, int32_t number, unsigned digits)
{
    char reversed[12];
    unsigned count = 0;
    uint32_t rest = number < 0 ? 0u - (uint32_t)number : (uint32_t)number;

    do {
        reversed[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0 || (count < digits && count < sizeof reversed));
    if (number < 0) {
        put(l, '-');
    }
    while (count > 0) {
        put(l, reversed[--count]);
    }
}

void
line_hex32(struct line *l, uint32_t number)
{
    for (int shift = 28; shift >= 0; shift -= 4) {
        put(l, "0123456789abcdef"[number >> shift & 15]);
    }
}

void
line_pad(struct line *l, size_t column)
{
    while (l->len < column && l->len < LINE_MAX_LEN - 1) {
        put(l, ' ');
    }
}

const char *
line_end(struct line *l)
{
    l->text[l->len] = '\0';
    return l->text;
}

void
line_write(struct line *l)
{
    l->text[l->len] = '\n'; /* put leaves room for one byte */
    platform_write(l->text, l->len + 1);
    l->len = 0;
}
