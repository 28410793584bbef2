/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * HTTP(S) GET on libcurl for an untrusted server: schemes fixed, lengths bounded before and during the transfer,
 * stalls ended, redirects only within the same scheme and few, no environment proxies, no content encodings.
 */
#ifndef RB_HOST_HTTP_H
#define RB_HOST_HTTP_H

#include "lib/core/errors.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rb_http; /* one kept connection */

struct rb_http_options {
    const char *ca_file;        /* PEM file that TLS peers are checked with; NULL: the system's */
    const char *proxy;          /* URL, or NULL: none (never from the environment) */
    unsigned connect_timeout_s; /* 0: 15 */
    unsigned stall_s;           /* end a transfer slower than 256 B/s for so long; 0: 30 */
    unsigned attempts;          /* tries in a row that bring less than 64 KiB, for RETRY errors; 0: 5 */
    unsigned backoff_ms;        /* wait before the second try, half of it random; 0: 500; doubles up to 60 s; a
                                 * Retry-After up to 300 s wins */
    void (*retrying)(void *ctx, const char *url, unsigned attempt, unsigned wait_ms, rb_err err); /* may be NULL */
    void *ctx;
    const volatile sig_atomic_t *stop; /* transfers and waits end with NET_STOPPED once it is not 0; may be NULL */
};

RB_MUST_USE
rb_err rb_http_open(const struct rb_http_options *options, struct rb_http **out);
void rb_http_close(struct rb_http *http);

/**
 * GET `url` from byte `offset`. At most `limit` bytes are taken; `length` (0: unknown) is the whole file's length as
 * signed metadata has it and is checked against what the server says.
 *
 * `sink` gets the bytes in order; when it returns an error the transfer stops with that error. A retried transfer
 * goes on where the last one ended (Range), or from the start when the server ignores ranges: bytes already given
 * to `sink` are skipped, never given twice. A file that changed meanwhile (other ETag) is RB_ERR_NET_RANGE.
 *
 * @return RB_OK: the transfer is complete. RB_ERR_NET_URL, _CONNECT, _TIMEOUT, _STATUS, _NOT_FOUND (404, 410),
 *         _TOO_LARGE (more than limit), _SHORT, _RANGE, _REDIRECT, _TLS, _STOPPED, or the
 *         sink's. The detail says what the server or libcurl said.
 */
RB_MUST_USE
rb_err rb_http_get(struct rb_http *http, const char *url, uint64_t offset, uint64_t limit, uint64_t length,
                   rb_err (*sink)(void *ctx, const void *data, size_t len), void *ctx);

/** GET a small file whole into `buffer`. *len: bytes. */
RB_MUST_USE
rb_err rb_http_get_small(struct rb_http *http, const char *url, void *buffer, size_t limit, size_t *len);

/** Body bytes received so far over this connection, for reports ("fetched 12,345 bytes"). */
uint64_t rb_http_received(const struct rb_http *http);

#endif
