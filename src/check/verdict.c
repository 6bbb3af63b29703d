/* verdict.c: comparisons judged. A derivative of the tape is held against a slope from differences, with that slope's
 * error; the report gathers what comes out, and the whole gets a verdict. */
#include "check/check_internal.h"

/* Each verdict: its name, how bad an element of it is beside others, and how heavy it is where verdicts on two wholes
 * make one: VACUOUS beside PASS is PASS, and so is KINK. */
static const struct {
    const char *name;
    int badness, weight;
} verdict_rows[] = {
    [GR_CHECK_PASS] = {"PASS", 0, 2},       [GR_CHECK_FAIL] = {"FAIL", 4, 5},
    [GR_CHECK_KINK] = {"KINK", 1, 1},       [GR_CHECK_UNRESOLVED] = {"UNRESOLVED", 2, 3},
    [GR_CHECK_VACUOUS] = {"VACUOUS", 0, 0}, [GR_CHECK_NONDETERMINISTIC] = {"NONDETERMINISTIC", 3, 4},
};
_Static_assert(GR_COUNT(verdict_rows) == GR_CHECK_N_VERDICTS, "a row for each verdict");

const char *gr_check_verdict_name(gr_check_verdict v)
{
    return (int)v >= 0 && v < GR_CHECK_N_VERDICTS ? verdict_rows[v].name : "?";
}

gr_check_verdict gr_check_heavier(gr_check_verdict a, gr_check_verdict b)
{
    return verdict_rows[a].weight >= verdict_rows[b].weight ? a : b;
}

/* ---- A check under way -------------------------------------------------------------------------------------- */

gr_status gr_checker_open(gr_checker *c, const gr_subject *of, const gr_check_options *options, int points,
                          gr_check_report *report)
{
    assert(options->rtol > 0.0 && options->samples > 0 && options->directions > 0);
    *c = (gr_checker){.options = *options, .report = report, .node = -1};
    if (gr_probe_open(&c->probe, of, options->seed, points)) return gr_last_status();
    if (!(c->gradient = gr_probe_room(&c->probe, 2))) return gr_last_status();
    c->other = c->gradient + c->probe.n_elements;
    return GR_OK;
}

gr_status gr_checker_close(gr_checker *c, gr_status status)
{
    if (c->report) {
        c->report->evaluations += c->probe.evaluations;
        c->report->backwards += c->probe.backwards;
    }
    gr_release(c->gradient);
    gr_status restored = gr_probe_close(&c->probe);
    return status ? status : restored;
}

/* ---- A number against a slope ------------------------------------------------------------------------------- */

/* How often the error of the estimate counts; the largest error, as a part of the derivative, for a verdict. */
static const double confidence = 4.0, sharpness = 5e-5;

/* At a kink any slope between those of the two sides will do. If f jumps at x, neither side says what
 * the slope at x itself is: then 0, that of a step, will do as well. */
static gr_check_verdict judge_kink(const gr_check_options *o, double a, const gr_slope *s)
{
    if (!isfinite(s->left) || !isfinite(s->right)) return GR_CHECK_UNRESOLVED;
    double low = fmin(s->left, s->right), high = fmax(s->left, s->right);
    if (s->jump) low = fmin(low, 0.0), high = fmax(high, 0.0);
    const double slack = 1e-5 * fmax(fabs(low), fabs(high)) + confidence * s->error + o->atol;
    return a >= low - slack && a <= high + slack ? GR_CHECK_KINK : GR_CHECK_FAIL;
}

/* |a - slope| <= rtol relative_to + atol + 4 error, and the error is small: PASS. Where the error is large, 30 more of
 * it prove a value wrong. s->terms_slope is the slope of the terms, whose own rounding may add 2^-46 of it. */
static gr_check_verdict judge(const gr_check_options *o, double a, double relative_to, const gr_slope *s)
{
    if (!isfinite(a)) return GR_CHECK_FAIL;
    if (s->kink) return judge_kink(o, a, s);
    if (!isfinite(s->value)) return GR_CHECK_FAIL;
    if (s->constant && a == 0.0) return GR_CHECK_PASS;
    const double error = confidence * s->error, difference = fabs(a - s->value);
    const double allowed = o->rtol * relative_to + o->atol + error + 0x1p-46 * s->terms_slope;
    const bool sharp = error <= fmax(sharpness * relative_to, fmax(1e-9 * s->terms_slope, o->atol));
    if (sharp) return difference <= allowed ? GR_CHECK_PASS : GR_CHECK_FAIL;
    return difference <= allowed + 30.0 * error ? GR_CHECK_UNRESOLVED : GR_CHECK_FAIL;
}

static void describe_slope(const gr_slope *s, double analytic, double relative_to, gr_check_element *e)
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
    e->relative = difference == 0.0 ? 0.0 : difference / relative_to;
}

void gr_check_judge(gr_checker *c, double analytic, double relative_to, gr_slope *s, gr_check_element *e)
{
    e->verdict = judge(&c->options, analytic, relative_to, s);
    if (e->verdict == GR_CHECK_FAIL && isfinite(analytic) && !s->kink && gr_has_kink(&c->probe, s->h, s))
        e->verdict = judge_kink(&c->options, analytic, s);
    describe_slope(s, analytic, relative_to, e);
    c->largest = fmax(c->largest, fmax(fabs(analytic), s->kink ? 0.0 : fabs(s->value)));
    if (e->verdict == GR_CHECK_UNRESOLVED) c->worst_unresolved = fmax(c->worst_unresolved, relative_to + s->error);
    const double zero = confidence * s->error + 0x1p-46 * s->terms_slope;
    c->anything |= fabs(analytic) > zero || s->kink || fabs(s->value) > zero;
}

void gr_check_place(const gr_checker *c, int64_t element, gr_check_element *e)
{
    const gr_probe *p = &c->probe;
    e->input = gr_probe_input(p, element);
    e->index = element - p->start[e->input];
    e->output = p->output;
    e->node = c->node;
    e->op = c->op;
    const gr_tensor *x = p->of.x[e->input];
    const char *position = gr_position_text(&(gr_text){{0}}, x, e->index);
    if (*gr_name(x)) snprintf(e->place, sizeof e->place, "%.24s%.22s", gr_name(x), position);
    else snprintf(e->place, sizeof e->place, "input %d%.32s", e->input, position);
}

/* ---- The report ---------------------------------------------------------------------------------------------- */

static bool is_worse(const gr_check_element *a, const gr_check_element *b)
{
    const int bad_a = verdict_rows[a->verdict].badness, bad_b = verdict_rows[b->verdict].badness;
    if (bad_a != bad_b) return bad_a > bad_b;
    if ((a->index < 0) != (b->index < 0)) return b->index < 0; /* an element says more than a direction */
    if (isnan(a->relative) || isnan(b->relative)) return isnan(a->relative) && !isnan(b->relative);
    return a->relative > b->relative;
}

static int bin_of(double relative)
{
    if (!(relative < 1.0)) return GR_CHECK_BINS - 1;
    return relative < 1e-15 ? 0 : (int)floor(log10(relative)) + 16;
}

void gr_check_note(gr_check_report *r, const gr_check_element *e)
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

void gr_check_note_pair(gr_checker *c, int64_t element, gr_check_verdict v, double a, double b, double relative_to)
{
    gr_check_element e = {
        .verdict = v, .analytic = a, .numeric = b, .relative = a == b ? 0.0 : fabs(a - b) / relative_to};
    gr_check_place(c, element, &e);
    c->anything |= a != 0.0 || b != 0.0;
    c->largest = fmax(c->largest, fabs(b));
    if (v == GR_CHECK_UNRESOLVED) c->worst_unresolved = fmax(c->worst_unresolved, fabs(a - b));
    gr_check_note(c->report, &e);
}

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
