/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The `custom` facts of a target: what a device knows about a payload or a package before it fetches it
 * (docs/format.md 6.1, manifests/release.schema.json).
 *
 * Strict: a field that is not known is refused, because it may be a condition that this program would not honour.
 * Fields that may be ignored have names that begin with "x-". A device passes over targets that do not parse here
 * (they are for newer programs) and says so; it does not fail because of them.
 */
#ifndef RB_TUF_RELEASE_H
#define RB_TUF_RELEASE_H

#include "lib/core/crypto.h"
#include "lib/core/errors.h"
#include "lib/core/image.h"
#include "lib/host/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RB_RELEASE_DEVICE_TYPES_MAX 16u

enum rb_release_kind { RB_RELEASE_PAYLOAD, RB_RELEASE_PACKAGE };

/** Strings are borrowed from the JSON that was parsed. */
struct rb_release_target {
    enum rb_release_kind kind;

    /* A payload that makes a boot image. */
    int64_t release;          /* 1..; rises with every release of the repository */
    const char *component;
    const char *version;      /* for people; never used to order */
    unsigned hardware_count;  /* 1..RB_IMAGE_HARDWARE_MAX */
    const char *hardware[RB_IMAGE_HARDWARE_MAX];
    uint32_t security_counter;
    uint8_t affinity;         /* enum rb_image_affinity: the slot the image is linked for, or any */
    struct {
        uint32_t length;      /* of the image's compact form (docs/format.md section 2) */
        uint8_t sha256[RB_SHA256_LEN];
        uint8_t digest[RB_SHA256_LEN]; /* SHA-256 of header bytes 0..447: the image's identity */
    } image;
    bool is_delta;            /* `from` is set */
    struct {
        uint32_t length;
        uint8_t sha256[RB_SHA256_LEN];
        const char *version;
    } from;
    struct {
        uint32_t length;      /* of the payload's header with its segment table */
        uint8_t sha256[RB_SHA256_LEN];
    } header;
    uint32_t memory;          /* bytes the decoder needs */

    /* A package. */
    const char *package;
    int64_t version_code;     /* 0..2147483647 */
    const char *version_name; /* for people; may be "" */
    unsigned device_type_count; /* 0: any device */
    const char *device_type[RB_RELEASE_DEVICE_TYPES_MAX];
    uint8_t signer[RB_SHA256_LEN]; /* SHA-256 of the signing certificate's DER */
};

/** RB_ERR_META_FORMAT with the field in the detail; also for NULL (a target without `custom`). */
RB_MUST_USE
rb_err rb_release_parse(const json_t *custom, struct rb_release_target *out);

/** The inverse: new JSON, caller json_decref's it. RB_ERR_META_FORMAT for what rb_release_parse would refuse. */
RB_MUST_USE
rb_err rb_release_encode(const struct rb_release_target *target, json_t **out);

/** Whether `hardware` is one of the ids that the payload is for; whole ids are compared. */
bool rb_release_fits_hardware(const struct rb_release_target *target, const char *hardware);

#endif
