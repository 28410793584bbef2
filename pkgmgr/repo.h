/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Packages by name: the repository's signed metadata says which file, and the file is fetched and checked against it.
 */
#ifndef RB_PKGMGR_REPO_H
#define RB_PKGMGR_REPO_H

#include "lib/host/http.h"
#include "lib/tuf/release.h"
#include "lib/tuf/tuf.h"
#include "pkgmgr/rpk.h"

/** A package that the repository has. */
struct rpk_offer {
    struct rb_tuf_target target;
    struct rb_release_target release;
};

struct rpk_repo {
    const struct rb_settings *settings; /* borrowed */
    struct rb_tuf *tuf;
    struct rb_http *http;
    void (*progress)(void *ctx, const char *package, uint64_t done, uint64_t total); /* may be NULL */
    void *ctx;
    struct rpk_offer offer; /* the one that rpk_repo_find found last */
};

/** Load trusted metadata and bring it up to date. RB_ERR_AGENT_SETTINGS without repository_url; RB_ERR_META_*,
 * RB_ERR_NET_*. */
RB_MUST_USE
rb_err rpk_repo_open(const struct rb_settings *settings, struct rpk_repo *out);
void rpk_repo_close(struct rpk_repo *repo);

/** The newest version of `package` for this device: the highest version_code; among equals the one made for the
 * device's very type, then for its family, then for any. RB_ERR_PKG_NOT_AVAILABLE. */
RB_MUST_USE
rb_err rpk_repo_offer(const struct rpk_repo *repo, const char *package, struct rpk_offer *out);

/**
 * Fetch an offer into the spool. The file has no name any more when this returns: nobody can change it, and it is gone
 * when *fd is closed.
 * @return RB_OK, RB_ERR_TARGET_HASH, RB_ERR_NET_*, RB_ERR_NO_SPACE, RB_ERR_IO
 */
RB_MUST_USE
rb_err rpk_repo_fetch(struct rpk_repo *repo, const struct rpk_offer *offer, int *fd);

/** For rpk_plan_install_name: `ctx` is the struct rpk_repo. */
RB_MUST_USE
rb_err rpk_repo_find(void *ctx, const char *package, struct rpk_found *out);

#endif
