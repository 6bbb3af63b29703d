/* test_losses.c: the losses against three witnesses: 25 digits computed elsewhere, plain loops over whole arrays
 * (loss_reference.h), and what must hold between one call and another: a mean is a sum over a count, an index is a
 * share of 1, an ignored position is as if it were not there. Each in both dtypes and in both ways to a gradient: the
 * one that the forward pass saved, and the one that can be differentiated again. */
#include <float.h>

#include "helpers.h"
#include "loss_reference.h"

#include <gradus/gradus.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))
#define QNAN ((double)NAN)
#define INF ((double)INFINITY)

/* ---- The losses, each in each of its forms ------------------------------------------------------------------ */

typedef gr_tensor *loss_function(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_loss_options *options);

/* What targets are drawn from. */
enum targets { NUMBERS, BITS, SIGNS, SHARES };

typedef struct loss {
    const char *name;
    loss_function *run;
    bool logits, classes;
    enum targets targets;
    point (*at)(bool logits, exact p, exact y, exact tiny);
} loss;

static const loss pointwise[] = {
    {"l1", gr_l1, false, false, NUMBERS, l1_at},
    {"mse", gr_mse, false, false, NUMBERS, mse_at},
    {"zero_one", gr_zero_one, false, false, BITS, zero_one_at},
    {"zero_one", gr_zero_one, true, false, BITS, zero_one_at},
    {"hinge", gr_hinge, false, false, SIGNS, hinge_at},
    {"bce", gr_bce, false, false, SHARES, bce_at},
    {"bce", gr_bce, true, false, SHARES, bce_at},
};

static const loss class_losses[] = {
    {"cross_entropy", gr_cross_entropy, false, true, SHARES, NULL},
    {"cross_entropy", gr_cross_entropy, true, true, SHARES, NULL},
    {"kl", gr_kl, false, true, SHARES, NULL},
    {"kl", gr_kl, true, true, SHARES, NULL},
};

static const loss *find(const char *name, bool logits)
{
    for (int i = 0; i < COUNT(pointwise); i++)
        if (!strcmp(pointwise[i].name, name) && pointwise[i].logits == logits) return &pointwise[i];
    for (int i = 0; i < COUNT(class_losses); i++)
        if (!strcmp(class_losses[i].name, name) && class_losses[i].logits == logits) return &class_losses[i];
    return NULL;
}

static bool is_kl(const loss *l)
{
    return !strcmp(l->name, "kl");
}

static bool in_the_table(const char *name)
{
    for (int i = 0; gr_op_at(i); i++)
        if (!strcmp(gr_op_at(i)->name, name)) return true;
    return false;
}

static double tiny_of(gr_dtype dtype)
{
    return dtype == GR_F32 ? (double)FLT_MIN : DBL_MIN;
}

static double epsilon_of(gr_dtype dtype)
{
    return dtype == GR_F32 ? (double)FLT_EPSILON : DBL_EPSILON;
}

/* ---- A call, with numbers for tensors ----------------------------------------------------------------------- */

typedef struct call {
    const loss *l;
    gr_dtype dtype;
    int rank;
    int64_t shape[GR_MAX_RANK]; /* of the prediction */
    const double *p, *y;
    const int32_t *index;                /* instead of y */
    const double *weight, *class_weight; /* NULL: none */
    const double *cotangent;             /* of GR_NONE's result; NULL: ones */
    gr_loss_options o;                   /* without the weights */
    bool graph;                          /* by the gradient that can be differentiated again */
    bool without_gradient;
} call;

typedef struct outcome {
    int64_t n_values, n_slopes;
    double *values, *slopes;
} outcome;

static double *numbers(int64_t n)
{
    double *x = calloc((size_t)n + 1, sizeof *x);
    assert_non_null(x);
    return x;
}

static gr_tensor *tensor_of(gr_dtype dtype, int rank, const int64_t shape[], const double x[])
{
    gr_tensor *t = gr_zeros(dtype, rank, shape);
    assert_non_null(t);
    if (dtype == GR_F64) memcpy(gr_f64(t), x, (size_t)gr_size(t) * sizeof *x);
    for (int64_t i = 0; dtype == GR_F32 && i < gr_size(t); i++) gr_f32(t)[i] = (float)x[i];
    return t;
}

static double *numbers_of(const gr_tensor *t)
{
    const int64_t n = gr_size(t);
    double *x = numbers(n);
    if (gr_dtype_of(t) == GR_F64) memcpy(x, gr_read_f64(t), (size_t)n * sizeof *x);
    else
        for (int64_t i = 0; i < n; i++) x[i] = (double)gr_read_f32(t)[i];
    return x;
}

/* The shape of GR_NONE's result: the prediction's, without axis 1 for classes. */
static int result_shape(const call *c, int64_t shape[])
{
    int rank = 0;
    for (int i = 0; i < c->rank; i++)
        if (i != 1 || !c->l->classes) shape[rank++] = c->shape[i];
    return rank;
}

/* The tensors of a call. */
typedef struct arguments {
    gr_tensor *p, *y, *weight, *class_weight, *cotangent;
    gr_loss_options o;
} arguments;

static arguments new_arguments(const call *c)
{
    int64_t shape[GR_MAX_RANK];
    const int rank = result_shape(c, shape);
    arguments a = {.p = tensor_of(c->dtype, c->rank, c->shape, c->p), .o = c->o};
    a.y = c->index ? gr_from(GR_I32, rank, shape, c->index) : tensor_of(c->dtype, c->rank, c->shape, c->y);
    if (c->weight) a.weight = tensor_of(c->dtype, rank, shape, c->weight);
    if (c->class_weight) a.class_weight = tensor_of(c->dtype, 1, &c->shape[1], c->class_weight);
    a.cotangent = gr_ones(c->dtype, rank, shape);
    for (int64_t i = 0; c->cotangent && i < gr_size(a.cotangent); i++)
        assert_int_equal(gr_set(a.cotangent, i, c->cotangent[i]), GR_OK);
    a.o.from_logits = c->l->logits;
    a.o.weight = a.weight;
    a.o.class_weight = a.class_weight;
    if (!c->without_gradient) assert_int_equal(gr_require_grad(a.p), GR_OK);
    return a;
}

static void free_arguments(arguments *a)
{
    gr_tensor *const all[] = {a->p, a->y, a->weight, a->class_weight, a->cotangent};
    for (int i = 0; i < COUNT(all); i++) gr_tensor_free(all[i]);
}

static gr_tensor *slope_of(const call *c, gr_tape *t, gr_tensor *l, const arguments *a)
{
    const bool whole = c->o.reduction == GR_NONE;
    gr_tensor *d = NULL, *p = a->p;
    gr_status status;
    if (c->graph) status = gr_vjp(t, l, whole ? a->cotangent : NULL, &p, 1, &d, GR_CREATE_GRAPH);
    else status = whole ? gr_backward_from(t, l, a->cotangent, 0) : gr_backward(t, l, 0);
    if (status) fail_msg("%s: %s", c->l->name, gr_last_error());
    return c->graph ? d : gr_gradient(p);
}

static outcome run(const call *c)
{
    arguments a = new_arguments(c);
    gr_tape *t = gr_tape_new();
    gr_tensor *l = c->l->run(t, a.p, a.y, &a.o);
    if (!l) fail_msg("%s: %s", c->l->name, gr_last_error());
    outcome r = {.n_values = gr_size(l), .values = numbers_of(l)};
    if (!c->without_gradient) {
        const gr_tensor *d = slope_of(c, t, l, &a);
        assert_non_null(d);
        r.n_slopes = gr_size(d);
        r.slopes = numbers_of(d);
        assert_int_equal(r.n_slopes, gr_size(a.p));
    }
    gr_tape_free(t);
    free_arguments(&a);
    return r;
}

static void drop(outcome *r)
{
    free(r->values);
    free(r->slopes);
}

/* ---- Comparisons -------------------------------------------------------------------------------------------- */

static void say(char text[256], const call *c, const char *what)
{
    static const char *const reductions[] = {[GR_MEAN] = "mean", [GR_SUM] = "sum", [GR_NONE] = "none"};
    snprintf(text, 256, "%s%s in %s, %s, %s%s%s%s%s", c->l->name, c->l->logits ? " of logits" : "",
             gr_dtype_name(c->dtype), what, reductions[c->o.reduction], c->weight ? ", weighted" : "",
             c->o.ignore ? ", ignoring" : "", c->index ? ", by index" : "", c->graph ? ", graph" : "");
}

/* |got - expected| <= rtol |expected| + allowed; an expected number that is denormal may have become 0. */
static void expect(const call *c, const char *what, int64_t at, double got, exact expected, double rtol, exact allowed)
{
    const bool denormal = fabsl(expected) < (exact)tiny_of(c->dtype);
    const exact most = (denormal ? (exact)tiny_of(c->dtype) : (exact)rtol * fabsl(expected)) + allowed;
    char text[256];
    if (fabsl((exact)got - expected) <= most) return;
    say(text, c, what);
    fail_msg("%s at %lld: %.17g, expected %.17Lg", text, (long long)at, got, expected);
}

static void expect_exactly(const call *c, const char *what, int64_t at, double got, double expected)
{
    char text[256];
    if (got == expected) return;
    say(text, c, what);
    fail_msg("%s at %lld: %.17g, expected exactly %.17g", text, (long long)at, got, expected);
}

static bool same_bits(double a, double b)
{
    return isnan(a) ? isnan(b) : a == b && !signbit(a) == !signbit(b);
}

static void expect_same_bits(const call *c, const char *what, const outcome *a, const outcome *b)
{
    char text[256];
    say(text, c, what);
    if (a->n_values != b->n_values || a->n_slopes != b->n_slopes) fail_msg("%s: sizes differ", text);
    for (int64_t i = 0; i < a->n_values; i++)
        if (!same_bits(a->values[i], b->values[i]))
            fail_msg("%s: value %lld is %a and %a", text, (long long)i, a->values[i], b->values[i]);
    for (int64_t i = 0; i < a->n_slopes; i++)
        if (!same_bits(a->slopes[i], b->slopes[i]))
            fail_msg("%s: slope %lld is %a and %a", text, (long long)i, a->slopes[i], b->slopes[i]);
}

/* ---- 25 digits ---------------------------------------------------------------------------------------------- */

#if defined __GNUC__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdouble-promotion" /* the tables' NAN is a float */
#endif
typedef struct golden_point {
    const char *name;
    int from_logits;
    double x, y, a, b, value, slope; /* NAN: nothing to compare */
} golden_point;
static const golden_point golden_points[] = {
#include "golden/pointwise_losses.inc"
};

typedef struct golden_row {
    const char *name;
    int from_logits, classes;
    double x[5], y[5], value, slope[5];
} golden_row;
static const golden_row golden_rows[] = {
#include "golden/class_losses.inc"
};
#if defined __GNUC__
#pragma GCC diagnostic pop
#endif

/* The loss of a row of a table; NULL for one of test_segmentation_losses.c. */
static const loss *loss_of(const char *name, int from_logits)
{
    static const char *const elsewhere[] = {"huber", "smooth_l1", "focal"};
    const loss *l = find(name, from_logits != 0);
    for (int i = 0; i < COUNT(elsewhere); i++)
        if (!strcmp(name, elsewhere[i])) return NULL;
    if (!l && in_the_table(name)) fail_msg("the library has %s, this test has not", name);
    return l;
}

/* Rounding costs the 1e-12 and, where terms cancel, a few units of the largest of them. */
static void expect_golden(const call *c, const char *what, int64_t at, double got, double expected, exact size)
{
    if (!isnan(expected)) expect(c, what, at, got, (exact)expected, 1e-12, 4 * (exact)DBL_EPSILON * size);
}

static void golden_point_by_point(void **state)
{
    (void)state;
    int count[COUNT(pointwise)] = {0};
    for (int i = 0; i < COUNT(golden_points); i++) {
        const golden_point *g = &golden_points[i];
        const loss *l = loss_of(g->name, g->from_logits);
        if (!l) continue;
        const point size = l->at(l->logits, (exact)g->x, (exact)g->y, (exact)DBL_MIN);
        call c = {.l = l, .dtype = GR_F64, .p = &g->x, .y = &g->y, .o = {.reduction = GR_SUM}};
        for (int graph = 0; graph < 2; graph++) {
            c.graph = graph;
            outcome r = run(&c);
            expect_golden(&c, "the golden value", i, r.values[0], g->value, size.value_size);
            expect_golden(&c, "the golden slope", i, r.slopes[0], g->slope, size.slope_size);
            drop(&r);
        }
        count[l - pointwise]++;
    }
    for (int i = 0; i < COUNT(pointwise); i++)
        if (strcmp(pointwise[i].name, "zero_one") && count[i] < 15)
            fail_msg("only %d rows of %s", count[i], pointwise[i].name);
}

/* All rows of one loss as one array, again and again, so that each meets vector and scalar code, and in F32. */
static int64_t gather_points(const loss *l, int64_t n, double p[], double y[], const golden_point *from[])
{
    int64_t rows = 0;
    for (int i = 0; i < COUNT(golden_points); i++)
        if (loss_of(golden_points[i].name, golden_points[i].from_logits) == l) from[rows++] = &golden_points[i];
    for (int64_t i = 0; rows && i < n; i++) {
        from[i] = from[i % rows];
        p[i] = from[i]->x;
        y[i] = from[i]->y;
    }
    return rows;
}

enum { GOLDEN_ARRAY = 5001 };

static void golden_array(const loss *l)
{
    static double p[GOLDEN_ARRAY], y[GOLDEN_ARRAY];
    static const golden_point *from[GOLDEN_ARRAY];
    if (!gather_points(l, GOLDEN_ARRAY, p, y, from)) return;
    call c = {.l = l, .dtype = GR_F64, .rank = 1, .shape = {GOLDEN_ARRAY}, .p = p, .y = y, .o = {.reduction = GR_NONE}};
    outcome r = run(&c);
    assert_int_equal(r.n_values, GOLDEN_ARRAY);
    for (int64_t i = 0; i < GOLDEN_ARRAY; i++) {
        const point size = l->at(l->logits, (exact)p[i], (exact)y[i], (exact)DBL_MIN);
        expect_golden(&c, "the golden value", i, r.values[i], from[i]->value, size.value_size);
        expect_golden(&c, "the golden slope", i, r.slopes[i], from[i]->slope, size.slope_size);
    }
    drop(&r);
}

static void golden_arrays(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(pointwise); i++) golden_array(&pointwise[i]);
}

/* Rows rounded to F32, against the F64 loss of the rounded numbers. */
static bool fits_f32(double x)
{
    return (fabs(x) <= (double)FLT_MAX && fabs(x) >= (double)FLT_MIN) || x == 0;
}

static void golden_points_in_f32(void **state)
{
    (void)state;
    int count = 0;
    for (int i = 0; i < COUNT(golden_points); i++) {
        const golden_point *g = &golden_points[i];
        const loss *l = loss_of(g->name, g->from_logits);
        const double x = (double)(float)g->x, y = (double)(float)g->y;
        if (!l || !fits_f32(g->x) || !fits_f32(g->y) || (l->at == bce_at && !l->logits && (x == 0 || x == 1))) continue;
        call c = {.l = l, .dtype = GR_F64, .p = &x, .y = &y, .o = {.reduction = GR_SUM}};
        outcome wide = run(&c);
        c.dtype = GR_F32;
        outcome narrow = run(&c);
        const point size = l->at(l->logits, (exact)x, (exact)y, (exact)FLT_MIN);
        if (fabs(wide.values[0]) < (double)FLT_MAX) {
            expect(&c, "the value", i, narrow.values[0], (exact)wide.values[0], 0,
                   4 * (exact)FLT_EPSILON * size.value_size);
            expect(&c, "the slope", i, narrow.slopes[0], (exact)wide.slopes[0], 0,
                   4 * (exact)FLT_EPSILON * size.slope_size);
            count++;
        }
        drop(&wide);
        drop(&narrow);
    }
    assert_true(count > 150);
}

/* The sizes of the terms of a row of the table. */
static void size_of_row(row *r, const golden_row *g)
{
    exact x[5], t[5];
    for (int c = 0; c < g->classes; c++) {
        x[c] = (exact)g->x[c];
        t[c] = (exact)g->y[c];
    }
    class_row(r, !strcmp(g->name, "kl"), g->from_logits != 0, g->classes, x, t, NULL, (exact)DBL_MIN);
}

/* The class of a target that is a share of 1 for one class; -1 for another. */
static int32_t class_of(const golden_row *g)
{
    int32_t class = -1;
    for (int32_t c = 0; c < g->classes; c++) {
        if (g->y[c] == 1 && class < 0) class = c;
        else if (g->y[c] != 0) return -1;
    }
    return class;
}

static void check_golden_row(const golden_row *g, int i, const call *c)
{
    row size;
    size_of_row(&size, g);
    outcome r = run(c);
    expect_golden(c, "the golden value", i, r.values[0], g->value, size.value_size);
    for (int k = 0; k < g->classes; k++)
        expect_golden(c, "the golden slope", i, r.slopes[k], g->slope[k], size.slope_size[k]);
    drop(&r);
}

static void golden_row_by_row(void **state)
{
    (void)state;
    int count[COUNT(class_losses)] = {0}, by_index = 0;
    for (int i = 0; i < COUNT(golden_rows); i++) {
        const golden_row *g = &golden_rows[i];
        const loss *l = loss_of(g->name, g->from_logits);
        if (!l) continue;
        call c = {.l = l,
                  .dtype = GR_F64,
                  .rank = 2,
                  .shape = {1, g->classes},
                  .p = g->x,
                  .y = g->y,
                  .o = {.reduction = GR_SUM}};
        check_golden_row(g, i, &c);
        const int32_t class = class_of(g);
        count[l - class_losses]++;
        if (class < 0) continue;
        c.index = &class;
        check_golden_row(g, i, &c);
        by_index++;
    }
    for (int i = 0; i < COUNT(class_losses); i++)
        if (count[i] < 50) fail_msg("only %d rows of %s", count[i], class_losses[i].name);
    assert_true(by_index > 50);
}

/* All rows of one loss and number of classes as one tensor, [n,C] or, with the classes apart, [1,C,n]. */
static void golden_block(const loss *l, int classes, bool apart)
{
    const golden_row *from[COUNT(golden_rows)];
    double p[5 * COUNT(golden_rows)], y[5 * COUNT(golden_rows)];
    int n = 0;
    for (int i = 0; i < COUNT(golden_rows); i++)
        if (loss_of(golden_rows[i].name, golden_rows[i].from_logits) == l && golden_rows[i].classes == classes)
            from[n++] = &golden_rows[i];
    for (int i = 0; i < n * classes; i++) {
        const int at = apart ? i % classes * n + i / classes : i;
        p[at] = from[i / classes]->x[i % classes];
        y[at] = from[i / classes]->y[i % classes];
    }
    assert_true(n > 0);
    call c = {.l = l,
              .dtype = GR_F64,
              .rank = apart ? 3 : 2,
              .shape = {apart ? 1 : n, classes, n},
              .p = p,
              .y = y,
              .o = {.reduction = GR_NONE}};
    outcome r = run(&c);
    assert_int_equal(r.n_values, n);
    for (int i = 0; i < n; i++) {
        row size;
        size_of_row(&size, from[i]);
        expect_golden(&c, "the golden value", i, r.values[i], from[i]->value, size.value_size);
        for (int k = 0; k < classes; k++)
            expect_golden(&c, "the golden slope", i, r.slopes[apart ? k * n + i : i * classes + k], from[i]->slope[k],
                          size.slope_size[k]);
    }
    drop(&r);
}

static void golden_blocks(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(class_losses); i++)
        for (int classes = 2; classes <= 5; classes++) {
            golden_block(&class_losses[i], classes, false);
            golden_block(&class_losses[i], classes, true);
        }
}

/* ---- Whole arrays against plain loops ----------------------------------------------------------------------- */

/* Which options are on. */
typedef struct setup {
    gr_reduction reduction;
    bool weighted, class_weighted, ignore, by_index, graph;
    double smoothing;
} setup;

static const double IGNORED = -100;

static double draw(gr_rng *rng, double lo, double hi)
{
    return lo + (hi - lo) * gr_rng_uniform(rng);
}

static double draw_prediction(const loss *l, gr_rng *rng)
{
    const int64_t kind = gr_rng_below(rng, 16);
    if (l->targets == SHARES && !l->logits)
        return kind == 0 ? 0 : kind == 1 ? 1 : kind == 2 ? 1e-9 : gr_rng_uniform(rng);
    if (l->targets == BITS && !l->logits) return kind == 0 ? 0.5 : gr_rng_uniform(rng);
    if (l->logits) return kind == 0 ? 40 : kind == 1 ? -60 : kind == 2 ? 0 : draw(rng, -8, 8);
    return kind == 0 ? 1 : kind == 1 ? -1 : draw(rng, -3, 3);
}

static double draw_target(const loss *l, gr_rng *rng, double p)
{
    const int64_t kind = gr_rng_below(rng, 8);
    switch (l->targets) {
    case NUMBERS: return kind == 0 ? p : draw(rng, -3, 3);
    case BITS: return kind < 4;
    case SIGNS: return kind < 4 ? -1 : 1;
    default: return kind < 3 ? 0 : kind < 6 ? 1 : gr_rng_uniform(rng);
    }
}

static void round_to(gr_dtype dtype, int64_t n, double x[])
{
    for (int64_t i = 0; dtype == GR_F32 && i < n; i++) x[i] = (double)(float)x[i];
}

/* The numbers of a call that was drawn, and what is expected of it. */
typedef struct trial {
    call c;
    double *p, *y, *weight, *class_weight;
    int32_t *index;
    int64_t positions, classes, inner; /* of [positions / inner, classes, inner]; pointwise: classes is 1 */
    exact *value, *value_size, *slope, *slope_size;
    exact sum, sum_size;
    int64_t count;
} trial;

static exact *exacts(int64_t n)
{
    exact *x = calloc((size_t)n + 1, sizeof *x);
    assert_non_null(x);
    return x;
}

static trial new_trial(const loss *l, gr_dtype dtype, const setup *s, int64_t n, int64_t classes, int64_t inner)
{
    const int64_t size = n * classes * inner;
    trial t = {.positions = n * inner, .classes = classes, .inner = inner, .p = numbers(size), .y = numbers(size)};
    t.c = (call){.l = l,
                 .dtype = dtype,
                 .rank = l->classes ? inner > 1 ? 3 : 2 : 1,
                 .shape = {n, classes, inner},
                 .p = t.p,
                 .y = t.y,
                 .graph = s->graph,
                 .o = {.reduction = s->reduction, .label_smoothing = s->smoothing}};
    gr_rng rng = gr_rng_seed((uint64_t)size + 17);
    if (s->weighted) t.c.weight = t.weight = numbers(t.positions);
    for (int64_t i = 0; t.weight && i < t.positions; i++) t.weight[i] = gr_rng_below(&rng, 5) ? draw(&rng, 0, 2) : 0;
    if (s->class_weighted) t.c.class_weight = t.class_weight = numbers(classes);
    for (int64_t i = 0; t.class_weight && i < classes; i++) t.class_weight[i] = i % 4 == 1 ? 0 : draw(&rng, 0.5, 2);
    if (t.weight) round_to(dtype, t.positions, t.weight);
    if (t.class_weight) round_to(dtype, classes, t.class_weight);
    t.c.o.ignore = s->ignore;
    t.c.o.ignore_index = s->ignore ? IGNORED : 0;
    t.value = exacts(t.positions);
    t.value_size = exacts(t.positions);
    t.slope = exacts(size);
    t.slope_size = exacts(size);
    return t;
}

static void free_trial(trial *t)
{
    void *const all[] = {t->p,     t->y,          t->weight, t->class_weight, t->index,
                         t->value, t->value_size, t->slope,  t->slope_size};
    for (int i = 0; i < COUNT(all); i++) free(all[i]);
}

/* The factor of a position: its weight, 0 where it is ignored. */
static exact factor_of(const trial *t, int64_t i, bool ignored)
{
    return ignored ? 0 : t->weight ? (exact)t->weight[i] : 1;
}

/* Divides by the count, or leaves it: what the reduction says. */
static void reduce_trial(trial *t)
{
    const exact scale = t->c.o.reduction == GR_MEAN ? (t->count ? 1 / (exact)t->count : 0) : 1;
    for (int64_t i = 0; i < t->positions; i++) {
        t->sum += t->value[i] * scale;
        t->sum_size += t->value_size[i] * scale;
    }
    for (int64_t i = 0; i < t->positions * t->classes; i++) {
        t->slope[i] *= scale;
        t->slope_size[i] *= scale;
    }
}

static trial draw_points(const loss *l, gr_dtype dtype, const setup *s, int64_t n)
{
    trial t = new_trial(l, dtype, s, n, 1, 1);
    gr_rng rng = gr_rng_seed(23);
    for (int64_t i = 0; i < n; i++) {
        t.p[i] = draw_prediction(l, &rng);
        t.y[i] = s->ignore && gr_rng_below(&rng, 6) == 0 ? IGNORED : draw_target(l, &rng, t.p[i]);
    }
    round_to(dtype, n, t.p);
    round_to(dtype, n, t.y);
    for (int64_t i = 0; i < n; i++) {
        const bool ignored = s->ignore && t.y[i] == IGNORED;
        const exact w = factor_of(&t, i, ignored), smooth = (exact)s->smoothing;
        const exact y = smooth > 0 ? (1 - smooth) * (exact)t.y[i] + smooth / 2 : (exact)t.y[i];
        const point at = ignored ? (point){0, 0, 0, 0} : l->at(l->logits, (exact)t.p[i], y, (exact)tiny_of(dtype));
        t.value[i] = w * at.value;
        t.slope[i] = w * at.slope;
        t.value_size[i] = w * at.value_size;
        t.slope_size[i] = w * at.slope_size;
        t.count += !ignored;
    }
    reduce_trial(&t);
    return t;
}

/* Few units in the last place of each term, more of them for many classes and where the graph subtracts. */
static void compare(const trial *t)
{
    const call *c = &t->c;
    outcome r = run(c);
    const exact unit = (exact)epsilon_of(c->dtype) * (16 + (exact)t->classes / 16);
    if (c->o.reduction == GR_NONE)
        for (int64_t i = 0; i < t->positions; i++)
            expect(c, "the value", i, r.values[i], t->value[i], 0, unit * t->value_size[i]);
    else expect(c, "the sum", t->positions, r.values[0], t->sum, 0, 4 * unit * t->sum_size);
    for (int64_t i = 0; i < r.n_slopes; i++) {
        const exact one = c->o.reduction == GR_MEAN && t->count ? 1 / (exact)t->count : 1;
        const exact subtracted = c->graph && t->classes > 1 ? 4 * unit * one : 0; /* p sum T - T */
        expect(c, "the slope", i, r.slopes[i], t->slope[i], 0, unit * t->slope_size[i] + subtracted);
    }
    call quiet = *c;
    quiet.without_gradient = true;
    outcome q = run(&quiet);
    r.n_slopes = 0;
    expect_same_bits(c, "with and without a gradient", &r, &q);
    drop(&q);
    drop(&r);
}

static const setup setups[] = {
    {.reduction = GR_MEAN},
    {.reduction = GR_SUM},
    {.reduction = GR_NONE},
    {.reduction = GR_MEAN, .weighted = true},
    {.reduction = GR_NONE, .weighted = true},
    {.reduction = GR_MEAN, .ignore = true},
    {.reduction = GR_NONE, .ignore = true},
    {.reduction = GR_SUM, .weighted = true, .ignore = true},
    {.reduction = GR_MEAN, .graph = true},
    {.reduction = GR_NONE, .weighted = true, .ignore = true, .graph = true},
    {.reduction = GR_MEAN, .smoothing = 0.25},
    {.reduction = GR_NONE, .smoothing = 0.25, .weighted = true, .graph = true},
};

static bool applies(const setup *s, const loss *l)
{
    return s->smoothing == 0 || l->at == bce_at;
}

static void arrays_against_loops(void **state)
{
    (void)state;
    static const int64_t lengths[] = {1, 2, 3, 7, 15, 16, 17, 33, 2047, 2048, 2049, 4100};
    for (int i = 0; i < COUNT(pointwise); i++)
        for (int k = 0; k < COUNT(setups); k++)
            for (int m = 0; m < COUNT(lengths) * 2 && applies(&setups[k], &pointwise[i]); m++) {
                trial t = draw_points(&pointwise[i], m % 2 ? GR_F64 : GR_F32, &setups[k], lengths[m / 2]);
                compare(&t);
                free_trial(&t);
            }
}

/* Several blocks for the threads; and slopes of 8 MiB and more, which go past the caches. */
static void long_arrays_against_loops(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool logits;
        gr_dtype dtype;
        int64_t n;
        setup s;
    } rows[] = {
        {"l1", false, GR_F32, 40001, {.reduction = GR_MEAN}},
        {"hinge", false, GR_F64, 40001, {.reduction = GR_NONE}},
        {"bce", true, GR_F32, 40001, {.reduction = GR_MEAN, .ignore = true}},
        {"bce", false, GR_F64, 40001, {.reduction = GR_SUM}},
        {"zero_one", true, GR_F32, 40001, {.reduction = GR_MEAN}},
        {"mse", false, GR_F32, 16384, {.reduction = GR_MEAN, .graph = true}},
        {"mse", false, GR_F32, (1 << 21) + 3, {.reduction = GR_MEAN}},
        {"l1", false, GR_F32, (1 << 21) + 2047, {.reduction = GR_NONE}},
        {"hinge", false, GR_F32, 1 << 21, {.reduction = GR_SUM, .weighted = true}},
        {"mse", false, GR_F64, (1 << 20) + 3, {.reduction = GR_SUM}},
        {"bce", true, GR_F64, (1 << 20) + 1, {.reduction = GR_MEAN}},
    };
    for (int i = 0; i < COUNT(rows); i++) {
        trial t = draw_points(find(rows[i].name, rows[i].logits), rows[i].dtype, &rows[i].s, rows[i].n);
        compare(&t);
        free_trial(&t);
    }
}

/* Beyond 1024 blocks of the usual size blocks grow. The terms are small integers, so the sum is exact. */
static void more_blocks_than_there_are(void **state)
{
    (void)state;
    const int64_t n = 1024 * 16384 + 4321;
    gr_tape *t = gr_tape_new();
    gr_tensor *p = gr_zeros(GR_F32, GR_SHAPE(n)), *y = gr_zeros(GR_F32, GR_SHAPE(n));
    float *x = gr_f32(p);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        x[i] = (float)(i % 3);
        sum += (double)(i % 3) * (double)(i % 3);
    }
    assert_true(gr_item(gr_mse(t, p, y, &(gr_loss_options){.reduction = GR_SUM})) == (double)(float)sum);
    gr_tape_free(t);
    gr_tensor_free(p);
    gr_tensor_free(y);
}

/* ---- Whole arrays of classes -------------------------------------------------------------------------------- */

static int64_t place(const trial *t, int64_t i, int64_t c)
{
    return (i / t->inner * t->classes + c) * t->inner + i % t->inner;
}

/* Shares that add up to 1, some of them 0; probabilities need not. */
static void draw_row(trial *t, int64_t i, gr_rng *rng)
{
    double sum = 0;
    for (int64_t c = 0; c < t->classes; c++) {
        const int64_t kind = gr_rng_below(rng, 12);
        double *p = &t->p[place(t, i, c)], *y = &t->y[place(t, i, c)];
        const bool logits = t->c.l->logits;
        *p = logits ? draw(rng, -6, 6) : gr_rng_uniform(rng);
        if (kind == 0) *p = logits ? 45 : 0;
        if (kind == 1) *p = logits ? -100 : 1;
        *y = gr_rng_below(rng, 3) ? gr_rng_uniform(rng) + 0.01 : 0;
        sum += *y;
    }
    for (int64_t c = 0; c < t->classes; c++) t->y[place(t, i, c)] /= sum > 0 ? sum : 1;
}

static void expect_row(trial *t, int64_t i, const setup *s)
{
    exact x[MOST_CLASSES], share[MOST_CLASSES];
    const int32_t class = t->index ? t->index[i] : 0;
    const bool ignored = t->index && s->ignore && class == (int32_t)IGNORED;
    const exact w = factor_of(t, i, ignored), smooth = (exact)s->smoothing;
    for (int64_t c = 0; c < t->classes; c++) {
        const exact y = t->index ? class == c : (exact)t->y[place(t, i, c)];
        x[c] = (exact)t->p[place(t, i, c)];
        share[c] = smooth > 0 ? (1 - smooth) * y + smooth / (exact)t->classes : y;
    }
    row r;
    class_row(&r, is_kl(t->c.l), t->c.l->logits, t->classes, x, share, t->class_weight, (exact)tiny_of(t->c.dtype));
    t->value[i] = w * r.value;
    t->value_size[i] = w * r.value_size;
    for (int64_t c = 0; c < t->classes; c++) {
        t->slope[place(t, i, c)] = w * r.slope[c];
        t->slope_size[place(t, i, c)] = w * r.slope_size[c];
    }
    t->count += !ignored;
}

static trial draw_classes(const loss *l, gr_dtype dtype, const setup *s, int64_t n, int64_t classes, int64_t inner)
{
    trial t = new_trial(l, dtype, s, n, classes, inner);
    gr_rng rng = gr_rng_seed(29);
    for (int64_t i = 0; i < t.positions; i++) draw_row(&t, i, &rng);
    round_to(dtype, t.positions * classes, t.p);
    round_to(dtype, t.positions * classes, t.y);
    if (s->by_index) {
        t.c.index = t.index = calloc((size_t)t.positions + 1, sizeof *t.index);
        assert_non_null(t.index);
        for (int64_t i = 0; i < t.positions; i++)
            t.index[i] =
                s->ignore && gr_rng_below(&rng, 5) == 0 ? (int32_t)IGNORED : (int32_t)gr_rng_below(&rng, classes);
    }
    for (int64_t i = 0; i < t.positions; i++) expect_row(&t, i, s);
    reduce_trial(&t);
    return t;
}

static const setup class_setups[] = {
    {.reduction = GR_MEAN, .by_index = true},
    {.reduction = GR_SUM, .by_index = true},
    {.reduction = GR_NONE, .by_index = true},
    {.reduction = GR_MEAN},
    {.reduction = GR_SUM},
    {.reduction = GR_NONE},
    {.reduction = GR_MEAN, .by_index = true, .ignore = true},
    {.reduction = GR_NONE, .by_index = true, .ignore = true, .weighted = true},
    {.reduction = GR_MEAN, .by_index = true, .class_weighted = true},
    {.reduction = GR_MEAN, .class_weighted = true},
    {.reduction = GR_MEAN, .by_index = true, .weighted = true, .class_weighted = true, .ignore = true},
    {.reduction = GR_NONE, .weighted = true, .class_weighted = true},
    {.reduction = GR_MEAN, .by_index = true, .smoothing = 0.1},
    {.reduction = GR_NONE, .smoothing = 0.1, .class_weighted = true},
    {.reduction = GR_SUM, .by_index = true, .smoothing = 0.1, .ignore = true, .weighted = true},
    {.reduction = GR_MEAN, .by_index = true, .graph = true},
    {.reduction = GR_NONE, .graph = true},
    {.reduction = GR_MEAN, .by_index = true, .weighted = true, .class_weighted = true, .ignore = true, .graph = true},
    {.reduction = GR_NONE, .by_index = true, .smoothing = 0.1, .ignore = true, .weighted = true, .graph = true},
    {.reduction = GR_SUM, .smoothing = 0.1, .class_weighted = true, .graph = true},
};

static void classes_against_loops(void **state)
{
    (void)state;
    static const int64_t shapes[][3] = {{1, 1, 1},   {1, 2, 1},   {3, 2, 1},   {5, 3, 1},  {63, 10, 1},
                                        {64, 10, 1}, {65, 10, 1}, {200, 7, 1}, {9, 33, 1}, {2, 300, 1},
                                        {2, 3, 4},   {1, 5, 70},  {3, 4, 35}};
    for (int i = 0; i < COUNT(class_losses); i++)
        for (int k = 0; k < COUNT(class_setups); k++)
            for (int m = 0; m < COUNT(shapes) * 2; m++) {
                const int64_t *n = shapes[m / 2];
                trial t = draw_classes(&class_losses[i], m % 2 ? GR_F64 : GR_F32, &class_setups[k], n[0], n[1], n[2]);
                compare(&t);
                free_trial(&t);
            }
}

static void many_rows_against_loops(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(class_losses); i++)
        for (int k = 0; k < 4; k++) {
            trial t = draw_classes(&class_losses[i], k % 2 ? GR_F64 : GR_F32, &class_setups[k], 5003, 10, 1);
            compare(&t);
            free_trial(&t);
        }
}

/* ---- One call against another ------------------------------------------------------------------------------- */

/* The same numbers to a tolerance relative to 1 and to themselves. */
static void expect_alike(const call *c, const char *what, const outcome *a, const outcome *b, double tolerance)
{
    assert_int_equal(a->n_values, b->n_values);
    assert_int_equal(a->n_slopes, b->n_slopes);
    for (int64_t i = 0; i < a->n_values; i++)
        expect(c, what, i, a->values[i], (exact)b->values[i], tolerance, (exact)tolerance);
    for (int64_t i = 0; i < a->n_slopes; i++)
        expect(c, what, i, a->slopes[i], (exact)b->slopes[i], tolerance, (exact)tolerance);
}

static void compare_calls(const char *what, const call *a, const call *b, double tolerance)
{
    outcome first = run(a), second = run(b);
    expect_alike(a, what, &first, &second, tolerance);
    drop(&first);
    drop(&second);
}

enum { ROWS = 6, CLASSES = 4 };

/* [ROWS, CLASSES] of everything, for calls that differ in one option. */
typedef struct material {
    double logits[ROWS * CLASSES], probabilities[ROWS * CLASSES], shares[ROWS * CLASSES], one_hot[ROWS * CLASSES];
    double weight[ROWS], class_weight[CLASSES], cotangent[ROWS];
    int32_t index[ROWS];
} material;

static material new_material(void)
{
    material m = {.class_weight = {0.5, 2, 0, 1.25}};
    gr_rng rng = gr_rng_seed(31);
    for (int i = 0; i < ROWS; i++) {
        double sum = 0, total = 0;
        m.index[i] = (int32_t)gr_rng_below(&rng, CLASSES);
        m.weight[i] = draw(&rng, 0.25, 2);
        m.cotangent[i] = draw(&rng, -2, 2);
        for (int c = 0; c < CLASSES; c++) {
            m.logits[i * CLASSES + c] = draw(&rng, -3, 3);
            m.shares[i * CLASSES + c] = draw(&rng, 0.05, 1);
            m.one_hot[i * CLASSES + c] = c == m.index[i];
            sum += m.shares[i * CLASSES + c];
            total += exp(m.logits[i * CLASSES + c]);
        }
        for (int c = 0; c < CLASSES; c++) {
            m.shares[i * CLASSES + c] /= sum;
            m.probabilities[i * CLASSES + c] = exp(m.logits[i * CLASSES + c]) / total;
        }
    }
    return m;
}

static call call_of(const loss *l, const material *m)
{
    return (call){.l = l,
                  .dtype = GR_F64,
                  .rank = 2,
                  .shape = {ROWS, CLASSES},
                  .p = l->logits ? m->logits : m->probabilities,
                  .y = m->shares};
}

static void a_mean_is_a_sum_over_the_count(void **state)
{
    (void)state;
    static const setup kinds[] = {{.weighted = false}, {.weighted = true}, {.class_weighted = true}, {.ignore = true}};
    material m = new_material();
    for (int i = 0; i < COUNT(class_losses) * COUNT(kinds); i++) {
        const setup *s = &kinds[i % COUNT(kinds)];
        call c = call_of(&class_losses[i / COUNT(kinds)], &m);
        c.index = m.index;
        c.weight = s->weighted ? m.weight : NULL;
        c.class_weight = s->class_weighted ? m.class_weight : NULL;
        c.o.ignore = s->ignore;
        c.o.ignore_index = 2;
        int count = 0;
        for (int k = 0; k < ROWS; k++) count += !s->ignore || m.index[k] != 2;
        assert_true(!s->ignore || (count > 0 && count < ROWS));
        c.o.reduction = GR_SUM;
        outcome sum = run(&c);
        c.o.reduction = GR_NONE;
        outcome none = run(&c);
        double total = 0;
        for (int k = 0; k < ROWS; k++) total += none.values[k];
        expect(&c, "the sum of all", 0, sum.values[0], (exact)total, 1e-14, 0);
        c.o.reduction = GR_MEAN;
        outcome mean = run(&c);
        expect(&c, "the mean", 0, mean.values[0], (exact)(sum.values[0] / count), 1e-14, 0);
        for (int k = 0; k < ROWS * CLASSES; k++)
            expect(&c, "the mean's slope", k, mean.slopes[k], (exact)(sum.slopes[k] / count), 1e-14, 0);
        drop(&sum);
        drop(&none);
        drop(&mean);
    }
}

/* An ignored position is as if it were not there. */
static void ignored_positions_are_left_out(void **state)
{
    (void)state;
    const double p[] = {0.3, QNAN, 0.8, 0.25, INF}, y[] = {1, -7, 0, 1, -7};
    const double kept_p[] = {0.3, 0.8, 0.25}, kept_y[] = {1, 0, 1};
    for (int i = 0; i < COUNT(pointwise); i++) {
        if (pointwise[i].targets == SIGNS) continue;
        for (int graph = 0; graph < 2; graph++) {
            call all = {.l = &pointwise[i],
                        .dtype = GR_F64,
                        .rank = 1,
                        .shape = {5},
                        .p = p,
                        .y = y,
                        .graph = graph,
                        .o = {.ignore = true, .ignore_index = -7}};
            call kept = {.l = &pointwise[i], .dtype = GR_F64, .rank = 1, .shape = {3}, .p = kept_p, .y = kept_y};
            outcome a = run(&all), b = run(&kept);
            const double expected[] = {b.slopes[0], 0, b.slopes[1], b.slopes[2], 0};
            expect(&all, "the value", 0, a.values[0], (exact)b.values[0], 1e-15, 0);
            for (int k = 0; k < 5; k++) expect(&all, "the slope", k, a.slopes[k], (exact)expected[k], 1e-15, 0);
            assert_true(a.slopes[1] == 0 && a.slopes[4] == 0);
            drop(&a);
            drop(&b);
        }
    }
}

/* An index to ignore that F32 does not hold is compared as F32 does. */
static void an_ignored_fraction(void **state)
{
    (void)state;
    const double p[] = {0.5, 0.5, 0.5}, y[] = {0.1, 0.6, 0.1};
    call c = {
        .l = find("mse", false), .rank = 1, .shape = {3}, .p = p, .y = y, .o = {.ignore = true, .ignore_index = 0.1}};
    for (int k = 0; k < 4; k++) {
        c.dtype = k % 2 ? GR_F64 : GR_F32;
        c.graph = k / 2;
        outcome r = run(&c);
        expect(&c, "the value", 0, r.values[0], 0.01L, 1e-6, 0);
        expect(&c, "the slope", 1, r.slopes[1], -0.2L, 1e-6, 0);
        assert_true(r.slopes[0] == 0 && r.slopes[2] == 0);
        drop(&r);
    }
}

static void all_ignored_is_nothing(void **state)
{
    (void)state;
    const double p[] = {0.3, 0.6, 0.2, 0.9, 0.1, 0.5}, y[] = {-7, -7, -7, -7, -7, -7};
    const int32_t index[] = {-7, -7};
    for (int i = 0; i < COUNT(pointwise) + COUNT(class_losses); i++)
        for (int k = 0; k < 12; k++) {
            const bool classes = i >= COUNT(pointwise);
            call c = {.l = classes ? &class_losses[i - COUNT(pointwise)] : &pointwise[i],
                      .dtype = k % 2 ? GR_F64 : GR_F32,
                      .rank = 2,
                      .shape = {2, 3},
                      .p = p,
                      .y = y,
                      .index = classes ? index : NULL,
                      .graph = k / 2 % 2,
                      .o = {.reduction = (gr_reduction)(k / 4), .ignore = true, .ignore_index = -7}};
            outcome r = run(&c);
            for (int64_t m = 0; m < r.n_values; m++) assert_true(r.values[m] == 0);
            for (int64_t m = 0; m < r.n_slopes; m++) assert_true(r.slopes[m] == 0);
            drop(&r);
        }
}

static void smoothing_is_a_smoothed_target(void **state)
{
    (void)state;
    material m = new_material();
    const double s = 0.2;
    double smooth[ROWS * CLASSES], smooth_hot[ROWS * CLASSES], smooth_half[ROWS * CLASSES];
    for (int i = 0; i < ROWS * CLASSES; i++) {
        smooth[i] = (1 - s) * m.shares[i] + s / CLASSES;
        smooth_hot[i] = (1 - s) * m.one_hot[i] + s / CLASSES;
        smooth_half[i] = (1 - s) * m.shares[i] + s / 2;
    }
    for (int i = 0; i < COUNT(class_losses); i++) {
        call soft = call_of(&class_losses[i], &m), hot = soft, explicit = soft;
        soft.o.label_smoothing = hot.o.label_smoothing = s;
        hot.index = m.index;
        explicit.y = smooth;
        compare_calls("shares", &soft, &explicit, 1e-14);
        explicit.y = smooth_hot;
        compare_calls("indices", &hot, &explicit, 1e-14);
    }
    for (int logits = 0; logits < 2; logits++) {
        call soft = call_of(find("bce", logits), &m), explicit = soft;
        soft.o.label_smoothing = s;
        explicit.y = smooth_half;
        compare_calls("smoothed", &soft, &explicit, 1e-14);
    }
}

static void an_index_is_a_share_of_one(void **state)
{
    (void)state;
    material m = new_material();
    for (int i = 0; i < COUNT(class_losses) * 2; i++) {
        call hot = call_of(&class_losses[i / 2], &m), index = hot;
        hot.y = m.one_hot;
        index.index = m.index;
        hot.graph = index.graph = i % 2;
        for (int k = 0; k < GR_N_REDUCTIONS; k++) {
            hot.o.reduction = index.o.reduction = (gr_reduction)k;
            hot.weight = index.weight = k ? m.weight : NULL;
            hot.class_weight = index.class_weight = k == 2 ? m.class_weight : NULL;
            hot.cotangent = index.cotangent = k == 2 ? m.cotangent : NULL;
            compare_calls("an index", &index, &hot, 1e-14);
        }
    }
}

/* [2,CLASSES,3,1] holds the rows of [6,CLASSES] in another order of memory. */
static void images_are_rows(void **state)
{
    (void)state;
    material m = new_material();
    double p[ROWS * CLASSES], y[ROWS * CLASSES];
    for (int i = 0; i < COUNT(class_losses) * 4; i++) {
        call rows = call_of(&class_losses[i / 4], &m), image = rows;
        rows.o.reduction = image.o.reduction = GR_NONE;
        rows.index = image.index = i % 2 ? m.index : NULL;
        rows.weight = image.weight = m.weight;
        rows.class_weight = image.class_weight = m.class_weight;
        rows.cotangent = image.cotangent = m.cotangent;
        rows.graph = image.graph = i / 2 % 2;
        image.rank = 4;
        memcpy(image.shape, (int64_t[]){2, CLASSES, 3, 1}, 4 * sizeof(int64_t));
        for (int k = 0; k < ROWS * CLASSES; k++) {
            const int at = (k / CLASSES / 3 * CLASSES + k % CLASSES) * 3 + k / CLASSES % 3;
            p[at] = rows.p[k];
            y[at] = rows.y[k];
        }
        image.p = p;
        image.y = y;
        outcome a = run(&rows), b = run(&image);
        assert_int_equal(b.n_values, ROWS);
        for (int k = 0; k < ROWS; k++) expect(&image, "the value", k, b.values[k], (exact)a.values[k], 1e-15, 0);
        for (int k = 0; k < ROWS * CLASSES; k++) {
            const int at = (k / CLASSES / 3 * CLASSES + k % CLASSES) * 3 + k / CLASSES % 3;
            expect(&image, "the slope", k, b.slopes[at], (exact)a.slopes[k], 1e-14, 1e-15L);
        }
        drop(&a);
        drop(&b);
    }
}

/* KL = CE - H(y), Eq. 9 from Eq. 6; the gradients are the same. */
static void kl_is_cross_entropy_minus_entropy(void **state)
{
    (void)state;
    material m = new_material();
    for (int logits = 0; logits < 2; logits++) {
        call kl = call_of(find("kl", logits), &m), ce = call_of(find("cross_entropy", logits), &m);
        kl.o.reduction = ce.o.reduction = GR_NONE;
        outcome a = run(&kl), b = run(&ce);
        for (int i = 0; i < ROWS; i++) {
            double entropy = 0;
            for (int c = 0; c < CLASSES; c++) entropy -= m.shares[i * CLASSES + c] * log(m.shares[i * CLASSES + c]);
            expect(&kl, "the value", i, a.values[i], (exact)(b.values[i] - entropy), 1e-13, 0);
            assert_true(entropy > 0.1 && a.values[i] > 0);
        }
        for (int i = 0; i < ROWS * CLASSES; i++) expect(&kl, "the slope", i, a.slopes[i], (exact)b.slopes[i], 1e-15, 0);
        drop(&a);
        drop(&b);
    }
    call self = call_of(find("kl", false), &m); /* of a distribution from itself */
    self.y = self.p;
    outcome r = run(&self);
    assert_true(fabs(r.values[0]) < 1e-15);
    drop(&r);
}

/* Not of what is minimised, but of how it is differentiated. */
static void both_gradients_agree(void **state)
{
    (void)state;
    material m = new_material();
    const double bits[] = {1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 0};
    double signs[ROWS * CLASSES], weights[ROWS * CLASSES];
    for (int i = 0; i < ROWS * CLASSES; i++) {
        signs[i] = 2 * bits[i] - 1;
        weights[i] = i % 5 * 0.5;
    }
    for (int i = 0; i < (COUNT(pointwise) + COUNT(class_losses)) * GR_N_REDUCTIONS; i++) {
        const int which = i / GR_N_REDUCTIONS;
        const loss *l = which < COUNT(pointwise) ? &pointwise[which] : &class_losses[which - COUNT(pointwise)];
        call fused = call_of(l, &m);
        fused.y = l->targets == SIGNS ? signs : l->targets == BITS ? bits : m.shares;
        fused.o.reduction = (gr_reduction)(i % GR_N_REDUCTIONS);
        fused.weight = weights;
        fused.cotangent = m.logits;
        call graph = fused;
        graph.graph = true;
        compare_calls("fused", &fused, &graph, 1e-12);
    }
}

/* ---- What removes a term, and what does not ------------------------------------------------------------------ */

/* Positions 1 and 2 are gone, whatever their predictions, and the others finite. */
static void check_gone(const call *c)
{
    outcome r = run(c);
    const int64_t width = r.n_slopes / 4;
    for (int64_t k = 0; k < r.n_values; k++)
        if (!isfinite(r.values[k])) fail_msg("%s: a value of %g", c->l->name, r.values[k]);
    for (int64_t k = 0; k < r.n_slopes; k++)
        if (k / width == 1 || k / width == 2) expect_exactly(c, "the slope of nothing", k, r.slopes[k], 0);
        else if (!isfinite(r.slopes[k])) fail_msg("%s: a slope of %g", c->l->name, r.slopes[k]);
    drop(&r);
}

static void weight_zero_and_ignored_remove_a_term(void **state)
{
    (void)state;
    static const double weight[] = {1, 0, 0, 2}, y[] = {1, 1, 1, 1};
    static const double numbers_[] = {0.25, QNAN, INF, 0.75}, probabilities[] = {0.25, QNAN, QNAN, 0.75};
    static const double logit_rows[] = {0.25, 0.5, 1, QNAN, 0.5, 1, INF, -INF, QNAN, 0.75, 0.5, 1};
    static const double rows[] = {0.25, 0.5, 0.25, 0.5, QNAN, 0.25, 0, 1, QNAN, 0.75, 0.5, 0.25};
    static const double no_probabilities[] = {0.25, 0.5, 0.25, 5, QNAN, 0.25, 0, -1, QNAN, 0.75, 0.5, 0.25};
    static const int32_t index[] = {0, 2, 1, 1}, ignoring[] = {0, -7, -7, 1};
    for (int k = 0; k < 12; k++) {
        call c = {.dtype = k % 2 ? GR_F64 : GR_F32,
                  .rank = 1,
                  .shape = {4, 3},
                  .y = y,
                  .weight = weight,
                  .graph = k / 2 % 2,
                  .o = {.reduction = (gr_reduction)(k / 4)}};
        for (int i = 0; i < COUNT(pointwise); i++) {
            c.l = &pointwise[i];
            c.p = (c.l->at == bce_at || c.l->at == zero_one_at) && !c.l->logits ? probabilities : numbers_;
            check_gone(&c);
        }
        c.rank = 2;
        for (int i = 0; i < COUNT(class_losses) * 2; i++) {
            c.l = &class_losses[i / 2];
            c.p = c.l->logits ? logit_rows : i % 2 ? rows : no_probabilities;
            c.index = i % 2 ? index : ignoring;
            c.weight = i % 2 ? weight : NULL;
            c.o.ignore = i % 2 == 0;
            c.o.ignore_index = -7;
            check_gone(&c);
        }
    }
}

/* Target 0: whatever the logarithm. */
static void target_zero_removes_a_term(void **state)
{
    (void)state;
    const double p[] = {0, 1}, y[] = {0, 1}, slope[] = {1, -1}, class_slope[] = {0, -1};
    const double class_weight[] = {1, 0}, both[] = {1, 1}, certain[] = {1, 0}, weighted_slope[] = {-1, 0};
    for (int i = 0; i < 12; i++) {
        call c = {.l = find("bce", false),
                  .dtype = i % 2 ? GR_F64 : GR_F32,
                  .rank = 1,
                  .shape = {2},
                  .p = p,
                  .y = y,
                  .o = {.reduction = GR_SUM},
                  .graph = i / 2 % 2};
        if (i >= 4) c.l = find(i >= 8 ? "kl" : "cross_entropy", false), c.rank = 2, c.shape[0] = 1, c.shape[1] = 2;
        outcome r = run(&c);
        assert_true(r.values[0] == 0);
        for (int k = 0; k < 2; k++) expect_exactly(&c, "the slope", k, r.slopes[k], (i < 4 ? slope : class_slope)[k]);
        drop(&r);
        if (i < 4) continue;
        c.class_weight = class_weight; /* the same of a class of weight 0 */
        c.p = certain;
        c.y = both;
        r = run(&c);
        assert_true(r.values[0] == 0);
        for (int k = 0; k < 2; k++) expect_exactly(&c, "the weighted slope", k, r.slopes[k], weighted_slope[k]);
        drop(&r);
    }
}

/* d2l/dp2 = (1-y)/(1-p)^2 + y/p^2 is 1 for a prediction that is certain and right, not 0/0. */
static void second_derivative_of_a_certain_prediction(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    for (int k = 0; k < 4; k++) {
        gr_tensor *p = gr_scalar(k / 2 ? GR_F64 : GR_F32, k % 2), *y = gr_copy(p), *d1, *d2;
        assert_int_equal(gr_require_grad(p), GR_OK);
        assert_int_equal(gr_grad(t, gr_bce(t, p, y, NULL), &p, 1, &d1, GR_CREATE_GRAPH), GR_OK);
        assert_int_equal(gr_grad(t, d1, &p, 1, &d2, 0), GR_OK);
        if (gr_item(d2) != 1) fail_msg("the second derivative of bce at p = y = %d is %g", k % 2, gr_item(d2));
        gr_tape_reset(t);
        gr_tensor_free(p);
        gr_tensor_free(y);
    }
    gr_tape_free(t);
}

/* A NaN prediction shows in its own value and slopes, in every reduction, and nowhere else. */
static void nan_predictions_propagate(void **state)
{
    (void)state;
    enum { N = 21, WIDTH = 3, AT = 17 };
    double p[N * WIDTH], y[N * WIDTH];
    int32_t index[N];
    for (int i = 0; i < (COUNT(pointwise) + COUNT(class_losses) * 2) * 8; i++) {
        const int which = i / 8, classes = which >= COUNT(pointwise), width = classes ? WIDTH : 1;
        const loss *l = classes ? &class_losses[(which - COUNT(pointwise)) / 2] : &pointwise[which];
        for (int k = 0; k < N * WIDTH; k++) {
            p[k] = 0.1 + 0.01 * k;
            y[k] = classes ? 1.0 / WIDTH : 1;
            index[k / WIDTH] = k / WIDTH % WIDTH;
        }
        p[AT * width + (classes ? index[AT] : 0)] = QNAN;
        call c = {.l = l,
                  .dtype = i % 2 ? GR_F64 : GR_F32,
                  .rank = classes ? 2 : 1,
                  .shape = {N, WIDTH},
                  .p = p,
                  .y = y,
                  .index = classes && which % 2 ? index : NULL,
                  .graph = i / 2 % 2,
                  .o = {.reduction = i / 4 % 2 ? GR_NONE : GR_MEAN}};
        outcome r = run(&c);
        for (int64_t k = 0; k < r.n_values; k++)
            if (!isnan(r.values[k]) == (k == AT || r.n_values == 1))
                fail_msg("%s: value %lld is %g", l->name, (long long)k, r.values[k]);
        for (int64_t k = 0; k < r.n_slopes; k++) {
            const bool hit = l->at != zero_one_at && (l->logits ? k / width == AT : isnan(p[k]));
            if (!isnan(r.slopes[k]) == hit) fail_msg("%s: slope %lld is %g", l->name, (long long)k, r.slopes[k]);
        }
        drop(&r);
    }
}

/* ---- Refused numbers ---------------------------------------------------------------------------------------- */

static const struct refusal {
    const char *name;
    bool logits, prediction; /* which of the two is out of range */
    double x;
    const char *expected; /* in the message, after the position */
} refusals[] = {
    {"l1", false, false, (double)NAN, "expected a number"},
    {"mse", false, false, (double)NAN, "expected a number"},
    {"zero_one", false, false, (double)NAN, "expected 0 or 1"},
    {"zero_one", true, false, 0.5, "expected 0 or 1"},
    {"hinge", false, false, 0, "expected -1 or 1"},
    {"hinge", false, false, (double)NAN, "expected -1 or 1"},
    {"bce", false, false, 1.25, "expected a number in [0,1]"},
    {"bce", true, false, -0.25, "expected a number in [0,1]"},
    {"bce", true, false, (double)NAN, "expected a number in [0,1]"},
    {"bce", true, false, (double)INFINITY, "expected a number in [0,1]"},
    {"bce", false, true, 1.5, "is outside [0,1]; are these logits?"},
    {"bce", false, true, -0.5, "is outside [0,1]; are these logits?"},
    {"cross_entropy", false, false, -0.5, "expected 0 or more"},
    {"cross_entropy", true, false, (double)NAN, "expected 0 or more"},
    {"kl", true, false, (double)INFINITY, "expected 0 or more"},
    {"kl", false, false, (double)NAN, "expected 0 or more"},
    {"cross_entropy", false, true, 3, "is outside [0,1]; are these logits?"},
    {"kl", false, true, -3, "is outside [0,1]; are these logits?"},
};

/* Runs a call that is to be refused; with a position's own weight of 0 too, and without a gradient. */
static void expect_refusal(const call *c, const char *position, const char *expected)
{
    gr_tape *t = gr_tape_new();
    arguments a = new_arguments(c);
    char text[256];
    gr_clear_error();
    gr_tensor *l = c->l->run(t, a.p, a.y, &a.o);
    say(text, c, expected);
    if (l || gr_last_status() != GR_ERR_VALUE || strncmp(gr_last_error(), c->l->name, strlen(c->l->name)) ||
        !strstr(gr_last_error(), position) || !strstr(gr_last_error(), expected))
        fail_msg("%s, %s: \"%s\"", text, position, gr_last_error());
    assert_int_equal(gr_tape_statistics(t).nodes, 0);
    gr_tensor *two = gr_scale(t, a.p, 2); /* the tape goes on */
    assert_non_null(two);
    gr_tape_free(t);
    free_arguments(&a);
}

static void check_refusal(const struct refusal *f, int64_t rows, int64_t at)
{
    enum { WIDTH = 3 };
    const loss *l = find(f->name, f->logits);
    double *p = numbers(rows * WIDTH), *y = numbers(rows * WIDTH), *weight = numbers(rows * WIDTH);
    for (int64_t i = 0; i < rows * WIDTH; i++) {
        p[i] = 0.25;
        y[i] = 1;
    }
    (f->prediction ? p : y)[at] = f->x;
    char position[64];
    snprintf(position, sizeof position, " at [%lld,%lld]", (long long)(at / WIDTH), (long long)(at % WIDTH));
    for (int k = 0; k < 8; k++) {
        call c = {.l = l,
                  .dtype = k % 2 ? GR_F64 : GR_F32,
                  .rank = 2,
                  .shape = {rows, WIDTH},
                  .p = p,
                  .y = y,
                  .weight = k / 2 % 2 ? weight : NULL,
                  .o = {.reduction = k / 4 % 2 ? GR_NONE : GR_MEAN},
                  .without_gradient = k % 3 == 0};
        expect_refusal(&c, position, f->expected);
    }
    free(p);
    free(y);
    free(weight);
}

static void bad_numbers_are_named(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(refusals); i++) {
        static const int64_t places[] = {0, 1, 4, 14};
        for (int k = 0; k < COUNT(places); k++) check_refusal(&refusals[i], 5, places[k]);
        check_refusal(&refusals[i], 7001, 3 * 7001 - 1); /* the last of the last block */
        check_refusal(&refusals[i], 7001, 6145);
    }
}

static void bad_indices_are_named(void **state)
{
    (void)state;
    const double p[] = {0.25, 0.5, 0.125, 0.5, 0.25, 0.125};
    for (int i = 0; i < COUNT(class_losses) * 8; i++) {
        const int32_t bad = i % 2 ? 3 : -1;
        const int32_t index[] = {1, bad};
        call c = {.l = &class_losses[i / 8],
                  .dtype = i / 2 % 2 ? GR_F64 : GR_F32,
                  .rank = 2,
                  .shape = {2, 3},
                  .p = p,
                  .index = index,
                  .o = {.label_smoothing = i / 4 % 2 ? 0.1 : 0}};
        expect_refusal(&c, " at [1]", i % 2 ? "class 3" : "class -1");
        c.o.ignore = true; /* another one */
        c.o.ignore_index = 5;
        expect_refusal(&c, " at [1]", "is outside the 3 classes");
    }
}

/* ---- Extremes ----------------------------------------------------------------------------------------------- */

/* Where PyTorch says 0. */
static void digits_that_others_lose(void **state)
{
    (void)state;
    const double x = 40, y = 1, rows[] = {40, 0};
    const int32_t class = 0;
    for (int k = 0; k < 4; k++) {
        call c = {.l = find("bce", true), .dtype = k % 2 ? GR_F64 : GR_F32, .p = &x, .y = &y};
        if (k / 2)
            c = (call){.l = find("cross_entropy", true),
                       .dtype = c.dtype,
                       .rank = 2,
                       .shape = {1, 2},
                       .p = rows,
                       .index = &class};
        outcome r = run(&c);
        const double tolerance = k % 2 ? 1e-12 : 1e-6;
        expect(&c, "the value", 0, r.values[0], 4.248354255291588986e-18L, tolerance, 0);
        expect(&c, "the slope", 0, r.slopes[0], -4.248354255291588977e-18L, tolerance, 0);
        drop(&r);
    }
}

/* Logits of 1000: exact, and finite. */
static const struct {
    double x, y, value, slope;
} huge[] = {{1000, 1, 0, 0},          {1000, 0, 1000, 1},      {-1000, 1, 1000, -1},          {-1000, 0, 0, 0},
            {0x1p100, 0, 0x1p100, 1}, {1000, 0.25, 750, 0.75}, {-0x1p100, 0.5, 0x1p99, -0.5}, {-0x1p100, 0, 0, 0}};

static const struct {
    double x[3], value, slope[3];
    int32_t class;
} huge_rows[] = {
    {{1000, -1000, 0}, 0, {0, 0, 0}, 0},     {{1000, -1000, 0}, 2000, {1, -1, 0}, 1},
    {{1000, -1000, 0}, 1000, {1, 0, -1}, 2}, {{0x1p100, -0x1p100, 0}, 0x1p101, {1, -1, 0}, 1},
    {{-1000, 0, -0x1p100}, 0, {0, 0, 0}, 1},
};

static void expect_huge(const call *c, double value, int n, const double slope[])
{
    outcome r = run(c);
    expect_exactly(c, "the value", 0, r.values[0], value);
    for (int k = 0; k < n; k++) expect_exactly(c, "the slope", k, r.slopes[k], slope[k]);
    drop(&r);
}

static void huge_logits_are_exact(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        call c = {.l = find("bce", true), .dtype = k % 2 ? GR_F64 : GR_F32, .graph = k / 2};
        for (int i = 0; i < COUNT(huge); i++) {
            c.p = &huge[i].x;
            c.y = &huge[i].y;
            expect_huge(&c, huge[i].value, 1, &huge[i].slope);
        }
        c.rank = 2;
        c.shape[0] = 1;
        c.shape[1] = 3;
        for (int i = 0; i < COUNT(huge_rows) * 4; i++) {
            const int32_t class = huge_rows[i / 4].class;
            const double one_hot[] = {class == 0, class == 1, class == 2};
            c.l = find(i % 2 ? "kl" : "cross_entropy", true);
            c.p = huge_rows[i / 4].x;
            c.y = one_hot;
            c.index = i / 2 % 2 ? &huge_rows[i / 4].class : NULL;
            expect_huge(&c, huge_rows[i / 4].value, 3, huge_rows[i / 4].slope);
        }
    }
}

/* ---- Kinks and steps ---------------------------------------------------------------------------------------- */

static void gradients_at_kinks(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double p, y, value, slope;
    } rows[] = {
        {"l1", 0.75, 0.75, 0, 0},   {"l1", 0, -0.0, 0, 0},       {"hinge", 1, 1, 0, 0},
        {"hinge", -1, -1, 0, 0},    {"hinge", 0.5, 1, 0.5, -1},  {"hinge", -0.5, -1, 0.5, 1},
        {"hinge", 1.5, 1, 0, 0},    {"mse", 0.5, 0.5, 0, 0},     {"zero_one", 0.5, 0, 0, 0},
        {"zero_one", 0.5, 1, 1, 0}, {"zero_one", 0.75, 1, 0, 0}, {"zero_one", 0.75, 0, 1, 0},
    };
    for (int i = 0; i < COUNT(rows) * 4; i++) {
        call c = {.l = find(rows[i / 4].name, false),
                  .dtype = i % 2 ? GR_F64 : GR_F32,
                  .p = &rows[i / 4].p,
                  .y = &rows[i / 4].y,
                  .graph = i / 2 % 2};
        outcome r = run(&c);
        expect_exactly(&c, "the value", 0, r.values[0], rows[i / 4].value);
        expect_exactly(&c, "the slope", 0, r.slopes[0], rows[i / 4].slope);
        drop(&r);
    }
}

/* The gradient of 0-1 is there, and is 0: ten steps later every weight is where it was. */
static void zero_one_moves_nothing(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(5);
    gr_params *params = gr_params_new();
    gr_tensor *w = gr_params_add(params, "w", gr_normal(GR_F32, GR_SHAPE(3, 1), 0, 1, &rng)), *before = gr_copy(w);
    gr_tensor *x = gr_normal(GR_F32, GR_SHAPE(20, 3), 0, 1, &rng), *y = gr_zeros(GR_F32, GR_SHAPE(20, 1));
    for (int i = 0; i < 20; i++) assert_int_equal(gr_set(y, i, i % 2), GR_OK);
    gr_optimizer *opt = gr_sgd(params, &(gr_sgd_options){.lr = 0.5, .momentum = 0.9});
    gr_tape *t = gr_tape_new();
    for (int step = 0; step < 10; step++) {
        gr_tensor *l = gr_zero_one(t, gr_matmul(t, x, w, 0), y, &(gr_loss_options){.from_logits = true});
        assert_true(gr_item(l) > 0);
        assert_int_equal(gr_backward(t, l, 0), GR_OK);
        assert_non_null(gr_gradient(w));
        for (int i = 0; i < 3; i++) assert_true(gr_get(gr_gradient(w), i) == 0);
        assert_int_equal(gr_step(opt), GR_OK);
        gr_tape_reset(t);
    }
    assert_memory_equal(gr_read_f32(w), gr_read_f32(before), 3 * sizeof(float));
    gr_tape_free(t);
    gr_optimizer_free(opt);
    gr_params_free(params);
    gr_tensor_free(before);
    gr_tensor_free(x);
    gr_tensor_free(y);
}

/* ---- Gradients of targets ----------------------------------------------------------------------------------- */

static gr_tensor *loss_of_target(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    const call *c = context;
    gr_loss_options o = c->o;
    o.from_logits = c->l->logits;
    o.weight = n > 2 ? x[2] : NULL;
    o.class_weight = n > 3 ? x[3] : NULL;
    return c->l->run(t, x[0], x[1], &o);
}

static void check_target(const call *c)
{
    gr_tensor *x[] = {tensor_of(GR_F64, 2, c->shape, c->p), tensor_of(GR_F64, 2, c->shape, c->y), NULL, NULL};
    int64_t shape[GR_MAX_RANK];
    const int rank = result_shape(c, shape), n = c->class_weight ? 4 : c->weight ? 3 : 2;
    if (c->weight) x[2] = tensor_of(GR_F64, rank, shape, c->weight);
    if (c->class_weight) x[3] = tensor_of(GR_F64, 1, &c->shape[1], c->class_weight);
    assert_int_equal(gr_require_grad(x[1]), GR_OK);
    gr_check_report report;
    if (gr_check_gradients(loss_of_target, (void *)(uintptr_t)c, x, n, NULL, &report))
        fail_msg("%s: %s", c->l->name, gr_last_error());
    if (report.verdict != GR_CHECK_PASS)
        fail_msg("%s, target %lld: analytic %.12g, numeric %.12g", c->l->name, (long long)report.index, report.analytic,
                 report.numeric);
    assert_int_equal(report.compared, ROWS * CLASSES);
    for (int i = 0; i < 4; i++) gr_tensor_free(x[i]);
}

static void targets_have_gradients(void **state)
{
    (void)state;
    material m = new_material();
    double weight[ROWS * CLASSES];
    for (int i = 0; i < ROWS * CLASSES; i++) weight[i] = i % 3 * 0.75;
    for (int i = 0; i < (COUNT(pointwise) + COUNT(class_losses)) * GR_N_REDUCTIONS; i++) {
        const int which = i / GR_N_REDUCTIONS, classes = which >= COUNT(pointwise);
        const loss *l = classes ? &class_losses[which - COUNT(pointwise)] : &pointwise[which];
        if (l->targets == BITS || l->targets == SIGNS) continue;
        call c = call_of(l, &m);
        c.o.reduction = (gr_reduction)(i % GR_N_REDUCTIONS);
        check_target(&c);
        c.weight = weight;
        c.class_weight = classes ? m.class_weight : NULL;
        c.o.label_smoothing = l->targets == SHARES ? 0.2 : 0;
        check_target(&c);
    }
}

/* Labels and weights have none, and say so. */
static void what_has_no_gradient_says_so(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    gr_tensor *p = gr_full(GR_F64, GR_SHAPE(2), 0.25), *y = gr_ones(GR_F64, GR_SHAPE(2)),
              *w = gr_ones(GR_F64, GR_SHAPE(2));
    assert_int_equal(gr_require_grad(w), GR_OK);
    assert_null(gr_mse(t, p, y, &(gr_loss_options){.weight = w}));
    assert_int_equal(gr_last_status(), GR_ERR_STATE);
    assert_non_null(strstr(gr_last_error(), "mse: input 2 requires a gradient"));
    assert_int_equal(gr_require_grad(y), GR_OK);
    assert_null(gr_hinge(t, p, y, NULL));
    assert_int_equal(gr_last_status(), GR_ERR_STATE);
    assert_null(gr_zero_one(t, p, y, NULL));
    assert_int_equal(gr_last_status(), GR_ERR_STATE);
    gr_tape_free(t);
    gr_tensor_free(p);
    gr_tensor_free(y);
    gr_tensor_free(w);
}

/* ---- Nothing ------------------------------------------------------------------------------------------------ */

static void a_mean_over_nothing_is_an_error(void **state)
{
    (void)state;
    const double none[] = {0};
    for (int i = 0; i < (COUNT(pointwise) + COUNT(class_losses)) * GR_N_REDUCTIONS; i++) {
        const int which = i / GR_N_REDUCTIONS;
        call c = {.l = which < COUNT(pointwise) ? &pointwise[which] : &class_losses[which - COUNT(pointwise)],
                  .dtype = GR_F64,
                  .rank = 2,
                  .shape = {0, 3},
                  .p = none,
                  .y = none,
                  .o = {.reduction = (gr_reduction)(i % GR_N_REDUCTIONS)}};
        if (c.o.reduction == GR_MEAN) {
            gr_tape *t = gr_tape_new();
            arguments a = new_arguments(&c);
            assert_null(c.l->run(t, a.p, a.y, &a.o));
            assert_int_equal(gr_last_status(), GR_ERR_SHAPE);
            assert_non_null(strstr(gr_last_error(), "a mean over nothing"));
            gr_tape_free(t);
            free_arguments(&a);
            continue;
        }
        outcome r = run(&c);
        assert_int_equal(r.n_values, c.o.reduction == GR_SUM);
        if (r.n_values) assert_true(r.values[0] == 0);
        drop(&r);
    }
}

/* ---- Threads ------------------------------------------------------------------------------------------------ */

#ifdef _OPENMP
static outcome run_on(int threads, const call *c)
{
    omp_set_num_threads(threads);
    return run(c);
}

static void check_threads(trial t)
{
    const int threads = omp_get_max_threads();
    outcome one = run_on(1, &t.c), two = run_on(2, &t.c), three = run_on(3, &t.c);
    omp_set_num_threads(threads);
    expect_same_bits(&t.c, "one and two threads", &one, &two);
    expect_same_bits(&t.c, "one and three threads", &one, &three);
    drop(&one);
    drop(&two);
    drop(&three);
    free_trial(&t);
}
#endif

static void bits_do_not_depend_on_threads(void **state)
{
    (void)state;
#ifdef _OPENMP
    static const setup kinds[] = {{.reduction = GR_MEAN}, {.reduction = GR_SUM, .weighted = true, .graph = true}};
    for (int k = 0; k < 4; k++) {
        const gr_dtype dtype = k % 2 ? GR_F64 : GR_F32;
        for (int i = 0; i < COUNT(pointwise); i++)
            check_threads(draw_points(&pointwise[i], dtype, &kinds[k / 2], 100003));
        for (int i = 0; i < COUNT(class_losses); i++)
            check_threads(draw_classes(&class_losses[i], dtype, &kinds[k / 2], 7001, 7, 1));
        check_threads(draw_classes(&class_losses[1], dtype, &class_setups[k / 2], 7001, 7, 1));
    }
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_point_by_point),
        cmocka_unit_test(golden_arrays),
        cmocka_unit_test(golden_points_in_f32),
        cmocka_unit_test(golden_row_by_row),
        cmocka_unit_test(golden_blocks),
        cmocka_unit_test(arrays_against_loops),
        cmocka_unit_test(long_arrays_against_loops),
        cmocka_unit_test(more_blocks_than_there_are),
        cmocka_unit_test(classes_against_loops),
        cmocka_unit_test(many_rows_against_loops),
        cmocka_unit_test(a_mean_is_a_sum_over_the_count),
        cmocka_unit_test(ignored_positions_are_left_out),
        cmocka_unit_test(an_ignored_fraction),
        cmocka_unit_test(all_ignored_is_nothing),
        cmocka_unit_test(smoothing_is_a_smoothed_target),
        cmocka_unit_test(an_index_is_a_share_of_one),
        cmocka_unit_test(images_are_rows),
        cmocka_unit_test(kl_is_cross_entropy_minus_entropy),
        cmocka_unit_test(both_gradients_agree),
        cmocka_unit_test(weight_zero_and_ignored_remove_a_term),
        cmocka_unit_test(target_zero_removes_a_term),
        cmocka_unit_test(second_derivative_of_a_certain_prediction),
        cmocka_unit_test(nan_predictions_propagate),
        cmocka_unit_test(bad_numbers_are_named),
        cmocka_unit_test(bad_indices_are_named),
        cmocka_unit_test(digits_that_others_lose),
        cmocka_unit_test(huge_logits_are_exact),
        cmocka_unit_test(gradients_at_kinks),
        cmocka_unit_test(zero_one_moves_nothing),
        cmocka_unit_test(targets_have_gradients),
        cmocka_unit_test(what_has_no_gradient_says_so),
        cmocka_unit_test(a_mean_over_nothing_is_an_error),
        cmocka_unit_test(bits_do_not_depend_on_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
