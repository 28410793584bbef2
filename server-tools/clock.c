/* SPDX-License-Identifier: Apache-2.0 */
#include "server-tools/clock.h"

#include "lib/host/fail.h"
#include "lib/tuf/time.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

rb_err
forge_now(int64_t *out)
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");

    if (epoch == NULL) {
        *out = (int64_t)time(NULL);
        return RB_OK;
    }
    size_t len = strlen(epoch);
    if (len == 0 || len > 12 || strspn(epoch, "0123456789") != len || strtoll(epoch, NULL, 10) > RB_TIME_MAX) {
        return rb_fail(RB_ERR_ARG, "SOURCE_DATE_EPOCH=%s is no number of seconds", epoch);
    }
    *out = (int64_t)strtoll(epoch, NULL, 10);
    return RB_OK;
}
