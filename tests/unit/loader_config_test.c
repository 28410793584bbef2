/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/device.h"
#include "tests/support/test.h"

static void
encoded(uint8_t raw[RB_LOADER_CONFIG_LEN])
{
    struct rb_loader_config c;

    device_config(&c, 1024, 8);
    c.key_count = 2;
    memcpy(c.key[1], device_public_keys()[1], RB_P256_KEY_LEN);
    CHECK_OK(rb_loader_config_encode(&c, raw));
}

TEST(config_comes_back_as_it_was_encoded)
{
    uint8_t raw[RB_LOADER_CONFIG_LEN];
    uint8_t again[RB_LOADER_CONFIG_LEN];
    struct rb_loader_config c;

    encoded(raw);
    CHECK_OK(rb_loader_config_parse(raw, &c));
    CHECK(c.sector_size == 1024 && c.program_unit == 8 && c.key_count == 2);
    CHECK(strcmp(c.hardware, DEVICE_HARDWARE) == 0);
    CHECK(memcmp(c.key[1], device_public_keys()[1], RB_P256_KEY_LEN) == 0);
    CHECK_OK(rb_loader_config_encode(&c, again));
    CHECK(memcmp(raw, again, sizeof raw) == 0);
}

TEST(config_with_any_flipped_bit_is_refused)
{
    uint8_t raw[RB_LOADER_CONFIG_LEN];
    struct rb_loader_config c;

    encoded(raw);
    for (size_t bit = 0; bit < 8 * sizeof raw; bit++) {
        raw[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        CHECK_ERR(rb_loader_config_parse(raw, &c), RB_ERR_LOADER_CONFIG);
        raw[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
}

/* Fields are checked for themselves, not only by the CRC: set one, mend the CRC, parse. */
static void
refuses(size_t offset, uint32_t value)
{
    uint8_t raw[RB_LOADER_CONFIG_LEN];
    struct rb_loader_config c;

    encoded(raw);
    struct rb_writer w = rb_writer_of(raw + offset, 4);
    rb_write_u32(&w, value);
    w = rb_writer_of(raw + 508, 4);
    rb_write_u32(&w, rb_crc32(0, raw, 508));
    CHECK_ERR(rb_loader_config_parse(raw, &c), RB_ERR_LOADER_CONFIG);
}

TEST(config_refuses_each_field_out_of_range)
{
    struct rb_loader_config c;

    device_config(&c, 1024, 8);
    refuses(4, 2);                           /* format version */
    refuses(8, c.flash_size + 1);            /* not whole sectors */
    refuses(8, c.flash_size - 1024);         /* slot B sticks out */
    refuses(12, 1000);                       /* sector size: no power of two */
    refuses(12, 128);                        /* too small */
    refuses(12, 512 * 1024);                 /* too large */
    refuses(16, 0);                          /* program unit */
    refuses(16, 64);                         /* larger than half a record */
    refuses(20, 0);                          /* journal over the configuration */
    refuses(20, c.journal[0] + 4);           /* not aligned */
    refuses(20, c.journal[1]);               /* both sectors the same */
    refuses(24, c.slot[0] + 1024);           /* journal in a slot */
    refuses(28, c.slot[1] + 1024);           /* slots overlap */
    refuses(32, 0xfffffc00);                 /* outside; address + size wraps */
    refuses(36, 4096);                       /* no room for header and body */
    refuses(36, c.slot_size + 512);          /* not whole sectors */
    refuses(36, 0xfffffc00);                 /* larger than the flash */
    refuses(40, 0);                          /* hardware id empty at its start */
    refuses(40, 0x41002041);                 /* hardware id "A \0A" */
    refuses(72, 0);                          /* no key */
    refuses(72, 1);                          /* a key behind the last one */
    refuses(72, 5);                          /* more keys than fit */
    refuses(76, 1);                          /* reserved */
    refuses(336, 1);                         /* reserved */
    refuses(504, 0x80000000);                /* reserved, last byte */
}

TEST(encode_refuses_what_parse_would)
{
    struct rb_loader_config c;
    uint8_t raw[RB_LOADER_CONFIG_LEN];

    device_config(&c, 1024, 8);
    c.key_count = 0;
    CHECK_ERR(rb_loader_config_encode(&c, raw), RB_ERR_LOADER_CONFIG);
    device_config(&c, 1024, 8);
    c.slot[1] = c.slot[0];
    CHECK_ERR(rb_loader_config_encode(&c, raw), RB_ERR_LOADER_CONFIG);
    device_config(&c, 256, 8); /* the configuration spans two small sectors; both are its own */
    CHECK_OK(rb_loader_config_encode(&c, raw));
    c.journal[0] = 256;
    CHECK_ERR(rb_loader_config_encode(&c, raw), RB_ERR_LOADER_CONFIG);
}
