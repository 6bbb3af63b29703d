/* test_loss_limits.c: losses at infinite logits, where the limit is known; the one rule of their reductions; options
 * that a dtype cannot hold; second derivatives far out. */
#include <float.h>

#include "helpers.h"

#include <gradus/gradus.h>

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))
#define INF ((double)INFINITY)

/* ---- All losses, by one signature ------------------------------------------------------------------------------- */

typedef struct loss_call {
    gr_reduction reduction;
    bool logits, ignore;
    double ignored;
} loss_call;

typedef gr_tensor *(*any_loss)(gr_tape *t, gr_tensor *p, gr_tensor *y, const loss_call *c);

#define PIXEL(c)                                                                                                     \
    {                                                                                                                \
        .reduction = (c)->reduction, .from_logits = (c)->logits, .ignore = (c)->ignore, .ignore_index = (c)->ignored \
    }
#define LOSS(name, call) \
    static gr_tensor *name##_of(gr_tape *t, gr_tensor *p, gr_tensor *y, const loss_call *c) { return call; }

LOSS(l1, gr_l1(t, p, y, &(gr_loss_options)PIXEL(c)))
LOSS(mse, gr_mse(t, p, y, &(gr_loss_options)PIXEL(c)))
LOSS(zero_one, gr_zero_one(t, p, y, &(gr_loss_options)PIXEL(c)))
LOSS(hinge,
     gr_hinge(t, p, gr_shift(t, gr_scale(t, y, 2), -1),
              &(gr_loss_options){.reduction = c->reduction, .ignore = c->ignore, .ignore_index = 2 * c->ignored - 1}))
LOSS(bce, gr_bce(t, p, y, &(gr_loss_options)PIXEL(c)))
LOSS(cross_entropy, gr_cross_entropy(t, p, y, &(gr_loss_options)PIXEL(c)))
LOSS(kl, gr_kl(t, p, y, &(gr_loss_options)PIXEL(c)))
LOSS(weighted_bce, gr_weighted_bce(t, p, y, &(gr_weighted_bce_options){.base = PIXEL(c), .beta = 3}))
LOSS(balanced_bce, gr_balanced_bce(t, p, y, &(gr_balanced_bce_options){.base = PIXEL(c), .fixed = true, .beta = 0.25}))
LOSS(focal, gr_focal(t, p, y, &(gr_focal_options){.base = PIXEL(c)}))
LOSS(focal_half, gr_focal(t, p, y, &(gr_focal_options){.base = PIXEL(c), .alpha = 0.5, .gamma = 0.5}))
LOSS(focal_0, gr_focal(t, p, y, &(gr_focal_options){.base = PIXEL(c), .alpha = 0.5, .as_given = true}))
LOSS(focal_alpha_1, gr_focal(t, p, y, &(gr_focal_options){.base = PIXEL(c), .alpha = 1, .as_given = true}))
LOSS(huber, gr_huber(t, p, y, &(gr_huber_options){.base = PIXEL(c)}))
LOSS(smooth_l1, gr_smooth_l1(t, p, y, &(gr_smooth_l1_options){.base = PIXEL(c)}))

LOSS(dice, gr_dice(t, p, y, &(gr_overlap_options){.base = PIXEL(c)}))
LOSS(jaccard, gr_jaccard(t, p, y, &(gr_overlap_options){.base = PIXEL(c)}))
LOSS(generalised_dice, gr_generalised_dice(t, p, y, &(gr_overlap_options){.base = PIXEL(c)}))
LOSS(log_cosh_dice, gr_log_cosh_dice(t, p, y, &(gr_overlap_options){.base = PIXEL(c)}))
LOSS(tversky, gr_tversky(t, p, y, &(gr_tversky_options){.base = PIXEL(c)}))
LOSS(focal_tversky, gr_focal_tversky(t, p, y, &(gr_focal_tversky_options){.base = PIXEL(c)}))
LOSS(rates, gr_sensitivity_specificity(t, p, y, &(gr_sensitivity_specificity_options){.base = PIXEL(c)}))
LOSS(score, gr_sensitivity_specificity_score(t, p, y, &(gr_sensitivity_specificity_options){.base = PIXEL(c)}))
LOSS(lovasz_hinge, gr_lovasz_hinge(t, p, y, &(gr_region_options)PIXEL(c)))
LOSS(lovasz_softmax, gr_lovasz_softmax(t, p, y, &(gr_lovasz_softmax_options){.base = PIXEL(c)}))
LOSS(lovasz_all, gr_lovasz_softmax(t, p, y, &(gr_lovasz_softmax_options){.base = PIXEL(c), .absent_classes = true}))

/* ---- Infinite logits: the limit, with all the losses that have one ----------------------------------------------- */

static const struct limit {
    const char *what;
    any_loss of;
    int n; /* of one row */
    double x[3], y[3], value, slope[3];
} limits[] = {
    {"bce", bce_of, 2, {INF, -INF}, {1, 0}, 0, {0, 0}},
    {"bce, wrong", bce_of, 1, {INF}, {0}, INF, {1}},
    {"bce, half", bce_of, 1, {-INF}, {0.5}, INF, {-0.5}},
    {"weighted_bce", weighted_bce_of, 2, {INF, -INF}, {1, 0}, 0, {0, 0}},
    {"weighted_bce, wrong", weighted_bce_of, 1, {-INF}, {1}, INF, {-3}},
    {"balanced_bce", balanced_bce_of, 2, {INF, -INF}, {1, 0}, 0, {0, 0}},
    {"focal", focal_of, 2, {INF, -INF}, {1, 0}, 0, {0, 0}},
    {"focal, wrong", focal_of, 1, {-INF}, {1}, INF, {-0.25}},
    {"focal, wrong", focal_of, 1, {INF}, {0}, INF, {0.75}},
    {"focal, gamma 1/2", focal_half_of, 2, {INF, -INF}, {1, 0}, 0, {0, 0}},
    {"focal, gamma 0", focal_0_of, 2, {INF, -INF}, {1, 0}, 0, {0, 0}},
    {"focal, gamma 0, wrong", focal_0_of, 1, {INF}, {0}, INF, {0.5}},
    {"focal, alpha 1", focal_alpha_1_of, 2, {INF, INF}, {1, 0}, 0, {0, 0}},
    {"hinge", hinge_of, 2, {INF, -INF}, {1, 0}, 0, {0, 0}},
    {"zero_one", zero_one_of, 2, {INF, -INF}, {1, 0}, 0, {0, 0}},
    {"cross_entropy", cross_entropy_of, 2, {INF, -INF}, {1, 0}, 0, {0, 0}},
    {"cross_entropy, a class left out", cross_entropy_of, 2, {0, -INF}, {1, 0}, 0, {0, 0}},
    {"cross_entropy, infinitely sure", cross_entropy_of, 3, {0, INF, 7}, {0, 1, 0}, 0, {0, 0, 0}},
    {"cross_entropy, wrong", cross_entropy_of, 2, {INF, 0}, {0, 1}, INF, {1, -1}},
    {"cross_entropy, wrong", cross_entropy_of, 2, {0, -INF}, {0, 1}, INF, {1, -1}},
    {"kl", kl_of, 2, {INF, -INF}, {1, 0}, 0, {0, 0}},
    {"kl, wrong", kl_of, 2, {INF, 0}, {0, 1}, INF, {1, -1}},
    {"dice", dice_of, 2, {INF, -INF}, {1, 0}, 0, {0, 0}},
    {"jaccard", jaccard_of, 2, {INF, -INF}, {1, 0}, 0, {0, 0}},
    {"generalised_dice", generalised_dice_of, 2, {INF, -INF}, {1, 0}, 0, {0, 0}},
    {"log_cosh_dice", log_cosh_dice_of, 2, {INF, -INF}, {1, 0}, 0, {0, 0}},
    {"tversky", tversky_of, 2, {INF, -INF}, {1, 0}, 0, {0, 0}},
    {"focal_tversky", focal_tversky_of, 2, {INF, -INF}, {1, 0}, 0, {0, 0}},
    {"sensitivity_specificity", rates_of, 2, {INF, -INF}, {1, 0}, 0, {0, 0}},
    {"lovasz_hinge", lovasz_hinge_of, 2, {INF, -INF}, {1, 0}, 0, {0, 0}},
    {"lovasz_softmax", lovasz_softmax_of, 2, {INF, -INF}, {1, 0}, 0, {0, 0}},
};

enum { MOST_ROWS = 17 };

/* The row as n equal ones, [n,classes], or [n,1,k] for losses of regions; summed. */
static void try_limit(gr_tape *t, const struct limit *l, gr_dtype dtype, int flags, int rows)
{
    const bool classes = l->of == cross_entropy_of || l->of == kl_of, softmax = l->of == lovasz_softmax_of;
    gr_tensor *x = classes   ? gr_zeros(dtype, GR_SHAPE(rows, l->n))
                   : softmax ? gr_zeros(dtype, GR_SHAPE(rows, l->n, 1))
                             : gr_zeros(dtype, GR_SHAPE(rows, 1, l->n));
    gr_tensor *y = gr_copy(x), *d;
    for (int i = 0; i < rows * l->n; i++) assert_true(!gr_set(x, i, l->x[i % l->n]) && !gr_set(y, i, l->y[i % l->n]));
    assert_int_equal(gr_require_grad(x), GR_OK);
    gr_tensor *loss = l->of(t, x, y, &(loss_call){.reduction = GR_SUM, .logits = true});
    if (!loss || gr_grad(t, loss, &x, 1, &d, flags)) fail_msg("%s: %s", l->what, gr_last_error());
    if (gr_item(loss) != l->value)
        fail_msg("%s in %s, %d rows, is %g, expected %g", l->what, gr_dtype_name(dtype), rows, gr_item(loss), l->value);
    for (int i = 0; i < rows * l->n; i++)
        if (gr_get(d, i) != l->slope[i % l->n])
            fail_msg("%s in %s%s, %d rows: slope [%d] is %g, expected %g", l->what, gr_dtype_name(dtype),
                     flags ? ", recorded" : "", rows, i, gr_get(d, i), l->slope[i % l->n]);
    gr_tensor_free(x);
    gr_tensor_free(y);
    gr_tape_reset(t);
}

static void infinite_logits_give_the_limit(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    for (int i = 0; i < COUNT(limits); i++)
        for (int form = 0; form < 4; form++)
            for (int rows = 1; rows <= MOST_ROWS; rows += 8)
                try_limit(t, &limits[i], form % 2 ? GR_F64 : GR_F32, form / 2 ? GR_CREATE_GRAPH : 0, rows);
    gr_tape_free(t);
}

/* ---- SUM is the sum of NONE, MEAN is SUM over what counts -------------------------------------------------------- */

static const struct reduced {
    const char *what;
    any_loss of;
    bool regions, logits;
    int counted; /* of the material below: positions or regions that are not left out */
} reduced[] = {
    {"l1", l1_of, false, false, 8},
    {"mse", mse_of, false, false, 8},
    {"zero_one", zero_one_of, false, false, 8},
    {"hinge", hinge_of, false, false, 8},
    {"bce", bce_of, false, false, 8},
    {"bce", bce_of, false, true, 8},
    {"weighted_bce", weighted_bce_of, false, true, 8},
    {"balanced_bce", balanced_bce_of, false, true, 8},
    {"focal", focal_of, false, true, 8},
    {"huber", huber_of, false, false, 8},
    {"smooth_l1", smooth_l1_of, false, false, 8},
    {"dice", dice_of, true, false, 3},
    {"jaccard", jaccard_of, true, false, 3},
    {"generalised_dice", generalised_dice_of, true, false, 2},
    {"log_cosh_dice", log_cosh_dice_of, true, false, 3},
    {"tversky", tversky_of, true, false, 3},
    {"focal_tversky", focal_tversky_of, true, false, 3},
    {"sensitivity_specificity", rates_of, true, false, 3},
    {"sensitivity_specificity_score", score_of, true, false, 3},
    {"lovasz_hinge", lovasz_hinge_of, true, true, 3},
    {"lovasz_softmax", lovasz_softmax_of, true, false, 2},
    {"lovasz_softmax, absent classes", lovasz_all_of, true, false, 3},
};

/* [2,2,3]: of the four planes one is ignored as a whole, one has no positives, one is ignored in part. */
static const double some[12] = {1, 0, 1, 0, 0, 0, 7, 7, 7, 1, 7, 0};

static double total(const gr_tensor *x)
{
    double sum = 0;
    for (int64_t i = 0; i < gr_size(x); i++) sum += gr_get(x, i);
    return sum;
}

static void try_reduction(gr_tape *t, const struct reduced *r, gr_dtype dtype, bool all)
{
    gr_tensor *p = gr_zeros(dtype, GR_SHAPE(2, 2, 3)), *y = gr_copy(p), *l[GR_N_REDUCTIONS], *d;
    for (int i = 0; i < 12; i++) assert_true(!gr_set(p, i, 0.07 * i + 0.1) && !gr_set(y, i, all ? 7 : some[i]));
    assert_int_equal(gr_require_grad(p), GR_OK);
    for (int k = 0; k < GR_N_REDUCTIONS; k++) {
        l[k] = r->of(t, p, y,
                     &(loss_call){.reduction = (gr_reduction)k, .logits = r->logits, .ignore = true, .ignored = 7});
        if (!l[k]) fail_msg("%s: %s", r->what, gr_last_error());
    }
    const double none = total(l[GR_NONE]), sum = gr_item(l[GR_SUM]), mean = gr_item(l[GR_MEAN]);
    const double tolerance = dtype == GR_F32 ? 1e-6 : 1e-14;
    if (!close_to(sum, none, tolerance) || !close_to(mean, all ? 0 : sum / r->counted, tolerance) || (all && sum != 0))
        fail_msg("%s in %s%s: the sum is %.9g, that of its parts %.9g, the mean %.9g of %d", r->what,
                 gr_dtype_name(dtype), all ? ", all ignored" : "", sum, none, mean, r->counted);
    assert_int_equal(gr_grad(t, l[GR_MEAN], &p, 1, &d, GR_RETAIN), GR_OK);
    for (int i = 0; i < 12; i++)
        if ((all || some[i] == 7) && gr_get(d, i) != 0) fail_msg("%s: an ignored element has a gradient", r->what);
    gr_tensor_free(p);
    gr_tensor_free(y);
    gr_tape_reset(t);
}

static void reductions_keep_one_rule(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    for (int i = 0; i < 4 * COUNT(reduced); i++) try_reduction(t, &reduced[i / 4], i % 2 ? GR_F64 : GR_F32, i / 2 % 2);
    gr_tape_free(t);
}

/* Losses of classes, by index: the shape of GR_NONE is that of the positions. */
static void reductions_of_classes(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    gr_tensor *p = gr_full(GR_F64, GR_SHAPE(4, 3), 0.25), *l[GR_N_REDUCTIONS];
    for (int form = 0; form < 4; form++) {
        gr_tensor *y = gr_full(GR_I32, GR_SHAPE(4), 7);
        for (int i = 0; i < 3 && form % 2; i++) assert_int_equal(gr_set(y, i, i), GR_OK);
        for (int k = 0; k < GR_N_REDUCTIONS; k++) {
            const loss_call c = {.reduction = (gr_reduction)k, .logits = true, .ignore = true, .ignored = 7};
            assert_non_null(l[k] = form / 2 ? kl_of(t, p, y, &c) : cross_entropy_of(t, p, y, &c));
        }
        const double sum = gr_item(l[GR_SUM]);
        assert_true(close_to(total(l[GR_NONE]), sum, 1e-14));
        assert_true(close_to(gr_item(l[GR_MEAN]), sum / 3, 1e-14) && close_to(sum, form % 2 ? 3 * log(3) : 0, 1e-14));
        gr_tensor_free(y);
    }
    gr_tensor_free(p);
    gr_tape_free(t);
}

/* A beta that is given needs no planes. */
static void a_fixed_beta_needs_no_planes(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    gr_tensor *p = gr_full(GR_F64, GR_SHAPE(3), 0.5), *y = gr_ones(GR_F64, GR_SHAPE(3));
    gr_tensor *l = gr_balanced_bce(t, p, y, &(gr_balanced_bce_options){.fixed = true, .beta = 0.25});
    assert_true(close_to(gr_item(l), 0.25 * log(2), 1e-15));
    assert_null(gr_balanced_bce(t, p, y, NULL));
    assert_failed_with("a beta of planes", GR_ERR_SHAPE, "has no planes");
    gr_tape_free(t);
    gr_tensor_free(p);
    gr_tensor_free(y);
}

/* ---- Options ---------------------------------------------------------------------------------------------------- */

/* Rounded to F32 they would be 0 or infinite, and values and slopes NaN; F64 takes them, and both take a denormal. */
static void options_that_f32_cannot_hold(void **state)
{
    (void)state;
    static const double far[] = {1e-40, 1e-60, 1e39};
    enum { DENORMAL = 0 };
    gr_tape *t = gr_tape_new();
    for (int d = 0; d < 2; d++)
        for (int i = 0; i < 3; i++) {
            gr_tensor *p = gr_full(d ? GR_F64 : GR_F32, GR_SHAPE(2), 0.25), *y = gr_copy(p);
            gr_tensor *l[] = {gr_smooth_l1(t, p, y, &(gr_smooth_l1_options){.beta = far[i]}),
                              gr_huber(t, p, y, &(gr_huber_options){.delta = far[i]}),
                              gr_weighted_bce(t, p, y, &(gr_weighted_bce_options){.beta = far[i]}),
                              gr_focal(t, p, y, &(gr_focal_options){.alpha = 0.5, .gamma = far[i]})};
            for (int k = 0; k < 4; k++) {
                assert_true(d || i == DENORMAL ? l[k] != NULL && isfinite(gr_item(l[k])) : l[k] == NULL);
                if (!l[k]) assert_failed_with("an option", GR_ERR_OPTION, "which f32 rounds to");
            }
            gr_tensor_free(p);
            gr_tensor_free(y);
        }
    gr_tape_free(t);
}

/* The smallest beta that is taken: smooth L1 is L1 there. */
static void smooth_l1_of_a_tiny_beta(void **state)
{
    (void)state;
    static const double p[] = {0, 1e-30, 0.01, -3, 1e30}, slope[] = {0, 1, 1, -1, 1};
    gr_tape *t = gr_tape_new();
    for (int i = 0; i < 4 * COUNT(p); i++) {
        const gr_dtype dtype = i % 2 ? GR_F64 : GR_F32;
        gr_tensor *x = gr_full(dtype, GR_SCALAR, p[i / 4]), *y = gr_zeros(dtype, GR_SCALAR), *d;
        assert_int_equal(gr_require_grad(x), GR_OK);
        gr_tensor *l = gr_smooth_l1(t, x, y, &(gr_smooth_l1_options){.beta = 1e-40});
        assert_int_equal(gr_grad(t, l, &x, 1, &d, i / 2 % 2 ? GR_CREATE_GRAPH : 0), GR_OK);
        assert_true(fabs(gr_item(l) - fabs(gr_get(x, 0))) <= 1e-6 * fabs(p[i / 4]) && gr_item(d) == slope[i / 4]);
        gr_tensor_free(x);
        gr_tensor_free(y);
        gr_tape_reset(t);
    }
    gr_tape_free(t);
}

/* ---- Higher derivatives ------------------------------------------------------------------------------------------ */

/* d2l/dx2 = s(x) s(-x) whatever y is, 4.25e-18 at |x| = 40, on the side where s(x) rounds to 1 too. */
static void second_derivatives_far_out(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    for (int i = 0; i < 8; i++) {
        const gr_dtype dtype = i % 2 ? GR_F64 : GR_F32;
        gr_tensor *x = gr_full(dtype, GR_SCALAR, i / 2 % 2 ? 40 : -40), *y = gr_full(dtype, GR_SCALAR, i / 4), *d, *dd;
        assert_int_equal(gr_require_grad(x), GR_OK);
        gr_tensor *l = gr_bce(t, x, y, &(gr_loss_options){.from_logits = true});
        assert_int_equal(gr_grad(t, l, &x, 1, &d, GR_CREATE_GRAPH), GR_OK);
        assert_int_equal(gr_grad(t, d, &x, 1, &dd, 0), GR_OK);
        if (!(fabs(gr_item(dd) / 4.248354255291588959e-18 - 1) < 1e-6))
            fail_msg("at %g, target %g: %g", gr_item(x), gr_item(y), gr_item(dd));
        gr_tensor_free(x);
        gr_tensor_free(y);
        gr_tape_reset(t);
    }
    gr_tape_free(t);
}

/* dl/dy of W-BCE with beta 0 is log(1-p), whose digits near p = 0 rounding 1-p would lose; at p = 1 it is finite. */
static void log_of_the_complement(void **state)
{
    (void)state;
    static const double at[] = {1e-20, 1e-9, 1e-4, 0.01, 0.1, 0.3, 0.49, 0.6, 0.9, 1};
    gr_tape *t = gr_tape_new();
    for (int i = 0; i < 2 * COUNT(at); i++) {
        const gr_dtype dtype = i % 2 ? GR_F64 : GR_F32;
        gr_tensor *p = gr_full(dtype, GR_SCALAR, at[i / 2]), *y = gr_full(dtype, GR_SCALAR, 0.5), *d;
        assert_int_equal(gr_require_grad(y), GR_OK);
        gr_tensor *l = gr_weighted_bce(t, p, y, &(gr_weighted_bce_options){.as_given = true});
        assert_int_equal(gr_grad(t, l, &y, 1, &d, 0), GR_OK);
        const double x = gr_item(p), least = dtype == GR_F32 ? (double)FLT_MIN : DBL_MIN;
        const long double expected = x < 1 ? log1pl(-(long double)x) : logl((long double)least);
        const double ulps =
            fabs((double)((long double)gr_item(d) / expected - 1)) / (dtype == GR_F32 ? 0x1p-23 : 0x1p-52);
        if (!(ulps <= 4)) fail_msg("log(1-%g) in %s is %.17g, %g ulps off", x, gr_dtype_name(dtype), gr_item(d), ulps);
        gr_tensor_free(p);
        gr_tensor_free(y);
        gr_tape_reset(t);
    }
    gr_tape_free(t);
}

/* d/dp (dl/dy) of BCE: -1/p - 1/(1-p), with the whole slope at the smallest p that a logarithm is taken of. */
static void slope_at_the_smallest_probability(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    for (int d = 0; d < 2; d++) {
        const double least = d ? DBL_MIN : (double)FLT_MIN;
        for (int below = 0; below < 2; below++) {
            gr_tensor *in[2] = {gr_full(d ? GR_F64 : GR_F32, GR_SCALAR, below ? 0 : least),
                                gr_full(d ? GR_F64 : GR_F32, GR_SCALAR, 0.5)},
                      *dy, *dp;
            assert_true(!gr_require_grad(in[0]) && !gr_require_grad(in[1]));
            assert_int_equal(gr_grad(t, gr_bce(t, in[0], in[1], NULL), &in[1], 1, &dy, GR_CREATE_GRAPH), GR_OK);
            assert_int_equal(gr_grad(t, dy, &in[0], 1, &dp, 0), GR_OK);
            assert_true(gr_item(dp) == (below ? -1 : -1 / least)); /* of the constant, only log(1-p) has a slope */
            gr_tensor_free(in[0]);
            gr_tensor_free(in[1]);
            gr_tape_reset(t);
        }
    }
    gr_tape_free(t);
}

/* What is ignored stays out of the second derivative, too, whatever its logit is. */
static void ignored_logits_of_counts(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    gr_tensor *x = gr_from(GR_F64, GR_SHAPE(1, 1, 3), (double[]){0.5, -1, (double)NAN});
    gr_tensor *y = gr_from(GR_F64, GR_SHAPE(1, 1, 3), (double[]){1, 0, 7}), *d, *dd;
    assert_int_equal(gr_require_grad(x), GR_OK);
    gr_tensor *l =
        gr_dice(t, x, y, &(gr_overlap_options){.base = {.from_logits = true, .ignore = true, .ignore_index = 7}});
    assert_int_equal(gr_grad(t, l, &x, 1, &d, GR_CREATE_GRAPH), GR_OK);
    assert_int_equal(gr_grad(t, gr_sum(t, gr_slice(t, d, 2, 0, 2), GR_ALL_AXES, false), &x, 1, &dd, 0), GR_OK);
    for (int i = 0; i < 3; i++)
        assert_true(i == 2 ? gr_get(dd, i) == 0 : isfinite(gr_get(dd, i)) && gr_get(dd, i) != 0);
    gr_tape_free(t);
    gr_tensor_free(x);
    gr_tensor_free(y);
}

/* A target whose values an earlier backward has given back is refused, and not read. */
static void targets_that_were_given_back(void **state)
{
    (void)state;
    for (int mean = 0; mean < 2; mean++) {
        gr_tape *t = gr_tape_new();
        gr_tensor *a = gr_full(GR_F64, GR_SHAPE(20), 0.5), *p = gr_full(GR_F64, GR_SHAPE(20), 0.25), *d;
        assert_true(!gr_require_grad(a) && !gr_require_grad(p));
        gr_tensor *y = gr_exp(t, a), *other = gr_sum(t, gr_square(t, y), GR_ALL_AXES, false);
        gr_tensor *l = gr_mse(t, p, y, &(gr_loss_options){.reduction = mean ? GR_MEAN : GR_SUM, .ignore = true});
        assert_int_equal(gr_backward(t, other, 0), GR_OK);
        assert_int_equal(gr_grad(t, l, &p, 1, &d, GR_CREATE_GRAPH), GR_ERR_STATE);
        assert_failed_with("a target given back", GR_ERR_STATE, "given back by backward");
        gr_tape_free(t);
        gr_tensor_free(a);
        gr_tensor_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(infinite_logits_give_the_limit),
        cmocka_unit_test(reductions_keep_one_rule),
        cmocka_unit_test(reductions_of_classes),
        cmocka_unit_test(a_fixed_beta_needs_no_planes),
        cmocka_unit_test(options_that_f32_cannot_hold),
        cmocka_unit_test(smooth_l1_of_a_tiny_beta),
        cmocka_unit_test(second_derivatives_far_out),
        cmocka_unit_test(log_of_the_complement),
        cmocka_unit_test(slope_at_the_smallest_probability),
        cmocka_unit_test(ignored_logits_of_counts),
        cmocka_unit_test(targets_that_were_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
