/* SPDX-License-Identifier: Apache-2.0
 *
 * Covers new with tokens. Regions become copies; what lies between them is parsed by least cost over literals,
 * matches in recent output and short copies, with prices that stand for what the adaptive coder makes of each on the
 * average.
 */
#include "server-tools/delta_internal.h"

#include "lib/core/payload_model.h"
#include "lib/host/file.h"

#include <stdlib.h>
#include <string.h>

#define HASH_BITS 17u
#define BLOCK_LEN 4096u  /* positions priced together */
#define NICE_LEN 96u     /* a match this long is taken at once */
#define MATCH_MIN 3u
#define ONE_BIT 16u      /* prices are in sixteenths of a bit */

struct node {
    uint32_t price;
    uint32_t len; /* of the token that ends here */
    uint8_t kind;
    uint64_t from;
    uint32_t reps[RB_PM_REPS];
};

struct parser {
    const struct forge_files *files;
    const struct forge_index *index;
    const struct forge_parse_options *options;
    struct forge_tokens *out;
    int32_t *head;     /* newest position by hash of three bytes, -1: none */
    int32_t *previous; /* by position, a ring as long as the window: the one before with the same hash */
    size_t ring_mask;
    size_t indexed;    /* positions below are in the chains */
    uint32_t reps[RB_PM_REPS];
    uint64_t copy_end; /* as the decoder has them at the start of the gap */
    int64_t shift;
    int64_t next_shift; /* of the region after the gap */
    uint32_t literal[256];
    struct node *nodes;
};

/* ---- prices ---- */

static uint32_t
log2_price(uint64_t v)
{
    unsigned width = 63u - (unsigned)__builtin_clzll(v | 1);
    uint64_t rest = width >= 4 ? v >> (width - 4) & 15 : v << (4 - width) & 15;

    return width * ONE_BIT + (uint32_t)rest;
}

static uint32_t
length_price(uint64_t v)
{
    return 2 * ONE_BIT + log2_price(v + 1) * 5 / 4;
}

static uint32_t
match_price(uint64_t distance, uint32_t len)
{
    return 5 * ONE_BIT + length_price(len - 2) + log2_price(distance);
}

static uint32_t
rep_price(unsigned which, uint32_t len)
{
    return (which == 0 ? 4 : 6) * ONE_BIT + length_price(len - 1);
}

static uint32_t
copy_price(const struct parser *p, uint64_t old_at, size_t new_at, uint32_t len)
{
    uint32_t price = 4 * ONE_BIT + length_price(len);

    if ((int64_t)(old_at - new_at) == p->shift || old_at == p->copy_end) {
        return price + ONE_BIT;
    }
    uint64_t seek = old_at > p->copy_end ? old_at - p->copy_end : p->copy_end - old_at;
    return price + 7 * ONE_BIT + log2_price(seek);
}

/* Literals cost about two thirds of their order-0 entropy in new. */
static void
price_literals(struct parser *p)
{
    size_t count[256] = {0};

    for (size_t i = 0; i < p->files->new_len; i++) {
        count[p->files->new[i]]++;
    }
    for (int b = 0; b < 256; b++) {
        uint32_t bits = log2_price(p->files->new_len) - log2_price(count[b] + 1);
        bits = bits > p->files->new_len ? 0 : bits;
        p->literal[b] = bits * 2 / 3 + ONE_BIT / 2;
    }
}

/* ---- tokens out ---- */

static void
emit(struct parser *p, uint8_t kind, uint32_t len, uint64_t from)
{
    struct forge_tokens *t = p->out;

    if (t->count == t->room) {
        t->room = t->room * 2 + 1024;
        t->list = rb_realloc(t->list, t->room * sizeof *t->list);
    }
    t->list[t->count++] = (struct forge_token){.kind = kind, .len = len, .from = from};
}

/* ---- recent output ---- */

static uint32_t
hash3(const uint8_t *b)
{
    uint32_t v = (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2];

    return (v * 0x9e3779b1u) >> (32 - HASH_BITS);
}

/* Enter all positions before `at` into the chains. */
static void
index_to(struct parser *p, size_t at)
{
    for (; p->indexed < at; p->indexed++) {
        if (p->indexed + MATCH_MIN <= p->files->new_len) {
            uint32_t h = hash3(p->files->new + p->indexed);
            p->previous[p->indexed & p->ring_mask] = p->head[h];
            p->head[h] = (int32_t)p->indexed;
        }
    }
}

static uint32_t
same_len(const uint8_t *a, const uint8_t *b, size_t limit)
{
    size_t len = 0;

    while (len < limit && a[len] == b[len]) {
        len++;
    }
    return (uint32_t)len;
}

static void
relax(struct node *from, struct node *to, uint32_t price, uint8_t kind, uint32_t len, uint64_t where)
{
    if (from->price + price >= to->price) {
        return;
    }
    to->price = from->price + price;
    to->kind = kind;
    to->len = len;
    to->from = where;
    memcpy(to->reps, from->reps, sizeof to->reps);
    if (kind == RB_PM_MATCH) {
        unsigned which = 0;
        while (which < RB_PM_REPS - 1 && to->reps[which] != where) {
            which++;
        }
        for (; which > 0; which--) {
            to->reps[which] = to->reps[which - 1];
        }
        to->reps[0] = (uint32_t)where;
    }
}

/* A token of exactly `len` bytes that need not be tried shorter, as long a one as the block may hold. */
struct best {
    uint32_t len;
    uint8_t kind;
    uint64_t from;
};

static size_t
floor_of(const struct parser *p, size_t at)
{
    size_t restart = p->options->restart == 0 ? 0 : at - at % p->options->restart;
    size_t window = at > p->options->window ? at - p->options->window : 0;

    return restart > window ? restart : window;
}

static void
try_reps(struct parser *p, struct node *n, size_t at, size_t limit, size_t room, struct best *best)
{
    for (unsigned i = 0; i < RB_PM_REPS; i++) {
        uint32_t distance = n->reps[i];
        if (distance > at - floor_of(p, at)) {
            continue;
        }
        uint32_t len = same_len(p->files->new + at, p->files->new + at - distance, limit);
        if (len > best->len) {
            *best = (struct best){.len = len, .kind = RB_PM_MATCH, .from = distance};
        }
        for (uint32_t l = 1; l <= len && l <= room; l++) {
            relax(n, n + l, rep_price(i, l), RB_PM_MATCH, l, distance);
        }
    }
}

static void
try_matches(struct parser *p, struct node *n, size_t at, size_t limit, size_t room, struct best *best)
{
    const uint8_t *new = p->files->new;
    uint32_t longest = MATCH_MIN - 1;
    size_t lowest = floor_of(p, at);
    unsigned depth = p->options->depth;

    if (limit < MATCH_MIN) {
        return;
    }
    int32_t c = p->head[hash3(new + at)];
    for (; c >= 0 && (size_t)c >= lowest && depth > 0; c = p->previous[(size_t)c & p->ring_mask], depth--) {
        if (longest < limit && new[(size_t)c + longest] != new[at + longest]) {
            continue;
        }
        uint32_t len = same_len(new + at, new + c, limit);
        uint64_t distance = at - (size_t)c;
        for (uint32_t l = longest + 1; l <= len && l <= room; l++) {
            relax(n, n + l, match_price(distance, l), RB_PM_MATCH, l, distance);
        }
        if (len > longest) {
            longest = len;
        }
        if (len > best->len) {
            *best = (struct best){.len = len, .kind = RB_PM_MATCH, .from = distance};
        }
        if (len >= NICE_LEN || len == limit) {
            break;
        }
    }
}

static void
try_copy_at(struct parser *p, struct node *n, size_t at, size_t old_at, size_t limit, size_t room, struct best *best)
{
    if (old_at >= p->files->old_len) {
        return;
    }
    size_t old_left = p->files->old_len - old_at;
    uint32_t len = same_len(p->files->new + at, p->files->old + old_at, limit < old_left ? limit : old_left);

    if (len > best->len) {
        *best = (struct best){.len = len, .kind = RB_PM_COPY, .from = old_at};
    }
    for (uint32_t l = 2; l <= len && l <= room; l++) {
        relax(n, n + l, copy_price(p, old_at, at, l), RB_PM_COPY, l, old_at);
    }
}

static void
try_copies(struct parser *p, struct node *n, size_t at, size_t limit, size_t room, struct best *best)
{
    size_t old_at;

    if (p->index == NULL || p->index->old_len == 0) {
        return;
    }
    try_copy_at(p, n, at, (size_t)((int64_t)at + p->shift), limit, room, best);
    try_copy_at(p, n, at, (size_t)((int64_t)at + p->next_shift), limit, room, best);
    if (forge_index_longest(p->index, p->files->new + at, limit, &old_at) > 0) {
        try_copy_at(p, n, at, old_at, limit, room, best);
    }
}

/* Neighbours among the tokens from `first` on that are literals become one. */
static void
join_literals(struct forge_tokens *t, size_t first)
{
    size_t kept = first;

    for (size_t i = first; i < t->count; i++) {
        if (kept > first && t->list[i].kind == RB_PM_LITERAL && t->list[kept - 1].kind == RB_PM_LITERAL) {
            t->list[kept - 1].len += t->list[i].len;
        } else {
            t->list[kept++] = t->list[i];
        }
    }
    t->count = kept;
}

/* Emit the cheapest way to nodes[count]. */
static void
emit_path(struct parser *p, size_t count)
{
    size_t at = count;
    size_t first = p->out->count;

    memcpy(p->reps, p->nodes[count].reps, sizeof p->reps);
    while (at > 0) {
        const struct node *n = &p->nodes[at];
        emit(p, n->kind, n->len, n->from);
        at -= n->len;
    }
    for (size_t i = first, j = p->out->count; i + 1 < j; i++) {
        struct forge_token t = p->out->list[i];
        p->out->list[i] = p->out->list[--j];
        p->out->list[j] = t;
    }
    join_literals(p->out, first);
}

/* Where a token that begins at `at` must end. */
static size_t
end_of(const struct parser *p, size_t at, size_t end)
{
    size_t cut = p->options->cut;

    return cut != 0 && end - at > cut - at % cut ? at + (cut - at % cut) : end;
}

/* Parse [at, end) until a block is priced or a long token ends it; returns where. */
static size_t
parse_block(struct parser *p, size_t at, size_t end)
{
    size_t count = end - at < BLOCK_LEN ? end - at : BLOCK_LEN;

    for (size_t i = 0; i <= count; i++) {
        p->nodes[i].price = UINT32_MAX;
    }
    p->nodes[0].price = 0;
    memcpy(p->nodes[0].reps, p->reps, sizeof p->reps);
    for (size_t i = 0; i < count; i++) {
        struct node *n = &p->nodes[i];
        struct best best = {0};
        size_t limit = end - (at + i);
        index_to(p, at + i);
        relax(n, n + 1, p->literal[p->files->new[at + i]], RB_PM_LITERAL, 1, 0);
        try_reps(p, n, at + i, limit, count - i, &best);
        try_matches(p, n, at + i, limit, count - i, &best);
        try_copies(p, n, at + i, limit, count - i, &best);
        if (best.len >= NICE_LEN) {
            struct node last = *n;
            struct node after = {.price = UINT32_MAX};
            emit_path(p, i);
            relax(&last, &after, 0, best.kind, best.len, best.from);
            memcpy(p->reps, after.reps, sizeof p->reps);
            emit(p, best.kind, best.len, best.from);
            return at + i + best.len;
        }
    }
    emit_path(p, count);
    return at + count;
}

static void
parse_gap(struct parser *p, size_t at, size_t end)
{
    while (at < end) {
        if (p->options->restart != 0 && at % p->options->restart == 0) {
            for (int i = 0; i < RB_PM_REPS; i++) {
                p->reps[i] = 1;
            }
        }
        at = parse_block(p, at, end_of(p, at, end));
    }
}

static void
parse_all(struct parser *p, const struct forge_regions *regions)
{
    size_t at = 0;

    for (size_t i = 0; i < regions->count; i++) {
        const struct forge_region *r = &regions->list[i];
        p->next_shift = (int64_t)(r->old_at - r->new_at);
        parse_gap(p, at, r->new_at);
        emit(p, RB_PM_COPY, (uint32_t)r->len, r->old_at);
        at = r->new_at + r->len;
        p->shift = p->next_shift;
        p->copy_end = r->old_at + r->len;
    }
    parse_gap(p, at, p->files->new_len);
}

rb_err
forge_parse(const struct forge_files *files, const struct forge_index *index,
            const struct forge_regions *regions, const struct forge_parse_options *options,
            struct forge_tokens *out)
{
    struct parser p = {.files = files, .index = index, .options = options, .out = out};

    *out = (struct forge_tokens){0};
    p.head = rb_alloc(((size_t)1 << HASH_BITS) * sizeof *p.head);
    p.ring_mask = options->window * 2 - 1; /* a power of two, so that all of the window stays valid */
    p.previous = rb_alloc((p.ring_mask + 1) * sizeof *p.previous);
    p.nodes = rb_alloc((BLOCK_LEN + 1) * sizeof *p.nodes);
    memset(p.head, 0xff, ((size_t)1 << HASH_BITS) * sizeof *p.head);
    for (int i = 0; i < RB_PM_REPS; i++) {
        p.reps[i] = 1;
    }
    price_literals(&p);
    parse_all(&p, regions);
    free(p.head);
    free(p.previous);
    free(p.nodes);
    return RB_OK;
}
