/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What the loader told about this boot, and what it means for a trial (docs/format.md 7).
 */
#ifndef RB_OTA_BOOT_REPORT_H
#define RB_OTA_BOOT_REPORT_H

#include "ota/device.h"

enum ota_program {
    OTA_PROGRAM_UNKNOWN,
    OTA_PROGRAM_RUNNING,
    OTA_PROGRAM_EXITED, /* `status` */
    OTA_PROGRAM_KILLED, /* `status` is the signal */
    OTA_PROGRAM_NONE,   /* the body is no program for this machine */
};

struct ota_boot_report {
    bool booted; /* false: the loader found no slot to start */
    uint8_t slot;
    bool trial;
    unsigned tries_left;
    uint8_t digest[RB_SHA256_LEN];
    char version[RB_IMAGE_VERSION_LEN + 1];
    enum ota_program program;
    int status;
};

/** RB_ERR_IO_NOT_FOUND before the first boot, RB_ERR_JSON, RB_ERR_JSON_FIELD. */
RB_MUST_USE
rb_err ota_boot_report_read(const struct ota_device *d, struct ota_boot_report *out);

/**
 * Is the image that runs healthy? Waits until the deadline of the settings when that is still open.
 * @return RB_OK, or RB_ERR_AGENT_HEALTH with the cause as detail, RB_ERR_NET_STOPPED when asked to stop meanwhile
 */
RB_MUST_USE
rb_err ota_health(const struct ota_device *d, const struct ota_boot_report *report);

#endif
