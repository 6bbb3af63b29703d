/* directions.c: all elements at once. One slope along a random direction d is compared with the sum of
 * d_i df/dx_i; a failure is traced to its element by halving the direction. */
#include "check/check_internal.h"

static gr_check_element place_direction(const gr_checker *c, const gr_line *l)
{
    const int input = gr_probe_input(&c->probe, l->first), last = gr_probe_input(&c->probe, l->last - 1);
    gr_check_element e = {.input = input, .index = -1, .output = -1, .node = c->node, .op = c->op};
    if (input != last) snprintf(e.place, sizeof e.place, "inputs %d to %d, a direction", input, last);
    else snprintf(e.place, sizeof e.place, "input %d, a direction", input);
    return e;
}

/* A direction, and what came of it. Where f takes other branches beside x, a sum of right slopes may lie outside of the
 * slopes of the sum: a failure is no more than suspected then. */
typedef struct compared {
    gr_check_element e;
    gr_slope s;
    double unit; /* of its parts */
    bool suspected;
} compared;

/* One direction, judged. Its derivative is a sum of many that may cancel: the length of the gradient is what an
 * agreement is relative to. */
static gr_status compare_direction(gr_checker *c, const gr_line *l, compared *d)
{
    gr_probe *p = &c->probe;
    double along = 0.0, length = 0.0;
    d->e = place_direction(c, l);
    if (gr_probe_on(p, *l)) return gr_last_status();
    d->unit = p->unit;
    for (int64_t k = l->first; k < l->last; k++) {
        const double a = c->gradient[k] * p->parts[k];
        along += a;
        length = hypot(length, a);
    }
    if (gr_estimate(p, c->options.rtol, along, &d->s)) return gr_last_status();
    const gr_judged j = {along, fmax(length, fmax(fabs(along), fabs(d->s.value))), 1.0};
    const bool whole = l->first == 0 && l->last == p->n_elements;
    gr_status status = gr_check_judge(c, &j, &d->s, &d->e);
    d->suspected = d->e.verdict == GR_CHECK_FAIL;
    if (d->suspected && d->s.beside && l->last - l->first > 1) d->e.verdict = GR_CHECK_UNRESOLVED;
    return status || c->options.mode != GR_CHECK_TAYLOR || !whole ? status : gr_check_orders(c, &j, &d->s, &d->e);
}

/* Whether the slopes of two halves add up to those of the whole: then each has kinks of its own. */
static bool add_up(const compared *whole, const compared half[2])
{
    double left = whole->e.left, right = whole->e.right, error = whole->s.error, size = fabs(left) + fabs(right);
    for (int i = 0; i < 2; i++) {
        const double same = whole->unit / half[i].unit;
        left -= same * half[i].e.left;
        right -= same * half[i].e.right;
        error += same * half[i].s.error;
    }
    return fabs(left) + fabs(right) <= 1e-6 * size + 2.0 * GR_CONFIDENCE * error;
}

/* Looks at an element by itself, and notes it where it fails. */
static gr_status note_failure(gr_checker *c, int64_t element, bool *fails)
{
    gr_check_element e;
    if (gr_check_element_of(c, element, c->gradient[element], &e)) return gr_last_status();
    *fails = e.verdict == GR_CHECK_FAIL;
    if (!*fails) return GR_OK;
    gr_check_note(c, &e);
    c->expected[element] = e.numeric;
    return GR_OK;
}

/* Notes what makes the direction fail: an element, or several that share a kink. Nothing when no part of it fails by
 * itself. */
static gr_status trace_failure(gr_checker *c, gr_line l, compared whole)
{
    bool fails;
    while (l.last - l.first > 1) {
        const int64_t middle = l.first + (l.last - l.first) / 2;
        const gr_line lines[2] = {{l.first, middle, l.chance}, {middle, l.last, l.chance}};
        compared half[2];
        int wrong = 0;
        if (compare_direction(c, &lines[0], &half[0])) return gr_last_status();
        if (!half[0].suspected && compare_direction(c, &lines[wrong = 1], &half[1])) return gr_last_status();
        if (!half[wrong].suspected) {
            whole.e.verdict = GR_CHECK_FAIL;
            if (whole.s.beside && !add_up(&whole, half)) gr_check_note(c, &whole.e);
            return GR_OK;
        }
        l = lines[wrong];
        whole = half[wrong];
    }
    return note_failure(c, l.first, &fails);
}

gr_status gr_check_directions(gr_checker *c)
{
    const int64_t elements = c->probe.n_elements;
    gr_rng rng = gr_rng_seed(c->options.seed + 4711u);
    bool traced = false;
    for (int i = 0; i < c->options.directions && elements; i++) {
        const gr_line l = {.last = elements, .chance = gr_rng_u64(&rng) | 1u};
        compared d;
        if (compare_direction(c, &l, &d)) return gr_last_status();
        gr_check_note(c, &d.e);
        if (gr_check_progress(c)) return gr_last_status();
        if (!d.suspected || traced) continue;
        if (trace_failure(c, l, d)) return gr_last_status();
        traced = true;
    }
    return GR_OK;
}

/* The same at another point, if f has a value there, along one direction: a VJP that keeps what it found at x, in the
 * network or in a call before this one, is wrong there. Only a FAIL is noted. */
static gr_status check_elsewhere(gr_checker *c)
{
    gr_check_report report = {.verdict = GR_CHECK_VACUOUS};
    gr_check_options o = c->options;
    gr_checker moved;
    o.mode = GR_CHECK_DIRECTIONAL;
    o.directions = 1;
    o.progress = NULL;
    gr_probe_move(&c->probe, 0.125, 7u);
    gr_status status = gr_checker_open(&moved, &c->probe.of, &o, GR_FEW_POINTS, &report);
    moved.node = c->node;
    moved.op = c->op;
    const bool ends = !status && !isfinite(gr_probe_value(&moved.probe, &moved.probe.base));
    if (!status && !ends) status = gr_check_differentiate(&moved);
    if (!status && !ends) status = gr_check_directions(&moved);
    status = gr_checker_close(&moved, status);
    gr_probe_restore(&c->probe);
    bool at_x = false; /* one that was no sample may be wrong there as well */
    for (int i = 0; i < report.n_worst && !status; i++) {
        const gr_check_element *e = &report.worst[i];
        if (e->verdict != GR_CHECK_FAIL || !isfinite(e->analytic)) continue;
        gr_check_note(c, e);
        c->elsewhere = true;
        if (e->index >= 0 && c->options.mode == GR_CHECK_SAMPLED && !at_x)
            status = note_failure(c, c->probe.start[e->input] + e->index, &at_x);
    }
    c->elsewhere &= !at_x;
    c->report->evaluations += report.evaluations;
    c->report->backwards += report.backwards;
    if (status != GR_ERR_VALUE && status != GR_ERR_INDEX) return status;
    gr_clear_error(); /* f ends before that point */
    return GR_OK;
}

gr_status gr_check_beyond(gr_checker *c)
{
    if (c->report->count[GR_CHECK_FAIL]) return GR_OK;
    gr_status status = gr_check_linear(c);
    return status || c->nonlinear ? status : check_elsewhere(c);
}
