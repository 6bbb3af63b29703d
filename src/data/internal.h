/* internal.h: what readers and writers share: the bytes of a file, the rows of a table, numbers and names. */
#ifndef GR_DATA_INTERNAL_H
#define GR_DATA_INTERNAL_H

#include <gradus/data.h>

#include "tensor/internal.h"

/* ---- Data sets (dataset.c) ---------------------------------------------------------------------------------- */

/* A list of texts, in one piece of memory. */
typedef struct gr_names {
    size_t bytes; /* of the whole */
    int count;
    size_t at[]; /* where each text begins, counted from the start of the whole */
} gr_names;

gr_names *gr_names_new(int count, const char *const texts[]);
const char *gr_names_get(const gr_names *names, int index); /* NULL when there is none */

struct gr_dataset {
    gr_tensor *x, *y;
    gr_names *classes, *features, *samples; /* NULL: it has none */
    int n_classes;
};

/* Class indices end here: what has more different values is not a class but a number. */
enum { GR_MAX_CLASSES = 10000 };

/* Row i of `to` becomes row order[start + i] of `from`, or row start + i when there is no order. */
void gr_copy_rows(gr_tensor *to, const gr_tensor *from, const int64_t *order, int64_t start);

/* ---- Files (source.c) --------------------------------------------------------------------------------------- */

/* A file read from front to back, unpacked on the way when it is gzip'd. */
typedef struct gr_source gr_source;

gr_source *gr_source_open(const char *who, const char *path);
void gr_source_close(gr_source *s);
bool gr_source_is_packed(const gr_source *s);

/* Reads `bytes` bytes, fewer only where the file ends, and returns how many; -1 with an error. */
int64_t gr_source_read(gr_source *s, void *to, size_t bytes);

/* What is left, up to `limit` bytes, with room for one more behind it. Memory grows with what the file really holds,
 * whatever a header says. */
char *gr_source_read_all(gr_source *s, uint64_t limit, size_t *size);

/* A path or a text out of a file as a message may quote it: cut, and without control characters. */
typedef struct gr_quoted {
    char s[208];
} gr_quoted;
const char *gr_quote(gr_quoted *quoted, const char *text, size_t most);
const char *gr_quote_path(gr_quoted *quoted, const char *path);
#define GR_QUOTE(text) gr_quote(&(gr_quoted){{0}}, (text), 40)
#define GR_QUOTE_PATH(path) gr_quote_path(&(gr_quoted){{0}}, (path))

/* A file being written beside its place, with a name of its own, which takes its place when all of it is there. What is
 * no regular file (a pipe, a terminal) is written to directly. */
typedef struct gr_sink gr_sink;

gr_sink *gr_sink_open(const char *who, const char *path);
gr_status gr_sink_write(gr_sink *s, const void *bytes, size_t size); /* after a failure it does nothing */

/* Puts the file in its place if `status` and all writing so far went well, removes it otherwise; frees the sink. */
gr_status gr_sink_close(gr_sink *s, gr_status status);

/* ---- Images (png.c, resize.c) ------------------------------------------------------------------------------- */

enum { GR_MAX_SIDE = 32768, GR_MAX_PIXELS = 1 << 26 };

/* The middle of an image [C,H,W], and an image in another size. NULL with GR_ERR_MEMORY. */
gr_tensor *gr_crop_middle(const gr_tensor *image, int64_t height, int64_t width);
gr_tensor *gr_resize(const gr_tensor *image, int64_t height, int64_t width, bool nearest);

/* ---- CSV (csv_rows.c, number.c) ----------------------------------------------------------------------------- */

typedef struct gr_csv_field {
    char *text;
    int64_t line; /* on which it begins, from 1 */
} gr_csv_field;

/* A table being read: the file's bytes, which become the fields' texts where they stand, and the newest row. */
typedef struct gr_csv {
    const char *path;
    char separator;
    char *bytes, *at, *end;
    int64_t line; /* of `at` */
    gr_csv_field *fields;
    size_t capacity; /* of fields */
    int width;       /* of the row */
    int64_t row_line;
    char **header; /* the columns' names, NULL before they are known */
    int columns;   /* width of the header */
} gr_csv;

enum { GR_MAX_COLUMNS = 1000000 };

/* Reads the file and steps over the byte order mark and the lines to be skipped. */
gr_status gr_csv_open(gr_csv *csv, const char *path, const gr_csv_options *options);
void gr_csv_close(gr_csv *csv);

/* The next row that is not an empty line: 1, or 0 at the end, or -1 with an error. */
int gr_csv_next(gr_csv *csv);

/* A failure at a line and a column (from 1; 0: of no one column). */
gr_status gr_csv_fail(const gr_csv *csv, gr_status status, int64_t line, int column, const char *format, ...)
    GR_PRINTF(5, 6);

/* A decimal number and nothing else but blanks around it: sign, digits with a point before, among or behind them,
 * exponent. No hexadecimal, no "inf", no "nan". */
bool gr_parse_number(const char *text, double *value);

#endif
