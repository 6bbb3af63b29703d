/* test_check_taylor.c: the order of Taylor's remainders, the error of a central difference by its step, what a check
 * costs, and its progress. */
#include <gradus/check_plain.h>

#include "helpers.h"

#include <gradus/gradus.h>
#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

#define FUNCTION(name, ...)                                                        \
    static gr_tensor *name(gr_tape *t, gr_tensor *const x[], int n, void *context) \
    {                                                                              \
        (void)n, (void)context;                                                    \
        return __VA_ARGS__;                                                        \
    }

static const gr_check_options taylor = {.mode = GR_CHECK_TAYLOR};

static gr_tensor *leaf(int64_t n, const double *values)
{
    gr_tensor *x = gr_from(GR_F64, GR_SHAPE(n), values);
    assert_non_null(x);
    assert_int_equal(gr_require_grad(x), GR_OK);
    return x;
}

static gr_check_report checked(gr_check_function f, double where, const gr_check_options *o)
{
    gr_tensor *x = leaf(3, (double[]){where, -0.5 * where, 1.25 * where});
    gr_check_report r;
    if (gr_check_gradients(f, NULL, &x, 1, o, &r)) fail_msg("%s", gr_last_error());
    gr_tensor_free(x);
    return r;
}

static gr_check_report checked_plain(const gr_plain *p, const double x[], const gr_check_options *o)
{
    gr_check_report r;
    if (gr_check_plain(p, x, o, &r)) fail_msg("%s", gr_last_error());
    return r;
}

static void expect(const char *what, const gr_check_report *r, gr_check_verdict v)
{
    if (r->verdict == v) return;
    gr_check_fprint(stdout, r);
    fail_msg("%s: expected %s, got %s", what, gr_check_verdict_name(v), gr_check_verdict_name(r->verdict));
}

/* An expected order of 0 is not looked at; infinite ones are. */
static void expect_orders(const char *what, const gr_check_report *r, const double expected[GR_CHECK_ORDERS])
{
    for (int k = 0; k < GR_CHECK_ORDERS; k++) {
        const double e = expected[k], order = r->order[k];
        if (e == 0.0 || order == e || fabs(order - e) <= 0.1 || (isnan(e) && isnan(order))) continue;
        gr_check_fprint(stdout, r);
        fail_msg("%s: order %d is %.3g, expected %.3g", what, k, order, e);
    }
}

/* ---- Orders on a tape -------------------------------------------------------------------------------------------- */

FUNCTION(sum_of_exp, gr_sum(t, gr_exp(t, x[0]), GR_ALL_AXES, false))
FUNCTION(some_of_exp, gr_exp(t, x[0]))
FUNCTION(sum_of_sin, gr_sum(t, gr_sin(t, x[0]), GR_ALL_AXES, false))
FUNCTION(mean_of_tanh_squared, gr_mean(t, gr_square(t, gr_tanh(t, x[0])), GR_ALL_AXES, false))
FUNCTION(steep, gr_sum(t, gr_exp(t, gr_scale(t, x[0], 50.0)), GR_ALL_AXES, false))
FUNCTION(squares, gr_sum(t, gr_square(t, x[0]), GR_ALL_AXES, false))
FUNCTION(linear, gr_sum(t, gr_scale(t, x[0], 3.0), GR_ALL_AXES, false))
FUNCTION(constant, gr_scale(t, x[0], 0.0))
FUNCTION(relu, gr_relu(t, x[0]))
FUNCTION(near_kinks, gr_square(t, gr_relu(t, gr_shift(t, x[0], -0.99))))
FUNCTION(half_detached, gr_add(t, gr_exp(t, x[0]), gr_detach(t, gr_sin(t, x[0]))))
FUNCTION(a_part_detached, gr_add(t, gr_exp(t, x[0]), gr_detach(t, gr_scale(t, gr_sin(t, x[0]), 1e-5))))

static void orders_on_a_tape(void **state)
{
    (void)state;
    const double inf = (double)INFINITY, nan = (double)NAN;
    const struct {
        const char *what;
        gr_check_function f;
        double at;
        gr_check_verdict verdict;
        double orders[GR_CHECK_ORDERS];
    } rows[] = {
        {"exp", sum_of_exp, 1.0, GR_CHECK_PASS, {1, 2, 3}},
        {"exp, not summed", some_of_exp, 1.0, GR_CHECK_PASS, {1, 2, 3}},
        {"sin", sum_of_sin, 1.0, GR_CHECK_PASS, {1, 2, 3}},
        {"tanh^2", mean_of_tanh_squared, 0.7, GR_CHECK_PASS, {1, 2, 3}},
        {"exp(50 x)", steep, 1.0, GR_CHECK_PASS, {1, 2, 3}},
        {"x^2, whose third is nothing", squares, 1.0, GR_CHECK_PASS, {1, 2, inf}},
        {"x^2 at 1e-9", squares, 1e-9, GR_CHECK_PASS, {1, 2, inf}},
        {"x^2 at 1e9", squares, 1e9, GR_CHECK_PASS, {1, 2, inf}},
        {"3 x", linear, 1.0, GR_CHECK_PASS, {1, inf, nan}},
        {"0 x", constant, 1.0, GR_CHECK_VACUOUS, {0}},
        {"relu beside 0", relu, 1e-3, GR_CHECK_PASS, {1, inf, inf}},
        {"kinks at 0.01 from x", near_kinks, 1.0, GR_CHECK_PASS, {1, 2, inf}},
        {"relu at 0", relu, 0.0, GR_CHECK_KINK, {0}},
        {"half of it detached", half_detached, 1.0, GR_CHECK_FAIL, {1, 1, 0}},
        {"1e-5 of it detached", a_part_detached, 1.0, GR_CHECK_FAIL, {1, 1, 0}},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const gr_check_report r = checked(rows[i].f, rows[i].at, &taylor);
        expect(rows[i].what, &r, rows[i].verdict);
        expect_orders(rows[i].what, &r, rows[i].orders);
        if (isfinite(r.order[1]) && r.order[1] > 0.0) assert_true(r.range[0] >= 8.0 * r.range[1] && r.range[1] > 0.0);
    }
    const gr_check_report second = checked(sum_of_exp, 1.0, &(gr_check_options){.mode = GR_CHECK_TAYLOR, .order = 2});
    expect("exp, order 2", &second, GR_CHECK_PASS);
    expect_orders("exp, order 2", &second, (double[]){1, 2, 3});
}

/* ---- Orders of plain functions ----------------------------------------------------------------------------------- */

/* f = e^x sin y + x^3; by how much its gradient and its Hessian are wrong. */
typedef struct factors {
    double gradient, hessian;
} factors;

static double surface(const double *x, void *context)
{
    (void)context;
    return exp(x[0]) * sin(x[1]) + x[0] * x[0] * x[0];
}

static int surface_gradient(const double *x, double *g, void *context)
{
    const factors *by = context;
    g[0] = by->gradient * (exp(x[0]) * sin(x[1]) + 3 * x[0] * x[0]);
    g[1] = exp(x[0]) * cos(x[1]);
    return 0;
}

static int surface_hessian(const double *x, const double *v, double *hv, void *context)
{
    const factors *by = context;
    const double e = exp(x[0]), s = sin(x[1]), c = cos(x[1]);
    hv[0] = by->hessian * (e * s + 6 * x[0]) * v[0] + e * c * v[1];
    hv[1] = e * c * v[0] - e * s * v[1];
    return 0;
}

static gr_check_report surface_with(factors by, int order)
{
    gr_plain p = {.f = surface, .gradient = surface_gradient, .hessian_vector = surface_hessian, .n = 2};
    p.context = &by;
    return checked_plain(&p, (double[]){1, 2}, &(gr_check_options){.mode = GR_CHECK_TAYLOR, .order = order});
}

static void orders_of_plain_functions(void **state)
{
    (void)state;
    static const double wrong[] = {2.0, -1.0, 0.0, 1.001, 0.999, 1.00001};
    gr_check_report r = surface_with((factors){1, 1}, 1);
    expect("right", &r, GR_CHECK_PASS);
    expect_orders("right", &r, (double[]){1, 2, 3});
    for (size_t i = 0; i < COUNT(wrong); i++) {
        r = surface_with((factors){wrong[i], 1}, 1);
        expect("the gradient is wrong", &r, GR_CHECK_FAIL);
        expect_orders("the gradient is wrong", &r, (double[]){1, 1, 1});
        r = surface_with((factors){1, wrong[i]}, 1);
        expect("the Hessian is wrong", &r, GR_CHECK_PASS);
        if (fabs(wrong[i] - 1.0) > 1e-4) expect_orders("the Hessian is wrong", &r, (double[]){1, 2, 2});
        r = surface_with((factors){1, wrong[i]}, 2);
        expect("the Hessian is wrong, order 2", &r, GR_CHECK_FAIL);
    }
    r = checked_plain(&(gr_plain){.f = surface, .gradient = surface_gradient, .n = 2, .context = &(factors){1, 1}},
                      (double[]){1, 2}, &taylor);
    expect("no Hessian", &r, GR_CHECK_PASS);
    expect_orders("no Hessian", &r, (double[]){1, 2, (double)NAN});
}

static void a_failure_is_traced(void **state)
{
    (void)state;
    const gr_check_report r = surface_with((factors){1.001, 1}, 1);
    assert_string_equal(r.worst[0].place, "x[0]");
    assert_true(r.worst[0].verdict == GR_CHECK_FAIL && r.worst[1].index == -1);
}

/* ---- Hard functions of one variable: never a wrong verdict -------------------------------------------------- */

/* f and f' at x = at, and what f is multiplied by; `by` is what the gradient is multiplied by. */
typedef struct line_of_one {
    const char *what;
    double (*f)(double x), (*d)(double x);
    double at;
} line_of_one;

#define OF_ONE(name, value, slope)                   \
    static double name(double x) { return (value); } \
    static double name##_slope(double x) { return (slope); }

OF_ONE(e_to_x, exp(x), exp(x))
OF_ONE(ripple, sin(2000 * x), 2000 * cos(2000 * x))
OF_ONE(reciprocal, 1 / x, -1 / (x * x))
OF_ONE(cliff, exp(-1e8 * x * x), -2e8 * x * exp(-1e8 * x * x))
OF_ONE(slow_wave, 0.1 * (x + sin(x)), 0.1 * (1 + cos(x)))
OF_ONE(softened, 1 / sqrt(x * x + 1e-12), -x / ((x * x + 1e-12) * sqrt(x * x + 1e-12)))
OF_ONE(cancelled, sin(x) + 1e7 - 1e7, cos(x))
OF_ONE(offset_wave, 1e12 * cos(x) + x, 1 - 1e12 * sin(x))
OF_ONE(in_float, (double)expf((float)x), (double)expf((float)x))
OF_ONE(in_float_sum, (double)(sinf((float)x) * 3.0f + 100.0f), (double)(cosf((float)x) * 3.0f))
OF_ONE(root, sqrt(x), 0.5 / sqrt(x))
OF_ONE(logarithm, log(x), 1 / x)
OF_ONE(power, x *sqrt(fabs(x)), 1.5 * sqrt(fabs(x)))
OF_ONE(kinked, fabs(x), x > 0 ? 1.0 : x < 0 ? -1.0 : 0.0)
OF_ONE(flat_top, x *x *x *x + 1, 4 * x * x * x)
OF_ONE(cubic, x *x *x + x, 3 * x * x + 1)
OF_ONE(arrhenius, 1e13 * exp(-1e5 / (8.314 * x)), 1e13 * exp(-1e5 / (8.314 * x)) * 1e5 / (8.314 * x * x))

typedef struct tried {
    const line_of_one *row;
    double by;
} tried;

static double f_of_one(const double *x, void *context) { return ((tried *)context)->row->f(*x); }

static int gradient_of_one(const double *x, double *g, void *context)
{
    const tried *t = context;
    *g = t->by * t->row->d(*x);
    return 0;
}

#define ROW(name, at)                            \
    {                                            \
#name " at " #at, name, name##_slope, at \
    }
static const line_of_one hard[] = {
    ROW(e_to_x, 1),         ROW(e_to_x, -30),     ROW(e_to_x, 1e-9),     ROW(ripple, 0.3),        ROW(ripple, 1e-6),
    ROW(reciprocal, 1e-8),  ROW(reciprocal, 3e5), ROW(cliff, 1e-4),      ROW(slow_wave, 1e8),     ROW(slow_wave, 2),
    ROW(softened, 1e-6),    ROW(cancelled, 1),    ROW(offset_wave, 0.5), ROW(offset_wave, 1e-30), ROW(in_float, 1),
    ROW(in_float_sum, 0.4), ROW(root, 1e-300),    ROW(root, 4),          ROW(logarithm, 1e-300),  ROW(logarithm, 1e300),
    ROW(power, 1e-12),      ROW(power, 0),        ROW(kinked, 0),        ROW(kinked, 1e-9),       ROW(flat_top, 0),
    ROW(flat_top, 1e-3),    ROW(cubic, 0),        ROW(cubic, 1e-200),    ROW(arrhenius, 300),     ROW(arrhenius, 1500),
};

static gr_check_report try_one(const line_of_one *row, double by, gr_check_mode mode)
{
    tried t = {row, by};
    return checked_plain(&(gr_plain){.f = f_of_one, .gradient = gradient_of_one, .n = 1, .context = &t}, &row->at,
                         &(gr_check_options){.mode = mode});
}

/* No right gradient FAILs, no wrong one passes; and the orders change no verdict on these. */
static void never_wrong(void **state)
{
    (void)state;
    static const double tried_with[] = {1.0, 2.0, -1.0, 1.001};
    int count[2][GR_CHECK_N_VERDICTS] = {{0}}, bad = 0;
    for (size_t i = 0; i < COUNT(hard); i++)
        for (size_t k = 0; k < COUNT(tried_with); k++) {
            const bool wrong = k > 0;
            if (wrong && hard[i].d(hard[i].at) == 0.0) continue;
            const gr_check_report r = try_one(&hard[i], tried_with[k], GR_CHECK_TAYLOR);
            const gr_check_report directions = try_one(&hard[i], tried_with[k], GR_CHECK_DIRECTIONAL);
            const bool passed = r.verdict == GR_CHECK_PASS || r.verdict == GR_CHECK_VACUOUS;
            count[wrong][r.verdict]++;
            if (!(wrong ? passed : r.verdict == GR_CHECK_FAIL) && r.verdict == directions.verdict) continue;
            bad++;
            printf("%s, times %g: %s, order %.3g; by directions alone %s\n", hard[i].what, tried_with[k],
                   gr_check_verdict_name(r.verdict), r.order[1], gr_check_verdict_name(directions.verdict));
        }
    for (int i = 0; i < 2; i++)
        printf("%s gradients: %d PASS, %d FAIL, %d KINK, %d UNRESOLVED, %d VACUOUS\n", i ? "wrong" : "right",
               count[i][GR_CHECK_PASS], count[i][GR_CHECK_FAIL], count[i][GR_CHECK_KINK], count[i][GR_CHECK_UNRESOLVED],
               count[i][GR_CHECK_VACUOUS]);
    if (bad) fail_msg("%d verdicts are wrong", bad);
}

/* At a bound f is tried on the side where it may be. */
static void inside_the_bounds(void **state)
{
    (void)state;
    static const double bound = 1.0;
    tried t = {&hard[0], 1.0};
    gr_plain p = {.f = f_of_one, .gradient = gradient_of_one, .n = 1, .context = &t};
    for (int upper = 0; upper < 2; upper++) {
        *(upper ? &p.upper : &p.lower) = &bound;
        gr_check_report r = checked_plain(&p, &bound, &taylor);
        expect("at a bound", &r, GR_CHECK_PASS);
        expect_orders("at a bound", &r, (double[]){1, 2, (double)NAN});
        p.lower = p.upper = NULL;
    }
}

/* ---- The report -------------------------------------------------------------------------------------------------- */

static void the_report_tells(void **state)
{
    (void)state;
    char text[4000], json[4000] = "";
    const gr_check_report r = checked(squares, 1.0, &taylor);
    assert_true(gr_check_format(text, sizeof text, &r) < sizeof text);
    assert_non_null(strstr(text, "orders of Taylor's remainders: 1, 2, inf; steps from 1 to "));
    FILE *file = tmpfile();
    assert_int_equal(gr_check_fprint_json(file, &r), GR_OK);
    rewind(file);
    assert_true(fread(json, 1, sizeof json - 1, file) > 0);
    fclose(file);
    assert_non_null(strstr(json, "\"mode\": \"taylor\""));
    assert_non_null(strstr(json, "\"order_1\": "));
    assert_non_null(strstr(json, "\"order_2\": \"inf\", \"longest_step\": 1, \"shortest_step\": "));
    const gr_check_report full = checked(squares, 1.0, NULL);
    gr_check_format(text, sizeof text, &full);
    assert_null(strstr(text, "orders"));
}

/* ---- The V ------------------------------------------------------------------------------------------------------- */

enum { PER_DECADE = 16, POINTS = 12 * PER_DECADE };

static void curve_of(gr_check_function f, double at, gr_check_point points[POINTS], gr_check_element *e)
{
    gr_tensor *x = leaf(1, &at);
    for (int i = 0; i < POINTS; i++) points[i].h = pow(10.0, -(double)i / PER_DECADE);
    if (gr_check_curve(f, NULL, &x, 1, 0, 0, points, POINTS, e)) fail_msg("%s", gr_last_error());
    assert_true(gr_get(x, 0) == at);
    gr_tensor_free(x);
}

/* The largest error within a quarter of a decade: rounding may happen to leave none at all at one step. */
static double around(const gr_check_point *points, int i, bool single)
{
    double most = 0.0;
    for (int k = i - PER_DECADE / 4; k <= i + PER_DECADE / 4; k++)
        if (k >= 0 && k < POINTS) most = fmax(most, single ? points[k].f32 : points[k].f64);
    return most;
}

static double best_step(const gr_check_point *points, bool single)
{
    int best = 0;
    for (int i = 0; i < POINTS; i++)
        if (around(points, i, single) < around(points, best, single)) best = i;
    return points[best].h;
}

/* Of e^x at 1 the error is e h^2 / 6 + ... and rounding, e u / h with half a unit u in the last place, or some such.
 * The sum is least at h = (3 u)^(1/3): 6.9e-6 for F64, 5.6e-3 for F32. */
static void the_v_of_exp(void **state)
{
    (void)state;
    const double e1 = exp(1.0), rounding[] = {0x1p-53, 0x1p-24}, least[] = {6.9e-6, 5.6e-3};
    gr_check_point points[POINTS];
    gr_check_element e;
    curve_of(some_of_exp, 1.0, points, &e);
    for (int single = 0; single < 2; single++) {
        const double u = rounding[single], best = best_step(points, single);
        printf("exp at 1 in %s: least error near h = %.1e\n", single ? "F32" : "F64", best);
        assert_true(best > least[single] / 5.0 && best < least[single] * 5.0);
        int below = 0;
        for (int i = 0; i < POINTS; i++) {
            const double h = points[i].h, error = single ? points[i].f32 : points[i].f64;
            const double truncation = e1 * (sinh(h) / h - 1.0), most = 4.0 * e1 * u / h;
            if (fabs(error - truncation) > most) fail_msg("h %.3g: error %.3g, not %.3g", h, error, truncation);
            below += h < 0.01 * best && around(points, i, single) < 0.1 * e1 * u / h && e1 * u / h < e1;
        }
        assert_int_equal(below, 0);
    }
    assert_int_equal(e.verdict, GR_CHECK_PASS);
    assert_true(fabs(e.numeric - e1) <= 1e-11 && fabs(e.numeric - e1) <= 4.0 * e.error);
}

FUNCTION(log_of, gr_log(t, x[0]))
FUNCTION(in_f64_alone, gr_exp(t, gr_cast(t, x[0], GR_F64)))

static gr_tensor *captured(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    (void)n;
    return gr_mul(t, x[0], gr_mul(t, x[0], context));
}

static void curves_of_other_functions(void **state)
{
    (void)state;
    gr_check_point points[POINTS];
    gr_check_element e;
    curve_of(linear, 1.0, points, &e);
    assert_true(points[0].f64 < 1e-14 && points[0].f32 < 1e-5);
    curve_of(in_f64_alone, 1.0, points, &e);
    assert_true(points[0].f32 < 1.0); /* of an F32 copy */
    gr_tensor *x = leaf(2, (double[]){0.5, 2.0}), *w = leaf(2, (double[]){3.0, 4.0});
    gr_check_point two[] = {{.h = 0.25}, {.h = 1.0}};
    assert_int_equal(gr_check_curve(captured, w, &x, 1, 0, 1, two, 2, &e), GR_OK);
    assert_true(two[0].f64 < 1e-14 && isnan(two[0].f32) && isnan(two[1].f32)); /* F32 by F64 is refused */
    assert_int_equal(gr_last_status(), GR_OK);
    assert_int_equal(gr_check_curve(log_of, NULL, &x, 1, 0, 0, two, 2, &e), GR_OK);
    assert_true(two[0].f64 > 0.0 && isnan(two[1].f64) && isnan(two[1].f32)); /* log(-0.5) */
    two[1].h = 0.0;
    assert_int_equal(gr_check_curve(log_of, NULL, &x, 1, 0, 0, two, 2, &e), GR_ERR_OPTION);
    assert_failed_with("h = 0", GR_ERR_OPTION, "check_curve: step 1 is 0, expected a finite number above 0");
    assert_int_equal(gr_check_curve(log_of, NULL, &x, 1, 0, 0, two, -1, &e), GR_ERR_OPTION);
    gr_clear_error();
    assert_int_equal(gr_check_curve(log_of, NULL, &x, 1, 0, 0, NULL, 0, &e), GR_ERR_NULL);
    assert_int_equal(gr_check_curve(log_of, NULL, &x, 1, 0, 2, two, 1, &e), GR_ERR_INDEX);
    assert_int_equal(gr_check_curve(log_of, NULL, &x, 1, 0, 0, two, 0, &e), GR_OK);
    gr_tensor_free(x);
    gr_tensor_free(w);
}

/* ---- The cost, and the progress ------------------------------------------------------------------------------- */

/* A network of two layers, and what it is to give: h = tanh(x w1 + b1), mean of (h w2 - y)^2. */
enum { W1, B1, W2, X, Y, INPUTS };

FUNCTION(network, gr_mse(t, gr_matmul(t, gr_tanh(t, gr_linear(t, x[X], x[W1], x[B1])), x[W2], 0), x[Y], NULL))
FUNCTION(hidden_layer, gr_tanh(t, gr_linear(t, x[X], x[W1], x[B1])))

static void make_network(gr_tensor *x[INPUTS], int64_t in, int64_t hidden, int64_t batch)
{
    gr_rng rng = gr_rng_seed(5);
    x[W1] = gr_xavier_normal(GR_F64, GR_SHAPE(in, hidden), &rng);
    x[B1] = gr_normal(GR_F64, GR_SHAPE(hidden), 0.0, 0.5, &rng);
    x[W2] = gr_xavier_normal(GR_F64, GR_SHAPE(hidden, 2), &rng);
    x[X] = gr_normal(GR_F64, GR_SHAPE(batch, in), 0.0, 1.0, &rng);
    x[Y] = gr_normal(GR_F64, GR_SHAPE(batch, 2), 0.0, 1.0, &rng);
    for (int i = W1; i <= W2; i++) assert_int_equal(gr_require_grad(x[i]), GR_OK);
}

static void free_network(gr_tensor *x[INPUTS])
{
    for (int i = 0; i < INPUTS; i++) gr_tensor_free(x[i]);
}

/* What the progress function has been told. */
typedef struct told {
    int64_t calls, total, stop_after;
    bool in_order;
} told;

static bool hear(int64_t done, int64_t total, void *context)
{
    told *t = context;
    t->in_order &= done == ++t->calls && done <= total && (done == 1 || total == t->total);
    t->total = total;
    return done != t->stop_after;
}

static void the_cost_is_known_beforehand(void **state)
{
    (void)state;
    gr_tensor *x[INPUTS];
    make_network(x, 4, 5, 3);
    for (gr_check_mode mode = 0; mode < GR_CHECK_N_MODES; mode++) {
        for (int vector = 0; vector < 2; vector++) {
            told t = {.in_order = true};
            const gr_check_options o = {.mode = mode, .progress = hear, .progress_context = &t};
            gr_check_report r;
            if (gr_check_gradients(vector ? hidden_layer : network, NULL, x, vector ? X + 1 : INPUTS, &o, &r))
                fail_msg("%s", gr_last_error());
            const double cost = (double)gr_check_cost(x, INPUTS, &o), taken = (double)r.evaluations;
            printf("mode %d: %g evaluations expected, %g made; %lld of %lld\n", (int)mode, cost, taken,
                   (long long)t.calls, (long long)t.total);
            if (!vector && mode != GR_CHECK_PER_NODE) assert_true(fabs(cost - taken) <= 0.25 * taken);
            assert_true(t.in_order && t.calls == t.total);
            assert_true((t.calls > 0) == (mode != GR_CHECK_ACCUMULATION && mode != GR_CHECK_F32));
        }
    }
    assert_int_equal(gr_check_cost(x, INPUTS, &(gr_check_options){.directions = -1}), -1);
    assert_int_equal(gr_last_status(), GR_ERR_OPTION);
    gr_clear_error();
    assert_int_equal(gr_check_cost(NULL, 1, NULL), -1);
    assert_int_equal(gr_last_status(), GR_ERR_NULL);
    free_network(x);
}

static void progress_may_stop(void **state)
{
    (void)state;
    gr_tensor *x[INPUTS];
    make_network(x, 4, 5, 3);
    gr_tensor *before = gr_copy(x[W1]);
    for (int order = 1; order <= 2; order++) {
        told t = {.stop_after = 7};
        gr_check_report r;
        const gr_check_options o = {.order = order, .progress = hear, .progress_context = &t};
        assert_int_equal(gr_check_gradients(network, NULL, x, INPUTS, &o, &r), GR_ERR_STATE);
        assert_failed_with("stopped", GR_ERR_STATE, "stopped by its progress function after 7 of 3");
        assert_int_equal(t.calls, 7);
        assert_close_tensors("stopped", "w1", x[W1], before, 0.0);
    }
    told t = {.stop_after = 1};
    gr_check_report r;
    const gr_check_options o = {.mode = GR_CHECK_FULL, .progress = hear, .progress_context = &t};
    const gr_plain p = {.f = surface, .gradient = surface_gradient, .n = 2, .context = &(factors){1, 1}};
    assert_int_equal(gr_check_plain(&p, (double[]){1, 2}, &o, &r), GR_ERR_STATE);
    gr_tensor_free(before);
    free_network(x);
}

static void many_parameters_by_directions(void **state)
{
    (void)state;
    static const gr_check_mode modes[] = {GR_CHECK_DIRECTIONAL, GR_CHECK_TAYLOR};
    gr_tensor *x[INPUTS];
    make_network(x, 100, 980, 8);
    for (size_t i = 0; i < COUNT(modes); i++) {
        gr_check_report r;
        const clock_t start = clock();
        if (gr_check_gradients(network, NULL, x, INPUTS, &(gr_check_options){.mode = modes[i]}, &r))
            fail_msg("%s", gr_last_error());
        printf("%lld parameters along %lld directions%s: %lld evaluations, %.2f s of processor time\n",
               (long long)(gr_size(x[W1]) + gr_size(x[B1]) + gr_size(x[W2])), (long long)r.compared,
               i ? ", with orders" : "", (long long)r.evaluations, (double)(clock() - start) / CLOCKS_PER_SEC);
        expect("many parameters", &r, GR_CHECK_PASS);
        assert_true(r.evaluations < (i ? 200 : 60));
    }
    free_network(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_on_a_tape),
        cmocka_unit_test(a_failure_is_traced),
        cmocka_unit_test(orders_of_plain_functions),
        cmocka_unit_test(never_wrong),
        cmocka_unit_test(inside_the_bounds),
        cmocka_unit_test(the_report_tells),
        cmocka_unit_test(the_v_of_exp),
        cmocka_unit_test(curves_of_other_functions),
        cmocka_unit_test(the_cost_is_known_beforehand),
        cmocka_unit_test(progress_may_stop),
        cmocka_unit_test(many_parameters_by_directions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
