/* ratio.c: a part over the whole, of which the losses of soft counts are made:  r = a / (a + b).
 *
 * Written like this a ratio has all its digits when it is near 0, which is where losses go, and so has its slope:
 * b / (a + b)^2, where 1/(a + b) - a / (a + b)^2 would cancel. */
#include "losses/regions.h"

#define GR_KERNEL_FILE "losses/ratio.kernels.inc"
#include "tensor/kernel.h"

/* a + b; where that is below the smallest normal number, and the ratio a constant, infinity: then slopes are 0. */
static gr_tensor *ratio_whole(gr_tape *t, const gr_node *n)
{
    const gr_dtype dtype = gr_type_of(n->in[0]);
    gr_tensor *sum = gr_add(t, n->in[0], n->in[1]), *least = gr_constant(t, dtype, gr_smallest_normal(dtype));
    return gr_where(t, gr_greater(t, least, sum), gr_constant(t, dtype, (double)INFINITY), sum);
}

/* dr/da = b / (a + b)^2 */
static gr_tensor *ratio_a(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_tensor *whole = ratio_whole(t, n);
    return gr_weighed(t, gr_div(t, n->in[1], whole), gr_div(t, g, whole));
}

/* dr/db = -a / (a + b)^2 */
static gr_tensor *ratio_b(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_tensor *whole = ratio_whole(t, n);
    return gr_neg(t, gr_weighed(t, gr_div(t, n->in[0], whole), gr_div(t, g, whole)));
}

/* Whether there is a whole. */
static void ratio_branches(const gr_node *n, uint64_t *signature)
{
    const double least = gr_smallest_normal(gr_type_of(n->in[0]));
    for (int64_t i = 0; i < n->out->size; i++)
        gr_fold_branch(signature, gr_element(n->in[0], i) + gr_element(n->in[1], i) < least);
}

const gr_op gr_op_ratio = {
    GR_NAMED(ratio, "r = a / (a + b)", "da = g b / (a + b)^2, db = -g a / (a + b)^2; 0 where a + b = 0"),
    .n_in = 2,
    .shape = gr_shape_same,
    .forward = GR_KERNELS(ratio),
    .attr_size = sizeof(gr_scalars),
    .branches = ratio_branches,
    .vjp = {ratio_a, ratio_b}};

gr_tensor *gr_ratio(gr_tape *t, gr_tensor *a, gr_tensor *b, double of_nothing)
{
    return GR_CALL(ratio, &(gr_scalars){.a = of_nothing}, a, b);
}
