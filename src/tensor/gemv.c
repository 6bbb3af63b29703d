/* gemv.c: a matrix times a single column: its kernels read A once, row by row, in vectors. */
#include "tensor/internal.h"

#define GR_KERNEL_FILE "tensor/gemv.kernels.inc"
#include "tensor/kernel.h"

static gr_span_body const gemv_spans[GR_N_CPUS][GR_N_DTYPES] = GR_KERNELS(gemv_span);

void gr_gemv(gr_dtype dtype, gr_product p)
{
    const int64_t rows = 16 * GR_GRAIN / (p.k > 0 ? p.k : 1);
    gr_parallel(p.m, (rows / 64 + 1) * 64, gemv_spans[gr_cpu_level()][dtype], &p);
}
