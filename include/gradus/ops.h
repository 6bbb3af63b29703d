/* ops.h: the ops that a tape computes.
 *
 *     gr_tensor *h = gr_relu(tape, gr_add(tape, gr_matmul(tape, x, w1, 0), b1));
 *     gr_tensor *z = gr_add(tape, gr_matmul(tape, h, w2, 0), b2);
 *     if (!z) fprintf(stderr, "%s\n", gr_last_error());   // once, at the end: NULL in, NULL out
 *
 * Each op computes at once and returns a new tensor, borrowed from the tape until gr_tape_reset() or gr_tape_free(), or
 * NULL with the message in gr_last_error(). It never writes to its inputs, unless gr_give() allows it.
 * Inputs are F32 or F64, all of one dtype, unless said otherwise; the result has that dtype. Ops of two or three
 * tensors broadcast as NumPy does: shapes are aligned at their last axes, and an axis of 1 stretches. Below, g is the
 * gradient of the result; docs/ops.md has every formula with its derivative. All derivatives can be differentiated
 * again.
 *
 * Errors of every op: GR_ERR_NULL, GR_ERR_DTYPE (not a float, or not the same), GR_ERR_SHAPE (shapes do not fit),
 * GR_ERR_STATE (an input of another tape, or one whose values backward has given back), GR_ERR_MEMORY.
 * A number beside x, as in gr_scale(), is taken in x's dtype: GR_ERR_OPTION where F32 would round it to 0 or to an
 * infinity; only the exponent of gr_pow_scalar() stays a double. Bounds, paddings and constants are taken in it, too:
 * GR_ERR_VALUE where F32 would make a finite one infinite. NaN and infinities are numbers like others, except where
 * they could lie hidden: slopes and alphas are finite.
 */
#ifndef GRADUS_OPS_H
#define GRADUS_OPS_H

#include <gradus/tape.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Arithmetic, broadcasting ------------------------------------------------------------------------------- */

GR_EXPORT gr_tensor *gr_add(gr_tape *t, gr_tensor *a, gr_tensor *b); /* a + b */
GR_EXPORT gr_tensor *gr_sub(gr_tape *t, gr_tensor *a, gr_tensor *b); /* a - b */
GR_EXPORT gr_tensor *gr_mul(gr_tape *t, gr_tensor *a, gr_tensor *b); /* a b, element by element */
GR_EXPORT gr_tensor *gr_div(gr_tape *t, gr_tensor *a, gr_tensor *b); /* a / b */

/* a^b as C's pow. The gradient of a is 0 where b is 0, whatever a is; that of b is 0 where a is 0 and b > 0, and -inf
 * where a is 0 and b is not above 0. */
GR_EXPORT gr_tensor *gr_pow(gr_tape *t, gr_tensor *a, gr_tensor *b);

/* The smaller and the larger of a and b; NaN if either is, and so are the gradients. Where a = b each gets half of
 * g. */
GR_EXPORT gr_tensor *gr_minimum(gr_tape *t, gr_tensor *a, gr_tensor *b);
GR_EXPORT gr_tensor *gr_maximum(gr_tape *t, gr_tensor *a, gr_tensor *b);

/* 1 where a > b, a = b; 0 elsewhere, in the dtype of the inputs. The derivative is 0. */
GR_EXPORT gr_tensor *gr_greater(gr_tape *t, gr_tensor *a, gr_tensor *b);
GR_EXPORT gr_tensor *gr_equal(gr_tape *t, gr_tensor *a, gr_tensor *b);

/* a where condition is not 0, b elsewhere; all three broadcast. The side not taken gets a gradient of 0, which its own
 * derivative then multiplies, and 0 times infinity is NaN: dx of where(x > 0, sqrt(x), 0) is NaN at x = 0. So make the
 * input safe first: with safe = where(x > 0, x, 1), dx of where(x > 0, sqrt(safe), 0) is 0 there. */
GR_EXPORT gr_tensor *gr_where(gr_tape *t, gr_tensor *condition, gr_tensor *a, gr_tensor *b);

/* ---- Functions of one tensor, element by element ------------------------------------------------------------ */

/* Where a formula has cases (relu, clamp, abs and others; max, where and dropout too), the case that was not taken
 * passes no gradient: it gets 0 even if g is infinite or NaN there. So sqrt(relu(x)) has the gradient 0 at x = -1.
 * Where x is NaN no case was taken, and the gradient is NaN. */

GR_EXPORT gr_tensor *gr_neg(gr_tape *t, gr_tensor *x);
GR_EXPORT gr_tensor *gr_scale(gr_tape *t, gr_tensor *x, double factor); /* factor x */
GR_EXPORT gr_tensor *gr_shift(gr_tape *t, gr_tensor *x, double offset); /* x + offset */
GR_EXPORT gr_tensor *gr_pow_scalar(gr_tape *t, gr_tensor *x, double exponent);
GR_EXPORT gr_tensor *gr_square(gr_tape *t, gr_tensor *x);
GR_EXPORT gr_tensor *gr_sqrt(gr_tape *t, gr_tensor *x);
GR_EXPORT gr_tensor *gr_exp(gr_tape *t, gr_tensor *x);
GR_EXPORT gr_tensor *gr_expm1(gr_tape *t, gr_tensor *x); /* e^x - 1, exact near 0 */
GR_EXPORT gr_tensor *gr_log(gr_tape *t, gr_tensor *x);
GR_EXPORT gr_tensor *gr_log1p(gr_tape *t, gr_tensor *x); /* log(1 + x), exact near 0 */
GR_EXPORT gr_tensor *gr_abs(gr_tape *t, gr_tensor *x);   /* derivative 0 at 0 */
GR_EXPORT gr_tensor *gr_sign(gr_tape *t, gr_tensor *x);  /* -1, 0 or 1; derivative 0 */
GR_EXPORT gr_tensor *gr_sin(gr_tape *t, gr_tensor *x);
GR_EXPORT gr_tensor *gr_cos(gr_tape *t, gr_tensor *x);
GR_EXPORT gr_tensor *gr_tanh(gr_tape *t, gr_tensor *x);
GR_EXPORT gr_tensor *gr_sigmoid(gr_tape *t, gr_tensor *x);                  /* 1 / (1 + e^-x) */
GR_EXPORT gr_tensor *gr_log_sigmoid(gr_tape *t, gr_tensor *x);              /* -softplus(-x) */
GR_EXPORT gr_tensor *gr_softplus(gr_tape *t, gr_tensor *x);                 /* log(1 + e^x), never overflows */
GR_EXPORT gr_tensor *gr_relu(gr_tape *t, gr_tensor *x);                     /* max(x, 0); derivative 0 at 0 */
GR_EXPORT gr_tensor *gr_leaky_relu(gr_tape *t, gr_tensor *x, double slope); /* x, or slope x where x <= 0 */
GR_EXPORT gr_tensor *gr_elu(gr_tape *t, gr_tensor *x, double alpha);        /* x, or alpha (e^x - 1) where x <= 0 */
GR_EXPORT gr_tensor *gr_normal_cdf(gr_tape *t, gr_tensor *x); /* Phi(x), of the standard normal distribution */
GR_EXPORT gr_tensor *gr_gelu(gr_tape *t, gr_tensor *x); /* x Phi(x), the exact form (Hendrycks and Gimpel, 2016) */
GR_EXPORT gr_tensor *gr_silu(gr_tape *t, gr_tensor *x); /* x sigmoid(x) */

/* min(max(x, lo), hi); the derivative is 1 for lo <= x <= hi and 0 elsewhere. GR_ERR_OPTION unless lo <= hi. */
GR_EXPORT gr_tensor *gr_clamp(gr_tape *t, gr_tensor *x, double lo, double hi);

/* ---- Reductions --------------------------------------------------------------------------------------------- */

/* GR_AXES stands for two arguments, a number and a list of axes: gr_sum(t, x, GR_AXES(0, -1), false). An axis below 0
 * counts from the end. GR_ALL_AXES reduces everything, to a scalar. With `keep` a reduced axis stays, as 1. Errors:
 * GR_ERR_INDEX (no such axis, or one twice), GR_ERR_SHAPE (mean, max, min, logsumexp, var of nothing: a reduced axis
 * of length 0. Where another axis has it the result has no elements). */
#define GR_AXES(...) GR_LIST(int, __VA_ARGS__)
#define GR_ALL_AXES 0, NULL

/* The sum, 0 of no elements; the sum divided by the count, which is infinite where the sum is. */
GR_EXPORT gr_tensor *gr_sum(gr_tape *t, gr_tensor *x, int n_axes, const int axes[], bool keep);
GR_EXPORT gr_tensor *gr_mean(gr_tape *t, gr_tensor *x, int n_axes, const int axes[], bool keep);

/* The largest and the smallest; NaN if any is, and then so are all gradients. Of equal ones each gets the same part of
 * g. */
GR_EXPORT gr_tensor *gr_max(gr_tape *t, gr_tensor *x, int n_axes, const int axes[], bool keep);
GR_EXPORT gr_tensor *gr_min(gr_tape *t, gr_tensor *x, int n_axes, const int axes[], bool keep);

/* log of the sum of e^x, never overflows; -inf, with the gradient 0, where all x are -inf; inf, with a gradient that is
 * NaN, where one is inf. */
GR_EXPORT gr_tensor *gr_logsumexp(gr_tape *t, gr_tensor *x, int n_axes, const int axes[], bool keep);

/* The sum of (x - mean)^2 divided by (count - correction): correction 0 gives the variance of these numbers, 1 the
 * unbiased estimate. GR_ERR_SHAPE when count <= correction. Composed of sub, square,
 * mean and scale. */
GR_EXPORT gr_tensor *gr_var(gr_tape *t, gr_tensor *x, int n_axes, const int axes[], bool keep, int correction);

/* Along one axis: e^x / sum e^x, and its logarithm. Where all x are -inf, as in a row that is masked as a whole, they
 * are 0 and -inf, and no gradient is NaN: that of softmax is 0, log_softmax passes g on, as for any x of -inf. */
GR_EXPORT gr_tensor *gr_softmax(gr_tape *t, gr_tensor *x, int axis);
GR_EXPORT gr_tensor *gr_log_softmax(gr_tape *t, gr_tensor *x, int axis);

/* ---- Matrix products ---------------------------------------------------------------------------------------- */

enum { GR_TRANS_A = 1, GR_TRANS_B = 2 };

/* op(A) op(B) of [..., m, k] and [..., k, n] is [..., m, n]; a flag transposes the last two axes of its side without a
 * copy. Leading axes broadcast. A rank below 2 is GR_ERR_SHAPE. See gr_backend() for what
 * computes it. */
GR_EXPORT gr_tensor *gr_matmul(gr_tape *t, gr_tensor *a, gr_tensor *b, int flags);

/* x W + b, [n, out], for x [n, in], W [in, out] and b [out]: matmul and add in one pass over the result. */
GR_EXPORT gr_tensor *gr_linear(gr_tape *t, gr_tensor *x, gr_tensor *w, gr_tensor *b);

/* ---- Shape -------------------------------------------------------------------------------------------------- */

/* The same elements in another shape, of which one dimension may be -1: the one that fits. Shares the data of x. */
GR_EXPORT gr_tensor *gr_reshape(gr_tape *t, gr_tensor *x, int rank, const int64_t shape[]);

/* Axis i of the result is axis axes[i] of x; `axes` has one entry for each axis. gr_transpose() swaps the last two. */
GR_EXPORT gr_tensor *gr_permute(gr_tape *t, gr_tensor *x, int n_axes, const int axes[]);
GR_EXPORT gr_tensor *gr_transpose(gr_tape *t, gr_tensor *x);

/* x repeated along new leading axes and along axes of 1. */
GR_EXPORT gr_tensor *gr_broadcast_to(gr_tape *t, gr_tensor *x, int rank, const int64_t shape[]);

/* n tensors one after the other: gr_concat() along an axis that they have, gr_stack() along a new one. All have one
 * dtype and, except along that axis, one shape. */
GR_EXPORT gr_tensor *gr_concat(gr_tape *t, gr_tensor *const x[], int n, int axis);
GR_EXPORT gr_tensor *gr_stack(gr_tape *t, gr_tensor *const x[], int n, int axis);

/* Entries start .. stop-1 of an axis; bounds below 0 count from the end. Along the leading axis it shares x's data. */
GR_EXPORT gr_tensor *gr_slice(gr_tape *t, gr_tensor *x, int axis, int64_t start, int64_t stop);

/* `before` and `after` entries of `value` around an axis. */
GR_EXPORT gr_tensor *gr_pad(gr_tape *t, gr_tensor *x, int axis, int64_t before, int64_t after, double value);

/* ---- Rows by index ------------------------------------------------------------------------------------------ */

/* table[index]: table [rows, ...] and index (I32, any shape s) give s + [...]: an embedding. GR_ERR_INDEX names the
 * first index that is outside 0 .. rows-1. */
GR_EXPORT gr_tensor *gr_gather_rows(gr_tape *t, gr_tensor *table, gr_tensor *index);

/* The adjoint: zeros [rows, ...], to which out[index] += x, for x of the shape s + [...]. */
GR_EXPORT gr_tensor *gr_scatter_rows(gr_tape *t, gr_tensor *x, gr_tensor *index, int64_t rows);

/* ---- Other -------------------------------------------------------------------------------------------------- */

/* The same values in F32 or F64; from I32 too. Arithmetic, not a check: F32 takes a number beyond its range as an
 * infinity, as it does a product. */
GR_EXPORT gr_tensor *gr_cast(gr_tape *t, gr_tensor *x, gr_dtype dtype);

/* The same values as a constant: x gets no gradient from it. Shares the data of x. */
GR_EXPORT gr_tensor *gr_detach(gr_tape *t, gr_tensor *x);

/* A scalar that belongs to the tape and needs no gradient. */
GR_EXPORT gr_tensor *gr_constant(gr_tape *t, gr_dtype dtype, double value);

#ifdef __cplusplus
}
#endif
#endif
