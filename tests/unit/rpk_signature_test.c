/* SPDX-License-Identifier: Apache-2.0
 *
 * Signing blocks made of any parts, right and wrong, by a writer of its own over mbedTLS.
 */
#include "tests/support/package.h"
#include "tests/support/test.h"

#include "lib/core/bytes.h"
#include "lib/core/crypto.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/pk.h>
#include <mbedtls/rsa.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <stdlib.h>

/* What the block says; the fields are right until a test bends them. */
struct parts {
    const char *key;               /* of tests/data/rpk-keys */
    const char *certificate;       /* another certificate, or NULL */
    const char *public_key;        /* another public key, or NULL */
    uint32_t id;
    uint32_t digest_algorithms[3]; /* ends with 0 */
    uint32_t signature_algorithms[3];
    uint32_t chunk_len;
    unsigned signers;
    bool twice;                    /* the pair stands twice */
    uint32_t more_id;              /* a further pair with this id, or 0 */
    size_t left_over;              /* zero bytes at the end of the signed data's certificates */
    bool bad_digest;
    bool bad_signature;
    bool short_digest;
};

static const struct parts right = {
    .key = "release",
    .id = RPK_ID_WHOLE,
    .digest_algorithms = {0x0103},
    .signature_algorithms = {0x0103},
    .chunk_len = UINT32_MAX,
    .signers = 1,
};

static mbedtls_entropy_context entropy;
static mbedtls_ctr_drbg_context random_source;

static void
u32(struct forge_bytes *b, size_t v)
{
    uint8_t raw[4];
    struct rb_writer w = rb_writer_of(raw, sizeof raw);

    rb_write_u32(&w, (uint32_t)v);
    forge_bytes_add(b, raw, sizeof raw);
}

static void
u64(struct forge_bytes *b, size_t v)
{
    u32(b, v);
    u32(b, 0);
}

static void
prefixed(struct forge_bytes *b, const struct forge_bytes *what)
{
    u32(b, what->len);
    forge_bytes_add(b, what->data, what->len);
}

static void
load_key(const char *name, mbedtls_pk_context *pk)
{
    char *path = rb_text("%s/tests/data/rpk-keys/%s-private.pem", test_tree(), name);
    uint8_t *pem;
    size_t len;

    mbedtls_pk_init(pk);
    CHECK_OK(rb_file_read(path, 65536, &pem, &len));
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    CHECK(mbedtls_pk_parse_key(pk, pem, len + 1, NULL, 0, mbedtls_ctr_drbg_random, &random_source) == 0);
#else
    CHECK(mbedtls_pk_parse_key(pk, pem, len + 1, NULL, 0) == 0);
#endif
    free(pem);
    free(path);
}

static void
load_certificate(const char *name, struct forge_bytes *der, struct forge_bytes *public_key)
{
    char *path = rb_text("%s/tests/data/rpk-keys/%s-certificate.pem", test_tree(), name);
    mbedtls_x509_crt crt;

    mbedtls_x509_crt_init(&crt);
    CHECK(mbedtls_x509_crt_parse_file(&crt, path) == 0);
    forge_bytes_add(der, crt.raw.p, crt.raw.len);
    forge_bytes_add(public_key, crt.pk_raw.p, crt.pk_raw.len);
    mbedtls_x509_crt_free(&crt);
    free(path);
}

static bool
is_long(uint32_t algorithm)
{
    return algorithm == 0x0102 || algorithm == 0x0104 || algorithm == 0x0202;
}

static void
sign(const char *key, uint32_t algorithm, const struct forge_bytes *data, struct forge_bytes *out)
{
    mbedtls_md_type_t md = is_long(algorithm) ? MBEDTLS_MD_SHA512 : MBEDTLS_MD_SHA256;
    mbedtls_pk_context pk;
    uint8_t hash[64];
    uint8_t signature[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
    size_t len = 0;

    load_key(key, &pk);
    if (algorithm == 0x0101 || algorithm == 0x0102) {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
        CHECK(mbedtls_rsa_set_padding(mbedtls_pk_rsa(pk), MBEDTLS_RSA_PKCS_V21, md) == 0);
#else
        mbedtls_rsa_set_padding(mbedtls_pk_rsa(pk), MBEDTLS_RSA_PKCS_V21, md);
#endif
    }
    CHECK(mbedtls_md(mbedtls_md_info_from_type(md), data->data, data->len, hash) == 0);
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    CHECK(mbedtls_pk_sign(&pk, md, hash, 0, signature, sizeof signature, &len, mbedtls_ctr_drbg_random, &random_source)
          == 0);
#else
    CHECK(mbedtls_pk_sign(&pk, md, hash, 0, signature, &len, mbedtls_ctr_drbg_random, &random_source) == 0);
#endif
    mbedtls_pk_free(&pk);
    forge_bytes_add(out, signature, len);
}

static void
record(struct forge_bytes *list, uint32_t algorithm, const struct forge_bytes *value)
{
    u32(list, value->len + 8);
    u32(list, algorithm);
    prefixed(list, value);
}

static void
make_signer(const struct parts *p, const struct rpk_container *c, struct forge_bytes *out)
{
    struct forge_bytes data = {0};
    struct forge_bytes digests = {0};
    struct forge_bytes certificates = {0};
    struct forge_bytes der = {0};
    struct forge_bytes public_key = {0};
    struct forge_bytes signatures = {0};

    for (int i = 0; p->digest_algorithms[i] != 0; i++) {
        uint32_t a = p->digest_algorithms[i];
        uint8_t digest[64];
        uint8_t entries[64];
        CHECK_OK(rpk_content_digest(c, a == 0x0301 || a == 0x9999 ? 0x0103 : a, p->chunk_len, digest, entries));
        digest[0] ^= p->bad_digest;
        struct forge_bytes value = {digest, is_long(a) ? 64 : p->short_digest ? 31 : 32, 64};
        record(&digests, a, &value);
    }
    load_certificate(p->certificate != NULL ? p->certificate : p->key, &der, &public_key);
    if (p->public_key != NULL) {
        struct forge_bytes unused = {0};
        public_key.len = 0;
        load_certificate(p->public_key, &unused, &public_key);
        free(unused.data);
    }
    prefixed(&certificates, &der);
    forge_bytes_add(&certificates, "\0\0\0\0\0\0\0\0", p->left_over);
    prefixed(&data, &digests);
    prefixed(&data, &certificates);
    u32(&data, 0);
    for (int i = 0; p->signature_algorithms[i] != 0; i++) {
        uint32_t a = p->signature_algorithms[i];
        struct forge_bytes value = {0};
        sign(p->key, a == 0x0301 || a == 0x9999 ? 0x0103 : a, &data, &value);
        value.data[value.len - 1] ^= p->bad_signature;
        record(&signatures, a, &value);
        free(value.data);
    }
    prefixed(out, &data);
    prefixed(out, &signatures);
    prefixed(out, &public_key);
    free(data.data);
    free(digests.data);
    free(certificates.data);
    free(der.data);
    free(public_key.data);
    free(signatures.data);
}

static void
make_pairs(const struct parts *p, const struct rpk_container *c, struct forge_bytes *pairs)
{
    struct forge_bytes signer = {0};
    struct forge_bytes signers = {0};
    struct forge_bytes value = {0};

    make_signer(p, c, &signer);
    for (unsigned i = 0; i < p->signers; i++) {
        prefixed(&signers, &signer);
    }
    prefixed(&value, &signers);
    for (int i = 0; i < (p->twice ? 2 : 1); i++) {
        u64(pairs, value.len + 4);
        u32(pairs, p->id);
        forge_bytes_add(pairs, value.data, value.len);
    }
    if (p->more_id != 0) {
        u64(pairs, 6);
        u32(pairs, p->more_id);
        forge_bytes_add(pairs, "??", 2);
    }
    free(signer.data);
    free(signers.data);
    free(value.data);
}

/* A package of manifest and one file of `len` bytes, signed as `p` says. */
static struct forge_bytes
package_of(const struct parts *p, size_t len)
{
    char *big = rb_alloc(len + 1);
    memset(big, 'b', len);
    const struct zip_part files[] = {test_manifest, {.name = "big", .data = big, .len = len}};
    struct test_zip z = test_zip_make(files, 2, "{}");
    const struct rpk_source source = {.fd = -1, .memory = z.bytes.data, .len = z.bytes.len};
    struct forge_bytes pairs = {0};
    struct forge_bytes out = {0};
    struct rpk_container c;

    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&random_source);
    CHECK(mbedtls_ctr_drbg_seed(&random_source, mbedtls_entropy_func, &entropy, NULL, 0) == 0);
    CHECK_OK(rpk_container_open(&source, true, &c));
    make_pairs(p, &c, &pairs);
    forge_bytes_add(&out, z.bytes.data, z.directory);
    u64(&out, pairs.len + 24);
    forge_bytes_add(&out, pairs.data, pairs.len);
    u64(&out, pairs.len + 24);
    forge_bytes_add(&out, RPK_BLOCK_MAGIC, 16);
    forge_bytes_add(&out, z.bytes.data + z.directory, z.bytes.len - z.directory);
    poke32(&out, out.len - 2 - 6, (uint32_t)(z.directory + pairs.len + 32));
    rpk_container_free(&c);
    mbedtls_ctr_drbg_free(&random_source);
    mbedtls_entropy_free(&entropy);
    free(pairs.data);
    free(z.bytes.data);
    free(big);
    return out;
}

static rb_err
verdict(struct parts p)
{
    struct forge_bytes package = package_of(&p, 10);
    rb_err err = test_verdict(&package);

    free(package.data);
    return err;
}

static struct parts
with_algorithms(const char *key, uint32_t first, uint32_t second)
{
    struct parts p = right;

    p.key = key;
    p.digest_algorithms[0] = p.signature_algorithms[0] = first;
    p.digest_algorithms[1] = p.signature_algorithms[1] = second;
    return p;
}

TEST(algorithms_and_keys)
{
    CHECK_OK(verdict(right));
    CHECK_OK(verdict(with_algorithms("rsa4096", 0x0103, 0)));
    CHECK_OK(verdict(with_algorithms("release", 0x0104, 0)));
    CHECK_OK(verdict(with_algorithms("release", 0x0101, 0)));
    CHECK_OK(verdict(with_algorithms("release", 0x0102, 0)));
    CHECK_OK(verdict(with_algorithms("ec", 0x0201, 0)));
    CHECK_OK(verdict(with_algorithms("ec", 0x0202, 0)));
    CHECK_OK(verdict(with_algorithms("release", 0x0103, 0x0104)));
    CHECK_OK(verdict(with_algorithms("release", 0x9999, 0x0103))); /* unknown ones are passed over */

    CHECK_ERR(verdict(with_algorithms("release", 0x9999, 0)), RB_ERR_RPK_ALGORITHM);
    CHECK_ERR(verdict(with_algorithms("release", 0x0301, 0)), RB_ERR_RPK_ALGORITHM);
    CHECK_ERR(verdict(with_algorithms("rsa1024", 0x0103, 0)), RB_ERR_RPK_ALGORITHM);
    CHECK_ERR(verdict(with_algorithms("release", 0x0103, 0x0103)), RB_ERR_RPK_BLOCK);
}

/* A key of one kind with an algorithm of the other. */
TEST(key_and_algorithm_of_different_kinds)
{
    struct parts p = with_algorithms("release", 0x0103, 0);

    p.certificate = "ec";
    CHECK_ERR(verdict(p), RB_ERR_RPK_ALGORITHM);
}

TEST(lists_of_algorithms_differ)
{
    struct parts p = right;

    p.signature_algorithms[0] = 0x0104;
    CHECK_ERR(verdict(p), RB_ERR_RPK_BLOCK);
    p = right;
    p.signature_algorithms[1] = 0x0104;
    CHECK_ERR(verdict(p), RB_ERR_RPK_BLOCK);
    p = right;
    p.digest_algorithms[1] = 0x0104;
    CHECK_ERR(verdict(p), RB_ERR_RPK_BLOCK);
    p = with_algorithms("release", 0x0103, 0x0104);
    p.signature_algorithms[0] = 0x0104;
    p.signature_algorithms[1] = 0x0103;
    CHECK_ERR(verdict(p), RB_ERR_RPK_BLOCK);
    p = right;
    p.digest_algorithms[0] = p.signature_algorithms[0] = 0;
    CHECK_ERR(verdict(p), RB_ERR_RPK_BLOCK);
}

TEST(signature_and_digest_must_hold)
{
    struct parts p = right;

    p.bad_signature = true;
    CHECK_ERR(verdict(p), RB_ERR_RPK_SIGNATURE);
    p = right;
    p.bad_digest = true;
    CHECK_ERR(verdict(p), RB_ERR_RPK_DIGEST);
    p = right;
    p.short_digest = true;
    CHECK_ERR(verdict(p), RB_ERR_RPK_BLOCK);
}

/* The key that verifies must be the one in the certificate that names the signer. */
TEST(certificate_of_another_key)
{
    struct parts p = right;

    p.certificate = "other";
    CHECK_ERR(verdict(p), RB_ERR_RPK_SIGNATURE);
    p.public_key = "release";
    CHECK_ERR(verdict(p), RB_ERR_RPK_SIGNATURE);
    p = right;
    p.public_key = "other";
    CHECK_ERR(verdict(p), RB_ERR_RPK_SIGNATURE);
}

TEST(pairs_and_signers)
{
    struct parts p = right;

    p.signers = 2;
    CHECK_ERR(verdict(p), RB_ERR_RPK_BLOCK);
    p.signers = 0;
    CHECK_ERR(verdict(p), RB_ERR_RPK_BLOCK);
    p = right;
    p.twice = true;
    CHECK_ERR(verdict(p), RB_ERR_RPK_BLOCK);
    p = right;
    p.more_id = 0x12345678;
    CHECK_OK(verdict(p));
    p.more_id = 0x02000101;
    CHECK_ERR(verdict(p), RB_ERR_RPK_ALGORITHM);
    p = right;
    p.id = 0x12345678;
    CHECK_ERR(verdict(p), RB_ERR_RPK_UNSIGNED);
    p = right;
    p.left_over = 3;
    CHECK_ERR(verdict(p), RB_ERR_RPK_BLOCK);
    p.left_over = 4; /* an empty second certificate: a chain is legal */
    CHECK_OK(verdict(p));
}

/* Sections of more than 1 MiB: one chunk for the one id, 1 MiB chunks for the other. */
TEST(chunks)
{
    static const struct {
        uint32_t id;
        uint32_t chunk_len;
        rb_err want;
    } cases[] = {
        {RPK_ID_WHOLE, UINT32_MAX, RB_OK},
        {RPK_ID_CHUNKED, RPK_CHUNK_LEN, RB_OK},
        {RPK_ID_WHOLE, RPK_CHUNK_LEN, RB_ERR_RPK_DIGEST},
        {RPK_ID_CHUNKED, UINT32_MAX, RB_ERR_RPK_DIGEST},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct parts p = right;
        p.id = cases[i].id;
        p.chunk_len = cases[i].chunk_len;
        struct forge_bytes package = package_of(&p, 2500000);
        CHECK_ERR(test_verdict(&package), cases[i].want);
        free(package.data);
    }
}

/* Both ids: the chunked one counts, so a bad one cannot hide behind a good one. */
TEST(chunked_signature_is_preferred)
{
    struct parts p = right;

    p.more_id = RPK_ID_CHUNKED;
    CHECK_ERR(verdict(p), RB_ERR_RPK_BLOCK);
}

/* Every length field of the block, too small and too large by one and far out. */
TEST(lengths_in_the_block)
{
    struct forge_bytes p = test_sample("clock-1.0.0.rpk");
    static const size_t fields[] = {6976, 6984, 6996, 7000, 7004, 7008, 7012, 7020, 7056, 7060,
                                    7921, 7925, 7929, 7937, 8197, 8495, 9053};
    static const uint32_t values[] = {0, 3, 0x7fffffff, 0xffffffff};

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        uint32_t was = peek32(&p, fields[i]);
        for (size_t k = 0; k < sizeof values / sizeof values[0]; k++) {
            poke32(&p, fields[i], values[k] == was ? 1 : values[k]);
            CHECK(test_verdict(&p) != RB_OK);
        }
        poke32(&p, fields[i], was + 1);
        CHECK(test_verdict(&p) != RB_OK);
        poke32(&p, fields[i], was - 1);
        CHECK(test_verdict(&p) != RB_OK);
        poke32(&p, fields[i], was);
    }
    CHECK_OK(test_verdict(&p));
    free(p.data);
}

TEST(public_debug_keys_need_developer_mode)
{
    uint8_t digest[32];
    CHECK_OK(rb_unhex("4e8e1ee24968b0dad6d0956a7e14d848b38b22a203f39c389a45d8737bdc4585", digest, 32));
    CHECK(rpk_is_debug_signer(digest));
    CHECK_OK(rb_unhex("6d3e6a3dcbdadb0aa94f64e33a36b01254cb6ef7e14be282d885cd95aeb952e0", digest, 32));
    CHECK(rpk_is_debug_signer(digest));
    digest[31] ^= 1;
    CHECK(!rpk_is_debug_signer(digest));

    char *path = rb_text("%s/../shared/samples/rpk/clockdemo-1.0.0-hap-debugkey.rpk", test_tree());
    struct rpk_file *file;
    if (!rb_file_exists(path)) {
        test_skip("../shared/samples is not here");
    }
    CHECK_ERR(rpk_file_open_path(path, 0, &file), RB_ERR_RPK_DEBUG_KEY);
    CHECK_OK(rpk_file_open_path(path, RPK_OPEN_DEBUG_KEY, &file));
    CHECK(file->debug_key && file->signature.key_bits == 4096);
    rpk_file_close(file);
    free(path);
}
