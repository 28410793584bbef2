/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A step counter for a three-axis accelerometer at STEPS_RATE_HZ.
 */
#ifndef RB_APP_STEPS_H
#define RB_APP_STEPS_H

#include <stdbool.h>
#include <stdint.h>

#define STEPS_RATE_HZ 50

struct steps {
    int32_t mean;     /* of the magnitude, in 1/256 */
    int32_t smooth;   /* low-passed magnitude, in 1/256 */
    bool above;       /* beyond the upper threshold; the next fall below the lower one ends a step */
    uint32_t quiet;   /* samples since the last step */
    uint32_t count;
    bool settled;     /* mean and smooth hold something */
};

/** One sample, in thousandths of gravity. */
void steps_sample(struct steps *s, int32_t x, int32_t y, int32_t z);

#endif
