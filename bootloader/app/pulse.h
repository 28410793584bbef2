/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Heart rate from the optical sensor. How it is found depends on the release: v1/pulse.c, v2/pulse.c.
 */
#ifndef RB_APP_PULSE_H
#define RB_APP_PULSE_H

#include <stdint.h>

#define PULSE_RATE_HZ 25
#define PULSE_SAMPLES 512u
#define PULSE_MIN 40 /* beats a minute */
#define PULSE_MAX 200

/** Beats a minute in PULSE_SAMPLES samples, or 0 when no beat stands out. */
int32_t pulse_rate(const int16_t samples[PULSE_SAMPLES]);

#endif
