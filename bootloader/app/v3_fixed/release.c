/* SPDX-License-Identifier: Apache-2.0 */
#include "bootloader/app/release.h"

#include "bootloader/app/v2/checks.h"

#include <stddef.h>

const char release_version[] = "3.0.1";
const uint32_t release_face_crc = 0x3b26f55b;
const struct check release_checks[] = {{"moon", check_moon}, {"notices", check_notices}, {NULL, NULL}};
