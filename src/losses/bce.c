/* bce.c: binary cross entropy, Eq. 5:  l = -(y log p + (1-y) log(1-p)), and from logits, with p = s(x),
 * l = (1-y) softplus(x) + y softplus(-x), softplus(x) = log(1 + e^x). */
#include "losses/loss_kit.h"

#define GR_KERNEL_FILE "losses/bce.kernels.inc"
#include "tensor/kernel.h"

/* dl/dp = (1-y)/(1-p) - y/p,  dl/dx = (1-y) s(x) - y s(-x) */
static gr_tensor *bce_p(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_pointwise_vjp(t, n, g, &gr_op_bce_slope);
}

/* dl/dy = log(1-p) - log p = -x, times what smoothing leaves of y */
static gr_tensor *bce_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const gr_loss_attr *attr = gr_loss_attr_of(n);
    gr_tensor *p = n->in[0], *d;
    if (attr->from_logits) d = gr_neg(t, p);
    else d = gr_sub(t, gr_log_complement(t, p), gr_safe_log(t, p));
    return gr_loss_scaled(t, n, g, gr_scale(t, d, 1.0 - attr->label_smoothing));
}

/* The smoothed target, (1-s) y + s/2. */
static gr_tensor *smoothed(gr_tape *t, const gr_node *n)
{
    double s = gr_loss_attr_of(n)->label_smoothing;
    return s == 0.0 ? n->in[1] : gr_shift(t, gr_scale(t, n->in[1], 1.0 - s), s / 2.0);
}

/* d2l/dp2 = (1-y)/(1-p)^2 + y/p^2,  d2l/dx2 = s(x) s(-x) */
static gr_tensor *bce_slope_p(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_tensor *p = n->in[0], *y = smoothed(t, n);
    if (gr_loss_attr_of(n)->from_logits) return gr_mul(t, g, gr_mul(t, gr_sigmoid(t, p), gr_sigmoid(t, gr_neg(t, p))));
    gr_tensor *p1 = gr_not_zero(t, p), *q1 = gr_not_zero(t, gr_complement(t, p));
    return gr_mul(t, g, gr_add(t, gr_div(t, gr_div(t, gr_complement(t, y), q1), q1), gr_div(t, gr_div(t, y, p1), p1)));
}

/* d2l/dp dy = -1/(1-p) - 1/p = -1/(p (1-p)),  d2l/dx dy = -1 */
static gr_tensor *bce_slope_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_tensor *p = n->in[0];
    g = gr_scale(t, g, gr_loss_attr_of(n)->label_smoothing - 1.0);
    return gr_loss_attr_of(n)->from_logits ? g : gr_div(t, g, gr_mul(t, p, gr_complement(t, p)));
}

const gr_op gr_op_bce = {
    .name = "bce",
    .formula = "l = -(y log p + (1-y) log(1-p))",
    .gradient = "dp = g ((1-y)/(1-p) - y/p), from logits dx = g ((1-y) s(x) - y s(-x)); dy = g (log(1-p) - log p)",
    GR_POINTWISE(bce),
    .vjp = {bce_p, bce_y}};
const gr_op gr_op_bce_slope = {.name = "bce_slope",
                               .formula = "d = (1-y)/(1-p) - y/p",
                               .gradient = "dp = g ((1-y)/(1-p)^2 + y/p^2), dy = -g / (p (1-p))",
                               GR_POINTWISE_SLOPE(bce),
                               .vjp = {bce_slope_p, bce_slope_y}};

gr_tensor *gr_bce(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_loss_options *options)
{
    return gr_loss_apply(t, &gr_op_bce, GR_HAS_LOGITS | GR_HAS_SMOOTHING, p, y, options, 0.0, 0.0);
}
