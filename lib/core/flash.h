/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Raw flash, as bootloader, agent and tools see it. Addresses and lengths are
 * bytes from the start of the device.
 *
 * The rules of NOR flash hold for every user: program only what was erased
 * before, whole program units, no unit twice; erase whole sectors.
 */
#ifndef RB_CORE_FLASH_H
#define RB_CORE_FLASH_H

#include "lib/core/errors.h"

#include <stdint.h>

struct rb_flash {
    void *ctx;             /* handed to the functions below */
    uint32_t size;         /* bytes; a multiple of sector_size */
    uint32_t sector_size;  /* bytes erased at once; power of two, 256 B to 256 KiB */
    uint32_t program_unit; /* bytes programmed at once; power of two, 1 to 32 */
    uint8_t erased;        /* value of an erased byte: 0xff, or 0x00 on parts that erase to 0 */

    /** Read `len` bytes. RB_ERR_FLASH_READ, or RB_ERR_FLASH_RANGE for an address outside. */
    rb_err (*read)(void *ctx, uint32_t address, void *out, uint32_t len);
    /** Program `len` bytes; address and len are multiples of program_unit.
     * After an error any part of the range may have been programmed. */
    rb_err (*program)(void *ctx, uint32_t address, const void *data, uint32_t len);
    /** Erase the sector that starts at `address`. After an error it may be in any state. */
    rb_err (*erase)(void *ctx, uint32_t address);
};

#endif
