/* SPDX-License-Identifier: Apache-2.0 */
#include "bootloader/app/v2/notice.h"

#include "bootloader/app/screen.h"
#include "lib/core/bytes.h"

#include <stdbool.h>

static int32_t
width_of(const struct font *font, const char *text, size_t len)
{
    char line[NOTICE_LINE_LEN];

    rb_copy(line, text, len);
    line[len] = '\0';
    return screen_text_width(font, line);
}

/* How much of `text` goes on one line: up to the last space that fits, else as many characters as fit. At least one,
 * so the caller comes to an end. */
static size_t
line_len(const struct font *font, int32_t width, const char *text)
{
    size_t fits = 0;
    size_t at_space = 0;

    while (fits < NOTICE_LINE_LEN - 1 && text[fits] != '\0' && width_of(font, text, fits + 1) <= width) {
        fits++;
        if (text[fits] == ' ' || text[fits] == '\0') {
            at_space = fits;
        }
    }
    return at_space > 0 ? at_space : (fits > 0 ? fits : 1);
}

static void
end_with_dots(struct notice *n, const struct font *font, int32_t width)
{
    char *line = n->line[NOTICE_LINES - 1];
    size_t len = 0;

    while (line[len] != '\0') {
        len++;
    }
    while (len > 0 && (len + 3 > NOTICE_LINE_LEN - 1
                       || width_of(font, line, len) + 3 * font->advance['.' - FONT_FIRST] > width)) {
        len--;
    }
    rb_copy(line + len, "...", 4);
}

void
notice_set(struct notice *n, const struct font *font, int32_t width, const char *text)
{
    n->count = 0;
    while (*text != '\0' && n->count < NOTICE_LINES) {
        size_t len = line_len(font, width, text);
        rb_copy(n->line[n->count], text, len);
        n->line[n->count][len] = '\0';
        n->count++;
        text += len;
        while (*text == ' ') {
            text++;
        }
    }
    if (*text != '\0') {
        end_with_dots(n, font, width);
    }
}

void
notice_draw(const struct notice *n, const struct font *font, int32_t y)
{
    for (unsigned i = 0; i < n->count; i++) {
        screen_text_centred(font, SCREEN_SIZE / 2, y + (int32_t)i * (font->height + 2), n->line[i]);
    }
}
