/* dice.c: the Dice loss, Eq. 17, and what is made of it: generalised Dice (Sudre et al., 2017), log cosh Dice (Jadon,
 * 2020), and Dice beside a loss of pixels.
 *
 *     1 - (2 TP + e) / (sum p + sum y + e) = (FP + FN) / (FP + FN + 2 TP + e)
 *
 * since sum p = TP + FP and sum y = TP + FN. */
#include <math.h>

#include "losses/regions.h"

/* Of each region; NULL with an error. */
static gr_tensor *dice_losses(gr_region_call *c, gr_tape *t, const char *who, gr_tensor *p, gr_tensor *y,
                              gr_overlap_options o)
{
    if (gr_complete_epsilon(who, &o.epsilon, o.unsmoothed) || gr_region_begin(c, t, who, p, y, &o.base)) return NULL;
    return gr_ratio(t, gr_add(t, c->fp, c->fn), gr_shift(t, gr_scale(t, c->tp, 2.0), o.epsilon), 0.0);
}

gr_tensor *gr_dice(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_overlap_options *options)
{
    gr_region_call c;
    const gr_overlap_options o = options ? *options : (gr_overlap_options){0};
    return gr_region_reduce(&c, dice_losses(&c, t, "dice", p, y, o));
}

/* log cosh d = log(1 + 2 sinh^2(d/2)), with f = e^(d/2) - 1, sinh(d/2) = (f + f/(1+f)) / 2: nothing cancels near 0. */
static gr_tensor *log_cosh(gr_tape *t, gr_tensor *d)
{
    gr_tensor *f = gr_expm1(t, gr_scale(t, d, 0.5));
    gr_tensor *sinh = gr_scale(t, gr_add(t, f, gr_div(t, f, gr_shift(t, f, 1.0))), 0.5);
    return gr_log1p(t, gr_scale(t, gr_square(t, sinh), 2.0));
}

gr_tensor *gr_log_cosh_dice(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_overlap_options *options)
{
    gr_region_call c;
    const gr_overlap_options o = options ? *options : (gr_overlap_options){0};
    return gr_region_reduce(&c, log_cosh(t, dice_losses(&c, t, "log_cosh_dice", p, y, o)));
}

/* ---- Generalised Dice ------------------------------------------------------------------------------------------ */

/* v = (r / max(R, r))^2 for classes of sizes R, along `axis`: Sudre's 1/R^2 times r^2, r the smallest size that
 * is not 0. A ratio does not notice the factor; epsilon does, and means elements of the rarest class. */
static gr_tensor *class_sizes_to_weights(gr_tape *t, gr_tensor *size, int axis)
{
    const gr_dtype dtype = gr_dtype_of(size);
    gr_tensor *zero = gr_constant(t, dtype, 0.0), *infinite = gr_constant(t, dtype, (double)INFINITY);
    gr_tensor *smallest = gr_min(t, gr_where(t, gr_greater(t, size, zero), size, infinite), GR_AXES(axis), true);
    smallest = gr_where(t, gr_equal(t, smallest, infinite), gr_constant(t, dtype, 1.0), smallest);
    return gr_square(t, gr_div(t, smallest, gr_maximum(t, size, smallest)));
}

/* R, the weighted sum of y. TP + FN is that too, but rounded as the prediction has it: equal sizes would not stay
 * equal. */
static gr_tensor *class_sizes(const gr_region_call *c)
{
    gr_tensor *target = gr_region_target(c->t, &c->attr, c->x, c->y);
    return gr_sum_regions(c->t, &c->layout, gr_region_weighed(c->t, &c->attr, c->x, c->y, c->o.weight, target));
}

gr_tensor *gr_generalised_dice(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_overlap_options *options)
{
    gr_region_call c;
    gr_overlap_options o = options ? *options : (gr_overlap_options){0};
    const char *who = "generalised_dice";
    if (o.base.region != GR_PER_PLANE && o.base.region != GR_PER_CLASS)
        return gr_fail(GR_ERR_OPTION, "%s: combines classes: expected .region GR_PER_PLANE or GR_PER_CLASS", who), NULL;
    if (gr_complete_epsilon(who, &o.epsilon, o.unsmoothed) || gr_region_begin(&c, t, who, p, y, &o.base)) return NULL;
    const int axis = o.base.region == GR_PER_PLANE ? 1 : 0;
    gr_tensor *v = gr_region_class_weighed(&c, class_sizes_to_weights(t, class_sizes(&c), axis)), *filled;
    gr_tensor *wrong = gr_sum(t, gr_mul(t, v, gr_add(t, c.fp, c.fn)), GR_AXES(axis), false);
    gr_tensor *right = gr_sum(t, gr_mul(t, v, gr_scale(t, c.tp, 2.0)), GR_AXES(axis), false);
    if (gr_region_filled(&c, &filled)) return NULL;
    if (filled && !(filled = gr_sum(t, filled, GR_AXES(axis), false))) return NULL;
    c.o.class_weight = NULL; /* is in v */
    return gr_region_reduce_over(&c, gr_ratio(t, wrong, gr_shift(t, right, o.epsilon), 0.0), filled);
}

/* ---- Compound losses: Dice + mix * a loss of pixels ------------------------------------------------------------- */

/* The first summand, and o->mix with its default in place; NULL with an error. */
static gr_tensor *compound_dice(gr_region_call *c, gr_tape *t, const char *who, gr_tensor *p, gr_tensor *y,
                                gr_compound_options *o)
{
    if (gr_expect_not_negative(who, "mix", o->mix)) return NULL;
    if (o->base.reduction == GR_NONE)
        return gr_fail(GR_ERR_OPTION, "%s: .reduction GR_NONE cannot add losses of regions and of pixels", who), NULL;
    if (o->mix == 0.0) o->mix = 1.0;
    const gr_overlap_options overlap = {o->base, o->epsilon, o->unsmoothed};
    return gr_region_reduce(c, dice_losses(c, t, who, p, y, overlap));
}

/* The options of the second. A loss of two classes has no class weights, and a weight for each element. */
static gr_loss_options pixel_options(const gr_region_call *c, bool two_classes)
{
    const gr_region_options *r = &c->o;
    gr_loss_options o = {.reduction = r->reduction,
                         .from_logits = r->from_logits,
                         .weight = r->weight,
                         .class_weight = two_classes ? NULL : r->class_weight,
                         .ignore = r->ignore,
                         .ignore_index = r->ignore_index};
    if (two_classes && o.weight && !gr_same_shape(o.weight, c->x))
        o.weight = gr_as_wide(c->t, gr_over_classes(c->t, c->x, o.weight), c->x->rank, c->x->shape);
    return o;
}

gr_tensor *gr_dice_bce(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_compound_options *options)
{
    gr_region_call c;
    gr_compound_options o = options ? *options : (gr_compound_options){0};
    gr_tensor *dice = compound_dice(&c, t, "dice_bce", p, y, &o);
    if (!dice) return NULL;
    const gr_loss_options pixels = pixel_options(&c, true);
    return gr_add(t, dice, gr_scale(t, gr_bce(t, p, y, &pixels), o.mix));
}

gr_tensor *gr_dice_ce(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_compound_options *options)
{
    gr_region_call c;
    gr_compound_options o = options ? *options : (gr_compound_options){0};
    o.base.softmax = o.base.from_logits;
    gr_tensor *dice = compound_dice(&c, t, "dice_ce", p, y, &o);
    if (!dice) return NULL;
    const gr_loss_options pixels = pixel_options(&c, false);
    return gr_add(t, dice, gr_scale(t, gr_cross_entropy(t, p, y, &pixels), o.mix));
}

gr_tensor *gr_dice_focal(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_dice_focal_options *options)
{
    gr_region_call c;
    const gr_dice_focal_options o = options ? *options : (gr_dice_focal_options){0};
    gr_compound_options compound = {o.base, o.epsilon, o.unsmoothed, o.mix};
    if (gr_expect_number("dice_focal", "alpha", o.alpha, 0.0, 1.0) ||
        gr_expect_not_negative("dice_focal", "gamma", o.gamma))
        return NULL;
    gr_tensor *dice = compound_dice(&c, t, "dice_focal", p, y, &compound);
    if (!dice) return NULL;
    const gr_focal_options focal = {.base = pixel_options(&c, true), .alpha = o.alpha, .gamma = o.gamma};
    return gr_add(t, dice, gr_scale(t, gr_focal(t, p, y, &focal), compound.mix));
}
