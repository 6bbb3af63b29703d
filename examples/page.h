/* page.h: a lesson's part of the page of results. Each lesson, while it knows its numbers, writes what it has to show
 * as a piece of HTML, DIR/parts/NAME.html, plots and pictures inside it; the last program, 09_report, puts the pieces
 * together. Texts that are called `html` go into the page as they stand, all others as text. */
#ifndef LESSONS_PAGE_H
#define LESSONS_PAGE_H

#include "common.h"

/* DIR/parts/name.html, to be written to by the functions below and by fprintf(). */
FILE *begin_part(const char *name);
void end_part(FILE *page);

/* Copies a part that was written before into a page; false where there is none. */
bool include_part(FILE *page, const char *name);

/* Text, set as a printer would: the lessons write beta, +- and straight quotes. */
void put_text(FILE *page, const char *text);

/* "Not here: ", what is missing, and how to get it. */
void put_missing(FILE *page, const char *html, ...) GR_PRINTF(2, 3);

/* ---- Tables ------------------------------------------------------------------------------------------------- */

enum { MAX_COLUMNS = 16 };

/* Cells come one after the other, and a row ends where the columns do. */
typedef struct html_table {
    FILE *page;
    int columns, column; /* the one that comes next */
    bool words[MAX_COLUMNS];
} html_table;

/* Numbers stand to the right, words to the left: a heading of words begins with <. */
html_table begin_html_table(FILE *page, int columns, const char *const headings[]);
#define BEGIN_HTML_TABLE(page, ...) \
    begin_html_table(page, COUNT(((const char *[]){__VA_ARGS__})), (const char *[]){__VA_ARGS__})

void put_cell(html_table *t, const char *format, ...) GR_PRINTF(2, 3);

/* A cell of HTML, which you write to t->page in between. */
void begin_cell(html_table *t);
void end_cell(html_table *t);

void end_html_table(html_table *t, const char *html_caption);

/* ---- Plots and pictures ------------------------------------------------------------------------------------- */

/* DIR/name.svg with a caption; where it was not drawn, the way to draw it. `alt` says in words what it shows. */
void put_plot(FILE *page, const char *name, const char *alt, const char *html_caption);

/* DIR/name.png with a caption; false where there is none. */
bool put_picture(FILE *page, const char *name, const char *alt, const char *html_caption);

#endif
