/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * librpk: packages on a device. The public header; rpkfile.h (one package file) and manifest.h (what a package says
 * of itself) belong to it.
 *
 * What is installed changes in transactions of any number of packages. A transaction becomes visible at one moment,
 * the rename of a symbolic link; whatever happens before (power cut, kill, full disk) leaves the old set, whatever
 * happens after leaves the new one, and the next call of rpk_open puts the rest in order.
 */
#ifndef RB_PKGMGR_RPK_H
#define RB_PKGMGR_RPK_H

#include "lib/host/settings.h"
#include "pkgmgr/manifest.h"
#include "pkgmgr/rpkfile.h"

#include <stdbool.h>
#include <stdint.h>

struct rpk;

enum rpk_access {
    RPK_READ,  /* questions; order is put where nobody holds the lock and we may */
    RPK_WRITE, /* transactions; one writer at a time */
};

/**
 * Open a device's packages. Finishes or undoes what a cut transaction left, and makes the database again from the
 * package tree when it is lost or damaged.
 *
 * @param settings  state_dir, package_dir, device_type, arch, native_signer and developer_mode are used; borrowed
 *                  until rpk_close
 * @param purpose   who holds the lock, told to others that want it ("rpk install")
 * @return RB_OK
 *         RB_ERR_PKG_LOCKED  RPK_WRITE, and another process is at it for longer than 2 seconds; the detail says who
 *         RB_ERR_PKG_STATE   the tree itself is damaged; nothing was changed
 *         RB_ERR_IO_PERMISSION  state or package directory could be written by others, or is a symbolic link
 *         RB_ERR_IO, RB_ERR_NO_SPACE, RB_ERR_DB
 */
RB_MUST_USE
rb_err rpk_open(const struct rb_settings *settings, enum rpk_access access, const char *purpose, struct rpk **out);
void rpk_close(struct rpk *rpk);

/** What was put in order while opening, one clause a line, "" when nothing was; for people. Valid until rpk_close. */
const char *rpk_notes(const struct rpk *rpk);

/** Number of the live generation; 0 before the first install. */
uint32_t rpk_generation_live(const struct rpk *rpk);

/* ---- questions ---- */

struct rpk_installed {
    const char *package;
    const char *name;
    int64_t version_code;
    const char *version_name;
    const char *arch; /* NULL: not a native package */
    int64_t min_platform;
    int64_t installed; /* seconds since 1970, by the device's clock */
    int64_t size;      /* bytes of all files */
    int64_t file_count;
    uint8_t content[32]; /* content digest */
    uint8_t signer[32];
};

/** Visit installed packages in name order; `package` NULL: all. An error of `visit` ends it and is passed on. Strings
 * live as long as the visit. RB_ERR_PKG_NOT_INSTALLED when `package` is not. */
RB_MUST_USE
rb_err rpk_each(struct rpk *rpk, const char *package, rb_err (*visit)(void *ctx, const struct rpk_installed *p),
                void *ctx);

/** Visit facts of an installed package: kind is "device", "permission", "feature", "depends", "provides",
 * "conflicts", "service" or "hook"; sorted by kind and value. */
RB_MUST_USE
rb_err rpk_each_fact(struct rpk *rpk, const char *package,
                     rb_err (*visit)(void *ctx, const char *kind, const char *value), void *ctx);

struct rpk_installed_file {
    const char *package;
    const char *path; /* in the package; "data/..." for a path in its data directory */
    int64_t size;     /* -1: data of the package, of which no more is known */
    mode_t mode;
    uint8_t sha256[32];
};

/** Visit the files of an installed package in name order. RB_ERR_PKG_NOT_INSTALLED. */
RB_MUST_USE
rb_err rpk_each_file(struct rpk *rpk, const char *package,
                     rb_err (*visit)(void *ctx, const struct rpk_installed_file *file), void *ctx);

/**
 * Which package a path belongs to. A path below the package tree (through current/, gen/ or store/, or in data/) is
 * looked up there; any other relative path is looked for in all packages.
 * @return RB_OK after at least one visit; RB_ERR_NOT_FOUND
 */
RB_MUST_USE
rb_err rpk_owner(struct rpk *rpk, const char *path,
                 rb_err (*visit)(void *ctx, const struct rpk_installed_file *file), void *ctx);

/** Directory of the installed package's files, below settings->package_dir. Caller frees. */
char *rpk_directory(const struct rpk *rpk, const char *package);

/* ---- transactions ---- */

enum rpk_change_kind {
    RPK_INSTALL,
    RPK_UPGRADE,
    RPK_REINSTALL, /* same versionCode, other content */
    RPK_REMOVE,
    RPK_NOTHING,   /* the same package is installed already */
};

struct rpk_change {
    enum rpk_change_kind kind;
    char *package;
    struct rpk_file *file;     /* NULL for RPK_REMOVE */
    int64_t old_code;          /* -1: not installed */
    char *old_name;            /* versionName, or NULL */
    struct rpk_strings new_permissions; /* that the installed version did not have */
};

/** What signed metadata says a package file is. Fields that are not known: NULL or -1. */
struct rpk_expected {
    const char *package;
    int64_t version_code;
    const uint8_t *signer;
};

/** Begin a transaction; `rpk` was opened with RPK_WRITE. */
struct rpk_plan *rpk_plan_new(struct rpk *rpk);
void rpk_plan_free(struct rpk_plan *plan);

/**
 * Add a package file. `*file` is the plan's after RB_OK.
 * @param expected  may be NULL
 * @return RB_OK
 *         RB_ERR_PKG_TARGET         it is not what `expected` says
 *         RB_ERR_PKG_DEVICE_TYPE    its deviceTypeList has no type of this device
 *         RB_ERR_PKG_SIGNER         another key signed the installed one
 *         RB_ERR_PKG_DOWNGRADE      versionCode is lower than the installed one's
 *         RB_ERR_PKG_NATIVE_SIGNER  native, and its signer is not one of settings->native_signer
 *         RB_ERR_PKG_ARCH           native, for another architecture
 *         RB_ERR_PKG_TWICE          the transaction has that package already
 */
RB_MUST_USE
rb_err rpk_plan_install(struct rpk_plan *plan, struct rpk_file *file, const struct rpk_expected *expected);

/** A package found by name: an open file and what signed metadata says it is. */
struct rpk_found {
    int fd;
    struct rpk_expected expected;
};

/** Add a package by name: `find` gives the file, of which this takes the descriptor. Errors of `find`, of
 * rpk_file_open and of rpk_plan_install. */
RB_MUST_USE
rb_err rpk_plan_install_name(struct rpk_plan *plan, const char *package,
                             rb_err (*find)(void *ctx, const char *package, struct rpk_found *out), void *ctx);

/** Remove a package, its data and its pinned signer. RB_ERR_PKG_NOT_INSTALLED, RB_ERR_PKG_TWICE. */
RB_MUST_USE
rb_err rpk_plan_remove(struct rpk_plan *plan, const char *package);

/** Check the set that would be installed afterwards. RB_ERR_PKG_DEPENDS (a native package needs one that is not in it),
 * RB_ERR_PKG_CONFLICT. The detail names both. */
RB_MUST_USE
rb_err rpk_plan_check(struct rpk_plan *plan);

/** The changes in the order they were added. */
const struct rpk_change *rpk_plan_changes(const struct rpk_plan *plan, unsigned *count);

/**
 * Do it: all changes or none. Nothing to do is done (no new generation).
 *
 * Power may fail or the process be killed at any moment: the next rpk_open finds the old set or the new one, and
 * database, package tree, data directories and pins that agree with it.
 *
 * @return RB_OK: the new set is installed and durable. Any error: the old set is, except RB_ERR_IO after the switch
 *         (the detail says so), when a power cut could still bring the old set back.
 */
RB_MUST_USE
rb_err rpk_plan_commit(struct rpk_plan *plan);

#endif
