/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What the agent's programs tell people and, as JSON, programs.
 */
#ifndef RB_OTA_REPORT_H
#define RB_OTA_REPORT_H

#include "lib/host/json.h"
#include "ota/flow.h"

/** Everything `ota status` shows. Caller json_decref's it. */
RB_MUST_USE
rb_err ota_status_json(const struct ota_device *d, json_t **out);
/** The same for people, to stdout. */
void ota_status_print(const json_t *status);

json_t *ota_plan_json(const struct ota_plan *plan);
void ota_plan_print(const struct ota_device *d, const struct ota_plan *plan);

json_t *ota_attempt_json(const struct ota_attempt *a);

/** "2026-11-23 14:05:09" in UTC. */
const char *ota_time_text(int64_t time, char out[32]);

#endif
