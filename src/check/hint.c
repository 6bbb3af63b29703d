/* hint.c: what wrong derivatives, beside right ones, suggest. The checker keeps the two for each element that was
 * compared: `gradient` is what the tape says, and `expected` the same, or where it failed what the differences say. */
#include "check/check_internal.h"

/* How the elements of one input fail, or the entries of a Jacobian. */
typedef struct failures {
    const gr_tensor *x;  /* NULL: entries */
    const double *a, *n; /* what the tape says of its elements, and what is expected: NaN where nothing was compared */
    int64_t compared, failed;
    double least, most; /* the ratio a/n of those that failed lies between */
} failures;

static const failures none = {.least = (double)INFINITY, .most = -(double)INFINITY};

static bool is_failure(const failures *f, int64_t k) { return !isnan(f->n[k]) && f->a[k] != f->n[k]; }

static bool is_near(double a, double b) { return fabs(a - b) <= 1e-3 * fabs(b); }

static void add_failure(failures *f, double analytic, double expected)
{
    f->failed++;
    f->least = fmin(f->least, analytic / expected);
    f->most = fmax(f->most, analytic / expected);
}

static failures failures_of_input(const gr_checker *c, int input)
{
    const int64_t start = c->probe.start[input];
    failures f = none;
    f.x = c->probe.of.x[input];
    f.a = c->gradient + start;
    f.n = c->expected + start;
    for (int64_t k = 0; k < c->probe.start[input + 1] - start; k++) {
        f.compared += !isnan(f.n[k]);
        if (is_failure(&f, k)) add_failure(&f, f.a[k], f.n[k]);
    }
    return f;
}

/* Of a Jacobian the worst entries alone are known. */
static failures failures_of_entries(const gr_check_report *r)
{
    failures f = none;
    for (int i = 0; i < r->n_worst; i++)
        if (r->worst[i].verdict == GR_CHECK_FAIL) add_failure(&f, r->worst[i].analytic, r->worst[i].numeric);
    f.failed = r->failed;
    f.compared = r->compared;
    return f;
}

/* ---- What the ratio says ---------------------------------------------------------------------------------------- */

/* Whether all ratios are one: beside 1 that is a question of their distance from it. */
static bool is_common(const failures *f)
{
    const double middle = 0.5 * (f->least + f->most), width = f->most - f->least;
    return isfinite(width) && (width <= 1e-3 * fabs(middle) && width <= 0.1 * fabs(middle - 1.0));
}

/* The dimension or number of terms that the ratio, or its inverse, is; 0: none. */
static int64_t count_that_is(double ratio, const gr_probe *p)
{
    const double size = fabs(ratio) >= 1.0 ? fabs(ratio) : 1.0 / fabs(ratio);
    if (p->n_terms > 1 && is_near(size, (double)p->n_terms)) return p->n_terms;
    for (int i = 0; i < p->of.n; i++) {
        const gr_tensor *x = p->of.x[i];
        if (x->size > 1 && is_near(size, (double)x->size)) return x->size;
        for (int k = 0; k < x->rank; k++)
            if (x->shape[k] > 1 && is_near(size, (double)x->shape[k])) return x->shape[k];
    }
    return 0;
}

/* Adds to the hint. */
#define SAY(...) snprintf(r->hint + strlen(r->hint), sizeof r->hint - strlen(r->hint), __VA_ARGS__)

/* `alone`: one element of several, whose ratio says little. */
static void hint_at_ratio(gr_check_report *r, double ratio, const gr_probe *p, const char *where, bool alone)
{
    const int64_t count = ratio == 0.0 ? 0 : count_that_is(ratio, p);
    const char *minus = ratio < 0.0 ? ", and a wrong sign" : "";
    if (is_near(ratio, -1.0)) SAY("the sign is wrong: analytic / numeric is -1 %s", where);
    else if (fabs(ratio - 1.0) < 0.01)
        SAY("the analytic value is by %s of itself too %s %s", GR_DIGITS(2, fabs(ratio - 1.0)),
            ratio > 1.0 ? "large" : "small", where);
    else if (is_near(fabs(ratio), 2.0))
        SAY("analytic / numeric is 2 %s: a factor 1/2 is missing, or something is added twice%s", where, minus);
    else if (is_near(fabs(ratio), 0.5))
        SAY("analytic / numeric is 1/2 %s: a factor 2 is missing, or one of two paths%s", where, minus);
    else if (count)
        SAY("analytic / numeric is %s%lld, a count of elements, %s: a mean for a sum, or a sum over an axis%s",
            fabs(ratio) < 1.0 ? "1/" : "", (long long)count, where, minus);
    else SAY("analytic / numeric is %s %s%s%s", GR_DIGITS(6, ratio), where, alone ? "" : ": a constant factor", minus);
}

/* ---- What the places say ---------------------------------------------------------------------------------------- */

/* The index along an axis that all failures have in common, or -1. */
static int64_t common_index(const failures *f, int axis)
{
    int64_t after = 1, common = -1;
    for (int i = axis + 1; i < f->x->rank; i++) after *= f->x->shape[i];
    for (int64_t k = 0; k < f->x->size; k++) {
        const int64_t index = k / after % f->x->shape[axis];
        if (!is_failure(f, k)) continue;
        if (common >= 0 && common != index) return -1;
        common = index;
    }
    return common;
}

/* ", all in the last row", where the failures have one row, column or other index in common; else "". */
static const char *common_place(const failures *f, char text[80])
{
    const int rank = f->x ? f->x->rank : 0;
    *text = '\0';
    for (int axis = 0; axis < rank && rank > 1 && !*text; axis++) {
        const int64_t extent = f->x->shape[axis], index = extent > 1 ? common_index(f, axis) : -1;
        char name[40];
        if (axis == rank - 1) snprintf(name, sizeof name, "column");
        else if (axis == rank - 2) snprintf(name, sizeof name, "row");
        else snprintf(name, sizeof name, "place of axis %d", axis);
        if (index == 0) snprintf(text, 80, ", all in the first %s", name);
        else if (index == extent - 1) snprintf(text, 80, ", all in the last %s", name);
        else if (index > 0) snprintf(text, 80, ", all in %s %lld", name, (long long)index);
    }
    return text;
}

/* Whether each analytic value is the expected one of another place: so many elements on, or for 0 the one of a matrix
 * with row and column exchanged. */
static bool is_moved(const failures *f, int by)
{
    const int64_t *shape = f->x->shape;
    int64_t seen = 0;
    if (by == 0 && f->x->rank != 2) return false;
    for (int64_t k = 0; k < f->x->size; k++) {
        const int64_t from = by ? k + by : k % shape[0] * shape[1] + k / shape[0];
        if (from < 0 || from >= f->x->size) continue;
        if (!(fabs(f->a[k] - f->n[from]) <= 1e-5 * fabs(f->n[from]))) return false;
        seen++;
    }
    return seen > 1;
}

static const char *move_of(const failures *f)
{
    int64_t at[2] = {0, 0}, found = 0;
    if (!f->x) return NULL;
    if (is_moved(f, 0)) return "the gradient is transposed";
    if (is_moved(f, 1) || is_moved(f, -1)) return "the gradient is shifted by one element";
    for (int64_t k = 0; k < f->x->size && f->failed == 2; k++)
        if (is_failure(f, k)) at[found++] = k;
    const bool swapped = found && is_near(f->a[at[0]], f->n[at[1]]) && is_near(f->a[at[1]], f->n[at[0]]);
    return swapped ? "two elements are swapped" : NULL;
}

static bool is_given(const gr_plain *p, int64_t row, int64_t column)
{
    int64_t k = 0;
    while (k < p->nonzeros && !(p->row[k] == row && p->column[k] == column)) k++;
    return k < p->nonzeros;
}

/* Of a Jacobian with one row no row is noted. */
static int64_t row_of(const gr_check_element *e) { return e->output < 0 ? 0 : e->output; }

#define AT(e) (long long)row_of(e), (long long)(e)->index

/* Wrong places of a sparse Jacobian: y depends on x where no entry is given, which is missing then, or does not where
 * there is one. */
static void hint_at_places(gr_check_report *r, const gr_plain *p)
{
    const gr_check_element *missing = NULL, *needless = NULL;
    for (int i = r->n_worst - 1; i >= 0; i--) {
        const gr_check_element *e = &r->worst[i];
        if (e->verdict != GR_CHECK_FAIL) continue;
        if (!is_given(p, row_of(e), e->index)) missing = e;
        else if (fabs(e->numeric) <= GR_CONFIDENCE * e->error) needless = e;
    }
    if (missing)
        SAY("%s: no entry is given at [%lld,%lld], where the Jacobian is %s",
            needless ? "wrong places" : "a missing place", AT(missing), GR_DIGITS(6, missing->numeric));
    if (missing && needless) SAY(", and there is one at [%lld,%lld], where it is 0", AT(needless));
    else if (needless)
        SAY("an entry at [%lld,%lld] is not 0, as the Jacobian is: a wrong place, or number", AT(needless));
}

/* ---- A hint ------------------------------------------------------------------------------------------------------ */

static void hint_at_numbers(gr_check_report *r, const gr_checker *c, const failures *f)
{
    char place[80], where[160];
    const char *moved = move_of(f);
    if (f->compared == 1) snprintf(where, sizeof where, "here");
    else if (f->failed == f->compared) snprintf(where, sizeof where, "everywhere");
    else
        snprintf(where, sizeof where, "at %lld of %lld %s%s", (long long)f->failed, (long long)f->compared,
                 f->x ? "elements" : "entries", common_place(f, place));
    if (moved) SAY("%s", moved);
    else if (f->least == 0.0 && f->most == 0.0)
        SAY("the gradient is 0 where the function changes, %s: %s (a detach, a VJP that is missing?)", where,
            f->failed == f->compared ? "none reached it" : "a part is missing");
    else if (is_common(f))
        hint_at_ratio(r, 0.5 * (f->least + f->most), &c->probe, where, f->failed == 1 && f->compared > 1);
    else if (f->failed * 4 < f->compared)
        SAY("few elements are wrong, %s: a border, a remainder of a loop, an index?", where);
}

static void hint_at_failure(gr_check_report *r, const gr_checker *c)
{
    const gr_check_element *e = &r->worst[0];
    const gr_plain *plain = c->probe.of.plain;
    const bool sparse = plain && plain->row && c->options.mode == GR_CHECK_JACOBIAN;
    if (c->nonlinear)
        SAY("the VJP is not linear in its cotangent g: it gives %s for %s", GR_DIGITS(6, e->analytic),
            GR_DIGITS(6, e->numeric));
    else if (c->elsewhere) SAY("right at x, wrong at a second point: a cached value, of x or of an earlier call?");
    else if (plain && isnan(e->analytic))
        SAY("the derivative is NaN here: was it written, and not added to what it found? Or 0 * inf, 0 / 0?");
    else if (!isfinite(e->analytic))
        SAY("the analytic gradient is not finite: 0 * inf, a logarithm of 0, a division by 0?");
    else if (!isfinite(e->numeric)) SAY("the function is not finite here");
    else if (e->left != e->right)
        SAY("at a kink: the analytic value must lie between the slopes %s and %s", GR_DIGITS(6, e->left),
            GR_DIGITS(6, e->right));
    else if (sparse) hint_at_places(r, plain);
    if (*r->hint) return;
    failures f = failures_of_entries(r);
    if (e->output >= 0) hint_at_numbers(r, c, &f);
    for (int i = 0; i < c->probe.of.n && !*r->hint; i++) {
        f = failures_of_input(c, i);
        if (f.failed) hint_at_numbers(r, c, &f);
    }
    if (sparse) SAY("%sthe places are right, the numbers are not", *r->hint ? "; " : "");
}

void gr_check_hint(gr_checker *c)
{
    gr_check_report *r = c->report;
    if (r->verdict == GR_CHECK_FAIL) hint_at_failure(r, c);
    else if (r->verdict == GR_CHECK_UNRESOLVED)
        SAY("the function is too flat, too rough or too inexact here: move the inputs, %s",
            c->probe.of.plain ? "or give scales" : "or check the ops one by one (per node)");
    else if (r->verdict == GR_CHECK_NONDETERMINISTIC)
        SAY("two runs differ: dropout, random numbers, a state that f keeps, or memory that is not initialised?");
    else if (r->verdict == GR_CHECK_VACUOUS && r->compared)
        SAY("both sides are 0 everywhere: does f depend on its inputs?");
    else if (r->verdict == GR_CHECK_VACUOUS) SAY("no input with elements requires a gradient");
}
