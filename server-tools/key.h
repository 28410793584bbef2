/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Private keys of the build server, by reference: "file:PATH" or just PATH (PEM; PKCS#8, SEC 1 or PKCS#1). The file
 * must not be readable by group or others. Key material is wiped when the key is freed.
 */
#ifndef RB_FORGE_KEY_H
#define RB_FORGE_KEY_H

#include "lib/core/crypto.h"
#include "lib/core/errors.h"

#include <stddef.h>
#include <stdint.h>

struct forge_key;

enum forge_key_type { FORGE_KEY_P256, FORGE_KEY_RSA };

/** RB_ERR_IO_NOT_FOUND, RB_ERR_KEY_PERMISSIONS, RB_ERR_KEY_FORMAT. */
RB_MUST_USE
rb_err forge_key_open(const char *reference, struct forge_key **out);
void forge_key_free(struct forge_key *key);
enum forge_key_type forge_key_type(const struct forge_key *key);

/** Make a P-256 key in a new file (mode 0600; RB_ERR_IO_EXISTS). */
RB_MUST_USE
rb_err forge_key_create_p256(const char *path);
/** Make an RSA key of `bits` (2048 to 4096) in a new file and a self-signed certificate beside it, as quick-app
 * developers use them. */
RB_MUST_USE
rb_err forge_key_create_rsa(const char *key_path, const char *certificate_path, unsigned bits, const char *subject);

/** Public half of a P-256 key: X then Y. RB_ERR_KEY_FORMAT for an RSA key. */
RB_MUST_USE
rb_err forge_key_public_p256(const struct forge_key *key, uint8_t out[RB_P256_KEY_LEN]);
/** Public key as PEM SubjectPublicKeyInfo, and as DER. Caller frees. */
RB_MUST_USE
rb_err forge_key_public_pem(const struct forge_key *key, char **out);
RB_MUST_USE
rb_err forge_key_public_der(const struct forge_key *key, uint8_t **out, size_t *len);

/** ECDSA P-256 over a SHA-256 digest, deterministic (RFC 6979): r then s, 32 bytes each. */
RB_MUST_USE
rb_err forge_key_sign_p256(const struct forge_key *key, const uint8_t digest[RB_SHA256_LEN],
                           uint8_t signature[RB_P256_SIGNATURE_LEN]);
/** RSASSA-PKCS1-v1_5 with SHA-256. `signature` has 512 bytes; *len is the modulus length. */
RB_MUST_USE
rb_err forge_key_sign_rsa(const struct forge_key *key, const uint8_t digest[RB_SHA256_LEN], uint8_t *signature,
                          size_t *len);

/** Read a public key: PEM SubjectPublicKeyInfo of P-256, or a private key file of one. For image verify --key. */
RB_MUST_USE
rb_err forge_public_p256_read(const char *reference, uint8_t out[RB_P256_KEY_LEN]);

#endif
