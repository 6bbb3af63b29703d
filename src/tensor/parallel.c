/* parallel.c: the spans of a loop on OpenMP's threads, and the processor that the library runs on. */
#include <stdatomic.h>
#include <stdlib.h>

#include "tensor/internal.h"
#if GR_WITH_OPENMP
#include <omp.h>
#if defined __unix__ || defined __APPLE__
#define GR_WITH_FORK 1
#include <pthread.h>
#endif
#endif
#if defined __SSE2__
#include <emmintrin.h>
#endif

#if GR_WITH_FORK
/* A child of fork() has none of its parent's threads. OpenMP does not know and would wait for them for ever, so the
 * child goes on with one thread. OpenBLAS asks OpenMP how many there are. */
static void go_on_alone(void) { omp_set_num_threads(1); }

__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(NULL, NULL, go_on_alone); }
#endif

void gr_parallel_spans(int64_t n, int64_t grain, gr_span_body body, void *context)
{
#if GR_WITH_OPENMP
    if (gr_threads() > 1) {
#pragma omp parallel for schedule(static)
        for (int64_t begin = 0; begin < n; begin += grain) body(context, begin, n - begin < grain ? n : begin + grain);
        return;
    }
#endif
    for (int64_t begin = 0; begin < n; begin += grain) body(context, begin, n - begin < grain ? n : begin + grain);
}

int gr_threads(void)
{
#if GR_WITH_OPENMP
    return omp_in_parallel() ? 1 : omp_get_max_threads();
#else
    return 1;
#endif
}

static const char *const cpu_names[] = {[GR_ANY_CPU] = "any", [GR_AVX2] = "avx2", [GR_AVX512] = "avx512"};
_Static_assert(GR_COUNT(cpu_names) == GR_N_CPUS, "each level of processor has a name");

/* The level that GRADUS_CPU names; GR_N_CPUS where it is not set or empty, -1 where there is no such level. */
static int asked_cpu(void)
{
    const char *asked = getenv("GRADUS_CPU");
    if (!asked || !*asked) return GR_N_CPUS;
    for (int cpu = 0; cpu < GR_N_CPUS; cpu++)
        if (strcmp(asked, cpu_names[cpu]) == 0) return cpu;
    return -1;
}

gr_status gr_check_environment(const char *who)
{
    if (asked_cpu() >= 0) return GR_OK;
    return gr_fail(GR_ERR_OPTION, "%s: the environment variable GRADUS_CPU is \"%.40s\": expected any, avx2 or avx512",
                   who, getenv("GRADUS_CPU"));
}

static gr_cpu detect_cpu(void)
{
    gr_cpu best = GR_ANY_CPU;
#if GR_X86_LEVELS
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        best = GR_AVX2;
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
            best = GR_AVX512;
    }
#endif
    const int asked = asked_cpu();
    return asked >= 0 && asked < (int)best ? (gr_cpu)asked : best;
}

gr_cpu gr_cpu_level(void)
{
    static atomic_int known; /* the level + 1; 0 until a thread has found it, and each thread finds the same */
    int level = atomic_load_explicit(&known, memory_order_relaxed);
    if (!level) {
        level = (int)detect_cpu() + 1;
        atomic_store_explicit(&known, level, memory_order_relaxed);
    }
    return (gr_cpu)(level - 1);
}

const char *gr_cpu_name(void) { return cpu_names[gr_cpu_level()]; }

void gr_stream_end(void)
{
#if defined __SSE2__
    _mm_sfence();
#endif
}
