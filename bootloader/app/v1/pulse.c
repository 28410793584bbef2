/* SPDX-License-Identifier: Apache-2.0
 *
 * Autocorrelation: the delay at which the signal is most like itself is one beat.
 */
#include "bootloader/app/pulse.h"

#include <stddef.h>

#define LAG_MIN (PULSE_RATE_HZ * 60 / PULSE_MAX)
#define LAG_MAX (PULSE_RATE_HZ * 60 / PULSE_MIN + 1)

static int64_t
likeness(const int16_t *samples, int32_t mean, size_t lag)
{
    int64_t sum = 0;

    for (size_t i = 0; i + lag < PULSE_SAMPLES; i++) {
        sum += (int64_t)(samples[i] - mean) * (samples[i + lag] - mean);
    }
    return sum / (int64_t)(PULSE_SAMPLES - lag);
}

int32_t
pulse_rate(const int16_t samples[PULSE_SAMPLES])
{
    int64_t value[LAG_MAX + 2];
    int32_t mean = 0;
    size_t best = 0;

    for (size_t i = 0; i < PULSE_SAMPLES; i++) {
        mean += samples[i];
    }
    mean /= (int32_t)PULSE_SAMPLES;
    for (size_t lag = 0; lag < LAG_MAX + 2; lag++) {
        value[lag] = likeness(samples, mean, lag);
    }
    for (size_t lag = LAG_MIN; lag <= LAG_MAX; lag++) {
        if (value[lag] > value[lag - 1] && value[lag] >= value[lag + 1] && value[lag] > value[0] / 4
            && (best == 0 || value[lag] > value[best] + value[best] / 8)) {
            best = lag;
        }
    }
    if (best == 0) {
        return 0;
    }
    /* A parabola through the peak and its neighbours puts it between samples; in 1/256 of one. */
    int64_t bend = value[best - 1] - 2 * value[best] + value[best + 1];
    int64_t shift = bend != 0 ? (value[best - 1] - value[best + 1]) * 128 / bend : 0;
    return (int32_t)((PULSE_RATE_HZ * 60 * 256 + 128) / ((int64_t)best * 256 + shift));
}
