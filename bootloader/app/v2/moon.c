/* SPDX-License-Identifier: Apache-2.0 */
#include "bootloader/app/v2/moon.h"

#include "bootloader/app/screen.h"
#include "bootloader/app/trig.h"

#include <stdbool.h>

/* Lengths of the months in thousandths of a minute, and a moment at which each began, in minutes since 1970
 * (mean elements of J2000). */
#define SYNODIC 42524047LL       /* new moon to new moon: 29.530589 days */
#define ANOMALISTIC 39678552LL   /* perigee to perigee: 27.554550 days */
#define YEAR 525969163LL         /* perihelion to perihelion */
#define MEAN_NEW_MOON 15786140LL /* 2000-01-06 14:20 */
#define PERIGEE 15803603LL       /* 2000-01-18 17:23 */
#define PERIHELION 15782410LL    /* 2000-01-04 00:10 */

/* Where in a cycle a minute is, in SINE_STEPS a turn. */
static int32_t
phase(int64_t minute, int64_t begin, int64_t length)
{
    int64_t into = (minute - begin) * 1000 % length;

    return (int32_t)((into + length) % length * (int64_t)SINE_STEPS / length);
}

int32_t
moon_age(uint32_t utc_minute)
{
    int32_t mean = phase(utc_minute, MEAN_NEW_MOON, SYNODIC);
    int32_t moon = phase(utc_minute, PERIGEE, ANOMALISTIC);
    int32_t earth = phase(utc_minute, PERIHELION, YEAR);
    /* Degrees times SINE_STEPS / 360: equation of the moon's centre 6.29, variation 0.66, evection 1.27, the earth's
     * own 1.92 + 0.19. */
    int32_t shift = 72 * trig_sine(moon) + 14 * trig_sine(2 * mean - moon) + 7 * trig_sine(2 * mean)
                    - 24 * trig_sine(earth);

    return (int32_t)((uint32_t)(mean + shift / 32767) % SINE_STEPS);
}

void
moon_draw(int32_t x, int32_t y, int32_t radius, int32_t age)
{
    /* The terminator is half an ellipse whose width is the cosine of the age. */
    for (int32_t dy = -radius; dy <= radius; dy++) {
        int32_t half = (int32_t)trig_root((uint64_t)(radius * radius - dy * dy));
        int32_t edge = half * trig_cosine(age) / 32767;
        bool waxing = age < (int32_t)SINE_STEPS / 2;
        for (int32_t dx = -half; dx <= half; dx++) {
            bool lit = waxing ? dx > edge : dx < -edge;
            screen_point(x + dx, y + dy, lit ? 14 : 3);
        }
    }
}
