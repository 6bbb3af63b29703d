/* hinge.c: the hinge loss, Eq. 4:  l = max(0, 1 - y x) for a score x and y in {-1, +1}. */
#include "losses/loss_kit.h"

static bool no_sign(double y) { return y != 1.0 && y != -1.0; }

static gr_status gr_fail_bad_sign(const gr_node *n) { return gr_fail_bad_target(n, no_sign, "-1 or 1"); }

#define GR_KERNEL_FILE "losses/hinge.kernels.inc"
#include "tensor/kernel.h"

/* dl/dx = -y where y x < 1, else 0: at the margin too. As ops -y sign(max(0, 1 - y x)), which is NaN where x is. */
static gr_tensor *hinge_x(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    if (gr_takes_shortcut(t)) return gr_times_cotangent(t, n->saved, g);
    gr_tensor *x = n->in[0], *y = n->in[1], *l = gr_relu(t, gr_complement(t, gr_mul(t, y, x)));
    return gr_loss_scaled(t, n, g, gr_mul(t, gr_neg(t, y), gr_sign(t, l)));
}

/* On which side of the margin a score lies. */
static void hinge_branches(const gr_node *n, uint64_t *signature)
{
    for (int64_t i = 0; i < n->in[0]->size; i++)
        gr_fold_branch(signature, gr_branch_of(1.0 - gr_element(n->in[1], i) * gr_element(n->in[0], i)));
}

const gr_op gr_op_hinge = {GR_NAMED(hinge, "l = max(0, 1 - y x)", "dx = -g y [y x < 1]"), GR_POINTWISE(hinge),
                           .branches = hinge_branches, .vjp = {hinge_x}};

gr_tensor *gr_hinge(gr_tape *t, gr_tensor *x, gr_tensor *y, const gr_loss_options *options)
{
    return gr_loss_apply(t, &gr_op_hinge, 0, x, y, options, NULL);
}
