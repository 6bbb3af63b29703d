/* internal.h: what the readers and writers of files share: the bytes of a file, the rows of a table, numbers, names. */
#ifndef GR_DATA_INTERNAL_H
#define GR_DATA_INTERNAL_H

#include <gradus/data.h>

#include "tensor/internal.h"

/* ---- Data sets (dataset.c) ---------------------------------------------------------------------------------- */

/* A list of texts, which lie in the same memory behind it. Freed with gr_release(). */
typedef struct gr_names {
    int count;
    const char *texts[];
} gr_names;

gr_names *gr_names_new(int count, const char *const texts[]); /* copies; NULL with GR_ERR_MEMORY */
const char *gr_names_get(const gr_names *names, int index);   /* borrowed; NULL where there is none */

struct gr_dataset {
    gr_tensor *x, *y;
    gr_names *classes, *features, *samples; /* NULL: it has none */
    int n_classes;
};

/* The elements of a sample. A set has one sample or more. */
static inline int64_t gr_features_of(const gr_dataset *set) { return set->x->size / set->x->shape[0]; }

/* The most classes that a reader makes: a column with more different values holds numbers. */
enum { GR_MAX_CLASSES = 10000 };

/* A tensor of `count` rows with the dtype and the other axes of `like`, uninitialised. NULL with an error. */
gr_tensor *gr_new_rows(const char *who, const gr_tensor *like, int64_t count);

/* Row i of `to` becomes row order[start + i] of `from`, or row start + i where `order` is NULL. Counts as a change. */
void gr_copy_rows(gr_tensor *to, const gr_tensor *from, const int64_t *order, int64_t start);

/* ---- Files (source.c) --------------------------------------------------------------------------------------- */

/* A file that is read from front to back, and unpacked on the way if it is gzip'd. Messages begin with `who`. */
typedef struct gr_source gr_source;

gr_source *gr_source_open(const char *who, const char *path); /* NULL with an error */
void gr_source_close(gr_source *s);
bool gr_source_is_packed(const gr_source *s);

/* Reads `bytes` bytes, fewer only where the file ends, and returns how many; -1 with an error. */
int64_t gr_source_read(gr_source *s, void *to, size_t bytes);

/* The rest of the file, up to `limit` bytes, and a 0 behind it, for gr_release(). *size does not count the 0. Memory
 * grows with what the file holds, whatever `limit` is. NULL with an error. */
char *gr_source_read_all(gr_source *s, uint64_t limit, size_t *size);

/* Whether the file ends here: 1, or 0 where another byte follows, which is read; -1 with an error. */
int gr_source_ends(gr_source *s);

/* A path, or a text from a file, as a message quotes it: shortened, and with ? for control characters. */
typedef struct gr_quoted {
    char s[208];
} gr_quoted;
const char *gr_quote(gr_quoted *quoted, const char *text, size_t most);
const char *gr_quote_path(gr_quoted *quoted, const char *path);
#define GR_QUOTE(text) gr_quote(&(gr_quoted){{0}}, (text), 40)
#define GR_QUOTE_PATH(path) gr_quote_path(&(gr_quoted){{0}}, (path))

/* A file that is written under another name in the same folder and renamed to `path` when all of it is on the disk. It
 * keeps the mode of a file that was there and replaces what a symbolic link leads to, not the link. A path that exists
 * and is no regular file (a pipe, a terminal) is written to directly. Messages begin with `who`. */
typedef struct gr_sink gr_sink;

gr_sink *gr_sink_open(const char *who, const char *path);            /* NULL with an error */
gr_status gr_sink_write(gr_sink *s, const void *bytes, size_t size); /* after a failure it writes no more */

/* Renames the file if `status` is GR_OK and all writing went well, and removes it otherwise. Returns the first failure.
 * Frees the sink. */
gr_status gr_sink_close(gr_sink *s, gr_status status);

/* ---- Images (png.c, resize.c) ------------------------------------------------------------------------------- */

enum { GR_MAX_SIDE = 32768, GR_MAX_PIXELS = 1 << 26 };

/* A pixel as a PNG file has it: its colour, scaled to 0..65535 (a is 65535 in a file without alpha), and the number
 * that stands for it, which is not scaled. */
typedef struct gr_pixel {
    uint16_t r, g, b, a;
    uint16_t number; /* grey value or palette's index; 0 for colours */
    uint16_t kind;
} gr_pixel;

enum { GR_PIXEL_GREY, GR_PIXEL_INDEX, GR_PIXEL_COLOUR };

/* A picture as F32 [1,H,W]: map() of each pixel, which is 0 or more; below 0 with an error, which ends the reading. */
typedef float (*gr_map_pixel)(void *context, const gr_pixel *pixel);
gr_tensor *gr_png_map(const char *path, gr_map_pixel map, void *context);

/* From an image [C,H,W], F32: its middle, and the whole in another size, [C,height,width]. The middle is no larger than
 * the image. NULL with GR_ERR_MEMORY. */
gr_tensor *gr_crop_middle(const gr_tensor *image, int64_t height, int64_t width);
gr_tensor *gr_resize(const gr_tensor *image, int64_t height, int64_t width, bool nearest);

/* ---- What the pixels of masks mean (mask_values.c) ---------------------------------------------------------- */

/* A value of the options `values` and `ignore`. */
typedef struct gr_wanted {
    enum { GR_WANT_NUMBER, GR_WANT_COLOUR, GR_WANT_OPAQUE } kind;
    uint32_t lo, hi; /* numbers; of a colour lo is 0xrrggbb */
} gr_wanted;

enum { GR_MAX_WANTED = 256, GR_IGNORED = 255 };

typedef struct gr_wanted_list {
    int n;
    gr_wanted at[GR_MAX_WANTED];
} gr_wanted_list;

/* All values that the masks of a set hold. First gr_mask_value() meets them, then gr_mask_values_decide() says what
 * they mean, then gr_mask_value() tells it. */
typedef struct gr_mask_values {
    int classes; /* 0: masks */
    bool by_default;
    gr_wanted_list wanted, ignored;
    struct gr_met *met;
    int64_t n, capacity, last;
    int64_t left_out; /* other files in folders of masks */
    int32_t *slots;   /* a hash table of 1 + the place in `met` */
    bool decided;
} gr_mask_values;

gr_status gr_mask_values_init(gr_mask_values *m, const gr_image_set_options *o);
void gr_mask_values_free(gr_mask_values *m);

/* A gr_map_pixel: 0 or 1 in masks, the class or GR_IGNORED in label maps; 0 as long as that is not decided. */
float gr_mask_value(void *values, const gr_pixel *pixel);

/* Decides, and says how in `text`; GR_ERR_FORMAT with all values where it cannot be decided. */
gr_status gr_mask_values_decide(gr_mask_values *m, char *text, size_t room);

/* ---- Checkpoints (safetensors.c) --------------------------------------------------------------------------- */

/* "name": {"dtype": "F32", "shape": [3,4], "data_offsets": [begin,end]}; begin <= end. */
typedef struct gr_entry {
    const char *name;
    char dtype[8];
    int rank;
    int64_t shape[GR_MAX_RANK];
    int64_t begin, end;
} gr_entry;

/* Takes an entry, whose name is valid until it returns. A failure ends the reading. */
typedef gr_status (*gr_take_entry)(void *context, const gr_entry *entry);

/* Reads a header of `size` bytes with a 0 behind it, which it changes, and calls take() for each entry. A damaged
 * header is GR_ERR_FORMAT, with what is wrong in `reason`; a failure of take() is returned, with "" in `reason`. */
gr_status gr_read_entries(char *header, size_t size, gr_take_entry take, void *context, char reason[80]);

bool gr_is_utf8(const char *text);

/* ---- CSV (csv_rows.c, number.c) ----------------------------------------------------------------------------- */

typedef struct gr_csv_field {
    char *text;
    int64_t line; /* on which it begins, from 1 */
} gr_csv_field;

/* A table being read. The fields' texts are the file's bytes, changed in place. */
typedef struct gr_csv {
    const char *path;
    char separator;
    char *bytes, *at, *end; /* the file, how far it has been read, and the 0 behind it */
    int64_t line;           /* of `at`, from 1 */
    gr_csv_field *fields;   /* of the newest row */
    int64_t capacity;       /* of `fields` */
    int width;              /* of the newest row */
    int64_t row_line;       /* on which the newest row begins */
    char **header;          /* the columns' names; NULL where there are none, or none yet */
    int columns;            /* width of the first row */
} gr_csv;

enum { GR_MAX_COLUMNS = 1000000 };

/* Reads the file and skips the byte order mark and the lines of options->skip_lines. */
gr_status gr_csv_open(gr_csv *csv, const char *path, const gr_csv_options *options);
void gr_csv_close(gr_csv *csv);

/* The next row that is not an empty line: 1, or 0 at the end, or -1 with an error. */
int gr_csv_next(gr_csv *csv);

/* Notes a failure at a line and a column, both from 1; column 0: the whole line. Returns `status`. */
gr_status gr_csv_fail(const gr_csv *csv, gr_status status, int64_t line, int column, const char *format, ...)
    GR_PRINTF(5, 6);

/* What the text may have for a separator in place of the table's, behind a message; "" where there is nothing. */
const char *gr_csv_separator_hint(const gr_csv *csv, const char *text);

/* What may have put empty fields into the newest row, or too many, behind a message; "" where there is nothing. */
const char *gr_csv_row_hint(const gr_csv *csv);

/* Whether the text is a decimal number, with or without blanks around it: a sign, digits with a point before, among or
 * behind them, an exponent. Hexadecimal digits, "inf" and "nan" are none. Sets *value. */
bool gr_parse_number(const char *text, double *value);

#endif
