/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RB_APP_SELFTEST_H
#define RB_APP_SELFTEST_H

#include <stdbool.h>

/** Run every check of the application on known inputs and report each on the console. */
bool selftest_run(void);

#endif
