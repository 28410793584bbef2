/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Data that gen/ computes at build time. Each release has its own: what is in it depends on the release's number.
 */
#ifndef RB_APP_TABLES_H
#define RB_APP_TABLES_H

#include <stdint.h>

/** One turn of a sine in SINE_STEPS steps, Q15 (-32767..32767). */
#define SINE_STEPS 4096u
extern const int16_t table_sine[SINE_STEPS];

/** A bitmap font: ASCII 32..126, four bits of coverage a pixel, rows padded to whole bytes. */
#define FONT_FIRST 32
#define FONT_GLYPHS 95
struct font {
    uint8_t height;
    uint8_t advance[FONT_GLYPHS]; /* pixels to the next glyph; the bitmap is as wide */
    uint32_t offset[FONT_GLYPHS]; /* of the glyph's first row in `bits` */
    const uint8_t *bits;
};
extern const struct font table_fonts[];
extern const unsigned table_font_count;

/** Minutes after midnight, local solar time, of sunrise and sunset on day 0..365 of a leap year. SUN_NEVER: it does
 * not rise; SUN_ALWAYS: it does not set. */
#define SUN_LATITUDE_MAX 60 /* degrees, both ways */
#define SUN_LATITUDE_STEP 5
#define SUN_LATITUDES (2 * SUN_LATITUDE_MAX / SUN_LATITUDE_STEP + 1)
#define SUN_NEVER (-1)
#define SUN_ALWAYS (-2)
extern const int16_t table_sun[SUN_LATITUDES][366][2];

/** Places with their time zone. Changes of the clock are listed up to ZONE_LAST_YEAR. */
#define ZONE_FIRST_YEAR 2020
#define ZONE_LAST_YEAR 2039
struct zone {
    char name[15];
    int8_t latitude;       /* degrees north */
    int16_t longitude;     /* degrees east */
    int16_t standard;      /* minutes east of UTC without summer time */
    uint16_t first_change; /* in table_zone_changes */
    uint16_t change_count; /* 0: no summer time */
};
struct zone_change {
    uint32_t at_minute; /* since 1970, UTC */
    int16_t offset;     /* minutes east of UTC from then on */
    int16_t reserved;
};
extern const struct zone table_zones[];
extern const unsigned table_zone_count;
extern const struct zone_change table_zone_changes[];

/** Alarm tones: 8000 samples a second, companded to 8 bits (sound.h). */
struct tone {
    char name[12];
    uint32_t first, len; /* in table_tone_samples */
};
extern const struct tone table_tones[];
extern const unsigned table_tone_count;
extern const uint8_t table_tone_samples[];

/** What each table must sum to, computed by the generator; the self-test compares. */
struct table_sum {
    const char *name;
    const void *data;
    uint32_t len;
    uint32_t crc32;
};
extern const struct table_sum table_sums[];
extern const unsigned table_sum_count;

#endif
