/* test_check_ipopt.c: check_ipopt.h on problem 71 of Hock and Schittkowski, in both index styles, which Ipopt then
 * solves with the same functions: the smallest x0 x3 (x0+x1+x2) + x2 with x0 x1 x2 x3 >= 25, the sum of squares 40, and
 * all x in 1 .. 5. It is 17.0140173 (their book of 1981). */
#include "plain_kit.h"

#include <gradus/check_ipopt.h>

typedef enum slip { NONE, GRADIENT, JACOBIAN_NUMBER, JACOBIAN_PLACE, HESSIAN_NUMBER, HESSIAN_PLACE } slip;

typedef struct data {
    int style;
    slip slip;
    int outside; /* calls at points that are out of bounds */
} data;

static void count(data *d, const double *x)
{
    for (int i = 0; i < 4; i++) d->outside += !(x[i] >= 1.0 && x[i] <= 5.0);
}

static Bool eval_f(int n, double *x, Bool new_x, double *f, UserDataPtr user_data)
{
    (void)n, (void)new_x;
    count(user_data, x);
    *f = x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2];
    return 1;
}

static Bool eval_grad_f(int n, double *x, Bool new_x, double *g, UserDataPtr user_data)
{
    const data *d = user_data;
    (void)n, (void)new_x;
    count(user_data, x);
    g[0] = x[0] * x[3] + x[3] * (x[0] + x[1] + x[2]);
    g[1] = x[0] * x[3];
    g[2] = x[0] * x[3] + (d->slip == GRADIENT ? 0.0 : 1.0);
    g[3] = x[0] * (x[0] + x[1] + x[2]);
    return 1;
}

static Bool eval_g(int n, double *x, Bool new_x, int m, double *g, UserDataPtr user_data)
{
    (void)n, (void)new_x, (void)m;
    count(user_data, x);
    g[0] = x[0] * x[1] * x[2] * x[3];
    g[1] = x[0] * x[0] + x[1] * x[1] + x[2] * x[2] + x[3] * x[3];
    return 1;
}

static Bool eval_jac_g(int n, double *x, Bool new_x, int m, int nele_jac, int *row, int *column, double *value,
                       UserDataPtr user_data)
{
    const data *d = user_data;
    (void)new_x, (void)m, (void)nele_jac;
    for (int i = 0; i < n && !value; i++) {
        row[i] = d->style;
        row[4 + i] = d->style + 1;
        column[i] = column[4 + i] = d->style + i;
    }
    if (!value && d->slip == JACOBIAN_PLACE) column[5] = d->style + 2;
    for (int i = 0; i < n && value; i++) {
        value[i] = x[(i + 1) % 4] * x[(i + 2) % 4] * x[(i + 3) % 4];
        value[4 + i] = (d->slip == JACOBIAN_NUMBER ? 1.0 : 2.0) * x[i];
    }
    if (value) count(user_data, x);
    return 1;
}

/* The lower triangle, row by row. */
static Bool eval_h(int n, double *x, Bool new_x, double factor, int m, double *lambda, Bool new_lambda, int nele_hess,
                   int *row, int *column, double *value, UserDataPtr user_data)
{
    const data *d = user_data;
    (void)new_x, (void)m, (void)new_lambda, (void)nele_hess;
    for (int i = 0, k = 0; i < n; i++)
        for (int j = 0; j <= i; j++, k++) {
            if (value) value[k] = i == j ? 2.0 * lambda[1] : lambda[0] * x[0] * x[1] * x[2] * x[3] / (x[i] * x[j]);
            else row[k] = i + d->style, column[k] = j + d->style;
        }
    if (!value && d->slip == HESSIAN_PLACE) row[3] = d->style + 3; /* [3,0] for [2,0] */
    if (!value) return 1;
    count(user_data, x);
    value[0] += factor * 2.0 * x[3];
    value[1] += factor * x[3];
    value[3] += factor * x[3];
    value[6] += factor * (2.0 * x[0] + x[1] + x[2]);
    value[7] += factor * x[0];
    value[8] += d->slip == HESSIAN_NUMBER ? 0.0 : factor * x[0];
    return 1;
}

static double x_L[] = {1, 1, 1, 1}, x_U[] = {5, 5, 5, 5}, g_L[] = {25, 40}, g_U[] = {2e19, 40};
static const double start[] = {1.0, 5.0, 5.0, 1.0}, inside[] = {1.5, 4.5, 3.25, 2.0};

static gr_ipopt problem_of(data *d)
{
    return (gr_ipopt){4, x_L, x_U, 2, 8, 10, d->style, eval_f, eval_g, eval_grad_f, eval_jac_g, eval_h, d};
}

/* Each part with this slip: it fails where it must, and only there, and nothing is called out of bounds. */
static gr_check_report checked(slip s, int style, gr_ipopt_part wrong, const double x[])
{
    data d = {style, s, 0};
    const gr_ipopt problem = problem_of(&d);
    gr_check_report r, failed = {.n_worst = 0};
    for (int part = 0; part < GR_IPOPT_N_PARTS; part++) {
        if (part == GR_IPOPT_LAGRANGIAN && wrong < GR_IPOPT_LAGRANGIAN) break; /* it is made of what is wrong */
        if (gr_check_ipopt(&problem, (gr_ipopt_part)part, x, NULL, &r)) fail_msg("%s", gr_last_error());
        expect_verdict(part == (int)wrong ? GR_CHECK_FAIL : GR_CHECK_PASS, &r);
        if (part == (int)wrong) failed = r;
    }
    assert_int_equal(d.outside, 0);
    return failed;
}

static void right_derivatives_pass(void **state)
{
    (void)state;
    for (int style = 0; style < 2; style++) {
        checked(NONE, style, GR_IPOPT_N_PARTS, inside);
        checked(NONE, style, GR_IPOPT_N_PARTS, start); /* on its bounds */
    }
}

static void wrong_derivatives_fail(void **state)
{
    (void)state;
    for (int style = 0; style < 2; style++) {
        gr_check_report r = checked(GRADIENT, style, GR_IPOPT_OBJECTIVE, inside);
        assert_true(r.failed == 1 && r.index == 2);
        r = checked(JACOBIAN_NUMBER, style, GR_IPOPT_CONSTRAINTS, inside);
        assert_true(r.failed == 4 && r.worst[0].output == 1);
        assert_non_null(strstr(r.hint, "the places are right"));
        r = checked(JACOBIAN_PLACE, style, GR_IPOPT_CONSTRAINTS, inside);
        assert_true(r.failed == 2 && r.worst[0].output == 1);
        assert_non_null(strstr(r.hint, "no entry is given at [1,1]"));
        r = checked(HESSIAN_NUMBER, style, GR_IPOPT_LAGRANGIAN, inside);
        assert_true(r.failed == 2); /* [3,2] and [2,3] */
        r = checked(HESSIAN_PLACE, style, GR_IPOPT_LAGRANGIAN, inside);
        assert_non_null(strstr(r.hint, "no entry is given at ["));
    }
}

static void the_wrong_style_is_an_error(void **state)
{
    (void)state;
    data d = {1, NONE, 0};
    gr_ipopt problem = problem_of(&d);
    gr_check_report r;
    problem.index_style = 0;
    assert_int_equal(gr_check_ipopt(&problem, GR_IPOPT_CONSTRAINTS, inside, NULL, &r), GR_ERR_INDEX);
    assert_failed_with("style", GR_ERR_INDEX, "check_ipopt: ");
    problem = problem_of(&d);
    problem.eval_h = NULL; /* Ipopt may do without */
    assert_int_equal(gr_check_ipopt(&problem, GR_IPOPT_CONSTRAINTS, inside, NULL, &r), GR_OK);
    assert_int_equal(gr_check_ipopt(&problem, GR_IPOPT_LAGRANGIAN, inside, NULL, &r), GR_ERR_NULL);
}

static void ipopt_solves_it(void **state)
{
    (void)state;
    for (int style = 0; style < 2; style++) {
        data d = {style, NONE, 0};
        double x[] = {start[0], start[1], start[2], start[3]}, f;
        char silent[] = "print_level", banner[] = "sb", yes[] = "yes";
        IpoptProblem nlp =
            CreateIpoptProblem(4, x_L, x_U, 2, g_L, g_U, 8, 10, style, eval_f, eval_g, eval_grad_f, eval_jac_g, eval_h);
        assert_non_null(nlp);
        assert_true(AddIpoptIntOption(nlp, silent, 0) && AddIpoptStrOption(nlp, banner, yes));
        assert_int_equal(IpoptSolve(nlp, x, NULL, &f, NULL, NULL, NULL, &d), Solve_Succeeded);
        FreeIpoptProblem(nlp);
        assert_true(close_to(f, 17.0140173, 1e-7));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_derivatives_pass),
        cmocka_unit_test(wrong_derivatives_fail),
        cmocka_unit_test(the_wrong_style_is_an_error),
        cmocka_unit_test(ipopt_solves_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
