/* test_tape.c: what a tape promises: gradients along every path, what is kept and what is given back, errors that
 * leave nothing half done, derivatives of derivatives. Every test ends with an empty tape and no memory left over. */
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

static int begin(void **state)
{
    static fixture f;
    f.n_own = 0;
    counting_begin(&f.memory);
    f.t = gr_tape_new();
    *state = &f;
    gr_clear_error();
    return f.t ? 0 : -1;
}

static int end(void **state)
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

static gr_tensor *own(fixture *f, gr_tensor *x)
{
    assert_non_null(x);
    assert_true(f->n_own < MAX_OWN);
    return f->own[f->n_own++] = x;
}

static gr_tensor *leaf(fixture *f, gr_tensor *x)
{
    assert_int_equal(gr_require_grad(own(f, x)), GR_OK);
    return x;
}

static gr_tensor *number(fixture *f, double value)
{
    return leaf(f, gr_scalar(GR_F64, value));
}

/* start, start + 1, ... of the given shape */
static gr_tensor *counted(fixture *f, double start, int rank, const int64_t shape[])
{
    gr_tensor *x = gr_zeros(GR_F64, rank, shape);
    for (int64_t i = 0; i < gr_size(x); i++) assert_int_equal(gr_set(x, i, start + (double)i), GR_OK);
    return leaf(f, x);
}

static gr_tensor *total(gr_tape *t, gr_tensor *x)
{
    return gr_sum(t, x, GR_ALL_AXES, false);
}

static void ok(gr_status status)
{
    if (status) fail_msg("%s", gr_last_error());
}

/* The gradient of x has this one value everywhere. */
static void assert_gradient(const gr_tensor *x, double value)
{
    const gr_tensor *g = gr_gradient(x);
    assert_non_null(g);
    assert_int_equal(gr_size(g), gr_size(x));
    assert_int_equal(gr_rank(g), gr_rank(x));
    for (int64_t i = 0; i < gr_size(g); i++)
        if (gr_get(g, i) != value)
            fail_msg("gradient %.17g at %lld, expected %.17g", gr_get(g, i), (long long)i, value);
}

/* ---- Paths --------------------------------------------------------------------------------------------------- */

static gr_tensor *diamond(gr_tape *t, gr_tensor *x)
{
    return gr_mul(t, gr_shift(t, x, 1.0), gr_scale(t, x, 2.0));
}

static gr_tensor *diamonds(gr_tape *t, gr_tensor *x)
{
    for (int i = 0; i < 10; i++) x = gr_add(t, gr_shift(t, x, 1.0), gr_neg(t, gr_neg(t, x)));
    return x;
}

static gr_tensor *product_with_itself(gr_tape *t, gr_tensor *x)
{
    return gr_mul(t, x, x);
}

static gr_tensor *sum_with_itself(gr_tape *t, gr_tensor *x)
{
    return gr_add(t, gr_add(t, x, x), x);
}

static gr_tensor *difference_with_itself(gr_tape *t, gr_tensor *x)
{
    return gr_sub(t, x, x);
}

static gr_tensor *quotient_with_itself(gr_tape *t, gr_tensor *x)
{
    return gr_div(t, x, x);
}

static gr_tensor *both_sides_of_a_choice(gr_tape *t, gr_tensor *x)
{
    return gr_where(t, gr_detach(t, x), x, gr_scale(t, x, 5.0));
}

static gr_tensor *concatenated_with_itself(gr_tape *t, gr_tensor *x)
{
    gr_tensor *row = gr_reshape(t, x, GR_SHAPE(1)), *three[] = {row, row, row};
    return total(t, gr_mul(t, gr_concat(t, three, 3, 0), gr_stack(t, three, 3, 1)));
}

static gr_tensor *matrix_product_with_itself(gr_tape *t, gr_tensor *x)
{
    gr_tensor *m = gr_broadcast_to(t, x, GR_SHAPE(2, 2));
    return total(t, gr_matmul(t, m, m, GR_TRANS_A));
}

/* x meets its own gradient here, changed in place: u - u/2 */
static gr_tensor *less_a_half(gr_tape *t, gr_tensor *x)
{
    gr_tensor *u = gr_square(t, x);
    return gr_sub(t, u, gr_scale(t, u, 0.5));
}

static gr_tensor *an_unused_branch(gr_tape *t, gr_tensor *x)
{
    gr_exp(t, gr_square(t, x));
    gr_tensor *y = gr_scale(t, x, 4.0);
    gr_mul(t, y, y);
    return y;
}

/* y(3) and y'(3), exactly. */
static const struct path {
    const char *what;
    gr_tensor *(*f)(gr_tape *t, gr_tensor *x);
    double y, dy;
} paths[] = {
    {"a diamond", diamond, 24, 14},
    {"ten diamonds", diamonds, 4095, 1024},
    {"x x", product_with_itself, 9, 6},
    {"x + x + x", sum_with_itself, 9, 3},
    {"x - x", difference_with_itself, 0, 0},
    {"x / x", quotient_with_itself, 1, 0},
    {"where(c, x, 5x)", both_sides_of_a_choice, 3, 1},
    {"concat and stack", concatenated_with_itself, 27, 18},
    {"M^T M", matrix_product_with_itself, 72, 48},
    {"u - u/2", less_a_half, 4.5, 3},
    {"an unused branch", an_unused_branch, 12, 4},
};

static void every_path_is_added(void **state)
{
    fixture *f = *state;
    static const int flags[] = {0, GR_RETAIN, GR_CREATE_GRAPH};
    for (size_t i = 0; i < COUNT(paths); i++)
        for (size_t k = 0; k < COUNT(flags); k++) {
            gr_tensor *x = gr_scalar(GR_F64, 3.0), *d;
            ok(gr_require_grad(x));
            gr_tensor *y = paths[i].f(f->t, x);
            if (!y) fail_msg("%s: %s", paths[i].what, gr_last_error());
            assert_true(gr_item(y) == paths[i].y);
            ok(gr_grad(f->t, y, &x, 1, &d, flags[k] | GR_RETAIN));
            ok(gr_backward(f->t, y, flags[k]));
            if (gr_item(d) != paths[i].dy || gr_item(gr_gradient(x)) != paths[i].dy)
                fail_msg("%s, flags %d: gradients %g and %g, expected %g", paths[i].what, flags[k], gr_item(d),
                         gr_item(gr_gradient(x)), paths[i].dy);
            gr_tape_reset(f->t);
            gr_tensor_free(x);
        }
}

/* A loss hands out the derivative that its forward pass made when the gradient that reaches it is 1, and only then. */
static void fused_losses_see_the_gradient_that_reaches_them(void **state)
{
    fixture *f = *state;
    gr_tensor *(*const losses[])(gr_tape *, gr_tensor *, gr_tensor *, const gr_loss_options *) = {gr_mse, gr_l1, gr_bce,
                                                                                                  gr_cross_entropy};
    gr_tensor *y = own(f, gr_full(GR_F64, GR_SHAPE(4, 5), 0.25));
    gr_tensor *p = counted(f, 0.0, GR_SHAPE(4, 5));
    for (int64_t i = 0; i < 20; i++) ok(gr_set(p, i, 0.02 + 0.04 * (double)i));
    for (size_t i = 0; i < COUNT(losses); i++) {
        gr_tensor *u = losses[i](f->t, p, y, NULL), *plain, *half, *twice, *scaled;
        ok(gr_grad(f->t, u, &p, 1, &plain, GR_RETAIN));
        ok(gr_grad(f->t, gr_sub(f->t, u, gr_scale(f->t, u, 0.5)), &p, 1, &half, GR_RETAIN));
        ok(gr_grad(f->t, gr_add(f->t, u, u), &p, 1, &twice, GR_RETAIN));
        ok(gr_grad(f->t, gr_scale(f->t, u, -3.0), &p, 1, &scaled, 0));
        for (int64_t k = 0; k < 20; k++) {
            assert_true(close_to(gr_get(half, k), 0.5 * gr_get(plain, k), 1e-15));
            assert_true(close_to(gr_get(twice, k), 2.0 * gr_get(plain, k), 1e-15));
            assert_true(close_to(gr_get(scaled, k), -3.0 * gr_get(plain, k), 1e-15));
        }
        gr_tape_reset(f->t);
    }
}

/* One gradient on its way to two inputs, to one of them as a view: what is added for that one is not for the other. */
static void a_gradient_seen_through_a_view(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(20)), *w = counted(f, 1.0, GR_SHAPE(4, 5));
    gr_tensor *doubled = gr_scale(f->t, x, 2.0), *z = gr_add(f->t, gr_reshape(f->t, x, GR_SHAPE(4, 5)), w);
    ok(gr_backward(f->t, gr_add(f->t, total(f->t, gr_scale(f->t, z, 5.0)), total(f->t, doubled)), 0));
    assert_gradient(x, 7.0);
    assert_gradient(w, 5.0);
}

/* The gradient of a leaf that was stretched is summed back to its shape. */
static void gradients_of_broadcast_leaves(void **state)
{
    fixture *f = *state;
    static const struct {
        int rank;
        int64_t shape[4];
        double times;
    } rows[] = {{0, {0}, 24},       {1, {1}, 24},      {1, {4}, 6},       {2, {3, 1}, 8},      {2, {3, 4}, 2},
                {3, {2, 1, 1}, 12}, {3, {1, 3, 4}, 2}, {3, {2, 3, 4}, 1}, {4, {1, 2, 1, 4}, 3}};
    gr_tensor *ones = own(f, gr_ones(GR_F64, GR_SHAPE(2, 3, 4)));
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_tensor *x = counted(f, 1.0, rows[i].rank, rows[i].shape);
        ok(gr_backward(f->t, total(f->t, gr_mul(f->t, x, ones)), 0));
        assert_gradient(x, rows[i].times);
        ok(gr_backward(f->t, total(f->t, gr_add(f->t, ones, x)), 0));
        assert_gradient(x, 2.0 * rows[i].times);
    }
}

/* ---- Accumulating, and running again ------------------------------------------------------------------------- */

static void gradients_accumulate(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(40));
    assert_null(gr_gradient(x));
    for (int i = 1; i <= 3; i++) {
        ok(gr_backward(f->t, gr_scale(f->t, total(f->t, x), 2.0), 0));
        assert_gradient(x, 2.0 * i);
        gr_tape_reset(f->t);
        assert_gradient(x, 2.0 * i);
    }
    gr_zero_grad(x);
    assert_null(gr_gradient(x));
    ok(gr_backward(f->t, total(f->t, x), 0));
    assert_gradient(x, 1.0);
    gr_zero_grad(NULL);
}

static void a_retained_backward_runs_again(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(40));
    gr_tensor *y = total(f->t, gr_mul(f->t, x, gr_exp(f->t, gr_scale(f->t, x, 0.0))));
    for (int i = 1; i <= 3; i++) {
        ok(gr_backward(f->t, y, i < 3 ? GR_RETAIN : 0));
        assert_gradient(x, 1.0 * i);
    }
    assert_int_equal(gr_backward(f->t, y, 0), GR_ERR_STATE);
    assert_failed_with("a second backward", GR_ERR_STATE, "pass it GR_RETAIN");
    gr_tensor *d;
    assert_int_equal(gr_grad(f->t, y, &x, 1, &d, GR_RETAIN), GR_ERR_STATE);
    assert_null(d);
    assert_gradient(x, 3.0);
}

static void two_outputs_of_one_trunk(void **state)
{
    fixture *f = *state;
    gr_tensor *x = number(f, 2.0), *h = gr_square(f->t, x), *a = gr_scale(f->t, h, 3.0), *b = gr_square(f->t, h);
    ok(gr_backward(f->t, a, GR_RETAIN));
    assert_gradient(x, 12.0);
    ok(gr_backward(f->t, b, 0));
    assert_gradient(x, 12.0 + 32.0);
    gr_tensor *c = gr_square(f->t, x), *d = gr_shift(f->t, c, 1.0), *e = gr_mul(f->t, c, c);
    ok(gr_backward(f->t, d, 0));
    assert_int_equal(gr_backward(f->t, e, 0), GR_ERR_STATE);
    assert_non_null(strstr(gr_last_error(), "back"));
    assert_gradient(x, 12.0 + 32.0 + 4.0);
}

/* Without GR_RETAIN nothing is left of the forward pass but what was named; reset and again, it is all the same. */
static void reset_and_reuse(void **state)
{
    fixture *f = *state;
    gr_tensor *w = counted(f, -3.0, GR_SHAPE(8, 8)), *x = own(f, gr_ones(GR_F64, GR_SHAPE(5, 8)));
    double first = 0.0;
    for (int step = 0; step < 50; step++) {
        gr_tensor *h = gr_tanh(f->t, gr_matmul(f->t, x, w, 0)),
                  *loss = gr_mean(f->t, gr_square(f->t, h), GR_ALL_AXES, false);
        assert_int_equal(gr_tape_statistics(f->t).nodes, 4);
        ok(gr_backward(f->t, loss, 0));
        double now = gr_get(gr_gradient(w), 63) + gr_item(loss);
        if (step == 0) first = now;
        assert_true(now == first);
        gr_zero_grad(w);
        gr_tape_reset(f->t);
        assert_int_equal(gr_tape_statistics(f->t).tensors, 0);
        assert_int_equal(gr_tape_statistics(f->t).bytes, 0);
    }
}

static void two_tapes_share_leaves(void **state)
{
    fixture *f = *state;
    gr_tape *other = gr_tape_new();
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(30)), *d;
    gr_tensor *a = total(f->t, gr_square(f->t, x)), *b = total(other, gr_scale(other, x, 10.0));
    ok(gr_grad(other, b, &x, 1, &d, GR_RETAIN));
    ok(gr_backward(f->t, a, 0));
    assert_true(gr_get(gr_gradient(x), 4) == 10.0);
    ok(gr_backward(other, b, 0));
    assert_true(gr_get(gr_gradient(x), 4) == 20.0);
    assert_null(gr_mul(f->t, a, b));
    assert_failed_with("mul", GR_ERR_STATE, "input 1 is a result of another tape");
    assert_int_equal(gr_backward(f->t, b, 0), GR_ERR_STATE);
    assert_int_equal(gr_grad(f->t, a, &b, 1, &d, 0), GR_ERR_STATE);
    assert_failed_with("grad", GR_ERR_STATE, "input 0 is a result of another tape");
    gr_tape_free(other);
    assert_true(gr_get(gr_gradient(x), 29) == 70.0);
}

/* ---- Gradients by name --------------------------------------------------------------------------------------- */

static void gradients_by_name(void **state)
{
    fixture *f = *state;
    gr_tensor *x = number(f, 2.0), *w = number(f, 5.0), *idle = counted(f, 0.0, GR_SHAPE(3, 2));
    gr_tensor *h = gr_mul(f->t, w, x), *y = gr_square(f->t, h), *later = gr_exp(f->t, y);
    gr_tensor *asked[] = {x, h, y, idle, x, later, w, h}, *d[COUNT(asked)];
    static const double expected[] = {100, 20, 1, 0, 100, 0, 40, 20};
    ok(gr_grad(f->t, y, asked, COUNT(asked), d, GR_RETAIN));
    for (size_t i = 0; i < COUNT(asked); i++) {
        assert_int_equal(gr_rank(d[i]), gr_rank(asked[i]));
        assert_int_equal(gr_size(d[i]), gr_size(asked[i]));
        for (int64_t k = 0; k < gr_size(d[i]); k++) assert_true(gr_get(d[i], k) == expected[i]);
        assert_false(gr_requires_grad(d[i]));
    }
    assert_null(gr_gradient(x));
    assert_null(gr_gradient(h));
    gr_tensor *only;
    ok(gr_grad(f->t, y, &h, 1, &only, 0)); /* stops at h: what is below stays usable */
    assert_true(gr_item(only) == 20.0);
    ok(gr_backward(f->t, h, 0));
    assert_gradient(x, 5.0);
}

static void gradients_by_name_refused(void **state)
{
    fixture *f = *state;
    gr_tensor *x = number(f, 2.0), *constant = own(f, gr_scalar(GR_F64, 1.0)), *y = gr_mul(f->t, x, constant);
    ok(gr_set_name(constant, "c"));
    gr_tensor *asked[] = {x, constant}, *d[] = {x, x};
    assert_int_equal(gr_grad(f->t, y, asked, 2, d, 0), GR_ERR_STATE);
    assert_failed_with("a constant", GR_ERR_STATE, "grad: input 1, c [], does not require a gradient");
    assert_null(d[0]);
    assert_null(d[1]);
    assert_int_equal(gr_grad(f->t, x, &x, 1, d, 0), GR_ERR_STATE);
    assert_failed_with("a leaf", GR_ERR_STATE, "was not recorded");
    gr_clear_error();
    assert_int_equal(gr_grad(f->t, y, asked, 0, d, 0), GR_ERR_NULL);
    ok(gr_backward(f->t, y, 0));
    assert_gradient(x, 1.0);
}

/* ---- Cotangents ---------------------------------------------------------------------------------------------- */

static void cotangents(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(2, 20)), *y = gr_square(f->t, x), *d;
    gr_tensor *v = counted(f, -4.0, GR_SHAPE(2, 20));
    ok(gr_vjp(f->t, y, v, &x, 1, &d, GR_RETAIN));
    ok(gr_backward_from(f->t, y, v, GR_RETAIN));
    for (int64_t i = 0; i < 40; i++) {
        assert_true(gr_get(d, i) == 2.0 * gr_get(x, i) * gr_get(v, i));
        assert_true(gr_get(gr_gradient(x), i) == gr_get(d, i));
    }
    gr_tensor *on_tape = gr_scale(f->t, v, 2.0), *twice;
    ok(gr_vjp(f->t, y, on_tape, &x, 1, &twice, GR_RETAIN));
    for (int64_t i = 0; i < 40; i++) assert_true(gr_get(twice, i) == 2.0 * gr_get(d, i));
    assert_int_equal(gr_vjp(f->t, y, NULL, &x, 1, &d, 0), GR_ERR_SHAPE);
    assert_failed_with("no cotangent", GR_ERR_SHAPE, "the output [2,20] has 40 elements, not one");
    gr_tensor *flat = own(f, gr_ones(GR_F64, GR_SHAPE(40))), *single = own(f, gr_ones(GR_F32, GR_SHAPE(2, 20)));
    assert_int_equal(gr_vjp(f->t, y, flat, &x, 1, &d, 0), GR_ERR_SHAPE);
    assert_failed_with("a flat one", GR_ERR_SHAPE, "the cotangent is [40], the output [2,20]");
    assert_int_equal(gr_backward_from(f->t, y, single, 0), GR_ERR_DTYPE);
    gr_clear_error();
    assert_int_equal(gr_backward_from(f->t, y, NULL, 0), GR_ERR_NULL);
}

/* It is read, not taken: neither freed nor handed out as a gradient, and it may go before the tape does. */
static void a_cotangent_stays_yours(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(40)), *y = gr_shift(f->t, gr_shift(f->t, x, 1.0), 1.0), *d;
    gr_tensor *v = gr_full(GR_F64, GR_SHAPE(40), 7.0);
    ok(gr_vjp(f->t, y, v, &x, 1, &d, GR_RETAIN));
    assert_ptr_not_equal(d, v);
    ok(gr_backward_from(f->t, y, v, GR_RETAIN));
    assert_ptr_not_equal(gr_gradient(y), v);
    for (int i = 0; i < 40; i++) gr_f64(v)[i] = -1.0;
    assert_true(gr_get(d, 39) == 7.0 && gr_get(gr_gradient(y), 39) == 7.0 && gr_get(gr_gradient(x), 39) == 7.0);
    gr_tensor_free(v);
    ok(gr_backward_from(f->t, y, d, GR_RETAIN));
    assert_gradient(x, 14.0);
    gr_tensor *released = gr_square(f->t, x);
    ok(gr_backward(f->t, total(f->t, released), 0));
    assert_int_equal(gr_backward_from(f->t, y, released, 0), GR_ERR_STATE);
    assert_failed_with("a released cotangent", GR_ERR_STATE, "the cotangent [40] was given back");
}

/* J^T v is linear in v, and can be differentiated by it: d/dv sum(u . J^T v) = J u. */
static void a_jacobian_times_a_vector(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(3)), *v = counted(f, 0.5, GR_SHAPE(3)),
              *u = own(f, gr_from(GR_F64, GR_SHAPE(3), (double[]){2, 0, -1}));
    gr_tensor *y = gr_mul(f->t, x, total(f->t, x)), *pulled, *pushed; /* J = s I + x 1^T with s = 6 */
    ok(gr_vjp(f->t, y, v, &x, 1, &pulled, GR_CREATE_GRAPH));
    ok(gr_grad(f->t, total(f->t, gr_mul(f->t, pulled, u)), &v, 1, &pushed, 0));
    static const double expected[] = {6 * 2 + 1 * 1, 6 * 0 + 2 * 1, 6 * -1 + 3 * 1};
    for (int i = 0; i < 3; i++) assert_true(gr_get(pushed, i) == expected[i]);
}

/* ---- Recording ----------------------------------------------------------------------------------------------- */

static void recording_can_pause(void **state)
{
    fixture *f = *state;
    gr_tensor *x = number(f, 3.0);
    assert_true(gr_set_recording(f->t, false));
    gr_tensor *outside = gr_square(f->t, x);
    assert_false(gr_requires_grad(outside));
    assert_int_equal(gr_tape_statistics(f->t).nodes, 0);
    assert_int_equal(gr_backward(f->t, outside, 0), GR_ERR_STATE);
    assert_failed_with("paused", GR_ERR_STATE, "or recording was off");
    assert_false(gr_set_recording(f->t, true));
    gr_tensor *y = gr_mul(f->t, outside, x), *d; /* 9 is a constant */
    assert_true(gr_requires_grad(y));
    ok(gr_backward(f->t, y, GR_RETAIN));
    assert_gradient(x, 9.0);
    gr_set_recording(f->t, false); /* backward runs, and leaves it off */
    ok(gr_grad(f->t, y, &x, 1, &d, GR_CREATE_GRAPH));
    assert_false(gr_set_recording(f->t, true));
    assert_false(gr_set_recording(NULL, true));
}

static void constants_are_not_recorded(void **state)
{
    fixture *f = *state;
    gr_tensor *a = own(f, gr_ones(GR_F64, GR_SHAPE(3))), *b = gr_exp(f->t, gr_add(f->t, a, a));
    assert_false(gr_requires_grad(b));
    assert_int_equal(gr_tape_statistics(f->t).nodes, 0);
    assert_int_equal(gr_tape_statistics(f->t).tensors, 2);
    gr_tensor *x = leaf(f, gr_ones(GR_F64, GR_SHAPE(3)));
    ok(gr_backward(f->t, total(f->t, gr_mul(f->t, b, x)), 0));
    assert_null(gr_gradient(a));
    assert_true(gr_get(gr_gradient(x), 0) == gr_get(b, 0));
}

static void detached_values_are_constants(void **state)
{
    fixture *f = *state;
    gr_tensor *x = number(f, 3.0), *h = gr_square(f->t, x), *c = gr_detach(f->t, h), *d1, *d2;
    gr_tensor *y = gr_mul(f->t, gr_mul(f->t, c, x), x); /* 9 x^2 */
    assert_false(gr_requires_grad(c));
    ok(gr_grad(f->t, y, &x, 1, &d1, GR_CREATE_GRAPH));
    ok(gr_grad(f->t, d1, &x, 1, &d2, GR_RETAIN));
    assert_true(gr_item(d1) == 54.0 && gr_item(d2) == 18.0);
    ok(gr_backward(f->t, gr_add(f->t, h, y), 0));
    assert_gradient(x, 60.0);
    assert_true(gr_item(c) == 9.0); /* shares h's values, which therefore stay */
}

static void no_gradient_flows_into_the_side_not_taken(void **state)
{
    fixture *f = *state;
    gr_tensor *c = own(f, gr_from(GR_F64, GR_SHAPE(4), (double[]){1, 0, -2, 0}));
    gr_tensor *a = counted(f, 1.0, GR_SHAPE(4)), *b = counted(f, 5.0, GR_SHAPE(4));
    ok(gr_backward(f->t, total(f->t, gr_where(f->t, c, gr_square(f->t, a), gr_scale(f->t, b, 3.0))), 0));
    static const double da[] = {2, 0, 6, 0}, db[] = {0, 3, 0, 3};
    for (int i = 0; i < 4; i++) {
        assert_true(gr_get(gr_gradient(a), i) == da[i]);
        assert_true(gr_get(gr_gradient(b), i) == db[i]);
    }
}

static void indices_have_no_gradients(void **state)
{
    fixture *f = *state;
    gr_tensor *index = own(f, gr_from(GR_I32, GR_SHAPE(3), (int32_t[]){2, 0, 2})),
              *table = counted(f, 1.0, GR_SHAPE(4, 2));
    assert_int_equal(gr_require_grad(index), GR_ERR_DTYPE);
    assert_failed_with("require_grad", GR_ERR_DTYPE, "i32 has no gradients");
    assert_false(gr_requires_grad(index));
    ok(gr_backward(f->t, total(f->t, gr_gather_rows(f->t, table, index)), 0));
    static const double times[] = {1, 1, 0, 0, 2, 2, 0, 0};
    for (int i = 0; i < 8; i++) assert_true(gr_get(gr_gradient(table), i) == times[i]);
    assert_false(gr_requires_grad(gr_cast(f->t, index, GR_F64)));
}

/* ---- What backward gives back -------------------------------------------------------------------------------- */

static void values_are_given_back(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(6, 5)), *gone = gr_square(f->t, x),
              *kept = gr_keep(gr_scale(f->t, gone, 2.0));
    gr_tensor *rows = gr_reshape(f->t, gr_exp(f->t, gr_scale(f->t, kept, 0.0)), GR_SHAPE(30)),
              *part = gr_keep(gr_slice(f->t, rows, 0, 3, 5));
    gr_tensor *y = gr_add(f->t, total(f->t, rows), gr_add(f->t, total(f->t, part), total(f->t, kept)));
    ok(gr_backward(f->t, y, 0));
    assert_true(gr_item(y) == 32.0 + 2.0 * 30 * 31 * 61 / 6);
    assert_true(gr_get(kept, 29) == 1800.0 && gr_get(part, 1) == 1.0);
    const gr_tensor *given_back[] = {gone, rows};
    char text[64];
    for (int i = 0; i < (int)COUNT(given_back); i++) {
        gr_clear_error();
        if (i == 1 && gr_read_f64(rows)) continue; /* `part` shares its values: it may stay */
        assert_null(gr_read_f64(given_back[i]));
        assert_failed_with("read", GR_ERR_STATE, "was given back by backward: read it before, keep it with gr_keep()");
        assert_true(isnan(gr_get(given_back[i], 0)) && isnan(gr_item(given_back[i])));
        assert_null(gr_copy(given_back[i]));
        assert_null(gr_copy_as(GR_F32, given_back[i]));
        assert_true(gr_format(text, sizeof text, given_back[i]) > 0);
    }
    assert_null(gr_f64(gone));
    assert_int_equal(gr_set(gone, 0, 1.0), GR_ERR_STATE);
    assert_int_equal(gr_assign(gone, kept), GR_ERR_STATE);
    assert_null(gr_exp(f->t, gone));
    assert_failed_with("an op", GR_ERR_STATE, "exp: input 0, [6,5], was given back by backward");
    assert_null(gr_reshape(f->t, gone, GR_SHAPE(6, 5)));
    assert_null(gr_broadcast_to(f->t, gone, GR_SHAPE(6, 5)));
    assert_non_null(gr_exp(f->t, kept));
}

/* relu(x - 1) with and without giving up the difference: the same numbers, in less memory. */
static void what_is_given_is_reused(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 0.0, GR_SHAPE(6, 5)), *difference = gr_shift(f->t, x, -10.0);
    const int64_t before = gr_tape_statistics(f->t).bytes;
    gr_tensor *y = gr_relu(f->t, gr_give(difference));
    assert_int_equal(gr_tape_statistics(f->t).bytes, before);
    for (int i = 0; i < 30; i++) assert_true(gr_get(y, i) == fmax((double)i - 10.0, 0.0));
    assert_null(gr_read_f64(difference));
    assert_failed_with("read", GR_ERR_STATE, "read_f64: this [6,5] was given up with gr_give()");
    gr_clear_error();
    assert_null(gr_exp(f->t, difference));
    assert_failed_with("an op", GR_ERR_STATE, "exp: input 0, [6,5], was given up with gr_give()");
    ok(gr_backward(f->t, total(f->t, y), 0));
    for (int i = 0; i < 30; i++) assert_true(gr_get(gr_gradient(x), i) == (i > 10 ? 1.0 : 0.0));
    assert_null(gr_give(NULL));
}

/* What is kept, looked at by a view, yours, or met by an op that needs its input stays as it is. */
static void what_is_given_in_vain(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, -3.0, GR_SHAPE(6, 5)), *kept = gr_keep(gr_scale(f->t, x, 2.0)),
              *seen = gr_scale(f->t, x, 2.0), *squared = gr_scale(f->t, x, 2.0),
              *view = gr_reshape(f->t, seen, GR_SHAPE(30));
    gr_tensor *const given[] = {x, kept, seen, squared};
    for (int i = 0; i < 3; i++) assert_non_null(gr_relu(f->t, gr_give(given[i])));
    assert_non_null(gr_square(f->t, gr_give(squared)));
    for (int i = 0; i < 4; i++) assert_true(gr_get(given[i], 0) == (i ? -6.0 : -3.0));
    assert_true(gr_get(view, 0) == -6.0);
}

/* A derivative that needs what was given up is refused, not wrong. */
static void what_is_given_and_needed(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(6, 5)), *e = gr_exp(f->t, gr_scale(f->t, x, 0.1)),
              *other = gr_square(f->t, e);
    gr_tensor *y = gr_add(f->t, total(f->t, other), total(f->t, gr_relu(f->t, gr_give(e))));
    assert_int_equal(gr_backward(f->t, y, 0), GR_ERR_STATE);
    assert_non_null(strstr(gr_last_error(), "was given up with gr_give()"));
    assert_null(gr_gradient(x));
}

static void retained_results_have_gradients(void **state)
{
    fixture *f = *state;
    gr_tensor *x = number(f, 3.0), *h = gr_square(f->t, x), *y = gr_scale(f->t, h, 5.0);
    assert_null(gr_gradient(h));
    ok(gr_backward(f->t, y, GR_RETAIN));
    assert_true(gr_item(gr_gradient(y)) == 1.0 && gr_item(gr_gradient(h)) == 5.0);
    ok(gr_backward(f->t, y, GR_RETAIN));
    assert_true(gr_item(gr_gradient(h)) == 5.0); /* of the last pass; leaves accumulate */
    assert_gradient(x, 60.0);
    gr_zero_grad(h);
    assert_null(gr_gradient(h));
    ok(gr_backward(f->t, y, 0));
    assert_null(gr_gradient(h));
    assert_true(gr_item(y) == 45.0);
}

/* A tape that is only to be emptied does not look at what it was made from. */
static void leaves_may_go_before_the_tape(void **state)
{
    fixture *f = *state;
    gr_tensor *x = gr_ones(GR_F64, GR_SHAPE(30));
    ok(gr_require_grad(x));
    gr_tensor *view = gr_slice(f->t, gr_reshape(f->t, x, GR_SHAPE(5, 6)), 0, 1, 3),
              *loss = total(f->t, gr_square(f->t, view));
    ok(gr_backward(f->t, loss, 0));
    assert_non_null(gr_detach(f->t, x));
    gr_tensor_free(x);
    gr_tape_reset(f->t);
    assert_int_equal(gr_tape_statistics(f->t).tensors, 0);
}

/* What an op returns is the tape's, even where there was nothing to do. */
static void results_are_new(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(2, 3));
    gr_tensor *results[] = {gr_reshape(f->t, x, GR_SHAPE(2, 3)),
                            gr_broadcast_to(f->t, x, GR_SHAPE(2, 3)),
                            gr_detach(f->t, x),
                            gr_slice(f->t, x, 0, 0, 2),
                            gr_cast(f->t, x, GR_F64),
                            gr_permute(f->t, x, GR_AXES(0, 1)),
                            gr_concat(f->t, &x, 1, 0),
                            gr_pad(f->t, x, 0, 0, 0, 0.0)};
    for (size_t i = 0; i < COUNT(results); i++) {
        assert_non_null(results[i]);
        assert_ptr_not_equal(results[i], x);
        assert_true(gr_get(results[i], 5) == 6.0);
        gr_clear_error();
        gr_tensor_free(results[i]);
        assert_failed_with("its tape's", GR_ERR_STATE, "a result of a tape, which frees it");
    }
    assert_null(gr_reshape(NULL, x, GR_SHAPE(2, 3)));
}

/* ---- Changes between forward and backward -------------------------------------------------------------------- */

typedef struct changed {
    gr_tensor *table, *w, *view, *base, *index, *h;
} changed;

static void by_pointer(changed *c)
{
    gr_f64(c->w)[0] += 1e-3;
}

static void by_set(changed *c)
{
    ok(gr_set(c->w, 3, 0.5));
}

static void by_assign(changed *c)
{
    ok(gr_assign(c->w, c->w));
}

static void through_its_view(changed *c)
{
    gr_tensor *view = gr_view_rows(c->w, 1, 1);
    gr_f64(view)[0] = 3.0;
    gr_tensor_free(view);
}

static void under_its_view(changed *c)
{
    gr_f64(c->base)[0] = 3.0;
}

static void an_index(changed *c)
{
    gr_i32(c->index)[0] = 0;
}

static void a_result(changed *c)
{
    gr_f64(c->h)[0] = 0.0;
}

static void a_value_that_is_only_read(changed *c)
{
    (void)gr_read_f64(c->w);
    (void)gr_get(c->w, 0);
}

static const struct change {
    const char *what;
    void (*make)(changed *c);
    const char *part; /* NULL: no change */
} changes[] = {
    {"by pointer", by_pointer, "backward: weight [2,3], input 1 of mul, was changed after the forward pass"},
    {"by gr_set", by_set, "weight [2,3], input 1 of mul"},
    {"by gr_assign", by_assign, "weight [2,3], input 1 of mul"},
    {"through a view of it", through_its_view, "weight [2,3], input 1 of mul"},
    {"of what it is a view of", under_its_view, "base [3], input 1 of add"},
    {"of an index", an_index, "classes [2], input 1 of gather_rows"},
    {"of a result", a_result, "hidden [2,3], "},
    {"reading", a_value_that_is_only_read, NULL},
};

static gr_tensor *changed_loss(fixture *f, changed *c)
{
    c->table = counted(f, 1.0, GR_SHAPE(4, 3));
    c->w = counted(f, 1.0, GR_SHAPE(2, 3));
    c->base = own(f, gr_ones(GR_F64, GR_SHAPE(6)));
    c->view = own(f, gr_view_rows(c->base, 2, 3));
    c->index = own(f, gr_from(GR_I32, GR_SHAPE(2), (int32_t[]){3, 1}));
    ok(gr_set_name(c->w, "weight"));
    ok(gr_set_name(c->base, "base"));
    ok(gr_set_name(c->index, "classes"));
    c->h = gr_mul(f->t, gr_gather_rows(f->t, c->table, c->index), c->w);
    ok(gr_set_name(c->h, "hidden"));
    return total(f->t, gr_square(f->t, gr_add(f->t, c->h, c->view)));
}

static void a_change_in_between_is_an_error_that_names_it(void **state)
{
    fixture *f = *state;
    for (size_t i = 0; i < COUNT(changes); i++) {
        changed c;
        gr_tensor *loss = changed_loss(f, &c), *d[2];
        ok(gr_backward(f->t, loss, GR_RETAIN));
        const double before = gr_get(gr_gradient(c.w), 0);
        changes[i].make(&c);
        const bool fine = changes[i].part == NULL;
        assert_int_equal(gr_backward(f->t, loss, GR_RETAIN), fine ? GR_OK : GR_ERR_STATE);
        if (!fine) assert_failed_with(changes[i].what, GR_ERR_STATE, changes[i].part);
        assert_true(gr_get(gr_gradient(c.w), 0) == (fine ? 2.0 : 1.0) * before);
        assert_int_equal(gr_grad(f->t, loss, (gr_tensor *[]){c.w, c.table}, 2, d, 0), fine ? GR_OK : GR_ERR_STATE);
        gr_tape_reset(f->t);
        for (; f->n_own; f->n_own--) gr_tensor_free(f->own[f->n_own - 1]);
    }
}

/* A result that no other node has read, but its own derivative would. */
static void a_changed_output(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 0.0, GR_SHAPE(3)), *y = gr_exp(f->t, x), *ones = own(f, gr_ones(GR_F64, GR_SHAPE(3)));
    gr_f64(y)[0] = 7.0;
    assert_int_equal(gr_backward_from(f->t, y, ones, 0), GR_ERR_STATE);
    assert_failed_with("backward", GR_ERR_STATE,
                       "backward: [3], the result of exp, was changed after the forward pass");
    assert_null(gr_gradient(x));
}

/* The usual order: parameters change after the backward pass that used them. */
static void changes_after_backward_are_fine(void **state)
{
    fixture *f = *state;
    gr_tensor *w = counted(f, 1.0, GR_SHAPE(3));
    for (int step = 0; step < 5; step++) {
        ok(gr_backward(f->t, total(f->t, gr_square(f->t, w)), 0));
        for (int i = 0; i < 3; i++) gr_f64(w)[i] -= 0.25 * gr_get(gr_gradient(w), i);
        gr_zero_grad(w);
        gr_tape_reset(f->t);
    }
    for (int i = 0; i < 3; i++) assert_true(gr_get(w, i) == (i + 1) / 32.0);
}

/* A gradient is a value like others: used as a constant it may not change before that backward has run. */
static void a_gradient_that_went_on(void **state)
{
    fixture *f = *state;
    gr_tensor *w = counted(f, 1.0, GR_SHAPE(3));
    gr_tape *other = gr_tape_new();
    ok(gr_backward(other, total(other, gr_square(other, w)), 0));
    gr_tensor *y = total(f->t, gr_mul(f->t, w, gr_gradient(w)));
    ok(gr_backward(other, total(other, gr_square(other, w)), 0));
    assert_int_equal(gr_backward(f->t, y, 0), GR_ERR_STATE);
    assert_failed_with("backward", GR_ERR_STATE, "backward: [3], input 1 of mul, was changed after the forward pass");
    assert_true(gr_get(gr_gradient(w), 2) == 12.0);
    gr_tape_free(other);
}

/* dy/dy is 1 until somebody changes it. */
static void a_gradient_of_one_that_was_changed(void **state)
{
    fixture *f = *state;
    gr_tensor *w = counted(f, 1.0, GR_SHAPE(3)), *zero = own(f, gr_zeros(GR_F64, GR_SHAPE(3))), *one, *d;
    gr_tensor *loss = gr_mse(f->t, w, zero, &(gr_loss_options){.reduction = GR_SUM});
    ok(gr_grad(f->t, loss, &loss, 1, &one, GR_RETAIN));
    gr_f64(one)[0] = 5.0;
    ok(gr_vjp(f->t, loss, one, &w, 1, &d, GR_RETAIN));
    assert_true(gr_get(d, 2) == 2 * 3 * 5.0);
    ok(gr_backward(f->t, loss, GR_RETAIN));
    gr_f64(gr_gradient(loss))[0] = 7.0;
    ok(gr_vjp(f->t, loss, gr_gradient(loss), &w, 1, &d, 0));
    assert_true(gr_get(d, 2) == 2 * 3 * 7.0);
}

/* A gradient goes with its tensor. */
static void gradients_are_not_yours(void **state)
{
    fixture *f = *state;
    gr_tensor *w = counted(f, 1.0, GR_SHAPE(30));
    ok(gr_backward(f->t, total(f->t, gr_square(f->t, w)), 0));
    gr_tensor *g = gr_gradient(w);
    ok(gr_set_name(g, "slope")); /* goes with it, too */
    gr_tensor_free(g);
    assert_failed_with("free", GR_ERR_STATE,
                       "gr_tensor_free: this [30] is the gradient of another tensor, which frees it");
    assert_int_equal(gr_require_grad(g), GR_ERR_STATE);
    assert_failed_with("require_grad", GR_ERR_STATE,
                       "require_grad: this [30] is the gradient of another tensor, not a leaf");
    assert_true(gr_get(gr_gradient(w), 29) == 60.0);
}

/* ---- Errors in the middle ------------------------------------------------------------------------------------ */

static gr_status copy_f64(gr_node *n)
{
    memcpy(gr_f64(n->out), gr_read_f64(n->in[0]), (size_t)gr_size(n->out) * sizeof(double));
    return GR_OK;
}

static gr_tensor *failing_vjp(gr_tape *t, const gr_node *n, gr_tensor *g)
{
    gr_exp(t, gr_square(t, g)); /* leaves something behind */
    gr_fail(GR_ERR_VALUE, "fragile: a VJP that fails for %lld elements", (long long)gr_size(n->in[0]));
    return NULL;
}

static const gr_op fragile = {.name = "fragile",
                              .formula = "y = x",
                              .n_in = 1,
                              .shape = gr_shape_same,
                              .forward[GR_ANY_CPU] = {[GR_F64] = copy_f64},
                              .vjp = {failing_vjp}};

static void an_error_in_the_middle_adds_nothing(void **state)
{
    fixture *f = *state;
    gr_tensor *a = counted(f, 1.0, GR_SHAPE(20)), *b = counted(f, 2.0, GR_SHAPE(20)),
              *c = counted(f, 3.0, GR_SHAPE(20));
    ok(gr_backward(f->t, total(f->t, gr_mul(f->t, a, b)), 0));
    const double da = gr_get(gr_gradient(a), 7);
    gr_tensor *h = gr_mul(f->t, gr_apply(f->t, &fragile, &a, 1, NULL), b);
    gr_tensor *y = total(f->t, gr_mul(f->t, gr_mul(f->t, h, b), c)), *d[2];
    for (int pass = 0; pass < 3; pass++) {
        const int64_t tensors = gr_tape_statistics(f->t).tensors;
        assert_int_equal(gr_backward(f->t, y, pass < 2 ? GR_RETAIN : 0), GR_ERR_VALUE);
        assert_failed_with("backward", GR_ERR_VALUE, "fragile: a VJP that fails for 20 elements");
        assert_int_equal(gr_tape_statistics(f->t).tensors, tensors); /* nothing is left of it */
        assert_true(gr_get(gr_gradient(a), 7) == da);
        assert_true(gr_get(gr_gradient(b), 7) == gr_get(a, 7));
        assert_null(gr_gradient(c));
        assert_null(gr_gradient(h));
        if (pass == 2) continue;
        assert_int_equal(gr_grad(f->t, y, (gr_tensor *[]){c, a}, 2, d, GR_RETAIN), GR_ERR_VALUE);
        assert_true(d[0] == NULL && d[1] == NULL);
        ok(gr_grad(f->t, y, (gr_tensor *[]){c, h}, 2, d, GR_RETAIN)); /* does not pass the fragile one */
        assert_true(gr_get(d[1], 7) == gr_get(b, 7) * gr_get(c, 7));
    }
}

static void values_survive_an_error(void **state)
{
    fixture *f = *state;
    gr_tensor *x = counted(f, 1.0, GR_SHAPE(3, 4)), *h = gr_square(f->t, x),
              *wrong = own(f, gr_ones(GR_F64, GR_SHAPE(5)));
    assert_null(gr_exp(f->t, gr_add(f->t, h, wrong)));
    assert_failed_with("add", GR_ERR_SHAPE, "add: shapes do not broadcast: [3,4] and [5]");
    assert_null(gr_sum(f->t, h, GR_AXES(2), false));
    assert_int_equal(gr_backward(f->t, h, 0), GR_ERR_SHAPE);
    ok(gr_backward(f->t, total(f->t, h), 0));
    for (int64_t i = 0; i < 12; i++) assert_true(gr_get(gr_gradient(x), i) == 2.0 * ((double)i + 1.0));
}

/* A weight of a loss has no derivative: one that asks for it is refused when the loss is computed, and one that asks
 * later gets none. */
static void an_input_without_a_derivative(void **state)
{
    fixture *f = *state;
    gr_tensor *p = counted(f, 1.0, GR_SHAPE(4)), *y = own(f, gr_zeros(GR_F64, GR_SHAPE(4))),
              *w = own(f, gr_full(GR_F64, GR_SHAPE(4), 2.0));
    const gr_loss_options options = {.reduction = GR_SUM, .weight = w};
    gr_tensor *before = gr_mse(f->t, p, y, &options);
    ok(gr_require_grad(w));
    assert_null(gr_mse(f->t, p, y, &options));
    assert_failed_with("mse", GR_ERR_STATE,
                       "mse: input 2 requires a gradient, and mse has none for it; see gr_detach()");
    ok(gr_backward(f->t, before, 0));
    assert_true(gr_get(gr_gradient(p), 3) == 16.0);
    assert_null(gr_gradient(w));
    const gr_loss_options detached = {.reduction = GR_SUM, .weight = gr_detach(f->t, w)};
    ok(gr_backward(f->t, gr_mse(f->t, p, y, &detached), 0));
    assert_true(gr_get(gr_gradient(p), 3) == 32.0);
}

/* ---- Derivatives of derivatives ------------------------------------------------------------------------------ */

static gr_tensor *fourth_by_products(gr_tape *t, gr_tensor *x)
{
    return gr_mul(t, x, gr_mul(t, x, gr_mul(t, x, x)));
}

static gr_tensor *fourth_by_squares(gr_tape *t, gr_tensor *x)
{
    return gr_square(t, gr_square(t, x));
}

static gr_tensor *fourth_by_power(gr_tape *t, gr_tensor *x)
{
    return gr_pow_scalar(t, x, 4.0);
}

static gr_tensor *fourth_by_quotient(gr_tape *t, gr_tensor *x)
{
    return gr_div(t, gr_square(t, gr_mul(t, x, gr_square(t, x))), gr_square(t, x));
}

static gr_tensor *fourth_by_matrices(gr_tape *t, gr_tensor *x)
{
    gr_tensor *m = gr_reshape(t, x, GR_SHAPE(1, 1)), *m2 = gr_matmul(t, m, m, GR_TRANS_B);
    return total(t, gr_matmul(t, m2, m2, 0));
}

/* x^4 at 2, and its derivatives: 16, 32, 48, 48, 24, 0: all of them exact in binary. */
static void five_derivatives_of_x_to_the_fourth(void **state)
{
    fixture *f = *state;
    gr_tensor *(*const forms[])(gr_tape * t, gr_tensor * x) = {fourth_by_products, fourth_by_squares, fourth_by_power,
                                                               fourth_by_quotient, fourth_by_matrices};
    static const double expected[] = {16, 32, 48, 48, 24, 0};
    gr_tensor *x = number(f, 2.0);
    for (size_t i = 0; i < COUNT(forms); i++) {
        gr_tensor *y = forms[i](f->t, x);
        for (int order = 0; order <= 5; order++) {
            if (!y || gr_item(y) != expected[order]) fail_msg("form %zu, derivative %d: %.17g", i, order, gr_item(y));
            if (order == 5 || !gr_requires_grad(y)) break;
            ok(gr_grad(f->t, y, &x, 1, &y, GR_CREATE_GRAPH));
        }
        gr_tape_reset(f->t);
    }
    assert_null(gr_gradient(x));
}

/* d2/dxdy of x^2 y^3 is 6 x y^2 either way round. */
static void mixed_derivatives_commute(void **state)
{
    fixture *f = *state;
    gr_tensor *x = number(f, 5.0), *y = number(f, 2.0), *both[] = {x, y}, *d[2], *dd;
    gr_tensor *z = gr_mul(f->t, gr_square(f->t, x), gr_mul(f->t, y, gr_square(f->t, y)));
    ok(gr_grad(f->t, z, both, 2, d, GR_CREATE_GRAPH));
    for (int i = 0; i < 2; i++) {
        ok(gr_grad(f->t, d[i], &both[1 - i], 1, &dd, GR_RETAIN));
        assert_true(gr_item(dd) == 120.0);
    }
}

/* Of a gradient penalty, (df/dx)^2, into the leaves: f = w x^2, penalty 4 w^2 x^2. */
static void a_penalty_on_a_gradient(void **state)
{
    fixture *f = *state;
    gr_tensor *w = number(f, 3.0), *x = number(f, 2.0), *d;
    gr_tensor *y = gr_mul(f->t, w, gr_square(f->t, x));
    for (int i = 1; i <= 3; i++) { /* again and again on one tape */
        ok(gr_grad(f->t, y, &x, 1, &d, GR_CREATE_GRAPH));
        ok(gr_backward(f->t, gr_square(f->t, d), GR_RETAIN));
        assert_gradient(w, i * 8.0 * 3.0 * 4.0);
        assert_gradient(x, i * 8.0 * 9.0 * 2.0);
    }
}

static gr_tensor *network_loss(gr_tape *t, gr_tensor *const w[2], gr_tensor *x, gr_tensor *target)
{
    gr_tensor *h = gr_tanh(t, gr_matmul(t, x, w[0], 0));
    return gr_cross_entropy(t, gr_matmul(t, h, w[1], 0), target, &(gr_loss_options){.from_logits = true});
}

/* u^T H v of the loss by two differentiations. */
static double hessian_product(fixture *f, gr_tensor *const w[2], gr_tensor *x, gr_tensor *target, gr_tensor *const u[2],
                              gr_tensor *const v[2])
{
    gr_tensor *g[2], *hv[2];
    ok(gr_grad(f->t, network_loss(f->t, w, x, target), w, 2, g, GR_CREATE_GRAPH));
    gr_tensor *gv = gr_add(f->t, total(f->t, gr_mul(f->t, g[0], v[0])), total(f->t, gr_mul(f->t, g[1], v[1])));
    ok(gr_grad(f->t, gv, w, 2, hv, 0));
    double sum = gr_item(total(f->t, gr_mul(f->t, hv[0], u[0]))) + gr_item(total(f->t, gr_mul(f->t, hv[1], u[1])));
    gr_tape_reset(f->t);
    return sum;
}

/* u^T (gradient at w + h v). */
static double gradient_along(fixture *f, gr_tensor *const w[2], gr_tensor *x, gr_tensor *target, gr_tensor *const u[2],
                             gr_tensor *const v[2], double h)
{
    double sum = 0.0;
    gr_tensor *moved[2], *g[2];
    for (int i = 0; i < 2; i++) {
        moved[i] = gr_copy(w[i]);
        ok(gr_require_grad(moved[i]));
        for (int64_t k = 0; k < gr_size(w[i]); k++) ok(gr_set(moved[i], k, gr_get(w[i], k) + h * gr_get(v[i], k)));
    }
    ok(gr_grad(f->t, network_loss(f->t, moved, x, target), moved, 2, g, 0));
    for (int i = 0; i < 2; i++) sum += gr_item(total(f->t, gr_mul(f->t, g[i], u[i])));
    gr_tape_reset(f->t);
    for (int i = 0; i < 2; i++) gr_tensor_free(moved[i]);
    return sum;
}

static void hessian_vector_products(void **state)
{
    fixture *f = *state;
    gr_rng rng = gr_rng_seed(1);
    gr_tensor *w[2], *u[2], *v[2], *x = own(f, gr_normal(GR_F64, GR_SHAPE(6, 4), 0, 1, &rng));
    gr_tensor *target = own(f, gr_from(GR_I32, GR_SHAPE(6), (int32_t[]){0, 1, 2, 2, 1, 0}));
    for (int i = 0; i < 2; i++) {
        const int64_t shape[2] = {i ? 5 : 4, i ? 3 : 5};
        w[i] = leaf(f, gr_normal(GR_F64, 2, shape, 0, 0.7, &rng));
        u[i] = own(f, gr_normal(GR_F64, 2, shape, 0, 1, &rng));
        v[i] = own(f, gr_normal(GR_F64, 2, shape, 0, 1, &rng));
    }
    const double h = 1e-5, uhv = hessian_product(f, w, x, target, u, v), vhu = hessian_product(f, w, x, target, v, u);
    const double numeric =
        (gradient_along(f, w, x, target, u, v, h) - gradient_along(f, w, x, target, u, v, -h)) / (2.0 * h);
    assert_true(fabs(uhv) > 1e-3);
    assert_true(close_to(uhv, vhu, 1e-14));
    assert_true(close_to(uhv, numeric, 1e-8));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_path_is_added),
        TEST(fused_losses_see_the_gradient_that_reaches_them),
        TEST(a_gradient_seen_through_a_view),
        TEST(gradients_of_broadcast_leaves),
        TEST(gradients_accumulate),
        TEST(a_retained_backward_runs_again),
        TEST(two_outputs_of_one_trunk),
        TEST(reset_and_reuse),
        TEST(two_tapes_share_leaves),
        TEST(gradients_by_name),
        TEST(gradients_by_name_refused),
        TEST(cotangents),
        TEST(a_cotangent_stays_yours),
        TEST(a_jacobian_times_a_vector),
        TEST(recording_can_pause),
        TEST(constants_are_not_recorded),
        TEST(detached_values_are_constants),
        TEST(no_gradient_flows_into_the_side_not_taken),
        TEST(indices_have_no_gradients),
        TEST(values_are_given_back),
        TEST(what_is_given_is_reused),
        TEST(what_is_given_in_vain),
        TEST(what_is_given_and_needed),
        TEST(retained_results_have_gradients),
        TEST(leaves_may_go_before_the_tape),
        TEST(results_are_new),
        TEST(a_change_in_between_is_an_error_that_names_it),
        TEST(a_changed_output),
        TEST(changes_after_backward_are_fine),
        TEST(a_gradient_that_went_on),
        TEST(a_gradient_of_one_that_was_changed),
        TEST(gradients_are_not_yours),
        TEST(an_error_in_the_middle_adds_nothing),
        TEST(values_survive_an_error),
        TEST(an_input_without_a_derivative),
        TEST(five_derivatives_of_x_to_the_fourth),
        TEST(mixed_derivatives_commute),
        TEST(a_penalty_on_a_gradient),
        TEST(hessian_vector_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
