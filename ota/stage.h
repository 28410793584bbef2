/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * STAGE: fetch one payload, rebuild the image in the idle slot, in memory that is taken once at the start.
 */
#ifndef RB_OTA_STAGE_H
#define RB_OTA_STAGE_H

#include "lib/host/cli.h"
#include "lib/host/http.h"
#include "ota/plan.h"
#include "ota/state.h"

/**
 * Bring the image of `plan` into the idle slot by its chosen candidate, going on where an earlier run stopped.
 *
 * Nothing is erased before the payload's header has the signed hash and fits the plan, and the image's own header
 * has been verified, admitted and is the one that the plan names.
 *
 * @param attempt   counters are kept up to date in it and in the database
 * @param progress  of bytes fetched
 * @return RB_OK  every byte is in the slot and was checked on its way; the slot has still to be read back whole
 *         An error of class RETRY or DEVICE: what is here is kept, the next run goes on.
 *         An error of class REJECT: this payload cannot be used.
 */
RB_MUST_USE
rb_err ota_stage(struct ota_device *d, struct rb_http *http, const struct ota_plan *plan, struct ota_attempt *attempt,
                 struct rb_progress *progress);

#endif
