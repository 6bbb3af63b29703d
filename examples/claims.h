/* claims.h: the bench on which lesson 4 puts the paper's claims to the test: verdicts, tables of numbers with their
 * spread, a small classifier of pixels with its images, and a sweep of one number of a loss over all seeds. Part of
 * that lesson alone. */
#ifndef LESSONS_CLAIMS_H
#define LESSONS_CLAIMS_H

#include "common.h"

enum { MAX_SEEDS = 64, MAX_VALUES = 8 };
static int64_t seeds = 8;

/* ---- Verdicts, spreads and tables --------------------------------------------------------------------------- */

typedef enum verdict { HOLDS, FAILS, DEPENDS } verdict;
static const char *const verdict_names[] = {"holds", "fails", "depends"};

typedef struct finding {
    verdict verdict;
    char why[1000];
} finding;

static GR_PRINTF(2, 3) finding found(verdict v, const char *format, ...)
{
    finding f = {.verdict = v};
    va_list args;
    va_start(args, format);
    vsnprintf(f.why, sizeof f.why, format, args);
    va_end(args);
    return f;
}

typedef struct spread {
    double mean, sd, least, most;
} spread;

static spread spread_of(const double v[], int64_t n)
{
    spread s = {.least = v[0], .most = v[0]};
    for (int64_t i = 0; i < n; i++) {
        s.mean += v[i] / (double)n;
        s.least = fmin(s.least, v[i]);
        s.most = fmax(s.most, v[i]);
    }
    for (int64_t i = 0; i < n; i++) s.sd += (v[i] - s.mean) * (v[i] - s.mean) / (double)(n > 1 ? n - 1 : 1);
    s.sd = sqrt(s.sd);
    return s;
}

/* A table, printed and logged at once: DIR/04_claim_NN_table_1.csv, and _2 for a claim's second. */
typedef struct table {
    FILE *csv;
    int column, width[MAX_VALUES];
} table;

static void put_cell(table *t, const char *text)
{
    printf(t->column ? "  %*s" : "  %-*s", t->width[t->column], text);
    fprintf(t->csv, "%s\"%s\"", t->column ? "," : "", text);
    t->column++;
}

static GR_PRINTF(2, 3) void cell(table *t, const char *format, ...)
{
    char text[100];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put_cell(t, text);
}

/* "12.3 +- 0.4", with so many digits after the point. */
static void spread_cell(table *t, int digits, const double v[], int64_t n)
{
    spread s = spread_of(v, n);
    cell(t, "%.*f +- %.*f", digits, s.mean, digits, s.sd);
}

static void end_row(table *t)
{
    printf("\n");
    fprintf(t->csv, "\n");
    t->column = 0;
}

static table begin_table(int claim, int number, int n, const char *const headings[])
{
    char name[40];
    snprintf(name, sizeof name, "04_claim_%02d_table_%d", claim, number);
    table t = {.csv = create_file(name, ".csv")};
    printf("\n");
    for (int i = 0; i < n; i++) {
        int length = (int)strlen(headings[i]);
        t.width[i] = length > 15 ? length : 15;
        put_cell(&t, headings[i]);
    }
    end_row(&t);
    return t;
}

static void end_table(table *t)
{
    close_file(t->csv, "a table of results");
}

#define BEGIN_TABLE(claim, number, ...) \
    begin_table(claim, number, COUNT(((const char *[]){__VA_ARGS__})), (const char *[]){__VA_ARGS__})

/* ---- Pixels to classify ------------------------------------------------------------------------------------- */

enum { SIDE = 32, FEATURES = 3, HIDDEN = 8 };

typedef struct pixels {
    gr_tensor *x; /* [images * SIDE * SIDE, FEATURES] */
    gr_tensor *y; /* [images, 1, SIDE, SIDE]: 1 is foreground */
} pixels;

/* The mean over the square of (2r+1)^2 pixels around a place, as far as it lies in the image. */
static double mean_around(const float *image, int64_t row, int64_t column, int64_t r)
{
    double sum = 0.0, count = 0.0;
    for (int64_t i = row - r; i <= row + r; i++)
        for (int64_t j = column - r; j <= column + r; j++)
            if (i >= 0 && i < SIDE && j >= 0 && j < SIDE) sum += (double)image[i * SIDE + j], count++;
    return sum / count;
}

/* Images with a share of foreground; `hard` is the share of them with a quarter of the contrast. */
static pixels make_pixels(double share, double hard, gr_rng *rng)
{
    gr_shapes_options options = {.count = quick ? 12 : 24,
                                 .height = SIDE,
                                 .width = SIDE,
                                 .foreground = share,
                                 .shapes = 3,
                                 .contrast = 0.3,
                                 .noise = 0.2,
                                 .hard = hard};
    gr_dataset *set = need(gr_make_shapes(&options, rng));
    pixels p = {.x = need(gr_zeros(GR_F32, GR_SHAPE(options.count * SIDE * SIDE, FEATURES))),
                .y = need(gr_copy(gr_dataset_y(set)))};
    const float *image = gr_read_f32(gr_dataset_x(set));
    float *x = gr_f32(p.x);
    for (int64_t n = 0; n < options.count; n++, image += SIDE * SIDE)
        for (int64_t i = 0; i < SIDE * SIDE; i++)
            for (int64_t r = 0; r < FEATURES; r++) /* radius 0, 1, 3; brought to the size of 1 */
                *x++ = (float)(5.0 * mean_around(image, i / SIDE, i % SIDE, r == 2 ? 3 : r) - 2.0);
    gr_dataset_free(set);
    return p;
}

static void free_pixels(pixels *p)
{
    gr_tensor_free(p->x);
    gr_tensor_free(p->y);
}

/* ---- The classifier ----------------------------------------------------------------------------------------- */

typedef struct model {
    gr_params *params;
    gr_tensor *w1, *b1, *w2, *b2;
} model;

static model make_model(gr_rng *rng)
{
    model m = {.params = need(gr_params_new())};
    m.w1 = need(gr_params_add(m.params, "w1", gr_kaiming_normal(GR_F32, GR_SHAPE(FEATURES, HIDDEN), rng)));
    m.b1 = need(gr_params_add(m.params, "b1", gr_zeros(GR_F32, GR_SHAPE(HIDDEN))));
    m.w2 = need(gr_params_add(m.params, "w2", gr_xavier_normal(GR_F32, GR_SHAPE(HIDDEN, 1), rng)));
    m.b2 = need(gr_params_add(m.params, "b2", gr_zeros(GR_F32, GR_SHAPE(1))));
    return m;
}

static gr_tensor *logits_of(gr_tape *t, const model *m, const pixels *p)
{
    gr_tensor *h = gr_relu(t, gr_linear(t, p->x, m->w1, m->b1));
    return gr_reshape(t, gr_linear(t, h, m->w2, m->b2), gr_rank(p->y), gr_shape(p->y));
}

/* A loss of logits against masks, with the one number that an experiment turns. */
typedef gr_tensor *(*loss_function)(gr_tape *t, gr_tensor *z, gr_tensor *y, double value);

/* What a seed stands for: images to train on, images to judge by, first weights. The same for every loss. */
typedef struct trial {
    pixels train, test;
    gr_rng weights;
} trial;

static trial make_trial(int64_t seed, double share, double hard)
{
    gr_rng rng = gr_rng_seed((uint64_t)seed + 1), images = gr_rng_split(&rng);
    trial r = {.train = make_pixels(share, hard, &images)};
    r.test = make_pixels(share, hard, &images);
    r.weights = rng;
    return r;
}

static void free_trial(trial *r)
{
    free_pixels(&r->train);
    free_pixels(&r->test);
}

static model train(const trial *r, loss_function loss_of, double value)
{
    gr_rng rng = r->weights;
    model m = make_model(&rng);
    gr_tape *t = need(gr_tape_new());
    gr_optimizer *adam = need(gr_adam(m.params, &(gr_adam_options){.lr = 0.03}));
    const int64_t steps = quick ? 80 : 150;
    const gr_schedule rate = {.kind = GR_COSINE, .base = 0.03, .period = steps};
    for (int64_t step = 0; step < steps; step++) {
        gr_tensor *loss = need(loss_of(t, logits_of(t, &m, &r->train), r->train.y, value));
        check(gr_backward(t, loss, 0));
        check(gr_set_learning_rate(adam, gr_schedule_rate(&rate, step)));
        check(gr_step(adam));
        gr_tape_reset(t);
    }
    gr_optimizer_free(adam);
    gr_tape_free(t);
    return m;
}

/* ---- Judging ------------------------------------------------------------------------------------------------ */

/* In percent, over all pixels. */
typedef struct score {
    double fn, fp; /* the share of the foreground that was missed, of the background that was taken for foreground */
    double dice;
} score;

static score score_at(const float *z, const float *y, int64_t n, double threshold)
{
    double tp = 0, fp = 0, fn = 0, tn = 0;
    for (int64_t i = 0; i < n; i++) {
        bool said = (double)z[i] > threshold, is = y[i] > 0.5f;
        *(said ? is ? &tp : &fp : is ? &fn : &tn) += 1.0;
    }
    return (score){100.0 * fn / (tp + fn), 100.0 * fp / (fp + tn), 100.0 * 2.0 * tp / (2.0 * tp + fp + fn)};
}

static score judge(const model *m, const pixels *p, double threshold)
{
    gr_tape *t = need(gr_tape_new());
    gr_set_recording(t, false);
    score s = score_at(gr_read_f32(need(logits_of(t, m, p))), gr_read_f32(p->y), gr_size(p->y), threshold);
    gr_tape_free(t);
    return s;
}

/* The threshold on the logit that gives the best Dice on the images that were trained on; 0 is p = 1/2. */
static double best_threshold(const model *m, const pixels *p)
{
    gr_tape *t = need(gr_tape_new());
    gr_set_recording(t, false);
    const float *z = gr_read_f32(need(logits_of(t, m, p))), *y = gr_read_f32(p->y);
    double best = 0.0, most = -1.0;
    for (double at = -5.0; at <= 5.0; at += 0.1) {
        double d = score_at(z, y, gr_size(p->y), at).dice;
        if (d > most) most = d, best = at;
    }
    gr_tape_free(t);
    return best;
}

/* ---- Turning one number of a loss --------------------------------------------------------------------------- */

typedef struct sweep {
    int claim;
    const char *name; /* of the number that is turned */
    loss_function loss;
    double share; /* of foreground */
    int n;
    double values[MAX_VALUES];
    double fn[MAX_VALUES][MAX_SEEDS], fp[MAX_VALUES][MAX_SEEDS], dice[MAX_VALUES][MAX_SEEDS];
} sweep;

/* Trains with every value on every seed's images, logs DIR/04_claim_NN_seeds.csv, prints a table. */
static void run_sweep(sweep *s)
{
    char name[40];
    snprintf(name, sizeof name, "04_claim_%02d_seeds", s->claim);
    FILE *csv = create_file(name, ".csv");
    fprintf(csv, "%s,seed,false_negatives_percent,false_positives_percent,dice_percent\n", s->name);
    for (int64_t seed = 0; seed < seeds; seed++) {
        trial r = make_trial(seed, s->share, 0.0);
        for (int i = 0; i < s->n; i++) {
            model m = train(&r, s->loss, s->values[i]);
            score got = judge(&m, &r.test, 0.0);
            s->fn[i][seed] = got.fn, s->fp[i][seed] = got.fp, s->dice[i][seed] = got.dice;
            fprintf(csv, "%g,%lld,%.6g,%.6g,%.6g\n", s->values[i], (long long)seed, got.fn, got.fp, got.dice);
            gr_params_free(m.params);
        }
        free_trial(&r);
    }
    close_file(csv, name);
    table t =
        BEGIN_TABLE(s->claim, 1, s->name, "missed foreground (%)", "false alarms in the background (%)", "Dice (%)");
    for (int i = 0; i < s->n; i++) {
        cell(&t, "%g", s->values[i]);
        spread_cell(&t, 2, s->fn[i], seeds);
        spread_cell(&t, 2, s->fp[i], seeds);
        spread_cell(&t, 1, s->dice[i], seeds);
        end_row(&t);
    }
    end_table(&t);
}

/* In how many seeds a rate goes one way (direction 1: up, -1: down) from the first to the last value, and in how many
 * of these it never turns back in between. */
static int64_t seeds_that_go(const sweep *s, const double rate[][MAX_SEEDS], int direction, int64_t *straight)
{
    int64_t ends = 0;
    *straight = 0;
    for (int64_t seed = 0; seed < seeds; seed++) {
        bool back = false;
        for (int i = 1; i < s->n; i++) back |= direction * (rate[i][seed] - rate[i - 1][seed]) < 0.0;
        bool goes = direction * (rate[s->n - 1][seed] - rate[0][seed]) > 0.0;
        ends += goes;
        *straight += goes && !back;
    }
    return ends;
}

/* Does the number move missed foreground against false alarms? fn_direction is what the paper says of the misses. */
static finding trade(const sweep *s, int fn_direction)
{
    int64_t straight[2];
    int64_t fn = seeds_that_go(s, s->fn, fn_direction, &straight[0]);
    int64_t fp = seeds_that_go(s, s->fp, -fn_direction, &straight[1]);
    spread from[2] = {spread_of(s->fn[0], seeds), spread_of(s->fp[0], seeds)};
    spread to[2] = {spread_of(s->fn[s->n - 1], seeds), spread_of(s->fp[s->n - 1], seeds)};
    verdict v = fn == seeds && fp == seeds ? HOLDS : fn + fp == 0 ? FAILS : DEPENDS;
    return found(
        v,
        "From %s = %g to %g misses go %s from %.2f %% to %.2f %% in %lld of %lld seeds (in %lld without a step back on "
        "the way) and false alarms %s from %.2f %% to %.2f %% in %lld (%lld).",
        s->name, s->values[0], s->values[s->n - 1], fn_direction < 0 ? "down" : "up", from[0].mean, to[0].mean,
        (long long)fn, (long long)seeds, (long long)straight[0], fn_direction < 0 ? "up" : "down", from[1].mean,
        to[1].mean, (long long)fp, (long long)straight[1]);
}

/* One thin line for each seed, a thick one for their mean. */
static void draw_sweep(const sweep *s, bool logarithmic)
{
    char name[40];
    snprintf(name, sizeof name, "04_claim_%02d", s->claim);
    FILE *g = begin_picture(name, 460, 340);
    fprintf(g,
            "set xlabel '%s'\nset ylabel 'share of the pixels of their class, in %%'\nset yrange [0:*]\n"
            "set key center top\n",
            s->name);
    if (logarithmic) fprintf(g, "set logscale x\n");
    fprintf(g, "set xtics (");
    for (int i = 0; i < s->n; i++) fprintf(g, "%s%g", i ? "," : "", s->values[i]);
    fprintf(g, ")\nset xrange [%g:%g]\n", s->values[0], s->values[s->n - 1]);
    static const char *const colours[2][2] = {{"#edc4bb", "#c8553d"}, {"#a9cfe4", "#2a6f97"}};
    static const char *const names[2] = {"missed foreground", "false alarms in the background"};
    for (int k = 0; k < 2; k++)
        fprintf(g,
                "%sfor [s=0:%lld] '%s_seeds.csv' using ($2==s ? $1 : NaN):%d with lines lw 1 lc rgb '%s' notitle, \\\n"
                "  '%s_seeds.csv' using 1:%d smooth unique with linespoints lw 3 pt 7 ps 0.5 lc rgb '%s' title '%s'%s",
                k ? "  " : "plot ", (long long)seeds - 1, name, k + 3, colours[k][0], name, k + 3, colours[k][1],
                names[k], k ? "\n" : ", \\\n");
    finish_picture(g, name);
}

#endif
