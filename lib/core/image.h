/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The boot image: header, chunk table, body (docs/format.md section 2).
 *
 *   0           512                    body_offset          body_offset + body_len
 *   | header    | chunk table  | zeros | body               |
 *
 * The header is signed; it holds the SHA-256 of the body and the SHA-256 of the
 * chunk table (the chunk root). The table stands before the body, so a writer
 * that receives an image in order can check each 4 KiB chunk before it goes to
 * flash, and anyone can find a rotten chunk later without reading the rest.
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
    uint32_t body_offset; /* from the image's first byte; a multiple of RB_IMAGE_CHUNK_LEN */
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

/** Bytes of the whole image: body_offset + body_len; cannot wrap for a parsed header. */
static inline uint32_t
rb_image_len(const struct rb_image *image)
{
    return image->body_offset + image->body_len;
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
 * body_offset the smallest multiple of 4096 that leaves room for the table, the
 * entry address in the body.
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

/** The smallest body_offset for `chunk_count` chunks. */
uint32_t rb_image_body_offset(uint32_t chunk_count);

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

/** Checks an image that arrives in order, of any split, before anyone keeps it.
 *
 * Feed every byte with rb_image_stream_feed; bytes come back through `emit` in
 * order, in runs that end at multiples of 4096 (or at the image's end), the first
 * one after the header. The header and each chunk are emitted only after they have
 * been verified. A table of more than 112 entries is emitted while it is hashed; no
 * body byte follows unless it matched the root. The table is not held: `reread`
 * reads it back from where `emit` put it.
 */
struct rb_image_stream {
    const struct rb_image_keys *keys;
    const struct rb_image_policy *policy;
    rb_err (*emit)(void *ctx, uint32_t offset, const uint8_t *data, uint32_t len);
    rb_err (*reread)(void *ctx, uint32_t offset, uint8_t *out, uint32_t len);
    void *ctx;

    struct rb_image image; /* valid once `offset` >= RB_IMAGE_HEADER_LEN */
    uint32_t offset;       /* bytes of the image emitted so far */
    uint32_t held;         /* bytes in `unit` */
    rb_err failed;         /* the first error; given again by every later call */
    struct rb_sha256 body; /* over the emitted body */
    struct rb_sha256 table;
    uint8_t unit[RB_IMAGE_CHUNK_LEN];
};

/** Set the borrowed fields, clear the rest. */
void rb_image_stream_init(struct rb_image_stream *s, const struct rb_image_keys *keys,
                          const struct rb_image_policy *policy,
                          rb_err (*emit)(void *ctx, uint32_t offset, const uint8_t *data, uint32_t len),
                          rb_err (*reread)(void *ctx, uint32_t offset, uint8_t *out, uint32_t len), void *ctx);

/** Go on with an image of which rb_image_slot_progress found `verified_len` > 0 bytes: call after init, with what it
 * gave. The next byte to feed is the one at `verified_len`. */
void rb_image_stream_resume(struct rb_image_stream *s, const struct rb_image *image, uint32_t verified_len,
                            const struct rb_sha256 *body);

/** RB_OK, an error of rb_image_header_verify or rb_image_admit, RB_ERR_IMAGE_CHUNKS, RB_ERR_IMAGE_BODY,
 * RB_ERR_IMAGE_TRAILING for bytes past the end, or what emit/reread returned. After an error: start over. */
RB_MUST_USE
rb_err rb_image_stream_feed(struct rb_image_stream *s, const uint8_t *data, uint32_t len);

/** After the last byte: RB_OK only when the image is complete and its body digest is right; RB_ERR_IMAGE_SIZE when
 * bytes are missing, RB_ERR_IMAGE_BODY. The stream is used up. */
RB_MUST_USE
rb_err rb_image_stream_finish(struct rb_image_stream *s);

/** Read and verify the header of the image in a slot, and admit it. Reads 512 bytes. */
RB_MUST_USE
rb_err rb_image_slot_header(const struct rb_flash *flash, uint32_t slot_address, const struct rb_image_keys *keys,
                            const struct rb_image_policy *policy, struct rb_image *out);

/**
 * How much of an image that was being written to a slot is there and right, for continuing after a power cut: the
 * length of the longest verified prefix that ends at a sector boundary of the flash (the sector behind it is erased
 * again before writing goes on) and holds header and table whole; the image's length when all of it is right; 0 when
 * header or table is not, which is an answer and no error.
 *
 * @param out   the image; set when *verified_len > 0
 * @param body  running SHA-256 of the body up to *verified_len, for rb_image_stream_resume
 * @return RB_OK, or RB_ERR_FLASH_POWER, RB_ERR_FLASH_RANGE. Flash that cannot be read is not verified.
 * Cost: reads the prefix and its last chunk eight times more, because the power may have gone while that one was
 * written; `scratch` is RB_IMAGE_CHUNK_LEN bytes.
 */
RB_MUST_USE
rb_err rb_image_slot_progress(const struct rb_flash *flash, uint32_t slot_address, const struct rb_image_keys *keys,
                              const struct rb_image_policy *policy, uint8_t *scratch, struct rb_image *out,
                              uint32_t *verified_len, struct rb_sha256 *body);

/**
 * Verify table, body and what follows of an image whose header has been verified. Each body byte is read once and is
 * left in `area` (body_len bytes): what was verified is what runs. `area` NULL: `scratch` is used, the body runs in
 * place.
 * @return RB_OK, RB_ERR_IMAGE_CHUNKS, _BODY, _TRAILING, RB_ERR_FLASH_*
 */
RB_MUST_USE
rb_err rb_image_slot_load(const struct rb_flash *flash, uint32_t slot_address, const struct rb_image *image,
                          uint8_t *scratch, uint8_t *area);

/** Verify everything of the image in a slot: header, admission, table, body, and that the flash
 * after the image up to the end of its last sector is erased or zero. `scratch` as above.
 * @return RB_OK or the first error found. Cost: reads the image once. */
RB_MUST_USE
rb_err rb_image_slot_verify(const struct rb_flash *flash, uint32_t slot_address, const struct rb_image_keys *keys,
                            const struct rb_image_policy *policy, uint8_t *scratch, struct rb_image *out);

#endif
