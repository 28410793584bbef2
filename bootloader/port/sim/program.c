/* SPDX-License-Identifier: Apache-2.0 */
#include "bootloader/port/sim/sim.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <assert.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENVIRONMENT_COUNT 5
#define CANNOT_START 127

/* The fields of an ELF header that say which machine it is for lie at the same place in both classes. */
#define ELF_HEAD_LEN (offsetof(Elf32_Ehdr, e_machine) + sizeof(Elf32_Half))
static_assert(offsetof(Elf32_Ehdr, e_machine) == offsetof(Elf64_Ehdr, e_machine), "ELF: e_machine");

/* An executable for this machine: of the same class, byte order and machine as the program that asks. */
static bool
for_this_machine(const uint8_t *body, uint32_t len)
{
    Elf32_Ehdr self;
    Elf32_Ehdr other;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    bool same = false;

    if (fd >= 0 && len >= ELF_HEAD_LEN && rb_pread_all(fd, &self, ELF_HEAD_LEN, 0) == RB_OK) {
        memcpy(&other, body, ELF_HEAD_LEN);
        same = memcmp(self.e_ident, other.e_ident, EI_VERSION + 1) == 0 && self.e_machine == other.e_machine;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return same;
}

/* The body in memory that nobody can change any more. */
static rb_err
sealed_memory(const uint8_t *body, uint32_t len, int *out)
{
    int fd = memfd_create("riverbank-slot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    rb_err err = RB_OK;

    if (fd < 0) {
        return rb_fail_errno("memory for the program");
    }
    err = rb_write_all(fd, body, len);
    if (err == RB_OK && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
        err = rb_fail_errno("memory for the program");
    }
    if (err != RB_OK) {
        (void)close(fd);
        return err;
    }
    *out = fd;
    return RB_OK;
}

static void
make_environment(const struct rb_handoff *h, char *environment[ENVIRONMENT_COUNT + 1])
{
    environment[0] = rb_text("RB_SLOT=%s", h->slot == RB_SLOT_A ? "A" : "B");
    environment[1] = rb_text("RB_TRIAL=%d", h->trial ? 1 : 0);
    environment[2] = rb_text("RB_TRIES_LEFT=%u", h->tries_left);
    environment[3] = rb_text("RB_CAUSE=%s", rb_cause_name(h->cause));
    environment[4] = rb_text("RB_VERSION_RUNNING=%s", h->image.version);
    environment[5] = NULL;
}

/* In the child: become the program. Its death is certain when the simulator dies, as a board's is with the power.
 * `errno_pipe` closes with the exec; what it carries before says why there was none. */
static void __attribute__((noreturn))
become(int fd, char **environment, bool quiet, int errno_pipe)
{
    char name[] = "app";
    char *arguments[] = {name, NULL};

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGPIPE, SIG_DFL);
    if (!quiet || dup2(2, 1) >= 0) {
        (void)fexecve(fd, arguments, environment);
    }
    int why = errno;
    (void)!write(errno_pipe, &why, sizeof why);
    _exit(CANNOT_START);
}

static rb_err
await(pid_t pid, unsigned watchdog_s, struct sim_result *out)
{
    int status = 0;
    int pidfd = pidfd_open(pid, 0);
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    int ready = -1;

    do {
        ready = pidfd >= 0 ? poll(&end, 1, (int)watchdog_s * 1000) : -1;
    } while (ready < 0 && errno == EINTR);
    out->watchdog = ready <= 0;
    if (out->watchdog) {
        (void)kill(pid, SIGKILL);
    }
    rb_err err = ready < 0 ? rb_fail_errno("waiting for the program") : RB_OK;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (pidfd >= 0) {
        (void)close(pidfd);
    }
    out->state = WIFEXITED(status) ? "exited" : "killed";
    out->number = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
    return err;
}

static rb_err
run(int fd, char **environment, unsigned watchdog_s, bool quiet, struct sim_result *out)
{
    int why[2];
    int error = 0;

    if (pipe2(why, O_CLOEXEC) != 0) {
        return rb_fail_errno("starting the program");
    }
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        become(fd, environment, quiet, why[1]);
    }
    (void)close(why[1]);
    if (pid < 0) {
        (void)close(why[0]);
        return rb_fail_errno("starting the program");
    }
    ssize_t got = read(why[0], &error, sizeof error);
    (void)close(why[0]);
    RB_TRY(await(pid, watchdog_s, out));
    if (got == (ssize_t)sizeof error) {
        *out = (struct sim_result){.state = "not-a-program"};
        errno = error;
        return error == ENOEXEC || error == EINVAL || error == ENOENT || error == EACCES
                   ? RB_OK
                   : rb_fail_errno("starting the program");
    }
    return RB_OK;
}

rb_err
sim_program_run(const struct rb_handoff *handoff, unsigned watchdog_s, bool quiet, struct sim_result *out)
{
    char *environment[ENVIRONMENT_COUNT + 1];
    int fd = -1;

    *out = (struct sim_result){.state = "not-a-program"};
    if (!for_this_machine(handoff->body, handoff->image.body_len)) {
        return RB_OK;
    }
    RB_TRY(sealed_memory(handoff->body, handoff->image.body_len, &fd));
    make_environment(handoff, environment);
    rb_err err = run(fd, environment, watchdog_s, quiet, out);
    for (int i = 0; i < ENVIRONMENT_COUNT; i++) {
        free(environment[i]);
    }
    (void)close(fd);
    return err;
}
