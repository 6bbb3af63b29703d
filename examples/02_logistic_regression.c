/* Lesson 2, logistic regression: MSE against cross entropy on data, a table or images of your own or generated points.
 *
 * The model is one layer: logits z = x W + b, and of them probabilities p, by the sigmoid for two classes (one output)
 * and by the softmax for more (one output each). It is trained four times on the same batches in the same order with
 * the same steps of plain gradient descent: with MSE on p and with cross entropy, from an ordinary start (small
 * weights, b = 0) and from a saturated one (the same weights, but b so large that it is certain of one class whatever
 * it sees).
 *
 * Lesson 1 says what to expect: from the ordinary start both learn; from the saturated one cross entropy recovers, and
 * MSE, whose gradient is multiplied by the near-zero slope of the output, comes late or not at all. Accuracy is
 * measured on samples that training never sees. */
#include "02_logistic_regression/regression.h"

/* ---- The model and its two losses --------------------------------------------------------------------------- */

const char *const loss_names[N_LOSSES] = {"MSE", "cross entropy"};
const char *const start_names[N_STARTS] = {"ordinary", "saturated"};

static model make_model(const data *d, int start, double bias, gr_rng rng)
{
    model m = {.params = need(gr_params_new())};
    m.w = need(gr_params_add(m.params, "w", gr_normal(GR_F32, GR_SHAPE(d->features, d->outputs), 0.0, 0.01, &rng)));
    m.b = need(gr_params_add(m.params, "b", gr_zeros(GR_F32, GR_SHAPE(d->outputs))));
    if (start == SATURATED) check(gr_set(m.b, d->outputs - 1, bias)); /* certain of the last class */
    return m;
}

static gr_tensor *logits_of(gr_tape *t, const model *m, gr_tensor *x) { return gr_linear(t, x, m->w, m->b); }

/* Both are means over the samples: Eq. 2 is summed over the classes as Eq. 6 is. */
static gr_tensor *loss_of(gr_tape *t, int which, gr_tensor *z, gr_tensor *y)
{
    const gr_loss_options from_logits = {.from_logits = true};
    bool two = gr_dim(z, 1) == 1;
    if (which == CROSS_ENTROPY) return two ? gr_bce(t, z, y, &from_logits) : gr_cross_entropy(t, z, y, &from_logits);
    gr_tensor *p = two ? gr_sigmoid(t, z) : gr_softmax(t, z, 1);
    return gr_scale(t, gr_mse(t, p, y, NULL), (double)gr_dim(y, 1));
}

/* ---- Measuring ---------------------------------------------------------------------------------------------- */

/* The accuracy, in percent; with `loss` also the mean loss. */
static double measure(gr_tape *t, const model *m, int which, const gr_dataset *set, double *loss)
{
    bool was_recording = gr_set_recording(t, false); /* nothing to differentiate */
    gr_tensor *y = gr_dataset_y(set), *z = need(logits_of(t, m, gr_dataset_x(set)));
    const int64_t n = gr_dim(z, 0), outputs = gr_dim(z, 1);
    const float *predicted = gr_read_f32(z), *truth = gr_read_f32(y);
    int64_t right = 0;
    for (int64_t i = 0; i < n; i++)
        right += class_of(predicted + i * outputs, outputs, 0.0f) == class_of(truth + i * outputs, outputs, 0.5f);
    if (loss) *loss = gr_item(need(loss_of(t, which, z, y)));
    gr_tape_reset(t);
    gr_set_recording(t, was_recording);
    return 100.0 * (double)right / (double)n;
}

/* ---- Training ----------------------------------------------------------------------------------------------- */

static void train_epoch(gr_tape *t, const model *m, int which, gr_batches *batches, gr_optimizer *sgd)
{
    while (gr_batches_next(batches)) {
        gr_tensor *z = logits_of(t, m, gr_batch_x(batches));
        gr_tensor *loss = need(loss_of(t, which, z, gr_batch_y(batches)));
        check(gr_backward(t, loss, 0)); /* dl/dw and dl/db */
        check(gr_step(sgd));            /* w <- w - rate dl/dw, and b likewise */
        gr_tape_reset(t);
    }
}

/* One of the four runs. They get the same `rng`: the same first weights, the same batches. */
static run train(const data *d, int which, int start, const plan *p, gr_rng rng)
{
    run r = {.m = make_model(d, start, p->bias, gr_rng_split(&rng)),
             .history = calloc((size_t)p->epochs + 1, sizeof(point))};
    if (!r.history) fail("out of memory");
    gr_tape *t = need(gr_tape_new());
    gr_optimizer *sgd = need(gr_sgd(r.m.params, &(gr_sgd_options){.lr = p->rate}));
    gr_batches *batches = need(gr_batches_new(d->train, p->batch, &rng));
    for (int64_t epoch = 0; epoch <= p->epochs; epoch++) {
        point *h = &r.history[epoch];
        h->train = measure(t, &r.m, which, d->train, &h->loss);
        h->test = measure(t, &r.m, which, d->test, NULL);
        if (!isfinite(h->loss))
            fail("%s: the loss is %g after epoch %lld: try a smaller --rate", loss_names[which], h->loss,
                 (long long)epoch);
        if (epoch == p->epochs) break;
        progress("%s, %s start: epoch %lld of %lld", loss_names[which], start_names[start], (long long)epoch + 1,
                 (long long)p->epochs);
        train_epoch(t, &r.m, which, batches, sgd);
    }
    end_progress();
    gr_batches_free(batches);
    gr_optimizer_free(sgd);
    gr_tape_free(t);
    return r;
}

/* ---- Reporting ---------------------------------------------------------------------------------------------- */

/* 0, 1, 2, 5, 10, 20, 50, 100, ... and the last. */
static bool is_shown(int64_t epoch, int64_t last)
{
    int64_t ten = 1;
    while (ten * 10 <= epoch) ten *= 10;
    return epoch == 0 || epoch == last || epoch == ten || epoch == 2 * ten || epoch == 5 * ten;
}

static void print_start(int start, const run runs[N_LOSSES], const plan *p)
{
    printf("\nFrom the %s start\n", start_names[start]);
    printf("        ------------ MSE ------------   ------- cross entropy -------\n"
           " epoch       loss   trained  held out        loss   trained  held out\n");
    for (int64_t epoch = 0; epoch <= p->epochs; epoch++) {
        const point *a = &runs[MSE].history[epoch], *b = &runs[CROSS_ENTROPY].history[epoch];
        if (is_shown(epoch, p->epochs))
            printf("%6lld  %9.5f   %5.1f %%   %5.1f %%   %9.5f   %5.1f %%   %5.1f %%\n", (long long)epoch, a->loss,
                   a->train, a->test, b->loss, b->train, b->test);
    }
}

/* Each run's way to within two points of the best accuracy that any of them ended with. */
static void print_summary(run runs[N_STARTS][N_LOSSES], const plan *p)
{
    double best = 0.0;
    for (int start = 0; start < N_STARTS; start++)
        for (int which = 0; which < N_LOSSES; which++) best = fmax(best, runs[start][which].history[p->epochs].test);
    printf("\nEpochs until %.1f %% of the held-out samples are right, two points from the best result:\n", best - 2.0);
    for (int start = 0; start < N_STARTS; start++)
        for (int which = 0; which < N_LOSSES; which++) {
            int64_t epoch = 0;
            while (epoch <= p->epochs && runs[start][which].history[epoch].test < best - 2.0) epoch++;
            printf("  %-9s start, %-14s ", start_names[start], loss_names[which]);
            if (epoch <= p->epochs) printf("%lld\n", (long long)epoch);
            else printf("not in %lld\n", (long long)p->epochs);
        }
}

/* ---- The lesson --------------------------------------------------------------------------------------------- */

typedef struct settings {
    source from;
    plan plan;
    int64_t seed;
    double min_accuracy;
} settings;

static settings read_settings(int argc, char *argv[])
{
    settings s = {.from = {.samples = 600, .spread = 1.0, .train_fraction = 0.8},
                  .plan = {.epochs = 60, .batch = 32, .rate = 0.2, .bias = 8.0},
                  .seed = 1};
    const char *separator = ",";
    int64_t skip_lines = 0;
    const option options[] = {
        {"--csv", "FILE", "a table: CSV, a class in one column, numbers in the others", TEXT, &s.from.csv, 0, 0},
        {"--target", "COLUMN", "  the class, by name or position from 0 (last)", TEXT, &s.from.columns.target, 0, 0},
        {"--features", "COLUMNS", "  what to learn from (all others)", TEXT, &s.from.columns.features, 0, 0},
        {"--drop", "COLUMNS", "  what to leave out", TEXT, &s.from.columns.drop, 0, 0},
        {"--missing", "TEXTS", "  what stands for a missing field (NA,NaN,nan,?,)", TEXT, &s.from.columns.missing, 0,
         0},
        {"--separator", "C", "  between fields (,)", TEXT, &separator, 0, 0},
        {"--skip-lines", "N", "  lines in front of the header or the first row (0)", INTEGER, &skip_lines, 0, 1e6},
        {"--no-header", NULL, "  the first row is data", FLAG, &s.from.columns.no_header, 0, 0},
        {"--row-numbers", NULL, "  learn from a first column without a name that counts the rows, too", FLAG,
         &s.from.columns.keep_row_numbers, 0, 0},
        {"--test", "FILE", "  a second table to judge by, with the same columns and classes", TEXT, &s.from.test, 0, 0},
        {"--idx", "IMAGES LABELS", "images: two IDX files like MNIST's, plain or gzip'd", TWO_TEXTS, &s.from.idx, 0, 0},
        {"--test-idx", "IMAGES LABELS", "  two more to judge by", TWO_TEXTS, &s.from.test_idx, 0, 0},
        {"--samples", "N", "generated points, when no file is given (600)", INTEGER, &s.from.samples, 10, 1e6},
        {"--spread", "S", "  their standard deviation around (-1,-1) and (1,1) (1)", NUMBER, &s.from.spread, 0, 100},
        {"--train-share", "S", "share of the samples that is trained on (0.8)", NUMBER, &s.from.train_fraction, 0.01,
         0.99},
        {"--epochs", "N", "passes over the training samples (60)", INTEGER, &s.plan.epochs, 1, 1e6},
        {"--batch", "N", "samples in a step (32)", INTEGER, &s.plan.batch, 1, 1e9},
        {"--rate", "R", "step size of the gradient descent (0.2)", NUMBER, &s.plan.rate, 1e-6, 1e6},
        {"--bias", "B", "how certain the saturated start is (8)", NUMBER, &s.plan.bias, 0, 1000},
        {"--seed", "N", "of split, first weights and order (1)", INTEGER, &s.seed, 0, 1e15},
        {"--min-accuracy", "P", "fail unless cross entropy gets P % held out right", NUMBER, &s.min_accuracy, 0, 100},
    };
    read_options(argc, argv,
                 "Lesson 2: logistic regression, MSE against cross entropy, on your data or on generated points.",
                 options, COUNT(options));
    if (s.from.csv && s.from.idx[0]) refuse("--csv or --idx, not both");
    if (strlen(separator) != 1) refuse("--separator %s: expected one character", separator);
    const gr_csv_options *c = &s.from.columns;
    if (!s.from.csv && (c->target || c->features || c->drop || c->missing || c->no_header || c->keep_row_numbers ||
                        skip_lines || *separator != ',' || s.from.test))
        refuse("options for columns, and --test, need --csv");
    if (s.from.test_idx[0] && !s.from.idx[0]) refuse("--test-idx needs --idx");
    s.from.columns.separator = *separator;
    s.from.columns.skip_lines = (int)skip_lines;
    if (quick && s.plan.epochs > 20) s.plan.epochs = 20;
    return s;
}

int main(int argc, char *argv[])
{
    const settings s = read_settings(argc, argv);
    gr_rng rng = gr_rng_seed((uint64_t)s.seed);
    data d = load(&s.from, &rng);
    run runs[N_STARTS][N_LOSSES];
    for (int start = 0; start < N_STARTS; start++) {
        for (int which = 0; which < N_LOSSES; which++) runs[start][which] = train(&d, which, start, &s.plan, rng);
        if (start == SATURATED)
            printf("\nNow b says %g in favour of %s, whatever the input.", s.plan.bias, class_name(&d, d.classes - 1));
        print_start(start, runs[start], &s.plan);
    }
    print_summary(runs, &s.plan);
    show_runs(&d, runs, &s.plan);

    double accuracy = runs[ORDINARY][CROSS_ENTROPY].history[s.plan.epochs].test;
    for (int i = 0; i < N_STARTS * N_LOSSES; i++) {
        gr_params_free(runs[i / N_LOSSES][i % N_LOSSES].m.params);
        free(runs[i / N_LOSSES][i % N_LOSSES].history);
    }
    free_data(&d);
    if (accuracy < s.min_accuracy)
        fail("cross entropy ended with %.1f %% of the held-out samples right, wanted %g %%", accuracy, s.min_accuracy);
    return 0;
}
