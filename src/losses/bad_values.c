/* bad_values.c: which target, prediction or weight a loss refuses, in a message. Kernels see only that there is one. */
#include "losses/loss_kit.h"

gr_status gr_fail_weight_at(const char *who, const char *what, const gr_tensor *w, int64_t i)
{
    return gr_fail(GR_ERR_VALUE, "%s: the %s is %s at %s, expected 0 or more", who, what,
                   GR_NUMBER_TEXT(gr_element(w, i)), gr_position_text(&(gr_text){{0}}, w, i));
}

gr_status gr_fail_prediction_at(const char *who, const gr_tensor *p, int64_t i)
{
    return gr_fail(GR_ERR_VALUE, "%s: prediction %s at %s is outside [0,1]; are these logits?", who,
                   GR_NUMBER_TEXT(gr_element(p, i)), gr_position_text(&(gr_text){{0}}, p, i));
}

/* Whether position i is left out. */
static bool is_ignored_at(const gr_node *n, int64_t i)
{
    const gr_loss_attr *attr = gr_loss_attr_of(n);
    return attr->ignore && gr_element(n->in[1], i) == attr->ignore_index;
}

gr_status gr_fail_bad_target(const gr_node *n, bool (*bad)(double y), const char *expected)
{
    const gr_tensor *y = n->in[1];
    int64_t i = 0;
    while (i < y->size - 1 && (!bad(gr_element(y, i)) || is_ignored_at(n, i))) i++;
    const gr_loss_attr *a = gr_loss_attr_of(n);
    const double value = gr_element(y, i);
    return gr_fail(GR_ERR_VALUE, "%s: target %s at %s, expected %s%s", n->op->name, GR_NUMBER_TEXT(value),
                   gr_position_text(&(gr_text){{0}}, y, i), expected,
                   gr_ignore_hint(a->ignore, a->ignore_index, value));
}

gr_status gr_fail_bad_prediction(const gr_node *n)
{
    const gr_tensor *p = n->in[0];
    for (int64_t i = 0; i < p->size && !gr_loss_attr_of(n)->from_logits; i++)
        if ((gr_element(p, i) < 0.0 || gr_element(p, i) > 1.0) && !is_ignored_at(n, i))
            return gr_fail_prediction_at(n->op->name, p, i);
    return GR_OK;
}

static bool no_number(double y) { return y != y; }

gr_status gr_fail_bad_number(const gr_node *n) { return gr_fail_bad_target(n, no_number, "a number"); }

static bool no_probability(double y) { return !(y >= 0.0 && y <= 1.0); }

gr_status gr_fail_bad_probability(const gr_node *n)
{
    return gr_fail_bad_prediction(n) ? gr_last_status() : gr_fail_bad_target(n, no_probability, "a number in [0,1]");
}
