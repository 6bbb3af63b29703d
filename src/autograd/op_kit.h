/* op_kit.h: all that an op or a loss may touch, beside the public headers: results, shape rules, branches, and the call
 * of another op. What a tape looks like inside is not in it. */
#ifndef GR_AUTOGRAD_OP_KIT_H
#define GR_AUTOGRAD_OP_KIT_H

#include <gradus/nn.h>
#include <gradus/op.h>
#include <gradus/ops.h>
#include <gradus/tape.h>

#include "autograd/attr.h"
#include "tensor/internal.h"

/* The record of every op that is no loss. */
#define GR_OP(name) extern const gr_op gr_op_##name;
#include "autograd/ops.def"
#undef GR_OP

/* How the record gr_op_<op> begins: with its name, its formula, and the gradients of its inputs. */
#define GR_NAMED(op, formula_, gradient_) .name = #op, .formula = (formula_), .gradient = (gradient_)

/* The call of op `op` of this library with its options and its inputs, on the tape t. */
#define GR_CALL(op, attr, ...) \
    gr_apply(t, &gr_op_##op, (gr_tensor *[]){__VA_ARGS__}, GR_COUNT(((gr_tensor *[]){__VA_ARGS__})), attr)

/* ---- Shape rules (apply.c) ---------------------------------------------------------------------------------- */

static inline void gr_type_as(gr_type *type, const gr_tensor *x)
{
    type->dtype = gr_type_of(x);
    type->rank = x->rank;
    memcpy(type->shape, x->shape, sizeof type->shape);
}

/* Widens `type` to what NumPy broadcasts it and the shape to. */
gr_status gr_broadcast_shapes(const char *who, gr_type *type, int rank, const int64_t shape[]);

/* Refuses inputs that are not F32 or F64 or not all the same: those of an op, and of a composed function. */
gr_status gr_expect_float(const gr_node *n);
gr_status gr_expect_floats(const char *who, gr_tensor *const in[], int n_in);

/* What gr_apply() does for an op, in the name of a function that is composed of several: refuses no tape, and inputs
 * that are NULL (but for those behind the first n_in), results of another tape, or without values. */
gr_status gr_expect_inputs(const char *who, const gr_tape *t, gr_tensor *const in[], int n_in, int n_optional);

/* Refuses x, which is input i or NULL, if it requires a gradient while the tape records. */
gr_status gr_expect_constant(const char *who, const gr_tape *t, const gr_tensor *x, int i);

/* Refuses what is no [N,C,H,W], or has no pixels (images.c). */
gr_status gr_expect_images(const char *who, const gr_tensor *x);

/* Refuses a parameter or buffer, NULL for none, that is not of x's dtype and of this shape. */
gr_status gr_expect_parameter(const char *who, const char *what, const gr_tensor *parameter, const gr_tensor *x,
                              int rank, const int64_t shape[]);

/* Whether x is a result of the tape and has this shape. Where it is, the two functions below return x itself, and
 * otherwise what gr_reshape() and gr_broadcast_to() do, which always make a new result. */
static inline bool gr_is_as(const gr_tape *t, const gr_tensor *x, int rank, const int64_t shape[])
{
    return t && x && x->tape == t && !x->values_gone && x->rank == rank &&
           memcmp(x->shape, shape, (size_t)rank * sizeof *shape) == 0;
}
gr_tensor *gr_as_shape(gr_tape *t, gr_tensor *x, int rank, const int64_t shape[]);
gr_tensor *gr_as_wide(gr_tape *t, gr_tensor *x, int rank, const int64_t shape[]);

/* x - mean(x) over the axes, composed of ops (reduce.c). */
gr_tensor *gr_centred(gr_tape *t, gr_tensor *x, int n_axes, const int axes[]);

/* ---- Memory and state of the tape, for kernels and VJPs (tape.c) --------------------------------------------- */

/* A result without values. */
gr_tensor *gr_result(gr_tape *t, gr_dtype dtype, int rank, const int64_t shape[]);

/* Takes a result off the tape at once. */
void gr_discard(gr_tape *t, gr_tensor *x);

/* Memory that lasts until the reset; NULL with GR_ERR_MEMORY. */
void *gr_tape_memory(gr_tape *t, size_t bytes);

/* The tape's free blocks, for buffers that last as long as a kernel. */
gr_pool *gr_pool_of(gr_tape *t);

/* As gr_apply(), and a success sets *saved to what the kernel saved, or NULL: the caller drops it. */
gr_tensor *gr_apply_with_saved(gr_tape *t, const gr_op *op, gr_tensor *const in[], int n_in, const void *attr,
                               gr_tensor **saved);
void gr_drop(gr_tape *t, gr_tensor *x);

/* Whether the gradient checker is running f on this tape: then nothing but results may change. */
bool gr_is_under_check(const gr_tape *t);

bool gr_is_recording(const gr_tape *t);

/* For a VJP that has a shortcut, which no op could differentiate: whether to take it. Where the answer is no, the
 * engine asks the VJP again: the shortcut's values count, and what is written with ops counts for its derivative. So a
 * gradient has the same bits with GR_CREATE_GRAPH and without. */
bool gr_takes_shortcut(gr_tape *t);

/* What makes a branch that was not taken pass no gradient: a x, and 0 where a is 0 although x is infinite or NaN. The
 * second form multiplies by a number. [a > b] + [a = b]/2, NaN of a NaN, is the mask of a maximum. */
gr_tensor *gr_weighed(gr_tape *t, gr_tensor *a, gr_tensor *x);
gr_tensor *gr_weighed_by(gr_tape *t, double a, gr_tensor *x);
gr_tensor *gr_wins(gr_tape *t, gr_tensor *a, gr_tensor *b);

/* g times what a kernel has saved for a g of 1; where that is 0 the gradient is 0. */
static inline gr_tensor *gr_times_cotangent(gr_tape *t, gr_tensor *saved, gr_tensor *g)
{
    return g->is_one ? saved : gr_weighed(t, saved, g);
}

/* As a VJP, of a summand or of what is repeated: dx = g, which the engine sums over what x was repeated along. */
static inline gr_tensor *gr_vjp_same(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    (void)t;
    (void)n;
    return g;
}

/* ---- Branches, for the gradient checker (branches.c) ------------------------------------------------------------- */

/* The sign of each element of the first input; which of two inputs is larger; on which side of the bounds in the
 * attributes (gr_scalars) the first input lies. */
void gr_branch_sign(const gr_node *n, uint64_t *signature);
void gr_branch_order(const gr_node *n, uint64_t *signature);
void gr_branch_bounds(const gr_node *n, uint64_t *signature);

/* -1, 0, 1, and 2 for a NaN. */
static inline int gr_branch_of(double x) { return x > 0.0 ? 1 : x < 0.0 ? -1 : x == 0.0 ? 0 : 2; }

#endif
