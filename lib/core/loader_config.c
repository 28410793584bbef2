/* SPDX-License-Identifier: Apache-2.0
 *
 * The loader's configuration (docs/format.md section 1):
 *
 *     0  magic "RBL1"       12  sector_size     28  slot A, slot B     76  zero
 *     4  format version 1   16  program_unit    36  slot_size          80  keys[4][64]
 *     8  flash_size         20  journal[2]      40  hardware[32]      336  zero
 *                                               72  key_count         508  CRC-32 over 0..507
 */
#include "lib/core/loader_config.h"

#define MAGIC 0x314c4252u /* "RBL1" */
#define FORMAT 1u
#define CRC_AT 508u

static bool
power_of_two(uint32_t v, uint32_t min, uint32_t max)
{
    return v >= min && v <= max && (v & (v - 1)) == 0;
}

struct region {
    uint32_t at;
    uint32_t len;
};

static bool
apart(struct region a, struct region b)
{
    return a.at >= b.at ? a.at - b.at >= b.len : b.at - a.at >= a.len;
}

static bool
layout_valid(const struct rb_loader_config *c)
{
    if (!power_of_two(c->sector_size, 256, 256u * 1024u) || !power_of_two(c->program_unit, 1, 32)
        || c->flash_size % c->sector_size != 0 || c->slot_size <= RB_IMAGE_CHUNK_LEN
        || c->slot_size % c->sector_size != 0) {
        return false;
    }
    /* The configuration itself comes first, then the regions it names. */
    const struct region all[] = {
        {0, c->sector_size < RB_LOADER_CONFIG_LEN ? RB_LOADER_CONFIG_LEN : c->sector_size},
        {c->journal[0], c->sector_size},
        {c->journal[1], c->sector_size},
        {c->slot[0], c->slot_size},
        {c->slot[1], c->slot_size},
    };
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i].at % c->sector_size != 0 || all[i].at > c->flash_size || all[i].len > c->flash_size - all[i].at) {
            return false;
        }
        for (unsigned k = 0; k < i; k++) {
            if (!apart(all[i], all[k])) {
                return false;
            }
        }
    }
    return true;
}

static bool
config_valid(const struct rb_loader_config *c)
{
    return layout_valid(c) && rb_image_text_valid(c->hardware, RB_IMAGE_HARDWARE_LEN) && c->key_count >= 1
           && c->key_count <= RB_LOADER_KEYS_MAX;
}

rb_err
rb_loader_config_parse(const uint8_t raw[RB_LOADER_CONFIG_LEN], struct rb_loader_config *out)
{
    struct rb_loader_config c = {0};
    struct rb_reader r = rb_reader_of(raw, RB_LOADER_CONFIG_LEN);

    uint32_t magic = rb_read_u32(&r);
    uint32_t format = rb_read_u32(&r);
    c.flash_size = rb_read_u32(&r);
    c.sector_size = rb_read_u32(&r);
    c.program_unit = rb_read_u32(&r);
    c.journal[0] = rb_read_u32(&r);
    c.journal[1] = rb_read_u32(&r);
    c.slot[0] = rb_read_u32(&r);
    c.slot[1] = rb_read_u32(&r);
    c.slot_size = rb_read_u32(&r);
    rb_read_copy(&r, c.hardware, RB_IMAGE_HARDWARE_LEN);
    c.key_count = rb_read_u32(&r);
    bool zeros = rb_read_zeros(&r, 4);
    for (uint32_t i = 0; i < RB_LOADER_KEYS_MAX; i++) {
        rb_read_copy(&r, c.key[i], RB_P256_KEY_LEN);
        zeros = zeros && (i < c.key_count || rb_all(c.key[i], RB_P256_KEY_LEN, 0));
    }
    zeros = rb_read_zeros(&r, CRC_AT - (RB_LOADER_CONFIG_LEN - r.left)) && zeros;
    uint32_t crc = rb_read_u32(&r);

    if (r.bad || r.left != 0 || magic != MAGIC || format != FORMAT || !zeros || crc != rb_crc32(0, raw, CRC_AT)
        || !config_valid(&c)) {
        return RB_ERR_LOADER_CONFIG;
    }
    *out = c;
    return RB_OK;
}

rb_err
rb_loader_config_encode(const struct rb_loader_config *config, uint8_t out[RB_LOADER_CONFIG_LEN])
{
    struct rb_writer w = rb_writer_of(out, RB_LOADER_CONFIG_LEN);

    if (!config_valid(config)) {
        return RB_ERR_LOADER_CONFIG;
    }
    rb_write_u32(&w, MAGIC);
    rb_write_u32(&w, FORMAT);
    rb_write_u32(&w, config->flash_size);
    rb_write_u32(&w, config->sector_size);
    rb_write_u32(&w, config->program_unit);
    rb_write_u32(&w, config->journal[0]);
    rb_write_u32(&w, config->journal[1]);
    rb_write_u32(&w, config->slot[0]);
    rb_write_u32(&w, config->slot[1]);
    rb_write_u32(&w, config->slot_size);
    rb_write_bytes(&w, config->hardware, RB_IMAGE_HARDWARE_LEN);
    rb_write_u32(&w, config->key_count);
    rb_write_zeros(&w, 4);
    rb_write_bytes(&w, config->key, (size_t)config->key_count * RB_P256_KEY_LEN);
    rb_write_zeros(&w, w.left - 4);
    rb_write_u32(&w, rb_crc32(0, out, CRC_AT));
    return w.bad ? RB_ERR_INTERNAL : RB_OK;
}
