/* SPDX-License-Identifier: Apache-2.0
 *
 * measure FILE COMMAND [ARGUMENT...]: run a command as it is and write what it took to FILE, one JSON object:
 * wall, user and system seconds, the peak of its resident memory, and the peak of its anonymous memory (heap, stacks,
 * written data: what the process itself needs, without the libraries it shares). The kernel keeps the first peak; the
 * second is the largest of samples taken each millisecond and once more when the process ends, so a spike shorter
 * than that can be missed. Ends with the command's status.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CANNOT_START 127

static long
status_kib(const char *status, const char *field)
{
    const char *at = strstr(status, field);

    return at != NULL ? strtol(at + strlen(field), NULL, 10) : 0;
}

/* Anonymous memory of a process now, in KiB; 0 when it is gone. */
static long
anonymous_kib(pid_t pid)
{
    char path[64];
    char text[4096];

    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) {
        (void)close(fd);
    }
    text[len > 0 ? len : 0] = '\0';
    return status_kib(text, "RssAnon:");
}

static double
seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static double
now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static pid_t
start(char **command)
{
    pid_t pid = fork();

    if (pid == 0) {
        /* Where tracing is forbidden, the last sample is missing and nothing else. */
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0) {
            (void)raise(SIGSTOP);
        }
        (void)execvp(command[0], command);
        perror(command[0]);
        _exit(CANNOT_START);
    }
    return pid;
}

/* Follow the process to its end. Signals go through; its exit stops once more, so that the last sample is exact. */
static int
follow(pid_t pid, long *peak_kib, struct rusage *usage)
{
    bool options_set = false;
    int status = 0;

    for (;;) {
        pid_t got = wait4(pid, &status, WNOHANG, usage);
        if (got < 0 && errno != EINTR) {
            perror("wait");
            exit(3);
        }
        long anonymous = anonymous_kib(pid);
        *peak_kib = anonymous > *peak_kib ? anonymous : *peak_kib;
        if (got == 0) {
            (void)usleep(1000);
            continue;
        }
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            return status;
        }
        int number = WSTOPSIG(status);
        bool event = status >> 16 != 0;
        if (!options_set) {
            (void)ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(intptr_t)(PTRACE_O_TRACEEXIT | PTRACE_O_TRACEEXEC));
            options_set = true;
            number = 0;
        }
        (void)ptrace(PTRACE_CONT, pid, NULL, (void *)(intptr_t)(event || number == SIGTRAP ? 0 : number));
    }
}

int
main(int argc, char **argv)
{
    struct rusage usage = {0};
    long peak_kib = 0;

    if (argc < 3) {
        fprintf(stderr, "usage: measure FILE COMMAND [ARGUMENT...]\n");
        return 2;
    }
    double begin = now();
    pid_t pid = start(argv + 2);
    if (pid < 0) {
        perror("fork");
        return 3;
    }
    int status = follow(pid, &peak_kib, &usage);
    FILE *out = fopen(argv[1], "w");
    if (out == NULL) {
        perror(argv[1]);
        return 3;
    }
    fprintf(out,
            "{\"seconds\": %.3f, \"user_s\": %.3f, \"system_s\": %.3f, \"peak_rss_kib\": %ld, "
            "\"peak_anonymous_kib\": %ld}\n",
            now() - begin, seconds(usage.ru_utime), seconds(usage.ru_stime), usage.ru_maxrss, peak_kib);
    if (fclose(out) != 0) {
        perror(argv[1]);
        return 3;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
