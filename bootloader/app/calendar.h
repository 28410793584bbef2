/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Dates and local time. Days are counted from 1970-01-01; minutes likewise, in UTC unless called local.
 */
#ifndef RB_APP_CALENDAR_H
#define RB_APP_CALENDAR_H

#include "bootloader/app/console.h"
#include "bootloader/app/tables.h"

#include <stdbool.h>
#include <stdint.h>

struct date {
    int32_t year;
    uint8_t month; /* 1..12 */
    uint8_t day;   /* 1..31 */
};

/** Proleptic Gregorian calendar, years 1..9999. */
int32_t calendar_days(struct date date);
struct date calendar_date(int32_t days);
/** 0 is Monday (ISO 8601 less one). */
unsigned calendar_weekday(int32_t days);
/** Day 0..365 of the table for a leap year; 29 February keeps its place in years without one. */
unsigned calendar_day_of_leap_year(struct date date);

/** Minutes east of UTC at a place; after ZONE_LAST_YEAR the standard time. */
int16_t calendar_offset(const struct zone *zone, uint32_t utc_minute);
/** NULL when there is no such place. */
const struct zone *calendar_zone(const char *name);

/** Local sunrise and sunset (0) or (1) in minutes after midnight by the clock, interpolated between the table's
 * latitudes. False where the sun does not rise or set that day. */
bool calendar_sun(const struct zone *zone, int32_t day, int16_t offset, int32_t out[2]);

/** "Mon 23 Nov 2026". */
void calendar_print_date(struct line *l, int32_t day);
/** "07:05". */
void calendar_print_time(struct line *l, int32_t minute_of_day);

#endif
