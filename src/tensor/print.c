/* print.c: a tensor as NumPy would show it.
 *
 * One format serves all elements that are shown: padded to one width around the point, or with exponents where the
 * largest and the smallest lie too far apart for that. A number gets as many digits as tell it from its neighbours, but
 * no more than eight behind the point; a scalar gets them all. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "tensor/internal.h"

enum { THRESHOLD = 1000, EDGE = 3, LINE = 75, PLACES = 8, NUMBER_TEXT = 64 };

/* ---- Text ---------------------------------------------------------------------------------------------------- */

/* Text being written, as snprintf() would: `length` counts what has no room as well. */
typedef struct writer {
    char *text;
    size_t capacity, length;
    int column;
    int spaces; /* not yet written: those at the end of a line never are */
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

/* The number d.ddd 10^exponent of n digits, without zeros at the end. */
typedef struct decimal {
    char digits[24];
    int n, exponent;
} decimal;

/* |x| rounded to n digits. *means_x: x is the number of the dtype that is nearest to it. Whatever the locale's decimal
 * point is, it is skipped. */
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
typedef struct number_format {
    const gr_tensor *t;
    bool abbreviate;
    bool scientific;
    int left, right;    /* characters in front of the point; behind it, up to an exponent */
    int exponent;       /* digits of the exponent */
    double least, most; /* magnitude that is finite and not 0 */
    bool not_finite, minus_inf;
} number_format;

/* The fewest digits that mean x, but no more than PLACES behind the point. */
static decimal decimal_of(const number_format *f, double x)
{
    gr_dtype dtype = gr_type_of(f->t);
    decimal d = {.n = 0};
    bool means_x = false;
    for (int n = 1; n <= 17 && !means_x; n++) d = rounded(dtype, x, n, &means_x);
    int in_front = f->scientific ? 0 : d.exponent;
    if (f->t->rank && d.n - 1 - in_front > PLACES) d = rounded(dtype, x, in_front + 1 + PLACES, &means_x);
    return d;
}

/* The digit in front of 10^place. */
static char digit(const decimal *d, int place)
{
    int i = d->exponent - place;
    return i >= 0 && i < d->n ? d->digits[i] : '0';
}

static int digits_behind(const decimal *d) { return d->n - 1 > d->exponent ? d->n - 1 - d->exponent : 0; }

/* Returns the exponent and, where the format has exponents, leaves d.ddd. */
static int split_exponent(const number_format *f, decimal *d)
{
    int exponent = d->exponent;
    if (f->scientific) d->exponent = 0;
    return exponent;
}

static void finite_text(const number_format *f, double x, char *s)
{
    const bool scalar = f->t->rank == 0, negative = signbit(x);
    bool means_x;
    decimal d = f->scientific && !scalar ? rounded(gr_type_of(f->t), x, f->right + 1, &means_x) : decimal_of(f, x);
    int exponent = split_exponent(f, &d), highest = d.exponent > 0 ? d.exponent : 0, behind = digits_behind(&d);
    for (int width = highest + 1 + negative; width < f->left; width++) *s++ = ' ';
    if (negative) *s++ = '-';
    for (int place = highest; place >= 0; place--) *s++ = digit(&d, place);
    if (!scalar || behind || !f->scientific) *s++ = '.';
    for (int place = 1; place <= behind || place <= f->right; place++)
        *s++ = place <= behind || scalar || f->scientific ? digit(&d, -place) : ' ';
    if (f->scientific) snprintf(s, 8, "e%c%0*d", exponent < 0 ? '-' : '+', f->exponent, abs(exponent));
    else *s = '\0';
}

static void number_text(const number_format *f, double x, char text[NUMBER_TEXT])
{
    int width = f->left + 1 + f->right + (f->scientific ? f->exponent + 2 : 0);
    if (f->t->dtype == GR_I32) snprintf(text, NUMBER_TEXT, "%*d", f->left, (int)x);
    else if (isnan(x)) snprintf(text, NUMBER_TEXT, "%*s", width, "nan");
    else if (isinf(x)) snprintf(text, NUMBER_TEXT, "%*s", width, x > 0.0 ? "inf" : "-inf");
    else finite_text(f, x, text);
}

/* ---- Choosing the format ------------------------------------------------------------------------------------- */

/* The entry that is shown after entry i, in an axis of n entries. */
static int64_t next_shown(const number_format *f, int64_t n, int64_t i)
{
    return f->abbreviate && n > 2 * EDGE && i == EDGE - 1 ? n - EDGE : i + 1;
}

static void for_each_shown(number_format *f, int axis, int64_t offset, void (*see)(number_format *f, double x))
{
    if (axis == f->t->rank) {
        see(f, gr_element(f->t, offset));
        return;
    }
    int64_t n = f->t->size ? f->t->shape[axis] : 0; /* [100000000,0] shows nothing a hundred million times */
    for (int64_t i = 0; i < n; i = next_shown(f, n, i)) for_each_shown(f, axis + 1, offset * n + i, see);
}

static void see_magnitude(number_format *f, double x)
{
    double size = fabs(x);
    f->not_finite |= !isfinite(x);
    f->minus_inf |= isinf(x) && x < 0.0;
    if (!isfinite(x) || x == 0.0) return;
    if (!(size <= f->most)) f->most = size;
    if (f->least == 0.0 || size < f->least) f->least = size;
}

static void widen(int *width, int to)
{
    if (to > *width) *width = to;
}

static void see_width(number_format *f, double x)
{
    if (f->t->dtype == GR_I32) widen(&f->left, snprintf(NULL, 0, "%d", (int)x));
    if (f->t->dtype == GR_I32 || !isfinite(x)) return;
    decimal d = decimal_of(f, x);
    int exponent = split_exponent(f, &d);
    widen(&f->left, (d.exponent > 0 ? d.exponent : 0) + 1 + (signbit(x) != 0));
    widen(&f->right, digits_behind(&d));
    if (f->scientific) widen(&f->exponent, snprintf(NULL, 0, "%02d", abs(exponent)));
}

/* Exponents from 1e8 on, below 1e-4 and for a ratio above 1000; a scalar has them from 1e16 on and below 1e-4. */
static bool needs_exponents(const number_format *f)
{
    if (f->t->dtype == GR_I32 || f->most == 0.0) return false;
    bool single = f->t->dtype == GR_F32;
    if (f->least < (single ? (double)1e-4f : 1e-4)) return true;
    if (f->t->rank == 0) return f->most >= 1e16;
    return f->most >= 1e8 || (single ? (double)((float)f->most / (float)f->least) : f->most / f->least) > 1000.0;
}

static number_format format_of(const gr_tensor *t)
{
    number_format f = {.t = t, .abbreviate = t->size > THRESHOLD};
    for_each_shown(&f, 0, 0, see_magnitude);
    f.scientific = needs_exponents(&f);
    for_each_shown(&f, 0, 0, see_width);
    if (t->rank == 0) {
        f.right = f.scientific ? 0 : 1;
    } else if (f.not_finite) {
        widen(&f.left, 3 + f.minus_inf - (f.right + 1 + (f.scientific ? f.exponent + 2 : 0)));
    }
    return f;
}

/* ---- Writing ------------------------------------------------------------------------------------------------- */

/* Writes a word of a row: on a new line if it does not fit on this one, unless this one is still empty. */
static void put_word(const number_format *f, writer *w, const char *word)
{
    const int rank = f->t->rank;
    if (w->column + (int)strlen(word) > LINE - rank && w->column > rank) put_line(w, rank);
    put(w, word);
}

/* Writes what stands between two entries of an axis: a space in a row, one new line between rows, two between matrices,
 * and so on. */
static void separate(const number_format *f, writer *w, int axis)
{
    if (axis == f->t->rank - 1) put(w, " ");
    for (int k = axis; k < f->t->rank - 1; k++) put_line(w, axis + 1);
}

/* Writes the entries of axis `axis` and of those behind it; `offset` is their position along the axes in front. */
static void put_axis(const number_format *f, writer *w, int axis, int64_t offset)
{
    if (axis == f->t->rank) {
        char text[NUMBER_TEXT];
        number_text(f, gr_element(f->t, offset), text);
        put_word(f, w, text);
        return;
    }
    const int64_t n = f->t->shape[axis];
    put(w, "[");
    for (int64_t i = 0, before = -1; i < n; before = i, i = next_shown(f, n, i)) {
        if (i) separate(f, w, axis);
        if (i - before > 1) {
            put_word(f, w, "...");
            separate(f, w, axis);
        }
        put_axis(f, w, axis + 1, offset * n + i);
    }
    put(w, "]");
}

static void put_tensor(writer *w, const gr_tensor *t)
{
    number_format f = format_of(t);
    if (t->size) put_axis(&f, w, 0, 0);
    else put(w, "[]");
    if (t->rank == 0 && t->dtype == GR_F64) return;
    put(w, "  ");
    put(w, gr_dtype_name(gr_type_of(t)));
    if (t->rank) put(w, GR_SHAPE_TEXT(t));
}

size_t gr_format(char *text, size_t capacity, const gr_tensor *t)
{
    writer w = {.text = text, .capacity = text ? capacity : 0};
    if (!t) put(&w, "(null)");
    else if (gr_is_gone(t)) put(&w, gr_fate_text(&(gr_text){{0}}, t));
    else put_tensor(&w, t);
    if (w.capacity) text[w.length < capacity ? w.length : capacity - 1] = '\0';
    return w.length;
}

gr_status gr_fprint(FILE *file, const gr_tensor *t)
{
    if (!file) return gr_fail_null("fprint", "file");
    char line[16384];
    size_t length = gr_format(line, sizeof line, t);
    char *text = length < sizeof line ? line : gr_allocate(length + 1);
    if (!text) return GR_ERR_MEMORY;
    gr_format(text, length + 1, t);
    fprintf(file, "%s\n", text);
    if (text != line) gr_release(text);
    return gr_file_status("fprint", file);
}

/* ---- For whatever else is written ---------------------------------------------------------------------------- */

const char *gr_digits_text(gr_text *text, char as, int digits, double x)
{
    static const char plain[] = "+-0123456789einfa";
    snprintf(text->s, sizeof text->s, as == 'e' ? "%.*e" : "%.*g", digits, x);
    char *point = text->s + strspn(text->s, plain);
    if (!*point) return text->s;
    const char *rest = point + strcspn(point, plain); /* the locale's point may be several bytes */
    *point = '.';
    memmove(point + 1, rest, strlen(rest) + 1);
    return text->s;
}

gr_status gr_file_status(const char *who, FILE *file)
{
    errno = 0;
    if (!fflush(file) && !ferror(file)) return GR_OK;
    return gr_fail(GR_ERR_IO, "%s: the file did not take all of it: %s", who,
                   errno ? strerror(errno) : "an earlier write failed");
}
