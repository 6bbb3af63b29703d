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
    c->probe.scale = options->scale;
    if (!(c->gradient = gr_probe_room(&c->probe, 3))) return gr_last_status();
    c->other = c->gradient + c->probe.n_elements;
    c->expected = c->other + c->probe.n_elements;
    for (int64_t k = 0; k < c->probe.n_elements; k++) c->expected[k] = (double)NAN;
    return GR_OK;
}

gr_status gr_check_differentiate(gr_checker *c)
{
    gr_probe *p = &c->probe;
    return gr_probe_vjp(p, p->y, gr_probe_cotangent(p, p->y), p->of.x, 0, c->gradient);
}

gr_status gr_checker_close(gr_checker *c, gr_status status)
{
    if (c->report) {
        c->report->evaluations += c->probe.evaluations;
        c->report->backwards += c->probe.backwards;
    }
    gr_release(c->gradient);
    gr_release(c->scatter);
    gr_status restored = gr_probe_close(&c->probe);
    return status ? status : restored;
}

gr_status gr_check_progress(gr_checker *c)
{
    const gr_check_options *o = &c->options;
    c->done++;
    if (!o->progress || o->progress(c->done, c->total, o->progress_context)) return GR_OK;
    return gr_fail(GR_ERR_STATE, "check_gradients: stopped by its progress function after %lld of %lld comparisons",
                   (long long)c->done, (long long)c->total);
}

/* ---- What rounding does to the tape's side -------------------------------------------------------------------- */

/* Of all elements, when the inputs move by that part of their scales. */
static gr_status measure_scatter(gr_checker *c, double relative)
{
    gr_probe *p = &c->probe;
    if (!c->scatter && !(c->scatter = gr_probe_room(p, 3))) return gr_last_status();
    double *here = c->scatter + p->n_elements, *there = here + p->n_elements;
    memset(c->scatter, 0, (size_t)p->n_elements * sizeof *here);
    c->scatter_of = p->output;
    c->scatter_by = relative;
    return gr_pass_scatter(p, (gr_pass){.a = 1.0}, relative, 6, here, there, c->scatter);
}

/* The known error of the analytic value along the line that the probe is on. */
static gr_status analytic_error(gr_checker *c, const gr_slope *s, double *error)
{
    gr_probe *p = &c->probe;
    const double size = fabs(gr_probe_value(p, &p->base));
    const double relative = fmax(0x1p-49, size > 0.0 ? fmin(s->noise / size, 1e-5) : 0.0);
    const bool measured = c->scatter && c->scatter_of == p->output && relative <= 2.0 * c->scatter_by;
    if (!measured && measure_scatter(c, relative)) return gr_last_status();
    *error = 0.0;
    for (int64_t k = p->line.first; k < p->line.last; k++)
        *error += (GR_CONFIDENCE * c->scatter[k] + 0x1p-1074) * fabs(p->parts[k]); /* it may underflow */
    return GR_OK;
}

/* Whether the mean of the tape's slopes from f(-h) to f(h), by Gauss and Legendre, is D(h), to a tenth of what is amiss
 * at x: then f has a structure at x that D does not see, or cannot for rounding. */
static gr_status agree_in_the_mean(gr_checker *c, double h, double amiss, bool *agree)
{
    static const double at[] = {0.1834346424956498, 0.5255324099163290, 0.7966664774136267, 0.9602898564975363},
                        weight[] = {0.3626837833783620, 0.3137066458778873, 0.2223810344533745, 0.1012285362903763};
    gr_probe *p = &c->probe;
    const gr_point *above = gr_probe_at(p, h), *below = above ? gr_probe_at(p, -h) : NULL;
    *agree = false;
    if (!below || !above->valid || !below->valid) return p->refused;
    const double d = gr_probe_difference(p, above, below).value / (2.0 * h);
    double mean = 0.0;
    for (int i = 0; i < 2 * GR_COUNT(at); i++) {
        double slope;
        if (gr_probe_slope_at(p, i % 2 ? -h * at[i / 2] : h * at[i / 2], c->other, &slope)) return gr_last_status();
        mean += 0.5 * weight[i / 2] * slope;
    }
    *agree = fabs(mean - d) <= 0.1 * amiss;
    return GR_OK;
}

/* Whether the tape's slope is the numeric one, to a tenth of what is amiss at x, right beside x on both sides: then it
 * is wrong at x alone, as a special case of a formula may be. */
static gr_status is_wrong_alone(gr_checker *c, const gr_slope *s, double amiss, bool *alone)
{
    gr_probe *p = &c->probe;
    const double t = 4.0 * gr_probe_shortest(p);
    *alone = true;
    for (int i = 0; i < 2 && *alone; i++) {
        double slope;
        if (gr_probe_slope_at(p, i ? -t : t, c->other, &slope)) return gr_last_status();
        *alone = fabs(slope - s->value) <= 0.1 * amiss;
    }
    return GR_OK;
}

/* Whether more than the slope's error explains why the tape's value is `beyond` it: rounding of that value (`own`),
 * rounding within f, or a structure of f at x. */
static gr_status is_explained(gr_checker *c, const gr_slope *s, double amiss, double beyond, double own,
                              bool *explained)
{
    bool alone = false;
    *explained = !s->kink && beyond <= own;
    if (*explained || s->h == 0.0) return GR_OK;
    *explained = beyond * s->h <= GR_CONFIDENCE * gr_probe_rounding(&c->probe, s->h);
    if (*explained || s->kink) return GR_OK; /* beside a kink the tape's value is another one */
    if (agree_in_the_mean(c, s->h, amiss, explained)) return gr_last_status();
    if (*explained && is_wrong_alone(c, s, amiss, &alone)) return gr_last_status();
    *explained &= !alone;
    return GR_OK;
}

/* ---- A number against a slope ------------------------------------------------------------------------------- */

/* The largest error for a verdict that is no part of the derivative itself, but of the largest one. */
static const double of_largest = 1e-9;

void gr_check_measure(gr_checker *c, const double *gradient)
{
    for (int64_t k = 0; k < c->probe.n_elements; k++)
        if (isfinite(gradient[k] * gr_probe_scale(&c->probe, k)))
            c->largest = fmax(c->largest, fabs(gradient[k]) * gr_probe_scale(&c->probe, k));
}

/* At a kink any slope between those of the two sides will do. If f jumps at x, neither side says what
 * the slope at x itself is: then 0, that of a step, will do as well. */
static gr_check_verdict judge_kink(const gr_check_options *o, const gr_judged *j, const gr_slope *s, double negligible,
                                   double *beyond)
{
    const double low = fmin(fmin(s->left, s->right), s->jump ? 0.0 : (double)INFINITY);
    const double high = fmax(fmax(s->left, s->right), s->jump ? 0.0 : -(double)INFINITY);
    const double size = fmax(fabs(low), fabs(high)), error = GR_CONFIDENCE * s->error;
    const double outside = fmax(low - j->analytic, j->analytic - high);
    const bool sharp = error <= 1e-3 * fmax(size, fabs(j->analytic));
    if ((sharp || error <= negligible) && outside <= o->rtol * size + o->atol + error) return GR_CHECK_KINK;
    *beyond = outside - (o->rtol * size + o->atol + (sharp ? error : 31.0 * error));
    return *beyond > 0.0 ? GR_CHECK_FAIL : GR_CHECK_UNRESOLVED;
}

/* What is no finite number is right where the slope grows without bound in its direction. */
static gr_check_verdict judge_infinite(const gr_judged *j, const gr_slope *s)
{
    if (isinf(j->analytic) && s->diverges)
        return (j->analytic > 0.0) == (s->value > 0.0) ? GR_CHECK_PASS : GR_CHECK_FAIL;
    return isnan(s->value) ? GR_CHECK_UNRESOLVED : GR_CHECK_FAIL;
}

/* |a - slope| <= rtol relative_to + atol + 4 error, and the error is small: PASS. Where the error is large, 30 more of
 * it prove a value wrong. In *beyond the part of the difference that no error explains; the terms' own rounding may
 * have added 2^-46 of their slopes to a. */
static gr_check_verdict judge(const gr_checker *c, const gr_judged *j, const gr_slope *s, double *beyond)
{
    const gr_check_options *o = &c->options;
    const double of_terms = GR_OF_TERMS * (j->analytic == 0.0 ? s->around : s->terms_slope);
    const double negligible = fmax(of_terms, fmax(o->atol, of_largest * c->largest / j->scale));
    *beyond = (double)INFINITY;
    if (s->nowhere) return GR_CHECK_FAIL;
    if (!isfinite(j->analytic)) return judge_infinite(j, s);
    if (s->edge && s->jump && j->analytic == 0.0) return GR_CHECK_KINK;
    if (isnan(s->value) || s->diverges || (s->edge && s->jump)) return GR_CHECK_UNRESOLVED;
    if (s->constant && j->analytic == 0.0) return s->kink ? GR_CHECK_KINK : GR_CHECK_PASS;
    if (s->kink) return judge_kink(o, j, s, negligible, beyond);
    const double error = GR_CONFIDENCE * s->error, difference = fabs(j->analytic - s->value);
    const double allowed = o->rtol * j->relative_to + o->atol + error + 0x1p-46 * s->terms_slope;
    const bool sharp = error <= GR_SHARPNESS * j->relative_to;
    if ((sharp || error <= negligible) && difference <= allowed) return GR_CHECK_PASS;
    if (fabs(j->analytic - s->other) <= 0.01 * j->relative_to) return GR_CHECK_UNRESOLVED;
    *beyond = difference - (sharp ? allowed : allowed + 30.0 * error);
    return *beyond > 0.0 ? GR_CHECK_FAIL : GR_CHECK_UNRESOLVED;
}

static void describe_slope(const gr_slope *s, const gr_judged *j, gr_check_element *e)
{
    e->analytic = j->analytic;
    e->numeric = s->value;
    e->error = s->error;
    e->step = s->h;
    e->above = s->above;
    e->below = s->below;
    e->left = s->kink ? s->left : s->value;
    e->right = s->kink ? s->right : s->value;
    if (s->kink) e->numeric = fmin(fmax(j->analytic, fmin(s->left, s->right)), fmax(s->left, s->right));
    const double difference = fabs(j->analytic - e->numeric);
    e->relative = difference == 0.0 || (isinf(j->analytic) && s->diverges) ? 0.0 : difference / j->relative_to;
}

/* How many digits of f the noise leaves. */
static void note_digits(gr_checker *c, const gr_slope *s)
{
    const double size = fabs(gr_probe_value(&c->probe, &c->probe.base)), digits = log10(size / s->noise);
    if (!c->report || s->diverges || !(s->noise > 0.0 && digits > 0.0)) return;
    c->report->digits = c->report->digits > 0.0 ? fmin(c->report->digits, digits) : digits;
}

gr_status gr_check_judge(gr_checker *c, const gr_judged *j, const gr_slope *s, gr_check_element *e)
{
    double beyond, own = 0.0;
    bool explained = false;
    e->verdict = judge(c, j, s, &beyond);
    describe_slope(s, j, e);
    note_digits(c, s);
    const double f = fabs(gr_probe_value(&c->probe, &c->probe.base)), error = GR_CONFIDENCE * s->error;
    const double amiss = fabs(j->analytic - e->numeric), most = fmax(fabs(s->value) + error, fabs(j->analytic));
    /* Beside f, or beside 1 where f is 0 all around, both are as good as 0. */
    const bool is_small = most * j->scale <= of_largest * (f == 0.0 && s->constant ? 1.0 : f);
    const bool fails = e->verdict == GR_CHECK_FAIL && isfinite(beyond);
    if (fails || (e->verdict == GR_CHECK_UNRESOLVED && is_small))
        if (analytic_error(c, s, &own)) return gr_last_status();
    const bool are_zero = is_small && (s->constant || !fails) && fabs(j->analytic) <= own && amiss <= error + own;
    if (fails && is_explained(c, s, amiss, beyond, own, &explained)) return gr_last_status();
    if (fails && (explained || (s->jump && s->constant && is_small))) e->verdict = GR_CHECK_UNRESOLVED;
    if (e->verdict == GR_CHECK_UNRESOLVED && are_zero) e->verdict = GR_CHECK_PASS;
    const double numeric = isfinite(s->value) ? fabs(s->value) : 0.0;
    const double zero = error + 0x1p-46 * s->terms_slope + own;
    c->anything |= !(fabs(j->analytic) <= zero) || s->kink || !(numeric <= zero);
    return c->probe.refused;
}

void gr_check_place(const gr_checker *c, int64_t element, gr_check_element *e)
{
    e->input = gr_probe_input(&c->probe, element);
    e->index = element - c->probe.start[e->input];
    e->output = c->probe.output;
    e->node = c->node;
    e->op = c->op;
}

void gr_check_name_place(const gr_checker *c, gr_check_element *e)
{
    const gr_tensor *x = c->probe.of.x[e->input];
    const gr_plain *plain = c->probe.of.plain;
    const char *position = gr_position_text(&(gr_text){{0}}, x, e->index);
    if (plain && plain->names && plain->names[e->index])
        snprintf(e->place, sizeof e->place, "%.47s", plain->names[e->index]);
    else if (plain) snprintf(e->place, sizeof e->place, "x%.40s", position);
    else if (*gr_name(x)) snprintf(e->place, sizeof e->place, "%.24s%.22s", gr_name(x), position);
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

void gr_check_note(const gr_checker *c, const gr_check_element *e)
{
    gr_check_report *r = c->report;
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
    if (!*e->place) gr_check_name_place(c, &r->worst[at]);
}

void gr_check_note_pair(gr_checker *c, int64_t element, gr_check_verdict v, double a, double b)
{
    gr_check_element e = {
        .verdict = v, .analytic = a, .numeric = b, .relative = a == b ? 0.0 : fabs(a - b) / fmax(fabs(a), fabs(b))};
    gr_check_place(c, element, &e);
    c->anything |= a != 0.0 || b != 0.0;
    gr_check_note(c, &e);
}

void gr_check_settle(gr_checker *c)
{
    gr_check_report *r = c->report;
    if (r->count[GR_CHECK_FAIL]) r->verdict = GR_CHECK_FAIL;
    else if (r->count[GR_CHECK_NONDETERMINISTIC]) r->verdict = GR_CHECK_NONDETERMINISTIC;
    else if (r->count[GR_CHECK_UNRESOLVED]) r->verdict = GR_CHECK_UNRESOLVED;
    else if (!c->anything) r->verdict = GR_CHECK_VACUOUS;
    else r->verdict = r->count[GR_CHECK_PASS] ? GR_CHECK_PASS : GR_CHECK_KINK;
}
