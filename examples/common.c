/* common.c: what common.h promises. */
#include "common.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Stopping with a message -------------------------------------------------------------------------------- */

static const char *lesson_name = "lesson"; /* of the program, for messages */

static _Noreturn void stop(int status, const char *format, va_list args, const char *end)
{
    fflush(stdout);
    fprintf(stderr, "%s: ", lesson_name);
    vfprintf(stderr, format, args);
    fputs(end, stderr);
    exit(status);
}

void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    stop(1, format, args, "\n");
}

void refuse(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    stop(2, format, args, "\nTry --help.\n");
}

void *need(void *made)
{
    if (!made) fail("%s", gr_last_error());
    return made;
}

void check(gr_status status)
{
    if (status) fail("%s", gr_last_error());
}

/* ---- The command line --------------------------------------------------------------------------------------- */

bool quick = false;
const char *out = "report";

static const option common_options[] = {
    {.name = "--out", .argument = "DIR", .help = "where results go (report)", .kind = TEXT, .to = &out},
    {.name = "--quick", .help = "the short form", .kind = FLAG, .to = &quick},
};

static void print_option(const char *name, const char *argument, const char *help)
{
    char left[40];
    snprintf(left, sizeof left, "%s%s%s", name, argument ? " " : "", argument ? argument : "");
    printf("  %-24s %s\n", left, help);
}

static void print_options(const option options[], int n)
{
    for (int i = 0; i < n; i++) print_option(options[i].name, options[i].argument, options[i].help);
}

static _Noreturn void print_help(const char *what, const option options[], int n)
{
    printf("%s\n\nusage: %s [option ...]\n\n", what, lesson_name);
    print_options(options, n);
    print_options(common_options, COUNT(common_options));
    print_option("--help", NULL, "this text");
    exit(0);
}

static const option *find_option(const char *name, const option options[], int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(options[i].name, name) == 0) return &options[i];
    return NULL;
}

static void take_number(const option *o, const char *text)
{
    char *end;
    errno = 0;
    if (o->kind == INTEGER) {
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

/* What a full disk did not take of the standard output is a failure, too. */
static void finish_output(void)
{
    if (!fflush(stdout) && !ferror(stdout)) return;
    fprintf(stderr, "%s: cannot write the output: %s\n", lesson_name, strerror(errno));
    _exit(1);
}

void read_options(int argc, char *argv[], const char *what, const option options[], int n)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    if (argc > 0) lesson_name = slash ? slash + 1 : argv[0];
    atexit(finish_output);
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) print_help(what, options, n);
    for (int i = 1; i < argc; i++) {
        const option *o = find_option(argv[i], options, n);
        if (!o) o = find_option(argv[i], common_options, COUNT(common_options));
        if (!o) refuse("what is %s?", argv[i]);
        int arguments = o->kind == FLAG ? 0 : o->kind == TWO_TEXTS ? 2 : 1;
        if (i + arguments >= argc) refuse("%s: expected %s after it", o->name, o->argument);
        if (o->kind == FLAG) *(bool *)o->to = true;
        else if (o->kind == TEXT || o->kind == TWO_TEXTS)
            memcpy(o->to, &argv[i + 1], (size_t)arguments * sizeof(char *));
        else take_number(o, argv[i + 1]);
        i += arguments;
    }
    if (!*out) refuse("--out: expected a folder after it");
}

void progress(const char *format, ...)
{
    if (!isatty(STDERR_FILENO)) return;
    va_list args;
    va_start(args, format);
    fprintf(stderr, "\r  ");
    vfprintf(stderr, format, args);
    fprintf(stderr, " \033[K");
    va_end(args);
}

void end_progress(void)
{
    if (isatty(STDERR_FILENO)) fprintf(stderr, "\r\033[K");
}

/* ---- The folder for results --------------------------------------------------------------------------------- */

/* Makes the folders above a file, as mkdir -p does. */
static void make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        struct stat info;
        *slash = '\0';
        if (mkdir(path, 0777) && (errno != EEXIST || stat(path, &info) || !S_ISDIR(info.st_mode)))
            fail("cannot make the folder %s: %s", path, strerror(errno));
        *slash = '/';
    }
}

char *path_in_out(const char *name, const char *suffix)
{
    size_t length = strlen(out) + strlen(name) + strlen(suffix) + 2;
    char *path = malloc(length);
    if (!path) fail("out of memory");
    snprintf(path, length, "%s/%s%s", out, name, suffix);
    return path;
}

FILE *create_file(const char *name, const char *suffix)
{
    char *path = path_in_out(name, suffix);
    make_folders(path);
    FILE *file = fopen(path, "w");
    if (!file) fail("cannot write %s: %s", path, strerror(errno));
    free(path);
    return file;
}

FILE *create_csv(const char *name, const char *columns)
{
    FILE *csv = create_file(name, ".csv");
    fprintf(csv, "%s\n", columns);
    return csv;
}

void put_quoted(FILE *csv, const char *text)
{
    fputc('"', csv);
    for (; *text; text++) fprintf(csv, *text == '"' ? "\"\"" : "%c", *text);
    fputc('"', csv);
}

void close_file(FILE *file, const char *name)
{
    bool failed = ferror(file) != 0;
    if (fclose(file) || failed) fail("cannot write %s: %s", name, strerror(errno));
}

bool draw_with(char *const arguments[])
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (chdir(out) == 0) execvp(arguments[0], arguments);
        _exit(errno == ENOENT ? 127 : 126);
    }
    int status, last = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) fail("cannot run %s: %s", arguments[0], strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) return false;
    while (arguments[last + 1]) last++;
    if (status != 0) fail("%s could not draw %s/%s", arguments[0], out, arguments[last]);
    return true;
}

/* ---- Plots and pictures ------------------------------------------------------------------------------------- */

FILE *begin_plot(const char *name, int width, int height)
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

void finish_plot(FILE *script, const char *name)
{
    close_file(script, name);
    char file[100], *svg = path_in_out(name, ".svg");
    snprintf(file, sizeof file, "%s.gp", name);
    if (draw_with((char *[]){"gnuplot", file, NULL})) printf("drawn: %s\n", svg);
    else printf("gnuplot is not installed: %s is not drawn. Later, in that folder: gnuplot %s\n", svg, file);
    free(svg);
}

void write_png(const char *name, const gr_tensor *image)
{
    char *path = path_in_out(name, ".png");
    make_folders(path);
    if (gr_png_write(path, image) == GR_OK) printf("drawn: %s\n", path);
    else if (gr_last_status() == GR_ERR_UNSUPPORTED) printf("not drawn: %s: %s\n", path, gr_last_error());
    else fail("%s", gr_last_error());
    free(path);
}
