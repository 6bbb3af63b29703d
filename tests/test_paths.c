/* test_paths.c: what backward makes of a graph: every path is added, gradients accumulate, by leaf and by name. */
#include "tape_kit.h"

/* ---- Paths ------------------------------------------------------------------------------------------------------- */

static gr_tensor *diamond(gr_tape *t, gr_tensor *x) { return gr_mul(t, gr_shift(t, x, 1.0), gr_scale(t, x, 2.0)); }

static gr_tensor *diamonds(gr_tape *t, gr_tensor *x)
{
    for (int i = 0; i < 10; i++) x = gr_add(t, gr_shift(t, x, 1.0), gr_neg(t, gr_neg(t, x)));
    return x;
}

static gr_tensor *product_with_itself(gr_tape *t, gr_tensor *x) { return gr_mul(t, x, x); }

static gr_tensor *sum_with_itself(gr_tape *t, gr_tensor *x) { return gr_add(t, gr_add(t, x, x), x); }

static gr_tensor *difference_with_itself(gr_tape *t, gr_tensor *x) { return gr_sub(t, x, x); }

static gr_tensor *quotient_with_itself(gr_tape *t, gr_tensor *x) { return gr_div(t, x, x); }

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

/* ---- Accumulating, and running again ----------------------------------------------------------------------------- */

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

/* ---- Gradients by name ------------------------------------------------------------------------------------------- */

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
    assert_int_equal(gr_grad(f->t, y, asked, 0, d, 0), GR_ERR_OPTION);
    ok(gr_backward(f->t, y, 0));
    assert_gradient(x, 1.0);
}

/* ---- Cotangents -------------------------------------------------------------------------------------------------- */

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

/* ---- Recording --------------------------------------------------------------------------------------------------- */

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
