/* focal.c: claim 4, focal loss and easy pixels (Eq. 14): of which pixels the gradient is made, by gamma and alpha. */
#include "claims.h"

/* Easy: p_t above 0.9. Missed: foreground taken for background. False alarm: background taken for foreground. */
enum { EASY, MISSED, FALSE_ALARM, FOREGROUND, N_KINDS };

static const double gammas[] = {0, 0.5, 1, 2, 5}, alphas[] = {0.1, 0.25, 0.5, 0.75, 0.9};
enum { N_GAMMAS = COUNT(gammas), N_ALPHAS = COUNT(alphas), GAMMA_0 = 0, GAMMA_2 = 3 };

/* By seed: where the gradient comes from for each gamma, and what becomes of a training for each alpha. */
typedef struct focus {
    double percent[N_GAMMAS][N_KINDS][MAX_SEEDS], foreground[N_ALPHAS][MAX_SEEDS];
    double fn[N_ALPHAS][MAX_SEEDS], fp[N_ALPHAS][MAX_SEEDS];
    int64_t falls; /* seeds in which the fraction of easy pixels falls with every gamma */
} focus;

static gr_focal_options focal_options(double alpha, double gamma, gr_reduction reduction)
{
    return (gr_focal_options){.base = {.from_logits = true, .reduction = reduction}, .alpha = alpha, .gamma = gamma};
}

static gr_tensor *focal_by_alpha(gr_tape *t, gr_tensor *z, gr_tensor *y, double alpha)
{
    const gr_focal_options options = focal_options(alpha, 2.0, GR_MEAN);
    return gr_focal(t, z, y, &options);
}

/* Of all that pixels contribute to the gradient, |dl/dz| of each, the percentage that comes from each kind of them. */
static void gradient_percentages(const model *m, const pixels *p, double alpha, double gamma, double percent[N_KINDS])
{
    gr_tape *t = need(gr_tape_new());
    gr_tensor *z = need(logits_of(t, m, p)), *slope;
    const gr_focal_options options = focal_options(alpha, gamma, GR_SUM);
    check(gr_grad(t, gr_focal(t, z, p->y, &options), &z, 1, &slope, GR_RETAIN));
    const float *x = gr_read_f32(z), *y = gr_read_f32(p->y), *g = gr_read_f32(slope);
    double sum = 0.0, part[N_KINDS] = {0};
    for (int64_t i = 0; i < gr_size(z); i++) {
        bool positive = y[i] > 0.5f;
        double margin = positive ? (double)x[i] : -(double)x[i], size = fabs((double)g[i]);
        sum += size;
        if (margin > log(9.0)) part[EASY] += size; /* p_t > 0.9 */
        if (margin < 0.0) part[positive ? MISSED : FALSE_ALARM] += size;
        if (positive) part[FOREGROUND] += size;
    }
    for (int k = 0; k < N_KINDS; k++) percent[k] = 100.0 * part[k] / sum;
    gr_tape_free(t);
}

/* One trained model, looked at with every gamma. */
static void vary_gamma(const trial *r, const model *m, int64_t seed, focus *f, FILE *csv)
{
    bool down = true;
    for (int i = 0; i < N_GAMMAS; i++) {
        double percent[N_KINDS];
        gradient_percentages(m, &r->test, 0.5, gammas[i], percent);
        for (int k = 0; k < N_KINDS; k++) f->percent[i][k][seed] = percent[k];
        down &= i == 0 || percent[EASY] < f->percent[i - 1][EASY][seed];
        fprintf(csv, "%g,%lld,%.6g,%.6g,%.6g\n", gammas[i], (long long)seed, percent[EASY], percent[MISSED],
                percent[FALSE_ALARM]);
    }
    f->falls += down;
}

/* The same model, and for each alpha another that is trained with it. */
static void vary_alpha(const trial *r, const model *m, int64_t seed, focus *f)
{
    for (int i = 0; i < N_ALPHAS; i++) {
        double percent[N_KINDS];
        gradient_percentages(m, &r->test, alphas[i], 2.0, percent);
        f->foreground[i][seed] = percent[FOREGROUND];
        model trained = train(r, focal_by_alpha, alphas[i]);
        score got = judge(&trained, &r->test, 0.0);
        f->fn[i][seed] = got.fn, f->fp[i][seed] = got.fp;
        gr_params_free(trained.params);
    }
}

static void measure(const experiment *e, focus *f)
{
    FILE *csv = create_csv(name_of(e, "_seeds").text,
                           "gamma,seed,easy_percent,hard_foreground_percent,hard_background_percent");
    for (int64_t seed = 0; seed < seeds; seed++) {
        trial r = make_trial(seed, 0.1, 0.0);
        model m = train(&r, bce, 0.0);
        vary_gamma(&r, &m, seed, f, csv);
        vary_alpha(&r, &m, seed, f);
        gr_params_free(m.params);
        free_trial(&r);
    }
    close_file(csv, "04_claim_04_seeds.csv");
}

static void tabulate(experiment *e, const focus *f)
{
    table t = BEGIN_TABLE(e, 1, "gamma", "gradient from easy pixels (%)", "from missed foreground (%)",
                          "from false alarms (%)");
    for (int i = 0; i < N_GAMMAS; i++) {
        cell(&t, "%g", gammas[i]);
        for (int k = EASY; k <= FALSE_ALARM; k++) spread_cell(&t, 2, f->percent[i][k]);
    }
    end_table(&t);
    t = BEGIN_TABLE(e, 2, "alpha, at gamma = 2", "gradient from foreground (%)", "missed foreground (%)",
                    "false alarms (%)");
    for (int i = 0; i < N_ALPHAS; i++) {
        cell(&t, "%g", alphas[i]);
        spread_cell(&t, 1, f->foreground[i]);
        spread_cell(&t, 2, f->fn[i]);
        spread_cell(&t, 2, f->fp[i]);
    }
    end_table(&t);
}

static void draw(experiment *e)
{
    static const char *const names[] = {"easy pixels: p_t above 0.9", "foreground taken for background",
                                        "background taken for foreground"};
    static const char *const colours[] = {BLUE, RED, AMBER};
    FILE *g = begin_claim_plot(e);
    fprintf(g, "set xlabel 'gamma'\nset ylabel 'share of the gradient, in %%'\n"
               "set yrange [0:100]\nset key top right\nplot ");
    for (int k = EASY; k <= FALSE_ALARM; k++)
        fprintf(g,
                "'04_claim_04_seeds.csv' using 1:%d smooth unique "
                "with linespoints lw 3 pt 7 ps 0.5 lc rgb '%s' title '%s' noenhanced%s",
                k + 3, colours[k], names[k], k == FALSE_ALARM ? "\n" : ", \\\n  ");
    end_claim_plot(e, g);
}

static finding test(experiment *e)
{
    focus f = {.falls = 0};
    measure(e, &f);
    tabulate(e, &f);
    draw(e);

    double mean[2][N_KINDS]; /* at gamma = 0 and at gamma = 2 */
    for (int k = 0; k < N_KINDS; k++) {
        mean[0][k] = spread_of(f.percent[GAMMA_0][k]).mean;
        mean[1][k] = spread_of(f.percent[GAMMA_2][k]).mean;
    }
    return found(f.falls == seeds ? HOLDS
                 : f.falls == 0   ? FAILS
                                  : DEPENDS,
                 "Easy pixels give %.1f %% of the gradient at gamma = 0 and %.1f %% at gamma = 2; "
                 "the share falls with every gamma in %lld of %lld seeds. "
                 "\"Hard negatives\" is half of it: hard pixels of both classes gain, "
                 "foreground from %.1f %% to %.1f %%, background from %.1f %% to %.1f %%. "
                 "Which class counts is alpha's doing: from 0.1 to 0.9 missed foreground goes from %.1f %% to %.1f %%.",
                 mean[0][EASY], mean[1][EASY], (long long)f.falls, (long long)seeds, mean[0][MISSED], mean[1][MISSED],
                 mean[0][FALSE_ALARM], mean[1][FALSE_ALARM], spread_of(f.fn[0]).mean,
                 spread_of(f.fn[N_ALPHAS - 1]).mean);
}

const claim claim_focal = {
    .title = "Focal loss looks away from easy pixels",
    .equation = "Eq. 14: -(alpha (1-p)^gamma y log p + (1-alpha) p^gamma (1-y) log(1-p))",
    .sentence = "The focusing parameter gamma down-weights easy examples, so that the loss looks at the hard ones "
                "(the paper: hard negatives); alpha balances the classes.",
    .run = "A classifier trained with BCE at 10 % foreground. "
           "Then the share of the gradient |dl/dz| of held-out pixels that comes from the easy ones (p_t > 0.9) "
           "and from those it gets wrong, for gamma of 0, 0.5, 1, 2, 5 at alpha 1/2. "
           "And training with alpha from 0.1 to 0.9.",
    .test = test,
};
