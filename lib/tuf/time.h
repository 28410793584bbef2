/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Times as metadata writes them: "2026-11-23T02:55:08Z", UTC, whole seconds, nothing else.
 */
#ifndef RB_TUF_TIME_H
#define RB_TUF_TIME_H

#include "lib/core/errors.h"

#include <stdint.h>

#define RB_TIME_TEXT_LEN 20
/** 9999-12-31T23:59:59Z, the latest time that has this form. */
#define RB_TIME_MAX INT64_C(253402300799)

/** Seconds since 1970. RB_ERR_META_FORMAT for any other form, a day that no month has, a year before 1970. */
RB_MUST_USE
rb_err rb_time_parse(const char *text, int64_t *out);

/** The inverse; `seconds` is 0..RB_TIME_MAX. */
void rb_time_format(int64_t seconds, char out[RB_TIME_TEXT_LEN + 1]);

#endif
