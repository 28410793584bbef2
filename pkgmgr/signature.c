/* SPDX-License-Identifier: Apache-2.0
 *
 *   value       = lp{ lp{ signer } }                     lp{..}: u32 length, then the bytes
 *   signer      = lp{ signed data } lp{ signature record+ } lp{ public key DER }
 *   signed data = lp{ digest record+ } lp{ lp{ certificate DER }+ } lp{ attributes }
 *   record      = lp{ u32 algorithm, lp{ bytes } }
 *
 * Every length is checked by the reader it narrows; a field that leaves bytes over is an error.
 */
#include "pkgmgr/signature.h"

#include "lib/core/bytes.h"
#include "lib/core/crypto.h"
#include "lib/host/fail.h"

#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>
#include <string.h>

#define RECORDS_MAX 8u
#define PAIRS_MAX 64u
#define READ_LEN 16384u

struct algorithm {
    uint32_t id;
    mbedtls_pk_type_t scheme;
    mbedtls_md_type_t hash;
    int salt_len;
    unsigned strength; /* of two records, the stronger one is verified */
};

static const struct algorithm algorithms[] = {
    {RPK_RSA_SHA256, MBEDTLS_PK_RSA, MBEDTLS_MD_SHA256, 0, 1},
    {0x0101, MBEDTLS_PK_RSASSA_PSS, MBEDTLS_MD_SHA256, 32, 2},
    {0x0201, MBEDTLS_PK_ECDSA, MBEDTLS_MD_SHA256, 0, 3},
    {0x0104, MBEDTLS_PK_RSA, MBEDTLS_MD_SHA512, 0, 4},
    {0x0102, MBEDTLS_PK_RSASSA_PSS, MBEDTLS_MD_SHA512, 64, 5},
    {0x0202, MBEDTLS_PK_ECDSA, MBEDTLS_MD_SHA512, 0, 6},
};

static const struct algorithm *
find_algorithm(uint32_t id)
{
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
        if (algorithms[i].id == id) {
            return &algorithms[i];
        }
    }
    return NULL;
}

static uint32_t
hash_len(const struct algorithm *a)
{
    return a->hash == MBEDTLS_MD_SHA512 ? 64 : 32;
}

/* ---- content digest ---- */

static void
put(struct rpk_content *content, mbedtls_md_context_t *md, const void *data, size_t len)
{
    if (mbedtls_md_update(md, data, len) != 0) {
        content->broken = true;
    }
}

static void
put_head(struct rpk_content *content, mbedtls_md_context_t *md, uint8_t tag, uint32_t number)
{
    uint8_t head[5];
    struct rb_writer w = rb_writer_of(head, sizeof head);

    rb_write_u8(&w, tag);
    rb_write_u32(&w, number);
    if (mbedtls_md_starts(md) != 0) {
        content->broken = true;
    }
    put(content, md, head, sizeof head);
}

static uint32_t
chunks(uint64_t len, uint32_t chunk_len)
{
    return (uint32_t)((len + chunk_len - 1) / chunk_len);
}

rb_err
rpk_content_start(struct rpk_content *content, const struct rpk_container *c, uint32_t algorithm, uint32_t chunk_len)
{
    const struct algorithm *a = find_algorithm(algorithm);
    const mbedtls_md_info_t *info = a != NULL ? mbedtls_md_info_from_type(a->hash) : NULL;

    *content = (struct rpk_content){.chunk_len = chunk_len};
    mbedtls_md_init(&content->outer);
    mbedtls_md_init(&content->chunk);
    if (info == NULL || mbedtls_md_setup(&content->outer, info, 0) != 0
        || mbedtls_md_setup(&content->chunk, info, 0) != 0) {
        rpk_content_free(content);
        return rb_fail(RB_ERR_INTERNAL, "hash function not available");
    }
    content->hash_len = hash_len(a);
    uint32_t count = chunks(c->entries_end, chunk_len) + chunks(c->directory_len, chunk_len)
                     + chunks(c->end_len, chunk_len);
    put_head(content, &content->outer, 0x5a, count);
    return RB_OK;
}

void
rpk_content_section(struct rpk_content *content, uint64_t len)
{
    content->broken = content->broken || content->section_left != 0;
    content->section_left = len;
}

static void
start_chunk(struct rpk_content *content)
{
    content->chunk_left = content->section_left < content->chunk_len ? (uint32_t)content->section_left
                                                                     : content->chunk_len;
    put_head(content, &content->chunk, 0xa5, content->chunk_left);
}

static void
end_chunk(struct rpk_content *content)
{
    uint8_t digest[64];

    if (mbedtls_md_finish(&content->chunk, digest) != 0) {
        content->broken = true;
        return;
    }
    put(content, &content->outer, digest, content->hash_len);
}

void
rpk_content_update(struct rpk_content *content, const void *data, size_t len)
{
    const uint8_t *at = data;

    while (len > 0 && content->section_left > 0) {
        if (content->chunk_left == 0) {
            start_chunk(content);
        }
        size_t part = len < content->chunk_left ? len : content->chunk_left;
        put(content, &content->chunk, at, part);
        at += part;
        len -= part;
        content->chunk_left -= (uint32_t)part;
        content->section_left -= part;
        if (content->chunk_left == 0) {
            end_chunk(content);
        }
    }
    content->broken = content->broken || len > 0;
}

rb_err
rpk_content_peek(const struct rpk_content *content, uint8_t digest[64])
{
    mbedtls_md_context_t copy;
    const mbedtls_md_info_t *info = mbedtls_md_info_from_type(content->hash_len == 64 ? MBEDTLS_MD_SHA512
                                                                                      : MBEDTLS_MD_SHA256);
    bool done;

    rb_fill(digest, 0, 64);
    mbedtls_md_init(&copy);
    done = !content->broken && content->section_left == 0 && mbedtls_md_setup(&copy, info, 0) == 0
           && mbedtls_md_clone(&copy, &content->outer) == 0 && mbedtls_md_finish(&copy, digest) == 0;
    mbedtls_md_free(&copy);
    return done ? RB_OK : rb_fail(RB_ERR_INTERNAL, "hash function failed");
}

void
rpk_content_free(struct rpk_content *content)
{
    mbedtls_md_free(&content->outer);
    mbedtls_md_free(&content->chunk);
}

static rb_err
hash_entries(struct rpk_content *content, const struct rpk_container *c)
{
    uint8_t buffer[READ_LEN];

    rpk_content_section(content, c->entries_end);
    for (uint64_t at = 0; at < c->entries_end;) {
        size_t part = c->entries_end - at < sizeof buffer ? (size_t)(c->entries_end - at) : sizeof buffer;
        RB_TRY(rpk_source_read(&c->source, at, buffer, part));
        rpk_content_update(content, buffer, part);
        at += part;
    }
    return RB_OK;
}

/* The end record is hashed as it was before the block was spliced in: its directory offset is the block's. */
static void
hash_tail(struct rpk_content *content, const struct rpk_container *c)
{
    const uint8_t *end = c->tail + c->directory_len;
    uint8_t offset[4];
    struct rb_writer w = rb_writer_of(offset, sizeof offset);

    rb_write_u32(&w, c->entries_end);
    rpk_content_section(content, c->directory_len);
    rpk_content_update(content, c->tail, c->directory_len);
    rpk_content_section(content, c->end_len);
    rpk_content_update(content, end, 16);
    rpk_content_update(content, offset, sizeof offset);
    rpk_content_update(content, end + 20, c->end_len - 20);
}

rb_err
rpk_content_digest(const struct rpk_container *c, uint32_t algorithm, uint32_t chunk_len, uint8_t digest[64],
                   uint8_t entries_digest[64])
{
    struct rpk_content content;
    rb_err err;

    RB_TRY(rpk_content_start(&content, c, algorithm, chunk_len));
    err = hash_entries(&content, c);
    if (err == RB_OK) {
        err = rpk_content_peek(&content, entries_digest);
    }
    if (err == RB_OK) {
        hash_tail(&content, c);
        err = rpk_content_peek(&content, digest);
    }
    rpk_content_free(&content);
    return err;
}

/* ---- block ---- */

struct bytes {
    const uint8_t *at;
    size_t len;
};

struct record {
    uint32_t algorithm;
    struct bytes value;
};

struct signer {
    struct bytes data;        /* what is signed */
    struct bytes public_key;  /* SubjectPublicKeyInfo DER */
    struct bytes certificate; /* the first one */
    struct record digests[RECORDS_MAX];
    struct record signatures[RECORDS_MAX];
    unsigned digest_count;
    unsigned signature_count;
};

static struct bytes
read_prefixed(struct rb_reader *r)
{
    size_t len = rb_read_u32(r);
    const uint8_t *at = rb_read_bytes(r, len);

    return (struct bytes){at, at != NULL ? len : 0};
}

static struct rb_reader
reader_of(struct bytes b)
{
    return rb_reader_of(b.at, b.len);
}

static rb_err
malformed(const char *what)
{
    return rb_fail(RB_ERR_RPK_BLOCK, "%s", what);
}

static rb_err
read_records(struct bytes list, struct record *out, unsigned *count)
{
    struct rb_reader r = reader_of(list);

    for (*count = 0; r.left > 0; (*count)++) {
        struct rb_reader one = reader_of(read_prefixed(&r));
        uint32_t algorithm = rb_read_u32(&one);
        struct bytes value = read_prefixed(&one);
        if (r.bad || one.bad || one.left > 0) {
            return malformed("digest or signature record");
        }
        if (*count == RECORDS_MAX) {
            return malformed("too many digest or signature records");
        }
        for (unsigned i = 0; i < *count; i++) {
            if (out[i].algorithm == algorithm) {
                return malformed("the same algorithm twice");
            }
        }
        out[*count] = (struct record){algorithm, value};
    }
    return *count > 0 ? RB_OK : malformed("no digest or signature record");
}

static rb_err
read_signed_data(struct signer *s)
{
    struct rb_reader r = reader_of(s->data);
    struct bytes digests = read_prefixed(&r);
    struct bytes certificates = read_prefixed(&r);

    (void)read_prefixed(&r); /* attributes: none are defined */
    if (r.bad || r.left > 0) {
        return malformed("signed data");
    }
    RB_TRY(read_records(digests, s->digests, &s->digest_count));

    struct rb_reader c = reader_of(certificates);
    s->certificate = read_prefixed(&c);
    while (!c.bad && c.left > 0) {
        (void)read_prefixed(&c); /* a chain is legal and says nothing here */
    }
    return c.bad ? malformed("certificates") : RB_OK;
}

static rb_err
read_signer(struct bytes value, struct signer *out)
{
    struct rb_reader r = reader_of(value);
    struct rb_reader signers = reader_of(read_prefixed(&r));
    struct rb_reader one = reader_of(read_prefixed(&signers));
    struct signer s = {0};

    s.data = read_prefixed(&one);
    struct bytes signatures = read_prefixed(&one);
    s.public_key = read_prefixed(&one);
    if (r.bad || r.left > 0 || signers.bad || one.bad || one.left > 0) {
        return malformed("signer");
    }
    if (signers.left > 0) {
        return malformed("more than one signer");
    }
    RB_TRY(read_records(signatures, s.signatures, &s.signature_count));
    RB_TRY(read_signed_data(&s));
    *out = s;
    return RB_OK;
}

/* The same ids in the same order in both lists, so that no one can strip the strong one from either. */
static rb_err
check_algorithms(const struct signer *s, unsigned *chosen)
{
    const struct algorithm *best = NULL;

    if (s->digest_count != s->signature_count) {
        return malformed("digests and signatures do not name the same algorithms");
    }
    for (unsigned i = 0; i < s->digest_count; i++) {
        const struct algorithm *a = find_algorithm(s->digests[i].algorithm);
        if (s->digests[i].algorithm != s->signatures[i].algorithm) {
            return malformed("digests and signatures do not name the same algorithms");
        }
        if (a != NULL && (best == NULL || a->strength > best->strength)) {
            best = a;
            *chosen = i;
        }
    }
    if (best == NULL) {
        return rb_fail(RB_ERR_RPK_ALGORITHM, "algorithm 0x%04x", s->digests[0].algorithm);
    }
    if (s->digests[*chosen].value.len != hash_len(best)) {
        return malformed("digest length");
    }
    return RB_OK;
}

static rb_err
check_key(const struct algorithm *a, const mbedtls_pk_context *key, unsigned *bits)
{
    bool rsa = mbedtls_pk_can_do(key, MBEDTLS_PK_RSA) != 0;
    bool want_rsa = a->scheme != MBEDTLS_PK_ECDSA;

    *bits = (unsigned)mbedtls_pk_get_bitlen(key);
    if (rsa != want_rsa || (!rsa && mbedtls_pk_can_do(key, MBEDTLS_PK_ECDSA) == 0)) {
        return rb_fail(RB_ERR_RPK_ALGORITHM, "key is not one for algorithm 0x%04x", a->id);
    }
    if (rsa ? *bits < 2048 || *bits > 4096 : *bits < 256) {
        return rb_fail(RB_ERR_RPK_ALGORITHM, "key of %u bits (RSA: 2048 to 4096, EC: 256 or more)", *bits);
    }
    return RB_OK;
}

static rb_err
check_signature(const struct signer *s, const struct algorithm *a, struct bytes signature, mbedtls_pk_context *key)
{
    mbedtls_pk_rsassa_pss_options pss = {.mgf1_hash_id = a->hash, .expected_salt_len = a->salt_len};
    uint8_t hash[64];

    if (mbedtls_md(mbedtls_md_info_from_type(a->hash), s->data.at, s->data.len, hash) != 0) {
        return rb_fail(RB_ERR_INTERNAL, "hash function failed");
    }
    if (mbedtls_pk_verify_ext(a->scheme, a->scheme == MBEDTLS_PK_RSASSA_PSS ? &pss : NULL, key, a->hash, hash,
                              hash_len(a), signature.at, signature.len)
        != 0) {
        return rb_fail(RB_ERR_RPK_SIGNATURE, "does not match the certificate's key");
    }
    return RB_OK;
}

static rb_err
check_certificate(const struct signer *s, const struct algorithm *a, struct bytes signature, mbedtls_x509_crt *crt,
                  struct rpk_signed *out)
{
    if (mbedtls_x509_crt_parse_der(crt, s->certificate.at, s->certificate.len) != 0
        || crt->raw.len != s->certificate.len) {
        return malformed("certificate");
    }
    if (crt->pk_raw.len != s->public_key.len || !rb_equal(crt->pk_raw.p, s->public_key.at, s->public_key.len)) {
        return rb_fail(RB_ERR_RPK_SIGNATURE, "public key is not the certificate's");
    }
    RB_TRY(check_key(a, &crt->pk, &out->key_bits));
    RB_TRY(check_signature(s, a, signature, &crt->pk));
    rb_sha256(s->certificate.at, s->certificate.len, out->signer);
    if (mbedtls_x509_dn_gets(out->subject, sizeof out->subject, &crt->subject) < 0) {
        out->subject[0] = '\0';
    }
    return RB_OK;
}

static rb_err
verify_signer(const struct rpk_container *c, struct bytes value, uint32_t chunk_len, struct rpk_signed *out)
{
    struct signer s = {0};
    unsigned chosen = 0;
    mbedtls_x509_crt crt;
    uint8_t digest[64];

    RB_TRY(read_signer(value, &s));
    RB_TRY(check_algorithms(&s, &chosen));
    const struct algorithm *a = find_algorithm(s.digests[chosen].algorithm);

    mbedtls_x509_crt_init(&crt);
    rb_err err = check_certificate(&s, a, s.signatures[chosen].value, &crt, out);
    mbedtls_x509_crt_free(&crt);
    RB_TRY(err);

    out->algorithm = a->id;
    out->chunk_len = chunk_len;
    RB_TRY(rpk_content_digest(c, a->id, chunk_len, digest, out->entries_digest));
    if (!rb_equal(digest, s.digests[chosen].value.at, hash_len(a))) {
        return rb_fail(RB_ERR_RPK_DIGEST, "altered after it was signed");
    }
    rb_copy(out->content, digest, sizeof out->content);
    return RB_OK;
}

/* Unknown ids are ignored, as in every reader; a known one must not come twice, since readers differ in which wins. */
static rb_err
find_signature(const struct rpk_container *c, struct bytes *value, uint32_t *chunk_len)
{
    struct rb_reader r = rb_reader_of(c->pairs, c->pairs_len);
    uint32_t ids[PAIRS_MAX];
    unsigned count = 0;

    *value = (struct bytes){NULL, 0};
    while (r.left > 0) {
        uint64_t len = rb_read_u64(&r);
        if (r.bad || len < 4 || len > r.left) {
            return malformed("pair length");
        }
        uint32_t id = rb_read_u32(&r);
        struct bytes found = {rb_read_bytes(&r, (size_t)len - 4), (size_t)len - 4};
        for (unsigned i = 0; i < count; i++) {
            if (ids[i] == id) {
                return malformed("the same id twice");
            }
        }
        if (count == PAIRS_MAX) {
            return malformed("too many pairs");
        }
        ids[count++] = id;
        if (id >= RPK_ID_PLATFORM_FIRST && id <= RPK_ID_PLATFORM_LAST) {
            return rb_fail(RB_ERR_RPK_ALGORITHM, "platform signatures are not supported");
        }
        if (id == RPK_ID_CHUNKED || (id == RPK_ID_WHOLE && value->at == NULL)) {
            *value = found;
            *chunk_len = id == RPK_ID_CHUNKED ? RPK_CHUNK_LEN : UINT32_MAX;
        }
    }
    return value->at != NULL ? RB_OK : rb_fail(RB_ERR_RPK_UNSIGNED, "signing block without a package signature");
}

rb_err
rpk_signature_verify(const struct rpk_container *c, struct rpk_signed *out)
{
    struct rpk_signed result = {0};
    struct bytes value;
    uint32_t chunk_len = UINT32_MAX;

    RB_TRY(find_signature(c, &value, &chunk_len));
    RB_TRY(verify_signer(c, value, chunk_len, &result));
    *out = result;
    return RB_OK;
}
