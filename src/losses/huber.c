/* huber.c: a square near the target, a straight line far from it. With d = p - y:
 *
 *     Huber      l = d^2/2 where |d| <= delta, delta (|d| - delta/2) beyond
 *     smooth L1  l = d^2/(2 beta) where |d| < beta, |d| - beta/2 beyond: Huber's over its delta. */
#include "losses/loss_kit.h"

#include <gradus/segmentation.h>

#define GR_KERNEL_FILE "losses/huber.kernels.inc"
#include "tensor/kernel.h"

/* dl/dp = d held within [-delta, delta] */
static gr_tensor *huber_slope(gr_tape *t, const gr_node *n, gr_tensor *d)
{
    const double delta = gr_loss_attr_of(n)->delta;
    return gr_clamp(t, d, -delta, delta);
}

static gr_tensor *huber_p(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    if (gr_takes_shortcut(t)) return gr_times_cotangent(t, n->saved, g);
    return gr_loss_scaled(t, n, g, huber_slope(t, n, gr_sub(t, n->in[0], n->in[1])));
}

static gr_tensor *huber_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_loss_scaled(t, n, g, huber_slope(t, n, gr_sub(t, n->in[1], n->in[0])));
}

/* dl/dp = d / beta held within [-1, 1] */
static gr_tensor *smooth_l1_slope(gr_tape *t, const gr_node *n, gr_tensor *d)
{
    gr_tensor *beta = gr_constant(t, gr_type_of(n->in[0]), gr_loss_attr_of(n)->delta);
    return gr_clamp(t, gr_div(t, d, beta), -1.0, 1.0);
}

static gr_tensor *smooth_l1_p(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    if (gr_takes_shortcut(t)) return gr_times_cotangent(t, n->saved, g);
    return gr_loss_scaled(t, n, g, smooth_l1_slope(t, n, gr_sub(t, n->in[0], n->in[1])));
}

static gr_tensor *smooth_l1_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_loss_scaled(t, n, g, smooth_l1_slope(t, n, gr_sub(t, n->in[1], n->in[0])));
}

/* On the square, or on the line of either side. */
static void huber_branches(const gr_node *n, uint64_t *signature)
{
    const double delta = gr_loss_attr_of(n)->delta;
    for (int64_t i = 0; i < n->in[0]->size; i++) {
        const double d = gr_element(n->in[0], i) - gr_element(n->in[1], i);
        gr_fold_branch(signature, d > delta ? 1 : d < -delta ? -1 : 0);
    }
}

const gr_op gr_op_huber = {GR_NAMED(huber, "l = d^2/2, or a (|d| - a/2) beyond |d| = a, d = p - y, a = delta",
                                    "dp = g min(max(d, -a), a), dy = -dp"),
                           GR_POINTWISE(huber), .branches = huber_branches, .vjp = {huber_p, huber_y}};
const gr_op gr_op_smooth_l1 = {GR_NAMED(smooth_l1, "l = d^2/(2 b), or |d| - b/2 beyond |d| = b, d = p - y, b = beta",
                                        "dp = g min(max(d/b, -1), 1), dy = -dp"),
                               GR_POINTWISE(smooth_l1), .branches = huber_branches, .vjp = {smooth_l1_p, smooth_l1_y}};

static gr_tensor *huber_apply(gr_tape *t, const gr_op *op, const char *what, gr_tensor *p, gr_tensor *y,
                              const gr_loss_options *base, double delta)
{
    if (!(delta >= 0.0 && delta < (double)INFINITY))
        return gr_fail(GR_ERR_OPTION, "%s: %s %s, expected a number above 0", op->name, what, GR_NUMBER_TEXT(delta)),
               NULL;
    return gr_loss_apply(t, op, 0, p, y, base, &(gr_loss_attr){.delta = delta == 0.0 ? 1.0 : delta});
}

gr_tensor *gr_huber(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_huber_options *options)
{
    const gr_huber_options o = options ? *options : (gr_huber_options){0};
    return huber_apply(t, &gr_op_huber, "delta", p, y, &o.base, o.delta);
}

gr_tensor *gr_smooth_l1(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_smooth_l1_options *options)
{
    const gr_smooth_l1_options o = options ? *options : (gr_smooth_l1_options){0};
    return huber_apply(t, &gr_op_smooth_l1, "beta", p, y, &o.base, o.beta);
}
