/* SPDX-License-Identifier: Apache-2.0 */
#include "ota/device.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "ota/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_WAIT_MS 2000u

void
ota_device_cut_at(struct ota_device *d, uint64_t op, enum rb_tear tear, uint64_t seed)
{
    d->file.cut_at = op;
    d->file.tear = tear;
    d->file.seed = seed;
}

/* A device without power does not tidy up either: nothing may run between the cut and the end of the process. */
static rb_err
or_die(const struct ota_device *d, rb_err err)
{
    char line[80];

    if (err == RB_ERR_FLASH_POWER) {
        int len = snprintf(line, sizeof line, "power cut in flash operation %llu\n",
                           (unsigned long long)d->file.cut_at);
        (void)!write(STDERR_FILENO, line, (size_t)len);
        _exit(3);
    }
    return err;
}

static rb_err
device_read(void *ctx, uint32_t address, void *out, uint32_t len)
{
    struct ota_device *d = ctx;

    return d->file.flash.read(d->file.flash.ctx, address, out, len);
}

static rb_err
device_program(void *ctx, uint32_t address, const void *data, uint32_t len)
{
    struct ota_device *d = ctx;

    return or_die(d, d->file.flash.program(d->file.flash.ctx, address, data, len));
}

static rb_err
device_erase(void *ctx, uint32_t address)
{
    struct ota_device *d = ctx;

    return or_die(d, d->file.flash.erase(d->file.flash.ctx, address));
}

static rb_err
open_flash(struct ota_device *d, bool writable)
{
    const char *path = d->settings.flash_path;

    RB_TRY(rb_flashfile_config(path, &d->config));
    if (strcmp(d->config.hardware, d->settings.hardware) != 0) {
        return rb_fail(RB_ERR_AGENT_SETTINGS, "settings say hardware %s, the loader says %s", d->settings.hardware,
                       d->config.hardware);
    }
    RB_TRY(rb_flashfile_open(&d->file, path, writable, d->config.sector_size, d->config.program_unit));
    d->flash = d->file.flash;
    d->flash.ctx = d;
    d->flash.read = device_read;
    d->flash.program = device_program;
    d->flash.erase = device_erase;
    d->journal = (struct rb_journal){.flash = &d->flash, .sector = {d->config.journal[0], d->config.journal[1]}};
    d->keys = (struct rb_image_keys){.key = (const uint8_t(*)[RB_P256_KEY_LEN])d->config.key,
                                     .count = d->config.key_count};
    return RB_OK;
}

/* Whoever may write here could swap what was verified for something else (LOCAL-04). */
static rb_err
check_state_dir(const char *path)
{
    struct stat st;

    if (lstat(path, &st) != 0) {
        return rb_fail_errno("%s", path);
    }
    if (!S_ISDIR(st.st_mode)) {
        return rb_fail(RB_ERR_IO_PERMISSION, "%s: not a directory", path);
    }
    if (st.st_uid != geteuid() || (st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return rb_fail(RB_ERR_IO_PERMISSION, "%s: want mode 0700 and this user as owner", path);
    }
    return RB_OK;
}

static rb_err
open_writable(struct ota_device *d)
{
    RB_TRY(check_state_dir(d->settings.state_dir));
    char *lock = rb_text("%s/ota.lock", d->settings.state_dir);
    rb_err err = rb_lock(lock, LOCK_WAIT_MS, RB_ERR_AGENT_LOCKED, &d->lock);
    free(lock);
    RB_TRY(err);
    RB_TRY(rb_make_dirs(d->spool_dir, 0700));
    RB_TRY(open_flash(d, true));
    return ota_state_open(d);
}

rb_err
ota_device_open(const char *root, enum ota_access access, struct ota_device **out)
{
    struct ota_device *d = rb_alloc(sizeof *d);

    d->lock = -1;
    rb_err err = rb_settings_read(root, &d->settings);
    if (err == RB_OK) {
        d->trust_dir = rb_text("%s/trust", d->settings.state_dir);
        d->spool_dir = rb_text("%s/spool", d->settings.state_dir);
        if (access == OTA_WRITE) {
            (void)umask(077);
            err = open_writable(d);
        } else {
            err = open_flash(d, false);
            if (err == RB_OK) {
                ota_state_open_readonly(d);
            }
        }
    }
    if (err != RB_OK) {
        ota_device_close(d);
        return err;
    }
    *out = d;
    return RB_OK;
}

void
ota_device_close(struct ota_device *d)
{
    if (d == NULL) {
        return;
    }
    if (d->db != NULL) {
        (void)sqlite3_close(d->db);
    }
    if (d->file.state != NULL) {
        rb_flashfile_close(&d->file);
    }
    if (d->lock >= 0) {
        (void)close(d->lock);
    }
    free(d->trust_dir);
    free(d->spool_dir);
    rb_settings_free(&d->settings);
    free(d);
}

struct rb_image_policy
ota_policy(const struct ota_device *d, uint8_t slot, uint32_t floor)
{
    return (struct rb_image_policy){
        .hardware = d->config.hardware,
        .floor = floor,
        .slot_size = d->config.slot_size,
        .type = RB_IMAGE_APP,
        .slot = slot,
    };
}

void
ota_slot_read(const struct ota_device *d, uint8_t slot, struct ota_slot *out)
{
    uint8_t header[RB_IMAGE_HEADER_LEN];

    memset(out, 0, sizeof *out);
    out->err = d->flash.read(d->flash.ctx, d->config.slot[slot], header, sizeof header);
    if (out->err == RB_OK) {
        out->err = rb_image_header_verify(header, &d->keys, &out->image);
    }
}

rb_err
ota_record(const struct ota_device *d, struct rb_record *out)
{
    struct rb_journal_view view;

    RB_TRY(rb_journal_load(&d->journal, &view));
    *out = view.record;
    return RB_OK;
}

bool
ota_digest_is(const uint8_t record_digest[RB_RECORD_DIGEST_LEN], const uint8_t digest[RB_SHA256_LEN])
{
    return rb_equal(record_digest, digest, RB_RECORD_DIGEST_LEN) && !rb_all(record_digest, RB_RECORD_DIGEST_LEN, 0);
}
