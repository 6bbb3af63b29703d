/* tape_kit.h: what the tests of the tape share. */
#ifndef GR_TESTS_TAPE_KIT_H
#define GR_TESTS_TAPE_KIT_H

#include "helpers.h"
#include <gradus/losses.h>
#include <gradus/op.h>
#include "counting.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { MAX_OWN = 40 };

/* A tape, and tensors that are freed at the end of a test. */
typedef struct fixture {
    counting memory;
    gr_tape *t;
    gr_tensor *own[MAX_OWN];
    int n_own;
} fixture;

static inline int begin(void **state)
{
    static fixture f;
    f.n_own = 0;
    counting_begin(&f.memory);
    f.t = gr_tape_new();
    *state = &f;
    gr_clear_error();
    return f.t ? 0 : -1;
}

static inline int end(void **state)
{
    fixture *f = *state;
    gr_tape_reset(f->t);
    gr_tape_stats s = gr_tape_statistics(f->t);
    for (int i = 0; i < f->n_own; i++) gr_tensor_free(f->own[i]);
    gr_tape_free(f->t);
    counting_end();
    assert_int_equal(s.nodes, 0);
    assert_int_equal(s.tensors, 0);
    assert_int_equal(s.bytes, 0);
    assert_int_equal(f->memory.live, 0);
    assert_false(f->memory.foreign);
    return 0;
}

static inline gr_tensor *own(fixture *f, gr_tensor *x)
{
    assert_non_null(x);
    assert_true(f->n_own < MAX_OWN);
    return f->own[f->n_own++] = x;
}

static inline gr_tensor *leaf(fixture *f, gr_tensor *x)
{
    assert_int_equal(gr_require_grad(own(f, x)), GR_OK);
    return x;
}

static inline gr_tensor *number(fixture *f, double value) { return leaf(f, gr_scalar(GR_F64, value)); }

/* start, start + 1, ... of the given shape */
static inline gr_tensor *counted(fixture *f, double start, int rank, const int64_t shape[])
{
    gr_tensor *x = gr_zeros(GR_F64, rank, shape);
    for (int64_t i = 0; i < gr_size(x); i++) assert_int_equal(gr_set(x, i, start + (double)i), GR_OK);
    return leaf(f, x);
}

static inline gr_tensor *total(gr_tape *t, gr_tensor *x) { return gr_sum(t, x, GR_ALL_AXES, false); }

static inline void ok(gr_status status)
{
    if (status) fail_msg("%s", gr_last_error());
}

/* The gradient of x has this one value everywhere. */
static inline void assert_gradient(const gr_tensor *x, double value)
{
    const gr_tensor *g = gr_gradient(x);
    assert_non_null(g);
    assert_int_equal(gr_size(g), gr_size(x));
    assert_int_equal(gr_rank(g), gr_rank(x));
    for (int64_t i = 0; i < gr_size(g); i++)
        if (gr_get(g, i) != value)
            fail_msg("gradient %.17g at %lld, expected %.17g", gr_get(g, i), (long long)i, value);
}

/* ---- Derivatives of derivatives ---------------------------------------------------------------------------------- */

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

#endif
