/* SPDX-License-Identifier: Apache-2.0
 *
 * Classic BSDIFF40 patches: what bsdiff(1) writes and bspatch(1) reads.
 *
 *   offset  0           8         16        24       32
 *           "BSDIFF40"  ctrl_len  diff_len  new_len  bzip2 of controls, of differences, of extra bytes
 *
 * A control is three numbers: bytes to add to old, extra bytes, and where to seek in old from there. Numbers are 8
 * bytes, little-endian, sign and magnitude. bspatch trusted them (CVE-2014-9862, FreeBSD-SA-16:25, SA-16:29); here
 * each is compared with what is left before it is used, and no more controls than new bytes may make nothing (bsdiff
 * writes a few such).
 */
#include "server-tools/delta.h"

#include "lib/core/bytes.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "server-tools/delta_internal.h"

#include <bzlib.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_LEN 32u
#define CONTROL_LEN 24u
#define SIGN (UINT64_C(1) << 63)

bool
forge_bsdiff_is(const uint8_t *patch, size_t len)
{
    return len >= 8 && memcmp(patch, "BSDIFF40", 8) == 0;
}

/* ---- writing ---- */

struct buffer {
    uint8_t *data;
    size_t len;
    size_t room;
};

static uint8_t *
extend(struct buffer *b, size_t len)
{
    if (b->room - b->len < len) {
        b->room = (b->len + len) * 2;
        b->data = rb_realloc(b->data, b->room);
    }
    b->len += len;
    return b->data + b->len - len;
}

static void
put_number(struct rb_writer *w, int64_t v)
{
    rb_write_u64(w, v < 0 ? SIGN | (uint64_t)-v : (uint64_t)v);
}

static void
put_control(struct buffer *b, uint64_t add, uint64_t extra, int64_t seek)
{
    struct rb_writer w = rb_writer_of(extend(b, CONTROL_LEN), CONTROL_LEN);

    put_number(&w, (int64_t)add);
    put_number(&w, (int64_t)extra);
    put_number(&w, seek);
}

/* Regions of new that are like old become controls and differences, the rest extra bytes. */
static void
make_streams(const struct forge_files *f, const struct forge_regions *r, struct buffer *control, struct buffer *diff,
             struct buffer *extra)
{
    size_t new_at = 0;
    size_t old_at = 0;

    for (size_t i = 0; i <= r->count; i++) {
        /* The bytes before region i belong to the control of region i - 1. */
        size_t next = i < r->count ? r->list[i].new_at : f->new_len;
        size_t next_old = i < r->count ? r->list[i].old_at : old_at;
        size_t add = i > 0 ? r->list[i - 1].len : 0;
        rb_copy(extend(extra, next - new_at), f->new + new_at, next - new_at);
        if (i > 0 || next > 0 || next_old != 0) {
            put_control(control, add, next - new_at, (int64_t)(next_old - old_at));
        }
        if (i < r->count) {
            uint8_t *d = extend(diff, r->list[i].len);
            for (size_t j = 0; j < r->list[i].len; j++) {
                d[j] = (uint8_t)(f->new[next + j] - f->old[next_old + j]);
            }
            new_at = next + r->list[i].len;
            old_at = next_old + r->list[i].len;
        }
    }
}

/* bzip2 of `b` behind what is in `out`; *len: how many bytes that took. */
static rb_err
compress(struct buffer *out, const struct buffer *b, size_t *len)
{
    static uint8_t empty[1];
    size_t room = b->len + b->len / 100 + 600;

    if (room > UINT32_MAX) {
        return RB_ERR_TOO_LARGE;
    }
    unsigned packed = (unsigned)room;
    uint8_t *to = extend(out, room);
    int status = BZ2_bzBuffToBuffCompress((char *)to, &packed, (char *)(b->data != NULL ? b->data : empty),
                                          (unsigned)b->len, 9, 0, 0);
    if (status != BZ_OK) {
        return rb_fail(RB_ERR_INTERNAL, "bzip2 gave %d", status);
    }
    out->len -= room - packed;
    *len = packed;
    return RB_OK;
}

rb_err
forge_bsdiff_encode(const uint8_t *old, size_t old_len, const uint8_t *new, size_t new_len, uint8_t **out,
                    size_t *out_len)
{
    const struct forge_files f = {.old = old, .old_len = old_len, .new = new, .new_len = new_len};
    struct forge_index index = {0};
    struct forge_regions regions = {0};
    struct buffer streams[3] = {{0}};
    struct buffer patch = {0};
    size_t lens[3];

    rb_err err = forge_index_make(&index, old, old_len);
    if (err == RB_OK) {
        err = forge_match(&f, &index, 8, &regions);
    }
    if (err == RB_OK) {
        make_streams(&f, &regions, &streams[0], &streams[1], &streams[2]);
        (void)extend(&patch, HEADER_LEN);
    }
    for (int i = 0; i < 3 && err == RB_OK; i++) {
        err = compress(&patch, &streams[i], &lens[i]);
    }
    if (err == RB_OK) {
        struct rb_writer w = rb_writer_of(patch.data, HEADER_LEN);
        rb_write_bytes(&w, "BSDIFF40", 8);
        put_number(&w, (int64_t)lens[0]);
        put_number(&w, (int64_t)lens[1]);
        put_number(&w, (int64_t)new_len);
        *out = patch.data;
        *out_len = patch.len;
        patch.data = NULL;
    }
    for (int i = 0; i < 3; i++) {
        free(streams[i].data);
    }
    free(patch.data);
    free(regions.list);
    forge_index_free(&index);
    return err;
}

/* ---- reading ---- */

struct stream {
    bz_stream bz;
    bool open;
    bool ended;
};

static rb_err
open_stream(struct stream *s, const uint8_t *data, size_t len)
{
    static char none[1];
    char *in = none;

    /* bzlib asks for a pointer to bytes it will not change. */
    if (len > 0) {
        memcpy(&in, &data, sizeof in);
    }
    s->bz.next_in = in;
    s->bz.avail_in = (unsigned)len;
    if (BZ2_bzDecompressInit(&s->bz, 0, 0) != BZ_OK) {
        return RB_ERR_NO_MEMORY;
    }
    s->open = true;
    return RB_OK;
}

/* Exactly `len` bytes. */
static rb_err
take(struct stream *s, uint8_t *out, size_t len)
{
    s->bz.next_out = (char *)out;
    s->bz.avail_out = (unsigned)len;
    while (s->bz.avail_out > 0) {
        unsigned before_in = s->bz.avail_in;
        unsigned before_out = s->bz.avail_out;
        int status = s->ended ? BZ_STREAM_END : BZ2_bzDecompress(&s->bz);
        s->ended = status == BZ_STREAM_END;
        bool stuck = s->bz.avail_in == before_in && s->bz.avail_out == before_out;
        if ((status != BZ_OK && status != BZ_STREAM_END) || (s->bz.avail_out > 0 && (s->ended || stuck))) {
            return RB_ERR_PAYLOAD_STREAM;
        }
    }
    return RB_OK;
}

/* Nothing is left in the stream. */
static bool
is_over(struct stream *s)
{
    uint8_t byte;

    return take(s, &byte, 1) == RB_ERR_PAYLOAD_STREAM && s->ended && s->bz.avail_in == 0;
}

struct control {
    uint64_t add;
    uint64_t extra;
    int64_t seek;
};

static rb_err
take_control(struct stream *s, struct control *out)
{
    uint8_t raw[CONTROL_LEN];

    RB_TRY(take(s, raw, sizeof raw));
    struct rb_reader r = rb_reader_of(raw, sizeof raw);
    out->add = rb_read_u64(&r);
    out->extra = rb_read_u64(&r);
    uint64_t seek = rb_read_u64(&r);
    out->seek = (seek & SIGN) != 0 ? -(int64_t)(seek & ~SIGN) : (int64_t)seek;
    /* A set sign bit makes the first two larger than anything left, which the caller refuses. */
    return RB_OK;
}

struct patch {
    struct stream control;
    struct stream diff;
    struct stream extra;
    const uint8_t *old;
    uint64_t old_len;
    uint8_t *new;
    uint64_t new_len;
};

/* One control: *old_at and *made go on. */
static rb_err
apply_control(struct patch *p, const struct control *c, uint64_t *old_at, uint64_t *made)
{
    uint64_t room = p->new_len - *made;

    if (c->add > room || c->extra > room - c->add || c->add > p->old_len - *old_at) {
        return RB_ERR_PAYLOAD_STREAM;
    }
    RB_TRY(take(&p->diff, p->new + *made, (size_t)c->add));
    for (uint64_t i = 0; i < c->add; i++) {
        p->new[*made + i] = (uint8_t)(p->new[*made + i] + p->old[*old_at + i]);
    }
    *made += c->add;
    *old_at += c->add;
    RB_TRY(take(&p->extra, p->new + *made, (size_t)c->extra));
    *made += c->extra;
    bool back = c->seek < 0;
    uint64_t far = back ? (uint64_t)-c->seek : (uint64_t)c->seek;
    if (far > (back ? *old_at : p->old_len - *old_at)) {
        return RB_ERR_PAYLOAD_STREAM;
    }
    *old_at = back ? *old_at - far : *old_at + far;
    return RB_OK;
}

static rb_err
apply_all(struct patch *p)
{
    uint64_t old_at = 0;
    uint64_t made = 0;
    uint64_t idle = 0; /* controls that made nothing */

    while (made < p->new_len) {
        struct control c;
        RB_TRY(take_control(&p->control, &c));
        idle += c.add == 0 && c.extra == 0;
        if (idle > p->new_len) {
            return rb_fail(RB_ERR_PAYLOAD_STREAM, "controls that make nothing");
        }
        RB_TRY(apply_control(p, &c, &old_at, &made));
    }
    if (!is_over(&p->control) || !is_over(&p->diff) || !is_over(&p->extra)) {
        return rb_fail(RB_ERR_PAYLOAD_STREAM, "bytes are left when the new file is complete");
    }
    return RB_OK;
}

static rb_err
open_patch(struct patch *p, const uint8_t *patch, size_t len)
{
    struct rb_reader r = rb_reader_of(patch, len);
    const uint8_t *magic = rb_read_bytes(&r, 8);
    uint64_t control_len = rb_read_u64(&r);
    uint64_t diff_len = rb_read_u64(&r);

    p->new_len = rb_read_u64(&r);
    if (r.bad) {
        return RB_ERR_TRUNCATED;
    }
    if (memcmp(magic, "BSDIFF40", 8) != 0) {
        return RB_ERR_PAYLOAD_MAGIC;
    }
    if (control_len > r.left || diff_len > r.left - control_len) {
        return RB_ERR_PAYLOAD_FIELD;
    }
    if (p->new_len > FORGE_DELTA_FILE_MAX || len > FORGE_DELTA_FILE_MAX) {
        return RB_ERR_TOO_LARGE;
    }
    RB_TRY(open_stream(&p->control, r.at, (size_t)control_len));
    RB_TRY(open_stream(&p->diff, r.at + control_len, (size_t)diff_len));
    return open_stream(&p->extra, r.at + control_len + diff_len, r.left - (size_t)(control_len + diff_len));
}

static void
close_stream(struct stream *s)
{
    if (s->open) {
        (void)BZ2_bzDecompressEnd(&s->bz);
    }
}

rb_err
forge_bsdiff_decode(const uint8_t *patch, size_t patch_len, const uint8_t *old, size_t old_len, uint8_t **new,
                    size_t *new_len)
{
    struct patch p = {.old = old, .old_len = old_len};

    rb_err err = open_patch(&p, patch, patch_len);
    if (err == RB_OK) {
        p.new = rb_alloc((size_t)p.new_len);
        err = apply_all(&p);
    }
    close_stream(&p.control);
    close_stream(&p.diff);
    close_stream(&p.extra);
    if (err != RB_OK) {
        free(p.new);
        return err;
    }
    *new = p.new;
    *new_len = (size_t)p.new_len;
    return RB_OK;
}
