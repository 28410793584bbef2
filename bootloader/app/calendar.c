/* SPDX-License-Identifier: Apache-2.0 */
#include "bootloader/app/calendar.h"

#define DAYS_400_YEARS 146097
#define DAYS_TO_1970 719468 /* from 0000-03-01: years that start in March end with the leap day */

int32_t
calendar_days(struct date date)
{
    int32_t year = date.month <= 2 ? date.year - 1 : date.year;
    int32_t era = year / 400;
    int32_t year_of_era = year - era * 400;
    int32_t month = (date.month + 9) % 12; /* March is 0 */
    int32_t day_of_year = (153 * month + 2) / 5 + date.day - 1;

    return era * DAYS_400_YEARS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year
           - DAYS_TO_1970;
}

struct date
calendar_date(int32_t days)
{
    int32_t shifted = days + DAYS_TO_1970;
    int32_t era = shifted / DAYS_400_YEARS;
    int32_t day_of_era = shifted - era * DAYS_400_YEARS;
    int32_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int32_t month = (5 * day_of_year + 2) / 153;

    return (struct date){
        .year = year_of_era + era * 400 + (month >= 10 ? 1 : 0),
        .month = (uint8_t)(month < 10 ? month + 3 : month - 9),
        .day = (uint8_t)(day_of_year - (153 * month + 2) / 5 + 1),
    };
}

unsigned
calendar_weekday(int32_t days)
{
    return (unsigned)((days % 7 + 10) % 7); /* 1970-01-01 was a Thursday */
}

unsigned
calendar_day_of_leap_year(struct date date)
{
    return (unsigned)(calendar_days((struct date){2000, date.month, date.day})
                      - calendar_days((struct date){2000, 1, 1}));
}

int16_t
calendar_offset(const struct zone *zone, uint32_t utc_minute)
{
    const struct zone_change *change = table_zone_changes + zone->first_change;
    int16_t offset = zone->standard;
    uint32_t low = 0;
    uint32_t high = zone->change_count;

    /* Before the first change: southern places are in summer time then, but nobody sets a watch to the past. */
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (change[middle].at_minute <= utc_minute) {
            offset = change[middle].offset;
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return offset;
}

static bool
same_text(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

const struct zone *
calendar_zone(const char *name)
{
    for (unsigned i = 0; i < table_zone_count; i++) {
        if (same_text(table_zones[i].name, name)) {
            return &table_zones[i];
        }
    }
    return NULL;
}

bool
calendar_sun(const struct zone *zone, int32_t day, int16_t offset, int32_t out[2])
{
    int32_t north = zone->latitude + SUN_LATITUDE_MAX;

    if (north < 0 || north > 2 * SUN_LATITUDE_MAX) {
        return false;
    }
    unsigned row = (unsigned)(north / SUN_LATITUDE_STEP);
    unsigned next = row + 1 < SUN_LATITUDES ? row + 1 : row;
    int32_t part = north % SUN_LATITUDE_STEP;
    unsigned column = calendar_day_of_leap_year(calendar_date(day));

    for (int i = 0; i < 2; i++) {
        int32_t south_minute = table_sun[row][column][i];
        int32_t north_minute = table_sun[next][column][i];
        if (south_minute < 0 || north_minute < 0) {
            return false;
        }
        int32_t solar = south_minute + (north_minute - south_minute) * part / SUN_LATITUDE_STEP;
        out[i] = solar - zone->longitude * 4 + offset; /* the sun takes four minutes a degree */
    }
    return true;
}

void
calendar_print_date(struct line *l, int32_t day)
{
    static const char weekdays[7][4] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct date date = calendar_date(day);

    line_text(l, weekdays[calendar_weekday(day)]);
    line_text(l, " ");
    line_number(l, date.day, 1);
    line_text(l, " ");
    line_text(l, months[date.month - 1]);
    line_text(l, " ");
    line_number(l, date.year, 4);
}

void
calendar_print_time(struct line *l, int32_t minute_of_day)
{
    int32_t minute = (minute_of_day % 1440 + 1440) % 1440;

    line_number(l, minute / 60, 2);
    line_text(l, ":");
    line_number(l, minute % 60, 2);
}
