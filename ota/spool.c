/* SPDX-License-Identifier: Apache-2.0 */
#include "ota/spool.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Remove what is not `keep_a` or `keep_b` (either may be NULL). */
static rb_err
sweep(const char *dir, const char *keep_a, const char *keep_b)
{
    rb_err err = RB_OK;
    DIR *d = opendir(dir);

    if (d == NULL) {
        return rb_fail_errno("%s", dir);
    }
    for (const struct dirent *e = readdir(d); e != NULL && err == RB_OK; e = readdir(d)) {
        bool keep = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0
                    || (keep_a != NULL && strcmp(e->d_name, keep_a) == 0)
                    || (keep_b != NULL && strcmp(e->d_name, keep_b) == 0);
        if (!keep && unlinkat(dirfd(d), e->d_name, 0) != 0) {
            err = rb_fail_errno("%s/%s", dir, e->d_name);
        }
    }
    (void)closedir(d);
    return err;
}

static char *
header_name(const struct ota_spool *s)
{
    return rb_text("%s.header", s->payload);
}

static char *
segments_name(const struct ota_spool *s, uint32_t first)
{
    return rb_text("%s.%u", s->payload, first);
}

/* Files of other payloads go; those of this one stay. */
static rb_err
drop_others(const struct ota_spool *s)
{
    rb_err err = RB_OK;
    size_t len = strlen(s->payload);
    DIR *d = opendir(s->dir);

    if (d == NULL) {
        return rb_fail_errno("%s", s->dir);
    }
    for (const struct dirent *e = readdir(d); e != NULL && err == RB_OK; e = readdir(d)) {
        if (e->d_name[0] != '.' && strncmp(e->d_name, s->payload, len) != 0
            && unlinkat(dirfd(d), e->d_name, 0) != 0) {
            err = rb_fail_errno("%s/%s", s->dir, e->d_name);
        }
    }
    (void)closedir(d);
    return err;
}

rb_err
ota_spool_init(struct ota_spool *s, const char *dir, const uint8_t header_sha256[RB_SHA256_LEN])
{
    *s = (struct ota_spool){.dir = dir, .fd = -1};
    rb_hex(header_sha256, RB_SHA256_LEN, s->payload);
    return drop_others(s);
}

rb_err
ota_spool_load_header(const struct ota_spool *s, uint8_t *header, uint32_t len)
{
    uint8_t digest[RB_SHA256_LEN];
    char hex[2 * RB_SHA256_LEN + 1];
    char *name = header_name(s);
    char *path = rb_text("%s/%s", s->dir, name);

    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    rb_err err = fd >= 0 ? rb_pread_all(fd, header, len, 0) : RB_ERR_NOT_FOUND;
    if (err == RB_OK) {
        rb_sha256(header, len, digest);
        rb_hex(digest, sizeof digest, hex);
        err = strcmp(hex, s->payload) == 0 ? RB_OK : RB_ERR_NOT_FOUND;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    free(path);
    free(name);
    if (err != RB_OK) {
        rb_fail_clear(); /* then it is fetched */
        return RB_ERR_NOT_FOUND;
    }
    return RB_OK;
}

rb_err
ota_spool_keep_header(const struct ota_spool *s, const uint8_t *header, uint32_t len)
{
    char *name = header_name(s);
    char *path = rb_text("%s/%s", s->dir, name);
    rb_err err = rb_file_replace(path, header, len, 0600);

    free(path);
    free(name);
    return err;
}

/* The segment in a name "<payload>.<decimal>"; false for any other name. */
static bool
segment_of(const struct ota_spool *s, const char *name, uint32_t *segment)
{
    size_t len = strlen(s->payload);
    char *end = NULL;

    if (strncmp(name, s->payload, len) != 0 || name[len] != '.' || name[len + 1] < '0' || name[len + 1] > '9') {
        return false;
    }
    unsigned long value = strtoul(name + len + 1, &end, 10);
    *segment = (uint32_t)value;
    return *end == '\0' && value <= UINT32_MAX;
}

rb_err
ota_spool_find(const struct ota_spool *s, uint32_t last, uint32_t *first, uint64_t *len)
{
    bool found = false;
    DIR *d = opendir(s->dir);

    if (d == NULL) {
        return rb_fail_errno("%s", s->dir);
    }
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        struct stat st;
        uint32_t segment;
        if (segment_of(s, e->d_name, &segment) && segment <= last && (!found || segment > *first)
            && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)) {
            found = true;
            *first = segment;
            *len = (uint64_t)st.st_size;
        }
    }
    (void)closedir(d);
    return found ? RB_OK : RB_ERR_NOT_FOUND;
}

static rb_err
open_file(struct ota_spool *s, const char *name, int flags)
{
    char *path = rb_text("%s/%s", s->dir, name);

    s->fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
    off_t end = s->fd >= 0 ? lseek(s->fd, 0, SEEK_END) : -1;
    rb_err err = end >= 0 ? RB_OK : rb_fail_errno("%s", path);
    s->len = end >= 0 ? (uint64_t)end : 0;
    free(path);
    return err;
}

rb_err
ota_spool_open(struct ota_spool *s, uint32_t first)
{
    char *name = segments_name(s, first);
    char *header = header_name(s);

    rb_err err = sweep(s->dir, name, header);
    if (err == RB_OK) {
        err = open_file(s, name, 0);
    }
    if (err == RB_OK) {
        err = rb_sync_dir(s->dir);
    }
    s->first = first;
    free(header);
    free(name);
    return err;
}

rb_err
ota_spool_append(struct ota_spool *s, const void *data, uint32_t len)
{
    RB_TRY(rb_write_all(s->fd, data, len));
    s->len += len;
    return RB_OK;
}

rb_err
ota_spool_read(const struct ota_spool *s, uint64_t offset, void *out, uint32_t len)
{
    if (offset > s->len || len > s->len - offset) {
        return RB_ERR_TRUNCATED;
    }
    return rb_pread_all(s->fd, out, len, offset);
}

rb_err
ota_spool_truncate(struct ota_spool *s, uint64_t len)
{
    if (ftruncate(s->fd, (off_t)len) != 0 || lseek(s->fd, (off_t)len, SEEK_SET) < 0) {
        return rb_fail_errno("%s/%s", s->dir, s->payload);
    }
    s->len = len;
    return RB_OK;
}

rb_err
ota_spool_sync(const struct ota_spool *s)
{
    return fdatasync(s->fd) == 0 ? RB_OK : rb_fail_errno("%s/%s", s->dir, s->payload);
}

static rb_err
copy_tail(const struct ota_spool *from, struct ota_spool *to, uint64_t offset, uint8_t *buffer, uint32_t buffer_len)
{
    while (offset < from->len) {
        uint32_t n = from->len - offset < buffer_len ? (uint32_t)(from->len - offset) : buffer_len;
        RB_TRY(ota_spool_read(from, offset, buffer, n));
        RB_TRY(ota_spool_append(to, buffer, n));
        offset += n;
    }
    return ota_spool_sync(to);
}

/* Order: the new file is complete and durable under another name, takes its name, then the old one goes. A cut
 * leaves the old file, or both, and ota_spool_open picks the one that the slot calls for. */
rb_err
ota_spool_advance(struct ota_spool *s, uint32_t first, uint64_t offset, uint8_t *buffer, uint32_t buffer_len)
{
    struct ota_spool next = *s;
    char *old_path = rb_text("%s/%s.%u", s->dir, s->payload, s->first);
    char *new_path = rb_text("%s/%s.%u", s->dir, s->payload, first);
    char *temporary = rb_text("%s.new", s->payload);
    char *temporary_path = rb_text("%s/%s", s->dir, temporary);

    next.first = first;
    rb_err err = open_file(&next, temporary, O_TRUNC);
    if (err == RB_OK) {
        next.len = 0;
        err = copy_tail(s, &next, offset, buffer, buffer_len);
    }
    if (err == RB_OK && rename(temporary_path, new_path) != 0) {
        err = rb_fail_errno("%s", new_path);
    }
    if (err == RB_OK) {
        err = rb_sync_dir(s->dir);
    }
    if (err == RB_OK) {
        (void)unlink(old_path); /* one that stays is swept by the next open */
        (void)close(s->fd);
        *s = next;
    } else if (next.fd >= 0) {
        (void)close(next.fd);
    }
    free(temporary_path);
    free(temporary);
    free(new_path);
    free(old_path);
    return err;
}

void
ota_spool_close(struct ota_spool *s)
{
    if (s->fd >= 0) {
        (void)close(s->fd);
        s->fd = -1;
    }
}

rb_err
ota_spool_clear(const char *dir)
{
    return sweep(dir, NULL, NULL);
}
