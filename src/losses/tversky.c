/* tversky.c: the Tversky loss, Eq. 18, focal Tversky, Eq. 19, and the Jaccard loss, which is Tversky's at weights of 1:
 *
 *     1 - TI = 1 - (TP + e) / (TP + b FP + (1-b) FN + e) = (b FP + (1-b) FN) / (b FP + (1-b) FN + TP + e),
 *
 * with fp_weight for b and fn_weight for 1-b. */
#include "losses/regions.h"

/* 1 - TI of each region; NULL with an error. */
static gr_tensor *tversky_losses(gr_region_call *c, gr_tape *t, const char *who, gr_tensor *p, gr_tensor *y,
                                 gr_tversky_options o)
{
    if (gr_complete_epsilon(who, &o.epsilon, o.unsmoothed) || gr_expect_not_negative(who, "fp_weight", o.fp_weight) ||
        gr_expect_not_negative(who, "fn_weight", o.fn_weight) || gr_region_begin(c, t, who, p, y, &o.base))
        return NULL;
    if (o.fp_weight == 0.0 && o.fn_weight == 0.0) o.fp_weight = o.fn_weight = 0.5;
    gr_tensor *wrong = gr_add(t, gr_scale(t, c->fp, o.fp_weight), gr_scale(t, c->fn, o.fn_weight));
    return gr_ratio(t, wrong, gr_shift(t, c->tp, o.epsilon), 0.0);
}

gr_tensor *gr_tversky(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_tversky_options *options)
{
    gr_region_call c;
    const gr_tversky_options o = options ? *options : (gr_tversky_options){0};
    return gr_region_reduce(&c, tversky_losses(&c, t, "tversky", p, y, o));
}

gr_tensor *gr_jaccard(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_overlap_options *options)
{
    gr_region_call c;
    const gr_overlap_options o = options ? *options : (gr_overlap_options){0};
    const gr_tversky_options ones = {o.base, o.epsilon, o.unsmoothed, 1.0, 1.0};
    return gr_region_reduce(&c, tversky_losses(&c, t, "jaccard", p, y, ones));
}

/* x^gamma for x of at least 0. The slope gamma x^(gamma-1) of a gamma below 1 has no bound towards 0; at 0 it is 0. */
static gr_tensor *power_of_loss(gr_tape *t, gr_tensor *x, double gamma)
{
    if (!x || gamma >= 1.0) return gr_pow_scalar(t, x, gamma);
    gr_tensor *zero = gr_constant(t, gr_dtype_of(x), 0.0), *one = gr_constant(t, gr_dtype_of(x), 1.0);
    gr_tensor *right = gr_equal(t, x, zero);
    return gr_where(t, right, zero, gr_pow_scalar(t, gr_where(t, right, one, x), gamma));
}

gr_tensor *gr_focal_tversky(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_focal_tversky_options *options)
{
    gr_region_call c;
    const gr_focal_tversky_options o = options ? *options : (gr_focal_tversky_options){0};
    const gr_tversky_options tversky = {o.base, o.epsilon, o.unsmoothed, o.fp_weight, o.fn_weight};
    if (gr_expect_not_negative("focal_tversky", "gamma", o.gamma)) return NULL;
    gr_tensor *losses = tversky_losses(&c, t, "focal_tversky", p, y, tversky);
    return gr_region_reduce(&c, power_of_loss(t, losses, o.gamma == 0.0 ? 0.75 : o.gamma));
}
