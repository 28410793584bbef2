/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Which release to install and which payload brings it: decided from signed facts alone (docs/format.md 6.1), before
 * a byte of any payload is fetched.
 */
#ifndef RB_OTA_PLAN_H
#define RB_OTA_PLAN_H

#include "lib/tuf/tuf.h"
#include "ota/device.h"

#define OTA_CANDIDATES_MAX 16
#define OTA_PAYLOAD_HEADER_MAX (512u << 10) /* bytes of segment table we hold; enough for images of 800 MB */

/** A way to get the image: one payload target. */
struct ota_candidate {
    char target[256];     /* name in the repository */
    uint64_t length;      /* bytes to fetch */
    uint8_t sha256[RB_SHA256_LEN];
    uint32_t header_len;
    uint8_t header_sha256[RB_SHA256_LEN];
    uint32_t memory;      /* bytes the decoder needs */
    bool delta;
    uint64_t from_len;    /* of a delta */
    uint8_t from_sha256[RB_SHA256_LEN];
    char from_version[RB_IMAGE_VERSION_LEN + 1];
    bool usable;
    char reason[200];     /* why it is not, for people */
};

/** What the device runs. */
struct ota_installed {
    uint8_t slot;
    uint32_t floor;
    struct rb_image image;
    bool hashed;
    uint8_t sha256[RB_SHA256_LEN]; /* of the image's compact form, when `hashed` */
};

struct ota_plan {
    struct ota_installed installed;
    uint8_t idle; /* slot to write */
    bool up_to_date;
    bool quarantined;            /* the release failed here before */
    char quarantine_cause[200];
    int64_t release;
    char version[RB_IMAGE_VERSION_LEN + 1];
    uint32_t security_counter;
    uint64_t image_len;
    uint8_t image_sha256[RB_SHA256_LEN];
    uint8_t image_digest[RB_SHA256_LEN];
    unsigned count;              /* candidates, fewest bytes first */
    unsigned other_deltas;       /* for other bases, not listed */
    int chosen;                  /* index; -1: none */
    struct ota_candidate candidate[OTA_CANDIDATES_MAX];
};

struct ota_wish {
    const char *version; /* install this one; NULL: the newest release */
    bool retry;          /* also what failed here before */
};

/**
 * Decide. Nothing is written but the cached hash of the active image.
 *
 * @return RB_OK: `up_to_date`, or `quarantined` (and not `retry`), or a plan with a chosen payload
 *         RB_ERR_META_*        nothing trusted, or expired
 *         RB_ERR_NOT_FOUND     no release of that version
 *         RB_ERR_AGENT_NO_PAYLOAD  no release for this component, or no payload of it is usable
 *         RB_ERR_IMAGE_HARDWARE, RB_ERR_IMAGE_ROLLBACK, RB_ERR_IMAGE_SIZE  the release is not for this device
 *         RB_ERR_AGENT_STATE   a trial is under way, the active slot cannot be read
 */
RB_MUST_USE
rb_err ota_plan_make(struct ota_device *d, const struct rb_tuf *tuf, const struct ota_wish *wish,
                     struct ota_plan *out);

/** Mark one candidate as not usable and choose the next best. RB_ERR_AGENT_NO_PAYLOAD when there is none. */
RB_MUST_USE
rb_err ota_plan_without(struct ota_plan *plan, int index, const char *reason);

/** One sentence for people: why the chosen payload. */
void ota_plan_why(const struct ota_plan *plan, char *out, size_t room);

/** "12,345" */
const char *ota_grouped(uint64_t n, char out[32]);

#endif
