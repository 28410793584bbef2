/* SPDX-License-Identifier: Apache-2.0 */
#include "server-tools/publish.h"

#include "lib/core/bytes.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/tuf/tuf.h"
#include "server-tools/repo.h"

#include <stdlib.h>
#include <string.h>

struct job {
    struct forge_repo *repo;
    const char *to;
    struct forge_publish_report report;
};

static void
count(struct job *job, bool copied, uint64_t len)
{
    job->report.copied += copied ? 1 : 0;
    job->report.unchanged += copied ? 0 : 1;
    job->report.copied_bytes += copied ? len : 0;
}

/* One target: checked here against what is signed before it goes out. A published file with the right name has the
 * right content, since it was renamed to its name after it was whole. */
static rb_err
publish_target(struct job *job, const char *name, const json_t *entry)
{
    struct rb_tuf_target target = {.name = name};
    uint8_t found[RB_SHA256_LEN];
    uint64_t found_len = 0;
    bool copied = false;

    target.length = (uint64_t)json_integer_value(json_object_get(entry, "length"));
    RB_TRY(rb_json_hex(json_object_get(entry, "hashes"), "sha256", target.sha256, sizeof target.sha256));
    char *below = rb_tuf_target_path(&target);
    char *from = rb_text("%s/targets/%s", forge_repo_dir(job->repo), below);
    char *to = rb_text("%s/targets/%s", job->to, below);
    rb_err err = rb_file_sha256(from, found, &found_len);
    if (err == RB_OK && (found_len != target.length || !rb_equal(found, target.sha256, sizeof found))) {
        err = rb_fail(RB_ERR_TARGET_HASH, "%s", from);
    }
    if (err == RB_OK) {
        err = forge_copy_file(from, to, &copied);
    }
    if (err == RB_OK) {
        count(job, copied, target.length);
    }
    free(to);
    free(from);
    free(below);
    return err;
}

static rb_err
publish_targets(struct job *job)
{
    json_t *targets = forge_repo_targets(job->repo);

    for (void *i = json_object_iter(targets); i != NULL; i = json_object_iter_next(targets, i)) {
        RB_TRY(publish_target(job, json_object_iter_key(i), json_object_iter_value(i)));
    }
    return RB_OK;
}

static rb_err
publish_metadata(struct job *job, const char *name)
{
    char *from = rb_text("%s/metadata/%s", forge_repo_dir(job->repo), name);
    char *to = rb_text("%s/metadata/%s", job->to, name);
    uint8_t *data = NULL;
    uint8_t *old = NULL;
    size_t len = 0;
    size_t old_len = 0;

    rb_err err = rb_file_read(from, RB_TUF_TARGETS_MAX, &data, &len);
    if (err == RB_OK) {
        bool same = rb_file_read(to, RB_TUF_TARGETS_MAX, &old, &old_len) == RB_OK && old_len == len
                    && memcmp(old, data, len) == 0;
        rb_fail_clear();
        err = same ? RB_OK : rb_file_replace(to, data, len, 0644);
        count(job, !same, len);
    }
    free(old);
    free(data);
    free(to);
    free(from);
    return err;
}

static rb_err
publish_version(struct job *job, enum rb_meta_role role, int64_t version)
{
    char *name = rb_text("%lld.%s.json", (long long)version, rb_meta_role_name(role));
    rb_err err = publish_metadata(job, name);

    free(name);
    return err;
}

/* What is published there now, if anything, must be an older or the same state of this repository. */
static rb_err
check_destination(const struct job *job)
{
    char *timestamp = rb_text("%s/metadata/timestamp.json", job->to);
    uint8_t *data = NULL;
    struct rb_meta *meta = NULL;
    size_t len = 0;
    const struct rb_meta *ours = forge_repo_meta(job->repo, RB_META_TIMESTAMP);

    rb_err err = rb_file_read(timestamp, RB_TUF_TIMESTAMP_MAX, &data, &len);
    if (err == RB_ERR_IO_NOT_FOUND) {
        rb_fail_clear();
        err = RB_OK;
    } else if (err == RB_OK) {
        err = rb_meta_read(data, len, &meta);
        if (err == RB_OK
            && (rb_meta_verify(meta, forge_repo_meta(job->repo, RB_META_ROOT), RB_META_TIMESTAMP) != RB_OK
                || rb_meta_check(meta, RB_META_TIMESTAMP) != RB_OK)) {
            rb_fail_clear();
            err = rb_fail(RB_ERR_REPO_STATE, "%s belongs to another repository", timestamp);
        } else if (err == RB_OK && meta->version > ours->version) {
            err = rb_fail(RB_ERR_REPO_STATE, "version %lld is published, this is version %lld",
                          (long long)meta->version, (long long)ours->version);
        }
    }
    rb_meta_free(meta);
    free(data);
    free(timestamp);
    return err;
}

static rb_err
make_destination(const struct job *job)
{
    static const char *const sub[] = {"metadata", "targets"};

    for (size_t i = 0; i < sizeof sub / sizeof sub[0]; i++) {
        char *path = rb_text("%s/%s", job->to, sub[i]);
        rb_err err = rb_make_dirs(path, 0755);
        free(path);
        RB_TRY(err);
    }
    return RB_OK;
}

static rb_err
publish_all(struct job *job)
{
    RB_TRY(check_destination(job));
    RB_TRY(make_destination(job));
    RB_TRY(publish_targets(job));
    for (int64_t v = 1; v <= forge_repo_meta(job->repo, RB_META_ROOT)->version; v++) {
        RB_TRY(publish_version(job, RB_META_ROOT, v));
    }
    RB_TRY(publish_version(job, RB_META_TARGETS, forge_repo_meta(job->repo, RB_META_TARGETS)->version));
    RB_TRY(publish_version(job, RB_META_SNAPSHOT, forge_repo_meta(job->repo, RB_META_SNAPSHOT)->version));
    RB_TRY(publish_metadata(job, "timestamp.json"));
    job->report.timestamp = forge_repo_meta(job->repo, RB_META_TIMESTAMP)->version;
    return RB_OK;
}

rb_err
forge_publish(const char *repository, const char *to, struct forge_publish_report *report)
{
    struct job job = {.to = to};

    if (strstr(to, "://") != NULL || (strchr(to, ':') != NULL && strchr(to, '/') > strchr(to, ':'))) {
        return rb_fail(RB_ERR_ARG, "this version publishes to a directory only, not to rsync or s3");
    }
    RB_TRY(forge_repo_open(repository, true, &job.repo));
    rb_err err = publish_all(&job);
    forge_repo_close(job.repo);
    if (err == RB_OK) {
        *report = job.report;
    }
    return err;
}
