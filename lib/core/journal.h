/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The control journal: which slot boots (docs/format.md section 3).
 *
 * 64-byte records are appended in two flash sectors. The newest valid record is
 * the state; one append is one transition. No word is programmed twice, and the
 * sector that holds the newest valid record is never erased.
 */
#ifndef RB_CORE_JOURNAL_H
#define RB_CORE_JOURNAL_H

#include "lib/core/errors.h"
#include "lib/core/flash.h"

#include <stdbool.h>
#include <stdint.h>

#define RB_RECORD_LEN 64u
#define RB_RECORD_DIGEST_LEN 16u /* leading bytes of an image digest; names an image in a record */
#define RB_SLOT_A 0u
#define RB_SLOT_B 1u
#define RB_SLOT_NONE 0xffu
#define RB_TRIES_MIN 3u
#define RB_TRIES_MAX 15u

/** Why the record was written. Numbers are for ever. */
enum rb_cause {
    RB_CAUSE_FACTORY = 1,           /* provisioned */
    RB_CAUSE_ARMED = 2,             /* the agent asked for a trial */
    RB_CAUSE_TRY = 3,               /* the loader counted a try */
    RB_CAUSE_CONFIRMED = 4,         /* the agent confirmed the trial */
    RB_CAUSE_REJECTED = 5,          /* the agent rejected the trial: health check failed */
    RB_CAUSE_TRIES_USED_UP = 6,     /* the loader: never confirmed */
    RB_CAUSE_TRIAL_INVALID = 7,     /* the loader: the trial image does not verify */
    RB_CAUSE_ACTIVE_INVALID = 8,    /* the loader: the active image does not verify; the other one took over */
    RB_CAUSE_JOURNAL_LOST = 9,      /* the loader: no valid record; state derived from the slots */
    RB_CAUSE_CANCELLED = 10,        /* the agent took back an armed trial before its first try */
    RB_CAUSE_MAX = 10,
};

/** The state a record holds. */
struct rb_record {
    uint32_t seq;                                  /* serial number; compared modulo 2^32 */
    uint32_t floor;                                /* lowest security counter that boots; never falls */
    uint8_t active;                                /* RB_SLOT_A or _B: the confirmed slot */
    uint8_t trial;                                 /* slot on trial, or RB_SLOT_NONE */
    uint8_t tries_left;                            /* starts left for the trial; 0 when there is none */
    uint8_t cause;                                 /* enum rb_cause */
    uint8_t active_digest[RB_RECORD_DIGEST_LEN];   /* image confirmed in `active` */
    uint8_t trial_digest[RB_RECORD_DIGEST_LEN];    /* image on trial; after a fall-back the one that failed; else 0 */
};

struct rb_journal {
    const struct rb_flash *flash; /* borrowed */
    uint32_t sector[2];           /* addresses of the two sectors */
};

/** What a load saw besides the record. */
struct rb_journal_view {
    struct rb_record record;
    uint32_t address;  /* of the record */
    bool doubtful;     /* append the record again before relying on it: see below */
};

/** Whether every field is in range and the fields fit each other. */
bool rb_record_valid(const struct rb_record *record);

/**
 * Find the newest valid record.
 *
 * It is doubtful when it could be the result of a torn program that happens to read well now, or when a torn program
 * behind it could read well later: unless it and the valid record before it say the same and read the same several
 * times, and nothing stands where the next record belongs. So each state is doubtful once, until its second record
 * is there; the loader writes that one before it starts anything, and everyone else finds a settled state.
 *
 * @return RB_OK, RB_ERR_JOURNAL_NONE (nothing valid: blank, garbage or unreadable sectors). Never another error:
 *         a sector that cannot be read counts as empty.
 * Cost: two reads of both sectors and about 30 reads of 64 bytes; no buffer beyond a few records.
 */
RB_MUST_USE
rb_err rb_journal_load(const struct rb_journal *j, struct rb_journal_view *out);

/**
 * Append a record after the newest valid one; `record->seq` is ignored, the next is used.
 *
 * Power may fail at any moment: a load afterwards finds the old record or the
 * new one, whole. The new one is read back before RB_OK is returned.
 *
 * @return RB_OK
 *         RB_ERR_FLASH_*   no position in either sector kept the record; the old one is still current
 *         RB_ERR_ARG       a field out of range, or a floor lower than the current one
 * Cost: a read of both sectors, one 64-byte program; one sector erase each time a sector is full (every
 * sector_size / 64 records).
 */
RB_MUST_USE
rb_err rb_journal_append(const struct rb_journal *j, const struct rb_record *record);

/** The transitions the agent makes. Each is one append; each refuses with RB_ERR_JOURNAL_STATE what makes no sense. */

/** Put `slot` (not the active one) on trial with `tries` starts, RB_TRIES_MIN..RB_TRIES_MAX. Arming again before the
 * first start is fine, with the same image (RB_OK without a write) or another; RB_ERR_JOURNAL_STATE once a trial has
 * begun: it has to end first. */
RB_MUST_USE
rb_err rb_journal_arm(const struct rb_journal *j, uint8_t slot, const uint8_t image_digest[32], uint8_t tries);

/** The image `image_digest`, running from the trial slot, is good: it becomes active and the floor rises to
 * `security_counter` if that is higher, in the same record. Confirming what is confirmed already is RB_OK without a
 * write (with one when the state is doubtful). RB_ERR_JOURNAL_STATE when another image is on trial or none. */
RB_MUST_USE
rb_err rb_journal_confirm(const struct rb_journal *j, const uint8_t image_digest[32], uint32_t security_counter);

/** The image `image_digest` on trial is bad: the next boot starts the active slot. RB_OK when it was rejected already;
 * RB_ERR_JOURNAL_STATE when another image is on trial or none. */
RB_MUST_USE
rb_err rb_journal_reject(const struct rb_journal *j, const uint8_t image_digest[32]);

/** Take back an armed trial. RB_OK when there is none; RB_ERR_JOURNAL_STATE when it has begun (reject it instead). */
RB_MUST_USE
rb_err rb_journal_cancel(const struct rb_journal *j);

/** Stable lower-case word for a cause ("tries-used-up"); "unknown" for a number not in the list. */
const char *rb_cause_name(uint8_t cause);

#endif
