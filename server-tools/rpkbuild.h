/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Writes .rpk packages as the quick-app toolchains do: the same container, entry order, compression and signing block.
 * Given the same files, times, comment and key the output is byte for byte that of hap-toolkit.
 *
 * Format: docs/format.md section 5.
 */
#ifndef RB_FORGE_RPKBUILD_H
#define RB_FORGE_RPKBUILD_H

#include "pkgmgr/rpk.h"
#include "server-tools/key.h"

/** Who signs: an RSA key and its certificate. */
struct forge_rpk_signer {
    struct forge_key *key;
    uint8_t *certificate; /* DER */
    size_t certificate_len;
    uint8_t *public_key;  /* SubjectPublicKeyInfo DER, as the certificate has it */
    size_t public_key_len;
};

/** Read key and certificate (PEM, the first one counts). RB_ERR_KEY_FORMAT when the key is not RSA or the certificate
 * is for another key; errors of forge_key_open. */
RB_MUST_USE
rb_err forge_rpk_signer_open(const char *key, const char *certificate, struct forge_rpk_signer *out);
void forge_rpk_signer_close(struct forge_rpk_signer *signer);

/** One file of a package. */
struct forge_rpk_file {
    char *name;
    uint8_t *data;
    size_t len;
    uint32_t dos_time; /* time, then date << 16 */
};

struct forge_rpk_files {
    struct forge_rpk_file *at; /* in package order */
    unsigned count;
};
void forge_rpk_files_free(struct forge_rpk_files *files);

/** Bytes in memory of the owner. */
struct forge_bytes {
    uint8_t *data;
    size_t len;
    size_t room;
};
void forge_bytes_add(struct forge_bytes *b, const void *data, size_t len);

/** DOS time of `seconds` since 1970, UTC, 2 s resolution; 1980..2107, clamped. */
uint32_t forge_dos_time(int64_t seconds);

/** An unsigned zip: directory entries before the first file that needs them, deflate level 9. `comment` may be NULL. */
RB_MUST_USE
rb_err forge_rpk_zip(const struct forge_rpk_files *files, const char *comment, struct forge_bytes *out);

/** What the file list of the signing block says of one file. */
struct forge_rpk_listed {
    const char *name;
    uint8_t sha256[32];
};

/** Sign a zip: the block goes between its last entry and its central directory. Does not look into the zip. */
RB_MUST_USE
rb_err forge_rpk_sign_zip(const struct forge_bytes *zip, const struct forge_rpk_listed *listed, unsigned count,
                          const struct forge_rpk_signer *signer, struct forge_bytes *out);

/** A complete package from its files: META-INF/CERT is made and put in front (with `cert_time`) when `with_cert`. */
RB_MUST_USE
rb_err forge_rpk_make(const struct forge_rpk_files *files, const char *comment, bool with_cert, uint32_t cert_time,
                      const struct forge_rpk_signer *signer, struct forge_bytes *out);

/** A package from an app tree: every regular file below `dir`, manifest.json at its top. `now` goes into the times and
 * META-INF/build.txt. What was made is verified as a device would before this returns.
 * @return RB_OK, RB_ERR_RPK_MANIFEST, RB_ERR_RPK_NAME, RB_ERR_ARG (a link or device in the tree, or META-INF),
 *         RB_ERR_IO
 */
RB_MUST_USE
rb_err forge_rpk_build(const char *dir, const struct forge_rpk_signer *signer, int64_t now, struct forge_bytes *out);

/** Sign a package again, or for the first time: files, times and comment stay, signature and META-INF/CERT are new.
 * RB_ERR_RPK_* when it is not a package. */
RB_MUST_USE
rb_err forge_rpk_resign(const char *path, const struct forge_rpk_signer *signer, struct forge_bytes *out);

#endif
