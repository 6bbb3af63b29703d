/* two_classes.c: what losses of two classes are made of, written with ops: the gradients that are differentiated again.
 * logit.inc is the same for kernels. */
#include "losses/loss_kit.h"

gr_tensor *gr_complement(gr_tape *t, gr_tensor *p) { return gr_shift(t, gr_neg(t, p), 1.0); }

/* Chosen, not clamped: where the choice is the constant, an infinite gradient is dropped, and not 0 times it, a NaN. */
gr_tensor *gr_not_zero(gr_tape *t, gr_tensor *p)
{
    gr_tensor *least = gr_constant(t, gr_dtype_of(p), gr_smallest_normal(gr_dtype_of(p)));
    return gr_where(t, gr_greater(t, least, p), least, p);
}

gr_tensor *gr_log_p(gr_tape *t, const gr_node *n)
{
    gr_tensor *p = n->in[0];
    return gr_loss_attr_of(n)->from_logits ? gr_log_sigmoid(t, p) : gr_log(t, gr_not_zero(t, p));
}

/* Rounding 1-p loses a small p: there it is log1p(-p). */
gr_tensor *gr_log_q(gr_tape *t, const gr_node *n)
{
    gr_tensor *p = n->in[0];
    if (gr_loss_attr_of(n)->from_logits) return gr_log_sigmoid(t, gr_neg(t, p));
    gr_tensor *half = gr_constant(t, gr_dtype_of(p), 0.5), *large = gr_greater(t, p, half);
    gr_tensor *small = gr_log1p(t, gr_neg(t, gr_where(t, large, half, p)));
    return gr_where(t, large, gr_log(t, gr_not_zero(t, gr_complement(t, p))), small);
}

/* Where s(x) rounds to 1 it is 1 - s(-x), whose derivative has all its digits. */
gr_tensor *gr_probability(gr_tape *t, gr_tensor *x)
{
    gr_tensor *zero = gr_constant(t, gr_dtype_of(x), 0.0), *of_minus = gr_sigmoid(t, gr_neg(t, x));
    return gr_where(t, gr_greater(t, x, zero), gr_complement(t, of_minus), gr_sigmoid(t, x));
}

gr_tensor *gr_two_class_slope(gr_tape *t, const gr_node *n, gr_tensor *positive, gr_tensor *negative)
{
    gr_tensor *p = n->in[0];
    if (gr_loss_attr_of(n)->from_logits)
        return gr_sub(t, gr_mul(t, negative, gr_probability(t, p)),
                      gr_mul(t, positive, gr_probability(t, gr_neg(t, p))));
    gr_tensor *of_negative = gr_div(t, negative, gr_not_zero(t, gr_complement(t, p))),
              *of_positive = gr_div(t, positive, gr_not_zero(t, p));
    const double most = 1.0 / gr_smallest_normal(gr_dtype_of(p));
    return gr_clamp(t, gr_sub(t, of_negative, of_positive), -most, most);
}
