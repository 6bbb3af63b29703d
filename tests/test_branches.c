/* test_branches.c: a branch that was not taken passes no gradient, however bad what arrives there is.
 *
 * Every sample of every op is differentiated once for each of its results, by a cotangent that is 1 there and 0
 * elsewhere, which says what depends on what. Then the cotangent is infinite or NaN at one result: the elements that do
 * not depend on that result get what they get without it, all others get what is not finite. */
#include "op_samples.h"

enum { MOST_RESULTS = 40, MOST_ELEMENTS = 4096 };

/* Gradients of all inputs that have one, end to end. */
typedef struct gradients {
    double of[MOST_ELEMENTS];
    int n;
} gradients;

/* By the cotangent that is `at_k` at element k and `others` at all others. */
static void differentiate(const call *c, gr_tensor *const x[], int flags, int64_t k, double at_k, double others,
                          gradients *d)
{
    gr_tape *t = gr_tape_new();
    const int n = inputs_of(c->op, c->s);
    gr_tensor *wanted[MAX_INPUTS], *g[MAX_INPUTS], *y = gr_apply(t, c->op, x, n, c->s->attr);
    int m = 0;
    for (int i = 0; i < n; i++)
        if (gr_requires_grad(x[i])) wanted[m++] = x[i];
    if (!y) fail_msg("%s, %s: %s", c->op->name, c->s->what, gr_last_error());
    gr_tensor *cotangent = gr_full(gr_dtype_of(y), gr_rank(y), gr_shape(y), others);
    assert_int_equal(gr_set(cotangent, k, at_k), GR_OK);
    if (gr_vjp(t, y, cotangent, wanted, m, g, flags)) fail_msg("%s, %s: %s", c->op->name, c->s->what, gr_last_error());
    d->n = 0;
    for (int i = 0; i < m; i++)
        for (int64_t e = 0; e < gr_size(g[i]); e++) {
            assert_true(d->n < MOST_ELEMENTS);
            d->of[d->n++] = gr_get(g[i], e);
        }
    gr_tensor_free(cotangent);
    gr_tape_free(t);
}

/* Returns how many elements did not depend on the result; complains of those that are not as they should be. */
static int64_t try_result(const call *c, gr_tensor *const x[], int flags, int64_t k, int *wrong)
{
    static gradients alone, without, d;
    static const double bad[] = {(double)INFINITY, (double)NAN};
    int64_t independent = 0;
    differentiate(c, x, flags, k, 1, 0, &alone);
    differentiate(c, x, flags, k, 0, 1, &without);
    for (int b = 0; b < 2; b++) {
        differentiate(c, x, flags, k, bad[b], 1, &d);
        for (int i = 0; i < d.n; i++) {
            const bool depends = alone.of[i] != 0; /* a NaN does, too */
            independent += !depends;
            if (depends ? !isfinite(d.of[i]) : d.of[i] == without.of[i]) continue;
            if (!(*wrong)++)
                print_error(
                    "%s%s, %s, result %d: gradient [%d] is %g for a cotangent of %g there, %g for 1, %g for 0\n",
                    c->op->name, flags ? " recorded" : "", c->s->what, (int)k, i, d.of[i], bad[b], alone.of[i],
                    without.of[i]);
        }
    }
    return independent;
}

/* Linear ops add up products with zeros, as IEEE has them, of padding, of weights between pixels, of a factor of 0: no
 * branch. In norms and softmax of equal numbers the derivative is 0 because terms cancel. */
static bool adds_up(const gr_op *op)
{
    static const char *const names[] = {"scale",         "softmax",          "log_softmax", "conv2d",
                                        "conv2d_kernel", "conv_transpose2d", "upsample2d",  "upsample2d_adjoint",
                                        "batch_norm2d",  "layer_norm",       "group_norm"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(op->name, names[i])) return true;
    return false;
}

/* Where a slope is 0 by rounding, no branch is why. */
static bool is_moderate(const call *c)
{
    for (int i = 0; i < inputs_of(c->op, c->s); i++)
        for (int k = 0; c->s->in[i].values && k < c->s->in[i].n_values; k++)
            if (fabs(c->s->in[i].values[k]) >= 30.0) return false;
    return !c->s->refused;
}

/* Returns how many elements did not depend on a result. */
static int64_t try_sample(const call *c, gr_dtype dtype, int flags, int *wrong)
{
    gr_tensor *x[MAX_INPUTS];
    const int n = inputs_of(c->op, c->s);
    int64_t independent = 0;
    make_inputs(c->op, c->s, dtype, x, 3);
    gr_tape *t = gr_tape_new();
    const bool wanted = require_gradients(c->op, x, n) > 0;
    gr_tensor *y = gr_apply(t, c->op, x, n, c->s->attr);
    const int64_t size = y && gr_requires_grad(y) ? gr_size(y) : 0;
    gr_tape_free(t);
    for (int64_t k = 0; wanted && k < size && k < MOST_RESULTS; k++) independent += try_result(c, x, flags, k, wrong);
    free_inputs(x, n);
    return independent;
}

static void branches_not_taken_get_nothing(void **state)
{
    (void)state;
    int wrong = 0;
    for (int i = 0; gr_op_at(i); i++) {
        const gr_op *op = gr_op_at(i);
        int64_t independent = 0;
        for (int k = 0; k < samples_of(op).count && !adds_up(op); k++) {
            const call c = {op, &samples_of(op).at[k]};
            for (int form = 0; form < 4 && is_moderate(&c); form++) {
                int of_sample = 0;
                independent += try_sample(&c, form % 2 ? GR_F64 : GR_F32, form / 2 ? GR_CREATE_GRAPH : 0, &of_sample);
                wrong += of_sample;
            }
        }
        const bool steps = op->n_in > 0 && op->vjp[0] == gr_vjp_zero && !op->vjp[op->n_in - 1];
        if (op->branches && !independent && !steps) fail_msg("%s has branches, and all were always taken", op->name);
    }
    assert_int_equal(wrong, 0);
}

/* ---- By name ---------------------------------------------------------------------------------------------------- */

static gr_tensor *zero_like(gr_tape *t, gr_tensor *x) { return gr_constant(t, gr_dtype_of(x), 0.0); }
static gr_tensor *root_of_relu(gr_tape *t, gr_tensor *x) { return gr_sqrt(t, gr_relu(t, x)); }
static gr_tensor *root_of_clamp(gr_tape *t, gr_tensor *x) { return gr_sqrt(t, gr_clamp(t, x, 0, 9)); }
static gr_tensor *root_of_larger(gr_tape *t, gr_tensor *x) { return gr_sqrt(t, gr_maximum(t, x, zero_like(t, x))); }
static gr_tensor *log_of_relu(gr_tape *t, gr_tensor *x) { return gr_log(t, gr_relu(t, x)); }
static gr_tensor *root_of_abs(gr_tape *t, gr_tensor *x) { return gr_sqrt(t, gr_abs(t, gr_relu(t, x))); }
static gr_tensor *power_0(gr_tape *t, gr_tensor *x) { return gr_sqrt(t, gr_shift(t, gr_pow_scalar(t, x, 0), -1)); }
static gr_tensor *root_of_leaky(gr_tape *t, gr_tensor *x) { return gr_sqrt(t, gr_leaky_relu(t, x, 0)); }
static gr_tensor *relu(gr_tape *t, gr_tensor *x) { return gr_relu(t, x); }
static gr_tensor *leaky(gr_tape *t, gr_tensor *x) { return gr_leaky_relu(t, x, 0.1); }
static gr_tensor *elu(gr_tape *t, gr_tensor *x) { return gr_elu(t, x, 1); }
static gr_tensor *abs_of(gr_tape *t, gr_tensor *x) { return gr_abs(t, x); }
static gr_tensor *clamp(gr_tape *t, gr_tensor *x) { return gr_clamp(t, x, -1, 1); }
static gr_tensor *larger(gr_tape *t, gr_tensor *x) { return gr_maximum(t, x, zero_like(t, x)); }
static gr_tensor *smaller(gr_tape *t, gr_tensor *x) { return gr_minimum(t, zero_like(t, x), x); }
static gr_tensor *largest(gr_tape *t, gr_tensor *x) { return gr_max(t, x, GR_ALL_AXES, false); }
static gr_tensor *smallest(gr_tape *t, gr_tensor *x) { return gr_min(t, x, GR_ALL_AXES, false); }

static const struct {
    const char *what;
    gr_tensor *(*f)(gr_tape *t, gr_tensor *x);
    double x, dx;
} by_name[] = {
    {"sqrt(relu(x))", root_of_relu, -1, 0},
    {"sqrt(clamp(x, 0, 9))", root_of_clamp, -1, 0},
    {"sqrt(max(x, 0))", root_of_larger, -1, 0},
    {"log(relu(x))", log_of_relu, -1, 0},
    {"sqrt(|relu(x)|)", root_of_abs, -1, 0},
    {"sqrt(leaky_relu(x, 0))", root_of_leaky, -1, 0},
    {"sqrt(x^0 - 1)", power_0, -1, 0},
    {"sqrt(relu(x))", root_of_relu, 4, 0.25},
    {"relu", relu, (double)NAN, (double)NAN},
    {"leaky_relu", leaky, (double)NAN, (double)NAN},
    {"elu", elu, (double)NAN, (double)NAN},
    {"abs", abs_of, (double)NAN, (double)NAN},
    {"clamp", clamp, (double)NAN, (double)NAN},
    {"maximum", larger, (double)NAN, (double)NAN},
    {"minimum", smaller, (double)NAN, (double)NAN},
    {"max", largest, (double)NAN, (double)NAN},
    {"min", smallest, (double)NAN, (double)NAN},
};

static void functions_by_name(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    for (size_t i = 0; i < 4 * sizeof by_name / sizeof *by_name; i++) {
        gr_tensor *x = gr_full(i % 2 ? GR_F64 : GR_F32, GR_SCALAR, by_name[i / 4].x), *dx;
        assert_int_equal(gr_require_grad(x), GR_OK);
        assert_int_equal(gr_grad(t, by_name[i / 4].f(t, x), &x, 1, &dx, i / 2 % 2 ? GR_CREATE_GRAPH : 0), GR_OK);
        const double d = gr_item(dx), expected = by_name[i / 4].dx;
        if (isnan(expected) ? !isnan(d) : d != expected)
            fail_msg("d/dx %s at %g is %g, expected %g", by_name[i / 4].what, by_name[i / 4].x, d, expected);
        gr_tape_reset(t);
        gr_tensor_free(x);
    }
    gr_tape_free(t);
}

/* a^b at a = b = 0: the gradient of a is 0, and neither 0 * inf. */
static void power_at_zero(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    for (int i = 0; i < 4; i++) {
        gr_tensor *in[2] = {gr_full(i % 2 ? GR_F64 : GR_F32, GR_SCALAR, 0),
                            gr_full(i % 2 ? GR_F64 : GR_F32, GR_SCALAR, 0)},
                  *d[2];
        assert_int_equal(gr_require_grad(in[0]), GR_OK);
        assert_int_equal(gr_grad(t, gr_pow(t, in[0], in[1]), in, 1, d, i / 2 ? GR_CREATE_GRAPH : 0), GR_OK);
        assert_true(gr_item(d[0]) == 0);
        gr_tape_reset(t);
        free_inputs(in, 2);
    }
    gr_tape_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(branches_not_taken_get_nothing),
        cmocka_unit_test(functions_by_name),
        cmocka_unit_test(power_at_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
