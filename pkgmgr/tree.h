/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The package tree on disk. Private to librpk.
 *
 *   store/<package>/<versionCode>-<hash8>/   one version of one package, never changed once it has this name
 *   gen/<N>/<package>                        symbolic link into store/, for each package of generation N
 *   gen/<N>/manifest                         the same as text, with digests; ends with its own SHA-256
 *   current                                  symbolic link to gen/<N>: which generation is installed
 *   data/<package>/files cache mass tmp preferences
 *   tmp/                                     what is being removed
 *
 * A name that ends in .part is not finished. Format: docs/format.md 5.6.
 */
#ifndef RB_PKGMGR_TREE_H
#define RB_PKGMGR_TREE_H

#include "lib/core/errors.h"
#include "pkgmgr/manifest.h"

#include <stdint.h>

struct rpk_member {
    char *package;
    int64_t version_code;
    char *store;          /* "<versionCode>-<hash8>" */
    uint8_t content[32];  /* content digest (the first 32 bytes of a longer one) */
    uint8_t signer[32];
    uint8_t manifest[32]; /* SHA-256 of its manifest.json */
    int64_t installed;    /* seconds since 1970, by the device's clock */
};

struct rpk_generation {
    uint32_t number;            /* 0: nothing was ever installed */
    struct rpk_member *members; /* sorted by package */
    unsigned count;
};

/** Which generation is live: 0 when there is none yet. RB_ERR_PKG_STATE when `current` is not a link to gen/<N>. */
RB_MUST_USE
rb_err rpk_tree_current(const char *dir, uint32_t *number);

/** Read gen/<number>/manifest; number 0 gives an empty generation. RB_ERR_PKG_STATE when it is missing or damaged. */
RB_MUST_USE
rb_err rpk_tree_read(const char *dir, uint32_t number, struct rpk_generation *out);

/** Write gen/<number>.part: links and manifest. Not synced. */
RB_MUST_USE
rb_err rpk_tree_write(const char *dir, const struct rpk_generation *generation);

/** Point `current` at gen/<number>: the commit point of everything. */
RB_MUST_USE
rb_err rpk_tree_switch(const char *dir, uint32_t number);

/** Move `path` into tmp/ and remove it there: nothing half removed keeps its name. */
RB_MUST_USE
rb_err rpk_tree_discard(const char *dir, const char *path);

/** Names in a directory, sorted; none when it is not there. Caller frees with rpk_strings_free. */
RB_MUST_USE
rb_err rpk_tree_names(const char *path, struct rpk_strings *out);

const struct rpk_member *rpk_generation_find(const struct rpk_generation *generation, const char *package);
/** A copy of `member` added at its place; an older member of that package is replaced. */
void rpk_generation_put(struct rpk_generation *generation, const struct rpk_member *member);
void rpk_generation_drop(struct rpk_generation *generation, const char *package);
void rpk_generation_free(struct rpk_generation *generation);

/** Number of a name made of digits alone, without leading zeros, 1..UINT32_MAX - 1; 0 for any other. */
uint32_t rpk_generation_number(const char *name);

#endif
