/* channel_affine.c: y = (x - mean) scale + shift, each a number for every channel of images. This is batch norm in use,
 * where mean is the running mean, scale = gamma / sqrt(running variance + epsilon), and shift = beta. */
#include "autograd/op_kit.h"

#define GR_KERNEL_FILE "autograd/channel_affine.kernels.inc"
#include "tensor/kernel.h"

static gr_status channel_affine_shape(const gr_node *n, gr_type *type)
{
    static const char *const names[] = {"x", "mean", "scale", "shift"};
    const gr_tensor *x = n->in[0];
    if (gr_expect_float(n) || gr_expect_images(n->op->name, x)) return gr_last_status();
    for (int i = 1; i < n->n_in; i++)
        if (gr_expect_parameter(n->op->name, names[i], n->in[i], x, 1, &x->shape[1])) return gr_last_status();
    gr_type_as(type, x);
    return GR_OK;
}

/* ---- dx = scale g,  dmean = -sum scale g,  dscale = sum g (x - mean),  dshift = sum g --------------------------- */

/* [C] as [C,1,1], which broadcasts over images. */
static gr_tensor *over_images(gr_tape *t, gr_tensor *x) { return gr_as_shape(t, x, GR_SHAPE(x->size, 1, 1)); }

static gr_tensor *channel_sums(gr_tape *t, gr_tensor *g) { return gr_sum(t, g, GR_AXES(0, 2, 3), false); }

static gr_tensor *channel_affine_dx(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_mul(t, g, over_images(t, n->in[2]));
}

static gr_tensor *channel_affine_dmean(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_neg(t, gr_mul(t, channel_sums(t, g), n->in[2]));
}

static gr_tensor *channel_affine_dscale(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return channel_sums(t, gr_mul(t, g, gr_sub(t, n->in[0], over_images(t, n->in[1]))));
}

static gr_tensor *channel_affine_dshift(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)n;
    return channel_sums(t, g);
}

const gr_op gr_op_channel_affine = {
    GR_NAMED(channel_affine, "y = (x - mean) scale + shift, for each channel",
             "dx = scale g, dmean = -sum scale g, dscale = sum g (x - mean), dshift = sum g"),
    .n_in = 3,
    .n_optional = 1,
    .shape = channel_affine_shape,
    .forward = GR_KERNELS(channel_affine),
    .vjp = {channel_affine_dx, channel_affine_dmean, channel_affine_dscale, channel_affine_dshift}};
