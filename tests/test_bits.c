/* test_bits.c: the bits of training. Small networks with ops, losses and optimizers of every kind train for a hundred
 * steps, and a hash of their parameters and losses is compared with the one that is known for this compiler and
 * processor: a change that is to leave the numbers alone leaves the hashes alone. Where none is known the test is
 * skipped, and prints them as rows for golden/bits.inc. */
#include <gradus/gradus.h>

#include "helpers.h"
#include "tensor/internal.h"

enum { STEPS = 100, MAX_PARAMS = 16 };

/* What one training consists of: data, parameters and what an epoch carries along. */
typedef struct training {
    gr_dtype dtype;
    gr_rng rng;
    gr_tensor *x, *y;
    gr_params *params;
    gr_tensor *p[MAX_PARAMS];
    int n;
} training;

static gr_tensor *add(training *s, gr_tensor *weights)
{
    char name[8];
    snprintf(name, sizeof name, "p%d", s->n);
    return s->p[s->n++] = gr_params_add(s->params, name, weights);
}

#define WEIGHTS(...) add(s, gr_normal(s->dtype, GR_SHAPE(__VA_ARGS__), 0.0, 0.3, &s->rng))
#define ZEROS(...) add(s, gr_zeros(s->dtype, GR_SHAPE(__VA_ARGS__)))
#define ONES(...) add(s, gr_ones(s->dtype, GR_SHAPE(__VA_ARGS__)))

/* Labels of 0 and 1, a third of them 1. */
static gr_tensor *labels(training *s, int rank, const int64_t shape[])
{
    gr_tensor *y = gr_zeros(s->dtype, rank, shape);
    for (int64_t i = 0; i < gr_size(y); i++) assert_int_equal(gr_set(y, i, gr_rng_uniform(&s->rng) < 0.33), GR_OK);
    return y;
}

/* ---- The networks ------------------------------------------------------------------------------------------- */

/* Classes: three layers, cross entropy by index. */
static gr_optimizer *build_classes(training *s)
{
    s->x = gr_normal(s->dtype, GR_SHAPE(24, 20), 0.0, 1.0, &s->rng);
    s->y = gr_zeros(GR_I32, GR_SHAPE(24));
    for (int64_t i = 0; i < 24; i++) assert_int_equal(gr_set(s->y, i, (double)(i * 7 % 5)), GR_OK);
    WEIGHTS(20, 33), ZEROS(33), WEIGHTS(33, 17), ZEROS(17), WEIGHTS(17, 5), ZEROS(5);
    return gr_sgd(s->params, &(gr_sgd_options){.lr = 0.05, .momentum = 0.9, .weight_decay = 1e-4});
}

static gr_tensor *run_classes(gr_tape *t, training *s)
{
    gr_tensor *h = gr_relu(t, gr_linear(t, s->x, s->p[0], s->p[1]));
    h = gr_gelu(t, gr_linear(t, h, s->p[2], s->p[3]));
    h = gr_linear(t, gr_dropout(t, h, 0.1, &s->rng), s->p[4], s->p[5]);
    return gr_cross_entropy(t, h, s->y, &(gr_loss_options){.from_logits = true, .label_smoothing = 0.1});
}

/* Images: convolutions, norms, pooling, upsampling, a skip connection; the losses of masks. */
static gr_optimizer *build_images(training *s)
{
    s->x = gr_uniform(s->dtype, GR_SHAPE(2, 1, 12, 20), 0.0, 1.0, &s->rng);
    s->y = labels(s, GR_SHAPE(2, 1, 12, 20));
    WEIGHTS(6, 1, 3, 3), ONES(6), ZEROS(6), WEIGHTS(8, 6, 3, 3), ONES(8), ZEROS(8), WEIGHTS(8, 6, 2, 2), ZEROS(6);
    WEIGHTS(1, 12, 1, 1), ZEROS(1);
    return gr_adam(s->params, &(gr_adam_options){.lr = 0.01});
}

static gr_tensor *run_images(gr_tape *t, training *s)
{
    const gr_conv2d_options same = {.padding = {1, 1}}, twice = {.stride = {2, 2}};
    const gr_batch_norm_options batch = {.training = true};
    gr_tensor *const *p = s->p;
    gr_tensor *a = gr_conv2d(t, s->x, p[0], NULL, &same);
    a = gr_relu(t, gr_batch_norm2d(t, a, p[1], p[2], NULL, NULL, &batch));
    gr_tensor *b = gr_max_pool2d(t, a, &(gr_pool2d_options){.kernel = {2, 2}});
    b = gr_silu(t, gr_group_norm(t, gr_conv2d(t, b, p[3], NULL, &same), 2, p[4], p[5], 0));
    b = gr_avg_pool2d(t, b, &(gr_pool2d_options){.kernel = {3, 3}, .stride = {1, 1}, .padding = {1, 1}});
    b = gr_upsample2d(t, b, 6, 10, GR_NEAREST);
    b = gr_conv_transpose2d(t, b, p[6], p[7], &twice);
    b = gr_add(t, b, gr_upsample2d(t, gr_slice(t, b, 2, 0, 6), 12, 20, GR_BILINEAR));
    gr_tensor *z = gr_conv2d(t, gr_concat(t, (gr_tensor *[]){a, b}, 2, 1), p[8], p[9], NULL);
    gr_tensor *loss = gr_dice(t, z, s->y, &(gr_overlap_options){.base.from_logits = true});
    loss = gr_add(t, loss, gr_bce(t, z, s->y, &(gr_loss_options){.from_logits = true}));
    loss = gr_add(t, loss, gr_focal(t, z, s->y, &(gr_focal_options){.base.from_logits = true}));
    loss = gr_add(t, loss, gr_weighted_bce(t, z, s->y, &(gr_weighted_bce_options){.base.from_logits = true}));
    return gr_add(t, loss, gr_balanced_bce(t, z, s->y, &(gr_balanced_bce_options){.base.from_logits = true}));
}

/* Attention over a sequence, with layer norm; KL divergence. */
static gr_optimizer *build_sequence(training *s)
{
    s->x = gr_normal(s->dtype, GR_SHAPE(3, 7, 10), 0.0, 1.0, &s->rng);
    gr_tape *t = gr_tape_new();
    gr_tensor *scores = gr_normal(s->dtype, GR_SHAPE(21, 4), 0.0, 1.0, &s->rng);
    s->y = gr_copy(gr_softmax(t, scores, 1));
    gr_tape_free(t);
    gr_tensor_free(scores);
    ONES(10), ZEROS(10), WEIGHTS(10, 10), WEIGHTS(10, 10), WEIGHTS(10, 10), WEIGHTS(10, 4);
    return gr_adamw(s->params, &(gr_adam_options){.lr = 0.01, .weight_decay = 0.01});
}

static gr_tensor *run_sequence(gr_tape *t, training *s)
{
    gr_tensor *h = gr_layer_norm(t, s->x, 1, s->p[0], s->p[1], 0);
    gr_tensor *q = gr_matmul(t, h, s->p[2], 0), *k = gr_matmul(t, h, s->p[3], 0), *v = gr_matmul(t, h, s->p[4], 0);
    gr_tensor *a = gr_softmax(t, gr_scale(t, gr_matmul(t, q, k, GR_TRANS_B), 0.3), 2);
    h = gr_tanh(t, gr_matmul(t, a, v, 0));
    h = gr_reshape(t, gr_permute(t, gr_permute(t, h, 3, (int[]){1, 0, 2}), 3, (int[]){1, 0, 2}), GR_SHAPE(21, 10));
    return gr_kl(t, gr_matmul(t, h, s->p[5], 0), s->y, &(gr_loss_options){.from_logits = true});
}

/* Many small functions, numbers against numbers, rows by index, and a penalty on the gradient. */
static gr_optimizer *build_functions(training *s)
{
    s->x = gr_uniform(s->dtype, GR_SHAPE(37, 3), 0.2, 2.0, &s->rng);
    s->y = gr_normal(s->dtype, GR_SHAPE(37, 1), 0.0, 1.0, &s->rng);
    WEIGHTS(3, 9), ONES(9), WEIGHTS(9, 1);
    return gr_rmsprop(s->params, &(gr_rmsprop_options){.lr = 0.003, .momentum = 0.5});
}

static gr_tensor *run_functions(gr_tape *t, training *s)
{
    gr_tensor *x = s->x, *w = s->p[0];
    gr_tensor *h =
        gr_matmul(t, gr_add(t, gr_log(t, x), gr_div(t, gr_sqrt(t, x), gr_shift(t, gr_exp(t, x), 1.0))), w, 0);
    h = gr_mul(t, gr_softplus(t, h), s->p[1]);
    h = gr_add(t, h, gr_elu(t, gr_leaky_relu(t, gr_sub(t, h, gr_abs(t, gr_clamp(t, h, -1.0, 0.5))), 0.1), 1.0));
    gr_tensor *y = gr_matmul(t, gr_sigmoid(t, h), s->p[2], 0);
    gr_tensor *loss = gr_add(t, gr_mse(t, y, s->y, NULL), gr_l1(t, y, s->y, NULL));
    loss = gr_add(t, loss, gr_huber(t, y, s->y, NULL));
    loss = gr_add(t, loss, gr_hinge(t, y, gr_sign(t, s->y), NULL));
    loss = gr_add(t, loss, gr_mean(t, gr_logsumexp(t, h, GR_AXES(1), false), GR_ALL_AXES, false));
    loss = gr_add(t, loss, gr_mean(t, gr_pow_scalar(t, w, 2.0), GR_ALL_AXES, false));
    loss = gr_add(t, loss, gr_var(t, gr_max(t, h, GR_AXES(1), true), GR_ALL_AXES, false, 1));
    gr_tensor *d;
    if (gr_grad(t, loss, &s->p[2], 1, &d, GR_CREATE_GRAPH)) return NULL;
    return gr_add(t, loss, gr_scale(t, gr_sum(t, gr_square(t, d), GR_ALL_AXES, false), 0.01));
}

/* ---- Training and hashing ----------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    gr_optimizer *(*build)(training *s);
    gr_tensor *(*run)(gr_tape *t, training *s);
} networks[] = {
    {"classes", build_classes, run_classes},
    {"images", build_images, run_images},
    {"sequence", build_sequence, run_sequence},
    {"functions", build_functions, run_functions},
};
enum { N_NETWORKS = sizeof networks / sizeof *networks };

/* FNV-1a. */
static void hash(uint64_t *h, const void *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) *h = (*h ^ ((const unsigned char *)data)[i]) * 0x100000001b3u;
}

static uint64_t train(int network, gr_dtype dtype)
{
    training s = {.dtype = dtype, .rng = gr_rng_seed(2026), .params = gr_params_new()};
    gr_optimizer *optimizer = networks[network].build(&s);
    gr_tape *t = gr_tape_new();
    uint64_t h = 0xcbf29ce484222325u;
    for (int step = 0; step < STEPS; step++) {
        gr_tensor *loss = networks[network].run(t, &s);
        if (!loss || gr_backward(t, loss, 0) || gr_step(optimizer))
            fail_msg("%s, step %d: %s", networks[network].name, step, gr_last_error());
        hash(&h, dtype == GR_F32 ? (const void *)gr_read_f32(loss) : gr_read_f64(loss), dtype == GR_F32 ? 4 : 8);
        gr_tape_reset(t);
    }
    for (int i = 0; i < s.n; i++) {
        const bool f32 = dtype == GR_F32;
        const void *data = f32 ? (const void *)gr_read_f32(s.p[i]) : gr_read_f64(s.p[i]);
        for (int64_t k = 0; k < gr_size(s.p[i]); k++) assert_true(isfinite(gr_get(s.p[i], k)));
        hash(&h, data, (size_t)gr_size(s.p[i]) * (f32 ? 4 : 8));
    }
    gr_tape_free(t);
    gr_optimizer_free(optimizer);
    gr_params_free(s.params);
    gr_tensor_free(s.x);
    gr_tensor_free(s.y);
    return h;
}

/* ---- What is known ------------------------------------------------------------------------------------------ */

/* A build: the compiler, and the processor that kernels are taken for. OpenBLAS may have any kernels: products of this
 * size are ours. */
typedef struct known {
    const char *build;
    uint64_t hashes[N_NETWORKS][2]; /* in F32, in F64 */
} known;
static const known table[] = {
#include "golden/bits.inc"
};

static const char *build_name(void)
{
    static char name[128];
#if defined __clang__
    const char *compiler = "clang", *version = __clang_version__;
#else
    const char *compiler = "gcc", *version = __VERSION__;
#endif
#if defined __OPTIMIZE__ && defined NDEBUG
    const char *level = "optimised";
#else
    const char *level = "debug";
#endif
    snprintf(name, sizeof name, "%s %d %s %s", compiler, atoi(version), level, gr_backend().cpu);
    return name;
}

static bool is_known;

static void bits_are_known(void **state)
{
    (void)state;
    const known *expected = NULL;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].build, build_name())) expected = &table[i];
    printf("{\"%s\",\n {", build_name());
    bool same = true;
    for (int k = 0; k < N_NETWORKS; k++) {
        const uint64_t h[2] = {train(k, GR_F32), train(k, GR_F64)};
        printf("%s{0x%016llx, 0x%016llx}", k ? ",\n  " : "", (unsigned long long)h[0], (unsigned long long)h[1]);
        for (int d = 0; expected && d < 2; d++)
            if (h[d] != expected->hashes[k][d]) {
                print_error("%s: the bits of %s in %s have changed\n", build_name(), networks[k].name,
                            d ? "f64" : "f32");
                same = false;
            }
    }
    printf("}},\n");
    is_known = expected != NULL;
    if (!is_known) skip();
    assert_true(same);
}

/* Which is why a hash may be compared at all. */
static void bits_repeat(void **state)
{
    (void)state;
    for (int k = 0; k < N_NETWORKS; k++) assert_true(train(k, GR_F32) == train(k, GR_F32));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bits_repeat), cmocka_unit_test(bits_are_known)};
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed ? failed : is_known ? 0 : 77; /* 77: ctest shows it as skipped */
}
