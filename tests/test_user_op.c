/* test_user_op.c: an op and a loss of one's own, through the public record alone: they compute, differentiate and
 * differentiate again like the library's; and what is wrong with one is found by the checker or said in a sentence. */
#include "helpers.h"

#include <gradus/check.h>
#include <gradus/op.h>
#include <gradus/random.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void ok(gr_status status)
{
    if (status) fail_msg("%s", gr_last_error());
}

static gr_tensor *total(gr_tape *t, gr_tensor *x) { return gr_sum(t, x, GR_ALL_AXES, false); }

static gr_tensor *leaf(int rank, const int64_t shape[], double lo, double hi, uint64_t seed)
{
    gr_rng rng = gr_rng_seed(seed);
    gr_tensor *x = gr_uniform(GR_F64, rank, shape, lo, hi, &rng);
    ok(gr_require_grad(x));
    return x;
}

/* ---- y = x^3:  dx = g 3 x^2 ---------------------------------------------------------------------------------- */

static gr_status cube_f64(gr_node *n)
{
    const double *x = gr_read_f64(n->in[0]);
    double *y = gr_f64(n->out);
    for (int64_t i = 0; i < gr_size(n->out); i++) y[i] = x[i] * x[i] * x[i];
    return GR_OK;
}

static gr_tensor *cube_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_mul(t, g, gr_scale(t, gr_square(t, n->in[0]), 3.0));
}

static const gr_op cube = {.name = "cube",
                           .formula = "y = x^3",
                           .n_in = 1,
                           .shape = gr_shape_same,
                           .forward[GR_ANY_CPU] = {[GR_F64] = cube_f64},
                           .vjp = {cube_vjp}};

/* ---- l = mean log cosh(s (p - y)) / s:  dp = g tanh(s (p - y)) / n, with what the forward pass saved ---------- */

typedef struct log_cosh_attr {
    double s;
} log_cosh_attr;

static gr_status log_cosh_shape(const gr_node *n, gr_type *type)
{
    const log_cosh_attr *attr = n->attr;
    if (gr_shape_same(n, type)) return gr_last_status();
    if (!(attr->s > 0.0)) return gr_fail(GR_ERR_OPTION, "log_cosh: s is %g, expected a number above 0", attr->s);
    type->rank = 0;
    return GR_OK;
}

static gr_status log_cosh_f64(gr_node *n)
{
    const double *p = gr_read_f64(n->in[0]), *y = gr_read_f64(n->in[1]), s = ((const log_cosh_attr *)n->attr)->s;
    const int64_t size = gr_size(n->in[0]);
    gr_tensor *slope = n->recording ? gr_save(n, GR_F64, gr_rank(n->in[0]), gr_shape(n->in[0])) : NULL;
    if (n->recording && !slope) return gr_last_status();
    double sum = 0.0, *d = slope ? gr_f64(slope) : NULL;
    for (int64_t i = 0; i < size; i++) {
        const double z = s * (p[i] - y[i]), a = fabs(z);
        sum += (a + log1p(exp(-2.0 * a)) - log(2.0)) / s;
        if (d) d[i] = tanh(z) / (double)size;
    }
    gr_f64(n->out)[0] = sum / (double)size;
    return GR_OK;
}

/* From the formula, which can be differentiated again; and faster, from the slope that the forward pass saved. */
static gr_tensor *log_cosh_p(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const double s = ((const log_cosh_attr *)n->attr)->s;
    gr_tensor *z = gr_scale(t, gr_sub(t, n->in[0], n->in[1]), s);
    return gr_mul(t, g, gr_scale(t, gr_tanh(t, z), 1.0 / (double)gr_size(n->in[0])));
}

static gr_tensor *log_cosh_p_saved(gr_tape *t, const gr_node *n, gr_tensor *g) { return gr_mul(t, g, n->saved); }

static const gr_op log_cosh = {.name = "log_cosh",
                               .formula = "l = mean log cosh(s (p - y)) / s",
                               .n_in = 2,
                               .attr_size = sizeof(log_cosh_attr),
                               .shape = log_cosh_shape,
                               .forward[GR_ANY_CPU] = {[GR_F64] = log_cosh_f64},
                               .vjp = {log_cosh_p}};
static const gr_op log_cosh_fused = {.name = "log_cosh_fused",
                                     .formula = "l = mean log cosh(s (p - y)) / s",
                                     .n_in = 2,
                                     .attr_size = sizeof(log_cosh_attr),
                                     .shape = log_cosh_shape,
                                     .forward[GR_ANY_CPU] = {[GR_F64] = log_cosh_f64},
                                     .vjp = {log_cosh_p_saved}};

/* ---- y = sum_i (i+1) x_i, of any number of inputs that broadcast:  dx_i = (i+1) g ------------------------------ */

static gr_status ramp_f64(gr_node *n)
{
    double *y = gr_f64(n->out);
    const int64_t size = gr_size(n->out);
    for (int64_t k = 0; k < size; k++) y[k] = 0.0;
    for (int i = 0; i < n->n_in; i++) /* an input is a scalar, or as large as the result */
        for (int64_t k = 0; k < size; k++) y[k] += (i + 1) * gr_read_f64(n->in[i])[gr_size(n->in[i]) == 1 ? 0 : k];
    return GR_OK;
}

static gr_tensor *ramp_vjp(gr_tape *t, const gr_node *n, int i, gr_tensor *g)
{
    (void)n;
    return gr_scale(t, g, i + 1.0); /* of the result's shape: the engine sums it back to a scalar input's */
}

static const gr_op ramp = {.name = "ramp",
                           .formula = "y = sum (i+1) x_i",
                           .n_in = GR_VARIADIC,
                           .shape = gr_shape_broadcast,
                           .forward[GR_ANY_CPU] = {[GR_F64] = ramp_f64},
                           .vjp_nth = ramp_vjp};

/* ---- They are right ------------------------------------------------------------------------------------------ */

typedef struct call {
    const gr_op *op;
    const void *attr;
    int order; /* of the derivative that is checked: 1, or 2 for a gradient of a gradient */
} call;

/* The op; or, made of its gradient, a function whose gradient is its second derivative. */
static gr_tensor *apply(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    const call *c = context;
    gr_tensor *y = gr_apply(t, c->op, x, n, c->attr), *d;
    if (!y || c->order == 1) return y;
    gr_tensor *first = x[0];
    if (gr_vjp(t, y, pattern(t, y, 0.4), &first, 1, &d, GR_CREATE_GRAPH)) return NULL;
    return gr_add(t, d, gr_scale(t, first, 0.125));
}

static gr_check_verdict check(const gr_op *op, const void *attr, int order, gr_tensor *const x[], int n)
{
    call c = {op, attr, order};
    gr_check_report r;
    if (gr_check_gradients(apply, &c, x, n, &(gr_check_options){.rtol = 1e-6}, &r))
        fail_msg("%s: %s", op->name, gr_last_error());
    return r.verdict;
}

static void an_op_of_ones_own(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    gr_tensor *x = gr_scalar(GR_F64, 2.0), *m = leaf(GR_SHAPE(4, 5), -2, 2, 1);
    ok(gr_require_grad(x));
    gr_tensor *y = gr_apply(t, &cube, &x, 1, NULL);
    static const double expected[] = {8, 12, 12, 6};
    for (int order = 0; order < 4; order++) {
        assert_true(gr_item(y) == expected[order]);
        if (order < 3) ok(gr_grad(t, y, &x, 1, &y, GR_CREATE_GRAPH));
    }
    assert_false(gr_requires_grad(y)); /* 6, a constant */
    for (int order = 1; order <= 2; order++) assert_int_equal(check(&cube, NULL, order, &m, 1), GR_CHECK_PASS);
    gr_tape_free(t);
    gr_tensor_free(x);
    gr_tensor_free(m);
}

static void a_loss_of_ones_own(void **state)
{
    (void)state;
    const log_cosh_attr attr = {1.5};
    gr_tensor *p = leaf(GR_SHAPE(4, 5), -2, 2, 1), *y = leaf(GR_SHAPE(4, 5), -2, 2, 2), *target = gr_copy(y),
              *x[] = {p, target};
    assert_int_equal(check(&log_cosh, &attr, 1, x, 2), GR_CHECK_PASS);
    assert_int_equal(check(&log_cosh, &attr, 2, x, 2), GR_CHECK_PASS);
    assert_int_equal(check(&log_cosh_fused, &attr, 1, x, 2), GR_CHECK_PASS);
    gr_tape *t = gr_tape_new();
    assert_null(gr_apply(t, &log_cosh, (gr_tensor *[]){p, y}, 2, &attr));
    assert_failed_with("a target with a gradient", GR_ERR_STATE,
                       "log_cosh: input 1 requires a gradient, and log_cosh has none for it");
    assert_null(gr_apply(t, &log_cosh, x, 2, &(log_cosh_attr){-1}));
    assert_failed_with("an option", GR_ERR_OPTION, "log_cosh: s is -1");
    assert_null(gr_apply(t, &log_cosh, x, 1, &attr));
    assert_failed_with("one input", GR_ERR_SHAPE, "log_cosh: takes 2 inputs, not 1");
    gr_tape_free(t);
    gr_tensor *const all[] = {p, y, target};
    for (size_t i = 0; i < COUNT(all); i++) gr_tensor_free(all[i]);
}

static void an_op_of_any_number_of_inputs(void **state)
{
    (void)state;
    gr_tensor *x[6];
    for (int i = 0; i < 6; i++)
        x[i] = i % 2 ? leaf(GR_SCALAR, -1, 1, (uint64_t)i) : leaf(GR_SHAPE(3, 4), -1, 1, (uint64_t)i);
    for (int n = 1; n <= 6; n++)
        for (int order = 1; order <= 2; order++) assert_int_equal(check(&ramp, NULL, order, x, n), GR_CHECK_PASS);
    gr_tape *t = gr_tape_new();
    ok(gr_backward(t, total(t, gr_apply(t, &ramp, x, 6, NULL)), 0));
    for (int i = 0; i < 6; i++) assert_true(gr_get(gr_gradient(x[i]), 0) == (i % 2 ? 12.0 : 1.0) * (i + 1));
    assert_null(gr_apply(t, &ramp, x, 0, NULL));
    assert_failed_with("no inputs", GR_ERR_SHAPE, "ramp: takes 1 input or more, not 0");
    gr_tape_free(t);
    for (int i = 0; i < 6; i++) gr_tensor_free(x[i]);
}

/* The options are copied: the caller's may go. */
static void options_are_copied(void **state)
{
    (void)state;
    log_cosh_attr attr = {1.0};
    gr_tape *t = gr_tape_new();
    gr_tensor *p = leaf(GR_SHAPE(10), 0.5, 1, 1), *y = gr_zeros(GR_F64, GR_SHAPE(10)), *x[] = {p, y}, *d;
    gr_tensor *l = gr_apply(t, &log_cosh, x, 2, &attr);
    attr.s = 1e9;
    x[0] = x[1] = NULL;
    ok(gr_grad(t, l, &p, 1, &d, 0));
    for (int64_t i = 0; i < 10; i++) assert_true(close_to(gr_get(d, i), tanh(gr_get(p, i)) / 10.0, 1e-14));
    gr_tape_free(t);
    gr_tensor_free(p);
    gr_tensor_free(y);
}

/* ---- Memory that a kernel saves ------------------------------------------------------------------------------ */

static gr_status always_saves(gr_node *n)
{
    if (!gr_save(n, GR_F64, gr_rank(n->in[0]), gr_shape(n->in[0]))) return gr_last_status();
    return cube_f64(n);
}

static gr_status saves_and_fails(gr_node *n)
{
    always_saves(n);
    return gr_fail(GR_ERR_VALUE, "fails: as it was to");
}

/* What is saved lives as long as the node: no node, or a kernel that fails, and it is gone at once. */
static void saved_values_live_with_the_node(void **state)
{
    (void)state;
    const gr_op saving = {.name = "saving",
                          .n_in = 1,
                          .shape = gr_shape_same,
                          .forward[GR_ANY_CPU] = {[GR_F64] = always_saves},
                          .vjp = {cube_vjp}};
    const gr_op failing = {.name = "failing",
                           .n_in = 1,
                           .shape = gr_shape_same,
                           .forward[GR_ANY_CPU] = {[GR_F64] = saves_and_fails},
                           .vjp = {cube_vjp}};
    gr_tape *t = gr_tape_new();
    gr_tensor *x = leaf(GR_SHAPE(100), -1, 1, 1), *c = gr_copy(x);
    assert_non_null(gr_apply(t, &saving, &c, 1, NULL));
    assert_int_equal(gr_tape_statistics(t).tensors, 1);
    for (int i = 0; i < 2; i++) {
        assert_null(gr_apply(t, &failing, i ? &x : &c, 1, NULL));
        assert_failed_with("failing", GR_ERR_VALUE, "fails: as it was to");
        assert_int_equal(gr_tape_statistics(t).tensors, 1);
    }
    gr_tensor *y = total(t, gr_apply(t, &saving, &x, 1, NULL));
    assert_int_equal(gr_tape_statistics(t).tensors, 4);
    ok(gr_backward(t, y, 0));
    assert_int_equal(gr_tape_statistics(t).tensors, 3);
    gr_tape_free(t);
    gr_tensor_free(x);
    gr_tensor_free(c);
}

/* ---- What is wrong is found ---------------------------------------------------------------------------------- */

static gr_tensor *half_the_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_mul(t, g, gr_scale(t, gr_square(t, n->in[0]), 1.5));
}

static gr_tensor *wrong_sign(gr_tape *t, const gr_node *n, gr_tensor *g) { return gr_neg(t, cube_vjp(t, n, g)); }

static gr_tensor *forgets_g(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)g;
    return gr_scale(t, gr_square(t, n->in[0]), 3.0);
}

static gr_tensor *nothing_at_all(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_scale(t, cube_vjp(t, n, g), 0.0);
}

static gr_tensor *not_a_number(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_scale(t, cube_vjp(t, n, g), (double)NAN);
}

static gr_tensor *right_but_detached(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_mul(t, g, gr_scale(t, gr_square(t, gr_detach(t, n->in[0])), 3.0));
}

static void broken_derivatives_are_caught(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        gr_vjp_rule vjp;
        gr_check_verdict first, second;
    } rows[] = {
        {"right", cube_vjp, GR_CHECK_PASS, GR_CHECK_PASS},
        {"half of it", half_the_vjp, GR_CHECK_FAIL, GR_CHECK_PASS},
        {"the wrong sign", wrong_sign, GR_CHECK_FAIL, GR_CHECK_PASS},
        {"without g", forgets_g, GR_CHECK_FAIL, GR_CHECK_PASS},
        {"0", nothing_at_all, GR_CHECK_FAIL, GR_CHECK_PASS},
        {"NaN", not_a_number, GR_CHECK_FAIL, GR_CHECK_FAIL},
        {"no derivative of the derivative", right_but_detached, GR_CHECK_PASS, GR_CHECK_FAIL},
    };
    gr_tensor *x = leaf(GR_SHAPE(7), 0.5, 2, 3);
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_op op = cube;
        op.vjp[0] = rows[i].vjp;
        if (check(&op, NULL, 1, &x, 1) != rows[i].first) fail_msg("%s: first derivative", rows[i].what);
        if (check(&op, NULL, 2, &x, 1) != rows[i].second) fail_msg("%s: second derivative", rows[i].what);
    }
    gr_tensor_free(x);
}

static gr_tensor *of_another_dtype(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_cast(t, cube_vjp(t, n, g), GR_F32);
}

static gr_tensor *of_another_shape(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_slice(t, cube_vjp(t, n, g), 0, 0, 5);
}

static gr_tensor *of_too_few(gr_tape *t, const gr_node *n, gr_tensor *g) { return total(t, cube_vjp(t, n, g)); }

static gr_tensor *null_in_silence(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)t, (void)n, (void)g;
    return NULL;
}

static gr_tensor *null_with_a_reason(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_add(t, gr_concat(t, (gr_tensor *[]){g, g}, 2, 0), n->in[0]);
}

static void a_vjp_that_does_not_fit(void **state)
{
    (void)state;
    static const struct {
        gr_vjp_rule vjp;
        gr_status status;
        const char *part;
    } rows[] = {
        {of_another_dtype, GR_ERR_DTYPE, ": the VJP of cube for input 0 is f32, the input f64"},
        {of_another_shape, GR_ERR_SHAPE, ": the VJP of cube for input 0 is [5], the input [7]"},
        {of_too_few, GR_ERR_SHAPE, ": the VJP of cube for input 0 is [], the input [7]"},
        {null_in_silence, GR_ERR_NULL, ": the VJP of cube for input 0 gave NULL"},
        {null_with_a_reason, GR_ERR_SHAPE, "add: shapes do not broadcast: [14] and [7]"},
    };
    gr_tape *t = gr_tape_new();
    gr_tensor *x = leaf(GR_SHAPE(7), 0.5, 2, 3), *d;
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_op op = cube;
        op.vjp[0] = rows[i].vjp;
        gr_tensor *y = total(t, gr_apply(t, &op, &x, 1, NULL));
        gr_clear_error();
        assert_int_equal(gr_backward(t, y, GR_RETAIN), rows[i].status);
        assert_failed_with("backward", rows[i].status, rows[i].part);
        assert_true(*rows[i].part != ':' || strncmp(gr_last_error(), "backward:", 9) == 0);
        assert_null(gr_gradient(x));
        gr_clear_error();
        assert_int_equal(gr_grad(t, y, &x, 1, &d, GR_CREATE_GRAPH), rows[i].status);
        assert_failed_with("grad", rows[i].status, rows[i].part);
        assert_true(*rows[i].part != ':' || strncmp(gr_last_error(), "grad:", 5) == 0);
        assert_null(d);
        gr_tape_reset(t);
    }
    ok(gr_backward(t, total(t, gr_apply(t, &cube, &x, 1, NULL)), 0));
    assert_true(close_to(gr_get(gr_gradient(x), 6), 3.0 * gr_get(x, 6) * gr_get(x, 6), 1e-15));
    gr_tape_free(t);
    gr_tensor_free(x);
}

static gr_tensor *the_input_itself(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)t, (void)g;
    return n->in[0];
}

/* y = x^2/2 with g = 1: dx is x, but the gradient is not to be the leaf itself. */
static void a_vjp_that_returns_its_input(void **state)
{
    (void)state;
    gr_op op = cube;
    op.vjp[0] = the_input_itself;
    gr_tape *t = gr_tape_new();
    gr_tensor *x = leaf(GR_SHAPE(20), 0.5, 2, 3), *d;
    gr_tensor *y = total(t, gr_apply(t, &op, &x, 1, NULL));
    ok(gr_grad(t, y, &x, 1, &d, GR_RETAIN));
    ok(gr_backward(t, y, GR_RETAIN));
    ok(gr_backward(t, y, 0));
    assert_ptr_not_equal(d, x);
    for (int64_t i = 0; i < 20; i++)
        assert_true(gr_get(d, i) == gr_get(x, i) && gr_get(gr_gradient(x), i) == 2.0 * gr_get(x, i));
    gr_tape_free(t);
    gr_tensor_free(x);
}

/* ---- Records with something missing --------------------------------------------------------------------------- */

static gr_status fails_in_silence(gr_node *n)
{
    (void)n;
    return GR_ERR_VALUE;
}

static gr_status refuses_in_silence(const gr_node *n, gr_type *type)
{
    (void)n, (void)type;
    return GR_ERR_SHAPE;
}

static gr_status no_such_dtype(const gr_node *n, gr_type *type)
{
    (void)n;
    *type = (gr_type){.dtype = (gr_dtype)77};
    return GR_OK;
}

static gr_status rank_of_77(const gr_node *n, gr_type *type)
{
    (void)n;
    *type = (gr_type){.dtype = GR_F64, .rank = 77};
    return GR_OK;
}

static const struct missing {
    const char *what;
    gr_op op;
    bool single, grad;
    gr_status status;
    const char *part;
} missings[] = {
    {"no f32 kernel",
     {.name = "cube",
      .n_in = 1,
      .shape = gr_shape_same,
      .forward[GR_ANY_CPU] = {[GR_F64] = cube_f64},
      .vjp = {cube_vjp}},
     true,
     false,
     GR_ERR_DTYPE,
     "cube: has no kernel for f32"},
    {"no vjp",
     {.name = "cube", .n_in = 1, .shape = gr_shape_same, .forward[GR_ANY_CPU] = {[GR_F64] = cube_f64}},
     false,
     true,
     GR_ERR_STATE,
     "cube: input 0 requires a gradient, and cube has none for it; see gr_detach()"},
    {"no shape rule",
     {.name = "cube", .n_in = 1, .forward[GR_ANY_CPU] = {[GR_F64] = cube_f64}},
     false,
     false,
     GR_ERR_NULL,
     "cube: the op's shape rule is NULL"},
    {"a kernel that fails in silence",
     {.name = "mute", .n_in = 1, .shape = gr_shape_same, .forward[GR_ANY_CPU] = {[GR_F64] = fails_in_silence}},
     false,
     false,
     GR_ERR_VALUE,
     "mute: failed: a value lies outside"},
    {"a rule that refuses in silence",
     {.name = "mute", .n_in = 1, .shape = refuses_in_silence},
     false,
     false,
     GR_ERR_SHAPE,
     "mute: failed: shapes or ranks do not fit"},
    {"a rule that makes up a dtype",
     {.name = "wild", .n_in = 1, .shape = no_such_dtype},
     false,
     false,
     GR_ERR_DTYPE,
     "wild: no such dtype: 77"},
    {"a rule that makes up a rank",
     {.name = "wild", .n_in = 1, .shape = rank_of_77, .forward[GR_ANY_CPU] = {[GR_F64] = cube_f64}},
     false,
     false,
     GR_ERR_SHAPE,
     "wild: rank 77 is outside 0..8"},
};

static void records_with_something_missing(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    for (size_t i = 0; i < COUNT(missings); i++) {
        gr_tensor *x = gr_ones(missings[i].single ? GR_F32 : GR_F64, GR_SHAPE(20));
        if (missings[i].grad) ok(gr_require_grad(x));
        gr_clear_error();
        if (gr_apply(t, &missings[i].op, &x, 1, NULL)) fail_msg("%s: made something", missings[i].what);
        assert_failed_with(missings[i].what, missings[i].status, missings[i].part);
        assert_int_equal(gr_tape_statistics(t).tensors, 0);
        gr_tensor_free(x);
    }
    gr_tape_free(t);
}

/* The derivative is 0 wherever there is one: gradients by name are zeros, and the node does no harm to others. */
static void an_op_that_is_a_step(void **state)
{
    (void)state;
    gr_op step = cube;
    step.vjp[0] = gr_vjp_zero;
    gr_tape *t = gr_tape_new();
    gr_tensor *x = leaf(GR_SHAPE(20), 0.5, 2, 3), *d;
    gr_tensor *y = gr_keep(gr_apply(t, &step, &x, 1, NULL));
    assert_true(gr_requires_grad(y));
    ok(gr_grad(t, total(t, y), &x, 1, &d, GR_RETAIN));
    for (int64_t i = 0; i < 20; i++) assert_true(gr_get(d, i) == 0.0);
    ok(gr_backward(t, total(t, gr_mul(t, y, x)), 0));
    for (int64_t i = 0; i < 20; i++) assert_true(gr_get(gr_gradient(x), i) == gr_get(y, i));
    gr_tape_free(t);
    gr_tensor_free(x);
}

/* A kernel that writes by gr_f64() changes its result once, before it is recorded: that is no change since. */
static void a_kernel_may_count_its_writing(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    gr_tensor *x = leaf(GR_SHAPE(20), 0.5, 2, 3);
    gr_tensor *h = gr_apply(t, &cube, &x, 1, NULL), *v = gr_reshape(t, h, GR_SHAPE(4, 5));
    gr_tensor *a = total(t, gr_square(t, v)), *b = total(t, gr_exp(t, v));
    ok(gr_backward(t, a, 0));
    assert_int_equal(gr_backward(t, b, 0), GR_ERR_STATE);
    assert_null(strstr(gr_last_error(), "changed"));
    assert_non_null(strstr(gr_last_error(), "back"));
    gr_tape_free(t);
    gr_tensor_free(x);
}

/* ---- In the memory of what was given ------------------------------------------------------------------------- */

/* y = a + 1, as large as what a broadcasts to. */
static gr_status plus_one(gr_node *n)
{
    const double *a = gr_read_f64(n->in[0]);
    double *y = gr_f64(n->out);
    if (!a || !y) return gr_last_status();
    for (int64_t i = 0; i < gr_size(n->out); i++) y[i] = a[i % gr_size(n->in[0])] + 1.0;
    return GR_OK;
}

static gr_tensor *same_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)t;
    (void)n;
    return g;
}

static const gr_op plus_one_op = {.name = "plus_one",
                                  .formula = "y = a + 1",
                                  .n_in = 1,
                                  .shape = gr_shape_same,
                                  .in_place = true,
                                  .forward[GR_ANY_CPU] = {[GR_F64] = plus_one},
                                  .vjp = {same_vjp}};
static const gr_op wide_op = {.name = "wide",
                              .formula = "y = a + 1 + 0 b",
                              .n_in = 2,
                              .shape = gr_shape_broadcast,
                              .in_place = true,
                              .forward[GR_ANY_CPU] = {[GR_F64] = plus_one},
                              .vjp = {same_vjp, gr_vjp_zero}};

/* An op of one's own may work in place; where the result is larger than what was given it does not. */
static void an_op_that_works_in_place(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    gr_tensor *x = leaf(GR_SHAPE(20), 0.5, 2, 3), *wide = leaf(GR_SHAPE(8, 20), 0.5, 2, 4);
    gr_tensor *twice = gr_scale(t, x, 2.0);
    const int64_t before = gr_tape_statistics(t).bytes;
    gr_tensor *y = gr_apply(t, &plus_one_op, (gr_tensor *[]){gr_give(twice)}, 1, NULL);
    if (!y) fail_msg("%s", gr_last_error());
    assert_int_equal(gr_tape_statistics(t).bytes, before);
    for (int i = 0; i < 20; i++) assert_true(gr_get(y, i) == 2.0 * gr_get(x, i) + 1.0);
    assert_null(gr_read_f64(twice));
    gr_tensor *z = gr_apply(t, &wide_op, (gr_tensor *[]){gr_give(gr_scale(t, x, 2.0)), wide}, 2, NULL);
    assert_int_equal(gr_rank(z), 2);
    for (int i = 0; i < 160; i++) assert_true(gr_get(z, i) == 2.0 * gr_get(x, i % 20) + 1.0);
    ok(gr_backward(t, gr_add(t, total(t, y), total(t, z)), 0));
    for (int i = 0; i < 20; i++) assert_true(gr_get(gr_gradient(x), i) == 18.0);
    gr_tape_free(t);
    gr_tensor_free(x);
    gr_tensor_free(wide);
}

/* ---- What one node has saved, as an input of another --------------------------------------------------------- */

/* y = x^3, 3 x^2 being saved for the VJP, which does not differentiate it again. */
static gr_status cube_that_saves(gr_node *n)
{
    gr_tensor *slope = gr_save(n, GR_F64, gr_rank(n->out), gr_shape(n->out));
    if (!slope) return gr_last_status();
    const double *x = gr_read_f64(n->in[0]);
    double *y = gr_f64(n->out), *d = gr_f64(slope);
    for (int64_t i = 0; i < gr_size(n->out); i++) y[i] = x[i] * x[i] * x[i], d[i] = 3.0 * x[i] * x[i];
    return GR_OK;
}

static gr_tensor *saved_vjp(gr_tape *t, const gr_node *n, gr_tensor *g) { return gr_mul(t, g, n->saved); }

static const gr_op saving_cube = {.name = "saving_cube",
                                  .formula = "y = x^3",
                                  .n_in = 1,
                                  .shape = gr_shape_same,
                                  .forward[GR_ANY_CPU] = {[GR_F64] = cube_that_saves},
                                  .vjp = {saved_vjp}};

/* A recorded gradient w 3 x^2 has the saved tensor for an input. A backward that gives the values of the cube back must
 * leave it be: d/dw of the sum is 3 x^2 summed, whatever was computed in between. */
static void a_saved_value_outlives_its_node(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    gr_tensor *x = leaf(GR_SHAPE(40), 0.5, 2.0, 3), *w = leaf(GR_SCALAR, 2.0, 3.0, 4), *g;
    double expected = 0.0;
    for (int64_t i = 0; i < 40; i++) expected += 3.0 * gr_get(x, i) * gr_get(x, i);
    gr_tensor *y = gr_mul(t, total(t, gr_apply(t, &saving_cube, &x, 1, NULL)), w);
    ok(gr_grad(t, y, &x, 1, &g, GR_CREATE_GRAPH));
    gr_tensor *sum = total(t, g);
    ok(gr_backward(t, y, 0));
    gr_zero_grad(w);
    for (int i = 0; i < 8; i++) assert_non_null(gr_shift(t, gr_scale(t, x, 0.0), 1e6));
    ok(gr_backward(t, sum, 0));
    assert_true(close_to(gr_item(gr_gradient(w)), expected, 1e-14));
    gr_tape_free(t);
    gr_tensor_free(x);
    gr_tensor_free(w);
}

/* ---- A result of indices ---------------------------------------------------------------------------------------- */

static gr_status signs_shape(const gr_node *n, gr_type *type)
{
    if (gr_shape_same(n, type)) return gr_last_status();
    type->dtype = GR_I32;
    return GR_OK;
}

static gr_status signs_i32(gr_node *n)
{
    for (int64_t i = 0; i < gr_size(n->out); i++) gr_i32(n->out)[i] = gr_get(n->in[0], i) > 0.0;
    return GR_OK;
}

static const gr_op signs = {.name = "signs",
                            .formula = "y = [x > 0], as an index",
                            .n_in = 1,
                            .shape = signs_shape,
                            .forward[GR_ANY_CPU] = {[GR_I32] = signs_i32},
                            .vjp = {gr_vjp_zero}};

/* Indices have no gradients, whatever they were computed from: they are constants, fit for gr_gather_rows(). */
static void indices_made_of_a_leaf(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    gr_tensor *x = leaf(GR_SHAPE(3), -1.0, 1.0, 5), *table = leaf(GR_SHAPE(2, 2), -1.0, 1.0, 6);
    gr_tensor *index = gr_apply(t, &signs, &x, 1, NULL);
    assert_non_null(index);
    assert_false(gr_requires_grad(index));
    ok(gr_backward(t, total(t, gr_gather_rows(t, table, index)), 0));
    gr_tape_free(t);
    gr_tensor_free(x);
    gr_tensor_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_op_of_ones_own),
        cmocka_unit_test(a_saved_value_outlives_its_node),
        cmocka_unit_test(indices_made_of_a_leaf),
        cmocka_unit_test(a_loss_of_ones_own),
        cmocka_unit_test(an_op_of_any_number_of_inputs),
        cmocka_unit_test(options_are_copied),
        cmocka_unit_test(saved_values_live_with_the_node),
        cmocka_unit_test(broken_derivatives_are_caught),
        cmocka_unit_test(a_vjp_that_does_not_fit),
        cmocka_unit_test(a_vjp_that_returns_its_input),
        cmocka_unit_test(records_with_something_missing),
        cmocka_unit_test(an_op_that_is_a_step),
        cmocka_unit_test(a_kernel_may_count_its_writing),
        cmocka_unit_test(an_op_that_works_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
