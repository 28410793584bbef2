/* SPDX-License-Identifier: Apache-2.0
 *
 * install, upgrade, remove: gather a transaction, show it, do it.
 */
#include "pkgmgr/cmd.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "pkgmgr/repo.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the three verbs work with. The repository is opened when the first name asks for it. */
struct job {
    struct cmd_device device;
    struct rpk_plan *plan;
    struct rpk_repo repo;
    bool repo_open;
    struct rb_progress bar;
    const char *fetching; /* the package whose bar is shown, or NULL */
};

static bool
job_open(struct job *job, int *status)
{
    *job = (struct job){.plan = NULL};
    if (!cmd_device_open(&job->device, RPK_WRITE, status)) {
        return false;
    }
    job->plan = rpk_plan_new(job->device.rpk);
    return true;
}

static void
job_close(struct job *job)
{
    rpk_plan_free(job->plan);
    if (job->repo_open) {
        rpk_repo_close(&job->repo);
    }
    cmd_device_close(&job->device);
}

static void
show_progress(void *ctx, const char *package, uint64_t done, uint64_t total)
{
    struct job *job = ctx;

    if (job->fetching == NULL) {
        job->fetching = package;
        rb_progress_start(&job->bar, package, total);
    }
    rb_progress_update(&job->bar, done);
}

static rb_err
need_repo(struct job *job)
{
    if (job->repo_open) {
        return RB_OK;
    }
    RB_TRY(rpk_repo_open(&job->device.settings, &job->repo));
    job->repo.progress = show_progress;
    job->repo.ctx = job;
    job->repo_open = true;
    return RB_OK;
}

static rb_err
add_file(struct job *job, const char *path)
{
    struct rpk_file *file = NULL;

    RB_TRY(rpk_file_open_path(path, job->device.settings.developer_mode ? RPK_OPEN_DEBUG_KEY : 0, &file));
    rb_err err = rpk_plan_install(job->plan, file, NULL);
    if (err != RB_OK) {
        rpk_file_close(file);
    }
    return err;
}

static rb_err
add_name(struct job *job, const char *package)
{
    RB_TRY(need_repo(job));
    job->fetching = NULL;
    rb_err err = rpk_plan_install_name(job->plan, package, rpk_repo_find, &job->repo);
    if (job->fetching != NULL) {
        rb_progress_end(&job->bar, err == RB_OK);
    }
    return err;
}

/* ---- showing ---- */

static json_t *
change_json(const struct rpk_change *c)
{
    static const char *const actions[] = {"install", "upgrade", "reinstall", "remove", "none"};
    json_t *json = json_pack("{s:s, s:s}", "package", c->package, "action", actions[c->kind]);

    if (c->old_code >= 0) {
        (void)json_object_set_new(json, "from",
                                  json_pack("{s:I, s:s}", "version_code", (json_int_t)c->old_code, "version_name",
                                            c->old_name != NULL ? c->old_name : ""));
    }
    if (c->file != NULL) {
        const struct rpk_manifest *m = &c->file->manifest;
        (void)json_object_set_new(json, "to",
                                  json_pack("{s:I, s:s}", "version_code", (json_int_t)m->version_code, "version_name",
                                            m->version_name));
        (void)json_object_set_new(json, "new_permissions", cmd_json_strings(&c->new_permissions));
    }
    return json;
}

static void
print_change(const struct rpk_change *c)
{
    static const char *const words[] = {"install", "upgrade", "reinstall", "remove", "unchanged"};
    char *from = c->old_code >= 0 ? cmd_version(c->old_name != NULL ? c->old_name : "", c->old_code) : NULL;
    char *to = c->file != NULL ? cmd_version(c->file->manifest.version_name, c->file->manifest.version_code) : NULL;
    bool both = c->kind == RPK_UPGRADE;

    printf("%s %s %s%s%s\n", words[c->kind], c->package, both || to == NULL ? from : to, both ? " -> " : "",
           both ? to : "");
    for (unsigned i = 0; i < c->new_permissions.count; i++) {
        char *clean = cmd_clean(c->new_permissions.at[i]);
        printf("  permission: %s\n", clean);
        free(clean);
    }
    if (c->file != NULL && c->kind != RPK_NOTHING && c->file->debug_key) {
        printf("  signed with a public debug key\n");
    }
    if (c->file != NULL && c->kind != RPK_NOTHING
        && (c->file->manifest.native.service_count > 0 || c->file->manifest.native.hook_count > 0)) {
        printf("  its services and hooks are recorded; this version does not run them\n");
    }
    free(to);
    free(from);
}

static void
print_changes(const struct rpk_plan *plan)
{
    unsigned count;
    const struct rpk_change *changes = rpk_plan_changes(plan, &count);

    for (unsigned i = 0; i < count; i++) {
        print_change(&changes[i]);
    }
    fflush(stdout);
}

static int
print_result(struct job *job, bool dry_run)
{
    uint32_t generation = rpk_generation_live(job->device.rpk);
    unsigned count;
    const struct rpk_change *changes = rpk_plan_changes(job->plan, &count);

    if (rb_cli_flag("--json")) {
        json_t *list = json_array();
        for (unsigned i = 0; i < count; i++) {
            (void)json_array_append_new(list, change_json(&changes[i]));
        }
        return cmd_json_print(json_pack("{s:o, s:I, s:b}", "changes", list, "generation", (json_int_t)generation,
                                        "dry_run", dry_run));
    }
    unsigned real = 0;
    for (unsigned i = 0; i < count; i++) {
        real += changes[i].kind != RPK_NOTHING;
    }
    if (real == 0) {
        printf("nothing to do\n");
    } else {
        printf("%s\n", dry_run ? "nothing was changed (--dry-run)" : "done");
    }
    return RB_EXIT_DONE;
}

/* The transaction is complete: check it as a whole, show it, do it. */
static int
conclude(struct job *job)
{
    bool dry_run = rb_cli_flag("--dry-run");
    rb_err err = rpk_plan_check(job->plan);

    if (err == RB_OK && !rb_cli_flag("--json")) {
        print_changes(job->plan);
    }
    if (err == RB_OK && !dry_run) {
        err = rpk_plan_commit(job->plan);
    }
    return err == RB_OK ? print_result(job, dry_run) : rb_cli_error(err, NULL);
}

/* ---- verbs ---- */

static int
run_install(void)
{
    struct job job;
    int status;

    if (!job_open(&job, &status)) {
        return status;
    }
    for (int i = 0; status == RB_EXIT_DONE && i < rb_cli_argument_count(); i++) {
        const char *what = rb_cli_argument(i);
        rb_err err = cmd_is_file(what) ? add_file(&job, what) : add_name(&job, what);
        if (err != RB_OK) {
            status = rb_cli_error(err, what);
        }
    }
    if (status == RB_EXIT_DONE) {
        status = conclude(&job);
    }
    job_close(&job);
    return status;
}

static rb_err
take_package(void *ctx, const struct rpk_installed *p)
{
    rpk_strings_add(ctx, p->package);
    return RB_OK;
}

static rb_err
take_code(void *ctx, const struct rpk_installed *p)
{
    int64_t *code = ctx;

    *code = p->version_code;
    return RB_OK;
}

/* Fetch the package when the repository has a newer one. *offered: it has the package at all. */
static rb_err
add_newer(struct job *job, const char *package, bool *offered)
{
    struct rpk_offer offer;
    int64_t installed = 0;

    RB_TRY(rpk_each(job->device.rpk, package, take_code, &installed));
    RB_TRY(need_repo(job));
    rb_err err = rpk_repo_offer(&job->repo, package, &offer);
    *offered = err != RB_ERR_PKG_NOT_AVAILABLE;
    if (!*offered) {
        return RB_OK;
    }
    RB_TRY(err);
    return offer.release.version_code > installed ? add_name(job, package) : RB_OK;
}

/* Without names: all installed packages that the repository has. */
static int
gather_upgrades(struct job *job)
{
    struct rpk_strings names = {NULL, 0};
    bool all = rb_cli_argument_count() == 0;
    const char *subject = NULL;
    rb_err err = all ? rpk_each(job->device.rpk, NULL, take_package, &names) : RB_OK;

    for (int i = 0; i < rb_cli_argument_count(); i++) {
        rpk_strings_add(&names, rb_cli_argument(i));
    }
    for (unsigned i = 0; err == RB_OK && i < names.count; i++) {
        bool offered = true;
        subject = names.at[i];
        err = add_newer(job, subject, &offered);
        if (err == RB_OK && !offered && !all) {
            err = RB_ERR_PKG_NOT_AVAILABLE;
        }
    }
    int status = err == RB_OK ? RB_EXIT_DONE : rb_cli_error(err, subject);
    rpk_strings_free(&names);
    return status;
}

static int
run_upgrade(void)
{
    struct job job;
    int status;

    if (!job_open(&job, &status)) {
        return status;
    }
    status = gather_upgrades(&job);
    if (status == RB_EXIT_DONE) {
        status = conclude(&job);
    }
    job_close(&job);
    return status;
}

static int
run_remove(void)
{
    struct job job;
    int status;

    if (!job_open(&job, &status)) {
        return status;
    }
    for (int i = 0; status == RB_EXIT_DONE && i < rb_cli_argument_count(); i++) {
        rb_err err = rpk_plan_remove(job.plan, rb_cli_argument(i));
        if (err != RB_OK) {
            status = rb_cli_error(err, rb_cli_argument(i));
        }
    }
    if (status == RB_EXIT_DONE) {
        status = conclude(&job);
    }
    job_close(&job);
    return status;
}

static const struct rb_option change_options[] = {
    {"--dry-run", NULL, "say what would be done", false},
    {NULL, NULL, NULL, false},
};

const struct rb_verb rpk_change_verbs[] = {
    {"install", "FILE|NAME...", "install packages from files or from the repository, all or none", change_options, 1,
     -1, run_install},
    {"upgrade", "[NAME...]", "install newer versions from the repository", change_options, 0, -1, run_upgrade},
    {"remove", "NAME...", "remove packages and their data", change_options, 1, -1, run_remove},
    {NULL, NULL, NULL, NULL, 0, 0, NULL},
};
