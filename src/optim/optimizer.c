/* optimizer.c: what all optimizers share: their state, and the loop of a step over the parameters. */
#include "optim/internal.h"

/* A parameter and its state. */
typedef struct target {
    gr_update u; /* its state and numbers are filled in once, w and g at each step */
    gr_tensor *w;
    gr_tensor *state[GR_MAX_STATES];
    int64_t t; /* the parameter's own steps: one without a gradient is left out of a step */
} target;

struct gr_optimizer {
    const gr_rule *rule;
    gr_span_body kernel[GR_N_DTYPES];
    double numbers[GR_MAX_NUMBERS];
    int64_t prepared; /* the t for which rule->prepare() has set the numbers; 0: none */
    int n;
    target targets[];
};

/* ---- Making ------------------------------------------------------------------------------------------------- */

bool gr_option_fits(const char *who, const gr_option *option)
{
    const char *name = option->name;
    double value = option->value, below = option->below;
    if (value >= 0.0 && value < below) return true;
    if (below < GR_ANY_SIZE)
        gr_fail(GR_ERR_OPTION, "%s: %s is %s, expected 0 <= %s < %s", who, name, GR_NUMBER_TEXT(value), name,
                GR_NUMBER_TEXT(below));
    else gr_fail(GR_ERR_OPTION, "%s: %s is %s, expected a finite number, 0 or more", who, name, GR_NUMBER_TEXT(value));
    return false;
}

static bool add_target(gr_optimizer *o, gr_tensor *w, int n_states, const gr_option names[])
{
    target *p = &o->targets[o->n++];
    *p = (target){.w = w, .u.numbers = o->numbers};
    for (int i = 0; i < GR_MAX_NUMBERS; i++)
        if (names[i].name && gr_expect_usable(o->rule->name, names[i].name, gr_type_of(w), o->numbers[i])) return false;
    for (int s = 0; s < n_states; s++) {
        p->state[s] = gr_zeros(gr_type_of(w), w->rank, w->shape);
        if (!p->state[s]) return false;
        p->u.state[s] = p->state[s]->data;
    }
    return true;
}

gr_optimizer *gr_optimizer_new(gr_params *params, const gr_rule *rule, int n_states,
                               const gr_option options[GR_MAX_NUMBERS])
{
    if (!params) return gr_fail_null(rule->name, "the set of parameters"), NULL;
    const int n = gr_params_count(params);
    if (!n) return gr_fail(GR_ERR_SHAPE, "%s: the set of parameters is empty", rule->name), NULL;
    for (int i = 0; i < GR_MAX_NUMBERS; i++)
        if (options[i].name && !gr_option_fits(rule->name, &options[i])) return NULL;
    assert(n_states <= GR_MAX_STATES);
    gr_optimizer *o = gr_allocate(sizeof *o + (size_t)n * sizeof *o->targets);
    if (!o) return NULL;
    *o = (gr_optimizer){.rule = rule};
    memcpy(o->kernel, rule->kernel[gr_cpu_level()], sizeof o->kernel);
    for (int i = 0; i < GR_MAX_NUMBERS; i++)
        o->numbers[i] = options[i].value != 0.0 ? options[i].value : options[i].standard;
    for (int i = 0; i < n; i++) {
        if (add_target(o, gr_params_at(params, i), n_states, options)) continue;
        gr_optimizer_free(o);
        return NULL;
    }
    return o;
}

void gr_optimizer_free(gr_optimizer *o)
{
    if (!o) return;
    for (int i = 0; i < o->n; i++)
        for (int s = 0; s < GR_MAX_STATES; s++) gr_tensor_free(o->targets[i].state[s]);
    gr_release(o);
}

double gr_learning_rate(const gr_optimizer *o)
{
    if (o) return o->numbers[GR_LR];
    gr_fail_null("learning_rate", "optimizer");
    return (double)NAN;
}

gr_status gr_set_learning_rate(gr_optimizer *o, double lr)
{
    if (!o) return gr_fail_null("set_learning_rate", "optimizer");
    if (isnan(lr) && gr_last_status()) return gr_last_status(); /* gr_schedule_rate() failed: its message stays */
    if (!gr_option_fits("set_learning_rate", &(gr_option){"lr", lr, 0.0, GR_ANY_SIZE})) return gr_last_status();
    for (const target *p = o->targets; p < o->targets + o->n; p++)
        if (gr_expect_held("set_learning_rate", gr_type_of(p->w), lr)) return gr_last_status();
    o->numbers[GR_LR] = lr;
    o->prepared = 0;
    return GR_OK;
}

/* ---- A step ------------------------------------------------------------------------------------------------- */

static void update(gr_optimizer *o, target *p)
{
    gr_tensor *w = p->w;
    p->u.w = w->data;
    p->u.g = w->grad->data;
    p->t++;
    if (o->rule->prepare && o->prepared != p->t) o->rule->prepare(o->numbers, o->prepared = p->t);
    gr_parallel(w->size, GR_GRAIN, o->kernel[w->dtype], &p->u);
    gr_touch(w);
    gr_zero_grad(w);
}

gr_status gr_step(gr_optimizer *o)
{
    if (!o) return gr_fail_null("step", "optimizer");
    bool stepped = false;
    for (target *p = o->targets, *end = p + o->n; p < end; p++) {
        if (!p->w->has_grad) continue;
        update(o, p);
        stepped = true;
    }
    if (stepped) return GR_OK;
    return gr_fail(GR_ERR_STATE, "step: none of the %d parameters of %s has a gradient: run gr_backward() first", o->n,
                   o->rule->name);
}
