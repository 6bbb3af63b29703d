/* mse.c: the mean squared error, Eq. 2:  l = (p - y)^2. */
#include "losses/loss_kit.h"

#define GR_KERNEL_FILE "losses/mse.kernels.inc"
#include "tensor/kernel.h"

/* dl/dp = 2 (p - y) */
static gr_tensor *mse_p(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    if (gr_takes_shortcut(t)) return gr_times_cotangent(t, n->saved, g);
    return gr_loss_scaled(t, n, g, gr_scale(t, gr_sub(t, n->in[0], n->in[1]), 2.0));
}

/* dl/dy = -2 (p - y) */
static gr_tensor *mse_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_loss_scaled(t, n, g, gr_scale(t, gr_sub(t, n->in[0], n->in[1]), -2.0));
}

const gr_op gr_op_mse = {GR_NAMED(mse, "l = (p - y)^2", "dp = 2 g (p - y), dy = -dp"), GR_POINTWISE(mse),
                         .vjp = {mse_p, mse_y}};

gr_tensor *gr_mse(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_loss_options *options)
{
    return gr_loss_apply(t, &gr_op_mse, 0, p, y, options, NULL);
}
