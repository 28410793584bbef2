/* SPDX-License-Identifier: Apache-2.0 */
#include "ota/boot_report.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/host/json.h"
#include "ota/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define REPORT_MAX 65536u

static const struct {
    const char *name;
    enum ota_program program;
    const char *number;
} PROGRAMS[] = {
    {"running", OTA_PROGRAM_RUNNING, NULL},
    {"exited", OTA_PROGRAM_EXITED, "status"},
    {"killed", OTA_PROGRAM_KILLED, "signal"},
    {"not-a-program", OTA_PROGRAM_NONE, NULL},
};

static rb_err
read_program(const json_t *report, struct ota_boot_report *out)
{
    json_t *program = NULL;
    const char *state = NULL;
    int64_t number = 0;

    if (json_object_get(report, "program") == NULL) {
        return RB_OK;
    }
    RB_TRY(rb_json_object(report, "program", &program));
    RB_TRY(rb_json_string(program, "state", 1, 32, &state));
    for (size_t i = 0; i < sizeof PROGRAMS / sizeof PROGRAMS[0]; i++) {
        if (strcmp(state, PROGRAMS[i].name) == 0) {
            if (PROGRAMS[i].number != NULL) {
                RB_TRY(rb_json_int(program, PROGRAMS[i].number, 0, 255, &number));
            }
            out->program = PROGRAMS[i].program;
            out->status = (int)number;
        }
    }
    return RB_OK;
}

static rb_err
read_report(const json_t *report, struct ota_boot_report *out)
{
    const char *text = NULL;
    int64_t tries = 0;

    memset(out, 0, sizeof *out);
    if (json_is_null(json_object_get(report, "slot"))) {
        return RB_OK;
    }
    RB_TRY(rb_json_string(report, "slot", 1, 1, &text));
    if (text[0] != 'A' && text[0] != 'B') {
        return rb_fail(RB_ERR_JSON_FIELD, "field \"slot\" is not A or B");
    }
    out->slot = (uint8_t)(text[0] == 'A' ? RB_SLOT_A : RB_SLOT_B);
    RB_TRY(rb_json_string(report, "version", 1, RB_IMAGE_VERSION_LEN, &text));
    memcpy(out->version, text, strlen(text) + 1);
    RB_TRY(rb_json_hex(report, "digest", out->digest, sizeof out->digest));
    RB_TRY(rb_json_bool(report, "trial", &out->trial));
    RB_TRY(rb_json_int(report, "tries_left", 0, RB_TRIES_MAX, &tries));
    out->tries_left = (unsigned)tries;
    RB_TRY(read_program(report, out));
    out->booted = true;
    return RB_OK;
}

rb_err
ota_boot_report_read(const struct ota_device *d, struct ota_boot_report *out)
{
    json_t *json = NULL;

    RB_TRY(rb_json_read(d->settings.boot_report_path, REPORT_MAX, &json));
    rb_err err = read_report(json, out);
    json_decref(json);
    return err;
}

static int64_t
monotonic_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
pause_ms(long ms)
{
    const struct timespec t = {.tv_sec = 0, .tv_nsec = ms * 1000000L};

    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

/* The program's own word: it ended with status 0. One that still runs may yet say so. */
static rb_err
program_health(const struct ota_device *d, const struct ota_boot_report *first)
{
    struct ota_boot_report r = *first;
    int64_t end = monotonic_ms() + (int64_t)d->settings.health_deadline_s * 1000;

    while (r.program == OTA_PROGRAM_RUNNING && monotonic_ms() < end) {
        if (ota_stop != 0) {
            return RB_ERR_NET_STOPPED;
        }
        pause_ms(200);
        RB_TRY(ota_boot_report_read(d, &r));
    }
    switch (r.program) {
    case OTA_PROGRAM_EXITED:
        return r.status == 0 ? RB_OK : rb_fail(RB_ERR_AGENT_HEALTH, "the program ended with status %d", r.status);
    case OTA_PROGRAM_KILLED:
        return rb_fail(RB_ERR_AGENT_HEALTH, "the program was killed by signal %d", r.status);
    case OTA_PROGRAM_RUNNING:
        return rb_fail(RB_ERR_AGENT_HEALTH, "the program did not report within %u s", d->settings.health_deadline_s);
    case OTA_PROGRAM_NONE:
        return rb_fail(RB_ERR_AGENT_HEALTH, "the image holds no program for this machine");
    case OTA_PROGRAM_UNKNOWN:
    default:
        return rb_fail(RB_ERR_AGENT_HEALTH, "the boot report says nothing of the program");
    }
}

/* In the child. Only what is safe after fork. */
static void
run_command(char *const command[], char *const environment[])
{
    int null = open("/dev/null", O_RDONLY);

    (void)setpgid(0, 0);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(STDERR_FILENO, STDOUT_FILENO); /* our stdout may be a JSON document */
    (void)execve(command[0], command, environment);
    _exit(127);
}

/* Until it ends, the deadline passes or we are asked to stop; then the whole process group is killed. */
static rb_err
await(pid_t child, unsigned deadline_s, int *status)
{
    int64_t end = monotonic_ms() + (int64_t)deadline_s * 1000;

    for (;;) {
        pid_t got = waitpid(child, status, WNOHANG);
        if (got == child) {
            (void)kill(-child, SIGKILL); /* what it left behind */
            return RB_OK;
        }
        if (got < 0 && errno != EINTR) {
            return rb_fail_errno("waitpid");
        }
        if (ota_stop != 0 || monotonic_ms() >= end) {
            (void)kill(-child, SIGKILL);
            (void)kill(child, SIGKILL); /* before it could make its group */
            (void)waitpid(child, status, 0);
            return ota_stop != 0 ? RB_ERR_NET_STOPPED
                                 : rb_fail(RB_ERR_AGENT_HEALTH, "the command did not end within %u s", deadline_s);
        }
        pause_ms(20);
    }
}

static rb_err
command_health(const struct ota_device *d, const struct ota_boot_report *r)
{
    char *slot = rb_text("RB_SLOT=%c", ota_slot_name(r->slot));
    char *version = rb_text("RB_VERSION=%s", r->version);
    char *root = rb_text("RB_ROOT=%s", d->settings.root);
    char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char *const environment[] = {slot, version, root, path, NULL};
    int status = 0;
    rb_err err = RB_OK;

    pid_t child = fork();
    if (child == 0) {
        run_command(d->settings.health_command, environment);
    }
    if (child < 0) {
        err = rb_fail_errno("fork");
    } else {
        err = await(child, d->settings.health_deadline_s, &status);
    }
    free(slot);
    free(version);
    free(root);
    RB_TRY(err);
    if (WIFSIGNALED(status)) {
        return rb_fail(RB_ERR_AGENT_HEALTH, "%s was killed by signal %d", d->settings.health_command[0],
                       WTERMSIG(status));
    }
    if (WEXITSTATUS(status) == 127) {
        return rb_fail(RB_ERR_AGENT_HEALTH, "%s cannot be run", d->settings.health_command[0]);
    }
    if (WEXITSTATUS(status) != 0) {
        return rb_fail(RB_ERR_AGENT_HEALTH, "%s ended with status %d", d->settings.health_command[0],
                       WEXITSTATUS(status));
    }
    return RB_OK;
}

rb_err
ota_health(const struct ota_device *d, const struct ota_boot_report *report)
{
    return d->settings.health == RB_HEALTH_COMMAND ? command_health(d, report) : program_health(d, report);
}
