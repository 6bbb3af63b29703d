/* gemm.c: matrix products. OpenBLAS computes them, cut and transposed as it is fastest at; a matrix times a single
 * column or row has a kernel here, for a call of OpenBLAS costs more than that arithmetic. What is computed:
 *
 *     for (i < m)                       // A [m,k], with ta A [k,m]; B [k,n], with tb B [n,k]; C [m,n]
 *         for (j < n) {
 *             sum = adds ? C[i,j] : 0;
 *             for (l < k) sum += op(A)[i,l] * op(B)[l,j];
 *             C[i,j] = sum;
 *         }
 */
#include <assert.h>
#include <stdatomic.h>

#include <cblas.h>

#include "tensor/internal.h"

#define GR_KERNEL_FILE "tensor/gemm.kernels.inc"
#include "tensor/kernel.h"

/* ---- A single column ---------------------------------------------------------------------------------------- */

static gr_span_body const gemv_spans[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(gemv_span);

/* c [m] = op(A) b */
static void gemv(gr_dtype dtype, gr_product *p)
{
    const int64_t rows = 16 * GR_GRAIN / (p->k > 0 ? p->k : 1);
    gr_parallel(p->m, (rows / 64 + 1) * 64, gemv_spans[gr_cpu_level()][dtype], p);
}

/* ---- OpenBLAS ----------------------------------------------------------------------------------------------- */

/* A, B and C may be parts of larger matrices, whose rows are lda, ldb and ldc elements long. */
static void blas(gr_dtype dtype, const gr_product *p, int64_t lda, int64_t ldb, int64_t ldc)
{
    const CBLAS_TRANSPOSE ta = p->ta ? CblasTrans : CblasNoTrans, tb = p->tb ? CblasTrans : CblasNoTrans;
    const int m = (int)p->m, n = (int)p->n, k = (int)p->k, a = lda ? (int)lda : 1, b = ldb ? (int)ldb : 1, c = (int)ldc;
    if (dtype == GR_F32)
        cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, 1.0f, p->a, a, p->b, b, p->adds ? 1.0f : 0.0f, p->c, c);
    else cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, 1.0, p->a, a, p->b, b, p->adds ? 1.0 : 0.0, p->c, c);
}

/* to [columns,rows] = from [rows,columns]^T */
static void transpose(gr_dtype dtype, int64_t rows, int64_t columns, const void *from, void *to)
{
    const int m = (int)rows, n = (int)columns;
    if (dtype == GR_F32) cblas_somatcopy(CblasRowMajor, CblasTrans, m, n, 1.0f, from, n, to, m);
    else cblas_domatcopy(CblasRowMajor, CblasTrans, m, n, 1.0, from, n, to, m);
}

/* ---- Tiles -------------------------------------------------------------------------------------------------- */

/* With AVX-512 OpenBLAS takes a product of up to a million multiplications straight from A and B, at the processor's
 * full speed; A B^T only where C is small, and at a slow pace where k is. Larger products it first packs, copies into
 * an order of its own, which costs a tenth of the time or more. So a product of medium size is cut into tiles of C
 * that it need not pack. The threads are then ours, and no bit depends on their number.
 *
 * Where C has few columns, vectors along its rows would be half empty: a tile is computed as C^T = B^T A^T. */
enum {
    DIRECT_WORK = 1000000,  /* the most multiplications that OpenBLAS does without packing */
    DIRECT_ABT_SIZE = 1200, /* the most elements of C = A B^T of which it does */
    TILED_WORK = 1 << 25,   /* the most multiplications of a product that gains by being cut */
    TILE_COLUMNS = 64,      /* of C */
    FEW_COLUMNS = 16
};

/* Other products are cut for the sake of the bits: OpenBLAS would cut them by the number of threads. It leaves a
 * product alone that is called from one of several threads, or that has little work. */
enum { SQUARE_SIDE = 512, UNCUT_WORK = 1 << 18 };

/* A transposed matrix on the stack: no more than half of a first-level cache and of what a thread's stack can spare. */
typedef union gemm_scratch {
    float f32[8192];
    double f64[4096];
} gemm_scratch;

static int64_t scratch_elements(gr_dtype dtype) { return (int64_t)(sizeof(gemm_scratch) / gr_dtype_bytes(dtype)); }

typedef struct tiling {
    gr_product p;
    gr_dtype dtype;
    bool transposed;       /* a tile is computed as C^T */
    int64_t rows, columns; /* of C in a tile */
    int64_t tiles_down;    /* tiles one below the other */
} tiling;

/* A tile p of a larger product, by way of C^T. */
static void transposed_tile(gr_dtype dtype, const gr_product *p, int64_t lda, int64_t ldb)
{
    gemm_scratch c;
    if (p->adds) transpose(dtype, p->m, p->n, p->c, &c);
    const gr_product transposed = {
        .ta = !p->tb, .tb = !p->ta, .adds = p->adds, .m = p->n, .n = p->m, .k = p->k, .a = p->b, .b = p->a, .c = &c};
    blas(dtype, &transposed, ldb, lda, p->m);
    transpose(dtype, p->n, p->m, &c, p->c);
}

static void tile_span(void *context, int64_t begin, int64_t end)
{
    const tiling *t = context;
    const gr_product *p = &t->p;
    const size_t bytes = gr_dtype_bytes(t->dtype);
    const int64_t lda = p->ta ? p->m : p->k, ldb = p->tb ? p->k : p->n;
    for (int64_t i = begin; i < end; i++) {
        const int64_t row = i % t->tiles_down * t->rows, column = i / t->tiles_down * t->columns;
        gr_product part = *p;
        part.m = p->m - row < t->rows ? p->m - row : t->rows;
        part.n = p->n - column < t->columns ? p->n - column : t->columns;
        part.a = (const char *)p->a + (size_t)(p->ta ? row : row * lda) * bytes;
        part.b = (const char *)p->b + (size_t)(p->tb ? column * ldb : column) * bytes;
        part.c = (char *)p->c + (size_t)(row * p->n + column) * bytes;
        if (t->transposed) transposed_tile(t->dtype, &part, lda, ldb);
        else blas(t->dtype, &part, lda, ldb, p->n);
    }
}

/* Tile by tile, down the columns of tiles, `at_once` of them to a span. */
static void run_grid(tiling *t, int64_t at_once)
{
    const gr_product *p = &t->p;
    t->tiles_down = (p->m + t->rows - 1) / t->rows;
    gr_parallel(t->tiles_down * ((p->n + t->columns - 1) / t->columns), at_once, tile_span, t);
}

static void run_tiles(tiling *t)
{
    const gr_product *p = &t->p;
    int64_t size = DIRECT_WORK / p->k;
    if (t->transposed && size > scratch_elements(t->dtype)) size = scratch_elements(t->dtype);
    if (!p->ta && p->tb && size > DIRECT_ABT_SIZE) size = DIRECT_ABT_SIZE;
    t->columns = p->n < 2 * TILE_COLUMNS ? p->n : TILE_COLUMNS;
    t->rows = size / t->columns;
    if (t->rows > 8) t->rows -= t->rows % 8;
    const int64_t work = t->rows * t->columns * p->k;
    run_grid(t, (DIRECT_WORK / 2 + work - 1) / work);
}

/* Squares; of a single one that OpenBLAS would cut, two halves. */
static void run_squares(tiling *t)
{
    const gr_product *p = &t->p;
    t->rows = p->m < SQUARE_SIDE ? p->m : SQUARE_SIDE;
    t->columns = p->n < SQUARE_SIDE ? p->n : SQUARE_SIDE;
    if (t->rows == p->m && t->columns == p->n && (double)p->m * (double)p->n * (double)p->k > UNCUT_WORK) {
        int64_t *longer = p->m > p->n ? &t->rows : &t->columns;
        *longer = (*longer + 1) / 2;
    }
    run_grid(t, 1);
}

/* Few columns: C^T = B^T A^T. B is transposed first where OpenBLAS would meet two transposed matrices, at which it is
 * slow. */
static void run_narrow(gr_dtype dtype, const gr_product *p)
{
    tiling t = {.p = *p, .dtype = dtype, .transposed = true};
    gemm_scratch b;
    if (!p->ta && !p->tb) {
        transpose(dtype, p->k, p->n, p->b, &b);
        t.p.b = &b;
        t.p.tb = true;
    }
    run_tiles(&t);
}

/* Whether OpenBLAS computes with AVX-512, which is not to be taken for granted where the processor does. */
static bool blas_has_avx512(void)
{
    static atomic_int known; /* 0: not asked yet; 1: no; 2: yes; every thread would find the same */
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (!answer) {
        static const char *const cores[] = {"SkylakeX", "Cooperlake", "SapphireRapids"};
        answer = 1;
        for (int i = 0; i < (int)(sizeof cores / sizeof *cores); i++)
            if (gr_cpu_level() >= GR_AVX512 && strcmp(openblas_get_corename(), cores[i]) == 0) answer = 2;
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer == 2;
}

/* Whether OpenBLAS is at its best at tiles that it need not pack. The bounds of k were measured. */
static bool gains_by_tiles(gr_dtype dtype, const gr_product *p)
{
    const bool is_narrow = p->n <= FEW_COLUMNS, turns_b = is_narrow && !p->ta && !p->tb, abt = turns_b || p->tb;
    if (!blas_has_avx512() || (p->ta && p->tb) || p->k < (abt ? 128 : 1) || p->k > 1024) return false;
    if (turns_b) return p->n * p->k <= scratch_elements(dtype);
    return is_narrow || (p->m <= TILED_WORK / p->k / p->n && (p->k <= 512 || !(p->ta || p->tb)));
}

void gr_gemm(gr_dtype dtype, gr_product p)
{
    assert(p.m >= 0 && p.n >= 0 && p.k >= 0 && gr_is_float(dtype));
    if (p.m == 0 || p.n == 0) return;
    if (p.m == 1) /* c = a B is c^T = B^T a^T */
        p = (gr_product){.ta = !p.tb, .adds = p.adds, .m = p.n, .n = 1, .k = p.k, .a = p.b, .b = p.a, .c = p.c};
    if (p.n == 1) gemv(dtype, &p);
    else if (!gains_by_tiles(dtype, &p)) run_squares(&(tiling){.p = p, .dtype = dtype});
    else if (p.n <= FEW_COLUMNS) run_narrow(dtype, &p);
    else run_tiles(&(tiling){.p = p, .dtype = dtype});
}
