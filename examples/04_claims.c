/* Lesson 4, the paper's claims put to the test. Eleven sentences of J. Yuan, "Loss Function", that a program can check,
 * each an experiment of a function here and a row of the table at the end.
 *
 * An experiment is run with several seeds, and what it compares is compared within a seed: the same images, the same
 * first weights, another loss. It prints its numbers as mean +- standard deviation over the seeds and a verdict that is
 * made from the numbers: holds, fails, or depends, with the reason.
 *
 * Seven of the claims are about pixels. They use a classifier that trains in a blink: of each pixel of a generated
 * image it sees the brightness and the means of the 3x3 and the 7x7 pixels around it; eight hidden units; one logit. */
#include "claims.h"

/* ---- The losses, as the experiments use them: on logits, one number each ------------------------------------ */

static const gr_loss_options from_logits = {.from_logits = true};

static gr_tensor *bce(gr_tape *t, gr_tensor *z, gr_tensor *y, double unused)
{
    (void)unused;
    return gr_bce(t, z, y, &from_logits);
}

static gr_tensor *weighted_bce(gr_tape *t, gr_tensor *z, gr_tensor *y, double beta)
{
    return gr_weighted_bce(t, z, y, &(gr_weighted_bce_options){.base = from_logits, .beta = beta});
}

static gr_tensor *balanced_bce(gr_tape *t, gr_tensor *z, gr_tensor *y, double unused)
{
    (void)unused;
    return gr_balanced_bce(t, z, y, &(gr_balanced_bce_options){.base = from_logits});
}

static gr_tensor *focal_by_alpha(gr_tape *t, gr_tensor *z, gr_tensor *y, double alpha)
{
    return gr_focal(t, z, y, &(gr_focal_options){.base = from_logits, .alpha = alpha, .gamma = 2.0});
}

static gr_tensor *sensitivity_specificity(gr_tape *t, gr_tensor *z, gr_tensor *y, double w)
{
    const gr_sensitivity_specificity_options options = {
        .base.from_logits = true, .sensitivity_weight = w, .specificity_weight = 1.0 - w};
    return gr_sensitivity_specificity(t, z, y, &options);
}

static gr_tensor *dice(gr_tape *t, gr_tensor *z, gr_tensor *y, double unused)
{
    (void)unused;
    return gr_dice(t, z, y, &(gr_overlap_options){.base.from_logits = true});
}

static gr_tensor *tversky(gr_tape *t, gr_tensor *z, gr_tensor *y, double beta)
{
    const gr_tversky_options options = {.base.from_logits = true, .fp_weight = beta, .fn_weight = 1.0 - beta};
    return gr_tversky(t, z, y, &options);
}

/* ---- 1: a saturated sigmoid (Eq. 7 and 8) ------------------------------------------------------------------- */

/* dl/dz of a neuron that should say 0, by the tape. */
static double slope_at(double at, bool mse)
{
    gr_tape *t = need(gr_tape_new());
    gr_tensor *z = need(gr_scalar(GR_F64, at)), *y = need(gr_scalar(GR_F64, 0.0));
    check(gr_require_grad(z));
    gr_tensor *p = gr_sigmoid(t, z);
    check(gr_backward(t, mse ? gr_mse(t, p, y, NULL) : gr_bce(t, z, y, &from_logits), 0));
    double slope = gr_item(gr_gradient(z));
    gr_tensor_free(z);
    gr_tensor_free(y);
    gr_tape_free(t);
    return slope;
}

/* The steps of size 0.15 until the output is below 0.1; each step's output goes to `csv`. */
static double steps_to_learn(bool mse, int64_t seed, double w0, double b0, FILE *csv)
{
    gr_tape *t = need(gr_tape_new());
    gr_params *params = need(gr_params_new());
    gr_tensor *w = need(gr_params_add(params, "w", gr_scalar(GR_F64, w0)));
    gr_tensor *b = need(gr_params_add(params, "b", gr_scalar(GR_F64, b0)));
    gr_tensor *x = need(gr_scalar(GR_F64, 1.0)), *y = need(gr_scalar(GR_F64, 0.0));
    gr_optimizer *sgd = need(gr_sgd(params, &(gr_sgd_options){.lr = 0.15}));
    int64_t step = 0, next = 0;
    for (double p = 1.0; p >= 0.1 && step < 1000000; step++) {
        gr_tensor *z = gr_add(t, gr_mul(t, w, x), b), *output = gr_sigmoid(t, z);
        p = gr_item(output);
        if (step == next || p < 0.1) {
            fprintf(csv, "%s,%lld,%lld,%.6g\n", mse ? "MSE" : "cross entropy", (long long)seed, (long long)step + 1, p);
            next = step + 1 + step / 20; /* enough for a logarithmic axis */
        }
        check(gr_backward(t, mse ? gr_mse(t, output, y, NULL) : gr_bce(t, z, y, &from_logits), 0));
        check(gr_step(sgd));
        gr_tape_reset(t);
    }
    gr_optimizer_free(sgd);
    gr_tensor_free(x);
    gr_tensor_free(y);
    gr_params_free(params);
    gr_tape_free(t);
    return (double)(step - 1);
}

/* Cross entropy's gradient where the output is not a sigmoid but Phi(z), of the normal distribution. */
static double slope_with_normal_cdf(double at)
{
    gr_tape *t = need(gr_tape_new());
    gr_tensor *z = need(gr_scalar(GR_F64, at)), *y = need(gr_scalar(GR_F64, 0.0));
    check(gr_require_grad(z));
    check(gr_backward(t, gr_bce(t, gr_normal_cdf(t, z), y, NULL), 0));
    double slope = gr_item(gr_gradient(z));
    gr_tensor_free(z);
    gr_tensor_free(y);
    gr_tape_free(t);
    return slope;
}

static finding saturation(int claim)
{
    static const double zs[] = {0, 2, 4, 8, 16, 32, 40};
    table t = BEGIN_TABLE(claim, 1, "z", "gradient of MSE", "of cross entropy", "ratio", "1 / (2 sigma'(z))");
    double cancels = 0.0;
    for (int i = 0; i < COUNT(zs); i++) {
        double z = zs[i], mse = slope_at(z, true), ce = slope_at(z, false), p = 1.0 / (1.0 + exp(-z));
        cancels = fmax(cancels, fabs(ce - p)); /* (p - y) x is p here */
        cell(&t, "%g", z);
        cell(&t, mse == 0.0 ? "0" : "%.2e", mse);
        cell(&t, "%.6f", ce);
        if (mse == 0.0) cell(&t, "MSE's is 0");
        else cell(&t, "%.4g", ce / mse);
        cell(&t, "%.4g", 0.5 * exp(z) * (1.0 + exp(-z)) * (1.0 + exp(-z)));
        end_row(&t);
    }
    end_table(&t);

    FILE *csv = create_file("04_claim_01_seeds", ".csv");
    fprintf(csv, "loss,seed,step,output\n");
    double steps[2][MAX_SEEDS], ratio[MAX_SEEDS];
    int64_t faster = 0;
    for (int64_t seed = 0; seed < seeds; seed++) {
        gr_rng rng = gr_rng_seed((uint64_t)seed + 1);
        double w = 1.0 + 1.5 * gr_rng_uniform(&rng), b = 1.0 + 2.0 * gr_rng_uniform(&rng);
        for (int mse = 0; mse < 2; mse++) steps[mse][seed] = steps_to_learn(mse, seed, w, b, csv);
        ratio[seed] = steps[1][seed] / steps[0][seed];
        faster += ratio[seed] > 1.0;
    }
    close_file(csv, "04_claim_01_seeds.csv");
    spread s[2] = {spread_of(steps[0], seeds), spread_of(steps[1], seeds)}, by = spread_of(ratio, seeds);
    t = BEGIN_TABLE(claim, 2, "loss", "steps until the output is below 0.1", "fewest", "most");
    for (int mse = 1; mse >= 0; mse--) {
        cell(&t, "%s", mse ? "MSE" : "cross entropy");
        spread_cell(&t, 0, steps[mse], seeds);
        cell(&t, "%g", s[mse].least);
        cell(&t, "%g", s[mse].most);
        end_row(&t);
    }
    end_table(&t);

    FILE *g = begin_picture("04_claim_01", 460, 340);
    fprintf(g, "set xlabel 'step of gradient descent, logarithmic'\nset ylabel 'output (target: 0)'\nset logscale x\n"
               "set yrange [0:1.45]\nset ytics 0,0.2,1\nset key top right\nplot ");
    for (int mse = 0; mse < 2; mse++)
        for (int64_t seed = 0; seed < seeds; seed++)
            fprintf(g,
                    "'04_claim_01_seeds.csv' using (strcol(1) eq '%s' && $2==%lld ? $3 : NaN):4 with lines lw 1.5 lc "
                    "rgb '%s' %s%s, \\\n  ",
                    mse ? "MSE" : "cross entropy", (long long)seed, mse ? "#c8553d" : "#2a6f97",
                    seed ? "notitle" : "title ",
                    seed  ? ""
                    : mse ? "'MSE, one line a start'"
                          : "'cross entropy, one line a start'");
    fprintf(g, "0.1 with lines dt 2 lc rgb '#888888' title 'goal: below 0.1'\n");
    finish_picture(g, "04_claim_01");

    bool vanishes = slope_at(40.0, true) == 0.0 && slope_at(40.0, false) == 1.0;
    return found(
        vanishes && cancels < 1e-15 && faster == seeds ? HOLDS : FAILS,
        "At z = 8 MSE has a gradient of %.2g where cross entropy has %.4f; at z = 40 it has 0 and will never move. "
        "Cross "
        "entropy learns faster in %lld of %lld starts, by a factor of %.1f +- %.1f. \"Not relevant to the activation "
        "function\" is true of the sigmoid, whose slope the logarithm cancels: with the normal distribution's Phi(z) "
        "as "
        "the output, cross entropy's gradient at z = 4 is %.2f and not %.2f.",
        slope_at(8.0, true), slope_at(8.0, false), (long long)faster, (long long)seeds, by.mean, by.sd,
        slope_with_normal_cdf(4.0), slope_at(4.0, false));
}

/* ---- 2: W-BCE's beta (Eq. 10) ------------------------------------------------------------------------------- */

static finding beta_of_weighted_bce(int claim)
{
    sweep s = {.claim = claim, .name = "beta", .loss = weighted_bce, .share = 0.1, .n = 4, .values = {0.2, 1, 5, 20}};
    run_sweep(&s);
    draw_sweep(&s, true);
    return trade(&s, -1);
}

/* ---- 3 and 6: two losses at a share of foreground ----------------------------------------------------------- */

/* How a loss did on each seed; `tuned` with the threshold that is best on the images trained on, instead of p = 1/2. */
typedef struct series {
    double fn[MAX_SEEDS], fp[MAX_SEEDS], dice[MAX_SEEDS], tuned[MAX_SEEDS];
} series;

static void run_pair(double share, loss_function a, loss_function b, series out_of[2], FILE *csv,
                     const char *const names[2])
{
    for (int64_t seed = 0; seed < seeds; seed++) {
        trial r = make_trial(seed, share, 0.0);
        for (int k = 0; k < 2; k++) {
            model m = train(&r, k ? b : a, 0.0);
            score s = judge(&m, &r.test, 0.0);
            series *o = &out_of[k];
            o->fn[seed] = s.fn, o->fp[seed] = s.fp, o->dice[seed] = s.dice;
            o->tuned[seed] = judge(&m, &r.test, best_threshold(&m, &r.train)).dice;
            fprintf(csv, "%g,%s,%lld,%.6g,%.6g,%.6g,%.6g\n", 100.0 * share, names[k], (long long)seed, s.fn, s.fp,
                    s.dice, o->tuned[seed]);
            gr_params_free(m.params);
        }
        free_trial(&r);
    }
}

static void pair_rows(table *t, double share, const series got[2], const char *const names[2])
{
    for (int k = 0; k < 2; k++) {
        cell(t, "%s at %g %%", names[k], 100.0 * share);
        spread_cell(t, 1, got[k].dice, seeds);
        spread_cell(t, 1, got[k].tuned, seeds);
        spread_cell(t, 1, got[k].fn, seeds);
        spread_cell(t, 2, got[k].fp, seeds);
        end_row(t);
    }
}

/* Each seed's second less its first. */
static spread difference(const double first[], const double second[])
{
    double d[MAX_SEEDS] = {0};
    for (int64_t i = 0; i < seeds; i++) d[i] = second[i] - first[i];
    return spread_of(d, seeds);
}

static int64_t seeds_above(const double first[], const double second[])
{
    int64_t n = 0;
    for (int64_t i = 0; i < seeds; i++) n += second[i] > first[i];
    return n;
}

#define PAIR_HEADINGS "loss", "Dice (%)", "Dice, tuned threshold (%)", "missed foreground (%)", "false alarms (%)"
#define PAIR_COLUMNS \
    "foreground_percent,loss,seed,false_negatives_percent,false_positives_percent,dice_percent,dice_tuned_percent\n"

/* Each seed's Dice under both losses, side by side, for one or two shares of foreground. */
static void draw_pairs(int claim, int n, const double shares[], const char *const names[2])
{
    char name[40];
    snprintf(name, sizeof name, "04_claim_%02d", claim);
    FILE *g = begin_picture(name, 460, 340);
    fprintf(g, "set ylabel 'Dice on held-out images, in %%'\nset xrange [-0.5:%g]\nset xtics (", 2.0 * n - 0.5);
    for (int i = 0; i < 2 * n; i++) fprintf(g, "%s'%s' %d", i ? "," : "", names[i % 2], i);
    fprintf(g, ")\nset xlabel '");
    for (int i = 0; i < n; i++)
        fprintf(g, "%s%g %% foreground", i ? "                              " : "", 100.0 * shares[i]);
    fprintf(g, "'\nset key bottom right\nset offsets 0,0,1,4\nplot ");
    for (int i = 0; i < n; i++)
        for (int64_t seed = 0; seed < seeds; seed++)
            fprintf(g,
                    "%s'04_claim_%02d_seeds.csv' using ($1==%g && $3==%lld ? (strcol(2) eq '%s' ? %d : %d) : NaN):6 "
                    "with linespoints "
                    "lw 1.5 pt 7 ps 0.6 lc rgb '#2a6f97' %s",
                    i + seed ? ", \\\n  " : "", claim, 100.0 * shares[i], (long long)seed, names[0], 2 * i, 2 * i + 1,
                    i + seed ? "notitle" : "title 'one line a seed'");
    fprintf(g, "\n");
    finish_picture(g, name);
}

/* When tuning the threshold takes most of a difference away, the difference was one of thresholds. */
static const char *moves_the_threshold(const spread *d, const spread *tuned)
{
    return fabs(tuned->mean) < 0.5 * fabs(d->mean) ? ": what the loss changed was mostly the threshold" : "";
}

static finding balanced_against_plain(int claim)
{
    static const char *const names[2] = {"BCE", "B-BCE"};
    const double share = 0.03;
    series got[2];
    FILE *csv = create_file("04_claim_03_seeds", ".csv");
    fprintf(csv, PAIR_COLUMNS);
    run_pair(share, bce, balanced_bce, got, csv, names);
    close_file(csv, "04_claim_03_seeds.csv");
    table t = BEGIN_TABLE(claim, 1, PAIR_HEADINGS);
    pair_rows(&t, share, got, names);
    end_table(&t);
    draw_pairs(claim, 1, &share, names);

    int64_t fewer_missed = seeds - seeds_above(got[0].fn, got[1].fn), better = seeds_above(got[0].dice, got[1].dice);
    spread fn = difference(got[0].fn, got[1].fn), fp = difference(got[0].fp, got[1].fp);
    spread d = difference(got[0].dice, got[1].dice), tuned = difference(got[0].tuned, got[1].tuned);
    verdict v = fewer_missed == seeds && better == seeds ? HOLDS : fewer_missed == 0 && better == 0 ? FAILS : DEPENDS;
    return found(v,
                 "B-BCE misses less of the foreground in %lld of %lld seeds (%+.1f +- %.1f points) and pays with false "
                 "alarms (%+.2f +- "
                 "%.2f points). With so much background these weigh heavily: its Dice is higher in %lld of %lld seeds "
                 "(%+.1f +- %.1f points). "
                 "With a threshold chosen on the training images instead of p = 1/2 the difference in Dice is %+.1f +- "
                 "%.1f points%s. "
                 "Whether it is better depends on what a miss costs beside a false alarm.",
                 (long long)fewer_missed, (long long)seeds, fn.mean, fn.sd, fp.mean, fp.sd, (long long)better,
                 (long long)seeds, d.mean, d.sd, tuned.mean, tuned.sd, moves_the_threshold(&d, &tuned));
}

static finding dice_against_bce(int claim)
{
    static const char *const names[2] = {"BCE", "Dice"};
    static const double shares[2] = {0.03, 0.2};
    series got[2][2];
    FILE *csv = create_file("04_claim_06_seeds", ".csv");
    fprintf(csv, PAIR_COLUMNS);
    for (int i = 0; i < 2; i++) run_pair(shares[i], bce, dice, got[i], csv, names);
    close_file(csv, "04_claim_06_seeds.csv");
    table t = BEGIN_TABLE(claim, 1, PAIR_HEADINGS);
    for (int i = 0; i < 2; i++) pair_rows(&t, shares[i], got[i], names);
    end_table(&t);
    draw_pairs(claim, 2, shares, names);

    spread d[2], tuned[2];
    int64_t better[2];
    for (int i = 0; i < 2; i++) {
        d[i] = difference(got[i][0].dice, got[i][1].dice);
        tuned[i] = difference(got[i][0].tuned, got[i][1].tuned);
        better[i] = seeds_above(got[i][0].dice, got[i][1].dice);
    }
    /* An advantage where foreground is rare: in most seeds, and larger than where it is not. */
    bool rare = d[0].mean > 2.0 * d[0].sd / sqrt((double)seeds), more = d[0].mean > d[1].mean;
    verdict v = rare && more && d[1].mean < 0.5 * d[0].mean ? HOLDS : rare || more ? DEPENDS : FAILS;
    return found(v,
                 "Dice less BCE, in points of the Dice score: %+.1f +- %.1f at 3 %% foreground, above 0 in %lld of "
                 "%lld seeds; %+.1f +- %.1f at "
                 "20 %%, above 0 in %lld. With a threshold chosen on the training images instead of p = 1/2 it is "
                 "%+.1f +- %.1f at 3 %% and "
                 "%+.1f +- %.1f at 20 %%%s.",
                 d[0].mean, d[0].sd, (long long)better[0], (long long)seeds, d[1].mean, d[1].sd, (long long)better[1],
                 tuned[0].mean, tuned[0].sd, tuned[1].mean, tuned[1].sd, moves_the_threshold(&d[0], &tuned[0]));
}

/* ---- 4: focal loss and easy pixels (Eq. 14) ----------------------------------------------------------------- */

enum { EASY, HARD_POSITIVE, HARD_NEGATIVE, FOREGROUND, N_KINDS };

/* Of all that pixels contribute to the gradient, |dl/dz| of each, the percentage that comes from each kind of them. */
static void gradient_shares(const model *m, const pixels *p, double alpha, double gamma, double share[N_KINDS])
{
    gr_tape *t = need(gr_tape_new());
    gr_tensor *z = need(logits_of(t, m, p)), *slope;
    const gr_focal_options options = {
        .base = {.from_logits = true, .reduction = GR_SUM}, .alpha = alpha, .gamma = gamma};
    check(gr_grad(t, gr_focal(t, z, p->y, &options), &z, 1, &slope, GR_RETAIN));
    const float *x = gr_read_f32(z), *y = gr_read_f32(p->y), *g = gr_read_f32(slope);
    double sum = 0.0, part[N_KINDS] = {0};
    for (int64_t i = 0; i < gr_size(z); i++) {
        bool positive = y[i] > 0.5f;
        double margin = positive ? (double)x[i] : -(double)x[i], size = fabs((double)g[i]);
        sum += size;
        if (margin > log(9.0)) part[EASY] += size; /* p_t > 0.9 */
        if (margin < 0.0) part[positive ? HARD_POSITIVE : HARD_NEGATIVE] += size;
        if (positive) part[FOREGROUND] += size;
    }
    for (int k = 0; k < N_KINDS; k++) share[k] = 100.0 * part[k] / sum;
    gr_tape_free(t);
}

static const double gammas[] = {0, 0.5, 1, 2, 5}, alphas[] = {0.1, 0.25, 0.5, 0.75, 0.9};

/* By seed: where the gradient comes from for each gamma, and what becomes of a training for each alpha. */
typedef struct focus {
    double share[COUNT(gammas)][N_KINDS][MAX_SEEDS], foreground[COUNT(alphas)][MAX_SEEDS];
    double fn[COUNT(alphas)][MAX_SEEDS], fp[COUNT(alphas)][MAX_SEEDS];
    int64_t falls; /* seeds in which easy pixels' share falls with every gamma */
} focus;

static void measure_focus(focus *f)
{
    FILE *csv = create_file("04_claim_04_seeds", ".csv");
    fprintf(csv, "gamma,seed,easy_percent,hard_foreground_percent,hard_background_percent\n");
    for (int64_t seed = 0; seed < seeds; seed++) {
        trial r = make_trial(seed, 0.1, 0.0);
        model m = train(&r, bce, 0.0); /* one model to look at with every gamma */
        bool down = true;
        for (int i = 0; i < COUNT(gammas); i++) {
            double s[N_KINDS];
            gradient_shares(&m, &r.test, 0.5, gammas[i], s);
            for (int k = 0; k < N_KINDS; k++) f->share[i][k][seed] = s[k];
            down &= i == 0 || s[EASY] < f->share[i - 1][EASY][seed];
            fprintf(csv, "%g,%lld,%.6g,%.6g,%.6g\n", gammas[i], (long long)seed, s[EASY], s[HARD_POSITIVE],
                    s[HARD_NEGATIVE]);
        }
        f->falls += down;
        for (int i = 0; i < COUNT(alphas); i++) {
            double s[N_KINDS];
            gradient_shares(&m, &r.test, alphas[i], 2.0, s);
            f->foreground[i][seed] = s[FOREGROUND];
            model trained = train(&r, focal_by_alpha, alphas[i]);
            score got = judge(&trained, &r.test, 0.0);
            f->fn[i][seed] = got.fn, f->fp[i][seed] = got.fp;
            gr_params_free(trained.params);
        }
        gr_params_free(m.params);
        free_trial(&r);
    }
    close_file(csv, "04_claim_04_seeds.csv");
}

static void tabulate_focus(int claim, const focus *f)
{
    table t = BEGIN_TABLE(claim, 1, "gamma", "gradient from easy pixels (%)", "from missed foreground (%)",
                          "from false alarms (%)");
    for (int i = 0; i < COUNT(gammas); i++) {
        cell(&t, "%g", gammas[i]);
        for (int k = EASY; k <= HARD_NEGATIVE; k++) spread_cell(&t, 2, f->share[i][k], seeds);
        end_row(&t);
    }
    end_table(&t);
    t = BEGIN_TABLE(claim, 2, "alpha, at gamma = 2", "gradient from foreground (%)", "missed foreground (%)",
                    "false alarms (%)");
    for (int i = 0; i < COUNT(alphas); i++) {
        cell(&t, "%g", alphas[i]);
        spread_cell(&t, 1, f->foreground[i], seeds);
        spread_cell(&t, 2, f->fn[i], seeds);
        spread_cell(&t, 2, f->fp[i], seeds);
        end_row(&t);
    }
    end_table(&t);
}

static void draw_focus(void)
{
    FILE *g = begin_picture("04_claim_04", 460, 340);
    fprintf(
        g,
        "set xlabel 'gamma'\nset ylabel 'share of the gradient, in %%'\nset yrange [0:100]\nset key top right\nplot ");
    static const char *const names[] = {"easy pixels: p_t above 0.9", "foreground taken for background",
                                        "background taken for foreground"};
    static const char *const colours[] = {"#2a6f97", "#c8553d", "#d9a441"};
    for (int k = EASY; k <= HARD_NEGATIVE; k++)
        fprintf(g,
                "'04_claim_04_seeds.csv' using 1:%d smooth unique with linespoints lw 3 pt 7 ps 0.5 lc rgb '%s' title "
                "'%s' noenhanced%s",
                k + 3, colours[k], names[k], k == HARD_NEGATIVE ? "\n" : ", \\\n  ");
    finish_picture(g, "04_claim_04");
}

static finding focal_and_easy_pixels(int claim)
{
    focus f = {.falls = 0};
    measure_focus(&f);
    tabulate_focus(claim, &f);
    draw_focus();

    spread first = spread_of(f.share[0][EASY], seeds), two = spread_of(f.share[3][EASY], seeds);
    spread hp[2] = {spread_of(f.share[0][HARD_POSITIVE], seeds), spread_of(f.share[3][HARD_POSITIVE], seeds)};
    spread hn[2] = {spread_of(f.share[0][HARD_NEGATIVE], seeds), spread_of(f.share[3][HARD_NEGATIVE], seeds)};
    spread fn_ends[2] = {spread_of(f.fn[0], seeds), spread_of(f.fn[COUNT(alphas) - 1], seeds)};
    return found(f.falls == seeds ? HOLDS
                 : f.falls == 0   ? FAILS
                                  : DEPENDS,
                 "Easy pixels give %.1f %% of the gradient at gamma = 0 and %.1f %% at gamma = 2; the share falls with "
                 "every gamma in %lld "
                 "of %lld seeds. \"Hard negatives\" is half of it: hard pixels of both classes gain, foreground from "
                 "%.1f %% to %.1f %%, "
                 "background from %.1f %% to %.1f %%. Which class counts is alpha's doing: from 0.1 to 0.9 missed "
                 "foreground goes from "
                 "%.1f %% to %.1f %%.",
                 first.mean, two.mean, (long long)f.falls, (long long)seeds, hp[0].mean, hp[1].mean, hn[0].mean,
                 hn[1].mean, fn_ends[0].mean, fn_ends[1].mean);
}

/* ---- 5: sensitivity and specificity (Eq. 15) ---------------------------------------------------------------- */

static finding weight_of_sensitivity(int claim)
{
    sweep s = {.claim = claim,
               .name = "w",
               .loss = sensitivity_specificity,
               .share = 0.1,
               .n = 5,
               .values = {0.05, 0.25, 0.5, 0.75, 0.95}};
    run_sweep(&s);
    draw_sweep(&s, false);
    finding f = trade(&s, -1);
    size_t used = strlen(f.why);
    snprintf(f.why + used, sizeof f.why - used,
             " Sensitivity is 100 %% less the misses, specificity 100 %% less the false alarms. As printed Eq. 15 is a "
             "score, to be "
             "made large; what was trained on is 1 less it.");
    return f;
}

/* ---- 7: Tversky's weights (Eq. 18) -------------------------------------------------------------------------- */

static finding weights_of_tversky(int claim)
{
    sweep s = {
        .claim = claim, .name = "beta", .loss = tversky, .share = 0.1, .n = 5, .values = {0.1, 0.3, 0.5, 0.7, 0.9}};
    run_sweep(&s);
    draw_sweep(&s, false);
    finding f = trade(&s, 1);
    size_t used = strlen(f.why);
    snprintf(f.why + used, sizeof f.why - used,
             " In Eq. 18 beta weighs false positives; other papers give that letter to false negatives.");
    return f;
}

/* ---- 8: focal Tversky's multiplier (Eq. 19) ----------------------------------------------------------------- */

/* For every image: its TI, and by what its gradient under focal Tversky exceeds that under Tversky. */
static void multipliers(const model *m, const pixels *p, double gamma, double ti[], double ratio[])
{
    gr_tape *t = need(gr_tape_new());
    gr_tensor *z = need(logits_of(t, m, p)), *slope[2];
    const gr_tversky_options plain = {.base = {.from_logits = true, .reduction = GR_NONE}};
    const gr_focal_tversky_options options = {.base = plain.base, .gamma = gamma};
    gr_tensor *loss[2] = {gr_tversky(t, z, p->y, &plain), gr_focal_tversky(t, z, p->y, &options)};
    for (int k = 0; k < 2; k++)
        check(gr_grad(t, need(gr_sum(t, loss[k], GR_ALL_AXES, false)), &z, 1, &slope[k], GR_RETAIN));
    for (int64_t n = 0; n < gr_dim(p->y, 0); n++) {
        double sum[2] = {0, 0};
        for (int k = 0; k < 2; k++)
            for (int64_t i = 0; i < SIDE * SIDE; i++) sum[k] += fabs(gr_get(slope[k], n * SIDE * SIDE + i));
        ti[n] = 1.0 - gr_get(loss[0], n);
        ratio[n] = sum[1] / sum[0];
    }
    gr_tape_free(t);
}

static const double powers[] = {0.5, 0.75, 1, 4.0 / 3.0, 2, 3};
enum { N_POWERS = COUNT(powers), MAX_IMAGES = 64 };

/* For the hardest image of each seed and the easiest: the factor on the gradient by gamma, and TI. */
typedef struct factors {
    double of[2][N_POWERS][MAX_SEEDS], tis[2][MAX_SEEDS];
    double worst;            /* how far the tape is from the formula */
    double favour[N_POWERS]; /* the hardest over the easiest, on average */
} factors;

static void measure_factors(factors *m)
{
    FILE *csv = create_file("04_claim_08_seeds", ".csv");
    fprintf(csv, "gamma,seed,ti,multiplier\n");
    for (int64_t seed = 0; seed < seeds; seed++) {
        trial r = make_trial(seed, 0.1, 0.5);
        model trained = train(&r, tversky, 0.5);
        for (int i = 0; i < N_POWERS; i++) {
            double ti[MAX_IMAGES], ratio[MAX_IMAGES];
            multipliers(&trained, &r.test, powers[i], ti, ratio);
            int64_t at[2] = {0, 0}; /* the hardest image and the easiest */
            for (int64_t n = 0; n < gr_dim(r.test.y, 0); n++) {
                double formula = powers[i] * pow(1.0 - ti[n], powers[i] - 1.0);
                m->worst = fmax(m->worst, fabs(ratio[n] / formula - 1.0));
                at[0] = ti[n] < ti[at[0]] ? n : at[0];
                at[1] = ti[n] > ti[at[1]] ? n : at[1];
                fprintf(csv, "%.6g,%lld,%.6g,%.6g\n", powers[i], (long long)seed, ti[n], ratio[n]);
            }
            for (int k = 0; k < 2; k++) m->of[k][i][seed] = ratio[at[k]], m->tis[k][seed] = ti[at[k]];
        }
        gr_params_free(trained.params);
        free_trial(&r);
    }
    close_file(csv, "04_claim_08_seeds.csv");
}

static void tabulate_factors(int claim, factors *m)
{
    table t = BEGIN_TABLE(claim, 1, "gamma", "factor, hardest image", "factor, easiest image", "ratio");
    for (int i = 0; i < N_POWERS; i++) {
        double over[MAX_SEEDS];
        for (int64_t seed = 0; seed < seeds; seed++) over[seed] = m->of[0][i][seed] / m->of[1][i][seed];
        m->favour[i] = spread_of(over, seeds).mean;
        cell(&t, "%.3g", powers[i]);
        for (int k = 0; k < 2; k++) spread_cell(&t, 3, m->of[k][i], seeds);
        spread_cell(&t, 1, over, seeds);
        end_row(&t);
    }
    end_table(&t);
    printf("\n  TI of the hardest image %.2f, of the easiest %.2f, on average; the tape and gamma (1-TI)^(gamma-1) "
           "agree to %.1e.\n",
           spread_of(m->tis[0], seeds).mean, spread_of(m->tis[1], seeds).mean, m->worst);
}

static void draw_factors(void)
{
    FILE *g = begin_picture("04_claim_08", 460, 340);
    fprintf(
        g,
        "set xlabel 'TI of an image: 1 is a perfect overlap'\nset ylabel 'factor on its gradient'\nset xrange [0:1]\n"
        "set yrange [0:3]\nset key outside right center samplen 1\nplot ");
    static const char *const colours[N_POWERS] = {"#c8553d", "#d9a441", "#888888", "#6a994e", "#2a6f97", "#9673b9"};
    for (int i = 0; i < N_POWERS; i++)
        fprintf(g,
                "%s'04_claim_08_seeds.csv' using (abs($1-%.6g)<1e-4 ? $3 : NaN):4 with points pt 7 ps 0.4 lc rgb '%s' "
                "notitle, \\\n"
                "  %.17g*(1-x)**(%.17g) with lines lw 2 lc rgb '%s' title 'gamma = %.3g'",
                i ? ", \\\n  " : "", powers[i], colours[i], powers[i], powers[i] - 1.0, colours[i], powers[i]);
    fprintf(g, "\n");
    finish_picture(g, "04_claim_08");
}

static finding multiplier_of_focal_tversky(int claim)
{
    factors m = {.worst = 0.0};
    measure_factors(&m);
    tabulate_factors(claim, &m);
    draw_factors();

    if (m.worst > 1e-3)
        return found(FAILS, "The tape's multiplier differs from gamma (1-TI)^(gamma-1) by %.2e.", m.worst);
    bool above = m.favour[4] > 1.0 && m.favour[5] > 1.0, below = m.favour[0] < 1.0 && m.favour[1] < 1.0;
    return found(above && below ? DEPENDS
                 : above        ? HOLDS
                                : FAILS,
                 "A region's gradient is Tversky's times gamma (1-TI)^(gamma-1), so it is a matter of gamma. At gamma "
                 "= 2 the hardest image has "
                 "%.1f times the factor of the easiest, and at gamma = 3 it has %.1f times. At gamma = 3/4, which is "
                 "the exponent 1/(4/3) that focal Tversky was "
                 "published with, it has %.2f times: there the easy images count for more. Below 1 the factor grows "
                 "without bound as TI goes to 1.",
                 m.favour[4], m.favour[5], m.favour[1]);
}

/* ---- 9: KL = cross entropy - entropy (Eq. 9) ---------------------------------------------------------------- */

enum { ROWS = 64, CLASSES = 10 };

/* By seed: the largest differences of the two sides and of their gradients, and the means of what they are made of. */
typedef struct sides {
    double value[MAX_SEEDS], gradient[MAX_SEEDS], kl_mean[MAX_SEEDS], ce_mean[MAX_SEEDS], h_mean[MAX_SEEDS];
} sides;

static void compare_sides(sides *d, int64_t seed, FILE *csv)
{
    gr_rng rng = gr_rng_seed((uint64_t)seed + 1);
    gr_tape *t = need(gr_tape_new());
    gr_tensor *z = need(gr_normal(GR_F64, GR_SHAPE(ROWS, CLASSES), 0.0, 3.0, &rng));
    gr_tensor *y = need(gr_zeros(GR_F64, GR_SHAPE(ROWS, CLASSES)));
    for (int64_t row = 0; row < ROWS; row++) { /* from one class, entropy 0, to all ten */
        int64_t classes = 1 + row % CLASSES;
        double sum = 0.0, v[CLASSES];
        for (int64_t c = 0; c < classes; c++) sum += v[c] = gr_rng_uniform(&rng) + 0.01;
        for (int64_t c = 0; c < classes; c++) check(gr_set(y, row * CLASSES + c, v[c] / sum));
    }
    check(gr_require_grad(z));
    const gr_loss_options each = {.from_logits = true, .reduction = GR_NONE};
    gr_tensor *loss[2] = {gr_kl(t, z, y, &each), gr_cross_entropy(t, z, y, &each)}, *slope[2];
    d->value[seed] = d->gradient[seed] = d->kl_mean[seed] = d->ce_mean[seed] = d->h_mean[seed] = 0.0;
    for (int k = 0; k < 2; k++)
        check(gr_grad(t, need(gr_sum(t, loss[k], GR_ALL_AXES, false)), &z, 1, &slope[k], GR_RETAIN));
    for (int64_t row = 0; row < ROWS; row++) {
        double entropy = 0.0, kl = gr_get(loss[0], row), ce = gr_get(loss[1], row);
        for (int64_t c = 0; c < CLASSES; c++) {
            double p = gr_get(y, row * CLASSES + c);
            if (p > 0.0) entropy -= p * log(p);
        }
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

static void tabulate_sides(int claim, const sides *d)
{
    table t = BEGIN_TABLE(claim, 1, "", "mean +- sd over the seeds");
    const struct {
        const char *what;
        const double *v;
    } rows[] = {{"cross entropy", d->ce_mean}, {"entropy of the target", d->h_mean}, {"KL", d->kl_mean}};
    for (int i = 0; i < COUNT(rows); i++) {
        cell(&t, "%s", rows[i].what);
        spread_cell(&t, 4, rows[i].v, seeds);
        end_row(&t);
    }
    spread v = spread_of(d->value, seeds), g = spread_of(d->gradient, seeds);
    cell(&t, "largest |KL - (CE - H)|");
    cell(&t, "%.2g", v.most);
    end_row(&t);
    cell(&t, "largest difference of gradients");
    cell(&t, "%.2g", g.most);
    end_row(&t);
    end_table(&t);
}

static void draw_sides(void)
{
    FILE *p = begin_picture("04_claim_09", 460, 340);
    fprintf(
        p,
        "set xlabel 'cross entropy less entropy, in nats'\nset ylabel 'KL, in nats'\nset key bottom right\n"
        "set xrange [0:*]\nset yrange [0:*]\n"
        "plot x with lines lw 2 lc rgb '#bbbbbb' title 'equal', \\\n"
        "  '04_claim_09_seeds.csv' using ($3-$4):5 with points pt 7 ps 0.35 lc rgb '#2a6f97' title 'one dot a row'\n");
    finish_picture(p, "04_claim_09");
}

static finding kl_is_cross_entropy_less_entropy(int claim)
{
    sides d;
    FILE *csv = create_file("04_claim_09_seeds", ".csv");
    fprintf(csv, "seed,row,cross_entropy,entropy,kl\n");
    for (int64_t seed = 0; seed < seeds; seed++) compare_sides(&d, seed, csv);
    close_file(csv, "04_claim_09_seeds.csv");
    tabulate_sides(claim, &d);
    draw_sides();
    spread v = spread_of(d.value, seeds), g = spread_of(d.gradient, seeds);
    return found(
        v.most < 1e-12 && g.most < 1e-12 ? HOLDS : FAILS,
        "Over %lld rows the two sides differ by at most %.2g and the gradients by at most %.2g, which is rounding. The "
        "entropy of the target does "
        "not depend on the weights, so training cannot tell the two losses apart.",
        (long long)seeds * ROWS, v.most, g.most);
}

/* ---- 10: the 0-1 loss (Eq. 3) ------------------------------------------------------------------------------- */

enum { STAIRS, HINGE, LOGISTIC, N_STAIRS };
static const char *const stair_names[N_STAIRS] = {"0-1", "hinge", "BCE"};

/* The three losses of Eq. 3 to 5 of a score; hinge wants its targets as -1 and +1. */
static gr_tensor *loss_of_score(gr_tape *t, int which, gr_tensor *z, gr_tensor *y)
{
    if (which == STAIRS) return gr_zero_one(t, z, y, &from_logits);
    if (which == LOGISTIC) return gr_bce(t, z, y, &from_logits);
    return gr_hinge(t, z, gr_shift(t, gr_scale(t, y, 2.0), -1.0), NULL);
}

typedef struct points {
    gr_tensor *x, *y;
} points;

static points make_points(int64_t seed, int64_t n)
{
    gr_rng rng = gr_rng_seed((uint64_t)seed + 1);
    gr_dataset *set = need(gr_make_blobs(n, 1.0, &rng));
    points p = {.x = need(gr_copy(gr_dataset_x(set))), .y = need(gr_zeros(GR_F32, GR_SHAPE(n, 1)))};
    for (int64_t i = 0; i < n; i++) check(gr_set(p.y, i, gr_get(gr_dataset_y(set), i)));
    gr_dataset_free(set);
    return p;
}

static void free_points(points *p)
{
    gr_tensor_free(p->x);
    gr_tensor_free(p->y);
}

enum { SGD, MOMENTUM, ADAM, RMSPROP, N_OPTIMIZERS };

static gr_optimizer *make_optimizer(int kind, gr_params *params)
{
    switch (kind) {
    case SGD: return gr_sgd(params, &(gr_sgd_options){.lr = 0.1});
    case MOMENTUM: return gr_sgd(params, &(gr_sgd_options){.lr = 0.1, .momentum = 0.9});
    case ADAM: return gr_adam(params, &(gr_adam_options){.lr = 0.1});
    default: return gr_rmsprop(params, &(gr_rmsprop_options){.lr = 0.1});
    }
}

/* Trains a hundred steps; returns how many of the weights are not the same bits as before. */
static double weights_moved(int which, int kind, int64_t seed)
{
    enum { WEIGHTS = 2 };
    points p = make_points(seed, 200);
    gr_rng rng = gr_rng_seed((uint64_t)seed + 100);
    gr_params *params = need(gr_params_new());
    gr_tensor *w = need(gr_params_add(params, "w", gr_normal(GR_F32, GR_SHAPE(WEIGHTS, 1), 0.0, 0.5, &rng)));
    gr_tensor *b = need(gr_params_add(params, "b", gr_normal(GR_F32, GR_SHAPE(1), 0.0, 0.5, &rng)));
    gr_tensor *before[2] = {need(gr_copy(w)), need(gr_copy(b))}, *after[2] = {w, b};
    gr_optimizer *optimizer = need(make_optimizer(kind, params));
    gr_tape *t = need(gr_tape_new());
    for (int step = 0; step < 100; step++) {
        gr_tensor *z = gr_linear(t, p.x, w, b);
        check(gr_backward(t, need(loss_of_score(t, which, z, p.y)), 0));
        check(gr_step(optimizer));
        gr_tape_reset(t);
    }
    double moved = 0.0;
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; i < gr_size(after[k]); i++)
            moved += memcmp(gr_read_f32(before[k]) + i, gr_read_f32(after[k]) + i, sizeof(float)) != 0;
    gr_tape_free(t);
    gr_optimizer_free(optimizer);
    gr_tensor_free(before[0]);
    gr_tensor_free(before[1]);
    gr_params_free(params);
    free_points(&p);
    return moved;
}

/* The losses along a line of weights: z = w (x1 + x2) + 0.3, w from -3 to 3. Returns at how many of the inner places a
 * loss lies above the middle of its neighbours, which a convex function never does. */
static void walk_stairs(int64_t seed, FILE *csv, double above[N_STAIRS], double *jumps)
{
    enum { PLACES = 601 };
    static double l[N_STAIRS][PLACES];
    points p = make_points(seed, 40);
    gr_tape *t = need(gr_tape_new());
    gr_set_recording(t, false);
    gr_tensor *b = need(gr_full(GR_F32, GR_SHAPE(1), 0.3));
    *jumps = 0.0;
    for (int i = 0; i < PLACES; i++) {
        gr_tensor *w = need(gr_full(GR_F32, GR_SHAPE(2, 1), -3.0 + 0.01 * i));
        gr_tensor *z = gr_linear(t, p.x, w, b);
        for (int k = 0; k < N_STAIRS; k++) l[k][i] = gr_item(need(loss_of_score(t, k, z, p.y)));
        if (csv) fprintf(csv, "%.2f,%.9g,%.9g,%.9g\n", -3.0 + 0.01 * i, l[STAIRS][i], l[HINGE][i], l[LOGISTIC][i]);
        *jumps += i && l[STAIRS][i] != l[STAIRS][i - 1];
        gr_tape_reset(t);
        gr_tensor_free(w);
    }
    for (int k = 0; k < N_STAIRS; k++) {
        above[k] = 0.0;
        for (int i = 1; i + 1 < PLACES; i++)
            above[k] += l[k][i] > 0.5 * (l[k][i - 1] + l[k][i + 1]) + 1e-5; /* F32 rounds */
    }
    gr_tensor_free(b);
    gr_tape_free(t);
    free_points(&p);
}

static finding staircase(int claim)
{
    double moved[N_STAIRS][MAX_SEEDS] = {{0}}, above[N_STAIRS][MAX_SEEDS], jumps[MAX_SEEDS];
    FILE *csv = create_file("04_claim_10", "_stairs.csv");
    fprintf(csv, "w,zero_one,hinge,bce\n");
    for (int64_t seed = 0; seed < seeds; seed++) {
        double a[N_STAIRS];
        walk_stairs(seed, seed ? NULL : csv, a, &jumps[seed]);
        for (int k = 0; k < N_STAIRS; k++) {
            above[k][seed] = a[k];
            for (int kind = 0; kind < N_OPTIMIZERS; kind++) moved[k][seed] += weights_moved(k, kind, seed);
        }
    }
    close_file(csv, "04_claim_10_stairs.csv");
    table t = BEGIN_TABLE(claim, 1, "loss", "weights moved, of 12", "places that are not convex");
    for (int k = 0; k < N_STAIRS; k++) {
        cell(&t, "%s", stair_names[k]);
        spread_cell(&t, 1, moved[k], seeds);
        spread_cell(&t, 1, above[k], seeds);
        end_row(&t);
    }
    end_table(&t);
    FILE *g = begin_picture("04_claim_10", 460, 340);
    fprintf(
        g,
        "set xlabel 'weight w of z = w (x_1 + x_2) + 0.3'\nset ylabel 'mean loss of 40 points'\nset yrange [0:3]\nset "
        "key top right\n"
        "plot '04_claim_10_stairs.csv' using 1:2 with steps lw 2 lc rgb '#c8553d' title '0-1: flat, with jumps', \\\n"
        "  '' using 1:3 with lines lw 2 lc rgb '#d9a441' title 'hinge', \\\n"
        "  '' using 1:4 with lines lw 2 lc rgb '#2a6f97' title 'BCE'\n");
    finish_picture(g, "04_claim_10");
    spread still = spread_of(moved[STAIRS], seeds), j = spread_of(jumps, seeds);
    bool stuck = still.most == 0.0,
         others = spread_of(moved[HINGE], seeds).least > 0.0 && spread_of(moved[LOGISTIC], seeds).least > 0.0;
    bool shape = spread_of(above[STAIRS], seeds).least > 0.0 && spread_of(above[HINGE], seeds).most == 0.0 &&
                 spread_of(above[LOGISTIC], seeds).most == 0.0;
    return found(stuck && others && shape ? HOLDS : FAILS,
                 "A hundred steps each of plain descent, momentum, Adam and RMSProp change %s bit of the weights under "
                 "the 0-1 loss, in %lld "
                 "seeds; under hinge and BCE they move. Along a line of weights it jumps %.0f +- %.0f times and is "
                 "flat in between: the gradient is 0 "
                 "wherever there is one. Hinge and BCE are convex there. (Weight decay would move the weights, but "
                 "that is not the loss.)",
                 stuck ? "not one" : "some", (long long)seeds, j.mean, j.sd);
}

/* ---- 11: convexity in the weight of a sigmoid neuron -------------------------------------------------------- */

typedef struct curve {
    double loss, slope, curvature;
} curve;

/* A loss of the neuron sigma(w x) on a data set, with its first two derivatives in w: by gr_grad, twice. */
static curve look_at(double w0, const double x0[], const double y0[], int64_t n, bool mse)
{
    gr_tape *t = need(gr_tape_new());
    gr_tensor *w = need(gr_scalar(GR_F64, w0)), *x = need(gr_from(GR_F64, GR_SHAPE(n), x0)),
              *y = need(gr_from(GR_F64, GR_SHAPE(n), y0));
    check(gr_require_grad(w));
    gr_tensor *z = gr_mul(t, w, x), *first, *second;
    gr_tensor *loss = mse ? gr_mse(t, gr_sigmoid(t, z), y, NULL) : gr_bce(t, z, y, &from_logits);
    check(gr_grad(t, need(loss), &w, 1, &first, GR_CREATE_GRAPH));
    check(gr_grad(t, first, &w, 1, &second, GR_RETAIN));
    curve c = {gr_item(loss), gr_item(first), gr_item(second)};
    gr_tape_free(t);
    gr_tensor_free(y);
    gr_tensor_free(x);
    gr_tensor_free(w);
    return c;
}

/* Where, between two places, the first or second derivative changes its sign: by halving. */
static double zero_between(double lo, double hi, bool second, const double x[], const double y[], int64_t n, bool mse)
{
    curve at = look_at(lo, x, y, n, mse);
    bool sign = (second ? at.curvature : at.slope) > 0.0;
    for (int i = 0; i < 60; i++) {
        double middle = 0.5 * (lo + hi);
        at = look_at(middle, x, y, n, mse);
        if (((second ? at.curvature : at.slope) > 0.0) == sign) lo = middle;
        else hi = middle;
    }
    return 0.5 * (lo + hi);
}

enum { MAX_MINIMA = 8 };

/* Minima in w between two bounds, found where the slope turns from below 0 to above; and whether it ever curves down.
 */
static int minima_of(const double x[], const double y[], int64_t n, bool mse, double lo, double hi, double minima[],
                     bool *curves_down, FILE *csv)
{
    const int places = quick ? 300 : 900;
    int count = 0;
    double before = 1.0, w_before = lo;
    *curves_down = false;
    for (int i = 0; i <= places; i++) {
        double w = lo + (hi - lo) * i / places;
        curve c = look_at(w, x, y, n, mse);
        *curves_down |= c.curvature < -1e-12;
        if (before < 0.0 && c.slope >= 0.0 && count < MAX_MINIMA)
            minima[count++] = zero_between(w_before, w, false, x, y, n, mse);
        before = c.slope, w_before = w;
        if (csv)
            fprintf(csv, "%s,%.6g,%.9g,%.9g,%.9g\n", mse ? "MSE" : "cross entropy", w, c.loss, c.slope, c.curvature);
    }
    return count;
}

/* Is that data set a curiosity? Sets of three points drawn at random: for how many each loss is not convex, and has
 * several minima. */
static void try_random_sets(int claim, int64_t sets, int64_t not_convex[2], int64_t several[2])
{
    for (int64_t set = 0; set < sets; set++) {
        gr_rng rng = gr_rng_seed((uint64_t)set + 1);
        double xs[3], ys[3], found_at[MAX_MINIMA];
        for (int i = 0; i < 3; i++) xs[i] = 3.0 * gr_rng_normal(&rng), ys[i] = (double)gr_rng_below(&rng, 2);
        for (int mse = 0; mse < 2; mse++) {
            bool curves_down;
            several[mse] += minima_of(xs, ys, 3, mse, -10.0, 10.0, found_at, &curves_down, NULL) > 1;
            not_convex[mse] += curves_down;
        }
    }
    table t = BEGIN_TABLE(claim, 2, "loss", "random sets", "curves down somewhere", "has several minima");
    for (int mse = 1; mse >= 0; mse--) {
        cell(&t, "%s", mse ? "MSE" : "cross entropy");
        cell(&t, "%lld", (long long)sets);
        cell(&t, "%lld", (long long)not_convex[mse]);
        cell(&t, "%lld", (long long)several[mse]);
        end_row(&t);
    }
    end_table(&t);
}

static void draw_curves(void)
{
    FILE *g = begin_picture("04_claim_11", 460, 340);
    fprintf(g, "set xlabel 'weight w'\nset ylabel 'MSE'\nset y2label 'cross entropy'\nset xrange [-5:30]\nset yrange "
               "[0:0.7]\nset y2range [0:14]\n"
               "set y2tics textcolor rgb '#333333'\nset border 11\nset key bottom right\n"
               "plot '04_claim_11_curves.csv' using (strcol(1) eq 'MSE' ? $2 : NaN):3 with lines lw 3 lc rgb '#c8553d' "
               "title 'MSE: two minima', \\\n"
               "  '' using (strcol(1) eq 'MSE' ? NaN : $2):3 axes x1y2 with lines lw 3 lc rgb '#2a6f97' title 'cross "
               "entropy, right axis: one'\n");
    finish_picture(g, "04_claim_11");
}

static finding convexity(int claim)
{
    static const double x[] = {10, 0.1, 0.02}, y[] = {0, 1, 0}, one = 1.0, zero = 0.0;
    double turns_at = zero_between(-2.0, 5.0, true, &one, &zero, 1, true), turns = 1.0 / (1.0 + exp(-turns_at));
    printf("\n  x = 1, y = 0: by gr_grad twice d2MSE/dz2 changes its sign at z = %.9f, where sigma = %.9f (2/3)\n",
           turns_at, turns);

    FILE *csv = create_file("04_claim_11", "_curves.csv");
    fprintf(csv, "loss,w,value,slope,curvature\n");
    double minima[2][MAX_MINIMA];
    int count[2];
    bool down[2];
    table t = BEGIN_TABLE(claim, 1, "loss", "minimum at w", "loss there", "curvature there");
    for (int mse = 1; mse >= 0; mse--) {
        count[mse] = minima_of(x, y, 3, mse, -5.0, 40.0, minima[mse], &down[mse], csv);
        for (int i = 0; i < count[mse]; i++) {
            curve c = look_at(minima[mse][i], x, y, 3, mse);
            cell(&t, "%s", mse ? "MSE" : "cross entropy");
            cell(&t, "%.4f", minima[mse][i]);
            cell(&t, "%.4f", c.loss);
            cell(&t, "%.2e", c.curvature);
            end_row(&t);
        }
    }
    end_table(&t);
    close_file(csv, "04_claim_11_curves.csv");

    int64_t not_convex[2] = {0, 0}, several[2] = {0, 0};
    const int64_t sets = 10 * seeds;
    try_random_sets(claim, sets, not_convex, several);

    draw_curves();

    curve at[3] = {look_at(minima[1][0], x, y, 3, true), look_at(count[1] > 1 ? minima[1][1] : 0.0, x, y, 3, true),
                   look_at(minima[0][0], x, y, 3, false)};
    bool known = count[1] == 2 && count[0] == 1 && fabs(minima[1][0] + 0.34) < 0.01 &&
                 fabs(at[0].loss - 0.169) < 1e-3 && fabs(minima[1][1] - 14.8) < 0.1 &&
                 fabs(at[1].loss - 0.454) < 1e-3 && fabs(minima[0][0] + 0.55) < 0.01;
    bool convex = !down[0] && !not_convex[0], turns_right = fabs(turns - 2.0 / 3.0) < 1e-9;
    return found(known && convex && turns_right && down[1] ? HOLDS : FAILS,
                 "MSE's curvature changes its sign at sigma = %.6f. On {(10,0), (0.1,1), (0.02,0)} MSE has a minimum "
                 "of %.3f at w = %.2f and another, of "
                 "%.3f, at w = %.1f, where gradient descent from a large w ends; cross entropy has one, at w = %.2f. "
                 "Of %lld random sets of three points "
                 "MSE is not convex on %lld and has a second minimum on %lld: such a set has to be looked for. Cross "
                 "entropy is convex on all but %lld.",
                 turns, at[0].loss, minima[1][0], at[1].loss, count[1] > 1 ? minima[1][1] : (double)NAN, minima[0][0],
                 (long long)sets, (long long)not_convex[1], (long long)several[1], (long long)not_convex[0]);
}

/* ---- The table of claims ------------------------------------------------------------------------------------ */

typedef struct claim {
    const char *title, *equation, *sentence, *run;
    finding (*test)(int claim);
    bool robust; /* the lesson fails unless it holds */
} claim;

static const claim claims[] = {
    {"MSE stalls where the sigmoid is saturated", "Eq. 7: dMSE/dw = 2 (p - y) sigma'(z) x;  Eq. 8: dCE/dw = (p - y) x",
     "Through a saturated sigmoid the squared error's gradient vanishes and learning slows down; cross entropy's "
     "gradient is the "
     "distance from the target, so that it learns the faster the more wrong it is.",
     "The gradients at z from 0 to 40, target 0; and one neuron trained with steps of 0.15 from random saturated "
     "starts.",
     saturation, true},
    {"W-BCE: beta trades misses for false alarms", "Eq. 10: -(beta y log p + (1-y) log(1-p))",
     "The weight beta tunes false negatives against false positives: above 1 there are fewer false negatives, below 1 "
     "fewer false positives.",
     "The pixel classifier at 10 % foreground for beta of 0.2, 1, 5, 20; held-out images.", beta_of_weighted_bce, true},
    {"B-BCE on skewed data", "Eq. 11: -(beta y log p + (1-beta)(1-y) log(1-p)), beta = 1 - (sum of y)/(H W)",
     "Balanced cross entropy weighs both classes by the other's share, which is meant for skewed data, where plain BCE "
     "is for balanced classes.",
     "BCE against B-BCE where 3 % of the pixels are foreground; held-out images, threshold p = 1/2 and tuned.",
     balanced_against_plain, false},
    {"Focal loss looks away from easy pixels",
     "Eq. 14: -(alpha (1-p)^gamma y log p + (1-alpha) p^gamma (1-y) log(1-p))",
     "The focusing parameter gamma down-weights easy examples, so that the loss looks at the hard ones (the paper: "
     "hard negatives); alpha balances the classes.",
     "A classifier trained with BCE at 10 % foreground. Then the share of the gradient |dl/dz| of held-out pixels that "
     "comes from the easy "
     "ones (p_t > 0.9) and from those it gets wrong, for gamma of 0, 0.5, 1, 2, 5 at alpha 1/2. And training with "
     "alpha from 0.1 to 0.9.",
     focal_and_easy_pixels, false},
    {"Sensitivity against specificity", "Eq. 15: w TP/(TP+FN) + (1-w) TN/(TN+FP)",
     "The weight w moves sensitivity against specificity, for where true positives matter.",
     "The pixel classifier at 10 % foreground for w from 0.05 to 0.95; held-out images.", weight_of_sensitivity, false},
    {"Dice where foreground is rare", "Eq. 17: 1 - (2 TP + e)/(sum of p + sum of y + e)",
     "A loss of the overlap does not drown in background as BCE does. It should be ahead at 3 % foreground, and about "
     "even at 20 %.",
     "BCE against Dice at 3 % and at 20 % foreground; held-out images, threshold p = 1/2 and tuned.", dice_against_bce,
     false},
    {"Tversky: beta trades false alarms for misses", "Eq. 18: 1 - (TP + e)/(TP + beta FP + (1-beta) FN + e)",
     "Dice with weights: beta on the false positives, 1-beta on the false negatives. The larger beta, the fewer false "
     "positives.",
     "The pixel classifier at 10 % foreground for beta from 0.1 to 0.9; held-out images.", weights_of_tversky, true},
    {"Focal Tversky and hard regions", "Eq. 19: sum over c of (1 - TI_c)^gamma",
     "The exponent makes the loss learn more from hard examples.",
     "A classifier trained with Tversky on images of which half have a quarter of the contrast. On each held-out "
     "image: by how much focal Tversky's gradient "
     "is larger than Tversky's.",
     multiplier_of_focal_tversky, false},
    {"KL is cross entropy less entropy", "Eq. 9: KL = CE - H(y)",
     "The Kullback-Leibler divergence is the cross entropy minus the entropy of the target.",
     "64 random rows of ten classes a seed, targets over one to ten of them, F64.", kl_is_cross_entropy_less_entropy,
     true},
    {"Nothing trains on the 0-1 loss", "Eq. 3: 1 where the label is wrong, 0 where it is right",
     "The 0-1 loss is not convex and not continuous. So it gives a gradient nothing to go by.",
     "A linear classifier of points in the plane: a hundred steps of four optimizers, weights compared bit by bit; and "
     "the losses along a line of weights.",
     staircase, true},
    {"MSE is not convex in a sigmoid neuron's weight", "Eq. 2 and 5 of p = sigma(w x)",
     "What the discussion under Eq. 6 leaves out, and textbooks add: through a sigmoid MSE is not convex in the weight "
     "and can have false minima; cross entropy is convex.",
     "The second derivative by gr_grad twice; a data set of three points scanned for minima; random sets of three "
     "points.",
     convexity, true},
};

/* What the experiment found, for whoever reads the folder later: DIR/04_claim_NN.csv. */
static void log_finding(int number, const claim *c, const finding *f)
{
    char name[40];
    snprintf(name, sizeof name, "04_claim_%02d", number);
    FILE *csv = create_file(name, ".csv");
    const struct {
        const char *what, *text;
    } rows[] = {
        {"title", c->title},
        {"equation", c->equation},
        {"claim", c->sentence},
        {"run", c->run},
        {"verdict", verdict_names[f->verdict]},
        {"why", f->why},
    };
    fprintf(csv, "what,text\n");
    for (int i = 0; i < COUNT(rows); i++) {
        fprintf(csv, "%s,\"", rows[i].what);
        for (const char *s = rows[i].text; *s; s++) fprintf(csv, *s == '"' ? "\"\"" : "%c", *s);
        fprintf(csv, "\"\n");
    }
    fprintf(csv, "seeds,%lld\n", (long long)seeds);
    close_file(csv, name);
}

/* Prose in lines of at most 100 characters. */
static void print_wrapped(const char *head, const char *text)
{
    int column = printf("  %-8s", head);
    while (*text) {
        int word = (int)strcspn(text, " ");
        if (column + word > 105) column = printf("\n%10s", "") - 1;
        column += printf(" %.*s", word, text);
        text += word;
        text += strspn(text, " ");
    }
    printf("\n");
}

int main(int argc, char *argv[])
{
    int64_t only = 0, wanted_seeds = 0;
    const option options[] = {
        {"--claim", "N", "this one alone, 1 to 11", INTEGER, &only, 1, COUNT(claims)},
        {"--seeds", "N", "runs of each experiment (8, in the short form 3)", INTEGER, &wanted_seeds, 2, MAX_SEEDS},
    };
    read_options(argc, argv, "Lesson 4: eleven claims of the paper about its losses, each put to the test.", options,
                 COUNT(options));
    seeds = wanted_seeds ? wanted_seeds : quick ? 3 : 8;

    finding findings[COUNT(claims)];
    printf(
        "Lesson 4: the paper's claims, with %lld seeds each; numbers are mean +- standard deviation over the seeds.\n",
        (long long)seeds);
    for (int i = 0; i < COUNT(claims); i++) {
        if (only && only != i + 1) continue;
        const claim *c = &claims[i];
        printf("\n---- %d. %s\n\n", i + 1, c->title);
        print_wrapped("", c->equation);
        print_wrapped("claim:", c->sentence);
        print_wrapped("run:", c->run);
        findings[i] = c->test(i + 1);
        log_finding(i + 1, c, &findings[i]);
        printf("\n");
        char head[20];
        snprintf(head, sizeof head, "%s:", verdict_names[findings[i].verdict]);
        print_wrapped(head, findings[i].why);
    }
    printf("\n");
    int wrong = 0;
    for (int i = 0; i < COUNT(claims); i++) {
        if (only && only != i + 1) continue;
        bool bad = claims[i].robust && findings[i].verdict != HOLDS;
        printf("%3d  %-8s %s%s\n", i + 1, verdict_names[findings[i].verdict], claims[i].title,
               bad ? "   <- expected to hold" : "");
        wrong += bad;
    }
    if (wrong) fail("%d of the claims that are expected to hold did not", wrong);
    return 0;
}
