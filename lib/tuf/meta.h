/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * One metadata file: envelope, signatures, and what its role says. The order is fixed by the types of the calls:
 * read (JSON only), verify (signatures, against a root that was itself verified), check (contents).
 * Nothing but the envelope is looked at before the signatures are verified.
 */
#ifndef RB_TUF_META_H
#define RB_TUF_META_H

#include "lib/core/crypto.h"
#include "lib/core/errors.h"
#include "lib/host/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rb_meta_role { RB_META_ROOT, RB_META_TIMESTAMP, RB_META_SNAPSHOT, RB_META_TARGETS, RB_META_ROLE_COUNT };

/** "root", "timestamp", "snapshot", "targets". */
const char *rb_meta_role_name(enum rb_meta_role role);

#define RB_META_SIGNATURES_MAX 256u
#define RB_META_KEYS_MAX 256u
#define RB_META_VERSION_MAX INT64_MAX
/** Field of our own in a timestamp's signed part: when it was made. */
#define RB_META_ISSUED "x-riverbank-issued"

struct rb_meta {
    json_t *document;               /* the whole file; owned */
    json_t *body;                   /* its "signed" part */
    uint8_t digest[RB_SHA256_LEN];  /* of the canonical form of "signed": what signatures are over */
    uint8_t sha256[RB_SHA256_LEN];  /* of the file as it came */
    size_t len;                     /* of the file as it came */
    int64_t version;                /* from here on: set by rb_meta_check */
    int64_t expires;                /* seconds since 1970 */
};

/** Parse JSON and envelope; compute what signatures are over. RB_ERR_META_JSON, RB_ERR_META_FORMAT. */
RB_MUST_USE
rb_err rb_meta_read(const void *data, size_t len, struct rb_meta **out);

/**
 * Count the valid signatures by keys that `root` gives to `role`, and compare with its threshold.
 *
 * A key counts once however many key ids or signatures it has. The key fixes the algorithm: only keys of type ecdsa
 * with scheme ecdsa-sha2-nistp256 are used, others never count. A key id that occurs twice in "signatures" is
 * refused with RB_ERR_META_FORMAT.
 *
 * @param root  checked by rb_meta_check; may be `meta` itself for a root that must be signed by itself
 * @return RB_OK, RB_ERR_META_SIGNATURE, RB_ERR_META_FORMAT
 */
RB_MUST_USE
rb_err rb_meta_verify(const struct rb_meta *meta, const struct rb_meta *root, enum rb_meta_role role);

/** Check everything that `role` must say and set version and expires. Does not look at the time.
 * RB_ERR_META_TYPE for another role's file, RB_ERR_META_FORMAT. */
RB_MUST_USE
rb_err rb_meta_check(struct rb_meta *meta, enum rb_meta_role role);

void rb_meta_free(struct rb_meta *meta);

/** What a timestamp or snapshot says about another file. */
struct rb_meta_ref {
    int64_t version;
    bool has_length;
    uint64_t length;
    bool has_sha256;
    uint8_t sha256[RB_SHA256_LEN];
};
/** Of a checked timestamp or snapshot. RB_ERR_META_FORMAT when it does not name `file`. */
RB_MUST_USE
rb_err rb_meta_ref(const struct rb_meta *meta, const char *file, struct rb_meta_ref *out);

/** Whether `role` has a key in `before` that it has no more in `after`. */
bool rb_meta_key_removed(const struct rb_meta *before, const struct rb_meta *after, enum rb_meta_role role);

/** Whether a target name is a plain relative path: segments of printable ASCII without \ ? # % or blank, none of
 * them empty, "." or "..", at most 255 bytes a segment and 1024 in all. */
bool rb_meta_name_valid(const char *name);

#endif
