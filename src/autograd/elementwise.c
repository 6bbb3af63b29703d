/* elementwise.c: ops that compute each element of their result from one element of each input. Most of them are a row
 * of rows.def, and here stands what becomes of a row; ops that need more have a page each. */
#include "autograd/tape_internal.h"
#include "tensor/broadcast.h"

/* The numbers among an op's options, which most ops have none of. */
static inline double number_a(const gr_node *n) { return n->attr ? ((const gr_scalars *)n->attr)->a : 0.0; }

static inline double number_b(const gr_node *n) { return n->attr ? ((const gr_scalars *)n->attr)->b : 0.0; }

/* Runs a kernel's spans over the elements, whose body is given the node; or, for map2, how the inputs broadcast. */
static inline gr_status run_map1(gr_node *n, gr_span_body body)
{
    gr_parallel(n->out->size, GR_GRAIN, body, n);
    return GR_OK;
}

static inline gr_status run_map2(gr_node *n, gr_span_body body)
{
    gr_broadcast p;
    gr_broadcast_plan(&p, n->out, n->in, n->n_in);
    gr_parallel(n->out->size, GR_GRAIN, body, &p);
    return GR_OK;
}

typedef struct accumulation {
    void *to;
    const void *from;
} accumulation;

#define GR_KERNEL_FILE "autograd/elementwise.kernels.inc"
#include "tensor/kernel.h"

/* Of an op of x and a number, with which the kernels compute in x's dtype. */
static gr_status shape_with_number(const gr_node *n, gr_type *type)
{
    if (gr_shape_same(n, type)) return gr_last_status();
    const double a = number_a(n);
    const bool is_finite = a - a == 0.0;
    /* To arithmetic NaN and infinities are numbers; in a case of a function they could lie hidden until it is met. */
    if (!is_finite && !n->op->branches) return GR_OK;
    return gr_expect_usable(n->op->name, "the number", type->dtype, a);
}

/* ---- A number as a tensor ----------------------------------------------------------------------------------- */

gr_tensor *gr_constant(gr_tape *t, gr_dtype dtype, double value)
{
    if (!t) return gr_fail_null("constant", "tape"), NULL;
    if (!gr_is_float(dtype)) return gr_fail(GR_ERR_DTYPE, "constant: expected f32 or f64"), NULL;
    if (gr_expect_held("constant", dtype, value)) return NULL;
    gr_tensor *c = gr_result(t, dtype, GR_SCALAR);
    if (!c) return NULL;
    if (dtype == GR_F32) *(float *)c->data = (float)value;
    else *(double *)c->data = value;
    return c;
}

gr_tensor *gr_weighed_by(gr_tape *t, double factor, gr_tensor *x)
{
    return x ? gr_weighed(t, gr_constant(t, gr_type_of(x), factor), x) : NULL;
}

/* ---- y = c ? a : b:  da = c ? g : 0,  db = c ? 0 : g -------------------------------------------------------- */

static gr_tensor *where_da(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_where(t, n->in[0], g, gr_constant(t, gr_type_of(g), 0.0));
}

static gr_tensor *where_db(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_where(t, n->in[0], gr_constant(t, gr_type_of(g), 0.0), g);
}

const gr_op gr_op_where = {GR_NAMED(where, "y = c ? a : b", "dc = 0, da = c ? g : 0, db = c ? 0 : g"),
                           .n_in = 3,
                           .shape = gr_shape_broadcast,
                           .forward = GR_KERNELS(where_map),
                           .branches = gr_branch_sign,
                           .vjp = {gr_vjp_zero, where_da, where_db}};

gr_tensor *gr_where(gr_tape *t, gr_tensor *condition, gr_tensor *a, gr_tensor *b)
{
    return GR_CALL(where, NULL, condition, a, b);
}

/* ---- y = min(max(x, a), b):  dx = g [a <= x <= b], NaN where x is NaN ------------------------------------------ */

static gr_status clamp_shape(const gr_node *n, gr_type *type)
{
    const gr_scalars *s = n->attr;
    if (!(s->a <= s->b))
        return gr_fail(GR_ERR_OPTION, "%s: bounds %s and %s hold nothing", n->op->name, GR_NUMBER_TEXT(s->a),
                       GR_NUMBER_TEXT(s->b));
    if (gr_shape_same(n, type) || gr_expect_held(n->op->name, type->dtype, s->a)) return gr_last_status();
    return gr_expect_held(n->op->name, type->dtype, s->b);
}

const gr_op gr_op_inside = {GR_NAMED(inside, "y = [a <= x <= b]", "dx = 0"),
                            .n_in = 1,
                            .shape = clamp_shape,
                            .forward = GR_KERNELS(inside_map),
                            .attr_size = sizeof(gr_scalars),
                            .branches = gr_branch_bounds,
                            .vjp = {gr_vjp_zero}};

static gr_tensor *clamp_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_weighed(t, GR_CALL(inside, n->attr, n->in[0]), g);
}

const gr_op gr_op_clamp = {GR_NAMED(clamp, "y = min(max(x, a), b)", "dx = g [a <= x <= b]"),
                           .n_in = 1,
                           .shape = clamp_shape,
                           .forward = GR_KERNELS(clamp_map),
                           .attr_size = sizeof(gr_scalars),
                           .branches = gr_branch_bounds,
                           .vjp = {clamp_vjp}};

gr_tensor *gr_clamp(gr_tape *t, gr_tensor *x, double lo, double hi)
{
    return GR_CALL(clamp, (&(gr_scalars){lo, hi}), x);
}

/* ---- y = x^a:  dx = g a x^(a-1), of x^0 0, also at x = 0 ----------------------------------------------------- */

static gr_tensor *pow_scalar_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const double a = number_a(n);
    return a == 0.0 ? gr_weighed_by(t, 0.0, g) : gr_mul(t, g, gr_scale(t, gr_pow_scalar(t, n->in[0], a - 1.0), a));
}

const gr_op gr_op_pow_scalar = {GR_NAMED(pow_scalar, "y = x^a", "dx = g a x^(a-1)"),
                                .n_in = 1,
                                .shape = gr_shape_same,
                                .forward = GR_KERNELS(pow_scalar_map),
                                .attr_size = sizeof(gr_scalars),
                                .vjp = {pow_scalar_vjp}};

gr_tensor *gr_pow_scalar(gr_tape *t, gr_tensor *x, double a) { return GR_CALL(pow_scalar, &(gr_scalars){.a = a}, x); }

/* ---- The derivative of sigmoid, z = g y (1 - y):  dg = h y (1 - y),  dy = h g (1 - 2y),  h that of z ---------- */

static gr_tensor *sigmoid_grad(gr_tape *t, gr_tensor *g, gr_tensor *y) { return GR_CALL(sigmoid_grad, NULL, g, y); }

static gr_tensor *sigmoid_grad_dg(gr_tape *t, const gr_node *n, gr_tensor *h) { return sigmoid_grad(t, h, n->in[1]); }

static gr_tensor *sigmoid_grad_dy(gr_tape *t, const gr_node *n, gr_tensor *h)
{
    return gr_mul(t, gr_mul(t, h, n->in[0]), gr_shift(t, gr_scale(t, n->in[1], -2.0), 1.0));
}

const gr_op gr_op_sigmoid_grad = {
    GR_NAMED(sigmoid_grad, "z = g y (1 - y)", "dg = h y (1 - y), dy = h g (1 - 2 y), h that of z"), .n_in = 2,
    .shape = gr_shape_same, .forward = GR_KERNELS(sigmoid_grad_map), .vjp = {sigmoid_grad_dg, sigmoid_grad_dy}};

/* ---- The derivative of relu and its kin, z = [x > 0 ? a : b] g:  dx = 0,  dg = h [x > 0 ? a : b]
 * A factor of 0 gives 0 whatever g is, and an x of NaN gives NaN. */

static gr_tensor *gate(gr_tape *t, gr_tensor *g, gr_tensor *x, double above, double below)
{
    return GR_CALL(gate, (&(gr_scalars){above, below}), x, g);
}

static gr_tensor *gate_dg(gr_tape *t, const gr_node *n, gr_tensor *h)
{
    return gate(t, h, n->in[0], number_a(n), number_b(n));
}

const gr_op gr_op_gate = {GR_NAMED(gate, "z = [x > 0 ? a : b] g", "dg = h [x > 0 ? a : b], dx = 0, h that of z"),
                          .n_in = 2,
                          .shape = gr_shape_same,
                          .forward = GR_KERNELS(gate_map),
                          .attr_size = sizeof(gr_scalars),
                          .branches = gr_branch_sign,
                          .vjp = {gr_vjp_zero, gate_dg}};

/* ---- y = a + (b - c), exactly a where b = c:  da = g, db = g, dc = -g ---------------------------------------- */

static gr_tensor *corrected_dc(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)n;
    return gr_neg(t, g);
}

const gr_op gr_op_corrected = {GR_NAMED(corrected, "y = a + (b - c)", "da = g, db = g, dc = -g"), .n_in = 3,
                               .shape = gr_shape_same, .forward = GR_KERNELS(corrected_map),
                               .vjp = {gr_vjp_same, gr_vjp_same, corrected_dc}};

gr_tensor *gr_corrected(gr_tape *t, gr_tensor *value, gr_tensor *d)
{
    return GR_CALL(corrected, NULL, value, d, gr_detach(t, d));
}

/* ---- Parts of the rows' VJPs -------------------------------------------------------------------------------- */

/* b a^(b-1). Where b is 0 that is 0 whatever a is: there 1 stands for an a of 0 or NaN, but another a stays, for the
 * derivative by b is 1/a. */
static gr_tensor *pow_slope(gr_tape *t, gr_tensor *a, gr_tensor *b)
{
    const gr_dtype dtype = gr_type_of(a);
    gr_tensor *one = gr_constant(t, dtype, 1.0), *zero = gr_constant(t, dtype, 0.0);
    gr_tensor *base = gr_where(t, gr_where(t, b, one, gr_greater(t, gr_abs(t, a), zero)), a, one);
    return gr_weighed(t, b, gr_pow(t, base, gr_shift(t, b, -1.0)));
}

/* y log a, y = a^b, and 0 where y is: 0^b stays 0 for b > 0. */
static gr_tensor *pow_slope_by_exponent(gr_tape *t, gr_tensor *a, gr_tensor *y)
{
    return gr_mul(t, y, gr_log(t, gr_where(t, y, a, gr_constant(t, gr_type_of(a), 1.0))));
}

/* g [x > 0] + g a [x <= 0] e^min(x, 0) */
static gr_tensor *elu_dx(gr_tape *t, gr_tensor *g, gr_tensor *x, double a)
{
    gr_tensor *below = gr_exp(t, gr_clamp(t, x, -(double)INFINITY, 0.0));
    return gr_add(t, gate(t, g, x, 1.0, 0.0), gr_mul(t, gate(t, g, x, 0.0, a), below));
}

/* phi(x) = e^(-x^2/2) / sqrt(2 pi) */
static gr_tensor *normal_density(gr_tape *t, gr_tensor *x)
{
    return gr_scale(t, gr_exp(t, gr_scale(t, gr_square(t, x), -0.5)), 0.39894228040143268);
}

/* For gelu and silu: beyond |x| = 1e4 their slope is exactly 0 or 1; clamping avoids inf * 0. */
static gr_tensor *bounded(gr_tape *t, gr_tensor *x) { return gr_clamp(t, x, -1e4, 1e4); }

/* Phi(x) + x phi(x) */
static gr_tensor *gelu_slope(gr_tape *t, gr_tensor *x)
{
    return gr_add(t, gr_normal_cdf(t, x), gr_mul(t, x, normal_density(t, x)));
}

/* s(x) (1 + x s(-x)) */
static gr_tensor *silu_slope(gr_tape *t, gr_tensor *x)
{
    gr_tensor *s_minus = gr_sigmoid(t, gr_neg(t, x));
    return gr_mul(t, gr_sigmoid(t, x), gr_shift(t, gr_mul(t, x, s_minus), 1.0));
}

/* ---- What sums are the sum of ------------------------------------------------------------------------------- */

static int add_terms(const gr_node *n, gr_term terms[GR_MAX_TERMS])
{
    terms[0] = (gr_term){n->in[0], 1.0};
    terms[1] = (gr_term){n->in[1], 1.0};
    return 2;
}

static int sub_terms(const gr_node *n, gr_term terms[GR_MAX_TERMS])
{
    terms[0] = (gr_term){n->in[0], 1.0};
    terms[1] = (gr_term){n->in[1], -1.0};
    return 2;
}

static int neg_terms(const gr_node *n, gr_term terms[GR_MAX_TERMS])
{
    terms[0] = (gr_term){n->in[0], -1.0};
    return 1;
}

static int scale_terms(const gr_node *n, gr_term terms[GR_MAX_TERMS])
{
    terms[0] = (gr_term){n->in[0], number_a(n)};
    return 1;
}

static int shift_terms(const gr_node *n, gr_term terms[GR_MAX_TERMS])
{
    terms[0] = (gr_term){n->in[0], 1.0};
    terms[1] = (gr_term){NULL, number_a(n)};
    return 2;
}

/* ---- The rows ----------------------------------------------------------------------------------------------- */

#define SMOOTH .branches = NULL
#define CASES(rule) .branches = gr_branch_##rule
#define TERMS(op) .terms = op##_terms
#define IN_PLACE .in_place = true

/* The VJPs: expressions in the names that rows use. */
#define UNARY_VJP(rule, dx)                                            \
    static gr_tensor *rule(gr_tape *t, const gr_node *n, gr_tensor *g) \
    {                                                                  \
        gr_tensor *x = n->in[0], *y = n->out;                          \
        double a = number_a(n);                                        \
        return (void)t, (void)x, (void)y, (void)a, dx;                 \
    }
#define BINARY_VJP(rule, da)                                           \
    static gr_tensor *rule(gr_tape *t, const gr_node *n, gr_tensor *g) \
    {                                                                  \
        gr_tensor *a = n->in[0], *b = n->in[1], *y = n->out;           \
        return (void)t, (void)a, (void)b, (void)y, da;                 \
    }

/* The records. */
#define UNARY_RECORD(op, f, df, shape_rule, rule, ...)         \
    const gr_op gr_op_##op = {.name = #op,                     \
                              .formula = "y = " f,             \
                              .gradient = "dx = " df,          \
                              .n_in = 1,                       \
                              .shape = shape_rule,             \
                              .forward = GR_KERNELS(op##_map), \
                              .vjp = {rule},                   \
                              __VA_ARGS__};
#define BINARY_RECORD(op, f, dfa, dfb, rule_a, rule_b, ...)          \
    const gr_op gr_op_##op = {.name = #op,                           \
                              .formula = "y = " f,                   \
                              .gradient = "da = " dfa ", db = " dfb, \
                              .n_in = 2,                             \
                              .shape = gr_shape_broadcast,           \
                              .forward = GR_KERNELS(op##_map),       \
                              .vjp = {rule_a, rule_b},               \
                              __VA_ARGS__};

/* The public functions. */
#define UNARY_CALL(op) \
    gr_tensor *gr_##op(gr_tape *t, gr_tensor *x) { return GR_CALL(op, NULL, x); }
#define UNARY_A_CALL(op) \
    gr_tensor *gr_##op(gr_tape *t, gr_tensor *x, double a) { return GR_CALL(op, &(gr_scalars){.a = a}, x); }
#define BINARY_CALL(op) \
    gr_tensor *gr_##op(gr_tape *t, gr_tensor *a, gr_tensor *b) { return GR_CALL(op, NULL, a, b); }

#define UNARY(op, f, value, df, dx, ...)                          \
    UNARY_VJP(op##_vjp, dx)                                       \
    UNARY_RECORD(op, f, df, gr_shape_same, op##_vjp, __VA_ARGS__) \
    UNARY_CALL(op)
#define UNARY_A(op, f, value, df, dx, ...)                                                             \
    UNARY_VJP(op##_vjp, dx)                                                                            \
    UNARY_RECORD(op, f, df, shape_with_number, op##_vjp, .attr_size = sizeof(gr_scalars), __VA_ARGS__) \
    UNARY_A_CALL(op)
#define UNARY_STEP(op, f, value, ...)                                 \
    UNARY_RECORD(op, f, "0", gr_shape_same, gr_vjp_zero, __VA_ARGS__) \
    UNARY_CALL(op)
#define BINARY(op, f, value, dfa, da, dfb, db, ...)                     \
    BINARY_VJP(op##_vjp_a, da)                                          \
    BINARY_VJP(op##_vjp_b, db)                                          \
    BINARY_RECORD(op, f, dfa, dfb, op##_vjp_a, op##_vjp_b, __VA_ARGS__) \
    BINARY_CALL(op)
#define BINARY_STEP(op, f, value, ...)                                    \
    BINARY_RECORD(op, f, "0", "0", gr_vjp_zero, gr_vjp_zero, __VA_ARGS__) \
    BINARY_CALL(op)
#define OTHER(op)
#include "autograd/rows.def"

/* ---- Adding up gradients ------------------------------------------------------------------------------------ */

static gr_span_body const accumulate_spans[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(accumulate_span);

void gr_accumulate(gr_tensor *to, const gr_tensor *from)
{
    assert(to->dtype == from->dtype && to->size == from->size);
    gr_parallel(to->size, GR_GRAIN, accumulate_spans[gr_cpu_level()][to->dtype], &(accumulation){to->data, from->data});
}
