/* data.h: reads tables and images as data sets, and makes mini-batches of them.
 *
 *     gr_csv_report report;
 *     gr_csv_options options = {.target = "species", .drop = "island,sex,year"};
 *     gr_dataset *set = gr_csv_read("penguins.csv", &options, &report);
 *     gr_dataset *train, *test;
 *     if (!set || gr_dataset_split(set, 0.8, &rng, &train, &test)) return fail(gr_last_error());
 *     printf("%lld rows, %lld dropped, %d classes\n", (long long)report.rows, (long long)report.dropped,
 *            gr_dataset_classes(set));
 *     if (gr_dataset_standardize(train, &test, 1)) return fail(gr_last_error());
 *
 *     gr_batches *batches = gr_batches_new(train, 32, &rng);
 *     for (int epoch = 0; epoch < 10; epoch++)
 *         while (gr_batches_next(batches)) {
 *             gr_tensor *x = gr_batch_x(batches), *y = gr_batch_y(batches);     // borrowed, rewritten by the next
 *             ...
 *         }
 *
 * A data set is n samples: features x [n, ...] and targets y, of n rows: I32 [n] for classes, floats [n,1] for numbers.
 * NULL: to free it does nothing, a NULL set has no samples, names or classes; status.h says the rest.
 * Readers do not trust a file: every size in it is checked before memory is asked for, and memory grows with what the
 * file holds, not with what it claims.
 */
#ifndef GRADUS_DATA_H
#define GRADUS_DATA_H

#include <gradus/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Data sets ---------------------------------------------------------------------------------------------- */

typedef struct gr_dataset gr_dataset;

/* A data set of two tensors of yours, which it then owns: of any dtypes, and of shapes with n rows, n at least 1. x and
 * y may be one tensor. On failure it returns NULL and frees them, so that their creation can be written inside the
 * call. Errors: GR_ERR_NULL, GR_ERR_SHAPE (the numbers of rows differ, or there are none), GR_ERR_STATE (a tensor
 * that has an owner, which keeps it), GR_ERR_MEMORY. Freeing a set frees its tensors. */
GR_EXPORT gr_dataset *gr_dataset_new(gr_tensor *x, gr_tensor *y);
GR_EXPORT void gr_dataset_free(gr_dataset *set);

GR_EXPORT int64_t gr_dataset_size(const gr_dataset *set);
GR_EXPORT gr_tensor *gr_dataset_x(const gr_dataset *set); /* borrowed */
GR_EXPORT gr_tensor *gr_dataset_y(const gr_dataset *set); /* borrowed */

/* The number of classes: of I32 targets, 1 + the greatest index when the set was made; 0 for other targets. A set
 * that was split off has as many as the whole. */
GR_EXPORT int gr_dataset_classes(const gr_dataset *set);

/* How many of these classes no sample has. Labels that begin at 1, or in which 255 stands for none, leave such gaps; so
 * does a split that got no sample of a class. -1 with GR_ERR_MEMORY. */
GR_EXPORT int gr_dataset_empty_classes(const gr_dataset *set);

/* The name of a class or a feature in the file it was read from; NULL where it has none. Classes are numbered in the
 * order of their names' bytes: "B" is 0 and "M" is 1, and "10" comes before "9". */
GR_EXPORT const char *gr_dataset_class_name(const gr_dataset *set, int index);
GR_EXPORT const char *gr_dataset_feature_name(const gr_dataset *set, int index);

/* The name of a sample: of an image, its file's without the ending; NULL where it has none. */
GR_EXPORT const char *gr_dataset_sample_name(const gr_dataset *set, int64_t index);

/* Two new sets, yours to free: `share` of the rows, rounded, and the others, in an order drawn from rng; without rng
 * the first rows and the others, in their order. GR_ERR_OPTION where a set would have no row. After an error both are
 * NULL and rng is unchanged. */
GR_EXPORT GR_NODISCARD gr_status gr_dataset_split(const gr_dataset *set, double share, gr_rng *rng, gr_dataset **first,
                                                  gr_dataset **second);

/* Shifts and scales each feature (each column of x seen as [n, features]) to mean 0 and standard deviation 1 over
 * `set`, and each of `others` by the same numbers. A constant feature is only shifted. Errors: GR_ERR_DTYPE (x is
 * I32), GR_ERR_SHAPE (other features), GR_ERR_VALUE (a feature of `set` that is not finite, a result that the dtype
 * does not hold), GR_ERR_OPTION (a set is there twice); nothing is changed then. */
GR_EXPORT GR_NODISCARD gr_status gr_dataset_standardize(gr_dataset *set, gr_dataset *const others[], int n_others);

/* Class indices, I32 of any shape s, as s + [classes]: 1 at the index, 0 elsewhere. For losses that compare numbers:
 * gr_dataset_new(gr_copy(gr_dataset_x(set)), gr_one_hot(GR_F32, gr_dataset_y(set), gr_dataset_classes(set))).
 * Errors: GR_ERR_DTYPE, GR_ERR_SHAPE, GR_ERR_INDEX (an index outside 0 .. classes-1). */
GR_EXPORT gr_tensor *gr_one_hot(gr_dtype dtype, const gr_tensor *index, int64_t classes);

/* ---- Mini-batches ------------------------------------------------------------------------------------------- */

typedef struct gr_batches gr_batches;

/* An iterator over `set`, which it borrows; yours to free. Each epoch draws a new order from a state split off `rng`;
 * with NULL the order is that of the set. The last batch of an epoch may be smaller; a batch_size above that of the set
 * means the whole set. Errors: GR_ERR_OPTION (batch_size below 1), GR_ERR_NULL, GR_ERR_MEMORY. */
GR_EXPORT gr_batches *gr_batches_new(const gr_dataset *set, int64_t batch_size, gr_rng *rng);
GR_EXPORT void gr_batches_free(gr_batches *batches);

/* Moves to the next batch; false at the end of an epoch, after which the next call begins another. It allocates
 * nothing. */
GR_EXPORT bool gr_batches_next(gr_batches *batches);

/* The features and targets of the batch, [size, ...], of the dtypes of the set. Borrowed; the next gr_batches_next()
 * overwrites them, which counts as a change, so run backward before. NULL with GR_ERR_STATE where there is no batch:
 * before the first and after the last. */
GR_EXPORT gr_tensor *gr_batch_x(const gr_batches *batches);
GR_EXPORT gr_tensor *gr_batch_y(const gr_batches *batches);
GR_EXPORT int64_t gr_batches_count(const gr_batches *batches); /* batches in an epoch */

/* ---- CSV ---------------------------------------------------------------------------------------------------- */

/* RFC 4180: fields separated by `separator`, quoted with ", a quote within as "", line ends LF or CRLF. A UTF-8 byte
 * order mark and empty lines are skipped, and the file may be gzip'd. Numbers are decimal with a point, whatever the
 * locale. Blanks around a field and around the items of these options do not count; those within quotes belong to a
 * class.
 * A column is named by its header or else, as a decimal number, by its position from 0. For a file without a usable
 * header: {.skip_lines = 1, .no_header = true, .target = "1", .drop = "0"}. */
typedef struct gr_csv_options {
    char separator;         /* 0: ',' */
    int skip_lines;         /* lines before the header, or before the first row */
    bool no_header;         /* the first row is data */
    const char *target;     /* the column to predict; NULL: the last */
    const char *features;   /* columns to use, in this order, separated by commas; NULL: all the others */
    const char *drop;       /* columns to leave out, separated by commas */
    const char *missing;    /* texts of missing values, by commas; NULL: "NA,NaN,nan,N/A,n/a,#N/A,<NA>,NULL,null,?,",
                            * which ends with "" */
    bool numeric_target;    /* y is numbers [n,1] instead of class indices */
    bool error_on_missing;  /* default: a row with a missing field that is used is dropped and counted */
    bool keep_row_numbers;  /* default: a first column without a name that counts the rows is left out */
    gr_dtype dtype;         /* of numbers: GR_F32, the default, or GR_F64 */
    int64_t max_bytes;      /* refuse a larger file, unpacked; 0: 1 GiB */
    const gr_dataset *like; /* a set that was read before, as a training set: the same features, by their names, and the
                             * same classes under the same numbers; anything else is refused */
} gr_csv_options;

/* What a caller should know of how a table was read. Columns count from 1, as in messages, and 0 is none; in the
 * options positions count from 0, so that the column to drop is numbered_column - 1.
 * The first row is the first sample, and no header, where it holds only numbers, or where its features are numbers and
 * its target is a class of the rows below; but 0, 1, 2, ... are names. For a header of numbers: {.skip_lines = 1,
 * .no_header = true}. A column counts the rows where it is 0, 1, 2, ... or 1, 2, 3, ...: that is no feature. */
typedef struct gr_csv_report {
    int64_t rows;        /* in the data set */
    int64_t dropped;     /* rows left out for a missing field */
    int64_t rounded;     /* numbers above 2^24, or below 2^-126 and not 0, that F32 does not hold: see dtype */
    bool first_row_read; /* the first row is no header but the first sample, although no_header was not set */
    bool row_numbers;    /* the first column has no name and counts the rows: it was left out */
    int numbered_column; /* the first of the features that counts the rows */
    int unnamed;         /* features without a name in the header */
    int numeric_names;   /* features whose name in the header is a number: is it a header? */
    int numeric_classes; /* the classes, where each is a number: for a number to predict see numeric_target */
} gr_csv_report;

/* Reads features as [n, features] of options->dtype and the target, I32 [n] with up to 10,000 classes or numbers [n,1].
 * NULL options are the defaults; `report` may be NULL, and is all 0 after a failure. Errors carry the file, the line
 * (counted through quoted line ends) and the column, both from 1: GR_ERR_IO, GR_ERR_FORMAT (a row of another width, an
 * open quote, a field that is no number or none that the dtype holds, too many classes, a class that is not in
 * options->like, no rows), GR_ERR_OPTION (no such column, or used twice, other features than options->like has),
 * GR_ERR_DTYPE, GR_ERR_MEMORY, GR_ERR_UNSUPPORTED (gzip'd, and the build has no zlib). */
GR_EXPORT gr_dataset *gr_csv_read(const char *path, const gr_csv_options *options, gr_csv_report *report);

/* ---- IDX (the format of MNIST), plain or gzip'd ------------------------------------------------------------- */

/* A tensor of the file's shape, rank 1 to 8: bytes, signed bytes and 16-bit integers as F32 (I32 when `integer`),
 * 32-bit integers as I32, floats as F32, doubles as F64. gzip'd files need a build with zlib, GR_ERR_UNSUPPORTED
 * otherwise, and may unpack to 1 GiB. Errors: GR_ERR_IO, GR_ERR_FORMAT (magic, rank, a size that the file does not
 * have or exceeds, damaged gzip), GR_ERR_DTYPE (`integer`, and the file holds floats), GR_ERR_MEMORY. */
GR_EXPORT gr_tensor *gr_idx_read(const char *path, bool integer);

/* Images [n, rows, columns] of bytes as x [n, rows*columns], F32 in 0..1, and labels [n] in 0..9999 as classes. Where
 * 255 marks what has no label, there are 256 classes: gr_dataset_empty_classes() tells. */
GR_EXPORT gr_dataset *gr_idx_read_pair(const char *images, const char *labels);

/* ---- PNG ---------------------------------------------------------------------------------------------------- */

/* A picture as F32 [C,H,W] in 0..1, row by row from the top: 1 to 16 bits, grey, colours or a palette. `channels` 1
 * makes it grey, 0.299 R + 0.587 G + 0.114 B, 3 repeats grey in each channel, and 0 takes 1 or 3, whichever the file
 * has. Colours are multiplied by their alpha, so that what is transparent is black. Values are those in the file: no
 * gamma, no profile.
 * Refused before memory is asked for: a side over 32,768, over 2^26 pixels, more pixels than the file's bytes can be
 * unpacked to. Errors, with the path: GR_ERR_IO, GR_ERR_FORMAT (no PNG, cut off, damaged: the reason is libpng's),
 * GR_ERR_OPTION (channels), GR_ERR_MEMORY, GR_ERR_UNSUPPORTED (the build has no libpng). */
GR_EXPORT gr_tensor *gr_png_read(const char *path, int channels);

/* Writes [H,W] or [1,H,W] as grey and [3,H,W] as RGB, 8 bits: values are clipped to 0..1 and rounded to 255ths. F32 or
 * F64. The file is saved as gr_params_save() saves one: after a failure what was there before still is. Errors:
 * GR_ERR_SHAPE, GR_ERR_DTYPE, GR_ERR_VALUE (a NaN, with its position), GR_ERR_IO, GR_ERR_MEMORY, GR_ERR_UNSUPPORTED. */
GR_EXPORT GR_NODISCARD gr_status gr_png_write(const char *path, const gr_tensor *image);

/* ---- A folder of images beside a folder of masks ------------------------------------------------------------ */

/* First the crop, then the size. Images are resized by area where they shrink and bilinearly where they grow, masks by
 * the nearest pixel.
 * What the pixels of masks mean is decided by all masks read: black and one other value, whichever that is (0 and
 * 1, 0 and 255, 0 and 65535), black and one colour, a palette's first colour and one other, transparent and opaque.
 * Anything else is refused, with the values and their shares: `values` says which are meant. */
typedef struct gr_image_set_options {
    int channels;                    /* of x: 1 or 3; 0: as the first image has */
    int64_t crop_height, crop_width; /* the middle of each image, which must be as large; 0: all of it */
    int64_t height, width;           /* resized to this; 0: as it is */
    int64_t limit;                   /* read no more than the first of them; 0: all */
    const char *suffix;              /* masks are called X_mask.png beside X.png: "_mask"; NULL: X.png */
    const char *values;              /* what is foreground: numbers, ranges of them, colours, or what is more than half
                                      * opaque: "128-255", "1,3", "#ff0000", "opaque". With `classes`: the value of each
                                      * class in turn. NULL: see above; with `classes`: 0, 1, 2 ... */
    int classes;                     /* 2 to 255: the masks are label maps with so many; 0: masks of one thing */
    const char *ignore; /* of label maps: values that are no class, as in `values`; NULL: "255"; "": none */
} gr_image_set_options;

/* A mask in several files, one for each object, is a folder of them, masks/X/, of any names; it is their union. */
typedef struct gr_image_set_report {
    int64_t images;    /* in the data set */
    int64_t left_out;  /* files and folders beside them: no PNG files, of another suffix, of no image */
    int64_t joined;    /* masks that are the union of several files */
    int64_t empty;     /* masks in which nothing is foreground; label maps without a class but 0 */
    int64_t full;      /* masks in which everything is, as in a set of inverted ones; label maps without class 0 */
    int64_t blank;     /* images of one value all over */
    double foreground; /* its share of the pixels that are not ignored; all classes but 0 */
    double ignored;    /* the share that is */
    char meaning[400]; /* how the masks were read, with shares: "foreground is 255 (9.1 %); background is 0 (90.9 %)" */
} gr_image_set_report;

/* x [n,C,H,W], F32 in 0..1, and y: of masks F32 [n,1,H,W], 1 is foreground and 0 is not; of label maps I32 [n,H,W], a
 * class below `classes`, or 255, to be given to losses and metrics as .ignore_index. Read are the PNG files of both
 * folders, in the order of their names' bytes; an image and its mask have the same name but for suffix and ending.
 * Without a size the images must have one. gr_dataset_sample_name() is the image's. NULL options are the defaults;
 * `report` may be NULL, and is all 0 after a failure. A set may be without foreground: see `empty` there.
 * Errors: those of gr_png_read(), GR_ERR_IO (a folder), GR_ERR_FORMAT (files without their partner, shapes that differ,
 * of which the first few are named; masks that can be read in several ways), GR_ERR_OPTION. */
GR_EXPORT gr_dataset *gr_image_set_read(const char *images, const char *masks, const gr_image_set_options *options,
                                        gr_image_set_report *report);

/* ---- Generated sets ----------------------------------------------------------------------------------------- */

/* n points in the plane, half in each of two normal clouds of standard deviation `spread` around (-1,-1) and (1,1),
 * class 0 and 1, alternating. F32 [n,2] and I32 [n]. Errors: GR_ERR_OPTION for n below 1 or a spread outside 0..1e30.
 */
GR_EXPORT gr_dataset *gr_make_blobs(int64_t n, double spread, gr_rng *rng);

/* Images for segmentation: discs, ellipses and rectangles, turned at random, brighter than a noisy background. */
typedef struct gr_shapes_options {
    int64_t count;         /* images; 0: 64 */
    int64_t height, width; /* 4 to 4096; 0: 64 */
    double foreground;     /* the share of each image's pixels that shapes cover, above 0 and below 1; 0: 0.1 */
    int64_t shapes;        /* up to so many in an image; 0: 5 */
    double contrast;       /* the shapes' brightness less the background's, up to 1; 0: 0.4 */
    double noise;          /* standard deviation, in each pixel; 0: 0.1; below 0: none */
    double hard;           /* share of the images with a quarter of the contrast, spread evenly; 0: none */
} gr_shapes_options;

/* x [n,1,H,W] in 0..1 and y [n,1,H,W] in {0,1}, F32. Each image's share of foreground is what was asked for to within
 * 2 % of itself or 3 pixels. The same state of rng makes the same bits on every machine. Errors: GR_ERR_NULL,
 * GR_ERR_OPTION (a number out of its range, a share of less than one pixel), GR_ERR_MEMORY; rng stays where it was. */
GR_EXPORT gr_dataset *gr_make_shapes(const gr_shapes_options *options, gr_rng *rng);

#ifdef __cplusplus
}
#endif
#endif
