/* sheet.h: pictures of one size side by side under their labels, as one PNG in the folder for results. */
#ifndef LESSONS_SHEET_H
#define LESSONS_SHEET_H

#include "common.h"

typedef struct sheet {
    gr_tensor *canvas; /* [3,H,W] */
    int64_t h, w;      /* of a picture */
    int64_t grow;      /* each of its pixels is grow x grow on the sheet, */
    int64_t skip;      /* or only every skip-th of them is there */
    int64_t columns, used;
} sheet;

typedef struct colour {
    float r, g, b;
} colour;

enum { SHEET_GAP = 8, SHEET_LABEL = 16, SHEET_LEAST = 132, SHEET_MOST = 512 };

static inline int64_t on_sheet(const sheet *s, int64_t pixels)
{
    return (pixels + s->skip - 1) / s->skip * s->grow;
}

/* Room for so many pictures, h x w each, filled row by row. A label has 16 letters and fits over any. */
static inline sheet begin_sheet(int64_t pictures, int64_t columns, int64_t h, int64_t w)
{
    sheet s = {.h = h, .w = w, .columns = columns};
    s.grow = w < SHEET_LEAST ? (SHEET_LEAST + w - 1) / w : 1;
    s.skip = w > SHEET_MOST ? (w + SHEET_MOST - 1) / SHEET_MOST : 1;
    const int64_t rows = (pictures + columns - 1) / columns;
    s.canvas = need(gr_full(GR_F32, GR_SHAPE(3, SHEET_GAP + rows * (on_sheet(&s, h) + SHEET_LABEL + SHEET_GAP),
                                             SHEET_GAP + columns * (on_sheet(&s, w) + SHEET_GAP)), 0.15));
    return s;
}

static inline void set_pixel(gr_tensor *canvas, int64_t i, int64_t j, colour c)
{
    const int64_t h = gr_dim(canvas, 1), w = gr_dim(canvas, 2);
    float *p = gr_f32(canvas) + i * w + j;
    p[0] = c.r;
    p[h * w] = c.g;
    p[2 * h * w] = c.b;
}

/* Letters of 3 by 5 pixels: five octal digits, a row each; every pixel is drawn as 2 by 2. */
static inline void write_label(gr_tensor *canvas, int64_t top, int64_t left, const char *text)
{
    static const char *const letters[] = {
        "25755", "65656", "34443", "65556", "74647", "74644", "34553", "55755", "72227", "11152", "55655", "44447", "57755",
        "65555", "25552", "65644", "25563", "65655", "34216", "72222", "55557", "55552", "55775", "55255", "55222", "71247",
    };
    static const char one[] = "26227", dash[] = "00700", blank[] = "00000";
    for (int n = 0; text[n] && n < 16; n++, left += 8) {
        const char c = text[n], *rows = c >= 'a' && c <= 'z' ? letters[c - 'a'] : c == '1' ? one : c == '-' ? dash : blank;
        for (int64_t i = 0; i < 10; i++)
            for (int64_t j = 0; j < 6; j++)
                if ((rows[i / 2] - '0') >> (2 - j / 2) & 1) set_pixel(canvas, top + i, left + j, (colour){0.9f, 0.9f, 0.9f});
    }
}

/* What a pixel looks like; `of` is the caller's. */
typedef colour (*look)(const void *of, int64_t pixel);

static inline void add_picture(sheet *s, const char *label, look l, const void *of)
{
    const int64_t row = s->used / s->columns, column = s->used % s->columns;
    const int64_t top = SHEET_GAP + row * (on_sheet(s, s->h) + SHEET_LABEL + SHEET_GAP);
    const int64_t left = SHEET_GAP + column * (on_sheet(s, s->w) + SHEET_GAP);
    write_label(s->canvas, top, left, label);
    for (int64_t i = 0; i < on_sheet(s, s->h); i++)
        for (int64_t j = 0; j < on_sheet(s, s->w); j++)
            set_pixel(s->canvas, top + SHEET_LABEL + i, left + j,
                      l(of, i / s->grow * s->skip * s->w + j / s->grow * s->skip));
    s->used++;
}

/* Writes an image to DIR/name.png, or says why not where the library was built without libpng. */
static inline void write_png(const char *name, const gr_tensor *image)
{
    make_folder(out);
    char *path = path_in_out(name, ".png");
    if (gr_png_write(path, image) == GR_OK) printf("drawn: %s\n", path);
    else if (gr_last_status() == GR_ERR_UNSUPPORTED) printf("not drawn: %s: %s\n", path, gr_last_error());
    else fail("%s", gr_last_error());
    free(path);
}

static inline void finish_sheet(sheet *s, const char *name)
{
    write_png(name, s->canvas);
    gr_tensor_free(s->canvas);
}

#endif
