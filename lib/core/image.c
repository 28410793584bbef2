/* SPDX-License-Identifier: Apache-2.0
 *
 * The boot image's header, as it lies in flash (docs/format.md section 2):
 *
 *     0  magic "RBI1"        24  chunk_len = 4096    208  body_sha256[32]
 *     4  format version 1    28  hardware_count      240  chunk_root[32]
 *     8  type u8             32  load_address u64    272  key_id[8]
 *     9  affinity u8         40  entry_address u64   280  zero
 *    10  flags u16 = 0       48  version[32]         448  signature over 0..447: r, s
 *    12  security_counter    80  hardware[4][32]
 *    16  body_offset = 4096
 *    20  body_len
 *
 * The signed range starts with the magic, so a signature made for anything else that Riverbank signs never fits a
 * header. The only bytes outside of it are the signature's.
 */
#include "lib/core/image.h"

#define MAGIC 0x31494252u /* "RBI1" */
#define FORMAT 1u
#define ENTRY_LEN RB_SHA256_LEN /* of the chunk table */

static uint32_t
min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

bool
rb_image_text_valid(const char *field, size_t len)
{
    size_t n = 0;

    while (n < len && field[n] > 0x20 && field[n] < 0x7f) {
        n++;
    }
    return n > 0 && rb_all(field + n, len - n, 0);
}

static uint32_t
chunks_of(uint32_t body_len)
{
    return body_len / RB_IMAGE_CHUNK_LEN + (body_len % RB_IMAGE_CHUNK_LEN != 0 ? 1u : 0u);
}

static uint64_t
whole_len(uint32_t chunk_count)
{
    return RB_IMAGE_BODY_OFFSET + (uint64_t)chunk_count * (RB_IMAGE_CHUNK_LEN + ENTRY_LEN);
}

/* Whole fields are compared, so "board-1" never stands for "board-10". */
static bool
hardware_equal(const char *a, const char *b)
{
    for (size_t i = 0; i <= RB_IMAGE_HARDWARE_LEN; i++) {
        if (a[i] != b[i]) {
            return false;
        }
        if (a[i] == '\0') {
            return true;
        }
    }
    return true;
}

static bool
hardware_valid(const struct rb_image *image)
{
    if (image->hardware_count < 1 || image->hardware_count > RB_IMAGE_HARDWARE_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < RB_IMAGE_HARDWARE_MAX; i++) {
        const char *id = image->hardware[i];
        if (i >= image->hardware_count) {
            if (!rb_all(id, RB_IMAGE_HARDWARE_LEN, 0)) {
                return false;
            }
            continue;
        }
        if (!rb_image_text_valid(id, RB_IMAGE_HARDWARE_LEN)) {
            return false;
        }
        for (uint32_t k = 0; k < i; k++) {
            if (hardware_equal(id, image->hardware[k])) {
                return false;
            }
        }
    }
    return true;
}

static bool
fields_valid(const struct rb_image *image)
{
    if ((image->type != RB_IMAGE_APP && image->type != RB_IMAGE_RECOVERY) || image->affinity > RB_IMAGE_SLOT_B
        || image->body_len == 0 || image->chunk_count != chunks_of(image->body_len)
        || whole_len(image->chunk_count) > UINT32_MAX) {
        return false;
    }
    /* The entry lies in the body, and the body does not wrap around the address space. */
    if (image->load_address > UINT64_MAX - image->body_len || image->entry_address < image->load_address
        || image->entry_address - image->load_address >= image->body_len) {
        return false;
    }
    return rb_image_text_valid(image->version, RB_IMAGE_VERSION_LEN) && hardware_valid(image);
}

/* Magic and format version. */
static rb_err
kind_of(const uint8_t *header)
{
    struct rb_reader r = rb_reader_of(header, RB_IMAGE_HEADER_LEN);

    if (rb_read_u32(&r) != MAGIC) {
        return RB_ERR_IMAGE_MAGIC;
    }
    return rb_read_u32(&r) != FORMAT ? RB_ERR_IMAGE_VERSION : RB_OK;
}

static rb_err
parse(const uint8_t *header, struct rb_image *out)
{
    struct rb_image image = {0};
    struct rb_reader r = rb_reader_of(header, RB_IMAGE_SIGNED_LEN);

    (void)rb_read_u64(&r); /* magic and format version: looked at already */
    image.type = rb_read_u8(&r);
    image.affinity = rb_read_u8(&r);
    uint16_t flags = rb_read_u16(&r);
    image.security_counter = rb_read_u32(&r);
    uint32_t body_offset = rb_read_u32(&r);
    image.body_len = rb_read_u32(&r);
    uint32_t chunk_len = rb_read_u32(&r);
    uint32_t hardware_count = rb_read_u32(&r);
    image.load_address = rb_read_u64(&r);
    image.entry_address = rb_read_u64(&r);
    rb_read_copy(&r, image.version, RB_IMAGE_VERSION_LEN);
    for (uint32_t i = 0; i < RB_IMAGE_HARDWARE_MAX; i++) {
        rb_read_copy(&r, image.hardware[i], RB_IMAGE_HARDWARE_LEN);
    }
    rb_read_copy(&r, image.body_sha256, sizeof image.body_sha256);
    rb_read_copy(&r, image.chunk_root, sizeof image.chunk_root);
    rb_read_copy(&r, image.key_id, sizeof image.key_id);
    bool rest_zero = rb_read_zeros(&r, r.left);

    image.chunk_count = chunks_of(image.body_len);
    image.hardware_count = (uint8_t)min_u32(hardware_count, UINT8_MAX);
    if (r.bad || !rest_zero || flags != 0 || body_offset != RB_IMAGE_BODY_OFFSET || chunk_len != RB_IMAGE_CHUNK_LEN
        || !fields_valid(&image)) {
        return RB_ERR_IMAGE_FIELD;
    }
    rb_sha256(header, RB_IMAGE_SIGNED_LEN, image.digest);
    *out = image;
    return RB_OK;
}

void
rb_image_key_id(const uint8_t key[RB_P256_KEY_LEN], uint8_t id[RB_IMAGE_KEY_ID_LEN])
{
    uint8_t digest[RB_SHA256_LEN];

    rb_sha256(key, RB_P256_KEY_LEN, digest);
    rb_copy(id, digest, RB_IMAGE_KEY_ID_LEN);
}

/* The key id only picks among keys that are trusted anyway; it saves a slow check for each key that did not sign. */
static rb_err
signature_verify(const uint8_t *header, const struct rb_image_keys *keys)
{
    uint8_t digest[RB_SHA256_LEN];
    uint8_t id[RB_IMAGE_KEY_ID_LEN];

    rb_sha256(header, RB_IMAGE_SIGNED_LEN, digest);
    for (uint32_t i = 0; i < keys->count; i++) {
        rb_image_key_id(keys->key[i], id);
        if (rb_equal(id, header + RB_IMAGE_KEY_ID_AT, sizeof id)
            && rb_p256_verify(keys->key[i], digest, header + RB_IMAGE_SIGNED_LEN) == RB_OK) {
            return RB_OK;
        }
    }
    return RB_ERR_IMAGE_SIGNATURE;
}

rb_err
rb_image_header_verify(const uint8_t header[RB_IMAGE_HEADER_LEN], const struct rb_image_keys *keys,
                       struct rb_image *out)
{
    RB_TRY(kind_of(header));
    RB_TRY(signature_verify(header, keys));
    return parse(header, out);
}

rb_err
rb_image_header_parse(const uint8_t header[RB_IMAGE_HEADER_LEN], struct rb_image *out)
{
    RB_TRY(kind_of(header));
    return parse(header, out);
}

rb_err
rb_image_header_encode(const struct rb_image *image, uint8_t out[RB_IMAGE_SIGNED_LEN])
{
    struct rb_writer w = rb_writer_of(out, RB_IMAGE_SIGNED_LEN);

    if (!fields_valid(image)) {
        return RB_ERR_IMAGE_FIELD;
    }
    rb_write_u32(&w, MAGIC);
    rb_write_u32(&w, FORMAT);
    rb_write_u8(&w, image->type);
    rb_write_u8(&w, image->affinity);
    rb_write_u16(&w, 0);
    rb_write_u32(&w, image->security_counter);
    rb_write_u32(&w, RB_IMAGE_BODY_OFFSET);
    rb_write_u32(&w, image->body_len);
    rb_write_u32(&w, RB_IMAGE_CHUNK_LEN);
    rb_write_u32(&w, image->hardware_count);
    rb_write_u64(&w, image->load_address);
    rb_write_u64(&w, image->entry_address);
    rb_write_bytes(&w, image->version, RB_IMAGE_VERSION_LEN);
    for (uint32_t i = 0; i < RB_IMAGE_HARDWARE_MAX; i++) {
        rb_write_bytes(&w, image->hardware[i], RB_IMAGE_HARDWARE_LEN);
    }
    rb_write_bytes(&w, image->body_sha256, sizeof image->body_sha256);
    rb_write_bytes(&w, image->chunk_root, sizeof image->chunk_root);
    rb_write_bytes(&w, image->key_id, sizeof image->key_id);
    rb_write_zeros(&w, w.left);
    return w.bad ? RB_ERR_INTERNAL : RB_OK;
}

rb_err
rb_image_admit(const struct rb_image *image, const struct rb_image_policy *policy)
{
    bool fits_hardware = false;

    if (image->type != policy->type
        || (image->affinity != RB_IMAGE_ANY_SLOT && image->affinity != RB_IMAGE_SLOT_A + policy->slot)) {
        return RB_ERR_IMAGE_FIELD;
    }
    for (uint32_t i = 0; i < image->hardware_count; i++) {
        fits_hardware = fits_hardware || hardware_equal(image->hardware[i], policy->hardware);
    }
    if (!fits_hardware) {
        return RB_ERR_IMAGE_HARDWARE;
    }
    if (image->security_counter < policy->floor) {
        return RB_ERR_IMAGE_ROLLBACK;
    }
    return rb_image_len(image) > policy->slot_size ? RB_ERR_IMAGE_SIZE : RB_OK;
}

/* --- images that arrive in order ------------------------------------------------------------------------------- */

void
rb_image_stream_init(struct rb_image_stream *s, const struct rb_image_keys *keys, const struct rb_image_policy *policy,
                     rb_err (*emit)(void *ctx, uint32_t offset, const uint8_t *data, uint32_t len),
                     rb_err (*reread)(void *ctx, uint32_t offset, uint8_t *out, uint32_t len), void *ctx)
{
    rb_fill(s, 0, sizeof *s);
    s->keys = keys;
    s->policy = policy;
    s->emit = emit;
    s->reread = reread;
    s->ctx = ctx;
    s->failed = RB_OK;
}

static uint32_t
body_end(const struct rb_image_stream *s)
{
    return RB_IMAGE_BODY_OFFSET + s->image.body_len;
}

static rb_err
admit_header(struct rb_image_stream *s)
{
    RB_TRY(rb_image_header_verify(s->unit, s->keys, &s->image));
    return rb_image_admit(&s->image, s->policy);
}

rb_err
rb_image_stream_resume(struct rb_image_stream *s, uint32_t offset)
{
    s->failed = s->reread(s->ctx, 0, s->unit, RB_IMAGE_HEADER_LEN);
    if (s->failed == RB_OK) {
        s->failed = admit_header(s);
    }
    if (s->failed == RB_OK && (offset < RB_IMAGE_BODY_OFFSET || offset > body_end(s))) {
        s->failed = RB_ERR_ARG;
    }
    s->offset = offset;
    return s->failed;
}

static rb_err
put(struct rb_image_stream *s, const uint8_t *data, uint32_t len)
{
    RB_TRY(s->emit(s->ctx, s->offset, data, len));
    s->offset += len;
    return RB_OK;
}

/* Zeros up to the next multiple of the chunk length. Uses `unit`. */
static rb_err
put_padding(struct rb_image_stream *s)
{
    uint32_t over = s->offset % RB_IMAGE_CHUNK_LEN;

    if (over == 0) {
        return RB_OK;
    }
    rb_fill(s->unit, 0, RB_IMAGE_CHUNK_LEN - over);
    return put(s, s->unit, RB_IMAGE_CHUNK_LEN - over);
}

static rb_err
take_header(struct rb_image_stream *s, const uint8_t **data, uint32_t *len)
{
    uint32_t take = min_u32(RB_IMAGE_HEADER_LEN - s->held, *len);

    rb_copy(s->unit + s->held, *data, take);
    s->held += take;
    *data += take;
    *len -= take;
    if (s->held < RB_IMAGE_HEADER_LEN) {
        return RB_OK;
    }
    RB_TRY(admit_header(s));
    RB_TRY(put(s, s->unit, RB_IMAGE_HEADER_LEN));
    return put_padding(s);
}

rb_err
rb_image_stream_feed(struct rb_image_stream *s, const uint8_t *data, uint32_t len)
{
    if (s->failed == RB_OK && s->offset == 0) {
        s->failed = take_header(s, &data, &len);
    }
    if (s->failed == RB_OK && len > 0) {
        s->failed = len > body_end(s) - s->offset ? RB_ERR_IMAGE_TRAILING : put(s, data, len);
    }
    return s->failed;
}

/* Read the body back chunk by chunk and put the table that follows from it, some entries at a time. */
static rb_err
put_table(struct rb_image_stream *s)
{
    uint8_t entries[16][ENTRY_LEN];
    uint8_t root[RB_SHA256_LEN];
    struct rb_sha256 hash;
    uint32_t held = 0;

    rb_sha256_start(&hash);
    for (uint32_t i = 0; i < s->image.chunk_count; i++) {
        uint32_t at = i * RB_IMAGE_CHUNK_LEN;
        uint32_t len = min_u32(RB_IMAGE_CHUNK_LEN, s->image.body_len - at);
        RB_TRY(s->reread(s->ctx, RB_IMAGE_BODY_OFFSET + at, s->unit, len));
        rb_sha256(s->unit, len, entries[held++]);
        if (held == sizeof entries / sizeof entries[0] || i + 1 == s->image.chunk_count) {
            rb_sha256_update(&hash, entries, held * ENTRY_LEN);
            RB_TRY(put(s, entries[0], held * ENTRY_LEN));
            held = 0;
        }
    }
    rb_sha256_finish(&hash, root);
    return rb_equal(root, s->image.chunk_root, sizeof root) ? RB_OK : RB_ERR_IMAGE_CHUNKS;
}

rb_err
rb_image_stream_finish(struct rb_image_stream *s)
{
    RB_TRY(s->failed);
    s->failed = RB_ERR_IMAGE_SIZE; /* used up, and the answer when the image is not complete */
    if (s->offset == 0 || s->offset != body_end(s)) {
        return RB_ERR_IMAGE_SIZE;
    }
    RB_TRY(put_padding(s));
    return put_table(s);
}

/* --- images in a slot ------------------------------------------------------------------------------------------ */

rb_err
rb_image_slot_header(const struct rb_flash *flash, uint32_t slot_address, const struct rb_image_keys *keys,
                     const struct rb_image_policy *policy, struct rb_image *out)
{
    uint8_t header[RB_IMAGE_HEADER_LEN];

    RB_TRY(flash->read(flash->ctx, slot_address, header, sizeof header));
    RB_TRY(rb_image_header_verify(header, keys, out));
    return rb_image_admit(out, policy);
}

rb_err
rb_image_read_compact(const struct rb_flash *flash, uint32_t slot_address, uint32_t offset, uint8_t *out, uint32_t len)
{
    if (offset < RB_IMAGE_HEADER_LEN) {
        uint32_t n = min_u32(RB_IMAGE_HEADER_LEN - offset, len);
        RB_TRY(flash->read(flash->ctx, slot_address + offset, out, n));
        offset += n;
        out += n;
        len -= n;
    }
    uint32_t at = (uint32_t)rb_image_from_compact(offset);
    return len > 0 ? flash->read(flash->ctx, slot_address + at, out, len) : RB_OK;
}

static rb_err
slot_table(const struct rb_flash *flash, uint32_t slot_address, const struct rb_image *image, uint8_t *scratch)
{
    struct rb_sha256 hash;
    uint8_t root[RB_SHA256_LEN];
    uint32_t at = rb_image_table_offset(image);
    uint32_t end = rb_image_len(image);

    rb_sha256_start(&hash);
    while (at < end) {
        uint32_t len = min_u32(RB_IMAGE_CHUNK_LEN, end - at);
        RB_TRY(flash->read(flash->ctx, slot_address + at, scratch, len));
        rb_sha256_update(&hash, scratch, len);
        at += len;
    }
    rb_sha256_finish(&hash, root);
    return rb_equal(root, image->chunk_root, sizeof root) ? RB_OK : RB_ERR_IMAGE_CHUNKS;
}

/* Each byte is read once: what is hashed is what stands in `area` afterwards. */
static rb_err
slot_body(const struct rb_flash *flash, uint32_t slot_address, const struct rb_image *image, uint8_t *scratch,
          uint8_t *area)
{
    struct rb_sha256 hash;
    uint8_t digest[RB_SHA256_LEN];

    rb_sha256_start(&hash);
    for (uint32_t at = 0; at < image->body_len; at += RB_IMAGE_CHUNK_LEN) {
        uint8_t *to = area != NULL ? area + at : scratch;
        uint32_t len = min_u32(RB_IMAGE_CHUNK_LEN, image->body_len - at);
        RB_TRY(flash->read(flash->ctx, slot_address + RB_IMAGE_BODY_OFFSET + at, to, len));
        rb_sha256_update(&hash, to, len);
        if (image->body_len - at <= RB_IMAGE_CHUNK_LEN) {
            break; /* `at` must not wrap */
        }
    }
    rb_sha256_finish(&hash, digest);
    return rb_equal(digest, image->body_sha256, sizeof digest) ? RB_OK : RB_ERR_IMAGE_BODY;
}

/* Nothing is smuggled between the parts of the image. */
static rb_err
slot_zeros(const struct rb_flash *flash, uint32_t slot_address, uint32_t at, uint32_t end, uint8_t *scratch)
{
    RB_TRY(flash->read(flash->ctx, slot_address + at, scratch, end - at));
    return rb_all(scratch, end - at, 0) ? RB_OK : RB_ERR_IMAGE_TRAILING;
}

/* Nor behind it in its last sector. */
static rb_err
slot_trailing(const struct rb_flash *flash, uint32_t slot_address, const struct rb_image *image, uint8_t *scratch)
{
    uint32_t at = rb_image_len(image);
    uint32_t left = (flash->sector_size - at % flash->sector_size) % flash->sector_size;

    while (left > 0) {
        uint32_t len = min_u32(RB_IMAGE_CHUNK_LEN, left);
        RB_TRY(flash->read(flash->ctx, slot_address + at, scratch, len));
        for (uint32_t i = 0; i < len; i++) {
            if (scratch[i] != flash->erased && scratch[i] != 0) {
                return RB_ERR_IMAGE_TRAILING;
            }
        }
        at += len;
        left -= len;
    }
    return RB_OK;
}

rb_err
rb_image_slot_load(const struct rb_flash *flash, uint32_t slot_address, const struct rb_image *image, uint8_t *scratch,
                   uint8_t *area)
{
    RB_TRY(slot_zeros(flash, slot_address, RB_IMAGE_HEADER_LEN, RB_IMAGE_BODY_OFFSET, scratch));
    RB_TRY(slot_body(flash, slot_address, image, scratch, area));
    RB_TRY(slot_zeros(flash, slot_address, RB_IMAGE_BODY_OFFSET + image->body_len, rb_image_table_offset(image),
                      scratch));
    RB_TRY(slot_table(flash, slot_address, image, scratch));
    return slot_trailing(flash, slot_address, image, scratch);
}

rb_err
rb_image_slot_verify(const struct rb_flash *flash, uint32_t slot_address, const struct rb_image_keys *keys,
                     const struct rb_image_policy *policy, uint8_t *scratch, struct rb_image *out)
{
    RB_TRY(rb_image_slot_header(flash, slot_address, keys, policy, out));
    return rb_image_slot_load(flash, slot_address, out, scratch, NULL);
}
