/* zero_one.c: the error rate, Eq. 3:  l = [label(p) != y], label(p) = [p > 1/2], or [x > 0] from logits.
 *
 * A staircase: its derivative is 0 on every step and there is none at the edges, so a gradient of exactly 0 is all that
 * a training step ever sees, and no weight moves. It is for measuring. */
#include "losses/loss_kit.h"

static bool no_label(double y) { return y != 0.0 && y != 1.0; }

static gr_status gr_fail_bad_label(const gr_node *n)
{
    return gr_fail_bad_prediction(n) ? gr_last_status() : gr_fail_bad_target(n, no_label, "0 or 1");
}

#define GR_KERNEL_FILE "losses/zero_one.kernels.inc"
#include "tensor/kernel.h"

/* dl/dp = 0. To be differentiated again it is [p > infinity], which is 0 for every p and still depends on p. */
static gr_tensor *zero_one_p(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    if (gr_takes_shortcut(t)) return gr_times_cotangent(t, n->saved, g);
    gr_tensor *p = n->in[0];
    return gr_loss_scaled(t, n, g, gr_greater(t, p, gr_constant(t, gr_type_of(p), (double)INFINITY)));
}

/* The label of each prediction. */
static void zero_one_branches(const gr_node *n, uint64_t *signature)
{
    const double threshold = gr_loss_attr_of(n)->from_logits ? 0.0 : 0.5;
    for (int64_t i = 0; i < n->in[0]->size; i++)
        gr_fold_branch(signature, gr_branch_of(gr_element(n->in[0], i) - threshold));
}

const gr_op gr_op_zero_one = {GR_NAMED(zero_one, "l = [label(p) != y]", "dp = 0"), GR_POINTWISE(zero_one),
                              .branches = zero_one_branches, .vjp = {zero_one_p}};

gr_tensor *gr_zero_one(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_loss_options *options)
{
    return gr_loss_apply(t, &gr_op_zero_one, GR_HAS_LOGITS, p, y, options, NULL);
}
