/* SPDX-License-Identifier: Apache-2.0 */
#include "bootloader/port/sim/sim.h"

#include <stdio.h>

static char
letter(uint8_t slot)
{
    return slot == RB_SLOT_A ? 'A' : 'B';
}

static const char *
tries(uint8_t left)
{
    static const char *const text[] = {"no tries", "1 try",   "2 tries",  "3 tries",  "4 tries",  "5 tries",
                                       "6 tries",  "7 tries", "8 tries",  "9 tries",  "10 tries", "11 tries",
                                       "12 tries", "13 tries", "14 tries", "15 tries"};

    return left <= RB_TRIES_MAX ? text[left] : "?";
}

/* What a record of this cause means, in words. */
static const char *
meaning(uint8_t cause)
{
    static const char *const text[] = {
        [RB_CAUSE_FACTORY] = "as provisioned",
        [RB_CAUSE_ARMED] = "the agent asked for a trial",
        [RB_CAUSE_TRY] = "a try was counted",
        [RB_CAUSE_CONFIRMED] = "the trial was confirmed",
        [RB_CAUSE_REJECTED] = "the trial was rejected: its health check failed",
        [RB_CAUSE_TRIES_USED_UP] = "the trial used up its tries and was never confirmed",
        [RB_CAUSE_TRIAL_INVALID] = "the image on trial does not verify",
        [RB_CAUSE_ACTIVE_INVALID] = "the active image does not verify, the other one took over",
        [RB_CAUSE_JOURNAL_LOST] = "the journal was lost, its state made from the images",
        [RB_CAUSE_CANCELLED] = "the trial was cancelled before its first start",
    };

    return cause >= 1 && cause <= RB_CAUSE_MAX ? text[cause] : "?";
}

static void
print_record(const char *what, const struct rb_record *record)
{
    printf("riverboot: %s %lu: slot %c active", what, (unsigned long)record->seq, letter(record->active));
    if (record->trial != RB_SLOT_NONE) {
        printf(", slot %c on trial, %s left", letter(record->trial), tries(record->tries_left));
    }
    printf(", floor %lu (%s)\n", (unsigned long)record->floor, meaning(record->cause));
}

void
sim_print_event(const struct rb_boot_event *event)
{
    switch (event->kind) {
    case RB_BOOT_RECORD:
        print_record("journal record", event->record);
        break;
    case RB_BOOT_NO_RECORD:
        printf("riverboot: the journal holds no valid record\n");
        break;
    case RB_BOOT_VERIFIED:
        printf("riverboot: slot %c: version %s; signature, hardware, floor, body verified\n", letter(event->slot),
               event->image->version);
        break;
    case RB_BOOT_REFUSED:
        printf("riverboot: slot %c: not valid: %s\n", letter(event->slot), rb_err_text(event->err));
        break;
    case RB_BOOT_STORED:
        print_record("stored record", event->record);
        break;
    case RB_BOOT_NOT_STORED:
        printf("riverboot: the record could not be stored: %s\n", rb_err_text(event->err));
        break;
    case RB_BOOT_START:
        if (event->record->trial == event->slot) {
            printf("riverboot: starting slot %c on trial, version %s, %s left\n", letter(event->slot),
                   event->image->version, tries(event->record->tries_left));
        } else {
            printf("riverboot: starting slot %c, version %s\n", letter(event->slot), event->image->version);
        }
        break;
    case RB_BOOT_HALT:
        printf("riverboot: no slot holds a valid image\n");
        break;
    }
    fflush(stdout);
}
