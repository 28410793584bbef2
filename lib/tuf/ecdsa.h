/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * P-256 keys and signatures as metadata carries them: PEM SubjectPublicKeyInfo and DER, each with exactly one
 * accepted encoding, to and from the fixed-length form of lib/core/crypto.h.
 */
#ifndef RB_TUF_ECDSA_H
#define RB_TUF_ECDSA_H

#include "lib/core/crypto.h"
#include "lib/core/errors.h"

#include <stddef.h>
#include <stdint.h>

#define RB_P256_SPKI_LEN 91      /* DER SubjectPublicKeyInfo with an uncompressed point */
#define RB_P256_DER_SIGNATURE_MAX 72

/** From PEM ("BEGIN PUBLIC KEY"). That the point lies on the curve is checked when it is used.
 * RB_ERR_KEY_FORMAT for anything but a P-256 key in its uncompressed form. */
RB_MUST_USE
rb_err rb_p256_from_pem(const char *pem, uint8_t key[RB_P256_KEY_LEN]);
RB_MUST_USE
rb_err rb_p256_from_spki(const void *der, size_t len, uint8_t key[RB_P256_KEY_LEN]);

/** Strict DER: SEQUENCE of two positive INTEGERs of minimal length, at most 32 bytes each, not zero, nothing after.
 * That they are below the group order is checked by rb_p256_verify. RB_ERR_META_SIGNATURE. */
RB_MUST_USE
rb_err rb_p256_signature_from_der(const void *der, size_t len, uint8_t signature[RB_P256_SIGNATURE_LEN]);

/** The inverse. Returns the length. */
size_t rb_p256_signature_to_der(const uint8_t signature[RB_P256_SIGNATURE_LEN],
                                uint8_t der[RB_P256_DER_SIGNATURE_MAX]);

#endif
