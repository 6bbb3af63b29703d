/* trades.c: claims 2, 5 and 7, three losses with a weight that is to trade missed foreground against false alarms:
 * W-BCE's beta, the weight of sensitivity, Tversky's beta. Each is trained with every weight on every seed's images, at
 * 10 % foreground. */
#include "claims.h"

enum { MAX_VALUES = 5 };

/* What is varied, and what the paper says of it. */
typedef struct trade {
    const char *name; /* of the weight */
    loss_function loss;
    int n;
    double values[MAX_VALUES];
    int misses_go; /* 1: up with the weight, -1: down; false alarms go the other way */
    bool logarithmic;
    const char *remark; /* said after the verdict */
} trade;

enum { MISSES, FALSE_ALARMS, DICE, N_RATES };

/* In percent, by value and seed. */
typedef struct rates {
    double of[N_RATES][MAX_VALUES][MAX_SEEDS];
} rates;

static void measure(const experiment *e, const trade *w, rates *r)
{
    const result_name name = name_of(e, "_seeds");
    FILE *csv = create_file(name.text, ".csv");
    fprintf(csv, "%s,seed,false_negatives_percent,false_positives_percent,dice_percent\n", w->name);
    for (int64_t seed = 0; seed < seeds; seed++) {
        trial images = make_trial(seed, 0.1, 0.0);
        for (int i = 0; i < w->n; i++) {
            model m = train(&images, w->loss, w->values[i]);
            score s = judge(&m, &images.test, 0.0);
            r->of[MISSES][i][seed] = s.fn, r->of[FALSE_ALARMS][i][seed] = s.fp, r->of[DICE][i][seed] = s.dice;
            fprintf(csv, "%g,%lld,%.6g,%.6g,%.6g\n", w->values[i], (long long)seed, s.fn, s.fp, s.dice);
            gr_params_free(m.params);
        }
        free_trial(&images);
    }
    close_file(csv, name.text);
}

static void tabulate(experiment *e, const trade *w, const rates *r)
{
    table t = BEGIN_TABLE(e, 1, w->name, "missed foreground (%)", "false alarms in the background (%)", "Dice (%)");
    for (int i = 0; i < w->n; i++) {
        cell(&t, "%g", w->values[i]);
        spread_cell(&t, 2, r->of[MISSES][i]);
        spread_cell(&t, 2, r->of[FALSE_ALARMS][i]);
        spread_cell(&t, 1, r->of[DICE][i]);
    }
    end_table(&t);
}

/* One thin line for each seed, a thick one for their mean. */
static void draw(experiment *e, const trade *w)
{
    static const char *const colours[2][2] = {{PALE_RED, RED}, {PALE_BLUE, BLUE}};
    static const char *const names[2] = {"missed foreground", "false alarms in the background"};
    const result_name data = name_of(e, "_seeds");
    FILE *g = begin_claim_plot(e);
    fprintf(g,
            "set xlabel '%s'\nset ylabel 'share of the pixels of their class, in %%'\nset yrange [0:*]\n"
            "set key center top\n",
            w->name);
    if (w->logarithmic) fprintf(g, "set logscale x\n");
    fprintf(g, "set xtics (");
    for (int i = 0; i < w->n; i++) fprintf(g, "%s%g", i ? "," : "", w->values[i]);
    fprintf(g, ")\nset xrange [%g:%g]\n", w->values[0], w->values[w->n - 1]);
    for (int k = 0; k < 2; k++)
        fprintf(g,
                "%sfor [s=0:%lld] '%s.csv' using ($2==s ? $1 : NaN):%d with lines lw 1 lc rgb '%s' notitle, \\\n"
                "  '%s.csv' using 1:%d smooth unique with linespoints lw 3 pt 7 ps 0.5 lc rgb '%s' title '%s'%s",
                k ? "  " : "plot ", (long long)seeds - 1, data.text, k + 3, colours[k][0], data.text, k + 3,
                colours[k][1], names[k], k ? "\n" : ", \\\n");
    end_claim_plot(e, g);
}

/* In how many seeds a rate goes one way (direction 1: up, -1: down) from the first to the last value, and in how many
 * of these it never turns back in between. */
static int64_t seeds_that_go(const trade *w, const rates *r, int k, int direction, int64_t *straight)
{
    const double(*rate)[MAX_SEEDS] = r->of[k];
    int64_t ends = 0;
    *straight = 0;
    for (int64_t seed = 0; seed < seeds; seed++) {
        bool back = false;
        for (int i = 1; i < w->n; i++) back |= direction * (rate[i][seed] - rate[i - 1][seed]) < 0.0;
        bool goes = direction * (rate[w->n - 1][seed] - rate[0][seed]) > 0.0;
        ends += goes;
        *straight += goes && !back;
    }
    return ends;
}

/* Does the weight move missed foreground against false alarms? */
static finding test(experiment *e, const trade *w)
{
    rates r;
    measure(e, w, &r);
    tabulate(e, w, &r);
    draw(e, w);
    const int last = w->n - 1;
    int64_t straight[2], go[2];
    spread from[2], to[2];
    for (int k = 0; k < 2; k++) {
        go[k] = seeds_that_go(w, &r, k, k == MISSES ? w->misses_go : -w->misses_go, &straight[k]);
        from[k] = spread_of(r.of[k][0]), to[k] = spread_of(r.of[k][last]);
    }
    verdict v = go[0] == seeds && go[1] == seeds ? HOLDS : go[0] + go[1] == 0 ? FAILS : DEPENDS;
    return found(v,
                 "From %s = %g to %g misses go %s from %.2f %% to %.2f %% in %lld of %lld seeds "
                 "(in %lld without a step back on the way) "
                 "and false alarms %s from %.2f %% to %.2f %% in %lld (%lld).%s",
                 w->name, w->values[0], w->values[last], w->misses_go < 0 ? "down" : "up", from[0].mean, to[0].mean,
                 (long long)go[0], (long long)seeds, (long long)straight[0], w->misses_go < 0 ? "up" : "down",
                 from[1].mean, to[1].mean, (long long)go[1], (long long)straight[1], w->remark);
}

/* ---- 2: W-BCE's beta (Eq. 10) ------------------------------------------------------------------------------- */

static gr_tensor *weighted_bce(gr_tape *t, gr_tensor *z, gr_tensor *y, double beta)
{
    return gr_weighted_bce(t, z, y, &(gr_weighted_bce_options){.base = from_logits, .beta = beta});
}

static finding beta_of_weighted_bce(experiment *e)
{
    return test(e, &(trade){.name = "beta",
                            .loss = weighted_bce,
                            .n = 4,
                            .values = {0.2, 1, 5, 20},
                            .misses_go = -1,
                            .logarithmic = true,
                            .remark = ""});
}

const claim claim_weighted_bce = {
    .title = "W-BCE: beta trades misses for false alarms",
    .equation = "Eq. 10: -(beta y log p + (1-y) log(1-p))",
    .sentence = "The weight beta tunes false negatives against false positives: "
                "above 1 there are fewer false negatives, below 1 fewer false positives.",
    .run = "The pixel classifier at 10 % foreground for beta of 0.2, 1, 5, 20; held-out images.",
    .test = beta_of_weighted_bce,
    .robust = true,
};

/* ---- 5: sensitivity and specificity (Eq. 15) ---------------------------------------------------------------- */

static gr_tensor *sensitivity_specificity(gr_tape *t, gr_tensor *z, gr_tensor *y, double w)
{
    const gr_sensitivity_specificity_options options = {
        .base.from_logits = true, .sensitivity_weight = w, .specificity_weight = 1.0 - w};
    return gr_sensitivity_specificity(t, z, y, &options);
}

static finding weight_of_sensitivity(experiment *e)
{
    return test(e, &(trade){.name = "w",
                            .loss = sensitivity_specificity,
                            .n = 5,
                            .values = {0.05, 0.25, 0.5, 0.75, 0.95},
                            .misses_go = -1,
                            .remark = " Sensitivity is 100 % less the misses, specificity 100 % less the false alarms. "
                                      "As printed Eq. 15 is a score, to be made large; "
                                      "what was trained on is 1 less it."});
}

const claim claim_sensitivity = {
    .title = "Sensitivity against specificity",
    .equation = "Eq. 15: w TP/(TP+FN) + (1-w) TN/(TN+FP)",
    .sentence = "The weight w moves sensitivity against specificity, for where true positives matter.",
    .run = "The pixel classifier at 10 % foreground for w from 0.05 to 0.95; held-out images.",
    .test = weight_of_sensitivity,
};

/* ---- 7: Tversky's weights (Eq. 18) -------------------------------------------------------------------------- */

static finding weights_of_tversky(experiment *e)
{
    return test(e, &(trade){.name = "beta",
                            .loss = tversky,
                            .n = 5,
                            .values = {0.1, 0.3, 0.5, 0.7, 0.9},
                            .misses_go = 1,
                            .remark = " In Eq. 18 beta weighs false positives; "
                                      "other papers give that letter to false negatives."});
}

const claim claim_tversky = {
    .title = "Tversky: beta trades false alarms for misses",
    .equation = "Eq. 18: 1 - (TP + e)/(TP + beta FP + (1-beta) FN + e)",
    .sentence = "Dice with weights: beta on the false positives, 1-beta on the false negatives. "
                "The larger beta, the fewer false positives.",
    .run = "The pixel classifier at 10 % foreground for beta from 0.1 to 0.9; held-out images.",
    .test = weights_of_tversky,
    .robust = true,
};
