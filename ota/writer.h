/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Writes an image in order into the idle slot: each sector is erased right before the first write into it, what was
 * programmed is read back. It never touches a byte outside its slot.
 */
#ifndef RB_OTA_WRITER_H
#define RB_OTA_WRITER_H

#include "lib/core/flash.h"

#include <stdbool.h>
#include <stdint.h>

#define OTA_WRITER_UNIT_MAX 32u

struct ota_writer {
    const struct rb_flash *flash; /* borrowed */
    uint32_t slot;                /* address */
    uint32_t slot_size;
    uint32_t pos;       /* bytes of the image taken so far */
    uint32_t held;      /* of those, not yet programmed: less than a program unit */
    bool comparing;     /* what is in flash is what is being written, so far; nothing has been erased */
    uint8_t *sector;    /* sector_size bytes, for the start of a sector that goes on differently */
    uint8_t unit[OTA_WRITER_UNIT_MAX];
};

/**
 * Start at `pos` (0, or a sector boundary up to which the slot is right). What stands in the slot from there on and is
 * what is being written is kept, up to the first byte that differs: so an update that was cut goes on where it
 * stopped, and a sector is written twice only if the power failed in it.
 *
 * @param sector   flash->sector_size bytes, borrowed
 */
void ota_writer_init(struct ota_writer *w, const struct rb_flash *flash, uint32_t slot, uint32_t slot_size,
                     uint32_t pos, uint8_t *sector);

/** Take the next bytes. RB_ERR_IMAGE_SIZE when they do not fit the slot, RB_ERR_FLASH_VERIFY, RB_ERR_FLASH_*. */
RB_MUST_USE
rb_err ota_writer_put(struct ota_writer *w, const uint8_t *data, uint32_t len);

/** Read back bytes below `pos`, those still held included. */
RB_MUST_USE
rb_err ota_writer_get(const struct ota_writer *w, uint32_t offset, uint8_t *out, uint32_t len);

/** Program what is held; the rest of its unit stays as erased. */
RB_MUST_USE
rb_err ota_writer_finish(struct ota_writer *w);

#endif
