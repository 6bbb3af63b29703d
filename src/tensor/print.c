/* print.c: a tensor as NumPy would show it.
 *
 * The elements that are shown settle together how all of them are written: padded to one width around the point, or
 * with exponents where the largest and the smallest lie too far apart for that. A number gets as many digits as tell
 * it from its neighbours, but no more than eight behind the point; a scalar gets them all. */
#include <math.h>
#include <stdlib.h>

#include "tensor/internal.h"

enum { THRESHOLD = 1000, EDGE = 3, LINE = 75, PLACES = 8, NUMBER_TEXT = 64 };

/* ---- Text that knows how long it would have become ----------------------------------------------------------- */

typedef struct writer {
    char *text;
    size_t capacity, length;
    int column;
    int spaces; /* owed: at the end of a line they are never written */
} writer;

static void put_char(writer *w, char c)
{
    if (w->length + 1 < w->capacity) w->text[w->length] = c;
    w->length++;
}

static void put(writer *w, const char *s)
{
    for (; *s; s++) {
        w->column = *s == '\n' ? 0 : w->column + 1;
        for (; w->spaces && *s != ' ' && *s != '\n'; w->spaces--) put_char(w, ' ');
        w->spaces = *s == ' ' ? w->spaces + 1 : 0;
        if (*s != ' ') put_char(w, *s);
    }
}

static void put_line(writer *w, int indent)
{
    put(w, "\n");
    for (; indent > 0; indent--) put(w, " ");
}

/* ---- Numbers in decimal -------------------------------------------------------------------------------------- */

/* d.ddd x 10^exponent, without zeros at the end. */
typedef struct decimal {
    char digits[24];
    int n, exponent;
} decimal;

/* |x| rounded to n digits, and whether that still means x. The point is skipped, whatever the locale has for it. */
static decimal rounded(gr_dtype dtype, double x, int n, bool *means_x)
{
    char text[NUMBER_TEXT];
    decimal d = {.n = 0};
    snprintf(text, sizeof text, "%.*e", n - 1, fabs(x));
    *means_x = dtype == GR_F32 ? strtof(text, NULL) == fabsf((float)x) : strtod(text, NULL) == fabs(x);
    const char *s = text;
    for (; *s != 'e'; s++)
        if (*s >= '0' && *s <= '9') d.digits[d.n++] = *s;
    d.exponent = (int)strtol(s + 1, NULL, 10);
    while (d.n > 1 && d.digits[d.n - 1] == '0') d.n--;
    return d;
}

/* How all elements are written. */
typedef struct layout {
    const gr_tensor *t;
    bool abbreviate;
    bool scientific;
    int left, right;    /* characters in front of the point; behind it, up to an exponent */
    int exponent;       /* digits of the exponent */
    double least, most; /* magnitude that is finite and not 0 */
    bool not_finite, minus_inf;
} layout;

/* The fewest digits that mean x, but no more than PLACES behind the point. */
static decimal decimal_of(const layout *l, double x)
{
    gr_dtype dtype = (gr_dtype)l->t->dtype;
    decimal d = {.n = 0};
    bool means_x = false;
    for (int n = 1; n <= 17 && !means_x; n++) d = rounded(dtype, x, n, &means_x);
    int in_front = l->scientific ? 0 : d.exponent;
    if (l->t->rank && d.n - 1 - in_front > PLACES) d = rounded(dtype, x, in_front + 1 + PLACES, &means_x);
    return d;
}

/* The digit that counts 10^place. */
static char digit(const decimal *d, int place)
{
    int i = d->exponent - place;
    return i >= 0 && i < d->n ? d->digits[i] : '0';
}

static int digits_behind(const decimal *d)
{
    return d->n - 1 > d->exponent ? d->n - 1 - d->exponent : 0;
}

/* Splits an exponent off where there are to be some. */
static int split_exponent(const layout *l, decimal *d)
{
    int exponent = d->exponent;
    if (l->scientific) d->exponent = 0;
    return exponent;
}

static void finite_text(const layout *l, double x, char *s)
{
    const bool scalar = l->t->rank == 0, negative = signbit(x);
    bool means_x;
    decimal d = l->scientific && !scalar ? rounded((gr_dtype)l->t->dtype, x, l->right + 1, &means_x) : decimal_of(l, x);
    int exponent = split_exponent(l, &d), highest = d.exponent > 0 ? d.exponent : 0, behind = digits_behind(&d);
    for (int width = highest + 1 + negative; width < l->left; width++) *s++ = ' ';
    if (negative) *s++ = '-';
    for (int place = highest; place >= 0; place--) *s++ = digit(&d, place);
    if (!scalar || behind || !l->scientific) *s++ = '.';
    for (int place = 1; place <= behind || place <= l->right; place++)
        *s++ = place <= behind || scalar || l->scientific ? digit(&d, -place) : ' ';
    if (l->scientific) snprintf(s, 8, "e%c%0*d", exponent < 0 ? '-' : '+', l->exponent, abs(exponent));
    else *s = '\0';
}

static void number_text(const layout *l, double x, char text[NUMBER_TEXT])
{
    int width = l->left + 1 + l->right + (l->scientific ? l->exponent + 2 : 0);
    if (l->t->dtype == GR_I32) snprintf(text, NUMBER_TEXT, "%*d", l->left, (int)x);
    else if (isnan(x)) snprintf(text, NUMBER_TEXT, "%*s", width, "nan");
    else if (isinf(x)) snprintf(text, NUMBER_TEXT, "%*s", width, x > 0.0 ? "inf" : "-inf");
    else finite_text(l, x, text);
}

/* ---- Settling the layout ------------------------------------------------------------------------------------- */

/* Of an axis of n entries, the one shown after entry i. */
static int64_t next_shown(const layout *l, int64_t n, int64_t i)
{
    return l->abbreviate && n > 2 * EDGE && i == EDGE - 1 ? n - EDGE : i + 1;
}

static void for_each_shown(layout *l, int axis, int64_t offset, void (*see)(layout *l, double x))
{
    if (axis == l->t->rank) {
        see(l, gr_element(l->t, offset));
        return;
    }
    int64_t n = l->t->shape[axis];
    for (int64_t i = 0; i < n; i = next_shown(l, n, i)) for_each_shown(l, axis + 1, offset * n + i, see);
}

static void see_magnitude(layout *l, double x)
{
    double size = fabs(x);
    l->not_finite |= !isfinite(x);
    l->minus_inf |= isinf(x) && x < 0.0;
    if (!isfinite(x) || x == 0.0) return;
    if (!(size <= l->most)) l->most = size;
    if (l->least == 0.0 || size < l->least) l->least = size;
}

static void widen(int *width, int to)
{
    if (to > *width) *width = to;
}

static void see_width(layout *l, double x)
{
    if (l->t->dtype == GR_I32) widen(&l->left, snprintf(NULL, 0, "%d", (int)x));
    if (l->t->dtype == GR_I32 || !isfinite(x)) return;
    decimal d = decimal_of(l, x);
    int exponent = split_exponent(l, &d);
    widen(&l->left, (d.exponent > 0 ? d.exponent : 0) + 1 + (signbit(x) != 0));
    widen(&l->right, digits_behind(&d));
    if (l->scientific) widen(&l->exponent, snprintf(NULL, 0, "%02d", abs(exponent)));
}

/* Exponents from 1e8 on, below 1e-4 and for a ratio above 1000; a scalar has them from 1e16 on and below 1e-4. */
static bool needs_exponents(const layout *l)
{
    if (l->t->dtype == GR_I32 || l->most == 0.0) return false;
    bool single = l->t->dtype == GR_F32;
    if (l->least < (single ? (double)1e-4f : 1e-4)) return true;
    if (l->t->rank == 0) return l->most >= 1e16;
    return l->most >= 1e8 || (single ? (double)((float)l->most / (float)l->least) : l->most / l->least) > 1000.0;
}

static layout layout_of(const gr_tensor *t)
{
    layout l = {.t = t, .abbreviate = t->size > THRESHOLD};
    for_each_shown(&l, 0, 0, see_magnitude);
    l.scientific = needs_exponents(&l);
    for_each_shown(&l, 0, 0, see_width);
    if (t->rank == 0) {
        l.right = l.scientific ? 0 : 1;
    } else if (l.not_finite) {
        widen(&l.left, 3 + l.minus_inf - (l.right + 1 + (l.scientific ? l.exponent + 2 : 0)));
    }
    return l;
}

/* ---- Writing ------------------------------------------------------------------------------------------------- */

/* A word of a row, on the next line where it does not fit on this one and would there. */
static void put_word(const layout *l, writer *w, const char *word)
{
    const int rank = l->t->rank;
    if (w->column + (int)strlen(word) > LINE - rank && w->column > rank) put_line(w, rank);
    put(w, word);
}

/* Between two entries: a space in a row, a new line between rows, an empty one more between matrices, and so on. */
static void separate(const layout *l, writer *w, int axis)
{
    if (axis == l->t->rank - 1) put(w, " ");
    for (int k = axis; k < l->t->rank - 1; k++) put_line(w, axis + 1);
}

static void put_axis(const layout *l, writer *w, int axis, int64_t offset)
{
    const int64_t n = l->t->shape[axis];
    const bool row = axis == l->t->rank - 1;
    put(w, "[");
    for (int64_t i = 0, before = -1; i < n; before = i, i = next_shown(l, n, i)) {
        if (i) separate(l, w, axis);
        if (i - before > 1) {
            put_word(l, w, "...");
            separate(l, w, axis);
        }
        if (row) {
            char text[NUMBER_TEXT];
            number_text(l, gr_element(l->t, offset * n + i), text);
            put_word(l, w, text);
        } else {
            put_axis(l, w, axis + 1, offset * n + i);
        }
    }
    put(w, "]");
}

static void put_tensor(writer *w, const gr_tensor *t)
{
    layout l = layout_of(t);
    char text[NUMBER_TEXT];
    if (t->size == 0) {
        put(w, "[]");
    } else if (t->rank) {
        put_axis(&l, w, 0, 0);
    } else {
        number_text(&l, gr_element(t, 0), text);
        put(w, text);
    }
    if (t->rank == 0 && t->dtype == GR_F64) return;
    put(w, "  ");
    put(w, gr_dtype_name((gr_dtype)t->dtype));
    if (t->rank) put(w, GR_SHAPE_TEXT(t));
}

size_t gr_format(char *text, size_t capacity, const gr_tensor *t)
{
    writer w = {.text = text, .capacity = capacity};
    if (!t) put(&w, "(null)");
    else if (t->values_gone || (t->base && t->base->values_gone))
        put(&w, t->given ? "(given up)" : "(given back by backward)");
    else put_tensor(&w, t);
    if (capacity) text[w.length < capacity ? w.length : capacity - 1] = '\0';
    return w.length;
}

void gr_fprint(FILE *file, const gr_tensor *t)
{
    char line[16384];
    size_t length = gr_format(line, sizeof line, t);
    char *text = length < sizeof line ? line : gr_allocate(length + 1);
    if (!text) return;
    gr_format(text, length + 1, t);
    fprintf(file, "%s\n", text);
    if (text != line) gr_release(text);
}
