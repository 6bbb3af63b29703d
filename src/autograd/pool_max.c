/* pool_max.c: the largest element of each window of an image.
 *
 * Given x's winners max pooling is linear: pick(x, v) takes v where x is largest in its window, spread(x, g) puts g
 * there, and each is the other's derivative. max_pool2d(x) is pick(x, x). No index is stored: winners are found again,
 * which is cheaper than reading them. */
#include "autograd/pool.h"

/* 2 x 2 windows beside each other, which have kernels of their own. */
static inline bool pool2d_is_halving(const gr_pool_attr *a)
{
    return a->kernel[0] == 2 && a->kernel[1] == 2 && a->stride[0] == 2 && a->stride[1] == 2 && !a->padding[0] &&
           !a->padding[1];
}

#define GR_KERNEL_FILE "autograd/pool_max.kernels.inc"
#include "tensor/kernel.h"

/* The place of a window's winner in x [N,C,H,W]: its first NaN, or the first of its largest elements. The kernels find
 * the same ones faster. */
static int64_t winner_of_window(const gr_tensor *x, const pool2d_call *p, int64_t window)
{
    const int64_t plane = window / (p->rows * p->columns) * p->height * p->width;
    const pool2d_range rows = pool2d_window(p, 0, window / p->columns % p->rows),
                       columns = pool2d_window(p, 1, window % p->columns);
    int64_t winner = -1;
    double best = 0.0;
    for (int64_t i = rows.begin; i < rows.end; i++)
        for (int64_t j = columns.begin; j < columns.end; j++) {
            const double e = gr_element(x, plane + i * p->width + j);
            if (winner < 0 || (!(best >= e) && best == best)) best = e, winner = plane + i * p->width + j;
        }
    return winner;
}

static void max_pool2d_branches(const gr_node *n, uint64_t *signature)
{
    const pool2d_call p = pool2d_call_of(n, n->in[0]);
    for (int64_t window = 0; window < p.planes * p.rows * p.columns; window++)
        gr_fold_branch(signature, winner_of_window(n->in[0], &p, window));
}

/* ---- y = the largest of each window:  dx = g at the winner ---------------------------------------------------- */

static gr_tensor *spread_at_winners_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return GR_CALL(max_pool2d_spread, n->attr, n->in[0], g);
}

const gr_op gr_op_max_pool2d = {GR_NAMED(max_pool2d, "y = max of a window of x", "dx = g at the first winner"),
                                .n_in = 1,
                                .attr_size = sizeof(gr_pool_attr),
                                .shape = pool2d_shape,
                                .forward = GR_KERNELS(max_pool2d),
                                .branches = max_pool2d_branches,
                                .vjp = {spread_at_winners_vjp}};

gr_tensor *gr_max_pool2d(gr_tape *t, gr_tensor *x, const gr_pool2d_options *options)
{
    const gr_pool_attr a = pool2d_attr(options);
    if (a.exclude_padding)
        return gr_fail(GR_ERR_OPTION, "max_pool2d: has no exclude_padding: padding is never the maximum"), NULL;
    return GR_CALL(max_pool2d, &a, x);
}

/* ---- y = v at the winner of each window of x:  dv = g there --------------------------------------------------- */

static gr_status pick_shape(const gr_node *n, gr_type *type)
{
    if (pool2d_shape(n, type)) return gr_last_status();
    if (!gr_same_shape(n->in[0], n->in[1]))
        return gr_fail(GR_ERR_SHAPE, "%s: shapes differ: %s and %s", n->op->name, GR_SHAPE_TEXT(n->in[0]),
                       GR_SHAPE_TEXT(n->in[1]));
    return GR_OK;
}

const gr_op gr_op_max_pool2d_pick = {
    GR_NAMED(max_pool2d_pick, "y = v at the winner of each window of x", "dx = 0, dv = g at the winners"),
    .n_in = 2,
    .attr_size = sizeof(gr_pool_attr),
    .shape = pick_shape,
    .forward = GR_KERNELS(max_pool2d_pick),
    .branches = max_pool2d_branches,
    .vjp = {gr_vjp_zero, spread_at_winners_vjp}};

/* ---- z = g at the winner of each window of x, added up, 0 elsewhere:  dg = h there, h that of z ------------------ */

/* g is of the shape that x is pooled to, z of that of x. */
static gr_status spread_shape(const gr_node *n, gr_type *type)
{
    if (pool2d_shape(n, type)) return gr_last_status();
    const gr_tensor *x = n->in[0], *g = n->in[1];
    if (g->rank != 4 || memcmp(g->shape, type->shape, 4 * sizeof *g->shape) != 0)
        return gr_fail(GR_ERR_SHAPE, "%s: %s is pooled to %s, not %s", n->op->name, GR_SHAPE_TEXT(x),
                       gr_shape_text(&(gr_text){{0}}, 4, type->shape), GR_SHAPE_TEXT(g));
    gr_type_as(type, x);
    return GR_OK;
}

static gr_tensor *pick_at_winners_vjp(gr_tape *t, const gr_node *n, gr_tensor *h)
{
    return GR_CALL(max_pool2d_pick, n->attr, n->in[0], h);
}

const gr_op gr_op_max_pool2d_spread = {GR_NAMED(max_pool2d_spread,
                                                "z = g at the winner of each window of x, 0 elsewhere",
                                                "dx = 0, dg = h at the winners, h that of z"),
                                       .n_in = 2,
                                       .attr_size = sizeof(gr_pool_attr),
                                       .shape = spread_shape,
                                       .forward = GR_KERNELS(max_pool2d_spread),
                                       .branches = max_pool2d_branches,
                                       .vjp = {gr_vjp_zero, pick_at_winners_vjp}};
