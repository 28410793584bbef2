/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A test is TEST(what_it_promises) { ... } in a file named *_test.c. The runner finds it, runs it in a process and
 * an empty directory of its own, and prints PASS, FAIL or SKIP and the name. What the test itself prints is shown when
 * it fails; lines that start with "note: " always.
 */
#ifndef RB_TESTS_TEST_H
#define RB_TESTS_TEST_H

#include "lib/core/errors.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct test {
    const char *name;
    const char *file;
    void (*run)(void);
    struct test *next;
};

void test_register(struct test *t);
void test_fail(const char *file, int line, const char *format, ...) __attribute__((noreturn, format(printf, 3, 4)));
/** End the test as skipped; the reason must stand in tests/allowed-skips.txt. */
void test_skip(const char *reason) __attribute__((noreturn));
/** The top of the source tree, for test data. */
const char *test_tree(void);
/** The directory with the built programs. */
const char *test_bin(void);

#define TEST(title)                                                                  \
    static void test_run_##title(void);                                              \
    __attribute__((constructor)) static void test_add_##title(void)                  \
    {                                                                                \
        static struct test t = {#title, __FILE__, test_run_##title, NULL};           \
        test_register(&t);                                                           \
    }                                                                                \
    static void test_run_##title(void)

#define CHECK(condition)                                       \
    do {                                                       \
        if (!(condition)) {                                    \
            test_fail(__FILE__, __LINE__, "%s", #condition);   \
        }                                                      \
    } while (0)

/** Check that `expression` gives error `want`, and name both when it does not. */
#define CHECK_ERR(expression, want)                                                                       \
    do {                                                                                                  \
        rb_err check_got_ = (expression);                                                                 \
        if (check_got_ != (want)) {                                                                       \
            test_fail(__FILE__, __LINE__, "%s gave %s, want %s", #expression, rb_err_name(check_got_),    \
                      rb_err_name(want));                                                                 \
        }                                                                                                 \
    } while (0)
#define CHECK_OK(expression) CHECK_ERR(expression, RB_OK)

#endif
