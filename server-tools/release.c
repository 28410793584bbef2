/* SPDX-License-Identifier: Apache-2.0 */
#include "server-tools/release.h"

#include "lib/core/bytes.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/tuf/release.h"
#include "pkgmgr/rpkfile.h"
#include "server-tools/delta.h"
#include "server-tools/image.h"
#include "server-tools/key.h"
#include "server-tools/repo.h"

#include <stdlib.h>
#include <string.h>

struct job {
    struct forge_repo *repo;
    const struct forge_release_options *options;
    uint8_t key[FORGE_RELEASE_KEYS_MAX][RB_P256_KEY_LEN];
    struct rb_image_keys keys;
    int64_t release;   /* number of this one */
    json_t *targets;   /* report: what was made */
    json_t *notes;     /* report: what was not, and why */
};

/* An image that was verified whole. */
struct candidate {
    char *staged;
    char *component;
    struct rb_image image;
    uint32_t length; /* of the compact form, which is what payloads make and what is kept for later deltas */
    uint8_t sha256[RB_SHA256_LEN];
};

static void
note(struct job *job, char *text)
{
    (void)json_array_append_new(job->notes, json_string(text));
    free(text);
}

static void
report_target(struct job *job, const char *name, const char *kind, uint64_t len, uint64_t full_len)
{
    json_t *entry = json_pack("{s:s, s:s, s:I}", "name", name, "kind", kind, "length", (json_int_t)len);

    if (full_len > 0) {
        (void)json_object_set_new(entry, "full_length", json_integer((json_int_t)full_len));
    }
    (void)json_array_append_new(job->targets, entry);
}

/* ---- what the repository has ---- */

/* The facts of entry `i`; false when it is none of ours. */
static bool
facts_of(const json_t *entry, struct rb_release_target *out)
{
    if (rb_release_parse(json_object_get(entry, "custom"), out) == RB_OK) {
        return true;
    }
    rb_fail_clear();
    return false;
}

static bool
hardware_shared(const struct rb_release_target *t, const struct rb_image *image)
{
    for (unsigned i = 0; i < image->hardware_count; i++) {
        if (rb_release_fits_hardware(t, image->hardware[i])) {
            return true;
        }
    }
    return false;
}

static int64_t
last_release(struct forge_repo *repo)
{
    json_t *targets = forge_repo_targets(repo);
    struct rb_release_target t;
    int64_t last = 0;

    for (void *i = json_object_iter(targets); i != NULL; i = json_object_iter_next(targets, i)) {
        if (facts_of(json_object_iter_value(i), &t) && t.kind == RB_RELEASE_PAYLOAD && t.release > last) {
            last = t.release;
        }
    }
    return last;
}

/* Whether a target is a payload for the same component and slot as the candidate. */
static bool
same_line(const struct rb_release_target *t, const struct candidate *c)
{
    return t->kind == RB_RELEASE_PAYLOAD && strcmp(t->component, c->component) == 0
           && t->affinity == c->image.affinity;
}

static rb_err
check_against(const struct job *job, const struct candidate *c, const struct rb_release_target *t, bool *known)
{
    if (strcmp(t->version, c->image.version) == 0) {
        if (!rb_equal(t->image.sha256, c->sha256, sizeof c->sha256)) {
            return rb_fail(RB_ERR_REPO_STATE, "version %s of %s is released already, with other content", t->version,
                           t->component);
        }
        *known = true;
    } else if (t->release == job->release) {
        return rb_fail(RB_ERR_REPO_STATE, "two images for component %s in one release", t->component);
    }
    return RB_OK;
}

static rb_err
check_history(struct job *job, const struct candidate *c, bool *known)
{
    json_t *targets = forge_repo_targets(job->repo);
    struct rb_release_target t;
    struct rb_release_target last = {0};

    *known = false;
    for (void *i = json_object_iter(targets); i != NULL; i = json_object_iter_next(targets, i)) {
        if (!facts_of(json_object_iter_value(i), &t) || !same_line(&t, c) || t.is_delta) {
            continue;
        }
        RB_TRY(check_against(job, c, &t, known));
        if (hardware_shared(&t, &c->image) && t.release > last.release) {
            last = t;
        }
    }
    if (!*known && last.release > 0 && c->image.security_counter < last.security_counter && !job->options->force) {
        return rb_fail(RB_ERR_REPO_STATE, "security counter %u is lower than %u of version %s (--force overrides)",
                       (unsigned)c->image.security_counter, (unsigned)last.security_counter, last.version);
    }
    return RB_OK;
}

/* ---- images ---- */

/* Every byte, through the check that a device makes. */
static rb_err
verify_image(const uint8_t *data, size_t len, const struct rb_image_keys *keys, struct rb_image *image)
{
    if (len < RB_IMAGE_HEADER_LEN) {
        return rb_fail(RB_ERR_IMAGE_SIZE, "%zu bytes", len);
    }
    RB_TRY(rb_image_header_verify(data, keys, image));
    const struct rb_image_policy policy = {
        .hardware = image->hardware[0],
        .floor = 0,
        .slot_size = UINT32_MAX,
        .type = RB_IMAGE_APP,
        .slot = image->affinity == RB_IMAGE_SLOT_B ? 1 : 0,
    };
    return forge_image_verify(data, len, keys, &policy, image);
}

/* "COMPONENT=FILE" or "FILE". */
static const char *
split_argument(const struct job *job, const char *argument, char **component)
{
    const char *equals = strchr(argument, '=');
    const char *name = job->options->component != NULL ? job->options->component : "main";

    if (equals != NULL && memchr(argument, '/', (size_t)(equals - argument)) == NULL && !rb_file_exists(argument)) {
        *component = rb_text("%.*s", (int)(equals - argument), argument);
        return equals + 1;
    }
    *component = rb_text("%s", name);
    return argument;
}

static rb_err
candidate_open(struct job *job, const char *argument, struct candidate *c)
{
    uint8_t *data = NULL;
    size_t len = 0;
    const char *path = split_argument(job, argument, &c->component);

    RB_TRY(forge_repo_stage(job->repo, path, &c->staged));
    RB_TRY(rb_file_read(c->staged, FORGE_DELTA_FILE_MAX, &data, &len));
    rb_err err = verify_image(data, len, &job->keys, &c->image);
    if (err == RB_OK) {
        forge_image_compact(data, &c->image);
        c->length = rb_image_compact_len(&c->image);
        rb_sha256(data, c->length, c->sha256);
        err = rb_file_replace(c->staged, data, c->length, 0644);
    }
    free(data);
    return err;
}

static void
candidate_free(struct candidate *c)
{
    free(c->staged);
    free(c->component);
}

static struct rb_release_target
payload_facts(const struct job *job, const struct candidate *c, const struct forge_payload_stats *stats)
{
    struct rb_release_target t = {
        .kind = RB_RELEASE_PAYLOAD,
        .release = job->release,
        .component = c->component,
        .version = c->image.version,
        .hardware_count = c->image.hardware_count,
        .security_counter = c->image.security_counter,
        .affinity = c->image.affinity,
        .image.length = c->length,
        .header.length = stats->header_len,
        .memory = stats->memory,
    };

    for (unsigned i = 0; i < c->image.hardware_count; i++) {
        t.hardware[i] = c->image.hardware[i];
    }
    rb_copy(t.image.sha256, c->sha256, sizeof t.image.sha256);
    rb_copy(t.image.digest, c->image.digest, sizeof t.image.digest);
    rb_copy(t.header.sha256, stats->header_sha256, sizeof t.header.sha256);
    return t;
}

/* firmware/COMPONENT/VERSION.rbp, FROM-VERSION.rbp for a delta; a directory more for images linked for one slot. */
static char *
payload_name(const struct candidate *c, const char *from)
{
    static const char *const slot[] = {
        [RB_IMAGE_ANY_SLOT] = "", [RB_IMAGE_SLOT_A] = "a/", [RB_IMAGE_SLOT_B] = "b/"};

    return rb_text("firmware/%s/%s%s%s%s.rbp", c->component, slot[c->image.affinity], from != NULL ? from : "",
                   from != NULL ? "-" : "", c->image.version);
}

static rb_err
make_payload(struct job *job, const char *old, const struct candidate *c, char **staged,
             struct forge_payload_stats *stats)
{
    const struct forge_payload_options options = {
        .memory = job->options->memory,
        .effort = job->options->effort,
        .progress = job->options->progress,
    };

    RB_TRY(forge_repo_stage(job->repo, NULL, staged));
    RB_TRY(forge_payload_create(old, c->staged, &options, *staged, stats));
    if (!rb_equal(stats->new_sha256, c->sha256, sizeof c->sha256)) {
        return rb_fail(RB_ERR_INTERNAL, "the payload makes another image");
    }
    return RB_OK;
}

static rb_err
add_payload(struct job *job, const char *name, const char *staged, const struct rb_release_target *facts)
{
    json_t *custom = NULL;

    if (json_object_get(forge_repo_targets(job->repo), name) != NULL) {
        return rb_fail(RB_ERR_REPO_STATE, "target %s exists", name);
    }
    RB_TRY(rb_release_encode(facts, &custom));
    return forge_repo_add_target(job->repo, name, staged, custom);
}

static rb_err
release_full(struct job *job, const struct candidate *c, uint64_t *len)
{
    struct forge_payload_stats stats;
    char *staged = NULL;
    char *name = payload_name(c, NULL);

    rb_err err = make_payload(job, NULL, c, &staged, &stats);
    if (err == RB_OK) {
        struct rb_release_target facts = payload_facts(job, c, &stats);
        err = add_payload(job, name, staged, &facts);
    }
    if (err == RB_OK) {
        report_target(job, name, "full", stats.payload_len, 0);
        *len = stats.payload_len;
    }
    free(name);
    free(staged);
    return err;
}

/* One delta; `from` is the full payload's facts of the earlier release. */
static rb_err
make_delta(struct job *job, const struct candidate *c, const struct rb_release_target *from, const char *old,
           uint64_t full_len)
{
    struct forge_payload_stats stats;
    char *staged = NULL;
    char *name = payload_name(c, from->version);

    rb_err err = make_payload(job, old, c, &staged, &stats);
    if (err == RB_OK && !rb_equal(stats.old_sha256, from->image.sha256, sizeof stats.old_sha256)) {
        err = rb_fail(RB_ERR_REPO_STATE, "%s is damaged", old);
    }
    if (err == RB_OK && stats.payload_len * 100 >= full_len * FORGE_DELTA_WORTH_PERCENT) {
        note(job, rb_text("no delta from %s: %llu bytes, the full payload has %llu", from->version,
                          (unsigned long long)stats.payload_len, (unsigned long long)full_len));
    } else if (err == RB_OK) {
        struct rb_release_target facts = payload_facts(job, c, &stats);
        facts.is_delta = true;
        facts.from.length = from->image.length;
        facts.from.version = from->version;
        rb_copy(facts.from.sha256, from->image.sha256, sizeof facts.from.sha256);
        err = add_payload(job, name, staged, &facts);
        if (err == RB_OK) {
            report_target(job, name, "delta", stats.payload_len, full_len);
        }
    }
    free(name);
    free(staged);
    return err;
}

static rb_err
release_delta(struct job *job, const struct candidate *c, const struct rb_release_target *from, uint64_t full_len)
{
    char *old = forge_repo_image_path(job->repo, from->image.sha256);
    rb_err err = RB_OK;

    if (rb_file_exists(old)) {
        err = make_delta(job, c, from, old, full_len);
    } else {
        note(job, rb_text("no delta from %s: its image is no longer under images/", from->version));
    }
    free(old);
    return err;
}

static int
newest_first(const void *a, const void *b)
{
    const struct rb_release_target *x = a;
    const struct rb_release_target *y = b;

    return x->release < y->release ? 1 : x->release > y->release ? -1 : strcmp(x->version, y->version);
}

/* Earlier releases of the same component, slot and some of the same hardware, newest first. Caller frees. */
static struct rb_release_target *
earlier_releases(struct job *job, const struct candidate *c, size_t *count)
{
    json_t *targets = forge_repo_targets(job->repo);
    struct rb_release_target *list = rb_alloc(json_object_size(targets) * sizeof *list);
    size_t n = 0;

    for (void *i = json_object_iter(targets); i != NULL; i = json_object_iter_next(targets, i)) {
        if (facts_of(json_object_iter_value(i), &list[n]) && same_line(&list[n], c) && !list[n].is_delta
            && list[n].release < job->release && hardware_shared(&list[n], &c->image)) {
            n++;
        }
    }
    if (n > 0) {
        qsort(list, n, sizeof *list, newest_first);
    }
    *count = n;
    return list;
}

/* Deltas that lead to an earlier release: no device should go there any more. Their blobs stay for devices that are
 * under way. */
static void
drop_old_deltas(struct job *job, const struct candidate *c)
{
    json_t *targets = forge_repo_targets(job->repo);
    struct rb_release_target t;
    const char *name;
    json_t *entry;
    void *next;

    json_object_foreach_safe(targets, next, name, entry) {
        if (facts_of(entry, &t) && same_line(&t, c) && t.is_delta && t.release < job->release
            && hardware_shared(&t, &c->image)) {
            (void)json_object_del(targets, name);
        }
    }
}

static rb_err
release_new_image(struct job *job, const struct candidate *c)
{
    uint64_t full_len = 0;
    size_t count = 0;

    RB_TRY(release_full(job, c, &full_len));
    RB_TRY(forge_repo_keep_image(job->repo, c->staged, c->sha256));
    drop_old_deltas(job, c);
    /* The strings in the list are borrowed from the targets object, to which entries are only added now. */
    struct rb_release_target *earlier = earlier_releases(job, c, &count);
    rb_err err = RB_OK;
    for (size_t i = 0; i < count && i < job->options->from_last && err == RB_OK; i++) {
        err = release_delta(job, c, &earlier[i], full_len);
    }
    free(earlier);
    return err;
}

static rb_err
release_image(struct job *job, const char *argument)
{
    struct candidate c = {0};
    bool known = false;

    rb_err err = candidate_open(job, argument, &c);
    if (err == RB_OK) {
        err = check_history(job, &c, &known);
    }
    if (err == RB_OK && known) {
        note(job, rb_text("version %s of %s is released already", c.image.version, c.component));
    } else if (err == RB_OK) {
        err = release_new_image(job, &c);
    }
    candidate_free(&c);
    return err;
}

/* ---- packages ---- */

static rb_err
check_signer(const struct job *job, const struct rb_release_target *facts)
{
    json_t *targets = forge_repo_targets(job->repo);
    struct rb_release_target t;

    for (void *i = json_object_iter(targets); i != NULL; i = json_object_iter_next(targets, i)) {
        if (facts_of(json_object_iter_value(i), &t) && t.kind == RB_RELEASE_PACKAGE
            && strcmp(t.package, facts->package) == 0 && !rb_equal(t.signer, facts->signer, sizeof t.signer)
            && !job->options->force) {
            return rb_fail(RB_ERR_PKG_SIGNER, "devices that have %s would refuse it (--force overrides)", t.package);
        }
    }
    return RB_OK;
}

static rb_err
add_package(struct job *job, const char *staged, const struct rb_release_target *facts)
{
    json_t *custom = NULL;
    uint8_t old[RB_SHA256_LEN];
    uint8_t new[RB_SHA256_LEN];
    uint64_t len = 0;
    char *name = rb_text("packages/%s-%lld%s%s.rpk", facts->package, (long long)facts->version_code,
                         facts->device_type_count > 0 ? "-" : "",
                         facts->device_type_count > 0 ? facts->device_type[0] : "");
    const json_t *there = json_object_get(forge_repo_targets(job->repo), name);

    rb_err err = rb_file_sha256(staged, new, &len);
    if (err == RB_OK && there != NULL) {
        err = rb_json_hex(json_object_get(there, "hashes"), "sha256", old, sizeof old);
        if (err == RB_OK && rb_equal(old, new, sizeof old)) {
            note(job, rb_text("%s is released already", name));
        } else if (err == RB_OK) {
            err = rb_fail(RB_ERR_REPO_STATE, "%s is released already, with other content", name);
        }
    } else if (err == RB_OK) {
        err = check_signer(job, facts);
        if (err == RB_OK) {
            err = rb_release_encode(facts, &custom);
        }
        if (err == RB_OK) {
            err = forge_repo_add_target(job->repo, name, staged, custom);
        }
        if (err == RB_OK) {
            report_target(job, name, "package", len, 0);
        }
    }
    free(name);
    return err;
}

static rb_err
package_facts(const struct rpk_file *file, struct rb_release_target *facts)
{
    *facts = (struct rb_release_target){
        .kind = RB_RELEASE_PACKAGE,
        .package = file->manifest.package,
        .version_code = file->manifest.version_code,
        .version_name = file->manifest.version_name,
        .device_type_count = file->manifest.device_types.count,
    };
    if (facts->device_type_count > RB_RELEASE_DEVICE_TYPES_MAX) {
        return rb_fail(RB_ERR_RPK_MANIFEST, "%u device types", facts->device_type_count);
    }
    for (unsigned i = 0; i < facts->device_type_count; i++) {
        facts->device_type[i] = file->manifest.device_types.at[i];
    }
    rb_copy(facts->signer, file->signature.signer, sizeof facts->signer);
    return RB_OK;
}

static rb_err
release_package(struct job *job, const char *path)
{
    struct rb_release_target facts;
    struct rpk_file *file = NULL;
    char *staged = NULL;

    rb_err err = forge_repo_stage(job->repo, path, &staged);
    if (err == RB_OK) {
        err = rpk_file_open_path(staged, job->options->developer ? RPK_OPEN_DEBUG_KEY : 0, &file);
    }
    if (err == RB_OK) {
        err = package_facts(file, &facts);
        if (err == RB_OK) {
            err = add_package(job, staged, &facts);
        }
        rpk_file_close(file);
    }
    free(staged);
    return err;
}

/* ---- the release ---- */

static rb_err
read_image_keys(struct job *job, const char **subject)
{
    const struct forge_release_options *options = job->options;

    job->keys.key = (const uint8_t(*)[RB_P256_KEY_LEN])job->key;
    if (options->image_count > 0 && options->image_key_count == 0) {
        char *path = rb_text("%s/keys/image.pem", forge_repo_dir(job->repo));
        rb_err err = forge_public_p256_read(path, job->key[0]);
        free(path);
        job->keys.count = 1;
        return err;
    }
    for (unsigned i = 0; i < options->image_key_count; i++) {
        *subject = options->image_key[i];
        RB_TRY(forge_public_p256_read(options->image_key[i], job->key[i]));
        job->keys.count++;
    }
    return RB_OK;
}

static rb_err
run(struct job *job, const char **subject)
{
    const struct forge_release_options *options = job->options;

    RB_TRY(read_image_keys(job, subject));
    job->release = last_release(job->repo) + 1;
    for (unsigned i = 0; i < options->image_count; i++) {
        *subject = options->image[i];
        RB_TRY(release_image(job, options->image[i]));
    }
    for (unsigned i = 0; i < options->package_count; i++) {
        *subject = options->package[i];
        RB_TRY(release_package(job, options->package[i]));
    }
    *subject = forge_repo_dir(job->repo);
    return json_array_size(job->targets) > 0 ? forge_repo_commit(job->repo) : RB_OK;
}

rb_err
forge_release_create(const char *repository, const struct forge_release_options *options, json_t **report,
                     const char **subject)
{
    struct job job = {.options = options};

    *subject = repository;
    RB_TRY(forge_repo_open(repository, true, &job.repo));
    job.targets = json_array();
    job.notes = json_array();
    rb_err err = run(&job, subject);
    if (err == RB_OK) {
        *report = json_pack("{s:o, s:I, s:O, s:O}", "release",
                            options->image_count > 0 ? json_integer((json_int_t)job.release) : json_null(), "timestamp",
                            (json_int_t)forge_repo_meta(job.repo, RB_META_TIMESTAMP)->version, "targets", job.targets,
                            "notes", job.notes);
    } else if (*subject == forge_repo_dir(job.repo)) {
        *subject = repository;
    }
    json_decref(job.targets);
    json_decref(job.notes);
    forge_repo_close(job.repo);
    return err;
}
