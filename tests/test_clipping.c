/* test_clipping.c: gradients clipped by their joint norm and by value. */
#include "optim_kit.h"

/* ---- Clipping ---------------------------------------------------------------------------------------------------- */

/* Two parameters with gradients of joint norm 13, and one with an old gradient that counts no more. */
static gr_params *with_gradients(void)
{
    gr_params *params = gr_params_new();
    gr_tensor *a = gr_params_add(params, "a", gr_zeros(GR_F64, GR_SHAPE(2, 2)));
    gr_tensor *b = gr_params_add(params, "b", gr_zeros(GR_F32, GR_SHAPE(1)));
    gr_tensor *old = gr_params_add(params, "old", gr_zeros(GR_F64, GR_SHAPE(2)));
    gr_params_add(params, "none", gr_zeros(GR_F64, GR_SHAPE(2)));
    give(a, (double[]){3.0, 0.0, -4.0, 0.0});
    give(b, (double[]){-12.0});
    give(old, (double[]){100.0, nan_});
    gr_zero_grad(old);
    return params;
}

static void assert_gradients(const gr_params *params, double a0, double a2, double b)
{
    const gr_tensor *a = gr_gradient(gr_params_at(params, 0));
    assert_near(gr_get(a, 0), a0, 1e-15);
    assert_true(gr_get(a, 1) == 0.0 && gr_get(a, 3) == 0.0);
    assert_near(gr_get(a, 2), a2, 1e-15);
    assert_true(gr_get(gr_gradient(gr_params_at(params, 1)), 0) == (double)(float)b);
    assert_true(gr_get(gr_params_at(params, 2)->grad, 0) == 100.0);
}

static void test_clip_norm(void **state)
{
    (void)state;
    gr_params *params = with_gradients();
    double norm = 0.0;
    assert_int_equal(gr_clip_grad_norm(params, 14.0, &norm), GR_OK);
    assert_true(norm == 13.0);
    assert_gradients(params, 3.0, -4.0, -12.0);
    norm = 0.0;
    assert_int_equal(gr_clip_grad_norm(params, 13.0, NULL), GR_OK);
    assert_int_equal(gr_clip_grad_norm(params, infinity, &norm), GR_OK);
    assert_true(norm == 13.0);
    assert_gradients(params, 3.0, -4.0, -12.0);
    uint32_t version = gr_gradient(gr_params_at(params, 0))->version;
    assert_int_equal(gr_clip_grad_norm(params, 6.5, &norm), GR_OK);
    assert_int_equal(gr_gradient(gr_params_at(params, 0))->version, version + 1);
    assert_true(norm == 13.0);
    assert_gradients(params, 1.5, -2.0, -6.0);
    assert_int_equal(gr_clip_grad_norm(params, 1.0, &norm), GR_OK);
    assert_true(norm == 6.5);
    assert_gradients(params, 1.5 / 6.5, -2.0 / 6.5, -6.0 / 6.5);
    assert_int_equal(gr_clip_grad_norm(params, 0.999, NULL), GR_OK); /* little above it is above it */
    assert_int_equal(gr_clip_grad_norm(params, infinity, &norm), GR_OK);
    assert_near(norm, 0.999, 1e-7);
    gr_params_zero_grad(params);
    assert_int_equal(gr_clip_grad_norm(params, 1.0, &norm), GR_OK);
    assert_true(norm == 0.0);
    gr_params_free(params);
}

static void test_clip_norm_refuses(void **state)
{
    (void)state;
    gr_params *params = with_gradients();
    const double bad[] = {0.0, -1.0, nan_};
    double norm = 7.0;
    for (int i = 0; i < COUNT(bad); i++) {
        assert_fails(gr_clip_grad_norm(params, bad[i], &norm), GR_ERR_OPTION, "max_norm");
        assert_fails(gr_clip_grad_value(params, bad[i]), GR_ERR_OPTION, "limit");
    }
    assert_true(norm == 7.0);
    assert_fails(gr_clip_grad_norm(NULL, 1.0, NULL), GR_ERR_NULL, "clip_grad_norm");
    assert_fails(gr_clip_grad_value(NULL, 1.0), GR_ERR_NULL, "clip_grad_value");
    assert_gradients(params, 3.0, -4.0, -12.0);

    gr_tensor *a = gr_params_at(params, 0);
    give(a, (double[]){3.0, 5.0, -4.0, nan_});
    assert_fails(gr_clip_grad_norm(params, 1.0, &norm), GR_ERR_VALUE, "the gradient of a is nan at [1,1]");
    assert_true(isnan(norm));
    assert_true(gr_get(gr_gradient(a), 0) == 3.0 && gr_get(gr_gradient(a), 1) == 5.0);
    give(a, (double[]){3.0, -infinity, -4.0, 0.0});
    assert_fails(gr_clip_grad_norm(params, 1.0, &norm), GR_ERR_VALUE, "the gradient of a is -inf at [0,1]");
    assert_true(norm == infinity);
    assert_true(gr_get(gr_gradient(a), 0) == 3.0);
    give(a, (double[]){DBL_MAX, DBL_MAX, 0.0, 0.0});
    assert_fails(gr_clip_grad_norm(params, 1.0, &norm), GR_ERR_VALUE, "the norm is inf");
    assert_true(gr_get(gr_gradient(a), 0) == DBL_MAX);
    gr_params_free(params);
}

/* Norms whose squares no double holds, and factors that no float holds. */
static void test_clip_norm_extremes(void **state)
{
    (void)state;
    const double sizes[] = {1e200, 1e300, 1e-200, 1e-300};
    for (int i = 0; i < COUNT(sizes); i++) {
        gr_params *params = one(GR_F64, 4, 0.0);
        give_all(gr_params_at(params, 0), sizes[i]);
        double norm = 0.0;
        assert_int_equal(gr_clip_grad_norm(params, sizes[i] / 4.0, &norm), GR_OK);
        assert_near(norm / sizes[i], 2.0, 1e-15);
        assert_near(gr_get(gr_gradient(gr_params_at(params, 0)), 3) / sizes[i], 0.125, 1e-15);
        gr_params_free(params);
    }
    gr_params *params = one(GR_F32, 4, 0.0);
    give_all(gr_params_at(params, 0), 3e38);
    double norm = 0.0;
    assert_int_equal(gr_clip_grad_norm(params, 0.5, &norm), GR_OK);
    assert_near(norm / 6e38, 1.0, 1e-7);
    assert_near(gr_get(gr_gradient(gr_params_at(params, 0)), 0), 0.25, 1e-8);
    gr_params_free(params);
}

#if defined __linux__
extern void omp_set_num_threads(int n) __attribute__((weak));
#define SET_THREADS(n) (omp_set_num_threads ? omp_set_num_threads(n) : (void)0)
#else
#define SET_THREADS(n) ((void)(n))
#endif

/* Large enough for several spans and for several rounds of partial sums; the same bits with every number of threads. */
static void test_clip_norm_large(void **state)
{
    (void)state;
    enum { N = 300 * 16384 + 5 };
    gr_rng rng = gr_rng_seed(3);
    gr_params *params = one(GR_F32, N, 0.0);
    gr_tensor *g = gr_normal(GR_F32, GR_SHAPE(N), 0.0, 1.0, &rng);
    gr_params_at(params, 0)->grad = g;
    gr_params_at(params, 0)->has_grad = true;
    double sum = 0.0, lost = 0.0; /* Kahan's: a long double has no more digits than a double on some systems */
    for (int64_t i = 0; i < N; i++) {
        const double square = (double)gr_read_f32(g)[i] * (double)gr_read_f32(g)[i] - lost, next = sum + square;
        lost = (next - sum) - square;
        sum = next;
    }
    double norm[3] = {0};
    for (int threads = 0; threads < 3; threads++) {
        SET_THREADS(threads + 1);
        assert_int_equal(gr_clip_grad_norm(params, infinity, &norm[threads]), GR_OK);
        assert_near(norm[threads] / sqrt(sum), 1.0, 1e-14);
        assert_memory_equal(&norm[threads], &norm[0], sizeof *norm);
    }
    float last = gr_read_f32(g)[N - 1], middle = gr_read_f32(g)[N / 2];
    assert_int_equal(gr_clip_grad_norm(params, norm[0] / 2.0, NULL), GR_OK);
    assert_near((double)gr_read_f32(g)[N - 1], (double)last / 2.0, 1e-7);
    assert_near((double)gr_read_f32(g)[N / 2], (double)middle / 2.0, 1e-7);
    gr_params_free(params);
}

static void test_clip_value(void **state)
{
    (void)state;
    for (gr_dtype dtype = GR_F32; dtype <= GR_F64; dtype++) {
        enum { N = 70000 };
        gr_params *params = one(dtype, N, 0.0);
        gr_params_add(params, "none", gr_zeros(GR_F64, GR_SHAPE(2)));
        double *g = malloc(N * sizeof *g);
        for (int i = 0; i < N; i++) g[i] = 0.001 * (double)(i % 300 - 150);
        g[5] = nan_;
        g[6] = infinity;
        g[7] = -infinity;
        give(gr_params_at(params, 0), g);
        assert_int_equal(gr_clip_grad_value(params, 0.1), GR_OK);
        const gr_tensor *clipped = gr_gradient(gr_params_at(params, 0));
        for (int i = 0; i < N; i++) {
            double x = gr_get(clipped, i), given = dtype == GR_F32 ? (double)(float)g[i] : g[i];
            if (i == 5) assert_true(isnan(x));
            else if (fabs(given) <= 0.1) assert_true(x == given);
            else assert_true(fabs(x) <= 0.1 && fabs(x) > 0.0999999 && (x > 0.0) == (given > 0.0));
        }
        assert_int_equal(gr_clip_grad_value(params, infinity), GR_OK);
        assert_true(isnan(gr_get(clipped, 5)));
        free(g);
        gr_params_free(params);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_clip_norm),       TEST(test_clip_norm_refuses), TEST(test_clip_norm_extremes),
        TEST(test_clip_norm_large), TEST(test_clip_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
