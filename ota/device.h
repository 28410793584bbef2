/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * One device as the agent sees it: settings, flash with its two slots and the journal, the agent's database, a lock.
 */
#ifndef RB_OTA_DEVICE_H
#define RB_OTA_DEVICE_H

#include "lib/core/image.h"
#include "lib/core/journal.h"
#include "lib/core/loader_config.h"
#include "lib/host/flashfile.h"
#include "lib/host/settings.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

enum ota_access {
    OTA_READ,  /* look only: no lock, nothing is written, the database may be missing */
    OTA_WRITE, /* the one process that changes the device */
};

struct ota_device {
    struct rb_settings settings;
    struct rb_loader_config config;
    struct rb_flashfile file;
    struct rb_flash flash; /* `file`, with the end of the process in the place of a power cut */
    struct rb_journal journal;
    struct rb_image_keys keys;
    sqlite3 *db; /* NULL with OTA_READ when there is none that can be read */
    int lock;    /* -1 when not held */
    char *trust_dir;
    char *spool_dir;
    bool verbose;      /* events go to stderr as well (otad) */
    void (*say)(const char *line); /* what a person waiting wants to know; NULL: nobody waits */
    bool db_rebuilt;   /* the database was missing or damaged and has been made anew */
};

/** What is in a slot. */
struct ota_slot {
    rb_err err; /* RB_OK: `image` has a verified header. IMAGE_MAGIC for an empty slot. The body is not looked at */
    struct rb_image image;
};

/**
 * Open the device in `root` ("" or NULL: this machine).
 *
 * OTA_WRITE refuses a state directory that others may write or that is no directory of ours, takes the lock (waits up
 * to 2 s) and opens the database; a damaged one is moved aside to ota.sqlite.damaged and made anew.
 *
 * @return RB_OK, an error of rb_settings_read, RB_ERR_LOADER_CONFIG, RB_ERR_AGENT_LOCKED, RB_ERR_IO_PERMISSION,
 *         RB_ERR_AGENT_SETTINGS (the loader of this device has another hardware id), RB_ERR_IO, RB_ERR_DB
 */
RB_MUST_USE
rb_err ota_device_open(const char *root, enum ota_access access, struct ota_device **out);
void ota_device_close(struct ota_device *d);

/** For a simulated flash: let the power fail in flash operation number `op`, torn as `tear` says. The process ends
 * there, at once, with exit code 3. */
void ota_device_cut_at(struct ota_device *d, uint64_t op, enum rb_tear tear, uint64_t seed);

/** Header of the image in a slot. Admission is left out: what cannot boot is shown all the same. */
void ota_slot_read(const struct ota_device *d, uint8_t slot, struct ota_slot *out);

/** The control record. RB_ERR_JOURNAL_NONE. */
RB_MUST_USE
rb_err ota_record(const struct ota_device *d, struct rb_record *out);

/** Policy for an image that shall go to `slot`. */
struct rb_image_policy ota_policy(const struct ota_device *d, uint8_t slot, uint32_t floor);

/** 'A' or 'B'. */
static inline char
ota_slot_name(uint8_t slot)
{
    return slot == RB_SLOT_A ? 'A' : 'B';
}

/** Whether the image digest is the one a record names by its first bytes. */
bool ota_digest_is(const uint8_t record_digest[RB_RECORD_DIGEST_LEN], const uint8_t digest[RB_SHA256_LEN]);

#endif
