/* loss_options.c: what a loss is given: options, their numbers, weights, shapes. All is checked here. */
#include <math.h>

#include "losses/loss_kit.h"
#include "tensor/class_planes.h"

gr_status gr_expect_loss_options(const char *name, int has, const gr_loss_options *o)
{
    if ((int)o->reduction < 0 || o->reduction >= GR_N_REDUCTIONS)
        return gr_fail(GR_ERR_OPTION, "%s: no such reduction: %d", name, (int)o->reduction);
    if (o->from_logits && !(has & GR_HAS_LOGITS)) return gr_fail(GR_ERR_OPTION, "%s: has no from_logits", name);
    if (o->class_weight && !(has & GR_HAS_CLASSES)) return gr_fail(GR_ERR_OPTION, "%s: has no class_weight", name);
    if (o->label_smoothing != 0.0 && !(has & GR_HAS_SMOOTHING))
        return gr_fail(GR_ERR_OPTION, "%s: has no label_smoothing", name);
    if (!(o->label_smoothing >= 0.0 && o->label_smoothing <= 1.0))
        return gr_fail(GR_ERR_OPTION, "%s: label_smoothing %s is outside [0,1]", name,
                       GR_NUMBER_TEXT(o->label_smoothing));
    return GR_OK;
}

gr_status gr_expect_number(const char *who, const char *what, double x, double lo, double hi)
{
    if (x >= lo && x <= hi && x - x == 0.0) return GR_OK;
    if (hi == (double)INFINITY)
        return gr_fail(GR_ERR_OPTION, "%s: %s %s, expected %s or more", who, what, GR_NUMBER_TEXT(x),
                       GR_NUMBER_TEXT(lo));
    return gr_fail(GR_ERR_OPTION, "%s: %s %s is outside [%s,%s]", who, what, GR_NUMBER_TEXT(x), GR_NUMBER_TEXT(lo),
                   GR_NUMBER_TEXT(hi));
}

static gr_status expect_usable_numbers(const char *who, gr_dtype dtype, const gr_loss_attr *attr)
{
    const double numbers[] = {attr->alpha, attr->gamma, attr->beta, attr->margin, attr->delta};
    static const char *const names[] = {"alpha", "gamma", "beta", "margin", "delta, or beta,"};
    for (int i = 0; i < GR_COUNT(numbers); i++)
        if (numbers[i] != 0.0 && gr_expect_usable(who, names[i], dtype, numbers[i])) return gr_last_status();
    return GR_OK;
}

gr_tensor *gr_loss_apply(gr_tape *t, const gr_op *op, int has, gr_tensor *p, gr_tensor *y,
                         const gr_loss_options *options, gr_loss_attr *attr)
{
    const gr_loss_options o = options ? *options : (gr_loss_options){0};
    if (gr_expect_loss_options(op->name, has, &o)) return NULL;
    if (y && gr_expect_ignore_index(op->name, y, o.ignore, o.ignore_index)) return NULL;
    gr_loss_attr no_numbers = {0};
    gr_tensor *in[4] = {p, y};
    int n_in = 2;
    if (o.weight) in[n_in++] = o.weight;
    if (o.class_weight) in[n_in++] = o.class_weight;
    if (attr && p && expect_usable_numbers(op->name, gr_type_of(p), attr)) return NULL;
    if (!attr) attr = &no_numbers;
    attr->reduction = o.reduction;
    attr->from_logits = o.from_logits;
    attr->ignore = o.ignore;
    attr->weighted = o.weight != NULL;
    attr->class_weighted = o.class_weight != NULL;
    /* Compared in the target's dtype, wherever that is done. */
    attr->ignore_index = y && y->dtype == GR_F32 ? (double)(float)o.ignore_index : o.ignore_index;
    attr->label_smoothing = o.label_smoothing;
    return gr_apply(t, op, in, n_in, attr);
}

gr_status gr_expect_weight(const gr_node *n, const gr_tensor *w, const char *what, int rank, const int64_t shape[])
{
    if (!w) return GR_OK;
    if (w->dtype != n->in[0]->dtype)
        return gr_fail(GR_ERR_DTYPE, "%s: the %s is %s, the prediction %s", n->op->name, what,
                       gr_dtype_name(gr_type_of(w)), gr_dtype_name(gr_type_of(n->in[0])));
    bool fits = w->rank == rank;
    for (int i = 0; fits && i < rank; i++) fits = w->shape[i] == shape[i];
    if (!fits)
        return gr_fail(GR_ERR_SHAPE, "%s: the %s is %s, expected %s", n->op->name, what, GR_SHAPE_TEXT(w),
                       gr_shape_text(&(gr_text){{0}}, rank, shape));
    for (int64_t i = 0; i < w->size; i++)
        if (!(gr_element(w, i) >= 0.0)) return gr_fail_weight_at(n->op->name, what, w, i);
    return GR_OK;
}

gr_status gr_pointwise_shape(const gr_node *n, gr_type *type)
{
    const gr_tensor *p = n->in[0], *y = n->in[1];
    const gr_loss_attr *attr = gr_loss_attr_of(n);
    if (!gr_is_float(gr_type_of(p)) || p->dtype != y->dtype)
        return gr_fail(GR_ERR_DTYPE, "%s: expected prediction and target both f32 or both f64: %s and %s", n->op->name,
                       gr_dtype_name(gr_type_of(p)), gr_dtype_name(gr_type_of(y)));
    if (!gr_same_shape(p, y))
        return gr_fail(GR_ERR_SHAPE, "%s: the prediction is %s, the target %s; losses do not broadcast", n->op->name,
                       GR_SHAPE_TEXT(p), GR_SHAPE_TEXT(y));
    if (attr->reduction == GR_MEAN && p->size == 0)
        return gr_fail(GR_ERR_SHAPE, "%s: a mean over nothing: %s", n->op->name, GR_SHAPE_TEXT(p));
    if (gr_expect_weight(n, gr_loss_weight(n), "weight", p->rank, p->shape)) return gr_last_status();
    gr_type_as(type, p);
    if (attr->reduction != GR_NONE) type->rank = 0;
    return GR_OK;
}
