/* cross_entropy.c: cross entropy, Eq. 6, and Kullback-Leibler divergence, Eq. 9, over classes along axis 1:
 *
 *     CE = -sum_c T_c log p_c,   KL = sum_c T_c (log t_c - log p_c),   T_c = w_c t_c,
 *
 * with t the target (smoothed: (1-s) y + s/C) and w the class weights. From logits p = softmax(x) and
 * -log p_c = (m - x_c) + log(1 + R), m the largest logit and R the sum of e^(x_k - m) over all others: no term of that
 * is negative, so nothing cancels. Nor does it in the gradient, dl/dx_c = p_c sum_k T_k - T_c, written as
 * p_c (sum of T over the others) - T_c (sum of p over the others). */
#include <math.h>

#include "losses/class_target.h"

/* ---- Checks ------------------------------------------------------------------------------------------------- */

static const double *ignored_class(const gr_node *n)
{
    return gr_loss_attr_of(n)->ignore ? &gr_loss_attr_of(n)->ignore_index : NULL;
}

static gr_status cross_entropy_shape(const gr_node *n, gr_type *type)
{
    const gr_tensor *p = n->in[0], *y = n->in[1];
    const gr_loss_attr *attr = gr_loss_attr_of(n);
    const char *who = n->op->name;
    if (gr_expect_class_axis(who, p) || gr_expect_class_target(who, p, y)) return gr_last_status();
    if (attr->ignore && y->dtype != GR_I32)
        return gr_fail(GR_ERR_OPTION, "%s: ignore_index goes with class indices, not with a target of f32 or f64", who);
    if (attr->reduction == GR_MEAN && p->size == 0)
        return gr_fail(GR_ERR_SHAPE, "%s: a mean over nothing: %s", who, GR_SHAPE_TEXT(p));
    type->dtype = gr_type_of(p);
    type->rank = p->rank - 1;
    for (int i = 0; i < type->rank; i++) type->shape[i] = p->shape[i ? i + 1 : 0];
    if (gr_expect_weight(n, gr_loss_class_weight(n), "class_weight", 1, &p->shape[1]) ||
        gr_expect_weight(n, gr_loss_weight(n), "weight", type->rank, type->shape))
        return gr_last_status();
    if (attr->reduction != GR_NONE) type->rank = 0;
    return GR_OK;
}

static bool no_fraction(double y) { return !(y >= 0.0 && y < (double)INFINITY); }

/* The kernel has met something bad: finds it, and says what it is. */
static gr_status fail_bad_class(const gr_node *n)
{
    const gr_tensor *p = n->in[0], *y = n->in[1];
    const class_planes planes = class_planes_of(p, 1);
    const double *ignored = ignored_class(n);
    if (y->dtype == GR_I32 && gr_expect_class_indices(n->op->name, p, y, ignored)) return gr_last_status();
    for (int64_t i = 0; !gr_loss_attr_of(n)->from_logits && i < p->size; i++)
        if ((gr_element(p, i) < 0.0 || gr_element(p, i) > 1.0) &&
            !(ignored && gr_element(y, class_position(&planes, i)) == *ignored))
            return gr_fail_prediction_at(n->op->name, p, i);
    return gr_fail_bad_target(n, no_fraction, "0 or more");
}

/* ---- Kernels ------------------------------------------------------------------------------------------------ */

/* A call as rows, one for each position: where axes follow the classes, the rows are copies. */
typedef struct class_rows {
    gr_loss_pass pass;        /* first: the blocks' context */
    const void *x;            /* [rows, c] */
    const void *soft;         /* [rows, c], the target; NULL: it is `index`, */
    const int32_t *index;     /* [rows] */
    const void *class_weight; /* [c], or NULL */
    const void *weight;       /* [rows], or NULL */
    void *work;               /* [rows, c]: exponentials, then slopes */
    int64_t c;
    bool kl, streams;
} class_rows;

/* Rows that are worked on together, and their elements, which are to stay in the first cache. */
enum { CLASS_ROWS = 64, CLASS_TILE = 1024 };

static inline int64_t class_rows_at_once(int64_t c)
{
    return c * CLASS_ROWS <= CLASS_TILE ? CLASS_ROWS : c < CLASS_TILE ? CLASS_TILE / c : 1;
}

static inline bool is_ignored_row(const gr_loss_attr *attr, const int32_t *index, int64_t row)
{
    return index && attr->ignore && (double)index[row] == attr->ignore_index;
}

#define GR_KERNEL_FILE "losses/cross_entropy.kernels.inc"
#include "tensor/kernel.h"

/* ---- Derivatives -------------------------------------------------------------------------------------------- */

/* g d, d = dl/dp or dl/dy of the unreduced loss, with the weights of positions, 1/count, and 0 where ignored. */
static gr_tensor *class_scaled(gr_tape *t, const gr_node *n, gr_tensor *g, gr_tensor *d)
{
    const gr_loss_attr *attr = gr_loss_attr_of(n);
    gr_tensor *p = n->in[0], *zero = gr_constant(t, gr_type_of(p), 0.0);
    if (attr->weighted) d = gr_weighed(t, gr_over_classes(t, p, n->in[2]), d);
    if (attr->ignore) {
        gr_tensor *index = gr_constant(t, gr_type_of(p), attr->ignore_index);
        gr_tensor *ignored = gr_equal(t, gr_cast(t, n->in[1], gr_type_of(p)), index);
        d = gr_where(t, gr_over_classes(t, p, ignored), zero, d);
    }
    if (!d) return NULL; /* then y may have been given back, and counting would read it */
    if (attr->reduction == GR_MEAN) {
        int64_t count = gr_loss_count(n, p->size / p->shape[1]);
        g = gr_scale(t, g, count ? 1.0 / (double)count : 0.0);
    }
    return gr_weighed(t, d, attr->reduction == GR_NONE ? gr_over_classes(t, p, g) : g);
}

/* p as a divisor or a logarithm's argument. */
static gr_tensor *clamped_below(gr_tape *t, gr_tensor *p)
{
    return gr_clamp(t, p, gr_smallest_normal(gr_dtype_of(p)), (double)INFINITY);
}

/* dl/dx = p sum T - T,  dl/dp = -T / p. Here p is class_error of no target, whose derivative keeps its digits near 0
 * and 1. */
static gr_tensor *class_p(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_tensor *p = n->in[0];
    const gr_loss_attr *attr = gr_loss_attr_of(n);
    if (gr_takes_shortcut(t))
        return gr_times_cotangent(t, n->saved, attr->reduction == GR_NONE ? gr_over_classes(t, p, g) : g);
    gr_tensor *target = gr_class_target(t, n);
    if (!attr->from_logits) return class_scaled(t, n, g, gr_neg(t, gr_div(t, target, clamped_below(t, p))));
    gr_tensor *total = gr_sum(t, target, GR_AXES(1), true), *none = gr_constant(t, gr_type_of(p), 0.0);
    gr_tensor *softmax = GR_CALL(class_error, NULL, p, gr_as_wide(t, none, p->rank, p->shape));
    return class_scaled(t, n, g, gr_sub(t, gr_mul(t, softmax, total), target));
}

static gr_tensor *log_prediction(gr_tape *t, const gr_node *n)
{
    gr_tensor *p = n->in[0];
    return gr_loss_attr_of(n)->from_logits ? gr_log_softmax(t, p, 1) : gr_log(t, clamped_below(t, p));
}

/* dCE/dy = -log p, through the target */
static gr_tensor *cross_entropy_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return class_scaled(t, n, g, gr_through_class_target(t, n, gr_neg(t, log_prediction(t, n))));
}

/* dKL/dy = log t + 1 - log p, through the target */
static gr_tensor *kl_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    double s = gr_loss_attr_of(n)->label_smoothing;
    gr_tensor *y = gr_shift(t, gr_scale(t, n->in[1], 1.0 - s), s / (double)n->in[0]->shape[1]);
    gr_tensor *d = gr_shift(t, gr_sub(t, gr_log(t, clamped_below(t, y)), log_prediction(t, n)), 1.0);
    return class_scaled(t, n, g, gr_through_class_target(t, n, d));
}

/* ---- The ops ------------------------------------------------------------------------------------------------ */

#define CROSS_ENTROPY(kernel)                                                                    \
    .n_in = 2, .n_optional = 2, .shape = cross_entropy_shape, .attr_size = sizeof(gr_loss_attr), \
    .terms = gr_loss_terms, .forward = GR_KERNELS(kernel)

const gr_op gr_op_cross_entropy = {.name = "cross_entropy",
                                   .formula = "l = -sum y log p",
                                   .gradient =
                                       "dp_c = -g y_c / p_c, from logits dx_c = g (p_c sum y - y_c); dy_c = -g log p_c",
                                   CROSS_ENTROPY(cross_entropy),
                                   .vjp = {class_p, cross_entropy_y}};
const gr_op gr_op_kl = {
    GR_NAMED(kl, "l = sum y (log y - log p)",
             "dp_c = -g y_c / p_c, from logits dx_c = g (p_c sum y - y_c); dy_c = g (log y_c + 1 - log p_c)"),
    CROSS_ENTROPY(kl), .vjp = {class_p, kl_y}};

enum { HAS_CLASS_OPTIONS = GR_HAS_LOGITS | GR_HAS_SMOOTHING | GR_HAS_CLASSES };

gr_tensor *gr_cross_entropy(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_loss_options *options)
{
    return gr_loss_apply(t, &gr_op_cross_entropy, HAS_CLASS_OPTIONS, p, y, options, NULL);
}

gr_tensor *gr_kl(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_loss_options *options)
{
    return gr_loss_apply(t, &gr_op_kl, HAS_CLASS_OPTIONS, p, y, options, NULL);
}
