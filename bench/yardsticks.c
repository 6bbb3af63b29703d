/* yardsticks.c: what the hardware can do at best, in the same run: multiply-adds, and traffic with the memory. */
#include <stdlib.h>

#include "bench.h"
#if defined __SSE2__
#include <emmintrin.h>
#endif

/* ---- Multiply-adds ------------------------------------------------------------------------------------------- */

#if defined __aarch64__
#define CHAINS 16
#else
#define CHAINS 12
#endif

#define TARGET
#define NAME on_any
#define BYTES 16
#include "multiply_adds.inc"

#if defined __x86_64__
#define TARGET __attribute__((target("avx2,fma")))
#define NAME on_avx2
#define BYTES 32
#include "multiply_adds.inc"

#define TARGET __attribute__((target("avx512f")))
#define NAME on_avx512
#define BYTES 64
#include "multiply_adds.inc"
#endif

static float on_this_processor(int64_t n)
{
#if defined __x86_64__
    if (__builtin_cpu_supports("avx512f")) return on_avx512(n);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return on_avx2(n);
#endif
    return on_any(n);
}

void run_multiply_adds(task *s)
{
    float sum = 0;
#if GR_WITH_OPENMP
#pragma omp parallel for reduction(+ : sum)
#endif
    for (int i = 0; i < s->threads; i++) sum += on_this_processor(s->multiply_adds / s->threads);
    volatile float used = sum;
    (void)used;
}

/* ---- Memory -------------------------------------------------------------------------------------------------- */

enum { SPAN = 1 << 16 };

static void stream(float *restrict to, const float *restrict a, const float *restrict b)
{
#if defined __SSE2__
    for (int64_t i = 0; i < SPAN; i += 4) _mm_stream_ps(to + i, _mm_add_ps(_mm_loadu_ps(a + i), _mm_loadu_ps(b + i)));
    _mm_sfence();
#else
    for (int64_t i = 0; i < SPAN; i++) to[i] = a[i] + b[i];
#endif
}

void run_stream(task *s)
{
    const int64_t n = gr_size(s->p[0]);
    const float *a = gr_read_f32(s->p[0]), *b = gr_size(s->y) == n ? gr_read_f32(s->y) : a;
    if (!s->scratch[0]) s->scratch[0] = buffer(n);
    float *to = s->scratch[0];
#if GR_WITH_OPENMP
#pragma omp parallel for schedule(static)
#endif
    for (int64_t i = 0; i <= n - SPAN; i += SPAN) stream(to + i, a + i, b + i);
}
