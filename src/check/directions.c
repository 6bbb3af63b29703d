/* directions.c: all elements at once. One slope along a random direction d of ups and downs is compared with the sum of
 * d_i df/dx_i; a failure is traced to its element by halving the direction, first between inputs, then within one. */
#include <stdlib.h>

#include "check/check_internal.h"

/* The power of 2 that makes the direction about as long as one element by itself. */
static double length_of_direction(int64_t elements) { return ldexp(1.0, (int)(0.5 * log2((double)elements) + 0.5)); }

static gr_check_element place_direction(const gr_checker *c, const gr_line *l)
{
    const int input = gr_probe_input(&c->probe, l->first), last = gr_probe_input(&c->probe, l->last - 1);
    gr_check_element e = {.input = input, .index = -1, .output = -1, .node = c->node, .op = c->op};
    if (input != last) snprintf(e.place, sizeof e.place, "inputs %d to %d, a direction", input, last);
    else snprintf(e.place, sizeof e.place, "input %d, a direction", input);
    return e;
}

/* One direction, judged. Its derivative is a sum of many that may cancel: the length of the gradient is what an
 * agreement is relative to. */
static gr_status compare_direction(gr_checker *c, const gr_line *l, gr_check_element *e)
{
    gr_slope s;
    double along = 0.0, squares = 0.0;
    for (int64_t k = l->first; k < l->last; k++) {
        const double a = c->gradient[k] / l->length;
        along += gr_goes_down(l, k) ? -a : a;
        squares += a * a;
    }
    *e = place_direction(c, l);
    if (gr_estimate(&c->probe, *l, &c->options, &s)) return gr_last_status();
    gr_check_judge(c, along, fmax(sqrt(squares), fmax(fabs(along), fabs(s.value))), &s, e);
    return c->probe.refused;
}

/* Where to halve: between two inputs while there are several. */
static int64_t middle_of(const gr_probe *p, const gr_line *l)
{
    const int64_t half = l->first + (l->last - l->first) / 2;
    int64_t best = -1;
    for (int i = 0; i <= p->of.n; i++) {
        const int64_t at = p->start[i];
        if (at <= l->first || at >= l->last) continue;
        if (best < 0 || llabs((long long)(at - half)) < llabs((long long)(best - half))) best = at;
    }
    return best < 0 ? half : best;
}

/* Notes the element that makes the direction fail; nothing when no half of it fails by itself. */
static gr_status trace_failure(gr_checker *c, gr_line l)
{
    gr_check_element e;
    while (l.last - l.first > 1) {
        gr_line half[2] = {l, l};
        bool found = false;
        half[0].last = half[1].first = middle_of(&c->probe, &l);
        for (int i = 0; i < 2 && !found; i++) {
            half[i].length = length_of_direction(half[i].last - half[i].first);
            if (compare_direction(c, &half[i], &e)) return gr_last_status();
            found = e.verdict == GR_CHECK_FAIL;
            if (found) l = half[i];
        }
        if (!found) return GR_OK;
    }
    if (gr_check_element_of(c, l.first, c->gradient[l.first], &e)) return gr_last_status();
    if (e.verdict == GR_CHECK_FAIL) gr_check_note(c->report, &e);
    return GR_OK;
}

gr_status gr_check_directions(gr_checker *c)
{
    const int64_t elements = c->probe.n_elements;
    gr_rng rng = gr_rng_seed(c->options.seed + 4711u);
    bool traced = false;
    if (gr_probe_gradient(&c->probe, -1, c->gradient)) return gr_last_status();
    for (int i = 0; i < c->options.directions && elements; i++) {
        const gr_line l = {.last = elements, .signs = gr_rng_u64(&rng) | 1u, .length = length_of_direction(elements)};
        gr_check_element e;
        if (compare_direction(c, &l, &e)) return gr_last_status();
        gr_check_note(c->report, &e);
        if (e.verdict != GR_CHECK_FAIL || traced) continue;
        if (trace_failure(c, l)) return gr_last_status();
        traced = true;
    }
    return GR_OK;
}
