/* label_maps.c: images with discs and squares for lesson 3:  label_maps FOLDER  writes images, label maps with a rim
 * that is ignored, masks of the discs as 0 and 1, and masks without any. Returns 77 where the build has no libpng. */
#include <stdio.h>

#include <gradus/gradus.h>

enum { SIDE = 32, IMAGES = 16 };

/* The class at a pixel of image n: 0, 1 in a disc, 2 in a square, 255 between a disc and the background. */
static int class_at(int n, int i, int j)
{
    const int ci = 9 + n * 5 % 14, cj = 8 + n * 3 % 5, si = 4 + n * 7 % 18, sj = 20 + n * 2 % 3;
    const int d = (i - ci) * (i - ci) + (j - cj) * (j - cj);
    if (d <= 25) return 1;
    if (d <= 36) return 255;
    return i >= si && i < si + 8 && j >= sj && j < sj + 8 ? 2 : 0;
}

static gr_status put(const char *folder, const char *kind, int n, const gr_tensor *image)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s/%02d.png", folder, kind, n);
    return gr_png_write(path, image);
}

int main(int argc, char *argv[])
{
    if (argc != 2) return 2;
    gr_rng rng = gr_rng_seed(1);
    gr_status status = GR_OK;
    for (int n = 0; !status && n < IMAGES; n++) {
        gr_tensor *image = gr_normal(GR_F32, GR_SHAPE(SIDE, SIDE), 0.2, 0.03, &rng);
        gr_tensor *labels = gr_zeros(GR_F32, GR_SHAPE(SIDE, SIDE)), *mask = gr_zeros(GR_F32, GR_SHAPE(SIDE, SIDE));
        gr_tensor *empty = gr_zeros(GR_F32, GR_SHAPE(SIDE, SIDE));
        if (!image || !labels || !mask || !empty) return 1;
        for (int k = 0; k < SIDE * SIDE; k++) {
            const int c = class_at(n, k / SIDE, k % SIDE);
            gr_f32(image)[k] += c == 1 ? 0.6f : c == 2 ? 0.3f : 0.0f;
            gr_f32(labels)[k] = (float)c / 255.0f;
            gr_f32(mask)[k] = c == 1 ? 1.0f / 255.0f : 0.0f;
        }
        const gr_tensor *const all[] = {image, labels, mask, empty};
        static const char *const kinds[] = {"images", "labels", "masks", "empty"};
        for (int k = 0; !status && k < 4; k++) status = put(argv[1], kinds[k], n, all[k]);
        gr_tensor_free(empty);
        gr_tensor_free(mask);
        gr_tensor_free(labels);
        gr_tensor_free(image);
    }
    if (status) fprintf(stderr, "label_maps: %s\n", gr_last_error());
    return status == GR_ERR_UNSUPPORTED ? 77 : status != GR_OK;
}
