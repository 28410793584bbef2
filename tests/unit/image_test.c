/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/host/file.h"
#include "tests/support/device.h"
#include "tests/support/test.h"

#include <stdlib.h>

/* --- header ----------------------------------------------------------------------------------------------------- */

TEST(header_comes_back_as_it_was_built)
{
    struct device_image image;
    struct rb_image got;
    const struct rb_image_keys keys = device_keys();
    uint8_t key_id[RB_IMAGE_KEY_ID_LEN];

    device_image(&image, 3, 7);
    CHECK_OK(rb_image_header_verify(image.data, &keys, &got));
    CHECK(got.type == RB_IMAGE_APP && got.affinity == RB_IMAGE_ANY_SLOT && got.security_counter == 7);
    CHECK(rb_image_table_offset(&got) == 12288 && got.body_len == DEVICE_BODY_LEN && got.chunk_count == 2);
    CHECK(strcmp(got.version, "3.0.0") == 0);
    CHECK(got.hardware_count == 1 && strcmp(got.hardware[0], DEVICE_HARDWARE) == 0);
    CHECK(rb_image_len(&got) == image.len);
    rb_image_key_id(device_public_keys()[0], key_id);
    CHECK(memcmp(got.key_id, key_id, sizeof key_id) == 0);
}

TEST(BUILD_02_the_same_input_gives_the_same_image)
{
    struct device_image one;
    struct device_image two;

    device_image(&one, 3, 7);
    device_image(&two, 3, 7);
    CHECK(one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
}

/* TRUST-27. RB_FULL=1 takes every bit; otherwise one bit of each byte, because each costs a signature check. */
TEST(TRUST_27_IMAGE_07_header_with_a_flipped_bit_is_refused)
{
    struct device_image image;
    struct rb_image got;
    const struct rb_image_keys keys = device_keys();
    size_t step = getenv("RB_FULL") != NULL ? 1 : 9;
    unsigned tried = 0;

    device_image(&image, 3, 7);
    for (size_t bit = 0; bit < 8 * RB_IMAGE_HEADER_LEN; bit += step) {
        image.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        rb_err err = rb_image_header_verify(image.data, &keys, &got);
        CHECK(err == (bit < 32 ? RB_ERR_IMAGE_MAGIC : bit < 64 ? RB_ERR_IMAGE_VERSION : RB_ERR_IMAGE_SIGNATURE));
        image.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        tried++;
    }
    CHECK(tried > 400);
}

TEST(header_of_another_signer_is_refused)
{
    struct device_image image;
    struct rb_image got;
    const struct forge_image_spec spec = {.version = "1", .hardware = {DEVICE_HARDWARE}, .hardware_count = 1};
    const struct rb_image_keys ours = {device_public_keys(), 1};
    const struct rb_image_keys both = {device_public_keys(), 2};
    const struct rb_image_keys none = {device_public_keys(), 0};

    device_image_of(&image, &spec, (const uint8_t *)"x", 1, 1);
    CHECK_ERR(rb_image_header_verify(image.data, &ours, &got), RB_ERR_IMAGE_SIGNATURE);
    CHECK_ERR(rb_image_header_verify(image.data, &none, &got), RB_ERR_IMAGE_SIGNATURE);
    CHECK_OK(rb_image_header_verify(image.data, &both, &got));
}

/* Sign whatever bytes 0..447 are, as a signer that lost its mind would. */
static void
resign(uint8_t *header)
{
    uint8_t digest[RB_SHA256_LEN];

    rb_sha256(header, RB_IMAGE_SIGNED_LEN, digest);
    CHECK_OK(forge_key_sign_p256(device_key(0), digest, header + RB_IMAGE_SIGNED_LEN));
}

static void
signed_but_refused(size_t offset, const void *bytes, size_t len)
{
    struct device_image image;
    struct rb_image got;
    const struct rb_image_keys keys = device_keys();

    device_image(&image, 3, 7);
    memcpy(image.data + offset, bytes, len);
    resign(image.data);
    CHECK_ERR(rb_image_header_verify(image.data, &keys, &got), RB_ERR_IMAGE_FIELD);
}

static void
signed_field_refused(size_t offset, uint32_t value)
{
    uint8_t raw[4];
    struct rb_writer w = rb_writer_of(raw, sizeof raw);

    rb_write_u32(&w, value);
    signed_but_refused(offset, raw, sizeof raw);
}

TEST(TRUST_21_IMAGE_11_signed_fields_out_of_range_are_refused)
{
    signed_but_refused(8, "\0", 1);             /* type */
    signed_but_refused(8, "\3", 1);
    signed_but_refused(9, "\3", 1);             /* affinity */
    signed_but_refused(10, "\1", 1);            /* unknown flag: compressed, encrypted, whatever comes */
    signed_but_refused(11, "\x80", 1);
    signed_field_refused(16, 512);              /* body_offset: always 4096 */
    signed_field_refused(16, 8192);
    signed_field_refused(16, 0xfffff000);
    signed_field_refused(20, 0);                /* body_len */
    signed_field_refused(20, 0xffffffff);       /* IMAGE-03: offset + length wraps */
    signed_field_refused(20, 0xfffff000);
    signed_field_refused(24, 8192);             /* chunk_len */
    signed_field_refused(28, 0);                /* hardware_count */
    signed_field_refused(28, 2);                /* more than are named */
    signed_field_refused(28, 5);
    signed_field_refused(28, 0x101);            /* 257: not 1 */
    signed_but_refused(32, "\1", 1);            /* load address behind the entry */
    signed_but_refused(40, "\x70\x17", 2);      /* IMAGE-05: entry = 6000, the first byte behind the body */
    signed_but_refused(48, "\0", 1);            /* version empty */
    signed_but_refused(48, "1 2", 3);           /* space */
    signed_but_refused(48, "\x1b[2J", 4);       /* escape sequences */
    signed_but_refused(48, "1\0" "2", 3);       /* something behind the end of the text */
    signed_but_refused(80, "\0", 1);            /* hardware empty */
    signed_but_refused(80, "\xff", 1);          /* not ASCII */
    signed_but_refused(112, "x", 1);            /* id behind the last one */
    signed_but_refused(280, "\1", 1);           /* reserved */
    signed_but_refused(447, "\1", 1);
}

/* IMAGE-05: a body that wraps around the address space. */
TEST(IMAGE_05_load_address_that_wraps_is_refused)
{
    struct rb_image image;
    struct device_image built;
    uint8_t header[RB_IMAGE_SIGNED_LEN];

    device_image(&built, 1, 1);
    image = built.parsed;
    image.load_address = UINT64_MAX - DEVICE_BODY_LEN;
    image.entry_address = image.load_address;
    CHECK_OK(rb_image_header_encode(&image, header));
    image.load_address++;
    image.entry_address++;
    CHECK_ERR(rb_image_header_encode(&image, header), RB_ERR_IMAGE_FIELD);
}

/* TRUST-19: what is signed elsewhere in Riverbank is the SHA-256 of other bytes; it never fits a header. */
TEST(TRUST_19_signature_over_other_bytes_is_refused)
{
    struct device_image image;
    struct rb_image got;
    const struct rb_image_keys keys = device_keys();
    uint8_t digest[RB_SHA256_LEN];

    device_image(&image, 1, 1);
    rb_sha256(image.data + 4, RB_IMAGE_SIGNED_LEN - 4, digest); /* everything but the magic */
    CHECK_OK(forge_key_sign_p256(device_key(0), digest, image.data + RB_IMAGE_SIGNED_LEN));
    CHECK_ERR(rb_image_header_verify(image.data, &keys, &got), RB_ERR_IMAGE_SIGNATURE);
}

/* --- admission -------------------------------------------------------------------------------------------------- */

TEST(TRUST_24_hardware_is_matched_whole)
{
    struct device_image image;
    uint8_t body[4096] = {1};
    static const char long_id[] = "abcdefghijklmnopqrstuvwxyz012345"; /* 32 characters: no NUL in the field */
    const struct forge_image_spec spec = {
        .version = "1", .hardware = {"board-1", "board-22", long_id}, .hardware_count = 3};
    struct rb_image_policy policy = {.slot_size = 1u << 20, .type = RB_IMAGE_APP};
    static const char *const fit[] = {"board-1", "board-22", long_id};
    static const char *const others[] = {
        "board-10", "board-", "board-2", "Board-1", "", "abcdefghijklmnopqrstuvwxyz01234",
        "abcdefghijklmnopqrstuvwxyz0123456"};

    device_image_of(&image, &spec, body, sizeof body, 0);
    for (size_t i = 0; i < sizeof fit / sizeof fit[0]; i++) {
        policy.hardware = fit[i];
        CHECK_OK(rb_image_admit(&image.parsed, &policy));
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        policy.hardware = others[i];
        CHECK_ERR(rb_image_admit(&image.parsed, &policy), RB_ERR_IMAGE_HARDWARE);
    }
}

TEST(TRUST_03_floor_is_compared_unsigned)
{
    static const uint32_t v[] = {0, 1, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff};
    struct device_image built;
    struct rb_image image;
    struct rb_image_policy policy = {.hardware = DEVICE_HARDWARE, .slot_size = 1u << 20, .type = RB_IMAGE_APP};

    device_image(&built, 1, 0);
    image = built.parsed;
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        for (size_t k = 0; k < sizeof v / sizeof v[0]; k++) {
            image.security_counter = v[i];
            policy.floor = v[k];
            CHECK_ERR(rb_image_admit(&image, &policy), i >= k ? RB_OK : RB_ERR_IMAGE_ROLLBACK);
        }
    }
}

TEST(IMAGE_02_admission_looks_at_size_type_and_slot)
{
    struct device_image image;
    struct rb_image_policy policy = {.hardware = DEVICE_HARDWARE, .type = RB_IMAGE_APP};

    device_image(&image, 1, 0);
    policy.slot_size = image.len;
    CHECK_OK(rb_image_admit(&image.parsed, &policy));
    policy.slot_size = image.len - 1;
    CHECK_ERR(rb_image_admit(&image.parsed, &policy), RB_ERR_IMAGE_SIZE);
    policy.slot_size = image.len;
    image.parsed.type = RB_IMAGE_RECOVERY;
    CHECK_ERR(rb_image_admit(&image.parsed, &policy), RB_ERR_IMAGE_FIELD);
    image.parsed.type = RB_IMAGE_APP;
    for (uint8_t affinity = RB_IMAGE_ANY_SLOT; affinity <= RB_IMAGE_SLOT_B; affinity++) {
        for (uint8_t slot = 0; slot < 2; slot++) {
            image.parsed.affinity = affinity;
            policy.slot = slot;
            CHECK_ERR(rb_image_admit(&image.parsed, &policy),
                      affinity == RB_IMAGE_ANY_SLOT || affinity == slot + 1 ? RB_OK : RB_ERR_IMAGE_FIELD);
        }
    }
}

/* --- stream ----------------------------------------------------------------------------------------------------- */

struct sink {
    uint8_t *data;
    uint32_t len;
    uint32_t refuse_at; /* emit fails at this offset; 0: never */
};

static rb_err
emit(void *ctx, uint32_t offset, const uint8_t *data, uint32_t len)
{
    struct sink *s = ctx;

    CHECK(offset == s->len && len > 0);
    if (s->refuse_at != 0 && offset >= s->refuse_at) {
        return RB_ERR_FLASH_PROGRAM;
    }
    memcpy(s->data + offset, data, len);
    s->len += len;
    return RB_OK;
}

static rb_err
reread(void *ctx, uint32_t offset, uint8_t *out, uint32_t len)
{
    const struct sink *s = ctx;

    CHECK(offset + len <= s->len);
    memcpy(out, s->data + offset, len);
    return RB_OK;
}

static const struct rb_image_policy any_policy = {
    .hardware = DEVICE_HARDWARE, .slot_size = 1u << 26, .type = RB_IMAGE_APP};
static struct rb_image_stream stream;
static struct sink sink;
static struct rb_image_keys stream_keys;

static void
start_stream(void)
{
    free(sink.data);
    sink = (struct sink){.data = rb_alloc(1u << 22)};
    stream_keys = device_keys();
    rb_image_stream_init(&stream, &stream_keys, &any_policy, emit, reread, &sink);
}

/* Header and body, as a payload carries them. */
static uint8_t *
compact(const struct device_image *image)
{
    uint8_t *data = rb_alloc(image->len);

    memcpy(data, image->data, image->len);
    forge_image_compact(data, &image->parsed);
    return data;
}

static rb_err
stream_all(const uint8_t *data, uint32_t len, uint32_t piece)
{
    start_stream();
    for (uint32_t at = 0; at < len; at += piece) {
        RB_TRY(rb_image_stream_feed(&stream, data + at, len - at < piece ? len - at : piece));
    }
    return rb_image_stream_finish(&stream);
}

static rb_err
stream_image(const struct device_image *image, uint32_t piece)
{
    uint8_t *data = compact(image);
    rb_err err = stream_all(data, rb_image_compact_len(&image->parsed), piece);

    free(data);
    return err;
}

TEST(stream_makes_the_image_of_its_compact_form_in_any_split)
{
    static const uint32_t pieces[] = {1, 2, 3, 511, 512, 513, 4095, 4096, 4097, 100000};
    struct device_image image;

    device_image(&image, 1, 1);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        CHECK_OK(stream_image(&image, pieces[i]));
        CHECK(sink.len == image.len && memcmp(sink.data, image.data, image.len) == 0);
    }
}

TEST(stream_makes_a_long_table)
{
    size_t body_len = 701u * 4096u; /* ends with a whole chunk: no padding */
    uint8_t *body = rb_alloc(body_len);
    struct device_image image;
    const struct forge_image_spec spec = {.version = "1", .hardware = {DEVICE_HARDWARE}, .hardware_count = 1};

    for (size_t i = 0; i < body_len; i++) {
        body[i] = (uint8_t)(i / 4096);
    }
    device_image_of(&image, &spec, body, body_len, 0);
    CHECK(image.parsed.chunk_count == 701 && image.len == 4096 + body_len + 701 * 32);
    CHECK_OK(stream_image(&image, 5000));
    CHECK(sink.len == image.len && memcmp(sink.data, image.data, image.len) == 0);
    image.data[4096 + 700 * 4096] ^= 1;
    CHECK_ERR(stream_image(&image, 5000), RB_ERR_IMAGE_CHUNKS);
    free(body);
}

TEST(IMAGE_01_stream_truncated_at_every_length_is_refused)
{
    struct device_image image;

    device_image(&image, 1, 1);
    uint8_t *data = compact(&image);
    start_stream();
    for (uint32_t len = 0; len < rb_image_compact_len(&image.parsed); len++) {
        struct rb_image_stream here = stream; /* may be copied: it holds no memory of its own */
        CHECK_ERR(rb_image_stream_finish(&here), RB_ERR_IMAGE_SIZE);
        CHECK_OK(rb_image_stream_feed(&stream, data + len, 1));
    }
    CHECK_OK(rb_image_stream_finish(&stream));
    CHECK_ERR(rb_image_stream_finish(&stream), RB_ERR_IMAGE_SIZE); /* used up */
    free(data);
}

TEST(IMAGE_06_stream_refuses_bytes_behind_the_end)
{
    struct device_image image;

    device_image(&image, 1, 1);
    uint8_t *data = compact(&image);
    uint32_t len = rb_image_compact_len(&image.parsed);
    start_stream();
    CHECK_OK(rb_image_stream_feed(&stream, data, len));
    CHECK_ERR(rb_image_stream_feed(&stream, data, 1), RB_ERR_IMAGE_TRAILING);
    CHECK_ERR(rb_image_stream_finish(&stream), RB_ERR_IMAGE_TRAILING);
    CHECK_ERR(stream_all(data, len + 1, 100000), RB_ERR_IMAGE_TRAILING);
    free(data);
}

TEST(TRUST_27_stream_refuses_a_flipped_bit_anywhere_in_the_body)
{
    struct device_image image;

    device_image(&image, 1, 1);
    uint8_t *data = compact(&image);
    start_stream();
    CHECK_OK(rb_image_stream_feed(&stream, data, RB_IMAGE_HEADER_LEN));
    const struct rb_image_stream behind_header = stream;
    for (uint32_t at = RB_IMAGE_HEADER_LEN; at < rb_image_compact_len(&image.parsed); at++) {
        data[at] ^= (uint8_t)(1u << (at % 8));
        stream = behind_header;
        sink.len = RB_IMAGE_BODY_OFFSET;
        CHECK_OK(rb_image_stream_feed(&stream, data + RB_IMAGE_HEADER_LEN, image.parsed.body_len));
        CHECK_ERR(rb_image_stream_finish(&stream), RB_ERR_IMAGE_CHUNKS);
        data[at] ^= (uint8_t)(1u << (at % 8));
    }
    free(data);
}

/* What counts is what can be read back, not what was fed. */
TEST(POWER_08_stream_finds_what_the_flash_did_not_keep)
{
    struct device_image image;

    device_image(&image, 1, 1);
    uint8_t *data = compact(&image);
    start_stream();
    CHECK_OK(rb_image_stream_feed(&stream, data, rb_image_compact_len(&image.parsed)));
    sink.data[5000] ^= 1;
    CHECK_ERR(rb_image_stream_finish(&stream), RB_ERR_IMAGE_CHUNKS);
    free(data);
}

TEST(stream_refuses_before_it_emits_and_stays_refusing)
{
    struct device_image image;
    struct device_image foreign;
    const struct forge_image_spec spec = {.version = "1", .hardware = {"board-b"}, .hardware_count = 1};

    device_image(&image, 1, 1);
    image.data[100] ^= 1;
    CHECK_ERR(stream_all(image.data, image.len, 64), RB_ERR_IMAGE_SIGNATURE);
    CHECK(sink.len == 0);
    image.data[100] ^= 1;
    CHECK_ERR(rb_image_stream_feed(&stream, image.data, image.len), RB_ERR_IMAGE_SIGNATURE);
    device_image_of(&foreign, &spec, image.data, 10, 0);
    CHECK_ERR(stream_all(foreign.data, foreign.len, 64), RB_ERR_IMAGE_HARDWARE);
    CHECK(sink.len == 0);
}

TEST(stream_passes_on_what_emit_says)
{
    struct device_image image;

    device_image(&image, 1, 1);
    start_stream();
    sink.refuse_at = 4096;
    CHECK_ERR(rb_image_stream_feed(&stream, image.data, 5000), RB_ERR_FLASH_PROGRAM);
    CHECK(sink.len == 4096);
    CHECK_ERR(rb_image_stream_feed(&stream, image.data, 1), RB_ERR_FLASH_PROGRAM);
}

TEST(stream_goes_on_behind_what_was_put_before)
{
    struct device_image image;

    device_image(&image, 1, 1);
    uint8_t *data = compact(&image);
    for (uint32_t from = RB_IMAGE_BODY_OFFSET; from <= RB_IMAGE_BODY_OFFSET + DEVICE_BODY_LEN; from += 500) {
        uint32_t at = from - RB_IMAGE_BODY_OFFSET + RB_IMAGE_HEADER_LEN;
        start_stream();
        memcpy(sink.data, image.data, from);
        sink.len = from;
        CHECK_OK(rb_image_stream_resume(&stream, from));
        CHECK_OK(rb_image_stream_feed(&stream, data + at, rb_image_compact_len(&image.parsed) - at));
        CHECK_OK(rb_image_stream_finish(&stream));
        CHECK(sink.len == image.len && memcmp(sink.data, image.data, image.len) == 0);
    }
    free(data);
}

TEST(stream_does_not_go_on_from_what_is_not_this_image)
{
    struct device_image image;

    device_image(&image, 1, 1);
    start_stream();
    memcpy(sink.data, image.data, image.len);
    sink.len = image.len;
    CHECK_ERR(rb_image_stream_resume(&stream, 512), RB_ERR_ARG);
    CHECK_ERR(rb_image_stream_resume(&stream, RB_IMAGE_BODY_OFFSET + DEVICE_BODY_LEN + 1), RB_ERR_ARG);
    sink.data[100] ^= 1;
    CHECK_ERR(rb_image_stream_resume(&stream, 4096), RB_ERR_IMAGE_SIGNATURE);
    CHECK_ERR(rb_image_stream_feed(&stream, image.data, 1), RB_ERR_IMAGE_SIGNATURE);
    sink.data[100] ^= 1;
    sink.data[5000] ^= 1; /* what was put before is not right: found at the end */
    CHECK_OK(rb_image_stream_resume(&stream, 8192));
    sink.len = 8192;
    CHECK_OK(rb_image_stream_feed(&stream, image.data + 8192, RB_IMAGE_BODY_OFFSET + DEVICE_BODY_LEN - 8192));
    CHECK_ERR(rb_image_stream_finish(&stream), RB_ERR_IMAGE_CHUNKS);
}

TEST(compact_form_is_read_across_its_seam)
{
    static struct device d;
    struct device_image image;
    uint8_t got[600];

    device_init(&d, 1024, 8);
    device_image(&image, 1, 1);
    device_put(&d, RB_SLOT_B, &image);
    uint8_t *data = compact(&image);
    for (uint32_t at = 0; at < 1100; at += 50) {
        CHECK_OK(rb_image_read_compact(&d.guarded, d.config.slot[1], at, got, sizeof got));
        CHECK(memcmp(got, data + at, sizeof got) == 0);
    }
    free(data);
}

/* --- whole files ------------------------------------------------------------------------------------------------ */

static rb_err
verify_file(const struct device_image *image, size_t len)
{
    struct rb_image got;
    const struct rb_image_keys keys = device_keys();

    return forge_image_verify(image->data, len, &keys, &any_policy, &got);
}

TEST(TRUST_27_file_with_a_flipped_bit_anywhere_is_refused)
{
    struct device_image image;

    device_image(&image, 1, 1);
    CHECK_OK(verify_file(&image, image.len));
    for (uint32_t at = RB_IMAGE_HEADER_LEN; at < image.len; at += 7) {
        image.data[at] ^= (uint8_t)(1u << (at % 8));
        bool in_body = at >= RB_IMAGE_BODY_OFFSET && at < RB_IMAGE_BODY_OFFSET + DEVICE_BODY_LEN;
        CHECK_ERR(verify_file(&image, image.len), in_body ? RB_ERR_IMAGE_BODY : RB_ERR_IMAGE_CHUNKS);
        image.data[at] ^= (uint8_t)(1u << (at % 8));
    }
}

TEST(IMAGE_06_file_of_another_length_is_refused)
{
    struct device_image image;

    device_image(&image, 1, 1);
    CHECK_ERR(verify_file(&image, image.len - 1), RB_ERR_IMAGE_SIZE);
    CHECK_ERR(verify_file(&image, 100), RB_ERR_IMAGE_SIZE);
    CHECK_ERR(verify_file(&image, image.len + 1), RB_ERR_IMAGE_TRAILING);
}

/* A body that matches its chunks but not the digest: only a broken signer makes it; it is refused all the same. */
TEST(file_with_a_wrong_body_digest_is_refused)
{
    struct device_image image;

    device_image(&image, 1, 1);
    image.data[208] ^= 1;
    resign(image.data);
    CHECK_ERR(verify_file(&image, image.len), RB_ERR_IMAGE_BODY);
}

/* --- slots ------------------------------------------------------------------------------------------------------ */

static struct device device;
static uint8_t scratch[RB_IMAGE_CHUNK_LEN];

static rb_err
slot_verify(void)
{
    struct rb_image got;
    const struct rb_image_keys keys = device_keys();
    const struct rb_image_policy policy = device_policy(&device, RB_SLOT_A, 0);

    return rb_image_slot_verify(&device.guarded, device.config.slot[0], &keys, &policy, scratch, &got);
}

TEST(IMAGE_07_slot_with_a_flipped_bit_is_refused)
{
    struct device_image image;
    uint8_t area[8192];

    device_init(&device, 1024, 8);
    device_image(&image, 1, 1);
    device_put(&device, RB_SLOT_A, &image);
    CHECK_OK(slot_verify());
    uint32_t slot = device.config.slot[0];
    CHECK_OK(rb_image_slot_load(&device.guarded, slot, &image.parsed, scratch, area));
    CHECK(memcmp(area, image.data + 4096, DEVICE_BODY_LEN) == 0);
    for (uint32_t at = RB_IMAGE_HEADER_LEN; at < image.len; at++) {
        device_rot(&device, slot + at, at % 8);
        CHECK_ERR(rb_image_slot_load(&device.guarded, slot, &image.parsed, scratch, at % 2 == 0 ? area : NULL),
                  at < RB_IMAGE_BODY_OFFSET                         ? RB_ERR_IMAGE_TRAILING
                  : at < RB_IMAGE_BODY_OFFSET + DEVICE_BODY_LEN     ? RB_ERR_IMAGE_BODY
                  : at < rb_image_table_offset(&image.parsed) ? RB_ERR_IMAGE_TRAILING
                                                              : RB_ERR_IMAGE_CHUNKS);
        device_rot(&device, slot + at, at % 8);
    }
    CHECK_OK(slot_verify());
}

TEST(IMAGE_06_bytes_behind_the_image_in_its_last_sector_are_refused)
{
    struct device_image image;
    uint8_t zeros[8] = {0};

    device_init(&device, 1024, 8);
    device_image(&image, 1, 1);
    device_put(&device, RB_SLOT_A, &image);
    uint32_t end = device.config.slot[0] + image.len; /* 12352: its last sector ends at 13312 */
    device_rot(&device, end, 0);
    CHECK_ERR(slot_verify(), RB_ERR_IMAGE_TRAILING);
    device_rot(&device, end, 0);
    device_rot(&device, device.config.slot[0] + 13311, 7);
    CHECK_ERR(slot_verify(), RB_ERR_IMAGE_TRAILING);
    device_rot(&device, device.config.slot[0] + 13311, 7);
    device_rot(&device, device.config.slot[0] + 13312, 7); /* the next sector is nobody's business */
    CHECK_OK(slot_verify());
    CHECK_OK(device.guarded.program(&device, end, zeros, 8)); /* zeros are fine as padding */
    CHECK_OK(slot_verify());
}

TEST(slot_that_is_blank_or_garbage_is_refused)
{
    device_init(&device, 1024, 8);
    CHECK_ERR(slot_verify(), RB_ERR_IMAGE_MAGIC);
    for (uint32_t at = 0; at < 512; at++) {
        device_rot(&device, device.config.slot[0] + at, at % 8);
    }
    CHECK_ERR(slot_verify(), RB_ERR_IMAGE_MAGIC);
}
