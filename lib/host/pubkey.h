/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Public keys of image signers, from files.
 */
#ifndef RB_HOST_PUBKEY_H
#define RB_HOST_PUBKEY_H

#include "lib/core/crypto.h"
#include "lib/core/errors.h"

/**
 * Read a P-256 public key: a PEM SubjectPublicKeyInfo, or the private key file of one (PKCS#8 or SEC 1), of which
 * only the public half leaves this function.
 *
 * @return RB_OK, RB_ERR_KEY_FORMAT (no such key, or one of another curve), RB_ERR_IO_NOT_FOUND, RB_ERR_IO
 */
RB_MUST_USE
rb_err rb_pubkey_read_p256(const char *path, uint8_t out[RB_P256_KEY_LEN]);

#endif
