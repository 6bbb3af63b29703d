/* weighted_bce.c: binary cross entropy with weights for its two sides,
 *
 *     l = -(a y log p + b (1-y) log(1-p)):
 *
 * W-BCE, Eq. 10, has a = beta and b = 1. B-BCE, Eq. 11 (labelled W-BCE in the paper as well), has a = beta and
 * b = 1 - beta, where beta is 1 minus the ratio of positives among a region's elements. */
#include "losses/regions.h"

static const gr_balanced_attr *balanced_attr_of(const gr_node *n) { return n->attr; }

static region_layout balanced_layout(const gr_node *n)
{
    return gr_region_layout(n->in[0], balanced_attr_of(n)->region, false);
}

/* A pass over planes, each of which has its own beta. */
typedef struct balanced_pass {
    gr_loss_pass pass;   /* first: the blocks' context */
    const double *betas; /* of each plane, */
    int64_t plane;       /* and its positions */
} balanced_pass;
_Static_assert(offsetof(gr_balanced_attr, loss) == 0 && offsetof(balanced_pass, pass) == 0,
               "read as their first member");

#define GR_KERNEL_FILE "losses/weighted_bce.kernels.inc"
#include "tensor/kernel.h"

/* ---- W-BCE ----------------------------------------------------------------------------------------------------- */

/* dl/dp = (1-y)/(1-p) - beta y/p,  dl/dx = (1-y) s(x) - beta y s(-x) */
static gr_tensor *weighted_bce_p(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    if (gr_takes_shortcut(t)) return gr_times_cotangent(t, n->saved, g);
    gr_tensor *y = n->in[1], *positive = gr_scale(t, y, gr_loss_attr_of(n)->beta);
    return gr_loss_scaled(t, n, g, gr_two_class_slope(t, n, positive, gr_complement(t, y)));
}

/* dl/dy = log(1-p) - beta log p */
static gr_tensor *weighted_bce_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_tensor *positive = gr_weighed_by(t, gr_loss_attr_of(n)->beta, gr_log_p(t, n));
    return gr_loss_scaled(t, n, g, gr_sub(t, gr_log_q(t, n), positive));
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
    gr_loss_attr attr = {.beta = o.beta == 0.0 && !o.as_given ? 1.0 : o.beta};
    return gr_loss_apply(t, &gr_op_weighted_bce, GR_HAS_LOGITS, p, y, &o.base, &attr);
}

/* ---- B-BCE ----------------------------------------------------------------------------------------------------- */

static gr_status balanced_shape(const gr_node *n, gr_type *type)
{
    if (gr_pointwise_shape(n, type)) return gr_last_status();
    return gr_expect_region(n->op->name, n->in[0], balanced_attr_of(n)->region, false);
}

/* beta of each region as a function of y, broadcasting over it, and *slope = dbeta/dy. */
static gr_tensor *balanced_beta(gr_tape *t, const gr_node *n, gr_tensor **slope)
{
    const gr_balanced_attr *a = balanced_attr_of(n);
    const region_layout l = balanced_layout(n);
    gr_tensor *y = n->in[1], *zero = gr_constant(t, gr_type_of(y), 0.0), *one = gr_constant(t, gr_type_of(y), 1.0);
    *slope = zero;
    if (a->fixed) return gr_constant(t, gr_type_of(y), a->loss.beta);
    gr_tensor *there = gr_as_wide(t, one, y->rank, y->shape);
    if (a->loss.ignore)
        there = gr_where(t, gr_equal(t, y, gr_constant(t, gr_type_of(y), a->loss.ignore_index)), zero, there);
    gr_tensor *count = gr_maximum(t, gr_sum_regions(t, &l, there), one);
    gr_tensor *positives = gr_sum_regions(t, &l, gr_where(t, there, y, zero));
    gr_tensor *beta = gr_complement(t, gr_div(t, positives, count)),
              *held = gr_clamp(t, beta, a->loss.margin, 1.0 - a->loss.margin);
    *slope = gr_mul(t, there, gr_over_regions(t, &l, y, gr_neg(t, gr_div(t, gr_equal(t, beta, held), count))));
    return gr_over_regions(t, &l, y, held);
}

static gr_tensor *balanced_bce_p(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    if (gr_takes_shortcut(t)) return gr_times_cotangent(t, n->saved, g);
    gr_tensor *y = n->in[1], *slope, *beta = balanced_beta(t, n, &slope);
    gr_tensor *positive = gr_mul(t, beta, y), *negative = gr_mul(t, gr_complement(t, beta), gr_complement(t, y));
    return gr_loss_scaled(t, n, g, gr_two_class_slope(t, n, positive, negative));
}

/* dl/dy + dbeta/dy (sum of dl/dbeta over the region):
 *
 *     dl/dy = (1-beta) log(1-p) - beta log p,  dl/dbeta = (1-y) log(1-p) - y log p */
static gr_tensor *balanced_bce_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    const region_layout l = balanced_layout(n);
    gr_tensor *y = n->in[1], *slope, *beta = balanced_beta(t, n, &slope);
    gr_tensor *log_p = gr_log_p(t, n), *log_q = gr_log_q(t, n);
    gr_tensor *by_y = gr_sub(t, gr_weighed(t, gr_complement(t, beta), log_q), gr_weighed(t, beta, log_p));
    gr_tensor *direct = gr_loss_scaled(t, n, g, by_y);
    if (balanced_attr_of(n)->fixed) return direct;
    gr_tensor *by_beta = gr_sub(t, gr_weighed(t, gr_complement(t, y), log_q), gr_weighed(t, y, log_p));
    gr_tensor *sums = gr_sum_regions(t, &l, gr_loss_scaled(t, n, g, by_beta));
    return gr_add(t, direct, gr_weighed(t, slope, gr_over_regions(t, &l, y, sums)));
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
                                  .forward = GR_KERNELS(balanced_bce),
                                  .vjp = {balanced_bce_p, balanced_bce_y}};

gr_tensor *gr_balanced_bce(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_balanced_bce_options *options)
{
    const gr_balanced_bce_options o = options ? *options : (gr_balanced_bce_options){0};
    const char *who = "balanced_bce";
    if (gr_expect_number(who, "beta", o.beta, 0.0, 1.0) || gr_expect_number(who, "margin", o.margin, 0.0, 0.5))
        return NULL;
    if (o.beta != 0.0 && !o.fixed)
        return gr_fail(GR_ERR_OPTION, "%s: beta is %s, but not fixed: set .fixed to use it", who,
                       GR_NUMBER_TEXT(o.beta)),
               NULL;
    const gr_region region = o.fixed ? GR_WHOLE : o.region; /* a beta that is given is that of all elements */
    gr_balanced_attr attr = {.loss = {.beta = o.beta, .margin = o.margin}, .region = region, .fixed = o.fixed};
    return gr_loss_apply(t, &gr_op_balanced_bce, GR_HAS_LOGITS, p, y, &o.base, &attr.loss);
}
