/* convexity.c: claim 11, a loss as a function of the weight of a sigmoid neuron: MSE is not convex and can have false
 * minima, cross entropy is convex. */
#include "claims.h"

enum { CROSS_ENTROPY, MSE };
static const char *const loss_names[2] = {"cross entropy", "MSE"};

/* ---- One neuron on a set of points -------------------------------------------------------------------------- */

/* A loss of the neuron sigma(w x) on n points. */
typedef struct problem {
    int which;
    int64_t n;
    const double *x, *y;
} problem;

typedef struct curve {
    double loss, slope, curvature;
} curve;

/* With its first two derivatives in w: by gr_grad, twice. */
static curve look_at(const problem *p, double w0)
{
    gr_tape *t = need(gr_tape_new());
    gr_tensor *w = need(gr_scalar(GR_F64, w0)), *x = need(gr_from(GR_F64, GR_SHAPE(p->n), p->x)),
              *y = need(gr_from(GR_F64, GR_SHAPE(p->n), p->y));
    check(gr_require_grad(w));
    gr_tensor *z = gr_mul(t, w, x), *first, *second;
    gr_tensor *loss = p->which == MSE ? gr_mse(t, gr_sigmoid(t, z), y, NULL) : gr_bce(t, z, y, &from_logits);
    check(gr_grad(t, need(loss), &w, 1, &first, GR_CREATE_GRAPH));
    check(gr_grad(t, first, &w, 1, &second, GR_RETAIN));
    curve c = {gr_item(loss), gr_item(first), gr_item(second)};
    gr_tape_free(t);
    gr_tensor_free(y);
    gr_tensor_free(x);
    gr_tensor_free(w);
    return c;
}

/* Where, between two places, the slope or the curvature changes its sign: by halving. */
static double zero_between(const problem *p, double lo, double hi, bool of_curvature)
{
    curve at = look_at(p, lo);
    const bool sign = (of_curvature ? at.curvature : at.slope) > 0.0;
    for (int i = 0; i < 60; i++) {
        double middle = 0.5 * (lo + hi);
        at = look_at(p, middle);
        if (((of_curvature ? at.curvature : at.slope) > 0.0) == sign) lo = middle;
        else hi = middle;
    }
    return 0.5 * (lo + hi);
}

/* ---- Its minima --------------------------------------------------------------------------------------------- */

enum { MAX_MINIMA = 8 };

typedef struct minima {
    int count;
    double at[MAX_MINIMA];
    bool curves_down; /* somewhere: not convex */
} minima;

/* Minima in w between two bounds, where the slope turns from below 0 to above. */
static minima find_minima(const problem *p, double lo, double hi, FILE *csv)
{
    const int places = quick ? 300 : 900;
    minima m = {.count = 0};
    double slope_before = 1.0, w_before = lo;
    for (int i = 0; i <= places; i++) {
        const double w = lo + (hi - lo) * i / places;
        const curve c = look_at(p, w);
        m.curves_down |= c.curvature < -1e-12;
        if (slope_before < 0.0 && c.slope >= 0.0 && m.count < MAX_MINIMA)
            m.at[m.count++] = zero_between(p, w_before, w, false);
        slope_before = c.slope, w_before = w;
        if (csv) fprintf(csv, "%s,%.6g,%.9g,%.9g,%.9g\n", loss_names[p->which], w, c.loss, c.slope, c.curvature);
    }
    return m;
}

/* On three points where MSE has two minima. */
static void find_known_minima(experiment *e, const problem on[2], minima m[2])
{
    FILE *csv = create_csv(name_of(e, "_curves").text, "loss,w,value,slope,curvature");
    table t = BEGIN_TABLE(e, 1, "<loss", "minimum at w", "loss there", "curvature there");
    for (int k = MSE; k >= CROSS_ENTROPY; k--) {
        m[k] = find_minima(&on[k], -5.0, 40.0, csv);
        for (int i = 0; i < m[k].count; i++) {
            const curve c = look_at(&on[k], m[k].at[i]);
            cell(&t, "%s", loss_names[k]);
            cell(&t, "%.4f", m[k].at[i]);
            cell(&t, "%.4f", c.loss);
            cell(&t, "%.2e", c.curvature);
        }
    }
    end_table(&t);
    close_file(csv, "04_claim_11_curves.csv");
}

/* Is that set a curiosity? Sets of three points drawn at random: for how many each loss is not convex, and has several
 * minima. */
static void try_random_sets(experiment *e, int64_t sets, int64_t not_convex[2], int64_t several[2])
{
    for (int64_t set = 0; set < sets; set++) {
        gr_rng rng = gr_rng_seed((uint64_t)set + 1);
        double x[3], y[3];
        for (int i = 0; i < 3; i++) x[i] = 3.0 * gr_rng_normal(&rng), y[i] = (double)gr_rng_below(&rng, 2);
        for (int k = 0; k < 2; k++) {
            const minima m = find_minima(&(problem){k, 3, x, y}, -10.0, 10.0, NULL);
            several[k] += m.count > 1;
            not_convex[k] += m.curves_down;
        }
    }
    table t = BEGIN_TABLE(e, 2, "<loss", "random sets", "curves down somewhere", "has several minima");
    for (int k = MSE; k >= CROSS_ENTROPY; k--) {
        cell(&t, "%s", loss_names[k]);
        cell(&t, "%lld", (long long)sets);
        cell(&t, "%lld", (long long)not_convex[k]);
        cell(&t, "%lld", (long long)several[k]);
    }
    end_table(&t);
}

static void draw(experiment *e)
{
    FILE *g = begin_claim_plot(e);
    fprintf(g, "set xlabel 'weight w'\nset ylabel 'MSE'\nset y2label 'cross entropy'\n"
               "set xrange [-5:30]\nset yrange [0:0.7]\nset y2range [0:14]\n"
               "set y2tics textcolor rgb '#333333'\nset border 11\nset key bottom right\n"
               "plot '04_claim_11_curves.csv' using (strcol(1) eq 'MSE' ? $2 : NaN):3 "
               "with lines lw 3 lc rgb '" RED "' title 'MSE: two minima', \\\n"
               "  '' using (strcol(1) eq 'MSE' ? NaN : $2):3 axes x1y2 "
               "with lines lw 3 lc rgb '" BLUE "' title 'cross entropy, right axis: one'\n");
    end_claim_plot(e, g);
}

/* ---- The experiment ----------------------------------------------------------------------------------------- */

static bool near(double a, double b, double tolerance) { return fabs(a - b) < tolerance; }

static finding test(experiment *e)
{
    static const double x[] = {10, 0.1, 0.02}, y[] = {0, 1, 0}, one = 1.0, zero = 0.0;
    const double turns_at = zero_between(&(problem){MSE, 1, &one, &zero}, -2.0, 5.0, true);
    const double turns = 1.0 / (1.0 + exp(-turns_at));
    printf("\n  x = 1, y = 0: by gr_grad twice d2MSE/dz2 changes its sign at z = %.9f, where sigma = %.9f (2/3)\n",
           turns_at, turns);

    const problem on[2] = {{CROSS_ENTROPY, 3, x, y}, {MSE, 3, x, y}};
    minima m[2];
    find_known_minima(e, on, m);
    int64_t not_convex[2] = {0, 0}, several[2] = {0, 0};
    const int64_t sets = 10 * seeds;
    try_random_sets(e, sets, not_convex, several);
    draw(e);

    const double true_w = m[MSE].at[0], false_w = m[MSE].count > 1 ? m[MSE].at[1] : (double)NAN;
    const double true_loss = look_at(&on[MSE], true_w).loss;
    const double false_loss = look_at(&on[MSE], m[MSE].count > 1 ? false_w : 0.0).loss;
    bool known = m[MSE].count == 2 && m[CROSS_ENTROPY].count == 1 && near(true_w, -0.34, 0.01) &&
                 near(true_loss, 0.169, 1e-3) && near(false_w, 14.8, 0.1) && near(false_loss, 0.454, 1e-3) &&
                 near(m[CROSS_ENTROPY].at[0], -0.55, 0.01);
    bool convex = !m[CROSS_ENTROPY].curves_down && !not_convex[CROSS_ENTROPY];
    return found(known && convex && near(turns, 2.0 / 3.0, 1e-9) && m[MSE].curves_down ? HOLDS : FAILS,
                 "MSE's curvature changes its sign at sigma = %.6f. "
                 "On {(10,0), (0.1,1), (0.02,0)} MSE has a minimum of %.3f at w = %.2f and another, of %.3f, "
                 "at w = %.1f, where gradient descent from a large w ends; cross entropy has one, at w = %.2f. "
                 "Of %lld random sets of three points MSE is not convex on %lld and has a second minimum on %lld: "
                 "such a set has to be looked for. Cross entropy is convex on all but %lld.",
                 turns, true_loss, true_w, false_loss, false_w, m[CROSS_ENTROPY].at[0], (long long)sets,
                 (long long)not_convex[MSE], (long long)several[MSE], (long long)not_convex[CROSS_ENTROPY]);
}

const claim claim_mse_not_convex = {
    .title = "MSE is not convex in a sigmoid neuron's weight",
    .equation = "Eq. 2 and 5 of p = sigma(w x)",
    .sentence = "What the discussion under Eq. 6 leaves out, and textbooks add: through a sigmoid MSE is not convex in "
                "the weight and can have false minima; cross entropy is convex.",
    .run = "The second derivative by gr_grad twice; a data set of three points scanned for minima; "
           "random sets of three points.",
    .test = test,
    .robust = true,
};
