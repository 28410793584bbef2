/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Publishing: what devices may see of a repository, copied to where a web server finds it.
 */
#ifndef RB_FORGE_PUBLISH_H
#define RB_FORGE_PUBLISH_H

#include "lib/core/errors.h"

#include <stdint.h>

struct forge_publish_report {
    unsigned copied;       /* files written */
    unsigned unchanged;    /* files that were there already */
    uint64_t copied_bytes;
    int64_t timestamp;     /* version that clients see now */
};

/**
 * Copy metadata/ and targets/ to the directory `to`: targets first, timestamp.json last, each file by a rename, so that
 * a client sees the old or the new repository whenever this is interrupted. Keys and images stay behind.
 *
 * @return RB_OK
 *         RB_ERR_ARG         `to` is no directory path (rsync and s3 are not supported yet)
 *         RB_ERR_REPO_STATE  another repository is published there, or a newer state of this one
 *         RB_ERR_TARGET_HASH a blob is missing or damaged here; nothing newer was made visible
 */
RB_MUST_USE
rb_err forge_publish(const char *repository, const char *to, struct forge_publish_report *report);

#endif
