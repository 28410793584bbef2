/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A static HTTP server for one repository, for trying out and tests. Production takes any web server or CDN.
 *
 * GET and HEAD of what lies below metadata/ and targets/ and nothing else; single ranges (RFC 9110 section 14),
 * If-Range and If-None-Match with strong entity tags.
 */
#ifndef RB_FORGE_SERVE_H
#define RB_FORGE_SERVE_H

#include "lib/core/errors.h"

#include <stdbool.h>
#include <stdint.h>

struct forge_server;

/** Start a thread that serves `dir`. `listen` is ADDRESS:PORT, numeric; [ADDRESS]:PORT for IPv6; port 0 takes a free
 * one. With `log`, one line a request goes to stderr. RB_ERR_ARG, RB_ERR_IO_NOT_FOUND (no repository), RB_ERR_IO. */
RB_MUST_USE
rb_err forge_server_start(const char *dir, const char *listen, bool log, struct forge_server **out);
/** Port that is listened on. */
uint16_t forge_server_port(const struct forge_server *server);
/** End connections and the thread. */
void forge_server_stop(struct forge_server *server);

/** What a Range header asks of a file of `len` bytes. */
enum forge_range {
    FORGE_RANGE_WHOLE, /* no range, or a form that may be ignored (several ranges, other units, bad syntax) */
    FORGE_RANGE_PART,  /* *first and *count are set */
    FORGE_RANGE_NONE,  /* syntactically a range, but no byte of the file is in it: 416 */
};
enum forge_range forge_range_parse(const char *header, uint64_t len, uint64_t *first, uint64_t *count);

#endif
