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

/* One side of the loss as a function of p: log p, (1-p)^gamma, and the slope of -(1-p)^gamma log p. */
typedef struct side {
    gr_tensor *log, *power, *slope;
} side;

/* dx: -(1-p)^gamma ((1-p) - gamma p log p),  dp: -(1-p)^gamma (1/p - gamma log p / (1-p)) */
static side side_of(gr_tape *t, const gr_node *n, gr_tensor *p, bool complement)
{
    const double gamma = gr_loss_attr_of(n)->b;
    side s;
    if (gr_loss_attr_of(n)->from_logits) {
        gr_tensor *x = complement ? gr_neg(t, p) : p, *sigma = gr_sigmoid(t, x), *other = gr_sigmoid(t, gr_neg(t, x));
        s.log = gr_neg(t, gr_softplus(t, gr_neg(t, x)));
        s.power = gr_exp(t, gr_scale(t, gr_softplus(t, x), -gamma));
        s.slope = gr_neg(t, gr_mul(t, s.power, gr_sub(t, other, gr_scale(t, gr_mul(t, sigma, s.log), gamma))));
        return s;
    }
    gr_tensor *own = gr_not_zero(t, complement ? gr_complement(t, p) : p),
              *other = gr_not_zero(t, complement ? p : gr_complement(t, p));
    s.log = complement ? gr_log_complement(t, p) : gr_safe_log(t, p);
    s.power = gr_pow_scalar(t, other, gamma);
    gr_tensor *fading = gr_scale(t, gr_mul(t, gr_pow_scalar(t, other, gamma - 1.0), s.log), gamma);
    s.slope = gr_sub(t, fading, gr_div(t, s.power, own));
    return s;
}

/* dl/dx = alpha y (slope of the side of positives) - (1-alpha) (1-y) (that of negatives, as a function of 1-p) */
static gr_tensor *focal_x(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    if (!gr_is_recording(t)) return gr_times_cotangent(t, n->saved, g);
    const double alpha = gr_loss_attr_of(n)->a;
    gr_tensor *p = n->in[0], *y = n->in[1];
    gr_tensor *positive = gr_scale(t, gr_mul(t, y, side_of(t, n, p, false).slope), alpha);
    gr_tensor *negative = gr_scale(t, gr_mul(t, gr_complement(t, y), side_of(t, n, p, true).slope), 1.0 - alpha);
    return gr_loss_scaled(t, n, g, gr_sub(t, positive, negative));
}

/* dl/dy = (1-alpha) p^gamma log(1-p) - alpha (1-p)^gamma log p */
static gr_tensor *focal_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const double alpha = gr_loss_attr_of(n)->a;
    side positive = side_of(t, n, n->in[0], false), negative = side_of(t, n, n->in[0], true);
    return gr_loss_scaled(t, n, g,
                          gr_sub(t, gr_scale(t, gr_mul(t, negative.power, negative.log), 1.0 - alpha),
                                 gr_scale(t, gr_mul(t, positive.power, positive.log), alpha)));
}

const gr_op gr_op_focal = {.name = "focal",
                           .formula = "l = -(a (1-p)^c y log p + (1-a) p^c (1-y) log(1-p)), a = alpha, c = gamma",
                           .gradient = "dp = g (a y (1-p)^c (c log p / (1-p) - 1/p) + (1-a) (1-y) p^c (1/(1-p) - c "
                                       "log(1-p) / p)), from logits times p (1-p); "
                                       "dy = g ((1-a) p^c log(1-p) - a (1-p)^c log p)",
                           GR_POINTWISE(focal),
                           .vjp = {focal_x, focal_y}};

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
    return gr_loss_apply(t, &gr_op_focal, GR_HAS_LOGITS, p, y, &o.base, o.alpha, o.gamma);
}
