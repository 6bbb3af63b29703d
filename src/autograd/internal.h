/* internal.h: the tape's inside. */
#ifndef GR_AUTOGRAD_INTERNAL_H
#define GR_AUTOGRAD_INTERNAL_H

#include <gradus/op.h>
#include <gradus/nn.h>
#include <gradus/ops.h>
#include <gradus/tape.h>

#include "tensor/internal.h"

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

/* Memory that lasts until the reset; NULL with GR_ERR_MEMORY. */
void *gr_tape_memory(gr_tape *t, size_t bytes);

/* A result without values. */
gr_tensor *gr_result(gr_tape *t, gr_dtype dtype, int rank, const int64_t shape[]);

/* A result like x in the memory of x, whose values stay readable for a kernel that works in place. */
gr_tensor *gr_result_in(gr_tape *t, gr_tensor *x);

/* A result that shares the data of `of`, from the given element on. */
gr_tensor *gr_result_view(gr_tape *t, gr_tensor *of, int rank, const int64_t shape[], int64_t offset);

/* Takes a result off the tape at once. */
void gr_discard(gr_tape *t, gr_tensor *x);

/* A reference from the tape's own books: a gradient in flight, a value saved for a VJP. */
static inline gr_tensor *gr_hold(gr_tensor *x)
{
    if (x->tape) x->refs++;
    return x;
}
void gr_drop(gr_tape *t, gr_tensor *x);

/* ---- stretch.c ---------------------------------------------------------------------------------------------- */

/* Whether g's shape is one that x broadcasts to, and then g summed over the axes along which it did. */
bool gr_sums_to(const gr_tensor *g, const gr_tensor *x);
gr_tensor *gr_sum_to(gr_tape *t, gr_tensor *g, const gr_tensor *x);

/* to += from, of the same dtype and number of elements (src/autograd/arithmetic.c). */
void gr_accumulate(gr_tensor *to, const gr_tensor *from);

/* ---- branches.c: for the gradient checker --------------------------------------------------------------------- */

/* That this op ran, on how much, and by which branches. */
void gr_fold_op(gr_tape *t, const gr_node *n);

/* The sign of each element of the first and of the second input; which of two is larger; on which side of the bounds
 * in the attributes (gr_scalars) the first input lies. */
void gr_branch_sign(const gr_node *n, uint64_t *signature);
void gr_branch_sign_of_second(const gr_node *n, uint64_t *signature);
void gr_branch_order(const gr_node *n, uint64_t *signature);
void gr_branch_bounds(const gr_node *n, uint64_t *signature);

/* -1, 0, 1, and 2 for a NaN. */
static inline int gr_branch_of(double x)
{
    return x > 0.0 ? 1 : x < 0.0 ? -1 : x == 0.0 ? 0 : 2;
}

/* ---- for the ops -------------------------------------------------------------------------------------------- */

/* Every op's record, and its position in the table. */
#define GR_OP(name) extern const gr_op gr_op_##name;
#include "autograd/ops.def"
#undef GR_OP

/* Whether input i has a derivative. */
static inline bool gr_has_vjp(const gr_op *op, int i)
{
    return op->n_in == GR_VARIADIC ? op->vjp_nth != NULL : i < GR_MAX_VJPS && op->vjp[i] != NULL;
}

static inline gr_dtype gr_type_of(const gr_tensor *x)
{
    return (gr_dtype)x->dtype;
}

/* Widens `type` to what NumPy broadcasts it and the shape to. */
gr_status gr_broadcast_shapes(const char *who, gr_type *type, int rank, const int64_t shape[]);

/* Refuses, in the op's name, inputs that are not F32 or F64 or not all the same. */
gr_status gr_same_float(const gr_node *n);

/* Refuses what is no [N,C,H,W], or has no pixels (pool.c). */
gr_status gr_check_images(const char *who, const gr_tensor *x);

static inline void gr_type_as(gr_type *type, const gr_tensor *x)
{
    type->dtype = gr_type_of(x);
    type->rank = x->rank;
    memcpy(type->shape, x->shape, sizeof type->shape);
}

/* The call of op `op` of this library with its options and its inputs, on the tape t. */
#define GR_CALL(op, attr, ...) \
    gr_apply(t, &gr_op_##op, (gr_tensor *[]){__VA_ARGS__}, GR_COUNT(((gr_tensor *[]){__VA_ARGS__})), attr)

/* The attributes of ops that are a function with one or two numbers. */
typedef struct gr_scalars {
    double a, b;
} gr_scalars;

#define GR_COUNT(array) (int)(sizeof(array) / sizeof *(array))
#define GR_SAMPLES(array) .samples = (array), .n_samples = GR_COUNT(array)

/* A sample's input: its shape, and the bounds of its values. */
#define GR_IN(lo_, hi_, ...)                                                                                    \
    {                                                                                                           \
        .rank = (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), .shape = {__VA_ARGS__}, .lo = (lo_), \
        .hi = (hi_)                                                                                             \
    }
#define GR_IN_SCALAR(lo_, hi_)              \
    {                                       \
        .rank = 0, .lo = (lo_), .hi = (hi_) \
    }

#endif
