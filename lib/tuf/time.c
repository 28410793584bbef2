/* SPDX-License-Identifier: Apache-2.0
 *
 * Own arithmetic instead of strptime and timegm: those accept more than one form, and time_t may have 32 bits.
 */
#include "lib/tuf/time.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool
leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int64_t
month_days(int64_t year, int64_t month)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && leap(year) ? 1 : 0);
}

/* Days from 1970-01-01 to the first of January. */
static int64_t
year_start(int64_t year)
{
    int64_t y = year - 1;

    return 365 * (year - 1970) + (y / 4 - y / 100 + y / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400);
}

static int64_t
digits(const char *text, int count)
{
    int64_t v = 0;

    for (int i = 0; i < count; i++) {
        v = v * 10 + (text[i] - '0');
    }
    return v;
}

rb_err
rb_time_parse(const char *text, int64_t *out)
{
    static const char form[RB_TIME_TEXT_LEN + 1] = "dddd-dd-ddTdd:dd:ddZ";

    if (strlen(text) != RB_TIME_TEXT_LEN) {
        return RB_ERR_META_FORMAT;
    }
    for (int i = 0; i < RB_TIME_TEXT_LEN; i++) {
        bool digit = text[i] >= '0' && text[i] <= '9';
        if (form[i] == 'd' ? !digit : text[i] != form[i]) {
            return RB_ERR_META_FORMAT;
        }
    }
    int64_t year = digits(text, 4);
    int64_t month = digits(text + 5, 2);
    int64_t day = digits(text + 8, 2);
    int64_t hour = digits(text + 11, 2);
    int64_t minute = digits(text + 14, 2);
    int64_t second = digits(text + 17, 2);
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > month_days(year, month) || hour > 23
        || minute > 59 || second > 59) {
        return RB_ERR_META_FORMAT;
    }
    int64_t days = year_start(year) + day - 1;
    for (int64_t m = 1; m < month; m++) {
        days += month_days(year, m);
    }
    *out = ((days * 24 + hour) * 60 + minute) * 60 + second;
    return RB_OK;
}

void
rb_time_format(int64_t seconds, char out[RB_TIME_TEXT_LEN + 1])
{
    int64_t days = seconds / 86400;
    int64_t rest = seconds % 86400;
    int64_t year = 1970 + days / 366; /* never too late; at most a few steps too early */
    char text[64];

    while (year_start(year + 1) <= days) {
        year++;
    }
    days -= year_start(year);
    int64_t month = 1;
    while (days >= month_days(year, month)) {
        days -= month_days(year, month++);
    }
    (void)snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)year, (int)month, (int)days + 1,
                   (int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60));
    memcpy(out, text, RB_TIME_TEXT_LEN);
    out[RB_TIME_TEXT_LEN] = '\0';
}
