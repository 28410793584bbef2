/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Checks of what release 2 brought.
 */
#ifndef RB_APP_V2_CHECKS_H
#define RB_APP_V2_CHECKS_H

#include "bootloader/app/console.h"

#include <stdbool.h>

bool check_moon(struct line *found);
bool check_notices(struct line *found);

#endif
