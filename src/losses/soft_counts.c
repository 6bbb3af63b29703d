/* soft_counts.c: TP = sum p y, FP = sum p (1-y), FN = sum (1-p) y, TN = sum (1-p) (1-y) over regions, in one pass over
 * prediction and target. From logits p is s(x) and 1-p is s(-x); through a softmax 1-p is the sum of the other classes.
 *
 * A plane is counted in blocks that do not depend on the number of threads, and they are added up in their order. */
#include <assert.h>

#include "losses/regions.h"

/* The weight is the last input; there are `others` in front of it. */
static gr_tensor *count_weight(const gr_node *n, int others) { return n->n_in > others ? n->in[others] : NULL; }

/* ---- Checks ------------------------------------------------------------------------------------------------- */

static gr_status soft_counts_shape(const gr_node *n, gr_type *type)
{
    const gr_tensor *x = n->in[0];
    if (gr_expect_region_inputs(gr_region_who(n), n->attr, x, n->in[1], count_weight(n, 2))) return gr_last_status();
    const region_layout l = gr_region_layout_of(n);
    type->dtype = gr_type_of(x);
    type->shape[0] = 4;
    type->rank = 1 + gr_region_shape(&l, &type->shape[1]);
    return GR_OK;
}

/* The kernel has met something bad: finds it, and says what it is. */
static gr_status fail_bad_count(const gr_node *n)
{
    const gr_region_attr *a = gr_region_attr_of(n);
    const gr_tensor *x = n->in[0], *y = n->in[1];
    const region_layout l = gr_region_layout_of(n);
    const char *who = gr_region_who(n);
    if (gr_expect_region_classes(who, a, x, y)) return gr_last_status();
    for (int64_t i = 0; y->dtype != GR_I32 && i < y->size; i++) {
        const double target = gr_element(y, i);
        if (!(target >= 0.0 && target <= 1.0) && gr_is_counted(a, &l, y, i))
            return gr_fail(GR_ERR_VALUE, "%s: target %s at %s, expected a number in [0,1]%s", who,
                           GR_NUMBER_TEXT(target), gr_position_text(&(gr_text){{0}}, y, i),
                           gr_ignore_hint(a->ignore, a->ignore_index, target));
    }
    if (gr_expect_counted(who, a, x, y, count_weight(n, 2))) return gr_last_status();
    return gr_fail(GR_ERR_VALUE, "%s: a value out of range", who);
}

/* ---- Kernels ------------------------------------------------------------------------------------------------ */

enum { TP, FP, FN, TN, BAD_VALUES, COUNT_PARTS }; /* what is summed */
enum { COUNT_TILE = 512, MAX_PLANE_BLOCKS = 1024 };

/* A call: [n, c, inner] with the blocks that a plane is cut into. */
typedef struct counting {
    const gr_node *n;
    gr_region_attr attr;
    region_layout l;
    const void *x, *y;    /* [n, c, inner]; y is NULL where the target is `index` */
    const int32_t *index; /* [n, inner] */
    const void *w;        /* NULL, or [n, c, inner], or [n, inner] if `w_by_pixel` */
    bool w_by_pixel;
    int64_t block, blocks; /* elements of a block of a plane, blocks of a plane */
    double *partial;       /* [n, c, blocks, COUNT_PARTS] */
    const void *g;         /* [4, regions]: of the gradient, that of the four counts */
} counting;

/* Cuts planes into blocks of at least a span's work; through a softmax that of all classes is done together. */
static counting counting_of(const gr_node *n, const gr_tensor *w)
{
    const gr_tensor *x = n->in[0], *y = n->in[1];
    const bool indices = y->dtype == GR_I32;
    assert(indices || gr_same_shape(x, y));
    counting s = {.n = n,
                  .attr = *gr_region_attr_of(n),
                  .l = gr_region_layout_of(n),
                  .x = x->data,
                  .y = indices ? NULL : y->data,
                  .index = indices ? y->data : NULL,
                  .w = w ? w->data : NULL,
                  .w_by_pixel = w && !gr_same_shape(w, x)};
    if (!indices && !s.attr.softmax && !s.l.first && !s.w_by_pixel) s.l = gr_merged_planes(s.l);
    int64_t blocks = s.l.inner * (s.attr.softmax ? s.l.c : 1) / GR_GRAIN;
    blocks = blocks < 1 ? 1 : gr_lesser(blocks, MAX_PLANE_BLOCKS);
    s.block = (s.l.inner + blocks - 1) / blocks;
    s.block = (s.block + COUNT_TILE - 1) / COUNT_TILE * COUNT_TILE;
    s.blocks = s.l.inner ? (s.l.inner + s.block - 1) / s.block : 1;
    return s;
}

/* Elements from .. to-1 of the plane of class c in image n. */
typedef struct plane_block {
    int64_t n, c, from, to;
} plane_block;

/* Block `item` of [n, c, blocks]. */
static inline plane_block plane_block_at(const counting *s, int64_t item)
{
    const int64_t plane = item / s->blocks, from = item % s->blocks * s->block;
    return (plane_block){plane / s->l.c, plane % s->l.c, from, gr_lesser(from + s->block, s->l.inner)};
}

/* Where element i of the plane of class c in image n lies. */
static inline int64_t plane_element(const counting *s, int64_t n, int64_t c, int64_t i)
{
    return (n * s->l.c + c) * s->l.inner + i;
}

static inline double *partial_sums(const counting *s, int64_t n, int64_t c, int64_t block)
{
    return s->partial + ((n * s->l.c + c) * s->blocks + block) * COUNT_PARTS;
}

#define GR_KERNEL_FILE "losses/soft_counts.kernels.inc"
#include "tensor/kernel.h"

/* ---- Derivatives -------------------------------------------------------------------------------------------- */

/* The k-th of four counts, or of their gradients, broadcasting over x. */
static gr_tensor *count_over_x(gr_tape *t, const gr_node *n, gr_tensor *counts, int k)
{
    const region_layout l = gr_region_layout_of(n);
    return gr_over_regions(t, &l, n->in[0], gr_slice(t, counts, 0, k, k + 1));
}

/* dp = w (y (gTP - gFN) + (1-y) (gFP - gTN)), and from logits dx = J dp, J = s(x) s(-x) or that of softmax */
static gr_tensor *soft_counts_x(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const bool softmax = gr_region_attr_of(n)->softmax;
    gr_region_attr attr = *gr_region_attr_of(n);
    attr.from_logits &= !softmax;
    attr.softmax = false;
    gr_tensor *in[4] = {n->in[0], n->in[1], g, count_weight(n, 2)};
    gr_tensor *d = gr_apply(t, &gr_op_soft_counts_grad, in, n->n_in + 1, &attr);
    return softmax ? gr_softmax_grad(t, n->in[0], d) : d;
}

/* dy = w (p (gTP - gFP) + (1-p) (gFN - gTN)) */
static gr_tensor *soft_counts_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const gr_region_attr *a = gr_region_attr_of(n);
    gr_tensor *x = n->in[0], *y = n->in[1];
    gr_tensor *p = a->softmax ? gr_softmax(t, x, 1) : a->from_logits ? gr_sigmoid(t, x) : x;
    gr_tensor *q = a->from_logits && !a->softmax ? gr_sigmoid(t, gr_neg(t, x)) : gr_complement(t, p);
    gr_tensor *d = gr_add(t, gr_weighed(t, p, gr_sub(t, count_over_x(t, n, g, TP), count_over_x(t, n, g, FP))),
                          gr_weighed(t, q, gr_sub(t, count_over_x(t, n, g, FN), count_over_x(t, n, g, TN))));
    return gr_region_weighed(t, a, x, y, count_weight(n, 2), d);
}

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

/* ---- The gradient, as an op:  z = w (y (gTP - gFN) + (1-y) (gFP - gTN)),  and from logits times s(x) s(-x) ----- */

static gr_status soft_counts_grad_shape(const gr_node *n, gr_type *type)
{
    const gr_tensor *x = n->in[0], *g = n->in[2];
    if (gr_expect_region_inputs(n->op->name, n->attr, x, n->in[1], count_weight(n, 3))) return gr_last_status();
    const region_layout l = gr_region_layout_of(n);
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
static gr_tensor *through_counts(gr_tape *t, const gr_node *n, gr_tensor *h)
{
    const gr_region_attr *a = gr_region_attr_of(n);
    gr_tensor *x = n->in[0];
    if (a->from_logits) h = gr_mul(t, h, gr_mul(t, gr_sigmoid(t, x), gr_sigmoid(t, gr_neg(t, x))));
    return gr_region_weighed(t, a, x, n->in[1], count_weight(n, 3), h);
}

/* dz/dx = z (s(-x) - s(x)) from logits, else 0 */
static gr_tensor *soft_counts_grad_x(gr_tape *t, const gr_node *n, gr_tensor *h)
{
    const gr_region_attr *a = gr_region_attr_of(n);
    gr_tensor *x = n->in[0];
    if (!a->from_logits) return gr_weighed_by(t, 0.0, h);
    gr_tensor *turn = gr_sub(t, gr_sigmoid(t, gr_neg(t, x)), gr_sigmoid(t, x));
    return gr_region_weighed(t, a, x, n->in[1], NULL, gr_weighed(t, gr_mul(t, n->out, turn), h));
}

/* dz/dy = w ((gTP - gFN) - (gFP - gTN)) dp/dx */
static gr_tensor *soft_counts_grad_y(gr_tape *t, const gr_node *n, gr_tensor *h)
{
    gr_tensor *g = n->in[2];
    gr_tensor *a = gr_sub(t, count_over_x(t, n, g, TP), count_over_x(t, n, g, FN)),
              *b = gr_sub(t, count_over_x(t, n, g, FP), count_over_x(t, n, g, TN));
    return gr_weighed(t, gr_sub(t, a, b), through_counts(t, n, h));
}

/* z is linear in g: its derivative is u = h w dp/dx, summed as the counts are: sum u y, sum u (1-y), and minus both */
static gr_tensor *soft_counts_grad_g(gr_tape *t, const gr_node *n, gr_tensor *h)
{
    const gr_region_attr *a = gr_region_attr_of(n);
    const region_layout l = gr_region_layout_of(n);
    gr_tensor *u = through_counts(t, n, h), *y = gr_region_target(t, a, n->in[0], n->in[1]);
    gr_tensor *in = gr_sum_regions(t, &l, gr_weighed(t, y, u)),
              *out = gr_sum_regions(t, &l, gr_weighed(t, gr_complement(t, y), u));
    return gr_stack(t, (gr_tensor *[]){in, out, gr_neg(t, in), gr_neg(t, out)}, 4, 0);
}

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
