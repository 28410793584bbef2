/* SPDX-License-Identifier: Apache-2.0
 *
 * Places and the moments their clocks change, from the rules in force.
 */
#include "bootloader/app/gen/gen.h"

#include "bootloader/app/tables.h"

#include <stdio.h>
#include <string.h>

enum rule { NONE, EUROPE, AMERICA, AUSTRALIA, NEW_ZEALAND };

static const struct place {
    const char *name;
    int latitude, longitude; /* degrees north, east */
    int standard;            /* minutes east of UTC */
    enum rule rule;
    int release;             /* first release that lists it */
} PLACES[] = {
    {"Honolulu", 21, -158, -600, NONE, 1},     {"Anchorage", 61, -150, -540, AMERICA, 1},
    {"Vancouver", 49, -123, -480, AMERICA, 1}, {"Los Angeles", 34, -118, -480, AMERICA, 1},
    {"Phoenix", 33, -112, -420, NONE, 2},      {"Denver", 40, -105, -420, AMERICA, 1},
    {"Chicago", 42, -88, -360, AMERICA, 1},    {"Mexico City", 19, -99, -360, NONE, 1},
    {"New York", 41, -74, -300, AMERICA, 1},   {"Toronto", 44, -79, -300, AMERICA, 1},
    {"Bogota", 5, -74, -300, NONE, 1},         {"Lima", -12, -77, -300, NONE, 1},
    {"Halifax", 45, -64, -240, AMERICA, 2},    {"Caracas", 10, -67, -240, NONE, 2},
    {"Sao Paulo", -24, -47, -180, NONE, 1},    {"Buenos Aires", -35, -58, -180, NONE, 1},
    {"Reykjavik", 64, -22, 0, NONE, 1},        {"London", 52, 0, 0, EUROPE, 1},
    {"Lisbon", 39, -9, 0, EUROPE, 1},          {"Dublin", 53, -6, 0, EUROPE, 2},
    {"Accra", 6, 0, 0, NONE, 2},               {"Lagos", 6, 3, 60, NONE, 1},
    {"Paris", 49, 2, 60, EUROPE, 1},           {"Berlin", 53, 13, 60, EUROPE, 1},
    {"Madrid", 40, -4, 60, EUROPE, 1},         {"Rome", 42, 12, 60, EUROPE, 1},
    {"Vienna", 48, 16, 60, EUROPE, 2},         {"Warsaw", 52, 21, 60, EUROPE, 2},
    {"Oslo", 60, 11, 60, EUROPE, 1},           {"Stockholm", 59, 18, 60, EUROPE, 1},
    {"Helsinki", 60, 25, 120, EUROPE, 1},      {"Athens", 38, 24, 120, EUROPE, 1},
    {"Kyiv", 50, 31, 120, EUROPE, 2},          {"Johannesburg", -26, 28, 120, NONE, 1},
    {"Istanbul", 41, 29, 180, NONE, 1},        {"Nairobi", -1, 37, 180, NONE, 1},
    {"Riyadh", 25, 47, 180, NONE, 1},          {"Tehran", 36, 51, 210, NONE, 2},
    {"Dubai", 25, 55, 240, NONE, 1},           {"Kabul", 35, 69, 270, NONE, 2},
    {"Karachi", 25, 67, 300, NONE, 1},         {"Delhi", 29, 77, 330, NONE, 1},
    {"Kathmandu", 28, 85, 345, NONE, 2},       {"Dhaka", 24, 90, 360, NONE, 1},
    {"Yangon", 17, 96, 390, NONE, 2},          {"Bangkok", 14, 101, 420, NONE, 1},
    {"Jakarta", -6, 107, 420, NONE, 1},        {"Beijing", 40, 116, 480, NONE, 1},
    {"Shanghai", 31, 121, 480, NONE, 1},       {"Singapore", 1, 104, 480, NONE, 1},
    {"Perth", -32, 116, 480, NONE, 2},         {"Manila", 15, 121, 480, NONE, 2},
    {"Tokyo", 36, 140, 540, NONE, 1},          {"Seoul", 38, 127, 540, NONE, 1},
    {"Adelaide", -35, 139, 570, AUSTRALIA, 2}, {"Sydney", -34, 151, 600, AUSTRALIA, 1},
    {"Brisbane", -27, 153, 600, NONE, 2},      {"Auckland", -37, 175, 720, NEW_ZEALAND, 1},
};

static int32_t
days_before(int year, int month, int day)
{
    static const int starts[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int past = year - 1;
    int32_t days = 365 * past + past / 4 - past / 100 + past / 400;
    int leap = month > 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days + starts[month - 1] + leap + day - 1 - 719162; /* since 1970 */
}

/* The `nth` Sunday of a month, or its last one for nth 0, as days since 1970. */
static int32_t
sunday(int year, int month, int nth)
{
    int32_t first = nth > 0 ? days_before(year, month, 1) : days_before(year, month + 1, 1) - 7;
    int32_t weekday = (first + 4) % 7; /* 0: Sunday */

    return first + (7 - weekday) % 7 + (nth > 0 ? 7 * (nth - 1) : 0);
}

static struct zone_change
change(int32_t day, int minute_utc, int offset)
{
    return (struct zone_change){(uint32_t)(day * 1440 + minute_utc), (int16_t)offset, 0};
}

/* The two changes of a year, in order. */
static void
changes_of(const struct place *p, int year, struct zone_change out[2])
{
    int standard = p->standard;
    int summer = p->standard + 60;

    if (p->rule == EUROPE) {
        out[0] = change(sunday(year, 3, 0), 60, summer);
        out[1] = change(sunday(year, 10, 0), 60, standard);
    } else if (p->rule == AMERICA) {
        out[0] = change(sunday(year, 3, 2), 120 - standard, summer);
        out[1] = change(sunday(year, 11, 1), 120 - summer, standard);
    } else {
        out[0] = change(sunday(year, 4, 1), 120 - standard, standard);
        out[1] = change(p->rule == AUSTRALIA ? sunday(year, 10, 1) : sunday(year, 9, 0), 120 - standard, summer);
    }
}

void
gen_zones(int release)
{
    static struct zone zones[sizeof PLACES / sizeof PLACES[0]];
    static struct zone_change changes[4096];
    size_t zone_count = 0;
    size_t change_count = 0;

    for (size_t i = 0; i < sizeof PLACES / sizeof PLACES[0]; i++) {
        const struct place *p = &PLACES[i];
        if (release < p->release) {
            continue;
        }
        struct zone *z = &zones[zone_count++];
        (void)snprintf(z->name, sizeof z->name, "%s", p->name);
        z->latitude = (int8_t)p->latitude;
        z->longitude = (int16_t)p->longitude;
        z->standard = (int16_t)p->standard;
        z->first_change = (uint16_t)change_count;
        for (int year = ZONE_FIRST_YEAR; p->rule != NONE && year <= ZONE_LAST_YEAR; year++) {
            changes_of(p, year, changes + change_count);
            change_count += 2;
        }
        z->change_count = (uint16_t)(change_count - z->first_change);
    }

    (void)printf("const struct zone table_zones[] = {\n");
    for (size_t i = 0; i < zone_count; i++) {
        (void)printf("    {\"%s\", %d, %d, %d, %u, %u},\n", zones[i].name, zones[i].latitude, zones[i].longitude,
                     zones[i].standard, zones[i].first_change, zones[i].change_count);
    }
    (void)printf("};\nconst unsigned table_zone_count = %zu;\n", zone_count);
    (void)printf("const struct zone_change table_zone_changes[] = {\n");
    for (size_t i = 0; i < change_count; i++) {
        (void)printf("    {%uu, %d, 0},\n", changes[i].at_minute, changes[i].offset);
    }
    (void)printf("};\n");
    gen_sum("zones", "table_zones", zones, zone_count * sizeof zones[0]);
    gen_sum("zone changes", "table_zone_changes", changes, change_count * sizeof changes[0]);
}
