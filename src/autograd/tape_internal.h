/* tape_internal.h: the tape's inside, for the engine (tape.c, apply.c, backward.c, draw.c) and for the gradient
 * checker. Ops and losses see op_kit.h alone. */
#ifndef GR_AUTOGRAD_TAPE_INTERNAL_H
#define GR_AUTOGRAD_TAPE_INTERNAL_H

#include <assert.h>

#include "autograd/op_kit.h"

/* Failures are rare: the compiler lays the ways to them aside, where they cost a call of an op nothing. */
#define GR_COLD __attribute__((cold, noinline))
GR_COLD gr_status gr_fail(gr_status status, const char *format, ...);
GR_COLD gr_status gr_fail_null(const char *who, const char *what);
GR_COLD gr_status gr_fail_gone(const char *who, const char *what, const gr_tensor *t);

/* For input i of a function, which is NULL, a result of another tape, or gone. */
GR_COLD gr_status gr_fail_input(const char *who, const gr_tape *t, int i, const gr_tensor *x);

/* The verbs of memory, in the tape and around it:
 *
 *     gr_keep(x)        the user: x keeps its values when backward has passed it
 *     gr_give(x)        the user: nobody reads x again, the next op may compute in its memory
 *     gr_hold(x)        the tape refers to x: a gradient in flight, a value saved for a VJP, the base of a view
 *     gr_drop(t, x)     it no longer does; a temporary result to which nothing refers is discarded
 *     gr_discard(t, x)  x leaves the tape at once: its buffer to the pool, its record to the unused ones
 *     give_back(node)   backward has passed the node: its result stays on the tape, without values (values_gone)
 *     gr_pool_give()    a buffer goes to the tape's pool, for the next result of its size
 *     gr_tape_reset(t)  every result leaves the tape, every node is forgotten; buffers stay in the pool
 *     keep_apart(t, x)  with t->debug: a record of those is not used again for a while, and marked `deleted`
 *     gr_tensor_free()  the user frees a tensor of his own; gr_destroy() is what it does, and does to gradients
 *     gr_release(m)     memory goes back to the allocator
 */

/* A node in its tape: the call, its neighbours in the order of creation, and what its inputs were then. */
struct gr_tape_node {
    gr_node call;
    gr_tape_node *prev, *next;
    int64_t id;
    uint32_t *versions; /* of the inputs and, last, of the result */
    uint64_t branches;  /* that the op took, while they are watched */
    bool reached;       /* lies between the output and what a gradient was asked for */
    bool values_gone;   /* an earlier backward gave them back */
};

typedef struct gr_chunk gr_chunk;

struct gr_tape {
    gr_tape_node *first, *last;
    gr_tensor *newest;                 /* of the tensors alive, linked by `prev` and `next` */
    gr_tensor *unused;                 /* tensor records for the results to come, linked by `prev` */
    gr_tensor *deleted, *last_deleted; /* records kept apart from the unused ones, the oldest first, */
    int64_t n_deleted;                 /* of which there are so many; with `debug` */
    gr_block *tensor_blocks;           /* where tensor records are carved from */
    gr_chunk *chunks, *current;        /* memory for nodes, all given back by a reset */
    size_t used;                       /* bytes of the current chunk */
    gr_pool pool;
    int64_t nodes, tensors, serial;
    bool recording;
    bool has_shortcut;   /* the VJP at work does: gr_takes_shortcut() */
    bool backward;       /* under way: results are temporary */
    gr_cpu cpu;          /* gr_cpu_level() */
    bool debug;          /* a result that is used after its deletion is an error that names it */
    const char *busy;    /* the op that runs, or "backward": results may be made, but nothing be deleted; NULL: none */
    bool under_check;    /* f of the checker runs: what gr_give() gives up stays, and so do running statistics */
    const char *misused; /* what f called that it may not; NULL: nothing */
    uint64_t rounding;   /* not 0: the result of each watched op in F64 is rounded by chance */
    uint64_t *signature; /* where every op folds the branches that it takes, or NULL: gr_tape_watch() */
};

/* ---- tape.c: what may be called when ------------------------------------------------------------------------- */

/* Refuses, in the name of `who`, what would delete results or accumulate gradients while an op, a backward or the
 * function under check runs. */
GR_COLD gr_status gr_fail_busy(gr_tape *t, const char *who);
static inline gr_status gr_expect_idle(gr_tape *t, const char *who)
{
    return t->busy || t->under_check ? gr_fail_busy(t, who) : GR_OK;
}

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

/* Whether nothing else refers to a gradient, so that it may be written to, or its buffer change hands. */
static inline bool gr_is_ours_alone(const gr_tensor *x) { return x->temporary && x->refs == 1 && !x->base; }

/* Whether a tensor is of one of the kinds that stand above struct gr_tensor; for assertions. */
static inline bool gr_is_sound(const gr_tensor *x)
{
    if (x->rank > GR_MAX_RANK || x->dtype >= GR_N_DTYPES) return false;
    if (x->base && (x->block || x->base->base || x->owner == GR_LEAF)) return false;
    if (x->owner == GR_LEAF && (x->tape || x->node || x->grad || x->requires_grad)) return false;
    if (x->values_gone && (!x->tape || x->data || x->block)) return false;
    if (!x->values_gone && !x->base && x->data != (x->block ? gr_block_data(x->block) : (const void *)x->small))
        return false;
    if (x->node && (!x->tape || x->node->call.out != x)) return false;
    if (x->requires_grad && (!gr_is_float(gr_type_of(x)) || (x->tape && !x->node))) return false;
    return x->tape || (x->refs == 0 && !x->temporary && !x->holds_base && (x->requires_grad || !x->grad));
}

/* ---- leaf.c ------------------------------------------------------------------------------------------------- */

/* Room for the gradient of a leaf, so that nothing can fail once gradients are being added. */
gr_status gr_leaf_make_room(gr_tensor *leaf);

/* leaf.grad += g, or leaf.grad = g where there is none yet: then buffers change hands instead of being copied. */
void gr_leaf_add(gr_tensor *leaf, gr_tensor *g);

/* ---- apply.c ------------------------------------------------------------------------------------------------ */

/* Whether input i has a derivative. */
static inline bool gr_has_vjp(const gr_op *op, int i)
{
    return op->n_in == GR_VARIADIC ? op->vjp_nth != NULL : i < GR_MAX_VJPS && op->vjp[i] != NULL;
}

/* ---- branches.c --------------------------------------------------------------------------------------------- */

/* From here on every op tells that it ran, on how much, and by which branches: its node, or *signature where there is
 * none; with NULL none does. Returns what was there before, to be set again afterwards. */
uint64_t *gr_tape_watch(gr_tape *t, uint64_t *signature);

/* What an op does then; and what the nodes that y depends on have been told, the last first. */
void gr_fold_op(const gr_node *n, uint64_t *signature);
void gr_fold_reached(const gr_tensor *y, uint64_t *signature);

/* ---- Adding up gradients ------------------------------------------------------------------------------------ */

/* Whether g's shape is one that x broadcasts to, and then g summed over the axes along which it did. */
bool gr_sums_to(const gr_tensor *g, const gr_tensor *x);
gr_tensor *gr_sum_to(gr_tape *t, gr_tensor *g, const gr_tensor *x);

/* The values of `value`, and the derivatives of d: a gradient by a shortcut, which d is with ops. */
gr_tensor *gr_corrected(gr_tape *t, gr_tensor *value, gr_tensor *d);

/* to += from, of the same dtype and number of elements. */
void gr_accumulate(gr_tensor *to, const gr_tensor *from);

#endif
