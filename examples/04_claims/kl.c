/* kl.c: claim 9, KL = cross entropy - entropy (Eq. 9), and the same of their gradients. */
#include "claims.h"

enum { ROWS = 64, CLASSES = 10 };

/* By seed: the largest differences of the two sides and of their gradients, and the means of what they are made of. */
typedef struct sides {
    double value[MAX_SEEDS], gradient[MAX_SEEDS], kl_mean[MAX_SEEDS], ce_mean[MAX_SEEDS], h_mean[MAX_SEEDS];
} sides;

/* Rows of probabilities, over one class, with entropy 0, to all ten. */
static gr_tensor *make_targets(gr_rng *rng)
{
    gr_tensor *y = need(gr_zeros(GR_F64, GR_SHAPE(ROWS, CLASSES)));
    for (int64_t row = 0; row < ROWS; row++) {
        int64_t classes = 1 + row % CLASSES;
        double sum = 0.0, v[CLASSES];
        for (int64_t c = 0; c < classes; c++) sum += v[c] = gr_rng_uniform(rng) + 0.01;
        for (int64_t c = 0; c < classes; c++) check(gr_set(y, row * CLASSES + c, v[c] / sum));
    }
    return y;
}

static double entropy_of(const gr_tensor *y, int64_t row)
{
    double entropy = 0.0;
    for (int64_t c = 0; c < CLASSES; c++) {
        double p = gr_get(y, row * CLASSES + c);
        if (p > 0.0) entropy -= p * log(p);
    }
    return entropy;
}

static void measure(sides *d, int64_t seed, FILE *csv)
{
    gr_rng rng = gr_rng_seed((uint64_t)seed + 1);
    gr_tape *t = need(gr_tape_new());
    gr_tensor *z = need(gr_normal(GR_F64, GR_SHAPE(ROWS, CLASSES), 0.0, 3.0, &rng)), *y = make_targets(&rng);
    check(gr_require_grad(z));
    const gr_loss_options each = {.from_logits = true, .reduction = GR_NONE};
    gr_tensor *loss[2] = {gr_kl(t, z, y, &each), gr_cross_entropy(t, z, y, &each)}, *slope[2];
    for (int k = 0; k < 2; k++)
        check(gr_grad(t, need(gr_sum(t, loss[k], GR_ALL_AXES, false)), &z, 1, &slope[k], GR_RETAIN));
    d->value[seed] = d->gradient[seed] = d->kl_mean[seed] = d->ce_mean[seed] = d->h_mean[seed] = 0.0;
    for (int64_t row = 0; row < ROWS; row++) {
        double entropy = entropy_of(y, row), kl = gr_get(loss[0], row), ce = gr_get(loss[1], row);
        d->value[seed] = fmax(d->value[seed], fabs(kl - (ce - entropy)));
        d->kl_mean[seed] += kl / ROWS, d->ce_mean[seed] += ce / ROWS, d->h_mean[seed] += entropy / ROWS;
        fprintf(csv, "%lld,%lld,%.17g,%.17g,%.17g\n", (long long)seed, (long long)row, ce, entropy, kl);
    }
    for (int64_t i = 0; i < ROWS * CLASSES; i++)
        d->gradient[seed] = fmax(d->gradient[seed], fabs(gr_get(slope[0], i) - gr_get(slope[1], i)));
    gr_tensor_free(z);
    gr_tensor_free(y);
    gr_tape_free(t);
}

static void tabulate(experiment *e, const sides *d)
{
    table t = BEGIN_TABLE(e, 1, "<", "mean +- sd over the seeds");
    cell(&t, "cross entropy");
    spread_cell(&t, 4, d->ce_mean);
    cell(&t, "entropy of the target");
    spread_cell(&t, 4, d->h_mean);
    cell(&t, "KL");
    spread_cell(&t, 4, d->kl_mean);
    cell(&t, "largest |KL - (CE - H)|");
    cell(&t, "%.2g", spread_of(d->value).most);
    cell(&t, "largest difference of gradients");
    cell(&t, "%.2g", spread_of(d->gradient).most);
    end_table(&t);
}

static void draw(experiment *e)
{
    FILE *g = begin_claim_plot(e);
    fprintf(g, "set xlabel 'cross entropy less entropy, in nats'\nset ylabel 'KL, in nats'\nset key bottom right\n"
               "set xrange [0:*]\nset yrange [0:*]\n"
               "plot x with lines lw 2 lc rgb '#bbbbbb' title 'equal', \\\n"
               "  '04_claim_09_seeds.csv' using ($3-$4):5 with points pt 7 ps 0.35 lc rgb '" BLUE "' "
               "title 'one dot a row'\n");
    end_claim_plot(e, g);
}

static finding test(experiment *e)
{
    sides d;
    FILE *csv = create_csv(name_of(e, "_seeds").text, "seed,row,cross_entropy,entropy,kl");
    for (int64_t seed = 0; seed < seeds; seed++) measure(&d, seed, csv);
    close_file(csv, "04_claim_09_seeds.csv");
    tabulate(e, &d);
    draw(e);

    const double value = spread_of(d.value).most, gradient = spread_of(d.gradient).most;
    return found(value < 1e-12 && gradient < 1e-12 ? HOLDS : FAILS,
                 "Over %lld rows the two sides differ by at most %.2g and the gradients by at most %.2g, "
                 "which is rounding. "
                 "The entropy of the target does not depend on the weights, "
                 "so training cannot tell the two losses apart.",
                 (long long)seeds * ROWS, value, gradient);
}

const claim claim_kl = {
    .title = "KL is cross entropy less entropy",
    .equation = "Eq. 9: KL = CE - H(y)",
    .sentence = "The Kullback-Leibler divergence is the cross entropy minus the entropy of the target.",
    .run = "64 random rows of ten classes a seed, targets over one to ten of them, F64.",
    .test = test,
    .robust = true,
};
