/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Releases: signed images and packages become targets of a repository, with deltas from earlier releases.
 */
#ifndef RB_FORGE_RELEASE_H
#define RB_FORGE_RELEASE_H

#include "lib/core/errors.h"
#include "lib/host/json.h"

#include <stdbool.h>
#include <stdint.h>

#define FORGE_RELEASE_FILES_MAX 64u
#define FORGE_RELEASE_KEYS_MAX 8u
#define FORGE_FROM_LAST_DEFAULT 3u
/** A delta is published only when it is smaller than this part of the full payload. */
#define FORGE_DELTA_WORTH_PERCENT 90u

struct forge_release_options {
    const char *component;                        /* of images that name none; NULL: "main" */
    const char *image[FORGE_RELEASE_FILES_MAX];   /* [COMPONENT=]FILE */
    unsigned image_count;
    const char *package[FORGE_RELEASE_FILES_MAX]; /* .rpk files */
    unsigned package_count;
    const char *image_key[FORGE_RELEASE_KEYS_MAX]; /* public or private; none: keys/image.pem of the repository */
    unsigned image_key_count;
    unsigned from_last;                           /* deltas from so many earlier releases */
    uint32_t memory;                              /* decoder memory; 0: default of server-tools/delta.h */
    int effort;                                   /* 1..9; 0: default */
    bool force;                                   /* a lower security counter or another package signer is meant */
    bool developer;                               /* packages signed with the public debug keys are meant */
    bool progress;
};

/**
 * Verify the files, make full payloads and deltas, and sign a new state of the repository that has them. Every input
 * is copied first and the copy is what is verified and released.
 *
 * Refused: an image whose signature no key verifies; a version that the component already has with other content; a
 * security counter lower than the last release's; a package with other content under a name that is taken, or signed
 * by another key than before. What is in the repository already, byte for byte, is passed over; when nothing is new,
 * nothing is signed.
 *
 * Interrupted at any point the repository is as it was; the blobs left under targets/ are used by the next run.
 *
 * @param report   {"release", "timestamp", "targets": [...], "notes": [...]}; caller json_decref's it
 * @param subject  the file that an error is about; borrowed from `options` or `repository`
 */
RB_MUST_USE
rb_err forge_release_create(const char *repository, const struct forge_release_options *options, json_t **report,
                            const char **subject);

#endif
