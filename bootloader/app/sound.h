/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Alarm tones from companded samples (ITU-T G.711's mu-law curve, codes not inverted).
 */
#ifndef RB_APP_SOUND_H
#define RB_APP_SOUND_H

#include <stddef.h>
#include <stdint.h>

#define SOUND_RATE_HZ 8000

/** Sample of a code: sign, three bits of exponent, four of mantissa. -32124..32124. */
static inline int16_t
sound_expand(uint8_t code)
{
    int32_t magnitude = ((((code & 15) * 2 + 33) << (code >> 4 & 7)) - 33) * 4;

    return (int16_t)((code & 0x80) != 0 ? -magnitude : magnitude);
}

/** Expand samples `first`.. of tone `tone` at `volume` 0..256; samples past the tone's end are silence. */
void sound_fill(unsigned tone, uint32_t first, unsigned volume, int16_t *out, size_t count);

/** Mean of squares of `count` samples, as the amplifier's limiter measures loudness. */
uint32_t sound_power(const int16_t *samples, size_t count);

#endif
