/* tape.h: reverse-mode automatic differentiation.
 *
 * A tape records what is computed and runs it backward:
 *
 *     gr_tape *tape = gr_tape_new();
 *     gr_tensor *w = gr_scalar(GR_F64, 3.0);
 *     gr_require_grad(w);
 *
 *     gr_tensor *y = gr_square(tape, w);                 // y = w^2, computed at once
 *     if (gr_backward(tape, y, 0)) puts(gr_last_error());
 *     printf("%g\n", gr_item(gr_gradient(w)));           // dy/dw = 2 w = 6
 *
 *     gr_tape_reset(tape);                               // y is gone, w and its gradient are not
 *
 * An op computes at once; where an input needs a gradient and recording is on, the tape also remembers it as a node.
 * gr_backward() then walks the nodes from the newest to the oldest, each exactly once, and hands every input its
 * share of the derivative.
 *
 * Ownership: the tape frees what it computes. The result of an op is borrowed from its tape until gr_tape_reset()
 * or gr_tape_free(). Its values stay readable just as long, unless a gr_backward() without GR_RETAIN has passed it:
 * backward gives each buffer back as soon as nothing ahead needs it. Read what you want of the forward pass before,
 * or keep it with gr_keep(). The tensor that gr_backward() starts from is always kept.
 *
 * Threads: one tape to a thread. Several threads may run several tapes that read the same data and parameters, as
 * long as no two of them write the same tensor's gradient: gr_grad() writes none.
 */
#ifndef GRADUS_TAPE_H
#define GRADUS_TAPE_H

#include <gradus/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gr_tape gr_tape;

/* ---- Simple ------------------------------------------------------------------------------------------------- */

/* An empty tape that is recording. NULL with GR_ERR_MEMORY. Yours, for gr_tape_free(); NULL is nothing to free. */
GR_EXPORT gr_tape *gr_tape_new(void);
GR_EXPORT void gr_tape_free(gr_tape *tape);

/* Forgets every node and takes back every result; buffers stay with the tape for the next step, so that a training
 * step of a fixed shape calls the system's allocator in its first run only. */
GR_EXPORT void gr_tape_reset(gr_tape *tape);

/* Makes a tensor of yours a leaf for which gradients are wanted. F32 or F64, else GR_ERR_DTYPE; GR_ERR_STATE for a
 * result of a tape or a gradient, GR_ERR_NULL. */
GR_EXPORT gr_status gr_require_grad(gr_tensor *tensor);

/* What gr_backward() flags may be, joined by |. */
enum {
    GR_RETAIN = 1,      /* keep values and gradients of all nodes: for a second backward, for a drawing */
    GR_CREATE_GRAPH = 2 /* record the backward pass itself, so that it can be differentiated; implies GR_RETAIN */
};

/* Adds dy/dx into the gradient of every leaf x that y depends on; one that it depends on only through steps (sign,
 * greater, equal), whose derivative is 0, is left as it is. y holds one element. Errors: GR_ERR_SHAPE (y has more
 * elements: see gr_vjp()), GR_ERR_STATE (y needs no gradient; a value it depends on was changed since, and the message
 * names it; buffers were already released). After an error no gradient of this call has been added anywhere; without
 * GR_RETAIN it may have given values back on its way, so that the next backward needs a new forward pass. */
GR_EXPORT GR_NODISCARD gr_status gr_backward(gr_tape *tape, gr_tensor *y, int flags);

/* The accumulated gradient, of the shape of `tensor`; NULL when there is none yet. Borrowed: it lives with the
 * tensor, and its values change place with each backward. With GR_RETAIN a tape's results have one too. */
GR_EXPORT gr_tensor *gr_gradient(const gr_tensor *tensor);

/* Sets the accumulated gradient back to nothing (gr_gradient() is NULL until the next backward). */
GR_EXPORT void gr_zero_grad(gr_tensor *tensor);

/* ---- Advanced ----------------------------------------------------------------------------------------------- */

/* The gradients dy/dx of n tensors, as results of the tape, touching no accumulated gradient. An x may be a leaf or a
 * result; one that y does not depend on gets zeros. With GR_CREATE_GRAPH the gradients can be differentiated again:
 *
 *     gr_tensor *d1, *d2;
 *     gr_grad(tape, y, &x, 1, &d1, GR_CREATE_GRAPH);      // y'
 *     gr_grad(tape, d1, &x, 1, &d2, 0);                   // y''
 *
 * Errors as gr_backward(); out[] is then all NULL. */
GR_EXPORT GR_NODISCARD gr_status gr_grad(gr_tape *tape, gr_tensor *y, gr_tensor *const x[], int n, gr_tensor *out[],
                                         int flags);

/* Vector-Jacobian products: the gradients of sum(cotangent * y), for a y of any shape. A NULL cotangent asks for a y
 * of one element and stands for 1. `cotangent` has the dtype and shape of y, else GR_ERR_SHAPE or GR_ERR_DTYPE. */
GR_EXPORT GR_NODISCARD gr_status gr_vjp(gr_tape *tape, gr_tensor *y, gr_tensor *cotangent, gr_tensor *const x[], int n,
                                        gr_tensor *out[], int flags);

/* The same into the leaves' accumulated gradients. */
GR_EXPORT GR_NODISCARD gr_status gr_backward_from(gr_tape *tape, gr_tensor *y, gr_tensor *cotangent, int flags);

/* Marks a result whose value must outlive gr_backward(). Returns its argument, so that it can wrap an op. */
GR_EXPORT gr_tensor *gr_keep(gr_tensor *tensor);

/* Gives a result up: nobody will read it again, so the op that it is handed to next may compute in its memory, if it is
 * one that works element by element and whose derivative does not look at its input (gr_relu() is). That saves the
 * memory and the time of a pass: gr_relu(tape, gr_give(gr_conv2d(...))). Where its memory was used, reading it
 * afterwards is an error that says so, as is a backward that needs its value. Returns its argument. */
GR_EXPORT gr_tensor *gr_give(gr_tensor *tensor);

/* Turns recording off or on and returns what it was: off for evaluation, where nothing will be differentiated. */
GR_EXPORT bool gr_set_recording(gr_tape *tape, bool on);

/* Whether gr_backward() would reach it: a leaf of gr_require_grad() or a result recorded from one. */
GR_EXPORT bool gr_requires_grad(const gr_tensor *tensor);

/* What the tape holds. Bytes are those of tensor buffers taken from the allocator, the pool's free ones included. */
typedef struct gr_tape_stats {
    int64_t nodes;      /* recorded since the last reset */
    int64_t tensors;    /* alive on the tape */
    int64_t bytes;      /* in tensors that are alive */
    int64_t peak_bytes; /* the most that was alive at once, since gr_tape_new() */
    int64_t pool_bytes; /* alive or waiting in the pool */
} gr_tape_stats;
GR_EXPORT gr_tape_stats gr_tape_statistics(const gr_tape *tape);

#ifdef __cplusplus
}
#endif
#endif
