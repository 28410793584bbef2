/* SPDX-License-Identifier: Apache-2.0 */
#include "server-tools/image.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <stdlib.h>
#include <string.h>

static rb_err
set_text(char *field, size_t size, const char *text, const char *what)
{
    size_t len = text != NULL ? strlen(text) : 0;

    if (len == 0 || len >= size) {
        return rb_fail(RB_ERR_IMAGE_FIELD, "%s: wants 1 to %zu characters", what, size - 1);
    }
    memcpy(field, text, len);
    if (!rb_image_text_valid(field, size - 1)) {
        return rb_fail(RB_ERR_IMAGE_FIELD, "%s \"%s\": printable ASCII without spaces only", what, text);
    }
    return RB_OK;
}

static rb_err
describe(const struct forge_image_spec *spec, size_t body_len, struct rb_image *out)
{
    *out = (struct rb_image){
        .type = spec->type != 0 ? spec->type : RB_IMAGE_APP,
        .affinity = spec->affinity,
        .security_counter = spec->security_counter,
        .load_address = spec->load_address,
        .entry_address = spec->entry_address,
    };
    RB_TRY(set_text(out->version, sizeof out->version, spec->version, "version"));
    if (spec->hardware_count < 1 || spec->hardware_count > RB_IMAGE_HARDWARE_MAX) {
        return rb_fail(RB_ERR_IMAGE_FIELD, "hardware: wants 1 to %u ids", RB_IMAGE_HARDWARE_MAX);
    }
    out->hardware_count = (uint8_t)spec->hardware_count;
    for (unsigned i = 0; i < spec->hardware_count; i++) {
        RB_TRY(set_text(out->hardware[i], sizeof out->hardware[i], spec->hardware[i], "hardware"));
        for (unsigned k = 0; k < i; k++) {
            if (strcmp(out->hardware[i], out->hardware[k]) == 0) {
                return rb_fail(RB_ERR_IMAGE_FIELD, "hardware %s is named twice", spec->hardware[i]);
            }
        }
    }
    if (body_len == 0) {
        return rb_fail(RB_ERR_IMAGE_FIELD, "the body is empty");
    }
    out->chunk_count = (uint32_t)((body_len + RB_IMAGE_CHUNK_LEN - 1) / RB_IMAGE_CHUNK_LEN);
    out->body_len = (uint32_t)body_len;
    if (spec->entry_address < spec->load_address || spec->entry_address - spec->load_address >= body_len) {
        return rb_fail(RB_ERR_IMAGE_FIELD, "the entry address lies outside of the body");
    }
    return RB_OK;
}

static rb_err
sign(struct rb_image *image, const struct forge_key *key, uint8_t *header)
{
    uint8_t public_key[RB_P256_KEY_LEN];
    uint8_t digest[RB_SHA256_LEN];

    RB_TRY(forge_key_public_p256(key, public_key));
    rb_image_key_id(public_key, image->key_id);
    if (rb_image_header_encode(image, header) != RB_OK) {
        return rb_fail(RB_ERR_IMAGE_FIELD, "the body wraps around the end of the address space");
    }
    rb_sha256(header, RB_IMAGE_SIGNED_LEN, digest);
    return forge_key_sign_p256(key, digest, header + RB_IMAGE_SIGNED_LEN);
}

rb_err
forge_image_build(const struct forge_image_spec *spec, const uint8_t *body, size_t body_len,
                  const struct forge_key *key, uint8_t **image, size_t *len)
{
    struct rb_image description;

    if (body_len > FORGE_IMAGE_BODY_MAX) {
        return rb_fail(RB_ERR_IMAGE_FIELD, "the body has %zu bytes, at most %u are possible", body_len,
                       FORGE_IMAGE_BODY_MAX);
    }
    RB_TRY(describe(spec, body_len, &description));
    uint8_t *out = rb_alloc(rb_image_len(&description));
    uint8_t *table = out + rb_image_table_offset(&description);
    memcpy(out + RB_IMAGE_BODY_OFFSET, body, body_len);
    for (uint32_t i = 0; i < description.chunk_count; i++) {
        size_t at = (size_t)i * RB_IMAGE_CHUNK_LEN;
        size_t left = body_len - at;
        rb_sha256(body + at, left < RB_IMAGE_CHUNK_LEN ? left : RB_IMAGE_CHUNK_LEN, table + i * RB_SHA256_LEN);
    }
    rb_sha256(body, body_len, description.body_sha256);
    rb_sha256(table, (size_t)description.chunk_count * RB_SHA256_LEN, description.chunk_root);
    rb_err err = sign(&description, key, out);
    if (err != RB_OK) {
        free(out);
        return err;
    }
    *image = out;
    *len = rb_image_len(&description);
    return RB_OK;
}

/* --- checking whole image files --------------------------------------------------------------------------------- */

struct held {
    const uint8_t *data;
    size_t len;
};

static rb_err
compare(void *ctx, uint32_t offset, const uint8_t *data, uint32_t len)
{
    const struct held *file = ctx;

    if (offset > file->len || len > file->len - offset) {
        return RB_ERR_IMAGE_SIZE;
    }
    return memcmp(file->data + offset, data, len) == 0 ? RB_OK : RB_ERR_IMAGE_CHUNKS;
}

static rb_err
reread(void *ctx, uint32_t offset, uint8_t *out, uint32_t len)
{
    const struct held *file = ctx;

    if (offset > file->len || len > file->len - offset) {
        return RB_ERR_IMAGE_SIZE;
    }
    memcpy(out, file->data + offset, len);
    return RB_OK;
}

/* Put the compact form through the stream that a device uses; what it makes must be the file. */
static rb_err
through_stream(struct rb_image_stream *s, struct held *file)
{
    uint8_t body[RB_SHA256_LEN];

    RB_TRY(rb_image_stream_feed(s, file->data, RB_IMAGE_HEADER_LEN));
    if (file->len != rb_image_len(&s->image)) {
        return rb_fail(file->len < rb_image_len(&s->image) ? RB_ERR_IMAGE_SIZE : RB_ERR_IMAGE_TRAILING,
                       "%zu bytes, the header says %u", file->len, rb_image_len(&s->image));
    }
    rb_sha256(file->data + RB_IMAGE_BODY_OFFSET, s->image.body_len, body);
    if (!rb_equal(body, s->image.body_sha256, sizeof body)) {
        return RB_ERR_IMAGE_BODY;
    }
    RB_TRY(rb_image_stream_feed(s, file->data + RB_IMAGE_BODY_OFFSET, s->image.body_len));
    return rb_image_stream_finish(s);
}

rb_err
forge_image_verify(const uint8_t *data, size_t len, const struct rb_image_keys *keys,
                   const struct rb_image_policy *policy, struct rb_image *image)
{
    struct held file = {data, len};

    if (len < RB_IMAGE_HEADER_LEN) {
        return rb_fail(RB_ERR_IMAGE_SIZE, "%zu bytes", len);
    }
    struct rb_image_stream *s = rb_alloc(sizeof *s);
    rb_image_stream_init(s, keys, policy, compare, reread, &file);
    rb_err err = through_stream(s, &file);
    *image = s->image;
    free(s);
    return err;
}

void
forge_image_compact(uint8_t *data, const struct rb_image *image)
{
    memmove(data + RB_IMAGE_HEADER_LEN, data + RB_IMAGE_BODY_OFFSET, image->body_len);
}
