/* gemm.c: matrix products. OpenBLAS does them, in the form in which it is fastest; a matrix times a single column or row
 * is ours, where a call costs more than the arithmetic. */
#ifndef K
#include <cblas.h>

#include "tensor/internal.h"

#define GR_KERNEL_FILE "tensor/gemm.c"
#include "tensor/kernel.h"

/* ---- A single column ---------------------------------------------------------------------------------------- */

static gr_span_body const gemv_spans[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(gemv_span);

static void gemv(gr_dtype dtype, gr_product *p)
{
    const int64_t rows = 16 * GR_GRAIN / (p->k > 0 ? p->k : 1);
    gr_parallel(p->m, (rows / 64 + 1) * 64, gemv_spans[gr_cpu_level()][dtype], p);
}

/* ---- OpenBLAS ----------------------------------------------------------------------------------------------- */

/* Rows begin .. end-1 of a product whose matrices lie in larger ones, with these row lengths. */
static void blas(gr_dtype dtype, const gr_product *p, int64_t lda, int64_t ldb, int64_t ldc)
{
    const CBLAS_TRANSPOSE ta = p->ta ? CblasTrans : CblasNoTrans, tb = p->tb ? CblasTrans : CblasNoTrans;
    const int m = (int)p->m, n = (int)p->n, k = (int)p->k, a = lda ? (int)lda : 1, b = ldb ? (int)ldb : 1;
    if (dtype == GR_F32)
        cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, 1.0f, p->a, a, p->b, b, p->adds ? 1.0f : 0.0f, p->c, (int)ldc);
    else
        cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, 1.0, p->a, a, p->b, b, p->adds ? 1.0 : 0.0, p->c, (int)ldc);
}

static void transpose(gr_dtype dtype, int64_t rows, int64_t columns, const void *from, void *to)
{
    const size_t m = (size_t)rows, n = (size_t)columns;
    if (dtype == GR_F32) cblas_somatcopy(CblasRowMajor, CblasTrans, (int)m, (int)n, 1.0f, from, (int)n, to, (int)m);
    else cblas_domatcopy(CblasRowMajor, CblasTrans, (int)m, (int)n, 1.0, from, (int)n, to, (int)m);
}

/* With AVX-512 OpenBLAS takes a product of up to a million multiplications straight from A and B, at the processor's
 * full speed; a larger one it packs first, for a tenth to a fifth of the time. So a product of medium size is cut into
 * tiles of C. Its threads are then ours, and its bits do not depend on them. */
enum { DIRECT = 1000000, MEDIUM = 1 << 26, TILE_COLUMNS = 64, DEEPEST = 1024 };

/* With few columns, a vector along a row of C would be half empty. */
enum { NARROW = 16, SCRATCH = 8192 };

typedef struct tiling {
    gr_product p;
    gr_dtype dtype;
    int64_t rows, columns, across; /* of a tile; tiles side by side */
    bool turned;                   /* computed as C^T = B^T A */
} tiling;

static const void *element(gr_dtype dtype, const void *x, int64_t i)
{
    return (const char *)x + (size_t)i * gr_dtype_bytes(dtype);
}

static void tile(const tiling *t, int64_t row, int64_t column)
{
    const gr_product *p = &t->p;
    gr_product part = *p;
    if (part.m - row < t->rows) part.m -= row;
    else part.m = t->rows;
    part.n = p->n - column < t->columns ? p->n - column : t->columns;
    part.a = element(t->dtype, p->a, p->ta ? row : row * p->k);
    part.b = element(t->dtype, p->b, p->tb ? column * p->k : column);
    part.c = (void *)element(t->dtype, p->c, row * p->n + column);
    if (!t->turned) {
        blas(t->dtype, &part, p->ta ? p->m : p->k, p->tb ? p->k : p->n, p->n);
        return;
    }
    double scratch[SCRATCH];
    const gr_product turned = {.ta = true, .m = part.n, .n = part.m, .k = part.k, .a = part.b, .b = part.a, .c = scratch};
    blas(t->dtype, &turned, p->n, p->m, part.m);
    transpose(t->dtype, part.n, part.m, scratch, part.c);
}

static void tile_span(void *context, int64_t begin, int64_t end)
{
    const tiling *t = context;
    for (int64_t i = begin; i < end; i++) tile(t, i / t->across * t->rows, i % t->across * t->columns);
}

static void run_tiles(tiling *t)
{
    const gr_product *p = &t->p;
    int64_t rows = DIRECT / (t->columns * p->k);
    if (t->turned && rows * p->n > SCRATCH) rows = SCRATCH / p->n;
    if (p->tb && rows * t->columns > 1200) rows = 1200 / t->columns;
    t->rows = rows >= 16 ? rows / 8 * 8 : rows;
    t->across = (p->n + t->columns - 1) / t->columns;
    const int64_t down = (p->m + t->rows - 1) / t->rows, work = t->rows * t->columns * p->k;
    gr_parallel(down * t->across, work > DIRECT / 2 ? 1 : DIRECT / work, tile_span, t);
}

/* Whether the product was worth tiles. */
static bool tiled(gr_dtype dtype, const gr_product *p)
{
    if (gr_cpu_level() != GR_AVX512 || p->k < 32 || p->k > DEEPEST) return false;
    tiling t = {.p = *p, .dtype = dtype, .columns = p->n < 2 * TILE_COLUMNS ? p->n : TILE_COLUMNS};
    if (p->n > NARROW || p->tb) {
        if (p->m * p->n > MEDIUM / p->k) return false;
        run_tiles(&t);
        return true;
    }
    if (p->ta) {
        if (p->adds) return false;
        t.turned = true;
        run_tiles(&t);
        return true;
    }
    if (p->n * p->k > SCRATCH) return false;
    double scratch[SCRATCH];
    transpose(dtype, p->k, p->n, p->b, scratch);
    t.p.tb = true;
    t.p.b = scratch;
    run_tiles(&t);
    return true;
}

void gr_gemm(gr_dtype dtype, gr_product p)
{
    if (p.m == 0 || p.n == 0) return;
    if (p.m == 1) /* c = a B is c^T = B^T a^T */
        p = (gr_product){.ta = !p.tb, .adds = p.adds, .m = p.n, .n = 1, .k = p.k, .a = p.b, .b = p.a, .c = p.c};
    if (p.n == 1) gemv(dtype, &p);
    else if (!tiled(dtype, &p)) blas(dtype, &p, p.ta ? p.m : p.k, p.tb ? p.k : p.n, p.n);
}

#else /* ---- once per number type and processor ---------------------------------------------------------------- */

typedef real K(lanes) __attribute__((vector_size(GR_VECTOR_BYTES), aligned(sizeof(real)), may_alias));
typedef bits K(mask) __attribute__((vector_size(GR_VECTOR_BYTES), aligned(sizeof(real)), may_alias));
enum { K(LANES) = GR_VECTOR_BYTES / sizeof(real), K(STRIP) = GR_REGISTERS / 8 };

GR_INLINE K(lanes) K(load)(const real *x)
{
    return *(const K(lanes) *)x;
}

/* Half of a0 b0 a1 b1 ...: from 0 the lower half, from LANES/2 the upper. */
GR_INLINE K(lanes) K(zip)(K(lanes) a, K(lanes) b, const int from)
{
#if defined __clang__
    K(lanes) z;
    GR_UNROLL
    for (int i = 0; i < K(LANES); i++) z[i] = i % 2 ? b[from + i / 2] : a[from + i / 2];
    return z;
#else
    K(mask) which;
    GR_UNROLL
    for (int i = 0; i < K(LANES); i++) which[i] = (bits)(from + i / 2 + i % 2 * K(LANES));
    return __builtin_shuffle(a, b, which);
#endif
}

/* The sums over the lanes of LANES vectors, in one. */
GR_INLINE K(lanes) K(sums)(K(lanes) v[K(LANES)])
{
    GR_UNROLL
    for (int half = K(LANES) / 2; half > 0; half /= 2) {
        GR_UNROLL
        for (int i = 0; i < half; i++) v[i] = K(zip)(v[i], v[i + half], 0) + K(zip)(v[i], v[i + half], K(LANES) / 2);
    }
    return v[0];
}

/* The dot products of up to LANES rows of A with b, k of at least LANES. What is left behind the last whole vector is met
 * by one that ends with the row, of which only that is kept. */
GR_INLINE void K(dots)(const gr_product *p, int64_t first, const int64_t rows)
{
    const real *a = (const real *)p->a + first * p->k, *b = p->b;
    const int64_t rest = p->k % K(LANES), end = p->k - K(LANES);
    K(lanes) sum[K(LANES)] = {{0}};
    for (int64_t l = 0; l <= end; l += K(LANES)) {
        GR_UNROLL
        for (int i = 0; i < K(LANES); i++) sum[i] += K(load)(a + (i < rows ? i : 0) * p->k + l) * K(load)(b + l);
    }
    if (rest) {
        K(mask) kept;
        GR_UNROLL
        for (int i = 0; i < K(LANES); i++) kept[i] = i < K(LANES) - rest ? 0 : ~(bits)0;
        const K(lanes) tail = (K(lanes))(*(const K(mask) *)(b + end) & kept);
        GR_UNROLL
        for (int i = 0; i < K(LANES); i++)
            sum[i] += (K(lanes))(*(const K(mask) *)(a + (i < rows ? i : 0) * p->k + end) & kept) * tail;
    }
    const K(lanes) dots = K(sums)(sum);
    real *c = (real *)p->c + first;
    for (int64_t i = 0; i < rows; i++) c[i] = dots[i] + (p->adds ? c[i] : 0);
}

/* c = A b */
static void K(gemv_rows)(const gr_product *p, int64_t begin, int64_t end)
{
    const real *a = p->a, *b = p->b;
    real *c = p->c;
    int64_t i = begin;
    if (p->k >= K(LANES)) {
        for (; i + K(LANES) <= end; i += K(LANES)) K(dots)(p, i, K(LANES));
        if (i < end) K(dots)(p, i, end - i);
        return;
    }
    for (; i < end; i++) {
        real sum = 0;
        for (int64_t l = 0; l < p->k; l++) sum += a[i * p->k + l] * b[l];
        c[i] = sum + (p->adds ? c[i] : 0);
    }
}

/* Some vectors of c = A^T b, from the given element on; each is gathered in several sums, which do not wait for one another.
 * Written are the elements from `begin` on. */
GR_INLINE void K(strip)(const gr_product *p, int64_t at, int64_t begin, const int vectors)
{
    const int times = GR_REGISTERS / 2 / vectors;
    const real *a = (const real *)p->a + at, *b = p->b;
    K(lanes) sum[GR_REGISTERS / 2] = {{0}};
    int64_t l = 0;
    for (; l + times <= p->k; l += times) {
        GR_UNROLL
        for (int i = 0; i < times * vectors; i++)
            sum[i] += K(load)(a + (l + i / vectors) * p->m + i % vectors * K(LANES)) * b[l + i / vectors];
    }
    for (; l < p->k; l++) {
        GR_UNROLL
        for (int i = 0; i < vectors; i++) sum[i] += K(load)(a + l * p->m + i * K(LANES)) * b[l];
    }
    real gathered[K(STRIP) * K(LANES)];
    GR_UNROLL
    for (int i = 0; i < vectors; i++) {
        GR_UNROLL
        for (int t = 1; t < times; t++) sum[i] += sum[t * vectors + i];
        *(K(lanes) *)(gathered + i * K(LANES)) = sum[i];
    }
    real *c = p->c;
    for (int64_t i = begin; i < at + vectors * K(LANES); i++) c[i] = gathered[i - at] + (p->adds ? c[i] : 0);
}

/* c = A^T b: A's rows, each times its b. A last vector begins early, to end with the row. */
static void K(gemv_columns)(const gr_product *p, int64_t begin, int64_t end)
{
    const real *restrict a = p->a, *restrict b = p->b;
    real *restrict c = p->c;
    int64_t i = begin;
    for (; i + K(STRIP) * K(LANES) <= end; i += K(STRIP) * K(LANES)) K(strip)(p, i, i, K(STRIP));
    for (; i + K(LANES) <= end; i += K(LANES)) K(strip)(p, i, i, 1);
    if (i < end && end >= K(LANES)) {
        K(strip)(p, end - K(LANES), i, 1);
    } else if (i < end) {
        for (int64_t q = i; q < end; q++) c[q] = p->adds ? c[q] : 0;
        for (int64_t l = 0; l < p->k; l++)
            for (int64_t q = i; q < end; q++) c[q] += a[l * p->m + q] * b[l];
    }
}

static void K(gemv_span)(void *context, int64_t begin, int64_t end)
{
    const gr_product *p = context;
    (p->ta ? K(gemv_columns) : K(gemv_rows))(p, begin, end);
}

#endif
