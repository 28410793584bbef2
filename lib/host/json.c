/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/host/json.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 32

/* jansson's own depth limit is 2048 levels; ours is smaller so that no caller needs to think of recursion. The scan
 * only has to know strings from brackets; what is not JSON at all is found by the parser after it. */
static rb_err
check_depth(const char *text, size_t len)
{
    int depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > DEPTH_MAX) {
                return rb_fail(RB_ERR_JSON, "nested deeper than %d", DEPTH_MAX);
            }
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return RB_OK;
}

rb_err
rb_json_parse(const void *text, size_t len, json_t **out)
{
    json_error_t error;

    RB_TRY(check_depth(text, len));
    json_t *document = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (document == NULL) {
        return rb_fail(RB_ERR_JSON, "line %d, column %d: %s", error.line, error.column, error.text);
    }
    *out = document;
    return RB_OK;
}

rb_err
rb_json_read(const char *path, size_t limit, json_t **out)
{
    uint8_t *text = NULL;
    size_t len = 0;

    RB_TRY(rb_file_read(path, limit, &text, &len));
    rb_err err = rb_json_parse(text, len, out);
    free(text);
    return err;
}

static rb_err
member(const json_t *object, const char *key, json_t **out)
{
    *out = json_object_get(object, key);
    return *out != NULL ? RB_OK : rb_fail(RB_ERR_JSON_FIELD, "field \"%s\" is missing", key);
}

rb_err
rb_json_string(const json_t *object, const char *key, size_t min_len, size_t max_len, const char **out)
{
    json_t *value;

    RB_TRY(member(object, key, &value));
    if (!json_is_string(value)) {
        return rb_fail(RB_ERR_JSON_FIELD, "field \"%s\" is not a string", key);
    }
    size_t len = json_string_length(value);
    if (len < min_len || len > max_len) {
        return rb_fail(RB_ERR_JSON_FIELD, "field \"%s\" has %zu bytes, not %zu to %zu", key, len, min_len, max_len);
    }
    *out = json_string_value(value);
    return RB_OK;
}

rb_err
rb_json_int(const json_t *object, const char *key, int64_t min, int64_t max, int64_t *out)
{
    json_t *value;

    RB_TRY(member(object, key, &value));
    if (!json_is_integer(value)) {
        return rb_fail(RB_ERR_JSON_FIELD, "field \"%s\" is not an integer", key);
    }
    int64_t number = json_integer_value(value);
    if (number < min || number > max) {
        return rb_fail(RB_ERR_JSON_FIELD, "field \"%s\" is %lld, not %lld to %lld", key, (long long)number,
                       (long long)min, (long long)max);
    }
    *out = number;
    return RB_OK;
}

rb_err
rb_json_bool(const json_t *object, const char *key, bool *out)
{
    json_t *value;

    RB_TRY(member(object, key, &value));
    if (!json_is_boolean(value)) {
        return rb_fail(RB_ERR_JSON_FIELD, "field \"%s\" is not true or false", key);
    }
    *out = json_is_true(value);
    return RB_OK;
}

rb_err
rb_json_object(const json_t *object, const char *key, json_t **out)
{
    json_t *value;

    RB_TRY(member(object, key, &value));
    if (!json_is_object(value)) {
        return rb_fail(RB_ERR_JSON_FIELD, "field \"%s\" is not an object", key);
    }
    *out = value;
    return RB_OK;
}

rb_err
rb_json_array(const json_t *object, const char *key, size_t min_count, size_t max_count, json_t **out)
{
    json_t *value;

    RB_TRY(member(object, key, &value));
    if (!json_is_array(value)) {
        return rb_fail(RB_ERR_JSON_FIELD, "field \"%s\" is not an array", key);
    }
    size_t count = json_array_size(value);
    if (count < min_count || count > max_count) {
        return rb_fail(RB_ERR_JSON_FIELD, "field \"%s\" has %zu items, not %zu to %zu", key, count, min_count,
                       max_count);
    }
    *out = value;
    return RB_OK;
}

rb_err
rb_json_hex(const json_t *object, const char *key, void *out, size_t len)
{
    const char *text;

    RB_TRY(rb_json_string(object, key, 2 * len, 2 * len, &text));
    if (rb_unhex(text, out, len) != RB_OK) {
        rb_fail_clear();
        return rb_fail(RB_ERR_JSON_FIELD, "field \"%s\" is not lower-case hex", key);
    }
    return RB_OK;
}

rb_err
rb_json_only(const json_t *object, const char *const known[])
{
    for (void *i = json_object_iter((json_t *)(uintptr_t)object); i != NULL;
         i = json_object_iter_next((json_t *)(uintptr_t)object, i)) {
        const char *key = json_object_iter_key(i);
        bool found = false;
        for (int k = 0; known[k] != NULL && !found; k++) {
            found = strcmp(known[k], key) == 0;
        }
        if (!found) {
            return rb_fail(RB_ERR_JSON_FIELD, "field \"%s\" is not known", key);
        }
    }
    return RB_OK;
}

void
rb_json_print(const json_t *document)
{
    (void)json_dumpf(document, stdout, JSON_INDENT(2));
    (void)fputc('\n', stdout);
}

/* Canonical form. Output is collected in a growing buffer. */
struct text {
    char *data;
    size_t len;
    size_t room;
};

static void
put(struct text *t, const char *data, size_t len)
{
    if (t->len + len + 1 > t->room) {
        t->room = (t->len + len + 1) * 2;
        t->data = rb_realloc(t->data, t->room);
    }
    memcpy(t->data + t->len, data, len);
    t->len += len;
    t->data[t->len] = '\0';
}

static void
put_string(struct text *t, const char *data, size_t len)
{
    put(t, "\"", 1);
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '"' || data[i] == '\\') {
            put(t, "\\", 1);
        }
        put(t, data + i, 1);
    }
    put(t, "\"", 1);
}

static int
by_key(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static rb_err put_value(struct text *t, const json_t *value);

static rb_err
put_object(struct text *t, const json_t *object)
{
    size_t count = json_object_size(object);
    const char **keys = rb_alloc(count * sizeof *keys);
    rb_err err = RB_OK;
    size_t n = 0;

    for (void *i = json_object_iter((json_t *)(uintptr_t)object); i != NULL;
         i = json_object_iter_next((json_t *)(uintptr_t)object, i)) {
        keys[n++] = json_object_iter_key(i);
    }
    qsort(keys, count, sizeof *keys, by_key);
    put(t, "{", 1);
    for (size_t i = 0; i < count && err == RB_OK; i++) {
        if (i > 0) {
            put(t, ",", 1);
        }
        put_string(t, keys[i], strlen(keys[i]));
        put(t, ":", 1);
        err = put_value(t, json_object_get(object, keys[i]));
    }
    put(t, "}", 1);
    free(keys);
    return err;
}

static rb_err
put_array(struct text *t, const json_t *array)
{
    put(t, "[", 1);
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0) {
            put(t, ",", 1);
        }
        RB_TRY(put_value(t, json_array_get(array, i)));
    }
    put(t, "]", 1);
    return RB_OK;
}

/* Recursion ends at DEPTH_MAX: documents come from rb_json_parse or are built here. */
static rb_err
put_value(struct text *t, const json_t *value)
{
    char number[32];

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return put_object(t, value);
    case JSON_ARRAY:
        return put_array(t, value);
    case JSON_STRING:
        put_string(t, json_string_value(value), json_string_length(value));
        return RB_OK;
    case JSON_INTEGER:
        (void)snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        put(t, number, strlen(number));
        return RB_OK;
    case JSON_TRUE:
        put(t, "true", 4);
        return RB_OK;
    case JSON_FALSE:
        put(t, "false", 5);
        return RB_OK;
    case JSON_NULL:
        put(t, "null", 4);
        return RB_OK;
    case JSON_REAL:
    default:
        return rb_fail(RB_ERR_JSON, "a number that is not an integer has no canonical form");
    }
}

rb_err
rb_json_canonical(const json_t *document, char **out, size_t *len)
{
    struct text t = {NULL, 0, 0};
    rb_err err = put_value(&t, document);

    if (err != RB_OK) {
        free(t.data);
        return err;
    }
    *out = t.data;
    *len = t.len;
    return RB_OK;
}
