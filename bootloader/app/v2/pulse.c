/* SPDX-License-Identifier: Apache-2.0
 *
 * The strongest line in the spectrum: a fixed-point FFT over the whole window. Less disturbed by movement than the
 * autocorrelation of release 1.
 */
#include "bootloader/app/pulse.h"

#include "bootloader/app/trig.h"

#include <stddef.h>

#define LOG2_SAMPLES 9

struct complex {
    int16_t re, im;
};

static void
swap_bit_reversed(struct complex *x)
{
    for (uint32_t i = 0; i < PULSE_SAMPLES; i++) {
        uint32_t reversed = 0;
        for (unsigned bit = 0; bit < LOG2_SAMPLES; bit++) {
            reversed |= (i >> bit & 1) << (LOG2_SAMPLES - 1 - bit);
        }
        if (reversed > i) {
            struct complex keep = x[i];
            x[i] = x[reversed];
            x[reversed] = keep;
        }
    }
}

/* One butterfly. Both results are halved, so that no stage can overflow: the transform comes out divided by
 * PULSE_SAMPLES. */
static void
butterfly(struct complex *a, struct complex *b, int32_t cosine, int32_t sine)
{
    int32_t re = (b->re * cosine + b->im * sine) >> 15;
    int32_t im = (b->im * cosine - b->re * sine) >> 15;

    b->re = (int16_t)((a->re - re) >> 1);
    b->im = (int16_t)((a->im - im) >> 1);
    a->re = (int16_t)((a->re + re) >> 1);
    a->im = (int16_t)((a->im + im) >> 1);
}

static void
transform(struct complex *x)
{
    swap_bit_reversed(x);
    for (uint32_t half = 1; half < PULSE_SAMPLES; half *= 2) {
        for (uint32_t k = 0; k < half; k++) {
            int32_t angle = (int32_t)(k * (SINE_STEPS / 2) / half);
            for (uint32_t i = k; i < PULSE_SAMPLES; i += 2 * half) {
                butterfly(&x[i], &x[i + half], trig_cosine(angle), trig_sine(angle));
            }
        }
    }
}

static uint32_t
power(struct complex c)
{
    return (uint32_t)(c.re * c.re) + (uint32_t)(c.im * c.im);
}

int32_t
pulse_rate(const int16_t samples[PULSE_SAMPLES])
{
    static struct complex x[PULSE_SAMPLES];
    uint32_t low = PULSE_MIN * PULSE_SAMPLES / (60 * PULSE_RATE_HZ);
    uint32_t high = PULSE_MAX * PULSE_SAMPLES / (60 * PULSE_RATE_HZ) + 1;
    uint32_t best = low;

    for (uint32_t i = 0; i < PULSE_SAMPLES; i++) {
        /* Hann window: the ends fade out, so a beat that does not fit the window whole does not smear. */
        int32_t window = (32767 - trig_cosine((int32_t)(i * SINE_STEPS / PULSE_SAMPLES))) / 2;
        x[i] = (struct complex){(int16_t)(samples[i] * window >> 15), 0};
    }
    transform(x);
    uint64_t floor_power = 1;
    for (uint32_t i = low; i <= high; i++) {
        floor_power += power(x[i]);
        best = power(x[i]) > power(x[best]) ? i : best;
    }
    if ((uint64_t)power(x[best]) * 8 < floor_power) {
        return 0;
    }
    /* The line lies between bins: weigh its neighbours' amplitudes, in 1/256 of a bin. */
    int32_t before = (int32_t)trig_root((uint64_t)power(x[best - 1]) << 16);
    int32_t peak = (int32_t)trig_root((uint64_t)power(x[best]) << 16);
    int32_t after = (int32_t)trig_root((uint64_t)power(x[best + 1]) << 16);
    int64_t shift = (int64_t)(after - before) * 256 * 2 / (before + peak * 2 + after);
    return (int32_t)((((int64_t)best * 256 + shift) * 60 * PULSE_RATE_HZ / PULSE_SAMPLES + 128) / 256);
}
