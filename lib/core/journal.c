/* SPDX-License-Identifier: Apache-2.0
 *
 * Records, 64 bytes each (docs/format.md section 3):
 *
 *     0  magic "RBJ1"    12  active       16  active_digest[16]
 *     4  seq             13  trial        32  trial_digest[16]
 *     8  floor           14  tries_left   48  zero
 *                        15  cause        60  CRC-32 over 0..59
 *
 * What holds at every moment, whatever the power does:
 *
 *   1. The newest valid record is never at risk: an append programs a blank position, and an erase hits only the
 *      sector that does not hold it. So after a cut a load finds the old record or the new one, whole.
 *   2. No position is programmed twice. One that is not blank (a tear) is skipped until its sector is erased, and a
 *      sector is erased right before the first append to it, however blank it looks: its last erase may have been
 *      cut.
 *   3. A torn record that reads as garbage today and as valid tomorrow changes nothing: whoever sees the garbage
 *      appends again, with a serial number above the one the torn record may carry.
 *   4. A torn record that reads as valid today and as garbage tomorrow changes nothing either: a record counts as
 *      settled only when the one before it says the same. Its twin was begun after it had been read, so one of the
 *      two is not torn. The loader appends the missing twin before it relies on a record. As a gift, one rotten
 *      record at rest loses no state.
 */
#include "lib/core/journal.h"

#include "lib/core/bytes.h"

#define MAGIC 0x314a4252u /* "RBJ1" */
#define CRC_AT 60u

/* Reads before something that may be torn is believed. A doubtful bit reads right half of the time, and a torn
 * record has many. */
#define LOOKS 8

bool
rb_record_valid(const struct rb_record *record)
{
    if (record->active > RB_SLOT_B || record->cause < 1 || record->cause > RB_CAUSE_MAX) {
        return false;
    }
    if (record->trial == RB_SLOT_NONE) {
        return record->tries_left == 0;
    }
    return record->trial <= RB_SLOT_B && record->trial != record->active && record->tries_left <= RB_TRIES_MAX;
}

static void
encode(const struct rb_record *record, uint8_t raw[RB_RECORD_LEN])
{
    struct rb_writer w = rb_writer_of(raw, RB_RECORD_LEN);

    rb_write_u32(&w, MAGIC);
    rb_write_u32(&w, record->seq);
    rb_write_u32(&w, record->floor);
    rb_write_u8(&w, record->active);
    rb_write_u8(&w, record->trial);
    rb_write_u8(&w, record->tries_left);
    rb_write_u8(&w, record->cause);
    rb_write_bytes(&w, record->active_digest, RB_RECORD_DIGEST_LEN);
    rb_write_bytes(&w, record->trial_digest, RB_RECORD_DIGEST_LEN);
    rb_write_zeros(&w, w.left - 4);
    rb_write_u32(&w, rb_crc32(0, raw, CRC_AT));
}

static bool
decode(const uint8_t raw[RB_RECORD_LEN], struct rb_record *out)
{
    struct rb_reader r = rb_reader_of(raw, RB_RECORD_LEN);
    struct rb_record record;

    uint32_t magic = rb_read_u32(&r);
    record.seq = rb_read_u32(&r);
    record.floor = rb_read_u32(&r);
    record.active = rb_read_u8(&r);
    record.trial = rb_read_u8(&r);
    record.tries_left = rb_read_u8(&r);
    record.cause = rb_read_u8(&r);
    rb_read_copy(&r, record.active_digest, RB_RECORD_DIGEST_LEN);
    rb_read_copy(&r, record.trial_digest, RB_RECORD_DIGEST_LEN);
    bool zeros = rb_read_zeros(&r, r.left - 4);
    uint32_t crc = rb_read_u32(&r);

    if (r.bad || magic != MAGIC || crc != rb_crc32(0, raw, CRC_AT) || !zeros || !rb_record_valid(&record)) {
        return false;
    }
    *out = record;
    return true;
}

/* Serial number arithmetic (RFC 1982): right as long as the journal spans less than 2^31 records. */
static bool
newer(uint32_t a, uint32_t b)
{
    uint32_t ahead = a - b;

    return ahead != 0 && ahead < 0x80000000u;
}

static bool
same_state(const struct rb_record *a, const struct rb_record *b)
{
    struct rb_record b_here = *b;
    uint8_t x[RB_RECORD_LEN];
    uint8_t y[RB_RECORD_LEN];

    b_here.seq = a->seq;
    encode(a, x);
    encode(&b_here, y);
    return rb_equal(x, y, sizeof x);
}

enum look { BLANK, VALID, GARBAGE };

/* A position that cannot be read is garbage: on flash with ECC that is what a tear looks like. */
static enum look
look_at(const struct rb_journal *j, uint32_t address, struct rb_record *out)
{
    uint8_t raw[RB_RECORD_LEN];

    if (j->flash->read(j->flash->ctx, address, raw, sizeof raw) != RB_OK) {
        return GARBAGE;
    }
    if (rb_all(raw, sizeof raw, j->flash->erased)) {
        return BLANK;
    }
    return decode(raw, out) ? VALID : GARBAGE;
}

/* Whether every one of several reads shows `record` at `address`. */
static bool
steady(const struct rb_journal *j, uint32_t address, const struct rb_record *record)
{
    uint8_t want[RB_RECORD_LEN];
    uint8_t got[RB_RECORD_LEN];

    encode(record, want);
    for (int i = 0; i < LOOKS; i++) {
        if (j->flash->read(j->flash->ctx, address, got, sizeof got) != RB_OK || !rb_equal(want, got, sizeof got)) {
            return false;
        }
    }
    return true;
}

static bool
steadily_blank(const struct rb_journal *j, uint32_t address)
{
    struct rb_record unused;

    for (int i = 0; i < LOOKS; i++) {
        if (look_at(j, address, &unused) != BLANK) {
            return false;
        }
    }
    return true;
}

struct found {
    bool any;
    struct rb_record record;
    uint32_t address;
};

/* The newest record that reads valid, of those older than `than` (NULL: of all). */
static void
find_newest(const struct rb_journal *j, const struct found *than, struct found *out)
{
    struct found here = {.any = true};

    out->any = false;
    for (int s = 0; s < 2; s++) {
        for (uint32_t at = 0; at < j->flash->sector_size; at += RB_RECORD_LEN) {
            here.address = j->sector[s] + at;
            if (look_at(j, here.address, &here.record) == VALID
                && (than == NULL || newer(than->record.seq, here.record.seq))
                && (!out->any || newer(here.record.seq, out->record.seq))) {
                *out = here;
            }
        }
    }
}

/* The same of the records that read valid every time. One that does not is a tear, and nobody has been told that it
 * is there: taking it for garbage, always, keeps everyone who reads the journal of one mind. */
static void
find_newest_steady(const struct rb_journal *j, const struct found *than, struct found *out)
{
    find_newest(j, than, out);
    for (int i = 0; out->any && !steady(j, out->address, &out->record); i++) {
        struct found unsteady = *out;
        find_newest(j, &unsteady, out);
        if (i == LOOKS) { /* more tears in a row than power cuts can make: serial numbers may go round in circles */
            out->any = false;
        }
    }
}

/* The sector, 0 or 1, that `address` lies in. */
static unsigned
sector_of(const struct rb_journal *j, uint32_t address)
{
    return address - j->sector[0] < j->flash->sector_size ? 0 : 1;
}

/* How many positions behind `address` in its sector have been used; *room: where the first blank one is. */
static uint32_t
used_behind(const struct rb_journal *j, uint32_t address, bool *full, uint32_t *room)
{
    uint32_t end = j->sector[sector_of(j, address)] + j->flash->sector_size;
    uint32_t used = 0;

    for (uint32_t at = address + RB_RECORD_LEN; at < end; at += RB_RECORD_LEN) {
        if (steadily_blank(j, at)) {
            *full = false;
            *room = at;
            return used;
        }
        used++;
    }
    *full = true;
    return used;
}

/* Whether an append after `newest` was cut, as far as one can see: something stands where the next record belongs. */
static bool
torn_append_seen(const struct rb_journal *j, uint32_t newest)
{
    bool full = false;
    uint32_t room = 0;
    struct rb_record unused;

    if (used_behind(j, newest, &full, &room) > 0) {
        return true;
    }
    return full && look_at(j, j->sector[1 - sector_of(j, newest)], &unused) == GARBAGE;
}

rb_err
rb_journal_load(const struct rb_journal *j, struct rb_journal_view *out)
{
    struct found first;
    struct found second;

    find_newest_steady(j, NULL, &first);
    if (!first.any) {
        return RB_ERR_JOURNAL_NONE;
    }
    find_newest_steady(j, &first, &second);
    out->record = first.record;
    out->address = first.address;
    out->doubtful = !second.any || !same_state(&first.record, &second.record) || torn_append_seen(j, first.address);
    return RB_OK;
}

static rb_err
program_and_check(const struct rb_journal *j, uint32_t address, const struct rb_record *record)
{
    uint8_t raw[RB_RECORD_LEN];

    encode(record, raw);
    RB_TRY(j->flash->program(j->flash->ctx, address, raw, sizeof raw));
    return steady(j, address, record) ? RB_OK : RB_ERR_FLASH_VERIFY;
}

/* Try the positions from `at` to the end of the sector until one keeps the record. Each try has a serial number of its
 * own, so a position that failed can never tie with the one that did not. */
static rb_err
append_in_sector(const struct rb_journal *j, uint32_t at, uint32_t end, struct rb_record *record)
{
    rb_err err = RB_ERR_FLASH_VERIFY;

    for (; at < end; at += RB_RECORD_LEN, record->seq++) {
        if (!steadily_blank(j, at)) {
            continue;
        }
        err = program_and_check(j, at, record);
        if (err == RB_OK || err == RB_ERR_FLASH_POWER) {
            return err;
        }
    }
    return err;
}

static rb_err
append_in_erased_sector(const struct rb_journal *j, unsigned sector, struct rb_record *record)
{
    uint32_t start = j->sector[sector];

    RB_TRY(j->flash->erase(j->flash->ctx, start));
    return append_in_sector(j, start, start + j->flash->sector_size, record);
}

/* Nothing valid anywhere: no sector is worth keeping, but one that reads as blank or garbage goes first. */
static rb_err
append_first(const struct rb_journal *j, struct rb_record *record)
{
    uint8_t probe[RB_RECORD_LEN];
    unsigned sector = j->flash->read(j->flash->ctx, j->sector[0], probe, sizeof probe) == RB_OK ? 0 : 1;

    record->seq = 1;
    rb_err err = append_in_erased_sector(j, sector, record);
    return err == RB_OK || err == RB_ERR_FLASH_POWER ? err : append_in_erased_sector(j, 1 - sector, record);
}

rb_err
rb_journal_append(const struct rb_journal *j, const struct rb_record *record)
{
    struct rb_record next = *record;
    struct found newest;
    bool full = false;
    uint32_t room = 0;

    if (!rb_record_valid(record)) {
        return RB_ERR_ARG;
    }
    find_newest_steady(j, NULL, &newest);
    if (!newest.any) {
        return append_first(j, &next);
    }
    if (next.floor < newest.record.floor) {
        return RB_ERR_ARG;
    }
    next.seq = newest.record.seq + 1 + used_behind(j, newest.address, &full, &room);
    unsigned sector = sector_of(j, newest.address);
    if (!full) {
        rb_err err = append_in_sector(j, room, j->sector[sector] + j->flash->sector_size, &next);
        if (err == RB_OK || err == RB_ERR_FLASH_POWER) {
            return err;
        }
    }
    return append_in_erased_sector(j, 1 - sector, &next);
}

/* --- the agent's transitions ----------------------------------------------------------------------------------- */

static bool
names(const uint8_t record_digest[RB_RECORD_DIGEST_LEN], const uint8_t image_digest[32])
{
    return rb_equal(record_digest, image_digest, RB_RECORD_DIGEST_LEN);
}

/* The state is what was asked for already: nothing to write once it is settled. */
static rb_err
settle(const struct rb_journal *j, const struct rb_journal_view *view)
{
    return view->doubtful ? rb_journal_append(j, &view->record) : RB_OK;
}

static rb_err
end_trial(const struct rb_journal *j, const struct rb_record *from, uint8_t cause, bool keep_digest)
{
    struct rb_record next = *from;

    next.trial = RB_SLOT_NONE;
    next.tries_left = 0;
    next.cause = cause;
    if (!keep_digest) {
        rb_fill(next.trial_digest, 0, sizeof next.trial_digest);
    }
    return rb_journal_append(j, &next);
}

rb_err
rb_journal_arm(const struct rb_journal *j, uint8_t slot, const uint8_t image_digest[32], uint8_t tries)
{
    struct rb_journal_view view;

    if (slot > RB_SLOT_B || tries < RB_TRIES_MIN || tries > RB_TRIES_MAX) {
        return RB_ERR_ARG;
    }
    RB_TRY(rb_journal_load(j, &view));
    struct rb_record next = view.record;
    if (slot == next.active) {
        return RB_ERR_JOURNAL_STATE;
    }
    if (next.trial != RB_SLOT_NONE) {
        if (next.cause != RB_CAUSE_ARMED) {
            return RB_ERR_JOURNAL_STATE; /* it has begun: arming again would give it tries it does not have */
        }
        if (names(next.trial_digest, image_digest) && next.tries_left == tries) {
            return settle(j, &view);
        }
    }
    next.trial = slot;
    next.tries_left = tries;
    next.cause = RB_CAUSE_ARMED;
    rb_copy(next.trial_digest, image_digest, RB_RECORD_DIGEST_LEN);
    return rb_journal_append(j, &next);
}

rb_err
rb_journal_confirm(const struct rb_journal *j, const uint8_t image_digest[32], uint32_t security_counter)
{
    struct rb_journal_view view;

    RB_TRY(rb_journal_load(j, &view));
    struct rb_record next = view.record;
    if (next.trial == RB_SLOT_NONE) {
        return names(next.active_digest, image_digest) ? settle(j, &view) : RB_ERR_JOURNAL_STATE;
    }
    if (!names(next.trial_digest, image_digest)) {
        return RB_ERR_JOURNAL_STATE;
    }
    next.active = next.trial;
    rb_copy(next.active_digest, next.trial_digest, RB_RECORD_DIGEST_LEN);
    if (security_counter > next.floor) {
        next.floor = security_counter;
    }
    return end_trial(j, &next, RB_CAUSE_CONFIRMED, false);
}

rb_err
rb_journal_reject(const struct rb_journal *j, const uint8_t image_digest[32])
{
    struct rb_journal_view view;

    RB_TRY(rb_journal_load(j, &view));
    if (!names(view.record.trial_digest, image_digest)) {
        return RB_ERR_JOURNAL_STATE;
    }
    if (view.record.trial == RB_SLOT_NONE) {
        return view.record.cause == RB_CAUSE_REJECTED ? settle(j, &view) : RB_ERR_JOURNAL_STATE;
    }
    return end_trial(j, &view.record, RB_CAUSE_REJECTED, true);
}

rb_err
rb_journal_cancel(const struct rb_journal *j)
{
    struct rb_journal_view view;

    RB_TRY(rb_journal_load(j, &view));
    if (view.record.trial == RB_SLOT_NONE) {
        return RB_OK;
    }
    return view.record.cause == RB_CAUSE_ARMED ? end_trial(j, &view.record, RB_CAUSE_CANCELLED, false)
                                               : RB_ERR_JOURNAL_STATE;
}

const char *
rb_cause_name(uint8_t cause)
{
    static const char *const name[] = {
        [RB_CAUSE_FACTORY] = "factory",
        [RB_CAUSE_ARMED] = "armed",
        [RB_CAUSE_TRY] = "try",
        [RB_CAUSE_CONFIRMED] = "confirmed",
        [RB_CAUSE_REJECTED] = "rejected",
        [RB_CAUSE_TRIES_USED_UP] = "tries-used-up",
        [RB_CAUSE_TRIAL_INVALID] = "trial-invalid",
        [RB_CAUSE_ACTIVE_INVALID] = "active-invalid",
        [RB_CAUSE_JOURNAL_LOST] = "journal-lost",
        [RB_CAUSE_CANCELLED] = "cancelled",
    };

    return cause >= 1 && cause <= RB_CAUSE_MAX ? name[cause] : "unknown";
}
