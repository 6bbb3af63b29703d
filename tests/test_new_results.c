/* test_new_results.c: what an op returns is a new tensor, also where it has nothing to do: to the same shape, between
 * no padding, of one part. It has a gradient of its own, and the input has its own. And so it is with the results of
 * gr_grad(). */
#include "helpers.h"

#include <gradus/gradus.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- Ops that do nothing to x [2,3,4,4] ------------------------------------------------------------------------- */

static const int64_t same[] = {2, 3, 4, 4};

static gr_tensor *reshape(gr_tape *t, gr_tensor *x) { return gr_reshape(t, x, 4, same); }
static gr_tensor *reshape_rest(gr_tape *t, gr_tensor *x) { return gr_reshape(t, x, GR_SHAPE(2, 3, -1, 4)); }
static gr_tensor *broadcast(gr_tape *t, gr_tensor *x) { return gr_broadcast_to(t, x, 4, same); }
static gr_tensor *permute(gr_tape *t, gr_tensor *x) { return gr_permute(t, x, GR_AXES(0, 1, 2, 3)); }
static gr_tensor *concat(gr_tape *t, gr_tensor *x) { return gr_concat(t, &x, 1, 1); }
static gr_tensor *slice_first(gr_tape *t, gr_tensor *x) { return gr_slice(t, x, 0, 0, 2); }
static gr_tensor *slice_last(gr_tape *t, gr_tensor *x) { return gr_slice(t, x, 3, 0, 4); }
static gr_tensor *pad(gr_tape *t, gr_tensor *x) { return gr_pad(t, x, 2, 0, 0, 0.0); }
static gr_tensor *cast(gr_tape *t, gr_tensor *x) { return gr_cast(t, x, gr_dtype_of(x)); }
static gr_tensor *scale(gr_tape *t, gr_tensor *x) { return gr_scale(t, x, 1.0); }
static gr_tensor *shift(gr_tape *t, gr_tensor *x) { return gr_shift(t, x, 0.0); }
static gr_tensor *power(gr_tape *t, gr_tensor *x) { return gr_pow_scalar(t, x, 1.0); }
static gr_tensor *leaky(gr_tape *t, gr_tensor *x) { return gr_leaky_relu(t, x, 1.0); }
static gr_tensor *relu(gr_tape *t, gr_tensor *x) { return gr_relu(t, x); }
static gr_tensor *clamp(gr_tape *t, gr_tensor *x) { return gr_clamp(t, x, -(double)INFINITY, (double)INFINITY); }
static gr_tensor *sum_keep(gr_tape *t, gr_tensor *x)
{
    return gr_sum(t, gr_reshape(t, x, GR_SHAPE(1, 96)), GR_AXES(0), false);
}
static gr_tensor *upsample(gr_tape *t, gr_tensor *x) { return gr_upsample2d(t, x, 4, 4, GR_NEAREST); }
static gr_tensor *bilinear(gr_tape *t, gr_tensor *x) { return gr_upsample2d(t, x, 4, 4, GR_BILINEAR); }
static gr_tensor *max_pool(gr_tape *t, gr_tensor *x)
{
    return gr_max_pool2d(t, x, &(gr_pool2d_options){.kernel = {1, 1}});
}
static gr_tensor *avg_pool(gr_tape *t, gr_tensor *x)
{
    return gr_avg_pool2d(t, x, &(gr_pool2d_options){.kernel = {1, 1}});
}
static gr_tensor *dropout(gr_tape *t, gr_tensor *x) { return gr_dropout(t, x, 0.0, &(gr_rng){{1, 2, 3, 4}}); }
static gr_tensor *where(gr_tape *t, gr_tensor *x) { return gr_where(t, gr_constant(t, gr_dtype_of(x), 1.0), x, x); }

static gr_tensor *(*const idle[])(gr_tape *t, gr_tensor *x) = {
    reshape, reshape_rest, broadcast, permute, concat,   slice_first, slice_last, pad,      cast,     scale,   shift,
    power,   leaky,        relu,      clamp,   sum_keep, upsample,    bilinear,   max_pool, avg_pool, dropout, where};

/* loss = sum(3 y + 5 x) with y = op(x): the gradient of y is 3 and that of x, a result of the tape, 8. */
static void an_idle_op_makes_a_result(void **state)
{
    (void)state;
    for (gr_dtype dtype = GR_F32; dtype <= GR_F64; dtype++)
        for (int i = 0; i < (int)COUNT(idle); i++) {
            gr_tape *t = gr_tape_new();
            gr_tensor *leaf = gr_ones(dtype, 4, same);
            assert_false(gr_require_grad(leaf));
            gr_tensor *x = gr_scale(t, leaf, 2.0), *y = idle[i](t, x);
            if (!y || y == x) fail_msg("op %d returned %s", i, y ? "its input" : gr_last_error());
            gr_tensor *loss = gr_add(t, gr_sum(t, gr_scale(t, y, 3.0), GR_ALL_AXES, false),
                                     gr_sum(t, gr_scale(t, x, 5.0), GR_ALL_AXES, false));
            assert_false(gr_backward(t, loss, GR_RETAIN));
            assert_int_equal(gr_size(y), 96);
            for (int k = 0; k < 96; k++)
                if (gr_get(y, k) != 2.0 || gr_get(gr_gradient(y), k) != 3.0 || gr_get(gr_gradient(x), k) != 8.0)
                    fail_msg("op %d: y = %g, dy = %g, dx = %g", i, gr_get(y, k), gr_get(gr_gradient(y), k),
                             gr_get(gr_gradient(x), k));
            gr_tape_free(t);
            gr_tensor_free(leaf);
        }
}

/* ---- Gradients -------------------------------------------------------------------------------------------------- */

/* y = a + b has da = db = g. Of z = sum(g' da^2 + db), with g' = 2 g: dz/d(da) = 2 g' da, and dz/d(db) = 1. */
static void gradients_are_tensors_of_their_own(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    gr_tensor *a = gr_ones(GR_F64, GR_SHAPE(3)), *b = gr_ones(GR_F64, GR_SHAPE(3)),
              *c = gr_full(GR_F64, GR_SHAPE(3), 3.0);
    gr_tensor *const leaves[] = {a, b, a};
    assert_false(gr_require_grad(a) || gr_require_grad(b) || gr_require_grad(c));
    gr_tensor *g = gr_scale(t, c, 1.0), *d[3], *e[4];
    assert_false(gr_vjp(t, gr_add(t, a, b), g, leaves, 3, d, GR_CREATE_GRAPH));
    for (int i = 0; i < 3; i++) {
        assert_ptr_not_equal(d[i], g);
        for (int k = 0; k < i; k++) assert_ptr_not_equal(d[i], d[k]);
        for (int k = 0; k < 3; k++) assert_true(gr_get(d[i], k) == 3.0);
    }
    gr_tensor *z = gr_sum(t, gr_add(t, gr_square(t, d[0]), d[1]), GR_ALL_AXES, false);
    gr_tensor *const by[] = {d[0], d[1], g, c};
    assert_false(gr_grad(t, z, by, 4, e, GR_RETAIN));
    for (int k = 0; k < 3; k++)
        assert_true(gr_get(e[0], k) == 6.0 && gr_get(e[1], k) == 1.0 && gr_get(e[2], k) == 7.0 &&
                    gr_get(e[3], k) == 7.0);
    gr_tape_free(t);
    gr_tensor_free(a);
    gr_tensor_free(b);
    gr_tensor_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_op_makes_a_result),
        cmocka_unit_test(gradients_are_tensors_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
