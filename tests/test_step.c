/* test_step.c: what a step of an optimizer touches, with which rate, and which options it refuses. */
#include "optim_kit.h"

/* ---- The step ---------------------------------------------------------------------------------------------------- */

static void test_step_touches_what_has_a_gradient(void **state)
{
    (void)state;
    gr_params *params = gr_params_new();
    gr_tensor *a = gr_params_add(params, "a", gr_full(GR_F64, GR_SHAPE(3), 1.0));
    gr_tensor *b = gr_params_add(params, "b", gr_full(GR_F64, GR_SHAPE(3), 1.0));
    gr_optimizer *o = gr_sgd(params, &(gr_sgd_options){.lr = 0.5, .momentum = 0.5, .weight_decay = 0.5});
    assert_fails(gr_step(o), GR_ERR_STATE, "none of the 2 parameters");
    assert_true(gr_get(a, 0) == 1.0 && gr_get(b, 0) == 1.0);
    give_all(a, 1.0);
    give_all(b, 1.0);
    gr_zero_grad(b);
    uint32_t of_a = gr_version_of(a), of_b = gr_version_of(b);
    assert_int_equal(gr_step(o), GR_OK);
    assert_true(gr_get(a, 0) == 1.0 - 0.5 * 1.5);
    assert_true(gr_get(b, 0) == 1.0);
    assert_int_equal(gr_version_of(a), of_a + 1);
    assert_int_equal(gr_version_of(b), of_b);
    assert_null(gr_gradient(a));
    assert_null(gr_gradient(b));
    assert_fails(gr_step(o), GR_ERR_STATE, "sgd");
    gr_optimizer_free(o);
    gr_params_free(params);
    assert_fails(gr_step(NULL), GR_ERR_NULL, "step");
    gr_optimizer_free(NULL);
}

/* Parameters that have made the same number of steps at different rates. */
static void test_rates_of_parameters_in_turn(void **state)
{
    (void)state;
    gr_params *params = gr_params_new();
    gr_tensor *a = gr_params_add(params, "a", gr_zeros(GR_F64, GR_SCALAR));
    gr_tensor *b = gr_params_add(params, "b", gr_zeros(GR_F64, GR_SCALAR));
    gr_optimizer *o = gr_adam(params, &(gr_adam_options){.lr = 1.0, .eps = 1.0});
    give_all(a, 1.0);
    assert_int_equal(gr_step(o), GR_OK);
    assert_int_equal(gr_set_learning_rate(o, 0.5), GR_OK);
    give_all(b, 1.0);
    assert_int_equal(gr_step(o), GR_OK);
    assert_near(gr_item(a), -0.5, 1e-15);
    assert_near(gr_item(b), -0.25, 1e-15);
    gr_optimizer_free(o);
    gr_params_free(params);
}

static void test_step_of_a_view(void **state)
{
    (void)state;
    gr_tensor *table = gr_ones(GR_F32, GR_SHAPE(4, 2));
    gr_params *params = gr_params_new();
    gr_tensor *rows = gr_params_add(params, "rows", gr_view_rows(table, 1, 2));
    gr_optimizer *o = gr_sgd(params, &(gr_sgd_options){.lr = 0.5});
    give_all(rows, 1.0);
    uint32_t version = table->version;
    assert_int_equal(gr_step(o), GR_OK);
    assert_int_equal(table->version, version + 1);
    for (int64_t i = 0; i < 8; i++) assert_true(gr_get(table, i) == (i >= 2 && i < 6 ? 0.5 : 1.0));
    gr_params_free(params); /* the optimizer may go last */
    gr_optimizer_free(o);
    gr_tensor_free(table);
}

static void test_step_allocates_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(rules); i++) {
        watch_heap();
        gr_params *params = one(GR_F32, 50000, 1.0);
        gr_params_add(params, "b", gr_scalar(GR_F64, 1.0));
        gr_optimizer *o = rules[i].make(params);
        for (int step = 0; step < 3; step++) {
            give_all(gr_params_at(params, 0), 1.0);
            give_all(gr_params_at(params, 1), 1.0);
            int calls = heap.calls;
            assert_int_equal(gr_clip_grad_norm(params, 1.0, NULL), GR_OK);
            assert_int_equal(gr_clip_grad_value(params, 1.0), GR_OK);
            assert_int_equal(gr_step(o), GR_OK);
            assert_int_equal(heap.calls, calls);
        }
        gr_optimizer_free(o);
        gr_params_free(params);
        leave_heap();
    }
}

static void test_later_parameters(void **state)
{
    (void)state;
    gr_params *params = one(GR_F64, 2, 1.0);
    gr_optimizer *o = gr_sgd(params, NULL);
    gr_tensor *later = NULL;
    for (int i = 0; i < 20; i++) { /* the set's array moves */
        char name[] = {(char)('a' + i), 0};
        later = gr_params_add(params, name, gr_ones(GR_F64, GR_SCALAR));
    }
    give_all(gr_params_at(params, 20), 1.0);
    assert_fails(gr_step(o), GR_ERR_STATE, "none of the 1 parameters");
    give_all(gr_params_get(params, "w"), 1.0);
    assert_int_equal(gr_step(o), GR_OK);
    assert_true(gr_item(later) == 1.0);
    assert_non_null(gr_gradient(later));
    gr_optimizer_free(o);
    gr_params_free(params);
}

/* ---- With a tape ------------------------------------------------------------------------------------------------- */

/* y = sum(c w), whose gradient is c. */
static gr_tensor *weighted_sum(gr_tape *t, gr_tensor *c, gr_tensor *w)
{
    return gr_sum(t, gr_mul(t, c, w), GR_ALL_AXES, false);
}

static void test_with_a_tape(void **state)
{
    (void)state;
    gr_params *params = gr_params_new();
    gr_tensor *w = gr_params_add(params, "w", gr_from(GR_F64, GR_SHAPE(3), (double[]){1, 2, 3}));
    gr_tensor *c = gr_from(GR_F64, GR_SHAPE(3), (double[]){4, -5, 6});
    gr_optimizer *o = gr_sgd(params, &(gr_sgd_options){.lr = 0.5});
    gr_tape *t = gr_tape_new();
    gr_tensor *y = weighted_sum(t, c, w);
    assert_int_equal(gr_backward(t, y, GR_RETAIN), GR_OK);
    assert_int_equal(gr_step(o), GR_OK);
    assert_memory_equal(gr_read_f64(w), ((double[]){-1, 4.5, 0}), 3 * sizeof(double));
    assert_fails(gr_backward(t, y, 0), GR_ERR_STATE, "w");
    assert_null(gr_gradient(w));
    gr_tape_reset(t);

    /* Two backwards add up to one step; the step leaves nothing for the next. */
    assert_int_equal(gr_backward(t, weighted_sum(t, c, w), 0), GR_OK);
    assert_int_equal(gr_backward(t, weighted_sum(t, c, w), 0), GR_OK);
    assert_int_equal(gr_step(o), GR_OK);
    assert_memory_equal(gr_read_f64(w), ((double[]){-5, 9.5, -6}), 3 * sizeof(double));
    gr_tape_reset(t);
    assert_int_equal(gr_backward(t, weighted_sum(t, c, w), 0), GR_OK);
    assert_int_equal(gr_step(o), GR_OK);
    assert_memory_equal(gr_read_f64(w), ((double[]){-7, 12, -9}), 3 * sizeof(double));
    gr_tape_free(t);
    gr_optimizer_free(o);
    gr_tensor_free(c);
    gr_params_free(params);
}

/* Every optimizer with its defaults, but for the rate, finds the minimum. */
static void test_training(void **state)
{
    (void)state;
    const double rates[] = {0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.01, 0.01, 0.01};
    for (int i = 0; i < COUNT(rules); i++) {
        gr_params *params = gr_params_new();
        gr_tensor *w = gr_params_add(params, "w", gr_full(GR_F32, GR_SHAPE(4, 5), 1.0));
        gr_optimizer *o = rules[i].make(params);
        assert_int_equal(gr_set_learning_rate(o, rates[i]), GR_OK);
        gr_tape *t = gr_tape_new();
        for (int step = 0; step < 400; step++) {
            assert_int_equal(gr_backward(t, gr_sum(t, gr_square(t, w), GR_ALL_AXES, false), 0), GR_OK);
            assert_int_equal(gr_step(o), GR_OK);
            gr_tape_reset(t);
        }
        for (int64_t k = 0; k < gr_size(w); k++) assert_true(fabs(gr_get(w, k)) < 0.02);
        gr_tape_free(t);
        gr_optimizer_free(o);
        gr_params_free(params);
    }
}

/* ---- Options and rates ------------------------------------------------------------------------------------------- */

static void test_refused_options(void **state)
{
    (void)state;
    gr_params *p = one(GR_F32, 3, 1.0), *empty = gr_params_new();
    const double bad[] = {-0.5, -infinity, infinity, nan_};
    for (int i = 0; i < COUNT(bad); i++) {
        double x = bad[i];
        assert_refused(gr_sgd(p, &(gr_sgd_options){.lr = x}), GR_ERR_OPTION, "sgd: lr");
        assert_refused(gr_sgd(p, &(gr_sgd_options){.momentum = x}), GR_ERR_OPTION, "sgd: momentum");
        assert_refused(gr_sgd(p, &(gr_sgd_options){.weight_decay = x}), GR_ERR_OPTION, "sgd: weight_decay");
        assert_refused(gr_adam(p, &(gr_adam_options){.lr = x}), GR_ERR_OPTION, "adam: lr");
        assert_refused(gr_adam(p, &(gr_adam_options){.beta1 = x}), GR_ERR_OPTION, "adam: beta1");
        assert_refused(gr_adam(p, &(gr_adam_options){.beta2 = x}), GR_ERR_OPTION, "adam: beta2");
        assert_refused(gr_adam(p, &(gr_adam_options){.eps = x}), GR_ERR_OPTION, "adam: eps");
        assert_refused(gr_adam(p, &(gr_adam_options){.weight_decay = x}), GR_ERR_OPTION, "adam: weight_decay");
        assert_refused(gr_adamw(p, &(gr_adam_options){.weight_decay = x}), GR_ERR_OPTION, "adamw: weight_decay");
        assert_refused(gr_rmsprop(p, &(gr_rmsprop_options){.lr = x}), GR_ERR_OPTION, "rmsprop: lr");
        assert_refused(gr_rmsprop(p, &(gr_rmsprop_options){.alpha = x}), GR_ERR_OPTION, "rmsprop: alpha");
        assert_refused(gr_rmsprop(p, &(gr_rmsprop_options){.eps = x}), GR_ERR_OPTION, "rmsprop: eps");
        assert_refused(gr_rmsprop(p, &(gr_rmsprop_options){.momentum = x}), GR_ERR_OPTION, "rmsprop: momentum");
        assert_refused(gr_rmsprop(p, &(gr_rmsprop_options){.weight_decay = x}), GR_ERR_OPTION, "rmsprop: weight_decay");
    }
    assert_refused(gr_sgd(p, &(gr_sgd_options){.momentum = 1.0}), GR_ERR_OPTION, "expected 0 <= momentum < 1");
    assert_refused(gr_adam(p, &(gr_adam_options){.beta1 = 1.0}), GR_ERR_OPTION, "beta1");
    assert_refused(gr_adam(p, &(gr_adam_options){.beta2 = 1.5}), GR_ERR_OPTION, "beta2 is 1.5");
    assert_refused(gr_rmsprop(p, &(gr_rmsprop_options){.alpha = 1.0}), GR_ERR_OPTION, "alpha");
    assert_refused(gr_rmsprop(p, &(gr_rmsprop_options){.momentum = 1.0}), GR_ERR_OPTION, "momentum");
    assert_refused(gr_sgd(p, &(gr_sgd_options){.nesterov = true}), GR_ERR_OPTION, "nesterov needs a momentum");
    for (int i = 0; i < COUNT(rules); i++) {
        assert_refused(rules[i].make(NULL), GR_ERR_NULL, "the set of parameters");
        assert_refused(rules[i].make(empty), GR_ERR_SHAPE, "empty");
    }
    gr_params_free(empty);
    gr_params_free(p);
}

static void test_learning_rate(void **state)
{
    (void)state;
    gr_params *params = one(GR_F64, 3, 1.0);
    gr_optimizer *o = gr_adam(params, &(gr_adam_options){.lr = 0.25});
    assert_true(gr_learning_rate(o) == 0.25);
    const double bad[] = {-1.0, infinity, nan_};
    for (int i = 0; i < COUNT(bad); i++) {
        assert_fails(gr_set_learning_rate(o, bad[i]), GR_ERR_OPTION, "set_learning_rate: lr");
        assert_true(gr_learning_rate(o) == 0.25);
    }
    /* The message of the schedule that failed survives. */
    assert_fails(gr_set_learning_rate(o, gr_schedule_rate(&(gr_schedule){.kind = GR_STEP, .base = 1.0}, 0)),
                 GR_ERR_OPTION, "schedule_rate: gamma");
    assert_true(gr_learning_rate(o) == 0.25);
    assert_int_equal(gr_set_learning_rate(o, 0.0), GR_OK);
    assert_true(gr_learning_rate(o) == 0.0);
    give_all(gr_params_at(params, 0), 1.0);
    assert_int_equal(gr_step(o), GR_OK);
    assert_true(gr_get(gr_params_at(params, 0), 0) == 1.0);
    assert_fails(gr_set_learning_rate(NULL, 1.0), GR_ERR_NULL, "optimizer");
    assert_true(isnan(gr_learning_rate(NULL)));
    assert_fails(gr_last_status(), GR_ERR_NULL, "optimizer");
    gr_optimizer_free(o);
    gr_params_free(params);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_step_touches_what_has_a_gradient),
        TEST(test_rates_of_parameters_in_turn),
        TEST(test_step_of_a_view),
        TEST(test_step_allocates_nothing),
        TEST(test_later_parameters),
        TEST(test_with_a_tape),
        TEST(test_training),
        TEST(test_refused_options),
        TEST(test_learning_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
