/* estimate.c: the slope of f along a line, from central differences, with an estimate of its error.
 *
 *     D(h) = (f(x+h) - f(x-h)) / 2h = f' + c2 h^2 + c4 h^4 + ...
 *
 * A short h drowns in rounding, which grows as 1/h, a long one in the series. Ridders (1982) does not choose: h is
 * halved from a long step on (here a sixteenth of the argument), and he extrapolates to h = 0 in a table whose column j
 * is rid of the powers of h up to h^2j:
 *
 *     d[0][0] = D(h)
 *     d[1][0] = D(h/2)   d[1][1]                  d[i][j] = (4^j d[i][j-1] - d[i-1][j-1]) / (4^j - 1)
 *     d[2][0] = D(h/4)   d[2][1]   d[2][2]
 *
 * The error of an entry is taken to be its distance from the farther of the two that it is made of, plus the noise:
 * what rounding may have added to D. The entry of least error is the estimate. A function that is periodic in h may
 * fool the table, so a second one starts from a step that has no common measure with the first; the larger error is
 * taken, and the distance of the two if that is larger still. Where this is not good enough the two start again from a
 * shorter step.
 *
 * All of that holds where f is smooth between x-h and x+h. Ops tell by which branches they went; where those differ
 * from the ones at x the step is shortened. Where no step is short enough, x is on a kink: there is no derivative, but
 * a slope on either side, from f at three points beside x. Of ops that do not tell their branches gr_has_kink()
 * measures, after a failure, whether the slopes on the two sides stay apart as h goes to 0. */
#include "check/check_internal.h"

enum { LEVELS = 9, RESTARTS = 5 };
static const double incommensurate = 23.0 / 32.0; /* few bits, so that x + h stays exact */

/* Extrapolation stops when its error is below this share of rtol. */
static const double negligible = 1e-3;

/* ---- Steps -------------------------------------------------------------------------------------------------- */

/* The largest |x_k| of those that move. */
static double largest_on(const gr_probe *p, const gr_line *l)
{
    double largest = 0.0;
    for (int64_t k = l->first, i = gr_probe_input(p, k); k < l->last; k++) {
        while (k >= p->start[i + 1]) i++;
        largest = fmax(largest, fabs(((const double *)p->saved[i]->data)[k - p->start[i]]));
    }
    return largest;
}

/* Below this a difference of f says nothing. */
static double shortest_step(const gr_line *l, double x)
{
    if (l->last - l->first > 1) return 0x1p-34 * fmax(1.0, x);
    return x == 0.0 ? 0x1p-26 : fmax(0x1p-27 * fmin(x, 1e300), 0x1p-60);
}

/* A share of the argument, a sixteenth where the options do not say, down to a power of 2. */
static double longest_step(double relative, double x)
{
    return ldexp(1.0, (int)floor(log2((relative > 0.0 ? relative : 0x1p-4) * fmin(fmax(1.0, x), 1e300))));
}

/* What lies between x - h and x + h: no kink, a kink or the edge of where f is defined, or an error of f. */
enum between { SMOOTH, CROSSED, REFUSED };

/* Whether f is on the same branches at x - h and x + h as at x. */
static enum between probe_both_sides(gr_probe *p, double h)
{
    for (int i = 0; i < 2; i++) {
        const gr_point *point = gr_probe_at(p, i ? -h : h);
        if (!point) return REFUSED;
        if (!point->valid || point->signature != p->base.signature) return CROSSED;
    }
    return SMOOTH;
}

/* D(h), and what rounding may have added to it. */
static double central_difference(gr_probe *p, double h, double *noise)
{
    double d = gr_probe_difference(p, gr_probe_at(p, h), gr_probe_at(p, -h), noise, NULL);
    *noise /= h;
    return d / (2.0 * h);
}

/* ---- A derivative where f is smooth ------------------------------------------------------------------------- */

typedef struct derivative {
    double value, error, h, noise;
} derivative;

/* One table from step h down, until its best entry is known to the share `enough` of itself, or gets no better. Where
 * a branch differs only after three rows, these are the table. */
static enum between extrapolate(gr_probe *p, double h, double enough, derivative *best)
{
    double d[LEVELS][LEVELS];
    *best = (derivative){.error = (double)INFINITY};
    for (int i = 0; i < LEVELS; i++, h *= 0.5) {
        enum between between = probe_both_sides(p, h);
        if (between != SMOOTH) return i > 2 && between == CROSSED ? SMOOTH : between;
        double noise, power = 4.0;
        d[i][0] = central_difference(p, h, &noise);
        for (int j = 1; j <= i; j++, power *= 4.0) {
            d[i][j] = (power * d[i][j - 1] - d[i - 1][j - 1]) / (power - 1.0);
            double error = fmax(fabs(d[i][j] - d[i][j - 1]), fabs(d[i][j] - d[i - 1][j - 1])) + noise;
            if (error <= best->error) *best = (derivative){d[i][j], error, h, noise};
        }
        if (i > 0 && best->error <= fmax(2.0 * noise, enough * fabs(best->value))) break;
        if (i > 3 && fabs(d[i][i] - d[i - 1][i - 1]) >= 2.0 * best->error) break;
    }
    return SMOOTH;
}

static enum between two_tables(gr_probe *p, double h, double enough, derivative *best)
{
    derivative other;
    enum between between = extrapolate(p, h, enough, best);
    if (between == SMOOTH) between = extrapolate(p, incommensurate * h, enough, &other);
    if (between != SMOOTH) return between;
    double error = fmax(fmax(best->error, other.error), fabs(best->value - other.value));
    if (other.error < best->error) *best = other;
    best->error = error;
    return SMOOTH;
}

/* (4 D(h/2) - D(h)) / 3, the five-point formula. Where h is short its error is far less than the correction, of which
 * a sixteenth is taken. */
static enum between five_points(gr_probe *p, double h, derivative *best)
{
    enum between between = probe_both_sides(p, h);
    if (between == SMOOTH) between = probe_both_sides(p, 0.5 * h);
    if (between != SMOOTH) return between;
    double noise, unused;
    const double near = central_difference(p, 0.5 * h, &noise), far = central_difference(p, h, &unused);
    const double value = near + (near - far) / 3.0;
    *best = (derivative){value, fabs(value - near) / 16.0 + 2.0 * noise, 0.5 * h, noise};
    return SMOOTH;
}

/* ---- Kinks -------------------------------------------------------------------------------------------------- */

/* The slope on one side of x. With f(t) for f(x + t d), it is
 *
 *     (5/2 (f(2t) - f(t)) - 3/2 (f(3t) - f(2t))) / t + O(t^2)
 *
 * without f(0), since x itself may be on the other branch. */
static bool slope_beside(gr_probe *p, double t, double *slope, double *noise)
{
    const gr_point *at[3];
    double unused;
    for (int i = 0; i < 3; i++) {
        at[i] = gr_probe_at(p, (i + 1) * t);
        if (!at[i] || !at[i]->valid || at[i]->signature != at[0]->signature) return false;
    }
    const double near = gr_probe_difference(p, at[1], at[0], noise, NULL),
                 far = gr_probe_difference(p, at[2], at[1], &unused, NULL);
    *slope = (2.5 * near - 1.5 * far) / t + 0.0; /* -0 is 0 */
    *noise = 8.0 * *noise / fabs(t);
    return isfinite(*slope);
}

/* Whether f(x) is not what f tends to beside x. */
static bool jumps(gr_probe *p, double t)
{
    const gr_point *near = gr_probe_at(p, t), *far = gr_probe_at(p, 2.0 * t);
    double noise, unused;
    const double first = gr_probe_difference(p, near, &p->base, &noise, NULL),
                 second = gr_probe_difference(p, far, near, &unused, NULL);
    return fabs(first - second) > 10.0 * fabs(second) + 100.0 * noise;
}

/* The slope on one side with its error, from the longest step that crosses no other kink. If f jumps at x, 0 is also
 * accepted as a slope (judge_kink). */
static bool one_sided(gr_probe *p, double sign, double h, double shortest, double *slope, gr_slope *s)
{
    for (; h >= shortest; h *= 0.125) {
        double coarse, noise;
        if (!slope_beside(p, sign * h, &coarse, &noise) || !slope_beside(p, sign * 0.25 * h, slope, &noise)) continue;
        s->error = fmax(s->error, fabs(coarse - *slope) + noise);
        s->jump |= jumps(p, sign * 0.25 * h);
        return true;
    }
    return false;
}

/* f on both sides, for the report. */
static void keep_values(gr_probe *p, double h, gr_slope *s)
{
    const gr_point *above = gr_probe_at(p, h), *below = gr_probe_at(p, -h);
    s->h = h;
    s->above = above && above->valid ? gr_probe_value(p, above) : (double)NAN;
    s->below = below && below->valid ? gr_probe_value(p, below) : (double)NAN;
}

/* The slopes on both sides. At the edge of where f is defined there is one, which counts for both if it is that of the
 * branch of x. */
static gr_status slopes_at_kink(gr_probe *p, double h, double shortest, gr_slope *s)
{
    s->kink = true;
    s->error = 0.0;
    s->left = s->right = (double)NAN;
    const bool has_right = one_sided(p, 1.0, h, shortest, &s->right, s);
    const bool has_left = one_sided(p, -1.0, h, shortest, &s->left, s);
    if (p->refused) return p->refused;
    if (has_left != has_right) {
        const gr_point *beside = gr_probe_at(p, has_left ? -shortest : shortest);
        if (!beside || beside->signature != p->base.signature) s->left = s->right = (double)NAN;
        else if (has_left) s->right = s->left;
        else s->left = s->right;
    }
    s->value = 0.5 * (s->left + s->right);
    keep_values(p, shortest, s);
    return p->refused;
}

/* Three steps, each an eighth of the one before: of a kink the gap between the slopes stays, of a curve it shrinks. */
bool gr_has_kink(gr_probe *p, double h, gr_slope *s)
{
    double gap[3], right = 0.0, left = 0.0, noise = 0.0;
    for (int i = 0; i < 3; i++, h *= 0.125) {
        const gr_point *above = gr_probe_at(p, h), *below = gr_probe_at(p, -h);
        if (!above || !below || !above->valid || !below->valid) return false;
        right = gr_probe_difference(p, above, &p->base, &noise, NULL) / h;
        left = gr_probe_difference(p, &p->base, below, &noise, NULL) / h;
        gap[i] = right - left;
        if (i && !(fabs(gap[i] - gap[i - 1]) <= 0.05 * fabs(gap[i]))) return false;
        if (fabs(gap[i]) < 100.0 * noise / h) return false;
    }
    s->kink = true;
    s->left = left;
    s->right = right;
    s->error = fabs(gap[2] - gap[1]);
    return true;
}

/* ---- A slope ------------------------------------------------------------------------------------------------ */

/* The mean slope of the terms over one step, on the side where it is larger. */
static double mean_slope(gr_probe *p, double h)
{
    double noise, above, below;
    gr_probe_difference(p, gr_probe_at(p, h), &p->base, &noise, &above);
    gr_probe_difference(p, gr_probe_at(p, -h), &p->base, &noise, &below);
    return fmax(above, below) / h;
}

static void keep_better(gr_probe *p, const derivative *found, gr_slope *s)
{
    if (!(found->error < s->error)) return;
    s->value = found->value;
    s->error = found->error;
    keep_values(p, found->h, s);
}

static bool has_moved(const gr_probe *p)
{
    for (int64_t i = 0; i < p->n_terms; i++)
        if (p->ties[i] & GR_MOVED && (p->output < 0 || p->output == i)) return true;
    return p->constant_moves;
}

gr_status gr_estimate(gr_probe *p, gr_line line, const gr_check_options *o, gr_slope *s)
{
    if (p->output < 0 && gr_probe_on(p, line)) return gr_last_status(); /* else the points serve every output */
    *s = (gr_slope){.value = (double)NAN, .error = (double)INFINITY, .above = (double)NAN, .below = (double)NAN};
    const bool five = o->estimate == GR_CHECK_FIVE_POINT;
    const double x = largest_on(p, &line), shortest = shortest_step(&line, x);
    double h = longest_step(five ? 0x1p-9 : o->step, x);
    bool smooth = false; /* at some step */
    for (int tries = 0; tries < RESTARTS && h >= shortest;) {
        derivative found;
        enum between between = probe_both_sides(p, h);
        if (between == SMOOTH) {
            if (!smooth) s->terms_slope = mean_slope(p, h);
            smooth = true;
            between = five ? five_points(p, h, &found) : two_tables(p, h, negligible * o->rtol, &found);
        }
        if (between == REFUSED) return p->refused;
        if (between == CROSSED) {
            h *= 0.25;
            continue;
        }
        keep_better(p, &found, s);
        const double enough = fmax((five ? 1e-6 : 1e-9) * fabs(s->value), 1e-12 * s->terms_slope);
        if (s->error <= enough || found.error <= 8.0 * found.noise) break;
        h *= 0x1p-5;
        tries++;
    }
    s->constant = !has_moved(p);
    return smooth ? GR_OK : slopes_at_kink(p, fmax(0x1p-10 * fmax(1.0, x), shortest), 0x1p-6 * shortest, s);
}
