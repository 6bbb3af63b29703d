/* hinge.c: the hinge loss, Eq. 4:  l = max(0, 1 - y x) for a score x and y in {-1, +1}. */
#include "losses/samples.h"

static bool no_sign(double y)
{
    return y != 1.0 && y != -1.0;
}

static gr_status hinge_complain(const gr_node *n)
{
    return gr_complain(n, no_sign, "-1 or 1");
}

#define GR_KERNEL_FILE "losses/hinge.kernels.inc"
#include "tensor/kernel.h"

/* dl/dx = -y where y x < 1, else 0: at the margin too */
static gr_tensor *hinge_x(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_pointwise_vjp(t, n, g, &gr_op_hinge_slope);
}

/* On which side of the margin a score lies. */
static void hinge_branches(const gr_node *n, uint64_t *signature)
{
    for (int64_t i = 0; i < n->in[0]->size; i++)
        gr_fold_branch(signature, gr_branch_of(1.0 - gr_element(n->in[1], i) * gr_element(n->in[0], i)));
}

static const gr_sample samples[] = {
    {.what = "mean", .in = {GR_IN(-2, 2, 3, 4), GR_SIGNS(3, 4)}, GR_LOSS(0)},
    {.what = "sum", .in = {GR_IN(-2, 2, 3, 4), GR_SIGNS(3, 4)}, GR_LOSS(.reduction = GR_SUM)},
    {.what = "none, the negatives ignored",
     .in = {GR_IN(-2, 2, 5), GR_SIGNS(5)},
     GR_LOSS(.reduction = GR_NONE, .ignore = true, .ignore_index = -1)},
    {.what = "a weight for each",
     .n_in = 3,
     .in = {GR_IN(-2, 2, 5), GR_SIGNS(5), GR_WEIGHTS(5)},
     GR_LOSS(.weighted = true)},
    {.what = "at the margin",
     .in = {{.rank = 1, .shape = {2}, GR_VALUES(1, -1)}, GR_SIGNS(2)},
     GR_LOSS(0),
     .value_only = true},
    {.what = "labels of 0 and 1",
     .in = {GR_IN(-2, 2, 3), GR_BITS(3)},
     GR_LOSS(0),
     .refused = "target 0 at [1], expected -1 or 1"},
};

static const gr_sample slope_samples[] = {
    {.what = "a matrix", .in = {GR_IN(-2, 2, 3, 4), GR_SIGNS(3, 4)}, GR_LOSS(0)},
    {.what = "shapes that differ", .in = {GR_IN(-2, 2, 3, 4), GR_SIGNS(4)}, GR_LOSS(0), .refused = "shapes differ"},
};

const gr_op gr_op_hinge = {.name = "hinge",
                           .formula = "l = max(0, 1 - y x)",
                           .gradient = "dx = -g y [y x < 1]",
                           GR_POINTWISE(hinge),
                           .branches = hinge_branches,
                           .vjp = {hinge_x},
                           GR_SAMPLES(samples)};
const gr_op gr_op_hinge_slope = {.name = "hinge_slope",
                                 .formula = "d = -y [y x < 1]",
                                 .gradient = "dx = 0",
                                 GR_POINTWISE_SLOPE(hinge),
                                 .branches = hinge_branches,
                                 .vjp = {gr_vjp_zero},
                                 GR_SAMPLES(slope_samples)};

gr_tensor *gr_hinge(gr_tape *t, gr_tensor *x, gr_tensor *y, const gr_loss_options *options)
{
    return gr_loss_apply(t, &gr_op_hinge, 0, x, y, options, 0.0, 0.0);
}
