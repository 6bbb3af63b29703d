/* judge.c: how lesson 3 asks a network, or Otsu's threshold, about an image, and what the answers are worth. */
#include "segmenter.h"
#include "turns.h"

/* Adds the i-th of n images; z > 0 predicts foreground. */
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

gr_tensor *row_of(gr_tensor *images, int64_t i) { return need(gr_view_rows(images, i, 1)); }

/* Logits [1,1,H,W] of an image [1,C,H,W], yours: the mean over all ways to see it. The network knows them all from its
 * training, and its errors are not the same in each. */
gr_tensor *look_at(gr_tape *t, const segmenter *m, const gr_tensor *image)
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
gr_tensor *above_otsu(const gr_tensor *image)
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
score judge(gr_tape *t, const segmenter *m, const gr_dataset *set)
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
