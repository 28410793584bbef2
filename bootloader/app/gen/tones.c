/* SPDX-License-Identifier: Apache-2.0
 *
 * Alarm tones, synthesised: partials that decay, companded to 8 bits as sound.c expands them.
 */
#include "bootloader/app/gen/gen.h"

#include "bootloader/app/sound.h"
#include "bootloader/app/tables.h"

#include <math.h>
#include <stdio.h>

#define PARTIALS 4

static const struct recipe {
    const char *name;
    int release;
    double hertz;
    double ratio[PARTIALS];  /* of each partial's frequency to the first */
    double level[PARTIALS];
    double half_life_s;
    double seconds;
} RECIPES[] = {
    {"bell", 1, 880.0, {1.0, 2.756, 5.404, 0.5}, {0.5, 0.25, 0.12, 0.1}, 0.18, 1.4},
    {"chime", 1, 523.25, {1.0, 1.2599, 1.4983, 2.0}, {0.3, 0.25, 0.2, 0.1}, 0.30, 1.6},
    {"drop", 1, 1318.5, {1.0, 1.5, 2.25, 3.0}, {0.6, 0.15, 0.05, 0.02}, 0.05, 0.6},
    {"marimba", 2, 392.0, {1.0, 3.932, 9.538, 2.0}, {0.6, 0.2, 0.06, 0.05}, 0.12, 1.2},
    {"sonar", 2, 1046.5, {1.0, 1.003, 2.001, 0.5}, {0.4, 0.35, 0.05, 0.05}, 0.35, 1.8},
};

static int16_t
sample_of(const struct recipe *r, size_t n, size_t len)
{
    double t = (double)n / SOUND_RATE_HZ;
    double sum = 0;

    for (int i = 0; i < PARTIALS; i++) {
        /* Higher partials die sooner. */
        double decay = exp2(-t / r->half_life_s * sqrt(r->ratio[i]));
        sum += r->level[i] * decay * sin(2.0 * M_PI * r->hertz * r->ratio[i] * t);
    }
    double attack = n < 40 ? (double)n / 40.0 : 1.0;
    double release = n + 400 > len ? (double)(len - n) / 400.0 : 1.0;
    return (int16_t)lround(sum * attack * release * 32000.0);
}

/* The code whose expansion is nearest; ties go to the smaller code. */
static uint8_t
compand(int16_t sample)
{
    int best = 0;

    for (int code = 1; code < 256; code++) {
        int now = sound_expand((uint8_t)code) - sample;
        int before = sound_expand((uint8_t)best) - sample;
        if (now * now < before * before) {
            best = code;
        }
    }
    return (uint8_t)best;
}

void
gen_tones(int release)
{
    static struct tone tones[sizeof RECIPES / sizeof RECIPES[0]];
    static uint8_t samples[8 * 2 * SOUND_RATE_HZ];
    unsigned count = 0;
    size_t len = 0;

    for (size_t i = 0; i < sizeof RECIPES / sizeof RECIPES[0]; i++) {
        const struct recipe *r = &RECIPES[i];
        if (release < r->release) {
            continue;
        }
        struct tone *tone = &tones[count++];
        (void)snprintf(tone->name, sizeof tone->name, "%s", r->name);
        tone->first = (uint32_t)len;
        tone->len = (uint32_t)lround(r->seconds * SOUND_RATE_HZ);
        for (size_t n = 0; n < tone->len; n++) {
            samples[len++] = compand(sample_of(r, n, tone->len));
        }
    }
    (void)printf("const uint8_t table_tone_samples[] = {");
    gen_numbers(samples, len, 1);
    (void)printf("};\nconst struct tone table_tones[] = {\n");
    for (unsigned i = 0; i < count; i++) {
        (void)printf("    {\"%s\", %u, %u},\n", tones[i].name, tones[i].first, tones[i].len);
    }
    (void)printf("};\nconst unsigned table_tone_count = %u;\n", count);
    gen_sum("tones", "table_tone_samples", samples, len);
    gen_sum("tone list", "table_tones", tones, count * sizeof tones[0]);
}
