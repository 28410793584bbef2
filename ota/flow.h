/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The agent's life: CHECK, PLAN, STAGE, VERIFY, ARM, WAIT, TRIAL, COMMIT or ROLLBACK, REPORT. Each state is stored
 * before it is entered and is safe to enter twice. The journal decides what is true; the database remembers why.
 */
#ifndef RB_OTA_FLOW_H
#define RB_OTA_FLOW_H

#include "lib/host/cli.h"
#include "ota/boot_report.h"
#include "ota/fetch.h"
#include "ota/plan.h"
#include "ota/state.h"

/** Bring the database into line with the journal: what an interrupted run or the loader did meanwhile is written
 * down, a fall-back with its cause; a database made anew learns of a trial or fall-back from the journal and the
 * slots. Call once after opening for writing. */
RB_MUST_USE
rb_err ota_reconcile(struct ota_device *d);

/** CHECK and PLAN: refresh metadata, decide. The state goes back to what it was. */
RB_MUST_USE
rb_err ota_check(struct ota_device *d, struct rb_http *http, const struct ota_wish *wish, struct ota_plan *plan);

enum ota_done {
    OTA_UP_TO_DATE,
    OTA_QUARANTINED, /* the newest release failed here before */
    OTA_ARMED,       /* a reboot starts the trial */
};

struct ota_outcome {
    enum ota_done done;
    struct ota_plan plan;
    struct ota_attempt attempt;
    bool was_armed; /* nothing was done: it had been armed before */
    uint64_t received; /* body bytes that came over the network in this run, metadata included */
};

/**
 * CHECK to ARM. A delta that cannot be used gives way to the next best payload, with the reason kept.
 *
 * @return RB_OK and `outcome`; RB_ERR_AGENT_STATE while a trial runs; the error of the step that failed otherwise:
 *         of class RETRY or DEVICE the attempt stays open and the next call goes on, of class REJECT it is ended.
 */
RB_MUST_USE
rb_err ota_update(struct ota_device *d, const struct ota_wish *wish, struct rb_progress *progress,
                  struct ota_outcome *outcome);

/** What a confirm found. */
struct ota_verdict {
    bool nothing_on_trial;
    char version[RB_IMAGE_VERSION_LEN + 1];
    uint8_t slot;
    uint32_t floor; /* after it */
};

/**
 * TRIAL, then COMMIT or ROLLBACK: check that the image on trial is what runs, check its health, confirm or reject.
 *
 * @return RB_OK: confirmed, or nothing is on trial. RB_ERR_AGENT_HEALTH: rejected, the cause is the detail.
 *         RB_ERR_AGENT_STATE: the trial has not been started, or something else runs.
 */
RB_MUST_USE
rb_err ota_confirm(struct ota_device *d, struct ota_verdict *out);

enum ota_back {
    OTA_BACK_CANCELLED, /* an armed trial was taken back */
    OTA_BACK_REJECTED,  /* the running trial was rejected; a reboot falls back */
    OTA_BACK_ARMED,     /* the other slot was armed; a reboot starts it */
};

/** Go back. RB_ERR_AGENT_STATE and RB_ERR_IMAGE_* when the other slot holds nothing that may boot. */
RB_MUST_USE
rb_err ota_rollback(struct ota_device *d, enum ota_back *out, char version[RB_IMAGE_VERSION_LEN + 1]);

/** Text for people of what a failed image's journal cause means. */
const char *ota_cause_text(uint8_t cause);

#endif
