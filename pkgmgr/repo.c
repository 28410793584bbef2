/* SPDX-License-Identifier: Apache-2.0 */
#include "pkgmgr/repo.h"

#include "lib/core/bytes.h"
#include "lib/core/crypto.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PACKAGE_LEN_MAX (256ull << 20) /* of a package file */

static rb_err
fetch_metadata(void *ctx, const char *name, void *buffer, size_t limit, size_t *len)
{
    const struct rpk_repo *repo = ctx;
    char *url = rb_text("%smetadata/%s", repo->settings->repository_url, name);
    rb_err err = rb_http_get_small(repo->http, url, buffer, limit, len);

    free(url);
    return err == RB_ERR_NET_TOO_LARGE ? RB_ERR_META_TOO_LARGE : err;
}

static rb_err
open_and_refresh(struct rpk_repo *repo)
{
    const struct rb_http_options options = {.ca_file = repo->settings->ca_file};
    char *trust = rb_text("%s/trust", repo->settings->state_dir);
    rb_err err = rb_tuf_open(trust, (int64_t)time(NULL), &repo->tuf);

    free(trust);
    RB_TRY(err);
    RB_TRY(rb_http_open(&options, &repo->http));
    return rb_tuf_refresh(repo->tuf, fetch_metadata, repo);
}

rb_err
rpk_repo_open(const struct rb_settings *settings, struct rpk_repo *out)
{
    struct rpk_repo repo = {.settings = settings};

    if (settings->repository_url == NULL) {
        return rb_fail(RB_ERR_AGENT_SETTINGS, "no repository_url");
    }
    rb_err err = open_and_refresh(&repo);
    if (err != RB_OK) {
        rpk_repo_close(&repo);
        return err;
    }
    *out = repo;
    return RB_OK;
}

void
rpk_repo_close(struct rpk_repo *repo)
{
    if (repo->http != NULL) {
        rb_http_close(repo->http);
    }
    if (repo->tuf != NULL) {
        rb_tuf_close(repo->tuf);
    }
    *repo = (struct rpk_repo){0};
}

/* ---- choosing ---- */

struct choice {
    const struct rpk_repo *repo;
    const char *package;
    struct rpk_offer best;
    int best_fit; /* 0: none yet */
};

/* 3: made for this very type, 2: for its family, 1: for any device, 0: for others. */
static int
fit_of(const struct rb_release_target *r, const char *device)
{
    int fit = r->device_type_count == 0 ? 1 : 0;

    for (unsigned i = 0; i < r->device_type_count; i++) {
        if (device != NULL && strcmp(r->device_type[i], device) == 0) {
            return 3;
        }
        if (rpk_device_type_fits(r->device_type[i], device)) {
            fit = 2;
        }
    }
    return fit;
}

static rb_err
consider(void *ctx, const struct rb_tuf_target *target)
{
    struct choice *c = ctx;
    struct rb_release_target r;

    if (rb_release_parse(target->custom, &r) != RB_OK) {
        rb_fail_clear(); /* for a newer program */
        return RB_OK;
    }
    int fit = r.kind == RB_RELEASE_PACKAGE && strcmp(r.package, c->package) == 0
                  ? fit_of(&r, c->repo->settings->device_type)
                  : 0;
    if (fit > 0
        && (c->best_fit == 0 || r.version_code > c->best.release.version_code
            || (r.version_code == c->best.release.version_code && fit > c->best_fit))) {
        c->best = (struct rpk_offer){.target = *target, .release = r};
        c->best_fit = fit;
    }
    return RB_OK;
}

rb_err
rpk_repo_offer(const struct rpk_repo *repo, const char *package, struct rpk_offer *out)
{
    struct choice c = {.repo = repo, .package = package};

    RB_TRY(rb_tuf_each_target(repo->tuf, consider, &c));
    if (c.best_fit == 0) {
        return RB_ERR_PKG_NOT_AVAILABLE;
    }
    *out = c.best;
    return RB_OK;
}

/* ---- fetching ---- */

struct download {
    struct rpk_repo *repo;
    const struct rpk_offer *offer;
    struct rb_sha256 sha;
    uint64_t len;
    int fd;
};

static rb_err
take(void *ctx, const void *data, size_t len)
{
    struct download *d = ctx;

    RB_TRY(rb_write_all(d->fd, data, len));
    rb_sha256_update(&d->sha, data, len);
    d->len += len;
    if (d->repo->progress != NULL) {
        d->repo->progress(d->repo->ctx, d->offer->release.package, d->len, d->offer->target.length);
    }
    return RB_OK;
}

/* A file of our own in a directory of our own, without a name as soon as it exists. */
static rb_err
spool_file(const struct rb_settings *settings, int *fd)
{
    char *dir = rb_text("%s/spool", settings->state_dir);
    char *path = rb_text("%s/package-%ld", dir, (long)getpid());
    rb_err err = rb_make_dirs(dir, 0700);

    if (err == RB_OK) {
        (void)unlink(path);
        *fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        err = *fd >= 0 && unlink(path) == 0 ? RB_OK : rb_fail_errno("%s", path);
    }
    free(path);
    free(dir);
    return err;
}

static rb_err
download(struct download *d)
{
    const struct rb_tuf_target *target = &d->offer->target;
    char *path = rb_tuf_target_path(target);
    char *url = rb_text("%stargets/%s", d->repo->settings->repository_url, path);
    uint8_t digest[32];

    rb_sha256_start(&d->sha);
    rb_err err = rb_http_get(d->repo->http, url, 0, target->length, target->length, take, d);
    rb_sha256_finish(&d->sha, digest);
    if (err == RB_OK && (d->len != target->length || !rb_equal(digest, target->sha256, sizeof digest))) {
        err = rb_fail(RB_ERR_TARGET_HASH, "%s", target->name);
    }
    free(url);
    free(path);
    return err;
}

rb_err
rpk_repo_fetch(struct rpk_repo *repo, const struct rpk_offer *offer, int *fd)
{
    struct download d = {.repo = repo, .offer = offer, .fd = -1};

    if (offer->target.length > PACKAGE_LEN_MAX) {
        return rb_fail(RB_ERR_TOO_LARGE, "%s: %llu bytes", offer->target.name,
                       (unsigned long long)offer->target.length);
    }
    rb_err err = spool_file(repo->settings, &d.fd);
    if (err == RB_OK) {
        err = download(&d);
    }
    if (err != RB_OK) {
        if (d.fd >= 0) {
            (void)close(d.fd);
        }
        return err;
    }
    *fd = d.fd;
    return RB_OK;
}

rb_err
rpk_repo_find(void *ctx, const char *package, struct rpk_found *out)
{
    struct rpk_repo *repo = ctx;

    RB_TRY(rpk_repo_offer(repo, package, &repo->offer));
    out->expected = (struct rpk_expected){.package = package,
                                          .version_code = repo->offer.release.version_code,
                                          .signer = repo->offer.release.signer};
    return rpk_repo_fetch(repo, &repo->offer, &out->fd);
}
