/* SPDX-License-Identifier: Apache-2.0 */
#include "ota/provision.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/host/flashfile.h"
#include "lib/host/pubkey.h"
#include "lib/host/settings.h"
#include "lib/tuf/tuf.h"
#include "ota/device.h"
#include "ota/state.h"
#include "ota/writer.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETTINGS_MAX 65536u

struct making {
    const struct ota_provision *p;
    struct rb_settings settings;
    uint8_t *settings_text;
    size_t settings_len;
    struct rb_flashfile file;
    struct rb_image_keys keys;
    struct ota_provisioned *out;
    bool begun; /* what is there from now on is ours */
};

static uint64_t
round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

/* Where the journal begins: behind the loader's configuration. */
static uint32_t
loader_area(const struct rb_loader_config *c)
{
    return (uint32_t)round_up(RB_LOADER_CONFIG_LEN, c->sector_size);
}

/* A power of two that lets the image grow by half. */
static uint64_t
roomy(uint64_t image_len)
{
    uint64_t size = 65536;

    while (size < image_len + image_len / 2) {
        size *= 2;
    }
    return size;
}

static rb_err
largest_image(const struct ota_provision *p, uint64_t *len)
{
    struct stat st;

    *len = 0;
    for (int i = 0; i < 2 && p->image_path[i] != NULL; i++) {
        if (stat(p->image_path[i], &st) != 0) {
            return rb_fail_errno("%s", p->image_path[i]);
        }
        *len = (uint64_t)st.st_size > *len ? (uint64_t)st.st_size : *len;
    }
    return RB_OK;
}

static rb_err
lay_out(struct making *m)
{
    const struct ota_provision *p = m->p;
    struct rb_loader_config *c = &m->out->config;
    uint64_t image_len;

    c->sector_size = p->sector_size;
    c->program_unit = p->program_unit;
    uint64_t fixed = loader_area(c) + 2u * (uint64_t)c->sector_size;
    RB_TRY(largest_image(p, &image_len));
    uint64_t slot = p->slot_size;
    if (slot == 0 && p->flash_size > fixed) {
        slot = (p->flash_size - fixed) / 2 / c->sector_size * c->sector_size;
    } else if (slot == 0) {
        slot = round_up(roomy(image_len), c->sector_size);
    }
    uint64_t size = p->flash_size != 0 ? p->flash_size : fixed + 2 * slot;
    if (size > UINT32_MAX || slot > UINT32_MAX / 2) {
        return rb_fail(RB_ERR_LOADER_CONFIG, "flash of 4 GiB or more");
    }
    c->flash_size = (uint32_t)size;
    c->slot_size = (uint32_t)slot;
    c->journal[0] = loader_area(c);
    c->journal[1] = c->journal[0] + c->sector_size;
    c->slot[0] = c->journal[1] + c->sector_size;
    c->slot[1] = c->slot[0] + c->slot_size;
    memcpy(c->hardware, m->settings.hardware, strlen(m->settings.hardware) + 1);
    for (int i = 0; i < (int)RB_LOADER_KEYS_MAX && p->key_path[i] != NULL; i++) {
        RB_TRY(rb_pubkey_read_p256(p->key_path[i], c->key[i]));
        c->key_count++;
    }
    m->keys = (struct rb_image_keys){.key = (const uint8_t(*)[RB_P256_KEY_LEN])c->key, .count = c->key_count};
    return RB_OK;
}

static rb_err
encode_config(const struct making *m, uint8_t raw[RB_LOADER_CONFIG_LEN])
{
    const struct rb_loader_config *c = &m->out->config;

    if (rb_loader_config_encode(c, raw) != RB_OK) {
        return rb_fail(RB_ERR_LOADER_CONFIG,
                       "these sizes do not make a flash layout: flash %u, slot %u, sector %u, unit %u", c->flash_size,
                       c->slot_size, c->sector_size, c->program_unit);
    }
    return RB_OK;
}

/* --- images ----------------------------------------------------------------------------------------------------- */

static rb_err
emit(void *ctx, uint32_t offset, const uint8_t *data, uint32_t len)
{
    (void)offset;
    return ota_writer_put(ctx, data, len);
}

static rb_err
reread(void *ctx, uint32_t offset, uint8_t *out, uint32_t len)
{
    return ota_writer_get(ctx, offset, out, len);
}

static rb_err
feed_range(struct rb_image_stream *s, int fd, uint64_t at, uint32_t len)
{
    uint8_t block[4096];

    while (len > 0) {
        uint32_t n = len < sizeof block ? len : (uint32_t)sizeof block;
        RB_TRY(rb_pread_all(fd, block, n, at));
        RB_TRY(rb_image_stream_feed(s, block, n));
        at += n;
        len -= n;
    }
    return RB_OK;
}

/* The whole image file must be what the stream makes of its header and body. */
static rb_err
check_length(const struct rb_image_stream *s, int fd, const char *path)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return rb_fail_errno("%s", path);
    }
    return (uint64_t)st.st_size == rb_image_len(&s->image)
               ? RB_OK
               : rb_fail(RB_ERR_IMAGE_SIZE, "%s: %lld bytes, the header says %u", path, (long long)st.st_size,
                         rb_image_len(&s->image));
}

static rb_err
feed_file(struct rb_image_stream *s, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return rb_fail_errno("%s", path);
    }
    rb_err err = feed_range(s, fd, 0, RB_IMAGE_HEADER_LEN);
    if (err == RB_OK) {
        err = check_length(s, fd, path);
    }
    if (err == RB_OK) {
        err = feed_range(s, fd, RB_IMAGE_BODY_OFFSET, s->image.body_len);
    }
    (void)close(fd);
    return err == RB_OK ? rb_image_stream_finish(s) : err;
}

static rb_err
install_image(struct making *m, uint8_t slot, uint32_t floor)
{
    const struct rb_loader_config *c = &m->out->config;
    const struct rb_image_policy policy = {
        .hardware = c->hardware,
        .floor = floor,
        .slot_size = c->slot_size,
        .type = RB_IMAGE_APP,
        .slot = slot,
    };
    const char *path = m->p->image_path[slot];
    struct rb_image_stream *s = rb_alloc(sizeof *s);
    uint8_t *sector = rb_alloc(c->sector_size);
    struct ota_writer w;

    ota_writer_init(&w, &m->file.flash, c->slot[slot], c->slot_size, 0, sector);
    rb_image_stream_init(s, &m->keys, &policy, emit, reread, &w);
    rb_err err = feed_file(s, path);
    if (err == RB_OK) {
        err = ota_writer_finish(&w);
    }
    if (err == RB_OK) {
        m->out->image[slot] = s->image;
        m->out->image_count++;
    } else if (rb_fail_detail()[0] == '\0') {
        (void)rb_fail(err, "%s", path);
    }
    free(sector);
    free(s);
    return err;
}

static rb_err
first_record(struct making *m)
{
    const struct rb_loader_config *c = &m->out->config;
    const struct rb_journal j = {.flash = &m->file.flash, .sector = {c->journal[0], c->journal[1]}};
    struct rb_record r = {
        .floor = m->out->image[0].security_counter,
        .active = RB_SLOT_A,
        .trial = RB_SLOT_NONE,
        .cause = RB_CAUSE_FACTORY,
    };

    memcpy(r.active_digest, m->out->image[0].digest, sizeof r.active_digest);
    return rb_journal_append(&j, &r);
}

static rb_err
make_flash(struct making *m)
{
    const struct rb_loader_config *c = &m->out->config;
    uint8_t raw[RB_LOADER_CONFIG_LEN];

    RB_TRY(lay_out(m));
    RB_TRY(encode_config(m, raw));
    RB_TRY(rb_flashfile_create(m->settings.flash_path, c->flash_size));
    RB_TRY(rb_flashfile_open(&m->file, m->settings.flash_path, true, c->sector_size, c->program_unit));
    RB_TRY(m->file.flash.program(m->file.flash.ctx, 0, raw, sizeof raw));
    RB_TRY(install_image(m, RB_SLOT_A, 0));
    if (m->p->image_path[1] != NULL) {
        RB_TRY(install_image(m, RB_SLOT_B, m->out->image[0].security_counter));
    }
    RB_TRY(first_record(m));
    return rb_flashfile_sync(&m->file);
}

/* --- everything else -------------------------------------------------------------------------------------------- */

static rb_err
make_trust(struct making *m)
{
    char *dir = rb_text("%s/trust", m->settings.state_dir);
    uint8_t *root = NULL;
    size_t len = 0;

    rb_err err = rb_file_read(m->p->trust_path, RB_TUF_ROOT_MAX, &root, &len);
    if (err == RB_OK) {
        err = rb_make_dirs(dir, 0700);
    }
    if (err == RB_OK) {
        err = rb_tuf_init(dir, root, len);
    }
    free(root);
    free(dir);
    return err;
}

static char *
settings_path(const struct making *m)
{
    return rb_text("%s/etc/riverbank/settings.json", m->p->root);
}

static rb_err
parent_dirs(const char *path, mode_t mode)
{
    char *dir = rb_text("%s", path);
    char *slash = strrchr(dir, '/');
    rb_err err = RB_OK;

    if (slash != NULL && slash != dir) {
        *slash = '\0';
        err = rb_make_dirs(dir, mode);
    }
    free(dir);
    return err;
}

/* Things a device consists of. A new one must not find any of them; a forced one loses them, settings first, so that
 * a half-removed device is none. */
static rb_err
clear_the_way(const struct making *m)
{
    static const char *const IN_STATE[] = {"trust",      "ota.sqlite", "ota.sqlite-journal", "ota.sqlite.damaged",
                                           "rpk.sqlite", "rpk.sqlite-journal", "spool", NULL};
    char *settings = settings_path(m);
    char *trust = rb_text("%s/trust", m->settings.state_dir);
    rb_err err = RB_OK;

    if (!m->p->force) {
        const char *there = rb_file_exists(settings)                 ? settings
                            : rb_file_exists(m->settings.flash_path) ? m->settings.flash_path
                            : rb_file_exists(trust)                  ? trust
                                                                     : NULL;
        if (there != NULL) {
            err = rb_fail(RB_ERR_IO_EXISTS, "%s (--force makes the device anew)", there);
        }
    } else {
        const char *const paths[] = {settings, m->settings.flash_path, m->settings.boot_report_path,
                                     m->settings.package_dir};
        for (size_t i = 0; i < sizeof paths / sizeof paths[0] && err == RB_OK; i++) {
            err = rb_remove_tree(paths[i]);
        }
        for (int i = 0; IN_STATE[i] != NULL && err == RB_OK; i++) {
            char *path = rb_text("%s/%s", m->settings.state_dir, IN_STATE[i]);
            err = rb_remove_tree(path);
            free(path);
        }
    }
    free(trust);
    free(settings);
    return err;
}

/* The next try must not find half a device. The error that is being reported is the one that counts. */
static void
remove_half_made(const struct making *m)
{
    char *trust = rb_text("%s/trust", m->settings.state_dir);
    char *settings = settings_path(m);

    (void)unlink(settings);
    (void)unlink(m->settings.flash_path);
    if (rb_remove_tree(trust) != RB_OK) {
        /* then the next provisioning says that it is there */
    }
    free(settings);
    free(trust);
}

static rb_err
write_settings(const struct making *m)
{
    char *path = settings_path(m);

    (void)umask(022);
    rb_err err = parent_dirs(path, 0755);
    if (err == RB_OK) {
        err = rb_file_replace(path, m->settings_text, m->settings_len, 0644);
    }
    free(path);
    return err;
}

/* The first open makes the database; it also shows that the device is one. */
static rb_err
make_database(const struct making *m)
{
    struct ota_device *d = NULL;

    RB_TRY(ota_device_open(m->p->root, OTA_WRITE, &d));
    ota_event(d, "info", "provisioned", "version=%s floor=%u", m->out->image[0].version,
              m->out->image[0].security_counter);
    ota_device_close(d);
    return RB_OK;
}

static rb_err
make(struct making *m)
{
    RB_TRY(rb_file_read(m->p->settings_path, SETTINGS_MAX, &m->settings_text, &m->settings_len));
    RB_TRY(rb_settings_parse(m->p->root, m->settings_text, m->settings_len, &m->settings));
    RB_TRY(clear_the_way(m));
    m->begun = true;
    RB_TRY(parent_dirs(m->settings.state_dir, 0755));
    (void)umask(077);
    RB_TRY(rb_make_dirs(m->settings.state_dir, 0700));
    RB_TRY(parent_dirs(m->settings.flash_path, 0700));
    RB_TRY(make_flash(m));
    RB_TRY(make_trust(m));
    RB_TRY(write_settings(m));
    return make_database(m);
}

rb_err
ota_provision(const struct ota_provision *p, struct ota_provisioned *out)
{
    struct making m = {.p = p, .out = out};

    memset(out, 0, sizeof *out);
    rb_err err = make(&m);
    if (m.file.state != NULL) {
        rb_flashfile_close(&m.file);
    }
    if (err != RB_OK && m.begun) {
        remove_half_made(&m);
    }
    rb_settings_free(&m.settings);
    free(m.settings_text);
    return err;
}
