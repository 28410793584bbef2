/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * All that the application asks of the machine it runs on: three functions, in platform_<machine>.c, which also
 * calls watch_main once. A board implements them over its UART and the hand-off block the loader left in RAM; Linux
 * over system calls and the environment the simulator passes.
 */
#ifndef RB_APP_PLATFORM_H
#define RB_APP_PLATFORM_H

#include <stddef.h>

/** Put text on the console. */
void platform_write(const char *text, size_t len);

/** What the loader handed over: RB_SLOT ("A", "B"), RB_TRIAL ("1", "0"), RB_TRIES_LEFT, RB_CAUSE. NULL when the
 * program was not started by a loader. */
const char *platform_handoff(const char *name);

/** End, with 0 for healthy. A board without anyone to return to waits for its reset. */
_Noreturn void platform_exit(int status);

/** The application. Returns the status to end with. */
int watch_main(void);

#endif
