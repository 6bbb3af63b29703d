/* Lesson 3, a tiny convolutional segmenter: one network, trained once with each loss on images and masks of your own or on
 * generated ones, from the same first weights and with the same images in the same order.
 *
 * The network is an encoder and a decoder with skip connections (a small U-Net: Ronneberger et al., 2015). The encoder halves
 * the image twice, so that a pixel of its last level sees a neighbourhood of 40 pixels; the decoder enlarges it again, and
 * at each level gets beside it what the encoder saw there, sharp. One number comes out for each pixel, a logit.
 *
 * Beside every loss stands a threshold by Otsu's method, which needs no training: what does not beat it has learned nothing
 * that the brightness of a single pixel does not say. Pictures are judged one by one, and the mean is over pictures. */
#include "common.h"

#include <time.h>

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

static double foreground(const gr_dataset *set)
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
    printf("%lld images for training, %lld held out, %lld x %lld pixels, %lld channel%s; %.1f %% of the pixels are foreground\n",
           (long long)gr_dataset_size(d.train), (long long)gr_dataset_size(d.test), (long long)gr_dim(x, 2),
           (long long)gr_dim(x, 3), (long long)d.channels, d.channels > 1 ? "s" : "", 100.0 * foreground(d.train));
    standardize(gr_dataset_x(d.train));
    standardize(gr_dataset_x(d.test));
    return d;
}

/* ---- What a network of images is made of -------------------------------------------------------------------- */

/* y[n,k,i,j] = sum over c, a, b of w[k,c,a,b] x[n,c,i+a-r,j+b-r], with zeros around x: for each tap (a,b) a matrix [k,c]
 * times the image moved by it. */
static gr_tensor *convolve(gr_tape *t, gr_tensor *x, gr_tensor *w)
{
    const int64_t n = gr_dim(x, 0), h = gr_dim(x, 2), width = gr_dim(x, 3), side = gr_dim(w, 2), r = side / 2;
    gr_tensor *padded = r ? gr_pad(t, gr_pad(t, x, 2, r, r, 0.0), 3, r, r, 0.0) : x, *y = NULL;
    for (int64_t a = 0; a < side; a++)
        for (int64_t b = 0; b < side; b++) {
            gr_tensor *moved = gr_slice(t, gr_slice(t, padded, 2, a, a + h), 3, b, b + width);
            gr_tensor *tap = gr_slice(t, gr_slice(t, w, 2, a, a + 1), 3, b, b + 1);
            gr_tensor *matrix = gr_reshape(t, tap, GR_SHAPE(gr_dim(w, 0), gr_dim(w, 1)));
            gr_tensor *part = gr_matmul(t, matrix, gr_reshape(t, moved, GR_SHAPE(n, gr_dim(x, 1), h * width)), 0);
            y = y ? gr_add(t, y, part) : part;
        }
    return gr_reshape(t, y, GR_SHAPE(n, gr_dim(w, 0), h, width));
}

/* Half the height and width: of each 2 x 2 pixels the largest. */
static gr_tensor *halve(gr_tape *t, gr_tensor *x)
{
    const int64_t n = gr_dim(x, 0), c = gr_dim(x, 1), h = gr_dim(x, 2) / 2, w = gr_dim(x, 3) / 2;
    return gr_max(t, gr_reshape(t, x, GR_SHAPE(n, c, h, 2, w, 2)), GR_AXES(3, 5), false);
}

/* Twice the height and width: each pixel four times. */
static gr_tensor *twice(gr_tape *t, gr_tensor *x)
{
    const int64_t n = gr_dim(x, 0), c = gr_dim(x, 1), h = gr_dim(x, 2), w = gr_dim(x, 3);
    gr_tensor *four = gr_broadcast_to(t, gr_reshape(t, x, GR_SHAPE(n, c, h, 1, w, 1)), GR_SHAPE(n, c, h, 2, w, 2));
    return gr_reshape(t, four, GR_SHAPE(n, c, 2 * h, 2 * w));
}

/* Batch normalisation (Ioffe and Szegedy, 2015): each channel to mean 0 and variance 1, then scaled and shifted as the
 * network likes it. In training by the batch's own mean and variance, which are noted for the evaluation. */
typedef struct norm {
    gr_tensor *scale, *shift;   /* [C], trained */
    gr_tensor *mean, *variance; /* [C], noted */
} norm;

/* noted <- (1 - share) noted + share seen */
static void note(gr_tensor *noted, const gr_tensor *seen, double share)
{
    float *to = gr_f32(noted);
    const float *from = gr_read_f32(seen);
    for (int64_t c = 0; c < gr_size(noted); c++) to[c] += (float)share * (from[c] - to[c]);
}

/* `share` 0: evaluation, by what was noted. */
static gr_tensor *normalize(gr_tape *t, const norm *n, gr_tensor *x, double share)
{
    const int64_t c = gr_dim(x, 1);
    gr_tensor *mean, *variance;
    if (share > 0.0) {
        mean = gr_mean(t, x, GR_AXES(0, 2, 3), true);
        variance = need(gr_var(t, x, GR_AXES(0, 2, 3), true, 0));
        note(n->mean, mean, share);
        note(n->variance, variance, share);
    } else {
        mean = gr_reshape(t, n->mean, GR_SHAPE(1, c, 1, 1));
        variance = gr_reshape(t, n->variance, GR_SHAPE(1, c, 1, 1));
    }
    gr_tensor *scale = gr_mul(t, gr_reshape(t, n->scale, GR_SHAPE(1, c, 1, 1)), gr_pow_scalar(t, gr_shift(t, variance, 1e-5), -0.5));
    return gr_add(t, gr_mul(t, gr_sub(t, x, mean), scale), gr_reshape(t, n->shift, GR_SHAPE(1, c, 1, 1)));
}

/* ---- The network -------------------------------------------------------------------------------------------- */

/* A block is relu(batch_norm(conv3x3(x))). */
enum { ENCODER_1A, ENCODER_1B, ENCODER_2A, ENCODER_2B, MIDDLE_A, MIDDLE_B, DECODER_2, DECODER_1, N_BLOCKS };
static const struct {
    const char *name;
    int64_t in, out; /* channels; in 0: those of the image */
} shapes[N_BLOCKS] = {
    [ENCODER_1A] = {"encoder_1a", 0, 8},  [ENCODER_1B] = {"encoder_1b", 8, 8}, [ENCODER_2A] = {"encoder_2a", 8, 16},
    [ENCODER_2B] = {"encoder_2b", 16, 16}, [MIDDLE_A] = {"middle_a", 16, 32},  [MIDDLE_B] = {"middle_b", 32, 32},
    [DECODER_2] = {"decoder_2", 32 + 16, 16}, [DECODER_1] = {"decoder_1", 16 + 8, 8},
};

typedef struct block {
    gr_tensor *w;
    norm norm;
} block;

typedef struct model {
    gr_params *params;
    block blocks[N_BLOCKS];
    gr_tensor *w, *b; /* the last convolution, 1x1: a logit for each pixel */
    int64_t channels;
} model;

static gr_tensor *add_param(gr_params *p, const char *of, const char *name, gr_tensor *w)
{
    char full[64];
    snprintf(full, sizeof full, "%s.%s", of, name);
    return need(gr_params_add(p, full, w));
}

static gr_tensor *add_buffer(gr_params *p, const char *of, const char *name, gr_tensor *w)
{
    char full[64];
    snprintf(full, sizeof full, "%s.%s", of, name);
    return need(gr_params_add_buffer(p, full, w));
}

static model make_model(int64_t channels, gr_rng rng)
{
    model m = {.params = need(gr_params_new()), .channels = channels};
    for (int k = 0; k < N_BLOCKS; k++) {
        const char *name = shapes[k].name;
        const int64_t in = shapes[k].in ? shapes[k].in : channels, c = shapes[k].out;
        m.blocks[k] = (block){
            .w = add_param(m.params, name, "w", gr_kaiming_normal(GR_F32, GR_SHAPE(c, in, 3, 3), &rng)),
            .norm.scale = add_param(m.params, name, "scale", gr_ones(GR_F32, GR_SHAPE(c))),
            .norm.shift = add_param(m.params, name, "shift", gr_zeros(GR_F32, GR_SHAPE(c))),
            .norm.mean = add_buffer(m.params, name, "mean", gr_zeros(GR_F32, GR_SHAPE(c))),
            .norm.variance = add_buffer(m.params, name, "variance", gr_ones(GR_F32, GR_SHAPE(c))),
        };
    }
    m.w = add_param(m.params, "head", "w", gr_xavier_normal(GR_F32, GR_SHAPE(1, shapes[DECODER_1].out, 1, 1), &rng));
    m.b = add_param(m.params, "head", "b", gr_zeros(GR_F32, GR_SHAPE(1, 1, 1, 1)));
    return m;
}

static gr_tensor *apply(gr_tape *t, const block *b, gr_tensor *x, double share)
{
    return gr_relu(t, normalize(t, &b->norm, convolve(t, x, b->w), share));
}

/* Twice the height and width, with what the encoder saw there beside it. */
static gr_tensor *enlarge(gr_tape *t, gr_tensor *x, gr_tensor *skip)
{
    return gr_concat(t, (gr_tensor *[]){twice(t, x), skip}, 2, 1);
}

/* Logits [N,1,H,W] of images [N,C,H,W]; sides that 4 does not divide are filled up with 0, the images' mean, and cut.
 * `share` is normalize()'s: 0 but in training. */
static gr_tensor *segment(gr_tape *t, const model *m, gr_tensor *x, double share)
{
    const int64_t h = gr_dim(x, 2), w = gr_dim(x, 3);
    if (h % 4) x = gr_pad(t, x, 2, 0, 4 - h % 4, 0.0);
    if (w % 4) x = gr_pad(t, x, 3, 0, 4 - w % 4, 0.0);
    const block *b = m->blocks;
    gr_tensor *one = apply(t, &b[ENCODER_1B], apply(t, &b[ENCODER_1A], x, share), share);
    gr_tensor *two = apply(t, &b[ENCODER_2B], apply(t, &b[ENCODER_2A], halve(t, one), share), share);
    gr_tensor *middle = apply(t, &b[MIDDLE_B], apply(t, &b[MIDDLE_A], halve(t, two), share), share);
    gr_tensor *up = apply(t, &b[DECODER_2], enlarge(t, middle, two), share);
    up = apply(t, &b[DECODER_1], enlarge(t, up, one), share);
    gr_tensor *z = gr_add(t, convolve(t, up, m->w), m->b);
    if (h % 4) z = gr_slice(t, z, 2, 0, h);
    if (w % 4) z = gr_slice(t, z, 3, 0, w);
    return need(z);
}

/* ---- The losses --------------------------------------------------------------------------------------------- */

/* All of logits z against a mask y of the same shape; a region is the mask of one image. */
#define REGION(...) &(gr_region_options){.base = {.from_logits = true}, __VA_ARGS__}
#define LOSS(name) static gr_tensor *name(gr_tape *t, gr_tensor *z, gr_tensor *y)

LOSS(mse) { return gr_mse(t, gr_sigmoid(t, z), y, NULL); }
LOSS(hinge) { return gr_hinge(t, z, gr_shift(t, gr_scale(t, y, 2.0), -1.0), NULL); }
LOSS(bce) { return gr_bce(t, z, y, &(gr_loss_options){.from_logits = true}); }
LOSS(weighted_bce) { return gr_weighted_bce(t, z, y, &(gr_weighted_bce_options){.base = {.from_logits = true}, .beta = 3.0}); }
LOSS(balanced_bce)
{
    return gr_balanced_bce(t, z, y, &(gr_balanced_bce_options){.base = {.from_logits = true}, .margin = 0.01});
}
LOSS(focal) { return gr_focal(t, z, y, &(gr_focal_options){.base = {.from_logits = true}, .alpha = 0.5, .gamma = 2.0}); }
LOSS(sens_spec) { return gr_sensitivity_specificity(t, z, y, REGION(.w = 0.5)); }
LOSS(dice) { return gr_dice(t, z, y, REGION(.epsilon = 1.0)); }
LOSS(tversky) { return gr_tversky(t, z, y, REGION(.fp_weight = 0.3, .fn_weight = 0.7)); }
LOSS(focal_tversky) { return gr_focal_tversky(t, z, y, REGION(.fp_weight = 0.3, .fn_weight = 0.7, .gamma = 0.75)); }
LOSS(jaccard) { return gr_jaccard(t, z, y, REGION(.epsilon = 1.0)); }
LOSS(log_cosh_dice) { return gr_log_cosh_dice(t, z, y, REGION(.epsilon = 1.0)); }
LOSS(lovasz) { return gr_lovasz_hinge(t, z, y, REGION(.region = GR_PER_PLANE)); }
LOSS(dice_bce) { return gr_dice_bce(t, z, y, REGION(.mix = 1.0)); }
LOSS(dice_focal) { return gr_dice_focal(t, z, y, REGION(.alpha = 0.5, .gamma = 2.0)); }

static const struct {
    const char *name, *what;
    gr_tensor *(*of)(gr_tape *t, gr_tensor *z, gr_tensor *y);
} losses[] = {
    {"mse", "MSE (Eq. 2)", mse},
    {"hinge", "hinge (Eq. 4)", hinge},
    {"bce", "BCE (Eq. 5)", bce},
    {"weighted-bce", "W-BCE, beta 3 (Eq. 10)", weighted_bce},
    {"balanced-bce", "B-BCE (Eq. 11)", balanced_bce},
    {"focal", "focal, alpha 1/2, gamma 2 (Eq. 14)", focal},
    {"sens-spec", "sensitivity-specificity (Eq. 15)", sens_spec},
    {"dice", "Dice (Eq. 17)", dice},
    {"tversky", "Tversky, FP 0.3, FN 0.7 (Eq. 18)", tversky},
    {"focal-tversky", "focal Tversky, gamma 3/4 (Eq. 19)", focal_tversky},
    {"jaccard", "Jaccard", jaccard},
    {"log-cosh-dice", "log-cosh Dice", log_cosh_dice},
    {"lovasz", "Lovasz hinge", lovasz},
    {"dice-bce", "Dice + BCE", dice_bce},
    {"dice-focal", "Dice + focal", dice_focal},
};
enum { N_LOSSES = COUNT(losses) };

/* ---- Judging ------------------------------------------------------------------------------------------------ */

/* Means over the images, each judged by itself, and the worst of them. */
typedef struct score {
    gr_metrics mean;
    double worst; /* Dice */
    int64_t which;
} score;

/* Adds the i-th of n images: p are logits with a threshold of 0, or anything with the threshold that it takes off. */
static void add_score(score *s, const gr_tensor *z, const gr_tensor *y, int64_t i, int64_t n)
{
    gr_confusion c = {0, 0, 0, 0};
    check(gr_confuse(z, y, &(gr_confuse_options){.from_logits = true}, &c, 1));
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

static score judge(gr_tape *t, const model *m, const gr_dataset *set)
{
    const int64_t n = gr_dataset_size(set);
    const bool was_recording = gr_set_recording(t, false); /* nothing to differentiate */
    score s = {.which = 0};
    for (int64_t i = 0; i < n; i++) {
        gr_tensor *x = row_of(gr_dataset_x(set), i), *y = row_of(gr_dataset_y(set), i);
        add_score(&s, segment(t, m, x, 0.0), y, i, n);
        gr_tape_reset(t);
        gr_tensor_free(x);
        gr_tensor_free(y);
    }
    gr_set_recording(t, was_recording);
    return s;
}

/* What Otsu's threshold takes off the i-th image, its channels averaged: above 0 is foreground. [1,1,H,W], yours. */
static gr_tensor *above_otsu(const gr_dataset *set, int64_t i)
{
    gr_tensor *x = gr_dataset_x(set);
    const int64_t channels = gr_dim(x, 1), size = gr_dim(x, 2) * gr_dim(x, 3);
    gr_tensor *grey = need(gr_zeros(GR_F32, GR_SHAPE(1, 1, gr_dim(x, 2), gr_dim(x, 3))));
    const float *from = gr_read_f32(x) + i * channels * size;
    float *to = gr_f32(grey);
    for (int64_t k = 0; k < channels * size; k++) to[k % size] += from[k] / (float)channels;
    const double threshold = gr_otsu(grey);
    for (int64_t k = 0; k < size; k++) to[k] -= (float)threshold;
    return grey;
}

static score judge_otsu(const gr_dataset *set)
{
    const int64_t n = gr_dataset_size(set);
    score s = {.which = 0};
    for (int64_t i = 0; i < n; i++) {
        gr_tensor *z = above_otsu(set, i), *y = row_of(gr_dataset_y(set), i);
        add_score(&s, z, y, i, n);
        gr_tensor_free(z);
        gr_tensor_free(y);
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
    model m;
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

static void swap_pixels(float *a, float *b)
{
    const float was = *a;
    *a = *b;
    *b = was;
}

/* Mirrors a plane left to right, upside down, along its diagonal: what is asked for of the three. */
static void turn(float *plane, int64_t h, int64_t w, const bool how[3])
{
    for (int64_t i = 0; how[0] && i < h; i++)
        for (int64_t j = 0; j < w / 2; j++) swap_pixels(&plane[i * w + j], &plane[i * w + w - 1 - j]);
    for (int64_t i = 0; how[1] && i < h / 2; i++)
        for (int64_t j = 0; j < w; j++) swap_pixels(&plane[i * w + j], &plane[(h - 1 - i) * w + j]);
    for (int64_t i = 0; how[2] && h == w && i < h; i++)
        for (int64_t j = 0; j < i; j++) swap_pixels(&plane[i * w + j], &plane[j * w + i]);
}

/* Image and mask turned alike, at random: eight images of one. */
static void turn_batch(gr_tensor *x, gr_tensor *y, gr_rng *rng)
{
    const int64_t n = gr_dim(x, 0), channels = gr_dim(x, 1), h = gr_dim(x, 2), w = gr_dim(x, 3);
    float *px = gr_f32(x), *py = gr_f32(y);
    for (int64_t i = 0; i < n; i++) {
        const uint64_t bits = gr_rng_u64(rng);
        const bool how[3] = {bits >> 63, bits >> 62 & 1, bits >> 61 & 1};
        for (int64_t c = 0; c < channels; c++) turn(px + (i * channels + c) * h * w, h, w, how);
        turn(py + i * h * w, h, w, how);
    }
}

/* `steps` counts them: the first ones make a plain mean of what they see, later ones take a tenth of it. */
static double train_epoch(gr_tape *t, const run *r, int which, gr_batches *batches, gr_optimizer *adam, int64_t *steps,
                          gr_rng *rng)
{
    double sum = 0.0;
    while (gr_batches_next(batches)) {
        gr_tensor *x = gr_batch_x(batches), *y = gr_batch_y(batches);
        turn_batch(x, y, rng);
        gr_tensor *loss = need(losses[which].of(t, segment(t, &r->m, x, fmax(0.1, 1.0 / (double)++*steps)), y));
        check(gr_backward(t, loss, 0));
        check(gr_step(adam));
        sum += gr_item(loss);
        gr_tape_reset(t);
    }
    return sum / (double)gr_batches_count(batches);
}

/* A line that rewrites itself, for who waits at a terminal. */
static void show_progress(const char *name, int64_t epoch, const plan *p)
{
    if (!isatty(STDERR_FILENO)) return;
    if (epoch < p->epochs) fprintf(stderr, "\r  %s: epoch %lld of %lld \033[K", name, (long long)epoch + 1, (long long)p->epochs);
    else fprintf(stderr, "\r\033[K");
}

/* Every loss gets the same `rng`: the same first weights, the same batches, the same turns. */
static run train(const data *d, int which, const plan *p, gr_rng rng)
{
    run r = {.name = losses[which].name, .what = losses[which].what, .history = calloc((size_t)p->epochs, sizeof(double))};
    if (!r.history) fail("out of memory");
    r.m = make_model(d->channels, gr_rng_split(&rng));
    gr_rng turns = gr_rng_split(&rng);
    gr_tape *t = need(gr_tape_new());
    gr_optimizer *adam = need(gr_adam(r.m.params, &(gr_adam_options){.lr = p->rate}));
    gr_batches *batches = need(gr_batches_new(d->train, p->batch, &rng));
    const gr_schedule cosine = {.kind = GR_COSINE, .base = p->rate, .final = 0.01 * p->rate, .period = p->epochs};
    const double start = now();
    int64_t steps = 0;
    for (int64_t epoch = 0; epoch < p->epochs; epoch++) {
        show_progress(r.name, epoch, p);
        check(gr_set_learning_rate(adam, gr_schedule_rate(&cosine, epoch)));
        r.history[epoch] = train_epoch(t, &r, which, batches, adam, &steps, &turns);
        if (!isfinite(r.history[epoch]))
            fail("%s: the loss is %g in epoch %lld: try a smaller --rate", r.name, r.history[epoch], (long long)epoch + 1);
    }
    r.seconds = now() - start;
    show_progress(r.name, p->epochs, p);
    r.held_out = judge(t, &r.m, d->test);
    gr_batches_free(batches);
    gr_optimizer_free(adam);
    gr_tape_free(t);
    return r;
}

/* ---- Reporting ---------------------------------------------------------------------------------------------- */

static void print_head(void)
{
    printf("\nOn the images held out, means over the images:\n\n%-36s   IoU   Dice  sensitivity  specificity  worst Dice       s\n", "");
}

static void print_score(const char *what, const score *s, double seconds)
{
    const gr_metrics *m = &s->mean;
    printf("%-36s %.3f  %.3f        %.3f        %.3f       %.3f", what, m->iou, m->dice, m->sensitivity, m->specificity, s->worst);
    if (seconds > 0.0) printf("  %6.1f", seconds);
    printf("\n");
    fflush(stdout);
}

static void write_score(FILE *csv, const char *name, const score *s, double seconds, const gr_dataset *test)
{
    const gr_metrics *m = &s->mean;
    const char *worst = gr_dataset_sample_name(test, s->which);
    fprintf(csv, "%s,%.6f,%.6f,%.6f,%.6f,%.6f,", name, m->iou, m->dice, m->sensitivity, m->specificity, s->worst);
    if (worst) fprintf(csv, "%s", worst);
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

/* ---- Pictures ----------------------------------------------------------------------------------------------- */

/* Letters of 3 by 5 pixels: five octal digits, a row each. */
static const char *const letters[] = {
    "25755", "65656", "34443", "65556", "74647", "74644", "34553", "55755", "72227", "11152", "55655", "44447", "57755",
    "65555", "25552", "65644", "25563", "65655", "34216", "72222", "55557", "55552", "55775", "55255", "55222", "71247",
};

typedef struct colour {
    float r, g, b;
} colour;

static void set_pixel(gr_tensor *canvas, int64_t i, int64_t j, colour c)
{
    const int64_t h = gr_dim(canvas, 1), w = gr_dim(canvas, 2);
    float *p = gr_f32(canvas);
    if (i < 0 || j < 0 || i >= h || j >= w) return;
    p[i * w + j] = c.r;
    p[(h + i) * w + j] = c.g;
    p[(2 * h + i) * w + j] = c.b;
}

static void write_label(gr_tensor *canvas, int64_t top, int64_t left, const char *text)
{
    for (; *text; text++, left += 8) {
        const char *rows = *text >= 'a' && *text <= 'z' ? letters[*text - 'a'] : "00700";
        for (int k = 0; k < 60; k++) /* each of the 15 as 2 by 2 */
            if ((rows[k / 12] - '0') >> (2 - k % 6 / 2) & 1)
                set_pixel(canvas, top + k / 6, left + k % 6, (colour){0.9f, 0.9f, 0.9f});
    }
}

/* Columns of equally large pictures under their labels. */
typedef struct sheet {
    gr_tensor *canvas;
    int64_t h, w, factor; /* of a picture; each of its pixels is so many */
} sheet;

enum { GAP = 6, LABEL = 18 };

static sheet make_sheet(int64_t rows, int64_t columns, int64_t h, int64_t w)
{
    sheet s = {.h = h, .w = w, .factor = w < 120 ? (119 + w) / w : 1};
    s.canvas = need(gr_full(GR_F32, GR_SHAPE(3, LABEL + rows * (h * s.factor + GAP), GAP + columns * (w * s.factor + GAP)), 0.15));
    return s;
}

/* What a pixel looks like, from its value and the truth. */
typedef colour (*look)(float value, float truth);

static colour as_grey(float value, float truth)
{
    (void)truth;
    const float v = 0.4f + 0.22f * value; /* of mean 0 and standard deviation 1 */
    return (colour){v, v, v};
}

static colour as_mask(float value, float truth)
{
    (void)truth;
    return value > 0.0f ? (colour){1, 1, 1} : (colour){0, 0, 0};
}

/* White: found. Red: said, and not there. Blue: there, and missed. */
static colour as_errors(float value, float truth)
{
    if (value > 0.0f) return truth > 0.5f ? (colour){1, 1, 1} : (colour){0.95f, 0.25f, 0.2f};
    return truth > 0.5f ? (colour){0.25f, 0.5f, 1.0f} : (colour){0, 0, 0};
}

static void put_picture(sheet *s, int64_t row, int64_t column, const char *label, const float *values, const float *truth, look l)
{
    const int64_t top = LABEL + row * (s->h * s->factor + GAP), left = GAP + column * (s->w * s->factor + GAP);
    if (row == 0) write_label(s->canvas, 5, left, label);
    for (int64_t i = 0; i < s->h * s->factor; i++)
        for (int64_t j = 0; j < s->w * s->factor; j++) {
            const int64_t k = i / s->factor * s->w + j / s->factor;
            set_pixel(s->canvas, top + i, left + j, l(values[k], truth ? truth[k] : 0.0f));
        }
}

static void finish_sheet(sheet *s, const char *name)
{
    make_folder(out);
    char *path = path_in_out(name, ".png");
    if (gr_png_write(path, s->canvas) == GR_OK) printf("drawn: %s\n", path);
    else if (gr_last_status() == GR_ERR_UNSUPPORTED) printf("not drawn: %s: %s\n", path, gr_last_error());
    else fail("%s", gr_last_error());
    gr_tensor_free(s->canvas);
    free(path);
}

/* Input, truth, Otsu's threshold and what each loss came to, for a few of the images held out. */
static void draw_runs(const run runs[], int n, const gr_dataset *test)
{
    gr_tensor *x = gr_dataset_x(test), *y = gr_dataset_y(test), *z = NULL;
    const int64_t images = gr_dataset_size(test), rows = images < 4 ? images : 4, size = gr_dim(x, 2) * gr_dim(x, 3);
    sheet s = make_sheet(rows, 3 + n, gr_dim(x, 2), gr_dim(x, 3));
    gr_tape *t = need(gr_tape_new());
    gr_set_recording(t, false);
    for (int64_t row = 0; row < rows; row++) {
        const int64_t i = row * images / rows;
        const float *truth = gr_read_f32(y) + i * size;
        gr_tensor *image = row_of(x, i), *otsu = above_otsu(test, i);
        put_picture(&s, row, 0, "input", gr_read_f32(image), NULL, as_grey);
        put_picture(&s, row, 1, "truth", truth, NULL, as_mask);
        put_picture(&s, row, 2, "otsu", gr_read_f32(otsu), truth, as_errors);
        for (int k = 0; k < n; k++) {
            z = segment(t, &runs[k].m, image, 0.0);
            put_picture(&s, row, 3 + k, runs[k].name, gr_read_f32(z), truth, as_errors);
            gr_tape_reset(t);
        }
        gr_tensor_free(image);
        gr_tensor_free(otsu);
    }
    gr_tape_free(t);
    printf("\nIn the picture white was found, red was said and is not there, blue is there and was missed.\n");
    finish_sheet(&s, "03_segmenter");
}

/* One image of the reader's: input, logits as a probability, mask. */
static void predict(const model *m, const char *path)
{
    gr_tensor *image = need(gr_png_read(path, (int)m->channels));
    const int64_t h = gr_dim(image, 1), w = gr_dim(image, 2);
    gr_tensor *x = need(gr_view(image, GR_SHAPE(1, m->channels, h, w)));
    standardize(x);
    gr_tape *t = need(gr_tape_new());
    gr_set_recording(t, false);
    gr_tensor *z = segment(t, m, x, 0.0), *p = need(gr_sigmoid(t, z)), *centred = need(gr_scale(t, gr_shift(t, p, -0.4), 1.0 / 0.22));
    sheet s = make_sheet(1, 3, h, w);
    put_picture(&s, 0, 0, "input", gr_read_f32(x), NULL, as_grey);
    put_picture(&s, 0, 1, "probability", gr_read_f32(centred), NULL, as_grey);
    put_picture(&s, 0, 2, "mask", gr_read_f32(z), NULL, as_mask);
    finish_sheet(&s, "03_prediction");
    const float *v = gr_read_f32(z);
    int64_t found = 0;
    for (int64_t i = 0; i < h * w; i++) found += v[i] > 0.0f;
    printf("%s: %lld of %lld pixels are foreground (%.1f %%)\n", path, (long long)found, (long long)(h * w),
           100.0 * (double)found / (double)(h * w));
    gr_tape_free(t);
    gr_tensor_free(x);
    gr_tensor_free(image);
}

/* ---- The lesson --------------------------------------------------------------------------------------------- */

typedef struct files {
    const char *save, *load, *predict;
} files;

/* Which losses are trained: first .. last. */
typedef struct choice {
    int first, last;
} choice;

static choice find_loss(const char *name)
{
    char known[512] = "";
    for (int k = 0; k < N_LOSSES; k++) {
        if (strcmp(losses[k].name, name) == 0) return (choice){k, k};
        snprintf(known + strlen(known), sizeof known - strlen(known), " %s", losses[k].name);
    }
    if (strcmp(name, "all") != 0) refuse("--loss %s: expected all or one of%s", name, known);
    return (choice){0, N_LOSSES - 1};
}

static void check_options(const source *s, const files *f, const char *loss)
{
    if (!s->images != !s->masks) refuse("--images and --masks go together");
    if (!s->test_images != !s->test_masks) refuse("--test-images and --test-masks go together");
    if (s->test_images && !s->images) refuse("--test-images needs --images");
    if (f->load && f->save) refuse("--load and --save: the file is there already");
    if (f->save && strcmp(loss, "all") == 0) refuse("--save needs a --loss: of which are the weights?");
    if (f->predict && !f->load && strcmp(loss, "all") == 0) refuse("--predict needs a --loss or --load");
}

/* The weights of a file instead of training. */
static run load_run(const char *path, int64_t channels)
{
    run r = {.name = "loaded", .what = "the weights loaded", .m = make_model(channels, gr_rng_seed(0))};
    check(gr_params_load(r.m.params, path));
    return r;
}

/* 1 or 3, whichever the file's first convolution has: a mistake leaves the model untouched. */
static run load_any(const char *path)
{
    run r = {.m = make_model(3, gr_rng_seed(0))};
    if (gr_params_load(r.m.params, path) == GR_ERR_SHAPE) {
        gr_params_free(r.m.params);
        return load_run(path, 1);
    }
    gr_params_free(r.m.params);
    return load_run(path, 3);
}

static double report(const data *d, const run runs[], int n, const score *otsu, const plan *p, const files *f)
{
    int best = 0;
    for (int k = 1; k < n; k++)
        if (runs[k].held_out.mean.dice > runs[best].held_out.mean.dice) best = k;
    const run *b = &runs[best];
    const char *worst = gr_dataset_sample_name(d->test, b->held_out.which);
    if (n > 1) printf("\nThe best is %s.", b->name);
    if (worst) printf(" Its worst image is %s.", worst);
    printf("\n");
    log_runs(runs, n, otsu, d->test, p);
    draw_runs(runs, n, d->test);
    if (f->save) {
        check(gr_params_save(b->m.params, f->save));
        printf("saved: %s, %lld parameters\n", f->save, (long long)gr_params_elements(b->m.params));
    }
    return b->held_out.mean.dice;
}

int main(int argc, char *argv[])
{
    source from = {.test_share = 0.25, .shapes = {.count = 64, .height = 64, .width = 64, .foreground = 0.1, .hard = 0.25}};
    plan p = {.epochs = 0, .batch = 8, .rate = 0.01};
    files f = {NULL, NULL, NULL};
    const char *loss = "all";
    int64_t seed = 1, side = 64;
    double min_dice = 0.0, min_worst = 0.0;
    const option options[] = {
        {"--images", "DIR", "images, PNG", TEXT, &from.images, 0, 0},
        {"--masks", "DIR", "  masks of the same names, white where the object is", TEXT, &from.masks, 0, 0},
        {"--test-images", "DIR", "  images to be judged on (a share of the others)", TEXT, &from.test_images, 0, 0},
        {"--test-masks", "DIR", "  and their masks", TEXT, &from.test_masks, 0, 0},
        {"--test-share", "S", "  the share held out (0.25)", NUMBER, &from.test_share, 0.01, 0.99},
        {"--resize", "N", "  to N x N pixels (as they are)", INTEGER, &from.size, 8, 2048},
        {"--samples", "N", "generated images, when no folder is given (64)", INTEGER, &from.shapes.count, 4, 100000},
        {"--side", "N", "  N x N pixels (64)", INTEGER, &side, 8, 2048},
        {"--foreground", "S", "  share of the pixels that is foreground (0.1)", NUMBER, &from.shapes.foreground, 0.001, 0.9},
        {"--hard", "S", "  share of the images with a quarter of the contrast (0.25)", NUMBER, &from.shapes.hard, 0, 1},
        {"--loss", "NAME", "mse, hinge, bce, ..., or all, one after the other (all)", TEXT, &loss, 0, 0},
        {"--epochs", "N", "passes over the training images (12; 40 with --images)", INTEGER, &p.epochs, 1, 1e6},
        {"--batch", "N", "images in a step (8)", INTEGER, &p.batch, 1, 1e6},
        {"--rate", "R", "step size of Adam at the start; it falls along a cosine (0.01)", NUMBER, &p.rate, 1e-6, 10},
        {"--seed", "N", "of images, split, first weights and order (1)", INTEGER, &seed, 0, 1e15},
        {"--save", "FILE", "write the trained weights, safetensors", TEXT, &f.save, 0, 0},
        {"--load", "FILE", "take these weights instead of training", TEXT, &f.load, 0, 0},
        {"--predict", "IMAGE", "segment this image; with --load alone, do nothing else", TEXT, &f.predict, 0, 0},
        {"--min-dice", "D", "fail unless the best mean Dice is D", NUMBER, &min_dice, 0, 1},
        {"--min-worst", "D", "fail unless the best loss's worst image has a Dice of D", NUMBER, &min_worst, 0, 1},
    };
    read_options(argc, argv, "Lesson 3: a tiny convolutional segmenter, trained with each loss on your images or on generated ones.",
                 options, COUNT(options));
    check_options(&from, &f, loss);
    const choice which = find_loss(loss);
    from.shapes.height = from.shapes.width = side;
    if (!p.epochs) p.epochs = from.images ? 40 : 12;
    if (quick) {
        p.epochs = p.epochs < 3 ? p.epochs : 3;
        if (from.shapes.count > 24) from.shapes.count = 24;
    }
    if (f.load && f.predict && !from.images) {
        run r = load_any(f.load);
        predict(&r.m, f.predict);
        gr_params_free(r.m.params);
        return 0;
    }

    gr_rng rng = gr_rng_seed((uint64_t)seed);
    data d = load(&from, &rng);
    run runs[N_LOSSES];
    int n = 0;
    const score otsu = judge_otsu(d.test);
    print_head();
    print_score("Otsu's threshold, no training", &otsu, 0.0);
    if (f.load) {
        gr_tape *t = need(gr_tape_new());
        runs[n] = load_run(f.load, d.channels);
        runs[n].held_out = judge(t, &runs[n].m, d.test);
        gr_tape_free(t);
        print_score(runs[n].what, &runs[n].held_out, 0.0);
        n++;
    }
    for (int k = which.first; !f.load && k <= which.last; k++, n++) {
        runs[n] = train(&d, k, &p, rng);
        print_score(runs[n].what, &runs[n].held_out, runs[n].seconds);
    }
    const double dice_reached = report(&d, runs, n, &otsu, &p, &f);
    if (f.predict) predict(&runs[0].m, f.predict);

    double worst = 0.0;
    for (int k = 0; k < n; k++) {
        if (runs[k].held_out.mean.dice == dice_reached) worst = runs[k].held_out.worst;
        gr_params_free(runs[k].m.params);
        free(runs[k].history);
    }
    gr_dataset_free(d.train);
    gr_dataset_free(d.test);
    if (dice_reached < min_dice) fail("the mean Dice came to %.4f, wanted %g", dice_reached, min_dice);
    if (worst < min_worst) fail("the worst image has a Dice of %.3f, wanted %g", worst, min_worst);
    return 0;
}
