/* weighted_bce.c: binary cross entropy with weights for its two sides,
 *
 *     l = -(a y log p + b (1-y) log(1-p)):
 *
 * W-BCE, Eq. 10, has a = beta and b = 1. B-BCE, Eq. 11 (which the paper labels W-BCE, too), has a = beta and b = 1 -
 * beta, beta being 1 minus the share of positives among a region's elements. */
#include "losses/regions.h"
#include "losses/samples.h"

typedef struct balanced_attr {
    gr_loss_attr loss; /* its b is the margin */
    gr_region region;
    bool fixed; /* beta is loss.a */
} balanced_attr;

static const balanced_attr *balanced_attr_of(const gr_node *n)
{
    return n->attr;
}

static gr_layout balanced_layout(const gr_node *n)
{
    return gr_layout_of(n->in[0], balanced_attr_of(n)->region, false);
}

#define GR_KERNEL_FILE "losses/weighted_bce.kernels.inc"
#include "tensor/kernel.h"

/* ---- Slopes, given a and b as tensors ------------------------------------------------------------------------ */

/* dl/dp = b (1-y)/(1-p) - a y/p, which is finite at p = 0 and 1 too,  dl/dx = b (1-y) s(x) - a y s(-x) */
static gr_tensor *by_prediction(gr_tape *t, const gr_node *n, gr_tensor *a, gr_tensor *b)
{
    gr_tensor *p = n->in[0], *y = n->in[1];
    gr_tensor *positive = gr_mul(t, a, y), *negative = gr_mul(t, b, gr_complement(t, y));
    if (gr_loss_attr_of(n)->from_logits)
        return gr_sub(t, gr_mul(t, negative, gr_sigmoid(t, p)), gr_mul(t, positive, gr_sigmoid(t, gr_neg(t, p))));
    const double most = gr_dtype_of(p) == GR_F32 ? 0x1p126 : 0x1p1022;
    gr_tensor *slope =
        gr_sub(t, gr_div(t, negative, gr_not_zero(t, gr_complement(t, p))), gr_div(t, positive, gr_not_zero(t, p)));
    return gr_clamp(t, slope, -most, most);
}

/* -log p and -log(1-p) */
static gr_tensor *minus_log(gr_tape *t, const gr_node *n)
{
    gr_tensor *p = n->in[0];
    return gr_loss_attr_of(n)->from_logits ? gr_softplus(t, gr_neg(t, p)) : gr_neg(t, gr_safe_log(t, p));
}

static gr_tensor *minus_log_complement(gr_tape *t, const gr_node *n)
{
    gr_tensor *p = n->in[0];
    return gr_loss_attr_of(n)->from_logits ? gr_softplus(t, p) : gr_neg(t, gr_log_complement(t, p));
}

/* dl/dy = b log(1-p) - a log p, a and b standing still */
static gr_tensor *by_target(gr_tape *t, const gr_node *n, gr_tensor *a, gr_tensor *b)
{
    return gr_sub(t, gr_mul(t, a, minus_log(t, n)), gr_mul(t, b, minus_log_complement(t, n)));
}

/* ---- W-BCE ----------------------------------------------------------------------------------------------------- */

static gr_tensor *weighted_bce_p(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    if (!t->recording) return gr_saved_slope(t, n, g);
    const gr_dtype dtype = gr_type_of(n->in[0]);
    return gr_loss_scaled(
        t, n, g, by_prediction(t, n, gr_constant(t, dtype, gr_loss_attr_of(n)->a), gr_constant(t, dtype, 1.0)));
}

static gr_tensor *weighted_bce_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const gr_dtype dtype = gr_type_of(n->in[0]);
    return gr_loss_scaled(t, n, g,
                          by_target(t, n, gr_constant(t, dtype, gr_loss_attr_of(n)->a), gr_constant(t, dtype, 1.0)));
}

#define PROBABILITIES(...) GR_IN(0.05, 0.95, __VA_ARGS__)

static const gr_sample weighted_samples[] = {
    {.what = "mean of probabilities", .in = {PROBABILITIES(3, 4), PROBABILITIES(3, 4)}, GR_LOSS(.a = 5)},
    {.what = "mean of logits", .in = {GR_IN(-3, 3, 3, 4), PROBABILITIES(3, 4)}, GR_LOSS(.from_logits = true, .a = 0.2)},
    {.what = "none of logits",
     .in = {GR_IN(-3, 3, 5), GR_BITS(5)},
     GR_LOSS(.from_logits = true, .a = 5, .reduction = GR_NONE),
     .value_only = true},
    {.what = "sum, positives without a weight",
     .in = {PROBABILITIES(5), PROBABILITIES(5)},
     GR_LOSS(.a = 0, .reduction = GR_SUM)},
    {.what = "a weight for each",
     .n_in = 3,
     .in = {GR_IN(-3, 3, 6), PROBABILITIES(6), GR_WEIGHTS(6)},
     GR_LOSS(.from_logits = true, .weighted = true, .a = 2)},
    {.what = "extreme logits",
     .in = {{.rank = 1, .shape = {5}, GR_VALUES(-1000, 1000, 40, -40, 100)}, GR_IN(0.3, 0.6, 5)},
     GR_LOSS(.from_logits = true, .reduction = GR_SUM, .a = 3)},
    {.what = "certain and right",
     .in = {{.rank = 1, .shape = {3}, GR_VALUES(1, 0, 0)}, GR_BITS(3)},
     GR_LOSS(.a = 5),
     .value_only = true},
    {.what = "logits for probabilities",
     .in = {{.rank = 2, .shape = {2, 2}, GR_VALUES(0, 3.25, 0.5, 1)}, GR_BITS(2, 2)},
     GR_LOSS(.a = 1),
     .refused = "prediction 3.25 at [0,1] is outside [0,1]; are these logits?"},
    {.what = "a target outside",
     .in = {GR_IN(0, 1, 3), {.rank = 1, .shape = {3}, GR_VALUES(0, 1, -1)}},
     GR_LOSS(.a = 1),
     .refused = "target -1 at [2]"},
    {.what = "a column against a vector",
     .in = {GR_IN(0, 1, 3), GR_BITS(3, 1)},
     GR_LOSS(.a = 1),
     .refused = "the prediction is [3], the target [3,1]"},
};

const gr_op gr_op_weighted_bce = {
    .name = "weighted_bce",
    .formula = "l = -(b y log p + (1-y) log(1-p)), b = beta",
    .gradient =
        "dp = g ((1-y)/(1-p) - b y/p), from logits dx = g ((1-y) s(x) - b y s(-x)); dy = g (log(1-p) - b log p)",
    GR_POINTWISE(weighted_bce),
    .vjp = {weighted_bce_p, weighted_bce_y},
    GR_SAMPLES(weighted_samples)};

gr_tensor *gr_weighted_bce(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_weighted_bce_options *options)
{
    const gr_weighted_bce_options o = options ? *options : (gr_weighted_bce_options){0};
    if (gr_check_number("weighted_bce", "beta", o.beta, 0.0, (double)INFINITY)) return NULL;
    return gr_loss_apply(t, &gr_op_weighted_bce, GR_HAS_LOGITS, p, y, &o.base,
                         o.beta == 0.0 && !o.as_given ? 1.0 : o.beta, 0.0);
}

/* ---- B-BCE ----------------------------------------------------------------------------------------------------- */

static gr_status balanced_shape(const gr_node *n, gr_type *type)
{
    if (gr_pointwise_shape(n, type)) return gr_last_status();
    return gr_check_region(n->op->name, n->in[0], balanced_attr_of(n)->region, false);
}

/* beta of each region as a function of y, broadcasting over it, and *slope = dbeta/dy. */
static gr_tensor *beta_of(gr_tape *t, const gr_node *n, gr_tensor **slope)
{
    const balanced_attr *a = balanced_attr_of(n);
    const gr_layout l = balanced_layout(n);
    gr_tensor *y = n->in[1], *zero = gr_constant(t, gr_type_of(y), 0.0), *one = gr_constant(t, gr_type_of(y), 1.0);
    *slope = zero;
    if (a->fixed) return gr_constant(t, gr_type_of(y), a->loss.a);
    gr_tensor *there = gr_broadcast_to(t, one, y->rank, y->shape);
    if (a->loss.ignore)
        there = gr_where(t, gr_equal(t, y, gr_constant(t, gr_type_of(y), a->loss.ignore_index)), zero, there);
    gr_tensor *count = gr_maximum(t, gr_sum_regions(t, &l, there), one);
    gr_tensor *positives = gr_sum_regions(t, &l, gr_where(t, there, y, zero));
    gr_tensor *beta = gr_complement(t, gr_div(t, positives, count)),
              *held = gr_clamp(t, beta, a->loss.b, 1.0 - a->loss.b);
    *slope = gr_mul(t, there, gr_over_regions(t, &l, y, gr_neg(t, gr_div(t, gr_equal(t, beta, held), count))));
    return gr_over_regions(t, &l, y, held);
}

static gr_tensor *balanced_bce_p(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    if (!t->recording) return gr_saved_slope(t, n, g);
    gr_tensor *slope, *beta = beta_of(t, n, &slope);
    return gr_loss_scaled(t, n, g, by_prediction(t, n, beta, gr_complement(t, beta)));
}

/* dl/dy + dbeta/dy sum dl/dbeta,  dl/dbeta = (1-y) log(1-p) - y log p */
static gr_tensor *balanced_bce_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const gr_layout l = balanced_layout(n);
    gr_tensor *y = n->in[1], *slope, *beta = beta_of(t, n, &slope);
    gr_tensor *direct = gr_loss_scaled(t, n, g, by_target(t, n, beta, gr_complement(t, beta)));
    if (balanced_attr_of(n)->fixed) return direct;
    gr_tensor *by_beta =
        gr_sub(t, gr_mul(t, y, minus_log(t, n)), gr_mul(t, gr_complement(t, y), minus_log_complement(t, n)));
    gr_tensor *sums = gr_sum_regions(t, &l, gr_loss_scaled(t, n, g, by_beta));
    return gr_add(t, direct, gr_mul(t, slope, gr_over_regions(t, &l, y, sums)));
}

static int balanced_terms(const gr_node *n, gr_term terms[GR_MAX_TERMS])
{
    balanced_attr attr = *balanced_attr_of(n);
    return gr_loss_terms_with(n, &attr.loss, terms);
}

#define BALANCED(region_, fixed_, ...)                                \
    .attr = &(balanced_attr)                                          \
    {                                                                 \
        .loss = {__VA_ARGS__}, .region = (region_), .fixed = (fixed_) \
    }

static const gr_sample balanced_samples[] = {
    {.what = "planes of probabilities",
     .in = {PROBABILITIES(2, 3, 2, 2), PROBABILITIES(2, 3, 2, 2)},
     BALANCED(GR_PER_PLANE, false, 0)},
    {.what = "classes of logits",
     .in = {GR_IN(-3, 3, 2, 3, 2), PROBABILITIES(2, 3, 2)},
     BALANCED(GR_PER_CLASS, false, .from_logits = true)},
    {.what = "samples of logits, none reduced",
     .in = {GR_IN(-3, 3, 2, 3), PROBABILITIES(2, 3)},
     BALANCED(GR_PER_SAMPLE, false, .from_logits = true, .reduction = GR_NONE)},
    {.what = "the whole, held back",
     .in = {GR_IN(-3, 3, 5), GR_IN(0.05, 0.1, 5)},
     BALANCED(GR_WHOLE, false, .from_logits = true, .b = 0.2)},
    {.what = "a fixed beta",
     .in = {GR_IN(-3, 3, 2, 3, 2), PROBABILITIES(2, 3, 2)},
     BALANCED(GR_PER_PLANE, true, .from_logits = true, .a = 0.3)},
    {.what = "a weight for each",
     .n_in = 3,
     .in = {GR_IN(-3, 3, 1, 2, 3), PROBABILITIES(1, 2, 3), GR_WEIGHTS(1, 2, 3)},
     BALANCED(GR_PER_PLANE, false, .from_logits = true, .weighted = true)},
    {.what = "an empty mask",
     .in = {GR_IN(-3, 3, 1, 1, 4), GR_IN(0, 0, 1, 1, 4)},
     BALANCED(GR_PER_PLANE, false, .from_logits = true),
     .value_only = true},
    {.what = "the negatives ignored",
     .in = {GR_IN(-3, 3, 1, 1, 5), GR_BITS(1, 1, 5)},
     BALANCED(GR_PER_PLANE, false, .from_logits = true, .ignore = true),
     .value_only = true},
    {.what = "a matrix has no planes",
     .in = {PROBABILITIES(3, 4), PROBABILITIES(3, 4)},
     BALANCED(GR_PER_PLANE, false, 0),
     .refused = "the prediction is [3,4] and has no planes"},
    {.what = "a target outside",
     .in = {GR_IN(-1, 1, 3), {.rank = 1, .shape = {3}, GR_VALUES(0, 1, 2)}},
     BALANCED(GR_WHOLE, false, .from_logits = true),
     .refused = "target 2 at [2]"},
};

const gr_op gr_op_balanced_bce = {.name = "balanced_bce",
                                  .formula = "l = -(b y log p + (1-b) (1-y) log(1-p)), b = 1 - (sum y) / (H W)",
                                  .gradient =
                                      "dp = g ((1-b) (1-y)/(1-p) - b y/p), from logits dx = g ((1-b) (1-y) s(x) - b y "
                                      "s(-x)); dy = g ((1-b) log(1-p) - b log p) + db/dy sum g dl/db",
                                  .n_in = 2,
                                  .n_optional = 1,
                                  .shape = balanced_shape,
                                  .attr_size = sizeof(balanced_attr),
                                  .terms = balanced_terms,
                                  .forward = GR_KERNELS(balanced_bce_loss),
                                  .vjp = {balanced_bce_p, balanced_bce_y},
                                  GR_SAMPLES(balanced_samples)};

gr_tensor *gr_balanced_bce(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_balanced_bce_options *options)
{
    const gr_balanced_bce_options o = options ? *options : (gr_balanced_bce_options){0};
    const char *who = "balanced_bce";
    if (gr_check_number(who, "beta", o.beta, 0.0, 1.0) || gr_check_number(who, "margin", o.margin, 0.0, 0.5))
        return NULL;
    if (o.beta != 0.0 && !o.fixed)
        return gr_fail(GR_ERR_OPTION, "%s: beta is %g, but not fixed: set .fixed to use it", who, o.beta), NULL;
    balanced_attr attr = {.loss = {.a = o.beta, .b = o.margin}, .region = o.region, .fixed = o.fixed};
    return gr_loss_apply_with(t, &gr_op_balanced_bce, GR_HAS_LOGITS, p, y, &o.base, &attr.loss);
}
