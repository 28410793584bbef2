/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The signing block of an .rpk: who signed, and that the content is what was signed. Private to librpk.
 *
 * Format: docs/format.md 5.2 and 5.3.
 */
#ifndef RB_PKGMGR_SIGNATURE_H
#define RB_PKGMGR_SIGNATURE_H

#include "pkgmgr/container.h"

#include <mbedtls/md.h>
#include <stdbool.h>

#define RPK_ID_WHOLE 0x01000101u     /* each section is one chunk; what every toolchain writes */
#define RPK_ID_CHUNKED 0x01000102u   /* sections are split into chunks of 1 MiB */
#define RPK_ID_FILES 0x01000201u     /* list of file hashes; adds nothing once the content digest holds */
#define RPK_ID_PLATFORM_FIRST 0x02000101u /* a store's signature; the reference runtime knows and refuses it */
#define RPK_ID_PLATFORM_LAST 0x02000201u
#define RPK_RSA_SHA256 0x0103u /* RSASSA-PKCS1-v1_5: the algorithm of every toolchain */
#define RPK_CHUNK_LEN (1u << 20)

/** A content digest in the making: SHA over chunk digests over the three sections. */
struct rpk_content {
    mbedtls_md_context_t outer; /* 0x5a, chunk count, chunk digests */
    mbedtls_md_context_t chunk;
    uint64_t section_left;      /* bytes to come in this section */
    uint32_t chunk_left;        /* bytes to come in this chunk */
    uint32_t chunk_len;
    uint32_t hash_len;
    bool broken;                /* a hash function failed or bytes came outside a section */
};

/** What a verified signature says. */
struct rpk_signed {
    uint32_t algorithm;        /* 0x0103 ... */
    uint32_t chunk_len;        /* UINT32_MAX: sections are whole */
    uint8_t signer[32];        /* SHA-256 of the signing certificate's DER */
    char subject[256];         /* of the certificate, for people */
    unsigned key_bits;
    uint8_t content[64];       /* the signed content digest, zero-padded: names the content of the package */
    uint8_t entries_digest[64]; /* rpk_content_entries() after section 1: lets a later pass prove that it read the
                                 * bytes that were signed */
};

/**
 * Verify: block rules, one signer, algorithms agree, key is the certificate's, signature over the signed data, content
 * digest over the whole file (streamed).
 *
 * Not looked at, as in the reference runtime: certificate dates, chains, key usage. The file list (0x01000201) is not
 * used.
 *
 * @return RB_OK, RB_ERR_RPK_UNSIGNED (a block without a package signature), RB_ERR_RPK_BLOCK, RB_ERR_RPK_ALGORITHM,
 *         RB_ERR_RPK_SIGNATURE, RB_ERR_RPK_DIGEST, RB_ERR_IO
 */
RB_MUST_USE
rb_err rpk_signature_verify(const struct rpk_container *c, struct rpk_signed *out);

/** Begin a content digest of a container as `algorithm` (of a verified signature) and `chunk_len` ask for. */
RB_MUST_USE
rb_err rpk_content_start(struct rpk_content *content, const struct rpk_container *c, uint32_t algorithm,
                         uint32_t chunk_len);
/** A section of `len` bytes follows. */
void rpk_content_section(struct rpk_content *content, uint64_t len);
void rpk_content_update(struct rpk_content *content, const void *data, size_t len);
/** Digest of what was given so far, zero-padded to 64 bytes; the content goes on. */
RB_MUST_USE
rb_err rpk_content_peek(const struct rpk_content *content, uint8_t digest[64]);
void rpk_content_free(struct rpk_content *content);

/** Content digest of `c` for `algorithm`, and what it was after section 1. For verifying and for signing. */
RB_MUST_USE
rb_err rpk_content_digest(const struct rpk_container *c, uint32_t algorithm, uint32_t chunk_len, uint8_t digest[64],
                          uint8_t entries_digest[64]);

#endif
