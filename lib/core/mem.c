/* SPDX-License-Identifier: Apache-2.0
 *
 * mem* for builds without a libc; the compiler calls them on its own. Compiled
 * into bare builds only.
 */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *to, int v, size_t len);
int memcmp(const void *a, const void *b, size_t len);

void *
memcpy(void *restrict to, const void *restrict from, size_t len)
{
    uint8_t *t = to;
    const uint8_t *f = from;

    while (len-- > 0) {
        *t++ = *f++;
    }
    return to;
}

void *
memmove(void *to, const void *from, size_t len)
{
    uint8_t *t = to;
    const uint8_t *f = from;

    if ((uintptr_t)t <= (uintptr_t)f) {
        return memcpy(to, from, len);
    }
    while (len-- > 0) {
        t[len] = f[len];
    }
    return to;
}

void *
memset(void *to, int v, size_t len)
{
    uint8_t *t = to;

    while (len-- > 0) {
        *t++ = (uint8_t)v;
    }
    return to;
}

int
memcmp(const void *a, const void *b, size_t len)
{
    const uint8_t *x = a;
    const uint8_t *y = b;

    for (; len > 0; len--, x++, y++) {
        if (*x != *y) {
            return *x < *y ? -1 : 1;
        }
    }
    return 0;
}
