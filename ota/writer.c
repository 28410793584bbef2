/* SPDX-License-Identifier: Apache-2.0 */
#include "ota/writer.h"

#include "lib/core/bytes.h"

#include <string.h>

#define PIECE 4096u /* bytes programmed, read back or compared at once */
#define LOOKS 8     /* reads before something that a power cut may have torn is believed */

void
ota_writer_init(struct ota_writer *w, const struct rb_flash *flash, uint32_t slot, uint32_t slot_size, uint32_t pos,
                uint8_t *sector)
{
    *w = (struct ota_writer){
        .flash = flash,
        .slot = slot,
        .slot_size = slot_size,
        .pos = pos,
        .comparing = true,
        .sector = sector,
    };
}

static uint32_t
smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static rb_err
same_in_flash(const struct ota_writer *w, uint32_t offset, const uint8_t *data, uint32_t len, bool *same)
{
    uint8_t back[PIECE];

    *same = true;
    for (uint32_t at = 0; at < len && *same; at += PIECE) {
        uint32_t n = smaller(len - at, PIECE);
        RB_TRY(w->flash->read(w->flash->ctx, w->slot + offset + at, back, n));
        *same = memcmp(back, data + at, n) == 0;
    }
    return RB_OK;
}

/* Whole units at a unit's boundary, into a sector that is erased there. */
static rb_err
program(const struct ota_writer *w, uint32_t offset, const uint8_t *data, uint32_t len)
{
    bool same = true;

    for (uint32_t at = 0; at < len; at += PIECE) {
        uint32_t n = smaller(len - at, PIECE);
        RB_TRY(w->flash->program(w->flash->ctx, w->slot + offset + at, data + at, n));
    }
    RB_TRY(same_in_flash(w, offset, data, len, &same));
    return same ? RB_OK : RB_ERR_FLASH_VERIFY;
}

/* Bytes at `pos`, within one erased sector. Less than a unit is held until the rest of the unit comes. */
static rb_err
append(struct ota_writer *w, const uint8_t *data, uint32_t len)
{
    uint32_t unit = w->flash->program_unit;

    while (len > 0) {
        if (w->held == 0 && len >= unit) {
            uint32_t whole = len / unit * unit;
            RB_TRY(program(w, w->pos, data, whole));
            w->pos += whole;
            data += whole;
            len -= whole;
            continue;
        }
        uint32_t n = smaller(unit - w->held, len);
        memcpy(w->unit + w->held, data, n);
        w->held += n;
        w->pos += n;
        data += n;
        len -= n;
        if (w->held == unit) {
            RB_TRY(program(w, w->pos - unit, w->unit, unit));
            w->held = 0;
        }
    }
    return RB_OK;
}

/* The flash differs from here on. The sector has to be erased, and the start of it, which was right, written again. */
static rb_err
stop_comparing(struct ota_writer *w)
{
    uint32_t pos = w->pos;
    uint32_t start = pos / w->flash->sector_size * w->flash->sector_size;

    w->comparing = false;
    if (pos == start) {
        return RB_OK; /* put erases a sector when it begins */
    }
    RB_TRY(w->flash->read(w->flash->ctx, w->slot + start, w->sector, pos - start));
    RB_TRY(w->flash->erase(w->flash->ctx, w->slot + start));
    w->pos = start;
    return append(w, w->sector, pos - start);
}

rb_err
ota_writer_put(struct ota_writer *w, const uint8_t *data, uint32_t len)
{
    uint32_t sector = w->flash->sector_size;

    if (len > w->slot_size - w->pos) {
        return RB_ERR_IMAGE_SIZE;
    }
    while (len > 0) {
        uint32_t n = smaller(len, sector - w->pos % sector);
        if (w->comparing) {
            bool same = true;
            for (int i = 0; i < LOOKS && same; i++) {
                RB_TRY(same_in_flash(w, w->pos, data, n, &same));
            }
            if (same) {
                w->pos += n;
                data += n;
                len -= n;
                continue;
            }
            RB_TRY(stop_comparing(w));
        }
        if (w->pos % sector == 0) {
            RB_TRY(w->flash->erase(w->flash->ctx, w->slot + w->pos));
        }
        RB_TRY(append(w, data, n));
        data += n;
        len -= n;
    }
    return RB_OK;
}

rb_err
ota_writer_get(const struct ota_writer *w, uint32_t offset, uint8_t *out, uint32_t len)
{
    uint32_t in_flash = w->pos - w->held;

    if (offset > w->pos || len > w->pos - offset) {
        return RB_ERR_FLASH_RANGE;
    }
    if (offset < in_flash) {
        uint32_t n = smaller(len, in_flash - offset);
        RB_TRY(w->flash->read(w->flash->ctx, w->slot + offset, out, n));
        offset += n;
        out += n;
        len -= n;
    }
    if (len > 0) {
        memcpy(out, w->unit + (offset - in_flash), len);
    }
    return RB_OK;
}

rb_err
ota_writer_finish(struct ota_writer *w)
{
    uint32_t unit = w->flash->program_unit;

    if (w->held == 0) {
        return RB_OK;
    }
    memset(w->unit + w->held, w->flash->erased, unit - w->held);
    RB_TRY(program(w, w->pos - w->held, w->unit, unit));
    w->held = 0;
    return RB_OK;
}
