/* SPDX-License-Identifier: Apache-2.0 */
#include "bootloader/app/v2/checks.h"

#include "bootloader/app/calendar.h"
#include "bootloader/app/screen.h"
#include "bootloader/app/v2/moon.h"
#include "bootloader/app/v2/notice.h"

bool
check_moon(struct line *found)
{
    /* New and full moons from the almanac, UTC. */
    static const struct {
        struct date date;
        uint32_t minute;
        int32_t age;
    } known[] = {
        {{2024, 4, 8}, 18 * 60 + 21, 0},
        {{2024, 9, 18}, 2 * 60 + 34, SINE_STEPS / 2},
        {{2026, 8, 12}, 17 * 60 + 37, 0},
        {{2026, 8, 28}, 4 * 60 + 18, SINE_STEPS / 2},
    };

    for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++) {
        int32_t age = moon_age((uint32_t)calendar_days(known[i].date) * 1440 + known[i].minute);
        int32_t off = (age - known[i].age + 3 * (int32_t)SINE_STEPS / 2) % (int32_t)SINE_STEPS
                      - (int32_t)SINE_STEPS / 2;
        if (off < -16 || off > 16) { /* 16 steps are 2.8 hours */
            line_text(found, "off by ");
            line_number(found, off, 1);
            line_text(found, " steps on ");
            calendar_print_date(found, calendar_days(known[i].date));
            return false;
        }
    }
    line_text(found, "4 new and full moons");
    return true;
}

bool
check_notices(struct line *found)
{
    static struct notice n;
    const struct font *font = &table_fonts[1];

    notice_set(&n, font, 180,
               "Rain from four o'clock, clearing later. Take the early tram: the bridge is closed to cyclists and "
               "pedestriansandeveryoneelse until Sunday.");
    for (unsigned i = 0; i < n.count; i++) {
        if (screen_text_width(font, n.line[i]) > 180) {
            line_text(found, "line too wide: ");
            line_text(found, n.line[i]);
            return false;
        }
    }
    line_number(found, (int32_t)n.count, 1);
    line_text(found, " lines set");
    return n.count == NOTICE_LINES && n.line[0][0] == 'R';
}
