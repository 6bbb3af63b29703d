/* estimate.c: the slope of f along a line, from differences, with an error that is known.
 *
 *     D(h) = (f(h) - f(-h)) / 2h = f' + c2 h^2 + c4 h^4 + ...          in the middle
 *     D(h) = (f(2h) - f(h)) / h  = f' + c1 h + c2 h^2 + ...            on one side, without f(0)
 *
 * A short h drowns in rounding, which grows as 1/h; a long one is off the series. Nobody knows beforehand where f has
 * its scale. So D is taken at steps over many orders of magnitude, each a quarter of the one before, and a table rids
 * it of one power of h in each column (Richardson). The error of an entry is its distance from the two that it is made
 * of, and the noise: what rounding may have added to D (Ridders, 1982).
 *
 *     d[0][0] = D(h)
 *     d[1][0] = D(h/4)    d[1][1]                  d[i][j] = (b^j d[i][j-1] - d[i-1][j-1]) / (b^j - 1)
 *     d[2][0] = D(h/16)   d[2][1]   d[2][2]        b = 16 in the middle, 4 on one side
 *
 * An entry is believed where all shorter steps bear it out, down to those that rounding drowns. What they differ by
 * beyond the rounding of f's result is one of two things. Where several of them agree on another slope, f has a
 * structure too fine for the entry, which is dropped. Else it is noise, of a sum that cancels within f or of float
 * code: then it has been measured, and counts.
 *
 * Most slopes need little of this. quick_slope() takes D at two steps that must agree, and f at a step so short that a
 * finer structure would show; it is believed only where the tape says the same.
 *
 * Where f takes other branches than at x however short the step is, or has no value on one side, there are two slopes,
 * one on each side. If they agree, rounding alone made f change its branches, and f is smooth; if not x is a kink. */
#include "check/check_internal.h"

/* An entry is believed from LEAST_BELOW shorter steps on that bear it out. */
enum { MAX_ROWS = 56, MAX_COLUMNS = 6, MAX_WINDOWS = 32, LEAST_BELOW = 2 };

/* How much larger than the rounding of f's terms that within f may be: 1.5e-11 of them. */
static const double within = 0x1p14;

enum side { MIDDLE, RIGHT, LEFT };

/* D at one step. */
typedef struct row {
    double h, d, noise;
    double gap;    /* in the middle: the mean slope on the right less that on the left */
    double terms;  /* the mean slopes of f's terms, without their signs */
    double around; /* the same of both sides */
} row;

typedef struct table {
    enum side side;
    bool any_branch; /* f may take other branches than at x */
    row rows[MAX_ROWS];
    int n;
    bool crossed; /* at some step it did, and may not */
} table;

/* A slope as an entry of a table. */
typedef struct entry {
    double value, error, noise, terms;
    double other;     /* what the shortest steps agree on instead, if rounding within f may be the reason; or NaN */
    double low, high; /* the slopes that steps around the guess allow, where the entry is from others and not known */
    int row;
    int stairs; /* the row from which on f is a staircase for it, or MAX_ROWS */
} entry;

static bool is_known(const entry *e)
{
    return GR_CONFIDENCE * e->error <= fmax(GR_SHARPNESS * fabs(e->value), GR_OF_TERMS * e->terms);
}

/* ---- One step ------------------------------------------------------------------------------------------------ */

static bool is_usable(const gr_probe *p, table *t, const gr_point *at)
{
    if (!at || !at->valid) return false;
    const bool same = at->signature == p->base.signature;
    t->crossed |= !same;
    return same || t->any_branch;
}

/* Adds D(h) to the table; false where f has no value or takes other branches. */
static bool add_row(gr_probe *p, table *t, double h)
{
    const double upper = t->side == MIDDLE ? h : t->side == RIGHT ? 2.0 * h : -h;
    const double lower = t->side == MIDDLE ? -h : t->side == RIGHT ? h : -2.0 * h;
    const gr_point *above = gr_probe_at(p, upper);
    if (!is_usable(p, t, above)) return false;
    const gr_point *below = gr_probe_at(p, lower);
    if (!is_usable(p, t, below)) return false;
    const gr_difference f = gr_probe_difference(p, above, below);
    const double width = upper - lower;
    row r = {.h = h, .d = f.value / width, .noise = f.noise / h, .terms = f.total / width, .around = f.around / width};
    if (t->side == MIDDLE) r.gap = f.second / h;
    if (!isfinite(r.d) || !isfinite(r.noise)) return false;
    t->rows[t->n++] = r;
    return true;
}

/* Whether f has visibly moved in this step. */
static bool has_moved(const row *r) { return fabs(r->d) > 64.0 * r->noise; }

/* From step h down, until rounding hides D in two steps running or the steps are too short. */
static void fill_table(gr_probe *p, table *t, double h, double shortest)
{
    int hidden = 0;
    double most = 0.0;
    t->n = 0;
    for (int i = 0; i < MAX_ROWS && h >= shortest && hidden < 2 && !p->refused; i++, h *= 0.25) {
        if (!add_row(p, t, h)) continue;
        const row *r = &t->rows[t->n - 1];
        most = fmax(t->n > 6 ? most : 0.0, fmax(fabs(r->d), fabs(r->gap)));
        hidden = t->n > 6 && r->noise > 0x1p-6 * most ? hidden + 1 : 0;
    }
}

/* ---- An entry against the shorter steps ------------------------------------------------------------------------ */

/* The largest difference of f that the rows below row i leave unexplained if the slope is `value`. */
static double unexplained(const table *t, int i, double value)
{
    double most = 0.0;
    for (i++; i < t->n; i++) most = fmax(most, fabs(t->rows[i].d - value) * t->rows[i].h);
    return most;
}

/* Whether the short steps of row r see no more of f elsewhere in the long step H than at x. Were f continuous, its mean
 * slope over the long step would be that of the short ones in it: it is a staircase then, of numbers that were rounded
 * after a far larger one was added to them. */
static bool is_a_staircase(gr_probe *p, const table *t, double H, const row *r, double off)
{
    int seen = 0;
    for (int i = 1; i <= 12; i++) {
        const double u = fmod(0.6180339887498949 * i, 1.0);
        const double at = t->side == MIDDLE ? (2.0 * u - 1.0) * H : t->side == RIGHT ? (1.0 + u) * H : -(1.0 + u) * H;
        const gr_point *above = gr_probe_at(p, at + r->h), *below = above ? gr_probe_at(p, at - r->h) : NULL;
        if (!below || !above->valid || !below->valid) continue;
        const gr_difference f = gr_probe_difference(p, above, below);
        const double width = above->t - below->t;
        if (8.0 * f.noise > off * width) continue;
        if (fabs(f.value / width - r->d) > 0.25 * off) return false;
        seen++;
    }
    return seen >= 4;
}

/* What the steps that are shorter than the entry's say of f's noise: its size, or infinite where three of them, each
 * with a small error of its own, agree on something else, and rounding within f is not the reason. That D(h) is off by
 * the square of h, or on one side by h, is known. */
static double noise_seen(gr_probe *p, const table *t, entry *e, double quantum)
{
    const row *own = &t->rows[e->row];
    double noise = 0.0;
    int agree = 0;
    for (int i = e->row + 1; i < t->n; i++) {
        const row *r = &t->rows[i];
        const double shorter = r->h / own->h, lag = t->side == MIDDLE ? shorter * shorter : shorter;
        const double rounding = r->noise + quantum / r->h, off = fabs(e->value - r->d);
        const double beyond = off - (e->error + 2.0 * fabs(e->value - own->d) * lag + 4.0 * rounding);
        const bool is_other = beyond > 0.0 && 8.0 * (rounding + unexplained(t, i, r->d) / r->h) <= off;
        agree = !is_other ? 0 : agree && fabs(r->d - r[-1].d) <= 0.25 * off ? agree + 1 : 1;
        if (agree >= 2) e->other = r->d;
        if (agree == 3 && off > within * r->noise && e->stairs == MAX_ROWS) {
            if (!is_a_staircase(p, t, own->h, r, off)) return (double)INFINITY;
            if (GR_CONFIDENCE * e->error <= 0.5 * off) e->stairs = i - 2;
        }
        noise = fmax(noise, beyond * r->h);
    }
    return noise;
}

static bool is_still(const row *r) { return r->d == 0.0 && r->gap == 0.0 && r->terms == 0.0; }

/* Whether f did not move at all in the steps of row i and shorter ones. */
static bool is_still_from(const table *t, int i)
{
    for (; i < t->n; i++)
        if (!is_still(&t->rows[i])) return false;
    return true;
}

/* Whether f does not move at all in a step as long as h, nor in shorter ones. */
static bool is_still_from_step(const table *t, double h)
{
    for (int i = 0; i + 3 <= t->n && t->rows[i].h >= h; i++)
        if (is_still_from(t, i)) return true;
    return false;
}

/* The entry of least error, all noise counted. False when the table is too short for any. */
static bool best_entry(gr_probe *p, const table *t, entry *best)
{
    double d[MAX_ROWS][MAX_COLUMNS];
    const double quantum = gr_probe_quantum(p), base = t->side == MIDDLE ? 16.0 : 4.0,
                 carried = t->side == MIDDLE ? 1.0 : 3.0;
    *best = (entry){.error = (double)INFINITY, .other = (double)NAN};
    for (int i = 0, columns = 0, end = t->n - LEAST_BELOW; i < end; i++) {
        const row *r = &t->rows[i];
        const bool follows = i > 0 && r[-1].h == 4.0 * r->h;
        columns = follows && columns < MAX_COLUMNS ? columns + 1 : follows ? MAX_COLUMNS : 1;
        double power = base;
        d[i][0] = r->d;
        for (int j = 1; j < columns; j++, power *= base) {
            entry e = {.value = (power * d[i][j - 1] - d[i - 1][j - 1]) / (power - 1.0),
                       .terms = r->terms,
                       .other = (double)NAN,
                       .row = i,
                       .stairs = MAX_ROWS};
            d[i][j] = e.value;
            e.error = fmax(fabs(e.value - d[i][j - 1]), fabs(e.value - d[i - 1][j - 1])) + carried * r->noise;
            if (!(e.error < best->error)) continue;
            e.noise = fmax(noise_seen(p, t, &e, quantum), quantum);
            e.error += carried * e.noise / r->h;
            /* Shorter steps see no more than one stair; where f changes branches the entry must be known for that. */
            if (e.stairs < end && (is_known(&e) || !t->crossed)) end = e.stairs;
            if (e.error < best->error) *best = e;
        }
    }
    return best->error < (double)INFINITY;
}

/* Whether the slope grows without bound as h goes to 0: as that of a root at 0, by a factor, or as that of x log(x), by
 * as much in each step. */
static bool diverges(const table *t)
{
    int growing = 0, steady = 0;
    double before = 0.0;
    for (int i = 1; i < t->n; i++) {
        const row *r = &t->rows[i];
        const double more = r->d - r[-1].d;
        if (fabs(more) < 16.0 * r->noise) break;
        growing = (r->d > 0.0) == (r[-1].d > 0.0) && fabs(r->d) > 1.1 * fabs(r[-1].d) ? growing + 1 : 0;
        steady = (more > 0.0) == (r->d > 0.0) && fabs(more) >= 0.95 * fabs(before) ? steady + 1 : 0;
        before = more;
    }
    return growing >= 6 || steady >= 12;
}

/* ---- Where f has its scale --------------------------------------------------------------------------------------- */

/* Whether D is the same, about, at step h and at a quarter of it, and no rounding. */
static bool is_on_the_series(gr_probe *p, const table *t, double h)
{
    table two = {.side = t->side, .any_branch = t->any_branch};
    if (!add_row(p, &two, h) || !has_moved(&two.rows[0]) || !add_row(p, &two, 0.25 * h)) return false;
    return fabs(two.rows[0].d - two.rows[1].d) <= 0.25 * fabs(two.rows[1].d);
}

/* Of two entries from different tables: one that is known; of two such, that of the smaller part; else that of the
 * smaller error. */
static bool is_better(const entry *a, const entry *b)
{
    const bool known = is_known(a);
    if (known != is_known(b)) return known;
    return known && a->value != 0.0 && b->value != 0.0 ? a->error / fabs(a->value) < b->error / fabs(b->value)
                                                       : a->error < b->error;
}

/* Whether an entry of long steps says what the one from short steps does, or these, row r, see one stair alone. */
static bool is_borne_out(gr_probe *p, const table *t, entry *e, const entry *shorter, const row *r)
{
    const double apart = fabs(e->value - shorter->value);
    if (r->h == 0.0 || apart <= GR_CONFIDENCE * (e->error + shorter->error)) return true;
    e->other = r->d;
    return is_a_staircase(p, t, t->rows[e->row].h, r, fabs(e->value - r->d));
}

/* The table from step h down, if its best entry is better than the one that there is, and short steps, if any were
 * taken before, bear it out. */
static void try_table(gr_probe *p, table *t, double h, double shortest, row before, entry *best)
{
    table here = {.side = t->side, .any_branch = t->any_branch};
    entry e;
    fill_table(p, &here, h, shortest);
    const bool crossed = t->crossed || here.crossed;
    if (t->n < 2 || (best_entry(p, &here, &e) && is_better(&e, best) && is_borne_out(p, &here, &e, best, &before))) {
        const double other = t->n < 2 ? (double)NAN : e.other;
        *t = here;
        best_entry(p, t, best);
        if (isnan(best->other)) best->other = other;
    }
    t->crossed = crossed;
}

/* A table around `guess`. Where f has not moved in its longest steps, or they are the best, or all that is known is
 * that it did not move, others further up; where it still moves in the shortest, others further down. Returns whether
 * there is an entry at all; the best is of the table left in *t. */
static bool search(gr_probe *p, table *t, double guess, double shortest, entry *best)
{
    const double top = 16.0 * guess;
    *best = (entry){.error = (double)INFINITY, .other = (double)NAN};
    try_table(p, t, top, shortest, (row){0}, best);
    const entry near = *best;
    const bool flat = t->n && is_still(&t->rows[t->n - 1]);
    const row before = flat ? t->rows[t->n - 1] : best->error < (double)INFINITY ? t->rows[best->row] : (row){0};
    const bool at_top = best->row < 2 || best->value == 0.0;
    const bool up = !t->any_branch && t->n > 1 && t->rows[0].h == top && (at_top || !has_moved(&t->rows[0]));
    const bool down = t->n < 2 || has_moved(&t->rows[t->n - 1]) || is_still_from(t, 0);
    for (int i = 1, tried = 0; i < MAX_WINDOWS && up && !is_known(best) && !p->refused; i++) {
        table one = {.side = t->side, .any_branch = t->any_branch};
        const double h = top * ldexp(1.0, 10 * i);
        if (!(h < 1e290) || !add_row(p, &one, h)) break;
        if (!has_moved(&one.rows[0])) continue;
        try_table(p, t, h, h * 0x1p-40, before, best); /* down to where it did not */
        if (++tried == 3 || !is_on_the_series(p, t, h)) break;
    }
    for (int i = 1; i < MAX_WINDOWS && down && !is_known(best) && !p->refused; i++) {
        const double h = top * ldexp(1.0, -26 * i);
        if (!(h > shortest)) break;
        if (is_on_the_series(p, t, h)) try_table(p, t, h, shortest, (row){0}, best);
    }
    best->low = near.value - GR_CONFIDENCE * near.error;
    best->high = near.value + GR_CONFIDENCE * near.error;
    return best->error < (double)INFINITY;
}

/* Where x is added to far larger numbers, short steps do not see that f changes with it. If steps far longer bear out
 * the tape's slope and the best entry is that of one stair, they are what may be meant. */
static void look_far(gr_probe *p, const table *t, double guess, double rtol, double expected, entry *best)
{
    const row *r = &t->rows[t->n - 1];
    const double off = fabs(expected - best->value);
    while (r > &t->rows[best->row] && 8.0 * r->noise > off) r--;
    if (!(off > rtol * fmax(fabs(expected), fabs(best->value)) + GR_CONFIDENCE * best->error)) return;
    for (int i = 1; i <= 3 && isnan(best->other); i++) {
        const double h = 16.0 * guess * ldexp(1.0, 10 * i);
        table far = {.side = MIDDLE};
        if (!add_row(p, &far, h) || !add_row(p, &far, 0.25 * h)) return;
        const double d = far.rows[1].d;
        if (fabs(d - expected) <= 0.01 * off && is_a_staircase(p, &far, h, r, off)) best->other = d;
    }
}

/* ---- The quick way -------------------------------------------------------------------------------------------- */

/* With long = 2^-8 and short = 2^-10 of the scale:
 *
 *     value = D(short) + (D(short) - D(long)) / 15,   off by far less than this correction
 *
 * or both a quarter of it where they differ by much. And the slope from 0 to a step at which what rounding there may be
 * within f is small beside it, less h/2 times the second derivative, must be the same, but for noise. */
static bool quick_slope(gr_probe *p, double guess, double expected, double rtol, entry *e, table *t)
{
    const double step = 0x1p-8 * guess;
    if (!add_row(p, t, step) || !add_row(p, t, 0.25 * step)) return false;
    const row *far = &t->rows[0], *near = &t->rows[1];
    if (fabs(near->d - far->d) > 0x1p-16 * fabs(near->d)) { /* a smaller scale, it seems */
        if (!add_row(p, t, 0.0625 * step)) return false;
        far++, near++;
    }
    const double correction = (near->d - far->d) / 15.0;
    *e = (entry){.value = near->d + correction, .terms = near->terms, .other = (double)NAN, .row = t->n - 1};
    e->error = fabs(correction) / 32.0 + near->noise;
    const double size = fabs(e->value), tolerance = 5e-4;
    if (!(size > 0.0 && fabs(near->d - far->d) <= 0x1p-6 * size)) return false;
    double h = fmax(0x1p-32 * guess, within * near->noise * near->h / (tolerance * size));
    h = ldexp(1.0, (int)ceil(log2(h)));
    if (h > 0.25 * near->h) return false;
    const gr_point *at = gr_probe_at(p, h);
    if (!is_usable(p, t, at)) return false;
    const double d = gr_probe_difference(p, at, &p->base).value / h - 0.5 * h * near->gap / near->h;
    e->noise = fabs(d - e->value) * h;
    e->error += e->noise / near->h;
    const double allowed = rtol * fmax(size, fabs(expected)) + GR_CONFIDENCE * e->error;
    return fabs(d - e->value) <= tolerance * size && is_known(e) && fabs(expected - e->value) <= allowed;
}

/* Whether f does not change at all, in the steps that were tried and in longer ones, while it stays on its branch. To
 * bear out a derivative of 0 half of the scale will do; another may only be too small to be seen there. */
static bool is_constant(gr_probe *p, const table *t, double guess, double expected)
{
    static const double longer[] = {0.38196601125010515, 0x1.8p15, 8.0, 0x1p30}; /* some are no period */
    if (t->n < 2 || !is_still_from(t, 0)) return false;
    for (int i = 0; i < (expected == 0.0 ? 2 : GR_COUNT(longer)); i++) {
        table one = {.side = MIDDLE};
        if (!add_row(p, &one, longer[i] * guess)) break;
        if (!is_still(&one.rows[0])) return false;
    }
    return !p->refused;
}

/* ---- Kinks, edges, steps ---------------------------------------------------------------------------------------- */

/* Whether the mean slopes on the two sides stay apart: of a curve their gap shrinks as h does. */
static bool stays_apart(const table *t, const entry *e)
{
    const double seen = 8.0 * e->error + 1e-7 * fabs(e->value);
    int steady = 0;
    for (int i = e->row > 3 ? e->row - 2 : 1; i < t->n; i++) {
        const row *r = &t->rows[i];
        const double gap = fabs(r->gap);
        if (gap <= 16.0 * r->noise + 4.0 * e->noise / r->h) return i > e->row && steady >= 2;
        steady = gap > seen && gap >= 0.5 * fabs(r[-1].gap) && (r->gap > 0.0) == (r[-1].gap > 0.0) ? steady + 1 : 0;
    }
    return steady >= 2;
}

/* Whether f(x) is not what f tends to beside x, from f at t and 2t. */
static bool jumps(gr_probe *p, double t)
{
    const gr_point *near = gr_probe_at(p, t), *far = gr_probe_at(p, 2.0 * t);
    if (!near || !far || !near->valid || !far->valid) return false;
    const gr_difference first = gr_probe_difference(p, near, &p->base), second = gr_probe_difference(p, far, near);
    return fabs(first.value - second.value) > 10.0 * fabs(second.value) + 100.0 * first.noise;
}

/* f on both sides, for the report. */
static void keep_values(gr_probe *p, double h, gr_slope *s)
{
    const gr_point *above = gr_probe_at(p, h);
    s->h = h;
    s->above = above && above->valid ? gr_probe_value(p, above) : (double)NAN;
    const gr_point *below = gr_probe_at(p, -h);
    s->below = below && below->valid ? gr_probe_value(p, below) : (double)NAN;
}

static void take_entry(gr_probe *p, const table *t, const entry *e, gr_slope *s)
{
    s->value = e->value + 0.0; /* -0 is 0 */
    s->error = e->error;
    s->noise = e->noise;
    s->other = e->other;
    s->terms_slope = e->terms;
    for (int i = 0; i < t->n && (i <= e->row || s->around == 0.0); i++) /* what shorter steps see may be noise */
        if (t->rows[i].h <= gr_probe_guess(p)) s->around = fmax(s->around, t->rows[i].around);
    s->constant = is_still_from(t, e->row);
    keep_values(p, t->rows[e->row].h, s);
}

/* The slopes on the two sides of x: one slope if they agree, or if f has no value on the other side. */
static void slopes_beside(gr_probe *p, double guess, double shortest, gr_slope *s)
{
    table t[2] = {{.side = RIGHT, .any_branch = true}, {.side = LEFT, .any_branch = true}};
    entry e[2];
    bool found[2];
    s->beside = true;
    for (int i = 0; i < 2; i++) {
        found[i] = search(p, &t[i], guess, shortest, &e[i]);
        s->diverges |= found[i] && diverges(&t[i]);
        const double sign = i ? -0.25 : 0.25; /* a jump may be small beside the slope of a long step */
        if (found[i]) s->jump |= jumps(p, sign * t[i].rows[e[i].row].h) || jumps(p, sign * t[i].rows[t[i].n / 2].h);
    }
    if (found[0] != found[1]) {
        take_entry(p, &t[found[0] ? 0 : 1], &e[found[0] ? 0 : 1], s);
        s->edge = true;
    }
    if (!found[0] || !found[1]) return;
    const double apart = fabs(e[0].value - e[1].value), error = e[0].error + e[1].error;
    table across = {.side = MIDDLE, .any_branch = true};
    entry middle;
    if (!s->jump && apart <= GR_CONFIDENCE * error && search(p, &across, guess, shortest, &middle)) {
        take_entry(p, &across, &middle, s);
        return;
    }
    take_entry(p, &t[0], &e[0], s);
    s->kink = true;
    s->constant = is_still_from(&t[0], e[0].row) && is_still_from(&t[1], e[1].row);
    s->right = e[0].value + 0.0;
    s->left = e[1].value + 0.0;
    s->value = 0.5 * (s->left + s->right);
    s->error = fmax(e[0].error, e[1].error);
    s->terms_slope = fmax(e[0].terms, e[1].terms);
}

/* ---- A slope ------------------------------------------------------------------------------------------------ */

gr_status gr_estimate(gr_probe *p, double rtol, double expected, gr_slope *s)
{
    *s = (gr_slope){.value = (double)NAN,
                    .error = (double)INFINITY,
                    .other = (double)NAN,
                    .above = (double)NAN,
                    .below = (double)NAN};
    s->nowhere = !isfinite(gr_probe_value(p, &p->base));
    if (s->nowhere) return p->refused;
    const double guess = gr_probe_guess(p), shortest = gr_probe_shortest(p);
    table t = {.side = MIDDLE};
    entry e;
    if (quick_slope(p, guess, expected, rtol, &e, &t)) {
        take_entry(p, &t, &e, s);
        return p->refused;
    }
    if (p->refused || gr_probe_tie(p)) return gr_last_status();
    if (is_constant(p, &t, guess, expected)) {
        s->constant = true;
        s->value = 0.0;
        s->error = t.rows[0].noise;
        keep_values(p, t.rows[0].h, s);
        return p->refused;
    }
    t = (table){.side = MIDDLE};
    const bool found = search(p, &t, guess, shortest, &e);
    if (found && (is_known(&e) || !t.crossed) && !stays_apart(&t, &e)) {
        if (!is_known(&e) && e.low <= expected && expected <= e.high) e.other = expected;
        if (is_still_from_step(&t, 0x1p-12 * guess)) e.other = 0.0; /* few digits of x matter: it may be meant */
        look_far(p, &t, guess, rtol, expected, &e);
        take_entry(p, &t, &e, s);
    } else if (!p->refused) {
        slopes_beside(p, guess, shortest, s);
    }
    return p->refused;
}
