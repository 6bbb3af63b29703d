/* loss_kit.h: what the losses share: options, the walk over positions in blocks, and two classes. */
#ifndef GR_LOSSES_LOSS_KIT_H
#define GR_LOSSES_LOSS_KIT_H

#include <gradus/losses.h>

#include "autograd/op_kit.h"

#define GR_OP(name) extern const gr_op gr_op_##name;
#include "losses/losses.def"
#undef GR_OP

/* ---- Options (loss_options.c) ---------------------------------------------------------------------------------- */

/* The options as an op's attributes. Weights are inputs of the op, behind prediction and target. */
typedef struct gr_loss_attr {
    gr_reduction reduction;
    bool from_logits, ignore, weighted, class_weighted;
    double ignore_index, label_smoothing;
    /* Numbers that one loss or another has: */
    double alpha, gamma; /* focal */
    double beta;         /* W-BCE and B-BCE */
    double margin;       /* B-BCE */
    double delta;        /* |p - y| where the square meets the line: Huber's delta, smooth L1's beta */
} gr_loss_attr;

static inline const gr_loss_attr *gr_loss_attr_of(const gr_node *n) { return n->attr; }

/* The weight of each position, or of each class; NULL without. */
static inline const gr_tensor *gr_loss_weight(const gr_node *n)
{
    return gr_loss_attr_of(n)->weighted ? n->in[2] : NULL;
}

static inline const gr_tensor *gr_loss_class_weight(const gr_node *n)
{
    return gr_loss_attr_of(n)->class_weighted ? n->in[2 + gr_loss_attr_of(n)->weighted] : NULL;
}

/* Which options a loss has; the others are refused. */
enum { GR_HAS_LOGITS = 1, GR_HAS_SMOOTHING = 2, GR_HAS_CLASSES = 4 };

/* Runs the op of a loss with the user's options. `attr` holds the loss's own numbers and receives the user's options;
 * NULL for a loss without numbers. It may be the first member of an op's larger attributes. */
gr_tensor *gr_loss_apply(gr_tape *t, const gr_op *op, int has, gr_tensor *p, gr_tensor *y,
                         const gr_loss_options *options, gr_loss_attr *attr);

/* Refuses options that are out of range or that a loss does not have. */
gr_status gr_expect_loss_options(const char *who, int has, const gr_loss_options *o);

/* Refuses a number of a loss that is outside [lo, hi], infinite or NaN. */
gr_status gr_expect_number(const char *who, const char *what, double x, double lo, double hi);

/* Refuses a weight that is not of the given shape and dtype, or has an element that is negative or NaN. */
gr_status gr_expect_weight(const gr_node *n, const gr_tensor *weight, const char *what, int rank,
                           const int64_t shape[]);

/* The shape rule of a pointwise loss: p, y and weight of one shape, which is the result's before the reduction. */
gr_status gr_pointwise_shape(const gr_node *n, gr_type *type);

/* ---- Bad values, as the messages name them (bad_values.c) ------------------------------------------------------ */

/* A kernel that has met a bad value calls one of these, which looks for the first that is not ignored, and says so. */
typedef gr_status (*gr_bad_value_rule)(const gr_node *n);

/* Targets may be any number, but not NaN. */
gr_status gr_fail_bad_number(const gr_node *n);

/* Target and prediction are in [0,1]; a prediction that is a logit may be anything. */
gr_status gr_fail_bad_probability(const gr_node *n);

/* The end of such a message: how to leave out a target that is ignore_index, where .ignore is not set. */
static inline const char *gr_ignore_hint(bool ignore, double ignore_index, double y)
{
    return ignore || y != ignore_index || y == 0.0 ? "" : "; .ignore would leave it out";
}

/* The parts: of the target, for which bad(y) holds; of the prediction, GR_OK when there is none. */
gr_status gr_fail_bad_target(const gr_node *n, bool (*bad)(double y), const char *expected);
gr_status gr_fail_bad_prediction(const gr_node *n);

/* Element i is a weight that is not 0 or more, or a prediction that is no probability. */
gr_status gr_fail_weight_at(const char *who, const char *what, const gr_tensor *w, int64_t i);
gr_status gr_fail_prediction_at(const char *who, const gr_tensor *p, int64_t i);

/* ---- Reduction (loss_reduce.c) --------------------------------------------------------------------------------- */

/* Positions are summed in blocks, so that the sum does not depend on the number of threads. */
enum { GR_LOSS_BLOCKS = 1024 };

/* What the spans of a block have found. */
typedef struct gr_loss_block {
    double sum;
    bool bad; /* a target or prediction out of range was met */
} gr_loss_block;

/* One pass over the positions. */
typedef struct gr_loss_pass {
    const gr_node *n;
    int64_t grain;    /* positions of a block */
    double scale;     /* of the slope: 1/count for a mean */
    bool keep_values; /* GR_NONE */
    gr_loss_block block[GR_LOSS_BLOCKS];
} gr_loss_pass;

/* Runs `span` over `positions` with at least `least` of them in a block, and writes the reduced value. The pass is the
 * span's context; its sums begin at 0. Where a bad value was met it is `complain` that fails. */
gr_status gr_loss_run(gr_node *n, gr_loss_pass *pass, int64_t positions, int64_t least, gr_span_body span,
                      gr_bad_value_rule complain);

/* The kernel of a pointwise loss: saves dl/dp of each position, scaled, if a gradient will be wanted. */
gr_status gr_pointwise_run(gr_node *n, gr_span_body span, gr_bad_value_rule complain);
gr_status gr_save_slopes(gr_node *n);

/* The number of positions that are not ignored; 1 over it for a mean, 0 where there is none, and 1 without a mean. */
int64_t gr_loss_count(const gr_node *n, int64_t positions);
double gr_loss_scale(const gr_node *n, int64_t positions);

/* g d, with d = dl/dp or dl/dy of the unreduced loss: times weight and 1/count, and 0 where ignored. */
gr_tensor *gr_loss_scaled(gr_tape *t, const gr_node *n, gr_tensor *g, gr_tensor *d);

/* For the gradient checker: the unreduced loss, and the factor of the reduction. The second form is for an op whose
 * attributes begin with these, of which it is given a copy. */
int gr_loss_terms(const gr_node *n, gr_term terms[GR_MAX_TERMS]);
int gr_loss_terms_with(const gr_node *n, gr_loss_attr *attr, gr_term terms[GR_MAX_TERMS]);

/* A pointwise loss in its record: one number for each pair of numbers, computed by pointwise.inc. */
#define GR_POINTWISE(loss)                                                                      \
    .n_in = 2, .n_optional = 1, .shape = gr_pointwise_shape, .attr_size = sizeof(gr_loss_attr), \
    .terms = gr_loss_terms, .forward = GR_KERNELS(loss)

/* ---- Two classes, written with ops (two_classes.c) ------------------------------------------------------------- */

/* 1 - p; and p as a divisor or a logarithm's argument: at least the smallest normal number. */
gr_tensor *gr_complement(gr_tape *t, gr_tensor *p);
gr_tensor *gr_not_zero(gr_tape *t, gr_tensor *p);

/* log p and log(1-p) of the node's prediction, from logits or probabilities; all digits near p = 0. */
gr_tensor *gr_log_p(gr_tape *t, const gr_node *n);
gr_tensor *gr_log_q(gr_tape *t, const gr_node *n);

/* s(x) of a logit. */
gr_tensor *gr_probability(gr_tape *t, gr_tensor *x);

/* negative/(1-p) - positive/p, held within finite numbers, or from logits negative s(x) - positive s(-x). */
gr_tensor *gr_two_class_slope(gr_tape *t, const gr_node *n, gr_tensor *positive, gr_tensor *negative);

#endif
