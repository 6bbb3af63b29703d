/* reduce.c: sums, means, extremes and log-sum-exp over any axes. */
#include "autograd/op_kit.h"

/* The input as groups of axes, alternately kept and reduced: rows of the last group, and for each the place of its
 * result. Most reductions have one group or two. */
typedef struct rows {
    int n_groups; /* in front of the last */
    int64_t size[GR_MAX_RANK];
    int64_t stride[GR_MAX_RANK]; /* of the result; 0 where reduced */
    int64_t count, length;       /* of rows; of one row */
    bool reduced;                /* a row becomes one number */
    const void *x;
    void *y;
    double *totals; /* of the result's shape: what is added up instead of y */
} rows;

static inline int64_t row_place(const rows *r, int64_t row)
{
    int64_t place = 0;
    for (int i = r->n_groups - 1; i > 0; i--) {
        place += row % r->size[i] * r->stride[i];
        row /= r->size[i];
    }
    return r->n_groups ? place + row * r->stride[0] : 0;
}

/* A whole tensor into one number, in blocks that do not depend on the number of threads. */
enum { MAX_BLOCKS = 1024 };
typedef struct blocks {
    const void *x;
    int64_t size;
    double shift; /* of the exponent, for logsumexp */
    double partial[MAX_BLOCKS];
} blocks;

static inline int64_t block_size(int64_t n)
{
    int64_t size = (n + MAX_BLOCKS - 1) / MAX_BLOCKS;
    return size < GR_GRAIN ? GR_GRAIN : size;
}

static rows rows_of(const gr_node *n);

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

static rows rows_of(const gr_node *n)
{
    const gr_tensor *x = n->in[0];
    unsigned mask = axes_mask(n);
    int64_t size[GR_MAX_RANK + 1];
    bool reduced[GR_MAX_RANK + 1];
    int groups = 0;
    size[0] = 1;
    reduced[0] = true;
    for (int i = 0; i < x->rank; i++) {
        bool is = mask >> i & 1;
        if (x->shape[i] == 1) continue;
        if (!groups || reduced[groups - 1] != is) {
            size[groups] = 1;
            reduced[groups++] = is;
        }
        size[groups - 1] *= x->shape[i];
    }
    int last = groups ? groups - 1 : 0;
    rows r = {
        .n_groups = last, .count = 1, .length = size[last], .reduced = reduced[last], .x = x->data, .y = n->out->data};
    int64_t stride = r.reduced ? 1 : r.length;
    for (int i = last - 1; i >= 0; i--) {
        r.size[i] = size[i];
        r.stride[i] = reduced[i] ? 0 : stride;
        if (!reduced[i]) stride *= size[i];
        r.count *= size[i];
    }
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

/* A tensor of the result's shape, with the reduced axes back as 1, so that it broadcasts over the input. */
static gr_tensor *with_axes(gr_tape *t, const gr_node *n, gr_tensor *y)
{
    const gr_tensor *x = n->in[0];
    unsigned mask = axes_mask(n);
    int64_t shape[GR_MAX_RANK];
    for (int i = 0; i < x->rank; i++) shape[i] = mask >> i & 1 ? 1 : x->shape[i];
    return gr_reshape(t, y, x->rank, shape);
}

#define REDUCTION(kernel) .n_in = 1, .attr_size = sizeof(gr_reduce_attr), .forward = GR_KERNELS(kernel)

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

static void branch_winners(const gr_node *n, uint64_t *signature)
{
    const rows r = rows_of(n);
    for (int64_t row = 0; row < r.count; row++)
        for (int64_t i = 0; i < r.length; i++) {
            int64_t from = row * r.length + i, place = row_place(&r, row) + (r.reduced ? 0 : i);
            if (gr_element(n->in[0], from) == gr_element(n->out, place)) gr_fold_branch(signature, from);
        }
}

/* ---- y = sum x:  dx = g over the reduced axes --------------------------------------------------------------- */

static gr_tensor *sum_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_broadcast_to(t, with_axes(t, n, g), n->in[0]->rank, n->in[0]->shape);
}

const gr_op gr_op_sum = {.name = "sum",
                         .formula = "y = sum x",
                         .gradient = "dx = g, repeated",
                         REDUCTION(sum),
                         .terms = sum_terms,
                         .shape = reduced_shape,
                         .vjp = {sum_vjp}};

gr_tensor *gr_sum(gr_tape *t, gr_tensor *x, int n_axes, const int axes[], bool keep)
{
    return reduce(t, &gr_op_sum, x, n_axes, axes, keep);
}

/* ---- y = (sum x) / n:  dx = g/n over the reduced axes ------------------------------------------------------- */

static gr_tensor *mean_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return sum_vjp(t, n, gr_scale(t, g, 1.0 / (double)reduced_count(n)));
}

const gr_op gr_op_mean = {.name = "mean",
                          .formula = "y = (sum x) / n",
                          .gradient = "dx = g / n, repeated",
                          REDUCTION(mean),
                          .terms = mean_terms,
                          .shape = reduced_shape_of_some,
                          .vjp = {mean_vjp}};

gr_tensor *gr_mean(gr_tape *t, gr_tensor *x, int n_axes, const int axes[], bool keep)
{
    return reduce(t, &gr_op_mean, x, n_axes, axes, keep);
}

/* ---- y = max x:  dx = g [x = y] / number of winners --------------------------------------------------------- */

static gr_tensor *extreme_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const gr_reduce_attr *r = n->attr;
    gr_tensor *won = gr_equal(t, n->in[0], with_axes(t, n, n->out));
    gr_tensor *winners = gr_sum(t, won, r->n_axes, r->axes, true);
    return gr_mul(t, with_axes(t, n, g), gr_div(t, won, winners));
}

const gr_op gr_op_max = {.name = "max",
                         .formula = "y = max x",
                         .gradient = "dx = g [x = y] / number of winners",
                         REDUCTION(max),
                         .branches = branch_winners,
                         .shape = reduced_shape_of_some,
                         .vjp = {extreme_vjp}};
const gr_op gr_op_min = {.name = "min",
                         .formula = "y = min x",
                         .gradient = "dx = g [x = y] / number of winners",
                         REDUCTION(min),
                         .branches = branch_winners,
                         .shape = reduced_shape_of_some,
                         .vjp = {extreme_vjp}};

gr_tensor *gr_max(gr_tape *t, gr_tensor *x, int n_axes, const int axes[], bool keep)
{
    return reduce(t, &gr_op_max, x, n_axes, axes, keep);
}

gr_tensor *gr_min(gr_tape *t, gr_tensor *x, int n_axes, const int axes[], bool keep)
{
    return reduce(t, &gr_op_min, x, n_axes, axes, keep);
}

/* ---- y = log sum e^x:  dx = g e^(x - y) --------------------------------------------------------------------- */

static gr_tensor *logsumexp_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_mul(t, with_axes(t, n, g), gr_exp(t, gr_sub(t, n->in[0], with_axes(t, n, n->out))));
}

const gr_op gr_op_logsumexp = {.name = "logsumexp",
                               .formula = "y = log sum e^x",
                               .gradient = "dx = g e^(x - y)",
                               REDUCTION(logsumexp),
                               .shape = reduced_shape_of_some,
                               .vjp = {logsumexp_vjp}};

gr_tensor *gr_logsumexp(gr_tape *t, gr_tensor *x, int n_axes, const int axes[], bool keep)
{
    return reduce(t, &gr_op_logsumexp, x, n_axes, axes, keep);
}

/* ---- Variance ----------------------------------------------------------------------------------------------- */

gr_tensor *gr_var(gr_tape *t, gr_tensor *x, int n_axes, const int axes[], bool keep, int correction)
{
    gr_tensor *mean = gr_mean(t, x, n_axes, axes, true);
    if (!mean) return NULL;
    int64_t count = x->size / (mean->size ? mean->size : 1);
    if (correction < 0 || count <= correction)
        return gr_fail(GR_ERR_SHAPE, "var: %lld elements with a correction of %d", (long long)count, correction), NULL;
    gr_tensor *sum = gr_sum(t, gr_square(t, gr_sub(t, x, mean)), n_axes, axes, keep);
    return gr_scale(t, sum, 1.0 / (double)(count - correction));
}
