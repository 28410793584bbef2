/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Files, with the care a power cut asks for. All functions keep a detail that names the path (lib/host/fail.h).
 */
#ifndef RB_HOST_FILE_H
#define RB_HOST_FILE_H

#include "lib/core/errors.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/** `format` printed into new memory the caller frees. Never NULL: no memory ends the process with exit code 3. */
char *rb_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** malloc that never returns NULL: no memory ends the process with exit code 3 and a message. For command-line
 * tools; the agent takes its memory at start. `len` 0 gives a valid pointer. Memory is zeroed. */
void *rb_alloc(size_t len);
void *rb_realloc(void *memory, size_t len);

/** Read a whole file of at most `limit` bytes. One NUL follows the data (not counted). Caller frees *data.
 * RB_ERR_IO_NOT_FOUND, RB_ERR_TOO_LARGE, RB_ERR_IO. */
RB_MUST_USE
rb_err rb_file_read(const char *path, size_t limit, uint8_t **data, size_t *len);

/** Replace `path` whole, by a temporary file in the same directory, fsync, rename and fsync of the directory: after
 * a power cut the old or the new content is there. `mode` as for open. RB_ERR_IO, RB_ERR_NO_SPACE, ... */
RB_MUST_USE
rb_err rb_file_replace(const char *path, const void *data, size_t len, mode_t mode);

/** Write all of it, retrying short writes and EINTR. */
RB_MUST_USE
rb_err rb_write_all(int fd, const void *data, size_t len);
/** Read exactly `len` bytes at `offset`; RB_ERR_TRUNCATED when the file ends before. */
RB_MUST_USE
rb_err rb_pread_all(int fd, void *out, size_t len, uint64_t offset);

/** Create a directory and its parents, as mkdir -p does. */
RB_MUST_USE
rb_err rb_make_dirs(const char *path, mode_t mode);

/** fsync the directory `path`. */
RB_MUST_USE
rb_err rb_sync_dir(const char *path);

/** Remove a file or a whole directory tree; RB_OK when it is not there. Does not follow symbolic links. */
RB_MUST_USE
rb_err rb_remove_tree(const char *path);

/** SHA-256 of a file, streamed. `len` may be NULL. */
RB_MUST_USE
rb_err rb_file_sha256(const char *path, uint8_t digest[32], uint64_t *len);

bool rb_file_exists(const char *path);

/** Take an exclusive lock on `path` (created 0600). The kernel drops it with the process. Waits `wait_ms`
 * milliseconds, then returns `busy`. The descriptor stays open for as long as the lock shall hold. */
RB_MUST_USE
rb_err rb_lock(const char *path, unsigned wait_ms, rb_err busy, int *fd);

/** Lower-case hex of `len` bytes; `out` has 2 * len + 1 bytes. */
void rb_hex(const void *data, size_t len, char *out);
/** The inverse: exactly 2 * len lower-case hex digits and nothing else. */
RB_MUST_USE
rb_err rb_unhex(const char *hex, void *out, size_t len);

#endif
