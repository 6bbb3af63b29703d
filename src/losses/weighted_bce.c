/* weighted_bce.c: binary cross entropy with weights for its two sides,
 *
 *     l = -(a y log p + b (1-y) log(1-p)):
 *
 * W-BCE, Eq. 10, has a = beta and b = 1. B-BCE, Eq. 11 (which the paper labels W-BCE, too), has a = beta and b = 1 -
 * beta, beta being 1 minus the share of positives among a region's elements. */
#include "losses/regions.h"

static const gr_balanced_attr *balanced_attr_of(const gr_node *n)
{
    return n->attr;
}

static region_layout balanced_layout(const gr_node *n)
{
    return gr_region_layout(n->in[0], balanced_attr_of(n)->region, false);
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
    if (!gr_is_recording(t)) return gr_times_cotangent(t, n->saved, g);
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

const gr_op gr_op_weighted_bce = {
    .name = "weighted_bce",
    .formula = "l = -(b y log p + (1-y) log(1-p)), b = beta",
    .gradient =
        "dp = g ((1-y)/(1-p) - b y/p), from logits dx = g ((1-y) s(x) - b y s(-x)); dy = g (log(1-p) - b log p)",
    GR_POINTWISE(weighted_bce),
    .vjp = {weighted_bce_p, weighted_bce_y}};

gr_tensor *gr_weighted_bce(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_weighted_bce_options *options)
{
    const gr_weighted_bce_options o = options ? *options : (gr_weighted_bce_options){0};
    if (gr_expect_number("weighted_bce", "beta", o.beta, 0.0, (double)INFINITY)) return NULL;
    return gr_loss_apply(t, &gr_op_weighted_bce, GR_HAS_LOGITS, p, y, &o.base,
                         o.beta == 0.0 && !o.as_given ? 1.0 : o.beta, 0.0);
}

/* ---- B-BCE ----------------------------------------------------------------------------------------------------- */

static gr_status balanced_shape(const gr_node *n, gr_type *type)
{
    if (gr_pointwise_shape(n, type)) return gr_last_status();
    return gr_expect_region(n->op->name, n->in[0], balanced_attr_of(n)->region, false);
}

/* beta of each region as a function of y, broadcasting over it, and *slope = dbeta/dy. */
static gr_tensor *beta_of(gr_tape *t, const gr_node *n, gr_tensor **slope)
{
    const gr_balanced_attr *a = balanced_attr_of(n);
    const region_layout l = balanced_layout(n);
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
    if (!gr_is_recording(t)) return gr_times_cotangent(t, n->saved, g);
    gr_tensor *slope, *beta = beta_of(t, n, &slope);
    return gr_loss_scaled(t, n, g, by_prediction(t, n, beta, gr_complement(t, beta)));
}

/* dl/dy + dbeta/dy sum dl/dbeta,  dl/dbeta = (1-y) log(1-p) - y log p */
static gr_tensor *balanced_bce_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const region_layout l = balanced_layout(n);
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
    gr_balanced_attr attr = *balanced_attr_of(n);
    return gr_loss_terms_with(n, &attr.loss, terms);
}

const gr_op gr_op_balanced_bce = {.name = "balanced_bce",
                                  .formula = "l = -(b y log p + (1-b) (1-y) log(1-p)), b = 1 - (sum y) / (H W)",
                                  .gradient =
                                      "dp = g ((1-b) (1-y)/(1-p) - b y/p), from logits dx = g ((1-b) (1-y) s(x) - b y "
                                      "s(-x)); dy = g ((1-b) log(1-p) - b log p) + db/dy sum g dl/db",
                                  .n_in = 2,
                                  .n_optional = 1,
                                  .shape = balanced_shape,
                                  .attr_size = sizeof(gr_balanced_attr),
                                  .terms = balanced_terms,
                                  .forward = GR_KERNELS(balanced_bce_loss),
                                  .vjp = {balanced_bce_p, balanced_bce_y}};

gr_tensor *gr_balanced_bce(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_balanced_bce_options *options)
{
    const gr_balanced_bce_options o = options ? *options : (gr_balanced_bce_options){0};
    const char *who = "balanced_bce";
    if (gr_expect_number(who, "beta", o.beta, 0.0, 1.0) || gr_expect_number(who, "margin", o.margin, 0.0, 0.5))
        return NULL;
    if (o.beta != 0.0 && !o.fixed)
        return gr_fail(GR_ERR_OPTION, "%s: beta is %g, but not fixed: set .fixed to use it", who, o.beta), NULL;
    gr_balanced_attr attr = {.loss = {.a = o.beta, .b = o.margin}, .region = o.region, .fixed = o.fixed};
    return gr_loss_apply_with(t, &gr_op_balanced_bce, GR_HAS_LOGITS, p, y, &o.base, &attr.loss);
}
