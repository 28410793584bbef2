/* SPDX-License-Identifier: Apache-2.0
 *
 * A strict reader: where two zip readers could see different things, the package is refused. Entries tile the file
 * from byte 0 to the signing block in the order of the central directory, each local header repeats its central one
 * bit for bit, and the file is read once, front to back.
 */
#include "pkgmgr/zip.h"

#include "lib/core/bytes.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

#define CENTRAL_LEN 46u
#define LOCAL_LEN 30u
#define COMMON_LEN 26u /* the fields both headers have, in the same order: central + 6, local + 4 */
#define READ_LEN 16384u
#define COMPONENT_MAX 255u
#define EXTRA_UNICODE_PATH 0x7075u
#define FLAG_UTF8 0x0800u
#define METHOD_STORED 0u
#define METHOD_DEFLATED 8u

/* ---- names ---- */

/* One UTF-8 character; 0 for a byte sequence that is not one (U+0000 is refused anyway). */
static uint32_t
next_character(const uint8_t **at, const uint8_t *end)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = *(*at)++;
    unsigned len = first < 0x80 ? 1 : first >= 0xf0 && first < 0xf8 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
    uint32_t c = len == 1 ? first : first & (0x7fu >> len);

    if (len == 0 || first >= 0xf8 || (size_t)(end - *at) < len - 1) {
        return 0;
    }
    for (unsigned i = 1; i < len; i++) {
        uint8_t next = *(*at)++;
        if ((next & 0xc0) != 0x80) {
            return 0;
        }
        c = c << 6 | (next & 0x3f);
    }
    return c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : c;
}

struct range {
    uint32_t first, last;
};

/* Controls, line separators and bidirectional overrides deceive who reads a list; combining marks and conjoining Jamo
 * make two spellings of one name, which some file systems take for the same file. */
static bool
is_refused(uint32_t c)
{
    static const struct range refused[] = {
        {0x00, 0x1f},       {0x5c, 0x5c},     {0x7f, 0x9f},     {0x300, 0x36f},   {0x1100, 0x11ff},
        {0x1ab0, 0x1aff},   {0x1dc0, 0x1dff}, {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f},
        {0x20d0, 0x20ff},   {0xa960, 0xa97f}, {0xd7b0, 0xd7ff}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff},
        {0xfff0, 0xfffb},
    };

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (c >= refused[i].first && c <= refused[i].last) {
            return true;
        }
    }
    return false;
}

static rb_err
bad_name(const char *name, size_t len, const char *why)
{
    return rb_fail(RB_ERR_RPK_NAME, "\"%.*s\": %s", (int)(len < 80 ? len : 80), name, why);
}

/* A trailing dot or space is dropped by FAT; the rule covers "." and ".." too. */
static rb_err
check_component(const char *name, size_t len, const char *part, size_t part_len)
{
    if (part_len == 0) {
        return bad_name(name, len, part == name ? "absolute or empty" : "empty component");
    }
    if (part_len > COMPONENT_MAX) {
        return bad_name(name, len, "component too long");
    }
    if (part[part_len - 1] == '.' || part[part_len - 1] == ' ') {
        return bad_name(name, len, "component ends with a dot or a space");
    }
    return RB_OK;
}

rb_err
rpk_name_check(const char *name, size_t len)
{
    const uint8_t *at = (const uint8_t *)name;
    const uint8_t *end = at + len;

    if (len > RPK_NAME_MAX) {
        return bad_name(name, len, "too long");
    }
    while (at < end) {
        if (is_refused(next_character(&at, end))) {
            return bad_name(name, len, "character not allowed or not UTF-8");
        }
    }
    if (len >= 2 && name[1] == ':') {
        return bad_name(name, len, "drive letter");
    }
    for (const char *part = name;;) {
        const char *slash = memchr(part, '/', (size_t)(name + len - part));
        size_t part_len = slash != NULL ? (size_t)(slash - part) : (size_t)(name + len - part);
        RB_TRY(check_component(name, len, part, part_len));
        if (slash == NULL) {
            return RB_OK;
        }
        part = slash + 1;
    }
}

/* Upper and lower case of Latin, Greek and Cyrillic are one; those letters have two bytes in either case. '/' sorts
 * first, so that what lies in a directory follows it at once. */
static int
folded(uint32_t c)
{
    if ((c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7) || (c >= 0x391 && c <= 0x3a9)
        || (c >= 0x410 && c <= 0x42f)) {
        return (int)c + 0x20;
    }
    if (c >= 0x400 && c <= 0x40f) {
        return (int)c + 0x50;
    }
    if ((c >= 0x100 && c <= 0x137) || (c >= 0x14a && c <= 0x177) || (c >= 0x460 && c <= 0x52f)) {
        return (int)(c | 1);
    }
    if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e)) {
        return (int)((c + 1) & ~1u);
    }
    return c == '/' ? 1 : (int)c;
}

/* Compare folded names; *inside: `a` is a directory part of `b`. */
static int
compare_names(const char *a, const char *b, bool *inside)
{
    const uint8_t *x = (const uint8_t *)a;
    const uint8_t *y = (const uint8_t *)b;
    const uint8_t *x_end = x + strlen(a);
    const uint8_t *y_end = y + strlen(b);

    *inside = false;
    while (x < x_end && y < y_end) {
        int p = folded(next_character(&x, x_end));
        int q = folded(next_character(&y, y_end));
        if (p != q) {
            return p < q ? -1 : 1;
        }
    }
    *inside = x == x_end && y < y_end && *y == '/';
    return (x < x_end) - (y < y_end);
}

static int
by_folded_name(const void *a, const void *b)
{
    bool inside;

    return compare_names((*(struct rpk_entry *const *)a)->name, (*(struct rpk_entry *const *)b)->name, &inside);
}

static rb_err
check_conflicts(const struct rpk_zip *zip)
{
    struct rpk_entry **order = rb_alloc(zip->count * sizeof *order);
    rb_err err = RB_OK;

    for (unsigned i = 0; i < zip->count; i++) {
        order[i] = &zip->entries[i];
    }
    qsort(order, zip->count, sizeof *order, by_folded_name);
    for (unsigned i = 0; err == RB_OK && i + 1 < zip->count; i++) {
        bool inside;
        if (compare_names(order[i]->name, order[i + 1]->name, &inside) == 0) {
            err = bad_name(order[i]->name, strlen(order[i]->name), "more than once (upper and lower case are one)");
        } else if (inside && !order[i]->directory) {
            err = bad_name(order[i]->name, strlen(order[i]->name), "both a file and a directory");
        }
    }
    free(order);
    return err;
}

/* ---- central directory ---- */

struct central {
    uint16_t made_by, needed, flags, method, name_len, extra_len, comment_len, disk;
    uint32_t dos_time, crc, packed_len, len, attributes, offset;
};

static void
read_central(struct rb_reader *r, struct central *h)
{
    h->made_by = rb_read_u16(r);
    h->needed = rb_read_u16(r);
    h->flags = rb_read_u16(r);
    h->method = rb_read_u16(r);
    h->dos_time = rb_read_u32(r);
    h->crc = rb_read_u32(r);
    h->packed_len = rb_read_u32(r);
    h->len = rb_read_u32(r);
    h->name_len = rb_read_u16(r);
    h->extra_len = rb_read_u16(r);
    h->comment_len = rb_read_u16(r);
    h->disk = rb_read_u16(r);
    (void)rb_read_u16(r); /* internal attributes: whether it is text */
    h->attributes = rb_read_u32(r);
    h->offset = rb_read_u32(r);
}

static rb_err
refuse(const char *name, size_t len, const char *why)
{
    return rb_fail(RB_ERR_RPK_ZIP, "entry \"%.*s\": %s", (int)(len < 80 ? len : 80), name, why);
}

/* Unix modes live in the upper half of the attributes. Only plain files and directories, no set-id or sticky bit. */
static bool
mode_allowed(uint32_t attributes, bool directory)
{
    uint32_t mode = attributes >> 16;
    uint32_t type = mode & 0170000;

    return (mode & 07000) == 0 && (type == 0 || type == (directory ? 0040000u : 0100000u));
}

static bool
is_ascii(const uint8_t *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (name[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

/* The only extra field is the Unicode path, and it repeats the name. */
static bool
extra_allowed(const uint8_t *extra, size_t extra_len, const uint8_t *name, size_t name_len)
{
    struct rb_reader r = rb_reader_of(extra, extra_len);

    if (extra_len == 0) {
        return true;
    }
    uint16_t id = rb_read_u16(&r);
    uint16_t len = rb_read_u16(&r);
    uint8_t version = rb_read_u8(&r);
    uint32_t crc = rb_read_u32(&r);
    const uint8_t *path = rb_read_bytes(&r, name_len);
    return !r.bad && r.left == 0 && id == EXTRA_UNICODE_PATH && len == extra_len - 4 && version == 1
           && crc == rb_crc32(0, name, name_len) && memcmp(path, name, name_len) == 0;
}

static rb_err
check_fields(const struct central *h, const char *name, bool directory)
{
    size_t len = h->name_len;

    if ((h->flags & ~FLAG_UTF8) != 0) {
        return refuse(name, len, h->flags & 1 ? "encrypted" : h->flags & 8 ? "data descriptor" : "flags");
    }
    if (h->method != METHOD_STORED && h->method != METHOD_DEFLATED) {
        return refuse(name, len, "compression method");
    }
    if (h->needed > 20 || h->packed_len == 0xffffffff || h->len == 0xffffffff || h->offset == 0xffffffff) {
        return refuse(name, len, "ZIP64 or a newer zip version");
    }
    if (h->comment_len != 0 || h->disk != 0) {
        return refuse(name, len, "comment or disk number");
    }
    if (!mode_allowed(h->attributes, directory)) {
        return refuse(name, len, "symbolic link, device or special mode");
    }
    if (h->method == METHOD_STORED && h->packed_len != h->len) {
        return refuse(name, len, "stored with two lengths");
    }
    if (directory && (h->len != 0 || h->method != METHOD_STORED || h->crc != 0)) {
        return refuse(name, len, "directory with content");
    }
    return RB_OK;
}

static rb_err
read_entry(struct rb_reader *r, uint32_t *offset, char **names, struct rpk_entry *e)
{
    static const uint8_t magic[4] = {'P', 'K', 1, 2};
    struct central h;

    e->central = r->at;
    const uint8_t *got = rb_read_bytes(r, 4);
    if (got == NULL || memcmp(got, magic, 4) != 0) {
        return rb_fail(RB_ERR_RPK_ZIP, "central directory has fewer entries than the end record says");
    }
    read_central(r, &h);
    const uint8_t *name = rb_read_bytes(r, h.name_len);
    const uint8_t *extra = rb_read_bytes(r, h.extra_len);
    if (r->bad) {
        return rb_fail(RB_ERR_RPK_ZIP, "central directory entry runs past its end");
    }
    const char *text = (const char *)name;
    e->directory = h.name_len > 0 && name[h.name_len - 1] == '/';
    RB_TRY(rpk_name_check(text, h.name_len - (e->directory ? 1u : 0u)));
    RB_TRY(check_fields(&h, text, e->directory));
    if (!is_ascii(name, h.name_len) && (h.flags & FLAG_UTF8) == 0) {
        return refuse(text, h.name_len, "name is not marked as UTF-8");
    }
    if (!extra_allowed(extra, h.extra_len, name, h.name_len)) {
        return refuse(text, h.name_len, "extra field");
    }
    if (h.offset != *offset) {
        return refuse(text, h.name_len, "gap or overlap before it, or bytes before the first entry");
    }
    uint64_t end = (uint64_t)h.offset + LOCAL_LEN + h.name_len + h.extra_len + h.packed_len;
    if (end > UINT32_MAX) {
        return refuse(text, h.name_len, "runs past the end of the file");
    }
    *offset = (uint32_t)end;
    e->name = *names;
    rb_copy(*names, name, h.name_len);
    (*names)[h.name_len - (e->directory ? 1u : 0u)] = '\0';
    *names += h.name_len + 1u;
    e->offset = h.offset;
    e->len = h.len;
    e->packed_len = h.packed_len;
    e->crc = h.crc;
    e->method = h.method;
    e->dos_time = h.dos_time;
    return RB_OK;
}

/* Whether the bytes between the last entry and the signing block are one signing block, frame and all. */
static rb_err
check_gap(const struct rpk_zip *zip, bool old_block)
{
    const struct rpk_container *c = zip->container;
    uint8_t head[8];
    uint8_t frame[24];

    if (zip->entries_len == c->entries_end) {
        return RB_OK;
    }
    if (old_block && zip->entries_len < c->entries_end && c->entries_end - zip->entries_len >= 32) {
        uint64_t size = c->entries_end - zip->entries_len - 8;
        RB_TRY(rpk_source_read(&c->source, zip->entries_len, head, sizeof head));
        RB_TRY(rpk_source_read(&c->source, c->entries_end - sizeof frame, frame, sizeof frame));
        struct rb_reader r = rb_reader_of(head, sizeof head);
        if (rb_read_u64(&r) == size && memcmp(head, frame, sizeof head) == 0
            && memcmp(frame + 8, RPK_BLOCK_MAGIC, 16) == 0) {
            return RB_OK;
        }
    }
    return rb_fail(RB_ERR_RPK_ZIP, "gap or overlap before the signing block");
}

static rb_err
read_directory(struct rpk_zip *zip, uint64_t total_max, bool old_block)
{
    const struct rpk_container *c = zip->container;
    struct rb_reader r = rb_reader_of(c->tail, c->directory_len);
    char *names = zip->names;
    uint32_t offset = 0;

    for (unsigned i = 0; i < zip->count; i++) {
        RB_TRY(read_entry(&r, &offset, &names, &zip->entries[i]));
        zip->total_len += zip->entries[i].len;
    }
    if (r.left > 0) {
        return rb_fail(RB_ERR_RPK_ZIP, "central directory has more entries than the end record says");
    }
    zip->entries_len = offset;
    RB_TRY(check_gap(zip, old_block));
    if (zip->total_len > total_max) {
        return rb_fail(RB_ERR_RPK_ZIP, "unpacks to %llu bytes, %llu are allowed", (unsigned long long)zip->total_len,
                       (unsigned long long)total_max);
    }
    return check_conflicts(zip);
}

rb_err
rpk_zip_open(const struct rpk_container *c, uint64_t total_max, bool old_block, struct rpk_zip *out)
{
    struct rpk_zip zip = {.container = c, .count = c->entry_count};

    if (c->directory_len / CENTRAL_LEN < zip.count) {
        return rb_fail(RB_ERR_RPK_ZIP, "central directory has fewer entries than the end record says");
    }
    zip.entries = rb_alloc(zip.count * sizeof *zip.entries);
    zip.names = rb_alloc((size_t)c->directory_len + zip.count);
    rb_err err = read_directory(&zip, total_max, old_block);
    if (err != RB_OK) {
        rpk_zip_free(&zip);
        return err;
    }
    *out = zip;
    return RB_OK;
}

void
rpk_zip_free(struct rpk_zip *zip)
{
    free(zip->entries);
    free(zip->names);
    zip->entries = NULL;
    zip->names = NULL;
}

/* ---- contents ---- */

/* Section 1, read once in order; what is handed out has been hashed. */
struct stream {
    const struct rpk_container *container;
    struct rpk_content content;
    uint64_t read;      /* bytes read and hashed */
    const uint8_t *at;  /* next byte not handed out */
    size_t left;
    uint8_t buffer[READ_LEN];
};

static rb_err
stream_fill(struct stream *s)
{
    uint64_t rest = s->container->entries_end - s->read;
    size_t part = rest < sizeof s->buffer ? (size_t)rest : sizeof s->buffer;

    if (part == 0) {
        return rb_fail(RB_ERR_RPK_ZIP, "ends too early");
    }
    RB_TRY(rpk_source_read(&s->container->source, s->read, s->buffer, part));
    rpk_content_update(&s->content, s->buffer, part);
    s->read += part;
    s->at = s->buffer;
    s->left = part;
    return RB_OK;
}

/* Up to `max` next bytes, at least one. */
static rb_err
stream_next(struct stream *s, size_t max, const uint8_t **data, size_t *len)
{
    if (s->left == 0) {
        RB_TRY(stream_fill(s));
    }
    *data = s->at;
    *len = s->left < max ? s->left : max;
    s->at += *len;
    s->left -= *len;
    return RB_OK;
}

static rb_err
stream_compare(struct stream *s, const uint8_t *want, size_t len, bool *same)
{
    while (len > 0) {
        const uint8_t *data;
        size_t part;
        RB_TRY(stream_next(s, len, &data, &part));
        *same = *same && memcmp(data, want, part) == 0;
        want += part;
        len -= part;
    }
    return RB_OK;
}

static rb_err
check_local(struct stream *s, const struct rpk_entry *e)
{
    static const uint8_t magic[4] = {'P', 'K', 3, 4};
    struct rb_reader r = rb_reader_of(e->central + 28, 4);
    size_t name_len = rb_read_u16(&r);
    size_t extra_len = rb_read_u16(&r);
    bool same = true;

    RB_TRY(stream_compare(s, magic, sizeof magic, &same));
    RB_TRY(stream_compare(s, e->central + 6, COMMON_LEN, &same));
    RB_TRY(stream_compare(s, e->central + CENTRAL_LEN, name_len + extra_len, &same));
    return same ? RB_OK : refuse(e->name, strlen(e->name), "local header differs from the central directory");
}

struct entry_check {
    const struct rpk_visitor *visitor;
    const struct rpk_entry *entry;
    uint64_t len;
    uint32_t crc;
};

static rb_err
entry_data(struct entry_check *check, const uint8_t *data, size_t len)
{
    check->len += len;
    if (check->len > check->entry->len) {
        return rb_fail(RB_ERR_RPK_ENTRY, "\"%s\": longer than declared", check->entry->name);
    }
    check->crc = (uint32_t)crc32(check->crc, data, (uInt)len);
    return check->visitor->data(check->visitor->ctx, data, len);
}

static rb_err
walk_stored(struct stream *s, struct entry_check *check)
{
    for (uint32_t left = check->entry->packed_len; left > 0;) {
        const uint8_t *data;
        size_t len;
        RB_TRY(stream_next(s, left, &data, &len));
        RB_TRY(entry_data(check, data, len));
        left -= (uint32_t)len;
    }
    return RB_OK;
}

/* Inflate what `z` has as input; *end: the deflate stream is complete. */
static rb_err
inflate_some(z_stream *z, struct entry_check *check, bool *end)
{
    uint8_t out[READ_LEN];

    do {
        z->next_out = out;
        z->avail_out = sizeof out;
        int status = inflate(z, Z_NO_FLUSH);
        if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
            return rb_fail(RB_ERR_RPK_ENTRY, "\"%s\": compressed data is damaged", check->entry->name);
        }
        RB_TRY(entry_data(check, out, sizeof out - z->avail_out));
        *end = status == Z_STREAM_END;
    } while (!*end && z->avail_out == 0);
    return RB_OK;
}

static rb_err
walk_deflated(struct stream *s, struct entry_check *check, z_stream *z)
{
    bool end = false;

    for (uint32_t left = check->entry->packed_len; left > 0;) {
        const uint8_t *data;
        size_t len;
        RB_TRY(stream_next(s, left, &data, &len));
        left -= (uint32_t)len;
        z->next_in = data;
        z->avail_in = (uInt)len;
        if (!end) {
            RB_TRY(inflate_some(z, check, &end));
        }
        if (z->avail_in > 0) {
            return rb_fail(RB_ERR_RPK_ENTRY, "\"%s\": bytes after the compressed data", check->entry->name);
        }
    }
    return end ? RB_OK : rb_fail(RB_ERR_RPK_ENTRY, "\"%s\": compressed data ends too early", check->entry->name);
}

static rb_err
walk_entry(struct stream *s, struct rpk_entry *e, const struct rpk_visitor *visitor, z_stream *z)
{
    struct entry_check check = {.visitor = visitor, .entry = e, .crc = (uint32_t)crc32(0, NULL, 0)};

    RB_TRY(check_local(s, e));
    RB_TRY(visitor->begin(visitor->ctx, e));
    if (e->method == METHOD_STORED) {
        RB_TRY(walk_stored(s, &check));
    } else {
        if (inflateReset(z) != Z_OK) {
            return rb_fail(RB_ERR_INTERNAL, "zlib");
        }
        RB_TRY(walk_deflated(s, &check, z));
    }
    if (check.len != e->len || check.crc != e->crc) {
        return rb_fail(RB_ERR_RPK_ENTRY, "\"%s\": %s differs", e->name, check.len != e->len ? "length" : "CRC");
    }
    return visitor->end(visitor->ctx, e);
}

static rb_err
walk_all(struct stream *s, const struct rpk_zip *zip, const struct rpk_signed *signature,
         const struct rpk_visitor *visitor)
{
    z_stream z = {0};
    rb_err err = RB_OK;
    uint8_t digest[64];

    if (inflateInit2(&z, -15) != Z_OK) {
        return rb_fail(RB_ERR_NO_MEMORY, "zlib");
    }
    for (unsigned i = 0; err == RB_OK && i < zip->count; i++) {
        err = walk_entry(s, &zip->entries[i], visitor, &z);
    }
    (void)inflateEnd(&z);
    while (err == RB_OK && s->read < zip->container->entries_end) {
        err = stream_fill(s); /* an older signing block is signed too */
    }
    RB_TRY(err);
    if (signature == NULL) {
        return RB_OK;
    }
    RB_TRY(rpk_content_peek(&s->content, digest));
    if (!rb_equal(digest, signature->entries_digest, sizeof digest)) {
        return rb_fail(RB_ERR_RPK_DIGEST, "changed after it was verified");
    }
    return RB_OK;
}

rb_err
rpk_zip_walk(const struct rpk_zip *zip, const struct rpk_signed *signature, const struct rpk_visitor *visitor)
{
    struct stream *s = rb_alloc(sizeof *s);
    rb_err err;

    s->container = zip->container;
    err = signature != NULL
              ? rpk_content_start(&s->content, zip->container, signature->algorithm, signature->chunk_len)
              : rpk_content_start(&s->content, zip->container, RPK_RSA_SHA256, UINT32_MAX);
    if (err == RB_OK) {
        rpk_content_section(&s->content, zip->container->entries_end);
        err = walk_all(s, zip, signature, visitor);
        rpk_content_free(&s->content);
    }
    free(s);
    return err;
}
