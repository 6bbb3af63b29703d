/* regions.c: a prediction as regions, and what is asked of predictions, targets and weights. */
#include "regions.h"

/* ---- The layout ----------------------------------------------------------------------------------------------- */

static const struct {
    int rank; /* the least */
    const char *what;
} regions[GR_N_REGIONS] = {[GR_PER_PLANE] = {3, "planes"},
                           [GR_PER_CLASS] = {2, "classes"},
                           [GR_PER_SAMPLE] = {1, "samples"},
                           [GR_WHOLE] = {0, ""}};

gr_status gr_expect_region(const char *who, const gr_tensor *x, gr_region region, bool without_background)
{
    if ((int)region < 0 || region >= GR_N_REGIONS)
        return gr_fail(GR_ERR_OPTION, "%s: no such region: %d", who, (int)region);
    if (x->rank < regions[region].rank)
        return gr_fail(GR_ERR_SHAPE,
                       "%s: the prediction is %s and has no %s, expected [N,C,...]; GR_WHOLE makes it one region", who,
                       GR_SHAPE_TEXT(x), regions[region].what);
    if (without_background && (x->rank < 2 || x->shape[1] < 2))
        return gr_fail(GR_ERR_SHAPE, "%s: the prediction is %s: without class 0 nothing is left", who,
                       GR_SHAPE_TEXT(x));
    return GR_OK;
}

gr_layout gr_layout_of(const gr_tensor *x, gr_region region, bool without_background)
{
    gr_layout l = {.region = region,
                   .n = x->rank > 0 ? x->shape[0] : 1,
                   .c = x->rank > 1 ? x->shape[1] : 1,
                   .inner = 1,
                   .first = without_background};
    for (int i = 2; i < x->rank; i++) l.inner *= x->shape[i];
    return l;
}

gr_layout gr_layout_merged(gr_layout l)
{
    if (l.region == GR_WHOLE) return (gr_layout){.region = GR_WHOLE, .n = 1, .c = 1, .inner = l.n * l.c * l.inner};
    if (l.region == GR_PER_SAMPLE)
        return (gr_layout){.region = GR_PER_SAMPLE, .n = l.n, .c = 1, .inner = l.c * l.inner};
    return l;
}

int gr_region_shape(const gr_layout *l, int64_t shape[2])
{
    const int64_t c = l->c - l->first;
    shape[0] = l->region == GR_PER_CLASS ? c : l->n;
    shape[1] = c;
    return l->region == GR_PER_PLANE ? 2 : l->region == GR_WHOLE ? 0 : 1;
}

int64_t gr_region_count(const gr_layout *l)
{
    int64_t shape[2], count = 1;
    int rank = gr_region_shape(l, shape);
    for (int i = 0; i < rank; i++) count *= shape[i];
    return count;
}

gr_tensor *gr_over_regions(gr_tape *t, const gr_layout *l, const gr_tensor *x, gr_tensor *numbers)
{
    int64_t shape[GR_MAX_RANK];
    for (int i = 0; i < x->rank; i++) shape[i] = 1;
    if (l->region == GR_PER_PLANE || l->region == GR_PER_SAMPLE) shape[0] = l->n;
    if (l->region == GR_PER_PLANE || l->region == GR_PER_CLASS) shape[1] = l->c - l->first;
    numbers = gr_reshape(t, numbers, x->rank, shape);
    if (!l->first) return numbers;
    if (numbers && numbers->shape[1] != l->c - l->first) { /* regions of more than one class */
        shape[1] = l->c - l->first;
        numbers = gr_broadcast_to(t, numbers, x->rank, shape);
    }
    return gr_pad(t, numbers, 1, 1, 0, 0.0);
}

gr_tensor *gr_sum_regions(gr_tape *t, const gr_layout *l, gr_tensor *x)
{
    if (!x) return gr_fail_null("sum", "input 0"), NULL;
    int axes[GR_MAX_RANK], n = 0;
    for (int i = 0; i < x->rank; i++) {
        bool kept = l->region == GR_PER_PLANE   ? i < 2
                    : l->region == GR_PER_CLASS ? i == 1
                                                : l->region == GR_PER_SAMPLE && i == 0;
        if (!kept) axes[n++] = i;
    }
    if (l->first) x = gr_slice(t, x, 1, l->first, l->c);
    return n ? gr_sum(t, x, n, axes, false) : x;
}

/* ---- What fits together ---------------------------------------------------------------------------------------- */

/* Whether y has the shape of x, or that without axis 1. */
static bool by_pixel(const gr_tensor *x, const gr_tensor *y)
{
    bool fits = x->rank > 1 && y->rank == x->rank - 1;
    for (int i = 0; fits && i < y->rank; i++) fits = y->shape[i] == x->shape[i ? i + 1 : 0];
    return fits;
}

static gr_status check_target(const char *who, const gr_tensor *x, const gr_tensor *y)
{
    const bool index = y->dtype == GR_I32;
    if (!gr_is_float(gr_type_of(x)))
        return gr_fail(GR_ERR_DTYPE, "%s: the prediction is %s, expected f32 or f64", who,
                       gr_dtype_name(gr_type_of(x)));
    if (!index && y->dtype != x->dtype)
        return gr_fail(GR_ERR_DTYPE, "%s: the prediction is %s, the target %s", who, gr_dtype_name(gr_type_of(x)),
                       gr_dtype_name(gr_type_of(y)));
    if (index ? !by_pixel(x, y) : !gr_same_shape(x, y))
        return gr_fail(GR_ERR_SHAPE,
                       "%s: the prediction is %s, the target %s; expected that shape, or i32 without axis 1", who,
                       GR_SHAPE_TEXT(x), GR_SHAPE_TEXT(y));
    return GR_OK;
}

gr_status gr_expect_region_inputs(const char *who, const gr_region_attr *a, const gr_tensor *x, const gr_tensor *y,
                                  const gr_tensor *w)
{
    if (check_target(who, x, y) || gr_expect_region(who, x, a->region, a->without_background)) return gr_last_status();
    if (a->softmax && !a->from_logits)
        return gr_fail(GR_ERR_OPTION, "%s: softmax goes with from_logits: probabilities have been through theirs", who);
    if (a->softmax && (x->rank < 2 || x->shape[1] < 2))
        return gr_fail(GR_ERR_SHAPE,
                       "%s: the prediction is %s: a softmax over axis 1 needs two classes or more; one alone goes "
                       "through a sigmoid",
                       who, GR_SHAPE_TEXT(x));
    if (!w) return GR_OK;
    if (w->dtype != x->dtype)
        return gr_fail(GR_ERR_DTYPE, "%s: the weight is %s, the prediction %s", who, gr_dtype_name(gr_type_of(w)),
                       gr_dtype_name(gr_type_of(x)));
    if (!gr_same_shape(x, w) && !by_pixel(x, w))
        return gr_fail(GR_ERR_SHAPE,
                       "%s: the weight is %s, the prediction %s; expected that shape, or that without axis 1", who,
                       GR_SHAPE_TEXT(w), GR_SHAPE_TEXT(x));
    return GR_OK;
}

gr_status gr_expect_classes(const char *who, const gr_region_attr *a, const gr_tensor *x, const gr_tensor *y)
{
    const int32_t *index = y->data;
    for (int64_t i = 0; i < y->size; i++)
        if ((index[i] < 0 || index[i] >= x->shape[1]) && !(a->ignore && (double)index[i] == a->ignore_index))
            return gr_fail(GR_ERR_VALUE, "%s: class %d at %s is outside the %lld classes", who, index[i],
                           gr_position_text(&(gr_text){{0}}, y, i), (long long)x->shape[1]);
    return GR_OK;
}

/* The pixel of element i of a prediction. */
static int64_t pixel_of(const gr_layout *l, int64_t i)
{
    return i / (l->c * l->inner) * l->inner + i % l->inner;
}

bool gr_is_counted(const gr_region_attr *a, const gr_layout *l, const gr_tensor *y, int64_t i)
{
    if (i / l->inner % l->c < l->first) return false;
    return !a->ignore || gr_element(y, y->dtype == GR_I32 ? pixel_of(l, i) : i) != a->ignore_index;
}

gr_status gr_expect_counted(const char *who, const gr_region_attr *a, const gr_tensor *x, const gr_tensor *y,
                            const gr_tensor *w)
{
    const gr_layout l = gr_layout_of(x, a->region, a->without_background);
    const bool by_element = w && gr_same_shape(w, x);
    for (int64_t i = 0; i < x->size; i++) {
        const int64_t at = by_element ? i : pixel_of(&l, i);
        const double p = gr_element(x, i), weight = w ? gr_element(w, at) : 1.0;
        const bool bad_prediction = !a->from_logits && weight != 0.0 && (p < 0.0 || p > 1.0);
        if ((weight >= 0.0 && !bad_prediction) || !gr_is_counted(a, &l, y, i)) continue;
        if (!(weight >= 0.0))
            return gr_fail(GR_ERR_VALUE, "%s: the weight is %g at %s, expected 0 or more", who, weight,
                           gr_position_text(&(gr_text){{0}}, w, at));
        return gr_fail(GR_ERR_VALUE, "%s: prediction %g at %s is outside [0,1]; are these logits?", who, p,
                       gr_position_text(&(gr_text){{0}}, x, i));
    }
    return GR_OK;
}

/* ---- Targets and weights as ops see them ------------------------------------------------------------------------ */

gr_tensor *gr_over_pixels(gr_tape *t, const gr_tensor *x, gr_tensor *pixels)
{
    int64_t shape[GR_MAX_RANK];
    for (int i = 0; i < x->rank; i++) shape[i] = i == 1 ? 1 : x->shape[i];
    return gr_reshape(t, pixels, x->rank, shape);
}

/* 1 where the target is ignored. */
static gr_tensor *ignored(gr_tape *t, const gr_region_attr *a, const gr_tensor *x, gr_tensor *y)
{
    const bool index = y->dtype == GR_I32;
    gr_tensor *is =
        gr_equal(t, index ? gr_cast(t, y, GR_F64) : y, gr_constant(t, index ? GR_F64 : gr_type_of(y), a->ignore_index));
    return index ? gr_over_pixels(t, x, gr_cast(t, is, gr_type_of(x))) : is;
}

gr_tensor *gr_region_target(gr_tape *t, const gr_region_attr *a, gr_tensor *x, gr_tensor *y)
{
    if (y->dtype == GR_I32) return GR_CALL(class_target, &(gr_loss_attr){0}, gr_detach(t, x), y);
    if (!a->ignore) return y;
    return gr_where(t, ignored(t, a, x, y), gr_constant(t, gr_type_of(y), 0.0), y);
}

gr_tensor *gr_region_weight(gr_tape *t, const gr_region_attr *a, const gr_tensor *x, gr_tensor *y, gr_tensor *w)
{
    if (w && !gr_same_shape(w, x)) w = gr_over_pixels(t, x, w);
    if (!a->ignore) return w;
    gr_tensor *zero = gr_constant(t, gr_type_of(x), 0.0);
    return gr_where(t, ignored(t, a, x, y), zero, w ? w : gr_constant(t, gr_type_of(x), 1.0));
}

gr_tensor *gr_weighed(gr_tape *t, gr_tensor *d, gr_tensor *w)
{
    return w ? gr_where(t, w, gr_mul(t, d, w), gr_constant(t, gr_dtype_of(d), 0.0)) : d;
}
