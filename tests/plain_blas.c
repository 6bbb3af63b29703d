/* plain_blas.c: what the library calls of OpenBLAS, row-major, in C. The memory sanitizer, which cannot see what
 * OpenBLAS stores, is given it instead (scripts/portability). */
#include <cblas.h>

#define GEMM(name, real)                                                                                         \
    void name(enum CBLAS_ORDER order, enum CBLAS_TRANSPOSE ta, enum CBLAS_TRANSPOSE tb, blasint m, blasint n,    \
              blasint k, real alpha, const real *a, blasint lda, const real *b, blasint ldb, real beta, real *c, \
              blasint ldc)                                                                                       \
    {                                                                                                            \
        (void)order;                                                                                             \
        for (long i = 0; i < m; i++)                                                                             \
            for (long j = 0; j < n; j++) {                                                                       \
                real sum = 0;                                                                                    \
                for (long l = 0; l < k; l++)                                                                     \
                    sum += (ta == CblasTrans ? a[l * lda + i] : a[i * lda + l]) *                                \
                           (tb == CblasTrans ? b[j * ldb + l] : b[l * ldb + j]);                                 \
                c[i * ldc + j] = alpha * sum + (beta == 0 ? 0 : beta * c[i * ldc + j]);                          \
            }                                                                                                    \
    }
GEMM(cblas_sgemm, float)
GEMM(cblas_dgemm, double)

/* b = alpha a^T */
#define TRANSPOSE(name, real)                                                                                \
    void name(enum CBLAS_ORDER order, enum CBLAS_TRANSPOSE trans, blasint rows, blasint columns, real alpha, \
              const real *a, blasint lda, real *b, blasint ldb)                                              \
    {                                                                                                        \
        (void)order, (void)trans;                                                                            \
        for (long i = 0; i < rows; i++)                                                                      \
            for (long j = 0; j < columns; j++) b[j * ldb + i] = alpha * a[i * lda + j];                      \
    }
TRANSPOSE(cblas_somatcopy, float)
TRANSPOSE(cblas_domatcopy, double)
