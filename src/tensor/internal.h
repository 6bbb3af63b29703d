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

typedef struct gr_tape gr_tape;     /* all that this layer knows of tapes is that they own tensors */
typedef struct gr_record gr_record; /* a node as its tape keeps it */

struct gr_tensor {
    int64_t shape[GR_MAX_RANK];
    int64_t size;
    void *data; /* in `small`, in `block`, or in `base`'s */
    uint8_t dtype, rank;
    /* Of a tape's tensor: */
    gr_tape *tape;    /* its owner; NULL: the caller is */
    gr_tensor *older; /* the one made before it, and below the one made after it */
    int64_t serial;   /* the order of creation */
    /* All that begins as zero, from here to `small`: */
    gr_block *block; /* owned */
    gr_tensor *base; /* whose data a view shares; never itself a view */
    gr_tensor *grad; /* accumulated by backward */
    gr_tensor *slot; /* being gathered by a backward under way */
    gr_record *node; /* that computed it; NULL: a leaf or a constant */
    gr_tensor *newer;
    char *name;
    int32_t refs;     /* of the tape's own: gradients in flight, and views of it */
    uint32_t version; /* counts the changes */
    bool requires_grad;
    bool has_grad;              /* of a leaf: `grad` counts; otherwise it is a buffer waiting for the next backward */
    bool temporary;             /* made by a backward pass: goes when nothing of the tape refers to it */
    bool kept, given, released; /* gr_keep(), gr_give(); its buffer is gone */
    bool holds_base;            /* a view that counts among its base's refs */
    bool is_one;                /* the derivative of an output by itself, as backward made it */
    bool is_gradient;           /* of a leaf, which frees it */
    bool wanted;                /* its gradient was asked for by name */
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

static inline bool gr_is_float(gr_dtype dtype)
{
    return dtype == GR_F32 || dtype == GR_F64;
}

/* The smallest normal number of a dtype. */
static inline double gr_smallest_normal(gr_dtype dtype)
{
    return dtype == GR_F32 ? 0x1p-126 : 0x1p-1022;
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
