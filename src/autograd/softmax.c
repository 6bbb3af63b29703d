/* softmax.c: softmax and its logarithm along one axis. */
#ifndef K
#include "autograd/internal.h"

typedef struct axis_attr {
    int axis;
} axis_attr;

/* The tensor seen as [outer, c, inner] around the axis. */
typedef struct planes {
    const gr_node *n;
    int64_t c, inner;
    bool logarithm;
} planes;

static planes planes_of(const gr_node *n, bool logarithm)
{
    const gr_tensor *x = n->in[0];
    int axis = gr_axis(x->rank, ((const axis_attr *)n->attr)->axis);
    planes p = {.n = n, .c = x->shape[axis], .inner = 1, .logarithm = logarithm};
    for (int i = axis + 1; i < x->rank; i++) p.inner *= x->shape[i];
    return p;
}

enum { ROWS_AT_ONCE = 64, COLUMNS_AT_ONCE = 256 };

#define GR_KERNEL_FILE "autograd/softmax.c"
#include "tensor/kernel.h"

static gr_status softmax_shape(const gr_node *n, gr_type *type)
{
    if (gr_same_float(n)) return gr_last_status();
    const gr_tensor *x = n->in[0];
    int axis = ((const axis_attr *)n->attr)->axis;
    if (gr_axis(x->rank, axis) < 0)
        return gr_fail(GR_ERR_INDEX, "%s: axis %d is not in %s", n->op->name, axis, GR_SHAPE_OF(x));
    if (x->shape[gr_axis(x->rank, axis)] == 0)
        return gr_fail(GR_ERR_SHAPE, "%s: of nothing: %s", n->op->name, GR_SHAPE_OF(x));
    gr_type_as(type, x);
    return GR_OK;
}

static gr_tensor *sum_along(gr_tape *t, const gr_node *n, gr_tensor *x)
{
    return gr_sum(t, x, 1, &((const axis_attr *)n->attr)->axis, true);
}

/* dx = y (g - sum g y) */
static gr_tensor *softmax_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_mul(t, n->out, gr_sub(t, g, sum_along(t, n, gr_mul(t, g, n->out))));
}

/* dx = g - e^y sum g */
static gr_tensor *log_softmax_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_sub(t, g, gr_mul(t, gr_exp(t, n->out), sum_along(t, n, g)));
}

static const gr_sample samples[] = {
    {.what = "rows", .in = {GR_IN(-2, 2, 3, 4)}, .attr = &(axis_attr){1}},
    {.what = "columns", .in = {GR_IN(-2, 2, 3, 4)}, .attr = &(axis_attr){0}},
    {.what = "channels", .in = {GR_IN(-2, 2, 2, 3, 2, 2)}, .attr = &(axis_attr){1}},
    {.what = "one class", .in = {GR_IN(-2, 2, 3, 1)}, .attr = &(axis_attr){-1}},
    {.what = "many classes", .in = {GR_IN(-2, 2, 2, 40)}, .attr = &(axis_attr){-1}},
    {.what = "extreme",
     .in = {{.rank = 2, .shape = {2, 3}, .values = (double[]){1000, -1000, 0, 40, -40, 39}, .n_values = 6}},
     .attr = &(axis_attr){1}},
    {.what = "no rows", .in = {GR_IN(0, 1, 0, 3)}, .attr = &(axis_attr){1}},
    {.what = "no such axis", .in = {GR_IN(0, 1, 3, 4)}, .attr = &(axis_attr){2}, .refused = "axis 2 is not in [3,4]"},
    {.what = "no classes", .in = {GR_IN(0, 1, 3, 0)}, .attr = &(axis_attr){1}, .refused = "of nothing"},
    {.what = "class indices",
     .in = {{.rank = 1, .shape = {3}, .integer = true}},
     .attr = &(axis_attr){0},
     .refused = "i32"},
};

#define SOFTMAX(kernel)                                                                               \
    .n_in = 1, .shape = softmax_shape, .attr_size = sizeof(axis_attr), .forward = GR_KERNELS(kernel), \
    GR_SAMPLES(samples)

const gr_op gr_op_softmax = {.name = "softmax",
                             .formula = "y_c = e^x_c / sum e^x",
                             .gradient = "dx = y (g - sum g y)",
                             SOFTMAX(softmax),
                             .vjp = {softmax_vjp}};
const gr_op gr_op_log_softmax = {.name = "log_softmax",
                                 .formula = "y_c = x_c - log sum e^x",
                                 .gradient = "dx = g - e^y sum g",
                                 SOFTMAX(log_softmax),
                                 .vjp = {log_softmax_vjp}};

gr_tensor *gr_softmax(gr_tape *t, gr_tensor *x, int axis)
{
    return GR_CALL(softmax, &(axis_attr){axis}, x);
}

gr_tensor *gr_log_softmax(gr_tape *t, gr_tensor *x, int axis)
{
    return GR_CALL(log_softmax, &(axis_attr){axis}, x);
}

#else /* ---- once per number type and processor ---------------------------------------------------------------- */

#include "tensor/softmax.inc"

/* Rows of consecutive classes. */
static void K(softmax_rows)(void *context, int64_t begin, int64_t end)
{
    const planes *p = context;
    const int64_t c = p->c;
    real m[ROWS_AT_ONCE], sum[ROWS_AT_ONCE];
    for (int64_t row = begin; row < end; row += ROWS_AT_ONCE) {
        int64_t n = end - row < ROWS_AT_ONCE ? end - row : ROWS_AT_ONCE;
        const real *restrict x = (const real *)p->n->in[0]->data + row * c;
        real *restrict y = (real *)p->n->out->data + row * c;
        K(exp_rows)(x, y, m, n, c);
        K(sum_rows)(y, sum, n, c);
        for (int64_t i = 0; i < n; i++) {
            const real log_sum = K(log)(sum[i]), factor = 1 / sum[i];
            if (p->logarithm)
                for (int64_t j = 0; j < c; j++) y[i * c + j] = (x[i * c + j] - m[i]) - log_sum;
            else
                for (int64_t j = 0; j < c; j++) y[i * c + j] *= factor;
        }
    }
}

/* Classes that lie `inner` elements apart: a span of neighbouring positions at once. */
static void K(softmax_columns)(const planes *p, const real *restrict x, real *restrict y, int64_t n)
{
    real m[COLUMNS_AT_ONCE], sum[COLUMNS_AT_ONCE];
    for (int64_t i = 0; i < n; i++) m[i] = x[i], sum[i] = 0;
    for (int64_t j = 1; j < p->c; j++)
        for (int64_t i = 0; i < n; i++) m[i] = m[i] > x[j * p->inner + i] ? m[i] : x[j * p->inner + i];
    for (int64_t j = 0; j < p->c; j++)
        for (int64_t i = 0; i < n; i++) {
            real e = K(exp)(x[j * p->inner + i] - m[i]);
            y[j * p->inner + i] = e;
            sum[i] += e;
        }
    for (int64_t i = 0; i < n; i++) sum[i] = p->logarithm ? K(log)(sum[i]) : 1 / sum[i];
    for (int64_t j = 0; j < p->c; j++)
        for (int64_t i = 0; i < n; i++)
            if (p->logarithm) y[j * p->inner + i] = (x[j * p->inner + i] - m[i]) - sum[i];
            else y[j * p->inner + i] *= sum[i];
}

static void K(softmax_planes)(void *context, int64_t begin, int64_t end)
{
    const planes *p = context;
    for (int64_t at = begin, n; at < end; at += n) {
        int64_t plane = at / p->inner, column = at % p->inner, left = p->inner - column;
        n = left < end - at ? left : end - at;
        n = n < COLUMNS_AT_ONCE ? n : COLUMNS_AT_ONCE;
        int64_t offset = plane * p->c * p->inner + column;
        K(softmax_columns)(p, (const real *)p->n->in[0]->data + offset, (real *)p->n->out->data + offset, n);
    }
}

static void K(softmax_any)(planes p)
{
    int64_t positions = p.n->out->size / p.c, grain = GR_GRAIN / p.c / COLUMNS_AT_ONCE * COLUMNS_AT_ONCE;
    gr_parallel(positions, grain ? grain : COLUMNS_AT_ONCE, p.inner == 1 ? K(softmax_rows) : K(softmax_planes), &p);
}

static gr_status K(softmax)(gr_node *n)
{
    K(softmax_any)(planes_of(n, false));
    return GR_OK;
}

static gr_status K(log_softmax)(gr_node *n)
{
    K(softmax_any)(planes_of(n, true));
    return GR_OK;
}
#endif
