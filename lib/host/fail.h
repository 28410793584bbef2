/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The detail behind an error, for people. A library function that knows why it fails ("field \"version\": not a
 * string") says so with rb_fail; the program that knows the file, URL or package prints one message from both.
 *
 * One detail is kept per process: the innermost of the failure under way. Programs here are single-threaded; a
 * thread of its own must not call rb_fail.
 */
#ifndef RB_HOST_FAIL_H
#define RB_HOST_FAIL_H

#include "lib/core/errors.h"

/** Keep a detail (unless a deeper call has kept one already) and return `err`. At most 400 bytes are kept;
 * control characters are replaced by '?', so text from strangers cannot drive a terminal. */
rb_err rb_fail(rb_err err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** rb_fail with the meaning of the current errno added; maps ENOSPC/EDQUOT to NO_SPACE, ENOENT to IO_NOT_FOUND,
 * EEXIST to IO_EXISTS, EACCES/EPERM/EROFS to IO_PERMISSION, ENOMEM to NO_MEMORY, anything else to IO. */
rb_err rb_fail_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** The detail kept, or "" when there is none. Valid until the next rb_fail or rb_fail_clear. */
const char *rb_fail_detail(void);

/** Forget the detail: call before work whose failure is expected, or after a failure was dealt with. */
void rb_fail_clear(void);

#endif
