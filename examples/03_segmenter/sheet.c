/* sheet.c: pictures side by side (sheet.h). */
#include "sheet.h"

typedef struct colour {
    float r, g, b;
} colour;

enum { SHEET_GAP = 8, SHEET_LABEL = 16, SHEET_LEAST = 128, SHEET_MOST = 512 };

static int64_t on_sheet(const sheet *s, int64_t pixels) { return (pixels + s->skip - 1) / s->skip * s->grow; }

sheet begin_sheet(int64_t rows, int64_t columns, int64_t h, int64_t w)
{
    sheet s = {.h = h, .w = w, .columns = columns};
    s.grow = w < SHEET_LEAST ? (SHEET_LEAST + w - 1) / w : 1;
    s.skip = w > SHEET_MOST ? (w + SHEET_MOST - 1) / SHEET_MOST : 1;
    s.canvas = need(gr_full(GR_F32,
                            GR_SHAPE(3, SHEET_GAP + rows * (on_sheet(&s, h) + SHEET_LABEL + SHEET_GAP),
                                     SHEET_GAP + columns * (on_sheet(&s, w) + SHEET_GAP)),
                            0.15));
    return s;
}

static void set_pixel(gr_tensor *canvas, int64_t i, int64_t j, colour c)
{
    const int64_t h = gr_dim(canvas, 1), w = gr_dim(canvas, 2);
    float *p = gr_f32(canvas) + i * w + j;
    p[0] = c.r;
    p[h * w] = c.g;
    p[2 * h * w] = c.b;
}

/* Letters of 3 by 5 pixels: five octal digits, a row each; every pixel is drawn as 2 by 2. */
static void write_label(gr_tensor *canvas, int64_t top, int64_t left, const char *text)
{
    static const char *const letters[] = {
        "25755", "65656", "34443", "65556", "74647", "74644", "34553", "55755", "72227",
        "11152", "55655", "44447", "57755", "65555", "25552", "65644", "25563", "65655",
        "34216", "72222", "55557", "55552", "55775", "55255", "55222", "71247",
    };
    static const char one[] = "26227", dash[] = "00700", blank[] = "00000";
    for (int n = 0; text[n] && n < 16; n++, left += 8) {
        const char c = text[n], *rows = c == '1' ? one : c == '-' ? dash : blank;
        if (c >= 'a' && c <= 'z') rows = letters[c - 'a'];
        for (int64_t i = 0; i < 10; i++)
            for (int64_t j = 0; j < 6; j++)
                if ((rows[i / 2] - '0') >> (2 - j / 2) & 1)
                    set_pixel(canvas, top + i, left + j, (colour){0.9f, 0.9f, 0.9f});
    }
}

/* Planes of h w pixels, one after the other. */
typedef struct planes {
    const float *values, *truth;
    const int32_t *labels;
    int64_t next; /* from a channel to the next; 0: there is one */
} planes;

static colour as_image(const planes *p, int64_t k)
{
    return (colour){p->values[k], p->values[k + p->next], p->values[k + 2 * p->next]};
}

static colour as_mask(const planes *p, int64_t k)
{
    const bool predicted = p->values[k] > 0.0f, actual = p->truth[k] > 0.5f;
    if (predicted) return actual ? (colour){1, 1, 1} : (colour){0.95f, 0.25f, 0.2f}; /* white or red */
    return actual ? (colour){0.25f, 0.5f, 1.0f} : (colour){0, 0, 0};                 /* blue or black */
}

static colour as_label(const planes *p, int64_t k)
{
    static const colour of[] = {{0.95f, 0.35f, 0.25f}, {0.25f, 0.6f, 0.95f}, {0.95f, 0.8f, 0.3f}, {0.4f, 0.8f, 0.4f},
                                {0.75f, 0.5f, 0.9f},   {0.95f, 0.6f, 0.8f},  {0.3f, 0.8f, 0.8f},  {0.9f, 0.9f, 0.9f}};
    const int32_t c = p->labels[k];
    return c == 0 ? (colour){0, 0, 0} : c == 255 ? (colour){0.4f, 0.4f, 0.4f} : of[(c - 1) % COUNT(of)];
}

static void add_picture(sheet *s, const char *label, colour look(const planes *, int64_t), const planes *p)
{
    const int64_t row = s->used / s->columns, column = s->used % s->columns;
    const int64_t top = SHEET_GAP + row * (on_sheet(s, s->h) + SHEET_LABEL + SHEET_GAP);
    const int64_t left = SHEET_GAP + column * (on_sheet(s, s->w) + SHEET_GAP);
    write_label(s->canvas, top, left, label);
    for (int64_t i = 0; i < on_sheet(s, s->h); i++)
        for (int64_t j = 0; j < on_sheet(s, s->w); j++)
            set_pixel(s->canvas, top + SHEET_LABEL + i, left + j,
                      look(p, i / s->grow * s->skip * s->w + j / s->grow * s->skip));
    s->used++;
}

void add_image(sheet *s, const char *label, const float *values, int64_t channels)
{
    add_picture(s, label, as_image, &(planes){values, NULL, NULL, channels > 1 ? s->h * s->w : 0});
}

void add_mask(sheet *s, const char *label, const float *values, const float *truth)
{
    add_picture(s, label, as_mask, &(planes){values, truth, NULL, 0});
}

void add_labels(sheet *s, const char *label, const int32_t *labels)
{
    add_picture(s, label, as_label, &(planes){NULL, NULL, labels, 0});
}

void next_row(sheet *s) { s->used += (s->columns - s->used % s->columns) % s->columns; }

void finish_sheet(sheet *s, const char *name)
{
    write_png(name, s->canvas);
    gr_tensor_free(s->canvas);
}
