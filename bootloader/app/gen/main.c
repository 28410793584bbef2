/* SPDX-License-Identifier: Apache-2.0 */
#include "bootloader/app/gen/gen.h"

#include "bootloader/app/tables.h"
#include "lib/core/bytes.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUMS_MAX 32

static struct {
    const char *title;
    char name[48];
    size_t len;
    uint32_t crc32;
} sums[SUMS_MAX];
static size_t sum_count;

void
gen_numbers(const void *data, size_t count, size_t bytes)
{
    const uint8_t *small = data;
    const int16_t *large = data;

    for (size_t i = 0; i < count; i++) {
        (void)printf("%s%d,", i % 20 == 0 ? "\n    " : "", bytes == 1 ? small[i] : large[i]);
    }
    (void)printf("\n");
}

void
gen_sum(const char *title, const char *name, const void *data, size_t len)
{
    if (sum_count == SUMS_MAX) {
        (void)fprintf(stderr, "app-tables: more than %d tables\n", SUMS_MAX);
        exit(1);
    }
    sums[sum_count].title = title;
    (void)snprintf(sums[sum_count].name, sizeof sums[0].name, "%s", name);
    sums[sum_count].len = len;
    sums[sum_count].crc32 = rb_crc32(0, data, len);
    sum_count++;
}

int16_t
gen_sine_q15(double turns)
{
    /* Half a step plus a little: exact halves round the same way whatever the last bit of sin() is. */
    return (int16_t)floor(sin(2.0 * M_PI * turns) * 32767.0 + 0.5 + 1e-9);
}

void
gen_sine(void)
{
    static int16_t sine[SINE_STEPS];

    for (size_t i = 0; i < SINE_STEPS; i++) {
        sine[i] = gen_sine_q15((double)i / SINE_STEPS);
    }
    (void)printf("const int16_t table_sine[SINE_STEPS] = {");
    gen_numbers(sine, SINE_STEPS, 2);
    (void)printf("};\n");
    gen_sum("sine", "table_sine", sine, sizeof sine);
}

static void
write_sums(void)
{
    (void)printf("const struct table_sum table_sums[] = {\n");
    for (size_t i = 0; i < sum_count; i++) {
        (void)printf("    {\"%s\", %s, %zu, 0x%08" PRIx32 "},\n", sums[i].title, sums[i].name, sums[i].len,
                     sums[i].crc32);
    }
    (void)printf("};\nconst unsigned table_sum_count = %zu;\n", sum_count);
}

int
main(int argc, char **argv)
{
    int release = argc == 2 ? atoi(argv[1]) : 0;

    if (release < 1) {
        (void)fprintf(stderr, "usage: app-tables RELEASE >tables.c\n");
        return 2;
    }
    (void)printf("/* Made by bootloader/app/gen for release %d. */\n#include \"bootloader/app/tables.h\"\n", release);
    gen_sine();
    gen_fonts(release);
    gen_sun();
    gen_zones(release);
    gen_tones(release);
    write_sums();
    return fflush(stdout) == 0 && ferror(stdout) == 0 ? 0 : 3;
}
