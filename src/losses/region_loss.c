/* region_loss.c: what losses of regions do alike: read the options, count, weigh classes, reduce. */
#include <math.h>

#include "regions.h"

/* The numbers a loss may have. Where all numbers of a group are 0 they have their defaults. */
static const struct {
    const char *name;
    int group;
    size_t offset;
    double otherwise, most;
} numbers[] = {
    {"epsilon", GR_HAS_EPSILON, offsetof(gr_region_options, epsilon), 1.0, (double)INFINITY},
    {"fp_weight", GR_HAS_SIDES, offsetof(gr_region_options, fp_weight), 0.5, (double)INFINITY},
    {"fn_weight", GR_HAS_SIDES, offsetof(gr_region_options, fn_weight), 0.5, (double)INFINITY},
    {"gamma", GR_HAS_GAMMA, offsetof(gr_region_options, gamma), 0.75, (double)INFINITY},
    {"alpha", GR_HAS_ALPHA, offsetof(gr_region_options, alpha), 0.0, 1.0},
    {"w", GR_HAS_W, offsetof(gr_region_options, w), 0.5, 1.0},
    {"mix", GR_HAS_MIX, offsetof(gr_region_options, mix), 1.0, (double)INFINITY},
};

static double *number_at(gr_region_options *o, int i)
{
    return (double *)(void *)((char *)o + numbers[i].offset);
}

static gr_status check_numbers(const char *who, int has, gr_region_options *o)
{
    for (int i = 0; i < GR_COUNT(numbers); i++) {
        const double x = *number_at(o, i);
        if (!(has & numbers[i].group) && x != 0.0) return gr_fail(GR_ERR_OPTION, "%s: has no %s", who, numbers[i].name);
        if (gr_expect_number(who, numbers[i].name, x, 0.0, numbers[i].most)) return gr_last_status();
    }
    if (o->absent_classes && !(has & GR_HAS_ABSENT)) return gr_fail(GR_ERR_OPTION, "%s: has no absent_classes", who);
    return GR_OK;
}

static void fill_in(gr_region_options *o, int has)
{
    int given = 0;
    for (int i = 0; i < GR_COUNT(numbers); i++)
        if (o->as_given || *number_at(o, i) != 0.0) given |= numbers[i].group;
    for (int i = 0; i < GR_COUNT(numbers); i++)
        if (has & ~given & numbers[i].group) *number_at(o, i) = numbers[i].otherwise;
}

/* Losses of one number for each class. */
static bool has_classes(const gr_region_call *c)
{
    return c->o.region == GR_PER_PLANE || c->o.region == GR_PER_CLASS;
}

static gr_status check_class_weight(const gr_region_call *c)
{
    const gr_tensor *w = c->o.base.class_weight, *x = c->x;
    if (!w) return GR_OK;
    if (!has_classes(c))
        return gr_fail(GR_ERR_OPTION, "%s: a class_weight is for regions of one class: planes or classes", c->who);
    if (w->dtype != x->dtype)
        return gr_fail(GR_ERR_DTYPE, "%s: the class_weight is %s, the prediction %s", c->who,
                       gr_dtype_name(gr_type_of(w)), gr_dtype_name(gr_type_of(x)));
    if (w->rank != 1 || w->size != c->layout.c)
        return gr_fail(GR_ERR_SHAPE, "%s: the class_weight is %s, expected [%lld]", c->who, GR_SHAPE_TEXT(w),
                       (long long)c->layout.c);
    for (int64_t i = 0; i < w->size; i++)
        if (!(gr_element(w, i) >= 0.0))
            return gr_fail(GR_ERR_VALUE, "%s: the class_weight is %g at [%lld], expected 0 or more", c->who,
                           gr_element(w, i), (long long)i);
    return GR_OK;
}

gr_status gr_region_options_of(gr_region_call *c, gr_tape *t, const char *who, int has, gr_tensor *x, gr_tensor *y,
                               const gr_region_options *options)
{
    *c = (gr_region_call){.t = t, .who = who, .x = x, .y = y};
    if (options) c->o = *options;
    const gr_loss_options *base = &c->o.base;
    if (!t || !x || !y) return gr_fail_null(who, !t ? "tape" : !x ? "input 0" : "input 1");
    if (gr_expect_loss_options(who, GR_HAS_LOGITS | GR_HAS_CLASSES, base) || check_numbers(who, has, &c->o))
        return gr_last_status();
    fill_in(&c->o, has);
    c->attr =
        (gr_region_attr){.who = who,
                         .region = c->o.region,
                         .from_logits = base->from_logits,
                         .softmax = c->o.softmax,
                         .without_background = c->o.without_background,
                         .ignore = base->ignore,
                         .ignore_index = y->dtype == GR_F32 ? (double)(float)base->ignore_index : base->ignore_index};
    if (gr_expect_region_inputs(who, &c->attr, x, y, base->weight)) return gr_last_status();
    c->layout = gr_layout_of(x, c->o.region, c->o.without_background);
    if (base->reduction == GR_MEAN && x->size == 0)
        return gr_fail(GR_ERR_SHAPE, "%s: a mean over nothing: %s", who, GR_SHAPE_TEXT(x));
    return check_class_weight(c);
}

/* ---- Counting --------------------------------------------------------------------------------------------------- */

/* The k-th of the four counts. */
static gr_tensor *count_at(const gr_region_call *c, gr_tensor *counts, int k)
{
    int64_t shape[2];
    int rank = gr_region_shape(&c->layout, shape);
    return gr_reshape(c->t, gr_slice(c->t, counts, 0, k, k + 1), rank, shape);
}

gr_status gr_region_begin(gr_region_call *c, gr_tape *t, const char *who, int has, gr_tensor *x, gr_tensor *y,
                          const gr_region_options *options)
{
    if (gr_region_options_of(c, t, who, has, x, y, options)) return gr_last_status();
    gr_tensor *in[3] = {c->x, c->y, c->o.base.weight};
    gr_tensor *counts = gr_apply(c->t, &gr_op_soft_counts, in, in[2] ? 3 : 2, &c->attr);
    c->tp = count_at(c, counts, 0);
    c->fp = count_at(c, counts, 1);
    c->fn = count_at(c, counts, 2);
    c->tn = count_at(c, counts, 3);
    return c->tn ? GR_OK : gr_last_status();
}

gr_tensor *gr_soft_counts(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_region_options *options)
{
    gr_region_call c;
    gr_region_options o = options ? *options : (gr_region_options){0};
    if (o.base.reduction != GR_MEAN) return gr_fail(GR_ERR_OPTION, "soft_counts: has no reduction"), NULL;
    if (o.base.class_weight) return gr_fail(GR_ERR_OPTION, "soft_counts: has no class_weight"), NULL;
    o.base.reduction = GR_NONE; /* counts of nothing are 0 */
    if (gr_region_options_of(&c, t, "soft_counts", 0, p, y, &o)) return NULL;
    gr_tensor *in[3] = {p, y, o.base.weight};
    return gr_apply(t, &gr_op_soft_counts, in, in[2] ? 3 : 2, &c.attr);
}

gr_tensor *gr_region_filled(const gr_region_call *c)
{
    if (!c->attr.ignore && !c->o.base.weight) return NULL;
    return gr_add(c->t, gr_add(c->t, c->tp, c->fp), gr_add(c->t, c->fn, c->tn));
}

/* ---- Reducing --------------------------------------------------------------------------------------------------- */

static gr_tensor *class_weight(const gr_region_call *c)
{
    gr_tensor *w = c->o.base.class_weight;
    return c->layout.first ? gr_slice(c->t, w, 0, c->layout.first, c->layout.c) : w;
}

gr_tensor *gr_region_reduce(const gr_region_call *c, gr_tensor *l, gr_tensor *filled)
{
    gr_tape *t = c->t;
    if (!l) return NULL;
    gr_tensor *there = filled ? gr_greater(t, filled, gr_constant(t, gr_type_of(l), 0.0)) : NULL;
    if (c->o.base.class_weight) l = gr_mul(t, l, class_weight(c));
    if (c->o.base.reduction == GR_NONE) return l;
    if (there) l = gr_mul(t, l, there);
    if (c->o.base.reduction == GR_MEAN && !there) return gr_mean(t, l, GR_ALL_AXES, false);
    gr_tensor *sum = gr_sum(t, l, GR_ALL_AXES, false);
    if (c->o.base.reduction == GR_SUM) return sum;
    gr_tensor *count = gr_maximum(t, gr_sum(t, there, GR_ALL_AXES, false), gr_constant(t, gr_type_of(l), 1.0));
    return gr_div(t, sum, count);
}
