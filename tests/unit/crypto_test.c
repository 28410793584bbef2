/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256: FIPS 180-4 examples. ECDSA: RFC 6979 A.2.5 (P-256, SHA-256).
 */
#include "lib/core/bytes.h"
#include "lib/core/crypto.h"
#include "lib/host/file.h"
#include "tests/support/test.h"

#include <stdlib.h>

static void
check_sha256(const void *data, size_t len, const char *want)
{
    uint8_t digest[RB_SHA256_LEN];
    char hex[2 * RB_SHA256_LEN + 1];

    rb_sha256(data, len, digest);
    rb_hex(digest, sizeof digest, hex);
    CHECK(strcmp(hex, want) == 0);
}

TEST(sha256_vectors)
{
    static uint8_t many[1000000];

    memset(many, 'a', sizeof many);
    check_sha256("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_sha256("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
                 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    check_sha256(many, sizeof many, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(sha256_state_may_be_copied_and_gone_on_from)
{
    struct rb_sha256 h;
    uint8_t one[RB_SHA256_LEN];
    uint8_t two[RB_SHA256_LEN];

    rb_sha256_start(&h);
    rb_sha256_update(&h, "ab", 2);
    struct rb_sha256 saved = h;
    rb_sha256_update(&h, "c", 1);
    rb_sha256_finish(&h, one);
    rb_sha256_update(&saved, "c", 1);
    rb_sha256_finish(&saved, two);
    CHECK(memcmp(one, two, sizeof one) == 0);
}

struct vector {
    uint8_t key[RB_P256_KEY_LEN];
    uint8_t digest[RB_SHA256_LEN];
    uint8_t signature[RB_P256_SIGNATURE_LEN];
};

static void
rfc6979(struct vector *v)
{
    CHECK_OK(rb_unhex("60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
                      "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
                      v->key, sizeof v->key));
    rb_sha256("sample", 6, v->digest);
    CHECK_OK(rb_unhex("efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
                      "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
                      v->signature, sizeof v->signature));
}

static const char order_hex[] = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

TEST(p256_accepts_the_rfc6979_vector)
{
    struct vector v;

    rfc6979(&v);
    CHECK_OK(rb_p256_verify(v.key, v.digest, v.signature));
    rb_sha256("test", 4, v.digest);
    CHECK_OK(rb_unhex("f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367"
                      "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
                      v.signature, sizeof v.signature));
    CHECK_OK(rb_p256_verify(v.key, v.digest, v.signature));
}

TEST(TRUST_20_p256_refuses_any_flipped_bit)
{
    struct vector v;

    rfc6979(&v);
    uint8_t *parts[] = {v.key, v.digest, v.signature};
    size_t lens[] = {sizeof v.key, sizeof v.digest, sizeof v.signature};
    size_t steps[] = {1, 7, 1}; /* every digest bit goes the same way; each one costs a whole verification */
    for (int p = 0; p < 3; p++) {
        for (size_t bit = 0; bit < 8 * lens[p]; bit += steps[p]) {
            parts[p][bit / 8] ^= (uint8_t)(1u << (bit % 8));
            CHECK_ERR(rb_p256_verify(v.key, v.digest, v.signature), RB_ERR_IMAGE_SIGNATURE);
            parts[p][bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
    }
}

/* r and s of 0, n and n + their own value: congruent to a valid signature, or to nothing. */
TEST(TRUST_20_p256_refuses_r_and_s_out_of_range)
{
    struct vector v;
    uint8_t order[32];

    rfc6979(&v);
    CHECK_OK(rb_unhex(order_hex, order, sizeof order));
    for (int half = 0; half < 2; half++) {
        uint8_t *at = v.signature + 32 * half;
        uint8_t keep[32];
        memcpy(keep, at, 32);
        memset(at, 0, 32);
        CHECK_ERR(rb_p256_verify(v.key, v.digest, v.signature), RB_ERR_IMAGE_SIGNATURE);
        memcpy(at, order, 32);
        CHECK_ERR(rb_p256_verify(v.key, v.digest, v.signature), RB_ERR_IMAGE_SIGNATURE);
        memset(at, 0xff, 32);
        CHECK_ERR(rb_p256_verify(v.key, v.digest, v.signature), RB_ERR_IMAGE_SIGNATURE);
        memcpy(at, keep, 32);
    }
    memset(v.signature, 0, sizeof v.signature);
    CHECK_ERR(rb_p256_verify(v.key, v.digest, v.signature), RB_ERR_IMAGE_SIGNATURE);
}

TEST(p256_refuses_keys_that_are_no_points)
{
    struct vector v;

    rfc6979(&v);
    v.key[63] ^= 1;
    CHECK_ERR(rb_p256_verify(v.key, v.digest, v.signature), RB_ERR_IMAGE_SIGNATURE);
    memset(v.key, 0, sizeof v.key);
    CHECK_ERR(rb_p256_verify(v.key, v.digest, v.signature), RB_ERR_IMAGE_SIGNATURE);
    memset(v.key, 0xff, sizeof v.key);
    CHECK_ERR(rb_p256_verify(v.key, v.digest, v.signature), RB_ERR_IMAGE_SIGNATURE);
}
