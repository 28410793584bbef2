/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/tuf/ecdsa.h"

#include "lib/core/bytes.h"

#include <mbedtls/pem.h>
#include <mbedtls/version.h>
#include <string.h>

#define TAG_INTEGER 0x02
#define TAG_SEQUENCE 0x30

/* SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING { 0x04 X Y } }: all of it but X and Y is fixed. */
static const uint8_t spki_prefix[RB_P256_SPKI_LEN - RB_P256_KEY_LEN] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
    0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
};

rb_err
rb_p256_from_spki(const void *der, size_t len, uint8_t key[RB_P256_KEY_LEN])
{
    if (len != RB_P256_SPKI_LEN || memcmp(der, spki_prefix, sizeof spki_prefix) != 0) {
        return RB_ERR_KEY_FORMAT;
    }
    rb_copy(key, (const uint8_t *)der + sizeof spki_prefix, RB_P256_KEY_LEN);
    return RB_OK;
}

rb_err
rb_p256_from_pem(const char *pem, uint8_t key[RB_P256_KEY_LEN])
{
    rb_err err = RB_ERR_KEY_FORMAT;
    size_t used = 0;
    mbedtls_pem_context decoded;

    mbedtls_pem_init(&decoded);
    if (mbedtls_pem_read_buffer(&decoded, "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----",
                                (const unsigned char *)pem, NULL, 0, &used)
        == 0) {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
        size_t len = 0;
        const unsigned char *der = mbedtls_pem_get_buffer(&decoded, &len);
        err = rb_p256_from_spki(der, len, key);
#else
        err = rb_p256_from_spki(decoded.buf, decoded.buflen, key);
#endif
    }
    mbedtls_pem_free(&decoded);
    return err;
}

/* One INTEGER into 32 bytes, big-endian. A leading zero byte stands only where the number would read as negative. */
static void
read_integer(struct rb_reader *r, uint8_t out[32])
{
    uint8_t tag = rb_read_u8(r);
    size_t len = rb_read_u8(r);
    const uint8_t *p = rb_read_bytes(r, len);

    rb_fill(out, 0, 32);
    if (tag != TAG_INTEGER || p == NULL || len == 0 || len > 33 || (p[0] & 0x80) != 0) {
        r->bad = true;
        return;
    }
    if (p[0] == 0) {
        p++;
        len--;
        if (len == 0 || (p[0] & 0x80) == 0) { /* zero, or not minimal */
            r->bad = true;
            return;
        }
    }
    if (len > 32) {
        r->bad = true;
        return;
    }
    rb_copy(out + 32 - len, p, len);
}

rb_err
rb_p256_signature_from_der(const void *der, size_t len, uint8_t signature[RB_P256_SIGNATURE_LEN])
{
    struct rb_reader r = rb_reader_of(der, len);
    uint8_t raw[RB_P256_SIGNATURE_LEN];
    uint8_t tag = rb_read_u8(&r);
    size_t body = rb_read_u8(&r);

    if (r.bad || tag != TAG_SEQUENCE || body != r.left) {
        return RB_ERR_META_SIGNATURE;
    }
    read_integer(&r, raw);
    read_integer(&r, raw + 32);
    if (r.bad || r.left != 0) {
        return RB_ERR_META_SIGNATURE;
    }
    rb_copy(signature, raw, sizeof raw);
    return RB_OK;
}

static void
write_integer(struct rb_writer *w, const uint8_t value[32])
{
    size_t skip = 0;

    while (skip < 31 && value[skip] == 0) {
        skip++;
    }
    bool pad = (value[skip] & 0x80) != 0;
    rb_write_u8(w, TAG_INTEGER);
    rb_write_u8(w, (uint8_t)(32 - skip + (pad ? 1 : 0)));
    if (pad) {
        rb_write_u8(w, 0);
    }
    rb_write_bytes(w, value + skip, 32 - skip);
}

size_t
rb_p256_signature_to_der(const uint8_t signature[RB_P256_SIGNATURE_LEN], uint8_t der[RB_P256_DER_SIGNATURE_MAX])
{
    struct rb_writer w = rb_writer_of(der + 2, RB_P256_DER_SIGNATURE_MAX - 2);

    write_integer(&w, signature);
    write_integer(&w, signature + 32);
    der[0] = TAG_SEQUENCE;
    der[1] = (uint8_t)(RB_P256_DER_SIGNATURE_MAX - 2 - w.left);
    return (size_t)der[1] + 2;
}
