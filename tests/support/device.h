/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A small simulated device for tests: signing keys, images, flash with a loader configuration, and the real loader.
 * Everything fails the test when it cannot be made.
 */
#ifndef RB_TESTS_DEVICE_H
#define RB_TESTS_DEVICE_H

#include "bootloader/core/boot.h"
#include "lib/host/flashfile.h"
#include "server-tools/image.h"

#define DEVICE_HARDWARE "board-a"
#define DEVICE_BODY_LEN 6000u /* two chunks, the second short */

/** Two fixed test keys. `which` 0 signs for the device, 1 is a stranger's. */
struct forge_key *device_key(int which);
const uint8_t (*device_public_keys(void))[RB_P256_KEY_LEN];

/** Body of DEVICE_BODY_LEN bytes that depends on `seed`. */
void device_body(uint8_t seed, uint8_t body[DEVICE_BODY_LEN]);

struct device_image {
    uint8_t *data; /* the whole image; freed when the test's process ends */
    uint32_t len;
    struct rb_image parsed;
};

/** An image of device_body(seed) with version "<seed>.0.0". */
void device_image(struct device_image *out, uint8_t seed, uint32_t security_counter);
/** The same with any spec, body and key. */
void device_image_of(struct device_image *out, const struct forge_image_spec *spec, const uint8_t *body, size_t len,
                     int key);

/** sector 0: loader configuration; then two journal sectors and two slots of 16 KiB. */
void device_config(struct rb_loader_config *out, uint32_t sector_size, uint32_t program_unit);

struct device {
    struct rb_loader_config config;
    struct rb_flashfile flash;
    struct rb_flash guarded;   /* what loader and agent get: see loader_running */
    struct rb_journal journal; /* on `guarded` */
    bool loader_running;       /* then a write outside of the journal fails the test */
    uint8_t ram[2][16384];
    struct rb_handoff handoff; /* of the last boot */
    unsigned events[8];        /* of the last boot, by kind */
    rb_err refused[2];         /* why a slot was refused in the last boot */
};

/** Blank flash with the configuration in place. */
void device_init(struct device *d, uint32_t sector_size, uint32_t program_unit);
/** A copy that can go its own way. */
void device_clone(struct device *to, const struct device *from);
void device_free(struct device *d);

/** Write an image to a slot, erasing first. */
void device_put(struct device *d, uint8_t slot, const struct device_image *image);
/** Write the first record: slot A active, `floor`. */
void device_factory(struct device *d, const struct device_image *active, uint32_t floor);
/** One boot up to the jump. */
rb_err device_boot(struct device *d);
/** Policy for an image in `slot` under `floor`. */
struct rb_image_policy device_policy(const struct device *d, uint8_t slot, uint32_t floor);
struct rb_image_keys device_keys(void);
/** Flip bit `bit` of the byte at `address`, as rot does: past the rules of flash. */
void device_rot(struct device *d, uint32_t address, unsigned bit);
/** The journal's record; fails the test when there is none. */
struct rb_record device_record(const struct device *d);

#endif
