/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Sine and cosine from the table. Angles are in SINE_STEPS a turn and wrap.
 */
#ifndef RB_APP_TRIG_H
#define RB_APP_TRIG_H

#include "bootloader/app/tables.h"

static inline int16_t
trig_sine(int32_t steps)
{
    return table_sine[(uint32_t)steps % SINE_STEPS];
}

static inline int16_t
trig_cosine(int32_t steps)
{
    return table_sine[((uint32_t)steps + SINE_STEPS / 4) % SINE_STEPS];
}

/** Integer square root: the largest number whose square is not above `n`. */
static inline uint32_t
trig_root(uint64_t n)
{
    uint64_t root = 0;

    for (uint64_t bit = (uint64_t)1 << 62; bit > 0; bit >>= 2) {
        if (n >= root + bit) {
            n -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return (uint32_t)root;
}

#endif
