/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/host/cli.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/host/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define GIVEN_MAX 256

/* One command line at a time: the parsed form is the program's, as argv is. */
static const struct rb_program *program;
static const struct rb_verb *verb;
static struct {
    const struct rb_option *option;
    const char *value;
} given[GIVEN_MAX];
static int given_count;
static const char *arguments[GIVEN_MAX];
static int argument_count;

static const struct rb_option common_options[] = {
    {"--json", NULL, "print one JSON document", false},
    {"--quiet", NULL, "no progress", false},
    {"--help", NULL, "this text", false},
    {"--version", NULL, "the version", false},
    {NULL, NULL, NULL, false},
};

/* Descriptors 0 to 2 must be open, or the next file opened would receive our messages. */
static void
sanitise(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            (void)open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
        }
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)umask(022);
}

static size_t
smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edit distance, for "did you mean". Words here are short. */
static size_t
distance(const char *a, const char *b)
{
    size_t rows[2][64];
    size_t len = smaller(strlen(b), 63);

    for (size_t j = 0; j <= len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t *above = rows[i % 2];
        size_t *row = rows[(i + 1) % 2];
        row[0] = i + 1;
        for (size_t j = 0; j < len; j++) {
            size_t change = above[j] + (a[i] != b[j]);
            row[j + 1] = smaller(change, smaller(above[j + 1], row[j]) + 1);
        }
    }
    return rows[strlen(a) % 2][len];
}

static void
consider(const char *word, const char *known, const char **best, size_t *best_distance)
{
    size_t d = distance(word, known);

    if (d < *best_distance) {
        *best_distance = d;
        *best = known;
    }
}

static const struct rb_option *
find_option(const struct rb_option *list, const char *name, size_t len)
{
    for (; list != NULL && list->name != NULL; list++) {
        if (strlen(list->name) == len && memcmp(list->name, name, len) == 0) {
            return list;
        }
    }
    return NULL;
}

static const struct rb_option *
option_named(const char *name, size_t len)
{
    const struct rb_option *found = find_option(verb != NULL ? verb->options : NULL, name, len);

    if (found == NULL) {
        found = find_option(program->options, name, len);
    }
    return found != NULL ? found : find_option(common_options, name, len);
}

static void
print_options(const char *title, const struct rb_option *list)
{
    if (list == NULL || list->name == NULL) {
        return;
    }
    printf("\n%s\n", title);
    for (; list->name != NULL; list++) {
        char left[80];
        (void)snprintf(left, sizeof left, "%s%s%s", list->name, list->value != NULL ? " " : "",
                       list->value != NULL ? list->value : "");
        printf("  %-28s %s%s\n", left, list->help, list->repeat ? " (may be repeated)" : "");
    }
}

static const char *
spaced(const char *text)
{
    return text != NULL && text[0] != '\0' ? " " : "";
}

static int
print_verb_help(void)
{
    const char *words = verb->arguments != NULL ? verb->arguments : "";

    printf("Usage: %s%s%s [options]%s%s\n\n%s\n", program->name, spaced(verb->name), verb->name, spaced(words), words,
           verb->name[0] != '\0' ? verb->help : program->summary);
    print_options("Options:", verb->options);
    print_options(verb->name[0] != '\0' ? "Options of every verb:" : "Options:", program->options);
    print_options("Common options:", common_options);
    return RB_EXIT_DONE;
}

static int
print_program_help(void)
{
    printf("Usage: %s VERB [options] [arguments]\n\n%s\n\nVerbs:\n", program->name, program->summary);
    for (const struct rb_verb *const *group = program->groups; *group != NULL; group++) {
        for (const struct rb_verb *v = *group; v->name != NULL; v++) {
            char left[80];
            (void)snprintf(left, sizeof left, "%s%s%s", v->name, spaced(v->arguments),
                           v->arguments != NULL ? v->arguments : "");
            printf("  %-34s %s\n", left, v->help);
        }
    }
    print_options("Options of every verb:", program->options);
    print_options("Common options:", common_options);
    printf("\n'%s VERB --help' tells more about a verb.\n"
           "Exit codes: 0 done, 1 the answer is no, 2 used wrongly, 3 the system failed.\n",
           program->name);
    return RB_EXIT_DONE;
}

/* The verb with most words that the arguments begin with. */
static int
match_verb(int argc, char **argv)
{
    int used = 0;

    for (const struct rb_verb *const *group = program->groups; *group != NULL; group++) {
        for (const struct rb_verb *v = *group; v->name != NULL; v++) {
            const char *word = v->name;
            int words = 0;
            while (*word != '\0' && words < argc) {
                size_t len = strcspn(word, " ");
                if (strlen(argv[words]) != len || memcmp(argv[words], word, len) != 0) {
                    break;
                }
                words++;
                word += len;
                word += *word == ' ';
            }
            if (*word == '\0' && (verb == NULL || words > used)) {
                verb = v;
                used = words;
            }
        }
    }
    return used;
}

static int
unknown_verb(const char *word, const char *second)
{
    const char *best = NULL;
    size_t best_distance = 4;
    char *two = second != NULL ? rb_text("%s %s", word, second) : NULL;

    for (const struct rb_verb *const *group = program->groups; *group != NULL; group++) {
        for (const struct rb_verb *v = *group; v->name != NULL; v++) {
            consider(strchr(v->name, ' ') != NULL && two != NULL ? two : word, v->name, &best, &best_distance);
        }
    }
    free(two);
    if (best != NULL) {
        return rb_cli_usage("unknown verb '%s'; did you mean '%s'?", word, best);
    }
    return rb_cli_usage("unknown verb '%s'; '%s --help' lists the verbs", word, program->name);
}

static int
unknown_option(const char *word)
{
    const struct rb_option *const lists[] = {verb != NULL ? verb->options : NULL, program->options, common_options};
    const char *best = NULL;
    size_t best_distance = 4;

    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        for (const struct rb_option *o = lists[i]; o != NULL && o->name != NULL; o++) {
            consider(word, o->name, &best, &best_distance);
        }
    }
    if (best != NULL) {
        return rb_cli_usage("unknown option '%s'; did you mean '%s'?", word, best);
    }
    return rb_cli_usage("unknown option '%s'; see '%s%s%s --help'", word, program->name,
                        spaced(verb != NULL ? verb->name : NULL), verb != NULL ? verb->name : "");
}

static int
take_option(int argc, char **argv, int *at)
{
    const char *word = argv[*at];
    const char *equals = strchr(word, '=');
    const struct rb_option *option =
        option_named(word, equals != NULL ? (size_t)(equals - word) : strlen(word));

    if (option == NULL) {
        return unknown_option(word);
    }
    if (!option->repeat && (rb_cli_flag(option->name))) {
        return rb_cli_usage("option %s is given twice", option->name);
    }
    if (given_count == GIVEN_MAX) {
        return rb_cli_usage("too many options");
    }
    const char *value = "";
    if (option->value == NULL && equals != NULL) {
        return rb_cli_usage("option %s takes no value", option->name);
    }
    if (option->value != NULL) {
        if (equals != NULL) {
            value = equals + 1;
        } else if (*at + 1 < argc) {
            value = argv[++*at];
        } else {
            return rb_cli_usage("option %s needs %s", option->name, option->value);
        }
    }
    given[given_count].option = option;
    given[given_count++].value = value;
    return RB_EXIT_DONE;
}

static int
parse(int argc, char **argv)
{
    bool only_arguments = false;

    for (int i = 0; i < argc; i++) {
        if (!only_arguments && strcmp(argv[i], "--") == 0) {
            only_arguments = true;
        } else if (!only_arguments && argv[i][0] == '-' && argv[i][1] != '\0') {
            int status = take_option(argc, argv, &i);
            if (status != RB_EXIT_DONE) {
                return status;
            }
        } else if (argument_count == GIVEN_MAX) {
            return rb_cli_usage("too many arguments");
        } else {
            arguments[argument_count++] = argv[i];
        }
    }
    return RB_EXIT_DONE;
}

static int
check_arguments(void)
{
    const char *words = verb->arguments != NULL ? verb->arguments : "no arguments";

    if (argument_count < verb->min_arguments) {
        return rb_cli_usage("%s%swants %s", verb->name, spaced(verb->name), words);
    }
    if (verb->max_arguments >= 0 && argument_count > verb->max_arguments) {
        return rb_cli_usage("'%s' is one argument too many; %s%swants %s", arguments[verb->max_arguments], verb->name,
                            spaced(verb->name), words);
    }
    return RB_EXIT_DONE;
}

/* What was printed must have arrived: a full disk behind stdout is a failure, a closed pipe is not ours. */
static int
finish(int status)
{
    if ((fflush(stdout) != 0 || ferror(stdout)) && errno != EPIPE && status == RB_EXIT_DONE) {
        fprintf(stderr, "%s: standard output: %s\n", program->name, strerror(errno));
        return RB_EXIT_SYSTEM;
    }
    return status;
}

/* A verb may have a --version of its own, with a value ("image build --version 2.0.0"). */
static bool
version_asked(void)
{
    for (int i = 0; i < given_count; i++) {
        if (strcmp(given[i].option->name, "--version") == 0 && given[i].option->value == NULL) {
            return true;
        }
    }
    return false;
}

int
rb_cli_main(const struct rb_program *p, int argc, char **argv)
{
    program = p;
    sanitise();
    int used = match_verb(argc - 1, argv + 1);
    if (verb == NULL && argc > 1 && strcmp(argv[1], "--version") != 0 && strcmp(argv[1], "--help") != 0
        && strcmp(argv[1], "help") != 0) {
        return argv[1][0] == '-' ? unknown_option(argv[1]) : unknown_verb(argv[1], argc > 2 ? argv[2] : NULL);
    }
    if (verb == NULL) {
        if (argc > 1 && strcmp(argv[1], "--version") == 0) {
            printf("%s %s\n", program->name, RB_VERSION);
            return finish(RB_EXIT_DONE);
        }
        if (argc > 1) {
            return finish(print_program_help());
        }
        return rb_cli_usage("wants a verb; '%s --help' lists them", program->name);
    }
    int status = parse(argc - 1 - used, argv + 1 + used);
    if (status != RB_EXIT_DONE) {
        return status;
    }
    if (rb_cli_flag("--help")) {
        return finish(print_verb_help());
    }
    if (version_asked()) {
        printf("%s %s\n", program->name, RB_VERSION);
        return finish(RB_EXIT_DONE);
    }
    status = check_arguments();
    return status != RB_EXIT_DONE ? status : finish(verb->run());
}

const char *
rb_cli_option_nth(const char *name, int n)
{
    for (int i = 0; i < given_count; i++) {
        if (strcmp(given[i].option->name, name) == 0 && n-- == 0) {
            return given[i].value;
        }
    }
    return NULL;
}

const char *
rb_cli_option(const char *name)
{
    return rb_cli_option_nth(name, 0);
}

bool
rb_cli_flag(const char *name)
{
    return rb_cli_option_nth(name, 0) != NULL;
}

int
rb_cli_argument_count(void)
{
    return argument_count;
}

const char *
rb_cli_argument(int n)
{
    return n < argument_count ? arguments[n] : NULL;
}

bool
rb_cli_number(const char *name, bool bytes, uint64_t min, uint64_t max, uint64_t fallback, uint64_t *out)
{
    const char *text = rb_cli_option(name);
    char *end = NULL;
    unsigned shift = 0;

    if (text == NULL) {
        *out = fallback;
        return true;
    }
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    bool good = text[0] >= '0' && text[0] <= '9' && errno == 0;
    if (good && bytes && *end != '\0') {
        static const char units[] = "KMG";
        const char *unit = strchr(units, *end);
        good = unit != NULL;
        shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
        end++;
    }
    if (!good || *end != '\0' || number > UINT64_MAX >> shift || number << shift < min || number << shift > max) {
        (void)rb_cli_usage("option %s: '%s' is not a number from %" PRIu64 " to %" PRIu64 "%s", name, text, min, max,
                           bytes ? " (K, M, G may follow)" : "");
        return false;
    }
    *out = (uint64_t)number << shift;
    return true;
}

int
rb_cli_exit_code(rb_err err)
{
    switch (rb_err_class_of(err)) {
    case RB_CLASS_OK:
        return RB_EXIT_DONE;
    case RB_CLASS_REJECT:
        return RB_EXIT_NO;
    case RB_CLASS_RETRY:
    case RB_CLASS_DEVICE:
    default:
        return RB_EXIT_SYSTEM;
    }
}

int
rb_cli_error(rb_err err, const char *subject)
{
    const char *more = rb_fail_detail();

    /* A detail that starts with the subject says it all: "x.img: no such file" and not "x.img: x.img: …". */
    size_t len = subject != NULL ? strlen(subject) : 0;
    if (len > 0 && strncmp(more, subject, len) == 0 && (more[len] == ':' || more[len] == '\0')) {
        more += len + strspn(more + len, ": ");
    }
    fprintf(stderr, "%s: %s%s%s%s%s\n", program->name, subject != NULL ? subject : "", len > 0 ? ": " : "",
            rb_err_text(err), more[0] != '\0' ? ": " : "", more);
    if (rb_cli_flag("--json")) {
        json_t *document = json_pack("{s:s, s:s, s:s, s:s}", "error", rb_err_name(err), "subject",
                                     subject != NULL ? subject : "", "text", rb_err_text(err), "detail", more);
        if (document != NULL) {
            rb_json_print(document);
            json_decref(document);
        }
    }
    return rb_cli_exit_code(err);
}

int
rb_cli_usage(const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s: ", program->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return RB_EXIT_USAGE;
}

void
rb_cli_note(const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s: note: ", program->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static int64_t
monotonic_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
rb_progress_start(struct rb_progress *p, const char *label, uint64_t total)
{
    const char *term = getenv("TERM");

    *p = (struct rb_progress){.label = label, .total = total};
    p->terminal = isatty(2) && term != NULL && strcmp(term, "dumb") != 0;
    p->silent = rb_cli_flag("--json") || rb_cli_flag("--quiet");
}

static void
draw(const struct rb_progress *p, uint64_t done)
{
    char bar[31];
    size_t filled = p->total > 0 ? (size_t)((double)done / (double)p->total * 30.0) : 0;

    for (size_t i = 0; i < 30; i++) {
        bar[i] = i < filled ? '#' : '.';
    }
    bar[30] = '\0';
    fprintf(stderr, "\r%s [%s] %3u %%  %" PRIu64 " of %" PRIu64 " bytes", p->label, bar,
            (unsigned)(p->total > 0 ? (double)done * 100.0 / (double)p->total : 0.0), done, p->total);
}

static uint64_t
quarter(const struct rb_progress *p, uint64_t done)
{
    return p->total > 0 ? (uint64_t)((double)done * 4.0 / (double)p->total) : 0;
}

void
rb_progress_update(struct rb_progress *p, uint64_t done)
{
    if (p->silent) {
        return;
    }
    if (p->terminal) {
        int64_t now = monotonic_ms();
        if (now - p->drawn_ms >= 100) {
            p->drawn_ms = now;
            draw(p, done);
        }
    } else if (quarter(p, done) > quarter(p, p->last) && done < p->total) {
        fprintf(stderr, "%s: %" PRIu64 " %%, %" PRIu64 " of %" PRIu64 " bytes\n", p->label, 25 * quarter(p, done), done,
                p->total);
    }
    p->last = done;
}

void
rb_progress_end(struct rb_progress *p, bool complete)
{
    if (p->silent) {
        return;
    }
    if (p->terminal) {
        draw(p, complete && p->total > 0 ? p->total : p->last);
        fputc('\n', stderr);
    } else if (complete) {
        fprintf(stderr, "%s: 100 %%, %" PRIu64 " bytes\n", p->label, p->total > 0 ? p->total : p->last);
    }
}
