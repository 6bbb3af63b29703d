/* losses.h: the losses that training minimises.
 *
 *     gr_tensor *loss = gr_mse(tape, prediction, target, NULL);                      // Eq. 2
 *     gr_tensor *loss = gr_bce(tape, logits, target, &(gr_loss_options){.from_logits = true});
 *
 * Every loss takes a prediction, a target and options, whose defaults are zeros (NULL is that, too). The target
 * has the prediction's dtype and shape; cross entropy and KL also take class indices. Losses never broadcast: [N]
 * against [N,1] is an error. Equations are those of J. Yuan, "Loss Function".
 *
 * Probabilities or logits: a loss of probabilities is given these, as in the paper, or with from_logits the numbers
 * before the sigmoid or softmax. Prefer logits: value and gradient are then exact at any finite logit, and at an
 * infinite one they are the limit. Cross entropy and KL of a row in which all logits are -inf have none: NaN.
 * On probabilities a logarithm's argument is never below the dtype's smallest normal number, so that the value is
 * finite at 0 and 1. A target or weight of 0 removes its term from value and gradient, whatever the logarithm.
 *
 * Reduction: with l the loss of each position, GR_MEAN is sum(l) / the number of positions that are not ignored,
 * GR_SUM is sum(l), GR_NONE is l. Weights multiply l; they do not enter the count. (PyTorch divides its class-weighted
 * cross entropy by the sum of the weights instead: multiply by count / sum of weights to have that.)
 *
 * Errors, besides those of every op: GR_ERR_VALUE with the position for a target that is NaN or out of range and for a
 * probability outside [0,1] ("are these logits?"); GR_ERR_SHAPE for a mean over nothing; GR_ERR_OPTION for an option
 * the loss does not have, or that F32 rounds to 0 or to an infinity, such as a beta of 1e-60. A NaN prediction gives
 * NaN. Where every position is ignored, loss and gradient are 0. A position whose slope is 0 has the gradient 0
 * whatever g is.
 */
#ifndef GRADUS_LOSSES_H
#define GRADUS_LOSSES_H

#include <gradus/tape.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum gr_reduction { GR_MEAN, GR_SUM, GR_NONE, GR_N_REDUCTIONS } gr_reduction;

typedef struct gr_loss_options {
    gr_reduction reduction;
    bool from_logits;
    gr_tensor *weight;       /* a factor for each position: the shape of GR_NONE's result; 0 or more; no gradient */
    gr_tensor *class_weight; /* [C], a factor for each class; 0 or more; cross entropy and KL */
    double label_smoothing;  /* s in [0,1]: y becomes (1-s) y + s/C, and (1-s) y + s/2 in BCE */
    bool ignore;             /* leave out positions whose target is ignore_index: neither in the sum nor the count */
    double ignore_index;     /* with `ignore`: a value of the target's dtype, else GR_ERR_OPTION */
} gr_loss_options;

/* ---- Regression --------------------------------------------------------------------------------------------- */

/* |p - y| (Eq. 1); the gradient is 0 at p = y. */
GR_EXPORT gr_tensor *gr_l1(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_loss_options *options);

/* (p - y)^2, without a factor 1/2 (Eq. 2). */
GR_EXPORT gr_tensor *gr_mse(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_loss_options *options);

/* ---- Two classes -------------------------------------------------------------------------------------------- */

/* 1 where label(p) differs from y in {0,1}, else 0 (Eq. 3). label(p) is p > 1/2, or x > 0 from logits. The gradient is
 * 0 wherever there is one, so that nothing can be trained with it. */
GR_EXPORT gr_tensor *gr_zero_one(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_loss_options *options);

/* max(0, 1 - y x) for a score x and y in {-1,+1} (Eq. 4); the gradient is 0 at the margin y x = 1. */
GR_EXPORT gr_tensor *gr_hinge(gr_tape *t, gr_tensor *x, gr_tensor *y, const gr_loss_options *options);

/* -(y log p + (1-y) log(1-p)) for y in [0,1] (Eq. 5); from logits (1-y) softplus(x) + y softplus(-x). */
GR_EXPORT gr_tensor *gr_bce(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_loss_options *options);

/* ---- Many classes ------------------------------------------------------------------------------------------- */

/* Classes lie along axis 1 of p: [N,C], or [N,C,...] with a loss for each trailing position; l has the shape [N,...].
 * The target is of p's shape and dtype (probabilities of the classes, y >= 0), or I32 [N,...] of class indices. */

/* -sum_c y_c log p_c (Eq. 6; the paper swaps "prediction" and "target" in the words below it: y is the target). */
GR_EXPORT gr_tensor *gr_cross_entropy(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_loss_options *options);

/* sum_c y_c (log y_c - log p_c), y_c = 0 contributing 0 (Eq. 9): cross entropy minus the entropy of y. */
GR_EXPORT gr_tensor *gr_kl(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_loss_options *options);

#ifdef __cplusplus
}
#endif
#endif
