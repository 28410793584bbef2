/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The model of coding RB_PAYLOAD_MIXED (docs/format.md 4.4), shared by the decoder and by otaforge's encoder so that
 * both predict the same. Internal to these two; nothing else includes it.
 *
 * A binary event (one bit) is predicted in one of two ways:
 *   plain  one slot, for the numbers and choices of tokens
 *   mixed  RB_PM_INPUTS slots picked by hashed contexts, their opinions weighed by a small online-trained mixer;
 *          for bytes
 * A slot is 16 bits: probability of 1 (12 bits) and how often it was used (4 bits), which sets how fast it adapts.
 * Integers only, so every machine computes the same.
 */
#ifndef RB_CORE_PAYLOAD_MODEL_H
#define RB_CORE_PAYLOAD_MODEL_H

#include "lib/core/bytes.h"

#define RB_PM_RAW_MEMORY 2048u    /* the decoder without a model */
#define RB_PM_FIXED_MEMORY 20480u /* the decoder and the model without slots */
#define RB_PM_WINDOW_BITS_MIN 12u
#define RB_PM_WINDOW_BITS_MAX 24u
#define RB_PM_TABLE_BITS_MIN 12u
#define RB_PM_TABLE_BITS_MAX 24u
#define RB_PM_CACHE_BITS_MIN 12u
#define RB_PM_CACHE_BITS_MAX 18u

#define RB_PM_INPUTS 6
#define RB_PM_STRETCH_MAX 2047 /* a stretched probability is ln(p / (1 - p)) * 256, within -2047..2047 */
#define RB_PM_BUCKET 16u       /* slots of a bucket; the first holds its check and how often it was used */
#define RB_PM_WEIGHT_MAX (1 << 19) /* 65536 is a weight of one; keeps products below 2^31 */
#define RB_PM_WEIGHT_NEW 26000
#define RB_PM_SLOT_NEW 0x8000u /* probability one half, never used */
#define RB_PM_REPS 4
#define RB_PM_RUN_MIN 5u /* log2 of the shortest run of equal bytes coded as one event */
#define RB_PM_RUN_MAX 12u
#define RB_PM_CALM 16u /* equal bytes in a row after which runs are tried */

/* Kinds of token. */
enum { RB_PM_LITERAL, RB_PM_MATCH, RB_PM_COPY };
/* Where a copy reads: RB_PM_FROM_*. */
enum {
    RB_PM_FROM_SHIFT0, /* at the distance of the last copy: bytes were replaced */
    RB_PM_FROM_END,    /* where the last copy ended: bytes were inserted */
    RB_PM_FROM_SHIFT1, /* at the distance of the copy before the last */
    RB_PM_FROM_NEW,
};
/* Numbers, each with statistics of its own. */
enum {
    RB_PM_MATCH_LEN,
    RB_PM_REP_LEN,
    RB_PM_COPY_LEN,
    RB_PM_SEEK,
    RB_PM_DISTANCE, /* four: by match length */
    RB_PM_NUMBERS = RB_PM_DISTANCE + 4,
};
#define RB_PM_NUMBER_BITS 41u /* a number is below 2^41 */

struct rb_pm_number {
    uint16_t width[64];                      /* tree over the position of the highest set bit */
    uint16_t high[RB_PM_NUMBER_BITS + 1][4]; /* the two bits after it */
    uint16_t low[4];                         /* the two lowest bits of a longer number */
};

/* Mixer weight sets: 16 for "equal", 32 for differences, 16 for literals. */
#define RB_PM_SET_EQUAL 0
#define RB_PM_SET_DIFF 16
#define RB_PM_SET_LITERAL 48
#define RB_PM_SETS 64

struct rb_pm {
    int16_t stretch[4096]; /* by 12-bit probability */
    int32_t weights[RB_PM_SETS][RB_PM_INPUTS];
    struct rb_pm_number numbers[RB_PM_NUMBERS];
    uint16_t kind[27][2];
    uint16_t from[27][4];
    uint16_t sign;
    uint16_t is_rep[3];
    uint16_t rep[4];
    uint16_t run[RB_PM_RUN_MAX + 1][4];

    /* History that contexts are made of. */
    uint32_t kinds;    /* the last three token kinds, base 3 */
    uint64_t recent;   /* the last eight output bytes, newest lowest */
    uint32_t hits;     /* in copies: 1 for each of the last 32 bytes that was equal to old, newest lowest */
    uint32_t since;    /* bytes since the last one that differed */
    uint32_t gap;      /* `since` when it differed */
    uint8_t lane[4];   /* the last difference at each old offset mod 4 */
    uint8_t diffs[2];  /* the last two differences */
    uint64_t reps[RB_PM_REPS]; /* match distances, last first */
    uint64_t copy_end; /* old offset after the last copy */
    int64_t shift[2];  /* old offset minus new offset of the last two copies */

    uint16_t *slots; /* (mask + 1) * RB_PM_BUCKET of them */
    uint32_t mask;
    uint32_t context[RB_PM_INPUTS];  /* hashes of the symbol under way */
    uint16_t *bucket[RB_PM_INPUTS]; /* what holds their slots */
};
_Static_assert(sizeof(struct rb_pm) <= RB_PM_FIXED_MEMORY - RB_PM_RAW_MEMORY, "docs/format.md 4.4: fixed memory");

/** 65536 / (1 + exp(-x / 256)), x within -2047..2047, by interpolation between 65 points. */
static inline uint32_t
rb_pm_squash(int32_t x)
{
    static const uint16_t points[65] = {
        22,    28,    36,    47,    60,    77,    98,    126,   162,   208,   267,   342,   439,
        562,   720,   922,   1179,  1506,  1921,  2446,  3108,  3938,  4971,  6249,  7812,  9702,
        11955, 14595, 17625, 21025, 24743, 28693, 32768, 36843, 40793, 44511, 47911, 50941, 53581,
        55834, 57724, 59287, 60565, 61598, 62428, 63090, 63615, 64030, 64357, 64614, 64816, 64974,
        65097, 65194, 65269, 65328, 65374, 65410, 65438, 65459, 65476, 65489, 65500, 65508, 65514,
    };
    uint32_t at = (uint32_t)(x + 2048);
    uint32_t below = points[at >> 6];
    uint32_t above = points[(at >> 6) + 1];

    return below + (((above - below) * (at & 63)) >> 6);
}

/** Use of a slot: the event came out as `bit`. The more often it was used, the less it moves: 2/3 of the error at
 * first, 1/18 in the end. */
static inline void
rb_pm_learn(uint16_t *slot, unsigned bit)
{
    static const int32_t rate[16] = {43690, 26214, 18725, 14563, 10923, 9362, 8192, 7282,
                                     6554,  5958,  5461,  5041,  4681,  4369, 4096, 3640};
    uint32_t n = *slot & 15u;
    int32_t p = *slot >> 4;

    p += (((bit ? 4095 : 0) - p) * rate[n]) >> 16;
    *slot = (uint16_t)((uint32_t)p << 4 | (n + (n < 15)));
}

/** Probability of 1 a slot gives by itself, 1..65535. */
static inline uint32_t
rb_pm_plain(const uint16_t *slot)
{
    return (uint32_t)(*slot >> 4) * 16u + 8u;
}

static inline uint32_t
rb_pm_hash(uint32_t a, uint32_t b)
{
    uint32_t h = a * 0x9e3779b1u + b * 0x85ebca6bu + 0x27220a95u;

    h ^= h >> 15;
    return h * 0x2c1b3c6du ^ h >> 11;
}

/** The bucket of a context: one of two neighbours; when neither is it, the less used one starts over. */
static inline uint16_t *
rb_pm_bucket(const struct rb_pm *m, uint32_t context)
{
    uint32_t check = context >> 20;
    uint16_t *first = &m->slots[(context & m->mask) * RB_PM_BUCKET];
    uint16_t *second = &m->slots[((context & m->mask) ^ 1) * RB_PM_BUCKET];
    uint16_t *b = first;

    if ((uint32_t)first[0] >> 4 != check) {
        if ((uint32_t)second[0] >> 4 == check) {
            b = second;
        } else {
            b = (second[0] & 15) < (first[0] & 15) ? second : first;
            b[0] = (uint16_t)(check << 4);
            for (unsigned i = 1; i < RB_PM_BUCKET; i++) {
                b[i] = RB_PM_SLOT_NEW;
            }
        }
    }
    b[0] = (uint16_t)(b[0] + ((b[0] & 15) < 15));
    return b;
}

/** Look up the buckets of the contexts. `nibble`: 0 for the first half of a byte and for single events; for the
 * second half 16 plus the first. */
static inline void
rb_pm_look_up(struct rb_pm *m, uint32_t nibble)
{
    for (int i = 0; i < RB_PM_INPUTS; i++) {
        m->bucket[i] = rb_pm_bucket(m, nibble == 0 ? m->context[i] : rb_pm_hash(m->context[i], nibble));
    }
}

/** Which slot of the buckets predicts bit `index` of a byte, highest first; `node` is 1 and then the bits so far. In
 * the middle of the byte, looks up the buckets of the second half. */
static inline unsigned
rb_pm_byte_place(struct rb_pm *m, uint32_t node, unsigned index)
{
    if (index == 4) {
        rb_pm_look_up(m, node);
    }
    return index < 4 ? node : (1u << (index - 4)) | (node & ((1u << (index - 4)) - 1));
}

/** A mixed prediction, from rb_pm_mix to rb_pm_mixed. */
struct rb_pm_event {
    uint16_t *slot[RB_PM_INPUTS];
    int32_t opinion[RB_PM_INPUTS];
    int32_t *weight;
    uint32_t p; /* probability of 1, 22..65514 */
};

/** Predict the next bit from slot `place` (1..15) of the buckets looked up. */
static inline void
rb_pm_mix(struct rb_pm *m, unsigned place, unsigned set, struct rb_pm_event *e)
{
    int32_t dot = 0;

    e->weight = m->weights[set];
#pragma GCC unroll 6
    for (int i = 0; i < RB_PM_INPUTS; i++) {
        e->slot[i] = m->bucket[i] + place;
        e->opinion[i] = m->stretch[*e->slot[i] >> 4];
        dot += (e->opinion[i] * e->weight[i]) >> 16;
    }
    dot = dot > RB_PM_STRETCH_MAX ? RB_PM_STRETCH_MAX : dot < -RB_PM_STRETCH_MAX ? -RB_PM_STRETCH_MAX : dot;
    e->p = rb_pm_squash(dot);
}

/** The bit predicted by rb_pm_mix came out as `bit`. */
static inline void
rb_pm_mixed(const struct rb_pm_event *e, unsigned bit)
{
    int32_t error = ((int32_t)(bit << 16) - (int32_t)e->p) >> 2;

#pragma GCC unroll 6
    for (int i = 0; i < RB_PM_INPUTS; i++) {
        int32_t w = e->weight[i] + ((e->opinion[i] * error + 2048) >> 12);
        e->weight[i] = w > RB_PM_WEIGHT_MAX ? RB_PM_WEIGHT_MAX : w < -RB_PM_WEIGHT_MAX ? -RB_PM_WEIGHT_MAX : w;
        rb_pm_learn(e->slot[i], bit);
    }
}

static inline void
rb_pm_fill_slots(uint16_t *slots, size_t bytes)
{
    for (size_t i = 0; i < bytes / sizeof *slots; i++) {
        slots[i] = RB_PM_SLOT_NEW;
    }
}

/** The state at a restart point. slots and mask must be set. */
static inline void
rb_pm_reset(struct rb_pm *m)
{
    uint16_t *slots = m->slots;
    uint32_t mask = m->mask;

    rb_fill(m, 0, sizeof *m);
    m->slots = slots;
    m->mask = mask;
    for (uint32_t p = 0, x = 0; p < 4096; p++) {
        while (x < 4094 && rb_pm_squash((int32_t)x - RB_PM_STRETCH_MAX) < p * 16 + 8) {
            x++;
        }
        m->stretch[p] = (int16_t)((int32_t)x - RB_PM_STRETCH_MAX);
    }
    for (int set = 0; set < RB_PM_SETS; set++) {
        for (int i = 0; i < RB_PM_INPUTS; i++) {
            m->weights[set][i] = RB_PM_WEIGHT_NEW;
        }
    }
    rb_pm_fill_slots((uint16_t *)m->numbers, sizeof m->numbers);
    rb_pm_fill_slots((uint16_t *)m->kind, sizeof m->kind);
    rb_pm_fill_slots((uint16_t *)m->from, sizeof m->from);
    m->sign = RB_PM_SLOT_NEW;
    rb_pm_fill_slots((uint16_t *)m->is_rep, sizeof m->is_rep);
    rb_pm_fill_slots((uint16_t *)m->rep, sizeof m->rep);
    rb_pm_fill_slots((uint16_t *)m->run, sizeof m->run);
    for (size_t i = 0; i < ((size_t)mask + 1) * RB_PM_BUCKET; i++) {
        slots[i] = i % RB_PM_BUCKET == 0 ? 0 : RB_PM_SLOT_NEW;
    }
    m->hits = UINT32_MAX;
    m->since = 255;
    m->gap = 255;
    for (int i = 0; i < RB_PM_REPS; i++) {
        m->reps[i] = 1;
    }
}

static inline void
rb_pm_token(struct rb_pm *m, unsigned kind)
{
    m->kinds = (m->kinds * 3 + kind) % 27;
}

/* ---- bytes of a copy: old bytes around old offset `at`, o[0] the aligned one; o[-4] .. o[4] may be looked at ---- */

/** Word-mates of an old byte that tell the instruction: for little-endian words of 4 the two highest bytes. */
static inline uint32_t
rb_pm_word(const uint8_t *o, uint64_t at)
{
    const uint8_t *top = o + (3 - (int)(at & 3));

    return (uint32_t)top[0] << 8 | top[-1];
}

static inline void
rb_pm_equal_contexts(struct rb_pm *m, const uint8_t *o, uint64_t at)
{
    uint32_t lane = at & 3;
    uint32_t around = (uint32_t)o[-1] << 24 | (uint32_t)o[0] << 16 | (uint32_t)o[1] << 8 | o[2];
    uint32_t since = m->since < 63 ? m->since : 63;
    uint32_t gap = m->gap < 63 ? m->gap : 63;

    m->context[0] = rb_pm_hash(0x100, (m->hits & 0xff) << 2 | lane);
    m->context[1] = rb_pm_hash(0x200, (uint32_t)o[0] << 8 | o[1]);
    m->context[2] = rb_pm_hash(0x300, around);
    m->context[3] = rb_pm_hash(0x400, rb_pm_word(o, at) << 3 | (m->hits & 7));
    m->context[4] = rb_pm_hash(0x500, since << 6 | gap);
    m->context[5] = rb_pm_hash(0x600, (uint32_t)m->diffs[0] << 16 | (uint32_t)o[0] << 8 | (m->hits & 3));
    rb_pm_look_up(m, 0);
}

/** Which slot of the buckets predicts "equal". */
static inline unsigned
rb_pm_equal_place(const struct rb_pm *m, uint64_t at)
{
    return 8u + ((unsigned)(at & 3) << 1 | (m->hits & 1));
}

static inline unsigned
rb_pm_equal_set(const struct rb_pm *m, uint64_t at)
{
    return RB_PM_SET_EQUAL + (unsigned)((at & 3) << 2 | (m->hits & 3));
}

static inline void
rb_pm_diff_contexts(struct rb_pm *m, const uint8_t *o, uint64_t at)
{
    uint32_t lane = at & 3;

    m->context[0] = rb_pm_hash(0x1100 | lane, o[0]);
    m->context[1] = rb_pm_hash(0x1200 | lane, m->lane[lane]);
    m->context[2] = rb_pm_hash(0x1300, (uint32_t)o[-1] << 16 | (uint32_t)o[0] << 8 | o[1]);
    m->context[3] = rb_pm_hash(0x1400 | lane, (uint32_t)m->diffs[0] << 3 | (m->hits & 7));
    m->context[4] = rb_pm_hash(0x1500, (uint32_t)m->diffs[0] << 8 | m->diffs[1]);
    m->context[5] = rb_pm_hash(0x1600 | lane, rb_pm_word(o, at) << 8 | m->lane[lane]);
    rb_pm_look_up(m, 0);
}

static inline unsigned
rb_pm_diff_set(uint64_t at, unsigned bit_index)
{
    return RB_PM_SET_DIFF + (unsigned)(at & 3) * 8 + bit_index;
}

/** One byte of a copy is known: it differs from old by `diff`. */
static inline void
rb_pm_copied(struct rb_pm *m, uint64_t at, uint8_t diff)
{
    m->hits = m->hits << 1 | (diff == 0);
    if (diff == 0) {
        m->since += m->since < 255;
        return;
    }
    m->gap = m->since;
    m->since = 0;
    m->lane[at & 3] = diff;
    m->diffs[1] = m->diffs[0];
    m->diffs[0] = diff;
}

/** A run of `len` bytes of a copy is known: all equal. */
static inline void
rb_pm_copied_run(struct rb_pm *m, uint32_t len)
{
    m->hits = len >= 32 ? UINT32_MAX : ~(~m->hits << len);
    m->since = len > 255 - m->since ? 255 : m->since + len;
}

/* ---- literals ---- */

/** `like`: the old byte at the distance of the last copy; `rep`: the output byte at the last match distance. */
static inline void
rb_pm_literal_contexts(struct rb_pm *m, uint64_t new_at, uint8_t like, uint8_t rep)
{
    uint32_t r = (uint32_t)m->recent;

    m->context[0] = rb_pm_hash(0x2100, r & 0xff);
    m->context[1] = rb_pm_hash(0x2200, r & 0xffff);
    m->context[2] = rb_pm_hash(0x2300, r & 0xffffff);
    m->context[3] = rb_pm_hash(0x2400, (uint32_t)rep << 2 | (new_at & 3));
    m->context[4] = rb_pm_hash(0x2500, (uint32_t)like << 8 | (r >> 8 & 0xff));
    m->context[5] = rb_pm_hash(0x2600 | (new_at & 3), r >> 24);
    rb_pm_look_up(m, 0);
}

static inline unsigned
rb_pm_literal_set(const struct rb_pm *m, unsigned bit_index)
{
    return RB_PM_SET_LITERAL + (m->kinds % 3 == RB_PM_LITERAL ? 0u : 8u) + bit_index;
}

#endif
