/* gradus_bench.c: how long a training step takes, workload by workload, beside work that it cannot do without.
 *
 * One JSON line for each workload on standard output; bench/README.md says what a line and a workload are. A step is
 * forward + loss + backward + update with the data already in memory. */
#define _POSIX_C_SOURCE 200809L

#include <cblas.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#if GR_WITH_OPENMP
#include <omp.h>
#endif

static const workload *const tables[] = {dense, images, losses, checks};
enum { TABLES = sizeof tables / sizeof *tables };

/* ---- What the files of workloads use --------------------------------------------------------------------------- */

void *must(void *made)
{
    if (made) return made;
    fprintf(stderr, "gradus_bench: %s\n", gr_last_error());
    exit(1);
}

void check(gr_status status)
{
    if (status) must(NULL);
}

int64_t batch(const task *s, int64_t n) { return s->small ? 1 : n; }

gr_tensor *param(task *s, const char *name, gr_tensor *tensor) { return must(gr_params_add(s->params, name, tensor)); }

gr_tensor *labels(task *s, int64_t n, int64_t classes)
{
    gr_tensor *y = must(gr_zeros(GR_I32, GR_SHAPE(n)));
    int32_t *v = gr_i32(y);
    for (int64_t i = 0; i < n; i++) v[i] = (int32_t)gr_rng_below(&s->rng, classes);
    return y;
}

gr_tensor *mask(task *s, gr_tensor *zeros)
{
    must(zeros);
    for (int64_t i = 0; i < gr_size(zeros); i++) check(gr_set(zeros, i, (double)gr_rng_below(&s->rng, 2)));
    return zeros;
}

float *buffer(int64_t n)
{
    float *b = must(malloc((size_t)n * sizeof *b));
    for (int64_t i = 0; i < n; i++) b[i] = 0.01f;
    return b;
}

void finish(task *s, gr_tensor *loss)
{
    must(loss);
    check(gr_backward(s->tape, loss, 0));
    if (s->optimizer) check(gr_step(s->optimizer));
    else gr_params_zero_grad(s->params);
    gr_tape_reset(s->tape);
}

/* ---- How often memory is asked for ----------------------------------------------------------------------------- */

static atomic_llong allocations;

static void *count_and_allocate(void *context, size_t bytes)
{
    atomic_fetch_add((atomic_llong *)context, 1);
    return malloc(bytes);
}

static void release(void *context, void *memory)
{
    (void)context;
    free(memory);
}

/* ---- Timing ---------------------------------------------------------------------------------------------------- */

typedef struct settings {
    const char *only;
    int threads, reps;
    double seconds;
    bool small;
} settings;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct timing {
    int64_t reps;
    double min, median, p90;
} timing;

/* Runs steps in batches of at least a millisecond, so that the clock costs nothing, until there are enough of them. */
static timing measure(const settings *set, task *s, void (*step)(task *))
{
    double *us = must(malloc((size_t)set->reps * sizeof *us)), start = now();
    int64_t batch = 1, reps = 0;
    for (double took = 0; took < 1000; batch *= took < 1000 ? 2 : 1) {
        double begin = now();
        for (int64_t i = 0; i < batch; i++) step(s);
        took = now() - begin;
    }
    while (reps < set->reps && (reps < 3 || now() - start < set->seconds * 1e6)) {
        double begin = now();
        for (int64_t i = 0; i < batch; i++) step(s);
        us[reps++] = (now() - begin) / (double)batch;
    }
    qsort(us, (size_t)reps, sizeof *us, by_value);
    timing t = {reps, us[0], us[reps / 2], us[reps * 9 / 10]};
    free(us);
    return t;
}

static void print(const char *program, const task *s, timing t)
{
    const gr_backend_info backend = gr_backend();
    printf(
        "{\"program\":\"%s\",\"workload\":\"%s\",\"threads\":%d,\"dtype\":\"%s\",\"reps\":%lld,\"unit\":\"us\","
        "\"min\":%.4g,\"median\":%.4g,\"p90\":%.4g,\"cpu\":\"%s\",\"blas\":\"%s\",\"blas_computes\":%s,\"note\":\"\"",
        program, s->w->name, s->threads, gr_dtype_of(s->p[0]) == GR_F64 ? "f64" : "f32", (long long)t.reps, t.min,
        t.median, t.p90, backend.cpu, backend.blas_kernels, backend.blas_computes ? "true" : "false");
}

/* What the tape held, and how often all steps after the first asked for memory. */
static void print_memory(const task *s, int64_t asked)
{
    const int64_t peak = gr_tape_statistics(s->tape).peak_bytes;
    printf(",\"allocations\":%lld,\"peak_bytes\":%lld", (long long)asked, (long long)peak);
    if (s->least_bytes)
        printf(",\"least_bytes\":%lld,\"peak_over_least\":%.3f", (long long)s->least_bytes,
               (double)peak / (double)s->least_bytes);
}

static void run(const workload *w, const settings *set)
{
    task s = {.w = w, .small = set->small, .threads = set->threads, .rng = gr_rng_seed(1)};
    s.tape = must(gr_tape_new());
    s.params = must(gr_params_new());
    w->make(&s);
    w->step(&s);
    const int64_t asked = atomic_load(&allocations);
    const timing t = measure(set, &s, w->step);
    print("gradus", &s, t);
    print_memory(&s, atomic_load(&allocations) - asked);
    puts("}");
    fflush(stdout);
    if (w->beside.run) {
        print(w->beside.name, &s, measure(set, &s, w->beside.run));
        puts("}");
        fflush(stdout);
    }
    gr_optimizer_free(s.optimizer);
    gr_params_free(s.params);
    gr_tape_free(s.tape);
    gr_tensor_free(s.x);
    gr_tensor_free(s.y);
    for (int i = 0; i < MAX_TENSORS; i++) free(s.scratch[i]);
}

/* ---- The command line ------------------------------------------------------------------------------------------ */

/* The position-th workload of all tables; NULL past the end. */
static const workload *workload_at(int position)
{
    for (int i = 0; i < TABLES; i++)
        for (const workload *w = tables[i]; w->name; w++)
            if (position-- == 0) return w;
    return NULL;
}

/* A whole name chooses itself alone, the beginning of names all that begin so. */
static bool chosen(const char *only, const char *name)
{
    for (const char *at = only; at && *at;) {
        size_t length = strcspn(at, ",");
        bool whole = false;
        for (int i = 0; workload_at(i); i++)
            whole |= strlen(workload_at(i)->name) == length && strncmp(workload_at(i)->name, at, length) == 0;
        if (strncmp(name, at, length) == 0 && (!whole || strlen(name) == length)) return true;
        at += length + (at[length] == ',');
    }
    return !only;
}

static int usage(int status)
{
    fprintf(
        status ? stderr : stdout,
        "usage: gradus_bench [--workload NAME[,NAME...]] [--threads N] [--reps N] [--seconds S] [--small] [--list]\n"
        "Times training steps; a NAME may be the beginning of several. Defaults: all, 1 thread, 51 reps, 2 s each.\n"
        "With --small batches are of one sample: to see that all of it runs.\n");
    return status;
}

static int run_chosen(const settings *set)
{
    bool any = false;
    for (int i = 0; workload_at(i); i++)
        if (chosen(set->only, workload_at(i)->name)) {
            run(workload_at(i), set);
            any = true;
        }
    if (!any) fprintf(stderr, "gradus_bench: no workload begins with %s; see --list\n", set->only);
    return any ? 0 : 2;
}

int main(int argc, char **argv)
{
    settings set = {.threads = 1, .reps = 51, .seconds = 2};
    for (int i = 1; i < argc; i++) {
        bool last = i + 1 == argc;
        if (!strcmp(argv[i], "--help")) return usage(0);
        if (!strcmp(argv[i], "--list")) {
            for (int k = 0; workload_at(k); k++) puts(workload_at(k)->name);
            return 0;
        }
        if (!strcmp(argv[i], "--small")) set.small = true;
        else if (last) return usage(2);
        else if (!strcmp(argv[i], "--workload")) set.only = argv[++i];
        else if (!strcmp(argv[i], "--threads")) set.threads = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--reps")) set.reps = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--seconds")) set.seconds = atof(argv[++i]);
        else return usage(2);
    }
    if (set.threads < 1 || set.reps < 1 || !(set.seconds > 0)) return usage(2);
#if GR_WITH_OPENMP
    omp_set_num_threads(set.threads);
#endif
    openblas_set_num_threads(set.threads);
    gr_set_allocator(&(gr_allocator){count_and_allocate, release, &allocations});
    return run_chosen(&set);
}
