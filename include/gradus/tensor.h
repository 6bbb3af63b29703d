/* tensor.h: n-dimensional arrays.
 *
 * A gr_tensor is a dtype, a shape of rank 0 (a scalar) to 8, and contiguous row-major data.
 *
 *     gr_rng rng = gr_rng_seed(42);
 *     gr_tensor *w = gr_normal(GR_F32, GR_SHAPE(784, 10), 0.0, 0.01, &rng);
 *     gr_tensor *x = gr_from(GR_F64, GR_SHAPE(2, 2), (double[]){1, 2, 3, 4});
 *     gr_fprint(stdout, x);
 *     gr_tensor_free(x);
 *     gr_tensor_free(w);
 *
 * Ownership, in one sentence: you free what you create; the tape frees what it computes. Every function of this
 * header that returns a gr_tensor creates one, and it is yours to free. A function that returns a pointer returns NULL
 * when it fails, and gr_last_error() has the message. What NULL does as an argument stands in status.h.
 *
 * Values are rounded to the nearest that the dtype holds. One that it does not hold is GR_ERR_VALUE and changes
 * nothing: a fraction, NaN or too large a number for I32, a finite number that F32 would make infinite.
 *
 * Reading and writing: gr_read_f32(), gr_read_f64() and gr_read_i32() give the elements to be read; gr_f32(), gr_f64()
 * and gr_i32() give them to be changed, and the call counts as a change: a parameter that is changed between forward
 * and backward is an error that names it, instead of a wrong gradient.
 */
#ifndef GRADUS_TENSOR_H
#define GRADUS_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <gradus/random.h>
#include <gradus/status.h>

/* How many there are, and an array of them that lasts in C to the end of its block, in C++ to that of its statement. */
#ifdef __cplusplus
#include <initializer_list>
template <typename... T> char (&gr_as_many_as(const T &...))[sizeof...(T)];
#define GR_LIST(type, ...) (int)sizeof(gr_as_many_as(__VA_ARGS__)), std::initializer_list<type>{__VA_ARGS__}.begin()
#else
#define GR_LIST(type, ...) (int)(sizeof((type[]){__VA_ARGS__}) / sizeof(type)), ((type[]){__VA_ARGS__})
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define GR_MAX_RANK 8

/* GR_F32 and GR_F64 compute; GR_I32 holds class indices. */
typedef enum gr_dtype { GR_F32, GR_F64, GR_I32, GR_N_DTYPES } gr_dtype;

typedef struct gr_tensor gr_tensor;

/* Two arguments at once, a rank and a shape: gr_zeros(GR_F32, GR_SHAPE(64, 10)). A scalar's is GR_SCALAR. */
#define GR_SHAPE(...) GR_LIST(int64_t, __VA_ARGS__)
#define GR_SCALAR 0, NULL

/* ---- Simple: make, read, free ------------------------------------------------------------------------------- */

/* A tensor filled with zeros, with ones, with `value`. Any dtype.
 * Errors: GR_ERR_SHAPE (rank over 8, a negative dimension, too many elements), GR_ERR_NULL (no shape), GR_ERR_VALUE (a
 * number that the dtype does not hold), GR_ERR_DTYPE, GR_ERR_MEMORY. */
GR_EXPORT gr_tensor *gr_zeros(gr_dtype dtype, int rank, const int64_t shape[]);
GR_EXPORT gr_tensor *gr_ones(gr_dtype dtype, int rank, const int64_t shape[]);
GR_EXPORT gr_tensor *gr_full(gr_dtype dtype, int rank, const int64_t shape[], double value);

/* A tensor with a copy of `data`: the elements in row-major order, as float, double or int32_t according to `dtype`.
 * Errors: those of gr_zeros(), GR_ERR_NULL. */
GR_EXPORT gr_tensor *gr_from(gr_dtype dtype, int rank, const int64_t shape[], const void *data);

/* A scalar, of rank 0. Errors: GR_ERR_VALUE (a number that the dtype does not hold), GR_ERR_DTYPE, GR_ERR_MEMORY. */
GR_EXPORT gr_tensor *gr_scalar(gr_dtype dtype, double value);

/* [n] with n = ceil((stop - start) / step): start, start + step, ... up to but not including stop.
 * Errors: GR_ERR_VALUE for a step of 0, of the wrong sign, bounds that are not finite, or a number that the dtype does
 * not hold. */
GR_EXPORT gr_tensor *gr_arange(gr_dtype dtype, double start, double stop, double step);

/* Independent draws from the uniform distribution on [lo, hi) and from the normal distribution. F32 or F64.
 * The draws are the same bits on every machine for the same state of `rng`. Errors: GR_ERR_VALUE unless lo <= hi, std
 * is 0 or more, and all are finite, or where the dtype does not hold a draw; rng is then as it was. */
GR_EXPORT gr_tensor *gr_uniform(gr_dtype dtype, int rank, const int64_t shape[], double lo, double hi, gr_rng *rng);
GR_EXPORT gr_tensor *gr_normal(gr_dtype dtype, int rank, const int64_t shape[], double mean, double std, gr_rng *rng);

/* Initial weights that keep the variance from layer to layer. For a matrix [in, out] fan_in is `in` and fan_out is
 * `out`; for a convolution's [out, in, k...] they are in*k.. and out*k...
 * Xavier: variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010). Kaiming: variance 2 / fan_in, for ReLU
 * (He et al., 2015). Errors: GR_ERR_SHAPE for a rank below 2 or a fan of 0. */
GR_EXPORT gr_tensor *gr_xavier_uniform(gr_dtype dtype, int rank, const int64_t shape[], gr_rng *rng);
GR_EXPORT gr_tensor *gr_xavier_normal(gr_dtype dtype, int rank, const int64_t shape[], gr_rng *rng);
GR_EXPORT gr_tensor *gr_kaiming_uniform(gr_dtype dtype, int rank, const int64_t shape[], gr_rng *rng);
GR_EXPORT gr_tensor *gr_kaiming_normal(gr_dtype dtype, int rank, const int64_t shape[], gr_rng *rng);

/* Frees a tensor that you created, with its gradient; NULL does nothing. What has another owner is left alone, with
 * GR_ERR_STATE: a result is its tape's, a gradient its tensor's, and what a set of parameters, a data set or an
 * iterator over batches holds is theirs. Nor can such a tensor be given to another owner. */
GR_EXPORT void gr_tensor_free(gr_tensor *tensor);

/* Dtype, rank, shape (borrowed), the length of an axis and the number of elements. A NULL tensor has rank 0, size 0 and
 * shape NULL. */
GR_EXPORT gr_dtype gr_dtype_of(const gr_tensor *tensor);
GR_EXPORT int gr_rank(const gr_tensor *tensor);
GR_EXPORT const int64_t *gr_shape(const gr_tensor *tensor);
GR_EXPORT int64_t gr_dim(const gr_tensor *tensor, int axis); /* axis < 0 counts from the end; -1: no such axis */
GR_EXPORT int64_t gr_size(const gr_tensor *tensor);          /* number of elements */

/* The elements, row-major, to be read. Borrowed from the tensor; a pointer into a gradient is valid until the next
 * backward. NULL with GR_ERR_NULL, GR_ERR_DTYPE (another dtype) or GR_ERR_STATE (a result whose values gr_backward()
 * has given back: see gr_keep() in tape.h). */
GR_EXPORT const float *gr_read_f32(const gr_tensor *tensor);
GR_EXPORT const double *gr_read_f64(const gr_tensor *tensor);
GR_EXPORT const int32_t *gr_read_i32(const gr_tensor *tensor);

/* The same, to be changed: the call itself counts as a change. */
GR_EXPORT float *gr_f32(gr_tensor *tensor);
GR_EXPORT double *gr_f64(gr_tensor *tensor);
GR_EXPORT int32_t *gr_i32(gr_tensor *tensor);

/* One element by its row-major position, of any dtype, as a double. Errors: GR_ERR_INDEX (no such position; gr_get()
 * returns NaN), GR_ERR_VALUE (the dtype does not hold it), GR_ERR_NULL, GR_ERR_STATE as above. */
GR_EXPORT double gr_get(const gr_tensor *tensor, int64_t position);
GR_EXPORT GR_NODISCARD gr_status gr_set(gr_tensor *tensor, int64_t position, double value);

/* The value of a tensor of one element; NaN with GR_ERR_SHAPE for any other. */
GR_EXPORT double gr_item(const gr_tensor *tensor);

/* Writes the tensor as NumPy would show it: nested brackets, aligned columns, and for more than 1000 elements the
 * first and last three of each axis; then dtype and shape. gr_format() writes up to `capacity` bytes, the final 0
 * included, and returns the length that the whole text has, as snprintf() does; a NULL text has no room. A NULL
 * tensor is "(null)", one whose values are gone a sentence that says where they went. gr_fprint() adds a new line; its
 * errors are GR_ERR_IO (the file did not take it: it is flushed, to see), GR_ERR_NULL and GR_ERR_MEMORY. */
GR_EXPORT size_t gr_format(char *text, size_t capacity, const gr_tensor *tensor);
GR_EXPORT gr_status gr_fprint(FILE *file, const gr_tensor *tensor);

/* ---- Advanced ----------------------------------------------------------------------------------------------- */

/* A copy of the values, of which no tape knows. Errors: GR_ERR_NULL, GR_ERR_STATE (no values), GR_ERR_MEMORY. */
GR_EXPORT gr_tensor *gr_copy(const gr_tensor *tensor);

/* The same in another dtype. The first number that it does not hold is GR_ERR_VALUE, with the position. */
GR_EXPORT gr_tensor *gr_copy_as(gr_dtype dtype, const gr_tensor *tensor);

/* Overwrites the values of `to` with those of `from`; counts as a change of `to`. Errors: GR_ERR_DTYPE and GR_ERR_SHAPE
 * (they differ), GR_ERR_NULL, GR_ERR_STATE (no values). */
GR_EXPORT GR_NODISCARD gr_status gr_assign(gr_tensor *to, const gr_tensor *from);

/* Views, which share the data of `tensor`: in another shape of the same size; `count` entries of the leading axis from
 * `start` on. A view is yours to free, before `tensor`. No tape records it: see gr_reshape() and gr_slice() for that.
 * Errors: GR_ERR_SHAPE (another size, no axis), GR_ERR_INDEX (no such rows), GR_ERR_STATE (a result of a tape),
 * GR_ERR_NULL, GR_ERR_MEMORY. */
GR_EXPORT gr_tensor *gr_view(gr_tensor *tensor, int rank, const int64_t shape[]);
GR_EXPORT gr_tensor *gr_view_rows(gr_tensor *tensor, int64_t start, int64_t count);

/* A name for messages and drawings, which is copied. Errors: GR_ERR_NULL, GR_ERR_MEMORY, GR_ERR_STATE (a set of
 * parameters finds this tensor by its name). */
GR_EXPORT GR_NODISCARD gr_status gr_set_name(gr_tensor *tensor, const char *name);
GR_EXPORT const char *gr_name(const gr_tensor *tensor); /* "" when it has none */

/* "f32", "f64", "i32"; "no dtype" for any other number. */
GR_EXPORT const char *gr_dtype_name(gr_dtype dtype);

/* The processors that kernels are compiled for. An op must have kernels for GR_ANY_CPU; the others are optional. */
typedef enum gr_cpu { GR_ANY_CPU, GR_AVX2, GR_AVX512, GR_N_CPUS } gr_cpu;

/* What computes here and now: gr_backend(). The names are constants; it does not fail. */
typedef struct gr_backend_info {
    const char *cpu;          /* the processor level of the kernels in use: "any", "avx2", "avx512" */
    int threads;              /* that a loop may use, when this thread asks */
    const char *blas_kernels; /* those that OpenBLAS has chosen: "SkylakeX", "Haswell", "Prescott", ... */
    bool blas_computes;       /* large matrix products, and with AVX-512 narrow ones: the kernels are for this level */
} gr_backend_info;
GR_EXPORT gr_backend_info gr_backend(void);

/* Where memory comes from. Several threads may call both functions at once. `allocate` returns memory that is aligned
 * for any object, or NULL when there is none. */
typedef struct gr_allocator {
    void *(*allocate)(void *context, size_t bytes);
    void (*release)(void *context, void *memory);
    void *context;
} gr_allocator;

/* Replaces malloc and free for what is created from here on; NULL brings them back. Memory is always released by the
 * allocator that it came from. The whole process shares this setting, which is the only such one: call it while no
 * other thread is in the library. */
GR_EXPORT void gr_set_allocator(const gr_allocator *allocator);

#ifdef __cplusplus
}
#endif
#endif
