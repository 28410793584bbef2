/* SPDX-License-Identifier: Apache-2.0 */
#include "bootloader/core/boot.h"

#include "lib/core/bytes.h"

/* Two checks, and each slot can fail once more when its record cannot be stored or its second reading differs. */
#define ROUNDS_MAX 8

struct boot {
    const struct rb_port *port;
    const struct rb_loader_config *config;
    uint8_t *scratch;
    struct rb_journal journal;
    struct rb_journal_view view;
    bool has_record;
    struct rb_slot_facts facts[2];
    struct rb_image image[2]; /* of slots that are GOOD */
    uint8_t *area[2];         /* where their bodies are; NULL: in place */
    uint8_t loaded;           /* slot whose body was copied last; areas may overlap */
};

static void
tell(const struct boot *b, struct rb_boot_event event)
{
    if (b->port->event != NULL) {
        b->port->event(b->port->ctx, &event);
    }
}

static void
load_record(struct boot *b)
{
    b->has_record = rb_journal_load(&b->journal, &b->view) == RB_OK;
}

/* --- verify ----------------------------------------------------------------------------------------------------- */

static rb_err
verify(struct boot *b, uint8_t slot, struct rb_image *image)
{
    const struct rb_flash *flash = b->port->flash;
    const struct rb_image_keys keys = {b->config->key, b->config->key_count};
    const struct rb_image_policy policy = {
        .hardware = b->config->hardware,
        .floor = b->has_record ? b->view.record.floor : 0,
        .slot_size = b->config->slot_size,
        .type = RB_IMAGE_APP,
        .slot = slot,
    };

    RB_TRY(rb_image_slot_header(flash, b->config->slot[slot], &keys, &policy, image));
    b->area[slot] = NULL;
    if (b->port->load_area != NULL) {
        RB_TRY(b->port->load_area(b->port->ctx, slot, image, &b->area[slot]));
    }
    b->loaded = slot;
    return rb_image_slot_load(flash, b->config->slot[slot], image, b->scratch, b->area[slot]);
}

/* Learn the facts about a slot. Only a power cut is an error: anything else is a verdict. */
static rb_err
check(struct boot *b, uint8_t slot)
{
    struct rb_slot_facts *facts = &b->facts[slot];
    struct rb_image *image = &b->image[slot];
    rb_err err = verify(b, slot, image);

    if (err == RB_OK) {
        facts->verdict = RB_SLOT_GOOD;
        facts->security_counter = image->security_counter;
        rb_copy(facts->digest, image->digest, sizeof facts->digest);
        tell(b, (struct rb_boot_event){.kind = RB_BOOT_VERIFIED, .slot = slot, .image = image});
        return RB_OK;
    }
    facts->verdict = RB_SLOT_BAD;
    tell(b, (struct rb_boot_event){.kind = RB_BOOT_REFUSED, .slot = slot, .err = err});
    return err == RB_ERR_FLASH_POWER ? err : RB_OK;
}

/* --- start ------------------------------------------------------------------------------------------------------ */

/* Checking the other slot may have taken the memory this one was copied to: then it is read, and verified, again. */
static rb_err
make_loaded(struct boot *b, uint8_t slot)
{
    uint8_t digest[RB_RECORD_DIGEST_LEN];

    if (b->loaded == slot) {
        return RB_OK;
    }
    rb_copy(digest, b->facts[slot].digest, sizeof digest);
    RB_TRY(check(b, slot));
    if (!rb_equal(digest, b->facts[slot].digest, sizeof digest)) {
        b->facts[slot].verdict = RB_SLOT_BAD;
    }
    return RB_OK;
}

static rb_err
store(struct boot *b, const struct rb_step *step)
{
    rb_err err = rb_journal_append(&b->journal, &step->record);

    if (err == RB_ERR_FLASH_POWER) {
        return err;
    }
    if (err != RB_OK) {
        tell(b, (struct rb_boot_event){.kind = RB_BOOT_NOT_STORED, .err = err, .record = &step->record});
        if (step->append_or_skip) {
            b->facts[step->slot].verdict = RB_SLOT_BAD;
        }
        return RB_OK;
    }
    load_record(b);
    tell(b, (struct rb_boot_event){.kind = RB_BOOT_STORED, .record = &b->view.record});
    return RB_OK;
}

/* Everything before the jump, in this order: the bytes are in place, the try is counted, the watchdog runs.
 * *started stays false when the slot turned out not to be startable. */
static rb_err
start(struct boot *b, const struct rb_step *step, struct rb_handoff *out, bool *started)
{
    uint8_t slot = step->slot;

    RB_TRY(make_loaded(b, slot));
    if (b->facts[slot].verdict == RB_SLOT_GOOD && step->append) {
        RB_TRY(store(b, step));
    }
    if (b->facts[slot].verdict != RB_SLOT_GOOD) {
        return RB_OK;
    }
    *out = (struct rb_handoff){
        .slot = slot,
        .trial = step->record.trial == slot,
        .tries_left = step->record.tries_left,
        .cause = step->record.cause,
        .floor = step->record.floor,
        .record_seq = b->has_record ? b->view.record.seq : 0,
        .image = b->image[slot],
        .body = b->area[slot],
    };
    tell(b, (struct rb_boot_event){.kind = RB_BOOT_START, .slot = slot, .record = &step->record,
                                   .image = &b->image[slot]});
    if (b->port->watchdog_start != NULL) {
        b->port->watchdog_start(b->port->ctx);
    }
    *started = true;
    return RB_OK;
}

rb_err
rb_boot(const struct rb_port *port, const struct rb_loader_config *config, uint8_t *scratch, struct rb_handoff *out)
{
    struct boot b = {
        .port = port,
        .config = config,
        .scratch = scratch,
        .journal = {port->flash, {config->journal[0], config->journal[1]}},
        .loaded = RB_SLOT_NONE,
    };
    bool started = false;

    load_record(&b);
    tell(&b, (struct rb_boot_event){.kind = b.has_record ? RB_BOOT_RECORD : RB_BOOT_NO_RECORD,
                                    .record = b.has_record ? &b.view.record : NULL});
    /* Decisions are made on the state this boot began with: storing a record is their effect, not their cause. */
    const struct rb_journal_view begin = b.view;
    const struct rb_journal_view *view = b.has_record ? &begin : NULL;
    for (int round = 0; round < ROUNDS_MAX && !started; round++) {
        struct rb_step step;
        rb_policy_decide(view, b.facts, &step);
        if (step.kind == RB_STEP_HALT) {
            break;
        }
        RB_TRY(step.kind == RB_STEP_CHECK ? check(&b, step.slot) : start(&b, &step, out, &started));
    }
    if (!started) {
        tell(&b, (struct rb_boot_event){.kind = RB_BOOT_HALT});
        return RB_ERR_NOT_FOUND;
    }
    return RB_OK;
}
