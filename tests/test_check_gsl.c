/* test_check_gsl.c: check_gsl.h on the valley of Rosenbrock and on the fit of an exponential, both of which GSL then
 * solves with the same functions. */
#include "plain_kit.h"

#include <gradus/check_gsl.h>

/* ---- A function to be minimised: (1-x)^2 + 100 (y-x^2)^2 ------------------------------------------------------ */

typedef struct slips {
    bool in_df, in_fdf;
} slips;

static double valley(const gsl_vector *v, void *params)
{
    (void)params;
    const double x = gsl_vector_get(v, 0), y = gsl_vector_get(v, 1);
    return (1 - x) * (1 - x) + 100 * (y - x * x) * (y - x * x);
}

static void slope(const gsl_vector *v, bool wrong, gsl_vector *g)
{
    const double x = gsl_vector_get(v, 0), y = gsl_vector_get(v, 1);
    gsl_vector_set(g, 0, -2 * (1 - x) - (wrong ? 200 : 400) * x * (y - x * x));
    gsl_vector_set(g, 1, 200 * (y - x * x));
}

static void valley_df(const gsl_vector *v, void *params, gsl_vector *g) { slope(v, ((slips *)params)->in_df, g); }

static void valley_fdf(const gsl_vector *v, void *params, double *f, gsl_vector *g)
{
    *f = valley(v, params);
    slope(v, ((slips *)params)->in_fdf, g);
}

static const double start[] = {-1.2, 1.0};

static gr_check_report checked(gr_check_verdict expected, slips s, bool its_df)
{
    gsl_multimin_function_fdf f = {valley, its_df ? valley_df : NULL, valley_fdf, 2, &s};
    const gr_plain problem = gr_plain_from_gsl_multimin(&f);
    return plain_is(expected, &problem, start, NULL);
}

static void gradients(void **state)
{
    (void)state;
    for (int its_df = 0; its_df < 2; its_df++) {
        checked(GR_CHECK_PASS, (slips){false, false}, its_df);
        checked(its_df ? GR_CHECK_FAIL : GR_CHECK_PASS, (slips){true, false}, its_df);
        checked(its_df ? GR_CHECK_PASS : GR_CHECK_FAIL, (slips){false, true}, its_df);
    }
    gr_check_report r = checked(GR_CHECK_FAIL, (slips){true, true}, true);
    assert_int_equal(r.index, 0);
    assert_int_equal(r.failed, 1);
}

static void gsl_finds_the_minimum(void **state)
{
    (void)state;
    slips none = {false, false};
    gsl_multimin_function_fdf f = {valley, valley_df, valley_fdf, 2, &none};
    const gsl_vector_const_view x = gsl_vector_const_view_array(start, 2);
    gsl_multimin_fdfminimizer *m = gsl_multimin_fdfminimizer_alloc(gsl_multimin_fdfminimizer_vector_bfgs2, 2);
    gsl_multimin_fdfminimizer_set(m, &f, &x.vector, 0.01, 0.1);
    int status = GSL_CONTINUE;
    for (int i = 0; i < 200 && status == GSL_CONTINUE; i++) {
        if (gsl_multimin_fdfminimizer_iterate(m)) break;
        status = gsl_multimin_test_gradient(m->gradient, 1e-8);
    }
    assert_true(close_to(gsl_vector_get(m->x, 0), 1.0, 1e-6) && close_to(gsl_vector_get(m->x, 1), 1.0, 1e-6));
    gsl_multimin_fdfminimizer_free(m);
}

/* ---- A fit: a exp(-b t_i) + c to numbers that are exactly so for a = 5, b = 0.1, c = 1 --------------------------- */

enum { POINTS = 40 };

static int residuals(const gsl_vector *p, void *params, gsl_vector *y)
{
    (void)params;
    const double a = gsl_vector_get(p, 0), b = gsl_vector_get(p, 1), c = gsl_vector_get(p, 2);
    if (a < 0.0) return GSL_EDOM;
    for (size_t i = 0; i < POINTS; i++) {
        const double t = (double)i;
        gsl_vector_set(y, i, a * exp(-b * t) + c - (5.0 * exp(-0.1 * t) + 1.0));
    }
    return GSL_SUCCESS;
}

static int jacobian(const gsl_vector *p, void *params, gsl_matrix *j)
{
    const double a = gsl_vector_get(p, 0), b = gsl_vector_get(p, 1);
    for (size_t i = 0; i < POINTS; i++) {
        const double t = (double)i, e = exp(-b * t);
        gsl_matrix_set(j, i, 0, e);
        gsl_matrix_set(j, i, 1, params ? t * a * e : -t * a * e); /* the slip: a sign */
        gsl_matrix_set(j, i, 2, 1.0);
    }
    return GSL_SUCCESS;
}

static void jacobians(void **state)
{
    (void)state;
    const double x[] = {1.0, 1.0, 0.5}, at_the_edge[] = {0.0, 1.0, 0.5};
    bool wrong = true;
    gsl_multifit_nlinear_fdf f = {.f = residuals, .df = jacobian, .n = POINTS, .p = 3};
    gr_plain problem = gr_plain_from_gsl_multifit(&f);
    assert_int_equal(plain_is(GR_CHECK_PASS, &problem, x, NULL).compared, 3 * POINTS);
    plain_is(GR_CHECK_PASS, &problem, at_the_edge, NULL); /* beyond it the function returns GSL_EDOM */
    f.params = &wrong;
    const gr_check_report r = plain_is(GR_CHECK_FAIL, &problem, x, NULL);
    assert_true(r.index == 1 && r.failed > POINTS / 2); /* it is next to nothing where t is large */
    f.df = NULL;
    problem = gr_plain_from_gsl_multifit(&f);
    assert_int_equal(gr_check_plain(&problem, x, NULL, &(gr_check_report){0}), GR_ERR_NULL);
}

static void gsl_fits_it(void **state)
{
    (void)state;
    const double x[] = {1.0, 1.0, 0.0}, expected[] = {5.0, 0.1, 1.0};
    gsl_multifit_nlinear_fdf f = {.f = residuals, .df = jacobian, .n = POINTS, .p = 3};
    const gsl_multifit_nlinear_parameters parameters = gsl_multifit_nlinear_default_parameters();
    const gsl_vector_const_view at = gsl_vector_const_view_array(x, 3);
    gsl_multifit_nlinear_workspace *w = gsl_multifit_nlinear_alloc(gsl_multifit_nlinear_trust, &parameters, POINTS, 3);
    int info;
    assert_int_equal(gsl_multifit_nlinear_init(&at.vector, &f, w), GSL_SUCCESS);
    assert_int_equal(gsl_multifit_nlinear_driver(100, 1e-10, 1e-10, 0.0, NULL, NULL, &info, w), GSL_SUCCESS);
    for (size_t i = 0; i < 3; i++)
        assert_true(close_to(gsl_vector_get(gsl_multifit_nlinear_position(w), i), expected[i], 1e-8));
    gsl_multifit_nlinear_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(gsl_finds_the_minimum),
        cmocka_unit_test(jacobians),
        cmocka_unit_test(gsl_fits_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
