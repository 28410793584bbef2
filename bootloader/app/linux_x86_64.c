/* SPDX-License-Identifier: Apache-2.0 */
#include "bootloader/app/platform_linux.h"

const long linux_number_write = 1;
const long linux_number_exit_group = 231;

/* The outermost frame has no caller: rbp is zero, the stack aligned to 16 before the call. */
__asm__(".text\n"
        ".globl _start\n"
        ".type _start, @function\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    mov %rsp, %rdi\n"
        "    and $-16, %rsp\n"
        "    call platform_linux_start\n"
        ".size _start, . - _start\n");

long
linux_syscall(long number, long a, long b, long c)
{
    long result;

    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}
