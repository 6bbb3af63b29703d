/* cross_entropy.c: cross entropy, Eq. 6, and Kullback-Leibler divergence, Eq. 9, over classes along axis 1:
 *
 *     CE = -sum_c T_c log p_c,   KL = sum_c T_c (log t_c - log p_c),   T_c = w_c t_c,
 *
 * with t the target (smoothed: (1-s) y + s/C) and w the class weights. From logits p = softmax(x) and
 * -log p_c = (m - x_c) + log(1 + R), m the largest logit and R the sum of e^(x_k - m) over all others: no term of that
 * is negative, so nothing cancels. Nor does it in the gradient, dl/dx_c = p_c sum_k T_k - T_c, written as
 * p_c (sum of T over the others) - T_c (sum of p over the others). */
#include "losses/loss_kit.h"

/* A call as [positions, C] rows. */
typedef struct class_rows {
    gr_loss_pass pass; /* first: the blocks' context */
    const void *x;     /* [positions, C] */
    const void *soft;  /* likewise, or NULL */
    const int32_t *index;
    const void *class_weight, *weight;
    void *work; /* [positions, C]: exponentials, then slopes */
    int64_t c;
    bool kl, streams;
} class_rows;

/* Rows that are worked on together, and their elements, which are to stay in the first cache. */
enum { ROWS_AT_ONCE = 64, AT_ONCE = 1024 };

static inline int64_t rows_at_once(int64_t c)
{
    return c * ROWS_AT_ONCE <= AT_ONCE ? ROWS_AT_ONCE : c < AT_ONCE ? AT_ONCE / c : 1;
}

/* p [N,C,...] as N, C and the product of the rest. */
typedef struct class_layout {
    int64_t n, c, inner;
} class_layout;

static class_layout layout_of(const gr_tensor *p)
{
    class_layout l = {p->shape[0], p->shape[1], 1};
    for (int i = 2; i < p->rank; i++) l.inner *= p->shape[i];
    return l;
}

static inline bool is_ignored(const gr_loss_attr *attr, const int32_t *index, int64_t position)
{
    return index && attr->ignore && (double)index[position] == attr->ignore_index;
}

static gr_status class_complain(const gr_node *n);

#define GR_KERNEL_FILE "losses/cross_entropy.kernels.inc"
#include "tensor/kernel.h"

/* ---- Checks ------------------------------------------------------------------------------------------------- */

static gr_status check_target(const gr_node *n, const gr_tensor *p, const gr_tensor *y)
{
    if (!gr_is_float(gr_type_of(p)))
        return gr_fail(GR_ERR_DTYPE, "%s: the prediction is %s, expected f32 or f64", n->op->name,
                       gr_dtype_name(gr_type_of(p)));
    if (p->rank < 2 || p->shape[1] == 0)
        return gr_fail(GR_ERR_SHAPE, "%s: the prediction is %s, expected classes along axis 1: [N,C,...]", n->op->name,
                       GR_SHAPE_TEXT(p));
    bool fits = y->dtype == GR_I32 ? y->rank == p->rank - 1 : gr_same_shape(p, y);
    for (int i = 0; fits && y->dtype == GR_I32 && i < y->rank; i++) fits = y->shape[i] == p->shape[i ? i + 1 : 0];
    if (!fits)
        return gr_fail(GR_ERR_SHAPE,
                       "%s: the prediction is %s, the target %s; expected that shape, or i32 without axis 1",
                       n->op->name, GR_SHAPE_TEXT(p), GR_SHAPE_TEXT(y));
    if (y->dtype != GR_I32 && y->dtype != p->dtype)
        return gr_fail(GR_ERR_DTYPE, "%s: the prediction is %s, the target %s", n->op->name,
                       gr_dtype_name(gr_type_of(p)), gr_dtype_name(gr_type_of(y)));
    if (gr_loss_attr_of(n)->ignore && y->dtype != GR_I32)
        return gr_fail(GR_ERR_OPTION, "%s: ignore_index goes with class indices, not with a target of f32 or f64",
                       n->op->name);
    return gr_expect_weight(n, gr_loss_class_weight(n), "class_weight", 1, &p->shape[1]);
}

static gr_status class_shape(const gr_node *n, gr_type *type)
{
    const gr_tensor *p = n->in[0];
    if (check_target(n, p, n->in[1])) return gr_last_status();
    const gr_loss_attr *attr = gr_loss_attr_of(n);
    if (attr->reduction == GR_MEAN && p->size == 0)
        return gr_fail(GR_ERR_SHAPE, "%s: a mean over nothing: %s", n->op->name, GR_SHAPE_TEXT(p));
    type->dtype = gr_type_of(p);
    type->rank = p->rank - 1;
    for (int i = 0; i < type->rank; i++) type->shape[i] = p->shape[i ? i + 1 : 0];
    if (gr_expect_weight(n, gr_loss_weight(n), "weight", type->rank, type->shape)) return gr_last_status();
    if (attr->reduction != GR_NONE) type->rank = 0;
    return GR_OK;
}

static bool no_share(double y)
{
    return !(y >= 0.0 && y < (double)INFINITY);
}

static gr_status class_complain(const gr_node *n)
{
    const gr_tensor *p = n->in[0], *y = n->in[1];
    const gr_loss_attr *attr = gr_loss_attr_of(n);
    const class_layout l = layout_of(p);
    const int32_t *index = y->dtype == GR_I32 ? y->data : NULL;
    for (int64_t i = 0; index && i < y->size; i++)
        if ((index[i] < 0 || index[i] >= l.c) && !is_ignored(attr, index, i))
            return gr_fail(GR_ERR_VALUE, "%s: class %d at %s is outside the %lld classes", n->op->name, index[i],
                           gr_position_text(&(gr_text){{0}}, y, i), (long long)l.c);
    for (int64_t i = 0; !attr->from_logits && i < p->size; i++)
        if ((gr_element(p, i) < 0.0 || gr_element(p, i) > 1.0) &&
            !is_ignored(attr, index, i / (l.c * l.inner) * l.inner + i % l.inner))
            return gr_fail(GR_ERR_VALUE, "%s: prediction %g at %s is outside [0,1]; are these logits?", n->op->name,
                           gr_element(p, i), gr_position_text(&(gr_text){{0}}, p, i));
    return gr_fail_bad_target(n, no_share, "0 or more");
}

/* ---- Derivatives -------------------------------------------------------------------------------------------- */

/* T = w ((1-s) y + s/C), of p's shape, y being shares or class indices. */
static gr_tensor *class_target(gr_tape *t, const gr_node *n)
{
    gr_tensor *in[3] = {n->in[0], n->in[1], (gr_tensor *)gr_loss_class_weight(n)};
    gr_loss_attr attr = *gr_loss_attr_of(n);
    attr.weighted = false;
    return gr_apply(t, &gr_op_class_target, in, 2 + attr.class_weighted, &attr);
}

/* A tensor of one number for each position, with axis 1 put back. */
static gr_tensor *over_classes(gr_tape *t, const gr_node *n, gr_tensor *x)
{
    const gr_tensor *p = n->in[0];
    int64_t shape[GR_MAX_RANK];
    for (int i = 0; i < p->rank; i++) shape[i] = i == 1 ? 1 : p->shape[i];
    return gr_reshape(t, x, p->rank, shape);
}

/* g d, d = dl/dp or dl/dy of the unreduced loss, with the weights of positions, 1/count, and 0 where ignored. */
static gr_tensor *scaled(gr_tape *t, const gr_node *n, gr_tensor *g, gr_tensor *d)
{
    const gr_loss_attr *attr = gr_loss_attr_of(n);
    const gr_dtype dtype = gr_type_of(n->in[0]);
    const class_layout l = layout_of(n->in[0]);
    if (attr->weighted) {
        gr_tensor *w = over_classes(t, n, n->in[2]);
        d = gr_where(t, w, gr_mul(t, d, w), gr_constant(t, dtype, 0.0)); /* no 0 * inf */
    }
    if (attr->ignore) {
        gr_tensor *ignored = gr_equal(t, gr_cast(t, n->in[1], dtype), gr_constant(t, dtype, attr->ignore_index));
        d = gr_where(t, over_classes(t, n, ignored), gr_constant(t, dtype, 0.0), d);
    }
    if (attr->reduction == GR_MEAN) {
        int64_t count = gr_loss_count(n, l.n * l.inner);
        g = gr_scale(t, g, count ? 1.0 / (double)count : 0.0);
    }
    return gr_mul(t, d, attr->reduction == GR_NONE ? over_classes(t, n, g) : g);
}

static gr_tensor *clamped(gr_tape *t, gr_tensor *p)
{
    return gr_clamp(t, p, gr_smallest_normal(gr_dtype_of(p)), (double)INFINITY);
}

/* dl/dx = p sum T - T,  dl/dp = -T / p */
static gr_tensor *class_p(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    if (!gr_is_recording(t)) {
        if (g->is_one) return n->saved;
        return gr_mul(t, n->saved, gr_loss_attr_of(n)->reduction == GR_NONE ? over_classes(t, n, g) : g);
    }
    gr_tensor *p = n->in[0], *target = class_target(t, n);
    if (!gr_loss_attr_of(n)->from_logits) return scaled(t, n, g, gr_neg(t, gr_div(t, target, clamped(t, p))));
    gr_tensor *total = gr_sum(t, target, GR_AXES(1), true);
    return scaled(t, n, g, gr_sub(t, gr_mul(t, gr_softmax(t, p, 1), total), target));
}

static gr_tensor *log_prediction(gr_tape *t, const gr_node *n)
{
    gr_tensor *p = n->in[0];
    return gr_loss_attr_of(n)->from_logits ? gr_log_softmax(t, p, 1) : gr_log(t, clamped(t, p));
}

/* dT/dy d */
static gr_tensor *through_target(gr_tape *t, const gr_node *n, gr_tensor *d)
{
    const gr_tensor *w = gr_loss_class_weight(n), *p = n->in[0];
    int64_t shape[GR_MAX_RANK];
    for (int i = 0; i < p->rank; i++) shape[i] = i == 1 ? p->shape[1] : 1;
    d = gr_scale(t, d, 1.0 - gr_loss_attr_of(n)->label_smoothing);
    return w ? gr_mul(t, d, gr_reshape(t, (gr_tensor *)w, p->rank, shape)) : d;
}

/* dCE/dy = -log p, through the target */
static gr_tensor *cross_entropy_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return scaled(t, n, g, through_target(t, n, gr_neg(t, log_prediction(t, n))));
}

/* dKL/dy = log t + 1 - log p, through the target */
static gr_tensor *kl_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    double s = gr_loss_attr_of(n)->label_smoothing;
    gr_tensor *y = gr_shift(t, gr_scale(t, n->in[1], 1.0 - s), s / (double)n->in[0]->shape[1]);
    gr_tensor *d = gr_shift(t, gr_sub(t, gr_log(t, clamped(t, y)), log_prediction(t, n)), 1.0);
    return scaled(t, n, g, through_target(t, n, d));
}

static gr_status class_target_shape(const gr_node *n, gr_type *type)
{
    if (check_target(n, n->in[0], n->in[1])) return gr_last_status();
    gr_type_as(type, n->in[0]);
    return GR_OK;
}

static gr_tensor *class_target_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return through_target(t, n, g);
}

/* ---- Samples ------------------------------------------------------------------------------------------------ */

#define CLASSES(kernel)                                                                                          \
    .n_in = 2, .n_optional = 2, .shape = class_shape, .attr_size = sizeof(gr_loss_attr), .terms = gr_loss_terms, \
    .forward = GR_KERNELS(kernel)

const gr_op gr_op_cross_entropy = {.name = "cross_entropy",
                                   .formula = "l = -sum y log p",
                                   .gradient =
                                       "dp_c = -g y_c / p_c, from logits dx_c = g (p_c sum y - y_c); dy_c = -g log p_c",
                                   CLASSES(cross_entropy),
                                   .vjp = {class_p, cross_entropy_y}};
const gr_op gr_op_kl = {
    .name = "kl",
    .formula = "l = sum y (log y - log p)",
    .gradient = "dp_c = -g y_c / p_c, from logits dx_c = g (p_c sum y - y_c); dy_c = g (log y_c + 1 - log p_c)",
    CLASSES(kl),
    .vjp = {class_p, kl_y}};
const gr_op gr_op_class_target = {.name = "class_target",
                                  .formula = "T = w ((1-s) y + s/C)",
                                  .gradient = "dy = g w (1 - s)",
                                  .n_in = 2,
                                  .n_optional = 1,
                                  .shape = class_target_shape,
                                  .attr_size = sizeof(gr_loss_attr),
                                  .forward = GR_KERNELS(class_target),
                                  .vjp = {gr_vjp_zero, class_target_y}};

enum { HAS = GR_HAS_LOGITS | GR_HAS_SMOOTHING | GR_HAS_CLASSES };

gr_tensor *gr_cross_entropy(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_loss_options *options)
{
    return gr_loss_apply(t, &gr_op_cross_entropy, HAS, p, y, options, NULL);
}

gr_tensor *gr_kl(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_loss_options *options)
{
    return gr_loss_apply(t, &gr_op_kl, HAS, p, y, options, NULL);
}
