/* estimate.c: the slope of f along a line, from central differences, with an estimate of its error.
 *
 * D(h) = (f(x+h) - f(x-h)) / 2h is f' + c2 h^2 + c4 h^4 + ... A short h drowns in rounding, which grows as 1/h, a long
 * one in the series. Ridders (1982) starts long, at a tenth of the argument, halves h and extrapolates to h = 0 (a
 * Neville tableau); the columns' disagreement is an estimate of the error. It may be fooled by a function that is
 * periodic in h, so a second tableau starts from a step that has no common measure with the first, and the larger error
 * is taken.
 *
 * All of that holds where f is smooth between x-h and x+h. Ops tell by which branches they went; where those differ
 * from the ones at x the step is shortened, and where no step is short enough x is on a kink, which has two slopes. */
#include "internal.h"

enum { LEVELS = 9, RESTARTS = 5 };
static const double incommensurate = 23.0 / 32.0; /* few bits, so that x + h stays exact */

/* An error of this share of the tolerance decides nothing. */
static const double of_no_account = 1e-3;

/* ---- Steps -------------------------------------------------------------------------------------------------- */

static double power_of_2_below(double x)
{
    return ldexp(1.0, (int)floor(log2(x)));
}

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

static double longest_step(double share, double x)
{
    return power_of_2_below((share > 0.0 ? share : 0x1p-4) * fmin(fmax(1.0, x), 1e300));
}

enum side { CLEAR, CROSSED, BROKEN_OFF };

/* Whether f is on the same branches at x - t and x + t as at x. */
static enum side look(gr_probe *p, double t)
{
    for (int i = 0; i < 2; i++) {
        const gr_point *point = gr_probe_at(p, i ? -t : t);
        if (!point) return BROKEN_OFF;
        if (!point->valid || point->signature != p->base.signature) return CROSSED;
    }
    return CLEAR;
}

/* D(t), and what rounding may have added to it. */
static double central(gr_probe *p, double t, double *noise)
{
    double d = gr_probe_difference(p, gr_probe_at(p, t), gr_probe_at(p, -t), noise, NULL);
    *noise /= t;
    return d / (2.0 * t);
}

/* ---- Ridders ------------------------------------------------------------------------------------------------ */

typedef struct tableau {
    double value, error, h, noise;
} tableau;

/* From step h down, until it is known to the share `enough` of itself, or gets no better. */
static enum side extrapolate(gr_probe *p, double h, double enough, tableau *best)
{
    double a[LEVELS][LEVELS];
    *best = (tableau){.error = (double)INFINITY};
    for (int i = 0; i < LEVELS; i++, h *= 0.5) {
        enum side side = look(p, h);
        if (side != CLEAR) return i > 2 && side == CROSSED ? CLEAR : side;
        double noise;
        a[0][i] = central(p, h, &noise);
        double factor = 4.0;
        for (int j = 1; j <= i; j++, factor *= 4.0) {
            a[j][i] = (factor * a[j - 1][i] - a[j - 1][i - 1]) / (factor - 1.0);
            double error = fmax(fabs(a[j][i] - a[j - 1][i]), fabs(a[j][i] - a[j - 1][i - 1])) + noise;
            if (error <= best->error) *best = (tableau){a[j][i], error, h, noise};
        }
        if (i > 0 && best->error <= fmax(2.0 * noise, enough * fabs(best->value))) break;
        if (i > 3 && fabs(a[i][i] - a[i - 1][i - 1]) >= 2.0 * best->error) break;
    }
    return CLEAR;
}

static enum side two_tableaux(gr_probe *p, double h, double enough, tableau *best)
{
    tableau other;
    enum side side = extrapolate(p, h, enough, best);
    if (side == CLEAR) side = extrapolate(p, incommensurate * h, enough, &other);
    if (side != CLEAR) return side;
    double error = fmax(fmax(best->error, other.error), fabs(best->value - other.value));
    if (other.error < best->error) *best = other;
    best->error = error;
    return CLEAR;
}

/* (4 D(h) - D(2h)) / 3, the five-point formula. Its error is of the order of the correction times h^2. */
static enum side five_points(gr_probe *p, double h, tableau *best)
{
    enum side side = look(p, h);
    if (side == CLEAR) side = look(p, 0.5 * h);
    if (side != CLEAR) return side;
    double noise, unused;
    const double near = central(p, 0.5 * h, &noise), far = central(p, h, &unused);
    const double value = near + (near - far) / 3.0;
    *best = (tableau){value, fabs(value - near) / 16.0 + 2.0 * noise, 0.5 * h, noise};
    return CLEAR;
}

/* ---- Kinks -------------------------------------------------------------------------------------------------- */

/* The slope on one side of x, of f at t, 2t and 3t with t = side h: x itself may be on the other branch. */
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

/* The same with an error, from the longest step that does not cross another kink. Beside a jump x is alone with its
 * value: 0 is a slope for it as well. */
static bool one_sided(gr_probe *p, double sign, double h, double least, double *slope, gr_slope *s)
{
    for (; h >= least; h *= 0.125) {
        double coarse, noise;
        if (!slope_beside(p, sign * h, &coarse, &noise) || !slope_beside(p, sign * 0.25 * h, slope, &noise)) continue;
        s->error = fmax(s->error, fabs(coarse - *slope) + noise);
        s->jump |= jumps(p, sign * 0.25 * h);
        return true;
    }
    return false;
}

/* f at both sides, for the report. */
static void tell_values(gr_probe *p, double h, gr_slope *s)
{
    const gr_point *above = gr_probe_at(p, h), *below = gr_probe_at(p, -h);
    s->h = h;
    s->above = above && above->valid ? gr_probe_value(p, above) : (double)NAN;
    s->below = below && below->valid ? gr_probe_value(p, below) : (double)NAN;
}

static gr_status at_kink(gr_probe *p, double h, double least, gr_slope *s)
{
    s->kink = true;
    s->error = 0.0;
    s->left = s->right = (double)NAN;
    bool right = one_sided(p, 1.0, h, least, &s->right, s), left = one_sided(p, -1.0, h, least, &s->left, s);
    if (p->refused) return p->refused;
    if (left != right) { /* the edge of where f is defined: one slope, if it is not that of another branch */
        const gr_point *beside = gr_probe_at(p, left ? -least : least);
        if (!beside || beside->signature != p->base.signature) s->left = s->right = (double)NAN;
        else if (left) s->right = s->left;
        else s->left = s->right;
    }
    s->value = 0.5 * (s->left + s->right);
    tell_values(p, least, s);
    return p->refused;
}

bool gr_is_broken(gr_probe *p, double h, gr_slope *s)
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

/* Sets the mean slope of the terms over one step, and whether there was any. */
static void look_around(gr_probe *p, double h, gr_slope *s)
{
    double noise, above, below;
    gr_probe_difference(p, gr_probe_at(p, h), &p->base, &noise, &above);
    gr_probe_difference(p, gr_probe_at(p, -h), &p->base, &noise, &below);
    s->scale = fmax(above, below) / h;
}

static void take(gr_probe *p, const tableau *found, gr_slope *s)
{
    if (!(found->error < s->error)) return;
    s->value = found->value;
    s->error = found->error;
    tell_values(p, found->h, s);
}

static bool has_moved(const gr_probe *p)
{
    for (int64_t i = 0; i < p->n_terms; i++)
        if (p->ties[i] & GR_MOVED && (p->only < 0 || p->only == i)) return true;
    return p->drifts;
}

gr_status gr_estimate(gr_probe *p, gr_line line, const gr_check_options *o, gr_slope *s)
{
    if (p->only < 0 && gr_probe_on(p, line)) return gr_last_status(); /* else the points serve every output */
    *s = (gr_slope){.value = (double)NAN, .error = (double)INFINITY, .above = (double)NAN, .below = (double)NAN};
    const double x = largest_on(p, &line), least = shortest_step(&line, x);
    const bool five = o->estimate == GR_CHECK_FIVE_POINT;
    double h = longest_step(five ? 0x1p-9 : o->step, x);
    bool looked = false;
    for (int tries = 0; tries < RESTARTS && h >= least;) {
        tableau found;
        enum side side = look(p, h);
        if (side == CLEAR) {
            if (!looked) look_around(p, h, s);
            looked = true;
            side = five ? five_points(p, h, &found) : two_tableaux(p, h, of_no_account * o->rtol, &found);
        }
        if (side == BROKEN_OFF) return p->refused;
        if (side == CROSSED) {
            h *= 0.25;
            continue;
        }
        take(p, &found, s);
        if (s->error <= fmax((five ? 1e-6 : 1e-9) * fabs(s->value), 1e-12 * s->scale) ||
            found.error <= 8.0 * found.noise)
            break;
        h *= 0x1p-5;
        tries++;
    }
    s->still = !has_moved(p);
    return looked ? GR_OK : at_kink(p, fmax(0x1p-10 * fmax(1.0, x), least), 0x1p-6 * least, s);
}
