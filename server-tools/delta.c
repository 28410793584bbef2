/* SPDX-License-Identifier: Apache-2.0
 *
 * Payload files: options in, checked payload out.
 */
#include "server-tools/delta.h"

#include "lib/core/payload_model.h"
#include "lib/host/cli.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "server-tools/delta_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FULL_SEGMENT_LEN 65536u /* output of a full payload's segment */
#define FULL_RESTART 4u         /* its segments between restart points: costs 0.5 % of size against none; 1: 3 % */

/* What of an encoding is chosen before it starts. */
struct plan {
    uint32_t coding;
    uint32_t restart_every;
    unsigned window_bits;
    unsigned table_bits;
    unsigned cache_bits;
    unsigned depth;
    unsigned gain;
};

static unsigned
bits_for(uint64_t len, unsigned min, unsigned max)
{
    unsigned bits = min;

    while (bits < max && (UINT64_C(1) << bits) < len) {
        bits++;
    }
    return bits;
}

/* Sizes of the decoder's three buffers: as much as fits for slots, which shrink a payload most, then for the window,
 * then for the cache; no more than the files can use. */
static void
plan_memory(struct plan *p, const struct forge_files *f, uint32_t memory)
{
    uint64_t reach = f->old_len == 0 && f->new_len > FULL_SEGMENT_LEN * FULL_RESTART ? FULL_SEGMENT_LEN * FULL_RESTART
                                                                                     : f->new_len;
    unsigned window_max = bits_for(reach, RB_PM_WINDOW_BITS_MIN, RB_PM_WINDOW_BITS_MAX);
    unsigned table_max = bits_for(f->new_len * 2, RB_PM_TABLE_BITS_MIN, RB_PM_TABLE_BITS_MAX);
    unsigned cache_max = bits_for(f->old_len, RB_PM_CACHE_BITS_MIN, 16);

    p->window_bits = RB_PM_WINDOW_BITS_MIN;
    p->table_bits = RB_PM_TABLE_BITS_MIN;
    p->cache_bits = f->old_len > 0 ? RB_PM_CACHE_BITS_MIN : 0;
    unsigned *const sizes[] = {&p->table_bits, &p->window_bits, &p->cache_bits};
    const unsigned limits[] = {table_max, window_max, f->old_len > 0 ? cache_max : 0};
    for (int i = 0; i < 3; i++) {
        while (*sizes[i] < limits[i]) {
            ++*sizes[i];
            uint32_t need = rb_payload_memory(RB_PAYLOAD_MIXED, p->window_bits, p->table_bits, p->cache_bits);
            if (need == 0 || need > memory) {
                --*sizes[i];
                break;
            }
        }
    }
}

/* ---- container ---- */

struct encoded {
    uint8_t *data;
    size_t len;
    size_t segment_count;
    size_t raw_count; /* segments that are raw */
};

static void
put_header(uint8_t *out, const struct forge_files *f, const struct plan *p, const struct forge_segments *s)
{
    struct rb_writer w = rb_writer_of(out, RB_PAYLOAD_FIXED_LEN + s->count * RB_PAYLOAD_ENTRY_LEN);
    uint8_t digest[RB_SHA256_LEN] = {0};

    rb_write_bytes(&w, "RBP1", 4);
    rb_write_u16(&w, RB_PAYLOAD_VERSION);
    rb_write_u16(&w, 0);
    rb_write_u32(&w, p->coding);
    rb_write_u32(&w, rb_payload_memory(p->coding, p->window_bits, p->table_bits, p->cache_bits));
    rb_write_u64(&w, f->old_len);
    rb_write_u64(&w, f->new_len);
    if (f->old_len > 0) {
        rb_sha256(f->old, f->old_len, digest);
    }
    rb_write_bytes(&w, digest, sizeof digest);
    rb_sha256(f->new, f->new_len, digest);
    rb_write_bytes(&w, digest, sizeof digest);
    rb_write_u32(&w, (uint32_t)s->count);
    rb_write_u32(&w, p->restart_every);
    rb_write_u8(&w, (uint8_t)p->window_bits);
    rb_write_u8(&w, (uint8_t)p->table_bits);
    rb_write_u8(&w, (uint8_t)p->cache_bits);
    rb_write_zeros(&w, RB_PAYLOAD_FIXED_LEN - 107);
    for (size_t i = 0; i < s->count; i++) {
        rb_write_u32(&w, s->list[i].len);
        rb_write_u32(&w, s->list[i].new_len);
        rb_sha256(s->bytes + s->list[i].offset, s->list[i].len, digest);
        rb_write_bytes(&w, digest, sizeof digest);
    }
}

static rb_err
put_payload(const struct forge_files *f, const struct plan *p, const struct forge_segments *s, struct encoded *out)
{
    size_t header_len = RB_PAYLOAD_FIXED_LEN + s->count * RB_PAYLOAD_ENTRY_LEN;

    if (s->count > RB_PAYLOAD_SEGMENT_COUNT_MAX) {
        return rb_fail(RB_ERR_TOO_LARGE, "the payload would have more than %u segments", RB_PAYLOAD_SEGMENT_COUNT_MAX);
    }
    *out = (struct encoded){.data = rb_alloc(header_len + s->bytes_len), .len = header_len + s->bytes_len};
    put_header(out->data, f, p, s);
    memcpy(out->data + header_len, s->bytes, s->bytes_len);
    for (size_t i = 0; i < s->count; i++) {
        out->raw_count += s->list[i].len == s->list[i].new_len;
    }
    out->segment_count = s->count;
    return RB_OK;
}

/* ---- encodings ---- */

static void
show_progress(void *ctx, uint64_t done)
{
    rb_progress_update(ctx, done);
}

/* Every segment raw: nothing to decode, nothing to keep. */
static rb_err
encode_raw(const struct forge_files *f, struct encoded *out)
{
    const struct plan plan = {.coding = RB_PAYLOAD_RAW, .restart_every = 1};
    struct forge_segments s = {0};

    s.count = (f->new_len + FULL_SEGMENT_LEN - 1) / FULL_SEGMENT_LEN;
    s.list = rb_alloc(s.count * sizeof *s.list);
    s.bytes = rb_alloc(f->new_len);
    s.bytes_len = f->new_len;
    memcpy(s.bytes, f->new, f->new_len);
    for (size_t i = 0; i < s.count; i++) {
        size_t at = i * FULL_SEGMENT_LEN;
        uint32_t len = f->new_len - at < FULL_SEGMENT_LEN ? (uint32_t)(f->new_len - at) : FULL_SEGMENT_LEN;
        s.list[i] = (struct forge_segment){.len = len, .new_len = len, .offset = at};
    }
    rb_err err = put_payload(f, &plan, &s, out);
    forge_segments_free(&s);
    return err;
}

static rb_err
encode_mixed(const struct forge_files *f, const struct plan *plan, struct rb_progress *bar, struct encoded *out)
{
    struct forge_index index = {0};
    struct forge_regions regions = {0};
    struct forge_tokens tokens = {0};
    struct forge_segments segments = {0};
    size_t segment = plan->restart_every != 0 ? FULL_SEGMENT_LEN : 0;
    const struct forge_parse_options parse = {
        .window = (size_t)1 << plan->window_bits,
        .restart = segment * plan->restart_every,
        .cut = segment,
        .depth = plan->depth,
    };
    const struct forge_code_options code = {
        .window_bits = plan->window_bits,
        .table_bits = plan->table_bits,
        .restart = segment * plan->restart_every,
        .segment = segment,
        .progress = bar != NULL ? show_progress : NULL,
        .progress_ctx = bar,
    };

    rb_err err = forge_index_make(&index, f->old, f->old_len);
    if (err == RB_OK) {
        err = forge_match(f, &index, plan->gain, &regions);
    }
    if (err == RB_OK) {
        err = forge_parse(f, &index, &regions, &parse, &tokens);
    }
    if (err == RB_OK) {
        err = forge_code(f, &tokens, &code, &segments);
    }
    if (err == RB_OK) {
        err = put_payload(f, plan, &segments, out);
    }
    forge_index_free(&index);
    free(regions.list);
    free(tokens.list);
    forge_segments_free(&segments);
    return err;
}

/* A full payload. What is mostly noise gets a restart point at every segment when that costs next to nothing, so that
 * a device has little to keep; what is all noise is not coded at all. */
static rb_err
encode_full(const struct forge_files *f, struct plan *plan, struct rb_progress *bar, struct encoded *out)
{
    plan->restart_every = FULL_RESTART;
    RB_TRY(encode_mixed(f, plan, bar, out));
    if (out->raw_count * 2 > out->segment_count && out->raw_count < out->segment_count) {
        struct encoded other;
        plan->restart_every = 1;
        rb_err err = encode_mixed(f, plan, NULL, &other);
        if (err == RB_OK && other.len <= out->len + out->len / 1024) {
            free(out->data);
            *out = other;
        } else if (err == RB_OK) {
            free(other.data);
        }
    }
    if (out->raw_count == out->segment_count) {
        free(out->data);
        return encode_raw(f, out);
    }
    return RB_OK;
}

/* A delta. At high effort several ways of matching are tried; which one wins depends on the files. */
static rb_err
encode_delta(const struct forge_files *f, struct plan *plan, int effort, struct rb_progress *bar, struct encoded *out)
{
    static const unsigned gains[] = {11, 8, 15};

    plan->gain = gains[0];
    RB_TRY(encode_mixed(f, plan, bar, out));
    for (int i = 1; i < 3 && effort >= 8; i++) {
        struct encoded other;
        plan->gain = gains[i];
        rb_err err = encode_mixed(f, plan, NULL, &other);
        bool better = err == RB_OK && other.len < out->len;
        if (err != RB_OK) {
            free(out->data);
            return err;
        }
        free(better ? out->data : other.data);
        *out = better ? other : *out;
    }
    return RB_OK;
}

rb_err
forge_payload_encode(const uint8_t *old, size_t old_len, const uint8_t *new, size_t new_len,
                     const struct forge_payload_options *options, uint8_t **out, size_t *out_len)
{
    static const unsigned depths[10] = {0, 4, 8, 16, 24, 32, 64, 128, 256, 1024};
    static const struct forge_payload_options defaults = {0};
    const struct forge_payload_options *o = options != NULL ? options : &defaults;
    const struct forge_files f = {.old = old, .old_len = old_len, .new = new, .new_len = new_len};
    uint32_t memory = o->memory != 0 ? o->memory : FORGE_PAYLOAD_MEMORY_DEFAULT;
    int effort = o->effort != 0 ? o->effort : FORGE_EFFORT_DEFAULT;
    struct plan plan = {.coding = RB_PAYLOAD_MIXED};
    struct encoded e = {0};
    struct rb_progress bar;

    if (memory < FORGE_PAYLOAD_MEMORY_MIN || effort < 1 || effort > 9) {
        return rb_fail(RB_ERR_ARG, "memory is at least %u bytes, effort 1 to 9", FORGE_PAYLOAD_MEMORY_MIN);
    }
    if (new_len == 0) {
        return rb_fail(RB_ERR_ARG, "the new file is empty");
    }
    if (new_len > FORGE_DELTA_FILE_MAX || old_len > FORGE_DELTA_FILE_MAX) {
        return rb_fail(RB_ERR_TOO_LARGE, "files of more than %u MiB cannot be encoded yet",
                       (unsigned)(FORGE_DELTA_FILE_MAX >> 20));
    }
    plan.depth = depths[effort];
    plan_memory(&plan, &f, memory);
    rb_progress_start(&bar, "encoding", new_len);
    struct rb_progress *shown = o->progress ? &bar : NULL;
    rb_err err = old_len == 0 ? encode_full(&f, &plan, shown, &e) : encode_delta(&f, &plan, effort, shown, &e);
    if (o->progress) {
        rb_progress_end(&bar, err == RB_OK);
    }
    if (err == RB_OK) {
        *out = e.data;
        *out_len = e.len;
    }
    return err;
}

/* ---- applying ---- */

struct apply {
    const uint8_t *old;
    size_t old_len;
    uint8_t *new;
    size_t new_len;
    size_t done;
};

static rb_err
apply_read_old(void *ctx, uint64_t offset, uint8_t *out, uint32_t len)
{
    const struct apply *a = ctx;

    if (offset > a->old_len || len > a->old_len - offset) {
        return rb_fail(RB_ERR_INTERNAL, "the decoder read beyond the old file");
    }
    memcpy(out, a->old + offset, len);
    return RB_OK;
}

static rb_err
apply_write_new(void *ctx, uint64_t offset, const uint8_t *data, uint32_t len)
{
    struct apply *a = ctx;

    if (offset != a->done || len > a->new_len - a->done) {
        return rb_fail(RB_ERR_INTERNAL, "the decoder wrote beyond the new file");
    }
    memcpy(a->new + offset, data, len);
    a->done += len;
    return RB_OK;
}

static rb_err
decode_all(const struct rb_payload *p, const uint8_t *payload, size_t payload_len, struct apply *a, void *memory)
{
    const struct rb_payload_io io = {.ctx = a, .read_old = apply_read_old, .write_new = apply_write_new};
    struct rb_payload_decoder *d;
    struct rb_payload_segment s;

    RB_TRY(rb_payload_decoder_init(memory, p->memory, p, &io, 0, 0, &d));
    for (uint32_t i = 0; i < p->segment_count; i++) {
        rb_payload_segment(p, i, i == 0 ? NULL : &s, &s);
        if (s.offset > payload_len || s.len > payload_len - s.offset) {
            return rb_fail(RB_ERR_TRUNCATED, "segment %u of %u is not all there", i + 1, p->segment_count);
        }
        RB_TRY(rb_payload_decode(d, payload + s.offset, s.len));
    }
    if (s.offset + s.len != payload_len) {
        return rb_fail(RB_ERR_PAYLOAD_FIELD, "bytes follow the last segment");
    }
    return RB_OK;
}

static rb_err
parse_payload(const uint8_t *payload, size_t len, struct rb_payload *out)
{
    uint32_t header_len;

    if (len < RB_PAYLOAD_FIXED_LEN) {
        return len < 4 || memcmp(payload, "RBP1", 4) != 0 ? RB_ERR_PAYLOAD_MAGIC : RB_ERR_TRUNCATED;
    }
    RB_TRY(rb_payload_header_len(payload, &header_len));
    return rb_payload_parse(payload, len < header_len ? len : header_len, out);
}

rb_err
forge_payload_decode(const uint8_t *payload, size_t payload_len, const uint8_t *old, size_t old_len,
                     uint32_t memory_limit, uint8_t **new, size_t *new_len)
{
    struct rb_payload p;
    uint8_t digest[RB_SHA256_LEN] = {0};

    RB_TRY(parse_payload(payload, payload_len, &p));
    if (memory_limit != 0 && p.memory > memory_limit) {
        return rb_fail(RB_ERR_PAYLOAD_MEMORY, "it needs %u bytes, %u are allowed", p.memory, memory_limit);
    }
    if (p.new_len > FORGE_DELTA_FILE_MAX) {
        return rb_fail(RB_ERR_TOO_LARGE, "it makes a file of %llu bytes", (unsigned long long)p.new_len);
    }
    if (p.old_len > 0) {
        rb_sha256(old, old_len, digest);
        if (old_len != p.old_len || !rb_equal(digest, p.old_sha256, sizeof digest)) {
            return RB_ERR_PAYLOAD_BASE;
        }
    }
    struct apply a = {.old = old, .old_len = (size_t)p.old_len, .new_len = (size_t)p.new_len};
    void *memory = rb_alloc(p.memory);
    a.new = rb_alloc(a.new_len);
    rb_err err = decode_all(&p, payload, payload_len, &a, memory);
    free(memory);
    if (err == RB_OK) {
        rb_sha256(a.new, a.new_len, digest);
        err = a.done == a.new_len && rb_equal(digest, p.new_sha256, sizeof digest) ? RB_OK : RB_ERR_PAYLOAD_OUTPUT;
    }
    if (err != RB_OK) {
        free(a.new);
        return err;
    }
    *new = a.new;
    *new_len = a.new_len;
    return RB_OK;
}

/* ---- files ---- */

static void
fill_stats(const uint8_t *payload, const struct rb_payload *p, uint64_t payload_len, struct forge_payload_stats *out)
{
    *out = (struct forge_payload_stats){
        .old_len = p->old_len,
        .new_len = p->new_len,
        .payload_len = payload_len,
        .header_len = p->header_len,
        .memory = p->memory,
        .segment_count = p->segment_count,
        .restart_every = p->restart_every,
        .coding = p->coding,
    };
    rb_sha256(payload, p->header_len, out->header_sha256);
    memcpy(out->old_sha256, p->old_sha256, RB_SHA256_LEN);
    memcpy(out->new_sha256, p->new_sha256, RB_SHA256_LEN);
}

rb_err
forge_payload_info(const char *path, struct forge_payload_stats *stats)
{
    uint8_t *payload = NULL;
    size_t len = 0;
    struct rb_payload p;
    rb_err err = rb_file_read(path, FORGE_DELTA_FILE_MAX, &payload, &len);

    if (err == RB_OK) {
        err = parse_payload(payload, len, &p);
    }
    if (err == RB_OK) {
        fill_stats(payload, &p, len, stats);
    }
    free(payload);
    return err;
}

/* Apply what was made and compare: BUILD-05. */
static rb_err
check_payload(const uint8_t *payload, size_t payload_len, const uint8_t *old, size_t old_len, const uint8_t *new,
              size_t new_len)
{
    uint8_t *again = NULL;
    size_t again_len = 0;
    rb_err err = forge_payload_decode(payload, payload_len, old, old_len, 0, &again, &again_len);

    if (err != RB_OK || again_len != new_len || memcmp(again, new, new_len) != 0) {
        err = rb_fail(RB_ERR_INTERNAL, "the payload made does not give the new file back (%s)", rb_err_name(err));
    }
    free(again);
    return err;
}

rb_err
forge_payload_create(const char *old_path, const char *new_path, const struct forge_payload_options *options,
                     const char *out_path, struct forge_payload_stats *stats)
{
    uint8_t *old = NULL;
    uint8_t *new = NULL;
    uint8_t *payload = NULL;
    size_t old_len = 0;
    size_t new_len = 0;
    size_t payload_len = 0;
    struct rb_payload p;
    rb_err err = RB_OK;

    if (old_path != NULL) {
        err = rb_file_read(old_path, FORGE_DELTA_FILE_MAX, &old, &old_len);
    }
    if (err == RB_OK) {
        err = rb_file_read(new_path, FORGE_DELTA_FILE_MAX, &new, &new_len);
    }
    if (err == RB_OK) {
        err = forge_payload_encode(old, old_len, new, new_len, options, &payload, &payload_len);
    }
    if (err == RB_OK) {
        err = check_payload(payload, payload_len, old, old_len, new, new_len);
    }
    if (err == RB_OK) {
        err = parse_payload(payload, payload_len, &p);
    }
    if (err == RB_OK) {
        err = rb_file_replace(out_path, payload, payload_len, 0644);
    }
    if (err == RB_OK && stats != NULL) {
        fill_stats(payload, &p, payload_len, stats);
    }
    free(old);
    free(new);
    free(payload);
    return err;
}

rb_err
forge_bsdiff_create(const char *old_path, const char *new_path, const char *out_path, uint64_t *patch_len)
{
    uint8_t *files[4] = {0}; /* old, new, patch, new again */
    size_t lens[4] = {0};
    rb_err err = rb_file_read(old_path, FORGE_DELTA_FILE_MAX, &files[0], &lens[0]);

    if (err == RB_OK) {
        err = rb_file_read(new_path, FORGE_DELTA_FILE_MAX, &files[1], &lens[1]);
    }
    if (err == RB_OK) {
        err = forge_bsdiff_encode(files[0], lens[0], files[1], lens[1], &files[2], &lens[2]);
    }
    if (err == RB_OK) {
        err = forge_bsdiff_decode(files[2], lens[2], files[0], lens[0], &files[3], &lens[3]);
        if (err != RB_OK || lens[3] != lens[1] || memcmp(files[3], files[1], lens[1]) != 0) {
            err = rb_fail(RB_ERR_INTERNAL, "the patch made does not give the new file back (%s)", rb_err_name(err));
        }
    }
    if (err == RB_OK) {
        err = rb_file_replace(out_path, files[2], lens[2], 0644);
    }
    if (err == RB_OK) {
        *patch_len = lens[2];
    }
    for (int i = 0; i < 4; i++) {
        free(files[i]);
    }
    return err;
}

rb_err
forge_payload_apply(const char *old_path, const char *payload_path, const char *out_path)
{
    uint8_t *old = NULL;
    uint8_t *payload = NULL;
    uint8_t *new = NULL;
    size_t old_len = 0;
    size_t payload_len = 0;
    size_t new_len = 0;
    rb_err err = rb_file_read(payload_path, FORGE_DELTA_FILE_MAX, &payload, &payload_len);

    if (err == RB_OK && old_path != NULL) {
        err = rb_file_read(old_path, FORGE_DELTA_FILE_MAX, &old, &old_len);
    }
    if (err == RB_OK) {
        err = forge_bsdiff_is(payload, payload_len)
                  ? forge_bsdiff_decode(payload, payload_len, old, old_len, &new, &new_len)
                  : forge_payload_decode(payload, payload_len, old, old_len, 0, &new, &new_len);
    }
    if (err == RB_OK) {
        err = rb_file_replace(out_path, new, new_len, 0644);
    }
    free(old);
    free(payload);
    free(new);
    return err;
}
