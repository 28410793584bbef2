/* SPDX-License-Identifier: Apache-2.0 */
#include "bootloader/app/screen.h"

#include "lib/core/bytes.h"

#include <stdbool.h>
#include <stddef.h>

static uint8_t frame[SCREEN_SIZE * SCREEN_SIZE / 2]; /* two pixels a byte, the left one in the high half */

void
screen_clear(void)
{
    rb_fill(frame, 0, sizeof frame);
}

static bool
outside(int32_t x, int32_t y)
{
    return x < 0 || y < 0 || x >= SCREEN_SIZE || y >= SCREEN_SIZE;
}

unsigned
screen_shade(int32_t x, int32_t y)
{
    if (outside(x, y)) {
        return 0;
    }
    uint8_t pair = frame[(y * SCREEN_SIZE + x) / 2];
    return x % 2 == 0 ? pair >> 4 : pair & 15;
}

void
screen_point(int32_t x, int32_t y, unsigned shade)
{
    if (outside(x, y) || shade <= screen_shade(x, y)) {
        return;
    }
    uint8_t *pair = &frame[(y * SCREEN_SIZE + x) / 2];
    *pair = (uint8_t)(x % 2 == 0 ? (shade << 4) | (*pair & 15) : (*pair & 0xf0u) | shade);
}

void
screen_disc(int32_t x, int32_t y, int32_t radius, unsigned shade)
{
    for (int32_t dy = -radius; dy <= radius; dy++) {
        for (int32_t dx = -radius; dx <= radius; dx++) {
            if (dx * dx + dy * dy <= radius * radius) {
                screen_point(x + dx, y + dy, shade);
            }
        }
    }
}

void
screen_ring(int32_t x, int32_t y, int32_t radius, unsigned shade)
{
    int32_t dx = radius;
    int32_t dy = 0;
    int32_t error = 1 - radius;

    while (dx >= dy) { /* midpoint circle, eight points at once */
        const int32_t px[8] = {dx, dy, -dy, -dx, -dx, -dy, dy, dx};
        const int32_t py[8] = {dy, dx, dx, dy, -dy, -dx, -dx, -dy};
        for (int i = 0; i < 8; i++) {
            screen_point(x + px[i], y + py[i], shade);
        }
        dy++;
        if (error > 0) {
            dx--;
            error -= 2 * dx;
        }
        error += 2 * dy + 1;
    }
}

void
screen_line(int32_t x0, int32_t y0, int32_t x1, int32_t y1, int32_t width, unsigned shade)
{
    int32_t dx = x1 > x0 ? x1 - x0 : x0 - x1;
    int32_t dy = y1 > y0 ? y1 - y0 : y0 - y1;
    int32_t step_x = x1 > x0 ? 1 : -1;
    int32_t step_y = y1 > y0 ? 1 : -1;
    int32_t error = dx - dy;

    for (;;) {
        if (width > 1) {
            screen_disc(x0, y0, width / 2, shade);
        } else {
            screen_point(x0, y0, shade);
        }
        if (x0 == x1 && y0 == y1) {
            return;
        }
        int32_t twice = 2 * error;
        if (twice > -dy) {
            error -= dy;
            x0 += step_x;
        }
        if (twice < dx) {
            error += dx;
            y0 += step_y;
        }
    }
}

static int
glyph_of(char c)
{
    return c >= FONT_FIRST && c < FONT_FIRST + FONT_GLYPHS ? c - FONT_FIRST : -1;
}

static void
draw_glyph(const struct font *font, int glyph, int32_t x, int32_t y)
{
    int32_t width = font->advance[glyph];
    int32_t row_len = (width + 1) / 2;
    const uint8_t *bits = font->bits + font->offset[glyph];

    for (int32_t row = 0; row < font->height; row++, bits += row_len) {
        for (int32_t column = 0; column < width; column++) {
            uint8_t pair = bits[column / 2];
            screen_point(x + column, y + row, column % 2 == 0 ? pair >> 4 : pair & 15);
        }
    }
}

int32_t
screen_text(const struct font *font, int32_t x, int32_t y, const char *text)
{
    for (; *text != '\0'; text++) {
        int glyph = glyph_of(*text);
        if (glyph >= 0) {
            draw_glyph(font, glyph, x, y);
            x += font->advance[glyph];
        }
    }
    return x;
}

int32_t
screen_text_width(const struct font *font, const char *text)
{
    int32_t width = 0;

    for (; *text != '\0'; text++) {
        int glyph = glyph_of(*text);
        width += glyph >= 0 ? font->advance[glyph] : 0;
    }
    return width;
}

void
screen_text_centred(const struct font *font, int32_t x, int32_t y, const char *text)
{
    (void)screen_text(font, x - screen_text_width(font, text) / 2, y, text);
}

uint32_t
screen_crc(void)
{
    return rb_crc32(0, frame, sizeof frame);
}
