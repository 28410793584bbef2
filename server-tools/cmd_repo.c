/* SPDX-License-Identifier: Apache-2.0 */
#include "server-tools/commands.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/host/json.h"
#include "lib/tuf/release.h"
#include "lib/tuf/time.h"
#include "server-tools/clock.h"
#include "server-tools/publish.h"
#include "server-tools/repo.h"
#include "server-tools/serve.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* ---- repo init ---- */

static const char *const expiry_options[RB_META_ROLE_COUNT] = {
    [RB_META_ROOT] = "--expires-root",
    [RB_META_TIMESTAMP] = "--expires-timestamp",
    [RB_META_SNAPSHOT] = "--expires-snapshot",
    [RB_META_TARGETS] = "--expires-targets",
};

static bool
number_option(const char *name, uint64_t min, uint64_t max, unsigned *value)
{
    uint64_t number = 0;

    if (!rb_cli_number(name, false, min, max, *value, &number)) {
        return false;
    }
    *value = (unsigned)number;
    return true;
}

static bool
read_init_options(struct forge_repo_options *options)
{
    *options = forge_repo_defaults;
    if (!number_option("--root-keys", 1, FORGE_ROOT_KEYS_MAX, &options->root_keys)) {
        return false;
    }
    options->root_threshold = options->root_keys / 2 + 1; /* a majority */
    if (!number_option("--threshold", 1, options->root_keys, &options->root_threshold)) {
        return false;
    }
    for (int role = 0; role < RB_META_ROLE_COUNT; role++) {
        if (!number_option(expiry_options[role], 1, 36500, &options->expires_days[role])) {
            return false;
        }
    }
    return true;
}

static void
say_init(const char *dir, const struct forge_repo_options *options)
{
    printf("%s: new repository\n", dir);
    printf("  keys/root1.pem");
    for (unsigned i = 2; i <= options->root_keys; i++) {
        printf(" root%u.pem", i);
    }
    printf("    root: %u of %u must sign\n", options->root_threshold, options->root_keys);
    printf("  keys/targets.pem    signs releases\n");
    printf("  keys/snapshot.pem keys/timestamp.pem    sign what is current\n");
    printf("  metadata/1.root.json    goes to devices when they are made\n");
    printf("Move the root keys offline now: they are needed only to replace keys, and whoever has %u of them has "
           "every device.\n",
           options->root_threshold);
    printf("Image keys are made with: otaforge key new %s/keys/image.pem\n", dir);
}

static int
repo_init(void)
{
    struct forge_repo_options options;
    const char *dir = rb_cli_argument(0);

    if (!read_init_options(&options)) {
        return RB_EXIT_USAGE;
    }
    rb_err err = forge_repo_init(dir, &options);
    if (err != RB_OK) {
        return rb_cli_error(err, dir);
    }
    if (rb_cli_flag("--json")) {
        json_t *facts = json_pack("{s:s, s:i, s:i}", "repository", dir, "root_keys", (int)options.root_keys,
                                  "threshold", (int)options.root_threshold);
        rb_json_print(facts);
        json_decref(facts);
    } else if (!rb_cli_flag("--quiet")) {
        say_init(dir, &options);
    }
    return RB_EXIT_DONE;
}

/* ---- repo status ---- */

static json_t *
role_facts(const struct rb_meta *meta, int64_t now)
{
    char expires[RB_TIME_TEXT_LEN + 1];

    rb_time_format(meta->expires, expires);
    return json_pack("{s:I, s:s, s:b}", "version", (json_int_t)meta->version, "expires", expires, "expired",
                     now >= meta->expires);
}

static json_t *
target_facts(const char *name, const json_t *entry)
{
    struct rb_release_target t;
    json_t *facts = json_pack("{s:s, s:O}", "name", name, "length", json_object_get(entry, "length"));

    if (rb_release_parse(json_object_get(entry, "custom"), &t) != RB_OK) {
        rb_fail_clear();
        (void)json_object_set_new(facts, "kind", json_string("unknown"));
    } else if (t.kind == RB_RELEASE_PAYLOAD) {
        (void)json_object_set_new(facts, "kind", json_string(t.is_delta ? "delta" : "full"));
        (void)json_object_set_new(facts, "release", json_integer((json_int_t)t.release));
        (void)json_object_set_new(facts, "component", json_string(t.component));
        (void)json_object_set_new(facts, "version", json_string(t.version));
        (void)json_object_set_new(facts, "security_counter", json_integer((json_int_t)t.security_counter));
        if (t.is_delta) {
            (void)json_object_set_new(facts, "from", json_string(t.from.version));
        }
    } else {
        (void)json_object_set_new(facts, "kind", json_string("package"));
        (void)json_object_set_new(facts, "package", json_string(t.package));
        (void)json_object_set_new(facts, "version_code", json_integer((json_int_t)t.version_code));
    }
    return facts;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static json_t *
all_targets(const json_t *targets)
{
    json_t *all = (json_t *)(uintptr_t)targets; /* jansson's iterators take no const */
    const char **names = rb_alloc(json_object_size(all) * sizeof *names);
    json_t *list = json_array();
    size_t n = 0;

    for (void *i = json_object_iter(all); i != NULL; i = json_object_iter_next(all, i)) {
        names[n++] = json_object_iter_key(i);
    }
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++) {
        (void)json_array_append_new(list, target_facts(names[i], json_object_get(all, names[i])));
    }
    free(names);
    return list;
}

static json_t *
status_facts(struct forge_repo *repo, int64_t now)
{
    json_t *roles = json_object();
    json_int_t bytes = 0;

    for (int role = 0; role < RB_META_ROLE_COUNT; role++) {
        (void)json_object_set_new(roles, rb_meta_role_name((enum rb_meta_role)role),
                                  role_facts(forge_repo_meta(repo, (enum rb_meta_role)role), now));
    }
    json_t *targets = all_targets(forge_repo_targets(repo));
    for (size_t i = 0; i < json_array_size(targets); i++) {
        bytes += json_integer_value(json_object_get(json_array_get(targets, i), "length"));
    }
    return json_pack("{s:s, s:o, s:o, s:I}", "repository", forge_repo_dir(repo), "roles", roles, "targets", targets,
                     "bytes", bytes);
}

static void
print_status(const json_t *facts)
{
    const json_t *targets = json_object_get(facts, "targets");

    for (int role = 0; role < RB_META_ROLE_COUNT; role++) {
        const char *name = rb_meta_role_name((enum rb_meta_role)role);
        const json_t *entry = json_object_get(json_object_get(facts, "roles"), name);
        printf("%-10s version %-4lld valid until %s%s\n", name,
               (long long)json_integer_value(json_object_get(entry, "version")),
               json_string_value(json_object_get(entry, "expires")),
               json_is_true(json_object_get(entry, "expired")) ? "  EXPIRED" : "");
    }
    printf("%zu targets, %lld bytes\n", json_array_size(targets),
           (long long)json_integer_value(json_object_get(facts, "bytes")));
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const json_t *t = json_array_get(targets, i);
        printf("  %10lld  %-7s  %s\n", (long long)json_integer_value(json_object_get(t, "length")),
               json_string_value(json_object_get(t, "kind")), json_string_value(json_object_get(t, "name")));
    }
}

static int
repo_status(void)
{
    const char *dir = rb_cli_argument(0);
    struct forge_repo *repo = NULL;
    int64_t now = 0;

    rb_err err = forge_now(&now);
    if (err == RB_OK) {
        err = forge_repo_open(dir, false, &repo);
    }
    if (err != RB_OK) {
        return rb_cli_error(err, dir);
    }
    json_t *facts = status_facts(repo, now);
    forge_repo_close(repo);
    if (rb_cli_flag("--json")) {
        rb_json_print(facts);
    } else {
        print_status(facts);
    }
    json_decref(facts);
    return RB_EXIT_DONE;
}

/* ---- repo refresh ---- */

static int
repo_refresh(void)
{
    const char *dir = rb_cli_argument(0);
    struct forge_repo *repo = NULL;

    rb_err err = forge_repo_open(dir, true, &repo);
    if (err == RB_OK) {
        err = forge_repo_refresh(repo, rb_cli_flag("--all"));
    }
    if (err != RB_OK) {
        forge_repo_close(repo);
        return rb_cli_error(err, dir);
    }
    char expires[RB_TIME_TEXT_LEN + 1];
    const struct rb_meta *timestamp = forge_repo_meta(repo, RB_META_TIMESTAMP);
    rb_time_format(timestamp->expires, expires);
    if (rb_cli_flag("--json")) {
        json_t *facts = json_pack("{s:s, s:I, s:s}", "repository", dir, "timestamp", (json_int_t)timestamp->version,
                                  "expires", expires);
        rb_json_print(facts);
        json_decref(facts);
    } else {
        printf("%s: timestamp version %lld, valid until %s\n", dir, (long long)timestamp->version, expires);
    }
    forge_repo_close(repo);
    return RB_EXIT_DONE;
}

/* ---- publish ---- */

static int
publish(void)
{
    struct forge_publish_report report;
    const char *to = rb_cli_argument(1);

    rb_err err = forge_publish(rb_cli_argument(0), to, &report);
    if (err == RB_ERR_ARG) {
        return rb_cli_usage("%s: %s", to, rb_fail_detail());
    }
    if (err != RB_OK) {
        return rb_cli_error(err, rb_cli_argument(0));
    }
    if (rb_cli_flag("--json")) {
        json_t *facts = json_pack("{s:i, s:i, s:I, s:I}", "copied", (int)report.copied, "unchanged",
                                  (int)report.unchanged, "copied_bytes", (json_int_t)report.copied_bytes, "timestamp",
                                  (json_int_t)report.timestamp);
        rb_json_print(facts);
        json_decref(facts);
    } else {
        printf("%s: %u files copied (%llu bytes), %u unchanged, timestamp version %lld\n", to, report.copied,
               (unsigned long long)report.copied_bytes, report.unchanged, (long long)report.timestamp);
    }
    return RB_EXIT_DONE;
}

/* ---- serve ---- */

/* At once and whole, for whoever waits for the port. */
static void
say_serving(const char *dir, const char *listen, unsigned port)
{
    char *url = rb_text("http://%.*s:%u/", (int)(strrchr(listen, ':') - listen), listen, port);

    if (rb_cli_flag("--json")) {
        json_t *facts = json_pack("{s:s, s:s}", "directory", dir, "url", url);
        rb_json_print(facts);
        json_decref(facts);
    } else {
        printf("serving %s at %s\n", dir, url);
    }
    (void)fflush(stdout);
    free(url);
}

static int
serve(void)
{
    const char *dir = rb_cli_argument(0);
    const char *listen = rb_cli_option("--listen");
    struct forge_server *server = NULL;
    sigset_t ends;
    int signal_number = 0;

    listen = listen != NULL ? listen : "127.0.0.1:8080";
    /* Blocked before the server's thread starts, so only this thread sees them. */
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGINT);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &ends, NULL);
    rb_err err = forge_server_start(dir, listen, rb_cli_flag("--log"), &server);
    if (err == RB_ERR_ARG) {
        return rb_cli_usage("--listen: %s", rb_fail_detail());
    }
    if (err != RB_OK) {
        return rb_cli_error(err, dir);
    }
    say_serving(dir, listen, forge_server_port(server));
    (void)sigwait(&ends, &signal_number);
    forge_server_stop(server);
    return RB_EXIT_DONE;
}

static const struct rb_option init_options[] = {
    {"--root-keys", "N", "root keys to make (default 1)", false},
    {"--threshold", "N", "root keys that must sign (default: a majority)", false},
    {"--expires-root", "DAYS", "default 3650", false},
    {"--expires-targets", "DAYS", "default 365", false},
    {"--expires-snapshot", "DAYS", "default 365", false},
    {"--expires-timestamp", "DAYS", "default 30", false},
    {NULL, NULL, NULL, false},
};
static const struct rb_option refresh_options[] = {
    {"--all", NULL, "sign snapshot and targets again too", false},
    {NULL, NULL, NULL, false},
};
static const struct rb_option serve_options[] = {
    {"--listen", "ADDRESS:PORT", "default 127.0.0.1:8080; port 0 takes a free one", false},
    {"--log", NULL, "one line a request to stderr", false},
    {NULL, NULL, NULL, false},
};

const struct rb_verb forge_repo_verbs[] = {
    {"repo init", "DIR", "make keys and first metadata", init_options, 1, 1, repo_init},
    {"repo status", "REPO", "roles, versions, expiry, targets", NULL, 1, 1, repo_status},
    {"repo refresh", "REPO", "sign the timestamp again before it expires", refresh_options, 1, 1, repo_refresh},
    {"publish", "REPO TARGET", "copy what devices may see to a directory", NULL, 2, 2, publish},
    {"serve", "DIR", "serve a repository over HTTP, for trying out and tests", serve_options, 1, 1, serve},
    {NULL, NULL, NULL, NULL, 0, 0, NULL},
};
