/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A repository on the build server: keys, signed metadata, targets (docs/format.md section 6).
 *
 *   keys/        root1.pem ... targets.pem snapshot.pem timestamp.pem image.pem    mode 0700, never published
 *   metadata/    1.root.json ... N.targets.json N.snapshot.json timestamp.json     published
 *   targets/     DIR/<sha256>.NAME                                                 published
 *   images/      <sha256>.img: every image released, to make deltas from           never published
 *   staged/      inputs and payloads of the run under way
 *   repository.json   how long what is signed stays valid
 *
 * Every change ends with the rename of timestamp.json. Until then a client, and the next run here, sees the
 * repository as it was: whatever lies around beyond what timestamp.json leads to is overwritten or ignored.
 */
#ifndef RB_FORGE_REPO_H
#define RB_FORGE_REPO_H

#include "lib/core/errors.h"
#include "lib/host/json.h"
#include "lib/tuf/meta.h"

#include <stddef.h>
#include <stdint.h>

#define FORGE_ROOT_KEYS_MAX 16u

struct forge_repo;

struct forge_repo_options {
    unsigned root_keys;                        /* 1..FORGE_ROOT_KEYS_MAX */
    unsigned root_threshold;                   /* 1..root_keys */
    unsigned expires_days[RB_META_ROLE_COUNT]; /* 1..36500, by enum rb_meta_role */
};
/** One root key; root 10 years, targets and snapshot 1 year, timestamp 30 days. */
extern const struct forge_repo_options forge_repo_defaults;

/** Make keys and first metadata in a new directory, which appears whole or not at all. An empty directory that is
 * there already is used. RB_ERR_IO_EXISTS. */
RB_MUST_USE
rb_err forge_repo_init(const char *dir, const struct forge_repo_options *options);

/** Open and verify what is signed, as a device would, except for expiry. With `change`, waits for the lock of
 * another run and holds it until closed. RB_ERR_IO_NOT_FOUND, RB_ERR_REPO_STATE, RB_ERR_META_*. */
RB_MUST_USE
rb_err forge_repo_open(const char *dir, bool change, struct forge_repo **out);
void forge_repo_close(struct forge_repo *repo);

const char *forge_repo_dir(const struct forge_repo *repo);
/** Current metadata of a role; borrowed. */
const struct rb_meta *forge_repo_meta(const struct forge_repo *repo, enum rb_meta_role role);
/** The targets object (name to {length, hashes, custom}) that the next commit signs; borrowed, may be changed. */
json_t *forge_repo_targets(struct forge_repo *repo);

/** Sign and store what was changed: targets, snapshot, timestamp, in this order, versions one up. */
RB_MUST_USE
rb_err forge_repo_commit(struct forge_repo *repo);

/** Sign again what would expire: the timestamp always; snapshot and targets when `all`. */
RB_MUST_USE
rb_err forge_repo_refresh(struct forge_repo *repo, bool all);

/** A private path under staged/, holding a copy of `from` (NULL: nothing yet). What is verified and published is this
 * copy, whatever happens to `from` meanwhile. Gone when the repository is closed. Caller frees *staged. */
RB_MUST_USE
rb_err forge_repo_stage(struct forge_repo *repo, const char *from, char **staged);

/** Keep a copy of a released image for later deltas, and where it is. Caller frees the path. */
RB_MUST_USE
rb_err forge_repo_keep_image(struct forge_repo *repo, const char *staged, const uint8_t sha256[RB_SHA256_LEN]);
char *forge_repo_image_path(const struct forge_repo *repo, const uint8_t sha256[RB_SHA256_LEN]);

/** Move a staged file to its place under targets/ and set the entry {length, hashes, custom} of the next commit.
 * Takes `custom`. */
RB_MUST_USE
rb_err forge_repo_add_target(struct forge_repo *repo, const char *name, const char *staged, json_t *custom);

/** Copy a file that is named by its content, whole or not at all, durably. Does nothing when `to` is there with the
 * same length. *copied (may be NULL): whether it was written. */
RB_MUST_USE
rb_err forge_copy_file(const char *from, const char *to, bool *copied);

#endif
