/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Error codes. One list (errors.def) makes the enum, the names, the texts and
 * the classes. Functions return rb_err; results come out through the last
 * parameter, and only on RB_OK.
 */
#ifndef RB_CORE_ERRORS_H
#define RB_CORE_ERRORS_H

typedef enum {
    RB_OK = 0,
#define RB_E(name, code, class, text) RB_ERR_##name = (code),
#include "lib/core/errors.def"
#undef RB_E
} rb_err;

typedef enum {
    RB_CLASS_OK,
    RB_CLASS_RETRY,  /* may work later without anyone changing anything */
    RB_CLASS_REJECT, /* the input or the request is wrong; the answer is no */
    RB_CLASS_DEVICE, /* this device failed */
} rb_err_class;

/** Name as in errors.def, "OK" for RB_OK, "UNKNOWN" for a number not in the list. Never NULL. */
const char *rb_err_name(rb_err err);

/** One lower-case clause for people, without a full stop. Never NULL. */
const char *rb_err_text(rb_err err);

/** Class of an error; an unknown number is RB_CLASS_DEVICE, never success. */
rb_err_class rb_err_class_of(rb_err err);

#define RB_MUST_USE __attribute__((warn_unused_result))

/** Drop an error on purpose: clean-up on the way out of a failure that is reported already. */
static inline void
rb_ignore(rb_err err)
{
    (void)err;
}

/** Return from the calling function with the error of `expr`, if it has one. */
#define RB_TRY(expr)                 \
    do {                             \
        rb_err rb_try_err_ = (expr); \
        if (rb_try_err_ != RB_OK) {  \
            return rb_try_err_;      \
        }                            \
    } while (0)

#endif
