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
 * gr_backward() then visits the nodes from the newest to the oldest, each exactly once, and adds to every input the
 * derivative by it.
 *
 * Ownership: the tape frees what it computes. The result of an op is borrowed from its tape until gr_tape_reset()
 * or gr_tape_free(). Its values stay readable as long, unless a gr_backward() without GR_RETAIN has passed it: that
 * gives each buffer back as soon as no later step needs it. Read what you want of the forward pass before, or keep it
 * with gr_keep(). The tensor that gr_backward() starts from is always kept.
 *
 * A result that is used after its tape was reset is a mistake that no release build looks for. Where assertions are on,
 * or with GRADUS_DEBUG=1 in the environment when the tape is made, the tape keeps the records of some thousand deleted
 * results apart, and every function that is handed one fails with GR_ERR_STATE and the name of the op that made it.
 *
 * NULL: gr_tape_free(), gr_tape_reset() and gr_zero_grad() do nothing; status.h says the rest.
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

/* An empty tape that is recording, yours to free. NULL with GR_ERR_MEMORY, or GR_ERR_OPTION where the environment
 * variable GRADUS_CPU is none of any, avx2 and avx512. */
GR_EXPORT gr_tape *gr_tape_new(void);
GR_EXPORT void gr_tape_free(gr_tape *tape);

/* Deletes every node and every result; their buffers stay with the tape for the next step, so that a training step of a
 * fixed shape calls the allocator in its first run only. From within an op or a backward of this tape, or from a
 * function under check, this and gr_tape_free() do nothing but note GR_ERR_STATE. */
GR_EXPORT void gr_tape_reset(gr_tape *tape);

/* Makes a tensor of yours a leaf for which gradients are wanted. F32 or F64, else GR_ERR_DTYPE; GR_ERR_STATE for a
 * result of a tape or a gradient, GR_ERR_NULL. */
GR_EXPORT gr_status gr_require_grad(gr_tensor *tensor);

/* Flags of gr_backward(), joined by |. */
enum {
    GR_RETAIN = 1,      /* keep values and gradients of all nodes: for a second backward, for a drawing */
    GR_CREATE_GRAPH = 2 /* record the backward pass itself, so that it can be differentiated; implies GR_RETAIN */
};

/* Adds dy/dx to the gradient of every leaf x that y depends on, except where y depends on x only through steps (sign,
 * greater, equal), whose derivative is 0. y holds one element. Errors: GR_ERR_SHAPE (y has more elements: see
 * gr_vjp()), GR_ERR_STATE (y needs no gradient; a value that it depends on was changed since, and the message names it;
 * an op or another backward is running on the tape, or a gradient check of the function that calls this;
 * values were given back by an earlier backward), GR_ERR_OPTION (unknown flags), GR_ERR_NULL, GR_ERR_MEMORY. After an
 * error no gradient has changed; without GR_RETAIN some values may have been given back, so that the next backward
 * needs a new forward pass. */
GR_EXPORT GR_NODISCARD gr_status gr_backward(gr_tape *tape, gr_tensor *y, int flags);

/* The accumulated gradient, of the dtype and shape of `tensor`; NULL when there is none yet. Borrowed: it belongs to
 * the tensor, and each backward may move its values. With GR_RETAIN the results of a tape have one too. */
GR_EXPORT gr_tensor *gr_gradient(const gr_tensor *tensor);

/* Removes the accumulated gradient: gr_gradient() is NULL until the next backward. */
GR_EXPORT void gr_zero_grad(gr_tensor *tensor);

/* ---- Advanced ----------------------------------------------------------------------------------------------- */

/* The gradients dy/dx of n tensors, each a new result of the tape; accumulated gradients stay as they are. An x may be
 * a leaf or a result; where y does not depend on it, its gradient is zeros. With GR_CREATE_GRAPH the gradients can be
 * differentiated again:
 *
 *     gr_tensor *d1, *d2;
 *     gr_grad(tape, y, &x, 1, &d1, GR_CREATE_GRAPH);      // y'
 *     gr_grad(tape, d1, &x, 1, &d2, 0);                   // y''
 *
 * They are yours to write to: what the tape needs, and the other gradients, are other tensors. Errors as gr_backward(),
 * and GR_ERR_OPTION for an n below 1; out[] is then all NULL. */
GR_EXPORT GR_NODISCARD gr_status gr_grad(gr_tape *tape, gr_tensor *y, gr_tensor *const x[], int n, gr_tensor *out[],
                                         int flags);

/* Vector-Jacobian products: the gradients of sum(cotangent * y), for a y of any shape. A NULL cotangent asks for a y
 * of one element and stands for 1. `cotangent` has the dtype and shape of y, else GR_ERR_SHAPE or GR_ERR_DTYPE. */
GR_EXPORT GR_NODISCARD gr_status gr_vjp(gr_tape *tape, gr_tensor *y, gr_tensor *cotangent, gr_tensor *const x[], int n,
                                        gr_tensor *out[], int flags);

/* The same product, added to the leaves' accumulated gradients. Errors as gr_backward() and gr_vjp(). */
GR_EXPORT GR_NODISCARD gr_status gr_backward_from(gr_tape *tape, gr_tensor *y, gr_tensor *cotangent, int flags);

/* Keeps the values of a result through gr_backward(). Returns its argument, so that it can be written around an op. */
GR_EXPORT gr_tensor *gr_keep(gr_tensor *tensor);

/* Gives a result up: you will not read it again, so that the op that it is passed to next may compute in its memory.
 * Ops do so that work element by element and whose derivative does not need their input, such as gr_relu(). That saves
 * the memory and the time of a pass: gr_relu(tape, gr_give(gr_conv2d(...))). Where the memory was used, reading the
 * result afterwards is GR_ERR_STATE, and so is a backward that needs its values. Returns its argument. */
GR_EXPORT gr_tensor *gr_give(gr_tensor *tensor);

/* Turns recording on or off and returns what it was. Off is for evaluation, where nothing is differentiated. */
GR_EXPORT bool gr_set_recording(gr_tape *tape, bool on);

/* Whether gr_backward() would reach the tensor: it is a leaf or a recorded result that depends on one. */
GR_EXPORT bool gr_requires_grad(const gr_tensor *tensor);

/* What a tape holds. Bytes are those of the buffers of tensors. */
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
