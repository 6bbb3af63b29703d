/* loss_kit.h: what the losses share: options, reductions, and the walk over positions in blocks. */
#ifndef GR_LOSSES_LOSS_KIT_H
#define GR_LOSSES_LOSS_KIT_H

#include <gradus/losses.h>

#include "autograd/op_kit.h"

#define GR_OP(name) extern const gr_op gr_op_##name;
#include "losses/losses.def"
#undef GR_OP

/* The options as an op's attributes. Weights are inputs of the op, behind prediction and target. */
typedef struct gr_loss_attr {
    gr_reduction reduction;
    bool from_logits, ignore, weighted, class_weighted;
    double ignore_index, label_smoothing;
    double a, b; /* the loss's own numbers: beta, gamma, ... */
} gr_loss_attr;

/* Which options a loss has; the others are refused. */
enum { GR_HAS_LOGITS = 1, GR_HAS_SMOOTHING = 2, GR_HAS_CLASSES = 4 };

/* Runs the op of a loss with the user's options. The second form is for an op whose attributes begin with these: fills
 * in what is the user's. */
gr_tensor *gr_loss_apply(gr_tape *t, const gr_op *op, int has, gr_tensor *p, gr_tensor *y,
                         const gr_loss_options *options, double a, double b);
gr_tensor *gr_loss_apply_with(gr_tape *t, const gr_op *op, int has, gr_tensor *p, gr_tensor *y,
                              const gr_loss_options *options, gr_loss_attr *attr);

/* Refuses options that are out of range or that a loss does not have. */
gr_status gr_expect_loss_options(const char *who, int has, const gr_loss_options *o);

/* Refuses a number of a loss that is outside [lo, hi], infinite or NaN. */
gr_status gr_expect_number(const char *who, const char *what, double x, double lo, double hi);

static inline const gr_loss_attr *gr_loss_attr_of(const gr_node *n)
{
    return n->attr;
}

/* The weight of each position, or of each class; NULL without. */
static inline const gr_tensor *gr_loss_weight(const gr_node *n)
{
    return gr_loss_attr_of(n)->weighted ? n->in[2] : NULL;
}

static inline const gr_tensor *gr_loss_class_weight(const gr_node *n)
{
    return gr_loss_attr_of(n)->class_weighted ? n->in[2 + gr_loss_attr_of(n)->weighted] : NULL;
}

/* Refuses a weight that is not of the given shape and dtype, or has an element that is negative or NaN. */
gr_status gr_expect_weight(const gr_node *n, const gr_tensor *weight, const char *what, int rank,
                           const int64_t shape[]);

/* The first target that is bad and not ignored, in a message. */
gr_status gr_fail_bad_target(const gr_node *n, bool (*bad)(double y), const char *expected);

/* The first prediction outside [0,1], unless they are logits; GR_OK when there is none. */
gr_status gr_fail_bad_prediction(const gr_node *n);

/* For targets that may be any number: the first that is NaN. */
gr_status gr_fail_bad_number(const gr_node *n);

/* For probabilities: prediction and target, in [0,1]. */
gr_status gr_fail_bad_probability(const gr_node *n);

/* ---- Pointwise losses: one number for each pair of numbers --------------------------------------------------- */

/* p and y of one shape, a result after the reduction. */
gr_status gr_pointwise_shape(const gr_node *n, gr_type *type);

/* The slope's: p and y of one shape, and so the result. */
#define gr_slope_shape gr_shape_same

#define GR_POINTWISE(loss)                                                                      \
    .n_in = 2, .n_optional = 1, .shape = gr_pointwise_shape, .attr_size = sizeof(gr_loss_attr), \
    .terms = gr_loss_terms, .forward = GR_KERNELS(loss##_loss)
#define GR_POINTWISE_SLOPE(loss) \
    .n_in = 2, .shape = gr_slope_shape, .attr_size = sizeof(gr_loss_attr), .forward = GR_KERNELS(loss##_slope)

/* The gradient of the prediction. The forward pass has saved it for a g of 1; where the backward pass is itself being
 * recorded, it is made of the op `slope` instead. */
gr_tensor *gr_pointwise_vjp(gr_tape *t, const gr_node *n, gr_tensor *g, const gr_op *slope);

/* For the gradient checker: the unreduced loss, and the factor of the reduction. The second form is for an op whose
 * attributes begin with these, of which it is given a copy. */
int gr_loss_terms(const gr_node *n, gr_term terms[GR_MAX_TERMS]);
int gr_loss_terms_with(const gr_node *n, gr_loss_attr *attr, gr_term terms[GR_MAX_TERMS]);

/* Its branches: on which side of y a prediction p lies. */
void gr_branch_residual(const gr_node *n, uint64_t *signature);

/* g d, with d = dl/dp or dl/dy of the unreduced loss: times weight and 1/count, and 0 where ignored. */
gr_tensor *gr_loss_scaled(gr_tape *t, const gr_node *n, gr_tensor *g, gr_tensor *d);

/* 1 - p; p as a divisor or a logarithm's argument: at least the smallest normal number; log p; log(1-p), exact near p =
 * 0. */
gr_tensor *gr_complement(gr_tape *t, gr_tensor *p);
gr_tensor *gr_not_zero(gr_tape *t, gr_tensor *p);
gr_tensor *gr_safe_log(gr_tape *t, gr_tensor *p);
gr_tensor *gr_log_complement(gr_tape *t, gr_tensor *p);

/* ---- Blocks: what is summed does not depend on the number of threads ------------------------------------------ */

enum { GR_LOSS_BLOCKS = 1024 };

/* One pass over the positions. */
typedef struct gr_loss_pass {
    const gr_node *n;
    int64_t grain;        /* positions of a block */
    double scale;         /* of the slope: 1/count for a mean */
    bool keep_values;     /* GR_NONE */
    const double *planes; /* a number of each plane, for a loss that has one, */
    int64_t plane;        /* and its positions */
    double sum[GR_LOSS_BLOCKS];
    bool bad[GR_LOSS_BLOCKS]; /* a target or prediction out of range was met */
} gr_loss_pass;

/* Counts what is not ignored, runs `span` over `positions` with at least `least` of them in a block, and writes the
 * reduced value. The pass is the span's context. On a bad value calls `complain`, which finds it and says so. */
typedef gr_status (*gr_bad_value_rule)(const gr_node *n);
gr_status gr_loss_run(gr_node *n, gr_loss_pass *pass, int64_t positions, int64_t least, gr_span_body span,
                      gr_bad_value_rule complain);

/* The number of positions that are not ignored. */
int64_t gr_loss_count(const gr_node *n, int64_t positions);

#endif
