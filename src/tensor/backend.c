/* backend.c: what computes here: processor level, threads, OpenBLAS. */
#include "tensor/internal.h"

gr_backend_info gr_backend(void)
{
    gr_backend_info b = {.cpu = gr_cpu_name(), .threads = gr_threads()};
    b.blas_kernels = gr_blas_kernels(&b.blas_computes);
    return b;
}
