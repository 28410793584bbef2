/* SPDX-License-Identifier: Apache-2.0 */
#include "bootloader/app/sound.h"

#include "bootloader/app/tables.h"

void
sound_fill(unsigned tone, uint32_t first, unsigned volume, int16_t *out, size_t count)
{
    const struct tone *t = &table_tones[tone];

    for (size_t i = 0; i < count; i++) {
        uint32_t at = first + (uint32_t)i;
        int32_t sample = at < t->len ? sound_expand(table_tone_samples[t->first + at]) : 0;
        out[i] = (int16_t)(sample * (int32_t)volume / 256);
    }
}

uint32_t
sound_power(const int16_t *samples, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        sum += (uint64_t)((int64_t)samples[i] * samples[i]);
    }
    return count > 0 ? (uint32_t)(sum / count) : 0;
}
