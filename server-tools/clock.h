/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The time that goes into what is signed: SOURCE_DATE_EPOCH where it is set, so that two runs give identical bytes
 * (https://reproducible-builds.org/specs/source-date-epoch/), else the clock.
 */
#ifndef RB_FORGE_CLOCK_H
#define RB_FORGE_CLOCK_H

#include "lib/core/errors.h"

#include <stdint.h>

/** Seconds since 1970. RB_ERR_ARG when SOURCE_DATE_EPOCH is set to anything but a decimal number. */
RB_MUST_USE
rb_err forge_now(int64_t *out);

#endif
