/* pool_avg.c: the mean of each window of an image, and its adjoint, which hands the gradient of a window back to the
 * elements of it. Both are linear, and each is the other's derivative. */
#include "autograd/pool.h"

#define GR_KERNEL_FILE "autograd/pool_avg.kernels.inc"
#include "tensor/kernel.h"

/* ---- y = the mean of each window:  dx = g / count, summed over the windows that an element is in ----------------- */

static gr_tensor *avg_pool2d_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_pool_attr a = *(const gr_pool_attr *)n->attr;
    for (int i = 0; i < 2; i++) a.size[i] = n->in[0]->shape[2 + i];
    return GR_CALL(avg_pool2d_adjoint, &a, g);
}

const gr_op gr_op_avg_pool2d = {
    GR_NAMED(avg_pool2d, "y = mean of a window of x", "dx = g / count, summed over the windows of an element"),
    .n_in = 1,
    .attr_size = sizeof(gr_pool_attr),
    .shape = pool2d_shape,
    .forward = GR_KERNELS(avg_pool2d),
    .vjp = {avg_pool2d_vjp}};

gr_tensor *gr_avg_pool2d(gr_tape *t, gr_tensor *x, const gr_pool2d_options *options)
{
    const gr_pool_attr a = pool2d_attr(options);
    return GR_CALL(avg_pool2d, &a, x);
}

gr_tensor *gr_global_avg_pool2d(gr_tape *t, gr_tensor *x)
{
    const char *who = "global_avg_pool2d";
    if (gr_expect_inputs(who, t, &x, 1, 0) || gr_expect_floats(who, &x, 1) || gr_expect_images(who, x)) return NULL;
    return gr_mean(t, x, GR_AXES(2, 3), true);
}

/* ---- z = g / count, summed over the windows that an element is in:  dg = the mean of each window of h ---------- */

static gr_status avg_adjoint_shape(const gr_node *n, gr_type *type)
{
    const gr_pool_attr *a = n->attr;
    const gr_tensor *g = n->in[0];
    if (gr_expect_float(n) || gr_expect_images(n->op->name, g) || pool2d_expect_options(n)) return gr_last_status();
    gr_type_as(type, g);
    for (int i = 0; i < 2; i++) {
        if (a->size[i] < 1 || pool2d_size(a, i, a->size[i]) != g->shape[2 + i])
            return gr_fail(GR_ERR_SHAPE, "%s: %lld x %lld is not pooled to %s", n->op->name, (long long)a->size[0],
                           (long long)a->size[1], GR_SHAPE_TEXT(g));
        type->shape[2 + i] = a->size[i];
    }
    return GR_OK;
}

static gr_tensor *avg_adjoint_vjp(gr_tape *t, const gr_node *n, gr_tensor *h)
{
    return GR_CALL(avg_pool2d, n->attr, h);
}

const gr_op gr_op_avg_pool2d_adjoint = {GR_NAMED(avg_pool2d_adjoint,
                                                 "z = g / count, summed over the windows of an element",
                                                 "dg = mean of a window of h, that of z"),
                                        .n_in = 1,
                                        .attr_size = sizeof(gr_pool_attr),
                                        .shape = avg_adjoint_shape,
                                        .forward = GR_KERNELS(avg_pool2d_adjoint),
                                        .vjp = {avg_adjoint_vjp}};
