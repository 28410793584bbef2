/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Facts of a package's manifest.json, and its native part.
 *
 * Quick-app manifests are read leniently where real ones vary (docs/format.md 5.5); the native part is Riverbank's own
 * and is read strictly (manifests/package.schema.json).
 */
#ifndef RB_PKGMGR_MANIFEST_H
#define RB_PKGMGR_MANIFEST_H

#include "lib/host/json.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define RPK_MANIFEST_MAX (256u << 10) /* bytes */
#define RPK_PACKAGE_NAME_MAX 128u
#define RPK_VERSION_CODE_MAX 2147483647

/** Strings in memory of the owner. */
struct rpk_strings {
    char **at;
    unsigned count;
};

struct rpk_mode {
    char *path;
    mode_t mode; /* 0400..0777, readable for the owner */
};

/** A program that the package wants to be kept running. Recorded, not run in this version. */
struct rpk_service {
    char *name;
    struct rpk_strings exec; /* first: path in the package */
    char *restart;           /* "no", "on-failure" or "always" */
};

/** A program that the package wants to be run at some moment. Recorded, never run in this version. */
struct rpk_hook {
    char *moment; /* "post-install", "post-upgrade", "pre-remove" or "post-remove" */
    char *path;   /* in the package */
};

struct rpk_native {
    char *arch; /* as device settings name it, or "any" */
    struct rpk_strings depends;
    struct rpk_strings provides;
    struct rpk_strings conflicts;
    struct rpk_mode *modes;
    unsigned mode_count;
    struct rpk_service *services;
    unsigned service_count;
    struct rpk_hook *hooks;
    unsigned hook_count;
};

/**
 * Read the "native" object. Everything manifests/package.schema.json asks for is checked here too, and the other way
 * round.
 * @return RB_OK, RB_ERR_RPK_MANIFEST with the field in the detail
 */
RB_MUST_USE
rb_err rpk_native_parse(const json_t *native, struct rpk_native *out);
void rpk_native_free(struct rpk_native *native);

struct rpk_manifest {
    char *package;       /* identity; [A-Za-z0-9._-], becomes a directory name */
    char *name;          /* label for people; the package where the manifest has none */
    int64_t version_code; /* the only ordering key; 0 where the manifest has none */
    char *version_name;  /* for people; "" where the manifest has none */
    int64_t min_platform; /* minPlatformVersion, 1 where the manifest has none; not compared yet */
    struct rpk_strings device_types; /* none: any device */
    struct rpk_strings permissions;
    struct rpk_strings features;
    bool is_native;
    struct rpk_native native;
};

/** @return RB_OK, RB_ERR_RPK_MANIFEST with the field in the detail */
RB_MUST_USE
rb_err rpk_manifest_parse(const void *text, size_t len, struct rpk_manifest *out);
void rpk_manifest_free(struct rpk_manifest *m);

/** Whether `name` can be a package name: 1 to 128 of [A-Za-z0-9._-], first a letter or digit, no "..". */
bool rpk_package_name_ok(const char *name);

/** Whether a package for `type` is for a device of type `device` (NULL: any): it is the device's type or its family
 * ("watch" fits "watch-round"). */
bool rpk_device_type_fits(const char *type, const char *device);
/** The same for a list; an empty list fits every device. */
bool rpk_device_fits(const struct rpk_strings *types, const char *device);

bool rpk_strings_have(const struct rpk_strings *list, const char *text);
void rpk_strings_add(struct rpk_strings *list, const char *text);
void rpk_strings_free(struct rpk_strings *list);

#endif
