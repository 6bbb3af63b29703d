/* optimizer.c: what all optimizers share: their state, and the loop of a step over the parameters. */
#include <stdio.h>

#include "optim/internal.h"

/* A pass over a tensor for its largest elements, that of each span. */
typedef struct size_call {
    const void *x;
    int64_t span;
    double *sizes;
} size_call;

#define GR_KERNEL_FILE "optim/optimizer.kernels.inc"
#include "tensor/kernel.h"

static gr_span_body const size_spans[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(size_span);

/* A parameter and its state. */
typedef struct target {
    gr_update u; /* its state and numbers are filled in once, w and g at each step */
    gr_tensor *w;
    gr_tensor *state[GR_MAX_STATES];
    int64_t t;        /* the parameter's own steps: one without a gradient is left out of a step */
    uint32_t version; /* of the parameter when it was last measured or changed here */
} target;

struct gr_optimizer {
    const gr_rule *rule;
    gr_span_body kernel[GR_N_DTYPES];
    double numbers[GR_MAX_NUMBERS];
    double bound[1 + GR_MAX_STATES]; /* of all parameters, and of each kind of state */
    double most;                     /* that a bound may be */
    int64_t prepared;                /* the t for which rule->prepare() has set the numbers; 0: none */
    int n;
    target targets[];
};
_Static_assert(GR_MAX_STATES == 2, "bounds and copies are written out for a parameter and two states");

/* ---- Making ------------------------------------------------------------------------------------------------- */

bool gr_option_fits(const char *who, const gr_option *option)
{
    const char *name = option->name;
    double value = option->value, below = option->below;
    char hint[80] = "";
    if (value >= 0.0 && value < below) return true;
    if (option->standard != 0.0)
        snprintf(hint, sizeof hint, " (0 is the default, %s)", GR_NUMBER_TEXT(option->standard));
    if (below < GR_ANY_SIZE)
        gr_fail(GR_ERR_OPTION, "%s: %s is %s, expected 0 <= %s < %s%s", who, name, GR_NUMBER_TEXT(value), name,
                GR_NUMBER_TEXT(below), hint);
    else
        gr_fail(GR_ERR_OPTION, "%s: %s is %s, expected a finite number, 0 or more%s", who, name, GR_NUMBER_TEXT(value),
                hint);
    return false;
}

static bool add_target(gr_optimizer *o, gr_tensor *w, int n_states, const gr_option names[])
{
    target *p = &o->targets[o->n++];
    *p = (target){.w = w, .u.numbers = o->numbers, .version = gr_version_of(w) - 1u};
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
    *o = (gr_optimizer){.rule = rule, .bound = {1.0, 1.0, 1.0}, .most = 0x1p1022};
    memcpy(o->kernel, rule->kernel[gr_cpu_level()], sizeof o->kernel);
    for (int i = 0; i < GR_MAX_NUMBERS; i++)
        o->numbers[i] = options[i].value != 0.0 ? options[i].value : options[i].standard;
    for (int i = 0; i < n; i++) {
        if (gr_params_at(params, i)->dtype == GR_F32) o->most = 0x1p126;
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

/* ---- What a step may not do --------------------------------------------------------------------------------- */

/* No step leaves a number that is not finite, and parameters and state need not be read for that. No element of a
 * parameter is larger than bound[0], none of a state than bound[1] and bound[2]. From these and from the largest
 * element of the gradients, for which there is a pass, rule->grow() computes what they can be after the step. Where
 * that is too large for a proof the step is tried out, and the bounds become the largest numbers that it makes. All of
 * them are 1 or more, so that a number of the rule that F32 cannot hold makes a bound too large, too. */

/* The largest |x|, or what is not finite. */
static double largest_of_many(const gr_tensor *x)
{
    enum { MAX_SPANS = 256 };
    double sizes[MAX_SPANS], largest = 0.0;
    size_call c = {.x = x->data, .span = x->size / MAX_SPANS + 1, .sizes = sizes};
    if (c.span < GR_GRAIN) c.span = GR_GRAIN;
    gr_parallel(x->size, c.span, size_spans[gr_cpu_level()][x->dtype], &c);
    for (int64_t i = 0; i * c.span < x->size; i++) largest = fmax(largest, sizes[i]);
    return largest;
}

static inline double largest_of(const gr_tensor *x)
{
    return x->size == 1 ? fabs(gr_element(x, 0)) : largest_of_many(x);
}

static void prepare(gr_optimizer *o, int64_t t)
{
    if (o->rule->prepare && o->prepared != t) o->rule->prepare(o->numbers, o->prepared = t);
}

/* At its first steps a parameter moves the most. The 1e-6 is more than F32 rounds in a step. */
static bool is_surely_finite(gr_optimizer *o)
{
    double g = 1.0;
    bool finite = true;
    int64_t t = INT64_MAX;
    for (target *p = o->targets, *end = p + o->n; p < end; p++) {
        const uint32_t version = gr_version_of(p->w);
        if (p->version != version) {
            const double size = largest_of(p->w);
            o->bound[0] = fmax(o->bound[0], size);
            finite &= size <= o->most;
            p->version = version;
        }
        if (!p->w->has_grad) continue;
        const double size = largest_of(p->w->grad);
        g = size > g ? size : g;
        finite &= size <= o->most;
        t = gr_lesser(t, p->t);
    }
    if (t == INT64_MAX) return true; /* no gradient, no step */
    if (!finite) return false;
    prepare(o, t + 1);
    o->rule->grow(o->numbers, g, o->bound);
    for (int k = 0; k < GR_COUNT(o->bound); k++) finite &= (o->bound[k] *= 1.0 + 1e-6) <= o->most;
    return finite;
}

static gr_status fail_step(const gr_optimizer *o, const gr_tensor *w, int k, int64_t at, double value)
{
    const double g = gr_element(w->grad, at);
    return gr_fail(GR_ERR_VALUE, "step: %s would make %s%s %s at %s, where its gradient is %s; nothing was changed%s",
                   o->rule->name, k ? "the state of " : "", gr_name(w), GR_NUMBER_TEXT(value),
                   gr_position_text(&(gr_text){{0}}, w, at), GR_NUMBER_TEXT(g),
                   isfinite(g) ? "" : ": look at the loss and the data for NaN and infinity");
}

/* The step of a parameter, if it has a gradient, computed into copies of a few elements at a time: k = 0 is the
 * parameter, the others are its states. */
static gr_status try_out(gr_optimizer *o, const target *p)
{
    enum { AT_ONCE = 1024, N = 1 + GR_MAX_STATES };
    double copies[N][AT_ONCE];
    const gr_tensor *w = p->w, *from[N] = {w, p->state[0], p->state[1]};
    const size_t each = gr_dtype_bytes(gr_type_of(w));
    gr_update u = {.w = copies[0], .state = {copies[1], copies[2]}, .numbers = o->numbers};
    for (int64_t at = 0, n; at < w->size; at += n) {
        n = gr_lesser(w->size - at, AT_ONCE);
        for (int k = 0; k < N; k++)
            if (from[k]) memcpy(copies[k], (const char *)from[k]->data + (size_t)at * each, (size_t)n * each);
        if (w->has_grad) u.g = (const char *)w->grad->data + (size_t)at * each;
        if (w->has_grad) o->kernel[w->dtype](&u, 0, n);
        for (int k = 0; k < N; k++) {
            const gr_tensor made = {.dtype = w->dtype, .data = copies[k]};
            for (int64_t i = 0; from[k] && i < n; i++) {
                const double value = gr_element(&made, i);
                o->bound[k] = fmax(o->bound[k], fabs(value));
                if (w->has_grad && !isfinite(value)) return fail_step(o, w, k, at + i, value);
            }
        }
    }
    return GR_OK;
}

static gr_status check_step(gr_optimizer *o)
{
    if (is_surely_finite(o)) return GR_OK;
    gr_status status = GR_OK;
    for (int k = 0; k < GR_COUNT(o->bound); k++) o->bound[k] = 1.0;
    for (target *p = o->targets, *end = p + o->n; p < end && !status; p++) {
        if (p->w->has_grad) prepare(o, p->t + 1);
        status = try_out(o, p);
    }
    if (status) o->bound[0] = (double)INFINITY; /* bounds of what was not done: none is known */
    return status;
}

/* ---- A step ------------------------------------------------------------------------------------------------- */

static void update(gr_optimizer *o, target *p)
{
    gr_tensor *w = p->w;
    p->u.w = w->data;
    p->u.g = w->grad->data;
    prepare(o, ++p->t);
    gr_parallel(w->size, GR_GRAIN, o->kernel[w->dtype], &p->u);
    gr_touch(w);
    p->version++;
    w->has_grad = false;
}

gr_status gr_step(gr_optimizer *o)
{
    if (!o) return gr_fail_null("step", "optimizer");
    bool stepped = false;
    if (check_step(o)) return gr_last_status();
    for (target *p = o->targets, *end = p + o->n; p < end; p++) {
        if (!p->w->has_grad) continue;
        update(o, p);
        stepped = true;
    }
    if (stepped) return GR_OK;
    return gr_fail(GR_ERR_STATE, "step: none of the %d parameters of %s has a gradient: run gr_backward() first", o->n,
                   o->rule->name);
}
