/* test_finite_steps.c: no step leaves a number that is not finite in a parameter or in an optimizer's state. A step
 * that would is refused, names the parameter, and changes nothing: an optimizer that was refused in between goes on bit
 * by bit as its twin that was not asked. */
#include "optim_kit.h"

enum { N = 3000 };

/* Two parameters, the second of which is met last. */
typedef struct subject {
    gr_params *params;
    gr_tensor *a, *b;
    gr_optimizer *o;
} subject;

static subject make(const rule *r, gr_dtype dtype)
{
    subject s = {.params = gr_params_new()};
    s.a = gr_params_add(s.params, "first", gr_full(dtype, GR_SHAPE(5), 0.5));
    s.b = gr_params_add(s.params, "second", gr_full(dtype, GR_SHAPE(N), -0.25));
    s.o = r->make(s.params);
    assert_non_null(s.o);
    return s;
}

static void end_of(subject *s)
{
    gr_optimizer_free(s->o);
    gr_params_free(s->params);
}

static void give_some(subject *s, double size)
{
    give_all(s->a, size);
    give_all(s->b, -size);
}

static void assert_same_bits(const char *what, const subject *s, const subject *t)
{
    for (int i = 0; i < 2; i++) {
        const gr_tensor *x = i ? s->b : s->a, *y = i ? t->b : t->a;
        if (memcmp(x->data, y->data, gr_bytes(x)) != 0) fail_msg("%s: a refused step left something behind", what);
    }
}

static void a_gradient_that_is_not_finite(void **state)
{
    (void)state;
    const double bad[] = {nan_, infinity, -infinity};
    const int64_t places[] = {0, 1023, 1024, N - 1};
    for (int i = 0; i < COUNT(rules); i++)
        for (int dtype = GR_F32; dtype <= GR_F64; dtype++)
            for (int k = 0; k < COUNT(bad) * COUNT(places); k++) {
                subject s = make(&rules[i], (gr_dtype)dtype), twin = make(&rules[i], (gr_dtype)dtype);
                const int64_t place = places[k / COUNT(bad)];
                for (int step = 0; step < 3; step++) {
                    give_some(&s, 0.5);
                    assert_int_equal(gr_set(s.b->grad, place, bad[k % COUNT(bad)]), GR_OK);
                    char part[64];
                    snprintf(part, sizeof part, "at [%d], where its gradient is %g", (int)place, bad[k % COUNT(bad)]);
                    for (int again = 0; again < 2; again++) assert_fails(gr_step(s.o), GR_ERR_VALUE, part);
                    assert_same_bits(rules[i].name, &s, &twin);
                    assert_true(gr_gradient(s.a) && gr_gradient(s.b));
                    give_some(&s, 0.125);
                    give_some(&twin, 0.125);
                    assert_int_equal(gr_step(s.o), GR_OK);
                    assert_int_equal(gr_step(twin.o), GR_OK);
                    assert_same_bits(rules[i].name, &s, &twin);
                }
                end_of(&s);
                end_of(&twin);
            }
}

static void the_message_names_the_parameter(void **state)
{
    (void)state;
    subject s = make(&rules[0], GR_F32);
    give_some(&s, 1.0);
    assert_int_equal(gr_set(s.b->grad, 7, nan_), GR_OK);
    assert_fails(gr_step(s.o), GR_ERR_VALUE,
                 "step: sgd would make second nan at [7], where its gradient is nan; nothing was changed: "
                 "look at the loss and the data for NaN");
    end_of(&s);
    s = make(&rules[4], GR_F32);
    give_some(&s, 1e20);
    assert_fails(
        gr_step(s.o), GR_ERR_VALUE,
        "step: adam would make the state of first inf at [0], where its gradient is 1e+20; nothing was changed");
    assert_null(strstr(gr_last_error(), "look at"));
    end_of(&s);
}

/* From finite gradients. The bounds are those of the arithmetic: Adam's v holds the square of 1.8e19, and not that of
 * 1.9e19. */
static void overflow_from_finite_numbers(void **state)
{
    (void)state;
    gr_params *p = one(GR_F32, 3, 1.0), *q = one(GR_F64, 3, 1.0);
    gr_tensor *w = gr_params_at(p, 0), *v = gr_params_at(q, 0);
    const struct {
        gr_optimizer *o;
        gr_tensor *w;
        double start, g;
        bool fits;
    } rows[] = {
        {gr_adam(p, NULL), w, 1.0, 1.8e19, true},
        {gr_adam(p, NULL), w, 1.0, 1.9e19, false},
        {gr_adamw(p, NULL), w, 1.0, -1.9e19, false},
        {gr_rmsprop(p, NULL), w, 1.0, 1.8e19, true},
        {gr_rmsprop(p, NULL), w, 1.0, -1.9e19, false},
        {gr_adam(q, NULL), v, 1.0, 1e150, true},
        {gr_adam(q, NULL), v, 1.0, 1e160, false},
        {gr_sgd(p, &(gr_sgd_options){.lr = 0.5}), w, 3e38, -3e38, false},
        {gr_sgd(p, &(gr_sgd_options){.lr = 0.5}), w, -3e38, -3e38, true},
        {gr_sgd(q, &(gr_sgd_options){.lr = 0.5}), v, 1e300, -1e300, true},
        {gr_sgd(q, &(gr_sgd_options){.lr = 1.5}), v, 1.7e308, -1e308, false},
        {gr_adam(p, &(gr_adam_options){.lr = 1e37}), w, 1.0, 1.0, true},
        {gr_adam(p, &(gr_adam_options){.lr = 1e38}), w, 1.0, 1e3, false},
        {gr_rmsprop(p, &(gr_rmsprop_options){.lr = 1e38}), w, 1.0, 1.0, false},
        {gr_sgd(p, &(gr_sgd_options){.momentum = 0.9}), w, infinity, 1.0, false},
        {gr_sgd(p, NULL), w, nan_, 1.0, false},
    };
    for (int i = 0; i < COUNT(rows); i++) {
        gr_tensor *x = rows[i].w;
        assert_non_null(rows[i].o);
        for (int64_t k = 0; k < 3; k++) assert_int_equal(gr_set(x, k, k == 2 ? rows[i].start : 0.0), GR_OK);
        give(x, (double[]){0.5, 0.5, rows[i].g});
        const gr_status status = gr_step(rows[i].o);
        if ((status == GR_OK) != rows[i].fits) fail_msg("row %d: %s", i, status ? gr_last_error() : "was accepted");
        if (status) assert_fails(status, GR_ERR_VALUE, "nothing was changed");
        for (int64_t k = 0; status && k < 3; k++) {
            const double expected = k == 2 ? rows[i].start : 0.0;
            const double now = gr_get(x, k);
            assert_true(isnan(expected) ? isnan(now)
                                        : now == (x->dtype == GR_F32 ? (double)(float)expected : expected));
        }
        for (int64_t k = 0; !status && k < 3; k++) assert_true(isfinite(gr_get(x, k)));
    }
    for (int i = 0; i < COUNT(rows); i++) gr_optimizer_free(rows[i].o);
    gr_params_free(p);
    gr_params_free(q);
}

/* ---- Whatever the numbers are ------------------------------------------------------------------------------------ */

/* Either sign, any size that a double or float has, often 0. */
static double any_size(gr_rng *rng, gr_dtype dtype)
{
    const double most = dtype == GR_F32 ? 126.0 : 1022.0, at = gr_rng_uniform(rng);
    if (at < 0.2) return 0.0;
    const double size = exp2((2.0 * gr_rng_uniform(rng) - 1.0) * (at < 0.6 ? 10.0 : most));
    return gr_rng_uniform(rng) < 0.5 ? size : -size;
}

static double option(gr_rng *rng)
{
    const double size = fabs(any_size(rng, gr_rng_uniform(rng) < 0.8 ? GR_F32 : GR_F64));
    return gr_rng_uniform(rng) < 0.3 ? 0.0 : size;
}

static double below_1(gr_rng *rng) { return gr_rng_uniform(rng) < 0.3 ? 1.0 - 1e-12 : gr_rng_uniform(rng); }

static gr_optimizer *any_optimizer(gr_params *p, gr_rng *rng, int kind)
{
    if (kind == 0) return gr_sgd(p, &(gr_sgd_options){.lr = option(rng), .weight_decay = option(rng)});
    if (kind == 1)
        return gr_sgd(p, &(gr_sgd_options){.lr = option(rng), .momentum = below_1(rng), .weight_decay = option(rng)});
    if (kind == 2) return gr_sgd(p, &(gr_sgd_options){.lr = option(rng), .momentum = below_1(rng), .nesterov = true});
    const gr_adam_options adam_ = {.lr = option(rng),
                                   .beta1 = below_1(rng),
                                   .beta2 = below_1(rng),
                                   .eps = option(rng),
                                   .weight_decay = option(rng)};
    if (kind < 5) return kind == 3 ? gr_adam(p, &adam_) : gr_adamw(p, &adam_);
    return gr_rmsprop(p, &(gr_rmsprop_options){.lr = option(rng),
                                               .alpha = below_1(rng),
                                               .eps = option(rng),
                                               .momentum = kind == 5 ? below_1(rng) : 0.0,
                                               .weight_decay = option(rng)});
}

/* Gradients of any size, weights that are changed by hand: a step is refused, or all stays finite. State that is not
 * finite would show, for the later gradients are 0 and then small: every rule adds its state or divides by it. */
static void numbers_of_any_size(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(11);
    int refused = 0, made = 0;
    for (int trial = 0; trial < 6000; trial++) {
        const gr_dtype dtype = trial % 2 ? GR_F64 : GR_F32;
        gr_params *params = one(dtype, 4, 1.0);
        gr_tensor *w = gr_params_at(params, 0);
        gr_optimizer *o = any_optimizer(params, &rng, trial % 7);
        if (!o) { /* an option that the dtype does not hold */
            assert_int_equal(gr_last_status(), GR_ERR_OPTION);
            assert_int_equal(dtype, GR_F32);
            gr_clear_error();
            gr_params_free(params);
            continue;
        }
        for (int step = 0; step < 6; step++) {
            double before[4], g[4];
            if (step == 3) assert_int_equal(gr_set(w, 1, any_size(&rng, dtype)), GR_OK);
            for (int k = 0; k < 4; k++) g[k] = step < 4 ? any_size(&rng, dtype) : step == 4 ? 0.0 : 1e-3;
            for (int k = 0; k < 4; k++) before[k] = gr_get(w, k);
            give(w, g);
            const gr_status status = gr_step(o);
            if (status) assert_fails(status, GR_ERR_VALUE, "step: ");
            refused += status != GR_OK;
            made += status == GR_OK;
            for (int k = 0; k < 4; k++)
                if (!isfinite(gr_get(w, k)) || (status && gr_get(w, k) != before[k]))
                    fail_msg("trial %d, step %d: %g becomes %g", trial, step, before[k], gr_get(w, k));
        }
        gr_optimizer_free(o);
        gr_params_free(params);
    }
    assert_true(refused > 3000 && made > 3000);
}

/* What is large and stays finite is no reason to refuse, step after step; nor do many steps make one. */
static void large_numbers_that_fit(void **state)
{
    (void)state;
    gr_params *params = one(GR_F32, N, 1e37);
    gr_optimizer *o = gr_sgd(params, &(gr_sgd_options){.lr = 1e-30, .momentum = 0.5});
    for (int step = 0; step < 50; step++) {
        give_all(gr_params_at(params, 0), step % 2 ? 1e38 : -1e38);
        assert_int_equal(gr_step(o), GR_OK);
    }
    gr_optimizer_free(o);
    gr_params_free(params);
    params = one(GR_F32, 1, 1.0);
    o = gr_adam(params, &(gr_adam_options){.lr = 1.0, .eps = 1e-30}); /* a bound of 1e30 more each step */
    for (int step = 0; step < 200000; step++) {
        give_all(gr_params_at(params, 0), step % 2 ? 1.0 : -1.0);
        assert_int_equal(gr_step(o), GR_OK);
    }
    gr_optimizer_free(o);
    gr_params_free(params);
}

/* ---- What feeds a step ------------------------------------------------------------------------------------------- */

/* Clipping by norm refuses what is not finite, and by value lets NaN pass, which the step then meets; a rate that a
 * schedule cannot give is never set. */
static void clipping_and_schedules(void **state)
{
    (void)state;
    subject s = make(&rules[4], GR_F32), twin = make(&rules[4], GR_F32);
    give_some(&s, 1.0);
    assert_int_equal(gr_set(s.b->grad, 3, nan_), GR_OK);
    assert_fails(gr_clip_grad_norm(s.params, 1.0, NULL), GR_ERR_VALUE, "the gradient of second is nan at [3]");
    assert_int_equal(gr_clip_grad_value(s.params, 0.5), GR_OK);
    assert_fails(gr_step(s.o), GR_ERR_VALUE, "second");
    assert_same_bits("clipped", &s, &twin);
    const gr_schedule up = {.kind = GR_EXPONENTIAL, .base = 1.0, .gamma = 1e200};
    assert_fails(gr_set_learning_rate(s.o, gr_schedule_rate(&up, 2)), GR_ERR_OPTION, "past every number");
    assert_fails(gr_set_learning_rate(s.o, nan_), GR_ERR_OPTION, "lr is nan");
    assert_fails(gr_set_learning_rate(s.o, infinity), GR_ERR_OPTION, "lr is inf");
    assert_true(gr_learning_rate(s.o) == gr_learning_rate(twin.o));
    end_of(&s);
    end_of(&twin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_gradient_that_is_not_finite), TEST(the_message_names_the_parameter), TEST(overflow_from_finite_numbers),
        TEST(numbers_of_any_size),           TEST(large_numbers_that_fit),          TEST(clipping_and_schedules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
