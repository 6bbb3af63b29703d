/* metrics.h: how good predictions are: counts of what was right and wrong, and what is made of them.
 *
 *     gr_confusion c = {0};
 *     while (gr_batches_next(batches)) {
 *         gr_tensor *z = model(tape, gr_batch_x(batches));                                   // logits
 *         if (gr_confusion_add(z, gr_batch_y(batches), &(gr_confusion_options){.from_logits = true}, &c, 1)) break;
 *         gr_tape_reset(tape);
 *     }
 *     gr_metrics m = gr_metrics_of(&c);
 *     printf("IoU %.3f  Dice %.3f  sensitivity %.3f  specificity %.3f\n", m.iou, m.dice, m.sensitivity, m.specificity);
 *
 * Counts are added up, over batches, images, or whatever is measured together. A mean of each image's Dice and the Dice
 * of all pixels together are two numbers: the first takes all images alike, the second all pixels.
 */
#ifndef GRADUS_METRICS_H
#define GRADUS_METRICS_H

#include <gradus/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Positions by what was predicted and what is true: both, predicted and not true, true and not predicted, neither. */
typedef struct gr_confusion {
    int64_t tp, fp, fn, tn;
} gr_confusion;

typedef struct gr_confusion_options {
    double threshold; /* two classes: predicted means p > threshold, a probability; 0: 1/2, exactly x > 0 from logits */
    bool from_logits; /* two classes: p = sigmoid(x). (The largest of several logits is the largest probability.) */
    bool ignore;      /* leave out positions whose target is ignore_index */
    double ignore_index; /* with `ignore`: a value of y's dtype, else GR_ERR_OPTION */
} gr_confusion_options;

/* Adds the counts of predictions p against targets y to counts[0 .. n-1]. Neither tensor is broadcast.
 * n = 1, two classes: p and y of one shape. p is F32 or F64, probabilities or logits, y F32, F64 or I32, 0 or 1; or
 *   both are I32, 0 or 1.
 * n > 1, a count for each class against all others: y is I32 [N,...] of class indices; p is F32 or F64 [N,n,...], of
 *   which the largest along axis 1 is the prediction (the first of equals), or I32 of y's shape.
 * NULL options are the defaults. Errors, after which no count has changed: GR_ERR_NULL, GR_ERR_SHAPE, GR_ERR_DTYPE,
 * GR_ERR_OPTION (n below 1, a threshold outside (0,1)), GR_ERR_VALUE (a prediction that is NaN or no probability, a
 * target that is neither 0 nor 1) and GR_ERR_INDEX (a class outside 0 .. n-1), with the position; GR_ERR_MEMORY. */
GR_EXPORT GR_NODISCARD gr_status gr_confusion_add(const gr_tensor *p, const gr_tensor *y,
                                                  const gr_confusion_options *options, gr_confusion counts[], int n);

typedef struct gr_metrics {
    double iou;         /* TP / (TP + FP + FN), the Jaccard index */
    double dice;        /* 2 TP / (2 TP + FP + FN), F1 */
    double sensitivity; /* TP / (TP + FN), recall */
    double specificity; /* TN / (TN + FP) */
    double precision;   /* TP / (TP + FP) */
    double accuracy;    /* (TP + TN) / all; of more than two classes see gr_metrics_micro() */
} gr_metrics;

/* A ratio of 0/0 is 1: there was nothing to get wrong. So an empty prediction of an empty mask has an IoU of 1, and any
 * other prediction of it 0. */
GR_EXPORT gr_metrics gr_metrics_of(const gr_confusion *counts);

/* Over n classes. Macro: the mean of each class's metric; with `skip_absent` only of classes that occur, in the targets
 * or among the predictions (all: when none does). Micro: of the classes' counts added up; TN then counts each position
 * once for each class that it is not. n below 1: all NaN, with GR_ERR_OPTION.
 * `accuracy` of n > 1 classes is not the share of right predictions, in either form: it counts what is neither
 * predicted nor true, TN, as right for each class. That share is `sensitivity` of gr_metrics_micro(). */
GR_EXPORT gr_metrics gr_metrics_macro(const gr_confusion counts[], int n, bool skip_absent);
GR_EXPORT gr_metrics gr_metrics_micro(const gr_confusion counts[], int n);

/* Otsu's threshold (1979): what splits the values into those above and the others so that the variance between the two
 * is largest, over 256 bins from the smallest value to the largest. F32 or F64, any shape. Where all values are equal
 * it is that value: nothing lies above. NaN with GR_ERR_NULL, GR_ERR_DTYPE, GR_ERR_SHAPE (no values), GR_ERR_VALUE (one
 * is not finite). */
GR_EXPORT double gr_otsu(const gr_tensor *values);

#ifdef __cplusplus
}
#endif
#endif
