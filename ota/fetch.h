/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The repository as the agent reaches it: connection, metadata, addresses of targets.
 */
#ifndef RB_OTA_FETCH_H
#define RB_OTA_FETCH_H

#include "lib/host/http.h"
#include "lib/tuf/tuf.h"
#include "ota/device.h"

#include <signal.h>

/** Set by the programs' signal handlers; transfers and waits end soon after. */
extern volatile sig_atomic_t ota_stop;

/** RB_ERR_AGENT_SETTINGS when the settings name no repository. */
RB_MUST_USE
rb_err ota_http_open(struct ota_device *d, struct rb_http **out);

/** Open the trust store with the device's clock and, unless `http` is NULL, refresh it. Caller closes *out. */
RB_MUST_USE
rb_err ota_metadata(const struct ota_device *d, struct rb_http *http, struct rb_tuf **out);

/** URL of a target: consistent snapshot path, percent-encoded. Caller frees. */
char *ota_target_url(const struct rb_settings *settings, const char *name, const uint8_t sha256[RB_SHA256_LEN]);

#endif
