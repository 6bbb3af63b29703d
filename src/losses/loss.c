/* loss.c: what all losses do alike: read the options, reduce, scale a gradient. */
#include <math.h>

#include "losses/loss_kit.h"

/* ---- Options ------------------------------------------------------------------------------------------------ */

gr_status gr_expect_loss_options(const char *name, int has, const gr_loss_options *o)
{
    if ((int)o->reduction < 0 || o->reduction >= GR_N_REDUCTIONS)
        return gr_fail(GR_ERR_OPTION, "%s: no such reduction: %d", name, (int)o->reduction);
    if (o->from_logits && !(has & GR_HAS_LOGITS)) return gr_fail(GR_ERR_OPTION, "%s: has no from_logits", name);
    if (o->class_weight && !(has & GR_HAS_CLASSES)) return gr_fail(GR_ERR_OPTION, "%s: has no class_weight", name);
    if (o->label_smoothing != 0.0 && !(has & GR_HAS_SMOOTHING))
        return gr_fail(GR_ERR_OPTION, "%s: has no label_smoothing", name);
    if (!(o->label_smoothing >= 0.0 && o->label_smoothing <= 1.0))
        return gr_fail(GR_ERR_OPTION, "%s: label_smoothing %g is outside [0,1]", name, o->label_smoothing);
    return GR_OK;
}

gr_status gr_expect_number(const char *who, const char *what, double x, double lo, double hi)
{
    if (x >= lo && x <= hi && x - x == 0.0) return GR_OK;
    if (hi == (double)INFINITY) return gr_fail(GR_ERR_OPTION, "%s: %s %g, expected %g or more", who, what, x, lo);
    return gr_fail(GR_ERR_OPTION, "%s: %s %g is outside [%g,%g]", who, what, x, lo, hi);
}

gr_tensor *gr_loss_apply_with(gr_tape *t, const gr_op *op, int has, gr_tensor *p, gr_tensor *y,
                              const gr_loss_options *options, gr_loss_attr *attr)
{
    const gr_loss_options o = options ? *options : (gr_loss_options){0};
    if (gr_expect_loss_options(op->name, has, &o)) return NULL;
    gr_tensor *in[4] = {p, y};
    int n_in = 2;
    if (o.weight) in[n_in++] = o.weight;
    if (o.class_weight) in[n_in++] = o.class_weight;
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

gr_tensor *gr_loss_apply(gr_tape *t, const gr_op *op, int has, gr_tensor *p, gr_tensor *y,
                         const gr_loss_options *options, double a, double b)
{
    return gr_loss_apply_with(t, op, has, p, y, options, &(gr_loss_attr){.a = a, .b = b});
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
        if (!(gr_element(w, i) >= 0.0))
            return gr_fail(GR_ERR_VALUE, "%s: the %s is %g at %s, expected 0 or more", n->op->name, what,
                           gr_element(w, i), gr_position_text(&(gr_text){{0}}, w, i));
    return GR_OK;
}

gr_status gr_fail_bad_target(const gr_node *n, bool (*bad)(double y), const char *expected)
{
    const gr_loss_attr *attr = gr_loss_attr_of(n);
    const gr_tensor *y = n->in[1];
    int64_t i = 0;
    while (i < y->size - 1 && (!bad(gr_element(y, i)) || (attr->ignore && gr_element(y, i) == attr->ignore_index))) i++;
    return gr_fail(GR_ERR_VALUE, "%s: target %g at %s, expected %s", n->op->name, gr_element(y, i),
                   gr_position_text(&(gr_text){{0}}, y, i), expected);
}

static bool no_number(double y)
{
    return y != y;
}

gr_status gr_fail_bad_number(const gr_node *n)
{
    return gr_fail_bad_target(n, no_number, "a number");
}

static bool no_probability(double y)
{
    return !(y >= 0.0 && y <= 1.0);
}

gr_status gr_fail_bad_prediction(const gr_node *n)
{
    const gr_tensor *p = n->in[0];
    const gr_loss_attr *attr = gr_loss_attr_of(n);
    for (int64_t i = 0; i < p->size && !attr->from_logits; i++) {
        bool skip = attr->ignore && gr_element(n->in[1], i) == attr->ignore_index;
        if (!skip && (gr_element(p, i) < 0.0 || gr_element(p, i) > 1.0))
            return gr_fail(GR_ERR_VALUE, "%s: prediction %g at %s is outside [0,1]; are these logits?", n->op->name,
                           gr_element(p, i), gr_position_text(&(gr_text){{0}}, p, i));
    }
    return GR_OK;
}

gr_status gr_fail_bad_probability(const gr_node *n)
{
    return gr_fail_bad_prediction(n) ? gr_last_status() : gr_fail_bad_target(n, no_probability, "a number in [0,1]");
}

/* ---- Probabilities as ops see them -------------------------------------------------------------------------- */

gr_tensor *gr_complement(gr_tape *t, gr_tensor *p)
{
    return gr_shift(t, gr_neg(t, p), 1.0);
}

gr_tensor *gr_not_zero(gr_tape *t, gr_tensor *p)
{
    return gr_clamp(t, p, gr_dtype_of(p) == GR_F32 ? 0x1p-126 : 0x1p-1022, 1.0);
}

gr_tensor *gr_safe_log(gr_tape *t, gr_tensor *p)
{
    return gr_log(t, gr_not_zero(t, p));
}

/* Rounding 1-p loses a small p: there it is log1p(-p). */
gr_tensor *gr_log_complement(gr_tape *t, gr_tensor *p)
{
    gr_tensor *half = gr_constant(t, gr_dtype_of(p), 0.5), *small = gr_log1p(t, gr_neg(t, gr_minimum(t, p, half)));
    return gr_where(t, gr_greater(t, p, half), gr_safe_log(t, gr_complement(t, p)), small);
}

/* ---- Reduction ---------------------------------------------------------------------------------------------- */

int64_t gr_loss_count(const gr_node *n, int64_t positions)
{
    const gr_loss_attr *attr = gr_loss_attr_of(n);
    const gr_tensor *y = n->in[1];
    if (!attr->ignore) return positions;
    int64_t count = 0;
    for (int64_t i = 0; i < y->size; i++) count += gr_element(y, i) != attr->ignore_index;
    return count;
}

/* 1/count for a mean, 0 when every position is ignored. */
static double scale_of(const gr_node *n, int64_t positions)
{
    if (gr_loss_attr_of(n)->reduction != GR_MEAN) return 1.0;
    int64_t count = gr_loss_count(n, positions);
    return count ? 1.0 / (double)count : 0.0;
}

static void write_value(gr_tensor *out, double value)
{
    if (out->dtype == GR_F32) *(float *)out->data = (float)value;
    else *(double *)out->data = value;
}

gr_status gr_loss_run(gr_node *n, gr_loss_pass *p, int64_t positions, int64_t least, gr_span_body span,
                      gr_bad_value_rule complain)
{
    p->n = n;
    p->grain = (positions + GR_LOSS_BLOCKS - 1) / GR_LOSS_BLOCKS;
    p->grain = p->grain < least ? least : p->grain;
    p->scale = scale_of(n, positions);
    p->keep_values = gr_loss_attr_of(n)->reduction == GR_NONE;
    gr_parallel(positions, p->grain, span, p);
    double sum = 0.0;
    bool bad = false;
    for (int64_t i = 0; i * p->grain < positions; i++) {
        sum += p->sum[i];
        bad |= p->bad[i];
    }
    if (bad) return complain(n);
    if (!p->keep_values) write_value(n->out, sum * p->scale);
    return GR_OK;
}

/* ---- For the gradient checker ------------------------------------------------------------------------------- */

int gr_loss_terms_with(const gr_node *n, gr_loss_attr *attr, gr_term terms[GR_MAX_TERMS])
{
    if (attr->reduction == GR_NONE) return 0;
    attr->reduction = GR_NONE;
    bool was_recording = gr_set_recording(n->tape, false);
    gr_tensor *each = gr_apply(n->tape, n->op, n->in, n->n_in, attr);
    gr_set_recording(n->tape, was_recording);
    if (!each) return 0;
    terms[0] = (gr_term){each, scale_of(n, each->size)};
    return 1;
}

int gr_loss_terms(const gr_node *n, gr_term terms[GR_MAX_TERMS])
{
    gr_loss_attr attr = *gr_loss_attr_of(n);
    return gr_loss_terms_with(n, &attr, terms);
}

void gr_branch_residual(const gr_node *n, uint64_t *signature)
{
    for (int64_t i = 0; i < n->in[0]->size; i++)
        gr_fold_branch(signature, gr_branch_of(gr_element(n->in[0], i) - gr_element(n->in[1], i)));
}

/* ---- Pointwise ---------------------------------------------------------------------------------------------- */

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

gr_tensor *gr_loss_scaled(gr_tape *t, const gr_node *n, gr_tensor *g, gr_tensor *d)
{
    const gr_loss_attr *attr = gr_loss_attr_of(n);
    gr_tensor *y = n->in[1], *zero = gr_constant(t, gr_type_of(n->in[0]), 0.0);
    if (attr->weighted) d = gr_where(t, n->in[2], gr_mul(t, d, n->in[2]), zero); /* no 0 * inf */
    if (attr->ignore) d = gr_where(t, gr_equal(t, y, gr_constant(t, gr_type_of(y), attr->ignore_index)), zero, d);
    return gr_mul(t, d, gr_scale(t, g, scale_of(n, n->in[0]->size)));
}

gr_tensor *gr_pointwise_vjp(gr_tape *t, const gr_node *n, gr_tensor *g, const gr_op *slope)
{
    if (gr_is_recording(t)) return gr_loss_scaled(t, n, g, gr_apply(t, slope, n->in, 2, n->attr));
    return gr_times_cotangent(t, n->saved, g);
}
