/* sheet.h: images and masks of one size side by side under their labels, as one PNG in the folder for results. */
#ifndef LESSONS_SHEET_H
#define LESSONS_SHEET_H

#include "../common.h"

typedef struct sheet {
    gr_tensor *canvas; /* [3,H,W] */
    int64_t h, w;      /* of a picture */
    int64_t grow;      /* each of its pixels is grow x grow on the sheet, */
    int64_t skip;      /* or only every skip-th of them is there */
    int64_t columns, used;
} sheet;

/* Room for rows of pictures, h x w each. A label has up to 16 letters and fits over any. */
sheet begin_sheet(int64_t rows, int64_t columns, int64_t h, int64_t w);

/* Values in 0..1, of one channel or of three. */
void add_image(sheet *s, const char *label, const float *values, int64_t channels);

/* Foreground where values are above 0, against the truth: white was found, red is a false alarm, blue was missed. */
void add_mask(sheet *s, const char *label, const float *values, const float *truth);

/* Label maps: class 0 is black, others have colours, and 255, which is ignored, is grey. */
void add_labels(sheet *s, const char *label, const int32_t *labels);

/* The next picture begins a row. */
void next_row(sheet *s);

/* Writes DIR/name.png. */
void finish_sheet(sheet *s, const char *name);

#endif
