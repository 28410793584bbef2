/* SPDX-License-Identifier: Apache-2.0 */
#include "bootloader/app/steps.h"

#include "bootloader/app/trig.h"

#define UPPER (90 * 256)     /* thousandths of gravity above the mean that start a step */
#define LOWER (-40 * 256)    /* and that end it: noise around one threshold is not counted twice */
#define QUICKEST_SAMPLES 12u /* nobody makes more than four steps a second */

void
steps_sample(struct steps *s, int32_t x, int32_t y, int32_t z)
{
    int32_t magnitude = (int32_t)trig_root((uint64_t)((int64_t)x * x + (int64_t)y * y + (int64_t)z * z)) * 256;

    if (!s->settled) {
        s->mean = s->smooth = magnitude;
        s->settled = true;
    }
    s->mean += (magnitude - s->mean) / 128;
    s->smooth += (magnitude - s->smooth) / 4;
    s->quiet++;
    int32_t swing = s->smooth - s->mean;
    if (!s->above && swing > UPPER && s->quiet >= QUICKEST_SAMPLES) {
        s->above = true;
    } else if (s->above && swing < LOWER) {
        s->above = false;
        s->quiet = 0;
        s->count++;
    }
}
