/* SPDX-License-Identifier: Apache-2.0
 *
 * killat N [kill|ENOSPC|EIO|EDQUOT|EROFS|EMFILE] -- COMMAND [ARGUMENT...]
 *
 * Run a command under ptrace and stop it at its Nth system call that can change a file system, before that call has
 * done anything: kill (the default) ends it with SIGKILL there; an error name makes that call fail with that error and
 * lets the command go on (x86-64 and aarch64). Calls that change nothing are not counted: a kill between two of those
 * leaves the same disk as a kill at the next counted one, so the counted ones are all the moments there are.
 *
 * N = 0 runs the command to its end and prints "killat: calls=COUNT" as the last line on stderr.
 *
 * Exit: the command's own status; 137 when it was killed at N; 124 when it ended before its Nth call; 125 when this
 * program failed or cannot vouch for its count.
 *
 * Threads and children of the command are followed and counted together; their order is theirs, so a count over more
 * than one of them is not the same in every run.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/ptrace.h>

#define OPTIONS                                                                                                       \
    (PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK       \
     | PTRACE_O_TRACEEXEC)

enum { ENDED_EARLY = 124, BROKEN = 125, KILLED = 137 };

static const uint64_t changing[] = {
    SYS_write,     SYS_pwrite64,  SYS_writev,    SYS_pwritev,    SYS_pwritev2,  SYS_renameat2,       SYS_linkat,
    SYS_symlinkat, SYS_unlinkat,  SYS_mkdirat,   SYS_ftruncate,  SYS_truncate,  SYS_fsync,           SYS_fdatasync,
    SYS_syncfs,    SYS_sync,      SYS_fchmod,    SYS_fchmodat,   SYS_fchown,    SYS_fchownat,        SYS_utimensat,
    SYS_fallocate, SYS_sendfile,  SYS_setxattr,  SYS_fsetxattr,  SYS_mknodat,   SYS_copy_file_range, SYS_renameat,
#ifdef SYS_rename
    SYS_rename,    SYS_link,      SYS_symlink,   SYS_unlink,     SYS_mkdir,     SYS_rmdir,           SYS_chmod,
    SYS_creat,
#endif
};

static void __attribute__((noreturn))
broken(const char *what)
{
    fprintf(stderr, "killat: %s: %s\n", what, strerror(errno));
    exit(BROKEN);
}

static bool
opens_to_change(uint64_t flags)
{
    return (flags & (O_CREAT | O_TRUNC)) != 0;
}

/* Output on 1 and 2 is the command's talk, not the disk. */
static bool
counts(const struct ptrace_syscall_info *info)
{
    uint64_t nr = info->entry.nr;

    if (nr == SYS_openat) {
        return opens_to_change(info->entry.args[2]);
    }
#ifdef SYS_open
    if (nr == SYS_open) {
        return opens_to_change(info->entry.args[1]);
    }
#endif
    if ((nr == SYS_write || nr == SYS_writev) && info->entry.args[0] <= 2) {
        return false;
    }
    for (size_t i = 0; i < sizeof changing / sizeof changing[0]; i++) {
        if (changing[i] == nr) {
            return true;
        }
    }
    return false;
}

/* Turn the call under way into none (at its entry), or set what it returns (at its exit). */
static void
patch(pid_t pid, bool entry, int error)
{
#if defined(__x86_64__)
    struct user_regs_struct regs;
    struct iovec io = {&regs, sizeof regs};
    if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &io) != 0) {
        broken("registers");
    }
    if (entry) {
        regs.orig_rax = ~0ull;
    } else {
        regs.rax = (unsigned long long)-(long long)error;
    }
    if (ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &io) != 0) {
        broken("registers");
    }
#elif defined(__aarch64__)
    int none = -1;
    struct user_regs_struct regs;
    struct iovec call = {&none, sizeof none};
    struct iovec io = {&regs, sizeof regs};
    if (entry) {
        if (ptrace(PTRACE_SETREGSET, pid, 0x404 /* NT_ARM_SYSTEM_CALL */, &call) != 0) {
            broken("system call number");
        }
        return;
    }
    if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &io) != 0) {
        broken("registers");
    }
    regs.regs[0] = (unsigned long long)-(long long)error;
    if (ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &io) != 0) {
        broken("registers");
    }
#else
    (void)pid;
    (void)entry;
    (void)error;
    errno = ENOSYS;
    broken("errors on this machine");
#endif
}

static int
error_of(const char *name)
{
    static const struct {
        const char *name;
        int error;
    } errors[] = {{"kill", 0},          {"ENOSPC", ENOSPC}, {"EIO", EIO},
                  {"EDQUOT", EDQUOT},   {"EROFS", EROFS},   {"EMFILE", EMFILE}};

    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (strcmp(errors[i].name, name) == 0) {
            return errors[i].error;
        }
    }
    return -1;
}

struct run {
    pid_t child;
    unsigned long at; /* stop at this call, or 0 */
    unsigned long calls;
    int error;        /* 0: kill */
    pid_t failing;    /* whose call was taken away and still has to return, or 0 */
};

/* True when the command was killed. */
static bool
system_call(struct run *r, pid_t pid)
{
    struct ptrace_syscall_info info = {0};

    if (ptrace((enum __ptrace_request)PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0) {
        broken("system call");
    }
    if (info.op == PTRACE_SYSCALL_INFO_EXIT && r->failing == pid) {
        patch(pid, false, r->error);
        r->failing = 0;
    }
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY || !counts(&info)) {
        return false;
    }
    r->calls++;
    if (r->calls != r->at) {
        return false;
    }
    if (r->error != 0) {
        patch(pid, true, 0);
        r->failing = pid;
        return false;
    }
    /* A tracee killed at the entry of a call does not make it; the kernel looks for the signal first. */
    if (kill(r->child, SIGKILL) != 0) {
        broken("kill");
    }
    return true;
}

static int
finish(const struct run *r, bool killed, int status)
{
    if (killed) {
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL || r->calls != r->at) {
            fprintf(stderr, "killat: killed at call %lu, but the command ended otherwise\n", r->calls);
            return BROKEN;
        }
        return KILLED;
    }
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (r->at == 0) {
        fprintf(stderr, "killat: calls=%lu\n", r->calls);
        return r->calls > 0 ? code : BROKEN;
    }
    return r->calls < r->at ? ENDED_EARLY : code;
}

static int
follow(struct run *r)
{
    bool killed = false;

    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0) {
            broken("wait");
        }
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (pid == r->child) {
                return finish(r, killed, status);
            }
            continue;
        }
        int signal = WSTOPSIG(status);
        int pass = 0;
        if (signal == (SIGTRAP | 0x80)) {
            killed = killed || system_call(r, pid);
        } else if (signal != SIGTRAP && signal != SIGSTOP) {
            pass = signal;
        }
        if (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(intptr_t)pass) != 0 && errno != ESRCH) {
            broken("continue");
        }
    }
}

int
main(int argc, char **argv)
{
    int dashes = 1;
    struct run r = {0};

    while (dashes < argc && strcmp(argv[dashes], "--") != 0) {
        dashes++;
    }
    char *end = NULL;
    r.at = argc > 1 ? strtoul(argv[1], &end, 10) : 0;
    r.error = dashes == 3 ? error_of(argv[2]) : 0;
    if (dashes < 2 || dashes > 3 || dashes + 1 >= argc || end == NULL || *end != '\0' || r.error < 0) {
        fprintf(stderr, "usage: killat N [kill|ENOSPC|EIO|EDQUOT|EROFS|EMFILE] -- COMMAND [ARGUMENT...]\n");
        return BROKEN;
    }
    r.child = fork();
    if (r.child < 0) {
        broken("fork");
    }
    if (r.child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0 || raise(SIGSTOP) != 0) {
            broken("trace");
        }
        execvp(argv[dashes + 1], argv + dashes + 1);
        broken(argv[dashes + 1]);
    }
    int status;
    if (waitpid(r.child, &status, 0) != r.child || !WIFSTOPPED(status)
        || ptrace(PTRACE_SETOPTIONS, r.child, NULL, (void *)(intptr_t)OPTIONS) != 0
        || ptrace(PTRACE_SYSCALL, r.child, NULL, NULL) != 0) {
        broken("start");
    }
    return follow(&r);
}
