/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What differs between releases of the application. v1/, v2/, v3/ and v3_fixed/ hold it; everything else is common.
 */
#ifndef RB_APP_RELEASE_H
#define RB_APP_RELEASE_H

#include "bootloader/app/console.h"

#include <stdbool.h>
#include <stdint.h>

extern const char release_version[];

/** All that the face shows. */
struct face_state {
    const char *place;
    uint32_t utc_minute;
    int32_t pulse; /* 0: unknown */
    uint32_t steps;
};

/** Draw the watch face of this release on a clear screen. */
void face_draw(const struct face_state *state);
/** CRC of the frame for the reference state of the self-test. */
extern const uint32_t release_face_crc;

/** One part of the self-test: add what was found to `found`, return whether it is good. */
struct check {
    const char *name;
    bool (*run)(struct line *found);
};
/** Checks that only this release has; ends with a NULL name. */
extern const struct check release_checks[];

#endif
