/* SPDX-License-Identifier: Apache-2.0
 *
 * Fonts from strokes. A glyph is a width and polylines on a grid: columns 0..8, rows 0..12 (12 as 'c') with the
 * capital line at 0, the small letters' at 3, the base line at 9. Rendering counts which of 4 x 4 points in a pixel
 * lie within half a pen of a stroke, in integers alone, so the same bits come out on every machine.
 */
#include "bootloader/app/gen/gen.h"

#include "bootloader/app/tables.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define GRID_ROWS 13
#define UNIT 64 /* steps a pixel is divided into */
#define GLYPH_MAX (64 * 64)

static const char *const STROKES[FONT_GLYPHS] = {
    "4",                                        /* space */
    "2 1016 1919",                              /* ! */
    "4 1013 3033",                              /* " */
    "7 2129 5159 0373 0777",                    /* # */
    "6 625111020314556667581807 3039",          /* $ */
    "7 7009 0020220200 5777795957",             /* % */
    "7 79121120304142050719 3975",              /* & */
    "2 1013",                                   /* ' */
    "3 30121739",                               /* ( */
    "3 00222709",                               /* ) */
    "4 2127 0246 4206",                         /* * */
    "6 3238 0565",                              /* + */
    "2 18190b",                                 /* , */
    "5 0555",                                   /* - */
    "2 1919",                                   /* . */
    "5 5009",                                   /* / */
    "6 204062674929070220",                     /* 0 */
    "4 022029 0949",                            /* 1 */
    "6 02204062640969",                         /* 2 */
    "6 01204062634424 446667492908",            /* 3 */
    "6 500666 5059",                            /* 4 */
    "6 600004446667492908",                     /* 5 */
    "6 514020020729496766442406",               /* 6 */
    "6 006029",                                 /* 7 */
    "6 24030120406163442406072949676644",       /* 8 */
    "6 182949676240200203254563",               /* 9 */
    "2 1313 1919",                              /* : */
    "2 1313 18190b",                            /* ; */
    "6 610569",                                 /* < */
    "6 0363 0767",                              /* = */
    "6 016509",                                 /* > */
    "5 02204051532526 2929",                    /* ? */
    "8 56362524335356768482602002072969",       /* @ */
    "6 093069 1656",                            /* A */
    "6 00094967664404 4463614000",              /* B */
    "6 6240200207294967",                       /* C */
    "6 00093967623000",                         /* D */
    "6 60000969 0444",                          /* E */
    "6 600009 0444",                            /* F */
    "6 62402002072949676535",                   /* G */
    "6 0009 6069 0464",                         /* H */
    "4 2029 0040 0949",                         /* I */
    "5 5057392907",                             /* J */
    "6 0009 6005 2469",                         /* K */
    "5 000959",                                 /* L */
    "8 0900448089",                             /* M */
    "6 09006960",                               /* N */
    "7 205072775929070220",                     /* O */
    "6 09004061644505",                         /* P */
    "7 205072775929070220 4679",                /* Q */
    "6 09004061644505 3569",                    /* R */
    "6 614020010324456668492908",               /* S */
    "6 0060 3039",                              /* T */
    "6 000729496760",                           /* U */
    "6 003960",                                 /* V */
    "8 0029436980",                             /* W */
    "6 0069 6009",                              /* X */
    "6 003460 3439",                            /* Y */
    "6 00600969",                               /* Z */
    "3 30101939",                               /* [ */
    "5 0059",                                   /* backslash */
    "3 00202909",                               /* ] */
    "6 043064",                                 /* ^ */
    "6 0a6a",                                   /* _ */
    "3 0022",                                   /* ` */
    "5 5443230507294958 5359",                  /* a */
    "5 0009 0413335557391908",                  /* b */
    "5 5433230507293958",                       /* c */
    "5 5059 5443230507294958",                  /* d */
    "5 06565433230507293958",                   /* e */
    "4 40302129 0343",                          /* f */
    "5 535a4c1c0b 5443230507294958",            /* g */
    "5 0009 0413335559",                        /* h */
    "2 1319 1010",                              /* i */
    "3 232b1c0c 2020",                          /* j */
    "5 0009 5306 2559",                         /* k */
    "3 10182939",                               /* l */
    "8 0309 0413334449 4453738489",             /* m */
    "5 0309 0413335559",                        /* n */
    "5 233355573929070523",                     /* o */
    "5 030c 0413335557391908",                  /* p */
    "5 535c 5443230507294958",                  /* q */
    "4 0309 05233344",                          /* r */
    "5 54431304164657491908",                   /* s */
    "4 20283949 0343",                          /* t */
    "5 0307193957 5359",                        /* u */
    "6 033963",                                 /* v */
    "8 0329446983",                             /* w */
    "5 0359 5309",                              /* x */
    "6 0339 632c0c",                            /* y */
    "5 03530959",                               /* z */
    "4 403021231426283949",                     /* { */
    "2 1019",                                   /* | */
    "4 001021233426281909",                     /* } */
    "6 051424465665",                           /* ~ */
};

struct face {
    int release; /* first release that has it */
    int height;  /* pixels */
    int pen;     /* stroke width in UNITs */
    int bold_release, bold_pen; /* from this release on, the pen is this wide */
};

static const struct face FACES[] = {
    {1, 14, 80, 99, 0}, {1, 20, 96, 2, 128}, {1, 28, 144, 99, 0}, {1, 40, 208, 99, 0}, {2, 56, 320, 99, 0},
};

struct point {
    int64_t x, y;
};

/* Whether `p` is within `reach` of the segment from `a` to `b`. */
static bool
near_segment(struct point p, struct point a, struct point b, int64_t reach)
{
    int64_t dx = b.x - a.x;
    int64_t dy = b.y - a.y;
    int64_t px = p.x - a.x;
    int64_t py = p.y - a.y;
    int64_t along = px * dx + py * dy;
    int64_t square = dx * dx + dy * dy;

    if (along <= 0) {
        return px * px + py * py <= reach * reach;
    }
    if (along >= square) {
        int64_t qx = p.x - b.x;
        int64_t qy = p.y - b.y;
        return qx * qx + qy * qy <= reach * reach;
    }
    int64_t cross = px * dy - py * dx;
    return cross * cross <= reach * reach * square;
}

static int
grid(char digit)
{
    return digit >= 'a' ? digit - 'a' + 10 : digit - '0';
}

static struct point
place(const char *at, int height, int pen)
{
    /* One grid step is height / GRID_ROWS pixels; the pen's half keeps strokes inside the box. */
    return (struct point){(int64_t)grid(at[0]) * height * UNIT / GRID_ROWS + pen / 2,
                          (int64_t)grid(at[1]) * (height * UNIT - pen) / (GRID_ROWS - 1) + pen / 2};
}

static bool
covered(const char *strokes, struct point p, int height, int pen)
{
    for (const char *at = strokes + 1; *at != '\0';) {
        at += *at == ' ';
        for (; at[0] != '\0' && at[0] != ' ' && at[2] != '\0' && at[2] != ' '; at += 2) {
            if (near_segment(p, place(at, height, pen), place(at + 2, height, pen), pen / 2)) {
                return true;
            }
        }
        at += at[0] != '\0' && at[0] != ' ' ? 2 : 0; /* the last point of the line */
    }
    return false;
}

static unsigned
coverage(const char *strokes, int x, int y, int height, int pen)
{
    unsigned hits = 0;

    for (int i = 0; i < 16; i++) {
        struct point p = {x * UNIT + (2 * (i % 4) + 1) * UNIT / 8, y * UNIT + (2 * (i / 4) + 1) * UNIT / 8};
        hits += covered(strokes, p, height, pen) ? 1 : 0;
    }
    return hits > 15 ? 15 : hits;
}

static int
advance_of(const char *strokes, int height, int pen)
{
    return (grid(strokes[0]) * height / GRID_ROWS) + (pen + UNIT - 1) / UNIT + height / 14;
}

static size_t
render(const char *strokes, int height, int pen, uint8_t *out)
{
    int width = advance_of(strokes, height, pen);
    size_t row_len = (size_t)(width + 1) / 2;

    memset(out, 0, row_len * (size_t)height);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            unsigned shade = coverage(strokes, x, y, height, pen);
            out[(size_t)y * row_len + (size_t)x / 2] |= (uint8_t)(x % 2 == 0 ? shade << 4 : shade);
        }
    }
    return row_len * (size_t)height;
}

static void
write_face(const struct face *face, int release, unsigned index, struct font *font)
{
    static const char *const titles[] = {"font 14", "font 20", "font 28", "font 40", "font 56"};
    static uint8_t bits[FONT_GLYPHS * GLYPH_MAX];
    int pen = release >= face->bold_release ? face->bold_pen : face->pen;
    size_t len = 0;

    font->height = (uint8_t)face->height;
    for (int glyph = 0; glyph < FONT_GLYPHS; glyph++) {
        font->advance[glyph] = (uint8_t)advance_of(STROKES[glyph], face->height, pen);
        font->offset[glyph] = (uint32_t)len;
        len += render(STROKES[glyph], face->height, pen, bits + len);
    }
    (void)printf("static const uint8_t font_%u_bits[] = {", index);
    gen_numbers(bits, len, 1);
    (void)printf("};\n");
    char name[32];
    (void)snprintf(name, sizeof name, "font_%u_bits", index);
    gen_sum(titles[index], name, bits, len);
}

void
gen_fonts(int release)
{
    static struct font fonts[sizeof FACES / sizeof FACES[0]];
    unsigned count = 0;

    for (size_t i = 0; i < sizeof FACES / sizeof FACES[0]; i++) {
        if (release >= FACES[i].release) {
            write_face(&FACES[i], release, count, &fonts[count]);
            count++;
        }
    }
    (void)printf("const struct font table_fonts[] = {\n");
    for (unsigned i = 0; i < count; i++) {
        (void)printf("    {%d, {", fonts[i].height);
        gen_numbers(fonts[i].advance, FONT_GLYPHS, 1);
        (void)printf("    }, {");
        for (int glyph = 0; glyph < FONT_GLYPHS; glyph++) {
            (void)printf("%u,%s", fonts[i].offset[glyph], glyph % 16 == 15 ? "\n    " : " ");
        }
        (void)printf("}, font_%u_bits},\n", i);
    }
    (void)printf("};\nconst unsigned table_font_count = %u;\n", count);
}
