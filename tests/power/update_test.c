/* SPDX-License-Identifier: Apache-2.0
 *
 * A device lives through an update, and the power goes in every flash operation, in every way an operation can tear;
 * then again in every operation of what follows. Loader, journal and image code are the real ones; the agent is the
 * few lines below. What must hold at each boot stands in check_boot, what must come out in the end in check_end.
 *
 * The first cut tries every tear, the later ones some for each operation, so that all come up. RB_FULL=1 tries every
 * tear for both cuts of an installation, and goes a third cut deep where only the journal is written.
 */
#include "ota/writer.h"
#include "tests/support/device.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>

#define TRIES 3

/* --- signatures, remembered ------------------------------------------------------------------------------------- */

/* One update is verified a hundred thousand times. rb_p256_verify is a pure function: the linker puts this one in
 * front (tests/module.mk), which asks the real one once for each input. */
rb_err __real_rb_p256_verify(const uint8_t *key, const uint8_t *digest, const uint8_t *signature);
rb_err __wrap_rb_p256_verify(const uint8_t *key, const uint8_t *digest, const uint8_t *signature);

rb_err
__wrap_rb_p256_verify(const uint8_t *key, const uint8_t *digest, const uint8_t *signature)
{
    static struct {
        uint8_t input[RB_P256_KEY_LEN + RB_SHA256_LEN + RB_P256_SIGNATURE_LEN];
        rb_err err;
    } known[64];
    static unsigned count;
    uint8_t input[sizeof known[0].input];

    memcpy(input, key, RB_P256_KEY_LEN);
    memcpy(input + RB_P256_KEY_LEN, digest, RB_SHA256_LEN);
    memcpy(input + RB_P256_KEY_LEN + RB_SHA256_LEN, signature, RB_P256_SIGNATURE_LEN);
    for (unsigned i = 0; i < count; i++) {
        if (memcmp(known[i].input, input, sizeof input) == 0) {
            return known[i].err;
        }
    }
    rb_err err = __real_rb_p256_verify(key, digest, signature);
    if (count < sizeof known / sizeof known[0]) {
        memcpy(known[count].input, input, sizeof input);
        known[count++].err = err;
    }
    return err;
}

/* --- the world -------------------------------------------------------------------------------------------------- */

enum plan {
    HEALTHY, /* version 2 works and is confirmed */
    CRASHES, /* version 2 never gets as far as saying anything */
    REJECTS, /* version 2 finds that it does not work */
};

static struct device_image v1; /* active in slot A, counter 1 = floor */
static struct device_image v2; /* the update, counter 2 */
static enum plan plan;

struct world {
    struct device d;
    unsigned starts;      /* of version 2 on trial, since it was armed */
    bool confirm_kept;    /* a confirm returned RB_OK */
    bool reject_kept;     /* a reject returned RB_OK */
    bool rested;
    bool done;
};

static unsigned long runs;
static unsigned long boots;

/* The cuts of the life under way, for the message when a promise breaks. */
static struct {
    uint64_t operation;
    int tear;
    uint64_t seed;
} cuts[4];

#define HOLDS(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            for (int cut_ = 0; cut_ < 4; cut_++) {                                                                     \
                printf("cut %d: operation %llu tear %d seed %llu\n", cut_, (unsigned long long)cuts[cut_].operation,   \
                       cuts[cut_].tear, (unsigned long long)cuts[cut_].seed);                                          \
            }                                                                                                          \
            test_fail(__FILE__, __LINE__, "%s", #condition);                                                           \
        }                                                                                                              \
    } while (0)

static bool
runs_image(const struct world *w, const struct device_image *image)
{
    return memcmp(w->d.handoff.image.digest, image->parsed.digest, RB_SHA256_LEN) == 0;
}

static bool
record_names(const struct rb_record *r, const struct device_image *image)
{
    return memcmp(r->trial_digest, image->parsed.digest, RB_RECORD_DIGEST_LEN) == 0;
}

/* --- what must hold --------------------------------------------------------------------------------------------- */

static void
check_boot(struct world *w)
{
    const struct rb_handoff *h = &w->d.handoff;
    const struct device_image *image = runs_image(w, &v1) ? &v1 : &v2;

    boots++;
    HOLDS(w->d.flash.rule_breaks == 0);
    /* What runs is what was verified, byte for byte one of the two good images. */
    HOLDS(runs_image(w, image));
    HOLDS(memcmp(h->body, image->data + RB_IMAGE_BODY_OFFSET, image->parsed.body_len) == 0);
    HOLDS(h->image.security_counter >= h->floor);
    /* The floor rises with the confirm and not before (TRUST-05, POWER-04). */
    HOLDS(h->floor == (image == &v2 && !h->trial ? 2 : 1));
    HOLDS(!w->confirm_kept || (image == &v2 && !h->trial));
    HOLDS(!w->reject_kept || image == &v1);
    if (image == &v2 && h->trial) {
        HOLDS(++w->starts <= TRIES); /* POWER-12 */
        HOLDS(h->tries_left <= TRIES - w->starts);
    }
    if (plan != HEALTHY) {
        HOLDS(image == &v1 || h->trial);
    }
    HOLDS(h->cause != RB_CAUSE_TRIAL_INVALID && h->cause != RB_CAUSE_ACTIVE_INVALID);
    HOLDS(h->cause != RB_CAUSE_JOURNAL_LOST);
}

static void
check_end(struct world *w)
{
    struct rb_record r = device_record(&w->d);
    uint64_t ops = w->d.flash.ops;

    HOLDS(r.trial == RB_SLOT_NONE);
    HOLDS(r.active == (plan == HEALTHY ? RB_SLOT_B : RB_SLOT_A));
    if (plan == CRASHES) {
        HOLDS(r.cause == RB_CAUSE_TRIES_USED_UP && record_names(&r, &v2));
    }
    if (plan == REJECTS) {
        HOLDS((r.cause == RB_CAUSE_REJECTED || r.cause == RB_CAUSE_TRIES_USED_UP) && record_names(&r, &v2));
    }
    /* The state is settled. A doubtful bit may ask for one record more, but then boots write nothing. */
    w->d.flash.cut_at = 0;
    for (int i = 0; i < 4; i++) {
        CHECK_OK(device_boot(&w->d));
        check_boot(w);
    }
    HOLDS(w->d.flash.ops <= ops + 2);
    ops = w->d.flash.ops;
    for (int i = 0; i < 4; i++) {
        CHECK_OK(device_boot(&w->d));
        check_boot(w);
    }
    HOLDS(w->d.flash.ops == ops);
}

/* --- the agent -------------------------------------------------------------------------------------------------- */

static rb_err
put(void *ctx, uint32_t offset, const uint8_t *data, uint32_t len)
{
    (void)offset;
    return ota_writer_put(ctx, data, len);
}

static rb_err
reread(void *ctx, uint32_t offset, uint8_t *out, uint32_t len)
{
    return ota_writer_get(ctx, offset, out, len);
}

/* Write version 2 to slot B with the agent's writer, which goes on where an earlier attempt ended. */
static rb_err
install(struct device *d)
{
    static struct rb_image_stream stream;
    static uint8_t scratch[RB_IMAGE_CHUNK_LEN];
    static uint8_t sector[65536];
    const struct rb_image_keys keys = device_keys();
    const struct rb_image_policy policy = device_policy(d, RB_SLOT_B, 1);
    uint32_t slot = d->config.slot[RB_SLOT_B];
    struct ota_writer writer;
    struct rb_image image;

    CHECK(d->config.sector_size <= sizeof sector);
    ota_writer_init(&writer, &d->guarded, slot, d->config.slot_size, 0, sector);
    rb_image_stream_init(&stream, &keys, &policy, put, reread, &writer);
    RB_TRY(rb_image_stream_feed(&stream, v2.data, RB_IMAGE_HEADER_LEN));
    RB_TRY(rb_image_stream_feed(&stream, v2.data + RB_IMAGE_BODY_OFFSET, v2.parsed.body_len));
    RB_TRY(rb_image_stream_finish(&stream));
    RB_TRY(ota_writer_finish(&writer));
    return rb_image_slot_verify(&d->guarded, slot, &keys, &policy, scratch, &image);
}

/* What the program that runs does before the next reset. */
static rb_err
agent(struct world *w)
{
    struct device *d = &w->d;
    const uint8_t *digest = v2.parsed.digest;

    if (runs_image(w, &v2) && d->handoff.trial) {
        if (plan == HEALTHY) {
            RB_TRY(rb_journal_confirm(&d->journal, digest, v2.parsed.security_counter));
            w->confirm_kept = true;
        } else if (plan == REJECTS) {
            RB_TRY(rb_journal_reject(&d->journal, digest));
            w->reject_kept = true;
        }
        return RB_OK;
    }
    struct rb_record r = device_record(d);
    CHECK(r.trial == RB_SLOT_NONE);
    if (runs_image(w, &v2) || (plan != HEALTHY && record_names(&r, &v2))) {
        w->done = w->rested; /* done, or failed here and not tried again: rest for one more boot */
        w->rested = true;
        return RB_OK;
    }
    RB_TRY(install(d));
    RB_TRY(rb_journal_arm(&d->journal, RB_SLOT_B, digest, TRIES));
    w->starts = 0;
    return RB_OK;
}

/* Boot, act, boot again ... until there is nothing left to do (true) or the power goes (false). */
static bool
live(struct world *w)
{
    for (int i = 0; i < 12; i++) {
        rb_err err = device_boot(&w->d);
        if (err == RB_OK) {
            check_boot(w);
            err = agent(w);
        }
        if (!w->d.flash.powered) {
            return false;
        }
        CHECK_OK(err);
        if (w->done) {
            check_end(w);
            return true;
        }
    }
    test_fail(__FILE__, __LINE__, "the device does not come to rest");
}

/* --- the sweep -------------------------------------------------------------------------------------------------- */

/* Which tears to try in operation `n` of a life that has been cut `depth` times. */
static bool
wanted(int depth, int thin_from, uint64_t n, int tear)
{
    return depth < thin_from || (uint64_t)tear == (n + runs) % RB_TEAR_COUNT || tear == RB_TEAR_MARGINAL;
}

static void
sweep(const struct world *start, int depth, int depth_max, int thin_from)
{
    bool cut = true;

    for (uint64_t n = 1; cut; n++) {
        cut = false;
        for (int tear = 0; tear < RB_TEAR_COUNT; tear++) {
            if (!wanted(depth, thin_from, n, tear)) {
                continue;
            }
            struct world *w = malloc(sizeof *w);
            CHECK(w != NULL);
            *w = *start;
            device_clone(&w->d, &start->d);
            w->d.flash.cut_at = depth < depth_max ? w->d.flash.ops + n : 0;
            w->d.flash.tear = (enum rb_tear)tear;
            w->d.flash.seed = runs++;
            cuts[depth].operation = w->d.flash.cut_at != 0 ? n : 0;
            cuts[depth].tear = tear;
            cuts[depth].seed = w->d.flash.seed;
            if (!live(w)) {
                cut = true;
                rb_flashfile_power_on(&w->d.flash);
                sweep(w, depth + 1, depth_max, thin_from);
            }
            device_free(&w->d);
            free(w);
            if (depth == depth_max) {
                return; /* not cut any more: one life is like the other */
            }
        }
    }
}

/* Hashing bodies is most of a sweep's time: they are as short as what is tested allows. */
static void
make_version(struct device_image *out, const char *version, uint32_t security_counter, uint32_t body_len)
{
    uint8_t body[DEVICE_BODY_LEN];
    const struct forge_image_spec spec = {
        .version = version, .hardware = {DEVICE_HARDWARE}, .hardware_count = 1, .security_counter = security_counter};

    device_body((uint8_t)security_counter, body);
    device_image_of(out, &spec, body, body_len, 0);
}

static void
start_world(struct world *w, uint32_t sector_size, uint32_t program_unit, uint32_t body_len, unsigned records_before)
{
    struct device_image v0; /* what lies in the idle slot: an older version, below the floor */

    device_free(&w->d);
    memset(w, 0, sizeof *w);
    make_version(&v0, "0.9", 0, body_len);
    make_version(&v1, "1.0", 1, body_len);
    make_version(&v2, "2.0", 2, body_len);
    device_init(&w->d, sector_size, program_unit);
    device_put(&w->d, RB_SLOT_A, &v1);
    device_put(&w->d, RB_SLOT_B, &v0);
    device_factory(&w->d, &v1, 1);
    struct rb_record r = device_record(&w->d);
    for (unsigned i = 0; i < records_before; i++) {
        CHECK_OK(rb_journal_append(&w->d.journal, &r));
    }
}

static bool
full(void)
{
    return getenv("RB_FULL") != NULL;
}

static void
report(unsigned long at_least)
{
    printf("note: %lu runs, %lu boots\n", runs, boots);
    CHECK(runs >= at_least);
}

static struct world world;

/* Two cuts anywhere in install, arm, trial, confirm. */
static void
sweep_install(uint32_t sector_size, uint32_t program_unit, unsigned long at_least)
{
    plan = HEALTHY;
    start_world(&world, sector_size, program_unit, RB_IMAGE_CHUNK_LEN + 100, 1);
    sweep(&world, 0, 2, full() ? 9 : 1);
    report(at_least);
}

TEST(POWER_01_POWER_02_update_survives_two_cuts_anywhere)
{
    sweep_install(4096, 8, 4000);
}

TEST(POWER_01_POWER_02_update_survives_two_cuts_with_sectors_smaller_than_chunks)
{
    sweep_install(2048, 32, 8000);
}

/* From here on the update lies in its slot already, so only the journal is written, and its sectors hold four records:
 * every transition comes to stand before, at and behind the change of sectors. */
static void
sweep_journal(enum plan p, int depth, unsigned long at_least)
{
    plan = p;
    for (unsigned before = 1; before <= 8; before++) {
        start_world(&world, 256, 8, 100, before);
        device_put(&world.d, RB_SLOT_B, &v2);
        sweep(&world, 0, full() ? depth + 1 : depth, 1);
    }
    report(at_least);
}

TEST(POWER_04_POWER_11_confirm_survives_two_cuts_at_every_journal_position)
{
    sweep_journal(HEALTHY, 2, 9000);
}

TEST(POWER_03_POWER_12_fall_back_survives_two_cuts_at_every_journal_position)
{
    sweep_journal(CRASHES, 2, 15000);
}

TEST(POWER_03_reject_survives_two_cuts_at_every_journal_position)
{
    sweep_journal(REJECTS, 2, 9000);
}

/* No cut at all: the shortest story, and what it costs. */
TEST(update_without_a_cut_costs_few_journal_writes)
{
    plan = HEALTHY;
    start_world(&world, 4096, 8, 100, 1);
    device_put(&world.d, RB_SLOT_B, &v2);
    uint64_t ops = world.d.flash.ops;
    CHECK(live(&world));
    CHECK(world.d.flash.ops == ops + 4); /* armed, try, confirmed, settled */
}
