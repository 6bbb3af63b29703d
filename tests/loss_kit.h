/* loss_kit.h: what the tests of losses share: every loss in each of its forms, a call with numbers for tensors. */
#ifndef GR_TESTS_LOSS_KIT_H
#define GR_TESTS_LOSS_KIT_H

#include <float.h>
#include "helpers.h"
#include "loss_reference.h"
#include <gradus/gradus.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* ---- The losses, each in each of its forms ----------------------------------------------------------------------- */

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

static inline const loss *find(const char *name, bool logits)
{
    for (int i = 0; i < COUNT(pointwise); i++)
        if (!strcmp(pointwise[i].name, name) && pointwise[i].logits == logits) return &pointwise[i];
    for (int i = 0; i < COUNT(class_losses); i++)
        if (!strcmp(class_losses[i].name, name) && class_losses[i].logits == logits) return &class_losses[i];
    return NULL;
}

static inline bool is_kl(const loss *l) { return !strcmp(l->name, "kl"); }

static inline bool in_the_table(const char *name)
{
    for (int i = 0; gr_op_at(i); i++)
        if (!strcmp(gr_op_at(i)->name, name)) return true;
    return false;
}

static inline double tiny_of(gr_dtype dtype) { return dtype == GR_F32 ? (double)FLT_MIN : DBL_MIN; }

static inline double epsilon_of(gr_dtype dtype) { return dtype == GR_F32 ? (double)FLT_EPSILON : DBL_EPSILON; }

/* ---- A call, with numbers for tensors ---------------------------------------------------------------------------- */

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

static inline double *numbers(int64_t n)
{
    double *x = calloc((size_t)n + 1, sizeof *x);
    assert_non_null(x);
    return x;
}

static inline gr_tensor *tensor_of(gr_dtype dtype, int rank, const int64_t shape[], const double x[])
{
    gr_tensor *t = gr_zeros(dtype, rank, shape);
    assert_non_null(t);
    if (dtype == GR_F64) memcpy(gr_f64(t), x, (size_t)gr_size(t) * sizeof *x);
    for (int64_t i = 0; dtype == GR_F32 && i < gr_size(t); i++) gr_f32(t)[i] = (float)x[i];
    return t;
}

static inline double *numbers_of(const gr_tensor *t)
{
    const int64_t n = gr_size(t);
    double *x = numbers(n);
    if (gr_dtype_of(t) == GR_F64) memcpy(x, gr_read_f64(t), (size_t)n * sizeof *x);
    else
        for (int64_t i = 0; i < n; i++) x[i] = (double)gr_read_f32(t)[i];
    return x;
}

/* The shape of GR_NONE's result: the prediction's, without axis 1 for classes. */
static inline int result_shape(const call *c, int64_t shape[])
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

static inline arguments new_arguments(const call *c)
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

static inline void free_arguments(arguments *a)
{
    gr_tensor *const all[] = {a->p, a->y, a->weight, a->class_weight, a->cotangent};
    for (int i = 0; i < COUNT(all); i++) gr_tensor_free(all[i]);
}

static inline gr_tensor *slope_of(const call *c, gr_tape *t, gr_tensor *l, const arguments *a)
{
    const bool whole = c->o.reduction == GR_NONE;
    gr_tensor *d = NULL, *p = a->p;
    gr_status status;
    if (c->graph) status = gr_vjp(t, l, whole ? a->cotangent : NULL, &p, 1, &d, GR_CREATE_GRAPH);
    else status = whole ? gr_backward_from(t, l, a->cotangent, 0) : gr_backward(t, l, 0);
    if (status) fail_msg("%s: %s", c->l->name, gr_last_error());
    return c->graph ? d : gr_gradient(p);
}

static inline outcome run(const call *c)
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

static inline void drop(outcome *r)
{
    free(r->values);
    free(r->slopes);
}

/* ---- Comparisons ------------------------------------------------------------------------------------------------- */

static inline void say(char text[256], const call *c, const char *what)
{
    static const char *const reductions[] = {[GR_MEAN] = "mean", [GR_SUM] = "sum", [GR_NONE] = "none"};
    snprintf(text, 256, "%s%s in %s, %s, %s%s%s%s%s", c->l->name, c->l->logits ? " of logits" : "",
             gr_dtype_name(c->dtype), what, reductions[c->o.reduction], c->weight ? ", weighted" : "",
             c->o.ignore ? ", ignoring" : "", c->index ? ", by index" : "", c->graph ? ", graph" : "");
}

/* |got - expected| <= rtol |expected| + allowed; an expected number that is denormal may have become 0. */
static inline void expect(const call *c, const char *what, int64_t at, double got, exact expected, double rtol,
                          exact allowed)
{
    const bool denormal = fabsl(expected) < (exact)tiny_of(c->dtype);
    const exact most = (denormal ? (exact)tiny_of(c->dtype) : (exact)rtol * fabsl(expected)) + allowed;
    char text[256];
    if (fabsl((exact)got - expected) <= most) return;
    say(text, c, what);
    fail_msg("%s at %lld: %.17g, expected %.17Lg", text, (long long)at, got, expected);
}

static inline void expect_exactly(const call *c, const char *what, int64_t at, double got, double expected)
{
    char text[256];
    if (got == expected) return;
    say(text, c, what);
    fail_msg("%s at %lld: %.17g, expected exactly %.17g", text, (long long)at, got, expected);
}

static inline bool same_bits(double a, double b) { return isnan(a) ? isnan(b) : a == b && !signbit(a) == !signbit(b); }

static inline void expect_same_bits(const call *c, const char *what, const outcome *a, const outcome *b)
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

/* ---- 25 digits --------------------------------------------------------------------------------------------------- */

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
static inline const loss *loss_of(const char *name, int from_logits)
{
    static const char *const elsewhere[] = {"huber", "smooth_l1", "focal"};
    const loss *l = find(name, from_logits != 0);
    for (int i = 0; i < COUNT(elsewhere); i++)
        if (!strcmp(name, elsewhere[i])) return NULL;
    if (!l && in_the_table(name)) fail_msg("the library has %s, this test has not", name);
    return l;
}

/* Rounding costs the 1e-12 and, where terms cancel, a few units of the largest of them. */
static inline void expect_golden(const call *c, const char *what, int64_t at, double got, double expected, exact size)
{
    if (!isnan(expected)) expect(c, what, at, got, (exact)expected, 1e-12, 4 * (exact)DBL_EPSILON * size);
}

/* ---- Whole arrays against plain loops ---------------------------------------------------------------------------- */

/* Which options are on. */
typedef struct setup {
    gr_reduction reduction;
    bool weighted, class_weighted, ignore, by_index, graph;
    double smoothing;
} setup;

static const double IGNORED = -100;

static inline double draw(gr_rng *rng, double lo, double hi) { return lo + (hi - lo) * gr_rng_uniform(rng); }

static inline void round_to(gr_dtype dtype, int64_t n, double x[])
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

static inline exact *exacts(int64_t n)
{
    exact *x = calloc((size_t)n + 1, sizeof *x);
    assert_non_null(x);
    return x;
}

static inline trial new_trial(const loss *l, gr_dtype dtype, const setup *s, int64_t n, int64_t classes, int64_t inner)
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

static inline void free_trial(trial *t)
{
    void *const all[] = {t->p,     t->y,          t->weight, t->class_weight, t->index,
                         t->value, t->value_size, t->slope,  t->slope_size};
    for (int i = 0; i < COUNT(all); i++) free(all[i]);
}

/* The factor of a position: its weight, 0 where it is ignored. */
static inline exact factor_of(const trial *t, int64_t i, bool ignored)
{
    return ignored ? 0 : t->weight ? (exact)t->weight[i] : 1;
}

/* Divides by the count, or leaves it: what the reduction says. */
static inline void reduce_trial(trial *t)
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

/* Few units in the last place of each term, more of them for many classes and where the graph subtracts. */
static inline void compare(const trial *t)
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

/* ---- Whole arrays of classes ------------------------------------------------------------------------------------- */

static inline int64_t place(const trial *t, int64_t i, int64_t c)
{
    return (i / t->inner * t->classes + c) * t->inner + i % t->inner;
}

/* Shares that add up to 1, some of them 0; probabilities need not. */
static inline void draw_row(trial *t, int64_t i, gr_rng *rng)
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

static inline void expect_row(trial *t, int64_t i, const setup *s)
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

static inline trial draw_classes(const loss *l, gr_dtype dtype, const setup *s, int64_t n, int64_t classes,
                                 int64_t inner)
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

/* ---- One call against another ------------------------------------------------------------------------------------ */

/* The same numbers to a tolerance relative to 1 and to themselves. */
static inline void expect_alike(const call *c, const char *what, const outcome *a, const outcome *b, double tolerance)
{
    assert_int_equal(a->n_values, b->n_values);
    assert_int_equal(a->n_slopes, b->n_slopes);
    for (int64_t i = 0; i < a->n_values; i++)
        expect(c, what, i, a->values[i], (exact)b->values[i], tolerance, (exact)tolerance);
    for (int64_t i = 0; i < a->n_slopes; i++)
        expect(c, what, i, a->slopes[i], (exact)b->slopes[i], tolerance, (exact)tolerance);
}

static inline void compare_calls(const char *what, const call *a, const call *b, double tolerance)
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

static inline material new_material(void)
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

static inline call call_of(const loss *l, const material *m)
{
    return (call){.l = l,
                  .dtype = GR_F64,
                  .rank = 2,
                  .shape = {ROWS, CLASSES},
                  .p = l->logits ? m->logits : m->probabilities,
                  .y = m->shares};
}

/* ---- Refused numbers --------------------------------------------------------------------------------------------- */

/* Runs a call that is to be refused; with a position's own weight of 0 too, and without a gradient. */
static inline void expect_refusal(const call *c, const char *position, const char *expected)
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

#endif
