/* losses.c: the losses that lesson 3 trains with, each with the options that it is given there. */
#include "segmenter.h"

static const gr_loss_options from_logits = {.from_logits = true};
static const gr_loss_options of_classes = {.from_logits = true, .ignore = true, .ignore_index = IGNORED};

/* Logits of two classes for losses of several, background and foreground: their softmax is the sigmoid of z. */
static gr_tensor *both(gr_tape *t, gr_tensor *z)
{
    return gr_concat(t, (gr_tensor *[]){gr_scale(t, z, -0.5), gr_scale(t, z, 0.5)}, 2, 1);
}

/* The masks of the two classes. */
static gr_tensor *masks(gr_tape *t, gr_tensor *y)
{
    return gr_concat(t, (gr_tensor *[]){gr_shift(t, gr_neg(t, y), 1.0), y}, 2, 1);
}

/* ---- Each in a line ----------------------------------------------------------------------------------------- */

/* All are of logits z [N,1,H,W] against masks y of the same shape; a region is the mask of one image. */
/* clang-format off */
#define LOSS(name) static gr_tensor *name(gr_tape *t, gr_tensor *z, gr_tensor *y)
#define LOGITS .base = {.from_logits = true}
#define OVERLAP(...) &(gr_overlap_options){LOGITS, __VA_ARGS__}
#define COMPOUND(...) &(gr_compound_options){LOGITS, __VA_ARGS__}
#define FOCAL_TVERSKY(...) &(gr_focal_tversky_options){LOGITS, __VA_ARGS__}

LOSS(l1) { return gr_l1(t, gr_sigmoid(t, z), y, NULL); }
LOSS(mse) { return gr_mse(t, gr_sigmoid(t, z), y, NULL); }
LOSS(zero_one) { return gr_zero_one(t, z, y, &from_logits); }
LOSS(hinge) { return gr_hinge(t, z, gr_shift(t, gr_scale(t, y, 2.0), -1.0), NULL); }
LOSS(bce) { return gr_bce(t, z, y, &from_logits); }
LOSS(cross_entropy)
{
    if (gr_dtype_of(y) == GR_I32) return gr_cross_entropy(t, z, y, &of_classes);
    return gr_cross_entropy(t, both(t, z), masks(t, y), &from_logits);
}
LOSS(kl) { return gr_kl(t, both(t, z), masks(t, y), &from_logits); }
LOSS(weighted_bce) { return gr_weighted_bce(t, z, y, &(gr_weighted_bce_options){LOGITS, .beta = 3.0}); }
LOSS(balanced_bce) { return gr_balanced_bce(t, z, y, &(gr_balanced_bce_options){LOGITS, .margin = 0.01}); }
LOSS(focal) { return gr_focal(t, z, y, &(gr_focal_options){LOGITS, .alpha = 0.5, .gamma = 2.0}); }
LOSS(sens_spec) { return gr_sensitivity_specificity(t, z, y, &(gr_sensitivity_specificity_options){LOGITS}); }
LOSS(dice) { return gr_dice(t, z, y, OVERLAP(.epsilon = 1.0)); }
LOSS(tversky) { return gr_tversky(t, z, y, &(gr_tversky_options){LOGITS, .fp_weight = 0.3, .fn_weight = 0.7}); }
LOSS(focal_tversky) { return gr_focal_tversky(t, z, y, FOCAL_TVERSKY(.fp_weight = 0.3, .fn_weight = 0.7)); }
LOSS(huber) { return gr_huber(t, gr_sigmoid(t, z), y, &(gr_huber_options){.delta = 0.5}); }
LOSS(smooth_l1) { return gr_smooth_l1(t, gr_sigmoid(t, z), y, &(gr_smooth_l1_options){.beta = 0.5}); }
LOSS(jaccard) { return gr_jaccard(t, z, y, OVERLAP(.epsilon = 1.0)); }
LOSS(generalised_dice) { return gr_generalised_dice(t, both(t, z), masks(t, y), OVERLAP(.base.softmax = true)); }
LOSS(log_cosh_dice) { return gr_log_cosh_dice(t, z, y, OVERLAP(.epsilon = 1.0)); }
LOSS(dice_bce) { return gr_dice_bce(t, z, y, COMPOUND(.mix = 1.0)); }
LOSS(dice_ce) { return gr_dice_ce(t, both(t, z), masks(t, y), COMPOUND(.mix = 1.0)); }
LOSS(dice_focal) { return gr_dice_focal(t, z, y, &(gr_dice_focal_options){LOGITS, .alpha = 0.5, .gamma = 2.0}); }
LOSS(lovasz_hinge) { return gr_lovasz_hinge(t, z, y, NULL); }
LOSS(lovasz_softmax) { return gr_lovasz_softmax(t, both(t, z), masks(t, y), &(gr_lovasz_softmax_options){LOGITS}); }
/* clang-format on */

const named_loss losses[] = {
    {"l1", "L1 (Eq. 1)", l1},
    {"mse", "MSE (Eq. 2)", mse},
    {"zero-one", "0-1 (Eq. 3)", zero_one},
    {"hinge", "hinge (Eq. 4)", hinge},
    {"bce", "BCE (Eq. 5)", bce},
    {"cross-entropy", "cross entropy (Eq. 6)", cross_entropy},
    {"kl", "KL, two classes (Eq. 9)", kl},
    {"weighted-bce", "W-BCE, beta 3 (Eq. 10)", weighted_bce},
    {"balanced-bce", "B-BCE (Eq. 11)", balanced_bce},
    {"focal", "focal, alpha 1/2, gamma 2 (Eq. 14)", focal},
    {"sens-spec", "sensitivity-specificity (Eq. 15)", sens_spec},
    {"dice", "Dice (Eq. 17)", dice},
    {"tversky", "Tversky, FP 0.3, FN 0.7 (Eq. 18)", tversky},
    {"focal-tversky", "focal Tversky, gamma 3/4 (Eq. 19)", focal_tversky},
    {"huber", "Huber, delta 1/2", huber},
    {"smooth-l1", "smooth L1, beta 1/2", smooth_l1},
    {"jaccard", "Jaccard", jaccard},
    {"generalised-dice", "generalised Dice", generalised_dice},
    {"log-cosh-dice", "log-cosh Dice", log_cosh_dice},
    {"dice-bce", "Dice + BCE", dice_bce},
    {"dice-ce", "Dice + cross entropy", dice_ce},
    {"dice-focal", "Dice + focal", dice_focal},
    {"lovasz-hinge", "Lovasz hinge", lovasz_hinge},
    {"lovasz-softmax", "Lovasz softmax", lovasz_softmax},
};
