/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/host/pubkey.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <mbedtls/pk.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/version.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define KEY_FILE_MAX 16384u

/* What stands before X and Y in a P-256 SubjectPublicKeyInfo (RFC 5480); it has exactly one DER form. */
static const uint8_t SPKI_START[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                                     0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
static int
random_bytes(void *ctx, unsigned char *out, size_t len)
{
    (void)ctx;
    return getrandom(out, len, 0) == (ssize_t)len ? 0 : -1;
}
#define parse_private(pk, text, len) mbedtls_pk_parse_key(pk, text, len, NULL, 0, random_bytes, NULL)
#else
#define parse_private(pk, text, len) mbedtls_pk_parse_key(pk, text, len, NULL, 0)
#endif

rb_err
rb_pubkey_read_p256(const char *path, uint8_t out[RB_P256_KEY_LEN])
{
    uint8_t der[512]; /* mbedTLS writes at the end */
    uint8_t *text = NULL;
    size_t len = 0;
    mbedtls_pk_context pk;

    RB_TRY(rb_file_read(path, KEY_FILE_MAX, &text, &len));
    mbedtls_pk_init(&pk);
    int bad = mbedtls_pk_parse_public_key(&pk, text, len + 1); /* PEM wants the NUL that rb_file_read adds */
    if (bad != 0) {
        mbedtls_pk_free(&pk);
        mbedtls_pk_init(&pk);
        bad = parse_private(&pk, text, len + 1);
    }
    int der_len = bad == 0 ? mbedtls_pk_write_pubkey_der(&pk, der, sizeof der) : -1;
    mbedtls_pk_free(&pk);
    mbedtls_platform_zeroize(text, len);
    free(text);
    const uint8_t *start = der + sizeof der - sizeof SPKI_START - RB_P256_KEY_LEN;
    if (der_len != (int)(sizeof SPKI_START + RB_P256_KEY_LEN) || memcmp(start, SPKI_START, sizeof SPKI_START) != 0) {
        return rb_fail(RB_ERR_KEY_FORMAT, "%s: not a P-256 key", path);
    }
    memcpy(out, start + sizeof SPKI_START, RB_P256_KEY_LEN);
    return RB_OK;
}
