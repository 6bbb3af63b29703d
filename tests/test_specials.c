/* test_specials.c: NaN, infinities, zeros of both signs, denormal and the largest numbers, in every op.
 *
 * An op of single elements is called with each combination of them, and gives what the same formula gives in long
 * double, or the limit that the table names; at every length from 1 to 33, at every place and on every processor level,
 * the bits are those of one element alone. Reductions have the special value at every place of every length. In the
 * samples of all other ops a special value is put into each place: the processor levels agree. */
#include <float.h>

#include "autograd/attr.h"
#include "losses/regions.h"
#include "op_samples.h"
#include "tensor/internal.h"

#define QNAN ((double)NAN)
#define INF ((double)INFINITY)

enum { LONGEST = 33, MOST_VALUES = 16, MOST_TRIPLES = MOST_VALUES * MOST_VALUES * MOST_VALUES };

/* DENORMAL and LARGEST stand for the dtype's smallest denormal and largest finite number. */
static const double DENORMAL = 4e-324, LARGEST = DBL_MAX;

static double of_dtype(gr_dtype dtype, double x)
{
    if (dtype == GR_F64) return x;
    if (fabs(x) == LARGEST) return copysign((double)FLT_MAX, x);
    return fabs(x) == DENORMAL ? copysign(0x1p-149, x) : x;
}

static bool same(double a, double b) { return isnan(a) ? isnan(b) : a == b && !signbit(a) == !signbit(b); }

/* The op with the kernels of one processor level on every level. */
static gr_op at_level(const gr_op *op, int level)
{
    gr_op copy = *op;
    for (int d = 0; d < GR_N_DTYPES; d++) {
        const gr_kernel own = op->forward[level][d], any = op->forward[GR_ANY_CPU][d];
        for (int c = 0; c < GR_N_CPUS; c++) copy.forward[c][d] = own ? own : any;
    }
    return copy;
}

/* ---- Single elements -------------------------------------------------------------------------------------------- */

typedef long double number;
#define NA ((number)NAN)

static number times(number w, number v) { return w * (w == 0 ? 0 : v); }
static number sigma(number x) { return x >= 0 ? 1 / (1 + expl(-x)) : expl(x) / (1 + expl(x)); }
static number plus(number x) { return isnan((double)x) ? x : (x > 0 ? x : 0) + log1pl(expl(-fabsl(x))); }
static number phi(number x) { return 0.5L * erfcl(-x * sqrtl(0.5L)); }
static number kept(number x, number in_place_of_number) { return x != x ? x : in_place_of_number; }

/* Of x, v and w, the op's inputs. */
typedef number (*formula)(number x, number v, number w);
#define F(name, value) \
    static number name(number x, number v, number w) { return (void)v, (void)w, value; }
F(f_add, x + v)
F(f_sub, x - v)
F(f_mul, x *v)
F(f_weighed, times(x, v))
F(f_div, x / v)
F(f_pow, powl(x, v))
F(f_min, x != x || v != v ? NA : x < v ? x : v)
F(f_max, x != x || v != v ? NA : x > v ? x : v)
F(f_wins, x > v ? 1 : x < v ? 0 : x == v ? 0.5L : NA)
F(f_greater, x > v)
F(f_equal, x == v)
F(f_where, x != 0 ? v : w)
F(f_corrected, v == w || (v != v && w != w) ? x : x + (v - w))
F(f_neg, -x)
F(f_scale, -2.5L * x)
F(f_shift, x - 2.5L)
F(f_cube, x *x *x)
F(f_square, x *x)
F(f_sqrt, sqrtl(x))
F(f_exp, expl(x))
F(f_expm1, expm1l(x))
F(f_log, logl(x))
F(f_log1p, log1pl(x))
F(f_abs, fabsl(x))
F(f_sign, x > 0 ? 1 : x < 0 ? -1 : kept(x, 0))
F(f_sin, sinl(x))
F(f_cos, cosl(x))
F(f_clamp, x<-1 ? -1 : x> 2 ? 2 : x)
F(f_inside, x >= -1 && x <= 2 ? 1 : kept(x, 0))
F(f_tanh, tanhl(x))
F(f_sigmoid, sigma(x))
F(f_sigmoid_grad, x *(v *(1 - v)))
F(f_log_sigmoid, -plus(-x))
F(f_softplus, plus(x))
F(f_relu, x > 0 ? x : kept(x, 0))
F(f_leaky, x > 0 ? x : 0.25L * x)
F(f_gate, kept(x, times(x > 0 ? 1.5L : 0, v)))
F(f_elu, x > 0 ? x : 0.5L * expm1l(x))
F(f_cdf, phi(x))
F(f_gelu, x < -1e4L ? -0.0L : x * phi(x))
F(f_silu, x < -1e5L ? -0.0L : x * sigma(x))
F(f_same, x)
F(f_ratio, x + v < 1e-37L ? 0.5L : x / (x + v))
F(f_l1, fabsl(x - v))
F(f_mse, (x - v) * (x - v))
F(f_zero_one, kept(x, (x > 0) != (v > 0.5L)))
F(f_hinge, kept(x, 1 - v * x > 0 ? 1 - v * x : 0))
F(f_bce, times(1 - v, plus(x)) + times(v, plus(-x)))
F(f_weighted, times(1 - v, plus(x)) + times(3 * v, plus(-x)))
F(f_balanced, times(0.75L * (1 - v), plus(x)) + times(0.25L * v, plus(-x)))
F(f_focal, times(0.25L * v * powl(sigma(-x), 2), plus(-x)) + times(0.75L * (1 - v) * powl(sigma(x), 2), plus(x)))
F(f_bce_p, kept(x, -times(v, logl(x)) - times(1 - v, log1pl(-x))))
F(f_huber, fabsl(x - v) > 2 ? 2 * (fabsl(x - v) - 1) : (x - v) * (x - v) / 2)
F(f_smooth, fabsl(x - v) > 2 ? fabsl(x - v) - 1 : (x - v) * (x - v) / 4)

typedef struct values {
    int n;
    double at[MOST_VALUES];
} values;
static const values any = {14,
                           {(double)NAN, (double)INFINITY, -(double)INFINITY, 0, -0.0, 4e-324, -4e-324, 0x1p-126,
                            DBL_MAX, -DBL_MAX, 1, -1.5, 40, -40}};
static const values few = {6, {(double)NAN, -(double)INFINITY, -0.0, 4e-324, DBL_MAX, 1}};
static const values numbers = {7, {(double)INFINITY, -(double)INFINITY, 0, 4e-324, -DBL_MAX, 1, -1.5}};
static const values shares = {5, {0, 4e-324, 0.25, 0.5, 1}};
static const values factors = {4, {0, 0.25, 0.5, 1}}; /* of which no product rounds to 0 */
static const values counts = {6, {0, 0.5, 3, 1e30, (double)INFINITY, (double)NAN}};
static const values labels = {2, {0, 1}};
static const values signs = {2, {-1, 1}};
static const values probabilities = {5, {(double)NAN, 0x1p-126, 0.25, 0.5, 0.75}}; /* test_loss_limits.c has 0 and 1 */

#define SCALARS(...) \
    &(const gr_scalars) { __VA_ARGS__ }
#define EACH(...) \
    &(const gr_loss_attr) { .reduction = GR_NONE, __VA_ARGS__ }
#define LOGITS .from_logits = true

static const struct element_op {
    const char *name;
    formula f;
    const values *in[3];
    const void *attr;
    double ulps;
} element_ops[] = {
    {"add", f_add, {&any, &any}, NULL, 1},
    {"sub", f_sub, {&any, &any}, NULL, 1},
    {"mul", f_mul, {&any, &any}, NULL, 1},
    {"weighed", f_weighed, {&any, &any}, NULL, 1},
    {"div", f_div, {&any, &any}, NULL, 1},
    {"pow", f_pow, {&any, &any}, NULL, 2},
    {"minimum", f_min, {&any, &any}, NULL, 0},
    {"maximum", f_max, {&any, &any}, NULL, 0},
    {"wins", f_wins, {&any, &any}, NULL, 0},
    {"greater", f_greater, {&any, &any}, NULL, 0},
    {"equal", f_equal, {&any, &any}, NULL, 0},
    {"where", f_where, {&few, &few, &few}, NULL, 0},
    {"corrected", f_corrected, {&few, &few, &few}, NULL, 2},
    {"neg", f_neg, {&any}, NULL, 0},
    {"scale", f_scale, {&any}, SCALARS(-2.5, 0), 1},
    {"shift", f_shift, {&any}, SCALARS(-2.5, 0), 1},
    {"pow_scalar", f_cube, {&any}, SCALARS(3, 0), 2},
    {"square", f_square, {&any}, NULL, 1},
    {"sqrt", f_sqrt, {&any}, NULL, 1},
    {"exp", f_exp, {&any}, NULL, 4},
    {"expm1", f_expm1, {&any}, NULL, 4},
    {"log", f_log, {&any}, NULL, 4},
    {"log1p", f_log1p, {&any}, NULL, 4},
    {"abs", f_abs, {&any}, NULL, 0},
    {"sign", f_sign, {&any}, NULL, 0},
    {"sin", f_sin, {&any}, NULL, 4},
    {"cos", f_cos, {&any}, NULL, 4},
    {"clamp", f_clamp, {&any}, SCALARS(-1, 2), 0},
    {"inside", f_inside, {&any}, SCALARS(-1, 2), 0},
    {"tanh", f_tanh, {&any}, NULL, 4},
    {"sigmoid", f_sigmoid, {&any}, NULL, 4},
    {"sigmoid_grad", f_sigmoid_grad, {&any, &shares}, NULL, 2},
    {"log_sigmoid", f_log_sigmoid, {&any}, NULL, 4},
    {"softplus", f_softplus, {&any}, NULL, 4},
    {"relu", f_relu, {&any}, NULL, 0},
    {"leaky_relu", f_leaky, {&any}, SCALARS(0.25, 0), 1},
    {"gate", f_gate, {&any, &any}, SCALARS(1.5, 0), 1},
    {"elu", f_elu, {&any}, SCALARS(0.5, 0), 4},
    {"normal_cdf", f_cdf, {&any}, NULL, 16},
    {"gelu", f_gelu, {&any}, NULL, 16},
    {"silu", f_silu, {&any}, NULL, 4},
    {"detach", f_same, {&any}, NULL, 0},
    {"ratio", f_ratio, {&counts, &counts}, SCALARS(0.5, 0), 2},
    {"l1", f_l1, {&any, &numbers}, EACH(0), 1},
    {"mse", f_mse, {&any, &numbers}, EACH(0), 2},
    {"zero_one", f_zero_one, {&any, &labels}, EACH(LOGITS), 0},
    {"hinge", f_hinge, {&any, &signs}, EACH(0), 1},
    {"bce", f_bce, {&any, &shares}, EACH(LOGITS), 4},
    {"bce", f_bce_p, {&probabilities, &shares}, EACH(0), 4},
    {"weighted_bce", f_weighted, {&any, &factors}, EACH(LOGITS, .beta = 3), 4},
    {"balanced_bce",
     f_balanced,
     {&any, &factors},
     &(const gr_balanced_attr){.loss = {.reduction = GR_NONE, LOGITS, .beta = 0.25}, .region = GR_WHOLE, .fixed = true},
     4},
    {"focal", f_focal, {&any, &factors}, EACH(LOGITS, .alpha = 0.25, .gamma = 2), 16},
    {"huber", f_huber, {&any, &numbers}, EACH(.delta = 2), 4},
    {"smooth_l1", f_smooth, {&any, &numbers}, EACH(.delta = 2), 4},
};

static const gr_op *op_called(const char *name)
{
    for (int i = 0; gr_op_at(i); i++)
        if (!strcmp(gr_op_at(i)->name, name)) return gr_op_at(i);
    fail_msg("no op is called %s", name);
    return NULL;
}

static int inputs_of_element_op(const struct element_op *e) { return e->in[2] ? 3 : e->in[1] ? 2 : 1; }

/* Combination c of the values of the inputs. */
static double value_of(const struct element_op *e, int input, int64_t c)
{
    for (int i = 0; i < input; i++) c /= e->in[i]->n;
    return e->in[input]->at[c % e->in[input]->n];
}

static int64_t combinations(const struct element_op *e)
{
    int64_t n = 1;
    for (int i = 0; i < inputs_of_element_op(e); i++) n *= e->in[i]->n;
    return n;
}

/* y [n] of the combinations from `first` on. */
static void run_elements(gr_tape *t, const struct element_op *e, const gr_op *op, gr_dtype dtype, int64_t first,
                         int64_t n, double y[])
{
    gr_tensor *x[3];
    const int n_in = inputs_of_element_op(e);
    for (int i = 0; i < n_in; i++) {
        x[i] = gr_zeros(dtype, GR_SHAPE(n));
        for (int64_t k = 0; k < n; k++) {
            const double v = value_of(e, i, (first + k) % combinations(e));
            assert_int_equal(gr_set(x[i], k, of_dtype(dtype, v)), GR_OK);
        }
    }
    gr_tensor *out = gr_apply(t, op, x, n_in, e->attr);
    if (!out) fail_msg("%s: %s", e->name, gr_last_error());
    assert_int_equal(gr_size(out), n);
    for (int64_t k = 0; k < n; k++) y[k] = gr_get(out, k);
    for (int i = 0; i < n_in; i++) gr_tensor_free(x[i]);
    gr_tape_reset(t);
}

/* Units in the last place between y and what the formula gives; infinite where one is no number or infinite. */
static double ulps_between(gr_dtype dtype, double y, number expected, bool signed_zeros)
{
    const double rounded = dtype == GR_F32 ? (double)(float)expected : (double)expected;
    if (isnan(y) || isnan(rounded)) return isnan(y) && isnan(rounded) ? 0 : INF;
    if (isinf(y) || isinf(rounded)) return y == rounded ? 0 : INF;
    if (rounded == 0 && y == 0) return !signed_zeros || !signbit(rounded) == !signbit(y) ? 0 : INF;
    const double size = fmax(fabs(rounded), dtype == GR_F32 ? (double)FLT_MIN : DBL_MIN);
    const double ulp = ldexp(1, ilogb(size) - (dtype == GR_F32 ? 23 : 52));
    return (double)(fabsl((number)y - expected) / (number)ulp);
}

static void check_alone(const struct element_op *e, gr_dtype dtype, int level, int64_t c, double y)
{
    number x[3] = {0};
    for (int i = 0; i < inputs_of_element_op(e); i++) x[i] = (number)of_dtype(dtype, value_of(e, i, c));
    const number expected = e->f(x[0], x[1], x[2]);
    const bool loss = op_called(e->name)->attr_size >= sizeof(gr_loss_attr); /* whose 0 may have either sign */
    if (!(ulps_between(dtype, y, expected, !loss) <= e->ulps))
        fail_msg("%s(%Lg, %Lg, %Lg) in %s on level %d is %.17g, expected %.17Lg", e->name, x[0], x[1], x[2],
                 gr_dtype_name(dtype), level, y, expected);
}

static void check_elements(gr_tape *t, const struct element_op *e, gr_dtype dtype, int level)
{
    static double alone[MOST_TRIPLES];
    const gr_op *original = op_called(e->name), op = at_level(original, level);
    const int64_t all = combinations(e);
    for (int64_t c = 0; c < all; c++) {
        run_elements(t, e, &op, dtype, c, 1, &alone[c]);
        check_alone(e, dtype, level, c, alone[c]);
    }
    for (int64_t n = 2; n <= LONGEST; n++)
        for (int64_t first = 0; first < all; first++) {
            double y[LONGEST];
            run_elements(t, e, &op, dtype, first, n, y);
            for (int64_t k = 0; k < n; k++)
                if (!same(y[k], alone[(first + k) % all]))
                    fail_msg("%s in %s on level %d: [%lld] of %lld is %a, alone it is %a", e->name,
                             gr_dtype_name(dtype), level, (long long)k, (long long)n, y[k], alone[(first + k) % all]);
        }
}

static void elements_are_what_they_are_anywhere(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    for (size_t i = 0; i < sizeof element_ops / sizeof *element_ops; i++)
        for (int level = 0; level <= (int)gr_cpu_level(); level++)
            for (int d = 0; d < 2; d++) check_elements(t, &element_ops[i], d ? GR_F64 : GR_F32, level);
    gr_tape_free(t);
}

/* ---- Reductions: n numbers, one of which is special ------------------------------------------------------------- */

typedef number (*of_row)(int64_t n, const double x[]);

static number row_sum(int64_t n, const double x[])
{
    number sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (number)x[i];
    return sum;
}

static number row_mean(int64_t n, const double x[]) { return row_sum(n, x) / (number)n; }

static number row_max(int64_t n, const double x[])
{
    number best = (number)x[0];
    for (int64_t i = 0; i < n; i++) best = x[i] != x[i] || best != best ? NA : fmaxl(best, (number)x[i]);
    return best;
}

static number row_min(int64_t n, const double x[])
{
    number best = (number)x[0];
    for (int64_t i = 0; i < n; i++) best = x[i] != x[i] || best != best ? NA : fminl(best, (number)x[i]);
    return best;
}

static number row_logsumexp(int64_t n, const double x[])
{
    const number m = row_max(n, x);
    number sum = 0;
    if (isnan((double)m) || isinf((double)m)) return m;
    for (int64_t i = 0; i < n; i++) sum += expl((number)x[i] - m);
    return m + logl(sum);
}

static const struct reduction {
    const char *name;
    of_row f;
} reductions[] = {
    {"sum", row_sum}, {"mean", row_mean}, {"max", row_max}, {"min", row_min}, {"logsumexp", row_logsumexp}};

/* Equal, or apart by what rounding leaves of the largest of the numbers. */
static bool is_near(double y, number expected, gr_dtype dtype, int64_t n, const double x[])
{
    const double rounded = dtype == GR_F32 ? (double)(float)expected : (double)expected;
    double size = 1;
    if (!isfinite(y) || !isfinite(rounded)) return isnan(y) ? isnan(rounded) : y == rounded;
    for (int64_t i = 0; i < n; i++) size = fmax(size, fabs(x[i]));
    return fabs(y - rounded) / size <= (double)n * (dtype == GR_F32 ? 0x1p-22 : 0x1p-50);
}

/* Of three equal rows [3,n], of columns [n,3], and of all of [n]. */
static void check_reduction(gr_tape *t, const struct reduction *r, const gr_op *op, gr_dtype dtype, int64_t n,
                            const double x[])
{
    for (int form = 0; form < 3; form++) {
        const int64_t copies = form == 2 ? 1 : 3;
        gr_tensor *in = form == 2   ? gr_zeros(dtype, GR_SHAPE(n))
                        : form == 1 ? gr_zeros(dtype, GR_SHAPE(n, 3))
                                    : gr_zeros(dtype, GR_SHAPE(3, n));
        for (int64_t i = 0; i < n * copies; i++)
            assert_int_equal(gr_set(in, i, form == 1 ? x[i / 3] : x[i % n]), GR_OK);
        gr_tensor *y = gr_apply(t, op, &in, 1, &(gr_reduce_attr){.n_axes = 1, .axes = {form == 0 ? 1 : 0}});
        assert_non_null(y);
        for (int64_t k = 0; k < copies; k++)
            if (!is_near(gr_get(y, k), r->f(n, x), dtype, n, x))
                fail_msg("%s of %lld in %s, form %d, is %.9g, expected %.9Lg", r->name, (long long)n,
                         gr_dtype_name(dtype), form, gr_get(y, k), r->f(n, x));
        gr_tensor_free(in);
        gr_tape_reset(t);
    }
}

static void reductions_see_every_place(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    for (size_t i = 0; i < sizeof reductions / sizeof *reductions; i++)
        for (int level = 0; level <= (int)gr_cpu_level(); level++)
            for (int d = 0; d < 2; d++)
                for (int64_t n = 1; n <= LONGEST; n++)
                    for (int64_t at = 0; at < n; at++)
                        for (int v = 0; v < any.n; v++) {
                            const gr_op op = at_level(op_called(reductions[i].name), level);
                            double x[LONGEST];
                            for (int64_t k = 0; k < n; k++) x[k] = 0.25 * (double)(k % 7) - 0.5;
                            x[at] = of_dtype(d ? GR_F64 : GR_F32, any.at[v]);
                            check_reduction(t, &reductions[i], &op, d ? GR_F64 : GR_F32, n, x);
                        }
    gr_tape_free(t);
}

/* ---- All ops: the levels agree ---------------------------------------------------------------------------------- */

/* The results of a sample in which element `at` of input j is v, or none where the op refuses it; returns how many. */
static int64_t run_sample(gr_tape *t, const call *c, const gr_op *op, gr_dtype dtype, int j, int64_t at, double v,
                          double y[], int64_t most)
{
    gr_tensor *x[MAX_INPUTS];
    make_inputs(c->op, c->s, dtype, x, 9);
    assert_int_equal(gr_set(x[j], at, v), GR_OK);
    gr_tensor *out = gr_apply(t, op, x, inputs_of(c->op, c->s), c->s->attr);
    const int64_t n = out ? gr_lesser(gr_size(out), most) : -1;
    for (int64_t k = 0; k < n; k++) y[k] = gr_get(out, k);
    free_inputs(x, inputs_of(c->op, c->s));
    gr_tape_reset(t);
    return n;
}

/* A norm multiplies an infinite gamma by what is 0 but for rounding, and by its opposite: of that, infinity or NaN. */
static bool levels_agree(const call *c, double a, double b, gr_dtype dtype)
{
    if (isfinite(a) || isfinite(b)) return close_to(a, b, dtype == GR_F32 ? 2e-5 : 1e-12);
    return same(a, b) || strstr(c->op->name, "norm");
}

static void try_levels(gr_tape *t, const call *c, gr_dtype dtype, int j, int64_t at, double v)
{
    enum { MOST = 1024 };
    static double y[2][MOST];
    const gr_op lowest = at_level(c->op, GR_ANY_CPU);
    const int64_t n = run_sample(t, c, &lowest, dtype, j, at, v, y[0], MOST);
    for (int level = 1; level <= (int)gr_cpu_level(); level++) {
        const gr_op op = at_level(c->op, level);
        assert_int_equal(run_sample(t, c, &op, dtype, j, at, v, y[1], MOST), n);
        for (int64_t k = 0; k < n; k++)
            if (!levels_agree(c, y[0][k], y[1][k], dtype))
                fail_msg("%s, %s, with %g at %lld of input %d, in %s: result %lld is %g, on level %d %g", c->op->name,
                         c->s->what, v, (long long)at, j, gr_dtype_name(dtype), (long long)k, y[0][k], level, y[1][k]);
    }
}

static void levels_agree_on_every_op(void **state)
{
    (void)state;
    static const double special[] = {(double)NAN, (double)INFINITY, -(double)INFINITY, -0.0, 4e-324};
    gr_tape *t = gr_tape_new();
    for (int i = 0; gr_op_at(i); i++)
        for (int k = 0; k < samples_of(gr_op_at(i)).count; k++) {
            const call c = {gr_op_at(i), &samples_of(gr_op_at(i)).at[k]};
            for (int j = 0; j < inputs_of(c.op, c.s) && !c.s->refused; j++) {
                int64_t size = c.s->in[j].integer ? 0 : 1;
                for (int a = 0; a < c.s->in[j].rank; a++) size *= c.s->in[j].shape[a];
                for (int64_t at = 0; at < size && at < LONGEST; at++)
                    for (int v = 0; v < 10; v++)
                        try_levels(t, &c, v % 2 ? GR_F64 : GR_F32, j, at,
                                   of_dtype(v % 2 ? GR_F64 : GR_F32, special[v / 2]));
            }
        }
    gr_tape_free(t);
}

/* An op whose result has the shape of its inputs, whatever that is, is one of single elements: it has a row above. */
static void no_op_is_forgotten(void **state)
{
    (void)state;
    static const char *const of_several[] = {"softmax",      "log_softmax", "dropout", "reshape",   "permute",
                                             "broadcast_to", "concat",      "cast",    "layer_norm"};
    gr_tape *t = gr_tape_new();
    int forgotten = 0;
    for (int i = 0; gr_op_at(i); i++) {
        const gr_op *op = gr_op_at(i);
        bool listed = false;
        for (size_t k = 0; k < sizeof element_ops / sizeof *element_ops; k++)
            listed |= !strcmp(op->name, element_ops[k].name);
        for (size_t k = 0; k < sizeof of_several / sizeof *of_several; k++) listed |= !strcmp(op->name, of_several[k]);
        for (int k = 0; k < samples_of(op).count && !listed; k++) {
            const sample *s = &samples_of(op).at[k];
            gr_tensor *x[MAX_INPUTS];
            if (s->refused) continue;
            for (int j = 0; j < inputs_of(op, s); j++) x[j] = gr_full(GR_F32, GR_SHAPE(7), 0.5);
            gr_tensor *y = gr_apply(t, op, x, inputs_of(op, s), s->attr);
            if (y && gr_rank(y) == 1 && gr_shape(y)[0] == 7) print_error("%s is not tested\n", op->name), forgotten++;
            free_inputs(x, inputs_of(op, s));
        }
    }
    gr_tape_free(t);
    assert_int_equal(forgotten, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_op_is_forgotten),
        cmocka_unit_test(elements_are_what_they_are_anywhere),
        cmocka_unit_test(reductions_see_every_place),
        cmocka_unit_test(levels_agree_on_every_op),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
