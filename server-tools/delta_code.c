/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens to segments: the encoder of coding MIXED, function by function the mirror image of
 * lib/core/payload_decode.c, over the same model.
 */
#include "server-tools/delta_internal.h"

#include "lib/core/payload_model.h"
#include "lib/host/file.h"

#include <stdlib.h>

#define DUMMY_LEN 1u /* the first byte out of the coder is always 0 and is left out */

struct coder {
    const struct forge_files *files;
    const struct forge_code_options *options;
    uint8_t *state; /* model, then slots: all that a token changes but position and coder */
    uint8_t *saved;
    uint8_t *first; /* state at the start of the segment */
    size_t state_len;
    struct rb_pm *model;
    uint64_t window_len;
    uint64_t made;
    uint64_t started;

    /* range encoder */
    uint64_t low;
    uint32_t range;
    uint8_t cache;      /* the byte that a carry could still change, */
    uint32_t cache_len; /* and how many bytes: it, then 0xff ones */
    uint32_t out_len;   /* bytes made, stored or not, DUMMY_LEN included */
    uint8_t out[DUMMY_LEN + RB_PAYLOAD_SEGMENT_MAX];
};

/* What a token changes in struct coder itself. */
struct mark {
    uint64_t made;
    uint64_t low;
    uint32_t range;
    uint32_t cache_len;
    uint32_t out_len;
    uint8_t cache;
};

/* ---- range encoder ---- */

static void
put_byte(struct coder *c, uint8_t byte)
{
    if (c->out_len < sizeof c->out) {
        c->out[c->out_len] = byte;
    }
    c->out_len++;
}

static void
shift_low(struct coder *c)
{
    if (c->low < 0xff000000u || c->low > UINT32_MAX) {
        uint8_t carry = (uint8_t)(c->low >> 32);
        for (uint32_t i = 0; i < c->cache_len; i++) {
            put_byte(c, (uint8_t)((i == 0 ? c->cache : 0xff) + carry));
        }
        c->cache_len = 0;
        c->cache = (uint8_t)(c->low >> 24);
    }
    c->cache_len++;
    c->low = (c->low & 0x00ffffff) << 8;
}

static inline void
encode_bit(struct coder *c, uint32_t p, unsigned bit)
{
    uint32_t bound = (c->range >> 16) * p;

    if (bit) {
        c->range = bound;
    } else {
        c->low += bound;
        c->range -= bound;
    }
    while (c->range < 1u << 24) {
        c->range <<= 8;
        shift_low(c);
    }
}

static void
start_coder(struct coder *c)
{
    c->low = 0;
    c->range = UINT32_MAX;
    c->cache = 0;
    c->cache_len = 1;
    c->out_len = 0;
}

/* Of all numbers the decoder would take for the same bits, the one with most zeros at its end, which need no bytes:
 * the decoder supplies up to four. */
static void
finish_coder(struct coder *c)
{
    uint64_t last = c->low + c->range - 1;

    for (unsigned zeros = 32; zeros > 0; zeros--) {
        uint64_t v = last >> zeros << zeros;
        if (v >= c->low) {
            c->low = v;
            break;
        }
    }
    for (int i = 0; i < 5; i++) {
        shift_low(c);
    }
    bool kept = c->out_len <= sizeof c->out;
    for (int i = 0; i < 4 && kept && c->out_len > DUMMY_LEN + 1 && c->out[c->out_len - 1] == 0; i++) {
        c->out_len--;
    }
}

static void
plain_bit(struct coder *c, uint16_t *slot, unsigned bit)
{
    encode_bit(c, rb_pm_plain(slot), bit);
    rb_pm_learn(slot, bit);
}

static inline void
mixed_bit(struct coder *c, unsigned place, unsigned set, unsigned bit)
{
    struct rb_pm_event e;

    rb_pm_mix(c->model, place, set, &e);
    encode_bit(c, e.p, bit);
    rb_pm_mixed(&e, bit);
}

static void
plain_tree(struct coder *c, uint16_t *slots, unsigned bits, uint32_t v)
{
    uint32_t node = 1;

    for (unsigned i = bits; i > 0; i--) {
        unsigned bit = v >> (i - 1) & 1;
        plain_bit(c, &slots[node], bit);
        node = node << 1 | bit;
    }
}

static void
number(struct coder *c, unsigned kind, uint64_t value)
{
    struct rb_pm_number *n = &c->model->numbers[kind];
    uint64_t v = value + 1;
    unsigned width = 63u - (unsigned)__builtin_clzll(v);
    uint32_t low = 1;

    plain_tree(c, n->width, 6, width);
    for (unsigned left = width; left > 0; left--) {
        unsigned bit = v >> (left - 1) & 1;
        if (width - left < 2) {
            plain_bit(c, &n->high[width][width == left ? 1 : 2 | (v >> left & 1)], bit);
        } else if (left <= 2) {
            plain_bit(c, &n->low[low], bit);
            low = low << 1 | bit;
        } else {
            encode_bit(c, 32768, bit);
        }
    }
}

/* ---- tokens ---- */

static uint8_t
old_byte(const struct coder *c, uint64_t at)
{
    return at < c->files->old_len ? c->files->old[at] : 0;
}

static void
remember(struct coder *c)
{
    uint64_t have = c->made - c->started;

    c->model->recent = 0;
    for (uint64_t back = have < 8 ? have : 8; back > 0; back--) {
        c->model->recent = c->model->recent << 8 | c->files->new[c->made - back];
    }
}

static void
made_byte(struct coder *c)
{
    c->model->recent = c->model->recent << 8 | c->files->new[c->made];
    c->made++;
}

static void
literal(struct coder *c)
{
    struct rb_pm *m = c->model;
    uint8_t byte = c->files->new[c->made];
    uint8_t like = old_byte(c, (uint64_t)((int64_t)c->made + m->shift[0]));
    bool has_rep = m->reps[0] <= c->made - c->started && m->reps[0] <= c->window_len;
    uint32_t node = 1;

    rb_pm_literal_contexts(m, c->made, like, has_rep ? c->files->new[c->made - m->reps[0]] : 0);
    for (unsigned i = 0; i < 8; i++) {
        unsigned bit = byte >> (7 - i) & 1;
        mixed_bit(c, rb_pm_byte_place(m, node, i), rb_pm_literal_set(m, i), bit);
        node = node << 1 | bit;
    }
    rb_pm_token(m, RB_PM_LITERAL);
    made_byte(c);
}

/* Which of the last distances this is, RB_PM_REPS: none. */
static unsigned
rep_of(const struct coder *c, uint64_t distance)
{
    unsigned which = 0;

    while (which < RB_PM_REPS && c->model->reps[which] != distance) {
        which++;
    }
    return which;
}

static void
match(struct coder *c, uint64_t distance, uint32_t len)
{
    struct rb_pm *m = c->model;
    unsigned which = rep_of(c, distance);
    bool is_rep = which < RB_PM_REPS;

    plain_bit(c, &m->is_rep[m->kinds % 3], is_rep);
    rb_pm_token(m, RB_PM_MATCH);
    number(c, is_rep ? RB_PM_REP_LEN : RB_PM_MATCH_LEN, len - (is_rep ? 1u : 2u));
    if (is_rep) {
        plain_tree(c, m->rep, 2, which);
    } else {
        which = RB_PM_REPS - 1;
        number(c, RB_PM_DISTANCE + (len < 5 ? len - 2 : 3), distance - 1);
    }
    for (; which > 0; which--) {
        m->reps[which] = m->reps[which - 1];
    }
    m->reps[0] = distance;
    c->made += len;
    remember(c);
}

static void
copy_source(struct coder *c, uint64_t at)
{
    struct rb_pm *m = c->model;
    uint16_t *from = m->from[m->kinds];
    int64_t shift = (int64_t)(at - c->made);

    if (shift == m->shift[0]) {
        plain_tree(c, from, 2, RB_PM_FROM_SHIFT0);
    } else if (at == m->copy_end) {
        plain_tree(c, from, 2, RB_PM_FROM_END);
    } else if (shift == m->shift[1]) {
        plain_tree(c, from, 2, RB_PM_FROM_SHIFT1);
    } else {
        bool back = at < m->copy_end;
        plain_tree(c, from, 2, RB_PM_FROM_NEW);
        plain_bit(c, &m->sign, back);
        number(c, RB_PM_SEEK, (back ? m->copy_end - at : at - m->copy_end) - 1);
    }
}

static void
copy_byte(struct coder *c, uint64_t at)
{
    struct rb_pm *m = c->model;
    uint8_t around[9];
    uint32_t node = 1;

    for (unsigned i = 0; i < sizeof around; i++) {
        around[i] = old_byte(c, at + i - 4);
    }
    const uint8_t *o = around + 4;
    uint8_t diff = (uint8_t)(c->files->new[c->made] - o[0]);
    rb_pm_equal_contexts(m, o, at);
    mixed_bit(c, rb_pm_equal_place(m, at), rb_pm_equal_set(m, at), diff == 0);
    if (diff != 0) {
        rb_pm_diff_contexts(m, o, at);
        for (unsigned i = 0; i < 8; i++) {
            unsigned bit = diff >> (7 - i) & 1;
            mixed_bit(c, rb_pm_byte_place(m, node, i), rb_pm_diff_set(at, i), bit);
            node = node << 1 | bit;
        }
    }
    rb_pm_copied(m, at, diff);
    made_byte(c);
}

static uint32_t
equal_len(const uint8_t *a, const uint8_t *b, uint32_t limit)
{
    uint32_t len = 0;

    while (len < limit && a[len] == b[len]) {
        len++;
    }
    return len;
}

static void
copy(struct coder *c, uint64_t at, uint32_t len)
{
    struct rb_pm *m = c->model;
    unsigned level = RB_PM_RUN_MIN;
    uint32_t calm = RB_PM_CALM;
    uint32_t good = 0;

    number(c, RB_PM_COPY_LEN, len - 1);
    copy_source(c, at);
    rb_pm_token(m, RB_PM_COPY);
    if ((int64_t)(at - c->made) != m->shift[0]) {
        m->shift[1] = m->shift[0];
        m->shift[0] = (int64_t)(at - c->made);
    }
    m->copy_end = at + len;
    while (len > 0 && (c->out_len <= sizeof c->out || c->options->segment != 0)) {
        if (calm < RB_PM_CALM) {
            copy_byte(c, at);
            calm = (m->hits & 1) ? calm + 1 : 0;
            at++;
            len--;
            continue;
        }
        uint32_t run = len < 1u << level ? len : 1u << level;
        bool equal = equal_len(c->files->new + c->made, c->files->old + at, run) == run;
        plain_bit(c, &m->run[level][good], equal);
        if (equal) {
            c->made += run;
            remember(c);
            rb_pm_copied_run(m, run);
            at += run;
            len -= run;
            level += level < RB_PM_RUN_MAX;
            good += good < 3;
        } else {
            calm = level > RB_PM_RUN_MIN ? calm : 0;
            level -= level > RB_PM_RUN_MIN;
            good = 0;
        }
    }
}

static void
encode_token(struct coder *c, const struct forge_token *t)
{
    uint16_t *kind = c->model->kind[c->model->kinds];
    /* The parser may have counted on a distance that a raw segment in between made the model forget. */
    bool lone = t->kind == RB_PM_MATCH && t->len == 1 && rep_of(c, t->from) == RB_PM_REPS;
    bool is_literal = t->kind == RB_PM_LITERAL || lone;

    plain_bit(c, &kind[0], !is_literal);
    if (is_literal) {
        literal(c);
        return;
    }
    plain_bit(c, &kind[1], t->kind == RB_PM_COPY);
    if (t->kind == RB_PM_COPY) {
        copy(c, t->from, t->len);
    } else {
        match(c, t->from, t->len);
    }
}

/* ---- segments ---- */

static struct mark
mark(const struct coder *c)
{
    return (struct mark){c->made, c->low, c->range, c->cache_len, c->out_len, c->cache};
}

static void
go_back(struct coder *c, const struct mark *to, const uint8_t *state)
{
    c->made = to->made;
    c->low = to->low;
    c->range = to->range;
    c->cache_len = to->cache_len;
    c->out_len = to->out_len;
    c->cache = to->cache;
    rb_copy(c->state, state, c->state_len);
}

/* What the coder would have made if the segment ended now. */
static uint32_t
stored_len(const struct coder *c)
{
    return c->out_len + c->cache_len + 5;
}

/* Encode a token if the segment can hold it; otherwise leave everything as it was and say no. A segment of fixed
 * output length holds anything: when it becomes too long, its bytes are not kept, and it will be raw. */
static bool
fits(struct coder *c, const struct forge_token *t)
{
    /* A mixed event costs less than 12 bits, and a byte is at most 9 of them; a token's head is less than 64 bytes. */
    bool surely = c->options->segment != 0 || stored_len(c) + 64 + (uint64_t)t->len * 14 < sizeof c->out;
    struct mark before = mark(c);

    if (!surely) {
        rb_copy(c->saved, c->state, c->state_len);
    }
    encode_token(c, t);
    if (surely || stored_len(c) <= sizeof c->out) {
        return true;
    }
    go_back(c, &before, c->saved);
    return false;
}

static void *
grown(void *list, size_t *room_len, size_t need, size_t size)
{
    if (need > *room_len) {
        *room_len = need * 2;
        list = rb_realloc(list, *room_len * size);
    }
    return list;
}

static void
put_segment(struct coder *c, struct forge_segments *out, uint64_t from, const uint8_t *data, uint32_t len)
{
    out->bytes = grown(out->bytes, &out->bytes_room, out->bytes_len + len, 1);
    rb_copy(out->bytes + out->bytes_len, data, len);
    out->list = grown(out->list, &out->room, out->count + 1, sizeof *out->list);
    out->list[out->count++] =
        (struct forge_segment){.new_len = (uint32_t)(c->made - from), .len = len, .offset = out->bytes_len};
    out->bytes_len += len;
}

/* End the segment that began at `from` as a raw one; the model has seen none of it. */
static void
end_raw(struct coder *c, struct forge_segments *out, uint64_t from)
{
    rb_copy(c->state, c->first, c->state_len);
    remember(c);
    put_segment(c, out, from, c->files->new + from, (uint32_t)(c->made - from));
}

/* End the segment that began at output offset `from`: coded, or raw when that is no longer. */
static void
end_segment(struct coder *c, struct forge_segments *out, uint64_t from)
{
    finish_coder(c);
    if (c->made - from > c->out_len - DUMMY_LEN) {
        put_segment(c, out, from, c->out + DUMMY_LEN, c->out_len - DUMMY_LEN);
    } else {
        end_raw(c, out, from);
    }
}

static void
start_segment(struct coder *c)
{
    if (c->made == 0 || (c->options->restart != 0 && c->made % c->options->restart == 0)) {
        rb_pm_reset(c->model);
        c->started = c->made;
    }
    rb_copy(c->first, c->state, c->state_len);
    start_coder(c);
}

/* Whether a segment that began at `from` must end here. */
static bool
is_full(const struct coder *c, uint64_t from)
{
    size_t segment = c->options->segment;

    return segment != 0 && c->made - from >= segment;
}

/* Bytes as evenly spread as noise: no coding will shorten them. */
static bool
is_noise(const uint8_t *data, size_t len)
{
    size_t count[256] = {0};
    uint64_t squares = 0;

    for (size_t i = 0; i < len; i++) {
        count[data[i]]++;
    }
    for (int b = 0; b < 256; b++) {
        squares += (uint64_t)count[b] * count[b];
    }
    /* For even bytes the sum is near len * len / 256 + len. */
    return squares < (uint64_t)len * len / 256 + 2 * len;
}

/* How many of the tokens from `first` on are one raw segment without trying: those of a segment of fixed length that
 * are nearly all literals, and noise. */
static size_t
noise_tokens(const struct coder *c, const struct forge_tokens *tokens, size_t first)
{
    size_t len = 0;
    size_t literals = 0;
    size_t i = first;

    if (c->options->segment == 0) {
        return 0;
    }
    for (; i < tokens->count && len < c->options->segment; i++) {
        len += tokens->list[i].len;
        literals += tokens->list[i].kind == RB_PM_LITERAL ? tokens->list[i].len : 0;
    }
    return literals * 64 > len * 63 && is_noise(c->files->new + c->made, len) ? i - first : 0;
}

/* Encode one token, over several segments if need be; `from` is where the present segment began. */
static uint64_t
code_token(struct coder *c, struct forge_token t, struct forge_segments *out, uint64_t from)
{
    uint32_t left = t.len;
    bool one_by_one = t.kind == RB_PM_LITERAL;

    t.len = one_by_one ? 1 : left;
    while (left > 0) {
        if (fits(c, &t)) {
            left -= t.len;
            t.from += t.kind == RB_PM_COPY ? t.len : 0;
            t.len = one_by_one ? 1 : left;
        } else if (c->out_len < sizeof c->out / 2 && t.len > 1) {
            t.len /= 2;
        } else {
            end_segment(c, out, from);
            from = c->made;
            start_segment(c);
            t.len = one_by_one ? 1 : left;
        }
    }
    return from;
}

static void
code_all(struct coder *c, const struct forge_tokens *tokens, struct forge_segments *out)
{
    for (size_t i = 0; i < tokens->count;) {
        start_segment(c);
        uint64_t from = c->made;
        size_t noise = noise_tokens(c, tokens, i);
        for (size_t end = i + noise; i < end; i++) {
            c->made += tokens->list[i].len;
        }
        while (noise == 0 && i < tokens->count && !is_full(c, from)) {
            from = code_token(c, tokens->list[i++], out, from);
            if (c->options->progress != NULL && i % 1024 == 0) {
                c->options->progress(c->options->progress_ctx, c->made);
            }
        }
        if (noise > 0) {
            end_raw(c, out, from);
        } else {
            end_segment(c, out, from);
        }
    }
}

rb_err
forge_code(const struct forge_files *files, const struct forge_tokens *tokens,
           const struct forge_code_options *options, struct forge_segments *out)
{
    struct coder *c = rb_alloc(sizeof *c);
    size_t slots = (size_t)1 << options->table_bits;

    c->files = files;
    c->options = options;
    c->window_len = UINT64_C(1) << options->window_bits;
    c->state_len = sizeof(struct rb_pm) + slots * sizeof(uint16_t);
    c->state = rb_alloc(c->state_len);
    c->saved = rb_alloc(c->state_len);
    c->first = rb_alloc(c->state_len);
    c->model = (struct rb_pm *)(void *)c->state;
    c->model->slots = (uint16_t *)(void *)(c->state + sizeof(struct rb_pm));
    c->model->mask = (uint32_t)slots / RB_PM_BUCKET - 1;
    *out = (struct forge_segments){0};
    code_all(c, tokens, out);
    free(c->state);
    free(c->saved);
    free(c->first);
    free(c);
    return RB_OK;
}

void
forge_segments_free(struct forge_segments *s)
{
    free(s->list);
    free(s->bytes);
    *s = (struct forge_segments){0};
}
