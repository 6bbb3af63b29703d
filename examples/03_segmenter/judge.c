/* judge.c: how lesson 3 asks a network, or a guess, about an image, and what the answers are worth. */
#include "segmenter.h"
#include "turns.h"

/* Adds the i-th image; with masks z > 0 predicts foreground. */
static void add_score(score *s, const gr_tensor *z, const gr_tensor *y, int64_t i, int classes)
{
    const gr_confusion_options o = {.from_logits = true, .ignore = classes > 0, .ignore_index = IGNORED};
    gr_confusion c[MOST_CLASSES] = {{0, 0, 0, 0}};
    check(gr_confusion_add(z, y, &o, c, classes ? classes : 1));
    check(gr_confusion_add(z, y, &o, s->of_class, classes ? classes : 1));
    if (c[0].tp + c[0].fp + c[0].fn + c[0].tn == 0) return; /* all of it is ignored */
    const gr_metrics m = classes ? gr_metrics_macro(c, classes, true) : gr_metrics_of(c);
    s->mean.iou += m.iou;
    s->mean.dice += m.dice;
    s->mean.sensitivity += m.sensitivity;
    s->mean.specificity += m.specificity;
    if (s->images++ && m.dice >= s->worst) return;
    s->worst = m.dice;
    s->which = i;
}

gr_tensor *row_of(gr_tensor *images, int64_t i) { return need(gr_view_rows(images, i, 1)); }

/* Logits [1,K,H,W] of an image [1,C,H,W], yours: the mean over all ways to see it. The network knows them all from its
 * training, and its errors are not the same in each. */
gr_tensor *look_at(gr_tape *t, const segmenter *m, const gr_tensor *image)
{
    const bool was_recording = gr_set_recording(t, false); /* nothing to differentiate */
    const int n = ways(image);
    const int64_t outputs = gr_dim(m->weight[N_WEIGHTS - 1], 0);
    gr_tensor *mean = need(gr_zeros(GR_F32, GR_SHAPE(1, outputs, gr_dim(image, 2), gr_dim(image, 3))));
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

gr_tensor *guess(const gr_tensor *image, int64_t classes)
{
    if (!classes) return above_otsu(image);
    const int64_t size = gr_dim(image, 2) * gr_dim(image, 3);
    gr_tensor *z = need(gr_zeros(GR_F32, GR_SHAPE(1, classes, gr_dim(image, 2), gr_dim(image, 3))));
    for (int64_t k = 0; k < size; k++) gr_f32(z)[k] = 1.0f;
    return z;
}

const char *guess_name(int64_t classes) { return classes ? "class-0" : "otsu"; }

gr_tensor *largest(const gr_tensor *z)
{
    const int64_t classes = gr_dim(z, 1), size = gr_dim(z, 2) * gr_dim(z, 3);
    gr_tensor *labels = need(gr_zeros(GR_I32, GR_SHAPE(1, gr_dim(z, 2), gr_dim(z, 3))));
    const float *v = gr_read_f32(z);
    int32_t *of = gr_i32(labels);
    for (int64_t c = 1; c < classes; c++)
        for (int64_t k = 0; k < size; k++)
            if (v[c * size + k] > v[of[k] * size + k]) of[k] = (int32_t)c;
    return labels;
}

/* The network on each image of a set; without a network (m NULL) a guess. */
score judge(gr_tape *t, const segmenter *m, const gr_dataset *set)
{
    const int64_t n = gr_dataset_size(set);
    const int classes = gr_dataset_classes(set);
    score s = {.which = 0};
    for (int64_t i = 0; i < n; i++) {
        gr_tensor *x = row_of(gr_dataset_x(set), i), *y = row_of(gr_dataset_y(set), i);
        gr_tensor *z = m ? look_at(t, m, x) : guess(x, classes);
        add_score(&s, z, y, i, classes);
        gr_tensor_free(z);
        gr_tensor_free(y);
        gr_tensor_free(x);
    }
    s.mean.iou /= (double)s.images;
    s.mean.dice /= (double)s.images;
    s.mean.sensitivity /= (double)s.images;
    s.mean.specificity /= (double)s.images;
    return s;
}
