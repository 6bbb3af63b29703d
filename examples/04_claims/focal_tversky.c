/* focal_tversky.c: claim 8, focal Tversky and hard regions (Eq. 19). Its gradient in a region is Tversky's times
 *
 *     gamma (1 - TI)^(gamma - 1)
 *
 * which is measured here on images, half of which have little contrast, and compared with the formula. */
#include "claims.h"

static const double gammas[] = {0.5, 0.75, 1, 4.0 / 3.0, 2, 3};
enum { N_GAMMAS = COUNT(gammas), MAX_IMAGES = 64 };

/* For the hardest image of each seed and the easiest: the factor on the gradient by gamma, and TI. */
enum { HARDEST, EASIEST, N_ENDS };
typedef struct factors {
    double of[N_ENDS][N_GAMMAS][MAX_SEEDS], ti[N_ENDS][MAX_SEEDS];
    double error;           /* how far the tape is from the formula, at worst */
    double ratio[N_GAMMAS]; /* hardest over easiest, on average */
} factors;

/* For every image: its TI, and by what its gradient under focal Tversky exceeds that under Tversky. */
static void measure_images(const model *m, const pixels *p, double gamma, double ti[], double factor[])
{
    gr_tape *t = need(gr_tape_new());
    gr_tensor *z = need(logits_of(t, m, p)), *slope[2];
    const gr_tversky_options plain = {.base = {.from_logits = true, .reduction = GR_NONE}};
    const gr_focal_tversky_options focal = {.base = plain.base, .gamma = gamma};
    gr_tensor *loss[2] = {gr_tversky(t, z, p->y, &plain), gr_focal_tversky(t, z, p->y, &focal)};
    for (int k = 0; k < 2; k++)
        check(gr_grad(t, need(gr_sum(t, loss[k], GR_ALL_AXES, false)), &z, 1, &slope[k], GR_RETAIN));
    for (int64_t n = 0; n < gr_dim(p->y, 0); n++) {
        double sum[2] = {0, 0};
        for (int k = 0; k < 2; k++)
            for (int64_t i = 0; i < SIDE * SIDE; i++) sum[k] += fabs(gr_get(slope[k], n * SIDE * SIDE + i));
        ti[n] = 1.0 - gr_get(loss[0], n);
        factor[n] = sum[1] / sum[0];
    }
    gr_tape_free(t);
}

static void measure_seed(factors *m, const trial *r, int64_t seed, FILE *csv)
{
    model trained = train(r, tversky, 0.5);
    for (int i = 0; i < N_GAMMAS; i++) {
        double ti[MAX_IMAGES], factor[MAX_IMAGES];
        measure_images(&trained, &r->test, gammas[i], ti, factor);
        int64_t at[N_ENDS] = {0, 0};
        for (int64_t n = 0; n < gr_dim(r->test.y, 0); n++) {
            double formula = gammas[i] * pow(1.0 - ti[n], gammas[i] - 1.0);
            m->error = fmax(m->error, fabs(factor[n] / formula - 1.0));
            if (ti[n] < ti[at[HARDEST]]) at[HARDEST] = n;
            if (ti[n] > ti[at[EASIEST]]) at[EASIEST] = n;
            fprintf(csv, "%.6g,%lld,%.6g,%.6g\n", gammas[i], (long long)seed, ti[n], factor[n]);
        }
        for (int k = 0; k < N_ENDS; k++) m->of[k][i][seed] = factor[at[k]], m->ti[k][seed] = ti[at[k]];
    }
    gr_params_free(trained.params);
}

static void measure(const experiment *e, factors *m)
{
    FILE *csv = create_csv(name_of(e, "_seeds").text, "gamma,seed,ti,multiplier");
    for (int64_t seed = 0; seed < seeds; seed++) {
        trial r = make_trial(seed, 0.1, 0.5);
        measure_seed(m, &r, seed, csv);
        free_trial(&r);
    }
    close_file(csv, "04_claim_08_seeds.csv");
}

static void tabulate(experiment *e, factors *m)
{
    table t = BEGIN_TABLE(e, 1, "gamma", "factor, hardest image", "factor, easiest image", "ratio");
    for (int i = 0; i < N_GAMMAS; i++) {
        double ratio[MAX_SEEDS];
        for (int64_t seed = 0; seed < seeds; seed++) ratio[seed] = m->of[HARDEST][i][seed] / m->of[EASIEST][i][seed];
        m->ratio[i] = spread_of(ratio).mean;
        cell(&t, "%.3g", gammas[i]);
        for (int k = 0; k < N_ENDS; k++) spread_cell(&t, 3, m->of[k][i]);
        spread_cell(&t, 1, ratio);
    }
    end_table(&t);
    printf("\n  TI of the hardest image %.2f, of the easiest %.2f, on average; "
           "the tape and gamma (1-TI)^(gamma-1) agree to %.1e.\n",
           spread_of(m->ti[HARDEST]).mean, spread_of(m->ti[EASIEST]).mean, m->error);
}

static void draw(experiment *e)
{
    static const char *const colours[N_GAMMAS] = {RED, AMBER, GREY, GREEN, BLUE, VIOLET};
    FILE *g = begin_claim_plot(e);
    fprintf(g, "set xlabel 'TI of an image: 1 is a perfect overlap'\nset ylabel 'factor on its gradient'\n"
               "set xrange [0:1]\nset yrange [0:3]\nset key outside right center samplen 1\nplot ");
    for (int i = 0; i < N_GAMMAS; i++)
        fprintf(g,
                "%s'04_claim_08_seeds.csv' using (abs($1-%.6g)<1e-4 ? $3 : NaN):4 "
                "with points pt 7 ps 0.4 lc rgb '%s' notitle, \\\n"
                "  %.17g*(1-x)**(%.17g) with lines lw 2 lc rgb '%s' title 'gamma = %.3g'",
                i ? ", \\\n  " : "", gammas[i], colours[i], gammas[i], gammas[i] - 1.0, colours[i], gammas[i]);
    fprintf(g, "\n");
    end_claim_plot(e, g);
}

static finding test(experiment *e)
{
    factors m = {.error = 0.0};
    measure(e, &m);
    tabulate(e, &m);
    draw(e);

    if (m.error > 1e-3)
        return found(FAILS, "The tape's multiplier differs from gamma (1-TI)^(gamma-1) by %.2e.", m.error);
    bool above = m.ratio[4] > 1.0 && m.ratio[5] > 1.0, below = m.ratio[0] < 1.0 && m.ratio[1] < 1.0;
    return found(above && below ? DEPENDS
                 : above        ? HOLDS
                                : FAILS,
                 "A region's gradient is Tversky's times gamma (1-TI)^(gamma-1), so it is a matter of gamma. "
                 "At gamma = 2 the hardest image has %.1f times the factor of the easiest, "
                 "and at gamma = 3 it has %.1f times. "
                 "At gamma = 3/4, which is the exponent 1/(4/3) that focal Tversky was published with, "
                 "it has %.2f times: there the easy images count for more. "
                 "Below 1 the factor grows without bound as TI goes to 1.",
                 m.ratio[4], m.ratio[5], m.ratio[1]);
}

const claim claim_focal_tversky = {
    .title = "Focal Tversky and hard regions",
    .equation = "Eq. 19: sum over c of (1 - TI_c)^gamma",
    .sentence = "The exponent makes the loss learn more from hard examples.",
    .run = "A classifier trained with Tversky on images of which half have a quarter of the contrast. "
           "On each held-out image: by how much focal Tversky's gradient is larger than Tversky's.",
    .test = test,
};
