/* kernel.h: one body of code, compiled for every number type and processor.
 *
 * A source file with kernels has them in a file beside it, pool.kernels.inc beside pool.c:
 *
 *     ... types that kernels share with the rest ...
 *     #define GR_KERNEL_FILE "autograd/pool.kernels.inc"
 *     #include "tensor/kernel.h"                 // reads that file, six times on x86-64
 *     ... everything that is there once; the kernels are in GR_KERNELS(name) ...
 *
 * and in the file itself stands
 *
 *     static gr_status K(name)(gr_node *n) { ... written against `real` ... }
 *
 * Within a pass `real` is float or double, K(name) is name_f32_avx2 and so on, and the functions of math.inc are
 * there as K(exp) and so on. Loops are plain C for the compiler to vectorise.
 */
#ifndef GR_KERNEL_H
#define GR_KERNEL_H

#include <math.h>
#if defined __SSE2__
#include <immintrin.h>
#endif

#include "tensor/internal.h"

#define GR_PASTE_2_(a, b) a##_##b
#define GR_PASTE_2(a, b) GR_PASTE_2_(a, b)
#define GR_PASTE_3(a, b, c) a##_##b##_##c
#define GR_PASTE(a, b, c) GR_PASTE_3(a, b, c)
#define K(name) GR_PASTE(name, GR_TYPE, GR_CPU)

/* A function that must be part of the loop that calls it, or the loop is not vectorised. */
#define GR_INLINE static inline __attribute__((always_inline))

/* In front of a loop of few rounds over sums that are to stay in registers. */
#if defined __clang__
#define GR_UNROLL _Pragma("unroll")
#else
#define GR_UNROLL _Pragma("GCC unroll 16")
#endif

/* Within a pass, how wide a vector register is and how many there are, for kernels that block by hand. */
#define GR_CPU any
#define GR_VECTOR_BYTES 16
#define GR_REGISTERS 16
#include "tensor/kernel_types.h"
#undef GR_CPU
#undef GR_VECTOR_BYTES

#if defined __x86_64__ && defined __clang__
#define GR_CPU avx2
#define GR_VECTOR_BYTES 32
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#include "tensor/kernel_types.h"
#pragma clang attribute pop
#undef GR_CPU
#define GR_CPU avx512
#undef GR_VECTOR_BYTES
#undef GR_REGISTERS
#define GR_VECTOR_BYTES 64
#define GR_REGISTERS 32
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma"))), \
                             apply_to = function)
#include "tensor/kernel_types.h"
#pragma clang attribute pop
#undef GR_CPU
#elif defined __x86_64__ && defined __GNUC__
#pragma GCC push_options
#define GR_CPU avx2
#define GR_VECTOR_BYTES 32
#pragma GCC target("avx2,fma")
#include "tensor/kernel_types.h"
#undef GR_CPU
#define GR_CPU avx512
#undef GR_VECTOR_BYTES
#undef GR_REGISTERS
#define GR_VECTOR_BYTES 64
#define GR_REGISTERS 32
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma,prefer-vector-width=512")
#include "tensor/kernel_types.h"
#undef GR_CPU
#pragma GCC pop_options
#endif

/* The kernels called `name`, by processor and dtype. */
#define GR_KERNELS_OF(name, cpu)                                 \
    {                                                            \
        [GR_F32] = name##_f32_##cpu, [GR_F64] = name##_f64_##cpu \
    }
#if defined __x86_64__ && defined __GNUC__
#define GR_KERNELS(name)                                                                \
    {                                                                                   \
        [GR_ANY_CPU] = GR_KERNELS_OF(name, any), [GR_AVX2] = GR_KERNELS_OF(name, avx2), \
        [GR_AVX512] = GR_KERNELS_OF(name, avx512)                                       \
    }
#else
#define GR_KERNELS(name)                        \
    {                                           \
        [GR_ANY_CPU] = GR_KERNELS_OF(name, any) \
    }
#endif

#undef K
#endif
