/* bce.c: binary cross entropy, Eq. 5:  l = -(y log p + (1-y) log(1-p)), and from logits, with p = s(x),
 * l = (1-y) softplus(x) + y softplus(-x), softplus(x) = log(1 + e^x). */
#include "losses/loss_kit.h"

#define GR_KERNEL_FILE "losses/bce.kernels.inc"
#include "tensor/kernel.h"

/* dl/dp = (1-y)/(1-p) - y/p,  dl/dx = (1-y) s(x) - y s(-x), y being smoothed: (1-s) y + s/2 */
static gr_tensor *bce_p(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    if (gr_takes_shortcut(t)) return gr_times_cotangent(t, n->saved, g);
    const double s = gr_loss_attr_of(n)->label_smoothing;
    gr_tensor *y = s == 0.0 ? n->in[1] : gr_shift(t, gr_scale(t, n->in[1], 1.0 - s), s / 2.0);
    return gr_loss_scaled(t, n, g, gr_two_class_slope(t, n, y, gr_complement(t, y)));
}

/* dl/dy = log(1-p) - log p = -x, times what smoothing leaves of y */
static gr_tensor *bce_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const gr_loss_attr *attr = gr_loss_attr_of(n);
    gr_tensor *d = attr->from_logits ? gr_neg(t, n->in[0]) : gr_sub(t, gr_log_q(t, n), gr_log_p(t, n));
    return gr_loss_scaled(t, n, g, gr_weighed_by(t, 1.0 - attr->label_smoothing, d));
}

const gr_op gr_op_bce = {
    GR_NAMED(bce, "l = -(y log p + (1-y) log(1-p))",
             "dp = g ((1-y)/(1-p) - y/p), from logits dx = g ((1-y) s(x) - y s(-x)); dy = g (log(1-p) - log p)"),
    GR_POINTWISE(bce), .vjp = {bce_p, bce_y}};

gr_tensor *gr_bce(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_loss_options *options)
{
    return gr_loss_apply(t, &gr_op_bce, GR_HAS_LOGITS | GR_HAS_SMOOTHING, p, y, options, NULL);
}
