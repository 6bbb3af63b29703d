/* net.h: the network of lesson 3. It works in F32 and F64, on images of any size from 8 x 8 on.
 *
 * An encoder and a decoder with skip connections (a small U-Net: Ronneberger et al., 2015). The encoder halves the
 * image three times, so that a pixel of its last level sees 52 x 52 of the image; the decoder enlarges it again, and
 * gets at each level, beside it, what the encoder saw there, sharp. One number comes out for each pixel, a logit; of
 * several classes one for each of them. */
#ifndef LESSONS_NET_H
#define LESSONS_NET_H

#include <gradus/gradus.h>

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

enum { N_WEIGHTS = 3 * N_BLOCKS + 2, N_STATISTICS = 2 * N_BLOCKS };

typedef struct segmenter {
    gr_tensor *weight[N_WEIGHTS]; /* of block k from 3k on: kernel, gamma, beta; then the last kernel and its bias */
    gr_tensor *statistics[N_STATISTICS]; /* of block k from 2k on: running mean and variance; NULL: not wanted */
} segmenter;

/* Logits [N,K,H,W] of images [N,C,H,W]. `momentum` is that of the running statistics in training; 0: evaluation, by
 * the statistics. */
gr_tensor *segment(gr_tape *t, const segmenter *m, gr_tensor *x, double momentum);

/* All that is trained, as the order of segmenter.weight has it, and the statistics as buffers: yours. */
gr_params *segmenter_params(gr_dtype dtype, int64_t channels, int64_t outputs, gr_rng *rng);

/* The network that such parameters make; they stay the set's. */
segmenter segmenter_of(const gr_params *p);

#endif
