/* op_samples.h: the calls that every op's record lists as its samples, made: for the tests that go through the table.
 */
#ifndef GR_TESTS_OP_SAMPLES_H
#define GR_TESTS_OP_SAMPLES_H

#include "helpers.h"

#include <gradus/gradus.h>

#include "samples/samples.h"

enum { MAX_INPUTS = MAX_SAMPLE_INPUTS };

/* An op and one of its samples: the context of run_op(). */
typedef struct call {
    const gr_op *op;
    const sample *s;
} call;

static inline gr_tensor *run_op(gr_tape *t, gr_tensor *const x[], int n, void *context)
{
    const call *c = context;
    return gr_apply(t, c->op, x, n, c->s->attr);
}

static inline int inputs_of(const gr_op *op, const sample *s) { return s->n_in ? s->n_in : op->n_in; }

static inline gr_tensor *make_input(const sample_input *in, gr_dtype dtype, gr_rng *rng)
{
    if (in->integer) dtype = GR_I32;
    else if (in->f64) dtype = GR_F64;
    gr_tensor *x = gr_zeros(dtype, in->rank, in->shape);
    assert_non_null(x);
    for (int64_t i = 0; i < gr_size(x); i++) {
        double v = in->lo + (in->hi - in->lo) * gr_rng_uniform(rng);
        if (in->values) v = in->values[i % in->n_values];
        if (in->integer) v = (double)(int)v;
        if (dtype == GR_F32) v = (double)(float)v; /* what F64 holds only is infinite here */
        assert_int_equal(gr_set(x, i, v), GR_OK);
    }
    return x;
}

static inline void make_inputs(const gr_op *op, const sample *s, gr_dtype dtype, gr_tensor *x[], uint64_t seed)
{
    gr_rng rng = gr_rng_seed(seed);
    for (int i = 0; i < inputs_of(op, s); i++) x[i] = make_input(&s->in[i], dtype, &rng);
}

static inline void free_inputs(gr_tensor *x[], int n)
{
    for (int i = 0; i < n; i++) gr_tensor_free(x[i]);
}

static inline bool differentiable(const gr_op *op, int i, const gr_tensor *x)
{
    if (gr_dtype_of(x) == GR_I32) return false;
    return op->n_in == GR_VARIADIC ? op->vjp_nth != NULL : i < GR_MAX_VJPS && op->vjp[i] != NULL;
}

/* Whether a sample that works is a place like any other: some of its numbers are drawn, and none is extreme. */
static inline bool is_drawn(const gr_op *op, const sample *s)
{
    bool drawn = false;
    for (int i = 0; i < inputs_of(op, s); i++) {
        drawn |= !s->in[i].values;
        for (int k = 0; s->in[i].values && k < s->in[i].n_values; k++)
            if (fabs(s->in[i].values[k]) >= 30.0) return false;
    }
    return drawn && !s->refused && !s->value_only;
}

/* Marks the inputs that have a derivative as leaves; returns how many there are. */
static inline int require_gradients(const gr_op *op, gr_tensor *const x[], int n)
{
    int wanted = 0;
    for (int i = 0; i < n; i++)
        if (differentiable(op, i, x[i])) {
            assert_int_equal(gr_require_grad(x[i]), GR_OK);
            wanted++;
        }
    return wanted;
}

#endif
