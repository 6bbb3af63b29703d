/* test_segmentation_losses.c: the losses of segmentation.h against 25 digits computed elsewhere, against plain loops
 * and an enumeration of all orders, and against each other where two of them are the same thing. Each in both ways to a
 * gradient: the fused one, and the one that can be differentiated again. */
#include <float.h>

#include "helpers.h"

#include <gradus/check_cmocka.h>
#include <gradus/gradus.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))
#define QNAN ((double)NAN)

/* ---- The losses, all with one kind of options ------------------------------------------------------------------- */

/* Every option that any of them has; w is a weight of positives or of sensitivity, or a width. */
typedef struct any_options {
    gr_loss_options base;
    gr_region region;
    bool softmax, without_background, absent_classes;
    bool as_given; /* a 0 below is a 0 */
    double epsilon, fp_weight, fn_weight, gamma, alpha, w, mix;
} any_options;

typedef gr_tensor *loss_function(gr_tape *t, gr_tensor *x, gr_tensor *y, const any_options *o);

static gr_tensor *weighted_bce(gr_tape *t, gr_tensor *x, gr_tensor *y, const any_options *o)
{
    return gr_weighted_bce(t, x, y, &(gr_weighted_bce_options){.base = o->base, .beta = o->w, .as_given = o->as_given});
}

static gr_tensor *balanced_bce(gr_tape *t, gr_tensor *x, gr_tensor *y, const any_options *o)
{
    return gr_balanced_bce(t, x, y, &(gr_balanced_bce_options){.base = o->base, .region = o->region});
}

static gr_tensor *fixed_bce(gr_tape *t, gr_tensor *x, gr_tensor *y, const any_options *o)
{
    return gr_balanced_bce(
        t, x, y, &(gr_balanced_bce_options){.base = o->base, .region = o->region, .fixed = true, .beta = o->w});
}

static gr_tensor *focal(gr_tape *t, gr_tensor *x, gr_tensor *y, const any_options *o)
{
    return gr_focal(
        t, x, y, &(gr_focal_options){.base = o->base, .alpha = o->alpha, .gamma = o->gamma, .as_given = o->as_given});
}

static gr_tensor *huber(gr_tape *t, gr_tensor *x, gr_tensor *y, const any_options *o)
{
    return gr_huber(t, x, y, &(gr_huber_options){.base = o->base, .delta = o->w});
}

static gr_tensor *smooth_l1(gr_tape *t, gr_tensor *x, gr_tensor *y, const any_options *o)
{
    return gr_smooth_l1(t, x, y, &(gr_smooth_l1_options){.base = o->base, .beta = o->w});
}

static gr_region_options regions_of(const any_options *o)
{
    return (gr_region_options){.reduction = o->base.reduction,
                               .region = o->region,
                               .from_logits = o->base.from_logits,
                               .softmax = o->softmax,
                               .without_background = o->without_background,
                               .ignore = o->base.ignore,
                               .ignore_index = o->base.ignore_index,
                               .weight = o->base.weight,
                               .class_weight = o->base.class_weight};
}

/* gr_dice() and so on; NULL goes on as NULL. */
#define REGION_LOSS(name, options, ...)                                                       \
    static gr_tensor *name(gr_tape *t, gr_tensor *x, gr_tensor *y, const any_options *o)      \
    {                                                                                         \
        return gr_##name(t, x, y, o ? &(options){.base = regions_of(o), __VA_ARGS__} : NULL); \
    }
#define EPSILON .epsilon = o->epsilon, .unsmoothed = o->as_given && o->epsilon == 0
#define SIDES .fp_weight = o->fp_weight, .fn_weight = o->fn_weight
#define RATES \
    .epsilon = o->epsilon, .sensitivity_weight = o->w, .specificity_weight = o->as_given || o->w != 0 ? 1 - o->w : 0
REGION_LOSS(dice, gr_overlap_options, EPSILON)
REGION_LOSS(jaccard, gr_overlap_options, EPSILON)
REGION_LOSS(log_cosh_dice, gr_overlap_options, EPSILON)
REGION_LOSS(generalised_dice, gr_overlap_options, EPSILON)
REGION_LOSS(tversky, gr_tversky_options, EPSILON, SIDES)
REGION_LOSS(focal_tversky, gr_focal_tversky_options, EPSILON, SIDES, .gamma = o->gamma)
REGION_LOSS(sensitivity_specificity, gr_sensitivity_specificity_options, RATES)
REGION_LOSS(sensitivity_specificity_score, gr_sensitivity_specificity_options, RATES)
REGION_LOSS(dice_bce, gr_compound_options, EPSILON, .mix = o->mix)
REGION_LOSS(dice_ce, gr_compound_options, EPSILON, .mix = o->mix)
REGION_LOSS(dice_focal, gr_dice_focal_options, EPSILON, .mix = o->mix, .alpha = o->alpha, .gamma = o->gamma)
REGION_LOSS(lovasz_softmax, gr_lovasz_softmax_options, .absent_classes = o->absent_classes)

static gr_tensor *lovasz_hinge(gr_tape *t, gr_tensor *x, gr_tensor *y, const any_options *o)
{
    const gr_region_options regions = o ? regions_of(o) : (gr_region_options){0};
    return gr_lovasz_hinge(t, x, y, &regions);
}

static gr_tensor *soft_counts(gr_tape *t, gr_tensor *x, gr_tensor *y, const any_options *o)
{
    const gr_region_options regions = regions_of(o);
    return gr_soft_counts(t, x, y, &regions);
}

static const struct named {
    const char *name;
    loss_function *run;
} losses[] = {
    {"wbce", weighted_bce},
    {"bbce", fixed_bce},
    {"focal", focal},
    {"huber", huber},
    {"smooth_l1", smooth_l1},
    {"dice", dice},
    {"dice_classes", dice},
    {"tversky", tversky},
    {"focal_tversky", focal_tversky},
    {"jaccard", jaccard},
    {"sensitivity_specificity", sensitivity_specificity},
    {"log_cosh_dice", log_cosh_dice},
    {"generalised_dice", generalised_dice},
    {"dice_bce", dice_bce},
    {"dice_ce", dice_ce},
    {"dice_focal", dice_focal},
    {"lovasz_hinge", lovasz_hinge},
    {"lovasz_softmax", lovasz_softmax},
    {"balanced_bce", balanced_bce},
};

static loss_function *find(const char *name)
{
    for (int i = 0; i < COUNT(losses); i++)
        if (!strcmp(losses[i].name, name)) return losses[i].run;
    return NULL;
}

/* ---- A call, with numbers for tensors --------------------------------------------------------------------------- */

enum { MOST = 1 << 14 };

typedef struct problem {
    const char *name;
    gr_dtype dtype;
    int rank;
    int64_t shape[GR_MAX_RANK];
    const double *x, *y;
    const int32_t *index;                /* of pixels, instead of y */
    const double *weight, *pixel_weight; /* one or none of them */
    const double *class_weight;
    any_options o;
    bool graph;
} problem;

typedef struct outcome {
    int64_t n_values, n_slopes;
    double values[64], slopes[MOST];
} outcome;

static gr_tensor *tensor_of(gr_dtype dtype, int rank, const int64_t shape[], const double x[])
{
    gr_tensor *t = gr_zeros(dtype, rank, shape);
    assert_non_null(t);
    for (int64_t i = 0; i < gr_size(t); i++)
        if (dtype == GR_F32) gr_f32(t)[i] = (float)x[i];
        else gr_f64(t)[i] = x[i];
    return t;
}

/* The shape without axis 1. */
static int pixels_of(const problem *p, int64_t shape[])
{
    int rank = 0;
    for (int i = 0; i < p->rank; i++)
        if (i != 1) shape[rank++] = p->shape[i];
    return rank;
}

static const outcome *run(const problem *p, outcome *r)
{
    int64_t shape[GR_MAX_RANK];
    const int rank = pixels_of(p, shape);
    gr_tape *t = gr_tape_new();
    any_options o = p->o;
    gr_tensor *x = tensor_of(p->dtype, p->rank, p->shape, p->x);
    gr_tensor *y = p->index ? gr_from(GR_I32, rank, shape, p->index) : tensor_of(p->dtype, p->rank, p->shape, p->y);
    if (p->weight) o.base.weight = tensor_of(p->dtype, p->rank, p->shape, p->weight);
    if (p->pixel_weight) o.base.weight = tensor_of(p->dtype, rank, shape, p->pixel_weight);
    if (p->class_weight) o.base.class_weight = tensor_of(p->dtype, 1, &p->shape[1], p->class_weight);
    assert_int_equal(gr_require_grad(x), GR_OK);
    gr_tensor *l = find(p->name)(t, x, y, &o), *d = NULL;
    if (!l) fail_msg("%s: %s", p->name, gr_last_error());
    gr_tensor *g = o.base.reduction == GR_NONE ? pattern(t, l, 0.3) : NULL;
    if (gr_vjp(t, l, g, &x, 1, &d, p->graph ? GR_CREATE_GRAPH : GR_RETAIN))
        fail_msg("%s: %s", p->name, gr_last_error());
    assert_true(gr_size(l) <= 64 && gr_size(x) <= MOST);
    r->n_values = gr_size(l);
    r->n_slopes = gr_size(x);
    for (int64_t i = 0; i < r->n_values; i++) r->values[i] = gr_get(l, i);
    for (int64_t i = 0; i < r->n_slopes; i++) r->slopes[i] = gr_get(d, i);
    gr_tape_free(t);
    gr_tensor *const all[] = {x, y, o.base.weight, o.base.class_weight};
    for (int i = 0; i < COUNT(all); i++) gr_tensor_free(all[i]);
    return r;
}

static double value_of(const problem *p)
{
    static outcome r;
    return run(p, &r)->values[0];
}

/* |got - expected| <= rtol |expected|; a denormal number may have become 0, and NaN is not compared. */
static void expect(const problem *p, const char *what, int64_t at, double got, double expected, double rtol)
{
    const double tiny = p->dtype == GR_F32 ? (double)FLT_MIN : DBL_MIN;
    if (!isfinite(got)) fail_msg("%s%s: %s %lld is %g", p->name, p->graph ? ", graph" : "", what, (long long)at, got);
    if (isnan(expected) || fabs(got - expected) <= rtol * fabs(expected) + (fabs(expected) < tiny ? tiny : 0)) return;
    fail_msg("%s%s: %s %lld is %.17g, expected %.17g", p->name, p->graph ? ", graph" : "", what, (long long)at, got,
             expected);
}

/* Two calls with the same losses and gradients. */
static void expect_same(const problem *a, const problem *b, double tolerance)
{
    static outcome ra, rb;
    run(a, &ra);
    run(b, &rb);
    assert_int_equal(ra.n_values, rb.n_values);
    assert_int_equal(ra.n_slopes, rb.n_slopes);
    for (int64_t i = 0; i < ra.n_values; i++)
        if (!close_to(ra.values[i], rb.values[i], tolerance))
            fail_msg("%s, %s: value %lld is %.17g and %.17g", a->name, b->name, (long long)i, ra.values[i],
                     rb.values[i]);
    for (int64_t i = 0; i < ra.n_slopes; i++)
        if (!close_to(ra.slopes[i], rb.slopes[i], tolerance))
            fail_msg("%s, %s: slope %lld is %.17g and %.17g", a->name, b->name, (long long)i, ra.slopes[i],
                     rb.slopes[i]);
}

/* ---- 25 digits ------------------------------------------------------------------------------------------------- */

#if defined __GNUC__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdouble-promotion" /* the tables' NAN is a float */
#endif
static const struct golden_point {
    const char *name;
    int from_logits;
    double x, y, a, b, value, slope;
} golden_points[] = {
#include "golden/pointwise_losses.inc"
};
static const struct golden_region {
    const char *name;
    int from_logits, n;
    double x[9], y[9], a, b, c, epsilon, value, slope[9];
} golden_regions[] = {
#include "golden/region_losses.inc"
};
static const struct golden_image {
    const char *name;
    int from_logits, classes, pixels;
    double x[15], y[15], a, b, c, epsilon, value, slope[15];
} golden_images[] = {
#include "golden/image_losses.inc"
};
#if defined __GNUC__
#pragma GCC diagnostic pop
#endif

/* Reached: 1e-12 of every number that is normal, where 1e-10 is asked for. */
static const double RTOL = 1e-12;

static void expect_golden(problem *p, double value, const double slope[])
{
    static outcome r;
    const int ways =
        strcmp(p->name, "dice_ce") ? 2 : 1; /* the graph of cross entropy's gradient is p - y, which cancels */
    for (int graph = 0; graph < ways; graph++) {
        p->graph = graph;
        run(p, &r);
        expect(p, "the golden value", 0, r.values[0], value, RTOL);
        for (int64_t i = 0; i < r.n_slopes; i++) expect(p, "the golden slope", i, r.slopes[i], slope[i], RTOL);
    }
}

/* Each row as a point and, since vector code is other code, as many of them at once. */
static void golden_losses_of_pixels(void **state)
{
    (void)state;
    enum { MANY = 37 };
    int count = 0;
    for (int i = 0; i < COUNT(golden_points); i++) {
        const struct golden_point *g = &golden_points[i];
        if (!find(g->name)) continue;
        double x[MANY], y[MANY], slope[MANY];
        for (int k = 0; k < MANY; k++) x[k] = g->x, y[k] = g->y, slope[k] = g->slope;
        problem p = {.name = g->name,
                     .dtype = GR_F64,
                     .x = x,
                     .y = y,
                     .o = {.base = {.from_logits = g->from_logits, .reduction = GR_SUM},
                           .region = GR_WHOLE,
                           .as_given = true,
                           .w = g->a}};
        if (!strcmp(g->name, "focal")) p.o.w = 0, p.o.alpha = g->a, p.o.gamma = g->b;
        expect_golden(&p, g->value, slope);
        p.rank = 1;
        p.shape[0] = MANY;
        expect_golden(&p, MANY * g->value, slope);
        count++;
    }
    assert_true(count > 1300);
}

static void golden_losses_of_regions(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(golden_regions); i++) {
        const struct golden_region *g = &golden_regions[i];
        assert_non_null(find(g->name));
        problem p = {.name = g->name,
                     .dtype = GR_F64,
                     .rank = 3,
                     .shape = {1, 1, g->n},
                     .x = g->x,
                     .y = g->y,
                     .o = {.base.from_logits = g->from_logits, .as_given = true, .epsilon = g->epsilon}};
        if (strstr(g->name, "tversky")) p.o.fp_weight = g->a, p.o.fn_weight = g->b, p.o.gamma = g->c;
        if (strstr(g->name, "sensitivity")) p.o.w = g->a;
        for (int region = 0; region < GR_N_REGIONS; region++) {
            p.o.region = (gr_region)region;
            expect_golden(&p, g->value, g->slope);
        }
    }
}

static void golden_losses_of_images(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(golden_images); i++) {
        const struct golden_image *g = &golden_images[i];
        assert_non_null(find(g->name));
        problem p = {.name = g->name,
                     .dtype = GR_F64,
                     .rank = 3,
                     .shape = {1, g->classes, g->pixels},
                     .x = g->x,
                     .y = g->y,
                     .o = {.base.from_logits = g->from_logits > 0,
                           .softmax = g->from_logits == 2,
                           .as_given = true,
                           .epsilon = g->epsilon}};
        if (strstr(g->name, "dice_")) p.o.mix = g->a, p.o.alpha = g->b, p.o.gamma = g->c;
        if (strstr(g->name, "classes")) p.o.mix = 0;
        expect_golden(&p, g->value, g->slope);
    }
}

/* Rows rounded to F32 against the F64 loss of the rounded numbers. */
static void expect_narrow(problem *p, int64_t n)
{
    static outcome wide, narrow;
    double x[16], y[16];
    for (int64_t i = 0; i < n; i++) {
        x[i] = (double)(float)p->x[i];
        y[i] = (double)(float)p->y[i];
        if (x[i] != 0 && fabs(x[i]) < (double)FLT_MIN) return;
    }
    p->x = x, p->y = y;
    run(p, &wide);
    p->dtype = GR_F32;
    run(p, &narrow);
    for (int64_t i = 0; i < n; i++)
        if (fabs(x[i]) > 87) return; /* 1 - p is denormal in F32 */
    expect(p, "in F32 the value", 0, narrow.values[0], wide.values[0], 3e-6);
    for (int64_t i = 0; i < n; i++) {
        const bool soft = y[i] != 0 && y[i] != 1; /* then two terms may cancel */
        const double most = soft ? 1e-6 : 1e-5 * fabs(wide.slopes[i]) + 1e-30;
        if (!isfinite(narrow.slopes[i]) || fabs(narrow.slopes[i] - wide.slopes[i]) > most)
            fail_msg("%s in F32: slope %lld is %.9g, expected %.9g", p->name, (long long)i, narrow.slopes[i],
                     wide.slopes[i]);
    }
}

static void golden_rows_in_f32(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(golden_regions); i++) {
        const struct golden_region *g = &golden_regions[i];
        problem p = {.name = g->name,
                     .dtype = GR_F64,
                     .rank = 1,
                     .shape = {g->n},
                     .x = g->x,
                     .y = g->y,
                     .o = {.base.from_logits = g->from_logits,
                           .region = GR_WHOLE,
                           .as_given = true,
                           .epsilon = (double)(float)g->epsilon}};
        if (strstr(g->name, "tversky")) p.o.fp_weight = g->a, p.o.fn_weight = g->b, p.o.gamma = g->c;
        if (strstr(g->name, "sensitivity")) p.o.w = g->a;
        expect_narrow(&p, g->n);
    }
    for (int i = 0; i < COUNT(golden_images); i++) {
        const struct golden_image *g = &golden_images[i];
        problem p = {.name = g->name,
                     .dtype = GR_F64,
                     .rank = 3,
                     .shape = {1, g->classes, g->pixels},
                     .x = g->x,
                     .y = g->y,
                     .o = {.base.from_logits = g->from_logits > 0,
                           .softmax = g->from_logits == 2,
                           .as_given = true,
                           .epsilon = (double)(float)g->epsilon}};
        if (strstr(g->name, "dice_")) p.o.mix = g->a, p.o.alpha = g->b, p.o.gamma = g->c;
        if (strstr(g->name, "classes")) p.o.mix = 0;
        expect_narrow(&p, g->classes * g->pixels);
    }
}

/* ---- Random images ---------------------------------------------------------------------------------------------- */

enum { N = 2, C = 3, H = 4, W = 5, PLANE = H * W, SIZE = N * C * PLANE };

typedef struct images {
    double p[SIZE], x[SIZE], soft[SIZE], hard[SIZE], one_hot[SIZE], weight[SIZE], pixel_weight[N * PLANE];
    int32_t index[N * PLANE];
} images;

static const images *random_images(void)
{
    static images m;
    gr_rng rng = gr_rng_seed(9);
    for (int i = 0; i < SIZE; i++) {
        m.p[i] = gr_rng_uniform(&rng);
        m.x[i] = 3 * gr_rng_normal(&rng);
        m.soft[i] = gr_rng_uniform(&rng);
        m.hard[i] = (double)gr_rng_below(&rng, 2);
        m.weight[i] = (double)gr_rng_below(&rng, 3);
    }
    for (int i = 0; i < N * PLANE; i++) {
        m.index[i] = (int32_t)gr_rng_below(&rng, C);
        m.pixel_weight[i] = (double)gr_rng_below(&rng, 3);
    }
    for (int i = 0; i < SIZE; i++) m.one_hot[i] = m.index[i / (C * PLANE) * PLANE + i % PLANE] == i / PLANE % C;
    return &m;
}

static problem problem_of(const char *name, const images *m, const double *x, const double *y)
{
    (void)m;
    return (problem){.name = name, .dtype = GR_F64, .rank = 4, .shape = {N, C, H, W}, .x = x, .y = y};
}

/* ---- What is the same thing -------------------------------------------------------------------------------------- */

static void identities(void **state)
{
    (void)state;
    const images *m = random_images();
    for (int logits = 0; logits < 2; logits++)
        for (int region = 0; region < GR_N_REGIONS; region++) {
            const any_options o = {
                .base.from_logits = logits, .region = (gr_region)region, .as_given = true, .epsilon = 0.75};
            problem a = problem_of("tversky", m, logits ? m->x : m->p, m->soft), b = a;
            a.o = b.o = o; /* Tversky(1/2, 1/2, e) = Dice(2e) */
            b.name = "dice";
            a.o.fp_weight = a.o.fn_weight = 0.5;
            b.o.epsilon = 1.5;
            expect_same(&a, &b, 1e-14);
            b = a; /* focal Tversky with a gamma of 1 */
            b.name = "focal_tversky";
            a.o.fp_weight = b.o.fp_weight = 0.2, a.o.fn_weight = b.o.fn_weight = 1.3, b.o.gamma = 1;
            expect_same(&a, &b, 1e-15);
            b.name = "jaccard"; /* Tversky(1, 1, e) */
            b.o = o;
            a.o.fp_weight = a.o.fn_weight = 1;
            expect_same(&a, &b, 1e-15);
            b.name = "focal"; /* focal(1/2, gamma 0) = BCE/2 = B-BCE with beta 1/2 */
            b.o = (any_options){.base.from_logits = logits, .alpha = 0.5};
            a = b;
            a.name = "bbce";
            a.o = (any_options){.base.from_logits = logits, .w = 0.5};
            expect_same(&a, &b, 1e-15);
        }
}

/* W-BCE(1) = BCE, and the sum of positives' and negatives' parts. */
static void weighted_bce_is_bce(void **state)
{
    (void)state;
    const images *m = random_images();
    gr_tape *t = gr_tape_new();
    for (int logits = 0; logits < 2; logits++) {
        gr_tensor *x = tensor_of(GR_F64, 1, (int64_t[]){SIZE}, logits ? m->x : m->p),
                  *y = tensor_of(GR_F64, 1, (int64_t[]){SIZE}, m->soft);
        assert_int_equal(gr_require_grad(x), GR_OK);
        const gr_loss_options base = {.from_logits = logits};
        gr_tensor *l[4] = {gr_bce(t, x, y, &base), gr_weighted_bce(t, x, y, &(gr_weighted_bce_options){.base = base}),
                           gr_weighted_bce(t, x, y, &(gr_weighted_bce_options){.base = base, .beta = 3}),
                           gr_weighted_bce(t, x, y, &(gr_weighted_bce_options){.base = base, .as_given = true})};
        gr_tensor *d[4];
        for (int i = 0; i < 4; i++) assert_int_equal(gr_grad(t, l[i], &x, 1, &d[i], GR_RETAIN), GR_OK);
        assert_close_tensors("W-BCE", "beta 1", l[1], l[0], 1e-15);
        assert_close_tensors("W-BCE", "beta 1", d[1], d[0], 1e-15);
        gr_tensor *sum = gr_sub(t, gr_scale(t, d[0], 3), gr_scale(t, d[3], 2)); /* 3 BCE - 2 its negatives */
        assert_close_tensors("W-BCE", "beta 3", d[2], sum, 1e-14);
        gr_tape_reset(t);
        gr_tensor_free(x);
        gr_tensor_free(y);
    }
    gr_tape_free(t);
}

/* One false positive and one false negative of different sizes: weights that are swapped are seen. */
static void weights_of_two_sides(void **state)
{
    (void)state;
    const double p[4] = {1, 0.75, 0.5, 0}, y[4] = {1, 0, 1, 0}; /* TP 1.5, FP 0.75, FN 0.5, TN 1.25 */
    problem a = {.name = "tversky",
                 .dtype = GR_F64,
                 .rank = 1,
                 .shape = {4},
                 .x = p,
                 .y = y,
                 .o = {.region = GR_WHOLE, .as_given = true}};
    a.o.fp_weight = 0.2, a.o.fn_weight = 0.8;
    expect(&a, "the value", 0, value_of(&a), (0.15 + 0.4) / (1.5 + 0.15 + 0.4), 1e-15);
    a.o.fp_weight = 0.8, a.o.fn_weight = 0.2;
    expect(&a, "the value", 0, value_of(&a), (0.6 + 0.1) / (1.5 + 0.6 + 0.1), 1e-15);
    a.o = (any_options){.region = GR_WHOLE, .w = 0.9};
    a.name = "sensitivity_specificity";
    expect(&a, "the value", 0, value_of(&a), 0.9 * 0.5 / 2 + 0.1 * 0.75 / 2, 1e-15);
    a.o = (any_options){.region = GR_WHOLE, .as_given = true};
    expect(&a, "the value", 0, value_of(&a), 0.75 / 2, 1e-15); /* w = 0: specificity alone */
    const double x[2] = {2, -2}, t[2] = {1, 1};
    a = (problem){.name = "focal",
                  .dtype = GR_F64,
                  .rank = 1,
                  .shape = {2},
                  .x = x,
                  .y = t,
                  .o = {.base = {.from_logits = true, .reduction = GR_NONE}, .alpha = 0.9, .gamma = 1}};
    static outcome r;
    run(&a, &r);
    const double s = 1 / (1 + exp(-2.0)), q = 1 - s;
    expect(&a, "the value", 0, r.values[0], -0.9 * q * log(s), 1e-13);
    expect(&a, "the value", 1, r.values[1], -0.9 * s * log(q), 1e-13);
}

static void defaults(void **state)
{
    (void)state;
    const images *m = random_images();
    static const struct {
        const char *name;
        any_options zero, spelled;
    } pairs[] = {
        {"wbce", {.as_given = false}, {.w = 1}},
        {"focal", {.as_given = false}, {.alpha = 0.25, .gamma = 2}},
        {"focal", {.gamma = 3}, {.alpha = 0.25, .gamma = 3}},
        {"huber", {.as_given = false}, {.w = 1}},
        {"smooth_l1", {.as_given = false}, {.w = 1}},
        {"dice", {.as_given = false}, {.epsilon = 1}},
        {"tversky", {.as_given = false}, {.epsilon = 1, .fp_weight = 0.5, .fn_weight = 0.5}},
        {"tversky", {.fn_weight = 2}, {.epsilon = 1, .fn_weight = 2, .as_given = true}},
        {"focal_tversky", {.as_given = false}, {.epsilon = 1, .fp_weight = 0.5, .fn_weight = 0.5, .gamma = 0.75}},
        {"sensitivity_specificity", {.as_given = false}, {.w = 0.5, .as_given = true}},
        {"dice_bce", {.as_given = false}, {.epsilon = 1, .mix = 1}},
        {"dice_focal", {.as_given = false}, {.epsilon = 1, .mix = 1, .alpha = 0.25, .gamma = 2}},
    };
    for (int i = 0; i < COUNT(pairs); i++) {
        problem a = problem_of(pairs[i].name, m, m->p, m->soft), b = a;
        a.o = pairs[i].zero;
        b.o = pairs[i].spelled;
        expect_same(&a, &b, 0);
    }
    gr_tape *t = gr_tape_new();
    gr_tensor *p = tensor_of(GR_F64, 4, (int64_t[]){N, C, H, W}, m->p),
              *y = tensor_of(GR_F64, 4, (int64_t[]){N, C, H, W}, m->hard);
    assert_true(gr_item(gr_dice(t, p, y, NULL)) == gr_item(dice(t, p, y, &(any_options){.epsilon = 1})));
    assert_true(gr_item(gr_focal(t, p, y, NULL)) ==
                gr_item(gr_focal(t, p, y, &(gr_focal_options){.alpha = 0.25, .gamma = 2})));
    gr_tape_free(t);
    gr_tensor_free(p);
    gr_tensor_free(y);
}

static void the_score_is_the_complement(void **state)
{
    (void)state;
    const images *m = random_images();
    gr_tape *t = gr_tape_new();
    gr_tensor *p = tensor_of(GR_F64, 4, (int64_t[]){N, C, H, W}, m->p),
              *y = tensor_of(GR_F64, 4, (int64_t[]){N, C, H, W}, m->hard);
    for (int region = 0; region < GR_N_REGIONS; region++) {
        const any_options o = {.base.reduction = GR_NONE, .region = (gr_region)region, .w = 0.3};
        gr_tensor *loss = sensitivity_specificity(t, p, y, &o), *score = sensitivity_specificity_score(t, p, y, &o);
        gr_tensor *complement = gr_shift(t, gr_neg(t, loss), 1);
        assert_close_tensors("the score", "1 - loss", score, complement, 1e-15);
    }
    double empty[4] = {0};
    gr_tensor *q = tensor_of(GR_F64, 1, (int64_t[]){4}, m->p), *none = tensor_of(GR_F64, 1, (int64_t[]){4}, empty);
    const any_options whole = {.region = GR_WHOLE, .w = 1};
    assert_true(gr_item(sensitivity_specificity(t, q, none, &whole)) == 0);
    assert_true(gr_item(sensitivity_specificity_score(t, q, none, &whole)) == 1);
    gr_tape_free(t);
    gr_tensor *const all[] = {p, y, q, none};
    for (int i = 0; i < COUNT(all); i++) gr_tensor_free(all[i]);
}

/* ---- Regions, by plain loops ------------------------------------------------------------------------------------- */

/* The counts of region r, and whether an element is in it. */
static bool in_region(gr_region region, int r, int i)
{
    const int n = i / (C * PLANE), c = i / PLANE % C;
    switch (region) {
    case GR_PER_PLANE: return r == n * C + c;
    case GR_PER_CLASS: return r == c;
    case GR_PER_SAMPLE: return r == n;
    default: return true;
    }
}

static void regions_are_counted(void **state)
{
    (void)state;
    static const int how_many[] = {N * C, C, N, 1};
    const images *m = random_images();
    gr_tape *t = gr_tape_new();
    gr_tensor *p = tensor_of(GR_F64, 4, (int64_t[]){N, C, H, W}, m->p),
              *y = tensor_of(GR_F64, 4, (int64_t[]){N, C, H, W}, m->soft);
    gr_tensor *w = tensor_of(GR_F64, 3, (int64_t[]){N, H, W}, m->pixel_weight);
    for (int region = 0; region < GR_N_REGIONS; region++) {
        gr_tensor *counts = soft_counts(t, p, y, &(any_options){.base.weight = w, .region = (gr_region)region});
        assert_int_equal(gr_size(counts), 4 * how_many[region]);
        for (int r = 0; r < how_many[region]; r++) {
            double sum[4] = {0};
            for (int i = 0; i < SIZE; i++) {
                if (!in_region((gr_region)region, r, i)) continue;
                const double a = m->p[i], b = m->soft[i], v = m->pixel_weight[i / (C * PLANE) * PLANE + i % PLANE];
                sum[0] += v * a * b, sum[1] += v * a * (1 - b), sum[2] += v * (1 - a) * b,
                    sum[3] += v * (1 - a) * (1 - b);
            }
            for (int k = 0; k < 4; k++)
                if (!close_to(gr_get(counts, k * how_many[region] + r), sum[k], 1e-13))
                    fail_msg("region %d: count %d of %d", region, k, r);
        }
    }
    gr_tape_free(t);
    gr_tensor_free(p);
    gr_tensor_free(y);
    gr_tensor_free(w);
}

/* A loss of planes is the mean of the losses of each plane by itself, weighted by class. */
static void planes_are_averaged(void **state)
{
    (void)state;
    static const char *const names[] = {
        "dice",          "tversky",      "focal_tversky", "jaccard", "sensitivity_specificity",
        "log_cosh_dice", "lovasz_hinge", "balanced_bce"};
    const double class_weight[C] = {0.5, 2, 0.25};
    const images *m = random_images();
    for (int i = 0; i < COUNT(names); i++)
        for (int weighted = 0; weighted < 2; weighted++) {
            problem whole = problem_of(names[i], m, m->x, m->hard);
            if (!strcmp(names[i], "balanced_bce") && weighted) continue;
            whole.o.base.from_logits = true;
            if (weighted) whole.class_weight = class_weight;
            double sum = 0;
            for (int plane = 0; plane < N * C; plane++) {
                problem one = whole;
                one.rank = 1, one.shape[0] = PLANE, one.x += plane * PLANE, one.y += plane * PLANE;
                one.class_weight = NULL;
                one.o.region = GR_WHOLE;
                sum += value_of(&one) * (weighted ? class_weight[plane % C] : 1);
            }
            expect(&whole, "the mean", 0, value_of(&whole), sum / (N * C), 1e-13);
            whole.o.base.reduction = GR_SUM;
            if (strcmp(names[i], "balanced_bce")) expect(&whole, "the sum", 0, value_of(&whole), sum, 1e-13);
        }
}

static void background_is_left_out(void **state)
{
    (void)state;
    static const char *const names[] = {"dice", "focal_tversky", "generalised_dice", "lovasz_softmax"};
    const images *m = random_images();
    static double two[N * 2 * PLANE], target[N * 2 * PLANE];
    for (int n = 0; n < N; n++)
        for (int i = 0; i < 2 * PLANE; i++) {
            two[n * 2 * PLANE + i] = m->p[(n * C + 1) * PLANE + i];
            target[n * 2 * PLANE + i] = m->one_hot[(n * C + 1) * PLANE + i];
        }
    static outcome all, rest;
    for (int i = 0; i < COUNT(names); i++)
        for (int region = 0; region < (i == 2 ? 2 : GR_N_REGIONS); region++) {
            problem a = problem_of(names[i], m, m->p, m->one_hot), b = a;
            a.o.region = b.o.region = (gr_region)region;
            a.o.without_background = true;
            b.shape[1] = 2, b.x = two, b.y = target;
            run(&a, &all);
            run(&b, &rest);
            expect(&a, "the value", 0, all.values[0], rest.values[0], 1e-14);
            for (int k = 0; k < SIZE; k++) {
                const int n = k / (C * PLANE), c = k / PLANE % C;
                const double expected = c ? rest.slopes[(n * 2 + c - 1) * PLANE + k % PLANE] : 0;
                if (!close_to(all.slopes[k], expected, 1e-14))
                    fail_msg("%s: slope %d is %g, expected %g", names[i], k, all.slopes[k], expected);
            }
        }
}

/* ---- Masks --------------------------------------------------------------------------------------------------------
 */

static const char *const region_names[] = {
    "dice",          "tversky",          "focal_tversky", "jaccard",        "sensitivity_specificity",
    "log_cosh_dice", "generalised_dice", "lovasz_hinge",  "lovasz_softmax", "dice_bce",
    "dice_focal",    "balanced_bce"};

/* Pixels that are ignored may as well not be there, whatever the prediction is there. A weight of 0 does the same. */
static void ignored_pixels_are_not_there(void **state)
{
    (void)state;
    const images *m = random_images();
    static double x[SIZE], y[SIZE], weight[SIZE], fewer_x[SIZE], fewer_y[SIZE];
    static outcome all, fewer;
    enum { GONE = 7 };
    for (int i = 0; i < SIZE; i++) {
        const bool gone = i % PLANE < GONE;
        x[i] = gone ? QNAN : 1 / (1 + exp(-m->x[i]));
        y[i] = gone ? 255 : m->hard[i];
        weight[i] = gone ? 0 : 1;
        if (!gone)
            fewer_x[i / PLANE * (PLANE - GONE) + i % PLANE - GONE] = x[i],
                                                             fewer_y[i / PLANE * (PLANE - GONE) + i % PLANE - GONE] =
                                                                 y[i];
    }
    for (int i = 0; i < COUNT(region_names); i++)
        for (int masked = 0; masked < 2; masked++) {
            problem a = problem_of(region_names[i], m, x, y), b = a;
            b.rank = 3, b.shape[2] = PLANE - GONE, b.x = fewer_x, b.y = fewer_y;
            if (masked) a.weight = weight, a.y = m->hard;
            else a.o.base.ignore = true, a.o.base.ignore_index = 255;
            const bool counts_all =
                !strcmp(a.name, "balanced_bce") || strstr(a.name, "dice_bce") || strstr(a.name, "dice_focal");
            if (masked && counts_all) continue; /* a weight of 0 stays in the count of a mean over pixels */
            run(&a, &all);
            run(&b, &fewer);
            expect(&a, "the value", 0, all.values[0], fewer.values[0], 1e-13);
            for (int k = 0; k < SIZE; k++) {
                const double expected =
                    k % PLANE < GONE ? 0 : fewer.slopes[k / PLANE * (PLANE - GONE) + k % PLANE - GONE];
                if (!close_to(all.slopes[k], expected, 1e-13))
                    fail_msg("%s: slope %d is %g, expected %g", a.name, k, all.slopes[k], expected);
            }
        }
}

/* An element of weight 2 counts as two elements. */
static void weights_are_repetitions(void **state)
{
    (void)state;
    static const char *const names[] = {"dice", "focal_tversky", "generalised_dice", "lovasz_hinge"};
    const images *m = random_images();
    for (int i = 0; i < COUNT(names); i++) {
        double x[2 * PLANE], y[2 * PLANE];
        int n = 0;
        for (int k = 0; k < PLANE; k++)
            for (int again = 0; again < (int)m->weight[k]; again++) x[n] = m->x[k], y[n++] = m->hard[k];
        problem a = {.name = names[i],
                     .dtype = GR_F64,
                     .rank = 3,
                     .shape = {1, 1, PLANE},
                     .x = m->x,
                     .y = m->hard,
                     .weight = m->weight,
                     .o.base.from_logits = true};
        problem b = {.name = names[i],
                     .dtype = GR_F64,
                     .rank = 3,
                     .shape = {1, 1, n},
                     .x = x,
                     .y = y,
                     .o.base.from_logits = true};
        expect(&a, "weighted, the value", 0, value_of(&a), value_of(&b), 1e-13);
        a.weight = NULL, a.pixel_weight = m->weight;
        expect(&a, "weighted by pixel, the value", 0, value_of(&a), value_of(&b), 1e-13);
    }
}

/* A region that is ignored as a whole does not count; when all are, the loss is 0 and so is the gradient. */
static void ignored_regions_do_not_count(void **state)
{
    (void)state;
    static const char *const names[] = {
        "dice",          "tversky",          "focal_tversky", "jaccard",  "sensitivity_specificity",
        "log_cosh_dice", "generalised_dice", "lovasz_hinge",  "dice_bce", "focal",
        "balanced_bce"};
    const images *m = random_images();
    static double y[SIZE], none[SIZE];
    static outcome r;
    for (int i = 0; i < SIZE; i++) y[i] = i < C * PLANE ? m->hard[i] : -1, none[i] = -1;
    for (int i = 0; i < COUNT(names); i++) {
        problem a = problem_of(names[i], m, m->x, y), b = a;
        a.o.base = (gr_loss_options){.from_logits = true, .ignore = true, .ignore_index = -1};
        b.o.base.from_logits = true;
        b.shape[0] = 1;
        expect(&a, "the mean over one of two", 0, value_of(&a), value_of(&b), 1e-14);
        a.y = none;
        for (int graph = 0; graph < 2; graph++) {
            a.graph = graph;
            run(&a, &r);
            assert_true(r.values[0] == 0);
            for (int k = 0; k < SIZE; k++) assert_true(r.slopes[k] == 0);
        }
    }
}

static void class_indices_are_shares(void **state)
{
    (void)state;
    static const char *const names[] = {
        "dice",          "tversky",          "focal_tversky", "jaccard",        "sensitivity_specificity",
        "log_cosh_dice", "generalised_dice", "dice_ce",       "lovasz_softmax", "lovasz_hinge"};
    const images *m = random_images();
    for (int i = 0; i < COUNT(names); i++)
        for (int graph = 0; graph < 2; graph++) {
            problem a = problem_of(names[i], m, m->x, m->one_hot), b = a;
            a.o.base.from_logits = b.o.base.from_logits = true;
            a.o.softmax = b.o.softmax = strcmp(names[i], "lovasz_hinge") != 0;
            a.graph = b.graph = graph;
            b.y = NULL, b.index = m->index;
            expect_same(&a, &b, strcmp(names[i], "dice_ce") ? 0 : 1e-14);
            if (!strcmp(names[i], "lovasz_hinge") || !strcmp(names[i], "dice_ce")) continue;
            a.pixel_weight = b.pixel_weight = m->pixel_weight; /* and class 1 ignored is a weight of 0 */
            static double weight[N * PLANE];
            for (int k = 0; k < N * PLANE; k++) weight[k] = m->index[k] == 1 ? 0 : m->pixel_weight[k];
            a.pixel_weight = weight;
            b.o.base.ignore = true, b.o.base.ignore_index = 1;
            expect_same(&a, &b, 1e-14);
        }
}

/* From logits, and on the probabilities of gr_sigmoid() and gr_softmax(). */
static void logits_are_probabilities(void **state)
{
    (void)state;
    const images *m = random_images();
    gr_tape *t = gr_tape_new();
    gr_tensor *x = tensor_of(GR_F64, 4, (int64_t[]){N, C, H, W}, m->x),
              *y = tensor_of(GR_F64, 4, (int64_t[]){N, C, H, W}, m->one_hot);
    assert_int_equal(gr_require_grad(x), GR_OK);
    for (int i = 0; i < COUNT(region_names); i++)
        for (int softmax = 0; softmax < 2; softmax++) {
            loss_function *loss = find(region_names[i]);
            if (!strcmp(region_names[i], "lovasz_hinge") ||
                (softmax && (strstr(region_names[i], "dice_") || strstr(region_names[i], "bce"))) ||
                (!softmax && !strcmp(region_names[i], "lovasz_softmax")))
                continue;
            gr_tensor *a = loss(t, x, y, &(any_options){.base.from_logits = true, .softmax = softmax}), *da, *db;
            gr_tensor *b =
                loss(t, softmax ? gr_softmax(t, x, 1) : gr_sigmoid(t, x), y, &(any_options){.base.from_logits = false});
            assert_close_tensors(region_names[i], "the value", a, b, 1e-14);
            assert_int_equal(gr_grad(t, a, &x, 1, &da, GR_RETAIN), GR_OK);
            assert_int_equal(gr_grad(t, b, &x, 1, &db, GR_RETAIN), GR_OK);
            assert_close_tensors(region_names[i], "the gradient", da, db, 1e-13);
        }
    gr_tape_free(t);
    gr_tensor_free(x);
    gr_tensor_free(y);
}

/* ---- B-BCE ---------------------------------------------------------------------------------------------------------
 */

static void balance(void **state)
{
    (void)state;
    const double x[8] = {0.5, -1, 2, -3, 1, 1, -1, -1}, y[8] = {1, 0, 0, 0, 0, 0, 0, 0};
    static outcome r;
    problem p = {.name = "balanced_bce",
                 .dtype = GR_F64,
                 .rank = 3,
                 .shape = {1, 2, 4},
                 .x = x,
                 .y = y,
                 .o = {.base = {.from_logits = true, .reduction = GR_NONE}}};
    run(&p, &r); /* beta is 3/4 in the first plane, 1 in the second, which is empty */
    expect(&p, "the value", 0, r.values[0], 0.75 * log1p(exp(-0.5)), 1e-14);
    for (int i = 1; i < 4; i++) expect(&p, "the value", i, r.values[i], 0.25 * log1p(exp(x[i])), 1e-14);
    for (int i = 4; i < 8; i++) assert_true(r.values[i] == 0 && r.slopes[i] == 0);
    p.o.region = GR_WHOLE;
    run(&p, &r);
    expect(&p, "the value", 7, r.values[7], 0.125 * log1p(exp(-1)), 1e-14);
    p.o.region = GR_PER_PLANE;
    gr_tape *t = gr_tape_new();
    gr_tensor *a = tensor_of(GR_F64, 3, p.shape, x), *b = tensor_of(GR_F64, 3, p.shape, y);
    const gr_loss_options each = {.from_logits = true, .reduction = GR_NONE};
    gr_tensor *held = gr_balanced_bce(t, a, b, &(gr_balanced_bce_options){.base = each, .margin = 0.3});
    expect(&p, "held, the value", 0, gr_get(held, 0), 0.7 * log1p(exp(-0.5)), 1e-14);
    expect(&p, "held, the value", 7, gr_get(held, 7), 0.3 * log1p(exp(-1)), 1e-14);
    gr_tensor *fixed = gr_balanced_bce(t, a, b, &(gr_balanced_bce_options){.base = each, .fixed = true, .beta = 0.9});
    expect(&p, "fixed, the value", 7, gr_get(fixed, 7), 0.1 * log1p(exp(-1)), 1e-13);
    gr_tape_free(t);
    gr_tensor_free(a);
    gr_tensor_free(b);
}

/* ---- Lovasz
 * ---------------------------------------------------------------------------------------------------------- */

/* The Jaccard loss of the mask y but for the elements in `wrong`, a set of bits. */
static double jaccard_of(int n, const double y[], unsigned wrong)
{
    int both = 0, either = 0;
    for (int i = 0; i < n; i++) {
        const bool said = (y[i] != 0) != (wrong >> i & 1);
        both += said && y[i] != 0;
        either += said || y[i] != 0;
    }
    return either ? 1.0 - (double)both / either : 0;
}

/* The Lovasz extension of a submodular set function is the largest of the sums that any order gives. */
static double largest_of_all_orders(int n, const double e[], const double y[], unsigned done)
{
    double best = done == (1u << n) - 1 ? 0 : -1;
    for (int i = 0; i < n; i++) {
        if (done >> i & 1) continue;
        const unsigned next = done | 1u << i;
        best =
            fmax(best, e[i] * (jaccard_of(n, y, next) - jaccard_of(n, y, done)) + largest_of_all_orders(n, e, y, next));
    }
    return best;
}

static void lovasz_by_enumeration(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(4);
    for (int again = 0; again < 60; again++) {
        const int n = 1 + again % 7;
        double x[7], y[7], e[7];
        for (int i = 0; i < n; i++) {
            y[i] = again % 5 == 0 ? 0 : again % 5 == 1 ? 1 : (double)gr_rng_below(&rng, 2);
            x[i] = again % 3 ? 2 * gr_rng_normal(&rng) : (double)gr_rng_below(&rng, 3) - 1; /* with ties */
            e[i] = fmax(0, 1 - x[i] * (2 * y[i] - 1));
        }
        problem p = {
            .name = "lovasz_hinge", .dtype = GR_F64, .rank = 1, .shape = {n}, .x = x, .y = y, .o.region = GR_WHOLE};
        const double expected = largest_of_all_orders(n, e, y, 0);
        if (!close_to(value_of(&p), expected, 1e-13))
            fail_msg("lovasz_hinge of %d: %.17g, expected %.17g", n, value_of(&p), expected);
        for (int i = 0; i < n; i++) x[i] = 1 / (1 + exp(-x[i])), e[i] = fabs(y[i] - x[i]);
        p = (problem){.name = "lovasz_softmax",
                      .dtype = GR_F64,
                      .rank = 3,
                      .shape = {1, 1, n},
                      .x = x,
                      .y = y,
                      .o.absent_classes = true};
        if (!close_to(value_of(&p), largest_of_all_orders(n, e, y, 0), 1e-13)) fail_msg("lovasz_softmax of %d", n);
    }
}

static const double *keys;

static int by_falling_key(const void *a, const void *b)
{
    const int i = *(const int *)a, j = *(const int *)b;
    return keys[i] < keys[j] ? 1 : keys[i] > keys[j] ? -1 : (i > j) - (i < j);
}

/* Many elements, in an order that the C library finds, summed in long double. */
static void lovasz_of_many(void **state)
{
    (void)state;
    static double x[MOST], y[MOST], e[MOST], slope[MOST];
    static int order[MOST];
    static outcome r;
    gr_rng rng = gr_rng_seed(8);
    for (int d = 0; d < 2; d++) {
        long double loss = 0, P = 0, in = 0, out = 0;
        for (int i = 0; i < MOST; i++) {
            y[i] = gr_rng_uniform(&rng) < 0.1;
            x[i] = (double)(float)(gr_rng_normal(&rng) * exp(4 * gr_rng_normal(&rng)));
            e[i] = fmax(0, 1 - x[i] * (2 * y[i] - 1));
            if (d) e[i] = (double)(float)e[i];
            order[i] = i;
            P += (long double)y[i];
        }
        keys = e;
        qsort(order, MOST, sizeof *order, by_falling_key);
        for (int k = 0; k < MOST; k++) {
            const int i = order[k];
            const long double before = (in + out) / (P + out);
            if (y[i] != 0) in++;
            else out++;
            const long double grows = (in + out) / (P + out) - before;
            loss += (long double)e[i] * grows;
            slope[i] = e[i] > 0 ? (double)(-grows * (2 * (long double)y[i] - 1)) : 0;
        }
        problem p = {.name = "lovasz_hinge",
                     .dtype = d ? GR_F32 : GR_F64,
                     .rank = 1,
                     .shape = {MOST},
                     .x = x,
                     .y = y,
                     .o.region = GR_WHOLE};
        run(&p, &r);
        expect(&p, "the value", 0, r.values[0], (double)loss, d ? 1e-6 : 1e-13);
        for (int i = 0; i < MOST; i++)
            if (fabs(r.slopes[i] - slope[i]) > (d ? 1e-7 : 1e-13) * fabs(slope[i]) + 1e-18)
                fail_msg("lovasz_hinge: slope %d is %g, expected %g", i, r.slopes[i], slope[i]);
    }
}

static void lovasz_counts_the_classes_there(void **state)
{
    (void)state;
    const images *m = random_images();
    static int32_t index[N * PLANE];
    for (int i = 0; i < N * PLANE; i++) index[i] = i < PLANE ? i % 2 : m->index[i]; /* image 0 has no class 2 */
    problem p = problem_of("lovasz_softmax", m, m->x, NULL);
    p.index = index;
    p.o.base = (gr_loss_options){.from_logits = true, .reduction = GR_NONE};
    static outcome r;
    run(&p, &r);
    double sum = 0;
    for (int i = 0; i < N * C; i++) sum += r.values[i];
    assert_true(r.values[2] == 0);
    p.o.base.reduction = GR_MEAN;
    expect(&p, "the mean of 5", 0, value_of(&p), sum / 5, 1e-14);
    p.o.absent_classes = true;
    const double mean_of_all = value_of(&p);
    p.o.base.reduction = GR_NONE;
    run(&p, &r);
    assert_true(r.values[2] > 0); /* the largest probability of the absent class */
    expect(&p, "the mean of 6", 0, mean_of_all, (sum + r.values[2]) / 6, 1e-14);
}

/* ---- Generalised Dice
 * ------------------------------------------------------------------------------------------------ */

static void generalised_dice_weighs_by_size(void **state)
{
    (void)state;
    const double p[8] = {0.9, 0.8, 0.6, 0.7, 0.1, 0.2, 0.4, 0.3}, y[8] = {1, 1, 1, 0, 0, 0, 0, 1}; /* sizes 3 and 1 */
    problem a = {.name = "generalised_dice",
                 .dtype = GR_F64,
                 .rank = 3,
                 .shape = {1, 2, 4},
                 .x = p,
                 .y = y,
                 .o = {.as_given = true}};
    const double wrong[2] = {0.1 + 0.2 + 0.4 + 0.7, 0.1 + 0.2 + 0.4 + 0.7}, right[2] = {2 * 2.3, 2 * 0.3};
    const double v[2] = {1.0 / 9, 1};
    expect(&a, "the value", 0, value_of(&a),
           (v[0] * wrong[0] + v[1] * wrong[1]) / (v[0] * (wrong[0] + right[0]) + v[1] * (wrong[1] + right[1])), 1e-14);
    const double class_weight[2] = {9, 0}; /* the first class alone: plain Dice */
    a.class_weight = class_weight;
    expect(&a, "the value", 0, value_of(&a), wrong[0] / (wrong[0] + right[0]), 1e-14);
    const double empty[8] = {0};
    a.y = empty;
    a.class_weight = NULL;
    a.o.epsilon = 2;
    expect(&a, "of nothing, the value", 0, value_of(&a), 4.0 / 6, 1e-14);
}

/* ---- At the edges
 * ------------------------------------------------------------------------------------------------------ */

/* Every loss and every gradient is finite, in both dtypes, by both ways, whatever finite logit or probability comes. */
static void everything_is_finite(void **state)
{
    (void)state;
    static const double logits[] = {0, 1e-300, -40, 40, -100, 100, -1000, 1000, 1e6, -1e6},
                        probabilities[] = {0, 1, 1e-300, 0.5, 1, 0, 1e-30, 1, 0, 0.25};
    static const double gammas[] = {0, 0.5, 1, 2, 5}, epsilons[] = {0, 1e-6, 1};
    enum { HERE = COUNT(logits) };
    static outcome r;
    double mask[4][HERE] = {
        {0}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 0, 0, 1, 0, 1, 0, 1, 1, 0}, {0, 1, 1, 0, 1, 0, 1, 0, 0, 1}};
    for (int i = 0; i < COUNT(losses) * 4 * 2 * 2 * 2; i++)
        for (int k = 0; k < 15; k++) {
            const bool single = i % 2, graph = i / 2 % 2, of_logits = i / 4 % 2;
            const char *name = losses[i / 32].name;
            problem p = {.name = name,
                         .dtype = single ? GR_F32 : GR_F64,
                         .rank = 3,
                         .shape = {1, 1, HERE},
                         .graph = graph,
                         .x = of_logits ? logits : probabilities,
                         .y = mask[i / 8 % 4]};
            const bool regional =
                strstr(name, "dice") || strstr(name, "tversky") || strstr(name, "jaccard") || strstr(name, "sens");
            p.o.base.from_logits = of_logits;
            p.o.as_given = true;
            if (regional) p.o.epsilon = epsilons[k / 5];
            if (strstr(name, "tversky")) p.o.fp_weight = 0.3, p.o.fn_weight = 0.7;
            if (!strcmp(name, "focal") || !strcmp(name, "focal_tversky") || !strcmp(name, "dice_focal"))
                p.o.gamma = gammas[k % 5];
            if (!strcmp(name, "focal") || !strcmp(name, "dice_focal")) p.o.alpha = 0.25;
            if (!strcmp(name, "wbce")) p.o.w = gammas[k % 5];
            if (!strcmp(name, "huber") || !strcmp(name, "smooth_l1")) p.o.w = 1, p.o.base.from_logits = false;
            if (!strncmp(name, "dice_", 5) && strcmp(name, "dice_classes")) p.o.mix = 1;
            if (!strcmp(name, "dice_ce") || !strcmp(name, "lovasz_softmax")) p.shape[1] = 2, p.shape[2] = HERE / 2;
            run(&p, &r);
            if (!isfinite(r.values[0])) fail_msg("%s, case %d, %d: the loss is %g", name, i, k, r.values[0]);
            for (int64_t j = 0; j < r.n_slopes; j++)
                if (!isfinite(r.slopes[j]))
                    fail_msg("%s, case %d, %d: slope %lld is %g", name, i, k, (long long)j, r.slopes[j]);
        }
}

/* Where all is right a loss is 0 to the last bit, and what is nearly right keeps its digits (see the golden rows). */
static void perfect_is_zero(void **state)
{
    (void)state;
    const images *m = random_images();
    for (int i = 0; i < COUNT(region_names); i++) {
        problem p = problem_of(region_names[i], m, m->one_hot, m->one_hot);
        if (strcmp(p.name, "lovasz_hinge")) assert_true(value_of(&p) == 0);
    }
}

static void nan_propagates(void **state)
{
    (void)state;
    const images *m = random_images();
    static double x[SIZE];
    memcpy(x, m->p, sizeof x);
    x[17] = QNAN;
    for (int i = 0; i < COUNT(losses); i++)
        for (int of_logits = 0; of_logits < 2; of_logits++) {
            problem p = problem_of(losses[i].name, m, x, m->one_hot);
            p.o.base.from_logits = of_logits && strcmp(p.name, "huber") && strcmp(p.name, "smooth_l1");
            if (strcmp(p.name, "lovasz_softmax") == 0) p.o.absent_classes = true;
            if (!isnan(value_of(&p))) fail_msg("%s: a NaN in the prediction was lost", p.name);
        }
}

/* ---- Derivatives
 * ------------------------------------------------------------------------------------------------------- */

typedef struct checked {
    loss_function *run;
    any_options o;
    gr_tensor *y;
} checked;

static gr_tensor *checked_loss(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    const checked *c = context;
    return c->run(t, x[0], n > 1 ? x[1] : c->y, &c->o);
}

/* Every loss as a whole, once and twice, by prediction and by target, where the target may be soft. */
static void derivatives(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        any_options o;
        bool soft;
    } cases[] = {
        {"dice", {.base.from_logits = true}, true},
        {"dice", {.base = {.from_logits = true, .reduction = GR_NONE}, .softmax = true, .region = GR_PER_CLASS}, true},
        {"tversky", {.base.reduction = GR_SUM, .fp_weight = 0.3, .fn_weight = 0.7, .region = GR_PER_SAMPLE}, true},
        {"focal_tversky", {.base.from_logits = true, .softmax = true, .gamma = 0.5, .without_background = true}, true},
        {"focal_tversky", {.base.from_logits = true, .gamma = 2, .region = GR_PER_CLASS}, true},
        {"jaccard", {.region = GR_WHOLE}, true},
        {"sensitivity_specificity", {.base.from_logits = true, .w = 0.3}, true},
        {"log_cosh_dice", {.base.from_logits = true}, true},
        {"generalised_dice", {.base.from_logits = true, .softmax = true}, true},
        {"generalised_dice", {.region = GR_PER_CLASS}, true},
        {"dice_bce", {.base.from_logits = true, .mix = 0.5}, true},
        {"dice_ce", {.base.from_logits = true, .mix = 0.5}, true},
        {"dice_focal", {.base.from_logits = true, .alpha = 0.3, .gamma = 1.5}, true},
        {"lovasz_hinge", {.base.from_logits = true}, false},
        {"lovasz_softmax", {.base.from_logits = true}, false},
        {"lovasz_softmax", {.region = GR_PER_CLASS}, false},
        {"focal", {.base.from_logits = true, .alpha = 0.3, .gamma = 0.5}, true},
        {"balanced_bce", {.base.from_logits = true}, true},
    };
    const images *m = random_images();
    for (int i = 0; i < COUNT(cases); i++)
        for (int order = 1; order <= 2; order++) {
            const int64_t shape[] = {N, C, 2, 2};
            gr_tensor *x = tensor_of(GR_F64, 4, shape, cases[i].o.base.from_logits ? m->x : m->p);
            gr_tensor *y = tensor_of(GR_F64, 4, shape, cases[i].soft ? m->soft : m->hard);
            checked c = {find(cases[i].name), cases[i].o, y};
            assert_int_equal(gr_require_grad(x), GR_OK);
            if (cases[i].soft) assert_int_equal(gr_require_grad(y), GR_OK);
            const gr_check_options options = {
                .order = order, .mode = order == 2 ? GR_CHECK_SAMPLED : GR_CHECK_FULL, .samples = 4, .rtol = 1e-6};
            gr_check_report report;
            if (gr_check_gradients(checked_loss, &c, (gr_tensor *[]){x, y}, cases[i].soft ? 2 : 1, &options, &report))
                fail_msg("%s: %s", cases[i].name, gr_last_error());
            if (report.verdict != GR_CHECK_PASS) {
                gr_check_fprint(stderr, &report);
                fail_msg("%s (%d), order %d: %s", cases[i].name, i, order, gr_check_verdict_name(report.verdict));
            }
            gr_tensor_free(x);
            gr_tensor_free(y);
        }
}

/* ---- Refusals
 * ---------------------------------------------------------------------------------------------------------- */

static void refusals(void **state)
{
    (void)state;
    const double p[8] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8};
    double y[8] = {0, 1, 0, 1, 0, 1, QNAN, 0}, wrong[8] = {0, 1, 0, 1, 0, 1, -1, 0}, good[8] = {0, 1, 0, 1, 0, 1, 0, 0},
           soft[8] = {0, 1, 0.5, 1, 0, 1, 0, 0};
    const double outside[8] = {0.1, 0.2, 0.3, 3.25, 0.5, 0.6, 0.7, 0.8};
    static const int64_t shape[] = {1, 2, 4}, flat[] = {8}, matrix[] = {2, 4};
    gr_tensor *x = tensor_of(GR_F64, 3, shape, p), *far_off = tensor_of(GR_F64, 3, shape, outside),
              *vector = tensor_of(GR_F64, 1, flat, p), *square = tensor_of(GR_F64, 2, matrix, p);
    gr_tensor *none = tensor_of(GR_F64, 3, shape, y), *negative = tensor_of(GR_F64, 3, shape, wrong),
              *mask = tensor_of(GR_F64, 3, shape, good);
    gr_tensor *half = tensor_of(GR_F64, 3, shape, soft), *single = tensor_of(GR_F32, 3, shape, good),
              *three = tensor_of(GR_F64, 1, (int64_t[]){3}, p);
    gr_tensor *classes = gr_from(GR_I32, 2, (int64_t[]){1, 4}, (int32_t[]){0, 1, 2, 0}),
              *nothing = gr_zeros(GR_F64, GR_SHAPE(0, 2, 4));
    gr_tape *t = gr_tape_new();
#define WITH(...) (&(any_options){__VA_ARGS__})
    const struct {
        loss_function *run;
        gr_tensor *x, *y;
        const any_options *o;
        gr_status status;
        const char *message;
    } calls[] = {
        {dice, x, none, NULL, GR_ERR_VALUE, "dice: target nan at [0,1,2]"},
        {tversky, x, negative, NULL, GR_ERR_VALUE, "tversky: target -1 at [0,1,2], expected a number in [0,1]"},
        {dice_focal, x, none, NULL, GR_ERR_VALUE, "dice_focal: target nan at [0,1,2]"},
        {focal, x, none, WITH(.as_given = false), GR_ERR_VALUE, "focal: target nan at [0,1,2]"},
        {weighted_bce, x, negative, WITH(.as_given = false), GR_ERR_VALUE, "weighted_bce: target -1 at [0,1,2]"},
        {balanced_bce, x, none, WITH(.as_given = false), GR_ERR_VALUE, "balanced_bce: target nan at [0,1,2]"},
        {huber, x, none, WITH(.as_given = false), GR_ERR_VALUE, "huber: target nan at [0,1,2]"},
        {jaccard, far_off, mask, NULL, GR_ERR_VALUE,
         "jaccard: prediction 3.25 at [0,0,3] is outside [0,1]; are these logits?"},
        {lovasz_softmax, far_off, mask, NULL, GR_ERR_VALUE,
         "lovasz_softmax: prediction 3.25 at [0,0,3] is outside [0,1]; are these logits?"},
        {lovasz_hinge, x, half, NULL, GR_ERR_VALUE, "lovasz_hinge: target 0.5 at [0,0,2], expected 0 or 1"},
        {lovasz_softmax, x, none, NULL, GR_ERR_VALUE, "lovasz_softmax: target nan at [0,1,2], expected 0 or 1"},
        {dice, x, classes, NULL, GR_ERR_VALUE, "dice: class 2 at [0,2] is outside the 2 classes"},
        {lovasz_softmax, x, classes, NULL, GR_ERR_VALUE, "lovasz_softmax: class 2 at [0,2] is outside the 2 classes"},
        {dice, x, vector, NULL, GR_ERR_SHAPE,
         "dice: the prediction is f64 [1,2,4], the target f64 [8]; expected f64 [1,2,4], or classes as i32 [1,4]"},
        {dice, x, single, NULL, GR_ERR_DTYPE, "dice: the prediction is f64 [1,2,4], the target f32 [1,2,4]"},
        {dice, square, square, NULL, GR_ERR_SHAPE,
         "dice: the prediction is [2,4] and has no planes, expected [N,C,...]; .region GR_WHOLE makes it one"},
        {balanced_bce, vector, vector, WITH(.as_given = false), GR_ERR_SHAPE,
         "balanced_bce: the prediction is [8] and has no planes"},
        {dice, x, mask, WITH(.region = (gr_region)7), GR_ERR_OPTION, "dice: no such region: 7"},
        {dice, x, mask, WITH(.softmax = true), GR_ERR_OPTION, "softmax goes with from_logits"},
        {dice, x, mask, WITH(.epsilon = -1), GR_ERR_OPTION, "dice: epsilon -1, expected 0 or more"},
        {dice, x, mask, WITH(.base.reduction = (gr_reduction)9), GR_ERR_OPTION, "dice: no such reduction: 9"},
        {tversky, x, mask, WITH(.fp_weight = QNAN), GR_ERR_OPTION, "tversky: fp_weight nan"},
        {sensitivity_specificity, x, mask, WITH(.w = 1.5), GR_ERR_OPTION,
         "specificity_weight -0.5, expected 0 or more"},
        {sensitivity_specificity, x, mask, WITH(.w = -1), GR_ERR_OPTION, "sensitivity_weight -1, expected 0 or more"},
        {dice_ce, x, mask, WITH(.mix = -1), GR_ERR_OPTION, "dice_ce: mix -1, expected 0 or more"},
        {focal_tversky, x, mask, WITH(.gamma = -1), GR_ERR_OPTION, "focal_tversky: gamma -1, expected 0 or more"},
        {dice_focal, x, mask, WITH(.alpha = 1.5), GR_ERR_OPTION, "dice_focal: alpha 1.5 is outside [0,1]"},
        {dice_bce, x, mask, WITH(.base.reduction = GR_NONE), GR_ERR_OPTION,
         "dice_bce: .reduction GR_NONE cannot add losses of regions and of pixels"},
        {generalised_dice, x, mask, WITH(.region = GR_WHOLE), GR_ERR_OPTION,
         "generalised_dice: combines classes: expected .region GR_PER_PLANE"},
        {dice, x, mask, WITH(.base.class_weight = three), GR_ERR_SHAPE, "dice: the class_weight is [3], expected [2]"},
        {dice, x, mask, WITH(.base.class_weight = three, .region = GR_WHOLE), GR_ERR_OPTION,
         "dice: a class_weight is for regions of one class: .region GR_PER_PLANE"},
        {dice, x, mask, WITH(.base.weight = negative), GR_ERR_VALUE,
         "dice: the weight is -1 at [0,1,2], expected 0 or more"},
        {lovasz_hinge, x, mask, WITH(.base.weight = negative), GR_ERR_VALUE,
         "lovasz_hinge: the weight is -1 at [0,1,2], expected 0 or more"},
        {dice, x, mask, WITH(.base.weight = vector), GR_ERR_SHAPE, "dice: the weight is [8], the prediction [1,2,4]"},
        {dice, nothing, nothing, NULL, GR_ERR_SHAPE, "dice: a mean over nothing: [0,2,4]"},
        {lovasz_hinge, x, mask, WITH(.softmax = true), GR_ERR_OPTION, "lovasz_hinge: has no softmax"},
        {soft_counts, x, mask, WITH(.base.reduction = GR_SUM), GR_ERR_OPTION, "soft_counts: has no reduction"},
        {focal, x, mask, WITH(.alpha = 1.5), GR_ERR_OPTION, "focal: alpha 1.5 is outside [0,1]"},
        {focal, x, mask, WITH(.gamma = -1), GR_ERR_OPTION, "focal: gamma -1, expected 0 or more"},
        {weighted_bce, x, mask, WITH(.w = -2), GR_ERR_OPTION, "weighted_bce: beta -2, expected 0 or more"},
        {huber, x, mask, WITH(.w = -2), GR_ERR_OPTION, "huber: delta -2, expected a number above 0"},
        {dice, NULL, mask, NULL, GR_ERR_NULL, "dice: input 0 is NULL"},
    };
    for (int i = 0; i < COUNT(calls); i++) {
        gr_clear_error();
        if (calls[i].run(t, calls[i].x, calls[i].y, calls[i].o)) fail_msg("not refused: %s", calls[i].message);
        assert_failed_with("a refusal", calls[i].status, calls[i].message);
    }
    gr_clear_error();
    assert_null(gr_balanced_bce(t, x, mask, &(gr_balanced_bce_options){.beta = 0.5}));
    assert_failed_with("beta without fixed", GR_ERR_OPTION, "balanced_bce: beta is 0.5, but not fixed");
    gr_clear_error();
    assert_null(gr_dice(t, x, mask, &(gr_overlap_options){.epsilon = 0.5, .unsmoothed = true}));
    assert_failed_with("epsilon of none", GR_ERR_OPTION, "dice: epsilon is 0.5, but unsmoothed");
    gr_tape_free(t);
    gr_tensor *const all[] = {x, far_off, vector, square, none, negative, mask, half, single, three, classes, nothing};
    for (int i = 0; i < COUNT(all); i++) gr_tensor_free(all[i]);
}

/* A complaint is about what is counted: the first value that is out of range is not, the second is. */
static void complaints_are_about_what_counts(void **state)
{
    (void)state;
    const double p[4] = {5, 0.5, 0.5, 7}, y[4] = {9, 1, 1, 1}, bits[4] = {0, 1, 1, 1}, weight[4] = {0, 1, 1, 1},
                 negative[4] = {-1, 1, 1, -2};
    static const int64_t shape[] = {1, 2, 2};
    gr_tensor *x = tensor_of(GR_F64, 3, shape, p), *ignored = tensor_of(GR_F64, 3, shape, y),
              *mask = tensor_of(GR_F64, 3, shape, bits);
    gr_tensor *w = tensor_of(GR_F64, 3, shape, weight), *pixels = tensor_of(GR_F64, 2, (int64_t[]){1, 2}, weight),
              *bad = tensor_of(GR_F64, 3, shape, negative);
    gr_tensor *logits = gr_zeros(GR_F64, 3, shape), *classes = gr_from(GR_I32, GR_SHAPE(1, 2), (int32_t[]){7, 1});
    gr_tape *t = gr_tape_new();
    const struct {
        gr_tensor *x, *y;
        any_options o;
        const char *message;
    } calls[] = {
        {x, ignored, {.base = {.ignore = true, .ignore_index = 9}}, "prediction 7 at [0,1,1]"},
        {x, mask, {.base.weight = w}, "prediction 7 at [0,1,1]"},
        {x, mask, {.base.weight = pixels}, "prediction 7 at [0,1,1]"},
        {x, ignored, {.without_background = true}, "prediction 7 at [0,1,1]"},
        {x, classes, {.base = {.ignore = true, .ignore_index = 7}}, "prediction 7 at [0,1,1]"},
        {logits,
         mask,
         {.base = {.weight = bad, .from_logits = true}, .without_background = true},
         "the weight is -2 at [0,1,1]"},
        {logits,
         ignored,
         {.base = {.weight = bad, .from_logits = true, .ignore = true, .ignore_index = 9}},
         "the weight is -2 at [0,1,1]"},
    };
    for (int i = 0; i < COUNT(calls); i++) {
        gr_clear_error();
        if (dice(t, calls[i].x, calls[i].y, &calls[i].o)) fail_msg("call %d is not refused", i);
        assert_failed_with("a complaint", GR_ERR_VALUE, calls[i].message);
    }
    gr_tape_free(t);
    gr_tensor *const all[] = {x, ignored, mask, w, pixels, bad, logits, classes};
    for (int i = 0; i < COUNT(all); i++) gr_tensor_free(all[i]);
}

/* ---- Threads, memory
 * ------------------------------------------------------------------------------------------------- */

/* Several blocks to a plane, several planes to a region, an odd size. */
enum { LARGE = 3 * 2 * 40007 };

static void same_bits_whatever_the_threads(void **state)
{
    (void)state;
#ifdef _OPENMP
    static const char *const names[] = {"dice",         "generalised_dice", "focal",          "wbce",
                                        "balanced_bce", "lovasz_hinge",     "lovasz_softmax", "huber"};
    gr_rng rng = gr_rng_seed(3);
    const int before = omp_get_max_threads();
    for (int i = 0; i < COUNT(names) * 4; i++) {
        const gr_region region =
            i % 4 > 1 && !strcmp(names[i / 4], "generalised_dice") ? GR_PER_CLASS : (gr_region)(i % 4);
        gr_tensor *x = gr_uniform(GR_F32, GR_SHAPE(3, 2, 40007), -4, 4, &rng),
                  *y = gr_zeros(GR_F32, GR_SHAPE(3, 2, 40007)), *l[2], *d[2];
        for (int64_t k = 0; k < LARGE; k++) gr_f32(y)[k] = (float)gr_rng_below(&rng, 2);
        assert_int_equal(gr_require_grad(x), GR_OK);
        gr_tape *t = gr_tape_new();
        const bool softmax = strstr(names[i / 4], "generalised") || strstr(names[i / 4], "softmax");
        for (int k = 0; k < 2; k++) {
            omp_set_num_threads(k + 1);
            l[k] = find(names[i / 4])(t, x, y,
                                      &(any_options){.base.from_logits = strcmp(names[i / 4], "huber") != 0,
                                                     .softmax = softmax,
                                                     .region = region});
            if (!l[k] || gr_grad(t, l[k], &x, 1, &d[k], GR_RETAIN)) fail_msg("%s: %s", names[i / 4], gr_last_error());
        }
        omp_set_num_threads(before);
        assert_memory_equal(gr_read_f32(l[0]), gr_read_f32(l[1]), sizeof(float));
        assert_memory_equal(gr_read_f32(d[0]), gr_read_f32(d[1]), LARGE * sizeof(float));
        gr_tape_free(t);
        gr_tensor_free(x);
        gr_tensor_free(y);
    }
#else
    skip();
#endif
}

/* The counts of many blocks against sums in long double. */
static void large_planes(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(6);
    gr_tensor *p = gr_uniform(GR_F32, GR_SHAPE(3, 2, 40007), 0, 1, &rng),
              *y = gr_uniform(GR_F32, GR_SHAPE(3, 2, 40007), 0, 1, &rng);
    gr_tape *t = gr_tape_new();
    for (int region = 0; region < GR_N_REGIONS; region++) {
        gr_tensor *counts = soft_counts(t, p, y, &(any_options){.region = (gr_region)region});
        const int64_t n = gr_size(counts) / 4;
        long double sum[4][6] = {{0}};
        for (int64_t i = 0; i < LARGE; i++) {
            const int64_t image = i / 80014, class = i / 40007 % 2,
                          r = region == GR_PER_PLANE    ? image * 2 + class
                              : region == GR_PER_CLASS  ? class
                              : region == GR_PER_SAMPLE ? image
                                                        : 0;
            const long double a = (long double)gr_read_f32(p)[i], b = (long double)gr_read_f32(y)[i];
            sum[0][r] += a * b, sum[1][r] += a * (1 - b), sum[2][r] += (1 - a) * b, sum[3][r] += (1 - a) * (1 - b);
        }
        for (int64_t i = 0; i < 4 * n; i++)
            if (fabs(gr_get(counts, i) - (double)sum[i / n][i % n]) > 5e-7 * (double)sum[i / n][i % n])
                fail_msg("region %d: count %lld is %.9g, expected %.9Lg", region, (long long)i, gr_get(counts, i),
                         sum[i / n][i % n]);
    }
    gr_tape_free(t);
    gr_tensor_free(p);
    gr_tensor_free(y);
}

/* After the first step of a shape the tape asks for no more memory. */
static void memory_is_recycled(void **state)
{
    (void)state;
    const images *m = random_images();
    const int64_t shape[] = {N, C, H, W};
    gr_tensor *x = tensor_of(GR_F64, 4, shape, m->x), *y = tensor_of(GR_F64, 4, shape, m->one_hot);
    assert_int_equal(gr_require_grad(x), GR_OK);
    for (int i = 0; i < COUNT(losses); i++) {
        gr_tape *t = gr_tape_new();
        int64_t bytes = 0;
        for (int step = 0; step < 3; step++) {
            gr_tensor *l =
                losses[i].run(t, x, y, &(any_options){.base.from_logits = !strstr("huber smooth_l1", losses[i].name)});
            assert_int_equal(gr_backward(t, l, 0), GR_OK);
            if (step) assert_int_equal(gr_tape_statistics(t).pool_bytes, bytes);
            bytes = gr_tape_statistics(t).pool_bytes;
            gr_zero_grad(x);
            gr_tape_reset(t);
            assert_int_equal(gr_tape_statistics(t).bytes, 0);
        }
        gr_tape_free(t);
    }
    gr_tensor_free(x);
    gr_tensor_free(y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_losses_of_pixels),
        cmocka_unit_test(golden_losses_of_regions),
        cmocka_unit_test(golden_losses_of_images),
        cmocka_unit_test(golden_rows_in_f32),
        cmocka_unit_test(identities),
        cmocka_unit_test(weighted_bce_is_bce),
        cmocka_unit_test(weights_of_two_sides),
        cmocka_unit_test(defaults),
        cmocka_unit_test(the_score_is_the_complement),
        cmocka_unit_test(regions_are_counted),
        cmocka_unit_test(planes_are_averaged),
        cmocka_unit_test(background_is_left_out),
        cmocka_unit_test(ignored_pixels_are_not_there),
        cmocka_unit_test(weights_are_repetitions),
        cmocka_unit_test(ignored_regions_do_not_count),
        cmocka_unit_test(class_indices_are_shares),
        cmocka_unit_test(logits_are_probabilities),
        cmocka_unit_test(balance),
        cmocka_unit_test(lovasz_by_enumeration),
        cmocka_unit_test(lovasz_of_many),
        cmocka_unit_test(lovasz_counts_the_classes_there),
        cmocka_unit_test(generalised_dice_weighs_by_size),
        cmocka_unit_test(everything_is_finite),
        cmocka_unit_test(perfect_is_zero),
        cmocka_unit_test(nan_propagates),
        cmocka_unit_test(derivatives),
        cmocka_unit_test(refusals),
        cmocka_unit_test(complaints_are_about_what_counts),
        cmocka_unit_test(same_bits_whatever_the_threads),
        cmocka_unit_test(large_planes),
        cmocka_unit_test(memory_is_recycled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
