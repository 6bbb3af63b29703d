/* fuzz_png.c: gr_png_read(), and gr_png_write() of what it read. */
#include "fuzz.h"

static void claim_image(const gr_tensor *image, int channels)
{
    CLAIM(gr_dtype_of(image) == GR_F32 && gr_rank(image) == 3 && gr_dim(image, 1) > 0 && gr_dim(image, 2) > 0);
    CLAIM(channels ? gr_dim(image, 0) == channels : gr_dim(image, 0) == 1 || gr_dim(image, 0) == 3);
    const float *v = gr_read_f32(image);
    for (int64_t i = 0; i < gr_size(image); i++) CLAIM(v[i] >= 0 && v[i] <= 1);
}

static gr_tensor *written_and_read(const gr_tensor *image)
{
    const char *path = fuzz_path("again.png");
    CLAIM(gr_png_write(path, image) == GR_OK);
    gr_tensor *again = gr_png_read(path, 0);
    CLAIM(again);
    claim_image(again, (int)gr_dim(image, 0));
    return again;
}

/* Writing rounds to 255ths; what is rounded already comes back with the same bits. */
static void claim_round_trip(const gr_tensor *image)
{
    gr_tensor *rounded = written_and_read(image), *again = written_and_read(rounded);
    CLAIM(gr_size(rounded) == gr_size(image) && gr_dim(rounded, 2) == gr_dim(image, 2));
    const float *v = gr_read_f32(image), *r = gr_read_f32(rounded);
    for (int64_t i = 0; i < gr_size(image); i++) CLAIM(fabsf(v[i] - r[i]) <= 0.5f / 255 + 1e-6f);
    CLAIM(fuzz_same(rounded, again));
    gr_tensor_free(again);
    gr_tensor_free(rounded);
}

void fuzz_one(const uint8_t *bytes, size_t size)
{
    static const int channels[] = {0, 1, 3};
    const int c = channels[size % 3];
    gr_tensor *image = gr_png_read(fuzz_put("image.png", bytes, size), c);
    if (!image) {
        fuzz_claim_refused("png_read: ");
        return;
    }
    claim_image(image, c);
    if (gr_size(image) <= 4096) claim_round_trip(image);
    gr_tensor_free(image);
}

void fuzz_repair(uint8_t *bytes, size_t size) { fuzz_repair_png(bytes, size); }
