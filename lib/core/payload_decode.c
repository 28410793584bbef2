/* SPDX-License-Identifier: Apache-2.0
 *
 * The payload decoder. docs/format.md 4.3 (segments) and 4.4 (coding MIXED).
 *
 * The caller's memory, in this order: decoder, model, slots, cache of old, window. The window is a ring of the newest
 * output; its newest part, not yet handed to write_new, is the output buffer too.
 *
 * What comes from the segment is trusted in nothing but that its maker knew its hash: every length is compared with
 * what is left, every offset with its range, by subtraction; every token makes at least one byte; reading past the
 * end of the segment is an error.
 */
#include "lib/core/payload.h"

#include "lib/core/payload_model.h"

#define LINE_BITS 12u
#define LINE_LEN (1u << LINE_BITS)
#define LINES_MAX (1u << (RB_PM_CACHE_BITS_MAX - LINE_BITS))
#define AROUND 4u      /* old bytes before and after one byte that its contexts look at */
#define STAGE_LEN 256u /* old bytes looked at together */
#define RUN_LEN_MAX 16384u
#define OVERREAD_MAX 4u /* the coder reads ahead; an encoder may leave out as many zero bytes */

struct rb_payload_decoder {
    const struct rb_payload *payload;
    struct rb_payload_io io;
    struct rb_payload_segment segment; /* the next one */
    uint32_t index;                    /* of the next segment */
    uint32_t run_len;                  /* output is handed on when it reaches a multiple of this */
    rb_err failed;

    uint64_t made;     /* output so far, as an offset in the new file */
    uint64_t written;  /* of it handed to write_new */
    uint64_t started;  /* the restart point: nothing before it is in the window */
    uint64_t end;      /* output offset where the segment ends */

    /* range decoder */
    const uint8_t *in;
    uint32_t in_left;
    uint32_t overread;
    uint32_t range;
    uint32_t code;

    struct rb_pm *model; /* NULL for coding RAW */
    uint8_t *window;
    uint32_t window_mask;
    uint8_t *cache;
    uint32_t line_mask;
    uint64_t staged_at; /* old offset of stage[AROUND]; UINT64_MAX: nothing staged */
    uint8_t stage[AROUND + STAGE_LEN + AROUND];
    uint64_t lines[LINES_MAX]; /* which line of old each cache line holds, plus one; 0: none */
};
_Static_assert(sizeof(struct rb_payload_decoder) <= RB_PM_RAW_MEMORY, "docs/format.md 4.1: memory of coding RAW");

/* ---- old, through the cache ---- */

/* The cache line that holds old offset `at`, which is below old_len. */
static rb_err
old_line(struct rb_payload_decoder *d, uint64_t at, const uint8_t **out)
{
    uint64_t line = at >> LINE_BITS;
    uint32_t place = (uint32_t)line & d->line_mask;
    uint8_t *data = d->cache + (size_t)place * LINE_LEN;

    if (d->lines[place] != line + 1) {
        uint64_t left = d->payload->old_len - (line << LINE_BITS);
        d->lines[place] = 0;
        RB_TRY(d->io.read_old(d->io.ctx, line << LINE_BITS, data, left < LINE_LEN ? (uint32_t)left : LINE_LEN));
        d->lines[place] = line + 1;
    }
    *out = data;
    return RB_OK;
}

/* One old byte; zero outside the file, for contexts. */
static rb_err
old_byte(struct rb_payload_decoder *d, uint64_t at, uint8_t *out)
{
    const uint8_t *line;

    *out = 0;
    if (at < d->payload->old_len) {
        RB_TRY(old_line(d, at, &line));
        *out = line[at & (LINE_LEN - 1)];
    }
    return RB_OK;
}

/* Make o[-AROUND] .. o[AROUND] readable for old offset `at`. */
static rb_err
old_around(struct rb_payload_decoder *d, uint64_t at, const uint8_t **o)
{
    if (at < d->staged_at || at - d->staged_at >= STAGE_LEN) {
        uint64_t from = at - AROUND; /* wraps below 0: outside the file, so zero */
        d->staged_at = UINT64_MAX;
        for (uint32_t i = 0; i < sizeof d->stage;) {
            const uint8_t *line;
            uint64_t offset = from + i;
            if (offset >= d->payload->old_len) {
                d->stage[i++] = 0;
                continue;
            }
            RB_TRY(old_line(d, offset, &line));
            uint32_t inside = (uint32_t)(offset & (LINE_LEN - 1));
            uint32_t len = (uint32_t)sizeof d->stage - i;
            len = len < LINE_LEN - inside ? len : LINE_LEN - inside;
            len = len < d->payload->old_len - offset ? len : (uint32_t)(d->payload->old_len - offset);
            rb_copy(d->stage + i, line + inside, len);
            i += len;
        }
        d->staged_at = at;
    }
    *o = d->stage + AROUND + (at - d->staged_at);
    return RB_OK;
}

/* ---- new, through the window ---- */

static rb_err
hand_on(struct rb_payload_decoder *d)
{
    uint32_t len = (uint32_t)(d->made - d->written);

    if (len > 0) {
        RB_TRY(d->io.write_new(d->io.ctx, d->written, d->window + (d->written & d->window_mask), len));
        d->written = d->made;
    }
    return RB_OK;
}

/* Room in the window for at most `want` further bytes in one piece, at *at. */
static uint32_t
room(struct rb_payload_decoder *d, uint64_t want, uint8_t **at)
{
    uint32_t len = d->run_len - ((uint32_t)d->made & (d->run_len - 1));

    *at = d->window + (d->made & d->window_mask);
    return want < len ? (uint32_t)want : len;
}

/* `len` bytes lie at the place room() gave. */
static rb_err
made(struct rb_payload_decoder *d, uint32_t len)
{
    d->made += len;
    return (d->made & (d->run_len - 1)) == 0 ? hand_on(d) : RB_OK;
}

static rb_err
make_byte(struct rb_payload_decoder *d, uint8_t byte)
{
    d->window[d->made & d->window_mask] = byte;
    d->model->recent = d->model->recent << 8 | byte;
    return made(d, 1);
}

/* Contexts see the newest bytes; after bytes were made in bulk, take them from the window. */
static void
remember(struct rb_payload_decoder *d)
{
    uint64_t have = d->made - d->started;

    d->model->recent = 0;
    for (uint64_t back = have < 8 ? have : 8; back > 0; back--) {
        d->model->recent = d->model->recent << 8 | d->window[(d->made - back) & d->window_mask];
    }
}

static rb_err
make_bytes(struct rb_payload_decoder *d, const uint8_t *from, uint32_t len)
{
    while (len > 0) {
        uint8_t *to;
        uint32_t piece = room(d, len, &to);
        rb_copy(to, from, piece);
        RB_TRY(made(d, piece));
        from += piece;
        len -= piece;
    }
    remember(d);
    return RB_OK;
}

/* ---- range decoder ---- */

static uint8_t
next_byte(struct rb_payload_decoder *d)
{
    if (d->in_left == 0) {
        d->overread++;
        return 0;
    }
    d->in_left--;
    return *d->in++;
}

/* One bit whose probability of being 1 is p / 65536. */
static inline unsigned
decode_bit(struct rb_payload_decoder *d, uint32_t p)
{
    uint32_t bound = (d->range >> 16) * p;
    unsigned bit = d->code < bound;

    if (bit) {
        d->range = bound;
    } else {
        d->code -= bound;
        d->range -= bound;
    }
    while (d->range < 1u << 24) {
        d->range <<= 8;
        d->code = d->code << 8 | next_byte(d);
    }
    return bit;
}

static unsigned
plain_bit(struct rb_payload_decoder *d, uint16_t *slot)
{
    unsigned bit = decode_bit(d, rb_pm_plain(slot));

    rb_pm_learn(slot, bit);
    return bit;
}

static inline unsigned
mixed_bit(struct rb_payload_decoder *d, unsigned place, unsigned set)
{
    struct rb_pm_event e;

    rb_pm_mix(d->model, place, set, &e);
    unsigned bit = decode_bit(d, e.p);
    rb_pm_mixed(&e, bit);
    return bit;
}

static uint32_t
plain_tree(struct rb_payload_decoder *d, uint16_t *slots, unsigned bits)
{
    uint32_t node = 1;

    for (unsigned i = 0; i < bits; i++) {
        node = node << 1 | plain_bit(d, &slots[node]);
    }
    return node - (1u << bits);
}

/* docs/format.md 4.4.3 */
static rb_err
number(struct rb_payload_decoder *d, unsigned kind, uint64_t *out)
{
    struct rb_pm_number *n = &d->model->numbers[kind];
    unsigned width = plain_tree(d, n->width, 6);
    uint64_t v = 1;
    uint32_t low = 1;

    if (width > RB_PM_NUMBER_BITS) {
        return RB_ERR_PAYLOAD_STREAM;
    }
    for (unsigned left = width; left > 0; left--) {
        unsigned bit;
        if (width - left < 2) {
            bit = plain_bit(d, &n->high[width][width == left ? 1 : 2 | (v & 1)]);
        } else if (left <= 2) {
            bit = plain_bit(d, &n->low[low]);
            low = low << 1 | bit;
        } else {
            bit = decode_bit(d, 32768);
        }
        v = v << 1 | bit;
    }
    *out = v - 1;
    return RB_OK;
}

/* ---- tokens ---- */

static rb_err
literal(struct rb_payload_decoder *d)
{
    struct rb_pm *m = d->model;
    uint32_t node = 1;
    uint8_t like;
    uint8_t rep = 0;

    RB_TRY(old_byte(d, (uint64_t)((int64_t)d->made + m->shift[0]), &like));
    if (m->reps[0] <= d->made - d->started && m->reps[0] <= (uint64_t)d->window_mask + 1) {
        rep = d->window[(d->made - m->reps[0]) & d->window_mask];
    }
    rb_pm_literal_contexts(m, d->made, like, rep);
    for (unsigned i = 0; i < 8; i++) {
        node = node << 1 | mixed_bit(d, rb_pm_byte_place(m, node, i), rb_pm_literal_set(m, i));
    }
    rb_pm_token(m, RB_PM_LITERAL);
    return make_byte(d, (uint8_t)node);
}

static rb_err
match_distance(struct rb_payload_decoder *d, bool is_rep, uint64_t len, uint64_t *distance)
{
    struct rb_pm *m = d->model;
    unsigned which = RB_PM_REPS - 1;

    if (is_rep) {
        which = plain_tree(d, m->rep, 2);
        *distance = m->reps[which];
    } else {
        RB_TRY(number(d, RB_PM_DISTANCE + (unsigned)(len < 5 ? len - 2 : 3), distance));
        *distance += 1;
    }
    for (; which > 0; which--) {
        m->reps[which] = m->reps[which - 1];
    }
    m->reps[0] = *distance;
    return RB_OK;
}

static rb_err
match(struct rb_payload_decoder *d)
{
    struct rb_pm *m = d->model;
    bool is_rep = plain_bit(d, &m->is_rep[m->kinds % 3]);
    uint64_t len;
    uint64_t distance;

    rb_pm_token(m, RB_PM_MATCH);
    RB_TRY(number(d, is_rep ? RB_PM_REP_LEN : RB_PM_MATCH_LEN, &len));
    len += is_rep ? 1 : 2;
    RB_TRY(match_distance(d, is_rep, len, &distance));
    if (len > d->end - d->made || distance > d->made - d->started || distance > (uint64_t)d->window_mask + 1) {
        return RB_ERR_PAYLOAD_STREAM;
    }
    while (len > 0) {
        uint8_t *to;
        uint32_t piece = room(d, len, &to);
        uint32_t from = (uint32_t)(d->made - distance) & d->window_mask;
        piece = piece < d->window_mask + 1 - from ? piece : d->window_mask + 1 - from;
        piece = piece < distance ? piece : (uint32_t)distance;
        __builtin_memmove(to, d->window + from, piece);
        RB_TRY(made(d, piece));
        len -= piece;
    }
    remember(d);
    return RB_OK;
}

/* Where a copy reads, and that all of it lies in the old file. */
static rb_err
copy_source(struct rb_payload_decoder *d, uint64_t len, uint64_t *at)
{
    struct rb_pm *m = d->model;
    uint64_t seek;

    switch (plain_tree(d, m->from[m->kinds], 2)) {
    case RB_PM_FROM_SHIFT0:
        *at = (uint64_t)((int64_t)d->made + m->shift[0]);
        break;
    case RB_PM_FROM_END:
        *at = m->copy_end;
        break;
    case RB_PM_FROM_SHIFT1:
        *at = (uint64_t)((int64_t)d->made + m->shift[1]);
        break;
    default:
        if (plain_bit(d, &m->sign)) {
            RB_TRY(number(d, RB_PM_SEEK, &seek));
            *at = m->copy_end - 1 - seek;
        } else {
            RB_TRY(number(d, RB_PM_SEEK, &seek));
            *at = m->copy_end + 1 + seek;
        }
    }
    /* An offset below zero wrapped to far above old_len, which parse bounds to 2^40. */
    if (*at > d->payload->old_len || len > d->payload->old_len - *at) {
        return RB_ERR_PAYLOAD_STREAM;
    }
    return RB_OK;
}

/* A run: all of the next `len` bytes equal old. */
static rb_err
copy_run(struct rb_payload_decoder *d, uint64_t at, uint32_t len)
{
    uint32_t done = 0;

    while (done < len) {
        const uint8_t *line;
        RB_TRY(old_line(d, at + done, &line));
        uint32_t inside = (uint32_t)(at + done) & (LINE_LEN - 1);
        uint32_t piece = len - done < LINE_LEN - inside ? len - done : LINE_LEN - inside;
        RB_TRY(make_bytes(d, line + inside, piece));
        done += piece;
    }
    rb_pm_copied_run(d->model, len);
    return RB_OK;
}

static rb_err
copy_byte(struct rb_payload_decoder *d, uint64_t at)
{
    struct rb_pm *m = d->model;
    const uint8_t *o;
    uint32_t node = 1;

    RB_TRY(old_around(d, at, &o));
    rb_pm_equal_contexts(m, o, at);
    if (mixed_bit(d, rb_pm_equal_place(m, at), rb_pm_equal_set(m, at))) {
        rb_pm_copied(m, at, 0);
        return make_byte(d, o[0]);
    }
    rb_pm_diff_contexts(m, o, at);
    for (unsigned i = 0; i < 8; i++) {
        node = node << 1 | mixed_bit(d, rb_pm_byte_place(m, node, i), rb_pm_diff_set(at, i));
    }
    rb_pm_copied(m, at, (uint8_t)node);
    return make_byte(d, (uint8_t)(o[0] + node));
}

/* docs/format.md 4.4.5. Where all is calm, a run of 2^level equal bytes is one event, and level rises; where a run
 * failed it falls, and below the shortest run single bytes are coded until all is calm again. */
static rb_err
copy(struct rb_payload_decoder *d)
{
    struct rb_pm *m = d->model;
    unsigned level = RB_PM_RUN_MIN;
    uint32_t calm = RB_PM_CALM; /* equal bytes since one differed */
    uint32_t good = 0;          /* runs in a row that held */
    uint64_t len;
    uint64_t at;

    RB_TRY(number(d, RB_PM_COPY_LEN, &len));
    len += 1;
    if (len > d->end - d->made) {
        return RB_ERR_PAYLOAD_STREAM;
    }
    RB_TRY(copy_source(d, len, &at));
    rb_pm_token(m, RB_PM_COPY);
    if ((int64_t)(at - d->made) != m->shift[0]) {
        m->shift[1] = m->shift[0];
        m->shift[0] = (int64_t)(at - d->made);
    }
    m->copy_end = at + len;
    while (len > 0) {
        if (d->overread > OVERREAD_MAX) {
            return RB_ERR_PAYLOAD_STREAM;
        }
        if (calm < RB_PM_CALM) {
            RB_TRY(copy_byte(d, at));
            calm = (m->hits & 1) ? calm + 1 : 0;
            at++;
            len--;
        } else if (plain_bit(d, &m->run[level][good])) {
            uint32_t run = len < 1u << level ? (uint32_t)len : 1u << level;
            RB_TRY(copy_run(d, at, run));
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
    return RB_OK;
}

static rb_err
token(struct rb_payload_decoder *d)
{
    uint16_t *kind = d->model->kind[d->model->kinds];

    if (!plain_bit(d, &kind[0])) {
        return literal(d);
    }
    return plain_bit(d, &kind[1]) ? copy(d) : match(d);
}

/* ---- segments ---- */

static rb_err
decode_coded(struct rb_payload_decoder *d, const uint8_t *segment, uint32_t len)
{
    d->in = segment;
    d->in_left = len;
    d->overread = 0;
    d->range = UINT32_MAX;
    d->code = 0;
    for (int i = 0; i < 4; i++) {
        d->code = d->code << 8 | next_byte(d);
    }
    while (d->made < d->end) {
        RB_TRY(token(d));
        if (d->overread > OVERREAD_MAX) {
            return RB_ERR_PAYLOAD_STREAM;
        }
    }
    return d->in_left == 0 ? RB_OK : RB_ERR_PAYLOAD_STREAM;
}

static rb_err
decode_raw(struct rb_payload_decoder *d, const uint8_t *segment, uint32_t len)
{
    if (d->model == NULL) {
        d->made += len;
        d->written = d->made;
        return d->io.write_new(d->io.ctx, d->made - len, segment, len);
    }
    return make_bytes(d, segment, len);
}

static rb_err
decode_segment(struct rb_payload_decoder *d, const uint8_t *segment, uint32_t len)
{
    d->end = d->made + d->segment.new_len;
    if (d->model != NULL && rb_payload_is_restart(d->payload, d->index)) {
        rb_pm_reset(d->model);
        d->started = d->made;
    }
    if (len == d->segment.new_len) {
        RB_TRY(decode_raw(d, segment, len));
    } else {
        RB_TRY(decode_coded(d, segment, len));
    }
    return d->model != NULL ? hand_on(d) : RB_OK;
}

rb_err
rb_payload_decode(struct rb_payload_decoder *d, const uint8_t *segment, uint32_t len)
{
    uint8_t digest[RB_SHA256_LEN];

    if (d->failed != RB_OK) {
        return d->failed;
    }
    if (d->index >= d->payload->segment_count) {
        return RB_ERR_ARG;
    }
    if (len != d->segment.len) {
        return RB_ERR_PAYLOAD_SEGMENT;
    }
    rb_sha256(segment, len, digest);
    if (!rb_equal(digest, d->segment.sha256, RB_SHA256_LEN)) {
        return RB_ERR_PAYLOAD_SEGMENT;
    }
    d->failed = decode_segment(d, segment, len);
    RB_TRY(d->failed);
    d->index++;
    if (d->index < d->payload->segment_count) {
        rb_payload_segment(d->payload, d->index, &d->segment, &d->segment);
    }
    return RB_OK;
}

static void
lay_out(struct rb_payload_decoder *d, uint8_t *memory)
{
    const struct rb_payload *p = d->payload;
    uint32_t window_len = 1u << p->window_bits;

    d->model = (struct rb_pm *)(void *)(memory + RB_PM_RAW_MEMORY);
    d->model->slots = (uint16_t *)(void *)(memory + RB_PM_FIXED_MEMORY);
    d->model->mask = (1u << p->table_bits) / RB_PM_BUCKET - 1;
    d->cache = memory + RB_PM_FIXED_MEMORY + (2u << p->table_bits);
    d->line_mask = p->cache_bits != 0 ? (1u << (p->cache_bits - LINE_BITS)) - 1 : 0;
    d->window = d->cache + (p->cache_bits != 0 ? 1u << p->cache_bits : 0);
    d->window_mask = window_len - 1;
    d->run_len = window_len / 4 < LINE_LEN ? LINE_LEN : window_len / 4 > RUN_LEN_MAX ? RUN_LEN_MAX : window_len / 4;
}

rb_err
rb_payload_decoder_init(void *memory, size_t memory_len, const struct rb_payload *payload,
                        const struct rb_payload_io *io, uint32_t first, uint64_t new_offset,
                        struct rb_payload_decoder **out)
{
    struct rb_payload_decoder *d = memory;

    if (payload->memory > memory_len || payload->memory < RB_PM_RAW_MEMORY
        || payload->memory
               != rb_payload_memory(payload->coding, payload->window_bits, payload->table_bits, payload->cache_bits)) {
        return RB_ERR_PAYLOAD_MEMORY;
    }
    if ((uintptr_t)memory % 8 != 0 || first >= payload->segment_count || !rb_payload_is_restart(payload, first)) {
        return RB_ERR_ARG;
    }
    rb_fill(d, 0, sizeof *d);
    d->payload = payload;
    d->io = *io;
    d->index = first;
    rb_payload_segment(payload, first, NULL, &d->segment);
    d->segment.new_offset = new_offset;
    d->made = new_offset;
    d->written = new_offset;
    d->started = new_offset;
    d->staged_at = UINT64_MAX;
    if (payload->coding == RB_PAYLOAD_MIXED) {
        lay_out(d, memory);
    }
    *out = d;
    return RB_OK;
}
