/* class_target.c: what a target says about classes: the checks that cross entropy, KL and the losses of regions share,
 * and the target as numbers,
 *
 *     T_c = w_c ((1-s) y_c + s/C),
 *
 * with y fractions of the classes, or 1 for the class whose index is given, s the label smoothing and w the class
 * weights. */
#include "losses/class_target.h"

/* ---- Checks ------------------------------------------------------------------------------------------------- */

gr_status gr_expect_class_axis(const char *who, const gr_tensor *p)
{
    if (p->rank >= 2 && p->shape[1] > 0) return GR_OK;
    return gr_fail(GR_ERR_SHAPE, "%s: the prediction is %s, expected classes along axis 1: [N,C,...]", who,
                   GR_SHAPE_TEXT(p));
}

gr_status gr_expect_class_target(const char *who, const gr_tensor *p, const gr_tensor *y)
{
    const bool indices = y->dtype == GR_I32;
    if (!gr_is_float(gr_type_of(p)))
        return gr_fail(GR_ERR_DTYPE, "%s: the prediction is %s, expected f32 or f64", who,
                       gr_dtype_name(gr_type_of(p)));
    const bool other_dtype = !indices && y->dtype != p->dtype;
    if (!other_dtype && (indices ? has_shape_of_positions(y, p) : gr_same_shape(p, y))) return GR_OK;
    const char *dtype = gr_dtype_name(gr_type_of(p)), *other = gr_dtype_name(gr_type_of(y));
    int64_t positions[GR_MAX_RANK];
    for (int i = 0; i + 1 < p->rank; i++) positions[i] = p->shape[i ? i + 1 : 0];
    return gr_fail(other_dtype ? GR_ERR_DTYPE : GR_ERR_SHAPE,
                   "%s: the prediction is %s %s, the target %s %s; expected %s %s%s%s", who, dtype, GR_SHAPE_TEXT(p),
                   other, GR_SHAPE_TEXT(y), dtype, GR_SHAPE_TEXT(p), p->rank < 2 ? "" : ", or classes as i32 ",
                   p->rank < 2 ? "" : gr_shape_text(&(gr_text){{0}}, p->rank - 1, positions));
}

gr_status gr_expect_class_indices(const char *who, const gr_tensor *p, const gr_tensor *y, const double *ignored)
{
    const int32_t *index = y->data;
    const int64_t classes = p->shape[1];
    for (int64_t i = 0; i < y->size; i++)
        if ((index[i] < 0 || index[i] >= classes) && !(ignored && (double)index[i] == *ignored))
            return gr_fail(GR_ERR_VALUE, "%s: class %d at %s is outside the %lld class%s, expected 0 to %lld%s", who,
                           index[i], gr_position_text(&(gr_text){{0}}, y, i), (long long)classes,
                           classes == 1 ? "" : "es", (long long)classes - 1,
                           classes == 1 ? "; gr_bce() is for one logit, with a float target of the logit's shape"
                           : ignored    ? ""
                                        : "; .ignore leaves out those of .ignore_index");
    return GR_OK;
}

/* ---- The target as numbers:  T = w ((1-s) y + s/C) ---------------------------------------------------------- */

#define GR_KERNEL_FILE "losses/class_target.kernels.inc"
#include "tensor/kernel.h"

static gr_status class_target_shape(const gr_node *n, gr_type *type)
{
    const char *who = n->op->name;
    if (gr_expect_class_axis(who, n->in[0]) || gr_expect_class_target(who, n->in[0], n->in[1])) return gr_last_status();
    gr_type_as(type, n->in[0]);
    return gr_expect_weight(n, gr_loss_class_weight(n), "class_weight", 1, &type->shape[1]);
}

gr_tensor *gr_over_classes(gr_tape *t, const gr_tensor *p, gr_tensor *numbers)
{
    int64_t shape[GR_MAX_RANK];
    for (int i = 0; i < p->rank; i++) shape[i] = i == 1 ? 1 : p->shape[i];
    return gr_as_shape(t, numbers, p->rank, shape);
}

/* dT/dy d = (1-s) w d */
gr_tensor *gr_through_class_target(gr_tape *t, const gr_node *n, gr_tensor *d)
{
    const gr_tensor *w = gr_loss_class_weight(n), *p = n->in[0];
    int64_t shape[GR_MAX_RANK];
    for (int i = 0; i < p->rank; i++) shape[i] = i == 1 ? p->shape[1] : 1;
    d = gr_weighed_by(t, 1.0 - gr_loss_attr_of(n)->label_smoothing, d);
    return w ? gr_weighed(t, gr_as_shape(t, (gr_tensor *)w, p->rank, shape), d) : d;
}

static gr_tensor *class_target_y(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    return gr_through_class_target(t, n, g);
}

const gr_op gr_op_class_target = {GR_NAMED(class_target, "T = w ((1-s) y + s/C)", "dy = g w (1 - s)"),
                                  .n_in = 2,
                                  .n_optional = 1,
                                  .shape = class_target_shape,
                                  .attr_size = sizeof(gr_loss_attr),
                                  .forward = GR_KERNELS(class_target),
                                  .vjp = {gr_vjp_zero, class_target_y}};

gr_tensor *gr_class_target(gr_tape *t, const gr_node *n)
{
    gr_tensor *in[3] = {n->in[0], n->in[1], (gr_tensor *)gr_loss_class_weight(n)};
    gr_loss_attr attr = *gr_loss_attr_of(n);
    attr.weighted = false;
    return gr_apply(t, &gr_op_class_target, in, 2 + attr.class_weighted, &attr);
}
