/* test_check_faults.c: what once fooled the gradient checker, and the kinds behind it: wrong gradients that passed,
 * right ones that failed, hints that misled. */
#include <gradus/check_cmocka.h>

#include "helpers.h"

#include <gradus/gradus.h>

#define FUNCTION(name, ...)                                                        \
    static gr_tensor *name(gr_tape *t, gr_tensor *const x[], int n, void *context) \
    {                                                                              \
        (void)t, (void)n, (void)context;                                           \
        return __VA_ARGS__;                                                        \
    }

static gr_tensor *leaf(int64_t n, const double *values)
{
    gr_tensor *x = gr_from(GR_F64, GR_SHAPE(n), values);
    assert_non_null(x);
    assert_int_equal(gr_require_grad(x), GR_OK);
    return x;
}

static gr_check_report checked(gr_check_function f, void *context, gr_tensor *x, const gr_check_options *o)
{
    gr_check_report r;
    if (gr_check_gradients(f, context, &x, 1, o, &r)) fail_msg("%s", gr_last_error());
    return r;
}

static gr_check_report at(gr_check_function f, void *context, int64_t n, const double *values)
{
    gr_tensor *x = leaf(n, values);
    gr_check_report r = checked(f, context, x, NULL);
    gr_tensor_free(x);
    return r;
}

static void expect(const gr_check_report *r, gr_check_verdict v)
{
    if (r->verdict == v) return;
    gr_check_fprint(stdout, r);
    fail_msg("expected %s, got %s", gr_check_verdict_name(v), gr_check_verdict_name(r->verdict));
}

static void expect_no(const gr_check_report *r, gr_check_verdict v)
{
    if (r->verdict != v) return;
    gr_check_fprint(stdout, r);
    fail_msg("%s", gr_check_verdict_name(v));
}

/* u with its gradient times k. */
static gr_tensor *wrongly(gr_tape *t, gr_tensor *u, double k)
{
    return gr_add(t, gr_scale(t, u, k), gr_detach(t, gr_scale(t, u, 1.0 - k)));
}

static gr_tensor *element(gr_tape *t, gr_tensor *x, int64_t i)
{
    return gr_reshape(t, gr_slice(t, x, 0, i, i + 1), 0, NULL);
}

/* ---- Scales ---------------------------------------------------------------------------------------------------- */

/* e^(-1000 x0) + x1, the gradient of the first part times *k. */
FUNCTION(steep, gr_add(t, wrongly(t, gr_exp(t, gr_scale(t, element(t, x[0], 0), -1000.0)), *(double *)context),
                       element(t, x[0], 1)))

static void a_steep_part(void **state)
{
    (void)state;
    const double x[2] = {1e-3, 1.0};
    for (int i = 0; i < 4; i++) {
        double k = (const double[]){1.0, 0.0, -1.0, 2.0}[i];
        gr_check_report r = at(steep, &k, 2, x);
        expect(&r, i ? GR_CHECK_FAIL : GR_CHECK_PASS);
    }
}

typedef struct hidden {
    double size, k;
} hidden;

/* k of x, beside size cos x. */
static gr_tensor *beside_a_cosine(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    const hidden *h = context;
    (void)n;
    return gr_add(t, wrongly(t, x[0], h->k), gr_scale(t, gr_cos(t, x[0]), h->size));
}

static void a_small_part_beside_a_large_one(void **state)
{
    (void)state;
    const double zero = 0.0;
    for (double size = 1e6; size < 1e17; size *= 10.0)
        for (int i = 0; i < 3; i++) {
            hidden h = {size, (const double[]){1.0, 0.97, 0.0}[i]};
            gr_check_report r = at(beside_a_cosine, &h, 1, &zero);
            expect_no(&r, i ? GR_CHECK_PASS : GR_CHECK_FAIL);
            expect_no(&r, GR_CHECK_VACUOUS);
            if (size < 1e13) expect(&r, i ? GR_CHECK_FAIL : GR_CHECK_PASS);
        }
}

/* Lennard-Jones between two atoms, in joules and metres. */
static gr_tensor *lennard_jones(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    (void)n, (void)context;
    gr_tensor *q = gr_div(t, gr_constant(t, GR_F64, 3.4e-10), x[0]);
    gr_tensor *q6 = gr_square(t, gr_mul(t, gr_square(t, q), q));
    return gr_scale(t, gr_sub(t, gr_square(t, q6), q6), 4.0 * 1.65e-21);
}

static void units_of_physics(void **state)
{
    (void)state;
    for (int i = 0; i < 12; i++) {
        const double r0 = 3e-10 + 0.2e-10 * i;
        gr_check_report r = at(lennard_jones, NULL, 1, &r0);
        expect(&r, GR_CHECK_PASS);
    }
}

FUNCTION(of_two_sizes, gr_add(t, gr_scale(t, element(t, x[0], 0), 1e-10), gr_sin(t, element(t, x[0], 1))))

static void elements_of_different_scales(void **state)
{
    (void)state;
    const double values[2] = {1e10, 1.0};
    gr_tensor *x = leaf(2, values);
    for (int mode = GR_CHECK_FULL; mode <= GR_CHECK_JACOBIAN; mode++) {
        gr_check_report r = checked(of_two_sizes, NULL, x, &(gr_check_options){.mode = (gr_check_mode)mode});
        expect(&r, GR_CHECK_PASS);
    }
    gr_tensor_free(x);
}

static gr_tensor *overflowing(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    (void)n, (void)context;
    return gr_sum(t, gr_scale(t, gr_mul(t, x[0], gr_detach(t, x[0])), 1e160), GR_ALL_AXES, false);
}
FUNCTION(squares, gr_square(t, x[0]))

static void large_numbers(void **state)
{
    (void)state;
    const double few[3] = {1.0, 2.0, -1.5}, large[3] = {1e80, -2e80, 3e80};
    gr_tensor *x = leaf(3, few), *y = leaf(3, large);
    gr_check_report r = checked(overflowing, NULL, x, &(gr_check_options){.mode = GR_CHECK_DIRECTIONAL});
    expect(&r, GR_CHECK_FAIL);
    r = checked(squares, NULL, y, &(gr_check_options){.mode = GR_CHECK_JACOBIAN});
    expect(&r, GR_CHECK_PASS);
    gr_tensor_free(x);
    gr_tensor_free(y);
}

/* ---- Kinks and branches ------------------------------------------------------------------------------------------ */

/* relu(x) + sin(2000 x) / 2000, the gradient of the sine times *k: at 0 the slopes are 1 and 2. */
FUNCTION(kink_and_curve,
         gr_add(t, gr_relu(t, x[0]),
                wrongly(t, gr_scale(t, gr_sin(t, gr_scale(t, x[0], 2000.0)), 5e-4), *(double *)context)))

static void slopes_on_both_sides_of_a_kink(void **state)
{
    (void)state;
    const double zero = 0.0;
    for (int i = 0; i < 5; i++) {
        double k = (const double[]){1.0, 1.5, 3.0, 10.0, -3.0}[i];
        gr_check_report r = at(kink_and_curve, &k, 1, &zero);
        expect(&r, i ? GR_CHECK_FAIL : GR_CHECK_KINK);
    }
}

/* The mean of a normalised row is 0 but for rounding. */
static gr_tensor *mean_of_norm(gr_tape *t, gr_tensor *x)
{
    return gr_relu(t, gr_mean(t, gr_layer_norm(t, x, 1, NULL, NULL, 1e-5), GR_ALL_AXES, false));
}

static gr_tensor *flipping(gr_tape *t, gr_tensor *const x[], int n, void *is_used)
{
    (void)n;
    gr_tensor *r = mean_of_norm(t, gr_reshape(t, x[0], GR_SHAPE(1, 5)));
    gr_tensor *sum = gr_sum(t, gr_square(t, x[0]), GR_ALL_AXES, false);
    return is_used ? gr_add(t, sum, r) : sum;
}

static void branches_that_rounding_flips(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        gr_rng rng = gr_rng_seed(seed);
        gr_tensor *x = gr_normal(GR_F64, GR_SHAPE(5), 0, 1, &rng);
        assert_int_equal(gr_require_grad(x), GR_OK);
        for (int is_used = 0; is_used < 2; is_used++) {
            gr_check_report r = checked(flipping, is_used ? &r : NULL, x, NULL);
            expect(&r, GR_CHECK_PASS);
        }
        gr_tensor_free(x);
    }
}

/* ---- Noise, and edges -------------------------------------------------------------------------------------------- */

static gr_tensor *cancelling(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    (void)n;
    return gr_shift(t, gr_shift(t, wrongly(t, gr_sin(t, x[0]), *(double *)context), 1e7), -1e7);
}

FUNCTION(norm_of_large,
         gr_sum(t, gr_square(t, gr_layer_norm(t, gr_reshape(t, x[0], GR_SHAPE(1, 5)), 1, NULL, NULL, 1e-5)),
                GR_ALL_AXES, false))

static double rounded_sine(const double *x, void *context) { return (void)context, (sin(*x) + 1e7) - 1e7; }
static double float_sine(const double *x, void *context) { return (void)context, (double)sinf((float)*x); }
static int cosine(const double *x, double *g, void *context) { return (void)context, *g = cos(*x), 0; }

static void digits_of_the_function(void **state)
{
    (void)state;
    const double one = 1.0;
    for (int i = 0; i < 2; i++) {
        gr_check_report r;
        const gr_plain sine = {.f = i ? float_sine : rounded_sine, .gradient = cosine, .n = 1};
        assert_int_equal(gr_check_plain(&sine, &one, NULL, &r), GR_OK);
        expect(&r, GR_CHECK_PASS);
        assert_true(r.digits > (i ? 6.0 : 8.0) && r.digits < (i ? 8.0 : 9.5)); /* 2^-24, and 2^-30 */
    }
}

static void noise_within(void **state)
{
    (void)state;
    const double one = 1.0, far[5] = {1e8 + 0.5, 1e8 - 1.25, 1e8 + 2.0, 1e8, 1e8 - 0.75};
    for (int i = 0; i < 3; i++) {
        double k = (const double[]){1.0, 1.001, -1.0}[i];
        gr_check_report r = at(cancelling, &k, 1, &one);
        expect(&r, i ? GR_CHECK_FAIL : GR_CHECK_PASS);
    }
    gr_check_report r = at(norm_of_large, NULL, 5, far);
    expect_no(&r, GR_CHECK_FAIL);
}

FUNCTION(just_log, gr_log(t, x[0]))
FUNCTION(just_sqrt, gr_sqrt(t, x[0]))
FUNCTION(group_norm_of_one,
         gr_sum(t, gr_group_norm(t, gr_reshape(t, x[0], GR_SHAPE(1, 3, 1)), 3, NULL, NULL, 1e-5), GR_ALL_AXES, false))

static gr_tensor *bce_against(gr_tape *t, gr_tensor *const x[], int n, void *y)
{
    (void)n;
    return gr_bce(t, x[0], y, NULL);
}

static void edges_of_what_is_defined(void **state)
{
    (void)state;
    const double p[4] = {0.0, 1.0, 0.5, 1e-300}, smallest = 1e-300, zero = 0.0, three[3] = {0.3, -2.0, 1e3};
    gr_tensor *y = gr_from(GR_F64, GR_SHAPE(4), (double[]){0.0, 1.0, 1.0, 0.0});
    gr_check_report r = at(bce_against, y, 4, p);
    expect(&r, GR_CHECK_PASS);
    r = at(just_log, NULL, 1, &smallest);
    expect(&r, GR_CHECK_PASS);
    r = at(just_sqrt, NULL, 1, &zero);
    expect_no(&r, GR_CHECK_FAIL);
    r = at(group_norm_of_one, NULL, 3, three);
    expect_no(&r, GR_CHECK_FAIL);
    gr_tensor_free(y);
}

/* ---- Directions -------------------------------------------------------------------------------------------------- */

static gr_tensor *swapping_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)n;
    gr_tensor *first = gr_slice(t, g, 0, 0, 1), *second = gr_slice(t, g, 0, 1, 2), *rest = gr_slice(t, g, 0, 2, 20);
    return gr_concat(t, (gr_tensor *[]){second, first, rest}, 3, 0);
}

static gr_status copy_kernel(gr_node *n)
{
    memcpy(gr_f64(n->out), gr_read_f64(n->in[0]), (size_t)gr_size(n->out) * sizeof(double));
    return GR_OK;
}

#define COPY(op, rule)                                                        \
    static const gr_op op = {.name = #op,                                     \
                             .formula = "y = x",                              \
                             .n_in = 1,                                       \
                             .shape = gr_shape_same,                          \
                             .forward[GR_ANY_CPU] = {[GR_F64] = copy_kernel}, \
                             .vjp = {rule}}

COPY(swapping_copy, swapping_vjp);
FUNCTION(with_swapped, gr_sum(t, gr_exp(t, gr_apply(t, &swapping_copy, x, 1, NULL)), GR_ALL_AXES, false))

static void swapped_elements(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++) {
        gr_rng rng = gr_rng_seed(seed);
        gr_tensor *x = gr_normal(GR_F64, GR_SHAPE(20), 0, 1, &rng);
        assert_int_equal(gr_require_grad(x), GR_OK);
        const gr_check_options o = {.mode = GR_CHECK_DIRECTIONAL, .seed = seed};
        gr_check_report r = checked(with_swapped, NULL, x, &o);
        expect(&r, GR_CHECK_FAIL);
        gr_tensor_free(x);
    }
}

/* ---- The VJP as a function of g, and of the calls before --------------------------------------------------------*/

static gr_tensor *size_of_g(gr_tape *t, const gr_node *n, gr_tensor *g) { return (void)n, gr_abs(t, g); }
static gr_tensor *relu_of_g(gr_tape *t, const gr_node *n, gr_tensor *g) { return (void)n, gr_relu(t, g); }
static gr_tensor *clipped_g(gr_tape *t, const gr_node *n, gr_tensor *g) { return (void)n, gr_clamp(t, g, -20.0, 20.0); }
static gr_tensor *nan_at_0(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)n;
    return gr_div(t, gr_square(t, g), g);
}

/* The first g that it is ever given. */
static gr_tensor *cached_g(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    static double first[64];
    static bool known;
    (void)n;
    if (!known) memcpy(first, gr_read_f64(g), (size_t)gr_size(g) * sizeof *first);
    known = true;
    gr_tensor *d = gr_scale(t, g, 0.0);
    if (d) memcpy(gr_f64(d), first, (size_t)gr_size(g) * sizeof *first);
    return d;
}

/* y = x^2 with x in a buffer that every call overwrites. */
static double buffer[64];

static gr_status buffered_kernel(gr_node *n)
{
    memcpy(buffer, gr_read_f64(n->in[0]), (size_t)gr_size(n->out) * sizeof *buffer);
    for (int64_t i = 0; i < gr_size(n->out); i++) gr_f64(n->out)[i] = buffer[i] * buffer[i];
    return GR_OK;
}

static gr_tensor *buffered_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_tensor *x = gr_scale(t, n->in[0], 1.0);
    if (x) memcpy(gr_f64(x), buffer, (size_t)gr_size(x) * sizeof *buffer);
    return gr_scale(t, gr_mul(t, g, x), 2.0);
}

/* y = x^2 with the x of the first call in its rule. */
static gr_tensor *of_the_first_x(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    static double first[64];
    static bool known;
    if (!known) memcpy(first, gr_read_f64(n->in[0]), (size_t)gr_size(g) * sizeof *first);
    known = true;
    gr_tensor *x = gr_scale(t, g, 0.0);
    if (x) memcpy(gr_f64(x), first, (size_t)gr_size(g) * sizeof *first);
    return gr_scale(t, gr_mul(t, g, x), 2.0);
}

COPY(size_copy, size_of_g);
COPY(relu_copy, relu_of_g);
COPY(clipped_copy, clipped_g);
COPY(nan_copy, nan_at_0);
COPY(cached_copy, cached_g);
static const gr_op buffered_square = {.name = "buffered_square",
                                      .formula = "y = x^2",
                                      .n_in = 1,
                                      .shape = gr_shape_same,
                                      .forward[GR_ANY_CPU] = {[GR_F64] = buffered_kernel},
                                      .vjp = {buffered_vjp}};

static gr_tensor *sum_of_exp(gr_tape *t, gr_tensor *const x[], int n, void *op)
{
    (void)n;
    return gr_sum(t, gr_exp(t, gr_apply(t, op, x, 1, NULL)), GR_ALL_AXES, false);
}

/* Right for every g that comes to it here. */
static void rules_that_are_not_linear_in_g(void **state)
{
    (void)state;
    const gr_op *ops[] = {&size_copy, &relu_copy, &clipped_copy, &nan_copy};
    const double values[3] = {0.3, -0.7, 1.1};
    for (int i = 0; i < 4; i++) {
        gr_tensor *x = leaf(3, values);
        for (int mode = GR_CHECK_FULL; mode <= GR_CHECK_PER_NODE; mode++) {
            gr_check_report r =
                checked(sum_of_exp, (void *)(uintptr_t)ops[i], x, &(gr_check_options){.mode = (gr_check_mode)mode});
            expect(&r, GR_CHECK_FAIL);
            assert_non_null(r.culprit_op);
            assert_string_equal(r.culprit_op, ops[i]->name);
        }
        gr_tensor_free(x);
    }
}

static void what_depends_on_an_earlier_call(void **state)
{
    (void)state;
    const double values[3] = {0.3, -0.7, 1.1};
    gr_check_report r = at(sum_of_exp, (void *)(uintptr_t)&cached_copy, 3, values);
    expect(&r, GR_CHECK_FAIL);
    r = at(sum_of_exp, (void *)(uintptr_t)&buffered_square, 3, values);
    expect(&r, GR_CHECK_NONDETERMINISTIC);
}

/* Right at first order; the rule of its rule is not: d2y/dx dg. */
static gr_tensor *detached_g(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_scale(t, gr_mul(t, gr_detach(t, g), n->in[0]), 2.0);
}
static const gr_op detached_square = {.name = "detached_square",
                                      .formula = "y = x^2",
                                      .n_in = 1,
                                      .shape = gr_shape_same,
                                      .forward[GR_ANY_CPU] = {[GR_F64] = buffered_kernel},
                                      .vjp = {detached_g}};
static const gr_op first_square = {.name = "first_square",
                                   .formula = "y = x^2",
                                   .n_in = 1,
                                   .shape = gr_shape_same,
                                   .forward[GR_ANY_CPU] = {[GR_F64] = buffered_kernel},
                                   .vjp = {of_the_first_x}};
FUNCTION(squares_of_first, gr_sum(t, gr_apply(t, &first_square, x, 1, NULL), GR_ALL_AXES, false))
FUNCTION(detached_square_of, gr_apply(t, &detached_square, x, 1, NULL))

static void second_order_by_g(void **state)
{
    (void)state;
    const double values[3] = {0.3, -0.7, 1.1};
    gr_tensor *x = leaf(3, values);
    gr_check_report r = checked(detached_square_of, NULL, x, NULL);
    expect(&r, GR_CHECK_PASS);
    r = checked(detached_square_of, NULL, x, &(gr_check_options){.order = 2});
    expect(&r, GR_CHECK_FAIL);
    assert_string_equal(r.worst[0].place, "g[0]");
    gr_tensor_free(x);
}

FUNCTION(the_input, x[0])

static void a_function_that_returns_its_input(void **state)
{
    (void)state;
    const double values[3] = {0.3, -0.7, 1.1};
    gr_check_report r = at(the_input, NULL, 3, values);
    expect(&r, GR_CHECK_PASS);
}

/* ---- Hints ------------------------------------------------------------------------------------------------------- */

enum { ROWS = 5, COLUMNS = 3, SIZE = ROWS * COLUMNS };

/* The gradient of a copy of [5,3], altered. */
static void (*alter)(double d[SIZE]);

static gr_tensor *altered_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)n;
    gr_tensor *d = gr_scale(t, g, 1.0);
    if (d) alter(gr_f64(d));
    return d;
}

COPY(altered_copy, altered_vjp);
FUNCTION(with_altered, gr_sum(t, gr_exp(t, gr_apply(t, &altered_copy, x, 1, NULL)), GR_ALL_AXES, false))

static void by_a_millionth(double d[SIZE])
{
    for (int i = 0; i < SIZE; i++) d[i] *= 1.0 + 1e-6;
}

static void five_by_a_half(double d[SIZE])
{
    for (int i = 0; i < SIZE; i += 3) d[i] *= 1.5;
}

static void no_last_row(double d[SIZE]) { memset(d + SIZE - COLUMNS, 0, COLUMNS * sizeof *d); }
static void no_second_column(double d[SIZE])
{
    for (int i = 1; i < SIZE; i += COLUMNS) d[i] = 0.0;
}

static void transposed(double d[SIZE])
{
    double was[SIZE];
    memcpy(was, d, sizeof was);
    for (int k = 0; k < SIZE; k++) d[k] = was[k % ROWS * COLUMNS + k / ROWS];
}

static void shifted(double d[SIZE])
{
    const double first = d[0];
    memmove(d, d + 1, (SIZE - 1) * sizeof *d);
    d[SIZE - 1] = first;
}

static void exchanged(double d[SIZE])
{
    const double third = d[3];
    d[3] = d[11];
    d[11] = third;
}

static void negative(double d[SIZE])
{
    for (int i = 0; i < SIZE; i++) d[i] = -d[i];
}

static void mean_for_sum(double d[SIZE])
{
    for (int i = 0; i < SIZE; i++) d[i] /= SIZE;
}

static void two_wrong(double d[SIZE])
{
    d[4] *= 3.0;
    d[7] *= 1.25;
}

static void hints_that_are_right(void **state)
{
    (void)state;
    const struct {
        void (*alter)(double d[SIZE]);
        const char *hint;
    } cases[] = {
        {by_a_millionth, "by 1e-06 of itself too large everywhere"},
        {five_by_a_half, "is 1.5 at 5 of 15 elements, all in the first column"},
        {no_last_row, "0 where the function changes, at 3 of 15 elements, all in the last row: a part is missing"},
        {no_second_column, "at 5 of 15 elements, all in column 1: a part is missing"},
        {transposed, "the gradient is transposed"},
        {shifted, "the gradient is shifted by one element"},
        {exchanged, "two elements are swapped"},
        {negative, "the sign is wrong"},
        {mean_for_sum, "is 1/15, a count of elements, everywhere: a mean for a sum"},
        {two_wrong, "few elements are wrong, at 2 of 15 elements"}};
    gr_rng rng = gr_rng_seed(5);
    gr_tensor *x = gr_normal(GR_F64, GR_SHAPE(ROWS, COLUMNS), 0, 1, &rng);
    assert_int_equal(gr_require_grad(x), GR_OK);
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        alter = cases[i].alter;
        gr_check_report r = checked(with_altered, NULL, x, NULL);
        expect(&r, GR_CHECK_FAIL);
        if (!strstr(r.hint, cases[i].hint)) fail_msg("expected \"%s\", got \"%s\"", cases[i].hint, r.hint);
    }
    gr_tensor_free(x);
}

static void hints_at_what_hides_at_x(void **state)
{
    (void)state;
    const double values[3] = {0.3, -0.7, 1.1};
    gr_check_report r = at(sum_of_exp, (void *)(uintptr_t)&size_copy, 3, values);
    assert_non_null(strstr(r.hint, "not linear in its cotangent"));
    r = at(squares_of_first, NULL, 3, values);
    expect(&r, GR_CHECK_FAIL);
    assert_non_null(strstr(r.hint, "a cached value"));
}

/* ---- F32 --------------------------------------------------------------------------------------------------------*/

/* e^x in both dtypes, with a rule that in F32 is wrong for the last element, whose gradient is small. */
static gr_status copy_any(gr_node *n)
{
    const size_t each = gr_dtype_of(n->out) == GR_F64 ? sizeof(double) : sizeof(float);
    const void *from =
        each == sizeof(double) ? (const void *)gr_read_f64(n->in[0]) : (const void *)gr_read_f32(n->in[0]);
    memcpy(each == sizeof(double) ? (void *)gr_f64(n->out) : (void *)gr_f32(n->out), from,
           (size_t)gr_size(n->out) * each);
    return GR_OK;
}

static gr_tensor *last_wrong_in_f32(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_tensor *d = gr_scale(t, g, 1.0);
    if (d && gr_dtype_of(n->out) == GR_F32) gr_f32(d)[gr_size(d) - 1] *= 2.0f;
    return d;
}

static const gr_op half_wrong = {.name = "half_wrong",
                                 .formula = "y = x",
                                 .n_in = 1,
                                 .shape = gr_shape_same,
                                 .forward[GR_ANY_CPU] = {[GR_F32] = copy_any, [GR_F64] = copy_any},
                                 .vjp = {last_wrong_in_f32}};

static void small_elements_in_f32(void **state)
{
    (void)state;
    const double values[3] = {8.0, 7.0, -8.0};
    gr_tensor *x = leaf(3, values);
    gr_check_report r =
        checked(sum_of_exp, (void *)(uintptr_t)&half_wrong, x, &(gr_check_options){.mode = GR_CHECK_F32});
    expect(&r, GR_CHECK_FAIL);
    assert_int_equal(r.index, 2);
    assert_int_equal(r.failed, 1);
    gr_tensor_free(x);
}

/* ---- What hides in few digits ------------------------------------------------------------------------------------ */

/* 1 + 1e-13 sin(x) + 1e-15 x, squared, whose long steps see the line alone; and e^ of it, the sine times *k. */
static gr_tensor *wave(gr_tape *t, gr_tensor *x, double k, double slope)
{
    gr_tensor *sine = gr_scale(t, gr_sin(t, wrongly(t, x, k)), 1e-13);
    return gr_sum(t, gr_shift(t, gr_add(t, sine, gr_scale(t, x, slope)), 1.0), GR_ALL_AXES, false);
}

FUNCTION(square_of_a_wave, gr_square(t, wave(t, x[0], *(double *)context, 1e-15)))
FUNCTION(exp_of_a_wave, gr_exp(t, wave(t, x[0], *(double *)context, 1e-16)))

static void a_structure_of_few_digits(void **state)
{
    (void)state;
    double left_out = 0.0, right = 1.0;
    const double one = 1.0;
    gr_check_report r = at(square_of_a_wave, &left_out, 1, &one);
    expect_no(&r, GR_CHECK_PASS);
    r = at(exp_of_a_wave, &right, 1, &one);
    expect_no(&r, GR_CHECK_FAIL);
}

/* |x| with a derivative of 3 at 0. */
static gr_tensor *three_at_0(gr_tape *t, gr_tensor *x)
{
    gr_tensor *at_0 = gr_detach(t, gr_equal(t, x, gr_constant(t, GR_F64, 0.0)));
    return gr_add(t, gr_abs(t, x), gr_mul(t, gr_scale(t, at_0, 3.0), gr_sub(t, x, gr_detach(t, x))));
}

/* A residual w x + 100 - y of exactly 0: small steps of w are lost beside 100. */
FUNCTION(absolute_residual, gr_sum(t, three_at_0(t, gr_shift(t, x[0], 100.0 - 100.5)), GR_ALL_AXES, false))

static gr_tensor *residual_behind_100(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    (void)n, (void)context;
    return gr_sum(t, three_at_0(t, gr_shift(t, gr_shift(t, x[0], 100.0), -100.5)), GR_ALL_AXES, false);
}

static void a_residual_of_0(void **state)
{
    (void)state;
    const double x[2] = {0.5, 0.5};
    const gr_check_mode modes[] = {GR_CHECK_FULL, GR_CHECK_SAMPLED, GR_CHECK_DIRECTIONAL, GR_CHECK_JACOBIAN};
    for (int i = 0; i < 4; i++) {
        gr_tensor *w = leaf(2, x);
        gr_check_report r = checked(absolute_residual, NULL, w, &(gr_check_options){.mode = modes[i]});
        expect(&r, GR_CHECK_FAIL);
        r = checked(residual_behind_100, NULL, w, &(gr_check_options){.mode = modes[i]});
        expect(&r, GR_CHECK_FAIL);
        gr_tensor_free(w);
    }
}

/* *context (sign(x) + 3 x), the line's gradient times -2. */
FUNCTION(line_and_step,
         gr_scale(t,
                  gr_sum(t, gr_add(t, gr_sign(t, x[0]), gr_scale(t, wrongly(t, x[0], -2.0), 3.0)), GR_ALL_AXES, false),
                  *(double *)context))

static void a_small_slope_beside_a_jump(void **state)
{
    (void)state;
    const double zero = 0.0;
    for (double size = 1.0; size > 1e-14; size *= 0.1) {
        gr_check_element e;
        gr_tensor *x = leaf(1, &zero);
        assert_int_equal(gr_check_one(line_and_step, &size, &x, 1, 0, 0, NULL, &e), GR_OK);
        assert_int_equal(e.verdict, GR_CHECK_FAIL);
        gr_tensor_free(x);
    }
}

/* *context sin(1e14 (x - 1)), which is 0 at 1, with a gradient of 0. */
FUNCTION(rough,
         gr_scale(t,
                  gr_sum(t, gr_sin(t, gr_scale(t, gr_shift(t, wrongly(t, x[0], 0.0), -1.0), 1e14)), GR_ALL_AXES, false),
                  *(double *)context))

static void a_noise_of_any_size(void **state)
{
    (void)state;
    const double one = 1.0;
    for (double size = 1.0; size > 1e-20; size *= 1e-3) {
        const gr_check_report r = at(rough, &size, 1, &one);
        expect(&r, GR_CHECK_UNRESOLVED);
    }
}

/* sqrt(x - 1), whose rule has nothing to say where the root is NaN: the second point lies there. */
static gr_status root_kernel(gr_node *n)
{
    for (int64_t i = 0; i < gr_size(n->out); i++) gr_f64(n->out)[i] = sqrt(gr_read_f64(n->in[0])[i] - 1.0);
    return GR_OK;
}

static gr_tensor *root_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    for (int64_t i = 0; i < gr_size(n->out); i++)
        if (!isfinite(gr_read_f64(n->out)[i])) return gr_fail(GR_ERR_STATE, "root: NaN"), NULL;
    return gr_div(t, g, gr_scale(t, n->out, 2.0));
}

static const gr_op root_op = {.name = "root",
                              .formula = "y = sqrt(x - 1)",
                              .n_in = 1,
                              .shape = gr_shape_same,
                              .forward[GR_ANY_CPU] = {[GR_F64] = root_kernel},
                              .vjp = {root_vjp}};
FUNCTION(roots, gr_sum(t, gr_apply(t, &root_op, x, 1, NULL), GR_ALL_AXES, false))

static void a_gradient_beyond_the_edge(void **state)
{
    (void)state;
    const double x[4] = {1.01, 1.013, 1.016, 1.019};
    const gr_check_report r = at(roots, NULL, 4, x);
    expect(&r, GR_CHECK_PASS);
}

/* f runs a backward of its own, which gives back what f's result came from: its ops are checked one by one. */
static gr_tensor *with_its_own_gradient(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    (void)n, (void)context;
    gr_tensor *sum = gr_sum(t, gr_exp(t, gr_square(t, x[0])), GR_ALL_AXES, false), *kept = gr_sin(t, x[0]), *d;
    if (!kept || gr_grad(t, sum, x, 1, &d, 0)) return NULL;
    return gr_sum(t, gr_add(t, gr_mul(t, kept, d), sum), GR_ALL_AXES, false);
}

static void a_gradient_within(void **state)
{
    (void)state;
    gr_tensor *x = leaf(2, (double[]){0.3, 0.7});
    const gr_check_report r = checked(with_its_own_gradient, NULL, x, &(gr_check_options){.mode = GR_CHECK_PER_NODE});
    expect(&r, GR_CHECK_PASS);
    gr_tensor_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_steep_part),
        cmocka_unit_test(a_small_part_beside_a_large_one),
        cmocka_unit_test(units_of_physics),
        cmocka_unit_test(elements_of_different_scales),
        cmocka_unit_test(large_numbers),
        cmocka_unit_test(slopes_on_both_sides_of_a_kink),
        cmocka_unit_test(branches_that_rounding_flips),
        cmocka_unit_test(noise_within),
        cmocka_unit_test(digits_of_the_function),
        cmocka_unit_test(edges_of_what_is_defined),
        cmocka_unit_test(swapped_elements),
        cmocka_unit_test(rules_that_are_not_linear_in_g),
        cmocka_unit_test(what_depends_on_an_earlier_call),
        cmocka_unit_test(second_order_by_g),
        cmocka_unit_test(a_function_that_returns_its_input),
        cmocka_unit_test(hints_that_are_right),
        cmocka_unit_test(hints_at_what_hides_at_x),
        cmocka_unit_test(a_structure_of_few_digits),
        cmocka_unit_test(a_residual_of_0),
        cmocka_unit_test(a_small_slope_beside_a_jump),
        cmocka_unit_test(a_noise_of_any_size),
        cmocka_unit_test(a_gradient_beyond_the_edge),
        cmocka_unit_test(a_gradient_within),
        cmocka_unit_test(small_elements_in_f32),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
