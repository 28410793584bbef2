/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What every command line here shares: options, messages, exit codes, progress.
 */
#ifndef RB_HOST_CLI_H
#define RB_HOST_CLI_H

#include "lib/core/errors.h"

#include <stdbool.h>
#include <stdint.h>

#define RB_EXIT_DONE 0
#define RB_EXIT_NO 1     /* the answer is no */
#define RB_EXIT_USAGE 2  /* used wrongly */
#define RB_EXIT_SYSTEM 3 /* network, disk, device */

/** One option. `value` NULL: a flag. Options may stand anywhere after the verb; "--" ends them. */
struct rb_option {
    const char *name;  /* "--from" */
    const char *value; /* what stands after it in help ("FILE"), or NULL for a flag */
    const char *help;  /* one clause */
    bool repeat;       /* may be given more than once */
};

/** One verb: "delta create" is one verb of two words. */
struct rb_verb {
    const char *name;
    const char *arguments; /* "OLD NEW", for help */
    const char *help;      /* one clause */
    const struct rb_option *options; /* ends with a NULL name; may be NULL */
    int min_arguments;
    int max_arguments; /* -1: any number */
    int (*run)(void);  /* returns the exit code */
};

struct rb_program {
    const char *name;
    const char *summary; /* one line */
    const struct rb_verb *const *groups; /* arrays of verbs, each ending with a NULL name; the list ends with NULL */
    const struct rb_option *options;  /* that every verb takes; ends with a NULL name; may be NULL */
};

/** Parse and run. Handles --help (whole program and per verb), --version, unknown verbs and options with the nearest
 * known one named. Sanitises the process first: closed descriptors 0-2 are opened on /dev/null, SIGPIPE is ignored,
 * umask 022. A program whose only verb has the name "" takes no verb word. */
int rb_cli_main(const struct rb_program *program, int argc, char **argv);

/** During a verb's run: value of an option or NULL; whether a flag was given; the nth value of a repeated one. */
const char *rb_cli_option(const char *name);
bool rb_cli_flag(const char *name);
const char *rb_cli_option_nth(const char *name, int n);
/** The arguments that are not options. */
int rb_cli_argument_count(void);
const char *rb_cli_argument(int n);

/** A number option: decimal, or with K, M or G for powers of 1024 where `bytes`. Prints the mistake and returns
 * false when the text is no such number or out of range. `fallback` when the option is absent. */
bool rb_cli_number(const char *name, bool bytes, uint64_t min, uint64_t max, uint64_t fallback, uint64_t *out);

/** Exit code for an error. */
int rb_cli_exit_code(rb_err err);

/** Print "PROGRAM: SUBJECT: TEXT: DETAIL" to stderr and return the exit code. `subject` is the file, URL or package.
 * With --json given, the same as one JSON document on stdout: {"error": name, "subject", "text", "detail"}. */
int rb_cli_error(rb_err err, const char *subject);

/** Print "PROGRAM: message" to stderr and return RB_EXIT_USAGE. */
int rb_cli_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Print "PROGRAM: note: message" to stderr. */
void rb_cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Progress of long work: a bar on a terminal (at most 10 redraws a second), a plain line at each quarter otherwise,
 * nothing with --json or --quiet. `total` 0 when unknown. To stderr. */
struct rb_progress {
    const char *label;
    uint64_t total;
    uint64_t last;
    int64_t drawn_ms;
    bool terminal;
    bool silent;
};
void rb_progress_start(struct rb_progress *p, const char *label, uint64_t total);
void rb_progress_update(struct rb_progress *p, uint64_t done);
void rb_progress_end(struct rb_progress *p, bool complete);

#endif
