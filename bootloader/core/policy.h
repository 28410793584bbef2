/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Which slot to boot: one pure, total function of the journal and of what is known about the slots. It touches no
 * flash, clock or console, so it can be tested over every input it has.
 */
#ifndef RB_BOOTLOADER_POLICY_H
#define RB_BOOTLOADER_POLICY_H

#include "lib/core/journal.h"

/** What is known about the image in a slot. Checking costs a hash of the image, so it is asked for only when needed. */
enum rb_slot_verdict {
    RB_SLOT_UNCHECKED = 0,
    RB_SLOT_GOOD, /* signature, hardware, floor, table and body verified in this boot */
    RB_SLOT_BAD,
};

struct rb_slot_facts {
    enum rb_slot_verdict verdict;
    uint8_t digest[RB_RECORD_DIGEST_LEN]; /* when GOOD */
    uint32_t security_counter;            /* when GOOD */
};

enum rb_step_kind {
    RB_STEP_CHECK, /* verify `slot`, then ask again */
    RB_STEP_BOOT,  /* append `record` first when `append` is set, then start `slot` */
    RB_STEP_HALT,  /* no slot is valid: recovery or wait */
};

struct rb_step {
    enum rb_step_kind kind;
    uint8_t slot;
    bool append;         /* the record must be stored and read back before the jump */
    bool append_or_skip; /* when it cannot be stored, do not start `slot`: ask again with that slot BAD (a trial) */
    struct rb_record record;
};

/**
 * Decide the next step of a boot.
 *
 * @param view   the journal's state, or NULL when there is none
 * @param facts  of slot A and slot B
 *
 * Guarantees, for every input: never BOOT of a slot that is not GOOD; a slot on trial boots at most as often as it
 * has tries, each counted before the jump; a trial whose digest is not the one the journal names does not boot;
 * the floor in `record` is the floor of the view (never lower, without a valid record); after at most two CHECK steps
 * the answer is BOOT or HALT, and HALT only when both slots are BAD.
 *
 * The trial comes first, then the active slot, then, when the active image has gone bad, whatever else is valid: a
 * device with one good image boots it.
 *
 * Without a record the state is made from the images. The journal knew which of two good images had been confirmed;
 * now nobody does. The one with the higher security counter goes first, on trial, with the other one to fall back to:
 * if it had been confirmed, it will be confirmed again; if it was the one that does not work, nothing is lost. The
 * floor becomes the lower counter, so that falling back stays possible, and rises again with the confirm.
 */
void rb_policy_decide(const struct rb_journal_view *view, const struct rb_slot_facts facts[2], struct rb_step *out);

#endif
