/* hint.c: what the ratio of a wrong derivative to the right one suggests. */
#include "check/check_internal.h"

static bool is_near(double a, double b) { return fabs(a - b) <= 1e-3 * fabs(b); }

/* The ratio analytic / numeric that all failures among the worst share; NaN without one. */
static double common_ratio(const gr_check_report *r)
{
    double ratio = (double)NAN;
    for (int i = 0; i < r->n_worst; i++) {
        const gr_check_element *e = &r->worst[i];
        if (e->verdict != GR_CHECK_FAIL || e->index < 0) continue;
        const double here = e->analytic / e->numeric;
        if (!isfinite(here) || (!isnan(ratio) && !is_near(here, ratio) && fabs(here - ratio) > 1e-12))
            return (double)NAN;
        ratio = here;
    }
    return ratio;
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

static void hint_at_ratio(gr_check_report *r, double ratio, const gr_subject *of, int64_t terms)
{
    const int64_t count = ratio == 0.0 ? 0 : count_that_is(ratio, of, terms);
    const char *minus = ratio < 0.0 ? ", and a wrong sign" : "";
    if (ratio == 0.0)
        SAY("the gradient is 0 where the function changes: none reached it (a detach, a VJP that is missing?)");
    else if (is_near(ratio, -1.0)) SAY("the sign is wrong: analytic / numeric is -1");
    else if (is_near(fabs(ratio), 2.0))
        SAY("analytic / numeric is 2: a factor 1/2 is missing, or something is added twice%s", minus);
    else if (is_near(fabs(ratio), 0.5))
        SAY("analytic / numeric is 1/2: a factor 2 is missing, or one of two paths%s", minus);
    else if (count)
        SAY("analytic / numeric is %s%lld, a count of elements: a mean against a sum, or a sum over an axis%s",
            fabs(ratio) < 1.0 ? "1/" : "", (long long)count, minus);
    else SAY("analytic / numeric is %s everywhere: a constant factor%s", GR_DIGITS(6, ratio), minus);
}

static void hint_at_failure(gr_check_report *r, const gr_subject *of, int64_t terms)
{
    const gr_check_element *e = &r->worst[0];
    const double ratio = common_ratio(r);
    if (!isfinite(e->analytic)) SAY("the analytic gradient is not finite: 0 * inf, a logarithm of 0, a division by 0?");
    else if (!isfinite(e->numeric)) SAY("the function is not finite here");
    else if (e->left != e->right)
        SAY("at a kink: the analytic value must lie between the slopes %s and %s", GR_DIGITS(6, e->left),
            GR_DIGITS(6, e->right));
    else if (isfinite(ratio) && (r->failed > 1 || r->compared == 1)) hint_at_ratio(r, ratio, of, terms);
    else if (isfinite(ratio) && r->failed * 4 < r->compared)
        SAY("few elements are wrong: a border, a remainder of a loop, an index?");
}

void gr_check_hint(gr_check_report *r, const gr_subject *of, int64_t terms)
{
    if (r->verdict == GR_CHECK_FAIL) hint_at_failure(r, of, terms);
    else if (r->verdict == GR_CHECK_UNRESOLVED)
        SAY("the function is too flat, too rough or too inexact here: move the inputs, or check the ops one by one "
            "(per node)");
    else if (r->verdict == GR_CHECK_NONDETERMINISTIC)
        SAY("two runs differ: dropout, random numbers, a state that f keeps, or memory that is not initialised?");
    else if (r->verdict == GR_CHECK_VACUOUS && r->compared)
        SAY("both sides are 0 everywhere: does f depend on its inputs?");
    else if (r->verdict == GR_CHECK_VACUOUS) SAY("no input with elements requires a gradient");
}
