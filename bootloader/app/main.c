/* SPDX-License-Identifier: Apache-2.0
 *
 * A watch application that lies in a slot: it says which release it is and how it was started, checks itself, and
 * ends with its health.
 */
#include "bootloader/app/console.h"
#include "bootloader/app/platform.h"
#include "bootloader/app/release.h"
#include "bootloader/app/selftest.h"

static void
say_hello(void)
{
    struct line l = {.len = 0};
    const char *slot = platform_handoff("RB_SLOT");
    const char *trial = platform_handoff("RB_TRIAL");
    const char *tries = platform_handoff("RB_TRIES_LEFT");
    const char *cause = platform_handoff("RB_CAUSE");

    line_text(&l, "riverwatch ");
    line_text(&l, release_version);
    if (slot == NULL) {
        line_text(&l, ", not started by a loader");
    } else {
        line_text(&l, ", slot ");
        line_text(&l, slot);
        if (trial != NULL && trial[0] == '1') {
            line_text(&l, ", on trial with ");
            line_text(&l, tries != NULL ? tries : "?");
            line_text(&l, " tries left");
        }
        line_text(&l, ", cause: ");
        line_text(&l, cause != NULL ? cause : "unknown");
    }
    line_write(&l);
}

int
watch_main(void)
{
    say_hello();
    return selftest_run() ? 0 : 1;
}
