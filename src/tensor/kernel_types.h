/* kernel_types.h: includes GR_KERNEL_FILE for each number type, for the one processor that kernel.h has named. */
#define GR_TYPE f32
#define real float
#define bits uint32_t
#define GR_REAL_IS_F32 1
#include "tensor/math.inc"
#include "tensor/stream.inc"
#include GR_KERNEL_FILE
#undef GR_TYPE
#undef real
#undef bits
#undef GR_REAL_IS_F32

#define GR_TYPE f64
#define real double
#define bits uint64_t
#define GR_REAL_IS_F32 0
#include "tensor/math.inc"
#include "tensor/stream.inc"
#include GR_KERNEL_FILE
#undef GR_TYPE
#undef real
#undef bits
#undef GR_REAL_IS_F32
