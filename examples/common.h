/* common.h: what the lessons share, so that a lesson holds nothing but its subject: options of the command line,
 * stopping with a message, files and pictures in the folder for results. None of it is part of Gradus. */
#ifndef LESSONS_COMMON_H
#define LESSONS_COMMON_H

#define _POSIX_C_SOURCE 200809L /* mkdir, fork, isatty */

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gradus/gradus.h>

/* ---- Stopping with a message -------------------------------------------------------------------------------- */

enum { LESSON_FAILED = 1, BAD_ARGUMENTS = 2 }; /* exit statuses */

static const char *lesson_name = "lesson"; /* of the program, for messages */

/* Stops the program. What is still allocated goes back with the process. */
static _Noreturn GR_PRINTF(2, 3) void stop(int status, const char *format, ...)
{
    va_list args;
    fflush(stdout);
    fprintf(stderr, "%s: ", lesson_name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, status == BAD_ARGUMENTS ? "\nTry --help.\n" : "\n");
    exit(status);
}

#define fail(...) stop(LESSON_FAILED, __VA_ARGS__)
#define refuse(...) stop(BAD_ARGUMENTS, __VA_ARGS__)

/* What a call of the library returned, if it went well; Gradus itself neither prints nor exits. */
static inline void *need(void *made)
{
    if (!made) fail("%s", gr_last_error());
    return made;
}

static inline void check(gr_status status)
{
    if (status) fail("%s", gr_last_error());
}

/* ---- The command line --------------------------------------------------------------------------------------- */

typedef enum option_kind { FLAG, INTEGER, NUMBER, TEXT, TWO_TEXTS } option_kind;

/* One option: `to` is a bool, an int64_t, a double, a const char * or two of them; it holds the default. */
typedef struct option {
    const char *name, *argument, *help;
    option_kind kind;
    void *to;
    double least, most; /* of a number */
} option;

/* What every lesson has. */
static bool quick = false;
static const char *out = "report";

static const option common_options[] = {
    {.name = "--out", .argument = "DIR", .help = "where results go (report)", .kind = TEXT, .to = &out},
    {.name = "--quick", .help = "the short form", .kind = FLAG, .to = &quick},
};

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

static inline void print_option(const char *name, const char *argument, const char *help)
{
    char left[40];
    snprintf(left, sizeof left, "%s%s%s", name, argument ? " " : "", argument ? argument : "");
    printf("  %-24s %s\n", left, help);
}

static inline _Noreturn void print_help(const char *what, const option options[], int n)
{
    printf("%s\n\nusage: %s [option ...]\n\n", what, lesson_name);
    for (int i = 0; i < n; i++) print_option(options[i].name, options[i].argument, options[i].help);
    for (int i = 0; i < COUNT(common_options); i++)
        print_option(common_options[i].name, common_options[i].argument, common_options[i].help);
    print_option("--help", NULL, "this text");
    exit(0);
}

static inline const option *find_option(const char *name, const option options[], int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(options[i].name, name) == 0) return &options[i];
    for (int i = 0; i < COUNT(common_options); i++)
        if (strcmp(common_options[i].name, name) == 0) return &common_options[i];
    return NULL;
}

static inline void take_argument(const option *o, const char *text)
{
    char *end;
    errno = 0;
    if (o->kind == TEXT) {
        *(const char **)o->to = text;
    } else if (o->kind == INTEGER) {
        long long value = strtoll(text, &end, 10);
        if (end == text || *end || errno || (double)value < o->least || (double)value > o->most)
            refuse("%s %s: expected a whole number from %.15g to %.15g", o->name, text, o->least, o->most);
        *(int64_t *)o->to = value;
    } else {
        double value = strtod(text, &end);
        if (end == text || *end || errno || !(value >= o->least && value <= o->most))
            refuse("%s %s: expected a number from %g to %g", o->name, text, o->least, o->most);
        *(double *)o->to = value;
    }
}

/* Reads the command line into what the options point to; stops at --help, and at what it does not understand. */
static inline void read_options(int argc, char *argv[], const char *what, const option options[], int n)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    if (argc > 0) lesson_name = slash ? slash + 1 : argv[0];
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) print_help(what, options, n);
    for (int i = 1; i < argc; i++) {
        const option *o = find_option(argv[i], options, n);
        if (!o) refuse("what is %s?", argv[i]);
        int arguments = o->kind == FLAG ? 0 : o->kind == TWO_TEXTS ? 2 : 1;
        if (i + arguments >= argc) refuse("%s: expected %s after it", o->name, o->argument);
        if (o->kind == FLAG) *(bool *)o->to = true;
        else if (o->kind == TWO_TEXTS) memcpy(o->to, &argv[i + 1], 2 * sizeof(char *));
        else take_argument(o, argv[i + 1]);
        i += arguments;
    }
    if (!*out) refuse("--out: expected a folder after it");
}

/* ---- While it runs ------------------------------------------------------------------------------------------ */

/* A line that rewrites itself, for who waits at a terminal. */
static inline GR_PRINTF(1, 2) void progress(const char *format, ...)
{
    if (!isatty(STDERR_FILENO)) return;
    va_list args;
    va_start(args, format);
    fprintf(stderr, "\r  ");
    vfprintf(stderr, format, args);
    fprintf(stderr, " \033[K");
    va_end(args);
}

static inline void end_progress(void)
{
    if (isatty(STDERR_FILENO)) fprintf(stderr, "\r\033[K");
}

/* ---- The folder for results --------------------------------------------------------------------------------- */

/* Makes a folder and those above it, as mkdir -p does. */
static inline void make_folder(const char *path)
{
    char *part = strdup(path);
    if (!part) fail("out of memory");
    for (char *c = part + 1;; c++) {
        if (*c && *c != '/') continue;
        char was = *c;
        *c = '\0';
        struct stat info;
        if (mkdir(part, 0777) && (errno != EEXIST || stat(part, &info) || !S_ISDIR(info.st_mode)))
            fail("cannot make the folder %s: %s", part, strerror(errno));
        *c = was;
        if (!was) break;
    }
    free(part);
}

static inline char *path_in_out(const char *name, const char *suffix)
{
    size_t length = strlen(out) + strlen(name) + strlen(suffix) + 2;
    char *path = malloc(length);
    if (!path) fail("out of memory");
    snprintf(path, length, "%s/%s%s", out, name, suffix);
    return path;
}

/* A new file in the folder for results. */
static inline FILE *create_file(const char *name, const char *suffix)
{
    make_folder(out);
    char *path = path_in_out(name, suffix);
    FILE *file = fopen(path, "w");
    if (!file) fail("cannot write %s: %s", path, strerror(errno));
    free(path);
    return file;
}

/* A full disk shows here at the latest. */
static inline void close_file(FILE *file, const char *name)
{
    bool failed = ferror(file) != 0;
    if (fclose(file) || failed) fail("cannot write %s: %s", name, strerror(errno));
}

/* ---- Pictures ----------------------------------------------------------------------------------------------- */

/* Begins DIR/name.gp, a script that draws DIR/name.svg from the CSV files beside it. Write the rest of it, then
 * finish_picture(). */
static inline FILE *begin_picture(const char *name, int width, int height)
{
    FILE *script = create_file(name, ".gp");
    fprintf(script,
            "# Draws %s.svg. In this folder: gnuplot %s.gp\n"
            "set terminal svg size %d,%d font 'sans-serif,13' background rgb 'white'\n"
            "set output '%s.svg'\n"
            "set datafile separator ','\n"
            "set border 3 lc rgb '#666666'\n"
            "set tics nomirror textcolor rgb '#333333'\n"
            "set grid lc rgb '#e4e4e4'\n"
            "set key top right noopaque\n",
            name, name, width, height, name);
    return script;
}

/* Draws it with gnuplot, or says that there is none. */
static inline void finish_picture(FILE *script, const char *name)
{
    close_file(script, name);
    char *svg = path_in_out(name, ".svg"), *gp = path_in_out(name, ".gp");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) { /* the script names its files without a folder */
        if (chdir(out) == 0) execlp("gnuplot", "gnuplot", strrchr(gp, '/') + 1, (char *)NULL);
        _exit(errno == ENOENT ? 127 : 126);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child) fail("cannot run gnuplot: %s", strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        printf("gnuplot is not installed: %s is not drawn. Later, in that folder: gnuplot %s.gp\n", svg, name);
    else if (status != 0) fail("gnuplot could not draw %s", gp);
    else printf("drawn: %s\n", svg);
    free(gp);
    free(svg);
}

#endif
