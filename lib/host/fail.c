/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/host/fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static char detail[401];

/* Control characters become '?': a name from a package cannot move the cursor. */
static void
tame(char *text)
{
    for (char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == 0x7f) {
            *p = '?';
        }
    }
}

static void __attribute__((format(printf, 1, 0)))
keep(const char *format, va_list args)
{
    if (detail[0] == '\0') {
        (void)vsnprintf(detail, sizeof detail, format, args);
        tame(detail);
    }
}

rb_err
rb_fail(rb_err err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    keep(format, args);
    va_end(args);
    return err;
}

static rb_err
from_errno(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return RB_ERR_NO_SPACE;
    case ENOENT:
    case ENOTDIR:
        return RB_ERR_IO_NOT_FOUND;
    case EEXIST:
        return RB_ERR_IO_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return RB_ERR_IO_PERMISSION;
    case ENOMEM:
        return RB_ERR_NO_MEMORY;
    default:
        return RB_ERR_IO;
    }
}

/* Whether the text of the error we map it to says the same. */
static bool
says_it_all(int number)
{
    return number == ENOENT || number == EEXIST || number == EACCES || number == ENOSPC;
}

rb_err
rb_fail_errno(const char *format, ...)
{
    int number = errno;
    bool first = detail[0] == '\0';
    va_list args;

    va_start(args, format);
    keep(format, args);
    va_end(args);
    if (first && !says_it_all(number)) {
        size_t len = strlen(detail);
        (void)snprintf(detail + len, sizeof detail - len, ": %s", strerror(number));
    }
    errno = number;
    return from_errno(number);
}

const char *
rb_fail_detail(void)
{
    return detail;
}

void
rb_fail_clear(void)
{
    detail[0] = '\0';
}
