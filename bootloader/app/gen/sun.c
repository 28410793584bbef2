/* SPDX-License-Identifier: Apache-2.0
 *
 * Sunrise and sunset in local solar time: declination by the usual series (Spencer 1971), the sun's centre 0.833
 * degrees below the horizon for refraction and its radius, equation of time added. Good to two minutes, which is what
 * a watch shows.
 */
#include "bootloader/app/gen/gen.h"

#include "bootloader/app/tables.h"

#include <math.h>
#include <stdio.h>

#define HORIZON_DEGREES (-0.833)

struct sun {
    double declination;  /* radians */
    double late_minutes; /* by which the sun is behind the clock */
};

static struct sun
sun_on(int day)
{
    double g = 2.0 * M_PI * day / 366.0;

    return (struct sun){
        .declination = 0.006918 - 0.399912 * cos(g) + 0.070257 * sin(g) - 0.006758 * cos(2 * g)
                       + 0.000907 * sin(2 * g) - 0.002697 * cos(3 * g) + 0.00148 * sin(3 * g),
        .late_minutes = -229.18
                        * (0.000075 + 0.001868 * cos(g) - 0.032077 * sin(g) - 0.014615 * cos(2 * g)
                           - 0.040849 * sin(2 * g)),
    };
}

static void
rise_and_set(int latitude_degrees, int day, int16_t out[2])
{
    struct sun sun = sun_on(day);
    double latitude = latitude_degrees * M_PI / 180.0;
    double x = (sin(HORIZON_DEGREES * M_PI / 180.0) - sin(latitude) * sin(sun.declination))
               / (cos(latitude) * cos(sun.declination));

    if (x >= 1.0 || x <= -1.0) {
        out[0] = out[1] = x >= 1.0 ? SUN_NEVER : SUN_ALWAYS;
        return;
    }
    double half_minutes = acos(x) * 720.0 / M_PI;
    out[0] = (int16_t)lround(720.0 + sun.late_minutes - half_minutes);
    out[1] = (int16_t)lround(720.0 + sun.late_minutes + half_minutes);
}

void
gen_sun(void)
{
    static int16_t table[SUN_LATITUDES][366][2];

    (void)printf("const int16_t table_sun[SUN_LATITUDES][366][2] = {\n");
    for (int i = 0; i < SUN_LATITUDES; i++) {
        (void)printf("{");
        for (int day = 0; day < 366; day++) {
            rise_and_set(i * SUN_LATITUDE_STEP - SUN_LATITUDE_MAX, day, table[i][day]);
            (void)printf("%s{%d,%d},", day % 8 == 0 ? "\n    " : "", table[i][day][0], table[i][day][1]);
        }
        (void)printf("},\n");
    }
    (void)printf("};\n");
    gen_sum("sun", "table_sun", table, sizeof table);
}
