/* segmenter_net.h: the network of lesson 3, apart from the lesson so that the tests can hand it to the gradient
 * checker. It neither prints nor exits, and works in F32 and F64, on images of any size from 8 x 8 on.
 *
 * An encoder and a decoder with skip connections (a small U-Net: Ronneberger et al., 2015). The encoder halves the
 * image three times, so that a pixel of its last level sees 52 x 52 of the image; the decoder enlarges it again, and
 * gets at each level, beside it, what the encoder saw there, sharp. One number comes out for each pixel, a logit. */
#ifndef LESSONS_SEGMENTER_NET_H
#define LESSONS_SEGMENTER_NET_H

#include <gradus/gradus.h>
#include <stdio.h>

/* A block is relu(batch_norm(conv3x3(x))). */
enum {
    ENCODER_1A,
    ENCODER_1B,
    ENCODER_2A,
    ENCODER_2B,
    ENCODER_4A,
    ENCODER_4B,
    MIDDLE,
    DECODER_4,
    DECODER_2,
    DECODER_1,
    N_BLOCKS
};

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

enum { N_WEIGHTS = 3 * N_BLOCKS + 2, N_STATISTICS = 2 * N_BLOCKS };

typedef struct segmenter {
    gr_tensor *weight[N_WEIGHTS]; /* of block k from 3k on: kernel, gamma, beta; then the last kernel and its bias */
    gr_tensor *statistics[N_STATISTICS]; /* of block k from 2k on: running mean and variance; NULL: not wanted */
} segmenter;

/* ---- Forward ------------------------------------------------------------------------------------------------ */

/* `momentum` is that of the running statistics in training; 0: evaluation, by the statistics. */
static inline gr_tensor *segmenter_block(gr_tape *t, const segmenter *m, int k, gr_tensor *x, double momentum)
{
    gr_tensor *const *w = m->weight + 3 * k, *const *s = m->statistics + 2 * k;
    const gr_batch_norm_options norm = {.training = momentum > 0.0, .momentum = momentum};
    x = gr_conv2d(t, x, w[0], NULL, &(gr_conv2d_options){.padding = {1, 1}});
    return gr_relu(t, gr_give(gr_batch_norm2d(t, x, w[1], w[2], s[0], s[1], &norm)));
}

/* Two blocks. */
static inline gr_tensor *segmenter_pair(gr_tape *t, const segmenter *m, int k, gr_tensor *x, double momentum)
{
    return segmenter_block(t, m, k + 1, segmenter_block(t, m, k, x, momentum), momentum);
}

static inline gr_tensor *segmenter_halve(gr_tape *t, gr_tensor *x)
{
    return gr_max_pool2d(t, x, &(gr_pool2d_options){.kernel = {2, 2}});
}

/* As large as `skip`, and beside it. */
static inline gr_tensor *segmenter_enlarge(gr_tape *t, gr_tensor *x, gr_tensor *skip)
{
    x = gr_upsample2d(t, x, gr_dim(skip, 2), gr_dim(skip, 3), GR_NEAREST);
    return gr_concat(t, (gr_tensor *[]){x, skip}, 2, 1);
}

/* Logits [N,1,H,W] of images [N,C,H,W]. */
static inline gr_tensor *segment(gr_tape *t, const segmenter *m, gr_tensor *x, double momentum)
{
    gr_tensor *whole = segmenter_pair(t, m, ENCODER_1A, x, momentum);                          /* [N,8,H,W] */
    gr_tensor *half = segmenter_pair(t, m, ENCODER_2A, segmenter_halve(t, whole), momentum);   /* [N,12,H/2,W/2] */
    gr_tensor *quarter = segmenter_pair(t, m, ENCODER_4A, segmenter_halve(t, half), momentum); /* [N,16,H/4,W/4] */
    gr_tensor *eighth = segmenter_block(t, m, MIDDLE, segmenter_halve(t, quarter), momentum);  /* [N,24,H/8,W/8] */

    quarter = segmenter_block(t, m, DECODER_4, segmenter_enlarge(t, eighth, quarter), momentum);
    half = segmenter_block(t, m, DECODER_2, segmenter_enlarge(t, quarter, half), momentum);
    whole = segmenter_block(t, m, DECODER_1, segmenter_enlarge(t, half, whole), momentum);
    return gr_conv2d(t, whole, m->weight[N_WEIGHTS - 2], m->weight[N_WEIGHTS - 1], NULL);
}

/* ---- Parameters --------------------------------------------------------------------------------------------- */

typedef gr_tensor *(*segmenter_add)(gr_params *p, const char *name, gr_tensor *w);

/* Adds `of`.`name`; false when that failed. */
static inline bool segmenter_put(segmenter_add add, gr_params *p, const char *of, const char *name, gr_tensor *w)
{
    char full[64];
    snprintf(full, sizeof full, "%s.%s", of, name);
    return add(p, full, w) != NULL;
}

/* All that is trained, as the order of segmenter.weight has it, and the statistics as buffers. Yours; NULL when there
 * is no memory. */
static inline gr_params *segmenter_params(gr_dtype dtype, int64_t channels, gr_rng *rng)
{
    gr_params *p = gr_params_new();
    bool ok = p != NULL;
    for (int k = 0; ok && k < N_BLOCKS; k++) {
        const char *of = block_shapes[k].name;
        const int64_t in = block_shapes[k].in ? block_shapes[k].in : channels, c = block_shapes[k].out;
        ok = segmenter_put(gr_params_add, p, of, "kernel", gr_kaiming_normal(dtype, GR_SHAPE(c, in, 3, 3), rng)) &&
             segmenter_put(gr_params_add, p, of, "gamma", gr_ones(dtype, GR_SHAPE(c))) &&
             segmenter_put(gr_params_add, p, of, "beta", gr_zeros(dtype, GR_SHAPE(c))) &&
             segmenter_put(gr_params_add_buffer, p, of, "mean", gr_zeros(dtype, GR_SHAPE(c))) &&
             segmenter_put(gr_params_add_buffer, p, of, "variance", gr_ones(dtype, GR_SHAPE(c)));
    }
    const int64_t last = block_shapes[DECODER_1].out;
    ok = ok &&
         segmenter_put(gr_params_add, p, "head", "kernel", gr_xavier_normal(dtype, GR_SHAPE(1, last, 1, 1), rng)) &&
         segmenter_put(gr_params_add, p, "head", "bias", gr_zeros(dtype, GR_SHAPE(1)));
    if (ok) return p;
    gr_params_free(p);
    return NULL;
}

/* The network that such parameters make; they stay the set's. */
static inline segmenter segmenter_of(const gr_params *p)
{
    segmenter m;
    for (int i = 0; i < N_WEIGHTS; i++) m.weight[i] = gr_params_at(p, i);
    for (int i = 0; i < N_STATISTICS; i++) m.statistics[i] = gr_params_buffer_at(p, i);
    return m;
}

#endif
