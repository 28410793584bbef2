/* SPDX-License-Identifier: Apache-2.0
 *
 * The health check after an update: the parts of the application work on inputs whose answers are known, and its
 * tables are what the build made. What is wrong is named, so that a report from the field says more than "bad".
 */
#include "bootloader/app/selftest.h"

#include "bootloader/app/calendar.h"
#include "bootloader/app/pulse.h"
#include "bootloader/app/release.h"
#include "bootloader/app/screen.h"
#include "bootloader/app/sound.h"
#include "bootloader/app/steps.h"
#include "bootloader/app/trig.h"
#include "lib/core/bytes.h"

static bool
check_tables(struct line *found)
{
    uint32_t total = 0;

    for (unsigned i = 0; i < table_sum_count; i++) {
        const struct table_sum *t = &table_sums[i];
        total += t->len;
        if (rb_crc32(0, t->data, t->len) != t->crc32) {
            line_text(found, "table \"");
            line_text(found, t->name);
            line_text(found, "\" is damaged");
            return false;
        }
    }
    line_number(found, (int32_t)total, 1);
    line_text(found, " bytes in ");
    line_number(found, (int32_t)table_sum_count, 1);
    line_text(found, " tables");
    return true;
}

static bool
check_calendar(struct line *found)
{
    static const struct {
        struct date date;
        int32_t days;
        unsigned weekday;
    } known[] = {
        {{1970, 1, 1}, 0, 3},      {{2000, 2, 29}, 11016, 1}, {{2024, 12, 31}, 20088, 1},
        {{2026, 11, 23}, 20780, 0}, {{2038, 1, 19}, 24855, 1}, {{2100, 3, 1}, 47541, 0},
    };

    for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (calendar_days(known[i].date) != known[i].days
            || calendar_weekday(known[i].days) != known[i].weekday) {
            line_text(found, "wrong date for ");
            calendar_print_date(found, known[i].days);
            return false;
        }
    }
    for (int32_t day = 0; day < 50000; day++) {
        if (calendar_days(calendar_date(day)) != day) {
            line_text(found, "day does not come back: ");
            line_number(found, day, 1);
            return false;
        }
    }
    line_text(found, "50000 days there and back");
    return true;
}

static bool
check_zones(struct line *found)
{
    uint32_t summer = (uint32_t)calendar_days((struct date){2026, 7, 1}) * 1440;
    uint32_t winter = (uint32_t)calendar_days((struct date){2026, 12, 1}) * 1440;
    static const struct {
        const char *place;
        int16_t july, december;
    } known[] = {
        {"London", 60, 0}, {"New York", -240, -300}, {"Sydney", 600, 660}, {"Delhi", 330, 330}, {"Auckland", 720, 780},
    };

    for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++) {
        const struct zone *zone = calendar_zone(known[i].place);
        if (zone == NULL || calendar_offset(zone, summer) != known[i].july
            || calendar_offset(zone, winter) != known[i].december) {
            line_text(found, "wrong time in ");
            line_text(found, known[i].place);
            return false;
        }
    }
    line_number(found, (int32_t)table_zone_count, 1);
    line_text(found, " places");
    return true;
}

static bool
check_sun(struct line *found)
{
    const struct zone *zone = calendar_zone("Stockholm");
    int32_t june[2];
    int32_t december[2];

    if (zone == NULL || !calendar_sun(zone, calendar_days((struct date){2026, 6, 21}), 120, june)
        || !calendar_sun(zone, calendar_days((struct date){2026, 12, 21}), 60, december)) {
        line_text(found, "no sun in Stockholm");
        return false;
    }
    /* The almanac has 03:31 to 22:08 and 08:43 to 14:48. */
    bool good = june[0] > 205 && june[0] < 220 && june[1] > 1320 && june[1] < 1335 && december[0] > 515
                && december[0] < 530 && december[1] > 880 && december[1] < 895;
    line_text(found, "Stockholm, midsummer ");
    calendar_print_time(found, june[0]);
    line_text(found, " to ");
    calendar_print_time(found, june[1]);
    return good;
}

/* A pulse wave: the beat and its first harmonic over a slow drift. */
static void
make_pulse(int16_t *samples, int32_t beats, int32_t level)
{
    for (int32_t i = 0; i < (int32_t)PULSE_SAMPLES; i++) {
        int32_t angle = (int32_t)((int64_t)i * beats * (int32_t)SINE_STEPS / (60 * PULSE_RATE_HZ));
        int32_t wave = trig_sine(angle) * 3 / 4 + trig_sine(2 * angle + 600) / 8 + trig_sine(i * 3) / 16;
        samples[i] = (int16_t)(wave * level / 256);
    }
}

static bool
check_pulse(struct line *found)
{
    static int16_t samples[PULSE_SAMPLES];
    static const int32_t beats[] = {48, 63, 72, 96, 131, 168};
    static const int32_t levels[] = {16, 250}; /* a loose strap, a tight one */

    for (unsigned i = 0; i < sizeof beats / sizeof beats[0]; i++) {
        for (unsigned level = 0; level < 2; level++) {
            make_pulse(samples, beats[i], levels[level]);
            int32_t got = pulse_rate(samples);
            if (got < beats[i] - 2 || got > beats[i] + 2) {
                line_text(found, level == 0 ? "faint" : "strong");
                line_text(found, " pulse of ");
                line_number(found, beats[i], 1);
                line_text(found, " read as ");
                line_number(found, got, 1);
                return false;
            }
        }
    }
    line_text(found, "48 to 168 a minute, faint and strong");
    return true;
}

static bool
check_steps(struct line *found)
{
    struct steps s = {0};

    for (int32_t i = 0; i < 60 * STEPS_RATE_HZ; i++) { /* a minute at two steps a second, arm swinging */
        int32_t stride = trig_sine(i * 2 * (int32_t)SINE_STEPS / STEPS_RATE_HZ);
        int32_t swing = trig_sine(i * (int32_t)SINE_STEPS / STEPS_RATE_HZ);
        steps_sample(&s, swing / 200, stride / 256, 1000 + stride / 110);
    }
    line_number(found, (int32_t)s.count, 1);
    line_text(found, " of 120 steps");
    return s.count >= 117 && s.count <= 123;
}

static bool
check_sound(struct line *found)
{
    static int16_t samples[SOUND_RATE_HZ / 10];
    const size_t count = sizeof samples / sizeof samples[0];

    for (unsigned i = 0; i < table_tone_count; i++) {
        sound_fill(i, 0, 256, samples, count);
        uint32_t loud = sound_power(samples, count);
        sound_fill(i, table_tones[i].len - 80, 256, samples, count);
        if (loud < 1000000 || sound_power(samples, count) > loud / 1000) {
            line_text(found, table_tones[i].name);
            line_text(found, " does not sound and fade");
            return false;
        }
    }
    line_number(found, (int32_t)table_tone_count, 1);
    line_text(found, " tones");
    return true;
}

static bool
check_face(struct line *found)
{
    /* Monday 23 November 2026, 09:41 UTC. */
    const struct face_state state = {"London", 20780u * 1440u + 9 * 60 + 41, 72, 6421};

    screen_clear();
    face_draw(&state);
    uint32_t crc = screen_crc();
    line_text(found, "frame ");
    line_hex32(found, crc);
    if (crc != release_face_crc) {
        line_text(found, ", not ");
        line_hex32(found, release_face_crc);
    }
    return crc == release_face_crc;
}

static const struct check common_checks[] = {
    {"tables", check_tables}, {"calendar", check_calendar}, {"time zones", check_zones}, {"sun", check_sun},
    {"pulse", check_pulse},   {"steps", check_steps},       {"sound", check_sound},      {"face", check_face},
    {NULL, NULL},
};

static void
run_list(const struct check *checks, unsigned *good, unsigned *bad)
{
    for (; checks->name != NULL; checks++) {
        struct line found = {.len = 0};
        struct line report = {.len = 0};
        bool fine = checks->run(&found);

        line_text(&report, fine ? "  ok   " : "  BAD  ");
        line_text(&report, checks->name);
        line_pad(&report, 20);
        line_text(&report, line_end(&found));
        line_write(&report);
        *(fine ? good : bad) += 1;
    }
}

bool
selftest_run(void)
{
    struct line report = {.len = 0};
    unsigned good = 0;
    unsigned bad = 0;

    run_list(common_checks, &good, &bad);
    run_list(release_checks, &good, &bad);
    line_text(&report, bad == 0 ? "health: good, " : "health: BAD, ");
    line_number(&report, (int32_t)good, 1);
    line_text(&report, " of ");
    line_number(&report, (int32_t)(good + bad), 1);
    line_text(&report, " checks passed");
    line_write(&report);
    return bad == 0;
}
