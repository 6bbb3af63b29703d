/* test_hard_points.c: the checker at points that are hard for finite differences (hard_points.def). Each derivative is
 * tried as it is and made wrong in several ways: no right one may FAIL, no wrong one PASS or come to VACUOUS, and few
 * right ones stay UNRESOLVED. And the units of x and of f change no verdict. */
#define _XOPEN_SOURCE 600 /* Bessel functions */

#include "helpers.h"

#include <float.h>
#include <gradus/check_plain.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- What hard_points.def calls ------------------------------------------------------------------------------ */

/* e^x by its series, however large the terms. */
static double taylor_exp(double x)
{
    double sum = 1.0, term = 1.0;
    for (int i = 1; i < 150; i++) sum += term *= x / i;
    return sum;
}

/* The derivative of lgamma() at x > 0: recurrence up to 12, from there the asymptotic series. */
static double digamma(double x)
{
    double sum = 0.0;
    for (; x < 12.0; x++) sum -= 1.0 / x;
    const double i = 1.0 / (x * x);
    const double tail = i * (1.0 / 252 - i * (1.0 / 240 - i * (5.0 / 660 - i * 691.0 / 32760)));
    return sum + log(x) - 0.5 / x - i * (1.0 / 12 - i * (1.0 / 120 - tail));
}

/* (x-1) (x-2) ... (x-n), and its derivative by the product rule. */
static double wilkinson(double x, int n)
{
    double product = 1.0;
    for (int i = 1; i <= n; i++) product *= x - i;
    return product;
}

static double wilkinson_slope(double x, int n)
{
    double product = 1.0, slope = 0.0;
    for (int i = 1; i <= n; i++) {
        slope = slope * (x - i) + product;
        product *= x - i;
    }
    return slope;
}

/* The sum of sin(k x) / k for k up to 200. */
static float float_sum(float x)
{
    float sum = 0;
    for (int k = 1; k <= 200; k++) sum += sinf((float)k * x) / (float)k;
    return sum;
}

static float float_sum_slope(float x)
{
    float sum = 0;
    for (int k = 1; k <= 200; k++) sum += cosf((float)k * x);
    return sum;
}

/* The voltage of a capacitor of 1 uF after 1 ms behind x ohms and 5 volts, in 1000 steps of Euler's method; and, by the
 * same steps, its derivative. */
static double rc_circuit(double ohms, double *slope)
{
    const double step = 1e-6, rate = step / (ohms * 1e-6);
    double volts = 0.0, by_ohms = 0.0;
    for (int i = 0; i < 1000; i++) {
        by_ohms += -rate / ohms * (5.0 - volts) - rate * by_ohms;
        volts += rate * (5.0 - volts);
    }
    if (slope) *slope = by_ohms;
    return volts;
}

static double rc_circuit_slope(double ohms)
{
    double slope;
    rc_circuit(ohms, &slope);
    return slope;
}

/* The radiation of a black body, c1 / (l^5 (e^u - 1)) with u = c2 / (l T). */
static double planck(double l, double kelvin) { return 3.7418e-16 / (pow(l, 5) * expm1(0.014388 / (l * kelvin))); }

static double planck_by_wavelength(double l, double kelvin)
{
    const double u = 0.014388 / (l * kelvin);
    return planck(l, kelvin) * (u / -expm1(-u) - 5.0) / l;
}

static double planck_by_temperature(double l, double kelvin)
{
    const double u = 0.014388 / (l * kelvin);
    return planck(l, kelvin) * u / -expm1(-u) / kelvin;
}

/* Solvers that end at a tolerance of 1e-10. E - e sin E = M by Newton's method: */
static double kepler(double mean, double eccentricity)
{
    double e = mean, step = 1.0;
    for (int i = 0; i < 100 && fabs(step) > 1e-10; i++) {
        step = (e - eccentricity * sin(e) - mean) / (1.0 - eccentricity * cos(e));
        e -= step;
    }
    return e;
}

/* y^3 = x by halving an interval; e^y = x likewise. */
static double cube_root(double x)
{
    double low = 0.0, high = fmax(x, 1.0);
    while (high - low > 1e-10) {
        const double middle = 0.5 * (low + high);
        *(middle * middle * middle < x ? &low : &high) = middle;
    }
    return 0.5 * (low + high);
}

static double bisected_log(double x)
{
    double low = -50.0, high = 50.0;
    while (high - low > 1e-10) {
        const double middle = 0.5 * (low + high);
        *(exp(middle) < x ? &low : &high) = middle;
    }
    return 0.5 * (low + high);
}

/* w e^w = x by Newton's method. */
static double lambert_w(double x)
{
    double w = log1p(x), step = 1.0;
    for (int i = 0; i < 100 && fabs(step) > 1e-10; i++) {
        step = (w * exp(w) - x) / (exp(w) * (1.0 + w));
        w -= step;
    }
    return w;
}

/* y = x cos y, again and again. */
static double fixed_point(double x)
{
    double y = x, before = x + 1.0;
    for (int i = 0; i < 10000 && fabs(y - before) > 1e-10; i++) {
        before = y;
        y = x * cos(y);
    }
    return y;
}

/* ---- The table ------------------------------------------------------------------------------------------------ */

typedef double (*function)(double x);

enum { MAX_POINTS = 8 };

typedef struct hard {
    const char *kind, *name;
    function f, slope, mistake; /* the last may be NULL */
    bool is_float, is_kink;
    double left, right; /* the slopes at a kink */
    int n_points;
    double at[MAX_POINTS];
} hard;

#define FUNCTION(name, ...) \
    static double name(double x) { return (void)x, (__VA_ARGS__); }
#define FUNCTIONS(name, value, slope) FUNCTION(value_of_##name, value) FUNCTION(slope_of_##name, slope)
#define POINT(kind, name, value, slope, ...) FUNCTIONS(name, value, slope)
#define KINK(kind, name, value, slope, left, right, x) FUNCTIONS(name, value, slope)
#define TRAP(kind, name, value, slope, wrong, ...) FUNCTIONS(name, value, slope) FUNCTION(mistake_of_##name, wrong)
#define FLOAT(kind, name, value, slope, ...)                         \
    static float single_of_##name(float x) { return (value); }       \
    static float single_slope_of_##name(float x) { return (slope); } \
    FUNCTIONS(name, (double)single_of_##name((float)x), (double)single_slope_of_##name((float)x))
#include "hard_points.def"

#undef POINT
#undef KINK
#undef TRAP
#undef FLOAT
#define ROW(kind, name, ...)                                        \
    {                                                               \
#kind, #name, value_of_##name, slope_of_##name, __VA_ARGS__ \
    }
#define POINTS(...) .n_points = (int)COUNT(((double[]){__VA_ARGS__})), .at = {__VA_ARGS__}
#define POINT(kind, name, value, slope, ...) ROW(kind, name, POINTS(__VA_ARGS__)),
#define KINK(kind, name, value, slope, a, b, x) ROW(kind, name, .is_kink = true, .left = a, .right = b, POINTS(x)),
#define TRAP(kind, name, value, slope, wrong, ...) ROW(kind, name, .mistake = mistake_of_##name, POINTS(__VA_ARGS__)),
#define FLOAT(kind, name, value, slope, ...) ROW(kind, name, .is_float = true, POINTS(__VA_ARGS__)),
static const hard hards[] = {
#include "hard_points.def"
};

/* ---- A check -------------------------------------------------------------------------------------------------- */

/* What is done to the derivative. */
typedef enum wrongness { RIGHT, TWICE, NEGATED, OFF_BY_1000TH, HALVED, MISSING, MISTAKEN, N_WRONGNESSES } wrongness;

static const struct {
    const char *name;
    double factor;
} wrongnesses[] = {[RIGHT] = {"right", 1.0},
                   [TWICE] = {"times 2", 2.0},
                   [NEGATED] = {"times -1", -1.0},
                   [OFF_BY_1000TH] = {"times 1.001", 1.001},
                   [HALVED] = {"times 1/2", 0.5},
                   [MISSING] = {"0", 0.0},
                   [MISTAKEN] = {"a likely mistake", 1.0}};

/* value f(x / unit), with its derivative made wrong. */
typedef struct trial {
    const hard *h;
    wrongness wrong;
    double unit, value;
    int64_t calls;
} trial;

static double trial_f(const double *x, void *context)
{
    trial *t = context;
    t->calls++;
    return t->value * t->h->f(*x / t->unit);
}

static double tried_slope(const trial *t, double x)
{
    const function slope = t->wrong == MISTAKEN ? t->h->mistake : t->h->slope;
    return wrongnesses[t->wrong].factor * (t->value / t->unit) * slope(x / t->unit);
}

static int trial_gradient(const double *x, double *g, void *context)
{
    *g = tried_slope(context, *x);
    return 0;
}

static gr_check_report check_trial(trial *t, double x, bool is_float)
{
    const gr_plain problem = {.f = trial_f, .gradient = trial_gradient, .n = 1, .is_float = is_float, .context = t};
    gr_check_report r;
    x *= t->unit;
    if (gr_check_plain(&problem, &x, NULL, &r)) fail_msg("%s at %g: %s", t->h->name, x, gr_last_error());
    return r;
}

/* Whether what is done to the derivative makes it wrong there. */
static bool is_wrong(const hard *h, wrongness w, double x)
{
    if (w == RIGHT || (w == MISTAKEN && !h->mistake)) return false;
    const double right = h->slope(x), wrong = tried_slope(&(trial){.h = h, .wrong = w, .unit = 1, .value = 1}, x);
    if (h->is_kink) return wrong < h->left || wrong > h->right;
    /* Where f as computed is flat, a derivative that moves it by no more than its last digits is not wrong. */
    const double here = h->f(x), digits = 4 * DBL_EPSILON * fabs(here);
    const bool is_flat = x != 0.0 && h->f(x * 63 / 64) == here && h->f(x * 65 / 64) == here;
    return isfinite(right) && wrong != right && !(is_flat && fabs(wrong * x) <= digits);
}

/* ---- Points ---------------------------------------------------------------------------------------------------- */

typedef struct tally {
    int64_t checks, calls, count[GR_CHECK_N_VERDICTS];
} tally;

static void add_report(tally *t, const gr_check_report *r, int64_t calls)
{
    t->checks++;
    t->calls += calls;
    t->count[r->verdict]++;
}

static void print_tally(const char *what, const tally *t)
{
    printf("| %s | %lld |", what, (long long)t->checks);
    for (int v = 0; v < GR_CHECK_NONDETERMINISTIC; v++) printf(" %lld |", (long long)t->count[v]);
    printf(" %.0f |\n", (double)t->calls / (double)(t->checks ? t->checks : 1));
}

static const char *const table_head = "checks | PASS | FAIL | KINK | UNRESOLVED | VACUOUS | calls of f |\n"
                                      "| --- | --- | --- | --- | --- | --- | --- | --- |\n";

/* A verdict that must not be. */
static bool is_bad(const trial *t, double x, gr_check_verdict v)
{
    if (v == GR_CHECK_NONDETERMINISTIC) return true;
    if (t->wrong != RIGHT) return v == GR_CHECK_PASS || v == GR_CHECK_VACUOUS || v == GR_CHECK_KINK;
    return v == GR_CHECK_FAIL || (v == GR_CHECK_VACUOUS && t->h->slope(x) != 0.0);
}

static void print_case(const trial *t, double x, const gr_check_report *r)
{
    const gr_check_element *e = &r->worst[0];
    printf("%s at %.17g, %s: %s, analytic %.9g, numeric %.9g +- %.2g, h %.2g, slopes %g and %g\n", t->h->name, x,
           wrongnesses[t->wrong].name, gr_check_verdict_name(r->verdict), e->analytic, e->numeric, e->error, e->step,
           e->left, e->right);
}

static int try_point(const hard *h, double x, bool is_float, tally *right, tally wrong[N_WRONGNESSES])
{
    int bad = 0;
    for (wrongness w = RIGHT; w < N_WRONGNESSES; w++) {
        if (w != RIGHT && !is_wrong(h, w, x)) continue;
        trial t = {h, w, 1.0, 1.0, 0};
        const gr_check_report r = check_trial(&t, x, is_float);
        add_report(&wrong[w], &r, t.calls);
        if (w == RIGHT) add_report(right, &r, t.calls);
        const bool is_bad_here = is_bad(&t, x, r.verdict);
        if (is_bad_here || (w == RIGHT && r.verdict == GR_CHECK_UNRESOLVED && getenv("GRADUS_VERBOSE")))
            print_case(&t, x, &r);
        bad += is_bad_here;
    }
    return bad;
}

static void hard_points(void **state)
{
    (void)state;
    tally by_wrongness[N_WRONGNESSES] = {{0}}, by_kind = {0};
    int bad = 0;
    printf("| right derivatives of kind | %s", table_head);
    for (size_t i = 0; i < COUNT(hards); i++) {
        const hard *h = &hards[i];
        for (int k = 0; k < h->n_points; k++)
            for (int is_float = 0; is_float <= h->is_float; is_float++)
                bad += try_point(h, h->at[k], is_float, &by_kind, by_wrongness);
        if (i + 1 < COUNT(hards) && !strcmp(h->kind, h[1].kind)) continue;
        print_tally(h->kind, &by_kind);
        by_kind = (tally){0};
    }
    printf("\n| derivative | %s", table_head);
    for (int w = 0; w < N_WRONGNESSES; w++) print_tally(wrongnesses[w].name, &by_wrongness[w]);
    const tally *right = &by_wrongness[RIGHT];
    printf("UNRESOLVED of right ones: %.1f %%\n",
           100.0 * (double)right->count[GR_CHECK_UNRESOLVED] / (double)right->checks);
    printf("%d bad verdicts\n", bad);
    assert_int_equal(bad, 0);
    assert_true(right->checks >= 120);
    assert_true(20 * right->count[GR_CHECK_UNRESOLVED] < right->checks);
}

/* An x of 1e-8 that is added to 1e9 or 1e12 within f is lost there: f as computed does not depend on it, and all steps
 * say so but those that are far longer than x. A right derivative does not FAIL for that. */
static void an_input_that_is_lost(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(hards); i++) {
        trial t = {&hards[i], RIGHT, 1.0, 1.0, 0};
        if (!strcmp(hards[i].name, "swallowed") || !strcmp(hards[i].name, "unix_time"))
            assert_int_equal(check_trial(&t, 1e-8, false).verdict, GR_CHECK_UNRESOLVED);
    }
}

/* ---- Units ------------------------------------------------------------------------------------------------------ */

/* Their values stay in range by any factor, and so do those of their derivatives. */
static const char *const scaled_functions[] = {
    "cubic",     "runge",           "error_function", "hill",       "bernoulli",  "circle",
    "tangent",   "diode",           "gelu",           "exp_less_1", "beside_1e7", "log_of_near_1",
    "kepler",    "ripple_1e4",      "atan_steep",     "absolute",   "larger",     "parabola",
    "bessel_j0", "relu_and_ripple", "clamped",        "geometric"};

static const hard *hard_of(const char *name)
{
    for (size_t i = 0; i < COUNT(hards); i++)
        if (!strcmp(hards[i].name, name)) return &hards[i];
    fail_msg("no function %s in hard_points.def", name);
    return NULL;
}

typedef struct changes {
    tally all[N_WRONGNESSES];
    int bad, changed;
    bool binary; /* units and factors are powers of 2, by which all rounding stays as it is */
} changes;

static double factor_of(int exponent, bool binary)
{
    return binary ? ldexp(1.0, (int)lround(exponent / 0.30102999566398120)) : pow(10.0, exponent);
}

/* value f(x / unit) for many of both, against f(x). */
static void try_units(const hard *h, double x, wrongness w, changes *c)
{
    trial plain = {h, w, 1.0, 1.0, 0};
    const gr_check_report as_is = check_trial(&plain, x, false);
    for (int k = -12; k <= 12; k++)
        for (int v = -200; v <= 200; v += 50) {
            trial t = {h, w, factor_of(k, c->binary), factor_of(v, c->binary), 0};
            const gr_check_report r = check_trial(&t, x, false);
            const bool bad = is_bad(&t, x, r.verdict), changed = r.verdict != as_is.verdict;
            add_report(&c->all[w], &r, t.calls);
            c->bad += bad;
            c->changed += changed;
            if (!(bad || (changed && c->binary)) || (c->bad + c->changed > 20 && !getenv("GRADUS_VERBOSE"))) continue;
            printf("%s, but with x in units of 1e%d and f times 1e%d%s: ", gr_check_verdict_name(as_is.verdict), k, v,
                   c->binary ? ", in powers of 2" : "");
            print_case(&t, x, &r);
        }
}

static changes try_all_units(bool binary)
{
    changes c = {.binary = binary};
    for (size_t i = 0; i < COUNT(scaled_functions); i++) {
        const hard *h = hard_of(scaled_functions[i]);
        for (wrongness w = RIGHT; w <= OFF_BY_1000TH; w++)
            for (int k = 0; k < h->n_points; k++)
                if (w == RIGHT || is_wrong(h, w, h->at[k])) try_units(h, h->at[k], w, &c);
    }
    printf("| in %s units | %s", binary ? "binary" : "decimal", table_head);
    for (int w = RIGHT; w <= OFF_BY_1000TH; w++) print_tally(wrongnesses[w].name, &c.all[w]);
    printf("%d bad verdicts, %d that change\n", c.bad, c.changed);
    return c;
}

/* Where rounding stays as it is, so does every verdict. */
static void binary_units_change_no_verdict(void **state)
{
    (void)state;
    const changes c = try_all_units(true);
    assert_int_equal(c.bad, 0);
    assert_int_equal(c.changed, 0);
}

/* Other units round x and f once more: a verdict on the border may come to UNRESOLVED or be so no longer. */
static void decimal_units_make_no_bad_verdict(void **state)
{
    (void)state;
    const changes c = try_all_units(false);
    int64_t checks = 0;
    for (int w = RIGHT; w <= OFF_BY_1000TH; w++) checks += c.all[w].checks;
    assert_int_equal(c.bad, 0);
    assert_true(100 * c.changed < checks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hard_points), cmocka_unit_test(an_input_that_is_lost),
                                       cmocka_unit_test(binary_units_change_no_verdict),
                                       cmocka_unit_test(decimal_units_make_no_bad_verdict)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
