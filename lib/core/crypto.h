/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The two primitives trust is built from: SHA-256 and ECDSA P-256 verification.
 * crypto_mbedtls.c provides them over mbedTLS 2.28 and 3.x; it is the only file
 * in lib/core that knows a crypto library.
 */
#ifndef RB_CORE_CRYPTO_H
#define RB_CORE_CRYPTO_H

#include "lib/core/errors.h"

#include <mbedtls/sha256.h>
#include <stddef.h>
#include <stdint.h>

#define RB_SHA256_LEN 32
#define RB_P256_KEY_LEN 64       /* public key: X then Y, 32 bytes each, big-endian */
#define RB_P256_SIGNATURE_LEN 64 /* r then s, 32 bytes each, big-endian */

/** A running SHA-256. May be copied by assignment to save a state and go on from it later. */
struct rb_sha256 {
    mbedtls_sha256_context ctx;
};

void rb_sha256_start(struct rb_sha256 *h);
void rb_sha256_update(struct rb_sha256 *h, const void *data, size_t len);
/** Digest of all bytes given; the state is used up. */
void rb_sha256_finish(struct rb_sha256 *h, uint8_t digest[RB_SHA256_LEN]);
/** SHA-256 of one buffer. */
void rb_sha256(const void *data, size_t len, uint8_t digest[RB_SHA256_LEN]);

/**
 * Verify an ECDSA P-256 signature over a SHA-256 digest (FIPS 186-4, SEC 1).
 *
 * The encoding is fixed length, so there is one accepted form; r and s outside
 * 1..n-1 and keys that are not points of the curve are refused.
 *
 * @return RB_OK  the signature is valid; nothing else means so
 *         RB_ERR_IMAGE_SIGNATURE  for every other outcome, internal failures included
 *
 * Cost: about 40 M instructions on a Cortex-M3, 2.4 KB of stack; mbedTLS takes
 * up to 3.4 KB from its allocator.
 */
RB_MUST_USE
rb_err rb_p256_verify(const uint8_t key[RB_P256_KEY_LEN], const uint8_t digest[RB_SHA256_LEN],
                      const uint8_t signature[RB_P256_SIGNATURE_LEN]);

#endif
