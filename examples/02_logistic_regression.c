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
#include "common.h"

/* ---- Data --------------------------------------------------------------------------------------------------- */

/* Where the samples come from, and how many of them are for training. */
typedef struct source {
    const char *csv, *idx[2]; /* files, or neither: generated */
    gr_csv_options columns;
    int64_t samples;
    double spread, train_share;
} source;

typedef struct data {
    gr_dataset *set;          /* as it was read: names of classes and features, class indices */
    gr_dataset *train, *test; /* x [n, features] and y as numbers, [n, outputs] */
    int classes;
    int64_t features, outputs;
} data;

static gr_dataset *read_source(const source *s, gr_rng *rng)
{
    if (s->idx[0]) return need(gr_idx_read_pair(s->idx[0], s->idx[1]));
    if (!s->csv) return need(gr_make_blobs(s->samples, s->spread, rng));
    gr_csv_report report;
    gr_dataset *set = need(gr_csv_read(s->csv, &s->columns, &report));
    printf("%s: %lld rows read, %lld dropped for a missing field\n", s->csv, (long long)report.rows,
           (long long)report.dropped);
    return set;
}

/* The data set with its class indices as numbers, which is what MSE compares: 0 or 1 for two classes, and for more a
 * row with a 1 at the class. Takes the set. */
static gr_dataset *with_numbers(gr_dataset *set, int64_t outputs)
{
    gr_tensor *index = gr_dataset_y(set), *y;
    if (outputs > 1) {
        y = need(gr_one_hot(GR_F32, index, outputs));
    } else {
        y = need(gr_zeros(GR_F32, GR_SHAPE(gr_size(index), 1)));
        for (int64_t i = 0; i < gr_size(index); i++) check(gr_set(y, i, gr_get(index, i)));
    }
    gr_dataset *numbers = need(gr_dataset_new(gr_copy(gr_dataset_x(set)), y)); /* x and y are the set's now */
    gr_dataset_free(set);
    return numbers;
}

static const char *class_name(const data *d, int c)
{
    static char number[16];
    const char *name = gr_dataset_class_name(d->set, c);
    snprintf(number, sizeof number, "%d", c);
    return name ? name : number;
}

static void describe(const data *d)
{
    const int32_t *index = gr_read_i32(gr_dataset_y(d->set));
    printf("%lld samples, %lld features, %d classes:", (long long)gr_dataset_size(d->set), (long long)d->features,
           d->classes);
    for (int c = 0; c < d->classes && c < 12; c++) {
        int64_t count = 0;
        for (int64_t i = 0; i < gr_dataset_size(d->set); i++) count += index[i] == c;
        printf("%s %s (%lld)", c ? "," : "", class_name(d, c), (long long)count);
    }
    printf("%s\n%lld for training, %lld held out\n", d->classes > 12 ? ", ..." : "",
           (long long)gr_dataset_size(d->train), (long long)gr_dataset_size(d->test));
}

static data load(const source *s, gr_rng *rng)
{
    data d = {.set = read_source(s, rng)};
    d.classes = gr_dataset_classes(d.set);
    if (d.classes < 2) fail("there is only one class: nothing to tell apart");
    d.features = gr_dim(gr_dataset_x(d.set), 1);
    d.outputs = d.classes == 2 ? 1 : d.classes;
    check(gr_dataset_split(d.set, s->train_share, rng, &d.train, &d.test));
    /* Columns in centimetres and in grams to one scale; by the training samples alone, or the test would leak. Pixels
     * have one scale already. */
    if (!s->idx[0]) check(gr_dataset_standardize(d.train, &d.test, 1));
    d.train = with_numbers(d.train, d.outputs);
    d.test = with_numbers(d.test, d.outputs);
    describe(&d);
    return d;
}

static void free_data(data *d)
{
    gr_dataset_free(d->test);
    gr_dataset_free(d->train);
    gr_dataset_free(d->set);
}

/* ---- The model and its two losses --------------------------------------------------------------------------- */

enum { MSE, CROSS_ENTROPY, N_LOSSES };
enum { ORDINARY, SATURATED, N_STARTS };
static const char *const loss_names[N_LOSSES] = {"MSE", "cross entropy"};
static const char *const start_names[N_STARTS] = {"ordinary", "saturated"};

typedef struct model {
    gr_params *params;
    gr_tensor *w, *b; /* [features, outputs], [outputs]; the set's */
} model;

static model make_model(const data *d, int start, double bias, gr_rng rng)
{
    model m = {.params = need(gr_params_new())};
    m.w = need(gr_params_add(m.params, "w", gr_normal(GR_F32, GR_SHAPE(d->features, d->outputs), 0.0, 0.01, &rng)));
    m.b = need(gr_params_add(m.params, "b", gr_zeros(GR_F32, GR_SHAPE(d->outputs))));
    if (start == SATURATED) check(gr_set(m.b, d->outputs - 1, bias)); /* certain of the last class */
    return m;
}

static gr_tensor *logits_of(gr_tape *t, const model *m, gr_tensor *x)
{
    return gr_linear(t, x, m->w, m->b);
}

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

/* What a row says: of one number, whether it exceeds the threshold; of more, where the largest is. */
static int64_t answer(const float *row, int64_t outputs, float threshold)
{
    if (outputs == 1) return row[0] > threshold;
    int64_t best = 0;
    for (int64_t c = 1; c < outputs; c++) best = row[c] > row[best] ? c : best;
    return best;
}

/* The share of samples, in percent, for which the model's answer is right; with `loss` also the mean loss. */
static double measure(gr_tape *t, const model *m, int which, const gr_dataset *set, double *loss)
{
    bool was_recording = gr_set_recording(t, false); /* nothing to differentiate */
    gr_tensor *y = gr_dataset_y(set), *z = need(logits_of(t, m, gr_dataset_x(set)));
    const int64_t n = gr_dim(z, 0), outputs = gr_dim(z, 1);
    const float *said = gr_read_f32(z), *truth = gr_read_f32(y);
    int64_t right = 0;
    for (int64_t i = 0; i < n; i++)
        right += answer(said + i * outputs, outputs, 0.0f) == answer(truth + i * outputs, outputs, 0.5f);
    if (loss) *loss = gr_item(need(loss_of(t, which, z, y)));
    gr_tape_reset(t);
    gr_set_recording(t, was_recording);
    return 100.0 * (double)right / (double)n;
}

/* ---- Training ----------------------------------------------------------------------------------------------- */

typedef struct plan {
    int64_t epochs, batch;
    double rate, bias;
} plan;

/* What one epoch ended with. */
typedef struct point {
    double loss, train, test; /* the loss on the training samples; accuracies in percent */
} point;

typedef struct run {
    model m;
    point *history; /* of epochs 0 (untrained) to plan.epochs */
} run;

/* A line that rewrites itself, for who waits at a terminal. */
static void show_progress(int which, int start, int64_t epoch, const plan *p)
{
    if (!isatty(STDERR_FILENO)) return;
    if (epoch < p->epochs)
        fprintf(stderr, "\r  %s, %s start: epoch %lld of %lld \033[K", loss_names[which], start_names[start],
                (long long)epoch + 1, (long long)p->epochs);
    else fprintf(stderr, "\r\033[K");
}

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
        show_progress(which, start, epoch, p);
        if (epoch < p->epochs) train_epoch(t, &r.m, which, batches, sgd);
    }
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

static void log_runs(run runs[N_STARTS][N_LOSSES], const plan *p)
{
    FILE *csv = create_file("02_logistic_regression", ".csv");
    fprintf(csv, "start,loss,epoch,training_loss,training_accuracy,held_out_accuracy\n");
    for (int start = 0; start < N_STARTS; start++)
        for (int which = 0; which < N_LOSSES; which++)
            for (int64_t epoch = 0; epoch <= p->epochs; epoch++) {
                const point *h = &runs[start][which].history[epoch];
                fprintf(csv, "%s,%s,%lld,%.9g,%.9g,%.9g\n", start_names[start], loss_names[which], (long long)epoch,
                        h->loss, h->train, h->test);
            }
    close_file(csv, "02_logistic_regression.csv");
}

/* ---- Pictures ----------------------------------------------------------------------------------------------- */

static const char *const loss_colours[N_LOSSES] = {"#c8553d", "#2a6f97"};

/* Loss and held-out accuracy by epoch, a column for each start. */
static void draw_curves(void)
{
    const char *name = "02_logistic_regression";
    FILE *s = begin_picture(name, 1000, 640);
    fprintf(s, "set multiplot layout 2,2\nset xlabel 'epoch'\n");
    for (int row = 0; row < 2; row++)
        for (int start = 0; start < N_STARTS; start++) {
            fprintf(s, "set title 'from the %s start' textcolor rgb '#333333'\n", start_names[start]);
            if (row == 0)
                fprintf(s, "set ylabel 'loss on the training samples'\nset yrange [0:*]\nset key top right\n");
            else fprintf(s, "set ylabel 'held-out accuracy in %%'\nset yrange [0:102]\nset key bottom right\n");
            for (int which = 0; which < N_LOSSES; which++)
                fprintf(
                    s,
                    "%s'%s.csv' using (strcol(1) eq '%s' && strcol(2) eq '%s' ? $3 : NaN):%d with lines lw %d lc rgb "
                    "'%s' title '%s'%s",
                    which ? "  " : "plot ", name, start_names[start], loss_names[which], row ? 6 : 4,
                    which == MSE ? 4 : 2, loss_colours[which], loss_names[which], which ? "\n" : ", \\\n");
        }
    fprintf(s, "unset multiplot\n");
    finish_picture(s, name);
}

/* A name out of a file as a text of gnuplot, in quotes. */
static void print_text(FILE *s, const char *before, const char *text, const char *after)
{
    fprintf(s, "'%s", before);
    for (; *text; text++)
        if (*text == '\'') fprintf(s, "''");
        else fputc((unsigned char)*text < ' ' ? ' ' : *text, s);
    fprintf(s, "%s'", after);
}

/* The plane of two features as far as there are points in it. */
typedef struct box {
    double lo[2], hi[2];
} box;

static box write_points(const data *d)
{
    FILE *csv = create_file("02_points", ".csv");
    box p = {{(double)INFINITY, (double)INFINITY}, {-(double)INFINITY, -(double)INFINITY}};
    fprintf(csv, "first,second,class,held_out\n");
    for (int held_out = 0; held_out < 2; held_out++) {
        const gr_dataset *set = held_out ? d->test : d->train;
        const float *x = gr_read_f32(gr_dataset_x(set)), *y = gr_read_f32(gr_dataset_y(set));
        for (int64_t i = 0; i < gr_dataset_size(set); i++) {
            for (int k = 0; k < 2; k++) {
                p.lo[k] = fmin(p.lo[k], (double)x[2 * i + k] - 0.1);
                p.hi[k] = fmax(p.hi[k], (double)x[2 * i + k] + 0.1);
            }
            fprintf(csv, "%.6g,%.6g,%lld,%d\n", (double)x[2 * i], (double)x[2 * i + 1],
                    (long long)answer(y + i * d->outputs, d->outputs, 0.5f), held_out);
        }
    }
    close_file(csv, "02_points.csv");
    return p;
}

/* Logit of class c at a point; of two classes the first has 0. */
static double logit(const model *m, int outputs, int c, const double x[2])
{
    if (outputs == 1 && c == 0) return 0.0;
    int column = outputs == 1 ? 0 : c;
    return x[0] * gr_get(m->w, column) + x[1] * gr_get(m->w, outputs + column) + gr_get(m->b, column);
}

/* Where the two classes have equal logits and no other has a larger one: w x + b = 0 with w and b their differences,
 * a straight line. Walked along the axis that it is less steep to; returns how many points of it are in the box. */
static int write_boundary(FILE *csv, const data *d, const model *m, int one, int other, const box *p)
{
    const double zero[2] = {0, 0}, unit[2][2] = {{1, 0}, {0, 1}};
    const int outputs = (int)d->outputs;
    double b = logit(m, outputs, one, zero) - logit(m, outputs, other, zero), w[2];
    for (int k = 0; k < 2; k++) w[k] = logit(m, outputs, one, unit[k]) - logit(m, outputs, other, unit[k]) - b;
    int along = fabs(w[0]) > fabs(w[1]), across = !along, written = 0;
    for (int i = 0; i <= 400; i++) {
        double x[2];
        x[along] = p->lo[along] + (p->hi[along] - p->lo[along]) * i / 400.0;
        x[across] = -(b + w[along] * x[along]) / w[across];
        bool on = x[across] >= p->lo[across] && x[across] <= p->hi[across]; /* a NaN is not */
        for (int c = 0; on && c < d->classes; c++) on = logit(m, outputs, c, x) <= logit(m, outputs, one, x) + 1e-9;
        if (on) fprintf(csv, "%.6g,%.6g\n", x[0], x[1]), written++;
    }
    fprintf(csv, "\n");
    return written;
}

/* The points, and where each trained model changes its mind. */
static void draw_boundaries(const data *d, run runs[N_STARTS][N_LOSSES])
{
    static const char *const colours[] = {"#6a994e", "#9673b9", "#b08968", "#6c8ebf", "#a3a34a", "#888888"};
    const char *name = "02_boundary";
    const box p = write_points(d);
    bool drawn[N_STARTS][N_LOSSES] = {{false}};
    for (int start = 0; start < N_STARTS; start++)
        for (int which = 0; which < N_LOSSES; which++) {
            char file[64];
            snprintf(file, sizeof file, "02_boundary_%s_%s", start_names[start],
                     which == MSE ? "mse" : "cross_entropy");
            FILE *csv = create_file(file, ".csv");
            for (int one = 0; one < d->classes; one++)
                for (int other = one + 1; other < d->classes; other++)
                    drawn[start][which] |= write_boundary(csv, d, &runs[start][which].m, one, other, &p) > 0;
            close_file(csv, file);
        }
    FILE *s = begin_picture(name, 1000, 540);
    fprintf(s,
            "set multiplot layout 1,2\nset bmargin at screen 0.3\nset tmargin at screen 0.92\n"
            "set key at graph 0.4, graph -0.22 center top vertical maxrows 3 noenhanced samplen 2\n"
            "set xrange [%g:%g]\nset yrange [%g:%g]\n",
            p.lo[0], p.hi[0], p.lo[1], p.hi[1]);
    for (int k = 0; k < 2; k++) {
        const char *feature = gr_dataset_feature_name(d->set, k);
        if (!feature) feature = k ? "second feature" : "first feature";
        fprintf(s, "set %clabel ", "xy"[k]);
        print_text(s, "", feature, " (standard deviations from the mean)");
        fprintf(s, " noenhanced\n");
    }
    for (int start = 0; start < N_STARTS; start++) {
        fprintf(s, "set lmargin at screen %g\nset rmargin at screen %g\n", start ? 0.58 : 0.085, start ? 0.98 : 0.485);
        fprintf(s, "set title 'after training from the %s start' textcolor rgb '#333333'\nplot ", start_names[start]);
        for (int c = 0; c < d->classes; c++) {
            fprintf(s, "'02_points.csv' using ($3==%d ? $1 : NaN):2 with points pt %d ps 0.5 lc rgb '%s' title ", c,
                    c % 2 ? 9 : 7, colours[c % COUNT(colours)]);
            print_text(s, "", class_name(d, c), "");
            fprintf(s, ", \\\n  ");
        }
        for (int which = 0; which < N_LOSSES; which++) {
            const char *file = which == MSE ? "mse" : "cross_entropy";
            if (drawn[start][which])
                fprintf(s, "'02_boundary_%s_%s.csv' using 1:2 with lines lw 3 %slc rgb '%s' title '%s'",
                        start_names[start], file, which == MSE ? "" : "dt 2 ", loss_colours[which], loss_names[which]);
            else
                fprintf(s, "NaN with lines lw 3 lc rgb '%s' title '%s: all one class'", loss_colours[which],
                        loss_names[which]);
            fprintf(s, which == MSE ? ", \\\n  " : "\n");
        }
    }
    fprintf(s, "unset multiplot\n");
    finish_picture(s, name);
}

/* ---- The lesson --------------------------------------------------------------------------------------------- */

int main(int argc, char *argv[])
{
    source from = {.samples = 600, .spread = 1.0, .train_share = 0.8};
    plan p = {.epochs = 60, .batch = 32, .rate = 0.2, .bias = 8.0};
    const char *separator = ",";
    int64_t seed = 1, skip_lines = 0;
    double min_accuracy = 0.0;
    const option options[] = {
        {"--csv", "FILE", "a table: CSV, a class in one column, numbers in the others", TEXT, &from.csv, 0, 0},
        {"--target", "COLUMN", "  the class, by name or position from 0 (last)", TEXT, &from.columns.target, 0, 0},
        {"--features", "COLUMNS", "  what to learn from (all others)", TEXT, &from.columns.features, 0, 0},
        {"--drop", "COLUMNS", "  what to leave out", TEXT, &from.columns.drop, 0, 0},
        {"--missing", "TEXTS", "  what stands for a missing field (NA,NaN,nan,?,)", TEXT, &from.columns.missing, 0, 0},
        {"--separator", "C", "  between fields (,)", TEXT, &separator, 0, 0},
        {"--skip-lines", "N", "  lines in front of the header or the first row (0)", INTEGER, &skip_lines, 0, 1e6},
        {"--no-header", NULL, "  the first row is data", FLAG, &from.columns.no_header, 0, 0},
        {"--idx", "IMAGES LABELS", "images: two IDX files like MNIST's, plain or gzip'd", TWO_TEXTS, &from.idx, 0, 0},
        {"--samples", "N", "generated points, when no file is given (600)", INTEGER, &from.samples, 10, 1e6},
        {"--spread", "S", "  their standard deviation around (-1,-1) and (1,1) (1)", NUMBER, &from.spread, 0, 100},
        {"--train-share", "S", "share of the samples that is trained on (0.8)", NUMBER, &from.train_share, 0.01, 0.99},
        {"--epochs", "N", "passes over the training samples (60)", INTEGER, &p.epochs, 1, 1e6},
        {"--batch", "N", "samples in a step (32)", INTEGER, &p.batch, 1, 1e9},
        {"--rate", "R", "step size of the gradient descent (0.2)", NUMBER, &p.rate, 1e-6, 1e6},
        {"--bias", "B", "how certain the saturated start is (8)", NUMBER, &p.bias, 0, 1000},
        {"--seed", "N", "of split, first weights and order (1)", INTEGER, &seed, 0, 1e15},
        {"--min-accuracy", "P", "fail unless cross entropy gets P % held out right", NUMBER, &min_accuracy, 0, 100},
    };
    read_options(argc, argv,
                 "Lesson 2: logistic regression, MSE against cross entropy, on your data or on generated points.",
                 options, COUNT(options));
    if (from.csv && from.idx[0]) refuse("--csv or --idx, not both");
    if (strlen(separator) != 1) refuse("--separator %s: expected one character", separator);
    const gr_csv_options *c = &from.columns;
    if (!from.csv &&
        (c->target || c->features || c->drop || c->missing || c->no_header || skip_lines || *separator != ','))
        refuse("options for columns need --csv");
    from.columns.separator = *separator;
    from.columns.skip_lines = (int)skip_lines;
    if (quick) p.epochs = p.epochs < 20 ? p.epochs : 20;

    gr_rng rng = gr_rng_seed((uint64_t)seed);
    data d = load(&from, &rng);
    run runs[N_STARTS][N_LOSSES];
    for (int start = 0; start < N_STARTS; start++) {
        for (int which = 0; which < N_LOSSES; which++) runs[start][which] = train(&d, which, start, &p, rng);
        if (start == SATURATED)
            printf("\nNow b says %g in favour of %s, whatever the input.", p.bias, class_name(&d, d.classes - 1));
        print_start(start, runs[start], &p);
    }
    print_summary(runs, &p);
    log_runs(runs, &p);
    draw_curves();
    if (d.features == 2 && d.classes <= 20) draw_boundaries(&d, runs);

    double accuracy = runs[ORDINARY][CROSS_ENTROPY].history[p.epochs].test;
    for (int i = 0; i < N_STARTS * N_LOSSES; i++) {
        gr_params_free(runs[i / N_LOSSES][i % N_LOSSES].m.params);
        free(runs[i / N_LOSSES][i % N_LOSSES].history);
    }
    free_data(&d);
    if (accuracy < min_accuracy)
        fail("cross entropy ended with %.1f %% of the held-out samples right, wanted %g %%", accuracy, min_accuracy);
    return 0;
}
