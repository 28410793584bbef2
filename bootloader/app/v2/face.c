/* SPDX-License-Identifier: Apache-2.0
 *
 * Release 2: large digits, the way of the sun as an arc, the moon, pulse and steps.
 */
#include "bootloader/app/calendar.h"
#include "bootloader/app/release.h"
#include "bootloader/app/screen.h"
#include "bootloader/app/trig.h"
#include "bootloader/app/v2/moon.h"

#define CENTRE (SCREEN_SIZE / 2)
#define ARC_RADIUS 112

/* A dot on the 24 hour ring: midnight below, noon above. */
static void
ring_dot(int32_t minute, int32_t radius, unsigned shade)
{
    int32_t steps = minute * (int32_t)SINE_STEPS / 1440;

    screen_disc(CENTRE - trig_sine(steps) * ARC_RADIUS / 32767, CENTRE + trig_cosine(steps) * ARC_RADIUS / 32767,
                radius, shade);
}

static void
draw_sun_arc(const struct zone *zone, int32_t day, int16_t offset, int32_t minute)
{
    int32_t sun[2];
    bool known = calendar_sun(zone, day, offset, sun);

    for (int32_t m = 0; m < 1440; m += 8) {
        ring_dot(m, 1, known && m >= sun[0] && m <= sun[1] ? 11 : 4);
    }
    ring_dot(minute, 5, SHADE_WHITE);
    if (known) {
        struct line l = {.len = 0};
        calendar_print_time(&l, sun[0]);
        line_text(&l, " - ");
        calendar_print_time(&l, sun[1]);
        screen_text_centred(&table_fonts[0], CENTRE, 196, line_end(&l));
    }
}

static void
draw_body(const struct face_state *state)
{
    struct line l = {.len = 0};

    if (state->pulse > 0) {
        line_number(&l, state->pulse, 1);
        screen_text_centred(&table_fonts[2], 72, 158, line_end(&l));
    }
    l.len = 0;
    line_number(&l, (int32_t)state->steps, 1);
    screen_text_centred(&table_fonts[2], 164, 158, line_end(&l));
}

void
face_draw(const struct face_state *state)
{
    const struct zone *zone = calendar_zone(state->place);
    int16_t offset = zone != NULL ? calendar_offset(zone, state->utc_minute) : 0;
    int32_t local = (int32_t)state->utc_minute + offset;
    struct line l = {.len = 0};

    if (zone != NULL) {
        draw_sun_arc(zone, local / 1440, offset, local % 1440);
    }
    calendar_print_time(&l, local % 1440);
    screen_text_centred(&table_fonts[4], CENTRE, 84, line_end(&l));
    l.len = 0;
    calendar_print_date(&l, local / 1440);
    screen_text_centred(&table_fonts[1], CENTRE, 58, line_end(&l));
    screen_text_centred(&table_fonts[0], CENTRE, 142, state->place);
    moon_draw(CENTRE, 36, 13, moon_age(state->utc_minute));
    draw_body(state);
}
