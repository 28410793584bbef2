/* SPDX-License-Identifier: Apache-2.0
 *
 * Usage: PROGRAM [FILTER]: runs the tests whose "file/name" contains FILTER.
 */
#include "tests/support/test.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED 77
#define TIMEOUT_S 240

static struct test *tests;

void
test_register(struct test *t)
{
    t->next = tests;
    tests = t;
}

void
test_fail(const char *file, int line, const char *format, ...)
{
    va_list args;

    printf("%s:%d: ", file, line);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    if (rb_fail_detail()[0] != '\0') {
        printf(" (%s)", rb_fail_detail());
    }
    printf("\n");
    fflush(stdout);
    _exit(1);
}

void
test_skip(const char *reason)
{
    printf("skip: %s\n", reason);
    fflush(stdout);
    _exit(SKIPPED);
}

const char *
test_tree(void)
{
    const char *tree = getenv("RB_TREE");

    return tree != NULL ? tree : ".";
}

const char *
test_bin(void)
{
    const char *bin = getenv("RB_BIN");

    return bin != NULL ? bin : "build/release/bin";
}

/* Runs one test; its output is kept in `log` and shown only when it did not pass. */
static int
run(const struct test *t, char *log, size_t log_size)
{
    int pipe_fds[2];

    if (pipe(pipe_fds) != 0) {
        perror("pipe");
        exit(3);
    }
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        char dir[] = "/var/tmp/rb-test-XXXXXX";
        (void)dup2(pipe_fds[1], 1);
        (void)dup2(pipe_fds[1], 2);
        (void)close(pipe_fds[0]);
        (void)close(pipe_fds[1]);
        if (mkdtemp(dir) == NULL || chdir(dir) != 0) {
            perror(dir);
            _exit(3);
        }
        pid_t inner = fork();
        if (inner == 0) {
            (void)alarm(TIMEOUT_S);
            t->run();
            fflush(stdout);
            exit(0); /* exit, not _exit: the leak checker runs then */
        }
        int status = 0;
        (void)waitpid(inner, &status, 0);
        if (WIFSIGNALED(status)) {
            printf("killed by signal %d\n", WTERMSIG(status));
            fflush(stdout);
        }
        (void)!chdir("/");
        rb_ignore(rb_remove_tree(dir));
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    }
    (void)close(pipe_fds[1]);
    size_t len = 0;
    char drop[4096];
    for (;;) {
        size_t room = log_size - 1 - len;
        ssize_t got = read(pipe_fds[0], room > 0 ? log + len : drop, room > 0 ? room : sizeof drop);
        if (got <= 0 && errno != EINTR) {
            break;
        }
        if (got > 0 && room > 0) {
            len += (size_t)got;
        }
    }
    log[len] = '\0';
    (void)close(pipe_fds[0]);
    int status = 0;
    (void)waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* A test that passes may still have a number to tell: lines that start with "note: ". */
static void
print_notes(char *text)
{
    for (char *line = strtok_r(text, "\n", &text); line != NULL; line = strtok_r(NULL, "\n", &text)) {
        if (strncmp(line, "note: ", 6) == 0) {
            printf("%s\n", line);
        }
    }
}

static int
by_name(const void *a, const void *b)
{
    const struct test *x = *(struct test *const *)a;
    const struct test *y = *(struct test *const *)b;
    int order = strcmp(x->file, y->file);

    return order != 0 ? order : strcmp(x->name, y->name);
}

int
main(int argc, char **argv)
{
    static char log[65536];
    const char *filter = argc > 1 ? argv[1] : "";
    struct test *list[2048];
    size_t count = 0;
    int failed = 0;

    for (struct test *t = tests; t != NULL && count < sizeof list / sizeof list[0]; t = t->next) {
        list[count++] = t;
    }
    qsort(list, count, sizeof list[0], by_name);
    for (size_t i = 0; i < count; i++) {
        char title[512];
        (void)snprintf(title, sizeof title, "%s/%s", list[i]->file, list[i]->name);
        if (strstr(title, filter) == NULL) {
            continue;
        }
        int status = run(list[i], log, sizeof log);
        if (status == 0) {
            printf("PASS %s\n", title);
            print_notes(log);
        } else if (status == SKIPPED) {
            char *reason = strstr(log, "skip: ");
            printf("SKIP %s: %.*s\n", title, (int)strcspn(reason != NULL ? reason + 6 : "", "\n"),
                   reason != NULL ? reason + 6 : "");
        } else {
            printf("FAIL %s\n%s", title, log);
            failed = 1;
        }
        fflush(stdout);
    }
    return failed;
}
