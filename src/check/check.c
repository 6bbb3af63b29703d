/* check.c: the public calls, and the table of modes. */
#include "check/check_internal.h"

/* What is compared one by one. */
enum unit { ELEMENTS, SAMPLES, DIRECTIONS, NODES };

static const struct check_mode {
    const char *name;                /* in a report */
    gr_status (*run)(gr_checker *c); /* NULL: each op that f recorded by itself, gr_check_nodes() */
    bool numeric;                    /* compares with differences of f: after a FAIL the op to blame is looked for */
    bool second_order;               /* order 2 goes with it */
    double rtol;                     /* where the options do not say */
    int points;                      /* of a line that are kept */
    enum unit unit;
    int each, once; /* evaluations for each of them, where f is smooth; and beside them */
} modes[] = {
    [GR_CHECK_FULL] = {"full", gr_check_full, true, true, 1e-7, GR_FEW_POINTS, ELEMENTS, 5, 10},
    [GR_CHECK_SAMPLED] = {"sampled", gr_check_sampled, true, true, 1e-7, GR_FEW_POINTS, SAMPLES, 5, 10},
    [GR_CHECK_DIRECTIONAL] = {"directional", gr_check_directions, true, true, 1e-7, GR_FEW_POINTS, DIRECTIONS, 5, 10},
    [GR_CHECK_JACOBIAN] = {"jacobian", gr_check_jacobian, true, true, 1e-7, GR_MAX_POINTS, ELEMENTS, 5, 10},
    [GR_CHECK_PER_NODE] = {"per node", NULL, false, true, 1e-7, GR_FEW_POINTS, NODES, 0, 2},
    [GR_CHECK_ACCUMULATION] = {"accumulation", gr_check_accumulation, false, false, 1e-7, GR_FEW_POINTS, ELEMENTS, 0,
                               4},
    [GR_CHECK_F32] = {"f32", gr_check_f32, false, false, 1e-4, GR_FEW_POINTS, ELEMENTS, 0, 14},
    [GR_CHECK_TAYLOR] = {"taylor", gr_check_directions, true, true, 1e-7, GR_FEW_POINTS, DIRECTIONS, 30, 10},
};
_Static_assert(GR_COUNT(modes) == GR_CHECK_N_MODES, "a row for each mode");

const char *gr_check_mode_name(gr_check_mode m) { return (int)m >= 0 && m < GR_CHECK_N_MODES ? modes[m].name : "?"; }

/* ---- Options ------------------------------------------------------------------------------------------------ */

/* The options with what they leave open filled in. */
static gr_status complete_options(const gr_check_options *given, gr_check_options *o)
{
    *o = given ? *given : (gr_check_options){0};
    if ((int)o->mode < 0 || o->mode >= GR_CHECK_N_MODES)
        return gr_fail(GR_ERR_OPTION, "check_gradients: no such mode: %d", (int)o->mode);
    if (o->order < 0 || o->order > 2)
        return gr_fail(GR_ERR_OPTION, "check_gradients: order %d, expected 1 or 2", o->order);
    if (o->order == 2 && !modes[o->mode].second_order)
        return gr_fail(GR_ERR_OPTION, "check_gradients: order 2 does not go with this mode");
    if (!(o->rtol >= 0.0 && o->rtol < 1.0 && o->atol >= 0.0 && isfinite(o->atol) && o->scale >= 0.0 &&
          isfinite(o->scale)))
        return gr_fail(
            GR_ERR_OPTION,
            "check_gradients: rtol %s, atol %s, scale %s: expected 0 or more, an rtol below 1, a finite atol "
            "and a finite scale",
            GR_NUMBER_TEXT(o->rtol), GR_NUMBER_TEXT(o->atol), GR_NUMBER_TEXT(o->scale));
    if (o->samples < 0 || o->directions < 0)
        return gr_fail(GR_ERR_OPTION, "check_gradients: %d samples and %d directions, expected 0 or more", o->samples,
                       o->directions);
    if (o->rtol == 0.0) o->rtol = modes[o->mode].rtol;
    if (o->samples == 0) o->samples = 16;
    if (o->directions == 0) o->directions = 3;
    return GR_OK;
}

/* How many comparisons of one output there are. */
static int64_t comparisons(const gr_check_options *o, gr_tensor *const x[], int n)
{
    const enum unit unit = modes[o->mode].unit;
    int64_t count = 0;
    if (unit == NODES) return 0;
    for (int i = 0; i < n; i++) {
        if (!x[i]->requires_grad) continue;
        count += unit == SAMPLES && x[i]->size > o->samples ? o->samples : x[i]->size;
    }
    return unit == DIRECTIONS && count ? o->directions : count;
}

int64_t gr_check_cost(gr_tensor *const x[], int n, const gr_check_options *options)
{
    gr_check_options o;
    if (!x) return gr_fail_null("check_cost", "the list of inputs"), -1;
    if (complete_options(options, &o)) return -1;
    for (int i = 0; i < n; i++)
        if (!x[i]) return gr_fail_null("check_cost", "an input"), -1;
    return modes[o.mode].each * comparisons(&o, x, n) + modes[o.mode].once;
}

/* ---- A check ------------------------------------------------------------------------------------------------- */

/* f as a whole, or with order 2 its gradient. */
static gr_status check_whole(const gr_subject *of, const gr_check_options *o, gr_check_report *r)
{
    gr_checker c = {.report = r};
    gr_second second;
    gr_status status = gr_second_open(&second, of, o);
    if (!status) status = gr_checker_open(&c, &second.checked, o, modes[o->mode].points, r);
    if (!status) status = gr_check_differentiate(&c);
    if (!status) c.total = comparisons(o, c.probe.of.x, c.probe.of.n);
    if (!status && o->mode == GR_CHECK_JACOBIAN) c.total *= c.probe.n_outputs;
    if (!status) status = gr_check_repeats(&c);
    if (!status) status = gr_check_graph_agrees(&c, &second);
    const bool repeats = !status && !r->count[GR_CHECK_NONDETERMINISTIC];
    if (repeats) status = modes[o->mode].run(&c);
    if (repeats && !status && modes[o->mode].numeric) status = gr_check_beyond(&c);
    if (!status) gr_check_settle(&c);
    if (!status) gr_check_hint(&c);
    status = gr_checker_close(&c, status);
    gr_second_close(&second);
    return status;
}

/* After a failure: which op of the tape is wrong by itself. */
static gr_status find_culprit(const gr_subject *of, const gr_check_options *o, gr_check_report *r)
{
    gr_check_report nodes = {.verdict = GR_CHECK_VACUOUS, .culprit = -1};
    gr_check_options each = *o;
    each.mode = GR_CHECK_PER_NODE;
    each.progress = NULL;
    gr_status status = gr_check_nodes(of, &each, &nodes);
    r->culprit = nodes.culprit;
    r->culprit_op = nodes.culprit_op;
    r->evaluations += nodes.evaluations;
    r->backwards += nodes.backwards;
    return status;
}

static void mirror_worst(gr_check_report *r)
{
    if (!r->n_worst) return;
    r->input = r->worst[0].input;
    r->index = r->worst[0].index;
    r->analytic = r->worst[0].analytic;
    r->numeric = r->worst[0].numeric;
    r->error = r->worst[0].error;
}

gr_status gr_check_gradients(gr_check_function f, void *context, gr_tensor *const x[], int n,
                             const gr_check_options *options, gr_check_report *r)
{
    if (!f || !x || !r)
        return gr_fail_null("check_gradients", !f ? "the function" : !x ? "the list of inputs" : "the report");
    return gr_check_subject(&(gr_subject){.f = f, .context = context, .x = x, .n = n}, options, r);
}

gr_status gr_check_subject(const gr_subject *of, const gr_check_options *options, gr_check_report *r)
{
    gr_check_options o;
    gr_status status = complete_options(options, &o);
    *r = (gr_check_report){.verdict = GR_CHECK_VACUOUS, .mode = o.mode, .input = -1, .index = -1, .culprit = -1};
    if (status) return status;
    const struct check_mode *mode = &modes[o.mode];
    if (of->plain && !mode->numeric)
        return gr_fail(GR_ERR_OPTION, "check_plain: mode \"%s\" is for functions on a tape", mode->name);
    status = mode->run ? check_whole(of, &o, r) : gr_check_nodes(of, &o, r);
    const bool has_ops = !of->plain && mode->numeric;
    if (!status && r->verdict == GR_CHECK_FAIL && has_ops) status = find_culprit(of, &o, r);
    mirror_worst(r);
    if (!status) gr_clear_error(); /* of points where f has no value */
    return status;
}

gr_status gr_check_one(gr_check_function f, void *context, gr_tensor *const x[], int n, int input, int64_t index,
                       const gr_check_options *options, gr_check_element *e)
{
    if (!f || !x || !e)
        return gr_fail_null("check_one", !f ? "the function" : !x ? "the list of inputs" : "the element");
    const gr_subject of = {f, context, x, n, NULL};
    gr_check_options o;
    if (complete_options(options, &o)) return gr_last_status();
    if (input < 0 || input >= n || !x[input] || !x[input]->requires_grad || index < 0 || index >= x[input]->size)
        return gr_fail(GR_ERR_INDEX, "check_one: element %lld of input %d is not one that is differentiated",
                       (long long)index, input);
    gr_checker c;
    gr_status status = gr_checker_open(&c, &of, &o, modes[o.mode].points, NULL);
    if (!status) status = gr_check_differentiate(&c);
    if (!status) gr_check_measure(&c, c.gradient);
    const int64_t element = status ? 0 : c.probe.start[input] + index;
    if (!status) status = gr_check_element_of(&c, element, c.gradient[element], e);
    if (!status) gr_check_name_place(&c, e);
    status = gr_checker_close(&c, status);
    if (!status) gr_clear_error();
    return status;
}
