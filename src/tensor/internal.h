/* internal.h: the tensor's inside, for the library's own sources: data, memory, errors, threads. */
#ifndef GR_TENSOR_INTERNAL_H
#define GR_TENSOR_INTERNAL_H

#include <stdalign.h>
#include <string.h>

#include <gradus/tensor.h>

/* ---- Memory ------------------------------------------------------------------------------------------------- */

enum { GR_ALIGNMENT = 64, GR_SMALL_BYTES = 64 };

/* A buffer from an allocator. It remembers which, so that it goes back there whatever is set by then. */
typedef struct gr_block {
    gr_allocator from;
    void *raw;
    size_t capacity;
    struct gr_block *next;
    int size_class;
} gr_block;

/* Memory for small records; NULL with GR_ERR_MEMORY. */
void *gr_allocate(size_t bytes);
void gr_release(void *memory);

gr_block *gr_block_new(size_t bytes);
void gr_block_free(gr_block *block);
static inline void *gr_block_data(gr_block *block)
{
    return (char *)block + GR_ALIGNMENT;
}

/* Free blocks by size class, eight classes to an octave. One to a tape, so no lock. */
enum { GR_N_SIZE_CLASSES = 8 * 48 };
typedef struct gr_pool {
    gr_block *free[GR_N_SIZE_CLASSES];
    int64_t live, peak, total;
} gr_pool;

/* A block for no pool yet, of the capacity that a pool would give it. */
gr_block *gr_pool_block(size_t bytes);
gr_block *gr_pool_take(gr_pool *pool, size_t bytes);
void gr_pool_give(gr_pool *pool, gr_block *block);
void gr_pool_clear(gr_pool *pool);

/* ---- The tensor --------------------------------------------------------------------------------------------- */

/* There are five kinds of tensors, and what a field means depends on the kind:
 *
 *     field          the caller's      a leaf            a result            a view              a gradient
 *     -------------  ----------------  ----------------  ------------------  ------------------  ----------------
 *     freed by       the caller        the caller        its tape            caller or tape      its leaf
 *     tape           NULL              NULL              its tape            NULL or its tape    NULL
 *     data           in block, small   in block, small   in block, small,    in base's           in block, small
 *                                                        or NULL: no values
 *     base           NULL              NULL              NULL                a tensor, no view   NULL
 *     version        its changes       its changes       its changes         unused: base's      its changes
 *     requires_grad  false             true              true with a node    either              false
 *     grad           NULL              owned, or NULL    another result      as leaf or result   NULL
 *     node           NULL              NULL              or NULL: constant   as leaf or result   NULL
 *
 * A leaf is a tensor of the caller's that went through gr_require_grad(). The engine asserts the table: see
 * gr_is_sound() in autograd/tape_internal.h. This layer knows no gradients. It has room for what the tape notes of a
 * tensor, frees the gradient of what it frees, and looks at nothing else of it. */
typedef struct gr_tape gr_tape;
typedef struct gr_tape_node gr_tape_node;

struct gr_tensor {
    /* The tensor's: */
    int64_t shape[GR_MAX_RANK];
    int64_t size;
    void *data;
    uint8_t dtype, rank;
    gr_tape *tape; /* its owner; NULL: the caller, or the leaf whose gradient it is */
    /* All that begins as zero, from here to `small`: */
    gr_block *block; /* owned */
    gr_tensor *base; /* whose data a view shares */
    char *name;
    uint32_t version; /* see gr_touch() */
    bool is_gradient; /* of a leaf */
    bool values_gone; /* its buffer went back to the pool, or on to another result if it was given up */
    bool given, kept; /* by gr_give(), gr_keep() */
    /* The tape's: */
    bool requires_grad;
    bool has_grad;   /* of a leaf: `grad` counts; otherwise it is a buffer waiting for the next backward */
    bool temporary;  /* made by a backward pass: goes when nothing of the tape refers to it */
    bool holds_base; /* a view that counts among its base's refs */
    bool is_one;     /* the derivative of an output by itself, as backward made it */
    bool is_target;  /* its gradient was asked for by name */
    int32_t refs;    /* of the tape's own: gradients in flight, values saved, views of it */
    int64_t serial;  /* the order of creation */
    gr_tensor *grad;
    gr_tensor *pending_grad; /* being gathered by a backward under way */
    gr_tensor *next_leaf;    /* reached by the same backward */
    gr_tensor *prev, *next;  /* in the order of creation, on the tape */
    gr_tape_node *node;      /* that computed it */
    alignas(16) char small[GR_SMALL_BYTES];
};

static inline size_t gr_dtype_bytes(gr_dtype dtype)
{
    return dtype == GR_F64 ? 8 : 4;
}

static inline size_t gr_bytes(const gr_tensor *t)
{
    return (size_t)t->size * gr_dtype_bytes((gr_dtype)t->dtype);
}

static inline bool gr_same_shape(const gr_tensor *a, const gr_tensor *b)
{
    if (a->rank != b->rank || a->size != b->size) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->shape[i] != b->shape[i]) return false;
    return true;
}

/* One element, of any dtype, that is known to be there. */
static inline double gr_element(const gr_tensor *t, int64_t i)
{
    switch ((gr_dtype)t->dtype) {
    case GR_F32: return (double)((const float *)t->data)[i];
    case GR_F64: return ((const double *)t->data)[i];
    default: return ((const int32_t *)t->data)[i];
    }
}

static inline uint32_t gr_version_of(const gr_tensor *t)
{
    return t->base ? t->base->version : t->version;
}

/* Counts a change of the elements, so that a value changed between forward and backward is an error that names it. */
static inline void gr_touch(gr_tensor *t)
{
    (t->base ? t->base : t)->version++;
    t->is_one = false;
}

static inline bool gr_is_float(gr_dtype dtype)
{
    return dtype == GR_F32 || dtype == GR_F64;
}

/* The smallest normal number of a dtype. */
static inline double gr_smallest_normal(gr_dtype dtype)
{
    return dtype == GR_F32 ? 0x1p-126 : 0x1p-1022;
}

static inline int64_t gr_lesser(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The number of elements of a shape, checked: rank, signs, and that its bytes fit into a ptrdiff_t. -1 with an
 * error that begins with `who`. */
int64_t gr_checked_size(const char *who, gr_dtype dtype, int rank, const int64_t shape[]);

/* Fills in a tensor that has no data yet. */
static inline void gr_tensor_set_type(gr_tensor *t, gr_dtype dtype, int rank, const int64_t shape[], int64_t size)
{
    t->dtype = (uint8_t)dtype;
    t->rank = (uint8_t)rank;
    t->size = size;
    for (int i = 0; i < rank; i++) t->shape[i] = shape[i];
}

/* What a tensor is that is not the caller's to free or to hand over; NULL for one that is. */
static inline const char *gr_not_yours(const gr_tensor *t)
{
    return t->tape ? "a result of a tape" : t->is_gradient ? "the gradient of another tensor" : NULL;
}

/* Frees a tensor of no tape, be it the gradient of another; NULL is nothing to free. */
void gr_destroy(gr_tensor *t);

/* An uninitialised tensor of the caller's. */
gr_tensor *gr_new(const char *who, gr_dtype dtype, int rank, const int64_t shape[]);

/* offset + scale * draw(rng), rounded twice on every machine (random.c). */
typedef double (*gr_distribution)(gr_rng *rng);
double gr_rng_scaled(gr_rng *rng, gr_distribution draw, double offset, double scale);

/* The axis counted from 0, or -1 for none. */
int gr_axis(int rank, int axis);

/* ---- Messages ----------------------------------------------------------------------------------------------- */

/* "[64,784]", in `text`, which is returned. */
enum { GR_SHAPE_TEXT_SIZE = 8 * 22 };
typedef struct gr_text {
    char s[GR_SHAPE_TEXT_SIZE];
} gr_text;
const char *gr_shape_text(gr_text *text, int rank, const int64_t shape[]);
const char *gr_position_text(gr_text *text, const gr_tensor *t, int64_t position);
#define GR_SHAPE_TEXT(t) gr_shape_text(&(gr_text){{0}}, (t)->rank, (t)->shape)

/* For an argument that is NULL: keeps the sentence of the failure that led to it, or says which one it is.
 * Returns the status of the first failure. */
gr_status gr_fail_null(const char *who, const char *what);

/* ---- Threads ------------------------------------------------------------------------------------------------ */

/* Runs body(context, begin, end) over 0 .. n-1 in spans of `grain`, the last one shorter, on OpenMP's threads. The
 * spans do not depend on the number of threads, so neither does any result. */
typedef void (*gr_span_body)(void *context, int64_t begin, int64_t end);
void gr_parallel_spans(int64_t n, int64_t grain, gr_span_body body, void *context);

/* How many threads it would use from here: for bodies that need memory for each. */
int gr_threads(void);

static inline void gr_parallel(int64_t n, int64_t grain, gr_span_body body, void *context)
{
    if (n > grain) gr_parallel_spans(n, grain, body, context);
    else if (n > 0) body(context, 0, n);
}

/* Elements of a span of cheap arithmetic: below it a second thread costs more than it brings. */
enum { GR_GRAIN = 16384 };

/* How many items of so many elements make a span worth a thread. */
static inline int64_t gr_grain_for(int64_t elements)
{
    return 2 * GR_GRAIN / (elements > 0 ? elements : 1) + 1;
}

/* The best processor in gr_cpu that this machine is. The environment's GRADUS_CPU (any, avx2, avx512) may lower it. */
gr_cpu gr_cpu_level(void);

/* From how many bytes on a result is worth streaming past the caches (stream.inc), and what ends doing so. */
void gr_stream_end(void);
enum { GR_STREAM_BYTES = 8 << 20 };

/* C = op(A) op(B), or with `adds` C += op(A) op(B), row-major: op(A) is [m,k], op(B) is [k,n]. */
typedef struct gr_product {
    bool ta, tb, adds;
    int64_t m, n, k;
    const void *a, *b;
    void *c;
} gr_product;
void gr_gemm(gr_dtype dtype, gr_product p);

#endif
