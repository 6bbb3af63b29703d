/* losses.c: W4, each loss alone, forward and backward to the prediction, on 2^24 elements. */
#include "bench.h"

/* 16 planes of pixels, or as many elements in rows of classes. */
enum { BATCH = 16, SIDE = 1 << 10, CLASSES = 64, ROWS = SIDE * SIDE / CLASSES };

/* A variant is 2 * kind, + LOGITS where the prediction is what comes before a sigmoid or softmax. */
enum { LOGITS = 1 };
enum kind {
    MSE,
    L1,
    HINGE,
    BCE,
    CROSS_ENTROPY,
    KL,
    FOCAL,
    WEIGHTED_BCE,
    BALANCED_BCE,
    SENSITIVITY_SPECIFICITY,
    DICE,
    TVERSKY,
    FOCAL_TVERSKY,
    JACCARD
};

static enum kind kind(const task *s) { return (enum kind)(s->w->variant / 2); }

static bool logits(const task *s) { return s->w->variant % 2; }

/* ---- Data ------------------------------------------------------------------------------------------------------ */

static void make_planes(task *s)
{
    const bool chances = kind(s) >= BCE && !logits(s);
    const int64_t n = batch(s, BATCH);
    const double lo = chances ? 0.01 : -4, hi = chances ? 0.99 : 4;
    s->p[0] = param(s, "p", gr_uniform(GR_F32, GR_SHAPE(n, 1, SIDE, SIDE), lo, hi, &s->rng));
    s->y = mask(s, gr_zeros(GR_F32, GR_SHAPE(n, 1, SIDE, SIDE)));
}

static void make_signs(task *s)
{
    make_planes(s);
    float *y = gr_f32(s->y);
    for (int64_t i = 0; i < gr_size(s->y); i++) y[i] = 2 * y[i] - 1;
}

static void make_classes(task *s)
{
    const int64_t n = batch(s, BATCH) * ROWS;
    s->p[0] = param(s, "p", gr_normal(GR_F32, GR_SHAPE(n, CLASSES), 0, 2, &s->rng));
    s->y = labels(s, n, CLASSES);
}

/* Probabilities of classes. */
static gr_tensor *shares(task *s, int64_t rows)
{
    gr_tensor *y = must(gr_uniform(GR_F32, GR_SHAPE(rows, CLASSES), 0.1, 1, &s->rng));
    float *v = gr_f32(y);
    for (int64_t i = 0; i < rows; i++, v += CLASSES) {
        float sum = 0;
        for (int c = 0; c < CLASSES; c++) sum += v[c];
        for (int c = 0; c < CLASSES; c++) v[c] /= sum;
    }
    return y;
}

static void make_shares(task *s)
{
    const int64_t n = batch(s, BATCH) * ROWS;
    s->p[0] = param(s, "p", shares(s, n));
    s->y = shares(s, n);
}

/* ---- Steps ----------------------------------------------------------------------------------------------------- */

static void step_plain(task *s)
{
    static gr_tensor *(*const losses_of[])(gr_tape *, gr_tensor *, gr_tensor *, const gr_loss_options *) = {
        [MSE] = gr_mse, [L1] = gr_l1, [HINGE] = gr_hinge, [BCE] = gr_bce, [CROSS_ENTROPY] = gr_cross_entropy,
        [KL] = gr_kl};
    finish(s, losses_of[kind(s)](s->tape, s->p[0], s->y, &(gr_loss_options){.from_logits = logits(s)}));
}

static void step_focal(task *s)
{
    finish(s, gr_focal(s->tape, s->p[0], s->y, &(gr_focal_options){.base.from_logits = logits(s)}));
}

static void step_weighted(task *s)
{
    const gr_weighted_bce_options options = {.base.from_logits = logits(s), .beta = 2};
    finish(s, gr_weighted_bce(s->tape, s->p[0], s->y, &options));
}

static void step_balanced(task *s)
{
    finish(s, gr_balanced_bce(s->tape, s->p[0], s->y, &(gr_balanced_bce_options){.base.from_logits = logits(s)}));
}

/* A region is a plane. */
static void step_region(task *s)
{
    gr_tape *t = s->tape;
    gr_tensor *p = s->p[0], *y = s->y, *l = NULL;
    const gr_region_options base = {.from_logits = logits(s)};
    switch (kind(s)) {
    case SENSITIVITY_SPECIFICITY:
        l = gr_sensitivity_specificity(t, p, y, &(gr_sensitivity_specificity_options){.base = base});
        break;
    case DICE: l = gr_dice(t, p, y, &(gr_overlap_options){.base = base}); break;
    case TVERSKY: l = gr_tversky(t, p, y, &(gr_tversky_options){.base = base}); break;
    case FOCAL_TVERSKY: l = gr_focal_tversky(t, p, y, &(gr_focal_tversky_options){.base = base}); break;
    default: l = gr_jaccard(t, p, y, &(gr_overlap_options){.base = base});
    }
    finish(s, l);
}

/* ---- The table ------------------------------------------------------------------------------------------------- */

#define BESIDE_STREAM        \
    {                        \
        "memory", run_stream \
    }

const workload losses[] = {
    {"W4-mse", make_planes, step_plain, 2 * MSE, BESIDE_STREAM},
    {"W4-l1", make_planes, step_plain, 2 * L1, BESIDE_STREAM},
    {"W4-hinge", make_signs, step_plain, 2 * HINGE, BESIDE_STREAM},
    {"W4-bce", make_planes, step_plain, 2 * BCE, BESIDE_STREAM},
    {"W4-bce-logits", make_planes, step_plain, 2 * BCE + LOGITS, BESIDE_STREAM},
    {"W4-ce", make_classes, step_plain, 2 * CROSS_ENTROPY + LOGITS, BESIDE_STREAM},
    {"W4-kl", make_shares, step_plain, 2 * KL, BESIDE_STREAM},
    {"W4-focal", make_planes, step_focal, 2 * FOCAL, BESIDE_STREAM},
    {"W4-focal-logits", make_planes, step_focal, 2 * FOCAL + LOGITS, BESIDE_STREAM},
    {"W4-weighted-bce", make_planes, step_weighted, 2 * WEIGHTED_BCE, BESIDE_STREAM},
    {"W4-weighted-bce-logits", make_planes, step_weighted, 2 * WEIGHTED_BCE + LOGITS, BESIDE_STREAM},
    {"W4-balanced-bce", make_planes, step_balanced, 2 * BALANCED_BCE, BESIDE_STREAM},
    {"W4-balanced-bce-logits", make_planes, step_balanced, 2 * BALANCED_BCE + LOGITS, BESIDE_STREAM},
    {"W4-sens-spec", make_planes, step_region, 2 * SENSITIVITY_SPECIFICITY, BESIDE_STREAM},
    {"W4-sens-spec-logits", make_planes, step_region, 2 * SENSITIVITY_SPECIFICITY + LOGITS, BESIDE_STREAM},
    {"W4-dice", make_planes, step_region, 2 * DICE, BESIDE_STREAM},
    {"W4-dice-logits", make_planes, step_region, 2 * DICE + LOGITS, BESIDE_STREAM},
    {"W4-tversky", make_planes, step_region, 2 * TVERSKY, BESIDE_STREAM},
    {"W4-tversky-logits", make_planes, step_region, 2 * TVERSKY + LOGITS, BESIDE_STREAM},
    {"W4-focal-tversky", make_planes, step_region, 2 * FOCAL_TVERSKY, BESIDE_STREAM},
    {"W4-focal-tversky-logits", make_planes, step_region, 2 * FOCAL_TVERSKY + LOGITS, BESIDE_STREAM},
    {"W4-jaccard", make_planes, step_region, 2 * JACCARD, BESIDE_STREAM},
    {"W4-jaccard-logits", make_planes, step_region, 2 * JACCARD + LOGITS, BESIDE_STREAM},
    {0},
};
