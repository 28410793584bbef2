/* SPDX-License-Identifier: Apache-2.0 */
#include "pkgmgr/tree.h"

#include "lib/core/bytes.h"
#include "lib/core/crypto.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANIFEST_MAX (4u << 20)
#define END_LEN (4 + 64 + 1) /* "end <sha256>\n" */

static rb_err
damaged(const char *dir, uint32_t number, const char *what)
{
    return rb_fail(RB_ERR_PKG_STATE, "%s/gen/%" PRIu32 "/manifest: %s", dir, number, what);
}

uint32_t
rpk_generation_number(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len > 10 || name[0] == '0' || strspn(name, "0123456789") != len) {
        return 0;
    }
    unsigned long long value = strtoull(name, NULL, 10);
    return value < UINT32_MAX ? (uint32_t)value : 0;
}

rb_err
rpk_tree_current(const char *dir, uint32_t *number)
{
    char target[64];
    char *path = rb_text("%s/current", dir);
    ssize_t len = readlink(path, target, sizeof target - 1);
    rb_err err = RB_OK;

    if (len < 0 && errno == ENOENT) {
        *number = 0;
    } else if (len < 0) {
        err = errno == EINVAL ? rb_fail(RB_ERR_PKG_STATE, "%s: not a link", path) : rb_fail_errno("%s", path);
    } else {
        target[len] = '\0';
        *number = strncmp(target, "gen/", 4) == 0 ? rpk_generation_number(target + 4) : 0;
        err = *number != 0 ? RB_OK : rb_fail(RB_ERR_PKG_STATE, "%s: points to \"%s\"", path, target);
    }
    free(path);
    return err;
}

/* ---- generation in memory ---- */

static void
member_free(struct rpk_member *m)
{
    free(m->package);
    free(m->store);
}

void
rpk_generation_free(struct rpk_generation *generation)
{
    for (unsigned i = 0; i < generation->count; i++) {
        member_free(&generation->members[i]);
    }
    free(generation->members);
    *generation = (struct rpk_generation){0};
}

/* Index of the package, or of where it would stand. */
static unsigned
place_of(const struct rpk_generation *generation, const char *package, bool *found)
{
    unsigned low = 0;
    unsigned high = generation->count;

    *found = false;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        int order = strcmp(generation->members[middle].package, package);
        if (order == 0) {
            *found = true;
            return middle;
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return low;
}

const struct rpk_member *
rpk_generation_find(const struct rpk_generation *generation, const char *package)
{
    bool found;
    unsigned i = place_of(generation, package, &found);

    return found ? &generation->members[i] : NULL;
}

void
rpk_generation_drop(struct rpk_generation *generation, const char *package)
{
    bool found;
    unsigned i = place_of(generation, package, &found);

    if (found) {
        member_free(&generation->members[i]);
        generation->count--;
        memmove(&generation->members[i], &generation->members[i + 1],
                (generation->count - i) * sizeof *generation->members);
    }
}

void
rpk_generation_put(struct rpk_generation *generation, const struct rpk_member *member)
{
    bool found;

    rpk_generation_drop(generation, member->package);
    unsigned i = place_of(generation, member->package, &found);
    generation->members = rb_realloc(generation->members, (generation->count + 1) * sizeof *generation->members);
    memmove(&generation->members[i + 1], &generation->members[i],
            (generation->count - i) * sizeof *generation->members);
    generation->members[i] = *member;
    generation->members[i].package = rb_text("%s", member->package);
    generation->members[i].store = rb_text("%s", member->store);
    generation->count++;
}

/* ---- manifest ----
 *
 *   riverbank generation 7
 *   org.example.clock 2 2-9c5f1c13 <content> <signer> <manifest> 1766102400       one line a package, sorted
 *   end <SHA-256 of all lines before>
 */

static void
print_lines(FILE *out, const struct rpk_generation *g)
{
    fprintf(out, "riverbank generation %" PRIu32 "\n", g->number);
    for (unsigned i = 0; i < g->count; i++) {
        const struct rpk_member *m = &g->members[i];
        char hex[3][65];
        rb_hex(m->content, 32, hex[0]);
        rb_hex(m->signer, 32, hex[1]);
        rb_hex(m->manifest, 32, hex[2]);
        fprintf(out, "%s %" PRId64 " %s %s %s %s %" PRId64 "\n", m->package, m->version_code, m->store, hex[0], hex[1],
                hex[2], m->installed);
    }
}

/* NULL when there is no memory. */
static char *
render(const struct rpk_generation *g)
{
    char *lines = NULL;
    size_t len = 0;
    uint8_t sha[32];
    char digest[65];
    FILE *out = open_memstream(&lines, &len);

    if (out == NULL) {
        return NULL;
    }
    print_lines(out, g);
    if (fclose(out) != 0 || lines == NULL) {
        free(lines);
        return NULL;
    }
    rb_sha256(lines, len, sha);
    rb_hex(sha, 32, digest);
    char *text = rb_text("%send %s\n", lines, digest);
    free(lines);
    return text;
}

static bool
number_of(const char *text, int64_t *out)
{
    size_t len = strlen(text);

    if (len == 0 || len > 18 || strspn(text, "0123456789") != len) {
        return false;
    }
    *out = (int64_t)strtoull(text, NULL, 10);
    return true;
}

/* "<versionCode>-<8 hex digits>", and nothing that could lead elsewhere. */
static bool
is_store_name(const char *store, int64_t version_code)
{
    char *prefix = rb_text("%" PRId64 "-", version_code);
    size_t len = strlen(prefix);
    bool ok = strncmp(store, prefix, len) == 0 && strlen(store) == len + 8
              && strspn(store + len, "0123456789abcdef") == 8;

    free(prefix);
    return ok;
}

static bool
parse_line(char *line, struct rpk_member *m)
{
    char *field[7];

    for (int i = 0; i < 7; i++) {
        field[i] = strsep(&line, " ");
        if (field[i] == NULL) {
            return false;
        }
    }
    m->package = field[0];
    m->store = field[2];
    return line == NULL && rpk_package_name_ok(m->package) && number_of(field[1], &m->version_code)
           && is_store_name(m->store, m->version_code) && rb_unhex(field[3], m->content, 32) == RB_OK
           && rb_unhex(field[4], m->signer, 32) == RB_OK && rb_unhex(field[5], m->manifest, 32) == RB_OK
           && number_of(field[6], &m->installed);
}

static bool
end_matches(const char *text, size_t len)
{
    uint8_t sha[32];
    char digest[65];

    if (len < END_LEN) {
        return false;
    }
    rb_sha256(text, len - END_LEN, sha);
    rb_hex(sha, 32, digest);
    const char *end = text + len - END_LEN;
    return memcmp(end, "end ", 4) == 0 && memcmp(end + 4, digest, 64) == 0 && end[68] == '\n';
}

/* The text proved whole by its last line, so a line that does not parse is a mistake of whoever wrote it. */
static rb_err
parse(const char *dir, uint32_t number, char *text, size_t len, struct rpk_generation *out)
{
    char *head = rb_text("riverbank generation %" PRIu32, number);
    char *rest = text;

    if (!end_matches(text, len)) {
        free(head);
        return damaged(dir, number, "damaged");
    }
    text[len - END_LEN] = '\0';
    char *line = strsep(&rest, "\n");
    bool good = strcmp(line, head) == 0;
    free(head);
    out->number = number;
    while (good && rest != NULL && *rest != '\0') {
        struct rpk_member m = {0};
        line = strsep(&rest, "\n");
        good = parse_line(line, &m)
               && (out->count == 0 || strcmp(out->members[out->count - 1].package, m.package) < 0);
        if (good) {
            rpk_generation_put(out, &m);
        }
    }
    return good ? RB_OK : damaged(dir, number, "does not parse");
}

rb_err
rpk_tree_read(const char *dir, uint32_t number, struct rpk_generation *out)
{
    struct rpk_generation g = {0};
    uint8_t *text = NULL;
    size_t len = 0;

    if (number == 0) {
        *out = g;
        return RB_OK;
    }
    char *path = rb_text("%s/gen/%" PRIu32 "/manifest", dir, number);
    rb_err err = rb_file_read(path, MANIFEST_MAX, &text, &len);
    free(path);
    if (err == RB_OK) {
        err = parse(dir, number, (char *)text, len, &g);
    } else if (err == RB_ERR_IO_NOT_FOUND) {
        err = RB_ERR_PKG_STATE; /* the detail names the file */
    }
    free(text);
    if (err != RB_OK) {
        rpk_generation_free(&g);
        return err;
    }
    *out = g;
    return RB_OK;
}

static rb_err
write_text(const char *path, const char *text)
{
    FILE *out = fopen(path, "wxe");

    if (out == NULL) {
        return rb_fail_errno("%s", path);
    }
    bool good = fputs(text, out) >= 0;
    if (fclose(out) != 0 || !good) {
        return rb_fail_errno("%s", path);
    }
    return RB_OK;
}

static rb_err
write_links(const char *part, const struct rpk_generation *g)
{
    rb_err err = RB_OK;

    for (unsigned i = 0; err == RB_OK && i < g->count; i++) {
        char *link = rb_text("%s/%s", part, g->members[i].package);
        char *target = rb_text("../../store/%s/%s", g->members[i].package, g->members[i].store);
        if (symlink(target, link) != 0) {
            err = rb_fail_errno("%s", link);
        }
        free(target);
        free(link);
    }
    return err;
}

rb_err
rpk_tree_write(const char *dir, const struct rpk_generation *generation)
{
    char *text = render(generation);

    if (text == NULL) {
        return rb_fail(RB_ERR_NO_MEMORY, "generation %" PRIu32, generation->number);
    }
    char *part = rb_text("%s/gen/%" PRIu32 ".part", dir, generation->number);
    char *path = rb_text("%s/manifest", part);
    rb_err err = rb_make_dirs(part, 0755);
    if (err == RB_OK) {
        err = write_links(part, generation);
    }
    if (err == RB_OK) {
        err = write_text(path, text);
    }
    free(text);
    free(path);
    free(part);
    return err;
}

rb_err
rpk_tree_switch(const char *dir, uint32_t number)
{
    char *target = rb_text("gen/%" PRIu32, number);
    char *tmp = rb_text("%s/current.tmp", dir);
    char *path = rb_text("%s/current", dir);
    rb_err err = RB_OK;

    (void)unlink(tmp);
    if (symlink(target, tmp) != 0 || rename(tmp, path) != 0) {
        err = rb_fail_errno("%s", path);
    } else {
        err = rb_sync_dir(dir);
    }
    free(path);
    free(tmp);
    free(target);
    return err;
}

rb_err
rpk_tree_discard(const char *dir, const char *path)
{
    static unsigned serial;
    char *bin = rb_text("%s/tmp", dir);
    char *to = rb_text("%s/gc-%ld-%u", bin, (long)getpid(), serial++);
    rb_err err = rb_make_dirs(bin, 0700);

    if (err == RB_OK && rename(path, to) != 0) {
        err = rb_fail_errno("%s", path);
    }
    if (err == RB_OK) {
        err = rb_remove_tree(to);
    }
    free(to);
    free(bin);
    return err;
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

rb_err
rpk_tree_names(const char *path, struct rpk_strings *out)
{
    struct rpk_strings names = {NULL, 0};
    DIR *dir = opendir(path);

    if (dir == NULL && errno != ENOENT) {
        return rb_fail_errno("%s", path);
    }
    for (const struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            rpk_strings_add(&names, e->d_name);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    if (names.count > 0) {
        qsort(names.at, names.count, sizeof *names.at, by_text);
    }
    *out = names;
    return RB_OK;
}
