/* SPDX-License-Identifier: Apache-2.0
 *
 * The application as a Linux process without a libc, as the simulator starts it from a slot.
 */
#include "bootloader/app/platform.h"
#include "bootloader/app/platform_linux.h"

static const char *const *environment;

_Noreturn void
platform_linux_start(const uintptr_t *stack)
{
    environment = (const char *const *)(stack + 1 + stack[0] + 1);
    platform_exit(watch_main());
}

void
platform_write(const char *text, size_t len)
{
    while (len > 0) {
        long done = linux_syscall(linux_number_write, 1, (long)(uintptr_t)text, (long)len);
        if (done <= 0) {
            return; /* nobody listens; health is told by the exit status */
        }
        text += done;
        len -= (size_t)done;
    }
}

/* The value, when `entry` is "name=value". */
static const char *
value_of(const char *entry, const char *name)
{
    while (*name != '\0' && *entry == *name) {
        entry++;
        name++;
    }
    return *name == '\0' && *entry == '=' ? entry + 1 : NULL;
}

const char *
platform_handoff(const char *name)
{
    const char *value = NULL;

    for (const char *const *entry = environment; value == NULL && *entry != NULL; entry++) {
        value = value_of(*entry, name);
    }
    return value;
}

_Noreturn void
platform_exit(int status)
{
    for (;;) {
        (void)linux_syscall(linux_number_exit_group, status, 0, 0);
    }
}
