/* regions.c: a prediction as regions, and what is asked of predictions, targets and weights. */
#include <assert.h>

#include "losses/regions.h"

/* ---- The layout ----------------------------------------------------------------------------------------------- */

static const struct {
    int rank; /* the least */
    const char *what;
    bool by_sample, by_class;
} region_kinds[] = {[GR_PER_PLANE] = {3, "planes", true, true},
                    [GR_PER_CLASS] = {2, "classes", false, true},
                    [GR_PER_SAMPLE] = {1, "samples", true, false},
                    [GR_WHOLE] = {0, "", false, false}};
_Static_assert(GR_COUNT(region_kinds) == GR_N_REGIONS, "a row for each region");

gr_status gr_expect_region(const char *who, const gr_tensor *x, gr_region region, bool without_background)
{
    if ((int)region < 0 || region >= GR_N_REGIONS)
        return gr_fail(GR_ERR_OPTION, "%s: no such region: %d", who, (int)region);
    if (x->rank < region_kinds[region].rank)
        return gr_fail(GR_ERR_SHAPE,
                       "%s: the prediction is %s and has no %s, expected [N,C,...]; .region GR_WHOLE makes it one", who,
                       GR_SHAPE_TEXT(x), region_kinds[region].what);
    if (without_background && (x->rank < 2 || x->shape[1] < 2))
        return gr_fail(GR_ERR_SHAPE, "%s: without_background leaves nothing of the prediction %s", who,
                       GR_SHAPE_TEXT(x));
    return GR_OK;
}

region_layout gr_region_layout(const gr_tensor *x, gr_region region, bool without_background)
{
    assert((int)region >= 0 && region < GR_N_REGIONS); /* gr_expect_region() has been asked */
    const class_planes p = class_planes_of(x, 1);
    return (region_layout){.n = p.n,
                           .c = p.c,
                           .inner = p.inner,
                           .first = without_background,
                           .by_sample = region_kinds[region].by_sample,
                           .by_class = region_kinds[region].by_class};
}

region_layout gr_merged_planes(region_layout l)
{
    assert(l.first == 0);
    if (l.by_class) return l;
    const int64_t n = l.by_sample ? l.n : 1, images = l.by_sample ? 1 : l.n;
    return (region_layout){.n = n, .c = 1, .inner = images * l.c * l.inner, .by_sample = l.by_sample};
}

int gr_region_shape(const region_layout *l, int64_t shape[2])
{
    int rank = 0;
    if (l->by_sample) shape[rank++] = l->n;
    if (l->by_class) shape[rank++] = l->c - l->first;
    return rank;
}

int64_t gr_region_count(const region_layout *l)
{
    return (l->by_sample ? l->n : 1) * (l->by_class ? l->c - l->first : 1);
}

gr_tensor *gr_over_regions(gr_tape *t, const region_layout *l, const gr_tensor *x, gr_tensor *numbers)
{
    assert(!numbers || numbers->size == gr_region_count(l));
    int64_t shape[GR_MAX_RANK];
    for (int i = 0; i < x->rank; i++) shape[i] = 1;
    if (l->by_sample) shape[0] = l->n;
    if (l->by_class) shape[1] = l->c - l->first;
    numbers = gr_as_shape(t, numbers, x->rank, shape);
    if (!l->first) return numbers;
    if (!l->by_class) {
        shape[1] = l->c - l->first;
        numbers = gr_as_wide(t, numbers, x->rank, shape);
    }
    return gr_pad(t, numbers, 1, 1, 0, 0.0);
}

gr_tensor *gr_sum_regions(gr_tape *t, const region_layout *l, gr_tensor *x)
{
    if (!x) return gr_fail_null("sum", "input 0"), NULL;
    int axes[GR_MAX_RANK], n = 0;
    for (int i = 0; i < x->rank; i++)
        if (!(i == 0 && l->by_sample) && !(i == 1 && l->by_class)) axes[n++] = i;
    if (l->first) x = gr_slice(t, x, 1, l->first, l->c);
    return n ? gr_sum(t, x, n, axes, false) : x;
}

/* ---- What fits together ---------------------------------------------------------------------------------------- */

gr_status gr_expect_region_inputs(const char *who, const gr_region_attr *a, const gr_tensor *x, const gr_tensor *y,
                                  const gr_tensor *w)
{
    if (gr_expect_class_target(who, x, y) || gr_expect_region(who, x, a->region, a->without_background))
        return gr_last_status();
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
    if (!gr_same_shape(x, w) && !has_shape_of_positions(w, x))
        return gr_fail(GR_ERR_SHAPE,
                       "%s: the weight is %s, the prediction %s; expected that shape, or that without axis 1", who,
                       GR_SHAPE_TEXT(w), GR_SHAPE_TEXT(x));
    return GR_OK;
}

gr_status gr_expect_region_classes(const char *who, const gr_region_attr *a, const gr_tensor *x, const gr_tensor *y)
{
    if (y->dtype != GR_I32) return GR_OK;
    return gr_expect_class_indices(who, x, y, a->ignore ? &a->ignore_index : NULL);
}

/* Where the target, or the weight, of element i of a prediction lies: at i, or at its pixel. */
static int64_t beside(const region_layout *l, const gr_tensor *of, int64_t i)
{
    const class_planes p = {l->n, l->c, l->inner};
    return of->size == p.n * p.c * p.inner ? i : class_position(&p, i);
}

bool gr_is_counted(const gr_region_attr *a, const region_layout *l, const gr_tensor *y, int64_t i)
{
    if (i / l->inner % l->c < l->first) return false;
    return !a->ignore || gr_element(y, beside(l, y, i)) != a->ignore_index;
}

gr_status gr_expect_counted(const char *who, const gr_region_attr *a, const gr_tensor *x, const gr_tensor *y,
                            const gr_tensor *w)
{
    const region_layout l = gr_region_layout(x, a->region, a->without_background);
    for (int64_t i = 0; i < x->size; i++) {
        const int64_t at = w ? beside(&l, w, i) : 0;
        const double p = gr_element(x, i), weight = w ? gr_element(w, at) : 1.0;
        const bool bad_weight = !(weight >= 0.0);
        const bool bad_prediction = !a->from_logits && weight != 0.0 && (p < 0.0 || p > 1.0);
        if ((!bad_weight && !bad_prediction) || !gr_is_counted(a, &l, y, i)) continue;
        return bad_weight ? gr_fail_weight_at(who, "weight", w, at) : gr_fail_prediction_at(who, x, i);
    }
    return GR_OK;
}

/* ---- Targets and weights as ops see them ------------------------------------------------------------------------ */

/* 1 where the target is ignored. */
static gr_tensor *ignored_elements(gr_tape *t, const gr_region_attr *a, const gr_tensor *x, gr_tensor *y)
{
    const bool index = y->dtype == GR_I32;
    gr_tensor *is =
        gr_equal(t, index ? gr_cast(t, y, GR_F64) : y, gr_constant(t, index ? GR_F64 : gr_type_of(y), a->ignore_index));
    return index ? gr_over_classes(t, x, gr_cast(t, is, gr_type_of(x))) : is;
}

gr_tensor *gr_region_target(gr_tape *t, const gr_region_attr *a, gr_tensor *x, gr_tensor *y)
{
    if (y->dtype == GR_I32) return GR_CALL(class_target, &(gr_loss_attr){0}, gr_detach(t, x), y);
    if (!a->ignore) return y;
    return gr_where(t, ignored_elements(t, a, x, y), gr_constant(t, gr_type_of(y), 0.0), y);
}

gr_status gr_region_weight(gr_tape *t, const gr_region_attr *a, const gr_tensor *x, gr_tensor *y, gr_tensor *w,
                           gr_tensor **factor)
{
    *factor = w;
    if (w && !gr_same_shape(w, x)) *factor = w = gr_over_classes(t, x, w);
    else if (!w && !a->ignore) return GR_OK;
    if (a->ignore) {
        gr_tensor *zero = gr_constant(t, gr_type_of(x), 0.0), *one = gr_constant(t, gr_type_of(x), 1.0);
        *factor = gr_where(t, ignored_elements(t, a, x, y), zero, w ? w : one);
    }
    return *factor ? GR_OK : gr_last_status();
}

gr_tensor *gr_region_weighed(gr_tape *t, const gr_region_attr *a, const gr_tensor *x, gr_tensor *y, gr_tensor *w,
                             gr_tensor *d)
{
    gr_tensor *factor;
    if (gr_region_weight(t, a, x, y, w, &factor)) return NULL;
    return factor ? gr_weighed(t, factor, d) : d;
}
