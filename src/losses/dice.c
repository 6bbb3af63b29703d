/* dice.c: the Dice loss, Eq. 17, and what is made of it: generalised Dice (Sudre et al., 2017), log cosh Dice (Jadon,
 * 2020), and Dice beside a loss of pixels.
 *
 *     1 - (2 TP + e) / (sum p + sum y + e) = (FP + FN) / (FP + FN + 2 TP + e)
 *
 * since sum p = TP + FP and sum y = TP + FN. */
#include <math.h>

#include "regions.h"

static gr_tensor *dice(const gr_region_call *c)
{
    gr_tape *t = c->t;
    return gr_share(t, gr_add(t, c->fp, c->fn), gr_shift(t, gr_scale(t, c->tp, 2.0), c->o.epsilon), 0.0);
}

gr_tensor *gr_dice(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_region_options *options)
{
    gr_region_call c;
    if (gr_region_begin(&c, t, "dice", GR_HAS_EPSILON, p, y, options)) return NULL;
    return gr_region_reduce(&c, dice(&c), gr_region_filled(&c));
}

/* log cosh d = log(1 + 2 sinh^2(d/2)), and with f = e^(d/2) - 1, sinh(d/2) = (f + f/(1+f)) / 2: nothing cancels near 0.
 */
static gr_tensor *log_cosh(gr_tape *t, gr_tensor *d)
{
    gr_tensor *f = gr_expm1(t, gr_scale(t, d, 0.5));
    gr_tensor *sinh = gr_scale(t, gr_add(t, f, gr_div(t, f, gr_shift(t, f, 1.0))), 0.5);
    return gr_log1p(t, gr_scale(t, gr_square(t, sinh), 2.0));
}

gr_tensor *gr_log_cosh_dice(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_region_options *options)
{
    gr_region_call c;
    if (gr_region_begin(&c, t, "log_cosh_dice", GR_HAS_EPSILON, p, y, options)) return NULL;
    return gr_region_reduce(&c, log_cosh(t, dice(&c)), gr_region_filled(&c));
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
    gr_tensor *weight = gr_region_weight(c->t, &c->attr, c->x, c->y, c->o.base.weight);
    return gr_sum_regions(c->t, &c->layout, gr_weighed(c->t, gr_region_target(c->t, &c->attr, c->x, c->y), weight));
}

gr_tensor *gr_generalised_dice(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_region_options *options)
{
    gr_region_call c;
    if (options && options->region != GR_PER_PLANE && options->region != GR_PER_CLASS)
        return gr_fail(GR_ERR_OPTION, "generalised_dice: combines classes: its regions are planes or classes"), NULL;
    if (gr_region_begin(&c, t, "generalised_dice", GR_HAS_EPSILON, p, y, options)) return NULL;
    const int axis = c.o.region == GR_PER_PLANE ? 1 : 0;
    gr_tensor *v = class_sizes_to_weights(t, class_sizes(&c), axis), *class_weight = c.o.base.class_weight;
    if (class_weight && c.layout.first) class_weight = gr_slice(t, class_weight, 0, c.layout.first, c.layout.c);
    if (class_weight) v = gr_mul(t, v, class_weight);
    gr_tensor *wrong = gr_sum(t, gr_mul(t, v, gr_add(t, c.fp, c.fn)), GR_AXES(axis), false);
    gr_tensor *right = gr_sum(t, gr_mul(t, v, gr_scale(t, c.tp, 2.0)), GR_AXES(axis), false);
    gr_tensor *filled = gr_region_filled(&c);
    if (filled) filled = gr_sum(t, filled, GR_AXES(axis), false);
    c.o.base.class_weight = NULL; /* is in v */
    return gr_region_reduce(&c, gr_share(t, wrong, gr_shift(t, right, c.o.epsilon), 0.0), filled);
}

/* ---- Beside a loss of pixels ------------------------------------------------------------------------------------ */

static gr_status begin_sum(gr_region_call *c, gr_tape *t, const char *who, int has, gr_tensor *p, gr_tensor *y,
                           const gr_region_options *o)
{
    if (gr_region_begin(c, t, who, GR_HAS_EPSILON | GR_HAS_MIX | has, p, y, o)) return gr_last_status();
    if (c->o.base.reduction == GR_NONE)
        return gr_fail(GR_ERR_OPTION, "%s: a loss of regions and one of pixels have no sum before they are reduced",
                       who);
    return GR_OK;
}

/* Dice + mix * pixels */
static gr_tensor *sum(const gr_region_call *c, gr_tensor *pixels)
{
    return gr_add(c->t, gr_region_reduce(c, dice(c), gr_region_filled(c)), gr_scale(c->t, pixels, c->o.mix));
}

/* The options of a loss of two classes: weights of pixels become those of elements, classes have none. */
static gr_loss_options by_element(const gr_region_call *c)
{
    gr_loss_options o = c->o.base;
    o.class_weight = NULL;
    if (o.weight && !gr_same_shape(o.weight, c->x))
        o.weight = gr_broadcast_to(c->t, gr_over_pixels(c->t, c->x, o.weight), c->x->rank, c->x->shape);
    return o;
}

gr_tensor *gr_dice_bce(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_region_options *options)
{
    gr_region_call c;
    if (begin_sum(&c, t, "dice_bce", 0, p, y, options)) return NULL;
    gr_loss_options o = by_element(&c);
    return sum(&c, gr_bce(t, p, y, &o));
}

gr_tensor *gr_dice_ce(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_region_options *options)
{
    gr_region_call c;
    gr_region_options o = options ? *options : (gr_region_options){0};
    o.softmax = o.base.from_logits;
    if (begin_sum(&c, t, "dice_ce", 0, p, y, &o)) return NULL;
    return sum(&c, gr_cross_entropy(t, p, y, &c.o.base));
}

gr_tensor *gr_dice_focal(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_region_options *options)
{
    gr_region_call c;
    gr_region_options o = options ? *options : (gr_region_options){0};
    const double gamma = o.gamma;
    if (begin_sum(&c, t, "dice_focal", GR_HAS_ALPHA | GR_HAS_GAMMA, p, y, &o)) return NULL;
    gr_focal_options focal = {.base = by_element(&c), .alpha = c.o.alpha, .gamma = gamma, .as_given = c.o.as_given};
    return sum(&c, gr_focal(t, p, y, &focal));
}
