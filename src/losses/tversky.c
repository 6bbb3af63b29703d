/* tversky.c: the Tversky loss, Eq. 18, focal Tversky, Eq. 19, and the Jaccard loss, which is Tversky's at weights of 1:
 *
 *     1 - (TP + e) / (TP + b FP + (1-b) FN + e),
 *
 * with fp_weight for b and fn_weight for 1-b. */
#include "regions.h"

/* 1 - TI = (b FP + (1-b) FN) / (b FP + (1-b) FN + TP + e) */
static gr_tensor *tversky(const gr_region_call *c)
{
    gr_tape *t = c->t;
    gr_tensor *wrong = gr_add(t, gr_scale(t, c->fp, c->o.fp_weight), gr_scale(t, c->fn, c->o.fn_weight));
    return gr_share(t, wrong, gr_shift(t, c->tp, c->o.epsilon), 0.0);
}

gr_tensor *gr_tversky(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_region_options *options)
{
    gr_region_call c;
    if (gr_region_begin(&c, t, "tversky", GR_HAS_EPSILON | GR_HAS_SIDES, p, y, options)) return NULL;
    return gr_region_reduce(&c, tversky(&c), gr_region_filled(&c));
}

/* x^gamma for x of at least 0. The slope gamma x^(gamma-1) of a gamma below 1 has no bound towards 0; at 0 it is 0. */
static gr_tensor *power(gr_tape *t, gr_tensor *x, double gamma)
{
    if (gamma == 0.0 || gamma >= 1.0) return gr_pow_scalar(t, x, gamma);
    gr_tensor *zero = gr_constant(t, gr_dtype_of(x), 0.0), *one = gr_constant(t, gr_dtype_of(x), 1.0);
    gr_tensor *right = gr_equal(t, x, zero);
    return gr_where(t, right, zero, gr_pow_scalar(t, gr_where(t, right, one, x), gamma));
}

gr_tensor *gr_focal_tversky(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_region_options *options)
{
    gr_region_call c;
    if (gr_region_begin(&c, t, "focal_tversky", GR_HAS_EPSILON | GR_HAS_SIDES | GR_HAS_GAMMA, p, y, options))
        return NULL;
    return gr_region_reduce(&c, power(t, tversky(&c), c.o.gamma), gr_region_filled(&c));
}

gr_tensor *gr_jaccard(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_region_options *options)
{
    gr_region_call c;
    if (gr_region_begin(&c, t, "jaccard", GR_HAS_EPSILON, p, y, options)) return NULL;
    c.o.fp_weight = c.o.fn_weight = 1.0;
    return gr_region_reduce(&c, tversky(&c), gr_region_filled(&c));
}
