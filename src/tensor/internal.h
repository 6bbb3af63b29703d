/* internal.h: the tensor's inside, for the library's own sources: data, memory, errors, threads. */
#ifndef GR_TENSOR_INTERNAL_H
#define GR_TENSOR_INTERNAL_H

#include <assert.h>
#include <stdalign.h>
#include <string.h>

#include <gradus/tensor.h>

#if defined __FAST_MATH__ || defined __ASSOCIATIVE_MATH__ || (defined __FINITE_MATH_ONLY__ && __FINITE_MATH_ONLY__)
#error "-ffast-math, -Ofast or a part of them makes exp and softmax wrong: compile Gradus with -fno-fast-math behind it"
#endif

#define GR_COUNT(array) (int)(sizeof(array) / sizeof *(array))

/* ---- Memory ------------------------------------------------------------------------------------------------- */

enum { GR_ALIGNMENT = 64, GR_SMALL_BYTES = 64 };

/* The header of a buffer; its data follow at the next multiple of GR_ALIGNMENT bytes. */
typedef struct gr_block {
    gr_allocator from;     /* the allocator that releases it, whichever is set by then */
    void *raw;             /* what that allocator returned */
    size_t capacity;       /* bytes of data */
    struct gr_block *next; /* in a pool's list of free blocks */
    int size_class;        /* of a block of a pool */
} gr_block;

/* `bytes` bytes, uninitialised and aligned; NULL with GR_ERR_MEMORY. gr_release(NULL) does nothing. */
void *gr_allocate(size_t bytes);
void gr_release(void *memory);

/* n elements of `each` bytes; NULL with GR_ERR_MEMORY, also where their bytes cannot be counted. */
void *gr_allocate_array(int64_t n, size_t each);

/* Makes room for `more` elements, at least one, behind the n of an array of `capacity` elements of `each` bytes (at
 * first NULL and 0). Returns the array, which may have moved. NULL with GR_ERR_MEMORY leaves it as it was. */
void *gr_grow_array(void *array, int64_t n, int64_t more, int64_t *capacity, size_t each);

gr_block *gr_block_new(size_t bytes); /* NULL with GR_ERR_MEMORY */
void gr_block_free(gr_block *block);  /* NULL: nothing */
static inline void *gr_block_data(gr_block *block) { return (char *)block + GR_ALIGNMENT; }

/* Free blocks by size class, eight classes to an octave. Each tape has a pool of its own, which needs no lock. */
enum { GR_N_SIZE_CLASSES = 8 * 48 };
typedef struct gr_pool {
    gr_block *free[GR_N_SIZE_CLASSES];
    int64_t live, peak, total; /* bytes: in use, the most that were in use at once, in use or free */
} gr_pool;

/* A block that belongs to no pool yet, of the capacity that a pool would give it. NULL with GR_ERR_MEMORY. */
gr_block *gr_pool_block(size_t bytes);

/* A block of at least so many bytes, a free one of its class if there is one. NULL with GR_ERR_MEMORY. */
gr_block *gr_pool_take(gr_pool *pool, size_t bytes);

void gr_pool_give(gr_pool *pool, gr_block *block); /* takes a block back, for the next gr_pool_take() */
void gr_pool_clear(gr_pool *pool);                 /* frees the blocks that are not in use */

/* ---- The tensor --------------------------------------------------------------------------------------------- */

/* There are five kinds of tensors, and what a field means depends on the kind:
 *
 *     field          the caller's      a leaf            a result            a view              a gradient
 *     -------------  ----------------  ----------------  ------------------  ------------------  ----------------
 *     freed by       its owner         its owner         its tape            caller or tape      its leaf
 *     owner          the caller, or    the same          unused: its tape    as the kinds        GR_LEAF
 *                    what took it                                            before it
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

/* Who frees a tensor that is no tape's: the caller, or the object that took it from him. */
enum { GR_CALLER, GR_LEAF, GR_PARAMS, GR_DATASET, GR_BATCH_ITERATOR };

struct gr_tensor {
    /* The tensor's: */
    int64_t shape[GR_MAX_RANK];
    int64_t size;
    void *data;
    uint8_t dtype, rank;
    int32_t refs;   /* of its tape's own: gradients in flight, values saved, views of it */
    gr_tape *tape;  /* whose result it is; NULL: of none, see owner */
    int64_t serial; /* the order of creation on its tape */
    union {
        gr_tensor *prev;      /* of a result: made before it on its tape */
        gr_tensor *next_leaf; /* of a leaf: reached by the same backward */
    };
    /* All that begins as zero, from here to `small`: */
    gr_block *block; /* owned */
    gr_tensor *base; /* whose data a view shares */
    char *name;
    uint32_t version; /* see gr_touch() */
    uint8_t owner;    /* GR_CALLER, ...; GR_LEAF: it is a gradient */
    bool values_gone; /* its buffer went back to the pool, or on to another result if it was given up */
    bool given, kept; /* by gr_give(), gr_keep() */
    bool deleted;     /* by its tape, which keeps the record apart for a while; `small` is the name of its op */
    bool has_views;   /* of a gradient: then its buffer stays where it is */
    /* The tape's: */
    bool requires_grad;
    bool has_grad;     /* of a leaf: `grad` counts; otherwise it is a buffer waiting for the next backward */
    bool temporary;    /* made by a backward pass: goes when nothing of the tape refers to it */
    bool holds_base;   /* a view that counts among its base's refs */
    bool is_one;       /* the derivative of an output by itself, as backward made it */
    bool is_target;    /* its gradient was asked for by name */
    const char *maker; /* of a result: the name of its op */
    gr_tensor *grad;
    gr_tensor *pending_grad; /* being gathered by a backward under way */
    gr_tensor *next;         /* made after it, as `prev` was before it */
    gr_tape_node *node;      /* that computed it */
    alignas(16) char small[GR_SMALL_BYTES];
};
_Static_assert(sizeof(gr_tensor) % 64 == 0, "records in a row keep to their cache lines");

static inline size_t gr_dtype_bytes(gr_dtype dtype) { return dtype == GR_F64 ? 8 : 4; }

static inline size_t gr_bytes(const gr_tensor *t) { return (size_t)t->size * gr_dtype_bytes((gr_dtype)t->dtype); }

static inline gr_dtype gr_type_of(const gr_tensor *t) { return (gr_dtype)t->dtype; }

static inline bool gr_same_shape(const gr_tensor *a, const gr_tensor *b)
{
    if (a->rank != b->rank || a->size != b->size) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->shape[i] != b->shape[i]) return false;
    return true;
}

/* Element i of any dtype; i is within the tensor and its values are there. */
static inline double gr_element(const gr_tensor *t, int64_t i)
{
    switch (gr_type_of(t)) {
    case GR_F32: return (double)((const float *)t->data)[i];
    case GR_F64: return ((const double *)t->data)[i];
    default: return ((const int32_t *)t->data)[i];
    }
}

/* Whether the dtype holds the value, rounded to the nearest where it is a float: I32 holds whole numbers, and a finite
 * number that F32 would round to an infinity is none of its values. (NaN and infinities are numbers of both floats.) */
static inline bool gr_holds(gr_dtype dtype, double value)
{
    const double too_large = 0x1.ffffffp127; /* halfway from the largest F32 to 2^128 */
    if (dtype == GR_I32) return value >= INT32_MIN && value <= INT32_MAX && value == (double)(int32_t)value;
    return dtype == GR_F64 || (value > -too_large && value < too_large) || value - value != 0.0;
}

/* Notes GR_ERR_VALUE for a value that the dtype does not hold; `where` it is, a position, may be NULL. The second
 * function looks first. */
gr_status gr_fail_value(const char *who, gr_dtype dtype, double value, const char *where);
static inline gr_status gr_expect_held(const char *who, gr_dtype dtype, double value)
{
    return gr_holds(dtype, value) ? GR_OK : gr_fail_value(who, dtype, value, NULL);
}

/* Refuses, as GR_ERR_OPTION, a number that is not finite, or with which kernels of the dtype would compute as an
 * infinity or, though it is not 0, as 0. */
gr_status gr_expect_usable(const char *who, const char *what, gr_dtype dtype, double x);

/* Sets element i, without counting a change; false where the dtype does not hold the value: then an F32 has become
 * infinite, and an I32 is what it was. */
static inline bool gr_set_element(gr_tensor *t, int64_t i, double value)
{
    const bool held = gr_holds(gr_type_of(t), value);
    switch (gr_type_of(t)) {
    case GR_F32: ((float *)t->data)[i] = (float)value; break;
    case GR_F64: ((double *)t->data)[i] = value; break;
    default:
        if (held) ((int32_t *)t->data)[i] = (int32_t)value;
    }
    return held;
}

/* Whether the values of a tensor, or those of the tensor that it is a view of, are no longer there. */
static inline bool gr_is_gone(const gr_tensor *t) { return t->values_gone || (t->base && t->base->values_gone); }

static inline uint32_t gr_version_of(const gr_tensor *t) { return t->base ? t->base->version : t->version; }

/* Counts a change of the elements, so that a value changed between forward and backward is an error that names it. */
static inline void gr_touch(gr_tensor *t)
{
    (t->base ? t->base : t)->version++;
    t->is_one = false;
}

static inline bool gr_is_float(gr_dtype dtype) { return dtype == GR_F32 || dtype == GR_F64; }

/* The smallest normal number of a dtype, and the largest. */
static inline double gr_smallest_normal(gr_dtype dtype) { return dtype == GR_F32 ? 0x1p-126 : 0x1p-1022; }

static inline double gr_largest(gr_dtype dtype) { return dtype == GR_F32 ? 0x1.fffffep127 : 0x1.fffffffffffffp1023; }

static inline int64_t gr_lesser(int64_t a, int64_t b) { return a < b ? a : b; }

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

/* For messages: what a tensor is that the caller may neither free nor hand over; NULL for a tensor of the caller's. */
static inline const char *gr_not_yours(const gr_tensor *t)
{
    static const char *const owned[] = {[GR_LEAF] = "the gradient of another tensor",
                                        [GR_PARAMS] = "a tensor of a set of parameters",
                                        [GR_DATASET] = "a tensor of a data set",
                                        [GR_BATCH_ITERATOR] = "a tensor of an iterator over batches"};
    return t->tape ? "a result of a tape" : owned[t->owner];
}

/* Frees a tensor that belongs to no tape, with its gradient, whoever owns it. NULL: nothing. */
void gr_destroy(gr_tensor *t);

/* A tensor that the caller owns, uninitialised. NULL with an error that begins with `who`. */
gr_tensor *gr_new(const char *who, gr_dtype dtype, int rank, const int64_t shape[]);

/* offset + scale * draw(rng), its product and its sum each rounded, so that every machine has the same bits. */
typedef double (*gr_distribution)(gr_rng *rng);
double gr_rng_scaled(gr_rng *rng, gr_distribution draw, double offset, double scale);

/* The axis counted from 0, or -1 for none. */
int gr_axis(int rank, int axis);

/* ---- Messages ----------------------------------------------------------------------------------------------- */

/* A shape as "[64,784]", and the index of a row-major position as "[3,17]". Both return text->s. */
enum { GR_SHAPE_TEXT_SIZE = GR_MAX_RANK * 22 };
typedef struct gr_text {
    char s[GR_SHAPE_TEXT_SIZE];
} gr_text;
const char *gr_shape_text(gr_text *text, int rank, const int64_t shape[]);
const char *gr_position_text(gr_text *text, const gr_tensor *t, int64_t position);
#define GR_SHAPE_TEXT(t) gr_shape_text(&(gr_text){{0}}, (t)->rank, (t)->shape)

/* A number as "0.1", in as few digits as tell it from every other float or, if it is no float, double. Returns
 * text->s. */
const char *gr_number_text(gr_text *text, double x);
#define GR_NUMBER_TEXT(x) gr_number_text(&(gr_text){{0}}, (x))

/* The same in so many digits, as printf's %.*g writes it, or %.*e where `as` is 'e', with a point whatever the locale.
 * Returns text->s. */
const char *gr_digits_text(gr_text *text, char as, int digits, double x);
#define GR_DIGITS(digits, x) gr_digits_text(&(gr_text){{0}}, 'g', digits, x)

/* What a function returns that wrote to a caller's file: GR_ERR_IO where the file did not take all of it. */
gr_status gr_file_status(const char *who, FILE *file);

/* For a tensor whose values are gone: what became of it, as "given up with gr_give()". Returns text->s. */
const char *gr_fate_text(gr_text *text, const gr_tensor *t);

/* Notes GR_ERR_STATE for such a tensor: "who: what [2,3] was given up with gr_give()". */
gr_status gr_fail_gone(const char *who, const char *what, const gr_tensor *t);

/* For an argument that is NULL: where a failure is noted already, which may have led to it, that one stays and its
 * status is returned; otherwise notes GR_ERR_NULL, "who: what is NULL". */
gr_status gr_fail_null(const char *who, const char *what);

/* ---- Threads ------------------------------------------------------------------------------------------------ */

/* gr_parallel() runs body(context, begin, end) over 0 .. n-1 in spans of `grain`, the last one shorter, on OpenMP's
 * threads. The spans do not depend on the number of threads, so neither does any result. */
typedef void (*gr_span_body)(void *context, int64_t begin, int64_t end);
void gr_parallel_spans(int64_t n, int64_t grain, gr_span_body body, void *context);

/* How many threads a gr_parallel() called here would use: 1 within a body. */
int gr_threads(void);

static inline void gr_parallel(int64_t n, int64_t grain, gr_span_body body, void *context)
{
    assert(grain > 0);
    if (n > grain) gr_parallel_spans(n, grain, body, context);
    else if (n > 0) body(context, 0, n);
}

/* Elements of a span of cheap arithmetic: for fewer a second thread costs more than it brings. */
enum { GR_GRAIN = 16384 };

/* How many items of so many elements make a span worth a thread. */
static inline int64_t gr_grain_for(int64_t elements) { return 2 * GR_GRAIN / (elements > 0 ? elements : 1) + 1; }

/* Whether kernels are compiled for more than the oldest processor. For Windows GCC does not align their variables. */
#if !defined GR_X86_LEVELS && defined __x86_64__ && defined __GNUC__ && (!defined _WIN32 || defined __clang__)
#define GR_X86_LEVELS 1
#endif

/* The highest of gr_cpu that this machine can run; the environment variable GRADUS_CPU (any, avx2, avx512) lowers
 * it. */
gr_cpu gr_cpu_level(void);
const char *gr_cpu_name(void);

/* Refuses, with GR_ERR_OPTION, a GRADUS_CPU that is none of these. */
gr_status gr_check_environment(const char *who);

/* A result of so many bytes or more is written past the caches (stream.inc). gr_stream_end() follows the last store,
 * before another thread reads the result. */
enum { GR_STREAM_BYTES = 8 << 20 };
void gr_stream_end(void);

/* C = op(A) op(B), or with `adds` C += op(A) op(B), row-major: op(A) is [m,k], op(B) is [k,n]. */
typedef struct gr_product {
    bool ta, tb, adds;
    int64_t m, n, k;
    const void *a, *b;
    void *c;
} gr_product;
void gr_gemm(gr_dtype dtype, gr_product p);

/* The same where n is 1. */
void gr_gemv(gr_dtype dtype, gr_product p);

/* What OpenBLAS calls its kernels, and whether they are no older than ours. */
const char *gr_blas_kernels(bool *fit);

#endif
