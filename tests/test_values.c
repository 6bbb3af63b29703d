/* test_values.c: which numbers a dtype holds, wherever a number of the caller's becomes an element or the option of an
 * op. I32 holds whole numbers of 32 bits. F32 rounds; but a finite number does not become an infinity. What is refused
 * is refused with the number, the dtype and the next step, and nothing has changed. */
#include "helpers.h"

#include <gradus/gradus.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const double largest = 0x1.fffffep127;            /* of F32 */
static const double rounds_down = 0x1.fffffefffffffp127; /* the last number that F32 rounds to it */

static const struct {
    gr_dtype dtype;
    double value;
    bool held;
} numbers[] = {
    {GR_I32, 0.0, true},
    {GR_I32, -0.0, true},
    {GR_I32, 2147483647.0, true},
    {GR_I32, -2147483648.0, true},
    {GR_I32, 2147483648.0, false},
    {GR_I32, -2147483649.0, false},
    {GR_I32, 1.9, false},
    {GR_I32, -0.9, false},
    {GR_I32, 0.5, false},
    {GR_I32, 1e-300, false},
    {GR_I32, (double)NAN, false},
    {GR_I32, (double)INFINITY, false},
    {GR_F32, 0x1.fffffep127, true},
    {GR_F32, 1e39, false},
    {GR_F32, -1e39, false},
    {GR_F32, 1e-50, true},
    {GR_F32, (double)NAN, true},
    {GR_F32, -(double)INFINITY, true},
    {GR_F64, 1e308, true},
    {GR_F64, (double)NAN, true},
    {GR_F64, (double)INFINITY, true},
};

/* The ways of a double into a tensor: whether it went, and the element. */
static bool by_full(gr_dtype d, double v, double *to)
{
    gr_tensor *x = gr_full(d, GR_SHAPE(2), v);
    *to = x ? gr_get(x, 1) : 0.0;
    gr_tensor_free(x);
    return x != NULL;
}

static bool by_scalar(gr_dtype d, double v, double *to)
{
    gr_tensor *x = gr_scalar(d, v);
    *to = x ? gr_item(x) : 0.0;
    gr_tensor_free(x);
    return x != NULL;
}

static bool by_set(gr_dtype d, double v, double *to)
{
    gr_tensor *x = gr_full(d, GR_SHAPE(2), 7.0);
    const bool went = !gr_set(x, 1, v);
    *to = gr_get(x, 1);
    assert_true(went || *to == 7.0);
    gr_tensor_free(x);
    return went;
}

static bool by_copy(gr_dtype d, double v, double *to)
{
    gr_tensor *x = gr_full(GR_F64, GR_SHAPE(2), v), *y = gr_copy_as(d, x);
    *to = y ? gr_get(y, 1) : 0.0;
    if (!y) assert_non_null(strstr(gr_last_error(), "at [0]"));
    gr_tensor_free(x);
    gr_tensor_free(y);
    return y != NULL;
}

static bool by_params(gr_dtype d, double v, double *to)
{
    gr_params *p = gr_params_new(), *q;
    assert_non_null(gr_params_add(p, "w", gr_full(GR_F64, GR_SHAPE(2), v)));
    q = gr_params_copy_as(d, p);
    *to = q ? gr_get(gr_params_at(q, 0), 1) : 0.0;
    gr_params_free(p);
    gr_params_free(q);
    return q != NULL;
}

static bool by_constant(gr_dtype d, double v, double *to)
{
    gr_tape *t = gr_tape_new();
    gr_tensor *x = gr_constant(t, d, v);
    *to = x ? gr_item(x) : 0.0;
    gr_tape_free(t);
    return x != NULL;
}

static bool by_pad(gr_dtype d, double v, double *to)
{
    gr_tape *t = gr_tape_new();
    gr_tensor *x = gr_ones(d, GR_SHAPE(1)), *y = gr_pad(t, x, 0, 0, 1, v);
    *to = y ? gr_get(y, 1) : 0.0;
    gr_tape_free(t);
    gr_tensor_free(x);
    return y != NULL;
}

static const struct {
    const char *name;
    bool (*put)(gr_dtype d, double v, double *to);
    bool floats_only;
} ways[] = {{"gr_full", by_full, false},    {"gr_scalar", by_scalar, false},        {"gr_set", by_set, false},
            {"gr_copy_as", by_copy, false}, {"gr_params_copy_as", by_params, true}, {"gr_constant", by_constant, true},
            {"gr_pad", by_pad, true}};

static void elements(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ways); i++)
        for (size_t k = 0; k < COUNT(numbers); k++) {
            const gr_dtype d = numbers[k].dtype;
            const double v = numbers[k].value, held = d == GR_F32 ? (double)(float)v : v;
            double to;
            if (d == GR_I32 && ways[i].floats_only) continue;
            gr_clear_error();
            if (ways[i].put(d, v, &to) != numbers[k].held)
                fail_msg("%s: %g as %s: %s", ways[i].name, v, gr_dtype_name(d), gr_last_error());
            if (numbers[k].held && !(to == held || (isnan(to) && isnan(held))))
                fail_msg("%s: %g became %g", ways[i].name, v, to);
            if (numbers[k].held) continue;
            assert_failed_with(ways[i].name, GR_ERR_VALUE, "is no value of");
            assert_non_null(strstr(gr_last_error(), gr_dtype_name(d)));
            assert_non_null(strstr(gr_last_error(), "use f"));
        }
    double to;
    assert_true(by_full(GR_F32, rounds_down, &to) && to == largest);
    assert_false(by_full(GR_F32, 0x1.ffffffp127, &to)); /* halfway, which rounds to the even one: 2^128 */
}

static void sequences_and_draws(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(1), before = rng;
    gr_clear_error();
    assert_null(gr_arange(GR_I32, 0, 2, 0.5));
    assert_failed_with("arange", GR_ERR_VALUE, "arange: 0.5 is no value of i32, which holds whole numbers");
    assert_null(gr_normal(GR_F32, GR_SHAPE(100), 0.0, 3e38, &rng));
    assert_failed_with("normal", GR_ERR_VALUE, "is no value of f32");
    assert_memory_equal(&rng, &before, sizeof rng);
    assert_null(gr_uniform(GR_F32, GR_SHAPE(2), 0.0, 1e39, &rng));
    assert_failed_with("uniform", GR_ERR_VALUE, "uniform: 1e+39 is no value of f32");
    assert_null(gr_make_blobs(4, 1e38, &rng));
    assert_failed_with("blobs", GR_ERR_OPTION, "a spread of 1e+38");
    assert_memory_equal(&rng, &before, sizeof rng);
}

/* 1e39 and 1e-50 are numbers of F64; F32 would compute with an infinity and with 0. A slope that is NaN would show at
 * the first number below 0 only; arithmetic takes what it is given. */
static void numbers_of_ops(void **state)
{
    (void)state;
    typedef gr_tensor *(*by_number)(gr_tape * t, gr_tensor * x, double a);
    static const by_number ops[] = {gr_scale, gr_shift, gr_leaky_relu, gr_elu};
    static const double refused[] = {1e39, -1e39, 1e-50, -1e-50}, never[] = {(double)NAN, (double)INFINITY};
    gr_tape *t = gr_tape_new();
    gr_tensor *x = gr_ones(GR_F32, GR_SHAPE(2)), *y = gr_ones(GR_F64, GR_SHAPE(2));
    for (size_t i = 0; i < COUNT(ops); i++) {
        for (size_t k = 0; k < COUNT(refused); k++) {
            gr_clear_error();
            assert_null(ops[i](t, x, refused[k]));
            assert_failed_with("f32", GR_ERR_OPTION, "which f32 rounds to");
            assert_non_null(ops[i](t, y, refused[k]));
        }
        for (size_t k = 0; k < COUNT(never); k++) {
            const bool arithmetic = i < 2;
            assert_int_equal(ops[i](t, x, never[k]) != NULL, arithmetic);
            assert_int_equal(ops[i](t, y, never[k]) != NULL, arithmetic);
            if (!arithmetic) assert_failed_with("f64", GR_ERR_OPTION, "expected a finite number");
        }
    }
    assert_non_null(gr_pow_scalar(t, x, 1e39)); /* an exponent is a double for every dtype */
    assert_null(gr_clamp(t, x, -1e39, 1.0));
    assert_failed_with("clamp", GR_ERR_VALUE, "clamp: -1e+39 is no value of f32");
    assert_non_null(gr_clamp(t, x, -(double)INFINITY, 1.0));
    assert_null(gr_max_pool2d(t, gr_reshape(t, y, GR_SHAPE(1, 1, 1, 2)),
                              &(gr_pool2d_options){.kernel = {1, 2}, .exclude_padding = true}));
    assert_failed_with("max_pool2d", GR_ERR_OPTION, "max_pool2d: has no exclude_padding");
    gr_tape_free(t);
    gr_tensor_free(x);
    gr_tensor_free(y);
}

static void rates(void **state)
{
    (void)state;
    gr_params *p = gr_params_new();
    assert_non_null(gr_params_add(p, "w", gr_ones(GR_F32, GR_SHAPE(2))));
    gr_clear_error();
    assert_null(gr_adam(p, &(gr_adam_options){.lr = 1e39}));
    assert_failed_with("lr", GR_ERR_OPTION, "adam: lr is 1e+39, which f32 rounds to an infinity");
    assert_null(gr_adam(p, &(gr_adam_options){.eps = 1e-50}));
    assert_failed_with("eps", GR_ERR_OPTION, "adam: eps is 1e-50, which f32 rounds to 0");
    gr_optimizer *adam = gr_adam(p, NULL);
    assert_int_equal(gr_set_learning_rate(adam, 1e39), GR_ERR_VALUE);
    assert_int_equal(gr_set_learning_rate(adam, 1e-60), GR_OK); /* a schedule may end so: such a step changes nothing */
    gr_optimizer_free(adam);
    gr_params_free(p);
}

static void standardizing(void **state)
{
    (void)state;
    gr_dataset *set =
        gr_dataset_new(gr_from(GR_F32, GR_SHAPE(2, 1), (float[]){0.0f, 1e-30f}), gr_ones(GR_F32, GR_SHAPE(2)));
    gr_dataset *far =
        gr_dataset_new(gr_from(GR_F32, GR_SHAPE(2, 1), (float[]){1.0f, 1e30f}), gr_ones(GR_F32, GR_SHAPE(2)));
    gr_clear_error();
    assert_int_equal(gr_dataset_standardize(set, &far, 1), GR_ERR_VALUE);
    assert_failed_with("far", GR_ERR_VALUE, "1e+30 at [1,0] lies 2");
    assert_non_null(strstr(gr_last_error(), "deviations from the mean, which is no number of f32"));
    assert_true(gr_get(gr_dataset_x(set), 1) == (double)1e-30f && gr_get(gr_dataset_x(far), 0) == 1.0);
    gr_dataset_free(set);
    gr_dataset_free(far);
}

static void flags_and_ignored_targets(void **state)
{
    (void)state;
    gr_tape *t = gr_tape_new();
    gr_tensor *x = gr_full(GR_F64, GR_SHAPE(2, 3), 0.5), *y, *out, *classes = gr_zeros(GR_I32, GR_SHAPE(2));
    assert_false(gr_require_grad(x));
    y = gr_sum(t, x, GR_ALL_AXES, false);
    gr_clear_error();
    assert_int_equal(gr_backward(t, y, 12345), GR_ERR_OPTION);
    assert_failed_with("flags", GR_ERR_OPTION, "backward: unknown flags 12345");
    assert_int_equal(gr_grad(t, y, &x, 1, &out, -1), GR_ERR_OPTION);
    assert_int_equal(gr_vjp(t, y, NULL, &x, 1, &out, 4), GR_ERR_OPTION);
    assert_int_equal(gr_backward_from(t, x, x, 8), GR_ERR_OPTION);
    assert_null(gr_gradient(x));
    assert_null(gr_cross_entropy(t, x, classes, &(gr_loss_options){.ignore = true, .ignore_index = 254.5}));
    assert_failed_with("half", GR_ERR_OPTION,
                       "cross_entropy: ignore_index is 254.5, which no target equals: they are i32");
    assert_null(gr_l1(t, x, x, &(gr_loss_options){.ignore = true, .ignore_index = (double)NAN}));
    assert_failed_with("nan", GR_ERR_OPTION, "l1: ignore_index is nan, which no target equals");
    gr_tape_free(t);
    gr_tensor_free(x);
    gr_tensor_free(classes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements), cmocka_unit_test(sequences_and_draws), cmocka_unit_test(numbers_of_ops),
        cmocka_unit_test(rates),    cmocka_unit_test(standardizing),       cmocka_unit_test(flags_and_ignored_targets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
