/* SPDX-License-Identifier: Apache-2.0
 *
 *   server ──body──▶ segment buffer ──hash──▶ decoder ──compact form──▶ image stream ──▶ writer ──▶ flash
 *                 └▶ spool file                  ▲ old: active slot          ▲ read back
 *
 * The spool holds the payload from a restart point on. It moves on to a later restart point only when the slot holds
 * everything before it in whole sectors and the flash has been synced. So after any cut decoding starts again at the
 * spool's first segment, from the spool and then from the network. Output up to the sector boundary behind that restart
 * point is in the slot and is dropped; what comes after it is compared with the slot by the writer and written from the
 * first difference on.
 */
#include "ota/stage.h"

#include "lib/core/payload.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "ota/fetch.h"
#include "ota/spool.h"
#include "ota/writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BAD_SEGMENTS_MAX 3      /* fetched again when the server's bytes have the wrong hash */
#define COUNT_EVERY (1u << 20)  /* bytes between updates of the counters in the database */

struct stage {
    struct ota_device *d;
    struct rb_http *http;
    const struct ota_plan *plan;
    const struct ota_candidate *c;
    struct ota_attempt *attempt;
    struct rb_progress *progress;
    char *url;

    /* the arena, cut up */
    uint8_t *arena;
    uint8_t *header;
    uint8_t *segment; /* RB_PAYLOAD_SEGMENT_MAX */
    uint8_t *memory;
    uint8_t *sector;

    struct rb_payload payload;
    struct rb_payload_io io;
    struct rb_payload_decoder *decoder;
    struct rb_image_policy policy;
    struct rb_image_stream stream;
    struct ota_writer writer;
    struct ota_spool spool;
    uint32_t keep;      /* bytes of the image that were in the slot already; output below is dropped */

    uint32_t index;     /* segment being gathered */
    struct rb_payload_segment at;
    uint32_t have;      /* bytes of it in `segment` */
    uint32_t restart;   /* newest restart point seen */
    struct rb_payload_segment restart_at;
    uint64_t spool_offset; /* in the payload file: the spool's first byte */
    uint64_t position;  /* in the payload file: the next byte to come */
    uint64_t counted;   /* attempt->fetched when it was last stored */
};

static size_t
round_up(size_t n)
{
    return (n + 15) / 16 * 16;
}

/* Everything this attempt will hold, at once: when it can be had, nothing that comes later can run out of it. */
static rb_err
take_memory(struct stage *s)
{
    size_t header = round_up(s->c->header_len);
    size_t memory = round_up(s->c->memory);
    size_t sector = round_up(s->d->flash.sector_size);

    s->arena = malloc(header + RB_PAYLOAD_SEGMENT_MAX + memory + sector);
    if (s->arena == NULL) {
        return RB_ERR_NO_MEMORY;
    }
    s->header = s->arena;
    s->segment = s->header + header;
    s->memory = s->segment + RB_PAYLOAD_SEGMENT_MAX;
    s->sector = s->memory + memory;
    return RB_OK;
}

/* --- header ----------------------------------------------------------------------------------------------------- */

static void
count(struct stage *s, size_t len)
{
    s->attempt->fetched += (int64_t)len;
    s->attempt->payload_fetched += (int64_t)len;
}

static rb_err
store_counters(struct stage *s)
{
    s->counted = (uint64_t)s->attempt->fetched;
    return ota_attempt_counted(s->d, s->attempt);
}

static rb_err
header_bytes(void *ctx, const void *data, size_t len)
{
    struct stage *s = ctx;

    memcpy(s->header + s->have, data, len); /* at most header_len bytes: the limit of the request */
    s->have += (uint32_t)len;
    count(s, len);
    return RB_OK;
}

static rb_err
get_header(struct stage *s)
{
    uint8_t digest[RB_SHA256_LEN];

    if (ota_spool_load_header(&s->spool, s->header, s->c->header_len) == RB_OK) {
        return RB_OK;
    }
    s->have = 0;
    RB_TRY(rb_http_get(s->http, s->url, 0, s->c->header_len, s->c->length, header_bytes, s));
    s->have = 0;
    rb_sha256(s->header, s->c->header_len, digest);
    if (!rb_equal(digest, s->c->header_sha256, sizeof digest)) {
        return RB_ERR_PAYLOAD_HEADER;
    }
    return ota_spool_keep_header(&s->spool, s->header, s->c->header_len);
}

/* The header is the signed one. It must also say what the metadata says, or the release was put together wrongly. */
static rb_err
check_header(struct stage *s)
{
    const struct rb_payload *p = &s->payload;
    const struct ota_candidate *c = s->c;
    struct rb_payload_segment at;

    RB_TRY(rb_payload_parse(s->header, c->header_len, &s->payload));
    if (p->memory > c->memory) {
        return rb_fail(RB_ERR_PAYLOAD_MEMORY, "%u bytes, the metadata says %u", p->memory, c->memory);
    }
    if (p->old_len != c->from_len || (c->delta && !rb_equal(p->old_sha256, c->from_sha256, sizeof p->old_sha256))) {
        return rb_fail(RB_ERR_PAYLOAD_BASE, "header and metadata name different bases");
    }
    if (p->new_len != s->plan->image_len || !rb_equal(p->new_sha256, s->plan->image_sha256, sizeof p->new_sha256)) {
        return rb_fail(RB_ERR_PAYLOAD_FIELD, "header and metadata name different images");
    }
    rb_payload_segment(p, 0, NULL, &at);
    for (uint32_t i = 1; i < p->segment_count; i++) {
        struct rb_payload_segment previous = at;
        rb_payload_segment(p, i, &previous, &at);
    }
    if (at.offset + at.len != c->length) {
        return rb_fail(RB_ERR_PAYLOAD_FIELD, "segments end at %" PRIu64 ", the file at %" PRIu64, at.offset + at.len,
                       c->length);
    }
    return RB_OK;
}

/* --- decoder and slot ------------------------------------------------------------------------------------------- */

static rb_err
read_old(void *ctx, uint64_t offset, uint8_t *out, uint32_t len)
{
    struct stage *s = ctx;

    if (offset > s->payload.old_len || len > s->payload.old_len - offset) {
        return RB_ERR_FLASH_RANGE;
    }
    return rb_image_read_compact(&s->d->flash, s->d->config.slot[s->plan->installed.slot], (uint32_t)offset, out, len);
}

/* Output made earlier lies in the slot, but for a header that is not complete yet. */
static rb_err
read_new(void *ctx, uint64_t offset, uint8_t *out, uint32_t len)
{
    struct stage *s = ctx;

    if (s->stream.offset == 0) {
        if (offset > s->stream.held || len > s->stream.held - offset) {
            return RB_ERR_FLASH_RANGE;
        }
        memcpy(out, s->stream.unit + offset, len);
        return RB_OK;
    }
    if (offset < RB_IMAGE_HEADER_LEN && len > 0) {
        uint32_t n = RB_IMAGE_HEADER_LEN - offset < len ? RB_IMAGE_HEADER_LEN - (uint32_t)offset : len;
        RB_TRY(ota_writer_get(&s->writer, (uint32_t)offset, out, n));
        offset += n;
        out += n;
        len -= n;
    }
    return len > 0 ? ota_writer_get(&s->writer, (uint32_t)rb_image_from_compact(offset), out, len) : RB_OK;
}

static rb_err
write_new(void *ctx, uint64_t offset, const uint8_t *data, uint32_t len)
{
    struct stage *s = ctx;

    uint64_t place = rb_image_from_compact(offset);
    if (place < s->keep) {
        uint32_t drop = s->keep - place < len ? (uint32_t)(s->keep - place) : len;
        data += drop;
        len -= drop;
    }
    return len > 0 ? rb_image_stream_feed(&s->stream, data, len) : RB_OK;
}

static rb_err
emit(void *ctx, uint32_t offset, const uint8_t *data, uint32_t len)
{
    struct stage *s = ctx;

    /* Before the first erase: a good image, but another one than the release names? */
    if (offset == 0 && !rb_equal(s->stream.image.digest, s->plan->image_digest, RB_SHA256_LEN)) {
        return rb_fail(RB_ERR_PAYLOAD_OUTPUT, "another image than the release names");
    }
    return ota_writer_put(&s->writer, data, len);
}

static rb_err
reread(void *ctx, uint32_t offset, uint8_t *out, uint32_t len)
{
    struct stage *s = ctx;

    return ota_writer_get(&s->writer, offset, out, len);
}

/* Where output goes on being written: the sector boundary behind the restart point that the spool starts with. */
static uint32_t
boundary_behind(const struct stage *s, const struct rb_payload_segment *restart)
{
    uint32_t sector = s->d->flash.sector_size;

    return ((uint32_t)rb_image_from_compact(restart->new_offset) + sector - 1) / sector * sector;
}

static void
segment_at(struct stage *s, uint32_t index)
{
    struct rb_payload_segment previous;

    rb_payload_segment(&s->payload, 0, NULL, &s->at);
    for (uint32_t i = 1; i <= index; i++) {
        previous = s->at;
        rb_payload_segment(&s->payload, i, &previous, &s->at);
    }
    s->index = index;
    s->have = 0;
    s->position = s->at.offset;
}

/* --- segments --------------------------------------------------------------------------------------------------- */

/* Move the spool to a later restart point once the slot holds all output before it in whole, synced sectors. */
static rb_err
advance_spool(struct stage *s)
{
    if (s->restart <= s->spool.first || s->stream.offset < boundary_behind(s, &s->restart_at)) {
        return RB_OK;
    }
    RB_TRY(rb_flashfile_sync(&s->d->file));
    RB_TRY(ota_spool_advance(&s->spool, s->restart, s->restart_at.offset - s->spool_offset, s->segment,
                             RB_PAYLOAD_SEGMENT_MAX));
    s->spool_offset = s->restart_at.offset;
    return RB_OK;
}

static void
next_segment(struct stage *s)
{
    struct rb_payload_segment previous = s->at;

    s->have = 0;
    s->index++;
    if (s->index == s->payload.segment_count) {
        return;
    }
    rb_payload_segment(&s->payload, s->index, &previous, &s->at);
    if (rb_payload_is_restart(&s->payload, s->index)) {
        s->restart = s->index;
        s->restart_at = s->at;
    }
}

/* `segment` is complete: verify, decode, go on to the next. */
static rb_err
take_segment(struct stage *s)
{
    RB_TRY(rb_payload_decode(s->decoder, s->segment, s->at.len));
    RB_TRY(advance_spool(s));
    next_segment(s);
    return RB_OK;
}

static rb_err
body_bytes(void *ctx, const void *data, size_t len)
{
    struct stage *s = ctx;
    const uint8_t *from = data;

    count(s, len);
    while (len > 0) {
        uint32_t n = s->at.len - s->have < len ? s->at.len - s->have : (uint32_t)len;
        RB_TRY(ota_spool_append(&s->spool, from, n));
        memcpy(s->segment + s->have, from, n);
        s->have += n;
        s->position += n;
        from += n;
        len -= n;
        if (s->have == s->at.len) {
            RB_TRY(ota_spool_sync(&s->spool));
            RB_TRY(take_segment(s));
        }
    }
    rb_progress_update(s->progress, s->position);
    return (uint64_t)s->attempt->fetched - s->counted < COUNT_EVERY ? RB_OK : store_counters(s);
}

/* Decode what an earlier run has fetched. Ends at the first segment that is not whole or not right. */
static rb_err
replay(struct stage *s)
{
    uint64_t at = 0;

    while (s->index < s->payload.segment_count) {
        uint64_t left = s->spool.len - at;
        if (left < s->at.len) { /* the beginning of a segment: the rest will come from the network */
            s->have = (uint32_t)left;
            s->position = s->at.offset + left;
            return ota_spool_read(&s->spool, at, s->segment, s->have);
        }
        RB_TRY(ota_spool_read(&s->spool, at, s->segment, s->at.len));
        rb_err err = rb_payload_decode(s->decoder, s->segment, s->at.len);
        if (err == RB_ERR_PAYLOAD_SEGMENT) { /* torn by the power cut */
            rb_fail_clear();
            s->position = s->at.offset;
            return ota_spool_truncate(&s->spool, at);
        }
        RB_TRY(err);
        at += s->at.len;
        s->position = s->at.offset + s->at.len;
        next_segment(s);
    }
    return RB_OK;
}

/* Whether the image in the idle slot, complete or not, is the one to be written. */
static bool
holds_beginning(const struct stage *s)
{
    struct ota_slot idle;

    ota_slot_read(s->d, s->plan->idle, &idle);
    return idle.err == RB_OK && rb_equal(idle.image.digest, s->plan->image_digest, RB_SHA256_LEN);
}

/* The segment that the spool of an earlier run starts with; 0 when there is none, or when the slot does not hold the
 * beginning of this image any more. */
static uint32_t
spool_start(struct stage *s)
{
    uint32_t first = 0;
    uint64_t len = 0;

    if (!holds_beginning(s) || ota_spool_find(&s->spool, s->payload.segment_count - 1, &first, &len) != RB_OK
        || !rb_payload_is_restart(&s->payload, first)) {
        first = 0;
    }
    rb_fail_clear();
    return first;
}

/* Open the spool where an earlier run left it, set stream and writer behind its restart point, decode what is in it. */
static rb_err
go_on(struct stage *s)
{
    struct ota_device *d = s->d;
    uint32_t first = spool_start(s);

    segment_at(s, first);
    s->restart = first;
    s->restart_at = s->at;
    s->spool_offset = s->at.offset;
    s->policy = ota_policy(d, s->plan->idle, s->plan->installed.floor);
    s->keep = first > 0 ? boundary_behind(s, &s->at) : 0;
    rb_image_stream_init(&s->stream, &d->keys, &s->policy, emit, reread, s);
    ota_writer_init(&s->writer, &d->flash, d->config.slot[s->plan->idle], d->config.slot_size, s->keep, s->sector);
    if (s->keep > 0) {
        RB_TRY(rb_image_stream_resume(&s->stream, s->keep));
    }
    RB_TRY(ota_spool_open(&s->spool, first));
    RB_TRY(rb_payload_decoder_init(s->memory, s->c->memory, &s->payload, &s->io, first, s->at.new_offset,
                                   &s->decoder));
    return replay(s);
}

static rb_err
fetch(struct stage *s)
{
    rb_err err = RB_OK;

    for (int bad = 0; s->index < s->payload.segment_count; bad++) {
        err = rb_http_get(s->http, s->url, s->position, s->c->length - s->position, s->c->length, body_bytes, s);
        if (err != RB_ERR_PAYLOAD_SEGMENT || bad == BAD_SEGMENTS_MAX) {
            break;
        }
        /* The decoder has not seen it. A proxy or a bad line may have changed it: fetch it again. */
        ota_event(s->d, "warn", "stage.segment", "id=%" PRId64 " segment=%u err=PAYLOAD_SEGMENT", s->attempt->id,
                  s->index);
        rb_fail_clear();
        RB_TRY(ota_spool_truncate(&s->spool, s->spool.len - s->at.len));
        s->position = s->at.offset;
        s->have = 0;
    }
    return err;
}

static rb_err
complete(struct stage *s)
{
    RB_TRY(rb_image_stream_finish(&s->stream));
    RB_TRY(ota_writer_finish(&s->writer));
    return rb_flashfile_sync(&s->d->file);
}

/* Bytes up to `position` were fetched at least once, whatever the last stored counters say: the process may have
 * been killed since. */
static void
correct_counters(struct stage *s)
{
    int64_t least = (int64_t)s->position;

    if (s->attempt->payload_fetched < least) {
        s->attempt->fetched += least - s->attempt->payload_fetched;
        s->attempt->payload_fetched = least;
    }
}

static void
announce(struct stage *s)
{
    char a[32];
    char b[32];
    char line[160];

    rb_progress_start(s->progress, "fetching", s->c->length);
    if (s->position <= s->payload.header_len && s->keep == 0) {
        ota_event(s->d, "info", "stage.start", "id=%" PRId64 " payload=%s bytes=%" PRIu64, s->attempt->id, s->c->target,
                  s->c->length);
        return;
    }
    ota_event(s->d, "info", "stage.continue", "id=%" PRId64 " at=%" PRIu64 " of=%" PRIu64 " slot=%u", s->attempt->id,
              s->position, s->c->length, s->keep);
    if (s->d->say != NULL) {
        (void)snprintf(line, sizeof line, "continuing at %s of %s bytes", ota_grouped(s->position, a),
                       ota_grouped(s->c->length, b));
        s->d->say(line);
    }
    rb_progress_update(s->progress, s->position);
}

/* The idle slot holds this image whole already: it was taken back after it had been written, or written twice. */
static bool
already_there(struct stage *s)
{
    struct ota_device *d = s->d;
    struct rb_image_policy policy = ota_policy(d, s->plan->idle, s->plan->installed.floor);
    struct rb_image image;
    rb_err err = holds_beginning(s) ? rb_image_slot_verify(&d->flash, d->config.slot[s->plan->idle], &d->keys, &policy,
                                                           s->segment, &image)
                                    : RB_ERR_NOT_FOUND;

    rb_fail_clear();
    return err == RB_OK;
}

static rb_err
run(struct stage *s)
{
    RB_TRY(take_memory(s));
    if (already_there(s)) {
        s->position = s->c->length;
        return RB_OK;
    }
    RB_TRY(ota_spool_init(&s->spool, s->d->spool_dir, s->c->header_sha256));
    RB_TRY(get_header(s));
    RB_TRY(check_header(s));
    RB_TRY(go_on(s));
    correct_counters(s);
    RB_TRY(store_counters(s));
    announce(s);
    rb_err err = fetch(s);
    rb_progress_end(s->progress, err == RB_OK);
    return err == RB_OK ? complete(s) : err;
}

rb_err
ota_stage(struct ota_device *d, struct rb_http *http, const struct ota_plan *plan, struct ota_attempt *attempt,
          struct rb_progress *progress)
{
    struct stage *s = rb_alloc(sizeof *s);

    s->d = d;
    s->http = http;
    s->plan = plan;
    s->c = &plan->candidate[plan->chosen];
    s->attempt = attempt;
    s->progress = progress;
    s->spool.fd = -1;
    s->io = (struct rb_payload_io){.ctx = s, .read_old = read_old, .read_new = read_new, .write_new = write_new};
    s->url = ota_target_url(&d->settings, s->c->target, s->c->sha256);
    rb_err err = run(s);
    if (attempt->payload_fetched > (int64_t)s->position) {
        attempt->refetched = attempt->payload_fetched - (int64_t)s->position;
    }
    ota_spool_close(&s->spool);
    free(s->url);
    free(s->arena);
    free(s);
    return err;
}
