/* bce.c: binary cross entropy, Eq. 5:  l = -(y log p + (1-y) log(1-p)), and from logits, with p = s(x),
 * l = (1-y) softplus(x) + y softplus(-x), softplus(x) = log(1 + e^x). */
#include "losses/samples.h"

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

static const gr_sample samples[] = {
    {.what = "mean of probabilities", .in = {GR_IN(0.05, 0.95, 3, 4), GR_IN(0.05, 0.95, 3, 4)}, GR_LOSS(0)},
    {.what = "sum of probabilities, soft targets",
     .in = {GR_IN(0.05, 0.95, 3, 4), GR_IN(0.05, 0.95, 3, 4)},
     GR_LOSS(.reduction = GR_SUM)},
    {.what = "none", .in = {GR_IN(0.05, 0.95, 5), GR_IN(0.05, 0.95, 5)}, GR_LOSS(.reduction = GR_NONE)},
    {.what = "mean of logits", .in = {GR_IN(-3, 3, 3, 4), GR_IN(0.05, 0.95, 3, 4)}, GR_LOSS(.from_logits = true)},
    {.what = "logits, soft targets, smoothed",
     .in = {GR_IN(-3, 3, 5), GR_IN(0.05, 0.95, 5)},
     GR_LOSS(.from_logits = true, .label_smoothing = 0.2, .reduction = GR_NONE)},
    {.what = "probabilities, smoothed",
     .in = {GR_IN(0.1, 0.9, 5), GR_IN(0.05, 0.95, 5)},
     GR_LOSS(.label_smoothing = 0.2)},
    {.what = "a weight for each",
     .n_in = 3,
     .in = {GR_IN(-3, 3, 6), GR_IN(0.05, 0.95, 6), GR_WEIGHTS(6)},
     GR_LOSS(.from_logits = true, .weighted = true)},
    {.what = "extreme logits",
     .in = {{.rank = 1, .shape = {5}, GR_VALUES(-1000, 1000, 40, -40, 100)}, GR_IN(0.3, 0.6, 5)},
     GR_LOSS(.from_logits = true, .reduction = GR_SUM)},
    {.what = "logits, the negatives ignored",
     .in = {GR_IN(-3, 3, 5), GR_BITS(5)},
     GR_LOSS(.from_logits = true, .ignore = true),
     .value_only = true},
    {.what = "certain and right",
     .in = {{.rank = 1, .shape = {3}, GR_VALUES(1, 0, 0)}, GR_BITS(3)},
     GR_LOSS(0),
     .value_only = true},
    {.what = "logits for probabilities",
     .in = {{.rank = 2, .shape = {2, 2}, GR_VALUES(0, 3.25, 0.5, 1)}, GR_BITS(2, 2)},
     GR_LOSS(0),
     .refused = "prediction 3.25 at [0,1] is outside [0,1]; are these logits?"},
    {.what = "a target outside",
     .in = {GR_IN(0, 1, 3), {.rank = 1, .shape = {3}, GR_VALUES(0, 1, -1)}},
     GR_LOSS(0),
     .refused = "target -1 at [2]"},
    {.what = "a column against a vector",
     .in = {GR_IN(0, 1, 3), GR_BITS(3, 1)},
     GR_LOSS(0),
     .refused = "the prediction is [3], the target [3,1]"},
};

static const gr_sample slope_samples[] = {
    {.what = "probabilities", .in = {GR_IN(0.1, 0.9, 3, 4), GR_IN(0.05, 0.95, 3, 4)}, GR_LOSS(0)},
    {.what = "logits", .in = {GR_IN(-3, 3, 3, 4), GR_IN(0.05, 0.95, 3, 4)}, GR_LOSS(.from_logits = true)},
    {.what = "probabilities, smoothed",
     .in = {GR_IN(0.1, 0.9, 5), GR_IN(0.05, 0.95, 5)},
     GR_LOSS(.label_smoothing = 0.2)},
    {.what = "logits, smoothed",
     .in = {GR_IN(-3, 3, 5), GR_IN(0.05, 0.95, 5)},
     GR_LOSS(.from_logits = true, .label_smoothing = 0.2)},
    {.what = "shapes that differ", .in = {GR_IN(0, 1, 3, 4), GR_BITS(4)}, GR_LOSS(0), .refused = "shapes differ"},
};

const gr_op gr_op_bce = {
    .name = "bce",
    .formula = "l = -(y log p + (1-y) log(1-p))",
    .gradient = "dp = g ((1-y)/(1-p) - y/p), from logits dx = g ((1-y) s(x) - y s(-x)); dy = g (log(1-p) - log p)",
    GR_POINTWISE(bce),
    .vjp = {bce_p, bce_y},
    GR_SAMPLES(samples)};
const gr_op gr_op_bce_slope = {.name = "bce_slope",
                               .formula = "d = (1-y)/(1-p) - y/p",
                               .gradient = "dp = g ((1-y)/(1-p)^2 + y/p^2), dy = -g / (p (1-p))",
                               GR_POINTWISE_SLOPE(bce),
                               .vjp = {bce_slope_p, bce_slope_y},
                               GR_SAMPLES(slope_samples)};

gr_tensor *gr_bce(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_loss_options *options)
{
    return gr_loss_apply(t, &gr_op_bce, GR_HAS_LOGITS | GR_HAS_SMOOTHING, p, y, options, 0.0, 0.0);
}
