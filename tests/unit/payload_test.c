/* SPDX-License-Identifier: Apache-2.0
 *
 * Payloads: header, segments, decoder, and the encoder that makes them. Rows DELTA-01 to DELTA-11 of the catalogue of
 * attacks are named where they are answered.
 */
#include "lib/core/payload.h"
#include "lib/core/payload_model.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "server-tools/delta.h"
#include "server-tools/delta_internal.h"
#include "tests/support/test.h"

#include <stdlib.h>

/* ---- inputs ---- */

static uint64_t random_state;

static uint32_t
random32(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 16);
}

struct blob {
    uint8_t *data;
    size_t len;
};

static struct blob
blob(size_t len)
{
    return (struct blob){.data = rb_alloc(len), .len = len};
}

/* Bytes that look a little like firmware: words that repeat, tables, strings, some noise. */
static struct blob
firmware(uint64_t seed, size_t len)
{
    struct blob b = blob(len);

    random_state = seed * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < len; i++) {
        switch (i / 256 % 4) {
        case 0: /* code */
            b.data[i] = (i & 3) == 3 ? 0xe5 : (uint8_t)(random32() % 23 * 11);
            break;
        case 1: /* a table of pointers */
            b.data[i] = (i & 3) == 0 ? (uint8_t)(i / 4) : (i & 3) == 3 ? 0x80 : 0;
            break;
        case 2: /* text */
            b.data[i] = (uint8_t)"the quick brown fox jumps over "[(i + random32() % 2) % 31];
            break;
        default:
            b.data[i] = i % 512 < 400 ? 0xff : (uint8_t)random32();
        }
    }
    return b;
}

static struct blob
noise(uint64_t seed, size_t len)
{
    struct blob b = blob(len);

    random_state = seed * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < len; i++) {
        b.data[i] = (uint8_t)random32();
    }
    return b;
}

/* A later version of `old`: bytes changed, pieces inserted, removed and moved. */
static struct blob
mutated(const struct blob *old, uint64_t seed)
{
    struct blob b = blob(old->len + 4096);
    size_t out = 0;

    random_state = seed * 0x2545f4914f6cdd1du + 1;
    for (size_t i = 0; i < old->len && out < b.len - 64;) {
        uint32_t what = random32() % 2000;
        if (what == 0) {
            i += random32() % 64;
        } else if (what == 1) {
            for (uint32_t n = random32() % 48; n > 0; n--) {
                b.data[out++] = (uint8_t)random32();
            }
        } else if (what == 2) {
            i = random32() % old->len;
        } else if (what < 12) {
            b.data[out++] = (uint8_t)(old->data[i++] + 1);
        } else {
            b.data[out++] = old->data[i++];
        }
    }
    b.len = out > 0 ? out : 1;
    return b;
}

static struct blob
encoded(const struct blob *old, const struct blob *new, uint32_t memory)
{
    const struct forge_payload_options options = {.memory = memory, .effort = 5};
    struct blob p = {0};

    CHECK_OK(forge_payload_encode(old != NULL ? old->data : NULL, old != NULL ? old->len : 0, new->data, new->len,
                                  &options, &p.data, &p.len));
    return p;
}

static rb_err
applied(const struct blob *payload, const struct blob *old, struct blob *new)
{
    return forge_payload_decode(payload->data, payload->len, old != NULL ? old->data : NULL,
                                old != NULL ? old->len : 0, 0, &new->data, &new->len);
}

/* Encodes, decodes, compares; the payload's length. */
static size_t
round_trip(const struct blob *old, const struct blob *new, uint32_t memory)
{
    struct blob p = encoded(old, new, memory);
    struct blob again = {0};

    CHECK_OK(applied(&p, old, &again));
    CHECK(again.len == new->len && memcmp(again.data, new->data, new->len) == 0);
    size_t len = p.len;
    free(p.data);
    free(again.data);
    return len;
}

/* ---- round trips ---- */

TEST(full_payloads_give_the_file_back)
{
    static const size_t lens[] = {1, 2, 3, 4095, 4096, 4097, 65535, 65536, 65537, 200000};

    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        struct blob a = firmware(i, lens[i]);
        struct blob b = noise(i, lens[i]);
        (void)round_trip(NULL, &a, 0);
        (void)round_trip(NULL, &b, 0);
        free(a.data);
        free(b.data);
    }
}

TEST(deltas_give_the_file_back)
{
    static const uint32_t memories[] = {64u << 10, 100000, 512u << 10, 4u << 20};

    for (uint64_t seed = 0; seed < 12; seed++) {
        struct blob old = seed % 3 == 2 ? noise(seed, 90000) : firmware(seed, 30000 + seed * 17001);
        struct blob new = mutated(&old, seed);
        size_t len = round_trip(&old, &new, memories[seed % 4]);
        CHECK(len < new.len / 2);
        free(old.data);
        free(new.data);
    }
}

TEST(deltas_between_strangers_give_the_file_back)
{
    struct blob a = noise(1, 150000);
    struct blob b = noise(2, 150000);
    struct blob c = firmware(3, 150000);
    struct blob zeros = blob(300000);
    struct blob one = firmware(4, 1);
    struct blob part = {.data = c.data + 1000, .len = 50000};

    CHECK(round_trip(&a, &b, 0) < b.len + 1000);
    (void)round_trip(&a, &c, 0);
    (void)round_trip(&c, &a, 0);
    CHECK(round_trip(&a, &zeros, 0) < 400);
    (void)round_trip(&zeros, &a, 0);
    (void)round_trip(&one, &c, 0);
    (void)round_trip(&c, &one, 0);
    CHECK(round_trip(&c, &part, 0) < 400);
    (void)round_trip(&part, &c, 0);
    free(a.data);
    free(b.data);
    free(c.data);
    free(zeros.data);
    free(one.data);
}

TEST(a_delta_to_the_same_file_is_one_tiny_segment)
{
    struct blob a = firmware(7, 1000000);

    CHECK(round_trip(&a, &a, 0) < RB_PAYLOAD_FIXED_LEN + RB_PAYLOAD_ENTRY_LEN + 64);
    free(a.data);
}

TEST(samples_are_smaller_than_their_rivals)
{
    /* bsdiff 4.3 and gzip -9 on the same files. */
    static const struct {
        const char *name;
        size_t bsdiff;
        size_t gzip;
    } samples[] = {
        {"mcu-t2-pybricks-prime", 22851, 215261},
        {"boot-arm-uboot-qemu", 340545, 515744},
    };

    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        struct blob old = {0};
        struct blob new = {0};
        char *path = rb_text("%s/../shared/samples/firmware/%s", test_tree(), samples[i].name);
        char *old_path = rb_text("%s.old", path);
        char *new_path = rb_text("%s.new", path);
        if (!rb_file_exists(old_path)) {
            test_skip("../shared/samples is not here");
        }
        CHECK_OK(rb_file_read(old_path, 64u << 20, &old.data, &old.len));
        CHECK_OK(rb_file_read(new_path, 64u << 20, &new.data, &new.len));
        CHECK(round_trip(&old, &new, 512u << 10) < samples[i].bsdiff * 3 / 4);
        CHECK(round_trip(NULL, &new, 512u << 10) < samples[i].gzip * 19 / 20);
        if (i == 0) {
            CHECK(round_trip(&old, &new, 64u << 10) < samples[i].bsdiff * 9 / 10);
            CHECK(round_trip(NULL, &new, 64u << 10) < samples[i].gzip);
        }
        free(path);
        free(old_path);
        free(new_path);
        free(old.data);
        free(new.data);
    }
}

/* ---- a decoder run by hand ---- */

/* The world of one decoder. Checks what a decoder promises about its calls; files and memory are blocks of their own,
 * so that the sanitizer sees a step beyond. */
struct world {
    const struct blob *old;
    struct rb_payload payload;
    uint8_t *new;
    uint64_t written;
    uint64_t reads;
    uint64_t fail_read;  /* this read of old fails; 0: none */
    uint64_t flip_reads; /* reads from this one on give changed bytes; 0: none */
    void *memory;
    struct rb_payload_decoder *decoder;
};

static rb_err
world_read_old(void *ctx, uint64_t offset, uint8_t *out, uint32_t len)
{
    struct world *w = ctx;

    w->reads++;
    CHECK(len > 0 && offset <= w->payload.old_len && len <= w->payload.old_len - offset);
    if (w->reads == w->fail_read) {
        return RB_ERR_FLASH_READ;
    }
    memcpy(out, w->old->data + offset, len);
    if (w->flip_reads != 0 && w->reads >= w->flip_reads) {
        out[len / 2] ^= 1;
    }
    return RB_OK;
}

static rb_err
world_write_new(void *ctx, uint64_t offset, const uint8_t *data, uint32_t len)
{
    struct world *w = ctx;

    CHECK(len > 0 && offset == w->written && len <= w->payload.new_len - offset);
    memcpy(w->new + offset, data, len);
    w->written += len;
    return RB_OK;
}

static const struct rb_payload_io world_io = {.read_old = world_read_old, .write_new = world_write_new};

/* Opens a payload whose header is good, to start at a segment. */
static rb_err
world_start(struct world *w, const struct blob *payload, const struct blob *old, uint32_t first, uint64_t new_offset)
{
    struct rb_payload_io io = world_io;
    uint32_t header_len;

    *w = (struct world){.old = old};
    CHECK_OK(rb_payload_header_len(payload->data, &header_len));
    RB_TRY(rb_payload_parse(payload->data, header_len, &w->payload));
    w->memory = rb_alloc(w->payload.memory);
    w->new = rb_alloc((size_t)w->payload.new_len);
    w->written = new_offset;
    io.ctx = w;
    return rb_payload_decoder_init(w->memory, w->payload.memory, &w->payload, &io, first, new_offset, &w->decoder);
}

static void
world_end(struct world *w)
{
    free(w->memory);
    free(w->new);
}

/* Decodes the segments from `first` on, each from a block of its own. */
static rb_err
world_run(struct world *w, const struct blob *payload, uint32_t first)
{
    struct rb_payload_segment s;

    for (uint32_t i = 0; i < w->payload.segment_count; i++) {
        rb_payload_segment(&w->payload, i, i == 0 ? NULL : &s, &s);
        if (i < first) {
            continue;
        }
        uint8_t *copy = rb_alloc(s.len);
        memcpy(copy, payload->data + s.offset, s.len);
        rb_err err = rb_payload_decode(w->decoder, copy, s.len);
        free(copy);
        RB_TRY(err);
        CHECK(w->written == s.new_offset + s.new_len);
    }
    return RB_OK;
}

/* Both; what the whole gives, and the output in *digest. */
static rb_err
world_apply(const struct blob *payload, const struct blob *old, uint8_t digest[RB_SHA256_LEN])
{
    struct world w;
    rb_err err = world_start(&w, payload, old, 0, 0);

    if (err == RB_OK) {
        err = world_run(&w, payload, 0);
    }
    if (err == RB_OK) {
        CHECK(w.written == w.payload.new_len);
        rb_sha256(w.new, (size_t)w.payload.new_len, digest);
    }
    world_end(&w);
    return err;
}

/* Makes the table's hash of segment `index` right again. */
static void
rehash(struct blob *payload, uint32_t index)
{
    struct rb_payload p;
    struct rb_payload_segment s;
    uint32_t header_len;

    CHECK_OK(rb_payload_header_len(payload->data, &header_len));
    CHECK_OK(rb_payload_parse(payload->data, header_len, &p));
    for (uint32_t i = 0; i <= index; i++) {
        rb_payload_segment(&p, i, i == 0 ? NULL : &s, &s);
    }
    rb_sha256(payload->data + s.offset, s.len,
              payload->data + RB_PAYLOAD_FIXED_LEN + index * RB_PAYLOAD_ENTRY_LEN + 8);
}

static void
put_le(uint8_t *at, uint64_t v, unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        at[i] = (uint8_t)(v >> (8 * i));
    }
}

/* ---- header ---- */

TEST(DELTA_10_each_header_field_is_checked)
{
    static const struct {
        unsigned at;
        unsigned len;
        uint64_t v;
        rb_err want;
    } faults[] = {
        {0, 1, 'X', RB_ERR_PAYLOAD_MAGIC},
        {3, 1, '2', RB_ERR_PAYLOAD_MAGIC},
        {4, 2, 0, RB_ERR_PAYLOAD_VERSION},
        {4, 2, 2, RB_ERR_PAYLOAD_VERSION},
        {6, 2, 1, RB_ERR_PAYLOAD_FIELD},
        {6, 2, 0x8000, RB_ERR_PAYLOAD_FIELD},
        {8, 4, 2, RB_ERR_PAYLOAD_VERSION},
        {8, 4, UINT32_MAX, RB_ERR_PAYLOAD_VERSION},
        {8, 4, RB_PAYLOAD_RAW, RB_ERR_PAYLOAD_FIELD},
        {12, 4, 0, RB_ERR_PAYLOAD_FIELD},
        {12, 4, 2048, RB_ERR_PAYLOAD_FIELD},
        {12, 4, UINT32_MAX, RB_ERR_PAYLOAD_FIELD},
        {16, 8, 0, RB_ERR_PAYLOAD_FIELD},
        {16, 8, (UINT64_C(1) << 40) + 1, RB_ERR_PAYLOAD_FIELD},
        {16, 8, UINT64_MAX, RB_ERR_PAYLOAD_FIELD},
        {24, 8, 0, RB_ERR_PAYLOAD_FIELD},
        {24, 8, 1, RB_ERR_PAYLOAD_FIELD},
        {24, 8, 1000000, RB_ERR_PAYLOAD_FIELD},
        {24, 8, UINT64_MAX, RB_ERR_PAYLOAD_FIELD},
        {96, 4, 0, RB_ERR_PAYLOAD_FIELD},
        {96, 4, 65537, RB_ERR_PAYLOAD_FIELD},
        {96, 4, UINT32_MAX, RB_ERR_PAYLOAD_FIELD},
        {100, 4, 65537, RB_ERR_PAYLOAD_FIELD},
        {104, 1, 0, RB_ERR_PAYLOAD_FIELD},
        {104, 1, 11, RB_ERR_PAYLOAD_FIELD},
        {104, 1, 25, RB_ERR_PAYLOAD_FIELD},
        {104, 1, 255, RB_ERR_PAYLOAD_FIELD},
        {105, 1, 11, RB_ERR_PAYLOAD_FIELD},
        {105, 1, 25, RB_ERR_PAYLOAD_FIELD},
        {106, 1, 0, RB_ERR_PAYLOAD_FIELD},
        {106, 1, 11, RB_ERR_PAYLOAD_FIELD},
        {106, 1, 19, RB_ERR_PAYLOAD_FIELD},
        {107, 1, 1, RB_ERR_PAYLOAD_FIELD},
        {191, 1, 0x80, RB_ERR_PAYLOAD_FIELD},
        {192, 4, 0, RB_ERR_PAYLOAD_FIELD},
        {192, 4, 65537, RB_ERR_PAYLOAD_FIELD},
        {192, 4, UINT32_MAX, RB_ERR_PAYLOAD_FIELD},
        {196, 4, 0, RB_ERR_PAYLOAD_FIELD},
        {196, 4, UINT32_MAX, RB_ERR_PAYLOAD_FIELD},
    };
    struct blob old = firmware(1, 5000);
    struct blob new = mutated(&old, 1);
    struct blob good = encoded(&old, &new, 0);
    struct rb_payload p;

    CHECK_OK(rb_payload_parse(good.data, RB_PAYLOAD_FIXED_LEN + RB_PAYLOAD_ENTRY_LEN, &p));
    CHECK(p.segment_count == 1 && p.old_len == old.len && p.new_len == new.len && p.coding == RB_PAYLOAD_MIXED);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        uint8_t header[RB_PAYLOAD_FIXED_LEN + RB_PAYLOAD_ENTRY_LEN];
        uint32_t header_len = RB_PAYLOAD_FIXED_LEN + RB_PAYLOAD_ENTRY_LEN;
        memcpy(header, good.data, sizeof header);
        put_le(header + faults[i].at, faults[i].v, faults[i].len);
        if (faults[i].at < RB_PAYLOAD_FIXED_LEN && faults[i].at != 24) {
            CHECK_ERR(rb_payload_header_len(header, &header_len), faults[i].want);
        }
        CHECK_ERR(rb_payload_parse(header, sizeof header, &p), faults[i].want);
    }
    free(old.data);
    free(new.data);
    free(good.data);
}

TEST(the_header_ends_where_it_says)
{
    struct blob new = noise(1, 200000);
    struct blob good = encoded(NULL, &new, 0);
    struct rb_payload p;
    uint32_t len;

    CHECK_OK(rb_payload_header_len(good.data, &len));
    CHECK(len == RB_PAYLOAD_FIXED_LEN + 4 * RB_PAYLOAD_ENTRY_LEN);
    for (uint32_t i = 0; i < len; i++) {
        uint8_t *copy = rb_alloc(i);
        memcpy(copy, good.data, i);
        CHECK_ERR(rb_payload_parse(copy, i, &p), RB_ERR_TRUNCATED);
        free(copy);
    }
    CHECK_ERR(rb_payload_parse(good.data, len + 1, &p), RB_ERR_PAYLOAD_FIELD);
    put_le(good.data + 32, 1, 1); /* an old hash without an old file */
    CHECK_ERR(rb_payload_parse(good.data, len, &p), RB_ERR_PAYLOAD_FIELD);
    put_le(good.data + 32, 0, 1);
    put_le(good.data + 192, 65535, 4); /* not raw in coding RAW */
    CHECK_ERR(rb_payload_parse(good.data, len, &p), RB_ERR_PAYLOAD_FIELD);
    free(new.data);
    free(good.data);
}

TEST(noise_travels_raw_in_blocks_of_64_KiB)
{
    struct blob new = noise(1, 200000);
    struct blob good = encoded(NULL, &new, 0);
    struct rb_payload p;
    struct rb_payload_segment s;

    CHECK_OK(rb_payload_parse(good.data, RB_PAYLOAD_FIXED_LEN + 4 * RB_PAYLOAD_ENTRY_LEN, &p));
    CHECK(p.coding == RB_PAYLOAD_RAW && p.memory == 2048 && p.restart_every == 1);
    for (uint32_t i = 0; i < 4; i++) {
        rb_payload_segment(&p, i, i == 0 ? NULL : &s, &s);
        CHECK(s.new_offset == i * 65536u && s.len == s.new_len && s.offset == p.header_len + i * 65536u);
        CHECK(rb_payload_is_restart(&p, i));
    }
    CHECK(good.len == p.header_len + new.len);
    free(new.data);
    free(good.data);
}

/* ---- damage ---- */

TEST(DELTA_07_a_payload_cut_anywhere_is_refused)
{
    struct blob old = firmware(2, 3000);
    struct blob new = mutated(&old, 2);
    struct blob good = encoded(&old, &new, 64u << 10);

    for (size_t len = 0; len < good.len; len++) {
        struct blob cut = {.data = rb_alloc(len), .len = len};
        struct blob out;
        memcpy(cut.data, good.data, len);
        CHECK(applied(&cut, &old, &out) != RB_OK);
        free(cut.data);
    }
    free(old.data);
    free(new.data);
    free(good.data);
}

TEST(a_payload_with_any_byte_changed_is_refused)
{
    struct blob old = firmware(3, 3000);
    struct blob new = mutated(&old, 3);
    struct blob good = encoded(&old, &new, 64u << 10);

    for (size_t i = 0; i < good.len; i++) {
        static const uint8_t flips[] = {0x01, 0x80, 0xff};
        for (size_t f = 0; f < sizeof flips; f++) {
            struct blob out;
            if (i >= 100 && i < 104) {
                continue; /* restart_every: of no consequence with one segment; its hash is what signs it */
            }
            good.data[i] ^= flips[f];
            CHECK(applied(&good, &old, &out) != RB_OK);
            good.data[i] ^= flips[f];
        }
    }
    free(old.data);
    free(new.data);
    free(good.data);
}

TEST(DELTA_11_a_segment_is_taken_whole_or_not_at_all)
{
    struct blob old = firmware(4, 20000);
    struct blob new = mutated(&old, 4);
    struct blob good = encoded(&old, &new, 0);
    struct rb_payload_segment s;
    struct world w;

    CHECK_OK(world_start(&w, &good, &old, 0, 0));
    rb_payload_segment(&w.payload, 0, NULL, &s);
    CHECK_ERR(rb_payload_decode(w.decoder, good.data + s.offset, 1), RB_ERR_PAYLOAD_SEGMENT);
    CHECK_ERR(rb_payload_decode(w.decoder, good.data + s.offset, s.len - 1), RB_ERR_PAYLOAD_SEGMENT);
    CHECK_ERR(rb_payload_decode(w.decoder, good.data + s.offset - 1, s.len), RB_ERR_PAYLOAD_SEGMENT);
    CHECK(w.written == 0 && w.reads == 0);
    CHECK_OK(rb_payload_decode(w.decoder, good.data + s.offset, s.len));
    CHECK(w.written == new.len && memcmp(w.new, new.data, new.len) == 0);
    CHECK_ERR(rb_payload_decode(w.decoder, good.data + s.offset, s.len), RB_ERR_ARG);
    world_end(&w);
    free(old.data);
    free(new.data);
    free(good.data);
}

/* ---- base ---- */

TEST(DELTA_05_a_delta_is_applied_to_its_base_only)
{
    struct blob old = firmware(5, 20000);
    struct blob new = mutated(&old, 5);
    struct blob good = encoded(&old, &new, 0);
    struct blob shorter = {.data = old.data, .len = old.len - 1};
    struct blob out;

    CHECK_ERR(applied(&good, &new, &out), RB_ERR_PAYLOAD_BASE);
    CHECK_ERR(applied(&good, &shorter, &out), RB_ERR_PAYLOAD_BASE);
    CHECK_ERR(applied(&good, NULL, &out), RB_ERR_PAYLOAD_BASE);
    old.data[19999] ^= 1;
    CHECK_ERR(applied(&good, &old, &out), RB_ERR_PAYLOAD_BASE);
    free(old.data);
    free(new.data);
    free(good.data);
}

TEST(DELTA_06_a_base_that_changes_or_fails_under_way_never_gives_the_new_file)
{
    struct blob old = firmware(6, 100000);
    struct blob new = mutated(&old, 6);
    struct blob good = encoded(&old, &new, 64u << 10);

    for (uint64_t read = 1; read < 40; read++) {
        struct world w;
        CHECK_OK(world_start(&w, &good, &old, 0, 0));
        w.flip_reads = read;
        rb_err err = world_run(&w, &good, 0);
        CHECK(err == RB_ERR_PAYLOAD_STREAM
              || (err == RB_OK && (w.reads < read || memcmp(w.new, new.data, new.len) != 0)));
        world_end(&w);

        CHECK_OK(world_start(&w, &good, &old, 0, 0));
        w.fail_read = read;
        err = world_run(&w, &good, 0);
        CHECK(err == RB_ERR_FLASH_READ || (err == RB_OK && w.reads < read));
        if (err != RB_OK) {
            CHECK_ERR(world_run(&w, &good, 0), RB_ERR_FLASH_READ); /* a failed decoder stays failed */
        }
        world_end(&w);
    }
    free(old.data);
    free(new.data);
    free(good.data);
}

/* ---- streams made by someone who knows the hashes ---- */

static void
try_hostile(struct blob *payload, const struct blob *old)
{
    uint8_t digest[RB_SHA256_LEN];
    rb_err err = world_apply(payload, old, digest);

    if (err != RB_OK) {
        CHECK_ERR(err, RB_ERR_PAYLOAD_STREAM);
    }
}

TEST(DELTA_01_hostile_segments_end_in_an_error_or_the_declared_length)
{
    for (uint64_t seed = 0; seed < 6; seed++) {
        struct blob old = firmware(seed, 2500);
        struct blob new = mutated(&old, seed);
        struct blob good = encoded(seed % 3 == 0 ? NULL : &old, &new, 64u << 10);
        size_t body = RB_PAYLOAD_FIXED_LEN + RB_PAYLOAD_ENTRY_LEN;
        random_state = seed + 99;
        for (int round = 0; round < 700; round++) {
            struct blob bad = blob(good.len);
            memcpy(bad.data, good.data, good.len);
            size_t at = body + random32() % (good.len - body);
            if (round % 10 == 0) { /* all noise from here on */
                for (; at < bad.len; at++) {
                    bad.data[at] = (uint8_t)random32();
                }
            } else {
                bad.data[at] = (uint8_t)(bad.data[at] ^ (1 + random32() % 255));
            }
            if (round % 7 == 0) { /* and another length of output */
                uint32_t new_len = 1 + random32() % 20000;
                put_le(bad.data + 24, new_len, 8);
                put_le(bad.data + 196, new_len, 4);
            }
            rehash(&bad, 0);
            try_hostile(&bad, &old);
            free(bad.data);
        }
        free(old.data);
        free(new.data);
        free(good.data);
    }
}

TEST(DELTA_02_copies_outside_the_old_file_are_refused)
{
    struct blob old = firmware(8, 40000);
    struct blob new = {.data = old.data + 10000, .len = 29000}; /* reads old 10000 .. 39000 */
    struct blob good = encoded(&old, &new, 64u << 10);
    uint8_t digest[RB_SHA256_LEN];

    CHECK_OK(world_apply(&good, &old, digest));
    put_le(good.data + 16, 39000, 8);
    CHECK_OK(world_apply(&good, &old, digest));
    put_le(good.data + 16, 38999, 8);
    CHECK_ERR(world_apply(&good, &old, digest), RB_ERR_PAYLOAD_STREAM);
    put_le(good.data + 16, 9999, 8);
    CHECK_ERR(world_apply(&good, &old, digest), RB_ERR_PAYLOAD_STREAM);
    put_le(good.data + 16, 1, 8);
    CHECK_ERR(world_apply(&good, &old, digest), RB_ERR_PAYLOAD_STREAM);
    free(old.data);
    free(good.data);
}

TEST(DELTA_03_tokens_beyond_the_segment_are_refused)
{
    struct blob old = firmware(9, 40000);
    struct blob zeros = blob(40000);
    struct blob delta = encoded(&old, &old, 64u << 10);
    struct blob full = encoded(NULL, &zeros, 64u << 10);
    uint8_t digest[RB_SHA256_LEN];

    for (uint32_t less = 1; less < 39000; less += 3700) {
        put_le(delta.data + 24, 40000 - less, 8);
        put_le(delta.data + 196, 40000 - less, 4);
        CHECK_ERR(world_apply(&delta, &old, digest), RB_ERR_PAYLOAD_STREAM);
        put_le(full.data + 24, 40000 - less, 8);
        put_le(full.data + 196, 40000 - less, 4);
        CHECK_ERR(world_apply(&full, NULL, digest), RB_ERR_PAYLOAD_STREAM);
    }
    free(old.data);
    free(zeros.data);
    free(delta.data);
    free(full.data);
}

/* A repeat 30000 bytes apart, which a smaller window or a restart point in between cuts off. */
TEST(matches_before_the_window_or_the_restart_point_are_refused)
{
    struct blob new = noise(10, 90000);
    struct blob good = {0};
    struct rb_payload p;
    uint8_t digest[RB_SHA256_LEN];

    memcpy(new.data + 60000, new.data + 30000, 30000);
    good = encoded(NULL, &new, 0);
    CHECK_OK(rb_payload_parse(good.data, RB_PAYLOAD_FIXED_LEN + 2 * RB_PAYLOAD_ENTRY_LEN, &p));
    CHECK(p.restart_every == 4 && p.window_bits >= 15);
    CHECK_OK(world_apply(&good, NULL, digest));
    put_le(good.data + 100, 1, 4);
    CHECK_ERR(world_apply(&good, NULL, digest), RB_ERR_PAYLOAD_STREAM);
    put_le(good.data + 100, 4, 4);
    put_le(good.data + 104, 13, 1);
    put_le(good.data + 12, rb_payload_memory(p.coding, 13, p.table_bits, 0), 4);
    CHECK_ERR(world_apply(&good, NULL, digest), RB_ERR_PAYLOAD_STREAM);
    free(new.data);
    free(good.data);
}

/* The encoder would never do this: a match that a decoder which goes on at the restart point could not make. */
TEST(a_match_across_a_restart_point_is_refused)
{
    struct blob new = noise(18, 65536 + 1100);
    const struct forge_files files = {.new = new.data, .new_len = new.len};
    struct forge_code_options options = {.window_bits = 17, .table_bits = 12, .restart = 65536, .segment = 65536};
    struct forge_token *list = rb_alloc((65536 + 101) * sizeof *list); /* literals */
    const struct forge_tokens tokens = {.list = list, .count = 65536 + 101};
    uint8_t digest[RB_SHA256_LEN];

    memcpy(new.data + 65536, new.data + 25536, 1000);
    for (size_t i = 0; i < tokens.count; i++) {
        list[i].len = 1;
    }
    list[65536] = (struct forge_token){.kind = RB_PM_MATCH, .len = 1000, .from = 40000};
    for (int far = 0; far < 2; far++) { /* the same without a restart point in between is good */
        struct forge_segments s;
        options.restart = far ? 0 : 65536;
        CHECK_OK(forge_code(&files, &tokens, &options, &s));
        CHECK(s.count == 2 && s.list[0].len == 65536 && s.list[1].len < 300);
        struct blob p = blob(RB_PAYLOAD_FIXED_LEN + 2 * RB_PAYLOAD_ENTRY_LEN + s.bytes_len);
        memcpy(p.data, "RBP1\1", 5);
        put_le(p.data + 8, RB_PAYLOAD_MIXED, 4);
        put_le(p.data + 12, rb_payload_memory(RB_PAYLOAD_MIXED, 17, 12, 0), 4);
        put_le(p.data + 24, new.len, 8);
        put_le(p.data + 96, 2, 4);
        put_le(p.data + 100, far ? 0 : 1, 4);
        put_le(p.data + 104, 17, 1);
        put_le(p.data + 105, 12, 1);
        for (uint32_t i = 0; i < 2; i++) {
            put_le(p.data + RB_PAYLOAD_FIXED_LEN + i * RB_PAYLOAD_ENTRY_LEN, s.list[i].len, 4);
            put_le(p.data + RB_PAYLOAD_FIXED_LEN + i * RB_PAYLOAD_ENTRY_LEN + 4, s.list[i].new_len, 4);
        }
        memcpy(p.data + RB_PAYLOAD_FIXED_LEN + 2 * RB_PAYLOAD_ENTRY_LEN, s.bytes, s.bytes_len);
        rehash(&p, 0);
        rehash(&p, 1);
        CHECK_ERR(world_apply(&p, NULL, digest), far ? RB_OK : RB_ERR_PAYLOAD_STREAM);
        free(p.data);
        forge_segments_free(&s);
    }
    free(list);
    free(new.data);
}

TEST(DELTA_04_a_tiny_segment_cannot_keep_the_decoder_busy)
{
    struct blob old = firmware(11, 3000);
    struct blob payload = encoded(&old, &old, 64u << 10);
    uint32_t stored = (uint32_t)payload.len - RB_PAYLOAD_FIXED_LEN - RB_PAYLOAD_ENTRY_LEN;

    CHECK(stored < 16);
    put_le(payload.data + 24, 50000000, 8);
    put_le(payload.data + 196, 50000000, 4);
    for (unsigned v = 0; v < 256; v += 5) {
        memset(payload.data + payload.len - stored, (int)v, stored);
        rehash(&payload, 0);
        struct world w;
        CHECK_OK(world_start(&w, &payload, &old, 0, 0));
        CHECK_ERR(world_run(&w, &payload, 0), RB_ERR_PAYLOAD_STREAM);
        CHECK(w.written < 1000000); /* of 50 million asked for */
        world_end(&w);
    }
    free(old.data);
    free(payload.data);
}

TEST(bytes_left_over_in_a_segment_are_refused)
{
    struct blob old = firmware(12, 3000);
    struct blob good = encoded(&old, &old, 64u << 10);
    struct blob longer = blob(good.len + 5);
    uint32_t stored = (uint32_t)good.len - RB_PAYLOAD_FIXED_LEN - RB_PAYLOAD_ENTRY_LEN;
    uint8_t digest[RB_SHA256_LEN];

    memcpy(longer.data, good.data, good.len);
    put_le(longer.data + 192, stored + 5, 4);
    rehash(&longer, 0);
    CHECK_ERR(world_apply(&longer, &old, digest), RB_ERR_PAYLOAD_STREAM);
    free(old.data);
    free(good.data);
    free(longer.data);
}

/* ---- memory ---- */

TEST(DELTA_08_the_decoder_keeps_to_the_memory_declared)
{
    static const uint32_t limits[] = {64u << 10, 100000, 128u << 10, 512u << 10, 1u << 20, 8u << 20};
    struct blob old = firmware(13, 900000);
    struct blob new = mutated(&old, 13);
    struct blob out;

    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct blob p = encoded(&old, &new, limits[i]);
        struct world w;
        CHECK_OK(world_start(&w, &p, &old, 0, 0)); /* with a block of exactly that size */
        CHECK(w.payload.memory <= limits[i]);
        CHECK_OK(world_run(&w, &p, 0));
        CHECK(memcmp(w.new, new.data, new.len) == 0);
        struct rb_payload_decoder *d;
        CHECK_ERR(rb_payload_decoder_init(w.memory, w.payload.memory - 1, &w.payload, &world_io, 0, 0, &d),
                  RB_ERR_PAYLOAD_MEMORY);
        w.payload.memory -= 1;
        CHECK_ERR(rb_payload_decoder_init(w.memory, w.payload.memory + 1, &w.payload, &world_io, 0, 0, &d),
                  RB_ERR_PAYLOAD_MEMORY);
        CHECK_ERR(forge_payload_decode(p.data, p.len, old.data, old.len, w.payload.memory, &out.data, &out.len),
                  RB_ERR_PAYLOAD_MEMORY);
        world_end(&w);
        free(p.data);
    }
    free(old.data);
    free(new.data);
}

TEST(encoder_refuses_what_it_cannot_do)
{
    const struct forge_payload_options tiny = {.memory = 65535};
    uint8_t byte = 1;
    uint8_t *out;
    size_t len;

    CHECK_ERR(forge_payload_encode(NULL, 0, &byte, 1, &tiny, &out, &len), RB_ERR_ARG);
    rb_fail_clear();
    CHECK_ERR(forge_payload_encode(NULL, 0, &byte, 0, NULL, &out, &len), RB_ERR_ARG);
}

/* ---- continuing ---- */

TEST(decoding_starts_at_every_restart_point_and_nowhere_else)
{
    struct blob new = firmware(14, 1200000);
    struct blob p = encoded(NULL, &new, 0);
    struct rb_payload_segment s;
    uint32_t restarts = 0;

    for (uint32_t i = 0; i < 19; i++) {
        struct world w;
        uint32_t header_len;
        CHECK_OK(rb_payload_header_len(p.data, &header_len));
        struct rb_payload parsed;
        CHECK_OK(rb_payload_parse(p.data, header_len, &parsed));
        CHECK(parsed.segment_count == 19 && parsed.restart_every == 4);
        rb_payload_segment(&parsed, i, i == 0 ? NULL : &s, &s);
        CHECK(s.new_offset == (uint64_t)i * 65536);
        rb_err err = world_start(&w, &p, NULL, i, s.new_offset);
        if (rb_payload_is_restart(&parsed, i)) {
            restarts++;
            CHECK_OK(err);
            CHECK_OK(world_run(&w, &p, i));
            CHECK(memcmp(w.new + s.new_offset, new.data + s.new_offset, new.len - s.new_offset) == 0);
        } else {
            CHECK_ERR(err, RB_ERR_ARG);
        }
        world_end(&w);
    }
    CHECK(restarts == 5);
    free(new.data);
    free(p.data);
}

TEST(a_delta_of_many_segments_is_decoded_from_the_first)
{
    struct blob old = noise(15, 300000);
    struct blob new = noise(16, 400000);
    struct blob p = {0};
    struct world w;

    for (size_t i = 0; i < old.len; i += 5000) { /* half of new is in old, in pieces */
        memcpy(new.data + i, old.data + (i * 7) % 290000, 2500);
    }
    p = encoded(&old, &new, 0);
    CHECK_OK(world_start(&w, &p, &old, 0, 0));
    CHECK(w.payload.segment_count > 3 && w.payload.restart_every == 0);
    CHECK_OK(world_run(&w, &p, 0));
    CHECK(memcmp(w.new, new.data, new.len) == 0);
    world_end(&w);
    CHECK_ERR(world_start(&w, &p, &old, 1, 1000), RB_ERR_ARG);
    world_end(&w);
    free(old.data);
    free(new.data);
    free(p.data);
}

TEST(BUILD_01_the_same_files_give_the_same_payload)
{
    struct blob old = firmware(17, 50000);
    struct blob new = mutated(&old, 17);
    struct blob a = encoded(&old, &new, 0);
    struct blob b = encoded(&old, &new, 0);

    CHECK(a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
    free(old.data);
    free(new.data);
    free(a.data);
    free(b.data);
}
