/* test_edges.c: numbers at the edges of what an op takes, against values that mpmath or arithmetic by hand gives. */
#include "helpers.h"

#include <gradus/losses.h>
#include <gradus/nn.h>

static const double inf = (double)INFINITY;

/* Of one evaluation, with or without GR_CREATE_GRAPH. */
enum { PLAIN = 0, N_FLAGS = 2 };
static const int all_flags[N_FLAGS] = {PLAIN, GR_CREATE_GRAPH};

static gr_tensor *leaf(gr_dtype dtype, int rank, const int64_t shape[], const double *values)
{
    gr_tensor *x = gr_zeros(dtype, rank, shape);
    for (int64_t i = 0; i < gr_size(x); i++) assert_int_equal(gr_set(x, i, values[i]), GR_OK);
    assert_int_equal(gr_require_grad(x), GR_OK);
    return x;
}

static void expect(const char *what, gr_dtype dtype, double is, double expected, double ulps)
{
    const double unit = dtype == GR_F32 ? 0x1p-23 : 0x1p-52;
    if ((isnan(is) && isnan(expected)) || is == expected || fabs(is - expected) <= ulps * unit * fabs(expected)) return;
    fail_msg("%s, %s: %.17g, expected %.17g", what, gr_dtype_name(dtype), is, expected);
}

/* The gradients of y's sum by each of x [n]; values stay to be read. */
static void differentiate(gr_tape *t, gr_tensor *y, gr_tensor *const x[], int n, gr_tensor *d[], int flags)
{
    assert_non_null(y);
    if (gr_grad(t, gr_sum(t, y, GR_ALL_AXES, false), x, n, d, flags | GR_RETAIN)) fail_msg("%s", gr_last_error());
}

/* ---- Gradients that another gradient is taken of ------------------------------------------------------------- */

/* Two logits, the right class ahead by m: dl/dx = -1/(1 + e^m), and d2l/dx2 = e^m / (1 + e^m)^2 */
static void class_losses_keep_their_digits(void **state)
{
    (void)state;
    static const double margins[] = {1, 10, 40, 80};
    gr_tape *t = gr_tape_new();
    for (int k = 0; k < 4 * 2 * 2; k++) {
        const gr_dtype dtype = k % 2 ? GR_F32 : GR_F64;
        const bool kl = k / 2 % 2;
        const double m = margins[k / 4], slope = -exp(-m) / (1 + exp(-m)), second = exp(-m) / pow(1 + exp(-m), 2);
        gr_tensor *x = leaf(dtype, GR_SHAPE(1, 2), (double[]){m, 0}), *d, *dd;
        gr_tensor *y = leaf(dtype, GR_SHAPE(1, 2), (double[]){1, 0});
        const gr_loss_options o = {.from_logits = true};
        gr_tensor *loss = kl ? gr_kl(t, x, y, &o) : gr_cross_entropy(t, x, y, &o);
        differentiate(t, loss, &x, 1, &d, GR_CREATE_GRAPH);
        expect("the gradient of the true class", dtype, gr_get(d, 0), slope, 4);
        expect("the gradient of the other", dtype, gr_get(d, 1), -slope, 4);
        differentiate(t, gr_slice(t, d, 1, 0, 1), &x, 1, &dd, 0);
        expect("the second derivative", dtype, gr_get(dd, 0), second, 8);
        gr_tape_reset(t);
        gr_tensor_free(x);
        gr_tensor_free(y);
    }
    gr_tape_free(t);
}

/* ---- Norms and variances ---------------------------------------------------------------------------------------- */

enum { N_VALUES = 4 };

/* Of the numbers x [N_VALUES] as they are stored: the textbook's formulas in double, about the first, so that x - mean
 * is exact. */
typedef struct statistics {
    double mean, var, h[N_VALUES], dx[N_VALUES]; /* var divided by N_VALUES; dx of sum g h */
    double lost; /* F64 rounds the mean to F64: by how much more than 1 that matters. In F32 it is kept in F64. */
} statistics;
static const double cotangent[N_VALUES] = {1, 2, 3, -4};

static statistics statistics_of(const gr_tensor *x, double scale, double epsilon)
{
    statistics s = {0};
    double mean_g = 0, mean_gh = 0, rstd;
    double d[N_VALUES], mean = 0;
    for (int i = 0; i < N_VALUES; i++) mean += (d[i] = gr_get(x, i) / scale - gr_get(x, 0) / scale) / N_VALUES;
    for (int i = 0; i < N_VALUES; i++) s.var += pow(d[i] - mean, 2) / N_VALUES;
    s.mean = gr_get(x, 0) / scale + mean;
    s.lost = gr_dtype_of(x) == GR_F64 ? 1 + fabs(s.mean) / sqrt(s.var) : 1;
    rstd = 1 / sqrt(s.var + epsilon);
    for (int i = 0; i < N_VALUES; i++) {
        s.h[i] = (d[i] - mean) * rstd;
        mean_g += cotangent[i] / N_VALUES;
        mean_gh += cotangent[i] * s.h[i] / N_VALUES;
    }
    for (int i = 0; i < N_VALUES; i++) s.dx[i] = rstd * (cotangent[i] - mean_g - s.h[i] * mean_gh) / scale;
    return s;
}

/* Each element to so many units in the last place of the largest. */
static void expect_all(const char *what, const gr_tensor *is, const double expected[], double ulps)
{
    double largest = 0;
    for (int i = 0; i < N_VALUES; i++) largest = fmax(largest, fabs(expected[i]));
    const double unit = gr_dtype_of(is) == GR_F32 ? 0x1p-23 : 0x1p-52;
    for (int i = 0; i < N_VALUES; i++)
        if (!(fabs(gr_get(is, i) - expected[i]) <= ulps * unit * largest))
            fail_msg("%s, %s, element %d: %.17g, expected %.17g", what, gr_dtype_name(gr_dtype_of(is)), i,
                     gr_get(is, i), expected[i]);
}

static gr_tensor *norm_of(gr_tape *t, int kind, gr_tensor *x, gr_tensor *gamma, gr_tensor *mean, gr_tensor *var)
{
    if (kind == 0) return gr_layer_norm(t, x, 3, gamma, NULL, 0);
    if (kind == 1) return gr_group_norm(t, x, 1, gamma, NULL, 0);
    return gr_batch_norm2d(t, x, gamma, NULL, mean, var, &(gr_batch_norm_options){.training = true});
}

/* y, dx and dgamma with and without GR_CREATE_GRAPH, and the derivative of dgamma by x, which is dx again. */
static void expect_norm(gr_tape *t, int kind, gr_dtype dtype, const double values[], double scale)
{
    static const char *const names[] = {"layer_norm", "group_norm", "batch_norm2d"};
    gr_tensor *x = leaf(dtype, GR_SHAPE(1, 1, 2, 2), values), *d[2], *dd;
    gr_tensor *gamma = kind ? gr_ones(dtype, GR_SHAPE(1)) : gr_ones(dtype, GR_SHAPE(1, 2, 2));
    gr_tensor *mean = gr_zeros(dtype, GR_SHAPE(1)), *var = gr_ones(dtype, GR_SHAPE(1));
    gr_tensor *g = leaf(dtype, GR_SHAPE(1, 1, 2, 2), cotangent), *in[2] = {x, gamma};
    assert_int_equal(gr_require_grad(gamma), GR_OK);
    const statistics s = statistics_of(x, scale, 1e-5 / scale / scale);
    double each[N_VALUES], sum = 0;
    for (int i = 0; i < N_VALUES; i++) sum += each[i] = cotangent[i] * s.h[i];
    const double variance = s.var * 4 / 3 * scale * scale; /* of the batch, unbiased */
    const bool is_held = isfinite(dtype == GR_F32 ? (double)(float)variance : variance);
    gr_tensor *y = norm_of(t, kind, x, gamma, is_held ? mean : NULL, is_held ? var : NULL);
    expect_all(names[kind], y, s.h, 8 * s.lost);
    if (kind == 2 && is_held) {
        expect("the running mean", dtype, gr_get(mean, 0), 0.1 * s.mean * scale, 4);
        expect("the running variance", dtype, gr_get(var, 0), 0.9 + 0.1 * variance, 4 * s.lost);
    } else if (kind == 2) {
        assert_null(norm_of(t, kind, x, gamma, mean, var));
        assert_failed_with("running", GR_ERR_VALUE, "batch_norm2d: the variance of channel 0 is");
        gr_clear_error();
        assert_true(gr_get(mean, 0) == 0.0 && gr_get(var, 0) == 1.0);
    }
    for (int k = 0; k < N_FLAGS; k++) {
        assert_int_equal(gr_vjp(t, y, g, in, 2, d, all_flags[k] | GR_RETAIN), GR_OK);
        expect_all("dx", d[0], s.dx, 16 * s.lost);
        if (kind == 0) expect_all("dgamma of each element", d[1], each, 8 * s.lost);
        else expect("dgamma", dtype, gr_get(d[1], 0), sum, 16 * s.lost);
    }
    differentiate(t, d[1], &x, 1, &dd, 0); /* by a cotangent of 1, through g */
    expect_all("the derivative of dgamma", dd, s.dx, 64 * s.lost);
    gr_tape_reset(t);
    gr_tensor *all[] = {x, gamma, mean, var, g};
    for (int i = 0; i < 5; i++) gr_tensor_free(all[i]);
}

static void norms(void **state)
{
    (void)state;
    static const double far[][N_VALUES] = {
        {10, 10.001, 10.002, 10.004}, {1e4, 10001, 9999.5, 1e4 + 2}, {1e6, 1e6 + 1, 1e6 - 3, 1e6}};
    static const double large[][N_VALUES] = {{1, 2, 3, 5}, {1, -1, 0.5, 0.9}};
    gr_tape *t = gr_tape_new();
    for (int kind = 0; kind < 3; kind++)
        for (int d = 0; d < 2; d++) {
            const gr_dtype dtype = d ? GR_F32 : GR_F64;
            const double most = dtype == GR_F32 ? 0x1p127 : 0x1p1023, above = dtype == GR_F32 ? 0x1p70 : 0x1p520;
            for (int k = 0; k < 3; k++) expect_norm(t, kind, dtype, far[k], 1);
            for (int k = 0; k < 2; k++) {
                double values[N_VALUES];
                for (int i = 0; i < N_VALUES; i++) values[i] = large[k][i] * (k ? most : above);
                expect_norm(t, kind, dtype, values, k ? most : above);
            }
        }
    gr_tape_free(t);
}

/* The variance, with its gradient 2 (x - mean) / n, of numbers far from 0. */
static void variances(void **state)
{
    (void)state;
    static const double far[][N_VALUES] = {
        {1, 2, 3, 5}, {10000.1, 10001.3, 9999.7, 10002.2}, {1000000.1875, 1000001.5, 999997.0625, 1000000.25}};
    gr_tape *t = gr_tape_new();
    for (int k = 0; k < 3 * 2; k++) {
        const gr_dtype dtype = k % 2 ? GR_F32 : GR_F64;
        gr_tensor *x = leaf(dtype, GR_SHAPE(N_VALUES, 1), far[k / 2]), *d;
        const statistics s = statistics_of(x, 1, 0);
        double slope[N_VALUES];
        for (int i = 0; i < N_VALUES; i++) slope[i] = 2 * s.h[i] * sqrt(s.var) / N_VALUES;
        for (int axes = 0; axes < 2; axes++) {
            gr_tensor *var = axes ? gr_var(t, x, GR_AXES(0), true, 0) : gr_var(t, x, GR_ALL_AXES, false, 0);
            expect("the variance", dtype, gr_item(var), s.var, 4 * s.lost);
            differentiate(t, var, &x, 1, &d, 0);
            expect_all("its gradient", d, slope, 4 * s.lost);
        }
        gr_tape_reset(t);
        gr_tensor_free(x);
    }
    gr_tape_free(t);
}

/* ---- Bilinear upsampling -------------------------------------------------------------------------------------- */

static void upsampling_neither_overflows_nor_spreads(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    for (int d = 0; d < 2; d++) {
        const gr_dtype dtype = d ? GR_F32 : GR_F64;
        const double a = d ? 3e38 : 1.7e308;
        const struct {
            double x[2], y[4];
        } cases[] = {
            {{a, -a}, {a, a / 2, -a / 2, -a}},
            {{1, inf}, {1, inf, inf, inf}},
            {{-inf, -inf}, {-inf, -inf, -inf, -inf}},
            {{inf, -inf}, {inf, (double)NAN, (double)NAN, -inf}},
            {{1, (double)NAN}, {1, (double)NAN, (double)NAN, (double)NAN}},
        };
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
            for (int axis = 0; axis < 2; axis++) {
                gr_tensor *x = leaf(dtype, 4, axis ? (int64_t[]){1, 1, 1, 2} : (int64_t[]){1, 1, 2, 1}, cases[k].x);
                gr_tensor *y = gr_upsample2d(t, x, axis ? 1 : 4, axis ? 4 : 1, GR_BILINEAR);
                for (int i = 0; i < 4; i++) expect("upsample2d", dtype, gr_get(y, i), cases[k].y[i], 1);
                gr_tape_reset(t);
                gr_tensor_free(x);
            }
    }
    gr_tape_free(t);
}

/* ---- Powers --------------------------------------------------------------------------------------------------- */

static void powers(void **state)
{
    (void)state;
    static const struct {
        double a, b, y, da, db;
    } cases[] = {
        {(double)NAN, 0, 1, 0, (double)NAN},
        {0, 0, 1, 0, -(double)INFINITY},
        {(double)INFINITY, 0, 1, 0, (double)INFINITY},
        {0, -1, (double)INFINITY, -(double)INFINITY, -(double)INFINITY},
        {0, 2, 0, 0, 0},
        {0, 1, 0, 1, 0},
        {2, 0, 1, 0, 0.69314718055994531},
        {2, 3, 8, 12, 5.5451774444795625},
        {-2, 3, -8, 12, (double)NAN},
        {(double)INFINITY, -1, 0, 0, 0},
    };
    gr_tape *t = gr_tape_new();
    for (size_t k = 0; k < 2 * sizeof cases / sizeof *cases; k++) {
        const gr_dtype dtype = k % 2 ? GR_F32 : GR_F64;
        gr_tensor *in[2] = {leaf(dtype, GR_SCALAR, &cases[k / 2].a), leaf(dtype, GR_SCALAR, &cases[k / 2].b)}, *d[2];
        gr_tensor *y = gr_pow(t, in[0], in[1]);
        differentiate(t, y, in, 2, d, 0);
        expect("a^b", dtype, gr_item(y), cases[k / 2].y, 1);
        expect("da", dtype, gr_item(d[0]), cases[k / 2].da, 2);
        expect("db", dtype, gr_item(d[1]), cases[k / 2].db, 2);
        gr_tape_reset(t);
        gr_tensor_free(in[0]);
        gr_tensor_free(in[1]);
    }
    gr_tape_free(t);
}

/* A NaN in a batch does not enter the running statistics, which are saved with the model. */
static void running_statistics_stay_finite(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    for (int d = 0; d < 2; d++) {
        const gr_dtype dtype = d ? GR_F32 : GR_F64;
        gr_tensor *x = leaf(dtype, GR_SHAPE(1, 1, 2, 2), (double[]){1, 2, (double)NAN, 4});
        gr_tensor *gamma = gr_ones(dtype, GR_SHAPE(1));
        gr_tensor *mean = gr_zeros(dtype, GR_SHAPE(1)), *var = gr_ones(dtype, GR_SHAPE(1));
        assert_null(norm_of(t, 2, x, gamma, mean, var));
        assert_failed_with("NaN", GR_ERR_VALUE, "batch_norm2d: the mean of channel 0 is nan");
        gr_clear_error();
        assert_true(gr_get(mean, 0) == 0.0 && gr_get(var, 0) == 1.0);
        assert_true(isnan(gr_get(norm_of(t, 2, x, gamma, NULL, NULL), 0)));
        gr_tape_reset(t);
        gr_tensor *all[] = {x, gamma, mean, var};
        for (int i = 0; i < 4; i++) gr_tensor_free(all[i]);
    }
    gr_tape_free(t);
}

/* d2 a^b / da db = a^(b-1) (1 + b log a) = 1/a at b = 0, both ways round; d2 / da2 is 0 there. */
static void the_mixed_derivative_of_a_power(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    gr_tensor *least[2] = {leaf(GR_F64, GR_SCALAR, &(double){1e-310}), leaf(GR_F64, GR_SCALAR, &(double){0})}, *slope;
    differentiate(t, gr_pow(t, least[0], least[1]), least, 1, &slope, GR_CREATE_GRAPH);
    assert_true(gr_item(slope) == 0.0);
    differentiate(t, slope, least + 1, 1, &slope, 0);
    expect("1/a", GR_F64, gr_item(slope), (double)INFINITY, 0);
    gr_tape_reset(t);
    gr_tensor_free(least[0]);
    gr_tensor_free(least[1]);
    for (int first = 0; first < 2; first++) {
        gr_tensor *in[2] = {leaf(GR_F64, GR_SCALAR, &(double){4}), leaf(GR_F64, GR_SCALAR, &(double){0})}, *d, *dd[2];
        differentiate(t, gr_pow(t, in[0], in[1]), &in[first], 1, &d, GR_CREATE_GRAPH);
        differentiate(t, d, in, 2, dd, 0);
        expect("mixed", GR_F64, gr_item(dd[1 - first]), 0.25, 1);
        expect("by the same", GR_F64, gr_item(dd[first]), first ? pow(log(4), 2) : 0, 2);
        gr_tape_reset(t);
        gr_tensor_free(in[0]);
        gr_tensor_free(in[1]);
    }
    gr_tape_free(t);
}

/* (-1)^n of an even n is 1, and its derivative n (-1)^(n-1) = -n, though n - 1 is no float. */
static void exponents_are_doubles(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    gr_tensor *x = leaf(GR_F32, GR_SCALAR, &(double){-1}), *d;
    gr_tensor *y = gr_pow_scalar(t, x, 16777218.0);
    differentiate(t, y, &x, 1, &d, 0);
    expect("the power", GR_F32, gr_item(y), 1, 0);
    expect("its derivative", GR_F32, gr_item(d), -16777218.0, 0);
    gr_tape_free(t);
    gr_tensor_free(x);
}

/* ---- Rows that are masked as a whole ---------------------------------------------------------------------------- */

/* All rows moved by one number, which the result may be rounded by: a gradient must not be. */
static gr_tensor *row_function(gr_tape *t, gr_tensor *x, int which, gr_tensor *classes, gr_tensor *shares)
{
    const gr_loss_options logits = {.from_logits = true};
    switch (which) {
    case 0: return gr_logsumexp(t, x, GR_AXES(1), false);
    case 1: return gr_logsumexp(t, x, GR_ALL_AXES, true);
    case 2: return gr_square(t, gr_softmax(t, x, 1));
    case 3: return gr_square(t, gr_log_softmax(t, x, 1));
    case 4: return gr_cross_entropy(t, x, classes, &logits);
    default: return gr_kl(t, x, shares, &logits);
    }
}

static void rows_far_from_0(void **state)
{
    (void)state;
    enum { N_FUNCTIONS = 6, N = 8, N_UNITS = 3 };
    static const double values[N] = {0, 1, -2, 1, 3, 3, 3, -1}, units[N_UNITS] = {1, 16, 4096};
    for (int k = 0; k < N_FUNCTIONS * N_UNITS * N_FLAGS * 2; k++) {
        const gr_dtype dtype = k % 2 ? GR_F32 : GR_F64;
        const int flags = all_flags[k / 2 % N_FLAGS], which = k / 2 / N_FLAGS / N_UNITS;
        const double unit = units[k / 2 / N_FLAGS % N_UNITS];
        gr_tape *t = gr_tape_new();
        gr_tensor *x[2], *d[2], *classes = gr_from(GR_I32, GR_SHAPE(2), (int32_t[]){2, 0}),
                                *shares = gr_full(dtype, GR_SHAPE(2, 4), 0.25);
        for (int far = 0; far < 2; far++) {
            double moved[N]; /* by as much as leaves multiples of the unit what they are */
            for (int i = 0; i < N; i++) moved[i] = unit * (values[i] + (far ? dtype == GR_F32 ? 0x1p23 : 0x1p52 : 0.0));
            x[far] = leaf(dtype, GR_SHAPE(2, 4), moved);
            differentiate(t, row_function(t, x[far], which, classes, shares), &x[far], 1, &d[far], flags);
        }
        for (int i = 0; i < N; i++) expect("far from 0", dtype, gr_get(d[1], i), gr_get(d[0], i), 8);
        gr_tape_free(t);
        gr_tensor *const all[] = {x[0], x[1], classes, shares};
        for (int i = 0; i < 4; i++) gr_tensor_free(all[i]);
    }
}

/* Along an axis, of [3, n] or its transpose: a row of -inf, one that is half masked, one of zeros. */
static gr_tensor *masked(gr_dtype dtype, int64_t n, bool transposed)
{
    gr_tensor *x = transposed ? gr_zeros(dtype, GR_SHAPE(n, 3)) : gr_zeros(dtype, GR_SHAPE(3, n));
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(gr_set(x, transposed ? 3 * i : i, -inf), GR_OK);
        assert_int_equal(gr_set(x, transposed ? 3 * i + 1 : n + i, i % 2 ? -inf : 0), GR_OK);
    }
    assert_int_equal(gr_require_grad(x), GR_OK);
    return x;
}

static void expect_masked(gr_tape *t, gr_dtype dtype, int64_t n, bool transposed)
{
    gr_tensor *x = masked(dtype, n, transposed), *d;
    const int axis = transposed ? 0 : 1;
    gr_tensor *y = gr_softmax(t, x, axis), *logs = gr_log_softmax(t, x, axis),
              *whole = gr_logsumexp(t, x, GR_AXES(axis), false);
    const double here = 1.0 / (double)((n + 1) / 2), even = 1.0 / (double)n;
    for (int64_t i = 0; i < n; i++) {
        const int64_t at[3] = {transposed ? 3 * i : i, transposed ? 3 * i + 1 : n + i,
                               transposed ? 3 * i + 2 : 2 * n + i};
        const double share[3] = {0, i % 2 ? 0 : here, even};
        for (int r = 0; r < 3; r++) {
            expect("softmax", dtype, gr_get(y, at[r]), share[r], 4);
            expect("log_softmax", dtype, gr_get(logs, at[r]), log(share[r]), 4);
        }
    }
    expect("logsumexp", dtype, gr_get(whole, 0), -inf, 0);
    expect("logsumexp", dtype, gr_get(whole, 2), log((double)n), 4);
    gr_tensor *each[] = {gr_square(t, y), logs, whole};
    for (int k = 0; k < 3 * N_FLAGS; k++) {
        differentiate(t, each[k / 2], &x, 1, &d, all_flags[k % 2] | GR_RETAIN);
        for (int64_t i = 0; i < gr_size(x); i++) assert_true(isfinite(gr_get(d, i)));
        for (int64_t i = 0; i < n; i++)
            expect("the gradient", dtype, gr_get(d, transposed ? 3 * i : i), k / 2 == 1 ? 1 : 0, 0);
    }
    gr_tape_reset(t);
    gr_tensor_free(x);
}

static void masked_rows(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    for (int64_t n = 1; n <= 33; n++)
        for (int k = 0; k < 4; k++) expect_masked(t, k % 2 ? GR_F32 : GR_F64, n, k / 2);
    gr_tape_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(class_losses_keep_their_digits),
        cmocka_unit_test(norms),
        cmocka_unit_test(running_statistics_stay_finite),
        cmocka_unit_test(variances),
        cmocka_unit_test(upsampling_neither_overflows_nor_spreads),
        cmocka_unit_test(powers),
        cmocka_unit_test(the_mixed_derivative_of_a_power),
        cmocka_unit_test(exponents_are_doubles),
        cmocka_unit_test(masked_rows),
        cmocka_unit_test(rows_far_from_0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
