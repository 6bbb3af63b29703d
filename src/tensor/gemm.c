/* gemm.c: matrix products. OpenBLAS does them, in the form in which it is fastest; a matrix times a single column or
 * row is ours, where a call costs more than the arithmetic. */
#include <stdatomic.h>

#include <cblas.h>

#include "tensor/internal.h"

#define GR_KERNEL_FILE "tensor/gemm.kernels.inc"
#include "tensor/kernel.h"

/* ---- A single column ---------------------------------------------------------------------------------------- */

static gr_span_body const gemv_spans[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(gemv_span);

static void gemv(gr_dtype dtype, gr_product *p)
{
    const int64_t rows = 16 * GR_GRAIN / (p->k > 0 ? p->k : 1);
    gr_parallel(p->m, (rows / 64 + 1) * 64, gemv_spans[gr_cpu_level()][dtype], p);
}

/* ---- OpenBLAS ----------------------------------------------------------------------------------------------- */

/* A, B and C may be parts of larger matrices, with rows of these lengths. */
static void blas(gr_dtype dtype, const gr_product *p, int64_t a_row, int64_t b_row, int64_t c_row)
{
    const CBLAS_TRANSPOSE ta = p->ta ? CblasTrans : CblasNoTrans, tb = p->tb ? CblasTrans : CblasNoTrans;
    const int m = (int)p->m, n = (int)p->n, k = (int)p->k, lda = a_row ? (int)a_row : 1, ldb = b_row ? (int)b_row : 1,
              ldc = (int)c_row;
    if (dtype == GR_F32)
        cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, 1.0f, p->a, lda, p->b, ldb, p->adds ? 1.0f : 0.0f, p->c, ldc);
    else cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, 1.0, p->a, lda, p->b, ldb, p->adds ? 1.0 : 0.0, p->c, ldc);
}

static void transpose(gr_dtype dtype, int64_t rows, int64_t columns, const void *from, void *to)
{
    const int m = (int)rows, n = (int)columns;
    if (dtype == GR_F32) cblas_somatcopy(CblasRowMajor, CblasTrans, m, n, 1.0f, from, n, to, m);
    else cblas_domatcopy(CblasRowMajor, CblasTrans, m, n, 1.0, from, n, to, m);
}

/* ---- Tiles -------------------------------------------------------------------------------------------------- */

/* With AVX-512 OpenBLAS takes a product of up to a million multiplications straight from A and B, at the processor's
 * full speed; of A B^T it asks besides that C be small, and is slow at it where k is. Larger ones it packs first, which
 * costs a tenth of the time or more. So a product of medium size is cut into tiles of C. The threads are then ours, and
 * no bit depends on them.
 *
 * Where C has few columns, vectors along its rows would be half empty: a tile is computed as C^T = B^T A^T. */
enum { DIRECT = 1000000, MOST_OF_ABT = 1200, MEDIUM = 1 << 25, COLUMNS = 64, NARROW = 16 };

/* Other products are cut, too, for the sake of the bits: OpenBLAS would cut them by the number of threads. It leaves a
 * product alone that is called from one of several threads, or has no more than so many multiplications. */
enum { SIDE = 512, ALONE = 1 << 18 };

/* A transposed matrix: no more than half of a first cache and of what a thread's stack can spare. */
typedef union scratch {
    float f32[8192];
    double f64[4096];
} scratch;

static int64_t scratch_elements(gr_dtype dtype)
{
    return (int64_t)(sizeof(scratch) / gr_dtype_bytes(dtype));
}

typedef struct tiling {
    gr_product p;
    gr_dtype dtype;
    bool turned;
    int64_t rows, columns, down; /* of a tile; tiles one below the other */
} tiling;

static void turned_tile(gr_dtype dtype, const gr_product *p, int64_t lda, int64_t ldb)
{
    scratch c;
    if (p->adds) transpose(dtype, p->m, p->n, p->c, &c);
    const gr_product turned = {
        .ta = !p->tb, .tb = !p->ta, .adds = p->adds, .m = p->n, .n = p->m, .k = p->k, .a = p->b, .b = p->a, .c = &c};
    blas(dtype, &turned, ldb, lda, p->m);
    transpose(dtype, p->n, p->m, &c, p->c);
}

static void tiles(void *context, int64_t begin, int64_t end)
{
    const tiling *t = context;
    const gr_product *p = &t->p;
    const size_t bytes = gr_dtype_bytes(t->dtype);
    const int64_t lda = p->ta ? p->m : p->k, ldb = p->tb ? p->k : p->n;
    for (int64_t i = begin; i < end; i++) {
        const int64_t row = i % t->down * t->rows, column = i / t->down * t->columns;
        gr_product part = *p;
        part.m = p->m - row < t->rows ? p->m - row : t->rows;
        part.n = p->n - column < t->columns ? p->n - column : t->columns;
        part.a = (const char *)p->a + (size_t)(p->ta ? row : row * lda) * bytes;
        part.b = (const char *)p->b + (size_t)(p->tb ? column * ldb : column) * bytes;
        part.c = (char *)p->c + (size_t)(row * p->n + column) * bytes;
        if (t->turned) turned_tile(t->dtype, &part, lda, ldb);
        else blas(t->dtype, &part, lda, ldb, p->n);
    }
}

/* Tile by tile, `at_once` of them to a span. */
static void run_grid(tiling *t, int64_t at_once)
{
    const gr_product *p = &t->p;
    t->down = (p->m + t->rows - 1) / t->rows;
    gr_parallel(t->down * ((p->n + t->columns - 1) / t->columns), at_once, tiles, t);
}

static void run_tiles(tiling *t)
{
    const gr_product *p = &t->p;
    int64_t size = DIRECT / p->k;
    if (t->turned && size > scratch_elements(t->dtype)) size = scratch_elements(t->dtype);
    if (!p->ta && p->tb && size > MOST_OF_ABT) size = MOST_OF_ABT;
    t->columns = p->n < 2 * COLUMNS ? p->n : COLUMNS;
    t->rows = size / t->columns;
    if (t->rows > 8) t->rows -= t->rows % 8;
    const int64_t work = t->rows * t->columns * p->k;
    run_grid(t, (DIRECT / 2 + work - 1) / work);
}

/* Squares, and two halves at least of what OpenBLAS would not leave alone. */
static void run_squares(tiling *t)
{
    const gr_product *p = &t->p;
    t->rows = p->m < SIDE ? p->m : SIDE;
    t->columns = p->n < SIDE ? p->n : SIDE;
    if (t->rows == p->m && t->columns == p->n && (double)p->m * (double)p->n * (double)p->k > ALONE) {
        int64_t *longer = p->m > p->n ? &t->rows : &t->columns;
        *longer = (*longer + 1) / 2;
    }
    run_grid(t, 1);
}

/* A B by way of A B^T: OpenBLAS is slow at A^T B^T, which would be its C^T. */
static void narrow(gr_dtype dtype, const gr_product *p)
{
    tiling t = {.p = *p, .dtype = dtype, .turned = true};
    scratch b;
    if (!p->ta && !p->tb) {
        transpose(dtype, p->k, p->n, p->b, &b);
        t.p.b = &b;
        t.p.tb = true;
    }
    run_tiles(&t);
}

/* Whether OpenBLAS computes with AVX-512, which is not to be taken for granted where the processor does. */
static bool has_direct(void)
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

/* Whether OpenBLAS is at its best at tiles of the product. The bounds of k were measured. */
static bool is_direct(gr_dtype dtype, const gr_product *p)
{
    const bool is_narrow = p->n <= NARROW, packs = is_narrow && !p->ta && !p->tb, abt = packs || p->tb;
    if (!has_direct() || (p->ta && p->tb) || p->k < (abt ? 128 : 1) || p->k > 1024) return false;
    if (packs) return p->n * p->k <= scratch_elements(dtype);
    return is_narrow || (p->m <= MEDIUM / p->k / p->n && (p->k <= 512 || !(p->ta || p->tb)));
}

void gr_gemm(gr_dtype dtype, gr_product p)
{
    if (p.m == 0 || p.n == 0) return;
    if (p.m == 1) /* c = a B is c^T = B^T a^T */
        p = (gr_product){.ta = !p.tb, .adds = p.adds, .m = p.n, .n = 1, .k = p.k, .a = p.b, .b = p.a, .c = p.c};
    if (p.n == 1) gemv(dtype, &p);
    else if (!is_direct(dtype, &p)) run_squares(&(tiling){.p = p, .dtype = dtype});
    else if (p.n <= NARROW) narrow(dtype, &p);
    else run_tiles(&(tiling){.p = p, .dtype = dtype});
}
