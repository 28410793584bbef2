/* SPDX-License-Identifier: Apache-2.0
 *
 * A strict NOR part. In memory it remembers for each program unit whether it was programmed (or left in doubt by a
 * cut erase) since its sector was last erased whole: such a unit must not be programmed again, whatever it reads as.
 * And it remembers for each bit whether it is doubtful: such a bit reads as it likes until its sector is erased. A
 * file keeps neither: there a unit counts as programmed when it does not read as erased, and doubtful bits stay as they
 * were before the operation.
 */
#include "lib/host/flashfile.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ERASED 0xffu
#define PIECE 4096u /* a file is read and written in pieces of this size */
#define FEW 4u      /* doubtful bits, at least, of an operation that was cut early or late */

struct state {
    int fd;           /* -1: in memory */
    bool writable;
    uint8_t *data;    /* in memory: the content */
    uint8_t *used;    /* in memory: one byte a program unit */
    uint8_t *doubt;   /* in memory: a mask for each byte; NULL until the first doubtful bit */
    uint64_t random;
};

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t
random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static bool
outside(const struct rb_flash *flash, uint32_t address, uint32_t len, uint32_t unit)
{
    return address > flash->size || len > flash->size - address || address % unit != 0 || len % unit != 0;
}

/* --- content ---------------------------------------------------------------------------------------------------- */

static rb_err
get(struct state *s, uint32_t address, uint8_t *out, uint32_t len)
{
    if (s->fd >= 0) {
        return rb_pread_all(s->fd, out, len, address) == RB_OK ? RB_OK : RB_ERR_FLASH_READ;
    }
    memcpy(out, s->data + address, len);
    for (uint32_t i = 0; s->doubt != NULL && i < len; i++) {
        if (s->doubt[address + i] != 0) {
            out[i] ^= (uint8_t)(s->doubt[address + i] & random_next(&s->random));
        }
    }
    return RB_OK;
}

static rb_err
put(struct state *s, uint32_t address, const uint8_t *data, uint32_t len)
{
    if (s->fd < 0) {
        memcpy(s->data + address, data, len);
        return RB_OK;
    }
    while (len > 0) {
        ssize_t done = pwrite(s->fd, data, len, (off_t)address);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return rb_fail_errno("flash file");
        }
        data += done;
        address += (uint32_t)done;
        len -= (uint32_t)done;
    }
    return RB_OK;
}

static void
mark(struct rb_flashfile *f, uint32_t address, uint32_t len, uint8_t used)
{
    struct state *s = f->state;
    uint32_t unit = f->flash.program_unit;

    if (s->used != NULL && len > 0) {
        uint32_t first = address / unit;
        uint32_t last = (address + len - 1) / unit;
        memset(s->used + first, used, last - first + 1);
    }
}

/* Bits of `mask` at `address` read as they like from now on. */
static void
make_doubtful(struct rb_flashfile *f, uint32_t address, uint8_t mask)
{
    struct state *s = f->state;

    if (s->fd >= 0) {
        return;
    }
    if (s->doubt == NULL) {
        s->doubt = rb_alloc(f->flash.size);
    }
    s->doubt[address] |= mask;
}

/* --- tears ------------------------------------------------------------------------------------------------------ */

/* The part of `len` bytes that a tear of this kind completes: [*from, *to). */
static void
torn_range(enum rb_tear tear, bool erase, uint32_t unit, uint32_t len, uint32_t *from, uint32_t *to)
{
    *from = 0;
    *to = len;
    switch (tear) {
    case RB_TEAR_BEFORE:
        *to = 0;
        break;
    case RB_TEAR_FIRST_BYTE:
        *to = erase ? unit : 1;
        break;
    case RB_TEAR_SECOND_HALF:
        if (erase) {
            *from = len / 2;
            break;
        }
        *to = len / 2;
        break;
    case RB_TEAR_HALF:
        *to = len / 2;
        break;
    case RB_TEAR_ALMOST:
        *to = erase ? len : len - 1;
        break;
    default:
        break;
    }
}

/* How far the cells had got when the power went: each bit that was to change is done, not done or doubtful. A cut
 * midway in the pulse leaves many bits in doubt; one early or late leaves a few that lie together. */
static void
torn_bits(struct rb_flashfile *f, uint32_t address, const uint8_t *old, uint8_t *new, uint32_t len)
{
    enum { EARLY, MIDWAY, LATE } phase = MIDWAY;
    uint64_t random = f->seed * 0x100000001b3u + f->ops;
    uint64_t changing = 0;
    uint64_t few_from = 0;
    uint64_t few_to = 0;
    uint64_t nth = 0;

    for (uint32_t i = 0; i < len; i++) {
        changing += (uint64_t)__builtin_popcount((unsigned)(old[i] ^ new[i]));
    }
    if (f->tear == RB_TEAR_MARGINAL && changing > 0) {
        phase = random_next(&random) % 3;
        few_from = random_next(&random) % changing;
        few_to = few_from + FEW + random_next(&random) % FEW;
        few_from = few_to > changing && changing > FEW ? changing - FEW : few_from;
    }
    for (uint32_t bit = 0; bit < 8 * len; bit++) {
        uint8_t mask = (uint8_t)(1u << (bit % 8));
        if (((old[bit / 8] ^ new[bit / 8]) & mask) == 0) {
            continue;
        }
        uint64_t chance = random_next(&random);
        bool few = nth >= few_from && nth < few_to;
        nth++;
        if (f->tear == RB_TEAR_MARGINAL && (phase == MIDWAY ? chance % 3 == 0 : few)) {
            make_doubtful(f, address + bit / 8, mask);
        } else if (phase == LATE || (phase == MIDWAY && (chance >> 32) % 2 == 0)) {
            continue;
        }
        new[bit / 8] ^= mask;
    }
}

/* One bit that an erase did not reach. */
static void
leave_one_bit(uint64_t seed, const uint8_t *old, uint8_t *new, uint32_t len)
{
    uint32_t start = (uint32_t)(random_next(&seed) % len);

    for (uint32_t k = 0; k < len; k++) {
        uint32_t i = (start + k) % len;
        if (old[i] != ERASED) {
            uint8_t clear = (uint8_t)~old[i];
            new[i] = (uint8_t)(new[i] & ~(clear & -clear));
            return;
        }
    }
}

/* The power goes during an operation that turns `len` bytes from `old` into `new`. */
static rb_err
tear(struct rb_flashfile *f, uint32_t address, const uint8_t *old, uint8_t *new, uint32_t len, bool erase)
{
    uint32_t from = 0;
    uint32_t to = 0;

    f->powered = false;
    torn_range(f->tear, erase, f->flash.program_unit, len, &from, &to);
    if (erase && f->tear != RB_TEAR_BEFORE && f->tear != RB_TEAR_AFTER) {
        mark(f, address, len, 1); /* reads as it may, it is not erased */
    }
    if (!erase) {
        mark(f, address + from, to - from, 1);
    } else if (f->tear == RB_TEAR_AFTER) {
        mark(f, address, len, 0);
    }
    if (f->tear == RB_TEAR_RANDOM || f->tear == RB_TEAR_MARGINAL) {
        torn_bits(f, address, old, new, len);
    } else if (f->tear == RB_TEAR_ALMOST && erase) {
        leave_one_bit(f->seed + f->ops, old, new, len);
    }
    RB_TRY(put(f->state, address + from, new + from, to - from));
    return RB_ERR_FLASH_POWER;
}

/* --- the three operations --------------------------------------------------------------------------------------- */

static rb_err
flash_read(void *ctx, uint32_t address, void *out, uint32_t len)
{
    struct rb_flashfile *f = ctx;

    if (!f->powered) {
        return RB_ERR_FLASH_POWER;
    }
    if (outside(&f->flash, address, len, 1)) {
        return RB_ERR_FLASH_RANGE;
    }
    return get(f->state, address, out, len);
}

/* Whether programming `len` bytes at `address` keeps the rules of NOR. */
static rb_err
may_program(struct rb_flashfile *f, uint32_t address, uint32_t len)
{
    struct state *s = f->state;
    uint8_t piece[PIECE];

    if (s->used != NULL) {
        uint32_t unit = f->flash.program_unit;
        for (uint32_t i = 0; i < len / unit; i++) {
            if (s->used[address / unit + i] != 0) {
                return RB_ERR_FLASH_RULE;
            }
        }
        return RB_OK;
    }
    for (uint32_t at = 0; at < len; at += PIECE) {
        uint32_t n = len - at < PIECE ? len - at : PIECE;
        RB_TRY(get(s, address + at, piece, n));
        for (uint32_t i = 0; i < n; i++) {
            if (piece[i] != ERASED) {
                return RB_ERR_FLASH_RULE;
            }
        }
    }
    return RB_OK;
}

static rb_err
flash_program(void *ctx, uint32_t address, const void *data, uint32_t len)
{
    struct rb_flashfile *f = ctx;
    struct state *s = f->state;

    if (!f->powered) {
        return RB_ERR_FLASH_POWER;
    }
    if (outside(&f->flash, address, len, f->flash.program_unit) || !s->writable) {
        return RB_ERR_FLASH_RANGE;
    }
    rb_err err = may_program(f, address, len);
    if (err == RB_ERR_FLASH_RULE) {
        f->rule_breaks++;
    }
    if (err != RB_OK || len == 0) {
        return err;
    }
    f->ops++;
    f->bytes_programmed += len;
    if (f->ops == f->cut_at) {
        uint8_t *old = rb_alloc(len);
        uint8_t *new = rb_alloc(len);
        memset(old, ERASED, len);
        memcpy(new, data, len);
        err = tear(f, address, old, new, len, false);
        free(old);
        free(new);
        return err;
    }
    mark(f, address, len, 1);
    return put(s, address, data, len) == RB_OK ? RB_OK : RB_ERR_FLASH_PROGRAM;
}

static rb_err
flash_erase(void *ctx, uint32_t address)
{
    struct rb_flashfile *f = ctx;
    struct state *s = f->state;
    uint32_t len = f->flash.sector_size;

    if (!f->powered) {
        return RB_ERR_FLASH_POWER;
    }
    if (outside(&f->flash, address, len, len) || !s->writable) {
        return RB_ERR_FLASH_RANGE;
    }
    f->ops++;
    f->bytes_erased += len;
    uint8_t *new = rb_alloc(len);
    uint8_t *old = rb_alloc(len);
    memset(new, ERASED, len);
    rb_err err = RB_OK;
    if (f->ops == f->cut_at) {
        err = get(s, address, old, len);
        err = err == RB_OK ? tear(f, address, old, new, len, true) : err;
    } else {
        err = put(s, address, new, len) == RB_OK ? RB_OK : RB_ERR_FLASH_ERASE;
        mark(f, address, len, 0);
        if (s->doubt != NULL) {
            memset(s->doubt + address, 0, len);
        }
    }
    free(new);
    free(old);
    return err;
}

/* --- making and keeping ----------------------------------------------------------------------------------------- */

static struct state *
set_up(struct rb_flashfile *f, uint32_t size, uint32_t sector_size, uint32_t program_unit)
{
    struct state *s = rb_alloc(sizeof *s);

    *f = (struct rb_flashfile){
        .flash = {.size = size,
                  .sector_size = sector_size,
                  .program_unit = program_unit,
                  .erased = ERASED,
                  .read = flash_read,
                  .program = flash_program,
                  .erase = flash_erase},
        .powered = true,
        .state = s,
    };
    f->flash.ctx = f;
    s->fd = -1;
    s->writable = true;
    return s;
}

void
rb_flashfile_memory(struct rb_flashfile *f, uint32_t size, uint32_t sector_size, uint32_t program_unit)
{
    struct state *s = set_up(f, size, sector_size, program_unit);

    s->data = rb_alloc(size);
    memset(s->data, ERASED, size);
    s->used = rb_alloc(size / program_unit);
}

rb_err
rb_flashfile_open(struct rb_flashfile *f, const char *path, bool writable, uint32_t sector_size, uint32_t program_unit)
{
    struct stat st;
    int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);

    if (fd < 0) {
        return rb_fail_errno("%s", path);
    }
    if (fstat(fd, &st) != 0) {
        rb_err err = rb_fail_errno("%s", path);
        (void)close(fd);
        return err;
    }
    if (sector_size == 0 || program_unit == 0 || st.st_size <= 0 || st.st_size > UINT32_MAX
        || st.st_size % sector_size != 0) {
        (void)close(fd);
        return rb_fail(RB_ERR_FLASH_RANGE, "%s: %lld bytes are not whole sectors of %u", path, (long long)st.st_size,
                       (unsigned)sector_size);
    }
    struct state *s = set_up(f, (uint32_t)st.st_size, sector_size, program_unit);
    s->fd = fd;
    s->writable = writable;
    return RB_OK;
}

rb_err
rb_flashfile_create(const char *path, uint32_t size)
{
    uint8_t piece[PIECE];
    rb_err err = RB_OK;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    if (fd < 0) {
        return rb_fail_errno("%s", path);
    }
    memset(piece, ERASED, sizeof piece);
    for (uint32_t left = size; left > 0 && err == RB_OK;) {
        uint32_t len = left < PIECE ? left : PIECE;
        err = rb_write_all(fd, piece, len);
        left -= len;
    }
    if (err == RB_OK && fsync(fd) != 0) {
        err = rb_fail_errno("%s", path);
    }
    if (close(fd) != 0 && err == RB_OK) {
        err = rb_fail_errno("%s", path);
    }
    if (err != RB_OK) {
        (void)unlink(path);
    }
    return err;
}

void
rb_flashfile_power_on(struct rb_flashfile *f)
{
    f->powered = true;
    f->cut_at = 0;
}

void
rb_flashfile_flip(struct rb_flashfile *f, uint32_t address, unsigned bit)
{
    struct state *s = f->state;

    s->data[address] ^= (uint8_t)(1u << bit);
}

static void *
copy_of(const void *from, size_t len)
{
    return from != NULL ? memcpy(rb_alloc(len), from, len) : NULL;
}

void
rb_flashfile_clone(struct rb_flashfile *to, const struct rb_flashfile *from)
{
    const struct state *old = from->state;
    struct state *s = rb_alloc(sizeof *s);

    *s = *old;
    s->data = copy_of(old->data, from->flash.size);
    s->used = copy_of(old->used, from->flash.size / from->flash.program_unit);
    s->doubt = copy_of(old->doubt, from->flash.size);
    *to = *from;
    to->flash.ctx = to;
    to->state = s;
}

rb_err
rb_flashfile_sync(struct rb_flashfile *f)
{
    const struct state *s = f->state;

    return s->fd >= 0 && s->writable && fdatasync(s->fd) != 0 ? rb_fail_errno("flash file") : RB_OK;
}

void
rb_flashfile_close(struct rb_flashfile *f)
{
    struct state *s = f->state;

    if (s == NULL) {
        return;
    }
    if (s->fd >= 0) {
        (void)close(s->fd);
    }
    free(s->data);
    free(s->used);
    free(s->doubt);
    free(s);
    f->state = NULL;
    f->powered = false;
}

static const char *const tear_names[RB_TEAR_COUNT] = {
    [RB_TEAR_BEFORE] = "before",           [RB_TEAR_FIRST_BYTE] = "first-byte", [RB_TEAR_HALF] = "half",
    [RB_TEAR_SECOND_HALF] = "second-half", [RB_TEAR_ALMOST] = "almost",         [RB_TEAR_RANDOM] = "random",
    [RB_TEAR_MARGINAL] = "marginal",       [RB_TEAR_AFTER] = "after",
};

const char *
rb_tear_name(enum rb_tear tear)
{
    return tear_names[tear];
}

bool
rb_tear_named(const char *name, enum rb_tear *out)
{
    for (int i = 0; i < RB_TEAR_COUNT; i++) {
        if (strcmp(name, tear_names[i]) == 0) {
            *out = (enum rb_tear)i;
            return true;
        }
    }
    return false;
}

rb_err
rb_flashfile_config(const char *path, struct rb_loader_config *out)
{
    uint8_t raw[RB_LOADER_CONFIG_LEN];
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return rb_fail_errno("%s", path);
    }
    rb_err err = rb_pread_all(fd, raw, sizeof raw, 0);
    (void)close(fd);
    if (err == RB_ERR_TRUNCATED) {
        return rb_fail(RB_ERR_LOADER_CONFIG, "%s: shorter than a loader configuration", path);
    }
    RB_TRY(err);
    err = rb_loader_config_parse(raw, out);
    return err == RB_OK ? RB_OK : rb_fail(err, "%s", path);
}
