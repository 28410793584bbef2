/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Device settings: DIR/etc/riverbank/settings.json (manifests/settings.schema.json). Read by ota, otad and rpk.
 */
#ifndef RB_HOST_SETTINGS_H
#define RB_HOST_SETTINGS_H

#include "lib/core/errors.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RB_SETTINGS_SIGNERS_MAX 16

enum rb_health_kind {
    RB_HEALTH_PROGRAM, /* the slot's own program reported success (its exit status in the boot report) */
    RB_HEALTH_COMMAND, /* a command, run with RB_SLOT and RB_VERSION set, exits 0 within the deadline */
};

struct rb_settings {
    char *root;               /* the --root directory, or "" */
    char *hardware;           /* hardware id */
    char *component;          /* name of the component the slots hold, "main" by default */
    char *device_type;        /* for .rpk deviceTypeList: "watch", "watch-round", ... or NULL: any */
    char *arch;               /* for native packages: "arm", "aarch64", "riscv64", "x86_64", ... */
    char *repository_url;     /* ends in '/'; metadata/ and targets/ lie below; http and https only; NULL: none */
    char *ca_file;            /* NULL: the system's */
    char *flash_path;         /* file or device with the slots and the journal; root already in front */
    char *boot_report_path;   /* what the loader handed over at this boot */
    char *state_dir;          /* trust store, databases, spool */
    char *package_dir;        /* package tree */
    unsigned tries;           /* starts of a trial, 3..15 */
    uint64_t decoder_memory;  /* bytes a payload may ask for */
    unsigned poll_interval_s; /* otad; jitter comes on top */
    enum rb_health_kind health;
    char *health_command[16]; /* NULL-terminated */
    unsigned health_deadline_s;
    unsigned native_signer_count; /* who may sign native packages: SHA-256 of the certificate */
    uint8_t native_signer[RB_SETTINGS_SIGNERS_MAX][32];
    bool developer_mode;      /* accept packages signed with the public toolchain debug keys */
};

/** Read and check. `root` is the --root directory or NULL. RB_ERR_AGENT_SETTINGS with the field in the detail,
 * RB_ERR_IO_NOT_FOUND when there is no settings file. */
RB_MUST_USE
rb_err rb_settings_read(const char *root, struct rb_settings *out);

/** The same from a JSON text (for provisioning and for checking examples). */
RB_MUST_USE
rb_err rb_settings_parse(const char *root, const void *text, size_t len, struct rb_settings *out);

void rb_settings_free(struct rb_settings *s);

#endif
