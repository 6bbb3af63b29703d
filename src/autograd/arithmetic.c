/* arithmetic.c: ops of two or three tensors, element by element, with broadcasting. */
#include "autograd/tape_internal.h"
#include "tensor/broadcast.h"

struct accumulation {
    void *to;
    const void *from;
};

#define GR_KERNEL_FILE "autograd/arithmetic.kernels.inc"
#include "tensor/kernel.h"

#define BINARY(kernel) .n_in = 2, .shape = gr_shape_broadcast, .forward = GR_KERNELS(kernel##_map)

gr_tensor *gr_constant(gr_tape *t, gr_dtype dtype, double value)
{
    if (!t) return gr_fail_null("constant", "tape"), NULL;
    if (!gr_is_float(dtype)) return gr_fail(GR_ERR_DTYPE, "constant: expected f32 or f64"), NULL;
    gr_tensor *c = gr_result(t, dtype, GR_SCALAR);
    if (!c) return NULL;
    if (dtype == GR_F32) *(float *)c->data = (float)value;
    else *(double *)c->data = value;
    return c;
}

static gr_tensor *itself(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)t;
    (void)n;
    return g;
}

static gr_tensor *negated(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)n;
    return gr_neg(t, g);
}

/* What a sum of two numbers is the sum of. */
static int terms_of_sum(const gr_node *n, gr_term terms[GR_MAX_TERMS])
{
    terms[0] = (gr_term){n->in[0], 1.0};
    terms[1] = (gr_term){n->in[1], 1.0};
    return 2;
}

static int terms_of_difference(const gr_node *n, gr_term terms[GR_MAX_TERMS])
{
    terms[0] = (gr_term){n->in[0], 1.0};
    terms[1] = (gr_term){n->in[1], -1.0};
    return 2;
}

/* ---- y = a + b:  da = g,  db = g ---------------------------------------------------------------------------- */

const gr_op gr_op_add = {.name = "add",
                         .formula = "y = a + b",
                         .gradient = "da = g, db = g",
                         BINARY(add),
                         .terms = terms_of_sum,
                         .vjp = {itself, itself}};

gr_tensor *gr_add(gr_tape *t, gr_tensor *a, gr_tensor *b)
{
    return GR_CALL(add, NULL, a, b);
}

/* ---- y = a - b:  da = g,  db = -g --------------------------------------------------------------------------- */

const gr_op gr_op_sub = {.name = "sub",
                         .formula = "y = a - b",
                         .gradient = "da = g, db = -g",
                         BINARY(sub),
                         .terms = terms_of_difference,
                         .vjp = {itself, negated}};

gr_tensor *gr_sub(gr_tape *t, gr_tensor *a, gr_tensor *b)
{
    return GR_CALL(sub, NULL, a, b);
}

/* ---- y = a b:  da = g b,  db = g a -------------------------------------------------------------------------- */

static gr_tensor *mul_a(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_mul(t, g, n->in[1]);
}

static gr_tensor *mul_b(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_mul(t, g, n->in[0]);
}

const gr_op gr_op_mul = {
    .name = "mul", .formula = "y = a b", .gradient = "da = g b, db = g a", BINARY(mul), .vjp = {mul_a, mul_b}};

gr_tensor *gr_mul(gr_tape *t, gr_tensor *a, gr_tensor *b)
{
    return GR_CALL(mul, NULL, a, b);
}

/* ---- y = a / b:  da = g / b,  db = -g y / b ----------------------------------------------------------------- */

static gr_tensor *div_a(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_div(t, g, n->in[1]);
}

static gr_tensor *div_b(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_neg(t, gr_mul(t, g, gr_div(t, n->out, n->in[1])));
}

const gr_op gr_op_div = {
    .name = "div", .formula = "y = a / b", .gradient = "da = g / b, db = -g y / b", BINARY(div), .vjp = {div_a, div_b}};

gr_tensor *gr_div(gr_tape *t, gr_tensor *a, gr_tensor *b)
{
    return GR_CALL(div, NULL, a, b);
}

/* ---- y = a^b:  da = g b a^(b-1),  db = g y log a ------------------------------------------------------------ */

/* where b = 0 the function is the constant 1, also at a = 0: no 0 * inf */
static gr_tensor *pow_a(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_tensor *a = n->in[0], *b = n->in[1], *one = gr_constant(t, gr_type_of(a), 1.0);
    gr_tensor *exponent = gr_where(t, b, gr_shift(t, b, -1.0), one);
    return gr_mul(t, g, gr_mul(t, b, gr_pow(t, a, exponent)));
}

/* 0^b is 0 for b > 0, and stays it: no 0 * log 0 */
static gr_tensor *pow_b(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_tensor *a = n->in[0], *one = gr_constant(t, gr_type_of(a), 1.0);
    return gr_mul(t, g, gr_mul(t, n->out, gr_log(t, gr_where(t, a, a, one))));
}

const gr_op gr_op_pow = {.name = "pow",
                         .formula = "y = a^b",
                         .gradient = "da = g b a^(b-1), db = g y log a",
                         BINARY(pow),
                         .vjp = {pow_a, pow_b}};

gr_tensor *gr_pow(gr_tape *t, gr_tensor *a, gr_tensor *b)
{
    return GR_CALL(pow, NULL, a, b);
}

/* ---- y = min(a, b), max(a, b):  the winner's share of g is 1, and 1/2 in a tie ------------------------------ */

/* g ([a > b] + [a = b]/2) */
static gr_tensor *to_winner(gr_tape *t, gr_tensor *g, gr_tensor *a, gr_tensor *b)
{
    return gr_mul(t, g, gr_add(t, gr_greater(t, a, b), gr_scale(t, gr_equal(t, a, b), 0.5)));
}

static gr_tensor *larger_a(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return to_winner(t, g, n->in[0], n->in[1]);
}

static gr_tensor *larger_b(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return to_winner(t, g, n->in[1], n->in[0]);
}

const gr_op gr_op_maximum = {.name = "maximum",
                             .formula = "y = max(a, b)",
                             .gradient = "da = g [a > b], db = g [b > a], half of g each where a = b",
                             BINARY(maximum),
                             .branches = gr_branch_order,
                             .vjp = {larger_a, larger_b}};
const gr_op gr_op_minimum = {.name = "minimum",
                             .formula = "y = min(a, b)",
                             .gradient = "da = g [a < b], db = g [b < a], half of g each where a = b",
                             BINARY(minimum),
                             .branches = gr_branch_order,
                             .vjp = {larger_b, larger_a}};

gr_tensor *gr_maximum(gr_tape *t, gr_tensor *a, gr_tensor *b)
{
    return GR_CALL(maximum, NULL, a, b);
}

gr_tensor *gr_minimum(gr_tape *t, gr_tensor *a, gr_tensor *b)
{
    return GR_CALL(minimum, NULL, a, b);
}

/* ---- y = [a > b], [a = b]:  steps --------------------------------------------------------------------------- */

const gr_op gr_op_greater = {.name = "greater",
                             .formula = "y = [a > b]",
                             .gradient = "da = 0, db = 0",
                             BINARY(greater),
                             .branches = gr_branch_order,
                             .vjp = {gr_vjp_zero, gr_vjp_zero}};
const gr_op gr_op_equal = {.name = "equal",
                           .formula = "y = [a = b]",
                           .gradient = "da = 0, db = 0",
                           BINARY(equal),
                           .branches = gr_branch_order,
                           .vjp = {gr_vjp_zero, gr_vjp_zero}};

gr_tensor *gr_greater(gr_tape *t, gr_tensor *a, gr_tensor *b)
{
    return GR_CALL(greater, NULL, a, b);
}

gr_tensor *gr_equal(gr_tape *t, gr_tensor *a, gr_tensor *b)
{
    return GR_CALL(equal, NULL, a, b);
}

/* ---- y = c ? a : b:  da = c ? g : 0,  db = c ? 0 : g -------------------------------------------------------- */

static gr_tensor *where_a(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_where(t, n->in[0], g, gr_constant(t, gr_type_of(g), 0.0));
}

static gr_tensor *where_b(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_where(t, n->in[0], gr_constant(t, gr_type_of(g), 0.0), g);
}

const gr_op gr_op_where = {.name = "where",
                           .formula = "y = c ? a : b",
                           .gradient = "dc = 0, da = c ? g : 0, db = c ? 0 : g",
                           .n_in = 3,
                           .shape = gr_shape_broadcast,
                           .forward = GR_KERNELS(where_map),
                           .branches = gr_branch_sign,
                           .vjp = {gr_vjp_zero, where_a, where_b}};

gr_tensor *gr_where(gr_tape *t, gr_tensor *condition, gr_tensor *a, gr_tensor *b)
{
    return GR_CALL(where, NULL, condition, a, b);
}

/* ---- Adding up gradients ------------------------------------------------------------------------------------ */

static gr_span_body const accumulate_spans[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(accumulate_span);

void gr_accumulate(gr_tensor *to, const gr_tensor *from)
{
    gr_parallel(to->size, GR_GRAIN, accumulate_spans[gr_cpu_level()][to->dtype],
                &(struct accumulation){to->data, from->data});
}
