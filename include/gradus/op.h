/* op.h: what an op is, for those who add one.
 *
 * An op is one const record: its name and formula, a rule for the result's shape, forward kernels, and one VJP
 * (vector-Jacobian product) per input. The library's own ops are such records (src/autograd), and yours are equal to
 * them: gr_apply() runs them, the gradient checker checks them. y = x^3 in full:
 *
 *     static gr_status cube_f64(gr_node *n)
 *     {
 *         const double *x = gr_read_f64(n->in[0]);
 *         double *y = gr_f64(n->out);
 *         for (int64_t i = 0; i < gr_size(n->out); i++) y[i] = x[i] * x[i] * x[i];
 *         return GR_OK;
 *     }
 *
 *     // dx = g * 3 x^2, written with ops, so that it can be differentiated again
 *     static gr_tensor *cube_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
 *     {
 *         return gr_mul(t, g, gr_scale(t, gr_square(t, n->in[0]), 3.0));
 *     }
 *
 *     static const gr_op cube = {.name = "cube", .formula = "y = x^3", .n_in = 1, .shape = gr_shape_same,
 *                                .forward[GR_ANY_CPU] = {[GR_F64] = cube_f64}, .vjp = {cube_vjp}};
 *
 *     gr_tensor *y = gr_apply(tape, &cube, &x, 1, NULL);
 */
#ifndef GRADUS_OP_H
#define GRADUS_OP_H

#include <gradus/tape.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GR_MAX_VJPS 4

typedef struct gr_op gr_op;
typedef struct gr_node gr_node;

/* One call of an op, as its shape rule, its kernels and its VJPs see it. */
struct gr_node {
    const gr_op *op;
    gr_tape *tape;
    gr_tensor *const *in; /* n_in inputs, none of them NULL */
    int n_in;
    bool recording;   /* a gradient will be wanted: save what the VJPs need */
    const void *attr; /* the op's options, op->attr_size bytes, copied from the caller's */
    gr_tensor *out;   /* the result: its memory is there when the kernel runs, its values are not */
    gr_tensor *saved; /* what the kernel kept for the VJPs with gr_save(), or NULL */
};

/* The type of a result: what a shape rule fills in. */
typedef struct gr_type {
    gr_dtype dtype;
    int rank;
    int64_t shape[GR_MAX_RANK];
    bool view;      /* the result shares in[0]'s data, within which it lies: no kernel, no memory */
    int64_t offset; /* of a view: its first element in in[0] */
} gr_type;

/* Checks the dtypes and shapes of the inputs and the options, and fills in the type of the result. On a mistake of the
 * caller it returns gr_fail(...): the op's name, the shapes, what was expected. Kernels and VJPs check nothing. */
typedef gr_status (*gr_shape_rule)(const gr_node *n, gr_type *type);

/* Computes n->out from n->in. It fails only because of values, such as an index that is out of range, or memory. */
typedef gr_status (*gr_kernel)(gr_node *n);

/* Returns the gradient of one input, computed by ops of the tape from g, that of the output, of n->out's shape. It may
 * have the shape that the input was broadcast to: the engine sums it to the input's. NULL only after an error. */
typedef gr_tensor *(*gr_vjp_rule)(gr_tape *t, const gr_node *n, gr_tensor *g);

/* The same for the i-th input of an op with any number of them. */
typedef gr_tensor *(*gr_vjp_nth_rule)(gr_tape *t, const gr_node *n, int i, gr_tensor *g);

/* The VJP of an input whose derivative is 0 wherever there is one, although the output depends on the input. */
GR_EXPORT gr_tensor *gr_vjp_zero(gr_tape *t, const gr_node *n, gr_tensor *g);

/* These two rules are for the gradient checker (check.h) alone; an op may have neither.
 *
 * Branches: an op whose formula has cases (max(x, 0) has two) adds the case of each element to the signature with
 * gr_fold_branch(), after its kernel has run. Where two points have equal signatures there is no kink and no step
 * between them, and a difference may be taken; where signatures differ however near the points are, there is one.
 *
 * Terms: an op that computes a sum, of one element, names its terms. The checker subtracts the terms of two evaluations
 * one by one before it adds, so that the rounding of a mean over a million elements does not disturb it. A term is a
 * factor times the sum of all elements of a tensor, or the factor alone without a tensor. The rule returns how many
 * terms there are, or 0 where it cannot name them. */
typedef void (*gr_branches_rule)(const gr_node *n, uint64_t *signature);

typedef struct gr_term {
    gr_tensor *of;
    double factor;
} gr_term;
enum { GR_MAX_TERMS = 2 };
typedef int (*gr_terms_rule)(const gr_node *n, gr_term terms[GR_MAX_TERMS]);

static inline void gr_fold_branch(uint64_t *signature, int64_t branch)
{
    *signature = (*signature ^ (uint64_t)branch) * 0x9e3779b97f4a7c15u;
    *signature ^= *signature >> 29;
}

struct gr_op {
    const char *name;     /* "matmul" */
    const char *formula;  /* "C = A B" */
    const char *gradient; /* "dA = g B^T, dB = A^T g", g being the result's: for documentation; may be NULL */
    int n_in;             /* number of inputs; GR_VARIADIC for one or more */
    int n_optional;       /* how many more there may be */
    size_t attr_size;
    gr_shape_rule shape;
    gr_kernel forward[GR_N_CPUS][GR_N_DTYPES]; /* by the result's dtype; NULL: that of GR_ANY_CPU, or an error */
    gr_vjp_rule vjp[GR_MAX_VJPS];              /* NULL: an input that needs a gradient is an error */
    gr_vjp_nth_rule vjp_nth;                   /* for GR_VARIADIC */
    bool in_place;                             /* element by element: it may overwrite in[0] after gr_give() */
    gr_branches_rule branches;                 /* NULL: the formula has no cases */
    gr_terms_rule terms;                       /* NULL: the result is no sum */
};

#define GR_VARIADIC (-1)

/* Runs an op: checks, computes, records. `attr` is NULL for an op without options, and not for another. Returns a
 * result of the tape, or NULL with the message: what the op refuses, and a record that is wrong, such as one without a
 * name or an input, or with a view that does not lie within in[0]. The record must last as long as the result. */
GR_EXPORT gr_tensor *gr_apply(gr_tape *tape, const gr_op *op, gr_tensor *const in[], int n_in, const void *attr);

/* For kernels: a tensor of the tape for what a VJP will need, deleted with the node. Sets and returns n->saved; NULL
 * with GR_ERR_MEMORY, or GR_ERR_NULL. */
GR_EXPORT gr_tensor *gr_save(gr_node *n, gr_dtype dtype, int rank, const int64_t shape[]);

/* Ready-made shape rules: the result is as in[0]; the result is what NumPy broadcasts all inputs to. Both ask for
 * F32 or F64, the same for all inputs. */
GR_EXPORT gr_status gr_shape_same(const gr_node *n, gr_type *type);
GR_EXPORT gr_status gr_shape_broadcast(const gr_node *n, gr_type *type);

/* The library's own ops by position, from 0: for tools, tests and documentation. NULL past the end. */
GR_EXPORT const gr_op *gr_op_at(int position);

#ifdef __cplusplus
}
#endif
#endif
