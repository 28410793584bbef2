/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Flash as a file, or in memory, under the strict rules of NOR: program turns 1 into 0 only, whole units, no unit
 * twice, erase by sector. It can cut the power at any operation, inside it, and then refuses everything until
 * power_on. The boot code, the agent and the tests run on this.
 */
#ifndef RB_HOST_FLASHFILE_H
#define RB_HOST_FLASHFILE_H

#include "lib/core/flash.h"
#include "lib/core/loader_config.h"

#include <stdbool.h>

/** How an operation is torn by a power cut. Programs and erases each have the tears that make sense for them; the
 * others count as BEFORE. */
enum rb_tear {
    RB_TEAR_BEFORE,        /* the operation has no effect */
    RB_TEAR_FIRST_BYTE,    /* program: only the first byte; erase: only the first unit */
    RB_TEAR_HALF,          /* the first half */
    RB_TEAR_SECOND_HALF,   /* erase: only the second half; program: as HALF */
    RB_TEAR_ALMOST,        /* program: all but the last byte; erase: all but one bit */
    RB_TEAR_RANDOM,        /* each bit that would change does so or not, by the seed */
    RB_TEAR_MARGINAL,      /* early, midway or late: some bits read differently on each read until erased */
    RB_TEAR_AFTER,         /* complete, but the caller never hears of it */
    RB_TEAR_COUNT,
};

/** Word for a tear ("before", "first-byte", ...), and the inverse; false when there is no such word. */
const char *rb_tear_name(enum rb_tear tear);
bool rb_tear_named(const char *name, enum rb_tear *out);

struct rb_flashfile {
    struct rb_flash flash;  /* hand out &f->flash */
    uint64_t ops;           /* programs and erases so far */
    uint64_t cut_at;        /* the power fails in operation number cut_at (1 is the next after 0 done); 0: never */
    enum rb_tear tear;
    uint64_t seed;          /* for RANDOM and MARGINAL */
    bool powered;           /* false: every call gives RB_ERR_FLASH_POWER */
    uint64_t rule_breaks;   /* programs over units that were not erased whole since; must stay 0. They are refused. */
    uint64_t bytes_programmed;
    uint64_t bytes_erased;
    void *state;            /* private */
};

/** In memory, all erased. Ends the process when there is no memory. */
void rb_flashfile_memory(struct rb_flashfile *f, uint32_t size, uint32_t sector_size, uint32_t program_unit);

/** On a file that exists; its size is the flash's. The file is written through at once (pwrite), never cached.
 * Geometry by the caller. RB_ERR_IO_NOT_FOUND, RB_ERR_FLASH_RANGE (size no multiple of sector_size), RB_ERR_IO. */
RB_MUST_USE
rb_err rb_flashfile_open(struct rb_flashfile *f, const char *path, bool writable, uint32_t sector_size,
                         uint32_t program_unit);

/** Make a file of `size` erased bytes; replaces nothing: RB_ERR_IO_EXISTS. */
RB_MUST_USE
rb_err rb_flashfile_create(const char *path, uint32_t size);

/** The loader configuration in the first sector of a flash file (docs/format.md section 1): it has the geometry that
 * rb_flashfile_open wants. RB_ERR_IO_NOT_FOUND, RB_ERR_LOADER_CONFIG, RB_ERR_IO. */
RB_MUST_USE
rb_err rb_flashfile_config(const char *path, struct rb_loader_config *out);

/** Power back on after a cut: reads and writes work again, marginal bits stay marginal. */
void rb_flashfile_power_on(struct rb_flashfile *f);

/** Flip one bit, as rot does: past the rules, not counted, also without power. For a memory flash. */
void rb_flashfile_flip(struct rb_flashfile *f, uint32_t address, unsigned bit);

/** A copy of a memory flash with its whole state, for sweeps. */
void rb_flashfile_clone(struct rb_flashfile *to, const struct rb_flashfile *from);

/** Make everything stored durable (fsync); a no-op in memory. */
RB_MUST_USE
rb_err rb_flashfile_sync(struct rb_flashfile *f);

void rb_flashfile_close(struct rb_flashfile *f);

#endif
