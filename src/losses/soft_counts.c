/* soft_counts.c: TP = sum p y, FP = sum p (1-y), FN = sum (1-p) y, TN = sum (1-p) (1-y) over regions, in one pass over
 * prediction and target. From logits p is s(x) and 1-p is s(-x); through a softmax 1-p is the sum of the other classes.
 *
 * A plane is counted in blocks that do not depend on the number of threads, and the blocks are added up in their order.
 */
#include "losses/regions.h"

enum { TILE = 512, MAX_BLOCKS = 1024, TP = 0, FP, FN, TN, BAD, PARTS };

/* A call: prediction and target as planes, and their blocks. */
typedef struct counting {
    const gr_node *n;
    gr_region_attr attr;
    gr_layout l;
    const void *x, *y; /* y is NULL where the target is `index` */
    const int32_t *index;
    const void *w;
    bool w_by_pixel;
    int64_t block, blocks; /* elements of a block of a plane, blocks of a plane */
    double *partial;       /* [n][c][blocks][PARTS] */
    const void *g;         /* of the gradient: of the four counts, [4][regions] */
} counting;

static inline int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static counting counting_of(const gr_node *n, const gr_tensor *w);
static gr_status soft_counts_complain(const gr_node *n);

#define GR_KERNEL_FILE "losses/soft_counts.kernels.inc"
#include "tensor/kernel.h"

static const char *who(const gr_node *n)
{
    const gr_region_attr *a = n->attr;
    return a->who ? a->who : n->op->name;
}

/* The weight is the last input; there are `others` in front of it. */
static gr_tensor *weight_of(const gr_node *n, int others)
{
    return n->n_in > others ? n->in[others] : NULL;
}

/* Cuts planes into blocks of at least a span's work, `together` of them at once. */
static counting counting_of(const gr_node *n, const gr_tensor *w)
{
    const gr_tensor *x = n->in[0], *y = n->in[1];
    counting s = {.n = n,
                  .attr = *(const gr_region_attr *)n->attr,
                  .x = x->data,
                  .w = w ? w->data : NULL,
                  .w_by_pixel = w && !gr_same_shape(w, x)};
    if (y->dtype == GR_I32) s.index = y->data;
    else s.y = y->data;
    s.l = gr_layout_of(x, s.attr.region, s.attr.without_background);
    if (!s.index && !s.attr.softmax && !s.l.first && !s.w_by_pixel) s.l = gr_layout_merged(s.l);
    int64_t together = s.attr.softmax ? s.l.c : 1, work = s.l.inner * together, blocks = work / GR_GRAIN;
    blocks = blocks < 1 ? 1 : at_most(blocks, MAX_BLOCKS);
    s.block = (s.l.inner + blocks - 1) / blocks;
    s.block = (s.block + TILE - 1) / TILE * TILE;
    s.blocks = s.l.inner ? (s.l.inner + s.block - 1) / s.block : 1;
    return s;
}

/* ---- Checks ------------------------------------------------------------------------------------------------- */

static gr_status soft_counts_shape(const gr_node *n, gr_type *type)
{
    const gr_region_attr *a = n->attr;
    const gr_tensor *x = n->in[0];
    if (gr_expect_region_inputs(who(n), a, x, n->in[1], weight_of(n, 2))) return gr_last_status();
    gr_layout l = gr_layout_of(x, a->region, a->without_background);
    type->dtype = gr_type_of(x);
    type->shape[0] = 4;
    type->rank = 1 + gr_region_shape(&l, &type->shape[1]);
    return GR_OK;
}

/* The kernel has met something bad: finds it, and says what it is. */
static gr_status soft_counts_complain(const gr_node *n)
{
    const gr_region_attr *a = n->attr;
    const gr_tensor *x = n->in[0], *y = n->in[1];
    const gr_layout l = gr_layout_of(x, a->region, a->without_background);
    if (y->dtype == GR_I32 && gr_expect_classes(who(n), a, x, y)) return gr_last_status();
    for (int64_t i = 0; y->dtype != GR_I32 && i < y->size; i++) {
        const double t = gr_element(y, i);
        if (!(t >= 0.0 && t <= 1.0) && gr_is_counted(a, &l, y, i))
            return gr_fail(GR_ERR_VALUE, "%s: target %g at %s, expected a number in [0,1]", who(n), t,
                           gr_position_text(&(gr_text){{0}}, y, i));
    }
    if (gr_expect_counted(who(n), a, x, y, weight_of(n, 2))) return gr_last_status();
    return gr_fail(GR_ERR_VALUE, "%s: a value out of range", who(n));
}

/* ---- Derivatives -------------------------------------------------------------------------------------------- */

/* The k-th of four counts, or of their gradients, broadcasting over x. */
static gr_tensor *part(gr_tape *t, const gr_node *n, gr_tensor *counts, int k)
{
    const gr_region_attr *a = n->attr;
    gr_layout l = gr_layout_of(n->in[0], a->region, a->without_background);
    return gr_over_regions(t, &l, n->in[0], gr_slice(t, counts, 0, k, k + 1));
}

/* dp = w (y (gTP - gFN) + (1-y) (gFP - gTN)), and from logits dx = J dp, J = s(x) s(-x) or that of softmax */
static gr_tensor *soft_counts_x(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_region_attr attr = *(const gr_region_attr *)n->attr;
    attr.from_logits &= !attr.softmax;
    attr.softmax = false;
    gr_tensor *in[4] = {n->in[0], n->in[1], g, weight_of(n, 2)};
    gr_tensor *d = gr_apply(t, &gr_op_soft_counts_grad, in, n->n_in + 1, &attr);
    return ((const gr_region_attr *)n->attr)->softmax ? gr_softmax_grad(t, n->in[0], d) : d;
}

/* dy = w (p (gTP - gFP) + (1-p) (gFN - gTN)) */
static gr_tensor *soft_counts_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const gr_region_attr *a = n->attr;
    gr_tensor *x = n->in[0], *y = n->in[1];
    gr_tensor *p = a->softmax ? gr_softmax(t, x, 1) : a->from_logits ? gr_sigmoid(t, x) : x;
    gr_tensor *q = a->from_logits && !a->softmax ? gr_sigmoid(t, gr_neg(t, x)) : gr_complement(t, p);
    gr_tensor *d = gr_add(t, gr_mul(t, p, gr_sub(t, part(t, n, g, TP), part(t, n, g, FP))),
                          gr_mul(t, q, gr_sub(t, part(t, n, g, FN), part(t, n, g, TN))));
    return gr_weighed(t, d, gr_region_weight(t, a, x, y, weight_of(n, 2)));
}

/* ---- The gradient, as an op:  z = w (y (gTP - gFN) + (1-y) (gFP - gTN)),  and from logits times s(x) s(-x) ----- */

static gr_status soft_counts_grad_shape(const gr_node *n, gr_type *type)
{
    const gr_region_attr *a = n->attr;
    const gr_tensor *x = n->in[0], *g = n->in[2];
    if (gr_expect_region_inputs(n->op->name, a, x, n->in[1], weight_of(n, 3))) return gr_last_status();
    gr_layout l = gr_layout_of(x, a->region, a->without_background);
    int64_t shape[3] = {4};
    int rank = 1 + gr_region_shape(&l, &shape[1]);
    bool fits = g->rank == rank && g->dtype == x->dtype;
    for (int i = 0; fits && i < rank; i++) fits = g->shape[i] == shape[i];
    if (!fits)
        return gr_fail(GR_ERR_SHAPE, "%s: the gradient of the counts is %s, expected %s", n->op->name, GR_SHAPE_TEXT(g),
                       gr_shape_text(&(gr_text){{0}}, rank, shape));
    gr_type_as(type, x);
    return GR_OK;
}

/* h w dp/dx, h the gradient of z */
static gr_tensor *through(gr_tape *t, const gr_node *n, gr_tensor *h)
{
    const gr_region_attr *a = n->attr;
    gr_tensor *x = n->in[0];
    if (a->from_logits) h = gr_mul(t, h, gr_mul(t, gr_sigmoid(t, x), gr_sigmoid(t, gr_neg(t, x))));
    return gr_weighed(t, h, gr_region_weight(t, a, x, n->in[1], weight_of(n, 3)));
}

/* dz/dx = z (s(-x) - s(x)) from logits, else 0 */
static gr_tensor *soft_counts_grad_x(gr_tape *t, const gr_node *n, gr_tensor *h)
{
    const gr_region_attr *a = n->attr;
    gr_tensor *x = n->in[0];
    if (!a->from_logits) return gr_scale(t, h, 0.0);
    gr_tensor *turn = gr_sub(t, gr_sigmoid(t, gr_neg(t, x)), gr_sigmoid(t, x));
    return gr_weighed(t, gr_mul(t, h, gr_mul(t, n->out, turn)), gr_region_weight(t, a, x, n->in[1], NULL));
}

/* dz/dy = w ((gTP - gFN) - (gFP - gTN)) dp/dx */
static gr_tensor *soft_counts_grad_y(gr_tape *t, const gr_node *n, gr_tensor *h)
{
    gr_tensor *g = n->in[2];
    gr_tensor *a = gr_sub(t, part(t, n, g, TP), part(t, n, g, FN)),
              *b = gr_sub(t, part(t, n, g, FP), part(t, n, g, TN));
    return gr_mul(t, through(t, n, h), gr_sub(t, a, b));
}

/* z is linear in g: its derivative is u = h w dp/dx, summed as the counts are: sum u y, sum u (1-y), and minus both */
static gr_tensor *soft_counts_grad_g(gr_tape *t, const gr_node *n, gr_tensor *h)
{
    const gr_region_attr *a = n->attr;
    gr_layout l = gr_layout_of(n->in[0], a->region, a->without_background);
    gr_tensor *u = through(t, n, h), *y = gr_region_target(t, a, n->in[0], n->in[1]);
    gr_tensor *in = gr_sum_regions(t, &l, gr_mul(t, u, y)),
              *out = gr_sum_regions(t, &l, gr_mul(t, u, gr_complement(t, y)));
    return gr_stack(t, (gr_tensor *[]){in, out, gr_neg(t, in), gr_neg(t, out)}, 4, 0);
}

/* ---- Samples ------------------------------------------------------------------------------------------------ */

const gr_op gr_op_soft_counts = {
    .name = "soft_counts",
    .formula = "TP = sum p y, FP = sum p (1-y), FN = sum (1-p) y, TN = sum (1-p) (1-y)",
    .gradient =
        "dp = y (gTP - gFN) + (1-y) (gFP - gTN), from logits times dp/dx; dy = p (gTP - gFP) + (1-p) (gFN - gTN)",
    .n_in = 2,
    .n_optional = 1,
    .shape = soft_counts_shape,
    .attr_size = sizeof(gr_region_attr),
    .forward = GR_KERNELS(soft_counts),
    .vjp = {soft_counts_x, soft_counts_y}};
const gr_op gr_op_soft_counts_grad = {
    .name = "soft_counts_grad",
    .formula = "z = y (gTP - gFN) + (1-y) (gFP - gTN), from logits times s(x) s(-x)",
    .gradient =
        "dx = h z (s(-x) - s(x)) from logits; dy = h ((gTP - gFN) - (gFP - gTN)); dg = sum h dz/dg; h that of z",
    .n_in = 3,
    .n_optional = 1,
    .shape = soft_counts_grad_shape,
    .attr_size = sizeof(gr_region_attr),
    .forward = GR_KERNELS(soft_counts_grad),
    .vjp = {soft_counts_grad_x, soft_counts_grad_y, soft_counts_grad_g}};
