/* samples.h: the calls of each op that the tests make: ones that work, which are differentiated by finite differences
 * and must come to the verdict that is expected here, and ones that are refused.
 *
 * The calls of the ops in src/autograd/matmul.c stand in matmul.c beside this file, and so on. A row of ops.def or
 * losses.def without its SAMPLES() does not link. */
#ifndef GR_TESTS_SAMPLES_H
#define GR_TESTS_SAMPLES_H

#include <gradus/check.h>
#include <gradus/op.h>

/* One input: uniform draws from [lo, hi), or `values` in turn; with `integer` an I32 of such draws. */
typedef struct sample_input {
    int rank;
    int64_t shape[GR_MAX_RANK];
    double lo, hi;
    const double *values;
    int n_values;
    bool integer;
    bool f64; /* F64 whatever dtype is being tested: for a refused mixture */
} sample_input;

enum { MAX_SAMPLE_INPUTS = 4 };

typedef struct sample {
    const char *what; /* "a row over a matrix" */
    sample_input in[MAX_SAMPLE_INPUTS];
    int n_in;            /* 0: as many as the op has */
    const void *attr;    /* the op's options */
    const char *refused; /* NULL, or a part of the message with which the call is refused */
    bool value_only; /* at a place where finite differences say nothing (a kink, a step): values are looked at only */
    gr_check_verdict verdict[MAX_SAMPLE_INPUTS]; /* of the derivative by each input; 0 is GR_CHECK_PASS */
} sample;

typedef struct sample_list {
    const sample *at;
    int count;
} sample_list;

/* The samples of an op of the table. */
sample_list samples_of(const gr_op *op);

#endif
