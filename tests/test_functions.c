/* test_functions.c: every other test trusts the elementary functions; this one does not. Values and two derivatives
 * against 25 digits computed elsewhere, errors counted in units in the last place (ulp) against the C library's long
 * double, the special values of C99, and that an element's bits do not depend on where in an array it lies. */
#include <float.h>

#include "helpers.h"

/* ---- The functions ------------------------------------------------------------------------------------------ */

static gr_tensor *leaky_relu(gr_tape *t, gr_tensor *x) { return gr_leaky_relu(t, x, 0.01); }

static gr_tensor *elu(gr_tape *t, gr_tensor *x) { return gr_elu(t, x, 1.0); }

static long double exact_square(long double x) { return x * x; }
static long double exact_sigmoid(long double x) { return x >= 0 ? 1 / (1 + expl(-x)) : expl(x) / (1 + expl(x)); }
static long double exact_softplus(long double x) { return (x > 0 ? x : 0) + log1pl(expl(-fabsl(x))); }
static long double exact_log_sigmoid(long double x) { return -exact_softplus(-x); }
static long double exact_elu(long double x) { return x > 0 ? x : expm1l(x); }
static long double exact_gelu(long double x) { return 0.5L * x * erfcl(-x * sqrtl(0.5L)); }
static long double exact_silu(long double x) { return x * exact_sigmoid(x); }
static long double exact_relu(long double x) { return x > 0 ? x : 0; }
static long double exact_leaky_relu(long double x) { return x > 0 ? x : (long double)0.01 * x; }

typedef struct function {
    const char *name;
    gr_tensor *(*run)(gr_tape *t, gr_tensor *x);
    long double (*exact)(long double x);
    double lo[2], hi[2]; /* F32, F64: where its ulps are counted */
    double ulps[2];      /* the most there may be */
    int saturates;       /* 1 or 2: from this derivative on made of y (1-y) or 1-y^2, which lose what 1-y loses */
} function;

#define MOST                     \
    {                            \
        (double)FLT_MAX, DBL_MAX \
    }
#define EVERYWHERE {-(double)FLT_MAX, -DBL_MAX}, MOST
#define POSITIVE {0, 0}, MOST

/* tanh and sigmoid are differentiated as textbooks do, by their own value. silu loses digits where its factor beside
 * x is denormal, and gelu in F64 far below 0: rounding x/sqrt(2) moves it by x^2 ulps. In F32 leaky_relu's slope is
 * rounded. */
static const function functions[] = {
    {"exp", gr_exp, expl, {-104, -746}, {88.72, 709.78}, {4, 4}, 0},
    {"log", gr_log, logl, POSITIVE, {4, 4}, 0},
    {"log1p", gr_log1p, log1pl, {-1, -1}, MOST, {4, 4}, 0},
    {"expm1", gr_expm1, expm1l, {-(double)FLT_MAX, -DBL_MAX}, {88.72, 709.78}, {4, 4}, 0},
    {"sqrt", gr_sqrt, sqrtl, POSITIVE, {0.501, 0.501}, 0},
    {"square", gr_square, exact_square, {-1e19, -1e154}, {1e19, 1e154}, {0.501, 0.501}, 0},
    {"sin", gr_sin, sinl, {-1e4, -1e4}, {1e4, 1e4}, {4, 4}, 0},
    {"cos", gr_cos, cosl, {-1e4, -1e4}, {1e4, 1e4}, {4, 4}, 0},
    {"tanh", gr_tanh, tanhl, EVERYWHERE, {4, 4}, 1},
    {"sigmoid", gr_sigmoid, exact_sigmoid, EVERYWHERE, {4, 4}, 1},
    {"log_sigmoid", gr_log_sigmoid, exact_log_sigmoid, EVERYWHERE, {4, 4}, 2},
    {"softplus", gr_softplus, exact_softplus, EVERYWHERE, {4, 4}, 2},
    {"elu", elu, exact_elu, EVERYWHERE, {4, 4}, 0},
    {"gelu", gr_gelu, exact_gelu, {-(double)FLT_MAX, -3}, MOST, {4, 16}, 0},
    {"silu", gr_silu, exact_silu, {-87, -708}, MOST, {4, 4}, 2},
    {"relu", gr_relu, exact_relu, EVERYWHERE, {0, 0}, 0},
    {"abs", gr_abs, fabsl, EVERYWHERE, {0, 0}, 0},
    {"leaky_relu", leaky_relu, exact_leaky_relu, EVERYWHERE, {2, 0.501}, 0},
};
enum { N_FUNCTIONS = (int)(sizeof functions / sizeof *functions) };

static const function *find(const char *name)
{
    for (int i = 0; i < N_FUNCTIONS; i++)
        if (!strcmp(functions[i].name, name)) return &functions[i];
    fail_msg("the table has %s, the test has not", name);
    return NULL;
}

/* f of n numbers, rounded to dtype. */
static void evaluate(const function *f, gr_dtype dtype, int64_t n, const double x[], double y[])
{
    gr_tape *t = gr_tape_new();
    gr_tensor *in = gr_zeros(dtype, GR_SHAPE(n));
    assert_non_null(in);
    for (int64_t i = 0; i < n; i++)
        if (dtype == GR_F32) gr_f32(in)[i] = (float)x[i];
        else gr_f64(in)[i] = x[i];
    const gr_tensor *out = f->run(t, in);
    assert_non_null(out);
    for (int64_t i = 0; i < n; i++) y[i] = dtype == GR_F32 ? (double)gr_read_f32(out)[i] : gr_read_f64(out)[i];
    gr_tape_free(t);
    gr_tensor_free(in);
}

/* ---- 25 digits ---------------------------------------------------------------------------------------------- */

#if defined __GNUC__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdouble-promotion" /* the table's NAN is a float */
#endif
static const struct golden {
    const char *name;
    double x, f, df, ddf; /* NAN: nothing to compare */
} golden[] = {
#include "golden/functions.inc"
};
#if defined __GNUC__
#pragma GCC diagnostic pop
#endif
enum { N_GOLDEN = (int)(sizeof golden / sizeof *golden) };

static void expect(const struct golden *row, const char *what, double got, double expected, double absolute)
{
    if (isnan(expected)) return;
    double allowed = fabs(expected) < DBL_MIN ? DBL_MIN : 1e-12 * fabs(expected);
    if (!(fabs(got - expected) <= allowed + absolute))
        fail_msg("%s %s(%.17g) is %.17g, expected %.17g", what, row->name, row->x, got, expected);
}

static void golden_values_and_derivatives(void **state)
{
    (void)state;
    int count[N_FUNCTIONS] = {0};
    gr_tape *t = gr_tape_new();
    for (const struct golden *row = golden; row < golden + N_GOLDEN; row++) {
        const function *f = find(row->name);
        gr_tensor *x = gr_scalar(GR_F64, row->x), *d1, *d2;
        assert_int_equal(gr_require_grad(x), GR_OK);
        gr_tensor *y = f->run(t, x);
        assert_int_equal(gr_grad(t, y, &x, 1, &d1, GR_CREATE_GRAPH), GR_OK);
        expect(row, "the value of", gr_item(y), row->f, 0);
        expect(row, "the derivative of", gr_item(d1), row->df, f->saturates == 1 ? 4 * DBL_EPSILON : 0);
        if (gr_requires_grad(d1)) {
            assert_int_equal(gr_grad(t, d1, &x, 1, &d2, 0), GR_OK);
            expect(row, "the second derivative of", gr_item(d2), row->ddf, f->saturates ? 4 * DBL_EPSILON : 0);
        } else {
            expect(row, "the second derivative of", 0, row->ddf, 0);
        }
        gr_tape_reset(t);
        gr_tensor_free(x);
        count[f - functions]++;
    }
    gr_tape_free(t);
    for (int i = 0; i < N_FUNCTIONS; i++)
        if (count[i] < 20) fail_msg("only %d rows of %s", count[i], functions[i].name);
}

/* Where there is no derivative, the headers name the one that is used. */
static void derivatives_at_kinks(void **state)
{
    (void)state;
    const struct {
        const char *name;
        double x, slope;
    } kinks[] = {{"relu", 0, 0},   {"relu", -0.0, 0},       {"abs", 0, 0},
                 {"abs", -0.0, 0}, {"leaky_relu", 0, 0.01}, {"elu", 0, 1}};
    gr_tape *t = gr_tape_new();
    for (size_t i = 0; i < sizeof kinks / sizeof *kinks; i++) {
        gr_tensor *x = gr_scalar(GR_F64, kinks[i].x), *d;
        assert_int_equal(gr_require_grad(x), GR_OK);
        assert_int_equal(gr_grad(t, find(kinks[i].name)->run(t, x), &x, 1, &d, 0), GR_OK);
        if (gr_item(d) != kinks[i].slope)
            fail_msg("the derivative of %s at %g is %g", kinks[i].name, kinks[i].x, gr_item(d));
        gr_tape_reset(t);
        gr_tensor_free(x);
    }
    gr_tape_free(t);
}

/* Far out a derivative is its limit, and the second is 0, also where x is infinite. */
static void derivatives_far_out(void **state)
{
    (void)state;
    const struct {
        const char *name;
        double low, high;
    } limits[] = {{"sigmoid", 0, 0}, {"tanh", 0, 0}, {"softplus", 0, 1}, {"log_sigmoid", 1, 0},  {"elu", 0, 1},
                  {"gelu", 0, 1},    {"silu", 0, 1}, {"relu", 0, 1},     {"leaky_relu", 0.01, 1}};
    gr_tape *t = gr_tape_new();
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        for (int k = 0; k < 8; k++) {
            const gr_dtype dtype = k & 1 ? GR_F64 : GR_F32;
            const double most = dtype == GR_F64 ? DBL_MAX : (double)FLT_MAX, far = k & 2 ? (double)INFINITY : most;
            const double slope = k & 4 ? limits[i].low : limits[i].high;
            gr_tensor *x = gr_scalar(dtype, k & 4 ? -far : far), *d, *dd;
            assert_int_equal(gr_require_grad(x), GR_OK);
            assert_int_equal(gr_grad(t, find(limits[i].name)->run(t, x), &x, 1, &d, GR_CREATE_GRAPH), GR_OK);
            assert_int_equal(gr_grad(t, gr_add(t, d, x), &x, 1, &dd, GR_RETAIN),
                             GR_OK); /* + x, for a d that is constant */
            if (!(fabs(gr_item(d) - slope) <= 1e-9 && gr_item(dd) == 1.0))
                fail_msg("the derivatives of %s at %g are %g and %g", limits[i].name, gr_item(x), gr_item(d),
                         gr_item(dd) - 1.0);
            gr_tape_reset(t);
            gr_tensor_free(x);
        }
    gr_tape_free(t);
}

/* Rounding x to F32 moves the value by f'(x) dx; what is left is the function's own error. */
static void golden_values_in_f32(void **state)
{
    (void)state;
    int count = 0;
    for (const struct golden *row = golden; row < golden + N_GOLDEN; row++) {
        const double x = (double)(float)row->x, y = row->f;
        if (!isfinite(x) || isnan(y) || isnan(row->df) || fabs(y) > (double)FLT_MAX) continue;
        if (fabs(x - row->x) > 0x1p-24 * fabs(row->x)) continue; /* it underflows */
        if (x <= -1 && row->x > -1) continue;                    /* rounds into log1p's pole */
        double got, moved = fabs(row->df * (x - row->x)) + 0.5 * fabs(row->ddf) * (x - row->x) * (x - row->x);
        evaluate(find(row->name), GR_F32, 1, &row->x, &got);
        double allowed = 4 * (double)FLT_EPSILON * fabs(y) + 2 * (isnan(moved) ? 0 : moved);
        if (!(fabs(got - y) <= allowed + (double)FLT_MIN))
            fail_msg("%s(%.9g) in F32 is %.9g, expected %.9g", row->name, row->x, got, y);
        count++;
    }
    assert_true(count > 450);
}

/* ---- Units in the last place -------------------------------------------------------------------------------- */

/* The distance between neighbours of the dtype around y. */
static double spacing(gr_dtype dtype, long double y)
{
    int exponent;
    (void)frexpl(y, &exponent);
    int last = dtype == GR_F32 ? exponent - 24 : exponent - 53, least = dtype == GR_F32 ? -149 : -1074;
    return ldexp(1.0, last > least ? last : least);
}

enum { N_POINTS = 6000 };

/* Half of the points lie evenly between the bounds, within [-30, 30], half evenly over all exponents and both signs. */
static void points(const function *f, gr_dtype dtype, gr_rng *rng, double x[])
{
    const double lo = f->lo[dtype], hi = f->hi[dtype], a = fmax(lo, -30), b = fmin(hi, 30);
    const double octaves = dtype == GR_F32 ? 277 : 2098, smallest = dtype == GR_F32 ? -149 : -1074;
    for (int i = 0; i < N_POINTS; i++) {
        double v = a + (b - a) * gr_rng_uniform(rng);
        if (i % 2) {
            double exponent = smallest + octaves * gr_rng_uniform(rng);
            v = ldexp(1 + gr_rng_uniform(rng), (int)floor(exponent)) * (gr_rng_uniform(rng) < 0.5 ? -1 : 1);
        }
        if (v < lo || v > hi) v = fmin(fmax(lo, -v), hi);
        x[i] = dtype == GR_F32 ? (double)(float)v : v;
    }
}

static void count_ulps(const function *f, gr_dtype dtype)
{
    static double x[N_POINTS], y[N_POINTS];
    gr_rng rng = gr_rng_seed(3);
    points(f, dtype, &rng, x);
    evaluate(f, dtype, N_POINTS, x, y);
    const volatile long double one = 1;
    const double own = one + 0x1p-60L > one ? 0 : 1; /* ulps of the reference, where it has no more digits than F64 */
    double mean = 0;
    for (int i = 0; i < N_POINTS; i++) {
        const long double exact = f->exact((long double)x[i]);
        double error =
            (long double)y[i] == exact ? 0 : (double)fabsl((long double)y[i] - exact) / spacing(dtype, exact);
        if (!(error <= f->ulps[dtype] + own))
            fail_msg("%s(%a) in %s is %a, %.2f ulp from %.17Lg", f->name, x[i], gr_dtype_name(dtype), y[i], error,
                     exact);
        mean += error / N_POINTS;
    }
    if (!(mean <= 0.26 + f->ulps[dtype] / 16 + own)) /* rounding the exact value costs 0.25 on average */
        fail_msg("%s in %s: %.2f ulp on average", f->name, gr_dtype_name(dtype), mean);
}

static void ulps_are_bounded(void **state)
{
    (void)state;
    for (int i = 0; i < N_FUNCTIONS; i++) {
        count_ulps(&functions[i], GR_F32);
        count_ulps(&functions[i], GR_F64);
    }
}

/* ---- Special values ----------------------------------------------------------------------------------------- */

#define INF ((double)INFINITY)
#define QNAN ((double)NAN)

/* What C99's Annex F says of the functions that C has, and the limits of those it has not. TINY and HUGE_ stand for the
 * smallest denormal and the largest finite number of the dtype. */
static const double TINY = 4e-324, HUGE_ = DBL_MAX;
static const struct special {
    const char *name;
    double x, y;
} specials[] = {
    {"exp", 0, 1},
    {"exp", -0.0, 1},
    {"exp", INF, INF},
    {"exp", -INF, 0},
    {"exp", QNAN, QNAN},
    {"exp", 4e-324, 1},
    {"exp", DBL_MAX, INF},
    {"exp", -DBL_MAX, 0},
    {"exp", 1e4, INF},
    {"exp", -1e4, 0},
    {"expm1", 0, 0},
    {"expm1", -0.0, -0.0},
    {"expm1", INF, INF},
    {"expm1", -INF, -1},
    {"expm1", QNAN, QNAN},
    {"expm1", 4e-324, 4e-324},
    {"expm1", -4e-324, -4e-324},
    {"expm1", DBL_MAX, INF},
    {"expm1", -DBL_MAX, -1},
    {"log", 0, -INF},
    {"log", -0.0, -INF},
    {"log", 1, 0},
    {"log", INF, INF},
    {"log", -INF, QNAN},
    {"log", -1, QNAN},
    {"log", -4e-324, QNAN},
    {"log", -DBL_MAX, QNAN},
    {"log", QNAN, QNAN},
    {"log1p", 0, 0},
    {"log1p", -0.0, -0.0},
    {"log1p", -1, -INF},
    {"log1p", INF, INF},
    {"log1p", -INF, QNAN},
    {"log1p", -2, QNAN},
    {"log1p", QNAN, QNAN},
    {"log1p", 4e-324, 4e-324},
    {"log1p", -4e-324, -4e-324},
    {"sqrt", 0, 0},
    {"sqrt", -0.0, -0.0},
    {"sqrt", INF, INF},
    {"sqrt", -1, QNAN},
    {"sqrt", -INF, QNAN},
    {"sqrt", QNAN, QNAN},
    {"square", -0.0, 0},
    {"square", -INF, INF},
    {"square", DBL_MAX, INF},
    {"square", 4e-324, 0},
    {"square", QNAN, QNAN},
    {"sin", 0, 0},
    {"sin", -0.0, -0.0},
    {"sin", INF, QNAN},
    {"sin", -INF, QNAN},
    {"sin", QNAN, QNAN},
    {"sin", 4e-324, 4e-324},
    {"cos", 0, 1},
    {"cos", -0.0, 1},
    {"cos", INF, QNAN},
    {"cos", -INF, QNAN},
    {"cos", QNAN, QNAN},
    {"cos", 4e-324, 1},
    {"tanh", 0, 0},
    {"tanh", -0.0, -0.0},
    {"tanh", INF, 1},
    {"tanh", -INF, -1},
    {"tanh", QNAN, QNAN},
    {"tanh", 4e-324, 4e-324},
    {"tanh", -4e-324, -4e-324},
    {"tanh", DBL_MAX, 1},
    {"tanh", -DBL_MAX, -1},
    {"tanh", 25, 1},
    {"sigmoid", 0, 0.5},
    {"sigmoid", -0.0, 0.5},
    {"sigmoid", INF, 1},
    {"sigmoid", -INF, 0},
    {"sigmoid", QNAN, QNAN},
    {"sigmoid", DBL_MAX, 1},
    {"sigmoid", -DBL_MAX, 0},
    {"sigmoid", 4e-324, 0.5},
    {"softplus", INF, INF},
    {"softplus", -INF, 0},
    {"softplus", QNAN, QNAN},
    {"softplus", DBL_MAX, DBL_MAX},
    {"softplus", -DBL_MAX, 0},
    {"log_sigmoid", INF, -0.0},
    {"log_sigmoid", -INF, -INF},
    {"log_sigmoid", QNAN, QNAN},
    {"log_sigmoid", -DBL_MAX, -DBL_MAX},
    {"log_sigmoid", DBL_MAX, -0.0},
    {"elu", 0, 0},
    {"elu", -0.0, -0.0},
    {"elu", INF, INF},
    {"elu", -INF, -1},
    {"elu", QNAN, QNAN},
    {"elu", DBL_MAX, DBL_MAX},
    {"gelu", 0, 0},
    {"gelu", -0.0, -0.0},
    {"gelu", INF, INF},
    {"gelu", QNAN, QNAN},
    {"gelu", DBL_MAX, DBL_MAX},
    {"gelu", -DBL_MAX, -0.0},
    {"gelu", -INF, -0.0},
    {"silu", 0, 0},
    {"silu", -0.0, -0.0},
    {"silu", INF, INF},
    {"silu", QNAN, QNAN},
    {"silu", DBL_MAX, DBL_MAX},
    {"silu", -DBL_MAX, -0.0},
    {"silu", -INF, -0.0},
    {"relu", 0, 0},
    {"relu", INF, INF},
    {"relu", -INF, 0},
    {"relu", QNAN, QNAN},
    {"relu", 4e-324, 4e-324},
    {"relu", -4e-324, 0},
    {"abs", -0.0, 0},
    {"abs", INF, INF},
    {"abs", -INF, INF},
    {"abs", QNAN, QNAN},
    {"abs", -4e-324, 4e-324},
    {"abs", -DBL_MAX, DBL_MAX},
    {"leaky_relu", 0, 0},
    {"leaky_relu", INF, INF},
    {"leaky_relu", -INF, -INF},
    {"leaky_relu", QNAN, QNAN},
};

/* The extreme numbers of F64 in a row stand for those of F32. */
static double of_dtype(gr_dtype dtype, double x)
{
    if (dtype == GR_F64) return x;
    if (fabs(x) == HUGE_) return copysign((double)FLT_MAX, x);
    return fabs(x) == TINY ? copysign(0x1p-149, x) : x;
}

static bool same(double a, double b) { return isnan(a) ? isnan(b) : a == b && !signbit(a) == !signbit(b); }

static void special_values(void **state)
{
    (void)state;
    enum { AGAIN = 19 }; /* so that vector and scalar code meet each */
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++)
        for (int d = 0; d < 2; d++) {
            const gr_dtype dtype = d ? GR_F64 : GR_F32;
            const double expected = of_dtype(dtype, specials[i].y);
            double x[AGAIN], y[AGAIN];
            for (int k = 0; k < AGAIN; k++) x[k] = of_dtype(dtype, specials[i].x);
            evaluate(find(specials[i].name), dtype, AGAIN, x, y);
            for (int k = 0; k < AGAIN; k++)
                if (!same(y[k], expected))
                    fail_msg("%s(%g) in %s is %g at [%d], expected %g", specials[i].name, x[k], gr_dtype_name(dtype),
                             y[k], k, expected);
        }
}

/* Where it overflows, and where it becomes denormal and then 0. */
static void edges_of_exp(void **state)
{
    (void)state;
    const struct {
        gr_dtype dtype;
        double x;
        bool finite, zero;
    } edges[] = {
        {GR_F32, 0x1.62e42ep6, true, false},
        {GR_F32, 0x1.62e430p6, false, false},
        {GR_F32, -87.5, true, false},
        {GR_F32, -103.2, true, false},
        {GR_F32, -104.5, true, true},
        {GR_F64, 0x1.62e42fefa39efp9, true, false},
        {GR_F64, 0x1.62e42fefa39f0p9, false, false},
        {GR_F64, -708.5, true, false},
        {GR_F64, -745.1, true, false},
        {GR_F64, -745.2, true, true},
    };
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        double y;
        evaluate(find("exp"), edges[i].dtype, 1, &edges[i].x, &y);
        if ((bool)isfinite(y) != edges[i].finite || (y == 0) != edges[i].zero)
            fail_msg("exp(%a) in %s is %g", edges[i].x, gr_dtype_name(edges[i].dtype), y);
    }
}

/* ---- Where an element lies ---------------------------------------------------------------------------------- */

static const double awkward[] = {0.3,   -1.7, 3.1e-9, 12.5, -20.25, 0.9999, 1e-40, -0.69, 45,
                                 -88.1, 2.5,  1.5e5,  -0.0, 0.1,    -3,     7e-5,  17.3};
enum { N_AWKWARD = (int)(sizeof awkward / sizeof *awkward), LONGEST = 70, BEYOND_A_SPAN = 40000 };

static void assert_bits(const function *f, gr_dtype dtype, int64_t n, int shift, const double alone[])
{
    static double x[BEYOND_A_SPAN], y[BEYOND_A_SPAN];
    for (int64_t i = 0; i < n; i++) x[i] = awkward[(i + shift) % N_AWKWARD];
    evaluate(f, dtype, n, x, y);
    for (int64_t i = 0; i < n; i++)
        if (!same(y[i], alone[(i + shift) % N_AWKWARD]))
            fail_msg("%s(%g) in %s is %a at [%lld] of %lld, %a alone", f->name, x[i], gr_dtype_name(dtype), y[i],
                     (long long)i, (long long)n, alone[(i + shift) % N_AWKWARD]);
}

static void bits_do_not_depend_on_the_place(void **state)
{
    (void)state;
    for (int k = 0; k < 2 * N_FUNCTIONS; k++) {
        const function *f = &functions[k / 2];
        const gr_dtype dtype = k % 2 ? GR_F64 : GR_F32;
        double alone[N_AWKWARD];
        for (int i = 0; i < N_AWKWARD; i++) evaluate(f, dtype, 1, &awkward[i], &alone[i]);
        for (int64_t n = 2; n <= LONGEST; n++) assert_bits(f, dtype, n, (int)n % 5, alone);
        assert_bits(f, dtype, BEYOND_A_SPAN, 1, alone);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_values_and_derivatives),
        cmocka_unit_test(derivatives_at_kinks),
        cmocka_unit_test(derivatives_far_out),
        cmocka_unit_test(golden_values_in_f32),
        cmocka_unit_test(ulps_are_bounded),
        cmocka_unit_test(special_values),
        cmocka_unit_test(edges_of_exp),
        cmocka_unit_test(bits_do_not_depend_on_the_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
