/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/errors.h"

struct entry {
    rb_err err;
    rb_err_class class;
    const char *name;
    const char *text;
};

static const struct entry entries[] = {
    {RB_OK, RB_CLASS_OK, "OK", "done"},
#define RB_E(name, code, class, text) {RB_ERR_##name, RB_CLASS_##class, #name, text},
#include "lib/core/errors.def"
#undef RB_E
};

static const struct entry unknown = {RB_OK, RB_CLASS_DEVICE, "UNKNOWN", "unknown error"};

static const struct entry *
find(rb_err err)
{
    for (unsigned i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        if (entries[i].err == err) {
            return &entries[i];
        }
    }
    return &unknown;
}

const char *
rb_err_name(rb_err err)
{
    return find(err)->name;
}

const char *
rb_err_text(rb_err err)
{
    return find(err)->text;
}

rb_err_class
rb_err_class_of(rb_err err)
{
    return find(err)->class;
}
