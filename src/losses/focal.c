/* focal.c: the focal loss, Eq. 14 (Lin et al., 2017): cross entropy that fades where the prediction is right.
 *
 *     l = -(alpha (1-p)^gamma y log p + (1-alpha) p^gamma (1-y) log(1-p))
 *
 * A power is taken through the logarithm that is there anyway, p^gamma = e^(gamma log p): from logits, with log p =
 * -softplus(-x), that is exact however small p is, and it is 1 where gamma is 0. */
#include "losses/loss_kit.h"

#include <gradus/segmentation.h>

#define GR_KERNEL_FILE "losses/focal.kernels.inc"
#include "tensor/kernel.h"

/* One side of the loss: log p, (1-p)^gamma, and the slope of -(1-p)^gamma log p; with `complement`, of 1-p for p. */
typedef struct focal_side {
    gr_tensor *log, *power, *slope;
} focal_side;

/* dx: -(1-p)^gamma ((1-p) - gamma p log p),  dp: gamma (1-p)^(gamma-1) log p - (1-p)^gamma / p */
static focal_side focal_side_of(gr_tape *t, const gr_node *n, bool complement)
{
    const double gamma = gr_loss_attr_of(n)->gamma;
    gr_tensor *x = n->in[0];
    focal_side s = {.log = complement ? gr_log_q(t, n) : gr_log_p(t, n)};
    if (gr_loss_attr_of(n)->from_logits) {
        if (complement) x = gr_neg(t, x);
        gr_tensor *p = gr_probability(t, x), *q = gr_probability(t, gr_neg(t, x));
        s.power = gr_exp(t, gr_weighed_by(t, gamma, complement ? gr_log_p(t, n) : gr_log_q(t, n)));
        s.slope = gr_neg(t, gr_mul(t, s.power, gr_sub(t, q, gr_scale(t, gr_weighed(t, p, s.log), gamma))));
        return s;
    }
    gr_tensor *p = gr_not_zero(t, complement ? gr_complement(t, x) : x),
              *q = gr_not_zero(t, complement ? x : gr_complement(t, x));
    s.power = gr_pow_scalar(t, q, gamma);
    gr_tensor *by_power = gr_scale(t, gr_mul(t, gr_pow_scalar(t, q, gamma - 1.0), s.log), gamma);
    s.slope = gr_sub(t, by_power, gr_div(t, s.power, p));
    return s;
}

/* dl/dx = alpha y (slope of the side of positives) - (1-alpha) (1-y) (that of negatives, as a function of 1-p) */
static gr_tensor *focal_x(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    if (gr_takes_shortcut(t)) return gr_times_cotangent(t, n->saved, g);
    const double alpha = gr_loss_attr_of(n)->alpha;
    gr_tensor *y = n->in[1];
    gr_tensor *positive = gr_scale(t, gr_mul(t, y, focal_side_of(t, n, false).slope), alpha);
    gr_tensor *negative = gr_scale(t, gr_mul(t, gr_complement(t, y), focal_side_of(t, n, true).slope), 1.0 - alpha);
    return gr_loss_scaled(t, n, g, gr_sub(t, positive, negative));
}

/* dl/dy = (1-alpha) p^gamma log(1-p) - alpha (1-p)^gamma log p */
static gr_tensor *focal_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const double alpha = gr_loss_attr_of(n)->alpha;
    const focal_side positive = focal_side_of(t, n, false), negative = focal_side_of(t, n, true);
    return gr_loss_scaled(t, n, g,
                          gr_sub(t, gr_weighed_by(t, 1.0 - alpha, gr_weighed(t, negative.power, negative.log)),
                                 gr_weighed_by(t, alpha, gr_weighed(t, positive.power, positive.log))));
}

const gr_op gr_op_focal = {GR_NAMED(focal, "l = -(a (1-p)^c y log p + (1-a) p^c (1-y) log(1-p)), a = alpha, c = gamma",
                                    "dp = g (a y (1-p)^c (c log p / (1-p) - 1/p) + (1-a) (1-y) p^c (1/(1-p) - c "
                                    "log(1-p) / p)), from logits times p (1-p); "
                                    "dy = g ((1-a) p^c log(1-p) - a (1-p)^c log p)"),
                           GR_POINTWISE(focal), .vjp = {focal_x, focal_y}};

gr_tensor *gr_focal(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_focal_options *options)
{
    gr_focal_options o = options ? *options : (gr_focal_options){0};
    if (gr_expect_number("focal", "alpha", o.alpha, 0.0, 1.0) ||
        gr_expect_number("focal", "gamma", o.gamma, 0.0, (double)INFINITY))
        return NULL;
    if (o.alpha == 0.0 && !o.as_given) {
        o.alpha = 0.25;
        if (o.gamma == 0.0) o.gamma = 2.0;
    }
    gr_loss_attr attr = {.alpha = o.alpha, .gamma = o.gamma};
    return gr_loss_apply(t, &gr_op_focal, GR_HAS_LOGITS, p, y, &o.base, &attr);
}
