/* test_mutant_kinds.c: kinds of mistakes against ways of checking. Each mutant, a derivative with one mistake, has a
 * right twin, the same function without it. Each kind says which ways see it, and is tried in all of them; no right
 * twin may FAIL. The table that comes of it stands in docs/gradient_checking.md. */
#include "plain_kit.h"

#include <gradus/gradus.h>

#include "autograd/op_kit.h"
#include "check/check_internal.h"

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

/* ---- Slips: element k of a derivative becomes the value times element *from -------------------------------------- */

enum { ROWS = 6, COLUMNS = 4, SIZE = ROWS * COLUMNS };

typedef double (*slip)(int k, int *from);

#define SLIP(name, ...) \
    static double name(int k, int *from) { return (void)k, (void)from, (__VA_ARGS__); }

SLIP(other_sign, -1.0)
SLIP(twice, 2.0)
SLIP(by_a_thousandth, 1.0 + 1e-3)
SLIP(by_a_millionth, 1.0 + 1e-6)
SLIP(by_1e_8, 1.0 + 1e-8)
SLIP(mean_for_sum, 1.0 / SIZE)
SLIP(zero, 0.0)
SLIP(no_last_row, k < SIZE - COLUMNS)
SLIP(last_row_alone, k >= SIZE - COLUMNS)
SLIP(first_row_alone, k < COLUMNS)
SLIP(mean_of_rows, 1.0 / ROWS)
SLIP(no_second_column, k % COLUMNS != 1)
SLIP(third_by_a_half, k % 3 ? 1.0 : 1.5)
SLIP(last_column_by_a_tenth, k % COLUMNS == COLUMNS - 1 ? 1.1 : 1.0)
SLIP(transposed, *from = k % ROWS * COLUMNS + k / ROWS, 1.0)
SLIP(shifted, *from = (k + 1) % SIZE, 1.0)
SLIP(reversed, *from = SIZE - 1 - k, 1.0)

/* Two elements that are not among the 16 samples of 24. */
enum { HIDDEN = 5, HIDDEN_TOO = 10 };
SLIP(one_missing, k != HIDDEN)
SLIP(one_twice, k == HIDDEN ? 2.0 : 1.0)
SLIP(one_by_1e_4, k == HIDDEN ? 1.0 + 1e-4 : 1.0)
SLIP(two_swapped, *from = k == HIDDEN ? HIDDEN_TOO : k == HIDDEN_TOO ? HIDDEN : k, 1.0)
SLIP(one_nan, k == HIDDEN ? (double)NAN : 1.0)
SLIP(one_infinite, k == HIDDEN ? (double)INFINITY : 1.0)

#define MANY                                                                                               \
    other_sign, twice, by_a_thousandth, by_a_millionth, mean_for_sum, zero, no_last_row, no_second_column, \
        third_by_a_half, last_column_by_a_tenth, transposed, shifted, reversed
#define OF_FLOAT other_sign, twice, zero, no_last_row, third_by_a_half, transposed, shifted
#define FEW one_missing, one_twice, one_by_1e_4, two_swapped

/* ---- An op with a mistake: y = h(x) ------------------------------------------------------------------------------ */

typedef gr_tensor *(*alteration)(gr_tape *t, const gr_node *n, gr_tensor *g, gr_tensor *d);

typedef struct mutant {
    int host;         /* which h */
    slip slip;        /* one of these makes its derivative wrong: of h */
    alteration alter; /* g and d = g h'(x) */
    double factor;    /* without them */
    bool f32;         /* in F32 alone */
    bool wrong;       /* or it is the right twin */
} mutant;

static double same(double x) { return x; }
static double square(double x) { return x * x; }
static double cube(double x) { return x * x * x; }

static gr_tensor *slope_of_square(gr_tape *t, gr_tensor *x) { return gr_scale(t, x, 2.0); }
static gr_tensor *slope_of_cube(gr_tape *t, gr_tensor *x) { return gr_scale(t, gr_square(t, x), 3.0); }

static const struct {
    double (*h)(double x);
    gr_tensor *(*slope)(gr_tape *t, gr_tensor *x);
} hosts[] = {{square, slope_of_square}, {exp, gr_exp}, {sin, gr_cos}, {cube, slope_of_cube}, {same, NULL}};
enum { HOSTS = 4, SAME = 4 };

/* What mutants keep from one call to the next, though they must not. */
static struct {
    bool known;
    double first[SIZE], newest[SIZE];
    int calls;
} kept;

static gr_status mutant_kernel(gr_node *n)
{
    const mutant *m = n->attr;
    const int64_t size = gr_size(n->in[0]);
    if (!gr_save(n, GR_F64, 0, NULL)) return gr_last_status();
    gr_f64(n->saved)[0] = 1.0;
    for (int64_t k = 0; k < gr_size(n->out); k++) {
        const double x = gr_get(n->in[0], k % size), y = hosts[m->host].h(x);
        if (k < SIZE) kept.newest[k] = x;
        if (gr_dtype_of(n->out) == GR_F64) gr_f64(n->out)[k] = y;
        else gr_f32(n->out)[k] = (float)y;
    }
    return GR_OK;
}

static gr_tensor *constant(gr_tape *t, const gr_tensor *like, const double *values)
{
    gr_tensor *c = gr_result(t, GR_F64, gr_rank(like), gr_shape(like));
    if (c) memcpy(gr_f64(c), values, (size_t)gr_size(c) * sizeof *values);
    return c ? gr_cast(t, c, gr_dtype_of(like)) : NULL;
}

static gr_tensor *slipped(gr_tape *t, gr_tensor *d, slip s)
{
    const int64_t size = gr_size(d);
    double factors[SIZE];
    gr_tensor *source = gr_result(t, GR_I32, 1, &size);
    for (int k = 0; source && k < size; k++) {
        int from = k;
        factors[k] = s(k, &from);
        ((int32_t *)source->data)[k] = from;
    }
    gr_tensor *moved = gr_gather_rows(t, gr_reshape(t, d, 1, &size), source);
    return gr_mul(t, gr_reshape(t, moved, gr_rank(d), gr_shape(d)), constant(t, d, factors));
}

static gr_tensor *mutant_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const mutant *m = n->attr;
    gr_tensor *d = hosts[m->host].slope ? gr_mul(t, g, hosts[m->host].slope(t, n->in[0])) : gr_scale(t, g, 1.0);
    if (!d || !m->wrong || (m->f32 && gr_dtype_of(g) == GR_F64)) return d;
    return m->slip ? slipped(t, d, m->slip) : m->alter ? m->alter(t, n, g, d) : gr_scale(t, d, m->factor);
}

static gr_status stretched_shape(const gr_node *n, gr_type *type)
{
    *type = (gr_type){.dtype = gr_dtype_of(n->in[0]), .rank = 2, .shape = {ROWS, COLUMNS}};
    return GR_OK;
}

#define MUTANT(rule)                                                                                      \
    .name = "mutant", .formula = "y = h(x)", .n_in = 1, .attr_size = sizeof(mutant), .vjp = {mutant_vjp}, \
    .shape = rule, .forward[GR_ANY_CPU] = {[GR_F32] = mutant_kernel, [GR_F64] = mutant_kernel}

static const gr_op mutant_op = {MUTANT(gr_shape_same)};
static const gr_op stretching_op = {MUTANT(stretched_shape)}; /* a row becomes a matrix of equal rows */

/* ---- Alterations ------------------------------------------------------------------------------------------------- */

#define ALTERATION(name, ...)                                                        \
    static gr_tensor *name(gr_tape *t, const gr_node *n, gr_tensor *g, gr_tensor *d) \
    {                                                                                \
        (void)t, (void)n, (void)g, (void)d;                                          \
        return __VA_ARGS__;                                                          \
    }

static gr_tensor *slope_at(gr_tape *t, const gr_node *n, gr_tensor *x)
{
    return hosts[((const mutant *)n->attr)->host].slope(t, x);
}

ALTERATION(no_chain_factor, gr_scale(t, g, 1.0))

/* Not linear in g: right for all that come here, from 0 to 20. */
ALTERATION(size_of_g, gr_mul(t, gr_abs(t, g), slope_at(t, n, n->in[0])))
ALTERATION(relu_of_g, gr_mul(t, gr_relu(t, g), slope_at(t, n, n->in[0])))
ALTERATION(clipped_g, gr_mul(t, gr_clamp(t, g, -20.0, 20.0), slope_at(t, n, n->in[0])))
ALTERATION(nan_at_0, gr_mul(t, gr_div(t, gr_square(t, g), g), slope_at(t, n, n->in[0])))
ALTERATION(no_g, gr_scale(t, slope_at(t, n, n->in[0]), 1.0))

/* The g, or the x, of the first call. */
static gr_tensor *first_of(gr_tape *t, const gr_tensor *x)
{
    for (int k = 0; !kept.known && k < gr_size(x); k++) kept.first[k] = gr_get(x, k);
    kept.known = true;
    return constant(t, x, kept.first);
}

ALTERATION(cached_g, gr_mul(t, first_of(t, g), slope_at(t, n, n->in[0])))
ALTERATION(cached_x, gr_mul(t, g, slope_at(t, n, first_of(t, n->in[0]))))
ALTERATION(newest_x, gr_mul(t, g, slope_at(t, n, constant(t, g, kept.newest))))
ALTERATION(drifting, gr_scale(t, d, 1.0 + 1e-12 * kept.calls++))

/* Right once for each forward pass. */
ALTERATION(consuming, gr_scale(t, d, (*(double *)n->saved->data += 0.5) - 0.5))

/* Right as a number, and not as a function. */
ALTERATION(half_detached, gr_sub(t, gr_scale(t, d, 2.0), gr_detach(t, d)))
ALTERATION(detached_g, gr_mul(t, gr_detach(t, g), slope_at(t, n, n->in[0])))
ALTERATION(detached_slope, gr_mul(t, g, gr_detach(t, slope_at(t, n, n->in[0]))))
ALTERATION(other_when_recorded, gr_scale(t, d, gr_is_recording(t) ? 1.001 : 1.0))

/* A case that x is not in. */
ALTERATION(twice_below_0,
           gr_where(t, gr_greater(t, n->in[0], gr_constant(t, gr_dtype_of(g), 0.0)), d, gr_scale(t, d, 2.0)))

/* ---- Functions with a mutant in them ----------------------------------------------------------------------------- */

#define FUNCTION(name, ...)                                                  \
    static gr_tensor *name(gr_tape *t, gr_tensor *const x[], int n, void *m) \
    {                                                                        \
        (void)n;                                                             \
        return __VA_ARGS__;                                                  \
    }

static gr_tensor *mutated(gr_tape *t, gr_tensor *x, const mutant *m) { return gr_apply(t, &mutant_op, &x, 1, m); }
static gr_tensor *stretched(gr_tape *t, gr_tensor *x, const mutant *m) { return gr_apply(t, &stretching_op, &x, 1, m); }
static gr_tensor *part(gr_tape *t, gr_tensor *x, int i) { return gr_reshape(t, gr_slice(t, x, 0, i, i + 1), 0, NULL); }

static gr_tensor *exp_of(gr_tape *t, double a, gr_tensor *x) { return gr_exp(t, gr_scale(t, x, a)); }

FUNCTION(network, exp_of(t, 0.25, mutated(t, gr_scale(t, x[0], 0.5), m)))
FUNCTION(summed, gr_sum(t, mutated(t, gr_scale(t, x[0], 0.5), m), GR_ALL_AXES, false))
FUNCTION(broadcast, exp_of(t, 0.25, stretched(t, gr_scale(t, x[0], 0.5), m)))

/* All elements times 1e12 but one. */
static gr_tensor *uneven(gr_tape *t, gr_tensor *const x[], int n, void *m)
{
    double sizes[SIZE];
    for (int k = 0; k < SIZE; k++) sizes[k] = k == HIDDEN ? 1.0 : 1e12;
    return gr_mul(t, network(t, x, n, m), constant(t, x[0], sizes));
}

/* Every op is right: the function takes half of the gradient from one of them. */
static gr_tensor *detaching(gr_tape *t, gr_tensor *const x[], int n, void *m)
{
    mutant twin = *(const mutant *)m;
    twin.wrong = false;
    gr_tensor *y = network(t, x, n, &twin);
    return ((const mutant *)m)->wrong ? gr_scale(t, gr_add(t, y, gr_detach(t, y)), 0.5) : y;
}

/* ---- Functions of one number or two, where the scale is not 1 ---------------------------------------------------- */

FUNCTION(steep, gr_add(t, mutated(t, exp_of(t, -1000.0, part(t, x[0], 0)), m), part(t, x[0], 1)))
FUNCTION(beside_1e3, gr_add(t, mutated(t, x[0], m), gr_scale(t, gr_cos(t, x[0]), 1e3)))
FUNCTION(beside_1e9, gr_add(t, mutated(t, x[0], m), gr_scale(t, gr_cos(t, x[0]), 1e9)))
FUNCTION(beside_1e12, gr_add(t, mutated(t, x[0], m), gr_scale(t, gr_cos(t, x[0]), 1e12)))
FUNCTION(inverse, gr_div(t, gr_constant(t, gr_dtype_of(x[0]), 1.0), mutated(t, x[0], m)))
FUNCTION(narrow, exp_of(t, -1e8, gr_square(t, mutated(t, x[0], m))))
FUNCTION(length, gr_pow_scalar(t, gr_shift(t, gr_square(t, mutated(t, x[0], m)), 1e-12), -0.5))
FUNCTION(waves, gr_scale(t, gr_add(t, x[0], gr_sin(t, mutated(t, x[0], m))), 0.1))
FUNCTION(two_sizes, gr_add(t, gr_scale(t, part(t, x[0], 0), 1e-10), mutated(t, gr_sin(t, part(t, x[0], 1)), m)))
FUNCTION(cancelling, gr_shift(t, gr_shift(t, mutated(t, gr_sin(t, x[0]), m), 1e7), -1e7))
FUNCTION(kink_and_curve,
         gr_add(t, gr_relu(t, x[0]), mutated(t, gr_scale(t, gr_sin(t, gr_scale(t, x[0], 2000.0)), 5e-4), m)))
FUNCTION(logarithm, gr_log(t, mutated(t, x[0], m)))
FUNCTION(root, gr_sqrt(t, mutated(t, x[0], m)))
FUNCTION(huge_square, gr_square(t, mutated(t, x[0], m)))
FUNCTION(overflowing, gr_sum(t, gr_scale(t, mutated(t, gr_mul(t, x[0], x[0]), m), 1e160), GR_ALL_AXES, false))
FUNCTION(the_input, mutated(t, x[0], m))

static gr_tensor *norm(gr_tape *t, gr_tensor *const x[], int n, void *m)
{
    (void)n;
    gr_tensor *row = gr_reshape(t, mutated(t, x[0], m), GR_SHAPE(1, 5));
    return gr_sum(t, gr_square(t, gr_layer_norm(t, row, 1, NULL, NULL, 1e-5)), GR_ALL_AXES, false);
}

FUNCTION(bce_of_0, gr_bce(t, mutated(t, x[0], m), constant(t, x[0], (const double[]){0.0}), NULL))
FUNCTION(bce_of_1, gr_bce(t, mutated(t, x[0], m), constant(t, x[0], (const double[]){1.0}), NULL))

static gr_tensor *lennard_jones(gr_tape *t, gr_tensor *const x[], int n, void *m)
{
    (void)n;
    gr_tensor *q = gr_div(t, gr_constant(t, gr_dtype_of(x[0]), 3.4e-10), mutated(t, x[0], m));
    gr_tensor *q6 = gr_square(t, gr_mul(t, gr_square(t, q), q));
    return gr_scale(t, gr_sub(t, gr_square(t, q6), q6), 4.0 * 1.65e-21);
}

typedef struct point {
    gr_check_function f;
    int n;
    double x[5];
} point;

static const point steep_ones[] = {{steep, 2, {1e-3, 1.0}}, {steep, 2, {2e-3, -1.0}}},
                   beside_some[] = {{beside_1e3, 1, {0}}},
                   beside_many[] = {{beside_1e9, 1, {0}}, {beside_1e12, 1, {0}}},
                   of_other_scales[] = {{inverse, 1, {3e-8}},
                                        {narrow, 1, {1e-4}},
                                        {length, 1, {1e-6}},
                                        {waves, 1, {1e8}},
                                        {lennard_jones, 1, {3.2e-10}}},
                   of_two_scales[] = {{two_sizes, 2, {1e10, 1}}},
                   noisy_ones[] = {{cancelling, 1, {1.0}}, {cancelling, 1, {-2.5}}},
                   kinks[] = {{kink_and_curve, 1, {0}}},
                   edges[] = {{logarithm, 1, {1e-30}}, {root, 1, {1e-30}}, {bce_of_0, 1, {0}}},
                   upper_edge[] = {{bce_of_1, 1, {1}}},
                   near_0[] = {{inverse, 1, {1e-150}}, {logarithm, 1, {1e-300}}, {root, 1, {1e-300}}},
                   far_out[] = {{huge_square, 1, {1e80}}}, overflows[] = {{overflowing, 2, {1.0, 2.0}}},
                   returned[] = {{the_input, 2, {0.3, -0.7}}}, at_0[] = {{root, 1, {0}}},
                   norms[] = {{norm, 5, {1e8 + 0.5, 1e8 - 1.25, 1e8 + 2.0, 1e8, 1e8 - 0.75}}};

/* ---- Plain functions --------------------------------------------------------------------------------------------- */

typedef struct world {
    slip slip;
    bool wrong;
} world;

static void slip_in(const world *w, double *d)
{
    double right[SIZE];
    memcpy(right, d, sizeof right);
    for (int k = 0; w->wrong && w->slip && k < SIZE; k++) {
        int from = k;
        d[k] = w->slip(k, &from);
        d[k] *= right[from];
    }
}

/* The sum of sin(x_k) x_k+1, in a ring. */
static double ring(const double *x, void *context)
{
    double sum = 0.0;
    (void)context;
    memcpy(kept.newest, x, sizeof kept.newest);
    for (int k = 0; k < SIZE; k++) sum += sin(x[k]) * x[(k + 1) % SIZE];
    return sum;
}

static int ring_slope(const double *x, double *g)
{
    for (int k = 0; k < SIZE; k++) g[k] = cos(x[k]) * x[(k + 1) % SIZE] + sin(x[(k + SIZE - 1) % SIZE]);
    return 0;
}

static int ring_gradient(const double *x, double *g, void *context) { return ring_slope(x, g), slip_in(context, g), 0; }
static int right_gradient(const double *x, double *g, void *context) { return (void)context, ring_slope(x, g); }

static int right_hessian(const double *x, const double *v, double *hv, void *context)
{
    (void)context;
    for (int k = 0; k < SIZE; k++) {
        const int next = (k + 1) % SIZE, last = (k + SIZE - 1) % SIZE;
        hv[k] = -sin(x[k]) * x[next] * v[k] + cos(x[k]) * v[next] + cos(x[last]) * v[last];
    }
    return 0;
}

static int ring_hessian(const double *x, const double *v, double *hv, void *context)
{
    return right_hessian(x, v, hv, context), slip_in(context, hv), 0;
}

/* The same in float. */
static double float_ring(const double *x, void *context)
{
    float sum = 0.0f;
    (void)context;
    for (int k = 0; k < SIZE; k++) sum += sinf((float)x[k]) * (float)x[(k + 1) % SIZE];
    return (double)sum;
}

static int float_gradient(const double *x, double *g, void *context)
{
    ring_slope(x, g);
    for (int k = 0; k < SIZE; k++) g[k] = (double)(float)g[k];
    return slip_in(context, g), 0;
}

/* The gradient at the point of the first call, at that of the newest call of f, with a drift, without an element. */
static int cached_gradient(const double *x, double *g, void *context)
{
    if (!kept.known) ring_slope(x, kept.first);
    kept.known = true;
    return ((world *)context)->wrong ? memcpy(g, kept.first, sizeof kept.first), 0 : ring_slope(x, g);
}

static int newest_gradient(const double *x, double *g, void *context)
{
    return ring_slope(((world *)context)->wrong ? kept.newest : x, g);
}

static int drifting_gradient(const double *x, double *g, void *context)
{
    ring_slope(x, g);
    if (((world *)context)->wrong) g[3] += 1e-12 * kept.calls++;
    return 0;
}

static int unwritten_gradient(const double *x, double *g, void *context)
{
    const double before = g[SIZE - 1];
    ring_slope(x, g);
    if (((world *)context)->wrong) g[SIZE - 1] = before;
    return 0;
}

/* y_i = sum over j of sin(a_ij x_j), a matrix of derivatives. */
static double wave_number(int i, int j) { return 0.3 + 0.17 * i + 0.29 * j; }

static int waves_of(const double *x, double *y, void *context)
{
    (void)context;
    memset(y, 0, ROWS * sizeof *y);
    for (int k = 0; k < SIZE; k++) y[k / COLUMNS] += sin(wave_number(k / COLUMNS, k % COLUMNS) * x[k % COLUMNS]);
    return 0;
}

static int waves_jacobian(const double *x, double *j, void *context)
{
    for (int k = 0; k < SIZE; k++) {
        const double a = wave_number(k / COLUMNS, k % COLUMNS);
        j[k] = a * cos(a * x[k % COLUMNS]);
    }
    return slip_in(context, j), 0;
}

/* y_i = sin(x_i) x_i+1, whose derivatives are at [i,i] and [i,i+1]. */
enum { LINKS = SIZE / 2 };

static int chain(const double *x, double *y, void *context)
{
    (void)context;
    for (int i = 0; i < LINKS; i++) y[i] = sin(x[i]) * x[i + 1];
    return 0;
}

static int chain_jacobian(const double *x, double *j, void *context)
{
    double entries[SIZE];
    for (int i = 0; i < LINKS; i++) {
        entries[2 * i] = cos(x[i]) * x[i + 1];
        entries[2 * i + 1] = sin(x[i]);
    }
    slip_in(context, entries);
    return memcpy(j, entries, sizeof entries), 0;
}

/* Places that are wrong: all one column on, two exchanged, rows and columns exchanged, one given twice. */
static void wrong_places(int which, int64_t row[SIZE], int64_t column[SIZE])
{
    for (int k = 0; k < SIZE; k++) {
        row[k] = k / 2;
        column[k] = k / 2 + k % 2;
    }
    if (which == 0)
        for (int k = 0; k < SIZE; k++) column[k] = (column[k] + 1) % (LINKS + 1);
    if (which == 1) column[3] = 5, column[10] = 9;
    if (which == 2)
        for (int k = 0; k < SIZE - 1; k++) row[k] = k / 2 + k % 2, column[k] = k / 2;
    if (which == 3) column[7] = column[6];
}

/* ---- Kinds ------------------------------------------------------------------------------------------------------- */

typedef struct kind {
    const char *name, *seen; /* by each way: + FAIL, - not at all, ? UNRESOLVED; blank where the way is not for it */
    gr_status (*check)(const struct kind *k, int i, bool wrong, const gr_check_options *o, gr_check_report *r);
    int n; /* mutants */
    const slip *slips;
    alteration alter;
    gr_check_function f;
    const point *points;
    const double *factors;
    int n_factors;
    bool f32, row;
    const gr_plain *plain;
} kind;

static gr_status on_tape(const gr_check_function f, const mutant *m, gr_tensor *x, const gr_check_options *o,
                         gr_check_report *r)
{
    gr_status status = x ? gr_require_grad(x) : gr_last_status();
    if (!status) status = gr_check_gradients(f, (void *)(uintptr_t)m, &x, 1, o, r);
    gr_tensor_free(x);
    return status;
}

/* A slip, or an alteration, of each host. */
static gr_status of_an_op(const kind *k, int i, bool wrong, const gr_check_options *o, gr_check_report *r)
{
    const mutant m = {i % HOSTS, k->slips ? k->slips[i / HOSTS] : NULL, k->alter, 1.0, k->f32, wrong};
    gr_rng rng = gr_rng_seed(11);
    gr_tensor *x = k->row ? gr_uniform(GR_F64, GR_SHAPE(COLUMNS), 0.3, 2.0, &rng)
                          : gr_uniform(GR_F64, GR_SHAPE(ROWS, COLUMNS), 0.3, 2.0, &rng);
    return on_tape(k->f ? k->f : network, &m, x, o, r);
}

/* Factors at points. */
static gr_status at_points(const kind *k, int i, bool wrong, const gr_check_options *o, gr_check_report *r)
{
    const mutant m = {.host = SAME, .factor = k->factors[i % k->n_factors], .wrong = wrong};
    const point *p = &k->points[i / k->n_factors];
    return on_tape(p->f, &m, gr_from(GR_F64, GR_SHAPE(p->n), p->x), o, r);
}

static gr_status of_plain(const gr_plain *problem, world *w, const gr_check_options *o, gr_check_report *r)
{
    double x[SIZE];
    gr_plain p = *problem;
    gr_rng rng = gr_rng_seed(11);
    p.context = w;
    for (int k = 0; k < SIZE; k++) x[k] = 0.3 + 1.7 * gr_rng_uniform(&rng);
    return gr_check_plain(&p, x, o, r);
}

static gr_status plainly(const kind *k, int i, bool wrong, const gr_check_options *o, gr_check_report *r)
{
    return of_plain(k->slips ? k->plain : &k->plain[i], &(world){k->slips ? k->slips[i] : NULL, wrong}, o, r);
}

static gr_status with_places(const kind *k, int i, bool wrong, const gr_check_options *o, gr_check_report *r)
{
    int64_t row[SIZE], column[SIZE];
    gr_plain p = *k->plain;
    wrong_places(k->slips ? -1 : wrong ? i : -1, row, column);
    p.row = row;
    p.column = column;
    return of_plain(&p, &(world){k->slips ? k->slips[i] : NULL, wrong}, o, r);
}

#define SLIPS_OF(...) COUNT(((const slip[]){__VA_ARGS__}))
#define OF_OP(...) \
    of_an_op, HOSTS *SLIPS_OF(__VA_ARGS__), .slips = (const slip[]) { __VA_ARGS__ }
#define BY(alteration_) of_an_op, HOSTS, .alter = alteration_
#define FACTORS(...) COUNT(((const double[]){__VA_ARGS__}))
#define AT(points_, ...)                                                                                           \
    at_points, COUNT(points_) * FACTORS(__VA_ARGS__), .points = points_, .factors = (const double[]){__VA_ARGS__}, \
                                                      .n_factors = FACTORS(__VA_ARGS__)
#define PLAIN(how, problem, ...) how, SLIPS_OF(__VA_ARGS__), .slips = (const slip[]){__VA_ARGS__}, .plain = &problem
#define RING(slope)                                                              \
    {                                                                            \
        .f = ring, .gradient = slope, .hessian_vector = right_hessian, .n = SIZE \
    }

static const gr_plain gradients = RING(ring_gradient),
                      hessians = {.f = ring, .gradient = right_gradient, .hessian_vector = ring_hessian, .n = SIZE},
                      jacobians = {.vector = waves_of, .jacobian = waves_jacobian, .n = COLUMNS, .m = ROWS},
                      sparse = {.vector = chain,
                                .jacobian = chain_jacobian,
                                .n = LINKS + 1,
                                .m = LINKS,
                                .nonzeros = SIZE},
                      states[] = {RING(newest_gradient), RING(drifting_gradient)}, of_first = RING(cached_gradient),
                      in_float = {.f = float_ring, .gradient = float_gradient, .n = SIZE, .is_float = true},
                      unwritten = RING(unwritten_gradient);

static const gr_check_options ways[] = {
    {.mode = GR_CHECK_FULL},         {.mode = GR_CHECK_SAMPLED},  {.mode = GR_CHECK_DIRECTIONAL},
    {.mode = GR_CHECK_TAYLOR},       {.mode = GR_CHECK_JACOBIAN}, {.mode = GR_CHECK_PER_NODE},
    {.mode = GR_CHECK_ACCUMULATION}, {.mode = GR_CHECK_F32},      {.mode = GR_CHECK_FULL, .order = 2}};
enum { WAYS = COUNT(ways), NODES = 5 };

static const kind kinds[] = {
    /*                            full, sampled, directional, Taylor, Jacobian; per node; accumulation, F32, order 2 */
    {"the sign", "++++++--+", OF_OP(other_sign)},
    {"a factor 2", "++++++--+", OF_OP(twice)},
    {"too large by 1e-3", "++++++--+", OF_OP(by_a_thousandth)},
    {"too large by 1e-6", "++++++--+", OF_OP(by_a_millionth)},
    {"too large by 1e-8", "---------", OF_OP(by_1e_8)},
    {"a mean for a sum", "++++++--+", OF_OP(mean_for_sum)},
    {"0 everywhere", "++++++---", OF_OP(zero)},
    {"a missing chain factor", "++++++--+", BY(no_chain_factor)},
    {"a row or a column is missing", "++++++---", OF_OP(no_last_row, no_second_column)},
    {"wrong at the border, or at every third element", "++++++--+", OF_OP(last_column_by_a_tenth, third_by_a_half)},
    {"transposed, shifted, reversed", "++++++--+", OF_OP(transposed, shifted, reversed)},
    {"one element is missing", "++++++---", OF_OP(one_missing)},
    {"one element is doubled", "++++++--+", OF_OP(one_twice)},
    {"one element is too large by 1e-4", "++++++--+", OF_OP(one_by_1e_4)},
    {"two elements are swapped", "++++++--+", OF_OP(two_swapped)},
    {"one element is NaN", "+-+++++++", OF_OP(one_nan)},
    {"one element is infinite", "+-++++-?+", OF_OP(one_infinite)},
    {"= for += over what was stretched", "++++++---", OF_OP(last_row_alone, first_row_alone), .f = broadcast,
     .row = true},
    {"a mean over what was stretched", "++++++--+", OF_OP(mean_of_rows), .f = broadcast, .row = true},
    {"one element of 1e-12 beside large ones, doubled", "+---++--+", OF_OP(one_twice), .f = uneven},
    {"part of a function is detached", "+++++----", BY(NULL), .f = detaching},
    {"a case that x is not in", "---------", BY(twice_below_0)},
    {"\\|g\\| for g", "++++++--+", BY(size_of_g)},
    {"max(g, 0) for g", "++++++--+", BY(relu_of_g)},
    {"g is clipped", "++++++--+", BY(clipped_g)},
    {"NaN where g is 0", "++++++--+", BY(nan_at_0)},
    {"g is left out, where it is 1", "++++++---", BY(no_g), .f = summed},
    {"the g of the first call", "++++++---", BY(cached_g)},
    {"the x of the first call", "++++++--+", BY(cached_x)},
    {"the x of the newest call", "+++++-+++", BY(newest_x)},
    {"another number at each call", "+++++-+++", BY(drifting)},
    {"right at the first backward pass only", "+++++++-+", BY(consuming)},
    {"a second derivative: twice what it is", "--------+", BY(half_detached)},
    {"a second derivative: g detached", "--------+", BY(detached_g)},
    {"a second derivative: the slope detached", "--------+", BY(detached_slope)},
    {"another gradient when it is recorded", "--------+", BY(other_when_recorded)},
    {"in F32 alone", "-------+-", OF_OP(other_sign, twice, no_last_row, one_twice, transposed), .f32 = true},
    {"in F32 alone, one element of 1e-12 beside large ones", "-------+-", OF_OP(one_twice), .f = uneven, .f32 = true},
    {"of a steep part", "++++++---", AT(steep_ones, 0.0, -1.0, 2.0)},
    {"of a part beside one of 1e3", "++++++---", AT(beside_some, 0.0, 0.97, 2.0)},
    {"of a part beside one of 1e9, 1e12", "++++++---", AT(beside_many, 0.0, 0.97, 2.0)},
    {"at scales from 1e-10 to 1e8", "++++++--+", AT(of_other_scales, 2.0, -1.0, 1.001)},
    {"at scales of 1 and 1e10", "++++++---", AT(of_two_scales, 2.0, -1.0, 1.001)},
    {"at 1e-150 and 1e-300", "++++++- ?", AT(near_0, 2.0, -1.0, 1.001)},
    {"at 1e80", "++++++- +", AT(far_out, 2.0, -1.0, 1.001)},
    {"near overflow", "++++++- -", AT(overflows, 2.0, -1.0, 1.001)},
    {"beside noise", "++++++---", AT(noisy_ones, 2.0, -1.0, 1.001)},
    {"of a norm of numbers near 1e8", "++++++-- ", AT(norms, 2.0, -1.0, 1.5)},
    {"of a curve at a kink", "++++++---", AT(kinks, 1.5, 3.0, 10.0, -3.0)},
    {"at the lower edge of what is defined", "++++++--+", AT(edges, 2.0, -1.0, 1.001)},
    {"at the upper edge of what is defined", "++++++- +", AT(upper_edge, 2.0, -1.0, 1.001)},
    {"of an input that is returned", "++++++---", AT(returned, 2.0, -1.0, 1.001)},
    {"plain gradient: many elements", "+++++   +", PLAIN(plainly, gradients, MANY)},
    {"plain gradient: one or two elements", "+++++   +", PLAIN(plainly, gradients, FEW)},
    {"plain gradient: of another point, or drifting", "+++++   +", plainly, COUNT(states), .plain = states},
    {"plain gradient of float code: many elements", "+++++    ", PLAIN(plainly, in_float, OF_FLOAT)},
    {"plain gradient: of the first call", "+++++   +", plainly, 1, .plain = &of_first},
    {"plain gradient: an element is not written", "+++++    ", plainly, 1, .plain = &unwritten},
    {"plain Jacobian: many entries", "+++++    ", PLAIN(plainly, jacobians, MANY)},
    {"plain Jacobian: one or two entries", "+++++    ", PLAIN(plainly, jacobians, FEW)},
    {"plain sparse Jacobian: many numbers", "+++++    ", PLAIN(with_places, sparse, MANY)},
    {"plain sparse Jacobian: one or two numbers", "+++++    ", PLAIN(with_places, sparse, FEW)},
    {"plain sparse Jacobian: places", "+++++    ", with_places, 4, .plain = &sparse},
    {"plain Hessian: many elements", "-----   +", PLAIN(plainly, hessians, MANY)},
    {"plain Hessian: one or two elements", "-----   +", PLAIN(plainly, hessians, FEW)},
};
enum { KINDS = COUNT(kinds) };

/* ---- The table --------------------------------------------------------------------------------------------------- */

static struct {
    int mutants, checks, named, to_name, surprises, right[GR_CHECK_N_VERDICTS];
} all;

static void surprise(const char *what, const kind *k, int i, int way, const gr_check_report *r)
{
    all.surprises++;
    printf("%s: %s, mutant %d, %s, order %d: %s, analytic %g, numeric %g +- %g\n", what, k->name, i,
           gr_check_mode_name(ways[way].mode), ways[way].order, gr_check_verdict_name(r->verdict), r->analytic,
           r->numeric, r->error);
}

static char outcome_of(const gr_check_report *r)
{
    const bool caught = r->verdict == GR_CHECK_FAIL || r->verdict == GR_CHECK_NONDETERMINISTIC;
    return caught ? '+' : r->verdict == GR_CHECK_UNRESOLVED ? '?' : '-';
}

static gr_check_report checked(const kind *k, int i, bool wrong, int way)
{
    gr_check_report r;
    memset(&kept, 0, sizeof kept);
    if (k->check(k, i, wrong, &ways[way], &r)) fail_msg("%s, mutant %d: %s", k->name, i, gr_last_error());
    return r;
}

/* Tries one mutant and its twin in one way. */
static void try_mutant(const kind *k, int i, int way)
{
    const gr_check_report right = checked(k, i, false, way), wrong = checked(k, i, true, way);
    all.checks++;
    all.right[right.verdict]++;
    if (outcome_of(&right) == '+') surprise("a right twin", k, i, way, &right);
    if (outcome_of(&wrong) != k->seen[way]) surprise("not as promised", k, i, way, &wrong);
    if (wrong.verdict != GR_CHECK_FAIL || k->seen[NODES] != '+' || way > NODES) return;
    const bool named = wrong.culprit_op && strcmp(wrong.culprit_op, "mutant") == 0;
    if (!named) surprise("not named", k, i, way, &wrong);
    all.to_name++;
    all.named += named;
}

static char table[1 << 14];

static void add(const char *text)
{
    assert_true(strlen(table) + strlen(text) < sizeof table);
    strcat(table, text);
}

static void add_row(const kind *k)
{
    char start[128];
    snprintf(start, sizeof start, "| %s | %d |", k->name, k->n);
    add(start);
    for (int way = 0; way < WAYS; way++) {
        const char c = k->seen[way];
        add(c == '+' ? " yes |" : c == '?' ? " unresolved |" : c == '-' ? " no |" : " |");
    }
    add("\n");
}

static void kinds_against_ways(void **state)
{
    (void)state;
    add("| mistake | mutants | full | sampled | directional | Taylor | Jacobian | per node | accumulation | F32 | "
        "full, order 2 |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for (const kind *k = kinds; k < kinds + KINDS; k++) {
        all.mutants += k->n;
        assert_int_equal(strlen(k->seen), WAYS);
        for (int way = 0; way < WAYS; way++)
            for (int i = 0; i < k->n && k->seen[way] != ' '; i++) try_mutant(k, i, way);
        add_row(k);
    }
    char counts[160];
    snprintf(counts, sizeof counts, "\n%d mutants of %d kinds, each with a right twin. Of %d FAILs %d name the op.\n",
             all.mutants, KINDS, all.to_name, all.named);
    add(counts);
    printf("%s%d checks of mutants, as many of right twins:", table, all.checks);
    for (int v = 0; v < GR_CHECK_N_VERDICTS; v++)
        printf(" %d %s%s", all.right[v], gr_check_verdict_name((gr_check_verdict)v),
               v + 1 < GR_CHECK_N_VERDICTS ? "," : "\n");
    assert_int_equal(all.surprises, 0);
    assert_true(all.mutants >= 130);
}

static void the_table_in_the_document(void **state)
{
    static char page[1 << 16];
    (void)state;
    FILE *file = fopen(GR_SOURCE_DIR "/docs/gradient_checking.md", "rb");
    assert_non_null(file);
    page[fread(page, 1, sizeof page - 1, file)] = '\0';
    fclose(file);
    if (!strstr(page, table)) fail_msg("the table above is not that of docs/gradient_checking.md");
}

/* ---- What no way sees in the table, and what sees it then; limits ------------------------------------------------ */

static void what_else_sees(void **state)
{
    (void)state;
    gr_check_report r;
    for (int host = 0; host < HOSTS; host++)
        for (int wrong = 0; wrong < 2; wrong++) {
            const mutant exact = {.host = host, .slip = by_1e_8, .wrong = wrong},
                         cases = {.host = host, .alter = twice_below_0, .wrong = wrong};
            gr_tensor *one = gr_from(GR_F64, GR_SHAPE(3), (const double[]){0.4, 1.1, 0.7}),
                      *two = gr_from(GR_F64, GR_SHAPE(3), (const double[]){-0.4, 1.1, -0.7});
            assert_int_equal(on_tape(network, &exact, one, &(gr_check_options){.rtol = 1e-9}, &r), GR_OK);
            expect_verdict(wrong ? GR_CHECK_FAIL : GR_CHECK_PASS, &r);
            assert_int_equal(on_tape(network, &cases, two, NULL, &r), GR_OK);
            expect_verdict(wrong ? GR_CHECK_FAIL : GR_CHECK_PASS, &r);
        }
}

/* Known limits, where a right derivative FAILs with order 2: it is infinite, or is 1e-6 beside a sum of 1e8. */
static void known_limits(void **state)
{
    (void)state;
    static const gr_check_options order_2 = {.order = 2};
    const point *const limits[] = {at_0, norms};
    const mutant twin = {.host = SAME};
    gr_check_report r;
    int failed = 0;
    for (int i = 0; i < COUNT(limits); i++) {
        const point *p = limits[i];
        assert_int_equal(on_tape(p->f, &twin, gr_from(GR_F64, GR_SHAPE(p->n), p->x), &order_2, &r), GR_OK);
        failed += r.verdict == GR_CHECK_FAIL;
    }
    printf("known limits, right derivatives that FAIL: %d of %d\n", failed, COUNT(limits));
    assert_int_equal(failed, COUNT(limits));
}

/* Where a derivative is infinite in F32 and F64 alike nothing can be said; at the upper edge of what is defined, from
 * which the mode F32 moves x by rounding, something can. */
static void at_the_edges_of_f32(void **state)
{
    (void)state;
    static const gr_check_options f32 = {.mode = GR_CHECK_F32};
    const mutant twin = {.host = SAME};
    gr_check_report r;
    for (int i = 0; i < 3; i++) {
        const point *p = near_0 + i;
        assert_int_equal(on_tape(p->f, &twin, gr_from(GR_F64, GR_SHAPE(p->n), p->x), &f32, &r), GR_OK);
        expect_verdict(GR_CHECK_UNRESOLVED, &r);
    }
    assert_int_equal(on_tape(bce_of_1, &twin, gr_from(GR_F64, GR_SHAPE(1), upper_edge->x), &f32, &r), GR_OK);
    assert_int_equal(r.count[GR_CHECK_FAIL], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(kinds_against_ways),
                                       cmocka_unit_test(the_table_in_the_document), cmocka_unit_test(what_else_sees),
                                       cmocka_unit_test(known_limits), cmocka_unit_test(at_the_edges_of_f32)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
