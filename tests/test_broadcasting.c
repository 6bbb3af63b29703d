/* test_broadcasting.c: shapes that stretch. The library merges axes and walks rows; here every element is found by the
 * rule itself, one odometer over all axes, and the gradient of what was stretched by adding up wherever it went. */
#include "helpers.h"

typedef struct shape {
    int rank;
    int64_t n[GR_MAX_RANK];
} shape;

#define S(...)                                                                     \
    {                                                                              \
        (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), { __VA_ARGS__ } \
    }
#define SCALAR   \
    {            \
        0, { 0 } \
    }

/* Three shapes that broadcast together; the third is the condition of `where`. */
static const struct triple {
    shape a, b, c;
} triples[] = {
    /* nothing to stretch */
    {SCALAR, SCALAR, SCALAR},
    {S(1), S(1), S(1)},
    {S(7), S(7), S(7)},
    {S(3, 5), S(3, 5), S(3, 5)},
    {S(2, 3, 4, 5), S(2, 3, 4, 5), S(2, 3, 4, 5)},
    {S(2, 1, 2, 1, 2, 1, 2, 3), S(2, 1, 2, 1, 2, 1, 2, 3), S(2, 1, 2, 1, 2, 1, 2, 3)},
    /* a rank of its own */
    {S(6), SCALAR, S(6)},
    {SCALAR, S(6), SCALAR},
    {S(1), SCALAR, SCALAR},
    {S(3, 4), S(4), S(4)},
    {S(4), S(3, 4), SCALAR},
    {S(3, 4), SCALAR, S(3, 1)},
    {S(2, 3, 4), S(3, 4), S(4)},
    {S(4), S(2, 3, 4), S(3, 4)},
    {S(2, 3, 4, 5), S(5), S(3, 1, 5)},
    {S(2, 2, 2, 2, 2, 2, 2, 2), SCALAR, S(2)},
    {S(2), S(2, 2, 2, 2, 2, 2, 2, 2), S(2, 2, 2, 2)},
    {S(1, 1, 1, 1, 1, 1, 1, 1), SCALAR, S(1)},
    {S(5), S(1, 1, 1, 1, 1, 1, 1, 1), S(1, 1)},
    /* an axis of 1: first, in the middle, last, several, alternating, on both sides */
    {S(1, 5), S(3, 5), S(3, 5)},
    {S(3, 1), S(3, 5), S(1, 5)},
    {S(1, 1), S(3, 5), S(1, 1)},
    {S(3, 1), S(1, 5), S(3, 5)},
    {S(1, 5), S(3, 1), SCALAR},
    {S(3, 1), S(5), S(1)},
    {S(1, 3, 4), S(2, 3, 4), S(2, 1, 1)},
    {S(2, 1, 4), S(2, 3, 4), S(1, 3, 1)},
    {S(2, 3, 1), S(2, 3, 4), S(1, 1, 4)},
    {S(1, 1, 4), S(2, 3, 4), S(2, 3, 1)},
    {S(1, 3, 1), S(2, 3, 4), S(2, 1, 4)},
    {S(2, 1, 1), S(2, 3, 4), S(1, 3, 4)},
    {S(2, 1, 4), S(1, 3, 1), S(2, 3, 4)},
    {S(2, 3, 1), S(1, 1, 4), S(3, 1)},
    {S(1, 3, 4), S(2, 1, 1), S(4)},
    {S(1, 3, 1, 5), S(2, 1, 4, 1), S(4, 5)},
    {S(2, 1, 4, 1), S(2, 3, 4, 5), S(3, 1, 1)},
    {S(2, 3, 1, 1), S(1, 1, 4, 5), S(1, 3, 4, 1)},
    {S(8, 3, 2, 2), S(3, 1, 1), S(8, 1, 1, 1)}, /* channels of images */
    {S(2, 1, 3, 1, 2, 1, 2, 1), S(1, 2, 1, 2, 1, 3, 1, 2), S(2, 1, 1, 1)},
    {S(1, 2, 1, 2, 1, 2, 1, 2), S(2, 1, 1, 2, 1, 1, 2, 2), S(1, 1, 3, 1, 1, 1, 1, 1)},
    {S(2, 2, 2, 2, 2, 2, 2, 1), S(2, 1, 1, 1, 1, 1, 1, 2), S(1, 2, 2, 2, 2, 2, 2, 1)},
    {S(1, 1, 1, 1, 1, 1, 1, 3), S(3, 1, 1, 1, 1, 1, 1, 1), S(1, 1, 3, 1, 1)},
    {S(1, 1, 4, 1, 1), S(3, 1, 1, 1, 2), S(1, 1, 1)},
    /* nothing in it */
    {S(0), S(0), S(0)},
    {S(0), S(1), SCALAR},
    {S(1), S(0), S(1)},
    {SCALAR, S(0), S(0)},
    {S(3, 0), S(3, 1), S(0)},
    {S(3, 1), S(1, 0), S(3, 0)},
    {S(0, 4), S(4), S(1, 4)},
    {S(1, 4), S(0, 4), S(4)},
    {S(2, 0, 3), S(1, 1, 3), S(2, 1, 1)},
    {S(0, 1, 0), S(1, 5, 1), SCALAR},
    {S(1, 1, 1, 1, 1, 1, 1, 0), S(2, 2, 2, 2, 2, 2, 2, 1), S(1)},
    /* more than one span of the threads, which begins within a row */
    {S(70, 1, 50), S(9, 1), S(50)},
    {S(50), S(700, 50), S(700, 1)},
    {S(700, 1), S(1, 50), SCALAR},
    {S(20000), S(1), S(20000)},
    {S(3, 20011), S(3, 1), S(20011)},
};
enum { N_TRIPLES = (int)(sizeof triples / sizeof *triples) };

/* ---- The rule ----------------------------------------------------------------------------------------------- */

static int64_t size_of(const shape *s)
{
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++) n *= s->n[i];
    return n;
}

/* The extent of `axis` when s has been given leading axes of 1 up to `rank`. */
static int64_t extent(const shape *s, int rank, int axis)
{
    int own = axis - (rank - s->rank);
    return own < 0 ? 1 : s->n[own];
}

static shape stretched(const shape *a, const shape *b)
{
    shape s = {a->rank > b->rank ? a->rank : b->rank, {0}};
    for (int i = 0; i < s.rank; i++) {
        int64_t m = extent(a, s.rank, i), n = extent(b, s.rank, i);
        assert_true(m == n || m == 1 || n == 1);
        s.n[i] = m == 1 ? n : m;
    }
    return s;
}

/* Steps through a shape, the last axis fastest. */
static void advance(const shape *s, int64_t at[])
{
    for (int i = s->rank - 1; i >= 0; i--) {
        if (++at[i] < s->n[i]) return;
        at[i] = 0;
    }
}

/* Where an element of the stretched shape comes from in s. */
static int64_t source(const shape *s, const shape *out, const int64_t at[])
{
    int64_t offset = 0;
    for (int i = 0; i < out->rank; i++) {
        int64_t n = extent(s, out->rank, i);
        offset = offset * n + (n == 1 ? 0 : at[i]);
    }
    return offset;
}

/* ---- The ops ------------------------------------------------------------------------------------------------ */

static gr_tensor *run_add(gr_tape *t, gr_tensor *const x[]) { return gr_add(t, x[0], x[1]); }

static gr_tensor *run_mul(gr_tape *t, gr_tensor *const x[]) { return gr_mul(t, x[0], x[1]); }

static gr_tensor *run_where(gr_tape *t, gr_tensor *const x[]) { return gr_where(t, x[2], x[0], x[1]); }

/* y, dy/da and dy/db of an element. */
typedef struct element {
    double y, da, db;
} element;

static element add_at(double a, double b, double c)
{
    (void)c;
    return (element){a + b, 1, 1};
}

static element mul_at(double a, double b, double c)
{
    (void)c;
    return (element){a * b, b, a};
}

static element where_at(double a, double b, double c) { return c != 0 ? (element){a, 1, 0} : (element){b, 0, 1}; }

static const struct op {
    const char *name;
    int n_in;
    gr_tensor *(*run)(gr_tape *t, gr_tensor *const x[]);
    element (*at)(double a, double b, double c);
} ops[] = {{"add", 2, run_add, add_at}, {"mul", 2, run_mul, mul_at}, {"where", 3, run_where, where_at}};
enum { N_OPS = (int)(sizeof ops / sizeof *ops) };

/* ---- The comparison ----------------------------------------------------------------------------------------- */

static gr_tensor *filled(gr_dtype dtype, const shape *s, gr_rng *rng, bool bits)
{
    gr_tensor *x = gr_zeros(dtype, s->rank, s->n);
    assert_non_null(x);
    for (int64_t i = 0; i < gr_size(x); i++) {
        double v = bits ? (double)(gr_rng_below(rng, 3) - 1) : -2 + 4 * gr_rng_uniform(rng);
        assert_int_equal(gr_set(x, i, dtype == GR_F32 ? (double)(float)v : v), GR_OK);
    }
    return x;
}

static void assert_shape(const char *what, const gr_tensor *x, const shape *s)
{
    assert_non_null(x);
    bool same = gr_rank(x) == s->rank && gr_size(x) == size_of(s);
    for (int i = 0; same && i < s->rank; i++) same = gr_shape(x)[i] == s->n[i];
    if (!same) fail_msg("%s: a result of another shape", what);
}

/* Sums may differ by the order in which terms are added: by an epsilon for each, relative to their size. */
static void assert_sums(const char *what, int row, const gr_tensor *x, const double sum[], const double size[],
                        double epsilon)
{
    for (int64_t i = 0; i < gr_size(x); i++)
        if (!(fabs(gr_get(x, i) - sum[i]) <= epsilon * size[i]))
            fail_msg("%s of row %d at %lld: %.17g, expected %.17g", what, row, (long long)i, gr_get(x, i), sum[i]);
}

static double *zeros(int64_t n)
{
    double *x = calloc((size_t)n + 1, sizeof *x);
    assert_non_null(x);
    return x;
}

/* What is expected of the gradients: sum[i], and size[i], the sum of the sizes of its terms. */
typedef struct gradients {
    double *sum[2], *size[2];
} gradients;

static gradients new_gradients(const shape *const in[])
{
    gradients g;
    for (int i = 0; i < 2; i++) {
        g.sum[i] = zeros(size_of(in[i]));
        g.size[i] = zeros(size_of(in[i]));
    }
    return g;
}

static void free_gradients(gradients *g)
{
    for (int i = 0; i < 2; i++) {
        free(g->sum[i]);
        free(g->size[i]);
    }
}

/* Walks the result: checks each value, and adds each element's share to the expected gradients. */
static void walk(const struct op *op, int row, const shape *const in[], gr_tensor *const x[], const gr_tensor *y,
                 const gr_tensor *g, gradients *expected)
{
    shape out = stretched(in[0], in[1]);
    if (op->n_in == 3) out = stretched(&out, in[2]);
    assert_shape(op->name, y, &out);
    const double epsilon = gr_dtype_of(y) == GR_F32 ? 0x1p-24 : 0x1p-53;
    int64_t at[GR_MAX_RANK] = {0};
    for (int64_t k = 0; k < size_of(&out); k++, advance(&out, at)) {
        const int64_t i = source(in[0], &out, at), j = source(in[1], &out, at),
                      m = op->n_in == 3 ? source(in[2], &out, at) : 0;
        const element e = op->at(gr_get(x[0], i), gr_get(x[1], j), op->n_in == 3 ? gr_get(x[2], m) : 0);
        if (!(fabs(gr_get(y, k) - e.y) <= epsilon * fabs(e.y)))
            fail_msg("%s, row %d, at %lld: %.17g, expected %.17g", op->name, row, (long long)k, gr_get(y, k), e.y);
        const double share[2] = {gr_get(g, k) * e.da, gr_get(g, k) * e.db};
        const int64_t place[2] = {i, j};
        for (int side = 0; side < 2; side++) {
            expected->sum[side][place[side]] += share[side];
            expected->size[side][place[side]] += fabs(share[side]);
        }
    }
}

static void check(const struct op *op, int row, gr_dtype dtype)
{
    const shape *const in[3] = {&triples[row].a, &triples[row].b, &triples[row].c};
    gr_rng rng = gr_rng_seed((uint64_t)row + 1);
    gr_tape *t = gr_tape_new();
    gr_tensor *x[3], *d[2];
    for (int i = 0; i < 3; i++) x[i] = filled(dtype, in[i], &rng, i == 2);
    for (int i = 0; i < 2; i++) assert_int_equal(gr_require_grad(x[i]), GR_OK);
    gr_tensor *y = op->run(t, x);
    if (!y) fail_msg("%s, row %d: %s", op->name, row, gr_last_error());
    gr_tensor *g = pattern(t, y, 0.7);
    assert_int_equal(gr_vjp(t, y, g, x, 2, d, GR_RETAIN), GR_OK);
    gradients expected = new_gradients(in);
    walk(op, row, in, x, y, g, &expected);
    for (int i = 0; i < 2; i++) {
        const double terms = (double)gr_size(y) / (double)(gr_size(x[i]) > 0 ? gr_size(x[i]) : 1);
        assert_shape(op->name, d[i], in[i]);
        assert_sums(op->name, row, d[i], expected.sum[i], expected.size[i],
                    (4 + sqrt(terms)) * (dtype == GR_F32 ? 0x1p-23 : 0x1p-52));
    }
    free_gradients(&expected);
    gr_tape_free(t);
    for (int i = 0; i < 3; i++) gr_tensor_free(x[i]);
}

static void values_and_gradients(void **state)
{
    (void)state;
    for (int row = 0; row < N_TRIPLES; row++)
        for (int k = 0; k < N_OPS; k++) {
            check(&ops[k], row, GR_F32);
            check(&ops[k], row, GR_F64);
        }
    assert_true(N_TRIPLES >= 40);
}

/* The same tensor on both sides: its two gradients meet. */
static void with_itself(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    gr_tensor *x = gr_from(GR_F64, GR_SHAPE(3, 1), (double[]){1, 2, 4}), *d;
    assert_int_equal(gr_require_grad(x), GR_OK);
    gr_tensor *y = gr_mul(t, x, gr_reshape(t, x, GR_SHAPE(1, 3))); /* x_i x_j */
    assert_int_equal(gr_grad(t, gr_sum(t, y, GR_ALL_AXES, false), &x, 1, &d, 0), GR_OK);
    for (int i = 0; i < 3; i++) assert_true(gr_get(d, i) == 2 * 7);
    gr_tape_free(t);
    gr_tensor_free(x);
}

/* ---- What does not broadcast -------------------------------------------------------------------------------- */

static const struct pair {
    shape a, b;
} misfits[] = {
    {S(2), S(3)},          {S(0), S(2)},
    {S(2), S(0)},          {S(3, 4), S(3)},
    {S(3, 4), S(4, 3)},    {S(2, 3), S(2, 3, 4)},
    {S(2, 3, 4), S(2, 4)}, {S(2, 1, 4), S(3, 3)},
    {S(3, 2), S(0, 1, 3)}, {S(2, 2, 2, 2, 2, 2, 2, 2), S(3)},
};

static void misfits_are_refused(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    gr_rng rng = gr_rng_seed(1);
    for (size_t i = 0; i < sizeof misfits / sizeof *misfits; i++)
        for (int k = 0; k < 2 * N_OPS; k++) {
            const shape *a = k % 2 ? &misfits[i].b : &misfits[i].a, *b = k % 2 ? &misfits[i].a : &misfits[i].b;
            gr_tensor *x[3] = {filled(GR_F64, a, &rng, false), filled(GR_F64, b, &rng, false),
                               filled(GR_F64, a, &rng, true)};
            gr_clear_error();
            assert_null(ops[k / 2].run(t, x));
            assert_int_equal(gr_last_status(), GR_ERR_SHAPE);
            if (!strstr(gr_last_error(), ops[k / 2].name) || !strstr(gr_last_error(), "do not broadcast"))
                fail_msg("%s, row %d: \"%s\"", ops[k / 2].name, (int)i, gr_last_error());
            for (int j = 0; j < 3; j++) gr_tensor_free(x[j]);
        }
    gr_tape_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_gradients),
        cmocka_unit_test(with_itself),
        cmocka_unit_test(misfits_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
