/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Make a device: flash contents, journal, trust store, database, settings. What a factory does once.
 */
#ifndef RB_OTA_PROVISION_H
#define RB_OTA_PROVISION_H

#include "lib/core/loader_config.h"

#include <stdbool.h>

struct ota_provision {
    const char *root;          /* "" for this machine */
    const char *settings_path;
    const char *trust_path;    /* first root metadata */
    const char *image_path[2]; /* for slot A and, or NULL, slot B */
    const char *key_path[RB_LOADER_KEYS_MAX]; /* image keys, the unused ones NULL */
    uint32_t flash_size;       /* 0: as small as the slots allow */
    uint32_t slot_size;        /* 0: what flash_size allows, or room for the image to grow by half */
    uint32_t sector_size;
    uint32_t program_unit;
    bool force;                /* replace a device that is there */
};

struct ota_provisioned {
    struct rb_loader_config config;
    struct rb_image image[2];
    int image_count;
};

/**
 * Flash layout: loader configuration, journal sectors, slot A, slot B. Each image is verified on its way into its
 * slot, as an update would be; the journal's first record confirms slot A and sets the floor to its counter. The
 * settings are written last: a directory without them is no device yet.
 *
 * @return RB_OK, RB_ERR_IO_EXISTS (a device is there and no `force`), RB_ERR_AGENT_SETTINGS, RB_ERR_LOADER_CONFIG,
 *         RB_ERR_IMAGE_*, RB_ERR_META_*, RB_ERR_KEY_FORMAT, RB_ERR_IO_*
 */
RB_MUST_USE
rb_err ota_provision(const struct ota_provision *p, struct ota_provisioned *out);

#endif
