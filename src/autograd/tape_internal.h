/* tape_internal.h: the tape's inside, for the engine (tape.c, apply.c, backward.c, draw.c) and for the gradient
 * checker. Ops and losses see op_kit.h alone. */
#ifndef GR_AUTOGRAD_TAPE_INTERNAL_H
#define GR_AUTOGRAD_TAPE_INTERNAL_H

#include "autograd/op_kit.h"

/* A node in its tape: the call, its neighbours in the order of creation, and what its inputs were then. */
struct gr_record {
    gr_node n;
    gr_record *prev, *next;
    int64_t id;
    uint32_t *versions; /* of the inputs and, last, of the result */
    bool reached;       /* lies between the output and what a gradient was asked for */
    bool released;      /* an earlier backward gave its values back */
};

typedef struct gr_chunk gr_chunk;

struct gr_tape {
    gr_record *first, *last;
    gr_tensor *newest;          /* of the tensors alive, linked by `older` and `newer` */
    gr_tensor *unused;          /* tensor records for the results to come, linked by `older` */
    gr_block *records;          /* where tensor records are carved from */
    gr_chunk *chunks, *current; /* memory for nodes, all given back by a reset */
    size_t used;                /* bytes of the current chunk */
    gr_pool pool;
    int64_t nodes, tensors, serial;
    bool recording;
    bool backward; /* under way: results are temporary */
    bool checking; /* by the gradient checker: every op folds the branches it takes into the signature */
    uint64_t signature;
    bool keeps_all; /* the checker's: what gr_give() gives up stays, and running statistics stay as they are */
};

/* ---- tape.c: memory ----------------------------------------------------------------------------------------- */

/* A result like x in the memory of x, whose values stay readable for a kernel that works in place. */
gr_tensor *gr_result_in(gr_tape *t, gr_tensor *x);

/* A result that shares the data of `of`, from the given element on. */
gr_tensor *gr_result_view(gr_tape *t, gr_tensor *of, int rank, const int64_t shape[], int64_t offset);

/* A reference from the tape's own books: a gradient in flight, a value saved for a VJP. */
static inline gr_tensor *gr_hold(gr_tensor *x)
{
    if (x->tape) x->refs++;
    return x;
}

/* ---- apply.c ------------------------------------------------------------------------------------------------ */

/* Whether input i has a derivative. */
static inline bool gr_has_vjp(const gr_op *op, int i)
{
    return op->n_in == GR_VARIADIC ? op->vjp_nth != NULL : i < GR_MAX_VJPS && op->vjp[i] != NULL;
}

/* That this op ran, on how much, and by which branches (branches.c). */
void gr_fold_op(gr_tape *t, const gr_node *n);

/* ---- Adding up gradients ------------------------------------------------------------------------------------ */

/* Whether g's shape is one that x broadcasts to, and then g summed over the axes along which it did. */
bool gr_sums_to(const gr_tensor *g, const gr_tensor *x);
gr_tensor *gr_sum_to(gr_tape *t, gr_tensor *g, const gr_tensor *x);

/* to += from, of the same dtype and number of elements. */
void gr_accumulate(gr_tensor *to, const gr_tensor *from);

#endif
