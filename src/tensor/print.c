/* print.c: a tensor as NumPy would show it. */
#include "internal.h"

enum { THRESHOLD = 1000, EDGE = 3 };

/* Text that knows how long it would have become. */
typedef struct writer {
    char *text;
    size_t capacity, length;
} writer;

static void put(writer *w, const char *s)
{
    for (; *s; s++, w->length++)
        if (w->length + 1 < w->capacity) w->text[w->length] = *s;
}

typedef struct layout {
    const gr_tensor *t;
    bool abbreviate;
    int width; /* of the widest element shown */
} layout;

static void element_text(const gr_tensor *t, int64_t i, char text[32])
{
    if (t->dtype == GR_I32)
        snprintf(text, 32, "%d", ((const int32_t *)t->data)[i]);
    else
        snprintf(text, 32, "%.*g", t->dtype == GR_F32 ? 6 : 8, gr_get(t, i));
}

/* Visits the elements of `axis` from `offset` on: first to measure (w is NULL), then to write. */
static void visit(layout *l, writer *w, int axis, int64_t offset, int64_t stride)
{
    const gr_tensor *t = l->t;
    char text[32];
    if (axis == t->rank) {
        element_text(t, offset, text);
        int length = (int)strlen(text);
        if (length > l->width) l->width = length;
        for (; w && length < l->width; length++) put(w, " ");
        if (w) put(w, text);
        return;
    }
    int64_t n = t->shape[axis], inner = n ? stride / n : 0;
    bool last = axis == t->rank - 1;
    if (w) put(w, "[");
    for (int64_t i = 0; i < n; i++) {
        bool gap = l->abbreviate && n > 2 * EDGE && i == EDGE;
        for (int k = 0; w && i && k < (last ? 1 : t->rank - 1 - axis); k++) put(w, last ? " " : "\n");
        for (int k = 0; w && i && !last && k <= axis; k++) put(w, " ");
        if (gap) {
            if (w) put(w, "...");
            i = n - EDGE - 1;
            continue;
        }
        visit(l, w, axis + 1, offset + i * inner, inner);
    }
    if (w) put(w, "]");
}

size_t gr_format(char *text, size_t capacity, const gr_tensor *t)
{
    writer w = {text, capacity, 0};
    if (!t || t->released || (t->base && t->base->released)) {
        put(&w, t ? "(given back by backward)" : "(null)");
    } else {
        layout l = {t, t->size > THRESHOLD, 0};
        visit(&l, NULL, 0, 0, t->size);
        visit(&l, &w, 0, 0, t->size);
        if (t->rank || t->dtype != GR_F64) {
            put(&w, "  ");
            put(&w, gr_dtype_name((gr_dtype)t->dtype));
            if (t->rank) put(&w, GR_SHAPE_OF(t));
        }
    }
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
