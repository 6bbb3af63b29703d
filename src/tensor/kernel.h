/* kernel.h: compiles one body of code for every number type and processor.
 *
 * The kernels of a source file stand in a file beside it, those of pool.c in pool.kernels.inc. In pool.c:
 *
 *     ... types that the kernels share with the rest ...
 *     #define GR_KERNEL_FILE "autograd/pool.kernels.inc"
 *     #include "tensor/kernel.h"                 // includes that file for each dtype and processor: 6 times on x86-64
 *     ... everything that is compiled once; GR_KERNELS(name) is the table of the kernels called `name` ...
 *
 * and in pool.kernels.inc:
 *
 *     static gr_status K(name)(gr_node *n) { ... written against `real` ... }
 *
 * Within such a pass `real` is float or double, K(name) is name_f32_avx2 and so on, and the functions of math.inc are
 * K(exp) and so on. Loops are plain C, which the compiler turns into vector instructions. */
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

/* For a function that a loop calls: the loop is vectorised only if the function becomes part of it. */
#define GR_INLINE static inline __attribute__((always_inline))

/* Stands in front of a loop of few, known rounds: unrolled, its sums stay in registers. */
#if defined __clang__
#define GR_UNROLL _Pragma("unroll")
#else
#define GR_UNROLL _Pragma("GCC unroll 16")
#endif

/* Compiles what stands between the two for a processor with these features. */
#define GR_PRAGMA(...) _Pragma(#__VA_ARGS__)
#if defined __clang__
#define GR_TARGET(features) GR_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define GR_TARGET_END GR_PRAGMA(clang attribute pop)
#define GR_AVX512_FEATURES "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma"
#else
#define GR_TARGET(features) GR_PRAGMA(GCC push_options) GR_PRAGMA(GCC target(features))
#define GR_TARGET_END GR_PRAGMA(GCC pop_options)
#define GR_AVX512_FEATURES "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma,prefer-vector-width=512"
#endif

/* Within a pass: bytes of a vector register, and how many registers there are, for kernels that block by hand; whether
 * a b + c is one instruction. */
#define GR_CPU any
#if defined __FMA__ || defined __ARM_FEATURE_FMA
#define GR_FUSES 1
#else
#define GR_FUSES 0
#endif
#define GR_VECTOR_BYTES 16
#define GR_REGISTERS 16
#include "tensor/kernel_types.h"
#undef GR_CPU
#undef GR_VECTOR_BYTES
#undef GR_FUSES

#if GR_X86_LEVELS
#define GR_FUSES 1
#define GR_CPU avx2
#define GR_VECTOR_BYTES 32
GR_TARGET("avx2,fma")
#include "tensor/kernel_types.h"
GR_TARGET_END
#undef GR_CPU
#undef GR_VECTOR_BYTES
#undef GR_REGISTERS

#define GR_CPU avx512
#define GR_VECTOR_BYTES 64
#define GR_REGISTERS 32
GR_TARGET(GR_AVX512_FEATURES)
#include "tensor/kernel_types.h"
GR_TARGET_END
#undef GR_CPU
#endif

/* The kernels called `name`, as an initialiser of an array [GR_N_CPUS][GR_N_DTYPES]. */
#define GR_KERNELS_OF(name, cpu)                                 \
    {                                                            \
        [GR_F32] = name##_f32_##cpu, [GR_F64] = name##_f64_##cpu \
    }
#if GR_X86_LEVELS
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
