/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The boot image: header, body, chunk table (docs/format.md section 2).
 *
 *   0          512      4096                     table_offset
 *   | header   | zeros  | body          | zeros  | chunk table |
 *
 * The header is signed; it holds the SHA-256 of the body and the SHA-256 of the
 * chunk table (the chunk root). The table lets anyone find a rotten 4 KiB chunk
 * without reading the rest.
 *
 * Table and zeros follow from header and body, so they do not travel: a payload
 * carries the *compact form*, header then body, and whoever writes a slot adds
 * the rest. In a delta the table would cost 32 incompressible bytes for each
 * changed chunk, often more than the change.
 *
 * Nothing in the header is used before its signature has been verified.
 */
#ifndef RB_CORE_IMAGE_H
#define RB_CORE_IMAGE_H

#include "lib/core/bytes.h"
#include "lib/core/crypto.h"
#include "lib/core/errors.h"
#include "lib/core/flash.h"

#define RB_IMAGE_HEADER_LEN 512u
#define RB_IMAGE_SIGNED_LEN 448u /* the signature covers bytes 0..447 and stands at 448..511 */
#define RB_IMAGE_CHUNK_LEN 4096u
#define RB_IMAGE_BODY_OFFSET 4096u
#define RB_IMAGE_HARDWARE_LEN 32u
#define RB_IMAGE_HARDWARE_MAX 4u /* hardware ids one image may name */
#define RB_IMAGE_VERSION_LEN 32u
#define RB_IMAGE_KEY_ID_LEN 8u
#define RB_IMAGE_KEY_ID_AT 272u /* offset in the header */

enum rb_image_type {
    RB_IMAGE_APP = 1,      /* an ordinary image for slot A or B */
    RB_IMAGE_RECOVERY = 2, /* runs only when no slot is valid; has its own floor */
};

enum rb_image_affinity {
    RB_IMAGE_ANY_SLOT = 0, /* copied to RAM or position independent */
    RB_IMAGE_SLOT_A = 1,   /* linked to run in place from slot A */
    RB_IMAGE_SLOT_B = 2,
};

/** A header whose signature has been verified. Strings are NUL-terminated. */
struct rb_image {
    uint8_t type;     /* enum rb_image_type */
    uint8_t affinity; /* enum rb_image_affinity */
    uint32_t security_counter;
    uint32_t body_len;    /* bytes, 1.. */
    uint32_t chunk_count; /* ceil(body_len / RB_IMAGE_CHUNK_LEN) */
    uint64_t load_address;
    uint64_t entry_address;
    char version[RB_IMAGE_VERSION_LEN + 1]; /* printable ASCII, for people; never used to order */
    uint8_t hardware_count;                 /* 1..RB_IMAGE_HARDWARE_MAX */
    char hardware[RB_IMAGE_HARDWARE_MAX][RB_IMAGE_HARDWARE_LEN + 1];
    uint8_t body_sha256[RB_SHA256_LEN];
    uint8_t chunk_root[RB_SHA256_LEN]; /* SHA-256 of the chunk table */
    uint8_t key_id[RB_IMAGE_KEY_ID_LEN]; /* rb_image_key_id of the signing key */
    uint8_t digest[RB_SHA256_LEN];     /* SHA-256 of header bytes 0..447: the image's identity */
};

/** Where the chunk table starts. Neither this nor the image's length can wrap for a parsed header. */
static inline uint32_t
rb_image_table_offset(const struct rb_image *image)
{
    return RB_IMAGE_BODY_OFFSET + image->chunk_count * RB_IMAGE_CHUNK_LEN;
}

/** Bytes of the whole image, as it lies in a slot or in a file. */
static inline uint32_t
rb_image_len(const struct rb_image *image)
{
    return rb_image_table_offset(image) + image->chunk_count * RB_SHA256_LEN;
}

/** Bytes of the compact form: header and body. */
static inline uint32_t
rb_image_compact_len(const struct rb_image *image)
{
    return RB_IMAGE_HEADER_LEN + image->body_len;
}

/** Where byte `compact` of the compact form lies in the image. */
static inline uint64_t
rb_image_from_compact(uint64_t compact)
{
    return compact < RB_IMAGE_HEADER_LEN ? compact : compact - RB_IMAGE_HEADER_LEN + RB_IMAGE_BODY_OFFSET;
}

/** Keys that may sign images: `count` public keys of RB_P256_KEY_LEN bytes, borrowed. */
struct rb_image_keys {
    const uint8_t (*key)[RB_P256_KEY_LEN];
    uint32_t count;
};

/** The first bytes of SHA-256 of a key's 64 bytes. Names the key that signed, so that only that one is tried. */
void rb_image_key_id(const uint8_t key[RB_P256_KEY_LEN], uint8_t id[RB_IMAGE_KEY_ID_LEN]);

/** Whether a field of `len` bytes is text as versions and hardware ids are: at least one printable ASCII character,
 * no spaces, then NULs to the end. */
bool rb_image_text_valid(const char *field, size_t len);

/**
 * Verify the signature over a header, then parse it strictly.
 *
 * Every reserved byte must be zero, every flag known, strings padded with NULs,
 * body_offset 4096, the entry address in the body.
 *
 * @return RB_OK
 *         RB_ERR_IMAGE_MAGIC, RB_ERR_IMAGE_VERSION   first 8 bytes; looked at before the signature
 *                                                    only to give a better message
 *         RB_ERR_IMAGE_SIGNATURE                     no key in `keys` verifies
 *         RB_ERR_IMAGE_FIELD                         signed, but a field is out of range
 * Cost: two SHA-256 of 448 bytes, one of 64 bytes a key, one ECDSA verification.
 */
RB_MUST_USE
rb_err rb_image_header_verify(const uint8_t header[RB_IMAGE_HEADER_LEN], const struct rb_image_keys *keys,
                              struct rb_image *out);

/** Parse a header whose signature nobody has verified: for tools that show what a file claims. Decisions come from
 * rb_image_header_verify. RB_ERR_IMAGE_MAGIC, RB_ERR_IMAGE_VERSION, RB_ERR_IMAGE_FIELD. */
RB_MUST_USE
rb_err rb_image_header_parse(const uint8_t header[RB_IMAGE_HEADER_LEN], struct rb_image *out);

/** Write header bytes 0..447 for signing; the inverse of parsing. `image->digest` is ignored.
 * RB_ERR_IMAGE_FIELD for a value that rb_image_header_verify would refuse. */
RB_MUST_USE
rb_err rb_image_header_encode(const struct rb_image *image, uint8_t out[RB_IMAGE_SIGNED_LEN]);

/** What a device asks of an image besides a signature. */
struct rb_image_policy {
    const char *hardware; /* this device's id; must be one of the image's, whole */
    uint32_t floor;       /* lowest security counter that boots; compared unsigned */
    uint32_t slot_size;   /* bytes; the whole image must fit */
    uint8_t type;         /* enum rb_image_type */
    uint8_t slot;         /* 0 = A, 1 = B, for the affinity check */
};

/** Admission: one check for install, boot, confirm and fall-back alike.
 * @return RB_OK, RB_ERR_IMAGE_FIELD (type or affinity), RB_ERR_IMAGE_HARDWARE,
 *         RB_ERR_IMAGE_ROLLBACK, RB_ERR_IMAGE_SIZE */
RB_MUST_USE
rb_err rb_image_admit(const struct rb_image *image, const struct rb_image_policy *policy);

/** Turns the compact form of an image, arriving in order in any split, into the bytes of a slot.
 *
 * Nothing is emitted before the header has been verified and admitted. Then come
 * the header, the zeros behind it, and the body as it is fed; rb_image_stream_finish
 * reads the body back from where `emit` put it, makes the chunk table of it, and
 * compares the table with the signed root. So what counts is what the flash kept, not
 * what was fed. Runs come in order, without gaps.
 */
struct rb_image_stream {
    const struct rb_image_keys *keys;
    const struct rb_image_policy *policy;
    /** Put image bytes at `offset`: always the byte after the last one put. */
    rb_err (*emit)(void *ctx, uint32_t offset, const uint8_t *data, uint32_t len);
    /** Read image bytes back that were put. */
    rb_err (*reread)(void *ctx, uint32_t offset, uint8_t *out, uint32_t len);
    void *ctx;

    struct rb_image image; /* valid once `offset` > 0 */
    uint32_t offset;       /* bytes of the image emitted so far */
    uint32_t held;         /* header bytes in `unit` while `offset` is 0 */
    rb_err failed;         /* the first error; given again by every later call */
    uint8_t unit[RB_IMAGE_CHUNK_LEN];
};

/** Set the borrowed fields, clear the rest. */
void rb_image_stream_init(struct rb_image_stream *s, const struct rb_image_keys *keys,
                          const struct rb_image_policy *policy,
                          rb_err (*emit)(void *ctx, uint32_t offset, const uint8_t *data, uint32_t len),
                          rb_err (*reread)(void *ctx, uint32_t offset, uint8_t *out, uint32_t len), void *ctx);

/** Go on with an image whose first `offset` bytes were put before the power failed: call after init. The header is read
 * back, verified and admitted again. The next byte to feed is the one that lies at image offset `offset`, which must be
 * in the body or at its end. Whether the earlier bytes are right is found out by rb_image_stream_finish.
 * RB_OK, RB_ERR_ARG, or an error of rb_image_header_verify, rb_image_admit, reread. */
RB_MUST_USE
rb_err rb_image_stream_resume(struct rb_image_stream *s, uint32_t offset);

/** RB_OK, an error of rb_image_header_verify or rb_image_admit, RB_ERR_IMAGE_TRAILING for bytes past the body, or what
 * emit returned. After an error: start over. */
RB_MUST_USE
rb_err rb_image_stream_feed(struct rb_image_stream *s, const uint8_t *data, uint32_t len);

/** After the last byte: read back, make the table, compare it with the root, put it. RB_OK only when the image is
 * complete; RB_ERR_IMAGE_SIZE when bytes are missing, RB_ERR_IMAGE_CHUNKS when what was put is not what was signed.
 * The stream is used up. Cost: reads and hashes the body once. */
RB_MUST_USE
rb_err rb_image_stream_finish(struct rb_image_stream *s);

/** Read and verify the header of the image in a slot, and admit it. Reads 512 bytes. */
RB_MUST_USE
rb_err rb_image_slot_header(const struct rb_flash *flash, uint32_t slot_address, const struct rb_image_keys *keys,
                            const struct rb_image_policy *policy, struct rb_image *out);

/** Read from the compact form of the image in a slot; only where it lies is known here, not what it is. */
RB_MUST_USE
rb_err rb_image_read_compact(const struct rb_flash *flash, uint32_t slot_address, uint32_t offset, uint8_t *out,
                             uint32_t len);

/**
 * Verify body, table and what follows of an image whose header has been verified. Each body byte is read once and is
 * left in `area` (body_len bytes): what was verified is what runs. `area` NULL: `scratch` is used, the body runs in
 * place.
 * @return RB_OK, RB_ERR_IMAGE_CHUNKS, _BODY, _TRAILING, RB_ERR_FLASH_*
 */
RB_MUST_USE
rb_err rb_image_slot_load(const struct rb_flash *flash, uint32_t slot_address, const struct rb_image *image,
                          uint8_t *scratch, uint8_t *area);

/** Verify everything of the image in a slot: header, admission, body, table, and that the flash
 * after the image up to the end of its last sector is erased or zero. `scratch` as above.
 * @return RB_OK or the first error found. Cost: reads the image once. */
RB_MUST_USE
rb_err rb_image_slot_verify(const struct rb_flash *flash, uint32_t slot_address, const struct rb_image_keys *keys,
                            const struct rb_image_policy *policy, uint8_t *scratch, struct rb_image *out);

#endif
