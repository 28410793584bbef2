/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The simulator's port: what stands in for the jump, the hand-off block and the console of a board.
 */
#ifndef RB_BOOTLOADER_SIM_H
#define RB_BOOTLOADER_SIM_H

#include "bootloader/core/boot.h"

#include <jansson.h>

/** How the program that was started ended. */
struct sim_result {
    const char *state; /* "running", "exited", "killed", "not-a-program", "not-run" */
    int number;        /* exit status, or signal */
    bool watchdog;     /* the watchdog killed it */
};

/** Start the body as a program: in sealed memory, so that what was verified is what runs; arguments "app"; environment
 * RB_SLOT, RB_TRIAL, RB_TRIES_LEFT, RB_CAUSE, RB_VERSION_RUNNING and nothing else. Waits for its end; after
 * `watchdog_s` seconds it is killed. `quiet`: its standard output goes to standard error.
 * RB_OK also for a body that is no executable for this machine; RB_ERR_* when the host fails. */
RB_MUST_USE
rb_err sim_program_run(const struct rb_handoff *handoff, unsigned watchdog_s, bool quiet, struct sim_result *out);

/** The boot report (docs/format.md section 7). `handoff` NULL: no slot was valid. */
json_t *sim_report(const struct rb_handoff *handoff, const struct sim_result *result);

/** Replace FLASH.boot. */
RB_MUST_USE
rb_err sim_report_write(const char *flash_path, const json_t *report);

/** Print an event of the boot for people. */
void sim_print_event(const struct rb_boot_event *event);

#endif
