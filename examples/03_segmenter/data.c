/* data.c: the images and masks of lesson 3, from folders or generated. */
#include "segmenter.h"

void standardize(gr_tensor *images)
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

static double foreground_fraction(const gr_dataset *set)
{
    const gr_tensor *y = gr_dataset_y(set);
    double sum = 0.0;
    for (int64_t i = 0; i < gr_size(y); i++) sum += gr_get(y, i);
    return sum / (double)gr_size(y);
}

data load(const source *s, gr_rng *rng)
{
    data d = {NULL, NULL, 0};
    gr_dataset *all = s->images ? read_folders(s->images, s->masks, s, 0) : need(gr_make_shapes(&s->shapes, rng));
    if (s->test_images) {
        d.train = all;
        d.test = read_folders(s->test_images, s->test_masks, s, gr_dim(gr_dataset_x(all), 1));
    } else {
        check(gr_dataset_split(all, 1.0 - s->test_fraction, rng, &d.train, &d.test));
        gr_dataset_free(all);
    }
    const gr_tensor *x = gr_dataset_x(d.train);
    d.channels = gr_dim(x, 1);
    printf("%lld images for training, %lld held out, %lld x %lld pixels, %lld channel%s; %.1f %% of the pixels are "
           "foreground\n",
           (long long)gr_dataset_size(d.train), (long long)gr_dataset_size(d.test), (long long)gr_dim(x, 2),
           (long long)gr_dim(x, 3), (long long)d.channels, d.channels > 1 ? "s" : "",
           100.0 * foreground_fraction(d.train));
    standardize(gr_dataset_x(d.train));
    standardize(gr_dataset_x(d.test));
    return d;
}
