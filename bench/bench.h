/* bench.h: what the files of workloads and the timing share. Each file of workloads ends in a table of them. */
#ifndef GR_BENCH_H
#define GR_BENCH_H

#include <gradus/gradus.h>

enum { MAX_TENSORS = 10 };

typedef struct task task;

/* Work that a step cannot do without, timed beside it. */
typedef struct yardstick {
    const char *name; /* "openblas", "fma", "memory": bench/README.md says what they are */
    void (*run)(task *s);
} yardstick;

typedef struct workload {
    const char *name;
    void (*make)(task *s); /* data, parameters, optimizer */
    void (*step)(task *s);
    int variant;
    yardstick beside; /* {0}: none */
} workload;

/* What a step works on. */
struct task {
    const workload *w;
    bool small; /* a batch of one, to see that it runs at all */
    int threads;
    gr_rng rng;
    gr_tape *tape;
    gr_params *params;
    gr_optimizer *optimizer;
    gr_tensor *x, *y, *p[MAX_TENSORS];
    gr_tensor *out, *cotangent;  /* on the tape, of steps that only go backward */
    float *scratch[MAX_TENSORS]; /* of the yardsticks */
    int64_t multiply_adds;       /* of a step */
    int64_t least_bytes;         /* of tensors that a step must have alive at once; 0: not known */
};

/* Tables that end with a workload without a name. */
extern const workload dense[], images[], losses[], checks[];

/* ---- For the files of workloads (gradus_bench.c) ------------------------------------------------------------- */

/* Its argument; the program ends with the library's message where that is NULL, or where the status is not GR_OK. */
void *must(void *made);
void check(gr_status status);

/* The size of a batch: n, or one where the task is to be small. */
int64_t batch(const task *s, int64_t n);

gr_tensor *param(task *s, const char *name, gr_tensor *tensor);
gr_tensor *labels(task *s, int64_t n, int64_t classes); /* class indices */
gr_tensor *mask(task *s, gr_tensor *zeros);             /* fills it with zeros and ones by chance and returns it */
float *buffer(int64_t n);

/* The end of a step: backward, update, everything cleared. */
void finish(task *s, gr_tensor *loss);

/* ---- Yardsticks (yardsticks.c) ------------------------------------------------------------------------------- */

/* The step's multiply-adds in registers: the least time that its arithmetic can take on this processor. */
void run_multiply_adds(task *s);

/* Reads p[0] and y, if that is as large, and writes as much past the caches: the least traffic of a loss. */
void run_stream(task *s);

#endif
