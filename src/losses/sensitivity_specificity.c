/* sensitivity_specificity.c: Eq. 15 and 16. The paper's formula is a score, best at 1; the loss is its complement:
 *
 *     1 - (w TP/(TP+FN) + (1-w) TN/(TN+FP)) = w FN/(FN+TP) + (1-w) FP/(FP+TN) */
#include "regions.h"

static gr_status begin(gr_region_call *c, gr_tape *t, const char *who, gr_tensor *p, gr_tensor *y,
                       const gr_region_options *o)
{
    const double epsilon = o ? o->epsilon : 0.0;
    if (gr_region_begin(c, t, who, GR_HAS_EPSILON | GR_HAS_W, p, y, o)) return gr_last_status();
    c->o.epsilon = epsilon; /* the equation has none, so none is the default */
    return GR_OK;
}

/* w a + (1-w) b */
static gr_tensor *weighed(const gr_region_call *c, gr_tensor *a, gr_tensor *b)
{
    return gr_add(c->t, gr_scale(c->t, a, c->o.w), gr_scale(c->t, b, 1.0 - c->o.w));
}

gr_tensor *gr_sensitivity_specificity(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_region_options *options)
{
    gr_region_call c;
    if (begin(&c, t, "sensitivity_specificity", p, y, options)) return NULL;
    gr_tensor *missed = gr_share(t, c.fn, gr_shift(t, c.tp, c.o.epsilon), 0.0);
    gr_tensor *false_alarms = gr_share(t, c.fp, gr_shift(t, c.tn, c.o.epsilon), 0.0);
    return gr_region_reduce(&c, weighed(&c, missed, false_alarms), gr_region_filled(&c));
}

gr_tensor *gr_sensitivity_specificity_score(gr_tape *t, gr_tensor *p, gr_tensor *y, const gr_region_options *options)
{
    gr_region_call c;
    if (begin(&c, t, "sensitivity_specificity_score", p, y, options)) return NULL;
    gr_tensor *sensitivity = gr_share(t, gr_shift(t, c.tp, c.o.epsilon), c.fn, 1.0);
    gr_tensor *specificity = gr_share(t, gr_shift(t, c.tn, c.o.epsilon), c.fp, 1.0);
    return gr_region_reduce(&c, weighed(&c, sensitivity, specificity), gr_region_filled(&c));
}
