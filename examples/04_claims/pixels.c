/* pixels.c: a classifier that trains in a blink. Of each pixel of a generated image it sees the brightness and the
 * means of the 3x3 and the 7x7 pixels around it; eight hidden units; one logit. */
#include "claims.h"

/* ---- Images ------------------------------------------------------------------------------------------------- */

enum { FEATURES = 3, HIDDEN = 8 };

/* The mean over the square of (2r+1)^2 pixels around a place, as far as it lies in the image. */
static double mean_around(const float *image, int64_t row, int64_t column, int64_t r)
{
    double sum = 0.0, count = 0.0;
    for (int64_t i = row - r; i <= row + r; i++)
        for (int64_t j = column - r; j <= column + r; j++)
            if (i >= 0 && i < SIDE && j >= 0 && j < SIDE) sum += (double)image[i * SIDE + j], count++;
    return sum / count;
}

static pixels make_pixels(double foreground, double hard, gr_rng *rng)
{
    gr_shapes_options options = {.count = quick ? 12 : 24,
                                 .height = SIDE,
                                 .width = SIDE,
                                 .foreground = foreground,
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

static model make_model(gr_rng *rng)
{
    model m = {.params = need(gr_params_new())};
    m.w1 = need(gr_params_add(m.params, "w1", gr_kaiming_normal(GR_F32, GR_SHAPE(FEATURES, HIDDEN), rng)));
    m.b1 = need(gr_params_add(m.params, "b1", gr_zeros(GR_F32, GR_SHAPE(HIDDEN))));
    m.w2 = need(gr_params_add(m.params, "w2", gr_xavier_normal(GR_F32, GR_SHAPE(HIDDEN, 1), rng)));
    m.b2 = need(gr_params_add(m.params, "b2", gr_zeros(GR_F32, GR_SHAPE(1))));
    return m;
}

gr_tensor *logits_of(gr_tape *t, const model *m, const pixels *p)
{
    gr_tensor *h = gr_relu(t, gr_linear(t, p->x, m->w1, m->b1));
    return gr_reshape(t, gr_linear(t, h, m->w2, m->b2), gr_rank(p->y), gr_shape(p->y));
}

trial make_trial(int64_t seed, double foreground, double hard)
{
    gr_rng rng = gr_rng_seed((uint64_t)seed + 1), images = gr_rng_split(&rng);
    trial r = {.train = make_pixels(foreground, hard, &images)};
    r.test = make_pixels(foreground, hard, &images);
    r.weights = rng;
    return r;
}

void free_trial(trial *r)
{
    free_pixels(&r->train);
    free_pixels(&r->test);
}

model train(const trial *r, loss_function loss_of, double value)
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

static score score_at(const float *z, const float *y, int64_t n, double threshold)
{
    double tp = 0, fp = 0, fn = 0, tn = 0;
    for (int64_t i = 0; i < n; i++) {
        bool predicted = (double)z[i] > threshold, actual = y[i] > 0.5f;
        *(predicted ? actual ? &tp : &fp : actual ? &fn : &tn) += 1.0;
    }
    return (score){100.0 * fn / (tp + fn), 100.0 * fp / (fp + tn), 100.0 * 2.0 * tp / (2.0 * tp + fp + fn)};
}

score judge(const model *m, const pixels *p, double threshold)
{
    gr_tape *t = need(gr_tape_new());
    gr_set_recording(t, false);
    score s = score_at(gr_read_f32(need(logits_of(t, m, p))), gr_read_f32(p->y), gr_size(p->y), threshold);
    gr_tape_free(t);
    return s;
}

double best_threshold(const model *m, const pixels *p)
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

/* ---- Losses of logits that more than one experiment uses ---------------------------------------------------- */

const gr_loss_options from_logits = {.from_logits = true};

gr_tensor *bce(gr_tape *t, gr_tensor *z, gr_tensor *y, double unused)
{
    (void)unused;
    return gr_bce(t, z, y, &from_logits);
}

gr_tensor *tversky(gr_tape *t, gr_tensor *z, gr_tensor *y, double beta)
{
    const gr_tversky_options options = {.base.from_logits = true, .fp_weight = beta, .fn_weight = 1.0 - beta};
    return gr_tversky(t, z, y, &options);
}
