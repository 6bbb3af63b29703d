/* region_loss.c: what losses of regions do alike: read the options, count, weigh classes, reduce. */
#include <math.h>

#include "losses/regions.h"

/* ---- Options ------------------------------------------------------------------------------------------------ */

gr_status gr_expect_not_negative(const char *who, const char *what, double x)
{
    return gr_expect_number(who, what, x, 0.0, (double)INFINITY);
}

gr_status gr_complete_epsilon(const char *who, double *epsilon, bool unsmoothed)
{
    if (gr_expect_not_negative(who, "epsilon", *epsilon)) return gr_last_status();
    if (unsmoothed && *epsilon != 0.0)
        return gr_fail(GR_ERR_OPTION, "%s: epsilon is %s, but unsmoothed", who, GR_NUMBER_TEXT(*epsilon));
    if (*epsilon == 0.0 && !unsmoothed) *epsilon = 1.0;
    return GR_OK;
}

static gr_status expect_class_weight(const gr_region_call *c)
{
    if (!c->o.class_weight) return GR_OK;
    if (!c->layout.by_class)
        return gr_fail(GR_ERR_OPTION,
                       "%s: a class_weight is for regions of one class: .region GR_PER_PLANE or GR_PER_CLASS", c->who);
    const gr_op named = {.name = c->who}; /* for the message */
    const gr_node call = {.op = &named, .in = &c->x};
    return gr_expect_weight(&call, c->o.class_weight, "class_weight", 1, &c->x->shape[1]);
}

gr_status gr_region_options_of(gr_region_call *c, gr_tape *t, const char *who, gr_tensor *x, gr_tensor *y,
                               const gr_region_options *options)
{
    const gr_region_options o = options ? *options : (gr_region_options){0};
    *c = (gr_region_call){.t = t, .who = who, .o = o, .x = x, .y = y};
    if (gr_expect_inputs(who, t, (gr_tensor *[]){x, y, o.weight, o.class_weight}, 2, 2) ||
        gr_expect_constant(who, t, o.weight, 2))
        return gr_last_status();
    if (gr_expect_loss_options(who, 0, &(gr_loss_options){.reduction = o.reduction})) return gr_last_status();
    if (gr_expect_ignore_index(who, y, o.ignore, o.ignore_index)) return gr_last_status();
    c->attr = (gr_region_attr){.who = who,
                               .region = o.region,
                               .from_logits = o.from_logits,
                               .softmax = o.softmax,
                               .without_background = o.without_background,
                               .ignore = o.ignore,
                               .ignore_index = y->dtype == GR_F32 ? (double)(float)o.ignore_index : o.ignore_index};
    if (gr_expect_region_inputs(who, &c->attr, x, y, o.weight)) return gr_last_status();
    c->layout = gr_region_layout(x, o.region, o.without_background);
    if (o.reduction == GR_MEAN && x->size == 0)
        return gr_fail(GR_ERR_SHAPE, "%s: a mean over nothing: %s", who, GR_SHAPE_TEXT(x));
    return expect_class_weight(c);
}

/* ---- Counting --------------------------------------------------------------------------------------------------- */

static gr_tensor *soft_counts_of(const gr_region_call *c)
{
    gr_tensor *in[3] = {c->x, c->y, c->o.weight};
    return gr_apply(c->t, &gr_op_soft_counts, in, in[2] ? 3 : 2, &c->attr);
}

gr_tensor *gr_soft_counts(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_region_options *options)
{
    gr_region_call c;
    gr_region_options o = options ? *options : (gr_region_options){0};
    if (o.reduction != GR_MEAN) return gr_fail(GR_ERR_OPTION, "soft_counts: has no reduction"), NULL;
    if (o.class_weight) return gr_fail(GR_ERR_OPTION, "soft_counts: has no class_weight"), NULL;
    o.reduction = GR_NONE; /* counts of nothing are 0 */
    return gr_region_options_of(&c, t, "soft_counts", p, y, &o) ? NULL : soft_counts_of(&c);
}

/* The k-th of the four counts. */
static gr_tensor *count_at(const gr_region_call *c, gr_tensor *counts, int k)
{
    int64_t shape[2];
    int rank = gr_region_shape(&c->layout, shape);
    return gr_as_shape(c->t, gr_slice(c->t, counts, 0, k, k + 1), rank, shape);
}

gr_status gr_region_begin(gr_region_call *c, gr_tape *t, const char *who, gr_tensor *x, gr_tensor *y,
                          const gr_region_options *options)
{
    if (gr_region_options_of(c, t, who, x, y, options)) return gr_last_status();
    gr_tensor *counts = soft_counts_of(c);
    c->tp = count_at(c, counts, 0);
    c->fp = count_at(c, counts, 1);
    c->fn = count_at(c, counts, 2);
    c->tn = count_at(c, counts, 3);
    return c->tn ? GR_OK : gr_last_status();
}

gr_status gr_region_filled(const gr_region_call *c, gr_tensor **filled)
{
    *filled = NULL;
    if (!c->attr.ignore && !c->o.weight && c->x->size > 0) return GR_OK;
    *filled = gr_add(c->t, gr_add(c->t, c->tp, c->fp), gr_add(c->t, c->fn, c->tn));
    return *filled ? GR_OK : gr_last_status();
}

/* ---- Reducing --------------------------------------------------------------------------------------------------- */

gr_tensor *gr_region_class_weighed(const gr_region_call *c, gr_tensor *numbers)
{
    gr_tensor *w = c->o.class_weight;
    if (!w) return numbers;
    if (c->layout.first) w = gr_slice(c->t, w, 0, c->layout.first, c->layout.c);
    return gr_weighed(c->t, w, numbers);
}

gr_tensor *gr_region_reduce_over(const gr_region_call *c, gr_tensor *l, gr_tensor *filled)
{
    gr_tape *t = c->t;
    if (!l) return NULL;
    const gr_dtype dtype = gr_type_of(l);
    gr_tensor *there = filled ? gr_greater(t, filled, gr_constant(t, dtype, 0.0)) : NULL;
    l = gr_region_class_weighed(c, l);
    if (filled) l = gr_weighed(t, there, l);
    if (c->o.reduction == GR_NONE) return l;
    if (c->o.reduction == GR_MEAN && !filled) return gr_mean(t, l, GR_ALL_AXES, false);
    gr_tensor *sum = gr_sum(t, l, GR_ALL_AXES, false);
    if (c->o.reduction == GR_SUM) return sum;
    gr_tensor *count = gr_maximum(t, gr_sum(t, there, GR_ALL_AXES, false), gr_constant(t, dtype, 1.0));
    return gr_div(t, sum, count);
}

gr_tensor *gr_region_reduce(const gr_region_call *c, gr_tensor *l)
{
    gr_tensor *filled;
    return l && !gr_region_filled(c, &filled) ? gr_region_reduce_over(c, l, filled) : NULL;
}
