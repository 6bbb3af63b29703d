/* synthetic.c: generated points of two classes. */
#include <math.h>

#include "data/internal.h"

static void draw_blobs(gr_tensor *x, gr_tensor *y, double spread, gr_rng *rng)
{
    for (int64_t i = 0; i < y->size; i++) {
        int32_t class = (int32_t)(i % 2);
        for (int k = 0; k < 2; k++) {
            float noise = (float)(spread * gr_rng_normal(rng)); /* rounded here: no machine fuses product and sum */
            ((float *)x->data)[2 * i + k] = (class ? 1.0f : -1.0f) + noise;
        }
        ((int32_t *)y->data)[i] = class;
    }
}

gr_dataset *gr_make_blobs(int64_t n, double spread, gr_rng *rng)
{
    if (!rng) return gr_fail(GR_ERR_NULL, "make_blobs: rng is NULL"), NULL;
    if (n < 1) return gr_fail(GR_ERR_OPTION, "make_blobs: %lld points: expected 1 or more", (long long)n), NULL;
    if (!(spread >= 0.0 && spread <= 1e30)) /* all points are numbers of F32 */
        return gr_fail(GR_ERR_OPTION, "make_blobs: a spread of %s: expected 0 to 1e30", GR_NUMBER_TEXT(spread)), NULL;
    gr_tensor *x = gr_new("make_blobs", GR_F32, GR_SHAPE(n, 2));
    gr_tensor *y = x ? gr_new("make_blobs", GR_I32, GR_SHAPE(n)) : NULL;
    if (!y) return gr_tensor_free(x), NULL;
    gr_rng drawn = *rng;
    draw_blobs(x, y, spread, &drawn);
    gr_dataset *set = gr_dataset_new(x, y);
    if (set) *rng = drawn; /* after a failure the next try draws the same points */
    return set;
}
