/* net.c: the network of lesson 3, forward (net.h): of the backward pass there is nothing to write. */
#include "net.h"

#include "../common.h"

static const struct {
    const char *name;
    int64_t in, out; /* channels; in 0: those of the image */
} block_shapes[N_BLOCKS] = {
    [ENCODER_1A] = {"encoder_1a", 0, 8},
    [ENCODER_1B] = {"encoder_1b", 8, 8},
    [ENCODER_2A] = {"encoder_2a", 8, 12},
    [ENCODER_2B] = {"encoder_2b", 12, 12},
    [ENCODER_4A] = {"encoder_4a", 12, 16},
    [ENCODER_4B] = {"encoder_4b", 16, 16},
    [MIDDLE] = {"middle", 16, 24},
    [DECODER_4] = {"decoder_4", 24 + 16, 16},
    [DECODER_2] = {"decoder_2", 16 + 12, 12},
    [DECODER_1] = {"decoder_1", 12 + 8, 8},
};

/* ---- Forward ------------------------------------------------------------------------------------------------ */

static gr_tensor *block(gr_tape *t, const segmenter *m, int k, gr_tensor *x, double momentum)
{
    gr_tensor *const *w = m->weight + 3 * k, *const *s = m->statistics + 2 * k;
    const gr_batch_norm_options norm = {.training = momentum > 0.0, .momentum = momentum};
    x = gr_conv2d(t, x, w[0], NULL, &(gr_conv2d_options){.padding = {1, 1}});
    return gr_relu(t, gr_give(gr_batch_norm2d(t, x, w[1], w[2], s[0], s[1], &norm)));
}

/* Two blocks. */
static gr_tensor *pair(gr_tape *t, const segmenter *m, int k, gr_tensor *x, double momentum)
{
    return block(t, m, k + 1, block(t, m, k, x, momentum), momentum);
}

static gr_tensor *halve(gr_tape *t, gr_tensor *x)
{
    return gr_max_pool2d(t, x, &(gr_pool2d_options){.kernel = {2, 2}});
}

/* As large as `skip`, and beside it. */
static gr_tensor *enlarge(gr_tape *t, gr_tensor *x, gr_tensor *skip)
{
    x = gr_upsample2d(t, x, gr_dim(skip, 2), gr_dim(skip, 3), GR_NEAREST);
    return gr_concat(t, (gr_tensor *[]){x, skip}, 2, 1);
}

gr_tensor *segment(gr_tape *t, const segmenter *m, gr_tensor *x, double momentum)
{
    gr_tensor *whole = pair(t, m, ENCODER_1A, x, momentum);                /* [N,8,H,W] */
    gr_tensor *half = pair(t, m, ENCODER_2A, halve(t, whole), momentum);   /* [N,12,H/2,W/2] */
    gr_tensor *quarter = pair(t, m, ENCODER_4A, halve(t, half), momentum); /* [N,16,H/4,W/4] */
    gr_tensor *eighth = block(t, m, MIDDLE, halve(t, quarter), momentum);  /* [N,24,H/8,W/8] */

    quarter = block(t, m, DECODER_4, enlarge(t, eighth, quarter), momentum);
    half = block(t, m, DECODER_2, enlarge(t, quarter, half), momentum);
    whole = block(t, m, DECODER_1, enlarge(t, half, whole), momentum);
    return gr_conv2d(t, whole, m->weight[N_WEIGHTS - 2], m->weight[N_WEIGHTS - 1], NULL);
}

/* ---- Parameters --------------------------------------------------------------------------------------------- */

/* Adds `of`.`name`. */
static void put(gr_tensor *add(gr_params *p, const char *name, gr_tensor *w), gr_params *p, const char *of,
                const char *name, gr_tensor *w)
{
    char full[64];
    snprintf(full, sizeof full, "%s.%s", of, name);
    need(add(p, full, w));
}

gr_params *segmenter_params(gr_dtype dtype, int64_t channels, int64_t outputs, gr_rng *rng)
{
    gr_params *p = need(gr_params_new());
    for (int k = 0; k < N_BLOCKS; k++) {
        const char *of = block_shapes[k].name;
        const int64_t in = block_shapes[k].in ? block_shapes[k].in : channels, c = block_shapes[k].out;
        put(gr_params_add, p, of, "kernel", gr_kaiming_normal(dtype, GR_SHAPE(c, in, 3, 3), rng));
        put(gr_params_add, p, of, "gamma", gr_ones(dtype, GR_SHAPE(c)));
        put(gr_params_add, p, of, "beta", gr_zeros(dtype, GR_SHAPE(c)));
        put(gr_params_add_buffer, p, of, "mean", gr_zeros(dtype, GR_SHAPE(c)));
        put(gr_params_add_buffer, p, of, "variance", gr_ones(dtype, GR_SHAPE(c)));
    }
    const int64_t last = block_shapes[DECODER_1].out;
    put(gr_params_add, p, "head", "kernel", gr_xavier_normal(dtype, GR_SHAPE(outputs, last, 1, 1), rng));
    put(gr_params_add, p, "head", "bias", gr_zeros(dtype, GR_SHAPE(outputs)));
    return p;
}

segmenter segmenter_of(const gr_params *p)
{
    segmenter m;
    for (int i = 0; i < N_WEIGHTS; i++) m.weight[i] = gr_params_at(p, i);
    for (int i = 0; i < N_STATISTICS; i++) m.statistics[i] = gr_params_buffer_at(p, i);
    return m;
}
