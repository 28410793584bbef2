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
 *    16  body_offset
 *    20  body_len
 *
 * The signed range starts with the magic, so a signature made for anything else that Riverbank signs never fits a
 * header. The only bytes outside of it are the signature's.
 */
#include "lib/core/image.h"

#define MAGIC 0x31494252u /* "RBI1" */
#define FORMAT 1u
#define ENTRY_LEN RB_SHA256_LEN /* of the chunk table */
#define LOOKS 8                 /* reads before something that may be torn is believed */

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

uint32_t
rb_image_body_offset(uint32_t chunk_count)
{
    uint32_t end = RB_IMAGE_HEADER_LEN + chunk_count * ENTRY_LEN;

    return (end + RB_IMAGE_CHUNK_LEN - 1) / RB_IMAGE_CHUNK_LEN * RB_IMAGE_CHUNK_LEN;
}

static uint32_t
chunks_of(uint32_t body_len)
{
    return body_len / RB_IMAGE_CHUNK_LEN + (body_len % RB_IMAGE_CHUNK_LEN != 0 ? 1u : 0u);
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
        || image->body_offset != rb_image_body_offset(image->chunk_count)
        || image->body_len > UINT32_MAX - image->body_offset) {
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
    image.body_offset = rb_read_u32(&r);
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
    if (r.bad || !rest_zero || flags != 0 || chunk_len != RB_IMAGE_CHUNK_LEN || !fields_valid(&image)) {
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
    rb_write_u32(&w, image->body_offset);
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

/* Hash the part of `piece` (image bytes from `offset`, before the body) that is table; the padding after the table
 * must be zero. */
static rb_err
table_piece(const struct rb_image *image, struct rb_sha256 *hash, uint32_t offset, const uint8_t *piece, uint32_t len)
{
    uint32_t table_end = RB_IMAGE_HEADER_LEN + image->chunk_count * ENTRY_LEN;
    uint32_t in_table = offset < table_end ? min_u32(len, table_end - offset) : 0;
    uint8_t root[RB_SHA256_LEN];

    rb_sha256_update(hash, piece, in_table);
    if (!rb_all(piece + in_table, len - in_table, 0)) {
        return RB_ERR_IMAGE_CHUNKS;
    }
    if (offset + len < image->body_offset) {
        return RB_OK;
    }
    rb_sha256_finish(hash, root);
    return rb_equal(root, image->chunk_root, sizeof root) ? RB_OK : RB_ERR_IMAGE_CHUNKS;
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
    rb_sha256_start(&s->body);
    rb_sha256_start(&s->table);
}

void
rb_image_stream_resume(struct rb_image_stream *s, const struct rb_image *image, uint32_t verified_len,
                       const struct rb_sha256 *body)
{
    s->image = *image;
    s->offset = verified_len;
    s->held = 0;
    s->body = *body;
    s->failed = verified_len >= image->body_offset && verified_len <= rb_image_len(image) ? RB_OK : RB_ERR_ARG;
}

/* Bytes of the unit that starts at s->offset; 0 behind the image. Units end at multiples of the chunk length, so a
 * run never straddles a program unit or a flash sector. */
static uint32_t
unit_len(const struct rb_image_stream *s)
{
    if (s->offset < RB_IMAGE_HEADER_LEN) {
        return RB_IMAGE_HEADER_LEN;
    }
    return min_u32(RB_IMAGE_CHUNK_LEN - s->offset % RB_IMAGE_CHUNK_LEN, rb_image_len(&s->image) - s->offset);
}

static rb_err
check_chunk(struct rb_image_stream *s, uint32_t len)
{
    uint32_t index = (s->offset - s->image.body_offset) / RB_IMAGE_CHUNK_LEN;
    uint8_t want[ENTRY_LEN];
    uint8_t got[ENTRY_LEN];

    RB_TRY(s->reread(s->ctx, RB_IMAGE_HEADER_LEN + index * ENTRY_LEN, want, sizeof want));
    rb_sha256(s->unit, len, got);
    return rb_equal(want, got, sizeof got) ? RB_OK : RB_ERR_IMAGE_BODY;
}

static rb_err
take_unit(struct rb_image_stream *s, uint32_t len)
{
    if (s->offset == 0) {
        RB_TRY(rb_image_header_verify(s->unit, s->keys, &s->image));
        RB_TRY(rb_image_admit(&s->image, s->policy));
    } else if (s->offset < s->image.body_offset) {
        RB_TRY(table_piece(&s->image, &s->table, s->offset, s->unit, len));
    } else {
        RB_TRY(check_chunk(s, len));
        rb_sha256_update(&s->body, s->unit, len);
    }
    RB_TRY(s->emit(s->ctx, s->offset, s->unit, len));
    s->offset += len;
    s->held = 0;
    return RB_OK;
}

rb_err
rb_image_stream_feed(struct rb_image_stream *s, const uint8_t *data, uint32_t len)
{
    while (len > 0 && s->failed == RB_OK) {
        uint32_t want = unit_len(s);
        if (want == 0) {
            s->failed = RB_ERR_IMAGE_TRAILING;
            break;
        }
        uint32_t take = min_u32(want - s->held, len);
        rb_copy(s->unit + s->held, data, take);
        s->held += take;
        data += take;
        len -= take;
        if (s->held == want) {
            s->failed = take_unit(s, want);
        }
    }
    return s->failed;
}

rb_err
rb_image_stream_finish(struct rb_image_stream *s)
{
    uint8_t digest[RB_SHA256_LEN];

    RB_TRY(s->failed);
    s->failed = RB_ERR_IMAGE_SIZE; /* used up, and the answer when the image is not complete */
    if (s->offset < RB_IMAGE_HEADER_LEN || s->held > 0 || s->offset != rb_image_len(&s->image)) {
        return RB_ERR_IMAGE_SIZE;
    }
    rb_sha256_finish(&s->body, digest);
    return rb_equal(digest, s->image.body_sha256, sizeof digest) ? RB_OK : RB_ERR_IMAGE_BODY;
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

static rb_err
slot_table(const struct rb_flash *flash, uint32_t slot_address, const struct rb_image *image, uint8_t *scratch)
{
    struct rb_sha256 hash;
    uint32_t offset = RB_IMAGE_HEADER_LEN;

    rb_sha256_start(&hash);
    while (offset < image->body_offset) {
        uint32_t len = RB_IMAGE_CHUNK_LEN - offset % RB_IMAGE_CHUNK_LEN;
        RB_TRY(flash->read(flash->ctx, slot_address + offset, scratch, len));
        RB_TRY(table_piece(image, &hash, offset, scratch, len));
        offset += len;
    }
    return RB_OK;
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
        RB_TRY(flash->read(flash->ctx, slot_address + image->body_offset + at, to, len));
        rb_sha256_update(&hash, to, len);
        if (image->body_len - at <= RB_IMAGE_CHUNK_LEN) {
            break; /* `at` must not wrap */
        }
    }
    rb_sha256_finish(&hash, digest);
    return rb_equal(digest, image->body_sha256, sizeof digest) ? RB_OK : RB_ERR_IMAGE_BODY;
}

/* Nothing is smuggled behind the image in its last sector. */
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
    RB_TRY(slot_table(flash, slot_address, image, scratch));
    RB_TRY(slot_body(flash, slot_address, image, scratch, area));
    return slot_trailing(flash, slot_address, image, scratch);
}

rb_err
rb_image_slot_verify(const struct rb_flash *flash, uint32_t slot_address, const struct rb_image_keys *keys,
                     const struct rb_image_policy *policy, uint8_t *scratch, struct rb_image *out)
{
    RB_TRY(rb_image_slot_header(flash, slot_address, keys, policy, out));
    return rb_image_slot_load(flash, slot_address, out, scratch, NULL);
}

/* Whether the chunk at body byte `at` is right; on return `scratch` holds it. */
static rb_err
slot_chunk(const struct rb_flash *flash, uint32_t slot_address, const struct rb_image *image, uint32_t at,
           uint8_t *scratch, uint32_t len)
{
    uint32_t entry = RB_IMAGE_HEADER_LEN + at / RB_IMAGE_CHUNK_LEN * ENTRY_LEN;
    uint8_t want[ENTRY_LEN];
    uint8_t got[ENTRY_LEN];

    RB_TRY(flash->read(flash->ctx, slot_address + entry, want, sizeof want));
    RB_TRY(flash->read(flash->ctx, slot_address + image->body_offset + at, scratch, len));
    rb_sha256(scratch, len, got);
    return rb_equal(want, got, sizeof got) ? RB_OK : RB_ERR_IMAGE_BODY;
}

/* The image from its first byte to `len`, and the digest of the body that far. */
struct prefix {
    uint32_t len;
    struct rb_sha256 body;
};

/* Walk the chunks while they are right. *last: the longest verified prefix that ends with a sector or the image,
 * *before: the one before that. Returns what ended the walk. */
static rb_err
walk_chunks(const struct rb_flash *flash, uint32_t slot_address, const struct rb_image *image, uint8_t *scratch,
            struct prefix *before, struct prefix *last)
{
    struct rb_sha256 hash = last->body;
    uint32_t at = 0;

    while (at < image->body_len) {
        uint32_t len = min_u32(RB_IMAGE_CHUNK_LEN, image->body_len - at);
        RB_TRY(slot_chunk(flash, slot_address, image, at, scratch, len));
        rb_sha256_update(&hash, scratch, len);
        at += len;
        if (at == image->body_len || (image->body_offset + at) % flash->sector_size == 0) {
            *before = *last;
            *last = (struct prefix){image->body_offset + at, hash};
        }
    }
    return RB_OK;
}

/* The operation that was cut may have been the one that wrote the last chunk: then its bits may read well now and not
 * later. It counts only if it reads well several times. */
static rb_err
last_chunk_steady(const struct rb_flash *flash, uint32_t slot_address, const struct rb_image *image, uint8_t *scratch,
                  uint32_t verified_len)
{
    uint32_t body_len = verified_len - image->body_offset;
    uint32_t at = (body_len - 1) / RB_IMAGE_CHUNK_LEN * RB_IMAGE_CHUNK_LEN;

    for (int i = 0; i < LOOKS; i++) {
        RB_TRY(slot_chunk(flash, slot_address, image, at, scratch, body_len - at));
    }
    return RB_OK;
}

/* Errors that are not an answer about the flash's content. */
static bool
no_answer(rb_err err)
{
    return err == RB_ERR_FLASH_POWER || err == RB_ERR_FLASH_RANGE;
}

rb_err
rb_image_slot_progress(const struct rb_flash *flash, uint32_t slot_address, const struct rb_image_keys *keys,
                       const struct rb_image_policy *policy, uint8_t *scratch, struct rb_image *out,
                       uint32_t *verified_len, struct rb_sha256 *body)
{
    struct prefix before;
    struct prefix last = {.len = 0};

    rb_sha256_start(&last.body);
    before = last;
    rb_err err = rb_image_slot_header(flash, slot_address, keys, policy, out);
    if (err == RB_OK) {
        err = slot_table(flash, slot_address, out, scratch);
    }
    if (err == RB_OK) {
        err = walk_chunks(flash, slot_address, out, scratch, &before, &last);
    }
    if (!no_answer(err) && last.len > 0) {
        err = last_chunk_steady(flash, slot_address, out, scratch, last.len);
        if (err != RB_OK) {
            last = before;
        }
    }
    *verified_len = last.len;
    *body = last.body;
    return no_answer(err) ? err : RB_OK;
}
