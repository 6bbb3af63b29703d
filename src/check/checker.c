/* checker.c: the way in, verdicts, and the modes that go element by element. */
#include "internal.h"

/* The estimate's error counts this many times; it must be below this share of the derivative for a verdict. */
static const double confidence = 4.0, sharpness = 5e-5;

/* ---- Verdicts ----------------------------------------------------------------------------------------------- */

/* At a kink any slope between those of the two sides will do. */
static gr_check_verdict judge_kink(const gr_check_options *o, double a, const gr_slope *s)
{
    if (!isfinite(s->left) || !isfinite(s->right)) return GR_CHECK_UNRESOLVED;
    double low = fmin(s->left, s->right), high = fmax(s->left, s->right);
    if (s->jump) low = fmin(low, 0.0), high = fmax(high, 0.0);
    const double slack = 1e-5 * fmax(fabs(low), fabs(high)) + confidence * s->error + o->atol;
    return a >= low - slack && a <= high + slack ? GR_CHECK_KINK : GR_CHECK_FAIL;
}

/* `scale` is what an agreement is relative to; the larger of the two numbers, or more where they are a sum of many. */
static gr_check_verdict judge(const gr_check_options *o, double a, double scale, const gr_slope *s)
{
    if (!isfinite(a)) return GR_CHECK_FAIL;
    if (s->kink) return judge_kink(o, a, s);
    if (!isfinite(s->value)) return GR_CHECK_FAIL;
    if (s->still && a == 0.0) return GR_CHECK_PASS;
    const double error = confidence * s->error, difference = fabs(a - s->value);
    const double allowed = o->rtol * scale + o->atol + error + 0x1p-46 * s->scale;
    const bool sharp = error <= fmax(sharpness * scale, fmax(1e-9 * s->scale, o->atol));
    if (sharp) return difference <= allowed ? GR_CHECK_PASS : GR_CHECK_FAIL;
    return difference <= allowed + 30.0 * error ? GR_CHECK_UNRESOLVED : GR_CHECK_FAIL;
}

/* How bad a verdict is beside others. */
static int rank_of(gr_check_verdict v)
{
    static const int rank[GR_CHECK_N_VERDICTS] = {
        [GR_CHECK_KINK] = 1, [GR_CHECK_UNRESOLVED] = 2, [GR_CHECK_NONDETERMINISTIC] = 3, [GR_CHECK_FAIL] = 4};
    return rank[v];
}

static bool is_worse(const gr_check_element *a, const gr_check_element *b)
{
    if (rank_of(a->verdict) != rank_of(b->verdict)) return rank_of(a->verdict) > rank_of(b->verdict);
    if ((a->index < 0) != (b->index < 0)) return b->index < 0; /* an element says more than a direction */
    if (isnan(a->relative) || isnan(b->relative)) return isnan(a->relative) && !isnan(b->relative);
    return a->relative > b->relative;
}

static int bin_of(double relative)
{
    if (!(relative < 1.0)) return GR_CHECK_BINS - 1;
    return relative < 1e-15 ? 0 : (int)floor(log10(relative)) + 16;
}

void gr_note(gr_check_report *r, const gr_check_element *e)
{
    r->compared++;
    r->count[e->verdict]++;
    r->failed = r->count[GR_CHECK_FAIL];
    r->histogram[bin_of(e->relative)]++;
    int at = r->n_worst;
    while (at > 0 && is_worse(e, &r->worst[at - 1])) at--;
    if (at == GR_CHECK_WORST) return;
    r->n_worst += r->n_worst < GR_CHECK_WORST;
    for (int i = r->n_worst - 1; i > at; i--) r->worst[i] = r->worst[i - 1];
    r->worst[at] = *e;
}

/* The verdict on the whole. */
void gr_check_settle(gr_checker *c)
{
    gr_check_report *r = c->report;
    const bool matters = c->worst_unresolved > 1e-9 * c->largest;
    if (r->count[GR_CHECK_FAIL]) r->verdict = GR_CHECK_FAIL;
    else if (r->count[GR_CHECK_NONDETERMINISTIC]) r->verdict = GR_CHECK_NONDETERMINISTIC;
    else if (r->count[GR_CHECK_UNRESOLVED] && matters) r->verdict = GR_CHECK_UNRESOLVED;
    else if (!c->anything) r->verdict = GR_CHECK_VACUOUS;
    else r->verdict = r->count[GR_CHECK_PASS] ? GR_CHECK_PASS : GR_CHECK_KINK;
}

/* ---- One element -------------------------------------------------------------------------------------------- */

void gr_check_place(const gr_checker *c, int64_t element, gr_check_element *e)
{
    const gr_probe *p = &c->probe;
    e->input = gr_probe_input(p, element);
    e->index = element - p->start[e->input];
    e->output = p->only;
    e->node = c->node;
    e->op = c->op;
    const gr_tensor *x = p->x[e->input];
    const char *position = gr_position_text(&(gr_text){{0}}, x, e->index);
    if (*gr_name(x)) snprintf(e->place, sizeof e->place, "%.24s%.22s", gr_name(x), position);
    else snprintf(e->place, sizeof e->place, "input %d%.32s", e->input, position);
}

static void describe(const gr_slope *s, double analytic, double scale, gr_check_element *e)
{
    e->analytic = analytic;
    e->numeric = s->value;
    e->error = s->error;
    e->step = s->h;
    e->above = s->above;
    e->below = s->below;
    e->left = s->kink ? s->left : s->value;
    e->right = s->kink ? s->right : s->value;
    if (s->kink) e->numeric = fmin(fmax(analytic, fmin(s->left, s->right)), fmax(s->left, s->right));
    const double difference = fabs(analytic - e->numeric);
    e->relative = difference == 0.0 ? 0.0 : difference / scale;
}

void gr_check_finish(gr_checker *c, double analytic, double scale, gr_slope *s, gr_check_element *e)
{
    e->verdict = judge(&c->options, analytic, scale, s);
    if (e->verdict == GR_CHECK_FAIL && isfinite(analytic) && !s->kink && gr_is_broken(&c->probe, s->h, s))
        e->verdict = judge_kink(&c->options, analytic, s);
    describe(s, analytic, scale, e);
    c->largest = fmax(c->largest, fmax(fabs(analytic), s->kink ? 0.0 : fabs(s->value)));
    if (e->verdict == GR_CHECK_UNRESOLVED) c->worst_unresolved = fmax(c->worst_unresolved, scale + s->error);
    const double zero = confidence * s->error + 0x1p-46 * s->scale;
    c->anything |= fabs(analytic) > zero || s->kink || fabs(s->value) > zero;
}

gr_status gr_check_element_of(gr_checker *c, int64_t element, double analytic, gr_check_element *e)
{
    gr_slope s;
    *e = (gr_check_element){.output = -1};
    gr_check_place(c, element, e);
    const gr_line line = {.first = element, .last = element + 1, .share = 1.0};
    if (gr_estimate(&c->probe, line, &c->options, &s)) return gr_last_status();
    gr_check_finish(c, analytic, fmax(fabs(analytic), fabs(s.value)), &s, e);
    return c->probe.refused;
}

/* ---- Many elements ------------------------------------------------------------------------------------------ */

/* `samples` elements of one input, one from each of as many stretches; all with 0. */
static gr_status check_input(gr_checker *c, int input, int64_t samples, const double *gradient)
{
    const int64_t start = c->probe.start[input], size = c->probe.start[input + 1] - start;
    const int64_t count = samples < 1 || samples > size ? size : samples;
    gr_rng rng = gr_rng_seed(c->options.seed + 77u * (unsigned)input);
    for (int64_t i = 0; i < count; i++) {
        const int64_t from = size / count * i + size % count * i / count;
        const int64_t to = size / count * (i + 1) + size % count * (i + 1) / count;
        const int64_t at = start + from + (count == size ? 0 : gr_rng_below(&rng, to - from));
        gr_check_element e;
        if (gr_check_element_of(c, at, gradient[at], &e)) return gr_last_status();
        gr_note(c->report, &e);
    }
    return GR_OK;
}

static gr_status check_with(gr_checker *c, int64_t output, int samples, double *gradient)
{
    gr_status status = gr_probe_gradient(&c->probe, output, gradient);
    for (int i = 0; i < c->probe.n && !status; i++)
        if (c->probe.start[i + 1] > c->probe.start[i]) status = check_input(c, i, samples, gradient);
    return status;
}

static double *room_for_gradient(const gr_probe *p)
{
    return gr_allocate((size_t)(p->start[p->n] + 1) * sizeof(double));
}

gr_status gr_check_elements(gr_checker *c, int samples)
{
    double *gradient = room_for_gradient(&c->probe);
    if (!gradient) return gr_last_status();
    gr_status status = check_with(c, -1, samples, gradient);
    gr_release(gradient);
    return status;
}

/* Row by row the VJPs of unit vectors; column by column the differences, whose points serve all rows. */
gr_status gr_check_jacobian(gr_checker *c)
{
    gr_probe *p = &c->probe;
    const int64_t inputs = p->start[p->n], outputs = p->outputs;
    if (outputs == 1) return gr_check_elements(c, 0);
    double *rows = gr_allocate((size_t)(inputs * outputs + 1) * sizeof *rows);
    if (!rows) return gr_last_status();
    gr_status status = GR_OK;
    for (int64_t j = 0; j < outputs && !status; j++) status = gr_probe_gradient(p, j, rows + j * inputs);
    for (int64_t i = 0; i < inputs && !status; i++) {
        p->only = -1;
        status = gr_probe_on(p, (gr_line){.first = i, .last = i + 1, .share = 1.0});
        for (int64_t j = 0; j < outputs && !status; j++) {
            gr_check_element e;
            p->only = j;
            status = gr_check_element_of(c, i, rows[j * inputs + i], &e);
            if (!status) gr_note(c->report, &e);
        }
    }
    p->only = -1;
    gr_release(rows);
    return status;
}

/* ---- The way in --------------------------------------------------------------------------------------------- */

gr_status gr_checker_open(gr_checker *c, gr_check_function f, void *context, gr_tensor *const x[], int n,
                          const gr_check_options *options, gr_check_report *report)
{
    *c = (gr_checker){.report = report, .node = -1};
    if (options) c->options = *options;
    if (c->options.rtol == 0.0) c->options.rtol = c->options.mode == GR_CHECK_F32 ? 1e-4 : 1e-7;
    if (c->options.samples <= 0) c->options.samples = GR_CHECK_SAMPLES;
    if (c->options.directions <= 0) c->options.directions = 3;
    return gr_probe_open(&c->probe, "check_gradients", f, context, x, n, c->options.seed,
                         c->options.mode == GR_CHECK_JACOBIAN ? GR_MAX_POINTS : 12);
}

gr_status gr_checker_close(gr_checker *c, gr_status status)
{
    if (c->report) {
        c->report->evaluations += c->probe.evaluations;
        c->report->backwards += c->probe.backwards;
    }
    gr_status restored = gr_probe_close(&c->probe);
    return status ? status : restored;
}

static gr_status compare(gr_checker *c)
{
    switch (c->options.mode) {
    case GR_CHECK_SAMPLED: return gr_check_elements(c, c->options.samples);
    case GR_CHECK_DIRECTIONAL: return gr_check_directions(c);
    case GR_CHECK_JACOBIAN: return gr_check_jacobian(c);
    case GR_CHECK_ACCUMULATION: return gr_check_accumulation(c);
    case GR_CHECK_F32: return gr_check_f32(c);
    default: return gr_check_elements(c, 0);
    }
}

/* After a failure: which op of the tape is wrong by itself. */
static gr_status find_culprit(gr_check_function f, void *context, gr_tensor *const x[], int n,
                              const gr_check_options *o, gr_check_report *r)
{
    gr_check_report nodes = {.culprit = -1};
    gr_check_options by_node = o ? *o : (gr_check_options){0};
    by_node.mode = GR_CHECK_PER_NODE;
    gr_status status = gr_check_nodes(f, context, x, n, &by_node, &nodes);
    r->culprit = nodes.culprit;
    r->culprit_op = nodes.culprit_op;
    r->evaluations += nodes.evaluations;
    r->backwards += nodes.backwards;
    return status;
}

static gr_status check_whole(gr_check_function f, void *context, gr_tensor *const x[], int n, const gr_check_options *o,
                             gr_check_report *r, const gr_second *second)
{
    gr_checker c;
    gr_status status = gr_checker_open(&c, f, context, x, n, o, r);
    if (!status) status = gr_check_repeats(&c);
    if (!status && second) status = gr_check_graph_agrees(&c, second);
    if (!status && !r->count[GR_CHECK_NONDETERMINISTIC]) status = compare(&c);
    if (!status) gr_check_settle(&c);
    const int64_t terms = c.probe.n_terms;
    status = gr_checker_close(&c, status);
    if (!status) gr_check_hint(r, x, n, terms);
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

static gr_status check_options(const gr_check_options *o)
{
    if (!o) return GR_OK;
    if ((int)o->mode < 0 || o->mode >= GR_CHECK_N_MODES)
        return gr_fail(GR_ERR_OPTION, "check_gradients: no such mode: %d", (int)o->mode);
    if ((int)o->estimate < 0 || o->estimate > GR_CHECK_FIVE_POINT)
        return gr_fail(GR_ERR_OPTION, "check_gradients: no such estimate: %d", (int)o->estimate);
    if (o->order < 0 || o->order > 2)
        return gr_fail(GR_ERR_OPTION, "check_gradients: order %d, expected 1 or 2", o->order);
    if (o->order == 2 && (o->mode == GR_CHECK_ACCUMULATION || o->mode == GR_CHECK_F32))
        return gr_fail(GR_ERR_OPTION, "check_gradients: order 2 does not go with this mode");
    if (!(o->rtol >= 0.0 && o->atol >= 0.0 && o->step >= 0.0 && o->step <= 1.0))
        return gr_fail(GR_ERR_OPTION,
                       "check_gradients: rtol %g, atol %g, step %g: expected 0 or more, and a step up to 1", o->rtol,
                       o->atol, o->step);
    return GR_OK;
}

gr_status gr_check_gradients(gr_check_function f, void *context, gr_tensor *const x[], int n,
                             const gr_check_options *options, gr_check_report *r)
{
    if (!f || !x || !r)
        return gr_fail_null("check_gradients", !f ? "the function" : !x ? "the list of inputs" : "the report");
    *r = (gr_check_report){.verdict = GR_CHECK_VACUOUS, .input = -1, .index = -1, .culprit = -1};
    if (options) r->mode = options->mode;
    if (check_options(options)) return gr_last_status();
    gr_second second = {.f = f, .context = context, .seed = options ? options->seed : 0};
    const bool twice = options && options->order == 2, nodes = r->mode == GR_CHECK_PER_NODE;
    gr_status status = nodes   ? gr_check_nodes(f, context, x, n, options, r)
                       : twice ? check_whole(gr_second_run, &second, x, n, options, r, &second)
                               : check_whole(f, context, x, n, options, r, NULL);
    const bool by_numbers = r->mode <= GR_CHECK_JACOBIAN;
    if (!status && r->verdict == GR_CHECK_FAIL && by_numbers) status = find_culprit(f, context, x, n, options, r);
    mirror_worst(r);
    return status;
}

gr_status gr_check_one(gr_check_function f, void *context, gr_tensor *const x[], int n, int input, int64_t index,
                       const gr_check_options *options, gr_check_element *e)
{
    if (!f || !x || !e)
        return gr_fail_null("check_one", !f ? "the function" : !x ? "the list of inputs" : "the element");
    if (check_options(options)) return gr_last_status();
    if (input < 0 || input >= n || !x[input] || !x[input]->requires_grad || index < 0 || index >= x[input]->size)
        return gr_fail(GR_ERR_INDEX, "check_one: element %lld of input %d is not one that is differentiated",
                       (long long)index, input);
    gr_checker c;
    gr_status status = gr_checker_open(&c, f, context, x, n, options, NULL);
    double *gradient = status ? NULL : room_for_gradient(&c.probe);
    if (!status && !gradient) status = gr_last_status();
    if (!status) status = gr_probe_gradient(&c.probe, -1, gradient);
    if (!status)
        status = gr_check_element_of(&c, c.probe.start[input] + index, gradient[c.probe.start[input] + index], e);
    gr_release(gradient);
    return gr_checker_close(&c, status);
}
