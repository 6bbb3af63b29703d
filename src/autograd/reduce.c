/* reduce.c: sums, means, extremes and log-sum-exp over any axes. */
#include <assert.h>

#include "autograd/op_kit.h"
#include "tensor/broadcast.h"

/* A reduction is a broadcast read backwards: y, its reduced axes left in place as 1, broadcasts to x. With neighbouring
 * axes of one kind merged, x is rows of `length`. If the last axis is reduced, a row becomes one number of y; if not,
 * it goes element by element to a row of y. Several rows may go to one place of y:
 *
 *     x [2,3,4,5], over axis 3:        24 rows of 5,  each to one number, row r at y[r]
 *     x [2,3,4,5], over axes 0 and 3:  24 rows of 5,  each to one number, row r at y[r % 12]
 *     x [2,3,4,5], over axis 1:         6 rows of 20, each to a row, row r at y[r / 3 * 20]
 */
typedef struct row_reduction {
    gr_broadcast y_over_x;
    int64_t rows, length;
    bool to_number; /* a row becomes one number */
    const void *x;  /* [rows,length] */
    void *y;        /* the result */
    double *totals; /* of the result's shape: what is added up instead of y; NULL: y is */
} row_reduction;

/* Where in y a row of x goes. */
static inline int64_t place_in_y(const row_reduction *r, int64_t row)
{
    return gr_broadcast_offset(&r->y_over_x, 0, row);
}

static row_reduction as_rows(const gr_node *n);

/* A whole tensor becomes one number block by block; the blocks do not depend on the number of threads. */
enum { MAX_BLOCKS = 1024 };
typedef struct block_sums {
    const void *x;
    int64_t block; /* elements of one */
    double sum[MAX_BLOCKS];
} block_sums;

static inline int64_t block_length(int64_t n)
{
    int64_t length = (n + MAX_BLOCKS - 1) / MAX_BLOCKS;
    return length < GR_GRAIN ? GR_GRAIN : length;
}

#define GR_KERNEL_FILE "autograd/reduce.kernels.inc"
#include "tensor/kernel.h"

/* ---- Axes --------------------------------------------------------------------------------------------------- */

/* Bit i is set when axis i is reduced; 0 with an error for axes that are none. */
static unsigned axes_mask(const gr_node *n)
{
    const gr_reduce_attr *r = n->attr;
    const gr_tensor *x = n->in[0];
    unsigned mask = 0;
    for (int i = 0; i < r->n_axes; i++) {
        int axis = gr_axis(x->rank, r->axes[i]);
        if (axis < 0 || mask >> axis & 1) {
            gr_fail(GR_ERR_INDEX, "%s: axis %d %s in %s", n->op->name, r->axes[i],
                    axis < 0 ? "is not" : "is named twice", GR_SHAPE_TEXT(x));
            return 0;
        }
        mask |= 1u << axis;
    }
    return r->n_axes ? mask : (1u << x->rank) - 1;
}

static gr_status reduced_shape(const gr_node *n, gr_type *type)
{
    if (gr_expect_float(n)) return gr_last_status();
    const gr_reduce_attr *r = n->attr;
    const gr_tensor *x = n->in[0];
    unsigned mask = axes_mask(n);
    if (!mask && r->n_axes) return gr_last_status();
    type->dtype = gr_type_of(x);
    type->rank = 0;
    for (int i = 0; i < x->rank; i++)
        if (!(mask >> i & 1)) type->shape[type->rank++] = x->shape[i];
        else if (r->keep) type->shape[type->rank++] = 1;
    return GR_OK;
}

/* How many elements become one. */
static int64_t reduced_count(const gr_node *n)
{
    unsigned mask = axes_mask(n);
    int64_t count = 1;
    for (int i = 0; i < n->in[0]->rank; i++)
        if (mask >> i & 1) count *= n->in[0]->shape[i];
    return count;
}

static gr_status reduced_shape_of_some(const gr_node *n, gr_type *type)
{
    if (reduced_shape(n, type)) return gr_last_status();
    if (reduced_count(n) == 0) return gr_fail(GR_ERR_SHAPE, "%s: of nothing: %s", n->op->name, GR_SHAPE_TEXT(n->in[0]));
    return GR_OK;
}

/* The result's shape with the reduced axes left in place as 1, so that it broadcasts over x. */
static void shape_over_x(const gr_node *n, int64_t shape[GR_MAX_RANK])
{
    unsigned mask = axes_mask(n);
    for (int i = 0; i < n->in[0]->rank; i++) shape[i] = mask >> i & 1 ? 1 : n->in[0]->shape[i];
}

static gr_tensor *over_x(gr_tape *t, const gr_node *n, gr_tensor *y)
{
    int64_t shape[GR_MAX_RANK];
    shape_over_x(n, shape);
    return gr_as_shape(t, y, n->in[0]->rank, shape);
}

static row_reduction as_rows(const gr_node *n)
{
    gr_tensor *x = n->in[0], y = {.dtype = n->out->dtype, .rank = x->rank, .size = n->out->size};
    shape_over_x(n, y.shape);
    row_reduction r = {.rows = 1, .x = x->data, .y = n->out->data};
    gr_broadcast_plan(&r.y_over_x, x, (gr_tensor *[]){&y}, 1);
    for (int i = 0; i < r.y_over_x.n_outer; i++) r.rows *= r.y_over_x.outer[i];
    r.length = r.y_over_x.inner;
    r.to_number = !r.y_over_x.step[0];
    assert(r.rows * r.length == x->size);
    return r;
}

static gr_tensor *reduce(gr_tape *t, const gr_op *op, gr_tensor *x, int n_axes, const int axes[], bool keep)
{
    if (n_axes < 0 || n_axes > GR_MAX_RANK)
        return gr_fail(GR_ERR_INDEX, "%s: %d axes, expected 0 to %d", op->name, n_axes, GR_MAX_RANK), NULL;
    if (n_axes && !axes) return gr_fail_null(op->name, "the list of axes"), NULL;
    gr_reduce_attr r = {.n_axes = n_axes, .keep = keep};
    for (int i = 0; i < n_axes; i++) r.axes[i] = axes[i];
    return gr_apply(t, op, &x, 1, &r);
}

#define REDUCTION(kernel) .n_in = 1, .attr_size = sizeof(gr_reduce_attr), .forward = GR_KERNELS(kernel)

/* The public function of an op: gr_sum() of gr_op_sum. */
#define REDUCTION_CALL(name)                                                                \
    gr_tensor *gr_##name(gr_tape *t, gr_tensor *x, int n_axes, const int axes[], bool keep) \
    {                                                                                       \
        return reduce(t, &gr_op_##name, x, n_axes, axes, keep);                             \
    }

/* The gradient checker's view: a sum's terms, and the winners of max and min. */
static int sum_terms(const gr_node *n, gr_term terms[GR_MAX_TERMS])
{
    terms[0] = (gr_term){n->in[0], 1.0};
    return 1;
}

static int mean_terms(const gr_node *n, gr_term terms[GR_MAX_TERMS])
{
    terms[0] = (gr_term){n->in[0], 1.0 / (double)n->in[0]->size};
    return 1;
}

static void extreme_branches(const gr_node *n, uint64_t *signature)
{
    const row_reduction r = as_rows(n);
    for (int64_t row = 0; row < r.rows; row++)
        for (int64_t i = 0; i < r.length; i++) {
            int64_t in_x = row * r.length + i, in_y = place_in_y(&r, row) + (r.to_number ? 0 : i);
            if (gr_element(n->in[0], in_x) == gr_element(n->out, in_y)) gr_fold_branch(signature, in_x);
        }
}

/* ---- y = sum x:  dx = g over the reduced axes --------------------------------------------------------------- */

static gr_tensor *sum_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_as_wide(t, over_x(t, n, g), n->in[0]->rank, n->in[0]->shape);
}

const gr_op gr_op_sum = {GR_NAMED(sum, "y = sum x", "dx = g, repeated"), REDUCTION(sum), .terms = sum_terms,
                         .shape = reduced_shape, .vjp = {sum_vjp}};

REDUCTION_CALL(sum)

/* ---- y = (sum x) / n:  dx = g/n over the reduced axes ------------------------------------------------------- */

static gr_tensor *mean_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return sum_vjp(t, n, gr_scale(t, g, 1.0 / (double)reduced_count(n)));
}

const gr_op gr_op_mean = {GR_NAMED(mean, "y = (sum x) / n", "dx = g / n, repeated"), REDUCTION(mean),
                          .terms = mean_terms, .shape = reduced_shape_of_some, .vjp = {mean_vjp}};

REDUCTION_CALL(mean)

/* ---- y = max x:  dx = g [x = y] / number of winners --------------------------------------------------------- */

static gr_tensor *extreme_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const gr_reduce_attr *r = n->attr;
    gr_tensor *won = gr_equal(t, n->in[0], over_x(t, n, n->out));
    gr_tensor *winners = gr_sum(t, won, r->n_axes, r->axes, true);
    return gr_weighed(t, gr_div(t, won, winners), over_x(t, n, g));
}

const gr_op gr_op_max = {GR_NAMED(max, "y = max x", "dx = g [x = y] / number of winners"), REDUCTION(max),
                         .branches = extreme_branches, .shape = reduced_shape_of_some, .vjp = {extreme_vjp}};
const gr_op gr_op_min = {GR_NAMED(min, "y = min x", "dx = g [x = y] / number of winners"), REDUCTION(min),
                         .branches = extreme_branches, .shape = reduced_shape_of_some, .vjp = {extreme_vjp}};

REDUCTION_CALL(max)
REDUCTION_CALL(min)

/* ---- y = log sum e^x:  dx = g e^x / sum e^x, and 0 where all x are -inf ------------------------------------- */

/* Far from 0 y is rounded by too much to be subtracted; m, the largest x, is as good a constant. Only where all x are
 * -inf is the sum 0 and not 1 or more. The forward pass has saved m and the sum, the second as a number. */
static gr_tensor *logsumexp_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const gr_reduce_attr *r = n->attr;
    gr_tensor *e = gr_exp(t, gr_sub(t, n->in[0], over_x(t, n, gr_slice(t, n->saved, 0, 0, 1))));
    gr_tensor *sum =
        gr_takes_shortcut(t) ? over_x(t, n, gr_slice(t, n->saved, 0, 1, 2)) : gr_sum(t, e, r->n_axes, r->axes, true);
    return gr_mul(t, e, gr_div(t, over_x(t, n, g), gr_clamp(t, sum, 0.5, (double)INFINITY)));
}

const gr_op gr_op_logsumexp = {GR_NAMED(logsumexp, "y = log sum e^x", "dx = g e^x / sum e^x"), REDUCTION(logsumexp),
                               .shape = reduced_shape_of_some, .vjp = {logsumexp_vjp}};

REDUCTION_CALL(logsumexp)

/* ---- Variance ----------------------------------------------------------------------------------------------- */

/* Twice: far from 0 the mean is rounded by what matters beside x - mean, and the mean of that is not. */
gr_tensor *gr_centred(gr_tape *t, gr_tensor *x, int n_axes, const int axes[])
{
    gr_tensor *once = gr_sub(t, x, gr_mean(t, x, n_axes, axes, true));
    return gr_sub(t, once, gr_mean(t, once, n_axes, axes, true));
}

gr_tensor *gr_var(gr_tape *t, gr_tensor *x, int n_axes, const int axes[], bool keep, int correction)
{
    if (gr_expect_inputs("var", t, &x, 1, 0) || gr_expect_floats("var", &x, 1)) return NULL;
    gr_tensor *centred = gr_centred(t, x, n_axes, axes);
    if (!centred) return NULL;
    assert(n_axes == 0 || axes);
    int64_t count = n_axes ? 1 : x->size;
    for (int i = 0; i < n_axes; i++) count *= gr_dim(x, axes[i]);
    if (correction < 0 || count <= correction)
        return gr_fail(GR_ERR_SHAPE, "var: %lld elements with a correction of %d", (long long)count, correction), NULL;
    gr_tensor *sum = gr_sum(t, gr_square(t, centred), n_axes, axes, keep);
    return gr_scale(t, sum, 1.0 / (double)(count - correction));
}
