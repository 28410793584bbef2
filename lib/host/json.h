/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Strict JSON on jansson: UTF-8, no duplicate keys, nothing after the document, depth at most 32, integers only
 * where an integer is asked for. Getters keep a detail that names the field (lib/host/fail.h).
 */
#ifndef RB_HOST_JSON_H
#define RB_HOST_JSON_H

#include "lib/core/errors.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/** Parse one document. The caller json_decref's it. RB_ERR_JSON with line and column in the detail. */
RB_MUST_USE
rb_err rb_json_parse(const void *text, size_t len, json_t **out);

/** Parse a file of at most `limit` bytes. */
RB_MUST_USE
rb_err rb_json_read(const char *path, size_t limit, json_t **out);

/** A member of an object; results are borrowed from it. RB_ERR_JSON_FIELD when it is missing, of another type or
 * out of the stated range. */
RB_MUST_USE
rb_err rb_json_string(const json_t *object, const char *key, size_t min_len, size_t max_len, const char **out);
RB_MUST_USE
rb_err rb_json_int(const json_t *object, const char *key, int64_t min, int64_t max, int64_t *out);
RB_MUST_USE
rb_err rb_json_bool(const json_t *object, const char *key, bool *out);
RB_MUST_USE
rb_err rb_json_object(const json_t *object, const char *key, json_t **out);
RB_MUST_USE
rb_err rb_json_array(const json_t *object, const char *key, size_t min_count, size_t max_count, json_t **out);
/** Lower-case hex of exactly `len` bytes. */
RB_MUST_USE
rb_err rb_json_hex(const json_t *object, const char *key, void *out, size_t len);

/** Refuse members that are not in `known` (NULL-terminated). */
RB_MUST_USE
rb_err rb_json_only(const json_t *object, const char *const known[]);

/** Print to stdout: indented, keys in insertion order, newline at the end. For --json. */
void rb_json_print(const json_t *document);

/** Canonical JSON (OLPC, as TUF 1.0.34 uses it): sorted keys, no white space, integers only. Caller frees. */
RB_MUST_USE
rb_err rb_json_canonical(const json_t *document, char **out, size_t *len);

#endif
