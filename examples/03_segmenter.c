/* Lesson 3, a tiny convolutional segmenter: one network (segmenter_net.h), trained once with each loss on images and
 * masks of your own or on generated ones, from the same first weights and with the same images in the same order.
 *
 * Beside every loss stands a threshold by Otsu's method, which needs no training: what does not beat it has learned
 * nothing that the brightness of a single pixel does not say. Pictures are judged one by one, and the mean is over
 * pictures. */
#include "common.h"

#include <time.h>

#include "segmenter_net.h"
#include "sheet.h"
#include "turns.h"

/* ---- Data --------------------------------------------------------------------------------------------------- */

typedef struct source {
    const char *images, *masks, *test_images, *test_masks; /* folders; NULL: generated */
    int64_t size;                                          /* resized to so many pixels on a side; 0: as they are */
    double test_share;
    gr_shapes_options shapes;
} source;

typedef struct data {
    gr_dataset *train, *test; /* x [n,C,H,W], y [n,1,H,W] in {0,1} */
    int64_t channels;
} data;

/* Images come brighter and darker: each to mean 0 and standard deviation 1, by its own pixels alone. */
static void standardize(gr_tensor *images)
{
    const int64_t n = gr_dim(images, 0), size = gr_size(images) / n;
    float *x = gr_f32(images);
    for (int64_t i = 0; i < n; i++, x += size) {
        double mean = 0.0, variance = 0.0;
        for (int64_t k = 0; k < size; k++) mean += (double)x[k] / (double)size;
        for (int64_t k = 0; k < size; k++) variance += ((double)x[k] - mean) * ((double)x[k] - mean) / (double)size;
        const double scale = variance > 0.0 ? 1.0 / sqrt(variance) : 0.0;
        for (int64_t k = 0; k < size; k++) x[k] = (float)(((double)x[k] - mean) * scale);
    }
}

static gr_dataset *read_folders(const char *images, const char *masks, const source *s, int64_t channels)
{
    const gr_image_set_options o = {.height = s->size, .width = s->size, .channels = (int)channels};
    return need(gr_image_set_read(images, masks, &o));
}

static double share_of_foreground(const gr_dataset *set)
{
    const gr_tensor *y = gr_dataset_y(set);
    double sum = 0.0;
    for (int64_t i = 0; i < gr_size(y); i++) sum += gr_get(y, i);
    return sum / (double)gr_size(y);
}

static data load(const source *s, gr_rng *rng)
{
    data d = {NULL, NULL, 0};
    gr_dataset *all = s->images ? read_folders(s->images, s->masks, s, 0) : need(gr_make_shapes(&s->shapes, rng));
    if (s->test_images) {
        d.train = all;
        d.test = read_folders(s->test_images, s->test_masks, s, gr_dim(gr_dataset_x(all), 1));
    } else {
        check(gr_dataset_split(all, 1.0 - s->test_share, rng, &d.train, &d.test));
        gr_dataset_free(all);
    }
    const gr_tensor *x = gr_dataset_x(d.train);
    d.channels = gr_dim(x, 1);
    printf("%lld images for training, %lld held out, %lld x %lld pixels, %lld channel%s; %.1f %% of the pixels are "
           "foreground\n",
           (long long)gr_dataset_size(d.train), (long long)gr_dataset_size(d.test), (long long)gr_dim(x, 2),
           (long long)gr_dim(x, 3), (long long)d.channels, d.channels > 1 ? "s" : "",
           100.0 * share_of_foreground(d.train));
    standardize(gr_dataset_x(d.train));
    standardize(gr_dataset_x(d.test));
    return d;
}

/* ---- The losses --------------------------------------------------------------------------------------------- */

static const gr_loss_options from_logits = {.from_logits = true};

/* For losses of several classes: background and foreground, of which the softmax is the sigmoid of z, ... */
static gr_tensor *both(gr_tape *t, gr_tensor *z)
{
    return gr_concat(t, (gr_tensor *[]){gr_scale(t, z, -0.5), gr_scale(t, z, 0.5)}, 2, 1);
}

/* ... and their masks. */
static gr_tensor *masks(gr_tape *t, gr_tensor *y)
{
    return gr_concat(t, (gr_tensor *[]){gr_shift(t, gr_neg(t, y), 1.0), y}, 2, 1);
}

/* All are of logits z [N,1,H,W] against masks y of the same shape; a region is the mask of one image. */
/* clang-format off */
#define LOSS(name) static gr_tensor *name(gr_tape *t, gr_tensor *z, gr_tensor *y)
#define LOGITS .base = {.from_logits = true}
#define OVERLAP(...) &(gr_overlap_options){LOGITS, __VA_ARGS__}
#define COMPOUND(...) &(gr_compound_options){LOGITS, __VA_ARGS__}
#define FOCAL_TVERSKY(...) &(gr_focal_tversky_options){LOGITS, __VA_ARGS__}

LOSS(l1) { return gr_l1(t, gr_sigmoid(t, z), y, NULL); }
LOSS(mse) { return gr_mse(t, gr_sigmoid(t, z), y, NULL); }
LOSS(zero_one) { return gr_zero_one(t, z, y, &from_logits); }
LOSS(hinge) { return gr_hinge(t, z, gr_shift(t, gr_scale(t, y, 2.0), -1.0), NULL); }
LOSS(bce) { return gr_bce(t, z, y, &from_logits); }
LOSS(cross_entropy) { return gr_cross_entropy(t, both(t, z), masks(t, y), &from_logits); }
LOSS(kl) { return gr_kl(t, both(t, z), masks(t, y), &from_logits); }
LOSS(weighted_bce) { return gr_weighted_bce(t, z, y, &(gr_weighted_bce_options){LOGITS, .beta = 3.0}); }
LOSS(balanced_bce) { return gr_balanced_bce(t, z, y, &(gr_balanced_bce_options){LOGITS, .margin = 0.01}); }
LOSS(focal) { return gr_focal(t, z, y, &(gr_focal_options){LOGITS, .alpha = 0.5, .gamma = 2.0}); }
LOSS(sens_spec) { return gr_sensitivity_specificity(t, z, y, &(gr_sensitivity_specificity_options){LOGITS}); }
LOSS(dice) { return gr_dice(t, z, y, OVERLAP(.epsilon = 1.0)); }
LOSS(tversky) { return gr_tversky(t, z, y, &(gr_tversky_options){LOGITS, .fp_weight = 0.3, .fn_weight = 0.7}); }
LOSS(focal_tversky) { return gr_focal_tversky(t, z, y, FOCAL_TVERSKY(.fp_weight = 0.3, .fn_weight = 0.7, .gamma = 0.75)); }
LOSS(huber) { return gr_huber(t, gr_sigmoid(t, z), y, &(gr_huber_options){.delta = 0.5}); }
LOSS(smooth_l1) { return gr_smooth_l1(t, gr_sigmoid(t, z), y, &(gr_smooth_l1_options){.beta = 0.5}); }
LOSS(jaccard) { return gr_jaccard(t, z, y, OVERLAP(.epsilon = 1.0)); }
LOSS(generalised_dice) { return gr_generalised_dice(t, both(t, z), masks(t, y), OVERLAP(.base.softmax = true)); }
LOSS(log_cosh_dice) { return gr_log_cosh_dice(t, z, y, OVERLAP(.epsilon = 1.0)); }
LOSS(dice_bce) { return gr_dice_bce(t, z, y, COMPOUND(.mix = 1.0)); }
LOSS(dice_ce) { return gr_dice_ce(t, both(t, z), masks(t, y), COMPOUND(.mix = 1.0)); }
LOSS(dice_focal) { return gr_dice_focal(t, z, y, &(gr_dice_focal_options){LOGITS, .alpha = 0.5, .gamma = 2.0}); }
LOSS(lovasz_hinge) { return gr_lovasz_hinge(t, z, y, NULL); }
LOSS(lovasz_softmax) { return gr_lovasz_softmax(t, both(t, z), masks(t, y), &(gr_lovasz_softmax_options){LOGITS}); }
/* clang-format on */

static const struct {
    const char *name, *what;
    gr_tensor *(*of)(gr_tape *t, gr_tensor *z, gr_tensor *y);
} losses[] = {
    {"l1", "L1 (Eq. 1)", l1},
    {"mse", "MSE (Eq. 2)", mse},
    {"zero-one", "0-1 (Eq. 3)", zero_one},
    {"hinge", "hinge (Eq. 4)", hinge},
    {"bce", "BCE (Eq. 5)", bce},
    {"cross-entropy", "cross entropy, two classes (Eq. 6)", cross_entropy},
    {"kl", "KL, two classes (Eq. 9)", kl},
    {"weighted-bce", "W-BCE, beta 3 (Eq. 10)", weighted_bce},
    {"balanced-bce", "B-BCE (Eq. 11)", balanced_bce},
    {"focal", "focal, alpha 1/2, gamma 2 (Eq. 14)", focal},
    {"sens-spec", "sensitivity-specificity (Eq. 15)", sens_spec},
    {"dice", "Dice (Eq. 17)", dice},
    {"tversky", "Tversky, FP 0.3, FN 0.7 (Eq. 18)", tversky},
    {"focal-tversky", "focal Tversky, gamma 3/4 (Eq. 19)", focal_tversky},
    {"huber", "Huber, delta 1/2", huber},
    {"smooth-l1", "smooth L1, beta 1/2", smooth_l1},
    {"jaccard", "Jaccard", jaccard},
    {"generalised-dice", "generalised Dice", generalised_dice},
    {"log-cosh-dice", "log-cosh Dice", log_cosh_dice},
    {"dice-bce", "Dice + BCE", dice_bce},
    {"dice-ce", "Dice + cross entropy", dice_ce},
    {"dice-focal", "Dice + focal", dice_focal},
    {"lovasz-hinge", "Lovasz hinge", lovasz_hinge},
    {"lovasz-softmax", "Lovasz softmax", lovasz_softmax},
};
enum { N_LOSSES = COUNT(losses) };

/* ---- Judging ------------------------------------------------------------------------------------------------ */

/* Means over the images, each judged by itself, and the worst of them. */
typedef struct score {
    gr_metrics mean;
    double worst; /* Dice */
    int64_t which;
} score;

/* Adds the i-th of n images; foreground is said where z > 0. */
static void add_score(score *s, const gr_tensor *z, const gr_tensor *y, int64_t i, int64_t n)
{
    gr_confusion c = {0, 0, 0, 0};
    check(gr_confusion_add(z, y, &(gr_confusion_options){.from_logits = true}, &c, 1));
    const gr_metrics m = gr_metrics_of(&c);
    s->mean.iou += m.iou / (double)n;
    s->mean.dice += m.dice / (double)n;
    s->mean.sensitivity += m.sensitivity / (double)n;
    s->mean.specificity += m.specificity / (double)n;
    if (i > 0 && m.dice >= s->worst) return;
    s->worst = m.dice;
    s->which = i;
}

static gr_tensor *row_of(gr_tensor *images, int64_t i)
{
    return need(gr_view_rows(images, i, 1));
}

/* Logits [1,1,H,W] of an image [1,C,H,W], yours: the mean over all ways to see it. The network knows them all from its
 * training, and its errors are not the same in each. */
static gr_tensor *look_at(gr_tape *t, const segmenter *m, const gr_tensor *image)
{
    const bool was_recording = gr_set_recording(t, false); /* nothing to differentiate */
    const int n = ways(image);
    gr_tensor *mean = need(gr_zeros(GR_F32, GR_SHAPE(1, 1, gr_dim(image, 2), gr_dim(image, 3))));
    for (int how = 0; how < n; how++) {
        gr_tensor *x = need(gr_copy(image));
        turn(x, 0, how);
        gr_tensor *z = need(gr_copy(need(segment(t, m, x, 0.0))));
        turn(z, 0, back(how));
        const float *from = gr_read_f32(z);
        float *to = gr_f32(mean);
        for (int64_t k = 0; k < gr_size(mean); k++) to[k] += from[k] / (float)n;
        gr_tensor_free(z);
        gr_tensor_free(x);
        gr_tape_reset(t);
    }
    gr_set_recording(t, was_recording);
    return mean;
}

/* What Otsu's threshold takes off an image [1,C,H,W], its channels averaged: above 0 is foreground. [1,1,H,W], yours.
 */
static gr_tensor *above_otsu(const gr_tensor *image)
{
    const int64_t channels = gr_dim(image, 1), size = gr_dim(image, 2) * gr_dim(image, 3);
    gr_tensor *grey = need(gr_zeros(GR_F32, GR_SHAPE(1, 1, gr_dim(image, 2), gr_dim(image, 3))));
    const float *from = gr_read_f32(image);
    float *to = gr_f32(grey);
    for (int64_t k = 0; k < channels * size; k++) to[k % size] += from[k] / (float)channels;
    const double threshold = gr_otsu(grey);
    for (int64_t k = 0; k < size; k++) to[k] -= (float)threshold;
    return grey;
}

/* The network on each image of a set; without a network (m NULL) Otsu's threshold. */
static score judge(gr_tape *t, const segmenter *m, const gr_dataset *set)
{
    const int64_t n = gr_dataset_size(set);
    score s = {.which = 0};
    for (int64_t i = 0; i < n; i++) {
        gr_tensor *x = row_of(gr_dataset_x(set), i), *y = row_of(gr_dataset_y(set), i);
        gr_tensor *z = m ? look_at(t, m, x) : above_otsu(x);
        add_score(&s, z, y, i, n);
        gr_tensor_free(z);
        gr_tensor_free(y);
        gr_tensor_free(x);
    }
    return s;
}

/* ---- Training ----------------------------------------------------------------------------------------------- */

typedef struct plan {
    int64_t epochs, batch;
    double rate;
} plan;

typedef struct run {
    const char *name, *what;
    gr_params *params;
    segmenter m;     /* of those parameters */
    double *history; /* mean training loss of each epoch */
    score held_out;
    double seconds; /* of training */
} run;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* What a training needs, besides the network. */
typedef struct trainer {
    gr_tape *tape;
    gr_batches *batches;
    gr_optimizer *adam;
    gr_schedule rate;
    gr_rng turns;
    int64_t step;
} trainer;

/* One pass over the images; returns the mean loss. */
static double train_epoch(trainer *t, const segmenter *m, int which)
{
    double sum = 0.0;
    for (; gr_batches_next(t->batches); t->step++) {
        gr_tensor *x = gr_batch_x(t->batches), *y = gr_batch_y(t->batches);
        for (int64_t i = 0; i < gr_dim(x, 0); i++) { /* images and masks alike */
            const int how = (int)gr_rng_below(&t->turns, ways(x));
            turn(x, i, how);
            turn(y, i, how);
        }
        /* The first batches' statistics make a plain mean, later ones take a tenth of it. */
        gr_tensor *z = segment(t->tape, m, x, fmax(0.1, 1.0 / (double)(t->step + 1)));
        gr_tensor *loss = need(losses[which].of(t->tape, z, y));
        check(gr_backward(t->tape, loss, 0));
        check(gr_set_learning_rate(t->adam, gr_schedule_rate(&t->rate, t->step)));
        check(gr_step(t->adam));
        sum += gr_item(loss);
        gr_tape_reset(t->tape);
    }
    return sum / (double)gr_batches_count(t->batches);
}

/* Every loss gets the same `rng`: the same first weights, the same batches, the same turns. */
static run train(const data *d, int which, const plan *p, gr_rng rng)
{
    run r = {.name = losses[which].name, .what = losses[which].what};
    r.history = calloc((size_t)p->epochs, sizeof(double));
    if (!r.history) fail("out of memory");
    gr_rng weights = gr_rng_split(&rng);
    r.params = need(segmenter_params(GR_F32, d->channels, &weights));
    r.m = segmenter_of(r.params);
    trainer t = {.tape = need(gr_tape_new()), .turns = gr_rng_split(&rng)};
    t.batches = need(gr_batches_new(d->train, p->batch, &rng));
    t.adam = need(gr_adamw(r.params, &(gr_adam_options){.weight_decay = 0.01}));
    const int64_t steps = p->epochs * gr_batches_count(t.batches), warmup = steps / 20;
    t.rate = (gr_schedule){.kind = GR_COSINE, .base = p->rate, .period = steps - warmup, .warmup = warmup};

    const double start = now();
    for (int64_t epoch = 0; epoch < p->epochs; epoch++) {
        progress("%s: epoch %lld of %lld", r.name, (long long)epoch + 1, (long long)p->epochs);
        r.history[epoch] = train_epoch(&t, &r.m, which);
        if (!isfinite(r.history[epoch]))
            fail("%s: the loss is %g in epoch %lld: try a smaller --rate", r.name, r.history[epoch],
                 (long long)epoch + 1);
    }
    r.seconds = now() - start;
    end_progress();
    r.held_out = judge(t.tape, &r.m, d->test);
    gr_optimizer_free(t.adam);
    gr_batches_free(t.batches);
    gr_tape_free(t.tape);
    return r;
}

/* ---- Reporting ---------------------------------------------------------------------------------------------- */

static void print_head(void)
{
    printf("\nOn the images held out, means over the images:\n\n%-36s   IoU   Dice  sensitivity  specificity  worst "
           "Dice       s\n",
           "");
}

static void print_score(const char *what, const score *s, double seconds)
{
    const gr_metrics *m = &s->mean;
    printf("%-36s %.3f  %.3f        %.3f        %.3f       %.3f", what, m->iou, m->dice, m->sensitivity, m->specificity,
           s->worst);
    if (seconds > 0.0) printf("  %6.1f", seconds);
    printf("\n");
    fflush(stdout);
}

/* A name out of a folder as a cell of CSV. */
static void write_name(FILE *csv, const char *name)
{
    fputc('"', csv);
    for (; *name; name++) fputs(*name == '"' ? "\"\"" : (char[]){*name, '\0'}, csv);
    fputc('"', csv);
}

static void write_score(FILE *csv, const char *name, const score *s, double seconds, const gr_dataset *test)
{
    const gr_metrics *m = &s->mean;
    const char *worst = gr_dataset_sample_name(test, s->which);
    fprintf(csv, "%s,%.6f,%.6f,%.6f,%.6f,%.6f,", name, m->iou, m->dice, m->sensitivity, m->specificity, s->worst);
    if (worst) write_name(csv, worst);
    else fprintf(csv, "%lld", (long long)s->which);
    fprintf(csv, ",%.3f\n", seconds);
}

static void log_runs(const run runs[], int n, const score *otsu, const gr_dataset *test, const plan *p)
{
    FILE *csv = create_file("03_segmenter", ".csv");
    fprintf(csv, "loss,iou,dice,sensitivity,specificity,worst_dice,worst_image,training_seconds\n");
    write_score(csv, "otsu", otsu, 0.0, test);
    for (int k = 0; k < n; k++) write_score(csv, runs[k].name, &runs[k].held_out, runs[k].seconds, test);
    close_file(csv, "03_segmenter.csv");
    csv = create_file("03_training", ".csv");
    fprintf(csv, "loss,epoch,training_loss\n");
    for (int k = 0; k < n; k++)
        for (int64_t epoch = 0; runs[k].history && epoch < p->epochs; epoch++)
            fprintf(csv, "%s,%lld,%.9g\n", runs[k].name, (long long)epoch + 1, runs[k].history[epoch]);
    close_file(csv, "03_training.csv");
}

/* Mean and worst Dice of each loss beside Otsu's, the first row. */
static void draw_scores(int n)
{
    FILE *s = begin_picture("03_segmenter", 520, 120 + 22 * n);
    fprintf(s,
            "set yrange [%d.5:-0.5]\nset xrange [0:1]\nset xlabel 'Dice on the images held out'\n"
            "set key outside top center horizontal samplen 1\nset border 1 lc rgb '#666666'\n"
            "plot '03_segmenter.csv' skip 1 using 6:0:($3-$6):(0) with vectors nohead lc rgb '#c9c9c9' lw 2 notitle, "
            "\\\n",
            n);
    fprintf(s, "  '' skip 1 using 6:0 with points pt 6 lw 2 lc rgb '#c8553d' title 'worst image', \\\n"
               "  '' skip 1 using 3:0:ytic(1) with points pt 7 lc rgb '#2a6f97' title 'mean'\n");
    finish_picture(s, "03_segmenter");
}

/* ---- Pictures ----------------------------------------------------------------------------------------------- */

/* From its darkest value to its brightest, the dark ones lifted: most pixels of a micrograph are. */
static void add_input(sheet *s, const gr_tensor *x)
{
    gr_tensor *shown = need(gr_copy(x));
    float *v = gr_f32(shown), lo = v[0], hi = v[0];
    for (int64_t k = 0; k < gr_size(x); k++) lo = fminf(lo, v[k]), hi = fmaxf(hi, v[k]);
    for (int64_t k = 0; k < gr_size(x); k++) v[k] = hi > lo ? sqrtf((v[k] - lo) / (hi - lo)) : 0.0f;
    add_image(s, "input", v, gr_dim(x, 1));
    gr_tensor_free(shown);
}

/* Input, truth, Otsu's threshold and what each loss came to, for a few of the images held out, `worst` the last of
 * them. */
static void draw_runs(const run runs[], int n, const gr_dataset *test, int64_t worst)
{
    gr_tensor *x = gr_dataset_x(test);
    const int64_t all = gr_dataset_size(test), wanted = n > 1 ? 2 : 4, shown = all < wanted ? all : wanted;
    const int64_t pictures = 3 + n, columns = pictures > 6 ? 9 : pictures, rows = (pictures + columns - 1) / columns;
    sheet s = begin_sheet(shown * rows, columns, gr_dim(x, 2), gr_dim(x, 3));
    gr_tape *t = need(gr_tape_new());
    for (int64_t k = 0; k < shown; k++) {
        const int64_t i = k + 1 < shown ? k * all / shown : worst;
        gr_tensor *image = row_of(x, i), *mask = row_of(gr_dataset_y(test), i), *otsu = above_otsu(image);
        const float *truth = gr_read_f32(mask);
        next_row(&s);
        add_input(&s, image);
        add_mask(&s, "truth", truth, truth);
        add_mask(&s, "otsu", gr_read_f32(otsu), truth);
        for (int r = 0; r < n; r++) {
            gr_tensor *z = look_at(t, &runs[r].m, image);
            add_mask(&s, runs[r].name, gr_read_f32(z), truth);
            gr_tensor_free(z);
        }
        gr_tensor_free(otsu);
        gr_tensor_free(mask);
        gr_tensor_free(image);
    }
    gr_tape_free(t);
    printf("In the picture white was found, red was said and is not there, blue is there and was missed.\n");
    finish_sheet(&s, "03_segmenter");
}

/* ---- One image of the reader's, at its own size ------------------------------------------------------------- */

static void predict(const run *r, const char *path)
{
    const int64_t channels = gr_dim(r->m.weight[0], 1);
    gr_tensor *image = need(gr_png_read(path, (int)channels));
    const int64_t h = gr_dim(image, 1), w = gr_dim(image, 2);
    gr_tensor *x = need(gr_view(image, GR_SHAPE(1, channels, h, w)));
    standardize(x);
    gr_tape *t = need(gr_tape_new());
    gr_tensor *zero = need(gr_scalar(GR_F32, 0.0)), *z = look_at(t, &r->m, x);
    gr_tensor *p = need(gr_sigmoid(t, z)), *mask = need(gr_greater(t, z, zero));
    sheet s = begin_sheet(1, 3, h, w);
    add_input(&s, x);
    add_image(&s, "probability", gr_read_f32(p), 1);
    add_image(&s, "mask", gr_read_f32(mask), 1);
    finish_sheet(&s, "03_prediction");
    write_png("03_mask", gr_reshape(t, mask, GR_SHAPE(h, w)));
    printf("%s: %.1f %% of the pixels are foreground\n", path,
           100.0 * gr_item(need(gr_mean(t, mask, GR_ALL_AXES, false))));
    gr_tape_free(t);
    gr_tensor_free(z);
    gr_tensor_free(zero);
    gr_tensor_free(x);
    gr_tensor_free(image);
}

/* ---- The lesson --------------------------------------------------------------------------------------------- */

typedef struct settings {
    source from;
    plan plan;
    const char *loss, *save, *load, *predict;
    int first, last; /* of the losses */
    int64_t seed, side;
    double min_dice, min_worst;
} settings;

static void find_loss(settings *s)
{
    char known[512] = "";
    s->first = 0;
    s->last = N_LOSSES - 1;
    if (strcmp(s->loss, "all") == 0) return;
    for (int k = 0; k < N_LOSSES; k++) {
        if (strcmp(losses[k].name, s->loss) == 0) s->first = s->last = k;
        snprintf(known + strlen(known), sizeof known - strlen(known), " %s", losses[k].name);
    }
    if (s->first != s->last) refuse("--loss %s: expected all or one of%s", s->loss, known);
}

static void check_settings(settings *s)
{
    const source *from = &s->from;
    if (!from->images != !from->masks) refuse("--images and --masks go together");
    if (!from->test_images != !from->test_masks) refuse("--test-images and --test-masks go together");
    if (from->test_images && !from->images) refuse("--test-images needs --images");
    find_loss(s);
    if (s->load && s->save) refuse("--load and --save: the file is there already");
    if (s->save && s->first != s->last) refuse("--save needs a --loss: of which are the weights?");
    if (s->predict && !s->load && s->first != s->last) refuse("--predict needs a --loss or --load");
    s->from.shapes.height = s->from.shapes.width = s->side;
    if (!s->plan.epochs) s->plan.epochs = from->images ? 80 : 20;
    if (quick) {
        s->plan.epochs = s->plan.epochs < 3 ? s->plan.epochs : 3;
        s->from.shapes.count = from->shapes.count < 24 ? from->shapes.count : 24;
    }
}

static settings read_settings(int argc, char *argv[])
{
    settings s = {.from = {.test_share = 0.25, .shapes = {.count = 64, .foreground = 0.1, .hard = 0.25}},
                  .plan = {.batch = 4, .rate = 0.01},
                  .loss = "all",
                  .seed = 1,
                  .side = 64};
    const option options[] = {
        {"--images", "DIR", "images, PNG", TEXT, &s.from.images, 0, 0},
        {"--masks", "DIR", "  masks of the same names, white where the object is", TEXT, &s.from.masks, 0, 0},
        {"--test-images", "DIR", "  images to be judged on (a share of the others)", TEXT, &s.from.test_images, 0, 0},
        {"--test-masks", "DIR", "  and their masks", TEXT, &s.from.test_masks, 0, 0},
        {"--test-share", "S", "  the share held out (0.25)", NUMBER, &s.from.test_share, 0.01, 0.99},
        {"--resize", "N", "  to N x N pixels (as they are)", INTEGER, &s.from.size, 8, 2048},
        {"--samples", "N", "generated images, when no folder is given (64)", INTEGER, &s.from.shapes.count, 4, 100000},
        {"--side", "N", "  N x N pixels (64)", INTEGER, &s.side, 8, 2048},
        {"--foreground", "S", "  share of the pixels that is foreground (0.1)", NUMBER, &s.from.shapes.foreground,
         0.001, 0.9},
        {"--hard", "S", "  share of the images with a quarter of the contrast (0.25)", NUMBER, &s.from.shapes.hard, 0,
         1},
        {"--loss", "NAME", "mse, dice, dice-bce, ..., or all, one after the other (all)", TEXT, &s.loss, 0, 0},
        {"--epochs", "N", "passes over the training images (20; 80 with --images)", INTEGER, &s.plan.epochs, 1, 1e6},
        {"--batch", "N", "images in a step (4)", INTEGER, &s.plan.batch, 1, 1e6},
        {"--rate", "R", "the largest step size of AdamW (0.01)", NUMBER, &s.plan.rate, 1e-6, 10},
        {"--seed", "N", "of images, split, first weights and order (1)", INTEGER, &s.seed, 0, 1e15},
        {"--save", "FILE", "write the trained weights, safetensors", TEXT, &s.save, 0, 0},
        {"--load", "FILE", "take these weights instead of training", TEXT, &s.load, 0, 0},
        {"--predict", "IMAGE", "segment this image; with --load and no folders, do nothing else", TEXT, &s.predict, 0,
         0},
        {"--min-dice", "D", "fail unless the best mean Dice is D", NUMBER, &s.min_dice, 0, 1},
        {"--min-worst", "D", "fail unless the best loss's worst image has a Dice of D", NUMBER, &s.min_worst, 0, 1},
    };
    read_options(
        argc, argv,
        "Lesson 3: a tiny convolutional segmenter, trained with each loss on your images or on generated ones.",
        options, COUNT(options));
    check_settings(&s);
    return s;
}

/* The weights of a file instead of training; `channels` 0: 1 or 3, whichever the file's first convolution has. A
 * failure leaves the parameters untouched. */
static run load_run(const char *path, int64_t channels)
{
    gr_rng rng = gr_rng_seed(0);
    run r = {.name = "loaded", .what = "the weights loaded"};
    r.params = need(segmenter_params(GR_F32, channels ? channels : 1, &rng));
    const gr_status status = gr_params_load(r.params, path);
    if (status == GR_ERR_SHAPE && !channels) {
        gr_params_free(r.params);
        return load_run(path, 3);
    }
    check(status);
    r.m = segmenter_of(r.params);
    return r;
}

static void free_run(run *r)
{
    gr_params_free(r->params);
    free(r->history);
}

/* Says which has the best mean, and what that is worst at. */
static const run *best_of(const run runs[], int n, const gr_dataset *test)
{
    const run *best = runs;
    for (int k = 1; k < n; k++)
        if (runs[k].held_out.mean.dice > best->held_out.mean.dice) best = &runs[k];
    const char *worst = gr_dataset_sample_name(test, best->held_out.which);
    printf("\n");
    if (n > 1) printf("The best mean Dice is that of %s.\n", best->name);
    if (worst) printf("The worst image of %s is %s.\n", best->name, worst);
    return best;
}

/* Trains with each loss that is asked for, or loads; returns how many runs there are. */
static int run_all(run runs[N_LOSSES], const data *d, const settings *s, gr_rng rng)
{
    int n = 0;
    if (s->load) {
        gr_tape *t = need(gr_tape_new());
        runs[n] = load_run(s->load, d->channels);
        runs[n].held_out = judge(t, &runs[n].m, d->test);
        gr_tape_free(t);
        print_score(runs[n].what, &runs[n].held_out, 0.0);
        return 1;
    }
    for (int k = s->first; k <= s->last; k++, n++) {
        runs[n] = train(d, k, &s->plan, rng);
        print_score(runs[n].what, &runs[n].held_out, runs[n].seconds);
    }
    return n;
}

int main(int argc, char *argv[])
{
    const settings s = read_settings(argc, argv);
    if (s.load && s.predict && !s.from.images) {
        run r = load_run(s.load, 0);
        predict(&r, s.predict);
        free_run(&r);
        return 0;
    }
    gr_rng rng = gr_rng_seed((uint64_t)s.seed);
    data d = load(&s.from, &rng);
    const score otsu = judge(NULL, NULL, d.test);
    print_head();
    print_score("Otsu's threshold, no training", &otsu, 0.0);

    run runs[N_LOSSES];
    const int n = run_all(runs, &d, &s, rng);
    const run *best = best_of(runs, n, d.test);
    log_runs(runs, n, &otsu, d.test, &s.plan);
    draw_scores(n);
    draw_runs(runs, n, d.test, best->held_out.which);
    if (s.save) {
        check(gr_params_save(best->params, s.save));
        printf("saved: %s, %lld parameters\n", s.save, (long long)gr_params_elements(best->params));
    }
    if (s.predict) predict(best, s.predict);

    const double dice = best->held_out.mean.dice, worst = best->held_out.worst;
    for (int k = 0; k < n; k++) free_run(&runs[k]);
    gr_dataset_free(d.train);
    gr_dataset_free(d.test);
    if (dice < s.min_dice) fail("the mean Dice came to %.4f, wanted %g", dice, s.min_dice);
    if (worst < s.min_worst) fail("the worst image has a Dice of %.3f, wanted %g", worst, s.min_worst);
    return 0;
}
