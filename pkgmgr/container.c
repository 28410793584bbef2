/* SPDX-License-Identifier: Apache-2.0
 *
 *   entries | size u64, pairs, size u64, "RPK Sig Block 42" | central directory | end record, comment
 *
 * The end record is found from the back; everything else hangs on the offset it holds.
 */
#include "pkgmgr/container.h"

#include "lib/core/bytes.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <stdlib.h>
#include <string.h>

#define MAGIC_LEN 16u
#define FRAME_LEN 24u /* second size and magic, counted by the size fields */
#define ZIP64_LOCATOR_LEN 20u

static const uint8_t eocd_magic[4] = {'P', 'K', 5, 6};

rb_err
rpk_source_read(const struct rpk_source *source, uint64_t offset, void *out, size_t len)
{
    if (offset > source->len || len > source->len - offset) {
        return rb_fail(RB_ERR_RPK_ZIP, "ends too early");
    }
    if (source->memory != NULL) {
        rb_copy(out, source->memory + offset, len);
        return RB_OK;
    }
    rb_err err = rb_pread_all(source->fd, out, len, offset);
    return err == RB_ERR_TRUNCATED ? rb_fail(RB_ERR_RPK_ZIP, "ends too early") : err;
}

struct end_record {
    uint16_t disk, directory_disk, disk_entries, entries;
    uint32_t directory_len, directory;
};

static void
read_end_record(const uint8_t *at, struct end_record *out)
{
    struct rb_reader r = rb_reader_of(at, RPK_EOCD_LEN);

    (void)rb_read_u32(&r); /* magic */
    out->disk = rb_read_u16(&r);
    out->directory_disk = rb_read_u16(&r);
    out->disk_entries = rb_read_u16(&r);
    out->entries = rb_read_u16(&r);
    out->directory_len = rb_read_u32(&r);
    out->directory = rb_read_u32(&r);
}

/* The last "PK\5\6" of the file must be the end record and its comment must reach the end of the file. Readers differ
 * in how they look for it (from the back, by comment length, first match); where the magic stands only once in what
 * they look at, they all find the same record. */
static rb_err
find_end(const uint8_t *tail, size_t len, size_t *at)
{
    size_t i = len - RPK_EOCD_LEN;

    for (size_t late = len - 4; late > i; late--) {
        if (memcmp(tail + late, eocd_magic, 4) == 0) {
            return rb_fail(RB_ERR_RPK_ZIP, "cut or more than one end record");
        }
    }
    while (memcmp(tail + i, eocd_magic, 4) != 0) {
        if (i == 0) {
            return rb_fail(RB_ERR_RPK_ZIP, "no zip end record");
        }
        i--;
    }
    size_t comment_len = (size_t)tail[i + 20] | (size_t)tail[i + 21] << 8;
    if (i + RPK_EOCD_LEN + comment_len != len) {
        return rb_fail(RB_ERR_RPK_ZIP, "comment does not reach the end of the file");
    }
    *at = i;
    return RB_OK;
}

static rb_err
check_end(const struct end_record *end, uint64_t end_offset)
{
    if (end->disk != 0 || end->directory_disk != 0 || end->disk_entries != end->entries) {
        return rb_fail(RB_ERR_RPK_ZIP, "more than one disk");
    }
    if (end->entries == 0xffff || end->directory == 0xffffffff || end->directory_len == 0xffffffff) {
        return rb_fail(RB_ERR_RPK_ZIP, "ZIP64");
    }
    if (end->entries == 0 || end->entries > RPK_ENTRIES_MAX) {
        return rb_fail(RB_ERR_RPK_ZIP, "%u entries (1 to %u are allowed)", end->entries, RPK_ENTRIES_MAX);
    }
    if (end->directory_len > RPK_DIRECTORY_MAX) {
        return rb_fail(RB_ERR_RPK_ZIP, "central directory of %u bytes", end->directory_len);
    }
    if ((uint64_t)end->directory + end->directory_len != end_offset) {
        return rb_fail(RB_ERR_RPK_ZIP, "central directory does not end where the end record begins");
    }
    return RB_OK;
}

static rb_err
read_block(struct rpk_container *c)
{
    uint8_t frame[FRAME_LEN];
    uint8_t head[8];

    if (c->directory < FRAME_LEN + 8) {
        return rb_fail(RB_ERR_RPK_UNSIGNED, "no signing block");
    }
    RB_TRY(rpk_source_read(&c->source, c->directory - FRAME_LEN, frame, sizeof frame));
    if (memcmp(frame + 8, RPK_BLOCK_MAGIC, MAGIC_LEN) != 0) {
        return rb_fail(RB_ERR_RPK_UNSIGNED, "no signing block");
    }
    struct rb_reader r = rb_reader_of(frame, sizeof frame);
    uint64_t size = rb_read_u64(&r);
    if (size < FRAME_LEN || size > RPK_BLOCK_MAX || size + 8 > c->directory) {
        return rb_fail(RB_ERR_RPK_BLOCK, "size out of range");
    }
    c->entries_end = c->directory - (uint32_t)size - 8;
    RB_TRY(rpk_source_read(&c->source, c->entries_end, head, sizeof head));
    if (memcmp(head, frame, sizeof head) != 0) {
        return rb_fail(RB_ERR_RPK_BLOCK, "its two sizes differ");
    }
    c->pairs_len = (size_t)size - FRAME_LEN;
    c->pairs = rb_alloc(c->pairs_len);
    return rpk_source_read(&c->source, (uint64_t)c->entries_end + 8, c->pairs, c->pairs_len);
}

static rb_err
locate(struct rpk_container *c)
{
    size_t len = c->source.len < RPK_EOCD_LEN + RPK_COMMENT_MAX ? (size_t)c->source.len
                                                                : RPK_EOCD_LEN + RPK_COMMENT_MAX;
    struct end_record end;
    size_t at = 0;

    if (len < RPK_EOCD_LEN || c->source.len > UINT32_MAX) {
        return rb_fail(RB_ERR_RPK_ZIP, len < RPK_EOCD_LEN ? "too short" : "4 GiB or more");
    }
    uint8_t *scan = rb_alloc(len);
    rb_err err = rpk_source_read(&c->source, c->source.len - len, scan, len);
    if (err == RB_OK) {
        err = find_end(scan, len, &at);
    }
    if (err == RB_OK) {
        read_end_record(scan + at, &end);
        err = check_end(&end, c->source.len - len + at);
    }
    if (err == RB_OK) {
        c->directory = end.directory;
        c->directory_len = end.directory_len;
        c->end_len = (uint32_t)(len - at);
        c->entry_count = end.entries;
    }
    free(scan);
    return err;
}

static rb_err
read_tail(struct rpk_container *c)
{
    size_t len = (size_t)c->directory_len + c->end_len;
    const uint8_t *locator;

    c->tail = rb_alloc(len);
    RB_TRY(rpk_source_read(&c->source, c->directory, c->tail, len));
    if (c->directory_len >= ZIP64_LOCATOR_LEN) {
        locator = c->tail + c->directory_len - ZIP64_LOCATOR_LEN;
        if (memcmp(locator, "PK\6\7", 4) == 0) {
            return rb_fail(RB_ERR_RPK_ZIP, "ZIP64");
        }
    }
    /* The end record was found in an earlier read of the same bytes; a file that changes meanwhile is refused. */
    struct end_record again;
    read_end_record(c->tail + c->directory_len, &again);
    if (memcmp(c->tail + c->directory_len, eocd_magic, 4) != 0 || again.directory != c->directory
        || again.directory_len != c->directory_len || again.entries != c->entry_count) {
        return rb_fail(RB_ERR_RPK_ZIP, "changed while it was read");
    }
    return RB_OK;
}

rb_err
rpk_container_open(const struct rpk_source *source, bool unsigned_too, struct rpk_container *out)
{
    struct rpk_container c = {.source = *source};
    rb_err err = locate(&c);

    if (err == RB_OK) {
        err = read_tail(&c);
    }
    if (err == RB_OK) {
        err = read_block(&c);
    }
    if (err == RB_ERR_RPK_UNSIGNED && unsigned_too) {
        rb_fail_clear();
        c.entries_end = c.directory;
        err = RB_OK;
    }
    if (err != RB_OK) {
        rpk_container_free(&c);
        return err;
    }
    *out = c;
    return RB_OK;
}

void
rpk_container_free(struct rpk_container *c)
{
    free(c->pairs);
    free(c->tail);
    c->pairs = NULL;
    c->tail = NULL;
}
