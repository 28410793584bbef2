/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What platform_linux.c needs from an architecture (linux_<arch>.c): a system call, and an entry point that calls
 * platform_linux_start with the stack as the kernel left it.
 */
#ifndef RB_APP_PLATFORM_LINUX_H
#define RB_APP_PLATFORM_LINUX_H

#include <stdint.h>

/** Numbers differ between architectures. */
extern const long linux_number_write;
extern const long linux_number_exit_group;

long linux_syscall(long number, long a, long b, long c);

/** `stack`: argc, argv..., NULL, envp..., NULL (System V ABI, process initialization). */
_Noreturn void platform_linux_start(const uintptr_t *stack);

#endif
