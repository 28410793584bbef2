/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds the regions of new that are like a piece of old. The idea is bsdiff's (Colin Percival, "Naive differences of
 * executable code"): exact matches, found on a suffix array of old, are seeds; a seed counts when it matches clearly
 * more than going on in the present alignment would; between two seeds both grow towards each other over differing
 * bytes as long as that pays.
 */
#include "server-tools/delta_internal.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <divsufsort.h>
#include <stdlib.h>
#include <string.h>

#define SEED_MIN 6u   /* shorter exact matches are chance */
#define CALM_LEN 32u  /* this many equal bytes in the present alignment need no search */

/* ---- index ---- */

static uint32_t
prefix_of(const uint8_t *text, size_t len)
{
    return (uint32_t)text[0] << 8 | (len > 1 ? text[1] : 0u);
}

/* buckets[p] is the first suffix whose two-byte prefix is >= p. A suffix of one byte counts as followed by 0, which
 * is where it stands: first among those of its byte. */
static void
fill_buckets(struct forge_index *index)
{
    size_t at = 0;

    for (uint32_t p = 0; p <= 65536; p++) {
        while (at < index->old_len
               && prefix_of(index->old + index->suffixes[at], index->old_len - (size_t)index->suffixes[at]) < p) {
            at++;
        }
        index->buckets[p] = (int32_t)at;
    }
}

/* Most places of new that are not in old are told by one look at the filter: bits, eight for each byte of old. */
static uint64_t
filter_hash(const struct forge_index *index, const uint8_t *text)
{
    uint64_t v = 0;

    memcpy(&v, text, FORGE_MATCH_MIN);
    return (v * 0x9e3779b97f4a7c15u) >> (64 - index->filter_bits);
}

static void
fill_filter(struct forge_index *index)
{
    index->filter_bits = 16;
    while (index->filter_bits < 32 && (UINT64_C(1) << index->filter_bits) < (uint64_t)index->old_len * 8) {
        index->filter_bits++;
    }
    index->filter = rb_alloc(((size_t)1 << index->filter_bits) / 8);
    for (size_t i = 0; i + FORGE_MATCH_MIN <= index->old_len; i++) {
        uint64_t h = filter_hash(index, index->old + i);
        index->filter[h / 64] |= UINT64_C(1) << (h % 64);
    }
}

rb_err
forge_index_make(struct forge_index *index, const uint8_t *old, size_t old_len)
{
    *index = (struct forge_index){.old = old, .old_len = old_len};
    index->suffixes = rb_alloc((old_len + 1) * sizeof *index->suffixes);
    index->buckets = rb_alloc(65537 * sizeof *index->buckets);
    if (old_len > 0 && divsufsort(old, index->suffixes, (int32_t)old_len) != 0) {
        return rb_fail(RB_ERR_NO_MEMORY, "suffix array of %zu bytes", old_len);
    }
    fill_buckets(index);
    fill_filter(index);
    return RB_OK;
}

void
forge_index_free(struct forge_index *index)
{
    free(index->suffixes);
    free(index->buckets);
    free(index->filter);
    *index = (struct forge_index){0};
}

/* Length of the common prefix, known to be at least `from`. */
static size_t
common(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len, size_t from)
{
    size_t limit = a_len < b_len ? a_len : b_len;
    size_t len = from;

    while (limit - len >= 8) {
        uint64_t x;
        uint64_t y;
        memcpy(&x, a + len, 8);
        memcpy(&y, b + len, 8);
        if (x != y) {
            break;
        }
        len += 8;
    }
    while (len < limit && a[len] == b[len]) {
        len++;
    }
    return len;
}

size_t
forge_index_longest(const struct forge_index *index, const uint8_t *text, size_t len, size_t *at)
{
    if (len < FORGE_MATCH_MIN) {
        return 0;
    }
    uint64_t h = filter_hash(index, text);
    if ((index->filter[h / 64] >> (h % 64) & 1) == 0) {
        return 0;
    }
    uint32_t prefix = prefix_of(text, len);
    int32_t low = index->buckets[prefix]; /* all suffixes before low are smaller than text, */
    int32_t high = index->buckets[prefix + 1]; /* from high on larger */
    size_t low_common = 0;
    size_t high_common = 0;
    size_t best = 0;

    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        size_t suffix = (size_t)index->suffixes[middle];
        const uint8_t *s = index->old + suffix;
        size_t s_len = index->old_len - suffix;
        size_t same = common(s, s_len, text, len, low_common < high_common ? low_common : high_common);
        if (same > best) {
            best = same;
            *at = suffix;
        }
        if (same == len) {
            break;
        }
        if (same == s_len || s[same] < text[same]) {
            low = middle + 1;
            low_common = same;
        } else {
            high = middle;
            high_common = same;
        }
    }
    return best >= FORGE_MATCH_MIN ? best : 0;
}

/* ---- seeds ---- */

static void
add_region(struct forge_regions *r, size_t new_at, size_t old_at, size_t len)
{
    if (r->count == r->room) {
        r->room = r->room * 2 + 64;
        r->list = rb_realloc(r->list, r->room * sizeof *r->list);
    }
    r->list[r->count++] = (struct forge_region){.new_at = new_at, .old_at = old_at, .len = len};
}

/* Equal bytes of new[at .. at + len) and old in alignment `shift` (old offset minus new offset). */
static size_t
score(const struct forge_files *f, size_t at, size_t len, int64_t shift)
{
    size_t equal = 0;

    for (size_t i = at; i < at + len; i++) {
        int64_t o = (int64_t)i + shift;
        equal += o >= 0 && (uint64_t)o < f->old_len && f->old[o] == f->new[i];
    }
    return equal;
}

/* Exact matches that begin a new alignment, in order. */
static void
find_seeds(const struct forge_files *f, const struct forge_index *index, unsigned gain, struct forge_regions *seeds)
{
    int64_t shift = 0;
    size_t at = 0;

    while (at < f->new_len) {
        int64_t aligned = (int64_t)at + shift;
        if (aligned >= 0 && (uint64_t)aligned < f->old_len) {
            size_t same = common(f->old + aligned, f->old_len - (size_t)aligned, f->new + at, f->new_len - at, 0);
            if (same >= CALM_LEN) {
                at += same;
                continue;
            }
        }
        size_t old_at = 0;
        size_t len = forge_index_longest(index, f->new + at, f->new_len - at, &old_at);
        if (len < SEED_MIN) {
            at++;
            continue;
        }
        size_t present = score(f, at, len, shift);
        if (len > present + gain) {
            add_region(seeds, at, old_at, len);
            shift = (int64_t)(old_at - at);
            at += len;
        } else {
            at += present == len ? len : 1;
        }
    }
}

/* ---- growth ---- */

/* Scores of growing: +1 for an equal byte, -1 for another. forward[i]: best of growing `left` by at most i bytes. */
struct growth {
    int32_t *best; /* score */
    uint32_t *len; /* how many bytes give it */
    size_t room;
};

static bool
equal_at(const struct forge_files *f, size_t new_at, int64_t old_at)
{
    return old_at >= 0 && (uint64_t)old_at < f->old_len && f->old[old_at] == f->new[new_at];
}

static void
grow_forward(const struct forge_files *f, struct growth *g, size_t new_at, int64_t old_at, size_t gap)
{
    int32_t now = 0;

    if (gap + 1 > g->room) {
        g->room = (gap + 1) * 2;
        g->best = rb_realloc(g->best, g->room * sizeof *g->best);
        g->len = rb_realloc(g->len, g->room * sizeof *g->len);
    }
    g->best[0] = 0;
    g->len[0] = 0;
    for (size_t i = 1; i <= gap; i++) {
        bool inside = old_at + (int64_t)i <= (int64_t)f->old_len && old_at + (int64_t)i > 0;
        now += equal_at(f, new_at + i - 1, old_at + (int64_t)i - 1) ? 1 : -1;
        bool better = inside && now > g->best[i - 1];
        g->best[i] = better ? now : g->best[i - 1];
        g->len[i] = better ? (uint32_t)i : g->len[i - 1];
    }
}

/* Split the gap between the end of `left` and the start of `right` so that both grow where it pays most. */
static void
share_gap(const struct forge_files *f, struct growth *g, struct forge_region *left, struct forge_region *right)
{
    size_t gap = right->new_at - (left->new_at + left->len);
    int32_t now = 0;
    int32_t best;
    size_t forward;
    size_t backward = 0;

    grow_forward(f, g, left->new_at + left->len, (int64_t)(left->old_at + left->len), gap);
    best = g->best[gap];
    forward = g->len[gap];
    for (size_t i = 1; i <= gap && i <= right->old_at; i++) {
        now += f->old[right->old_at - i] == f->new[right->new_at - i] ? 1 : -1;
        if (now + g->best[gap - i] > best) {
            best = now + g->best[gap - i];
            forward = g->len[gap - i];
            backward = i;
        }
    }
    left->len += forward;
    right->new_at -= backward;
    right->old_at -= backward;
    right->len += backward;
}

static void
grow_all(const struct forge_files *f, struct forge_regions *r)
{
    struct growth g = {0};

    for (size_t i = 0; i + 1 < r->count; i++) {
        share_gap(f, &g, &r->list[i], &r->list[i + 1]);
    }
    struct forge_region *last = &r->list[r->count - 1];
    size_t gap = f->new_len - (last->new_at + last->len);
    grow_forward(f, &g, last->new_at + last->len, (int64_t)(last->old_at + last->len), gap);
    last->len += g.len[gap];
    free(g.best);
    free(g.len);
}

/* Neighbours that meet in one alignment are one; those of no length are none. */
static void
tidy(struct forge_regions *r)
{
    size_t kept = 0;

    for (size_t i = 0; i < r->count; i++) {
        struct forge_region *here = &r->list[i];
        struct forge_region *before = kept > 0 ? &r->list[kept - 1] : NULL;
        if (here->len == 0) {
            continue;
        }
        if (before != NULL && before->new_at + before->len == here->new_at
            && before->old_at + before->len == here->old_at) {
            before->len += here->len;
        } else {
            r->list[kept++] = *here;
        }
    }
    r->count = kept;
}

rb_err
forge_match(const struct forge_files *files, const struct forge_index *index, unsigned gain,
            struct forge_regions *out)
{
    *out = (struct forge_regions){0};
    if (files->old_len == 0) {
        return RB_OK;
    }
    add_region(out, 0, 0, 0); /* the alignment to start with */
    find_seeds(files, index, gain, out);
    grow_all(files, out);
    tidy(out);
    return RB_OK;
}
