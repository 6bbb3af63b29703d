/* share.c: a part of the whole, of which the ratios of soft counts are made:  s = a / (a + b).
 *
 * Written as a share a ratio has all its digits when it is near 0, which is where losses go, and so has its slope:
 * b / (a + b)^2, where 1/(a + b) - a / (a + b)^2 would cancel. */
#include "losses/regions.h"
#include "tensor/broadcast.h"

#define GR_KERNEL_FILE "losses/share.kernels.inc"
#include "tensor/kernel.h"

/* a + b; below the smallest normal number, where there is nothing to have a share of, infinity: slopes are 0. */
static gr_tensor *whole(gr_tape *t, const gr_node *n)
{
    const gr_dtype dtype = gr_type_of(n->in[0]);
    gr_tensor *sum = gr_add(t, n->in[0], n->in[1]), *least = gr_constant(t, dtype, gr_smallest_normal(dtype));
    return gr_where(t, gr_greater(t, least, sum), gr_constant(t, dtype, (double)INFINITY), sum);
}

/* ds/da = b / (a + b)^2 */
static gr_tensor *share_a(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_tensor *sum = whole(t, n);
    return gr_mul(t, gr_div(t, g, sum), gr_div(t, n->in[1], sum));
}

/* ds/db = -a / (a + b)^2 */
static gr_tensor *share_b(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_tensor *sum = whole(t, n);
    return gr_neg(t, gr_mul(t, gr_div(t, g, sum), gr_div(t, n->in[0], sum)));
}

/* Where there is nothing to have a share of. */
static void share_branches(const gr_node *n, uint64_t *signature)
{
    const double least = gr_smallest_normal(gr_type_of(n->in[0]));
    for (int64_t i = 0; i < n->out->size; i++)
        gr_fold_branch(signature, gr_element(n->in[0], i) + gr_element(n->in[1], i) < least);
}

const gr_op gr_op_share = {.name = "share",
                           .formula = "s = a / (a + b)",
                           .gradient = "da = g b / (a + b)^2, db = -g a / (a + b)^2; 0 where a + b = 0",
                           .n_in = 2,
                           .shape = gr_shape_same,
                           .forward = GR_KERNELS(share),
                           .attr_size = sizeof(gr_scalars),
                           .branches = share_branches,
                           .vjp = {share_a, share_b}};

gr_tensor *gr_share(gr_tape *t, gr_tensor *a, gr_tensor *b, double empty)
{
    return GR_CALL(share, &(gr_scalars){.a = empty}, a, b);
}
