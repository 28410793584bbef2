/* SPDX-License-Identifier: Apache-2.0
 *
 * The target directory is new and nobody else writes there, so no name in it can be a link planted by an earlier
 * package; names were checked when the package was opened. O_EXCL and O_NOFOLLOW would show a mistake in that.
 */
#include "pkgmgr/unpack.h"

#include "lib/core/bytes.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLUSH_LEN (1u << 20) /* start writing back a file at once when it has more bytes */

struct unpacking {
    const struct rpk_file *file;
    const char *to;
    const char *previous;
    int fd; /* the file being written, or -1 for an entry that needs no writing */
};

mode_t
rpk_entry_mode(const struct rpk_manifest *manifest, const char *name)
{
    for (unsigned i = 0; i < manifest->native.mode_count; i++) {
        if (strcmp(manifest->native.modes[i].path, name) == 0) {
            return manifest->native.modes[i].mode;
        }
    }
    return 0644;
}

uint64_t
rpk_unpacked_len(const struct rpk_file *file)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < file->zip.count; i++) {
        const struct rpk_entry *e = &file->zip.entries[i];
        total += (e->len + UINT64_C(4095)) / 4096 * 4096 + (e->directory ? 4096 : 0);
    }
    return total;
}

static rb_err
make_parents(const char *path)
{
    char *parent = rb_text("%s", path);
    char *slash = strrchr(parent, '/');
    rb_err err = RB_OK;

    *slash = '\0';
    if (mkdir(parent, 0755) != 0 && errno != EEXIST) {
        err = errno == ENOENT ? rb_make_dirs(parent, 0755) : rb_fail_errno("%s", parent);
    }
    free(parent);
    return err;
}

/* Link the previous version's file when it is this one. A file that flash has damaged since is not carried on. */
static bool
link_previous(const struct unpacking *u, const struct rpk_entry *e, const char *path, mode_t mode)
{
    char *old = rb_text("%s/%s", u->previous, e->name);
    struct stat st;
    uint8_t sha[32];
    uint64_t len;
    bool linked = lstat(old, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == e->len
                  && (st.st_mode & 07777) == mode && rb_file_sha256(old, sha, &len) == RB_OK
                  && rb_equal(sha, e->sha256, sizeof sha) && link(old, path) == 0;

    free(old);
    rb_fail_clear(); /* whatever stood against a link, the file is written instead */
    return linked;
}

static rb_err
create(struct unpacking *u, const struct rpk_entry *e, const char *path)
{
    mode_t mode = rpk_entry_mode(&u->file->manifest, e->name);

    RB_TRY(make_parents(path));
    if (u->previous != NULL && link_previous(u, e, path, mode)) {
        return RB_OK;
    }
    u->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (u->fd < 0 || fchmod(u->fd, mode) != 0) {
        return rb_fail_errno("%s", path);
    }
    return RB_OK;
}

static rb_err
unpack_begin(void *ctx, struct rpk_entry *entry)
{
    struct unpacking *u = ctx;
    char *path = rb_text("%s/%s", u->to, entry->name);
    rb_err err = entry->directory ? rb_make_dirs(path, 0755) : create(u, entry, path);

    free(path);
    return err;
}

static rb_err
unpack_data(void *ctx, const void *data, size_t len)
{
    const struct unpacking *u = ctx;

    return u->fd >= 0 ? rb_write_all(u->fd, data, len) : RB_OK;
}

static rb_err
unpack_end(void *ctx, struct rpk_entry *entry)
{
    struct unpacking *u = ctx;

    if (u->fd < 0) {
        return RB_OK;
    }
    if (entry->len > FLUSH_LEN) {
        (void)sync_file_range(u->fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* a hint: dirty pages are scarce on small devices */
    }
    int status = close(u->fd);
    u->fd = -1;
    return status == 0 ? RB_OK : rb_fail_errno("%s/%s", u->to, entry->name);
}

rb_err
rpk_unpack(const struct rpk_file *file, const char *to, const char *previous)
{
    struct unpacking u = {.file = file, .to = to, .previous = previous, .fd = -1};
    const struct rpk_visitor visitor = {unpack_begin, unpack_data, unpack_end, &u};

    RB_TRY(rb_make_dirs(to, 0755));
    rb_err err = rpk_file_walk(file, &visitor);
    if (u.fd >= 0) {
        (void)close(u.fd);
    }
    return err;
}
