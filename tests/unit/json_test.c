/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/host/fail.h"
#include "lib/host/json.h"
#include "tests/support/test.h"

#include <stdlib.h>

static rb_err
parse(const char *text)
{
    json_t *document = NULL;
    rb_err err = rb_json_parse(text, strlen(text), &document);

    if (err == RB_OK) {
        json_decref(document);
    }
    rb_fail_clear();
    return err;
}

TEST(JSON_01_duplicate_keys_are_refused)
{
    CHECK_ERR(parse("{\"a\": 1, \"a\": 2}"), RB_ERR_JSON);
    CHECK_OK(parse("{\"a\": 1, \"b\": {\"a\": 2}}"));
}

TEST(JSON_02_nesting_is_bounded)
{
    static char deep[200001];

    for (int depth = 32; depth <= 33; depth++) {
        memset(deep, '[', (size_t)depth);
        memset(deep + depth, ']', (size_t)depth);
        deep[2 * depth] = '\0';
        CHECK_ERR(parse(deep), depth == 32 ? RB_OK : RB_ERR_JSON);
    }
    memset(deep, '[', 200000);
    deep[200000] = '\0';
    CHECK_ERR(parse(deep), RB_ERR_JSON);
    CHECK_OK(parse("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[\"]"));
}

TEST(JSON_03_only_integers_in_range_are_integers)
{
    static const char *const bad[] = {"1e3", "1.0", "01", "0x10", "99999999999999999999", "\"1\"", "true", "null"};
    char text[64];
    int64_t number;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        json_t *document = NULL;
        (void)snprintf(text, sizeof text, "{\"n\": %s}", bad[i]);
        if (rb_json_parse(text, strlen(text), &document) == RB_OK) {
            CHECK_ERR(rb_json_int(document, "n", 0, 1000, &number), RB_ERR_JSON_FIELD);
            json_decref(document);
        }
        rb_fail_clear();
    }
    json_t *document = NULL;
    CHECK_OK(rb_json_parse("{\"n\": 1000}", 11, &document));
    CHECK_OK(rb_json_int(document, "n", 0, 1000, &number));
    CHECK(number == 1000);
    CHECK_ERR(rb_json_int(document, "n", 0, 999, &number), RB_ERR_JSON_FIELD);
    CHECK_ERR(rb_json_int(document, "n", 1001, 2000, &number), RB_ERR_JSON_FIELD);
    json_decref(document);
}

TEST(JSON_04_bad_utf8_is_refused)
{
    CHECK_ERR(parse("[\"\xff\"]"), RB_ERR_JSON);
    CHECK_ERR(parse("[\"\xc0\xaf\"]"), RB_ERR_JSON);
    CHECK_ERR(parse("[\"\\ud800\"]"), RB_ERR_JSON);
    CHECK_ERR(parse("[\"\\u0000\"]"), RB_ERR_JSON);
}

TEST(JSON_05_nothing_may_follow_the_document)
{
    CHECK_ERR(parse("{} {}"), RB_ERR_JSON);
    CHECK_ERR(parse("{}x"), RB_ERR_JSON);
    CHECK_ERR(parse("\xef\xbb\xbf{}"), RB_ERR_JSON);
    CHECK_ERR(parse(""), RB_ERR_JSON);
}

TEST(canonical_form_sorts_keys_and_escapes_two_characters)
{
    json_t *document = NULL;
    char *text = NULL;
    size_t len = 0;
    const char *in = "{\"b\": [1, true, null], \"a\": \"q\\\"\\\\\\n\\u00e9\", \"A\": {}}";

    CHECK_OK(rb_json_parse(in, strlen(in), &document));
    CHECK_OK(rb_json_canonical(document, &text, &len));
    CHECK(len == strlen(text));
    CHECK(strcmp(text, "{\"A\":{},\"a\":\"q\\\"\\\\\n\xc3\xa9\",\"b\":[1,true,null]}") == 0);
    free(text);
    json_decref(document);
    CHECK_OK(rb_json_parse("[1.5]", 5, &document));
    CHECK_ERR(rb_json_canonical(document, &text, &len), RB_ERR_JSON);
    json_decref(document);
}
