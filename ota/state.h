/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What the agent remembers: ota.sqlite (docs/format.md 7.3). Lost or damaged it is made anew, and everything that
 * matters is read back from the journal and the slots; nothing here is ever a reason to trust anything.
 */
#ifndef RB_OTA_STATE_H
#define RB_OTA_STATE_H

#include "ota/device.h"

/** Stored before it is entered; safe to enter twice. */
enum ota_state {
    OTA_IDLE,     /* nothing under way */
    OTA_CHECK,    /* refreshing metadata */
    OTA_PLAN,     /* choosing a release and a payload */
    OTA_STAGE,    /* writing the idle slot */
    OTA_VERIFY,   /* reading the idle slot back */
    OTA_ARM,      /* asking the journal for a trial */
    OTA_WAIT,     /* armed; a reboot starts the trial */
    OTA_TRIAL,    /* the new image runs; its health is checked */
    OTA_COMMIT,   /* confirming */
    OTA_ROLLBACK, /* rejecting */
    OTA_REPORT,   /* the attempt has an outcome; it is being written down */
    OTA_STATE_COUNT,
};
const char *ota_state_name(enum ota_state state);

/** One try at bringing one release onto the device. Strings end with NUL; "" for what is not known. */
struct ota_attempt {
    int64_t id; /* 0: none */
    int64_t release;
    int64_t image_len;
    int64_t security_counter;
    int64_t payload_len;
    int64_t fetched;   /* body bytes received, whatever became of them */
    int64_t refetched; /* of those, bytes that had been received before */
    int64_t payload_fetched; /* of the payload in use */
    int64_t started;   /* seconds since 1970, by the device's clock */
    int64_t ended;     /* 0: under way */
    uint8_t slot;
    uint8_t digest[RB_SHA256_LEN]; /* of the image; after a rebuild only the first 16 bytes may be known */
    char version[RB_IMAGE_VERSION_LEN + 1];
    char from_version[RB_IMAGE_VERSION_LEN + 1]; /* base of the delta; "" for a full payload */
    char payload[256];                           /* target name */
    char outcome[16];                            /* confirmed, fell-back, failed, cancelled */
    char error[32];                              /* name of the error */
    char detail[512];
};

/** Open for writing; sets d->db and d->db_rebuilt. */
RB_MUST_USE
rb_err ota_state_open(struct ota_device *d);
/** Open for reading; d->db stays NULL when that is not possible. */
void ota_state_open_readonly(struct ota_device *d);

/** Store the state and the attempt it belongs to (0: none). */
RB_MUST_USE
rb_err ota_state_enter(struct ota_device *d, enum ota_state state, int64_t attempt);
/** The stored state; OTA_IDLE without a database. */
RB_MUST_USE
rb_err ota_state_now(const struct ota_device *d, enum ota_state *state, int64_t *attempt);

/** Insert; sets a->id and a->started. */
RB_MUST_USE
rb_err ota_attempt_start(struct ota_device *d, struct ota_attempt *a);
/** RB_ERR_NOT_FOUND. */
RB_MUST_USE
rb_err ota_attempt_read(const struct ota_device *d, int64_t id, struct ota_attempt *out);
/** Which payload is being used, and its length. */
RB_MUST_USE
rb_err ota_attempt_payload(struct ota_device *d, const struct ota_attempt *a);
RB_MUST_USE
rb_err ota_attempt_counted(struct ota_device *d, const struct ota_attempt *a);
/** Write the outcome down, in one transaction with the state IDLE; `quarantine` keeps the image from being tried
 * again. */
RB_MUST_USE
rb_err ota_attempt_end(struct ota_device *d, const struct ota_attempt *a, bool quarantine);
/** Newest first; stops at the first error `visit` returns. */
RB_MUST_USE
rb_err ota_attempt_each(const struct ota_device *d, int limit,
                        rb_err (*visit)(void *ctx, const struct ota_attempt *a), void *ctx);

/** Images that failed here, by the bytes of their digest that the journal keeps. */
RB_MUST_USE
rb_err ota_quarantine_find(const struct ota_device *d, const uint8_t digest[RB_RECORD_DIGEST_LEN], bool *found,
                           char *cause, size_t room);
RB_MUST_USE
rb_err ota_quarantine_add(struct ota_device *d, const uint8_t digest[RB_RECORD_DIGEST_LEN], const char *version,
                          const char *cause);
RB_MUST_USE
rb_err ota_quarantine_lift(struct ota_device *d, const uint8_t digest[RB_RECORD_DIGEST_LEN]);

/** Payloads that could not be used, by the hash of their header, so that a restart does not try them again. */
RB_MUST_USE
rb_err ota_refused_add(struct ota_device *d, const uint8_t header[RB_SHA256_LEN], const char *reason);
RB_MUST_USE
rb_err ota_refused_find(const struct ota_device *d, const uint8_t header[RB_SHA256_LEN], bool *found, char *reason,
                        size_t room);
RB_MUST_USE
rb_err ota_refused_clear(struct ota_device *d);

/** SHA-256 of whole images that lie in slots, by their digest, so that a slot is hashed once. */
RB_MUST_USE
rb_err ota_base_find(const struct ota_device *d, const uint8_t digest[RB_SHA256_LEN], bool *found,
                     uint8_t sha256[RB_SHA256_LEN]);
RB_MUST_USE
rb_err ota_base_add(struct ota_device *d, const uint8_t digest[RB_SHA256_LEN], const uint8_t sha256[RB_SHA256_LEN]);

/** Keep an event: "level name key=value ...". The newest 1000 are kept. Never fails: an event is not worth stopping
 * an update for. */
void ota_event(struct ota_device *d, const char *level, const char *name, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/** Oldest first, the newest `limit`. */
RB_MUST_USE
rb_err ota_event_each(const struct ota_device *d, int limit,
                      rb_err (*visit)(void *ctx, int64_t time, const char *level, const char *name,
                                      const char *facts),
                      void *ctx);

#endif
