/* gemm.c: matrix products. OpenBLAS does them, but for a matrix times a single column or row, where its call costs
 * more than the arithmetic and its split over threads would change the last bits. */
#ifndef K
#include <cblas.h>

#include "tensor/internal.h"

/* y = alpha A x + beta y for A [m,k], or with `transposed` y = alpha A^T x + beta y for A [k,m]. */
typedef struct gemv_call {
    bool transposed;
    int64_t m, k;
    double alpha, beta;
    const void *a, *x;
    void *y;
} gemv_call;

#define GR_KERNEL_FILE "tensor/gemm.c"
#include "tensor/kernel.h"

static gr_span_body const gemv_spans[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(gemv_span);

static void gemv(gr_dtype dtype, gemv_call c)
{
    int64_t per_row = c.k > 0 ? c.k : 1, grain = 4 * GR_GRAIN / per_row;
    grain = grain < 64 ? 64 : grain / 64 * 64;
    gr_parallel(c.m, grain, gemv_spans[gr_cpu_level()][dtype], &c);
}

void gr_gemm_f32(bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a, const float *b,
                 float beta, float *c)
{
    if (m == 0 || n == 0) return;
    if (n == 1) gemv(GR_F32, (gemv_call){ta, m, k, (double)alpha, (double)beta, a, b, c});
    else if (m == 1) gemv(GR_F32, (gemv_call){!tb, n, k, (double)alpha, (double)beta, b, a, c});
    else
        cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k,
                    alpha, a, (int)(ta ? m : k ? k : 1), b, (int)(tb ? k ? k : 1 : n), beta, c, (int)n);
}

void gr_gemm_f64(bool ta, bool tb, int64_t m, int64_t n, int64_t k, double alpha, const double *a, const double *b,
                 double beta, double *c)
{
    if (m == 0 || n == 0) return;
    if (n == 1) gemv(GR_F64, (gemv_call){ta, m, k, alpha, beta, a, b, c});
    else if (m == 1) gemv(GR_F64, (gemv_call){!tb, n, k, alpha, beta, b, a, c});
    else
        cblas_dgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k,
                    alpha, a, (int)(ta ? m : k ? k : 1), b, (int)(tb ? k ? k : 1 : n), beta, c, (int)n);
}

#else /* ---- once per number type and processor ---------------------------------------------------------------- */

typedef real K(lanes) __attribute__((vector_size(GR_VECTOR_BYTES), aligned(sizeof(real)), may_alias));
typedef bits K(lane_bits) __attribute__((vector_size(GR_VECTOR_BYTES)));
enum { K(LANES) = GR_VECTOR_BYTES / sizeof(real), K(ROWS) = 4 };

GR_INLINE real K(sum_of_lanes)(K(lanes) v)
{
    real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int i = 0; i < K(LANES); i++) sum += v[i];
    return sum;
}

/* Dot products of `rows` rows with x, k of at least LANES. What is left behind the last whole vector is met by one that
 * ends with the row; where it overlaps, x has zeros in `tail`, and so has the row after `mask`: it may hold infinities. */
GR_INLINE void K(dots)(const gemv_call *c, int64_t first, const int rows, K(lanes) tail, K(lane_bits) mask)
{
    const real *a = (const real *)c->a + first * c->k, *x = c->x;
    K(lanes) sum[K(ROWS)];
    for (int r = 0; r < rows; r++)
        sum[r] = (K(lanes))((K(lane_bits))*(const K(lanes) *)(a + r * c->k + c->k - K(LANES)) & mask) * tail;
    for (int64_t j = 0; j + K(LANES) <= c->k; j += K(LANES))
        for (int r = 0; r < rows; r++) sum[r] += *(const K(lanes) *)(a + r * c->k + j) * *(const K(lanes) *)(x + j);
    const real alpha = (real)c->alpha, beta = (real)c->beta;
    for (int r = 0; r < rows; r++) {
        real *y = (real *)c->y + first + r;
        *y = alpha * K(sum_of_lanes)(sum[r]) + (beta != 0 ? beta * *y : 0);
    }
}

/* Rows: each y_i is a dot product, ROWS at a time. */
static void K(gemv_rows)(const gemv_call *c, int64_t begin, int64_t end)
{
    const real *restrict a = c->a, *restrict x = c->x;
    int64_t i = begin, rest = c->k % K(LANES);
    if (c->k >= K(LANES)) {
        K(lanes) tail = {0};
        K(lane_bits) mask = {0};
        for (int64_t j = K(LANES) - rest; j < K(LANES); j++) tail[j] = x[c->k - K(LANES) + j], mask[j] = (bits)-1;
        for (; i + K(ROWS) <= end; i += K(ROWS)) K(dots)(c, i, K(ROWS), tail, mask);
        for (; i < end; i++) K(dots)(c, i, 1, tail, mask);
    }
    for (; i < end; i++) {
        real sum = 0, *y = (real *)c->y + i;
        for (int64_t j = 0; j < c->k; j++) sum += a[i * c->k + j] * x[j];
        *y = (real)c->alpha * sum + (c->beta != 0 ? (real)c->beta * *y : 0);
    }
}

/* Columns: y gathers the rows of A, each times its x_j; a span of y stays in registers or in the first cache. */
static void K(gemv_columns)(const gemv_call *c, int64_t begin, int64_t end)
{
    const real *restrict a = c->a, *restrict x = c->x;
    real *restrict y = c->y;
    const real alpha = (real)c->alpha, beta = (real)c->beta;
    for (int64_t i = begin; i < end; i++) y[i] = beta != 0 ? beta * y[i] : 0;
    int64_t j = 0;
    for (; j + 4 <= c->k; j += 4) {
        const real *restrict r0 = a + j * c->m, *restrict r1 = r0 + c->m, *restrict r2 = r1 + c->m, *restrict r3 = r2 + c->m;
        const real x0 = alpha * x[j], x1 = alpha * x[j + 1], x2 = alpha * x[j + 2], x3 = alpha * x[j + 3];
        for (int64_t i = begin; i < end; i++) y[i] += (x0 * r0[i] + x1 * r1[i]) + (x2 * r2[i] + x3 * r3[i]);
    }
    for (; j < c->k; j++)
        for (int64_t i = begin; i < end; i++) y[i] += alpha * x[j] * a[j * c->m + i];
}

static void K(gemv_span)(void *context, int64_t begin, int64_t end)
{
    const gemv_call *c = context;
    (c->transposed ? K(gemv_columns) : K(gemv_rows))(c, begin, end);
}

#endif
