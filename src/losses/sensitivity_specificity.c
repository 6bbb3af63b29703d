/* sensitivity_specificity.c: Eq. 15 and 16. The paper's formula is a score, best at 1; the loss is its complement:
 *
 *     1 - (w TP/(TP+FN) + (1-w) TN/(TN+FP)) = w FN/(FN+TP) + (1-w) FP/(FP+TN),
 *
 * with sensitivity_weight for w and specificity_weight for 1-w. */
#include "losses/regions.h"

/* Counts, and fills in the defaults. */
static gr_status begin_rates(gr_region_call *c, gr_tape *t, const char *who, gr_tensor *p, gr_tensor *y,
                             gr_sensitivity_specificity_options *o)
{
    if (gr_expect_not_negative(who, "epsilon", o->epsilon) ||
        gr_expect_not_negative(who, "sensitivity_weight", o->sensitivity_weight) ||
        gr_expect_not_negative(who, "specificity_weight", o->specificity_weight))
        return gr_last_status();
    if (o->sensitivity_weight == 0.0 && o->specificity_weight == 0.0)
        o->sensitivity_weight = o->specificity_weight = 0.5;
    return gr_region_begin(c, t, who, p, y, &o->base);
}

static gr_tensor *weighted_rates(gr_tape *t, const gr_sensitivity_specificity_options *o, gr_tensor *of_positives,
                                 gr_tensor *of_negatives)
{
    return gr_add(t, gr_scale(t, of_positives, o->sensitivity_weight),
                  gr_scale(t, of_negatives, o->specificity_weight));
}

gr_tensor *gr_sensitivity_specificity(gr_tape *t, gr_tensor *p, gr_tensor *y,
                                      const gr_sensitivity_specificity_options *options)
{
    gr_region_call c;
    gr_sensitivity_specificity_options o = options ? *options : (gr_sensitivity_specificity_options){0};
    if (begin_rates(&c, t, "sensitivity_specificity", p, y, &o)) return NULL;
    gr_tensor *missed = gr_ratio(t, c.fn, gr_shift(t, c.tp, o.epsilon), 0.0);
    gr_tensor *false_alarms = gr_ratio(t, c.fp, gr_shift(t, c.tn, o.epsilon), 0.0);
    return gr_region_reduce(&c, weighted_rates(t, &o, missed, false_alarms));
}

gr_tensor *gr_sensitivity_specificity_score(gr_tape *t, gr_tensor *p, gr_tensor *y,
                                            const gr_sensitivity_specificity_options *options)
{
    gr_region_call c;
    gr_sensitivity_specificity_options o = options ? *options : (gr_sensitivity_specificity_options){0};
    if (begin_rates(&c, t, "sensitivity_specificity_score", p, y, &o)) return NULL;
    gr_tensor *sensitivity = gr_ratio(t, gr_shift(t, c.tp, o.epsilon), c.fn, 1.0);
    gr_tensor *specificity = gr_ratio(t, gr_shift(t, c.tn, o.epsilon), c.fp, 1.0);
    return gr_region_reduce(&c, weighted_rates(t, &o, sensitivity, specificity));
}
