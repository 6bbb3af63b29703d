/* test_conv.c: the three products of convolution against sums written down from their definition, in double, over many
 * sizes and options; the same bits on any number of threads. */
#include "helpers.h"

#include <gradus/gradus.h>
#ifdef _OPENMP
#include <omp.h>
#endif

/* One convolution of images [n, groups c, h, w], k [groups o, c, kh, kw], to results [n, groups o, oh, ow]. */
typedef struct problem {
    int64_t n, groups, c, o, h[2], k[2], r[2];
    gr_conv2d_options options;
} problem;

static int64_t stride_of(const problem *p, int i) { return p->options.stride[i] ? p->options.stride[i] : 1; }
static int64_t dilation_of(const problem *p, int i) { return p->options.dilation[i] ? p->options.dilation[i] : 1; }

static void measure(problem *p)
{
    for (int i = 0; i < 2; i++)
        p->r[i] = (p->h[i] + 2 * p->options.padding[i] - dilation_of(p, i) * (p->k[i] - 1) - 1) / stride_of(p, i) + 1;
}

typedef void visitor(double *x, double *k, double *y);
static void to_y(double *x, double *k, double *y) { *y += *x * *k; }
static void to_x(double *x, double *k, double *y) { *x += *y * *k; }
static void to_k(double *x, double *k, double *y) { *k += *x * *y; }

/* All triples of an image's, the kernel's and a result's element that meet. */
static void visit(const problem *p, double *x, double *k, double *y, visitor *v)
{
    for (int64_t n = 0; n < p->n; n++)
        for (int64_t o = 0; o < p->groups * p->o; o++)
            for (int64_t c = 0; c < p->c; c++)
                for (int64_t i = 0; i < p->r[0]; i++)
                    for (int64_t j = 0; j < p->r[1]; j++)
                        for (int64_t a = 0; a < p->k[0]; a++)
                            for (int64_t b = 0; b < p->k[1]; b++) {
                                const int64_t row = i * stride_of(p, 0) + a * dilation_of(p, 0) - p->options.padding[0];
                                const int64_t column =
                                    j * stride_of(p, 1) + b * dilation_of(p, 1) - p->options.padding[1];
                                if (row < 0 || row >= p->h[0] || column < 0 || column >= p->h[1]) continue;
                                const int64_t channel = o / p->o * p->c + c;
                                v(&x[((n * p->groups * p->c + channel) * p->h[0] + row) * p->h[1] + column],
                                  &k[((o * p->c + c) * p->k[0] + a) * p->k[1] + b],
                                  &y[((n * p->groups * p->o + o) * p->r[0] + i) * p->r[1] + j]);
                            }
}

static double *doubles(const gr_tensor *x)
{
    double *d = malloc(((size_t)gr_size(x) + 1) * sizeof *d);
    for (int64_t i = 0; i < gr_size(x); i++) d[i] = gr_get(x, i);
    return d;
}

static double *zeros(int64_t n) { return calloc((size_t)n + 1, sizeof(double)); }

static void assert_near(const char *what, const problem *p, const gr_tensor *is, const double *expected,
                        double tolerance)
{
    double largest = 0;
    for (int64_t i = 0; i < gr_size(is); i++) largest = fmax(largest, fabs(expected[i]));
    for (int64_t i = 0; i < gr_size(is); i++)
        if (!(fabs(gr_get(is, i) - expected[i]) <= tolerance * largest))
            fail_msg("%s at %lld: %.17g, expected %.17g: n %lld groups %lld c %lld o %lld, %lldx%lld by %lldx%lld, "
                     "stride %lld %lld, padding %lld %lld, dilation %lld %lld",
                     what, (long long)i, gr_get(is, i), expected[i], (long long)p->n, (long long)p->groups,
                     (long long)p->c, (long long)p->o, (long long)p->h[0], (long long)p->h[1], (long long)p->k[0],
                     (long long)p->k[1], (long long)p->options.stride[0], (long long)p->options.stride[1],
                     (long long)p->options.padding[0], (long long)p->options.padding[1],
                     (long long)p->options.dilation[0], (long long)p->options.dilation[1]);
}

/* conv2d with its two gradients, and conv_transpose2d of the same sizes, which is one of them plus a bias. */
static void compare(const problem *p, gr_dtype dtype, gr_rng *rng)
{
    const double tolerance = dtype == GR_F64 ? 1e-13 : 1e-5;
    gr_tensor *x = gr_normal(dtype, GR_SHAPE(p->n, p->groups * p->c, p->h[0], p->h[1]), 0, 1, rng);
    gr_tensor *k = gr_normal(dtype, GR_SHAPE(p->groups * p->o, p->c, p->k[0], p->k[1]), 0, 1, rng);
    gr_tensor *b = gr_normal(dtype, GR_SHAPE(p->groups * p->o), 0, 1, rng),
              *back = gr_normal(dtype, GR_SHAPE(p->groups * p->c), 0, 1, rng);
    gr_tensor *g = gr_normal(dtype, GR_SHAPE(p->n, p->groups * p->o, p->r[0], p->r[1]), 0, 1, rng);
    double *dx = doubles(x), *dk = doubles(k), *dg = doubles(g), *y = zeros(gr_size(g)), *to_image = zeros(gr_size(x)),
           *to_kernel = zeros(gr_size(k));
    const int64_t plane = p->r[0] * p->r[1], image = p->h[0] * p->h[1];
    for (int64_t i = 0; i < gr_size(g); i++) y[i] = gr_get(b, i / plane % (p->groups * p->o));
    visit(p, dx, dk, y, to_y);
    visit(p, to_image, dk, dg, to_x);
    visit(p, dx, to_kernel, dg, to_k);

    gr_tape *t = gr_tape_new();
    assert_int_equal(gr_require_grad(x) | gr_require_grad(k), GR_OK);
    gr_tensor *is = gr_conv2d(t, x, k, b, &p->options), *grad[2];
    if (!is) fail_msg("%s", gr_last_error());
    assert_memory_equal(gr_shape(is), gr_shape(g), 4 * sizeof(int64_t));
    assert_near("conv2d", p, is, y, tolerance);
    assert_int_equal(gr_vjp(t, is, g, (gr_tensor *[]){x, k}, 2, grad, 0), GR_OK);
    assert_near("dx", p, grad[0], to_image, tolerance);
    assert_near("dk", p, grad[1], to_kernel, tolerance);

    gr_conv2d_options o = p->options;
    for (int i = 0; i < 2; i++)
        o.output_padding[i] =
            p->h[i] - ((p->r[i] - 1) * stride_of(p, i) - 2 * o.padding[i] + dilation_of(p, i) * (p->k[i] - 1) + 1);
    is = gr_conv_transpose2d(t, g, k, back, &o);
    if (!is) fail_msg("%s", gr_last_error());
    for (int64_t i = 0; i < gr_size(x); i++) to_image[i] += gr_get(back, i / image % (p->groups * p->c));
    assert_near("conv_transpose2d", p, is, to_image, tolerance);

    gr_tape_free(t);
    double *const owned[] = {dx, dk, dg, y, to_image, to_kernel};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) free(owned[i]);
    gr_tensor *const tensors[] = {x, k, b, back, g};
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) gr_tensor_free(tensors[i]);
}

/* ---- Many small problems ------------------------------------------------------------------------------------- */

static int64_t draw(gr_rng *rng, int64_t least, int64_t most) { return least + gr_rng_below(rng, most - least + 1); }

static bool draw_problem(problem *p, gr_rng *rng)
{
    *p = (problem){.n = draw(rng, 1, 3), .groups = draw(rng, 1, 3), .c = draw(rng, 1, 5), .o = draw(rng, 1, 11)};
    if (draw(rng, 0, 2)) p->groups = 1;
    p->options.groups = p->groups;
    const bool plain = draw(rng, 0, 1);
    for (int i = 0; i < 2; i++) {
        p->h[i] = draw(rng, 1, i ? 40 : 12);
        p->k[i] = draw(rng, 1, 5);
        p->options.padding[i] = draw(rng, 0, 4);
        p->options.stride[i] = plain ? 1 : draw(rng, 0, 4);
        p->options.dilation[i] = plain ? 1 : draw(rng, 0, 3);
        if (p->h[i] + 2 * p->options.padding[i] < dilation_of(p, i) * (p->k[i] - 1) + 1) return false;
    }
    measure(p);
    return true;
}

static void many_small_problems(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(3);
    int done = 0;
    while (done < 300) {
        problem p;
        if (!draw_problem(&p, &rng)) continue;
        compare(&p, done % 2 ? GR_F32 : GR_F64, &rng);
        done++;
    }
}

/* ---- What small problems do not reach ------------------------------------------------------------------------ */

static const problem large[] = {
    {.n = 1,
     .groups = 1,
     .c = 40,
     .o = 3,
     .h = {40, 64},
     .k = {3, 3},
     .options = {.padding = {1, 1}}}, /* tiles, rows of whole vectors */
    {.n = 2,
     .groups = 1,
     .c = 24,
     .o = 9,
     .h = {40, 70},
     .k = {3, 3},
     .options = {.padding = {1, 1}}}, /* tiles, flat */
    {.n = 1,
     .groups = 1,
     .c = 16,
     .o = 5,
     .h = {66, 70},
     .k = {3, 2},
     .options = {.padding = {1, 0}, .stride = {2, 3}}},
    {.n = 2, .groups = 1, .c = 5, .o = 3, .h = {64, 96}, .k = {1, 1}},  /* in place, tiles */
    {.n = 1, .groups = 1, .c = 5, .o = 3, .h = {3, 1100}, .k = {1, 1}}, /* points of an odd plane */
    {.n = 2,
     .groups = 1,
     .c = 66,
     .o = 43,
     .h = {5, 4},
     .k = {3, 3},
     .options = {.padding = {1, 1}}}, /* more sums than fit at once */
    {.n = 1, .groups = 10, .c = 2, .o = 12, .h = {9, 20}, .k = {3, 3}, .options = {.padding = {1, 1}, .groups = 10}},
    {.n = 1, .groups = 48, .c = 1, .o = 1, .h = {33, 48}, .k = {3, 3}, .options = {.padding = {1, 1}, .groups = 48}},
};

static void large_problems(void **state)
{
    (void)state;
    gr_rng rng = gr_rng_seed(4);
    for (size_t i = 0; i < sizeof large / sizeof *large; i++)
        for (int dtype = GR_F32; dtype <= GR_F64; dtype++) {
            problem p = large[i];
            measure(&p);
            compare(&p, (gr_dtype)dtype, &rng);
        }
}

/* The adjoint of images without rows has rows, of zeros, and then the gradient of the kernel is 0. */
static void no_rows(void **state)
{
    (void)state;
    gr_tensor *y = gr_zeros(GR_F32, GR_SHAPE(1, 1, 0, 3)), *k = gr_ones(GR_F32, GR_SHAPE(1, 2, 3, 3)), *dk;
    assert_int_equal(gr_require_grad(k), GR_OK);
    gr_tape *t = gr_tape_new();
    gr_tensor *x = gr_conv_transpose2d(t, y, k, NULL, NULL);
    assert_non_null(x);
    assert_memory_equal(gr_shape(x), ((const int64_t[]){1, 2, 2, 5}), 4 * sizeof(int64_t));
    for (int64_t i = 0; i < gr_size(x); i++) assert_true(gr_get(x, i) == 0.0);
    assert_int_equal(gr_grad(t, gr_sum(t, x, GR_ALL_AXES, false), &k, 1, &dk, 0), GR_OK);
    for (int64_t i = 0; i < gr_size(dk); i++) assert_true(gr_get(dk, i) == 0.0);
    gr_tape_free(t);
    gr_tensor_free(y);
    gr_tensor_free(k);
}

/* ---- Threads ------------------------------------------------------------------------------------------------- */

#ifdef _OPENMP
/* The bits of a result and of both gradients, in one tensor of the caller's. */
static gr_tensor *all_of(const problem *p, gr_tensor *x, gr_tensor *k)
{
    gr_tape *t = gr_tape_new();
    gr_tensor *y = gr_conv2d(t, x, k, NULL, &p->options), *d[2];
    assert_int_equal(gr_vjp(t, y, gr_sin(t, y), (gr_tensor *[]){x, k}, 2, d, GR_RETAIN), GR_OK);
    gr_tensor *parts[3] = {y, d[0], d[1]};
    for (int i = 0; i < 3; i++) parts[i] = gr_reshape(t, parts[i], GR_SHAPE(-1));
    gr_tensor *all = gr_copy(gr_concat(t, parts, 3, 0));
    assert_non_null(all);
    gr_tape_free(t);
    return all;
}
#endif

static void threads_change_no_bit(void **state)
{
    (void)state;
#ifdef _OPENMP
    gr_rng rng = gr_rng_seed(5);
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        problem p = large[i];
        measure(&p);
        gr_tensor *x = gr_normal(GR_F32, GR_SHAPE(p.n, p.groups * p.c, p.h[0], p.h[1]), 0, 1, &rng);
        gr_tensor *k = gr_normal(GR_F32, GR_SHAPE(p.groups * p.o, p.c, p.k[0], p.k[1]), 0, 1, &rng);
        assert_int_equal(gr_require_grad(x) | gr_require_grad(k), GR_OK);
        omp_set_num_threads(1);
        gr_tensor *one = all_of(&p, x, k);
        for (int threads = 2; threads <= 5; threads += 3) {
            omp_set_num_threads(threads);
            gr_tensor *more = all_of(&p, x, k);
            assert_memory_equal(gr_read_f32(one), gr_read_f32(more), (size_t)gr_size(one) * sizeof(float));
            gr_tensor_free(more);
        }
        gr_tensor_free(one);
        gr_tensor_free(x);
        gr_tensor_free(k);
    }
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_small_problems),
        cmocka_unit_test(large_problems),
        cmocka_unit_test(no_rows),
        cmocka_unit_test(threads_change_no_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
