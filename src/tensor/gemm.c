/* gemm.c: matrix products. What is computed:
 *
 *     for (i < m)                       // A [m,k], with ta A [k,m]; B [k,n], with tb B [n,k]; C [m,n]
 *         for (j < n) {
 *             sum = adds ? C[i,j] : 0;
 *             for (l < k) sum += op(A)[i,l] * op(B)[l,j];
 *             C[i,j] = sum;
 *         }
 *
 * C is cut into tiles: strips of some columns, whose number is the processor's, by TILE_ROWS rows. A tile takes k in
 * stretches; gemm.kernels.inc draws what happens in one. Tiles and stretches are the same for every number of threads,
 * and so are the bits. Large products are OpenBLAS's, and those of few columns, where its kernels are made for this
 * processor: it copies A and B into an order of its own, which costs more than it brings before there is much to do. */
#include <assert.h>

#include <cblas.h>

#include "tensor/internal.h"

enum {
    TILE_ROWS = 192,
    FEW_ROWS = 16,        /* up to here a tile reads whole strips of B where they lie */
    PANEL_BYTES = 24576,  /* of B, else: half of a first-level cache, and no more than a thread's stack can spare */
    THREAD_WORK = 1 << 18 /* multiplications for which a thread is asked, about */
};

#define GR_KERNEL_FILE "tensor/gemm.kernels.inc"
#include "tensor/kernel.h"

/* ---- OpenBLAS ----------------------------------------------------------------------------------------------- */

/* OpenBLAS may be older than the processor and not know it: then it takes kernels that run anywhere, and has nothing to
 * do here. */

/* What OpenBLAS calls its kernels for a level of processor; those that are not here are for older ones. */
static const struct {
    const char *name;
    gr_cpu level;
} blas_cores[] = {{"Haswell", GR_AVX2},    {"Zen", GR_AVX2},          {"Excavator", GR_AVX2},
                  {"SkylakeX", GR_AVX512}, {"Cooperlake", GR_AVX512}, {"SapphireRapids", GR_AVX512}};

const char *gr_blas_kernels(bool *fit)
{
    const char *name = openblas_get_corename();
    gr_cpu level = GR_ANY_CPU;
    for (int i = 0; i < GR_COUNT(blas_cores); i++)
        if (strcmp(name, blas_cores[i].name) == 0) level = blas_cores[i].level;
    *fit = level >= gr_cpu_level();
    return name;
}

/* A, B and C may be parts of larger matrices, whose rows are so many elements apart. */
static void blas(gr_dtype dtype, const gr_product *p, int64_t a_row, int64_t b_row, int64_t c_row)
{
    const CBLAS_TRANSPOSE ta = p->ta ? CblasTrans : CblasNoTrans, tb = p->tb ? CblasTrans : CblasNoTrans;
    const int m = (int)p->m, n = (int)p->n, k = (int)p->k, a = (int)a_row, b = (int)b_row, c = (int)c_row;
    if (dtype == GR_F32)
        cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, 1.0f, p->a, a, p->b, b, p->adds ? 1.0f : 0.0f, p->c, c);
    else cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, 1.0, p->a, a, p->b, b, p->adds ? 1.0 : 0.0, p->c, c);
}

typedef struct blas_tiles blas_tiles;
struct blas_tiles {
    gr_product p;
    gr_dtype dtype;
    void (*run)(const blas_tiles *t, const gr_product *part); /* computes a tile */
    int64_t rows, columns;                                    /* of C in a tile */
    int64_t down;                                             /* tiles one below the other */
};

static int64_t lda(const blas_tiles *t) { return t->p.ta ? t->p.m : t->p.k; }
static int64_t ldb(const blas_tiles *t) { return t->p.tb ? t->p.k : t->p.n; }

/* The part of a product that is tile i of C. */
static gr_product part_at(const blas_tiles *t, int64_t i)
{
    const gr_product *p = &t->p;
    const size_t bytes = gr_dtype_bytes(t->dtype);
    const int64_t row = i % t->down * t->rows, column = i / t->down * t->columns;
    gr_product part = *p;
    part.m = gr_lesser(p->m - row, t->rows);
    part.n = gr_lesser(p->n - column, t->columns);
    part.a = (const char *)p->a + (size_t)(p->ta ? row : row * p->k) * bytes;
    part.b = (const char *)p->b + (size_t)(p->tb ? column * p->k : column) * bytes;
    part.c = (char *)p->c + (size_t)(row * p->n + column) * bytes;
    return part;
}

static void tile_span(void *context, int64_t begin, int64_t end)
{
    const blas_tiles *t = context;
    for (int64_t i = begin; i < end; i++) {
        const gr_product part = part_at(t, i);
        t->run(t, &part);
    }
}

/* Squares of C, or two halves of a small one. OpenBLAS would cut it by the number of threads, and with it the bits; it
 * leaves a tile alone where it is called by one of several threads. */
enum { SQUARE = 512, LARGE_SIDE = 256, LARGE_WORK = 1 << 26 };

static bool is_large(const gr_product *p)
{
    const int64_t side = gr_lesser(p->m, gr_lesser(p->n, p->k));
    bool fit = side >= LARGE_SIDE && (double)p->m * (double)p->n * (double)p->k >= LARGE_WORK;
    if (fit) gr_blas_kernels(&fit);
    return fit;
}

static void square(const blas_tiles *t, const gr_product *part) { blas(t->dtype, part, lda(t), ldb(t), t->p.n); }

static void run_squares(gr_dtype dtype, const gr_product *p)
{
    blas_tiles t = {.p = *p, .dtype = dtype, .run = square, .rows = SQUARE, .columns = SQUARE};
    if (p->m <= SQUARE && p->n <= SQUARE) t.rows = (p->m + 1) / 2;
    t.down = (p->m + t.rows - 1) / t.rows;
    gr_parallel(t.down * ((p->n + SQUARE - 1) / SQUARE), 1, tile_span, &t);
}

/* Few columns, which do not fill our vectors. With AVX-512 OpenBLAS takes a product of up to a million multiplications
 * straight from A and B, without packing them; a tile of C of that size is computed as C^T = B^T A^T. The bounds of k
 * were measured. */
enum { FEW_COLUMNS = 16, DIRECT_WORK = 1000000 };

/* A transposed matrix on the stack. */
typedef union scratch {
    float f32[8192];
    double f64[4096];
} scratch;

static int64_t scratch_elements(gr_dtype dtype) { return (int64_t)(sizeof(scratch) / gr_dtype_bytes(dtype)); }

/* to [columns,rows] = from [rows,columns]^T */
static void transpose(gr_dtype dtype, int64_t rows, int64_t columns, const void *from, void *to)
{
    const int m = (int)rows, n = (int)columns;
    if (dtype == GR_F32) cblas_somatcopy(CblasRowMajor, CblasTrans, m, n, 1.0f, from, n, to, m);
    else cblas_domatcopy(CblasRowMajor, CblasTrans, m, n, 1.0, from, n, to, m);
}

static bool is_narrow(gr_dtype dtype, const gr_product *p)
{
    const bool turns_b = !p->ta && !p->tb;
    bool fit = p->n <= FEW_COLUMNS && p->m > FEW_COLUMNS && !(p->ta && p->tb) && gr_cpu_level() == GR_AVX512 &&
               p->k >= (turns_b || p->tb ? 128 : 1) && p->k <= 1024 &&
               (!turns_b || p->n * p->k <= scratch_elements(dtype));
    if (fit) gr_blas_kernels(&fit);
    return fit;
}

static void turned(const blas_tiles *t, const gr_product *p)
{
    scratch c;
    const gr_product turned = {
        .ta = !p->tb, .tb = !p->ta, .adds = p->adds, .m = p->n, .n = p->m, .k = p->k, .a = p->b, .b = p->a, .c = &c};
    if (p->adds) transpose(t->dtype, p->m, p->n, p->c, &c);
    blas(t->dtype, &turned, ldb(t), lda(t), p->m);
    transpose(t->dtype, p->n, p->m, &c, p->c);
}

/* B is transposed first where OpenBLAS would meet two transposed matrices, at which it is slow. */
static void run_narrow(gr_dtype dtype, const gr_product *p)
{
    blas_tiles t = {.p = *p, .dtype = dtype, .run = turned, .columns = p->n};
    scratch b;
    if (!p->ta && !p->tb) {
        transpose(dtype, p->k, p->n, p->b, &b);
        t.p.b = &b;
        t.p.tb = true;
    }
    const int64_t size = gr_lesser(DIRECT_WORK / p->k, scratch_elements(dtype));
    t.rows = size / p->n;
    if (t.rows > 8) t.rows -= t.rows % 8;
    t.down = (p->m + t.rows - 1) / t.rows;
    gr_parallel(t.down, DIRECT_WORK / 2 / (t.rows * p->n * p->k) + 1, tile_span, &t);
}

/* ---- Products ----------------------------------------------------------------------------------------------- */

void gr_gemm(gr_dtype dtype, gr_product p)
{
    static void (*const run_tiles[GR_N_CPUS][GR_N_DTYPES])(gr_product *) = GR_KERNELS(run_tiles);
    assert(p.m >= 0 && p.n >= 0 && p.k >= 0 && gr_is_float(dtype));
    if (p.m == 0 || p.n == 0) return;
    if (p.m == 1) /* c = a B is c^T = B^T a^T */
        p = (gr_product){.ta = !p.tb, .adds = p.adds, .m = p.n, .n = 1, .k = p.k, .a = p.b, .b = p.a, .c = p.c};
    if (p.n == 1) gr_gemv(dtype, p);
    else if (is_large(&p)) run_squares(dtype, &p);
    else if (is_narrow(dtype, &p)) run_narrow(dtype, &p);
    else run_tiles[gr_cpu_level()][dtype](&p);
}
