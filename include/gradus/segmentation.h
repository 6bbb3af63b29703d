/* segmentation.h: losses of images against masks.
 *
 *     // x: logits [N,1,H,W]; y: a mask of the same shape and dtype, 1 where the object is
 *     gr_tensor *a = gr_dice(tape, x, y, &(gr_overlap_options){.base.from_logits = true});                    // Eq. 17
 *     gr_tensor *b = gr_focal(tape, x, y, &(gr_focal_options){.base.from_logits = true});                     // Eq. 14
 *
 *     // x: logits of C exclusive classes [N,C,H,W]; y: the class of each pixel, I32 [N,H,W]
 *     gr_tensor *c = gr_dice_ce(tape, x, y, &(gr_compound_options){.base.from_logits = true, .mix = 0.5});
 *
 * The first half are losses of a pixel, as in losses.h: one number for each, then a mean. They weigh one class against
 * the other (W-BCE, B-BCE), or hard pixels against easy ones (focal).
 *
 * The second half are losses of a region. A region is counted first: with p the prediction and y the target,
 *
 *     TP = sum p y,   FP = sum p (1-y),   FN = sum (1-p) y,   TN = sum (1-p) (1-y)
 *
 * are the soft numbers of true positives and so on, and the loss is a formula of the four. By default a region is a
 * plane [n,c] of [N,C,...]: the mask of one class in one image. `region` joins planes before the formula is applied.
 * Each loss is written as its complement, dice = (FP+FN) / (2 TP + FP + FN + e), so that a prediction that is nearly
 * right has a loss with all its digits.
 *
 * Every loss has options of its own, which begin with those of its half as `.base`: gr_loss_options for a pixel,
 * gr_region_options for a region. NULL and zero are the defaults. A number that is left 0 has the default that stands
 * beside it; a 0 of yours is a 0 wherever none stands there. Errors are those of losses.h. Equations are those of
 * J. Yuan, "Loss Function".
 */
#ifndef GRADUS_SEGMENTATION_H
#define GRADUS_SEGMENTATION_H

#include <gradus/losses.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is counted together, in a prediction [N,C,...]. */
typedef enum gr_region {
    GR_PER_PLANE,  /* each image's each class: [N,C] regions; the prediction has a rank of 3 or more */
    GR_PER_CLASS,  /* each class, over all images: [C] */
    GR_PER_SAMPLE, /* each image, its classes together: [N] */
    GR_WHOLE,      /* everything: one region, of a prediction of any shape */
    GR_N_REGIONS
} gr_region;

/* ---- Losses of a pixel -------------------------------------------------------------------------------------- */

typedef struct gr_weighted_bce_options {
    gr_loss_options base;
    double beta;   /* the weight of positives, 0 or more; 0: 1, plain BCE */
    bool as_given; /* a 0 is a 0 */
} gr_weighted_bce_options;

/* -(beta y log p + (1-y) log(1-p)) for y in [0,1] (Eq. 10). */
GR_EXPORT gr_tensor *gr_weighted_bce(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_weighted_bce_options *options);

typedef struct gr_balanced_bce_options {
    gr_loss_options base;
    gr_region region; /* whose fraction of positives beta is made of; with `fixed` it is not looked at */
    double margin;    /* beta is held within [margin, 1 - margin]; 0 to 1/2 */
    bool fixed;       /* beta is this: */
    double beta;      /* 0 to 1 */
} gr_balanced_bce_options;

/* -(beta y log p + (1-beta) (1-y) log(1-p)) with beta = 1 - (sum of y) / (number of pixels) in each region (Eq. 11). An
 * empty mask gives beta = 1, and so loss 0 and gradient 0: where masks may be empty, give a margin or a fixed beta. */
GR_EXPORT gr_tensor *gr_balanced_bce(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_balanced_bce_options *options);

typedef struct gr_focal_options {
    gr_loss_options base;
    double alpha;  /* the weight of positives, 0 to 1; that of negatives is 1 - alpha; 0: 1/4 */
    double gamma;  /* 0 or more; 0 means 2 only if alpha is 0 too, otherwise 0 is 0 */
    bool as_given; /* a 0 is a 0 */
} gr_focal_options;

/* -(alpha (1-p)^gamma y log p + (1-alpha) p^gamma (1-y) log(1-p)) for y in [0,1] (Eq. 14). */
GR_EXPORT gr_tensor *gr_focal(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_focal_options *options);

typedef struct gr_huber_options {
    gr_loss_options base;
    double delta; /* above 0; 0: 1 */
} gr_huber_options;

/* With d = |p - y|: d^2/2 up to delta, delta (d - delta/2) beyond (Huber, 1964). */
GR_EXPORT gr_tensor *gr_huber(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_huber_options *options);

typedef struct gr_smooth_l1_options {
    gr_loss_options base;
    double beta; /* above 0; 0: 1 */
} gr_smooth_l1_options;

/* With d = |p - y|: d^2/(2 beta) up to beta, d - beta/2 beyond (Girshick, 2015): Huber's loss over its delta. */
GR_EXPORT gr_tensor *gr_smooth_l1(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_smooth_l1_options *options);

/* ---- Losses of a region ------------------------------------------------------------------------------------- */

/* What all of them take. Predictions are probabilities, or with from_logits numbers before a sigmoid, or with `softmax`
 * too, before a softmax over axis 1. Targets have the prediction's shape and dtype, in [0,1]; or are the classes of
 * pixels, I32 [N,...]. GR_NONE gives the losses of all regions, which are 0 where nothing was counted because all of it
 * is ignored or has weight 0. GR_SUM is their sum, and GR_MEAN that over the number of regions where something was. */
typedef struct gr_region_options {
    gr_reduction reduction;
    gr_region region;
    bool from_logits;
    bool softmax;            /* from_logits: classes exclude each other */
    bool without_background; /* class 0 is not counted */
    bool ignore;             /* do not count an element whose target is ignore_index, or a pixel of that class */
    double ignore_index;     /* as in gr_loss_options */
    gr_tensor *weight;       /* a factor for each element, or for each pixel ([N,...]); 0 or more; no gradient */
    gr_tensor *class_weight; /* [C], a factor for each class; 0 or more; where a region is of one class */
} gr_region_options;

/* The counts themselves: [4] + the shape of the regions, in the order TP, FP, FN, TN. One pass over prediction and
 * target, and one for the gradient. A reduction and a class_weight have no meaning here and are refused. */
GR_EXPORT gr_tensor *gr_soft_counts(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_region_options *options);

typedef struct gr_sensitivity_specificity_options {
    gr_region_options base;
    double epsilon;                                /* e, 0 or more */
    double sensitivity_weight, specificity_weight; /* w and 1 - w, each 0 or more; both 0: 1/2 each */
} gr_sensitivity_specificity_options;

/* 1 - (w TP/(TP+FN) + (1-w) TN/(TN+FP)), and the score that it is the complement of (Eq. 15). A region without
 * positives has a sensitivity of 1 (there was nothing to miss), one without negatives a specificity of 1. e is added to
 * both sides of both ratios. */
GR_EXPORT gr_tensor *gr_sensitivity_specificity(gr_tape *t, gr_tensor *p, gr_tensor *y,
                                                const gr_sensitivity_specificity_options *options);
GR_EXPORT gr_tensor *gr_sensitivity_specificity_score(gr_tape *t, gr_tensor *p, gr_tensor *y,
                                                      const gr_sensitivity_specificity_options *options);

/* Of Dice, its relatives, and Jaccard. */
typedef struct gr_overlap_options {
    gr_region_options base;
    double epsilon;  /* e, above 0; 0: 1 */
    bool unsmoothed; /* e is 0: a region that is empty in prediction and target has loss 0 and gradient 0 */
} gr_overlap_options;

/* 1 - (2 TP + e) / (sum p + sum y + e) (Eq. 17). */
GR_EXPORT gr_tensor *gr_dice(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_overlap_options *options);

/* 1 - (TP + e) / (TP + FP + FN + e): the complement of intersection over union. */
GR_EXPORT gr_tensor *gr_jaccard(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_overlap_options *options);

/* 1 - (2 sum_c v_c TP_c + e) / (sum_c v_c (2 TP_c + FP_c + FN_c) + e), v_c = 1 / (sum of y)^2, over the classes of each
 * image, or with GR_PER_CLASS of all images (Sudre et al., 2017). The v are scaled so that the largest is 1, and a
 * class that is not there has that weight too. Regions are planes or classes; GR_NONE gives [N] or one number. */
GR_EXPORT gr_tensor *gr_generalised_dice(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_overlap_options *options);

/* log cosh of the Dice loss (Jadon, 2020). */
GR_EXPORT gr_tensor *gr_log_cosh_dice(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_overlap_options *options);

typedef struct gr_tversky_options {
    gr_region_options base;
    double epsilon; /* as in gr_overlap_options */
    bool unsmoothed;
    double fp_weight, fn_weight; /* each 0 or more; both 0: 1/2 each */
} gr_tversky_options;

/* 1 - TI with TI = (TP + e) / (TP + fp_weight FP + fn_weight FN + e) (Eq. 18, whose beta is fp_weight). At 1/2, 1/2 and
 * e it is Dice with 2e. */
GR_EXPORT gr_tensor *gr_tversky(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_tversky_options *options);

typedef struct gr_focal_tversky_options {
    gr_region_options base;
    double epsilon; /* these four as in gr_tversky_options */
    bool unsmoothed;
    double fp_weight, fn_weight;
    double gamma; /* above 0; 0: 3/4 */
} gr_focal_tversky_options;

/* (1 - TI)^gamma of each region; Eq. 19 is their sum over the classes (GR_SUM). With gamma below 1 the slope
 * grows without bound towards TI = 1; at TI = 1 it is taken as 0. */
GR_EXPORT gr_tensor *gr_focal_tversky(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_focal_tversky_options *options);

typedef struct gr_compound_options {
    gr_region_options base;
    double epsilon; /* as in gr_overlap_options */
    bool unsmoothed;
    double mix; /* what the loss of pixels is multiplied with, above 0; 0: 1 */
} gr_compound_options;

typedef struct gr_dice_focal_options {
    gr_region_options base;
    double epsilon; /* these three as in gr_compound_options */
    bool unsmoothed;
    double mix;
    double alpha, gamma; /* as in gr_focal_options */
} gr_dice_focal_options;

/* The Dice loss plus `mix` times BCE, cross entropy or focal. Each is reduced by itself, GR_NONE is refused.
 * gr_dice_ce() takes logits through a softmax always. */
GR_EXPORT gr_tensor *gr_dice_bce(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_compound_options *options);
GR_EXPORT gr_tensor *gr_dice_ce(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_compound_options *options);
GR_EXPORT gr_tensor *gr_dice_focal(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_dice_focal_options *options);

typedef struct gr_lovasz_softmax_options {
    gr_region_options base;
    bool absent_classes; /* count the classes, too, that a region has no pixel of */
} gr_lovasz_softmax_options;

/* Lovasz extensions of the Jaccard loss of hard masks (Berman et al., 2018): convex surrogates made of errors in
 * falling order. Targets are 0 or 1. The hinge takes scores, whether or not from_logits is set, and its errors are
 * max(0, 1 - x (2y-1)). The softmax takes probabilities of exclusive classes or, from_logits, what is before a softmax;
 * its errors are |y - p|, and a region that has no pixel of its class is one where nothing was counted. */
GR_EXPORT gr_tensor *gr_lovasz_hinge(gr_tape *t, gr_tensor *x, gr_tensor *y, const gr_region_options *options);
GR_EXPORT gr_tensor *gr_lovasz_softmax(gr_tape *t, gr_tensor *p, gr_tensor *y,
                                       const gr_lovasz_softmax_options *options);

#ifdef __cplusplus
}
#endif
#endif
