/* SPDX-License-Identifier: Apache-2.0
 *
 * The shim over mbedTLS 2.28 (Debian 12) and 3.6 (Debian 13). The versions
 * differ in the names of the SHA-256 functions and in whether fields of an
 * mbedtls_ecp_point may be named; only functions that both have are used for
 * the latter.
 */
#include "lib/core/crypto.h"

#include <mbedtls/bignum.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <mbedtls/version.h>

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#define sha256_starts mbedtls_sha256_starts
#define sha256_update mbedtls_sha256_update
#define sha256_finish mbedtls_sha256_finish
#else
#define sha256_starts mbedtls_sha256_starts_ret
#define sha256_update mbedtls_sha256_update_ret
#define sha256_finish mbedtls_sha256_finish_ret
#endif

/* The software SHA-256 has no failing path; a hardware one that fails leaves
 * the digest all zero, which no signed value equals. */
void
rb_sha256_start(struct rb_sha256 *h)
{
    mbedtls_sha256_init(&h->ctx);
    (void)sha256_starts(&h->ctx, 0);
}

void
rb_sha256_update(struct rb_sha256 *h, const void *data, size_t len)
{
    if (len > 0) {
        (void)sha256_update(&h->ctx, data, len);
    }
}

void
rb_sha256_finish(struct rb_sha256 *h, uint8_t digest[RB_SHA256_LEN])
{
    for (int i = 0; i < RB_SHA256_LEN; i++) {
        digest[i] = 0;
    }
    (void)sha256_finish(&h->ctx, digest);
    mbedtls_sha256_free(&h->ctx);
}

void
rb_sha256(const void *data, size_t len, uint8_t digest[RB_SHA256_LEN])
{
    struct rb_sha256 h;

    rb_sha256_start(&h);
    rb_sha256_update(&h, data, len);
    rb_sha256_finish(&h, digest);
}

rb_err
rb_p256_verify(const uint8_t key[RB_P256_KEY_LEN], const uint8_t digest[RB_SHA256_LEN],
               const uint8_t signature[RB_P256_SIGNATURE_LEN])
{
    rb_err err = RB_ERR_IMAGE_SIGNATURE;
    uint8_t point[1 + RB_P256_KEY_LEN];
    mbedtls_ecp_group group;
    mbedtls_ecp_point q;
    mbedtls_mpi r;
    mbedtls_mpi s;

    point[0] = 0x04; /* SEC 1 uncompressed */
    for (int i = 0; i < RB_P256_KEY_LEN; i++) {
        point[1 + i] = key[i];
    }
    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&q);
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    if (mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP256R1) == 0
        && mbedtls_ecp_point_read_binary(&group, &q, point, sizeof point) == 0
        && mbedtls_ecp_check_pubkey(&group, &q) == 0 && mbedtls_mpi_read_binary(&r, signature, 32) == 0
        && mbedtls_mpi_read_binary(&s, signature + 32, 32) == 0
        && mbedtls_ecdsa_verify(&group, digest, RB_SHA256_LEN, &q, &r, &s) == 0) {
        err = RB_OK;
    }
    mbedtls_mpi_free(&s);
    mbedtls_mpi_free(&r);
    mbedtls_ecp_point_free(&q);
    mbedtls_ecp_group_free(&group);
    return err;
}
