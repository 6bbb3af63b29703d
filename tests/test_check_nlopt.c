/* test_check_nlopt.c: check_nlopt.h on the problem of NLopt's tutorial, which NLopt then solves with the same
 * functions: the smallest sqrt(y) with y >= (a x + b)^3 for two pairs a, b. It lies at x = 1/3, y = 8/27. */
#include "plain_kit.h"

#include <gradus/check_nlopt.h>

/* What a function is handed: its constants, the slip it has, and how often it was called below y = 0. */
typedef struct data {
    double a, b;
    bool wrong;
    int outside;
} data;

static double height(unsigned n, const double *x, double *g, void *context)
{
    data *d = context;
    assert_int_equal(n, 2);
    d->outside += x[1] < 0.0;
    if (g) {
        g[0] = 0.0;
        g[1] = d->wrong ? 1.0 / sqrt(x[1]) : 0.5 / sqrt(x[1]);
    }
    return sqrt(x[1]);
}

static double above_cubic(unsigned n, const double *x, double *g, void *context)
{
    const data *d = context;
    const double line = d->a * x[0] + d->b;
    assert_int_equal(n, 2);
    if (g) {
        g[0] = d->wrong ? 3.0 * line * line : 3.0 * d->a * line * line;
        g[1] = -1.0;
    }
    return line * line * line - x[1];
}

static const double lower[] = {-(double)INFINITY, 0.0}, start[] = {1.234, 5.678};

static gr_check_report checked(gr_check_verdict expected, nlopt_func f, data *d, const double x[])
{
    gr_nlopt function = {f, d, 2};
    gr_plain problem = gr_plain_from_nlopt(&function);
    problem.lower = lower;
    problem.names = (const char *const[]){"x", "y"};
    return plain_is(expected, &problem, x, NULL);
}

static void right_gradients_pass(void **state)
{
    (void)state;
    data d = {0}, first = {2, 0, false, 0}, second = {-1, 1, false, 0};
    const double near_the_bound[] = {0.5, 1e-6};
    checked(GR_CHECK_PASS, height, &d, start);
    checked(GR_CHECK_PASS, height, &d, near_the_bound);
    checked(GR_CHECK_PASS, above_cubic, &first, start);
    checked(GR_CHECK_PASS, above_cubic, &second, start);
    assert_int_equal(d.outside, 0);
}

static void wrong_gradients_fail(void **state)
{
    (void)state;
    data d = {.wrong = true}, constraint = {2, 0, true, 0};
    gr_check_report r = checked(GR_CHECK_FAIL, height, &d, start);
    assert_string_equal(r.worst[0].place, "y");
    r = checked(GR_CHECK_FAIL, above_cubic, &constraint, start);
    assert_string_equal(r.worst[0].place, "x");
    assert_int_equal(r.failed, 1);
}

static void nlopt_solves_it(void **state)
{
    (void)state;
    data d = {0}, pairs[] = {{2, 0, false, 0}, {-1, 1, false, 0}};
    double x[] = {start[0], start[1]}, f;
    nlopt_opt opt = nlopt_create(NLOPT_LD_MMA, 2);
    nlopt_set_lower_bounds(opt, lower);
    nlopt_set_min_objective(opt, height, &d);
    for (int i = 0; i < 2; i++) nlopt_add_inequality_constraint(opt, above_cubic, &pairs[i], 1e-10);
    nlopt_set_xtol_rel(opt, 1e-8);
    assert_true(nlopt_optimize(opt, x, &f) > 0);
    nlopt_destroy(opt);
    assert_true(close_to(x[0], 1.0 / 3.0, 1e-6) && close_to(x[1], 8.0 / 27.0, 1e-6) && close_to(f, sqrt(x[1]), 1e-12));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_gradients_pass),
        cmocka_unit_test(wrong_gradients_fail),
        cmocka_unit_test(nlopt_solves_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
