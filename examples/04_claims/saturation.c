/* saturation.c: claim 1, a saturated sigmoid (Eq. 7 and 8): gradients by how saturated it is, and the steps of a
 * training from saturated starts. */
#include "claims.h"

enum { CROSS_ENTROPY, MSE };
static const char *const loss_names[2] = {"cross entropy", "MSE"};

/* ---- Gradients ---------------------------------------------------------------------------------------------- */

static gr_tensor *mse_of(gr_tape *t, gr_tensor *z, gr_tensor *y) { return gr_mse(t, gr_sigmoid(t, z), y, NULL); }

static gr_tensor *cross_entropy_of(gr_tape *t, gr_tensor *z, gr_tensor *y) { return gr_bce(t, z, y, &from_logits); }

/* Cross entropy where the output is not a sigmoid but Phi(z), of the normal distribution. */
static gr_tensor *cross_entropy_of_normal_cdf(gr_tape *t, gr_tensor *z, gr_tensor *y)
{
    return gr_bce(t, gr_normal_cdf(t, z), y, NULL);
}

/* dl/dz of a neuron that should say 0, by the tape. */
static double slope_at(double at, gr_tensor *loss_of(gr_tape *t, gr_tensor *z, gr_tensor *y))
{
    gr_tape *t = need(gr_tape_new());
    gr_tensor *z = need(gr_scalar(GR_F64, at)), *y = need(gr_scalar(GR_F64, 0.0));
    check(gr_require_grad(z));
    check(gr_backward(t, loss_of(t, z, y), 0));
    double slope = gr_item(gr_gradient(z));
    gr_tensor_free(z);
    gr_tensor_free(y);
    gr_tape_free(t);
    return slope;
}

/* Returns the largest |dCE/dz - (p - y)|. */
static double tabulate_slopes(experiment *e)
{
    static const double zs[] = {0, 2, 4, 8, 16, 32, 40};
    table t = BEGIN_TABLE(e, 1, "z", "gradient of MSE", "of cross entropy", "ratio", "1 / (2 sigma'(z))");
    double largest = 0.0;
    for (int i = 0; i < COUNT(zs); i++) {
        double z = zs[i], mse = slope_at(z, mse_of), ce = slope_at(z, cross_entropy_of), p = 1.0 / (1.0 + exp(-z));
        largest = fmax(largest, fabs(ce - p)); /* y is 0 */
        cell(&t, "%g", z);
        cell(&t, mse == 0.0 ? "0" : "%.2e", mse);
        cell(&t, "%.6f", ce);
        cell(&t, mse == 0.0 ? "MSE's is 0" : "%.4g", ce / mse);
        cell(&t, "%.4g", 0.5 * exp(z) * (1.0 + exp(-z)) * (1.0 + exp(-z)));
    }
    end_table(&t);
    return largest;
}

/* ---- Training ----------------------------------------------------------------------------------------------- */

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
            fprintf(csv, "%s,%lld,%lld,%.6g\n", loss_names[mse], (long long)seed, (long long)step + 1, p);
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

static void train_from_saturated_starts(const experiment *e, double steps[2][MAX_SEEDS])
{
    FILE *csv = create_csv(name_of(e, "_seeds").text, "loss,seed,step,output");
    for (int64_t seed = 0; seed < seeds; seed++) {
        gr_rng rng = gr_rng_seed((uint64_t)seed + 1);
        double w = 1.0 + 1.5 * gr_rng_uniform(&rng), b = 1.0 + 2.0 * gr_rng_uniform(&rng);
        for (int mse = 0; mse < 2; mse++) steps[mse][seed] = steps_to_learn(mse, seed, w, b, csv);
    }
    close_file(csv, "04_claim_01_seeds.csv");
}

static void tabulate_steps(experiment *e, double steps[2][MAX_SEEDS])
{
    table t = BEGIN_TABLE(e, 2, "<loss", "steps until the output is below 0.1", "fewest", "most");
    for (int mse = 1; mse >= 0; mse--) {
        const spread s = spread_of(steps[mse]);
        cell(&t, "%s", loss_names[mse]);
        spread_cell(&t, 0, steps[mse]);
        cell(&t, "%g", s.least);
        cell(&t, "%g", s.most);
    }
    end_table(&t);
}

static void draw(experiment *e)
{
    static const char *const titles[2] = {"title 'cross entropy, one line a start'", "title 'MSE, one line a start'"};
    FILE *g = begin_claim_plot(e);
    fprintf(g, "set xlabel 'step of gradient descent, logarithmic'\nset ylabel 'output (target: 0)'\nset logscale x\n"
               "set yrange [0:1.45]\nset ytics 0,0.2,1\nset key top right\nplot ");
    for (int mse = 0; mse < 2; mse++)
        for (int64_t seed = 0; seed < seeds; seed++)
            fprintf(g,
                    "'04_claim_01_seeds.csv' using (strcol(1) eq '%s' && $2==%lld ? $3 : NaN):4 "
                    "with lines lw 1.5 lc rgb '%s' %s, \\\n  ",
                    loss_names[mse], (long long)seed, mse ? RED : BLUE, seed ? "notitle" : titles[mse]);
    fprintf(g, "0.1 with lines dt 2 lc rgb '" GREY "' title 'goal: below 0.1'\n");
    end_claim_plot(e, g);
}

static finding test(experiment *e)
{
    const double from_p_less_y = tabulate_slopes(e);
    double steps[2][MAX_SEEDS], ratio[MAX_SEEDS];
    train_from_saturated_starts(e, steps);
    tabulate_steps(e, steps);
    draw(e);

    int64_t faster = 0;
    for (int64_t seed = 0; seed < seeds; seed++) {
        ratio[seed] = steps[MSE][seed] / steps[CROSS_ENTROPY][seed];
        faster += ratio[seed] > 1.0;
    }
    const spread by = spread_of(ratio);
    bool vanishes = slope_at(40.0, mse_of) == 0.0 && slope_at(40.0, cross_entropy_of) == 1.0;
    return found(vanishes && from_p_less_y < 1e-15 && faster == seeds ? HOLDS : FAILS,
                 "At z = 8 MSE has a gradient of %.2g where cross entropy has %.4f; "
                 "at z = 40 it has 0 and will never move. "
                 "Cross entropy learns faster in %lld of %lld starts, by a factor of %.1f +- %.1f. "
                 "\"Not relevant to the activation function\" is true of the sigmoid, "
                 "whose slope the logarithm cancels: with the normal distribution's Phi(z) as the output, "
                 "cross entropy's gradient at z = 4 is %.2f and not %.2f.",
                 slope_at(8.0, mse_of), slope_at(8.0, cross_entropy_of), (long long)faster, (long long)seeds, by.mean,
                 by.sd, slope_at(4.0, cross_entropy_of_normal_cdf), slope_at(4.0, cross_entropy_of));
}

const claim claim_saturation = {
    .title = "MSE stalls where the sigmoid is saturated",
    .equation = "Eq. 7: dMSE/dw = 2 (p - y) sigma'(z) x;  Eq. 8: dCE/dw = (p - y) x",
    .sentence = "Through a saturated sigmoid the squared error's gradient vanishes and learning slows down; "
                "cross entropy's gradient is the distance from the target, "
                "so that it learns the faster the more wrong it is.",
    .run = "The gradients at z from 0 to 40, target 0; "
           "and one neuron trained with steps of 0.15 from random saturated starts.",
    .test = test,
    .robust = true,
};
