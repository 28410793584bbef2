/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * One boot: load the journal, decide, verify, count the try, hand over. The same code on every port.
 */
#ifndef RB_BOOTLOADER_BOOT_H
#define RB_BOOTLOADER_BOOT_H

#include "bootloader/core/policy.h"
#include "lib/core/loader_config.h"

enum rb_boot_event_kind {
    RB_BOOT_RECORD,     /* the journal's state: `record` */
    RB_BOOT_NO_RECORD,  /* the journal holds nothing valid */
    RB_BOOT_VERIFIED,   /* the image in `slot` is good: `image` */
    RB_BOOT_REFUSED,    /* the image in `slot` is not: `err` */
    RB_BOOT_STORED,     /* `record` is in the journal and was read back */
    RB_BOOT_NOT_STORED, /* it could not be stored: `err` */
    RB_BOOT_START,      /* next comes the jump to `slot` */
    RB_BOOT_HALT,       /* no slot is valid */
};

/** One thing that happened in a boot. Facts only: what people read is the port's business. */
struct rb_boot_event {
    enum rb_boot_event_kind kind;
    uint8_t slot;
    rb_err err;
    const struct rb_record *record; /* or NULL */
    const struct rb_image *image;   /* or NULL */
};

/** What a port gives the loader. */
struct rb_port {
    void *ctx;
    const struct rb_flash *flash;
    /** Where the body of the image in slot `slot` will run from, at least body_len bytes: RAM that the body is copied
     * to while it is hashed (so that what was verified is what runs), or NULL when it runs in place. An error (the
     * addresses are not allowed on this device, no room) makes the slot BAD. The header is verified already. */
    rb_err (*load_area)(void *ctx, uint8_t slot, const struct rb_image *image, uint8_t **area);
    void (*event)(void *ctx, const struct rb_boot_event *event); /* may be NULL */
    void (*watchdog_start)(void *ctx);                           /* before the jump; may be NULL */
};

/** What the loader tells the program it starts. */
struct rb_handoff {
    uint8_t slot;
    bool trial;
    uint8_t tries_left;
    uint8_t cause;       /* of the record that led to this boot */
    uint32_t floor;
    uint32_t record_seq;
    struct rb_image image;
    const uint8_t *body; /* load area, or NULL when in place */
};

/**
 * Run a boot up to the jump.
 * @param scratch  RB_IMAGE_CHUNK_LEN bytes
 * @return RB_OK: jump to the image `out` describes. RB_ERR_NOT_FOUND: no slot is valid (recovery, or wait).
 *         RB_ERR_FLASH_POWER is the simulator's and ends the boot. No slot is ever written.
 */
RB_MUST_USE
rb_err rb_boot(const struct rb_port *port, const struct rb_loader_config *config, uint8_t *scratch,
               struct rb_handoff *out);

#endif
