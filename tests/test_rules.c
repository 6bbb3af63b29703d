/* test_rules.c: the update rules: every optimizer against its recurrence, step by step. */
#include "optim_kit.h"

/* ---- Optimizers against their recurrences ------------------------------------------------------------------------ */

/* Three parameters: a scalar, one with a vector body and a rest, one that sits every third step out; and one of no
 * elements at all. The quadratic is sum a_k (w_k - c_k)^2 / 2. */
enum { N_PARAMS = 4, N_ELEMENTS = 37, N_STEPS = 30 };

static const int64_t lengths[N_PARAMS] = {1, N_ELEMENTS, 5, 0};

static long double stiffness(int p, int64_t i) { return 0.5L + 0.25L * (long double)((i + 3 * p) % 7); }

static long double target(int p, int64_t i) { return 1.0L + 0.5L * (long double)((3 * i + p) % 5); }

static double start(int p, int64_t i) { return -1.5 + 0.0625 * (double)((5 * i + p) % 11); }

static void run_beside_recurrence(const rule *r, gr_dtype dtype, double tolerance)
{
    gr_params *params = gr_params_new();
    element e[N_PARAMS][N_ELEMENTS] = {0};
    for (int p = 0; p < N_PARAMS; p++) {
        char name[] = {(char)('a' + p), 0};
        gr_tensor *w = gr_params_add(params, name, gr_zeros(dtype, p ? 1 : 0, &lengths[p]));
        assert_non_null(w);
        for (int64_t i = 0; i < lengths[p]; i++) {
            assert_int_equal(gr_set(w, i, start(p, i)), GR_OK);
            e[p][i].w = (long double)start(p, i);
        }
    }
    gr_optimizer *o = r->make(params);
    assert_non_null(o);
    double lr = r->lr, worst = 0.0;
    assert_true(gr_learning_rate(o) == lr);
    for (int step = 0; step < N_STEPS; step++) {
        if (step == 12) {
            lr *= 0.5;
            assert_int_equal(gr_set_learning_rate(o, lr), GR_OK);
        }
        for (int p = 0; p < N_PARAMS; p++) {
            gr_tensor *w = gr_params_at(params, p);
            if (p == 2 && step % 3 == 2) continue;
            double g[N_ELEMENTS] = {0};
            for (int64_t i = 0; i < lengths[p]; i++) {
                g[i] = (double)(stiffness(p, i) * ((long double)gr_get(w, i) - target(p, i)));
                e[p][i].t++;
                r->advance(&e[p][i], stiffness(p, i) * (e[p][i].w - target(p, i)), (long double)lr);
            }
            give(w, g);
        }
        assert_int_equal(gr_step(o), GR_OK);
        for (int p = 0; p < N_PARAMS; p++)
            for (int64_t i = 0; i < lengths[p]; i++) {
                double error = fabs(gr_get(gr_params_at(params, p), i) - (double)e[p][i].w);
                if (!(error <= tolerance))
                    fail_msg("%s, %s, step %d, parameter %d, element %d: %.17g, expected %.17Lg", r->name,
                             gr_dtype_name(dtype), step, p, (int)i, gr_get(gr_params_at(params, p), i), e[p][i].w);
                if (error > worst) worst = error;
            }
    }
    if (getenv("VERBOSE")) printf("%-22s %s worst error %.2g\n", r->name, gr_dtype_name(dtype), worst);
    gr_optimizer_free(o);
    gr_params_free(params);
}

static void test_recurrences(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(rules); i++) {
        run_beside_recurrence(&rules[i], GR_F64, 4e-15);
        run_beside_recurrence(&rules[i], GR_F32, 2e-6);
    }
}

/* The first step from w = 1 with g = 2, by hand. */
static void test_first_step(void **state)
{
    (void)state;
    const struct {
        gr_optimizer *(*make)(gr_params *params);
        double w;
    } cases[] = {
        {make_sgd, 1.0 - 0.01 * 2.0},
        {make_sgd_decay, 1.0 - 0.1 * 2.3},
        {make_momentum, 1.0 - 0.05 * 2.2},
        {make_nesterov, 1.0 - 0.05 * (2.2 + 0.8 * 2.2)},
        {make_adam, 1.0 - 0.001 * 2.0 / (2.0 + 1e-8)},
        {make_adam_all, 1.0 - 0.05 * 2.2 / (2.2 + 0.1)},
        {make_adamw_all, 1.0 - 0.05 * 0.2 - 0.05 * 2.0 / (2.0 + 0.1)},
        {make_rmsprop, 1.0 - 0.01 * 2.0 / (0.2 + 1e-8)},
        {make_rmsprop_all, 1.0 - 0.02 * 2.2 / (sqrt(0.1) * 2.2 + 0.1)},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        gr_params *params = one(GR_F64, 1, 1.0);
        gr_optimizer *o = cases[i].make(params);
        give(gr_params_at(params, 0), (double[]){2.0});
        assert_int_equal(gr_step(o), GR_OK);
        assert_near(gr_get(gr_params_at(params, 0), 0), cases[i].w, 1e-15);
        gr_optimizer_free(o);
        gr_params_free(params);
    }
}

/* A large parameter, which is updated in spans by several threads, against the same elements as many small ones. */
static void test_large_equals_small(void **state)
{
    (void)state;
    enum { LARGE = 100003, SMALL = 61 };
    for (int i = 0; i < COUNT(rules); i++)
        for (gr_dtype dtype = GR_F32; dtype <= GR_F64; dtype++) {
            gr_rng rng = gr_rng_seed(7);
            gr_params *large = gr_params_new(), *small = gr_params_new();
            gr_tensor *w = gr_params_add(large, "w", gr_normal(dtype, GR_SHAPE(LARGE), 0.0, 1.0, &rng));
            for (int64_t at = 0; at < LARGE; at += SMALL) {
                char name[32];
                snprintf(name, sizeof name, "w%lld", (long long)at);
                int64_t n = LARGE - at < SMALL ? LARGE - at : SMALL;
                assert_non_null(gr_params_add(
                    small, name, gr_from(dtype, GR_SHAPE(n), (char *)w->data + (size_t)at * gr_dtype_bytes(dtype))));
            }
            gr_optimizer *of_large = rules[i].make(large), *of_small = rules[i].make(small);
            for (int step = 0; step < 3; step++) {
                gr_tensor *g = gr_normal(GR_F64, GR_SHAPE(LARGE), 0.0, 1.0, &rng);
                give(w, gr_read_f64(g));
                for (int p = 0; p < gr_params_count(small); p++)
                    give(gr_params_at(small, p), gr_read_f64(g) + (int64_t)p * SMALL);
                gr_tensor_free(g);
                assert_int_equal(gr_step(of_large), GR_OK);
                assert_int_equal(gr_step(of_small), GR_OK);
            }
            const char *data = w->data;
            for (int p = 0; p < gr_params_count(small); p++) {
                const gr_tensor *part = gr_params_at(small, p);
                if (memcmp(data, part->data, gr_bytes(part)) != 0)
                    fail_msg("%s, %s: bits of %s differ", rules[i].name, gr_dtype_name(dtype), gr_name(part));
                data += gr_bytes(part);
            }
            gr_optimizer_free(of_large);
            gr_optimizer_free(of_small);
            gr_params_free(large);
            gr_params_free(small);
        }
}

/* State that would be denormal is 0: the weight does not move, though the rate would show the smallest motion. */
static void test_denormal_state(void **state)
{
    (void)state;
    gr_params *params = one(GR_F32, 20, 0.0);
    gr_tensor *w = gr_params_at(params, 0);
    gr_optimizer *const optimizers[] = {
        gr_sgd(params, &(gr_sgd_options){.lr = 1e30, .momentum = 0.9}),
        gr_adam(params, &(gr_adam_options){.lr = 1e30, .eps = 1.0, .beta1 = 0.5}),
        gr_rmsprop(params, &(gr_rmsprop_options){.lr = 1e30, .eps = 1.0, .momentum = 0.9}),
    };
    for (int i = 0; i < COUNT(optimizers); i++) {
        give_all(w, 1e-38);
        assert_int_equal(gr_step(optimizers[i]), GR_OK);
        for (int64_t k = 0; k < w->size; k++) assert_true(gr_get(w, k) == 0.0);
        give_all(w, 4e-38);
        assert_int_equal(gr_step(optimizers[i]), GR_OK);
        for (int64_t k = 0; k < w->size; k++) assert_true(gr_get(w, k) != 0.0);
        memset(gr_f32(w), 0, gr_bytes(w));
        gr_optimizer_free(optimizers[i]);
    }
    /* v = 0.01 g^2 is denormal: the root is 0, and eps alone divides. */
    gr_optimizer *o = gr_rmsprop(params, &(gr_rmsprop_options){.lr = 1e-3, .eps = 1e-18});
    give_all(w, 5e-19);
    assert_int_equal(gr_step(o), GR_OK);
    assert_near(gr_get(w, 3), -0.5e-3, 1e-6);
    gr_optimizer_free(o);
    gr_params_free(params);
}

/* The square of a gradient that is finite may not be: such a step is refused and leaves nothing behind. */
static void test_overflowing_square(void **state)
{
    (void)state;
    gr_params *params = one(GR_F32, 20, 1.0);
    gr_tensor *w = gr_params_at(params, 0);
    gr_optimizer *const optimizers[] = {gr_adam(params, NULL), gr_rmsprop(params, NULL)};
    for (int i = 0; i < COUNT(optimizers); i++) {
        const double start = gr_get(w, 0);
        for (int step = 0; step < 3; step++) {
            give_all(w, step == 2 ? 1.0 : 1e30);
            assert_int_equal(gr_step(optimizers[i]), step == 2 ? GR_OK : GR_ERR_VALUE);
            for (int64_t k = 0; k < w->size; k++) assert_true(step == 2 ? gr_get(w, k) < start : gr_get(w, k) == start);
        }
        gr_optimizer_free(optimizers[i]);
    }
    gr_params_free(params);
}

/* ---- Every allocation fails in turn ------------------------------------------------------------------------------ */

static void test_oom_optimizers(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(rules); i++) {
        watch_heap();
        gr_params *params = two_params();
        int live = heap.live, failures = 0;
        gr_optimizer *o = NULL;
        while (!o) {
            fail_after(++failures);
            o = rules[i].make(params);
            if (o) break;
            assert_fails(gr_last_status(), GR_ERR_MEMORY, "out of memory");
            assert_int_equal(heap.live, live);
        }
        heap.fail_at = 0;
        int states = strncmp(rules[i].name, "adam", 4) == 0 || i == COUNT(rules) - 1 ? 2 : i < 2 ? 0 : 1;
        assert_int_equal(failures, 1 + 1 + 3 * states); /* itself; state of 100 elements in two parts, of one in one */
        give_all(gr_params_at(params, 0), 1.0);
        assert_int_equal(gr_step(o), GR_OK);
        assert_true(gr_get(gr_params_at(params, 0), 99) < 1.0);
        gr_optimizer_free(o);
        gr_params_free(params);
        leave_heap();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_recurrences),    TEST(test_first_step),         TEST(test_large_equals_small),
        TEST(test_denormal_state), TEST(test_overflowing_square), TEST(test_oom_optimizers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
