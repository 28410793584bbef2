/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * An opened set of packages. Private to librpk.
 */
#ifndef RB_PKGMGR_STATE_H
#define RB_PKGMGR_STATE_H

#include "pkgmgr/book.h"
#include "pkgmgr/rpk.h"
#include "pkgmgr/tree.h"

struct rpk {
    const struct rb_settings *settings;
    const char *dir;             /* settings->package_dir */
    char *pins;                  /* state_dir/trust/pins */
    int lock;                    /* held with RPK_WRITE; -1 otherwise */
    sqlite3 *db;                 /* NULL: nothing was ever installed (RPK_READ) */
    struct rpk_generation live;
    char *notes;
};

/**
 * Bring everything in line with the live generation: finish what a committed transaction left to do, undo what an
 * uncommitted one left behind, drop generations other than the live one and the one before it. Needs the lock. Safe to
 * call at any time and to be killed in; does nothing when all is in order.
 */
RB_MUST_USE
rb_err rpk_reconcile(struct rpk *rpk);

/** Signer pinned for a package. *pinned: whether there is one. RB_ERR_PKG_STATE for a damaged pin. */
RB_MUST_USE
rb_err rpk_pin_read(const struct rpk *rpk, const char *package, uint8_t signer[32], bool *pinned);
RB_MUST_USE
rb_err rpk_pin_write(const struct rpk *rpk, const char *package, const uint8_t signer[32]);

/** Make the five data directories of a package, where they are missing. */
RB_MUST_USE
rb_err rpk_data_make(const struct rpk *rpk, const char *package);

#endif
