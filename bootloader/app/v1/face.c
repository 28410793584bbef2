/* SPDX-License-Identifier: Apache-2.0
 *
 * Release 1: hands, hour marks, date and place.
 */
#include "bootloader/app/calendar.h"
#include "bootloader/app/release.h"
#include "bootloader/app/screen.h"
#include "bootloader/app/trig.h"

#define CENTRE (SCREEN_SIZE / 2)

/* A line along the direction `steps` (0 is up) from `from` to `to` pixels off the centre. */
static void
spoke(int32_t steps, int32_t from, int32_t to, int32_t width, unsigned shade)
{
    int32_t x = trig_sine(steps);
    int32_t y = -trig_cosine(steps);

    screen_line(CENTRE + x * from / 32767, CENTRE + y * from / 32767, CENTRE + x * to / 32767,
                CENTRE + y * to / 32767, width, shade);
}

static void
draw_dial(void)
{
    for (int32_t minute = 0; minute < 60; minute++) {
        int32_t steps = minute * (int32_t)SINE_STEPS / 60;
        if (minute % 5 == 0) {
            spoke(steps, 102, 115, 3, 12);
        } else {
            spoke(steps, 111, 115, 1, 6);
        }
    }
    screen_ring(CENTRE, CENTRE, 118, 5);
}

void
face_draw(const struct face_state *state)
{
    const struct zone *zone = calendar_zone(state->place);
    int16_t offset = zone != NULL ? calendar_offset(zone, state->utc_minute) : 0;
    int32_t local = (int32_t)state->utc_minute + offset;
    int32_t minute = local % 1440;
    struct line l = {.len = 0};

    draw_dial();
    calendar_print_date(&l, local / 1440);
    screen_text_centred(&table_fonts[0], CENTRE, 150, line_end(&l));
    screen_text_centred(&table_fonts[1], CENTRE, 62, state->place);
    if (state->pulse > 0) {
        l.len = 0;
        line_number(&l, state->pulse, 1);
        line_text(&l, " bpm");
        screen_text_centred(&table_fonts[0], CENTRE, 172, line_end(&l));
    }
    spoke(minute * (int32_t)SINE_STEPS / 720, -10, 58, 7, SHADE_WHITE);
    spoke(minute % 60 * (int32_t)SINE_STEPS / 60, -14, 92, 5, SHADE_WHITE);
    screen_disc(CENTRE, CENTRE, 6, SHADE_WHITE);
}
