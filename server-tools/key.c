/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys over mbedTLS 2.28 and 3.6. Only functions that both have are used, with their differing arguments behind the
 * small shim below; no field of a crypto structure is named.
 */
#include "server-tools/key.h"

#include "lib/core/bytes.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/tuf/ecdsa.h"
#include "lib/tuf/time.h"
#include "server-tools/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/pk.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/rsa.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE_MAX 65536u
#define PEM_MAX 16384u
#define RSA_BITS_MIN 2048u
#define RSA_BITS_MAX 4096u
#define RSA_SIGNATURE_MAX 512u

struct forge_key {
    mbedtls_pk_context pk;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random; /* for making keys, and for blinding when signing */
    enum forge_key_type type;
};

static rb_err
mbedtls_failure(rb_err err, int code, const char *what)
{
    char text[128] = "";

    mbedtls_strerror(code, text, sizeof text);
    return rb_fail(err, "%s: %s", what, text);
}

static int
parse_private(struct forge_key *key, const uint8_t *pem, size_t len_with_nul)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_parse_key(&key->pk, pem, len_with_nul, NULL, 0, mbedtls_ctr_drbg_random, &key->random);
#else
    return mbedtls_pk_parse_key(&key->pk, pem, len_with_nul, NULL, 0);
#endif
}

static int
check_pair(struct forge_key *key)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_check_pair(&key->pk, &key->pk, mbedtls_ctr_drbg_random, &key->random);
#else
    return mbedtls_pk_check_pair(&key->pk, &key->pk);
#endif
}

/* ECDSA signatures are deterministic (RFC 6979) in both versions' default configuration; key_test.c checks it. */
static int
sign(const struct forge_key *key, const uint8_t digest[RB_SHA256_LEN], uint8_t signature[RSA_SIGNATURE_MAX],
     size_t *len)
{
    /* Signing changes only the blinding values inside the context; callers see a constant key. */
    struct forge_key *k = (struct forge_key *)(uintptr_t)key;

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_sign(&k->pk, MBEDTLS_MD_SHA256, digest, RB_SHA256_LEN, signature, RSA_SIGNATURE_MAX, len,
                           mbedtls_ctr_drbg_random, &k->random);
#else
    return mbedtls_pk_sign(&k->pk, MBEDTLS_MD_SHA256, digest, RB_SHA256_LEN, signature, len,
                           mbedtls_ctr_drbg_random, &k->random);
#endif
}

static rb_err
key_new(struct forge_key **out)
{
    static const unsigned char label[] = "otaforge";
    struct forge_key *key = rb_alloc(sizeof *key);

    mbedtls_pk_init(&key->pk);
    mbedtls_entropy_init(&key->entropy);
    mbedtls_ctr_drbg_init(&key->random);
    int code = mbedtls_ctr_drbg_seed(&key->random, mbedtls_entropy_func, &key->entropy, label, sizeof label - 1);
    if (code != 0) {
        forge_key_free(key);
        return mbedtls_failure(RB_ERR_KEY_SIGN, code, "random numbers");
    }
    *out = key;
    return RB_OK;
}

void
forge_key_free(struct forge_key *key)
{
    if (key != NULL) {
        mbedtls_pk_free(&key->pk); /* wipes the numbers it frees */
        mbedtls_ctr_drbg_free(&key->random);
        mbedtls_entropy_free(&key->entropy);
        mbedtls_platform_zeroize(key, sizeof *key);
        free(key);
    }
}

enum forge_key_type
forge_key_type(const struct forge_key *key)
{
    return key->type;
}

static rb_err
reference_path(const char *reference, const char **path)
{
    static const char *const schemes[] = {"pkcs11:", "exec:"};

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (strncmp(reference, schemes[i], strlen(schemes[i])) == 0) {
            return rb_fail(RB_ERR_KEY_FORMAT, "%s keys are not supported by this version; use file:PATH", schemes[i]);
        }
    }
    *path = strncmp(reference, "file:", 5) == 0 ? reference + 5 : reference;
    return RB_OK;
}

/* Read a key file into a buffer of KEY_FILE_MAX + 1 bytes, NUL-terminated. The permissions looked at are those of the
 * descriptor that is read, not of whatever the path names a moment later. */
static rb_err
read_key_file(const char *path, uint8_t *buffer, size_t *len, mode_t *mode)
{
    struct stat st;
    size_t done = 0;
    rb_err err = RB_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return rb_fail_errno("%s", path);
    }
    if (fstat(fd, &st) != 0) {
        err = rb_fail_errno("%s", path);
    } else if (S_ISDIR(st.st_mode)) {
        err = rb_fail(RB_ERR_KEY_FORMAT, "%s: a directory", path);
    }
    while (err == RB_OK && done <= KEY_FILE_MAX) {
        ssize_t got = read(fd, buffer + done, KEY_FILE_MAX + 1 - done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            err = rb_fail_errno("%s", path);
        }
        if (got <= 0) {
            break;
        }
        done += (size_t)got;
    }
    (void)close(fd);
    if (err == RB_OK && done > KEY_FILE_MAX) {
        err = rb_fail(RB_ERR_KEY_FORMAT, "%s: larger than %u bytes", path, KEY_FILE_MAX);
    }
    if (err == RB_OK) {
        buffer[done] = '\0';
        *len = done;
        *mode = st.st_mode & 07777;
    }
    return err;
}

static bool
holds_private_key(const uint8_t *pem)
{
    return strstr((const char *)pem, "PRIVATE KEY-----") != NULL;
}

static rb_err
parse(const char *path, const uint8_t *pem, size_t len, struct forge_key *key)
{
    int code = parse_private(key, pem, len + 1);

    if (code == MBEDTLS_ERR_PK_PASSWORD_REQUIRED) {
        return rb_fail(RB_ERR_KEY_FORMAT, "%s: encrypted private keys are not supported", path);
    }
    if (code != 0) {
        return mbedtls_failure(RB_ERR_KEY_FORMAT, code, path);
    }
    if (mbedtls_pk_get_type(&key->pk) == MBEDTLS_PK_RSA) {
        key->type = FORGE_KEY_RSA;
        size_t bits = mbedtls_pk_get_bitlen(&key->pk);
        if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX || bits % 8 != 0) {
            return rb_fail(RB_ERR_KEY_FORMAT, "%s: RSA key of %zu bits, want 2048 to 4096", path, bits);
        }
    } else {
        uint8_t public_key[RB_P256_KEY_LEN];
        key->type = FORGE_KEY_P256;
        if (mbedtls_pk_get_type(&key->pk) != MBEDTLS_PK_ECKEY || forge_key_public_p256(key, public_key) != RB_OK) {
            rb_fail_clear();
            return rb_fail(RB_ERR_KEY_FORMAT, "%s: neither a P-256 nor an RSA key", path);
        }
    }
    code = check_pair(key);
    return code == 0 ? RB_OK : mbedtls_failure(RB_ERR_KEY_FORMAT, code, path);
}

rb_err
forge_key_open(const char *reference, struct forge_key **out)
{
    struct forge_key *key = NULL;
    uint8_t *pem = rb_alloc(KEY_FILE_MAX + 1);
    const char *path = reference;
    size_t len = 0;
    mode_t mode = 0;

    rb_err err = reference_path(reference, &path);
    if (err == RB_OK) {
        err = read_key_file(path, pem, &len, &mode);
    }
    if (err == RB_OK && !holds_private_key(pem)) {
        err = rb_fail(RB_ERR_KEY_FORMAT, "%s: no private key in PEM", path);
    } else if (err == RB_OK && (mode & 077) != 0) {
        err = rb_fail(RB_ERR_KEY_PERMISSIONS, "%s: mode %04o", path, (unsigned)mode);
    }
    if (err == RB_OK) {
        err = key_new(&key);
    }
    if (err == RB_OK) {
        err = parse(path, pem, len, key);
    }
    mbedtls_platform_zeroize(pem, KEY_FILE_MAX + 1);
    free(pem);
    if (err != RB_OK) {
        forge_key_free(key);
        return err;
    }
    *out = key;
    return RB_OK;
}

/* A new file, whole and durable, or none. */
static rb_err
write_new_file(const char *path, const void *data, size_t len, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);

    if (fd < 0) {
        return rb_fail_errno("%s", path);
    }
    rb_err err = rb_write_all(fd, data, len);
    if (err == RB_OK && fsync(fd) != 0) {
        err = rb_fail_errno("%s", path);
    }
    if (close(fd) != 0 && err == RB_OK) {
        err = rb_fail_errno("%s", path);
    }
    if (err != RB_OK) {
        (void)unlink(path);
    }
    return err;
}

static rb_err
write_private(struct forge_key *key, const char *path)
{
    uint8_t pem[PEM_MAX];
    rb_err err;
    int code = mbedtls_pk_write_key_pem(&key->pk, pem, sizeof pem);

    err = code == 0 ? write_new_file(path, pem, strlen((const char *)pem), 0600)
                    : mbedtls_failure(RB_ERR_KEY_FORMAT, code, path);
    mbedtls_platform_zeroize(pem, sizeof pem);
    return err;
}

rb_err
forge_key_create_p256(const char *path)
{
    struct forge_key *key = NULL;

    RB_TRY(key_new(&key));
    int code = mbedtls_pk_setup(&key->pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (code == 0) {
        code = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key->pk), mbedtls_ctr_drbg_random,
                                   &key->random);
    }
    rb_err err = code == 0 ? write_private(key, path) : mbedtls_failure(RB_ERR_KEY_FORMAT, code, path);
    forge_key_free(key);
    return err;
}

/* Serial number: positive, from the key's own hash, so that it needs no register of numbers given out. */
static int
set_serial(mbedtls_x509write_cert *cert, const uint8_t *spki, size_t len)
{
    uint8_t digest[RB_SHA256_LEN];

    rb_sha256(spki, len, digest);
    digest[0] = (uint8_t)((digest[0] & 0x3f) | 0x40);
#if MBEDTLS_VERSION_NUMBER >= 0x03040000
    return mbedtls_x509write_crt_set_serial_raw(cert, digest, 16);
#else
    mbedtls_mpi serial;
    mbedtls_mpi_init(&serial);
    int code = mbedtls_mpi_read_binary(&serial, digest, 16);
    if (code == 0) {
        code = mbedtls_x509write_crt_set_serial(cert, &serial);
    }
    mbedtls_mpi_free(&serial);
    return code;
#endif
}

static int
set_validity(mbedtls_x509write_cert *cert, int64_t now)
{
    char text[RB_TIME_TEXT_LEN + 1];
    char from[15]; /* YYYYMMDDhhmmss */
    char to[15];
    size_t n = 0;

    rb_time_format(now, text);
    for (const char *p = text; *p != '\0' && n + 1 < sizeof from; p++) {
        if (*p >= '0' && *p <= '9') {
            from[n++] = *p;
        }
    }
    from[n] = '\0';
    memcpy(to, from, sizeof to);
    for (int i = 2, carry = 1; i >= 0; i--) { /* ten years: one more in the third digit */
        int digit = to[i] - '0' + carry;
        carry = digit / 10;
        to[i] = (char)('0' + digit % 10);
    }
    if (strncmp(to + 4, "0229", 4) == 0) {
        to[7] = '8';
    }
    return mbedtls_x509write_crt_set_validity(cert, from, to);
}

/* X.509 v3, CA:TRUE, ten years: the shape that the quick-app IDEs make. */
static int
write_certificate(struct forge_key *key, const char *name, int64_t now, uint8_t *pem, size_t pem_size)
{
    mbedtls_x509write_cert cert;
    uint8_t *spki = NULL;
    size_t spki_len = 0;
    int code = MBEDTLS_ERR_X509_ALLOC_FAILED;

    mbedtls_x509write_crt_init(&cert);
    mbedtls_x509write_crt_set_version(&cert, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&cert, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&cert, &key->pk);
    mbedtls_x509write_crt_set_issuer_key(&cert, &key->pk);
    if (forge_key_public_der(key, &spki, &spki_len) == RB_OK && (code = set_serial(&cert, spki, spki_len)) == 0
        && (code = mbedtls_x509write_crt_set_subject_name(&cert, name)) == 0
        && (code = mbedtls_x509write_crt_set_issuer_name(&cert, name)) == 0 && (code = set_validity(&cert, now)) == 0
        && (code = mbedtls_x509write_crt_set_basic_constraints(&cert, 1, -1)) == 0) {
        code = mbedtls_x509write_crt_pem(&cert, pem, pem_size, mbedtls_ctr_drbg_random, &key->random);
    }
    free(spki);
    mbedtls_x509write_crt_free(&cert);
    return code;
}

/* "CN=..." from a subject that is either a whole distinguished name or just a common name. */
static char *
distinguished_name(const char *subject)
{
    return rb_text(strchr(subject, '=') != NULL ? "%s" : "CN=%s", subject);
}

rb_err
forge_key_create_rsa(const char *key_path, const char *certificate_path, unsigned bits, const char *subject)
{
    struct forge_key *key = NULL;
    uint8_t pem[PEM_MAX];
    int64_t now;

    if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX || bits % 8 != 0) {
        return rb_fail(RB_ERR_ARG, "RSA key of %u bits, want 2048 to 4096", bits);
    }
    if (rb_file_exists(key_path) || rb_file_exists(certificate_path)) {
        return rb_fail(RB_ERR_IO_EXISTS, "%s", rb_file_exists(key_path) ? key_path : certificate_path);
    }
    RB_TRY(forge_now(&now));
    RB_TRY(key_new(&key));
    key->type = FORGE_KEY_RSA;
    int code = mbedtls_pk_setup(&key->pk, mbedtls_pk_info_from_type(MBEDTLS_PK_RSA));
    if (code == 0) {
        code = mbedtls_rsa_gen_key(mbedtls_pk_rsa(key->pk), mbedtls_ctr_drbg_random, &key->random, bits, 65537);
    }
    char *name = distinguished_name(subject);
    if (code == 0) {
        code = write_certificate(key, name, now, pem, sizeof pem);
    }
    free(name);
    rb_err err = code == 0 ? write_private(key, key_path) : mbedtls_failure(RB_ERR_KEY_FORMAT, code, subject);
    if (err == RB_OK) {
        err = write_new_file(certificate_path, pem, strlen((const char *)pem), 0644);
        if (err != RB_OK) {
            (void)unlink(key_path); /* a key without its certificate would be in the way of the next try */
        }
    }
    forge_key_free(key);
    return err;
}

rb_err
forge_key_public_der(const struct forge_key *key, uint8_t **out, size_t *len)
{
    uint8_t buffer[1024];
    struct forge_key *k = (struct forge_key *)(uintptr_t)key; /* 2.28 asks for a context that it does not change */
    int got = mbedtls_pk_write_pubkey_der(&k->pk, buffer, sizeof buffer);

    if (got <= 0) {
        return mbedtls_failure(RB_ERR_KEY_FORMAT, got, "public key");
    }
    /* mbedTLS writes at the end of the buffer. */
    *out = rb_alloc((size_t)got);
    rb_copy(*out, buffer + sizeof buffer - (size_t)got, (size_t)got);
    *len = (size_t)got;
    return RB_OK;
}

rb_err
forge_key_public_pem(const struct forge_key *key, char **out)
{
    uint8_t buffer[2048];
    struct forge_key *k = (struct forge_key *)(uintptr_t)key;
    int code = mbedtls_pk_write_pubkey_pem(&k->pk, buffer, sizeof buffer);

    if (code != 0) {
        return mbedtls_failure(RB_ERR_KEY_FORMAT, code, "public key");
    }
    *out = rb_text("%s", (const char *)buffer);
    return RB_OK;
}

rb_err
forge_key_public_p256(const struct forge_key *key, uint8_t out[RB_P256_KEY_LEN])
{
    uint8_t *der = NULL;
    size_t len = 0;

    RB_TRY(forge_key_public_der(key, &der, &len));
    rb_err err = rb_p256_from_spki(der, len, out);
    free(der);
    return err == RB_OK ? RB_OK : rb_fail(err, "not a P-256 key");
}

rb_err
forge_key_sign_p256(const struct forge_key *key, const uint8_t digest[RB_SHA256_LEN],
                    uint8_t signature[RB_P256_SIGNATURE_LEN])
{
    uint8_t der[RSA_SIGNATURE_MAX];
    uint8_t raw[RB_P256_SIGNATURE_LEN];
    uint8_t public_key[RB_P256_KEY_LEN];
    size_t len = 0;

    RB_TRY(forge_key_public_p256(key, public_key));
    int code = sign(key, digest, der, &len);
    if (code != 0) {
        return mbedtls_failure(RB_ERR_KEY_SIGN, code, "ECDSA");
    }
    /* A fault while signing can give the key away through the wrong signature: none leaves that does not verify. */
    if (rb_p256_signature_from_der(der, len, raw) != RB_OK || rb_p256_verify(public_key, digest, raw) != RB_OK) {
        return rb_fail(RB_ERR_KEY_SIGN, "the signature made does not verify");
    }
    rb_copy(signature, raw, sizeof raw);
    return RB_OK;
}

rb_err
forge_key_sign_rsa(const struct forge_key *key, const uint8_t digest[RB_SHA256_LEN], uint8_t *signature, size_t *len)
{
    struct forge_key *k = (struct forge_key *)(uintptr_t)key;

    if (key->type != FORGE_KEY_RSA) {
        return rb_fail(RB_ERR_KEY_FORMAT, "not an RSA key");
    }
    int code = sign(key, digest, signature, len);
    if (code == 0) {
        code = mbedtls_pk_verify(&k->pk, MBEDTLS_MD_SHA256, digest, RB_SHA256_LEN, signature, *len);
    }
    if (code != 0) {
        mbedtls_platform_zeroize(signature, RSA_SIGNATURE_MAX);
        return mbedtls_failure(RB_ERR_KEY_SIGN, code, "RSA");
    }
    return RB_OK;
}

rb_err
forge_public_p256_read(const char *reference, uint8_t out[RB_P256_KEY_LEN])
{
    uint8_t *pem = rb_alloc(KEY_FILE_MAX + 1);
    const char *path = reference;
    size_t len = 0;
    mode_t mode = 0;
    bool private_key = false;

    rb_err err = reference_path(reference, &path);
    if (err == RB_OK) {
        err = read_key_file(path, pem, &len, &mode);
    }
    if (err == RB_OK) {
        private_key = holds_private_key(pem);
        if (!private_key && rb_p256_from_pem((const char *)pem, out) != RB_OK) {
            err = rb_fail(RB_ERR_KEY_FORMAT, "%s: not a P-256 public key in PEM", path);
        }
    }
    mbedtls_platform_zeroize(pem, KEY_FILE_MAX + 1);
    free(pem);
    if (err == RB_OK && private_key) {
        struct forge_key *key = NULL;
        RB_TRY(forge_key_open(reference, &key));
        err = forge_key_public_p256(key, out);
        forge_key_free(key);
    }
    return err;
}
