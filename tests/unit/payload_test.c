/* SPDX-License-Identifier: Apache-2.0
 *
 * Payloads: header, segments, decoder, and the encoder that makes them. Rows DELTA-01 to DELTA-11 of the catalogue of
 * attacks are named where they are answered.
 */
#include "lib/core/payload.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "server-tools/delta.h"
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
