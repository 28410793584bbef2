/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/host/file.h"

#include "lib/core/crypto.h"
#include "lib/host/fail.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void __attribute__((noreturn))
out_of_memory(void)
{
    static const char text[] = "out of memory\n";

    (void)!write(2, text, sizeof text - 1);
    _exit(3);
}

void *
rb_alloc(size_t len)
{
    void *p = calloc(1, len > 0 ? len : 1);

    if (p == NULL) {
        out_of_memory();
    }
    return p;
}

void *
rb_realloc(void *memory, size_t len)
{
    void *p = realloc(memory, len > 0 ? len : 1);

    if (p == NULL) {
        out_of_memory();
    }
    return p;
}

char *
rb_text(const char *format, ...)
{
    va_list args;
    char *text = NULL;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0) {
        out_of_memory();
    }
    va_end(args);
    return text;
}

rb_err
rb_file_read(const char *path, size_t limit, uint8_t **data, size_t *len)
{
    uint8_t *buffer = NULL;
    size_t have = 0;
    size_t room = 0;
    rb_err err = RB_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return rb_fail_errno("%s", path);
    }
    for (;;) {
        if (have == room) {
            room = room == 0 ? 4096 : room * 2;
            buffer = rb_realloc(buffer, room + 1);
        }
        ssize_t got = read(fd, buffer + have, room - have);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            err = rb_fail_errno("%s", path);
            goto out;
        }
        if (got == 0) {
            break;
        }
        have += (size_t)got;
        if (have > limit) {
            err = rb_fail(RB_ERR_TOO_LARGE, "%s: more than %zu bytes", path, limit);
            goto out;
        }
    }
    buffer[have] = '\0';
    *data = buffer;
    *len = have;
    buffer = NULL;
out:
    free(buffer);
    (void)close(fd);
    return err;
}

rb_err
rb_write_all(int fd, const void *data, size_t len)
{
    const uint8_t *p = data;

    while (len > 0) {
        ssize_t put = write(fd, p, len);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return rb_fail_errno("write");
        }
        p += put;
        len -= (size_t)put;
    }
    return RB_OK;
}

rb_err
rb_pread_all(int fd, void *out, size_t len, uint64_t offset)
{
    uint8_t *p = out;

    while (len > 0) {
        ssize_t got = pread(fd, p, len, (off_t)offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return rb_fail_errno("read");
        }
        if (got == 0) {
            return RB_ERR_TRUNCATED;
        }
        p += got;
        offset += (uint64_t)got;
        len -= (size_t)got;
    }
    return RB_OK;
}

static char *
parent_of(const char *path)
{
    char *copy = rb_text("%s", path);
    char *parent = rb_text("%s", dirname(copy));

    free(copy);
    return parent;
}

rb_err
rb_sync_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        return rb_fail_errno("%s", path);
    }
    rb_err err = fsync(fd) == 0 ? RB_OK : rb_fail_errno("fsync %s", path);
    (void)close(fd);
    return err;
}

/* The old content stays until the rename; the rename is durable once the directory is. A failed fsync leaves the
 * temporary file removed and the old content in place. */
rb_err
rb_file_replace(const char *path, const void *data, size_t len, mode_t mode)
{
    char *parent = parent_of(path);
    char *tmp = rb_text("%s.tmp-%ld", path, (long)getpid());
    rb_err err = RB_OK;

    (void)unlink(tmp);
    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0) {
        err = rb_fail_errno("%s", path);
        goto out;
    }
    err = rb_write_all(fd, data, len);
    if (err == RB_OK && fsync(fd) != 0) {
        err = rb_fail_errno("fsync %s", path);
    }
    if (close(fd) != 0 && err == RB_OK) {
        err = rb_fail_errno("close %s", path);
    }
    if (err == RB_OK && rename(tmp, path) != 0) {
        err = rb_fail_errno("rename to %s", path);
    }
    if (err != RB_OK) {
        (void)unlink(tmp);
        goto out;
    }
    err = rb_sync_dir(parent);
out:
    free(tmp);
    free(parent);
    return err;
}

rb_err
rb_make_dirs(const char *path, mode_t mode)
{
    char *copy = rb_text("%s", path);
    rb_err err = RB_OK;

    for (char *p = copy + 1; err == RB_OK; p++) {
        if (*p != '/' && *p != '\0') {
            continue;
        }
        char end = *p;
        *p = '\0';
        if (mkdir(copy, mode) != 0 && errno != EEXIST) {
            err = rb_fail_errno("mkdir %s", copy);
        }
        *p = end;
        if (end == '\0') {
            break;
        }
    }
    free(copy);
    return err;
}

static int
remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

rb_err
rb_remove_tree(const char *path)
{
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT) {
        return rb_fail_errno("remove %s", path);
    }
    return RB_OK;
}

rb_err
rb_file_sha256(const char *path, uint8_t digest[32], uint64_t *len)
{
    uint8_t buffer[16384];
    struct rb_sha256 hash;
    uint64_t total = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return rb_fail_errno("%s", path);
    }
    rb_sha256_start(&hash);
    for (;;) {
        ssize_t got = read(fd, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            rb_err err = rb_fail_errno("%s", path);
            (void)close(fd);
            return err;
        }
        if (got == 0) {
            break;
        }
        rb_sha256_update(&hash, buffer, (size_t)got);
        total += (uint64_t)got;
    }
    (void)close(fd);
    rb_sha256_finish(&hash, digest);
    if (len != NULL) {
        *len = total;
    }
    return RB_OK;
}

bool
rb_file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static int64_t
now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

rb_err
rb_lock(const char *path, unsigned wait_ms, rb_err busy, int *fd)
{
    int64_t until = now_ms() + (int64_t)wait_ms;
    int lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (lock < 0) {
        return rb_fail_errno("%s", path);
    }
    while (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            rb_err err = rb_fail_errno("lock %s", path);
            (void)close(lock);
            return err;
        }
        if (now_ms() >= until) {
            (void)close(lock);
            return rb_fail(busy, "%s is held", path);
        }
        (void)usleep(20000);
    }
    *fd = lock;
    return RB_OK;
}

void
rb_hex(const void *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = data;

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * len] = '\0';
}

static int
digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

rb_err
rb_unhex(const char *hex, void *out, size_t len)
{
    uint8_t *p = out;

    if (strlen(hex) != 2 * len) {
        return rb_fail(RB_ERR_ARG, "want %zu hex digits, not %zu", 2 * len, strlen(hex));
    }
    for (size_t i = 0; i < len; i++) {
        int high = digit(hex[2 * i]);
        int low = digit(hex[2 * i + 1]);
        if (high < 0 || low < 0) {
            return rb_fail(RB_ERR_ARG, "not lower-case hex");
        }
        p[i] = (uint8_t)(high << 4 | low);
    }
    return RB_OK;
}
