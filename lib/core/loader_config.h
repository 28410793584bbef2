/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What a loader knows about its device: where things lie, who may sign, what the hardware is called
 * (docs/format.md section 1). It is part of the loader's own region; the field never writes it. On a board it is
 * linked into the loader; the simulator's flash file holds it in its first sector.
 */
#ifndef RB_CORE_LOADER_CONFIG_H
#define RB_CORE_LOADER_CONFIG_H

#include "lib/core/image.h"
#include "lib/core/journal.h"

#define RB_LOADER_CONFIG_LEN 512u
#define RB_LOADER_KEYS_MAX 4u

struct rb_loader_config {
    uint32_t flash_size;                /* bytes */
    uint32_t sector_size;               /* bytes */
    uint32_t program_unit;              /* bytes */
    uint32_t journal[2];                /* sector addresses */
    uint32_t slot[2];                   /* slot addresses, A and B; multiples of sector_size */
    uint32_t slot_size;                 /* bytes, of each; a multiple of sector_size */
    char hardware[RB_IMAGE_HARDWARE_LEN + 1];
    uint32_t key_count;                 /* 1..RB_LOADER_KEYS_MAX */
    uint8_t key[RB_LOADER_KEYS_MAX][RB_P256_KEY_LEN];
};

/** Parse and check: regions inside the flash, aligned, not overlapping each other or the first sector.
 * RB_ERR_LOADER_CONFIG for anything else, a wrong CRC included. */
RB_MUST_USE
rb_err rb_loader_config_parse(const uint8_t raw[RB_LOADER_CONFIG_LEN], struct rb_loader_config *out);

/** The inverse. RB_ERR_LOADER_CONFIG for values that parse would refuse. */
RB_MUST_USE
rb_err rb_loader_config_encode(const struct rb_loader_config *config, uint8_t out[RB_LOADER_CONFIG_LEN]);

#endif
