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

/* What the library found, of which some may be a mistake. */
static void print_report(const char *masks, const gr_image_set_report *r, int64_t classes)
{
    printf("%s: %s\n", masks, r->meaning);
    if (r->left_out) printf("  %lld files and folders were left out\n", (long long)r->left_out);
    if (r->joined) printf("  %lld masks were joined from several files\n", (long long)r->joined);
    if (r->blank) printf("  %lld images are of one value all over\n", (long long)r->blank);
    if (r->empty)
        printf("  %lld of %lld %s: to find nothing there is a Dice of 1\n", (long long)r->empty, (long long)r->images,
               classes ? "label maps have no class but 0" : "masks have no foreground");
    if (r->foreground > 0.5 && !classes)
        printf("  more than half of the pixels are foreground: are the masks inverted? Then say so with --values\n");
}

static gr_dataset *read_folders(const char *images, const char *masks, const source *s, int64_t channels)
{
    const gr_image_set_options o = {.height = s->size,
                                    .width = s->size,
                                    .channels = (int)channels,
                                    .suffix = s->suffix,
                                    .values = s->values,
                                    .classes = (int)s->classes,
                                    .ignore = s->ignore};
    gr_image_set_report report;
    gr_dataset *set = need(gr_image_set_read(images, masks, &o, &report));
    print_report(masks, &report, s->classes);
    return set;
}

/* The share of the pixels that are foreground, a class but 0; stops where there is none, as any network that says so
 * would be judged perfect. */
static double foreground_share(const gr_dataset *set, const char *what)
{
    const gr_tensor *y = gr_dataset_y(set);
    int64_t foreground = 0;
    for (int64_t i = 0; i < gr_size(y); i++) foreground += gr_get(y, i) > 0.0 && gr_get(y, i) != IGNORED;
    if (!foreground) fail("the masks %s have no foreground: there is nothing to learn and nothing to judge", what);
    return (double)foreground / (double)gr_size(y);
}

data load(const source *s, int64_t channels, gr_rng *rng)
{
    data d = {NULL, NULL, channels, s->classes};
    if (s->images) d.train = read_folders(s->images, s->masks, s, channels);
    else if (!s->test_images) d.train = need(gr_make_shapes(&s->shapes, rng));
    if (d.train) d.channels = gr_dim(gr_dataset_x(d.train), 1);
    if (s->test_images) {
        d.test = read_folders(s->test_images, s->test_masks, s, d.channels);
    } else {
        gr_dataset *all = d.train;
        check(gr_dataset_split(all, 1.0 - s->test_fraction, rng, &d.train, &d.test));
        gr_dataset_free(all);
    }
    const gr_tensor *x = gr_dataset_x(d.test);
    const double held_out = foreground_share(d.test, "held out"),
                 share = d.train ? foreground_share(d.train, "for training") : held_out;
    printf("%lld images for training, %lld held out, %lld x %lld pixels, %lld channel%s; %.1f %% of the pixels are "
           "foreground\n",
           (long long)gr_dataset_size(d.train), (long long)gr_dataset_size(d.test), (long long)gr_dim(x, 2),
           (long long)gr_dim(x, 3), (long long)gr_dim(x, 1), gr_dim(x, 1) > 1 ? "s" : "", 100.0 * share);
    if (d.train) standardize(gr_dataset_x(d.train));
    standardize(gr_dataset_x(d.test));
    return d;
}
