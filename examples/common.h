/* common.h: what the lessons share, so that a lesson holds nothing but its subject: stopping with a message, options of
 * the command line, files and plots in the folder for results. None of it is part of Gradus. */
#ifndef LESSONS_COMMON_H
#define LESSONS_COMMON_H

#define _POSIX_C_SOURCE 200809L /* clock_gettime, open_memstream */

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gradus/gradus.h>

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

/* ---- Stopping with a message -------------------------------------------------------------------------------- */

/* The lesson failed: exit status 1. What is still allocated goes back with the process. */
_Noreturn void fail(const char *format, ...) GR_PRINTF(1, 2);

/* The command line makes no sense: exit status 2. */
_Noreturn void refuse(const char *format, ...) GR_PRINTF(1, 2);

/* What a call of the library returned, if it went well; Gradus itself neither prints nor exits. */
void *need(void *made);
void check(gr_status status);

/* ---- The command line --------------------------------------------------------------------------------------- */

typedef enum option_kind { FLAG, INTEGER, NUMBER, TEXT, TWO_TEXTS } option_kind;

/* One option: `to` is a bool, an int64_t, a double, a const char * or two of them; it holds the default. */
typedef struct option {
    const char *name, *argument, *help;
    option_kind kind;
    void *to;
    double least, most; /* of a number */
} option;

/* What every lesson has: --quick, the short form, and --out, the folder for results. */
extern bool quick;
extern const char *out;

/* Reads the command line into what the options point to; stops at --help, and at what it does not understand. */
void read_options(int argc, char *argv[], const char *what, const option options[], int n);

/* A line on the terminal that rewrites itself, for who waits there. */
void progress(const char *format, ...) GR_PRINTF(1, 2);
void end_progress(void);

/* ---- The folder for results --------------------------------------------------------------------------------- */

/* DIR/name and suffix: yours to free. */
char *path_in_out(const char *name, const char *suffix);

/* A new file in the folder, with the folders above it; create_csv() writes the first line, the columns, as well. A full
 * disk shows in close_file() at the latest. */
FILE *create_file(const char *name, const char *suffix);
FILE *create_csv(const char *name, const char *columns);
void put_quoted(FILE *csv, const char *text); /* as a cell: "He said ""no""." */
void close_file(FILE *file, const char *name);

/* Runs a program in the folder on what is to be drawn, its last argument; false where it is not installed. */
bool draw_with(char *const arguments[]);

/* ---- Plots and pictures ------------------------------------------------------------------------------------- */

/* Begins DIR/name.gp, a script that draws DIR/name.svg from the CSV files beside it. Write the rest of it, then
 * finish_plot(), which draws it with gnuplot, or says that there is none. */
FILE *begin_plot(const char *name, int width, int height);
void finish_plot(FILE *script, const char *name);

/* The colours of the lines: the better loss is blue, the worse one red. */
#define BLUE "#2a6f97"
#define PALE_BLUE "#a9cfe4"
#define RED "#c8553d"
#define PALE_RED "#edc4bb"
#define AMBER "#d9a441"
#define GREEN "#6a994e"
#define VIOLET "#9673b9"
#define GREY "#888888"

/* Writes an image to DIR/name.png, or says why not where the library was built without libpng. */
void write_png(const char *name, const gr_tensor *image);

#endif
