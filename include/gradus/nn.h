/* nn.h: what networks for images are made of.
 *
 *     // x: images [N,1,H,W]; w1 [8,1,3,3], b1 [8], gamma [8], beta [8]: parameters; mean, var [8]: buffers
 *     gr_tensor *h = gr_conv2d(tape, x, w1, b1, &(gr_conv2d_options){.padding = {1, 1}});
 *     h = gr_batch_norm2d(tape, h, gamma, beta, mean, var, &(gr_batch_norm_options){.training = true});
 *     h = gr_max_pool2d(tape, gr_relu(tape, h), &(gr_pool2d_options){.kernel = {2, 2}});
 *     h = gr_upsample2d(tape, h, gr_dim(x, 2), gr_dim(x, 3), GR_NEAREST);
 *
 * Images are NCHW: sample, channel, row, column. Pairs in options are for rows and columns, in this order. Ownership
 * and errors are those of ops.h; NULL options are the defaults; an option out of its range is GR_ERR_OPTION.
 * docs/ops.md has every formula with its derivative. All of them can be differentiated again.
 */
#ifndef GRADUS_NN_H
#define GRADUS_NN_H

#include <gradus/random.h>
#include <gradus/tape.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Convolution -------------------------------------------------------------------------------------------- */

typedef struct gr_conv2d_options {
    int64_t stride[2];         /* 0: 1 */
    int64_t padding[2];        /* rows and columns of zeros on either side */
    int64_t dilation[2];       /* distance of a kernel's taps; 0: 1 */
    int64_t groups;            /* channels fall into so many groups that do not see each other; 0: 1 */
    int64_t output_padding[2]; /* of gr_conv_transpose2d(): more rows below, columns to the right; below the stride */
} gr_conv2d_options;

/* For x [N,C,H,W], w [O,C/groups,kh,kw] and b [O], or NULL for none, y [N,O,Ho,Wo] is
 *
 *     y[n,o,i,j] = b[o] + sum over c,u,v of
 *                  w[o,c,u,v] x[n, c, i stride + u dilation - padding, j stride + v dilation - padding]
 *
 * with Ho = (H + 2 padding - dilation (kh-1) - 1) / stride + 1, rounded down. Beyond the image x is 0. Where x is
 * infinite, the gradient by a weight that never meets it may be NaN, too. */
GR_EXPORT gr_tensor *gr_conv2d(gr_tape *t, gr_tensor *x, gr_tensor *w, gr_tensor *b, const gr_conv2d_options *options);

/* The adjoint of gr_conv2d() in x, with a bias: x [N,C,H,W], w [C,O/groups,kh,kw] and b [O], or NULL for none, give
 * [N,O,Ho,Wo] with Ho = (H-1) stride - 2 padding + dilation (kh-1) + output_padding + 1. */
GR_EXPORT gr_tensor *gr_conv_transpose2d(gr_tape *t, gr_tensor *x, gr_tensor *w, gr_tensor *b,
                                         const gr_conv2d_options *options);

/* ---- Pooling ------------------------------------------------------------------------------------------------ */

typedef struct gr_pool2d_options {
    int64_t kernel[2];    /* 1 or more */
    int64_t stride[2];    /* 0: the kernel's */
    int64_t padding[2];   /* on either side, no more than half the kernel: never the maximum, zeros in a mean */
    bool exclude_padding; /* gr_avg_pool2d() alone: the mean of those elements of a window that lie in the image */
} gr_pool2d_options;

/* The largest of each window of [N,C,H,W], and the mean: [N,C,Ho,Wo] with Ho = (H + 2 padding - kernel) / stride + 1,
 * rounded down. A NaN is the largest. Of several winners the first, row by row, gets the gradient. GR_ERR_SHAPE for an
 * image smaller than a window. */
GR_EXPORT gr_tensor *gr_max_pool2d(gr_tape *t, gr_tensor *x, const gr_pool2d_options *options);
GR_EXPORT gr_tensor *gr_avg_pool2d(gr_tape *t, gr_tensor *x, const gr_pool2d_options *options);

/* The mean of each plane: [N,C,H,W] to [N,C,1,1]. */
GR_EXPORT gr_tensor *gr_global_avg_pool2d(gr_tape *t, gr_tensor *x);

/* ---- Upsampling --------------------------------------------------------------------------------------------- */

/* Which rows of [N,C,H,W] row i of `height` is made of, and columns likewise. Bilinear modes mix the two rows about a
 * position that is no integer: row k and row k + 1 about k + f, as 1 - f to f. */
typedef enum gr_upsample_mode {
    GR_NEAREST,          /* row floor(i H / height) */
    GR_BILINEAR,         /* those about (i + 1/2) H / height - 1/2, or row 0 where that is negative: edges meet */
    GR_BILINEAR_ALIGNED, /* those about i (H - 1) / (height - 1): the centres of the corner pixels meet */
    GR_N_UPSAMPLE_MODES
} gr_upsample_mode;

/* [N,C,H,W] to [N,C,height,width], neither of which may be less than before. */
GR_EXPORT gr_tensor *gr_upsample2d(gr_tape *t, gr_tensor *x, int64_t height, int64_t width, gr_upsample_mode mode);

/* ---- Normalisation ------------------------------------------------------------------------------------------ */

/* All three: y = gamma (x - mean) / sqrt(var + epsilon) + beta, mean and variance (divided by the count) taken over a
 * group of elements; gamma or beta or both may be NULL, for 1 and 0. epsilon 0: 1e-5. */

typedef struct gr_batch_norm_options {
    bool training;   /* the batch's mean and variance; otherwise the running ones */
    double momentum; /* running = (1 - momentum) running + momentum batch; 0: 0.1 */
    double epsilon;
} gr_batch_norm_options;

/* Each channel over the batch (Ioffe and Szegedy, 2015): x [N,C,H,W], gamma and beta [C]. running_mean and running_var
 * [C] are buffers of yours (gr_params_add_buffer()): training writes them once in each call, the variance in its
 * unbiased form (not when the gradient checker calls); evaluation reads them. They may be NULL in training.
 * GR_ERR_SHAPE for training on one value a channel; GR_ERR_VALUE, with both buffers as they were, for a batch whose
 * mean or variance is not finite or more than the buffer's dtype holds. */
GR_EXPORT gr_tensor *gr_batch_norm2d(gr_tape *t, gr_tensor *x, gr_tensor *gamma, gr_tensor *beta,
                                     gr_tensor *running_mean, gr_tensor *running_var,
                                     const gr_batch_norm_options *options);

/* The last n_axes axes of each sample together (Ba et al., 2016); gamma and beta have their shape. */
GR_EXPORT gr_tensor *gr_layer_norm(gr_tape *t, gr_tensor *x, int n_axes, gr_tensor *gamma, gr_tensor *beta,
                                   double epsilon);

/* The channels of [N,C,...] in `groups` of C/groups, for each sample (Wu and He, 2018); gamma and beta [C]. */
GR_EXPORT gr_tensor *gr_group_norm(gr_tape *t, gr_tensor *x, int64_t groups, gr_tensor *gamma, gr_tensor *beta,
                                   double epsilon);

/* ---- Dropout ------------------------------------------------------------------------------------------------ */

/* Each element 0 with probability p, the others times 1/(1-p) (Srivastava et al., 2014). p is in [0,1). Draws once from
 * `rng`; which elements go depends on its state alone, not on dtype, threads or processor. For evaluation leave it out.
 */
GR_EXPORT gr_tensor *gr_dropout(gr_tape *t, gr_tensor *x, double p, gr_rng *rng);

#ifdef __cplusplus
}
#endif
#endif
