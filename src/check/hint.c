/* hint.c: what wrong derivatives, beside right ones, suggest. The checker keeps the two for each element that was
 * compared: `gradient` is what the tape says, and `expected` the same, or where it failed what the differences say. */
#include "check/check_internal.h"

/* How one input fails. */
typedef struct failures {
    const gr_tensor *x;
    const double *a, *n; /* what the tape says of its elements, and what is expected: NaN where nothing was compared */
    int64_t compared, failed;
    bool missing;       /* all that failed are 0 */
    double least, most; /* the ratio a/n of those that failed lies between */
} failures;

static bool is_failure(const failures *f, int64_t k) { return !isnan(f->n[k]) && f->a[k] != f->n[k]; }

static bool is_near(double a, double b) { return fabs(a - b) <= 1e-3 * fabs(b); }

static failures failures_of(const gr_checker *c, int input)
{
    const int64_t start = c->probe.start[input];
    failures f = {.x = c->probe.of.x[input],
                  .a = c->gradient + start,
                  .n = c->expected + start,
                  .missing = true,
                  .least = (double)INFINITY,
                  .most = -(double)INFINITY};
    for (int64_t k = 0; k < c->probe.start[input + 1] - start; k++) {
        f.compared += !isnan(f.n[k]);
        if (!is_failure(&f, k)) continue;
        f.failed++;
        f.missing &= f.a[k] == 0.0;
        f.least = fmin(f.least, f.a[k] / f.n[k]);
        f.most = fmax(f.most, f.a[k] / f.n[k]);
    }
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
static int64_t count_that_is(double ratio, const gr_subject *of, int64_t terms)
{
    const double size = fabs(ratio) >= 1.0 ? fabs(ratio) : 1.0 / fabs(ratio);
    if (terms > 1 && is_near(size, (double)terms)) return terms;
    for (int i = 0; i < of->n; i++) {
        const gr_tensor *x = of->x[i];
        if (x->size > 1 && is_near(size, (double)x->size)) return x->size;
        for (int k = 0; k < x->rank; k++)
            if (x->shape[k] > 1 && is_near(size, (double)x->shape[k])) return x->shape[k];
    }
    return 0;
}

#define SAY(...) snprintf(r->hint, sizeof r->hint, __VA_ARGS__)

static void hint_at_ratio(gr_check_report *r, double ratio, const gr_subject *of, int64_t terms, const char *where)
{
    const int64_t count = ratio == 0.0 ? 0 : count_that_is(ratio, of, terms);
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
    else SAY("analytic / numeric is %s %s: a constant factor%s", GR_DIGITS(6, ratio), where, minus);
}

/* ---- What the places say ---------------------------------------------------------------------------------------- */

/* ", all in the last row", if the failures have one row, column or other index in common, and not all that was
 * compared has it; else "". */
static const char *common_place(const failures *f, char text[96])
{
    int64_t after = f->x->size, before;
    *text = '\0';
    for (int axis = 0; axis < f->x->rank && f->x->rank > 1 && !*text; axis++) {
        const int64_t extent = f->x->shape[axis];
        int64_t index = -1;
        before = after, after /= extent;
        bool common = extent > 1;
        for (int64_t k = 0; k < f->x->size && common; k++) {
            if (!is_failure(f, k)) continue;
            common = index < 0 || index == k % before / after;
            index = k % before / after;
        }
        if (!common || f->failed == f->compared) continue;
        char name[40];
        if (axis == f->x->rank - 1) snprintf(name, sizeof name, "column");
        else if (axis == f->x->rank - 2) snprintf(name, sizeof name, "row");
        else snprintf(name, sizeof name, "place of axis %d", axis);
        if (index == 0 || index == extent - 1) snprintf(text, 96, ", all in the %s %s", index ? "last" : "first", name);
        else snprintf(text, 96, ", all in %s %lld", name, (long long)index);
    }
    return text;
}

/* Whether each analytic value is the expected one of another place. */
static bool is_moved(const failures *f, int64_t (*from)(const gr_tensor *x, int64_t k))
{
    int64_t seen = 0;
    for (int64_t k = 0; k < f->x->size; k++) {
        const int64_t other = from(f->x, k);
        if (other < 0 || other >= f->x->size) continue;
        if (!(fabs(f->a[k] - f->n[other]) <= 1e-5 * fabs(f->n[other]))) return false;
        seen++;
    }
    return seen > 1;
}

static int64_t transposed(const gr_tensor *x, int64_t k)
{
    const int64_t columns = x->rank == 2 ? x->shape[1] : 0, rows = x->rank == 2 ? x->shape[0] : 0;
    return columns ? k % rows * columns + k / rows : -1;
}

static int64_t next(const gr_tensor *x, int64_t k) { return (void)x, k + 1; }
static int64_t previous(const gr_tensor *x, int64_t k) { return (void)x, k - 1; }

static const char *move_of(const failures *f)
{
    if (is_moved(f, transposed)) return "the gradient is transposed";
    if (is_moved(f, next) || is_moved(f, previous)) return "the gradient is shifted by one element";
    int64_t at[2] = {0, 0}, found = 0;
    for (int64_t k = 0; k < f->x->size && f->failed == 2; k++)
        if (is_failure(f, k)) at[found++] = k;
    return found == 2 && is_near(f->a[at[0]], f->n[at[1]]) && is_near(f->a[at[1]], f->n[at[0]])
               ? "two elements are swapped"
               : NULL;
}

/* The same of a Jacobian, from the worst entries alone. */
static void hint_at_entries(gr_check_report *r, const gr_checker *c)
{
    failures f = {.missing = true, .least = (double)INFINITY, .most = -(double)INFINITY};
    char where[96];
    for (int i = 0; i < r->n_worst; i++) {
        const gr_check_element *e = &r->worst[i];
        if (e->verdict != GR_CHECK_FAIL || e->index < 0) continue;
        f.failed++;
        f.missing &= e->analytic == 0.0;
        f.least = fmin(f.least, e->analytic / e->numeric);
        f.most = fmax(f.most, e->analytic / e->numeric);
    }
    snprintf(where, sizeof where, "at %lld of %lld entries", (long long)r->failed, (long long)r->compared);
    if (f.failed && !f.missing && is_common(&f))
        hint_at_ratio(r, 0.5 * (f.least + f.most), &c->probe.of, c->probe.n_terms, where);
}

/* ---- A hint ------------------------------------------------------------------------------------------------------ */

static void hint_at_input(gr_check_report *r, const gr_checker *c, const failures *f)
{
    char place[96], where[160];
    const char *moved = move_of(f);
    if (f->failed == f->compared && f->compared > 1) snprintf(where, sizeof where, "everywhere");
    else if (f->compared == 1) snprintf(where, sizeof where, "here");
    else
        snprintf(where, sizeof where, "at %lld of %lld elements%s", (long long)f->failed, (long long)f->compared,
                 common_place(f, place));
    if (moved) SAY("%s", moved);
    else if (f->missing)
        SAY("the gradient is 0 where the function changes, %s: %s (a detach, a VJP that is missing?)", where,
            f->failed == f->compared ? "none reached it" : "a part is missing");
    else if (is_common(f)) hint_at_ratio(r, 0.5 * (f->least + f->most), &c->probe.of, c->probe.n_terms, where);
    else if (f->failed * 4 < f->compared)
        SAY("few elements are wrong, %s: a border, a remainder of a loop, an index?", where);
}

static void hint_at_failure(gr_check_report *r, const gr_checker *c)
{
    const gr_check_element *e = &r->worst[0];
    if (c->nonlinear)
        SAY("the VJP is not linear in its cotangent g: it gives %s for %s", GR_DIGITS(6, e->analytic),
            GR_DIGITS(6, e->numeric));
    else if (c->elsewhere) SAY("right at x, wrong at a second point: a cached value, of x or of an earlier call?");
    else if (!isfinite(e->analytic))
        SAY("the analytic gradient is not finite: 0 * inf, a logarithm of 0, a division by 0?");
    else if (!isfinite(e->numeric)) SAY("the function is not finite here");
    else if (e->left != e->right)
        SAY("at a kink: the analytic value must lie between the slopes %s and %s", GR_DIGITS(6, e->left),
            GR_DIGITS(6, e->right));
    for (int i = 0; i < c->probe.of.n && !*r->hint && c->expected; i++) {
        const failures f = failures_of(c, i);
        if (f.failed) hint_at_input(r, c, &f);
    }
    if (!*r->hint) hint_at_entries(r, c);
}

void gr_check_hint(gr_checker *c)
{
    gr_check_report *r = c->report;
    if (r->verdict == GR_CHECK_FAIL) hint_at_failure(r, c);
    else if (r->verdict == GR_CHECK_UNRESOLVED)
        SAY("the function is too flat, too rough or too inexact here: move the inputs, or check the ops one by one "
            "(per node)");
    else if (r->verdict == GR_CHECK_NONDETERMINISTIC)
        SAY("two runs differ: dropout, random numbers, a state that f keeps, or memory that is not initialised?");
    else if (r->verdict == GR_CHECK_VACUOUS && r->compared)
        SAY("both sides are 0 everywhere: does f depend on its inputs?");
    else if (r->verdict == GR_CHECK_VACUOUS) SAY("no input with elements requires a gradient");
}
