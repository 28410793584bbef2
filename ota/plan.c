/* SPDX-License-Identifier: Apache-2.0 */
#include "ota/plan.h"

#include "lib/host/fail.h"
#include "lib/tuf/release.h"
#include "ota/state.h"

#include <stdio.h>
#include <string.h>

/* One walk over the targets; it is made twice: first to find the release, then to collect its payloads. */
struct walk {
    struct ota_device *d;
    const struct ota_wish *wish;
    struct ota_plan *plan;
    bool any_other_hardware;
};

/* Whether the target is a payload for this device's component, of the version asked for; then `f` is filled. */
static bool
is_ours(struct walk *w, const struct rb_tuf_target *target, struct rb_release_target *f)
{
    const char *kind = json_string_value(json_object_get(target->custom, "kind"));

    if (kind == NULL || strcmp(kind, "payload") != 0) {
        return false;
    }
    if (rb_release_parse(target->custom, f) != RB_OK) {
        /* Signed, but for programs that know more than this one: as if it were not there. */
        ota_event(w->d, "warn", "plan.skip", "target=%s detail=\"%s\"", target->name, rb_fail_detail());
        rb_fail_clear();
        return false;
    }
    if (strcmp(f->component, w->d->settings.component) != 0
        || (w->wish->version != NULL && strcmp(f->version, w->wish->version) != 0)) {
        return false;
    }
    bool fits = rb_release_fits_hardware(f, w->d->config.hardware);
    w->any_other_hardware = w->any_other_hardware || !fits;
    return fits;
}

/* Whether the image may go to the idle slot: code that runs in place is linked for one slot. */
static bool
fits_slot(const struct ota_plan *plan, const struct rb_release_target *f)
{
    uint8_t linked_for = plan->idle == RB_SLOT_A ? RB_IMAGE_SLOT_A : RB_IMAGE_SLOT_B;

    return f->affinity == RB_IMAGE_ANY_SLOT || f->affinity == linked_for;
}

static rb_err
find_release(void *ctx, const struct rb_tuf_target *target)
{
    struct walk *w = ctx;
    struct ota_plan *plan = w->plan;
    struct rb_release_target f;

    if (!is_ours(w, target, &f) || f.release < plan->release) {
        return RB_OK;
    }
    if (f.release > plan->release) {
        plan->release = f.release;
        plan->up_to_date = false;
        plan->image_len = 0;
        (void)snprintf(plan->version, sizeof plan->version, "%s", f.version);
    }
    /* Of a release with an image for each slot, the installed one may be the other slot's. */
    plan->up_to_date =
        plan->up_to_date || rb_equal(f.image.digest, plan->installed.image.digest, sizeof f.image.digest);
    if (plan->image_len == 0 && fits_slot(plan, &f)) {
        plan->security_counter = f.security_counter;
        plan->image_len = f.image.length;
        memcpy(plan->image_sha256, f.image.sha256, sizeof plan->image_sha256);
        memcpy(plan->image_digest, f.image.digest, sizeof plan->image_digest);
    }
    return RB_OK;
}

/* Fewest bytes first; of more than fit the largest are left out. */
static void
insert(struct ota_plan *plan, const struct ota_candidate *c)
{
    unsigned at = plan->count;

    while (at > 0 && plan->candidate[at - 1].length > c->length) {
        at--;
    }
    if (at == OTA_CANDIDATES_MAX) {
        return;
    }
    unsigned last = plan->count < OTA_CANDIDATES_MAX ? plan->count++ : OTA_CANDIDATES_MAX - 1;
    memmove(&plan->candidate[at + 1], &plan->candidate[at], (last - at) * sizeof *c);
    plan->candidate[at] = *c;
}

static bool
fits_base(const struct ota_installed *now, const struct ota_candidate *c)
{
    return now->hashed && c->from_len == rb_image_compact_len(&now->image)
           && rb_equal(c->from_sha256, now->sha256, sizeof c->from_sha256);
}

static rb_err
judge(struct walk *w, struct ota_candidate *c)
{
    bool refused = false;
    char why[128];

    RB_TRY(ota_refused_find(w->d, c->header_sha256, &refused, why, sizeof why));
    if (refused && !w->wish->retry) {
        (void)snprintf(c->reason, sizeof c->reason, "failed before: %s", why);
    } else if (c->memory > w->d->settings.decoder_memory) {
        (void)snprintf(c->reason, sizeof c->reason, "needs %u bytes of memory, %llu are allowed", c->memory,
                       (unsigned long long)w->d->settings.decoder_memory);
    } else if (c->header_len > OTA_PAYLOAD_HEADER_MAX) {
        (void)snprintf(c->reason, sizeof c->reason, "segment table of %u bytes", c->header_len);
    } else {
        c->usable = true;
    }
    return RB_OK;
}

static rb_err
collect(void *ctx, const struct rb_tuf_target *target)
{
    struct walk *w = ctx;
    struct ota_candidate c;
    struct rb_release_target f;

    if (!is_ours(w, target, &f) || f.release != w->plan->release
        || !rb_equal(f.image.digest, w->plan->image_digest, sizeof f.image.digest)
        || strlen(target->name) >= sizeof c.target) {
        return RB_OK;
    }
    memset(&c, 0, sizeof c);
    (void)snprintf(c.target, sizeof c.target, "%s", target->name);
    c.length = target->length;
    memcpy(c.sha256, target->sha256, sizeof c.sha256);
    c.header_len = f.header.length;
    memcpy(c.header_sha256, f.header.sha256, sizeof c.header_sha256);
    c.memory = f.memory;
    c.delta = f.is_delta;
    if (f.is_delta) {
        c.from_len = f.from.length;
        memcpy(c.from_sha256, f.from.sha256, sizeof c.from_sha256);
        (void)snprintf(c.from_version, sizeof c.from_version, "%s", f.from.version);
        if (!fits_base(&w->plan->installed, &c)) {
            w->plan->other_deltas++;
            return RB_OK;
        }
    }
    RB_TRY(judge(w, &c));
    insert(w->plan, &c);
    return RB_OK;
}

/* SHA-256 of the compact form of the image that lies in the active slot, from the cache when it was hashed before. */
static rb_err
hash_installed(struct ota_device *d, struct ota_installed *now)
{
    uint8_t block[RB_IMAGE_CHUNK_LEN];
    struct rb_sha256 h;
    uint32_t len = rb_image_compact_len(&now->image);

    RB_TRY(ota_base_find(d, now->image.digest, &now->hashed, now->sha256));
    if (now->hashed) {
        return RB_OK;
    }
    rb_sha256_start(&h);
    for (uint32_t at = 0; at < len;) {
        uint32_t end = at < RB_IMAGE_HEADER_LEN ? RB_IMAGE_HEADER_LEN : len;
        uint32_t n = end - at < sizeof block ? end - at : (uint32_t)sizeof block;
        RB_TRY(rb_image_read_compact(&d->flash, d->config.slot[now->slot], at, block, n));
        rb_sha256_update(&h, block, n);
        at += n;
    }
    rb_sha256_finish(&h, now->sha256);
    now->hashed = true;
    return d->lock >= 0 ? ota_base_add(d, now->image.digest, now->sha256) : RB_OK;
}

static rb_err
read_installed(struct ota_device *d, struct ota_plan *plan)
{
    struct rb_record record;
    struct ota_slot slot;

    RB_TRY(ota_record(d, &record));
    if (record.trial != RB_SLOT_NONE) {
        return rb_fail(RB_ERR_AGENT_STATE, "an image is on trial: 'ota confirm' or 'ota rollback' ends it");
    }
    plan->installed.slot = record.active;
    plan->installed.floor = record.floor;
    plan->idle = record.active == RB_SLOT_A ? RB_SLOT_B : RB_SLOT_A;
    ota_slot_read(d, record.active, &slot);
    if (slot.err == RB_OK && ota_digest_is(record.active_digest, slot.image.digest)) {
        plan->installed.image = slot.image;
        return hash_installed(d, &plan->installed);
    }
    /* The loader decides what to do about a damaged active slot. Here it only means that no delta fits. */
    ota_event(d, "error", "slot.damaged", "slot=%c err=%s", ota_slot_name(record.active), rb_err_name(slot.err));
    return RB_OK;
}

static rb_err
admit(const struct ota_device *d, const struct ota_plan *plan)
{
    if (plan->security_counter < plan->installed.floor) {
        return rb_fail(RB_ERR_IMAGE_ROLLBACK, "%s has %u, the floor is %u", plan->version, plan->security_counter,
                       plan->installed.floor);
    }
    /* The length is the compact form's; in the slot the image needs its table and whole chunks as well. */
    uint64_t chunks = (plan->image_len - RB_IMAGE_HEADER_LEN + RB_IMAGE_CHUNK_LEN - 1) / RB_IMAGE_CHUNK_LEN;
    uint64_t needs = RB_IMAGE_BODY_OFFSET + chunks * (RB_IMAGE_CHUNK_LEN + RB_SHA256_LEN);
    if (plan->image_len <= RB_IMAGE_HEADER_LEN || needs > d->config.slot_size) {
        return rb_fail(RB_ERR_IMAGE_SIZE, "%s needs %llu bytes, the slot has %u", plan->version,
                       (unsigned long long)needs, d->config.slot_size);
    }
    return RB_OK;
}

static rb_err
choose(struct ota_plan *plan)
{
    plan->chosen = -1;
    for (unsigned i = 0; i < plan->count && plan->chosen < 0; i++) {
        if (plan->candidate[i].usable) {
            plan->chosen = (int)i;
        }
    }
    if (plan->chosen >= 0) {
        return RB_OK;
    }
    return rb_fail(RB_ERR_AGENT_NO_PAYLOAD, "%s%s%s", plan->version, plan->count > 0 ? ": " : "",
                   plan->count > 0 ? plan->candidate[plan->count - 1].reason : "");
}

static rb_err
no_release(const struct walk *w)
{
    if (w->any_other_hardware) {
        return rb_fail(RB_ERR_IMAGE_HARDWARE, "no release for %s", w->d->config.hardware);
    }
    if (w->wish->version != NULL) {
        return rb_fail(RB_ERR_NOT_FOUND, "no release has version %s", w->wish->version);
    }
    return rb_fail(RB_ERR_AGENT_NO_PAYLOAD, "the repository has nothing for component %s", w->d->settings.component);
}

rb_err
ota_plan_make(struct ota_device *d, const struct rb_tuf *tuf, const struct ota_wish *wish, struct ota_plan *out)
{
    struct walk w = {.d = d, .wish = wish, .plan = out};

    memset(out, 0, sizeof *out);
    out->chosen = -1;
    RB_TRY(read_installed(d, out));
    RB_TRY(rb_tuf_each_target(tuf, find_release, &w));
    if (out->release == 0) {
        return no_release(&w);
    }
    if (out->up_to_date) {
        return RB_OK;
    }
    if (out->image_len == 0) {
        return rb_fail(RB_ERR_AGENT_NO_PAYLOAD, "%s has no image for slot %c", out->version, ota_slot_name(out->idle));
    }
    RB_TRY(ota_quarantine_find(d, out->image_digest, &out->quarantined, out->quarantine_cause,
                               sizeof out->quarantine_cause));
    if (out->quarantined && !wish->retry) {
        return RB_OK;
    }
    RB_TRY(admit(d, out));
    RB_TRY(rb_tuf_each_target(tuf, collect, &w));
    return choose(out);
}

rb_err
ota_plan_without(struct ota_plan *plan, int index, const char *reason)
{
    struct ota_candidate *c = &plan->candidate[index];

    c->usable = false;
    (void)snprintf(c->reason, sizeof c->reason, "%s", reason);
    return choose(plan);
}

const char *
ota_grouped(uint64_t n, char out[32])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    char *to = out;

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            *to++ = ',';
        }
        *to++ = digits[i];
    }
    *to = '\0';
    return out;
}

void
ota_plan_why(const struct ota_plan *plan, char *out, size_t room)
{
    const struct ota_candidate *c = &plan->candidate[plan->chosen];
    const struct ota_candidate *full = NULL;
    char a[32];
    char b[32];

    for (unsigned i = 0; i < plan->count; i++) {
        if (!plan->candidate[i].delta) {
            full = &plan->candidate[i];
        }
    }
    if (!c->delta) {
        (void)snprintf(out, room, "full payload: %s bytes; %s", ota_grouped(c->length, a),
                       plan->count > 1         ? "the deltas cannot be used"
                       : plan->other_deltas > 0 ? "the deltas are for other versions"
                                                : "there is no delta");
        return;
    }
    uint64_t whole = full != NULL ? full->length : plan->image_len;
    (void)snprintf(out, room, "delta from %s: %s bytes instead of %s (%.1f %%)", c->from_version,
                   ota_grouped(c->length, a), ota_grouped(whole, b), 100.0 * (double)c->length / (double)whole);
}
