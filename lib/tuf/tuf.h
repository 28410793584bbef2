/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A TUF 1.0.34 client: trusted metadata in a directory, refreshed in the client workflow's order (root chain,
 * timestamp, snapshot, targets). Independent of how files are fetched.
 *
 * What is on disk in the trust directory was verified before it was written, and is verified again when loaded:
 *   root.json  timestamp.json  snapshot.json  targets.json   time   (the time floor, seconds since 1970, decimal)
 */
#ifndef RB_TUF_TUF_H
#define RB_TUF_TUF_H

#include "lib/core/errors.h"
#include "lib/host/json.h"

#include <stdint.h>

#define RB_TUF_ROOT_MAX 65536u
#define RB_TUF_TIMESTAMP_MAX 16384u
#define RB_TUF_SNAPSHOT_MAX 65536u
#define RB_TUF_TARGETS_MAX (4u << 20)
#define RB_TUF_ROOT_STEPS_MAX 64u

/** No device runs this code before it was written: 2026-01-01. The lowest time floor. */
#ifndef RB_TUF_TIME_BUILD
#define RB_TUF_TIME_BUILD INT64_C(1767225600)
#endif

struct rb_tuf;

/** Fetch metadata file `name` ("7.root.json", "timestamp.json", ...) of at most `limit` bytes into `buffer`.
 * RB_ERR_NET_NOT_FOUND when there is none; RB_ERR_META_TOO_LARGE when it is longer; other errors pass through. */
typedef rb_err (*rb_tuf_fetch)(void *ctx, const char *name, void *buffer, size_t limit, size_t *len);

/** Make a trust directory from the first root, which is trusted as it is (it must still be signed by itself).
 * Refuses a directory that has a root already with RB_ERR_IO_EXISTS. */
RB_MUST_USE
rb_err rb_tuf_init(const char *trust_dir, const void *root, size_t root_len);

/** Load trusted metadata. Only root must be there; a damaged or unverifiable other file is ignored (it is fetched
 * again). `clock` is the device's wall clock in seconds; the time used is max(clock, floor).
 * RB_ERR_META_TRUST: no root, or one that does not verify. */
RB_MUST_USE
rb_err rb_tuf_open(const char *trust_dir, int64_t clock, struct rb_tuf **out);
void rb_tuf_close(struct rb_tuf *tuf);

/**
 * The client workflow. Each file is stored only after it was verified; a failure leaves everything trusted before
 * in place, and the detail names the file. At most RB_TUF_ROOT_STEPS_MAX new roots are taken; the next refresh goes on
 * from there. Another process that refreshes the same directory is waited for.
 *
 * After success the time floor is at least the time at which the timestamp says it was made (docs/format.md 6.2). It
 * falls back to RB_TUF_TIME_BUILD only with a root that takes a key from timestamp or snapshot.
 * @return RB_OK, RB_ERR_META_*, RB_ERR_AGENT_LOCKED, or an error of `fetch`
 */
RB_MUST_USE
rb_err rb_tuf_refresh(struct rb_tuf *tuf, rb_tuf_fetch fetch, void *ctx);

/** A target file named by trusted targets metadata. What is borrowed is valid until the next refresh or close. */
struct rb_tuf_target {
    const char *name;   /* path in the repository, borrowed */
    uint64_t length;
    uint8_t sha256[32];
    const json_t *custom; /* borrowed; NULL when there is none */
};

/** RB_ERR_META_TRUST when there is no complete set (each of timestamp, snapshot, targets the one its parent names: the
 * last refresh failed half-way, or there was none), RB_ERR_META_EXPIRED when any of the three has expired,
 * RB_ERR_TARGET_UNKNOWN. */
RB_MUST_USE
rb_err rb_tuf_target(const struct rb_tuf *tuf, const char *name, struct rb_tuf_target *out);

/** Visit all targets in name order; stops at the first error `visit` returns and passes it on. */
RB_MUST_USE
rb_err rb_tuf_each_target(const struct rb_tuf *tuf, rb_err (*visit)(void *ctx, const struct rb_tuf_target *target),
                          void *ctx);

/** Consistent snapshot path below the targets URL: DIR/<sha256>.NAME for DIR/NAME. Names in trusted metadata are plain
 * relative paths (lib/tuf/meta.h), so the result needs no quoting. Caller frees. */
char *rb_tuf_target_path(const struct rb_tuf_target *target);

/** Versions of the trusted files, 0 for what is not there, for reports. */
struct rb_tuf_versions {
    int64_t root, timestamp, snapshot, targets;
    int64_t timestamp_expires; /* seconds since 1970 */
    int64_t now;               /* the time used */
};
void rb_tuf_versions(const struct rb_tuf *tuf, struct rb_tuf_versions *out);

#endif
