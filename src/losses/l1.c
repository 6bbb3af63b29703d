/* l1.c: the mean absolute error, Eq. 1:  l = |p - y|. */
#include "losses/loss_kit.h"

#define GR_KERNEL_FILE "losses/l1.kernels.inc"
#include "tensor/kernel.h"

/* dl/dp = sign(p - y), 0 at p = y: saved by the kernel; where it will be differentiated again its derivative
 * is that of the ops */
static gr_tensor *l1_p(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    if (gr_takes_shortcut(t)) return gr_times_cotangent(t, n->saved, g);
    return gr_loss_scaled(t, n, g, gr_sign(t, gr_sub(t, n->in[0], n->in[1])));
}

/* dl/dy = sign(y - p) */
static gr_tensor *l1_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_loss_scaled(t, n, g, gr_sign(t, gr_sub(t, n->in[1], n->in[0])));
}

const gr_op gr_op_l1 = {GR_NAMED(l1, "l = |p - y|", "dp = g sign(p - y), dy = -dp"), GR_POINTWISE(l1),
                        .branches = gr_branch_order, .vjp = {l1_p, l1_y}};

gr_tensor *gr_l1(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_loss_options *options)
{
    return gr_loss_apply(t, &gr_op_l1, 0, p, y, options, NULL);
}
