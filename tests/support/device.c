/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/device.h"

#include "lib/host/file.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SLOT_SIZE 16384u

static const char *const key_pem[2] = {
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEIEc+ewfYhENN6WxJlLmZl4dX2zz/OhSdwxukVCD+264moAoGCCqGSM49\n"
    "AwEHoUQDQgAEuQZmuCec2HKq2bZQmzhz82WfX5NWD+nVpDy0yOJvdfXmzKNtmrzd\n"
    "FqfDIrUAUpQJcHppFg1UhScDAHrbPqUGNA==\n"
    "-----END EC PRIVATE KEY-----\n",
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEIKj/OUFVKD2dD0JJaONdQsj05eBi2qULNH0WzA19zYK+oAoGCCqGSM49\n"
    "AwEHoUQDQgAEF/ECm+xjMUoxRVabhXaunnC5H4a3jvzyXU9SdLDQ2IeUA4SfdgR8\n"
    "I4NwMMtCGOP2j8534rLNBwQETY5MaQt1XA==\n"
    "-----END EC PRIVATE KEY-----\n",
};

struct forge_key *
device_key(int which)
{
    static struct forge_key *keys[2];

    if (keys[which] == NULL) {
        char path[32];
        (void)snprintf(path, sizeof path, "device-key-%d.pem", which);
        CHECK_OK(rb_file_replace(path, key_pem[which], strlen(key_pem[which]), 0600));
        CHECK_OK(forge_key_open(path, &keys[which]));
        (void)unlink(path);
    }
    return keys[which];
}

const uint8_t (*device_public_keys(void))[RB_P256_KEY_LEN]
{
    static uint8_t keys[2][RB_P256_KEY_LEN];

    CHECK_OK(forge_key_public_p256(device_key(0), keys[0]));
    CHECK_OK(forge_key_public_p256(device_key(1), keys[1]));
    return (const uint8_t(*)[RB_P256_KEY_LEN])keys;
}

struct rb_image_keys
device_keys(void)
{
    return (struct rb_image_keys){device_public_keys(), 1};
}

void
device_body(uint8_t seed, uint8_t body[DEVICE_BODY_LEN])
{
    uint32_t x = seed + 1u;

    for (uint32_t i = 0; i < DEVICE_BODY_LEN; i++) {
        x = x * 1664525u + 1013904223u;
        body[i] = (uint8_t)(x >> 24);
    }
}

/* What images hold is freed at the end, so that the leak checker speaks only of the code under test. */
static void **kept;
static size_t kept_count;

static void
free_kept(void)
{
    while (kept_count > 0) {
        free(kept[--kept_count]);
    }
    free(kept);
}

static void
keep(void *memory)
{
    if (kept == NULL) {
        CHECK(atexit(free_kept) == 0);
    }
    kept = rb_realloc(kept, (kept_count + 1) * sizeof *kept);
    kept[kept_count++] = memory;
}

void
device_image_of(struct device_image *out, const struct forge_image_spec *spec, const uint8_t *body, size_t len, int key)
{
    size_t image_len = 0;

    CHECK_OK(forge_image_build(spec, body, len, device_key(key), &out->data, &image_len));
    keep(out->data);
    out->len = (uint32_t)image_len;
    CHECK_OK(rb_image_header_parse(out->data, &out->parsed));
}

void
device_image(struct device_image *out, uint8_t seed, uint32_t security_counter)
{
    uint8_t body[DEVICE_BODY_LEN];
    char version[16];
    const struct forge_image_spec spec = {.version = version,
                                          .hardware = {DEVICE_HARDWARE},
                                          .hardware_count = 1,
                                          .security_counter = security_counter};

    (void)snprintf(version, sizeof version, "%u.0.0", seed);
    device_body(seed, body);
    device_image_of(out, &spec, body, sizeof body, 0);
}

void
device_config(struct rb_loader_config *out, uint32_t sector_size, uint32_t program_unit)
{
    uint32_t reserved = sector_size < RB_LOADER_CONFIG_LEN ? RB_LOADER_CONFIG_LEN : sector_size;
    uint32_t slot_size = (SLOT_SIZE + sector_size - 1) / sector_size * sector_size;

    *out = (struct rb_loader_config){
        .flash_size = reserved + 2 * sector_size + 2 * slot_size,
        .sector_size = sector_size,
        .program_unit = program_unit,
        .journal = {reserved, reserved + sector_size},
        .slot = {reserved + 2 * sector_size, reserved + 2 * sector_size + slot_size},
        .slot_size = slot_size,
        .hardware = DEVICE_HARDWARE,
        .key_count = 1,
    };
    memcpy(out->key[0], device_public_keys()[0], RB_P256_KEY_LEN);
}

/* --- the flash, watched ----------------------------------------------------------------------------------------- */

static void
check_owner(const struct device *d, uint32_t address)
{
    uint32_t end = d->config.journal[1] + d->config.sector_size;

    if (d->loader_running && (address < d->config.journal[0] || address >= end)) {
        test_fail(__FILE__, __LINE__, "the loader wrote outside of the journal, at %u", (unsigned)address);
    }
}

static rb_err
guarded_read(void *ctx, uint32_t address, void *out, uint32_t len)
{
    struct device *d = ctx;

    return d->flash.flash.read(&d->flash, address, out, len);
}

static rb_err
guarded_program(void *ctx, uint32_t address, const void *data, uint32_t len)
{
    struct device *d = ctx;

    check_owner(d, address);
    return d->flash.flash.program(&d->flash, address, data, len);
}

static rb_err
guarded_erase(void *ctx, uint32_t address)
{
    struct device *d = ctx;

    check_owner(d, address);
    return d->flash.flash.erase(&d->flash, address);
}

static void
connect(struct device *d)
{
    d->guarded = d->flash.flash;
    d->guarded.ctx = d;
    d->guarded.read = guarded_read;
    d->guarded.program = guarded_program;
    d->guarded.erase = guarded_erase;
    d->journal = (struct rb_journal){&d->guarded, {d->config.journal[0], d->config.journal[1]}};
}

void
device_init(struct device *d, uint32_t sector_size, uint32_t program_unit)
{
    uint8_t raw[RB_LOADER_CONFIG_LEN];

    memset(d, 0, sizeof *d);
    device_config(&d->config, sector_size, program_unit);
    rb_flashfile_memory(&d->flash, d->config.flash_size, sector_size, program_unit);
    connect(d);
    CHECK_OK(rb_loader_config_encode(&d->config, raw));
    CHECK_OK(d->guarded.program(d, 0, raw, sizeof raw));
}

void
device_clone(struct device *to, const struct device *from)
{
    *to = *from;
    rb_flashfile_clone(&to->flash, &from->flash);
    connect(to);
}

void
device_free(struct device *d)
{
    rb_flashfile_close(&d->flash);
}

/* --- what a factory and an agent do ----------------------------------------------------------------------------- */

void
device_put(struct device *d, uint8_t slot, const struct device_image *image)
{
    uint32_t unit = d->config.program_unit;
    uint32_t whole = image->len / unit * unit;
    uint8_t last[32];

    for (uint32_t at = 0; at < d->config.slot_size; at += d->config.sector_size) {
        CHECK_OK(d->guarded.erase(d, d->config.slot[slot] + at));
    }
    CHECK_OK(d->guarded.program(d, d->config.slot[slot], image->data, whole));
    if (whole < image->len) {
        memset(last, d->guarded.erased, sizeof last);
        memcpy(last, image->data + whole, image->len - whole);
        CHECK_OK(d->guarded.program(d, d->config.slot[slot] + whole, last, unit));
    }
}

void
device_factory(struct device *d, const struct device_image *active, uint32_t floor)
{
    struct rb_record record = {
        .floor = floor, .active = RB_SLOT_A, .trial = RB_SLOT_NONE, .cause = RB_CAUSE_FACTORY};

    memcpy(record.active_digest, active->parsed.digest, RB_RECORD_DIGEST_LEN);
    CHECK_OK(rb_journal_append(&d->journal, &record));
}

static rb_err
load_area(void *ctx, uint8_t slot, const struct rb_image *image, uint8_t **area)
{
    struct device *d = ctx;

    CHECK(image->body_len <= sizeof d->ram[slot]);
    *area = d->ram[0]; /* both slots run from the same memory, as on a board */
    return RB_OK;
}

static void
event(void *ctx, const struct rb_boot_event *e)
{
    struct device *d = ctx;

    d->events[e->kind]++;
    if (e->kind == RB_BOOT_REFUSED) {
        d->refused[e->slot] = e->err;
    }
}

rb_err
device_boot(struct device *d)
{
    uint8_t scratch[RB_IMAGE_CHUNK_LEN];
    const struct rb_port port = {.ctx = d, .flash = &d->guarded, .load_area = load_area, .event = event};

    memset(d->events, 0, sizeof d->events);
    memset(d->refused, 0, sizeof d->refused);
    d->loader_running = true;
    rb_err err = rb_boot(&port, &d->config, scratch, &d->handoff);
    d->loader_running = false;
    return err;
}

struct rb_image_policy
device_policy(const struct device *d, uint8_t slot, uint32_t floor)
{
    return (struct rb_image_policy){.hardware = d->config.hardware,
                                    .floor = floor,
                                    .slot_size = d->config.slot_size,
                                    .type = RB_IMAGE_APP,
                                    .slot = slot};
}

void
device_rot(struct device *d, uint32_t address, unsigned bit)
{
    rb_flashfile_flip(&d->flash, address, bit);
}

struct rb_record
device_record(const struct device *d)
{
    struct rb_journal_view view;

    CHECK_OK(rb_journal_load(&d->journal, &view));
    return view.record;
}
