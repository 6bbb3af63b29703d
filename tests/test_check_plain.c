/* test_check_plain.c: gr_check_plain(): its modes, sparse Jacobians, Hessians, bounds, where functions end, what it
 * refuses, and memory that runs out. Every function under check asserts that it is given finite numbers. */
#include "plain_kit.h"

#include <gradus/random.h>

#include "counting.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

_Static_assert(offsetof(gr_check_report, verdict) == 0 && sizeof(gr_check_report) <= 8 + 1024 * 8,
               "examples/check_gradient.f90 has room for a report, and reads its first field");

enum { MANY = 1000, FEW = 6 };

/* What the functions below are handed. */
typedef struct world {
    int64_t n, m;
    int64_t wrong; /* this element, or entry, of the derivative is wrong; -1: none is */
    double factor; /* by this factor */
    const double *lower, *upper;
    int64_t calls, gradients, outside; /* how often f and its derivative were called, and how often out of bounds */
    int status;                        /* what they return */
    int64_t entries;                   /* how many of the Jacobian's are wanted; 0: all */
} world;

static const world right = {.n = FEW, .m = 3, .wrong = -1}, doubled = {.n = FEW, .m = 3, .wrong = 2, .factor = 2.0};

static world *see(void *context, const double *x)
{
    world *w = context;
    bool outside = false;
    for (int64_t k = 0; k < w->n; k++) {
        assert_true(isfinite(x[k]));
        outside |= (w->lower && x[k] < w->lower[k]) || (w->upper && x[k] > w->upper[k]);
    }
    w->outside += outside;
    return w;
}

static void slip(const world *w, double *derivative)
{
    if (w->wrong >= 0) derivative[w->wrong] *= w->factor;
}

/* ---- f = sum of sin(x_k) x_k+1, in a ring ----------------------------------------------------------------------- */

static double ring(const double *x, void *context)
{
    world *w = see(context, x);
    double sum = 0.0;
    w->calls++;
    for (int64_t k = 0; k < w->n; k++) sum += sin(x[k]) * x[(k + 1) % w->n];
    return sum;
}

static int ring_gradient(const double *x, double *g, void *context)
{
    world *w = see(context, x);
    w->gradients++;
    for (int64_t k = 0; k < w->n; k++) g[k] = cos(x[k]) * x[(k + 1) % w->n] + sin(x[(k + w->n - 1) % w->n]);
    slip(w, g);
    return w->status;
}

static int ring_right_gradient(const double *x, double *g, void *context)
{
    world w = *(world *)context;
    w.wrong = -1;
    return ring_gradient(x, g, &w);
}

static int ring_hessian(const double *x, const double *v, double *hv, void *context)
{
    world *w = see(context, x);
    w->gradients++;
    for (int64_t k = 0; k < w->n; k++) {
        const int64_t next = (k + 1) % w->n, last = (k + w->n - 1) % w->n;
        hv[k] = -sin(x[k]) * x[next] * v[k] + cos(x[k]) * v[next] + cos(x[last]) * v[last];
    }
    slip(w, hv);
    return w->status;
}

static gr_plain ring_of(world *w) { return (gr_plain){.f = ring, .gradient = ring_gradient, .n = w->n, .context = w}; }

static const double *random_x(int64_t n)
{
    static double x[MANY];
    gr_rng rng = gr_rng_seed(3);
    for (int64_t k = 0; k < n; k++) x[k] = gr_rng_normal(&rng);
    return x;
}

/* ---- Modes ------------------------------------------------------------------------------------------------------ */

static void full(void **state)
{
    (void)state;
    world w = right;
    gr_plain p = ring_of(&w);
    double x[FEW], before[FEW];
    memcpy(x, random_x(FEW), sizeof x);
    memcpy(before, x, sizeof x);
    gr_check_report r = plain_is(GR_CHECK_PASS, &p, x, NULL);
    assert_memory_equal(x, before, sizeof x);
    assert_int_equal(r.compared, FEW);
    assert_int_equal(r.evaluations, w.calls);
    assert_int_equal(r.backwards, w.gradients);
    assert_true(r.evaluations < 30 * FEW);
    for (int64_t k = 0; k < FEW; k++) {
        w = (world){.n = FEW, .wrong = k, .factor = 1.0 + 1e-4};
        r = plain_is(GR_CHECK_FAIL, &p, x, NULL);
        assert_int_equal(r.failed, 1);
        assert_int_equal(r.index, k);
    }
}

static void sampled(void **state)
{
    (void)state;
    world w = {.n = MANY, .wrong = -1};
    gr_plain p = ring_of(&w);
    const gr_check_options o = {.mode = GR_CHECK_SAMPLED, .samples = MANY / 10};
    assert_int_equal(plain_is(GR_CHECK_PASS, &p, random_x(MANY), &o).compared, MANY / 10);
    gr_check_options all = {.mode = GR_CHECK_SAMPLED, .samples = MANY};
    w = (world){.n = MANY, .wrong = 77, .factor = -1.0};
    assert_int_equal(plain_is(GR_CHECK_FAIL, &p, random_x(MANY), &all).index, 77);
}

/* Along a direction, and by halving to the element that is wrong, which has a name. */
static void directional(void **state)
{
    (void)state;
    const int64_t places[] = {0, 1, 499, 500, 613, MANY - 1};
    const char *names[MANY] = {[613] = "conductivity"};
    world w = {.n = MANY, .wrong = -1};
    gr_plain p = ring_of(&w);
    p.names = names;
    const gr_check_options o = {.mode = GR_CHECK_DIRECTIONAL};
    assert_true(plain_is(GR_CHECK_PASS, &p, random_x(MANY), &o).evaluations < 100);
    for (size_t i = 0; i < COUNT(places); i++) {
        char text[4096], expected[32];
        w = (world){.n = MANY, .wrong = places[i], .factor = 3.0};
        const gr_check_report r = plain_is(GR_CHECK_FAIL, &p, random_x(MANY), &o);
        assert_int_equal(r.index, places[i]);
        assert_true(r.evaluations < 1500);
        snprintf(expected, sizeof expected, "x[%d]", (int)places[i]);
        gr_check_format(text, sizeof text, &r);
        assert_non_null(strstr(text, places[i] == 613 ? "conductivity" : expected));
    }
}

/* Right for the v whose first element is above 0. */
static int hessian_of_size(const double *x, const double *v, double *hv, void *context)
{
    const int status = ring_hessian(x, v, hv, context);
    for (int64_t k = 0; k < FEW && v[0] < 0.0; k++) hv[k] = -hv[k];
    return status;
}

static void hessians(void **state)
{
    (void)state;
    world w = right;
    gr_plain p = ring_of(&w);
    gr_check_report r;
    p.gradient = ring_right_gradient;
    p.hessian_vector = ring_hessian;
    for (int mode = GR_CHECK_FULL; mode <= GR_CHECK_JACOBIAN; mode++) {
        const gr_check_options o = {.mode = (gr_check_mode)mode, .order = 2};
        w = right;
        plain_is(GR_CHECK_PASS, &p, random_x(FEW), &o);
        assert_int_equal(w.calls, 0); /* f itself is not asked */
        w = doubled;
        assert_int_equal(plain_is(GR_CHECK_FAIL, &p, random_x(FEW), &o).index, 2);
    }
    const gr_check_options second = {.order = 2};
    w = right;
    p.hessian_vector = hessian_of_size;
    plain_is(GR_CHECK_FAIL, &p, random_x(FEW), &second);
    w = (world){.n = FEW, .wrong = 3, .factor = (double)NAN};
    p.gradient = ring_gradient;
    p.hessian_vector = ring_hessian;
    assert_int_equal(gr_check_plain(&p, random_x(FEW), &second, &r), GR_ERR_VALUE);
    assert_failed_with("a NaN", GR_ERR_VALUE, "check_plain: the gradient is not finite");
}

/* ---- Jacobians: y_i = sin(x_i) x_i+1, of which the entries are [i,i] and [i,i+1] -------------------------------- */

static int chain(const double *x, double *y, void *context)
{
    world *w = see(context, x);
    w->calls++;
    for (int64_t i = 0; i < w->m; i++) y[i] = sin(x[i]) * x[i + 1];
    return w->status;
}

static int chain_entries(const double *x, double *j, void *context)
{
    world *w = see(context, x);
    double all[2 * FEW];
    w->gradients++;
    for (int64_t i = 0; i < w->m; i++) {
        all[2 * i] = cos(x[i]) * x[i + 1];
        all[2 * i + 1] = sin(x[i]);
    }
    slip(w, all);
    memcpy(j, all, (size_t)(w->entries ? w->entries : 2 * w->m) * sizeof *j);
    return 0;
}

/* The same with the first entry in two halves, the second of them at the end. */
static int chain_halves(const double *x, double *j, void *context)
{
    const world *w = context;
    const int status = chain_entries(x, j, context);
    j[0] *= 0.5;
    j[2 * w->m] = j[0];
    return status;
}

static int chain_dense(const double *x, double *j, void *context)
{
    world *w = see(context, x);
    w->gradients++;
    memset(j, 0, (size_t)(w->m * w->n) * sizeof *j);
    for (int64_t i = 0; i < w->m; i++) {
        j[i * w->n + i] = cos(x[i]) * x[i + 1];
        j[i * w->n + i + 1] = sin(x[i]);
    }
    slip(w, j);
    return 0;
}

static int chain_transposed(const double *x, double *j, void *context)
{
    const world *w = context;
    double rows[3 * FEW];
    const int status = chain_dense(x, rows, context);
    for (int64_t i = 0; i < w->m; i++)
        for (int64_t k = 0; k < w->n; k++) j[k * w->m + i] = rows[i * w->n + k];
    return status;
}

static const int64_t rows[] = {0, 0, 1, 1, 2, 2, 0}, columns[] = {0, 1, 1, 2, 2, 3, 0};

static gr_plain sparse_of(world *w)
{
    return (gr_plain){.vector = chain,
                      .jacobian = chain_entries,
                      .n = w->n,
                      .m = w->m,
                      .row = rows,
                      .column = columns,
                      .nonzeros = 6,
                      .context = w};
}

static void dense_jacobians(void **state)
{
    (void)state;
    world w = right;
    gr_plain p = {.vector = chain, .jacobian = chain_dense, .n = w.n, .m = w.m, .context = &w};
    gr_check_report r = plain_is(GR_CHECK_PASS, &p, random_x(FEW), NULL);
    assert_int_equal(r.compared, 3 * FEW);
    assert_int_equal(r.evaluations, w.calls);
    assert_true(w.gradients <= 3); /* all its rows are of one Jacobian */
    w = (world){.n = FEW, .m = 3, .wrong = FEW + 2, .factor = -1.0};
    r = plain_is(GR_CHECK_FAIL, &p, random_x(FEW), NULL);
    assert_true(r.failed == 1 && r.worst[0].output == 1 && r.index == 2);
    w = right;
    p.jacobian = chain_transposed;
    plain_is(GR_CHECK_FAIL, &p, random_x(FEW), NULL);
    for (int mode = GR_CHECK_SAMPLED; mode <= GR_CHECK_JACOBIAN; mode++) {
        const gr_check_options o = {.mode = (gr_check_mode)mode};
        p.jacobian = chain_dense;
        plain_is(GR_CHECK_PASS, &p, random_x(FEW), &o);
        p.jacobian = chain_transposed;
        plain_is(GR_CHECK_FAIL, &p, random_x(FEW), &o);
    }
}

static void sparse_jacobians(void **state)
{
    (void)state;
    world w = right;
    gr_plain p = sparse_of(&w);
    assert_int_equal(plain_is(GR_CHECK_PASS, &p, random_x(FEW), NULL).compared, 3 * FEW);
    for (int mode = GR_CHECK_SAMPLED; mode <= GR_CHECK_DIRECTIONAL; mode++)
        plain_is(GR_CHECK_PASS, &p, random_x(FEW), &(gr_check_options){.mode = (gr_check_mode)mode});
    p.jacobian = chain_halves;
    p.nonzeros = 7;
    plain_is(GR_CHECK_PASS, &p, random_x(FEW), NULL);
}

static void expect_hint(const gr_check_report *r, const char *part)
{
    if (!strstr(r->hint, part)) fail_msg("expected \"%s\" in the hint \"%s\"", part, r->hint);
}

/* The hint tells wrong places from wrong numbers. */
static void places_and_numbers(void **state)
{
    (void)state;
    static const int64_t astray[] = {0, 1, 1, 5, 2, 3}, twice[] = {0, 1, 1, 1, 2, 3};
    const double *x = random_x(FEW);
    world w = {.n = FEW, .m = 3, .wrong = 3, .factor = 2.0};
    gr_plain p = sparse_of(&w);
    gr_check_report r = plain_is(GR_CHECK_FAIL, &p, x, NULL);
    assert_true(r.failed == 1 && r.worst[0].output == 1 && r.index == 2);
    expect_hint(&r, "the places are right, the numbers are not");
    assert_null(strstr(r.hint, "entry"));
    w = right;
    p.nonzeros = w.entries = 5;
    r = plain_is(GR_CHECK_FAIL, &p, x, NULL);
    assert_int_equal(r.failed, 1);
    expect_hint(&r, "a missing place: no entry is given at [2,3]");
    w.entries = 0;
    p.nonzeros = 6;
    p.column = astray;
    r = plain_is(GR_CHECK_FAIL, &p, x, NULL);
    assert_int_equal(r.failed, 2);
    expect_hint(&r, "wrong places: no entry is given at [1,2]");
    expect_hint(&r, "there is one at [1,5], where it is 0");
    p.column = twice;
    r = plain_is(GR_CHECK_FAIL, &p, x, NULL);
    expect_hint(&r, "no entry is given at [1,2]");
}

static int one_too_many(const double *x, double *j, void *context)
{
    const int status = chain_entries(x, j, context);
    j[6] = x[0];
    return status;
}

static void needless_and_one_row(void **state)
{
    (void)state;
    static const int64_t far[] = {0, 1, 1, 2, 2, 3, 4};
    world w = right;
    gr_plain p = sparse_of(&w);
    p.column = far;
    p.nonzeros = 7;
    p.jacobian = one_too_many;
    gr_check_report r = plain_is(GR_CHECK_FAIL, &p, random_x(FEW), NULL);
    assert_int_equal(r.failed, 1);
    expect_hint(&r, "an entry at [0,4] is not 0");
    w.m = 1;
    p = sparse_of(&w);
    p.nonzeros = 2;
    plain_is(GR_CHECK_PASS, &p, random_x(FEW), NULL);
    p.nonzeros = w.entries = 1;
    r = plain_is(GR_CHECK_FAIL, &p, random_x(FEW), NULL);
    expect_hint(&r, "no entry is given at [0,1]");
}

/* One entry that is no number spoils no other. */
static void a_nan_stays_where_it_is(void **state)
{
    (void)state;
    world w = {.n = FEW, .m = 3, .wrong = 2, .factor = (double)NAN};
    const gr_plain p = sparse_of(&w);
    const gr_check_report r = plain_is(GR_CHECK_FAIL, &p, random_x(FEW), NULL);
    assert_true(r.failed == 1 && r.worst[0].output == 1 && r.index == 1);
    expect_hint(&r, "was it written");
}

/* ---- Bounds, edges, kinks --------------------------------------------------------------------------------------- */

/* Functions of each element by itself: sums over all elements, and derivatives. */
#define SUM_OF(name, value, derivative)                                \
    static double name(const double *v, void *context)                 \
    {                                                                  \
        world *w = see(context, v);                                    \
        double sum = 0.0;                                              \
        for (int64_t k = 0; k < w->n; k++) {                           \
            const double x = v[k];                                     \
            sum += value;                                              \
        }                                                              \
        return sum;                                                    \
    }                                                                  \
    static int name##_slope(const double *v, double *g, void *context) \
    {                                                                  \
        world *w = see(context, v);                                    \
        for (int64_t k = 0; k < w->n; k++) {                           \
            const double x = v[k];                                     \
            g[k] = derivative;                                         \
        }                                                              \
        slip(w, g);                                                    \
        return w->status;                                              \
    }

static double sign(double x, double at_0) { return x == 0.0 ? at_0 : copysign(1.0, x); }

SUM_OF(arc, sqrt(x - x * x), (0.5 - x) / sqrt(x - x * x))
SUM_OF(parabola, x < 0.0 ? (double)NAN : exp(x) + (2.0 - x) * (2.0 - x), exp(x) - 2.0 * (2.0 - x))
SUM_OF(root, sqrt(x), 0.5 / sqrt(x))
SUM_OF(entropy, log(x) * x, log(x) + 1.0)
SUM_OF(absolute, fabs(x), sign(x, 0.25))
SUM_OF(absolute_3, fabs(x), sign(x, 3.0))
SUM_OF(constant, 0.0 * x + 7.0, 0.0 * x)
SUM_OF(in_float, (double)(sinf((float)x) + 2.0f), (double)cosf((float)x))

#define PLAIN(name, w) ((gr_plain){.f = name, .gradient = name##_slope, .n = (w)->n, .context = (w)})

static void never_out_of_bounds(void **state)
{
    (void)state;
    const double lower[4] = {0.0}, upper[] = {1.0, 1.0, 1.0, 1.0};
    const double inside[] = {0.5, 0.25, 1e-9, 1.0 - 0x1p-30}, on_them[] = {0.0, 1.0, 0.5, 0.0};
    world w = {.n = 4, .wrong = -1, .lower = lower, .upper = upper};
    for (int mode = GR_CHECK_FULL; mode <= GR_CHECK_DIRECTIONAL; mode++) {
        const gr_check_options o = {.mode = (gr_check_mode)mode};
        gr_plain p = PLAIN(arc, &w);
        p.lower = lower;
        p.upper = upper;
        plain_is(GR_CHECK_PASS, &p, inside, &o);
        if (mode == GR_CHECK_DIRECTIONAL) break;
        p = PLAIN(parabola, &w);
        p.lower = lower;
        p.upper = upper;
        plain_is(GR_CHECK_PASS, &p, on_them, &o);
        w.wrong = 1;
        w.factor = 1.001;
        assert_int_equal(plain_is(GR_CHECK_FAIL, &p, on_them, &o).index, 1);
        w.wrong = -1;
    }
    assert_int_equal(w.outside, 0);
}

/* Where f ends, by a NaN beyond it, the slope on the side that there is counts. */
static void where_f_ends(void **state)
{
    (void)state;
    world w = {.n = 2, .wrong = -1};
    gr_plain p = PLAIN(parabola, &w), log_p = PLAIN(entropy, &w), root_p = PLAIN(root, &w);
    gr_check_report r;
    const double at_0[] = {0.0, 0.5}, beside_0[] = {1e-3, 1e-12};
    plain_is(GR_CHECK_PASS, &p, at_0, NULL);
    plain_is(GR_CHECK_PASS, &log_p, beside_0, NULL);
    plain_is(GR_CHECK_PASS, &root_p, at_0, NULL); /* the slope is infinite, and is said to be */
    assert_int_equal(gr_check_plain(&log_p, at_0, NULL, &r), GR_ERR_VALUE);
    assert_failed_with("a NaN", GR_ERR_VALUE, "check_plain: f is not finite");
    w = (world){.n = FEW, .m = 3, .wrong = -1, .status = 3};
    p = sparse_of(&w);
    assert_int_equal(gr_check_plain(&p, random_x(FEW), NULL, &r), GR_ERR_VALUE);
    assert_failed_with("a status", GR_ERR_VALUE, "check_plain: the vector returns 3");
    p = ring_of(&w);
    assert_int_equal(gr_check_plain(&p, random_x(FEW), NULL, &r), GR_ERR_VALUE);
    assert_failed_with("a status", GR_ERR_VALUE, "check_plain: the gradient returns 3");
}

static void other_verdicts(void **state)
{
    (void)state;
    world w = {.n = 2, .wrong = -1};
    const double at_0[] = {0.0, 0.5};
    gr_plain p = PLAIN(absolute, &w);
    assert_int_equal(plain_is(GR_CHECK_PASS, &p, at_0, NULL).count[GR_CHECK_KINK], 1);
    p = PLAIN(absolute_3, &w);
    assert_int_equal(plain_is(GR_CHECK_FAIL, &p, at_0, NULL).index, 0);
    p = PLAIN(constant, &w);
    plain_is(GR_CHECK_VACUOUS, &p, at_0, NULL);
    p = PLAIN(in_float, &w);
    p.is_float = true;
    plain_is(GR_CHECK_PASS, &p, at_0, NULL);
    w = (world){.n = 2, .wrong = 1, .factor = 2.0};
    plain_is(GR_CHECK_FAIL, &p, at_0, NULL);
}

/* Functions of two numbers. The derivative by the first one is right, or else w->factor, some at x alone. */
static double claimed(const world *w, double x, double right_one)
{
    return x == *w->lower && !isnan(w->factor) ? w->factor : right_one;
}

static double turns(const double *x, void *context)
{
    (void)context;
    return sin(6.283185307179586 * (x[0] - floor(x[0]))) + x[1];
}

static int turns_gradient(const double *x, double *g, void *context)
{
    const world *w = context;
    g[0] = isnan(w->factor) ? 6.283185307179586 * cos(6.283185307179586 * (x[0] - floor(x[0]))) : w->factor;
    g[1] = 1.0;
    return 0;
}

static double sinc(const double *x, void *context)
{
    (void)context;
    return (x[0] == 0.0 ? 1.0 : sin(x[0]) / x[0]) + x[1];
}

static int sinc_gradient(const double *x, double *g, void *context)
{
    g[0] = claimed(context, x[0], x[0] == 0.0 ? 0.0 : (x[0] * cos(x[0]) - sin(x[0])) / x[0] / x[0]);
    g[1] = 1.0;
    return 0;
}

static double x_log_x(const double *x, void *context)
{
    (void)context;
    return (x[0] > 0.0 ? x[0] * log(x[0]) : 0.0) + x[1];
}

static int x_log_x_gradient(const double *x, double *g, void *context)
{
    g[0] = claimed(context, x[0], log(x[0]) + 1.0);
    g[1] = 1.0;
    return 0;
}

static double rounded(const double *x, void *context)
{
    (void)context;
    return rint(256.0 * x[0]) / 256.0 + x[1];
}

static int rounded_gradient(const double *x, double *g, void *context)
{
    const world *w = context;
    (void)x;
    g[0] = isnan(w->factor) ? 0.0 : w->factor;
    g[1] = 1.0;
    return 0;
}

/* From -1 to 1, without an order. */
static double noise_at(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    gr_rng rng = gr_rng_seed(bits);
    return 2.0 * gr_rng_uniform(&rng) - 1.0;
}

static double small_and_noisy(const double *x, void *context)
{
    (void)context;
    return 5e-10 * sin(x[0]) + 1e-12 * noise_at(x[0]) + x[1];
}

static double noisy(const double *x, void *context)
{
    (void)context;
    return sin(x[0]) + 0.1 * noise_at(x[0]) + x[1];
}

static int small_and_noisy_gradient(const double *x, double *g, void *context)
{
    const world *w = context;
    g[0] = isnan(w->factor) ? 5e-10 * cos(x[0]) : w->factor;
    g[1] = 1.0;
    return 0;
}

static int noisy_gradient(const double *x, double *g, void *context)
{
    g[0] = claimed(context, x[0], cos(x[0]));
    g[1] = 1.0;
    return 0;
}

/* Each with the right derivative and a wrong one. */
static void repeating_rounded_and_noisy(void **state)
{
    (void)state;
    const double none = -(double)INFINITY, no_number = (double)NAN;
    const struct {
        double (*f)(const double *x, void *context);
        int (*gradient)(const double *x, double *g, void *context);
        double x, factor, lower;
        gr_check_verdict verdict;
    } cases[] = {
        /* of a period that all long steps are multiples of */
        {turns, turns_gradient, 4000.125, no_number, none, GR_CHECK_PASS},
        {turns, turns_gradient, 4000.125, 0.0, none, GR_CHECK_FAIL},
        /* wrong at one point alone */
        {sinc, sinc_gradient, 0.0, no_number, none, GR_CHECK_PASS},
        {sinc, sinc_gradient, 0.0, 1.0, none, GR_CHECK_FAIL},
        /* a slope that grows with the logarithm of the step */
        {x_log_x, x_log_x_gradient, 0.0, no_number, 0.0, GR_CHECK_PASS},
        {x_log_x, x_log_x_gradient, 0.0, (double)INFINITY, 0.0, GR_CHECK_FAIL},
        {x_log_x, x_log_x_gradient, 0.0, 0.0, 0.0, GR_CHECK_UNRESOLVED},
        /* 0 is the slope of each stair, 1 that of all */
        {rounded, rounded_gradient, 1.234567, no_number, none, GR_CHECK_UNRESOLVED},
        {rounded, rounded_gradient, 1.234567, 2.0, none, GR_CHECK_FAIL},
        /* 0 is beyond the error, if small */
        {small_and_noisy, small_and_noisy_gradient, 1.1, no_number, none, GR_CHECK_PASS},
        {small_and_noisy, small_and_noisy_gradient, 1.1, 0.0, none, GR_CHECK_UNRESOLVED},
        /* far steps see less of the noise, and of f */
        {noisy, noisy_gradient, 1.1, no_number, none, GR_CHECK_UNRESOLVED},
        {noisy, noisy_gradient, 1.1, 0.0, none, GR_CHECK_UNRESOLVED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const double x[] = {cases[i].x, 1.3}, lower[] = {cases[i].lower, none};
        world w = {.n = 2, .lower = x, .factor = cases[i].factor};
        const gr_plain p = {.f = cases[i].f, .gradient = cases[i].gradient, .n = 2, .lower = lower, .context = &w};
        gr_check_report r;
        assert_int_equal(gr_check_plain(&p, x, NULL, &r), GR_OK);
        if (r.verdict != cases[i].verdict) printf("case %d\n", (int)i), gr_check_fprint(stdout, &r);
        assert_int_equal(r.verdict, cases[i].verdict);
    }
}

/* Steps that the caller gives change no verdict; nor does a scale that x has. */
static void scales(void **state)
{
    (void)state;
    static const double sizes[] = {1e-9, 1e-3, 1.0, 1e4};
    double given[FEW];
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (int wrong = 0; wrong < 2; wrong++) {
            world w = wrong ? doubled : right;
            gr_plain p = ring_of(&w);
            for (int64_t k = 0; k < FEW; k++) given[k] = sizes[i];
            const gr_check_verdict v = wrong ? GR_CHECK_FAIL : GR_CHECK_PASS;
            const gr_check_report found = plain_is(v, &p, random_x(FEW), NULL);
            p.scale = given;
            const gr_check_report r = plain_is(v, &p, random_x(FEW), NULL);
            assert_true(r.failed == wrong && found.failed == wrong && (!wrong || (r.index == 2 && found.index == 2)));
            assert_true(!wrong || close_to(r.numeric, found.numeric, 1e-7));
        }
}

/* ---- Functions that do what they must not ----------------------------------------------------------------------- */

static double writes_to_x(const double *x, void *context)
{
    const double f = ring(x, context);
    ((double *)x)[1] += 1.0;
    return f;
}

static double drifts(const double *x, void *context)
{
    return ring(x, context) + 1e-9 * (double)((world *)context)->calls;
}

static int gradient_drifts(const double *x, double *g, void *context)
{
    const int status = ring_gradient(x, g, context);
    g[3] += 1e-12 * (double)((world *)context)->gradients;
    return status;
}

static int jacobian_drifts(const double *x, double *j, void *context)
{
    const int status = chain_entries(x, j, context);
    j[3] += 1e-12 * (double)((world *)context)->gradients;
    return status;
}

static int leaves_one_out(const double *x, double *g, void *context)
{
    const double before = g[3];
    const int status = ring_gradient(x, g, context);
    g[3] = before;
    return status;
}

/* The gradient at the point of the first call, for ever. */
static int caches(const double *x, double *g, void *context)
{
    static double first[FEW];
    const world *w = context;
    const int status = w->gradients ? 0 : ring_gradient(x, first, context);
    memcpy(g, first, sizeof first);
    return status;
}

static int caches_jacobian(const double *x, double *j, void *context)
{
    static double first[2 * 3];
    const world *w = context;
    const int status = w->gradients ? 0 : chain_entries(x, first, context);
    memcpy(j, first, sizeof first);
    return status;
}

static void misuse(void **state)
{
    (void)state;
    gr_check_report r;
    world w = right;
    gr_plain p = ring_of(&w);
    p.f = writes_to_x;
    assert_int_equal(gr_check_plain(&p, random_x(FEW), NULL, &r), GR_ERR_STATE);
    p = ring_of(&w);
    p.f = drifts;
    plain_is(GR_CHECK_NONDETERMINISTIC, &p, random_x(FEW), NULL);
    p = ring_of(&w);
    p.gradient = gradient_drifts;
    assert_int_equal(plain_is(GR_CHECK_NONDETERMINISTIC, &p, random_x(FEW), NULL).index, 3);
    p.gradient = leaves_one_out;
    assert_int_equal(plain_is(GR_CHECK_FAIL, &p, random_x(FEW), NULL).index, 3);
    w = right;
    p.gradient = caches;
    r = plain_is(GR_CHECK_FAIL, &p, random_x(FEW), NULL);
    expect_hint(&r, "a cached value");
    p = sparse_of(&w);
    w = right;
    p.jacobian = caches_jacobian;
    r = plain_is(GR_CHECK_FAIL, &p, random_x(FEW), NULL);
    expect_hint(&r, "a cached value");
    assert_null(strstr(r.hint, "entry"));
    p.jacobian = jacobian_drifts;
    assert_int_equal(plain_is(GR_CHECK_NONDETERMINISTIC, &p, random_x(FEW), NULL).index, 2);
}

/* ---- What is refused -------------------------------------------------------------------------------------------- */

static void refused_with(gr_status status, const char *part, const gr_plain *p, const double *x,
                         const gr_check_options *o)
{
    gr_check_report r;
    gr_clear_error();
    assert_int_equal(gr_check_plain(p, x, o, &r), status);
    assert_failed_with(part, status, part);
}

static void refused_functions(void **state)
{
    (void)state;
    world w = right;
    const double *x = random_x(FEW);
    const gr_plain f = ring_of(&w), y = sparse_of(&w);
    const gr_check_options second = {.order = 2};
    gr_check_report r;
    refused_with(GR_ERR_NULL, "check_plain: the problem", NULL, x, NULL);
    refused_with(GR_ERR_NULL, "check_plain: x", &f, NULL, NULL);
    assert_int_equal(gr_check_plain(&f, x, NULL, NULL), GR_ERR_NULL);
    refused_with(GR_ERR_NULL, "f or vector", &(gr_plain){.n = FEW}, x, NULL);
    gr_plain p = f;
    p.vector = chain;
    refused_with(GR_ERR_NULL, "and not both", &p, x, NULL);
    p = f;
    p.gradient = NULL;
    refused_with(GR_ERR_NULL, "gradient", &p, x, NULL);
    p = y;
    p.jacobian = NULL;
    refused_with(GR_ERR_NULL, "jacobian", &p, x, NULL);
    refused_with(GR_ERR_NULL, "hessian_vector", &f, x, &second);
    p = y;
    p.gradient = ring_gradient;
    p.hessian_vector = ring_hessian;
    refused_with(GR_ERR_NULL, "f for order 2", &p, x, &second);
    assert_int_equal(gr_check_plain(&f, x, &(gr_check_options){.mode = (gr_check_mode)99}, &r), GR_ERR_OPTION);
    assert_int_equal(gr_check_plain(&f, x, &(gr_check_options){.order = 3}, &r), GR_ERR_OPTION);
    assert_int_equal(w.calls + w.gradients, 0);
}

static void refused_modes(void **state)
{
    (void)state;
    const gr_check_mode modes[] = {GR_CHECK_PER_NODE, GR_CHECK_ACCUMULATION, GR_CHECK_F32};
    world w = right;
    const gr_plain f = ring_of(&w);
    for (size_t i = 0; i < COUNT(modes); i++)
        refused_with(GR_ERR_OPTION, "is for functions on a tape", &f, random_x(FEW),
                     &(gr_check_options){.mode = modes[i]});
}

static void refused_numbers(void **state)
{
    (void)state;
    world w = right;
    const gr_plain f = ring_of(&w), y = sparse_of(&w);
    double x[FEW] = {0.5, 0.5, 0.5, 0.5, 0.5, 0.5};
    const double bounds[] = {0.6, 0.0, 0.0, 0.0, 0.0, 0.0}, above[] = {1.0, 1.0, 0.4, 1.0, 1.0, 1.0};
    static const double steps[] = {0.0, -1.0, (double)NAN, (double)INFINITY};
    static const int64_t bad[][6] = {{-1, 0, 1, 1, 2, 2}, {0, 0, 1, 1, 2, 3}};
    const double nan_bound[] = {(double)NAN, 0, 0, 0, 0, 0};
    gr_plain p = f;
    p.n = 0;
    refused_with(GR_ERR_OPTION, "n is 0", &p, x, NULL);
    p = y;
    p.m = 0;
    refused_with(GR_ERR_OPTION, "m 0", &p, x, NULL);
    p = y;
    p.nonzeros = -1;
    refused_with(GR_ERR_OPTION, "nonzeros -1", &p, x, NULL);
    p = y;
    p.column = NULL;
    refused_with(GR_ERR_NULL, "row and column are given together", &p, x, NULL);
    for (size_t i = 0; i < COUNT(bad); i++) {
        p = y;
        p.row = bad[i];
        refused_with(GR_ERR_INDEX, i ? "entry 5 is at [3,3] of a Jacobian [3,6]" : "entry 0 is at [-1,0]", &p, x, NULL);
    }
    p = y;
    p.column = (const int64_t[]){0, 1, 1, FEW, 2, 3};
    refused_with(GR_ERR_INDEX, "entry 3 is at [1,6]", &p, x, NULL);
    p = f;
    p.lower = bounds;
    refused_with(GR_ERR_VALUE, "x[0] is 0.5, expected a finite number in [0.6,inf]", &p, x, NULL);
    p.lower = nan_bound;
    refused_with(GR_ERR_VALUE, "x[0] is 0.5", &p, x, NULL);
    p.lower = NULL;
    p.upper = above;
    refused_with(GR_ERR_VALUE, "x[2] is 0.5", &p, x, NULL);
    for (size_t i = 0; i < COUNT(steps); i++) {
        double scale[FEW] = {1.0, 1.0, 1.0, 1.0, steps[i], 1.0};
        p = f;
        p.scale = scale;
        refused_with(GR_ERR_OPTION, "scale[4] is ", &p, x, NULL);
    }
    x[5] = (double)NAN;
    refused_with(GR_ERR_VALUE, "x[5] is nan", &f, x, NULL);
    x[5] = (double)INFINITY;
    refused_with(GR_ERR_VALUE, "x[5] is inf", &f, x, NULL);
    assert_int_equal(w.calls + w.gradients, 0);
}

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

static gr_status check_all(void)
{
    world w = right, wrong = doubled;
    gr_plain p = ring_of(&w), y = sparse_of(&w), bad = ring_of(&wrong);
    gr_check_report r;
    p.hessian_vector = ring_hessian;
    gr_status status = gr_check_plain(&p, random_x(FEW), NULL, &r);
    if (!status) status = gr_check_plain(&y, random_x(FEW), NULL, &r);
    if (!status) status = gr_check_plain(&p, random_x(FEW), &(gr_check_options){.order = 2}, &r);
    if (!status) status = gr_check_plain(&bad, random_x(FEW), &(gr_check_options){.mode = GR_CHECK_DIRECTIONAL}, &r);
    return status;
}

/* Each allocation fails in turn, alone and with all that follow: GR_ERR_MEMORY, and nothing is left behind. */
static void each_allocation(void **state)
{
    (void)state;
    counting memory;
    for (int from = 0; from < 2; from++) {
        int64_t n = 0;
        do {
            counting_begin(&memory);
            memory.fail_at = ++n;
            memory.fail_from = from;
            const gr_status status = check_all();
            counting_end();
            if (memory.live || memory.foreign) fail_msg("allocation %d: %d blocks leaked", (int)n, (int)memory.live);
            assert_int_equal(status, memory.failures ? GR_ERR_MEMORY : GR_OK);
        } while (memory.failures);
        assert_true(n > 60);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full),
        cmocka_unit_test(sampled),
        cmocka_unit_test(directional),
        cmocka_unit_test(hessians),
        cmocka_unit_test(dense_jacobians),
        cmocka_unit_test(sparse_jacobians),
        cmocka_unit_test(places_and_numbers),
        cmocka_unit_test(needless_and_one_row),
        cmocka_unit_test(a_nan_stays_where_it_is),
        cmocka_unit_test(never_out_of_bounds),
        cmocka_unit_test(where_f_ends),
        cmocka_unit_test(other_verdicts),
        cmocka_unit_test(repeating_rounded_and_noisy),
        cmocka_unit_test(scales),
        cmocka_unit_test(misuse),
        cmocka_unit_test(refused_functions),
        cmocka_unit_test(refused_modes),
        cmocka_unit_test(refused_numbers),
        cmocka_unit_test(each_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
