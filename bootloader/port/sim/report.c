/* SPDX-License-Identifier: Apache-2.0 */
#include "bootloader/port/sim/sim.h"

#include "lib/host/file.h"

#include <stdlib.h>
#include <string.h>

static json_t *
program_of(const struct sim_result *result)
{
    json_t *program = json_pack("{s:s}", "state", result->state);

    if (strcmp(result->state, "exited") == 0) {
        (void)json_object_set_new(program, "status", json_integer(result->number));
    } else if (strcmp(result->state, "killed") == 0) {
        (void)json_object_set_new(program, "signal", json_integer(result->number));
        (void)json_object_set_new(program, "watchdog", json_boolean(result->watchdog));
    }
    return program;
}

json_t *
sim_report(const struct rb_handoff *h, const struct sim_result *result)
{
    char digest[2 * RB_SHA256_LEN + 1];

    if (h == NULL) {
        return json_pack("{s:n, s:s}", "slot", "cause", "no-valid-slot");
    }
    rb_hex(h->image.digest, sizeof h->image.digest, digest);
    return json_pack("{s:s, s:s, s:s, s:b, s:i, s:s, s:I, s:I, s:o}", "slot", h->slot == RB_SLOT_A ? "A" : "B",
                     "version", h->image.version, "digest", digest, "trial", h->trial ? 1 : 0, "tries_left",
                     (int)h->tries_left, "cause", rb_cause_name(h->cause), "floor", (json_int_t)h->floor,
                     "record_seq", (json_int_t)h->record_seq, "program", program_of(result));
}

rb_err
sim_report_write(const char *flash_path, const json_t *report)
{
    char *path = rb_text("%s.boot", flash_path);
    char *text = json_dumps(report, JSON_INDENT(2));
    char *line = rb_text("%s\n", text != NULL ? text : "");
    rb_err err = text != NULL ? rb_file_replace(path, line, strlen(line), 0644) : RB_ERR_INTERNAL;

    free(line);
    free(text);
    free(path);
    return err;
}
